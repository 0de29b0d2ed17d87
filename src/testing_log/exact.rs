//! Exact arithmetic for sampling bounds: natural numbers of any size, as far as hypergeometric probabilities need them.
//!
//! Ties are real: of 20 points, 19 are drawn because the chance to miss a single bad one is then exactly 5 %. Floating point decides ties
//! by accident; this does not. Not here: signed numbers, or anything fast for thousands of digits.

use std::cmp::Ordering;

/// A natural number; limbs of 64 bits, lowest first, none of them zero at the top.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Natural(Vec<u64>);

impl Natural {
    /// From a machine number.
    pub fn new(n: u64) -> Self {
        Self(if n == 0 { Vec::new() } else { vec![n] })
    }

    /// `self · factor`
    #[must_use]
    pub fn times(mut self, factor: u64) -> Self {
        let mut carry = 0u128;
        for limb in &mut self.0 {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
        self.trimmed()
    }

    /// `self / divisor`, which must leave no remainder.
    #[must_use]
    pub fn over(mut self, divisor: u64) -> Self {
        let mut remainder = 0u128;
        for limb in self.0.iter_mut().rev() {
            let part = (remainder << 64) | u128::from(*limb);
            *limb = (part / u128::from(divisor)) as u64;
            remainder = part % u128::from(divisor);
        }
        debug_assert_eq!(remainder, 0, "only exact divisions are asked for");
        self.trimmed()
    }

    /// `self + other`
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        let mut carry = 0u128;
        for at in 0..self.0.len().max(other.0.len()) {
            if at == self.0.len() {
                self.0.push(0);
            }
            let sum = u128::from(self.0[at]) + u128::from(other.0.get(at).copied().unwrap_or(0)) + carry;
            self.0[at] = sum as u64;
            carry = sum >> 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
        self
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// C(n, k): how many ways there are to choose `k` of `n`.
pub fn choose(n: u64, k: u64) -> Natural {
    if k > n {
        return Natural::default();
    }
    let k = k.min(n - k);
    (1..=k).fold(Natural::new(1), |ways, i| ways.times(n - k + i).over(i))
}

/// The ways to draw `n` of `population` points, `bad` of which are bad, with at most `most` bad ones among those drawn:
/// Σ C(bad, i) · C(population − bad, n − i) for i = 0 … most.
pub fn ways_with_at_most(population: u64, bad: u64, n: u64, most: u64) -> Natural {
    let good = population - bad;
    let first = n.saturating_sub(good);
    let last = most.min(bad).min(n);
    if first > last {
        return Natural::default();
    }
    let mut sum = Natural::default();
    // The first term has one factor that is 1: either i = 0, or all good ones are drawn.
    let mut term = if first == 0 { choose(good, n) } else { choose(bad, first) };
    for i in first..=last {
        sum = sum.plus(&term);
        if i < last {
            term = term.times(bad - i).times(n - i).over(i + 1).over(good + i + 1 - n);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small(n: &Natural) -> u128 {
        n.0.iter().rev().fold(0, |value, limb| (value << 64) | u128::from(*limb))
    }

    #[test]
    fn binomials_are_those_of_pascal() {
        let mut row = vec![1u128];
        for n in 0..100u64 {
            for (k, expected) in row.iter().enumerate() {
                assert_eq!(small(&choose(n, k as u64)), *expected, "C({n}, {k})");
            }
            row = std::iter::once(1).chain(row.windows(2).map(|pair| pair[0] + pair[1])).chain([1]).collect();
        }
        assert_eq!(choose(3, 4), Natural::default());
        assert!(choose(2000, 1000) > choose(2000, 999));
    }

    proptest! {
        #[test]
        fn all_ways_together_are_the_binomial(population in 1u64..60, bad in 0u64..60, n in 0u64..60) {
            let (bad, n) = (bad.min(population), n.min(population));
            prop_assert_eq!(ways_with_at_most(population, bad, n, n), choose(population, n));
            for most in 0..n {
                let brute: u128 = (0..=most.min(bad)).filter(|i| n - i <= population - bad)
                    .map(|i| small(&choose(bad, i)) * small(&choose(population - bad, n - i))).sum();
                prop_assert_eq!(small(&ways_with_at_most(population, bad, n, most)), brute);
            }
        }
    }
}
