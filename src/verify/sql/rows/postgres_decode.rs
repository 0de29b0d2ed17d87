//! PostgreSQL's binary formats into canonical fields.
//!
//! Formats: the `*send` functions of PostgreSQL's `utils/adt`. Pure: bytes in,
//! fields out, and nothing that foreign bytes say is believed before it is checked.

use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::large_value::Payload;
use crate::verify::sql::rows::tag;

/// Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * 86_400_000_000;
/// The first byte of a jsonb (`jsonb_send`).
const JSONB_VERSION: u8 = 1;
/// PostgreSQL's own limit on array dimensions is 6; types nest a little.
const MAX_DEPTH: u32 = 32;

/// A type as far as its binary format goes. A domain is its base type.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum PgType {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    Enum,
    Bit,
    Uuid,
    Network,
    Hardware,
    Geometry,
    Array(Box<PgType>),
    Composite(Vec<PgType>),
    Range(Box<PgType>),
    Multirange(Box<PgType>),
    Opaque(String),
    /// The text that the server prints of a type's values.
    Printed(Printed),
}

/// A type whose values are asked for as text: the server has no binary form of it, or one that says nothing in another database, as the
/// number of a table there does not.
#[derive(Clone, PartialEq, Debug)]
pub struct Printed {
    /// The type, as manifests name it.
    pub name: String,
    /// What the value is cast to, one after the other, before it is text.
    pub casts: String,
}

impl PgType {
    /// A base type by its name in `pg_catalog`, or of an extension whose format is known.
    pub fn base(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "oid" => Self::Oid,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "numeric" => Self::Numeric,
            "text" | "varchar" | "bpchar" | "name" | "char" | "citext" | "xml" => Self::Text,
            "bytea" => Self::Bytes,
            "date" => Self::Date,
            "time" => Self::Time,
            "timetz" => Self::TimeTz,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            "interval" => Self::Interval,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "bit" | "varbit" => Self::Bit,
            "uuid" => Self::Uuid,
            "inet" | "cidr" => Self::Network,
            "macaddr" | "macaddr8" => Self::Hardware,
            "geometry" | "geography" => Self::Geometry,
            other => Self::Opaque(other.to_owned()),
        }
    }

    /// Adds the names of opaque types in here to `names`.
    pub fn opaque_names(&self, names: &mut Vec<String>) {
        match self {
            Self::Opaque(name) | Self::Printed(Printed { name, .. }) => names.push(name.clone()),
            Self::Array(inner) | Self::Range(inner) | Self::Multirange(inner) => inner.opaque_names(names),
            Self::Composite(columns) => columns.iter().for_each(|column| column.opaque_names(names)),
            _ => {}
        }
    }
}

/// What a large value of this type is taken piece by piece as, and the byte that stands before its payload; nothing for what must be read
/// as a whole.
pub fn in_pieces(kind: &PgType) -> Option<(Payload<'_>, Option<u8>)> {
    match kind {
        PgType::Text => Some((Payload::Text, None)),
        PgType::Bytes => Some((Payload::Tagged(tag::BYTES), None)),
        PgType::Json => Some((Payload::Tagged(tag::JSON), None)),
        PgType::Jsonb => Some((Payload::Tagged(tag::JSONB), Some(JSONB_VERSION))),
        PgType::Geometry => Some((Payload::Tagged(tag::GEOMETRY), None)),
        PgType::Opaque(name) | PgType::Printed(Printed { name, .. }) => Some((Payload::Opaque(name), None)),
        _ => None,
    }
}

/// Writes one value.
pub fn field(kind: &PgType, value: Option<&[u8]>, row: &mut Row) -> Result<(), String> {
    value_at(kind, value, row, 0)
}

