//! DynamoDB items: reading exports, memory at ten million items, a scan beside what its server can give at most, and the client's CPU beside a boto3
//! scan of the same server. Every item has nine attributes, one a map of three more and one a set: 383 bytes of DynamoDB JSON.
//!
//! `cargo bench --bench items` prints a Markdown table; `-- export`, `-- memory` or `-- served` only some of its rows. CPU is user and system time of the process (`/proc/self/stat`, 10 ms ticks), so that what else
//! the machine does does not count; pairs run in turns. `ATTESTORE_PYTHON` is a Python with boto3; without one its row says so.
//! `ATTESTORE_BENCH_ITEMS` is the number of items of the memory row (default 10,000,000), `ATTESTORE_BENCH_SERVED` that
//! of the served table (default 20,000).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use attestore::aws::dynamodb::TableSource;
use attestore::aws::session::{Session, SessionOptions};
use attestore::aws::signature::SigningKey;
use attestore::model::failure::Failure;
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::verify::items::export_files::{Export, ExportFiles, ExportSource};
use attestore::verify::items::item::KeySchema;
use attestore::verify::items::page::{Lines, Next, Page, Records};
use attestore::verify::items::scan::{ScanOptions, scan};
use attestore::verify::items::source::{ItemSource, Part};
use aws_credential_types::Credentials;
use base64::Engine;
use bytes::Bytes;
use chrono::Utc;
use futures_util::stream::{self, BoxStream, StreamExt};
use md5::{Digest, Md5};
use serde_json::json;

const PREFIX: &str = "AWSDynamoDB/01769824800000-ab12cd34";
const EXPORT_ITEMS: u64 = 600_000;
const RUNS: usize = 3;

/// Items of the table that is served.
fn served_items() -> u64 {
    std::env::var("ATTESTORE_BENCH_SERVED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not lay anything.
    if std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        return;
    }
    println!("| What | attestore | Peer | Ratio |");
    println!("|---|---|---|---|");
    let wanted = |name: &str| {
        let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
        named.is_empty() || named.iter().any(|one| one == name)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if wanted("export") {
        runtime.block_on(export());
    }
    if wanted("memory") {
        runtime.block_on(memory());
    }
    if wanted("served") {
        served();
    }
}

/// User and system seconds of this process, and of the children that were waited for.
fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(1).map(|f| f.parse().unwrap_or(0.0)).collect();
    ((fields[10] + fields[11]) / 100.0, (fields[12] + fields[13]) / 100.0)
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1024.0
}

fn line(n: u64) -> String {
    let digest = blake3::hash(&n.to_le_bytes()).to_hex();
    format!(
        "{{\"Item\":{{\"pk\":{{\"S\":\"user#{n:09}\"}},\"sk\":{{\"N\":\"{}\"}},\"action\":{{\"S\":\"object.read\"}},\"at\":{{\"S\":\"2026-01-31T02:00:{:02}Z\"}},\
         \"digest\":{{\"S\":\"{digest}\"}},\"amount\":{{\"N\":\"{}.50\"}},\"tags\":{{\"SS\":[\"b\",\"a\",\"t{}\"]}},\"ok\":{{\"BOOL\":true}},\
         \"more\":{{\"M\":{{\"ip\":{{\"S\":\"10.0.{}.{}\"}},\"agent\":{{\"S\":\"Mozilla/5.0 (X11; Linux x86_64)\"}},\"none\":{{\"NULL\":true}}}}}}}}}}\n",
        n % 1000,
        n % 60,
        n % 100_000,
        n % 7,
        n % 256,
        n % 251
    )
}

struct Objects(BTreeMap<String, Bytes>);

#[async_trait]
impl ExportFiles for Objects {
    fn place(&self) -> String {
        "memory".into()
    }

