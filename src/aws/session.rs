//! A session: credentials, Region and endpoint by aws-config's own conventions, and one HTTP client for every service.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

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
}

/// Clients of one identity are made from this.
#[derive(Clone, Debug)]
pub struct Session {
    config: SdkConfig,
}

impl Session {
    /// Resolves Region and credentials lazily: nothing is asked of AWS here.
    pub async fn load(options: &SessionOptions) -> Self {
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
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
        Self { config: loader.load().await }
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
