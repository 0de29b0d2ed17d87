//! State that outlives the process: one JSON file, replaced whole at every change, so that a kill leaves the old or the new.
//!
//! Not fsynced: the sandbox holds nothing that must survive the loss of power.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::failure::{Failure, FailureKind};

/// A value and its file.
#[derive(Debug)]
pub struct Kept<T> {
    path: PathBuf,
    value: Mutex<T>,
}

impl<T: Serialize + DeserializeOwned + Default> Kept<T> {
    /// Reads the file, or begins with the default where there is none.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let value = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(FailureKind::Invalid, format!("the sandbox's state {} cannot be read: {error}", path.display()))
                    .hint("it was written by another version or damaged: start over with an empty folder")
                    .caused_by(error)
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(Failure::io(format!("cannot read {}", path.display()), error)),
        };
        Ok(Self { path: path.to_owned(), value: Mutex::new(value) })
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Changes the value and writes it.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Failure> {
        let mut value = self.lock();
        let result = change(&mut value);
        let bytes = serde_json::to_vec_pretty(&*value).map_err(|error| Failure::invalid("state that JSON cannot hold").caused_by(error))?;
        let unfinished = self.path.with_extension("json.part");
        let failed = |error| Failure::io(format!("cannot write {}", self.path.display()), error);
        std::fs::write(&unfinished, bytes).map_err(failed)?;
        std::fs::rename(&unfinished, &self.path).map_err(failed)?;
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        // A panic elsewhere while it was held leaves a whole value: changes are assignments.
        self.value.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
