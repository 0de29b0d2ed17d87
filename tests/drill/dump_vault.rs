//! A server with data, dumps of it, and an estate of one resource whose points they are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use attestore::engines::installed::EngineKind;
use attestore::engines::master::Master;
use attestore::engines::process::servers_under;
use attestore::engines::servers::{Booted, Servers};
use attestore::model::capture::CaptureMode;
use attestore::model::digest::Sha256Digest;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::signing::keys::SigningKey;
use attestore::signing::note;
use attestore::testing_log::point_result::PointResult;
use attestore::testing_log::writer::LogWriter;
use attestore::verify::manifest::header::{HEADER_FILE, Header, SIGNATURE_FILE, signed_text};
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::connect::access::Access;

use crate::drill_estate::{Estate, ORIGIN};

pub const USER: &str = "keeper";
pub const PASSWORD: &str = "first-secret";

pub const TABLES: &str = "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, note TEXT);
    CREATE TABLE account (id INT PRIMARY KEY, customer_id INT NOT NULL, amount DECIMAL(12, 2), FOREIGN KEY (customer_id) REFERENCES customer (id));
    INSERT INTO customer VALUES (1, 'Ada', 'a line\nand another'), (2, 'Zoë', NULL), (3, 'back\\\\slash and ''quote''', ''), (4, 'the-changed-one', 'x');
    INSERT INTO account VALUES (10, 1, 12.50), (11, 2, -3.00), (12, 3, NULL);";

/// The source: a server with data, from which manifests are captured and dumps are taken.
pub struct Source {
    pub servers: Servers,
    pub kind: EngineKind,
    pub booted: Booted,
}

impl Source {
    pub async fn start(folder: &Path, kind: EngineKind) -> Self {
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
            EngineKind::MariaDb | EngineKind::MySql => TABLES.to_owned(),
        };
        servers.sql(kind, "src", booted.port, "crm", &text).await.unwrap();
        Self { servers, kind, booted }
    }

    pub fn tool(&self, names: &[&str]) -> Command {
        Command::new(self.servers.installed().programs(self.kind).unwrap().tool(names).unwrap())
    }

    pub fn pg_dump(&self, format: &str, to: &Path) {
        self.pg_dump_with(&["-F", format], to);
    }

    /// Runs SQL as the administrator, and lets the master user read and dump what came of it.
    pub async fn administer(&self, text: &str) {
        let more = match self.kind {
            EngineKind::Postgres => format!("ALTER ROLE {USER} SUPERUSER; SET ROLE {USER};\n"),
            EngineKind::MariaDb | EngineKind::MySql => String::new(),
        };
        self.servers.sql(self.kind, "src", self.booted.port, "crm", &(more + text)).await.unwrap();
    }

    /// `pg_dump` of the source with these arguments.
    pub fn pg_dump_with(&self, arguments: &[&str], to: &Path) {
        let mut command = self.tool(&["pg_dump"]);
        command.args(["-h", "127.0.0.1", "-U", USER, "-p", &self.booted.port.to_string()]).args(arguments).arg("-f").arg(to).arg("crm");
        let output = command.env("PGPASSWORD", PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn mysql_dump(&self, to: &Path) {
        self.mysql_dump_with(&["--single-transaction", "crm"], to);
    }

    /// `mariadb-dump` or MySQL's `mysqldump` of the source with these arguments, the databases among them.
    pub fn mysql_dump_with(&self, arguments: &[&str], to: &Path) {
        let mut command = self.tool(if self.kind == EngineKind::MySql { &["mysqldump"] } else { &["mariadb-dump", "mysqldump"] });
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user", USER]);
        let output = command.arg(format!("--port={}", self.booted.port)).args(arguments).env("MYSQL_PWD", PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(to, output.stdout).unwrap();
    }

    pub fn url(&self) -> SourceUrl {
        let at = format!("{USER}@127.0.0.1:{}/crm", self.booted.port);
        match self.kind {
            EngineKind::Postgres => SourceUrl::Postgres { url: format!("postgres://{at}") },
            EngineKind::MariaDb | EngineKind::MySql => SourceUrl::Mysql { url: format!("mysql://{at}") },
        }
    }

    /// Ends the server and copies its data directory.
    pub async fn copy_data(&self, to: &Path) {
        self.servers.end(self.kind, self.booted.process).await.unwrap();
        let status = Command::new("cp").arg("-r").arg(self.servers.home("src").join("data")).arg(to).status().unwrap();
        assert!(status.success());
    }
}

/// The source, a folder for all of it and the vault in it; nothing where no such server is installed.
pub async fn begin(kind: EngineKind) -> Option<(tempfile::TempDir, Source, PathBuf)> {
    if !crate::engines::engine(kind) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), kind).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    Some((folder, source, vault))
}

