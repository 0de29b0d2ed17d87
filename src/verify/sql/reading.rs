//! What the engines share while rows stream: limits, delivery row by row, and how a reading may end.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::buckets::Record;
use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::rows::canon::Row;

/// Longest wait for a session to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long is waited for what, and how many sessions read at once. Nothing hangs for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest wait for a session to open.
    pub connect: Duration,
    /// Longest wait for a lock that somebody else holds on a table; beyond it the table is not read.
    pub lock: Duration,
    /// Longest silence of a server that was asked something; beyond it the table is not read.
    pub silence: Duration,
    /// Longest wait for a server that went away while it was read, and that may be about to come back.
    pub comeback: Duration,
    /// Sessions that read one table at once, where the engine lets them share a snapshot.
    pub lanes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let [lock, silence, comeback] = [60, 600, 120].map(Duration::from_secs);
        Self { connect: CONNECT_TIMEOUT, lock, silence, comeback, lanes }
    }
}

impl Limits {
    /// Opens a session to `shown` in time.
    pub async fn connecting<T>(&self, shown: &str, connect: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.connect, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::new(FailureKind::Network, format!("{shown}: no answer within {} seconds", self.connect.as_secs()))
                .hint("check the host, the port and that the server is up and lets this machine in")),
        }
    }

    /// An answer of `shown` to a question, in time.
    pub async fn asking<T>(&self, shown: &str, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.asking_all(shown, &AtomicU64::new(0), answer).await
    }

    /// Answers to several questions, each of which `answered` counts: the limit is that of each.
    pub async fn asking_all<T>(
        &self,
        shown: &str,
        answered: &AtomicU64,
        answers: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut answers = pin!(answers);
        let mut known = answered.load(Ordering::Relaxed);
        loop {
            if let Ok(answers) = tokio::time::timeout(self.silence, &mut answers).await {
                return answers;
            }
            let now = answered.load(Ordering::Relaxed);
            if now == known {
                return Err(Failure::new(FailureKind::Network, format!("{shown}: no answer within {} seconds", self.silence.as_secs())));
            }
            known = now;
        }
    }
}

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
    /// This table was not read to its end, and the next may be. A verdict on it, unless its kind is a reason outside the data.
    Unreadable(Failure),
    /// No table can be read any more: a full disk, a request to stop, a server that lets nobody in.
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

/// Conditions that cut a table into ranges: each row fulfils those of exactly one range.
pub type Ranges = Vec<Vec<String>>;

/// Records, and pieces of notes, that one range holds back at most: 10 MiB; beyond it they are handed on and the range can no longer be read again.
pub const HELD_BACK: usize = 1 << 18;
/// Rows between two messages about progress.
pub const BREATH: usize = 4_096;

/// How far a stream of rows is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// There may be more.
    On,
    /// It was read to its end.
    Ended,
    /// The receiver had enough.
    Enough,
}

/// Gets each row; false ends the reading early.
pub type Sink<'a> = &'a mut (dyn FnMut(&Row) -> Result<bool, Failure> + Send);

/// What a pass for digests gives, in any order.
#[derive(Debug)]
pub enum Harvest<'a> {
    /// So many rows and canonical bytes more have been read.
    Read {
        /// Rows.
        rows: u64,
        /// Canonical bytes.
        bytes: u64,
    },
    /// Rows that are certain: each comes exactly once.
    Records(&'a [Record]),
    /// Pieces of the notes of rows that are certain (`rows::notes`), where rows are noted.
    Notes(&'a [Record]),
    /// Nothing of what came so far counts: the table is read from its beginning again, for this reason.
    Again(&'a str),
}

/// Gets what a pass for digests gives; false ends it early.
pub type HarvestSink<'a> = &'a mut (dyn FnMut(Harvest<'_>) -> Result<bool, Failure> + Send);

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

    /// Hands over a row that was built elsewhere; false where reading should end.
    pub fn deliver_row(&mut self, row: &Row) -> bool {
        self.rows += 1;
        match (self.sink)(row) {
            Ok(go_on) => go_on,
            Err(failure) => {
                self.stopped = Some(failure);
                false
            }
        }
    }

    /// Whether the receiver failed, and has not only had enough.
    pub fn has_failed(&self) -> bool {
        self.stopped.is_some()
    }

    /// Rows delivered.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The end of a reading: `outcome` is an error of the stream or of the decoding.
    pub fn end(self, outcome: Result<(), Broken>) -> Result<u64, ReadError> {
        match (self.stopped, outcome) {
            (Some(failure), _) => Err(ReadError { rows: self.rows, cause: Cause::Stopped(failure) }),
            (None, Err(broken)) => Err(ReadError { rows: self.rows, cause: Cause::Unreadable(broken.failure()) }),
            (None, Ok(())) => Ok(self.rows),
        }
    }
}
