//! Dumps loaded into a server that was just made for them, by a user without special rights.
//!
//! What the dump's own engine refuses is damage of the dump; a server that is gone or an extension that is not installed is not.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::engines::area;
use crate::engines::dumps::{Dump, Unloaded};
use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::engines::process::ProcessMark;
use crate::engines::script::{Line, Script};
use crate::engines::servers::{Booted, Servers};
use crate::engines::{mariadb, postgres};
use crate::model::failure::{Failure, FailureKind};

/// The role that owns the database while a dump is loaded into it, with every owner in the dump as a member.
const OWNERS: &str = "attestore_owners";
/// A folder of pg_dump in the server's home, where its user may read it.
const FOLDER: &str = "dump";

impl Servers {
    /// Loads the dump at `path` into `master.database` of the server in the home `name`, which is empty.
    pub async fn load(&self, dump: Dump, path: &Path, name: &str, server: Booted, master: &Master) -> Result<(), Unloaded> {
        let database = master.database.as_deref().unwrap_or_default();
        let said = match dump {
            Dump::MysqlPlain => {
                let mut client = mariadb::client_of(self.programs(EngineKind::MariaDb)?, self.area(), server.port, master, database);
                client.stdin(open(path)?);
                spawn(client, "mariadb")?.wait_with_output().await.map_err(|error| Failure::io("mariadb", error))?
            }
            _ => {
                let (from, path) = match dump {
                    Dump::PostgresFolder => {
                        self.area().import(path, name, FOLDER)?;
                        (Source::Folder, self.home(name).join(FOLDER))
                    }
                    Dump::PostgresArchive => (Source::Archive, path.to_owned()),
                    _ => (Source::Plain, path.to_owned()),
                };
                let needs = self.scan(from, &path).await?;
                self.prepare(name, server.port, database, &master.user, &needs).await?;
                self.pass(from, &path, server.port, master).await?
            }
        };
        judge(&said, server.process, path)
    }

    /// What the script needs; a first pass over it.
    async fn scan(&self, from: Source, path: &Path) -> Result<Script, Unloaded> {
        let (mut script, mut line) = (Script::default(), Vec::new());
        // Data is left out where the archive's tool can do that; a script is read whole.
        let (mut reader, tool) = self.script_of(from, path, &["--schema-only"])?;
        while next_line(&mut reader, &mut line).await? {
            if let Line::Refuse(what) = script.line(&line) {
                return Err(Failure::new(FailureKind::Refused, format!("{}: it holds {what}, which no dump needs", path.display()))
                    .hint("look at it by hand: whoever wrote it wanted a program run where it is loaded")
                    .into());
            }
        }
        finish(tool, path).await?;
        Ok(script)
    }

    /// Roles and extensions of the dump, made by the administrator: the dump itself is loaded without such rights.
    async fn prepare(&self, name: &str, port: u16, database: &str, user: &str, needs: &Script) -> Result<(), Unloaded> {
        // Objects are handed to owners who must be allowed to own them there: all of them share the ownership of the database.
        let owners = postgres::name(OWNERS);
        let mut text = format!(
            "CREATE ROLE {owners};\nGRANT {owners} TO {};\nALTER DATABASE {} OWNER TO {owners};\n",
            postgres::name(user),
            postgres::name(database)
        );
        for role in needs.roles.iter().filter(|role| *role != user) {
            let role = postgres::name(role);
            text += &format!("DO $do$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR reserved_name THEN NULL; END $do$;\n");
            let user = postgres::name(user);
            text += &format!(
                "DO $do$ BEGIN GRANT {role} TO {user}; GRANT {owners} TO {role}; EXCEPTION WHEN undefined_object THEN NULL; END $do$;\n"
            );
        }
        for extension in &needs.extensions {
            text += &format!("CREATE EXTENSION IF NOT EXISTS {};\n", postgres::name(extension));
        }
        match self.sql(EngineKind::Postgres, name, port, database, &text).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                Err(failure.context("what the dump needs of the server").hint("install the extensions that the source has").into())
            }
        }
    }

    /// The second pass: the script into `psql`.
    async fn pass(&self, from: Source, path: &Path, port: u16, master: &Master) -> Result<Output, Unloaded> {
        let mut client = postgres::client_of(self.programs(EngineKind::Postgres)?, self.area(), port, master);
        client.stdin(Stdio::piped());
        let mut client = spawn(client, "psql")?;
        let mut stdin = client.stdin.take().ok_or_else(|| Failure::new(FailureKind::Remote, "psql takes no input"))?;
        let (mut reader, tool) = self.script_of(from, path, &[])?;
        let write = async {
            let (mut script, mut line) = (Script::default(), Vec::new());
            while next_line(&mut reader, &mut line).await? {
                if script.line(&line) == Line::Pass {
                    line.push(b'\n');
                    // A client that ends early says why on stderr.
                    if stdin.write_all(&line).await.is_err() {
                        break;
                    }
                }
            }
            drop(stdin);
            drop(reader);
            finish(tool, path).await
        };
        let (written, output) = tokio::join!(write, client.wait_with_output());
        let output = output.map_err(|error| Failure::io("psql", error))?;
        // Where the client gave up first, its own words count.
        if output.status.success() {
            written?;
        }
        Ok(output)
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

fn judge(output: &Output, server: ProcessMark, path: &Path) -> Result<(), Unloaded> {
    if output.status.success() {
        return Ok(());
    }
    let said = last_lines(&output.stderr);
    if !server.is_alive() {
        return Err(Failure::new(FailureKind::Remote, format!("{}: the server ended while it was loaded: {said}", path.display())).into());
    }
    // 42501, insufficient_privilege: the dump is loaded without special rights, for whoever wrote it may have wanted more than a restore.
    if said.contains("ERROR:  42501:") {
        let message = format!("{}: it wants rights that are withheld where it is loaded: {said}", path.display());
        return Err(Failure::new(FailureKind::Refused, message)
            .hint("restore it yourself where you trust it, and compare that database with `attestore verify`")
            .into());
    }
    Err(Unloaded::Damaged(format!("{}: {said}", path.display())))
}

/// The first error and what follows it, in one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().position(|line| line.contains("ERROR") || line.contains("error")).unwrap_or(0);
    text.lines().skip(first).take(3).map(str::trim).collect::<Vec<_>>().join(" / ")
}