/// An estate of one instance whose points are the files in `vault/db`, each with a manifest of the source.
pub async fn lay(folder: &Path, source: &Source, points: &[&str]) -> Estate {
    let kind = if source.kind == EngineKind::Postgres { "rds-postgres" } else { "rds-mysql" };
    lay_as(folder, source, points, &format!("kind = \"{kind}\"\nsource = \"crm\"\ndatabase = \"crm\"\n")).await
}

/// The same of a resource that is described so: its kind and what it is a backup of.
pub async fn lay_as(folder: &Path, source: &Source, points: &[&str], described: &str) -> Estate {
    let estate = Estate { folder: folder.to_owned() };
    let key = SigningKey::generate(&estate.path("attestore.key")).unwrap();
    let hash_key = HashKey::create(&estate.path("attestore.hashkey")).unwrap();
    let mut log = LogWriter::create(&estate.path("log"), ORIGIN, &key, attestore::drill::context::tool()).unwrap();
    std::fs::create_dir_all(estate.path("manifests/db")).unwrap();
    capture(&estate, source, points, &key, &hash_key, &mut log).await;
    let is_postgres = source.kind == EngineKind::Postgres;
    // The extension's functions are its owner's alone, on a server that is not the source's.
    let checks = if is_postgres { "checks = [\"structure-postgres\"]\n" } else { "" };
    let text = format!(
        "version = 1\n[log]\npath = \"log\"\norigin = \"{ORIGIN}\"\n[keys]\nsigning = \"attestore.key\"\nhash = \"attestore.hashkey\"\n\
         [class.c]\nrto = \"1h\"\nrpo = \"1d\"\ntest_period = \"90d\"\n{checks}[[resource]]\nid = \"db\"\napplication = \"a\"\n{described}\
         class = \"c\"\nmanifests = \"manifests/db\"\n[[resource.points]]\nfrom = \"local\"\npath = \"vault/db\"\n"
    );
    std::fs::write(estate.path("attestore.toml"), text).unwrap();
    estate
}

/// More points, of the source as it is by now.
pub async fn add(estate: &Estate, source: &Source, points: &[&str]) {
    let key = SigningKey::load(&estate.path("attestore.key")).unwrap();
    let hash_key = HashKey::load(&estate.path("attestore.hashkey")).unwrap();
    let mut log = LogWriter::open(&estate.path("log"), SigningKey::load(&estate.path("attestore.key")).unwrap()).unwrap();
    capture(estate, source, points, &key, &hash_key, &mut log).await;
}

/// A signed and registered manifest of the source for each of the points.
async fn capture(estate: &Estate, source: &Source, points: &[&str], key: &SigningKey, hash_key: &HashKey, log: &mut LogWriter) {
    let access = Access { user: Some(USER.into()), password: Some(PASSWORD.into()), ..Access::default() };
    let at = |point: &str| estate.path("manifests/db").join(point);
    let id = |point: &str| Some(PointId::local(&"db".into(), point));
    for (n, point) in points.iter().enumerate() {
        if n == 0 {
            // Tables of MyISAM have no snapshot; nothing writes to them here.
            let mode = if source.kind == EngineKind::Postgres { CaptureMode::SnapshotExact } else { CaptureMode::Sealed };
            let mut request = CaptureRequest::new(at(point), mode);
            request.recovery_point_id = id(point);
            let signer = Some((ORIGIN, key));
            attestore::verify::sql::capture::capture(&source.url(), &access, &request, hash_key, signer, &Silent).await.unwrap();
        } else {
            name_another(&at(points[0]), &at(point), id(point), key);
        }
        estate.register(log, "db", &at(point));
    }
    log.checkpoint().unwrap();
}

