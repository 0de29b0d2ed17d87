//! What a manifest alone can name, on each engine: with `keys` in its sidecar the rows that are gone, with `columns` which columns of a row differ;
//! and that the default manifest holds no key in the clear, and none holds a value.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::servers::{Kind, shared};
use crate::support::{Db, access, key};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::{Class, Finding};
use attestore::model::source_url::SourceUrl;
use attestore::monitor::{Collected, Event, Monitor, Silent};
use attestore::verify::manifest::names::NameRow;
use attestore::verify::manifest::reader::{Manifest, Rows};
use attestore::verify::manifest::request::{CaptureRequest, Leaves, Sidecar};
use attestore::verify::manifest::row::Row;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::compare::manifests::name_rows;
use attestore::verify::sql::connect::access::Access;
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// In a key, and in a value.
const KEY: &str = "sesame-key";
const VALUE: &str = "sesame-value";

const TABLES: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, a VARCHAR(40), b VARCHAR(40), c INT);
    INSERT INTO t VALUES (1, 'sesame-value', 'same', 1), (2, 'x', 'same', 1), (3, 'y', 'same', 1), (4, 'z', 'same', 1), (5, 'w', 'same', 1);
    CREATE TABLE orders (region VARCHAR(20), num INT, note VARCHAR(20), PRIMARY KEY (region, num));
    INSERT INTO orders VALUES ('sesame-key', 1, 'a'), ('sesame-key', 2, 'b'), ('other', 1, 'c');
    CREATE TABLE loose (v VARCHAR(20)); INSERT INTO loose VALUES ('lies about'), ('stays')";

const CHANGES: &[&str] = &[
    "UPDATE t SET b = 'other' WHERE id = 2",
    "UPDATE t SET a = 'other', c = NULL WHERE id = 3",
    "UPDATE t SET b = NULL WHERE id = 4",
    "DELETE FROM t WHERE id = 5",
    "INSERT INTO t VALUES (9, 'new', 'same', 1)",
    "UPDATE orders SET note = 'other' WHERE region = 'sesame-key' AND num = 1",
    "DELETE FROM orders WHERE region = 'sesame-key' AND num = 2",
    "UPDATE loose SET v = 'other' WHERE v = 'lies about'",
];

fn request(out: &Path, sidecar: Sidecar) -> CaptureRequest {
    let mut request = CaptureRequest::new(out, CaptureMode::FirstRestore);
    request.tables.sidecar = sidecar;
    request
}

async fn found(url: &SourceUrl, access: &Access, manifest: &Path) -> Vec<(Class, String, String)> {
    let seen = Collected::default();
    let result = compare(url, access, &Manifest::open(manifest).unwrap(), &key(), &seen).await.unwrap();
    let rows = result.rows.unwrap();
    // All of the scope is covered, which says nothing of definitions where rows are compared by what they mean.
    let is_logical = Manifest::open(manifest).unwrap().header().encoding.contains("logical");
    assert_eq!((result.coverage_ppm(), result.not_compared.contains_key("definitions")), (1_000_000, is_logical));
    assert_eq!(result.definitions.is_none(), is_logical);
    let told = told(&seen.findings());
    assert_eq!(rows.mismatch + rows.missing + rows.extra, told.len() as u64, "{told:?}");
    told
}

/// Class, place and columns of each row, sorted; a hash in the place of a key is `#`.
fn told(findings: &[Finding]) -> Vec<(Class, String, String)> {
    let one = |finding: &Finding| {
        let place = finding.place.parts().1;
        let place = place.split_once(" #").map_or_else(|| place.to_owned(), |(table, _)| format!("{table} #"));
        assert!(finding.columns.is_empty() || finding.actual.as_ref().unwrap().contains("differs in"), "{finding:?}");
        (finding.class, place, finding.columns.join(","))
    };
    let mut all: Vec<_> = findings.iter().map(one).collect();
    all.sort();
    all
}

/// Whether a manifest holds `marker` in the clear: in its files as they are, or in any of its rows.
fn holds(manifest: &Path, marker: &str) -> bool {
    fn in_rows<R: Row + Clone>(rows: Rows<R>, marker: &str) -> bool {
        let mut leaf = Vec::new();
        let mut found = false;
        for row in rows {
            row.unwrap().leaf(&mut leaf);
            found |= String::from_utf8_lossy(&leaf).contains(marker);
        }
        found
    }
    let is_in = |bytes: &[u8]| bytes.windows(marker.len()).any(|some| some == marker.as_bytes());
    let files = std::fs::read_dir(manifest).unwrap().any(|entry| is_in(&std::fs::read(entry.unwrap().path()).unwrap()));
    let opened = Manifest::open(manifest).unwrap();
    files || in_rows(opened.leaves(), marker) || in_rows(opened.sidecar(), marker) || in_rows(opened.names(), marker)
}

