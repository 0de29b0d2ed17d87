//! How far a demo is: one small file in its folder, so that an unfinished demo goes on where it stopped.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::failure::Failure;
use crate::sandbox::demo::estate::Laid;

/// How far a demo is; `demo.json` in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The estate, once it is laid, its manifests are captured and its damage is planted.
    pub laid: Option<Laid>,
    /// Whether the drill is over.
    pub drilled: bool,
}

/// The file of [`Progress`].
const PROGRESS: &str = "demo.json";
/// The configuration.
pub const CONFIG: &str = "attestore.toml";

impl Progress {
    /// What the folder says; nothing where no demo was begun.
    pub fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(PROGRESS);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Failure::invalid(format!("{} is not a demo's progress: {error}", path.display())).hint("choose another folder with --dir")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io(format!("cannot read {}", path.display()), error)),
        }
    }

    /// Written beside its place and renamed: a kill leaves the old or the new one.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let (path, part) = (dir.join(PROGRESS), dir.join("demo.json.part"));
        let failed = |error| Failure::io(format!("cannot write {}", path.display()), error);
        std::fs::write(&part, serde_json::to_vec_pretty(self).unwrap_or_default()).map_err(failed)?;
        std::fs::rename(&part, &path).map_err(failed)
    }
}
