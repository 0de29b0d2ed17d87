//! DynamoDB items: canonical form against a naive model and golden vectors; capture and comparison whatever the segments; nothing that
//! was not read ever passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use attestore::model::capture::CaptureMode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding, Place};
use attestore::model::outcome::Outcome;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Silent};
use attestore::signing::hash_key::HashKey;
use attestore::verify::items::canonical::{Number, encode_item};
use attestore::verify::items::capture::capture_with;
use attestore::verify::items::compare::compare;
use attestore::verify::items::scan::ScanOptions;
use attestore::verify::items::source::{Attribute, Item, ItemSource, KeySchema};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use futures_util::stream::{self, BoxStream, StreamExt};
use proptest::prelude::*;

// ---- a table in memory ----

/// Items spread over segments by their position, in pages.
#[derive(Clone)]
struct Table {
    items: Vec<Item>,
    schema: Vec<String>,
    page: usize,
    /// This segment's second page fails.
    fails: Option<u32>,
    scans: Arc<AtomicU32>,
}

impl Table {
    fn of(items: impl IntoIterator<Item = Item>) -> Self {
        let items: Vec<Item> = items.into_iter().collect();
        Self { items, schema: vec!["pk".into(), "sk".into()], page: 7, fails: None, scans: Arc::default() }
    }
}

#[async_trait]
impl ItemSource for Table {
    fn url(&self) -> String {
        "dynamodb:audit-logs".into()
    }

    async fn key_schema(&self) -> Result<KeySchema, Failure> {
        Ok(KeySchema(self.schema.clone()))
    }

    fn scan(&self, segment: u32, total: u32) -> BoxStream<'static, Result<Vec<Item>, Failure>> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        let own: Vec<Item> =
            self.items.iter().enumerate().filter(|(at, _)| *at as u32 % total == segment).map(|(_, item)| item.clone()).collect();
        let mut pages: Vec<Result<Vec<Item>, Failure>> = own.chunks(self.page).map(|page| Ok(page.to_vec())).collect();
        if self.fails == Some(segment) {
            pages.truncate(1);
            pages.push(Err(Failure::new(FailureKind::Network, "the connection broke")));
        }
        stream::iter(pages).boxed()
    }
}

fn item(n: u32) -> Item {
    BTreeMap::from([
        ("pk".to_owned(), Attribute::String(format!("user {}", n % 10))),
        ("sk".to_owned(), Attribute::Number(n.to_string())),
        ("amount".to_owned(), Attribute::Number(format!("{n}.50"))),
        ("tags".to_owned(), Attribute::StringSet(vec!["b".into(), "a".into(), format!("t{n}")])),
    ])
}

fn key() -> HashKey {
    HashKey::from_bytes([7; 32])
}

fn options(segments: u32) -> ScanOptions {
    ScanOptions { segments, ..ScanOptions::default() }
}

struct Captured {
    manifest: Manifest,
    _dir: tempfile::TempDir,
}

async fn captured(table: &Table, segments: u32, change: impl FnOnce(&mut CaptureRequest)) -> Captured {
    let dir = tempfile::tempdir().unwrap();
    let mut request = CaptureRequest::new(dir.path().join("m"), CaptureMode::Sealed);
    change(&mut request);
    capture_with(Arc::new(table.clone()), &request, &options(segments), &key(), None, &Silent).await.unwrap();
    Captured { manifest: Manifest::open(&dir.path().join("m")).unwrap(), _dir: dir }
}

async fn verified(table: &Table, captured: &Captured, segments: u32) -> (Verification, Vec<Finding>) {
    let monitor = Collected::default();
    let result = compare(Arc::new(table.clone()), &captured.manifest, &key(), &options(segments), &monitor).await.unwrap();
    assert!(result.items.is_none_or(|counts| counts.adds_up()), "{:?}", result.items);
    (result, monitor.findings())
}

fn places(findings: &[Finding]) -> Vec<(Class, String)> {
    let mut places: Vec<_> = findings.iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect();
    places.sort();
    places
}

