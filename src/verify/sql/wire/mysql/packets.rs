//! Packets of the connection phase and of commands: what a server says, parsed, and what is said to it.
//!
//! Formats: "Connection Phase Packets", "Command Phase", "Generic Response Packets" of the MySQL client/server protocol documentation;
//! MariaDB follows it. Pure: bytes in, values out, and the other way round.

use crate::verify::sql::wire::mysql::cursor::Cursor;
use crate::verify::sql::wire::mysql::error::WireError;

/// Capability flags that are used here.
pub mod capability {
    #![allow(missing_docs)]
    pub const LONG_PASSWORD: u32 = 1;
    pub const LONG_FLAG: u32 = 1 << 2;
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const TRANSACTIONS: u32 = 1 << 13;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const MULTI_RESULTS: u32 = 1 << 17;
    pub const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    pub const PLUGIN_AUTH_LENENC_DATA: u32 = 1 << 21;
    pub const DEPRECATE_EOF: u32 = 1 << 24;
}

/// More results follow this one.
const MORE_RESULTS: u16 = 8;
/// `utf8mb4_general_ci`, which every server that is read has.
const CHARACTER_SET: u8 = 45;
/// The largest packet that a server may have.
const LARGEST_PACKET: u32 = 1 << 30;

const QUIT: u8 = 0x01;
const QUERY: u8 = 0x03;
const PING: u8 = 0x0e;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;

/// The server's first packet.
#[derive(Debug)]
pub struct Greeting {
    /// The version as the server states it.
    pub version: String,
    /// What the server can.
    pub capabilities: u32,
    /// What passwords are scrambled with, 20 bytes.
    pub nonce: Vec<u8>,
    /// How accounts log in unless they say otherwise.
    pub plugin: String,
}

/// What a server says while somebody logs in.
#[derive(Debug)]
pub enum LoginStep {
    /// Logged in.
    Done,
    /// Another way to prove the password.
    Switch {
        /// Its name.
        plugin: String,
        /// What to scramble with.
        nonce: Vec<u8>,
    },
    /// Something of the way at hand.
    More(Vec<u8>),
}

/// A column of rows to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Definition {
    /// The type's number.
    pub type_number: u8,
}

/// A statement that has been prepared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// Its number in the session.
    pub id: u32,
    /// Columns of its rows.
    pub columns: u16,
    /// Values that it asks for.
    pub parameters: u16,
}

fn cut(what: &str) -> impl FnOnce() -> WireError {
    move || WireError::protocol(format!("{what} that is cut short"))
}

fn unexpected(what: &str, packet: &[u8]) -> WireError {
    match packet.first() {
        Some(0xff) => server_error(packet),
        Some(byte) => WireError::protocol(format!("expected {what}, found a packet that begins with {byte:#04x}")),
        None => WireError::protocol(format!("expected {what}, found an empty packet")),
    }
}

/// What an error packet says.
pub fn server_error(packet: &[u8]) -> WireError {
    let mut cursor = Cursor(packet.get(1..).unwrap_or_default());
    let Some(number) = cursor.u16() else { return WireError::protocol("an error without its number") };
    let state = match cursor.0.first() {
        Some(b'#') => cursor.take(6).map(|state| String::from_utf8_lossy(&state[1..]).into_owned()),
        _ => None,
    };
    let message = String::from_utf8_lossy(cursor.0).into_owned();
    WireError::Server { number, state: state.unwrap_or_default(), message }
}

/// The server's first packet; an error where it refuses at once.
pub fn greeting(packet: &[u8]) -> Result<Greeting, WireError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rest = match packet.split_first() {
        Some((10, rest)) => rest,
        Some((9, rest)) => {
            let version = Cursor(rest).until_nul().ok_or_else(cut("a greeting"))?;
            return Err(WireError::TooOld { version: text(version), lacks: "which greets in version 9 of the protocol".into() });
        }
        _ => return Err(unexpected("a greeting of version 10", packet)),
    };
    let parsed = || {
        let mut cursor = Cursor(rest);
        let version = text(cursor.until_nul()?);
        cursor.u32()?;
        let mut nonce = cursor.take(8)?.to_vec();
        cursor.u8()?;
        let low = cursor.u16()?;
        if cursor.0.is_empty() && u32::from(low) & capability::PROTOCOL_41 == 0 {
            // The first servers with this greeting said no more.
            return Some(Greeting { version, capabilities: low.into(), nonce, plugin: String::new() });
        }
        cursor.take(3)?;
        let capabilities = u32::from(low) | u32::from(cursor.u16()?) << 16;
        let length = usize::from(cursor.u8()?);
        cursor.take(10)?;
        if capabilities & capability::SECURE_CONNECTION != 0 {
            let more = cursor.take(length.saturating_sub(8).max(13))?;
            nonce.extend_from_slice(more.strip_suffix(b"\0").unwrap_or(more));
        }
        // Some servers end the packet without the NUL.
        let named = capabilities & capability::PLUGIN_AUTH != 0;
        let plugin = if named { cursor.until_nul().unwrap_or(cursor.0) } else { b"mysql_native_password" };
        Some(Greeting { version, capabilities, nonce, plugin: text(plugin) })
    };
    parsed().ok_or_else(cut("a greeting"))
}

