//! Scans that are throttled, cut off, paced, projected, and gone on with: the same result, or none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::monitor::Silent;
use attestore::verify::items::capture::capture_with;
use attestore::verify::items::item::Attribute;
use attestore::verify::items::scan::{ScanOptions, Scanned, scan};
use attestore::verify::items::source::ItemSource;
use attestore::verify::leaf::Leaf;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use proptest::prelude::*;

use crate::table::{Captured, Table, item, key, options, places, verified};

async fn scanned(table: &Table, options: &ScanOptions) -> Scanned {
    let source: Arc<dyn ItemSource> = Arc::new(table.clone());
    scan(&source, options, &key(), None, &Silent).await.unwrap()
}

fn leaves(scanned: &Scanned) -> Vec<Leaf> {
    scanned.fingerprint.leaves().map(Result::unwrap).collect()
}

#[tokio::test]
async fn throttling_is_waited_out_and_each_item_read_once() {
    let table = Table::of((0..100).map(item));
    let calm = leaves(&scanned(&table, &options(4)).await);
    table.throttled.store(5, Ordering::SeqCst);
    let patient = ScanOptions { patience: Duration::from_secs(60), ..options(4) };
    table.read.store(0, Ordering::SeqCst);
    let throttled = scanned(&table, &patient).await;
    assert!(throttled.cut_short.is_none());
    assert_eq!((leaves(&throttled), table.read.load(Ordering::SeqCst)), (calm, 100));
    // Without patience it is an unread segment, and says why.
    table.throttled.store(1, Ordering::SeqCst);
    assert_eq!(scanned(&table, &options(4)).await.cut_short.unwrap().kind, FailureKind::Throttled);
}

#[tokio::test]
async fn a_scan_goes_on_where_an_earlier_one_broke_off() {
    let table = Table::of((0..400).map(item));
    let whole = leaves(&scanned(&table, &options(1)).await);
    let dir = tempfile::tempdir().unwrap();
    let kept = ScanOptions { state: Some(dir.path().join("state")), ..options(4) };
    let broken = Table { fails: Some(2), ..table.clone() };
    assert!(scanned(&broken, &kept).await.cut_short.is_some());
    // Half a page at the end of a segment, as a kill leaves it.
    let path = dir.path().join("state/segment-0002");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..], &bytes[..20]].concat()).unwrap();
    table.read.store(0, Ordering::SeqCst);
    let again = scanned(&table, &ScanOptions { segments: 9, ..kept.clone() }).await;
    assert_eq!(leaves(&again), whole);
    assert_eq!(table.read.load(Ordering::SeqCst), 100 - 7, "only what was not read");
    assert!(!dir.path().join("state").exists(), "a state that is not needed any more is gone");
}

#[tokio::test]
async fn a_state_is_of_one_table_and_tells_damage() {
    let table = Table::of((0..60).map(item));
    let dir = tempfile::tempdir().unwrap();
    let kept = ScanOptions { state: Some(dir.path().to_owned()), ..options(3) };
    let broken: Arc<dyn ItemSource> = Arc::new(Table { fails: Some(1), ..table.clone() });
    scan(&broken, &kept, &key(), None, &Silent).await.unwrap();
    let source: Arc<dyn ItemSource> = Arc::new(table);
    let other = ScanOptions { projection: Some(vec!["amount".into()]), ..kept.clone() };
    let failed = async |options: &ScanOptions| scan(&source, options, &key(), None, &Silent).await.err().unwrap().kind;
    assert_eq!(failed(&other).await, FailureKind::Invalid);
    let path = dir.path().join("segment-0000");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(failed(&kept).await, FailureKind::BadEvidence);
}

#[tokio::test]
async fn an_unreadable_item_stays_unreadable_when_a_scan_goes_on() {
    let mut table = Table::of((0..40).map(item));
    table.items[0].insert("amount".into(), Attribute::Number("1e999".into()));
    let dir = tempfile::tempdir().unwrap();
    let kept = ScanOptions { state: Some(dir.path().to_owned()), ..options(2) };
    scanned(&Table { fails: Some(1), ..table.clone() }, &kept).await;
    let again = scanned(&table, &kept).await;
    let names: Vec<&str> = again.unreadable.iter().map(|one| one.name.as_str()).collect();
    assert_eq!((names, again.fingerprint.rows()), (vec!["pk=user 0 sk=0"], 39));
}

#[tokio::test]
async fn a_projection_is_the_scope_of_its_manifest() {
    let table = Table::of((0..50).map(item));
    let dir = tempfile::tempdir().unwrap();
    let request = CaptureRequest::new(dir.path().join("m"), CaptureMode::Sealed);
    let only = ScanOptions { projection: Some(vec!["amount".into()]), ..options(2) };
    let header = capture_with(Arc::new(table.clone()), &request, &only, &key(), None, &Silent).await.unwrap();
    assert_eq!(header.position.unwrap()["projection"], serde_json::json!(["amount", "pk", "sk"]));
    let of = Captured { manifest: Manifest::open(&dir.path().join("m")).unwrap(), _dir: dir };
    let mut other = table.clone();
    other.items[3].insert("tags".into(), Attribute::Null);
    assert_eq!(verified(&other, &of, 3).await.0.outcome(0).0, Outcome::Pass, "outside of the manifest's scope");
    other.items[3].insert("amount".into(), Attribute::Null);
    let (result, findings) = verified(&other, &of, 3).await;
    assert_eq!(result.outcome(0).0, Outcome::Fail);
    assert_eq!(places(&findings), [(Class::Mismatch, "audit-logs pk=user 3 sk=3".to_owned())]);
}

#[tokio::test]
async fn a_limit_is_asked_for_and_capacity_is_added_up() {
    let table = Table::of((0..40).map(item));
    let paced = ScanOptions { max_rcu: Some(10_000.0), ..options(2) };
    let result = scanned(&table, &paced).await;
    assert_eq!((result.fingerprint.rows(), result.consumed_rcu), (40, 20.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The naive model: one segment, one page, the items as they lie.
    #[test]
    fn segments_pages_order_and_breaks_do_not_show(
        count in 0u32..120, segments in 1u32..9, page in 1usize..9, seed in any::<u64>(), broken in proptest::option::of(0u32..9),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut table = Table::of((0..count).map(item));
            table.page = 1000;
            let model = leaves(&scanned(&table, &options(1)).await);
            table.page = page;
            table.items.sort_by_key(|item| blake3::keyed_hash(&[seed as u8; 32], format!("{item:?}").as_bytes()).as_bytes()[0]);
            let dir = tempfile::tempdir().unwrap();
            let kept = ScanOptions { state: Some(dir.path().join("s")), ..options(segments) };
            if broken.is_some() {
                scanned(&Table { fails: broken, ..table.clone() }, &kept).await;
            }
            assert_eq!(leaves(&scanned(&table, &kept).await), model);
        });
    }
}
