//! One open database, whichever engine: its tables, its position, and rows as they stream.
//!
//! Not here: the engines themselves (`postgres::snapshot`, `mysql::snapshot`, `sqlite::file`), and what rows are compared with.

use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::sql::connect::access::{Access, not_sql};
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::kept::KeptTable;
use crate::verify::sql::last_value::{Form, Last};
use crate::verify::sql::mysql::snapshot::MysqlSession;
use crate::verify::sql::postgres::catalog::shown_name;
use crate::verify::sql::postgres::snapshot::PostgresSession;
use crate::verify::sql::reading::{BREATH, Cause, Delivery, Engine, Harvest, HarvestSink, ReadError, Sink};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::digester::Digester;
use crate::verify::sql::rows::table::{Column, Table};
use crate::verify::sql::sqlite::file::SqliteSession;

/// An open database. What is asked of it is boxed where many questions are: whoever waits for an answer needs no room for them on its stack.
pub enum Database {
    /// PostgreSQL
    Postgres(Box<PostgresSession>),
    /// MySQL or MariaDB
    Mysql(Box<MysqlSession>),
    /// A SQLite file
    Sqlite(Box<SqliteSession>),
}

impl Database {
    /// Opens a session that reads one consistent snapshot and can write nothing.
    pub async fn open(url: &SourceUrl, access: &Access) -> Result<Self, Failure> {
        let shown = url.to_string();
        Ok(match url {
            SourceUrl::Postgres { url } => {
                let opening = Box::pin(PostgresSession::open(&shown, access.postgres(url)?, access.limits, access.keeper.clone()));
                Self::Postgres(Box::new(opening.await?))
            }
            SourceUrl::Mysql { url } => {
                let opening = Box::pin(MysqlSession::open(&shown, access.mysql(url)?, access.limits, access.keeper.clone()));
                Self::Mysql(Box::new(opening.await?))
            }
            SourceUrl::Sqlite { path } => Self::Sqlite(Box::new(SqliteSession::open(&shown, path).await?)),
            other => return Err(not_sql(other)),
        })
    }

    /// What two sessions have in common when they look at one and the same database, however its address was spelled; nothing where that
    /// cannot be told.
    pub async fn identity(&mut self) -> Option<Value> {
        match self {
            Self::Postgres(session) => session.identity().await,
            Self::Mysql(session) => session.identity(),
            Self::Sqlite(session) => session.identity(),
        }
    }

    /// The engine and its version.
    pub fn engine(&self) -> &Engine {
        match self {
            Self::Postgres(session) => session.engine(),
            Self::Mysql(session) => session.engine(),
            Self::Sqlite(session) => session.engine(),
        }
    }

    /// Whether anything changed since `before`, as far as the source shows it: what the position is now, where something did.
    pub async fn moved_since(&mut self, before: &Value) -> Option<Value> {
        let now = self.position().await;
        let committed = match self {
            Self::Postgres(session) if now != *before => session.has_committed().await,
            _ => None,
        };
        // A server that was restarted meanwhile may have done anything, and its log may say nothing of it.
        let restarted = matches!(self, Self::Mysql(session) if session.was_restarted());
        (restarted || (now != *before && committed != Some(false))).then_some(now)
    }

    /// Why not all that was read need be of one state: its server ended meanwhile.
    pub fn two_states(&self) -> Option<Failure> {
        match self {
            Self::Mysql(session) => session.two_states(),
            Self::Postgres(session) => session.two_states(),
            Self::Sqlite(_) => None,
        }
    }

