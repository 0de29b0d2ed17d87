//! Who answers on a port: an address that leads to a server of the other kind is told as that, and soon, instead of as silence or as a byte
//! of a protocol that nobody asked about.
//!
//! A server of MySQL and MariaDB speaks first (client/server protocol, "Protocol::Handshake"); one of PostgreSQL waits, and answers a
//! request for TLS with one letter (PostgreSQL documentation, "Message Formats", SSLRequest).
//!
//! Not here: the protocols themselves (`wire::mysql`, `wire::postgres`).

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::model::failure::{Failure, FailureKind};

/// How long a login may take until it is asked who is there.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long is waited for a first word then.
const A_WORD: Duration = Duration::from_secs(1);
/// How long a port may say nothing to anybody before it is given up. A server that looks up its client's name greets late.
const SILENCE: Duration = Duration::from_secs(12);

/// SSLRequest: its length, and 80877103.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// It takes connections and says nothing.
    Nobody,
    /// It speaks something else.
    Other,
}

impl Speaker {
    fn named(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL or MariaDB",
            Self::Nobody | Self::Other => "database",
        }
    }

    fn scheme(self) -> &'static str {
        if self == Self::Mysql { "mysql://" } else { "postgres://" }
    }
}

/// A port where a server of one kind is expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entrance<'a> {
    /// The URL without secrets.
    pub shown: &'a str,
    /// Host and port; nothing for a Unix socket, where nothing else is looked for.
    pub at: Option<(String, u16)>,
    /// What should answer.
    pub wanted: Speaker,
}

impl Entrance<'_> {
    /// Opens a session with `connect`; where that fails over the protocol, or takes long, it is asked who answers.
    ///
    /// # Errors
    /// What `connect` says; [`FailureKind::Invalid`] where the other kind of server answers, [`FailureKind::Network`] where nobody does.
    pub async fn open<T>(&self, connect: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let Some((host, port)) = &self.at else { return connect.await };
        tokio::pin!(connect);
        match tokio::time::timeout(PATIENCE, &mut connect).await {
            Ok(Err(failure)) if failure.kind == FailureKind::Remote => {
                let speaker = who(host, *port).await;
                // It is the server that was looked for, and its word stands.
                if speaker == self.wanted {
                    return Err(failure);
                }
                return Err(self.told(speaker).unwrap_or_else(|| self.not_understood(failure)));
            }
            Ok(answered) => return answered,
            Err(_) => {}
        }
        let speaker = who(host, *port).await;
        match (self.told(speaker), speaker) {
            (Some(failure), _) => Err(failure),
            (None, Speaker::Nobody) => match tokio::time::timeout(SILENCE, &mut connect).await {
                Ok(answered) => answered,
                Err(_) => Err(self.silent()),
            },
            (None, Speaker::Other) => Err(self.not_understood(Failure::new(FailureKind::Network, format!("{}: no answer", self.shown)))),
            (None, _) => connect.await,
        }
    }

    /// What is wrong where the other kind of server answers.
    fn told(&self, speaker: Speaker) -> Option<Failure> {
        let other = matches!(speaker, Speaker::Postgres | Speaker::Mysql) && speaker != self.wanted;
        let said = format!("{}: is this a {} server? A {} server answers there", self.shown, self.wanted.named(), speaker.named());
        other.then(|| Failure::invalid(said).hint(format!("check the port, or write {} for the source", speaker.scheme())))
    }

    /// What answers is no server of that kind, or one that is broken.
    fn not_understood(&self, failure: Failure) -> Failure {
        let said = format!("is this a {} server? What answers there does not speak its protocol", self.wanted.named());
        let message = format!("{} ({said})", failure.message);
        Failure { kind: FailureKind::Network, message, ..failure }.hint("check the host and the port")
    }

    fn silent(&self) -> Failure {
        let said =
            format!("{}: no answer: the port takes connections and says nothing; is this a {} server?", self.shown, self.wanted.named());
        Failure::new(FailureKind::Network, said).hint("check the host, the port and that the server is up and lets this machine in")
    }
}

