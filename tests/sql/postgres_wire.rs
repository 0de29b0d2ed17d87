//! Rows of PostgreSQL as they are read without the driver: the same as the driver's, of any size in little memory, through every way to
//! log in, and with a wire that lies.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::servers::{self, Kind, PASSWORD, Server, USER};
use crate::support::{self, Db, POSTGRES_TYPES, access, as_user, hasty, key, peak_of_capture, places};
use attestore::model::failure::FailureKind;
use attestore::model::finding::{Class, Finding};
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Collected;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;
use attestore::verify::sql::reading::Limits;
use attestore::verify::sql::rows::canon::{LARGE_BYTES, Row};
use attestore::verify::sql::rows::postgres_decode;
use attestore::verify::sql::rows::row_keys::RowKeys;
use attestore::verify::sql::rows::table::{Table, Wire, double_quoted};
use attestore::verify::sql::wire::postgres::error::PgWireError;
use attestore::verify::sql::wire::postgres::session::PgWireSession;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

fn blank() -> Row {
    Row::new(&RowKeys::new(&key()))
}

/// Waits long enough for a server that has much to do.
fn patient() -> Access {
    Access { limits: Limits { silence: Duration::from_secs(60), ..hasty() }, ..access() }
}

/// The rows of a table in canonical form, sorted, as they are read here.
async fn own(url: &SourceUrl, name: &str) -> (Table, Vec<Vec<u8>>) {
    let mut db = Database::open(url, &patient()).await.unwrap();
    let table = db.tables().await.unwrap().into_iter().find(|table| table.name == name).unwrap();
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

/// The same by way of the driver, each value whole.
async fn drivers(server: &Server, database: &str, table: &Table) -> Vec<Vec<u8>> {
    let mut connection = PgConnection::connect(&server.full_url(database)).await.unwrap();
    let names: Vec<String> = table.columns.iter().map(|column| double_quoted(&column.name)).collect();
    let statement = format!("COPY (SELECT {} FROM ONLY {}) TO STDOUT (FORMAT binary)", names.join(", "), table.sql_name);
    let chunks: Vec<_> = connection.copy_out_raw(&statement).await.unwrap().try_collect().await.unwrap();
    connection.close().await.unwrap();
    let bytes = chunks.concat();
    let (mut at, mut rows) = (19, Vec::new());
    loop {
        let count = i16::from_be_bytes(bytes[at..at + 2].try_into().unwrap());
        at += 2;
        if count == -1 {
            break;
        }
        let mut row = blank();
        row.begin(table.columns.len());
        for column in &table.columns {
            let Wire::Postgres(kind) = &column.wire else { panic!("{column:?}") };
            let length = i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            at += 4;
            let value = (length >= 0).then(|| &bytes[at..at + length as usize]);
            at += length.max(0) as usize;
            postgres_decode::field(kind, value, &mut row).unwrap();
        }
        rows.push(row.bytes().to_vec());
    }
    assert_eq!(at, bytes.len());
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_that_the_driver_reads_whatever_their_size() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let db = Db::new(&server, Kind::Postgres, "wire_types", POSTGRES_TYPES).await;
    let (table, rows) = own(&db.url(), "all_types").await;
    assert_eq!(rows.len(), 4);
    assert!(rows == drivers(&server, "wire_types", &table).await);
    // Around the room of the buffer, and around what is large; characters that are cut by every border; rows without columns.
    db.run(&format!(
        "CREATE TABLE sizes (t text, v varchar, x bpchar, j json, jb jsonb, by bytea, a text[], d text); \
         INSERT INTO sizes SELECT repeat('a€', n), 'v', repeat('p', n), json_build_array(repeat('é', n)), jsonb_build_array(repeat('é', n)), \
           decode(repeat('00ff', n), 'hex'), ARRAY[repeat('x', n), NULL], NULL FROM unnest(ARRAY[0, 9, 65000, 87380, 87381, 262100, 262144]) n; \
         INSERT INTO sizes SELECT repeat('z', n), NULL, repeat(' ', n), NULL, to_jsonb(repeat('y', n - 2)), convert_to(repeat('b', n), 'UTF8'), ARRAY[repeat('c', n)], 'end' \
           FROM unnest(ARRAY[{LARGE_BYTES} - 1, {LARGE_BYTES}, {LARGE_BYTES} + 1, {LARGE_BYTES} + 2]) n; \
         INSERT INTO sizes (t, j) VALUES (repeat('€𐍈', 2000000), to_json(repeat('k', 9000000))); \
         CREATE TABLE none (); INSERT INTO none DEFAULT VALUES; INSERT INTO none DEFAULT VALUES; \
         CREATE TABLE many (id int PRIMARY KEY, v text); INSERT INTO many SELECT i, repeat(i::text, i % 90) FROM generate_series(1, 30000) i"
    ))
    .await;
    for (name, count) in [("sizes", 12), ("none", 2), ("many", 30_000)] {
        let (table, rows) = own(&db.url(), name).await;
        assert_eq!(rows.len(), count);
        assert!(rows == drivers(&server, "wire_types", &table).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_text_that_is_no_text_is_told_apart() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    support::run(&server, Kind::Postgres, "postgres", "CREATE DATABASE wire_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        .await;
    let mut connection = PgConnection::connect(&server.full_url("wire_ascii")).await.unwrap();
    let sql = "SET client_encoding = 'SQL_ASCII'; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, repeat('a', 9000000) || E'\\xe9'), \
               (2, repeat('a', 9000000) || E'\\xc3\\xa9'), (3, repeat('a', 9000000) || E'\\xc3')";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let (_, rows) = own(&server.url("wire_ascii").parse().unwrap(), "t").await;
    // Behind the number of columns, the key, and the tag of what is large.
    assert_eq!(rows.iter().map(|row| row[4 + 10 + 1]).collect::<Vec<_>>(), [9, 8, 9]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_300_mib_take_little_memory() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m");
    let sql = "CREATE TABLE lob (id int PRIMARY KEY, t text, b bytea); INSERT INTO lob VALUES (1, repeat('x', 314572800), NULL); \
               INSERT INTO lob SELECT 2, NULL, convert_to(t, 'SQL_ASCII') FROM lob";
    let db = Db::new(&server, Kind::Postgres, "wire_lob", sql).await;
    let peak = peak_of_capture(&server.url("wire_lob"), &out);
    assert!(peak < 120 * 1024, "two values of 300 MiB took {peak} KiB");
    db.run("UPDATE lob SET t = overlay(t PLACING 'y' FROM 200000000) WHERE id = 1").await;
    let (result, findings) = db.compare_as(&patient(), &out).await.unwrap();
    assert_eq!(places(&findings), [(Class::Mismatch, "lob id=1".into())]);
    assert_eq!(result.rows.unwrap().matched, 1);
    db.run("DROP TABLE lob").await;
}

/// What a wire does to a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// The connection ends in the middle of it.
    Cut,
    /// Nothing more arrives.
    Silence,
    /// It says to be longer than it is.
    Longer,
    /// It says to be shorter than it is.
    Shorter,
    /// A length that no message has.
    Length,
    /// Another kind of message.
    Foreign,
    /// Another number of columns.
    Columns,
    /// A value that is longer than its row.
    Value,
    /// It is not passed on.
    Lost,
    /// It is passed on twice.
    Twice,
    /// The rows end here.
    Ended,
    /// An error of a damaged page.
    Page,
    /// An error that ends the session.
    Shutdown,
}

/// Stands between a reader and a server, and strikes at the 300th row of a session.
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
                let (mut from_near, to_near) = near.into_split();
                let (from_server, mut to_server) = TcpStream::connect(("127.0.0.1", to)).await.unwrap().into_split();
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
        format!("postgres://{USER}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// Passes messages on; nothing where the connection is to end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault, times: usize, struck: &AtomicUsize) -> Option<()> {
    let mut rows = 0;
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head).await.ok()?;
        let mut body = vec![0; u32::from_be_bytes(*head.last_chunk::<4>().unwrap()) as usize - 4];
        from.read_exact(&mut body).await.ok()?;
        rows += usize::from(head[0] == b'd');
        let mut sent = [&head[..], &body].concat();
        if head[0] == b'd' && rows == 300 && struck.load(Ordering::SeqCst) < times {
            struck.fetch_add(1, Ordering::SeqCst);
            match fault {
                Fault::Cut => {
                    to.write_all(&sent[..sent.len() / 2]).await.ok()?;
                    return None;
                }
                Fault::Silence => std::future::pending().await,
                Fault::Longer => sent[4] += 1,
                Fault::Shorter => sent[4] -= 1,
                Fault::Length => sent[4] = 3,
                Fault::Foreign => sent[0] = b'?',
                Fault::Columns => sent[6] += 1,
                // Behind the head, the number of columns, and the key.
                Fault::Value => sent[5 + 2 + 8 + 3] += 1,
                Fault::Lost => sent.clear(),
                Fault::Twice => sent = sent.repeat(2),
                Fault::Ended => sent = [message(b'd', &[0xff, 0xff]), message(b'c', &[]), message(b'C', b"COPY 299\0")].concat(),
                Fault::Page => sent = message(b'E', b"SERROR\0CXX001\0Minvalid page in block 7\0\0"),
                Fault::Shutdown => sent = message(b'E', b"SFATAL\0C57P01\0Mterminating connection\0\0"),
            }
        }
        to.write_all(&sent).await.ok()?;
    }
}

async fn compared(url: &str, manifest: &Path, access: &Access) -> Vec<Finding> {
    let monitor = Collected::default();
    compare(&url.parse().unwrap(), access, &Manifest::open(manifest).unwrap(), &key(), &monitor).await.unwrap();
    monitor.findings()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_lies_is_found_out_and_a_session_that_is_lost_is_replaced() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql =
        "CREATE TABLE m (id int PRIMARY KEY, v text); INSERT INTO m SELECT i, repeat(i::text, 10) FROM generate_series(100000, 102000) i";
    let db = Db::new(&server, Kind::Postgres, "wire_lies", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let lies = [
        (Fault::Cut, "the server closed it"),
        (Fault::Silence, "no data for"),
        (Fault::Longer, "not as the protocol has it"),
        (Fault::Shorter, "not as the protocol has it"),
        (Fault::Length, "a message of 3 bytes"),
        (Fault::Foreign, "found a message that begins with 0x3f"),
        (Fault::Columns, "row of 3 columns, expected 2"),
        (Fault::Value, "of"),
        (Fault::Lost, "2000 rows arrived, and the server counts 2001"),
        (Fault::Twice, "2002 rows arrived, and the server counts 2001"),
        (Fault::Ended, "expected rows or their end"),
        (Fault::Page, "invalid page in block 7 (XX001)"),
        (Fault::Shutdown, "terminating connection (57P01)"),
    ];
    let (server, manifest) = (&server, &manifest);
    // Most of the time goes into waiting, so several at once.
    let each = |(fault, said)| async move {
        let access = if fault == Fault::Silence { access() } else { patient() };
        if matches!(fault, Fault::Cut | Fault::Silence | Fault::Length | Fault::Shutdown) {
            let once = Proxy::start(server, fault, 1).await;
            assert_eq!(compared(&once.url("wire_lies"), manifest, &access).await, [], "{fault:?}");
            assert_eq!(once.struck.load(Ordering::SeqCst), 1, "{fault:?}");
        }
        let always = Proxy::start(server, fault, usize::MAX).await;
        let findings = compared(&always.url("wire_lies"), manifest, &access).await;
        assert_eq!(places(&findings), [(Class::Unreadable, "m".into())], "{fault:?}: {findings:?}");
        let found = findings[0].actual.as_deref().unwrap();
        assert!(found.contains(said), "{fault:?}: expected `{said}` in `{found}`");
    };
    futures_util::stream::iter(lies).for_each_concurrent(4, each).await;
}

/// A session of our own, as a URL and an access say.
async fn session(url: &str, access: &Access) -> Result<PgWireSession, PgWireError> {
    PgWireSession::connect(&access.postgres(url).unwrap().now().await.unwrap()).await
}

async fn only(session: &mut PgWireSession, question: &str) -> String {
    session.ask(question).await.unwrap().remove(0).remove(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_prove_a_password_and_the_socket() {
    let Some(server) = servers::own(Kind::Postgres) else { return };
    let db = Db::new(
        &Arc::new(server),
        Kind::Postgres,
        "ways",
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2); SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'by MD5'; \
         SET password_encryption = 'scram-sha-256'; CREATE ROLE new LOGIN PASSWORD 'by \u{200b}SCRAM\u{e9}'; CREATE ROLE plain LOGIN PASSWORD 'as it is'; \
         CREATE ROLE free LOGIN; CREATE ROLE late LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'; GRANT SELECT ON t TO old, new, plain, free",
    )
    .await;
    let server = &db.server;
    server.stop();
    let rules = "host ways old 127.0.0.1/32 md5\nhost ways plain 127.0.0.1/32 password\nhost ways free 127.0.0.1/32 trust\nhost ways refused 127.0.0.1/32 reject\n\
                 host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n";
    std::fs::write(server.data().join("pg_hba.conf"), rules).unwrap();
    server.start();
    let url = server.url("ways");
    for (user, password) in [("old", "by MD5"), ("new", "by \u{200b}SCRAM\u{e9}"), ("plain", "as it is"), ("free", ""), (USER, PASSWORD)] {
        let mut open = session(&url, &as_user(user, password)).await.unwrap_or_else(|error| panic!("{user}: {error}"));
        assert_eq!(only(&mut open, "SELECT current_user").await, user);
        assert_eq!(only(&mut open, "SELECT count(*) FROM t").await, "2");
        // What the server refuses leaves the session as good as it was.
        let refused = open.ask("SELECT 1; SELECT * FROM nowhere; SELECT 2").await.unwrap_err();
        assert!(matches!(&refused, PgWireError::Server { code, .. } if code == "42P01"), "{refused}");
        assert!(open.copy_out("COPY nowhere TO STDOUT (FORMAT binary)").await.is_err() && !open.is_busy());
        assert!(open.copy_out("SELECT 1").await.is_err() && open.is_busy(), "no rows of a copy");
    }
    for (user, password) in
        [("old", "wrong"), ("new", "by SCRAM"), ("plain", "wrong"), (USER, ""), ("absent", "x"), ("late", "x"), ("refused", "x")]
    {
        let error = session(&url, &as_user(user, password)).await.err().unwrap();
        assert!(matches!(&error, PgWireError::Server { code, .. } if code == "28P01" || code == "28000"), "{user}: {error}");
    }
    // An answer that is not taken to its end is not the next one's beginning.
    let mut open = session(&url, &as_user("old", "by MD5")).await.unwrap();
    assert_eq!(open.copy_out("COPY t TO STDOUT (FORMAT binary)").await.unwrap(), 1);
    assert!(open.is_busy() && open.run("SELECT 1").await.is_err());
    // Through the socket, which asks for no password here, by either spelling; and the whole program's way with it.
    let folder = server.socket().parent().unwrap().to_owned();
    let through = format!("{url}?host={}", folder.display());
    assert_eq!(
        only(&mut session(&through, &as_user("old", "")).await.unwrap(), "SELECT coalesce(inet_server_addr()::text, 'none')").await,
        "none"
    );
    assert_eq!(own(&through.parse().unwrap(), "t").await.1.len(), 2);
    assert!(matches!(session(&format!("{url}?host=/nowhere"), &access()).await, Err(PgWireError::Io(_))));
    // TLS that the server does not have is not done without where it is demanded.
    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(matches!(session(&format!("{url}?sslmode={mode}"), &access()).await, Err(PgWireError::Tls(_))), "{mode}");
    }
    for mode in ["disable", "allow", "prefer"] {
        assert!(session(&format!("{url}?sslmode={mode}"), &access()).await.is_ok(), "{mode}");
    }
    // The password file, as the server's own client reads it.
    let dir = tempfile::tempdir().unwrap();
    let (file, key, out) = (dir.path().join("passwords"), dir.path().join("key"), dir.path().join("m"));
    std::fs::write(&file, format!("127.0.0.1:{}:ways:old:by MD5\n", server.port())).unwrap();
    std::fs::write(&key, format!("{}\n", "07".repeat(32))).unwrap();
    for private in [&file, &key] {
        std::fs::set_permissions(private, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let url = url.replace(USER, "old");
    let mut program = Command::new(env!("CARGO_BIN_EXE_attestore"));
    program.args(["manifest", "create", &url, "--json", "--out", out.to_str().unwrap(), "--hash-key", key.to_str().unwrap()]);
    let output = program.env_remove("PGPASSWORD").env("PGPASSFILE", &file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
async fn tls_is_what_was_asked_for_and_the_login_is_bound_to_it() {
    let Some(server) = servers::own(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let [certified, private, authority] = certificate(&["localhost"]);
    std::fs::write(path("ca.pem"), authority).unwrap();
    std::fs::write(path("other.pem"), &certificate(&["localhost"])[2]).unwrap();
    let owner = std::fs::metadata(server.data()).unwrap();
    for (name, text) in [("server.crt", &certified), ("server.key", &private)] {
        let file = server.data().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(
            &file,
            Some(std::os::unix::fs::MetadataExt::uid(&owner)),
            Some(std::os::unix::fs::MetadataExt::gid(&owner)),
        )
        .unwrap();
    }
    server.stop();
    server.start_with(&["-c".into(), "ssl=on".into()]);
    let url = |host: &str, mode: &str| server.url("postgres").replace("127.0.0.1", host) + "?sslmode=" + mode;
    let with = |ca: Option<&str>| Access { tls_ca: ca.map(path), ..access() };
    let version = async |url: String, access: Access| -> Result<String, PgWireError> {
        let mut open = session(&url, &access).await?;
        let question = "SELECT coalesce((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()), ''), repeat('x', 1000000)";
        let mut answers = open.ask(question).await?;
        // More than one record of TLS holds, and than the buffer does.
        assert_eq!(answers[0][1].as_ref().unwrap().len(), 1_000_000);
        open.close().await;
        Ok(answers.remove(0).remove(0).unwrap())
    };
    assert_eq!(version(url("127.0.0.1", "disable"), with(None)).await.unwrap(), "");
    for (host, mode, ca) in [("127.0.0.1", "prefer", None), ("127.0.0.1", "require", None), ("localhost", "require", Some("ca.pem"))] {
        assert_eq!(version(url(host, mode), with(ca)).await.unwrap(), "TLSv1.3", "{host} {mode}");
    }
    for (host, mode, ca) in [
        ("127.0.0.1", "require", Some("ca.pem")),
        ("localhost", "require", Some("other.pem")),
        ("localhost", "verify-full", None),
        ("localhost", "verify-ca", None),
    ] {
        let error = version(url(host, mode), with(ca)).await.unwrap_err();
        assert!(matches!(error, PgWireError::Tls(_)), "{host} {mode} {ca:?}: {error}");
    }
    let wrong = Access { password: Some("wrong".into()), ..with(None) };
    assert!(matches!(version(url("127.0.0.1", "require"), wrong).await, Err(PgWireError::Server { .. })));
    // Rows too, and the kind of what fails.
    let of = async |url: String, access: Access| Database::open(&url.parse().unwrap(), &access).await.map(|_| ());
    assert!(of(url("localhost", "require"), with(Some("ca.pem"))).await.is_ok());
    assert_eq!(of(url("localhost", "require"), with(Some("other.pem"))).await.unwrap_err().kind, FailureKind::Network);
    // Who stands between with a certificate of its own passes everything on, and the proof of the password is of no use to it.
    let between = Between::start(&server).await;
    let error = session(&format!("postgres://{USER}@127.0.0.1:{between}/postgres?sslmode=require"), &access()).await.err().unwrap();
    assert!(matches!(&error, PgWireError::Server { code, message } if code == "28000" || message.contains("channel binding")), "{error}");
}

/// Somebody with another certificate, who is a server to the client and a client to the server.
struct Between;

impl Between {
    async fn start(server: &Server) -> u16 {
        use rustls_pki_types::pem::PemObject as _;
        use rustls_pki_types::{CertificateDer, PrivateKeyDer};
        let [certified, private, _] = certificate(&["localhost"]);
        let chain = vec![CertificateDer::from_pem_slice(certified.as_bytes()).unwrap()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config =
            config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_slice(private.as_bytes()).unwrap()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), server.port());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                near.read_exact(&mut [0; 8]).await.unwrap();
                near.write_all(b"S").await.unwrap();
                let mut near = acceptor.accept(near).await.unwrap();
                let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                far.write_all(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]).await.unwrap();
                far.read_exact(&mut [0]).await.unwrap();
                let options = attestore::verify::sql::wire::tls::TlsOptions {
                    host: "localhost".into(),
                    demand: attestore::verify::sql::wire::tls::Demand::Nothing,
                    authorities: None,
                    own: None,
                };
                let mut far = attestore::verify::sql::wire::tls::begin(far, options).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
        port
    }
}
