//! Manifests and other people's formats: what their tools write is read, what is written their tools accept, and whatever is wrong
//! with a list or a bag has a name.
//!
//! Contents: lists against `sha256sum` and `b3sum`; rclone's; round trips; what a list leaves out; bags against bagit-python; bags with
//! each fault; signatures and registration; any bytes. Tools that are not installed are skipped visibly unless `ATTESTORE_REQUIRE`
//! names them (`b3sum`, `bagit`).

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use attestore::model::capture::CaptureMode;
use attestore::model::digest::Digest32;
use attestore::model::failure::FailureKind;
use attestore::monitor::Silent;
use attestore::verify::manifest::exchange::bag_read;
use attestore::verify::manifest::exchange::export::export_list;
use attestore::verify::manifest::exchange::import::{ImportRequest, import_list};
use attestore::verify::manifest::exchange::lines::{self, ListFormat};
use attestore::verify::manifest::exchange::paths;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::DigestSet;
use proptest::prelude::*;
use serde_json::Value;

fn attestore(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap();
    assert_eq!(last["event"], "summary");
    last
}

fn shell(dir: &Path, text: &str) -> Output {
    Command::new("bash").arg("-euo").arg("pipefail").arg("-c").arg(text).current_dir(dir).env("LC_ALL", "C.UTF-8").output().unwrap()
}

/// Whether a foreign program is there; an absence is told, and a failure where it is required.
fn is_there(name: &str, found: bool) -> bool {
    let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
    assert!(found || !required.split(',').any(|one| one.trim() == name), "{name} is required and not installed");
    if !found {
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is not installed");
    }
    found
}

fn has_b3sum() -> bool {
    is_there("b3sum", Command::new("b3sum").arg("--version").stdout(Stdio::null()).status().is_ok())
}

