//! A foreign client against the sandbox: boto3, operation by operation, over the wire to `attestore sandbox serve`.
//!
//! The Python is `ATTESTORE_PYTHON`, else `python3`; without boto3 in it the tests are skipped and say so, unless `ATTESTORE_REQUIRE` names
//! `boto3`. Each script of `tests/foreign` is a `unittest` program that takes endpoint and keys from the environment.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// `attestore sandbox serve` on a folder of its own, ended with SIGTERM.
struct Served {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Served {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_attestore"))
            .args(["sandbox", "serve", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary under test starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let environment = lines.map_while(Result::ok).take(5).map(|line| {
            let pair = line.strip_prefix("export ").and_then(|pair| pair.split_once('='));
            let (name, value) = pair.unwrap_or_else(|| panic!("expected `export NAME=VALUE`, found `{line}`"));
            (name.to_owned(), value.to_owned())
        });
        let environment: Vec<_> = environment.collect();
        assert_eq!(environment.len(), 5, "the sandbox printed its environment before it ended");
        Self { child, environment }
    }

    /// Asks it to end and tells whether it ended well.
    fn stop(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the sandbox is running");
        self.child.wait().expect("the sandbox is our child").success()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A failed test leaves nothing behind; one that was stopped already is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that can import boto3; none is a visible skip, or a failure where it is required.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("ATTESTORE_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import boto3"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if found {
        return Some(python);
    }
    let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == "boto3"), "boto3 is required and {} has none", python.display());
    // Past the test harness, which keeps what a passing test prints to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {} has no boto3 (set ATTESTORE_PYTHON to one that has)", python.display());
    None
}

/// Runs a script of `tests/foreign` against a fresh sandbox.
fn speaks(script: &str) {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let served = Served::start(dir.path());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(script);
    let mut command = Command::new(python);
    command.arg("-B").arg(&path).envs(served.environment.clone());
    // What the machine has configured must not reach the client.
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env_remove(name);
    }
    let output = command.output().expect("Python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    assert!(output.status.success(), "{script} failed");
    assert!(said.contains("\nOK"), "{script} ran its tests to the end");
    assert!(served.stop(), "the sandbox ends well on SIGTERM");
}

#[test]
fn boto3_speaks_s3() {
    speaks("test_s3.py");
}

#[test]
fn boto3_speaks_sts_dynamodb_backup_and_rds() {
    speaks("test_control.py");
}

#[test]
fn a_second_sandbox_over_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let served = Served::start(dir.path());
    let second =
        Command::new(env!("CARGO_BIN_EXE_attestore")).args(["sandbox", "serve", "--dir"]).arg(dir.path()).output().expect("it runs");
    assert_eq!(second.status.code(), Some(4));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another sandbox is running over") && said.contains("hint: "), "{said}");
    assert!(served.stop());
    let again = Served::start(dir.path());
    assert!(again.stop());
}
