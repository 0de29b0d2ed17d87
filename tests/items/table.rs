//! Capture and comparison whatever the segments; nothing that was not read ever passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use attestore::model::capture::CaptureMode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding, Place};
use attestore::model::outcome::Outcome;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Silent};
use attestore::signing::hash_key::HashKey;
use attestore::verify::items::capture::capture_with;
use attestore::verify::items::compare::compare;
use attestore::verify::items::item::{Attribute, Item, KeySchema};
use attestore::verify::items::page::{Next, Page, Records};
use attestore::verify::items::scan::ScanOptions;
use attestore::verify::items::source::{ItemSource, Part};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use futures_util::stream::{self, BoxStream, StreamExt};

// ---- a table in memory ----

/// Items spread over segments by their position, in pages; positions are numbers of items.
#[derive(Clone)]
pub struct Table {
    /// Its items.
    pub items: Vec<Item>,
    /// Its key.
    pub schema: Vec<String>,
    /// Items a page.
    pub page: usize,
    /// This segment's second page fails, as often as it is asked for.
    pub fails: Option<u32>,
    /// So many requests are still throttled before they are answered.
    pub throttled: Arc<AtomicU32>,
    /// Streams that were begun.
    pub scans: Arc<AtomicU32>,
    /// Items that were handed out.
    pub read: Arc<AtomicU32>,
}

impl Table {
    /// A table of these items, keyed by `pk` and `sk`.
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        let items: Vec<Item> = items.into_iter().collect();
        let schema = vec!["pk".into(), "sk".into()];
        Self { items, schema, page: 7, fails: None, throttled: Arc::default(), scans: Arc::default(), read: Arc::default() }
    }

    fn one_page(&self, part: &Part, done: usize) -> Result<Page, Failure> {
        if self.throttled.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Failure::new(FailureKind::Throttled, "slow down"));
        }
        if self.fails == Some(part.segment) && done > 0 {
            return Err(Failure::new(FailureKind::Network, "the connection broke"));
        }
        let own = self.items.iter().enumerate().filter(|(at, _)| *at as u32 % part.total == part.segment).map(|(_, item)| item);
        let left: Vec<Item> = own.skip(done).cloned().collect();
        let limit = part.pacer.limit().map_or(self.page, |limit| self.page.min(limit as usize));
        let page: Vec<Item> = left.iter().take(limit).cloned().collect();
        self.read.fetch_add(page.len() as u32, Ordering::SeqCst);
        let next = if left.len() > limit { Next::After((done + limit).to_string()) } else { Next::End };
        let consumed_rcu = Some(page.len() as f64 * 0.5);
        Ok(Page { records: Records::Items(page), next, consumed_rcu })
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

    fn scan(&self, part: &Part) -> BoxStream<'static, Result<Page, Failure>> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        let start = part.after.as_ref().map_or(0, |after| after.parse::<usize>().unwrap());
        let (table, part) = (self.clone(), part.clone());
        stream::unfold(Some(start), move |at| {
            let page = at.map(|at| table.one_page(&part, at));
            async move {
                let page = page?;
                let next = match &page {
                    Ok(Page { next: Next::After(at), .. }) => Some(at.parse().unwrap()),
                    _ => None,
                };
                Some((page, next))
            }
        })
        .boxed()
    }
}

/// An item of two key attributes and two more.
pub fn item(n: u32) -> Item {
    BTreeMap::from([
        ("pk".to_owned(), Attribute::String(format!("user {}", n % 10))),
        ("sk".to_owned(), Attribute::Number(n.to_string())),
        ("amount".to_owned(), Attribute::Number(format!("{n}.50"))),
        ("tags".to_owned(), Attribute::StringSet(vec!["b".into(), "a".into(), format!("t{n}")])),
    ])
}

/// The hash key of every test.
pub fn key() -> HashKey {
    HashKey::from_bytes([7; 32])
}

/// Options that give up at once.
pub fn options(segments: u32) -> ScanOptions {
    ScanOptions { segments, patience: Duration::ZERO, ..ScanOptions::default() }
}

/// A manifest for as long as its directory lasts.
pub struct Captured {
    /// The manifest.
    pub manifest: Manifest,
    /// Removed with it.
    pub _dir: tempfile::TempDir,
}

/// Captures a table.
pub async fn captured(table: &Table, segments: u32, change: impl FnOnce(&mut CaptureRequest)) -> Captured {
    let dir = tempfile::tempdir().unwrap();
    let mut request = CaptureRequest::new(dir.path().join("m"), CaptureMode::Sealed);
    change(&mut request);
    capture_with(Arc::new(table.clone()), &request, &options(segments), &key(), None, &Silent).await.unwrap();
    Captured { manifest: Manifest::open(&dir.path().join("m")).unwrap(), _dir: dir }
}

/// Compares a table.
pub async fn verified(table: &Table, captured: &Captured, segments: u32) -> (Verification, Vec<Finding>) {
    let monitor = Collected::default();
    let result = compare(Arc::new(table.clone()), &captured.manifest, &key(), &options(segments), &monitor).await.unwrap();
    assert!(result.items.is_none_or(|counts| counts.adds_up()), "{:?}", result.items);
    (result, monitor.findings())
}

/// Class and place of each finding, sorted.
pub fn places(findings: &[Finding]) -> Vec<(Class, String)> {
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

#[tokio::test]
async fn types_that_changed_large_items_and_binary_keys_have_their_class() {
    let large = |fill: &str| {
        BTreeMap::from([
            ("pk".to_owned(), Attribute::Binary(vec![0, 255, 7])),
            ("sk".to_owned(), Attribute::Binary(Vec::new())),
            ("text".to_owned(), Attribute::String(fill.repeat(400 << 10))),
        ])
    };
    let mut table = Table::of((0..20).map(item));
    table.items.push(large("a"));
    let captured = captured(&table, 2, |_| {}).await;
    assert_eq!(verified(&table, &captured, 3).await.0.outcome(0).0, Outcome::Pass);
    let mut other = table.clone();
    // The same digits, as text instead of a number; and one letter of 400 KB.
    other.items[3].insert("amount".into(), Attribute::String("3.50".into()));
    *other.items.last_mut().unwrap() = large("a");
    let Some(Attribute::String(text)) = other.items.last_mut().unwrap().get_mut("text") else { panic!() };
    text.replace_range(200_000..200_001, "b");
    let (result, findings) = verified(&other, &captured, 3).await;
    assert_eq!((result.outcome(0).0, result.items.unwrap().mismatch), (Outcome::Fail, 2));
    let expected =
        [(Class::Mismatch, "audit-logs pk=0x00ff07 sk=0x".to_owned()), (Class::Mismatch, "audit-logs pk=user 3 sk=3".to_owned())];
    assert_eq!(places(&findings), expected);
}
