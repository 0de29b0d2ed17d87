//! Tables whose columns differ, on each engine, against a manifest and against a database: what was added buries nothing, what is gone makes
//! no row equal, and neither ever passes.

use std::path::Path;

use crate::servers::{Kind, shared};
use crate::support::{Db, access, key, places};
use attestore::model::capture::CaptureMode;
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::Collected;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, Leaves};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::compare::dual::{self, Side};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

const SQL: &str = "CREATE TABLE keyed (id int PRIMARY KEY, a int, b varchar(20)); CREATE TABLE loose (a int, b varchar(20)); CREATE TABLE other (id int PRIMARY KEY, v int); \
     INSERT INTO keyed VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, NULL), (4, 4, 'four'), (5, 5, 'five'); \
     INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, 'y'); INSERT INTO other VALUES (1, 10), (2, 20)";
const ROWS: u64 = 10;

async fn captured(url: &SourceUrl, out: &Path, leaves: Leaves) {
    let mut request = CaptureRequest::new(out, CaptureMode::FirstRestore);
    request.tables.leaves = leaves;
    // On the heap: one test holds many of these, and its stack is small.
    let (access, key, seen) = (access(), key(), Collected::default());
    Box::pin(capture(url, &access, &request, &key, None, &seen)).await.unwrap();
}

async fn compared(url: &SourceUrl, manifest: &Path) -> (Verification, Vec<Finding>) {
    let seen = Collected::default();
    let (access, manifest) = (access(), Manifest::open(manifest).unwrap());
    let result = Box::pin(compare(url, &access, &manifest, &key(), &seen)).await.unwrap();
    (result, seen.findings())
}

async fn against(checked: &SourceUrl, baseline: &SourceUrl) -> (Verification, Vec<Finding>) {
    let (seen, access) = (Collected::default(), access());
    let side = |url| Side { url, access: &access };
    let result = Box::pin(dual::against(side(checked), side(baseline), &key(), None, &seen)).await.unwrap();
    (result, seen.findings())
}

/// Class and place of the findings on rows.
fn rows_of(findings: &[Finding]) -> Vec<(Class, String)> {
    places(findings).into_iter().filter(|(class, _)| *class != Class::SchemaChanged).collect()
}

/// The tables whose own definition differs. What is told of their columns and indexes beside it has a word before the name.
fn changed(findings: &[Finding]) -> Vec<String> {
    let is_table = |(class, place): &(Class, String)| *class == Class::SchemaChanged && !place.contains(' ');
    places(findings).into_iter().filter(is_table).map(|(_, place)| place).collect()
}

