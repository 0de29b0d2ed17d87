//! MariaDB alone: how a data directory is made, what the server is started with, which rights it names, and its log.
//!
//! Not here: what it shares with MySQL (`mysql_family`).

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::definers::Account;
use crate::engines::installed::Programs;
use crate::engines::mysql_family::{self, ADMIN, literal};
use crate::model::failure::{Failure, FailureKind};

const SETTINGS: &[&str] = &[
    // A copy of a replica knows its primary, and would go on where it stood.
    "--skip-slave-start",
    // Tables lie in the data directory, whatever a dump says.
    "--skip-symbolic-links",
    // Rules for passwords that a copy brings along are for its own users.
    "--loose-simple-password-check=OFF",
    "--loose-cracklib-password-check=OFF",
    "--loose-password-reuse-check=OFF",
    "--innodb-log-file-size=8M",
];

/// Makes `home/data`: empty, with the administrator's password beside it; its `root` has none until [`lock_down`].
pub async fn init(programs: &Programs, area: &Area, home: &Path) -> Result<(), Failure> {
    let data = home.join("data");
    std::fs::create_dir(&data).map_err(|error| Failure::io("cannot make a data directory", error))?;
    area.hand_over(&data, 0o700)?;
    let mut command = area::command(area, &programs.init);
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M"]);
    // A server that starts elsewhere removes temporary tables from a directory that both take for theirs.
    command.arg(format!("--tmpdir={}", home.display()));
    area::run(command, "cannot make a MariaDB data directory", "").await?;
    mysql_family::keep_secret(area, home, &mysql_family::new_secret())
}

/// Leaves the administrator alone in a fresh data directory; run once, while its `root` still has no password.
pub async fn lock_down(programs: &Programs, area: &Area, home: &Path) -> Result<(), Failure> {
    let text = format!(
        "CREATE USER {ADMIN}@localhost IDENTIFIED BY {};\nGRANT ALL ON *.* TO {ADMIN}@localhost WITH GRANT OPTION;\n\
         DELETE FROM mysql.global_priv WHERE User NOT IN ('{ADMIN}', 'mariadb.sys');\nFLUSH PRIVILEGES;\n",
        literal(&mysql_family::secret(home)?)
    );
    mysql_family::sql_as(programs, area, home, ("root", ""), "mysql", &text).await.map(drop)
}

/// The server over `home/data` on 127.0.0.1:`port`.
pub fn server(programs: &Programs, area: &Area, home: &Path, port: u16) -> Command {
    mysql_family::server(programs, area, home, port, SETTINGS)
}

/// The statements that make the administrator in a copy that does not know it.
pub fn make_admin(secret: &str) -> String {
    format!(
        "CREATE OR REPLACE USER {ADMIN}@localhost IDENTIFIED BY {};\nGRANT ALL ON *.* TO {ADMIN}@localhost WITH GRANT OPTION;\n",
        literal(secret)
    )
}

/// The statements that make a user who reads everything.
pub fn create_reader(user: &str, password: &str) -> String {
    let user = literal(user);
    format!(
        "CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY {};\nGRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, BINLOG MONITOR ON *.* TO {user}@'%';\n",
        literal(password)
    )
}

/// The statements that leave a dump's user what it needs ([`mysql_family::confine`]).
pub fn confine(user: &str, definers: &BTreeSet<Account>, databases: &BTreeSet<String>) -> String {
    let of_the_server = |user: &str| format!("GRANT BINLOG MONITOR, SET USER ON *.* TO {user};\nGRANT SELECT ON mysql.proc TO {user};\n");
    mysql_family::confine(user, of_the_server, definers, databases)
}

/// The statement that closes the log file that is written to.
pub const CLOSE_LOG: &str = "FLUSH BINARY LOGS;\n";

/// The log files of a data directory, oldest first, by their names.
pub fn log_files(home: &Path) -> Result<Vec<String>, Failure> {
    let path = home.join("data/binlog.index");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))?;
    Ok(text.lines().filter_map(|line| line.rsplit('/').next()).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// `mariadb-binlog` over the log of the server in `source`, from where the copy in `base` ends: up to an instant, or all of it.
///
/// The log's times are those at which statements began, in whole seconds; the first event of the second `until` or later ends it.
pub fn log_reader(programs: &Programs, area: &Area, base: &Path, source: &Path, until: Option<DateTime<Utc>>) -> Result<Command, Failure> {
    let known = log_files(base)?;
    let from = known.last().ok_or_else(|| Failure::new(FailureKind::Absent, format!("{} keeps no log", base.display())))?;
    let path = base.join("data").join(from);
    let start = std::fs::metadata(&path).map_err(|error| Failure::io(format!("cannot look at {}", path.display()), error))?.len();
    let files = log_files(source)?.into_iter().skip_while(|name| name != from).map(|name| source.join("data").join(name));
    let mut command = area::command(area, &programs.tool(&["mariadb-binlog", "mysqlbinlog"])?);
    command.arg("--no-defaults").arg(format!("--start-position={start}"));
    if let Some(until) = until {
        command.arg(format!("--stop-datetime={}", until.format("%Y-%m-%d %H:%M:%S")));
    }
    command.args(files);
    Ok(command)
}
