//! PostgreSQL: one exported snapshot, and sessions that all read it.
//!
//! The session that holds the snapshot reads nothing large; tables are read by worker sessions that take the snapshot over. A table
//! that breaks costs its workers only: the others are still read at the same instant. Where the server gives no second session, the one that
//! holds the snapshot reads itself (`alone`).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row as _};
use tokio::sync::Mutex;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::ends::{self, CALM, End, LastRow};
use crate::verify::sql::connect::errors::{self, Broken};
use crate::verify::sql::connect::heard::{Heard, with_patience};
use crate::verify::sql::connect::keeper::Keeping;
use crate::verify::sql::connect::login::Door;
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::postgres as definitions;
use crate::verify::sql::kept::KeptTable;
use crate::verify::sql::lanes;
use crate::verify::sql::last_value::{self, Form, Last};
use crate::verify::sql::postgres::alone;
use crate::verify::sql::postgres::block_ranges::{self, How};
use crate::verify::sql::postgres::catalog;
use crate::verify::sql::postgres::position::{UNLOGGED, position};
use crate::verify::sql::postgres::restart;
use crate::verify::sql::postgres::rows::RowStream;
use crate::verify::sql::postgres::session::{Opener, execute, hold};
use crate::verify::sql::reading::{Cause, Delivery, Engine, Flow, Harvest, HarvestSink, Limits, ReadError};
use crate::verify::sql::rights;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::digester::Digester;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::wire::postgres::options::PgOptions;
use crate::verify::sql::wire::postgres::session::PgWireSession;

/// Rows between two looks at the receiver.
const BREATH: usize = 4_096;

/// Further attempts where objects are made or dropped by somebody else, and the time between two.
const ATTEMPTS: u32 = 8;
const BETWEEN: Duration = Duration::from_millis(100);

/// Why the session that holds the snapshot is gone.
struct Gone {
    failure: Failure,
    /// Whether somebody ended it, or the server, on purpose.
    is_asked_for: bool,
}

/// A database and its snapshot.
pub struct PostgresSession {
    opener: Opener,
    control: Arc<Mutex<PgConnection>>,
    workers: Vec<PgWireSession>,
    /// Whether the server gives no session beside the one that holds the snapshot.
    alone: bool,
    engine: Engine,
    /// How its texts are ordered for a prefix.
    pub texts: Form,
    server: u32,
    early: Early,
    /// What brings the server back where it ends: then nobody else writes into it.
    keeper: Option<Keeping>,
    /// The server since it was started, and the transactions that its snapshot shows.
    standing: String,
    /// What changes where a recovery has emptied unlogged tables ([`UNLOGGED`]).
    unlogged: Option<String>,
    /// Whether it ended its sessions meanwhile, and is back.
    restarted: bool,
    /// Why what was read before and what is read now need not be of one state.
    two_states: Option<String>,
}

/// Definitions that are asked for while a table is read: the session that holds the snapshot has nothing to do then.
enum Early {
    No,
    Wanted,
    Found(Result<Definitions, Failure>),
}

impl PostgresSession {
    /// Opens the session that holds the snapshot; `shown` is the URL without secrets.
    pub async fn open(shown: &str, door: Door<PgOptions>, limits: Limits, keeper: Option<Keeping>) -> Result<Self, Failure> {
        let failed = |error| errors::failure(shown, error);
        let mut opener = Opener { shown: shown.to_owned(), door, limits, heard: Heard::default(), snapshot: None, without_encoding: false };
        let mut control = with_patience(|| opener.open()).await?;
        let question = "SELECT pg_catalog.pg_export_snapshot(), current_setting('server_version'), \
                        current_setting('server_version_num')::int4, current_setting('server_encoding'), \
                        pg_catalog.pg_postmaster_start_time()::text || ' ' || pg_catalog.pg_current_snapshot()::text";
        let question = format!("{question}, {UNLOGGED}");
        let ask = async { sqlx::query(AssertSqlSafe(question)).fetch_one(&mut control).await.map_err(failed) };
        let row = limits.asking(shown, ask).await?;
        opener.snapshot = Some(row.try_get(0).map_err(failed)?);
        let encoding: String = row.try_get(3).map_err(failed)?;
        opener.without_encoding = encoding == "SQL_ASCII";
        let engine = Engine { name: "postgres", version: row.try_get(1).map_err(failed)? };
        let server = u32::try_from(row.try_get::<i32, _>(2).map_err(failed)?).unwrap_or(0);
        let (standing, unlogged) = (row.try_get(4).map_err(failed)?, row.try_get(5).map_err(failed)?);
        let control = Arc::new(Mutex::new(control));
        let (workers, texts, alone, early) = (Vec::new(), Form::of_texts_in(&encoding), false, Early::No);
        let (restarted, two_states) = (false, None);
        Ok(Self { opener, texts, control, workers, alone, engine, server, early, keeper, standing, unlogged, restarted, two_states })
    }

