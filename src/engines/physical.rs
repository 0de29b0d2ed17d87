//! Physical copies of data directories, brought up under settings and an administrator of our own.
//!
//! The copy's own configuration is not used: it may name programs, peers and folders of another machine.

use std::path::Path;

use crate::engines::area;
use crate::engines::dumps::{Dump, Unloaded, elsewhere};
use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::engines::servers::{Booted, Servers, blocking};
use crate::engines::{mariadb, mysql, mysql_copy, mysql_family, postgres, postgres_control, postgres_locale};
use crate::model::failure::{Failure, FailureKind};

impl Servers {
    /// Copies the data directory at `path` into the fresh home `name`, makes the administrator and `reader` known in it, who may read all of
    /// `reader.database`, and starts a server over it.
    pub async fn adopt_copy(&self, dump: Dump, path: &Path, name: &str, reader: &Master) -> Result<Booted, Unloaded> {
        let kind = dump.engine();
        let programs = self.programs(kind)?;
        let home = self.area().make_home(name)?;
        self.import(path, name, "data").await?;
        let more = match kind {
            EngineKind::Postgres => {
                let version = std::fs::read_to_string(home.join("data/PG_VERSION")).map_err(|error| Failure::io("PG_VERSION", error))?;
                let (version, installed) = (version.trim(), programs.version.split('.').next().unwrap_or_default());
                if version != installed {
                    return Err(elsewhere(format!(
                        "{}: written by PostgreSQL {version}, and {installed} is installed here",
                        path.display()
                    )));
                }
                whole(path, &home.join("data"))?;
                self.settle_postgres(&home)?;
                let mut settings = postgres_control::settings(programs, self.area(), &home).await;
                let users = postgres::disarm() + &postgres::make_admin() + &postgres::create_reader(&reader.user, &reader.password);
                self.single(&home, "template1", &settings, &users).await.map_err(|failure| damaged(path, &failure))?;
                // Event triggers of the copy, which might write down what is done here, are silent in this mode.
                let database = reader.database.as_deref().unwrap_or("postgres");
                match self.single(&home, database, &settings, postgres::FOREIGN_CODE).await {
                    Ok(answer) => {
                        if let [file, ..] = postgres::foreign_code(&answer)[..] {
                            let at = path.display();
                            let message =
                                format!("{at}: functions of {database} are native code outside of the server's libraries: {file}");
                            let refused = Failure::new(FailureKind::Refused, message);
                            return Err(refused.hint("bring the copy up yourself where you trust it").into());
                        }
                    }
                    Err(failure) => opens(path, database, &failure)?,
                }
                // Without the right the checks themselves end as errors.
                let _ = self.single(&home, database, &settings, &postgres::permit_checks(&reader.user)).await;
                // Its workers would look into the other databases of the copy.
                settings.push("autovacuum=off".to_owned());
                settings
            }
            EngineKind::MariaDb => {
                keeps_all(path, &home.join("data"))?;
                self.known_by(&home, mariadb::make_admin)?
            }
            EngineKind::MySql => {
                let data = home.join("data");
                keeps_all(path, &data)?;
                let (looked, at, installed) = (data.clone(), path.to_owned(), programs.version.clone());
                blocking(move || Ok(mysql_copy::fits(&at, &looked, &installed))).await??;
                mysql_copy::settle(&data)?;
                self.known_by(&home, mysql::make_admin)?
            }
        };
        let booted = self.boot_with(kind, name, None, &more).await.map_err(|failure| damaged(path, &failure))?;
        if kind != EngineKind::Postgres {
            // The file is read before the server greets; it holds a password.
            let _ = std::fs::remove_file(mysql_family::init_file(&home));
            self.create_reader(kind, name, booted.port, &reader.user, &reader.password).await?;
        }
        if kind == EngineKind::Postgres {
            // Nobody will commit what was in doubt, and nothing of it is seen; its locks would keep the checks waiting.
            let database = reader.database.as_deref().unwrap_or("postgres");
            let _ = self.sql(kind, name, booted.port, database, &postgres::undo_prepared()).await;
        }
        if kind == EngineKind::MariaDb {
            self.holds(path, name, booted.port, reader.database.as_deref().unwrap_or_default()).await?;
        }
        Ok(booted)
    }

    /// The setting by which a server of MariaDB or MySQL makes our administrator before its first client.
    fn known_by(&self, home: &Path, make_admin: fn(&str) -> String) -> Result<Vec<String>, Failure> {
        let secret = mysql_family::new_secret();
        mysql_family::keep_secret(self.area(), home, &secret)?;
        let init = mysql_family::lay_init_file(self.area(), home, &make_admin(&secret))?;
        Ok(vec![format!("--init-file={}", init.display())])
    }

    /// A database of MariaDB is a folder. Where that is gone and InnoDB still knows tables of it, the copy has lost it; one of which nothing
    /// is known may be called otherwise, and is told when it is read.
    async fn holds(&self, path: &Path, name: &str, port: u16, database: &str) -> Result<(), Unloaded> {
        let (of, folder) = (mysql_family::literal(database), mysql_family::literal(&format!("{}/", mysql_family::folder_of(database))));
        let ask = format!(
            "SELECT COUNT(*) FROM information_schema.INNODB_SYS_TABLES WHERE LEFT(NAME, LENGTH({folder})) = {folder} \
             AND NOT EXISTS (SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {of});\n"
        );
        let known: u64 = self.sql(EngineKind::MariaDb, name, port, "mysql", &ask).await?.trim().parse().unwrap_or(0);
        match known {
            0 => Ok(()),
            n => Err(Unloaded::Damaged(format!(
                "{}: the folder of the database {database} is not in the copy; InnoDB knows {n} tables of it",
                path.display()
            ))),
        }
    }

