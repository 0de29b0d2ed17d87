//! Objects in archived storage classes: what is said of them, and asking for a copy that can be read.
//!
//! RestoreObject answers at once and takes minutes to days; nothing waits here. A later run finds the copy and reads it.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};

use crate::aws::errors::classify;
use crate::aws::s3_evidence::Place;
use crate::model::failure::{Failure, FailureKind};

/// What is asked of archived objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thaw {
    /// How many days the readable copy is kept.
    pub days: i32,
    /// `Standard`, `Bulk` or `Expedited`: how fast, at what price.
    pub speed: String,
}

/// The failure of a read that met an archived object; with `thaw` a copy is asked for.
pub async fn meet(place: Place<'_>, class: Option<&str>, thaw: Option<&Thaw>, what: &str) -> Failure {
    let class = class.unwrap_or("an archived storage class");
    let archived =
        |said: String| Failure::new(FailureKind::Archived, format!("{what}: in {class}, not readable without a restore: {said}"));
    let Some(thaw) = thaw else {
        return archived("none was asked for".into())
            .hint("ask for copies with --restore-archived DAYS, and run again when they are there");
    };
    let built = GlacierJobParameters::builder().tier(Tier::from(thaw.speed.as_str())).build();
    let parameters = match built {
        Ok(parameters) => parameters,
        Err(error) => return Failure::invalid(format!("{what}: {error}")),
    };
    let request = RestoreRequest::builder().days(thaw.days).glacier_job_parameters(parameters).build();
    let call = place.client.restore_object().bucket(place.bucket).key(place.key).set_version_id(place.version_id.map(str::to_owned));
    match call.restore_request(request).send().await {
        Ok(_) => archived(format!("asked for now, kept {} days: run again when it is there", thaw.days)),
        Err(error) => match error.code() {
            Some("RestoreAlreadyInProgress") => archived("under way: run again when it is there".into()),
            _ => archived(format!("asking for one failed: {}", classify("s3:RestoreObject", error).message)),
        },
    }
}
