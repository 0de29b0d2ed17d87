//! The drill of `support` as it is written by versions whose plan promises that every result states all that its kind of case always states.
//!
//! Its points are one of each family: a bucket and an instance through AWS Backup, an instance at a second, a table.

use std::collections::BTreeMap;

use attestore::model::clock::Timestamp;
use attestore::model::counts::Counts;
use attestore::model::digest::Sha256Digest;
use attestore::model::finding::Class;
use attestore::model::ids::PointId;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::*;
use attestore::testing_log::probes::Made;
use attestore::testing_log::restore_facts::{ChecklistLine, SourceStamps};
use attestore::testing_log::result_version::RESULT_VERSION;
use attestore::testing_log::verify::claim::{OTHER_MOMENT, OTHER_POSITION};
use attestore::testing_log::verify::{corroborated, second, undemanded};

use crate::support::{Edit, captured_end, engine_versions, looks, packs};

/// The instance at a second.
pub const SECOND: &str = "arn:aws:rds:eu-west-2:111122223333:db:crm@2026-01-01T01:00:00Z";
/// The instance through AWS Backup.
pub const INSTANCE: &str = "arn:aws:rds:eu-west-2:111122223333:snapshot:awsbackup:job-crm-1";
/// The table.
pub const TABLE: &str = "arn:aws:dynamodb:eu-west-2:111122223333:table/crm/backup/2";
/// The newest of the bucket.
pub const VAULT_NEWEST: &str = "arn:aws:backup:eu-west-2:111122223333:recovery-point:vault-4";

/// Turns what `support` tells into what such a version writes.
pub fn promised() -> Edit {
    let (mut created, mut failed, mut policy) = (BTreeMap::new(), None, None);
    Box::new(move |body, nth| match body {
        Body::PolicySet(set) => {
            let kept = packs();
            set.classes.get_mut("bank").unwrap().checks = kept.lists("bank").unwrap();
            (set.check_set, set.packs) = (kept.check_set().unwrap(), Some(Sha256Digest::of(&kept.to_bytes().unwrap())));
            policy = Some(set.clone());
        }
        Body::ManifestRegistered(registered) if registered.resource.0 == "crm" => {
            registered.recovery_point_id = Some(PointId::from(SECOND))
        }
        Body::PopulationCommitted(population) => {
            commit(population);
            created = population.population.iter().map(|item| (item.id.clone(), (item.resource.clone(), item.created_at))).collect();
        }
        Body::DrillPlanned(plan) => {
            plan.result_version = Some(RESULT_VERSION);
            plan.cases.iter_mut().for_each(|case| case.asks_source = case.point.0 == SECOND);
        }
        Body::PointResult(result) => {
            if nth == 0 {
                failed = Some(result.rp.id.clone());
            }
            result.rp.created_at = created[&result.rp.id].1;
            let newest = created.iter().filter(|(id, (of, _))| *of == result.resource && Some(*id) != failed.as_ref());
            let (id, (_, at)) = newest.max_by_key(|(_, (_, at))| *at).unwrap();
            result.rpo = Objective {
                point: Some(id.clone()),
                ..Objective::judged(result.rpo.target_s, u64::try_from(reference_at().millis_since(*at)).ok(), Some(reference_at()), "age")
            };
            state_all(result);
            result.rpo.basis += &corroborated::stated(result);
            let class = policy.as_ref().and_then(|policy| policy.classes.get(&result.class));
            let shown = second::shown(result, class).map(|second| second.is_shown());
            result.restore.as_mut().unwrap().second_shown = shown;
        }
        _ => {}
    })
}

fn reference_at() -> Timestamp {
    captured_end().plus_secs(6 * 3600)
}

