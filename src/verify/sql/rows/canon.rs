//! Canonical rows `v1`: one row of any engine as one string of bytes, and its keyed digests.
//!
//! A row is `u32 columns`, then its fields in ascending order of the column names' bytes. A field is a type tag (one byte) plus a
//! payload that is fixed by the tag or begins with its length as u64; integers are big-endian. Lengths and tags make the string
//! prefix-free, so that no two rows share one: not ('x0','y') and ('x','0y'), not NULL and 'NULL', not NULL in another column.
//!
//! | Tag | Payload |
//! |---|---|
//! | 00 NULL | none |
//! | 01 integer | sign (0 or 1), u64 magnitude |
//! | 02 decimal | sign, i32 scale, length, ASCII digits without leading zeros (zero: none) |
//! | 03 decimal NaN, 04 +Infinity, 05 −Infinity | none |
//! | 06 f32, 07 f64 | IEEE 754 bits; every NaN is 7fc00000 / 7ff8000000000000, −0 is kept |
//! | 08 text, 09 text that is not UTF-8 | length, bytes |
//! | 0a date | i64 days since 1970-01-01 |
//! | 0b datetime (wall clock), 0c instant (UTC) | i64 microseconds since 1970-01-01 |
//! | 0d +infinity, 0e −infinity | the tag of what is infinite |
//! | 0f zero or partial date | the tag of what it is, u16 year, u8 month, u8 day, i64 microseconds of the day |
//! | 10 time | i64 microseconds, signed |
//! | 11 time with zone | i64 microseconds, i32 seconds west of UTC |
//! | 12 interval | i32 months, i32 days, i64 microseconds |
//! | 13 JSON as stored, 14 JSON that is stored parsed, as the server prints it | length, bytes |
//! | 15 enum, 16 set | length, label or labels joined by `,` |
//! | 17 bit string | u64 bits, length, bytes: the first bit is the highest of the first byte, zeros after the last |
//! | 18 bytes | length, bytes |
//! | 19 uuid | 16 bytes |
//! | 1a network address | length, family, prefix bits, 1 for a network, address |
//! | 1b geometry | length, SRID and WKB as the server sends them |
//! | 1c boolean | 0 or 1 |
//! | 1d array, vector | u32 dimensions, (i32 length, i32 lower bound) each, then the elements as fields |
//! | 1e composite | u32 columns, then fields |
//! | 1f range | flags byte of the engine, then its bounds as fields |
//! | 20 multirange | u32 ranges, then ranges as fields |
//! | 21 hardware address | length, bytes |
//! | 22 large value | its tag, u64 length, keyed BLAKE3 of its bytes: in place of a text, json or bytes payload above 8 MiB |
//! | ff opaque | length, type's name, length, bytes: comparable within one engine's major version |
//!
//! The row digest is BLAKE3 keyed with `HashKey.derive("attestore row v1")` over the row; the key hash is BLAKE3 keyed with
//! `HashKey.derive("attestore key v1")` over the row made of the primary key's fields alone. Without a primary key, the key hash is
//! the row digest.

use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::tag;

/// The encoding's name in manifests; `ROWS.md` is its specification.
pub const ENCODING: &str = "attestore/rows/v1";
/// The same by logical types (`logical`).
pub const LOGICAL_ENCODING: &str = "attestore/rows-logical/v1";
/// A text, json or bytes payload above this is replaced by its digest.
pub const LARGE_BYTES: usize = 8 << 20;

/// Room for a row that is kept for the next one.
const ROOM: usize = 1 << 20;

/// One row while it is built and read; reused from row to row.
#[derive(Clone)]
pub struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    large: [u8; 32],
    /// Bytes of large values, of which only the digest is here.
    beyond: u64,
    depth: u32,
}

impl Row {
    /// An empty row; `keys` give large values their nested digest.
    pub fn new(keys: &RowKeys) -> Self {
        Self { bytes: Vec::with_capacity(512), ends: Vec::new(), large: keys.of_large_values(), beyond: 0, depth: 0 }
    }

