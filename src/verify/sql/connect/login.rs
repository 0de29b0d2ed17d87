//! What opens a session: the options of a server, with a password that stays the same or a token of the moment.
//!
//! A token of IAM (Amazon RDS User Guide, "IAM database authentication") is good for 15 minutes, and a long reading opens sessions for
//! longer than that: each session has one of its own. It is the password itself, in the clear within TLS, so that it goes to nobody but
//! a server whose certificate leads to the given CA. It is never shown, and never part of an error.
//!
//! Not here: how a token is signed (`aws::rds_token`), and what URLs mean (`access`).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::failure::{Failure, FailureKind};

/// Whom a token opens a session for, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The server's name, as it is connected to.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database user.
    pub user: String,
    /// The Region, where it is said.
    pub region: Option<String>,
}

/// Makes tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// The token of this moment.
    async fn token(&self, place: &Place) -> Result<String, Failure>;
}

/// A server's options, and what their password is.
#[derive(Clone)]
pub struct Door<O> {
    options: O,
    token: Option<Token<O>>,
}

#[derive(Clone)]
struct Token<O> {
    place: Place,
    tokens: Arc<dyn Tokens>,
    set: fn(O, &str) -> O,
}

/// Shows neither password nor token.
impl<O> fmt::Debug for Door<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("place", &self.token.as_ref().map(|token| &token.place)).finish_non_exhaustive()
    }
}

impl<O: Clone> Door<O> {
    /// Options that hold their password, or need none.
    pub fn with_password(options: O) -> Self {
        Self { options, token: None }
    }

    /// Options that get a token as their password (`set`) each time.
    pub fn with_token(options: O, place: Place, tokens: Arc<dyn Tokens>, set: fn(O, &str) -> O) -> Self {
        Self { options, token: Some(Token { place, tokens, set }) }
    }

    /// The options without a token: what does not change from session to session.
    pub fn options(&self) -> &O {
        &self.options
    }

    /// What a server that refuses a session is told as: where a token was refused, no password is to blame.
    pub fn refused(&self, failure: Failure) -> Failure {
        match &self.token {
            Some(Token { place, .. }) if failure.kind == FailureKind::Denied => failure.hint(format!(
                "check that IAM authentication is on for the instance, that the database knows {} as a user of IAM (PostgreSQL: GRANT rds_iam TO it; \
                 MySQL: IDENTIFIED WITH AWSAuthenticationPlugin), and that the identity here may rds-db:connect as it",
                place.user
            )),
            _ => failure,
        }
    }

    /// The options that open a session now.
    pub async fn now(&self) -> Result<O, Failure> {
        match &self.token {
            None => Ok(self.options.clone()),
            Some(token) => Ok((token.set)(self.options.clone(), &token.tokens.token(&token.place).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Counting(AtomicU32);

    #[async_trait]
    impl Tokens for Counting {
        async fn token(&self, place: &Place) -> Result<String, Failure> {
            Ok(format!("{}@{}:{}/{}", place.user, place.host, place.port, self.0.fetch_add(1, Ordering::Relaxed)))
        }
    }

    #[tokio::test]
    async fn each_session_has_a_token_of_its_own_and_none_is_shown() {
        let place = Place { host: "h".into(), port: 5, user: "u".into(), region: None };
        let door = Door::with_token("options ".to_owned(), place, Arc::new(Counting(AtomicU32::new(0))), |options, token| options + token);
        assert_eq!(door.now().await.unwrap(), "options u@h:5/0");
        assert_eq!(door.now().await.unwrap(), "options u@h:5/1");
        assert!(!format!("{door:?}").contains("u@h:5"));
        assert_eq!(door.options(), "options ");
        assert_eq!(Door::with_password(7).now().await.unwrap(), 7);
        let refused = |kind| Failure::new(kind, "no").hint("the password");
        assert!(
            door.refused(refused(FailureKind::Denied)).hint.is_some_and(|hint| hint.contains("rds_iam") && hint.contains("knows u as"))
        );
        assert_eq!(door.refused(refused(FailureKind::Network)).hint.as_deref(), Some("the password"));
        assert_eq!(Door::with_password(7).refused(refused(FailureKind::Denied)).hint.as_deref(), Some("the password"));
    }
}
