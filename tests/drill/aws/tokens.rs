//! A drill that reads what it restored with tokens of IAM: both ways to an instance, the flag on the instance, and a user without the role.

use attestore::model::outcome::Outcome;

use crate::aws::estate::{Laying, leftovers};
use crate::clients::start;
use crate::engines::engine;

#[tokio::test(flavor = "multi_thread")]
async fn restored_instances_are_read_with_tokens() {
    if !engine(attestore::engines::installed::EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.database_with_tokens().await;
    let estate = laying.end().await;
    let output = estate.run(&["plan"], None);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("rds-db:connect"), "{said}");
    let output = estate.run(&["drill"], None);
    let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let mut results = estate.results();
    results.sort_by(|a, b| a.rp.id.cmp(&b.rp.id));
    let ids: Vec<&str> = results.iter().map(|result| result.rp.id.0.as_str()).collect();
    assert!(points.iter().all(|point| ids.contains(&point.as_str())), "{ids:?}");
    for result in &results {
        assert_eq!((result.outcome, result.verify.as_ref().unwrap().rows.unwrap().matched), (Outcome::Pass, 30), "{said}");
    }
    let mut everything = said + &String::from_utf8_lossy(&output.stdout);
    everything += &written_below(&estate.path("log"));
    assert!(!everything.contains("X-Amz-Signature"), "a token was written down");
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

/// Every file's text.
fn written_below(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => written_below(&path),
        false => String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
    };
    entries.map(text).collect()
}
