//! The isolation guard: what must hold before a restore is asked for, and again before anything is read of it.
//!
//! Every look is a probe with what was demanded and what was found; the probes go into the log. A guard that cannot look is a
//! refusal. Not here: network rules of AWS (route tables, endpoints), which are looked at in a later depth.

use std::collections::BTreeMap;

use crate::aws::backup::{Selection, TagCondition};
use crate::aws::backup_access::AccessPoint;
use crate::aws::rds::Instance;
use crate::estate::config::IsolationDemands;
use crate::model::failure::{Failure, FailureKind};
use crate::restore::looks::ABSENT;
use crate::restore::order::{Clouds, DRILL_TAG, Order};
use crate::restore::records::{Target, TargetKind};
use crate::restore::steps::CaseFacts;
use crate::restore::targets::{self, Detail, Found};
use crate::testing_log::point_result::{Isolation, Probe};
use crate::testing_log::probes::{self, LONGEST_NAME, Made, TARGET_ABSENT};
use crate::testing_log::verify::undemanded;

/// The account's name beside AWS.
pub const LOCAL: &str = "local";

/// Proof that the guard looked before creation and that everything held; only this file can make one.
#[derive(Clone, Debug)]
pub struct Cleared {
    target: Target,
    isolation: Isolation,
}

impl Cleared {
    /// The target that was cleared, and no other.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What was seen.
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }
}

/// What the journal says of a target before it is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ours {
    /// It holds no intent for it: it must be absent.
    No,
    /// It holds an intent for exactly this target: it may exist, where it was created after the drill began.
    Intended,
    /// And it was seen to be absent before that intent: it was created after the drill began, whatever any clock says.
    WasAbsent,
}

impl Ours {
    /// By the steps of a case.
    pub fn of(facts: &CaseFacts, target: &Target) -> Self {
        match facts.steps.values().find(|step| step.target.as_ref() == Some(target)) {
            None => Self::No,
            Some(step) if step.was_absent => Self::WasAbsent,
            Some(_) => Self::Intended,
        }
    }
}

/// Looks before creation. `ours` says whether the target may exist already.
///
/// # Errors
/// [`FailureKind::Refused`] where a probe did not hold, and where one could not be made. The probes so far come with it.
pub async fn before(order: &Order, target: &Target, clouds: &Clouds, ours: Ours) -> (Isolation, Result<Cleared, Failure>) {
    let mut probes = Vec::new();
    let looked = look_before(order, target, clouds, ours, &mut probes).await;
    if let Err(failure) = &looked {
        probes.push(probe("look", "an answer", failure, false));
    }
    if looked.is_ok() {
        not_looked_at(Made::from(target.kind).before(), &mut probes);
    }
    let isolation =
        Isolation { account_id: account_of(order), proved: probes.iter().all(|probe| probe.held), probes, undemanded: Vec::new() };
    let verdict = looked.map_err(cannot_look).and_then(|()| {
        held(&isolation)?;
        Ok(Cleared { target: target.clone(), isolation: isolation.clone() })
    });
    (isolation, verdict)
}

/// Looks at what was created, before any of its data is read; adds to what was seen before creation.
pub async fn after(order: &Order, target: &Target, clouds: &Clouds, seen: &Isolation) -> (Isolation, Result<(), Failure>) {
    let mut isolation = seen.clone();
    let looked = match targets::find(clouds, &order.work, target).await {
        Ok(Some(found)) => {
            // What an earlier look saw just so stands there once.
            let fresh = of_created(order, &found).into_iter().filter(|probe| !seen.probes.contains(probe));
            isolation.probes.extend(fresh);
            not_looked_at(Made::from(target.kind).after(), &mut isolation.probes);
            isolation.undemanded = match found.detail {
                Detail::Instance(_) => undemanded::of_instance(&isolation.probes, false),
                _ => Vec::new(),
            };
            Ok(())
        }
        Ok(None) => {
            isolation.probes.push(probe("target-present", &target.name, "absent", false));
            Ok(())
        }
        Err(failure) => {
            isolation.probes.push(probe("look", "an answer", &failure, false));
            Err(cannot_look(failure))
        }
    };
    isolation.proved = !isolation.probes.is_empty() && isolation.probes.iter().all(|probe| probe.held);
    let verdict = looked.and_then(|()| held(&isolation));
    (isolation, verdict)
}

