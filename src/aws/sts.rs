//! STS: who we are, and what time it is there.

use std::sync::{Arc, Mutex};

use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};

use crate::aws::errors::classify;
use crate::aws::session::Session;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// The caller as AWS states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The account that calls are made in.
    pub account_id: String,
    /// The caller's ARN.
    pub arn: String,
    /// How far the service's clock is ahead of this machine's, in milliseconds: negative where this machine's is ahead. Never too large: the
    /// `Date` of an answer is cut to whole seconds and was written before the answer came. Absent where no answer was dated.
    pub clock_ahead_ms: Option<i64>,
}

/// STS GetCallerIdentity.
pub async fn caller(session: &Session) -> Result<Caller, Failure> {
    let dated = Dated::default();
    let config = aws_sdk_sts::config::Builder::from(session.config()).interceptor(dated.clone()).build();
    let client = aws_sdk_sts::Client::from_conf(config);
    let answer = client.get_caller_identity().send().await.map_err(|error| classify("sts:GetCallerIdentity", error))?;
    let clock_ahead_ms = *dated.ahead_ms.lock().expect("no panic while held");
    match (answer.account, answer.arn) {
        (Some(account_id), Some(arn)) => Ok(Caller { account_id, arn, clock_ahead_ms }),
        _ => Err(Failure::new(FailureKind::Remote, "sts:GetCallerIdentity answered without an account")),
    }
}

/// Holds the date of each answer against this machine's clock at the moment that it came; the last one counts.
#[derive(Clone, Debug, Default)]
struct Dated {
    ahead_ms: Arc<Mutex<Option<i64>>>,
}

impl Intercept for Dated {
    fn name(&self) -> &'static str {
        "Dated"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), aws_sdk_sts::error::BoxError> {
        let came_at = Timestamp::now();
        let dated = context.response().headers().get("date").and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok());
        if let Some(dated) = dated {
            *self.ahead_ms.lock().expect("no panic while held") = Some(Timestamp::from_secs(dated.timestamp()).millis_since(came_at));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::session::SessionOptions;

    /// Answers as STS does, `ahead_s` ahead of this machine's clock, or without any date.
    fn sts(ahead_s: Option<i64>) -> String {
        use std::io::{Read, Write};
        const BODY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
            <Arn>arn:aws:iam::111122223333:user/a</Arn><UserId>A</UserId><Account>111122223333</Account></GetCallerIdentityResult>\
            </GetCallerIdentityResponse>";
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 8192]);
                let date = ahead_s.map(|ahead| Timestamp::now().plus_secs(ahead).to_chrono().format("date: %a, %d %b %Y %H:%M:%S GMT\r\n"));
                let date = date.map_or_else(String::new, |date| date.to_string());
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n{date}content-length: {}\r\nconnection: close\r\n\r\n",
                    BODY.len()
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(BODY.as_bytes()));
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn the_clock_of_the_service_is_read_from_its_answers() {
        for ahead_s in [-600, 0, 600] {
            let options = SessionOptions {
                region: Some("eu-west-2".into()),
                endpoint: Some(sts(Some(ahead_s))),
                static_credentials: Some(("id".into(), "secret".into())),
                ..SessionOptions::default()
            };
            let ahead_ms = caller(&Session::load(&options).await).await.unwrap().clock_ahead_ms.unwrap();
            assert!(ahead_ms <= ahead_s * 1000, "never too large: {ahead_ms} of {ahead_s} s");
            assert!(ahead_ms > ahead_s * 1000 - 60_000, "{ahead_ms} of {ahead_s} s");
            let options = SessionOptions { endpoint: Some(sts(None)), ..options };
            assert_eq!(caller(&Session::load(&options).await).await.unwrap().clock_ahead_ms, None);
        }
    }
}
