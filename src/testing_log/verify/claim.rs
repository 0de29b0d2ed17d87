//! Why a comparison proves less than its manifest was captured for: one rule, recorded by the drill and derived again by `log verify`.
//!
//! The words stand in entries for ever and are compared as they are: others need another `RESULT_VERSION`.

use crate::model::capture::CaptureMode;

/// The manifest is of another moment than the point.
pub const OTHER_MOMENT: &str = "the manifest does not name this recovery point";
/// The database does not stand where its manifest was captured.
pub const OTHER_POSITION: &str = "what was restored shows another position than the manifest's";

/// Why it proves less, in words; nothing where it proves as much. `captured` is the manifest's mode, `compared` the one that it counted in.
pub fn lesser(names_the_point: bool, captured: CaptureMode, compared: CaptureMode) -> Option<&'static str> {
    if !names_the_point {
        return Some(OTHER_MOMENT);
    }
    (captured == CaptureMode::SnapshotExact && compared != captured).then_some(OTHER_POSITION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_proved_of_another_moment_and_of_another_position() {
        use CaptureMode::{PositionBounded, Sealed, SnapshotExact};
        for (names, captured, compared, expected) in [
            (true, SnapshotExact, SnapshotExact, None),
            (true, SnapshotExact, PositionBounded, Some(OTHER_POSITION)),
            (true, Sealed, Sealed, None),
            (true, PositionBounded, PositionBounded, None),
            (false, Sealed, PositionBounded, Some(OTHER_MOMENT)),
            (false, SnapshotExact, PositionBounded, Some(OTHER_MOMENT)),
        ] {
            assert_eq!(lesser(names, captured, compared), expected, "{names} {captured} {compared}");
        }
    }
}
