//! Logging in: TLS, the first message, and the proof of the password in the way that the server asks for.
//!
//! Where the session is in TLS and the certificate allows it, the proof is bound to it (`SCRAM-SHA-256-PLUS`): who stands between cannot
//! pass it on.
//!
//! Not here: what follows (`session`).

use md5::{Digest as _, Md5};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::verify::sql::wire::postgres::channel::Channel;
use crate::verify::sql::wire::postgres::end_point;
use crate::verify::sql::wire::postgres::error::PgWireError;
use crate::verify::sql::wire::postgres::messages::{self, Authentication, kind};
use crate::verify::sql::wire::postgres::options::PgOptions;
use crate::verify::sql::wire::postgres::scram::{self, Binding, Exchange};
use crate::verify::sql::wire::tls;
use crate::verify::sql::wire::transport::{self, Transport};

/// Connects and logs in; the server is ready for a question.
pub async fn connect(options: &PgOptions) -> Result<Channel, PgWireError> {
    let driver = options.driver();
    login(transport::connect(driver.get_host(), driver.get_port(), options.socket().as_deref()).await?, options).await
}

/// Logs in over a stream that has been connected.
pub async fn login(stream: Box<dyn Transport>, options: &PgOptions) -> Result<Channel, PgWireError> {
    let parameters = options.startup();
    if parameters.iter().any(|(_, value)| value.contains('\0')) {
        return Err(PgWireError::Login("a user or a database with a NUL in its name".into()));
    }
    let (stream, end_point) = encrypted(stream, options).await?;
    let mut channel = Channel::new(stream);
    channel.send(&messages::startup(&parameters)).await?;
    prove(&mut channel, options, end_point).await?;
    loop {
        match channel.next().await? {
            (kind::READY, _) => return Ok(channel),
            (kind::ERROR, body) => return Err(messages::error(body)),
            (kind::BACKEND_KEY | kind::NEGOTIATE, _) => {}
            (other, _) if messages::is_aside(other) => {}
            (other, _) => return Err(unexpected(other, "the end of the login")),
        }
    }
}

/// What a message that has no place here is called.
pub fn unexpected(kind: u8, expected: &str) -> PgWireError {
    PgWireError::protocol(format!("expected {expected}, found a message that begins with {kind:#04x}"))
}

/// The stream, in TLS where that is wanted and to be had, and what a login can be bound to.
async fn encrypted(mut stream: Box<dyn Transport>, options: &PgOptions) -> Result<(Box<dyn Transport>, Binding), PgWireError> {
    let Some((tls, or_without)) = options.tls().map_err(PgWireError::Login)? else { return Ok((stream, Binding::Unable)) };
    stream.write_all(&messages::TLS_REQUEST).await?;
    stream.flush().await?;
    let mut answer = [0];
    if stream.read(&mut answer).await? == 0 {
        return Err(PgWireError::ended());
    }
    match answer[0] {
        b'S' => {}
        b'N' if or_without => return Ok((stream, Binding::Unable)),
        b'N' => return Err(PgWireError::Tls("server does not support TLS".into())),
        // A server that cannot take one more session says so before it reads what is asked.
        b'E' => return Err(refused_at_once(stream).await),
        other => return Err(unexpected(other, "an answer about TLS")),
    }
    let stream = tls::begin(stream, tls).await.map_err(PgWireError::Tls)?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let binding = certificate.and_then(|certificate| end_point::digest(certificate)).map_or(Binding::Unable, Binding::EndPoint);
    Ok((Box::new(stream), binding))
}

/// What a server says that refuses before it has read anything. Nobody vouches for it: it is an error whatever it says.
async fn refused_at_once(mut stream: Box<dyn Transport>) -> PgWireError {
    let (mut head, mut body) = ([0; 4], Vec::new());
    if let Err(error) = stream.read_exact(&mut head).await {
        return error.into();
    }
    let length = u64::from(u32::from_be_bytes(head)).saturating_sub(4).min(1 << 16);
    match stream.take(length).read_to_end(&mut body).await {
        Ok(_) => messages::error(&body),
        Err(error) => error.into(),
    }
}

