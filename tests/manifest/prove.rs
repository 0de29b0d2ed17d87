//! Inclusion proofs: made from a manifest, checked by us and by Python's standard library, and nothing changed passes either.

use std::path::Path;
use std::process::{Command, Output};

use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::digest::Digest32;
use attestore::model::failure::FailureKind;
use attestore::model::verification::SignatureState;
use attestore::signing::keys::SigningKey;
use attestore::verify::manifest::header::ManifestKind;
use attestore::verify::manifest::proof::{self, CHECK_PY, Proof};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::manifest::writer::{Draft, Finish, ManifestWriter};
use proptest::prelude::*;
use serde_json::Value;

fn attestore(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A manifest of `n` keys, the third of which has three versions.
fn manifest(dir: &Path, n: u32, key: Option<&SigningKey>) -> Manifest {
    let draft = Draft {
        kind: ManifestKind::Objects,
        source: "s3://vault".into(),
        captured_start: Timestamp::from_secs(1),
        mode: CaptureMode::VersionExact,
        recovery_point_id: None,
        encoding: "attestore/objects/v1-draft".into(),
        hash_key_id: None,
        digests: vec!["blake3".into()],
        view: None,
        choices: Default::default(),
    };
    let mut writer = ManifestWriter::create(dir, draft).unwrap();
    for at in 0..n {
        for seq in 0..if at == 2 { 3 } else { 1 } {
            let row = ObjectRow::object(format!("key \u{e9}\n{at:04}"), 3);
            let (version_id, blake3) = (Some(format!("v{seq}")), Some(Digest32::blake3(&[at as u8, seq as u8])));
            writer.push_object(&ObjectRow { seq, version_id, blake3, ..row }).unwrap();
        }
    }
    writer.finish(Finish::default(), key.map(|key| ("test.example/log", key))).unwrap();
    Manifest::open(dir).unwrap()
}

fn prove(manifest: &Manifest, at: u32) -> Proof {
    proof::prove(manifest, manifest.objects(), &format!("key \u{e9}\n{at:04}"), |_| true).unwrap()
}

/// Runs the published script on `proof`: its exit code and what it prints.
fn python(dir: &Path, proof: &Proof) -> (bool, String) {
    let (script, file) = (dir.join("check.py"), dir.join("proof.json"));
    std::fs::write(&script, CHECK_PY).unwrap();
    std::fs::write(&file, serde_json::to_string(proof).unwrap()).unwrap();
    let output = Command::new("python3").arg("-I").arg(&script).arg(&file).env("PYTHONIOENCODING", "utf-8").output().expect("python3 runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn proofs_of_every_place_hold_for_us_and_for_python() {
    for n in [1, 3, 4, 7, 30] {
        let dir = tempfile::tempdir().unwrap();
        let manifest = manifest(&dir.path().join("m"), n, None);
        for at in [0, n / 2, n - 1] {
            let proof = prove(&manifest, at);
            assert_eq!(proof.entries.len(), if at == 2 { 3 } else { 1 });
            let checked = proof::check(&proof, None).unwrap();
            assert_eq!((checked.manifest, checked.signature), (manifest.digest(), SignatureState::Absent));
            assert_eq!(checked.entries[0]["key"], format!("key \u{e9}\n{at:04}"));
            let (holds, printed) = python(dir.path(), &proof);
            assert!(holds && printed.ends_with(&format!("{}\n", manifest.digest())), "{n} {at}: {printed}");
            assert!(printed.contains(&proof.entries[0].leaf));
        }
    }
}

#[test]
fn nothing_changed_in_a_proof_passes() {
    type Change = fn(&mut Proof);
    let changes: [(&str, Change); 7] = [
        ("another leaf", |proof| proof.entries[0].leaf = proof.entries[0].leaf.replace("\"size\":3", "\"size\":4")),
        ("another index", |proof| proof.entries[0].index += 1),
        ("an index beyond the tree", |proof| proof.entries[0].index += 1 << 40),
        ("a node", |proof| proof.entries[0].path[1].0[7] ^= 1),
        ("a node too many", |proof| proof.entries[0].path.push(Digest32([0; 32]))),
        ("a node too few", |proof| {
            proof.entries[0].path.pop();
        }),
        ("another root", |proof| {
            let at = proof.manifest_json.find("\"root\":\"").unwrap() + 8;
            let other = if proof.manifest_json[at..].starts_with('0') { "1" } else { "0" };
            proof.manifest_json.replace_range(at..=at, other);
        }),
    ];
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(&dir.path().join("m"), 10, None);
    let good = prove(&manifest, 5);
    proof::check(&good, None).unwrap();
    for (name, change) in changes {
        let mut proof = good.clone();
        change(&mut proof);
        assert_ne!(proof, good, "{name}");
        let failure = proof::check(&proof, None).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadEvidence, "{name}: {failure}");
        assert!(!python(dir.path(), &proof).0, "{name}");
    }
    // A header that states another number of rows may keep the path's shape; it is another manifest then, and nobody signed it.
    let resized = Proof { manifest_json: good.manifest_json.replace("\"rows\":12", "\"rows\":13"), ..good.clone() };
    assert!(
        proof::check(&resized, None)
            .map_or(true, |checked| checked.manifest != manifest.digest() && checked.signature != SignatureState::Verified)
    );
    let empty = Proof { entries: Vec::new(), ..good };
    assert_eq!(proof::check(&empty, None).unwrap_err().kind, FailureKind::BadEvidence, "an empty proof proves nothing");
}

#[test]
fn the_command_proves_checks_and_says_whose_signature_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    manifest(&dir.path().join("m"), 10, Some(&key));
    let (pem, other_pem) = (dir.path().join("key.pem"), dir.path().join("other.pem"));
    std::fs::write(&pem, key.verifying_key().to_pem()).unwrap();
    std::fs::write(&other_pem, other.verifying_key().to_pem()).unwrap();
    let (m, out) = (dir.path().join("m"), dir.path().join("proof.json"));
    let proved = attestore(&["manifest", "prove", path(&m), "key \u{e9}\n0002", "--version-id", "v1", "--out", path(&out), "--json"]);
    assert_eq!(code(&proved), 0, "{}", said(&proved));
    let text = std::fs::read_to_string(&out).unwrap();
    let proof = proof::parse(&text, "it").unwrap();
    assert_eq!((proof.entries.len(), proof.entries[0].index), (1, 3));
    let check = |more: &[&str]| attestore(&[&["manifest", "prove", "--check", path(&out), "--json"], more].concat());
    let state = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (code(output), end["manifest_signature"].as_str().unwrap().to_owned())
    };
    assert_eq!(state(&check(&[])), (0, "unverified".into()));
    assert_eq!(state(&check(&["--key", path(&pem)])), (0, "verified".into()));
    assert_eq!(state(&check(&["--key", path(&other_pem)])), (1, "bad".into()));
    std::fs::write(&out, serde_json::to_string(&Proof { manifest_sig: None, ..proof }).unwrap()).unwrap();
    assert_eq!(state(&check(&[])), (0, "absent".into()));
    assert_eq!(state(&check(&["--key", path(&pem)])), (1, "absent".into()), "who names a key asks for a signature");

    let absent = attestore(&["manifest", "prove", path(&m), "nobody", "--out", path(&dir.path().join("none.json"))]);
    assert_eq!(code(&absent), 4, "{}", said(&absent));
    assert!(!dir.path().join("none.json").exists());
    let no_version = attestore(&["manifest", "prove", path(&m), "key \u{e9}\n0002", "--version-id", "v9"]);
    assert_eq!(code(&no_version), 4);
    assert_eq!(code(&attestore(&["manifest", "prove", "--check", path(&pem)])), 2, "not a proof");
    let script = attestore(&["manifest", "prove", "--script"]);
    assert_eq!(String::from_utf8_lossy(&script.stdout), CHECK_PY);
}

#[test]
fn a_manifest_whose_rows_do_not_have_its_root_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let good = manifest(&dir.path().join("m"), 10, None);
    let mut header = good.header().clone();
    header.root = Digest32([0; 32]);
    std::fs::write(dir.path().join("m/manifest.json"), header.to_bytes().unwrap()).unwrap();
    let proved = attestore(&["manifest", "prove", path(&dir.path().join("m")), "key \u{e9}\n0001"]);
    assert_eq!(code(&proved), 1, "{}", said(&proved));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_as_a_proof_is_refused(text in any::<String>(), json in any::<String>(), index in any::<u64>(), nodes in 0usize..80) {
        prop_assert!(proof::parse(&text, "it").is_err());
        let entry = proof::ProvenEntry { index, leaf: text, path: vec![Digest32([1; 32]); nodes] };
        let proof = Proof { schema: proof::SCHEMA.into(), manifest_json: json, manifest_sig: None, entries: vec![entry] };
        prop_assert!(proof::check(&proof, None).is_err());
    }
}
