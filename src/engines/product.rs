//! What wrote a backup of MariaDB or MySQL, by what stands in it: the product and its version.
//!
//! Source: the first page of a tablespace ("InnoDB file space header" in `storage/innobase/include/fil0types.h`). Not here: which form a
//! backup has (`dumps`), and whether a server takes it (`refusals`, `mysql_copy`).

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::engines::installed::EngineKind;

/// The tablespace of MySQL's own dictionary, which every data directory has from 8.0 on.
pub const DICTIONARY: &str = "mysql.ibd";

/// Where the first page of a tablespace has the number of the server that wrote it, such as 80036.
const SERVER_VERSION: usize = 8;

/// A server and its version, such as `8.0.36`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Which.
    pub engine: EngineKind,
    /// The version's numbers.
    pub version: String,
}

impl Product {
    /// The first two numbers of the version: what changes between two of them may not be understood by the older one.
    pub fn series(&self) -> Vec<u32> {
        numbers(&self.version).into_iter().take(2).collect()
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.engine.title(), self.version)
    }
}

/// What wrote the data directory at `path`; nothing where it is none of MySQL 8 or later.
pub fn of_data(path: &Path) -> Option<Product> {
    let mut page = [0; SERVER_VERSION + 4];
    File::open(path.join(DICTIONARY)).ok()?.read_exact(&mut page).ok()?;
    let number = u32::from_be_bytes(page[SERVER_VERSION..].try_into().ok()?);
    let version = format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100);
    (80_000..1_000_000).contains(&number).then_some(Product { engine: EngineKind::MySql, version })
}

/// What wrote a script that begins with `head`: the server that it was taken from, whose statements it holds, and not the program.
pub fn of_script(head: &[u8]) -> Option<Product> {
    let head = String::from_utf8_lossy(head);
    let after = |start: &str| head.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
    let by_mariadb = after("-- MariaDB dump ");
    // `10.13  Distrib 8.0.36, for Linux (x86_64)`; older programs of MariaDB have the other's title.
    let title = by_mariadb.or_else(|| after("-- MySQL dump "))?;
    let program = title.split("Distrib ").nth(1).or_else(|| title.split_once('-').map(|(_, version)| version)).unwrap_or_default();
    let said = after("-- Server version").filter(|said| !numbers(said).is_empty());
    let server = said.unwrap_or(program);
    // Some services leave the name out of MariaDB's version; MySQL has none of that height that mariadb-dump would have met.
    let is_mariadb = server.contains("MariaDB") || (by_mariadb.is_some() && numbers(server).first().is_none_or(|first| *first >= 10));
    let version = numbers(server).iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    Some(Product { engine: if is_mariadb { EngineKind::MariaDb } else { EngineKind::MySql }, version })
}

/// The numbers of a version such as `8.0.36-28`: three at most.
pub fn numbers(version: &str) -> Vec<u32> {
    let first = version.split(|sign: char| sign != '.' && !sign.is_ascii_digit()).next().unwrap_or_default();
    first.split('.').map_while(|part| part.parse().ok()).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_was_dumped_counts_and_not_the_program() {
        for (head, engine, version) in [
            ("-- MySQL dump 10.13  Distrib 8.4.3, for Linux (x86_64)\n--\n-- Server version\t8.0.36\n", EngineKind::MySql, "8.0.36"),
            ("-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)\n-- Server version\t9.7.4-2\n", EngineKind::MySql, "9.7.4"),
            ("-- MySQL dump 10.13  Distrib 8.0.36-28, for Linux (x86_64)\n", EngineKind::MySql, "8.0.36"),
            ("-- MySQL dump 10.17  Distrib 10.3.39-MariaDB, for debian-linux-gnu (x86_64)\n", EngineKind::MariaDb, "10.3.39"),
            (
                "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19-11.8.2-MariaDB, for x\n-- Server version\t11.8.2-MariaDB-1\n",
                EngineKind::MariaDb,
                "11.8.2",
            ),
            ("-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for x\n-- Server version\t8.0.36\n", EngineKind::MySql, "8.0.36"),
            ("-- MySQL dump 10.13  Distrib 8.0.36, for x\n-- Server version\t10.6.14-MariaDB-log\n", EngineKind::MariaDb, "10.6.14"),
            ("-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for x\n-- Server version\t10.6.14\n", EngineKind::MariaDb, "10.6.14"),
            ("-- MariaDB dump 10.19\n", EngineKind::MariaDb, ""),
            ("-- MySQL dump 10.13\n", EngineKind::MySql, ""),
        ] {
            assert_eq!(of_script(head.as_bytes()), Some(Product { engine, version: version.into() }), "{head}");
        }
        assert_eq!(of_script(b"-- PostgreSQL database dump\n"), None);
    }

    #[test]
    fn the_dictionary_says_which_server_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        for (number, version) in [(80_036_u32, Some("8.0.36")), (90_704, Some("9.7.4")), (0, None), (7, None)] {
            std::fs::write(dir.path().join(DICTIONARY), [&[0; 8][..], &number.to_be_bytes(), &[0; 20]].concat()).unwrap();
            assert_eq!(of_data(dir.path()).map(|product| product.version).as_deref(), version);
        }
        std::fs::write(dir.path().join(DICTIONARY), "short").unwrap();
        assert_eq!(of_data(dir.path()), None);
    }

    proptest::proptest! {
        #[test]
        fn any_head_is_taken(rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), server in "[-0-9. a-zA-Z]{0,20}") {
            let head = [&b"-- MySQL dump "[..], &rest, b"\n-- Server version\t", server.as_bytes()].concat();
            let _ = of_script(&head);
        }
    }
}