    /// Why not all that was read need be of one state: the server ended its sessions meanwhile, and it is another one by now, or was written to.
    pub fn two_states(&self) -> Option<Failure> {
        Some(ends::two_states(&self.opener.shown, self.two_states.as_ref()?))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables. Where somebody else makes or drops one meanwhile the snapshot is taken once more. A session to read them with is opened beside.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let mut left = ATTEMPTS;
        loop {
            let opener = self.opener.clone();
            // One that does not open is asked for again, and heard, when it is needed.
            let ahead = tokio::spawn(async move { opener.reader().await.ok() });
            let shown = &self.opener.shown;
            let mut control = self.control.lock().await;
            let tables = catalog::tables(&mut control);
            let asked = self.opener.limits.asking(shown, async { Ok(tables.await) }).await;
            drop(control);
            if !matches!(asked, Ok(Ok(_))) {
                ahead.abort();
            }
            match asked? {
                Err(error) if left > 0 && definitions::is_of_change(&error) => {}
                Ok(tables) => {
                    self.workers.extend(ahead.await.ok().flatten());
                    return Ok(tables);
                }
                Err(error) => return Err(self.opener.explain(said(shown, error)).await),
            }
            left -= 1;
            tokio::time::sleep(BETWEEN).await;
            let (opener, shown) = (self.opener.clone(), self.opener.shown.clone());
            *self = Self::open(&shown, opener.door, opener.limits, self.keeper.take()).await?;
        }
    }

    /// What it defines beside tables is going to be asked: it is read beside the rows of the next table.
    pub fn expect_definitions(&mut self) {
        self.early = Early::Wanted;
    }

    /// What it defines beside tables.
    pub async fn definitions(&mut self) -> Result<Definitions, Failure> {
        match std::mem::replace(&mut self.early, Early::No) {
            Early::Found(found) => found,
            Early::No | Early::Wanted => defined(&self.opener, &mut *self.control.lock().await).await,
        }
    }

    /// The statements that let `user` read it.
    pub async fn grants(&mut self, user: &str) -> Result<Vec<String>, Failure> {
        let shown = &self.opener.shown;
        let mut control = self.control.lock().await;
        let asked = rights::postgres::needed(&mut control, user);
        self.opener.limits.asking(shown, async { asked.await.map_err(|error| errors::failure(shown, error)) }).await
    }

    /// The rows of a small question whose columns are texts or small numbers.
    pub async fn ask(&mut self, question: &str) -> Result<Vec<Vec<String>>, Failure> {
        let shown = &self.opener.shown;
        let mut control = self.control.lock().await;
        let asked = sqlx::raw_sql(AssertSqlSafe(question)).fetch_all(&mut *control);
        let rows = self.opener.limits.asking(shown, async { asked.await.map_err(|error| errors::failure(shown, error)) }).await?;
        let text = |row: &PgRow, at| row.try_get_raw(at).ok().and_then(|value| Some(value.as_str().ok()?.to_owned())).unwrap_or_default();
        Ok(rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect())
    }

    /// The greatest value of a column.
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<Last>, Failure> {
        let shown = &self.opener.shown;
        let Some(column) = table.columns.iter().find(|one| one.name == column) else { return Ok(None) };
        let form = Form::of_in(column, self.texts);
        let question = last_value::greatest_in_postgres(table, column, form);
        let mut control = self.control.lock().await;
        let asked = sqlx::query_scalar(AssertSqlSafe(question)).fetch_optional(&mut *control);
        let text: Option<Option<String>> =
            self.opener.limits.asking(shown, async { asked.await.map_err(|error| errors::failure(shown, error)) }).await?;
        Ok(text.flatten().map(|text| Last::new(text, form)))
    }

    /// The log position, and the transaction snapshot (xmin, xmax, in progress), which is what makes two readings comparable.
    pub async fn position(&mut self) -> Value {
        let mut control = self.control.lock().await;
        let asked = tokio::time::timeout(self.opener.limits.silence, position(&mut control)).await;
        asked.unwrap_or_default()
    }

