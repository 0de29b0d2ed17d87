//! Incremental capture: versions that an earlier manifest has already need not be read again, for a version never changes; a share of
//! them is read again all the same, another share each time, until all were. What is not read says when it last was.
//!
//! Only versions with an id of their own are carried over: an object without one may have been replaced.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sha2::Digest as _;

use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::verification::SignatureState;
use crate::signing::keys::SigningKey;
use crate::verify::hashing::{self, Digests};
use crate::verify::manifest::header::{ManifestKind, Rotation};
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::DigestSet;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::groups::{Broken, Group, groups};
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource};

/// The whole, in millionths.
const WHOLE_PPM: u64 = 1_000_000;

/// The earlier manifest, and which of its versions are read again.
#[derive(Clone, Debug)]
pub struct Since {
    manifest: Manifest,
    rotation: Rotation,
}

/// What is to be done about one entry of the listing.
#[derive(Debug)]
pub struct Planned {
    /// The entry.
    pub entry: Entry,
    /// The same version in the earlier manifest, with every digest that is wanted, and when its content was read.
    pub before: Option<ObjectRow>,
    /// The entry is carried over and not read.
    pub is_carried: bool,
}

impl Since {
    /// Prepares to go on from `manifest`, reading the share `reread_ppm` of what it has again. Whoever signs the new manifest must have
    /// signed the earlier one: its digests are signed again here, unread.
    pub fn prepare(manifest: Manifest, reread_ppm: u64, signer: Option<&SigningKey>) -> Result<Self, Failure> {
        let header = manifest.header();
        let what = format!("manifest {}", manifest.dir().display());
        if header.kind != ManifestKind::Objects || header.tier.is_some() || header.imported.is_some() {
            return Err(Failure::invalid(format!("{what}: expected one of objects whose content was read"))
                .hint("--since takes a manifest that `manifest create` made of the same bucket"));
        }
        let state = manifest.signature(signer.map(SigningKey::verifying_key).as_ref());
        let accepted = match signer {
            Some(_) => state == SignatureState::Verified,
            None => state != SignatureState::Bad,
        };
        if !accepted {
            let said = format!("{what}: its signature is {}, and its digests would be signed again unread", state.as_str());
            return Err(
                Failure::new(FailureKind::BadEvidence, said).hint("go on from a manifest that the same key signed, or read everything")
            );
        }
        manifest.check_parts()?;
        let rotation = match &header.since {
            Some(earlier) => Rotation {
                manifest: manifest.digest(),
                salt: earlier.salt.clone(),
                from_ppm: (earlier.from_ppm + earlier.reread_ppm) % WHOLE_PPM,
                reread_ppm,
            },
            None => {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|error| Failure::invalid(format!("no random numbers: {error}")))?;
                Rotation { manifest: manifest.digest(), salt: hex::encode(salt), from_ppm: 0, reread_ppm }
            }
        };
        Ok(Self { manifest, rotation })
    }

    /// What the new manifest's header says of it.
    pub fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Refuses a source that the earlier manifest is not of.
    pub fn check_source(&self, source: &dyn ObjectSource) -> Result<(), Failure> {
        let header = self.manifest.header();
        let what = format!("manifest {}", self.manifest.dir().display());
        if !source.has_versions() {
            return Err(Failure::invalid(format!(
                "{} has no versions: whether an object is still the same shows only when it is read",
                source.url()
            ))
            .hint("leave --since out"));
        }
        if header.source != source.url() || header.view != source.view().map(|view| view.to_string()) {
            let view = header.view.as_deref().unwrap_or("no view");
            return Err(Failure::invalid(format!("{what} is of {} ({view}), not of {}", header.source.escape_debug(), source.url()))
                .hint("--since takes a manifest of the same bucket, prefix and view"));
        }
        Ok(())
    }

    /// True where it is this version's turn to be read again. The places of versions on the circle are random and stay; the window
    /// moves on by its own width each time.
    fn is_due(&self, row: &ObjectRow) -> bool {
        let version = row.version_id.as_deref().unwrap_or_default();
        let mut hash = sha2::Sha256::new();
        for part in [self.rotation.salt.as_str(), row.key.as_str(), version] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let place = hash.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte)) % WHOLE_PPM;
        (place + WHOLE_PPM - self.rotation.from_ppm % WHOLE_PPM) % WHOLE_PPM < self.rotation.reread_ppm
    }

    /// The plan for a key: versions are matched by their ids.
    fn plan_group(&self, group: Group, wanted: DigestSet) -> Vec<Planned> {
        let captured = self.manifest.header().captured_start;
        let mut rows = group.rows;
        let plan = |entry: Entry| {
            let at = rows.iter().position(|row| is_same_version(row, &entry, wanted));
            let before = at.map(|at| rows.swap_remove(at)).map(|row| ObjectRow { last_read: row.last_read.or(Some(captured)), ..row });
            let is_carried = before.as_ref().is_some_and(|row| !self.is_due(row));
            Planned { entry, before, is_carried }
        };
        group.entries.into_iter().map(plan).collect()
    }
}

