//! The same facts the other way round: SQL checks and isolation probes by what was asked instead of by case, so that what held everywhere
//! takes one row and what did not hold stands out. Not here: any judgement; that is the entries' own.

use std::collections::BTreeMap;

use crate::model::check::{CheckOutcome, CheckResult};
use crate::report::model_case::{Case, CheckAnswer, CheckRow, ProbeAnswer, ProbeRow};

/// Every check that ran or should have, with the cases where it passed and the answers where it did not; those with such answers first.
pub fn checks(cases: &[&Case]) -> Vec<CheckRow> {
    let mut rows: BTreeMap<(String, String), CheckRow> = BTreeMap::new();
    for case in cases {
        for check in case.result.iter().flat_map(|result| &result.sql_checks) {
            // The same id can be one check for each engine, and its wording is the file's at the time.
            let key = (check.id.clone(), format!("{} {} {}", check.kind, check.op, check.sql_digest));
            let row = rows.entry(key).or_insert_with(|| CheckRow {
                id: check.id.clone(),
                severity: check.severity,
                fails_when: fails_when(&check.kind, &check.op),
                engines: Vec::new(),
                passed: Vec::new(),
                not_applicable: Vec::new(),
                others: Vec::new(),
            });
            let engine = format!("{} {}", check.engine, check.engine_version);
            if !row.engines.contains(&engine) {
                row.engines.push(engine);
            }
            match check.result {
                _ if !check.counts() => row.not_applicable.push(case.short.clone()),
                CheckOutcome::Pass => row.passed.push(case.short.clone()),
                _ => row.others.push(answer(case, check)),
            }
        }
    }
    let mut rows: Vec<CheckRow> = rows.into_values().collect();
    rows.sort_by_key(|row| (row.others.is_empty(), row.severity));
    rows
}

fn answer(case: &Case, check: &CheckResult) -> CheckAnswer {
    CheckAnswer {
        case: case.short.clone(),
        resource: case.resource.clone(),
        result: check.result,
        expected: check.expected.clone(),
        actual: check.actual.clone(),
        reason: check.reason.clone(),
    }
}

/// The threshold in words, from a check's kind and operator.
pub fn fails_when(kind: &str, op: &str) -> String {
    match kind {
        "violations" => format!("rows in violation {op}"),
        "freshness" => format!("newest stamp older than {}", op.trim_start_matches('>').trim()),
        "scalar" | "baseline-scalar" => format!("value {op}"),
        _ => format!("{kind} {op}"),
    }
}

/// Every probe of the isolation guard, with the cases where it held and the answers where it did not; those with such answers first.
pub fn probes(cases: &[&Case]) -> Vec<ProbeRow> {
    let mut rows: Vec<ProbeRow> = Vec::new();
    for case in cases {
        for probe in case.result.iter().filter_map(|result| result.isolation.as_ref()).flat_map(|isolation| &isolation.probes) {
            let at = rows.iter().position(|row| row.name == probe.name).unwrap_or_else(|| {
                rows.push(ProbeRow { name: probe.name.clone(), held: Vec::new(), not_held: Vec::new() });
                rows.len() - 1
            });
            let row = &mut rows[at];
            if !probe.held {
                let (expected, found) = (probe.expected.clone(), probe.found.clone());
                row.not_held.push(ProbeAnswer { case: case.short.clone(), expected, found });
            } else if row.held.last() != Some(&case.short) {
                // A probe is looked at again once the data is there: one case, one mention.
                row.held.push(case.short.clone());
            }
        }
    }
    // A probe that held once and not another time did not hold.
    for row in &mut rows {
        let ProbeRow { held, not_held, .. } = row;
        held.retain(|case| not_held.iter().all(|answer| answer.case != *case));
    }
    rows.sort_by_key(|row| row.not_held.is_empty());
    rows
}

/// `c01 to c03, c07`: runs of numbered cases, drawn together.
pub fn runs(cases: &[String]) -> String {
    let number = |case: &str| case.strip_prefix('c').and_then(|digits| digits.parse::<u64>().ok());
    let mut parts: Vec<String> = Vec::new();
    let mut from = 0;
    while from < cases.len() {
        let mut to = from;
        while to + 1 < cases.len() && number(&cases[to]).is_some_and(|n| number(&cases[to + 1]) == n.checked_add(1)) {
            to += 1;
        }
        match to - from {
            0 => parts.push(cases[from].clone()),
            1 => parts.extend_from_slice(&cases[from..=to]),
            _ => parts.push(format!("{} to {}", cases[from], cases[to])),
        }
        from = to + 1;
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_cases_are_drawn_together_and_strange_names_stay() {
        let told = |cases: &[&str]| runs(&cases.iter().map(|case| (*case).to_owned()).collect::<Vec<_>>());
        assert_eq!(told(&[]), "");
        assert_eq!(told(&["c01", "c02", "c03", "c05", "c07", "c08"]), "c01 to c03, c05, c07, c08");
        assert_eq!(told(&["c09", "c10", "c11", "c11"]), "c09 to c11, c11");
        assert_eq!(told(&["x", "y", "c18446744073709551615", "c0"]), "x, y, c18446744073709551615, c0");
    }

    #[test]
    fn thresholds_in_words() {
        assert_eq!(fails_when("violations", "> 0"), "rows in violation > 0");
        assert_eq!(fails_when("baseline-scalar", "< baseline"), "value < baseline");
        assert_eq!(fails_when("freshness", "> 60d"), "newest stamp older than 60d");
        assert_eq!(fails_when("later", "= 1"), "later = 1");
    }
}
