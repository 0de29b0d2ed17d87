//! Rows of MariaDB as they are read without the driver: the same as the driver's, through TLS and sockets, and with a wire that lies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::servers::{self, Kind, PASSWORD, Server, USER};
use crate::support::{Db, access, key, places, until_quiet};
use attestore::model::finding::{Class, Finding};
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Collected;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::database::Database;
use attestore::verify::sql::rows::canon::Row;
use attestore::verify::sql::rows::mysql_decode;
use attestore::verify::sql::rows::row_keys::RowKeys;
use attestore::verify::sql::rows::table::{Table, Wire, backticked};
use attestore::verify::sql::wire::mysql::error::WireError;
use attestore::verify::sql::wire::mysql::options::{MysqlOptions, TlsMode};
use attestore::verify::sql::wire::mysql::session::WireSession;
use futures_util::StreamExt as _;
use sqlx::{AssertSqlSafe, Connection, Decode, MySql, MySqlConnection, Row as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const TYPES: &str = "SET sql_mode = ''; SET time_zone = '+03:00'; CREATE TABLE t (id INT PRIMARY KEY, t1 TINYINT, u1 TINYINT UNSIGNED, s2 SMALLINT, m3 MEDIUMINT, \
  i8 BIGINT, u8 BIGINT UNSIGNED, f FLOAT, d DOUBLE, n DECIMAL(38, 10), c CHAR(5), v VARCHAR(300), l1 VARCHAR(20) CHARACTER SET latin1, vb VARBINARY(9), bl LONGBLOB, \
  da DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, ti TIME(6), y YEAR, bt BIT(33), e ENUM('a', 'b'), st SET('x', 'y'), j JSON, g GEOMETRY, uu UUID, ip INET6); \
  INSERT INTO t (id) VALUES (0); INSERT INTO t SELECT seq, seq - 200, seq % 256, -seq, seq * 99, -seq * 1000000007, seq * 999999999989, seq / 7, seq / 13, -seq / 11, \
  LEFT(seq, 5), REPEAT(CHAR(65 + seq % 26), seq % 300), 'é', UNHEX(MD5(seq)), REPEAT('ab', POW(seq % 18, 4)), DATE('2020-01-01') + INTERVAL seq DAY, \
  IF(seq % 2, '2026-02-00', '2026-01-01 01:02:03.000004'), IF(seq % 3, NULL, '2026-01-01 00:00:00'), SEC_TO_TIME(seq * 1000), 1901 + seq % 200, seq, 'b', 'x,y', \
  CONCAT('{\"a\": ', seq, '}'), ST_GeomFromText('POINT(1 2)'), UUID(), '::1' FROM (SELECT CAST(seq AS SIGNED) AS seq FROM seq_1_to_400) AS s; UPDATE t SET dt = '0000-00-00', da = 0 WHERE id % 5 = 0";

fn blank() -> Row {
    Row::new(&RowKeys::new(&key()))
}

/// The rows of a table in canonical form, sorted, as they are read here.
async fn own(url: &str) -> (Table, Vec<Vec<u8>>) {
    let mut db = Database::open(&url.parse::<SourceUrl>().unwrap(), &access()).await.unwrap();
    let table = db.tables().await.unwrap().into_iter().find(|table| table.name == "t").unwrap();
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let mut rows = Vec::new();
    let each = &mut |row: &Row| {
        rows.push(row.bytes().to_vec());
        Ok(true)
    };
    assert_eq!(db.read(&table, &columns, blank(), each).await.unwrap(), rows.len() as u64);
    db.close().await;
    rows.sort();
    (table, rows)
}

/// The same by way of the driver.
async fn drivers(server: &Server, database: &str, table: &Table) -> Vec<Vec<u8>> {
    let mut connection = MySqlConnection::connect(&server.full_url(database)).await.unwrap();
    for pin in ["SET SESSION time_zone = '+00:00'", "SET SESSION character_set_results = NULL"] {
        sqlx::raw_sql(pin).execute(&mut connection).await.unwrap();
    }
    let names: Vec<String> = table.columns.iter().map(|column| backticked(&column.name)).collect();
    let question = format!("SELECT {} FROM t", names.join(", "));
    let mut rows = Vec::new();
    for read in sqlx::query(AssertSqlSafe(question)).fetch_all(&mut connection).await.unwrap() {
        let mut row = blank();
        row.begin(table.columns.len());
        for (at, column) in table.columns.iter().enumerate() {
            let Wire::Mysql(kind) = &column.wire else { panic!("{column:?}") };
            let bytes = <&[u8] as Decode<MySql>>::decode(read.try_get_raw(at).unwrap()).ok();
            mysql_decode::field(kind, bytes, &mut row).unwrap();
        }
        rows.push(row.bytes().to_vec());
    }
    connection.close().await.unwrap();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_that_the_driver_reads_however_they_end() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let db = Db::new(&server, Kind::Mariadb, "wire_types", TYPES).await;
    // Rows of several packets, and of one that is exactly full.
    db.run("INSERT INTO t (id, bl, v) VALUES (1001, REPEAT('0123456789', 2000000), 'long'); INSERT INTO t (id, bl) VALUES (1002, REPEAT('z', 16777215 - 15))").await;
    let (table, rows) = own(&server.url("wire_types")).await;
    assert_eq!(rows.len(), 403);
    assert!(rows == drivers(&server, "wire_types", &table).await);
    let old = Proxy::start(&server, Fault::OldEnds, usize::MAX).await;
    assert!(own(&old.url("wire_types")).await.1 == rows, "ends of the old kind");
    assert!(old.struck() > 0);
}

/// What a wire does to the 300th packet of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Nothing, but ends of rows are of the old kind.
    OldEnds,
    /// The connection ends in the middle of a row.
    Cut,
    /// Nothing more arrives.
    Silence,
    /// Another number.
    Number,
    /// A row that says to be longer than it is.
    Longer,
    /// A row that says to be shorter than it is.
    Shorter,
    /// A row that begins as none does.
    Foreign,
    /// A value that is longer than its row.
    Value,
}

