//! Dumps loaded into a server that was just made for them, by a user without special rights.
//!
//! What the dump's own engine refuses is damage of the dump; a server that is gone or an extension that is not installed is not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::engines::area;
use crate::engines::definers;
use crate::engines::dumps::{Dump, Unloaded};
use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::engines::process::ProcessMark;
use crate::engines::refusals::{self, Origin, major};
use crate::engines::script::{Line, Needs, OWNERS, Script};
use crate::engines::servers::{Booted, Servers};
use crate::engines::{mariadb, postgres};
use crate::model::failure::{Failure, FailureKind};

/// A folder of pg_dump in the server's home, where its user may read it.
const FOLDER: &str = "dump";

impl Servers {
    /// Loads the dump at `path` into `master.database` of the server in the home `name`, which is empty.
    pub async fn load(&self, dump: Dump, path: &Path, name: &str, server: Booted, master: &Master) -> Result<(), Unloaded> {
        let database = master.database.as_deref().unwrap_or_default();
        if dump == Dump::MysqlPlain {
            let mut client = mariadb::client_of(self.programs(EngineKind::MariaDb)?, self.area(), server.port, master, database);
            client.stdin(open(path)?);
            let (mut accounts, mut line) = (BTreeSet::new(), Vec::new());
            let (mut reader, _) = self.script_of(Source::Plain, path, &[])?;
            while next_line(&mut reader, &mut line).await? {
                definers::note(&line, &mut accounts);
            }
            let text = mariadb::make_definers(&accounts, database) + &mariadb::restrict(&master.user, database);
            self.sql(EngineKind::MariaDb, name, server.port, "mysql", &text).await?;
            let said = spawn(client, "mariadb")?.wait_with_output().await.map_err(|error| Failure::io("mariadb", error))?;
            return judge(&said, server.process, path, |said| refusals::of_mariadb(said, path));
        }
        let (from, path) = match dump {
            Dump::PostgresFolder => {
                self.area().import(path, name, FOLDER)?;
                (Source::Folder, self.home(name).join(FOLDER))
            }
            Dump::PostgresArchive => (Source::Archive, path.to_owned()),
            _ => (Source::Plain, path.to_owned()),
        };
        let (needs, origin) = self.scan(from, &path).await?;
        let text = postgres::prepare(&master.user, database, OWNERS, &needs.roles, &needs.extensions);
        if let Err(failure) = self.sql(EngineKind::Postgres, name, server.port, database, &text).await {
            return Err(failure.context("what the dump needs of the server").hint("install the extensions that the source has").into());
        }
        let (said, script) = self.pass(from, &path, name, server.port, master, &needs).await?;
        judge(&said, server.process, &path, |said| refusals::of_postgres(said, &path, &origin))?;
        // Before event triggers are there, which would see it.
        self.permit_checks(EngineKind::Postgres, name, server.port, database, &master.user).await?;
        let last = script.for_administrator();
        match self.sql(EngineKind::Postgres, name, server.port, database, &last).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(Unloaded::Damaged(format!("{}: {failure}", path.display()))),
        }
    }

    /// What the script needs; a first pass over it.
    async fn scan(&self, from: Source, path: &Path) -> Result<(Needs, Origin), Unloaded> {
        let (mut script, mut line, mut origin) = (Script::default(), Vec::new(), Origin::default());
        let programs = self.programs(EngineKind::Postgres)?;
        origin.installed = major(&programs.version);
        // Data is left out where the archive's tool can do that; a script is read whole.
        let (mut reader, tool) = self.script_of(from, path, &["--schema-only"])?;
        while next_line(&mut reader, &mut line).await? {
            origin.note(&line);
            refuse(script.line(&line), path)?;
        }
        finish(tool, path).await?;
        if script.is_ambiguous() && !postgres::restricts(&programs.version) {
            let message = format!("{}: psql {} cannot be kept from running commands of this dump", path.display(), programs.version);
            return Err(Failure::new(FailureKind::Absent, message).hint("install the newest minor version of PostgreSQL's client").into());
        }
        origin.creates = script.needs.creates;
        Ok((script.needs, origin))
    }

    /// The second pass: the script into `psql`.
    async fn pass(
        &self,
        from: Source,
        path: &Path,
        name: &str,
        port: u16,
        master: &Master,
        needs: &Needs,
    ) -> Result<(Output, Script), Unloaded> {
        let programs = self.programs(EngineKind::Postgres)?;
        let mut client = postgres::client_of(programs, self.area(), port, master);
        client.stdin(Stdio::piped());
        let mut client = spawn(client, "psql")?;
        let mut stdin = client.stdin.take().ok_or_else(|| Failure::new(FailureKind::Remote, "psql takes no input"))?;
        let (mut reader, tool) = self.script_of(from, path, &[])?;
        let mut known = needs.roles.clone();
        let write = async {
            let (mut script, mut line) = (Script::loading(needs), Vec::new());
            let mut first = Vec::new();
            if postgres::restricts(&programs.version) {
                let mut key = [0u8; 24];
                getrandom::fill(&mut key).expect("the system's random source answers");
                first = format!("\\restrict {}\n", hex::encode(key)).into_bytes();
            }
            // A client that ends early says why on stderr.
            let mut taken = stdin.write_all(&first).await.is_ok();
            while taken && next_line(&mut reader, &mut line).await? {
                let out = match refuse(script.line(&line), path)? {
                    Line::Instead(text) => text,
                    Line::Pass => [&line[..], b"\n"].concat(),
                    _ => continue,
                };
                // Those of what the first pass does not read.
                let new: BTreeSet<String> = script.needs.roles.difference(&known).cloned().collect();
                if !new.is_empty() {
                    let text = postgres::make_roles(&master.user, &postgres::name(OWNERS), &new);
                    let database = master.database.as_deref().unwrap_or_default();
                    self.sql(EngineKind::Postgres, name, port, database, &text).await?;
                    known.extend(new);
                }
                taken = stdin.write_all(&out).await.is_ok();
            }
            if taken {
                let _ = stdin.write_all(&script.rest()).await;
            }
            drop(stdin);
            drop(reader);
            finish(tool, path).await.map(|()| script)
        };
        let (written, output) = tokio::join!(write, client.wait_with_output());
        let output = output.map_err(|error| Failure::io("psql", error))?;
        // Where the client gave up first, its own words count.
        match written {
            Ok(script) => Ok((output, script)),
            Err(_) if !output.status.success() => Ok((output, Script::default())),
            Err(error) => Err(error),
        }
    }

    /// The script, and the tool that writes it where it has to be unpacked.
    fn script_of(&self, from: Source, path: &Path, more: &[&str]) -> Result<(Reader, Option<Child>), Failure> {
        if from == Source::Plain {
            let file = tokio::fs::File::from_std(open(path)?);
            return Ok((BufReader::with_capacity(1 << 16, Box::new(file)), None));
        }
        let programs = self.programs(EngineKind::Postgres)?;
        let mut command = area::command(self.area(), &programs.tool(&["pg_restore"])?);
        command.args(["-f", "-"]).args(more).stdout(Stdio::piped());
        match from {
            Source::Folder => command.arg(path).stdin(Stdio::null()),
            _ => command.stdin(open(path)?),
        };
        let mut tool = spawn(command, "pg_restore")?;
        let out = tool.stdout.take().ok_or_else(|| Failure::new(FailureKind::Remote, "pg_restore has no output"))?;
        Ok((BufReader::with_capacity(1 << 16, Box::new(out)), Some(tool)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Plain,
    Archive,
    Folder,
}

type Reader = BufReader<Box<dyn AsyncRead + Send + Unpin>>;

fn open(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|error| Failure::io(format!("cannot open {}", path.display()), error))
}

fn spawn(mut command: Command, what: &str) -> Result<Child, Failure> {
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().map_err(|error| Failure::io(what, error))
}

/// The next line without its end; false at the end.
async fn next_line(reader: &mut Reader, line: &mut Vec<u8>) -> Result<bool, Failure> {
    line.clear();
    let read = reader.read_until(b'\n', line).await.map_err(|error| Failure::io("cannot read the dump", error))?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(read > 0)
}

/// The unpacking tool's own word.
async fn finish(tool: Option<Child>, path: &Path) -> Result<(), Unloaded> {
    let Some(tool) = tool else { return Ok(()) };
    let output = tool.wait_with_output().await.map_err(|error| Failure::io("pg_restore", error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = last_lines(&output.stderr);
    // A newer archive than the tool is no damage.
    if said.contains("unsupported version") {
        return Err(Failure::new(FailureKind::Absent, format!("{}: pg_restore: {said}", path.display()))
            .hint("install the version of PostgreSQL that the dump was written with, or a newer one")
            .into());
    }
    Err(Unloaded::Damaged(format!("{}: pg_restore: {said}", path.display())))
}

/// What must not go on.
fn refuse(line: Line, path: &Path) -> Result<Line, Unloaded> {
    match line {
        Line::Refuse(what) => Err(Failure::new(FailureKind::Refused, format!("{}: it holds {what}, which no dump needs", path.display()))
            .hint("look at it by hand: whoever wrote it wanted a program run where it is loaded")
            .into()),
        Line::Damaged(what) => Err(Unloaded::Damaged(format!("{}: it holds {what}", path.display()))),
        line => Ok(line),
    }
}

/// What the client's end means; `of` reads what it said.
fn judge(output: &Output, server: ProcessMark, path: &Path, of: impl Fn(&[u8]) -> Unloaded) -> Result<(), Unloaded> {
    if output.status.success() {
        return Ok(());
    }
    match of(&output.stderr) {
        said if server.is_alive() => Err(said),
        Unloaded::Damaged(said) => Err(ended(path, &said).into()),
        Unloaded::Failed(said) => Err(ended(path, &said.message).into()),
    }
}

fn ended(path: &Path, said: &str) -> Failure {
    Failure::new(FailureKind::Remote, format!("{}: the server ended while it was loaded: {said}", path.display()))
}

/// The first error of `pg_restore` and what follows it, in one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().position(|line| line.contains("ERROR") || line.contains("error")).unwrap_or(0);
    text.lines().skip(first).take(3).map(str::trim).collect::<Vec<_>>().join(" / ")
}
