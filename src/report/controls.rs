//! The control matrix: versioned data under `reports/controls/`, matched against what one drill and its log really show.
//!
//! A control is listed only when everything that it needs is in the log. The wording is "supports": no log makes anyone compliant.

use serde::Deserialize;

use crate::model::check::CheckOutcome;
use crate::report::model::{Completeness, Control, DrillReport, DrillState, Framework, Standing};
use crate::report::model_case::Case;
use crate::report::words::{count_of, number};

/// The embedded files, in the order in which they are shown.
const FILES: &[&str] = &[
    include_str!("../../reports/controls/soc2.toml"),
    include_str!("../../reports/controls/iso27001.toml"),
    include_str!("../../reports/controls/nist80053.toml"),
    include_str!("../../reports/controls/cis.toml"),
    include_str!("../../reports/controls/hipaa.toml"),
    include_str!("../../reports/controls/dora.toml"),
    include_str!("../../reports/controls/nis2.toml"),
    include_str!("../../reports/controls/pcidss.toml"),
];

/// One file of `reports/controls/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlFile {
    version: u32,
    framework: String,
    edition: String,
    control: Vec<ControlEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlEntry {
    id: String,
    asks: String,
    note: Option<String>,
    needs: Vec<Fact>,
}

/// What a log can show towards a control.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    /// A drill was closed within its deadline.
    Drilled,
    /// Recovery points were restored.
    Restored,
    /// What was restored was read and compared with signed manifests.
    Compared,
    /// Application-level checks ran.
    Checked,
    /// The draw is repeatable from the log.
    Sampled,
    /// Isolation was proved before data was read.
    Isolated,
    /// Recovery times were measured against targets.
    Timed,
    /// Failures and their reasons are on record, as far as there are any.
    Recorded,
    /// The log verified: Merkle tree and signatures.
    Signed,
    /// Drills are numbered without a gap.
    Complete,
}

/// Every control whose needs are met, by framework.
pub fn supported(drill: Option<&DrillReport>, completeness: &Completeness, standing: &Standing) -> Vec<Framework> {
    let Some(drill) = drill else { return Vec::new() };
    let files = FILES.iter().map(|text| toml::from_str::<ControlFile>(text).expect("embedded control files are checked by a test"));
    files
        .filter_map(|file| {
            debug_assert_eq!(file.version, 1);
            let controls: Vec<Control> = file
                .control
                .into_iter()
                .filter_map(|entry| {
                    let support: Option<Vec<String>> =
                        entry.needs.iter().map(|fact| fact.shown_by(drill, completeness, standing)).collect();
                    Some(Control { id: entry.id, asks: entry.asks, note: entry.note, support: support? })
                })
                .collect();
            (!controls.is_empty()).then_some(Framework { name: file.framework, edition: file.edition, controls })
        })
        .collect()
}

impl Fact {
    /// What shows it, or nothing.
    fn shown_by(self, drill: &DrillReport, completeness: &Completeness, standing: &Standing) -> Option<String> {
        let cases = || drill.exceptions.iter().chain(&drill.passes).filter_map(|case| case.result.as_ref().map(|result| (case, result)));
        let points = |n: usize| count_of(n as u64, "recovery point", "recovery points");
        let some = |n: usize, words: String| (n > 0).then_some(words);
        match self {
            Self::Drilled => {
                let closed = drill.trail.iter().find(|step| step.kind == "drill.closed")?;
                (drill.state == DrillState::Closed)
                    .then(|| format!("drill {} held and closed within its deadline (entry {})", number(drill.seq), closed.leaf))
            }
            Self::Restored => {
                let n = cases().filter(|(_, result)| result.restore.as_ref().is_some_and(|restore| restore.available_at.is_some())).count();
                some(n, format!("{} restored", points(n)))
            }
            Self::Compared => {
                let n = cases().filter(|(_, result)| result.verify.as_ref().is_some_and(|verify| verify.coverage_ppm > 0)).count();
                let differ = cases().filter(|(case, _)| case.findings.as_ref().is_some_and(|findings| findings.total > 0)).count();
                some(
                    n,
                    format!(
                        "{} read back and compared with signed manifests; {} with differences, listed",
                        points(n),
                        number(differ as u64)
                    ),
                )
            }
            Self::Checked => {
                let ran = |outcome: CheckOutcome| matches!(outcome, CheckOutcome::Pass | CheckOutcome::Warn | CheckOutcome::Fail);
                let n = cases().flat_map(|(_, result)| &result.sql_checks).filter(|check| ran(check.result)).count();
                some(n, format!("{} run on restored databases", count_of(n as u64, "SQL check", "SQL checks")))
            }
            Self::Sampled => {
                let sample = drill.sample.as_ref().filter(|sample| !sample.sample.selected.is_empty())?;
                let (drawn, of) = (sample.sample.selected.len() as u64, drill.scope.population);
                Some(format!(
                    "{} of {} drawn by a rule that anyone can repeat (entry {})",
                    number(drawn),
                    number(of),
                    sample.sample.population_leaf
                ))
            }
            Self::Isolated => {
                // What was looked at and never came back has no data that was kept apart.
                let is_restored = |result: &crate::testing_log::point_result::PointResult| {
                    result.restore.as_ref().is_some_and(|r| r.available_at.is_some())
                };
                let is_proved = |result: &crate::testing_log::point_result::PointResult| {
                    result.isolation.as_ref().is_some_and(|isolation| isolation.proved)
                };
                let proved = cases().filter(|(_, result)| is_restored(result) && is_proved(result)).count();
                let read_unproved =
                    cases().any(|(_, result)| result.verify.is_some() && !result.isolation.as_ref().is_some_and(|i| i.proved));
                some(
                    if read_unproved { 0 } else { proved },
                    format!("isolation proved for {} before any data of theirs was read", points(proved)),
                )
            }
            Self::Timed => {
                let n = cases().filter(|(_, result)| result.rto.achieved_ms.is_some() && result.rto.target_s.is_some()).count();
                let met = cases().filter(|(_, result)| result.rto.met == Some(true)).count();
                some(n, format!("recovery time measured against its target for {}, met for {}", points(n), number(met as u64)))
            }
            Self::Recorded => {
                let n = drill.exceptions.len();
                let open = drill.exceptions.iter().any(|case: &Case| case.leaf.is_none());
                (!open).then(|| format!("{} recorded with reasons", count_of(n as u64, "exception", "exceptions")))
            }
            Self::Signed => Some(format!(
                "{} entries under one signed root; altered, dropped or reordered entries would not verify",
                number(standing.size)
            )),
            Self::Complete => (completeness.gaps.is_empty() && completeness.missed == 0)
                .then(|| format!("{} numbered without a gap, none missed", count_of(completeness.drills.len() as u64, "drill", "drills"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_file_reads_and_never_says_comply() {
        for text in FILES {
            let file: ControlFile = toml::from_str(text).unwrap();
            assert!(file.version == 1 && !file.control.is_empty() && !file.edition.is_empty(), "{}", file.framework);
            let claims = ["complies", "compliant", "compliance"];
            assert!(
                !claims.iter().any(|claim| text.to_lowercase().contains(claim)),
                "{}: a log supports; it never makes anyone compliant",
                file.framework
            );
            assert!(file.control.iter().all(|control| !control.needs.is_empty()), "{}", file.framework);
        }
    }
}
