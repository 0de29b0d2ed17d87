//! Which looks the isolation guard takes at each kind of thing that a drill makes: the one table that the guard is held to when it looks,
//! and `log verify` when it reads what was seen. Whether a look that is said to have held can have held, by its own two words.
//!
//! Not here: taking a look (`restore::guard`), and what nobody demanded (`verify::undemanded`).

use crate::testing_log::point_result::{ACCESS_POINT_MECHANISM, PointResult, Probe};

/// The account of whoever reads and deletes.
pub const ACCOUNT: &str = "account";
/// The account of whoever lists and restores.
pub const RESTORING_ACCOUNT: &str = "restoring-account";
/// The random name of what is to be made.
pub const NAME_PREFIX: &str = "name-prefix";
/// What is under that name.
pub const TARGET_ABSENT: &str = "target-absent";
/// Backup plans that would take it.
pub const NO_BACKUP_SELECTION: &str = "no-backup-selection";
/// The longest name that every service takes.
pub const LONGEST_NAME: usize = 63;

/// What a drill makes, as far as looks at it differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// A bucket of our own.
    Bucket,
    /// A DynamoDB table.
    Table,
    /// A database instance of RDS.
    Instance,
    /// A backup access point: nothing is made that holds data.
    AccessPoint,
    /// A directory beside AWS.
    Path,
}

impl Made {
    /// Looks that are taken before anything is made, each of which has to be there and hold.
    pub fn before(self) -> &'static [&'static str] {
        match self {
            Self::Path => &[ACCOUNT, NAME_PREFIX, TARGET_ABSENT, NO_BACKUP_SELECTION, "outside-the-vault"],
            _ => &[ACCOUNT, NAME_PREFIX, TARGET_ABSENT, NO_BACKUP_SELECTION, RESTORING_ACCOUNT],
        }
    }

    /// Looks at what was made, before anything of it is read. What `[isolation]` demands beside them has looks of its own.
    pub fn after(self) -> &'static [&'static str] {
        match self {
            Self::Bucket => &["public-access-blocked", "versioned", "tagged"],
            Self::Table => &["no-deletion-protection"],
            Self::Instance => &["not-public", "no-deletion-protection", "tagged"],
            Self::AccessPoint => &["access-point-account", "access-point-of"],
            Self::Path => &["not-public", "tagged"],
        }
    }

    /// What the case of a result makes; nothing where this version knows no such kind.
    pub fn by(result: &PointResult) -> Option<Self> {
        let mechanism = result.restore.as_ref().map(|restore| restore.mechanism.as_str());
        match (mechanism, result.rp.kind.as_str()) {
            (Some(ACCESS_POINT_MECHANISM), _) => Some(Self::AccessPoint),
            (Some(mechanism), _) if mechanism.starts_with("local:") => Some(Self::Path),
            (None, _) if result.rp.from == "local" => Some(Self::Path),
            (_, "s3") => Some(Self::Bucket),
            (_, "dynamodb") => Some(Self::Table),
            (_, kind) if kind.starts_with("rds-") => Some(Self::Instance),
            _ => None,
        }
    }
}

/// The names out of `due` that none of `probes` has.
pub fn missing<'a>(due: &[&'a str], probes: &[Probe]) -> Vec<&'a str> {
    due.iter().copied().filter(|name| !probes.iter().any(|probe| probe.name == *name)).collect()
}

/// The prefix that names have to start with, out of what a look at a name demanded.
pub fn prefix_of(expected: &str) -> &str {
    expected.split_once('…').map_or(expected, |(prefix, _)| prefix)
}

/// Whether a look that is said to have held can have held, by what was demanded and found; of a look that this version does not know, yes.
/// `own_key` is the key of the recovery point, which a restore keeps.
pub fn can_have_held(probe: &Probe, own_key: Option<&str>) -> bool {
    let Probe { name, expected, found, .. } = probe;
    match name.as_str() {
        ACCOUNT
        | RESTORING_ACCOUNT
        | "public-access-blocked"
        | "versioned"
        | "tagged"
        | "empty"
        | "vpc"
        | "parameter-group"
        | "security-groups"
        | "access-point-account"
        | "access-point-of" => found == expected,
        "subnet-group" => found.eq_ignore_ascii_case(expected),
        "kms-key" => found == expected || own_key == Some(found),
        // A directory's look is at its mode.
        "not-public" => match found.strip_prefix("mode ") {
            Some(mode) => u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o077 == 0),
            None => found == expected,
        },
        // A service need not state it.
        "no-deletion-protection" => found != "true",
        NAME_PREFIX => {
            let prefix = prefix_of(expected);
            !prefix.is_empty() && found.starts_with(prefix) && found.len() <= LONGEST_NAME
        }
        // Where the journal intends it already, it may be ours.
        TARGET_ABSENT => found == "absent" || (expected != "absent" && found.starts_with("present, created ")),
        NO_BACKUP_SELECTION => !found.starts_with("selection "),
        "server-certificate" => found == "verified",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_tells_whether_a_look_held() {
        for (name, expected, found, is) in [
            (ACCOUNT, "1", "1", true),
            (ACCOUNT, "1", "2", false),
            ("not-public", "false", "false", true),
            ("not-public", "false", "true", false),
            ("not-public", "false", "not stated", false),
            ("not-public", "readable by its owner only", "mode 700", true),
            ("not-public", "readable by its owner only", "mode 750", false),
            ("no-deletion-protection", "false", "not stated", true),
            ("no-deletion-protection", "false", "true", false),
            (NAME_PREFIX, "drill-…, at most 63 characters", "drill-c01", true),
            (NAME_PREFIX, "drill-…, at most 63 characters", "production", false),
            (NAME_PREFIX, "…, at most 63 characters", "production", false),
            ("subnet-group", "Isolated", "isolated", true),
            ("subnet-group", "isolated", "default", false),
            ("kms-key", "k", "own", true),
            ("kms-key", "k", "other", false),
            (TARGET_ABSENT, "absent", "absent", true),
            (TARGET_ABSENT, "absent", "present, created 2026-01-01T00:00:00.000Z", false),
            (TARGET_ABSENT, "absent, or made by this case", "present, created 2026-01-01T00:00:00.000Z", true),
            (NO_BACKUP_SELECTION, "none matches", "none of 3 matches", true),
            (NO_BACKUP_SELECTION, "none matches", "selection all of backup plan nightly matches", false),
            ("tomorrow's", "a", "b", true),
        ] {
            let probe = Probe { name: name.into(), expected: expected.into(), found: found.into(), held: true };
            assert_eq!(can_have_held(&probe, Some("own")), is, "{probe:?}");
        }
    }
}
