//! Physical copies of data directories, brought up under settings and an administrator of our own.
//!
//! The copy's own configuration is not used: it may name programs, peers and folders of another machine.

use std::path::Path;

use crate::engines::area;
use crate::engines::dumps::{Dump, Unloaded, elsewhere};
use crate::engines::installed::EngineKind;
use crate::engines::servers::{Booted, Servers};
use crate::engines::{mariadb, postgres};
use crate::model::failure::Failure;

impl Servers {
    /// Copies the data directory at `path` into the fresh home `name`, makes the administrator known in it, and starts a server over it.
    pub async fn adopt_copy(&self, dump: Dump, path: &Path, name: &str) -> Result<Booted, Unloaded> {
        let kind = dump.engine();
        let programs = self.programs(kind)?;
        let home = self.area().make_home(name)?;
        self.area().import(path, name, "data")?;
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
                self.settle_postgres(&home)?;
                let mut single = area::command(self.area(), &programs.server);
                single.args(["--single", "-D"]).arg(home.join("data")).arg("template1");
                area::run(single, "postgres --single", &postgres::make_admin()).await.map_err(|failure| damaged(path, &failure))?;
                Vec::new()
            }
            EngineKind::MariaDb => {
                let init = mariadb::make_admin(self.area(), &home)?;
                vec![format!("--init-file={}", init.display())]
            }
        };
        let booted = self.boot_with(kind, name, None, &more).await.map_err(|failure| damaged(path, &failure))?;
        if kind == EngineKind::MariaDb {
            // The file is read before the server greets; it holds a password.
            let _ = std::fs::remove_file(mariadb::init_file(&home));
        }
        Ok(booted)
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

/// A server that does not come up over a copy of its own version says that the copy is not whole.
fn damaged(path: &Path, failure: &Failure) -> Unloaded {
    Unloaded::Damaged(format!("{}: {failure}", path.display()))
}
