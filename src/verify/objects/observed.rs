//! What others have computed of objects at rest, held against a manifest: completion reports of S3 Batch Operations' *Compute checksum*.
//!
//! S3 reads the bytes where they lie, archived ones too, and reports a checksum of each object. Where that is the SHA-256 of the whole
//! object it is compared with the manifest's own; where it is of the algorithm and type that S3 stated at capture, with that.
//! It is S3's word and not our reading: at most `pass_with_exception`, and what the report does not name was not observed.
//!
//! Columns: Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage (S3 user guide, "Examples: S3 Batch Operations
//! completion reports"); the key is URL-encoded, the message is JSON.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::verification::{LesserTier, Verification};
use crate::monitor::{Event, Monitor};
use crate::verify::manifest::exchange::sorted::{RUN_BYTES, RowSorter};
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::keys::csv::Records;
use crate::verify::objects::source::{EntryKind, S3Checksum};

/// What a full match does not prove.
const DOES_NOT_PROVE: &[&str] = &[
    "no byte was read here: S3 computed the checksums itself, at the time of its job",
    "that the objects can be read by anyone else than S3",
];

/// The algorithm under which a failed task is sorted among the others; its value is what the report says of the failure.
const FAILED: &str = "failed";

/// The message of a task that went well.
#[derive(Deserialize)]
struct Computed {
    checksum_base64: String,
    #[serde(rename = "checksumAlgorithm")]
    algorithm: String,
    #[serde(rename = "checksumType")]
    kind: String,
}

/// What was observed, and how many of the manifest's objects no report names.
#[derive(Debug)]
pub struct Observed {
    /// The comparison of those that are named.
    pub verification: Verification,
    /// Objects of the manifest that no report names: nothing was observed of them.
    pub unobserved: u64,
}

