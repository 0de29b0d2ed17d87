//! Signing with a configuration's key and registering in its testing log, for every command that makes manifests

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::source::shown;
use crate::estate::load::{self, Loaded};
use crate::model::failure::Failure;
use crate::model::ids::ResourceId;
use crate::signing::keys::SigningKey;
use crate::testing_log::body::ManifestRegistered;
use crate::testing_log::entry::{Actor, Body};
use crate::testing_log::writer::LogWriter;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::{Leaves, Sidecar};

/// What a configuration adds: a signer, and a log to register in.
pub struct Registration {
    /// The configuration.
    pub loaded: Loaded,
    resource: ResourceId,
    /// The key that signs.
    pub key: SigningKey,
}

impl Registration {
    /// The signer and the log of the configuration `config`, for manifests of `resource`.
    pub fn of(config: &Path, resource: ResourceId) -> Result<Self, Failure> {
        let loaded = load::load(config)?;
        if !loaded.config.resource.iter().any(|known| known.id == resource) {
            let known: Vec<&str> = loaded.config.resource.iter().map(|known| known.id.0.as_str()).collect();
            let path = shown(config);
            return Err(
                Failure::invalid(format!("{path} has no resource `{resource}`")).hint(format!("--resource is one of {}", known.join(", ")))
            );
        }
        let key = SigningKey::load(&loaded.config.keys.signing)?;
        // Opened and closed again: a log that cannot be written to is told now, and drills are not locked out while the source is read.
        drop(LogWriter::open(&loaded.config.log.path, key.clone())?);
        Ok(Self { loaded, resource, key })
    }

    /// What the leaves of the resource's tables are made of, where it says so.
    pub fn leaves(&self) -> Option<Leaves> {
        self.loaded.config.resource.iter().find(|resource| resource.id == self.resource)?.leaves
    }

    /// What is kept of each row of the resource's tables, where it says so.
    pub fn sidecar(&self) -> Option<Sidecar> {
        self.loaded.config.resource.iter().find(|resource| resource.id == self.resource)?.sidecar
    }

    /// What the resource calls the tables and columns of checks.
    pub fn names(&self) -> BTreeMap<String, String> {
        let resource = self.loaded.config.resource.iter().find(|resource| resource.id == self.resource);
        resource.map(|resource| resource.names.clone()).unwrap_or_default()
    }

    /// Appends `manifest.registered` and seals it; gives the entry's number.
    pub fn register(&self, manifest: &Manifest) -> Result<u64, Failure> {
        let header = manifest.header();
        let body = Body::ManifestRegistered(ManifestRegistered {
            manifest: manifest.digest(),
            resource: self.resource.clone(),
            recovery_point_id: header.recovery_point_id.clone(),
            mode: header.mode,
            captured_end: header.captured_end,
            root: header.root,
        });
        let mut log = LogWriter::open(&self.loaded.config.log.path, self.key.clone())?;
        // What is registered of it is held to what it says.
        log.evidence(&header.to_bytes()?)?;
        let leaf = log.append(body, Actor::tool("attestore manifest create"), &mut |_, _| Ok(()))?;
        log.checkpoint()?;
        Ok(leaf.index)
    }
}
