//! Instants of the SDK as ours, and the Region of an ARN.

use aws_smithy_types::DateTime;

use crate::model::clock::Timestamp;

/// An SDK instant, cut to milliseconds so that it survives its own spelling.
pub fn timestamp(time: &DateTime) -> Timestamp {
    let millis = time.secs().saturating_mul(1000).saturating_add(i64::from(time.subsec_nanos() / 1_000_000));
    Timestamp(millis.saturating_mul(1000))
}

/// The Region of an ARN, where it has one.
pub fn region_of_arn(arn: &str) -> Option<String> {
    arn.split(':').nth(3).filter(|region| !region.is_empty()).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_come_apart() {
        let arn = "arn:aws:rds:eu-west-2:111122223333:snapshot:crm-1";
        assert_eq!((region_of_arn(arn).as_deref(), region_of_arn("arn:aws:s3:::vault")), (Some("eu-west-2"), None));
        assert_eq!(timestamp(&DateTime::from_millis(1_500)), Timestamp(1_500_000));
    }
}
