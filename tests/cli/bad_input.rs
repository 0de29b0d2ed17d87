//! Bad input to the running program: what is missing, unreadable, wrong, hostile or full. Every case ends with a message that names the
//! thing and what to do, with the exit code of the contract, and with journal and log as they were.
//!
//! Contents: what a drill needs; manifests; sources in the stand-in AWS; bodies that break off and objects that are refused; hostile keys;
//! empty sources; database servers; full disks; the command line itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use crate::drill_estate::Estate;
use crate::servers;
use attestore::aws::session::Session;
use attestore::restore::journal::Journal;
use attestore::sandbox::s3::faults::Fault;
use attestore::sandbox::server::{Running, Sandbox};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;

/// How one run has to end.
struct Expected {
    code: i32,
    /// Words of the message or the hint.
    says: &'static [&'static str],
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The last line, which is a summary with the process's own exit code.
fn summary(what: &str, output: &Output) -> Value {
    let last = lines(output).pop().unwrap_or_else(|| panic!("{what}: nothing on stdout: {}", stderr(output)));
    assert_eq!((&last["event"], last["exit_code"].as_i64()), (&"summary".into(), output.status.code().map(i64::from)), "{what}: {last}");
    assert!(last["command"].is_string() && last["outcome"].is_string(), "{what}: {last}");
    last
}

/// A refusal: its code, its words, a hint, and nothing twice in the message.
fn refused(what: &str, output: &Output, expected: &Expected) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(expected.code), "{what}: {said}");
    let last = summary(what, output);
    let message = last["error"]["message"].as_str().unwrap_or_else(|| panic!("{what}: no error in {last}")).to_owned();
    assert!(said.contains(&format!("error: {message}")), "{what}: {said}");
    assert!(said.contains("\n\nhint: "), "{what}: no hint: {said}");
    for words in expected.says {
        assert!(said.contains(words), "{what}: expected `{words}` in: {said}");
    }
    assert!(!said.contains("panicked"), "{what}: {said}");
    if let Some((head, tail)) = message.rsplit_once(": ") {
        assert!(!head.ends_with(tail), "{what}: said twice: {message}");
    }
}