/// A bucket of our own before anything is restored into it: closed, versioned, empty, ours.
pub fn bucket_ready(order: &Order, found: &Found, must_be_empty: bool) -> Vec<Probe> {
    let Detail::Bucket(bucket) = &found.detail else { return vec![probe("bucket", "a bucket", "something else", false)] };
    let mut probes = vec![
        probe("public-access-blocked", "true", bucket.closed, bucket.closed),
        probe("versioned", "true", bucket.versioned, bucket.versioned),
        tagged(order, found),
    ];
    if must_be_empty {
        probes.push(probe("empty", "true", bucket.empty, bucket.empty));
    }
    probes
}

/// A refusal that names the first probe that did not hold.
pub fn held(isolation: &Isolation) -> Result<(), Failure> {
    match isolation.probes.iter().find(|probe| !probe.held) {
        None => Ok(()),
        Some(probe) => Err(Failure::new(
            FailureKind::Refused,
            format!("isolation guard: {}: expected {}, found {}", probe.name, probe.expected, probe.found),
        )
        .hint("nothing is read of a target that is not proved isolated; mend the account or [isolation] and drill again")),
    }
}

/// A look of the table that was not taken is one that did not hold.
fn not_looked_at(due: &[&str], probes: &mut Vec<Probe>) {
    for name in probes::missing(due, probes) {
        probes.push(probe(name, "a look", "not looked at", false));
    }
}

fn cannot_look(failure: Failure) -> Failure {
    let message = format!("isolation guard: it cannot look, which is a refusal: {failure}");
    Failure { kind: FailureKind::Refused, message, hint: failure.hint.clone(), source: Some(Box::new(failure)) }
}

fn account_of(order: &Order) -> String {
    order.isolation.as_ref().filter(|_| is_cloud(order)).map_or_else(|| LOCAL.to_owned(), |demands| demands.account_id.clone())
}

fn is_cloud(order: &Order) -> bool {
    order.point.from != crate::model::resource::PointSource::Local
}

async fn look_before(order: &Order, target: &Target, clouds: &Clouds, ours: Ours, probes: &mut Vec<Probe>) -> Result<(), Failure> {
    let prefix = order.prefix();
    let fits = !prefix.is_empty() && target.name.starts_with(prefix) && target.name.len() <= LONGEST_NAME;
    probes.push(probe("name-prefix", format!("{prefix}…, at most 63 characters"), &target.name, fits));
    if is_cloud(order) {
        let Some(demands) = &order.isolation else {
            probes.push(probe("account", "an account in [isolation]", "no [isolation] in the configuration", false));
            return Ok(());
        };
        let region = target.region.as_deref();
        for (name, session) in [("account", clouds.session(region)?), ("restoring-account", clouds.vault_session(region)?)] {
            let caller = crate::aws::sts::caller(&session).await?;
            probes.push(probe(name, &demands.account_id, &caller.account_id, caller.account_id == demands.account_id));
        }
        if target.kind == TargetKind::AccessPoint {
            // It holds nothing that a plan could back up.
            probes.push(probe("no-backup-selection", "none matches", "an access point holds no data", true));
        } else {
            let selections = clouds.backup(target.region.as_deref())?.selections().await?;
            probes.push(no_selection(&selections, &arn_of(target, demands), &order.tags()));
        }
    } else {
        let outside = !order.work.starts_with(&order.point.handle) && !std::path::Path::new(&order.point.handle).starts_with(&order.work);
        probes.push(probe("account", LOCAL, LOCAL, true));
        probes.push(probe("outside-the-vault", "a working directory apart from the vault", order.work.display(), outside));
        probes.push(probe("no-backup-selection", "none", "no backup plans beside AWS", true));
    }
    let found = targets::find(clouds, &order.work, target).await?;
    probes.push(absent_or_ours(order, found.as_ref(), ours));
    Ok(())
}

/// Never an existing resource; one that the journal already intends, and that was made since the drill began, is ours.
fn absent_or_ours(order: &Order, found: Option<&Found>, ours: Ours) -> Probe {
    let expected = if ours == Ours::No { ABSENT } else { "absent, or made by this case" };
    match found {
        None => probe(TARGET_ABSENT, expected, ABSENT, true),
        Some(found) => {
            // An instance states its creation only when it is up: its name is random and in the journal.
            let since = found.created_at.is_none_or(|at| at.as_secs() >= order.began_at.as_secs());
            let words = format!("present, created {}", found.created_at.map_or_else(|| "at an unknown time".into(), |at| at.to_string()));
            let is_ours = match ours {
                Ours::No => false,
                Ours::Intended => since,
                Ours::WasAbsent => true,
            };
            probe(TARGET_ABSENT, expected, words, is_ours)
        }
    }
}

