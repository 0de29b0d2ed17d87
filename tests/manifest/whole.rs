//! Manifests as files: what is written is read back, whatever the keys; and no damage to any of its files goes unnoticed.
//!
//! Contents: round trips (objects with hostile keys, leaves, sidecars, rolled parts), an unfinished manifest, damage by place,
//! foreign versions and columns, signatures, random bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::digest::Digest32;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::verification::SignatureState;
use attestore::signing::keys::SigningKey;
use attestore::signing::merkle;
use attestore::verify::manifest::header::{Header, ManifestKind};
use attestore::verify::manifest::parts::PartLimits;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::row::{LeafKind, LeafRow, ObjectRow, Row, SidecarRow, SidecarRun};
use attestore::verify::manifest::writer::{Choices, Draft, Finish, ManifestWriter};
use attestore::verify::objects::evidence::Evidence;
use attestore::verify::objects::source::{EntryKind, S3Checksum};
use proptest::prelude::*;

fn draft(kind: ManifestKind) -> Draft {
    Draft {
        kind,
        source: "dir:/x".into(),
        captured_start: Timestamp::from_secs(1),
        mode: CaptureMode::Sealed,
        recovery_point_id: None,
        encoding: "attestore/objects/v1-draft".into(),
        hash_key_id: None,
        digests: vec!["blake3".into()],
        view: None,
        choices: Choices::default(),
    }
}

fn row(key: &str, seq: u32) -> ObjectRow {
    ObjectRow {
        key: key.into(),
        key_escaped: false,
        seq,
        version_id: None,
        kind: EntryKind::Object,
        size: 3,
        modified: None,
        blake3: Some(Digest32::blake3(format!("{key} {seq}").as_bytes())),
        sha256: None,
        s3_checksum: None,
        evidence: None,
        last_read: None,
    }
}

fn write(dir: &Path, rows: &[ObjectRow], limits: PartLimits, key: Option<&SigningKey>) -> Header {
    let mut writer = ManifestWriter::create_with_limits(dir, draft(ManifestKind::Objects), limits).unwrap();
    for row in rows {
        writer.push_object(row).unwrap();
    }
    writer.finish(Finish::default(), key.map(|key| ("test.example/log", key))).unwrap()
}

fn read(dir: &Path) -> Result<Vec<ObjectRow>, Failure> {
    let manifest = Manifest::open(dir)?;
    manifest.check_parts()?;
    manifest.objects().collect()
}

const SMALL: PartLimits = PartLimits { rows: 7, bytes: u64::MAX };

fn key_strategy() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>().prop_map(|text| text.chars().take(200).collect::<String>()),
        2 => prop::collection::vec(prop_oneof![Just("a"), Just("/"), Just(".."), Just("\n"), Just(" "), Just("+"), Just("%2F"), Just("\u{1}"), Just("\u{10ffff}"), Just("é")], 0..12).prop_map(|parts| parts.concat()),
        1 => Just("k".repeat(1024)),
        1 => Just("/leading".to_owned()),
    ]
}

fn row_strategy() -> impl Strategy<Value = ObjectRow> {
    let checksum = ("[A-Z0-9]{1,9}", any::<bool>(), "[a-z0-9=+/]{0,20}").prop_map(|(algorithm, full, value)| S3Checksum {
        algorithm,
        kind: if full { "FULL_OBJECT" } else { "COMPOSITE" }.into(),
        value,
    });
    let digest = || prop::option::of(any::<[u8; 32]>().prop_map(Digest32));
    let kind = prop_oneof![Just(EntryKind::Object), Just(EntryKind::DeleteMarker), Just(EntryKind::Symlink)];
    let times = prop::option::of((-(1i64 << 52)..(1i64 << 52)).prop_map(Timestamp));
    (
        key_strategy(),
        any::<bool>(),
        0u32..4,
        prop::option::of(any::<String>()),
        kind,
        0u64..1 << 53,
        times,
        digest(),
        digest(),
        (prop::option::of(checksum), evidence_strategy(), prop::option::of((0i64..(1i64 << 52)).prop_map(Timestamp))),
    )
        .prop_map(|(key, key_escaped, seq, version_id, kind, size, modified, blake3, sha256, (s3_checksum, evidence, last_read))| {
            ObjectRow { key, key_escaped, seq, version_id, kind, size, modified, blake3, sha256, s3_checksum, evidence, last_read }
        })
}

