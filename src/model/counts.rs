//! Counts of one kind of thing (objects, tables, rows, items), and the equations that they must satisfy.

use serde::{Deserialize, Serialize};

use crate::model::finding::Class;

/// How many things of one kind fell into each class. `expected` and `checked` are sums, never counted apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// match + mismatch + missing + unreadable + changed_between + deleted_between + indeterminate
    pub expected: u64,
    /// match + mismatch + unreadable + changed_between + indeterminate
    pub checked: u64,
    /// Equal.
    #[serde(rename = "match")]
    pub matched: u64,
    /// Bytes differ where they had to be equal.
    pub mismatch: u64,
    /// Expected and absent.
    pub missing: u64,
    /// Present and not expected.
    pub extra: u64,
    /// Could not be read to its end.
    pub unreadable: u64,
    /// A log names the key as changed between the two positions.
    pub changed_between: u64,
    /// A log names the key as added between the two positions.
    pub added_between: u64,
    /// A log names the key as deleted between the two positions.
    pub deleted_between: u64,
    /// Stamped later than the restore's own position.
    pub future: u64,
    /// Inside a fuzzy window with no other evidence, or in a leaf that differs where nothing says which of its rows do.
    pub indeterminate: u64,
}

impl Counts {
    /// Adds one thing of `class`. `schema_changed` counts as a mismatch of its table.
    pub fn add(&mut self, class: Class) {
        self.add_many(class, 1);
    }

    /// Adds `n` things of `class`.
    pub fn add_many(&mut self, class: Class, n: u64) {
        let field = match class {
            Class::Match => &mut self.matched,
            Class::Mismatch | Class::SchemaChanged => &mut self.mismatch,
            Class::Missing => &mut self.missing,
            Class::Extra => &mut self.extra,
            Class::Unreadable => &mut self.unreadable,
            Class::ChangedBetween => &mut self.changed_between,
            Class::AddedBetween => &mut self.added_between,
            Class::DeletedBetween => &mut self.deleted_between,
            Class::Future => &mut self.future,
            Class::Indeterminate => &mut self.indeterminate,
        };
        *field += n;
        self.expected = self.sum_expected();
        self.checked = self.sum_checked();
    }

    /// The sum of the classes, for each class.
    pub fn merge(&mut self, other: &Counts) {
        for (class, n) in other.by_class() {
            self.add_many(class, n);
        }
    }

    /// True when `expected` and `checked` are the sums that they must be.
    pub fn adds_up(&self) -> bool {
        self.expected == self.sum_expected() && self.checked == self.sum_checked()
    }

    /// True when something was expected, everything expected was read, and nothing differed or was surplus; `indeterminate` is judged by its budget elsewhere.
    pub fn is_clean(&self) -> bool {
        self.expected > 0 && self.mismatch + self.missing + self.extra + self.unreadable + self.future == 0
    }

    /// Each class with its number.
    pub fn by_class(&self) -> [(Class, u64); 10] {
        [
            (Class::Match, self.matched),
            (Class::Mismatch, self.mismatch),
            (Class::Missing, self.missing),
            (Class::Extra, self.extra),
            (Class::Unreadable, self.unreadable),
            (Class::ChangedBetween, self.changed_between),
            (Class::AddedBetween, self.added_between),
            (Class::DeletedBetween, self.deleted_between),
            (Class::Future, self.future),
            (Class::Indeterminate, self.indeterminate),
        ]
    }

    fn sum_expected(&self) -> u64 {
        self.matched + self.mismatch + self.missing + self.unreadable + self.changed_between + self.deleted_between + self.indeterminate
    }

    fn sum_checked(&self) -> u64 {
        self.matched + self.mismatch + self.unreadable + self.changed_between + self.indeterminate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_follow_the_classes() {
        let mut counts = Counts::default();
        counts.add_many(Class::Match, 5);
        counts.add(Class::Missing);
        counts.add(Class::Extra);
        assert_eq!((counts.expected, counts.checked, counts.extra), (6, 5, 1));
        assert!(counts.adds_up() && !counts.is_clean());
        counts.checked = 6;
        assert!(!counts.adds_up());
        assert!(!Counts::default().is_clean(), "nothing expected is nothing proved");
    }
}
