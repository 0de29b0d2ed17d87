//! Where data directories live, who owns them, and how they are copied.
//!
//! PostgreSQL refuses to run as root, so under root the servers run as an unprivileged user, which must be able to reach its folder; and
//! the path of a Unix socket may have 107 bytes. Where the sandbox's own folder allows neither, the area is a folder of its own among the
//! system's temporary files, written down in the state so that the next start finds it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engines::client::Client;
use crate::engines::copies::{Copies, Running};
use crate::engines::memory;
use crate::engines::room;
use crate::model::failure::{Failure, FailureKind};

/// How the folders among the temporary files are named, and the file in each that names the sandbox folder it belongs to.
const PREFIX: &str = "attestore-engines-";
const BELONGS_TO: &str = "belongs-to";

/// What a Unix socket adds to the area's path: `/i-12345678/run/.s.PGSQL.65535`.
const SOCKET_ROOM: usize = 36;
const SOCKET_LIMIT: usize = 107;

/// The folder in a home into which a server's log is kept for recovery to a point in time.
const LOG: &str = "archive";

/// The note in a state folder that says where its area is.
const NOTE: &str = "engines.path";

/// Whether an area belongs to the state folder.
pub fn is_noted(state: &Path) -> bool {
    state.join(NOTE).is_file()
}

/// The folder in which a home's log is kept, where it is.
pub fn log_folder(home: &Path) -> Option<PathBuf> {
    Some(home.join(LOG)).filter(|folder| folder.is_dir())
}

/// What servers of an area prove themselves with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Their certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The CA's certificate, for clients.
    pub ca: PathBuf,
}

/// An unprivileged user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The folder of all data directories.
#[derive(Clone, Debug)]
pub struct Area {
    root: PathBuf,
    /// Who the servers run as; `None` is ourselves.
    owner: Option<Owner>,
    /// What each program may hold, in bytes.
    memory: Option<u64>,
    copies: Arc<Copies>,
}

/// What a copy of many files goes through.
struct Pieces {
    buffer: Vec<u8>,
    unlooked: room::Unlooked,
}

impl Pieces {
    fn new() -> Self {
        Self { buffer: vec![0; 1 << 20], unlooked: room::Unlooked::default() }
    }
}

