//! Packs of checks: shipped ones are part of the binary, one's own are `.sql` files or directories of them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::failure::Failure;
use crate::verify::sql::checks::header::{self, Check, nearest};

macro_rules! shipped {
    ($($name:literal: $about:literal { $($file:literal),+ $(,)? })+) => {
        const SHIPPED: &[Shipped] = &[
            $(Shipped { name: $name, about: $about, files: &[$((concat!($name, "/", $file, ".sql"), include_str!(concat!("../../../../checks/", $name, "/", $file, ".sql")))),+] },)+
        ];
    };
}

struct Shipped {
    name: &'static str,
    about: &'static str,
    files: &'static [(&'static str, &'static str)],
}

shipped! {
    "structure-sqlite": "what SQLite itself can tell of a file's structure" { "integrity", "foreign-keys" }
    "structure-postgres": "what PostgreSQL itself can tell of a database's structure" {
        "heap", "btree", "invalid-indexes", "not-valid-constraints", "sequences", "sequences-behind", "collation-versions",
        "database-collation", "page-checksums", "orphans"
    }
    "structure-mysql": "what MySQL and MariaDB themselves can tell of a database's structure" {
        "check-table", "auto-increment", "orphans", "invalid-views", "foreign-keys-have-indexes", "zero-dates", "indexes", "routines"
    }
    "baseline": "numbers of every table as the manifest has them: rows, and the sums of columns" { "row-counts", "sums" }
    "bank": "customers, accounts and a ledger of transactions" {
        "ledger-balances", "orphan-accounts", "orphan-transactions", "transaction-kinds", "whole-amounts", "freshness", "customers-not-fewer", "accounts-not-fewer", "transactions-not-fewer"
    }
    "audit-log": "events that are only ever added" { "complete-events", "no-gaps", "in-order", "events-not-fewer", "freshness" }
    "audit-log-items": "events that are only ever added, as items of a DynamoDB table" {
        "complete-events", "in-order", "no-late-edits", "continuous-days", "freshness"
    }
    "file-vault": "what is known of stored files: path, size, digest" { "digests", "paths", "sizes", "whole-sizes", "files-not-fewer", "freshness" }
    "directory-app": "a directory of artists and their bookings" { "orphan-bookings", "booking-values", "booking-types", "artist-names", "freshness", "artists-not-fewer", "bookings-not-fewer" }
}

/// Checks that belong together.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The name or path that it was asked for by.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// Its checks in order of their ids.
    pub checks: Vec<Check>,
}

/// The names of the shipped packs.
pub fn names() -> Vec<&'static str> {
    SHIPPED.iter().map(|pack| pack.name).collect()
}

impl Pack {
    /// A shipped pack by its name, or a `.sql` file or a directory of them by its path (with a `/` or `.sql` in it, or simply there).
    pub fn load(name_or_path: &str) -> Result<Self, Failure> {
        if let Some(shipped) = SHIPPED.iter().find(|pack| pack.name == name_or_path) {
            let files = shipped.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            return Self::of(name_or_path, shipped.about, files);
        }
        let path = Path::new(name_or_path);
        let cannot = |error| Failure::io(format!("cannot read the check pack {name_or_path}"), error);
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let mut files = Vec::new();
                for entry in std::fs::read_dir(path).map_err(cannot)? {
                    let path = entry.map_err(cannot)?.path();
                    if path.extension().is_some_and(|extension| extension == "sql") {
                        files.push((path.display().to_string(), std::fs::read_to_string(&path).map_err(cannot)?));
                    }
                }
                Self::of(name_or_path, "", files)
            }
            Ok(_) => {
                let text = std::fs::read_to_string(path).map_err(cannot)?;
                Self::of(name_or_path, "", vec![(name_or_path.to_owned(), text)])
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let known = names();
                Err(Failure::invalid(format!("no check pack `{name_or_path}`{}", nearest(name_or_path, &known)))
                    .hint(format!("a pack is one of {}, or a .sql file, or a directory of them", known.join(", "))))
            }
            Err(error) => Err(cannot(error)),
        }
    }

    /// The shipped structural pack of an engine.
    pub fn structure(engine: &str) -> Result<Self, Failure> {
        Self::load(match engine {
            "postgres" => "structure-postgres",
            "sqlite" => "structure-sqlite",
            _ => "structure-mysql",
        })
    }

    /// The packs that one class, or one command, is to run: each check once.
    pub fn load_all<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, Failure> {
        let packs = names.into_iter().map(Self::load).collect::<Result<Vec<_>, _>>()?;
        let mut seen = Seen::default();
        packs.iter().try_for_each(|pack| seen.add(pack))?;
        Ok(packs)
    }

    fn of(name: &str, about: &str, files: Vec<(String, String)>) -> Result<Self, Failure> {
        let mut checks = files.iter().map(|(file, text)| header::parse(file, text)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = BTreeMap::new();
        for (check, (file, _)) in checks.iter().zip(&files) {
            if let Some(first) = seen.insert(&check.id, file) {
                return Err(Failure::invalid(format!("check pack {name}: two checks have the id {}: {first} and {file}", check.id)));
            }
        }
        checks.sort_by(|a, b| a.id.cmp(&b.id));
        if checks.is_empty() {
            return Err(Failure::invalid(format!("check pack {name}: there is no .sql file in it")));
        }
        Ok(Self { name: name.to_owned(), about: about.to_owned(), checks })
    }
}

