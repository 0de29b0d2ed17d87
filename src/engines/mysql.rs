//! MySQL alone: how a data directory is made, what the server is started with, and which rights it names.
//!
//! Not here: what it shares with MariaDB (`mysql_family`), and physical copies (`mysql_copy`).

use std::collections::BTreeSet;
use std::path::Path;

use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::definers::Account;
use crate::engines::installed::Programs;
use crate::engines::mysql_family::{self, ADMIN, literal};
use crate::engines::product::numbers;
use crate::model::failure::Failure;

const SETTINGS: &[&str] = &[
    // Its second protocol, on a port of its own.
    "--mysqlx=OFF",
    // A copy of a replica knows its primary, and would go on where it stood.
    "--loose-skip-replica-start",
    // A copy brings settings along that would come after these.
    "--persisted-globals-load=OFF",
    "--local-infile=OFF",
    "--loose-innodb-redo-log-capacity=32M",
    // What servers before 8.4 took, and those that are not strict about the size of rows, and their dumps hold.
    "--innodb-strict-mode=OFF",
    "--loose-restrict-fk-on-non-standard-key=OFF",
];

/// Makes `home/data`: empty, with the administrator and nobody else. No server listens meanwhile.
pub async fn init(programs: &Programs, area: &Area, home: &Path) -> Result<(), Failure> {
    let secret = mysql_family::new_secret();
    let statements = format!("{}DROP USER root@localhost;\n", make_admin(&secret));
    let file = mysql_family::lay_init_file(area, home, &statements)?;
    let mut command = area::command(area, &programs.init);
    command.arg("--no-defaults").arg("--initialize-insecure").arg(format!("--datadir={}", home.join("data").display()));
    command.arg(format!("--init-file={}", file.display())).arg(format!("--tmpdir={}", home.join("run").display()));
    command.args(["--performance-schema=OFF", "--loose-innodb-redo-log-capacity=32M", "--innodb-doublewrite=0"]);
    let made = area::run(command, "cannot make a MySQL data directory", "").await;
    // It holds a password.
    let _ = std::fs::remove_file(file);
    made?;
    mysql_family::keep_secret(area, home, &secret)
}

/// The server over `home/data` on 127.0.0.1:`port`. It finds no plugins and no components: none was asked for.
pub fn server(programs: &Programs, area: &Area, home: &Path, port: u16) -> Command {
    let mut command = mysql_family::server(programs, area, home, port, SETTINGS);
    command.arg(format!("--plugin-dir={}", mysql_family::files(home).display()));
    command
}

/// The statements that make the administrator, who may be there already.
pub fn make_admin(secret: &str) -> String {
    let user = format!("{ADMIN}@localhost");
    make_user(&user, secret) + &format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n")
}

/// The statements that make a user who reads everything.
pub fn create_reader(user: &str, password: &str) -> String {
    let user = format!("{}@'%'", literal(user));
    make_user(&user, password) + &format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, REPLICATION CLIENT ON *.* TO {user};\n")
}

/// A user that is there may own things, and is not removed.
fn make_user(user: &str, password: &str) -> String {
    let password = literal(password);
    format!(
        "CREATE USER IF NOT EXISTS {user};\nALTER USER {user} IDENTIFIED WITH caching_sha2_password BY {password} REQUIRE NONE \
         PASSWORD EXPIRE NEVER ACCOUNT UNLOCK;\n"
    )
}

/// The statements that leave a dump's user what it needs ([`mysql_family::confine`]). Accounts of the server's own, which hold more than
/// the dump's databases, cannot be named: that takes SYSTEM_USER.
pub fn confine(version: &str, user: &str, definers: &BTreeSet<Account>, databases: &BTreeSet<String>) -> String {
    // The right to name another account has a new name since 8.2.
    let names = if numbers(version) < vec![8, 2] { "SET_USER_ID" } else { "SET_ANY_DEFINER" };
    let of_the_server = |user: &str| format!("GRANT {names}, SHOW_ROUTINE ON *.* TO {user};\n");
    mysql_family::confine(user, of_the_server, definers, databases)
}