fn value_at(kind: &PgType, value: Option<&[u8]>, row: &mut Row, depth: u32) -> Result<(), String> {
    let Some(bytes) = value else {
        row.null();
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH}"));
    }
    match kind {
        PgType::Bool => row.boolean(fixed::<1>(bytes, "bool")?[0] != 0),
        PgType::Int2 => row.signed(i16::from_be_bytes(fixed(bytes, "int2")?).into()),
        PgType::Int4 => row.signed(i32::from_be_bytes(fixed(bytes, "int4")?).into()),
        PgType::Int8 => row.signed(i64::from_be_bytes(fixed(bytes, "int8")?)),
        PgType::Oid => row.unsigned(u32::from_be_bytes(fixed(bytes, "oid")?).into()),
        PgType::Float4 => row.f32(f32::from_be_bytes(fixed(bytes, "float4")?)),
        PgType::Float8 => row.f64(f64::from_be_bytes(fixed(bytes, "float8")?)),
        PgType::Numeric => numeric(bytes, row)?,
        PgType::Text => row.text(bytes),
        PgType::Bytes => row.blob(bytes),
        PgType::Date => date(i32::from_be_bytes(fixed(bytes, "date")?), row),
        PgType::Time => row.micros(tag::TIME, i64::from_be_bytes(fixed(bytes, "time")?)),
        PgType::Timestamp => instant(tag::DATETIME, i64::from_be_bytes(fixed(bytes, "timestamp")?), row),
        PgType::TimestampTz => instant(tag::INSTANT, i64::from_be_bytes(fixed(bytes, "timestamptz")?), row),
        PgType::TimeTz => {
            let mut input = Input::exact(bytes, 12, "timetz")?;
            row.time_zoned(input.i64()?, input.i32()?);
        }
        PgType::Interval => {
            let mut input = Input::exact(bytes, 16, "interval")?;
            let (micros, days, months) = (input.i64()?, input.i32()?, input.i32()?);
            row.interval(months, days, micros);
        }
        PgType::Json => row.bytes_as(tag::JSON, bytes),
        PgType::Jsonb => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => row.bytes_as(tag::JSONB, text),
            _ => return Err("jsonb of an unknown version".into()),
        },
        PgType::Enum => row.labelled(tag::ENUM, bytes),
        PgType::Bit => {
            let mut input = Input(bytes);
            let bits = u64::try_from(input.i32()?).map_err(|_| "bit string of a negative length")?;
            if input.0.len() as u64 != bits.div_ceil(8) {
                return Err(format!("bit string of {bits} bits in {} bytes", input.0.len()));
            }
            row.bits(bits, input.0);
        }
        PgType::Uuid => row.uuid(&fixed(bytes, "uuid")?),
        PgType::Network => row.labelled(tag::NETWORK, bytes),
        PgType::Hardware => row.labelled(tag::HARDWARE, bytes),
        PgType::Geometry => row.geometry(bytes),
        PgType::Array(inner) => array(inner, bytes, row, depth)?,
        PgType::Composite(columns) => composite(columns, bytes, row, depth)?,
        PgType::Range(inner) => range(inner, bytes, row, depth)?,
        PgType::Multirange(inner) => multirange(inner, bytes, row, depth)?,
        PgType::Opaque(name) | PgType::Printed(Printed { name, .. }) => row.opaque(name, bytes),
    }
    Ok(())
}

/// `numeric_send`: digits of base 10,000, weight, sign, display scale.
fn numeric(bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let mut input = Input(bytes);
    let (count, weight, sign, scale) = (input.u16()?, i32::from(input.i16()?), input.u16()?, input.u16()?);
    let special = match sign {
        0x0000 | 0x4000 => None,
        0xc000 => Some(tag::DECIMAL_NAN),
        0xd000 => Some(tag::DECIMAL_PLUS_INFINITY),
        0xf000 => Some(tag::DECIMAL_MINUS_INFINITY),
        other => return Err(format!("numeric with sign {other:#06x}")),
    };
    if let Some(special) = special {
        row.bare(special);
        return Ok(());
    }
    let negative = sign == 0x4000;
    let (groups, surplus) = input.0.as_chunks::<2>();
    if groups.len() != usize::from(count) || !surplus.is_empty() || groups.iter().any(|group| u16::from_be_bytes(*group) > 9_999) {
        return Err("numeric with too few or surplus bytes or a digit above 9999".into());
    }
    let group = |index: i32| {
        let group = usize::try_from(index).ok().and_then(|index| groups.get(index));
        group.map_or(0, |group| u16::from_be_bytes(*group))
    };
    let fraction_groups = i32::from(scale.div_ceil(4));
    let whole = usize::try_from(weight + 1).unwrap_or(0) * 4;
    let (shown, room) = (whole + usize::from(scale), whole + usize::from(scale.div_ceil(4)) * 4);
    // Few numbers have more digits than this.
    let (mut small, mut large) = ([0; 96], Vec::new());
    let digits = match small.get_mut(..room) {
        Some(digits) => digits,
        None => {
            large.resize(room, 0);
            &mut large[..]
        }
    };
    // Groups before the first are zeros of a small fraction, those after the last of a round number.
    for (digits, index) in digits.chunks_exact_mut(4).zip((weight + 1).min(0)..) {
        let group = group(index);
        digits.copy_from_slice(&[group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| b'0' + digit as u8));
    }
    let (digits, beyond) = digits.split_at(shown);
    let unseen = usize::try_from(weight + 1 + fraction_groups).unwrap_or(0);
    if beyond.iter().any(|digit| *digit != b'0') || groups.iter().skip(unseen).any(|group| *group != [0, 0]) {
        return Err("numeric with digits beyond its scale".into());
    }
    row.decimal(negative, i32::from(scale), digits);
    Ok(())
}

