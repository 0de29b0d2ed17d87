//! Where PostgreSQL asks whether a password is a token that opens a session: a directory server on loopback that knows one operation, the
//! simple bind (RFC 4511, sections 4.2 and 5.1). The databases are real ones and have no code of RDS in them; asking a directory is what they
//! can do, and passwords as long as tokens go through.
//!
//! Not here: what makes a token good (`token`), and which users are asked about (`engines::postgres`).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::engines::postgres::GATE_NAME;

/// The longest message that is read.
const LONGEST: usize = 16 << 10;
/// How long a server may be silent before it says what it wants.
const PATIENCE: Duration = Duration::from_secs(30);

/// `success` and `invalidCredentials`.
const GOOD: u8 = 0;
const BAD: u8 = 49;

/// Answers until it is aborted. `opens` says whether a user of the server on a port gets in with a password.
pub async fn serve<F: Fn(&str, u16, &str) -> bool + Clone + Send + Sync + 'static>(listener: TcpListener, opens: F) {
    loop {
        // A connection that could not be accepted is that server's trouble; it asks again with the next session.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let opens = opens.clone();
        tokio::spawn(async move { drop(tokio::time::timeout(PATIENCE, answer(stream, opens)).await) });
    }
}

async fn answer(mut stream: TcpStream, opens: impl Fn(&str, u16, &str) -> bool) -> std::io::Result<()> {
    let mut held = Vec::new();
    loop {
        let Some(whole) = element(&held).map(|(_, _, rest)| held.len() - rest.len()) else {
            if held.len() > LONGEST || stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let message: Vec<u8> = held.drain(..whole).collect();
        let Some(bind) = Bind::of(&message) else { return Ok(()) };
        let good = bind.whose().is_some_and(|(user, port)| opens(user, port, bind.password));
        stream.write_all(&response(bind.id, if good { GOOD } else { BAD })).await?;
    }
}

/// A simple bind.
struct Bind<'a> {
    id: &'a [u8],
    name: &'a str,
    password: &'a str,
}

impl<'a> Bind<'a> {
    /// Of a whole message; nothing where it is something else.
    fn of(message: &'a [u8]) -> Option<Self> {
        let (0x30, inner, _) = element(message)? else { return None };
        let (0x02, id, rest) = element(inner)? else { return None };
        let (0x60, request, _) = element(rest)? else { return None };
        let (0x02, [3], rest) = element(request)? else { return None };
        let (0x04, name, rest) = element(rest)? else { return None };
        let (0x80, password, _) = element(rest)? else { return None };
        (id.len() <= 4).then_some(Self { id, name: std::str::from_utf8(name).ok()?, password: std::str::from_utf8(password).ok()? })
    }

    /// The database user, and the port of the server that asks.
    fn whose(&self) -> Option<(&'a str, u16)> {
        let (user, port) = self.name.strip_prefix(GATE_NAME.0)?.rsplit_once(GATE_NAME.1)?;
        Some((user, port.parse().ok()?))
    }
}

/// The first element of `bytes` in BER with a definite length (X.690): its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// A `BindResponse` without a name and without words.
fn response(id: &[u8], code: u8) -> Vec<u8> {
    let result = [0x61, 7, 0x0a, 1, code, 4, 0, 4, 0];
    let mut message = vec![0x30, (2 + id.len() + result.len()) as u8, 0x02, id.len() as u8];
    message.extend_from_slice(id);
    message.extend_from_slice(&result);
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as libldap writes it, lengths in four bytes or fewer.
    fn message(name: &str, password: &str) -> Vec<u8> {
        let part = |tag: u8, content: &[u8]| {
            let length = content.len();
            [&[tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8], content].concat()
        };
        let request = [part(2, &[3]), part(4, name.as_bytes()), part(0x80, password.as_bytes())].concat();
        part(0x30, &[part(2, &[1]), part(0x60, &request)].concat())
    }

    #[test]
    fn binds_are_read_and_answered() {
        let password = "t".repeat(700);
        let whole = message("cn=reader,ou=5433", &password);
        let bind = Bind::of(&whole).unwrap();
        assert_eq!((bind.id, bind.name, bind.password), (&[1u8][..], "cn=reader,ou=5433", password.as_str()));
        // RFC 4511: LDAPMessage, messageID 1, BindResponse with resultCode, matchedDN and diagnosticMessage.
        assert_eq!(response(&[1], BAD), [0x30, 12, 2, 1, 1, 0x61, 7, 0x0a, 1, 49, 4, 0, 4, 0]);
        assert!(Bind::of(&[0x30, 5, 2, 1, 2, 0x42, 0]).is_none(), "an unbind ends the connection");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Bind::of(&bytes);
            prop_assert!(element(&bytes).is_none_or(|(_, content, rest)| content.len() + rest.len() + 2 <= bytes.len()));
        }

        #[test]
        fn cut_messages_are_not_whole(cut in 0usize..60) {
            let whole = message("cn=u,ou=1", "token");
            let cut = cut.min(whole.len() - 1);
            prop_assert!(element(&whole[..cut]).is_none());
        }
    }
}
