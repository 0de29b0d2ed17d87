//! Databases against named peers on the same server and data: client CPU a row, wall time, and the memory of the whole process.
//!
//! `cargo bench --bench sql` prints a Markdown table of ratios: runs of both sides take turns, and the median of the turns' ratios
//! counts. Servers are booted from what is installed, with a cache that holds the data ([`CACHE`]), so that neither side is measured by the
//! disk; an absent server or peer is said to be. `ATTESTORE_BENCH_ROWS` is the size of the
//! mixed table (default 3,000,000), `ATTESTORE_BENCH_SCALE` that of pgbench (default 20), `ATTESTORE_RELADIFF` the program of that name.
//! `ATTESTORE_BENCH_LARGE` names the rows of tables that are only captured, to see that memory does not grow with them: `3000000,100000000`.

#[path = "../tests/common/servers.rs"]
mod servers;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{WaitId, WaitIdOptions};

use servers::{Kind, PASSWORD, Server};

const TURNS: usize = 3;

/// The servers' cache: a quarter of the memory of a machine with 8 GiB, which is what RDS gives PostgreSQL (`shared_buffers` of the default
/// parameter group; MySQL and MariaDB get three quarters).
const CACHE: [(Kind, &[&str]); 2] = [(Kind::Postgres, &["-c", "shared_buffers=2GB"]), (Kind::Mariadb, &["--innodb-buffer-pool-size=2G"])];

/// How one command went: seconds of CPU of all its processes, and of the clock.
#[derive(Clone, Copy)]
struct Run {
    cpu: f64,
    wall: f64,
    peak_kib: u64,
}

