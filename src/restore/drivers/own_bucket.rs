//! A bucket of our own to restore into: made tagged, versioned and closed, looked at before anything is written to it, and read.
//!
//! Not here: what is written to it, which is its drivers' (`backup_s3`, `s3_versions`), and taking it down (`restore::teardown`).

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::Opened;
use crate::restore::guard;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::{Target, TargetKind};
use crate::restore::targets::{self, Found};

/// CreateBucket, and everything that closes it.
pub async fn make(order: &Order, clouds: &Clouds, permit: &Permit) -> Result<(), Failure> {
    let target = permit.target();
    let buckets = clouds.buckets(target.region.as_deref())?;
    buckets.create(&target.name).await?;
    buckets.furnish(&target.name, &order.tags()).await
}

/// The bucket as it was made. It may hold something already: after a crash the restore into it may be under way.
///
/// # Errors
/// [`FailureKind::Refused`] where it is not there, not ours, not closed or not versioned.
pub async fn ready(order: &Order, clouds: &Clouds, target: &Target) -> Result<Found, Failure> {
    let Some(found) = targets::find(clouds, &order.work, target).await? else {
        return Err(Failure::new(FailureKind::Refused, format!("bucket {} is not there to be restored into", target.name)));
    };
    match guard::bucket_ready(order, &found, false).into_iter().find(|probe| !probe.held) {
        None => Ok(found),
        Some(probe) => {
            let message = format!("bucket {}: {}: expected {}, found {}", target.name, probe.name, probe.expected, probe.found);
            Err(Failure::new(FailureKind::Refused, message))
        }
    }
}

/// How what was restored is read.
pub fn opened(order: &Order) -> Opened {
    let target = order.target(TargetKind::Bucket);
    let url = SourceUrl::S3 { bucket: target.name, prefix: String::new() };
    Opened { url, region: target.region, login: None, proof: None, unreadable: None, keeper: None }
}
