//! DynamoDB by the second: an export at T is the baseline of the restore to T, with writes before and after; a restore that ignores the time,
//! or answers for another table, never passes.

use attestore::model::outcome::Outcome;
use attestore::sandbox::control::faults::RestoreFault;
use attestore::testing_log::point_result::PointResult;
use aws_sdk_dynamodb::primitives::DateTime;
use aws_sdk_dynamodb::types::{
    AttributeValue, ExportFormat, ExportStatus, ExportType, IncrementalExportSpecification, PointInTimeRecoverySpecification,
};

use crate::aws::estate::{ACCOUNT, Laying, leftovers};
use crate::clients::{Clients, until};

/// The table's ARN.
pub fn arn() -> String {
    format!("arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/audit-logs")
}

/// Keeps the history of the table from now on.
pub async fn recoverable(clients: &Clients) {
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build().unwrap();
    clients.dynamodb.update_continuous_backups().table_name("audit-logs").point_in_time_recovery_specification(on).send().await.unwrap();
}

/// Exports the table as of `at` (seconds), or its changes from `from` to `at`; the source URL.
pub async fn exported(clients: &Clients, from: Option<i64>, at: i64) -> String {
    let ask = clients.dynamodb.export_table_to_point_in_time().table_arn(arn()).s3_bucket("exports").s3_prefix("of tables");
    let ask = ask.export_format(ExportFormat::DynamodbJson);
    let ask = match from {
        None => ask.export_time(DateTime::from_secs(at)),
        Some(from) => {
            let window = IncrementalExportSpecification::builder();
            let window = window.export_from_time(DateTime::from_secs(from)).export_to_time(DateTime::from_secs(at)).build();
            ask.export_type(ExportType::IncrementalExport).incremental_export_specification(window)
        }
    };
    let begun = ask.send().await.unwrap().export_description.unwrap().export_arn.unwrap();
    let ended = until("the export ends", async || {
        let said = clients.dynamodb.describe_export().export_arn(&begun).send().await.unwrap().export_description.unwrap();
        (said.export_status == Some(ExportStatus::Completed)).then_some(said)
    })
    .await;
    let manifest = ended.export_manifest.unwrap();
    format!("dynamodb-export:s3://exports/{}", manifest.strip_suffix("/manifest-summary.json").unwrap())
}

/// Puts an item with this number.
pub async fn put(clients: &Clients, id: &str, n: u32) {
    let put = clients.dynamodb.put_item().table_name("audit-logs").item("id", AttributeValue::S(id.into()));
    put.item("n", AttributeValue::N(n.to_string())).send().await.unwrap();
}

/// Waits until the clock shows a second after the one it shows; gives that.
pub async fn next_second() -> i64 {
    let now = || chrono::Utc::now().timestamp();
    let before = now();
    until("the second is over", async || (now() > before).then(now)).await
}

/// A table with writes before and after a second, which it gives.
async fn table_with_a_past(clients: &Clients) -> i64 {
    clients.bucket("exports").await;
    clients.table("audit-logs", 30).await;
    recoverable(clients).await;
    put(clients, "i003", 333).await;
    put(clients, "before", 1).await;
    // The whole second lies after what was written.
    let at = next_second().await;
    next_second().await;
    put(clients, "i004", 444).await;
    put(clients, "after", 2).await;
    clients.dynamodb.delete_item().table_name("audit-logs").key("id", AttributeValue::S("i005".into())).send().await.unwrap();
    at
}

fn of_point<'a>(results: &'a [PointResult], point: &str) -> &'a PointResult {
    results.iter().find(|result| result.rp.id.0 == point).unwrap_or_else(|| panic!("{point} is not in {results:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_a_second_is_that_second_and_one_that_ignores_it_fails() {
    for ignores in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut laying = Laying::begin(folder.path()).await;
        let at = table_with_a_past(&laying.clients).await;
        let url = exported(&laying.clients, None, at).await;
        let header = laying.export(&url).await;
        assert_eq!(header.counts["items"], 31);
        let point = header.recovery_point_id.unwrap().0;
        assert!(point.starts_with(&format!("{}@", arn())), "{point}");
        laying.pitr();
        if ignores {
            laying.running.control().faults().on_restore(&arn(), RestoreFault::IgnoresTime).unwrap();
        }
        let estate = laying.end().await;
        let output = estate.run(&["drill"], None);
        let run = output.status.code();
        assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
        let results = estate.results();
        let result = of_point(&results, &point);
        let counts = result.verify.as_ref().unwrap().items.unwrap();
        if ignores {
            assert_eq!(result.outcome, Outcome::Fail, "{result:?}");
            assert_eq!((counts.mismatch, counts.missing, counts.extra, counts.matched), (1, 1, 1, 29), "{result:?}");
            assert_eq!(run, Some(1));
        } else {
            assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
            assert_eq!((counts.matched, counts.expected), (31, 31));
            assert_eq!(run, Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(result.restore.as_ref().unwrap().mechanism.contains("RestoreTableToPointInTime"));
        assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    }
}
