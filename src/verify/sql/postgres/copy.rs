//! `COPY … TO STDOUT (FORMAT binary)` (PostgreSQL documentation, COPY, "Binary Format") into rows, as it arrives.
//!
//! Rows that are whole where they lie are decoded there. Of a row that arrives in pieces each value is put together alone; a large text,
//! json, bytea, geometry or value without a rule is not put together at all (`rows::large_value`), so that it may be of any size. What must be
//! read as a whole to be understood (arrays, composites, ranges, bit strings) is held while it is read, up to a limit.
//!
//! Not here: headers and lengths (`copy_format`), what values mean (`rows::postgres_decode`), where the bytes come from (`rows`).

use crate::verify::sql::postgres::copy_format::{HEADER, extension, first_value, length_of};
use crate::verify::sql::postgres::field_order::{ArrivingColumn, FieldOrder, KEPT, RowSink, decoded};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::large_value::{LargeValue, Payload};
use crate::verify::sql::rows::postgres_decode;

/// The longest value that is held: with its canonical form it takes some three times as much, and each lane may have one.
pub const MOST_HELD: usize = 64 << 20;

/// What has to come next.
enum Part<'a> {
    Header,
    Extension(usize),
    /// The number of a row's fields, or the trailer.
    Count,
    /// The length of a field.
    Length,
    /// A field of so many bytes.
    Value(usize),
    /// The byte before the payload of a large one, and the payload's length.
    Version(u8, Payload<'a>, usize),
    /// So many bytes of a large one.
    Large(Box<LargeValue>, usize),
    /// Nothing: the trailer was seen.
    End,
}

/// The rows of one copy.
pub struct CopyRows<'a> {
    /// As they arrive.
    columns: Vec<ArrivingColumn<'a>>,
    /// Where they arrive in another order than a row has them.
    order: Option<FieldOrder>,
    part: Part<'a>,
    /// Whether a value was too long to be held.
    is_beyond: bool,
    /// What has arrived of the part, where it has arrived in pieces.
    held: Vec<u8>,
    /// The field that is under way.
    at: usize,
    rows: u64,
}

impl<'a> CopyRows<'a> {
    /// Of a copy of these columns of which nothing has arrived; their names are for errors.
    pub fn new(columns: Vec<ArrivingColumn<'a>>) -> Self {
        Self { columns, order: None, part: Part::Header, is_beyond: false, held: Vec::new(), at: 0, rows: 0 }
    }

    /// The same where a row's first field is the one that arrives at the first of these places, and so on.
    #[must_use]
    pub fn in_order(mut self, places: Vec<usize>) -> Self {
        self.order = FieldOrder::of(places);
        self
    }