    /// Statements of one line each, in the single-user mode of PostgreSQL.
    async fn single(&self, home: &Path, database: &str, settings: &[String], text: &str) -> Result<String, Failure> {
        let mut single = area::command(self.area(), &self.programs(EngineKind::Postgres)?.server);
        single.args(["--single", "-D"]).arg(home.join("data"));
        for setting in settings {
            single.arg("-c").arg(setting);
        }
        single.arg(database);
        area::run(single, "postgres --single", text).await
    }

    /// Settings of our own in place of the copy's; a copy of a standby becomes a primary.
    fn settle_postgres(&self, home: &Path) -> Result<(), Failure> {
        let data = home.join("data");
        for name in ["postgresql.auto.conf", "standby.signal", "recovery.signal", "recovery.conf"] {
            let _ = std::fs::remove_file(data.join(name));
        }
        for (name, text) in
            [("postgresql.conf", String::new()), ("pg_ident.conf", String::new()), ("pg_hba.conf", postgres::access_rules())]
        {
            std::fs::write(data.join(name), text).map_err(|error| Failure::io(format!("cannot write {name}"), error))?;
            self.area().hand_over(&data.join(name), 0o600)?;
        }
        Ok(())
    }
}

/// What a copy of PostgreSQL keeps outside of its folder is not there to be brought back.
fn whole(path: &Path, data: &Path) -> Result<(), Unloaded> {
    let log = path.join("pg_wal");
    if log.is_symlink() {
        return Err(elsewhere(format!("{}: pg_wal is a link to elsewhere: keep the log with the copy", path.display())));
    }
    let spaces = std::fs::read_dir(path.join("pg_tblspc")).into_iter().flatten().flatten().next();
    if spaces.is_some() || std::fs::metadata(data.join("tablespace_map")).is_ok_and(|map| map.len() > 0) {
        return Err(elsewhere(format!("{}: it has tablespaces, which are kept elsewhere and not brought back here", path.display())));
    }
    Ok(())
}

/// Whether a copy of MariaDB or MySQL is ready to be started and keeps its tables within itself. `data` is the copy of it that was made
/// here: files and folders only.
fn keeps_all(path: &Path, data: &Path) -> Result<(), Unloaded> {
    for (name, tool) in [("mariadb_backup_checkpoints", "mariadb-backup"), ("xtrabackup_checkpoints", "xtrabackup")] {
        let text = std::fs::read_to_string(data.join(name)).unwrap_or_default();
        // `log-applied` is MariaDB's word, `full-prepared` Percona's.
        let is_prepared = ["log-applied", "full-prepared"].iter().any(|word| text.contains(&format!("backup_type = {word}")));
        if text.contains("backup_type") && !is_prepared {
            return Err(elsewhere(format!("{}: a copy of {tool} that is not prepared: run {tool} --prepare", path.display())));
        }
    }
    let about = |error| Failure::io(format!("cannot look into {}", path.display()), error);
    for folder in std::fs::read_dir(data).map_err(about)? {
        let folder = folder.map_err(about)?.path();
        for file in std::fs::read_dir(&folder).into_iter().flatten() {
            let name = file.map_err(about)?.file_name();
            if Path::new(&name).extension().is_some_and(|ending| ending == "isl") {
                let name = Path::new(folder.file_name().unwrap_or_default()).join(&name).display().to_string();
                return Err(elsewhere(format!(
                    "{}: {name}: a table that is kept elsewhere (DATA DIRECTORY) is not in the copy",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

/// What it says of a copy that one of its databases cannot be opened. One that is not there at all is told when it is read.
fn opens(path: &Path, database: &str, failure: &Failure) -> Result<(), Unloaded> {
    let at = format!("{}: the database {database}", path.display());
    if let Some(locale) = postgres_locale::not_installed(&failure.message) {
        return Err(postgres_locale::lacks(&format!("{at} needs"), &locale).into());
    }
    if failure.message.contains("database subdirectory") {
        return Err(Unloaded::Damaged(format!("{at} has lost its folder: {failure}")));
    }
    Ok(())
}

/// A server that does not come up over a copy of its own version says that the copy is not whole, unless it names what it lacks itself.
fn damaged(path: &Path, failure: &Failure) -> Unloaded {
    let message = format!("{}: {failure}", path.display());
    if let Some(locale) = postgres_locale::not_installed(&failure.message) {
        return postgres_locale::lacks(&format!("{}: it needs", path.display()), &locale).into();
    }
    let own = [
        "incompatible with server",
        "innodb_page_size",
        "innodb_data_file_path",
        "lower_case_table_names",
        "No space left",
        "key_management",
        // Encrypted tables of MySQL; another version than its files tell; a log that is kept elsewhere.
        "keyring",
        "Invalid MySQL server",
        "prepared transactions",
    ];
    if own.iter().any(|what| message.contains(what)) { elsewhere(message) } else { Unloaded::Damaged(message) }
}
