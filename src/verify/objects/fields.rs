//! Which evidence beside the bytes is compared, and the comparison of each.
//!
//! Metadata, tags, ETag, storage class and S3's checksum belong to the object; retention, legal hold, encryption and replication protect
//! it, and are a verdict of their own: a copy may be right and unprotected.
//!
//! Not here: the bytes.

use std::fmt;
use std::str::FromStr;

use crate::model::failure::Failure;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::evidence::{Evidence, NO_LOCK};
use crate::verify::objects::source::S3Checksum;

/// One kind of evidence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Field {
    /// User and system metadata.
    Metadata,
    /// Tags.
    Tags,
    /// The entity tag: the MD5 of the bytes only where neither parts nor keys of KMS or of one's own were used.
    Etag,
    /// The storage class.
    StorageClass,
    /// The checksum that S3 keeps, where algorithm and type agree.
    Checksum,
    /// Object Lock retention: at least as strong as it was.
    Lock,
    /// Legal hold.
    Hold,
    /// Mode and key of server-side encryption.
    Encryption,
    /// The status of replication.
    Replication,
}

impl Field {
    /// Every field, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Metadata,
        Self::Tags,
        Self::Etag,
        Self::StorageClass,
        Self::Checksum,
        Self::Lock,
        Self::Hold,
        Self::Encryption,
        Self::Replication,
    ];

    /// The spelling in `--compare`, in manifests and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Tags => "tags",
            Self::Etag => "etag",
            Self::StorageClass => "storage-class",
            Self::Checksum => "checksum",
            Self::Lock => "lock",
            Self::Hold => "hold",
            Self::Encryption => "encryption",
            Self::Replication => "replication",
        }
    }

    /// True for what protects an object and is no part of it.
    pub fn is_protection(self) -> bool {
        matches!(self, Self::Lock | Self::Hold | Self::Encryption | Self::Replication)
    }
}

/// A set of fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FieldSet(u16);

impl FieldSet {
    /// None: bytes alone.
    pub const NONE: Self = Self(0);

    /// What is compared where nobody chose: metadata and tags; protection only in the bucket that was captured, for a restored copy is
    /// neither locked nor encrypted like its source.
    pub fn usual(same_bucket: bool) -> Self {
        let own = [Field::Metadata, Field::Tags];
        let protection = [Field::Lock, Field::Hold, Field::Encryption];
        own.into_iter().chain(protection.into_iter().filter(|_| same_bucket)).collect()
    }

    /// Whether `field` is in it.
    pub fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u16) != 0
    }

    /// Its fields.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.has(*field))
    }

    /// True for none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names for a manifest's header: `none` where nothing is compared.
    pub fn names(self) -> Vec<String> {
        if self.is_empty() { vec!["none".into()] } else { self.fields().map(|field| field.as_str().to_owned()).collect() }
    }

    /// The set that a manifest's header names; nothing where it names none.
    pub fn of_header(names: &[String]) -> Result<Option<Self>, Failure> {
        if names.is_empty() {
            return Ok(None);
        }
        let set = names.join(",").parse().map_err(|error| Failure::invalid(format!("the manifest's `compare`: {error}")))?;
        Ok(Some(set))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().fold(0, |set, field| set | 1 << field as u16))
    }
}

impl fmt::Display for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl FromStr for FieldSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut set = Self::NONE;
        for name in text.split(',').map(str::trim) {
            let found = match name {
                "none" => continue,
                "all" => Self::from_iter(Field::ALL),
                "protection" => Field::ALL.into_iter().filter(|field| field.is_protection()).collect(),
                _ => match Field::ALL.into_iter().find(|field| field.as_str() == name) {
                    Some(field) => Self::from_iter([field]),
                    None => {
                        let known: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
                        return Err(format!(
                            "unknown field `{name}`; expected `none`, `all`, `protection` or some of {}",
                            known.join(", ")
                        ));
                    }
                },
            };
            set = Self(set.0 | found.0);
        }
        Ok(set)
    }
}

/// How one field compares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Compared {
    /// Equal, or for retention at least as strong.
    Equal,
    /// Expected and found.
    Different(String, String),
    /// The manifest knows it, and the source would not say.
    Unseen,
    /// The manifest does not know it, so nothing was expected.
    Unexpected,
}

/// Compares `field` of a row with what was found.
pub fn compare(field: Field, row: &ObjectRow, found: &Evidence, checksum: Option<&S3Checksum>) -> Compared {
    let Some(expected) = row.evidence.as_deref() else { return Compared::Unexpected };
    let text = |value: &Option<String>| value.clone();
    let digest = |value: Option<crate::model::digest::Digest32>| value.map(|digest| format!("sha256:{digest}"));
    let pair = match field {
        Field::Metadata => (digest(expected.metadata), digest(found.metadata)),
        Field::Tags => (digest(expected.tags), digest(found.tags)),
        Field::Etag => (text(&expected.etag), text(&found.etag)),
        Field::StorageClass => (text(&expected.storage_class), text(&found.storage_class)),
        Field::Checksum => checksums(row.s3_checksum.as_ref(), checksum),
        Field::Lock => return locks(expected, found),
        Field::Hold => (expected.legal_hold.map(|on| on.to_string()), found.legal_hold.map(|on| on.to_string())),
        Field::Encryption => (encryption(expected), encryption(found)),
        // No status is a status: no rule applies.
        Field::Replication => {
            let status = |evidence: &Evidence| Some(evidence.replication.clone().unwrap_or_else(|| "none".into()));
            (status(expected), status(found))
        }
    };
    match pair {
        (None, _) => Compared::Unexpected,
        (Some(_), None) => Compared::Unseen,
        (Some(expected), Some(found)) if expected == found => Compared::Equal,
        (Some(expected), Some(found)) => Compared::Different(expected, found),
    }
}

