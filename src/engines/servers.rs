//! The database servers of one sandbox: made from templates and copies, booted, frozen for copies, adopted after a crash, ended.
//!
//! A server lives in a home: a folder of the area with a name of its own (`i-…` an instance, `s-…` a snapshot, `t-…` an empty template).

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::engines::area::{self, Area};
use crate::engines::installed::{EngineKind, Installed, Programs};
use crate::engines::master::Master;
use crate::engines::process::{self, ProcessMark};
use crate::engines::{mariadb, mysql, mysql_family, postgres};
use crate::model::failure::{Failure, FailureKind};

/// Test hook: a folder in which empty data directories are kept from one program to the next, so that a run of many tests makes each once.
pub const TEMPLATES: &str = "ATTESTORE_TEST_TEMPLATES";

/// How long a server may take to boot; recovery of a large copy takes longest.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);

/// How long is waited for a port that a server had and is to have again: whoever was given it for a connection of theirs keeps it for a minute
/// after that has ended (TIME_WAIT, RFC 9293 section 3.6.1, as long as Linux has it).
const PORT_PATIENCE: Duration = Duration::from_secs(90);
/// So often a server is started again before it is one that does not start.
const STARTS: usize = 3;
/// Ports that are drawn before the system is asked for one; the lowest of them, and the lowest that Linux itself gives where it does not tell.
const DRAWS: usize = 32;
const LOWEST_DRAWN: u16 = 15_000;
const LOWEST_GIVEN: u16 = 32_768;
/// Between two looks at a port.
const BETWEEN: Duration = Duration::from_millis(100);

/// A server that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Booted {
    /// Its process.
    pub process: ProcessMark,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

/// The servers; clones share them.
#[derive(Clone)]
pub struct Servers {
    area: Area,
    /// One template is made at a time.
    templates: Arc<tokio::sync::Mutex<()>>,
    /// The port of the directory server that judges tokens, where there is one.
    gate: Arc<OnceLock<u16>>,
    /// Where empty data directories are kept from one program to the next.
    kept: Option<PathBuf>,
}

impl Servers {
    /// The servers of the sandbox folder `state`. Starts nothing.
    pub fn open(state: &Path) -> Result<Self, Failure> {
        let kept = std::env::var_os(TEMPLATES).map(PathBuf::from);
        Ok(Self { area: Area::open(state)?, templates: Arc::default(), gate: Arc::default(), kept })
    }

    /// The same that keep empty data directories in `folder`, as [`TEMPLATES`] has it: under a name with the engine's version, whole or not at
    /// all.
    #[must_use]
    pub fn keeping_in(self, folder: &Path) -> Self {
        Self { kept: Some(folder.to_owned()), ..self }
    }

    /// From now on tokens are judged by the directory server on `port` of this machine. Only PostgreSQL can ask one.
    pub fn ask_gate(&self, port: u16) {
        let _ = self.gate.set(port);
    }

    /// What can be started here.
    pub fn installed(&self) -> &Installed {
        Installed::here()
    }

    /// The folder of all data directories.
    pub fn area(&self) -> &Area {
        &self.area
    }

    /// The programs of an engine, or a failure that names the packages to install.
    pub fn programs(&self, kind: EngineKind) -> Result<&Programs, Failure> {
        self.installed().programs(kind).ok_or_else(|| {
            Failure::new(FailureKind::Absent, format!("no {} server is installed here", kind.title()))
                .hint(format!("install {}", kind.packages()))
        })
    }

    /// Copies an empty data directory into the fresh home `name`.
    pub async fn make_empty(&self, kind: EngineKind, name: &str) -> Result<(), Failure> {
        let template = &format!("t-{}", kind.name());
        let held = self.templates.lock().await;
        if !self.area.home(template).is_dir() {
            self.make_template(kind, template).await?;
        }
        drop(held);
        self.copy(template, name).await.map(drop)
    }

