//! Whether the data of a database that was restored to a second shows that this second was honoured.
//!
//! One pure function of what a result says, so that a drill records and `log verify` re-derives the same. Two things have to be shown: that
//! nothing younger is in it, and that it came as far. A newest stamp before the second shows the first, of the tables that have stamps;
//! the second only where it lies near.
//!
//! A restore that stops between its newest stamp and the second, and lost nothing that has a stamp but what was written in between, looks
//! the same as an honest one after which nothing was written. Only the source tells them apart, and a drill does not read production:
//! what it must not touch it cannot harm. Where the configuration names the running source (`live`), it is asked; what it has and the
//! restore lacks stands against the second, never against the data, because it may have been committed after it.

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::testing_log::body::{ClassPolicy, SECOND_WITHIN_S};
use crate::testing_log::point_result::{PointResult, RpFacts, VerifyFacts};
use crate::testing_log::restore_facts::SourceStamps;

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
    /// What the running source said, where it was asked.
    source: Option<SourceStamps>,
}

/// What the data of `result` shows; nothing where it is not of a database restored to a second, or where its entry does not say enough.
pub fn shown(result: &PointResult, policy: Option<&ClassPolicy>) -> Option<Second> {
    let facts = result.verify.as_ref()?;
    let unstamped = facts.unstamped_tables?;
    let fresh = result.sql_checks.iter().filter(|check| check.kind == "freshness");
    let newest = fresh.filter_map(|check| check.actual.as_deref()?.parse().ok()).chain(facts.newest_stamp).max();
    let within_s = policy.and_then(|policy| policy.second_within_s).unwrap_or(SECOND_WITHIN_S);
    Some(Second { at: result.rp.created_at, by_rows: by_rows(facts), unstamped, newest, within_s, source: facts.source_stamps })
}

/// Whether a point is one second of a continuous backup, which its identity then names.
pub fn is_in_time(point: &RpFacts) -> bool {
    point.from != "local" && point.id.0.contains('@')
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

    /// The newest stamp in the data.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// What shows it, or what is missing, for people.
    pub fn how(&self) -> String {
        match self.before() {
            _ if self.by_rows => "every row is equal to those of that very second".to_owned(),
            Some(seconds) if self.is_shown() => {
                let apart = if seconds == 0 { "in that second".to_owned() } else { format!("{seconds} s before it") };
                format!("nothing is younger, and the newest stamp lies {apart}: {} s count as reached{}", self.within_s, self.of_source())
            }
            _ => self.words(),
        }
    }

    fn is_not_later(&self) -> bool {
        self.unstamped == 0 && self.newest.is_none_or(|newest| newest <= self.at)
    }

    fn is_reached(&self) -> bool {
        self.behind() == 0 && self.before().is_some_and(|seconds| seconds <= self.within_s)
    }

    /// In how many tables the running source has something of up to the second that is not there.
    fn behind(&self) -> u64 {
        self.source.map_or(0, |source| source.behind)
    }

    /// What the running source adds to what the data shows, in words.
    fn of_source(&self) -> String {
        let Some(SourceStamps { asked, behind, gone, unasked, .. }) = self.source else { return String::new() };
        let mut said = match (asked, behind) {
            (0, _) => "; the running source gave no answer".to_owned(),
            (_, 0) => format!("; the running source has nothing newer up to then, of {asked} tables"),
            (_, n) => format!("; the running source has newer rows up to then in {n} of {asked} tables"),
        };
        if gone > 0 {
            said += &format!(", and in {gone} its own newest row of then is gone or changed");
        }
        if asked > 0 && unasked > 0 {
            said += &format!(", and of {unasked} it gave no answer");
        }
        said
    }

    /// How long before the second the newest stamp is; nothing where it is after it.
    pub fn before(&self) -> Option<u64> {
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
            _ if self.behind() > 0 => "no, newer rows of up to then are missing: lost, or committed after it".to_owned(),
            (None, _) => "not shown, nothing in the data has a stamp".to_owned(),
            (Some(_), None) => "not asked".to_owned(),
            (Some(newest), Some(seconds)) if seconds <= *within_s => format!("yes, the newest stamp is {newest}"),
            (Some(newest), Some(seconds)) => {
                format!("shown up to the newest stamp {newest}, {seconds} s before it, and not for these ({within_s} s count as reached)")
            }
        };
        format!(
            "nothing in the data shows that the second was honoured in full: not later than {at}: {not_later}; reached: {reached}{}",
            self.of_source()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(unstamped: u64, newest: Option<i64>) -> Second {
        Second {
            at: Timestamp::from_secs(100),
            by_rows: false,
            unstamped,
            newest: newest.map(Timestamp::from_secs),
            within_s: 5,
            source: None,
        }
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
            assert_eq!(second.how() == second.words(), !is_shown, "{}", second.how());
        }
        let asked = |behind| Some(SourceStamps { asked: 2, behind, gone: 1, ..SourceStamps::default() });
        let seen = Second { source: asked(0), ..second(0, Some(98)) };
        assert!(
            seen.is_shown() && seen.how().contains("nothing newer up to then") && seen.how().contains("in 1 its own"),
            "{}",
            seen.how()
        );
        let lacking = Second { source: asked(1), ..second(0, Some(98)) };
        assert!(!lacking.is_shown() && lacking.words().contains("newer rows of up to then are missing"), "{}", lacking.words());
        // That the source has nothing newer does not bring a far stamp near: it may have had.
        assert!(!Second { source: asked(0), ..second(0, Some(40)) }.is_shown());
        assert!(Second { by_rows: true, ..second(3, None) }.is_shown(), "every row of that very second");
    }
}