    async fn get(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure> {
        let bytes = self.0[key].clone();
        let pieces: Vec<_> = (0..bytes.len()).step_by(64 << 10).map(|at| Ok(bytes.slice(at..bytes.len().min(at + (64 << 10))))).collect();
        Ok(stream::iter(pieces).boxed())
    }
}

fn key() -> HashKey {
    HashKey::from_bytes([7; 32])
}

/// MD5, gunzip, parse, canonical form and BLAKE3 of an export in memory, on one thread.
async fn export() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut unpacked = 0;
    for n in 0..EXPORT_ITEMS {
        let line = line(n);
        unpacked += line.len();
        packer.write_all(line.as_bytes()).expect("memory");
    }
    let packed = packer.finish().expect("memory");
    let md5 = base64::engine::general_purpose::STANDARD.encode(Md5::digest(&packed));
    let data = format!("{PREFIX}/data/a.json.gz");
    let files = json!({"itemCount": EXPORT_ITEMS, "md5Checksum": md5, "etag": "e-1", "dataFileS3Key": data}).to_string();
    let arn = "arn:aws:dynamodb:eu-west-2:1:table/t";
    let summary = json!({"exportArn": arn, "tableArn": arn, "exportTime": "2026-01-31T02:00:00Z", "manifestFilesS3Key": format!("{PREFIX}/manifest-files.json"),
        "itemCount": EXPORT_ITEMS, "outputFormat": "DYNAMODB_JSON"})
    .to_string();
    let mut objects = BTreeMap::from([(data, Bytes::from(packed))]);
    for (name, text) in [("manifest-files", files), ("manifest-summary", summary)] {
        objects.insert(format!("{PREFIX}/{name}.checksum"), hex::encode(Md5::digest(text.as_bytes())).into());
        objects.insert(format!("{PREFIX}/{name}.json"), text.into());
    }
    let objects: Arc<dyn ExportFiles> = Arc::new(Objects(objects));
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let opened = Export::open(objects.clone(), "memory", PREFIX).await.expect("it holds");
        let source: Arc<dyn ItemSource> =
            Arc::new(ExportSource::new(opened, KeySchema(vec!["pk".into(), "sk".into()])).expect("a full one"));
        let before = cpu().0;
        let scanned = scan(&source, &ScanOptions { segments: 1, ..ScanOptions::default() }, &key(), None, &Silent).await.expect("it reads");
        assert!(scanned.cut_short.is_none() && scanned.fingerprint.rows() == EXPORT_ITEMS);
        rates.push(unpacked as f64 / 1e6 / (cpu().0 - before));
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "| read an export of {EXPORT_ITEMS} items of 12 attributes, {} MB of JSON | {:.0} MB/s a core | 300 MB/s | {:.2} |",
        unpacked / 1_000_000,
        rates[RUNS / 2],
        rates[RUNS / 2] / 300.0
    );
}

/// Lines made as they are read.
struct Made {
    items: u64,
}

#[async_trait]
impl ItemSource for Made {
    fn url(&self) -> String {
        "dynamodb:made".into()
    }

    async fn key_schema(&self) -> Result<KeySchema, Failure> {
        Ok(KeySchema(vec!["pk".into(), "sk".into()]))
    }

    fn scan(&self, part: &Part) -> BoxStream<'static, Result<Page, Failure>> {
        let (segment, total, items) = (u64::from(part.segment), u64::from(part.total), self.items);
        stream::iter((0..items / 2000).filter(move |page| page % total == segment))
            .map(|page| {
                let text: String = (page * 2000..(page + 1) * 2000).map(line).collect();
                Ok(Page { records: Records::Lines(Lines::of(text.into_bytes())), next: Next::Onward, consumed_rcu: Some(0.0) })
            })
            .boxed()
    }
}

async fn memory() {
    let items = std::env::var("ATTESTORE_BENCH_ITEMS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000u64);
    // In a process of its own there would be no export before it: the peak is set back.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = peak_mib();
    let source: Arc<dyn ItemSource> = Arc::new(Made { items });
    let scanned = scan(&source, &ScanOptions::default(), &key(), None, &Silent).await.expect("it reads");
    assert_eq!(scanned.fingerprint.rows(), items / 2000 * 2000);
    let leaves = scanned.fingerprint.leaves().filter(Result::is_ok).count();
    println!("| memory at {items} items, {leaves} leaves | {:.0} MiB more than {before:.0} MiB before | 200 MiB | |", peak_mib() - before);
}

const PEER: &str = r#"
import hashlib, json, sys, boto3
from concurrent.futures import ThreadPoolExecutor
def segment(n):
    client, key, digests = boto3.client("dynamodb"), None, []
    while True:
        more = {"ExclusiveStartKey": key} if key else {}
        page = client.scan(TableName="bench", ConsistentRead=True, Segment=n, TotalSegments=4, **more)
        for item in page["Items"]:
            digests.append(hashlib.sha256(json.dumps(item, sort_keys=True).encode()).digest())
        key = page.get("LastEvaluatedKey")
        if not key:
            return len(digests)
with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(segment, range(4))))
"#;

