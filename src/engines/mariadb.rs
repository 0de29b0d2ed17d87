//! MariaDB: how a data directory is made, how the server is started over it, and how it is told things.
//!
//! Administration goes through the Unix socket in the server's own folder with a password that lies beside the data; over TCP only the
//! users that were created can log in. Settings suit throw-away copies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::definers::Account;
use crate::engines::installed::Programs;
use crate::engines::master::Master;
use crate::model::failure::{Failure, FailureKind};

const ADMIN: &str = "rdsadmin";
/// The administrator's password, in the data directory so that copies keep it.
const SECRET: &str = "data/attestore-admin";

const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--event-scheduler=OFF",
    // A copy of a replica knows its primary, and would go on where it stood.
    "--skip-slave-start",
    // Tables lie in the data directory, whatever a dump says.
    "--skip-symbolic-links",
    // A table that is kept on another server is not read from there.
    "--loose-federated=OFF",
    "--max-connections=60",
    // Rows as large as they come.
    "--max-allowed-packet=1G",
    // What a server that was less strict has made comes back; a dump does not say it.
    "--innodb-strict-mode=OFF",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    // A commit is in the files (though not on the disk) when it is answered: a frozen copy has it.
    "--innodb-flush-log-at-trx-commit=2",
    // No write is under way in the kernel once the threads stand still.
    "--innodb-use-native-aio=0",
    "--innodb-flush-method=fsync",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--innodb-buffer-pool-load-at-startup=OFF",
];

/// Makes `home/data`: empty, with the administrator and nobody else.
pub async fn init(programs: &Programs, area: &Area, home: &Path) -> Result<(), Failure> {
    let mut command = area::command(area, &programs.init);
    command.arg("--no-defaults").arg(format!("--datadir={}", home.join("data").display()));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M"]);
    // A server that starts elsewhere removes temporary tables from a directory that both take for theirs.
    command.arg(format!("--tmpdir={}", home.display()));
    area::run(command, "cannot make a MariaDB data directory", "").await?;
    write_secret(area, home)
}

fn write_secret(area: &Area, home: &Path) -> Result<(), Failure> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).expect("the system's random source answers");
    let path = home.join(SECRET);
    std::fs::write(&path, hex::encode(bytes)).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
    area.hand_over(&path, 0o600)
}

/// Where the statements lie that a server runs before its first client.
pub fn init_file(home: &Path) -> PathBuf {
    home.join("run/init.sql")
}

