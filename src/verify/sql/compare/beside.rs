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
use crate::verify::sql::definitions::kinds::{self, Change, Definitions};
use crate::verify::sql::naming::find;

/// Tells what differs between `before`, as a manifest has it, and `now`, and gives the counts; `lone` are tables of one side, with which all
/// of theirs has been told, and of what could not be read, `unread` among them. `class` is what a definition counts as that is surplus or another one.
pub fn tell(
    monitor: &dyn Monitor,
    (before, now): (&Value, &Definitions),
    (lone, unread): (&BTreeSet<String>, &BTreeSet<String>),
    class: impl Fn(Class) -> Class,
) -> Counts {
    let mut counts = kinds::equal(before, now);
    for Change { what, before: expected, now: actual } in kinds::changes(before, now, lone) {
        counts.add(class(if expected == kinds::ABSENT { Class::Extra } else { Class::SchemaChanged }));
        find(monitor, Class::SchemaChanged, Kind::Table, Place::Key(what), Some(expected), Some(actual));
    }
    counts.add_many(class(Class::Missing), kinds::gone_with_another(before, now, lone, unread));
    counts
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
