//! Keys of one's own for objects under SSE-C, out of a file: S3 needs the key with every request and keeps none.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;

use crate::model::failure::Failure;

/// A file of keys is never larger.
const LIMIT_BYTES: u64 = 1 << 20;

/// One key as requests carry it.
#[derive(Clone)]
pub struct CustomerKey {
    /// 32 bytes in base64.
    pub key: String,
    /// Their MD5 in base64.
    pub md5: String,
}

/// Keys by prefix.
#[derive(Clone, Default)]
pub struct CustomerKeys(Vec<(String, CustomerKey)>);

impl fmt::Debug for CustomerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl CustomerKeys {
    /// Reads a file: one line a key, `KEY` or `KEY PREFIX`, where KEY is 32 bytes in base64 or 64 hex digits and PREFIX says which
    /// objects it is for (all, where it is absent). Empty lines and lines that start with `#` are passed over.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error| Failure::invalid(format!("cannot read the keys {shown}: {error}"));
        if std::fs::metadata(path).map_err(cannot)?.len() > LIMIT_BYTES {
            return Err(Failure::invalid(format!("the keys {shown}: expected at most {LIMIT_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        Self::parse(&text).map_err(|said| {
            Failure::invalid(format!("the keys {shown}: {said}"))
                .hint("each line is `KEY` or `KEY PREFIX`; KEY is 32 bytes in base64 or hex")
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end_matches('\r');
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, prefix) = line.split_once(' ').unwrap_or((line, ""));
            let bytes = if key.len() == 64 { hex::decode(key).ok() } else { STANDARD.decode(key).ok() };
            // The key itself is never part of a message.
            let bytes =
                bytes.filter(|bytes| bytes.len() == 32).ok_or_else(|| format!("line {}: expected a key of 32 bytes", number + 1))?;
            let md5 = STANDARD.encode(md5::Md5::digest(&bytes));
            keys.push((prefix.to_owned(), CustomerKey { key: STANDARD.encode(&bytes), md5 }));
        }
        if keys.is_empty() {
            return Err("there is no key in it".into());
        }
        // The longest prefix first.
        keys.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Self(keys))
    }

    /// The key for an object.
    pub fn of(&self, object: &str) -> Option<&CustomerKey> {
        self.0.iter().find(|(prefix, _)| object.starts_with(prefix.as_str())).map(|(_, key)| key)
    }
}

/// Whether S3 says that an object is not under SSE-C after all.
pub fn is_not_applicable(code: Option<&str>, message: Option<&str>) -> bool {
    code == Some("InvalidRequest") && message.is_some_and(|message| message.contains("encryption parameters are not applicable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_has_the_key() {
        let (all, own) = ("00".repeat(32), STANDARD.encode([7_u8; 32]));
        let keys = CustomerKeys::parse(&format!("# keys\n{all}\n{own} a b/\n")).unwrap();
        assert_eq!(keys.of("a b/c").unwrap().key, own);
        assert_eq!(keys.of("a").unwrap().key, STANDARD.encode([0_u8; 32]));
        assert_eq!(STANDARD.decode(&keys.of("a").unwrap().md5).unwrap().len(), 16);
        assert!(!format!("{keys:?}").contains(&own));
        for bad in ["", "abc", "#x\n", &"00".repeat(31)] {
            assert!(CustomerKeys::parse(bad).is_err(), "{bad}");
        }
    }
}
