//! Faults of the control planes: restores that lie, fail or hang, throttling, expired credentials. Kept on disk with the rest.
//!
//! Not here: damage inside recovery points, which belongs to what holds the data, and faults of S3 requests.

use std::collections::BTreeMap;
use std::path::Path;

use http::StatusCode;

use crate::model::failure::Failure;
use crate::sandbox::control::answer::Refused;
use crate::sandbox::control::kept::Kept;

/// What goes wrong with every restore of one recovery point.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum RestoreFault {
    /// COMPLETED; the target is there and empty.
    CompletesEmpty,
    /// COMPLETED; no target, and no resource named.
    CompletesWithoutResource,
    /// FAILED with this message.
    Fails {
        /// The job's `StatusMessage`.
        message: String,
    },
    /// RUNNING for ever.
    Hangs,
    /// COMPLETED; the resource named is of another type, and nothing was made.
    WrongType,
    /// A restore to a point in time brings everything up to now, whatever time was asked for; other restores are what they should be.
    IgnoresTime,
    /// A restore of a database to a point in time stops so many seconds before the time that was asked for.
    StopsEarly {
        /// How many.
        seconds: i64,
    },
    /// COMPLETED with the items of another DynamoDB table.
    AnotherTable {
        /// The table's name.
        table: String,
        /// Whether the description of the target names that table as its source, or the one that was asked for.
        admitted: bool,
    },
}

/// What goes wrong with every access point on one recovery point.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum AccessPointFault {
    /// CREATING for ever.
    Hangs,
    /// FAILED with this message.
    Fails {
        /// The access point's `StatusMessage`.
        message: String,
    },
    /// AVAILABLE, and no alias is stated.
    WithoutAlias,
    /// AVAILABLE, and the description names this recovery point instead.
    NamesAnother {
        /// Its ARN.
        arn: String,
    },
    /// It shows what there is now, whatever second was asked for.
    IgnoresTime,
    /// DELETING for ever.
    Stays,
}

/// What descriptions of some instances say instead of what is so.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lie {
    /// The identifiers that begin so.
    pub of: String,
    /// The member, such as `PubliclyAccessible`.
    pub member: String,
    /// What stands in it; without one it is left out.
    pub says: Option<String>,
    /// Only once such an instance has been modified.
    pub once_modified: bool,
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Plan {
    /// About database instances.
    #[serde(default)]
    lies: Vec<Lie>,
    /// By the ARN of the recovery point or snapshot.
    restores: BTreeMap<String, RestoreFault>,
    /// By the ARN of the recovery point.
    #[serde(default)]
    access_points: BTreeMap<String, AccessPointFault>,
    /// By the ARN of a table: its on-demand backups mix states up to so many seconds apart.
    #[serde(default)]
    fuzzy: BTreeMap<String, i64>,
    /// By service: so many requests are still to be throttled.
    throttled: BTreeMap<String, u32>,
    /// By service: so many requests still meet expired credentials.
    expired: BTreeMap<String, u32>,
    /// STS dates its answers so many seconds ahead of everybody else's clock.
    #[serde(default)]
    dated_ahead_s: i64,
}

/// The faults to come.
#[derive(Debug)]
pub struct Faults {
    plan: Kept<Plan>,
}

