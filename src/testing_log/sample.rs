//! Verifiable sampling: pure functions of what the log holds. Anyone can repeat the draw with `openssl` in a shell:
//! `printf %s "$id" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$SEED -r`; the lowest ranks of each stratum are the sample.
//!
//! Not here: which points belong into a population, and how many a policy asks for (`due`).

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::digest::Digest32;
use crate::model::ids::PointId;
use crate::model::outcome::Outcome;
use crate::signing::checkpoint::Checkpoint;
use crate::testing_log::body::{Inference, PopulationItem, Selected, Stratum};
use crate::testing_log::exact::{Natural, choose, ways_with_at_most};

/// The name of this way of drawing.
pub const METHOD: &str = "hmac-rank/v1";
/// Populations up to this size have exact bounds; an entry of 60,000 bytes holds far fewer points.
pub const LIMIT_POPULATION: u64 = 100_000;

const MILLION: u64 = 1_000_000;

/// The beacon `checkpoint:SIZE:ROOTHEX` of the last checkpoint before the commitment. The weakest one: its operator could have retried.
pub fn checkpoint_beacon(checkpoint: &Checkpoint) -> String {
    format!("checkpoint:{}:{}", checkpoint.size, checkpoint.root)
}

/// `SHA256("attestore/sample/v1|" + origin + "|" + population leaf hash in hex + "|" + beacon)`
pub fn seed(origin: &str, population_leaf: &Digest32, beacon: &str) -> Digest32 {
    Digest32::sha256(format!("attestore/sample/v1|{origin}|{population_leaf}|{beacon}").as_bytes())
}

/// `HMAC-SHA256(seed, id)`
pub fn rank(seed: &Digest32, id: &PointId) -> Digest32 {
    let mac = Hmac::<Sha256>::new_from_slice(&seed.0).expect("HMAC takes keys of any length");
    Digest32(mac.chain_update(id.0.as_bytes()).finalize().into_bytes().into())
}

/// The `sample` lowest ranks of each stratum, strata in their order, best rank first within each.
pub fn select(seed: &Digest32, population: &[PopulationItem], strata: &[Stratum]) -> Vec<Selected> {
    let mut selected = Vec::new();
    for stratum in strata {
        let members = population.iter().filter(|item| item.stratum == stratum.name);
        let mut ranked: Vec<Selected> = members.map(|item| Selected { id: item.id.clone(), rank: rank(seed, &item.id) }).collect();
        ranked.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.id.cmp(&b.id)));
        ranked.truncate(usize::try_from(stratum.sample).unwrap_or(usize::MAX));
        selected.append(&mut ranked);
    }
    selected
}

