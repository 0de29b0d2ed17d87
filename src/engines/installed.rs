//! Which database engines this machine has, and where their programs are. Nothing is installed or downloaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::model::failure::{Failure, FailureKind};

/// Test hook: the only engines that are looked for, such as `postgres,mariadb,mysql`; empty is a machine that has none.
pub const ENGINES: &str = "ATTESTORE_TEST_ENGINES";

/// A server that can be started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
    /// MySQL.
    MySql,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::MariaDb, Self::MySql];

    /// The server of an RDS engine name: `postgres`, `mariadb` or `mysql`. None stands in for another: what holds for one need not for the other.
    pub fn of_rds(engine: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == engine)
    }

    /// One word in small letters, such as `postgres`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }

    /// As its makers write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        }
    }

    /// The scheme of a source's URL.
    pub fn scheme(self) -> &'static str {
        if self == Self::Postgres { "postgres" } else { "mysql" }
    }

    /// The packages to install where the engine is missing, in the words of Debian.
    pub fn packages(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql (initdb, postgres, psql)",
            Self::MariaDb => "mariadb-server (mariadb-install-db, mariadbd, mariadb)",
            Self::MySql => "mysql-server-core and mysql-client-core (mysqld, mysql), or put their folder on the PATH",
        }
    }
}

/// The programs of one engine.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Makes an empty data directory.
    pub init: PathBuf,
    /// The server.
    pub server: PathBuf,
    /// The client that administers it through its local socket.
    pub client: PathBuf,
    /// Version, such as `15.18`.
    pub version: String,
    /// Where the engine's other programs are looked for, in this order.
    pub folders: Vec<PathBuf>,
}

impl Programs {
    /// Another program of the engine by the first of its names that is there, such as `pg_restore` or `mariadb-binlog`.
    pub fn tool(&self, names: &[&str]) -> Result<PathBuf, Failure> {
        program(&self.folders, names).ok_or_else(|| {
            Failure::new(FailureKind::Absent, format!("{} is not installed here", names.join(" or ")))
                .hint("install the engine's client programs")
        })
    }

    /// The same of MySQL: MariaDB installs programs of the same names, which do not read what MySQL writes.
    pub fn tool_of_mysql(&self, name: &str) -> Result<PathBuf, Failure> {
        let is_of_mysql = |path: &PathBuf| {
            let real = std::fs::canonicalize(path).unwrap_or_default();
            let is_other = real.file_name().is_some_and(|name| name.to_string_lossy().contains("mariadb"));
            path.is_file() && !is_other && of_mysql(path).is_some()
        };
        self.folders.iter().map(|folder| folder.join(name)).find(is_of_mysql).ok_or_else(|| {
            let hint = format!("install {}, with its {name}", EngineKind::MySql.packages());
            Failure::new(FailureKind::Absent, format!("MySQL's {name} is not installed here")).hint(hint)
        })
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Installed {
    engines: BTreeMap<EngineKind, Programs>,
}

impl Installed {
    /// Looks at `PATH`, `/usr/sbin` and the folders where distributions keep PostgreSQL; the newest PostgreSQL wins.
    pub fn find() -> Self {
        let only = std::env::var(ENGINES).ok();
        let may = |kind: &EngineKind| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == kind.name()));
        let found = |kind: EngineKind| {
            let programs = match kind {
                EngineKind::Postgres => find_postgres(),
                EngineKind::MariaDb => find_mariadb(),
                EngineKind::MySql => find_mysql(),
            };
            programs.map(|programs| (kind, programs))
        };
        // Each program that is asked for its version takes its time.
        let found = std::thread::scope(|scope| {
            let asked: Vec<_> = EngineKind::ALL.into_iter().filter(may).map(|kind| scope.spawn(move || found(kind))).collect();
            asked.into_iter().filter_map(|one| one.join().expect("no panic while looking")).collect()
        });
        Self { engines: found }
    }