    /// Whether anything was committed since the snapshot was taken; nothing where that cannot be told. The server writes records of its own into
    /// its log, so that the log's position moves while nothing in the database does.
    pub async fn has_committed(&mut self) -> Option<bool> {
        let ours = self.position().await;
        let theirs = match (Opener { snapshot: None, ..self.opener.clone() }).open().await {
            Ok(mut fresh) => {
                let theirs = tokio::time::timeout(self.opener.limits.silence, position(&mut fresh)).await.unwrap_or_default();
                let _ = fresh.close().await;
                theirs
            }
            // The only session gives its snapshot up: this is asked when all is read.
            Err(failure) if failure.kind == FailureKind::Throttled => {
                execute(&mut *self.control.lock().await, "COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.ok()?;
                self.position().await
            }
            Err(_) => return None,
        };
        Some(ours["snapshot"].as_str()? != theirs["snapshot"].as_str()?)
    }

    /// Whether it has to read in one session, since the server gives no other; asks for one where there is none yet.
    pub async fn is_alone(&mut self) -> Result<bool, ReadError> {
        if let Some(worker) = self.worker().await? {
            self.workers.push(worker);
        }
        Ok(self.alone)
    }

    /// The digests of all rows of a table, in lanes; not where it [is alone](Self::is_alone). A table over which the server ended all of its
    /// sessions is read again, in one session, once the server is back.
    pub async fn digest(
        &mut self,
        table: &Table,
        digester: &Digester,
        mut kept: Option<&mut KeptTable<'_>>,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        let mut ends: Vec<End> = Vec::new();
        loop {
            let last_row = LastRow::default();
            let how = How { server: self.server, once: !ends.is_empty(), last_row: last_row.clone() };
            let kept = kept.take().filter(|_| !self.restarted);
            let (rows, lost) = match self.digest_once(table, (digester, kept), how, sink).await {
                Err(ReadError { rows, cause: Cause::Unreadable(failure) }) if failure.kind == FailureKind::Network => (rows, failure),
                read => return read,
            };
            let unreadable = |failure| ReadError { rows, cause: Cause::Unreadable(failure) };
            match self.what_ended().await {
                None => return Err(unreadable(lost)),
                Some(Gone { failure, is_asked_for: true }) => return Err(unreadable(failure)),
                Some(Gone { failure, .. }) if self.come_back().await.is_err() => return Err(unreadable(failure)),
                Some(_) => ends.push(End { after: last_row.take(), log: None }),
            }
            if let Some(failure) = ends::verdict(&ends) {
                return Err(unreadable(failure));
            }
            tokio::time::sleep(CALM).await;
            if self.what_ended().await.is_some() {
                // Tables after this one may be read all the same.
                let _ = self.come_back().await;
                return Err(unreadable(ends::unsteady()));
            }
            sink(Harvest::Again("the server ended while it was read, and is back"))
                .map_err(|failure| ReadError { rows, cause: Cause::Stopped(failure) })?;
        }
    }

    /// One reading of a table.
    async fn digest_once(
        &mut self,
        table: &Table,
        with: (&Digester, Option<&mut KeptTable<'_>>),
        how: How,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        let reading = block_ranges::digest(&self.opener, how, &mut self.workers, table, with, sink);
        if !matches!(self.early, Early::Wanted) {
            return reading.await;
        }
        // In a task of its own: rows that arrive without a pause leave the one that takes them in no time for anything else.
        let (opener, control) = (self.opener.clone(), self.control.clone());
        let asked = tokio::spawn(async move { defined(&opener, &mut *control.lock().await).await });
        let read = reading.await;
        self.early = asked.await.map_or(Early::No, Early::Found);
        read
    }

    /// What became of the server, where the session that holds the snapshot is gone too. A worker that was lost in the middle of its rows may
    /// not have been told why.
    async fn what_ended(&mut self) -> Option<Gone> {
        // Of a server that went away, what it said before is not the last word: it is asked again.
        self.early = Early::No;
        self.lost_snapshot().await
    }

    /// A worker that was lost in the middle of its rows may not have been told why; where the session that holds the snapshot went too, that
    /// one was.
    async fn first_cause(&mut self, read: Result<u64, ReadError>) -> Result<u64, ReadError> {
        match read {
            Err(ReadError { rows, cause: Cause::Unreadable(failure) }) if failure.kind == FailureKind::Network => {
                let gone = self.what_ended().await;
                let failure = match gone {
                    Some(Gone { failure, is_asked_for }) => {
                        // What is read after this can be read, once the server is back.
                        if !is_asked_for {
                            let _ = self.come_back().await;
                        }
                        failure
                    }
                    None => failure,
                };
                Err(ReadError { rows, cause: Cause::Unreadable(failure) })
            }
            read => read,
        }
    }

    /// Another snapshot where the first was lost, once the server answers again. It shows the same where nothing but the server's own recovery
    /// happened in between.
    async fn come_back(&mut self) -> Result<(), Failure> {
        let (opener, keeper) = (&self.opener, self.keeper.as_ref());
        let deadline = Instant::now() + opener.limits.comeback;
        let mut fresh = loop {
            restart::revive(keeper).await?;
            match Box::pin(Self::open(&opener.shown, opener.door.clone(), opener.limits, keeper.cloned())).await {
                Err(failure) if restart::may_come_back(&failure, deadline, opener, keeper).await => {}
                opened => break opened?,
            }
        };
        fresh.opener.heard = self.opener.heard.clone();
        fresh.restarted = true;
        let is_same = self.keeper.is_some() || fresh.standing == self.standing;
        let why = match (is_same, fresh.unlogged == self.unlogged) {
            (true, true) => None,
            (true, false) => Some("the server recovered while it was read, which empties tables that are unlogged"),
            (false, _) => Some("the server ended its sessions while it was read, and was written to, or is another one"),
        };
        fresh.two_states = self.two_states.take().or(why.map(str::to_owned));
        *self = fresh;
        Ok(())
    }

    /// A session over the snapshot; nothing where the server gives none beside the one that holds it. Where none opens because that one is gone,
    /// why it went is the reason.
    async fn worker(&mut self) -> Result<Option<PgWireSession>, ReadError> {
        if self.alone {
            return Ok(None);
        }
        if let Some(worker) = self.workers.pop() {
            return Ok(Some(worker));
        }
        let failure = match self.opener.reader().await {
            Ok(worker) => return Ok(Some(worker)),
            Err(failure) => failure,
        };
        match self.lost_snapshot().await {
            Some(lost) => Err(lanes::not_opened(lost.failure)),
            None if failure.kind == FailureKind::Throttled => {
                self.alone = true;
                let said = "tables are read in the session that holds the snapshot, one row after the other and each held whole, since the server \
                            gives no second one";
                self.opener.heard.note(format!("{said}: {failure}"));
                Ok(None)
            }
            None => Err(lanes::not_opened(failure)),
        }
    }

    /// What there is to say of how it is read, once.
    pub fn take_note(&self) -> Option<String> {
        self.opener.heard.take_note()
    }

    async fn lost_snapshot(&mut self) -> Option<Gone> {
        let mut control = self.control.lock().await;
        let asked = tokio::time::timeout(self.opener.limits.connect, execute(&mut control, "SELECT 1")).await;
        drop(control);
        let error = asked.ok()?.err().filter(errors::lost_connection)?;
        let is_asked_for = errors::was_asked_to_end(&error);
        let failure = errors::failure(&self.opener.shown, error).context("the session that holds the snapshot is gone");
        let failure = self.opener.explain(Failure { kind: FailureKind::Network, ..failure }).await;
        Some(Gone { failure, is_asked_for })
    }

    /// What must be the same where another session is to show the same rows: the server since it was started, the database, and the
    /// transactions that are visible; nothing where some were under way. Whatever is written takes a transaction of its own.
    pub async fn standing(&mut self) -> Option<Value> {
        let question = "SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_postmaster_start_time()::text, \
                        (SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = current_database())";
        let question = format!("{question}, {UNLOGGED}");
        let mut control = self.control.lock().await;
        let asked = sqlx::query(AssertSqlSafe(question)).fetch_one(&mut *control);
        let row = tokio::time::timeout(self.opener.limits.silence, asked).await.ok()?.ok()?;
        let unlogged: Option<String> = row.try_get(3).ok()?;
        let (snapshot, started, database): (String, String, i64) = (row.try_get(0).ok()?, row.try_get(1).ok()?, row.try_get(2).ok()?);
        let under_way = snapshot.rsplit_once(':').is_none_or(|(_, list)| !list.is_empty());
        (!under_way).then(|| json!({"snapshot": snapshot, "started": started, "database": database, "unlogged": unlogged}))
    }

    /// The server by the moment it was started and the port that it was given, whichever way the session came to it, and the database in it.
    /// The identifier of its data is no part: a physical restore has the one of its source.
    pub async fn identity(&mut self) -> Option<Value> {
        let question = "SELECT pg_catalog.pg_postmaster_start_time()::text || ' ' || pg_catalog.current_setting('port'), \
                        (SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = current_database())";
        let mut control = self.control.lock().await;
        let asked = tokio::time::timeout(self.opener.limits.silence, sqlx::query(question).fetch_one(&mut *control)).await;
        let row = asked.ok()?.ok()?;
        let (server, database): (Option<String>, i64) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
        server.map(|server| json!({"server": server, "database": database}))
    }

    /// Streams some columns of a table in one session.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let Some(mut worker) = self.worker().await? else {
            let outcome = alone::read(&mut *self.control.lock().await, (table, columns), self.opener.limits, &mut delivery).await;
            self.opener.heard.answered();
            let read = delivery.end(outcome.map(drop));
            return self.first_cause(read).await;
        };
        let outcome = stream(&mut worker, table, columns, self.opener.limits, &mut delivery).await;
        // In the middle of a stream, or in a failed transaction, a session is of no more use.
        if matches!(outcome, Ok(true)) {
            self.workers.push(worker);
        }
        let read = delivery.end(outcome.map(|_| ()));
        self.first_cause(read).await
    }