fn evidence_strategy() -> impl Strategy<Value = Option<Box<Evidence>>> {
    let text = || prop::option::of("[ -~]{0,12}");
    let digest = || prop::option::of(any::<[u8; 32]>().prop_map(Digest32));
    let until = prop::option::of((0i64..(1i64 << 52)).prop_map(Timestamp));
    let held = prop::option::of(any::<bool>());
    (text(), text(), digest(), digest(), text(), until, held, (text(), text(), text())).prop_map(
        |(etag, storage_class, metadata, tags, lock_mode, lock_until, legal_hold, (encryption, encryption_key, replication))| {
            let evidence = Evidence {
                etag,
                storage_class,
                metadata,
                tags,
                lock_mode,
                lock_until,
                legal_hold,
                encryption,
                encryption_key,
                replication,
            };
            (evidence != Evidence::default()).then(|| Box::new(evidence))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(mut rows in prop::collection::vec(row_strategy(), 0..60)) {
        rows.sort_by(Row::order);
        rows.dedup_by(|a, b| a.order(b).is_eq());
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("m");
        let header = write(&out, &rows, PartLimits { rows: 25, bytes: u64::MAX }, None);
        prop_assert_eq!(read(&out).unwrap(), rows.clone());
        let leaves: Vec<Digest32> = rows.iter().map(|row| { let mut leaf = Vec::new(); row.leaf(&mut leaf); merkle::leaf_hash(&leaf) }).collect();
        prop_assert_eq!(header.root, merkle::root_of(&leaves));
        prop_assert_eq!(header.parts.len(), rows.len().div_ceil(25));
    }

    #[test]
    fn random_bytes_as_a_header_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Header::from_bytes(&bytes, "manifest.json");
    }

    #[test]
    fn a_header_with_changed_bytes_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("m");
        let mut bytes = write(&out, &[row("a", 0), row("b", 0)], SMALL, None).to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        std::fs::write(out.join("manifest.json"), &bytes).unwrap();
        let _ = read(&out);
    }

    /// The header is made to name the damaged bytes, so that they reach the decoder.
    #[test]
    fn damaged_parquet_never_panics(seed in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in prop::option::of(any::<prop::sample::Index>())) {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("m");
        let rows: Vec<ObjectRow> = (0..50).map(|n| row(&format!("key {n:03}"), 0)).collect();
        let mut header = write(&out, &rows, PartLimits::default(), None);
        let part = out.join("part-00000.parquet");
        let mut bytes = std::fs::read(&part).unwrap();
        for (at, byte) in seed {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&part, &bytes).unwrap();
        header.parts[0].sha256 = Digest32::sha256(&bytes);
        std::fs::write(out.join("manifest.json"), header.to_bytes().unwrap()).unwrap();
        match read(&out) {
            Ok(read) => prop_assert_eq!(read, rows, "the root lets nothing else pass"),
            Err(failure) => prop_assert_eq!(failure.kind, FailureKind::BadEvidence),
        }
    }
}

#[test]
fn leaves_and_sidecar_round_trip_in_any_interleaving() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/er/m");
    let limits = PartLimits { rows: 3, bytes: u64::MAX };
    let mut writer = ManifestWriter::create_with_limits(&out, draft(ManifestKind::TableSet), limits).unwrap();
    let mut leaves = Vec::new();
    let mut sidecar = Vec::new();
    for table in ["accounts", "ledger\n2"] {
        for (kind, seq) in [(LeafKind::Bucket, 0), (LeafKind::Bucket, 1), (LeafKind::Schema, 0)] {
            let leaf = LeafRow { key: table.into(), kind, seq, rows: 5, digest: [seq as u8; 32], bits: 1 };
            writer.push_leaf(&leaf).unwrap();
            leaves.push(leaf);
            // Two rows of a table without a primary key may hash alike.
            for row_hash in [9, 3] {
                let row =
                    SidecarRow { key: table.into(), key_hash: [kind as u8 * 2 + seq as u8; 8], row_hash: [row_hash; 8], expires_s: None };
                writer.push_sidecar(&row).unwrap();
                sidecar.push(row);
            }
        }
    }
    let header = writer.finish(Finish::default(), None).unwrap();
    assert_eq!(header.parts.iter().filter(|part| part.is_sidecar()).count(), 4);
    let manifest = Manifest::open(&out).unwrap();
    manifest.check_parts().unwrap();
    assert_eq!(manifest.leaves().collect::<Result<Vec<_>, _>>().unwrap(), leaves);
    assert_eq!(manifest.sidecar().collect::<Result<Vec<_>, _>>().unwrap(), sidecar);
    assert!(manifest.objects().next().unwrap().is_err(), "a table-set has no objects");
}