/// Calls DynamoDB over a connection of its own with next to nothing of a client: what a server can give at most.
struct Caller {
    stream: BufReader<TcpStream>,
    host: String,
    key: SigningKey,
    day: String,
    body: Vec<u8>,
}

impl Caller {
    fn new(environment: &[(String, String)]) -> Self {
        let of = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).expect(name);
        let host = of("AWS_ENDPOINT_URL").trim_start_matches("http://").trim_end_matches('/').to_owned();
        let credentials = Credentials::new(of("AWS_ACCESS_KEY_ID"), of("AWS_SECRET_ACCESS_KEY"), None, None, "bench");
        let day = Utc::now().format("%Y%m%d").to_string();
        let key = SigningKey::new(&credentials, &day, &of("AWS_REGION"), "dynamodb");
        let stream = TcpStream::connect(&host).expect("the server listens");
        stream.set_nodelay(true).expect("a connection");
        Self { stream: BufReader::with_capacity(256 << 10, stream), host, key, day, body: Vec::new() }
    }

    /// The body of the answer, which must be 200.
    fn call(&mut self, operation: &str, request: &serde_json::Value) -> &[u8] {
        let (request, target) = (request.to_string(), format!("DynamoDB_20120810.{operation}"));
        let time = format!("{}{}", self.day, Utc::now().format("T%H%M%SZ"));
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("host", &self.host), ("x-amz-date", &time), ("x-amz-target", &target)];
        let authorization = self.key.authorize_post(&time, &headers, request.as_bytes());
        let mut head = "POST / HTTP/1.1\r\n".to_owned();
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str(&format!("authorization: {authorization}\r\ncontent-length: {}\r\n\r\n{request}", request.len()));
        self.stream.get_mut().write_all(head.as_bytes()).expect("it takes requests");
        let (mut length, mut line) = (0, String::new());
        let mut status = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("it answers");
            match line.trim().to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().expect("a length"),
                Some(_) => {}
                None if line.trim().is_empty() => break,
                None => status = line.trim().to_owned(),
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).expect("the whole answer");
        assert!(status.contains("200"), "{status}: {}", String::from_utf8_lossy(&self.body));
        &self.body
    }

    /// Pages through one of four segments and throws the bodies away; gives the items that were counted in them.
    fn scan(mut self, segment: usize) -> u64 {
        let mut request = json!({"TableName": "bench", "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL", "Segment": segment, "TotalSegments": 4});
        let mut items = 0;
        loop {
            let body = self.call("Scan", &request);
            // No item has these names, so the last place is the answer's own.
            let after = |name: &str| memchr::memmem::rfind(body, name.as_bytes()).map(|at| &body[at + name.len()..]);
            let digits: String =
                after("\"Count\":").expect("a count").iter().take_while(|byte| byte.is_ascii_digit()).map(|byte| *byte as char).collect();
            items += digits.parse::<u64>().expect("a count");
            match after("\"LastEvaluatedKey\":") {
                None => return items,
                Some(key) => {
                    let key = serde_json::Deserializer::from_slice(key).into_iter::<serde_json::Value>().next();
                    request["ExclusiveStartKey"] = key.expect("a key").expect("a key");
                }
            }
        }
    }
}

/// Lays the table that is read.
fn lay(environment: &[(String, String)]) {
    let table = json!({"TableName": "bench", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}]});
    let mut caller = Caller::new(environment);
    caller.call("CreateTable", &table);
    for first in (0..served_items()).step_by(25) {
        let puts: Vec<serde_json::Value> = (first..served_items().min(first + 25))
            .map(|n| json!({"PutRequest": serde_json::from_str::<serde_json::Value>(&line(n)).expect("JSON")}))
            .collect();
        caller.call("BatchWriteItem", &json!({"RequestItems": {"bench": puts}}));
    }
}

