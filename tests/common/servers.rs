//! Throw-away database servers for tests: a fresh data directory each, on loopback, with a password; stopped when the last test that
//! uses one lets it go.
//!
//! Where a server is not installed its tests say so and are skipped; `ATTESTORE_REQUIRE=postgres,mariadb,mysql` makes the absence a failure.
//! `ATTESTORE_NEWER_ENGINES` is a folder with newer versions of two of them (`tests/foreign/engines.sh`), by name `newer-postgres` and
//! `newer-mariadb`.

#![allow(dead_code, reason = "each test binary uses its own part of this helper")]

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::{Duration, Instant};

use attestore::engines::installed::{EngineKind, Installed};
use attestore::engines::servers::free_port;

/// The user that every server here has, with all rights.
pub const USER: &str = "tester";
/// The user's password.
pub const PASSWORD: &str = "throw-away";

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// PostgreSQL
    Postgres,
    /// MariaDB
    Mariadb,
    /// MySQL
    Mysql,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
        }
    }
}

/// A running server.
pub struct Server {
    kind: Kind,
    programs: Programs,
    home: tempfile::TempDir,
    port: u16,
    child: Mutex<Option<Child>>,
}

/// The program that makes a data directory, and the server.
#[derive(Clone)]
struct Programs {
    init: PathBuf,
    server: PathBuf,
    /// What its data directories are called.
    name: String,
}

static SHARED: Mutex<[Weak<Server>; 3]> = Mutex::new([Weak::new(), Weak::new(), Weak::new()]);

static MAKING: Mutex<()> = Mutex::new(());

static INSTALLED: LazyLock<Installed> = LazyLock::new(Installed::find);

/// A server that tests of one binary share, each with databases of its own; none where it is not installed.
pub fn shared(kind: Kind) -> Option<Arc<Server>> {
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let slot = &mut shared[kind as usize];
    if let Some(server) = slot.upgrade() {
        return Some(server);
    }
    let server = Arc::new(own(kind)?);
    *slot = Arc::downgrade(&server);
    Some(server)
}

/// A server for one test alone: to be killed, copied or damaged.
pub fn own(kind: Kind) -> Option<Server> {
    own_with(kind, &[])
}

/// The same with more arguments for the program that makes the data directory.
pub fn own_with(kind: Kind, more: &[&str]) -> Option<Server> {
    Some(begun(kind, installed(kind.name().to_owned(), programs(kind))?, more))
}

/// A server of a newer version than the one that is installed; none where none was laid.
pub fn newer(kind: Kind) -> Option<Server> {
    let folder = std::env::var_os("ATTESTORE_NEWER_ENGINES").map(PathBuf::from).unwrap_or_default();
    let (init, server) = match kind {
        Kind::Postgres => ("postgresql/bin/initdb", "postgresql/bin/postgres"),
        _ => ("mariadb/bin/mariadb-install-db", "mariadb/bin/mariadbd"),
    };
    let found = Some((folder.join(init), folder.join(server))).filter(|(init, server)| init.is_file() && server.is_file());
    Some(begun(kind, installed(format!("newer-{}", kind.name()), found)?, &[]))
}

/// Says where it is not, and fails where it has to be.
fn installed(name: String, found: Option<(PathBuf, PathBuf)>) -> Option<Programs> {
    let Some((init, server)) = found else {
        let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|one| one.trim() == name), "{name} is required and not installed");
        eprintln!("SKIPPED: {name} is not installed");
        return None;
    };
    Some(Programs { init, server, name })
}

fn begun(kind: Kind, programs: Programs, more: &[&str]) -> Server {
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = Server { kind, programs, home, port: free_port(None).unwrap(), child: Mutex::new(None) };
    server.initialise(more);
    server.start_on_a_free_port();
    server
}

