//! One database of a throw-away server, captured and compared: what the tests of both servers share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use attestore::model::capture::CaptureMode;
use attestore::model::check::CheckResult;
use attestore::model::failure::Failure;
use attestore::model::finding::{Class, Finding};
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Event, Monitor, Silent};
use attestore::signing::hash_key::HashKey;
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::runner;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::reading::Limits;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, Row as _};

use crate::servers::{Kind, PASSWORD, Server};

/// Every type of PostgreSQL that has a rule, with its extremes.
pub const POSTGRES_TYPES: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TABLE all_types (
  id int PRIMARY KEY, b bool, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(38, 10), t text, v varchar(9), c char(5), by bytea,
  d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, j json, jb jsonb, e mood, bi bit(5), vb bit varying(12), u uuid,
  ip inet, ci cidr, m macaddr, ai int[], at text[], p pair, r int4range, nr numrange, mr int4multirange, s small, po point, x xml, mo money,
  g int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO all_types (id) VALUES (1);
INSERT INTO all_types (id, b, i2, i8, f4, f8, n, n2, t, v, c, by, d, ti, tz, ts, tstz, iv, j, jb, e, bi, vb, u, ip, ci, m, ai, at, p, r, nr, mr, s, po, x, mo) VALUES
 (2, true, -32768, -9223372036854775808, 'NaN', '-0', 'NaN', 1234567890123456789012345678.0123456789, E'z\u00fc\U0001F600  ', 'x ', 'ab', '\x00ff', 'infinity', '24:00', '12:00+03',
  '-infinity', '2026-01-01 12:00+00', '1 mon -2 days 3.5 s', '{"a" : 1}', '{"b":2,"a":1e400}', 'ok', B'10101', B'1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '10.0.0.0/8',
  '08:00:2b:01:02:03', '[0:1]={1,NULL}', '{{a,b},{c,NULL}}', '(1,NULL)', '[1,5)', 'empty', '{[1,2),[5,9)}', 7, '(1,2)', '<a/>', 12.34),
 (3, false, 32767, 9223372036854775807, 'Infinity', 1.7976931348623157e308, '-Infinity', -0.0000000001, '', '', '', '', '4713-01-01 BC', '00:00', '00:00-15',
  '294276-12-31 23:59:59.999999', 'infinity', '-1 year', 'null', 'null', 'sad', B'00000', B'', '00000000-0000-0000-0000-000000000000', '::1', '::/0',
  '00:00:00:00:00:00', '{}', '{}', '(,)', '(,)', '(,5.5]', '{}', -1, '(0,0)', '', -1),
 (4, null, 0, 0, -0.0, 0.0, 100.00, 0, 'NULL', 'y', 'é', 'abc', '1970-01-01', '01:02:03.000004', '01:02:03.5+01:30', '1970-01-01', '1969-12-31 23:59:59.999999+00', '0', '[]', '"x"', 'ok',
  B'11111', B'101010101010', null, '192.168.1.1', '192.168.1.0/24', null, '{1,2,3}', '{""}', null, '[,3]', '[1.0,2.00]', '{[1,1]}', 0, '(1e300,-1e300)', null, 0);
"#;

/// The hash key of every test.
pub fn key() -> HashKey {
    HashKey::from_bytes([7; 32])
}

/// Short waits: what would take minutes in earnest takes a second here.
pub fn hasty() -> Limits {
    let [lock, comeback, connect, silence] = [1, 1, 2, 3].map(Duration::from_secs);
    Limits { connect, lock, silence, comeback, lanes: 2 }
}

/// The same for what has to be answered, on a machine that does more than it can.
pub fn unhurried() -> Limits {
    Limits { connect: Duration::from_secs(30), silence: Duration::from_secs(8), ..hasty() }
}

/// The server's own user.
pub fn access() -> Access {
    Access { password: Some(PASSWORD.into()), limits: unhurried(), ..Access::default() }
}

/// The same as somebody else.
pub fn as_user(user: &str, password: &str) -> Access {
    Access { user: Some(user.into()), password: Some(password.into()), limits: unhurried(), ..Access::default() }
}

/// One database.
pub struct Db {
    pub server: Arc<Server>,
    pub kind: Kind,
    pub name: String,
}

impl Db {
    /// A new database in which `sql` has been run.
    pub async fn new(server: &Arc<Server>, kind: Kind, name: &str, sql: &str) -> Self {
        match kind {
            Kind::Postgres => run(server, kind, "postgres", &format!("CREATE DATABASE {name} TEMPLATE template0")).await,
            Kind::Mariadb | Kind::Mysql => run(server, kind, "mysql", &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await,
        }
        let db = Self { server: server.clone(), kind, name: name.into() };
        db.run(sql).await;
        db
    }

    /// Runs statements as the server's own user.
    pub async fn run(&self, sql: &str) {
        run(&self.server, self.kind, &self.name, sql).await;
    }

    /// The source URL.
    pub fn url(&self) -> SourceUrl {
        self.server.url(&self.name).parse().unwrap()
    }

    /// A snapshot-exact capture.
    pub async fn capture(&self, out: &Path) -> Result<Header, Failure> {
        self.capture_as(&access(), out).await
    }

    /// The same as somebody else.
    pub async fn capture_as(&self, access: &Access, out: &Path) -> Result<Header, Failure> {
        let request = CaptureRequest::new(out, CaptureMode::SnapshotExact);
        capture(&self.url(), access, &request, &key(), None, &Silent).await
    }

    /// The comparison with a manifest, and its findings.
    pub async fn compare(&self, manifest: &Path) -> (Verification, Vec<Finding>) {
        self.compare_as(&access(), manifest).await.unwrap()
    }

    /// The same as somebody else.
    pub async fn compare_as(&self, access: &Access, manifest: &Path) -> Result<(Verification, Vec<Finding>), Failure> {
        let monitor = Collected::default();
        let manifest = Manifest::open(manifest).unwrap();
        let result = compare(&self.url(), access, &manifest, &key(), &monitor).await?;
        Ok((result, monitor.findings()))
    }

    /// The results of check packs by the check's id.
    pub async fn check(&self, packs: &[Pack], baselines: &[(&str, &str)]) -> BTreeMap<String, CheckResult> {
        let baselines = baselines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let results = runner::run(&self.url(), &access(), packs, &baselines, &Silent).await.unwrap();
        results.into_iter().map(|result| (result.id.clone(), result)).collect()
    }

    /// The comparison while `monitor` listens.
    pub async fn compare_with(&self, access: &Access, manifest: &Path, monitor: &dyn Monitor) -> Verification {
        compare(&self.url(), access, &Manifest::open(manifest).unwrap(), &key(), monitor).await.unwrap()
    }
}

/// Runs statements on a server.
pub async fn run(server: &Server, kind: Kind, database: &str, sql: &str) {
    match kind {
        Kind::Postgres => {
            let mut connection = PgConnection::connect(&server.full_url(database)).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            connection.close().await.unwrap();
        }
        // Its own client: the driver does not read DELIMITER.
        Kind::Mysql => crate::servers::run(server, &format!("USE {database};\n{sql}")),
        Kind::Mariadb => {
            let mut connection = MySqlConnection::connect(&server.full_url(database)).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            connection.close().await.unwrap();
        }
    }
}

/// Waits until MariaDB has written out what it had still to write: its log then stands still. Of a server that no other test writes to.
pub async fn until_quiet(server: &Server) {
    let mut connection = MySqlConnection::connect(&server.full_url("mysql")).await.unwrap();
    // The second waits until nothing that was deleted has still to be purged (MariaDB documentation, InnoDB system variables).
    for now in ["innodb_max_dirty_pages_pct = 0", "innodb_max_purge_lag_wait = 0"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SET GLOBAL {now}"))).execute(&mut connection).await.unwrap();
    }
    let (mut last, mut same) = (String::new(), 0);
    for _ in 0..600 {
        let row = sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'").fetch_one(&mut connection).await.unwrap();
        let now: String = row.try_get_unchecked(1).unwrap();
        same = if now == last { same + 1 } else { 0 };
        if same == 15 {
            break;
        }
        last = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    connection.close().await.unwrap();
}

/// Captures a database with the program itself, under the hash key of every test, and gives the most memory it had, in KiB.
pub fn peak_of_capture(url: &str, out: &Path) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, format!("{}\n", "07".repeat(32))).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_attestore"));
    program.args(["manifest", "create", url, "--json", "--out", out.to_str().unwrap(), "--hash-key", file.to_str().unwrap()]);
    program.env("PGPASSWORD", PASSWORD).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = mark.unwrap_or(peak);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(peak > 4_096, "it was measured: {peak} KiB");
    peak
}

/// Class and place of each finding, sorted.
pub fn places(findings: &[Finding]) -> Vec<(Class, String)> {
    let mut all: Vec<_> = findings.iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect();
    all.sort();
    all
}

/// When something happens meanwhile.
#[derive(Clone, Copy)]
pub enum When {
    /// When this table begins to be read.
    Begins(&'static str),
    /// When the first rows of this table have arrived.
    FirstRows(&'static str),
    /// When all of this table has been read, and its differences are looked up.
    Ends(&'static str),
    /// When so many rows of this table have arrived: where these are all, before it is asked whether it was that table.
    Rows(&'static str, u64),
}

/// Does something once while tables are read; keeps the findings.
pub struct Meanwhile<F: Fn() + Send + Sync> {
    when: When,
    act: F,
    done: std::sync::Once,
    rows: std::sync::atomic::AtomicU64,
    /// What was told.
    pub seen: Collected,
}

impl<F: Fn() + Send + Sync> Meanwhile<F> {
    /// `act` happens at `when`.
    pub fn new(when: When, act: F) -> Self {
        Self { when, act, done: std::sync::Once::new(), rows: Default::default(), seen: Collected::default() }
    }

    /// Whether it happened.
    pub fn happened(&self) -> bool {
        self.done.is_completed()
    }
}

impl<F: Fn() + Send + Sync> Monitor for Meanwhile<F> {
    fn event(&self, event: Event<'_>) {
        let now = match (&event, self.when) {
            (Event::Started { task, .. }, When::Begins(table)) => *task == format!("reading {table}"),
            (Event::Advanced { task, by: 1.., .. }, When::FirstRows(table)) => *task == format!("reading {table}"),
            (Event::Advanced { task, by, .. }, When::Rows(table, rows)) if *task == format!("reading {table}") => {
                self.rows.fetch_add(*by, std::sync::atomic::Ordering::Relaxed) + by == rows
            }
            (Event::Finished { task }, When::Ends(table)) => *task == format!("reading {table}"),
            _ => false,
        };
        if now {
            self.done.call_once(|| (self.act)());
        }
        self.seen.event(event);
    }
}

/// Kills the server when the first rows have been read.
pub struct KillAfter {
    server: Arc<Server>,
    pub findings: Collected,
}

impl KillAfter {
    /// `server` is going to be killed.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, findings: Collected::default() }
    }
}

impl Monitor for KillAfter {
    fn event(&self, event: Event<'_>) {
        if let Event::Advanced { by: 1.., .. } = event {
            self.server.kill();
        }
        self.findings.event(event);
    }
}

/// Runs statements from inside a listener: on a thread of its own, as another client would.
pub fn run_aside(server: &Server, kind: Kind, database: &str, sql: &str) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(server, kind, database, sql));
        });
    });
}

/// Every file below a directory with its size and time of change: what must not change where nothing may be written.
pub fn state_of(dir: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    fn walk(dir: &Path, out: &mut Vec<(PathBuf, u64, std::time::SystemTime)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { walk(&entry.path(), out) } else { out.push((entry.path(), meta.len(), meta.modified().unwrap())) }
        }
    }
    let mut all = Vec::new();
    walk(dir, &mut all);
    all.sort();
    all
}

/// The process ids of a server's children.
pub fn signal(pid: &str, name: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}
