//! Rows of a table of MySQL or MariaDB as they stream, each decoded where it lies in the read buffer.
//!
//! Not here: rows that the buffer does not hold (`long_row`), which rows (`key_ranges`), packets (`wire::mysql`), what values mean
//! (`rows::mysql_decode`).

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::mysql::long_row;
use crate::verify::sql::reading::{Flow, Limits};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::mysql_decode::{self, MysqlType};
use crate::verify::sql::rows::table::{Column, Table, Wire, backticked};
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::session::{Next, WireSession};
use crate::verify::sql::wire::mysql::values::{RowFault, Shape, each_value};

/// The rows of a table as they stream.
pub struct RowStream<'a> {
    session: &'a mut WireSession,
    kinds: Vec<(&'a MysqlType, &'a str)>,
    shapes: Vec<Shape>,
    limits: Limits,
}

/// What has become of the rows at hand.
enum Taken {
    /// More has to arrive.
    Wait,
    Flow(Flow),
}

impl<'a> RowStream<'a> {
    /// Begins to stream the columns at `columns` of the rows for which `more` holds: from the clustered index, which is the table. Another
    /// index may be damaged, and must neither hide rows nor lend its copies of them.
    pub async fn open(
        session: &'a mut WireSession,
        table: &'a Table,
        columns: &[usize],
        more: &[String],
        limits: Limits,
    ) -> Result<Self, Broken> {
        let names = table.select_list(columns, backticked);
        let names = if names.is_empty() { "1".to_owned() } else { names };
        let index = if more.is_empty() { "USE INDEX ()" } else { "FORCE INDEX (PRIMARY)" };
        let statement = format!("SELECT {names} FROM {} {index}{}", table.sql_name, table.conditions(more));
        let kind = |index: &usize| match &table.columns[*index] {
            Column { wire: Wire::Mysql(kind), name, .. } => Ok((kind, name.as_str())),
            Column { name, .. } => Err(Broken::data(format!("column {name} is of another engine"))),
        };
        let kinds = columns.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        let selected = tokio::time::timeout(limits.silence, session.select(&statement, &[])).await;
        let shapes = selected.map_err(|_| Broken::silent(limits.silence))?.map_err(|error| Broken::of_wire(&error))?;
        if shapes.len() != kinds.len().max(1) {
            let said = format!("rows of {} columns, asked for {}", shapes.len(), kinds.len());
            return Err(Broken::of_wire(&WireError::protocol(said)));
        }
        Ok(Self { session, kinds, shapes, limits })
    }

    /// Reads until a receiver of rows says false, `rows` rows have been read, or the stream ends.
    pub async fn some(&mut self, rows: usize, row: &mut Row, each: &mut (dyn FnMut(&Row) -> bool + Send)) -> Result<Flow, Broken> {
        let mut left = rows;
        loop {
            match self.at_hand(&mut left, row, each)? {
                Taken::Flow(flow) => return Ok(flow),
                Taken::Wait if self.session.is_long() => {
                    let (columns, silence) = ((&self.kinds[..], &self.shapes[..]), self.limits.silence);
                    Box::pin(long_row::take(self.session.pieces(), columns, row, silence)).await?;
                    left -= 1;
                    if !each(row) {
                        return Ok(Flow::Enough);
                    }
                }
                // A timer for each row would cost more than the row: one is set only where nothing is left in the buffer.
                Taken::Wait => {
                    let arrived = tokio::time::timeout(self.limits.silence, self.session.fill()).await;
                    arrived.map_err(|_| Broken::silent(self.limits.silence))?.map_err(|error| Broken::of_wire(&error))?;
                }
            }
        }
    }

    /// Takes the rows that are whole in the buffer.
    fn at_hand(&mut self, left: &mut usize, row: &mut Row, each: &mut (dyn FnMut(&Row) -> bool + Send)) -> Result<Taken, Broken> {
        let Self { session, kinds, shapes, .. } = self;
        while *left > 0 {
            let packet = match session.at_hand().map_err(|error| Broken::of_wire(&error))? {
                Next::Row(packet) => packet,
                Next::Wait => return Ok(Taken::Wait),
                Next::End => return Ok(Taken::Flow(Flow::Ended)),
            };
            row.begin(kinds.len());
            let decoded = each_value(shapes, packet, |at, value| match kinds.get(at) {
                Some((kind, _)) => mysql_decode::field(kind, value, row),
                // A table none of whose columns is asked for: each row is a number that means nothing.
                None => Ok(()),
            });
            decoded.map_err(|fault| match fault {
                RowFault::Wire(error) => Broken::of_wire(&error),
                RowFault::Value(at, said) => Broken::data(format!("column {}: {said}", kinds.get(at).map_or("", |(_, name)| *name))),
            })?;
            *left -= 1;
            if !each(row) {
                return Ok(Taken::Flow(Flow::Enough));
            }
        }
        Ok(Taken::Flow(Flow::On))
    }
}
