//! What two databases define beside their tables, told in one way whether the baseline is a manifest or a database at hand.
//!
//! Not here: what there is to define and what changed of it (`definitions`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::finding::{Class, Kind, Place};
use crate::model::verification::Verification;
use crate::monitor::Monitor;
use crate::verify::sql::definitions::differences::{self, Change};
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::not_carried;
use crate::verify::sql::naming::find;

/// Tells what differs between `before`, as a manifest has it, and `now`, and gives the counts; `lone` are tables of one side, with which all
/// of theirs has been told, and of what could not be read, `unread` among them. `class` is what a definition counts as that is surplus or another one.
pub fn tell(
    monitor: &dyn Monitor,
    (before, now): (&Value, &Definitions),
    (lone, unread): (&BTreeSet<String>, &BTreeSet<String>),
    class: impl Fn(Class) -> Class,
) -> Counts {
    let mut counts = differences::equal(before, now);
    for Change { what, before: expected, now: actual } in differences::changes(before, now, lone) {
        counts.add(class(if expected == differences::ABSENT { Class::Extra } else { Class::SchemaChanged }));
        find(monitor, Class::SchemaChanged, Kind::Table, Place::Key(what), Some(expected), Some(actual));
    }
    counts.add_many(class(Class::Missing), differences::gone_with_another(before, now, lone, unread));
    counts
}

/// What a comparison with a manifest does not speak of, one sentence each.
pub fn words(before: &Value, now: &Definitions) -> Vec<String> {
    let hidden = differences::hidden_before(before).map(|kinds| format!("not in the manifest, whose reader was not shown it: {kinds}"));
    let unknown = differences::unknown_before(before, now);
    let unknown = unknown.map(|kinds| {
        format!("definitions of which the manifest says nothing (an earlier version made it, or there were none to see): {kinds}")
    });
    let unseen = differences::unseen(before, now, true).map(|kinds| format!("in the manifest, and not shown to this reader: {kinds}"));
    [hidden, unknown, unseen].into_iter().flatten().chain(not_carried::said(before, now)).collect()
}

/// Definitions that could not be read. For a reason outside the data (a right, a lock, a connection) what was compared stands, and the rest
/// was not looked at.
pub fn not_read(monitor: &dyn Monitor, failure: Failure, result: &mut Verification) {
    if failure.kind.is_outside_the_data() {
        result.cut_short = Some(failure.context("what is defined beside tables"));
        return;
    }
    let mut counts = Counts::default();
    counts.add(Class::Unreadable);
    result.definitions = Some(counts);
    find(monitor, Class::Unreadable, Kind::Table, Place::Key("definitions".into()), None, Some(failure.message));
}
