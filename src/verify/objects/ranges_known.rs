//! Ranges of a large object that earlier runs have read, and writing down those that this one reads.

use std::collections::BTreeMap;

use crate::verify::checksum::Algorithm;
use crate::verify::objects::ledger::record::KnownRange;
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::Entry;
use crate::verify::objects::stretch::Unread;

/// What earlier runs have read of `entry`; without the CRC that is wanted now, it would have to be read again for that.
pub fn known_ranges(entry: &Entry, algorithm: Option<Algorithm>, reading: &Reading) -> BTreeMap<u64, KnownRange> {
    let mut known = reading.ledger.as_ref().map(|ledger| ledger.ranges(entry)).unwrap_or_default();
    known.retain(|_, range| algorithm.is_none() || range.digest.crc.map(|crc| crc.algorithm) == algorithm);
    known
}

/// Writes down that a range of `entry` was read.
pub fn note(entry: &Entry, index: u64, range: KnownRange, reading: &Reading) -> Result<(), Unread> {
    let noted = reading.ledger.as_ref().map_or(Ok(()), |ledger| ledger.note_range(entry, index, range));
    noted.map_err(Unread::Source)
}
