//! A server of PostgreSQL that ended all of its sessions, and is back.
//!
//! Where one of its processes crashes, over a row that makes no sense, say, the server ends all others too and recovers (PostgreSQL
//! documentation, `restart_after_crash`): within seconds it answers again, and is the same one.
//!
//! Not here: what its ends say of the table that was read (`connect::ends`), and what is read in which order (`snapshot`).

use std::time::{Duration, Instant};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::heard;
use crate::verify::sql::connect::keeper::Keeping;
use crate::verify::sql::postgres::session::Opener;

/// Between two looks whether a server is back.
const BETWEEN: Duration = Duration::from_millis(100);

/// Starts the server again where it has ended and somebody keeps it.
pub async fn revive(keeper: Option<&Keeping>) -> Result<(), Failure> {
    if let Some(Keeping(keeper)) = keeper {
        keeper.revive().await?;
    }
    Ok(())
}

/// Waits a moment where a server that gave no session for this reason may give one soon: somebody keeps it, or listens there.
pub async fn may_come_back(failure: &Failure, deadline: Instant, opener: &Opener, keeper: Option<&Keeping>) -> bool {
    let is_late = Instant::now() + BETWEEN > deadline;
    if failure.kind != FailureKind::Network || is_late || keeper.is_none() && !heard::listens(opener.door.options().at()).await {
        return false;
    }
    tokio::time::sleep(BETWEEN).await;
    true
}
