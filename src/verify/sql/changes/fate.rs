//! What became of the rows of one table, of all that a log says of them: whether a row can be gone, be there, or be another for it.
//!
//! The order counts. A row that was deleted and made again has to be there, and one that was made and deleted again must not; only what may be
//! on either side of the restore leaves it open.
//!
//! Not here: which events lie between the two, and which of them the restore is certain to show (`touched`).

use std::collections::HashMap;

use crate::model::clock::Timestamp;
use crate::model::finding::Class;

/// Where an event stands: its time, and of one time its line.
type When = (Timestamp, u64);

/// What happened to a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened {
    /// It was made.
    Made,
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
}

/// Which of the two shows what happened: the restore, the capture where that is later, or, where that is not known, either.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Later {
    /// The restore is the later one.
    #[default]
    Restore,
    /// The capture is.
    Capture,
    /// It may be the one or the other.
    Either,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Fate {
    made: bool,
    changed: bool,
    deleted: bool,
    /// Of what the restore is certain to show, the last; where the capture is later, of what it is certain not to show, the first.
    decisive: Option<(When, Happened)>,
    /// The last line that says that it is there, whatever its time.
    there_by_line: u64,
    /// By what it may show or not, it may be there, or be gone.
    perhaps_there: bool,
    perhaps_gone: bool,
}

/// The rows of one table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TouchedRows {
    keys: HashMap<[u8; 8], Fate>,
    /// True where the table was emptied in between: then every row of it was deleted.
    whole: bool,
    /// The decisive time of these, as of a row's.
    emptied: Option<When>,
    perhaps_emptied: bool,
    /// Which of the two shows it.
    pub later: Later,
}

impl TouchedRows {
    /// Something happened to the row of a key; `when` where the restore is certain to show it, or, being earlier than the capture, not to.
    pub fn note(&mut self, key: [u8; 8], happened: Happened, when: Option<When>) {
        let later = self.later;
        let fate = self.keys.entry(key).or_default();
        match happened {
            Happened::Made => fate.made = true,
            Happened::Changed => fate.changed = true,
            Happened::Deleted => fate.deleted = true,
        }
        if let (Some((_, line)), Happened::Made | Happened::Changed) = (when, happened) {
            fate.there_by_line = fate.there_by_line.max(line);
        }
        match when {
            Some(when) if fate.decisive.is_none_or(|(other, _)| decides(later, when, other)) => fate.decisive = Some((when, happened)),
            Some(_) => {}
            None => {
                let is_there = leaves(later, happened);
                fate.perhaps_there |= is_there;
                fate.perhaps_gone |= !is_there;
            }
        }
    }

    /// The table was emptied.
    pub fn emptied(&mut self, when: Option<When>) {
        self.whole = true;
        match when {
            Some(when) if self.emptied.is_none_or(|other| decides(self.later, when, other)) => self.emptied = Some(when),
            Some(_) => {}
            None => self.perhaps_emptied = true,
        }
    }

    /// Whether what happened to a row can make it differ in this way: a row that was only changed cannot be gone for it, nor one that was made
    /// anew after it was deleted.
    pub fn explains(&self, key: &[u8; 8], class: Class) -> bool {
        let fate = self.keys.get(key).copied().unwrap_or_default();
        let Fate { made, changed, .. } = fate;
        let deleted = fate.deleted || self.whole;
        let (is_restore, is_capture) = (self.later != Later::Capture, self.later != Later::Restore);
        let there = self.can_be(&fate);
        match class {
            Class::Missing => (deleted && is_restore || made && is_capture) && there.0,
            Class::Extra => (made && is_restore || deleted && is_capture) && there.1,
            Class::Mismatch => (changed || made && deleted) && there.1,
            _ => false,
        }
    }

    /// Whether a row that is there cannot be: it was deleted, or its table emptied, and neither by time nor by line was it made again; and the
    /// restore is certain to show that. A statement that waited for the deletion is logged behind it with an earlier time.
    pub fn must_be_gone(&self, key: &[u8; 8]) -> bool {
        let fate = self.keys.get(key).copied().unwrap_or_default();
        let deleted = fate.decisive.filter(|(_, happened)| *happened == Happened::Deleted).map(|((_, line), _)| line);
        let last = deleted.into_iter().chain(self.emptied.map(|(_, line)| line)).max();
        self.later == Later::Restore && last.is_some_and(|last| last > fate.there_by_line) && !self.can_be(&fate).1
    }

