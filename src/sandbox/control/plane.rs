//! The control planes together: opened over one state folder, handed to the listener as services, stopped as one.

use std::path::Path;
use std::sync::Arc;

use crate::engines::installed::{EngineKind, Installed};
use crate::model::failure::Failure;
use crate::sandbox::control::backup::jobs::Backup;
use crate::sandbox::control::dynamodb::backups::DynamoDb;
use crate::sandbox::control::faults::Faults;
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::sts::Sts;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::wire::Service;

/// The control planes of one sandbox; clones share them.
#[derive(Clone)]
pub struct ControlPlane {
    faults: Arc<Faults>,
    backup: Arc<Backup>,
    dynamodb: Arc<DynamoDb>,
    rds: Arc<Rds>,
}

impl ControlPlane {
    /// Opens the state in `dir` (created when absent), and goes on with what was under way in it: database servers that still run are
    /// adopted, those that should run are started, restores continue.
    pub async fn open(dir: &Path, buckets: S3Store) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| Failure::io(format!("cannot create {}", dir.display()), error))?;
        let faults = Arc::new(Faults::open(dir)?);
        let dynamodb = DynamoDb::open(dir, faults.clone(), buckets.clone()).await?;
        let rds = Rds::open(dir, faults.clone()).await?;
        let backup = Backup::open(dir, faults.clone(), buckets, dynamodb.clone(), rds.clone())?;
        Ok(Self { faults, backup, dynamodb, rds })
    }

    /// The services by their signing names.
    pub fn services(&self) -> Vec<(&'static str, Arc<dyn Service>)> {
        vec![
            ("backup", self.backup.clone()),
            ("dynamodb", self.dynamodb.clone()),
            ("rds", self.rds.clone()),
            ("sts", Arc::new(Sts { faults: self.faults.clone() })),
        ]
    }

    /// Faults to plant.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// AWS Backup, and damage inside recovery points.
    pub fn backup(&self) -> &Arc<Backup> {
        &self.backup
    }

    /// DynamoDB and its backups.
    pub fn dynamodb(&self) -> &Arc<DynamoDb> {
        &self.dynamodb
    }

    /// RDS, its subnet groups and its servers.
    pub fn rds(&self) -> &Arc<Rds> {
        &self.rds
    }

    /// Ends the background work and every database server, and waits until they are gone. The state stays for the next start.
    pub async fn stop(&self) -> Result<(), Failure> {
        self.backup.stop().await;
        self.dynamodb.stop().await;
        self.rds.stop().await
    }

    /// Stops, and removes the data directories, which may lie outside the sandbox's folder. For sandboxes that nobody goes on with.
    pub async fn purge(&self) -> Result<(), Failure> {
        self.stop().await?;
        self.rds.servers().area().purge()
    }
}

/// The database engines that can be started on this machine.
pub fn engines_available() -> Vec<EngineKind> {
    Installed::here().kinds()
}
