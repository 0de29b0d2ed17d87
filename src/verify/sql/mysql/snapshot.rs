//! MySQL and MariaDB: one consistent snapshot in one session, more sessions where they prove to show the same, and prepared statements
//! whose rows stream in the binary protocol.

use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::ends::{self, End, LastRow, MOST_ENDS};
use crate::verify::sql::connect::errors::{self, Broken, GIVE_RIGHTS};
use crate::verify::sql::connect::heard::{Heard, with_patience};
use crate::verify::sql::connect::keeper::Keeping;
use crate::verify::sql::connect::login::Door;
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::mysql as definitions;
use crate::verify::sql::kept::KeptTable;
use crate::verify::sql::lanes;
use crate::verify::sql::last_value::{Form, Last, operand};
use crate::verify::sql::mysql::catalog;
use crate::verify::sql::mysql::key_ranges::{KeyRanges, ranges};
use crate::verify::sql::mysql::restart::{self, Life};
use crate::verify::sql::mysql::select::{Selected, select};
use crate::verify::sql::mysql::session::{Mark, Opener};
use crate::verify::sql::mysql::version::check_version;
use crate::verify::sql::reading::{Cause, Delivery, Engine, Harvest, HarvestSink, Limits, ReadError};
use crate::verify::sql::rights;
use crate::verify::sql::rights::mysql_held::Rights;
use crate::verify::sql::rows::digester::Digester;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::table::{Table, Wire};
use crate::verify::sql::wire::mysql::options::MysqlOptions;
use crate::verify::sql::wire::mysql::session::WireSession;

/// A database and the session that holds its snapshot.
pub struct MysqlSession {
    opener: Opener,
    database: String,
    connection: Option<WireSession>,
    /// Sessions that show the same, between two tables.
    spare: Vec<WireSession>,
    /// Where the source stood when the snapshot was taken; nothing where it moved then, or shows nothing.
    standing: Option<Mark>,
    /// The server as it names itself, whether or not it stands still.
    server: Option<String>,
    engine: Engine,
    /// What brings the server back where it ends.
    keeper: Option<Keeping>,
    /// How long the server had been running when it was first asked, or when it was back.
    life: Option<Life>,
    restarted: bool,
    /// The table that was being read when the server went away for good.
    lost_at: Option<String>,
    /// Why what was read before and what is read now need not be of one state.
    two_states: Option<String>,
}

/// What has become of a server that went away.
enum Back {
    /// It was there all the time; the session alone was lost.
    Same,
    /// It ended and was started again; what its log says of it.
    Restarted(Option<String>),
}

impl MysqlSession {
    /// Opens the session; `shown` is the URL without secrets.
    pub async fn open(shown: &str, door: Door<MysqlOptions>, limits: Limits, keeper: Option<Keeping>) -> Result<Self, Failure> {
        let failed = |error| errors::wire_failure(shown, error);
        let database = door.options().database.clone();
        let mut opener = Opener { shown: shown.to_owned(), door, limits, heard: Heard::default(), mariadb: false };
        let mut connection = with_patience(|| opener.connect()).await?;
        let ask = async { connection.ask("SELECT version()", &[]).await.map_err(failed) };
        let version = limits.asking(shown, ask).await?.first().and_then(|row| row.text(0)).unwrap_or_default();
        check_version(shown, &version)?;
        let name = if version.contains("MariaDB") { "mariadb" } else { "mysql" };
        opener.mariadb = name == "mariadb";
        let life = limits.asking(shown, async { Ok(Life::of(&mut connection).await) }).await?;
        let before = opener.mark(&mut connection).await;
        opener.pin(&mut connection).await?;
        let standing = Some(opener.mark(&mut connection).await).filter(|after| after.is_same(&before));
        let engine = Engine { name, version };
        let (connection, spare, server) = (Some(connection), Vec::new(), before.server);
        Ok(Self {
            opener,
            database,
            connection,
            spare,
            standing,
            server,
            engine,
            keeper,
            life,
            restarted: false,
            lost_at: None,
            two_states: None,
        })
    }

