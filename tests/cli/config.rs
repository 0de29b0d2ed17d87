//! `attestore.toml`: every mistake is explained in one run, arbitrary text never panics, and what is explained as good loads.

use attestore::estate::explain::{Surroundings, explain};
use attestore::estate::load;
use attestore::estate::mistake::{Mistake, Weight};
use attestore::signing::hash_key::HashKey;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::Tool;
use attestore::testing_log::writer::LogWriter;
use proptest::prelude::*;

/// A good configuration that uses every table.
const GOOD: &str = r#"version = 1

[log]
path = "log"
origin = "example.org/attestore"

[keys]
signing = "attestore.key"
hash = "attestore.hashkey"

[aws]
region = "eu-west-2"
backup_role_arn = "arn:aws:iam::111122223333:role/attestore-restore"

[aws.assume_role]
isolated = "arn:aws:iam::111122223333:role/attestore-read"

[isolation]
account_id = "111122223333"
vpc_id = "vpc-0a1b2c3d4e5f60718"
subnet_group = "isolated"
security_group_ids = ["sg-0a1b2c3d"]
kms_key_arn = "arn:aws:kms:eu-west-2:111122223333:key/8b1f"
name_prefix = "attestore-drill"

[class.gold]
rto = "4h"
rpo = "not_required"
test_period = "90d"
sample = { confidence_ppm = 950000, tolerable_ppm = 50000 }
when_no_manifest = "first-restore"

[class.bronze]
sample = { count = 2 }

[[resource]]
id = "vault"
application = "files"
kind = "s3"
class = "gold"
source = "s3://vault"
[[resource.points]]
from = "aws-backup"
vault = "main"
region = "eu-west-1"

[[resource]]
id = "crm"
application = "crm"
kind = "rds-mysql"
class = "gold"
source = "crm-transactions"
database = "crm"
credentials = "env:CRM_READER"
[[resource.points]]
from = "rds-snapshot"

[[resource]]
id = "app"
application = "crm"
kind = "files"
class = "bronze"
source = "sqlite:app.db"
[[resource.points]]
from = "local"
path = "vault"
"#;

fn mistakes(text: &str) -> Vec<Mistake> {
    explain(text, &Surroundings::NONE).into_iter().filter(|remark| remark.weight == Weight::Mistake).collect()
}

#[test]
fn a_good_file_has_no_mistakes_and_loads() {
    assert_eq!(explain(GOOD, &Surroundings::NONE), []);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attestore.toml");
    std::fs::write(&path, GOOD).unwrap();
    let config = load::load(&path).unwrap().config;
    assert_eq!(config.resource.len(), 3);
    assert_eq!(config.resource[2].points[0].vault.as_deref(), dir.path().join("vault").to_str());
}

