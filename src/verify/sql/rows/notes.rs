//! What a manifest may keep of each row beside its hashes: its primary key, spelled as findings spell it, and a short keyed hash of each of
//! its columns (ROWS.md, "Names of rows").
//!
//! A note is cut into pieces of a record's size, so that notes are held back, kept for a run that goes on, and sorted as records are. Sorted
//! by their bytes, the pieces of one note stand together and in their order:
//!
//! | Bytes | What |
//! |---|---|
//! | 8, 8 | what the record of the row begins with: its place, and its digest |
//! | 2 | the number of the piece |
//! | 22 | the piece, filled up with zeros: `u32` length of the name, `u16` columns, the name, 4 bytes a column |
//!
//! Not here: where notes are written (`manifest::names`), and what is told of them (`naming`).

use std::iter::Peekable;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::buckets::Record;
use crate::verify::manifest::request::Sidecar;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::display;
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::Table;

/// The first bytes of a column's hash.
pub type ColumnHash = [u8; 4];

/// Bytes before a piece, and of one.
const HEAD: usize = 18;
const PIECE: usize = size_of::<Record>() - HEAD;
/// The longest name, in bytes: a key may have many columns with long names.
const LONGEST: usize = 64 << 10;

/// Hashes the columns of rows of one table: keyed BLAKE3 over the table's name, the column's and the row's key hash, and then the field. The
/// same value in another row, column or table has another hash, and without the hash key no value can be guessed from it.
#[derive(Clone)]
pub struct ColumnHasher(Vec<blake3::Hasher>);

impl ColumnHasher {
    /// For rows that hold these columns of `table`.
    pub fn new<'a>(keys: &RowKeys, table: &str, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let of = |column: &str| {
            let mut hasher = keys.column_hasher();
            for name in [table, column] {
                hasher.update(&(name.len() as u64).to_be_bytes()).update(name.as_bytes());
            }
            hasher
        };
        Self(columns.into_iter().map(of).collect())
    }

    /// The hash of each column of `row`, whose key has this hash.
    pub fn hashes<'a>(&'a self, row: &'a Row, key_hash: &'a [u8; 32]) -> impl Iterator<Item = ColumnHash> + 'a {
        self.0.iter().enumerate().map(move |(at, hasher)| {
            let mut hasher = hasher.clone();
            hasher.update(key_hash).update(row.field(at));
            *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
        })
    }
}

/// Notes rows of one table that hold some of its columns.
#[derive(Clone)]
pub struct Noter {
    key: Vec<(String, usize)>,
    columns: Option<ColumnHasher>,
    /// Notes of rows whose records are still to come, one after another, and where each ends.
    waiting: Vec<u8>,
    ends: Vec<usize>,
    pieces: Vec<Record>,
}

impl Noter {
    /// For rows that hold the columns at `columns` (ascending indexes); nothing where hashes are all that is kept, or where there is no key
    /// to name a row by.
    pub fn new(keys: &RowKeys, table: &Table, columns: &[usize], sidecar: Sidecar) -> Option<Self> {
        if sidecar == Sidecar::Hashes || table.key.is_empty() {
            return None;
        }
        let place = |index: &usize| Some((table.columns[*index].name.clone(), columns.iter().position(|column| column == index)?));
        let names = columns.iter().map(|index| table.columns[*index].name.as_str());
        Some(Self {
            key: table.key.iter().filter_map(place).collect(),
            columns: (sidecar == Sidecar::Columns).then(|| ColumnHasher::new(keys, &table.name, names)),
            waiting: Vec::new(),
            ends: Vec::new(),
            pieces: Vec::new(),
        })
    }

