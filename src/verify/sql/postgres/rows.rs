//! Rows of a table of PostgreSQL as they stream, each decoded where it lies in the read buffer.
//!
//! Not here: which rows (`block_ranges`), messages (`wire::postgres`), the form of a copy (`copy`).

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::postgres::copy::CopyRows;
use crate::verify::sql::reading::{Flow, Limits};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::table::{Column, Table, Wire, double_quoted};
use crate::verify::sql::wire::postgres::error::PgWireError;
use crate::verify::sql::wire::postgres::session::{Next, PgWireSession};

/// The rows of a table as they stream.
pub struct RowStream<'a> {
    session: &'a mut PgWireSession,
    copy: CopyRows<'a>,
    limits: Limits,
}

impl<'a> RowStream<'a> {
    /// Begins to stream the columns at `columns` (ascending indexes) of the rows for which `more` holds.
    pub async fn open(
        session: &'a mut PgWireSession,
        table: &'a Table,
        columns: &[usize],
        more: &[String],
        limits: Limits,
    ) -> Result<Self, Broken> {
        // A server that has to rearrange its rows takes a tenth longer; to take them apart in another order costs nothing.
        let asked: Vec<usize> = table.stored.iter().copied().filter(|index| columns.contains(index)).collect();
        let list = table.select_list(&asked, double_quoted);
        let from = table.source.map_or_else(|| format!("ONLY {}", table.sql_name), str::to_owned);
        let statement = format!("COPY (SELECT {list} FROM {from}{}) TO STDOUT (FORMAT binary)", table.conditions(more));
        let kind = |index: &usize| match &table.columns[*index] {
            Column { wire: Wire::Postgres(kind), name, .. } => Ok((kind, name.as_str())),
            Column { name, .. } => Err(Broken::data(format!("column {name} is of another engine"))),
        };
        let places = columns.iter().filter_map(|index| asked.iter().position(|one| one == index)).collect();
        let copy = CopyRows::new(asked.iter().map(kind).collect::<Result<_, _>>()?).in_order(places);
        let started = tokio::time::timeout(limits.silence, session.copy_out(&statement)).await;
        let found = started.map_err(|_| Broken::silent(limits.silence))?.map_err(|error| Broken::of_pg_wire(&error))?;
        if found != copy.columns() {
            let said = format!("rows of {found} columns, asked for {}", copy.columns());
            return Err(Broken::of_pg_wire(&PgWireError::protocol(said)));
        }
        Ok(Self { session, copy, limits })
    }

    /// Reads until a receiver of rows says false, some `rows` rows have been read, or the stream ends. Each call is given the same `row`.
    pub async fn some(&mut self, rows: usize, row: &mut Row, each: &mut (dyn FnMut(&Row) -> bool + Send)) -> Result<Flow, Broken> {
        let until = self.copy.rows() + rows as u64;
        loop {
            if let Some(flow) = self.at_hand(until, row, each)? {
                return Ok(flow);
            }
            // A timer for each row would cost more than the row: one is set only where nothing is left in the buffer.
            let arrived = tokio::time::timeout(self.limits.silence, self.session.fill()).await;
            arrived.map_err(|_| Broken::silent(self.limits.silence))?.map_err(|error| Broken::of_pg_wire(&error))?;
        }
    }

    /// Takes what is in the buffer; nothing where more has to arrive.
    fn at_hand(&mut self, until: u64, row: &mut Row, each: &mut (dyn FnMut(&Row) -> bool + Send)) -> Result<Option<Flow>, Broken> {
        let Self { session, copy, .. } = self;
        while copy.rows() < until || !copy.is_between() {
            let go_on = match session.at_hand().map_err(|error| Broken::of_pg_wire(&error))? {
                Next::Whole(bytes) => copy.whole(bytes, row, each),
                Next::Piece(bytes) => copy.piece(bytes, row, each),
                Next::Aside => continue,
                Next::Wait => return Ok(None),
                Next::End(counted) => {
                    copy.finish().map_err(Broken::data)?;
                    if counted != copy.rows() {
                        return Err(Broken::data(format!("{} rows arrived, and the server counts {counted}", copy.rows())));
                    }
                    return Ok(Some(Flow::Ended));
                }
            };
            let broken = |said| if copy.is_beyond() { Broken::too_large(said) } else { Broken::data(said) };
            if !go_on.map_err(broken)? {
                return Ok(Some(Flow::Enough));
            }
        }
        Ok(Some(Flow::On))
    }
}
