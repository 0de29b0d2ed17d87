//! Contents that nothing names any more are removed when the store is opened, when no request can be on its way.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;

use crate::sandbox::s3::record;
use crate::sandbox::s3::segment::{Segment, path_of};

/// Removes the contents that nothing names. Only while no request is on its way: what is being written is not named yet.
pub fn collect(dir: &Path, connection: &Connection) -> rusqlite::Result<()> {
    let mut named = HashSet::new();
    for table in ["version", "part", "snapshot_version"] {
        let mut statement = connection.prepare(&format!("SELECT segments FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let segments: Vec<Segment> = record::json(row, 0)?;
            named.extend(segments.into_iter().map(|segment| segment.blob));
        }
    }
    let mut statement = connection.prepare("SELECT hash FROM blob")?;
    let hashes: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut delete = connection.prepare("DELETE FROM blob WHERE hash = ?1")?;
    for hash in hashes {
        let blob = hex::encode(&hash);
        if !named.contains(&blob) {
            delete.execute([hash])?;
            // A content that lives in the database has no file; a file that stays behind costs room and nothing else.
            let _ = std::fs::remove_file(path_of(dir, &blob));
        }
    }
    Ok(())
}
