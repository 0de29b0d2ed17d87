//! A table read in the very session that holds the snapshot: where a role may have one session only, or a server has room for one.
//!
//! A copy in binary (PostgreSQL documentation, "COPY", "Binary Format") has what the send function of each column's type makes of its value. The
//! driver does not know every type, and does not have to: it is asked for what these functions return, which are bytes. They are put together
//! as a copy, so that one decoder reads both, and rows have the same digests either way. A row is held whole. Whatever goes wrong, a savepoint
//! keeps the transaction and with it the snapshot.
//!
//! Not here: when that is so (`snapshot`), and reading in sessions of their own (`block_ranges`).

use futures_util::StreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Either, Executor as _, Row as _, ValueRef as _};

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::postgres::copy::CopyRows;
use crate::verify::sql::postgres::session::{WITHOUT_INDEXES, execute, is_moved, where_it_is};
use crate::verify::sql::reading::{Delivery, Limits};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::table::{Column, Table, Wire, double_quoted};

/// What a copy begins with: a signature, flags, and no extension.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with: a row of -1 fields.
const TRAILER: &[u8] = &[0xff, 0xff];

/// Streams the columns of `table` at `columns`; true when the stream was read to its end.
pub async fn read(
    control: &mut PgConnection,
    (table, columns): (&Table, &[usize]),
    limits: Limits,
    delivery: &mut Delivery<'_>,
) -> Result<bool, Broken> {
    in_time(limits, execute(control, "SAVEPOINT reading")).await?;
    let read = stream(control, (table, columns), limits, delivery).await;
    // Also after a success: settings and locks were for this table.
    let after = in_time(limits, execute(control, "ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading")).await;
    match (read, after) {
        (Ok(_), Err(broken)) => Err(Broken { lost: true, ..broken }),
        (read, _) => read,
    }
}

/// An answer, in time.
async fn in_time<T>(limits: Limits, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Broken> {
    match tokio::time::timeout(limits.silence, answer).await {
        Ok(answer) => answer.map_err(|error| Broken::of(&error)),
        Err(_) => Err(Broken::silent(limits.silence)),
    }
}

async fn stream(
    control: &mut PgConnection,
    (table, columns): (&Table, &[usize]),
    limits: Limits,
    delivery: &mut Delivery<'_>,
) -> Result<bool, Broken> {
    in_time(limits, execute(control, &WITHOUT_INDEXES.replace("SET ", "SET LOCAL "))).await?;
    let lock = format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.sql_name);
    in_time(limits, execute(control, &lock)).await?;
    let question = where_it_is(table);
    let asked = in_time(limits, sqlx::raw_sql(AssertSqlSafe(question)).fetch_one(&mut *control)).await?;
    let number = |at: usize| asked.try_get_raw(at).ok()?.as_str().ok()?.parse::<i64>().ok();
    is_moved([number(0), number(1), number(3)])?;

    let kind = |index: &usize| match &table.columns[*index] {
        Column { wire: Wire::Postgres(kind), name, .. } => Ok((kind, name.as_str())),
        Column { name, .. } => Err(Broken::data(format!("column {name} is of another engine"))),
    };
    let mut copy = CopyRows::new(columns.iter().map(kind).collect::<Result<_, _>>()?);
    let list = table.select_list(columns, double_quoted);
    let from = table.source.map_or_else(|| format!("ONLY {}", table.sql_name), str::to_owned);
    let senders = senders(control, &format!("SELECT {list} FROM {from} LIMIT 0"), columns.len(), limits).await?;
    let sent: Vec<String> = senders.iter().enumerate().map(|(at, sender)| format!("{sender}(s.c{at})")).collect();
    let all = named(&format!("SELECT {list} FROM {from}{}", table.conditions(&[])), columns.len());
    let statement = format!("SELECT {} FROM {all}", sent.join(", "));
    let mut rows = (&mut *control).fetch_many(sqlx::query(AssertSqlSafe(statement)).persistent(false));
    let mut row = std::mem::replace(&mut delivery.row, Row::empty());
    let (mut bytes, mut counted) = (HEAD.to_vec(), 0);
    loop {
        let next = tokio::time::timeout(limits.silence, rows.next()).await.map_err(|_| Broken::silent(limits.silence))?;
        match next.transpose().map_err(|error| Broken::of(&error))? {
            Some(Either::Right(found)) => frame(&found, columns.len(), &mut bytes)?,
            Some(Either::Left(done)) => {
                counted += done.rows_affected();
                continue;
            }
            None => break,
        }
        if !take(&mut copy, &bytes, &mut row, delivery)? {
            return Ok(false);
        }
        bytes.clear();
    }
    bytes.extend_from_slice(TRAILER);
    if !take(&mut copy, &bytes, &mut row, delivery)? {
        return Ok(false);
    }
    copy.finish().map_err(Broken::data)?;
    match copy.rows() {
        arrived if arrived == counted => Ok(true),
        arrived => Err(Broken::data(format!("{arrived} rows arrived, and the server counts {counted}"))),
    }
}

/// A question whose columns are called `c0`, `c1` and so on in another.
fn named(question: &str, columns: usize) -> String {
    let names: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
    let names = if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) };
    format!("({question}) AS s{names}")
}

/// The send function of each column's type; `bare` is a question that has the columns, and no row.
async fn senders(control: &mut PgConnection, bare: &str, columns: usize, limits: Limits) -> Result<Vec<String>, Broken> {
    if columns == 0 {
        return Ok(Vec::new());
    }
    let sender = |at| format!("(SELECT t.typsend::text FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.pg_typeof(s.c{at}))");
    let each: Vec<String> = (0..columns).map(sender).collect();
    let question = format!("SELECT {} FROM (SELECT 1) AS one LEFT JOIN {} ON true", each.join(", "), named(bare, columns));
    let found = in_time(limits, sqlx::raw_sql(AssertSqlSafe(question)).fetch_one(&mut *control)).await?;
    let text = |at: usize| found.try_get_raw(at).ok()?.as_str().ok().filter(|name| *name != "-").map(str::to_owned);
    (0..columns).map(|at| text(at).ok_or_else(|| Broken::data("a type that the server has no binary form of"))).collect()
}

/// Appends a row as a copy has it.
fn frame(found: &PgRow, columns: usize, bytes: &mut Vec<u8>) -> Result<(), Broken> {
    if found.len() != columns {
        return Err(Broken::data(format!("rows of {} columns, asked for {columns}", found.len())));
    }
    let count = i16::try_from(columns).map_err(|_| Broken::data(format!("a row of {columns} columns")))?;
    bytes.extend_from_slice(&count.to_be_bytes());
    for at in 0..columns {
        let value = found.try_get_raw(at).map_err(|error| Broken::of(&error))?;
        if value.is_null() {
            bytes.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let field = value.as_bytes().map_err(|error| Broken::data(error.to_string()))?;
        let length = i32::try_from(field.len()).map_err(|_| Broken::too_large(format!("a value of {} bytes", field.len())))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(field);
    }
    Ok(())
}

fn take(copy: &mut CopyRows<'_>, bytes: &[u8], row: &mut Row, delivery: &mut Delivery<'_>) -> Result<bool, Broken> {
    let taken = copy.whole(bytes, row, &mut |row| delivery.deliver_row(row));
    taken.map_err(|said| if copy.is_beyond() { Broken::too_large(said) } else { Broken::data(said) })
}
