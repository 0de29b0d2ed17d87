//! What checks are held against: the manifest's baselines, the time, the names that a configuration gives, the key of canaries.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::signing::hash_key::HashKey;
use crate::verify::manifest::header::Header;
use crate::verify::sql::scope::Scope;

/// See each field; the default demands nothing and takes ages against now.
#[derive(Clone, Debug, Default)]
pub struct CheckDemands {
    /// The manifest's baselines: `rows.TABLE`, or a check's id.
    pub baselines: BTreeMap<String, String>,
    /// Beside a manifest of a prefix, or of closed partitions, the tables that it has whole; nothing where it has all of them whole. Of the
    /// others it counts the rows of a part, or says nothing, and what was summed up of all may have grown.
    pub whole: Option<BTreeSet<String>>,
    /// They are those of a restored copy: what was planted in its source is not known from them.
    pub of_a_restore: bool,
    /// Ages are taken against this; now where it is absent.
    pub reference: Option<Timestamp>,
    /// Nothing was written to the data after this: a younger stamp of a `bounded` check is no stamp of this recovery point.
    pub written_until: Option<Timestamp>,
    /// What the database calls the tables and columns of checks: `accounts`, `accounts.id`.
    pub names: BTreeMap<String, String>,
    /// Whether numbers are wanted for a manifest, of whatever there is, and compared with nothing.
    pub recording: bool,
    /// The key that canaries are digested with.
    pub hash_key: Option<HashKey>,
}

impl CheckDemands {
    /// What a manifest holds checks against.
    pub fn of_manifest(header: &Header) -> Self {
        let scope = Scope::of(header.position.as_ref());
        let closed = scope.closed.iter().flatten().filter(|(_, partitions)| partitions.is_empty()).map(|(table, _)| table.clone());
        let is_of_part = scope.watermark.is_some() || scope.closed.is_some();
        Self {
            baselines: header.baselines.clone(),
            whole: is_of_part.then(|| closed.collect()),
            of_a_restore: header.mode == CaptureMode::FirstRestore,
            ..Self::default()
        }
    }

    /// Whether the manifest has a part of this table at most.
    pub fn has_part_of(&self, table: &str) -> bool {
        self.whole.as_ref().is_some_and(|whole| !whole.contains(table))
    }
}