/// The checks of packs that are run together: of two with one id only one would be.
#[derive(Default)]
pub struct Seen(BTreeMap<String, String>);

impl Seen {
    /// Adds a pack.
    ///
    /// # Errors
    /// Where it is one of them, or has a check of an id that another has; both are named.
    pub fn add(&mut self, pack: &Pack) -> Result<(), Failure> {
        for check in &pack.checks {
            let Some(first) = self.0.insert(check.id.clone(), pack.name.clone()) else { continue };
            let failure = match first == pack.name {
                true => Failure::invalid(format!("check pack {first} is named twice")).hint("name it once"),
                false => Failure::invalid(format!("two checks have the id {}: one of {first}, one of {}", check.id, pack.name))
                    .hint("give each check an id of its own: of one id only one would be run"),
            };
            return Err(failure);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_packs_parse_and_ids_are_unique() {
        let mut ids = std::collections::BTreeSet::new();
        for name in names() {
            let pack = Pack::load(name).unwrap_or_else(|failure| panic!("{failure}"));
            for check in &pack.checks {
                assert!(ids.insert(check.id.clone()), "{}", check.id);
                assert!(!check.title.is_empty(), "{} has no title", check.id);
            }
        }
    }

    #[test]
    fn packs_by_path_and_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let error = Pack::load("structure-sqllite").unwrap_err();
        assert!(error.message.contains("did you mean `structure-sqlite`"), "{error}");
        assert!(Pack::load(&dir.path().display().to_string()).unwrap_err().message.contains("no .sql file"));
        let text = "--! id = \"own.x\"\n--! engines = [\"sqlite\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\nSELECT 1";
        std::fs::write(dir.path().join("a.sql"), text).unwrap();
        assert_eq!(Pack::load(&dir.path().display().to_string()).unwrap().checks[0].id, "own.x");
        std::fs::write(dir.path().join("b.sql"), text).unwrap();
        let two = Pack::load(&dir.path().display().to_string()).unwrap_err().message;
        assert!(["two checks", "own.x", "a.sql", "b.sql"].iter().all(|said| two.contains(said)), "{two}");
    }

    #[test]
    fn of_packs_that_are_run_together_each_check_has_an_id_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let own = |file: &str, id: &str| {
            let path = dir.path().join(file);
            let text =
                format!("--! id = \"{id}\"\n--! engines = [\"sqlite\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\nSELECT 1");
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (one, other, third) = (own("a.sql", "own.x"), own("b.sql", "own.x"), own("c.sql", "own.y"));
        assert_eq!(Pack::load_all([one.as_str(), &third, "structure-sqlite"]).unwrap().len(), 3);
        let said = Pack::load_all([one.as_str(), "structure-sqlite", &other]).unwrap_err();
        assert_eq!(said.kind, crate::model::failure::FailureKind::Invalid);
        assert!(["own.x", one.as_str(), &other].iter().all(|part| said.message.contains(part)), "{said}");
        let twice = Pack::load_all([one.as_str(), &one]).unwrap_err();
        assert_eq!(twice.message, format!("check pack {one} is named twice"));
        let shipped = own("d.sql", "structure.sqlite-integrity");
        assert!(Pack::load_all(["structure-sqlite", shipped.as_str()]).unwrap_err().message.contains("one of structure-sqlite, one of"));
    }
}
