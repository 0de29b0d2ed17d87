//! A server that ends while a table is read: how it comes back, whether it was restarted, and what it means where it ends over the same table
//! again.
//!
//! MySQL ends its whole server at a page of InnoDB that fails its checksum ("Aborting because of a corrupt database page", `buf0buf.cc`), where
//! others refuse the statement. Services start it again within the minute, and the drill does so itself with its own servers: the table is then
//! read once more, in one session. Where the server ends at the same place each time, that table cannot be read, and the others can.
//!
//! Not here: what is read in which order (`snapshot`), and who brings a server back (`connect::keeper`).

use std::time::{Duration, Instant};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::heard::with_patience;
use crate::verify::sql::connect::keeper::{Keeping, Revived};
use crate::verify::sql::mysql::session::Opener;
use crate::verify::sql::wire::mysql::session::WireSession;

/// So often a server may end over one table before that is a verdict.
const MOST_ENDS: usize = 3;
/// So often where its log says that the data is damaged.
const MOST_ENDS_WITH_LOG: usize = 2;
/// Rows that the same place has room for: what the server had not yet sent when it ended, and what was not yet counted.
const SAME_PLACE: u64 = 65_536;
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

/// One end of the server while a table was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// Rows that had been read.
    pub rows: u64,
    /// The last of them, by its key; nothing where none had arrived, or has a key.
    pub after: Option<String>,
    /// What the server's log says of it.
    pub log: Option<String>,
}

/// What `ends` say of the table; nothing where it may be read once more. The first one may be of several sessions, and its place says nothing.
pub fn verdict(ends: &[End]) -> Option<Failure> {
    let last = ends.last()?;
    let place = last.after.as_ref().map_or_else(|| "its rows".to_owned(), |after| format!("rows after {after}"));
    let whenever = format!("the server ends whenever {place} are read ({} times), and was back each time", ends.len());
    let damage = last.log.as_ref().filter(|line| line.to_ascii_lowercase().contains("corrupt"));
    match damage {
        Some(line) if ends.len() >= MOST_ENDS_WITH_LOG => {
            return Some(Failure::new(FailureKind::Remote, format!("{whenever}; its log says: {line}")));
        }
        _ if ends.len() < MOST_ENDS => return None,
        _ => {}
    }
    let rows = || ends.iter().skip(1).map(|end| end.rows);
    if rows().max().unwrap_or(0) - rows().min().unwrap_or(0) <= SAME_PLACE {
        return Some(Failure::new(FailureKind::Remote, format!("{whenever}; its own error log says why")));
    }
    let said = format!("the server ended {} times while it was read, each time elsewhere", ends.len());
    Some(Failure::new(FailureKind::Network, said).hint("its own error log says why it ended"))
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

    #[test]
    fn a_table_is_to_blame_where_the_server_ends_at_the_same_place_each_time() {
        let end = |rows, log: Option<&str>| End { rows, after: Some(format!("id={rows}")), log: log.map(str::to_owned) };
        assert!(verdict(&[]).is_none());
        let bare = [end(900_000, None), end(8_000, None), end(4_000, None)];
        assert!(verdict(&bare[..1]).is_none() && verdict(&bare[..2]).is_none());
        let said = verdict(&bare).unwrap();
        assert_eq!(said.kind, FailureKind::Remote);
        assert!(said.message.contains("whenever rows after id=4000 are read (3 times)"), "{said}");
        // Neither the same place nor a word of its log: whatever ended it, nothing is known of the table.
        let elsewhere = verdict(&[end(1, None), end(8_000, None), end(800_000, None)]).unwrap();
        assert_eq!(elsewhere.kind, FailureKind::Network);
        let line = Some("[ERROR] [InnoDB] Database page corruption on disk");
        assert!(verdict(&[end(1, line)]).is_none(), "another table may have been read at the same time");
        let said = verdict(&[end(1, line), end(8_000, line)]).unwrap();
        assert!(
            said.kind == FailureKind::Remote && said.message.ends_with("its log says: [ERROR] [InnoDB] Database page corruption on disk")
        );
        let other = Some("[ERROR] Out of memory");
        assert!(verdict(&[end(1, other), end(8_000, other)]).is_none());
        let keyless = [(); 3].map(|()| End::default());
        assert!(verdict(&keyless).unwrap().message.contains("whenever its rows are read"));
    }
}
