//! What checks are held against: the manifest's baselines, the time, the names that a configuration gives, the key of canaries.

use std::collections::BTreeMap;

use crate::model::clock::Timestamp;
use crate::signing::hash_key::HashKey;

/// See each field; the default demands nothing and takes ages against now.
#[derive(Clone, Debug, Default)]
pub struct CheckDemands {
    /// The manifest's baselines: `rows.TABLE`, or a check's id.
    pub baselines: BTreeMap<String, String>,
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
