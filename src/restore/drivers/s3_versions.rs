//! A bucket's own versions: each key's version of the point's second, copied in place of the latest into a bucket of our own.
//!
//! What a rollback would do, done beside the bucket: nothing in it is touched. The versions and delete markers say what each key was
//! (`aws::s3_views`); what a lifecycle rule has removed since then is gone, and found missing.

use async_trait::async_trait;
use serde_json::json;

use crate::aws::s3_copies::{COPY_LIMIT_BYTES, copy_as_of};
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::own_bucket;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets;

/// The driver.
pub struct S3Versions;

#[async_trait]
impl Driver for S3Versions {
    fn mechanism(&self) -> &'static str {
        "s3:CopyObject"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Bucket
    }

    fn makes_container(&self) -> bool {
        true
    }

    fn restores_itself(&self) -> bool {
        true
    }

    async fn make_container(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        own_bucket::make(order, clouds, &permit).await
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        let found = own_bucket::ready(order, clouds, target).await?;
        let (bucket, prefix) = place(order);
        let session = clouds.session(target.region.as_deref())?;
        copy_as_of(&session, (&bucket, &prefix), order.point.created_at, &target.name, COPY_LIMIT_BYTES).await?;
        Ok(Accepted { job_id: None, created_arn: Some(found.arn) })
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, _accepted: &Accepted) -> Result<Progress, Failure> {
        let target = order.target(TargetKind::Bucket);
        Ok(match targets::find(clouds, &order.work, &target).await? {
            // Copying has ended before the request was accepted.
            Some(found) => Progress::Ready { status: "COPIED".into(), created_arn: found.arn.clone(), raw: found.raw() },
            None => Progress::Failed {
                status: "ABSENT".into(),
                message: format!("bucket {} was copied into and does not exist", target.name),
                raw: json!({}),
            },
        })
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        Ok(Some(own_bucket::opened(order)))
    }
}

/// The bucket and the prefix that the point is of.
fn place(order: &Order) -> (String, String) {
    match order.source.parse() {
        Ok(SourceUrl::S3 { bucket, prefix }) => (bucket, prefix),
        _ => (crate::model::arn::resource_of_arn(&order.point.handle).to_owned(), String::new()),
    }
}
