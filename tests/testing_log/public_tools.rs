//! A log is checked with openssl, ssh-keygen and ten lines of Python, and with nothing of ours: the very text that reports and README show.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{ORIGIN, Story, World, build};
use attestore::signing::keys::{SigningKey, VerifyingKey};
use attestore::testing_log::entry::Body;
use attestore::testing_log::public_tools;

fn shell(dir: &Path, text: &str) -> Output {
    Command::new("sh").arg("-c").arg(text).current_dir(dir).output().unwrap()
}

/// Says so where a tool is not installed; CI makes that a failure with ATTESTORE_REQUIRE.
fn have(tool: &str) -> bool {
    let there = shell(Path::new("."), &format!("command -v {tool}")).status.success();
    if !there {
        eprintln!("SKIPPED: {tool} is not installed");
        let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == tool), "{tool} is required and not installed");
    }
    there
}

fn world_with_key() -> (World, std::path::PathBuf) {
    let world = build(Story::default());
    // A path with a space, as auditors have them.
    let key = world.dir.path().join("our copy.pub.pem");
    std::fs::write(&key, world.key.verifying_key().to_pem()).unwrap();
    (world, key)
}

#[test]
fn a_checkpoint_its_ssh_signature_and_its_root_hold_for_foreign_tools() {
    if !["openssl", "ssh-keygen", "python3", "awk"].into_iter().all(have) {
        return;
    }
    let (world, key) = world_with_key();
    let work = tempfile::tempdir().unwrap();
    for size in world.log().listing().unwrap().checkpoints {
        let steps = public_tools::steps(&world.path, &key, ORIGIN, size);
        let output = shell(work.path(), &public_tools::script(&steps));
        assert!(output.status.success(), "checkpoint {size}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn each_step_fails_when_what_it_shows_is_not_so() {
    if !["openssl", "ssh-keygen", "python3", "awk"].into_iter().all(have) {
        return;
    }
    let (world, key) = world_with_key();
    let size = world.last_checkpoint();
    let other = world.dir.path().join("other.pem");
    std::fs::write(&other, SigningKey::from_seed(&[99; 32]).verifying_key().to_pem()).unwrap();
    let work = tempfile::tempdir().unwrap();
    let steps = public_tools::steps(&world.path, &other, ORIGIN, size);
    assert!(!shell(work.path(), &steps[0].shell).status.success(), "openssl with another key");
    assert!(!shell(work.path(), &steps[1].shell).status.success(), "ssh-keygen with another key");
    let entry = world.log().entry_path(2);
    let text = std::fs::read_to_string(&entry).unwrap().replace("vault", "fault");
    std::fs::write(&entry, text).unwrap();
    let steps = public_tools::steps(&world.path, &key, ORIGIN, size);
    assert!(shell(work.path(), &steps[0].shell).status.success(), "the checkpoint itself was not touched");
    assert!(!shell(work.path(), &steps[2].shell).status.success(), "the root");
}

#[test]
fn openssl_reads_our_keys_and_we_read_those_of_openssl() {
    if !have("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ours = SigningKey::generate(&dir.path().join("ours.key")).unwrap();
    let output = shell(dir.path(), "openssl pkey -in ours.key -pubout");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), ours.verifying_key().to_pem());
    let output = shell(
        dir.path(),
        "umask 077 && openssl genpkey -algorithm ed25519 -out theirs.key && openssl pkey -in theirs.key -pubout -out theirs.pem",
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = SigningKey::load(&dir.path().join("theirs.key")).unwrap();
    assert_eq!(VerifyingKey::load_pem(&dir.path().join("theirs.pem")).unwrap(), theirs.verifying_key());
}

#[test]
fn the_allowed_signers_beside_the_log_serve_ssh_keygen_too() {
    if !have("ssh-keygen") {
        return;
    }
    let (world, _) = world_with_key();
    let size = world.last_checkpoint();
    let line = format!(
        "sed -n 1,3p checkpoints/{size:08} | ssh-keygen -Y verify -f keys/allowed_signers -I {ORIGIN} -n attestore-checkpoint -s checkpoints/{size:08}.sshsig"
    );
    let output = shell(&world.path, &line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_rank_is_repeated_by_openssl() {
    if !have("openssl") {
        return;
    }
    let (world, _) = world_with_key();
    let plan = world.log().entries().unwrap().find_map(|entry| match entry.unwrap().body {
        Body::DrillPlanned(plan) => Some(plan),
        _ => None,
    });
    let sample = plan.unwrap().sample;
    for selected in &sample.selected {
        let output = shell(&world.path, &public_tools::rank_line(&sample.seed.hex(), &selected.id.0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.split_whitespace().next().unwrap(), selected.rank.hex());
    }
}