/// Each line: what is replaced in the good file, by what, the line's key, and words that the remark must have.
const WRONG: &[(&str, &str, &str, &[&str])] = &[
    ("version = 1", "version = 2", "version", &["reads version 1"]),
    ("version = 1", "version = \"1\"", "version", &["whole number"]),
    ("region = \"eu-west-2\"", "regoin = \"eu-west-2\"", "aws.regoin", &["unknown key", "did you mean `region`"]),
    ("region = \"eu-west-2\"", "region = \"Frankfurt\"", "aws.region", &["Region"]),
    ("[keys]", "[kyes]", "kyes", &["did you mean `keys`"]),
    ("origin = \"example.org/attestore\"", "origin = \"my log\"", "log.origin", &["no spaces"]),
    ("origin = \"example.org/attestore\"", "origin = \"\"", "log.origin", &["empty"]),
    (":role/attestore-restore", ":user/me", "aws.backup_role_arn", &["ARN of a role"]),
    ("account_id = \"111122223333\"", "account_id = 111122223333", "isolation.account_id", &["text in quotes", "whole number"]),
    ("name_prefix = \"attestore-drill\"", "name_prefix = \"Attestore_\"", "isolation.name_prefix", &["lower-case"]),
    ("name_prefix = \"attestore-drill\"", "name_prefix = \"a-prefix-of-21-letters\"", "isolation.name_prefix", &["20 characters"]),
    ("name_prefix = \"attestore-drill\"", "", "isolation.name_prefix", &["no key `name_prefix`"]),
    ("rto = \"4h\"", "rto = \"4 hours\"", "class.gold.rto", &["not a length of time"]),
    ("rto = \"4h\"", "rto = \"4h\"\naccess = \"access-point\"", "class.gold.access", &["none of its words", "backup-access-point"]),
    ("rto = \"4h\"", "rto = \"4h\"\naccess = \"backup-access-point\"", "class.gold.rto", &["restores nothing", "not_required"]),
    ("rto = \"4h\"", "rtto = \"4h\"", "class.gold.rtto", &["did you mean `rto`"]),
    ("test_period = \"90d\"", "test_period = \"not_required\"", "class.gold.test_period", &["leave it out"]),
    ("test_period = \"90d\"", "second_within = \"not_required\"", "class.gold.second_within", &["leave it out", "5s"]),
    ("test_period = \"90d\"", "second_within = \"0s\"", "class.gold.second_within", &["1s to 1d"]),
    ("test_period = \"90d\"", "second_within = \"2d\"", "class.gold.second_within", &["1s to 1d"]),
    ("test_period = \"90d\"", "test_period = \"1000000d\"", "class.gold.test_period", &["36500d"]),
    ("rto = \"4h\"", "rto = \"99999999999999h\"", "class.gold.rto", &["36500d"]),
    ("tolerable_ppm = 50000", "count = 3", "class.gold.sample", &["two ways"]),
    (", tolerable_ppm = 50000", "", "class.gold.sample", &["does not say its size"]),
    ("tolerable_ppm = 50000", "tolerable_ppm = 5000000", "class.gold.sample.tolerable_ppm", &["1 to 999999"]),
    ("count = 2", "count = 0", "class.bronze.sample.count", &["proves nothing"]),
    ("\"first-restore\"", "\"first_restore\"", "class.gold.when_no_manifest", &["did you mean `first-restore`"]),
    ("kind = \"rds-mysql\"", "kind = \"rds-mysq\"", "resource[1].kind", &["did you mean `rds-mysql`"]),
    ("class = \"bronze\"", "class = \"bronce\"", "resource[2].class", &["gold", "did you mean `bronze`"]),
    ("id = \"crm\"", "id = \"vault\"", "resource[1].id", &["same id"]),
    ("id = \"crm\"", "id = \"crm db\"", "resource[1].id", &["letters, digits"]),
    ("from = \"rds-snapshot\"", "from = \"dynamodb-pitr\"", "resource[1].points[0].from", &["aws-backup, rds-snapshot, rds-pitr"]),
    ("vault = \"main\"", "", "resource[0].points[0].vault", &["no key `vault`"]),
    ("path = \"vault\"", "", "resource[2].points[0].path", &["no key `path`"]),
    ("path = \"vault\"", "path = \"vault\"\nregion = \"eu-west-1\"", "resource[2].points[0].region", &["no Region"]),
    ("env:CRM_READER", "reader:hunter2", "resource[1].credentials", &["env:NAME or file:PATH"]),
    ("credentials = \"env:CRM_READER\"", "authentication = \"kerberos\"", "resource[1].authentication", &["none of its words"]),
    (
        "credentials = \"env:CRM_READER\"",
        "authentication = \"iam\"\ndatabase_user = \"r\"",
        "resource[1].tls_ca",
        &["no key `tls_ca`", "verified server only"],
    ),
    ("credentials = \"env:CRM_READER\"", "authentication = \"iam\"\ntls_ca = \"c\"", "resource[1].database_user", &["rds_iam"]),
    ("credentials = \"env:CRM_READER\"", "authentication = \"iam\"\ncredentials = \"env:A\"", "resource[1].credentials", &["one of them"]),
    ("credentials = \"env:CRM_READER\"", "database_user = \"r\"", "resource[1].database_user", &["for tokens of IAM"]),
    ("credentials = \"env:CRM_READER\"", "live = \"mysql://h/crm\"", "resource[1].credentials", &["no key `credentials`", "may only read"]),
    ("database = \"crm\"", "database = \"crm\"\nlive = \"mysql://u:hunter2@h/crm\"", "resource[1].live", &["without user and password"]),
    ("database = \"crm\"", "database = \"crm\"\nlive = \"postgres://h/crm\"", "resource[1].live", &["mysql://HOST"]),
    ("class = \"bronze\"", "class = \"bronze\"\nauthentication = \"iam\"", "resource[2].authentication", &["no token of IAM opens"]),
    ("source = \"s3://vault\"", "source = \"ftp://vault\"", "resource[0].source", &["unknown scheme"]),
    ("source = \"s3://vault\"", "source = \"dynamodb:vault\"", "resource[0].source", &["does not fit the kind `s3`"]),
    (
        "source = \"s3://vault\"",
        "source = \"postgres://db/crm\"",
        "resource[0].source",
        &["whose dumps or copies lie beside AWS, is of the kind `files`"],
    ),
    ("source = \"sqlite:app.db\"", "source = \"app.db\"", "resource[2].source", &["dir:PATH, sqlite:PATH, postgres://"]),
    ("\"crm-transactions\"", "\"mysql://u:hunter2@h/crm\"", "resource[1].source", &["no passwords"]),
    ("\"crm-transactions\"", "\"mysql://h/crm\"", "resource[1].source", &["identifier or ARN"]),
    ("database = \"crm\"", "database = \"crm\"\nleaves = \"sums\"\nsidecar = \"keys\"", "resource[1].sidecar", &["no row sidecar"]),
    ("database = \"crm\"", "", "resource[1].database", &["no key `database`"]),
    ("\"eu-west-2\"\nbackup", "\"eu-west-2\"\nendpoint = \"http://me:hunter2@h\"\nbackup", "aws.endpoint", &["no secrets"]),
    ("\"111122223333\"\nvpc_id", "\"<account>\"\nvpc_id", "isolation.account_id", &["placeholder"]),
];