/// The proof of the password.
async fn prove(channel: &mut Channel, options: &PgOptions, binding: Binding) -> Result<(), PgWireError> {
    loop {
        let asked = match channel.next().await? {
            (kind::AUTHENTICATION, body) => messages::authentication(body)?,
            (kind::ERROR, body) => return Err(messages::error(body)),
            (kind::NEGOTIATE, _) => continue,
            (other, _) if messages::is_aside(other) => continue,
            (other, _) => return Err(unexpected(other, "a question about the login")),
        };
        let proof = match asked {
            Authentication::Done => return Ok(()),
            Authentication::Clear => options.password().as_bytes().to_vec(),
            Authentication::Md5(salt) => md5_proof(options, salt),
            Authentication::Sasl(mechanisms) => {
                sasl(channel, options, &mechanisms, binding).await?;
                return confirmed(channel).await;
            }
            other => return Err(PgWireError::Login(asked_for(&other))),
        };
        channel.send(&messages::password(&proof)).await?;
        return confirmed(channel).await;
    }
}

fn asked_for(other: &Authentication) -> String {
    let name = match other {
        Authentication::Other(2) => "Kerberos".to_owned(),
        Authentication::Other(7 | 8) => "GSSAPI".to_owned(),
        Authentication::Other(9) => "SSPI".to_owned(),
        other => format!("{other:?}"),
    };
    format!("the server asks for a login by {name}; known are passwords: as they are, by MD5, and by {}", scram::PLAIN)
}

/// The server's word that it is content: it asks for one proof alone.
async fn confirmed(channel: &mut Channel) -> Result<(), PgWireError> {
    loop {
        return match channel.next().await? {
            (kind::AUTHENTICATION, body) => match messages::authentication(body)? {
                Authentication::Done => Ok(()),
                _ => Err(PgWireError::protocol("a second question about the password")),
            },
            (kind::ERROR, body) => Err(messages::error(body)),
            (other, _) if messages::is_aside(other) => continue,
            (other, _) => Err(unexpected(other, "the end of the login")),
        };
    }
}

/// MD5 of MD5 of password and user, and the salt.
fn md5_proof(options: &PgOptions, salt: [u8; 4]) -> Vec<u8> {
    let inner = hex::encode(Md5::digest([options.password(), options.user()].concat()));
    format!("md5{}", hex::encode(Md5::digest([inner.as_bytes(), &salt].concat()))).into_bytes()
}

async fn sasl(channel: &mut Channel, options: &PgOptions, offered: &[String], binding: Binding) -> Result<(), PgWireError> {
    let offers = |name: &str| offered.iter().any(|offer| offer == name);
    let binding = match binding {
        Binding::EndPoint(_) if !offers(scram::PLUS) => Binding::NotOffered,
        binding => binding,
    };
    let mut exchange = Exchange::new(options.password(), binding)?;
    if !offers(exchange.mechanism()) {
        return Err(PgWireError::Login(format!("the server offers {offered:?}; known are {} and {}", scram::PLAIN, scram::PLUS)));
    }
    channel.send(&messages::sasl_first(exchange.mechanism(), &exchange.first())).await?;
    let Authentication::Continue(said) = said_next(channel).await? else { return Err(PgWireError::protocol("SASL that does not go on")) };
    let proof = exchange.prove(&said).await?;
    channel.send(&messages::sasl_next(&proof)).await?;
    let Authentication::Final(said) = said_next(channel).await? else { return Err(PgWireError::protocol("SASL without its end")) };
    exchange.confirm(&said)
}