/// Holds the reports at `paths` against `manifest`; differences go to `monitor`.
pub fn compare(manifest: &Manifest, bucket: Option<&str>, paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Observed, Failure> {
    let header = manifest.header();
    if header.kind != ManifestKind::Objects {
        return Err(Failure::invalid(format!(
            "manifest {} is of kind {}: reports are of objects",
            manifest.dir().display(),
            header.kind.as_str()
        )));
    }
    let mut sorter = RowSorter::new(by_version, RUN_BYTES);
    for path in paths {
        read(path, bucket, &mut |row| sorter.push(row))?;
    }
    let mut observations = sorter.finish()?.peekable();
    let mut verification = Verification::empty(header.mode);
    let (mut counts, mut unobserved) = (crate::model::counts::Counts::default(), 0);
    let mut rows = manifest.objects().peekable();
    while let Some(first) = rows.next().transpose()? {
        let mut versions = vec![first];
        while let Some(Ok(next)) = rows.peek()
            && next.key == versions[0].key
        {
            versions.extend(rows.next().transpose()?);
        }
        let mut of_key: HashMap<Option<String>, ObjectRow> = HashMap::new();
        while let Some(next) = observations.peek() {
            match next {
                Ok(next) if next.key.as_bytes() > versions[0].key.as_bytes() => break,
                _ => {}
            }
            let Some(row) = observations.next().transpose()? else { break };
            // What only the report names was not in the bucket at capture, or is of another prefix: no difference of what is compared.
            if row.key == versions[0].key {
                of_key.insert(row.version_id.clone(), row);
            }
        }
        let newest = versions.len() - 1;
        for (index, row) in versions.iter().enumerate().filter(|(_, row)| row.kind == EntryKind::Object) {
            let found = of_key.remove(&row.version_id).or_else(|| if index == newest { of_key.remove(&None) } else { None });
            match found {
                None => unobserved += 1,
                Some(found) => {
                    let (class, values) = judge(row, &found);
                    counts.add(class);
                    if class != Class::Match {
                        let finding = Finding::new(class, Kind::Object, Place::Key(row.key.clone()));
                        let (expected, actual) = (Some(values.0), Some(values.1));
                        monitor.event(Event::Finding(&Finding { version_id: row.version_id.clone(), expected, actual, ..finding }));
                    }
                }
            }
        }
    }
    verification.objects = Some(counts);
    verification.lesser_tier = Some(LesserTier { name: "observed", does_not_prove: DOES_NOT_PROVE });
    Ok(Observed { verification, unobserved })
}

fn by_version(a: &ObjectRow, b: &ObjectRow) -> Ordering {
    a.key.as_bytes().cmp(b.key.as_bytes()).then(a.version_id.cmp(&b.version_id))
}

/// How one observation compares. A task that failed has no checksum: the object was not read, which is no mismatch.
fn judge(row: &ObjectRow, found: &ObjectRow) -> (Class, (String, String)) {
    let spell = |checksum: &S3Checksum| format!("{} {} {}", checksum.algorithm, checksum.kind, checksum.value);
    let computed = match &found.s3_checksum {
        Some(computed) if computed.algorithm != FAILED => computed,
        failed => {
            let said = failed.as_ref().map_or("", |failed| &failed.value);
            return (Class::Unreadable, ("a checksum".into(), format!("the job's task failed: {said}")));
        }
    };
    let whole_sha256 = computed.algorithm == "SHA256" && computed.kind == "FULL_OBJECT";
    let expected = match (row.sha256, &row.s3_checksum) {
        (Some(digest), _) if whole_sha256 => format!("SHA256 FULL_OBJECT {}", STANDARD.encode(digest.0)),
        (_, Some(stated)) if (&stated.algorithm, &stated.kind) == (&computed.algorithm, &computed.kind) => spell(stated),
        _ => return (Class::Indeterminate, ("no checksum of that algorithm and type".into(), spell(computed))),
    };
    let actual = spell(computed);
    (if expected == actual { Class::Match } else { Class::Mismatch }, (expected, actual))
}

/// The rows of one report, as object rows that carry only the checksum.
fn read(path: &Path, bucket: Option<&str>, put: &mut dyn FnMut(ObjectRow) -> Result<(), Failure>) -> Result<(), Failure> {
    let about = |said: String| Failure::new(FailureKind::Invalid, format!("the report {}: {said}", path.display()));
    let file = File::open(path).map_err(|error| about(error.to_string()))?;
    let mut records = Records::new(BufReader::new(file));
    while let Some(record) = records.next_record().map_err(about)? {
        let row = observation(&record, bucket).map_err(about)?;
        if let Some(row) = row {
            put(row)?;
        }
    }
    Ok(())
}

fn observation(record: &[String], bucket: Option<&str>) -> Result<Option<ObjectRow>, String> {
    let [of, key, version, status, code, http_status, message] = record else {
        return Err(format!("expected 7 columns, found {}: is it the CSV of a completion report?", record.len()));
    };
    if bucket.is_some_and(|bucket| bucket != of) {
        return Ok(None);
    }
    let key = percent_encoding::percent_decode_str(&key.replace('+', " ")).decode_utf8().map(|key| key.into_owned());
    let key = key.map_err(|_| "a key that is not URL-encoded UTF-8".to_owned())?;
    let checksum = match status.as_str() {
        "succeeded" => {
            let computed: Computed = serde_json::from_str(message)
                .map_err(|error| format!("`{}`: the message of its task is no checksum: {error}", key.escape_default()))?;
            S3Checksum { algorithm: computed.algorithm, kind: computed.kind, value: computed.checksum_base64 }
        }
        "failed" => {
            let said = [code, http_status, message].map(|text| text.trim()).into_iter().filter(|text| !text.is_empty());
            let value = said.collect::<Vec<_>>().join(", ").escape_default().to_string();
            S3Checksum { algorithm: FAILED.into(), kind: FAILED.into(), value }
        }
        other => return Err(format!("`{}`: unknown status {}", key.escape_default(), other.escape_default())),
    };
    let version_id = Some(version.clone()).filter(|version| !version.is_empty());
    Ok(Some(ObjectRow { version_id, s3_checksum: Some(checksum), ..ObjectRow::object(key, 0) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::capture::CaptureMode;
    use crate::model::clock::Timestamp;
    use crate::model::digest::Digest32;
    use crate::model::outcome::Outcome;
    use crate::monitor::Collected;
    use crate::verify::manifest::writer::{Draft, Finish, ManifestWriter};

    fn manifest(dir: &Path) -> Manifest {
        let draft = Draft {
            kind: ManifestKind::Objects,
            source: "s3://vault".into(),
            captured_start: Timestamp(0),
            mode: CaptureMode::VersionExact,
            recovery_point_id: None,
            encoding: "attestore/objects/v1-draft".into(),
            hash_key_id: None,
            digests: vec!["sha256".into()],
            view: None,
            choices: Default::default(),
        };
        let out = dir.join("m");
        let mut writer = ManifestWriter::create(&out, draft).unwrap();
        for (key, seq, id) in [("a b", 0, "v0"), ("a b", 1, "v1"), ("c", 0, "v2"), ("d", 0, "v3")] {
            let sha256 = Some(Digest32::sha256(id.as_bytes()));
            let row = ObjectRow { seq, version_id: Some(id.into()), sha256, ..ObjectRow::object(key, 2) };
            writer.push_object(&row).unwrap();
        }
        writer.finish(Finish::default(), None).unwrap();
        Manifest::open(&out).unwrap()
    }

    fn line(key: &str, version: &str, content: &str) -> String {
        let value = STANDARD.encode(Digest32::sha256(content.as_bytes()).0);
        let message = format!(r#"{{""checksum_base64"":""{value}"",""checksumAlgorithm"":""SHA256"",""checksumType"":""FULL_OBJECT""}}"#);
        format!("vault,{key},{version},succeeded,,200,\"{message}\"\n")
    }

    #[test]
    fn what_s3_computed_is_held_against_the_manifest_and_never_a_plain_pass() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = manifest(dir.path());
        let report = dir.path().join("report.csv");
        let observed = |text: &str| {
            std::fs::write(&report, text).unwrap();
            let monitor = Collected::default();
            let observed = compare(&manifest, Some("vault"), std::slice::from_ref(&report), &monitor).unwrap();
            let found: Vec<(Class, Option<String>)> = monitor.findings().into_iter().map(|one| (one.class, one.version_id)).collect();
            let failed = monitor.findings().into_iter().filter(|one| one.class == Class::Unreadable);
            assert!(failed.filter_map(|one| one.actual).all(|said| said.ends_with("403, AccessDenied")), "a failure is told with its code");
            (observed, found)
        };
        // Any order, keys encoded, a version that nobody captured, the newest where no version is named.
        let whole =
            [line("d", "", "v3"), line("c", "v2", "v2"), line("a+b", "v1", "v1"), line("a%20b", "v0", "v0"), line("b", "x", "x")].concat();
        let (result, found) = observed(&whole);
        assert_eq!((found.len(), result.unobserved, result.verification.objects.unwrap().matched), (0, 0, 4));
        assert_eq!(result.verification.outcome(0).0, Outcome::PassWithException);
        let (result, found) = observed(&[line("c", "v2", "other"), "vault,a+b,v0,failed,403,403,AccessDenied\n".into()].concat());
        assert_eq!(found, [(Class::Unreadable, Some("v0".into())), (Class::Mismatch, Some("v2".into()))]);
        assert_eq!((result.unobserved, result.verification.outcome(0).0), (2, Outcome::Fail));
        let crc = line("c", "v2", "v2").replace("SHA256", "CRC32");
        assert_eq!(observed(&crc).1, [(Class::Indeterminate, Some("v2".into()))]);
        // Nothing observed proves nothing.
        assert_eq!(observed("").0.verification.outcome(0).0, Outcome::Inconclusive);
        std::fs::write(&report, "vault,c\n").unwrap();
        let failure = compare(&manifest, None, std::slice::from_ref(&report), &Collected::default()).unwrap_err();
        assert!(failure.message.contains("7 columns"), "{failure}");
    }

    proptest! {
        #[test]
        fn any_record_is_an_observation_or_a_mistake(record in prop::collection::vec(any::<String>(), 0..9)) {
            let _ = observation(&record, None);
        }
    }
}
