//! Scripts of MariaDB and MySQL loaded into a server that was just made for them, by a user who holds the dump's databases and nothing
//! of the server.
//!
//! Not here: what is left out of a script (`mysql_script`), and what a refusal means (`refusals`).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::engines::definers::{self, Account};
use crate::engines::dumps::{self, Dump, Unloaded, elsewhere};
use crate::engines::installed::EngineKind;
use crate::engines::loading::{PIECE, heard, judge, next_piece, plain_script, spawn};
use crate::engines::master::Master;
use crate::engines::product::Product;
use crate::engines::refusals::{self, Way};
use crate::engines::servers::{Booted, Servers, blocking};
use crate::engines::{mariadb, mysql, mysql_family, mysql_script, time_zones};
use crate::model::failure::{Failure, FailureKind};

/// What is said of the client.
const CLIENT: &str = "the database's client";

impl Servers {
    /// Loads the script at `path` into `master.database` of the server of `kind` in the home `name`, which is empty.
    pub(super) async fn load_mysql_family(
        &self,
        kind: EngineKind,
        dump: Dump,
        path: &Path,
        name: &str,
        server: Booted,
        master: &Master,
    ) -> Result<(), Unloaded> {
        let programs = self.programs(kind)?;
        let database = master.database.as_deref().unwrap_or_default();
        let Names { accounts, mut databases, creates, zones } = names_in(path).await?;
        databases.insert(database.to_owned());
        if zones {
            let text = blocking(time_zones::statements).await.map_err(|failure| failure.context("the dump names time zones"))?;
            self.sql(kind, name, server.port, "mysql", &text).await?;
        }
        let text = match kind {
            EngineKind::MySql => mysql::confine(&programs.version, &master.user, &accounts, &databases),
            _ => mariadb::confine(&master.user, &accounts, &databases),
        };
        self.sql(kind, name, server.port, "mysql", &text).await?;
        let mut client = mysql_family::client_of(programs, self.area(), server.port, master, database);
        client.stdin(Stdio::piped());
        let mut client = spawn(client, CLIENT)?;
        let stdin = client.stdin().ok_or_else(|| Failure::new(FailureKind::Remote, format!("{CLIENT} takes no input")))?;
        let (written, said) = tokio::join!(write(path, stdin), heard(client, CLIENT));
        written?;
        let from = dumps::written_by(dump, path).unwrap_or(Product { engine: dump.engine(), version: String::new() });
        let way = Way { from, into: Product { engine: kind, version: programs.version.clone() }, creates };
        judge(&said?, server.process, path, |said| refusals::of_mysql_family(said, path, &way))
    }
}

/// What a script is read for before it is loaded.
#[derive(Default)]
struct Names {
    /// The accounts that its objects run as.
    accounts: BTreeSet<Account>,
    /// The databases that it fills.
    databases: BTreeSet<String>,
    /// It defines tables.
    creates: bool,
    /// It names time zones.
    zones: bool,
}

/// The first pass.
async fn names_in(path: &Path) -> Result<Names, Unloaded> {
    let (mut names, mut line) = (Names::default(), Vec::new());
    let (mut reader, mut begins) = (plain_script(path)?, true);
    while let Some(ended) = next_piece(&mut reader, &mut line, PIECE).await? {
        if begins {
            definers::note(&line, &mut names.accounts);
            names.creates |= line.starts_with(b"CREATE TABLE");
            names.zones |= mysql_script::wants_zones(&line);
            if mysql_script::keeps_elsewhere(&line) {
                let said = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
                return Err(elsewhere(format!("{}: it keeps a table outside of the server's own folder: {said}", path.display())));
            }
            names.databases.extend(mysql_script::database_of(&line).filter(|name| !mysql_script::is_of_the_server(name)));
        }
        begins = ended;
    }
    Ok(names)
}

/// The second pass: the script into the client, but for what is of the server that it was written on.
async fn write(path: &Path, mut stdin: tokio::process::ChildStdin) -> Result<(), Failure> {
    let (mut reader, mut line) = (plain_script(path)?, Vec::new());
    let (mut script, mut begins, mut passes) = (mysql_script::Script::default(), true, true);
    while let Some(ended) = next_piece(&mut reader, &mut line, PIECE).await? {
        if ended {
            line.push(b'\n');
        }
        if begins {
            passes = script.passes(&line);
        }
        begins = ended;
        // A client that ends early says why on stderr.
        if passes && stdin.write_all(&line).await.is_err() {
            break;
        }
    }
    Ok(())
}