impl Faults {
    /// Reads what was planted in the state folder `dir`.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        Ok(Self { plan: Kept::open(&dir.join("faults.json"))? })
    }

    /// Every restore of the recovery point `arn` goes wrong in this way; a restore to a point in time goes by the ARN of its source.
    pub fn on_restore(&self, arn: &str, fault: RestoreFault) -> Result<(), Failure> {
        self.plan.change(|plan| plan.restores.insert(arn.into(), fault)).map(drop)
    }

    /// On-demand backups of the table `arn` show half of its keys as they were `seconds` before (it needs point-in-time recovery for that).
    pub fn fuzzy_backups(&self, arn: &str, seconds: i64) -> Result<(), Failure> {
        self.plan.change(|plan| plan.fuzzy.insert(arn.into(), seconds)).map(drop)
    }

    /// From now on, instances are described so.
    pub fn on_description(&self, lie: Lie) -> Result<(), Failure> {
        self.plan.change(|plan| plan.lies.push(lie)).map(drop)
    }

    /// The instance `id` was modified: what waited for that comes into force.
    pub fn modified(&self, id: &str) -> Result<(), Failure> {
        let waits = |lie: &Lie| lie.once_modified && id.starts_with(&lie.of);
        if !self.plan.read(|plan| plan.lies.iter().any(waits)) {
            return Ok(());
        }
        self.plan.change(|plan| plan.lies.iter_mut().filter(|lie| waits(lie)).for_each(|lie| lie.once_modified = false))
    }

    /// What is said of the instance `id` in place of what is so.
    pub fn lies(&self, id: &str) -> Vec<Lie> {
        self.plan.read(|plan| plan.lies.iter().filter(|lie| !lie.once_modified && id.starts_with(&lie.of)).cloned().collect())
    }

    /// How fuzzy the on-demand backups of a table are.
    pub fn fuzzy_seconds(&self, arn: &str) -> Option<i64> {
        self.plan.read(|plan| plan.fuzzy.get(arn).copied())
    }

    /// The next `times` requests to `service` (`backup`, `dynamodb`, `rds`, `sts`) are throttled.
    pub fn throttle(&self, service: &str, times: u32) -> Result<(), Failure> {
        self.plan.change(|plan| plan.throttled.insert(service.into(), times)).map(drop)
    }

    /// The next `times` requests to `service` find the credentials expired.
    pub fn expire(&self, service: &str, times: u32) -> Result<(), Failure> {
        self.plan.change(|plan| plan.expired.insert(service.into(), times)).map(drop)
    }

    /// STS dates its answers so many seconds ahead of the clock that everything else goes by, this machine's; behind it where negative.
    pub fn date_ahead(&self, seconds: i64) -> Result<(), Failure> {
        self.plan.change(|plan| plan.dated_ahead_s = seconds)
    }

    /// How far ahead STS dates its answers.
    pub fn dated_ahead_s(&self) -> i64 {
        self.plan.read(|plan| plan.dated_ahead_s)
    }

    /// Forgets every fault to come.
    pub fn clear(&self) -> Result<(), Failure> {
        self.plan.change(|plan| *plan = Plan::default())
    }

    /// From now on, access points on the recovery point `arn` go wrong in this way.
    pub fn on_access_point(&self, arn: &str, fault: AccessPointFault) -> Result<(), Failure> {
        self.plan.change(|plan| plan.access_points.insert(arn.into(), fault)).map(drop)
    }

    /// What goes wrong with access points on the recovery point `arn`.
    pub fn of_access_point(&self, arn: &str) -> Option<AccessPointFault> {
        self.plan.read(|plan| plan.access_points.get(arn).cloned())
    }

    /// What goes wrong with restores of the recovery point `arn`.
    pub fn of_restore(&self, arn: &str) -> Option<RestoreFault> {
        self.plan.read(|plan| plan.restores.get(arn).cloned())
    }

    /// The fault that a request to `service` meets, counted down.
    pub fn meet(&self, service: &str) -> Result<(), Refused> {
        let due = self.plan.read(|plan| plan.expired.contains_key(service) || plan.throttled.contains_key(service));
        if !due {
            return Ok(());
        }
        let (expired, throttled) =
            self.plan.change(|plan| (count_down(&mut plan.expired, service), count_down(&mut plan.throttled, service)))?;
        if expired {
            let code = if matches!(service, "rds" | "sts") { "ExpiredToken" } else { "ExpiredTokenException" };
            let message = "The security token included in the request is expired";
            let status = if service == "dynamodb" { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
            return Err(Refused { status, ..Refused::new(code, message) });
        }
        if throttled {
            return Err(match service {
                "dynamodb" => Refused::new("ThrottlingException", "Rate of requests exceeds the allowed throughput."),
                "backup" => Refused { status: StatusCode::TOO_MANY_REQUESTS, ..Refused::new("ThrottlingException", "Rate exceeded") },
                _ => Refused::new("Throttling", "Rate exceeded"),
            });
        }
        Ok(())
    }
}

fn count_down(counts: &mut BTreeMap<String, u32>, service: &str) -> bool {
    let Some(count) = counts.get_mut(service) else { return false };
    let due = *count > 0;
    *count = count.saturating_sub(1);
    if *count == 0 {
        counts.remove(service);
    }
    due
}