    /// Notes a row as it is digested, whose record comes with [`Noter::place`]: rows that are equal have equal notes, however their keys are stored.
    pub fn take_in(&mut self, row: &Row, key_hash: &[u8; 32]) {
        let name = display::name(row, self.key.iter().map(|(name, at)| (name.as_str(), *at)));
        let name = &name[..name.floor_char_boundary(LONGEST)];
        let columns = self.columns.as_ref().map_or(0, |columns| columns.0.len());
        self.waiting.extend_from_slice(&(name.len() as u32).to_be_bytes());
        self.waiting.extend_from_slice(&(columns as u16).to_be_bytes());
        self.waiting.extend_from_slice(name.as_bytes());
        let hashes = self.columns.iter().flat_map(|columns| columns.hashes(row, key_hash));
        self.waiting.extend(hashes.flatten());
        self.ends.push(self.waiting.len());
    }

    /// The records of the rows that were taken in, in their order.
    pub fn place(&mut self, records: &[Record]) {
        let mut start = 0;
        for (record, end) in records.iter().zip(self.ends.drain(..)) {
            for (number, some) in self.waiting[start..end].chunks(PIECE).enumerate() {
                let mut piece = [0; size_of::<Record>()];
                piece[..16].copy_from_slice(&record[..16]);
                piece[16..HEAD].copy_from_slice(&(number as u16).to_be_bytes());
                piece[HEAD..HEAD + some.len()].copy_from_slice(some);
                self.pieces.push(piece);
            }
            start = end;
        }
        self.waiting.clear();
    }

    /// How many pieces there are to be taken.
    pub fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Takes the pieces of the rows whose records have come.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.pieces)
    }
}

/// What was noted of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The first 8 bytes of its key hash, or its place.
    pub key_hash: [u8; 8],
    /// The first 8 bytes of its digest.
    pub row_hash: [u8; 8],
    /// `COLUMN=VALUE …` of its key.
    pub name: String,
    /// The hash of each column, one after another; empty where keys alone were noted.
    pub columns: Vec<u8>,
}

/// Notes out of their sorted pieces, one at a time; of rows that are equal, one.
pub struct Notes<I: Iterator> {
    pieces: Peekable<I>,
}

impl<I: Iterator<Item = Result<Record, Failure>>> Notes<I> {
    /// Of pieces in the order of their bytes.
    pub fn new(pieces: impl IntoIterator<IntoIter = I>) -> Self {
        Self { pieces: pieces.into_iter().peekable() }
    }

    fn of(&mut self, first: Record) -> Result<Note, Failure> {
        let (mut bytes, mut last) = (first[HEAD..].to_vec(), first);
        let is_next = |piece: &Result<Record, Failure>| piece.as_ref().map_or(true, |piece| piece[..16] == first[..16]);
        while let Some(piece) = self.pieces.next_if(is_next) {
            let piece = piece?;
            if piece != last {
                bytes.extend_from_slice(&piece[HEAD..]);
                last = piece;
            }
        }
        parse(&first, &bytes).ok_or_else(|| Failure::new(FailureKind::Remote, "the key of a row that was read has not come back whole"))
    }
}

impl<I: Iterator<Item = Result<Record, Failure>>> Iterator for Notes<I> {
    type Item = Result<Note, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.pieces.next()?;
        Some(first.and_then(|first| self.of(first)))
    }
}