fn run(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(args).current_dir(folder).env_remove("AWS_PROFILE").env_remove("PGPASSWORD").env_remove("MYSQL_PWD");
    command.envs(environment.iter().copied()).output().unwrap()
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(listing) = std::fs::read_dir(&folder) else { continue };
        for entry in listing {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != ".lock") {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn copy_file(estate: &Estate, from: &str, to: &str) {
    std::fs::copy(estate.path(from), estate.path(to)).unwrap();
}

fn write(estate: &Estate, name: &str, text: &[u8]) {
    std::fs::write(estate.path(name), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_drill_needs_is_missed_by_name_before_anything_is_touched() {
    type Damage = fn(&Estate);
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let cases: [(&str, Damage, Expected); 19] = [
        (
            "no configuration",
            |estate| std::fs::remove_file(estate.path("attestore.toml")).unwrap(),
            Expected { code: 2, says: &["attestore.toml", "attestore init"] },
        ),
        (
            "a directory for a configuration",
            |estate| {
                std::fs::remove_file(estate.path("attestore.toml")).unwrap();
                std::fs::create_dir(estate.path("attestore.toml")).unwrap();
            },
            Expected { code: 2, says: &["attestore.toml", "expected a TOML file"] },
        ),
        ("not TOML", |estate| write(estate, "attestore.toml", b"version = ["), Expected { code: 2, says: &["attestore.toml:1"] }),
        ("a key unknown", |estate| estate.configure("colour = 1\n"), Expected { code: 2, says: &["colour", "config check"] }),
        (
            "no signing key",
            |estate| std::fs::remove_file(estate.path("attestore.key")).unwrap(),
            Expected { code: 2, says: &["attestore.key", "found nothing"] },
        ),
        ("a signing key of junk", |estate| write(estate, "attestore.key", b"junk"), Expected { code: 2, says: &["PKCS#8"] }),
        (
            "a signing key that others may read",
            |estate| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                std::fs::set_permissions(estate.path("attestore.key"), mode).unwrap();
            },
            Expected { code: 2, says: &["expected mode 0600, found 0644", "chmod 600"] },
        ),
        (
            "the key of another log",
            |estate| {
                attestore::signing::keys::SigningKey::generate(&estate.path("other.key")).unwrap();
                copy_file(estate, "other.key", "attestore.key");
            },
            Expected { code: 2, says: &["`signing` in attestore.toml must name the key"] },
        ),
        (
            "no hash key",
            |estate| std::fs::remove_file(estate.path("attestore.hashkey")).unwrap(),
            Expected { code: 2, says: &["hash key", "found nothing"] },
        ),
        ("a hash key too short", |estate| write(estate, "attestore.hashkey", b"aa"), Expected { code: 2, says: &["64 lower-case hex"] }),
        (
            "no log",
            |estate| std::fs::remove_dir_all(estate.path("log")).unwrap(),
            Expected { code: 2, says: &["log.json", "never made silently"] },
        ),
        (
            "a log with a gap",
            |estate| std::fs::remove_file(estate.path("log/entries/00000001.json")).unwrap(),
            Expected { code: 1, says: &["testing log", "log verify"] },
        ),
        (
            "a log with a changed entry",
            |estate| {
                let path = "log/entries/00000002.json";
                let text = std::fs::read_to_string(estate.path(path)).unwrap();
                write(estate, path, text.replace("\"sealed\"", "\"dual-path\"").as_bytes());
            },
            Expected { code: 1, says: &["testing log", "log verify"] },
        ),
        (
            "a log with an entry of junk",
            |estate| write(estate, "log/entries/00000001.json", b"{}{"),
            Expected { code: 1, says: &["testing log", "log verify"] },
        ),
        (
            "a check pack unknown",
            |estate| {
                let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
                write(estate, "attestore.toml", text.replace("test_period", "checks = [\"nope\"]\ntest_period").as_bytes());
            },
            Expected { code: 2, says: &["nope"] },
        ),
        (
            "two checks of one id",
            |estate| {
                let check = "--! id = \"own.x\"\n--! engines = [\"sqlite\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\nSELECT 1";
                ["one.sql", "other.sql"].iter().for_each(|name| write(estate, name, check.as_bytes()));
                let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
                let checks = "checks = [\"./one.sql\", \"structure-sqlite\", \"./other.sql\"]\ntest_period";
                write(estate, "attestore.toml", text.replace("test_period", checks).as_bytes());
            },
            Expected { code: 2, says: &["class `c`", "own.x", "one.sql", "other.sql"] },
        ),
        (
            "a check pack named twice",
            |estate| {
                let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
                let checks = "checks = [\"structure-sqlite\", \"structure-sqlite\"]\ntest_period";
                write(estate, "attestore.toml", text.replace("test_period", checks).as_bytes());
            },
            Expected { code: 2, says: &["structure-sqlite is named twice"] },
        ),
        (
            "a journal of junk",
            |estate| write(estate, "attestore.journal", &[b'j'; 8192]),
            Expected { code: 2, says: &["attestore.journal", "found no SQLite database", "put the journal back"] },
        ),
        (
            "a directory for a journal",
            |estate| std::fs::create_dir(estate.path("attestore.journal")).unwrap(),
            Expected { code: 5, says: &["attestore.journal"] },
        ),
    ];
    for (index, (what, damage, expected)) in cases.iter().enumerate() {
        let estate = laid.copy_to(&folder.path().join(index.to_string()));
        damage(&estate);
        let log = contents(&estate.path("log"));
        // A plan needs no journal, for it takes no step.
        let commands: &[&[&str]] =
            if what.contains("journal") { &[&["drill", "--json"]] } else { &[&["plan", "--json"], &["drill", "--json"]] };
        for args in commands {
            refused(&format!("{what}: {args:?}"), &run(&estate.folder, args, &[]), expected);
            assert!(contents(&estate.path("log")) == log, "{what}: the log was written to");
            assert!(estate.leftovers().is_empty(), "{what}");
            if !what.contains("journal") && estate.path("attestore.journal").exists() {
                let journal = Journal::open(&estate.path("attestore.journal")).unwrap();
                assert!(journal.state().drills.is_empty(), "{what}");
            }
        }
    }
}

/// Parts of the estate that are missing while a drill runs stop one case, never the drill: it is told, recorded, and the log verifies.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_for_one_case_is_that_cases_error() {
    type Damage = fn(&Estate);
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let part = |estate: &Estate| estate.path("manifests/app/good.db/part-00000.parquet");
    let cases: [(&str, Damage, Expected); 5] = [
        (
            "no directory of manifests",
            |estate| std::fs::remove_dir_all(estate.path("manifests/app")).unwrap(),
            // The damaged tree is found all the same, and findings weigh more.
            Expected { code: 1, says: &["cannot list the manifests", "hint: "] },
        ),
        (
            "a registered manifest that is gone",
            |estate| std::fs::remove_dir_all(estate.path("manifests/app/good.db")).unwrap(),
            Expected { code: 1, says: &["is not in", "hint: "] },
        ),
        (
            "a stripped signature",
            |estate| std::fs::remove_file(estate.path("manifests/app/good.db/manifest.sig")).unwrap(),
            Expected { code: 1, says: &["its signature is absent", "hint: "] },
        ),
        (
            "a vault that is gone",
            |estate| std::fs::remove_dir_all(estate.path("vault/app")).unwrap(),
            Expected { code: 1, says: &["resource `app` could not be listed"] },
        ),
        (
            "a part with a flipped byte",
            |estate| {
                let path = estate.path("manifests/app/good.db/part-00000.parquet");
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[40] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            },
            Expected { code: 1, says: &["expected SHA-256", "hint: "] },
        ),
    ];
    assert!(part(&laid).is_file());
    for (index, (what, damage, expected)) in cases.iter().enumerate() {
        let estate = laid.copy_to(&folder.path().join(index.to_string()));
        damage(&estate);
        let output = run(&estate.folder, &["drill", "--json"], &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(expected.code), "{what}: {said}");
        summary(what, &output);
        for words in expected.says {
            assert!(said.contains(words), "{what}: expected `{words}` in: {said}");
        }
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{what}: {:?}", verdict.faults);
        let good = estate.results().into_iter().find(|result| result.rp.id.0 == "file:app/good.db");
        assert!(good.is_none_or(|good| !good.outcome.is_pass()), "{what}");
        assert!(estate.leftovers().is_empty(), "{what}");
        let journal = Journal::open(&estate.path("attestore.journal")).unwrap().state();
        assert!(journal.unfinished().is_empty(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_do_not_hold_are_refused_before_anything_is_read() {
    type Damage = fn(&Path);
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let key = attestore::signing::keys::SigningKey::load(&laid.path("attestore.key")).unwrap();
    std::fs::write(laid.path("log.pub.pem"), key.verifying_key().to_pem()).unwrap();
    let other = attestore::signing::keys::SigningKey::generate(&laid.path("other.key")).unwrap();
    std::fs::write(laid.path("other.pem"), other.verifying_key().to_pem()).unwrap();
    let nothing: Damage = |_| {};
    let cases: [(&str, Damage, &[&str], Expected); 10] = [
        ("absent", |m| std::fs::remove_dir_all(m).unwrap(), &[], Expected { code: 2, says: &["no manifest at", "manifest create"] }),
        (
            "without its header",
            |m| std::fs::remove_file(m.join("manifest.json")).unwrap(),
            &[],
            Expected { code: 2, says: &["manifest.json is not there"] },
        ),
        ("of junk", |m| std::fs::write(m.join("manifest.json"), "{").unwrap(), &[], Expected { code: 2, says: &["is not JSON"] }),
        (
            "changed",
            |m| {
                let text = std::fs::read_to_string(m.join("manifest.json")).unwrap();
                std::fs::write(m.join("manifest.json"), text.replace("sealed", "dual-path")).unwrap();
            },
            &[],
            Expected { code: 1, says: &["its signature is not for this manifest.json"] },
        ),
        (
            "with a signature of junk",
            |m| std::fs::write(m.join("manifest.sig"), "junk").unwrap(),
            &[],
            Expected { code: 1, says: &["signature"] },
        ),
        (
            "with a stripped signature, which is no evidence rather than bad evidence",
            |m| std::fs::remove_file(m.join("manifest.sig")).unwrap(),
            &["--key", "log.pub.pem"],
            Expected { code: 3, says: &["expected a signature by the key given, found none", "--sign-key"] },
        ),
        ("signed by another", nothing, &["--key", "other.pem"], Expected { code: 1, says: &["signed by another key"] }),
        ("with a key that is absent", nothing, &["--key", "nope.pem"], Expected { code: 2, says: &["nope.pem", "found nothing"] }),
        (
            "with a flipped byte",
            |m| {
                let path = m.join("part-00000.parquet");
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[40] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            },
            &[],
            Expected { code: 1, says: &["part-00000.parquet", "expected SHA-256"] },
        ),
        (
            "without a part",
            |m| std::fs::remove_file(m.join("part-00000.parquet")).unwrap(),
            &[],
            Expected { code: 1, says: &["part-00000.parquet", "missing"] },
        ),
    ];
    for (index, (what, damage, more, expected)) in cases.iter().enumerate() {
        let estate = laid.copy_to(&folder.path().join(index.to_string()));
        damage(&estate.path("manifests/files/good"));
        let args = [&["verify", "dir:vault/files/good", "--manifest", "manifests/files/good", "--json"], *more].concat();
        let output = run(&estate.folder, &args, &[]);
        refused(what, &output, expected);
        assert!(lines(&output).iter().all(|line| line["event"] != "finding"), "{what}: something was read");
        // Looking at it says the same, as far as it needs no key.
        if more.is_empty() {
            let shown = run(&estate.folder, &["manifest", "show", "manifests/files/good", "--json"], &[]);
            assert_eq!(shown.status.code(), Some(expected.code), "{what}: {}", stderr(&shown));
            summary(what, &shown);
        }
    }
}

/// The stand-in with three buckets and two tables.
struct Cloud {
    running: Running,
    s3: aws_sdk_s3::Client,
    folder: tempfile::TempDir,
    hash_key: String,
}

const KEYS: usize = 12;

impl Cloud {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Sandbox::start(&folder.path().join("sandbox"), None).await.unwrap();
        let session = Session::load(&running.session_options()).await;
        let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
        for bucket in ["vault", "empty", "hostile"] {
            s3.create_bucket().bucket(bucket).send().await.unwrap();
            let versioning = aws_sdk_s3::types::VersioningConfiguration::builder().status("Enabled".into()).build();
            s3.put_bucket_versioning().bucket(bucket).versioning_configuration(versioning).send().await.unwrap();
        }
        let dynamodb = aws_sdk_dynamodb::Client::new(session.config());
        let (key, id) = (
            aws_sdk_dynamodb::types::KeySchemaElement::builder().attribute_name("id").key_type("HASH".into()).build().unwrap(),
            aws_sdk_dynamodb::types::AttributeDefinition::builder().attribute_name("id").attribute_type("S".into()).build().unwrap(),
        );
        let table = dynamodb.create_table().table_name("empty-table").key_schema(key).attribute_definitions(id);
        table.billing_mode("PAY_PER_REQUEST".into()).send().await.unwrap();
        attestore::signing::hash_key::HashKey::create(&folder.path().join("hashkey")).unwrap();
        let cloud = Self { hash_key: folder.path().join("hashkey").display().to_string(), running, s3, folder };
        for n in 0..KEYS {
            cloud.put("vault", &format!("k{n:02}"), vec![n as u8; 300_000]).await;
        }
        cloud
    }

    async fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes)).send().await.unwrap();
    }

    /// Runs the program against the stand-in, with `changed` over its environment.
    fn run(&self, args: &[&str], changed: &[(&str, &str)]) -> Output {
        let endpoint = self.running.endpoint();
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", attestore::sandbox::identity::REGION),
            ("AWS_ACCESS_KEY_ID", attestore::sandbox::identity::ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", attestore::sandbox::identity::SECRET_ACCESS_KEY),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/nowhere/config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials"),
        ];
        environment.retain(|(name, _)| !changed.iter().any(|(other, value)| name == other && value.is_empty()));
        environment.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
        run(self.folder.path(), args, &environment)
    }

    fn captured(&self, source: &str, out: &str) {
        let output = self.run(&["manifest", "create", source, "--out", out, "--hash-key", &self.hash_key, "--json"], &[]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_in_aws_that_are_absent_or_refuse_say_which_call_and_what_to_do() {
    let cloud = Cloud::new().await;
    type Changed = &'static [(&'static str, &'static str)];
    let plain: Changed = &[];
    let no_credentials: Changed = &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    let cases: [(&str, Changed, Expected); 11] = [
        ("s3://no-such-bucket", plain, Expected { code: 4, says: &["no-such-bucket", "check the bucket's name"] }),
        ("dynamodb:no-such-table", plain, Expected { code: 4, says: &["no-such-table", "check the table's name"] }),
        ("s3://vault", &[("AWS_SECRET_ACCESS_KEY", "wrong")], Expected { code: 4, says: &["s3:", "vault", "AWS_PROFILE"] }),
        ("s3://vault", &[("AWS_ACCESS_KEY_ID", "AKIAWRONG")], Expected { code: 4, says: &["InvalidAccessKeyId", "AWS_PROFILE"] }),
        ("dynamodb:empty-table", &[("AWS_SECRET_ACCESS_KEY", "wrong")], Expected { code: 4, says: &["dynamodb:", "AWS_PROFILE"] }),
        ("s3://vault", no_credentials, Expected { code: 4, says: &["no AWS credentials", "AWS_PROFILE"] }),
        ("s3://vault", &[("AWS_REGION", "")], Expected { code: 2, says: &["no AWS Region", "AWS_REGION"] }),
        ("s3://vault", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")], Expected { code: 5, says: &["refused", "AWS_ENDPOINT_URL"] }),
        ("s3://vault", &[("AWS_ENDPOINT_URL", "junk")], Expected { code: 2, says: &["not a valid URI", "AWS_ENDPOINT_URL"] }),
        ("dir:no/such/tree", plain, Expected { code: 4, says: &["no/such/tree", "check the path"] }),
        ("sqlite:no-such.db", plain, Expected { code: 4, says: &["no-such.db", "check the path"] }),
    ];
    for (source, changed, expected) in &cases {
        let args = ["manifest", "create", source, "--out", "never", "--hash-key", &cloud.hash_key, "--json"];
        let what = format!("{source} {changed:?}");
        refused(&what, &cloud.run(&args, changed), expected);
        assert!(!cloud.folder.path().join("never").exists(), "{what}: a manifest was left");
    }
    cloud.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_and_refused_objects_are_unreadable_and_nothing_else_suffers() {
    let cloud = Cloud::new().await;
    cloud.captured("s3://vault", "whole");
    let faults = cloud.running.faults();
    let verify = ["verify", "s3://vault", "--manifest", "whole", "--json"];
    // Once is mended by going on from where it broke.
    for fault in [Fault::CutAfter(100_000), Fault::ShortLength(100_000)] {
        faults.on_get("vault", "k05", 1, 1, fault.clone());
        let output = cloud.run(&verify, &[]);
        if fault == Fault::CutAfter(100_000) {
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        }
        faults.clear();
    }
    for (n, fault) in [Fault::CutAfter(1000), Fault::CutAfter(0), Fault::AccessDenied].into_iter().enumerate() {
        faults.on_get("vault", "k05", 1, 10_000, fault.clone());
        let output = cloud.run(&verify, &[]);
        // Nothing was seen of the object, and nothing is said against it: no finding of the data, and no pass.
        let (code, why) = if fault == Fault::AccessDenied { (4, "denied") } else { (5, "network") };
        assert_eq!(output.status.code(), Some(code), "{fault:?}: {}", stderr(&output));
        let last = summary("verify", &output);
        assert_eq!((&last["outcome"], last["unread"][why].as_u64()), (&"inconclusive".into(), Some(1)), "{fault:?}: {last}");
        let objects = &last["objects"];
        assert_eq!((objects["unreadable"].as_u64(), objects["match"].as_u64()), (Some(1), Some(KEYS as u64 - 1)), "{fault:?}: {objects}");
        assert_eq!((objects["mismatch"].as_u64(), objects["missing"].as_u64()), (Some(0), Some(0)), "{fault:?}: {objects}");
        let out = format!("partial-{n}");
        let output = cloud.run(&["manifest", "create", "s3://vault", "--out", &out, "--json"], &[]);
        let last = summary("create", &output);
        assert_eq!((output.status.code(), &last["outcome"]), (Some(code), &"inconclusive".into()), "{fault:?}: {}", stderr(&output));
        assert_eq!((last["counts"]["unreadable"].as_u64(), last["counts"]["objects"].as_u64()), (Some(1), Some(KEYS as u64 - 1)));
        let named = lines(&output).iter().any(|line| line["event"] == "finding" && line["class"] == "unreadable" && line["key"] == "k05");
        assert!(named, "{fault:?}");
        faults.clear();
    }
    // A source that refuses everything has no manifest.
    faults.on_next(10_000, Fault::AccessDenied);
    let output = cloud.run(&["manifest", "create", "s3://vault", "--out", "never", "--json"], &[]);
    refused("all denied", &output, &Expected { code: 4, says: &["AccessDenied", "may not make this call"] });
    assert!(!cloud.folder.path().join("never").exists());
    faults.clear();
    cloud.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_and_empty_sources_come_through_as_they_are() {
    let cloud = Cloud::new().await;
    let long = "l".repeat(1024);
    let keys = [
        "a\nb",
        "../x",
        "a/../b",
        "..",
        "sp ace ",
        "p+lus",
        "%41",
        "a%2Fb",
        &long,
        "é/ü",
        "/lead",
        "trail/",
        "a//b",
        "&<>\"'",
        "\u{1}\u{7f}",
    ];
    for key in keys {
        cloud.put("hostile", key, format!("content of {key}").into_bytes()).await;
    }
    cloud.captured("s3://hostile", "hostile");
    for view in ["versions", "latest"] {
        let output = cloud.run(&["verify", "s3://hostile", "--manifest", "hostile", "--view", view, "--json"], &[]);
        let last = summary(view, &output);
        assert_eq!((output.status.code(), last["objects"]["match"].as_u64()), (Some(0), Some(keys.len() as u64)), "{view}: {last}");
    }
    for key in keys {
        cloud.s3.delete_object().bucket("hostile").key(key).send().await.unwrap();
    }
    let output = cloud.run(&["verify", "s3://hostile", "--manifest", "hostile", "--view", "latest", "--json"], &[]);
    let mut missing: Vec<String> = lines(&output)
        .iter()
        .filter(|line| line["event"] == "finding" && line["class"] == "missing")
        .map(|line| line["key"].as_str().unwrap().to_owned())
        .collect();
    let mut expected: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    missing.sort();
    expected.sort();
    assert_eq!(missing, expected, "every key as it is");
    // For people, one line a finding: no key draws on the terminal.
    let human = stderr(&cloud.run(&["verify", "s3://hostile", "--manifest", "hostile", "--view", "latest"], &[]));
    assert!(human.contains("a\\nb") && !human.contains('\u{1}'), "{human}");

    std::fs::create_dir(cloud.folder.path().join("tree")).unwrap();
    std::fs::write(cloud.folder.path().join("bare.db"), b"").unwrap();
    for (n, source) in
        ["s3://empty", "s3://vault/no-such-prefix", "dynamodb:empty-table", "dir:tree", "sqlite:bare.db"].into_iter().enumerate()
    {
        let out = format!("empty-{n}");
        let output = cloud.run(&["manifest", "create", source, "--out", &out, "--hash-key", &cloud.hash_key, "--json"], &[]);
        let last = summary(source, &output);
        assert_eq!((output.status.code(), &last["outcome"]), (Some(3), &"inconclusive".into()), "{source}: {}", stderr(&output));
        assert!(stderr(&output).contains("is empty: its manifest is written, and proves nothing"), "{}", stderr(&output));
        let output = cloud.run(&["verify", source, "--manifest", &out, "--hash-key", &cloud.hash_key, "--json"], &[]);
        let last = summary(source, &output);
        assert_eq!((output.status.code(), &last["outcome"]), (Some(3), &"inconclusive".into()), "{source}: {}", stderr(&output));
    }
    cloud.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn database_servers_that_refuse_say_why() {
    let folder = tempfile::tempdir().unwrap();
    attestore::signing::hash_key::HashKey::create(&folder.path().join("hashkey")).unwrap();
    for kind in [servers::Kind::Postgres, servers::Kind::Mariadb] {
        let Some(server) = servers::own(kind) else { continue };
        let database = if kind == servers::Kind::Postgres { "postgres" } else { "mysql" };
        let right = [("PGPASSWORD", servers::PASSWORD), ("MYSQL_PWD", servers::PASSWORD)];
        let wrong = [("PGPASSWORD", "wrong-secret"), ("MYSQL_PWD", "wrong-secret")];
        let url = server.url(database);
        type Environment<'a> = &'a [(&'a str, &'a str)];
        let cases: [(String, Environment, Expected); 4] = [
            (url.clone(), &wrong, Expected { code: 4, says: &["hint: check the user, and that the password"] }),
            (url.replace(servers::USER, "nobody"), &right, Expected { code: 4, says: &["nobody", "hint: check the user"] }),
            (
                server.url("no_such_database"),
                &right,
                Expected { code: 4, says: &["no_such_database", "hint: check the name of the database"] },
            ),
            (
                url.replace(&format!(":{}/", server.port()), ":1/"),
                &right,
                Expected { code: 5, says: &["hint: check the host and the port"] },
            ),
        ];
        for (url, environment, expected) in &cases {
            let create = ["manifest", "create", url.as_str(), "--out", "never", "--hash-key", "hashkey", "--json"];
            for args in [&create[..], &["check", url.as_str(), "--json"]] {
                let output = run(folder.path(), args, environment);
                refused(&format!("{args:?}"), &output, expected);
                assert!(!stderr(&output).contains("secret"), "a password is never shown");
            }
            assert!(!folder.path().join("never").exists());
        }
    }
}

/// Runs the program with files limited to so many blocks of 512 bytes, as on a disk that fills up: writing beyond fails.
fn run_on_full_disk(folder: &Path, blocks: u64, args: &[&str]) -> Output {
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_attestore")]).args(args).current_dir(folder).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_everything_ends_in_order_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let key = attestore::signing::keys::SigningKey::load(&laid.path("attestore.key")).unwrap();
    std::fs::write(laid.path("log.pub.pem"), key.verifying_key().to_pem()).unwrap();
    let create = ["manifest", "create", "dir:vault/files/good", "--out", "never", "--json"];
    refused("create", &run_on_full_disk(&laid.folder, 1, &create), &Expected { code: 5, says: &["part-00000.parquet", "make room"] });
    assert!(!laid.path("never").exists());
    let register = [&create[..], &["--config", "attestore.toml", "--resource", "files"]].concat();
    let log = contents(&laid.path("log"));
    refused("register", &run_on_full_disk(&laid.folder, 0, &register), &Expected { code: 5, says: &["cannot write", "make room"] });
    assert!(laid.verdict().holds() && contents(&laid.path("log")) == log);
    let report = ["report", "--log", "log", "--key", "log.pub.pem", "--out", "report.html", "--json"];
    refused("report", &run_on_full_disk(&laid.folder, 2, &report), &Expected { code: 5, says: &["report.html"] });
    assert!(!laid.path("report.html").exists());
    // What is no file is never replaced by one.
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let onto = ["report", "--log", "log", "--key", "log.pub.pem", "--out", "../socket", "--json"];
    refused("onto a socket", &run(&laid.folder, &onto, &[]), &Expected { code: 2, says: &["expected a file or nothing"] });
    refused("init", &run_on_full_disk(&laid.folder, 0, &["init", "--dir", "new", "--json"]), &Expected { code: 5, says: &["new"] });
    assert!(!laid.path("new").exists());

    let mut ended_early = 0;
    for blocks in [0, 1, 2, 4, 8, 40, 70, 100, 140, 200, 300, 500] {
        let estate = laid.copy_to(&folder.path().join(blocks.to_string()));
        let output = run_on_full_disk(&estate.folder, blocks, &["drill", "--json"]);
        let said = stderr(&output);
        assert!(!said.contains("panicked"), "{blocks}: {said}");
        let last = summary(&blocks.to_string(), &output);
        let verdict = estate.verdict();
        assert!(verdict.faults.is_empty(), "{blocks}: {:?}", verdict.faults);
        if last["error"].is_object() {
            ended_early += 1;
            // What stands outweighs the full disk, and is named with what to do about it.
            let expected = if said.contains("; left behind: ") { 6 } else { 5 };
            assert_eq!(output.status.code(), Some(expected), "{blocks}: {said}");
            assert!(expected == 5 || said.contains("attestore sweep --apply"), "{blocks}: {said}");
            let unfinished = Journal::open(&estate.path("attestore.journal")).is_ok_and(|journal| !journal.state().unfinished().is_empty());
            let next: &[&str] = if unfinished { &["drill", "--resume", "--json"] } else { &["drill", "--json"] };
            let output = run(&estate.folder, next, &[]);
            // Whatever could not be restored or recorded for want of room is told, and never a pass.
            assert_eq!(output.status.code(), Some(1), "{blocks}: {}", stderr(&output));
        }
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{blocks}: {:?}", verdict.faults);
        assert!(estate.leftovers().is_empty(), "{blocks}: {:?}", estate.leftovers());
        let bad = |id: &str| estate.results().into_iter().any(|result| result.rp.id.0 == id && result.outcome.is_pass());
        assert!(!bad("file:app/bad.db") && !bad("file:files/bad"), "{blocks}");
    }
    assert!(ended_early > 3, "{ended_early}");
}

#[test]
fn mistakes_on_the_command_line_end_with_a_summary_too() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(201);
    let cases: [(&[&str], &str); 10] = [
        (&["verify", "sqlite:one.db", "--against", "sqlite:two.db", "--state", "kept", "--json"], "verify"),
        (&["--json"], ""),
        (&["check", "sqlite:x", "--pack", "structure-sqlite", "--pack", "structure-sqlite", "--json"], "check"),
        (&["log", "verify", "--json"], "log verify"),
        (&["drill", "--json", "--title", &long], "drill"),
        (&["drill", "--frobnicate", "--json"], "drill"),
        (&["--json", "verify", "ftp://x", "--manifest", "m"], "verify"),
        (&["manifest", "create", "s3://NOT_A_BUCKET", "--out", "m", "--json"], "manifest create"),
        (&["verify", "s3://vault", "--json"], "verify"),
        (&["drill", "--at-once", "0", "--json"], "drill"),
    ];
    for (args, command) in cases {
        let output = run(folder.path(), args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        let last = summary(&format!("{args:?}"), &output);
        assert_eq!((&last["outcome"], &last["command"]), (&"error".into(), &command.into()), "{last}");
        assert!(!stderr(&output).is_empty() && !last["error"]["message"].as_str().unwrap().is_empty());
        let message = last["error"]["message"].as_str().unwrap();
        assert!(
            !args.contains(&"--state") || message.contains("nothing is kept of it") && !folder.path().join("kept").exists(),
            "{message}"
        );
        assert!(command != "log verify" || message.contains("--key <PEM>"), "what is missing is named: {message}");
    }
    let help = run(folder.path(), &["drill", "--help", "--json"], &[]);
    assert_eq!((help.status.code(), String::from_utf8_lossy(&help.stdout).contains("Example")), (Some(0), true));
}