/// A Python with bagit-python.
fn bagit() -> Option<PathBuf> {
    let python = std::env::var_os("ATTESTORE_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import bagit"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    is_there("bagit", found).then_some(python)
}

fn put(root: &Path, name: impl AsRef<OsStr>, content: &[u8]) {
    let path = root.join(name.as_ref());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Names that lists have to escape, quote or keep.
fn hostile_tree(root: &Path) {
    let names = [
        "plain.txt",
        "d/back\\slash",
        "d/line\nfeed",
        "d/both\\n\n",
        " leading",
        "*star",
        "trailing ",
        "é/ü",
        "%41",
        "SHA256 (x) = y",
        "-n",
    ];
    for (n, name) in names.into_iter().enumerate() {
        put(root, name, format!("content {n}").as_bytes());
    }
    put(root, "empty", b"");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn lists_of_sha256sum_come_in_verify_and_go_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, list, out) = (dir.path().join("tree"), dir.path().join("SHA256SUMS"), dir.path().join("m"));
    hostile_tree(&tree);
    put(&tree, "carriage\rreturn", b"cr");
    put(&tree, OsStr::from_bytes(b"d/\xff\xfe%41"), b"not utf-8");
    for (n, command) in
        ["find . -type f -print0 | xargs -0 sha256sum", "find . -type f -print0 | xargs -0 sha256sum --tag"].into_iter().enumerate()
    {
        let made = shell(&tree, &format!("{command} > '{}'", path(&list)));
        assert!(made.status.success(), "{}", said(&made));
        let out = out.join(n.to_string());
        let source = format!("dir:{}", path(&tree));
        let imported = attestore(&["manifest", "import", "sha256sum", path(&list), "--source", &source, "--out", path(&out), "--json"]);
        assert_eq!(code(&imported), 0, "{}", said(&imported));
        let end = summary(&imported);
        assert_eq!(end["counts"], serde_json::json!({"objects": 14, "size_unknown": 14}));
        assert_eq!((&end["imported"]["format"], &end["imported"]["evidence"]), (&"sha256sum".into(), &"listed".into()));
        assert_eq!((&end["imported"]["file"], &end["manifest_signature"]), (&"SHA256SUMS".into(), &"absent".into()));
        assert_eq!(end["imported"]["sha256"], Digest32::sha256(&std::fs::read(&list).unwrap()).hex());
        assert_eq!(Manifest::open(&out).unwrap().header().digests, ["sha256"], "only the digests that it has");
        let verified = attestore(&["verify", &source, "--manifest", path(&out), "--json"]);
        assert_eq!((code(&verified), &summary(&verified)["objects"]["match"]), (0, &14.into()), "{}", said(&verified));

        let again = dir.path().join(format!("again{n}"));
        let exported = attestore(&["manifest", "export", path(&out), "--format", "sha256sum", "--out", path(&again)]);
        assert_eq!(code(&exported), 0, "{}", said(&exported));
        let checked = shell(&tree, &format!("sha256sum --check --strict '{}'", path(&again)));
        assert!(checked.status.success(), "{}", said(&checked));
        assert_eq!(checked.stdout.iter().filter(|byte| **byte == b'\n').count(), 14);
    }
    put(&tree, "d/line\nfeed", b"changed");
    let verified = attestore(&["verify", &format!("dir:{}", path(&tree)), "--manifest", path(&out.join("0")), "--json"]);
    assert_eq!(code(&verified), 1, "{}", said(&verified));
    assert!(said(&verified).contains(r#""class":"mismatch""#) && said(&verified).contains("line\\nfeed"), "{}", said(&verified));
}

#[test]
fn lists_of_b3sum_come_in_verify_and_go_out_again() {
    if !has_b3sum() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (tree, list, out) = (dir.path().join("tree"), dir.path().join("B3SUMS"), dir.path().join("m"));
    hostile_tree(&tree);
    let made = shell(&tree, &format!("find . -type f -print0 | xargs -0 b3sum > '{}'", path(&list)));
    assert!(made.status.success(), "{}", said(&made));
    let imported = attestore(&["manifest", "import", "b3sum", path(&list), "--out", path(&out)]);
    assert_eq!(code(&imported), 0, "{}", said(&imported));
    assert!(said(&imported).contains("no content was read") && said(&imported).contains("source     unstated"), "{}", said(&imported));
    let verified = attestore(&["verify", &format!("dir:{}", path(&tree)), "--manifest", path(&out), "--json"]);
    assert_eq!((code(&verified), &summary(&verified)["objects"]["match"]), (0, &12.into()), "{}", said(&verified));
    let exported = attestore(&["manifest", "export", path(&out), "--format", "b3sum"]);
    std::fs::write(&list, &exported.stdout).unwrap();
    let checked = shell(&tree, &format!("b3sum --check '{}'", path(&list)));
    assert!(checked.status.success() && code(&exported) == 0, "{}", said(&checked));
}

#[test]
fn lists_of_rclone_need_to_be_told_their_digest_and_keep_what_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let (list, out) = (dir.path().join("list"), dir.path().join("m"));
    let digest = Digest32::blake3(b"x");
    std::fs::write(&list, format!("{digest}  a/b\n{:>64}  c\n", "UNSUPPORTED")).unwrap();
    let untold = attestore(&["manifest", "import", "rclone", path(&list), "--out", path(&out)]);
    assert_eq!(code(&untold), 2);
    assert!(said(&untold).contains("--digest blake3"), "{}", said(&untold));
    let imported = attestore(&["manifest", "import", "rclone", path(&list), "--digest", "blake3", "--out", path(&out), "--json"]);
    assert_eq!(code(&imported), 1, "a listed object without a digest is a finding: {}", said(&imported));
    assert_eq!(summary(&imported)["counts"], serde_json::json!({"objects": 1, "unreadable": 1, "size_unknown": 2}));
    let exported = attestore(&["manifest", "export", path(&out), "--format", "rclone", "--digest", "blake3"]);
    assert_eq!((code(&exported), exported.stdout), (3, format!("{digest}  a/b\n").into_bytes()), "one is left out");
    let other = attestore(&["manifest", "export", path(&out), "--format", "sha256sum"]);
    assert_eq!(code(&other), 2, "it has no SHA-256: {}", said(&other));
}

/// `rclone hashsum … remote:bucket/prefix` writes names relative to the prefix; a bucket's keys have it.
#[test]
fn a_list_that_was_made_below_a_prefix_is_not_taken_for_other_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (list, out) = (dir.path().join("list"), dir.path().join("m"));
    std::fs::write(&list, format!("{}  a/b\n", Digest32::sha256(b"x"))).unwrap();
    let import = |more: &[&str]| {
        let args = ["manifest", "import", "rclone", path(&list), "--digest", "sha256", "--source", "s3://vault/2026/", "--out", path(&out)];
        attestore(&[&args[..], more].concat())
    };
    let relative = import(&[]);
    assert_eq!(code(&relative), 2, "every key would be missing: {}", said(&relative));
    assert!(said(&relative).contains("line 1") && said(&relative).contains("--add-prefix 2026/"), "{}", said(&relative));
    assert!(!out.exists());
    assert_eq!(code(&import(&["--add-prefix", "2026/"])), 0);
    let rows: Vec<_> = Manifest::open(&out).unwrap().objects().map(|row| row.unwrap().key).collect();
    assert_eq!(rows, ["2026/a/b"]);
}

#[test]
fn what_a_list_has_no_place_for_is_counted_and_exit_3() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, out) = (dir.path().join("tree"), dir.path().join("m"));
    put(&tree, "a", b"1");
    std::os::unix::fs::symlink("a", tree.join("link")).unwrap();
    assert_eq!(code(&attestore(&["manifest", "create", &format!("dir:{}", path(&tree)), "--out", path(&out)])), 0);
    let exported = attestore(&["manifest", "export", path(&out), "--format", "sha256sum"]);
    assert_eq!(code(&exported), 3);
    assert!(said(&exported).contains("left out: 1 symlinks"), "{}", said(&exported));
    let partial = attestore(&["manifest", "export", path(&out), "--format", "sha256sum", "--partial", "--prefix", "/srv/"]);
    assert_eq!(code(&partial), 0);
    assert!(String::from_utf8_lossy(&partial.stdout).ends_with("  /srv/a\n"));
    std::fs::write(dir.path().join("list"), &partial.stdout).unwrap();
    let stripped = dir.path().join("stripped");
    let list = dir.path().join("list");
    let args = ["manifest", "import", "sha256sum", path(&list), "--strip-prefix", "/srv/", "--out", path(&stripped)];
    assert_eq!(code(&attestore(&args)), 0);
    let rows: Vec<_> = Manifest::open(&stripped).unwrap().objects().map(|row| row.unwrap().key).collect();
    assert_eq!(rows, ["a"]);
}

