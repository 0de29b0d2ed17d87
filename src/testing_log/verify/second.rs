//! Whether the data of a database that was restored to a second shows that this second was honoured.
//!
//! One pure function of what a result says, so that a drill records and `log verify` re-derives the same. Two things have to be shown: that
//! nothing younger is in it, and that it came as far. A newest stamp before the second shows the first, of the tables that have stamps;
//! the second only where it lies near.

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::testing_log::body::{ClassPolicy, PointResult, SECOND_WITHIN_S, VerifyFacts};

/// What the data shows of the second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Second {
    /// The second that was asked for.
    at: Timestamp,
    /// Every row was compared with those of that very second, and is equal.
    by_rows: bool,
    /// Tables in which something younger could have gone unseen.
    unstamped: u64,
    /// The newest stamp in the data, of the comparison or of a freshness check.
    newest: Option<Timestamp>,
    /// What counts as near.
    within_s: u64,
}

/// What the data of `result` shows; nothing where it is not of a database restored to a second, or where its entry does not say enough.
pub fn shown(result: &PointResult, policy: Option<&ClassPolicy>) -> Option<Second> {
    let facts = result.verify.as_ref()?;
    let unstamped = facts.unstamped_tables?;
    let fresh = result.sql_checks.iter().filter(|check| check.kind == "freshness");
    let newest = fresh.filter_map(|check| check.actual.as_deref()?.parse().ok()).chain(facts.newest_stamp).max();
    let within_s = policy.and_then(|policy| policy.second_within_s).unwrap_or(SECOND_WITHIN_S);
    Some(Second { at: result.rp.created_at, by_rows: by_rows(facts), unstamped, newest, within_s })
}

fn by_rows(facts: &VerifyFacts) -> bool {
    let is_of_the_second = facts.lesser_claim.is_none() && !facts.mode.is_bounded() && facts.mode != CaptureMode::FirstRestore;
    let is_equal = |counts: &Counts| counts.matched == counts.expected && counts.extra == 0 && counts.future == 0;
    is_of_the_second && [&facts.tables, &facts.rows].into_iter().flatten().all(is_equal)
}

impl Second {
    /// Whether both are shown.
    pub fn is_shown(&self) -> bool {
        self.by_rows || (self.is_not_later() && self.is_reached())
    }

    fn is_not_later(&self) -> bool {
        self.unstamped == 0 && self.newest.is_none_or(|newest| newest <= self.at)
    }

    fn is_reached(&self) -> bool {
        self.before().is_some_and(|seconds| seconds <= self.within_s)
    }

    /// How long before the second the newest stamp is; nothing where it is after it.
    fn before(&self) -> Option<u64> {
        u64::try_from(self.at.as_secs() - self.newest.filter(|newest| *newest <= self.at)?.as_secs()).ok()
    }

    /// What is shown and what is not, in words.
    pub fn words(&self) -> String {
        let Self { at, unstamped, newest, within_s, .. } = self;
        let not_later = match (newest, unstamped) {
            (Some(newest), _) if newest > at => format!("no, the newest stamp in the data is {newest}"),
            (_, 0) => "yes".to_owned(),
            (_, n) => format!("not shown of {n} tables, which have no change stamp and may hold more than was compared"),
        };
        let reached = match (newest, self.before()) {
            (None, _) => "not shown, nothing in the data has a stamp".to_owned(),
            (Some(_), None) => "not asked".to_owned(),
            (Some(newest), Some(seconds)) if seconds <= *within_s => format!("yes, the newest stamp is {newest}"),
            (Some(newest), Some(seconds)) => {
                format!("shown up to the newest stamp {newest}, {seconds} s before it, and not for these ({within_s} s count as reached)")
            }
        };
        format!("nothing in the data shows that the second was honoured in full: not later than {at}: {not_later}; reached: {reached}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(unstamped: u64, newest: Option<i64>) -> Second {
        Second { at: Timestamp::from_secs(100), by_rows: false, unstamped, newest: newest.map(Timestamp::from_secs), within_s: 5 }
    }

    #[test]
    fn a_stamp_shows_the_second_only_near_it_and_only_where_all_have_one() {
        for (unstamped, newest, is_shown, word) in [
            (0, Some(100), true, "yes"),
            (0, Some(95), true, "yes"),
            (0, Some(94), false, "6 s before it"),
            (0, Some(101), false, "no, the newest stamp"),
            (1, Some(100), false, "not shown of 1 tables"),
            (0, None, false, "nothing in the data has a stamp"),
        ] {
            let second = second(unstamped, newest);
            assert_eq!(second.is_shown(), is_shown, "{second:?}");
            assert!(second.words().contains(word), "{}", second.words());
        }
        assert!(Second { by_rows: true, ..second(3, None) }.is_shown(), "every row of that very second");
    }
}