/// The points of `crm` are one of each family; the newest of each resource is drilled by rule.
fn commit(population: &mut PopulationCommitted) {
    let crm = [SECOND, INSTANCE, TABLE].map(PointId::from);
    for item in population.population.iter_mut().filter(|item| item.resource.0 == "crm") {
        let at: usize = item.id.0.rsplit('-').next().unwrap().parse().unwrap();
        item.id = crm[at].clone();
    }
    population.population.sort_by(|a, b| a.id.cmp(&b.id));
    population.service_ahead_ms = Some(0);
    // Every one is drawn, those of the bucket first.
    population.strata.reverse();
    population.strata.iter_mut().for_each(|stratum| stratum.sample = stratum.size);
    population.targeted = [TABLE, VAULT_NEWEST].map(|id| Targeted { id: id.into(), reason: "never tested".into() }).to_vec();
}

/// What such a version states of each family.
fn state_all(result: &mut PointResult) {
    let (facts, restore) = (result.verify.as_mut().unwrap(), result.restore.as_mut().unwrap());
    facts.lesser_claim = Some(OTHER_MOMENT.to_owned());
    let counted = facts.objects.or(facts.rows).unwrap();
    let mut all_read = |kinds: &[&str]| facts.read = kinds.iter().map(|kind| ((*kind).to_owned(), counted.checked)).collect();
    match (result.rp.id.0.as_str(), result.resource.0.as_str()) {
        (TABLE, _) => all_read(&["items"]),
        (_, "vault") => all_read(&["objects"]),
        _ => all_read(&["tables", "rows", "definitions"]),
    }
    if facts.findings.total > 0 {
        facts.findings.inline = vec![InlineFinding {
            id: "00112233445566ff".into(),
            class: attestore::model::finding::Class::Mismatch,
            kind: attestore::model::finding::Kind::Object,
            expected: Some("12".into()),
            actual: Some("13".into()),
        }];
    }
    let from = match result.rp.id.0.as_str() {
        SECOND => "rds-pitr",
        TABLE => "dynamodb-backup",
        _ => "aws-backup",
    };
    result.rp.from = from.into();
    if from != "aws-backup" {
        (result.rp.vault, restore.job_id) = (None, None);
    }
    if result.rp.id.0 == TABLE {
        result.rp.kind = "dynamodb".into();
        restore.mechanism = "dynamodb:RestoreTableFromBackup".into();
        restore.status = "ACTIVE".into();
        result.isolation.as_mut().unwrap().probes = looks(Made::Table);
        restore.target = Some("arn:aws:dynamodb:eu-west-2:111122223333:table/drill-target".into());
        restore.recovery_checklist = vec![ChecklistLine { setting: "time to live".into(), state: "lost".into() }];
        (facts.items, facts.rows) = (facts.rows, None);
        result.sql_checks.clear();
        return;
    }
    if result.resource.0 == "vault" {
        restore.target = Some("arn:aws:s3:::drill-target".into());
        return;
    }
    restore.target = Some("arn:aws:rds:eu-west-2:111122223333:db:drill-target".into());
    facts.tables = facts.rows;
    let mut definitions = Counts::default();
    definitions.add_many(Class::Match, 100);
    (facts.definitions, facts.unread_definitions) = (Some(definitions), Some(0));
    restore.engine_versions = serde_json::from_value(engine_versions(&result.rp.id)).unwrap();
    let isolation = result.isolation.as_mut().unwrap();
    let held = |name: &str| Probe { name: name.into(), expected: "false".into(), found: "false".into(), held: true };
    isolation.probes.extend([held("subnet-group"), held("security-groups")]);
    isolation.probes.push(undemanded::certified());
    if result.rp.id.0 == SECOND {
        restore.mechanism = "rds:RestoreDBInstanceToPointInTime".into();
        restore.status = "available".into();
        facts.lesser_claim = Some(OTHER_POSITION.to_owned());
        facts.unstamped_tables = Some(0);
        facts.newest_stamp = Some(result.rp.created_at.plus_secs(-2));
        facts.source_stamps = Some(SourceStamps { newest: facts.newest_stamp, asked: 3, ..SourceStamps::default() });
    }
}
