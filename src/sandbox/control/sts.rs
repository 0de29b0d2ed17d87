//! STS: GetCallerIdentity, which tells a client that it talks to the sandbox's account.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};

use crate::sandbox::control::answer::{Protocol, Refused, Xml, now, refuse, xml};
use crate::sandbox::control::faults::Faults;
use crate::sandbox::identity;
use crate::sandbox::wire::Service;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The service.
#[derive(Debug)]
pub struct Sts {
    /// Faults to come.
    pub faults: Arc<Faults>,
}

#[async_trait]
impl Service for Sts {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        if let Err(refused) = self.faults.meet("sts") {
            return refuse(Protocol::Query, &refused);
        }
        let ahead_s = self.faults.dated_ahead_s();
        let mut answer = Self::answer(&request);
        if ahead_s != 0 {
            let date = (now() + chrono::TimeDelta::seconds(ahead_s)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            if let Ok(date) = HeaderValue::from_str(&date) {
                answer.headers_mut().insert(header::DATE, date);
            }
        }
        answer
    }
}

impl Sts {
    fn answer(request: &Request<Bytes>) -> Response<Bytes> {
        let action = form_urlencoded::parse(request.body()).find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned());
        match action.as_deref() {
            Some("GetCallerIdentity") => {
                let mut inner = Xml::default();
                inner.put("Arn", format!("arn:aws:iam::{}:user/attestore-sandbox", identity::ACCOUNT_ID));
                inner.put("UserId", "AIDAATTESTORESANDBOX");
                inner.put("Account", identity::ACCOUNT_ID);
                xml("GetCallerIdentity", NAMESPACE, &inner)
            }
            other => {
                let said = format!("The sandbox's STS knows GetCallerIdentity, not {}.", other.unwrap_or("a request without an action"));
                refuse(Protocol::Query, &Refused::new("InvalidAction", said))
            }
        }
    }
}
