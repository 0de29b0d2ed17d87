//! What two databases define beside their tables, told in one way whether the baseline is a manifest or a database at hand.
//!
//! Not here: what there is to define and what changed of it (`definitions`).

use serde_json::Value;

use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::finding::{Class, Kind, Place};
use crate::model::verification::Verification;
use crate::monitor::Monitor;
use crate::verify::sql::definitions::differences::{self, Change, Told};
use crate::verify::sql::definitions::kinds::{COLUMN_ORDER, Definitions};
use crate::verify::sql::definitions::not_carried;
use crate::verify::sql::naming::find;
use crate::verify::sql::rows::table::lone_columns;
use crate::verify::sql::scope::Scope;

/// The definitions of one manifest against those of another: the counts, or why they cannot be compared; nothing where there are none.
pub fn of_manifests(before: Option<&Value>, now: Option<&Value>, monitor: &dyn Monitor) -> Option<Result<Counts, String>> {
    let (before, now) = (before?, now?);
    let held = |position: &Value| position["definitions"].is_object();
    if !held(before) && !held(now) {
        return None;
    }
    let is_exact = |position: &Value| {
        let scope = Scope::of(Some(position));
        scope.logical.is_none() && scope.closed.is_none()
    };
    let knows_order = |position: &Value| position["definitions"][COLUMN_ORDER].is_object();
    if before["engine"] == "postgres" && now["engine"] == "postgres" && knows_order(before) != knows_order(now) {
        let said = "definitions are not compared: an earlier version of this program made one of the manifests, and worded them otherwise";
        return Some(Err(said.to_owned()));
    }
    if !(held(before) && held(now) && before["engine"] == now["engine"] && is_exact(before) && is_exact(now)) {
        return Some(
            Err("definitions are not compared: the manifests are not both exact ones of whole databases of one engine".to_owned()),
        );
    }
    let mut told = Told::default();
    for (one, other, both) in [(before, now, true), (now, before, false)] {
        for (name, described) in one["tables"].as_object().into_iter().flatten() {
            match &other["tables"][name] {
                Value::Null => drop(told.tables.insert(name.clone())),
                there if both => told.columns.extend(lone_columns(name, described, there)),
                _ => {}
            }
        }
    }
    Some(Ok(tell(monitor, (&before["definitions"], &Definitions::of_value(&now["definitions"])), &told, |class| class)))
}

/// Tells what differs between `before`, as a manifest has it, and `now`, and gives the counts; `told` is what has been told
/// of tables, with which all of theirs has been. `class` is what a definition counts as that is surplus or another one. Unreadable are those
/// that were not read for a reason outside the data: of tables that were not, or not shown.
pub fn tell(monitor: &dyn Monitor, (before, now): (&Value, &Definitions), told: &Told, class: impl Fn(Class) -> Class) -> Counts {
    let mut counts = differences::equal(before, now);
    for Change { what, before: expected, now: actual } in differences::changes(before, now, told) {
        counts.add(class(if expected == differences::ABSENT { Class::Extra } else { Class::SchemaChanged }));
        find(monitor, Class::SchemaChanged, Kind::Table, Place::Key(what), Some(expected), Some(actual));
    }
    counts.add_many(class(Class::Missing), differences::gone_with_another(before, now, told));
    counts.add_many(Class::Unreadable, differences::not_read(before, now, told));
    counts
}

/// Definitions that nobody came to: they stay expected, and nothing is said against them.
pub fn not_reached(before: &Value, result: &mut Verification) {
    unreadable(before, result);
    result.unread_definitions = result.definitions.map_or(0, |counts| counts.unreadable);
}

/// Definitions that did not come back: every one that is expected is unreadable.
pub fn unreadable(before: &Value, result: &mut Verification) {
    let mut counts = Counts::default();
    counts.add_many(Class::Unreadable, differences::held(before));
    result.definitions = (counts.expected > 0).then_some(counts);
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

/// Definitions that could not be read, of which `before` were expected where that is known. For a reason outside the data (a right, a lock, a
/// connection) what was compared stands, and the rest was not looked at.
pub fn not_read(monitor: &dyn Monitor, before: Option<&Value>, failure: Failure, result: &mut Verification) {
    if failure.kind.is_outside_the_data() {
        before.iter().for_each(|before| not_reached(before, result));
        result.cut_short = Some(failure.context("what is defined beside tables"));
        return;
    }
    before.iter().for_each(|before| unreadable(before, result));
    if result.definitions.is_none() {
        let mut counts = Counts::default();
        counts.add(Class::Unreadable);
        result.definitions = Some(counts);
    }
    find(monitor, Class::Unreadable, Kind::Table, Place::Key("definitions".into()), None, Some(failure.message));
}
