//! Keyed digests of items and of their primary keys, and how an item is named for people.
//!
//! Not here: the encoding (`canonical`), and what digests are gathered into.

use std::fmt::Write;

use crate::model::failure::Failure;
use crate::verify::items::canonical;
use crate::verify::items::source::{Attribute, Item, KeySchema};

/// Contexts of BLAKE3's key derivation, over the hash key: digests of items and of keys never share a key.
pub const ITEM_CONTEXT: &str = "attestore item v1";
/// As [`ITEM_CONTEXT`], for primary keys.
pub const KEY_CONTEXT: &str = "attestore item key v1";

/// Longest printed form of one key attribute, in characters; a longer one is cut and ends with `…`.
const LONGEST_SHOWN: usize = 120;

/// Digests items of one table; its buffer is reused.
pub struct ItemHasher {
    item_key: [u8; 32],
    key_key: [u8; 32],
    schema: KeySchema,
    buffer: Vec<u8>,
}

/// What one item contributes to a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemDigest {
    /// Of the primary key.
    pub key_hash: [u8; 32],
    /// Of the whole item.
    pub row_digest: [u8; 32],
}

impl ItemHasher {
    /// `item_key` and `key_key` are derived from the hash key with [`ITEM_CONTEXT`] and [`KEY_CONTEXT`].
    pub fn new(item_key: [u8; 32], key_key: [u8; 32], schema: KeySchema) -> Self {
        Self { item_key, key_key, schema, buffer: Vec::with_capacity(1024) }
    }

    /// The digest of the primary key alone; none where the item has no whole key.
    pub fn key_hash(&mut self, item: &Item) -> Option<[u8; 32]> {
        self.buffer.clear();
        canonical::encode_key(item, &self.schema, &mut self.buffer).ok()?;
        Some(*blake3::keyed_hash(&self.key_key, &self.buffer).as_bytes())
    }

    /// Both digests of `item`, and the bytes that were hashed; `what` names the table in a failure.
    pub fn digest(&mut self, item: &Item, what: &str) -> Result<(ItemDigest, u64), Failure> {
        self.buffer.clear();
        canonical::encode_key(item, &self.schema, &mut self.buffer).map_err(|bad| bad.failure(what))?;
        let key_hash = *blake3::keyed_hash(&self.key_key, &self.buffer).as_bytes();
        self.buffer.clear();
        canonical::encode_item(item, &mut self.buffer).map_err(|bad| bad.failure(&format!("{what} {}", name(item, &self.schema))))?;
        let row_digest = *blake3::keyed_hash(&self.item_key, &self.buffer).as_bytes();
        Ok((ItemDigest { key_hash, row_digest }, self.buffer.len() as u64))
    }
}

/// The digest of a table's primary key definition: the names of its attributes in order.
pub fn schema_digest(schema: &KeySchema) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("attestore item schema v1");
    for name in &schema.0 {
        hasher.update(&(name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// `pk=… sk=…`: the primary key for people. Binary values are spelled in hex.
pub fn name(item: &Item, schema: &KeySchema) -> String {
    let mut text = String::new();
    for attribute in &schema.0 {
        if !text.is_empty() {
            text.push(' ');
        }
        let value = match item.get(attribute) {
            Some(Attribute::String(value) | Attribute::Number(value)) => value.clone(),
            Some(Attribute::Binary(bytes)) => format!("0x{}", hex::encode(bytes)),
            Some(_) => "?".into(),
            None => "absent".into(),
        };
        let _ = write!(text, "{attribute}=");
        let shown = value.char_indices().nth(LONGEST_SHOWN).map_or(value.as_str(), |(at, _)| &value[..at]);
        text.push_str(shown);
        if shown.len() < value.len() {
            text.push('…');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_item_is_named_by_its_key() {
        let item: Item = BTreeMap::from([
            ("pk".into(), Attribute::String("user 7".into())),
            ("sk".into(), Attribute::Number("20260131".into())),
            ("b".into(), Attribute::Binary(vec![0, 255])),
            ("long".into(), Attribute::String("é".repeat(200))),
        ]);
        let schema = |names: &[&str]| KeySchema(names.iter().map(|name| (*name).into()).collect());
        assert_eq!(name(&item, &schema(&["pk", "sk"])), "pk=user 7 sk=20260131");
        assert_eq!(name(&item, &schema(&["b"])), "b=0x00ff");
        assert_eq!(name(&item, &schema(&["long"])), format!("long={}…", "é".repeat(120)));
    }

    #[test]
    fn key_and_item_digests_are_keyed_apart() {
        let item: Item = BTreeMap::from([("pk".into(), Attribute::String("x".into()))]);
        let mut hasher = ItemHasher::new([1; 32], [2; 32], KeySchema(vec!["pk".into()]));
        let (first, hashed) = hasher.digest(&item, "t").unwrap();
        assert!(hashed > 0);
        // The encodings of this key and of this item are the same bytes.
        assert_ne!(first.key_hash, first.row_digest);
        let mut other = ItemHasher::new([1; 32], [3; 32], KeySchema(vec!["pk".into()]));
        let (second, _) = other.digest(&item, "t").unwrap();
        assert_eq!(first.row_digest, second.row_digest);
        assert_ne!(first.key_hash, second.key_hash);
    }
}