#[inline]
fn date(days: i32, row: &mut Row) {
    match days {
        i32::MAX => row.infinity(tag::DATE, true),
        i32::MIN => row.infinity(tag::DATE, false),
        days => row.date(i64::from(days) + EPOCH_DAYS),
    }
}

/// The last 30 years of PostgreSQL's range, from 294247-01-10T04:00:54.775808 on, do not fit beside an epoch of 1970: the sum is taken modulo
/// 2^64, which stays one to one, since the earliest stamp that PostgreSQL has is of 4714 BC.
#[inline]
fn instant(of: u8, micros: i64, row: &mut Row) {
    match micros {
        i64::MAX => row.infinity(of, true),
        i64::MIN => row.infinity(of, false),
        micros => row.micros(of, micros.wrapping_add(EPOCH_MICROS)),
    }
}

/// `array_send`
fn array(inner: &PgType, bytes: &[u8], row: &mut Row, depth: u32) -> Result<(), String> {
    let mut input = Input(bytes);
    let dimensions = u32::try_from(input.i32()?).ok().filter(|n| *n <= MAX_DEPTH).ok_or("array with too many dimensions")?;
    let (_has_null, _element_type) = (input.i32()?, input.i32()?);
    let mut head = dimensions.to_be_bytes().to_vec();
    let mut elements = u64::from(dimensions > 0);
    for _ in 0..dimensions {
        let (length, lower) = (input.i32()?, input.i32()?);
        elements = elements.saturating_mul(u64::try_from(length).map_err(|_| "array of a negative length")?);
        head.extend_from_slice(&length.to_be_bytes());
        head.extend_from_slice(&lower.to_be_bytes());
    }
    row.enter();
    row.nested(tag::ARRAY, &head);
    for _ in 0..elements {
        let element = input.value()?;
        value_at(inner, element, row, depth + 1)?;
    }
    row.leave();
    input.end("array")
}

/// `record_send`
fn composite(columns: &[PgType], bytes: &[u8], row: &mut Row, depth: u32) -> Result<(), String> {
    let mut input = Input(bytes);
    let count = input.i32()?;
    if usize::try_from(count) != Ok(columns.len()) {
        return Err(format!("composite of {count} columns, expected {}", columns.len()));
    }
    row.enter();
    row.nested(tag::COMPOSITE, &(columns.len() as u32).to_be_bytes());
    for column in columns {
        let _type = input.i32()?;
        let value = input.value()?;
        value_at(column, value, row, depth + 1)?;
    }
    row.leave();
    input.end("composite")
}

/// `range_send`: flags of `utils/rangetypes.h`, then the bounds that there are.
fn range(inner: &PgType, bytes: &[u8], row: &mut Row, depth: u32) -> Result<(), String> {
    const EMPTY: u8 = 0x01;
    const LOWER_ABSENT: u8 = 0x08 | 0x20;
    const UPPER_ABSENT: u8 = 0x10 | 0x40;
    let mut input = Input(bytes);
    let flags = input.take(1)?[0];
    row.enter();
    row.nested(tag::RANGE, &[flags]);
    for absent in [LOWER_ABSENT, UPPER_ABSENT] {
        let bound = if flags & (absent | EMPTY) == 0 { input.value()? } else { None };
        value_at(inner, bound, row, depth + 1)?;
    }
    row.leave();
    input.end("range")
}

