//! HTTP/1.1 connections to one server, each driven by whoever reads from it: no task of its own, so that a small answer is received,
//! parsed and digested where it is waited for, without a thread being woken for each step of it.
//!
//! A connection that was read to its end is kept for the next request. Not here: large bodies, which are worth a task that receives
//! while another digests (the SDK's own connector has them), and what is asked (`s3_direct`).

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use http::uri::{Scheme, Uri};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A byte stream, encrypted or not.
trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Transport for T {}

/// TLS as the SDK has it: ring, and the certificates that this system trusts.
static TLS: LazyLock<Option<TlsConnector>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tls(roots)
});

fn tls(roots: RootCertStore) -> Option<TlsConnector> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let mut config = config.ok()?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(TlsConnector::from(Arc::new(config)))
}

/// Connections to one server; those that nobody reads from wait here.
pub struct Connections {
    host: String,
    port: u16,
    /// For a server that is spoken to in TLS.
    tls: Option<TlsConnector>,
    patience: Duration,
    idle: Mutex<Vec<Link>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// One connection.
struct Link {
    sender: SendRequest<Empty<Bytes>>,
    driver: http1::Connection<TokioIo<Box<dyn Transport>>, Empty<Bytes>>,
    /// It was closed, or broke.
    ended: bool,
}

impl Link {
    /// Sends and receives what can be, now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            // How it ended is told to whoever waits for an answer.
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }

    /// Whether a request can be sent on it.
    async fn is_ready(&mut self) -> bool {
        let ready = std::future::poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        });
        ready.await.is_ok()
    }
}

impl Connections {
    /// To the server of `origin` (scheme and authority); nothing where that is not HTTP, or TLS cannot be had. Nothing is connected yet.
    pub fn new(origin: &str, patience: Duration) -> Option<Self> {
        let origin: Uri = origin.parse().ok()?;
        let (tls, usual_port) = match origin.scheme()? {
            scheme if *scheme == Scheme::HTTPS => (Some(TLS.clone()?), 443),
            scheme if *scheme == Scheme::HTTP => (None, 80),
            _ => return None,
        };
        let host = origin.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = origin.port_u16().unwrap_or(usual_port);
        Some(Self { host, port, tls, patience, idle: Mutex::new(Vec::new()) })
    }

