//! One line of a checksum list, in and out: GNU `sha256sum`, `b3sum`, and `rclone hashsum`.
//!
//! A `\` before the digest says that `\\`, `\n` and `\r` in the name stand for a backslash, a line feed and a carriage return (GNU
//! coreutils; `b3sum` writes the same without `\r`). rclone escapes nothing, so a name with a line feed has no line there.

use crate::model::digest::Digest32;
use crate::verify::manifest::request::DigestSet;

/// Which tool's lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListFormat {
    /// GNU `sha256sum`, plain or `--tag`.
    Sha256sum,
    /// `b3sum`, plain or `--tag`.
    B3sum,
    /// `rclone hashsum blake3` or `sha256`: the list does not say which.
    Rclone,
}

impl ListFormat {
    /// The spelling on the command line and in `manifest.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256sum => "sha256sum",
            Self::B3sum => "b3sum",
            Self::Rclone => "rclone",
        }
    }

    /// The digest of its lines, where the format decides it.
    pub fn digest(self) -> Option<DigestSet> {
        match self {
            Self::Sha256sum => Some(DigestSet::SHA256),
            Self::B3sum => Some(DigestSet::BLAKE3),
            Self::Rclone => None,
        }
    }
}

/// What one line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The name, its escapes undone.
    pub path: Vec<u8>,
    /// The digest; absent where rclone says that it could not be had.
    pub digest: Option<Digest32>,
}

/// Reads a line without its line feed; nothing for an empty line or a comment.
///
/// # Errors
/// What is wrong with it, without its place.
pub fn parse(line: &[u8], format: ListFormat) -> Result<Option<Line>, String> {
    // `sha256sum --check` takes a carriage return at the end for the line's end: in a name it would be escaped.
    let line = if format == ListFormat::Sha256sum { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    if line.is_empty() || (format == ListFormat::Sha256sum && line.starts_with(b"#")) {
        return Ok(None);
    }
    let (escaped, rest) = match line.strip_prefix(b"\\") {
        Some(rest) if format != ListFormat::Rclone => (true, rest),
        _ => (false, line),
    };
    if format == ListFormat::Rclone
        && let Some(path) = without_digest(rest)
    {
        return named(path.to_vec(), None, format);
    }
    let (name, digest) = match tagged(rest, format) {
        Some(tagged) => tagged?,
        None => plain(rest, format)?,
    };
    let path = if escaped { unescaped(name)? } else { name.to_vec() };
    named(path, Some(digest), format)
}

fn named(path: Vec<u8>, digest: Option<Digest32>, format: ListFormat) -> Result<Option<Line>, String> {
    if path.is_empty() || path.contains(&0) {
        return Err("expected a name without NUL bytes after the digest".into());
    }
    if format == ListFormat::B3sum && String::from_utf8_lossy(&path).contains('\u{fffd}') {
        return Err("the name holds U+FFFD, which b3sum writes for every byte that is not UTF-8: which file it was is lost".into());
    }
    Ok(Some(Line { path, digest }))
}

/// `HEX  NAME`, or with `*` for the second space.
fn plain(rest: &[u8], format: ListFormat) -> Result<(&[u8], Digest32), String> {
    let said = "expected 64 hex digits, two spaces and a name";
    if rest.len() < 66 {
        return Err(said.into());
    }
    let (hex, rest) = rest.split_at(64);
    let digest = digest(hex).ok_or(said)?;
    match rest {
        [b' ', b' ', name @ ..] => Ok((name, digest)),
        [b' ', b'*', name @ ..] if format != ListFormat::B3sum => Ok((name, digest)),
        _ => Err(said.into()),
    }
}

/// `SHA256 (NAME) = HEX`.
fn tagged(rest: &[u8], format: ListFormat) -> Option<Result<(&[u8], Digest32), String>> {
    let tag: &[u8] = match format {
        ListFormat::Sha256sum => b"SHA256 (",
        ListFormat::B3sum => b"BLAKE3 (",
        ListFormat::Rclone => return None,
    };
    let rest = rest.strip_prefix(tag)?;
    let split = || {
        let at = rest.len().checked_sub(64 + 4)?;
        let name = rest[at..].starts_with(b") = ").then_some(&rest[..at])?;
        Some((name, digest(&rest[at + 4..])?))
    };
    Some(split().ok_or_else(|| "expected `(NAME) = ` and 64 hex digits after the algorithm".to_owned()))
}

/// The name of an rclone line whose digest column says that there is none.
fn without_digest(rest: &[u8]) -> Option<&[u8]> {
    let (column, path) = (rest.get(..64)?, rest.get(64..)?.strip_prefix(b"  ")?);
    let word = column.trim_ascii();
    matches!(word, b"" | b"UNSUPPORTED" | b"ERROR").then_some(path)
}

fn digest(hex: &[u8]) -> Option<Digest32> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    Some(Digest32(bytes))
}

fn unescaped(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut path = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        path.push(match (byte, byte == b'\\') {
            (byte, false) => byte,
            (_, true) => match bytes.next() {
                Some(b'\\') => b'\\',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => return Err("expected `\\\\`, `\\n` or `\\r` where the line begins with a backslash".into()),
            },
        });
    }
    Ok(path)
}

