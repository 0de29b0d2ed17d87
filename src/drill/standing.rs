//! What stands when a drill cannot go on, such as on a full disk: the journal knows it, and whoever reads the error is to know it too.
//!
//! Not here: a stop that was asked for, after which everything stands until the drill goes on (`run`), and a mistake of whoever asked, who is
//! told what to put back.

use crate::drill::context::Context;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::DrillId;
use crate::monitor::Event;
use crate::restore::sweep;
use crate::restore::teardown::Undoing;
use crate::verify::manifest::workplace;

/// The failure that ended `drill`, with what stands of it, where anything does: [`FailureKind::LeftBehind`] then, whatever ended it.
pub async fn told(context: &Context, drill: &DrillId, failure: Failure) -> Failure {
    let Some(facts) = context.journal.drill(drill) else { return failure };
    if matches!(failure.kind, FailureKind::Interrupted | FailureKind::Invalid) {
        return failure;
    }
    let undoing = Undoing::new(&context.journal, &context.clouds, &context.work, &facts.opened, context.monitor.as_ref());
    let mut standing = Vec::new();
    for (case, facts) in &facts.cases {
        standing.extend(sweep::of_case(&undoing, case, facts).await.into_iter().map(|left| match left.deletable {
            true => format!("{} of case {case}", left.arn),
            false => format!("{} of case {case} ({})", left.arn, left.about),
        }));
    }
    if standing.is_empty() {
        return failure;
    }
    let next = format!("`attestore drill --resume {drill}` goes on with it, and `attestore sweep --apply` takes it down");
    let message = format!("{}; left behind: {}", failure.message, standing.join(", "));
    let hint = match failure.kind {
        FailureKind::Disk => format!("make room first; then {next}"),
        _ => format!("mend the cause first; then {next}"),
    };
    Failure::new(FailureKind::LeftBehind, message).hint(hint).caused_by(failure)
}

/// Removes unfinished baselines of first restores that were killed, and says so.
pub fn clear_unfinished(context: &Context) {
    for parent in context.config().manifest_directories() {
        for path in workplace::clear(&parent) {
            context.monitor.event(Event::Note(&format!("removed {}: an unfinished manifest of a capture that was killed", path.display())));
        }
    }
}
