//! How the guard's look for a target is recorded, and what it proves: pure, so that the journal can tell it again.

use crate::testing_log::point_result::Isolation;
use crate::testing_log::probes::TARGET_ABSENT;

/// What that look found where there was none.
pub const ABSENT: &str = "absent";

/// Whether every look for the target held and found nothing, and there was one: what bears the name later was created later.
pub fn saw_nothing(isolation: &Isolation) -> bool {
    let mut looks = isolation.probes.iter().filter(|probe| probe.name == TARGET_ABSENT).peekable();
    looks.peek().is_some() && looks.all(|probe| probe.held && probe.found == ABSENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_log::point_result::Probe;

    #[test]
    fn only_a_look_that_held_and_found_nothing_counts() {
        let seen = |looks: &[(&str, &str, bool)]| {
            let probe = |(name, found, held): &(&str, &str, bool)| Probe {
                name: (*name).into(),
                expected: ABSENT.into(),
                found: (*found).into(),
                held: *held,
            };
            let probes = looks.iter().map(probe).collect();
            saw_nothing(&Isolation { account_id: "1".into(), probes, proved: true, undemanded: Vec::new() })
        };
        assert!(seen(&[("account", "1", true), (TARGET_ABSENT, ABSENT, true)]));
        assert!(!seen(&[]) && !seen(&[("account", ABSENT, true)]), "nobody looked");
        assert!(!seen(&[(TARGET_ABSENT, ABSENT, false)]));
        assert!(!seen(&[(TARGET_ABSENT, "present, created 2026-01-01T00:00:00.000Z", true)]));
        assert!(!seen(&[(TARGET_ABSENT, ABSENT, true), (TARGET_ABSENT, "present", false)]));
    }
}
