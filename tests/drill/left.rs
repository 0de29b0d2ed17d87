//! What a drill leaves that did not come to its end, by a full disk or a kill, and what tells of it and takes it away.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use attestore::restore::journal::Journal;
use attestore::testing_log::entry::Body;

use crate::drill_estate::Estate;

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned()
}

/// Runs the program where no file may grow beyond `blocks` of 512 bytes: what a full disk does, to this process alone.
fn run_within(estate: &Estate, blocks: u64, args: &[&str]) -> std::process::Output {
    let mut command = Command::new("sh");
    // Without the signal the write fails with an error, as it does on a full disk.
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"")).arg("sh").arg(env!("CARGO_BIN_EXE_attestore"));
    command.args(args).current_dir(&estate.folder).output().unwrap()
}

/// Whether a step of the journal created something that is not known to be gone.
fn stands(estate: &Estate) -> bool {
    let state = Journal::open(&estate.path("attestore.journal")).unwrap().state();
    state.drills.values().flat_map(|drill| drill.cases.values()).any(|case| !case.standing().is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_in_mid_drill_is_told_with_what_stands() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let (mut stood, mut nothing_stood) = (0, 0);
    // The journal grows by a few pages a record: each limit ends the drill at another one.
    for blocks in (24..=400).step_by(12) {
        let estate = laid.copy_to(&folder.path().join(format!("full{blocks}")));
        let ended = run_within(&estate, blocks, &["drill", "--at-once", "1"]);
        let (code, said_then) = (ended.status.code(), said(&ended));
        if code == Some(1) {
            break;
        }
        // What was read so far of a database goes with its target.
        let left: Vec<String> = estate.leftovers().into_iter().filter(|name| !name.ends_with(".reading")).collect();
        if left.is_empty() {
            assert_eq!(code, Some(5), "{blocks}: {said_then}");
            nothing_stood += 1;
            continue;
        }
        stood += 1;
        assert_eq!(code, Some(6), "{blocks}: {said_then}");
        assert!(said_then.contains("left behind: ") && said_then.contains("attestore sweep --apply"), "{blocks}: {said_then}");
        assert!(said_then.contains("make room first") && said_then.contains("attestore drill --resume"), "{blocks}: {said_then}");
        for name in &left {
            assert!(said_then.contains(name.as_str()), "{blocks}: {name} stands, and is not named: {said_then}");
        }
        // With room again either of the two does what was said.
        let swept = estate.copy_to(&folder.path().join(format!("swept{blocks}")));
        assert_eq!(swept.run(&["sweep", "--apply"], None).status.code(), Some(0), "{blocks}");
        assert_eq!(swept.leftovers(), Vec::<String>::new());
        let resumed = estate.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(1), "{blocks}: {}", said(&resumed));
        assert!(estate.verdict().holds() && !stands(&estate), "{blocks}: {:?}", estate.verdict().faults);
        if stood == 3 {
            break;
        }
    }
    assert!(stood > 0 && nothing_stood > 0, "{stood} ended with something standing, {nothing_stood} without");
}

/// The directories of unfinished manifests.
fn unfinished(estate: &Estate) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(estate.path("manifests/bare")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".manifest-")).collect()
}

/// As old as it is when somebody looks after it.
fn aged(estate: &Estate) {
    for path in unfinished(estate) {
        std::fs::File::open(&path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_restore_that_was_killed_leaves_no_half_manifest_behind() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(&folder.path().join("killed")).await;
    let tree = estate.path("vault/bare/tree");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::create_dir_all(estate.path("manifests/bare")).unwrap();
    for n in 0..3000 {
        std::fs::write(tree.join(format!("{n}.txt")), n.to_string().repeat(50)).unwrap();
    }
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let bare = "\n[class.bare]\nrto = \"1h\"\nrpo = \"7d\"\ntest_period = \"90d\"\nwhen_no_manifest = \"first-restore\"\n[[resource]]\nid = \"bare\"\n\
                application = \"a\"\nkind = \"files\"\nclass = \"bare\"\nsource = \"dir:files\"\nmanifests = \"manifests/bare\"\n\
                [[resource.points]]\nfrom = \"local\"\npath = \"vault/bare\"\n";
    std::fs::write(estate.path("attestore.toml"), text + bare).unwrap();

    let mut child = Command::new(env!("CARGO_BIN_EXE_attestore"))
        .args(["drill", "--at-once", "1"])
        .current_dir(&estate.folder)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while unfinished(&estate).is_empty() {
        assert!(child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(120), "no first restore was captured");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(unfinished(&estate).len(), 1, "killed in the middle of a capture");

    let swept = estate.copy_to(&folder.path().join("swept"));
    aged(&swept);
    let dry = swept.run(&["sweep"], None);
    assert_eq!((dry.status.code(), unfinished(&swept).len()), (Some(6), 1), "{}", said(&dry));
    let answer = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(answer.contains("left behind: ") && answer.contains("an unfinished manifest of a capture that was killed"), "{answer}");
    let wet = swept.run(&["sweep", "--apply"], None);
    assert_eq!((wet.status.code(), unfinished(&swept).len()), (Some(0), 0), "{}", said(&wet));
    assert!(String::from_utf8_lossy(&wet.stdout).contains("removed: ") && String::from_utf8_lossy(&wet.stdout).contains(".manifest-"));

    aged(&estate);
    let resumed = estate.run(&["drill", "--resume"], None);
    assert_eq!((resumed.status.code(), unfinished(&estate).len()), (Some(1), 0), "{}", said(&resumed));
    assert!(said(&resumed).contains("an unfinished manifest of a capture that was killed"), "{}", said(&resumed));
    let is_baseline = |body: &Body| matches!(body, Body::ManifestRegistered(manifest) if manifest.resource.0 == "bare");
    assert_eq!(estate.verdict().entries.iter().filter(|entry| is_baseline(&entry.body)).count(), 1, "and the baseline is made");
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}
