//! What ARNs name, and whether one is that of a configured resource.

use crate::model::resource::ResourceKind;

/// What an ARN names, after its account: `table/audit-logs`, `db:crm`, or a bucket's name.
pub fn resource_of_arn(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

/// The name that a service knows a resource by whose `source` this is: the end of its ARN or of its source URL, or `source` itself.
pub fn service_name(source: &str) -> &str {
    let plain = match source.split_once(':') {
        Some(("arn", _)) => resource_of_arn(source),
        Some(("s3", rest)) => rest.trim_start_matches('/').split('/').next().unwrap_or(rest),
        Some(("dynamodb", rest)) => rest,
        _ => source,
    };
    plain.rsplit(['/', ':']).next().unwrap_or(plain)
}

/// Whether an ARN is that of the resource: the whole ARN where `source` is one, else service and name.
pub fn is_of(kind: ResourceKind, source: &str, arn: &str) -> bool {
    if source.starts_with("arn:") {
        return source == arn;
    }
    let service = arn.split(':').nth(2).unwrap_or_default();
    let name = service_name(source);
    let named = resource_of_arn(arn);
    match kind {
        ResourceKind::S3 => service == "s3" && named == name,
        ResourceKind::Dynamodb => service == "dynamodb" && named.strip_prefix("table/") == Some(name),
        ResourceKind::RdsMysql | ResourceKind::RdsPostgres => service == "rds" && named.strip_prefix("db:") == Some(name),
        ResourceKind::Ebs => service == "ec2" && named.strip_prefix("volume/") == Some(name),
        ResourceKind::EcsConfig | ResourceKind::Files => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ResourceKind::{Dynamodb, RdsMysql, S3};

    #[test]
    fn resources_are_known_by_name_url_or_arn() {
        let bucket = "arn:aws:s3:::vault";
        assert!(is_of(S3, "s3://vault/prefix", bucket));
        assert!(is_of(S3, "vault", bucket) && is_of(S3, bucket, bucket));
        assert!(!is_of(S3, "vault2", bucket));
        let table = "arn:aws:dynamodb:eu-west-2:1:table/audit-logs";
        assert!(is_of(Dynamodb, "dynamodb:audit-logs", table) && is_of(Dynamodb, "audit-logs", table));
        assert!(!is_of(Dynamodb, "arn:aws:dynamodb:eu-west-1:1:table/audit-logs", table));
        assert!(is_of(RdsMysql, "crm", "arn:aws:rds:eu-west-2:1:db:crm"));
        assert!(!is_of(RdsMysql, "crm", "arn:aws:rds:eu-west-2:1:cluster:crm"));
        assert_eq!(service_name("arn:aws:rds:eu-west-2:1:db:crm"), "crm");
        assert_eq!(resource_of_arn("arn:aws:rds:eu-west-2:111122223333:snapshot:crm-1"), "snapshot:crm-1");
        assert_eq!(resource_of_arn("arn:aws:s3:::vault"), "vault");
    }
}
