//! Manifests of 10^7 entries: captured from a listing and signed, verified, written, imported, shown, proved and merged, with the memory
//! of each process, and the merge against DuckDB's full outer join of the same Parquet files.
//!
//! The listing is a bucket's as S3 words it, made up page by page by a server in this process: no disk here holds as many objects. So it
//! is captured and verified at the tier `inventory`, which reads no content.
//!
//! `cargo bench --bench manifests` prints a Markdown table. `ATTESTORE_BENCH_ROWS` is the number of entries (default 10,000,000),
//! `ATTESTORE_BENCH_PYTHON` a Python that has DuckDB (default `python3`; without it the comparison is said to be skipped),
//! `ATTESTORE_BENCH_DIR` where the data is laid. The two of the merge run in turn, and the ratio is that of their best runs; DuckDB's
//! time is its query's alone, ours is the whole process with every digest of every part checked.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::digest::Digest32;
use attestore::signing::keys::SigningKey;
use attestore::verify::manifest::header::ManifestKind;
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::manifest::writer::{Draft, Finish, ManifestWriter};

const RUNS: usize = 3;

/// Every so many entries the second manifest differs, lacks one, and has one more.
const EVERY: u64 = 1000;

const JOIN: &str = r#"
import sys, time
import duckdb
a, b = (f"read_parquet('{path}/part-*.parquet')" for path in sys.argv[1:3])
con = duckdb.connect()
con.execute("set enable_progress_bar = false")
started = time.perf_counter()
row = con.execute(f"""select
  count(*) filter (where a.key is not null and b.key is not null
    and (a.blake3 is distinct from b.blake3 or a.size is distinct from b.size or a.kind is distinct from b.kind)),
  count(*) filter (where b.key is null), count(*) filter (where a.key is null)
  from {a} a full outer join {b} b on a.key = b.key and a.seq = b.seq""").fetchone()
print(time.perf_counter() - started, *row)
"#;

/// How one command went.
struct Run {
    wall: Duration,
    /// VmHWM of the process in KiB; the last value read before it ended.
    peak_kib: u64,
    stdout: String,
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not lay gigabytes.
    if std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        return;
    }
    let rows = std::env::var("ATTESTORE_BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000u64);
    let base = std::env::var_os("ATTESTORE_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::Builder::new().prefix("manifests-").tempdir_in(base).expect("a directory for the data");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    println!("{rows} entries");
    println!("| What | Time | Rate | Memory (VmHWM) |");
    println!("|---|---|---|---|");
    let started = Instant::now();
    write_manifest(&a, rows, false);
    let own = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| peak_of(&text)).unwrap_or(0);
    row("written and signed, root included", rows, &Run { wall: started.elapsed(), peak_kib: own, stdout: String::new() });
    write_manifest(&b, rows, true);
    merge(rows, &a, &b);
    row("`manifest show`, parts checked", rows, &attestore(&["manifest", "show", text(&a), "--limit", "5"]));
    let key = key_of(rows / 2);
    row("`manifest prove`, root checked", rows, &attestore(&["manifest", "prove", text(&a), &key]));
    import(rows, dir.path());
    captured(rows, dir.path());
}

/// `manifest create` of a bucket that lists as many objects, signed; then everything that is done with a manifest.
fn captured(rows: u64, dir: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || list(stream, rows));
        }
    });
    let with = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        command.envs([("AWS_ENDPOINT_URL", endpoint.as_str()), ("AWS_REGION", "eu-west-2"), ("AWS_EC2_METADATA_DISABLED", "true")]);
        command.envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]).args(args);
        timed(command)
    };
    let (estate, out) = (dir.join("estate"), dir.join("captured"));
    attestore(&["init", "--dir", text(&estate), "--origin", "example.org/bench"]);
    let (key, public) = (estate.join("attestore.key"), estate.join("log.pub.pem"));
    let how = ["--view", "latest", "--tier", "inventory"];
    let create = [&["manifest", "create", "s3://listed", "--sign-key", text(&key), "--out", text(&out)][..], &how].concat();
    row("`manifest create` of a bucket's listing, signed", rows, &with(&create));
    let (verify, held) = (["verify", "s3://listed", "--manifest", text(&out), "--key", text(&public)], rows.to_string());
    let run = with(&[&verify[..], &how, &["--json"]].concat());
    let summary: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap_or_default()).expect("a summary");
    assert_eq!(summary["objects"]["match"].to_string(), held, "{summary}");
    row("`verify` of the same, signature and parts checked", rows, &run);
    row("`manifest show` of it", rows, &attestore(&["manifest", "show", text(&out), "--limit", "5"]));
    row("`manifest prove` of one entry", rows, &attestore(&["manifest", "prove", text(&out), &key_of(rows / 3)]));
}

