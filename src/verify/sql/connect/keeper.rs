//! Who keeps a server: what brings it back where it has ended, such as the drill for the servers that it started itself.
//!
//! Not here: how a server of somebody else's comes back (it is waited for), and what its end means (`mysql::restart`).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::failure::Failure;

/// A server that has ended and runs again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Revived {
    /// What its log says of its end, in one line; nothing where it says nothing.
    pub log: Option<String>,
}

/// Keeps one server.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Starts the server again where it has ended, at the same address; nothing where it runs.
    async fn revive(&self) -> Result<Option<Revived>, Failure>;
}

/// A keeper as it is handed on; equal to itself.
#[derive(Clone)]
pub struct Keeping(pub Arc<dyn Keeper>);

impl PartialEq for Keeping {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeping")
    }
}
