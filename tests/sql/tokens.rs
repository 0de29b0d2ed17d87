//! Tokens of IAM on the wire of MySQL: a stand-in that speaks the connection phase as RDS does (MySQL's protocol documentation, "Connection
//! Phase": TLS, then a switch to `mysql_clear_password`) and judges the token by its signature. No server that is free to install has such a
//! plugin, so what happens after the login is not tried here.

use std::path::Path;
use std::sync::Arc;

use attestore::aws::rds_token::RdsTokens;
use attestore::aws::session::SessionOptions;
use attestore::engines::area::Area;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::source_url::SourceUrl;
use attestore::sandbox::control::rds::{tls, token};
use attestore::sandbox::identity;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Protocol 4.1, database in the handshake, secure connection, plugins.
const CAPABILITIES: u32 = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;
const TLS: u32 = 0x800;

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16];
    stream.read_exact(&mut payload).await.unwrap();
    (head[3], payload)
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), sequence: u8, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    stream.write_all(&[length[0], length[1], length[2], sequence]).await.unwrap();
    stream.write_all(payload).await.unwrap();
    stream.flush().await.unwrap();
}

fn greeting(capabilities: u32) -> Vec<u8> {
    let [low, high] = [capabilities as u16, (capabilities >> 16) as u16];
    let mut packet = b"\x0a8.0.36\0\x07\0\0\0abcdefgh\0".to_vec();
    packet.extend_from_slice(&low.to_le_bytes());
    packet.extend_from_slice(&[45, 2, 0]);
    packet.extend_from_slice(&high.to_le_bytes());
    packet.push(21);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
    packet
}

fn error(code: u16, state: &str, said: &str) -> Vec<u8> {
    [&[0xff][..], &code.to_le_bytes(), b"#", state.as_bytes(), said.as_bytes()].concat()
}

/// One connection over TLS; says what was sent before the switch, and whether the token was good.
async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, port: u16) -> (Vec<u8>, bool) {
    write(&mut stream, 0, &greeting(CAPABILITIES | TLS)).await;
    let (_, mut before) = read(&mut stream).await;
    let mut stream = acceptor.accept(stream).await.unwrap();
    let (sequence, login) = read(&mut stream).await;
    before.extend_from_slice(&login);
    write(&mut stream, sequence + 1, b"\xfemysql_clear_password\0").await;
    let (sequence, password) = read(&mut stream).await;
    let (end, text) = password.split_last().unwrap();
    let good = *end == 0 && token::opens(std::str::from_utf8(text).unwrap(), "reader", port, chrono::Utc::now());
    if !good {
        write(&mut stream, sequence + 1, &error(1045, "28000", "Access denied for user 'reader'@'127.0.0.1'")).await;
        return (before, good);
    }
    write(&mut stream, sequence + 1, &[0, 0, 0, 2, 0, 0, 0]).await;
    read(&mut stream).await;
    write(&mut stream, 1, &error(1227, "42000", "the stand-in has nothing more")).await;
    (before, good)
}

fn acceptor(dir: &Path) -> TlsAcceptor {
    let area = Area::open(dir).unwrap();
    tls::lay(dir, &area).unwrap();
    let files = area.tls_files();
    let certificates = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(certificates, key).unwrap();
    area.purge().unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn open(port: u16, ca: &Path, secret: &str) -> Failure {
    let options = SessionOptions {
        region: Some(identity::REGION.into()),
        static_credentials: Some((identity::ACCESS_KEY_ID.into(), secret.into())),
        ..SessionOptions::default()
    };
    let tokens = Arc::new(RdsTokens::of_options(options));
    let access = Access { tls_ca: Some(ca.to_owned()), tokens: Some(tokens), ..Access::default() };
    let url = SourceUrl::Mysql { url: format!("mysql://reader@127.0.0.1:{port}/crm?authentication=iam") };
    Database::open(&url, &access).await.err().expect("the stand-in has no database")
}

#[tokio::test]
async fn the_token_goes_over_verified_tls_after_the_switch_and_is_judged_by_its_signature() {
    let dir = tempfile::tempdir().unwrap();
    let acceptor = acceptor(dir.path());
    let ca = dir.path().join(tls::CA_BUNDLE);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (secret, good) in [(identity::SECRET_ACCESS_KEY, true), ("another secret", false)] {
        let served = async { serve(listener.accept().await.unwrap().0, acceptor.clone(), port).await };
        let (failure, (before, opened)) = tokio::join!(open(port, &ca, secret), served);
        assert_eq!(opened, good);
        assert!(!before.windows(6).any(|bytes| bytes == b"X-Amz-"), "nothing of the token is sent before the switch");
        assert_eq!(failure.kind == FailureKind::Denied, !good || failure.message.contains("nothing more"), "{failure}");
        assert_eq!(failure.message.contains("nothing more"), good, "{failure}");
        assert!(!format!("{failure:?}").contains("X-Amz-Signature"), "{failure:?}");
    }
}

/// Who takes the server's place and offers no TLS, or a certificate that leads elsewhere, sees no token.
#[tokio::test]
async fn without_the_servers_certificate_no_token_is_sent() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_, stranger) = (acceptor(dir.path()), acceptor(other.path()));
    let ca = dir.path().join(tls::CA_BUNDLE);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = async {
        let mut stream = listener.accept().await.unwrap().0;
        write(&mut stream, 0, &greeting(CAPABILITIES)).await;
        let mut sent = Vec::new();
        let _ = stream.read_to_end(&mut sent).await;
        sent
    };
    let (failure, sent) = tokio::join!(open(port, &ca, identity::SECRET_ACCESS_KEY), plain);
    assert!(failure.kind == FailureKind::Network && sent.is_empty(), "{failure}: {sent:?}");
    // Whoever asks only whether anybody listens there goes away again.
    let untrusted = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let greeting = greeting(CAPABILITIES | TLS);
            let head = [(greeting.len() as u32).to_le_bytes()[0], 0, 0, 0];
            let greeted = stream.write_all(&[&head[..], &greeting].concat()).await.is_ok();
            if greeted && stream.peek(&mut [0]).await.is_ok_and(|bytes| bytes > 0) {
                read(&mut stream).await;
                return stranger.accept(stream).await.is_err();
            }
        }
    };
    let (failure, broken) = tokio::join!(open(port, &ca, identity::SECRET_ACCESS_KEY), untrusted);
    assert!(failure.kind == FailureKind::Network && broken, "{failure}");
}
