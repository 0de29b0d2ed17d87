//! Recovery to a point in time: the archived write-ahead log of PostgreSQL, the binary log of MariaDB and MySQL, replayed over an earlier copy.
//!
//! Not here: which copy and which instant are wanted, and what a service promises about them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::engines::area::{self, log_folder};
use crate::engines::installed::EngineKind;
use crate::engines::servers::{Booted, Servers};
use crate::engines::{binary_log, mysql_family, postgres};
use crate::model::failure::{Failure, FailureKind};

/// How long a closed log segment may take to be archived.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(30);

impl Servers {
    /// Closes the log of a running server, so that everything committed before this call can be replayed elsewhere.
    pub async fn close_log(&self, kind: EngineKind, name: &str, port: u16) -> Result<(), Failure> {
        match kind {
            EngineKind::MariaDb | EngineKind::MySql => self.sql(kind, name, port, "mysql", binary_log::CLOSE).await.map(drop),
            EngineKind::Postgres => {
                let segment = self.sql(kind, name, port, "postgres", postgres::CLOSE_LOG).await?;
                let archive = self.log_of(name)?.join(segment.trim());
                let deadline = Instant::now() + ARCHIVE_PATIENCE;
                while !archive.is_file() {
                    if Instant::now() > deadline {
                        return Err(Failure::new(FailureKind::Remote, format!("{} was not archived", archive.display())));
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(())
            }
        }
    }

    /// Starts a server over the fresh home `name`: the copy in `base` with the log of `source` replayed over it, up to the instant
    /// `until` or to the log's end. `base` is a copy of `source` from before that instant.
    pub async fn rebuild(
        &self,
        kind: EngineKind,
        base: &str,
        source: &str,
        name: &str,
        until: Option<DateTime<Utc>>,
    ) -> Result<Booted, Failure> {
        self.copy(base, name).await?;
        match kind {
            EngineKind::Postgres => {
                let settings = postgres::recovery(self.area(), &self.home(name), &self.log_of(source)?, until)?;
                self.boot_with(kind, name, None, &settings).await
            }
            EngineKind::MariaDb | EngineKind::MySql => {
                let booted = self.boot(kind, name, None).await?;
                self.replay(kind, (base, source, name), until).await?;
                Ok(booted)
            }
        }
    }

    /// `mariadb-binlog … | mariadb`, `mysqlbinlog … | mysql`
    async fn replay(
        &self,
        kind: EngineKind,
        (base, source, name): (&str, &str, &str),
        until: Option<DateTime<Utc>>,
    ) -> Result<(), Failure> {
        let (programs, area) = (self.programs(kind)?, self.area());
        let failed = |error| Failure::io("cannot replay the binary log", error);
        let mut reader = binary_log::reader((kind, programs), area, &self.home(base), &self.home(source), until)?;
        reader.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut reader = reader.spawn().map_err(failed)?;
        let events: Stdio = match reader.stdout.take() {
            Some(events) => events.try_into().map_err(failed)?,
            None => return Err(Failure::new(FailureKind::Remote, "the binary log's reader has no output")),
        };
        let mut client = mysql_family::admin_client(programs, area, &self.home(name), None)?;
        client.stdin(events).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let client = client.spawn().map_err(failed)?;
        let (read, applied) = tokio::join!(reader.wait_with_output(), client.wait_with_output());
        area::finished("replaying the binary log", &applied.map_err(failed)?)?;
        area::finished("reading the binary log", &read.map_err(failed)?).map(drop)
    }

    fn log_of(&self, name: &str) -> Result<std::path::PathBuf, Failure> {
        log_folder(&self.home(name)).ok_or_else(|| Failure::new(FailureKind::Absent, format!("the server {name} keeps no log")))
    }
}
