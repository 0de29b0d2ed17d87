//! Keyed digests of items and of their primary keys, and how an item is named for people.
//!
//! Not here: the encoding (`canonical`), and what digests are gathered into.

use std::fmt::Write;

use crate::model::failure::Failure;
use crate::verify::items::canonical;
use crate::verify::items::expiry;
use crate::verify::items::item::{Attribute, Item, KeySchema};
use crate::verify::items::json::Encoder;
use crate::verify::items::page::{Record, Records, text_of};
use crate::verify::items::reader::{BadLine, Reader};
use crate::verify::wide_blake3::digests;

/// Contexts of BLAKE3's key derivation, over the hash key: digests of items and of keys never share a key.
pub const ITEM_CONTEXT: &str = "attestore item v1";
/// As [`ITEM_CONTEXT`], for primary keys.
pub const KEY_CONTEXT: &str = "attestore item key v1";

/// Longest printed form of one key attribute, in characters; a longer one is cut and ends with `…`.
const LONGEST_SHOWN: usize = 120;

/// Items whose digests are computed together: enough that those of equal length fill the processor's lanes.
const BATCH: usize = 512;
/// And no more bytes of them than stay in its cache.
const BATCH_BYTES: usize = 512 << 10;

/// Digests items of one table; its buffers are reused.
pub struct ItemHasher {
    item_key: [u8; 32],
    key_key: [u8; 32],
    schema: KeySchema,
    encoder: Encoder,
    batch: Batch,
    projection: Option<Vec<String>>,
    time_to_live: Option<String>,
}

