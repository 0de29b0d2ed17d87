//! `attestore verify SOURCE --against REPLICA`: a replica, version by version.

use std::sync::Arc;

use serde_json::{Map, json};

use crate::aws::s3::S3Source;
use crate::aws::session::Session;
use crate::cli::console::Console;
use crate::cli::source::Means;
use crate::cli::verify_words::{evidence_lines, evidence_summary};
use crate::cli::words::bytes_text;
use crate::model::clock::Timestamp;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::outcome::Outcome;
use crate::model::source_url::{SourceUrl, View};
use crate::model::verification::Verification;
use crate::monitor::Monitor;
use crate::verify::objects::replica::{self, Lag, ReplicaOptions};

/// Compares `against` with `url`.
pub async fn run(
    url: &SourceUrl,
    against: &SourceUrl,
    region: Option<&str>,
    means: &Means,
    options: &ReplicaOptions,
    console: &Arc<Console>,
) -> anyhow::Result<ExitCode> {
    if means.keys.is_some() {
        return Err(Failure::invalid("a replica is compared listing by listing: leave --keys-from out").into());
    }
    if means.view.is_some_and(|view| view != View::Versions) {
        return Err(Failure::invalid("a replica is compared version by version: leave --view out").into());
    }
    let session = Session::open(&means.session).await?;
    let source = open(url, &session, means).await?;
    let away = region.map_or_else(|| session.clone(), |region| session.in_region(region));
    let replica = open(against, &away, means).await?;
    let monitor: &dyn Monitor = console.as_ref();
    let (result, lag) = replica::compare(&source, &replica, options, monitor).await?;
    Ok(conclude(url, against, &result, &lag, console))
}

async fn open(url: &SourceUrl, session: &Session, means: &Means) -> Result<S3Source, Failure> {
    let SourceUrl::S3 { bucket, prefix } = url else {
        return Err(Failure::invalid(format!("{url}: a replica and its source are buckets")).hint("name both as s3://BUCKET[/PREFIX]"));
    };
    let source = S3Source::open(session, bucket, prefix, Some(View::Versions)).await?;
    Ok(source.with_thaw(means.thaw.clone()).with_customer_keys(means.customer_keys.clone()))
}

fn conclude(url: &SourceUrl, against: &SourceUrl, result: &Verification, lag: &Lag, console: &Console) -> ExitCode {
    let (outcome, reasons) = result.outcome(0);
    let mut exit = ExitCode::of_outcome(outcome);
    if let Some(failure) = &result.cut_short {
        console.failure(failure);
        exit = exit.and(failure.kind.exit_code());
    }
    console.answer(scoreboard(url, against, result, lag, outcome, &reasons));
    let mut more = Map::new();
    more.insert("source".into(), json!(url.to_string()));
    more.insert("replica".into(), json!(against.to_string()));
    more.insert("mode".into(), json!(result.mode));
    more.insert("objects".into(), json!(result.objects));
    more.insert("lag".into(), json!(lag));
    evidence_summary(result, &mut more);
    more.insert("bytes_checked".into(), json!(result.bytes_checked));
    more.insert("reasons".into(), json!(reasons));
    console.summary("verify", outcome.as_str(), exit, more);
    exit
}

fn scoreboard(url: &SourceUrl, against: &SourceUrl, result: &Verification, lag: &Lag, outcome: Outcome, reasons: &[String]) -> String {
    let since = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
    let mut lines = vec![format!("source     {url}"), format!("replica    {against}")];
    if let Some(counts) = &result.objects {
        let mut line = format!("objects    {} expected, {} equal", counts.expected, counts.matched);
        for (class, n) in counts.by_class().into_iter().filter(|(class, n)| *n > 0 && class.as_str() != "match") {
            line += &format!(", {n} {class}");
        }
        lines.push(line);
    }
    lines.push(match lag.not_replicated {
        0 => format!("lag        none: the newest version of {} is there", since(lag.newest_replicated)),
        n => format!(
            "lag        {n} versions not replicated, the oldest of {}, the newest of {}",
            since(lag.oldest_not_replicated),
            since(lag.newest_not_replicated)
        ),
    });
    evidence_lines(result, &mut lines);
    lines.push(format!("read       {} from both in {:.1} s", bytes_text(result.bytes_checked), result.duration.as_secs_f64()));
    let because = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    lines.push(format!("result     {}{because}", outcome.as_str().to_uppercase()));
    lines.join("\n")
}