/// Appends the line of `path`, its line feed included.
///
/// # Errors
/// Why the format has no line for such a name.
pub fn write(out: &mut Vec<u8>, path: &[u8], digest: &Digest32, format: ListFormat) -> Result<(), &'static str> {
    // b3sum leaves a carriage return as it is, and a reader of its lists takes it for part of the name.
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (*byte == b'\r' && format == ListFormat::Sha256sum);
    match format {
        _ if path.is_empty() || path.contains(&0) => return Err("no list has a line for an empty name or one with a NUL byte"),
        ListFormat::Rclone if path.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
            return Err("rclone's lists have no line for a name with a line break");
        }
        ListFormat::B3sum if std::str::from_utf8(path).map_or(true, |text| text.contains('\u{fffd}')) => {
            return Err("b3sum reads only names in UTF-8 without U+FFFD");
        }
        _ => {}
    }
    let escaped = format != ListFormat::Rclone && path.iter().any(special);
    if escaped {
        out.push(b'\\');
    }
    out.extend_from_slice(digest.hex().as_bytes());
    out.extend_from_slice(b"  ");
    for byte in path {
        match byte {
            b'\\' if escaped => out.extend_from_slice(b"\\\\"),
            b'\n' if escaped => out.extend_from_slice(b"\\n"),
            b'\r' if escaped && format == ListFormat::Sha256sum => out.extend_from_slice(b"\\r"),
            byte => out.push(*byte),
        }
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [ListFormat; 3] = [ListFormat::Sha256sum, ListFormat::B3sum, ListFormat::Rclone];

    fn path_strategy() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => any::<u8>(), 3 => prop::sample::select(&b"\\\n\r */ab.%"[..])];
        prop_oneof![prop::collection::vec(byte, 0..20), any::<String>().prop_map(String::into_bytes)]
    }

    proptest! {
        #[test]
        fn lines_round_trip(path in path_strategy(), bytes in any::<[u8; 32]>(), format in prop::sample::select(&ALL[..])) {
            let mut out = Vec::new();
            let digest = Digest32(bytes);
            if write(&mut out, &path, &digest, format).is_ok() {
                let line = out.strip_suffix(b"\n").unwrap();
                prop_assert!(!line.contains(&b'\n'), "one line");
                prop_assert_eq!(parse(line, format).unwrap(), Some(Line { path, digest: Some(digest) }));
            } else {
                prop_assert!(path.is_empty() || path.contains(&0) || format != ListFormat::Sha256sum);
            }
        }

        #[test]
        fn any_bytes_are_a_line_or_an_error(line in prop::collection::vec(any::<u8>(), 0..200), start in 0usize..4, format in prop::sample::select(&ALL[..])) {
            let hex = [b'a'; 64];
            let line = match start {
                0 => line,
                1 => [&hex[..], b"  ", &line].concat(),
                2 => [&b"\\"[..], &hex, b"  ", &line].concat(),
                _ => [&b"SHA256 ("[..], &line, b") = ", &hex].concat(),
            };
            if let Ok(Some(line)) = parse(&line, format) {
                prop_assert!(!line.path.is_empty());
            }
        }
    }

    #[test]
    fn what_the_tools_write_is_read() {
        let hex = "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d";
        let read = |line: &str, format| parse(line.as_bytes(), format).unwrap().map(|line| String::from_utf8(line.path).unwrap());
        let (gnu, b3, rclone) = (ListFormat::Sha256sum, ListFormat::B3sum, ListFormat::Rclone);
        assert_eq!(read(&format!("{hex}   h"), gnu).as_deref(), Some(" h"));
        assert_eq!(read(&format!("{hex} *bin\r"), gnu).as_deref(), Some("bin"));
        assert_eq!(read(&format!("\\{}  e\\\\f\\n\\r", hex.to_uppercase()), gnu).as_deref(), Some("e\\f\n\r"));
        assert_eq!(read(&format!("\\SHA256 (c\\nd) = {hex}"), gnu).as_deref(), Some("c\nd"));
        assert_eq!(read(&format!("SHA256 (a) = b) = {hex}"), gnu).as_deref(), Some("a) = b"));
        assert_eq!(read(&format!("{hex}  *i"), b3).as_deref(), Some("*i"));
        assert_eq!(read(&format!("{hex}  g\r"), b3).as_deref(), Some("g\r"));
        assert_eq!((read("# comment", gnu), read("", b3)), (None, None));
        let none = parse(format!("{:>64}  dir/x", "UNSUPPORTED").as_bytes(), rclone).unwrap().unwrap();
        assert_eq!((none.path.as_slice(), none.digest), (&b"dir/x"[..], None));
        for (line, format) in [("# comment", b3), ("d41d8cd98f00b204e9800998ecf8427e  md5", gnu), ("x", rclone)] {
            assert!(parse(line.as_bytes(), format).is_err(), "{line}");
        }
        assert!(parse(format!("{hex}  a\u{fffd}").as_bytes(), b3).unwrap_err().contains("U+FFFD"));
        assert!(parse(format!("\\{hex}  a\\t").as_bytes(), gnu).is_err());
        assert!(parse(format!("{hex}  ").as_bytes(), gnu).is_err());
    }
}
