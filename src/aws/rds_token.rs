//! Tokens that open databases on RDS in place of passwords (IAM database authentication, Amazon RDS User Guide): a presigned URL of
//! `rds-db`'s `connect`, good for 15 minutes and for one user of one instance. Nothing is asked of AWS to make one.
//!
//! Not here: who may have one (that is IAM's `rds-db:connect`), and where it is sent (`verify::sql::login`).

use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use tokio::sync::OnceCell;

use crate::aws::errors;
use crate::aws::session::{Session, SessionOptions};
use crate::aws::signature::SigningKey;
use crate::model::failure::Failure;
use crate::verify::sql::connect::login::{Place, Tokens};

/// How long a token opens sessions; one that is open stays so. RDS fixes it.
const SECONDS: u32 = 900;

/// What an instance's host name ends with, after its Region.
const DOMAINS: &[&str] = &[".rds.amazonaws.com", ".rds.amazonaws.com.cn"];

/// Makes tokens with the credentials of one identity.
#[derive(Debug)]
pub struct RdsTokens {
    options: SessionOptions,
    session: OnceCell<Session>,
}

impl RdsTokens {
    /// Of the identity that `options` name. Its credentials are looked for with the first token.
    pub fn of_options(options: SessionOptions) -> Self {
        Self { options, session: OnceCell::new() }
    }

    /// Of `session`'s identity.
    pub fn of_session(session: Session) -> Self {
        Self { options: SessionOptions::default(), session: OnceCell::new_with(Some(session)) }
    }
}

#[async_trait]
impl Tokens for RdsTokens {
    async fn token(&self, place: &Place) -> Result<String, Failure> {
        let session = self.session.get_or_init(|| Session::load(&self.options)).await;
        let region = place.region.clone().or_else(|| region_of(&place.host)).or_else(|| session.region());
        let region = region.filter(|region| !region.is_empty()).ok_or_else(|| {
            Failure::invalid(format!("{}:{}: a token is signed for a Region, and none is known", place.host, place.port))
                .hint("add `region=REGION` to the URL, or set AWS_REGION")
        })?;
        let found = match session.config().credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("no provider")),
        };
        let credentials = found.map_err(|error| errors::of_credentials("rds-db:connect", &error))?;
        Ok(token(&credentials, place, &region, SystemTime::now()))
    }
}

/// The token of `place` at `now`.
fn token(credentials: &Credentials, place: &Place, region: &str, now: SystemTime) -> String {
    let time = chrono::DateTime::<chrono::Utc>::from(now).format("%Y%m%dT%H%M%SZ").to_string();
    let key = SigningKey::new(credentials, &time[..8], region, "rds-db");
    let host = format!("{}:{}", place.host, place.port);
    let asked = [("Action", "connect"), ("DBUser", place.user.as_str())];
    format!("{host}/?{}", key.presign(&time, &host, &asked, SECONDS, credentials.session_token()))
}

/// The Region in the name that RDS gave an instance: `NAME.RANDOM.REGION.rds.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let named = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
    named.rsplit('.').next().filter(|region| region.contains('-')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failure::FailureKind;

    fn place(user: &str) -> Place {
        let host = "crm.abc123.eu-west-2.rds.amazonaws.com".to_owned();
        Place { host, port: 5432, user: user.to_owned(), region: None }
    }

    /// What botocore 1.44.5 gives for the same instant (`generate_db_auth_token`).
    #[test]
    fn tokens_are_those_of_botocore() {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_769_824_984);
        let credentials = |session: Option<&str>| {
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session.map(str::to_owned), None, "test")
        };
        let made = token(&credentials(None), &place("drill reader+1"), "eu-west-2", at);
        let head = "crm.abc123.eu-west-2.rds.amazonaws.com:5432/?Action=connect&DBUser=drill%20reader%2B1&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                    &X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-west-2%2Frds-db%2Faws4_request&X-Amz-Date=20260131T020304Z&X-Amz-Expires=900\
                    &X-Amz-SignedHeaders=host";
        assert_eq!(made, format!("{head}&X-Amz-Signature=de9ae35fe1f9d9e364561473c743c24a58471371565d0fbfb79ae8ed87c91e62"));
        let made = token(&credentials(Some("IQoJb3JpZ2luX2VjEA==/+token")), &place("drill reader+1"), "eu-west-2", at);
        assert_eq!(
            made,
            format!(
                "{head}&X-Amz-Security-Token=IQoJb3JpZ2luX2VjEA%3D%3D%2F%2Btoken\
                 &X-Amz-Signature=5949ad1111bd9c10cda6dec7992252f400d91db6155ae7ec523a208bef3e459b"
            )
        );
    }

    #[test]
    fn the_region_is_in_the_name_that_rds_gave() {
        assert_eq!(region_of("crm.abc123.eu-west-2.rds.amazonaws.com").as_deref(), Some("eu-west-2"));
        assert_eq!(region_of("crm.abc123.cn-north-1.rds.amazonaws.com.cn").as_deref(), Some("cn-north-1"));
        assert_eq!((region_of("127.0.0.1"), region_of("db.example.org"), region_of(".rds.amazonaws.com")), (None, None, None));
    }

    #[tokio::test]
    async fn without_a_region_nothing_is_signed() {
        let config = aws_config::SdkConfig::builder().build();
        let tokens = RdsTokens::of_session(Session::of(config));
        let place = Place { host: "127.0.0.1".into(), ..place("u") };
        let failure = tokens.token(&place).await.unwrap_err();
        assert!(failure.kind == FailureKind::Invalid && failure.message.contains("Region"), "{failure}");
        let failure = tokens.token(&Place { region: Some("eu-west-2".into()), ..place }).await.unwrap_err();
        assert!(failure.kind == FailureKind::Denied && failure.hint.is_some(), "{failure}");
    }
}
