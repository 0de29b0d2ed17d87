//! The SQL checks of a class against the packs that its configuration names: a policy that leaves them out holds its databases to nothing.
//! Where the policy keeps the check files, its lists are of these, and what a result says of a check is what the check's file says.
//!
//! Not here: whether a result has all the checks that the policy lists (`owed`), and how each ended (`checks`).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::check::{CheckOutcome, CheckResult};
use crate::model::digest::Sha256Digest;
use crate::testing_log::body::{ClassPolicy, PolicySet};
use crate::testing_log::packs::{CheckFile, Packs};
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::demands::{Demands, ResourceDemanded};
use crate::testing_log::verify::drills::Drill;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::stated::{Baseline, Baselines};

/// What the names of baselines begin with that hold the number of a table's rows.
const ROWS: &str = "rows.";

/// Checks the policy of a drill and the checks of its results; `demands` are those of its configuration, where the evidence has it, and
/// `baselines` what manifests say of themselves.
pub fn check(
    dir: &LogDir,
    drill: &Drill<'_>,
    policy: Option<&PolicySet>,
    (demands, baselines): (Option<&Demands>, &Baselines),
    faults: &mut Faults,
) {
    let (Some(plan), Some(policy)) = (drill.plans.first().filter(|plan| plan.body.promises_all()), policy) else { return };
    let leaf = plan.body.policy_leaf;
    for (name, class) in demands.into_iter().flat_map(|demands| &demands.classes) {
        let has = policy.classes.get(name).is_some_and(has_checks);
        let said = |has: bool| if has { "some" } else { "none" };
        faults.demand(has != class.packs.is_empty(), Rule::ChecksDiffer, leaf, || {
            let packs = if class.packs.is_empty() { "no packs".to_owned() } else { format!("the packs {}", class.packs.join(", ")) };
            format!("class `{name}`: its configuration names {packs}; expected {} of their checks, found {}", said(!has), said(has))
        });
    }
    if !plan.body.keeps_checks() {
        return;
    }
    let Some(digest) = policy.packs else {
        return faults.at(Rule::FactMissing, leaf, "the plan promises that its policy keeps the check files, and it names none");
    };
    match kept(dir, &digest) {
        Kept::Withheld => {
            faults.unheld(leaf, format!("the check files {digest} are withheld: what is said of checks could not be held to them"));
        }
        Kept::Another(what) => faults.at(Rule::ChecksDiffer, leaf, format!("the check files {digest}: {what}")),
        Kept::There(packs) => {
            of_policy(leaf, policy, &packs, demands, faults);
            of_results(drill, &packs, (demands, baselines), faults);
        }
    }
}

fn has_checks(class: &ClassPolicy) -> bool {
    class.checks.values().any(|list| list.count > 0)
}

enum Kept {
    There(Packs),
    /// Or other bytes, which is a fault of the evidence.
    Withheld,
    Another(String),
}

/// The check files out of the evidence, each under its own digest and its own id.
fn kept(dir: &LogDir, digest: &Sha256Digest) -> Kept {
    let Some(bytes) = dir.evidence(digest).ok().flatten() else { return Kept::Withheld };
    let Some(packs) = Packs::of(&bytes) else { return Kept::Another("they are none".to_owned()) };
    if let Some(digest) = packs.files.iter().find(|(digest, text)| Sha256Digest::of(text.as_bytes()) != **digest).map(|(digest, _)| digest)
    {
        return Kept::Another(format!("the file {digest} has other bytes"));
    }
    let mut all = packs.classes.values().flatten().flatten();
    let wrong = all.find(|(id, digest)| packs.file(digest).is_none_or(|file| file.id != **id));
    match wrong.map(|(id, digest)| format!("the file {digest} is not that of the check {id}")) {
        Some(what) => Kept::Another(what),
        None => Kept::There(packs),
    }
}