#[test]
fn each_mistake_is_named_with_its_line_and_no_secret_is_repeated() {
    for (from, to, key, words) in WRONG {
        assert_eq!(GOOD.matches(from).count(), 1, "{from}");
        let text = GOOD.replacen(from, to, 1);
        let found = mistakes(&text);
        let remark = found.iter().find(|mistake| mistake.key == *key).unwrap_or_else(|| panic!("{to}: {found:?}"));
        let rendered = remark.render("attestore.toml", &text);
        for word in *words {
            assert!(rendered.contains(word), "{to}: `{word}` is not in\n{rendered}");
        }
        assert!(remark.line.is_some(), "{rendered}");
        assert!(!rendered.contains("hunter2") && !remark.to_json("f").to_string().contains("hunter2"), "{rendered}");
    }
}

#[test]
fn all_mistakes_come_in_one_run() {
    let mut text = GOOD.to_owned();
    let separate = ["regoin", "rtto = ", "class = \"bronce\"", "from = \"dynamodb-pitr\"", "version = 2"];
    for (from, to, ..) in WRONG.iter().filter(|(_, to, ..)| separate.iter().any(|part| to.contains(part))) {
        text = text.replacen(from, to, 1);
    }
    let keys: Vec<String> = mistakes(&text).into_iter().map(|mistake| mistake.key).collect();
    for key in ["version", "aws.regoin", "aws.region", "class.gold.rtto", "resource[1].points[0].from", "resource[2].class"] {
        assert!(keys.iter().any(|found| found == key), "{key} is not among {keys:?}");
    }
}

#[test]
fn points_in_aws_need_aws_and_isolation() {
    let start = GOOD.find("[aws]").unwrap();
    let end = GOOD.find("[class.gold]").unwrap();
    let text = format!("{}{}", &GOOD[..start], &GOOD[end..]);
    let keys: Vec<String> = mistakes(&text).into_iter().map(|mistake| mistake.key).collect();
    assert_eq!(keys, ["aws", "isolation"]);
}

