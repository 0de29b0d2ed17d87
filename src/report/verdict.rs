//! The verdict in words, the bound of a sample in words, and the limits of assurance.

use crate::model::outcome::Outcome;
use crate::report::model::{DrillReport, DrillState, Standing, Verdict};
use crate::report::model_case::EvidenceState;
use crate::report::words::{count_of, duration, number, percent};
use crate::testing_log::body::{Inference, Stratum, Strength};

/// The headline and what must be known at once.
pub fn verdict(drill: Option<&DrillReport>, outcome: Option<Outcome>) -> Verdict {
    let Some(drill) = drill else {
        return Verdict {
            outcome: None,
            headline: "This log records no drill".into(),
            sentences: vec!["Nothing is shown about any recovery point.".into()],
        };
    };
    let mut sentences = Vec::new();
    if let Some(reason) = &drill.abort_reason {
        sentences.push(format!("The reason that was recorded: {reason}"));
    }
    if drill.scope.planned > 0 && (drill.state != DrillState::Closed || drill.scope.outcomes.len() > 1) {
        sentences.push(tally_sentence(drill));
    }
    if drill.leftover_count > 0 {
        let left = count_of(drill.leftover_count, "created resource is", "created resources are");
        sentences.push(format!("{left} not known to be gone."));
    }
    sentences.extend(not_looked_at(drill));
    sentences.extend(drill.service_ahead_ms.and_then(clocks));
    sentences.extend(bounds(drill));
    Verdict { outcome, headline: headline(drill), sentences }
}

/// What the verdict says nothing of, though the configuration names it.
fn not_looked_at(drill: &DrillReport) -> Vec<String> {
    let scope = &drill.scope;
    let unseen = count_of(scope.unseen, "place of recovery points", "places of recovery points");
    let empty = count_of(scope.empty, "resource has", "resources have");
    let unseen = (scope.unseen > 0).then(|| format!("{unseen} could not be looked at: what is there is not known."));
    let empty = (scope.empty > 0).then(|| format!("{empty} no recovery point that could be drilled."));
    unseen.into_iter().chain(empty).collect()
}

/// Nearer to each other two clocks agree: a `Date` is cut to whole seconds, and takes its way.
const CLOCKS_AGREE_MS: u64 = 5_000;

/// That the clocks of AWS and of the machine differ, where they do by more than a few seconds.
fn clocks(ahead_ms: i64) -> Option<String> {
    let apart = ahead_ms.unsigned_abs();
    let word = if ahead_ms > 0 { "ahead of" } else { "behind" };
    (apart > CLOCKS_AGREE_MS).then(|| {
        format!(
            "AWS's clock was {} {word} that of the machine that ran the drill: times in this report are by the machine's clock, ages of what AWS \
             dates by AWS's.",
            duration(apart)
        )
    })
}

/// What the draws allow to say: one sentence for each class of which a part was drawn, one for all that were drawn whole.
fn bounds(drill: &DrillReport) -> Vec<String> {
    let inferred = drill.scope.strata.iter().filter_map(|row| row.inference.as_ref().map(|inference| (row, inference)));
    let (whole, partly): (Vec<_>, Vec<_>) = inferred.partition(|(_, inference)| inference.drawn == inference.population);
    let mut sentences: Vec<String> = partly.iter().map(|(row, _)| format!("Class {}: {}.", row.name, row.bound)).collect();
    let names: Vec<&str> = whole.iter().map(|(row, _)| row.name.as_str()).collect();
    if let Some((last, before)) = names.split_last() {
        let names = if before.is_empty() { (*last).to_owned() } else { format!("{} and {last}", before.join(", ")) };
        sentences.push(match (drill.scope.unseen, drill.scope.empty) {
            (0, 0) => format!("Every eligible recovery point of {names} was drawn, so nothing is left to infer there."),
            (0, _) => format!("Every eligible recovery point of {names} was drawn."),
            _ => format!("Every eligible recovery point of {names} that could be listed was drawn."),
        });
    }
    sentences
}

fn headline(drill: &DrillReport) -> String {
    let scope = &drill.scope;
    let of = |outcome: &str| scope.outcomes.iter().find(|tally| tally.outcome == outcome).map_or(0, |tally| tally.count);
    let planned = count_of(scope.planned, "recovery point", "recovery points");
    let share = |n: u64, one: &str, many: &str| format!("{} of {planned} {}", number(n), if n == 1 { one } else { many });
    match drill.state {
        DrillState::Aborted => "This drill was aborted and counts as failed".into(),
        DrillState::Overdue => "This drill was not closed by its deadline and counts as failed".into(),
        DrillState::ClosedLate => "This drill was closed after its deadline and counts as failed".into(),
        DrillState::Open => "This drill is still open; there is no verdict yet".into(),
        DrillState::Closed if scope.planned == 0 => "This drill tested nothing".into(),
        DrillState::Closed if of("fail") > 0 => share(of("fail"), "failed", "failed"),
        DrillState::Closed if of("no_result") > 0 => share(of("no_result"), "has no recorded result", "have no recorded result"),
        DrillState::Closed if of("error") > 0 => share(of("error"), "could not be tested", "could not be tested"),
        DrillState::Closed if of("inconclusive") > 0 => share(of("inconclusive"), "gave no verdict", "gave no verdict"),
        DrillState::Closed if of("untested") > 0 => share(of("untested"), "was not tested", "were not tested"),
        DrillState::Closed if scope.unseen > 0 => format!("{planned} tested and equal to what was expected; others could not be looked at"),
        DrillState::Closed if scope.empty > 0 => {
            format!("{planned} tested and equal to what was expected; {} none", count_of(scope.empty, "resource has", "resources have"))
        }
        DrillState::Closed if of("pass_with_exception") > 0 => {
            let exceptions = count_of(of("pass_with_exception"), "with an exception", "with exceptions");
            format!("{planned} tested and what was compared is equal, {exceptions}")
        }
        DrillState::Closed => format!("{planned} tested, restored, read back and equal to what was expected"),
    }
}