    /// Whether the server was restarted since the first session was opened.
    pub fn was_restarted(&self) -> bool {
        self.restarted
    }

    /// Why not all that was read need be of one state: the server ended meanwhile, and somebody else started one there again. A server that its
    /// keeper starts again has the data that it had.
    pub fn two_states(&self) -> Option<Failure> {
        Some(ends::two_states(&self.opener.shown, self.two_states.as_ref()?))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let (shown, database, limits) = (self.opener.shown.clone(), self.database.clone(), self.opener.limits);
        let connection = self.session().await?;
        let tables = async { catalog::tables(connection, &database).await.map_err(|error| errors::wire_failure(&shown, error)) };
        limits.asking(&shown, tables).await
    }

    /// What it defines beside tables.
    pub async fn definitions(&mut self) -> Result<Definitions, Failure> {
        let (shown, database, limits) = (self.opener.shown.clone(), self.database.clone(), self.opener.limits);
        let mariadb = self.engine.name == "mariadb";
        let connection = self.session().await?;
        let asked =
            async { definitions::definitions(connection, &database, mariadb).await.map_err(|error| errors::wire_failure(&shown, error)) };
        match limits.asking(&shown, asked).await {
            Ok(found) => Ok(found),
            Err(failure) => Err(self.opener.explain(failure).await),
        }
    }

    /// The statements that let `user` read it.
    pub async fn grants(&mut self, user: &str) -> Result<Vec<String>, Failure> {
        let (shown, database, limits) = (self.opener.shown.clone(), self.database.clone(), self.opener.limits);
        let connection = self.session().await?;
        let asked = async { rights::mysql::needed(connection, &database, user).await.map_err(|error| errors::wire_failure(&shown, error)) };
        limits.asking(&shown, asked).await
    }

    /// Why this reader does not see every table, where it does not.
    pub async fn partial_sight(&mut self) -> Result<Option<Failure>, Failure> {
        let (shown, database, limits) = (self.opener.shown.clone(), self.database.clone(), self.opener.limits);
        let mariadb = self.engine.name == "mariadb";
        let connection = self.session().await?;
        let asked = async { Rights::of(connection, &database, mariadb).await.map_err(|error| errors::wire_failure(&shown, error)) };
        let rights = limits.asking(&shown, asked).await?;
        let said = format!(
            "{shown}: the reader has no SELECT on the whole database: only the tables and columns that it was granted are shown to it"
        );
        Ok((!rights.holds("SELECT")).then(|| Failure::new(FailureKind::Denied, said).hint(GIVE_RIGHTS)))
    }

    /// Why the reader may not read every column of `table`, where it may not: it is not even told of the others.
    pub async fn withheld(&mut self, table: &Table) -> Option<Failure> {
        let (shown, limits) = (self.opener.shown.clone(), self.opener.limits);
        let question = format!("SELECT * FROM {} LIMIT 0", table.sql_name);
        let connection = self.session().await.ok()?;
        let asked = async { connection.ask(&question, &[]).await.map_err(|error| errors::wire_failure(&shown, error)) };
        limits.asking(&shown, asked).await.err().filter(|failure| failure.kind == FailureKind::Denied)
    }

    /// The rows of a small question.
    pub async fn ask(&mut self, question: &str) -> Result<Vec<Vec<String>>, Failure> {
        let (shown, limits) = (self.opener.shown.clone(), self.opener.limits);
        let connection = self.session().await?;
        let asked = async { connection.ask(question, &[]).await.map_err(|error| errors::wire_failure(&shown, error)) };
        let rows = limits.asking(&shown, asked).await?;
        Ok(rows.iter().map(|row| (0..row.0.len()).map(|at| row.text(at).unwrap_or_default()).collect()).collect())
    }