    /// Whether there may be such a row.
    pub fn some_must_be_gone(&self) -> bool {
        let is_deleted = |fate: &Fate| matches!(fate.decisive, Some((_, Happened::Deleted)));
        self.later == Later::Restore && (self.emptied.is_some() || self.keys.values().any(is_deleted))
    }

    /// Whether the row can be gone from the restore, and whether it can be there.
    fn can_be(&self, fate: &Fate) -> (bool, bool) {
        let of_row = fate.decisive;
        let of_table = self.emptied.filter(|when| of_row.is_none_or(|(other, _)| decides(self.later, *when, other)));
        match (of_table, of_row) {
            // Nothing is certain; before a table was emptied anything was in it.
            (None, None) => (true, true),
            (Some(_), _) if self.later != Later::Restore => (true, true),
            (Some(_), _) => (true, fate.perhaps_there),
            (None, Some((_, happened))) => {
                let is_there = leaves(self.later, happened);
                let is_gone = !is_there || fate.perhaps_gone || self.perhaps_emptied;
                (is_gone, is_there || fate.perhaps_there || self.perhaps_emptied && self.later != Later::Restore)
            }
        }
    }

    /// How many rows are named.
    pub fn named(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        !self.whole && self.keys.is_empty()
    }
}

/// Whether the restore has the row if this is what decides: it shows what happened, or, being earlier, what was before.
fn leaves(later: Later, happened: Happened) -> bool {
    match happened {
        Happened::Changed => true,
        Happened::Made => later != Later::Capture,
        Happened::Deleted => later == Later::Capture,
    }
}

