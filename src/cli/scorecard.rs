//! The scorecard of a drill: a line a case for people, an object a case for machines. Pure; printing is the caller's.

use serde_json::{Value, json};

use crate::drill::record::kind_of;
use crate::model::exit::ExitCode;
use crate::model::failure::FailureKind;
use crate::testing_log::body::{Objective, PointResult};
use crate::testing_log::verify::pass::counts;

const HEAD: [&str; 9] = ["CASE", "RESOURCE", "POINT", "RESULT", "RESTORED", "VERIFIED", "RTO", "RPO", "READ"];

/// The table, its head first; under each case that is not a plain pass, the reasons.
pub fn lines(results: &[PointResult]) -> Vec<String> {
    let rows: Vec<[String; 9]> = results.iter().map(row).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([HEAD[at].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let pad = |cells: [&str; 9], last: &str| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            line += cell;
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        (line + last).trim_end().to_owned()
    };
    let mut lines = vec![pad(HEAD, "FINDINGS")];
    for (result, row) in results.iter().zip(&rows) {
        lines.push(pad(std::array::from_fn(|at| row[at].as_str()), &findings(result)));
        lines.extend(result.outcome_reasons.iter().map(|reason| format!("    {}", plain(reason))));
        if result.teardown.leftover_count > 0 {
            lines.push(format!("    left behind: {}", result.teardown.leftover_count));
        }
    }
    lines
}

/// One object a case.
pub fn object(result: &PointResult) -> Value {
    let restore = result.restore.as_ref();
    let since = |at: Option<crate::model::clock::Timestamp>| restore.zip(at).map(|(restore, at)| at.millis_since(restore.requested_at));
    let mut object = json!({
        "event": "case",
        "case": result.case,
        "resource": result.resource,
        "class": result.class,
        "point": result.rp.id,
        "outcome": result.outcome,
        "reasons": result.outcome_reasons,
        "restored_ms": since(restore.and_then(|restore| restore.available_at)),
        "verified_ms": since(restore.and_then(|restore| restore.verified_at)),
        "rto": result.rto,
        "rpo": result.rpo,
        "bytes_checked": result.verify.as_ref().map_or(0, |facts| facts.bytes_checked),
        "findings": result.verify.as_ref().map_or(0, |facts| facts.findings.total),
        "sql_checks": result.sql_checks.len(),
        "left_behind": result.teardown.leftover_count,
    });
    if let (Some(facts), Some(members)) = (&result.verify, object.as_object_mut()) {
        for (name, counts) in counts(facts) {
            members.insert(name.to_owned(), json!(counts));
        }
    }
    object
}

/// The exit code that the results together mean.
pub fn exit_code(results: &[PointResult]) -> ExitCode {
    let mut code = if results.is_empty() { ExitCode::Incomplete } else { ExitCode::Proven };
    for result in results {
        code = code.and(ExitCode::of_outcome(result.outcome));
        for kind in result.errors.iter().filter_map(kind_of) {
            code = code.and(of_kind(kind));
        }
        if result.teardown.leftover_count > 0 {
            code = code.and(ExitCode::LeftBehind);
        }
    }
    code
}

/// A case's failure as part of the whole: what would be a wrong command alone is here an incomplete drill.
pub fn of_kind(kind: FailureKind) -> ExitCode {
    match kind.exit_code() {
        ExitCode::Usage => ExitCode::Incomplete,
        code => code,
    }
}

fn row(result: &PointResult) -> [String; 9] {
    let restore = result.restore.as_ref();
    let since = |at: Option<crate::model::clock::Timestamp>| match restore.zip(at) {
        Some((restore, at)) => span(u64::try_from(at.millis_since(restore.requested_at)).unwrap_or(0)),
        None => "–".to_owned(),
    };
    let case = result.case.0.rsplit('-').next().unwrap_or_default().to_owned();
    let point = result.rp.id.0.rsplit(['/', ':']).next().unwrap_or_default();
    let short: String = point.chars().take(24).collect();
    [
        case,
        result.resource.0.clone(),
        plain(&short),
        result.outcome.to_string(),
        since(restore.and_then(|restore| restore.available_at)),
        since(restore.and_then(|restore| restore.verified_at)),
        objective(&result.rto),
        objective(&result.rpo),
        read(result),
    ]
}

fn objective(objective: &Objective) -> String {
    let achieved = objective.achieved_ms.map_or_else(|| "–".to_owned(), span);
    match (objective.target_s, objective.met) {
        (None, _) => achieved,
        (Some(target), Some(true)) => format!("{achieved} ≤ {}", span(target * 1000)),
        (Some(target), Some(false)) => format!("{achieved} > {}!", span(target * 1000)),
        (Some(target), None) => format!("? of {}", span(target * 1000)),
    }
}

fn read(result: &PointResult) -> String {
    let Some(facts) = &result.verify else { return "nothing".to_owned() };
    let parts: Vec<String> = counts(facts).map(|(name, counts)| format!("{} of {} {name}", counts.checked, counts.expected)).collect();
    let checks = match result.sql_checks.len() {
        0 => String::new(),
        n => format!(", {n} checks"),
    };
    format!("{}, {}{checks}", parts.join(", "), bytes(facts.bytes_checked))
}

fn findings(result: &PointResult) -> String {
    let Some(facts) = &result.verify else { return "–".to_owned() };
    if facts.findings.total == 0 {
        return "none".to_owned();
    }
    let mut classes: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    // A table differs because rows of it do: they are counted once.
    for (_, counts) in counts(facts).filter(|(name, _)| *name != "tables" || facts.rows.is_none()) {
        for (class, n) in counts.by_class().into_iter().filter(|(class, n)| *n > 0 && *class != crate::model::finding::Class::Match) {
            *classes.entry(class.as_str()).or_default() += n;
        }
    }
    let named: Vec<String> = classes.into_iter().map(|(class, n)| format!("{n} {class}")).collect();
    format!("{}: {}", facts.findings.total, named.join(", "))
}

/// A length of time with the two units that matter.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Bytes with a binary unit.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(n) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

/// Without control characters: a name cannot draw on the terminal.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_exact() {
        assert_eq!([span(0), span(9_950), span(61_000), span(3_660_000), span(90_000_000)], ["0.0s", "9.9s", "1m01s", "1h01m", "1d01h"]);
        assert_eq!([bytes(0), bytes(1023), bytes(1024), bytes(1 << 30)], ["0 B", "1023 B", "1.0 KiB", "1.0 GiB"]);
        assert_eq!(plain("a\nb"), "a\\nb");
    }

    #[test]
    fn an_empty_drill_is_incomplete_and_a_case_never_makes_usage() {
        assert_eq!(exit_code(&[]), ExitCode::Incomplete);
        assert_eq!(of_kind(FailureKind::Invalid), ExitCode::Incomplete);
        assert_eq!(of_kind(FailureKind::BadEvidence), ExitCode::Findings);
    }
}