/// Row groups have 131,072 rows, parts here 300,000: runs that end in the middle of both, and groups of one table and of two.
#[test]
fn runs_of_the_sidecar_make_the_files_that_its_rows_make() {
    let dir = tempfile::tempdir().unwrap();
    let limits = PartLimits { rows: 300_000, bytes: u64::MAX };
    let create = |name: &str| ManifestWriter::create_with_limits(&dir.path().join(name), draft(ManifestKind::TableSet), limits).unwrap();
    let (mut one_by_one, mut in_runs) = (create("rows"), create("runs"));
    for (table, rows, run) in [("a", 290_000u64, 16_384), ("b", 70_000, 1_000), ("c", 0, 1), ("d", 1, 1)] {
        let key_hashes: Vec<[u8; 8]> = (0..rows).map(|n| (n / 2).to_be_bytes()).collect();
        let row_hashes: Vec<[u8; 8]> = (0..rows).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).collect();
        for (key_hash, row_hash) in key_hashes.iter().zip(&row_hashes) {
            let row = SidecarRow { key: table.into(), key_hash: *key_hash, row_hash: *row_hash, expires_s: None };
            one_by_one.push_sidecar(&row).unwrap();
        }
        for (key_hashes, row_hashes) in key_hashes.chunks(run).zip(row_hashes.chunks(run)) {
            in_runs.push_sidecar_run(SidecarRun { key: table, key_hashes, row_hashes }).unwrap();
        }
    }
    let [rows, runs] = [one_by_one, in_runs].map(|writer| writer.finish(Finish::default(), None).unwrap());
    assert_eq!(rows.parts, runs.parts);
    assert_eq!(rows.parts.len(), 2);
    let manifest = Manifest::open(&dir.path().join("runs")).unwrap();
    let tables: Vec<String> = manifest.sidecar().map(|row| row.unwrap().key).collect();
    assert!(tables.len() == 360_001 && tables.is_sorted());
    let mut writer = create("disorder");
    let mut push = |key, key_hashes| writer.push_sidecar_run(SidecarRun { key, key_hashes, row_hashes: &[[0; 8], [0; 8]] });
    push("b", &[[1; 8], [2; 8]]).unwrap();
    assert_eq!(push("b", &[[3; 8], [2; 8]]).unwrap_err().kind, FailureKind::Remote);
    assert_eq!(push("b", &[[1; 8], [2; 8]]).unwrap_err().kind, FailureKind::Remote);
    assert_eq!(push("a", &[[3; 8], [4; 8]]).unwrap_err().kind, FailureKind::Remote);
    assert_eq!(push("b", &[[3; 8]]).unwrap_err().kind, FailureKind::Remote);
    push("b", &[[2; 8], [3; 8]]).unwrap();
}

#[test]
fn rows_out_of_order_and_repeated_are_refused_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m");
    for second in [row("b", 0), row("a", 9)] {
        let mut writer = ManifestWriter::create(&out, draft(ManifestKind::Objects)).unwrap();
        writer.push_object(&row("b", 0)).unwrap();
        assert!(writer.push_object(&second).is_err());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the temporary directory went with its writer");
    write(&out, &[row("a", 0)], SMALL, None);
    let error = ManifestWriter::create(&out, draft(ManifestKind::Objects)).err().unwrap();
    assert_eq!(error.kind, FailureKind::Invalid);
    assert!(error.hint.is_some() && error.message.contains("exists already"));
}

