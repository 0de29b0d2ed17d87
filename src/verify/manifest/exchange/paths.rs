//! Paths as bytes and as keys: a key spells a path that is not UTF-8 with `%XX`, part by part, as a directory's listing does.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::verify::objects::dir;

/// The key of the path `bytes`, and whether it is escaped.
pub fn key_of(bytes: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), false);
    }
    let parts: Vec<String> = bytes.split(|byte| *byte == b'/').map(|part| dir::spell(OsStr::from_bytes(part)).0).collect();
    (parts.join("/"), true)
}

/// The path that a key spells. A part that was UTF-8 is spelled as itself, so only one that escapes bytes that are not is decoded.
pub fn path_of(key: &str, escaped: bool) -> Vec<u8> {
    if !escaped {
        return key.as_bytes().to_vec();
    }
    let parts: Vec<Vec<u8>> = key.split('/').map(|part| decoded(part).unwrap_or_else(|| part.as_bytes().to_vec())).collect();
    parts.join(&b'/')
}

/// The bytes of an escaped part; nothing for one that is spelled as itself.
fn decoded(part: &str) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(part).collect();
    let (again, escaped) = dir::spell(OsStr::from_bytes(&bytes));
    (escaped && again == part).then_some(bytes)
}

/// Why the path cannot be a file below a directory; nothing where it can.
pub fn unsafe_below(path: &[u8]) -> Option<&'static str> {
    if path.contains(&0) {
        return Some("it has a NUL byte");
    }
    path.split(|byte| *byte == b'/').find_map(|part| match part {
        b"" => Some("it begins or ends with a slash, or has two in a row"),
        b"." | b".." => Some("it has a part `.` or `..`"),
        _ if part.len() > 255 => Some("a part of it is longer than 255 bytes"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn paths_survive_their_spelling(parts in prop::collection::vec(prop::collection::vec(any::<u8>().prop_map(|b| if b == b'/' { b'_' } else { b }), 0..6), 1..5)) {
            let path = parts.join(&b'/');
            let (key, escaped) = key_of(&path);
            prop_assert_eq!(escaped, std::str::from_utf8(&path).is_err());
            // A part that looks escaped beside one that is cannot be told from it: the one case that the spelling gives up.
            let doubtful = escaped && parts.iter().any(|part| std::str::from_utf8(part).is_ok_and(|text| decoded(text).is_some()));
            prop_assert!(doubtful || path_of(&key, escaped) == path);
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_unsafe() {
        for bad in ["", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "./a", "a\0b"] {
            assert!(unsafe_below(bad.as_bytes()).is_some(), "{bad:?}");
        }
        assert!(unsafe_below(&[b'x'; 256]).is_some());
        assert_eq!(unsafe_below("a/..b/c. d/é\n".as_bytes()), None);
    }
}
