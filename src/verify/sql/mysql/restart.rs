//! A server that ends while a table is read: how it comes back, whether it was restarted, and what it means where it ends over the same table
//! again.
//!
//! MySQL ends its whole server at a page of InnoDB that fails its checksum ("Aborting because of a corrupt database page", `buf0buf.cc`), where
//! others refuse the statement. Services start it again within the minute, and the drill does so itself with its own servers: the table is then
//! read once more, in one session. Where the server ends at the same place each time, that table cannot be read, and the others can.
//!
//! Not here: what is read in which order (`snapshot`), what its ends say of the table (`connect::ends`), and who brings a server back
//! (`connect::keeper`).

use std::time::{Duration, Instant};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::ends::CALM;
use crate::verify::sql::connect::heard::with_patience;
use crate::verify::sql::connect::keeper::{Keeping, Revived};
use crate::verify::sql::mysql::session::Opener;
use crate::verify::sql::wire::mysql::session::WireSession;

/// Between two looks whether a server is back.
const BETWEEN: Duration = Duration::from_millis(250);

/// How long a server had been running at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Whole seconds, by its own clock.
    uptime: u64,
    /// It was asked between these two.
    asked: (Instant, Instant),
}

impl Life {
    /// Asks; nothing where it does not say.
    pub async fn of(session: &mut WireSession) -> Option<Self> {
        let before = Instant::now();
        let rows = session.ask("SHOW GLOBAL STATUS LIKE 'Uptime'", &[]).await.ok()?;
        let uptime = rows.first()?.text(1)?.parse().ok()?;
        Some(Self { uptime, asked: (before, Instant::now()) })
    }

    /// Whether the server was started between the two: it has been running for less longer than time has passed.
    pub fn was_restarted_until(&self, later: &Self) -> bool {
        let passed = later.asked.0.saturating_duration_since(self.asked.1).as_secs();
        later.uptime.checked_sub(self.uptime).is_none_or(|more| more < passed)
    }
}

/// A session of a server that went away, once it answers again; and what its keeper knows of its end.
pub async fn come_back(opener: &Opener, keeper: Option<&Keeping>) -> Result<(WireSession, Option<Revived>), Failure> {
    let deadline = Instant::now() + opener.limits.comeback;
    let mut revived = None;
    loop {
        if let Some(Keeping(keeper)) = keeper {
            revived = keeper.revive().await?.or(revived);
        }
        match with_patience(|| opener.connect()).await {
            Ok(session) => return Ok((session, revived)),
            Err(failure) if failure.kind == FailureKind::Network && Instant::now() + BETWEEN < deadline => {
                tokio::time::sleep(BETWEEN).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether a server that is back stays for a moment in which nothing is read.
pub async fn stays(session: &mut WireSession) -> bool {
    tokio::time::sleep(CALM).await;
    session.ask("SELECT 1", &[]).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_runs_for_less_longer_than_time_has_passed_was_restarted() {
        let start = Instant::now();
        let life = |uptime, at: u64| {
            let at = start + Duration::from_millis(at);
            Life { uptime, asked: (at, at + Duration::from_millis(5)) }
        };
        let first = life(100, 0);
        for (uptime, at, restarted) in [(100, 400, false), (101, 900, false), (105, 5_900, false), (104, 5_900, true), (3, 200, true)] {
            assert_eq!(first.was_restarted_until(&life(uptime, at)), restarted, "{uptime} s after {at} ms");
        }
    }
}