/// The lists of a policy are those of the files, and of as many packs as the configuration names.
fn of_policy(leaf: u64, policy: &PolicySet, packs: &Packs, demands: Option<&Demands>, faults: &mut Faults) {
    let names: BTreeSet<&String> = policy.classes.keys().chain(packs.classes.keys()).collect();
    for name in names {
        let found = policy.classes.get(name).map(|class| class.checks.clone()).unwrap_or_default();
        faults.demand(packs.lists(name).is_some_and(|expected| expected == found), Rule::ChecksDiffer, leaf, || {
            format!("class `{name}`: the checks of its policy are not those of the check files")
        });
        let Some(named) = demands.and_then(|demands| demands.classes.get(name)).map(|class| &class.packs) else { continue };
        let of_class = packs.classes.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_whole = of_class.len() == named.len() && of_class.iter().all(|pack| !pack.is_empty());
        faults.demand(is_whole, Rule::ChecksDiffer, leaf, || {
            format!("class `{name}`: its configuration names {} packs, found check files of {}", named.len(), of_class.len())
        });
    }
    let expected = packs.check_set().ok();
    faults.demand(expected == Some(policy.check_set), Rule::ChecksDiffer, leaf, || {
        format!("the digest over the check files in force is {}, found {}", spelled(expected), policy.check_set)
    });
}

fn spelled(digest: Option<Sha256Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}

/// What is said of each check is what its file says.
fn of_results(drill: &Drill<'_>, packs: &Packs, (demands, baselines): (Option<&Demands>, &Baselines), faults: &mut Faults) {
    let files: BTreeMap<&Sha256Digest, CheckFile> = packs.files.keys().filter_map(|digest| Some((digest, packs.file(digest)?))).collect();
    for result in &drill.results {
        let baseline = result.body.verify.as_ref().and_then(|facts| baselines.get(&facts.manifest));
        let resource = demands.and_then(|demands| demands.resources.get(&result.body.resource.0));
        let of_class = packs.classes.get(&result.body.class).map(Vec::as_slice).unwrap_or_default();
        for check in &result.body.sql_checks {
            let is_of_class = of_class.iter().any(|pack| pack.get(&check.id) == Some(&check.sql_digest));
            let differs = match files.get(&check.sql_digest).filter(|_| is_of_class) {
                Some(file) => difference(check, file, (baseline, resource)),
                None => Some("that is no check of its class".to_owned()),
            };
            if let Some(why) = differs {
                let message = format!("check {} ({}) of class `{}`: {why}", check.id, check.sql_digest, result.body.class);
                faults.at(Rule::CheckDiffers, result.leaf, message);
            }
        }
    }
}

/// How what is said of a check differs from what its file says, and from what `manifest` has for it. `resource` is the configuration's; nothing
/// where that is withheld.
fn difference(
    check: &CheckResult,
    file: &CheckFile,
    (manifest, resource): (Option<&Baseline>, Option<&ResourceDemanded>),
) -> Option<String> {
    if !file.engines.contains(&check.engine) {
        return Some(format!("its file is for {}, and it is said to have run on {}", file.engines.join(", "), check.engine));
    }
    if check.not_applicable && !file.may_not_apply {
        return Some("it is said not to apply, and by its file it applies to every database".to_owned());
    }
    let (said, expected) = ((check.severity, &check.kind, &check.op), (file.severity, &file.kind, &file.op));
    if said != expected {
        return Some(format!("its file says {expected:?}, found {said:?}"));
    }
    let (name, found) = (file.baseline.as_ref()?, check.expected.as_ref());
    let is_judged = matches!(check.result, CheckOutcome::Pass | CheckOutcome::Warn);
    if found.is_none() && is_judged {
        return Some(format!("it is held against `{name}` of a manifest, and that is not stated"));
    }
    let baselines = &manifest?.baselines;
    // The number of a table's rows stands under the name that the database has for it.
    let name = match (name.strip_prefix(ROWS), resource) {
        (None, _) => name.clone(),
        (Some(table), Some(resource)) => format!("{ROWS}{}", resource.table(table)),
        // Which name that is, nobody can tell: it is the number of one of the manifest's tables.
        (Some(_), None) => {
            let mut rows = baselines.iter().filter(|(name, _)| name.starts_with(ROWS)).map(|(_, rows)| rows);
            let is_one = found.is_none_or(|found| rows.any(|rows| rows == found));
            return (!is_one).then(|| format!("its manifest has no table of {} rows", found.map_or("", String::as_str)));
        }
    };
    let expected = baselines.get(&name);
    (found != expected && found.is_some()).then(|| format!("its manifest has {expected:?} as `{name}`, found {found:?}"))
}