    /// A row that holds nothing and is not written to but from another row.
    pub fn empty() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), large: [0; 32], beyond: 0, depth: 0 }
    }

    /// Starts a new row of `columns` fields.
    #[inline]
    pub fn begin(&mut self, columns: usize) {
        self.bytes.clear();
        self.ends.clear();
        (self.beyond, self.depth) = (0, 0);
        self.bytes.extend_from_slice(&(columns as u32).to_be_bytes());
    }

    /// The whole row.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were hashed for it: its own, and those of its large values.
    pub fn hashed_bytes(&self) -> u64 {
        self.bytes.len() as u64 + self.beyond
    }

    /// How many fields have been written.
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True before the first field.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One field with its tag; empty where there is no such field.
    #[inline]
    pub fn field(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 4 } else { self.ends.get(index - 1).copied().unwrap_or(self.bytes.len()) };
        let end = self.ends.get(index).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Appends the row that is made of the fields at `key` (indexes, ascending) alone.
    #[inline]
    pub fn put_key(&self, key: &[usize], to: &mut Vec<u8>) {
        to.extend_from_slice(&(key.len() as u32).to_be_bytes());
        key.iter().for_each(|index| to.extend_from_slice(self.field(*index)));
    }

    /// The row that is made of the fields at `key` alone, in `room`.
    pub fn key_in<'a>(&self, key: &[usize], room: &'a mut Vec<u8>) -> &'a [u8] {
        room.clear();
        self.put_key(key, room);
        room
    }

    /// Fields until the matching [`Row::leave`] are parts of one field: an array's, a composite's, a range's.
    pub fn enter(&mut self) {
        self.depth += 1;
    }

    /// Ends what [`Row::enter`] began.
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        let start = self.ends.last().copied().unwrap_or(4);
        match self.bytes.get(start..).and_then(<[u8]>::split_first) {
            Some((&tag, payload)) if self.depth == 0 && payload.len() > LARGE_BYTES => {
                let (digest, length) = (*blake3::keyed_hash(&self.large, payload).as_bytes(), payload.len() as u64);
                self.bytes.truncate(start);
                self.bytes.shrink_to(ROOM);
                self.large(tag, length, &digest);
            }
            _ => self.end(),
        }
    }

    #[inline]
    fn end(&mut self) {
        if self.depth == 0 {
            self.ends.push(self.bytes.len());
        }
    }

    #[inline]
    fn fixed(&mut self, tag: u8, payload: &[&[u8]]) {
        self.bytes.push(tag);
        payload.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.end();
    }

    /// A tag and eight bytes.
    #[inline]
    fn eight(&mut self, tag: u8, payload: [u8; 8]) {
        let mut field = [tag; 9];
        field[1..].copy_from_slice(&payload);
        self.bytes.extend_from_slice(&field);
        self.end();
    }

    #[inline]
    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        let mut head = [tag; 9];
        head[1..].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(bytes);
        self.end();
    }

    #[inline]
    fn length_and(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    fn maybe_large(&mut self, tag: u8, bytes: &[u8]) {
        if bytes.len() <= LARGE_BYTES {
            return self.sized(tag, bytes);
        }
        let digest = *blake3::keyed_hash(&self.large, bytes).as_bytes();
        self.large(tag, bytes.len() as u64, &digest);
    }

    /// A payload of more than [`LARGE_BYTES`] that would stand under `tag`, by its length and its digest (`large_value`).
    pub fn large(&mut self, tag: u8, length: u64, digest: &[u8; 32]) {
        self.beyond = self.beyond.saturating_add(length);
        self.fixed(tag::LARGE, &[&[tag], &length.to_be_bytes(), digest]);
    }

    /// Digests a payload that is large, with the key for these.
    pub fn large_hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.large)
    }

    /// The same of a value of a type that has no rule: the type's name comes first, with its length.
    pub fn large_hasher_of(&self, type_name: &str) -> blake3::Hasher {
        let mut hasher = self.large_hasher();
        hasher.update(&(type_name.len() as u64).to_be_bytes()).update(type_name.as_bytes());
        hasher
    }

    /// NULL.
    #[inline]
    pub fn null(&mut self) {
        self.fixed(tag::NULL, &[]);
    }

    /// A signed integer.
    #[inline]
    pub fn signed(&mut self, value: i64) {
        self.integer(value < 0, value.unsigned_abs());
    }

    /// An unsigned integer.
    #[inline]
    pub fn unsigned(&mut self, value: u64) {
        self.integer(false, value);
    }

    /// An integer by sign and magnitude; zero has no sign.
    #[inline]
    pub fn integer(&mut self, negative: bool, magnitude: u64) {
        let mut field = [tag::INTEGER; 10];
        field[1] = u8::from(negative && magnitude > 0);
        field[2..].copy_from_slice(&magnitude.to_be_bytes());
        self.bytes.extend_from_slice(&field);
        self.end();
    }

    /// A whole field as it stands in another row.
    #[inline]
    pub fn as_is(&mut self, field: &[u8]) {
        self.bytes.extend_from_slice(field);
        self.end();
    }

    /// Becomes another row in another order: its field number n is the one at `places[n]` there.
    pub fn rearranged(&mut self, from: &Row, places: &[usize]) {
        self.begin(places.len());
        places.iter().for_each(|place| self.as_is(from.field(*place)));
        self.beyond = from.beyond;
    }

    /// A decimal: `digits` are ASCII digits of |value| × 10^scale; leading zeros are dropped, and zero has no sign.
    #[inline]
    pub fn decimal(&mut self, negative: bool, scale: i32, digits: &[u8]) {
        let digits = &digits[digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len())..];
        let mut head = [tag::DECIMAL; 14];
        head[1] = u8::from(negative && !digits.is_empty());
        head[2..6].copy_from_slice(&scale.to_be_bytes());
        head[6..].copy_from_slice(&(digits.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(digits);
        self.end();
    }

    /// One of the tags that stand alone: the decimals' NaN and infinities.
    pub fn bare(&mut self, tag: u8) {
        self.fixed(tag, &[]);
    }

    /// A 32-bit float.
    #[inline]
    pub fn f32(&mut self, value: f32) {
        let bits = if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() };
        self.fixed(tag::F32, &[&bits.to_be_bytes()]);
    }

    /// A 64-bit float.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
        self.eight(tag::F64, bits.to_be_bytes());
    }

    /// Text as stored; bytes that are not UTF-8 get a tag of their own.
    #[inline]
    pub fn text(&mut self, bytes: &[u8]) {
        let tag = if std::str::from_utf8(bytes).is_ok() { tag::TEXT } else { tag::TEXT_INVALID };
        self.maybe_large(tag, bytes);
    }

    /// Bytes.
    #[inline]
    pub fn blob(&mut self, bytes: &[u8]) {
        self.maybe_large(tag::BYTES, bytes);
    }

    /// Bytes under `JSON`, `JSONB` or, whatever they are in another encoding, `TEXT_INVALID`.
    #[inline]
    pub fn bytes_as(&mut self, tag: u8, bytes: &[u8]) {
        self.maybe_large(tag, bytes);
    }

    /// SRID and WKB.
    pub fn geometry(&mut self, bytes: &[u8]) {
        self.maybe_large(tag::GEOMETRY, bytes);
    }

    /// A payload with its length under `tag`: enum, set, network, hardware address.
    pub fn labelled(&mut self, tag: u8, bytes: &[u8]) {
        self.sized(tag, bytes);
    }

    /// Days since 1970-01-01.
    #[inline]
    pub fn date(&mut self, days: i64) {
        self.eight(tag::DATE, days.to_be_bytes());
    }

    /// Microseconds under `DATETIME`, `INSTANT` or `TIME`.
    #[inline]
    pub fn micros(&mut self, tag: u8, micros: i64) {
        self.eight(tag, micros.to_be_bytes());
    }

    /// ±infinity of a date, datetime or instant.
    pub fn infinity(&mut self, of: u8, positive: bool) {
        self.fixed(if positive { tag::PLUS_INFINITY } else { tag::MINUS_INFINITY }, &[&[of]]);
    }

    /// A date that no calendar has (MySQL's zero and partial dates).
    pub fn partial_date(&mut self, of: u8, year: u16, month: u8, day: u8, micros: i64) {
        self.fixed(tag::PARTIAL_DATE, &[&[of], &year.to_be_bytes(), &[month, day], &micros.to_be_bytes()]);
    }

    /// A time of day with its zone.
    pub fn time_zoned(&mut self, micros: i64, west: i32) {
        self.fixed(tag::TIME_ZONED, &[&micros.to_be_bytes(), &west.to_be_bytes()]);
    }

    /// An interval of three parts that do not convert into each other.
    pub fn interval(&mut self, months: i32, days: i32, micros: i64) {
        self.fixed(tag::INTERVAL, &[&months.to_be_bytes(), &days.to_be_bytes(), &micros.to_be_bytes()]);
    }

    /// A bit string of `bits` bits.
    pub fn bits(&mut self, bits: u64, bytes: &[u8]) {
        self.bytes.push(tag::BITS);
        self.bytes.extend_from_slice(&bits.to_be_bytes());
        self.length_and(bytes);
        self.end();
    }

    /// A UUID.
    pub fn uuid(&mut self, bytes: &[u8; 16]) {
        self.fixed(tag::UUID, &[bytes]);
    }

    /// A boolean.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.fixed(tag::BOOLEAN, &[&[u8::from(value)]]);
    }

    /// The head of a nested field: `tag` and whatever precedes its elements. Call [`Row::enter`] first.
    pub fn nested(&mut self, tag: u8, head: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(head);
    }

    /// A value of a type that has no rule.
    pub fn opaque(&mut self, type_name: &str, bytes: &[u8]) {
        if bytes.len() > LARGE_BYTES {
            let mut hasher = self.large_hasher_of(type_name);
            let digest = *hasher.update(bytes).finalize().as_bytes();
            return self.large(tag::OPAQUE, bytes.len() as u64, &digest);
        }
        self.bytes.push(tag::OPAQUE);
        self.length_and(type_name.as_bytes());
        self.length_and(bytes);
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use proptest::prelude::*;

    fn keys() -> RowKeys {
        RowKeys::new(&HashKey::from_bytes([7; 32]))
    }

    /// A value as a test thinks of it; two values that differ here must differ in bytes.
    #[derive(Clone, PartialEq, Debug)]
    enum Value {
        Null,
        Signed(i64),
        Unsigned(u64),
        Text(String),
        Blob(Vec<u8>),
        Double(u64),
        Array(Vec<Value>),
    }

    fn put(value: &Value, row: &mut Row) {
        match value {
            Value::Null => row.null(),
            Value::Signed(n) => row.signed(*n),
            Value::Unsigned(n) => row.unsigned(*n),
            Value::Text(text) => row.text(text.as_bytes()),
            Value::Blob(bytes) => row.blob(bytes),
            Value::Double(bits) => row.f64(f64::from_bits(*bits)),
            Value::Array(values) => {
                row.enter();
                row.nested(tag::ARRAY, &(values.len() as u32).to_be_bytes());
                values.iter().for_each(|value| put(value, row));
                row.leave();
            }
        }
    }

    fn encoded(values: &[Value]) -> Row {
        let mut row = Row::new(&keys());
        row.begin(values.len());
        values.iter().for_each(|value| put(value, &mut row));
        row
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_filter("counted as unsigned", |n| *n < 0).prop_map(Value::Signed),
            any::<u64>().prop_map(Value::Unsigned),
            "[a-c0 ]{0,4}".prop_map(Value::Text),
            prop::collection::vec(0u8..3, 0..4).prop_map(Value::Blob),
            any::<u64>().prop_filter("every NaN is one", |bits| !f64::from_bits(*bits).is_nan()).prop_map(Value::Double),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::Array))
    }

    proptest! {
        #[test]
        fn rows_are_equal_exactly_where_their_bytes_are(a in prop::collection::vec(value(), 0..4), b in prop::collection::vec(value(), 0..4)) {
            prop_assert_eq!(a == b, encoded(&a).bytes() == encoded(&b).bytes());
        }

        #[test]
        fn fields_make_up_the_row(values in prop::collection::vec(value(), 0..5)) {
            let row = encoded(&values);
            prop_assert_eq!(row.len(), values.len());
            let joined: Vec<u8> = (0..row.len()).flat_map(|index| row.field(index).to_vec()).collect();
            prop_assert_eq!(&row.bytes()[4..], &joined[..]);
        }
    }

    #[test]
    fn vectors() {
        let row = encoded(&[Value::Signed(-2), Value::Null, Value::Text("ab".into())]);
        assert_eq!(hex::encode(row.bytes()), "000000030101000000000000000200080000000000000002".to_owned() + "6162");
        assert_eq!(row.field(1), [tag::NULL]);
        let nan = |bits| encoded(&[Value::Double(bits)]).bytes().to_vec();
        assert_eq!(nan(0x7ff8_0000_0000_0001), nan(0xfff0_0000_0000_0001));
        assert_ne!(nan((-0.0f64).to_bits()), nan(0));
    }
}
