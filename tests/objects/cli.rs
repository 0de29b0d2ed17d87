//! The command line on directory trees: what is damaged, what it is called, and the exit code.
//!
//! Contents: a clean run and its JSON; each damage by its class; hostile names; empty trees; signatures; mistakes of use.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use attestore::signing::keys::SigningKey;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A tree with files below two directories, one of several mebibytes.
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        for (name, content) in [
            ("a.txt", b"alpha".to_vec()),
            ("b/one", vec![7; 3000]),
            ("b/two", Vec::new()),
            ("b-c", b"sorts before b/".to_vec()),
            ("z/large", (0..5_000_000u32).map(|n| (n / 7) as u8).collect()),
        ] {
            bench.put(name, &content);
        }
        symlink("a.txt", bench.tree().join("link")).unwrap();
        bench
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn manifest(&self) -> PathBuf {
        self.dir.path().join("manifest")
    }

    fn put(&self, name: impl AsRef<Path>, content: &[u8]) {
        let path = self.tree().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn source(&self) -> String {
        format!("dir:{}", self.tree().display())
    }

    fn create(&self, more: &[&str]) -> Output {
        let (source, out) = (self.source(), self.manifest());
        run(&[&["manifest", "create", &source, "--out", out.to_str().unwrap(), "--json"], more].concat())
    }

    fn verify(&self, more: &[&str]) -> Output {
        let (source, manifest) = (self.source(), self.manifest());
        run(&[&["verify", &source, "--manifest", manifest.to_str().unwrap(), "--json"], more].concat())
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The objects on stdout; every line must be one.
fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn summary(output: &Output) -> Value {
    let last = lines(output).pop().unwrap();
    assert_eq!(last["event"], "summary");
    assert_eq!(last["exit_code"], code(output));
    last
}

/// `class key` of each finding.
fn findings(output: &Output) -> Vec<String> {
    let found = lines(output).into_iter().filter(|line| line["event"] == "finding");
    found.map(|line| format!("{} {}", line["class"].as_str().unwrap(), line["key"].as_str().unwrap())).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_clean_tree_is_proven_and_the_summary_says_what_was_read() {
    let bench = Bench::new();
    let created = bench.create(&[]);
    assert_eq!(code(&created), 0, "{}", stderr(&created));
    let made = summary(&created);
    assert_eq!((&made["mode"], &made["manifest_signature"]), (&"sealed".into(), &"absent".into()));
    assert_eq!(made["counts"]["objects"], 5);
    for more in [&[][..], &["--digest", "blake3"], &["--digest", "sha256"]] {
        let verified = bench.verify(more);
        let end = summary(&verified);
        assert_eq!((code(&verified), &end["outcome"]), (0, &"pass".into()), "{}", stderr(&verified));
        assert_eq!((&end["objects"]["expected"], &end["objects"]["match"]), (&6.into(), &6.into()));
        assert_eq!((&end["manifest_signature"], &end["bytes_checked"]), (&"absent".into(), &(5_003_020 + 5).into()));
    }
    let human = run(&["verify", &bench.source(), "--manifest", bench.manifest().to_str().unwrap()]);
    let text = String::from_utf8(human.stdout).unwrap();
    assert!(text.contains("6 expected, 6 equal") && text.contains("result     PASS"), "{text}");
}

#[test]
fn each_damage_has_its_class_and_nothing_else_is_accused() {
    type Damage = fn(&Bench);
    let damages: [(&str, Damage); 9] = [
        ("mismatch z/large", |bench| {
            let path = bench.tree().join("z/large");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[4_321_000] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("mismatch b/one", |bench| bench.put("b/one", &[7; 2999])),
        ("mismatch a.txt", |bench| bench.put("a.txt", b"")),
        ("missing b/two", |bench| std::fs::remove_file(bench.tree().join("b/two")).unwrap()),
        ("extra b/three", |bench| bench.put("b/three", b"")),
        ("mismatch a.txt", |bench| {
            std::fs::remove_file(bench.tree().join("a.txt")).unwrap();
            symlink("b-c", bench.tree().join("a.txt")).unwrap();
        }),
        ("mismatch link", |bench| {
            std::fs::remove_file(bench.tree().join("link")).unwrap();
            symlink("b-c", bench.tree().join("link")).unwrap();
        }),
        ("mismatch link", |bench| {
            std::fs::remove_file(bench.tree().join("link")).unwrap();
            bench.put("link", b"alpha");
        }),
        ("unreadable b-c", |bench| {
            std::fs::remove_file(bench.tree().join("b-c")).unwrap();
            let made = Command::new("mkfifo").arg(bench.tree().join("b-c")).status().unwrap();
            assert!(made.success());
        }),
    ];
    for (expected, damage) in damages {
        let bench = Bench::new();
        assert_eq!(code(&bench.create(&["--digest", "blake3"])), 0);
        damage(&bench);
        let verified = bench.verify(&[]);
        assert_eq!(findings(&verified), [expected]);
        let end = summary(&verified);
        assert_eq!((code(&verified), &end["outcome"]), (1, &"fail".into()), "{expected}");
    }
}

#[test]
fn people_are_shown_a_hundred_findings_and_machines_every_one() {
    let bench = Bench::new();
    let (tree, manifest) = (format!("dir:{}", bench.tree().display()), bench.manifest().display().to_string());
    assert_eq!(code(&run(&["manifest", "create", &tree, "--out", &manifest])), 0);
    (0..150).for_each(|n| bench.put(format!("surplus/{n}"), b"x"));
    let told = stderr(&run(&["verify", &tree, "--manifest", &manifest]));
    assert_eq!(told.lines().filter(|line| line.trim_start().starts_with("extra ")).count(), 100);
    assert!(told.contains("100 of 150 findings are shown; --json prints every one of them"), "{told}");
    assert_eq!(findings(&run(&["verify", &tree, "--manifest", &manifest, "--json"])).len(), 150);
}

#[test]
fn an_answer_that_stdout_does_not_take_is_no_success() {
    let bench = Bench::new();
    let (tree, manifest) = (format!("dir:{}", bench.tree().display()), bench.manifest().display().to_string());
    assert_eq!(code(&run(&["manifest", "create", &tree, "--out", &manifest])), 0);
    for args in
        [["verify", &tree, "--manifest", &manifest, "--json"].as_slice(), &["manifest", "show", &manifest], &["completions", "bash"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).stdout(full).output().unwrap();
        assert_eq!(code(&output), 5, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("cannot write to stdout"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn what_may_not_be_read_is_unreadable() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let bench = Bench::new();
    assert_eq!(code(&bench.create(&[])), 0);
    let expected = summary(&bench.verify(&[]))["objects"]["expected"].clone();
    let closed = |name: &str| std::fs::set_permissions(bench.tree().join(name), PermissionsExt::from_mode(0o000)).unwrap();
    closed("a.txt");
    closed("b");
    let verified = bench.verify(&[]);
    std::fs::set_permissions(bench.tree().join("b"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(findings(&verified), ["unreadable a.txt", "unreadable b/", "unreadable b/one", "unreadable b/two"]);
    assert_eq!(code(&verified), 4);
    // The directory was never expected: what the manifest has below it is.
    assert_eq!(summary(&verified)["objects"]["expected"], expected);

    // A capture that was denied something is no finding against anything.
    std::fs::remove_dir_all(bench.manifest()).unwrap();
    let denied = bench.create(&[]);
    assert_eq!((code(&denied), &summary(&denied)["outcome"]), (4, &"inconclusive".into()), "{}", stderr(&denied));
    let part = bench.manifest().join("part-00000.parquet");
    std::fs::set_permissions(&part, PermissionsExt::from_mode(0o000)).unwrap();
    let unreadable = bench.verify(&[]);
    assert_eq!(code(&unreadable), 2, "{}", stderr(&unreadable));
    assert!(
        stderr(&unreadable).contains("part-00000.parquet") && stderr(&unreadable).contains("make it readable"),
        "{}",
        stderr(&unreadable)
    );
}

#[test]
fn hostile_names_are_told_apart() {
    let bench = Bench::new();
    for name in ["new\nline", "  spaces  ", "a+b%20", "\u{1b}[2J", "%FF", "-rf", "\u{7f}é"] {
        bench.put(name, name.as_bytes());
    }
    bench.put(OsStr::from_bytes(b"raw \xfe\xff/in%side"), b"x");
    // Spelled like the file above: only one of them can have that key.
    bench.put(OsStr::from_bytes(b"\xff"), b"ambiguous");
    // The longest name of a file, below directories: a key of more than 1,024 bytes.
    bench.put(format!("{0}/{0}/{0}/{0}/{0}", "n".repeat(250)), b"deep");
    let created = bench.create(&[]);
    assert_eq!((code(&created), findings(&created)), (1, vec!["unreadable %FF".to_owned()]), "{}", stderr(&created));
    std::fs::remove_file(bench.tree().join(OsStr::from_bytes(b"\xff"))).unwrap();
    std::fs::remove_dir_all(bench.manifest()).unwrap();
    assert_eq!(code(&bench.create(&[])), 0);
    assert_eq!(code(&bench.verify(&[])), 0);
    bench.put("new\nline", b"changed!");
    bench.put(OsStr::from_bytes(b"raw \xfe\xff/in%side"), b"y");
    let verified = bench.verify(&[]);
    assert_eq!(findings(&verified), ["mismatch new\nline", "mismatch raw %FE%FF/in%side"]);
    let human = run(&["verify", &bench.source(), "--manifest", bench.manifest().to_str().unwrap()]);
    assert!(!stderr(&human).contains("new\nline"), "a name cannot draw on the terminal");
}

#[test]
fn an_empty_tree_proves_nothing_and_one_file_is_a_source() {
    let bench = Bench { dir: tempfile::tempdir().unwrap() };
    std::fs::create_dir(bench.tree()).unwrap();
    let created = bench.create(&[]);
    assert_eq!((code(&created), &summary(&created)["outcome"]), (3, &"inconclusive".into()), "{}", stderr(&created));
    let verified = bench.verify(&[]);
    assert_eq!((code(&verified), &summary(&verified)["outcome"]), (3, &"inconclusive".into()));
    bench.put("new", b"x");
    assert_eq!((code(&bench.verify(&[])), findings(&bench.verify(&[]))), (1, vec!["extra new".to_owned()]));

    let file = format!("{}/new", bench.source());
    let out = bench.dir.path().join("file");
    assert_eq!(code(&run(&["manifest", "create", &file, "--out", out.to_str().unwrap()])), 0);
    let verified = run(&["verify", &file, "--manifest", out.to_str().unwrap(), "--json"]);
    assert_eq!((code(&verified), &summary(&verified)["objects"]["match"]), (0, &1.into()));
}

#[test]
fn signatures_decide_before_anything_is_read() {
    let bench = Bench::new();
    let path = |name: &str| bench.dir.path().join(name).to_str().unwrap().to_owned();
    let key = SigningKey::generate(Path::new(&path("k"))).unwrap();
    let other = SigningKey::generate(Path::new(&path("other"))).unwrap();
    std::fs::write(path("k.pem"), key.verifying_key().to_pem()).unwrap();
    std::fs::write(path("other.pem"), other.verifying_key().to_pem()).unwrap();
    assert_eq!(code(&bench.create(&["--sign-key", &path("k"), "--signer", "example.com/vault"])), 0);
    let state = |output: &Output| (code(output), summary(output)["manifest_signature"].as_str().unwrap().to_owned());
    assert_eq!(state(&bench.verify(&["--key", &path("k.pem")])), (0, "verified".into()));
    assert_eq!(state(&bench.verify(&[])), (0, "unverified".into()));
    assert_eq!(state(&bench.verify(&["--key", &path("other.pem")])), (1, "bad".into()));
    let signature = bench.manifest().join("manifest.sig");
    // A signature that is not for its own manifest.json: neither side of a comparison can be trusted, without any key.
    let (header, changed) = (bench.manifest().join("manifest.json"), path("changed"));
    let copied = Command::new("cp").args(["-r", bench.manifest().to_str().unwrap(), &changed]).status().unwrap();
    assert!(copied.success());
    let text = std::fs::read_to_string(&header).unwrap().replace("\"sealed\"", "\"snapshot-exact\"");
    std::fs::write(Path::new(&changed).join("manifest.json"), text).unwrap();
    let manifest = bench.manifest().display().to_string();
    assert_eq!(code(&run(&["manifest", "diff", &manifest, &manifest])), 0);
    for pair in [[&manifest, &changed], [&changed, &manifest]] {
        let output = run(&["manifest", "diff", pair[0], pair[1]]);
        assert_eq!(
            (code(&output), stderr(&output).contains("its signature is not for this manifest.json")),
            (1, true),
            "{}",
            stderr(&output)
        );
    }
    // One that is there and cannot be read is not taken for one that does not hold.
    std::fs::remove_file(&signature).unwrap();
    symlink("manifest.sig", &signature).unwrap();
    let output = bench.verify(&["--key", &path("k.pem")]);
    assert_eq!((code(&output), stderr(&output).contains("manifest.sig cannot be read")), (2, true), "{}", stderr(&output));
    std::fs::remove_file(&signature).unwrap();
    assert_eq!(state(&bench.verify(&[])), (0, "absent".into()));
    assert_eq!(state(&bench.verify(&["--key", &path("k.pem")])), (3, "absent".into()), "a stripped signature is no pass");
    assert_eq!(code(&bench.verify(&["--key", &path("none.pem")])), 2);
}

#[test]
fn damaged_manifests_are_findings_and_mistakes_are_usage() {
    let bench = Bench::new();
    assert_eq!(code(&bench.create(&[])), 0);
    assert_eq!(code(&bench.create(&[])), 2, "a manifest is written once");
    assert_eq!(code(&bench.create(&["--mode", "version-exact"])), 2);
    assert_eq!(code(&bench.verify(&["--view", "latest"])), 2, "a directory has no versions");
    let part = bench.manifest().join("part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&part, &bytes).unwrap();
    let verified = bench.verify(&[]);
    assert_eq!(code(&verified), 1);
    assert!(stderr(&verified).contains("part-00000.parquet") && stderr(&verified).contains("hint:"));
    std::fs::write(bench.manifest().join("manifest.json"), "{").unwrap();
    assert_eq!(code(&bench.verify(&[])), 2);
    let absent = run(&["verify", "dir:/nowhere/at/all", "--manifest", bench.manifest().to_str().unwrap(), "--json"]);
    assert_eq!(code(&absent), 2, "the manifest is looked at first");
    let absent = run(&["manifest", "create", "dir:/nowhere/at/all", "--out", "/tmp/never-made", "--json"]);
    assert_eq!((code(&absent), summary(&absent)["outcome"].as_str().unwrap()), (4, "error"));
    assert_eq!(code(&run(&["manifest", "create", "nonsense", "--out", "/tmp/never-made"])), 2);
}

#[test]
fn manifests_are_shown_and_compared_without_their_source() {
    let bench = Bench::new();
    let other = bench.dir.path().join("other");
    assert_eq!(code(&bench.create(&[])), 0);
    let manifest = bench.manifest();
    let (one, two) = (manifest.to_str().unwrap(), other.to_str().unwrap());
    let shown = run(&["manifest", "show", one, "--limit", "2", "--json"]);
    assert_eq!((code(&shown), lines(&shown).len()), (0, 4));
    assert_eq!((&lines(&shown)[0]["kind"], &lines(&shown)[1]["key"]), (&"objects".into(), &"a.txt".into()));
    bench.put("b/one", b"changed");
    bench.put("c", b"new");
    std::fs::remove_file(bench.tree().join("link")).unwrap();
    assert_eq!(code(&run(&["manifest", "create", &bench.source(), "--out", two])), 0);
    assert_eq!(code(&run(&["manifest", "diff", one, one, "--json"])), 0);
    let diff = run(&["manifest", "diff", one, two, "--json"]);
    assert_eq!(code(&diff), 1);
    assert_eq!(findings(&diff), ["mismatch b/one", "extra c", "missing link"]);
}

#[test]
fn a_configured_resource_is_signed_and_registered_in_the_log() {
    use attestore::signing::hash_key::HashKey;
    use attestore::testing_log::body::Tool;
    use attestore::testing_log::entry::Body;
    use attestore::testing_log::store::LogDir;
    use attestore::testing_log::writer::LogWriter;
    let bench = Bench::new();
    let path = |name: &str| bench.dir.path().join(name);
    let key = SigningKey::generate(&path("attestore.key")).unwrap();
    HashKey::create(&path("attestore.hashkey")).unwrap();
    let tool = Tool { name: "attestore".into(), version: "0".into(), git_commit: None, binary_sha256: None };
    drop(LogWriter::create(&path("log"), "example.com/tests", &key, tool).unwrap());
    let config = r#"version = 1
[log]
path = "log"
origin = "example.com/tests"
[keys]
signing = "attestore.key"
hash = "attestore.hashkey"
[class.standard]
rto = "4h"
rpo = "24h"
test_period = "90d"
[[resource]]
id = "vault"
application = "files"
kind = "files"
class = "standard"
source = "dir:tree"
"#;
    std::fs::write(path("attestore.toml"), config).unwrap();
    std::fs::write(path("log.pub.pem"), key.verifying_key().to_pem()).unwrap();
    let config = path("attestore.toml").to_str().unwrap().to_owned();
    assert_eq!(code(&bench.create(&["--config", &config])), 2, "which resource?");
    let unknown = bench.create(&["--config", &config, "--resource", "valt"]);
    assert_eq!(code(&unknown), 2);
    assert!(stderr(&unknown).contains("vault"), "{}", stderr(&unknown));
    let created = bench.create(&["--config", &config, "--resource", "vault", "--recovery-point", "file:vault/monday"]);
    let end = summary(&created);
    assert_eq!((code(&created), &end["manifest_signature"], &end["log_entry"]), (0, &"verified".into(), &1.into()), "{}", stderr(&created));
    let entry = LogDir::open(&path("log")).unwrap().entry(1).unwrap();
    let Body::ManifestRegistered(registered) = entry.body else { panic!("{:?}", entry.body) };
    assert_eq!((registered.resource.0.as_str(), registered.manifest.to_string()), ("vault", end["manifest"].as_str().unwrap().to_owned()));
    assert_eq!(registered.recovery_point_id.unwrap().0, "file:vault/monday");
    let verified = bench.verify(&["--key", path("log.pub.pem").to_str().unwrap()]);
    assert_eq!((code(&verified), &summary(&verified)["manifest_signature"]), (0, &"verified".into()));
}

/// A second signal ends the command at once: half a manifest is none, whatever it had been at.
#[test]
fn a_capture_that_is_ended_at_once_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("out/manifest"));
    std::fs::create_dir(&tree).unwrap();
    // A hole: it takes no room, and a while to read.
    std::fs::File::create(tree.join("large")).unwrap().set_len(200 << 30).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    let command = command.args(["manifest", "create"]).arg(format!("dir:{}", tree.display())).arg("--out").arg(&out);
    let mut capture = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let inside = || std::fs::read_dir(out.parent().unwrap()).map_or(0, |entries| entries.count());
    while inside() == 0 {
        assert!(capture.try_wait().unwrap().is_none(), "it was at the large file for long enough");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Both are there when it looks.
    let pid = Pid::from_raw(i32::try_from(capture.id()).unwrap()).unwrap();
    for signal in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        kill_process(pid, signal).unwrap();
    }
    let code = capture.wait().unwrap().code();
    assert!(matches!(code, Some(130 | 3)), "{code:?}: the safe place may have been reached before the second was heard");
    assert_eq!(inside(), 0, "{code:?}");
}
