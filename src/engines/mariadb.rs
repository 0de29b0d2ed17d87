//! MariaDB alone: how a data directory is made, what the server is started with, and which rights it names.
//!
//! Not here: what it shares with MySQL (`mysql_family`, `binary_log`).

use std::collections::BTreeSet;
use std::path::Path;

use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::definers::Account;
use crate::engines::installed::Programs;
use crate::engines::mysql_family::{self, ADMIN, literal};
use crate::model::failure::Failure;

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
