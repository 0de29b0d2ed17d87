//! `log verify` and `log show` as a person and as a script see them: words, JSON lines, exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Story, World, build};
use serde_json::Value;

fn world_with_key() -> (World, PathBuf) {
    let world = build(Story::default());
    let key = world.dir.path().join("log.pub.pem");
    std::fs::write(&key, world.key.verifying_key().to_pem()).unwrap();
    (world, key)
}

fn attestore(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).args(paths).output().unwrap()
}

fn verify(world: &World, key: &Path, more: &[&str]) -> Output {
    let mut args = vec!["log", "verify", "--key", key.to_str().unwrap()];
    args.extend(more);
    attestore(&args, &[&world.path])
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_good_log_exits_0_and_says_what_that_means() {
    let (world, key) = world_with_key();
    let output = verify(&world, &key, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("self-consistent") && text.contains("drill 1 d20260131-020000-7f3a: closed, fail"), "{text}");
    let kept = world.dir.path().join("kept");
    std::fs::copy(world.log().checkpoint_path(world.last_checkpoint()), &kept).unwrap();
    let output = verify(&world, &key, &["--json", "--checkpoint", kept.to_str().unwrap(), "--as-of", "2999-01-01T00:00:00Z"]);
    let summary = lines(&output).pop().unwrap();
    assert_eq!((&summary["event"], &summary["command"], &summary["exit_code"]), (&"summary".into(), &"log verify".into(), &0.into()));
    assert!(summary["log"].as_str().unwrap().starts_with("anchored-to "), "{summary}");
}

#[test]
fn a_tampered_log_exits_1_with_its_fault_by_name() {
    let (world, key) = world_with_key();
    let entry = world.log().entry_path(2);
    let text = std::fs::read_to_string(&entry).unwrap().replacen("vault", "fault", 1);
    std::fs::write(&entry, text).unwrap();
    let output = verify(&world, &key, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines(&output).iter().any(|line| line["event"] == "fault" && line["name"] == "root_differs"));
    let output = verify(&world, &key, &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAULT root_differs"));
    let shown = attestore(&["log", "show", "--key", key.to_str().unwrap()], &[&world.path]);
    assert_eq!(shown.status.code(), Some(1));
}

#[test]
fn a_missing_log_key_or_checkpoint_is_a_usage_error_with_a_hint() {
    let (world, key) = world_with_key();
    let none = world.dir.path().join("none");
    let runs = [
        attestore(&["log", "verify", "--key", key.to_str().unwrap()], &[&none]),
        verify(&world, &none, &[]),
        verify(&world, &key, &["--checkpoint", none.to_str().unwrap()]),
        attestore(&["log", "verify"], &[&world.path]),
        attestore(&["log", "show"], &[&none]),
        attestore(&["log", "show", "--kind", "rp.resault"], &[&world.path]),
        attestore(&["log", "show", "--leaf", "4000"], &[&world.path]),
    ];
    for output in runs {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("error:"), "{text}");
    }
    assert!(!none.exists(), "a missing log is never made");
}

#[test]
fn show_prints_one_line_an_entry_or_one_entry_whole() {
    let (world, key) = world_with_key();
    let output = attestore(&["log", "show", "--key", key.to_str().unwrap(), "--kind", "rp.result"], &[&world.path]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.lines().count() > 3 && text.lines().all(|line| line.contains("rp.result")), "{text}");
    let output = attestore(&["log", "show", "--leaf", "0", "--json"], &[&world.path]);
    let found = lines(&output);
    assert_eq!((&found[0]["entry"]["kind"], &found[1]["log"]), (&"log.genesis".into(), &"unverified".into()));
    // What was printed was held to no signature: that is no pass.
    assert_eq!((&found[1]["outcome"], &found[1]["exit_code"], output.status.code()), (&"untested".into(), &3.into(), Some(3)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("NOT VERIFIED"));
}
