//! Aligning the versions of one key: expected ones against those found, where version ids do not carry over.
//!
//! An edit distance whose costs say what is likelier: equal content is the same version; then a version that differs (of the same
//! size before any other); then one that is absent and one that is surplus. One missing version is so one finding, not one for each
//! version after it.

/// How one expected and one found version relate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// Equal content.
    Same,
    /// Nothing is known of one of them, or it could not be read; `true` where the sizes agree.
    Unknown(bool),
    /// Both are known and differ; `true` where the sizes agree.
    Different(bool),
    /// Not of one kind, such as an object and a delete marker.
    OtherKind,
}

/// One step of an alignment; indices into the expected and the found versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// These two belong together, equal or not.
    Pair(usize, usize),
    /// Expected, and nothing found for it.
    Missing(usize),
    /// Found, and not expected.
    Extra(usize),
}

/// Beyond so many cells versions are paired from both ends by position; only then may one missing version accuse others.
const CELLS_LIMIT: usize = 1 << 22;

const GAP: u32 = 10;

impl Relation {
    fn cost(self) -> u32 {
        match self {
            Self::Same => 0,
            Self::Unknown(true) => 5,
            Self::Unknown(false) => 12,
            Self::Different(true) => 15,
            Self::Different(false) => 16,
            // Less than two gaps: where one thing took another's place, that is one finding.
            Self::OtherKind => 19,
        }
    }
}

/// Aligns `expected` with `found` versions, both oldest first. `relate` must be pure.
pub fn align(expected: usize, found: usize, relate: impl Fn(usize, usize) -> Relation) -> Vec<Step> {
    // Equal versions at both ends are part of some best alignment.
    let head = (0..expected.min(found)).take_while(|&n| relate(n, n) == Relation::Same).count();
    let rest = expected.min(found) - head;
    let tail = (0..rest).take_while(|&n| relate(expected - 1 - n, found - 1 - n) == Relation::Same).count();
    let (rows, columns) = (expected - head - tail, found - head - tail);
    let mut steps: Vec<Step> = (0..head).map(|n| Step::Pair(n, n)).collect();
    if rows.saturating_mul(columns) <= CELLS_LIMIT {
        steps.extend(middle(head, rows, columns, &relate));
    } else {
        let both = rows.min(columns);
        steps.extend((head..head + both).map(|n| Step::Pair(n, n)));
        steps.extend((head + both..head + rows).map(Step::Missing));
        steps.extend((head + both..head + columns).map(Step::Extra));
    }
    steps.extend((0..tail).rev().map(|n| Step::Pair(expected - 1 - n, found - 1 - n)));
    steps
}

