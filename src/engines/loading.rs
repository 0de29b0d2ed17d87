//! Dumps loaded into a server that was just made for them, by a user without special rights.
//!
//! What the dump's own engine refuses is damage of the dump; a server that is gone or an extension that is not installed is not.
//! Not here: scripts of MariaDB and MySQL (`mysql_loading`).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};

use crate::engines::client::Client;
use crate::engines::dumps::{Dump, Unloaded, elsewhere};
use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::engines::postgres_locale::{self, Locale};
use crate::engines::process::ProcessMark;
use crate::engines::refusals::{self, Origin, major};
use crate::engines::script::{Line, Needs, OWNERS, Script};
use crate::engines::servers::{Booted, Servers};
use crate::engines::{archive_folder, area, memory, postgres, room};
use crate::model::failure::{Failure, FailureKind};

/// A folder of pg_dump in the server's home, where its user may read it.
const FOLDER: &str = "dump";
/// The longest line of a script that is held, in bytes. Lines of data are of any length.
const LONGEST_LINE: usize = 256 << 20;
/// So much of a line is held where only its beginning is looked at, or where it goes on as it is.
pub(super) const PIECE: usize = 1 << 20;
/// So much of what a client says is kept, from the end.
const HEARD: usize = 64 << 10;

impl Servers {
    /// Loads the dump at `path` into `master.database` of the server of a kind in the home `name`, which is empty. It is given up where it
    /// fills the disk, and where the future is dropped.
    ///
    /// `known` is the locale of its source where somebody else has noted it; what the dump states counts first. Gives the locale that is not
    /// installed here and was stood in for.
    pub async fn load(
        &self,
        (kind, dump): (EngineKind, Dump),
        path: &Path,
        name: &str,
        server: Booted,
        master: &Master,
        known: Option<&Locale>,
    ) -> Result<Option<Locale>, Unloaded> {
        let load = async {
            match dump {
                Dump::MysqlPlain | Dump::MariadbPlain => {
                    self.load_mysql_family(kind, dump, path, name, server, master).await.map(|()| None)
                }
                _ => self.load_postgres(dump, path, name, server, master, known).await,
            }
        };
        let (what, area) = (format!("{}: loading it", path.display()), self.area());
        let look = || room::left_for(&what, area.root()).and_then(|()| memory::left_for(&what, server.process, area.memory()));
        room::watched(load, look).await
    }

    async fn load_postgres(
        &self,
        dump: Dump,
        path: &Path,
        name: &str,
        server: Booted,
        master: &Master,
        known: Option<&Locale>,
    ) -> Result<Option<Locale>, Unloaded> {
        let database = master.database.as_deref().unwrap_or_default();
        let (from, path) = match dump {
            Dump::PostgresFolder => {
                self.import(path, name, FOLDER).await?;
                archive_folder::hold_within(&self.home(name).join(FOLDER))?;
                (Source::Folder, self.home(name).join(FOLDER))
            }
            Dump::PostgresArchive => (Source::Archive, path.to_owned()),
            _ => (Source::Plain, path.to_owned()),
        };
        let (needs, mut origin) = self.scan(from, &path).await?;
        match origin.locale_of(database).or(known).cloned() {
            Some(locale) => origin.lacking = self.make_anew(name, server.port, master, locale).await?,
            // That of most databases, as far as letters go.
            None => {
                origin.unknown = true;
                self.make_anew(name, server.port, master, Locale::stand_in()).await?;
            }
        }
        let text = postgres::prepare(&master.user, database, OWNERS, &needs.roles, &needs.extensions);
        if let Err(failure) = self.sql(EngineKind::Postgres, name, server.port, database, &text).await {
            return Err(failure.context("what the dump needs of the server").hint("install the extensions that the source has").into());
        }
        let (said, script) = self.pass(from, &path, name, server.port, master, &needs).await?;
        judge(&said, server.process, &path, |said| refusals::of_postgres(said, &path, &origin))?;
        if let Some(locale) = &origin.lacking {
            let ask = format!("{}{}", postgres::OF_THE_SERVER, postgres_locale::BY_LOCALE);
            let found = self.sql(EngineKind::Postgres, name, server.port, database, &ask).await?;
            if let Some(what) = found.lines().next().filter(|what| !what.is_empty()) {
                return Err(postgres_locale::lacks(&format!("{}: {what} comes out by", path.display()), &locale.to_string()).into());
            }
        }
        // Before event triggers are there, which would see it.
        self.permit_checks(EngineKind::Postgres, name, server.port, database, &master.user).await?;
        let last = script.for_administrator();
        match self.sql(EngineKind::Postgres, name, server.port, database, &last).await {
            Ok(_) => Ok(origin.lacking),
            Err(failure) => Err(Unloaded::Damaged(format!("{}: {failure}", path.display()))),
        }
    }