#[tokio::test]
async fn segments_pages_and_order_do_not_show() {
    let mut table = Table::of((0..500).map(item));
    let first = captured(&table, 1, |_| {}).await;
    table.items.reverse();
    table.page = 3;
    for segments in [2, 7, 100] {
        let again = captured(&table, segments, |_| {}).await;
        assert_eq!(again.manifest.header().root, first.manifest.header().root);
        assert_eq!(again.manifest.header().parts, first.manifest.header().parts);
        let (result, findings) = verified(&table, &first, segments).await;
        assert_eq!((result.outcome(0).0, findings.len(), result.items.unwrap().matched), (Outcome::Pass, 0, 500));
    }
    assert_eq!(first.manifest.header().counts["items"], 500);
    first.manifest.check_parts().unwrap();
}

#[tokio::test]
async fn the_same_values_written_otherwise_match() {
    let table = Table::of((0..20).map(item));
    let captured = captured(&table, 2, |_| {}).await;
    let mut other = table.clone();
    for item in &mut other.items {
        let Some(Attribute::Number(amount)) = item.get_mut("amount") else { panic!() };
        *amount = format!("{}E-2", amount.replace('.', ""));
        let Some(Attribute::StringSet(tags)) = item.get_mut("tags") else { panic!() };
        tags.reverse();
    }
    assert_eq!(verified(&other, &captured, 3).await.0.outcome(0).0, Outcome::Pass);
}

#[tokio::test]
async fn each_difference_is_found_and_named() {
    let table = Table::of((0..300).map(item));
    let captured = captured(&table, 4, |_| {}).await;
    let mut damaged = table.clone();
    damaged.items[42].insert("amount".into(), Attribute::Number("42.51".into()));
    damaged.items[43].insert("note".into(), Attribute::Null);
    damaged.items.remove(100);
    damaged.items.push(item(1000));
    let (result, findings) = verified(&damaged, &captured, 4).await;
    let found = places(&findings);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.contains(&(Class::Mismatch, "audit-logs pk=user 2 sk=42".into())), "{found:?}");
    assert!(found.contains(&(Class::Mismatch, "audit-logs pk=user 3 sk=43".into())), "{found:?}");
    assert!(found.contains(&(Class::Extra, "audit-logs pk=user 0 sk=1000".into())), "{found:?}");
    let missing = found.iter().find(|(class, _)| *class == Class::Missing).unwrap();
    assert!(missing.1.starts_with("audit-logs #") && missing.1.len() == "audit-logs #".len() + 16, "{missing:?}");
    let counts = result.items.unwrap();
    assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.extra, counts.expected), (297, 2, 1, 1, 300));
    assert_eq!(result.outcome(0).0, Outcome::Fail);
    assert!(findings.iter().all(|finding| matches!(finding.place, Place::Item(_))));
}

#[tokio::test]
async fn without_a_sidecar_the_bucket_is_named() {
    let table = Table::of((0..50).map(item));
    let captured = captured(&table, 4, |request| request.sidecar_max_rows = 10).await;
    assert!(!captured.manifest.has_sidecar());
    assert_eq!(verified(&table, &captured, 2).await.0.outcome(0).0, Outcome::Pass);
    let mut damaged = table.clone();
    damaged.items.remove(1);
    let (result, findings) = verified(&damaged, &captured, 2).await;
    assert_eq!(result.outcome(0).0, Outcome::Fail);
    assert_eq!(places(&findings), [(Class::Mismatch, "audit-logs 0/1".to_owned())]);
}

#[tokio::test]
async fn an_unread_segment_is_never_a_pass_and_accuses_nobody() {
    let table = Table::of((0..200).map(item));
    let with_names = captured(&table, 4, |_| {}).await;
    let without_names = captured(&table, 4, |request| request.sidecar_max_rows = 0).await;
    let broken = Table { fails: Some(2), ..table.clone() };
    for captured in [&with_names, &without_names] {
        let (result, findings) = verified(&broken, captured, 4).await;
        assert_eq!(result.cut_short.as_ref().unwrap().kind, FailureKind::Network);
        assert_eq!((result.outcome(0).0, result.coverage_ppm(), findings.len()), (Outcome::Inconclusive, 0, 0));
    }
    let mut damaged = broken.clone();
    damaged.items[0].insert("amount".into(), Attribute::Null);
    let (result, findings) = verified(&damaged, &with_names, 4).await;
    assert_eq!(result.outcome(0).0, Outcome::Fail, "what was read and differs is told all the same");
    assert_eq!(places(&findings), [(Class::Mismatch, "audit-logs pk=user 0 sk=0".to_owned())]);
    let dir = tempfile::tempdir().unwrap();
    let request = CaptureRequest::new(dir.path().join("m"), CaptureMode::Sealed);
    let failure = capture_with(Arc::new(broken), &request, &options(4), &key(), None, &Silent).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing half-made is left");
}

