//! Rows of a SQLite file as they stream: read on a thread of their own, since SQLite blocks, and handed over in batches.
//!
//! A large value is not selected: a number stands in its place, and its bytes are read piece by piece from where they lie (SQLite's
//! incremental BLOB I/O, sqlite.org/c3ref/blob_open.html). That is to be had in tables with a rowid and without generated columns, in files
//! whose text is UTF-8; elsewhere SQLite holds one such value at a time.
//!
//! Not here: what is read (`file`), and what values mean (`rows::sqlite_decode`).

use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB};
use tokio::sync::mpsc;

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::reading::{Delivery, ReadError};
use crate::verify::sql::rows::canon::{LARGE_BYTES, Row};
use crate::verify::sql::rows::large_value::{LargeValue, Payload};
use crate::verify::sql::rows::sqlite_decode::{self, TextEncoding};
use crate::verify::sql::rows::table::{Column, Table, double_quoted};
use crate::verify::sql::rows::tag;

/// Rows that are handed over at once at most.
const BATCH_ROWS: usize = 256;
/// Bytes of rows after which a batch is handed over.
const BATCH_BYTES: usize = 256 << 10;
/// Bytes of a large value that are read at once.
const PIECE: usize = 256 << 10;
/// What stands in a large value's place; a value that is this number is looked at twice.
const STAND_IN: i64 = -8_070_450_532_247_928_833;

/// A connection that is used by one at a time; a reading that ended in a panic has left it as good as it was.
pub fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads all rows of a table.
pub async fn read(
    connection: &Arc<Mutex<Connection>>,
    encoding: TextEncoding,
    table: &Table,
    columns: &[usize],
    mut delivery: Delivery<'_>,
) -> Result<u64, ReadError> {
    let (sender, mut batches) = mpsc::channel::<Batch>(2);
    let (back, spare) = mpsc::channel(4);
    let (connection, table, columns) = (connection.clone(), table.clone(), columns.to_vec());
    let batch = Batch::new(&delivery.row);
    let reading = tokio::task::spawn_blocking(move || {
        let connection = locked(&connection);
        let mut outlet = Outlet { batch, sender, spare };
        let read = Question::of(&connection, encoding, &table, &columns).and_then(|question| question.run(&connection, &mut outlet));
        outlet.hand_over();
        read
    });
    'rows: while let Some(batch) = batches.recv().await {
        for row in &batch.rows[..batch.filled] {
            if !delivery.deliver_row(row) {
                break 'rows;
            }
        }
        // Where nobody waits for it, it is not needed.
        let _ = back.try_send(batch);
    }
    drop(batches);
    let read = reading.await.unwrap_or_else(|error| Err(Broken::data(format!("the reading ended: {error}"))));
    delivery.end(read)
}

/// Rows on their way; their room is used again.
struct Batch {
    rows: Vec<Row>,
    filled: usize,
    bytes: usize,
    blank: Row,
}

impl Batch {
    fn new(blank: &Row) -> Self {
        Self { rows: Vec::new(), filled: 0, bytes: 0, blank: blank.clone() }
    }

    /// The row to fill next.
    fn row(&mut self) -> &mut Row {
        if self.filled == self.rows.len() {
            self.rows.push(self.blank.clone());
        }
        &mut self.rows[self.filled]
    }
}

struct Outlet {
    batch: Batch,
    sender: mpsc::Sender<Batch>,
    spare: mpsc::Receiver<Batch>,
}

impl Outlet {
    /// The row is whole; false where nobody wants more.
    fn filled(&mut self) -> bool {
        let batch = &mut self.batch;
        batch.bytes += batch.rows[batch.filled].bytes().len();
        batch.filled += 1;
        batch.filled < BATCH_ROWS && batch.bytes < BATCH_BYTES || self.hand_over()
    }

    fn hand_over(&mut self) -> bool {
        let mut next = self.spare.try_recv().unwrap_or_else(|_| Batch::new(&self.batch.blank));
        if next.bytes > 2 * BATCH_BYTES {
            next.rows.clear();
        }
        (next.filled, next.bytes) = (0, 0);
        let full = std::mem::replace(&mut self.batch, next);
        full.filled == 0 || self.sender.blocking_send(full).is_ok()
    }
}

/// What is asked, and how each column is taken.
struct Question<'a> {
    statement: String,
    table: &'a Table,
    columns: Vec<&'a Column>,
    encoding: TextEncoding,
    /// The name of the rowid, where large values are read in pieces.
    rowid: Option<&'static str>,
}