impl Area {
    /// The area that belongs to the sandbox folder `state`.
    pub fn open(state: &Path) -> Result<Self, Failure> {
        let owner = rustix::process::geteuid().is_root().then(unprivileged);
        let note = state.join(NOTE);
        let noted = fs::read_to_string(&note).ok().map(PathBuf::from).filter(|root| root.is_dir());
        let root = match noted {
            Some(root) => root,
            None => {
                let root = choose(state, owner)?;
                fs::write(&note, root.as_os_str().as_encoded_bytes())
                    .map_err(|error| Failure::io(format!("cannot write {}", note.display()), error))?;
                root
            }
        };
        Ok(Self { root, owner, memory: memory::bound(), copies: Arc::default() })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who the servers run as; `None` is ourselves.
    pub fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// What each program of the engines may hold of the machine's memory, in bytes, where that is bounded.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// The home of one server: `data`, `run` and `server.log` are in it.
    pub fn home(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The files by which servers speak TLS, where they were laid.
    pub fn tls(&self) -> Option<Tls> {
        let tls = self.tls_files();
        (tls.certificate.is_file() && tls.key.is_file()).then_some(tls)
    }

    /// Where the files for TLS belong.
    pub fn tls_files(&self) -> Tls {
        let folder = self.root.join("tls");
        Tls { certificate: folder.join("server.pem"), key: folder.join("server.key"), ca: folder.join("ca.pem") }
    }

    /// Makes the folder for a home's log; a server that is started over the home from then on keeps its log.
    pub fn make_log_folder(&self, name: &str) -> Result<(), Failure> {
        let folder = self.home(name).join(LOG);
        std::fs::create_dir_all(&folder).map_err(|error| Failure::io(format!("cannot create {}", folder.display()), error))?;
        self.hand_over(&folder, 0o700)
    }

    /// Makes an empty home with its `run` folder, for the servers' user alone; what was there is removed.
    pub fn make_home(&self, name: &str) -> Result<PathBuf, Failure> {
        self.remove(name)?;
        let home = self.home(name);
        for folder in [home.clone(), home.join("run")] {
            fs::create_dir_all(&folder).map_err(|error| Failure::io(format!("cannot create {}", folder.display()), error))?;
            self.hand_over(&folder, 0o700)?;
        }
        Ok(home)
    }

    /// Removes a home; one that is not there is no error.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let home = self.home(name);
        match fs::remove_dir_all(&home) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io(format!("cannot remove {}", home.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Copies the data directory of one home into a fresh home: plain bytes, never shared with the source. Returns the bytes copied.
    ///
    /// Left out: what belongs to the running server and not to the data (pid files, sockets).
    pub fn copy(&self, from: &str, to: &str) -> Result<u64, Failure> {
        let running = self.copies.begin()?;
        // Whole or not at all: copied under another name first.
        let unfinished = format!("{to}.part");
        let home = self.make_home(&unfinished)?;
        let bytes = self.copy_folder(&self.home(from).join("data"), &home.join("data"), &mut Pieces::new(), &running)?;
        self.remove(to)?;
        fs::rename(&home, self.home(to)).map_err(|error| Failure::io(format!("cannot name the copy {to}"), error))?;
        Ok(bytes)
    }

    /// Copies a folder from elsewhere into a home, under `to`, for the servers' user alone. Returns the bytes copied.
    pub fn import(&self, from: &Path, name: &str, to: &str) -> Result<u64, Failure> {
        let running = self.copies.begin()?;
        self.copy_folder(from, &self.home(name).join(to), &mut Pieces::new(), &running)
    }

    /// Copies a home's data directory to `to`, whole or not at all; where others were faster, theirs stays.
    pub fn keep(&self, name: &str, to: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::io(format!("cannot keep {}", to.display()), error);
        let running = self.copies.begin()?;
        let folder = to.parent().unwrap_or(to);
        fs::create_dir_all(folder).map_err(failed)?;
        let room = tempfile::tempdir_in(folder).map_err(failed)?;
        let unfinished = room.path().join("data");
        self.copy_folder(&self.home(name).join("data"), &unfinished, &mut Pieces::new(), &running)?;
        match fs::rename(&unfinished, to) {
            Err(_) if to.is_dir() => Ok(()),
            renamed => renamed.map_err(failed),
        }
    }

    fn copy_folder(&self, from: &Path, to: &Path, pieces: &mut Pieces, running: &Running<'_>) -> Result<u64, Failure> {
        let failed = |error| Failure::io(format!("cannot copy {}", from.display()), error);
        fs::create_dir(to).map_err(failed)?;
        self.hand_over(to, 0o700)?;
        let mut total = 0;
        for entry in fs::read_dir(from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (kind, target) = (entry.file_type().map_err(failed)?, to.join(entry.file_name()));
            let name = entry.file_name();
            let of_the_process = ["postmaster.pid", "postmaster.opts"].iter().any(|skip| name == *skip);
            if kind.is_dir() {
                total += self.copy_folder(&entry.path(), &target, pieces, running)?;
            } else if kind.is_file() && !of_the_process {
                total += self.copy_file(&entry.path(), &target, pieces, running)?;
            }
        }
        Ok(total)
    }

    fn copy_file(&self, from: &Path, to: &Path, pieces: &mut Pieces, running: &Running<'_>) -> Result<u64, Failure> {
        let total = room::copy_file(from, to, (&mut pieces.buffer, &mut pieces.unlooked), || running.go_on())?;
        self.hand_over(to, 0o600)?;
        Ok(total)
    }

    /// Asks the copies under way to end, for good, and blocks until they have.
    pub fn end_copies(&self) {
        self.copies.end();
    }

    /// Gives a path its mode, and under root its unprivileged owner.
    pub fn hand_over(&self, path: &Path, mode: u32) -> Result<(), Failure> {
        let failed = |error| Failure::io(format!("cannot hand over {}", path.display()), error);
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
        match self.owner {
            Some(owner) => chown(path, Some(owner.uid), Some(owner.gid)).map_err(failed),
            None => Ok(()),
        }
    }

    /// The names of the homes that are there.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Removes the area with everything in it. No server may run.
    pub fn purge(&self) -> Result<(), Failure> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io(format!("cannot remove {}", self.root.display()), error))
            }
            _ => Ok(()),
        }
    }
}

