//! Waits that end where a stop is asked for, so that nobody waits for the end of what they have given up.
//!
//! Not here: what is left behind then.

use std::pin::pin;
use std::time::Duration;

use crate::model::failure::Failure;
use crate::monitor::Monitor;

/// How often a wait looks whether it should stop.
const STOP_POLL: Duration = Duration::from_millis(100);

/// What `work` gives, unless a stop is asked for while it is waited for: then what was `stopped`.
pub async fn unless_stopped<T>(
    work: impl Future<Output = T>,
    monitor: &dyn Monitor,
    stopped: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(STOP_POLL, &mut work).await {
            return Ok(done);
        }
        if monitor.stop_requested() {
            return Err(stopped());
        }
    }
}
