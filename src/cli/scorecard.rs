//! The scorecard of a drill: a line a case for people, an object a case for machines. Pure; printing is the caller's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::cli::words::{self, plain, told_apart, wrapped};
use crate::drill::record::kind_of;
use crate::model::exit::ExitCode;
use crate::model::failure::FailureKind;
use crate::model::ids::{PointId, ResourceId};
use crate::testing_log::point_result::{Objective, PointResult};
use crate::testing_log::verify::pass::counts;

const HEAD: [&str; 8] = ["CASE", "RESOURCE", "POINT", "RESULT", "RESTORED", "VERIFIED", "RTO", "RPO"];
/// The columns whose cells may be shortened, the one that gives way first, with the least that is left of each.
const YIELDING: [(usize, usize); 2] = [(2, 12), (1, 10)];

/// The columns of a table that has what was read on the same line, and of one that has it on the next with the times of the phases.
const WIDE: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7];
const NARROW: &[usize] = &[0, 1, 2, 3, 6, 7];

/// The table in lines of at most `width` characters, its head first; under each case that is not a plain pass, the reasons.
///
/// Names are shortened in the middle as far as they can still be told apart; where that is not enough, what was read and found goes to a
/// line of its own.
pub fn lines(results: &[PointResult], width: usize) -> Vec<String> {
    let names = point_names(results);
    let mut rows: Vec<[String; 8]> = results.iter().zip(&names).map(|(result, name)| row(result, name.clone())).collect();
    let ends: Vec<(String, String)> = results.iter().map(|result| (read(result), findings(result))).collect();
    let read_width = ends.iter().map(|(read, _)| length(read)).chain([4]).max().unwrap_or(0);
    let end_width = read_width + 2 + ends.iter().map(|(_, found)| length(found)).chain([8]).max().unwrap_or(0);
    fit(&mut rows, WIDE, width.saturating_sub(end_width));
    let on_one_line = table_width(&rows, WIDE) + end_width <= width;
    let shown = if on_one_line { WIDE } else { NARROW };
    if !on_one_line {
        // On two lines the names have their room back, as far as there is some.
        rows = results.iter().zip(&names).map(|(result, name)| row(result, name.clone())).collect();
        fit(&mut rows, NARROW, width + 2);
    }
    let widths = widths(&rows);
    let line = |cells: [&str; 8], read: &str, found: &str| {
        let mut line = String::new();
        for at in shown {
            line += cells[*at];
            line.extend(std::iter::repeat_n(' ', widths[*at].saturating_sub(length(cells[*at])) + 2));
        }
        let gap = " ".repeat(read_width.saturating_sub(length(read)) + 2);
        if on_one_line { format!("{line}{read}{gap}{found}") } else { line.trim_end().to_owned() }
    };
    let mut lines = vec![line(HEAD, "READ", "FINDINGS")];
    for ((result, row), (read, found)) in results.iter().zip(&rows).zip(&ends) {
        lines.push(line(std::array::from_fn(|at| row[at].as_str()), read, found));
        if !on_one_line {
            let told = format!("restored {}, verified {}; read {read}; findings: {found}", row[4], row[5]);
            lines.extend(wrapped(&told, 6, width));
        }
        lines.extend(result.outcome_reasons.iter().flat_map(|reason| wrapped(&plain(reason), 4, width)));
        if result.teardown.leftover_count > 0 {
            lines.push(format!("    left behind: {}", result.teardown.leftover_count));
        }
    }
    lines
}

fn table_width(rows: &[[String; 8]], shown: &[usize]) -> usize {
    let widths = widths(rows);
    shown.iter().map(|at| widths[*at] + 2).sum()
}

