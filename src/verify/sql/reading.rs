//! What the engines share while rows stream: limits, delivery row by row, and how a reading may end.

use std::time::Duration;

use crate::model::failure::Failure;
use crate::verify::sql::canon::Row;

/// Longest wait for a session to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest silence of a server while rows stream: beyond it the table is unreadable. Nothing hangs for ever.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(600);

/// The engine, as it states itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Engine {
    /// `postgres`, `mysql`, `mariadb` or `sqlite`.
    pub name: &'static str,
    /// The version as the server states it.
    pub version: String,
}

/// Why a table was not read to its end.
#[derive(Debug)]
pub enum Cause {
    /// The stream or the decoding failed: a verdict on the table.
    Unreadable(String),
    /// Something on this side cannot go on: a full disk, a request to stop.
    Stopped(Failure),
}

/// A table that was not read to its end.
#[derive(Debug)]
pub struct ReadError {
    /// Rows that had been read.
    pub rows: u64,
    /// Why.
    pub cause: Cause,
}

/// Gets each row; false ends the reading early.
pub type Sink<'a> = &'a mut (dyn FnMut(&Row) -> Result<bool, Failure> + Send);

/// Counts rows on their way to the sink and classes what goes wrong.
pub struct Delivery<'a> {
    /// The row under construction.
    pub row: Row,
    sink: Sink<'a>,
    rows: u64,
    stopped: Option<Failure>,
}

impl<'a> Delivery<'a> {
    /// Nothing delivered yet.
    pub fn new(row: Row, sink: Sink<'a>) -> Self {
        Self { row, sink, rows: 0, stopped: None }
    }

    /// Hands the row over; false where reading should end.
    pub fn deliver(&mut self) -> bool {
        self.rows += 1;
        match (self.sink)(&self.row) {
            Ok(go_on) => go_on,
            Err(failure) => {
                self.stopped = Some(failure);
                false
            }
        }
    }

    /// Rows delivered.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The end of a reading: `outcome` is an error of the stream or of the decoding.
    pub fn end(self, outcome: Result<(), String>) -> Result<u64, ReadError> {
        match (self.stopped, outcome) {
            (Some(failure), _) => Err(ReadError { rows: self.rows, cause: Cause::Stopped(failure) }),
            (None, Err(said)) => Err(ReadError { rows: self.rows, cause: Cause::Unreadable(said) }),
            (None, Ok(())) => Ok(self.rows),
        }
    }
}
