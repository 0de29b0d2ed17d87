//! A database that was compared as files: the SQL checks of its class were not run on it, which its result says.
//!
//! Due where the plan promises it. Not here: what that makes of a pass (`pass`), and checks that were run (`checks`, `owed`).

use crate::model::not_compared::CHECKS;
use crate::model::source_url::SourceUrl;
use crate::testing_log::body::{ClassPolicy, DrillPlanned};
use crate::testing_log::point_result::{PointResult, VerifyFacts};
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};

/// Checks the comparison of a result; without its configuration nobody knows what its resource is.
pub fn check(
    result: &Placed<'_, PointResult>,
    plan: Option<&DrillPlanned>,
    (demands, policy): (Option<&Demands>, Option<&ClassPolicy>),
    faults: &mut Faults,
) {
    let Some(facts) = result.body.verify.as_ref().filter(|_| plan.is_some_and(DrillPlanned::tells_unchecked)) else { return };
    let resource = demands.and_then(|demands| demands.resources.get(&result.body.resource.0));
    let Some((resource, policy)) = resource.zip(policy) else { return };
    let (due, told) = (is_unchecked(facts, &resource.source, policy), facts.not_compared.contains_key(CHECKS));
    faults.demand(told || !due, Rule::FactMissing, result.leaf, || {
        format!("`{}` was compared as files, and that no SQL check of its class was run on it is not stated", resource.source)
    });
    faults.demand(due || !told, Rule::FactDiffers, result.leaf, || {
        format!("`{}` is said to be a database compared as files, on which no SQL check of its class was run", resource.source)
    });
}

/// Whether what was compared is the database of a resource with this source, compared as files, and its class has SQL checks.
pub fn is_unchecked(facts: &VerifyFacts, source: &str, policy: &ClassPolicy) -> bool {
    let is_database = |url: &SourceUrl| matches!(url, SourceUrl::Sqlite { .. } | SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. });
    let has_checks = policy.checks.values().any(|list| list.count > 0);
    facts.objects.is_some() && has_checks && source.parse::<SourceUrl>().as_ref().is_ok_and(is_database)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::counts::Counts;
    use crate::testing_log::check_list::CheckList;

    fn facts(kind: &str) -> VerifyFacts {
        let mut text = json!({
            "manifest_leaf": 3, "manifest": "sha256:".to_owned() + &"0".repeat(64), "manifest_captured_end": "2026-01-31T02:00:00.000Z",
            "capture_mode": "sealed", "mode": "sealed", "coverage_ppm": 1_000_000, "bytes_checked": 1, "duration_ms": 1,
            "findings": {"total": 0, "inline": []}
        });
        text[kind] = json!(Counts::default());
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_database_of_a_class_with_checks_is_unchecked_as_files_alone() {
        let policy =
            |checks: Value| -> ClassPolicy { serde_json::from_value(json!({"indeterminate_budget": 0, "checks": checks})).unwrap() };
        let none = policy(json!({}));
        let some = policy(json!({"sqlite": CheckList::of(["a"])}));
        assert!(is_unchecked(&facts("objects"), "sqlite:app.db", &some) && is_unchecked(&facts("objects"), "postgres://h/d", &some));
        assert!(!is_unchecked(&facts("objects"), "sqlite:app.db", &none) && !is_unchecked(&facts("rows"), "sqlite:app.db", &some));
        assert!(!is_unchecked(&facts("objects"), "dir:files", &some) && !is_unchecked(&facts("objects"), "a-bucket", &some));
    }
}