/// The cheapest alignment of the part between the equal ends.
fn middle(start: usize, rows: usize, columns: usize, relate: &impl Fn(usize, usize) -> Relation) -> Vec<Step> {
    // cost[i][j]: the cheapest alignment of the last i expected with the last j found; walked from the front afterwards.
    let width = columns + 1;
    let mut cost = vec![0_u32; (rows + 1) * width];
    let pair = |i: usize, j: usize| relate(start + rows - i, start + columns - j).cost();
    for i in 0..=rows {
        for j in 0..=columns {
            cost[i * width + j] = match (i, j) {
                (0, j) => GAP * j as u32,
                (i, 0) => GAP * i as u32,
                (i, j) => {
                    (cost[(i - 1) * width + j - 1] + pair(i, j)).min(cost[(i - 1) * width + j] + GAP).min(cost[i * width + j - 1] + GAP)
                }
            };
        }
    }
    let mut steps = Vec::with_capacity(rows.max(columns));
    let (mut i, mut j) = (rows, columns);
    while i > 0 || j > 0 {
        let here = cost[i * width + j];
        if i > 0 && j > 0 && here == cost[(i - 1) * width + j - 1] + pair(i, j) {
            steps.push(Step::Pair(start + rows - i, start + columns - j));
            (i, j) = (i - 1, j - 1);
        } else if i > 0 && here == cost[(i - 1) * width + j] + GAP {
            steps.push(Step::Missing(start + rows - i));
            i -= 1;
        } else {
            steps.push(Step::Extra(start + columns - j));
            j -= 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Versions as (content, size); content 0 could not be read.
    fn relate(expected: &[(u8, u8)], found: &[(u8, u8)]) -> impl Fn(usize, usize) -> Relation {
        move |i, j| match (expected[i], found[j]) {
            ((a, _), (b, _)) if a == b && a != 0 => Relation::Same,
            ((a, x), (b, y)) if a == 0 || b == 0 => Relation::Unknown(x == y),
            ((_, x), (_, y)) => Relation::Different(x == y),
        }
    }

    fn of(expected: &[u8], found: &[u8]) -> Vec<Step> {
        let sized = |versions: &[u8]| versions.iter().map(|&content| (content, content)).collect::<Vec<_>>();
        let (expected, found) = (sized(expected), sized(found));
        align(expected.len(), found.len(), relate(&expected, &found))
    }

    #[test]
    fn one_missing_version_is_one_finding() {
        assert_eq!(of(&[1, 2, 3], &[1, 3]), [Step::Pair(0, 0), Step::Missing(1), Step::Pair(2, 1)]);
        assert_eq!(of(&[1, 2, 3], &[2, 3]), [Step::Missing(0), Step::Pair(1, 0), Step::Pair(2, 1)]);
        assert_eq!(of(&[1, 2, 3], &[3]), [Step::Missing(0), Step::Missing(1), Step::Pair(2, 0)]);
        assert_eq!(of(&[1, 2], &[1, 9, 2]), [Step::Pair(0, 0), Step::Extra(1), Step::Pair(1, 2)]);
        assert_eq!(of(&[1, 2, 3], &[1, 9, 3]), [Step::Pair(0, 0), Step::Pair(1, 1), Step::Pair(2, 2)]);
        assert_eq!(of(&[5, 5, 5], &[5, 5]).iter().filter(|step| matches!(step, Step::Missing(_))).count(), 1);
        assert_eq!(of(&[], &[1]), [Step::Extra(0)]);
    }

    #[test]
    fn a_changed_version_is_found_by_its_size_beside_a_missing_one() {
        let (expected, found) = ([(1, 7), (2, 8), (3, 9)], [(9, 8), (3, 9)]);
        assert_eq!(align(3, 2, relate(&expected, &found)), [Step::Missing(0), Step::Pair(1, 0), Step::Pair(2, 1)]);
        // One that could not be read stands where its size says, too.
        let (expected, found) = ([(1, 7), (2, 8)], [(0, 8)]);
        assert_eq!(align(2, 1, relate(&expected, &found)), [Step::Missing(0), Step::Pair(1, 0)]);
    }

    fn cost_of(steps: &[Step], relate: &impl Fn(usize, usize) -> Relation) -> u32 {
        steps.iter().map(|step| if let Step::Pair(i, j) = step { relate(*i, *j).cost() } else { GAP }).sum()
    }

    /// The naive model: every alignment there is.
    fn cheapest(i: usize, j: usize, expected: usize, found: usize, relate: &impl Fn(usize, usize) -> Relation) -> u32 {
        let mut best = if i == expected && j == found { 0 } else { u32::MAX };
        if i < expected && j < found {
            best = best.min(relate(i, j).cost() + cheapest(i + 1, j + 1, expected, found, relate));
        }
        if i < expected {
            best = best.min(GAP + cheapest(i + 1, j, expected, found, relate));
        }
        if j < found {
            best = best.min(GAP + cheapest(i, j + 1, expected, found, relate));
        }
        best
    }

    proptest! {
        #[test]
        fn the_alignment_is_complete_in_order_and_the_cheapest(
            expected in prop::collection::vec((0u8..4, 0u8..2), 0..6), found in prop::collection::vec((0u8..4, 0u8..2), 0..6)
        ) {
            let relate = relate(&expected, &found);
            let steps = align(expected.len(), found.len(), &relate);
            let left: Vec<usize> = steps.iter().filter_map(|s| match s { Step::Pair(i, _) | Step::Missing(i) => Some(*i), Step::Extra(_) => None }).collect();
            let right: Vec<usize> = steps.iter().filter_map(|s| match s { Step::Pair(_, j) | Step::Extra(j) => Some(*j), Step::Missing(_) => None }).collect();
            prop_assert_eq!(left, (0..expected.len()).collect::<Vec<_>>());
            prop_assert_eq!(right, (0..found.len()).collect::<Vec<_>>());
            prop_assert_eq!(cost_of(&steps, &relate), cheapest(0, 0, expected.len(), found.len(), &relate));
        }
    }
}