fn main() {
    // `cargo test --benches` and `cargo bench -- --list` must not boot servers.
    if std::env::args().any(|arg| arg == "--list" || arg == "--test") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory for manifests");
    let key = dir.path().join("hashkey");
    std::fs::write(&key, format!("{}\n", "07".repeat(32))).expect("the directory is ours");
    Command::new("chmod").arg("600").arg(&key).status().expect("chmod runs");
    println!("| What | Client CPU | Wall | Memory (VmHWM) |");
    println!("|---|---|---|---|");
    for (kind, cache) in CACHE {
        let Some(server) = servers::own(kind) else {
            eprintln!("{} is not installed: no ratio for it", kind.name());
            continue;
        };
        server.stop();
        server.start_with(&cache.iter().map(ToString::to_string).collect::<Vec<_>>());
        match kind {
            Kind::Postgres => postgres(&server, dir.path()),
            _ => mariadb(&server, dir.path()),
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", script]).env("PGPASSWORD", PASSWORD).env("MYSQL_PWD", PASSWORD).stdin(Stdio::null());
    command
}

fn run(script: &str) {
    let output = shell(script).output().expect("bash runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a script under bash's own clock, which counts the processes of a pipeline together.
fn timed(script: &str) -> Run {
    let script = format!("TIMEFORMAT='%U %S %R'; time {{ {script}; }}");
    let output = shell(&script).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {said}");
    let line = said.lines().last().expect("a line of times");
    let parts: Vec<f64> = line.split(' ').map(|part| part.parse().expect("seconds")).collect();
    Run { cpu: parts[0] + parts[1], wall: parts[2], peak_kib: 0 }
}

/// One run of a program of our own: its CPU as the kernel has it when the process has ended and nobody has waited for it yet, and the last
/// high-water mark of its memory. Looking at it is not charged to it.
fn watched(program: &mut Command) -> Run {
    let began = Instant::now();
    let child = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let of_child = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let pid = rustix::process::Pid::from_child(&child);
    let ended = || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        rustix::process::waitid(WaitId::Pid(pid), options).expect("the child is ours").is_some()
    };
    let mut peak_kib = 0;
    while !ended() {
        let mark = of_child("status").lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = mark.unwrap_or(peak_kib);
        std::thread::sleep(Duration::from_millis(10));
    }
    let wall = began.elapsed().as_secs_f64();
    // proc(5): utime and stime are the 14th and 15th field, in hundredths of a second; the 2nd, in brackets, may hold spaces.
    let stat = of_child("stat");
    let ticks = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    let cpu = ticks.sum::<f64>() / 100.0;
    let output = child.wait_with_output().expect("the child is ours");
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    Run { cpu, wall, peak_kib }
}

fn attestore() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.env("PGPASSWORD", PASSWORD).env("MYSQL_PWD", PASSWORD);
    command
}

/// `attestore manifest create` of a database.
fn create(url: &str, dir: &Path, lanes: u32) -> Run {
    create_of(url, dir, lanes, "buckets")
}

/// The same with leaves of a kind: `sums` have no row sidecar, as no peer has one.
fn create_of(url: &str, dir: &Path, lanes: u32, leaves: &str) -> Run {
    let (out, key) = (dir.join("m"), dir.join("hashkey"));
    let _ = std::fs::remove_dir_all(&out);
    let mut command = attestore();
    command.args(["manifest", "create", url, "--lanes", &lanes.to_string(), "--leaves", leaves, "--json", "--out"]);
    watched(command.arg(out).arg("--hash-key").arg(key))
}

/// Turns of both sides and the median of their ratios, own over peer.
fn compare(what: &str, own: impl Fn() -> Run, peer: impl Fn() -> Run) {
    let mut pairs: Vec<(Run, Run)> = (0..TURNS).map(|_| (own(), peer())).collect();
    let mut median = |of: fn(&Run) -> f64| {
        pairs.sort_by(|a, b| (of(&a.0) / of(&a.1)).total_cmp(&(of(&b.0) / of(&b.1))));
        let (own, peer) = pairs[TURNS / 2];
        (of(&own) / of(&peer), of(&own), of(&peer))
    };
    let (cpu, wall) = (median(|run| run.cpu), median(|run| run.wall));
    let peak = pairs.iter().map(|(own, _)| own.peak_kib).max().unwrap_or(0) / 1024;
    println!(
        "| {what} | ×{:.2} ({:.2} s to {:.2} s) | ×{:.2} ({:.2} s to {:.2} s) | {peak} MiB |",
        cpu.0, cpu.1, cpu.2, wall.0, wall.1, wall.2
    );
}

/// The mixed table of ten columns.
fn mixed(rows: u64, series: &str, text: &str, types: [&str; 3]) -> String {
    let [instant, double, bytes] = types;
    format!(
        "CREATE TABLE mixed (id bigint PRIMARY KEY, account int NOT NULL, amount numeric(12,2) NOT NULL, rate {double}, kind varchar(16) NOT NULL, \
         note varchar(80), booked {instant} NOT NULL, day date NOT NULL, flags smallint, body {bytes}); \
         INSERT INTO mixed SELECT i, i % 100003, (i % 1000000) / 100.0, i / 7.0, CASE WHEN i % 3 = 0 THEN 'credit' ELSE 'debit' END, \
         CASE WHEN i % 5 = 0 THEN NULL ELSE concat('reference ', i, ' of the month') END, {text} FROM {series}(1, {rows}) AS s(i)"
    )
}

fn postgres(server: &Server, dir: &Path) {
    let rows = number("ATTESTORE_BENCH_ROWS", 3_000_000);
    let scale = number("ATTESTORE_BENCH_SCALE", 20);
    let flags = format!("-q -h 127.0.0.1 -p {} -U {}", server.port(), servers::USER);
    for name in ["bank", "mixed", "same"] {
        run(&format!("psql {flags} -c 'CREATE DATABASE {name}' postgres"));
    }
    run(&format!(
        "pgbench -i -q -s {scale} -h 127.0.0.1 -p {} -U {} bank && psql {flags} -c 'VACUUM ANALYZE' bank",
        server.port(),
        servers::USER
    ));
    let text = "timestamptz '2026-01-01' + i * interval '1 second', date '2020-01-01' + (i % 2000)::int, (i % 7)::smallint, decode(md5(i::text), 'hex')";
    let sql = mixed(rows, "generate_series", text, ["timestamptz", "double precision", "bytea"]);
    for name in ["mixed", "same"] {
        run(&format!("psql {flags} {name} <<'E'\n{sql};\nVACUUM ANALYZE;\nE"));
    }
    for (name, table, count) in [("bank", "pgbench_accounts", scale * 100_000), ("mixed", "mixed", rows)] {
        let peer = format!("psql {flags} -c 'COPY {table} TO STDOUT (FORMAT binary)' {name} | b3sum");
        for lanes in [1, 2] {
            let what = format!("{table}, {count} rows, {lanes} lane(s), sidecar included, to `psql COPY BINARY \\| b3sum`");
            compare(&what, || create(&server.url(name), dir, lanes), || timed(&peer));
        }
    }
    large(server, &flags, dir);
    let Some(reladiff) = std::env::var_os("ATTESTORE_RELADIFF") else {
        eprintln!("ATTESTORE_RELADIFF is not set: no ratio for Reladiff");
        return;
    };
    let (one, other) =
        (server.full_url("mixed").replace("postgres://", "postgresql://"), server.full_url("same").replace("postgres://", "postgresql://"));
    let columns = "-c account -c amount -c rate -c kind -c note -c booked -c day -c flags -c body";
    // It ends with 0 whatever happened; what it could not do it says.
    let program = reladiff.display();
    let peer = format!("said=$({program} '{one}' mixed '{other}' mixed -k id {columns} -j 2 2>&1) && ! grep ERROR <<<\"$said\" >&2");
    let own = || watched(attestore().args(["verify", &server.url("mixed"), "--against", &server.url("same"), "--lanes", "2"]));
    compare(&format!("mixed against an equal table, {rows} rows, to Reladiff"), own, || timed(&peer));
}

/// Tables of ever more rows, each captured once with and once without a row sidecar; no peer.
fn large(server: &Server, flags: &str, dir: &Path) {
    let sizes = std::env::var("ATTESTORE_BENCH_LARGE").unwrap_or_default();
    for rows in sizes.split(',').filter_map(|text| text.parse::<u64>().ok()) {
        run(&format!(
            "psql {flags} -c 'CREATE DATABASE large' postgres && psql {flags} -1 large -c 'CREATE UNLOGGED TABLE large AS \
             SELECT i AS id, (i % 100003)::int AS account, i / 7.0::float8 AS rate FROM generate_series(1, {rows}) AS s(i)' \
             -c 'ALTER TABLE large ADD PRIMARY KEY (id)' && psql {flags} -c 'VACUUM ANALYZE' large"
        ));
        for leaves in ["buckets", "sums"] {
            let Run { cpu, wall, peak_kib } = create_of(&server.url("large"), dir, 2, leaves);
            println!("| {rows} rows of three columns, 2 lanes, leaves {leaves} | {cpu:.2} s | {wall:.2} s | {} MiB |", peak_kib / 1024);
        }
        run(&format!("psql {flags} -c 'DROP DATABASE large' postgres"));
    }
}

fn mariadb(server: &Server, dir: &Path) {
    let rows = number("ATTESTORE_BENCH_ROWS", 3_000_000);
    let flags = format!("-h 127.0.0.1 -P {} -u {}", server.port(), servers::USER);
    run(&format!("mariadb {flags} -e 'CREATE DATABASE mixed'"));
    let text = "TIMESTAMP('2026-01-01') + INTERVAL i SECOND, DATE('2020-01-01') + INTERVAL (i % 2000) DAY, i % 7, UNHEX(MD5(i))";
    let sql = mixed(rows, "generate_series", text, ["datetime(6)", "double", "varbinary(32)"]);
    let sql = sql.replace(&format!("generate_series(1, {rows}) AS s(i)"), &format!("(SELECT seq AS i FROM seq_1_to_{rows}) AS s"));
    run(&format!("mariadb {flags} mixed <<'E'\n{sql};\nANALYZE TABLE mixed;\nE"));
    let columns = "id, account, amount, rate, kind, note, booked, day, flags, body";
    let nulls = "ISNULL(rate), ISNULL(note), ISNULL(flags), ISNULL(body)";
    let checksum = format!(
        "mariadb {flags} mixed -e \"SELECT COUNT(*), COALESCE(LOWER(CONV(BIT_XOR(CAST(CRC32(CONCAT_WS('#', {columns}, CONCAT({nulls}))) AS UNSIGNED)), 10, 16)), 0) FROM mixed FORCE INDEX (PRIMARY)\""
    );
    let dump = format!("mariadb-dump {flags} --single-transaction mixed | sha256sum");
    // Lanes are the default, as many as processors; they need a source that stands still, which one that is still writing out what was
    // loaded does not.
    until_quiet(&flags);
    for (lanes, leaves, sidecar) in [(1, "buckets", "included"), (2, "buckets", "included"), (1, "sums", "none"), (2, "sums", "none")] {
        let own = || create_of(&server.url("mixed"), dir, lanes, leaves);
        let what = format!("mixed in MariaDB, {rows} rows, {lanes} lane(s), sidecar {sidecar}");
        compare(&format!("{what}, to pt-table-checksum's expression (its CPU is the server's)"), own, || timed(&checksum));
        compare(&format!("{what}, to `mariadb-dump \\| sha256sum`"), own, || timed(&dump));
    }
}

/// Waits until MariaDB's log stands still for two seconds.
fn until_quiet(flags: &str) {
    let lsn = "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'";
    run(&format!(
        "mariadb {flags} -e 'SET GLOBAL innodb_max_dirty_pages_pct = 0'; same=0; last=; for i in $(seq 600); do \
         now=$(mariadb {flags} -N -e \"{lsn}\"); if [ \"$now\" = \"$last\" ]; then same=$((same + 1)); else same=0; fi; \
         [ $same -ge 20 ] && break; last=$now; sleep 0.1; done"
    ));
}
