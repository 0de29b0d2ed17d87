//! The small files of a BagIt bag (RFC 8493): the declaration, `bag-info.txt`, and how manifests spell paths. Text in, text out.
//!
//! Bags of version 1.0 encode `%`, CR and LF of paths as `%25`, `%0D` and `%0A` (§2.1.3); older ones, which is what bagit-python
//! writes, encode CR and LF only, and a `%25` there is a name's own.

use crate::model::digest::Digest32;

/// The declaration's file name.
pub const DECLARATION: &str = "bagit.txt";
/// The metadata's file name.
pub const INFO: &str = "bag-info.txt";
/// The payload manifest that is read and written.
pub const PAYLOAD_MANIFEST: &str = "manifest-sha256.txt";
/// The tag manifest that is read and written.
pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
/// The list of files that a bag does not hold itself.
pub const FETCH: &str = "fetch.txt";

/// The declaration of the bags that are written.
pub const DECLARED: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// A bag's version, which decides how paths are spelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After it.
    pub minor: u32,
}

impl Version {
    /// The version of the standard.
    pub const ONE: Self = Self { major: 1, minor: 0 };
}

/// Reads `bagit.txt`.
///
/// # Errors
/// What was expected and what was found.
pub fn declaration(text: &str) -> Result<Version, String> {
    let lines: Vec<&str> = text.lines().collect();
    let [version, encoding] = lines.as_slice() else {
        return Err(format!("expected two lines, found {}", lines.len()));
    };
    let value =
        |line: &str, label: &str| line.strip_prefix(label).and_then(|rest| rest.strip_prefix(':')).map(|rest| rest.trim().to_owned());
    let found = value(version, "BagIt-Version").ok_or("expected `BagIt-Version: M.N` in line 1")?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = found.split_once('.').and_then(|(major, minor)| Some(Version { major: number(major)?, minor: number(minor)? }));
    let supported = |version: &Version| *version == Version::ONE || (version.major == 0 && (93..=97).contains(&version.minor));
    let version = parsed.filter(supported).ok_or_else(|| format!("expected BagIt version 1.0 or 0.93 to 0.97, found `{found}`"))?;
    match value(encoding, "Tag-File-Character-Encoding") {
        Some(encoding) if encoding.eq_ignore_ascii_case("utf-8") => Ok(version),
        other => Err(format!("expected `Tag-File-Character-Encoding: UTF-8` in line 2, found `{}`", other.unwrap_or_default())),
    }
}

/// `Payload-Oxum` of `bag-info.txt`: bytes and files; nothing where it is not given.
///
/// # Errors
/// What is wrong with it.
pub fn oxum(info: &str) -> Result<Option<(u64, u64)>, String> {
    let mut found = None;
    for line in info.lines() {
        // A line that begins with white space goes on with the value before.
        let Some((label, value)) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])) else { continue };
        if !label.trim().eq_ignore_ascii_case("payload-oxum") {
            continue;
        }
        let numbers = value.trim().split_once('.').and_then(|(bytes, files)| Some((bytes.parse().ok()?, files.parse().ok()?)));
        let numbers = numbers.ok_or_else(|| format!("expected `Payload-Oxum: BYTES.FILES`, found `{}`", value.trim().escape_debug()))?;
        if found.replace(numbers).is_some() {
            return Err("expected one Payload-Oxum, found two".into());
        }
    }
    Ok(found)
}

/// One line of a payload or tag manifest; nothing for an empty line.
///
/// # Errors
/// What was expected.
pub fn manifest_line(line: &[u8], version: Version) -> Result<Option<(Vec<u8>, Digest32)>, String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Ok(None);
    }
    let said = "expected 64 hex digits, white space and a path";
    let (hex, rest) = line.split_at_checked(64).ok_or(said)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(hex, &mut digest).map_err(|_| said)?;
    let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    // Tools of before the standard wrote the `*` of sha256sum's binary mode.
    let path = rest[blank..].strip_prefix(b"*").unwrap_or(&rest[blank..]);
    if blank == 0 || path.is_empty() {
        return Err(said.into());
    }
    if std::str::from_utf8(path).is_err() {
        return Err("expected a path in UTF-8, which is what bagit.txt declares".into());
    }
    Ok(Some((decode_path(path, version), Digest32(digest))))
}

/// A path as manifests spell it.
pub fn encode_path(path: &str) -> String {
    path.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn decode_path(path: &[u8], version: Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let code = path[at..].get(..3).map(|code| [code[0], code[1], code[2].to_ascii_uppercase()]);
        let byte = match code.as_ref() {
            Some(b"%0A") => Some(b'\n'),
            Some(b"%0D") => Some(b'\r'),
            Some(b"%25") if version >= Version::ONE => Some(b'%'),
            _ => None,
        };
        out.push(byte.unwrap_or(path[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..150), hex in any::<bool>()) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = (declaration(&text), oxum(&text), oxum(&format!("Payload-Oxum: {text}")));
            let line = if hex { [&[b'0'; 64][..], b"  ", &bytes].concat() } else { bytes };
            let _ = manifest_line(&line, Version::ONE);
        }

        #[test]
        fn paths_round_trip(path in "[a%25DA0\r\n/é]{1,12}") {
            let line = format!("{}  {}", "0".repeat(64), encode_path(&path));
            let (read, _) = manifest_line(line.as_bytes(), Version::ONE).unwrap().unwrap();
            prop_assert_eq!(String::from_utf8(read).unwrap(), path);
        }
    }

    #[test]
    fn declarations_and_oxums() {
        assert_eq!(declaration(DECLARED), Ok(Version::ONE));
        assert_eq!(declaration("BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8"), Ok(Version { major: 0, minor: 97 }));
        for bad in
            ["", "BagIt-Version: 2.0\nTag-File-Character-Encoding: UTF-8\n", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n"]
        {
            assert!(declaration(bad).is_err(), "{bad}");
        }
        assert_eq!(oxum("Source: x\n Payload-Oxum: 9.9\nPAYLOAD-OXUM : 279.2\n"), Ok(Some((279, 2))));
        assert_eq!(oxum("a: b\n"), Ok(None));
        assert!(oxum("Payload-Oxum: 1.2\nPayload-Oxum: 1.2").is_err() && oxum("Payload-Oxum: 1").is_err());
        let old = manifest_line(format!("{}\t*data/100%25%0a", "0".repeat(64)).as_bytes(), Version { major: 0, minor: 97 });
        assert_eq!(old.unwrap().unwrap().0, b"data/100%25\n");
    }
}