/// What every engine has to say; `change` changes `url`, and `baseline` stays as it was.
async fn columns_on(url: &SourceUrl, baseline: &SourceUrl, change: impl AsyncFn(&str)) {
    let dir = tempfile::tempdir().unwrap();
    let (named, ranges, sums) = (dir.path().join("named"), dir.path().join("ranges"), dir.path().join("sums"));
    captured(url, &named, Leaves::default()).await;
    captured(url, &ranges, Leaves::Ranges).await;
    captured(url, &sums, Leaves::Sums).await;

    // Added: the rows are what they were.
    change("ALTER TABLE keyed ADD COLUMN aa int DEFAULT 5; ALTER TABLE loose ADD COLUMN more int").await;
    for manifest in [&named, &ranges, &sums] {
        let (result, findings) = compared(url, manifest).await;
        assert_eq!((changed(&findings).len(), rows_of(&findings)), (2, vec![]), "{findings:?}");
        let (rows, tables) = (result.rows.unwrap(), result.tables.unwrap());
        assert_eq!((rows.matched, rows.expected, rows.extra, tables.mismatch, tables.matched), (ROWS, ROWS, 0, 2, 1));
        assert_eq!(result.outcome(0).0, Outcome::Fail);
        assert!(findings[0].expected.as_deref().unwrap().contains("no aa"), "{findings:?}");
        assert_eq!(findings[0].to_json()["columns"], serde_json::json!(["aa"]));
    }
    let (result, findings) = against(url, baseline).await;
    assert_eq!((changed(&findings).len(), rows_of(&findings), result.rows.unwrap().matched), (2, vec![], ROWS), "{findings:?}");
    assert_eq!(result.outcome(0).0, Outcome::Fail);

    // And what else differs is still told row by row.
    change("UPDATE keyed SET a = 9 WHERE id = 2; DELETE FROM keyed WHERE id = 4; INSERT INTO keyed VALUES (6, 6, 'six', 6)").await;
    for manifest in [&named, &ranges] {
        let (result, findings) = compared(url, manifest).await;
        let rows = rows_of(&findings);
        assert!(rows.contains(&(Class::Mismatch, "keyed id=2".into())) && rows.contains(&(Class::Extra, "keyed id=6".into())), "{rows:?}");
        let counts = result.rows.unwrap();
        assert_eq!((rows.len(), counts.matched, counts.mismatch, counts.missing, counts.extra), (3, 8, 1, 1, 1), "{rows:?}");
    }
    let (_, findings) = against(url, baseline).await;
    let row = findings.iter().find(|finding| finding.class == Class::Mismatch).unwrap();
    assert_eq!((row.columns.as_slice(), row.place.parts().1), (&["a".to_owned()][..], "keyed id=2"));
    assert!(row.actual.as_deref().unwrap().ends_with(" differs in a"), "{row:?}");
    assert_eq!(row.to_json()["columns"], serde_json::json!(["a"]));

    // Gone and renamed: no row is equal; who is there is known by key, and nobody is told one by one for a column.
    change("ALTER TABLE keyed DROP COLUMN b; ALTER TABLE loose RENAME COLUMN b TO c").await;
    for manifest in [&named, &ranges] {
        let (result, findings) = compared(url, manifest).await;
        let rows = rows_of(&findings);
        assert!(rows.len() == 2 && rows.contains(&(Class::Extra, "keyed id=6".into())), "{rows:?}");
        let counts = result.rows.unwrap();
        assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.extra), (2, 7, 1, 1), "{findings:?}");
    }
    let (result, findings) = compared(url, &sums).await;
    let counts = result.rows.unwrap();
    assert_eq!((rows_of(&findings), counts.matched, counts.mismatch, counts.missing, counts.extra), (vec![], 2, 8, 0, 0));
    let (result, findings) = against(url, baseline).await;
    let (rows, counts) = (rows_of(&findings), result.rows.unwrap());
    assert_eq!((rows.len(), counts.matched, counts.mismatch, counts.missing, counts.extra), (3, 2, 7, 1, 1), "{rows:?}");
    assert!(rows.contains(&(Class::Mismatch, "keyed id=2".into())), "{rows:?}");
    assert_eq!(changed(&findings).len(), 2);

    // Nothing of a definition is left.
    change("ALTER TABLE other RENAME COLUMN v TO w; ALTER TABLE other RENAME COLUMN id TO number").await;
    for (result, findings) in [compared(url, &named).await, compared(url, &ranges).await, against(url, baseline).await] {
        assert!(!rows_of(&findings).iter().any(|(_, place)| place.starts_with("other")), "{findings:?}");
        let counts = result.rows.unwrap();
        assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.extra), (0, 9, 1, 1), "{findings:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_differ_in_postgres() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let db = Db::new(&server, Kind::Postgres, "columns", SQL).await;
    let baseline = Db::new(&server, Kind::Postgres, "columns_baseline", SQL).await;
    columns_on(&db.url(), &baseline.url(), async |sql: &str| db.run(sql).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_differ_in_mariadb() {
    let Some(server) = shared(Kind::Mariadb) else { return };
    let db = Db::new(&server, Kind::Mariadb, "columns", SQL).await;
    let baseline = Db::new(&server, Kind::Mariadb, "columns_baseline", SQL).await;
    columns_on(&db.url(), &baseline.url(), async |sql: &str| db.run(sql).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_differ_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let url = |name: &str| SourceUrl::Sqlite { path: dir.path().join(name) };
    let run = async |name: &str, sql: &str| {
        let options = SqliteConnectOptions::new().filename(dir.path().join(name)).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.unwrap();
    };
    run("one.db", SQL).await;
    run("two.db", SQL).await;
    columns_on(&url("one.db"), &url("two.db"), async |sql: &str| run("one.db", sql).await).await;
}

/// Another type is another value only where it is; and a table that has lost its key has the same rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_and_keys_that_differ() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (db, baseline) =
        (Db::new(&server, Kind::Postgres, "types", SQL).await, Db::new(&server, Kind::Postgres, "types_baseline", SQL).await);
    captured(&db.url(), &dir.path().join("m"), Leaves::default()).await;
    let both = async || [compared(&db.url(), &dir.path().join("m")).await, against(&db.url(), &baseline.url()).await];
    db.run("ALTER TABLE keyed ALTER a TYPE bigint; ALTER TABLE keyed DROP CONSTRAINT keyed_pkey; UPDATE keyed SET a = 7 WHERE id = 3")
        .await;
    for (result, findings) in both().await {
        assert_eq!(rows_of(&findings), [(Class::Mismatch, "keyed id=3".into())], "{findings:?}");
        assert_eq!((changed(&findings), result.rows.unwrap().matched), (vec!["keyed".to_owned()], ROWS - 1));
    }
    db.run("UPDATE keyed SET a = 3 WHERE id = 3; ALTER TABLE keyed ALTER a TYPE numeric; ALTER TABLE other ALTER id TYPE text").await;
    for (result, findings) in both().await {
        assert_eq!((changed(&findings).len(), rows_of(&findings)), (2, vec![]), "{findings:?}");
        let counts = result.rows.unwrap();
        assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.extra), (3, 7, 0, 0), "{findings:?}");
    }
}