    /// Ends the sessions.
    pub async fn close(self) {
        let limit = self.opener.limits.connect;
        for worker in self.workers {
            let _ = tokio::time::timeout(limit, worker.close()).await;
        }
        if let Some(control) = Arc::into_inner(self.control) {
            let _ = tokio::time::timeout(limit, control.into_inner().close()).await;
        }
    }
}

/// What is defined beside tables. What is printed of an object is what it is now: where one that the snapshot shows is gone, definitions are
/// those of a moment later.
async fn defined(opener: &Opener, control: &mut PgConnection) -> Result<Definitions, Failure> {
    let (shown, answered) = (&opener.shown, AtomicU64::new(0));
    let first = async {
        let _ = execute(control, "SAVEPOINT definitions").await;
        let found = definitions::definitions(control, &answered).await;
        let after = if found.is_ok() { "RELEASE" } else { "ROLLBACK TO" };
        let _ = execute(control, &format!("{after} SAVEPOINT definitions")).await;
        Ok(found)
    };
    let mut found = opener.limits.asking_all(shown, &answered, first).await?;
    for _ in 0..ATTEMPTS {
        match found {
            Err(error) if definitions::is_of_change(&error) => {
                tokio::time::sleep(BETWEEN).await;
                let mut fresh = Opener { snapshot: None, ..opener.clone() }.open().await?;
                let asked = definitions::definitions(&mut fresh, &answered);
                found = opener.limits.asking_all(shown, &answered, async { Ok(asked.await) }).await?;
                let _ = tokio::time::timeout(opener.limits.connect, fresh.close()).await;
            }
            Ok(found) => return Ok(found),
            Err(error) => return Err(opener.explain(said(shown, error)).await),
        }
    }
    found.map_err(|error| said(shown, error))
}

