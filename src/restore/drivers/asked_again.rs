//! Restores that take no token: a call whose answer is lost is sent again by the client, and finds the name taken by what it began itself.

use crate::aws::restoring::Restoring;
use crate::model::failure::{Failure, FailureKind};
use crate::restore::driver::Accepted;
use crate::restore::late::seen_at_last;
use crate::restore::order::{Clouds, Order};
use crate::restore::records::Target;
use crate::restore::targets::Found;

/// What was accepted. Where the name is taken, what bears it is described: it was absent before the call, and is gone on with where `is_ours`
/// says that it is of this restore.
///
/// # Errors
/// [`FailureKind::Refused`] where it is somebody else's: nothing came of the call.
pub async fn accepted(
    order: &Order,
    clouds: &Clouds,
    target: &Target,
    answer: Restoring,
    is_ours: impl Fn(&Found) -> bool,
) -> Result<Accepted, Failure> {
    if let Restoring::Accepted(created_arn) = answer {
        return Ok(Accepted { job_id: None, created_arn });
    }
    match seen_at_last(clouds, &order.work, target).await? {
        Some(found) if is_ours(&found) => Ok(Accepted { job_id: None, created_arn: Some(found.arn) }),
        Some(found) => {
            let message = format!("{} is there, and is not this drill's: it was absent before the restore was asked for", found.arn);
            Err(Failure::new(FailureKind::Refused, message).hint("somebody else took the name in between: find out who, and drill again"))
        }
        None => {
            let message = format!("{} is taken, as the service says of the name, and nothing of that name is described", target.name);
            Err(Failure::new(FailureKind::Remote, message))
        }
    }
}