/// Stands between a reader and a server.
struct Proxy {
    port: u16,
    struck: Arc<AtomicUsize>,
}

impl Proxy {
    /// Does its harm so many times.
    async fn start(server: &Server, fault: Fault, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, struck, to) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)), server.port());
        let counter = struck.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (from_near, to_near) = near.into_split();
                let (from_server, mut to_server) = TcpStream::connect(("127.0.0.1", to)).await.unwrap().into_split();
                let mut from_near = from_near;
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_near, &mut to_server).await;
                });
                let counter = counter.clone();
                tokio::spawn(async move { pass(from_server, to_near, fault, times, &counter).await });
            }
        });
        Self { port, struck }
    }

    fn url(&self, database: &str) -> String {
        format!("mysql://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    fn struck(&self) -> usize {
        self.struck.load(Ordering::SeqCst)
    }
}

/// Passes packets on; nothing where the connection is to end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault, times: usize, struck: &AtomicUsize) -> Option<()> {
    let (mut count, mut greeted) = (0, false);
    loop {
        let mut head = [0; 4];
        from.read_exact(&mut head).await.ok()?;
        let mut body = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        from.read_exact(&mut body).await.ok()?;
        count = if head[3] == 1 && count < 255 { 1 } else { count + 1 };
        if !greeted && fault == Fault::OldEnds {
            // Bit 24 of the capabilities, behind the version, the session's number, half the nonce, and what else there is.
            let at = body.iter().position(|byte| *byte == 0).unwrap() + 1 + 4 + 9 + 2 + 1 + 2 + 1;
            body[at] &= !1;
            struck.fetch_add(1, Ordering::SeqCst);
        }
        greeted = true;
        let strikes = fault != Fault::OldEnds && count == 300 && struck.load(Ordering::SeqCst) < times;
        if strikes {
            struck.fetch_add(1, Ordering::SeqCst);
            match fault {
                Fault::OldEnds => {}
                Fault::Cut => {
                    to.write_all(&[&head, &body[..body.len() / 2]].concat()).await.ok()?;
                    return None;
                }
                Fault::Silence => std::future::pending().await,
                Fault::Number => head[3] ^= 0x40,
                Fault::Longer => head[0] += 1,
                Fault::Shorter => head[0] -= 1,
                Fault::Foreign => body[0] = 7,
                // Behind the head, the bits of NULL, and the key.
                Fault::Value => body[6] += 1,
            }
        }
        to.write_all(&[&head[..], &body].concat()).await.ok()?;
    }
}