    async fn make_template(&self, kind: EngineKind, template: &str) -> Result<(), Failure> {
        let programs = self.programs(kind)?;
        let unfinished = format!("{template}.part");
        // What a killed run left would still hold the folder.
        self.end_all_in(&self.area.home(&unfinished)).await;
        let home = self.area.make_home(&unfinished)?;
        let kept = self.kept.as_ref().map(|folder| folder.join(format!("{template}-{}", programs.version)));
        if let Some(kept) = kept.clone().filter(|kept| kept.is_dir()) {
            let (area, unfinished) = (self.area.clone(), unfinished.clone());
            blocking(move || area.import(&kept, &unfinished, "data").map(drop)).await?;
            return self.name_template(&home, template);
        }
        match kind {
            EngineKind::Postgres => postgres::init(programs, &self.area, &home).await?,
            EngineKind::MariaDb => {
                mariadb::init(programs, &self.area, &home).await?;
                let booted = self.boot(kind, &unfinished, None).await?;
                let locked = mariadb::lock_down(programs, &self.area, &home).await;
                self.end(kind, booted.process).await?;
                locked?;
            }
            EngineKind::MySql => mysql::init(programs, &self.area, &home).await?,
        }
        if let Some(kept) = kept {
            let (area, unfinished) = (self.area.clone(), unfinished.clone());
            blocking(move || area.keep(&unfinished, &kept)).await?;
        }
        self.name_template(&home, template)
    }

    fn name_template(&self, home: &Path, template: &str) -> Result<(), Failure> {
        std::fs::rename(home, self.area.home(template)).map_err(|error| Failure::io("cannot name the template", error))
    }

    /// Copies a home's data into another home; its server must not run, or must be frozen. Returns the bytes copied.
    pub async fn copy(&self, from: &str, to: &str) -> Result<u64, Failure> {
        let (area, from, to) = (self.area.clone(), from.to_owned(), to.to_owned());
        blocking(move || area.copy(&from, &to)).await
    }

    /// Copies a folder from outside into the home `name`, as `to`. Whoever waits for it can give it up: it ends when the home is gone.
    pub(super) async fn import(&self, from: &Path, name: &str, to: &str) -> Result<u64, Failure> {
        let (area, from, name, to) = (self.area.clone(), from.to_owned(), name.to_owned(), to.to_owned());
        blocking(move || area.import(&from, &name, &to)).await
    }

    /// Copies a running server's data as of one instant: it stands still meanwhile and keeps its connections. Returns the bytes copied.
    pub async fn copy_running(&self, server: ProcessMark, from: &str, to: &str) -> Result<u64, Failure> {
        let (area, from, to) = (self.area.clone(), from.to_owned(), to.to_owned());
        blocking(move || {
            let frozen = process::freeze(server);
            let copied = if frozen {
                area.copy(&from, &to)
            } else {
                Err(Failure::new(FailureKind::Remote, format!("the database server {} does not stand still", server.pid)))
            };
            process::thaw(server);
            copied
        })
        .await
    }

    /// Starts the server over a home, on `port` where that is free. Returns once it answers.
    pub async fn boot(&self, kind: EngineKind, name: &str, port: Option<u16>) -> Result<Booted, Failure> {
        self.boot_with(kind, name, port, &[]).await
    }

