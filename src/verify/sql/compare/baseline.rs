//! What a manifest says of a database's tables, read to its end, and whether it can be compared with at all.
//!
//! Not here: the comparison (`database`, `tables`), and how manifests are kept (`manifest`).

use std::collections::BTreeMap;

use crate::engines::product::numbers;
use crate::model::failure::{Failure, FailureKind};
use crate::signing::hash_key::HashKey;
use crate::verify::leaf::Leaf;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::LeafKind;
use crate::verify::sql::reading::Engine;
use crate::verify::sql::rows::canon::{ENCODING, LOGICAL_ENCODING};

/// Refuses a manifest of something else, in another encoding, or made with another hash key.
pub fn check_header(manifest: &Manifest, hash_key: &HashKey) -> Result<(), Failure> {
    let header = manifest.header();
    let at = manifest.dir().display();
    if header.kind != ManifestKind::TableSet {
        return Err(Failure::invalid(format!("manifest {at} is of kind {}, expected table-set", header.kind.as_str()))
            .hint("a database is compared with a manifest of a database"));
    }
    if ![ENCODING, LOGICAL_ENCODING].contains(&header.encoding.as_str()) {
        let said = format!(
            "manifest {at}: its rows are encoded as `{}`, this version reads `{ENCODING}` and `{LOGICAL_ENCODING}`",
            header.encoding
        );
        return Err(Failure::invalid(said)
            .hint("digests of another encoding say nothing here: capture the source again, or compare with the version that captured it"));
    }
    let (expected, found) = (header.hash_key_id.as_deref().unwrap_or("none"), hash_key.id());
    if expected != found {
        return Err(Failure::invalid(format!("manifest {at}: made with hash key {expected}, found hash key {found}"))
            .hint("name the hash key that the manifest was made with; with another one nothing can be compared"));
    }
    Ok(())
}

/// Exact rows of engines that store values otherwise are never equal: that is no finding.
pub fn check_engine(manifest: &Manifest, found: &str) -> Result<(), Failure> {
    let header = manifest.header();
    let captured = header.position.as_ref().and_then(|position| position["engine"].as_str()).unwrap_or(found);
    let family = |name: &str| if name == "mariadb" { "mysql".to_owned() } else { name.to_owned() };
    if header.encoding == LOGICAL_ENCODING || family(captured) == family(found) {
        return Ok(());
    }
    Err(Failure::invalid(format!("manifest {}: its rows are of {captured}, as stored, and this is {found}", manifest.dir().display()))
        .hint("compare with a database of that engine, or capture the source with --logical"))
}

/// What is to be said where two versions of one engine are compared: `here` is the one of `shown`, `there` is what it is compared with. Nothing
/// of two that differ in their last number.
pub fn other_version(shown: &str, here: &Engine, there: (&str, &str)) -> Option<String> {
    let branch = |version: &str| {
        let mut numbers = numbers(version);
        numbers.truncate(if here.name == "postgres" { 1 } else { 2 });
        numbers
    };
    if here.name == "sqlite" || here.name != there.0 || branch(&here.version) == branch(there.1) {
        return None;
    }
    let plain = |version: &str| version.split([' ', '-']).next().unwrap_or_default().to_owned();
    let (name, version, other) = (here.name, plain(&here.version), plain(there.1));
    Some(format!(
        "{shown} is {name} {version}, compared with {name} {other}: definitions are compared as each version prints them, and values of \
         opaque types as each sends them; a difference in these may be the version's"
    ))
}

/// What the manifest says of one table.
pub struct Expected {
    /// Its leaves, in their order.
    pub leaves: Vec<Leaf>,
    /// What the leaves are made of.
    pub kind: LeafKind,
    /// The digest of its definition.
    pub schema: Option<[u8; 32]>,
}

impl Expected {
    /// Its number of rows.
    pub fn rows(&self) -> u64 {
        self.leaves.iter().map(|leaf| leaf.rows).sum()
    }
}

/// All leaves, read to their end before anything is concluded: the root is verified with the last one.
pub fn expected_tables(manifest: &Manifest) -> Result<BTreeMap<String, Expected>, Failure> {
    let mut tables: BTreeMap<String, Expected> = BTreeMap::new();
    for row in manifest.leaves() {
        let row = row?;
        let blank = || Expected { leaves: Vec::new(), kind: LeafKind::Bucket, schema: None };
        let table = tables.entry(row.key).or_insert_with(blank);
        match row.kind {
            LeafKind::Bucket | LeafKind::Sum | LeafKind::Range if table.leaves.is_empty() || table.kind == row.kind => {
                table.kind = row.kind;
                table.leaves.push(Leaf { index: row.seq, bits: row.bits, rows: row.rows, digest: row.digest });
            }
            LeafKind::Bucket | LeafKind::Sum | LeafKind::Range => {
                let said = format!("manifest {}: a table has leaves of two kinds", manifest.dir().display());
                return Err(Failure::new(FailureKind::BadEvidence, said).hint("it was written by another version: capture it again"));
            }
            LeafKind::Schema => table.schema = Some(row.digest),
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_branch_is_told_and_another_patch_is_not() {
        let said =
            |name: &'static str, here: &str, there: (&str, &str)| other_version("db", &Engine { name, version: here.to_owned() }, there);
        let told = said("postgres", "18.6 (Debian 18.6-3)", ("postgres", "15.18 (Debian 15.18-0+deb12u1)")).unwrap();
        assert!(told.starts_with("db is postgres 18.6, compared with postgres 15.18: "), "{told}");
        assert!(
            said("mariadb", "11.8.9-MariaDB-4", ("mariadb", "11.4.2-MariaDB"))
                .unwrap()
                .contains("mariadb 11.8.9, compared with mariadb 11.4.2")
        );
        assert!(said("mysql", "8.4.3", ("mysql", "8.0.36")).is_some());
        for (name, here, there) in [
            ("postgres", "15.18", ("postgres", "15.2")),
            ("mariadb", "11.8.9-MariaDB", ("mariadb", "11.8.2-MariaDB-log")),
            ("mysql", "8.4.3", ("mariadb", "10.11.6-MariaDB")),
            ("sqlite", "3.45.0", ("sqlite", "3.40.1")),
        ] {
            assert_eq!(said(name, here, there), None, "{name} {here} {there:?}");
        }
    }
}
