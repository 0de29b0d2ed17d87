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
    /// The tables that the manifest has a part of: it counts the rows of that part, and what was summed up of all may have grown.
    pub in_part: BTreeSet<String>,
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
        let until = scope.watermark.into_iter().flat_map(|watermark| watermark.values.into_keys());
        let of_partitions = scope.closed.into_iter().flatten().filter(|(_, partitions)| !partitions.is_empty()).map(|(table, _)| table);
        Self {
            baselines: header.baselines.clone(),
            in_part: until.chain(of_partitions).collect(),
            of_a_restore: header.mode == CaptureMode::FirstRestore,
            ..Self::default()
        }
    }

    /// Whether the manifest has a part only of this table, or of the table of this column.
    pub fn has_part_of(&self, subject: &str) -> bool {
        let is_its = |table: &String| subject.strip_prefix(table.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.in_part.iter().any(is_its)
    }
}
