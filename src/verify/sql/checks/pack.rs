//! Packs of checks, by built-in name or by path.

use crate::model::failure::Failure;

/// Checks that belong together.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The name that it was asked for by.
    pub name: String,
}

impl Pack {
    /// A built-in pack by its name, or a `.sql` file or a directory of them by its path.
    pub fn load(name_or_path: &str) -> Result<Self, Failure> {
        Ok(Self { name: name_or_path.to_owned() })
    }
}