fn arn_of(target: &Target, demands: &IsolationDemands) -> String {
    let region = target.region.as_deref().unwrap_or_default();
    let (account, name) = (&demands.account_id, &target.name);
    match target.kind {
        TargetKind::Bucket => format!("arn:aws:s3:::{name}"),
        TargetKind::Table => format!("arn:aws:dynamodb:{region}:{account}:table/{name}"),
        TargetKind::DbInstance => format!("arn:aws:rds:{region}:{account}:db:{name}"),
        TargetKind::AccessPoint => format!("arn:aws:backup:{region}:{account}:accesspoint/{name}"),
        TargetKind::Path => name.clone(),
    }
}

/// A restored copy that a production plan backs up would end in a locked vault: refuse where any selection would take it.
fn no_selection(selections: &[Selection], arn: &str, tags: &BTreeMap<String, String>) -> Probe {
    match selections.iter().find(|selection| selects(selection, arn, tags)) {
        None => probe("no-backup-selection", "none matches", format!("none of {} matches", selections.len()), true),
        Some(one) => {
            probe("no-backup-selection", "none matches", format!("selection {} of backup plan {} matches", one.name, one.plan), false)
        }
    }
}

/// Whether a selection would take a resource; where AWS's combination rules leave doubt, yes.
pub fn selects(selection: &Selection, arn: &str, tags: &BTreeMap<String, String>) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| wildcard(pattern, arn));
    let has = |(key, value): &TagCondition, like: bool| {
        tags.get(key).is_some_and(|ours| if like { wildcard(value, ours) } else { ours == value })
    };
    if any(&selection.not_resources) {
        return false;
    }
    if selection.list_of_tags.iter().any(|condition| has(condition, false)) {
        return true;
    }
    let conditions_hold = selection.string_equals.iter().all(|c| has(c, false))
        && selection.string_like.iter().all(|c| has(c, true))
        && !selection.string_not_equals.iter().any(|c| has(c, false))
        && !selection.string_not_like.iter().any(|c| has(c, true));
    let has_conditions = !(selection.string_equals.is_empty()
        && selection.string_like.is_empty()
        && selection.string_not_equals.is_empty()
        && selection.string_not_like.is_empty());
    // Without any ARN, a selection by conditions alone takes whatever they hold for.
    (any(&selection.resources) || (selection.resources.is_empty() && has_conditions)) && conditions_hold
}

/// `*` stands for any run of characters.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn of_created(order: &Order, found: &Found) -> Vec<Probe> {
    match &found.detail {
        Detail::Bucket(_) => bucket_ready(order, found, false),
        Detail::Table(table) => {
            let mut probes = vec![probe("no-deletion-protection", "false", table.deletion_protection, !table.deletion_protection)];
            probes.extend(key_as_declared(order, table.kms_key_arn.as_deref()));
            probes
        }
        Detail::Instance(instance) => of_instance(order, found, instance),
        Detail::AccessPoint(point) => of_access_point(order, point),
        Detail::Path(path) => vec![
            probe("not-public", "readable by its owner only", format!("mode {:o}", path.mode & 0o777), path.mode & 0o077 == 0),
            tagged(order, found),
        ],
    }
}

/// Nothing is copied: the point that was asked for, read in the one account that is allowed.
fn of_access_point(order: &Order, point: &AccessPoint) -> Vec<Probe> {
    let account = point.arn.split(':').nth(4).unwrap_or_default();
    let allowed = order.isolation.as_ref().map_or("none", |demands| demands.account_id.as_str());
    let of = &point.recovery_point_arn;
    vec![
        probe("access-point-account", allowed, account, account == allowed),
        probe("access-point-of", &order.point.handle, of, *of == order.point.handle),
    ]
}

