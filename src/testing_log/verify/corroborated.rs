//! What the data itself says beside an achieved RPO: the newest stamp that the comparison or a freshness check read in what was restored, and
//! canaries that came back. One pure function of the result, so that a drill records and `log verify` derives the same words.
//!
//! It corroborates and does not judge: a quiet night is not data loss.

use crate::model::check::CheckOutcome;
use crate::model::clock::Timestamp;
use crate::testing_log::point_result::PointResult;

const STAMP: &str = "; newest stamp in the data ";
/// What is said of the data is not of the point whose age it is.
const OF_ANOTHER: &str = "; of this case's own point, which is another one";
const CANARY: &str = "; came back as planted: ";

/// The end of the RPO's basis; empty where nothing corroborates it.
pub fn words(result: &PointResult) -> String {
    let checks = &result.sql_checks;
    let stamps =
        checks.iter().filter(|check| check.kind == "freshness").filter_map(|check| check.actual.as_deref()?.parse::<Timestamp>().ok());
    let of_the_rows = result.verify.as_ref().and_then(|facts| facts.newest_stamp);
    let mut words = stamps.chain(of_the_rows).max().map(|newest| stamp(newest, result.rp.created_at)).unwrap_or_default();
    let is_back = |check: &&crate::model::check::CheckResult| check.kind == "canary" && check.result == CheckOutcome::Pass;
    let canaries: Vec<&str> = checks.iter().filter(is_back).map(|check| check.id.as_str()).collect();
    if !canaries.is_empty() {
        words += &format!("{CANARY}{}", canaries.join(", "));
    }
    words
}

/// The same for an entry: where the age is that of another point than the one that was read, that stands before it.
pub fn stated(result: &PointResult) -> String {
    let words = words(result);
    let is_of_another = result.rpo.point.as_ref().is_some_and(|point| *point != result.rp.id);
    if is_of_another && !words.is_empty() { format!("{OF_ANOTHER}{words}") } else { words }
}

fn stamp(newest: Timestamp, point_at: Timestamp) -> String {
    let apart = point_at.as_secs() - newest.as_secs();
    if apart >= 0 {
        format!("{STAMP}{newest}, {apart} s before the point")
    } else {
        // Dates of what is still to come, or a clock ahead: they say nothing of when the backup was taken.
        format!("{STAMP}{newest}, {} s after the point: corroborates nothing", -apart)
    }
}

/// Whether a basis says of the data what the result has, and nothing that it has not.
pub fn fits(basis: &str, result: &PointResult) -> bool {
    let words = words(result);
    basis.strip_suffix(&words).is_some_and(|before| !before.contains(STAMP) && !before.contains(CANARY))
}
