//! Keyed digests of items and of their primary keys, and how an item is named for people.
//!
//! Not here: the encoding (`canonical`), and what digests are gathered into.

use std::fmt::Write;

use crate::model::failure::Failure;
use crate::verify::items::canonical;
use crate::verify::items::expiry;
use crate::verify::items::item::{Attribute, Item, KeySchema};
use crate::verify::items::json::Encoder;
use crate::verify::items::page::{Record, text_of};
use crate::verify::items::reader::{BadLine, Reader};

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
    encoder: Encoder,
    projection: Option<Vec<String>>,
    time_to_live: Option<String>,
}

/// An item that has no canonical form.
#[derive(Debug)]
pub struct Unreadable {
    /// Of its primary key, where that has one.
    pub key_hash: Option<[u8; 32]>,
    /// Its primary key for people, or where it stands.
    pub name: String,
    /// Why.
    pub failure: Failure,
}

/// What one item contributes to a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemDigest {
    /// Of the primary key.
    pub key_hash: [u8; 32],
    /// Of the whole item.
    pub row_digest: [u8; 32],
    /// When its time to live ends, in seconds since 1970, where that is looked for and said.
    pub expires_s: Option<i64>,
}

impl ItemHasher {
    /// `item_key` and `key_key` are derived from the hash key with [`ITEM_CONTEXT`] and [`KEY_CONTEXT`].
    pub fn new(item_key: [u8; 32], key_key: [u8; 32], schema: KeySchema) -> Self {
        Self {
            item_key,
            key_key,
            schema,
            buffer: Vec::with_capacity(1024),
            encoder: Encoder::default(),
            projection: None,
            time_to_live: None,
        }
    }

    /// Lines are cut to these attributes; items as values come cut.
    #[must_use]
    pub fn projecting(mut self, projection: Option<Vec<String>>) -> Self {
        self.projection = projection;
        self
    }

    /// Looks for the end of items in this attribute.
    #[must_use]
    pub fn expiring(mut self, time_to_live: Option<String>) -> Self {
        self.time_to_live = time_to_live;
        self
    }

    /// Both digests of a record, and the bytes that were hashed; `what` names the table in a failure.
    pub fn record(&mut self, record: &Record<'_>, what: &str) -> Result<(ItemDigest, u64), Box<Unreadable>> {
        match record {
            Record::Item(item) => self.digest(item, what).map_err(|failure| {
                let (key_hash, name) = (self.key_hash(item), name(item, &self.schema));
                Box::new(Unreadable { key_hash, name, failure })
            }),
            Record::Line(line) => self.line(line).map_err(|bad| {
                let item = record.item().ok();
                let key_hash = item.as_ref().and_then(|item| self.key_hash(item));
                let name = item.map_or_else(|| "a line".to_owned(), |item| name(&item, &self.schema));
                Box::new(Unreadable { key_hash, failure: bad.failure(&format!("{what} {name}")), name })
            }),
        }
    }

    /// The primary key's hash and name of a record, where it has a whole key.
    pub fn named(&mut self, record: &Record<'_>) -> Option<([u8; 32], String)> {
        let item = match record {
            Record::Item(item) => std::borrow::Cow::Borrowed(*item),
            Record::Line(_) => std::borrow::Cow::Owned(record.item().ok()?),
        };
        Some((self.key_hash(&item)?, name(&item, &self.schema)))
    }

    fn line(&mut self, line: &[u8]) -> Result<(ItemDigest, u64), BadLine> {
        let mut reader = Reader::new(text_of(line)?);
        let (encoder, projection) = (&mut self.encoder, self.projection.as_deref());
        let mut found = false;
        reader.members(|name, reader| match name {
            "Item" if !found => {
                found = true;
                encoder.item(reader, projection)
            }
            "Item" => Err(BadLine::Twice(name.to_owned())),
            _ => reader.skip().map(drop),
        })?;
        reader.end()?;
        if !found {
            return Err(reader.wrong("a member `Item`"));
        }
        self.buffer.clear();
        self.encoder.key(&self.schema, &mut self.buffer)?;
        let key_hash = *blake3::keyed_hash(&self.key_key, &self.buffer).as_bytes();
        let bytes = self.encoder.bytes();
        let row_digest = *blake3::keyed_hash(&self.item_key, bytes).as_bytes();
        let value = self.time_to_live.as_deref().and_then(|name| self.encoder.attribute(name));
        Ok((ItemDigest { key_hash, row_digest, expires_s: value.and_then(expiry::end_of_encoded) }, bytes.len() as u64))
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
        let value = self.time_to_live.as_ref().and_then(|name| item.get(name));
        Ok((ItemDigest { key_hash, row_digest, expires_s: value.and_then(expiry::end_of) }, self.buffer.len() as u64))
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