/// Four segments of the served table, read by this program's library and by the load generator in turns.
fn beside_the_ceiling(environment: &[(String, String)]) {
    let of = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let options = SessionOptions {
        region: of("AWS_REGION"),
        endpoint: of("AWS_ENDPOINT_URL"),
        static_credentials: of("AWS_ACCESS_KEY_ID").zip(of("AWS_SECRET_ACCESS_KEY")),
        ..SessionOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let own = || {
        runtime.block_on(async {
            let session = Session::open(&options).await.expect("a session");
            let began = Instant::now();
            let source: Arc<dyn ItemSource> = Arc::new(TableSource::open(&session, "bench").await.expect("a table"));
            let scanned = scan(&source, &ScanOptions::default(), &key(), None, &Silent).await.expect("it reads");
            assert!(scanned.cut_short.is_none() && scanned.fingerprint.rows() == served_items());
            began.elapsed().as_secs_f64()
        })
    };
    let ceiling = || {
        let began = Instant::now();
        let segments = (0..4).map(|segment| {
            let caller = Caller::new(environment);
            std::thread::spawn(move || caller.scan(segment))
        });
        let items: u64 = segments.collect::<Vec<_>>().into_iter().map(|segment| segment.join().expect("it reads")).sum();
        assert_eq!(items, served_items());
        began.elapsed().as_secs_f64()
    };
    let (mut ratios, mut rates, mut ceilings) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 * RUNS + 1 {
        let (most, time) = (ceiling(), own());
        ratios.push(most / time);
        rates.push(served_items() as f64 / time);
        ceilings.push(served_items() as f64 / most);
    }
    [&mut ratios, &mut rates, &mut ceilings].into_iter().for_each(|list| list.sort_by(f64::total_cmp));
    println!(
        "| scan of {} items, 4 segments | {:.0} items/s | {:.0} items/s: a load generator that throws bodies away | {:.2} |",
        served_items(),
        rates[RUNS],
        ceilings[RUNS],
        ratios[RUNS]
    );
}

/// One `sandbox serve` in a process of its own, and what is measured beside it.
fn served() {
    let dir = tempfile::tempdir().expect("a directory");
    let binary = env!("CARGO_BIN_EXE_attestore");
    let mut server = Command::new(binary)
        .args(["sandbox", "serve", "--dir"])
        .arg(dir.path().join("s"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    let lines = BufReader::new(server.stdout.take().expect("a pipe")).lines().map_while(Result::ok).take(5);
    let environment: Vec<(String, String)> = lines
        .filter_map(|line| line.strip_prefix("export ").and_then(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())))
        .collect();
    lay(&environment);
    beside_the_ceiling(&environment);
    beside_boto3(&environment, dir.path());
    let _ = server.kill();
    let _ = server.wait();
}

/// The whole processes, start included: `attestore manifest create` against a boto3 scan in four threads.
fn beside_boto3(environment: &[(String, String)], dir: &Path) {
    let python = std::env::var("ATTESTORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import boto3"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !has {
        println!("| client CPU beside boto3 | not measured: {python} has no boto3 | | |");
        return;
    }
    let binary = env!("CARGO_BIN_EXE_attestore");
    HashKey::create(&dir.join("hashkey")).expect("a key");
    let run = |command: &mut Command| {
        let (cpu_before, began) = (cpu().1, Instant::now());
        let output = command.envs(environment.iter().cloned()).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (cpu().1 - cpu_before, began.elapsed().as_secs_f64())
    };
    let (mut ratios, mut own_cpu, mut own_wall, mut peer_wall) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for at in 0..RUNS {
        let out = dir.join(format!("m{at}"));
        let own = run(Command::new(binary)
            .args(["manifest", "create", "dynamodb:bench", "--mode", "sealed", "--hash-key"])
            .arg(dir.join("hashkey"))
            .arg("--out")
            .arg(&out));
        let peer = run(Command::new(&python).args(["-c", PEER]));
        assert!(Path::new(&out).join("manifest.json").is_file());
        ratios.push(own.0 / peer.0);
        own_cpu.push(own.0);
        own_wall.push(own.1);
        peer_wall.push(peer.1);
    }
    for list in [&mut ratios, &mut own_cpu, &mut own_wall, &mut peer_wall] {
        list.sort_by(f64::total_cmp);
    }
    let middle = RUNS / 2;
    let each = own_cpu[middle] / served_items() as f64 * 1e6;
    println!(
        "| client CPU, {} items over the wire, 4 segments | {each:.1} µs an item | boto3, sorted JSON, SHA-256 | {:.2} of its CPU |",
        served_items(),
        ratios[middle]
    );
    println!(
        "| wall time of the same | {:.1} s | {:.1} s | {:.2} of its time |",
        own_wall[middle],
        peer_wall[middle],
        own_wall[middle] / peer_wall[middle]
    );
}