/// The same manifest of another point: what stands still is read once.
fn name_another(from: &Path, to: &Path, point: Option<PointId>, key: &SigningKey) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let header = Header { recovery_point_id: point, ..Header::load(from).unwrap().0 };
    let bytes = header.to_bytes().unwrap();
    std::fs::write(to.join(HEADER_FILE), &bytes).unwrap();
    let signature = note::sign(ORIGIN, key, &signed_text(&Sha256Digest::of(&bytes)));
    std::fs::write(to.join(SIGNATURE_FILE), signature).unwrap();
}

pub fn result(estate: &Estate, point: &str) -> PointResult {
    let id = PointId::local(&"db".into(), point);
    estate.results().into_iter().find(|result| result.rp.id == id).unwrap_or_else(|| panic!("no result of {point}"))
}

pub fn expect_pass(estate: &Estate, point: &str) {
    let good = result(estate, point);
    assert_eq!(good.outcome, Outcome::Pass, "{point}: {:?} {:?} {:?}", good.outcome_reasons, good.errors, good.verify);
    assert_eq!(good.verify.unwrap().rows.unwrap().matched, 7, "{point}");
    // A server that is started and loaded is the restore: nobody else took that time to accept it.
    let restore = good.restore.unwrap();
    let (accepted, available) = (restore.accepted_at.unwrap(), restore.available_at.unwrap());
    assert!(accepted.millis_since(restore.requested_at) < available.millis_since(accepted), "{point}: {restore:?}");
}

/// Every row unreadable, with the reason in the findings, and nothing called an error of the environment.
pub fn expect_unreadable(estate: &Estate, point: &str, why: &str) {
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
pub fn text_of(path: &Path) -> String {
    String::from_utf8_lossy(&zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap_or_default()).into_owned()
}

pub fn texts_under(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { texts_under(&path) } else { vec![text_of(&path)] }).collect()
}

pub fn changed(estate: &Estate, point: &str) {
    let bad = result(estate, point);
    let rows = bad.verify.unwrap().rows.unwrap();
    assert_eq!((bad.outcome, rows.mismatch, rows.matched), (Outcome::Fail, 1, 6), "{point}: {:?}", bad.outcome_reasons);
}

pub fn edit(from: &Path, to: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(from).unwrap();
    std::fs::write(to, change(text)).unwrap();
}

pub fn cut(from: &Path, to: &Path, keep: usize) {
    let bytes = std::fs::read(from).unwrap();
    std::fs::write(to, &bytes[..bytes.len() * keep / 100]).unwrap();
}

pub fn pack_gzip(from: &Path, to: &Path) {
    let mut packer = flate2::write::GzEncoder::new(std::fs::File::create(to).unwrap(), flate2::Compression::default());
    packer.write_all(&std::fs::read(from).unwrap()).unwrap();
    packer.finish().unwrap();
}

pub fn pack_zstd(from: &Path, to: &Path) {
    std::fs::write(to, zstd::encode_all(std::fs::File::open(from).unwrap(), 3).unwrap()).unwrap();
}

/// No target, no server, and no folder of one among the temporary files.
pub fn no_leftovers(estate: &Estate) {
    assert_eq!(estate.leftovers(), Vec::<String>::new());
    let work = std::fs::canonicalize(estate.path("attestore-work")).unwrap();
    assert_eq!(servers_under(&work), []);
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let of = std::fs::read_to_string(entry.path().join("belongs-to")).unwrap_or_default();
        assert!(!Path::new(&of).starts_with(&work), "{} is left", entry.path().display());
    }
}

/// Runs the drill and looks that nothing is left: no target, no server.
pub fn drill(estate: &Estate, code: i32) {
    let output = estate.run(&["drill", "--at-once", "2"], None);
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    no_leftovers(estate);
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}
