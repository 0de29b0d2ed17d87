//! Exit codes: one documented type (the table is in the README too).

use crate::model::outcome::Outcome;

/// How a run ended, for the shell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: proven.
    Proven = 0,
    /// 1: findings, or a bad signature, part digest or log.
    Findings = 1,
    /// 2: usage, configuration, source URL, key, unreadable manifest.
    Usage = 2,
    /// 3: incomplete, inconclusive or untested; safe to resume.
    Incomplete = 3,
    /// 4: denied; an absent bucket, table or database; a refusal of the guard.
    Denied = 4,
    /// 5: network, throttling, full disk.
    Environment = 5,
    /// 6: something was left behind.
    LeftBehind = 6,
    /// 130: the second Ctrl-C.
    Killed = 130,
}

impl ExitCode {
    /// The number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// When several hold: 6 > 1 > 4 > 5 > 3 (a usage error ends the run before any other can hold).
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |code: Self| match code {
            Self::Proven => 0,
            Self::Incomplete => 1,
            Self::Environment => 2,
            Self::Denied => 3,
            Self::Findings => 4,
            Self::LeftBehind => 5,
            Self::Usage => 6,
            Self::Killed => 7,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// The code of an outcome when nothing else is known.
    pub fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass | Outcome::PassWithException => Self::Proven,
            Outcome::Fail => Self::Findings,
            Outcome::Error | Outcome::Inconclusive | Outcome::Untested => Self::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_code_wins_whatever_the_order() {
        let order =
            [ExitCode::Proven, ExitCode::Incomplete, ExitCode::Environment, ExitCode::Denied, ExitCode::Findings, ExitCode::LeftBehind];
        for (i, low) in order.iter().enumerate() {
            for high in &order[i..] {
                assert_eq!(low.and(*high), *high);
                assert_eq!(high.and(*low), *high);
            }
        }
    }
}
