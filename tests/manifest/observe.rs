//! `attestore manifest observe`: checksums that S3's batch jobs have computed, held against a manifest on the command line.
//!
//! Contents: everything observed is never a plain pass; other content, failed tasks, objects that no report names; mistakes of use.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

const FILES: [(&str, &str); 3] = [("a b", "alpha"), ("b/one", ""), ("ü", "umlaut")];

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A manifest of some files with SHA-256, as a bucket's restored copy on a disk would give it.
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        for (name, content) in FILES {
            let path = bench.path("tree").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let (source, out) = (format!("dir:{}", bench.path("tree").display()), bench.path("manifest"));
        let created = run(&["manifest", "create", &source, "--digest", "sha256", "--out", out.to_str().unwrap()]);
        assert!(created.status.success(), "{}", stderr(&created));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn observe(&self, report: &str, more: &[&str]) -> Output {
        std::fs::write(self.path("report.csv"), report).unwrap();
        let (manifest, report) = (self.path("manifest"), self.path("report.csv"));
        run(&[&["manifest", "observe", manifest.to_str().unwrap(), "--report", report.to_str().unwrap()], more].concat())
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line of a report on `key`, whose content the job found to be `content`; keys are URL-encoded.
fn computed(key: &str, content: &str) -> String {
    let key: String =
        key.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    let value = STANDARD.encode(Sha256::digest(content));
    let message = format!(r#"{{""checksum_base64"":""{value}"",""checksumAlgorithm"":""SHA256"",""checksumType"":""FULL_OBJECT""}}"#);
    format!("vault,{key},,succeeded,,200,\"{message}\"\n")
}

/// The exit code, the summary, and the findings as (class, key, actual).
fn told(output: &Output) -> (i32, Value, Vec<(String, String, String)>) {
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = lines.iter().filter(|line| line["event"] == "finding");
    let findings = findings.map(|line| (text(&line["class"]), text(&line["key"]), text(&line["actual"]))).collect();
    (output.status.code().unwrap(), lines.last().cloned().unwrap_or_default(), findings)
}

#[test]
fn what_was_observed_is_told_apart_from_what_was_not() {
    let bench = Bench::new();
    let whole: String = FILES.iter().map(|(key, content)| computed(key, content)).collect();
    let (code, end, findings) = told(&bench.observe(&whole, &["--json"]));
    assert_eq!((code, &end["outcome"], &end["unobserved"]), (0, &"pass_with_exception".into(), &0.into()), "{end}");
    assert!(findings.is_empty() && end["does_not_prove"][0].as_str().unwrap().contains("no byte was read here"), "{end}");
    assert_eq!(end["objects"]["match"], 3);

    let other = [computed("a b", "beta"), "vault,b%2Fone,,failed,AccessDenied,403,no\n".into(), computed("ü", "umlaut")].concat();
    let (code, end, findings) = told(&bench.observe(&other, &["--json"]));
    assert_eq!((code, &end["outcome"]), (1, &"fail".into()), "{end}");
    let found: Vec<(&str, &str)> = findings.iter().map(|(class, key, _)| (class.as_str(), key.as_str())).collect();
    assert_eq!(found, [("mismatch", "a b"), ("unreadable", "b/one")]);
    assert!(findings[1].2.ends_with("AccessDenied, 403, no"), "{findings:?}");

    let some = computed("a b", "alpha");
    let (code, end, _) = told(&bench.observe(&some, &["--json"]));
    assert_eq!((code, &end["outcome"], &end["unobserved"]), (3, &"inconclusive".into(), &2.into()), "{end}");
    let shown = bench.observe(&some, &[]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("observed   1 of 3 objects, 1 equal") && text.contains("INCONCLUSIVE: objects: 2 named by no report"), "{text}");
}

#[test]
fn what_is_no_report_is_refused_by_its_name() {
    let bench = Bench::new();
    let wrong = bench.observe("vault,a\n", &[]);
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
    assert!(stderr(&wrong).contains("report.csv") && stderr(&wrong).contains("expected 7 columns, found 2"), "{}", stderr(&wrong));
    let unsigned = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no-such.pem");
    let lacking = bench.observe("", &["--key", unsigned.to_str().unwrap()]);
    assert!(lacking.status.code() == Some(2) && stderr(&lacking).contains("no-such.pem"), "{}", stderr(&lacking));
    // A part that was changed afterwards is found before any report is looked at.
    let part = bench.path("manifest").join("part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let damaged = bench.observe("", &[]);
    assert!(stderr(&damaged).contains("part-00000.parquet") && damaged.status.code() == Some(1), "{}", stderr(&damaged));
}
