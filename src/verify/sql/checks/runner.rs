//! Runs checks against a database and says what their answers mean. Only `pass` passes: what could not be run is an error, what had
//! nothing to look at is vacuous.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::check::{CheckOutcome, CheckResult};
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::monitor::{Event, Monitor};
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::examine::Examination;
use crate::verify::sql::checks::header::Check;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::session::Session;
use crate::verify::sql::connect::access::Access;

/// Runs every check of `packs` that names the engine; `baselines` are those of the manifest (`rows.TABLE`, or a check's id). Ages are
/// taken against now.
pub async fn run(
    url: &SourceUrl,
    access: &Access,
    packs: &[Pack],
    baselines: &BTreeMap<String, String>,
    monitor: &dyn Monitor,
) -> Result<Vec<CheckResult>, Failure> {
    let demands = CheckDemands { baselines: baselines.clone(), ..CheckDemands::default() };
    run_with(url, access, packs, &demands, monitor).await
}

/// As [`run`], with everything that checks can be held against.
pub async fn run_with(
    url: &SourceUrl,
    access: &Access,
    packs: &[Pack],
    demands: &CheckDemands,
    monitor: &dyn Monitor,
) -> Result<Vec<CheckResult>, Failure> {
    run_in(Session::open(url, access).await?, &url.to_string(), packs, demands, monitor).await
}

/// As [`run_with`], in a session of the caller's; `shown` names what is checked.
pub async fn run_in(
    mut session: Session,
    shown: &str,
    packs: &[Pack],
    demands: &CheckDemands,
    monitor: &dyn Monitor,
) -> Result<Vec<CheckResult>, Failure> {
    let engine = session.engine().name;
    let checks: Vec<&Check> =
        packs.iter().flat_map(|pack| &pack.checks).filter(|check| check.engines.iter().any(|name| name == engine)).collect();
    let task = format!("checking {shown}");
    monitor.event(Event::Started { task: &task, unit: "checks", total: Some(checks.len() as u64) });
    let mut results: Vec<CheckResult> = Vec::new();
    let mut examination = Examination::new(&mut session, demands);
    for check in checks {
        if monitor.stop_requested() {
            monitor.event(Event::Finished { task: &task });
            return Err(Failure::new(FailureKind::Interrupted, format!("{shown}: stopped before check {}, as asked", check.id)));
        }
        // The same check in two packs is one check.
        if results.iter().any(|result| result.id == check.id) {
            continue;
        }
        results.push(one(&mut examination, check).await);
        monitor.event(Event::Advanced { task: &task, by: 1, bytes: 0 });
    }
    monitor.event(Event::Finished { task: &task });
    session.close().await;
    Ok(results)
}

/// One line for people.
pub fn line(result: &CheckResult) -> String {
    let word = match result.result {
        CheckOutcome::Untested if result.not_applicable => "n/a",
        CheckOutcome::Pass => "pass",
        CheckOutcome::Warn => "warn",
        CheckOutcome::Fail => "FAIL",
        CheckOutcome::Error => "error",
        CheckOutcome::Vacuous => "vacuous",
        CheckOutcome::Untested => "untested",
    };
    // What could not be run has found nothing, and not 0.
    let value = result.actual.as_ref().filter(|_| result.result != CheckOutcome::Error);
    let value = value.map(|actual| format!("  {actual}")).unwrap_or_default();
    let why = result.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
    format!("  {word:<9} {}{value}{why}", result.id)
}

async fn one(examination: &mut Examination<'_>, check: &Check) -> CheckResult {
    let started = Instant::now();
    let engine = examination.engine().clone();
    let mut result = CheckResult {
        id: check.id.clone(),
        sql_digest: check.digest,
        engine: engine.name.to_owned(),
        engine_version: engine.version,
        severity: check.severity,
        kind: check.kind.as_str().to_owned(),
        op: check.error_if.text().to_owned(),
        expected: None,
        actual: None,
        result: CheckOutcome::Untested,
        not_applicable: false,
        denied: false,
        measured: BTreeMap::new(),
        reason: None,
        rows: Vec::new(),
        duration_ms: 0,
    };
    let (outcome, reason) = match examination.run(check, &mut result).await {
        Ok((outcome, reason)) => (outcome, reason),
        Err(trouble) if trouble.corrupt => (CheckOutcome::Fail, Some(format!("the engine reports corruption: {}", trouble.said))),
        Err(trouble) => {
            result.denied = trouble.kind == FailureKind::Denied;
            (CheckOutcome::Error, Some(if result.denied { format!("denied: {}", trouble.said) } else { trouble.said }))
        }
    };
    result.result = outcome;
    result.reason = reason;
    result.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    result
}