#[test]
fn syntax_errors_come_with_the_mistakes_of_other_lines() {
    let text = GOOD.replacen("region = \"eu-west-2\"", "region = eu-west-2", 1).replacen("rto = ", "rtto = ", 1);
    let found = mistakes(&text);
    let line = text.lines().position(|line| line.contains("region = eu")).unwrap() + 1;
    assert!(found.iter().any(|mistake| mistake.line == Some(line) && mistake.message.starts_with("not TOML")), "{found:?}");
    assert!(found.iter().any(|mistake| mistake.key == "class.gold.rtto"), "{found:?}");
    assert!(found.iter().all(|mistake| !mistake.message.contains("has no key")), "{found:?}");
}

#[test]
fn a_role_for_evidence_is_known_and_said_to_be_assumed_by_nobody() {
    let role = "evidence = \"arn:aws:iam::111122223333:role/attestore-evidence\"\n";
    let text = GOOD.replacen("[aws.assume_role]\n", &format!("[aws.assume_role]\n{role}"), 1);
    let remarks = explain(&text, &Surroundings { base: None, packs: None, has_driver: &|_, _| true });
    let [remark] = &remarks[..] else { panic!("{remarks:?}") };
    assert_eq!((remark.weight, remark.key.as_str()), (Weight::Note, "aws.assume_role.evidence"));
    assert!(remark.message.contains("no role is assumed"), "{remark:?}");
}

