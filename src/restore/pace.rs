//! Waiting: growing pauses up to a deadline, ended early when the user asks to stop.

use std::time::Duration;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::monitor::Monitor;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(15);
/// Ctrl-C is not kept waiting for longer.
const NAP: Duration = Duration::from_millis(200);

/// The end of `work`, which changes nothing; ended before it where a stop is asked for.
///
/// # Errors
/// [`FailureKind::Interrupted`] then: stopped while it was listed `what`.
pub async fn unless_stopped<T>(monitor: &dyn Monitor, what: &str, work: impl Future<Output = T>) -> Result<T, Failure> {
    let stop = async {
        while !monitor.stop_requested() {
            tokio::time::sleep(NAP).await;
        }
    };
    tokio::select! {
        done = work => Ok(done),
        () = stop => Err(Failure::new(FailureKind::Interrupted, format!("stopped while it was listed {what}"))),
    }
}

/// Pauses between looks at something that takes its time.
pub struct Pace {
    what: String,
    next: Duration,
    until: Timestamp,
}

impl Pace {
    /// Waits for `what` until `seconds` from now.
    pub fn new(what: impl Into<String>, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::from(u32::MAX));
        Self { what: what.into(), next: FIRST, until: Timestamp::now().plus_secs(seconds) }
    }

    /// One pause.
    ///
    /// # Errors
    /// [`FailureKind::Interrupted`] when a stop was asked for, [`FailureKind::Remote`] when the deadline has passed.
    pub async fn pause(&mut self, monitor: &dyn Monitor) -> Result<(), Failure> {
        let end = tokio::time::Instant::now() + self.next;
        loop {
            if monitor.stop_requested() {
                return Err(Failure::new(FailureKind::Interrupted, format!("stopped while waiting for {}", self.what)));
            }
            let now = tokio::time::Instant::now();
            if now >= end {
                break;
            }
            tokio::time::sleep((end - now).min(NAP)).await;
        }
        if Timestamp::now() > self.until {
            return Err(Failure::new(FailureKind::Remote, format!("{}: its deadline has passed", self.what)));
        }
        self.next = (self.next * 3 / 2).min(LONGEST);
        Ok(())
    }
}