/// `multirange_send`
fn multirange(inner: &PgType, bytes: &[u8], row: &mut Row, depth: u32) -> Result<(), String> {
    let mut input = Input(bytes);
    let count = u32::try_from(input.i32()?).map_err(|_| "multirange of a negative length")?;
    row.enter();
    row.nested(tag::MULTIRANGE, &count.to_be_bytes());
    for _ in 0..count {
        let part = input.value()?.ok_or("multirange with NULL in it")?;
        range(inner, part, row, depth + 1)?;
    }
    row.leave();
    input.end("multirange")
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("{name}: expected {N} bytes, found {}", bytes.len()))
}

/// Bytes that are read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn exact(bytes: &'a [u8], length: usize, name: &str) -> Result<Self, String> {
        if bytes.len() == length { Ok(Self(bytes)) } else { Err(format!("{name}: expected {length} bytes, found {}", bytes.len())) }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.0.split_at_checked(n).ok_or("value ends too early")?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N).map(|bytes| bytes.try_into().expect("N bytes were taken"))
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, String> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, String> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, String> {
        self.array().map(i64::from_be_bytes)
    }

    /// A value with its length before it; −1 is NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, String> {
        match self.i32()? {
            -1 => Ok(None),
            n => self.take(usize::try_from(n).map_err(|_| "value of a negative length")?).map(Some),
        }
    }

    fn end(&self, name: &str) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{name} with {} surplus bytes", self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::display;
    use crate::verify::sql::rows::row_keys::RowKeys;
    use proptest::prelude::*;

    fn row() -> Row {
        Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])))
    }

    fn shown(kind: &PgType, bytes: &[u8]) -> Result<String, String> {
        let mut row = row();
        row.begin(1);
        field(kind, Some(bytes), &mut row)?;
        assert_eq!(row.len(), 1, "one value is one field");
        Ok(display::field(row.field(0)))
    }

    fn numeric_bytes(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
        let mut bytes = (groups.len() as u16).to_be_bytes().to_vec();
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        groups.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
        bytes
    }

    #[test]
    fn numerics_keep_their_digits_and_scale() {
        for (weight, sign, scale, groups, expected) in [
            (0, 0, 2, &[1u16, 5000][..], "1.50"),
            (1, 0x4000, 0, &[12, 34], "-120034"),
            (1, 0, 0, &[1], "10000"),
            (-1, 0, 4, &[1], "0.0001"),
            (-3, 0, 10, &[12], "0.0000000000"),
            (0, 0, 3, &[], "0.000"),
        ] {
            let found = shown(&PgType::Numeric, &numeric_bytes(weight, sign, scale, groups));
            if expected == "0.0000000000" {
                assert!(found.is_err(), "digits beyond the scale are not dropped in silence");
            } else {
                assert_eq!(found.as_deref(), Ok(expected));
            }
        }
        assert!(shown(&PgType::Numeric, &numeric_bytes(0, 0, 0, &[10_000])).is_err());
    }

    fn kinds() -> impl Strategy<Value = PgType> {
        let names = [
            "bool",
            "int4",
            "int8",
            "oid",
            "float4",
            "numeric",
            "text",
            "bytea",
            "date",
            "timetz",
            "timestamptz",
            "interval",
            "jsonb",
            "varbit",
            "uuid",
            "inet",
            "point",
        ];
        let leaf = prop::sample::select(names.to_vec()).prop_map(PgType::base);
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|kind| PgType::Array(Box::new(kind))),
                inner.clone().prop_map(|kind| PgType::Range(Box::new(kind))),
                inner.clone().prop_map(|kind| PgType::Multirange(Box::new(kind))),
                prop::collection::vec(inner, 0..3).prop_map(PgType::Composite),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(kind in kinds(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = shown(&kind, &bytes);
        }
    }
}