#[test]
fn what_the_file_names_is_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let text = GOOD.replacen("rto = \"4h\"", "rto = \"4h\"\nchecks = [\"bank-ledger\", \"own/checks.sql\"]", 1);
    let around = Surroundings { base: Some(base), packs: Some(&["banking-ledger"]), has_driver: &|_, from| from != "rds-snapshot" };
    let keys = |weight: Weight| -> Vec<String> {
        explain(&text, &around).into_iter().filter(|remark| remark.weight == weight).map(|remark| remark.key).collect()
    };
    assert_eq!(
        keys(Weight::Mistake),
        ["log.path", "keys.signing", "keys.hash", "class.gold.checks[0]", "class.gold.checks[1]", "resource[2].points[0].path"]
    );
    let absent = explain(&text, &around).into_iter().find(|remark| remark.message.contains("driver_absent")).unwrap();
    assert_eq!((absent.weight, absent.key.as_str()), (Weight::Note, "resource[1].points[0].from"));
    std::fs::create_dir_all(base.join("vault")).unwrap();
    std::fs::create_dir_all(base.join("own")).unwrap();
    std::fs::write(base.join("own/checks.sql"), "").unwrap();
    let signing = SigningKey::generate(&base.join("attestore.key")).unwrap();
    LogWriter::create(
        &base.join("log"),
        "example.org/attestore",
        &signing,
        Tool { name: "t".into(), version: "0".into(), git_commit: None, binary_sha256: None },
    )
    .unwrap();
    std::fs::write(base.join("attestore.hashkey"), "x").unwrap();
    std::fs::set_permissions(base.join("attestore.hashkey"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let too_open = explain(&text, &around).into_iter().find(|remark| remark.key == "keys.hash").unwrap();
    assert!(too_open.found.unwrap().contains("0644") && too_open.hint.unwrap().contains("chmod 600"));
    std::fs::set_permissions(base.join("attestore.hashkey"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = ["keys.hash", "class.gold.checks[0]", "class.gold.checks[1]"];
    assert_eq!(keys(Weight::Mistake), wrong, "a file that is no key, and one that holds no check");
    let own = explain(&text, &around).into_iter().find(|remark| remark.key == wrong[2]).unwrap();
    assert!(own.message.contains("cannot be used") && own.found.unwrap().contains("own/checks.sql") && own.hint.is_some());
    let check =
        "--! id = \"own.x\"\n--! engines = [\"postgres\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\nSELECT id FROM till";
    std::fs::write(base.join("own/checks.sql"), check).unwrap();
    std::fs::remove_file(base.join("attestore.hashkey")).unwrap();
    HashKey::create(&base.join("attestore.hashkey")).unwrap();
    assert_eq!(keys(Weight::Mistake), ["class.gold.checks[0]"]);
    let other = text.replacen("example.org/attestore", "example.org/another", 1);
    let remark = explain(&other, &around).into_iter().find(|remark| remark.key == "log.origin").unwrap();
    assert_eq!(remark.allowed.as_deref(), Some("example.org/attestore"));
}

#[test]
fn a_name_that_no_pack_has_is_refused_with_those_that_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    std::fs::create_dir_all(base.join("own")).unwrap();
    let own = "--! id = \"own.x\"\n--! engines = [\"postgres\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\n--! columns = [\"till.id\"]\nSELECT id FROM till";
    std::fs::write(base.join("own/checks.sql"), own).unwrap();
    let named = |checks: &str, name: &str| {
        let text = GOOD.replacen("rto = \"4h\"", &format!("rto = \"4h\"\nchecks = [{checks}]"), 1);
        let text = text.replacen("database = \"crm\"", &format!("database = \"crm\"\nnames = {{ \"{name}\" = \"other\" }}"), 1);
        let around = Surroundings { base: Some(base), packs: Some(&["bank", "structure-postgres"]), has_driver: &|_, _| true };
        explain(&text, &around).into_iter().find(|remark| remark.key.starts_with("resource[1].names"))
    };
    for good in ["accounts", "accounts.balance_minor", "till", "till.id"] {
        assert_eq!(named("\"bank\", \"own/checks.sql\"", good), None, "{good}");
    }
    let wrong = named("\"bank\", \"own/checks.sql\"", "acounts").unwrap();
    assert_eq!((wrong.weight, wrong.key.as_str(), wrong.found.as_deref()), (Weight::Mistake, "resource[1].names.acounts", Some("acounts")));
    let known = wrong.allowed.unwrap();
    assert!(known.contains("accounts, ") && known.contains("till.id"), "{known}");
    assert_eq!(wrong.nearest.as_deref(), Some("accounts"));
    assert!(named("\"structure-postgres\"", "accounts").unwrap().hint.unwrap().contains("know no tables"));
    assert_eq!(named("\"own/absent.sql\"", "accounts"), None, "the pack that is not there is told");
}

#[test]
fn no_two_packs_of_a_class_have_a_check_of_one_id() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    for (file, id) in [("a.sql", "own.x"), ("b.sql", "own.x"), ("c.sql", "structure.sqlite-integrity")] {
        let check = format!("--! id = \"{id}\"\n--! engines = [\"sqlite\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\nSELECT 1");
        std::fs::write(base.join(file), check).unwrap();
    }
    let told = |checks: &str| {
        let text = GOOD.replacen("rto = \"4h\"", &format!("rto = \"4h\"\nchecks = [{checks}]"), 1);
        let around = Surroundings { base: Some(base), packs: Some(&["bank", "structure-sqlite"]), has_driver: &|_, _| true };
        let told = explain(&text, &around).into_iter().filter(|remark| remark.key.starts_with("class.gold.checks"));
        told.map(|remark| (remark.key, remark.message)).collect::<Vec<_>>()
    };
    assert_eq!(told("\"./a.sql\", \"bank\", \"structure-sqlite\""), []);
    let [(key, message)] = &told("\"./a.sql\", \"bank\", \"./b.sql\"")[..] else { panic!() };
    assert_eq!(key, "class.gold.checks[2]");
    assert!(["own.x", "a.sql", "b.sql"].iter().all(|said| message.contains(said)), "{message}");
    let [(key, message)] = &told("\"./c.sql\", \"structure-sqlite\"")[..] else { panic!() };
    assert!(key == "class.gold.checks[1]" && message.contains("structure.sqlite-integrity"), "{message}");
    let [(_, message)] = &told("\"bank\", \"bank\"")[..] else { panic!() };
    assert_eq!(message, "check pack bank is named twice");
}

#[test]
fn a_ca_bundle_has_to_hold_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let bundle = base.join("bundle.pem");
    let text = GOOD.replacen("database = \"crm\"", "database = \"crm\"\ntls_ca = \"bundle.pem\"", 1);
    let around = Surroundings { base: Some(base), packs: None, has_driver: &|_, _| true };
    let told = || explain(&text, &around).into_iter().find(|remark| remark.key == "resource[1].tls_ca");
    let good = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();

    let absent = told().unwrap();
    assert!(absent.found.unwrap().ends_with("bundle.pem: nothing") && absent.message.contains("cannot be read"));
    for empty in ["", "# no certificate\n", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        std::fs::write(&bundle, empty).unwrap();
        let remark = told().unwrap();
        assert_eq!((remark.weight, remark.message.as_str()), (Weight::Mistake, "the CA bundle holds no certificate"), "{empty:?}");
    }
    std::fs::write(&bundle, format!("{good}{}", &good[..good.len() / 2])).unwrap();
    assert!(told().unwrap().found.unwrap().starts_with("certificate 2: "), "cut short in its second certificate");
    std::fs::write(&bundle, format!("{good}{good}")).unwrap();
    assert_eq!(told().map(|remark| remark.message), None);
}