/// Whether an event counts before another one.
fn decides(later: Later, when: When, other: When) -> bool {
    if later == Later::Capture { when < other } else { when > other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 8] = [1; 8];

    fn at(second: i64) -> Option<When> {
        Some((Timestamp(second), 0))
    }

    /// Missing, extra, mismatch.
    fn told(rows: &TouchedRows) -> [bool; 3] {
        [Class::Missing, Class::Extra, Class::Mismatch].map(|class| rows.explains(&KEY, class))
    }

    fn after(later: Later, events: &[(Happened, Option<When>)]) -> [bool; 3] {
        let mut rows = TouchedRows { later, ..TouchedRows::default() };
        events.iter().for_each(|(happened, when)| rows.note(KEY, *happened, *when));
        told(&rows)
    }

    #[test]
    fn a_row_differs_only_as_what_happened_to_it_can_make_it() {
        use Happened::{Changed, Deleted, Made};
        assert_eq!(after(Later::Restore, &[(Made, at(1))]), [false, true, false]);
        assert_eq!(after(Later::Restore, &[(Changed, at(1))]), [false, false, true]);
        assert_eq!(after(Later::Restore, &[(Deleted, at(1))]), [true, false, false]);
        assert_eq!(after(Later::Restore, &[(Deleted, at(1)), (Made, at(2))]), [false, true, true], "made again: it has to be there");
        assert_eq!(after(Later::Restore, &[(Made, at(1)), (Deleted, at(2))]), [true, false, false], "gone again");
        assert_eq!(after(Later::Restore, &[(Made, at(2)), (Deleted, at(1))]), [false, true, true], "by time, not by line");
        assert_eq!(after(Later::Restore, &[(Deleted, at(1)), (Made, None)]), [true, true, true], "made again, perhaps after the restore");
        assert_eq!(after(Later::Restore, &[(Deleted, None), (Made, None)]), [true, true, true], "nothing is certain");
        assert_eq!(after(Later::Capture, &[(Made, at(1))]), [true, false, false]);
        assert_eq!(after(Later::Capture, &[(Deleted, at(1))]), [false, true, false]);
        assert_eq!(after(Later::Capture, &[(Deleted, at(1)), (Made, at(2))]), [false, true, true], "it was there before it was deleted");
        assert_eq!(after(Later::Either, &[(Deleted, None)]), [true, true, false]);
        assert_eq!(after(Later::Restore, &[]), [false, false, false]);
    }

    #[test]
    fn a_table_that_was_emptied_holds_what_was_made_since() {
        let mut rows = TouchedRows::default();
        rows.emptied(at(5));
        assert_eq!(told(&rows), [true, false, false]);
        rows.note(KEY, Happened::Made, at(6));
        assert_eq!(told(&rows), [false, true, true], "the ordinary reload: it has to be there");
        rows.emptied(at(7));
        assert_eq!(told(&rows), [true, false, false]);
        let mut rows = TouchedRows::default();
        rows.note(KEY, Happened::Made, at(6));
        rows.emptied(None);
        assert_eq!(told(&rows), [true, true, true], "emptied, perhaps after the restore");
        let mut earlier = TouchedRows { later: Later::Capture, ..TouchedRows::default() };
        earlier.emptied(at(5));
        earlier.note(KEY, Happened::Made, at(6));
        assert_eq!(told(&earlier), [true, true, true], "anything was in it before");
    }

    #[test]
    fn a_row_that_was_deleted_last_must_be_gone() {
        use Happened::{Changed, Deleted, Made};
        let line = |second, line| Some((Timestamp(second), line));
        let gone = |later, events: &[(Happened, Option<When>)]| {
            let mut rows = TouchedRows { later, ..TouchedRows::default() };
            events.iter().for_each(|(happened, when)| rows.note(KEY, *happened, *when));
            (rows.must_be_gone(&KEY), rows.some_must_be_gone())
        };
        let restore = |events: &[_]| gone(Later::Restore, events);
        assert_eq!(restore(&[(Deleted, line(1, 1))]), (true, true));
        assert_eq!(restore(&[(Changed, line(1, 1)), (Deleted, line(2, 2))]), (true, true));
        assert_eq!(restore(&[(Deleted, line(1, 1)), (Made, line(2, 2))]), (false, false));
        assert_eq!(restore(&[(Deleted, line(2, 1)), (Made, line(1, 2))]), (false, true), "it waited for the deletion");
        assert_eq!(restore(&[(Deleted, line(1, 1)), (Made, None)]), (false, true), "made again, perhaps before the restore");
        assert_eq!(restore(&[(Deleted, None)]), (false, false));
        assert_eq!(gone(Later::Either, &[(Deleted, None)]), (false, false));
        assert_eq!(gone(Later::Capture, &[(Deleted, line(1, 1))]), (false, false));
        let mut rows = TouchedRows::default();
        rows.emptied(line(5, 5));
        assert!(rows.must_be_gone(&KEY) && rows.must_be_gone(&[2; 8]), "every row of it");
        rows.note(KEY, Made, line(6, 6));
        assert!(!rows.must_be_gone(&KEY) && rows.must_be_gone(&[2; 8]));
    }

    /// A table of one row that lives through events: what the capture and the restore see of it must be explained.
    #[derive(Clone, Copy, Debug)]
    enum Write {
        Put(u8),
        Delete,
        Empty,
    }

    fn live(row: Option<u8>, write: Write) -> Option<u8> {
        match write {
            Write::Put(value) => Some(value),
            Write::Delete | Write::Empty => None.filter(|_: &u8| row.is_some()),
        }
    }

    proptest! {
        #[test]
        fn what_really_happened_is_always_explained(
            writes in proptest::collection::vec(prop_oneof![(0u8..3).prop_map(Write::Put), Just(Write::Delete), Just(Write::Empty)], 0..8),
            start in proptest::option::of(0u8..3),
            sure in 0usize..9,
            cut in 0usize..9,
            is_capture_later in any::<bool>(),
        ) {
            // The first `sure` events are shown for sure, the restore stands somewhere behind them (or, mirrored, before the last ones).
            let states: Vec<Option<u8>> = std::iter::once(start).chain(writes.iter().scan(start, |row, write| { *row = live(*row, *write); Some(*row) })).collect();
            let (n, sure) = (writes.len(), sure.min(writes.len()));
            let stands = sure + cut.min(n - sure);
            let (captured, restored) = if is_capture_later { (states[n], states[n - stands]) } else { (states[0], states[stands]) };
            let later = if is_capture_later { Later::Capture } else { Later::Restore };
            let mut rows = TouchedRows { later, ..TouchedRows::default() };
            for (index, write) in writes.iter().enumerate() {
                let is_sure = if is_capture_later { index >= n - sure } else { index < sure };
                let when = Some((Timestamp(index as i64), index as u64 + 1)).filter(|_| is_sure);
                match (write, states[index]) {
                    (Write::Put(_), None) => rows.note(KEY, Happened::Made, when),
                    (Write::Put(_), Some(_)) => rows.note(KEY, Happened::Changed, when),
                    (Write::Delete, Some(_)) => rows.note(KEY, Happened::Deleted, when),
                    (Write::Delete, None) => {}
                    (Write::Empty, _) => rows.emptied(when),
                }
            }
            prop_assert!(restored.is_none() || !rows.must_be_gone(&KEY), "{rows:?}");
            let class = match (captured, restored) {
                (Some(_), None) => Class::Missing,
                (None, Some(_)) => Class::Extra,
                (Some(one), Some(other)) if one != other => Class::Mismatch,
                _ => return Ok(()),
            };
            prop_assert!(rows.explains(&KEY, class), "{class:?} {rows:?}");
        }
    }
}
