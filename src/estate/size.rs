//! How large a local recovery point is, by its files.

use std::path::Path;

/// Bytes of a file, or of all files below a directory; symbolic links are not followed.
pub fn of_tree(path: &Path) -> std::io::Result<u64> {
    let mut waiting = vec![path.to_owned()];
    let mut size = 0;
    while let Some(path) = waiting.pop() {
        let facts = path.symlink_metadata()?;
        if facts.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else {
            size += facts.len();
        }
    }
    Ok(size)
}
