//! Finding how many requests at a time are best: doubling while that pays, then small steps to either side, the smaller one preferred.
//!
//! Not here: clocks and requests. Scores come in (more is better), limits go out, so that a test can play the server.

/// More than this counts as better while doubling.
const RAMP_GAIN: f64 = 1.15;

/// More than this counts as better for a step up.
const STEP_GAIN: f64 = 1.05;

/// A step down that keeps this much is taken: fewer connections do the same work.
const KEEPS: f64 = 0.98;

/// Samples at the same limit between two tries.
const REST: u32 = 6;

/// The search.
#[derive(Clone, Debug)]
pub struct Climber {
    least: usize,
    most: usize,
    /// What is known to be good, and its score.
    base: usize,
    score: f64,
    phase: Phase,
    /// The next try is for more.
    upwards: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Doubling; nothing was measured yet at the current limit.
    Ramp,
    /// At the base, so many samples more.
    Rest(u32),
    /// Trying this limit.
    Try(usize),
}

impl Climber {
    /// A search between `least` and `most`, from `first` on.
    pub fn new(first: usize, least: usize, most: usize) -> Self {
        let most = most.max(1);
        let least = least.clamp(1, most);
        Self { least, most, base: first.clamp(least, most), score: 0.0, phase: Phase::Ramp, upwards: true }
    }

    /// The limit to work at now.
    pub fn limit(&self) -> usize {
        match self.phase {
            Phase::Try(limit) => limit,
            Phase::Ramp | Phase::Rest(_) => self.base,
        }
    }

    /// Takes the score of the time since the last sample, all of it spent at [`Climber::limit`]; gives the next limit.
    pub fn sample(&mut self, score: f64) -> usize {
        match self.phase {
            Phase::Ramp if score > self.score * RAMP_GAIN && self.base < self.most => {
                self.score = score;
                self.base = (self.base * 2).min(self.most);
            }
            Phase::Ramp => {
                // The last doubling did not pay: back to what did, and measure that again.
                if score <= self.score * RAMP_GAIN {
                    self.base = (self.base / 2).max(self.least);
                }
                self.score = score;
                self.phase = Phase::Rest(REST);
            }
            Phase::Rest(0) => {
                self.score = score;
                let step = (self.base / 4).max(1);
                let wanted = if self.upwards { self.base + step } else { self.base.saturating_sub(step) }.clamp(self.least, self.most);
                self.upwards = !self.upwards;
                self.phase = if wanted == self.base { Phase::Rest(REST) } else { Phase::Try(wanted) };
            }
            Phase::Rest(left) => {
                self.score = (self.score + score) / 2.0;
                self.phase = Phase::Rest(left - 1);
            }
            Phase::Try(limit) => {
                let enough = if limit > self.base { STEP_GAIN } else { KEEPS };
                if score > self.score * enough {
                    // Once more in the same direction, and sooner.
                    self.upwards = limit > self.base;
                    self.base = limit;
                    self.score = score;
                    self.phase = Phase::Rest(1);
                } else {
                    self.phase = Phase::Rest(REST);
                }
            }
        }
        self.limit()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server that does more with more requests up to `knee`, then no more, and beyond `cliff` less.
    fn served(limit: usize, knee: usize, cliff: usize) -> f64 {
        let useful = limit.min(knee) as f64;
        if limit > cliff { useful * cliff as f64 / limit as f64 } else { useful }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_search_ends_near_the_knee_and_stays(knee in 4usize..120, beyond in 0usize..200, noise in prop::collection::vec(-0.01f64..0.01, 400)) {
            let mut climber = Climber::new(8, 4, 128);
            let mut limits = Vec::new();
            for noise in noise {
                let limit = climber.limit();
                limits.push(limit);
                climber.sample(served(limit, knee, knee + beyond) * (1.0 + noise));
            }
            let late = &limits[300..];
            prop_assert!(late.iter().all(|limit| (4..=128).contains(limit)));
            let mean = late.iter().map(|limit| served(*limit, knee, knee + beyond)).sum::<f64>() / late.len() as f64;
            prop_assert!(mean >= 0.75 * knee as f64, "{mean} of {knee}: {late:?}");
            let most = late.iter().copied().max().unwrap_or(0);
            prop_assert!(most <= (knee * 2).max(16), "{most} for a knee at {knee}");
        }
    }

    #[test]
    fn a_fixed_range_has_one_answer() {
        let mut climber = Climber::new(1, 1, 1);
        for score in [0.0, 5.0, 1.0, 100.0] {
            assert_eq!(climber.sample(score), 1);
        }
    }
}