#[test]
fn bad_lists_name_the_line_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (list, out) = (dir.path().join("list"), dir.path().join("m"));
    let good = format!("{}  a\n", Digest32::sha256(b"a"));
    let other = format!("{}  a\n", Digest32::sha256(b"b"));
    let long = "x".repeat(70 << 10);
    for (content, expected) in [
        (format!("{good}not a line\n"), "line 2"),
        (format!("{good}d41d8cd98f00b204e9800998ecf8427e  md5\n"), "line 2"),
        (format!("{good}{other}"), "two digests"),
        (String::new(), "found none"),
        ("# only a comment\n".to_owned(), "found none"),
        (format!("{good}{long}"), "at most 65536 bytes"),
        (format!("{}  ./\n", Digest32::sha256(b"a")), "nothing is left of its name"),
    ] {
        std::fs::write(&list, content).unwrap();
        let imported = attestore(&["manifest", "import", "sha256sum", path(&list), "--out", path(&out)]);
        assert_eq!(code(&imported), 2, "{expected}: {}", said(&imported));
        assert!(said(&imported).contains(expected), "{expected}: {}", said(&imported));
        assert!(!out.exists());
    }
    std::fs::write(&list, format!("{good}{good}")).unwrap();
    assert_eq!(
        code(&attestore(&["manifest", "import", "sha256sum", path(&list), "--out", path(&out)])),
        0,
        "a line said twice is harmless"
    );
    assert_eq!(Manifest::open(&out).unwrap().objects().count(), 1);
    let taken = attestore(&["manifest", "import", "sha256sum", path(&list), "--out", path(&out)]);
    assert_eq!(code(&taken), 2, "{}", said(&taken));
    let mode =
        attestore(&["manifest", "import", "sha256sum", path(&list), "--out", path(&dir.path().join("n")), "--mode", "version-exact"]);
    assert!(code(&mode) == 2 && said(&mode).contains("nothing in it shows that"), "{}", said(&mode));
}