fn choose(state: &Path, owner: Option<Owner>) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::io(format!("cannot make a place for data directories under {}", state.display()), error);
    let full = fs::canonicalize(state).map_err(failed)?;
    let short = full.as_os_str().len() + "/engines".len() + SOCKET_ROOM <= SOCKET_LIMIT;
    if short && (owner.is_none() || reachable(&full)) {
        let root = full.join("engines");
        fs::create_dir_all(&root).map_err(failed)?;
        fs::set_permissions(&root, Permissions::from_mode(0o755)).map_err(failed)?;
        return Ok(root);
    }
    let temp = temporary_folders()
        .into_iter()
        .find(|folder| folder.as_os_str().len() + 32 + SOCKET_ROOM <= SOCKET_LIMIT && (owner.is_none() || reachable(folder)));
    let temp = temp.ok_or_else(|| {
        Failure::new(FailureKind::Disk, format!("no folder for data directories: {} cannot be reached by an unprivileged user or its path is too long for a Unix socket, and neither can the system's temporary folders", full.display()))
            .hint("set TMPDIR to a short path that every user can enter")
    })?;
    let root = tempfile::Builder::new().prefix(PREFIX).tempdir_in(temp).map_err(failed)?.keep();
    fs::write(root.join(BELONGS_TO), full.as_os_str().as_encoded_bytes()).map_err(failed)?;
    fs::set_permissions(&root, Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(root)
}

fn temporary_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")]
        .into_iter()
        .filter_map(|folder| fs::canonicalize(folder).ok())
        .collect();
    folders.dedup();
    folders
}

/// Areas of ours among the temporary files whose sandbox folder is gone: nobody can go on with them.
pub fn orphans() -> Vec<PathBuf> {
    let entries = temporary_folders().into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let areas = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).map(|entry| entry.path());
    let ours = |area: &PathBuf| fs::symlink_metadata(area).is_ok_and(|it| it.is_dir() && it.uid() == rustix::process::geteuid().as_raw());
    areas
        .filter(ours)
        .filter(|area| {
            let sandbox = fs::read_to_string(area.join(BELONGS_TO)).map(PathBuf::from);
            sandbox.is_ok_and(|sandbox| sandbox.is_absolute() && !sandbox.exists())
        })
        .collect()
}

/// True when every user may enter the folder and all above it.
fn reachable(folder: &Path) -> bool {
    folder.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

/// The user `postgres` where there is one, else `nobody`.
fn unprivileged() -> Owner {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = |wanted: &str| {
        accounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.first() == Some(&wanted)).then_some(())?;
            Some(Owner { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
        })
    };
    account("postgres").or_else(|| account("nobody")).unwrap_or(Owner { uid: 65534, gid: 65534 })
}

/// A program of the engines, run as the area's user in the area's folder with a plain environment, and within its bound of memory.
pub fn command(area: &Area, program: &Path) -> tokio::process::Command {
    let words = memory::bounded(program, area.memory());
    let mut command = tokio::process::Command::new(&words[0]);
    command.args(&words[1..]);
    command.current_dir(area.root()).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin:/usr/sbin:/sbin".into()));
    if let Some(owner) = area.owner() {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

/// Runs a program to its end with `input`; its output, or a failure with what it said on stderr. Where the future is dropped, it ends.
pub async fn run(mut command: tokio::process::Command, what: &str, input: &str) -> Result<String, Failure> {
    use std::process::{Output, Stdio};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
    async fn all(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            from.read_to_end(&mut bytes).await?;
        }
        Ok(bytes)
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Client::start(command, what)?;
    let mut stdin = client.stdin();
    let write = async {
        if let Some(stdin) = &mut stdin {
            // A program that ends early says why on stderr; the broken pipe adds nothing.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        drop(stdin);
    };
    let ((), stdout, stderr) = tokio::join!(write, all(client.stdout()), all(client.stderr()));
    let failed = |error| Failure::io(what, error);
    let (stdout, stderr) = (stdout.map_err(failed)?, stderr.map_err(failed)?);
    finished(what, &Output { status: client.ended().await?, stdout, stderr })
}

/// What a program printed, or a failure with what it said on stderr.
pub fn finished(what: &str, output: &std::process::Output) -> Result<String, Failure> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::of_program(format!("{what}: {}: {}", output.status, said.trim())))
}
