//! How much of what was expected was read and decided: one rule for `verify`, for what a drill records and for `log verify`.
//!
//! Not here: which resources have been drilled (`report::coverage`), and how far runs that share a state have come (`objects::ledger`).

use crate::model::counts::Counts;

/// All of the declared scope, in millionths.
pub const WHOLE_PPM: u64 = 1_000_000;

/// What was not read for a reason outside the data: a right, a lock, a lost connection. It says nothing against the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unread {
    /// Objects, or tables.
    pub things: u64,
    /// What a database defines beside its rows.
    pub definitions: u64,
}

impl Unread {
    /// Of `n` unreadable things of the kind `name`, those that the data is to blame for. `tables` is the number of unreadable tables: where
    /// all of them are unread, so are their rows.
    pub fn damaged(self, name: &str, n: u64, tables: Option<u64>) -> u64 {
        match (name, tables) {
            ("objects" | "tables", _) => n.saturating_sub(self.things),
            ("definitions", _) => n.saturating_sub(self.definitions),
            ("rows", Some(tables)) if tables <= self.things => 0,
            _ => n,
        }
    }

    /// Of a kind's counts, those that nothing is known of. Of several unreadable tables it is not known whose the unreadable rows are: none of
    /// them count as known.
    fn undecided(self, name: &str, counts: &Counts) -> u64 {
        let n = match name {
            "objects" | "tables" => self.things,
            "definitions" => self.definitions,
            _ if self.things > 0 => counts.unreadable,
            _ => 0,
        };
        n.min(counts.unreadable)
    }
}

/// The share of what was expected that was read and decided, in millionths: of several kinds the least, since what is lacking of one, another
/// does not make good; 0 where nothing was expected. What is known to be missing was looked for, and what is damaged was found to be: both
/// are decided. Where anything was not read, or a reading was cut short, it is never the whole.
///
/// A reading of objects or items that was cut short does not count what it did not come to: its share is not known, and none is claimed.
pub fn coverage_ppm<'a>(counts: impl Iterator<Item = (&'static str, &'a Counts)>, unread: Unread, is_cut_short: bool) -> u64 {
    let mut least = None;
    for (name, counts) in counts.filter(|(_, counts)| counts.expected > 0) {
        let decided = match name {
            "objects" | "items" if is_cut_short => 0,
            _ => counts.expected.saturating_sub(unread.undecided(name, counts)),
        };
        let share = u128::from(decided) * u128::from(WHOLE_PPM) / u128::from(counts.expected);
        let share = u64::try_from(share).unwrap_or(WHOLE_PPM);
        least = Some(least.map_or(share, |least: u64| least.min(share)));
    }
    let most = if is_cut_short || unread != Unread::default() { WHOLE_PPM - 1 } else { WHOLE_PPM };
    least.unwrap_or(0).min(most)
}

/// Whether anything of the data was decided, one way or the other: where every difference may be a change in between, nothing was.
pub fn is_anything_decided<'a>(mut data: impl Iterator<Item = &'a Counts>) -> bool {
    data.any(|counts| counts.matched + counts.mismatch + counts.missing + counts.changed_between + counts.deleted_between > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Class;

    fn of(classes: &[(Class, u64)]) -> Counts {
        let mut counts = Counts::default();
        classes.iter().for_each(|(class, n)| counts.add_many(*class, *n));
        counts
    }

    #[test]
    fn the_least_share_of_any_kind_counts() {
        let (tables, rows) = (of(&[(Class::Match, 2), (Class::Unreadable, 1)]), of(&[(Class::Match, 5), (Class::Unreadable, 9)]));
        let definitions = of(&[(Class::Match, 1), (Class::Unreadable, 3)]);
        let all = || [("tables", &tables), ("rows", &rows), ("definitions", &definitions)].into_iter();
        let unread = |things, definitions| Unread { things, definitions };
        assert_eq!(coverage_ppm(all(), unread(0, 0), false), WHOLE_PPM, "damage is decided");
        assert_eq!(coverage_ppm(all(), unread(1, 0), false), 357_142, "5 of 14 rows");
        assert_eq!(coverage_ppm(all(), unread(1, 3), false), 250_000, "1 of 4 definitions");
        assert_eq!(coverage_ppm(all(), unread(1, 3), true), 250_000, "the same where the server died");
        assert_eq!(coverage_ppm(all(), unread(0, 0), true), WHOLE_PPM - 1);
        // A table without a row was not read.
        let (tables, rows) = (of(&[(Class::Match, 2), (Class::Unreadable, 1)]), of(&[(Class::Match, 5)]));
        assert_eq!(coverage_ppm([("tables", &tables), ("rows", &rows)].into_iter(), unread(1, 0), false), 666_666);
        // One in ten million is not nothing, whatever rounding says.
        let many = of(&[(Class::Match, 9_999_999), (Class::Unreadable, 1)]);
        assert_eq!(coverage_ppm([("objects", &many)].into_iter(), unread(1, 0), false), WHOLE_PPM - 1);
        assert_eq!(coverage_ppm([("objects", &many)].into_iter(), unread(0, 0), true), 0);
        assert_eq!(coverage_ppm([("rows", &Counts::default())].into_iter(), unread(0, 0), false), 0);
    }

    #[test]
    fn what_may_all_be_change_decides_nothing() {
        assert!(!is_anything_decided([of(&[(Class::Indeterminate, 9)]), Counts::default()].iter()));
        assert!(is_anything_decided([of(&[(Class::Indeterminate, 9), (Class::Match, 1)])].iter()));
        assert!(is_anything_decided([of(&[(Class::DeletedBetween, 1)])].iter()), "a log names it");
    }
}
