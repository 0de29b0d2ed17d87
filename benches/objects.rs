//! Objects and manifests against named peers, in one run: rates as ratios, and the memory of the whole process.
//!
//! `cargo bench --bench objects` prints a Markdown table. Peers (`b3sum`, `sha256sum`) are those on PATH; an absent one is said to be.
//! `ATTESTORE_BENCH_GIB` is the size of the one large file (default 4), `ATTESTORE_BENCH_DIR` where the data is laid (default: the
//! target directory's own temporary folder). The data is in the page cache. A program and its peer run in turns, and the ratio is the
//! median of the ratios of the pairs: what else the machine does then falls on both.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::digest::Digest32;
use attestore::verify::manifest::header::ManifestKind;
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::manifest::writer::{Draft, Finish, ManifestWriter};
use attestore::verify::objects::source::EntryKind;

const RUNS: usize = 5;
const SMALL_FILES: usize = 20_000;
const MANIFEST_ROWS: u32 = 1_000_000;
const MEMORY_LIMIT_MIB: f64 = 300.0;

/// How one command went.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    /// VmHWM of the process in KiB; the last value read before it ended.
    peak_kib: u64,
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not lay gigabytes.
    if std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        return;
    }
    let base = std::env::var_os("ATTESTORE_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(base).expect("a directory for the data");
    let gib: f64 = std::env::var("ATTESTORE_BENCH_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(4.0);
    println!("| What | attestore | Peer | Ratio | Memory (VmHWM) |");
    println!("|---|---|---|---|---|");
    large_file(dir.path(), (gib * f64::from(1 << 30)) as u64);
    two_gib_object(dir.path());
    #[cfg(feature = "sandbox")]
    s3_objects(dir.path());
    small_files(dir.path());
    manifests(dir.path());
}

/// One file of several GiB: `dir:` against `b3sum` and `sha256sum`.
fn large_file(dir: &Path, length: u64) {
    let file = dir.join("large");
    fill(&file, length);
    let size = format!("{:.1} GiB", gib(length));
    for (digest, peer) in [("blake3", "b3sum"), ("sha256", "sha256sum")] {
        let own = || create(&format!("dir:{}", file.display()), &dir.join("m"), digest, &[]);
        let other = || {
            let mut command = Command::new(peer);
            command.arg(&file);
            timed(command)
        };
        let pairs = in_turns(own, exists(peer).then_some(other));
        row(&format!("hash one file of {size}, {digest}"), &pairs, peer, |run| rate(length, run));
    }
    std::fs::remove_file(file).expect("the file is ours");
}

/// One object of 2 GiB with both digests: the memory is what counts.
fn two_gib_object(dir: &Path) {
    let file = dir.join("object");
    fill(&file, 2 << 30);
    let source = format!("dir:{}", file.display());
    let own = create(&source, &dir.join("m"), "blake3,sha256", &[]);
    row("capture one 2 GiB file, both digests", &alone(own), "", |run| rate(2 << 30, run));
    std::fs::remove_file(file).expect("the file is ours");
}

/// 20,000 files of 4 KiB.
fn small_files(dir: &Path) {
    let tree = dir.join("tree");
    for n in 0..SMALL_FILES {
        let folder = tree.join(format!("{:03}", n / 100));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{n:05}")), noise(4096, n as u64)).expect("a file");
    }
    let source = format!("dir:{}", tree.display());
    let own = || create(&source, &dir.join("m"), "blake3", &[]);
    let listed = || {
        let mut command = Command::new("sh");
        command.args(["-c", "find \"$0\" -type f -print0 | xargs -0 b3sum"]).arg(&tree);
        timed(command)
    };
    let per_second = |run: Run| format!("{:.0} files/s", SMALL_FILES as f64 / run.wall.as_secs_f64());
    row("capture 20,000 files of 4 KiB", &in_turns(own, exists("b3sum").then_some(listed)), "find, xargs b3sum", per_second);
    create(&source, &dir.join("kept"), "blake3", &[]);
    let verified = timed(attestore(&["verify", &source, "--manifest", &dir.join("kept").display().to_string()], &[]));
    row("verify the same", &alone(verified), "", per_second);
}

/// Two manifests of 10^6 entries that differ in a few.
fn manifests(dir: &Path) {
    let written = Instant::now();
    write_manifest(&dir.join("a"), u32::MAX);
    let own = Run { wall: written.elapsed(), peak_kib: 0 };
    let per_second = |run: Run| format!("{:.2} M rows/s", f64::from(MANIFEST_ROWS) / run.wall.as_secs_f64() / 1e6);
    row("write a manifest of 10^6 entries, root included (within the bench's own process)", &alone(own), "", per_second);
    write_manifest(&dir.join("b"), 1000);
    let (a, b) = (dir.join("a").display().to_string(), dir.join("b").display().to_string());
    let diff = timed(attestore(&["manifest", "diff", &a, &b], &[]));
    row("diff two manifests of 10^6 entries, digests and roots checked", &alone(diff), "", per_second);
}

fn write_manifest(dir: &Path, every: u32) {
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
    for n in 0..MANIFEST_ROWS {
        let content = if n % every == every - 1 { n ^ 1 } else { n };
        let row = ObjectRow {
            key: format!("customers/{:04}/documents/{n:08}.pdf", n / 1000),
            key_escaped: false,
            seq: 0,
            version_id: None,
            kind: EntryKind::Object,
            size: u64::from(n) * 37 % 1_000_000,
            modified: Some(Timestamp::from_secs(1_700_000_000 + i64::from(n))),
            blake3: Some(Digest32::blake3(&content.to_le_bytes())),
            sha256: None,
            s3_checksum: None,
            evidence: None,
            last_read: None,
        };
        writer.push_object(&row).expect("rows are in order");
    }
    writer.finish(Finish::default(), None).expect("the manifest is finished");
}

/// The stand-in S3 of this process, read by another process: one object of 2 GiB, and many small ones.
#[cfg(feature = "sandbox")]
fn s3_objects(dir: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let running = runtime.block_on(attestore::sandbox::server::Sandbox::start(&dir.join("state"), None)).expect("the stand-in starts");
    runtime.block_on(lay_buckets(&running));
    let environment = [
        ("AWS_ENDPOINT_URL", running.endpoint()),
        ("AWS_REGION", "eu-west-2".to_owned()),
        ("AWS_ACCESS_KEY_ID", running.session_options().static_credentials.map(|keys| keys.0).unwrap_or_default()),
        ("AWS_SECRET_ACCESS_KEY", running.session_options().static_credentials.map(|keys| keys.1).unwrap_or_default()),
    ];
    let large = create("s3://large", &dir.join("m"), "blake3", &environment);
    row("capture one 2 GiB object from the stand-in S3 (both share the processors)", &alone(large), "", |run| rate(2 << 30, run));
    let small = create("s3://small", &dir.join("m"), "blake3", &environment);
    let per_second = |run: Run| format!("{:.0} objects/s", SMALL_FILES as f64 / run.wall.as_secs_f64());
    row("capture 20,000 objects of 1 KiB from the stand-in S3", &alone(small), "", per_second);
    runtime.block_on(running.stop()).expect("the stand-in stops");
}

#[cfg(feature = "sandbox")]
async fn lay_buckets(running: &attestore::sandbox::server::Running) {
    use aws_sdk_s3::primitives::ByteStream;
    use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
    use futures_util::StreamExt;
    let session = attestore::aws::session::Session::load(&running.session_options()).await;
    let config = aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(config);
    for bucket in ["large", "small"] {
        client.create_bucket().bucket(bucket).send().await.expect("a bucket");
    }
    let upload = client.create_multipart_upload().bucket("large").key("object").send().await.expect("an upload");
    let id = upload.upload_id().unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    for number in 1..=32 {
        let body = ByteStream::from(noise(64 << 20, number as u64));
        let part = client.upload_part().bucket("large").key("object").upload_id(&id).part_number(number).body(body);
        let part = part.send().await.expect("a part");
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = client.complete_multipart_upload().bucket("large").key("object").upload_id(&id).multipart_upload(parts);
    done.send().await.expect("the object");
    let puts = futures_util::stream::iter(0..SMALL_FILES).map(|n| {
        let put = client.put_object().bucket("small").key(format!("{n:05}")).body(ByteStream::from(noise(1024, n as u64)));
        async move { put.send().await.expect("a small object") }
    });
    puts.buffer_unordered(32).for_each(|_| async {}).await;
}

/// `manifest create` into `out`, which is removed first.
fn create(source: &str, out: &Path, digest: &str, environment: &[(&str, String)]) -> Run {
    let _ = std::fs::remove_dir_all(out);
    timed(attestore(&["manifest", "create", source, "--out", &out.display().to_string(), "--digest", digest], environment))
}

fn attestore(args: &[&str], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(args).envs(environment.iter().map(|(name, value)| (*name, value)));
    command
}

fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs of a program, each with the run of its peer that followed it.
type Pairs = Vec<(Run, Option<Run>)>;

/// Both in turns, so that the machine's other work falls on both; once each before that, to warm the page cache.
fn in_turns(mut own: impl FnMut() -> Run, mut peer: Option<impl FnMut() -> Run>) -> Pairs {
    own();
    peer.as_mut().map(|peer| peer());
    (0..RUNS).map(|_| (own(), peer.as_mut().map(|peer| peer()))).collect()
}

fn alone(run: Run) -> Pairs {
    vec![(run, None)]
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Runs `command` to its end; its peak memory is read while it lives.
fn timed(mut command: Command) -> Run {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        if let Some(peak) = std::fs::read_to_string(&status).ok().and_then(|text| peak_of(&text)) {
            peak_kib = peak_kib.max(peak);
        }
        if let Some(ended) = child.try_wait().expect("a child of ours") {
            // `manifest diff` answers 1 where manifests differ.
            assert!(matches!(ended.code(), Some(0 | 1)), "{command:?} ended with {ended}");
            return Run { wall: started.elapsed(), peak_kib };
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn row(what: &str, pairs: &Pairs, peer: &str, figure: impl Fn(Run) -> String) {
    let fastest = |runs: &mut dyn Iterator<Item = Run>| runs.min_by_key(|run| run.wall);
    let own = fastest(&mut pairs.iter().map(|pair| pair.0)).expect("at least one run");
    let ratios = pairs.iter().filter_map(|(own, peer)| Some(peer.as_ref()?.wall.as_secs_f64() / own.wall.as_secs_f64()));
    let (other, ratio) = match (fastest(&mut pairs.iter().filter_map(|pair| pair.1)), median(ratios.collect())) {
        (Some(run), Some(ratio)) => (format!("{peer}: {}", figure(run)), format!("{ratio:.2}")),
        _ if peer.is_empty() => ("–".to_owned(), "–".to_owned()),
        _ => (format!("{peer}: not on PATH"), "–".to_owned()),
    };
    let mib = pairs.iter().map(|pair| pair.0.peak_kib).max().unwrap_or(0) as f64 / 1024.0;
    let memory = match mib {
        0.0 => "–".to_owned(),
        _ if mib < MEMORY_LIMIT_MIB => format!("{mib:.0} MiB"),
        _ => format!("**{mib:.0} MiB, over {MEMORY_LIMIT_MIB:.0}**"),
    };
    println!("| {what} | {} | {other} | {ratio} | {memory} |", figure(own));
}

fn rate(bytes: u64, run: Run) -> String {
    format!("{:.2} GiB/s", gib(bytes) / run.wall.as_secs_f64())
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Bytes that do not compress or repeat.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn fill(path: &Path, length: u64) {
    let mut file = File::create(path).expect("a file");
    let mut written = 0;
    while written < length {
        let block = noise((length - written).min(64 << 20) as usize, written);
        file.write_all(&block).expect("room on the disk");
        written += block.len() as u64;
    }
    file.sync_all().expect("room on the disk");
}
