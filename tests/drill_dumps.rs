//! Dumps and physical copies kept beside AWS: loaded into servers of their own and compared like any restore; damaged ones are unreadable,
//! which is a verdict. Skipped visibly where no server is installed, unless `ATTESTORE_REQUIRE` names `postgres` or `mariadb`.

mod drill_estate;
mod engines;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use attestore::engines::installed::EngineKind;
use attestore::engines::master::Master;
use attestore::engines::process::servers_under;
use attestore::engines::servers::{Booted, Servers};
use attestore::model::capture::CaptureMode;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::PointResult;
use attestore::testing_log::writer::LogWriter;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::access::Access;
use drill_estate::{Estate, ORIGIN};
use engines::engine;

const USER: &str = "keeper";
const PASSWORD: &str = "first-secret";

const TABLES: &str = "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, note TEXT);
    CREATE TABLE account (id INT PRIMARY KEY, customer_id INT NOT NULL, amount DECIMAL(12, 2), FOREIGN KEY (customer_id) REFERENCES customer (id));
    INSERT INTO customer VALUES (1, 'Ada', 'a line\nand another'), (2, 'Zoë', NULL), (3, 'back\\\\slash and ''quote''', ''), (4, 'the-changed-one', 'x');
    INSERT INTO account VALUES (10, 1, 12.50), (11, 2, -3.00), (12, 3, NULL);";

/// The source: a server with data, from which manifests are captured and dumps are taken.
struct Source {
    servers: Servers,
    kind: EngineKind,
    booted: Booted,
}

