//! What MariaDB and MySQL have in common: how a server is started and told things, how its users are made, and what a dump's user keeps.
//!
//! Administration goes through the Unix socket in the server's own folder with a password that lies beside the data; over TCP only the
//! users that were created can log in. Not here: what each of the two has of its own (`mariadb`, `mysql`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::definers::Account;
use crate::engines::installed::Programs;
use crate::engines::master::Master;
use crate::model::failure::Failure;

/// The administrator.
pub const ADMIN: &str = "rdsadmin";
/// The administrator's password, in the data directory so that copies keep it.
const SECRET: &str = "data/attestore-admin";

/// Settings that suit throw-away copies and keep them to themselves.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--event-scheduler=OFF",
    // A table that is kept on another server is not read from there.
    "--loose-federated=OFF",
    "--max-connections=60",
    "--character-set-server=utf8mb4",
    // A row of a dump is one statement, however large it is; both programs that write dumps take so much.
    "--max-allowed-packet=1G",
    // A table that was kept in memory is as large as its own server let it be; how much memory there is, is bounded elsewhere.
    "--max-heap-table-size=1G",
    // What a server that was less strict has made comes back; a dump does not say it.
    "--innodb-strict-mode=OFF",
    "--innodb-buffer-pool-size=32M",
    // A commit is in the files (though not on the disk) when it is answered: a frozen copy has it.
    "--innodb-flush-log-at-trx-commit=2",
    // No write is under way in the kernel once the threads stand still.
    "--innodb-use-native-aio=0",
    "--innodb-flush-method=fsync",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--innodb-buffer-pool-load-at-startup=OFF",
];

/// The server over `home/data` on 127.0.0.1:`port`, with these settings of its own.
pub fn server(programs: &Programs, area: &Area, home: &Path, port: u16, own: &[&str]) -> Command {
    let mut command = area::command(area, &programs.server);
    let run = home.join("run");
    command.arg("--no-defaults").arg(format!("--datadir={}", home.join("data").display())).arg(format!("--port={port}"));
    command.arg(format!("--socket={}", run.join("s").display())).arg(format!("--pid-file={}", run.join("server.pid").display()));
    command.arg(format!("--tmpdir={}", run.display())).args(SETTINGS).args(own);
    // Statements write and read files nowhere else, and there only what the server's user may: nothing.
    let files = files(home);
    if std::fs::create_dir_all(&files).is_ok() {
        command.arg(format!("--secure-file-priv={}", files.display()));
    }
    // A copy of a server that kept a log goes on keeping one: what was prepared when it was copied is settled by the log.
    if area::log_folder(home).is_some() || home.join("data/binlog.index").is_file() {
        command.args(["--log-bin=binlog", "--server-id=1", "--loose-binlog-format=ROW", "--sync-binlog=0"]);
    } else {
        command.arg("--skip-log-bin");
    }
    if let Some(tls) = area.tls() {
        command.arg(format!("--ssl-cert={}", tls.certificate.display())).arg(format!("--ssl-key={}", tls.key.display()));
    }
    command
}

/// The folder that statements may name files in: empty.
pub fn files(home: &Path) -> PathBuf {
    home.join("files")
}

/// True once the server greets on its socket: it has run its own file of statements by then.
pub async fn is_ready(home: &Path) -> bool {
    use tokio::io::AsyncReadExt;
    let Ok(mut socket) = tokio::net::UnixStream::connect(home.join("run/s")).await else { return false };
    let mut byte = [0];
    matches!(tokio::time::timeout(std::time::Duration::from_secs(2), socket.read(&mut byte)).await, Ok(Ok(1)))
}

/// A password for the administrator, with characters of every class: a copy may bring along what demands them.
pub fn new_secret() -> String {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).expect("the system's random source answers");
    format!("Aa1-{}", hex::encode(bytes))
}

/// Keeps the administrator's password beside the data, for the servers' user alone.
pub fn keep_secret(area: &Area, home: &Path, secret: &str) -> Result<(), Failure> {
    write_private(area, &home.join(SECRET), secret)
}

/// The administrator's password.
pub fn secret(home: &Path) -> Result<String, Failure> {
    let path = home.join(SECRET);
    std::fs::read_to_string(&path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))
}

/// Where the statements lie that a server runs before its first client.
pub fn init_file(home: &Path) -> PathBuf {
    home.join("run/init.sql")
}

/// Lays those statements, and says where.
pub fn lay_init_file(area: &Area, home: &Path, statements: &str) -> Result<PathBuf, Failure> {
    let path = init_file(home);
    write_private(area, &path, statements)?;
    Ok(path)
}

fn write_private(area: &Area, path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
    area.hand_over(path, 0o600)
}