fn attestore(args: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).env_remove("ATTESTORE_CONFIG").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn init_makes_everything_that_its_configuration_names_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("new");
    let shown = dir.to_str().unwrap();
    let (code, stdout, stderr) = attestore(&["--json", "init", "--dir", shown, "--origin", "example.org/tests"]);
    assert_eq!(code, 0, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!((summary["command"].as_str(), summary["origin"].as_str()), (Some("init"), Some("example.org/tests")));
    let mut names: Vec<String> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["attestore.hashkey", "attestore.key", "attestore.toml", "log", "log.pub.pem"]);
    for name in ["attestore.key", "attestore.hashkey"] {
        assert_eq!(std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let public = attestore::signing::keys::VerifyingKey::load_pem(&dir.join("log.pub.pem")).unwrap();
    let checkpoint = std::fs::read_to_string(dir.join("log/checkpoints/00000001")).unwrap();
    attestore::signing::checkpoint::Checkpoint::verify(&checkpoint, &public).unwrap();
    let config = dir.join("attestore.toml");
    let (code, _, stderr) = attestore(&["config", "check", "--config", config.to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    load::load(&config).unwrap();
    let before = std::fs::read(dir.join("attestore.key")).unwrap();
    let (code, _, stderr) = attestore(&["init", "--dir", shown]);
    assert!(code == 2 && stderr.contains("already there"), "{code} {stderr}");
    assert_eq!(std::fs::read(dir.join("attestore.key")).unwrap(), before);
}

#[test]
fn init_that_cannot_finish_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("new");
    let (code, ..) = attestore(&["init", "--dir", dir.to_str().unwrap(), "--origin", "two words"]);
    assert_eq!((code, dir.exists()), (2, false));
    std::fs::write(temp.path().join("file"), "").unwrap();
    let (code, _, stderr) = attestore(&["init", "--dir", temp.path().join("file/below").to_str().unwrap()]);
    assert!(code != 0 && stderr.contains("cannot initialise"), "{stderr}");
}

#[test]
fn the_commented_default_explains_every_key_and_is_right_with_all_of_them_on() {
    use attestore::estate::schema::{Field, ROOT, Shape};
    use attestore::estate::template;
    fn names(fields: &'static [Field], out: &mut Vec<&'static str>) {
        for field in fields {
            out.push(field.name);
            if let Shape::Table(inner) | Shape::Named(inner) | Shape::List(inner) = field.shape {
                names(inner, out);
            }
        }
    }
    let commented = template::commented("example.org/tests");
    let mut known = Vec::new();
    names(ROOT, &mut known);
    for name in known {
        let written = [format!("{name} = "), format!("[{name}"), format!(".{name}]")].iter().any(|form| commented.contains(form.as_str()));
        assert!(written, "`{name}` is not in the commented default");
    }
    assert_eq!(mistakes(&commented), []);
    let uncommented = template::uncommented("example.org/tests");
    assert!(uncommented.lines().count() == commented.lines().count() && uncommented.contains("\n[aws]\n"));
    let found = mistakes(&uncommented);
    assert!(found.len() > 5 && found.iter().all(|mistake| mistake.message.contains("placeholder")), "{found:?}");
    let filled = filled_in(&uncommented);
    assert_eq!(mistakes(&filled), [], "{filled}");
}

/// Fills the placeholders as a user would.
fn filled_in(text: &str) -> String {
    let mut text = text.replace("<12 digits>", "111122223333").replace("<account>", "111122223333").replace("-<id>", "-0a1b2c3d");
    while let Some(at) = text.find('<') {
        let end = at + text[at..].find('>').unwrap();
        text.replace_range(at..=end, "filled-in");
    }
    text
}

#[test]
fn config_check_speaks_to_people_and_to_machines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attestore.toml");
    let shown = path.to_str().unwrap();
    let (code, _, stderr) = attestore(&["config", "check", "--config", shown]);
    assert!(code == 2 && stderr.contains("hint: `attestore init`"), "{stderr}");
    std::fs::write(&path, GOOD.replacen("region =", "regoin =", 1)).unwrap();
    let (code, stdout, stderr) = attestore(&["--json", "config", "check", "--config", shown]);
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean `region`?") && stderr.contains(":12:1"), "{stderr}");
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let misspelt = lines.iter().find(|line| line["key"] == "aws.regoin").unwrap();
    assert_eq!(
        (misspelt["event"].as_str(), misspelt["line"].as_u64(), misspelt["nearest"].as_str()),
        (Some("mistake"), Some(12), Some("region"))
    );
    let summary = lines.last().unwrap();
    assert_eq!((summary["event"].as_str(), summary["exit_code"].as_u64()), (Some("summary"), Some(2)));
    assert_eq!(summary["mistakes"].as_u64().unwrap() as usize, lines.iter().filter(|line| line["event"] == "mistake").count());
}

/// Pieces of configurations, so that random texts get past the parser.
fn piece() -> impl Strategy<Value = String> {
    let lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
    prop_oneof![
        6 => proptest::sample::select(lines),
        1 => "[a-z_]{1,8} = (true|-?[0-9]{1,25}|\"[^\"\\\\\n]{0,12}\"|\\[\\]|\\{\\}|1979-05-27)",
        1 => "\\[{1,2}[a-z.]{1,12}\\]{1,2}",
        1 => ".{0,20}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,400}") {
        for remark in explain(&text, &Surroundings::NONE) {
            remark.render("f", &text);
        }
    }

    #[test]
    fn arbitrary_pieces_never_panic_and_what_has_no_mistake_loads(pieces in proptest::collection::vec(piece(), 0..40)) {
        let text = pieces.join("\n");
        let remarks = explain(&text, &Surroundings::NONE);
        for remark in &remarks {
            remark.render("f", &text);
            remark.to_json("f");
        }
        let clean = remarks.iter().all(|remark| remark.weight == Weight::Note);
        prop_assert!(!clean || toml::from_str::<attestore::estate::config::Config>(&text).is_ok());
    }

    /// One line of the good file lost, doubled or moved: the table of keys and the types agree on whether it is still one.
    #[test]
    fn the_table_of_keys_agrees_with_the_types(at in 0usize..64, to in 0usize..64, what in 0u8..3) {
        let mut lines: Vec<&str> = GOOD.lines().collect();
        let (at, to) = (at % lines.len(), to % lines.len());
        match what {
            0 => { lines.remove(at); }
            1 => lines.insert(to, lines[at]),
            _ => lines.swap(at, to),
        }
        let text = lines.join("\n");
        let found = mistakes(&text);
        if toml::from_str::<attestore::estate::config::Config>(&text).is_err() {
            prop_assert!(!found.is_empty());
            prop_assert!(found.iter().any(|mistake| !mistake.key.is_empty() || mistake.message.starts_with("not TOML")), "only the types complained: {found:?}");
        }
    }
}
