//! Time to live: when an item ends, by its own attribute as it was captured; and which of the items that are missing later had ended by then.
//!
//! DynamoDB deletes ended items by itself, within days, so a table with time to live shrinks without loss. What excuses an absence is the end that
//! the signed manifest states, never anything in the data under test: a flipped stamp excuses nothing. An incremental export over the same time
//! names such deletions itself, and is then the only evidence that counts (`changes`).

use std::collections::VecDeque;

use crate::model::clock::Timestamp;
use crate::verify::items::canonical;
use crate::verify::items::item::Attribute;
use crate::verify::leaf::bucket_of;

/// Items whose end lies further back are not deleted (DynamoDB developer guide, "Using time to live": more than five years in the past).
const OLDEST_S: i64 = 5 * 365 * 86_400;
/// Ends have at most so many digits before the point: a hundred thousand years.
const MOST_DIGITS: i32 = 13;

/// The end that an attribute states, in seconds since 1970; only a Number states one.
pub fn end_of(value: &Attribute) -> Option<i64> {
    let Attribute::Number(text) = value else { return None };
    let mut bytes = Vec::with_capacity(24);
    canonical::encode_number(text, &mut bytes).ok()?;
    end_of_number(&bytes)
}

/// The same of an encoded value with its tag.
pub fn end_of_encoded(value: &[u8]) -> Option<i64> {
    end_of_number(value.strip_prefix(&[0x10])?)
}

/// Of an encoded number: the whole seconds of a positive one.
fn end_of_number(number: &[u8]) -> Option<i64> {
    let (sign, rest) = number.split_first()?;
    if *sign != 0x01 {
        return None;
    }
    let (exponent, rest) = rest.split_first_chunk::<4>()?;
    let places = i32::from_be_bytes(*exponent) + 1;
    if !(1..=MOST_DIGITS).contains(&places) {
        return None;
    }
    let digits = rest.get(1..)?.iter().map(|digit| i64::from(digit - b'0')).chain(std::iter::repeat(0));
    Some(digits.take(places as usize).fold(0, |value, digit| value * 10 + digit))
}

/// Ends that a manifest states, while its sidecar is walked in the order of its key hashes: those of the bucket that is read and of the one before.
pub struct Expiring {
    /// The moment that the compared data shows; nothing where no time has passed since the capture.
    moment: Option<i64>,
    bits: u8,
    ends: VecDeque<([u8; 8], i64)>,
    /// How many absences were excused.
    pub excused: u64,
}

impl Expiring {
    /// Of a capture that began at `captured` against data of `shown`, in buckets of `bits` bits.
    pub fn new(captured: Timestamp, shown: Timestamp, bits: u8) -> Self {
        let moment = (shown.as_secs() > captured.as_secs()).then(|| shown.as_secs());
        Self { moment, bits, ends: VecDeque::new(), excused: 0 }
    }

    /// Notes what the sidecar says of an item.
    pub fn note(&mut self, key_hash: [u8; 8], expires_s: Option<i64>) {
        let (Some(moment), Some(end)) = (self.moment, expires_s) else { return };
        if end >= moment || end < moment - OLDEST_S {
            return;
        }
        // The comparison looks one item ahead: what it still asks about may lie in the bucket before.
        let bucket = bucket_of(&key_hash, self.bits);
        while self.ends.front().is_some_and(|(old, _)| bucket_of(old, self.bits) + 1 < bucket) {
            self.ends.pop_front();
        }
        self.ends.push_back((key_hash, end));
    }

    /// When a missing item had ended, where that was before the moment that the data shows.
    pub fn ended(&mut self, key_hash: &[u8; 8]) -> Option<i64> {
        let at = self.ends.binary_search_by(|(known, _)| known.cmp(key_hash)).ok()?;
        self.excused += 1;
        Some(self.ends[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::items::json::Encoder;
    use crate::verify::items::reader::Reader;

    #[test]
    fn an_end_is_a_positive_number_of_seconds() {
        let number = |text: &str| end_of(&Attribute::Number(text.into()));
        for (text, end) in [
            ("1769824800", Some(1_769_824_800)),
            ("1.7698248E+9", Some(1_769_824_800)),
            ("1769824800.9", Some(1_769_824_800)),
            ("1E12", Some(1_000_000_000_000)),
            ("7", Some(7)),
            ("0", None),
            ("0.5", None),
            ("-1769824800", None),
            ("1E30", None),
            ("soon", None),
        ] {
            assert_eq!(number(text), end, "{text}");
            let mut encoder = Encoder::default();
            if encoder.item(&mut Reader::new(&format!("{{\"a\":{{\"BOOL\":true}},\"end\":{{\"N\":\"{text}\"}}}}")), None).is_ok() {
                assert_eq!(encoder.attribute("end").and_then(end_of_encoded), end, "{text}");
                assert_eq!(encoder.attribute("a").and_then(end_of_encoded), None);
            }
        }
        assert_eq!(end_of(&Attribute::String("1769824800".into())), None);
    }

    #[test]
    fn only_what_ended_between_capture_and_the_moment_shown_is_excused() {
        let at = Timestamp::from_secs;
        let mut expiring = Expiring::new(at(1_000_000_000), at(1_000_000_100), 0);
        let ends = [(1, 1_000_000_050), (2, 1_000_000_100), (3, 999_999_999), (4, 1_000_000_100 - OLDEST_S - 1)];
        for (key, end) in ends {
            expiring.note([key; 8], Some(end));
        }
        expiring.note([5; 8], None);
        let ended: Vec<bool> = (1..=5).map(|key| expiring.ended(&[key; 8]).is_some()).collect();
        assert_eq!((ended, expiring.excused), (vec![true, false, true, false, false], 2));
        let mut same = Expiring::new(at(1_000_000_100), at(1_000_000_100), 0);
        same.note([1; 8], Some(1_000_000_050));
        assert_eq!(same.ended(&[1; 8]), None, "no time has passed");
    }

    #[test]
    fn ends_are_kept_for_two_buckets_and_no_more() {
        let mut expiring = Expiring::new(Timestamp::from_secs(1_000_000_000), Timestamp::from_secs(1_000_000_100), 8);
        for bucket in 0..=255u8 {
            for n in 0..10u8 {
                expiring.note([bucket, n, 0, 0, 0, 0, 0, 0], Some(1_000_000_001));
            }
            assert!(expiring.ends.len() <= 20);
            let before = bucket.saturating_sub(1);
            assert!(expiring.ended(&[before, 3, 0, 0, 0, 0, 0, 0]).is_some());
        }
    }
}
