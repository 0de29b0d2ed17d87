//! SQL over items: what a scan lays in SQLite, and the audit-log pack on good data and on each damage.

use std::collections::BTreeMap;
use std::sync::Arc;

use attestore::model::check::CheckOutcome;
use attestore::model::failure::FailureKind;
use attestore::monitor::Silent;
use attestore::verify::items::item::{Attribute, Item, KeySchema};
use attestore::verify::items::scan::{ItemTap, scan};
use attestore::verify::items::source::ItemSource;
use attestore::verify::sql::checks::demands::CheckDemands;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::items::{ItemsTable, MOST_BYTES};

use crate::table::{Table, key, options};

fn text(text: impl Into<String>) -> Attribute {
    Attribute::String(text.into())
}

/// Event `n` of 40: four actors, ten days.
fn event(n: u32) -> Item {
    let day = chrono::Utc::now().date_naive() - chrono::Duration::days(i64::from(9 - n / 4));
    BTreeMap::from([
        ("pk".to_owned(), text(format!("event {n}"))),
        ("sk".to_owned(), Attribute::Number(n.to_string())),
        ("who".to_owned(), text(format!("actor {}", n % 4))),
        ("action".to_owned(), text("read")),
        ("at".to_owned(), text(format!("{day}T00:00:{:02}Z", n % 4))),
        ("seq".to_owned(), Attribute::Number((9_007_199_254_740_993 + u64::from(n / 4)).to_string())),
    ])
}

async fn checked(items: Vec<Item>) -> BTreeMap<String, CheckOutcome> {
    let packs = [Pack::load("audit-log-items").unwrap()];
    let demands = CheckDemands { names: BTreeMap::from([("items.actor".to_owned(), "who".to_owned())]), ..CheckDemands::default() };
    let mut table = ItemsTable::create(KeySchema(vec!["pk".into(), "sk".into()]), &packs, &demands.names, MOST_BYTES).await.unwrap();
    let source: Arc<dyn ItemSource> = Arc::new(Table::of(items));
    scan(&source, &options(3), &key(), Some(&mut table), &Silent).await.unwrap();
    table.check(&packs, &demands, &Silent).await.unwrap().into_iter().map(|result| (result.id, result.result)).collect()
}

#[tokio::test]
async fn the_audit_log_pack_passes_on_good_items_and_finds_each_damage() {
    let good: Vec<Item> = (0..40).map(event).collect();
    let all = checked(good.clone()).await;
    assert_eq!(all.len(), 5);
    assert!(all.values().all(|outcome| *outcome == CheckOutcome::Pass), "{all:?}");
    let damages: Vec<(&str, &str, Vec<Item>)> = vec![
        ("a required attribute is gone", "audit-items.complete-events", spoilt(&good, |item| drop(item.remove("action")))),
        (
            "an attribute has another type",
            "audit-items.complete-events",
            spoilt(&good, |item| drop(item.insert("at".into(), Attribute::Null))),
        ),
        (
            "an event is missing",
            "audit-items.in-order",
            good.iter().filter(|item| item["sk"] != Attribute::Number("20".into())).cloned().collect(),
        ),
        (
            "a number that no float tells from its neighbour",
            "audit-items.in-order",
            spoilt(&good, |item| drop(item.insert("seq".into(), Attribute::Number("9007199254740997".into())))),
        ),
        (
            "an edit after its day",
            "audit-items.no-late-edits",
            spoilt(&good, |item| drop(item.insert("updated_at".into(), text("2999-01-01T00:00:00Z")))),
        ),
        ("a day without events", "audit-items.continuous-days", [&good[..20], &good[24..]].concat()),
        ("nothing new", "audit-items.freshness", good[..24].to_vec()),
    ];
    for (what, id, items) in damages {
        let found = checked(items).await;
        assert_eq!(found[id], CheckOutcome::Fail, "{what}: {found:?}");
    }
    assert!(checked(Vec::new()).await.values().all(|outcome| *outcome == CheckOutcome::Vacuous));
}

fn spoilt(good: &[Item], spoil: impl Fn(&mut Item)) -> Vec<Item> {
    let mut items = good.to_vec();
    spoil(&mut items[20]);
    items
}

#[tokio::test]
async fn a_table_of_items_is_bounded() {
    let packs = [Pack::load("audit-log-items").unwrap()];
    let mut table = ItemsTable::create(KeySchema(vec!["pk".into()]), &packs, &BTreeMap::new(), 1 << 20).await.unwrap();
    let large = BTreeMap::from([("pk".to_owned(), text("x".repeat(300_000)))]);
    let failure = table.take(&vec![large; 9]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Disk, "{failure}");
}
