//! Runs checks against a database and says what their answers mean. Only `pass` passes: what could not be run is an error, what had
//! nothing to look at is vacuous.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::check::{CheckOutcome, CheckResult};
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::monitor::{Event, Monitor};
use crate::verify::sql::access::Access;
use crate::verify::sql::checks::canary::digest;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::header::{Check, Each};
use crate::verify::sql::checks::kind::CheckKind;
use crate::verify::sql::checks::names;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::session::{Answer, ForeignKey, Session, Trouble};
use crate::verify::sql::checks::threshold::{Decimal, stamp};

/// What stands in place of a value that the header's `show` does not name.
pub const REDACTED: &str = "(redacted)";

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
    for check in checks {
        if monitor.stop_requested() {
            monitor.event(Event::Finished { task: &task });
            return Err(Failure::new(FailureKind::Interrupted, format!("{shown}: stopped before check {}, as asked", check.id)));
        }
        // The same check in two packs is one check.
        if results.iter().any(|result| result.id == check.id) {
            continue;
        }
        results.push(one(&mut session, check, demands).await);
        monitor.event(Event::Advanced { task: &task, by: 1, bytes: 0 });
    }
    monitor.event(Event::Finished { task: &task });
    session.close().await;
    Ok(results)
}

/// One line for people.
pub fn line(result: &CheckResult) -> String {
    let word = match result.result {
        CheckOutcome::Pass => "pass",
        CheckOutcome::Warn => "warn",
        CheckOutcome::Fail => "FAIL",
        CheckOutcome::Error => "error",
        CheckOutcome::Vacuous => "vacuous",
        CheckOutcome::Untested => "untested",
    };
    let value = result.actual.as_ref().map(|actual| format!("  {actual}")).unwrap_or_default();
    let why = result.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
    format!("  {word:<9} {}{value}{why}", result.id)
}

async fn one(session: &mut Session, check: &Check, demands: &CheckDemands) -> CheckResult {
    let started = Instant::now();
    let engine = session.engine().clone();
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
        reason: None,
        rows: Vec::new(),
        duration_ms: 0,
    };
    let (outcome, reason) = match examine(session, check, demands, &mut result).await {
        Ok((outcome, reason)) => (outcome, reason),
        Err(trouble) if trouble.corrupt => (CheckOutcome::Fail, Some(format!("the engine reports corruption: {}", trouble.said))),
        Err(trouble) => (CheckOutcome::Error, Some(trouble.said)),
    };
    result.result = outcome;
    result.reason = reason;
    result.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    result
}

type Verdict = (CheckOutcome, Option<String>);

async fn examine(session: &mut Session, check: &Check, demands: &CheckDemands, result: &mut CheckResult) -> Result<Verdict, Trouble> {
    let mut empty = Vec::new();
    for table in &check.requires {
        match session.has_rows(names::table(&demands.names, table)).await? {
            None => return Err(trouble(format!("table {} is absent", names::table(&demands.names, table)))),
            Some(false) => empty.push(table.as_str()),
            Some(true) => {}
        }
    }
    for function in &check.requires_functions {
        if !session.has_function(function).await? {
            return Err(trouble(format!("function {function} is absent; its extension is not installed in this database")));
        }
    }
    let vacuous = (!empty.is_empty()).then(|| format!("empty: {}", empty.join(", ")));
    let schema = matches!(session.engine().name, "sqlite" | "dynamodb").then_some("main");
    let sql = names::mapped(check, &demands.names, schema, &|name| session.quoted(name)).map_err(trouble)?;
    let check = &Check { sql, ..check.clone() };
    let value = match check.kind {
        CheckKind::Violations => match violations(session, check, result).await? {
            Some(count) => Decimal::whole(count),
            None => return Ok((CheckOutcome::Vacuous, Some("nothing of the kind is there to look at".into()))),
        },
        CheckKind::Canary => return canary(session, check, demands, result).await,
        CheckKind::Scalar => match number(session, check, result).await? {
            Some(value) => value,
            None if vacuous.is_some() => return Ok((CheckOutcome::Vacuous, vacuous)),
            None => return Err(trouble("the value is NULL".into())),
        },
        CheckKind::BaselineScalar => return beside_baseline(session, check, demands, vacuous, result).await,
        CheckKind::Freshness => match scalar(session, check).await? {
            Some(text) => {
                let newest = stamp(&text).ok_or_else(|| trouble(format!("`{}` is no time", text.escape_default())))?;
                result.actual = Some(Timestamp::from_secs(newest).to_string());
                if let Some(until) = demands.written_until.filter(|until| check.bounded && newest > until.as_secs()) {
                    let after = newest - until.as_secs();
                    return Ok((CheckOutcome::Fail, Some(format!("written {after} s after {until}, the time that was restored to"))));
                }
                // What lies ahead is not old: its age is nothing.
                let reference = demands.reference.unwrap_or_else(Timestamp::now);
                Decimal::whole(u64::try_from(reference.as_secs().saturating_sub(newest)).unwrap_or(0))
            }
            None => return Ok((CheckOutcome::Vacuous, Some(vacuous.unwrap_or_else(|| "there is no stamp".into())))),
        },
    };
    judge(check, value, None, vacuous)
}