/// Who answers on a port.
pub async fn who(host: &str, port: u16) -> Speaker {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(Ok(mut stream)) = tokio::time::timeout(A_WORD, TcpStream::connect((host, port))).await else { return Speaker::Nobody };
    let mut said = [0; 64];
    if let Ok(Ok(length)) = tokio::time::timeout(A_WORD, stream.read(&mut said)).await {
        return greeting(&said[..length]);
    }
    if stream.write_all(&TLS_REQUEST).await.is_err() {
        return Speaker::Nobody;
    }
    match tokio::time::timeout(A_WORD, stream.read(&mut said)).await {
        // TLS, no TLS, or a version that takes the request for an error.
        Ok(Ok(length)) if length > 0 && matches!(said[0], b'S' | b'N' | b'E') => Speaker::Postgres,
        Ok(Ok(length)) if length > 0 => Speaker::Other,
        _ => Speaker::Nobody,
    }
}

/// What was said unasked: the first packet of MySQL has the number 0 and begins with the protocol's version (9 before 3.21), or with an error.
fn greeting(said: &[u8]) -> Speaker {
    match said {
        [] => Speaker::Nobody,
        [_, _, 0, 0, 9 | 10 | 255, ..] => Speaker::Mysql,
        _ => Speaker::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    /// A port that says `first` to whoever comes, and `then` to what it hears.
    async fn port(first: &'static [u8], then: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.write_all(first).await;
                    let mut heard = [0; 64];
                    while !then.is_empty() && stream.read(&mut heard).await.is_ok_and(|length| length > 0) {
                        let _ = stream.write_all(then).await;
                    }
                    std::future::pending::<()>().await;
                });
            }
        });
        port
    }

    const GREETING: &[u8] = b"\x4a\0\0\0\x0a5.5.5-10.11.6-MariaDB\0";

    #[tokio::test]
    async fn each_kind_of_server_is_known_by_its_first_word() {
        for (first, then, speaker) in [
            (GREETING, &b""[..], Speaker::Mysql),
            (b"\x16\0\0\0\x093.20.32\0\x01\0\0\0>~$4uth,\0", b"", Speaker::Mysql),
            (b"\x1a\0\0\0\xff\x10\x04Too many connections", b"", Speaker::Mysql),
            (b"", b"N", Speaker::Postgres),
            (b"", b"S", Speaker::Postgres),
            (b"SSH-2.0-OpenSSH_9.2\r\n", b"", Speaker::Other),
            (b"", b"HTTP/1.1 400 Bad Request\r\n", Speaker::Other),
            (b"", b"", Speaker::Nobody),
        ] {
            assert_eq!(who("127.0.0.1", port(first, then).await).await, speaker, "{first:?} {then:?}");
        }
    }

    #[tokio::test]
    async fn the_other_kind_of_server_is_a_mistake_in_the_address_and_one_that_answers_late_is_waited_for() {
        let at = |port| Some(("127.0.0.1".to_owned(), port));
        let never = || std::future::pending::<Result<(), Failure>>();
        let door = Entrance { shown: "mysql://h/d", at: at(port(b"", b"N").await), wanted: Speaker::Mysql };
        let failure = door.open(never()).await.unwrap_err();
        assert!(failure.kind == FailureKind::Invalid && failure.message.contains("PostgreSQL server answers"), "{failure}");
        assert!(failure.hint.unwrap().contains("postgres://"));
        let door = Entrance { shown: "postgres://h/d", at: at(port(GREETING, b"").await), wanted: Speaker::Postgres };
        let broken = async { Err::<(), _>(Failure::new(FailureKind::Remote, "0x4a")) };
        assert_eq!(door.open(broken).await.unwrap_err().kind, FailureKind::Invalid);
        // Its own refusal stays what it is.
        let refused = async { Err::<(), _>(Failure::new(FailureKind::Denied, "no")) };
        assert_eq!(door.open(refused).await.unwrap_err().kind, FailureKind::Denied);
        let late = Entrance { wanted: Speaker::Mysql, ..door };
        let slow = async {
            tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
            Ok(7)
        };
        assert_eq!(late.open(slow).await.unwrap(), 7);
        let odd = Entrance { at: at(port(b"220 mail\r\n", b"").await), ..late };
        let broken = async { Err::<(), _>(Failure::new(FailureKind::Remote, "no packet")) };
        let failure = odd.open(broken).await.unwrap_err();
        assert!(failure.kind == FailureKind::Network && failure.message.contains("no packet"), "{failure}");
    }

    proptest! {
        #[test]
        fn any_first_word_is_read_without_a_panic(said in proptest::collection::vec(any::<u8>(), 0..64)) {
            greeting(&said);
        }
    }
}
