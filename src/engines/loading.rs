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
use crate::engines::dumps::{Dump, Unloaded, elsewhere};
use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::engines::process::ProcessMark;
use crate::engines::script::{Line, Needs, OWNERS, Script};
use crate::engines::servers::{Booted, Servers};
use crate::engines::{mariadb, mysql_script, pg_folder, postgres};
use crate::model::failure::{Failure, FailureKind};

/// A folder of pg_dump in the server's home, where its user may read it.
const FOLDER: &str = "dump";

impl Servers {
    /// Loads the dump at `path` into `master.database` of the server in the home `name`, which is empty.
    pub async fn load(&self, dump: Dump, path: &Path, name: &str, server: Booted, master: &Master) -> Result<(), Unloaded> {
        let database = master.database.as_deref().unwrap_or_default();
        if dump == Dump::MysqlPlain {
            return self.load_mariadb(path, name, server, master, database).await;
        }
        let (from, path) = match dump {
            Dump::PostgresFolder => {
                self.area().import(path, name, FOLDER)?;
                let folder = self.home(name).join(FOLDER);
                pg_folder::names_only_its_own(&folder, path)?;
                (Source::Folder, folder)
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
        judge(&said, server.process, &path, |said| refusal(said, &path, &origin))?;
        // Before event triggers are there, which would see it.
        self.permit_checks(EngineKind::Postgres, name, server.port, database, &master.user).await?;
        let last = script.for_administrator();
        match self.sql(EngineKind::Postgres, name, server.port, database, &last).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(Unloaded::Damaged(format!("{}: {failure}", path.display()))),
        }
    }

    async fn load_mariadb(&self, path: &Path, name: &str, server: Booted, master: &Master, database: &str) -> Result<(), Unloaded> {
        let (mut accounts, mut line) = (BTreeSet::new(), Vec::new());
        let mut databases = BTreeSet::from([database.to_owned()]);
        let (mut reader, _) = self.script_of(Source::Plain, path, &[])?;
        while next_line(&mut reader, &mut line).await? {
            definers::note(&line, &mut accounts);
            if mysql_script::keeps_elsewhere(&line) {
                let said = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
                return Err(elsewhere(format!("{}: it keeps a table outside of the server's own folder: {said}", path.display())));
            }
            databases.extend(mysql_script::database_of(&line).filter(|name| !mysql_script::is_of_the_server(name)));
        }
        let text = mariadb::confine(&master.user, &accounts, &databases);
        self.sql(EngineKind::MariaDb, name, server.port, "mysql", &text).await?;
        let mut client = mariadb::client_of(self.programs(EngineKind::MariaDb)?, self.area(), server.port, master, database);
        client.stdin(Stdio::piped());
        let mut client = spawn(client, "mariadb")?;
        let mut stdin = client.stdin.take().ok_or_else(|| Failure::new(FailureKind::Remote, "mariadb takes no input"))?;
        let (mut reader, _) = self.script_of(Source::Plain, path, &[])?;
        let write = async {
            let mut script = mysql_script::Script::default();
            while next_line(&mut reader, &mut line).await? {
                line.push(b'\n');
                // A client that ends early says why on stderr.
                if script.passes(&line) && stdin.write_all(&line).await.is_err() {
                    break;
                }
            }
            drop(stdin);
            Ok::<(), Failure>(())
        };
        let (written, said) = tokio::join!(write, client.wait_with_output());
        written?;
        let said = said.map_err(|error| Failure::io("mariadb", error))?;
        judge(&said, server.process, path, |said| of_mariadb(said, path))
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
                    let text = postgres::OWN_NAMES.to_owned() + &postgres::make_roles(&master.user, &postgres::name(OWNERS), &new);
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
    // A group of its own: Ctrl-C at the terminal is for the drill, and no statement of a dump is cut short by it.
    command.stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
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

/// Where a dump comes from, as far as that explains why it is not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Origin {
    /// The major versions of the server and of the pg_dump that it was written from and by, the newer of the two.
    written: u32,
    /// The major version that is here.
    installed: u32,
    /// It defines something.
    creates: bool,
}

impl Origin {
    fn note(&mut self, line: &[u8]) {
        for start in [&b"-- Dumped from database version "[..], b"-- Dumped by pg_dump version "] {
            if let Some(version) = line.strip_prefix(start) {
                self.written = self.written.max(major(&String::from_utf8_lossy(version)));
            }
        }
    }
}

fn major(version: &str) -> u32 {
    version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

fn judge(output: &Output, server: ProcessMark, path: &Path, of: impl Fn(&str) -> Unloaded) -> Result<(), Unloaded> {
    if output.status.success() {
        return Ok(());
    }
    let said = last_lines(&output.stderr);
    if !server.is_alive() {
        return Err(Failure::new(FailureKind::Remote, format!("{}: the server ended while it was loaded: {said}", path.display())).into());
    }
    Err(of(&said))
}

/// What MariaDB's first error says of the dump, by its number ("MariaDB Error Codes" of its documentation).
fn of_mariadb(said: &str, path: &Path) -> Unloaded {
    let number = said.split_once("ERROR ").and_then(|(_, rest)| rest.split_whitespace().next()).and_then(|word| word.parse().ok());
    let at = path.display();
    match number.unwrap_or(0) {
        1044 | 1045 | 1142 | 1143 | 1227 | 1290 | 1370 | 1410 | 1419 => Unloaded::Failed(
            Failure::new(FailureKind::Refused, format!("{at}: it wants rights that are withheld where it is loaded: {said}"))
                .hint("restore it yourself where you trust it, and compare that database with `attestore verify`"),
        ),
        // Character sets, collations, settings, storage engines and plugins of another version or product; disk and memory.
        1021 | 1037 | 1038 | 1041 | 1115 | 1193 | 1231 | 1273 | 1286 | 1524 | 3 | 28 => Unloaded::Failed(
            Failure::new(FailureKind::Absent, format!("{at}: the server here lacks what it wants: {said}"))
                .hint("install the product, the version and the plugins that the dump was written with; MariaDB stands in for MySQL here"),
        ),
        _ => Unloaded::Damaged(format!("{at}: {said}")),
    }
}

/// What PostgreSQL's first error says of the dump, by its code ("PostgreSQL Error Codes", appendix A of its documentation).
fn refusal(said: &str, path: &Path, origin: &Origin) -> Unloaded {
    let code =
        said.split_once("ERROR:  ").or_else(|| said.split_once("FATAL:  ")).map_or("", |(_, rest)| rest.get(..5).unwrap_or_default());
    let at = path.display();
    let other = |kind, message: String, hint: &str| Unloaded::Failed(Failure::new(kind, message).hint(hint));
    match code {
        // The dump is loaded without special rights, for whoever wrote it may have wanted more than a restore.
        "42501" => other(
            FailureKind::Refused,
            format!("{at}: it wants rights that are withheld where it is loaded: {said}"),
            "restore it yourself where you trust it, and compare that database with `attestore verify`",
        ),
        "55000" if said.contains("has no handler") => other(
            FailureKind::Refused,
            format!("{at}: it wants to read another server while it is loaded, which nothing here does: {said}"),
            "restore it yourself where you trust it, and compare that database with `attestore verify`",
        ),
        _ if origin.written > origin.installed && origin.installed > 0 => other(
            FailureKind::Absent,
            format!("{at}: written by PostgreSQL {}, and {} is installed here: {said}", origin.written, origin.installed),
            "install the version of PostgreSQL that the dump was written with, or a newer one",
        ),
        "42P01" if !origin.creates => other(
            FailureKind::Invalid,
            format!("{at}: a dump of data alone, without the tables that it belongs into (pg_dump --data-only): {said}"),
            "keep dumps with definitions and data",
        ),
        // Settings, collations and languages that this server was not built with; files of extensions; the disk, the memory, the server.
        _ if ["0A", "53", "57", "58"].iter().any(|class| code.starts_with(class))
            || (code == "42704" && ["configuration parameter", "collation", "access method"].iter().any(|what| said.contains(what))) =>
        {
            other(
                FailureKind::Absent,
                format!("{at}: the server here lacks what it wants: {said}"),
                "install the version, the locales and the extensions of PostgreSQL that the source has",
            )
        }
        _ => Unloaded::Damaged(format!("{at}: {said}")),
    }
}

/// The first error and what follows it, in one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().position(|line| line.contains("ERROR") || line.contains("error")).unwrap_or(0);
    text.lines().skip(first).take(3).map(str::trim).collect::<Vec<_>>().join(" / ")
}