async fn compared(url: &str, manifest: &Path) -> Vec<Finding> {
    let monitor = Collected::default();
    compare(&url.parse().unwrap(), &access(), &Manifest::open(manifest).unwrap(), &key(), &monitor).await.unwrap();
    monitor.findings()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_lies_is_found_out_and_a_session_that_is_lost_is_replaced() {
    // Of its own: what others do to a server moves it, and then no session can take the place of another.
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE m (id INT PRIMARY KEY, v VARCHAR(200)) STATS_AUTO_RECALC = 0; INSERT INTO m SELECT seq, REPEAT(seq, 10) FROM seq_100000_to_102000";
    let db = Db::new(&server, Kind::Mariadb, "lies", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let lies = [
        (Fault::Cut, "the server closed it"),
        (Fault::Silence, "no data for"),
        (Fault::Number, "of the answer"),
        (Fault::Longer, "longer than its values"),
        (Fault::Shorter, "longer than it is"),
        (Fault::Foreign, "found a packet that begins with 0x07"),
        (Fault::Value, "longer than it is"),
    ];
    let (server, manifest) = (&server, &manifest);
    // Most of the time goes into waiting, so several at once.
    let each = |(fault, said)| async move {
        if matches!(fault, Fault::Cut | Fault::Silence | Fault::Value) {
            until_quiet(server).await;
            let once = Proxy::start(server, fault, 1).await;
            assert_eq!(compared(&once.url("lies"), manifest).await, [], "{fault:?}");
            assert_eq!(once.struck(), 1, "{fault:?}");
        }
        let always = Proxy::start(server, fault, usize::MAX).await;
        let findings = compared(&always.url("lies"), manifest).await;
        assert_eq!(places(&findings), [(Class::Unreadable, "m".into())], "{fault:?}: {findings:?}");
        let found = findings[0].actual.as_deref().unwrap();
        assert!(found.contains(said), "{fault:?}: expected `{said}` in `{found}`");
    };
    futures_util::stream::iter(lies).for_each_concurrent(3, each).await;
}

/// A certificate for these names, its key, and the authority that made it: PEM.
fn certificate(names: &[&str]) -> [String; 3] {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
    [certificate.pem(), key.serialize_pem(), ca.pem()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_what_was_asked_for() {
    let Some(server) = servers::own(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (name, text) in ["server.pem", "server.key", "ca.pem"].iter().zip(certificate(&["localhost"])) {
        std::fs::write(path(name), text).unwrap();
    }
    std::fs::write(path("other.pem"), &certificate(&["localhost"])[2]).unwrap();
    server.stop();
    let argument = |option: &str, name: &str| format!("--{option}={}", path(name).display());
    server.start_with(&[argument("ssl-cert", "server.pem"), argument("ssl-key", "server.key")]);
    let options = |tls: TlsMode, ca: Option<&str>, host: &str| MysqlOptions {
        host: host.into(),
        port: server.port(),
        socket: None,
        user: USER.into(),
        password: PASSWORD.into(),
        database: "mysql".into(),
        tls,
        ca: ca.map(path),
    };
    let cipher = async |options: MysqlOptions| -> Result<String, WireError> {
        let mut session = WireSession::connect(&options).await?;
        let cipher = "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = ?";
        let answers = session.ask(cipher, &["Ssl_cipher"]).await?;
        // More than one record of TLS holds, and than the buffer does.
        let long = session.ask("SELECT REPEAT('x', 1000000)", &[]).await?;
        assert_eq!(long[0].text(0).unwrap().len(), 1_000_000);
        session.close().await;
        Ok(answers[0].text(0).unwrap())
    };
    assert_eq!(cipher(options(TlsMode::Disabled, None, "127.0.0.1")).await.unwrap(), "");
    for (mode, ca, host) in [
        (TlsMode::Preferred, None, "127.0.0.1"),
        (TlsMode::Required, None, "127.0.0.1"),
        (TlsMode::VerifyCa, Some("ca.pem"), "127.0.0.1"),
        (TlsMode::VerifyIdentity, Some("ca.pem"), "localhost"),
    ] {
        assert!(cipher(options(mode, ca, host)).await.unwrap().starts_with("TLS_"), "{mode:?}");
    }
    for (mode, ca, host) in [
        (TlsMode::VerifyIdentity, Some("ca.pem"), "127.0.0.1"),
        (TlsMode::VerifyIdentity, Some("other.pem"), "localhost"),
        (TlsMode::VerifyCa, Some("other.pem"), "localhost"),
        (TlsMode::VerifyIdentity, None, "localhost"),
        (TlsMode::VerifyCa, Some("absent.pem"), "localhost"),
    ] {
        let error = cipher(options(mode, ca, host)).await.unwrap_err();
        assert!(matches!(error, WireError::Tls(_)), "{mode:?} {ca:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_socket_and_as_whoever_may() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let db = Db::new(
        &server,
        Kind::Mariadb,
        "through",
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)); INSERT INTO t VALUES (1, 'a'), (2, NULL)",
    )
    .await;
    db.run(
        "CREATE OR REPLACE USER near@localhost IDENTIFIED BY 'by the door'; GRANT SELECT ON through.* TO near@localhost; \
            CREATE OR REPLACE USER nobody@'127.0.0.1'; GRANT SELECT ON through.* TO nobody@'127.0.0.1'",
    )
    .await;
    let options = |user: &str, password: &str| MysqlOptions {
        host: "127.0.0.1".into(),
        port: server.port(),
        socket: None,
        user: user.into(),
        password: password.into(),
        database: "through".into(),
        tls: TlsMode::Preferred,
        ca: None,
    };
    for options in [MysqlOptions { socket: Some(server.socket()), ..options("near", "by the door") }, options("nobody", "")] {
        let mut session = WireSession::connect(&options).await.unwrap();
        let answers = session.ask("SELECT v FROM t WHERE id < ? ORDER BY id", &["3"]).await.unwrap();
        assert_eq!((answers[0].text(0), answers[1].text(0)), (Some("a".into()), None));
        // What the server refuses leaves the session as good as it was.
        let refused = session.ask("SELECT * FROM nowhere", &[]).await.unwrap_err();
        assert!(matches!(refused, WireError::Server { number: 1146 | 1142, .. }), "{refused}");
        assert!(session.run("DELETE FROM t").await.is_err() && !session.is_busy());
        assert!(session.ask("SELECT ?", &[]).await.is_err(), "a value is wanting");
        assert_eq!(session.ask("SELECT COUNT(*) FROM t", &[]).await.unwrap()[0].unsigned(0), Some(2));
        // An answer that is not taken to its end is not the next one's beginning.
        session.select("SELECT id FROM t", &[]).await.unwrap();
        assert!(session.is_busy() && session.run("SELECT 1").await.is_err());
    }
    for wrong in
        [options("nobody", "a password"), options(USER, "wrong"), MysqlOptions { socket: Some("/nowhere".into()), ..options("near", "") }]
    {
        assert!(WireSession::connect(&wrong).await.is_err());
    }
}