/// The smallest sample of `population` points that, when none of them is bad, shows with the confidence that fewer than
/// `D = ceil(tolerable · population)` are: hypergeometric, exact. Both shares in millionths.
pub fn sample_size(population: u64, confidence_ppm: u64, tolerable_ppm: u64) -> u64 {
    let bad = u64::try_from((u128::from(population) * u128::from(tolerable_ppm)).div_ceil(u128::from(MILLION))).unwrap_or(u64::MAX);
    if population == 0 || bad == 0 || population > LIMIT_POPULATION {
        return population;
    }
    let enough = |n: u64| !could_hide(population, bad.min(population), n, 0, confidence_ppm);
    // More is never less certain, so the smallest sufficient n can be bisected.
    let (mut low, mut high) = (0, population);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The same for a population without end: `n = ceil(ln(1 − confidence) / ln(1 − tolerable))`.
pub fn zero_failure_size(confidence_ppm: u64, tolerable_ppm: u64) -> u64 {
    let share = |ppm: u64| 1.0 - ppm.min(MILLION) as f64 / MILLION as f64;
    if confidence_ppm == 0 || tolerable_ppm == 0 || tolerable_ppm >= MILLION {
        return u64::from(confidence_ppm > 0);
    }
    let n = share(confidence_ppm).ln() / share(tolerable_ppm).ln();
    // An exact answer must not become the next number by the last bit of a logarithm.
    if (n - n.round()).abs() < 1e-9 { n.round() as u64 } else { n.ceil() as u64 }
}

/// With the confidence, no more than so many of `population` points are bad, when `deviations` of the `drawn` ones are. Hypergeometric,
/// exact: the largest D under which so few bad ones among those drawn still have a chance above 1 − confidence.
pub fn upper_bound(population: u64, drawn: u64, deviations: u64, confidence_ppm: u64) -> u64 {
    let (drawn, deviations) = (drawn.min(population), deviations.min(drawn));
    if drawn == population {
        return deviations;
    }
    // What was not drawn can all be bad: also the safe answer beyond what is computed exactly.
    let most = population - drawn + deviations;
    if drawn == 0 || population > LIMIT_POPULATION {
        return most;
    }
    let (mut low, mut high) = (deviations, most);
    while low < high {
        let middle = high - (high - low) / 2;
        if could_hide(population, middle, drawn, deviations, confidence_ppm) { low = middle } else { high = middle - 1 }
    }
    low
}

/// Whether `bad` bad points would show at most `seen` of themselves among `n` drawn with a chance above 1 − confidence.
fn could_hide(population: u64, bad: u64, n: u64, seen: u64, confidence_ppm: u64) -> bool {
    let doubt = MILLION - confidence_ppm.min(MILLION);
    let hidden: Natural = ways_with_at_most(population, bad, n, seen).times(MILLION);
    hidden > choose(population, n).times(doubt)
}

/// What the drawn points say of each stratum. `outcome` gives the outcome of a drawn point; a point without one is a deviation, as is
/// every outcome but the two kinds of pass: there is no second draw.
pub fn inference(
    population: &[PopulationItem],
    strata: &[Stratum],
    selected: &[Selected],
    confidence_ppm: &BTreeMap<String, u64>,
    outcome: &dyn Fn(&PointId) -> Option<Outcome>,
) -> Vec<Inference> {
    let stratum_of: BTreeMap<&PointId, &str> = population.iter().map(|item| (&item.id, item.stratum.as_str())).collect();
    let of_stratum = |stratum: &Stratum| {
        let drawn: Vec<&Selected> = selected.iter().filter(|s| stratum_of.get(&s.id) == Some(&stratum.name.as_str())).collect();
        let deviations = drawn.iter().filter(|s| !outcome(&s.id).is_some_and(Outcome::is_pass)).count() as u64;
        let confidence_ppm = confidence_ppm.get(&stratum.name).copied().unwrap_or(DEFAULT_CONFIDENCE_PPM);
        let drawn = drawn.len() as u64;
        Inference {
            stratum: stratum.name.clone(),
            population: stratum.size,
            drawn,
            deviations,
            confidence_ppm,
            upper_bound: upper_bound(stratum.size, drawn, deviations, confidence_ppm),
        }
    };
    strata.iter().map(of_stratum).collect()
}

/// The confidence where a class names none.
pub const DEFAULT_CONFIDENCE_PPM: u64 = 950_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn the_golden_bound() {
        assert_eq!(upper_bound(40, 12, 0, 950_000), 7);
    }

    #[test]
    fn the_zero_failure_table() {
        for (confidence, sizes) in [(950_000, [299, 149, 59, 29]), (900_000, [230, 114, 45, 22]), (990_000, [459, 228, 90, 44])] {
            for (tolerable, size) in [10_000, 20_000, 50_000, 100_000].into_iter().zip(sizes) {
                assert_eq!(zero_failure_size(confidence, tolerable), size, "{confidence} {tolerable}");
            }
        }
        assert_eq!(zero_failure_size(750_000, 500_000), 2, "an exact answer stays exact");
    }

    #[test]
    fn the_finite_population_tables() {
        let populations = [20, 50, 100, 200, 365, 1000];
        for (tolerable, sizes) in [(50_000, [19, 31, 45, 51, 52, 57]), (100_000, [16, 22, 25, 27, 27, 29])] {
            for (population, size) in populations.into_iter().zip(sizes) {
                assert_eq!(sample_size(population, 950_000, tolerable), size, "{population} {tolerable}");
            }
        }
        assert_eq!(sample_size(0, 950_000, 50_000), 0);
        assert_eq!(sample_size(1, 950_000, 50_000), 1);
    }

    #[test]
    fn everything_drawn_leaves_no_doubt_and_nothing_drawn_leaves_all() {
        assert_eq!(upper_bound(9, 9, 2, 950_000), 2);
        assert_eq!(upper_bound(9, 0, 0, 950_000), 9);
        assert_eq!(upper_bound(9, 3, 3, 950_000), 9);
        assert_eq!(upper_bound(0, 0, 0, 950_000), 0);
    }

    /// The vector that README's shell line repeats.
    #[test]
    fn seed_and_rank_are_fixed_by_a_vector() {
        let seed = seed("log", &Digest32([0; 32]), "auditor:00");
        let text = format!("attestore/sample/v1|log|{}|auditor:00", "0".repeat(64));
        assert_eq!(seed, Digest32::sha256(text.as_bytes()));
        // RFC 4231, test case 2, through the same primitive.
        let mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap().chain_update(b"what do ya want for nothing?").finalize();
        assert_eq!(hex::encode(mac.into_bytes()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    fn population(n: usize) -> Vec<PopulationItem> {
        let item = |i: usize| PopulationItem {
            id: PointId(format!("p{i:03}")),
            resource: "r".into(),
            stratum: if i.is_multiple_of(3) { "gold" } else { "silver" }.into(),
            created_at: Timestamp::from_secs(0),
        };
        (0..n).map(item).collect()
    }

    proptest! {
        #[test]
        fn a_draw_takes_the_lowest_ranks_of_each_stratum(bytes in any::<[u8; 32]>(), n in 1usize..40, take in 0u64..20) {
            let (population, seed) = (population(n), Digest32(bytes));
            let size = |name: &str| population.iter().filter(|item| item.stratum == name).count() as u64;
            let strata: Vec<Stratum> = ["silver", "gold"].iter()
                .map(|name| Stratum { name: (*name).into(), size: size(name), sample: take.min(size(name)) }).collect();
            let selected = select(&seed, &population, &strata);
            prop_assert_eq!(selected.len() as u64, strata.iter().map(|s| s.sample).sum::<u64>());
            for stratum in &strata {
                let members: Vec<&PopulationItem> = population.iter().filter(|item| item.stratum == stratum.name).collect();
                let (inside, outside): (Vec<&PopulationItem>, Vec<&PopulationItem>) = members.into_iter().partition(|item| selected.iter().any(|s| s.id == item.id));
                let worst = inside.iter().map(|item| rank(&seed, &item.id)).max();
                let best = outside.iter().map(|item| rank(&seed, &item.id)).min();
                prop_assert!(worst.is_none() || best.is_none() || worst < best);
            }
        }

        #[test]
        fn a_bound_is_the_largest_that_could_hide(population in 1u64..60, drawn in 1u64..60, seen in 0u64..10) {
            let drawn = drawn.min(population);
            let seen = seen.min(drawn);
            let bound = upper_bound(population, drawn, seen, 950_000);
            prop_assert!(bound >= seen && bound <= population);
            for bad in seen..=population - drawn + seen {
                let brute = could_hide(population, bad, drawn, seen, 950_000);
                prop_assert_eq!(brute, bad <= bound, "bad {}, bound {}", bad, bound);
            }
        }
    }
}
