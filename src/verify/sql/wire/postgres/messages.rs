//! Messages of PostgreSQL's protocol 3.0: what is sent, and what is read of what arrives.
//!
//! Formats: "Message Formats" and "Error and Notice Message Fields" of the PostgreSQL documentation. Pure.
//!
//! Not here: how messages are cut out of the stream (`channel`).

use crate::verify::sql::wire::postgres::error::PgWireError;

/// What messages of the server begin with.
pub mod kind {
    #![allow(missing_docs)]
    pub const AUTHENTICATION: u8 = b'R';
    pub const BACKEND_KEY: u8 = b'K';
    pub const COMMAND_COMPLETE: u8 = b'C';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_OUT: u8 = b'H';
    pub const DATA_ROW: u8 = b'D';
    pub const EMPTY_QUERY: u8 = b'I';
    pub const ERROR: u8 = b'E';
    pub const NEGOTIATE: u8 = b'v';
    pub const NOTICE: u8 = b'N';
    pub const NOTIFICATION: u8 = b'A';
    pub const PARAMETER: u8 = b'S';
    pub const READY: u8 = b'Z';
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// Asks for TLS, before anything else is said; the answer is one byte.
pub const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Protocol 3.0.
const VERSION: u32 = 0x0003_0000;

/// True of what a server may send at any time, and what changes nothing.
pub fn is_aside(kind: u8) -> bool {
    matches!(kind, kind::NOTICE | kind::NOTIFICATION | kind::PARAMETER)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The first message: who opens what, and what the session begins with.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        body.extend(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

/// A password, or what stands for it.
pub fn password(proof: &[u8]) -> Vec<u8> {
    message(b'p', &[proof, &[0]].concat())
}

/// The first word of a SASL exchange.
pub fn sasl_first(mechanism: &str, said: &str) -> Vec<u8> {
    message(b'p', &[mechanism.as_bytes(), &[0], &(said.len() as u32).to_be_bytes(), said.as_bytes()].concat())
}

/// A further word.
pub fn sasl_next(said: &str) -> Vec<u8> {
    message(b'p', said.as_bytes())
}

/// Statements as text; an answer to each, until the server is ready again.
pub fn query(statements: &str) -> Vec<u8> {
    message(b'Q', &[statements.as_bytes(), &[0]].concat())
}

/// The end of the session.
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// What the server says while somebody logs in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Authentication {
    /// It is content.
    Done,
    /// It asks for the password as it is.
    Clear,
    /// It asks for the password's MD5 with this salt.
    Md5([u8; 4]),
    /// It asks for one of these mechanisms of SASL.
    Sasl(Vec<String>),
    /// It goes on with SASL.
    Continue(Vec<u8>),
    /// Its last word of SASL.
    Final(Vec<u8>),
    /// Another way, by its number.
    Other(u32),
}

/// Reads an authentication message.
pub fn authentication(body: &[u8]) -> Result<Authentication, PgWireError> {
    let Some((number, rest)) = body.split_first_chunk::<4>() else {
        return Err(PgWireError::protocol("an authentication message that is cut short"));
    };
    Ok(match u32::from_be_bytes(*number) {
        0 => Authentication::Done,
        3 => Authentication::Clear,
        5 => Authentication::Md5(rest.try_into().map_err(|_| PgWireError::protocol("a salt that is not four bytes"))?),
        10 => {
            let names = rest.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            Authentication::Sasl(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
        }
        11 => Authentication::Continue(rest.to_vec()),
        12 => Authentication::Final(rest.to_vec()),
        other => Authentication::Other(other),
    })
}

/// What an error message says.
pub fn error(body: &[u8]) -> PgWireError {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|byte| *byte == 0) {
        let Some((name, text)) = field.split_first() else { continue };
        match name {
            b'C' => code = String::from_utf8_lossy(text).into_owned(),
            b'M' => message = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    if code.is_empty() {
        return PgWireError::protocol("an error without its code");
    }
    PgWireError::Server { code, message }
}

/// The values of a row of text; nothing for NULL.
pub fn data_row(body: &[u8]) -> Result<Vec<Option<String>>, PgWireError> {
    let cut_short = || PgWireError::protocol("a row that is cut short");
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(cut_short)?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let length = i32::from_be_bytes(*length);
        rest = after;
        if length == -1 {
            values.push(None);
            continue;
        }
        let length = usize::try_from(length).map_err(|_| PgWireError::protocol(format!("a value of {length} bytes")))?;
        let (value, after) = rest.split_at_checked(length).ok_or_else(cut_short)?;
        rest = after;
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
    }
    if rest.is_empty() { Ok(values) } else { Err(PgWireError::protocol("a row that is longer than its values")) }
}

/// The number of columns that a copy has; an error where it is not binary.
pub fn copy_out(body: &[u8]) -> Result<usize, PgWireError> {
    let ([format, high, low], formats) =
        body.split_first_chunk::<3>().ok_or_else(|| PgWireError::protocol("the beginning of a copy that is cut short"))?;
    let count = usize::from(u16::from_be_bytes([*high, *low]));
    if *format != 1 || formats.len() != 2 * count || formats.chunks(2).any(|format| format != [0, 1]) {
        return Err(PgWireError::protocol("a copy that is not binary"));
    }
    Ok(count)
}

/// How many rows a copy had: `COPY 7`.
pub fn rows_copied(body: &[u8]) -> Result<u64, PgWireError> {
    let said = body.strip_suffix(b"\0").and_then(|text| std::str::from_utf8(text).ok());
    let rows = said.and_then(|said| said.strip_prefix("COPY ")).and_then(|rows| rows.parse().ok());
    rows.ok_or_else(|| PgWireError::protocol("the end of a copy that does not say how many rows it had"))
}

/// A text as a literal, whatever the server takes backslashes for.
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_sent() {
        let first = startup(&[("user", "u"), ("database", "d")]);
        assert_eq!(first, b"\0\0\0\x1b\0\x03\0\0user\0u\0database\0d\0\0");
        assert_eq!(query("a"), b"Q\0\0\0\x06a\0");
        assert_eq!(password(b"x"), b"p\0\0\0\x06x\0");
        assert_eq!(sasl_first("M", "n,,"), b"p\0\0\0\x0dM\0\0\0\0\x03n,,");
        assert_eq!((sasl_next("c"), terminate()), (b"p\0\0\0\x05c".to_vec(), b"X\0\0\0\x04".to_vec()));
        assert_eq!(literal("a'b\\c"), "E'a''b\\\\c'");
    }

    #[test]
    fn what_arrives() {
        assert_eq!(authentication(&[0, 0, 0, 5, 1, 2, 3, 4]).unwrap(), Authentication::Md5([1, 2, 3, 4]));
        assert_eq!(authentication(b"\0\0\0\x0aA\0B-PLUS\0\0").unwrap(), Authentication::Sasl(vec!["A".into(), "B-PLUS".into()]));
        assert_eq!(authentication(&[0, 0, 0, 7]).unwrap(), Authentication::Other(7));
        let said = error(b"SERROR\0VERROR\0C57014\0Mcanceling statement\0Lx\0\0");
        assert!(matches!(&said, PgWireError::Server { code, .. } if code == "57014") && said.to_string() == "canceling statement (57014)");
        assert!(matches!(error(b"SERROR\0\0"), PgWireError::Protocol(_)));
        assert_eq!(data_row(b"\0\x02\xff\xff\xff\xff\0\0\0\x02ab").unwrap(), [None, Some("ab".into())]);
        assert!(data_row(b"\0\x01\0\0\0\x02a").is_err() && data_row(b"\0\0x").is_err() && data_row(b"\0\x01\xff\xff\xff\xfe").is_err());
        assert_eq!(rows_copied(b"COPY 41\0").unwrap(), 41);
        assert!([&b"COPY 41"[..], b"COPY -1\0", b"SELECT 1\0", b"COPY \0"].into_iter().all(|body| rows_copied(body).is_err()));
        assert_eq!(copy_out(b"\x01\0\x02\0\x01\0\x01").unwrap(), 2);
        assert!(copy_out(b"\0\0\x01\0\0").is_err() && copy_out(b"\x01\0\x01\0\0").is_err() && copy_out(b"\x01\0\x02\0\x01").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (authentication(&bytes), data_row(&bytes), copy_out(&bytes), rows_copied(&bytes), error(&bytes));
        }
    }
}
