//! Snapshots: taking, damaging, deleting.

use std::collections::BTreeMap;

use crate::engines::installed::EngineKind;
use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::{Refused, now, random_hex};
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::rds::state::{Instance, Snapshot};

impl Rds {
    /// Writes down a snapshot of `instance` that is to be taken; `kind` is `manual` or `awsbackup`.
    pub fn begin_snapshot(
        &self,
        instance: &str,
        id: &str,
        kind: &str,
        tags: Option<BTreeMap<String, String>>,
    ) -> Result<Snapshot, Refused> {
        let source = self.instance(instance).ok_or_else(|| absent_instance(instance))?;
        if source.status != "available" {
            return Err(Refused::new("InvalidDBInstanceState", format!("Instance {instance} is not in available state.")));
        }
        self.write_down(source, id, kind, "creating", tags)
    }

    /// Writes down a snapshot whose data cannot be made on this machine; its status says why, and nobody can restore it.
    pub fn unmade_snapshot(&self, source: Instance, id: &str, why: &str) -> Result<Snapshot, Refused> {
        self.write_down(source, id, "manual", why, None)
    }

    fn write_down(
        &self,
        source: Instance,
        id: &str,
        kind: &str,
        status: &str,
        tags: Option<BTreeMap<String, String>>,
    ) -> Result<Snapshot, Refused> {
        let inherited = if source.settings.copy_tags_to_snapshot == Some(true) { source.settings.tags.clone() } else { None };
        let snapshot = Snapshot {
            id: id.into(),
            kind: kind.into(),
            status: status.into(),
            created: now(),
            home: format!("s-{}", random_hex(4)),
            size: 0,
            tags: tags.or(inherited).unwrap_or_default(),
            instance: source,
        };
        let taken = self.state.change(|state| {
            if state.snapshots.contains_key(id) {
                return false;
            }
            state.snapshots.insert(id.into(), snapshot.clone());
            true
        })?;
        if taken {
            return Ok(snapshot);
        }
        Err(Refused::new(
            "DBSnapshotAlreadyExists",
            format!("Cannot create the snapshot because a snapshot with the identifier {id} already exists."),
        ))
    }

    /// Takes the snapshot that was begun: the server's files as of one instant. Its connections stay.
    pub async fn take_snapshot(&self, id: &str) -> Result<Snapshot, Failure> {
        let gone = || Failure::new(FailureKind::Absent, format!("the snapshot {id} is gone"));
        let snapshot = self.snapshot(id).ok_or_else(gone)?;
        let source = &snapshot.instance;
        let copied = match self.instance(&source.id).and_then(|instance| instance.process) {
            Some(server) => self.servers.copy_running(server, &source.home, &snapshot.home).await,
            None => Err(Failure::new(FailureKind::Remote, format!("instance {} has no running server", source.id))),
        };
        self.set_snapshot(id, |snapshot| match &copied {
            Ok(size) => {
                snapshot.status = "available".into();
                snapshot.size = *size;
                snapshot.created = now();
            }
            Err(_) => snapshot.status = "failed".into(),
        })?;
        copied?;
        self.snapshot(id).ok_or_else(gone)
    }

    /// Forgets a snapshot and removes its data.
    pub async fn remove_snapshot(&self, id: &str) -> Result<Snapshot, Refused> {
        let snapshot = self.snapshot(id).ok_or_else(|| absent_snapshot(id))?;
        if snapshot.status == "creating" {
            return Err(Refused::new("InvalidDBSnapshotState", format!("The snapshot {id} is being created.")));
        }
        self.state.change(|state| state.snapshots.remove(id))?;
        self.servers.remove(&snapshot.home).await?;
        Ok(snapshot)
    }

    /// Damages a snapshot: boots a server over its data, runs SQL in `database` (default: the instance's first), ends it again.
    ///
    /// The instance it was taken of stays whole. Returns what the SQL printed.
    pub async fn damage_snapshot(&self, id: &str, database: Option<&str>, sql: &str) -> Result<String, Failure> {
        let snapshot = self.snapshot(id).ok_or_else(|| Failure::new(FailureKind::Absent, format!("there is no snapshot {id}")))?;
        let kind = snapshot.instance.kind;
        let default = match kind {
            EngineKind::Postgres => "postgres",
            EngineKind::MariaDb | EngineKind::MySql => "mysql",
        };
        let database = database.or(snapshot.instance.database.as_deref()).unwrap_or(default);
        // On a copy that then takes the place: a kill in between leaves the whole or the damaged one, never half a recovery.
        let bench = format!("d-{}", random_hex(4));
        self.servers.copy(&snapshot.home, &bench).await?;
        let said = self.servers.run_once(kind, &bench, database, sql).await;
        if said.is_ok() {
            self.servers.copy(&bench, &snapshot.home).await?;
        }
        self.servers.remove(&bench).await?;
        said
    }
}

/// `DBInstanceNotFound`.
pub fn absent_instance(id: &str) -> Refused {
    Refused::not_found("DBInstanceNotFound", format!("DBInstance {id} not found."))
}

/// `DBSnapshotNotFound`.
pub fn absent_snapshot(id: &str) -> Refused {
    Refused::not_found("DBSnapshotNotFound", format!("DBSnapshot {id} not found."))
}
