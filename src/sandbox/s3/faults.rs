//! Faults that S3 requests meet, with deterministic countdowns: "the second GET of key K is cut short after 100 bytes".
//!
//! They act on the wire, after the store has answered rightly; damage in stored contents is planted in snapshots instead.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body::{Body, Frame};

/// What goes wrong with one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503 `SlowDown`.
    SlowDown,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// 400 `ExpiredToken`: the credentials ran out.
    ExpiredToken,
    /// 500 `InternalError`.
    InternalError,
    /// The connection breaks after this many bytes of the body.
    CutAfter(u64),
    /// The body ends after this many bytes, and Content-Length agrees with the lie.
    ShortLength(u64),
    /// Content-Range says this instead.
    ContentRange(String),
    /// One bit of the body's byte at this offset is flipped on its way.
    FlipByte(u64),
    /// Nothing arrives after this many bytes of the body, and the connection stays open.
    StallAfter(u64),
    /// Any refusal: status, code, message.
    Refusal(u16, &'static str, &'static str),
    /// 200 with this XML instead of the store's answer.
    Xml(String),
    /// A header of the answer says this instead.
    Header(&'static str, String),
}

/// Which requests a fault meets, and when.
#[derive(Clone, Debug)]
struct Planned {
    method: Option<Method>,
    /// The decoded path `/bucket/key`; `None` is any.
    path: Option<String>,
    /// How many matching requests pass before the fault.
    skip: u32,
    /// How many matching requests then meet it.
    times: u32,
    fault: Fault,
}

/// Faults to come; clones of the `Arc` it lives in share it.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
}

impl Faults {
    /// The `nth` GET (1 is the next) of `bucket`/`key` from now on, and `times - 1` after it, meet `fault`.
    pub fn on_get(&self, bucket: &str, key: &str, nth: u32, times: u32, fault: Fault) {
        let path = Some(format!("/{bucket}/{key}"));
        self.plan(Planned { method: Some(Method::GET), path, skip: nth.saturating_sub(1), times, fault });
    }

    /// The next `times` S3 requests of any kind meet `fault`.
    pub fn on_next(&self, times: u32, fault: Fault) {
        self.plan(Planned { method: None, path: None, skip: 0, times, fault });
    }

    /// Forgets every fault to come.
    pub fn clear(&self) {
        self.planned.lock().expect("no panic while held").clear();
    }

    fn plan(&self, planned: Planned) {
        self.planned.lock().expect("no panic while held").push(planned);
    }

    /// The fault that a request meets, counted down. The first one that is due wins; those after it see the request as well.
    pub fn take(&self, method: &Method, raw_path: &str) -> Option<Fault> {
        let mut planned = self.planned.lock().expect("no panic while held");
        if planned.is_empty() {
            return None;
        }
        let path = percent_encoding::percent_decode_str(raw_path).decode_utf8_lossy();
        let mut met = None;
        for plan in planned.iter_mut() {
            let fits =
                plan.method.as_ref().is_none_or(|wanted| wanted == method) && plan.path.as_ref().is_none_or(|wanted| *wanted == path);
            if !fits {
                continue;
            }
            if plan.skip > 0 {
                plan.skip -= 1;
            } else if met.is_none() {
                plan.times -= 1;
                met = Some(plan.fault.clone());
            }
        }
        planned.retain(|plan| plan.times > 0);
        met
    }
}

