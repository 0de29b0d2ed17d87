//! Where a manifest is written before it has its name: a directory beside its later place, removed when it is not finished; what processes
//! that were killed have left of theirs is removed by the next one.
//!
//! Not here: what is written there (`writer`).

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const PREFIX: &str = ".manifest-";

/// A directory younger than this may belong to a process that has not come to lock it.
const YOUNG: Duration = Duration::from_secs(60);

/// A directory that is removed with all it holds unless it is kept.
pub struct Workplace {
    dir: tempfile::TempDir,
    /// Held while the owner lives; the kernel lets go of it in any kind of end.
    _lock: Option<File>,
}

impl Workplace {
    /// A new one below `parent`; what nobody works in any more is removed.
    pub fn create(parent: &Path) -> std::io::Result<Self> {
        remove_abandoned(parent);
        // The mode that a plain directory gets, less the umask: a manifest is for others to read, unless their user says not.
        let mode = std::fs::Permissions::from_mode(0o777);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(mode).tempdir_in(parent)?;
        // Where directories cannot be locked nothing is ever taken for abandoned.
        let _lock = File::open(dir.path()).ok().filter(|file| file.try_lock().is_ok());
        Ok(Self { dir, _lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves it to whoever has moved it.
    pub fn keep(self) {
        let _ = self.dir.keep();
    }
}

/// A failure to remove something is nobody's concern here: it is tried again the next time.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        let is_old = |of: std::fs::Metadata| of.is_dir() && of.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG));
        if entry.metadata().is_ok_and(is_old)
            && let Ok(dir) = File::open(entry.path())
            && dir.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::SystemTime;

    /// A directory that looks as if it was written to long ago.
    fn aged(path: PathBuf) -> PathBuf {
        let file = File::open(&path).unwrap();
        file.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
        path
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        for name in [".manifest-dead", ".manifest-young", "manifest-other"] {
            std::fs::create_dir(at(name)).unwrap();
            std::fs::write(at(name).join("part-00000.parquet"), "half").unwrap();
        }
        std::fs::write(at(".manifest-file"), "not a directory").unwrap();
        aged(at(".manifest-dead"));
        aged(at("manifest-other"));
        let living = Workplace::create(parent.path()).unwrap();
        aged(living.path().to_owned());
        let second = Workplace::create(parent.path()).unwrap();
        let there = |path: &Path| path.exists();
        assert!(!there(&at(".manifest-dead")), "nobody holds it");
        assert!(there(living.path()) && there(second.path()), "held by somebody who lives");
        assert!(there(&at(".manifest-young")) && there(&at("manifest-other")) && there(&at(".manifest-file")));
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