    /// The empty database once more, with the locale of the dump's own; gives the locale back where it is not installed here, and another
    /// stands in for it.
    async fn make_anew(&self, name: &str, port: u16, master: &Master, locale: Locale) -> Result<Option<Locale>, Failure> {
        let database = master.database.as_deref().unwrap_or_default();
        let make =
            async |locale: &Locale| self.sql(EngineKind::Postgres, name, port, "template1", &locale.create(database, &master.user)).await;
        if make(&locale).await.is_ok() {
            return Ok(None);
        }
        if make(&Locale::stand_in()).await.is_err() {
            make(&Locale::of("UTF8", "C")).await?;
        }
        Ok(Some(locale))
    }

    /// What the script needs; a first pass over it.
    async fn scan(&self, from: Source, path: &Path) -> Result<(Needs, Origin), Unloaded> {
        let (mut script, mut line, mut origin) = (Script::default(), Vec::new(), Origin::default());
        let programs = self.programs(EngineKind::Postgres)?;
        origin.installed = major(&programs.version);
        // Data is left out where the archive's tool can do that; a script is read whole.
        let (mut reader, tool) = self.script_of(from, path, &["--schema-only", "--create"])?;
        while let Some(ended) = next_line(&mut reader, &mut line, &script, path).await? {
            if !ended {
                carry(&mut reader, &mut line, path, None).await?;
                continue;
            }
            if script.is_head() {
                origin.note(&line);
            }
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
        let mut stdin = client.stdin().ok_or_else(|| Failure::new(FailureKind::Remote, "psql takes no input"))?;
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
            while taken && let Some(ended) = next_line(&mut reader, &mut line, &script, path).await? {
                if !ended {
                    taken = carry(&mut reader, &mut line, path, Some(&mut stdin)).await?;
                    continue;
                }
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
        let (written, output) = tokio::join!(write, heard(client, "psql"));
        let output = output?;
        // Where the client gave up first, its own words count.
        match written {
            Ok(script) => Ok((output, script)),
            Err(_) if !output.status.success() => Ok((output, Script::default())),
            Err(error) => Err(error),
        }
    }

    /// The script, and the tool that writes it where it has to be unpacked.
    fn script_of(&self, from: Source, path: &Path, more: &[&str]) -> Result<(Reader, Option<Client>), Failure> {
        if from == Source::Plain {
            return Ok((plain_script(path)?, None));
        }
        let programs = self.programs(EngineKind::Postgres)?;
        let mut command = area::command(self.area(), &programs.tool(&["pg_restore"])?);
        command.args(["-f", "-"]).args(more).stdout(Stdio::piped());
        match from {
            Source::Folder => command.arg(path).stdin(Stdio::null()),
            _ => command.stdin(open(path)?),
        };
        let mut tool = spawn(command, "pg_restore")?;
        let out = tool.stdout().ok_or_else(|| Failure::new(FailureKind::Remote, "pg_restore has no output"))?;
        Ok((BufReader::with_capacity(1 << 16, Box::new(out)), Some(tool)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Plain,
    Archive,
    Folder,
}

pub(super) type Reader = BufReader<Box<dyn AsyncRead + Send + Unpin>>;

/// A script that lies in a file as it is.
pub(super) fn plain_script(path: &Path) -> Result<Reader, Failure> {
    Ok(BufReader::with_capacity(1 << 16, Box::new(tokio::fs::File::from_std(open(path)?))))
}

fn open(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|error| Failure::io(format!("cannot open {}", path.display()), error))
}

pub(super) fn spawn(mut command: Command, what: &str) -> Result<Client, Failure> {
    command.stderr(Stdio::piped());
    Client::start(command, what)
}

/// The next line without its end, and true; or so much of a line of data that is long, and false; nothing at the end.
async fn next_line(reader: &mut Reader, line: &mut Vec<u8>, script: &Script, path: &Path) -> Result<Option<bool>, Unloaded> {
    let limit = if script.is_data() { PIECE } else { LONGEST_LINE };
    let ended = next_piece(reader, line, limit).await?;
    if ended == Some(false) && !script.is_data() {
        let message = format!("{}: a line of more than {} MiB that is no data", path.display(), LONGEST_LINE >> 20);
        return Err(elsewhere(message));
    }
    Ok(ended)
}

/// At most `limit` bytes of a line, without its end, and whether that is where it ended; nothing at the end of the script.
pub(super) async fn next_piece(reader: &mut Reader, line: &mut Vec<u8>, limit: usize) -> Result<Option<bool>, Failure> {
    line.clear();
    let mut limited = (&mut *reader).take(limit as u64);
    let read = limited.read_until(b'\n', line).await.map_err(|error| Failure::io("cannot read the dump", error))?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    Ok((read > 0).then_some(read < limit))
}

/// A line of data of which `line` is the beginning, to its end and into `to`; false where that takes no more.
async fn carry(reader: &mut Reader, line: &mut Vec<u8>, path: &Path, mut to: Option<&mut ChildStdin>) -> Result<bool, Unloaded> {
    let mut ended = false;
    loop {
        refuse(Script::data(line), path)?;
        if ended {
            line.push(b'\n');
        }
        if let Some(to) = &mut to
            && to.write_all(line).await.is_err()
        {
            return Ok(false);
        }
        if ended {
            return Ok(true);
        }
        ended = next_piece(reader, line, PIECE).await?.unwrap_or(true);
    }
}

/// Waits for a client, and keeps the end of what it says: it ends at the first error, and may say much before.
pub(super) async fn heard(mut client: Client, what: &str) -> Result<Output, Failure> {
    let failed = |error| Failure::io(what, error);
    let mut said = Vec::new();
    if let Some(mut from) = client.stderr() {
        let mut piece = vec![0; HEARD];
        loop {
            let read = from.read(&mut piece).await.map_err(failed)?;
            if read == 0 {
                break;
            }
            said.extend_from_slice(&piece[..read]);
            let surplus = said.len().saturating_sub(HEARD);
            said.drain(..surplus);
        }
    }
    let status = client.ended().await?;
    Ok(Output { status, stdout: Vec::new(), stderr: said })
}

/// The unpacking tool's own word.
async fn finish(tool: Option<Client>, path: &Path) -> Result<(), Unloaded> {
    let Some(tool) = tool else { return Ok(()) };
    let output = heard(tool, "pg_restore").await?;
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
pub(super) fn judge(output: &Output, server: ProcessMark, path: &Path, of: impl Fn(&[u8]) -> Unloaded) -> Result<(), Unloaded> {
    if output.status.success() {
        return Ok(());
    }
    match of(&output.stderr) {
        said if server.is_alive() => Err(said),
        Unloaded::Damaged(said) => Err(ended(path, &said).into()),
        // What it lacks or withholds is not why: it was no longer there.
        Unloaded::Failed(_) => Err(ended(path, "its own error log says why").into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8]) -> Reader {
        BufReader::with_capacity(7, Box::new(bytes))
    }

    #[tokio::test]
    async fn lines_of_any_length_come_in_pieces() {
        for (text, pieces) in [
            (&b"abc\ndefgh\n\nij"[..], vec![("abc", true), ("defg", false), ("h", true), ("", true), ("ij", true)]),
            (b"abcd\n", vec![("abcd", false), ("", true)]),
            (b"", vec![]),
        ] {
            let (mut reader, mut line, mut found) = (reader(text), Vec::new(), Vec::new());
            while let Some(ended) = next_piece(&mut reader, &mut line, 4).await.unwrap() {
                found.push((String::from_utf8(line.clone()).unwrap(), ended));
            }
            let expected: Vec<(String, bool)> = pieces.into_iter().map(|(piece, ended)| (piece.to_owned(), ended)).collect();
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn of_much_that_a_client_says_the_end_is_kept() {
        let mut client = Command::new("sh");
        client.args(["-c", "yes 'NOTICE: much' | head -n 100000 >&2; echo 'ERROR:  22P02: last' >&2; exit 3"]);
        let said = heard(spawn(client, "sh").unwrap(), "sh").await.unwrap();
        assert_eq!((said.stderr.len(), said.status.code()), (HEARD, Some(3)));
        assert!(said.stderr.ends_with(b"ERROR:  22P02: last\n"));
    }
}
