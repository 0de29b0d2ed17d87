//! Time objectives: what was achieved, and whether it met the target.
//!
//! RTO: from the request to the end of verification. RPO: from the newest restorable point's data to the drill's beginning.

use crate::model::check::CheckResult;
use crate::model::clock::Timestamp;
use crate::testing_log::body::Objective;

/// The recovery time: absent where the point was never verified.
pub fn rto(target_s: Option<u64>, requested: Option<Timestamp>, verified: Option<Timestamp>) -> Objective {
    let achieved_ms = requested.zip(verified).map(|(from, to)| u64::try_from(to.millis_since(from)).unwrap_or(0));
    objective(target_s, achieved_ms, None, "requested to verified")
}

/// No recovery time: the recovery point was read where it lies.
pub fn no_rto(target_s: Option<u64>) -> Objective {
    objective(target_s, None, None, "not measured: nothing was restored, the recovery point was read through a backup access point")
}

/// The recovery point: the age of the newest listed point of the resource at the reference time.
pub fn rpo(target_s: Option<u64>, reference_at: Timestamp, newest: Option<Timestamp>) -> Objective {
    let achieved_ms = newest.map(|newest| u64::try_from(reference_at.millis_since(newest)).unwrap_or(0));
    objective(
        target_s,
        achieved_ms,
        Some(reference_at),
        "age of the newest listed point at the drill's beginning; whether that point restores is the result of its own case",
    )
}

/// Says beside the achieved RPO what the data itself shows: the newest stamp that a freshness check read in what was restored.
///
/// It corroborates and does not judge: a quiet night is not data loss.
pub fn corroborate(rpo: &mut Objective, point_at: Timestamp, checks: &[CheckResult]) {
    let stamps =
        checks.iter().filter(|check| check.kind == "freshness").filter_map(|check| check.actual.as_deref()?.parse::<Timestamp>().ok());
    let Some(newest) = stamps.max() else { return };
    let apart = point_at.as_secs() - newest.as_secs();
    rpo.basis += &if apart >= 0 {
        format!("; newest stamp in the data {newest}, {apart} s before the point")
    } else {
        // Dates of what is still to come, or a clock ahead: they say nothing of when the backup was taken.
        format!("; newest stamp in the data {newest}, {} s after the point: corroborates nothing", -apart)
    };
}

fn objective(target_s: Option<u64>, achieved_ms: Option<u64>, reference_at: Option<Timestamp>, basis: &str) -> Objective {
    let met = target_s.zip(achieved_ms).map(|(target, achieved)| u128::from(achieved) <= u128::from(target) * 1000);
    let basis = if target_s.is_some() { basis.to_owned() } else { format!("not_required; {basis}") };
    Objective { target_s, achieved_ms, reference_at, basis, met }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_neither_met_nor_missed() {
        let at = Timestamp::from_secs;
        assert_eq!(rto(Some(10), Some(at(0)), None).met, None);
        assert_eq!(rto(Some(10), Some(at(0)), Some(at(10))).met, Some(true));
        assert_eq!(rto(Some(10), Some(at(0)), Some(at(11))).met, Some(false));
        assert_eq!((rto(None, Some(at(0)), Some(at(11))).met, rto(None, Some(at(0)), Some(at(11))).achieved_ms), (None, Some(11_000)));
        assert_eq!(rpo(Some(60), at(100), Some(at(30))).achieved_ms, Some(70_000));
        assert_eq!(rpo(Some(60), at(100), Some(at(200))).achieved_ms, Some(0), "a clock ahead of ours is not an age");
        assert_eq!(rpo(Some(60), at(100), None).met, None);
    }
}