/// Checksums of another algorithm or type say nothing about each other.
fn checksums(expected: Option<&S3Checksum>, found: Option<&S3Checksum>) -> (Option<String>, Option<String>) {
    let spell = |checksum: &S3Checksum| format!("{} {} {}", checksum.algorithm, checksum.kind, checksum.value);
    let comparable = expected.zip(found).is_none_or(|(a, b)| (&a.algorithm, &a.kind) == (&b.algorithm, &b.kind));
    (expected.map(spell), found.filter(|_| comparable).map(spell))
}

fn encryption(evidence: &Evidence) -> Option<String> {
    let mode = evidence.encryption.as_deref()?;
    Some(evidence.encryption_key.as_deref().map_or_else(|| mode.to_owned(), |key| format!("{mode} {key}")))
}

fn locks(expected: &Evidence, found: &Evidence) -> Compared {
    let strength = |mode: &str| ["GOVERNANCE", "COMPLIANCE"].iter().position(|known| *known == mode).map_or(0, |rank| rank + 1);
    let spell = |mode: &str, evidence: &Evidence| match evidence.lock_until.filter(|_| mode != NO_LOCK) {
        Some(until) => format!("{mode} until {until}"),
        None => mode.to_owned(),
    };
    match (expected.lock_mode.as_deref(), found.lock_mode.as_deref()) {
        (None, _) => Compared::Unexpected,
        (Some(_), None) => Compared::Unseen,
        (Some(a), Some(b)) if strength(b) >= strength(a) && found.lock_until >= expected.lock_until => Compared::Equal,
        (Some(a), Some(b)) => Compared::Different(spell(a, expected), spell(b, found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Timestamp;
    use crate::verify::objects::source::EntryKind;

    fn row(evidence: Evidence) -> ObjectRow {
        ObjectRow {
            key: "k".into(),
            key_escaped: false,
            seq: 0,
            version_id: None,
            kind: EntryKind::Object,
            size: 0,
            modified: None,
            blake3: None,
            sha256: None,
            s3_checksum: None,
            evidence: Some(Box::new(evidence)),
            last_read: None,
        }
    }

    #[test]
    fn sets_are_read_as_they_are_spelled() {
        let set: FieldSet = "tags, metadata,lock".parse().unwrap();
        assert_eq!(set.to_string(), "metadata,tags,lock");
        assert_eq!("none".parse::<FieldSet>().unwrap(), FieldSet::NONE);
        assert_eq!("all".parse::<FieldSet>().unwrap().fields().count(), Field::ALL.len());
        assert!("tag".parse::<FieldSet>().unwrap_err().contains("`tag`"));
        assert_eq!(FieldSet::of_header(&FieldSet::NONE.names()).unwrap(), Some(FieldSet::NONE));
        assert_eq!(FieldSet::of_header(&[]).unwrap(), None);
        assert!(!FieldSet::usual(false).fields().any(Field::is_protection));
    }

    #[test]
    fn a_retention_may_grow_and_not_shrink_and_what_is_not_seen_is_no_match() {
        let lock = |mode: Option<&str>, until: Option<i64>| Evidence {
            lock_mode: mode.map(str::to_owned),
            lock_until: until.map(Timestamp::from_secs),
            ..Evidence::default()
        };
        let expected = row(lock(Some("GOVERNANCE"), Some(100)));
        let found = |mode, until| compare(Field::Lock, &expected, &lock(mode, until), None);
        assert_eq!(found(Some("GOVERNANCE"), Some(100)), Compared::Equal);
        assert_eq!(found(Some("COMPLIANCE"), Some(200)), Compared::Equal);
        assert!(matches!(found(Some("GOVERNANCE"), Some(99)), Compared::Different(..)));
        assert!(matches!(found(Some(NO_LOCK), None), Compared::Different(..)));
        assert_eq!(found(None, None), Compared::Unseen);
        assert_eq!(compare(Field::Hold, &expected, &Evidence::default(), None), Compared::Unexpected);
    }

    #[test]
    fn checksums_of_different_kinds_say_nothing_of_each_other() {
        let sum =
            |algorithm: &str, value: &str| S3Checksum { algorithm: algorithm.into(), kind: "FULL_OBJECT".into(), value: value.into() };
        let mut expected = row(Evidence::default());
        expected.s3_checksum = Some(sum("SHA256", "a"));
        let found = |checksum: S3Checksum| compare(Field::Checksum, &expected, &Evidence::default(), Some(&checksum));
        assert_eq!(found(sum("SHA256", "a")), Compared::Equal);
        assert!(matches!(found(sum("SHA256", "b")), Compared::Different(..)));
        assert_eq!(found(sum("CRC32", "b")), Compared::Unseen);
    }
}