    /// Sends a request, which names its host and its path, and waits for the head of the answer.
    ///
    /// # Errors
    /// The server cannot be reached, or the connection broke. One that was closed while it waited is replaced.
    pub async fn send(self: &Arc<Self>, mut request: Request<Empty<Bytes>>) -> Result<Response<Arriving>, ConnectorError> {
        loop {
            let known = self.idle.lock().ok().and_then(|mut idle| idle.pop());
            let is_new = known.is_none();
            let mut link = match known {
                Some(link) => link,
                None => self.connect().await?,
            };
            if !link.is_ready().await {
                if is_new {
                    return Err(ConnectorError::io("the connection was closed before a request could be sent".into()));
                }
                continue;
            }
            let mut sending = pin!(link.sender.try_send_request(request));
            let sent = std::future::poll_fn(|cx| {
                // The request is taken, then sent; the answer's head may be here already.
                if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                    return Poll::Ready(sent);
                }
                link.drive(cx);
                sending.as_mut().poll(cx)
            });
            match sent.await {
                Ok(response) => {
                    let home = self.clone();
                    return Ok(response.map(|incoming| Arriving { incoming, link: Some(link), home }));
                }
                Err(mut error) => match error.take_message() {
                    // Closed meanwhile, and nothing was sent.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(ConnectorError::io(error.into_error().into())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Link, ConnectorError> {
        let connecting = tokio::time::timeout(self.patience, self.transport());
        let transport = match connecting.await {
            Ok(transport) => transport.map_err(|error| ConnectorError::io(error.into()))?,
            Err(late) => return Err(ConnectorError::timeout(late.into())),
        };
        let (sender, driver) = http1::handshake(TokioIo::new(transport)).await.map_err(|error| ConnectorError::io(error.into()))?;
        Ok(Link { sender, driver, ended: false })
    }

    async fn transport(&self) -> io::Result<Box<dyn Transport>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

/// The body of an answer; its connection goes home once it was read to its end, and is closed otherwise.
pub struct Arriving {
    incoming: Incoming,
    link: Option<Link>,
    home: Arc<Connections>,
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut next = Pin::new(&mut self.incoming).poll_frame(cx);
        if next.is_pending()
            && let Some(link) = &mut self.link
        {
            link.drive(cx);
            next = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match &next {
            Poll::Ready(None) => {
                if let (Some(link), Ok(mut idle)) = (self.link.take().filter(|link| !link.ended), self.home.idle.lock()) {
                    idle.push(link);
                }
            }
            Poll::Ready(Some(Err(_))) => self.link = None,
            _ => {}
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        // Not before it was told so: only then is the connection free again.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Answers each request on a connection with the next of these; after the last the connection is closed.
    async fn serve(mut stream: impl Transport, answers: &[&str]) {
        for answer in answers {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                match stream.read(&mut piece).await {
                    Ok(read) if read > 0 => seen.extend_from_slice(&piece[..read]),
                    _ => return,
                }
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.ok();
    }

    async fn server() -> (TcpListener, Arc<Connections>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        (listener, Arc::new(Connections::new(&origin, PATIENCE).unwrap()))
    }

    fn ask() -> Request<Empty<Bytes>> {
        Request::get("/key").header("host", "127.0.0.1").body(Empty::new()).unwrap()
    }

    async fn read(connections: &Arc<Connections>) -> Result<Bytes, String> {
        let answer = connections.send(ask()).await.map_err(|error| format!("{error:?}"))?;
        answer.into_body().collect().await.map(|body| body.to_bytes()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_one_that_was_closed_meanwhile_is_replaced() {
        let (listener, connections) = server().await;
        let (go, closed) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(async move {
            let (first, _) = listener.accept().await.unwrap();
            let whole = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
            serve(first, &[whole, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n"]).await;
            go.send(()).unwrap();
            let (second, _) = listener.accept().await.unwrap();
            serve(second, &["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", whole]).await;
        });
        assert_eq!(read(&connections).await.unwrap(), "one");
        assert_eq!(read(&connections).await.unwrap(), "two");
        closed.await.unwrap();
        assert_eq!(read(&connections).await.unwrap(), "");
        assert_eq!(read(&connections).await.unwrap(), "one");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error_and_its_connection_is_not_used_again() {
        let (listener, connections) = server().await;
        let serving = tokio::spawn(async move {
            for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none"] {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &[answer]).await;
            }
        });
        assert!(read(&connections).await.is_err());
        assert_eq!(read(&connections).await.unwrap(), "one");
        serving.await.unwrap();
        // Nobody listens any more.
        assert!(read(&connections).await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_read_to_its_end_is_not_used_again() {
        let (listener, connections) = server().await;
        let serving = tokio::spawn(async move {
            for _ in 0..2 {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none"]).await;
            }
        });
        drop(connections.send(ask()).await.unwrap());
        assert_eq!(read(&connections).await.unwrap(), "one");
        serving.await.unwrap();
    }

    #[cfg(feature = "sandbox")]
    #[tokio::test]
    async fn tls_is_spoken_with_who_is_trusted_and_with_nobody_else() {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = CertificateDer::from(certified.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            for _ in 0..2 {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    let whole = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
                    serve(stream, &[whole, whole]).await;
                }
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let trusting =
            Arc::new(Connections { host: "localhost".into(), port, tls: tls(roots), patience: PATIENCE, idle: Mutex::default() });
        assert_eq!(read(&trusting).await.unwrap(), "one");
        assert_eq!(read(&trusting).await.unwrap(), "one");
        let stranger = Connections::new(&format!("https://localhost:{port}"), PATIENCE).unwrap();
        let refused = read(&Arc::new(stranger)).await.unwrap_err();
        assert!(refused.to_lowercase().contains("certificate"), "{refused}");
        serving.await.unwrap();
    }

    #[test]
    fn an_origin_is_http_or_nothing() {
        assert!(Connections::new("ftp://example.org", PATIENCE).is_none() && Connections::new("example.org", PATIENCE).is_none());
        let by_address = Connections::new("http://[::1]", PATIENCE).unwrap();
        assert_eq!((by_address.host.as_str(), by_address.port), ("::1", 80));
    }
}
