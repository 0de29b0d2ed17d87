//! Bounds of one run: no read begins after so long, or after so many bytes. What is under way is finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::failure::{Failure, FailureKind};

/// What is left of a run. Clones share it.
#[derive(Clone, Debug)]
pub struct Quota {
    deadline: Option<Instant>,
    bytes: Option<u64>,
    begun: Arc<AtomicU64>,
    met: Arc<AtomicBool>,
}

impl Quota {
    /// From now on.
    pub fn new(time: Option<Duration>, bytes: Option<u64>) -> Self {
        Self { deadline: time.and_then(|time| Instant::now().checked_add(time)), bytes, begun: Arc::default(), met: Arc::default() }
    }

    /// Takes the right to read `bytes` more; an error says which bound was met. The first read is always allowed, so that a run that is
    /// repeated comes to an end.
    pub fn begin(&self, bytes: u64) -> Result<(), Failure> {
        // Once met it stays met: a small object behind a large one that was refused is not for this run either.
        let met = |what: &str| {
            self.met.store(true, Ordering::Relaxed);
            Err(Failure::new(FailureKind::Interrupted, format!("the run's {what} is used up")))
        };
        if self.met.load(Ordering::Relaxed) {
            return met("time or number of bytes");
        }
        let first = self.begun.load(Ordering::Relaxed) == 0;
        if !first && self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return met("time limit");
        }
        // An empty object counts as one byte: there may be millions.
        let bytes = bytes.max(1);
        let allowed = self.bytes.unwrap_or(u64::MAX);
        let took = self.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |begun| {
            (begun == 0 || begun.saturating_add(bytes) <= allowed).then(|| begun.saturating_add(bytes))
        });
        if took.is_err() { met("number of bytes (--max-bytes)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_read_is_allowed_and_later_ones_within_bounds() {
        let quota = Quota::new(None, Some(10));
        assert!(quota.begin(100).is_ok());
        assert_eq!(quota.clone().begin(0).unwrap_err().kind, FailureKind::Interrupted);
        let quota = Quota::new(None, Some(10));
        assert!(quota.begin(4).is_ok() && quota.begin(6).is_ok() && quota.begin(0).is_err());
        let quota = Quota::new(Some(Duration::ZERO), None);
        assert!(quota.begin(1).is_ok() && quota.begin(1).is_err());
        let quota = Quota::new(None, None);
        assert!((0..100).all(|_| quota.begin(u64::MAX).is_ok()));
    }
}
