//! A value of each type of each engine, and the field that it is: the published vectors on real servers, and the page that lists them.
//!
//! A table of one column and one row has one leaf, so its digest says whether the row was read as the vector has it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use attestore::engines::product::numbers;
use attestore::model::capture::CaptureMode;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::manifest::row::LeafKind;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::rows::canon::Row;
use attestore::verify::sql::rows::row_keys::RowKeys;
use serde_json::Value;

use crate::servers::{Kind, Server, shared};
use crate::support::{Db, access, key};
use crate::vectors::put;

const VALUES: &str = include_str!("../vectors/engine-values-v1.json");
const PAGE: &str = include_str!("../../src/verify/sql/rows/ROWS.md");
/// What the vectors' own types are.
const TYPES: &str =
    "CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small AS int;";

/// Those of an engine, and of types and values that it has from a version on those that this one has.
fn values(engine: &str, version: &[u32]) -> Vec<Value> {
    let document: Value = serde_json::from_str(VALUES).unwrap();
    let is_known = |value: &Value| value["from"].as_str().is_none_or(|from| numbers(from).as_slice() <= version);
    let of = document["values"].as_array().unwrap().iter().filter(|value| value["engine"] == engine && is_known(value));
    let of: Vec<Value> = of.cloned().collect();
    assert!(!of.is_empty(), "{engine}");
    of
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// The statements that lay each value into a table of its own.
fn statements(values: &[Value]) -> String {
    let table = |(at, value): (usize, &Value)| {
        let (of, sql) = (word(value, "type"), word(value, "sql"));
        format!("CREATE TABLE v{at:03} (c {}); INSERT INTO v{at:03} VALUES ({sql});\n", if of == "NULL" { "" } else { of })
    };
    values.iter().enumerate().map(table).collect()
}

/// The leaf of a table whose one row is the vector's field, by the page's words alone.
fn leaf_of(value: &Value) -> [u8; 32] {
    let hash_key = key();
    let mut row = Row::new(&RowKeys::new(&hash_key));
    row.begin(1);
    put(&value["field"], &mut row);
    let whole = [&1u32.to_be_bytes()[..], row.field(0)].concat();
    let digest = *blake3::keyed_hash(&blake3::derive_key("attestore row v1", hash_key.bytes()), &whole).as_bytes();
    blake3::derive_key("attestore leaf v1", &[&[0][..], &0u32.to_be_bytes(), &1u64.to_be_bytes(), &digest].concat())
}

/// Captures what was laid and compares each table's leaf with its vector's.
async fn read_as_the_vectors(url: &SourceUrl, access: &Access, out: &Path, values: &[Value]) {
    let request = CaptureRequest::new(out, CaptureMode::FirstRestore);
    capture(url, access, &request, &key(), None, &Silent).await.unwrap();
    let leaves: Vec<_> = Manifest::open(out).unwrap().leaves().map(Result::unwrap).filter(|leaf| leaf.kind != LeafKind::Schema).collect();
    assert_eq!(leaves.len(), values.len());
    let wrong: Vec<String> = values
        .iter()
        .enumerate()
        .filter(|(at, value)| {
            let leaf = leaves.iter().find(|leaf| leaf.key.ends_with(&format!("v{at:03}"))).unwrap();
            (leaf.rows, leaf.digest) != (1, leaf_of(value))
        })
        .map(|(at, value)| format!("v{at:03}: {value}"))
        .collect();
    assert!(wrong.is_empty(), "read otherwise:\n{}", wrong.join("\n"));
}

/// Lays the vectors of a server's engine there, and reads them.
pub async fn hold_on(server: &Arc<Server>, kind: Kind) {
    let (engine, before) = match kind {
        Kind::Postgres => ("postgresql", TYPES),
        Kind::Mariadb => ("mariadb", "SET sql_mode = ''; SET time_zone = '+00:00';"),
        Kind::Mysql => ("mysql", "SET sql_mode = ''; SET time_zone = '+00:00';"),
    };
    let (dir, values) = (tempfile::tempdir().unwrap(), values(engine, &server.version()));
    let db = Db::new(server, kind, "engine_values", &format!("{before}{}", statements(&values))).await;
    read_as_the_vectors(&db.url(), &access(), &dir.path().join("manifest"), &values).await;
}

async fn on_a_server(kind: Kind) {
    let Some(server) = shared(kind) else { return };
    hold_on(&server, kind).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_reads_as_the_vectors_say() {
    on_a_server(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_reads_as_the_vectors_say() {
    on_a_server(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_reads_as_the_vectors_say() {
    on_a_server(Kind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_reads_as_the_vectors_say() {
    let (dir, values) = (tempfile::tempdir().unwrap(), values("sqlite", &[]));
    let file = dir.path().join("values.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(&statements(&values)).unwrap();
    let url = format!("sqlite:{}", file.display()).parse().unwrap();
    read_as_the_vectors(&url, &Access::default(), &dir.path().join("manifest"), &values).await;
}

/// The types that a cell of the page names, for `engine`: in backticks or as *a kind of type*.
fn named(cell: &str, engine: &str) -> Vec<String> {
    let mut names = Vec::new();
    for mark in ['`', '*'] {
        let parts: Vec<&str> = cell.split(mark).collect();
        for (at, name) in parts.iter().enumerate().filter(|(at, _)| at % 2 == 1) {
            let after = parts.get(at + 1).copied().unwrap_or_default();
            let other = (after.starts_with(" (MySQL)") && engine != "mysql") || (after.starts_with(" (MariaDB)") && engine != "mariadb");
            if !other && *name != "pg_type" && *name != "::text" && !name.starts_with(|c: char| c.is_ascii_digit()) {
                names.push((*name).to_owned());
            }
        }
    }
    names
}

/// A vector's type as the page has it: without length, sign and character set.
fn family(of: &str) -> String {
    match of {
        "mood" => "an enum".into(),
        "pair" => "a composite".into(),
        "int4range" => "a range".into(),
        "int4multirange" => "a multirange".into(),
        array if array.ends_with("[]") => "an array".into(),
        plain => {
            let plain = plain.split(" character set").next().unwrap().replace(" unsigned", "").replace(" null", "");
            let end = plain.find('(').unwrap_or(plain.len());
            plain[..end].to_owned()
        }
    }
}

#[test]
fn the_page_names_every_type_under_the_tag_of_its_vectors() {
    let section = PAGE.split("## Which type gets which tag").nth(1).unwrap();
    let rows: Vec<Vec<&str>> =
        section.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').map(str::trim).collect()).collect();
    assert!(rows.len() > 20);
    for (engine, column) in [("postgresql", 2), ("mysql", 3), ("mariadb", 3), ("sqlite", 4)] {
        // A tag in parentheses is that of special values of the types beside it.
        let page: BTreeSet<(u8, String)> = rows
            .iter()
            .flat_map(|cells| {
                let tags: Vec<u8> = cells[1].split('`').filter_map(|tag| u8::from_str_radix(tag, 16).ok()).collect();
                named(cells[column], engine).into_iter().flat_map(move |name| tags.clone().into_iter().map(move |tag| (tag, name.clone())))
            })
            .collect();
        let vectors: BTreeSet<(u8, String)> = values(engine, &[u32::MAX])
            .iter()
            .filter(|value| value["field"].get("null").is_none() && word(value, "type") != "small")
            .map(|value| {
                let mut row = Row::new(&RowKeys::new(&key()));
                row.begin(1);
                put(&value["field"], &mut row);
                (row.field(0)[0], family(word(value, "type")))
            })
            .collect();
        let unknown: Vec<_> = vectors.difference(&page).collect();
        assert!(unknown.is_empty(), "{engine}: vectors that the page does not have: {unknown:?}");
        let (had, told): (BTreeSet<_>, BTreeSet<_>) =
            (vectors.iter().map(|(_, name)| name).collect(), page.iter().map(|(_, name)| name).collect());
        assert_eq!(had, told, "{engine}: types of the page without a vector, or the other way");
    }
}
