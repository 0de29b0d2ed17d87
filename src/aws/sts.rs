//! STS: who we are.

use crate::aws::errors::classify;
use crate::aws::session::Session;
use crate::model::failure::{Failure, FailureKind};

/// The caller as AWS states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The account that calls are made in.
    pub account_id: String,
    /// The caller's ARN.
    pub arn: String,
}

/// STS GetCallerIdentity.
pub async fn caller(session: &Session) -> Result<Caller, Failure> {
    let client = aws_sdk_sts::Client::new(session.config());
    let answer = client.get_caller_identity().send().await.map_err(|error| classify("sts:GetCallerIdentity", error))?;
    match (answer.account, answer.arn) {
        (Some(account_id), Some(arn)) => Ok(Caller { account_id, arn }),
        _ => Err(Failure::new(FailureKind::Remote, "sts:GetCallerIdentity answered without an account")),
    }
}
