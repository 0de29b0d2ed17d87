//! What went wrong at the edge, classed: throttled, denied, absent, invalid, network, other.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::model::failure::{Failure, FailureKind};

/// Turns an SDK error of the call `what` (such as `s3:GetObject vault/key`) into a failure with its class.
pub fn classify<E, R>(what: &str, error: SdkError<E, R>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("no code").to_owned();
            let said = service.err().message().unwrap_or("no message").to_owned();
            Failure::new(kind_of_code(&code), format!("{what}: {code}: {said}")).caused_by(error)
        }
        SdkError::ConstructionFailure(_) => Failure::invalid(format!("{what}: {}", DisplayErrorContext(&error))).caused_by(error),
        _ => {
            let said = DisplayErrorContext(&error).to_string();
            let missing_credentials = said.contains("CredentialsNotLoaded") || said.contains("no providers in chain provided credentials");
            if missing_credentials {
                return Failure::new(FailureKind::Denied, format!("{what}: no AWS credentials were found"))
                    .hint("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`")
                    .caused_by(error);
            }
            Failure::new(FailureKind::Network, format!("{what}: {said}")).caused_by(error)
        }
    }
}

/// The class of a service's error code. Codes are those of the services' API references.
pub fn kind_of_code(code: &str) -> FailureKind {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "403"
        | "Forbidden" => FailureKind::Denied,
        "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchVersion"
        | "NotFound"
        | "404"
        | "ResourceNotFoundException"
        | "TableNotFoundException"
        | "BackupNotFoundException"
        | "DBInstanceNotFound"
        | "DBInstanceNotFoundFault"
        | "DBSnapshotNotFound"
        | "DBSnapshotNotFoundFault" => FailureKind::Absent,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "LimitExceededException"
        | "503"
        | "ServiceUnavailable" => FailureKind::Throttled,
        "ValidationException"
        | "InvalidParameterValueException"
        | "InvalidParameterValue"
        | "InvalidRequest"
        | "MissingParameterValueException"
        | "InvalidArgument" => FailureKind::Invalid,
        "RequestTimeout" => FailureKind::Network,
        _ => FailureKind::Remote,
    }
}
