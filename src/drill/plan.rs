//! `plan`: what a drill would restore. Lists and counts; commits nothing, changes nothing, and never draws (a draw that can be
//! repeated is a draw that can be chosen).

use std::collections::{BTreeMap, BTreeSet};

use crate::drill::context::{Setup, load_packs, needs_aws, verified_entries};
use crate::drill::draw::{ListContext, list};
use crate::drill::effort::Effort;
use crate::drill::manifests;
use crate::estate::config::{Access, Authentication, Config, WhenNoManifest};
use crate::estate::policy;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{PointId, ResourceId};
use crate::model::recovery_point::RecoveryPoint;
use crate::model::resource::PointSource;
use crate::restore::driver::Driver;
use crate::restore::drivers::choose::driver_by;
use crate::restore::records::TargetKind;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::testing_log::body::{Excluded, PopulationItem, Stratum, Targeted};
use crate::testing_log::entry::Entry;
use crate::testing_log::point_result::ACCESS_POINT_MECHANISM;

/// What a point would be compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Basis {
    /// A registered manifest names it.
    Named,
    /// A manifest of another moment, in a bounded mode.
    Bounded,
    /// None fits: the restored state would become the baseline.
    FirstRestore,
    /// None fits: SQL checks alone.
    Invariants,
    /// None fits: it would not be restored.
    Untested,
}

/// One point of the population.
#[derive(Debug)]
pub struct Candidate {
    /// As listed.
    pub point: RecoveryPoint,
    /// What it would be compared with.
    pub basis: Basis,
    /// How it would be restored.
    pub mechanism: &'static str,
    /// What it would be restored into; nothing where no driver restores it.
    pub target: Option<TargetKind>,
    /// Whether it would be restored, or read where it lies.
    pub access: Access,
}

/// What a drill would do.
#[derive(Debug)]
pub struct Plan {
    /// The population.
    pub candidates: Vec<Candidate>,
    /// What is left out.
    pub excluded: Vec<Excluded>,
    /// Sources that could not be listed.
    pub failures: Vec<(ResourceId, Failure)>,
    /// Strata with N and n.
    pub strata: Vec<Stratum>,
    /// What would be drilled by rule.
    pub targeted: Vec<Targeted>,
    /// Cases at least and at most: the targeted ones may be among the drawn.
    pub cases: (u64, u64),
    /// What it would take at most: the largest points of each stratum, and the targeted ones.
    pub effort: Effort,
    /// Calls that the identities must be allowed.
    pub permissions: BTreeSet<&'static str>,
}

/// Plans without changing anything. The log is read and verified, where there is one.
pub async fn plan(setup: &Setup) -> Result<Plan, Failure> {
    let config = &setup.loaded.config;
    policy::check_classes(config)?;
    // What would stop the drill before its first restore stops the plan of it.
    let key = SigningKey::load(&config.keys.signing)?.verifying_key();
    let hash_key = HashKey::load(&config.keys.hash)?;
    load_packs(config)?;
    let entries = verified_entries(&config.log.path, &key)?;
    manifests::check_hash_key(&entries, config, &hash_key)?;
    let monitor = setup.monitor.as_ref();
    let listed = list(&ListContext { config, clouds: &setup.clouds, entries: &entries, monitor }).await?;
    let population = policy::population(config, &listed.eligible)?;
    let strata = policy::strata(&population, &config.class);
    let targeted = policy::targeted(config, &population, &entries, Timestamp::now());
    let mut candidates = Vec::new();
    for point in listed.eligible {
        let resource = config.resource.iter().find(|one| one.id == point.resource);
        let resource = resource.ok_or_else(|| Failure::new(FailureKind::Invalid, format!("resource `{}` is gone", point.resource)))?;
        let registered = manifests::registered(&entries, resource);
        let when_none = config.class.get(&resource.class).map(|class| class.when_no_manifest).unwrap_or_default();
        let basis = match (manifests::fitting(&registered, &point.id, point.created_at), when_none) {
            (Some((_, false)), _) => Basis::Named,
            (Some((_, true)), _) => Basis::Bounded,
            (None, WhenNoManifest::FirstRestore) => Basis::FirstRestore,
            (None, WhenNoManifest::Invariants) => Basis::Invariants,
            (None, WhenNoManifest::Untested) => Basis::Untested,
        };
        let access = config.class.get(&resource.class).map(|class| class.access).unwrap_or_default();
        let driver = driver_by(access, &point, &resource.source);
        let (mechanism, target) = (driver.map_or("none", Driver::mechanism), driver.map(Driver::target_kind));
        candidates.push(Candidate { point, basis, mechanism, target, access });
    }
    let (least, most) = cases(&population, &strata, &targeted);
    Ok(Plan {
        effort: effort(&candidates, &largest(&candidates, &population, &strata, &targeted), config, &entries),
        permissions: permissions(&candidates, needs_aws(config), |resource| {
            config.resource.iter().any(|one| one.id == *resource && one.authentication == Authentication::Iam)
        }),
        cases: (least, most),
        candidates,
        excluded: listed.excluded,
        failures: listed.failures,
        strata,
        targeted,
    })
}

