//! How far a task is, and when it will be over: figures from what was told, without a clock or a terminal of its own.
//!
//! Not here: drawing, which the console does.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cli::scorecard::{bytes, span};

/// The rate is that of the last so many seconds: what was slow an hour ago says little of the next minute.
const WINDOW: Duration = Duration::from_secs(30);
/// Before this much has passed nothing is foretold.
const SETTLED: Duration = Duration::from_millis(1500);
/// At most so many looks are kept; one a tick is enough.
const LOOKS: usize = 256;

/// One task.
#[derive(Clone, Debug)]
pub struct Progress {
    unit: &'static str,
    total: Option<u64>,
    total_bytes: Option<u64>,
    done: u64,
    bytes: u64,
    looks: VecDeque<(Duration, u64, u64)>,
}

impl Progress {
    /// A task of so many of `unit`, where that is known.
    pub fn new(unit: &'static str, total: Option<u64>) -> Self {
        Self { unit, total, total_bytes: None, done: 0, bytes: 0, looks: VecDeque::from([(Duration::ZERO, 0, 0)]) }
    }

    /// It will read about so many bytes.
    pub fn expect_bytes(&mut self, bytes: u64) {
        self.total_bytes = Some(bytes).filter(|bytes| *bytes > 0);
    }

    /// So much more is done.
    pub fn advance(&mut self, by: u64, bytes: u64) {
        self.done = self.done.saturating_add(by);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Position and length of the bar: in bytes where their total is known, else in units.
    pub fn bar(&self) -> Option<(u64, u64)> {
        match (self.total_bytes, self.total) {
            (Some(total), _) => Some((self.bytes.min(total), total)),
            (None, Some(total)) => Some((self.done.min(total), total)),
            (None, None) => None,
        }
    }

    /// Units a second and bytes a second of late, `elapsed` after the beginning.
    fn rates(&self, elapsed: Duration) -> (f64, f64) {
        let since = elapsed.saturating_sub(WINDOW);
        let from = self.looks.iter().rev().find(|(at, ..)| *at <= since).or(self.looks.front());
        let (at, done, bytes) = from.copied().unwrap_or_default();
        let seconds = elapsed.saturating_sub(at).as_secs_f64().max(0.001);
        ((self.done - done) as f64 / seconds, (self.bytes - bytes) as f64 / seconds)
    }

    /// How long it will take from now: by bytes where their total is known, else by units; nothing while nothing can be said.
    pub fn left(&self, elapsed: Duration) -> Option<Duration> {
        if elapsed < SETTLED {
            return None;
        }
        let (units_a_second, bytes_a_second) = self.rates(elapsed);
        let (rest, rate) = match (self.total_bytes, self.total) {
            (Some(total), _) => (total.saturating_sub(self.bytes), bytes_a_second),
            (None, Some(total)) => (total.saturating_sub(self.done), units_a_second),
            (None, None) => return None,
        };
        (rate > 0.0).then(|| Duration::from_secs_f64((rest as f64 / rate).min(1e9)))
    }

    /// The figures in one line, `elapsed` after the beginning; the look is remembered for the next rate.
    pub fn line(&mut self, elapsed: Duration) -> String {
        let (units_a_second, bytes_a_second) = self.rates(elapsed);
        let of = |total: Option<u64>| total.map_or_else(String::new, |total| format!("/{total}"));
        let mut parts = vec![format!("{}{} {}", self.done, of(self.total), self.unit)];
        if self.bytes > 0 || self.total_bytes.is_some() {
            let total = self.total_bytes.map_or_else(String::new, |total| format!(" of {}", bytes(total)));
            parts.push(format!("{}{total}", bytes(self.bytes)));
            parts.push(format!("{}/s", bytes(bytes_a_second as u64)));
        } else if units_a_second >= 10.0 {
            parts.push(format!("{units_a_second:.0}/s"));
        } else {
            parts.push(format!("{units_a_second:.1}/s"));
        }
        if let Some(left) = self.left(elapsed) {
            parts.push(format!("{} left", span(u64::try_from(left.as_millis()).unwrap_or(u64::MAX) / 1000 * 1000)));
        }
        self.looks.push_back((elapsed, self.done, self.bytes));
        // One look older than the window is kept to measure from.
        while self.looks.len() > LOOKS || self.looks.get(1).is_some_and(|(at, ..)| *at + WINDOW < elapsed) {
            self.looks.pop_front();
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn bytes_rate_and_what_is_left_are_told_by_bytes() {
        let mut task = Progress::new("objects", Some(1000));
        task.expect_bytes(1000 * MIB);
        assert_eq!(task.line(at(0)), "0/1000 objects, 0 B of 1000.0 MiB, 0 B/s");
        // Half of the objects are small ones and over at once; the bytes know better.
        task.advance(500, 10 * MIB);
        assert_eq!(task.line(at(10)), "500/1000 objects, 10.0 MiB of 1000.0 MiB, 1.0 MiB/s, 16m30s left");
        assert_eq!(task.bar(), Some((10 * MIB, 1000 * MIB)));
        for second in 11..=60 {
            task.advance(1, 10 * MIB);
            task.line(at(second));
        }
        // The slow beginning has left the window.
        let left = task.left(at(60)).unwrap().as_secs();
        assert!((48..=50).contains(&left), "{left}");
    }

    #[test]
    fn without_a_total_nothing_is_foretold_and_without_bytes_units_are_told() {
        let mut rows = Progress::new("rows", None);
        rows.advance(40_000, 4 * MIB);
        assert_eq!(rows.line(at(2)), "40000 rows, 4.0 MiB, 2.0 MiB/s");
        assert_eq!((rows.left(at(2)), rows.bar()), (None, None));
        let mut cases = Progress::new("cases", Some(4));
        assert_eq!(cases.left(at(60)), None, "nothing is over yet");
        cases.advance(1, 0);
        assert_eq!(cases.line(at(20)), "1/4 cases, 0.1/s, 1m00s left");
        assert_eq!(cases.bar(), Some((1, 4)));
        cases.advance(9, 0);
        assert_eq!((cases.bar(), cases.left(at(30)).map(|left| left.as_secs())), (Some((4, 4)), Some(0)), "more than was told");
    }
}