fn request(file: &Path, out: &Path) -> ImportRequest {
    ImportRequest {
        file: file.to_owned(),
        out: out.to_owned(),
        source: "unstated".into(),
        mode: CaptureMode::Sealed,
        captured: None,
        strip_prefix: Vec::new(),
        add_prefix: String::new(),
        recovery_point_id: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lists_round_trip_through_manifests(
        entries in prop::collection::btree_map(prop::collection::vec(prop_oneof![3 => any::<u8>(), 2 => prop::sample::select(&b"\\\n\r/a%"[..])], 1..12), any::<[u8; 32]>(), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (list, out) = (dir.path().join("list"), dir.path().join("m"));
        let mut text = Vec::new();
        let mut expected = std::collections::BTreeMap::new();
        for (name, digest) in &entries {
            let (key, escaped) = paths::key_of(name);
            let own = paths::path_of(&key, escaped) == *name && !name.contains(&0) && !name.starts_with(b"./") && name != b".";
            if own {
                lines::write(&mut text, name, &Digest32(*digest), ListFormat::Sha256sum).unwrap();
                expected.insert(name.clone(), *digest);
            }
        }
        prop_assume!(!expected.is_empty());
        std::fs::write(&list, &text).unwrap();
        import_list(&request(&list, &out), ListFormat::Sha256sum, DigestSet::SHA256, None, &Silent).unwrap();
        let mut again = Vec::new();
        let exported = export_list(&Manifest::open(&out).unwrap(), ListFormat::Sha256sum, DigestSet::SHA256, b"", &mut again, &Silent).unwrap();
        prop_assert!(exported.is_whole());
        let read = again.split_inclusive(|byte| *byte == b'\n').map(|line| lines::parse(line.strip_suffix(b"\n").unwrap(), ListFormat::Sha256sum).unwrap().unwrap());
        let found: std::collections::BTreeMap<Vec<u8>, [u8; 32]> = read.map(|line| (line.path, line.digest.unwrap().0)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_as_a_list_or_a_bag_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400), which in 0usize..3) {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        std::fs::write(&list, &bytes).unwrap();
        let format = [ListFormat::Sha256sum, ListFormat::B3sum, ListFormat::Rclone][which];
        let _ = import_list(&request(&list, &dir.path().join("m")), format, DigestSet::BLAKE3, None, &Silent);
        let bag = dir.path().join("bag");
        put(&bag, "data/a", b"a");
        put(&bag, "bagit.txt", if which == 0 { &bytes } else { b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n" });
        put(&bag, "manifest-sha256.txt", &bytes);
        put(&bag, if which == 1 { "tagmanifest-sha256.txt" } else { "bag-info.txt" }, &bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(bag_read::import_bag(&request(&bag, &dir.path().join("n")), None, &Silent)).is_err());
    }
}

/// A bag of ours over a tree, and its manifest.
fn bag_of(dir: &Path, tree: &Path) -> (PathBuf, PathBuf) {
    let (manifest, bag) = (dir.join("made"), dir.join("bag"));
    let created = attestore(&["manifest", "create", &format!("dir:{}", path(tree)), "--out", path(&manifest)]);
    assert_eq!(code(&created), 0, "{}", said(&created));
    let args = ["manifest", "export", path(&manifest), "--format", "bagit", "--payload", path(tree), "--out", path(&bag), "--json"];
    let exported = attestore(&args);
    assert_eq!(code(&exported), 0, "{}", said(&exported));
    (manifest, bag)
}

#[test]
fn bagit_python_accepts_our_bags_and_we_accept_its() {
    let Some(python) = bagit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    // Without `%`: bagit-python does not decode `%25`, which RFC 8493 asks for (§2.1.3).
    for name in ["a.txt", "d/line\nfeed", "d/carriage\rreturn", "é ü/x", " b", "back\\slash"] {
        put(&tree, name, name.as_bytes());
    }
    let (_, bag) = bag_of(dir.path(), &tree);
    let validate = |bag: &Path| Command::new(&python).args(["-m", "bagit", "--validate"]).arg(bag).output().unwrap();
    let valid = validate(&bag);
    assert!(valid.status.success(), "{}", said(&valid));
    put(&bag, "data/a.txt", b"b.txt");
    assert!(!validate(&bag).status.success(), "the check can fail");

    let theirs = dir.path().join("theirs");
    put(&theirs, "x%25/y\n", b"1");
    put(&theirs, "z", b"22");
    let made = Command::new(&python).args(["-m", "bagit", "--source-organization", "somebody"]).arg(&theirs).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let out = dir.path().join("m");
    let imported = attestore(&["manifest", "import", "bagit", path(&theirs), "--out", path(&out), "--json"]);
    assert_eq!(code(&imported), 0, "{}", said(&imported));
    assert_eq!(summary(&imported)["counts"], serde_json::json!({"objects": 2, "bytes": 3}));
    let verified = attestore(&["verify", &format!("dir:{}", path(&theirs.join("data"))), "--manifest", path(&out), "--json"]);
    assert_eq!((code(&verified), &summary(&verified)["objects"]["match"]), (0, &2.into()), "{}", said(&verified));
}

#[test]
fn a_bag_round_trips_and_is_not_written_of_files_that_differ() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    hostile_tree(&tree);
    let (manifest, bag) = bag_of(dir.path(), &tree);
    let out = dir.path().join("m");
    let imported = attestore(&["manifest", "import", "bagit", path(&bag), "--out", path(&out)]);
    assert_eq!(code(&imported), 0, "{}", said(&imported));
    let diff = attestore(&["manifest", "diff", path(&manifest), path(&out)]);
    assert_eq!(code(&diff), 0, "{}", said(&diff));

    put(&tree, "plain.txt", b"changed");
    std::fs::remove_file(tree.join("%41")).unwrap();
    let second = dir.path().join("second");
    let args = ["manifest", "export", path(&manifest), "--format", "bagit", "--payload", path(&tree), "--out", path(&second), "--json"];
    let exported = attestore(&args);
    assert_eq!((code(&exported), &summary(&exported)["refused"]), (1, &2.into()), "{}", said(&exported));
    assert!(said(&exported).contains(r#""class":"mismatch""#) && said(&exported).contains(r#""class":"missing""#));
    assert!(!second.exists());
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.as_bytes().starts_with(b".bag-")), "{names:?}");
}

#[test]
fn each_fault_of_a_bag_is_named() {
    type Fault = fn(&Path);
    let faults: [(&str, i32, Fault); 11] = [
        ("fetch.txt", 1, |bag| put(bag, "fetch.txt", b"http://127.0.0.1/x - data/x\n")),
        ("data/a is listed and not there", 1, |bag| std::fs::remove_file(bag.join("data/a")).unwrap()),
        ("data/new is there and not listed", 1, |bag| put(bag, "data/new", b"")),
        ("Payload-Oxum", 1, |bag| put(bag, "data/a", b"longer than before")),
        ("tag file bag-info.txt", 1, |bag| put(bag, "bag-info.txt", b"Payload-Oxum: 9.9\n")),
        ("tag file bagit.txt", 1, |bag| put(bag, "bagit.txt", b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n")),
        ("data/a is a symlink", 1, |bag| {
            std::fs::remove_file(bag.join("data/a")).unwrap();
            std::os::unix::fs::symlink("b", bag.join("data/a")).unwrap();
        }),
        ("found BagIt version", 1, |_| {}),
        ("bagit.txt is not there", 2, |bag| std::fs::remove_file(bag.join("bagit.txt")).unwrap()),
        ("found manifest-md5.txt", 2, |bag| {
            std::fs::remove_file(bag.join("tagmanifest-sha256.txt")).unwrap();
            std::fs::rename(bag.join("manifest-sha256.txt"), bag.join("manifest-md5.txt")).unwrap();
        }),
        ("`data/../x` cannot be used", 2, |bag| {
            std::fs::remove_file(bag.join("tagmanifest-sha256.txt")).unwrap();
            put(bag, "manifest-sha256.txt", format!("{}  data/../x\n", "0".repeat(64)).as_bytes());
        }),
    ];
    for (expected, exit, fault) in faults {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        put(&tree, "a", b"1");
        put(&tree, "b", b"2");
        let (_, bag) = bag_of(dir.path(), &tree);
        fault(&bag);
        let expected = if expected == "found BagIt version" {
            put(&bag, "bagit.txt", b"BagIt-Version: 3.0\nTag-File-Character-Encoding: UTF-8\n");
            "found `3.0`"
        } else {
            expected
        };
        let out = dir.path().join("m");
        let imported = attestore(&["manifest", "import", "bagit", path(&bag), "--out", path(&out)]);
        assert_eq!(code(&imported), exit, "{expected}: {}", said(&imported));
        assert!(said(&imported).contains(expected), "{expected}: {}", said(&imported));
        assert!(!out.exists(), "{expected}");
    }
}

#[test]
fn an_imported_manifest_is_signed_and_registered_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, list) = (dir.path().join("tree"), dir.path().join("list"));
    put(&tree, "a", b"1");
    std::fs::write(&list, format!("{}  a\n", Digest32::sha256(b"1"))).unwrap();
    let config = dir.path().join("attestore.toml");
    let made = attestore(&["init", "--dir", path(dir.path())]);
    assert_eq!(code(&made), 0, "{}", said(&made));
    let text = std::fs::read_to_string(&config).unwrap();
    let class =
        "[class.lists]\nrto = \"4h\"\nrpo = \"24h\"\ntest_period = \"90d\"\nsample = { count = 1 }\nwhen_no_manifest = \"untested\"\n";
    let resource = "[[resource]]\nid = \"listed\"\napplication = \"lists\"\nkind = \"files\"\nclass = \"lists\"\nsource = \"dir:tree\"\nmanifests = \"manifests\"\n";
    std::fs::write(&config, format!("{text}\n{class}\n{resource}")).unwrap();
    let out = dir.path().join("manifests/m");
    let args =
        ["manifest", "import", "sha256sum", path(&list), "--out", path(&out), "--config", path(&config), "--resource", "listed", "--json"];
    let imported = attestore(&args);
    assert_eq!(code(&imported), 0, "{}", said(&imported));
    let end = summary(&imported);
    assert_eq!(end["manifest_signature"], "verified");
    assert!(end["log_entry"].as_u64().is_some_and(|entry| entry > 0), "{end}");
    let log = attestore(&["log", "show", path(&dir.path().join("log")), "--json"]);
    assert!(said(&log).contains("manifest.registered") && said(&log).contains(end["manifest"].as_str().unwrap()), "{}", said(&log));
    let failure = Manifest::open(&list).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
}