fn cases(population: &[PopulationItem], strata: &[Stratum], targeted: &[Targeted]) -> (u64, u64) {
    let drawn: u64 = strata.iter().map(|stratum| stratum.sample).sum();
    let due = targeted.len() as u64;
    let most = (drawn + due).min(population.len() as u64);
    // Of a stratum that is drawn whole, the targeted points are drawn anyway.
    let whole: BTreeSet<&str> = strata.iter().filter(|one| one.sample == one.size).map(|one| one.name.as_str()).collect();
    let stratum_of: BTreeMap<&PointId, &str> = population.iter().map(|item| (&item.id, item.stratum.as_str())).collect();
    let surely = targeted.iter().filter(|one| stratum_of.get(&one.id).is_some_and(|name| whole.contains(name))).count() as u64;
    (drawn.max(due), most.min(drawn + due - surely))
}

/// The points that would take most: as many of each stratum as would be drawn, the largest ones, and the targeted ones.
fn largest<'a>(
    candidates: &[Candidate],
    population: &'a [PopulationItem],
    strata: &[Stratum],
    targeted: &'a [Targeted],
) -> BTreeSet<&'a PointId> {
    let size: BTreeMap<&PointId, u64> = candidates.iter().map(|one| (&one.point.id, one.point.size_bytes.unwrap_or(0))).collect();
    let of = |id: &PointId| size.get(id).copied().unwrap_or(0);
    let mut counted: BTreeSet<&PointId> = BTreeSet::new();
    for stratum in strata {
        let mut members: Vec<&PointId> = population.iter().filter(|item| item.stratum == stratum.name).map(|item| &item.id).collect();
        members.sort_by_key(|id| std::cmp::Reverse(of(id)));
        counted.extend(members.into_iter().take(usize::try_from(stratum.sample).unwrap_or(usize::MAX)));
    }
    counted.extend(targeted.iter().map(|one| &one.id));
    counted
}

fn effort(candidates: &[Candidate], counted: &BTreeSet<&PointId>, config: &Config, entries: &[Entry]) -> Effort {
    let mut effort = Effort::default();
    for one in candidates.iter().filter(|one| counted.contains(&one.point.id) && one.basis != Basis::Untested) {
        let resource = config.resource.iter().find(|resource| resource.id == one.point.resource);
        // A manifest that is not at hand leaves its figures unknown; the drill will say what is wrong with it.
        let header = resource.and_then(|resource| manifests::header_for(entries, resource, &one.point.id, one.point.created_at));
        let driver = resource.and_then(|resource| driver_by(one.access, &one.point, &resource.source));
        effort.add(driver, &one.point, header.as_ref());
    }
    effort
}