/// Items that are encoded and not yet digested: one after the other, and where each ends.
#[derive(Default)]
struct Batch {
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    items: Vec<u8>,
    item_ends: Vec<usize>,
    ends_s: Vec<Option<i64>>,
    key_hashes: Vec<[u8; 32]>,
    row_digests: Vec<[u8; 32]>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.item_ends.len() >= BATCH || self.items.len() >= BATCH_BYTES
    }

    /// What has been appended since the last item is an item.
    fn add(&mut self, ends_s: Option<i64>) {
        self.key_ends.push(self.keys.len());
        self.item_ends.push(self.items.len());
        self.ends_s.push(ends_s);
    }

    /// What has been appended since the last item is none.
    fn take_back(&mut self) {
        self.keys.truncate(self.key_ends.last().copied().unwrap_or_default());
        self.items.truncate(self.item_ends.last().copied().unwrap_or_default());
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.items.clear();
        self.item_ends.clear();
        self.ends_s.clear();
        self.key_hashes.clear();
        self.row_digests.clear();
    }
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
        Self { item_key, key_key, schema, encoder: Encoder::default(), batch: Batch::default(), projection: None, time_to_live: None }
    }

    /// Text is cut to these attributes; items as values come cut.
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

    /// Digests every record, and tells each digest to `each`; gives the bytes that were hashed. Those without a canonical form go to `unreadable`;
    /// `what` names the table in their failures.
    ///
    /// # Errors
    /// The first that `each` gives; the rest is not digested then.
    pub fn page(
        &mut self,
        records: &Records,
        what: &str,
        unreadable: &mut Vec<Unreadable>,
        each: &mut dyn FnMut(ItemDigest) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut hashed = 0;
        self.batch.clear();
        for record in records.iter() {
            match self.take(&record) {
                Ok(ends_s) => self.batch.add(ends_s),
                Err(bad) => {
                    self.batch.take_back();
                    unreadable.push(self.unreadable(&record, bad, what));
                }
            }
            if self.batch.is_full() {
                hashed += self.give(each)?;
            }
        }
        Ok(hashed + self.give(each)?)
    }

    /// Appends a record to the batch and gives when it ends; one that fails may leave something behind.
    fn take(&mut self, record: &Record<'_>) -> Result<Option<i64>, BadLine> {
        let (text, is_line) = match record {
            Record::Item(item) => {
                canonical::encode_key(item, &self.schema, &mut self.batch.keys)?;
                canonical::encode_item(item, &mut self.batch.items)?;
                let value = self.time_to_live.as_ref().and_then(|name| item.get(name));
                return Ok(value.and_then(expiry::end_of));
            }
            Record::Line(line) => (text_of(line)?, true),
            Record::Object(text) => (*text, false),
        };
        let mut reader = Reader::new(text);
        if is_line {
            self.line(&mut reader)?;
        } else {
            self.encoder.item(&mut reader, self.projection.as_deref())?;
        }
        reader.end()?;
        self.encoder.key(&self.schema, &mut self.batch.keys)?;
        self.encoder.append(&mut self.batch.items);
        let value = self.time_to_live.as_deref().and_then(|name| self.encoder.attribute(name));
        Ok(value.and_then(expiry::end_of_encoded))
    }

    /// Reads the member `Item` of a line; what else it has is passed over.
    fn line(&mut self, reader: &mut Reader<'_>) -> Result<(), BadLine> {
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
        if found { Ok(()) } else { Err(reader.wrong("a member `Item`")) }
    }

    /// Digests the batch and empties it.
    fn give(&mut self, each: &mut dyn FnMut(ItemDigest) -> Result<(), Failure>) -> Result<u64, Failure> {
        let batch = &mut self.batch;
        digests::keyed(&self.key_key, &batch.keys, &batch.key_ends, &mut batch.key_hashes);
        digests::keyed(&self.item_key, &batch.items, &batch.item_ends, &mut batch.row_digests);
        for ((key_hash, row_digest), expires_s) in batch.key_hashes.iter().zip(&batch.row_digests).zip(&batch.ends_s) {
            each(ItemDigest { key_hash: *key_hash, row_digest: *row_digest, expires_s: *expires_s })?;
        }
        let hashed = batch.items.len() as u64;
        batch.clear();
        Ok(hashed)
    }

    fn unreadable(&self, record: &Record<'_>, bad: BadLine, what: &str) -> Unreadable {
        let item = record.item().ok();
        let key_hash = item.as_ref().and_then(|item| self.key_hash(item));
        let name = item.map_or_else(|| "a line".to_owned(), |item| name(&item, &self.schema));
        Unreadable { key_hash, failure: bad.failure(&format!("{what} {name}")), name }
    }

    /// The primary key's hash and name of a record, where it has a whole key.
    pub fn named(&self, record: &Record<'_>) -> Option<([u8; 32], String)> {
        let item = match record {
            Record::Item(item) => std::borrow::Cow::Borrowed(*item),
            Record::Line(_) | Record::Object(_) => std::borrow::Cow::Owned(record.item().ok()?),
        };
        Some((self.key_hash(&item)?, name(&item, &self.schema)))
    }

    /// The digest of the primary key alone; none where the item has no whole key.
    pub fn key_hash(&self, item: &Item) -> Option<[u8; 32]> {
        let mut bytes = Vec::with_capacity(128);
        canonical::encode_key(item, &self.schema, &mut bytes).ok()?;
        Some(*blake3::keyed_hash(&self.key_key, &bytes).as_bytes())
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
    use crate::verify::items::item::to_json;
    use crate::verify::items::page::{Lines, Objects};
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
        let digest = |key_key: [u8; 32]| {
            let mut hasher = ItemHasher::new([1; 32], key_key, KeySchema(vec!["pk".into()]));
            let (mut found, mut unreadable) = (Vec::new(), Vec::new());
            let records = Records::Items(vec![item.clone()]);
            let hashed = hasher.page(&records, "t", &mut unreadable, &mut |digest| {
                found.push(digest);
                Ok(())
            });
            assert!(hashed.unwrap() > 0 && unreadable.is_empty());
            found[0]
        };
        let (first, second) = (digest([2; 32]), digest([3; 32]));
        // The encodings of this key and of this item are the same bytes.
        assert_ne!(first.key_hash, first.row_digest);
        assert_eq!(first.row_digest, second.row_digest);
        assert_ne!(first.key_hash, second.key_hash);
    }

    #[test]
    fn however_a_record_is_written_and_batched_its_digests_are_those_of_the_specification() {
        let item = |n: usize| -> Item {
            BTreeMap::from([
                ("pk".into(), Attribute::Number(n.to_string())),
                ("text".into(), Attribute::String("x".repeat(n * 7 % 1900))),
                ("end".into(), Attribute::Number(format!("{}", 1_769_824_800 + n))),
            ])
        };
        let items: Vec<Item> = (0..700).map(item).collect();
        let bad = ["{\"pk\":{\"N\":\"1\"},\"text\":{\"N\":\"x\"}}", "{\"text\":{\"S\":\"no key\"}}"];
        let mut texts: Vec<String> = items.iter().map(|item| to_json(item).to_string()).collect();
        (texts[3], texts[500]) = (bad[0].to_owned(), bad[1].to_owned());
        let lines: String = texts.iter().map(|text| format!("{{\"Item\":{text}}}\n")).collect();
        let whole = texts.concat();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        texts
            .iter()
            .for_each(|text| spans.push((spans.last().map_or(0, |last| last.1), spans.last().map_or(0, |last| last.1) + text.len())));
        for records in [Records::Lines(Lines::of(lines.into_bytes())), Records::Objects(Objects::of(whole, spans))] {
            let mut hasher = ItemHasher::new([1; 32], [2; 32], KeySchema(vec!["pk".into()])).expiring(Some("end".into()));
            let (mut found, mut unreadable) = (Vec::new(), Vec::new());
            let hashed = hasher.page(&records, "t", &mut unreadable, &mut |digest| {
                found.push(digest);
                Ok(())
            });
            let mut expected_bytes = 0;
            let good = items.iter().enumerate().filter(|(n, _)| ![3, 500].contains(n));
            let expected: Vec<ItemDigest> = good
                .map(|(n, item)| {
                    let (mut key, mut bytes) = (Vec::new(), Vec::new());
                    canonical::encode_key(item, &KeySchema(vec!["pk".into()]), &mut key).unwrap();
                    canonical::encode_item(item, &mut bytes).unwrap();
                    expected_bytes += bytes.len() as u64;
                    ItemDigest {
                        key_hash: *blake3::keyed_hash(&[2; 32], &key).as_bytes(),
                        row_digest: *blake3::keyed_hash(&[1; 32], &bytes).as_bytes(),
                        expires_s: Some(1_769_824_800 + n as i64),
                    }
                })
                .collect();
            assert_eq!((found, hashed.unwrap()), (expected, expected_bytes));
            let told: Vec<(bool, &str)> = unreadable.iter().map(|one| (one.key_hash.is_some(), one.name.as_str())).collect();
            assert_eq!(told, [(true, "pk=1"), (false, "pk=absent")]);
        }
    }
}