/// What the server says while somebody logs in.
pub fn login_step(packet: &[u8]) -> Result<LoginStep, WireError> {
    match packet.split_first() {
        Some((0, _)) => Ok(LoginStep::Done),
        Some((1, more)) => Ok(LoginStep::More(more.to_vec())),
        Some((0xfe, rest)) => {
            let mut cursor = Cursor(rest);
            // Without a name: the hash of before 4.1, which no server that is read still has.
            let plugin = cursor.until_nul().unwrap_or(if rest.is_empty() { b"mysql_old_password" } else { rest });
            let nonce = cursor.0.strip_suffix(b"\0").unwrap_or(cursor.0).to_vec();
            Ok(LoginStep::Switch { plugin: String::from_utf8_lossy(plugin).into_owned(), nonce })
        }
        _ => Err(unexpected("the answer to a login", packet)),
    }
}

fn ended(status: Option<u16>) -> Result<(), WireError> {
    match status {
        Some(status) if status & MORE_RESULTS == 0 => Ok(()),
        Some(_) => Err(WireError::protocol("more results than the one that was asked for")),
        None => Err(cut("the end of an answer")()),
    }
}

fn status_of_ok(packet: &[u8]) -> Option<u16> {
    let mut cursor = Cursor(packet.get(1..)?);
    cursor.integer()?;
    cursor.integer()?;
    cursor.u16()
}

/// The packet that ends a statement without rows.
pub fn done(packet: &[u8]) -> Result<(), WireError> {
    if packet.first() != Some(&0) {
        return Err(unexpected("the end of a statement without rows", packet));
    }
    ended(status_of_ok(packet))
}

/// The packet that ends rows (or definitions); `deprecated` where the session has no packets of their own for that.
pub fn end(packet: &[u8], deprecated: bool) -> Result<(), WireError> {
    match packet.first() {
        Some(0xfe) if deprecated => ended(status_of_ok(packet)),
        Some(0xfe) if packet.len() < 9 => {
            let mut cursor = Cursor(&packet[1..]);
            cursor.u16();
            ended(cursor.u16())
        }
        _ => Err(unexpected("the end of rows", packet)),
    }
}

/// How many columns the rows that follow have; 0 where none follow.
pub fn column_count(packet: &[u8]) -> Result<u64, WireError> {
    match packet.first() {
        Some(0) => done(packet).map(|()| 0),
        Some(1..=0xfa | 0xfc) => {
            let mut cursor = Cursor(packet);
            cursor.integer().filter(|count| cursor.0.is_empty() && *count <= 4_096).ok_or_else(cut("a number of columns"))
        }
        _ => Err(unexpected("a number of columns", packet)),
    }
}

/// A column of rows to come.
pub fn definition(packet: &[u8]) -> Result<Definition, WireError> {
    if packet.first() == Some(&0xff) {
        return Err(server_error(packet));
    }
    let parsed = || {
        let mut cursor = Cursor(packet);
        for _ in 0..6 {
            cursor.sized()?;
        }
        let fixed = Cursor(cursor.sized()?).take(12)?;
        Some(Definition { type_number: fixed[6] })
    };
    parsed().ok_or_else(cut("the definition of a column"))
}

/// A statement that has been prepared.
pub fn prepared(packet: &[u8]) -> Result<Prepared, WireError> {
    let Some((0, rest)) = packet.split_first() else { return Err(unexpected("a prepared statement", packet)) };
    let mut cursor = Cursor(rest);
    let parsed = (cursor.u32(), cursor.u16(), cursor.u16());
    let (Some(id), Some(columns), Some(parameters)) = parsed else { return Err(cut("a prepared statement")()) };
    Ok(Prepared { id, columns, parameters })
}

/// The request for TLS; the start of an answer to the greeting.
pub fn tls_request(capabilities: u32) -> Vec<u8> {
    let mut packet = capabilities.to_le_bytes().to_vec();
    packet.extend(LARGEST_PACKET.to_le_bytes());
    packet.push(CHARACTER_SET);
    packet.resize(32, 0);
    packet
}

/// The answer to the greeting; neither user nor database may hold a NUL.
pub fn login(capabilities: u32, user: &str, proof: &[u8], database: &str, plugin: &str) -> Vec<u8> {
    let mut packet = tls_request(capabilities);
    packet.extend(user.as_bytes());
    packet.push(0);
    // One byte of length, whichever of both ways the server knows: proofs are short.
    packet.push(proof.len().min(250) as u8);
    packet.extend(&proof[..proof.len().min(250)]);
    packet.extend(database.as_bytes());
    packet.push(0);
    packet.extend(plugin.as_bytes());
    packet.push(0);
    packet
}

