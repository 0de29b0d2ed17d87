//! PostgreSQL: how a data directory is made, how the server is started over it, and how it is told things.
//!
//! Administration goes through the Unix socket in the server's own folder, which only its user can enter; over TCP every user needs a
//! password (SCRAM-SHA-256). Settings suit throw-away copies: no fsync, little memory.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::installed::Programs;
use crate::engines::master::Master;
use crate::model::failure::Failure;

/// The administrator, named as in RDS; no password of the outside opens it.
pub const ADMIN: &str = "rdsadmin";

/// So many sessions, and so many locks for each: one that restores or reads a table of some thousands of partitions holds all of theirs.
pub const SESSIONS: u64 = 60;
/// See [`SESSIONS`].
pub const LOCKS: u64 = 2048;

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "fsync=off",
    // Readers of a frozen server's files see whole writes, so that half-written pages cannot come up.
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_wal_senders=0",
    // A copy of a subscriber would go on fetching from its publisher.
    "max_logical_replication_workers=0",
    "logging_collector=off",
    "jit=off",
];

/// What comes before statements of the administrator in a database that somebody else has written: names and operators are those of the
/// server alone, for whoever may create one of a better fit runs code as who uses it (CVE-2018-1058).
pub const OF_THE_SERVER: &str = "SET search_path = pg_catalog, pg_temp;\n";
/// What comes before statements with names in them: a client that is told nothing speaks in the encoding of the database.
pub const IN_UTF8: &str = "SET client_encoding = 'UTF8';\n";
/// Extensions whose functions reach other machines. Wrappers of foreign data are known as such.
const OUTWARD: &[&str] = &["dblink", "http", "pg_net", "plproxy"];

/// Makes `home/data`: empty, UTF-8, C collation.
pub async fn init(programs: &Programs, area: &Area, home: &Path) -> Result<(), Failure> {
    let mut command = area::command(area, &programs.init);
    command.arg("-D").arg(home.join("data")).args([
        "-U",
        ADMIN,
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
        "--wal-segsize=1",
        "--data-checksums",
    ]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    area::run(command, "cannot make a PostgreSQL data directory", "").await?;
    let path = home.join("data/pg_hba.conf");
    std::fs::write(&path, access_rules()).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
    Ok(())
}

/// What the name of who logs in is put between when the gate is asked: `cn=USER,ou=PORT`, with the port of the server that asks.
pub const GATE_NAME: (&str, &str) = ("cn=", ",ou=");

/// Who gets in: the administrator through the socket, everybody else over TCP with a password.
pub fn access_rules() -> String {
    rules_with("")
}

/// The same, and who has the role `rds_iam` only over TLS and with a password that the directory server on `gate` finds good. A database
/// without that role has nobody in it.
fn access_rules_with(gate: u16, port: u16) -> String {
    let (before, after) = GATE_NAME;
    rules_with(&format!(
        "hostssl all  +rds_iam  127.0.0.1/32  ldap ldapserver=127.0.0.1 ldapport={gate} ldapprefix=\"{before}\" ldapsuffix=\"{after}{port}\"\n\
         host    all  +rds_iam  all  reject\n"
    ))
}

fn rules_with(more: &str) -> String {
    format!(
        "# TYPE  DATABASE  USER  ADDRESS  METHOD\nlocal   all  {ADMIN}  trust\nhost    all  {ADMIN}  all  reject\n{more}\
         host    all  all  127.0.0.1/32  scram-sha-256\n"
    )
}

/// Writes the rules of the server over `home/data` on `port`, which asks `gate`. They hold from its next start or SIGHUP on.
pub fn lay_gate(home: &Path, gate: u16, port: u16) -> Result<(), Failure> {
    let path = home.join("data/pg_hba.conf");
    std::fs::write(&path, access_rules_with(gate, port)).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
}

/// Statements for the single-user mode that make the administrator in a copy, one a line. Where a role of that name is there already the
/// first is refused, and the mode goes on.
pub fn make_admin() -> String {
    format!("CREATE ROLE {ADMIN}\nALTER ROLE {ADMIN} SUPERUSER LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'\n")
}

/// Statements for the single-user mode, in which no setting of a database or role holds yet: those go that name code to be loaded into each
/// session of a copy.
pub fn disarm() -> String {
    let load = "session_preload_libraries|local_preload_libraries|dynamic_library_path";
    format!(
        "{OF_THE_SERVER}UPDATE pg_db_role_setting SET setconfig = ARRAY(SELECT s FROM unnest(setconfig) s WHERE s !~* '^({load})=')\n\
         DELETE FROM pg_db_role_setting WHERE setconfig = '{{}}'\n"
    )
}

/// A question for the single-user mode: the files of native code that functions of a database are in, but for those of the server.
pub const FOREIGN_CODE: &str = "SELECT DISTINCT p.probin AS foreign_code FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
     WHERE l.lanname = 'c' AND p.probin LIKE '%/%' AND (p.probin NOT LIKE '$libdir/%' OR p.probin LIKE '%..%')\n";

/// The files that an answer to it names.
pub fn foreign_code(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.split_once("foreign_code = \"")).filter_map(|(_, rest)| rest.split('"').next()).collect()
}