/// Shortens names until the table is at most so wide, as far as they give way.
fn fit(rows: &mut [[String; 8]], shown: &[usize], width: usize) {
    for (column, least) in YIELDING {
        let over = table_width(rows, shown).saturating_sub(width);
        shorten(rows, column, least, over);
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn widths(rows: &[[String; 8]]) -> Vec<usize> {
    (0..HEAD.len()).map(|at| rows.iter().map(|row| length(&row[at])).chain([HEAD[at].len()]).max().unwrap_or(0)).collect()
}

/// Takes `over` characters out of a column, as far as its names can still be told apart.
fn shorten(rows: &mut [[String; 8]], column: usize, least: usize, over: usize) {
    if over == 0 {
        return;
    }
    let names: Vec<String> = rows.iter().map(|row| row[column].clone()).collect();
    let widest = names.iter().map(|name| length(name)).max().unwrap_or(0);
    for (row, name) in rows.iter_mut().zip(told_apart(&names, widest.saturating_sub(over).max(least))) {
        row[column] = name;
    }
}

/// What each point is called beside its resource: the end of its identity, as long as no two of a resource are called the same.
fn point_names(results: &[PointResult]) -> Vec<String> {
    let short: Vec<String> = results.iter().map(|result| point_name(&result.rp.id.0)).collect();
    let mut called: BTreeMap<(&ResourceId, &str), BTreeSet<&PointId>> = BTreeMap::new();
    for (name, result) in short.iter().zip(results) {
        called.entry((&result.resource, name)).or_default().insert(&result.rp.id);
    }
    let name = |(name, result): (&String, &PointResult)| {
        plain(if called[&(&result.resource, name.as_str())].len() > 1 { &result.rp.id.0 } else { name })
    };
    short.iter().zip(results).map(name).collect()
}

/// `ARN@TIME` is a name at a time, `file:RESOURCE/RELATIVE` what follows the resource, and of an ARN the last part.
fn point_name(id: &str) -> String {
    if let Some((_, relative)) = id.strip_prefix("file:").and_then(|rest| rest.split_once('/')) {
        return relative.to_owned();
    }
    let (of, at) = id.split_once('@').map_or((id, String::new()), |(of, at)| (of, format!("@{at}")));
    format!("{}{at}", of.rsplit(['/', ':']).next().unwrap_or(of))
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
        "sql_checks": result.sql_checks.iter().filter(|check| check.counts()).count(),
        "left_behind": result.teardown.leftover_count,
    });
    if let (Some(facts), Some(members)) = (&result.verify, object.as_object_mut()) {
        if let Some(shown) = restore.and_then(|restore| restore.second_shown) {
            members
                .insert("second".to_owned(), json!({"asked_at": result.rp.created_at, "newest_stamp": facts.newest_stamp, "shown": shown}));
        }
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

fn row(result: &PointResult, name: String) -> [String; 8] {
    let restore = result.restore.as_ref();
    let since = |at: Option<crate::model::clock::Timestamp>| match restore.zip(at) {
        Some((restore, at)) => span(u64::try_from(at.millis_since(restore.requested_at)).unwrap_or(0)),
        None => "–".to_owned(),
    };
    let case = result.case.0.rsplit('-').next().unwrap_or_default().to_owned();
    [
        case,
        plain(&result.resource.0),
        name,
        result.outcome.to_string(),
        since(restore.and_then(|restore| restore.available_at)),
        since(restore.and_then(|restore| restore.verified_at)),
        objective(&result.rto),
        objective(&result.rpo),
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
    let parts: Vec<String> = counts(facts)
        .map(|(name, counts)| {
            // What is gone may count as changed in between, and was not read for all that.
            let read = facts.read.get(name).copied().unwrap_or(counts.checked - counts.unreadable.min(counts.checked));
            words::read_of(read, counts.expected, name)
        })
        .collect();
    let checks = match result.sql_checks.iter().filter(|check| check.counts()).count() {
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
    let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_exact() {
        assert_eq!([span(0), span(9_950), span(61_000), span(3_660_000), span(90_000_000)], ["0.0s", "9.9s", "1m01s", "1h01m", "1d01h"]);
        assert_eq!([bytes(0), bytes(1023), bytes(1024), bytes(1 << 30)], ["0 B", "1023 B", "1.0 KiB", "1.0 GiB"]);
    }

    fn result(resource: &str, point: &str) -> PointResult {
        let objective = |ms| Objective::judged(Some(86_400), Some(ms), None, "x");
        serde_json::from_value(json!({
            "drill_id": "d20260131-020000-7f3a", "case": "d20260131-020000-7f3a-c01", "resource": resource, "application": "a", "class": "c",
            "rp": {"id": point, "kind": "s3", "from": "aws-backup", "created_at": "2026-01-31T02:00:00Z"},
            "rto": objective(8_100), "rpo": objective(3_600_000),
            "sql_checks": [], "teardown": {"resources": [], "leftover_count": 0}, "errors": [], "outcome": "fail",
            "outcome_reasons": ["objects: 1 mismatch, which is said at some length so that it has to be broken somewhere on a narrow terminal"],
        }))
        .unwrap()
    }

    #[test]
    fn the_table_fits_and_every_point_is_told_from_the_others() {
        let arn = |n: u32| format!("arn:aws:backup:eu-west-2:111122223333:recovery-point:{n:08x}-aaaa-bbbb-cccc-0123456789ab");
        let points = [
            arn(1),
            arn(2),
            "arn:aws:rds:eu-west-2:111122223333:db:crm@2026-01-31T02:00:00Z".to_owned(),
            "arn:aws:rds:eu-west-2:111122223333:db:crm@2026-01-31T03:00:00Z".to_owned(),
            "file:copies/daily/2026-01-30/of-the-directory-with-a-long-name.db".to_owned(),
            "file:copies/daily/2026-01-31/of-the-directory-with-a-long-name.db".to_owned(),
        ];
        let results: Vec<PointResult> = points.iter().map(|point| result("a-resource-of-some-length", point)).collect();
        for width in [80, 100, 120, 160, 240] {
            let lines = lines(&results, width);
            for line in &lines {
                assert!(line.chars().count() <= width, "{width}: {} in {line}", line.chars().count());
            }
            let of_points: Vec<&String> = lines.iter().filter(|line| line.starts_with("c01")).collect();
            let distinct: BTreeSet<&String> = of_points.iter().copied().collect();
            assert_eq!((of_points.len(), distinct.len()), (points.len(), points.len()), "{width}: {lines:#?}");
        }
        let wide = lines(&results, 240);
        assert!(wide[0].ends_with("FINDINGS") && wide.iter().any(|line| line.contains("crm@2026-01-31T02:00:00Z")), "{wide:#?}");
        assert!(lines(&results, 80).iter().any(|line| line.starts_with("      restored –, verified –; read nothing; findings: –")));
        // The same end in two vaults of one resource is no name.
        let twice = [result("a", "arn:aws:backup:eu-west-2:1:x/same"), result("a", "arn:aws:backup:eu-central-1:1:x/same")];
        assert!(lines(&twice, 200).iter().any(|line| line.contains("eu-central-1:1:x/same")));
        let apart = [result("a", "file:a/x.db"), result("b", "file:b/x.db")];
        assert!(lines(&apart, 200).iter().all(|line| !line.contains("file:")));
    }

    #[test]
    fn an_empty_drill_is_incomplete_and_a_case_never_makes_usage() {
        assert_eq!(exit_code(&[]), ExitCode::Incomplete);
        assert_eq!(of_kind(FailureKind::Invalid), ExitCode::Incomplete);
        assert_eq!(of_kind(FailureKind::BadEvidence), ExitCode::Findings);
    }
}