impl<'a> Question<'a> {
    fn of(connection: &Connection, encoding: TextEncoding, table: &'a Table, columns: &[usize]) -> Result<Self, Broken> {
        let columns: Vec<&Column> = columns.iter().map(|index| &table.columns[*index]).collect();
        let rowid =
            if encoding == TextEncoding::Utf8 { rowid(connection, table).map_err(|error| Broken::of_sqlite(&error))? } else { None };
        let mut list: Vec<String> = Vec::new();
        for column in &columns {
            let name = double_quoted(&column.name);
            match encoding {
                TextEncoding::Utf8 if rowid.is_some() && may_be_large(&column.type_text) => {
                    // The length stands before the value: the value itself is not read for it.
                    list.push(format!("CASE WHEN octet_length({name}) > {LARGE_BYTES} THEN {STAND_IN} ELSE {name} END"));
                }
                TextEncoding::Utf8 => list.push(name),
                // As it is stored, where the engine would convert it and lose what does not convert.
                _ => list.extend([
                    format!("typeof({name}) = 'text'"),
                    format!("CASE WHEN typeof({name}) = 'text' THEN CAST({name} AS BLOB) ELSE {name} END"),
                ]),
            }
        }
        list.extend(rowid.map(str::to_owned));
        let list = if list.is_empty() { "1".to_owned() } else { list.join(", ") };
        // Without an index: a damaged index must neither hide rows nor lend its copies of them.
        let statement = format!("SELECT {list} FROM {} NOT INDEXED{}", table.sql_name, table.conditions(&[]));
        Ok(Self { statement, table, columns, encoding, rowid })
    }

    fn run(&self, connection: &Connection, outlet: &mut Outlet) -> Result<(), Broken> {
        let failed = |error: rusqlite::Error| Broken::of_sqlite(&error);
        let mut statement = connection.prepare(&self.statement).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(found) = rows.next().map_err(failed)? {
            let row = outlet.batch.row();
            row.begin(self.columns.len());
            for (at, column) in self.columns.iter().enumerate() {
                let taken = self.take(connection, found, at, column, row);
                taken.map_err(|broken| Broken { said: format!("column {}: {}", column.name, broken.said), ..broken })?;
            }
            if !outlet.filled() {
                return Ok(());
            }
        }
        Ok(())
    }

    #[inline]
    fn take(&self, connection: &Connection, found: &rusqlite::Row<'_>, at: usize, column: &Column, row: &mut Row) -> Result<(), Broken> {
        let failed = |error: rusqlite::Error| Broken::of_sqlite(&error);
        if self.encoding != TextEncoding::Utf8 {
            let is_text: bool = found.get(2 * at).map_err(failed)?;
            match found.get_ref(2 * at + 1).map_err(failed)? {
                ValueRef::Blob(bytes) if is_text => sqlite_decode::text(self.encoding, bytes, row),
                value => sqlite_decode::field(value, row),
            }
            return Ok(());
        }
        match (found.get_ref(at).map_err(failed)?, self.rowid) {
            (ValueRef::Integer(STAND_IN), Some(name)) => {
                let rowid: i64 = found.get(self.columns.len()).map_err(failed)?;
                self.large(connection, column, (name, rowid), row)
            }
            (value, _) => {
                sqlite_decode::field(value, row);
                Ok(())
            }
        }
    }

    /// Reads one value that is large, or that is the number which stands for it.
    #[cold]
    fn large(&self, connection: &Connection, column: &Column, (name, rowid): (&str, i64), row: &mut Row) -> Result<(), Broken> {
        let failed = |error: rusqlite::Error| Broken::of_sqlite(&error);
        let question = format!("SELECT typeof({}) FROM {} NOT INDEXED WHERE {name} = ?", double_quoted(&column.name), self.table.sql_name);
        let class: String = connection.query_row(&question, [rowid], |row| row.get(0)).map_err(failed)?;
        let payload = match class.as_str() {
            "text" => Payload::Text,
            "blob" => Payload::Tagged(tag::BYTES),
            _ => {
                row.signed(STAND_IN);
                return Ok(());
            }
        };
        let mut blob = connection.blob_open(MAIN_DB, self.table.name.as_str(), column.name.as_str(), rowid, true).map_err(failed)?;
        let (mut large, mut piece) = (LargeValue::new(row, payload), vec![0; PIECE]);
        loop {
            match blob.read(&mut piece).map_err(|error| Broken::data(error.to_string()))? {
                0 => return large.finish(row).map_err(Broken::data),
                count => large.piece(&piece[..count]),
            }
        }
    }
}

/// The name by which a table's rowid can be asked for; nothing where it has none, where every such name is a column's, and where SQLite
/// opens no value in place.
fn rowid(connection: &Connection, table: &Table) -> Result<Option<&'static str>, rusqlite::Error> {
    let without = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?";
    let without: bool = connection.query_row(without, [&table.name], |row| row.get(0))?;
    if without || !table.left_out.is_empty() || table.columns.iter().any(|column| column.generated) {
        return Ok(None);
    }
    let taken = |name: &&str| table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    Ok(["rowid", "_rowid_", "oid"].into_iter().find(|name| !taken(name)))
}

/// Whether values of a declared type are meant to be text or bytes (sqlite.org/datatype3.html, "Determination Of Column Affinity"); another
/// column may hold them all the same, and is read whole.
fn may_be_large(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    !has(&["INT"]) && (declared.is_empty() || has(&["CHAR", "CLOB", "TEXT", "BLOB", "JSON"]))
}