/// The statements that make a user who reads everything, for copies whose own passwords are not ours, each on a line of its own. A role of
/// that name that is there may own things, and keeps them.
pub fn create_reader(user: &str, password: &str) -> String {
    let (user, password) = (name(user), literal(password));
    format!(
        "DO $do$ BEGIN CREATE ROLE {user}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;\n\
         ALTER ROLE {user} LOGIN NOSUPERUSER BYPASSRLS CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD {password};\n\
         GRANT pg_read_all_data, pg_monitor TO {user};\n"
    )
}

/// Statements of the administrator that undo what was prepared in a database and neither committed nor rolled back.
pub fn undo_prepared() -> String {
    format!(
        "{OF_THE_SERVER}SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts WHERE database = current_database() \\gexec\n"
    )
}

/// The statements that let `user` see every row and large object of a database that was loaded, and run the functions of `amcheck` where
/// it has that extension: on a server of one's own nobody else can be asked for these rights. Each on a line of its own.
pub fn permit_checks(user: &str) -> String {
    let reader = name(user);
    format!(
        "{OF_THE_SERVER}ALTER ROLE {reader} BYPASSRLS;\n\
         DO $do$ BEGIN GRANT pg_read_all_data TO {reader}; EXCEPTION WHEN undefined_object THEN NULL; END $do$;\n\
         DO $do$ DECLARE checked regprocedure; BEGIN \
         FOR checked IN SELECT d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
         WHERE e.extname = 'amcheck' AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' LOOP \
         EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO {}', checked); END LOOP; END $do$;\n",
        reader.replace('%', "%%").replace('\'', "''")
    )
}

/// The statements that make what the dump wants to be there before it is loaded by `user`, who may do nothing outside of `database`.
pub fn prepare(user: &str, database: &str, owners: &str, roles: &BTreeSet<String>, extensions: &[(String, Option<String>)]) -> String {
    let (quoted, owners) = (name(user), name(owners));
    // Objects are handed to owners who must be allowed to own them there: all of them share the ownership of the database. Whoever may
    // make roles may become one that runs programs.
    let mut text = format!(
        "{IN_UTF8}ALTER ROLE {quoted} NOCREATEROLE NOCREATEDB BYPASSRLS;\nCREATE ROLE {owners};\nGRANT {owners} TO {quoted};\n\
         ALTER DATABASE {} OWNER TO {owners};\n",
        name(database)
    );
    text += &make_roles(user, &owners, roles);
    // Nobody has written here yet; extensions go where they would by themselves.
    text += "RESET search_path;\n";
    for (extension, schema) in extensions {
        if let Some(schema) = schema.as_deref().filter(|schema| *schema != "public" && !schema.starts_with("pg_")) {
            text += &format!("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {owners};\n", name(schema));
        }
        let schema = schema.as_deref().map(|schema| format!(" WITH SCHEMA {}", name(schema))).unwrap_or_default();
        text += &format!("CREATE EXTENSION IF NOT EXISTS {}{schema};\n", name(extension));
    }
    // What the tables of extensions hold is in the dump, and servers are made of their wrappers, which reach nothing without a handler.
    let outward: Vec<String> = OUTWARD.iter().map(|name| literal(name)).collect();
    text + &format!(
        "SET client_min_messages = error;\nDO $do$ DECLARE of_extension record; BEGIN\n\
         FOR of_extension IN SELECT quote_ident(fdwname) AS name FROM pg_foreign_data_wrapper WHERE fdwhandler <> 0 LOOP \
         EXECUTE format('ALTER FOREIGN DATA WRAPPER %s NO HANDLER', of_extension.name); END LOOP;\n\
         FOR of_extension IN SELECT d.objid::regprocedure AS name FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND \
         d.refobjid = e.oid WHERE e.extname IN ({2}) AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' LOOP \
         EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', of_extension.name); END LOOP;\n\
         FOR of_extension IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid \
         WHERE d.deptype = 'e' AND c.relkind IN ('r', 'p') LOOP EXECUTE format('GRANT ALL ON TABLE %s TO {0}', of_extension.name); END LOOP;\n\
         FOR of_extension IN SELECT quote_ident(fdwname) AS name FROM pg_foreign_data_wrapper LOOP \
         EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %s TO {1}', of_extension.name); END LOOP; END $do$;\n",
        quoted.replace('%', "%%").replace('\'', "''"),
        owners.replace('%', "%%").replace('\'', "''"),
        outward.join(", ")
    )
}