/// Ends a session.
pub fn quit() -> Vec<u8> {
    vec![QUIT]
}

/// Asks whether the server is there, in so many bytes; all but the first mean nothing.
pub fn ping(length: usize) -> Vec<u8> {
    let mut packet = vec![0; length.max(1)];
    packet[0] = PING;
    packet
}

/// A statement as text.
pub fn query(statement: &str) -> Vec<u8> {
    [&[QUERY], statement.as_bytes()].concat()
}

/// A statement to prepare.
pub fn prepare(statement: &str) -> Vec<u8> {
    [&[PREPARE], statement.as_bytes()].concat()
}

/// Runs a prepared statement with texts for its values.
pub fn execute(id: u32, values: &[&str]) -> Vec<u8> {
    let mut packet = vec![EXECUTE];
    packet.extend(id.to_le_bytes());
    // No cursor, once.
    packet.extend([0, 1, 0, 0, 0]);
    if values.is_empty() {
        return packet;
    }
    // None is NULL; their types follow.
    packet.resize(packet.len() + values.len().div_ceil(8), 0);
    packet.push(1);
    packet.extend(values.iter().flat_map(|_| [0xfd, 0]));
    for value in values {
        packet.push(0xfe);
        packet.extend((value.len() as u64).to_le_bytes());
        packet.extend(value.as_bytes());
    }
    packet
}

/// Forgets a prepared statement; the server answers nothing.
pub fn close(id: u32) -> Vec<u8> {
    let mut packet = vec![CLOSE];
    packet.extend(id.to_le_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GREETING: &[u8] = b"\n5.5.5-10.4.7-MariaDB\0\x0b\0\0\0t6L\\j\"dS\0\xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x07\0\0\0U14Oph9\"<H5n\0mysql_native_password\0";

    #[test]
    fn a_greeting_in_full_and_cut_anywhere() {
        let parsed = greeting(GREETING).unwrap();
        assert_eq!(parsed.nonce, b"t6L\\j\"dSU14Oph9\"<H5n");
        assert_eq!(parsed.plugin, "mysql_native_password");
        assert!(parsed.capabilities & capability::DEPRECATE_EOF != 0);
        // What follows the second half of the nonce may be cut: then the way to log in has another name, which nobody knows.
        for end in 0..GREETING.len() - 22 {
            assert!(greeting(&GREETING[..end]).is_err(), "cut at {end}");
        }
        let refused = greeting(b"\xff\x10\x04Too many connections").unwrap_err();
        assert!(matches!(refused, WireError::Server { number: 1040, .. }), "{refused}");
        assert!(greeting(b"\x08old").unwrap_err().to_string().contains("0x08"));
        assert!(greeting(b"\x09old").unwrap_err().to_string().contains("cut short"));
    }

    #[test]
    fn errors_have_their_number_and_state() {
        let error = server_error(b"\xff\x19\x04#42000Unknown database 'x'");
        assert_eq!(error.to_string(), "Unknown database 'x' (42000)");
        assert!(matches!(error, WireError::Server { number: 1049, .. }));
        assert_eq!(server_error(b"\xff\x84\x04no order").to_string(), "no order (1156)");
        assert!(matches!(server_error(b"\xff\x19"), WireError::Protocol(_)));
    }

    #[test]
    fn an_answer_ends_in_one_of_two_ways_and_with_nothing_behind_it() {
        assert!(end(&[0xfe, 0, 0, 2, 0], false).is_ok() && end(&[0xfe, 0, 0, 2, 0, 0, 0], true).is_ok());
        assert!(end(&[0xfe, 0, 0, 8, 0], false).is_err(), "more results");
        assert!(end(&[0xfe, 0, 0], false).is_err() && end(&[0xfe, 0], true).is_err() && end(&[], true).is_err());
        assert!(end(&[0; 5], true).is_err());
        assert_eq!(column_count(&[0, 0, 0, 2, 0, 0, 0]).unwrap(), 0);
        assert_eq!(column_count(&[0xfc, 0, 1]).unwrap(), 256);
        assert!(column_count(&[0xfb]).is_err() && column_count(&[3, 3]).is_err() && column_count(&[]).is_err());
    }

    #[test]
    fn values_of_a_statement_are_texts() {
        assert_eq!(execute(7, &[]), [0x17, 7, 0, 0, 0, 0, 1, 0, 0, 0]);
        let packet = execute(7, &["ab"]);
        assert_eq!(packet[10..], [0, 1, 0xfd, 0, 0xfe, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120), deprecated in any::<bool>()) {
            let _ = (greeting(&bytes), login_step(&bytes), done(&bytes), end(&bytes, deprecated), column_count(&bytes));
            let _ = (definition(&bytes), prepared(&bytes), server_error(&bytes));
            let _ = greeting(&[&GREETING[..20], &bytes].concat());
        }
    }
}