    /// Base tables in ascending order of their names' bytes. Views, foreign tables and partitioned parents are not among them.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let mut tables = match self {
            Self::Postgres(session) => session.tables().await?,
            Self::Mysql(session) => session.tables().await?,
            Self::Sqlite(session) => session.tables().await?,
        };
        for table in &mut tables {
            table.constraints.sort();
            table.left_out.sort();
        }
        tables.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(tables)
    }

    /// The statements that let `user` read it.
    pub async fn grants(&mut self, user: &str) -> Result<Vec<String>, Failure> {
        match self {
            Self::Postgres(session) => session.grants(user).await,
            Self::Mysql(session) => session.grants(user).await,
            Self::Sqlite(session) => Ok(session.grants()),
        }
    }

    /// Why the reader does not see every table, where it does not. Catalogues of MySQL and MariaDB are silent about what one has no rights on.
    pub async fn partial_sight(&mut self) -> Result<Option<Failure>, Failure> {
        match self {
            Self::Mysql(session) => session.partial_sight().await,
            Self::Postgres(_) | Self::Sqlite(_) => Ok(None),
        }
    }

    /// Why a reader with such a partial sight may not read every column of `table`, where it may not.
    pub async fn withheld(&mut self, table: &Table) -> Option<Failure> {
        match self {
            Self::Mysql(session) => session.withheld(table).await,
            Self::Postgres(_) | Self::Sqlite(_) => None,
        }
    }

    /// What is defined beside tables is going to be asked: where a session is free, it is read beside the rows of the next table.
    pub fn expect_definitions(&mut self) {
        if let Self::Postgres(session) = self {
            session.expect_definitions();
        }
    }

    /// What is defined beside tables.
    pub async fn definitions(&mut self) -> Result<Definitions, Failure> {
        match self {
            Self::Postgres(session) => Box::pin(session.definitions()).await,
            Self::Mysql(session) => Box::pin(session.definitions()).await,
            Self::Sqlite(session) => session.definitions().await,
        }
    }

    /// The rows of a small question about the catalogue or a value, each column as text; NULL is empty.
    pub async fn ask(&mut self, question: &str) -> Result<Vec<Vec<String>>, Failure> {
        match self {
            Self::Postgres(session) => session.ask(question).await,
            Self::Mysql(session) => session.ask(question).await,
            Self::Sqlite(session) => session.ask(question).await,
        }
    }

    /// Partitions, each after what it is one of: of PostgreSQL all leaf partitions, as tables are named, with every table that they belong
    /// to; of MySQL and MariaDB those of `table`, subpartitions too.
    pub async fn partitions(&mut self, table: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
        let question = match (&self, table) {
            (Self::Postgres(_), _) => {
                "SELECT an.nspname::text, a.relname::text, cn.nspname::text, c.relname::text \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
                 CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid) t(relid) \
                 JOIN pg_catalog.pg_class a ON a.oid = t.relid AND a.oid <> c.oid JOIN pg_catalog.pg_namespace an ON an.oid = a.relnamespace \
                 WHERE c.relispartition AND c.relkind = 'r'".to_owned()
            }
            (Self::Mysql(_), Some(table)) => {
                let table = table.replace('\\', "\\\\").replace('\'', "''");
                format!(
                    "SELECT PARTITION_NAME, SUBPARTITION_NAME FROM information_schema.PARTITIONS \
                     WHERE TABLE_SCHEMA = database() AND TABLE_NAME = '{table}' AND PARTITION_NAME IS NOT NULL ORDER BY 1, 2"
                )
            }
            _ => return Ok(Vec::new()),
        };
        let mut found = Vec::new();
        for row in self.ask(&question).await? {
            match (&row[..], table) {
                ([schema, parent, own_schema, own], _) => found.push((shown_name(schema, parent), shown_name(own_schema, own))),
                (names, Some(table)) => found.extend(names.iter().map(|name| (table.to_owned(), name.clone()))),
                _ => {}
            }
        }
        found.retain(|(_, own)| !own.is_empty());
        found.dedup();
        Ok(found)
    }

    /// What whoever writes to it should know before all of it is read.
    pub fn caution(&self) -> Option<String> {
        match self {
            Self::Sqlite(session) => session.caution(),
            Self::Postgres(_) | Self::Mysql(_) => None,
        }
    }

    /// By what the values of a column are ordered; nothing in SQLite, whose values may be of any class.
    pub fn form_of(&self, column: &Column) -> Option<Form> {
        match self {
            Self::Postgres(session) => Form::of_in(column, session.texts),
            Self::Mysql(_) | Self::Sqlite(_) => Form::of(column),
        }
    }

    /// The greatest value of a column in what is read of a table, as the server writes it; nothing where that is empty.
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<Last>, Failure> {
        match self {
            Self::Postgres(session) => session.greatest(table, column).await,
            Self::Mysql(session) => session.greatest(table, column).await,
            Self::Sqlite(session) => session.greatest(table, column).await,
        }
    }

    /// Where the source stands now, in its own terms; what the reader may not see is left out.
    pub async fn position(&mut self) -> Value {
        match self {
            Self::Postgres(session) => session.position().await,
            Self::Mysql(session) => session.position().await,
            Self::Sqlite(session) => session.position().await,
        }
    }

    /// Streams the columns of `table` at `columns` (ascending indexes) into `row` and from there into `sink`. Gives the number of rows.
    pub async fn read(&mut self, table: &Table, columns: &[usize], row: Row, sink: Sink<'_>) -> Result<u64, ReadError> {
        let delivery = Delivery::new(row, sink);
        match self {
            Self::Postgres(session) => session.read(table, columns, delivery).await,
            Self::Mysql(session) => session.read(table, columns, delivery).await,
            Self::Sqlite(session) => session.read(table, columns, delivery).await,
        }
    }

    /// The digests of all rows of `table`, as `digester` makes them, in any order. Gives the number of rows.
    /// What `kept` has of an earlier run is not read again.
    pub async fn digest(
        &mut self,
        table: &Table,
        digester: &mut Digester,
        kept: Option<&mut KeptTable<'_>>,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        // Ranges are what lanes keep; what one session reads alone is read anew by the next run.
        if let Self::Postgres(session) = self
            && session.is_alone().await?
        {
            return self.digest_whole(table, digester, None, sink).await;
        }
        match self {
            Self::Postgres(session) => Box::pin(session.digest(table, digester, kept, sink)).await,
            Self::Mysql(session) => Box::pin(session.digest(table, digester, kept, sink)).await,
            Self::Sqlite(_) => self.digest_whole(table, digester, kept, sink).await,
        }
    }

    /// One session, one range.
    async fn digest_whole(
        &mut self,
        table: &Table,
        digester: &mut Digester,
        mut kept: Option<&mut KeptTable<'_>>,
        sink: HarvestSink<'_>,
    ) -> Result<u64, ReadError> {
        let stopped = |cause| ReadError { rows: 0, cause: Cause::Stopped(cause) };
        if let Some(kept) = &mut kept {
            kept.plan(vec![Vec::new()]).map_err(stopped)?;
            if kept.is_done(0) {
                return kept.replay(0, sink).map_err(stopped);
            }
        }
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let (row, mut records) = (digester.row(), Vec::new());
        let (mut rows, mut bytes) = (0, 0);
        let each = &mut |row: &Row| {
            digester.gather(row, &mut records);
            (rows, bytes) = (rows + 1, bytes + row.hashed_bytes());
            if rows < BREATH as u64 {
                return Ok(true);
            }
            let notes = digester.take_notes();
            if let Some(kept) = &mut kept {
                kept.append((0, 1), (&records, &notes), false)?;
            }
            sink(Harvest::Notes(&notes))?;
            let go_on = sink(Harvest::Records(&std::mem::take(&mut records)))?;
            Ok(go_on && sink(Harvest::Read { rows: std::mem::take(&mut rows), bytes: std::mem::take(&mut bytes) })?)
        };
        let read = self.read(table, &columns, row, each).await;
        sink(Harvest::Read { rows, bytes }).map_err(stopped)?;
        let read = read?;
        digester.flush(&mut records);
        let notes = digester.take_notes();
        if let Some(kept) = &mut kept {
            kept.append((0, 1), (&records, &notes), true).map_err(stopped)?;
        }
        sink(Harvest::Notes(&notes)).map_err(stopped)?;
        sink(Harvest::Records(&records)).map_err(stopped)?;
        Ok(read)
    }

    /// What there is to say of how it is read, once.
    pub fn take_note(&self) -> Option<String> {
        match self {
            Self::Postgres(session) => session.take_note(),
            Self::Mysql(session) => session.take_note(),
            Self::Sqlite(_) => None,
        }
    }

    /// What must be the same where another session, of another run, is to show the same rows; nothing where the source shows nothing
    /// that proves it.
    pub async fn standing(&mut self) -> Option<Value> {
        match self {
            Self::Postgres(session) => session.standing().await,
            Self::Mysql(session) => session.standing(),
            Self::Sqlite(session) => session.standing(),
        }
    }

    /// Ends the session politely.
    pub async fn close(self) {
        match self {
            Self::Postgres(session) => session.close().await,
            Self::Mysql(session) => session.close().await,
            Self::Sqlite(session) => session.close().await,
        }
    }
}