/// The statements that make roles which `user` may hand objects to; `owners` is in quotes. Roles of the server itself stay out: some of
/// them read and write files and run programs.
pub fn make_roles(user: &str, owners: &str, roles: &BTreeSet<String>) -> String {
    let (user, mut text) = (name(user), format!("{IN_UTF8}{OF_THE_SERVER}"));
    let ours = |role: &str| role == ADMIN || role.starts_with("pg_") || [&user[..], owners].contains(&name(role).as_str());
    for role in roles.iter().filter(|role| !ours(role)) {
        let (quoted, literal) = (name(role), literal(role));
        text += &format!(
            "SELECT format('CREATE ROLE %I', {literal}) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal}) \\gexec\n\
             GRANT {quoted} TO {user};\nGRANT {owners} TO {quoted};\n"
        );
    }
    text
}

/// True where `psql` of this version can be kept from its own commands (`\restrict`, since August 2025).
pub fn restricts(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    match (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) {
        (13, minor) => minor >= 22,
        (14, minor) => minor >= 19,
        (15, minor) => minor >= 14,
        (16, minor) => minor >= 10,
        (17, minor) => minor >= 6,
        (major, _) => major >= 18,
    }
}

/// `psql` as a user of the outside, to be given a script on its standard input; it ends at the first error.
pub fn client_of(programs: &Programs, area: &Area, port: u16, master: &Master) -> Command {
    let mut command = area::command(area, &programs.client);
    command
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1", "-U"])
        .arg(&master.user)
        .arg("-p")
        .arg(port.to_string());
    command.arg("-d").arg(master.database.as_deref().unwrap_or("postgres")).args(["-f", "-"]);
    command.env("PGPASSWORD", &master.password).stdout(std::process::Stdio::null());
    command
}

/// The server over `home/data` on 127.0.0.1:`port`.
pub fn server(programs: &Programs, area: &Area, home: &Path, port: u16) -> Command {
    let mut command = area::command(area, &programs.server);
    command.arg("-D").arg(home.join("data")).arg("-p").arg(port.to_string());
    command.arg("-c").arg(format!("unix_socket_directories={}", home.join("run").display()));
    for setting in SETTINGS {
        command.arg("-c").arg(setting);
    }
    command.arg("-c").arg(format!("max_connections={SESSIONS}")).arg("-c").arg(format!("max_locks_per_transaction={LOCKS}"));
    let segment = log_segment_mib(home);
    command.arg("-c").arg(format!("min_wal_size={}MB", 2 * segment));
    command.arg("-c").arg(format!("max_wal_size={}MB", (4 * segment).max(64)));
    // What keeps no log writes none of the records that only a log's readers need.
    let archive = area::log_folder(home);
    command.arg("-c").arg(if archive.is_some() { "wal_level=replica" } else { "wal_level=minimal" });
    if let Some(archive) = archive {
        // Under its name only once it is whole. A percent sign in the path is doubled: it begins a placeholder.
        let to = archive.display().to_string().replace('%', "%%");
        command.args(["-c", "archive_mode=on", "-c"]);
        command.arg(format!("archive_command=test -f '{to}/%f' || {{ cp '%p' '{to}/%f.part' && mv '{to}/%f.part' '{to}/%f'; }}"));
    }
    if let Some(tls) = area.tls() {
        command.args(["-c", "ssl=on"]);
        command.arg("-c").arg(format!("ssl_cert_file={}", tls.certificate.display()));
        command.arg("-c").arg(format!("ssl_key_file={}", tls.key.display()));
    }
    command
}

/// The size of a segment of the log in MiB, as its files have it: 1 in servers of ours, 16 in most others, up to 1024. Limits of the log
/// below two of them keep a server from starting.
fn log_segment_mib(home: &Path) -> u64 {
    let is_segment = |name: &[u8]| name.len() == 24 && name.iter().all(u8::is_ascii_hexdigit);
    let entries = std::fs::read_dir(home.join("data/pg_wal")).into_iter().flatten().flatten();
    let sizes = entries.filter(|entry| is_segment(entry.file_name().as_encoded_bytes())).filter_map(|entry| entry.metadata().ok());
    sizes.map(|meta| meta.len() >> 20).find(|size| (1..=1024).contains(size)).unwrap_or(16)
}

