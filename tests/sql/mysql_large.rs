//! Values of MariaDB that are larger than what is held: memory stays flat, digests are those of the whole value, and a wire that cuts,
//! dribbles or lies in the middle of one is found out.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::servers::{self, Kind, PASSWORD, Server, USER};
use crate::support::{self, Db, access, key, places};
use attestore::model::finding::Class;
use attestore::model::source_url::SourceUrl;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;
use attestore::verify::sql::reading::{Cause, Limits, ReadError};
use attestore::verify::sql::rows::canon::Row;
use attestore::verify::sql::rows::row_keys::RowKeys;
use attestore::verify::sql::rows::tag;
use attestore::verify::sql::wire::mysql::channel::CONTINUED;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1 << 20;

/// Waits as long as a busy machine needs for so much.
fn patient() -> Access {
    let limits = access().limits;
    Access { limits: Limits { silence: Duration::from_secs(120), ..limits }, ..access() }
}

fn blank() -> Row {
    Row::new(&RowKeys::new(&key()))
}

/// The rows of table `t`, in the order of their keys, as one session reads them; or why they cannot be read.
async fn read(url: &str, access: &Access) -> Result<Vec<Vec<u8>>, String> {
    let mut db = Database::open(&url.parse::<SourceUrl>().unwrap(), access).await.unwrap();
    let table = db.tables().await.unwrap().into_iter().find(|table| table.name == "t").unwrap();
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let mut rows = Vec::new();
    let each = &mut |row: &Row| {
        rows.push(row.bytes().to_vec());
        Ok(true)
    };
    let read = db.read(&table, &columns, blank(), each).await;
    db.close().await;
    match read {
        Ok(count) => {
            assert_eq!(count, rows.len() as u64);
            Ok(rows)
        }
        Err(ReadError { cause: Cause::Unreadable(said), .. }) => Err(said.to_string()),
        Err(error) => panic!("{error:?}"),
    }
}

/// Runs the program and gives the most memory it had, in KiB.
fn peak_of(args: &[&str]) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_attestore"))
        .args(args)
        .env("MYSQL_PWD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
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
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_300_mib_take_little_memory_and_have_the_digest_of_the_whole() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (secret, out) = (dir.path().join("key"), dir.path().join("m"));
    std::fs::write(&secret, format!("{}\n", "07".repeat(32))).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    support::run(&server, Kind::Mariadb, "mysql", "SET GLOBAL max_allowed_packet = 1073741824").await;
    let sql = "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, s LONGTEXT, j JSON, n INT); \
               INSERT INTO t VALUES (1, REPEAT('x', 314572800), NULL, NULL, 1); INSERT INTO t VALUES (2, NULL, REPEAT('é', 10000000), '[]', 2); \
               INSERT INTO t VALUES (3, 'b', 's', CONCAT('\"', REPEAT('j', 18000000), '\"'), 3)";
    let db = Db::new(&server, Kind::Mariadb, "lob", sql).await;
    let url = server.url("lob");
    let peak = peak_of(&["manifest", "create", &url, "--json", "--out", out.to_str().unwrap(), "--hash-key", secret.to_str().unwrap()]);
    assert!(peak > 4_096, "it was measured: {peak} KiB");
    assert!(peak < 120 * 1024, "a value of 300 MiB took {peak} KiB");

    // Fields stand in the order of their columns' names; MariaDB keeps JSON as text.
    let row = |id: i64, bytes: Option<&[u8]>, json: Option<&[u8]>, text: Option<&[u8]>| {
        let mut row = blank();
        row.begin(5);
        match bytes {
            Some(bytes) => row.blob(bytes),
            None => row.null(),
        }
        row.signed(id);
        match json {
            Some(json) => row.text(json),
            None => row.null(),
        }
        row.signed(id);
        match text {
            Some(text) => row.text(text),
            None => row.null(),
        }
        row
    };
    let (bytes, text, json) = (vec![b'x'; 300 * MIB], "é".repeat(10_000_000), format!("\"{}\"", "j".repeat(18_000_000)));
    let expected = [
        row(1, Some(&bytes), None, None),
        row(2, None, Some(b"[]"), Some(text.as_bytes())),
        row(3, Some(b"b"), Some(json.as_bytes()), Some(b"s")),
    ];
    let rows = read(&url, &patient()).await.unwrap();
    assert_eq!(rows.len(), 3);
    for (read, expected) in rows.iter().zip(&expected) {
        assert!(read.len() < 100 && read == expected.bytes(), "{read:02x?}, expected {:02x?}", expected.bytes());
    }

    db.run("UPDATE t SET b = INSERT(b, 200000000, 1, 'y') WHERE id = 1").await;
    let (result, findings) = db.compare_as(&patient(), &out).await.unwrap();
    assert_eq!(places(&findings), [(Class::Mismatch, "t id=1".into())]);
    assert_eq!(result.rows.unwrap().matched, 2);
    db.run("DROP TABLE t").await;
}

