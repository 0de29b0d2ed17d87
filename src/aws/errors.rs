//! What went wrong at the edge, classed: throttled, denied, absent, invalid, network, other; with what to do about it.
//!
//! Not here: retrying. The SDK has retried (standard mode) before an error arrives here.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::model::failure::{Failure, FailureKind};

const SIGN_IN: &str = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`";
const SET_REGION: &str = "set AWS_REGION, or `region` in [aws] of attestore.toml";

/// Turns an SDK error of the call `what` (such as `s3:GetObject vault/key`) into a failure with its class.
pub fn classify<E>(what: &str, error: SdkError<E, HttpResponse>) -> Failure
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let failure = match &error {
        SdkError::ServiceError(service) => of_service(what, service.err(), service.raw().status().as_u16()),
        SdkError::TimeoutError(_) => Failure::new(FailureKind::Network, format!("{what}: no answer in time: {}", said(&error)))
            .hint("check the network, a proxy, or AWS_ENDPOINT_URL"),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            Failure::new(FailureKind::Network, format!("{what}: the answer (HTTP {status}) could not be read: {}", said(&error)))
        }
        SdkError::DispatchFailure(dispatch) => of_cause(what, &error).unwrap_or_else(|| match dispatch.as_connector_error() {
            Some(connector) if connector.is_user() => Failure::invalid(format!("{what}: the request cannot be sent: {}", said(&error))),
            _ if said(&error).contains("was not a valid URI") => Failure::invalid(format!("{what}: {}", said(&error)))
                .hint("AWS_ENDPOINT_URL, or `endpoint` in [aws], is a URL such as https://s3.eu-west-2.amazonaws.com"),
            _ => Failure::new(FailureKind::Network, format!("{what}: {}", said(&error)))
                .hint("check the network, a proxy, or AWS_ENDPOINT_URL"),
        }),
        _ => of_cause(what, &error).unwrap_or_else(|| Failure::invalid(format!("{what}: {}", said(&error)))),
    };
    failure.caused_by(error)
}

/// An error and its causes in one line; a cause that only repeats is left out.
fn said(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let more = match current.downcast_ref::<aws_smithy_types::error::ErrorMetadata>() {
            Some(meta) => format!("{}: {}", meta.code().unwrap_or("no code"), meta.message().unwrap_or("no message")),
            None => current.to_string(),
        };
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = current.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}

/// The failure of an answer that a service gave.
fn of_service<E: ProvideErrorMetadata>(what: &str, error: &E, status: u16) -> Failure {
    let code = error.code().unwrap_or("").to_owned();
    let said = error.message().unwrap_or("no message");
    let kind = match kind_of_code(&code) {
        // Answers to HEAD have no body and so no code; some proxies answer without one either.
        FailureKind::Remote => kind_of_status(status),
        kind => kind,
    };
    let shown = if code.is_empty() { format!("HTTP {status}") } else { code.clone() };
    let failure = Failure::new(kind, format!("{what}: {shown}: {said}"));
    match hint_of_code(&code) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What went wrong before there was an answer, where the chain of causes tells it better than the class of the error.
fn of_cause(what: &str, error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(credentials) = current.downcast_ref::<CredentialsError>() {
            return Some(of_credentials(what, credentials));
        }
        let text = current.to_string();
        if text.contains("region must be set") || text.contains("Missing Region") || text.contains("Invalid Configuration: Missing") {
            return Some(Failure::invalid(format!("{what}: no AWS Region is set")).hint(SET_REGION));
        }
        if text.contains("identity resolver timed out") {
            return Some(
                Failure::new(FailureKind::Network, format!("{what}: credentials could not be obtained in time: {text}"))
                    .hint("check the network, and that the credentials provider answers"),
            );
        }
        if text.contains("no identity resolver") {
            return Some(Failure::new(FailureKind::Denied, format!("{what}: no AWS credentials were found")).hint(SIGN_IN));
        }
        cause = current.source();
    }
    None
}

/// What the provider of credentials said.
pub fn of_credentials(what: &str, error: &CredentialsError) -> Failure {
    let text = said(error);
    let lower = text.to_lowercase();
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            Failure::new(FailureKind::Denied, format!("{what}: no AWS credentials were found")).hint(SIGN_IN)
        }
        CredentialsError::ProviderTimedOut(_) => {
            Failure::new(FailureKind::Network, format!("{what}: the credentials provider did not answer in time: {text}"))
        }
        CredentialsError::InvalidConfiguration(_) => {
            Failure::invalid(format!("{what}: the AWS configuration files are not usable: {text}"))
                .hint("check ~/.aws/config and ~/.aws/credentials, and that AWS_PROFILE names a profile in them")
        }
        _ if lower.contains("sso") && (lower.contains("expired") || lower.contains("token")) => {
            Failure::new(FailureKind::Denied, format!("{what}: the SSO session has expired: {text}")).hint("run `aws sso login`")
        }
        _ if lower.contains("throttl") => {
            Failure::new(FailureKind::Throttled, format!("{what}: asking for credentials was throttled: {text}"))
        }
        _ if ["dispatch failure", "connect", "timed out", "timeout"].iter().any(|word| lower.contains(word)) => {
            Failure::new(FailureKind::Network, format!("{what}: asking for credentials failed: {text}"))
        }
        _ => Failure::new(FailureKind::Denied, format!("{what}: credentials could not be obtained: {text}")).hint(SIGN_IN),
    }
}

/// The class of an answer by its HTTP status alone.
pub fn kind_of_status(status: u16) -> FailureKind {
    match status {
        401 | 403 | 407 => FailureKind::Denied,
        404 | 410 => FailureKind::Absent,
        408 => FailureKind::Network,
        429 | 503 => FailureKind::Throttled,
        301 | 307 | 400 | 405 => FailureKind::Invalid,
        _ => FailureKind::Remote,
    }
}

fn hint_of_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            "the credentials have expired: sign in again (`aws sso login`) and repeat"
        }
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => SIGN_IN,
        "RequestTimeTooSkewed" => "this machine's clock is wrong: set it",
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            "the resource lies in another Region: set AWS_REGION, or `region` in [aws] of attestore.toml"
        }
        "NoSuchBucket" => "check the bucket's name, the Region and the account",
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            "the identity may not make this call: allow it to, or choose another with AWS_PROFILE"
        }
        "InvalidObjectState" => "the object lies in an archived storage class and is not readable without a restore of its own",
        _ => return None,
    })
}

/// The class of a service's error code. Codes are those of the services' API references; throttling codes those that the SDK retries.
pub fn kind_of_code(code: &str) -> FailureKind {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "KMS.DisabledException"
        | "KMSAccessDeniedException"
        | "KMSInvalidStateException"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException"
        | "403"
        | "Forbidden" => FailureKind::Denied,
        "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchUpload"
        | "NoSuchVersion"
        | "NotFound"
        | "404"
        | "ResourceNotFoundException"
        | "ResourceNotFound"
        | "TableNotFoundException"
        | "BackupNotFoundException"
        | "PointInTimeRecoveryUnavailableException"
        | "DBInstanceNotFound"
        | "DBInstanceNotFoundFault"
        | "DBSnapshotNotFound"
        | "DBSnapshotNotFoundFault"
        | "DBSubnetGroupNotFoundFault" => FailureKind::Absent,
        "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "LimitExceededException"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "ServiceUnavailable"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "503" => FailureKind::Throttled,
        "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "InvalidArgument"
        | "InvalidBucketName"
        | "InvalidParameterCombination"
        | "InvalidParameterException"
        | "InvalidParameterValue"
        | "InvalidParameterValueException"
        | "InvalidRequest"
        | "InvalidRequestException"
        | "MissingParameterValueException"
        | "PermanentRedirect"
        | "ValidationError"
        | "ValidationException" => FailureKind::Invalid,
        "RequestTimeout" | "RequestTimeoutException" | "IncompleteBody" => FailureKind::Network,
        _ => FailureKind::Remote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    /// An error of some service: a code and a message.
    #[derive(Debug)]
    struct Coded(ErrorMetadata);

    impl std::fmt::Display for Coded {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }

    impl Error for Coded {}

    impl ProvideErrorMetadata for Coded {
        fn meta(&self) -> &ErrorMetadata {
            &self.0
        }
    }

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }

    fn service(code: Option<&str>, status: u16) -> Failure {
        let mut meta = ErrorMetadata::builder().message("so it is said");
        if let Some(code) = code {
            meta = meta.code(code);
        }
        classify("s3:HeadBucket vault", SdkError::service_error(Coded(meta.build()), answer(status)))
    }

    fn dispatch(error: ConnectorError) -> Failure {
        classify::<Coded>("s3:GetObject vault/a", SdkError::dispatch_failure(error))
    }

    #[test]
    fn codes_are_classed_and_said() {
        for (code, status, kind) in [
            (Some("AccessDenied"), 403, FailureKind::Denied),
            (Some("ExpiredToken"), 400, FailureKind::Denied),
            (Some("NoSuchBucket"), 404, FailureKind::Absent),
            (Some("ResourceNotFoundException"), 400, FailureKind::Absent),
            (Some("SlowDown"), 503, FailureKind::Throttled),
            (Some("ProvisionedThroughputExceededException"), 400, FailureKind::Throttled),
            (Some("PermanentRedirect"), 301, FailureKind::Invalid),
            (Some("InternalError"), 500, FailureKind::Remote),
            (Some("NeverHeardOf"), 400, FailureKind::Invalid),
            (None, 403, FailureKind::Denied),
            (None, 404, FailureKind::Absent),
            (None, 429, FailureKind::Throttled),
            (None, 502, FailureKind::Remote),
        ] {
            let failure = service(code, status);
            assert_eq!(failure.kind, kind, "{code:?} {status}");
            assert!(failure.message.starts_with("s3:HeadBucket vault: ") && failure.message.ends_with("so it is said"), "{failure}");
            assert!(failure.source.is_some());
        }
        assert!(service(Some("ExpiredToken"), 400).hint.unwrap().contains("aws sso login"));
        assert!(service(Some("PermanentRedirect"), 301).hint.unwrap().contains("AWS_REGION"));
    }

    #[test]
    fn what_never_reached_the_service_is_network() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(dispatch(ConnectorError::io(refused.into())).kind, FailureKind::Network);
        assert_eq!(dispatch(ConnectorError::timeout("too slow".into())).kind, FailureKind::Network);
        assert_eq!(dispatch(ConnectorError::other("a closed connection".into(), None)).kind, FailureKind::Network);
        assert_eq!(dispatch(ConnectorError::user("not a URI".into())).kind, FailureKind::Invalid);
        assert_eq!(classify::<Coded>("x", SdkError::timeout_error("slow")).kind, FailureKind::Network);
        assert_eq!(classify::<Coded>("x", SdkError::response_error("cut", answer(200))).kind, FailureKind::Network);
        assert_eq!(classify::<Coded>("x", SdkError::construction_failure("no bucket given")).kind, FailureKind::Invalid);
    }

    #[test]
    fn credentials_are_told_apart() {
        let cases = [
            (CredentialsError::not_loaded("no providers in chain provided credentials"), FailureKind::Denied, "aws sso login"),
            (CredentialsError::provider_error("the SSO token has expired and cannot be refreshed"), FailureKind::Denied, "aws sso login"),
            (
                CredentialsError::provider_error("AccessDenied: not authorized to perform sts:AssumeRole"),
                FailureKind::Denied,
                "AWS_PROFILE",
            ),
            (CredentialsError::invalid_configuration("profile `x` is not there"), FailureKind::Invalid, "~/.aws/config"),
            (CredentialsError::provider_error("dispatch failure: connection refused"), FailureKind::Network, ""),
        ];
        for (error, kind, hint) in cases {
            let shown = format!("{error:?}");
            let failure = dispatch(ConnectorError::other(error.into(), None));
            assert_eq!(failure.kind, kind, "{shown}");
            assert!(failure.hint.unwrap_or_default().contains(hint), "{shown}");
        }
    }

    #[test]
    fn a_missing_region_is_the_users_to_set() {
        for said in ["A region must be set when sending requests to S3.", "Invalid Configuration: Missing Region"] {
            let failure = dispatch(ConnectorError::other(said.into(), None));
            assert_eq!(failure.kind, FailureKind::Invalid);
            assert!(failure.hint.unwrap().contains("AWS_REGION"));
        }
    }
}