#[tokio::test]
async fn an_item_without_canonical_form_is_unreadable_not_missing() {
    let table = Table::of((0..30).map(item));
    let captured = captured(&table, 2, |_| {}).await;
    let mut strange = table.clone();
    strange.items[5].insert("amount".into(), Attribute::Number("1".repeat(39)));
    strange.items.remove(20);
    let (result, findings) = verified(&strange, &captured, 2).await;
    let counts = result.items.unwrap();
    assert_eq!((counts.matched, counts.unreadable, counts.missing, counts.expected), (28, 1, 1, 30));
    assert!(places(&findings).contains(&(Class::Unreadable, "audit-logs pk=user 5 sk=5".into())));
    assert_eq!(findings.len(), 2);
}

#[tokio::test]
async fn empty_tables_prove_nothing_and_a_key_twice_is_a_failure() {
    let empty = Table::of([]);
    let captured_empty = captured(&empty, 3, |_| {}).await;
    assert_eq!(verified(&empty, &captured_empty, 3).await.0.outcome(0).0, Outcome::Inconclusive);
    let one = Table::of([item(1)]);
    assert_eq!(verified(&one, &captured_empty, 3).await.0.outcome(0).0, Outcome::Fail);
    let lost = captured(&one, 3, |_| {}).await;
    assert_eq!(verified(&empty, &lost, 3).await.0.outcome(0).0, Outcome::Fail);
    let twice = Table::of([item(1), item(2), item(1)]);
    let failure = compare(Arc::new(twice), &lost.manifest, &key(), &options(2), &Silent).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Remote);
}

#[tokio::test]
async fn another_primary_key_is_told_as_such() {
    let table = Table::of((0..30).map(item));
    let captured = captured(&table, 2, |_| {}).await;
    let rekeyed = Table { schema: vec!["sk".into()], ..table };
    let (result, findings) = verified(&rekeyed, &captured, 2).await;
    assert_eq!(places(&findings), [(Class::SchemaChanged, "audit-logs".to_owned())]);
    assert_eq!(result.outcome(0).0, Outcome::Fail);
}

#[tokio::test]
async fn another_hash_key_is_exit_2_and_never_a_mismatch() {
    let table = Table::of((0..5).map(item));
    let captured = captured(&table, 2, |_| {}).await;
    let monitor = Collected::default();
    let other = HashKey::from_bytes([8; 32]);
    let failure = compare(Arc::new(table.clone()), &captured.manifest, &other, &options(2), &monitor).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(monitor.findings().is_empty());
    assert_eq!(table.scans.load(Ordering::SeqCst), 2, "only the capture has read the table");
}

#[tokio::test]
async fn names_are_looked_up_only_where_something_differs() {
    let table = Table::of((0..30).map(item));
    let captured = captured(&table, 2, |_| {}).await;
    let before = table.scans.load(Ordering::SeqCst);
    verified(&table, &captured, 2).await;
    assert_eq!(table.scans.load(Ordering::SeqCst) - before, 2);
}

// ---- canonical form ----

/// A naive normal form of a decimal number by string surgery: sign, digits without zeros at either end, power of ten of the last digit.
fn naive(text: &str) -> (bool, String, i64) {
    let lower = text.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').map_or((lower.as_str(), 0), |(m, e)| (m, e.parse::<i64>().unwrap()));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['+', '-']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut power = exponent - fraction.len() as i64;
    while digits.ends_with('0') {
        digits.pop();
        power += 1;
    }
    let digits = digits.trim_start_matches('0').to_owned();
    if digits.is_empty() { (false, digits, 0) } else { (negative, digits, power) }
}