    /// The greatest value of a column.
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<Last>, Failure> {
        let (shown, limits) = (self.opener.shown.clone(), self.opener.limits);
        let Some(column) = table.columns.iter().find(|one| one.name == column) else { return Ok(None) };
        let form = Form::of(column);
        let greatest = format!("MAX({})", operand(self.engine.name, column, form));
        let text = match &column.wire {
            // A FLOAT is printed with six digits, and as a double with all that it has.
            Wire::Mysql(MysqlType::Float) => format!("CAST({greatest} + 0e0 AS CHAR)"),
            // Bits and bytes are no text.
            Wire::Mysql(MysqlType::Bit(_)) => format!("CAST({greatest} + 0 AS CHAR)"),
            Wire::Mysql(MysqlType::Bytes) => format!("HEX({greatest})"),
            Wire::Mysql(MysqlType::Text) => format!("CONVERT({greatest} USING utf8mb4)"),
            _ => format!("CAST({greatest} AS CHAR)"),
        };
        let question = format!("SELECT {text} FROM {}{}", table.sql_name, table.conditions(&[]));
        let connection = self.session().await?;
        let asked = async {
            let rows = connection.ask(&question, &[]).await.map_err(|error| errors::wire_failure(&shown, error))?;
            Ok(rows.first().and_then(|row| row.text(0)).map(|text| Last { text, form }))
        };
        limits.asking(&shown, asked).await
    }

    /// What there is to say of how it is read, once.
    pub fn take_note(&self) -> Option<String> {
        self.opener.heard.take_note()
    }

    /// GTID sets and binary log position, as far as the reader may see them.
    pub async fn position(&mut self) -> Value {
        let opener = self.opener.clone();
        let Ok(connection) = self.session().await else { return json!({}) };
        opener.mark(connection).await.position()
    }

    /// The server as it names itself, and the database in it.
    pub fn identity(&self) -> Option<Value> {
        let server = self.server.as_ref()?;
        Some(json!({"server": server, "database": self.database}))
    }

    /// Where the source stood when the snapshot was taken, where it proves that.
    pub fn standing(&self) -> Option<Value> {
        self.standing.as_ref().map(Mark::standing)
    }

    /// The digests of all rows of a table, in lanes where the source stands still. A table at which the server ended is read again, in one
    /// session, once the server is back.
    pub async fn digest(
        &mut self,
        table: &Table,
        digester: &Digester,
        mut kept: Option<&mut KeptTable<'_>>,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        let mut ends: Vec<End> = Vec::new();
        let mut restarts = 0;
        loop {
            let last_row = LastRow::default();
            let read = self.digest_once(table, digester, (kept.take(), &last_row), restarts > 0, sink).await;
            let is_read = read.is_ok();
            let read = match read {
                Ok(rows) => self.is_still(table, rows).await,
                stopped => stopped,
            };
            let (rows, lost) = match read {
                Err(ReadError { rows, cause: Cause::Unreadable(failure) }) if failure.kind == FailureKind::Network => (rows, failure),
                ended => return ended,
            };
            let unreadable = |failure| ReadError { rows, cause: Cause::Unreadable(failure) };
            // One lane alone was cut off: the others still show what all of them did. Or it has been waited for in vain.
            let has_survivor = self.has_survivor().await;
            if (has_survivor && !is_read) || self.lost_at.is_some() {
                return Err(unreadable(lost));
            }
            let back = if has_survivor { Ok(Back::Same) } else { self.come_back().await };
            let log = match back {
                Ok(Back::Restarted(log)) => log,
                // All rows were there already.
                Ok(Back::Same) if is_read => return self.is_still(table, rows).await,
                Ok(Back::Same) => return Err(unreadable(lost)),
                Err(gone) => {
                    self.lost_at = Some(table.name.clone());
                    // That nothing listens there any more has been said already.
                    let is_said = self.keeper.is_none() && gone.kind == FailureKind::Network;
                    let more = if is_said { String::new() } else { format!("; it does not come back: {gone}") };
                    let message = lost.message.clone() + &more;
                    return Err(unreadable(Failure { message, ..lost }));
                }
            };
            restarts += 1;
            if is_read && restarts >= MOST_ENDS {
                return Err(unreadable(lost));
            }
            // One that ends when all rows have been read does not end for any of them.
            ends.extend((!is_read).then(|| End { after: last_row.take(), log }));
            if let Some(failure) = ends::verdict(&ends) {
                return Err(unreadable(failure));
            }
            let of_damage = !is_read && ends.last().is_some_and(End::is_of_damage);
            if let Some(session) = self.connection.as_mut().filter(|_| !of_damage)
                && !restart::stays(session).await
            {
                self.connection = None;
                return Err(unreadable(ends::unsteady()));
            }
            sink(Harvest::Again("the server ended while it was read, and is back"))
                .map_err(|failure| ReadError { rows, cause: Cause::Stopped(failure) })?;
        }
    }

