//! Outcomes: never pass by default.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What may be said of a recovery point, a drill or a comparison. An error of the environment is never a verdict on the data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything expected was read and was equal, and everything else that a pass needs holds.
    Pass,
    /// As a pass, but for something that the committed policy tolerates and the result names.
    PassWithException,
    /// The data, a check, or an objective failed.
    Fail,
    /// Something could not be done; says nothing of the data.
    Error,
    /// Some of it was not looked at, or nothing was there to look at.
    Inconclusive,
    /// Not tried at all, with the reason beside it.
    Untested,
}

impl Outcome {
    /// The spelling used in JSON, in the log and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::PassWithException => "pass_with_exception",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Inconclusive => "inconclusive",
            Self::Untested => "untested",
        }
    }

    /// Both kinds of pass.
    pub fn is_pass(self) -> bool {
        matches!(self, Self::Pass | Self::PassWithException)
    }

    /// The outcome of a whole from those of its parts: the gravest one; of no parts, inconclusive.
    pub fn of_all(parts: impl IntoIterator<Item = Outcome>) -> Self {
        let gravity = |outcome: &Outcome| match outcome {
            Self::Pass => 0,
            Self::PassWithException => 1,
            Self::Untested => 2,
            Self::Inconclusive => 3,
            Self::Error => 4,
            Self::Fail => 5,
        };
        parts.into_iter().max_by_key(gravity).unwrap_or(Self::Inconclusive)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_examined_is_inconclusive_and_the_gravest_part_wins() {
        assert_eq!(Outcome::of_all([]), Outcome::Inconclusive);
        assert_eq!(Outcome::of_all([Outcome::Pass, Outcome::Untested]), Outcome::Untested);
        assert_eq!(Outcome::of_all([Outcome::Fail, Outcome::Error, Outcome::Pass]), Outcome::Fail);
    }
}