fn of_instance(order: &Order, found: &Found, instance: &Instance) -> Vec<Probe> {
    let no = |flag: Option<bool>| flag == Some(false);
    let shown = |flag: Option<bool>| flag.map_or_else(|| "not stated".to_owned(), |flag| flag.to_string());
    let mut probes = vec![
        probe("not-public", "false", shown(instance.public), no(instance.public)),
        probe("no-deletion-protection", "false", shown(instance.deletion_protection), instance.deletion_protection != Some(true)),
        tagged(order, found),
    ];
    if let Some(demands) = &order.isolation {
        if let Some(group) = &demands.subnet_group {
            let found = instance.subnet_group.as_deref().unwrap_or("none");
            probes.push(probe("subnet-group", group, found, found.eq_ignore_ascii_case(group)));
        }
        if let Some(vpc) = &demands.vpc_id {
            let found = instance.vpc.as_deref().unwrap_or("none");
            probes.push(probe("vpc", vpc, found, found == vpc));
        }
        if let Some(group) = demands.parameter_groups.get(&instance.engine) {
            let found = instance.parameter_groups.join(" ");
            probes.push(probe("parameter-group", group, &found, found == *group));
        }
        if !demands.security_group_ids.is_empty() {
            let (mut want, mut have) = (demands.security_group_ids.clone(), instance.security_groups.clone());
            want.sort();
            have.sort();
            probes.push(probe("security-groups", want.join(" "), have.join(" "), want == have));
        }
    }
    probes.extend(key_as_declared(order, instance.kms_key_arn.as_deref()));
    probes
}

fn key_as_declared(order: &Order, found: Option<&str>) -> Option<Probe> {
    let key = order.isolation.as_ref()?.kms_key_arn.as_deref()?;
    // A restore of an encrypted snapshot keeps the snapshot's own key: that is its declared key too.
    let own = order.point.kms_key_arn.as_deref();
    let held = found.is_some_and(|found| found == key || Some(found) == own);
    Some(probe("kms-key", key, found.unwrap_or("none"), held))
}

fn tagged(order: &Order, found: &Found) -> Probe {
    let tag = found.tags.get(DRILL_TAG).map_or("no tag", String::as_str);
    probe("tagged", format!("{DRILL_TAG}={}", order.drill), format!("{DRILL_TAG}={tag}"), tag == order.drill.0)
}

fn probe(name: &str, expected: impl ToString, found: impl ToString, held: bool) -> Probe {
    Probe { name: name.to_owned(), expected: expected.to_string(), found: found.to_string(), held }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<TagCondition> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn selections_are_read_as_aws_reads_them() {
        let tags = BTreeMap::from([("attestore:drill".to_owned(), "d1".to_owned())]);
        let arn = "arn:aws:s3:::attestore-drill-d1-c01";
        let with =
            |resources: &[&str]| Selection { resources: resources.iter().map(|s| (*s).to_owned()).collect(), ..Selection::default() };
        assert!(selects(&with(&["*"]), arn, &tags));
        assert!(selects(&with(&["arn:aws:s3:::*"]), arn, &tags));
        assert!(selects(&with(&["arn:aws:s3:::attestore-*-c01"]), arn, &tags));
        assert!(!selects(&with(&["arn:aws:s3:::vault"]), arn, &tags));
        assert!(!selects(&with(&["arn:aws:dynamodb:*"]), arn, &tags));
        assert!(!selects(&Selection { not_resources: vec!["arn:aws:s3:::attestore-*".into()], ..with(&["*"]) }, arn, &tags));
        assert!(!selects(&Selection { string_equals: pairs(&[("Environment", "prod")]), ..with(&["*"]) }, arn, &tags));
        assert!(selects(&Selection { string_equals: pairs(&[("attestore:drill", "d1")]), ..with(&["*"]) }, arn, &tags));
        assert!(selects(&Selection { string_like: pairs(&[("attestore:drill", "d*")]), ..with(&["*"]) }, arn, &tags));
        assert!(!selects(&Selection { string_not_equals: pairs(&[("attestore:drill", "d1")]), ..with(&["*"]) }, arn, &tags));
        assert!(!selects(&Selection { list_of_tags: pairs(&[("Environment", "prod")]), ..with(&[]) }, arn, &tags));
        assert!(selects(&Selection { list_of_tags: pairs(&[("attestore:drill", "d1")]), ..with(&[]) }, arn, &tags));
    }

    #[test]
    fn wildcards_match_whole_texts() {
        for (pattern, text, is) in [
            ("", "", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*", "abc", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(wildcard(pattern, text), is, "{pattern} {text}");
        }
    }
}