/// Every damage to every file, and what it must be called.
#[test]
fn damage_to_parts_is_bad_evidence_that_names_the_part() {
    type Damage = fn(&Path);
    let parts = |dir: &Path| -> Vec<PathBuf> {
        let names: BTreeSet<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "parquet")).collect()
    };
    assert_eq!(parts(Path::new("src")).len(), 0);
    let damages: [(&str, &str, Damage); 6] = [
        ("truncated", "part-00001", |dir| {
            let file = std::fs::File::options().write(true).open(dir.join("part-00001.parquet")).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("a bit flipped", "part-00000", |dir| {
            let path = dir.join("part-00000.parquet");
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("swapped", "part-00000", |dir| {
            std::fs::rename(dir.join("part-00000.parquet"), dir.join("x")).unwrap();
            std::fs::rename(dir.join("part-00001.parquet"), dir.join("part-00000.parquet")).unwrap();
            std::fs::rename(dir.join("x"), dir.join("part-00001.parquet")).unwrap();
        }),
        ("missing", "part-00002", |dir| std::fs::remove_file(dir.join("part-00002.parquet")).unwrap()),
        ("emptied", "part-00002", |dir| std::fs::write(dir.join("part-00002.parquet"), b"").unwrap()),
        ("surplus", "part-00099", |dir| {
            std::fs::copy(dir.join("part-00000.parquet"), dir.join("part-00099.parquet")).unwrap();
        }),
    ];
    let rows: Vec<ObjectRow> = (0..20).map(|n| row(&format!("k{n:02}"), 0)).collect();
    for (name, part, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("m");
        write(&out, &rows, SMALL, None);
        assert_eq!(parts(&out).len(), 3);
        damage(&out);
        let failure = read(&out).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadEvidence, "{name}: {failure}");
        assert!(failure.message.contains(part), "{name}: {failure}");
    }
}

/// A header that was rewritten to fit the damage still fails on order, counts, keys or root.
#[test]
fn a_header_that_lies_about_its_parts_is_bad_evidence() {
    type Lie = fn(&mut Header);
    let lies: [(&str, Lie); 7] = [
        ("reordered", |header| header.parts.swap(0, 1)),
        ("left out", |header| drop(header.parts.remove(1))),
        ("twice", |header| header.parts.insert(1, header.parts[0].clone())),
        ("row count", |header| header.parts[1].rows -= 1),
        ("first key", |header| header.parts[1].first = "k".into()),
        ("last key", |header| header.parts[1].last = "z".into()),
        ("root", |header| header.root = Digest32([0; 32])),
    ];
    let rows: Vec<ObjectRow> = (0..20).map(|n| row(&format!("k{n:02}"), 0)).collect();
    for (name, lie) in lies {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("m");
        let mut header = write(&out, &rows, SMALL, None);
        lie(&mut header);
        std::fs::write(out.join("manifest.json"), header.to_bytes().unwrap()).unwrap();
        let failure = Manifest::open(&out).unwrap().objects().collect::<Result<Vec<_>, _>>().unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadEvidence, "{name}: {failure}");
    }
}

#[test]
fn signatures_are_verified_unverified_absent_or_bad() {
    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let out = dir.path().join("m");
    write(&out, &[row("a", 0)], SMALL, Some(&key));
    let state = |key: Option<&SigningKey>| Manifest::open(&out).unwrap().signature(key.map(SigningKey::verifying_key).as_ref());
    assert_eq!(state(Some(&key)), SignatureState::Verified);
    assert_eq!(state(None), SignatureState::Unverified);
    assert_eq!(state(Some(&other)), SignatureState::Bad);
    let mut header = Header::load(&out).unwrap().0;
    header.source = "dir:/y".into();
    std::fs::write(out.join("manifest.json"), header.to_bytes().unwrap()).unwrap();
    assert_eq!(state(Some(&key)), SignatureState::Bad, "signed for other bytes");
    assert_eq!(state(None), SignatureState::Bad, "which needs no key to be seen");
    std::fs::write(out.join("manifest.sig"), b"\xff").unwrap();
    assert_eq!(state(Some(&key)), SignatureState::Bad);
    std::fs::remove_file(out.join("manifest.sig")).unwrap();
    assert_eq!(state(Some(&key)), SignatureState::Absent);
}

#[test]
fn what_is_no_manifest_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    for (content, part) in [
        (None, "no manifest at"),
        (Some("not json"), "not JSON"),
        (Some("{}"), "attestore/manifest/v1"),
        (Some(r#"{"schema":"attestore/manifest/v2"}"#), "attestore/manifest/v2"),
        (Some(r#"{"schema":"attestore/manifest/v1"}"#), "missing field"),
    ] {
        if let Some(content) = content {
            std::fs::write(dir.path().join("manifest.json"), content).unwrap();
        }
        let failure = Manifest::open(dir.path()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.contains(part), "{failure}");
    }
    std::fs::write(dir.path().join("manifest.json"), r#"{"schema": "attestore/manifest/v1"}"#).unwrap();
    assert_eq!(Manifest::open(dir.path()).unwrap_err().kind, FailureKind::BadEvidence, "not the bytes that were written");
}
