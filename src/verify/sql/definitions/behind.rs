//! Numbers that a copy of an earlier moment has not come to: whether they were lost, or were there later only, cannot be told.
//!
//! Not here: which numbers are behind others (`alike`).

use crate::verify::sql::definitions::alike;
use crate::verify::sql::definitions::belonging::TABLE;
use crate::verify::sql::definitions::kinds::{AUTO_INCREMENT, Definitions, POSITION};

/// Takes out of `expected` the numbers that `now` is behind, of sequences and tables that are still there; their names, each with its kind.
pub fn take_out(expected: &mut Definitions, now: &Definitions) -> Vec<String> {
    let is_there = |name: &str| {
        let has = |kind: &str, name: &str| now.of_kind(kind).is_some_and(|names| names.contains_key(name));
        [TABLE, "sequence"].iter().any(|kind| has(kind, name) || has(kind, &format!("public.{name}")))
    };
    let mut behind = Vec::new();
    for kind in [POSITION, AUTO_INCREMENT] {
        let Some(new) = now.of_kind(kind).filter(|_| now.not_shown().all(|(hidden, _)| hidden != kind)) else { continue };
        let is_behind = |name: &str, before: &str| match new.get(name) {
            Some(now) => !alike::is_alike(kind, before, now),
            // What is gone with its sequence or table is told with that.
            None => is_there(name),
        };
        behind.extend(expected.take_out(kind, is_behind).into_iter().map(|name| format!("{kind} {name}")));
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_behind_and_still_there_is_taken_out() {
        let of = |numbers: &[(&str, &str)], tables: &[&str]| {
            let mut one = Definitions::of_kinds([POSITION, TABLE], None);
            numbers.iter().for_each(|(name, number)| one.add(POSITION, (*name).to_owned(), number));
            tables.iter().for_each(|name| one.add(TABLE, (*name).to_owned(), "it"));
            one
        };
        let mut before = of(&[("even", "7"), ("ahead", "7"), ("behind", "7"), ("none", "7"), ("gone", "7")], &["none", "gone"]);
        let now = of(&[("even", "7"), ("ahead", "9"), ("behind", "6")], &["none"]);
        assert_eq!(take_out(&mut before, &now), ["sequence position behind", "sequence position none"]);
        let left: Vec<&String> = before.of_kind(POSITION).unwrap().keys().collect();
        assert_eq!(left, ["ahead", "even", "gone"]);
        // What the reader is not shown is told as that.
        let mut hides = now.clone();
        hides.hide(POSITION, "SELECT on the sequence");
        assert!(take_out(&mut of(&[("behind", "7")], &[]), &hides).is_empty());
    }
}