/// Answers ListObjectsV2 in pages of a thousand keys, and GetBucketVersioning, on one connection.
fn list(stream: TcpStream, rows: u64) {
    stream.set_nodelay(true).expect("a socket");
    let mut requests = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
    let mut answers = stream;
    while let Some(first) = requests.next() {
        if requests.by_ref().find(String::is_empty).is_none() {
            return;
        }
        let body = if first.contains("versioning") {
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>".to_owned()
        } else {
            let token = first.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("continuation-token="));
            page(token.map_or(0, |token| token.parse().expect("a token of ours")), rows)
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n", body.len());
        if answers.write_all(head.as_bytes()).and_then(|()| answers.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn page(from: u64, rows: u64) -> String {
    let to = (from + 1000).min(rows);
    let mut page = String::with_capacity(256 << 10);
    page += "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>listed</Name><EncodingType>url</EncodingType>";
    for n in from..to {
        let (key, size) = (key_of(n), n * 37 % 1_000_000);
        let _ = write!(
            page,
            "<Contents><Key>{key}</Key><LastModified>2026-01-31T02:00:00.000Z</LastModified><ETag>&quot;{n:032x}&quot;</ETag>\
             <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
    let _ = write!(page, "<KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>{}</IsTruncated>", to - from, to < rows);
    if to < rows {
        let _ = write!(page, "<NextContinuationToken>{to}</NextContinuationToken>");
    }
    page + "</ListBucketResult>"
}

/// The merge and DuckDB's join in turn; both must count the same differences.
fn merge(rows: u64, a: &Path, b: &Path) {
    let python = std::env::var("ATTESTORE_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_duckdb =
        Command::new(&python).args(["-c", "import duckdb"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let mut own: Option<Run> = None;
    let mut peer: Option<Run> = None;
    for _ in 0..RUNS {
        let run = attestore(&["manifest", "diff", text(a), text(b), "--json"]);
        let counts: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap_or_default()).expect("a summary");
        let counts = ["mismatch", "missing", "extra"].map(|name| counts["objects"][name].as_u64().expect("a count"));
        own = Some(better(own, run));
        if has_duckdb {
            let mut command = Command::new(&python);
            command.args(["-c", JOIN, text(a), text(b)]);
            let mut run = timed(command);
            let figures: Vec<f64> = run.stdout.split_whitespace().map(|text| text.parse().expect("a figure")).collect();
            assert_eq!(counts.map(|n| n as f64), figures[1..], "DuckDB counts the same differences");
            run.wall = Duration::from_secs_f64(figures[0]);
            peer = Some(better(peer, run));
        }
    }
    let own = own.expect("at least one run");
    row("`manifest diff` of two", 2 * rows, &own);
    match peer {
        Some(peer) => {
            row("DuckDB, full outer join of the same files", 2 * rows, &peer);
            let (time, memory) = (peer.wall.as_secs_f64() / own.wall.as_secs_f64(), peer.peak_kib as f64 / own.peak_kib as f64);
            println!("| DuckDB / attestore | {time:.2} | | {memory:.1} |");
        }
        None => println!("| DuckDB: skipped, {python} has none | | | |"),
    }
}

fn better(best: Option<Run>, run: Run) -> Run {
    match best {
        Some(best) if best.wall <= run.wall => best,
        _ => run,
    }
}

fn key_of(n: u64) -> String {
    format!("customers/{:05}/documents/{n:09}.pdf", n / 1000)
}

fn write_manifest(dir: &Path, rows: u64, changed: bool) {
    let draft = Draft {
        kind: ManifestKind::Objects,
        source: "dir:/bench".into(),
        captured_start: Timestamp::now(),
        mode: CaptureMode::Sealed,
        recovery_point_id: None,
        encoding: "attestore/objects/v1-draft".into(),
        hash_key_id: None,
        digests: vec!["blake3".into()],
        view: None,
        choices: Default::default(),
    };
    let mut writer = ManifestWriter::create(dir, draft).expect("a new manifest");
    for n in 0..rows {
        let special = if changed { n % EVERY } else { 0 };
        if special == 3 {
            continue;
        }
        let content = if special == 1 { n ^ 1 } else { n };
        let row = ObjectRow {
            modified: Some(Timestamp::from_secs(1_700_000_000 + n as i64)),
            blake3: Some(Digest32::blake3(&content.to_le_bytes())),
            ..ObjectRow::object(key_of(n), n * 37 % 1_000_000)
        };
        writer.push_object(&row).expect("rows are in order");
        if special == 5 {
            let more = ObjectRow { key: format!("{}.extra", row.key), ..row };
            writer.push_object(&more).expect("rows are in order");
        }
    }
    let key = SigningKey::from_seed(&[7; 32]);
    writer.finish(Finish::default(), Some(("bench", &key))).expect("the manifest is finished");
}

/// A list of as many lines as the manifest has rows, in no order.
fn import(rows: u64, dir: &Path) {
    let list = dir.join("B3SUMS");
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(&list).expect("a list"));
    for n in 0..rows {
        // A multiplication by an odd number scatters the lines where the count is a power of ten and the factor is prime to it.
        let n = n.wrapping_mul(7_368_787) % rows;
        writeln!(out, "{}  {}", Digest32::blake3(&n.to_le_bytes()), key_of(n)).expect("room on the disk");
    }
    out.flush().expect("room on the disk");
    drop(out);
    row(
        "`manifest import b3sum`, lines in no order",
        rows,
        &attestore(&["manifest", "import", "b3sum", text(&list), "--out", text(&dir.join("imported"))]),
    );
    std::fs::remove_file(list).expect("the list is ours");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

fn attestore(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(args);
    timed(command)
}

/// Runs `command` to its end; its peak memory is read while it lives.
fn timed(mut command: Command) -> Run {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut pipe = child.stdout.take().expect("stdout is a pipe");
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut pipe).unwrap_or_default());
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        if let Some(peak) = std::fs::read_to_string(&status).ok().and_then(|text| peak_of(&text)) {
            peak_kib = peak_kib.max(peak);
        }
        if let Some(ended) = child.try_wait().expect("a child of ours") {
            let wall = started.elapsed();
            // `manifest diff` answers 1 where manifests differ.
            assert!(matches!(ended.code(), Some(0 | 1)), "{command:?} ended with {ended}");
            return Run { wall, peak_kib, stdout: reader.join().expect("the pipe is read") };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn row(what: &str, rows: u64, run: &Run) {
    let seconds = run.wall.as_secs_f64();
    println!("| {what} | {seconds:.2} s | {:.2} M rows/s | {:.0} MiB |", rows as f64 / seconds / 1e6, run.peak_kib as f64 / 1024.0);
}