    /// True where an error is that of a value which is too long to be held, and no fault of what arrived.
    pub fn is_beyond(&self) -> bool {
        self.is_beyond
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// True where no row is under way; elsewhere the next call must be given the same `row`.
    #[inline]
    pub fn is_between(&self) -> bool {
        matches!(self.part, Part::Count | Part::End)
    }

    /// Takes bytes that most likely end with a row; false when `each` has had enough.
    #[inline]
    pub fn whole(&mut self, mut bytes: &[u8], row: &mut Row, each: RowSink<'_>) -> Result<bool, String> {
        if !matches!(self.part, Part::Count) || !self.held.is_empty() {
            return self.piece(bytes, row, each);
        }
        while let Some((count, fields)) = bytes.split_first_chunk::<2>() {
            let count = i16::from_be_bytes(*count);
            if count == -1 {
                break;
            }
            self.check(count)?;
            let Some(rest) = self.in_place(fields, row)? else { break };
            bytes = rest;
            self.rows += 1;
            if !each(row) {
                return Ok(false);
            }
        }
        if bytes.is_empty() { Ok(true) } else { self.piece(bytes, row, each) }
    }

    /// Decodes a row whose fields begin here and gives what follows it; nothing where it is not whole.
    #[inline]
    fn in_place<'b>(&mut self, mut bytes: &'b [u8], row: &mut Row) -> Result<Option<&'b [u8]>, String> {
        row.begin(self.columns.len());
        if let Some(order) = &mut self.order {
            return order.in_place(&self.columns, bytes, row);
        }
        for column in &self.columns {
            let Some((value, rest)) = first_value(bytes)? else { return Ok(None) };
            decoded(column, value, row)?;
            bytes = rest;
        }
        Ok(Some(bytes))
    }

    #[inline]
    fn check(&self, count: i16) -> Result<(), String> {
        if usize::try_from(count) == Ok(self.columns.len()) {
            return Ok(());
        }
        Err(format!("row of {count} columns, expected {}", self.columns.len()))
    }

    /// Takes the next bytes, wherever they are cut; false when `each` has had enough.
    pub fn piece(&mut self, mut bytes: &[u8], row: &mut Row, each: RowSink<'_>) -> Result<bool, String> {
        loop {
            if let Part::Large(value, left) = &mut self.part {
                let (piece, rest) = bytes.split_at((*left).min(bytes.len()));
                value.piece(piece);
                (*left, bytes) = (*left - piece.len(), rest);
                if *left > 0 {
                    return Ok(true);
                }
                if !self.end_large(row, each)? {
                    return Ok(false);
                }
                continue;
            }
            let wanted = match &self.part {
                Part::Header => HEADER,
                Part::Extension(length) | Part::Value(length) => *length,
                Part::Count => 2,
                Part::Length => 4,
                Part::Version(..) => 1,
                Part::Large(..) => 0,
                Part::End if bytes.is_empty() => return Ok(true),
                Part::End => return Err("bytes after the end of the stream".into()),
            };
            let (taken, rest) = bytes.split_at((wanted - self.held.len()).min(bytes.len()));
            self.held.extend_from_slice(taken);
            bytes = rest;
            if self.held.len() < wanted {
                return Ok(true);
            }
            let held = std::mem::take(&mut self.held);
            let go_on = self.ended(&held, row, each)?;
            self.held = held;
            self.held.clear();
            if self.held.capacity() > KEPT {
                self.held = Vec::new();
            }
            if !go_on {
                return Ok(false);
            }
            if let Part::Value(length) = self.part {
                self.held.try_reserve_exact(length).map_err(|_| format!("no room for a value of {length} bytes"))?;
            }
        }
    }

    /// The part at hand is whole.
    fn ended(&mut self, held: &[u8], row: &mut Row, each: RowSink<'_>) -> Result<bool, String> {
        match std::mem::replace(&mut self.part, Part::Count) {
            Part::Header => self.part = Part::Extension(extension(held)?),
            Part::Extension(_) => {}
            Part::Count => match held.first_chunk::<2>().map(|count| i16::from_be_bytes(*count)) {
                Some(-1) => self.part = Part::End,
                count => {
                    self.check(count.unwrap_or_default())?;
                    row.begin(self.columns.len());
                    self.at = 0;
                    return self.next_field(row, each);
                }
            },
            Part::Length => return self.begin_value(held, row, each),
            Part::Value(_) => {
                self.decode(Some(held), row)?;
                self.at += 1;
                return self.next_field(row, each);
            }
            Part::Version(expected, payload, length) => {
                if held != [expected] {
                    let name = self.name();
                    return Err(format!("column {name}: a value of an unknown version"));
                }
                self.part = Part::Large(Box::new(LargeValue::new(row, payload)), length);
            }
            Part::Large(..) | Part::End => {}
        }
        Ok(true)
    }

    fn begin_value(&mut self, held: &[u8], row: &mut Row, each: RowSink<'_>) -> Result<bool, String> {
        let length = length_of(held.first_chunk::<4>().copied().unwrap_or_default())?;
        let Some(length) = length else {
            self.decode(None, row)?;
            self.at += 1;
            return self.next_field(row, each);
        };
        let pieces = self.columns.get(self.at).copied().and_then(|(kind, _)| postgres_decode::in_pieces(kind));
        self.part = match pieces {
            Some((payload, None)) if LargeValue::is_large(length as u64) => Part::Large(Box::new(LargeValue::new(row, payload)), length),
            Some((payload, Some(version))) if LargeValue::is_large(length as u64 - u64::from(length > 0)) => {
                Part::Version(version, payload, length - 1)
            }
            _ if length > MOST_HELD => {
                self.is_beyond = true;
                return Err(format!(
                    "column {}: a value of {length} bytes, whose parts are read together; at most {MOST_HELD} bytes are held",
                    self.name()
                ));
            }
            _ => Part::Value(length),
        };
        Ok(true)
    }

    fn end_large(&mut self, row: &mut Row, each: RowSink<'_>) -> Result<bool, String> {
        if let Part::Large(value, _) = std::mem::replace(&mut self.part, Part::Length) {
            value.finish(row).map_err(|said| format!("column {}: {said}", self.name()))?;
        }
        self.at += 1;
        self.next_field(row, each)
    }

    fn decode(&self, value: Option<&[u8]>, row: &mut Row) -> Result<(), String> {
        decoded(self.columns.get(self.at).ok_or("a field too many")?, value, row)
    }

    fn name(&self) -> &'a str {
        self.columns.get(self.at).map_or("", |(_, name)| name)
    }

    fn next_field(&mut self, row: &Row, each: RowSink<'_>) -> Result<bool, String> {
        if self.at < self.columns.len() {
            self.part = Part::Length;
            return Ok(true);
        }
        self.part = Part::Count;
        self.rows += 1;
        Ok(match &mut self.order {
            None => each(row),
            Some(order) => order.with(row, each),
        })
    }

    /// Ends the stream: an error unless the trailer has been seen.
    pub fn finish(&self) -> Result<(), String> {
        if matches!(self.part, Part::End) { Ok(()) } else { Err("the stream ended without its trailer".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::postgres::copy_format::SIGNATURE;
    use crate::verify::sql::rows::canon::LARGE_BYTES;
    use crate::verify::sql::rows::postgres_decode::PgType;
    use crate::verify::sql::rows::row_keys::RowKeys;
    use proptest::prelude::*;

    type Rows = Vec<Vec<Option<Vec<u8>>>>;

    fn blank() -> Row {
        Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])))
    }

    fn stream(rows: &Rows) -> Vec<u8> {
        let mut bytes = [&SIGNATURE[..], &[0; 7], &[3], b"ext"].concat();
        for row in rows {
            bytes.extend((row.len() as i16).to_be_bytes());
            for field in row {
                match field {
                    None => bytes.extend((-1i32).to_be_bytes()),
                    Some(value) => {
                        bytes.extend((value.len() as i32).to_be_bytes());
                        bytes.extend(value);
                    }
                }
            }
        }
        bytes.extend((-1i16).to_be_bytes());
        bytes
    }

    /// Each field alone, as it would be in a row of its own.
    fn plain(kinds: &[PgType], rows: &Rows) -> Vec<Vec<u8>> {
        let one = |fields: &Vec<Option<Vec<u8>>>| {
            let mut row = blank();
            row.begin(kinds.len());
            for (kind, field) in kinds.iter().zip(fields) {
                postgres_decode::field(kind, field.as_deref(), &mut row).unwrap();
            }
            row.bytes().to_vec()
        };
        rows.iter().map(one).collect()
    }

    /// The rows of a stream that arrives in these chunks: each whole, or as a piece of a message.
    fn rows_of(kinds: &[PgType], chunks: &[&[u8]], whole: bool) -> Result<Vec<Vec<u8>>, String> {
        rows_in_order(kinds, Vec::new(), chunks, whole)
    }

    /// The same where the fields of a row arrive at these places.
    fn rows_in_order(kinds: &[PgType], places: Vec<usize>, chunks: &[&[u8]], whole: bool) -> Result<Vec<Vec<u8>>, String> {
        let copy = CopyRows::new(kinds.iter().map(|kind| (kind, "c")).collect());
        let (mut copy, mut row, mut rows) = (copy.in_order(places), blank(), Vec::new());
        for chunk in chunks {
            let mut each = |row: &Row| {
                rows.push(row.bytes().to_vec());
                true
            };
            let on = if whole { copy.whole(chunk, &mut row, &mut each)? } else { copy.piece(chunk, &mut row, &mut each)? };
            assert!(on);
        }
        copy.finish()?;
        assert!(copy.is_between() && copy.rows() == rows.len() as u64);
        Ok(rows)
    }

    const TEXTS: [PgType; 2] = [PgType::Text, PgType::Bytes];

    #[test]
    fn a_stream_cut_anywhere_is_an_error() {
        let whole = stream(&vec![vec![Some(b"ab".to_vec()), None], vec![Some(vec![]), Some(vec![1])]]);
        assert_eq!(rows_of(&TEXTS, &[&whole], true).unwrap().len(), 2);
        for cut in 0..whole.len() {
            assert!(rows_of(&TEXTS, &[&whole[..cut]], true).is_err() && rows_of(&TEXTS, &[&whole[..cut]], false).is_err(), "cut at {cut}");
        }
        assert!(rows_of(&TEXTS, &[&whole, b"x"], true).is_err());
        let head = &whole[..HEADER + 3];
        for (rest, part) in [
            (&[0, 3][..], "row of 3 columns"),
            (&[0xff, 0xfe], "row of -2 columns"),
            (&[0, 2, 0xff, 0xff, 0xff, 0xfe], "field of -2 bytes"),
        ] {
            for whole in [true, false] {
                assert!(rows_of(&TEXTS, &[head, rest], whole).unwrap_err().contains(part), "{part}");
            }
        }
        assert!(rows_of(&[], &[&stream(&vec![vec![], vec![]])], true).unwrap().len() == 2, "rows without columns");
    }

    #[test]
    fn large_values_are_what_they_are_whole_and_are_not_held() {
        let opaque = PgType::Opaque("seg".into());
        let kinds = [PgType::Int2, PgType::Text, PgType::Bytes, PgType::Json, PgType::Jsonb, PgType::Geometry, opaque, PgType::Bit];
        let long: Vec<u8> = "a€𐍈".bytes().cycle().take(LARGE_BYTES + 9).collect();
        let versioned = |text: &[u8]| [&[1], text].concat();
        let bits = [&((LARGE_BYTES as i32 + 9) * 8).to_be_bytes(), &long[..]].concat();
        let large = [&long[..], &long, &long, &versioned(&long), &long, &long, &bits].map(|value| Some(value.to_vec()));
        let exact = &long[..LARGE_BYTES];
        let small = [exact, exact, exact, &versioned(exact), exact, exact, &[0, 0, 0, 0]].map(|value| Some(value.to_vec()));
        let rows: Rows = [large, small].map(|row| [&[Some(vec![0, 7])][..], &row].concat()).to_vec();
        let (expected, whole) = (plain(&kinds, &rows), stream(&rows));
        for size in [250_000, LARGE_BYTES, whole.len()] {
            let chunks: Vec<&[u8]> = whole.chunks(size).collect();
            assert!(rows_of(&kinds, &chunks, false).unwrap() == expected, "chunks of {size}");
        }
        let texts = [PgType::Text, PgType::Jsonb];
        let mut copy = CopyRows::new(texts.iter().map(|kind| (kind, "c")).collect());
        let (mut row, whole) = (blank(), stream(&vec![vec![Some(long.clone()), Some(versioned(&long))]]));
        for chunk in whole.chunks(100_000) {
            copy.piece(chunk, &mut row, &mut |_| true).unwrap();
            assert!(copy.held.capacity() <= HEADER + 8 && row.bytes().len() < 200);
        }
        let refused = stream(&vec![vec![Some(long.clone()), Some(long)]]);
        assert!(rows_of(&texts, &[&refused], false).unwrap_err().contains("version"));
    }

    #[test]
    fn what_is_too_long_to_be_held_is_refused_before_it_is() {
        let array = PgType::Array(Box::new(PgType::Bytes));
        let head = [&SIGNATURE[..], &[0; 8], &[0, 1], &(MOST_HELD as i32 + 1).to_be_bytes()].concat();
        for whole in [true, false] {
            let mut copy = CopyRows::new(vec![(&array, "many")]);
            let mut each = |_: &Row| true;
            let read = if whole { copy.whole(&head, &mut blank(), &mut each) } else { copy.piece(&head, &mut blank(), &mut each) };
            assert!(read.unwrap_err().starts_with("column many: a value of 67108865 bytes"));
            assert!(copy.is_beyond() && copy.held.capacity() < 1 << 10);
        }
        let kinds = [PgType::Opaque("x".into())];
        let mut copy = CopyRows::new(vec![(&kinds[0], "c")]);
        assert!(copy.piece(&head, &mut blank(), &mut |_| true).is_ok(), "of any length where nothing is held");
    }

    #[test]
    fn rows_that_arrive_in_another_order_are_counted_as_large_as_they_are() {
        let kinds = [PgType::Text, PgType::Text];
        let long = vec![b'x'; LARGE_BYTES + 1];
        let rows: Rows = vec![vec![Some(long), Some(b"a".to_vec())], vec![Some(b"b".to_vec()), None]];
        let places = vec![1, 0];
        let turned: Rows = rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect();
        let expected = plain(&kinds, &turned);
        let whole = stream(&rows);
        for size in [1_000_000, whole.len()] {
            let mut copy = CopyRows::new(kinds.iter().map(|kind| (kind, "c")).collect()).in_order(places.clone());
            let (mut row, mut seen) = (blank(), Vec::new());
            for chunk in whole.chunks(size) {
                let mut each = |row: &Row| {
                    seen.push((row.bytes().to_vec(), row.hashed_bytes() > LARGE_BYTES as u64));
                    true
                };
                copy.piece(chunk, &mut row, &mut each).unwrap();
            }
            assert!(seen == [(expected[0].clone(), true), (expected[1].clone(), false)]);
        }
    }

    fn tables() -> impl Strategy<Value = (Vec<PgType>, Rows)> {
        let kinds =
            prop::collection::vec(prop::sample::select(vec![PgType::Text, PgType::Bytes, PgType::Json, PgType::Opaque("x".into())]), 0..4);
        kinds.prop_flat_map(|kinds| {
            let row = prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), kinds.len());
            (Just(kinds), prop::collection::vec(row, 0..10))
        })
    }

    proptest! {
        #[test]
        fn chunks_do_not_show((kinds, rows) in tables(), size in 1usize..60, whole in any::<bool>()) {
            let bytes = stream(&rows);
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(rows_of(&kinds, &chunks, whole).unwrap(), plain(&kinds, &rows));
        }

        #[test]
        fn fields_stand_where_they_belong(
            (kinds, rows, places) in tables().prop_flat_map(|(kinds, rows)| {
                let places = Just((0..kinds.len()).collect::<Vec<usize>>()).prop_shuffle();
                (Just(kinds), Just(rows), places)
            }),
            size in 1usize..60, whole in any::<bool>()
        ) {
            let bytes = stream(&rows);
            let (head, rows_of_it) = bytes.split_at(HEADER + 3);
            let chunks: Vec<&[u8]> = if whole { vec![head, rows_of_it] } else { bytes.chunks(size).collect() };
            let turned = |kinds: &[PgType]| places.iter().map(|place| kinds[*place].clone()).collect::<Vec<PgType>>();
            let rows = rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect();
            let expected = plain(&turned(&kinds), &rows);
            prop_assert_eq!(rows_in_order(&kinds, places, &chunks, whole).unwrap(), expected);
        }

        #[test]
        fn messages_that_are_rows_are_decoded_where_they_lie((kinds, rows) in tables()) {
            let whole = stream(&rows);
            let (mut chunks, mut at) = (vec![&whole[..HEADER + 3]], HEADER + 3);
            for row in &rows {
                let length = 2 + row.iter().map(|field| 4 + field.as_ref().map_or(0, Vec::len)).sum::<usize>();
                chunks.push(&whole[at..at + length]);
                at += length;
            }
            chunks.push(&whole[at..]);
            prop_assert_eq!(rows_of(&kinds, &chunks, true).unwrap(), plain(&kinds, &rows));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), whole in any::<bool>()) {
            let kinds = [PgType::Int4, PgType::Text, PgType::Jsonb];
            let _ = rows_of(&kinds, &[&bytes], whole);
            let header = [&SIGNATURE[..], &[0; 8]].concat();
            let _ = rows_of(&kinds, &[&header, &bytes], whole);
            let _ = rows_of(&kinds, &[&header, &[0, 3], &bytes], whole);
        }
    }
}