impl Source {
    async fn start(folder: &Path, kind: EngineKind) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let servers = Servers::open(folder).unwrap();
        servers.make_empty(kind, "src").await.unwrap();
        let booted = servers.boot(kind, "src", None).await.unwrap();
        let master = Master { user: USER.into(), password: PASSWORD.into(), database: Some("crm".into()) };
        servers.create_master(kind, "src", booted.port, &master).await.unwrap();
        let text = match kind {
            // Another owner, a grant and an extension: what a dump says of its server has to be there before it is loaded.
            EngineKind::Postgres => format!(
                "CREATE EXTENSION amcheck; CREATE ROLE reader; SET ROLE {USER}; {TABLES} CREATE VIEW named AS SELECT name FROM customer; GRANT SELECT ON customer TO reader;"
            ),
            EngineKind::MariaDb => TABLES.to_owned(),
        };
        servers.sql(kind, "src", booted.port, "crm", &text).await.unwrap();
        Self { servers, kind, booted }
    }

    fn tool(&self, names: &[&str]) -> Command {
        Command::new(self.servers.installed().programs(self.kind).unwrap().tool(names).unwrap())
    }

    fn pg_dump(&self, format: &str, to: &Path) {
        let mut command = self.tool(&["pg_dump"]);
        command.args(["-h", "127.0.0.1", "-U", USER, "-p", &self.booted.port.to_string(), "-F", format, "-f"]).arg(to).arg("crm");
        let output = command.env("PGPASSWORD", PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn mariadb_dump(&self, to: &Path) {
        let mut command = self.tool(&["mariadb-dump", "mysqldump"]);
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--single-transaction", "--user", USER]);
        let output = command.arg(format!("--port={}", self.booted.port)).arg("crm").env("MYSQL_PWD", PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(to, output.stdout).unwrap();
    }

    fn url(&self) -> SourceUrl {
        let at = format!("{USER}@127.0.0.1:{}/crm", self.booted.port);
        match self.kind {
            EngineKind::Postgres => SourceUrl::Postgres { url: format!("postgres://{at}") },
            EngineKind::MariaDb => SourceUrl::Mysql { url: format!("mysql://{at}") },
        }
    }

    /// Ends the server and copies its data directory.
    async fn copy_data(&self, to: &Path) {
        self.servers.end(self.kind, self.booted.process).await.unwrap();
        let status = Command::new("cp").arg("-r").arg(self.servers.home("src").join("data")).arg(to).status().unwrap();
        assert!(status.success());
    }
}

/// An estate of one resource whose points are the files in `vault/db`, each with a manifest of the source.
async fn lay(folder: &Path, source: &Source, points: &[&str]) -> Estate {
    let estate = Estate { folder: folder.to_owned() };
    let key = SigningKey::generate(&estate.path("attestore.key")).unwrap();
    let hash_key = HashKey::create(&estate.path("attestore.hashkey")).unwrap();
    let mut log = LogWriter::create(&estate.path("log"), ORIGIN, &key, attestore::drill::context::tool()).unwrap();
    std::fs::create_dir_all(estate.path("manifests/db")).unwrap();
    let access = Access { user: Some(USER.into()), password: Some(PASSWORD.into()), ..Access::default() };
    for point in points {
        let mut request = CaptureRequest::new(estate.path("manifests/db").join(point), CaptureMode::SnapshotExact);
        request.recovery_point_id = Some(PointId::local(&"db".into(), point));
        let signer = Some((ORIGIN, &key));
        attestore::verify::sql::capture::capture(&source.url(), &access, &request, &hash_key, signer, &Silent).await.unwrap();
        estate.register(&mut log, "db", &request.out);
    }
    log.checkpoint().unwrap();
    let is_postgres = source.kind == EngineKind::Postgres;
    let kind = if is_postgres { "rds-postgres" } else { "rds-mysql" };
    // The extension's functions are its owner's alone, on a server that is not the source's.
    let checks = if is_postgres { "checks = [\"structure-postgres\"]\n" } else { "" };
    let text = format!(
        "version = 1\n[log]\npath = \"log\"\norigin = \"{ORIGIN}\"\n[keys]\nsigning = \"attestore.key\"\nhash = \"attestore.hashkey\"\n\
         [class.c]\nrto = \"1h\"\nrpo = \"1d\"\ntest_period = \"90d\"\n{checks}[[resource]]\nid = \"db\"\napplication = \"a\"\nkind = \"{kind}\"\n\
         class = \"c\"\nsource = \"crm\"\ndatabase = \"crm\"\nmanifests = \"manifests/db\"\n[[resource.points]]\nfrom = \"local\"\npath = \"vault/db\"\n"
    );
    std::fs::write(estate.path("attestore.toml"), text).unwrap();
    estate
}

fn result(estate: &Estate, point: &str) -> PointResult {
    let id = PointId::local(&"db".into(), point);
    estate.results().into_iter().find(|result| result.rp.id == id).unwrap_or_else(|| panic!("no result of {point}"))
}

fn expect_pass(estate: &Estate, point: &str) {
    let good = result(estate, point);
    assert_eq!(good.outcome, Outcome::Pass, "{point}: {:?} {:?} {:?}", good.outcome_reasons, good.errors, good.verify);
    assert_eq!(good.verify.unwrap().rows.unwrap().matched, 7, "{point}");
}

/// Every row unreadable, with the reason in the findings, and nothing called an error of the environment.
fn expect_unreadable(estate: &Estate, point: &str, why: &str) {
    let bad = result(estate, point);
    let facts = bad.verify.as_ref().unwrap_or_else(|| panic!("{point}: {:?} {:?}", bad.outcome_reasons, bad.errors));
    let rows = facts.rows.unwrap();
    assert_eq!((bad.outcome, rows.unreadable, rows.matched), (Outcome::Fail, 7, 0), "{point}: {:?}", bad.outcome_reasons);
    assert!(bad.errors.is_empty(), "{point}: {:?}", bad.errors);
    let told = texts_under(&estate.path("log/evidence"));
    let says = |text: &String| text.contains("\"unreadable\"") && text.contains(point) && text.contains(why);
    assert!(told.iter().any(says), "{point}: no finding says `{why}`");
}

/// Evidence is kept compressed.
fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap_or_default()).into_owned()
}

fn texts_under(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { texts_under(&path) } else { vec![text_of(&path)] }).collect()
}

fn changed(estate: &Estate, point: &str) {
    let bad = result(estate, point);
    let rows = bad.verify.unwrap().rows.unwrap();
    assert_eq!((bad.outcome, rows.mismatch, rows.matched), (Outcome::Fail, 1, 6), "{point}: {:?}", bad.outcome_reasons);
}

fn edit(from: &Path, to: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(from).unwrap();
    std::fs::write(to, change(text)).unwrap();
}

fn cut(from: &Path, to: &Path, keep: usize) {
    let bytes = std::fs::read(from).unwrap();
    std::fs::write(to, &bytes[..bytes.len() * keep / 100]).unwrap();
}

fn pack_gzip(from: &Path, to: &Path) {
    let mut packer = flate2::write::GzEncoder::new(std::fs::File::create(to).unwrap(), flate2::Compression::default());
    packer.write_all(&std::fs::read(from).unwrap()).unwrap();
    packer.finish().unwrap();
}

