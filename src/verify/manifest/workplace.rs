//! Where a manifest is written before it has its name: a directory beside its later place, removed when it is not finished; what processes
//! that were killed have left of theirs is removed by the next one.
//!
//! Not here: what is written there (`writer`).

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const PREFIX: &str = ".manifest-";

/// A directory younger than this may belong to a process that has not come to lock it, which is the next thing that it does.
const YOUNG: Duration = Duration::from_secs(5);

/// Those of this process.
static OWN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A directory that is removed with all it holds unless it is kept.
pub struct Workplace {
    dir: tempfile::TempDir,
    /// Held while the owner lives; the kernel lets go of it in any kind of end.
    _lock: Option<File>,
}

impl Workplace {
    /// A new one below `parent`; what nobody works in any more is removed.
    pub fn create(parent: &Path) -> std::io::Result<Self> {
        clear(parent);
        // The mode that a plain directory gets, less the umask: a manifest is for others to read, unless their user says not.
        let mode = std::fs::Permissions::from_mode(0o777);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(mode).tempdir_in(parent)?;
        // Where directories cannot be locked nothing is ever taken for abandoned.
        let _lock = File::open(dir.path()).ok().filter(|file| file.try_lock().is_ok());
        OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.path().to_owned());
        Ok(Self { dir, _lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves it to whoever has moved it.
    pub fn keep(mut self) {
        self.dir.disable_cleanup(true);
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        OWN.lock().unwrap_or_else(PoisonError::into_inner).remove(self.dir.path());
    }
}

/// Removes those of this process: for one that ends at once, and tidies up nothing else.
pub fn remove_own() {
    // Whoever ends at once waits for nobody. What is still written into one meanwhile keeps it: the second time takes that along.
    let Ok(own) = OWN.try_lock() else { return };
    for path in own.iter().filter(|path| std::fs::remove_dir_all(path).is_err()) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// The directories below `parent` that killed processes have left: nobody holds them any more.
pub fn abandoned(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let is_one = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
    let mut found: Vec<PathBuf> = entries.flatten().filter(is_one).map(|entry| entry.path()).filter(|path| held(path).is_some()).collect();
    found.sort();
    found
}

/// Removes them, and says which. A failure to remove one is nobody's concern here: it is found again the next time.
pub fn clear(parent: &Path) -> Vec<PathBuf> {
    let mut removed = abandoned(parent);
    removed.retain(|path| held(path).is_some_and(|_lock| std::fs::remove_dir_all(path).is_ok()));
    removed
}

/// An abandoned directory, locked; nothing where it is somebody's, or something else.
fn held(path: &Path) -> Option<File> {
    let facts = std::fs::symlink_metadata(path).ok()?;
    let is_old = facts.is_dir() && facts.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG));
    let dir = File::open(path).ok().filter(|_| is_old)?;
    dir.try_lock().is_ok().then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(abandoned(parent.path()), [at(".manifest-dead")]);
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
