//! What one case is to restore, where to, and under which demands; and the clouds that it is done with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::aws::backup::Backup;
use crate::aws::backup_access::{AccessPoints, LONGEST_NAME};
use crate::aws::buckets::Buckets;
use crate::aws::dynamodb_backup::Tables;
use crate::aws::rds::Rds;
use crate::aws::session::Session;
use crate::estate::config::IsolationDemands;
use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{CaseId, DrillId};
use crate::model::recovery_point::RecoveryPoint;
use crate::model::resource::PointSource;
use crate::restore::records::{DrillOpened, Step, Target, TargetKind};

/// The tag that every created resource carries where it can: its value is the drill's id.
pub const DRILL_TAG: &str = "attestore:drill";
/// The tag with the case's id.
pub const CASE_TAG: &str = "attestore:case";
/// What names start with where the configuration demands nothing.
pub const DEFAULT_PREFIX: &str = "attestore-drill-";

/// One case's restore.
#[derive(Clone, Debug)]
pub struct Order {
    /// The drill.
    pub drill: DrillId,
    /// When the drill began, by the clock of what creates the target.
    pub began_at: Timestamp,
    /// The drill's random nonce.
    pub nonce: String,
    /// The case.
    pub case: CaseId,
    /// What is restored.
    pub point: RecoveryPoint,
    /// The resource's `source`, which tells a database file from a tree.
    pub source: String,
    /// The database within a restored instance.
    pub database: Option<String>,
    /// What the manifest notes of the source's database as a whole, such as its encoding and collation.
    pub database_default: BTreeMap<String, String>,
    /// What a restore must look like; absent beside AWS.
    pub isolation: Option<IsolationDemands>,
    /// The role that AWS Backup restores with.
    pub backup_role_arn: Option<String>,
    /// The drill's working directory, for restores beside AWS.
    pub work: PathBuf,
    /// The password that is set on a restored instance; never written down.
    pub password: String,
    /// The user of a restored instance who logs in with tokens of IAM; absent: the master user, with that password.
    pub iam_user: Option<String>,
}

impl Order {
    /// What the names of everything created start with.
    pub fn prefix(&self) -> &str {
        self.isolation.as_ref().map_or(DEFAULT_PREFIX, |demands| demands.name_prefix.as_str())
    }

    /// The case's target: a function of prefix, case and the drill's nonce, so that a retry meets the same name.
    pub fn target(&self, kind: TargetKind) -> Target {
        let key = self.isolation.as_ref().and_then(|demands| demands.kms_key_arn.as_deref());
        let region = match (kind, self.point.from) {
            (TargetKind::Path, _) => None,
            // DynamoDB restores across Regions, and a table can only have a key of its own Region: the demanded key says where.
            (TargetKind::Table, PointSource::DynamodbBackup | PointSource::DynamodbPitr) if key.is_some() => {
                key.and_then(crate::aws::times::region_of_arn)
            }
            _ => crate::aws::times::region_of_arn(&self.point.handle),
        };
        let longest = if kind == TargetKind::AccessPoint { LONGEST_NAME } else { usize::MAX };
        Target { kind, name: target_name_within(longest, self.prefix(), &self.case, &self.nonce), region }
    }

    /// The tags of everything that this case creates.
    pub fn tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(DRILL_TAG.to_owned(), self.drill.0.clone()), (CASE_TAG.to_owned(), self.case.0.clone())])
    }

    /// The idempotency token of a step.
    pub fn token(&self, step: Step) -> String {
        let text = format!("{}|{}|{step:?}", self.nonce, self.case);
        Digest32::sha256(text.as_bytes()).hex()[..32].to_owned()
    }

    /// The role of AWS Backup, or a failure that names what is to be configured.
    pub fn backup_role(&self) -> Result<&str, Failure> {
        self.backup_role_arn.as_deref().ok_or_else(|| {
            Failure::invalid("`aws.backup_role_arn` is not set").hint("AWS Backup restores with a role of the account: set it in [aws]")
        })
    }
}

/// `PREFIX CASE - 8 hex digits`: the digits are known only from the drill's journal.
pub fn target_name(prefix: &str, case: &CaseId, nonce: &str) -> String {
    let suffix = &Digest32::sha256(format!("attestore/target/v1|{nonce}|{case}").as_bytes()).hex()[..8];
    format!("{prefix}{case}-{suffix}").to_ascii_lowercase()
}

