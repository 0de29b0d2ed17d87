//! How fast a table is read: as many read capacity units a second as are allowed, by what the service says that it charged.
//!
//! Not here: what is done when the service throttles all the same (`segments`).

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// What a page is taken to cost where the service does not say: the most, 1 MB in units of 4 KB (DynamoDB developer guide, "Scan").
const UNSAID: f64 = 256.0;

/// Shares out capacity among all segments of one scan.
#[derive(Debug)]
pub struct Pacer {
    /// Units a second; none is without limit.
    rate: Option<f64>,
    segments: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Until then the capacity is spent.
    free_at: Instant,
    /// What an item costs, as measured so far.
    units_per_item: Option<f64>,
    spent: f64,
}

impl Pacer {
    /// `rate` units a second for `segments` segments together.
    pub fn new(rate: Option<f64>, segments: u32) -> Self {
        let state = State { free_at: Instant::now(), units_per_item: None, spent: 0.0 };
        Self { rate: rate.map(|rate| rate.max(0.1)), segments: f64::from(segments.max(1)), state: Mutex::new(state) }
    }

    /// The most items that a page may have, so that one page costs no more than a segment's share of a second. Nothing without a limit.
    pub fn limit(&self) -> Option<u32> {
        let share = self.rate? / self.segments;
        // Before anything was measured: an item of 4 KB, one unit.
        let each = self.state().units_per_item.unwrap_or(1.0).max(0.001);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some((share / each).clamp(1.0, 100_000.0) as u32)
    }

    /// Waits for the turn of one more page, and books what it will probably cost; gives that for [`Pacer::spent`].
    pub async fn turn(&self) -> f64 {
        let Some((at, booked)) = self.book(Instant::now()) else { return 0.0 };
        tokio::time::sleep_until(at).await;
        booked
    }

    /// When the next page may be asked for, and what is booked for it; nothing without a limit.
    fn book(&self, now: Instant) -> Option<(Instant, f64)> {
        let rate = self.rate?;
        let booked = self.booking();
        let mut state = self.state();
        let at = state.free_at.max(now);
        state.free_at = at + seconds(booked / rate);
        Some((at, booked))
    }

    fn booking(&self) -> f64 {
        let limit = f64::from(self.limit().unwrap_or(1));
        self.state().units_per_item.map_or(1.0, |each| (each * limit).max(0.5))
    }

    /// What a page cost, with `items` items in it, against what was booked for it.
    pub fn spent(&self, booked: f64, units: Option<f64>, items: usize) {
        let units = units.unwrap_or(UNSAID);
        let mut state = self.state();
        state.spent += units;
        if items > 0 {
            #[allow(clippy::cast_precision_loss)]
            let each = units / items as f64;
            state.units_per_item = Some(state.units_per_item.map_or(each, |before| 0.8 * before + 0.2 * each));
        }
        if let Some(rate) = self.rate {
            let more = (units - booked) / rate;
            state.free_at = if more >= 0.0 {
                state.free_at + seconds(more)
            } else {
                state.free_at.checked_sub(seconds(-more)).unwrap_or(state.free_at)
            };
        }
    }

    /// Units so far.
    pub fn total(&self) -> f64 {
        self.state().spent
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Held for arithmetic alone.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_kept_to_by_what_was_charged() {
        let pacer = Pacer::new(Some(10.0), 2);
        let began = Instant::now();
        let (mut now, mut total) = (began, 0.0);
        for page in 0..60 {
            let (at, booked) = pacer.book(now).unwrap();
            now = at;
            // Items of 2 units, then of half a unit.
            let items = pacer.limit().unwrap();
            let units = f64::from(items) * if page < 30 { 2.0 } else { 0.5 };
            total += units;
            pacer.spent(booked, Some(units), items as usize);
        }
        let (now, _) = pacer.book(now).unwrap();
        let rate = total / (now - began).as_secs_f64();
        assert!((9.0..=11.0).contains(&rate), "{rate} units a second for 10");
        assert!((pacer.total() - total).abs() < 0.01);
    }

    #[test]
    fn without_a_limit_nobody_waits_and_unsaid_costs_are_the_highest() {
        let now = Instant::now();
        let pacer = Pacer::new(None, 4);
        assert_eq!((pacer.book(now), pacer.limit()), (None, None));
        let careful = Pacer::new(Some(256.0), 1);
        let (_, booked) = careful.book(now).unwrap();
        careful.spent(booked, None, 5);
        let (next, _) = careful.book(now).unwrap();
        assert!(next - now >= Duration::from_millis(990), "{:?}", next - now);
    }
}
