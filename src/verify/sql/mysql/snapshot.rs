//! MySQL and MariaDB: one consistent snapshot in one session, more sessions where they prove to show the same, and prepared statements
//! whose rows stream in the binary protocol.

use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::errors::{self, Broken, GIVE_RIGHTS};
use crate::verify::sql::connect::heard::{Heard, with_patience};
use crate::verify::sql::connect::login::Door;
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::mysql as definitions;
use crate::verify::sql::kept::KeptTable;
use crate::verify::sql::lanes;
use crate::verify::sql::mysql::catalog;
use crate::verify::sql::mysql::key_ranges::{KeyRanges, ranges};
use crate::verify::sql::mysql::rows::RowStream;
use crate::verify::sql::mysql::session::{Mark, Opener};
use crate::verify::sql::reading::{BREATH, Cause, Delivery, Engine, Flow, HarvestSink, Limits, ReadError};
use crate::verify::sql::rights;
use crate::verify::sql::rights::mysql_held::Rights;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::digester::Digester;
use crate::verify::sql::rows::table::{Table, backticked};
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
}

impl MysqlSession {
    /// Opens the session; `shown` is the URL without secrets.
    pub async fn open(shown: &str, door: Door<MysqlOptions>, limits: Limits) -> Result<Self, Failure> {
        let failed = |error| errors::wire_failure(shown, error);
        let database = door.options().database.clone();
        let mut opener = Opener { shown: shown.to_owned(), door, limits, heard: Heard::default(), mariadb: false };
        let mut connection = with_patience(|| opener.connect()).await?;
        let ask = async { connection.ask("SELECT version()", &[]).await.map_err(failed) };
        let version = limits.asking(shown, ask).await?.first().and_then(|row| row.text(0)).unwrap_or_default();
        check_version(shown, &version)?;
        let name = if version.contains("MariaDB") { "mariadb" } else { "mysql" };
        opener.mariadb = name == "mariadb";
        let before = opener.mark(&mut connection).await;
        opener.pin(&mut connection).await?;
        let standing = Some(opener.mark(&mut connection).await).filter(|after| after.is_same(&before));
        let engine = Engine { name, version };
        Ok(Self { opener, database, connection: Some(connection), spare: Vec::new(), standing, server: before.server, engine })
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
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<String>, Failure> {
        let (shown, limits) = (self.opener.shown.clone(), self.opener.limits);
        // A FLOAT is printed with six digits, and as a double with all that it has.
        let is_float = table.columns.iter().any(|one| one.name == column && one.type_text.to_ascii_lowercase().starts_with("float"));
        let exact = if is_float { " + 0e0" } else { "" };
        let question = format!("SELECT CAST(MAX({}){exact} AS CHAR) FROM {}{}", backticked(column), table.sql_name, table.conditions(&[]));
        let connection = self.session().await?;
        let asked = async {
            let rows = connection.ask(&question, &[]).await.map_err(|error| errors::wire_failure(&shown, error))?;
            Ok(rows.first().and_then(|row| row.text(0)))
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

    /// The digests of all rows of a table, in lanes where the source stands still.
    pub async fn digest(
        &mut self,
        table: &Table,
        digester: &Digester,
        kept: Option<&mut KeptTable<'_>>,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        let limits = self.opener.limits;
        self.session().await.map_err(lanes::not_opened)?;
        let Some(mut first) = self.connection.take() else {
            return Err(lanes::not_opened(Failure::new(FailureKind::Network, format!("{}: no session", self.opener.shown))));
        };
        // A session that is new shows something else where the source has moved: then there is no other like it.
        let standing = self.standing.clone().filter(|_| table.unprotected.is_none());
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
        let (kept, lanes) = if standing.is_some() { (kept, limits.lanes) } else { (None, 1) };
        let source = KeyRanges { opener: self.opener.clone(), standing, table: table.clone() };
        let read = lanes::digest(source, (first, &mut self.spare), (ranges, lanes), digester, kept, sink).await;
        self.connection = self.spare.pop();
        read
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let limits = self.opener.limits;
        let outcome = match self.session().await {
            Ok(connection) => select(connection, table, columns, limits, &mut delivery).await,
            Err(failure) => return Err(lanes::not_opened(failure)),
        };
        match outcome {
            Ok(true) => delivery.end(Ok(())),
            // Rows are still on their way: the session cannot be asked anything else.
            Ok(false) => {
                self.connection = None;
                delivery.end(Ok(()))
            }
            Err(broken) => {
                self.connection = self.connection.take().filter(|session| !broken.lost && !session.is_busy());
                delivery.end(Err(broken))
            }
        }
    }

    /// The session, opened again where it was lost. A new session has a snapshot of its own: on a source that stands still, as a
    /// restored one does, it shows the same rows; the position after the reading tells where it did not stand still.
    async fn session(&mut self) -> Result<&mut WireSession, Failure> {
        self.connection = self.connection.take().filter(|session| !session.is_busy());
        if self.connection.is_none() {
            let mut connection = match self.spare.pop() {
                Some(connection) => connection,
                None => with_patience(|| self.opener.open()).await?,
            };
            let now = self.opener.mark(&mut connection).await;
            if self.standing.as_ref().is_some_and(|standing| !standing.is_same(&now)) {
                self.standing = None;
            }
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| Failure::new(FailureKind::Network, format!("{}: no session", self.opener.shown)))
    }

    /// Ends the sessions.
    pub async fn close(self) {
        for session in self.connection.into_iter().chain(self.spare) {
            let _ = tokio::time::timeout(self.opener.limits.connect, session.close()).await;
        }
    }
}

/// True when every row was read, false when the receiver had enough.
async fn select(
    connection: &mut WireSession,
    table: &Table,
    columns: &[usize],
    limits: Limits,
    delivery: &mut Delivery<'_>,
) -> Result<bool, Broken> {
    let mut stream = RowStream::open(connection, table, columns, &[], limits).await?;
    let mut row = std::mem::replace(&mut delivery.row, Row::empty());
    loop {
        match stream.some(BREATH, &mut row, &mut |row| delivery.deliver_row(row)).await? {
            Flow::On => {}
            flow => return Ok(flow == Flow::Ended),
        }
    }
}

/// MySQL 5.7 and MariaDB 10.3 are the oldest that are read; `8.0.36`, `5.5.5-10.11.6-MariaDB`.
fn check_version(shown: &str, version: &str) -> Result<(), Failure> {
    let (name, number, oldest) = match version.find("MariaDB") {
        Some(_) => ("MariaDB", version.strip_prefix("5.5.5-").unwrap_or(version), (10, 3)),
        None => ("MySQL", version, (5, 7)),
    };
    let mut parts = number.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if (major, minor) >= oldest => Ok(()),
        _ => Err(Failure::new(
            FailureKind::Remote,
            format!("{shown}: expected {name} {}.{} or later, found `{}`", oldest.0, oldest.1, version.escape_default()),
        )
        .hint("restore it into a newer server and read it there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        for good in ["8.0.36", "5.7.44-log", "10.11.6-MariaDB-0+deb12u1", "5.5.5-10.4.2-MariaDB", "11.4.1-MariaDB"] {
            assert!(check_version("mysql://h/d", good).is_ok(), "{good}");
        }
        for bad in ["5.6.51", "5.5.5-10.1.48-MariaDB", "10.2.44-MariaDB", "", "new"] {
            let error = check_version("mysql://h/d", bad).unwrap_err();
            assert!(error.kind == FailureKind::Remote && error.message.contains("or later"), "{bad}");
        }
    }
}