/// Whether the earlier row is of the very version that is listed, and says all that a new row would.
fn is_same_version(row: &ObjectRow, entry: &Entry, wanted: DigestSet) -> bool {
    // `null` is the id of whatever was last written without versioning.
    let has_id = entry.version_id.as_deref().is_some_and(|id| id != "null") && row.version_id == entry.version_id;
    let digested = (row.blake3.is_some() || !wanted.blake3) && (row.sha256.is_some() || !wanted.sha256);
    has_id
        && entry.kind == EntryKind::Object
        && row.kind == EntryKind::Object
        && entry.problem.is_none()
        && entry.undecided.is_none()
        && digested
        && (row.size, row.modified) == (entry.size, entry.modified)
}

/// The listing with what is to be done about each entry; without `since` everything is read.
pub fn plan<'a>(
    listing: BoxStream<'a, Result<Entry, Failure>>,
    since: Option<&Since>,
    wanted: DigestSet,
) -> BoxStream<'a, Result<Planned, Failure>> {
    let Some(since) = since.cloned() else {
        return listing.map(|entry| entry.map(|entry| Planned { entry, before: None, is_carried: false })).boxed();
    };
    let rows = since.manifest.objects();
    let rows = hashing::blocking_stream(4, move |put| {
        for row in rows {
            if !put(row) {
                return;
            }
        }
    });
    let planned = groups(rows, listing).map(move |group| match group {
        Ok(group) => since.plan_group(group, wanted).into_iter().map(Ok).collect::<Vec<_>>(),
        Err(Broken::Manifest(failure) | Broken::Listing(failure)) => vec![Err(failure)],
    });
    planned.flat_map(futures_util::stream::iter).boxed()
}

/// The row of a version that is carried over, as it is listed now.
pub fn carried(entry: Entry, before: ObjectRow) -> ObjectRow {
    ObjectRow { key: entry.key, key_escaped: entry.key_escaped, seq: entry.seq, ..before }
}

/// A version that was read again and is not what it was: a finding, for a version never changes.
pub fn changed(before: &ObjectRow, now: &Digests) -> Option<Finding> {
    let differs = |(before, now)| matches!((before, now), (Some(before), Some(now)) if before != now);
    if !differs((before.blake3, now.blake3)) && !differs((before.sha256, now.sha256)) && before.size == now.bytes {
        return None;
    }
    let text = |blake3: Option<Digest32>, sha256: Option<Digest32>, bytes: u64| match (blake3, sha256) {
        (Some(digest), _) => format!("blake3:{digest}, {bytes} bytes"),
        (None, Some(digest)) => format!("sha256:{digest}, {bytes} bytes"),
        (None, None) => format!("{bytes} bytes"),
    };
    let finding = Finding::new(Class::Mismatch, Kind::Object, Place::Key(before.key.clone()));
    Some(Finding {
        version_id: before.version_id.clone(),
        expected: Some(text(before.blake3, before.sha256, before.size)),
        actual: Some(text(now.blake3, now.sha256, now.bytes)),
        ..finding
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Timestamp;

    /// The due ones of `n` versions in each of `times` captures that follow one another.
    fn due(n: usize, reread_ppm: u64, times: u64) -> Vec<Vec<bool>> {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("m");
        let draft = crate::verify::manifest::writer::Draft {
            kind: ManifestKind::Objects,
            source: "s3://b".into(),
            captured_start: Timestamp::from_secs(1),
            mode: crate::model::capture::CaptureMode::VersionExact,
            recovery_point_id: None,
            encoding: "e".into(),
            hash_key_id: None,
            digests: vec!["blake3".into()],
            view: Some("versions".into()),
            choices: Default::default(),
        };
        let writer = crate::verify::manifest::writer::ManifestWriter::create(&out, draft).unwrap();
        writer.finish(Default::default(), None).unwrap();
        let first = Since::prepare(Manifest::open(&out).unwrap(), reread_ppm, None).unwrap();
        (0..times)
            .map(|time| {
                let from_ppm = (first.rotation.from_ppm + time * reread_ppm) % WHOLE_PPM;
                let since = Since { manifest: first.manifest.clone(), rotation: Rotation { from_ppm, ..first.rotation.clone() } };
                (0..n)
                    .map(|n| since.is_due(&ObjectRow { version_id: Some(format!("v{n}")), ..ObjectRow::object(format!("k{}", n / 3), 1) }))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn every_version_is_read_again_once_a_round_and_a_share_each_time() {
        let rounds = due(2000, 50_000, 20);
        for n in 0..2000 {
            assert_eq!(rounds.iter().filter(|due| due[n]).count(), 1, "version {n}");
        }
        for due in &rounds {
            let share = due.iter().filter(|due| **due).count();
            assert!((40..=170).contains(&share), "{share} of 2000 at 5 %");
        }
        assert!(due(50, WHOLE_PPM, 1)[0].iter().all(|due| *due), "all of them at 100 %");
        assert!(!due(50, 0, 1)[0].iter().any(|due| *due), "none at 0 %");
    }
}