fn number_text() -> impl Strategy<Value = String> {
    "[+-]?(0{0,3}[0-9]{1,8}(\\.[0-9]{0,8})?|\\.[0-9]{1,8})([eE][+-]?[0-9]{1,2})?"
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let leaf = prop_oneof![
        "[a-c]{0,3}".prop_map(Attribute::String),
        number_text().prop_map(Attribute::Number),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Attribute::Binary),
        any::<bool>().prop_map(Attribute::Bool),
        Just(Attribute::Null),
        proptest::collection::btree_set("[a-c]{0,2}", 0..3).prop_map(|set| Attribute::StringSet(set.into_iter().collect())),
        proptest::collection::vec(number_text(), 0..3).prop_map(Attribute::NumberSet),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2), 0..3).prop_map(Attribute::BinarySet),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Attribute::List),
            proptest::collection::btree_map("[a-c]{0,2}", inner, 0..3).prop_map(Attribute::Map),
        ]
    })
}

/// The value with everything that DynamoDB calls equal made the same, for comparison by `==`.
fn normal(value: &Attribute) -> Attribute {
    let number = |text: &String| format!("{:?}", naive(text));
    match value {
        Attribute::Number(text) => Attribute::Number(number(text)),
        Attribute::NumberSet(set) => {
            let mut set: Vec<String> = set.iter().map(number).collect();
            set.sort();
            Attribute::NumberSet(set)
        }
        Attribute::StringSet(set) => {
            let mut set = set.clone();
            set.sort();
            Attribute::StringSet(set)
        }
        Attribute::BinarySet(set) => {
            let mut set = set.clone();
            set.sort();
            Attribute::BinarySet(set)
        }
        Attribute::List(list) => Attribute::List(list.iter().map(normal).collect()),
        Attribute::Map(map) => Attribute::Map(map.iter().map(|(name, value)| (name.clone(), normal(value))).collect()),
        other => other.clone(),
    }
}

fn encoded(value: &Attribute) -> Vec<u8> {
    let mut out = Vec::new();
    encode_item(&BTreeMap::from([("a".to_owned(), value.clone())]), &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn numbers_are_equal_exactly_where_the_naive_model_says_so(one in number_text(), other in number_text()) {
        let same = naive(&one) == naive(&other);
        prop_assert_eq!(encoded(&Attribute::Number(one.clone())) == encoded(&Attribute::Number(other)), same);
        let shifted = format!("{}0", if one.contains(['e', 'E']) { one.clone() } else { format!("{one}e") });
        if !one.contains(['e', 'E']) {
            prop_assert_eq!(encoded(&Attribute::Number(one)), encoded(&Attribute::Number(shifted)));
        }
    }

    #[test]
    fn encodings_are_equal_exactly_where_the_values_are(one in attribute(), other in attribute()) {
        prop_assert_eq!(encoded(&one) == encoded(&other), normal(&one) == normal(&other), "{:?} {:?}", one, other);
    }

    #[test]
    fn arbitrary_text_is_a_number_or_an_error(text in ".{0,60}") {
        let _ = Number::parse(&text);
    }
}

/// The vectors of `v1-draft`: what any other implementation has to give too.
#[test]
fn golden_vectors_hold() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors/items-v1-draft.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 12);
    for vector in vectors {
        let item: Item = vector["item"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), from_json(value))).collect();
        let mut out = Vec::new();
        encode_item(&item, &mut out).unwrap();
        assert_eq!(hex::encode(out), vector["encoding"].as_str().unwrap(), "{}", vector["name"]);
    }
}

/// DynamoDB JSON.
fn from_json(value: &serde_json::Value) -> Attribute {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let bytes = |value: &serde_json::Value| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
    };
    let texts = || value.as_array().unwrap().iter().map(text).collect();
    match kind.as_str() {
        "S" => Attribute::String(text(value)),
        "N" => Attribute::Number(text(value)),
        "B" => Attribute::Binary(bytes(value)),
        "BOOL" => Attribute::Bool(value.as_bool().unwrap()),
        "NULL" => Attribute::Null,
        "SS" => Attribute::StringSet(texts()),
        "NS" => Attribute::NumberSet(texts()),
        "BS" => Attribute::BinarySet(value.as_array().unwrap().iter().map(bytes).collect()),
        "L" => Attribute::List(value.as_array().unwrap().iter().map(from_json).collect()),
        "M" => Attribute::Map(value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), from_json(value))).collect()),
        other => panic!("unknown type {other}"),
    }
}