/// The calls of listing, guard, restore, reading and teardown, for the kinds that are in the population.
fn permissions(candidates: &[Candidate], aws: bool, is_token_read: impl Fn(&ResourceId) -> bool) -> BTreeSet<&'static str> {
    let mut calls = BTreeSet::new();
    if !aws {
        return calls;
    }
    calls.extend(["sts:GetCallerIdentity", "backup:ListBackupPlans", "backup:ListBackupSelections", "backup:GetBackupSelection"]);
    for one in candidates {
        match one.point.from {
            PointSource::AwsBackup => calls.extend(of_aws_backup(one.mechanism == ACCESS_POINT_MECHANISM)),
            PointSource::RdsPitr => calls.extend(["rds:DescribeDBInstanceAutomatedBackups", "rds:RestoreDBInstanceToPointInTime"]),
            PointSource::S3Versions => {
                calls.extend(["s3:GetObjectVersionTagging", "s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"])
            }
            PointSource::RdsSnapshot => calls.extend(["rds:DescribeDBSnapshots", "rds:RestoreDBInstanceFromDBSnapshot"]),
            PointSource::DynamodbBackup => calls.extend(["dynamodb:ListBackups", "dynamodb:RestoreTableFromBackup"]),
            PointSource::DynamodbPitr => calls.extend(["dynamodb:RestoreTableToPointInTime"]),
            PointSource::Local => {}
        }
        if matches!(one.point.from, PointSource::DynamodbBackup | PointSource::DynamodbPitr) {
            // "DynamoDB read and write permissions on the target table are necessary for restore functionality": developer guide, Using IAM
            // with DynamoDB backup and restore.
            calls.extend([
                "dynamodb:BatchWriteItem",
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ]);
        }
        let Some(target) = one.target else { continue };
        match target {
            TargetKind::Bucket => calls.extend([
                "s3:ListAllMyBuckets",
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:CreateBucket",
                "s3:PutBucketVersioning",
                "s3:GetBucketVersioning",
                "s3:PutBucketPublicAccessBlock",
                "s3:GetBucketPublicAccessBlock",
                "s3:PutBucketTagging",
                "s3:GetBucketTagging",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:GetObjectTagging",
                "s3:GetObjectVersionTagging",
                "s3:GetObjectAttributes",
                "s3:GetObjectVersionAttributes",
                "s3:GetObjectRetention",
                "s3:GetObjectLegalHold",
                "s3:DeleteObjectVersion",
                "s3:DeleteBucket",
            ]),
            TargetKind::Table => calls.extend([
                "dynamodb:DescribeTable",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:ListTagsOfResource",
                "dynamodb:TagResource",
                "dynamodb:Scan",
                "dynamodb:DeleteTable",
            ]),
            TargetKind::DbInstance => {
                calls.extend(["rds:DescribeDBInstances", "rds:AddTagsToResource", "rds:ModifyDBInstance", "rds:DeleteDBInstance"]);
                calls.extend(is_token_read(&one.point.resource).then_some("rds-db:connect"));
            }
            TargetKind::AccessPoint => calls.extend([
                "s3:ListBucket",
                "s3:ListBucketVersions",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:GetObjectTagging",
                "s3:GetObjectVersionTagging",
                "s3:GetObjectAttributes",
                "s3:GetObjectVersionAttributes",
            ]),
            TargetKind::Path => {}
        }
    }
    calls
}

/// What listing a vault and bringing a point of it back needs; those of access points after the developer guide, "Access points", Prerequisites.
fn of_aws_backup(is_access_point: bool) -> Vec<&'static str> {
    let mut calls = vec!["backup:ListRecoveryPointsByBackupVault", "backup:DescribeBackupVault", "backup:DescribeRecoveryPoint"];
    if is_access_point {
        calls.extend([
            "backup:CreateBackupAccessPoint",
            "backup:DescribeBackupAccessPoint",
            "backup:DeleteBackupAccessPoint",
            "backup:ListBackupAccessPoints",
            "backup:ListTags",
            "backup:TagResource",
            "s3:GetAccessPoint",
            "s3:CreateAccessPoint",
            "s3:DeleteAccessPoint",
        ]);
    } else {
        calls.extend([
            "backup:GetRecoveryPointRestoreMetadata",
            "backup:StartRestoreJob",
            "backup:DescribeRestoreJob",
            "backup:ListRestoreJobs",
            "iam:PassRole",
        ]);
    }
    calls
}