/// What somebody else's change is, and any other error.
fn said(shown: &str, error: sqlx::Error) -> Failure {
    let of_change = !matches!(error, sqlx::Error::Database(_)) && definitions::is_of_change(&error);
    let failure = errors::failure(shown, error);
    if !of_change {
        return failure;
    }
    let message = format!("{shown}: an object was made, dropped or put in the place of another while the catalogue was read");
    let failure = Failure { kind: FailureKind::Busy, message, ..failure };
    failure.hint("somebody makes and drops objects in it all the time: run the same again when nobody does")
}

/// True when the stream was read to its end.
async fn stream(
    worker: &mut PgWireSession,
    table: &Table,
    columns: &[usize],
    limits: Limits,
    delivery: &mut Delivery<'_>,
) -> Result<bool, Broken> {
    let held = tokio::time::timeout(limits.silence, hold(worker, table)).await;
    held.unwrap_or_else(|_| Err(Broken::silent(limits.silence)))?;
    let mut stream = RowStream::open(worker, table, columns, &[], limits).await?;
    let mut row = std::mem::replace(&mut delivery.row, Row::empty());
    loop {
        match stream.some(BREATH, &mut row, &mut |row| delivery.deliver_row(row)).await? {
            Flow::On => {}
            flow => return Ok(flow == Flow::Ended),
        }
    }
}