impl Server {
    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        let name = if self.kind == Kind::Postgres { format!(".s.PGSQL.{}", self.port) } else { "m.sock".to_owned() };
        self.home.path().join("sockets").join(name)
    }

    /// The source URL of a database, without the password.
    pub fn url(&self, database: &str) -> String {
        let scheme = match self.kind {
            Kind::Postgres => "postgres",
            Kind::Mariadb | Kind::Mysql => "mysql",
        };
        format!("{scheme}://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL with the password, for a test's own connections.
    pub fn full_url(&self, database: &str) -> String {
        self.url(database).replace(&format!("{USER}@"), &format!("{USER}:{PASSWORD}@"))
    }

    /// The numbers of its version.
    pub fn version(&self) -> Vec<u32> {
        let said = Command::new(&self.programs.server).arg("--version").output().unwrap().stdout;
        let said = String::from_utf8_lossy(&said);
        let version = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        attestore::engines::product::numbers(version.unwrap())
    }

    /// Ends the server as a crash does.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.child.lock().unwrap().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Ends the server in order, so that its files can be copied.
    pub fn stop(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            // PostgreSQL: SIGINT is a fast shutdown; the others: SIGTERM is the normal one.
            let signal = if self.kind == Kind::Postgres { "-INT" } else { "-TERM" };
            let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
            let deadline = Instant::now() + Duration::from_secs(30);
            while Instant::now() < deadline {
                if matches!(child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A second server over a copy of the data directory; this one must have been stopped.
    pub fn copy(&self) -> Server {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        copy_data(&self.data(), &home.path().join("data"));
        let mut server =
            Server { kind: self.kind, programs: self.programs.clone(), home, port: free_port(None).unwrap(), child: Mutex::new(None) };
        let _ = std::fs::remove_file(server.data().join("postmaster.pid"));
        server.prepare_sockets();
        server.start_on_a_free_port();
        server
    }

    /// Between finding a free port and the server's taking it, somebody else's connection may: then the next one does.
    fn start_on_a_free_port(&mut self) {
        for _ in 0..3 {
            match self.try_start(&[]) {
                Ok(()) => return,
                Err(said) => assert!(said.to_lowercase().contains("address already in use"), "{said}"),
            }
            self.port = free_port(None).unwrap();
        }
        self.start();
    }

    fn prepare_sockets(&self) {
        let sockets = self.home.path().join("sockets");
        std::fs::create_dir_all(&sockets).unwrap();
        if let Some((uid, gid)) = unprivileged(self.kind) {
            std::os::unix::fs::chown(&sockets, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Makes the data directory: a copy of one that is made once and kept among the build's temporary files.
    fn initialise(&self, more: &[&str]) {
        self.prepare_sockets();
        let init = self.programs.init.clone();
        let changed = std::fs::metadata(&init).and_then(|meta| meta.modified()).unwrap();
        let version = changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{version}{}", self.programs.name, more.join("")));
        let _one_at_a_time = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.is_dir() {
            return copy_data(&kept, &self.data());
        }
        self.make(&init, more);
        let room = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        copy_data(&self.data(), &room.path().join("data"));
        let renamed = std::fs::rename(room.path().join("data"), &kept);
        assert!(renamed.is_ok() || kept.is_dir(), "{renamed:?}");
    }

    fn make(&self, init: &Path, more: &[&str]) {
        // MySQL makes it itself.
        if self.kind != Kind::Mysql {
            std::fs::create_dir(self.data()).unwrap();
        }
        if let Some((uid, gid)) = unprivileged(self.kind) {
            std::os::unix::fs::chown(self.data(), Some(uid), Some(gid)).unwrap();
        }
        let mut command = self.command(init);
        match self.kind {
            Kind::Postgres => {
                let password = self.home.path().join("password");
                std::fs::write(&password, PASSWORD).unwrap();
                command.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"]);
                command.arg(format!("--username={USER}")).arg(format!("--pwfile={}", password.display())).arg("-D").arg(self.data());
            }
            Kind::Mysql => {
                command.args(["--no-defaults", "--initialize-insecure", "--performance-schema=OFF"]);
                command.arg(format!("--datadir={}", self.data().display()));
                if is_root() {
                    command.arg("--user=root");
                }
            }
            Kind::Mariadb => {
                command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
                command.arg(format!("--datadir={}", self.data().display()));
                // A server that starts elsewhere removes temporary tables from a directory that both take for theirs.
                command.arg(format!("--tmpdir={}", self.home.path().join("sockets").display()));
                if is_root() {
                    command.arg("--user=root");
                }
            }
        }
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}: {}", init.display(), String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the server over its data directory and waits until it answers.
    pub fn start(&self) {
        self.start_with(&[]);
    }

    /// The same with more arguments for the server.
    pub fn start_with(&self, more: &[String]) {
        self.try_start(more).unwrap_or_else(|said| panic!("{said}"));
    }

    fn try_start(&self, more: &[String]) -> Result<(), String> {
        let program = self.programs.server.clone();
        let sockets = self.home.path().join("sockets");
        let mut command = self.command(&program);
        match self.kind {
            Kind::Postgres => {
                command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]).arg("-k").arg(&sockets);
                // Shared memory lies in the data directory: a server that was killed leaves none elsewhere.
                command.args(["-c", "dynamic_shared_memory_type=mmap"]);
                for setting in ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=32MB", "max_connections=40", "autovacuum=off"] {
                    command.args(["-c", setting]);
                }
            }
            Kind::Mariadb | Kind::Mysql => {
                let init = self.home.path().join("init.sql");
                let user = format!("'{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'");
                std::fs::write(
                    &init,
                    format!("CREATE USER IF NOT EXISTS {user};\nGRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"),
                )
                .unwrap();
                command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-buffer-pool-size=64M"]);
                command.args(["--innodb-flush-log-at-trx-commit=0", "--performance-schema=OFF", "--max-allowed-packet=64M"]);
                command.arg(format!("--datadir={}", self.data().display())).arg(format!("--port={}", self.port));
                command.arg(format!("--socket={}", sockets.join("m.sock").display()));
                command.arg(format!("--pid-file={}", sockets.join("m.pid").display()));
                command.arg(format!("--init-file={}", init.display()));
                command.arg(format!("--tmpdir={}", sockets.display()));
                if self.kind == Kind::Mysql {
                    // Its second protocol listens on a port of its own.
                    command.args(["--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=NULL"]);
                    // What a test damages in a file would come back from there.
                    command.arg("--innodb-doublewrite=OFF");
                }
                if is_root() {
                    command.arg("--user=root");
                }
            }
        }
        let log = std::fs::File::create(self.home.path().join("server.log")).unwrap();
        let child = command.args(more).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        *self.child.lock().unwrap() = Some(child);
        self.wait_until_it_answers()
    }

    /// What the server said, where it ended instead.
    fn wait_until_it_answers(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // All listen before they are ready: PostgreSQL refuses then, the others run their init file before they listen.
            let answers = match self.kind {
                Kind::Mysql => greets(self.port),
                Kind::Mariadb => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
                // One that was killed left its file.
                Kind::Postgres => std::fs::read_to_string(self.data().join("postmaster.pid")).is_ok_and(|text| {
                    let own = self.child.lock().unwrap().as_ref().map(|child| child.id().to_string());
                    text.lines().next().map(str::to_owned) == own && text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
                }),
            };
            // Whoever answers on its port while it has ended is another.
            let exited = self.child.lock().unwrap().as_mut().and_then(|child| child.try_wait().ok().flatten());
            let log = || std::fs::read_to_string(self.home.path().join("server.log")).unwrap_or_default();
            if exited.is_some() {
                return Err(format!("{} ended while starting: {}", self.kind.name(), log()));
            }
            if answers {
                return Ok(());
            }
            assert!(Instant::now() < deadline, "{} does not answer: {}", self.kind.name(), log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir(self.home.path()).env("LC_ALL", "C.UTF-8").env_remove("PGDATA");
        if let Some((uid, gid)) = unprivileged(self.kind) {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.kind {
            // A killed postmaster leaves its children and shared memory for a moment; a fast shutdown does not.
            Kind::Postgres => self.stop(),
            Kind::Mariadb | Kind::Mysql => self.kill(),
        }
    }
}

/// MySQL takes connections before it has run its init file, and greets after.
fn greets(port: u16) -> bool {
    use std::io::Read;
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.read_exact(&mut [0]).is_ok()
}

/// The numbers of a server's version.
pub fn version(kind: Kind) -> Vec<u32> {
    let kind = if kind == Kind::Mysql { EngineKind::MySql } else { EngineKind::MariaDb };
    INSTALLED.programs(kind).map(|programs| attestore::engines::product::numbers(&programs.version)).unwrap_or_default()
}

/// Runs statements by the own client of MariaDB or MySQL, which reads DELIMITER too.
pub fn run(server: &Server, statements: &str) {
    use std::io::Write;
    let kind = if server.kind == Kind::Mysql { EngineKind::MySql } else { EngineKind::MariaDb };
    let mut client = Command::new(&INSTALLED.programs(kind).unwrap().client);
    client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--max-allowed-packet=1G", "--default-character-set=utf8mb4"]);
    client.arg(format!("--port={}", server.port)).arg(format!("--user={USER}")).env("MYSQL_PWD", PASSWORD);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn copy_data(from: &Path, to: &Path) {
    let copied =
        Command::new("cp").arg("-a").args(cfg!(target_os = "linux").then_some("--sparse=always")).args([from, to]).status().unwrap();
    assert!(copied.success(), "copying a data directory");
}

/// The program that makes a data directory, and the server.
fn programs(kind: Kind) -> Option<(PathBuf, PathBuf)> {
    let places: Vec<(String, String)> = match kind {
        // Programs of MariaDB have the same names: each is asked.
        Kind::Mysql => return INSTALLED.programs(EngineKind::MySql).map(|programs| (programs.init.clone(), programs.server.clone())),
        Kind::Postgres => (12..=18)
            .rev()
            .map(|major| format!("/usr/lib/postgresql/{major}/bin"))
            .chain(["/usr/bin".into(), "/usr/local/bin".into(), "/opt/homebrew/bin".into()])
            .map(|dir| (format!("{dir}/initdb"), format!("{dir}/postgres")))
            .collect(),
        Kind::Mariadb => ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]
            .into_iter()
            .flat_map(|dir| ["/usr/bin", dir].map(|init| (format!("{init}/mariadb-install-db"), format!("{dir}/mariadbd"))))
            .collect(),
    };
    places
        .into_iter()
        .map(|(init, server)| (PathBuf::from(init), PathBuf::from(server)))
        .find(|(init, server)| init.is_file() && server.is_file())
}

/// A program that comes with the server, beside it.
#[allow(dead_code, reason = "each test binary uses its own part of this helper")]
pub fn beside(kind: Kind, name: &str) -> PathBuf {
    let (_, server) = programs(kind).unwrap();
    server.with_file_name(name)
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// PostgreSQL refuses to run as root: then it runs as its own user, or as nobody.
fn unprivileged(kind: Kind) -> Option<(u32, u32)> {
    if kind != Kind::Postgres || !is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |user: &str| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{user}:")))?;
        let mut parts = line.split(':').skip(2).map(|part| part.parse::<u32>().ok());
        Some((parts.next()??, parts.next()??))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).unwrap_or((65_534, 65_534)))
}