fn pack_zstd(from: &Path, to: &Path) {
    std::fs::write(to, zstd::encode_all(std::fs::File::open(from).unwrap(), 3).unwrap()).unwrap();
}

/// No target, no server, and no folder of one among the temporary files.
fn no_leftovers(estate: &Estate) {
    assert_eq!(estate.leftovers(), Vec::<String>::new());
    let work = std::fs::canonicalize(estate.path("attestore-work")).unwrap();
    assert_eq!(servers_under(&work), []);
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let of = std::fs::read_to_string(entry.path().join("belongs-to")).unwrap_or_default();
        assert!(!Path::new(&of).starts_with(&work), "{} is left", entry.path().display());
    }
}

/// Runs the drill and looks that nothing is left: no target, no server.
fn drill(estate: &Estate, code: i32) {
    let output = estate.run(&["drill", "--at-once", "2"], None);
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    no_leftovers(estate);
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_dumps_and_copies_come_back_and_damaged_ones_are_unreadable() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::Postgres).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    for (format, name) in [("p", "plain.sql"), ("c", "custom.dump"), ("d", "folder"), ("t", "tar.dump")] {
        source.pg_dump(format, &vault.join(name));
    }
    let plain = vault.join("plain.sql");
    edit(&plain, &vault.join("changed.sql"), |text| text.replace("the-changed-one", "the-chAnged-one"));
    edit(&plain, &vault.join("unmarked.sql"), |text| text.replace("-- PostgreSQL database dump complete", "--"));
    edit(&plain, &vault.join("broken.sql"), |text| text.replace("ADD CONSTRAINT", "AD CONSTRAINT"));
    edit(&plain, &vault.join("evil.sql"), |text| text.replace("SET row_security = off;", "\\! touch evil-was-here"));
    edit(&plain, &vault.join("wants.sql"), |text| {
        text.replace("\nALTER TABLE ONLY", "\nCREATE PUBLICATION all_of_it FOR ALL TABLES;\nALTER TABLE ONLY")
    });
    std::fs::write(vault.join("form.sql.xz"), b"\xfd7zXZ\0 and more").unwrap();
    cut(&plain, &vault.join("cut.sql"), 60);
    cut(&vault.join("custom.dump"), &vault.join("cut.dump"), 70);
    // As `pg_dump -Z` and `| zstd` write them; an archive in gzip once more; one that was cut, one that was cut before it was packed.
    pack_gzip(&plain, &vault.join("plain.sql.gz"));
    pack_zstd(&plain, &vault.join("plain.sql.zst"));
    pack_gzip(&vault.join("custom.dump"), &vault.join("custom.dump.gz"));
    pack_zstd(&vault.join("changed.sql"), &vault.join("changed.sql.zst"));
    pack_gzip(&vault.join("cut.sql"), &vault.join("cut-first.sql.gz"));
    cut(&vault.join("plain.sql.gz"), &vault.join("cut.sql.gz"), 80);
    std::fs::write(vault.join("mysql.sql"), "-- MySQL dump 10.13\n-- Dump completed\n").unwrap();
    let points = [
        "plain.sql",
        "custom.dump",
        "folder",
        "tar.dump",
        "changed.sql",
        "unmarked.sql",
        "broken.sql",
        "evil.sql",
        "wants.sql",
        "form.sql.xz",
        "cut.sql",
        "cut.dump",
        "mysql.sql",
        "plain.sql.gz",
        "plain.sql.zst",
        "custom.dump.gz",
        "changed.sql.zst",
        "cut-first.sql.gz",
        "cut.sql.gz",
        "data",
        "old-data",
    ];
    let estate = lay(folder.path(), &source, &points).await;
    source.copy_data(&vault.join("data")).await;
    std::fs::create_dir_all(vault.join("old-data")).unwrap();
    std::fs::write(vault.join("old-data/PG_VERSION"), "9.6\n").unwrap();
    drill(&estate, 1);
    // Another version than the one that is installed is no verdict on the copy.
    let old = result(&estate, "old-data");
    assert_eq!((old.outcome, old.verify.is_none()), (Outcome::Error, true), "{:?}", old.outcome_reasons);
    assert!(old.errors[0].message.contains("PostgreSQL 9.6"), "{:?}", old.errors);
    // Nor are rights that its loading withholds, or a form that is not read here.
    for (point, said) in [("wants.sql", "it wants rights that are withheld"), ("form.sql.xz", "compressed in a way")] {
        let untold = result(&estate, point);
        assert_eq!((untold.outcome, untold.verify.is_none()), (Outcome::Error, true), "{point}: {:?}", untold.outcome_reasons);
        assert!(untold.errors[0].message.contains(said), "{point}: {:?}", untold.errors);
    }
    for good in ["plain.sql", "custom.dump", "folder", "tar.dump", "data", "plain.sql.gz", "plain.sql.zst", "custom.dump.gz"] {
        expect_pass(&estate, good);
    }
    changed(&estate, "changed.sql");
    changed(&estate, "changed.sql.zst");
    expect_unreadable(&estate, "cut-first.sql.gz", "ends without its line");
    expect_unreadable(&estate, "cut.sql.gz", "does not unpack");
    expect_unreadable(&estate, "unmarked.sql", "ends without its line");
    expect_unreadable(&estate, "broken.sql", "syntax error");
    expect_unreadable(&estate, "cut.sql", "ends without its line");
    expect_unreadable(&estate, "cut.dump", "pg_restore");
    expect_unreadable(&estate, "mysql.sql", "of kind rds-postgres");
    let evil = result(&estate, "evil.sql");
    assert_eq!((evil.outcome, evil.verify.is_none()), (Outcome::Error, true));
    assert!(evil.errors[0].message.contains("which no dump needs"), "{:?}", evil.errors);
    assert!(!estate.path("evil-was-here").exists());
    source.servers.purge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_dumps_and_copies_come_back_and_damaged_ones_are_unreadable() {
    if !engine(EngineKind::MariaDb) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::MariaDb).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    let plain = vault.join("plain.sql");
    source.mariadb_dump(&plain);
    edit(&plain, &vault.join("changed.sql"), |text| text.replace("the-changed-one", "the-chAnged-one"));
    edit(&plain, &vault.join("unmarked.sql"), |text| text.replace("-- Dump completed", "--"));
    edit(&plain, &vault.join("broken.sql"), |text| text.replace("CREATE TABLE `customer`", "CREATE TABEL `customer`"));
    cut(&plain, &vault.join("cut.sql"), 60);
    pack_gzip(&plain, &vault.join("plain.sql.gz"));
    pack_zstd(&vault.join("changed.sql"), &vault.join("changed.sql.zst"));
    let points = ["plain.sql", "changed.sql", "unmarked.sql", "broken.sql", "cut.sql", "plain.sql.gz", "changed.sql.zst", "data"];
    let estate = lay(folder.path(), &source, &points).await;
    source.copy_data(&vault.join("data")).await;
    drill(&estate, 1);
    expect_pass(&estate, "plain.sql");
    expect_pass(&estate, "plain.sql.gz");
    expect_pass(&estate, "data");
    changed(&estate, "changed.sql");
    changed(&estate, "changed.sql.zst");
    expect_unreadable(&estate, "unmarked.sql", "ends without its line");
    expect_unreadable(&estate, "broken.sql", "syntax");
    expect_unreadable(&estate, "cut.sql", "ends without its line");
    source.servers.purge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_drill_of_a_dump_goes_on_and_leaves_no_server() {
    let kind = if engine(EngineKind::Postgres) { EngineKind::Postgres } else { EngineKind::MariaDb };
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), kind).await;
    std::fs::create_dir_all(folder.path().join("laid/vault/db")).unwrap();
    match kind {
        EngineKind::Postgres => source.pg_dump("c", &folder.path().join("laid/vault/db/one")),
        EngineKind::MariaDb => source.mariadb_dump(&folder.path().join("laid/vault/db/one")),
    }
    let laid = lay(&folder.path().join("laid"), &source, &["one"]).await;
    source.servers.purge().await.unwrap();
    for n in [7, 9, 11, 13] {
        let estate = laid.copy_to(&folder.path().join(format!("k{n}")));
        assert_eq!(estate.run(&["drill"], Some(n)).status.code(), None, "killed after record {n}");
        let resumed = estate.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(0), "{n}: {}", String::from_utf8_lossy(&resumed.stderr));
        expect_pass(&estate, "one");
        no_leftovers(&estate);
        std::fs::remove_dir_all(&estate.folder).unwrap();
    }
}
