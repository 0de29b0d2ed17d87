//! Which version of a key was the newest at an instant, out of all its versions and delete markers.
//!
//! S3 states LastModified in whole seconds, and of a multipart upload when it was begun: a version of the very second of the instant may
//! have come before it or after. And a version `null` that was written after the instant has replaced another `null`, which nobody knows
//! any more. In both cases the state of the key is undecided, and never guessed.
//!
//! Versions that a lifecycle rule or a person has deleted for good leave no trace: this is what a view in time cannot see.

use crate::model::clock::Timestamp;
use crate::verify::objects::source::EntryKind;

/// The version id of what was written while versioning was off.
const NULL: &str = "null";

/// What of a version decides.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// LastModified.
    pub modified: Option<Timestamp>,
    /// The version id.
    pub version_id: Option<&'a str>,
    /// An object or a delete marker.
    pub kind: EntryKind,
}

/// The state of a key at the instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// There was none: not yet written, or deleted.
    Absent,
    /// The version with this index.
    Was(usize),
    /// It cannot be told; perhaps the version with this index.
    Undecided(usize, String),
}

/// The state at `at` of a key whose versions are `stamps`, oldest first.
pub fn state_at(stamps: &[Stamp<'_>], at: Timestamp) -> State {
    let second = at.as_secs();
    let of = |stamp: &Stamp<'_>| stamp.modified.map(Timestamp::as_secs);
    let newest_before = stamps.iter().rposition(|stamp| of(stamp).is_some_and(|modified| modified < second));
    let perhaps = stamps.iter().rposition(|stamp| of(stamp).is_none_or(|modified| modified <= second)).unwrap_or(0);
    if stamps.iter().any(|stamp| stamp.modified.is_none()) {
        return State::Undecided(perhaps, "one of its versions has no date".into());
    }
    if stamps.iter().any(|stamp| of(stamp) == Some(second)) {
        return State::Undecided(perhaps, format!("a version of it was written in the very second of {at}, before or after it"));
    }
    if stamps.iter().any(|stamp| stamp.version_id.is_none_or(|id| id == NULL) && of(stamp) > Some(second)) {
        return State::Undecided(perhaps, format!("its version `null` was written over after {at}: what it was then is gone"));
    }
    let Some(newest) = newest_before else { return State::Absent };
    if stamps[..newest].iter().any(|stamp| of(stamp) > Some(second)) {
        return State::Undecided(newest, format!("the order of its versions and their dates contradict each other around {at}"));
    }
    if stamps[newest].kind == EntryKind::DeleteMarker { State::Absent } else { State::Was(newest) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamps(of: &[(i64, bool)]) -> Vec<Stamp<'static>> {
        let kind = |deleted| if deleted { EntryKind::DeleteMarker } else { EntryKind::Object };
        of.iter()
            .map(|&(s, deleted)| Stamp { modified: Some(Timestamp::from_secs(s)), version_id: Some("v"), kind: kind(deleted) })
            .collect()
    }

    #[test]
    fn the_newest_before_the_instant_is_the_state_and_its_own_second_is_undecided() {
        let versions = stamps(&[(10, false), (20, true), (30, false)]);
        let at = |seconds| state_at(&versions, Timestamp::from_secs(seconds));
        assert_eq!(at(5), State::Absent);
        assert_eq!(at(15), State::Was(0));
        assert_eq!(at(25), State::Absent);
        assert_eq!(at(31), State::Was(2));
        assert!(matches!(at(30), State::Undecided(2, _)));
        assert!(matches!(state_at(&versions, Timestamp(20_400_000)), State::Undecided(1, _)));
    }

    #[test]
    fn a_null_version_written_later_hides_what_it_replaced() {
        let mut versions = stamps(&[(10, false), (30, false)]);
        versions[1].version_id = Some("null");
        assert!(matches!(state_at(&versions, Timestamp::from_secs(20)), State::Undecided(0, _)));
        assert_eq!(state_at(&versions, Timestamp::from_secs(40)), State::Was(1));
    }

    #[test]
    fn dates_that_contradict_the_order_decide_nothing() {
        let versions = stamps(&[(30, false), (10, false)]);
        assert!(matches!(state_at(&versions, Timestamp::from_secs(20)), State::Undecided(1, _)));
    }

    proptest! {
        /// The naive model: replay the writes one by one and look at the instant.
        #[test]
        fn replaying_the_writes_gives_the_same_state(mut of in prop::collection::vec((0i64..12, any::<bool>()), 0..7), at in 0i64..12) {
            of.sort_by_key(|(seconds, _)| *seconds);
            let found = if of.is_empty() { State::Absent } else { state_at(&stamps(&of), Timestamp::from_secs(at)) };
            if of.iter().any(|(seconds, _)| *seconds == at) {
                prop_assert!(matches!(found, State::Undecided(..)));
            } else {
                let mut now = State::Absent;
                for (index, (seconds, deleted)) in of.iter().enumerate() {
                    if *seconds < at {
                        now = if *deleted { State::Absent } else { State::Was(index) };
                    }
                }
                prop_assert_eq!(found, now);
            }
        }
    }
}
