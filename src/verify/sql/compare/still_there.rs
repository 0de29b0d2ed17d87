//! Rows that a log of changes names as deleted, last of all, and that are there all the same: equal to the manifest's, and surplus to what
//! the restore had to hold.
//!
//! Not here: what a log says (`changes`), and rows that differ (`tables`).

use std::collections::HashSet;

use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::finding::Class;
use crate::verify::differences::Difference;
use crate::verify::fingerprint::Fingerprint;
use crate::verify::sql::changes::fate::TouchedRows;
use crate::verify::sql::naming::NAMED_ROWS;

/// What had to be gone and is not.
#[derive(Default)]
pub struct StillThere {
    /// At most [`NAMED_ROWS`], as surplus rows.
    pub rows: Vec<Difference>,
    /// How many.
    pub count: u64,
}

impl StillThere {
    /// Of the rows that were read and are equal: `known` are those that differ, which are told as what they are.
    ///
    /// # Errors
    /// Of the temporary file that the rows lie in.
    pub fn among(read: &Fingerprint, touched: Option<&TouchedRows>, known: &[Difference]) -> Result<Self, Failure> {
        let mut still = Self::default();
        let Some(touched) = touched.filter(|touched| touched.some_must_be_gone()) else { return Ok(still) };
        let head = |difference: &Difference| match difference {
            Difference::Row { key_hash, .. } => Some(*key_hash),
            Difference::Bucket { .. } => None,
        };
        let known: HashSet<[u8; 8]> = known.iter().filter_map(head).collect();
        for pair in read.sidecar() {
            let (key_hash, row) = pair?;
            if known.contains(&key_hash) || !touched.must_be_gone(&key_hash) {
                continue;
            }
            still.count += 1;
            if still.rows.len() < NAMED_ROWS {
                still.rows.push(Difference::Row { class: Class::Extra, key_hash, expected: None, actual: Some(row) });
            }
        }
        Ok(still)
    }

    /// What they are.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        counts.add_many(Class::Extra, self.count);
        counts
    }

    /// Moves them among the counts of their table: the manifest's rows were deleted in between, and what is there is surplus.
    pub fn settle(&self, counts: &Counts) -> Counts {
        let mut settled = Counts::default();
        let moved = self.count.min(counts.matched);
        for (class, n) in counts.by_class() {
            match class {
                Class::Match => settled.add_many(class, n - moved),
                Class::DeletedBetween | Class::Extra => settled.add_many(class, n + moved),
                _ => settled.add_many(class, n),
            }
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_stay_those_of_the_manifest() {
        let mut counts = Counts::default();
        counts.add_many(Class::Match, 5);
        counts.add(Class::Missing);
        let settled = StillThere { rows: Vec::new(), count: 2 }.settle(&counts);
        assert_eq!((settled.matched, settled.deleted_between, settled.extra, settled.missing), (3, 2, 2, 1));
        assert!(settled.expected == counts.expected && settled.adds_up());
        assert_eq!(StillThere { rows: Vec::new(), count: 9 }.settle(&counts).matched, 0, "no more than there are");
    }
}