fn parse(head: &Record, bytes: &[u8]) -> Option<Note> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (columns, rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let columns = rest.get(..usize::from(u16::from_be_bytes(*columns)) * size_of::<ColumnHash>())?.to_vec();
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some(Note { key_hash: *head.first_chunk()?, row_hash: head[8..16].try_into().ok()?, name, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::table::{Column, Wire};

    fn table(name: &str) -> Table {
        let column = |name: &str| Column { name: name.into(), type_text: "t".into(), nullable: true, generated: false, wire: Wire::Sqlite };
        Table::new(name.into(), name.into(), vec![column("id"), column("v"), column("w")], &["id".to_owned()])
    }

    fn keys() -> RowKeys {
        RowKeys::new(&HashKey::from_bytes([7; 32]))
    }

    fn row(id: u64, v: &str, w: &str) -> Row {
        let mut row = Row::new(&keys());
        row.begin(3);
        row.unsigned(id);
        row.text(v.as_bytes());
        row.text(w.as_bytes());
        row
    }

    #[test]
    fn notes_come_back_out_of_their_sorted_pieces() {
        for sidecar in [Sidecar::Keys, Sidecar::Columns] {
            let mut noter = Noter::new(&keys(), &table("t"), &[0, 1, 2], sidecar).unwrap();
            let mut records: Vec<Record> = Vec::new();
            // Two rows are equal, and two differ in their digests alone.
            for (n, id) in [(9u8, 1u64), (3, u64::MAX), (3, u64::MAX), (4, 7), (4, 8)] {
                let row = row(id, "a", "b");
                noter.take_in(&row, &[n; 32]);
                let mut record = [n; 40];
                record[8] = id as u8;
                records.push(record);
            }
            noter.place(&records);
            let mut pieces = noter.take();
            assert!(pieces.len() > records.len() && noter.count() == 0, "names of several pieces");
            pieces.sort_unstable();
            let notes: Vec<Note> = Notes::new(pieces.into_iter().map(Ok)).map(Result::unwrap).collect();
            let names: Vec<&str> = notes.iter().map(|note| note.name.as_str()).collect();
            assert_eq!(names, ["id=18446744073709551615", "id=7", "id=8", "id=1"]);
            assert_eq!((notes[0].key_hash, notes[0].row_hash[0]), ([3; 8], 255));
            assert!(notes.iter().all(|note| note.columns.len() == if sidecar == Sidecar::Columns { 12 } else { 0 }));
        }
        assert!(Noter::new(&keys(), &table("t"), &[0, 1, 2], Sidecar::Hashes).is_none());
        let loose = Table::new("t".into(), "t".into(), Vec::new(), &[]);
        assert!(Noter::new(&keys(), &loose, &[], Sidecar::Columns).is_none(), "no key to name rows by");
    }

    #[test]
    fn a_name_of_any_length_has_an_end_and_what_is_cut_off_is_no_note() {
        let long = Table::new(
            "t".into(),
            "t".into(),
            (0..200).map(|n| Column { name: format!("{n:03}{}", "é".repeat(300)), ..table("t").columns.remove(0) }).collect(),
            &(0..200).map(|n| format!("{n:03}{}", "é".repeat(300))).collect::<Vec<_>>(),
        );
        let columns: Vec<usize> = (0..200).collect();
        let mut noter = Noter::new(&keys(), &long, &columns, Sidecar::Columns).unwrap();
        let mut row = Row::new(&keys());
        row.begin(200);
        (0..200).for_each(|n| row.unsigned(n));
        noter.take_in(&row, &[1; 32]);
        noter.place(&[[1; 40]]);
        let pieces = noter.take();
        let note = Notes::new(pieces.iter().copied().map(Ok)).next().unwrap().unwrap();
        assert!(note.name.len() > LONGEST - 4 && note.columns.len() == 800);
        let cut = Notes::new(pieces[..3].iter().copied().map(Ok)).next().unwrap();
        assert!(cut.is_err());
    }

    #[test]
    fn a_columns_hash_is_of_its_row_its_column_and_its_table() {
        let of = |table: &str, row: &Row, key_hash: [u8; 32]| -> Vec<ColumnHash> {
            ColumnHasher::new(&keys(), table, ["id", "v", "w"]).hashes(row, &key_hash).collect()
        };
        let (one, other) = (of("t", &row(1, "a", "a"), [1; 32]), of("t", &row(1, "a", "b"), [1; 32]));
        assert_eq!((one[0], one[1]), (other[0], other[1]));
        assert_ne!(one[2], other[2]);
        let all: Vec<ColumnHash> =
            [one, of("t", &row(1, "a", "a"), [2; 32]), of("u", &row(1, "a", "a"), [1; 32])].into_iter().flatten().collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "equal values cannot be told to be equal");
    }
}