/// Settings of a first start that replays archived log over the copy in `home/data`: up to an instant, or all that `archive` holds. The
/// server then goes on as a primary of its own ("Continuous Archiving and Point-in-Time Recovery", PostgreSQL documentation).
pub fn recovery(area: &Area, home: &Path, archive: &Path, until: Option<DateTime<Utc>>) -> Result<Vec<String>, Failure> {
    let signal = home.join("data/recovery.signal");
    std::fs::write(&signal, b"").map_err(|error| Failure::io(format!("cannot write {}", signal.display()), error))?;
    area.hand_over(&signal, 0o600)?;
    let from = archive.display().to_string().replace('%', "%%");
    let mut settings = vec![format!("restore_command=cp '{from}/%f' '%p'"), "recovery_target_action=promote".to_owned()];
    if let Some(until) = until {
        settings.push(format!("recovery_target_time={}+00", until.format("%Y-%m-%d %H:%M:%S%.6f")));
    }
    Ok(settings)
}

/// Commits something, so that there is a record behind every earlier instant, and closes the log segment that holds it. Prints its name.
pub const CLOSE_LOG: &str = "DO $$ BEGIN PERFORM txid_current(); END $$;\nSELECT pg_walfile_name(pg_switch_wal());\n";

/// True once the server writes that it is ready (line 8 of its pid file).
pub fn is_ready(home: &Path) -> bool {
    let text = std::fs::read_to_string(home.join("data/postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

/// Runs SQL as the administrator in one transaction a statement; the rows, unaligned.
pub async fn sql(programs: &Programs, area: &Area, home: &Path, port: u16, database: &str, text: &str) -> Result<String, Failure> {
    let mut command = area::command(area, &programs.client);
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", ADMIN, "-p"]).arg(port.to_string());
    command.arg("-h").arg(home.join("run")).arg("-d").arg(database).args(["-f", "-"]);
    area::run(command, "psql", text).await
}

/// The statements that make the master user and, where one is named, its database.
pub fn create_master(user: &str, password: &str, database: Option<&str>) -> String {
    let user = name(user);
    let mut text = format!(
        "CREATE ROLE rds_iam NOLOGIN;\nCREATE ROLE {user} LOGIN CREATEDB CREATEROLE PASSWORD {};\nALTER DATABASE postgres OWNER TO {user};\n",
        literal(password)
    );
    if let Some(database) = database.filter(|database| *database != "postgres") {
        text += &format!("CREATE DATABASE {} OWNER {user};\n", name(database));
    }
    text
}

/// The statement that sets a user's password.
pub fn set_password(user: &str, password: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {};\n", name(user), literal(password))
}

/// A name in quotes.
pub fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_allowed_two_of_its_segments_at_least() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(log_segment_mib(home.path()), 16, "a copy whose log lies elsewhere");
        let log = home.path().join("data/pg_wal");
        std::fs::create_dir_all(log.join("archive_status")).unwrap();
        for (name, mib) in [("00000001.history", 3), ("000000010000000000000001", 32)] {
            std::fs::File::create(log.join(name)).unwrap().set_len(mib << 20).unwrap();
        }
        assert_eq!(log_segment_mib(home.path()), 32);
    }

    #[test]
    fn roles_of_the_server_are_nobodys() {
        let roles = ["pg_execute_server_program", "rdsadmin", "keeper", "app"].map(str::to_owned);
        let text = make_roles("keeper", "\"owners\"", &BTreeSet::from(roles));
        assert!(!text.contains("pg_execute") && !text.contains("rdsadmin") && !text.contains("CREATE ROLE \"keeper\""), "{text}");
        assert!(text.contains("GRANT \"app\" TO \"keeper\";\nGRANT \"owners\" TO \"app\";\n"), "{text}");
        for (version, is) in [("15.13", false), ("15.18", true), ("17.5", false), ("18.0", true), ("18beta1", false), ("12.22", false)] {
            assert_eq!(restricts(version), is, "{version}");
        }
    }

    #[test]
    fn native_code_of_others_is_named() {
        let answer = "\t 1: foreign_code\t(typeid = 25, len = -1, typmod = -1, byval = f)\n\t----\n\t 1: foreign_code = \"/x/evil.so\"\t(typeid = 25)\n";
        assert_eq!(foreign_code(answer), ["/x/evil.so"]);
        assert!(foreign_code(answer.lines().next().unwrap()).is_empty());
    }

    #[test]
    fn a_name_stays_within_the_statement() {
        let text = permit_checks("o'n\"e%il");
        assert!(text.contains("TO \"o''n\"\"e%%il\"', checked)"), "{text}");
    }
}