/// What every engine has to say; `change` is run between captures and comparisons.
async fn named_on(url: &SourceUrl, access: &Access, change: impl AsyncFn(&str)) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut in_ranges = request(&at("ranges"), Sidecar::Columns);
    in_ranges.tables.leaves = Leaves::Ranges;
    let mut logical = request(&at("logical"), Sidecar::Columns);
    logical.tables.logical = true;
    let (hashes, keys) = (request(&at("hashes"), Sidecar::Hashes), request(&at("keys"), Sidecar::Keys));
    let columns = request(&at("columns"), Sidecar::Columns);
    for request in [&hashes, &keys, &columns, &in_ranges, &logical] {
        let notes = Notes::default();
        capture(url, access, request, &key(), None, &notes).await.unwrap();
        let names = request.tables.sidecar != Sidecar::Hashes;
        assert_eq!(notes.told("in the clear"), names);
        assert_eq!(notes.told("table loose: it has no primary key: the manifest names none of its rows"), names);
        let manifest = Manifest::open(&request.out).unwrap();
        manifest.check_parts().unwrap();
        assert_eq!((holds(&request.out, KEY), manifest.has_names()), (names, names), "{}", request.out.display());
        assert!(!holds(&request.out, VALUE) && !holds(&request.out, "lies about"), "{}", request.out.display());
        assert!(found(url, access, &request.out).await.is_empty());
    }
    let hashed: Vec<_> = Manifest::open(&columns.out).unwrap().names().flat_map(|row| row.unwrap().column_hashes()).collect();
    let distinct: std::collections::BTreeSet<_> = hashed.iter().collect();
    assert_eq!((hashed.len(), distinct.len()), (5 * 4 + 3 * 3, 5 * 4 + 3 * 3), "equal values of different rows have different hashes");

    for sql in CHANGES {
        change(sql).await;
    }
    let of = |keys: bool, columns: bool| {
        let gone = |name: &str| if keys { name.to_owned() } else { format!("{} #", name.split(' ').next().unwrap()) };
        let differ = |names: &str| if columns { names.to_owned() } else { String::new() };
        let mut all = vec![
            (Class::Mismatch, "t id=2".to_owned(), differ("b")),
            (Class::Mismatch, "t id=3".to_owned(), differ("a,c")),
            (Class::Mismatch, "t id=4".to_owned(), differ("b")),
            (Class::Missing, gone("t id=5"), String::new()),
            (Class::Extra, "t id=9".to_owned(), String::new()),
            (Class::Mismatch, format!("orders num=1 region={KEY}"), differ("note")),
            (Class::Missing, gone(&format!("orders num=2 region={KEY}")), String::new()),
            (Class::Missing, "loose #".to_owned(), String::new()),
            (Class::Extra, "loose #".to_owned(), String::new()),
        ];
        all.sort();
        all
    };
    assert_eq!(found(url, access, &hashes.out).await, of(false, false));
    assert_eq!(found(url, access, &keys.out).await, of(true, false));
    for request in [&columns, &in_ranges, &logical] {
        assert_eq!(found(url, access, &request.out).await, of(true, true), "{}", request.out.display());
    }

    // Two manifests tell the same rows of one another, without either database.
    let mut again = in_ranges.clone();
    again.out = at("ranges-later");
    for later in [request(&at("later"), Sidecar::Columns), request(&at("hashes-later"), Sidecar::Hashes), again] {
        capture(url, access, &later, &key(), None, &Silent).await.unwrap();
    }
    let differ = |one: &str, other: &str| {
        let seen = Collected::default();
        name_rows(&Manifest::open(&at(one)).unwrap(), &Manifest::open(&at(other)).unwrap(), &seen).unwrap();
        told(&seen.findings())
    };
    assert_eq!(differ("columns", "later"), of(true, true));
    assert_eq!(differ("ranges", "ranges-later"), of(true, true));
    assert_eq!(differ("hashes", "hashes-later"), [], "nothing names a row");
    assert_eq!(differ("later", "later"), []);
    let mut by_the_earlier = of(true, false);
    by_the_earlier.iter_mut().filter(|(_, place, _)| place == "t id=9").for_each(|(_, place, _)| *place = "t #".to_owned());
    by_the_earlier.sort();
    assert_eq!(differ("columns", "hashes-later"), by_the_earlier);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_columns_are_named_on_postgres() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let db = Db::new(&server, Kind::Postgres, "names", TABLES).await;
    named_on(&db.url(), &access(), async |sql: &str| db.run(sql).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_columns_are_named_on_mariadb() {
    let Some(server) = shared(Kind::Mariadb) else { return };
    let db = Db::new(&server, Kind::Mariadb, "names", TABLES).await;
    named_on(&db.url(), &access(), async |sql: &str| db.run(sql).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_columns_are_named_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.db");
    sqlite(&file, TABLES).await;
    named_on(&SourceUrl::Sqlite { path: file.clone() }, &Access::default(), async |sql: &str| sqlite(&file, sql).await).await;
}

async fn sqlite(path: &Path, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
}

/// Keeps what is noted; asks to stop once so many rows have been read.
#[derive(Default)]
struct Notes {
    after: u64,
    rows: AtomicU64,
    told: Mutex<Vec<String>>,
}

impl Notes {
    fn told(&self, part: &str) -> bool {
        self.told.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

impl Monitor for Notes {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Note(text) => self.told.lock().unwrap().push(text.to_owned()),
            Event::Advanced { by, .. } => drop(self.rows.fetch_add(by, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn stop_requested(&self) -> bool {
        self.after > 0 && self.rows.load(Ordering::Relaxed) >= self.after
    }
}

/// What was noted by a run that was cut short is in the manifest of the one that goes on; and a table of more rows than a sidecar is kept of has
/// no names, which is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_goes_on_names_the_rows_that_it_did_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = (dir.path().join("app.db"), dir.path().join("state"));
    let rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO later SELECT i, 'v' || i FROM n";
    let early = "CREATE TABLE early (id TEXT PRIMARY KEY, v TEXT); INSERT INTO early VALUES ('one', 'a'), ('two', 'b')";
    sqlite(&file, &format!("{early}; CREATE TABLE later (id INTEGER PRIMARY KEY, v TEXT); {rows}")).await;
    let url = SourceUrl::Sqlite { path: file };
    let keeping = Access { state: Some(state), ..Access::default() };
    let names = |out: &Path| -> Vec<NameRow> { Manifest::open(out).unwrap().names().map(Result::unwrap).collect() };
    let whole = request(&dir.path().join("whole"), Sidecar::Columns);
    capture(&url, &Access::default(), &whole, &key(), None, &Silent).await.unwrap();
    assert_eq!(names(&whole.out).len(), 20_002);

    let resumed = request(&dir.path().join("resumed"), Sidecar::Columns);
    let cut = capture(&url, &keeping, &resumed, &key(), None, &Notes { after: 5_000, ..Notes::default() }).await.unwrap_err();
    assert_eq!(cut.kind, FailureKind::Interrupted, "{cut}");
    let again = Notes::default();
    capture(&url, &keeping, &resumed, &key(), None, &again).await.unwrap();
    assert!(again.told("table early: 1 of 1 ranges were read by an earlier run"), "{:?}", again.told);
    assert_eq!(names(&resumed.out), names(&whole.out));

    let mut limited = request(&dir.path().join("limited"), Sidecar::Columns);
    limited.sidecar_max_rows = 3;
    let notes = Notes::default();
    capture(&url, &Access::default(), &limited, &key(), None, &notes).await.unwrap();
    assert!(notes.told("table later: it has more rows than a sidecar is kept of: the manifest names none of its rows"), "{:?}", notes.told);
    assert_eq!(
        names(&limited.out).iter().map(|row| row.name.as_str()).collect::<std::collections::BTreeSet<_>>(),
        ["id=one", "id=two"].into()
    );
    let mut sums = request(&dir.path().join("sums"), Sidecar::Keys);
    sums.tables.leaves = Leaves::Sums;
    let refused = capture(&url, &Access::default(), &sums, &key(), None, &Silent).await.unwrap_err();
    assert!(refused.kind == FailureKind::Invalid && refused.message.contains("no row sidecar"), "{refused}");
}

/// SQLite lets keys be NULL: of several rows with one key, each is told, and columns only where it is certain whose they are.
#[tokio::test]
async fn rows_that_share_a_key_are_not_taken_for_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("odd.db"), dir.path().join("m"));
    sqlite(&file, "CREATE TABLE t (id INT PRIMARY KEY, v TEXT, w TEXT); INSERT INTO t VALUES (NULL, 'a', 'x'), (NULL, 'b', 'y')").await;
    let url = SourceUrl::Sqlite { path: file.clone() };
    capture(&url, &Access::default(), &request(&out, Sidecar::Columns), &key(), None, &Silent).await.unwrap();
    assert_eq!(Manifest::open(&out).unwrap().names().count(), 2);
    sqlite(&file, "UPDATE t SET w = 'changed' WHERE v = 'b'").await;
    assert_eq!(found(&url, &Access::default(), &out).await, [(Class::Mismatch, "t id=NULL".into(), "w".into())]);
    sqlite(&file, "UPDATE t SET w = 'changed'").await;
    let both = found(&url, &Access::default(), &out).await;
    assert_eq!(both, vec![(Class::Mismatch, "t id=NULL".to_owned(), String::new()); 2]);
}

/// As a person runs it: the manifest says what it holds, and findings have the columns.
#[tokio::test]
async fn the_commands_say_what_is_held_and_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let (file, hash_key) = (dir.path().join("app.db"), dir.path().join("hashkey"));
    sqlite(&file, TABLES).await;
    attestore::signing::hash_key::HashKey::create(&hash_key).unwrap();
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).current_dir(dir.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let create = |out: &str| run(&["manifest", "create", "sqlite:app.db", "--out", out, "--hash-key", "hashkey", "--sidecar", "columns"]);
    let (code, _, said) = create("before");
    assert!(code == Some(0) && said.contains("primary keys in the clear"), "{said}");
    let (_, shown, _) = run(&["manifest", "show", "before"]);
    assert!(shown.contains("names      primary keys in the clear, and short keyed hashes of the columns"), "{shown}");
    // What is covered does not speak of what was not compared, and that stands beside it.
    run(&["manifest", "create", "sqlite:app.db", "--out", "logical", "--hash-key", "hashkey", "--logical"]);
    let (_, text, _) = run(&["verify", "sqlite:app.db", "--manifest", "logical", "--hash-key", "hashkey"]);
    assert!(text.contains("coverage   100.0 % of what was expected was read and decided; definitions were not compared"), "{text}");
    let (_, lines, _) = run(&["verify", "sqlite:app.db", "--manifest", "logical", "--hash-key", "hashkey", "--json"]);
    let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["coverage_ppm"], summary["definitions"].is_null()), (&1_000_000.into(), true));
    assert!(summary["not_compared"]["definitions"].as_str().unwrap().contains("logical types"), "{summary}");
    let (_, text, _) = run(&["verify", "sqlite:app.db", "--manifest", "before", "--hash-key", "hashkey"]);
    assert!(!text.contains("coverage"), "{text}");

    for sql in CHANGES {
        sqlite(&file, sql).await;
    }
    create("after");
    let verify = ["verify", "sqlite:app.db", "--manifest", "before", "--hash-key", "hashkey", "--json"];
    for args in [&verify[..], &["manifest", "diff", "before", "after", "--json"]] {
        let (code, lines, said) = run(args);
        assert_eq!(code, Some(1), "{said}");
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let row = lines.iter().find(|line| line["row"] == "t id=3").unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!((&row["class"], row["columns"].to_string().as_str()), (&Value::from("mismatch"), r#"["a","c"]"#));
        assert!(lines.iter().any(|line| line["row"] == "t id=5" && line["class"] == "missing"), "{lines:?}");
    }
    for (args, said) in
        [(&["--sidecar", "names"][..], "unknown sidecar `names`"), (&["--sidecar", "keys", "--leaves", "sums"], "no row sidecar")]
    {
        let all = [&["manifest", "create", "sqlite:app.db", "--out", "no", "--hash-key", "hashkey"], args].concat();
        let (code, _, told) = run(&all);
        assert!(code == Some(2) && told.contains(said), "{told}");
    }
    let (code, _, told) = run(&["manifest", "create", "dir:.", "--out", "no", "--sidecar", "keys"]);
    assert!(code == Some(2) && told.contains("leave --sidecar out"), "{told}");
}