/// A number beside the manifest's.
async fn beside_baseline(
    session: &mut Session,
    check: &Check,
    demands: &CheckDemands,
    vacuous: Option<String>,
    result: &mut CheckResult,
) -> Result<Verdict, Trouble> {
    // The number of a table's rows is recorded under the name that the database has for it.
    let name = match check.baseline.strip_prefix("rows.") {
        Some(table) => format!("rows.{}", names::table(&demands.names, table)),
        None => check.baseline.clone(),
    };
    let Some(text) = demands.baselines.get(&name) else { return Ok(no_baseline(check)) };
    result.expected = Some(text.clone());
    let baseline = Decimal::parse(text).ok_or_else(|| trouble(format!("baseline {} is `{text}`, no number", check.baseline)))?;
    match number(session, check, result).await? {
        Some(value) => judge(check, value, Some(baseline), vacuous),
        None if vacuous.is_some() => Ok((CheckOutcome::Vacuous, vacuous)),
        None => Err(trouble("the value is NULL".into())),
    }
}

/// A planted value, byte for byte; only keyed digests of it leave this function.
async fn canary(session: &mut Session, check: &Check, demands: &CheckDemands, result: &mut CheckResult) -> Result<Verdict, Trouble> {
    let Some(expected) = demands.baselines.get(&check.baseline) else { return Ok(no_baseline(check)) };
    let Some(key) = &demands.hash_key else {
        return Ok((CheckOutcome::Untested, Some("no hash key: canaries are compared by keyed digest".into())));
    };
    result.expected = Some(expected.clone());
    let answer = session.run(&check.sql, check.timeout, 1, check.privileged).await?;
    let found = match (&answer.rows[..], answer.total) {
        ([row], 1) if row.len() == 1 => row[0].as_deref(),
        ([], 0) => None,
        _ => return Err(trouble(format!("expected one row with one value, found {} rows", answer.total))),
    };
    let Some(found) = found else { return Ok((CheckOutcome::Fail, Some("the canary did not come back".into()))) };
    let found = digest(key, found);
    let outcome =
        if found == *expected { (CheckOutcome::Pass, None) } else { (CheckOutcome::Fail, Some("not what was planted".to_owned())) };
    result.actual = Some(found);
    Ok(outcome)
}

fn no_baseline(check: &Check) -> Verdict {
    (CheckOutcome::Untested, Some(format!("no baseline {}: no manifest holds it", check.baseline)))
}

/// One number; none where the value is NULL.
async fn number(session: &mut Session, check: &Check, result: &mut CheckResult) -> Result<Option<Decimal>, Trouble> {
    let Some(text) = scalar(session, check).await? else { return Ok(None) };
    result.actual = Some(text.clone());
    let number = Decimal::parse(&text);
    number.map(Some).ok_or_else(|| trouble(format!("`{}` is no number that can be compared", text.escape_default())))
}

