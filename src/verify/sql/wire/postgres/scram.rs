//! SCRAM-SHA-256 as PostgreSQL speaks it (RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"), the client's side.
//!
//! Both sides prove that they know the password: a server that does not is refused. Pure but for the nonce and the wait of many rounds.
//!
//! Not here: which certificate a channel is bound to (`end_point`), and the messages around it (`login`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::verify::sql::wire::postgres::error::PgWireError;

/// Without binding to the channel.
pub const PLAIN: &str = "SCRAM-SHA-256";
/// With binding.
pub const PLUS: &str = "SCRAM-SHA-256-PLUS";
/// Rounds between two looks at whether anybody still waits.
const ROUNDS_AT_ONCE: u32 = 4_096;

/// How the exchange is bound to the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Binding {
    /// It cannot be.
    Unable,
    /// It could be, and the server did not offer it; a server that did learns that somebody took its offer away.
    NotOffered,
    /// To the server's certificate, by this digest (RFC 5929, `tls-server-end-point`).
    EndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::Unable => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    /// The mechanism that goes with it.
    pub fn mechanism(&self) -> &'static str {
        if matches!(self, Self::EndPoint(_)) { PLUS } else { PLAIN }
    }
}

/// One exchange.
pub struct Exchange {
    binding: Binding,
    nonce: String,
    password: Vec<u8>,
    /// What proves the server, once it has been asked.
    expected: Option<[u8; 32]>,
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// PBKDF2 with HMAC-SHA-256, one block.
async fn salted(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let keyed = Hmac::<Sha256>::new_from_slice(password).expect("a key of any length");
    let mut last = hmac(password, &[salt, &1u32.to_be_bytes()]);
    let mut sum = last;
    for round in 1..rounds {
        let mut mac = keyed.clone();
        mac.update(&last);
        last = mac.finalize().into_bytes().into();
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
        if round % ROUNDS_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    sum
}

impl Exchange {
    /// Nothing said yet. What is no text that can be prepared (RFC 4013) is taken as it is, as the server does.
    pub fn new(password: &str, binding: Binding) -> Result<Self, PgWireError> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|error| PgWireError::Login(format!("no random bytes: {error}")))?;
        Ok(Self::with_nonce(password, binding, STANDARD.encode(nonce)))
    }

    fn with_nonce(password: &str, binding: Binding, nonce: String) -> Self {
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        Self { binding, nonce, password: prepared.into_owned().into_bytes(), expected: None }
    }

    /// The mechanism that is spoken.
    pub fn mechanism(&self) -> &'static str {
        self.binding.mechanism()
    }

    fn bare(&self) -> String {
        // The server knows the user from the first message of the session and looks at no other name.
        format!("n=,r={}", self.nonce)
    }

    /// The first word.
    pub fn first(&self) -> String {
        format!("{}{}", self.binding.header(), self.bare())
    }

    /// The proof, in answer to the server's first word.
    pub async fn prove(&mut self, said: &[u8]) -> Result<String, PgWireError> {
        let wrong = |what: &str| PgWireError::protocol(format!("SCRAM: {what}"));
        let said = std::str::from_utf8(said).map_err(|_| wrong("no text"))?;
        let mut parts = said.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(|| wrong("a part is missing"));
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong("another nonce"));
        }
        let salt = STANDARD.decode(salt).map_err(|_| wrong("a salt that is no base64"))?;
        let rounds = rounds.parse::<u32>().ok().filter(|rounds| *rounds > 0).ok_or_else(|| wrong("a number of rounds that is none"))?;
        let mut bound = self.binding.header().as_bytes().to_vec();
        if let Binding::EndPoint(digest) = &self.binding {
            bound.extend(digest);
        }
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(bound));
        let exchanged = format!("{},{said},{without_proof}", self.bare());
        let salted = salted(&self.password, &salt, rounds).await;
        let client = hmac(&salted, &[b"Client Key"]);
        let signature = hmac(&Sha256::digest(client), &[exchanged.as_bytes()]);
        let proof: Vec<u8> = client.iter().zip(signature).map(|(key, byte)| key ^ byte).collect();
        self.expected = Some(hmac(&hmac(&salted, &[b"Server Key"]), &[exchanged.as_bytes()]));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server's last word proves that it knows the password.
    pub fn confirm(&self, said: &[u8]) -> Result<(), PgWireError> {
        let proof = said.strip_prefix(b"v=").and_then(|proof| STANDARD.decode(proof.split(|byte| *byte == b',').next()?).ok());
        match (proof, self.expected) {
            (Some(proof), Some(expected)) if proof == expected => Ok(()),
            _ => Err(PgWireError::Login("the server does not prove that it knows the password: it is another one".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    /// The server's first word in RFC 7677, section 3. Its client names a user, which PostgreSQL's does not.
    const SERVER: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn rounds_are_those_of_the_standard() {
        // RFC 7677: SaltedPassword gives the keys that its proof and its verifier are made of.
        let salted = run(salted(b"pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096));
        let exchanged = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                         c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server = hmac(&hmac(&salted, &[b"Server Key"]), &[exchanged.as_bytes()]);
        assert_eq!(STANDARD.encode(server), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn words_are_as_the_standard_has_them_and_another_server_is_refused() {
        let mut exchange = Exchange::with_nonce("pencil", Binding::Unable, "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!((exchange.first().as_str(), exchange.mechanism()), ("n,,n=,r=rOprNGfwEbeRWgbNEkqO", PLAIN));
        assert!(exchange.confirm(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").is_err(), "nothing has been proved");
        let proof = run(exchange.prove(SERVER)).unwrap();
        assert!(proof.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="), "{proof}");
        let right = format!("v={}", STANDARD.encode(exchange.expected.unwrap()));
        assert!(exchange.confirm(right.as_bytes()).is_ok());
        for wrong in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "e=other-error", "v=", ""] {
            assert!(matches!(exchange.confirm(wrong.as_bytes()), Err(PgWireError::Login(_))), "{wrong}");
        }
        let bound = Exchange::with_nonce("x", Binding::EndPoint(vec![1, 2]), "n".into());
        assert_eq!((bound.first().as_str(), bound.mechanism()), ("p=tls-server-end-point,,n=,r=n", PLUS));
        assert_eq!(Exchange::with_nonce("x", Binding::NotOffered, "n".into()).first(), "y,,n=,r=n");
        // RFC 4013: a soft hyphen is nothing; what may not be in a password is left as it is.
        assert_eq!(Exchange::with_nonce("I\u{ad}X", Binding::Unable, "n".into()).password, b"IX");
        assert_eq!(Exchange::with_nonce("a\u{7}", Binding::Unable, "n".into()).password, b"a\x07");
    }

    #[test]
    fn words_that_are_not_the_servers_are_refused() {
        for said in [
            &b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"[..],
            b"r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            b"r=mine+,s=!!,i=1",
            b"r=mine+,s=AAAA,i=0",
            b"r=mine+,s=AAAA,i=-1",
            b"r=mine+,s=AAAA",
            b"m=ext,r=mine+,s=AAAA,i=1",
            b"\xff",
        ] {
            let mut exchange = Exchange::with_nonce("x", Binding::Unable, "mine".into());
            assert!(matches!(run(exchange.prove(said)), Err(PgWireError::Protocol(_))), "{}", String::from_utf8_lossy(said));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_words_or_refused(said in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut exchange = Exchange::with_nonce("x", Binding::Unable, String::new());
            let _ = run(exchange.prove(&said));
            prop_assert!(exchange.confirm(&said).is_err());
        }
    }
}
