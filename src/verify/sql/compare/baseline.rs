//! What a manifest says of a database's tables, read to its end, and whether it can be compared with at all.
//!
//! Not here: the comparison (`database`, `tables`), and how manifests are kept (`manifest`).

use std::collections::BTreeMap;

use crate::model::failure::{Failure, FailureKind};
use crate::signing::hash_key::HashKey;
use crate::verify::leaf::Leaf;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::LeafKind;
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