/// A failure stands even where a table is empty (a lost ledger is no excuse for its balances); a pass does not.
fn judge(check: &Check, value: Decimal, baseline: Option<Decimal>, vacuous: Option<String>) -> Result<Verdict, Trouble> {
    if check.error_if.is_met(value, baseline).map_err(trouble)? {
        return Ok((CheckOutcome::Fail, Some(format!("{} {}", check.kind.as_str(), check.error_if.text()))));
    }
    if let Some(reason) = vacuous {
        return Ok((CheckOutcome::Vacuous, Some(reason)));
    }
    match &check.warn_if {
        Some(warn) if warn.is_met(value, baseline).map_err(trouble)? => {
            Ok((CheckOutcome::Warn, Some(format!("{} {}", check.kind.as_str(), warn.text()))))
        }
        _ => Ok((CheckOutcome::Pass, None)),
    }
}

/// The number of offending rows, and the first of them into the result; none where an `each` has nothing to repeat for.
async fn violations(session: &mut Session, check: &Check, result: &mut CheckResult) -> Result<Option<u64>, Trouble> {
    let statements = match check.each {
        None => vec![check.sql.clone()],
        Some(Each::Table) => session.tables().await?.into_iter().map(|table| check.sql.replace("{table}", &table)).collect(),
        Some(Each::ForeignKey) => session.foreign_keys().await?.iter().map(|key| for_key(&check.sql, key)).collect(),
    };
    if statements.is_empty() {
        return Ok(None);
    }
    let mut total = 0;
    for statement in statements {
        // A table's check answers with lines of which some are good news: all of them are looked at.
        let is_table_check = check.sql.trim_start().get(..11).is_some_and(|start| start.eq_ignore_ascii_case("CHECK TABLE"));
        let keep = if is_table_check { usize::MAX } else { check.limit };
        let mut answer = session.run(&statement, check.timeout, keep, check.privileged).await?;
        if is_table_check {
            without_good_news(&mut answer);
        }
        total += answer.total;
        let room = check.limit.saturating_sub(result.rows.len());
        result.rows.extend(answer.rows.into_iter().take(room).map(|row| shown(&answer.columns, row, &check.show)));
    }
    result.actual = Some(total.to_string());
    Ok(Some(total))
}

/// `CHECK TABLE` answers `(Table, Op, Msg_type, Msg_text)`: a status of OK, or a note that an engine cannot be checked, is no violation.
fn without_good_news(answer: &mut Answer) {
    answer.rows.retain(|row| {
        let text = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        let good = (text(2) == "status" && matches!(text(3).as_str(), "OK" | "Table is already up to date")) || text(2) == "note";
        !good
    });
    answer.total = answer.rows.len() as u64;
}

fn for_key(sql: &str, key: &ForeignKey) -> String {
    let joined = |part: &dyn Fn(&(String, String)) -> String| key.columns.iter().map(part).collect::<Vec<_>>().join(" AND ");
    sql.replace("{child}", &key.child)
        .replace("{parent}", &key.parent)
        .replace("{on}", &joined(&|(child, parent)| format!("c.{child} = p.{parent}")))
        .replace("{child_not_null}", &joined(&|(child, _)| format!("c.{child} IS NOT NULL")))
        .replace("{parent_null}", &joined(&|(_, parent)| format!("p.{parent} IS NULL")))
        .replace("{name}", &format!("'{}'", key.name.replace('\'', "''")))
}

async fn scalar(session: &mut Session, check: &Check) -> Result<Option<String>, Trouble> {
    let answer = session.run(&check.sql, check.timeout, 1, check.privileged).await?;
    match (&answer.rows[..], answer.total) {
        ([row], 1) if !row.is_empty() => Ok(row[0].clone()),
        _ => Err(trouble(format!("expected one row with one value, found {} rows", answer.total))),
    }
}

fn shown(columns: &[String], row: Vec<Option<String>>, show: &[String]) -> Vec<(String, String)> {
    let value = |name: &str, value: Option<String>| {
        if show.iter().any(|shown| shown.eq_ignore_ascii_case(name)) { value.unwrap_or_else(|| "NULL".into()) } else { REDACTED.into() }
    };
    columns.iter().zip(row).map(|(name, cell)| (name.clone(), value(name, cell))).collect()
}

fn trouble(said: String) -> Trouble {
    Trouble { said, corrupt: false }
}
