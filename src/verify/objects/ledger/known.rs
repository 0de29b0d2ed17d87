//! What earlier runs have read, walked beside a listing: both are sorted, so one key of each is in memory.

use std::cmp::Ordering;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::verify::objects::ledger::lines::Keys;
use crate::verify::objects::ledger::record::{Identity, Reading};

/// A place in the sorted readings.
pub struct Walk {
    keys: Keys,
    /// The readings of one key.
    at: Vec<Reading>,
    ended: bool,
    /// Older readings do not count.
    since: Timestamp,
}

impl Walk {
    /// From the first key on.
    pub fn new(keys: Keys, since: Timestamp) -> Self {
        Self { keys, at: Vec::new(), ended: false, since }
    }

    /// The reading of exactly this entry, where there is one that counts. Entries are asked for in the order of listings.
    pub fn find(&mut self, wanted: &Identity) -> Result<Option<Reading>, Failure> {
        loop {
            match self.at.first().map(|reading| reading.of.name().cmp(&wanted.name())) {
                Some(Ordering::Greater) => return Ok(None),
                Some(Ordering::Equal) => {
                    let found = self.at.iter().find(|reading| reading.of == *wanted && reading.at >= self.since);
                    return Ok(found.cloned());
                }
                Some(Ordering::Less) | None if self.ended => return Ok(None),
                Some(Ordering::Less) | None => match self.keys.next_key()? {
                    Some(readings) => self.at = readings,
                    None => {
                        self.ended = true;
                        self.at.clear();
                    }
                },
            }
        }
    }
}
