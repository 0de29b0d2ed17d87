//! Packs of checks: the built-in ones of `checks/`, or a `.sql` file or a folder of them by path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::model::canonical_json;
use crate::model::digest::Sha256Digest;
use crate::model::failure::Failure;
use crate::verify::sql::checks::header::{Check, Engine};

/// Checks that belong together.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The name that it was asked for by.
    pub name: String,
    /// Its checks, by id.
    pub checks: Vec<Check>,
}

macro_rules! built_in {
    ($($pack:literal: [$($file:literal),+ $(,)?]),+ $(,)?) => {
        /// Every built-in pack with its files: name and text.
        pub const BUILT_IN: &[(&str, &[(&str, &str)])] = &[
            $(($pack, &[$((concat!("checks/", $pack, "/", $file), include_str!(concat!("../../../../checks/", $pack, "/", $file)))),+]),)+
        ];
    };
}

built_in! {
    "bank": ["ledger-balances.sql", "accounts-have-customers.sql", "transactions-have-accounts.sql", "transaction-signs.sql",
             "freshness-mysql.sql", "freshness-postgres.sql", "freshness-sqlite.sql"],
    "directory-app": ["bookings-have-artists.sql", "booking-status.sql", "prices.sql"],
    "structure-mysql": ["foreign-keys-have-indexes.sql", "invalid-views.sql"],
    "structure-postgres": ["invalid-indexes.sql", "not-valid-constraints.sql", "sequences.sql"],
    "structure-sqlite": ["integrity.sql", "foreign-keys.sql"],
}

impl Pack {
    /// A built-in pack by its name, or a `.sql` file or a directory of them by its path.
    ///
    /// Errors: an unknown name (with the nearest one), an unreadable path, a file with a mistake, the same id twice for one engine: all invalid usage.
    pub fn load(name_or_path: &str) -> Result<Self, Failure> {
        if let Some((name, files)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::of(name, files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())));
        }
        let path = Path::new(name_or_path);
        if path.is_dir() {
            let mut files: Vec<_> = std::fs::read_dir(path)
                .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>())
                .map_err(|error| unreadable(path, &error))?;
            files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
            files.sort();
            if files.is_empty() {
                return Err(Failure::invalid(format!("check pack {}: no `.sql` file found in the folder", path.display())));
            }
            let texts: Vec<_> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
            return Self::of(name_or_path, texts.into_iter());
        }
        if path.is_file() {
            return Self::of(name_or_path, std::iter::once(read(path)?));
        }
        Err(unknown(name_or_path))
    }

    /// The checks that are written for `engine`.
    pub fn for_engine(&self, engine: Engine) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.engines.contains(&engine))
    }

    fn of(name: &str, files: impl Iterator<Item = (String, String)>) -> Result<Self, Failure> {
        let mut checks = Vec::new();
        let mut seen = BTreeSet::new();
        for (file, text) in files {
            let check = Check::parse(&text).map_err(|wrong| {
                Failure::invalid(format!("check {file}: {wrong}")).hint("`attestore check --help` shows where the format is described")
            })?;
            for engine in &check.engines {
                if !seen.insert((check.id.clone(), *engine)) {
                    return Err(Failure::invalid(format!("check {file}: the id `{}` is there twice for {}", check.id, engine.as_str())));
                }
            }
            checks.push(check);
        }
        checks.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self { name: name.to_owned(), checks })
    }
}

/// One digest over all checks of `packs`: SHA-256 of the RFC 8785 form of `{"ID ENGINES": "sha256:HEX"}`.
pub fn set_digest(packs: &[Pack]) -> Sha256Digest {
    let mut digests = BTreeMap::new();
    for check in packs.iter().flat_map(|pack| &pack.checks) {
        let engines: Vec<_> = check.engines.iter().map(|engine| engine.as_str()).collect();
        digests.insert(format!("{} {}", check.id, engines.join(",")), check.digest.to_string());
    }
    Sha256Digest::of(&canonical_json::to_bytes(&digests).expect("strings alone are canonical"))
}

fn read(file: &Path) -> Result<(String, String), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    Ok((file.display().to_string(), text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::invalid(format!("check pack {}: cannot be read: {error}", path.display()))
}

fn unknown(name: &str) -> Failure {
    let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    let nearest = names.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    Failure::invalid(format!("no check pack `{name}`: neither a built-in name nor a path")).hint(format!(
        "built-in packs are {}; the nearest is `{}`",
        names.join(", "),
        nearest.unwrap_or(&"bank")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_pack_loads_and_every_file_is_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("checks");
        let mut on_disk = 0;
        for (name, files) in BUILT_IN {
            assert_eq!(Pack::load(name).unwrap().checks.len(), files.len());
            on_disk += std::fs::read_dir(root.join(name)).unwrap().count();
        }
        assert_eq!(on_disk, BUILT_IN.iter().map(|(_, files)| files.len()).sum::<usize>());
        let packs = std::fs::read_dir(&root).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
        assert_eq!(packs, BUILT_IN.len());
    }

    #[test]
    fn packs_load_by_path_and_mistakes_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(Pack::load(path).unwrap_err().message.contains("no `.sql` file"));
        let (_, files) = BUILT_IN[0];
        std::fs::write(folder.path().join("a.sql"), files[0].1).unwrap();
        assert_eq!(Pack::load(path).unwrap().checks.len(), 1);
        std::fs::write(folder.path().join("b.sql"), files[0].1).unwrap();
        assert!(Pack::load(path).unwrap_err().message.contains("twice"));
        std::fs::write(folder.path().join("b.sql"), "SELECT 1").unwrap();
        assert!(Pack::load(path).unwrap_err().message.contains("b.sql"));
        assert!(Pack::load("banc").unwrap_err().hint.unwrap().contains("`bank`"));
    }

    #[test]
    fn the_set_digest_changes_with_any_file() {
        let one = Pack::load("bank").unwrap();
        let two = Pack::load("directory-app").unwrap();
        assert_ne!(set_digest(std::slice::from_ref(&one)), set_digest(&[one.clone(), two]));
        assert_eq!(set_digest(std::slice::from_ref(&one)), set_digest(std::slice::from_ref(&one)));
    }
}
