//! The end of `attestore demo`: what the log says of each case against what was planted, the report, and where everything is.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::demo_progress::Progress;
use crate::model::check::CheckOutcome;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::ids::DrillId;
use crate::report::publish::{Published, Request, publish};
use crate::sandbox::demo::score::{Observed, Planted, Score, score};
use crate::signing::keys::VerifyingKey;
use crate::testing_log::entry::Body;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::run::verify;
use crate::testing_log::verify::verdict::VerifyOptions;

/// The demo's own drill: the first that was not given up. Whoever holds more drills in the folder does not change what the demo found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnDrill {
    /// The drill.
    pub drill: DrillId,
    /// Whether it is over.
    pub is_closed: bool,
}

/// The demo's own drill; nothing where none has committed its population.
pub fn own_drill(dir: &Path) -> Result<Option<OwnDrill>, Failure> {
    let mut own: Option<OwnDrill> = None;
    for entry in LogDir::open(&dir.join("log"))?.entries()? {
        match (entry?.body, &mut own) {
            (Body::PopulationCommitted(body), None) => own = Some(OwnDrill { drill: body.drill_id, is_closed: false }),
            (Body::DrillAborted(body), Some(known)) if body.drill_id == known.drill => own = None,
            (Body::DrillClosed(body), Some(known)) if body.drill_id == known.drill => known.is_closed = true,
            _ => {}
        }
    }
    Ok(own)
}

/// Tells how the demo ended; `shown` is the folder as the user wrote it.
pub async fn tell(dir: &Path, shown: &Path, progress: &Progress, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let planted: Vec<Planted> = std::fs::read(dir.join("planted.json"))
        .map_err(|error| Failure::io("cannot read planted.json", error))
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| Failure::invalid(format!("planted.json: {error}"))))?;
    let key = VerifyingKey::load_pem(&dir.join("log.pub.pem"))?;
    let verdict = verify(&dir.join("log"), &key, &VerifyOptions::default())?;
    for fault in &verdict.faults {
        console.say(format!("fault: {fault}"));
    }
    let own = own_drill(dir)?;
    let results: Vec<&PointResult> = verdict
        .entries
        .iter()
        .filter_map(|entry| match &entry.body {
            Body::PointResult(result) if own.as_ref().is_some_and(|own| own.drill == result.drill_id) => Some(result.as_ref()),
            _ => None,
        })
        .collect();
    let log = LogDir::open(&dir.join("log"))?;
    let observed = results.iter().map(|result| observe(result, &log)).collect::<Result<Vec<_>, _>>()?;
    let score = score(&planted, &observed, &|_| false);
    let left: u64 = results.iter().map(|result| result.teardown.leftover_count).sum();
    say_score(&score, &planted, left, console);

    let request = Request {
        log: dir.join("log"),
        key: dir.join("log.pub.pem"),
        out: dir.join("report.html"),
        checkpoint: None,
        as_of: None,
        drill: None,
    };
    if let Published::Refused(faults) = publish(&request)? {
        console.say(format!("no report was written: the log does not verify ({} faults)", faults.len()));
    }
    say_where(shown, progress, console);

    let mut exit = ExitCode::Proven;
    if !score.is_perfect() || score.found.len() != planted.len() || !verdict.faults.is_empty() {
        exit = exit.and(ExitCode::Findings);
    }
    if left > 0 {
        exit = exit.and(ExitCode::LeftBehind);
    }
    let mut more = Map::new();
    more.insert("planted".into(), json!(planted.len()));
    more.insert("found".into(), json!(score.found.len()));
    more.insert("unexpected".into(), json!(score.unexpected.len()));
    more.insert("cases".into(), json!(results.len()));
    more.insert("left_behind".into(), json!(left));
    let outcome = if exit == ExitCode::Proven { "pass" } else { "fail" };
    console.summary("demo", outcome, exit, more);
    Ok(exit)
}

fn say_score(score: &Score, planted: &[Planted], left: u64, console: &Console) {
    console.tell(format!("\nplanted {}, found {}, accused besides {}", planted.len(), score.found.len(), score.unexpected.len()));
    for name in &score.found {
        console.tell(format!("  found       {name}"));
    }
    for name in &score.missed {
        console.tell(format!("  MISSED      {name}"));
    }
    for name in &score.unexpected {
        console.tell(format!("  UNEXPECTED  {name}"));
    }
    console.tell(if left == 0 { "torn down: everything that was created is gone".to_owned() } else { format!("LEFT BEHIND: {left}") });
}

fn say_where(shown: &Path, progress: &Progress, console: &Console) {
    let at = |name: &str| shown.join(name).display().to_string();
    if progress.laid.as_ref().is_some_and(|laid| laid.databases.is_empty()) {
        console.say("\nneither PostgreSQL nor MariaDB is installed here: crm-transactions stayed untested, and the report says so");
    }
    console.tell(format!("\nreport   {}", at("report.html")));
    console.tell(format!("log      {}", at("log")));
    console.tell(format!("verify   attestore log verify {} --key {}", at("log"), at("log.pub.pem")));
    console.tell(format!("         or without attestore: the last section of {} has the commands", at("report.html")));
}

/// What the log and its evidence say of one case.
fn observe(result: &PointResult, log: &LogDir) -> Result<Observed, Failure> {
    let mut findings = Vec::new();
    if let Some(full) = result.verify.as_ref().and_then(|verify| verify.findings.full.as_ref()) {
        let bytes = log.evidence(full)?.ok_or_else(|| Failure::new(FailureKind::Absent, format!("evidence {full} is not in the log")))?;
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let value: Value = serde_json::from_slice(line).map_err(|error| Failure::invalid(format!("evidence {full}: {error}")))?;
            findings.push(finding_of(&value).ok_or_else(|| Failure::invalid(format!("evidence {full}: not a finding: {value}")))?);
        }
    }
    let failed = result.sql_checks.iter().filter(|check| check.counts() && check.result != CheckOutcome::Pass);
    let mut reasons = result.outcome_reasons.clone();
    reasons.extend(result.errors.iter().map(|error| error.message.clone()));
    Ok(Observed {
        point: result.rp.id.clone(),
        outcome: result.outcome,
        reasons,
        findings,
        failed_checks: failed.map(|check| check.id.clone()).collect(),
    })
}

/// A finding from its JSON line.
fn finding_of(value: &Value) -> Option<Finding> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let class: Class = serde_json::from_value(value["class"].clone()).ok()?;
    let kind: Kind = serde_json::from_value(value["kind"].clone()).ok()?;
    let place = text("key")
        .map(Place::Key)
        .or_else(|| text("row").map(Place::Row))
        .or_else(|| text("item").map(Place::Item))
        .or_else(|| text("bucket").map(Place::Bucket))?;
    let mut finding = Finding::new(class, kind, place);
    finding.version_id = text("version_id");
    finding.expected = text("expected");
    finding.actual = text("actual");
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_back_from_their_json_lines() {
        for place in [Place::Key("a\nb".into()), Place::Row("t id=1".into()), Place::Item("t #ff".into()), Place::Bucket("t 1/4".into())] {
            let mut finding = Finding::new(Class::SchemaChanged, Kind::Bucket, place);
            finding.version_id = Some("v".into());
            finding.actual = Some("x".into());
            assert_eq!(finding_of(&finding.to_json()), Some(finding));
        }
        assert_eq!(finding_of(&json!({"class": "mismatch", "kind": "object"})), None);
    }
}