    /// [`Installed::find`], once in a program's life.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Installed> = OnceLock::new();
        HERE.get_or_init(Self::find)
    }

    /// The programs of an engine, where it is installed.
    pub fn programs(&self, kind: EngineKind) -> Option<&Programs> {
        self.engines.get(&kind)
    }

    /// The engines that can be started.
    pub fn kinds(&self) -> Vec<EngineKind> {
        self.engines.keys().copied().collect()
    }
}

fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from));
    folders
}

fn program(folders: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

fn find_postgres() -> Option<Programs> {
    // Debian keeps a folder a version and puts only wrappers on the PATH.
    let mut folders = versioned("/usr/lib/postgresql", "bin");
    folders.extend(versioned("/usr/pgsql-", "bin"));
    folders.extend(search_path());
    let server = program(&folders, &["postgres"])?;
    // All of one version: what lies beside the server comes first.
    let beside: Vec<PathBuf> = server.parent().map(Path::to_owned).into_iter().chain(folders).collect();
    let (init, client) = (program(&beside, &["initdb"])?, program(&beside, &["psql"])?);
    // `postgres (PostgreSQL) 15.18 (Debian …)`
    let said = version_text(&server)?;
    let version = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?.to_owned();
    Some(Programs { init, server, client, version, folders: beside })
}

fn find_mariadb() -> Option<Programs> {
    let folders = search_path();
    let server = program(&folders, &["mariadbd", "mysqld"])?;
    let (init, client) = (program(&folders, &["mariadb-install-db", "mysql_install_db"])?, program(&folders, &["mariadb", "mysql"])?);
    // `mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for …`
    let said = version_text(&server).filter(|said| said.contains("MariaDB"))?;
    let version = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    Some(Programs { init, server, client, version: version.split('-').next()?.to_owned(), folders })
}

/// MariaDB installs programs of the same names: each is asked what it is, and those beside the server come first.
fn find_mysql() -> Option<Programs> {
    let folders = search_path();
    let named = |folders: &[PathBuf], name: &str| {
        let all = folders.iter().map(|folder| folder.join(name)).filter(|path| path.is_file()).collect::<Vec<_>>();
        all.into_iter().find_map(|path| Some((of_mysql(&path)?, path)))
    };
    let (said, server) = named(&folders, "mysqld")?;
    let beside = |path: &Path| path.parent().map(Path::to_owned);
    let beside_server: Vec<PathBuf> = beside(&server).into_iter().chain(folders).collect();
    let (_, client) = named(&beside_server, "mysql")?;
    let folders = beside(&client).into_iter().chain(beside_server).collect();
    let version = said.split(|sign: char| sign != '.' && !sign.is_ascii_digit()).next()?.to_owned();
    Some(Programs { init: server.clone(), server, client, version, folders })
}

/// What a program of MySQL says behind `Ver `, such as `8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)`.
fn of_mysql(path: &Path) -> Option<String> {
    version_text(path).filter(|said| !said.contains("MariaDB"))?.split("Ver ").nth(1).map(str::to_owned)
}

/// The folders `ROOT/VERSION/LEAF`, newest version first. A root such as `/usr/pgsql-` is a prefix of names.
fn versioned(root: &str, leaf: &str) -> Vec<PathBuf> {
    let (parent, prefix) = if root.ends_with('-') {
        let (parent, prefix) = root.rsplit_once('/').unwrap_or(("", root));
        (parent, prefix)
    } else {
        (root, "")
    };
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(leaf)))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

fn version_text(server: &Path) -> Option<String> {
    let output = Command::new(server).arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_rds_is_its_own_server() {
        let all = ["postgres", "mariadb", "mysql"].map(|engine| EngineKind::of_rds(engine).unwrap());
        assert_eq!(all, EngineKind::ALL);
        assert_eq!(EngineKind::of_rds("oracle-ee"), None);
    }
}
