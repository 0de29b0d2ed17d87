//! One HTTP/1.1 listener on loopback: finds the service in the signature's scope and hands the request over.
//!
//! Not here: what the services do. Unsigned requests go to S3, which refuses them in its own words.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::s3::faults::Faults;
use crate::sandbox::s3::interleave;
use crate::sandbox::wire::{self, Scope, Service};

/// The largest body of a request to a service other than S3; DynamoDB's own limit is 16 MiB.
const BODY_LIMIT: usize = 64 << 20;

/// How long requests under way may take once the listener was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Services by their signing name.
pub type Services = HashMap<&'static str, Arc<dyn Service>>;

/// What requests are answered with.
pub struct Router {
    /// S3, whose bodies stream.
    pub s3: S3Service,
    /// Faults that S3 requests meet.
    pub faults: Arc<Faults>,
    /// Everything else.
    pub services: Services,
}

/// A listener that accepts until it is stopped.
pub struct Listener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Binds 127.0.0.1 (`None` takes a free port) and begins to answer.
    pub async fn start(port: Option<u16>, router: Router) -> Result<Self, Failure> {
        let wanted = port.unwrap_or(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await.map_err(|error| {
            let failure = Failure::new(FailureKind::Network, format!("cannot listen on 127.0.0.1:{wanted}: {error}"));
            failure.hint("choose another port with --port, or leave it out for a free one").caused_by(error)
        })?;
        let address = listener.local_addr().map_err(|error| Failure::io("cannot tell the port of the listener", error))?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::new(router), stopped));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting and lets requests under way finish, for at most two seconds.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, router: Arc<Router>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        // Those that ended are let go of as they do.
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, or a connection that was gone before it was accepted: the next one may do.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            _ = stopped.changed() => break,
        };
        // Small answers must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream, router.clone(), stopped.clone()));
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve(stream: TcpStream, router: Arc<Router>, mut stopped: watch::Receiver<bool>) {
    let service = hyper::service::service_fn(move |request| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(route(&router, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A peer that goes away is no fault of ours, and a planted cut ends here too: the result says nothing that anyone could act on.
    let asked_to_stop = tokio::select! {
        _ = connection.as_mut() => false,
        _ = stopped.wait_for(|stop| *stop) => true,
    };
    if asked_to_stop {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn route(router: &Router, request: Request<Incoming>) -> Response<s3s::Body> {
    let service = Scope::of(request.uri(), request.headers()).map_or_else(|| "s3".to_owned(), |scope| scope.service);
    if service == "s3" {
        let waits = request.headers().contains_key(EXPECT);
        let mut response = s3(router, request).await;
        // Who was never told to go on does not send the body, and what comes next on this connection must not be taken for it.
        if waits && !response.status().is_success() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return response;
    }
    let Some(target) = router.services.get(service.as_str()) else {
        let known: Vec<&str> = router.services.keys().copied().collect();
        let said = format!("the sandbox has no service `{service}`; it has s3, {}", known.join(", "));
        return wire::query_error(StatusCode::NOT_IMPLEMENTED, "UnknownService", &said).map(s3s::Body::from);
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return wire::query_error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "the request's body broke off or is over 64 MiB")
            .map(s3s::Body::from);
    };
    let request = Request::from_parts(parts, body.to_bytes());
    let response = match wire::verify(&request) {
        Ok(()) => target.call(request).await,
        Err(refusal) => wire::refuse(&service, refusal),
    };
    response.map(s3s::Body::from)
}

/// What can be asked of an object beside its content.
const SUBRESOURCES: [&str; 4] = ["tagging", "retention", "legal-hold", "attributes"];

async fn s3(router: &Router, request: Request<Incoming>) -> Response<s3s::Body> {
    // A fault on an object's GET meets its content, not its tags or locks, which are other resources of the same path.
    let about = match request.uri().query().and_then(|query| query.split(['=', '&']).find(|name| SUBRESOURCES.contains(name))) {
        Some(name) => format!("{}?{name}", request.uri().path()),
        None => request.uri().path().to_owned(),
    };
    let fault = router.faults.take(request.method(), &about);
    if let Some(response) = fault.as_ref().and_then(crate::sandbox::s3::faults::Fault::refusal) {
        return response;
    }
    let response = match router.s3.call(request.map(s3s::Body::from)).await {
        Ok(response) => interleave::apply(response).await,
        Err(error) => {
            let said = format!("{error:?}");
            wire::query_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &said).map(|body: Bytes| s3s::Body::from(body))
        }
    };
    match fault {
        Some(fault) => fault.apply(response),
        None => response,
    }
}