    /// As [`Servers::boot`], with settings for this start alone: `name=value` for PostgreSQL, `--name=value` for the others.
    pub(super) async fn boot_with(&self, kind: EngineKind, name: &str, port: Option<u16>, more: &[String]) -> Result<Booted, Failure> {
        let mut last = None;
        // Between finding a free port and the server's taking it, another may: then the next one does.
        for attempt in 0..STARTS {
            let port = free_port(port.filter(|_| attempt == 0))?;
            match self.boot_on(kind, name, port, more).await {
                Ok(process) => return Ok(Booted { process, port }),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(|| Failure::new(FailureKind::Remote, "the database server does not start")))
    }

    /// Starts the server over a home on `port` and on no other, as soon as that is free: a process that has just ended may hold it for a moment.
    pub(super) async fn boot_again(&self, kind: EngineKind, name: &str, port: u16) -> Result<Booted, Failure> {
        let deadline = Instant::now() + PORT_PATIENCE;
        let mut starts = 0;
        loop {
            let failure = if free_port(Some(port))? == port {
                starts += 1;
                match self.boot_on(kind, name, port, &[]).await {
                    Ok(process) => return Ok(Booted { process, port }),
                    Err(failure) => failure,
                }
            } else {
                let message = format!("{} cannot be started again on port {port}, which somebody else has taken", kind.title());
                Failure::new(FailureKind::Network, message)
            };
            if starts == STARTS || Instant::now() > deadline {
                return Err(failure);
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn boot_on(&self, kind: EngineKind, name: &str, port: u16, more: &[String]) -> Result<ProcessMark, Failure> {
        let (programs, home) = (self.programs(kind)?, self.area.home(name));
        let _ = std::fs::remove_file(home.join("run/s"));
        let mut command = match kind {
            EngineKind::Postgres => {
                if let Some(gate) = self.gate.get() {
                    postgres::lay_gate(&home, *gate, port)?;
                }
                postgres::server(programs, &self.area, &home, port)
            }
            EngineKind::MariaDb => mariadb::server(programs, &self.area, &home, port),
            EngineKind::MySql => mysql::server(programs, &self.area, &home, port),
        };
        for setting in more {
            if kind == EngineKind::Postgres {
                command.arg("-c");
            }
            command.arg(setting);
        }
        let failed = |error| Failure::io(format!("cannot start {}", kind.title()), error);
        let log_path = home.join("server.log");
        let log = File::create(&log_path).map_err(failed)?;
        // A group of its own: Ctrl-C at the terminal is for the owner, which then ends its servers in order.
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let mark = child.id().and_then(|pid| ProcessMark::of(i32::try_from(pid).ok()?));
        let deadline = Instant::now() + BOOT_PATIENCE;
        while Instant::now() < deadline {
            if child.try_wait().map_err(failed)?.is_some() {
                let said = std::fs::read_to_string(&log_path).unwrap_or_default();
                let tail: Vec<&str> = said.lines().rev().take(4).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join(" / ");
                return Err(Failure::of_program(format!("{} ended while it started: {tail}", kind.title())));
            }
            let ready = match kind {
                EngineKind::Postgres => postgres::is_ready(&home),
                EngineKind::MariaDb | EngineKind::MySql => mysql_family::is_ready(&home).await,
            };
            if let Some(mark) = mark.filter(|_| ready) {
                // Reaped whenever it ends, so that it never lingers as a zombie.
                tokio::spawn(async move { child.wait().await });
                return Ok(mark);
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        if let Some(mark) = mark {
            self.end(kind, mark).await?;
        }
        Err(Failure::new(FailureKind::Remote, format!("{} did not start within {} seconds", kind.title(), BOOT_PATIENCE.as_secs())))
    }

    /// The server that runs over a home on `port`, after its owner was killed; frozen ones go on. It asks this owner's gate from now on.
    pub fn adopt(&self, kind: EngineKind, name: &str, port: u16) -> Option<ProcessMark> {
        let home = self.area.home(name);
        let found = process::servers_under(&home).into_iter().next()?;
        process::thaw(found);
        if let (EngineKind::Postgres, Some(gate)) = (kind, self.gate.get())
            && postgres::lay_gate(&home, *gate, port).is_ok()
        {
            found.signal(Signal::HUP);
        }
        Some(found)
    }

    /// Runs SQL as the administrator of a running server.
    pub async fn sql(&self, kind: EngineKind, name: &str, port: u16, database: &str, text: &str) -> Result<String, Failure> {
        let (programs, home) = (self.programs(kind)?, self.area.home(name));
        match kind {
            EngineKind::Postgres => postgres::sql(programs, &self.area, &home, port, database, text).await,
            EngineKind::MariaDb | EngineKind::MySql => mysql_family::sql(programs, &self.area, &home, database, text).await,
        }
    }

    /// Creates the master user of a fresh server, and its database.
    pub async fn create_master(&self, kind: EngineKind, name: &str, port: u16, master: &Master) -> Result<(), Failure> {
        let database = master.database.as_deref();
        let (inside, text) = match kind {
            EngineKind::Postgres => ("postgres", postgres::create_master(&master.user, &master.password, database)),
            EngineKind::MariaDb | EngineKind::MySql => ("mysql", mysql_family::create_master(&master.user, &master.password, database)),
        };
        self.sql(kind, name, port, inside, &text).await.map(drop)
    }

    /// Creates a user who reads everything in a server whose own users are not ours.
    pub async fn create_reader(&self, kind: EngineKind, name: &str, port: u16, user: &str, password: &str) -> Result<(), Failure> {
        let (inside, text) = match kind {
            EngineKind::Postgres => ("postgres", postgres::create_reader(user, password)),
            EngineKind::MariaDb => ("mysql", mariadb::create_reader(user, password)),
            EngineKind::MySql => ("mysql", mysql::create_reader(user, password)),
        };
        self.sql(kind, name, port, inside, &text).await.map(drop)
    }

    /// Lets a user run the structural checks of a database, where the engine keeps that right apart.
    pub async fn permit_checks(&self, kind: EngineKind, name: &str, port: u16, database: &str, user: &str) -> Result<(), Failure> {
        match kind {
            EngineKind::Postgres => self.sql(kind, name, port, database, &postgres::permit_checks(user)).await.map(drop),
            EngineKind::MariaDb | EngineKind::MySql => Ok(()),
        }
    }

    /// Sets the password of a user of a running server.
    pub async fn set_password(&self, kind: EngineKind, name: &str, port: u16, user: &str, password: &str) -> Result<(), Failure> {
        let (inside, text) = match kind {
            EngineKind::Postgres => ("postgres", postgres::set_password(user, password)),
            EngineKind::MariaDb | EngineKind::MySql => ("mysql", mysql_family::set_password(user, password)),
        };
        self.sql(kind, name, port, inside, &text).await.map(drop)
    }

    /// Ends a server in order and waits until it is gone.
    pub async fn end(&self, kind: EngineKind, server: ProcessMark) -> Result<(), Failure> {
        // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
        let first = if kind == EngineKind::Postgres { Signal::INT } else { Signal::TERM };
        self.end_with(server, &[first, Signal::KILL], Duration::from_secs(10)).await
    }

    async fn end_with(&self, server: ProcessMark, signals: &[Signal], patience: Duration) -> Result<(), Failure> {
        if server.end(signals, patience).await {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Remote, format!("the database server with process id {} does not end", server.pid))
            .hint(format!("end it with: kill -9 {}", server.pid)))
    }

    /// Ends every server over a home or the whole area, at once; `true` when none is left.
    pub async fn end_all_in(&self, folder: &Path) -> bool {
        let servers = process::servers_under(folder);
        let ends = servers.into_iter().map(|server| async move {
            let signals = [server.in_order(), Signal::TERM, Signal::KILL];
            server.end(&signals, Duration::from_secs(5)).await
        });
        futures_util::future::join_all(ends).await.into_iter().all(|gone| gone)
    }

    /// The same where the data goes anyway: nothing is written any more.
    async fn kill_all_in(&self, folder: &Path) -> bool {
        let servers = process::servers_under(folder);
        let ends = servers.into_iter().map(|server| server.end(server.without_ceremony(), Duration::from_secs(6)));
        futures_util::future::join_all(ends).await.into_iter().all(|gone| gone)
    }

    /// Ends every copy under way and every server of the sandbox; nothing is copied any more.
    pub async fn end_all(&self) -> Result<(), Failure> {
        self.end_copies().await?;
        self.ended(self.end_all_in(self.area.root()).await)
    }

    async fn end_copies(&self) -> Result<(), Failure> {
        let area = self.area.clone();
        blocking(move || {
            area.end_copies();
            Ok(())
        })
        .await
    }

    fn ended(&self, all: bool) -> Result<(), Failure> {
        let left = || Failure::new(FailureKind::Remote, format!("a database server under {} does not end", self.area.root().display()));
        all.then_some(()).ok_or_else(left)
    }

    /// Ends every server and removes the area with all data in it.
    pub async fn purge(&self) -> Result<(), Failure> {
        self.end_copies().await?;
        self.ended(self.kill_all_in(self.area.root()).await)?;
        let area = self.area.clone();
        blocking(move || area.purge()).await
    }

    /// Ends the servers of sandboxes whose folders are gone, and removes what they left among the temporary files.
    pub async fn sweep_orphans(&self) {
        for orphan in area::orphans() {
            // One that cannot be removed is tried again at the next start.
            if self.kill_all_in(&orphan).await {
                let _ = std::fs::remove_dir_all(&orphan);
            }
        }
    }

    /// Ends a home's server without ceremony and removes the home.
    pub async fn remove(&self, name: &str) -> Result<(), Failure> {
        for server in process::servers_under(&self.area.home(name)) {
            self.end_with(server, server.without_ceremony(), Duration::from_secs(6)).await?;
        }
        let (area, name) = (self.area.clone(), name.to_owned());
        blocking(move || area.remove(&name)).await
    }

    /// Boots the server over a home that is not running, runs SQL, and ends it again.
    pub async fn run_once(&self, kind: EngineKind, name: &str, database: &str, text: &str) -> Result<String, Failure> {
        let booted = self.boot(kind, name, None).await?;
        let said = self.sql(kind, name, booted.port, database, text).await;
        self.end(kind, booted.process).await?;
        said
    }

    /// The home of a name, for messages.
    pub fn home(&self, name: &str) -> PathBuf {
        self.area.home(name)
    }
}

/// The port that is wanted, or another where that is taken, on 127.0.0.1.
///
/// # Errors
/// [`FailureKind::Disk`] where the system gives none.
pub fn free_port(wanted: Option<u16>) -> Result<u16, Failure> {
    let failed = |error| Failure::io("no free port on 127.0.0.1", error);
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if let Some(port) = wanted.filter(|port| free(*port)) {
        return Ok(port);
    }
    if let Some(port) = (0..DRAWS).filter_map(|_| quiet_port()).find(|port| free(*port)) {
        return Ok(port);
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|bound| bound.local_addr()).map_err(failed)?.port())
}

/// A port that the system gives to nobody's connection, so that a server that is down for a moment finds it free again: one below those of
/// `ip_local_port_range` (Linux, ip-sysctl).
fn quiet_port() -> Option<u16> {
    let mut random = [0; 2];
    getrandom::fill(&mut random).ok()?;
    let room = lowest_given().checked_sub(LOWEST_DRAWN).filter(|room| *room > 0)?;
    Some(LOWEST_DRAWN + u16::from_le_bytes(random) % room)
}

fn lowest_given() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    range.and_then(|range| range.split_whitespace().next()?.parse().ok()).unwrap_or(LOWEST_GIVEN)
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(FailureKind::Remote, "copying was cut short").caused_by(error))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_the_wanted_one_or_one_that_no_connection_is_given() {
        let port = free_port(None).unwrap();
        assert!((LOWEST_DRAWN..lowest_given()).contains(&port) || quiet_port().is_none(), "{port}");
        assert_eq!(free_port(Some(port)).unwrap(), port);
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(free_port(Some(port)).unwrap(), port, "{held:?} has it");
    }
}
