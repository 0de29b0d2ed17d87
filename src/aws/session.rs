//! A session: credentials, Region and endpoint by aws-config's own conventions, and one HTTP client for every service.
//!
//! Not here: any call. Nothing is asked of AWS until a client of the session makes its first request; a role is assumed then too.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use crate::model::failure::Failure;

/// The name that an assumed role's session has in CloudTrail.
pub const ROLE_SESSION_NAME: &str = "attestore";

/// How AWS is reached; what is absent is taken from the environment and the shared configuration files.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// The Region.
    pub region: Option<String>,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// An endpoint instead of AWS's own, for every service.
    pub endpoint: Option<String>,
    /// Access key id and secret, only for the stand-in AWS.
    pub static_credentials: Option<(String, String)>,
    /// The ARN of a role that is assumed with the credentials found.
    pub assume_role: Option<String>,
}

/// Clients of one identity are made from this.
#[derive(Clone, Debug)]
pub struct Session {
    config: SdkConfig,
}

impl Session {
    /// Resolves Region and credentials lazily: nothing is asked of AWS here.
    pub async fn load(options: &SessionOptions) -> Self {
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        // The stand-in speaks no TLS: the authorities that the machine knows are read for nothing.
        let is_stand_in = options.static_credentials.is_some();
        let nobody = is_stand_in.then(|| TlsContext::builder().with_trust_store(TrustStore::empty()).build().ok()).flatten();
        let http = match nobody {
            Some(nobody) => http.tls_context(nobody).build_https(),
            None => http.build_https(),
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(8))
            .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(10)).build());
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some((id, secret)) = &options.static_credentials {
            loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "attestore-sandbox"));
        }
        let mut config = loader.load().await;
        if let Some(role) = &options.assume_role {
            let provider = AssumeRoleProvider::builder(role).session_name(ROLE_SESSION_NAME).configure(&config).build().await;
            config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
        }
        Self { config }
    }

    /// As [`Session::load`], and the Region must be known: every call needs one, so it is said before the first.
    ///
    /// # Errors
    /// [`crate::model::failure::FailureKind::Invalid`] where neither options, environment nor profile name a Region.
    pub async fn open(options: &SessionOptions) -> Result<Self, Failure> {
        let session = Self::load(options).await;
        if session.region().is_none_or(|region| region.is_empty()) {
            return Err(Failure::invalid("no AWS Region is set").hint("set AWS_REGION, or `region` in [aws] of attestore.toml"));
        }
        Ok(session)
    }

    /// Of this configuration.
    #[cfg(test)]
    pub fn of(config: SdkConfig) -> Self {
        Self { config }
    }

    /// The shared configuration that service clients are made from.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The same identity in another Region: copies of recovery points are restored where they lie.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { config: self.config.to_builder().region(Region::new(region.to_owned())).build() }
    }

    /// The Region, once resolved.
    pub fn region(&self) -> Option<String> {
        self.config.region().map(ToString::to_string)
    }

    /// True when an endpoint other than AWS's own is set: buckets are then addressed by path.
    pub fn has_custom_endpoint(&self) -> bool {
        self.config.endpoint_url().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::errors::classify;
    use crate::model::failure::FailureKind;

    fn options(endpoint: &str) -> SessionOptions {
        SessionOptions {
            region: Some("eu-west-2".into()),
            endpoint: Some(endpoint.into()),
            static_credentials: Some(("id".into(), "secret".into())),
            ..SessionOptions::default()
        }
    }

    /// An address of this machine on which nobody listens.
    fn closed_port() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    fn one_attempt(session: &Session) -> SdkConfig {
        session.config().clone().into_builder().retry_config(RetryConfig::disabled()).build()
    }

    #[tokio::test]
    async fn a_refused_connection_is_network() {
        let session = Session::load(&options(&closed_port())).await;
        let error = aws_sdk_dynamodb::Client::new(&one_attempt(&session)).describe_table().table_name("t").send().await.unwrap_err();
        let failure = classify("dynamodb:DescribeTable t", error);
        assert_eq!(failure.kind, FailureKind::Network, "{failure}");
        assert!(failure.hint.unwrap().contains("AWS_ENDPOINT_URL"));
    }

    /// Answers every request as STS denies one.
    fn denying_sts() -> String {
        const BODY: &str = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
            <Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>";
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 8192]);
                let head = format!(
                    "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    BODY.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(BODY.as_bytes()));
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_role_that_cannot_be_assumed_is_denied() {
        let options = SessionOptions { assume_role: Some("arn:aws:iam::111122223333:role/reader".into()), ..options(&denying_sts()) };
        let session = Session::load(&options).await;
        let error = aws_sdk_dynamodb::Client::new(&one_attempt(&session)).describe_table().table_name("t").send().await.unwrap_err();
        let failure = classify("dynamodb:DescribeTable t", error);
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
        assert!(failure.message.contains("credentials") && failure.message.contains("AccessDenied"), "{failure}");
    }

    #[tokio::test]
    async fn a_missing_region_and_missing_credentials_are_told() {
        let bare = |with_region: bool| {
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https());
            if with_region { config.region(Region::new("eu-west-2")) } else { config }.build()
        };
        let unregioned = bare(false);
        let with_key = unregioned
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
            .build();
        let error = aws_sdk_s3::Client::new(&with_key).head_bucket().bucket("vault").send().await.unwrap_err();
        let failure = classify("s3:HeadBucket vault", error);
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        assert!(failure.hint.as_deref().unwrap_or_default().contains("AWS_REGION"), "{failure}");
        let error = aws_sdk_dynamodb::Client::new(&with_key).describe_table().table_name("t").send().await.unwrap_err();
        let failure = classify("dynamodb:DescribeTable t", error);
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        assert!(failure.hint.as_deref().unwrap_or_default().contains("AWS_REGION"), "{failure}");
        let error = aws_sdk_dynamodb::Client::new(&bare(true)).describe_table().table_name("t").send().await.unwrap_err();
        let failure = classify("dynamodb:DescribeTable t", error);
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
        assert!(failure.hint.as_deref().unwrap_or_default().contains("aws sso login"), "{failure}");
    }
}