impl Fault {
    /// The answer of a fault that needs none from the store.
    pub fn refusal(&self) -> Option<Response<s3s::Body>> {
        let (status, code, message) = match self {
            Self::SlowDown => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate."),
            Self::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
            Self::ExpiredToken => (StatusCode::BAD_REQUEST, "ExpiredToken", "The provided token has expired."),
            Self::Refusal(status, code, message) => (StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST), *code, *message),
            Self::Xml(xml) => {
                let mut response = Response::new(s3s::Body::from(xml.clone()));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                return Some(response);
            }
            Self::InternalError => {
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "We encountered an internal error. Please try again.")
            }
            _ => return None,
        };
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let mut response = Response::new(s3s::Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Some(response)
    }

    /// The store's answer with the fault in it.
    pub fn apply(self, response: Response<s3s::Body>) -> Response<s3s::Body> {
        let (mut parts, body) = response.into_parts();
        let mut bent = Bent { inner: body, at: 0, flip: None, end: None, ending: Ending::Quiet, flushed: false };
        match self {
            Self::CutAfter(length) => (bent.end, bent.ending) = (Some(length), Ending::Broken),
            Self::StallAfter(length) => (bent.end, bent.ending) = (Some(length), Ending::Never),
            Self::Header(name, value) => {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    parts.headers.insert(name, value);
                }
            }
            Self::ShortLength(length) => {
                bent.end = Some(length);
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            Self::ContentRange(text) => {
                if let Ok(value) = HeaderValue::from_str(&text) {
                    parts.headers.insert(header::CONTENT_RANGE, value);
                }
            }
            Self::FlipByte(offset) => bent.flip = Some(offset),
            Self::SlowDown | Self::AccessDenied | Self::ExpiredToken | Self::InternalError | Self::Refusal(..) | Self::Xml(_) => {}
        }
        Response::from_parts(parts, s3s::Body::http_body_unsync(bent))
    }
}

/// What happens where a body ends too early.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It ends as any other.
    Quiet,
    /// The connection breaks.
    Broken,
    /// Nothing more comes.
    Never,
}

/// A body with a fault in it.
struct Bent {
    inner: s3s::Body,
    at: u64,
    flip: Option<u64>,
    end: Option<u64>,
    /// What reaching `end` does.
    ending: Ending,
    /// Whether what came before the break has had its turn to be sent.
    flushed: bool,
}

impl Body for Bent {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.end.is_some_and(|end| self.at >= end) {
            // One turn for the server to send what it holds: a connection that breaks before its headers left is an answer that never was,
            // and clients ask again.
            if self.ending == Ending::Broken && !self.flushed {
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return match self.ending {
                Ending::Quiet => Poll::Ready(None),
                Ending::Broken => Poll::Ready(Some(Err(std::io::Error::other("planted: the body is cut short")))),
                // The connection is closed when the listener stops or the client goes away; nothing here will wake it.
                Ending::Never => Poll::Pending,
            };
        }
        let frame = match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(std::io::Error::other(error.to_string())))),
            None => return Poll::Ready(None),
        };
        let Ok(mut data) = frame.into_data() else { return Poll::Ready(None) };
        if let Some(end) = self.end {
            data.truncate(usize::try_from(end - self.at).unwrap_or(usize::MAX));
        }
        if let Some(index) =
            self.flip.and_then(|offset| usize::try_from(offset.checked_sub(self.at)?).ok()).filter(|index| *index < data.len())
        {
            let mut changed = data.to_vec();
            changed[index] ^= 1;
            data = changed.into();
        }
        self.at += data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_get_of_a_key_fails_and_no_other() {
        let faults = Faults::default();
        faults.on_get("b", "a key", 2, 1, Fault::SlowDown);
        assert_eq!(faults.take(&Method::GET, "/b/a%20key"), None);
        assert_eq!(faults.take(&Method::PUT, "/b/a%20key"), None);
        assert_eq!(faults.take(&Method::GET, "/b/other"), None);
        assert_eq!(faults.take(&Method::GET, "/b/a%20key"), Some(Fault::SlowDown));
        assert_eq!(faults.take(&Method::GET, "/b/a%20key"), None);
        faults.on_next(2, Fault::AccessDenied);
        assert_eq!(faults.take(&Method::PUT, "/x"), Some(Fault::AccessDenied));
        assert_eq!(faults.take(&Method::GET, "/y"), Some(Fault::AccessDenied));
        assert_eq!(faults.take(&Method::GET, "/z"), None);
    }
}