fn tally_sentence(drill: &DrillReport) -> String {
    let parts: Vec<String> =
        drill.scope.outcomes.iter().rev().map(|tally| format!("{} {}", number(tally.count), outcome_words(&tally.outcome))).collect();
    format!("Of {} planned: {}.", count_of(drill.scope.planned, "recovery point", "recovery points"), parts.join(", "))
}

/// An outcome's spelling for people.
pub fn outcome_words(outcome: &str) -> &str {
    match outcome {
        "pass" => "passed",
        "pass_with_exception" => "passed with an exception",
        "fail" => "failed",
        "error" => "could not be tested",
        "inconclusive" => "inconclusive",
        "untested" => "not tested",
        "no_result" => "without a result",
        other => other,
    }
}

/// What a draw says of its stratum, as a bound and never as "100 % passed". `exceptions`: how many of its points passed with one; `unseen`: some places of recovery points could not be looked at, or some resources
/// have none.
pub fn bound(stratum: &Stratum, inference: Option<&Inference>, exceptions: u64, unseen: bool) -> String {
    match inference {
        None if stratum.sample == 0 => "nothing was drawn by chance, so nothing is inferred".into(),
        None => "no bound: the drill was not closed".into(),
        Some(i) if i.drawn == 0 => "nothing was drawn by chance, so nothing is inferred".into(),
        Some(i) if i.drawn == i.population => {
            let rest = if unseen { "what could not be listed, or is not there, is not among them" } else { "nothing is left to infer" };
            format!("all {} drawn, {}; {rest}", number(i.population), deviating(i.deviations, i.drawn, exceptions))
        }
        Some(i) => format!(
            "{} of {} drawn, {}; up to {} of the {} could be bad, at {} confidence",
            number(i.drawn),
            number(i.population),
            deviating(i.deviations, i.drawn, exceptions),
            number(i.upper_bound),
            number(i.population),
            percent(i.confidence_ppm)
        ),
    }
}

fn deviating(n: u64, drawn: u64, exceptions: u64) -> String {
    let said = match n {
        0 => "all of which passed".into(),
        n if n == drawn => "none of which passed".into(),
        n => format!("of which {} did not pass", number(n)),
    };
    if exceptions == 0 { said } else { format!("{said}, and {} passed with an exception", number(exceptions)) }
}

/// What nobody should read out of the report.
pub fn limits(drill: Option<&DrillReport>, standing: &Standing) -> Vec<String> {
    let mut limits = vec![
        "A signed log proves what was said, under which key and in which order. It does not prove that it was true. The cloud provider's own \
         audit trail, and a restore that somebody else repeats, corroborate the rest."
            .to_owned(),
        if standing.anchored {
            format!("Something from outside holds this log fast ({}): what stood under that anchor cannot have been rewritten since.", standing.verdict)
        } else {
            "This log is only self-consistent: whoever holds its key could cut it short and grow it again. Keep its checkpoint; handed in next \
             time with --checkpoint, it proves that nothing before it was rewritten."
                .to_owned()
        },
        "A match proves that the restored data equals a signed manifest, in the capture mode named beside it. It does not prove that the data \
         was right when the manifest was captured."
            .to_owned(),
    ];
    if let Some(drill) = drill {
        if drill.scope.planned < drill.scope.population {
            let unseen =
                count_of(drill.scope.population - drill.scope.planned, "eligible recovery point was", "eligible recovery points were");
            limits.push(format!(
                "{unseen} not restored in this drill. The bound of each class says what the draw allows to conclude about them."
            ));
        }
        if drill.sample.as_ref().is_some_and(|sample| sample.sample.strength == Strength::Weaker) {
            limits.push(
                "The draw's beacon was known to the operator beforehand. The sample can be re-derived exactly; that no more convenient draw was \
                 tried and thrown away cannot be shown."
                    .to_owned(),
            );
        }
        let cases = || drill.exceptions.iter().chain(&drill.passes);
        if cases().any(|case| case.findings.as_ref().is_some_and(|findings| findings.evidence == EvidenceState::Withheld)) {
            limits.push(
                "Names of some differing objects or rows are withheld: the evidence that holds them in clear was not at hand.".to_owned(),
            );
        }
    }
    limits.extend([
        "A review counts when its key belongs to somebody who is independent of the operator; whose key it is, the log cannot say."
            .to_owned(),
        "Isolation was looked at by the probes that are listed, and by no others.".to_owned(),
        "Times are those of the machine that ran the drill. Recovery in a real incident meets other load, other people and other limits."
            .to_owned(),
        "The control matrix says which requirements this log supports. Whether they are met is for an assessor to decide.".to_owned(),
    ]);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_and_seconds_are_not() {
        assert_eq!([-5_000, -1, 0, 5_000].map(clocks), [None, None, None, None]);
        let (ahead, behind) = (clocks(1_200_000).unwrap(), clocks(-61_000).unwrap());
        assert!(ahead.starts_with("AWS's clock was 20 min") && ahead.contains(" ahead of that of the machine"), "{ahead}");
        assert!(behind.contains(" behind that of the machine"), "{behind}");
    }
}