    /// One reading of a table; `again` in one session.
    async fn digest_once(
        &mut self,
        table: &Table,
        digester: &Digester,
        (kept, last_row): (Option<&mut KeptTable<'_>>, &LastRow),
        again: bool,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        let limits = self.opener.limits;
        self.session_for(table).await.map_err(lanes::not_opened)?;
        let Some(mut first) = self.connection.take() else {
            return Err(lanes::not_opened(Failure::new(FailureKind::Network, format!("{}: no session", self.opener.shown))));
        };
        // A session that is new shows something else where the source has moved: then there is no other like it.
        let standing = self.standing.clone().filter(|_| table.unprotected.is_none() && !again);
        let cut = match &standing {
            Some(_) => tokio::time::timeout(limits.silence, ranges(&mut first, table)).await,
            None => Ok(Ok(vec![Vec::new()])),
        };
        let ranges = match cut.unwrap_or_else(|_| Err(Broken::silent(limits.silence))) {
            Ok(ranges) => ranges,
            Err(broken) => {
                self.connection = Some(first).filter(|session| !broken.lost && !session.is_busy());
                return Err(ReadError { rows: 0, cause: Cause::Unreadable(broken.failure()) });
            }
        };
        // What is kept is of where the source stood at first.
        let kept = kept.filter(|_| standing.is_some() && !self.restarted);
        let lanes = if standing.is_some() { limits.lanes } else { 1 };
        let source = KeyRanges { opener: self.opener.clone(), standing, table: table.clone(), last_row: last_row.clone() };
        let read = lanes::digest(source, (first, &mut self.spare), (ranges, lanes), digester, kept, sink).await;
        self.connection = self.spare.pop();
        read
    }

    /// Whether a session of those that were opened first still answers; it is the one that is asked from now on.
    async fn has_survivor(&mut self) -> bool {
        while let Some(mut session) = self.connection.take().or_else(|| self.spare.pop()) {
            let asked = tokio::time::timeout(self.opener.limits.connect, session.ask("SELECT 1", &[])).await;
            if asked.is_ok_and(|answer| answer.is_ok()) {
                self.connection = Some(session);
                return true;
            }
        }
        false
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let (opener, standing) = (self.opener.clone(), self.standing.clone());
        let outcome = match self.session().await {
            Ok(connection) => select(connection, table, columns, (&opener, standing.as_ref()), &mut delivery).await,
            Err(failure) => return Err(lanes::not_opened(failure)),
        };
        match outcome {
            Ok(Selected::All) => {
                let rows = delivery.end(Ok(()))?;
                self.is_still(table, rows).await
            }
            Ok(Selected::Enough) => delivery.end(Ok(())),
            Ok(Selected::Instead(session)) => {
                self.connection = Some(session);
                delivery.end(Ok(()))
            }
            Err(broken) => {
                self.connection = self.connection.take().filter(|session| !broken.lost && !session.is_busy());
                delivery.end(Err(broken))
            }
        }
    }

    /// `rows` where it was this table that they were read of, and not another that somebody put in its place meanwhile.
    async fn is_still(&mut self, table: &Table, rows: u64) -> Result<u64, ReadError> {
        let (database, limits) = (self.database.clone(), self.opener.limits);
        let unreadable = |failure| ReadError { rows, cause: Cause::Unreadable(failure) };
        let session = self.session_for(table).await.map_err(unreadable)?;
        let asked = tokio::time::timeout(limits.silence, catalog::is_still(session, &database, table)).await;
        asked.unwrap_or_else(|_| Err(Broken::silent(limits.silence))).map_err(|broken| unreadable(broken.failure()))?;
        Ok(rows)
    }

    /// The session, for a table: where the server does not come back, it was with that one that it was waited for.
    async fn session_for(&mut self, table: &Table) -> Result<&mut WireSession, Failure> {
        if let Err(gone) = self.session().await {
            self.lost_at.get_or_insert_with(|| table.name.clone());
            return Err(gone);
        }
        self.session().await
    }

    /// The session, opened again where it was lost. A new session has a snapshot of its own: on a source that stands still, as a
    /// restored one does, it shows the same rows; the position after the reading tells where it did not stand still.
    async fn session(&mut self) -> Result<&mut WireSession, Failure> {
        self.connection = self.connection.take().filter(|session| !session.is_busy());
        while self.connection.is_none() {
            match (self.spare.pop(), self.lost_at.clone()) {
                (Some(mut connection), _) => {
                    let now = self.opener.mark(&mut connection).await;
                    // One that does not answer shows nothing of where the source stands.
                    if !connection.is_busy() {
                        self.standing = self.standing.take().filter(|standing| standing.is_same(&now));
                        self.connection = Some(connection);
                    }
                }
                (None, None) => drop(self.come_back().await?),
                // It has been waited for.
                (None, Some(table)) => {
                    let gone = with_patience(|| self.opener.open()).await;
                    self.connection = Some(gone.map_err(|gone| {
                        let message = format!("{}; it went away while the table {table} was read", gone.message);
                        Failure { message, ..gone }
                    })?);
                    (self.standing, self.restarted) = (None, true);
                    self.two_states = Some(format!("it went away while the table {table} was read, and came back"));
                }
            }
        }
        self.connection.as_mut().ok_or_else(|| Failure::new(FailureKind::Network, format!("{}: no session", self.opener.shown)))
    }

    /// A new session where one was lost, once the server answers again.
    async fn come_back(&mut self) -> Result<Back, Failure> {
        let (mut connection, revived) = restart::come_back(&self.opener, self.keeper.as_ref()).await?;
        let life = tokio::time::timeout(self.opener.limits.silence, Life::of(&mut connection)).await.ok().flatten();
        let restarted = revived.is_some() || self.life.zip(life).is_some_and(|(before, now)| before.was_restarted_until(&now));
        let before = self.opener.mark(&mut connection).await;
        self.opener.pin(&mut connection).await?;
        let now = self.opener.mark(&mut connection).await;
        self.connection = Some(connection);
        if !restarted {
            self.standing = self.standing.take().filter(|standing| standing.is_same(&now));
            // Nobody else writes to a server of the drill's own.
            if self.standing.is_none() && self.keeper.is_none() && self.two_states.is_none() {
                self.two_states = Some("a session was lost, and nothing shows that the server stood still until the next one".to_owned());
            }
            return Ok(Back::Same);
        }
        if revived.is_none() {
            self.two_states = Some("the server was started again while it was read".to_owned());
        }
        self.spare.clear();
        (self.life, self.restarted) = (life, true);
        self.standing = Some(now).filter(|now| now.is_same(&before));
        Ok(Back::Restarted(revived.unwrap_or_default().log))
    }

    /// Ends the sessions.
    pub async fn close(self) {
        for session in self.connection.into_iter().chain(self.spare) {
            let _ = tokio::time::timeout(self.opener.limits.connect, session.close()).await;
        }
    }
}
