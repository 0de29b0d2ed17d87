//! What is said of isolation: which looks each kind of thing has to have had, whether each can have held by its own words, and whether it
//! was held to what the configuration demands.
//!
//! Not here: the table of looks, which the guard shares (`testing_log::probes`), and what nobody demanded (`undemanded`).

use crate::testing_log::body::DrillPlanned;
use crate::testing_log::point_result::{Isolation, PointResult};
use crate::testing_log::probes::{self, Made};
use crate::testing_log::verify::demands::{Demands, IsolationDemanded};
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};

/// Checks what a result says of its isolation.
pub fn check(result: &Placed<'_, PointResult>, plan: Option<&DrillPlanned>, demands: Option<&Demands>, faults: &mut Faults) {
    let body = result.body;
    let Some(isolation) = &body.isolation else { return };
    let own_key = body.rp.kms_key_arn.as_deref();
    for probe in isolation.probes.iter().filter(|probe| probe.held && !probes::can_have_held(probe, own_key)) {
        let message = format!("`{}` is said to have held: expected {}, found {}", probe.name, probe.expected, probe.found);
        faults.at(Rule::IsolationDiffers, result.leaf, message);
    }
    // That nothing was looked at is told by itself.
    if !isolation.proved || isolation.probes.is_empty() {
        return;
    }
    let mut wrong: Vec<String> = of_another_account(isolation).into_iter().collect();
    if let Some(made) = Made::by(body) {
        let demanded = demands.and_then(|demands| demands.isolation.as_ref());
        let due = due(body, made, demanded);
        wrong.extend(probes::missing(&due, &isolation.probes).into_iter().map(|name| format!("nothing looked at `{name}`")));
        wrong.extend(demanded.into_iter().flat_map(|demanded| otherwise(body, isolation, made, demanded)));
        let runs_in = plan.and_then(|plan| plan.runner.as_ref()).map(|runner| &runner.account_id);
        if let Some(account) = runs_in.filter(|account| made != Made::Path && **account != isolation.account_id) {
            wrong.push(format!("it is that of account {}, and the drill runs in {account}", isolation.account_id));
        }
    }
    for what in wrong {
        faults.at(Rule::IsolationDiffers, result.leaf, format!("isolation is said to be proved: {what}"));
    }
}

fn of_another_account(isolation: &Isolation) -> Option<String> {
    let another = isolation.probes.iter().find(|probe| probe.name == probes::ACCOUNT && probe.found != isolation.account_id)?;
    Some(format!("in account {}, and the account that was looked at is {}", isolation.account_id, another.found))
}

/// The looks that have to be there: what was read was looked at after it came up.
fn due<'a>(result: &PointResult, made: Made, demanded: Option<&'a IsolationDemanded>) -> Vec<&'a str> {
    let mut due: Vec<&str> = made.before().to_vec();
    if result.verify.is_none() && result.sql_checks.is_empty() {
        return due;
    }
    due.extend(made.after());
    let Some(demanded) = demanded else { return due };
    if made == Made::Instance {
        let groups = [
            ("subnet-group", demanded.subnet_group.is_some()),
            ("vpc", demanded.vpc.is_some()),
            ("security-groups", !demanded.security_groups.is_empty()),
        ];
        due.extend(groups.into_iter().filter(|(_, is_due)| *is_due).map(|(name, _)| name));
        due.extend(parameter_group(result, demanded).map(|_| "parameter-group"));
    }
    if matches!(made, Made::Instance | Made::Table) && demanded.key.is_some() {
        due.push("kms-key");
    }
    due
}

fn parameter_group<'a>(result: &PointResult, demanded: &'a IsolationDemanded) -> Option<&'a String> {
    let engines = result.restore.as_ref()?.engine_versions.as_ref()?;
    demanded.parameter_groups.get(engines.restored_engine.as_ref()?)
}

/// Looks that were held to something else than the configuration demands.
fn otherwise(result: &PointResult, isolation: &Isolation, made: Made, demanded: &IsolationDemanded) -> Vec<String> {
    let is_cloud = made != Made::Path;
    let groups = Some(&demanded.security_groups).filter(|groups| !groups.is_empty());
    let wanted = [
        (probes::NAME_PREFIX, demanded.prefix.as_ref()),
        (probes::ACCOUNT, demanded.account.as_ref().filter(|_| is_cloud)),
        (probes::RESTORING_ACCOUNT, demanded.account.as_ref()),
        ("access-point-account", demanded.account.as_ref()),
        ("subnet-group", demanded.subnet_group.as_ref()),
        ("vpc", demanded.vpc.as_ref()),
        ("security-groups", groups),
        ("parameter-group", parameter_group(result, demanded)),
        ("kms-key", demanded.key.as_ref()),
    ];
    let mut wrong = Vec::new();
    for (name, wanted) in wanted {
        let Some(wanted) = wanted else { continue };
        for probe in isolation.probes.iter().filter(|probe| probe.name == name) {
            let held_to = if name == probes::NAME_PREFIX { probes::prefix_of(&probe.expected) } else { &probe.expected };
            if held_to != wanted {
                wrong.push(format!("`{name}` was held to {held_to}, and the configuration demands {wanted}"));
            }
        }
    }
    wrong
}