/// A file of statements for `--init-file` that make the administrator in a copy that does not know it.
pub fn make_admin(area: &Area, home: &Path) -> Result<PathBuf, Failure> {
    write_secret(area, home)?;
    let secret = literal(&secret(home)?);
    let text = format!(
        "CREATE OR REPLACE USER {ADMIN}@localhost IDENTIFIED BY {secret};\nGRANT ALL ON *.* TO {ADMIN}@localhost WITH GRANT OPTION;\n"
    );
    let path = init_file(home);
    std::fs::write(&path, text).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
    area.hand_over(&path, 0o600)?;
    Ok(path)
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

/// The statements that make a user who reads everything.
pub fn create_reader(user: &str, password: &str) -> String {
    let user = literal(user);
    format!(
        "CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY {};\nGRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE, BINLOG MONITOR ON *.* TO {user}@'%';\n",
        literal(password)
    )
}

/// Leaves the administrator alone in a fresh data directory; run once, while its `root` still has no password.
pub async fn lock_down(programs: &Programs, area: &Area, home: &Path) -> Result<(), Failure> {
    let text = format!(
        "CREATE USER {ADMIN}@localhost IDENTIFIED BY {};\nGRANT ALL ON *.* TO {ADMIN}@localhost WITH GRANT OPTION;\n\
         DELETE FROM mysql.global_priv WHERE User NOT IN ('{ADMIN}', 'mariadb.sys');\nFLUSH PRIVILEGES;\n",
        literal(&secret(home)?)
    );
    client(programs, area, home, "root", "", "mysql", &text).await.map(drop)
}

/// The server over `home/data` on 127.0.0.1:`port`.
pub fn server(programs: &Programs, area: &Area, home: &Path, port: u16) -> Command {
    let mut command = area::command(area, &programs.server);
    let run = home.join("run");
    command.arg("--no-defaults").arg(format!("--datadir={}", home.join("data").display())).arg(format!("--port={port}"));
    command.arg(format!("--socket={}", run.join("s").display())).arg(format!("--pid-file={}", run.join("server.pid").display()));
    command.arg(format!("--tmpdir={}", run.display())).args(SETTINGS);
    // Statements write and read files nowhere else, and there only what the server's user may: nothing.
    let files = home.join("files");
    if std::fs::create_dir_all(&files).is_ok() {
        command.arg(format!("--secure-file-priv={}", files.display()));
    }
    // A copy of a server that kept a log goes on keeping one: what was prepared when it was copied is settled by the log.
    if area::log_folder(home).is_some() || home.join("data/binlog.index").is_file() {
        command.args(["--log-bin=binlog", "--server-id=1", "--binlog-format=ROW", "--sync-binlog=0"]);
    } else {
        command.arg("--skip-log-bin");
    }
    if let Some(tls) = area.tls() {
        command.arg(format!("--ssl-cert={}", tls.certificate.display())).arg(format!("--ssl-key={}", tls.key.display()));
    }
    command
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

/// True once the server greets on its socket.
pub async fn is_ready(home: &Path) -> bool {
    use tokio::io::AsyncReadExt;
    let Ok(mut socket) = tokio::net::UnixStream::connect(home.join("run/s")).await else { return false };
    let mut byte = [0];
    matches!(tokio::time::timeout(std::time::Duration::from_secs(2), socket.read(&mut byte)).await, Ok(Ok(1)))
}

/// Runs SQL as the administrator; the rows, separated by tabs.
pub async fn sql(programs: &Programs, area: &Area, home: &Path, database: &str, text: &str) -> Result<String, Failure> {
    client(programs, area, home, ADMIN, &secret(home)?, database, text).await
}

async fn client(
    programs: &Programs,
    area: &Area,
    home: &Path,
    user: &str,
    password: &str,
    database: &str,
    text: &str,
) -> Result<String, Failure> {
    let mut command = area::command(area, &programs.client);
    command.arg("--no-defaults").arg(format!("--socket={}", home.join("run/s").display())).arg(format!("--user={user}"));
    command.args(["--batch", "--skip-column-names", "--default-character-set=utf8mb4", "--database"]).arg(database);
    command.env("MYSQL_PWD", password);
    area::run(command, "mariadb client", text).await
}

/// The client as the administrator, to be given statements on its standard input.
pub fn admin_client(programs: &Programs, area: &Area, home: &Path, database: Option<&str>) -> Result<Command, Failure> {
    let mut command = area::command(area, &programs.client);
    command.arg("--no-defaults").arg(format!("--socket={}", home.join("run/s").display())).arg(format!("--user={ADMIN}"));
    command.args(["--batch", "--binary-mode", "--default-character-set=utf8mb4"]);
    if let Some(database) = database {
        command.arg("--database").arg(database);
    }
    command.env("MYSQL_PWD", secret(home)?);
    Ok(command)
}

fn secret(home: &Path) -> Result<String, Failure> {
    let path = home.join(SECRET);
    std::fs::read_to_string(&path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))
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

/// The statements that leave `user`, who loads a dump and reads it afterwards, what that needs: everything in the dump's databases, and
/// of the server as a whole to see routines and to name the accounts that objects run as. Who was granted what is in no dump, and is not
/// shown. Those accounts get the same databases, and nobody logs in as them. The administrator keeps nothing, for a routine of the dump
/// may run as it: these are its last statements.
pub fn confine(user: &str, definers: &BTreeSet<Account>, databases: &BTreeSet<String>) -> String {
    let (user, admin) = (format!("{}@'%'", literal(user)), format!("{ADMIN}@localhost"));
    let mut text = format!(
        "REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user};\nGRANT BINLOG MONITOR, SET USER ON *.* TO {user};\n\
         GRANT SELECT ON mysql.proc TO {user};\n"
    );
    let mut accounts = vec![user];
    for (user, host) in definers.iter().filter(|(user, _)| !user.is_empty()) {
        let account = format!("{}@{}", literal(user), literal(host));
        text += &format!("CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;\n");
        accounts.push(account);
    }
    for (account, database) in accounts.iter().flat_map(|account| databases.iter().map(move |database| (account, database))) {
        text += &format!("GRANT ALL ON {}.* TO {account};\n", pattern(database));
    }
    text + &format!("REVOKE ALL PRIVILEGES ON *.* FROM {admin};\nREVOKE GRANT OPTION ON *.* FROM {admin};\n")
}

/// The statement that sets a user's password.
pub fn set_password(user: &str, password: &str) -> String {
    format!("ALTER USER {}@'%' IDENTIFIED BY {};\n", literal(user), literal(password))
}

fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// The name of a database in a GRANT, where some characters stand for others.
fn pattern(text: &str) -> String {
    name(&text.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
