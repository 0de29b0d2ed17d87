//! Time objectives: what was achieved, and whether it met the target.
//!
//! RTO: from the request to the end of verification. Not here: the RPO (`testing_log::verify::rpo`), and what the data says beside it
//! (`testing_log::verify::corroborated`).

use crate::model::clock::Timestamp;
use crate::testing_log::point_result::Objective;

/// The recovery time: absent where the point was never verified.
pub fn rto(target_s: Option<u64>, requested: Option<Timestamp>, verified: Option<Timestamp>) -> Objective {
    let achieved_ms = requested.zip(verified).map(|(from, to)| u64::try_from(to.millis_since(from)).unwrap_or(0));
    Objective::judged(target_s, achieved_ms, None, "requested to verified")
}

/// No recovery time: the recovery point was read where it lies.
pub fn no_rto(target_s: Option<u64>) -> Objective {
    Objective::judged(target_s, None, None, "not measured: nothing was restored, the recovery point was read through a backup access point")
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
    }
}