/// What a wire does to rows of several packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Each packet arrives in bits: its head, its first and its last bytes are cut from each other and within.
    Dribble,
    /// The connection ends within the part that continues a row.
    Cut,
    /// Nothing more arrives, there.
    Silence,
    /// That part has another number.
    Number,
    /// It is shorter.
    Shorter,
    /// It is longer.
    Longer,
    /// It is not passed on.
    Lost,
    /// The row's value says to be longer than the row.
    Value,
}

/// Stands between a reader and a server; gives its port.
async fn proxy(server: &Server, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), server.port());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            near.set_nodelay(true).unwrap();
            let (mut from_near, to_near) = near.into_split();
            let (from_server, mut to_server) = TcpStream::connect(("127.0.0.1", to)).await.unwrap().into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_near, &mut to_server).await;
            });
            tokio::spawn(async move { pass(from_server, to_near, fault).await });
        }
    });
    format!("mysql://{USER}@127.0.0.1:{port}/large")
}

/// Passes packets on; nothing where the connection is to end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) -> Option<()> {
    let mut continues = false;
    loop {
        let mut head = [0; 4];
        from.read_exact(&mut head).await.ok()?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
        let mut body = vec![0; length];
        from.read_exact(&mut body).await.ok()?;
        let (begins, strikes) = (length == CONTINUED && !continues, std::mem::replace(&mut continues, length == CONTINUED));
        if fault == Fault::Dribble && (length > 8 * MIB || strikes) {
            dribble(&mut to, &[&head[..], &body].concat()).await.ok()?;
            continue;
        }
        // Behind the first byte and the bits of NULL: a length of eight bytes.
        if begins && fault == Fault::Value && body[2] == 0xfe {
            body[2 + 4] = 0x7f;
        }
        if strikes {
            match fault {
                Fault::Dribble | Fault::Value => {}
                Fault::Cut => {
                    to.write_all(&[&head, &body[..body.len() / 2]].concat()).await.ok()?;
                    return None;
                }
                Fault::Silence => std::future::pending().await,
                Fault::Number => head[3] ^= 0x40,
                Fault::Shorter => {
                    body.pop();
                    head[..3].copy_from_slice(&(body.len() as u32).to_le_bytes()[..3]);
                }
                Fault::Longer => {
                    body.push(0);
                    head[..3].copy_from_slice(&(body.len() as u32).to_le_bytes()[..3]);
                }
                Fault::Lost => continue,
            }
        }
        to.write_all(&[&head[..], &body].concat()).await.ok()?;
    }
}

/// Sends bytes so that a reader sees each cut: in the head, behind it, in each of the first bytes, and before the last ones.
async fn dribble(to: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    let ends = (1..40).chain([65_536, 65_537, 300_000, bytes.len() - 3, bytes.len() - 1, bytes.len()]);
    let mut from = 0;
    for end in ends.filter(|end| *end <= bytes.len()) {
        to.write_all(&bytes[from..end.max(from)]).await?;
        from = end.max(from);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_cuts_or_lies_within_a_large_value() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    // Rows whose first packet ends with the row, within a value and between two, and one that is a single long packet.
    let sql = format!(
        "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, v VARCHAR(20), s LONGTEXT) STATS_AUTO_RECALC = 0; \
         INSERT INTO t VALUES (1, REPEAT('z', {CONTINUED} - 10), NULL, NULL); \
         INSERT INTO t VALUES (2, REPEAT('0123456789', 2000000), 'between', REPEAT('a€', 5000000)); \
         INSERT INTO t VALUES (3, REPEAT('y', 9000000), 'v', 's'); \
         INSERT INTO t VALUES (4, REPEAT('w', {CONTINUED} - 10), 'v', REPEAT('€', 3000000)); INSERT INTO t VALUES (5, NULL, NULL, NULL)"
    );
    Db::new(&server, Kind::Mariadb, "large", &sql).await;
    let straight = read(&server.url("large"), &patient()).await.unwrap();
    assert_eq!(straight.len(), 5);
    assert_eq!(straight.iter().filter(|row| row[4] == tag::LARGE).count(), 4);
    let dribbled = read(&proxy(&server, Fault::Dribble).await, &patient()).await;
    assert!(dribbled.unwrap() == straight, "cut at every kind of place");
    for (fault, said) in [
        (Fault::Cut, "the server closed it"),
        (Fault::Silence, "no data for"),
        (Fault::Number, "of the answer"),
        (Fault::Shorter, "longer than it is"),
        (Fault::Longer, "longer than its values"),
        (Fault::Lost, "of the answer"),
        (Fault::Value, "longer than it is"),
    ] {
        let access = if fault == Fault::Silence { access() } else { patient() };
        let refused = read(&proxy(&server, fault).await, &access).await.expect_err("a lie");
        assert!(refused.contains(said), "{fault:?}: expected `{said}` in `{refused}`");
    }
}