async fn said_next(channel: &mut Channel) -> Result<Authentication, PgWireError> {
    loop {
        return match channel.next().await? {
            (kind::AUTHENTICATION, body) => messages::authentication(body),
            (kind::ERROR, body) => Err(messages::error(body)),
            (other, _) if messages::is_aside(other) => continue,
            (other, _) => Err(unexpected(other, "an answer about the login")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sqlx::postgres::{PgConnectOptions, PgSslMode};

    fn options(mode: PgSslMode) -> PgOptions {
        let driver = PgConnectOptions::new_without_pgpass().host("localhost").port(1).username("reader").database("crm").ssl_mode(mode);
        PgOptions::new(driver, Some("secret".into()), &|_| None)
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    fn asks(number: u32, rest: &[u8]) -> Vec<u8> {
        message(b'R', &[&number.to_be_bytes()[..], rest].concat())
    }

    /// A login with a server that says all of this at once; and what it was told.
    fn with(options: &PgOptions, said: &[Vec<u8>]) -> (Result<(), PgWireError>, Vec<u8>) {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let server = async move {
            far.write_all(&said.concat()).await.unwrap();
            far.shutdown().await.unwrap();
            let mut heard = Vec::new();
            let _ = far.read_to_end(&mut heard).await;
            heard
        };
        let client = async { login(Box::new(near), options).await.map(drop) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::join!(client, server) })
    }

    fn ready() -> Vec<Vec<u8>> {
        let parameter = message(b'S', b"server_version\x0018.0\0");
        vec![asks(0, &[]), parameter, message(b'N', b"SNOTICE\0\0"), message(b'K', &[0; 8]), message(b'Z', b"I")]
    }

    #[test]
    fn each_question_has_its_answer() {
        let plain = options(PgSslMode::Disable);
        let (logged, heard) = with(&plain, &ready());
        logged.unwrap();
        assert!(heard.windows(17).any(|window| window == b"database\0crm\0Date") && !heard.windows(6).any(|window| window == b"secret"));
        let (logged, heard) = with(&plain, &[vec![asks(3, &[])], ready()].concat());
        assert!(logged.is_ok() && heard.ends_with(b"p\0\0\0\x0bsecret\0"));
        let (logged, heard) = with(&plain, &[vec![asks(5, &[1, 2, 3, 4])], ready()].concat());
        logged.unwrap();
        // md5(md5("secretreader") in hex, then the salt).
        let inner = hex::encode(Md5::digest(b"secretreader"));
        let proof = hex::encode(Md5::digest([inner.as_bytes(), &[1, 2, 3, 4]].concat()));
        assert!(heard.ends_with(format!("md5{proof}\0").as_bytes()));
    }

    #[test]
    fn what_is_not_a_login_is_refused() {
        let plain = options(PgSslMode::Disable);
        let refused = |said: &[Vec<u8>]| with(&plain, said).0.unwrap_err().to_string();
        assert!(refused(&[asks(7, &[])]).contains("GSSAPI") && refused(&[asks(2, &[])]).contains("Kerberos"));
        assert!(refused(&[asks(10, b"SCRAM-SHA-512\0\0")]).contains("SCRAM-SHA-512"));
        assert!(refused(&[asks(10, b"SCRAM-SHA-256-PLUS\0\0")]).contains("offers"), "not without TLS");
        assert!(refused(&[asks(10, b"SCRAM-SHA-256\0\0"), asks(0, &[])]).contains("does not go on"));
        assert!(refused(&[asks(10, b"SCRAM-SHA-256\0\0"), asks(11, b"r=x,s=AAAA,i=1")]).contains("another nonce"));
        assert!(refused(&[asks(3, &[]), asks(3, &[])]).contains("second question"), "the password is given once");
        assert!(refused(&[message(b'Z', b"I")]).contains("a question about the login"));
        assert!(refused(&[asks(0, &[]), message(b'T', b"")]).contains("the end of the login"));
        assert!(refused(&[asks(0, &[])]).contains("closed") && refused(&[]).contains("closed"));
        let denied = with(&plain, &[asks(3, &[]), message(b'E', b"SFATAL\0C28P01\0Mpassword authentication failed\0\0")]).0.unwrap_err();
        assert!(matches!(&denied, PgWireError::Server { code, .. } if code == "28P01"), "{denied}");
    }

    #[test]
    fn tls_that_is_wanted_is_not_done_without() {
        let (logged, heard) = with(&options(PgSslMode::Prefer), &[vec![b"N".to_vec()], ready()].concat());
        assert!(logged.is_ok() && heard.starts_with(&messages::TLS_REQUEST));
        for mode in [PgSslMode::Require, PgSslMode::VerifyCa, PgSslMode::VerifyFull] {
            let (logged, heard) = with(&options(mode), &[vec![b"N".to_vec()], ready()].concat());
            assert!(matches!(logged, Err(PgWireError::Tls(_))) && heard == messages::TLS_REQUEST, "nothing was said in the clear");
            let (logged, heard) = with(&options(mode), &[vec![b"S".to_vec()], ready()].concat());
            assert!(matches!(logged, Err(PgWireError::Tls(_))) && !heard.windows(6).any(|window| window == b"reader"));
        }
        let full = [b"E\0\0\0\x1bSFATAL\0C53300\0Mtoo many\0\0".to_vec()];
        let refused = with(&options(PgSslMode::Prefer), &full).0.unwrap_err();
        assert!(matches!(&refused, PgWireError::Server { code, .. } if code == "53300"), "{refused}");
        assert!(with(&options(PgSslMode::Prefer), &[b"X".to_vec()]).0.unwrap_err().to_string().contains("an answer about TLS"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_login_or_refused(said in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..4), raw in prop::collection::vec(any::<u8>(), 0..40), sasl in any::<bool>()) {
            let said: Vec<Vec<u8>> = said.iter().map(|(kind, body)| message(*kind, body)).collect();
            let first = if sasl { vec![asks(10, b"SCRAM-SHA-256\0\0")] } else { Vec::new() };
            let _ = with(&options(PgSslMode::Disable), &[first, said, vec![raw.clone()]].concat());
            let _ = with(&options(PgSslMode::Prefer), &[raw]);
        }
    }
}