/// [`target_name`], or where that is longer than `longest` bytes: the prefix and 16 of the digits.
fn target_name_within(longest: usize, prefix: &str, case: &CaseId, nonce: &str) -> String {
    let name = target_name(prefix, case, nonce);
    if name.len() <= longest {
        return name;
    }
    let digits = Digest32::sha256(format!("attestore/target/v1|{nonce}|{case}").as_bytes()).hex();
    format!("{prefix}{}", &digits[..16]).to_ascii_lowercase()
}

/// Where a case keeps what it has read of a restored database, so that a drill that was cut short goes on by range. It goes with the case's
/// teardown.
pub fn reading_state(work: &Path, case: &CaseId) -> PathBuf {
    work.join(format!("{case}.reading"))
}

/// 16 random hex digits for [`DrillOpened::nonce`].
pub fn nonce() -> Result<String, Failure> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(FailureKind::Disk, format!("no random bytes: {error}")))?;
    Ok(hex::encode(bytes))
}

/// Whether a name may be one of this drill's: its prefix, then its id.
pub fn is_of_drill(name: &str, prefix: &str, drill: &DrillOpened) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(&format!("{}-c", drill.drill)))
}

/// AWS, where the estate has any: one identity that lists and restores, one that reads and deletes what was restored.
#[derive(Clone, Debug, Default)]
pub struct Clouds {
    vault: Option<Session>,
    isolated: Option<Session>,
}

impl Clouds {
    /// Local points only.
    pub fn none() -> Self {
        Self::default()
    }

    /// AWS: `vault` lists recovery points and asks AWS Backup for restores, `isolated` does everything else.
    pub fn aws(vault: Session, isolated: Session) -> Self {
        Self { vault: Some(vault), isolated: Some(isolated) }
    }

    /// Whether there is a session at all.
    pub fn has_aws(&self) -> bool {
        self.isolated.is_some()
    }

    /// The identity that reads and deletes what was restored, in `region` where that is another than its own.
    pub fn session(&self, region: Option<&str>) -> Result<Session, Failure> {
        in_region(self.isolated.as_ref(), region)
    }

    /// The identity that lists and restores recovery points.
    pub fn vault_session(&self, region: Option<&str>) -> Result<Session, Failure> {
        in_region(self.vault.as_ref(), region)
    }

    /// AWS Backup in `region`.
    pub fn backup(&self, region: Option<&str>) -> Result<Backup, Failure> {
        Ok(Backup::new(&self.vault_session(region)?))
    }

    /// Backup access points in `region`, of the identity that restores.
    pub fn access_points(&self, region: Option<&str>) -> Result<AccessPoints, Failure> {
        Ok(AccessPoints::new(&self.vault_session(region)?))
    }

    /// RDS in `region`.
    pub fn rds(&self, region: Option<&str>) -> Result<Rds, Failure> {
        Ok(Rds::new(&self.session(region)?))
    }

    /// DynamoDB's control plane in `region`.
    pub fn tables(&self, region: Option<&str>) -> Result<Tables, Failure> {
        Ok(Tables::new(&self.session(region)?))
    }

    /// S3 buckets in `region`.
    pub fn buckets(&self, region: Option<&str>) -> Result<Buckets, Failure> {
        Ok(Buckets::new(&self.session(region)?))
    }
}

fn in_region(session: Option<&Session>, region: Option<&str>) -> Result<Session, Failure> {
    let session = session.ok_or_else(|| {
        Failure::invalid("the configuration has no [aws], and a resource of it lies in AWS")
            .hint("add [aws] with region and backup_role_arn")
    })?;
    Ok(match region {
        Some(region) if session.region().as_deref() != Some(region) => session.in_region(region),
        _ => session.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_deterministic_fit_every_service_and_depend_on_the_nonce() {
        let case = CaseId::of(&"d20260131-020000-7f3a".into(), 3);
        let name = target_name(DEFAULT_PREFIX, &case, "aa");
        assert_eq!(name, target_name(DEFAULT_PREFIX, &case, "aa"));
        assert_ne!(name, target_name(DEFAULT_PREFIX, &case, "ab"));
        // Buckets and instances: at most 63, lower case, no `--`.
        assert!(
            name.len() <= 63 && !name.contains("--") && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        // Access points: at most 50.
        assert_eq!(target_name_within(name.len(), DEFAULT_PREFIX, &case, "aa"), name);
        let long = target_name_within(LONGEST_NAME, "attestore-drill-long-", &case, "aa");
        assert!(long.len() <= LONGEST_NAME && long.starts_with("attestore-drill-long-") && !long.ends_with('-'), "{long}");
        assert_ne!(long, target_name_within(LONGEST_NAME, "attestore-drill-long-", &case, "ab"));
    }
}