/// Runs SQL as the administrator; the rows, separated by tabs.
pub async fn sql(programs: &Programs, area: &Area, home: &Path, database: &str, text: &str) -> Result<String, Failure> {
    sql_as(programs, area, home, (ADMIN, &secret(home)?), database, text).await
}

/// Runs SQL as a user with a password.
pub async fn sql_as(
    programs: &Programs,
    area: &Area,
    home: &Path,
    (user, password): (&str, &str),
    database: &str,
    text: &str,
) -> Result<String, Failure> {
    let mut command = by_socket(programs, area, home, user, password);
    command.args(["--skip-column-names", "--database"]).arg(database);
    area::run(command, "the database's client", text).await
}

/// The client as the administrator, to be given statements on its standard input.
pub fn admin_client(programs: &Programs, area: &Area, home: &Path, database: Option<&str>) -> Result<Command, Failure> {
    let mut command = by_socket(programs, area, home, ADMIN, &secret(home)?);
    command.arg("--binary-mode");
    if let Some(database) = database {
        command.arg("--database").arg(database);
    }
    Ok(command)
}

fn by_socket(programs: &Programs, area: &Area, home: &Path, user: &str, password: &str) -> Command {
    let mut command = area::command(area, &programs.client);
    command.arg("--no-defaults").arg(format!("--socket={}", home.join("run/s").display())).arg(format!("--user={user}"));
    command.args(["--batch", "--default-character-set=utf8mb4"]).env("MYSQL_PWD", password);
    command
}

/// The client as a user of the outside, to be given a script on its standard input; it ends at the first error and runs no commands of
/// its own.
pub fn client_of(programs: &Programs, area: &Area, port: u16, master: &Master, database: &str) -> Command {
    let mut command = area::command(area, &programs.client);
    command.arg("--no-defaults").args(["--protocol=tcp", "--host=127.0.0.1"]).arg(format!("--port={port}"));
    command.arg(format!("--user={}", master.user)).args(["--batch", "--binary-mode", "--default-character-set=utf8mb4"]);
    command.args(["--local-infile=0", "--max-allowed-packet=1G", "--database"]);
    command.arg(database).env("MYSQL_PWD", &master.password).stdout(std::process::Stdio::null());
    command
}

/// The statements that make the master user and, where one is named, its database.
pub fn create_master(user: &str, password: &str, database: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(database) = database {
        text += &format!("CREATE DATABASE {};\n", name(database));
    }
    text + &format!(
        "CREATE USER {0}@'%' IDENTIFIED BY {1};\nGRANT ALL ON *.* TO {0}@'%' WITH GRANT OPTION;\n",
        literal(user),
        literal(password)
    )
}

/// The statement that sets a user's password.
pub fn set_password(user: &str, password: &str) -> String {
    format!("ALTER USER {}@'%' IDENTIFIED BY {};\n", literal(user), literal(password))
}

/// The statements that leave `user`, who loads a dump and reads it afterwards, what that needs: everything in the dump's databases, and
/// `of_the_server`, the statements by which it may see routines and name the accounts that objects run as. Who was granted what is in no
/// dump, and is not shown. Those accounts get the same databases, and nobody logs in as them. The administrator keeps nothing, for a
/// routine of the dump may run as it: these are its last statements.
pub fn confine(user: &str, of_the_server: impl Fn(&str) -> String, definers: &BTreeSet<Account>, databases: &BTreeSet<String>) -> String {
    let (user, admin) = (format!("{}@'%'", literal(user)), format!("{ADMIN}@localhost"));
    let mut text = format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user};\n{}", of_the_server(&user));
    let mut accounts = vec![user];
    for (user, host) in definers.iter().filter(|(user, _)| !user.is_empty()) {
        let account = if host.is_empty() { literal(user) } else { format!("{}@{}", literal(user), literal(host)) };
        text += &match host.is_empty() {
            true => format!("CREATE ROLE IF NOT EXISTS {account};\n"),
            false => format!("CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;\n"),
        };
        accounts.push(account);
    }
    for (account, database) in accounts.iter().flat_map(|account| databases.iter().map(move |database| (account, database))) {
        text += &format!("GRANT ALL ON {}.* TO {account};\n", pattern(database));
    }
    text + &format!("REVOKE ALL PRIVILEGES ON *.* FROM {admin};\nREVOKE GRANT OPTION ON *.* FROM {admin};\n")
}

fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// The name of a database in a GRANT, where some characters stand for others.
fn pattern(text: &str) -> String {
    name(&text.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
}

/// The folder of a database of this name, as far as it is in ASCII ("Identifier to File Name Mapping" of MariaDB's documentation).
pub fn folder_of(database: &str) -> String {
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => letter.to_string(),
        other => format!("@{:04x}", u32::from(other)),
    };
    database.chars().map(letter).collect()
}

/// A text between quotes.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
