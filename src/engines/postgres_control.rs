//! What a server that was copied had room for, from the control file of its data directory: what it had prepared to commit, and the locks of
//! that, come up again with the copy, and need as much ("pg_controldata" and "PREPARE TRANSACTION" of PostgreSQL's documentation).
//!
//! Not here: its other settings, which are not used. Its numbers of sessions and workers matter to a standby that answers questions
//! meanwhile; a copy becomes a primary first.

use std::path::Path;

use crate::engines::area::{self, Area};
use crate::engines::installed::Programs;
use crate::engines::postgres::{LOCKS, SESSIONS};

/// More than this is not asked for, whatever a control file says: transactions, and locks in all.
const MOST_PREPARED: u64 = 10_000;
const MOST_LOCKS: u64 = 4_000_000;

/// Settings for a server over the data directory in `home`, `name=value` each; none where its control file is not read, which the server
/// then says itself.
pub async fn settings(programs: &Programs, area: &Area, home: &Path) -> Vec<String> {
    let Ok(program) = programs.tool(&["pg_controldata"]) else { return Vec::new() };
    let mut command = area::command(area, &program);
    command.arg("-D").arg(home.join("data"));
    area::run(command, "pg_controldata", "").await.map(|said| of(&said)).unwrap_or_default()
}

/// The same from what the program prints.
fn of(said: &str) -> Vec<String> {
    let number = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" setting:")?.trim().parse::<u64>().ok());
    let prepared = number("max_prepared_xacts").unwrap_or(0).min(MOST_PREPARED);
    let sessions = number("max_connections").unwrap_or(0).saturating_add(prepared);
    let locks = number("max_locks_per_xact").unwrap_or(0).saturating_mul(sessions).min(MOST_LOCKS);
    // The table of locks has so many for each that may hold one.
    let each = locks.div_ceil(SESSIONS + prepared);
    let mut settings = Vec::new();
    settings.extend((prepared > 0).then(|| format!("max_prepared_transactions={prepared}")));
    settings.extend((each > LOCKS).then(|| format!("max_locks_per_transaction={each}")));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_gets_the_room_that_its_server_had() {
        let said = |connections: u64, prepared: u64, locks: u64| {
            format!(
                "wal_level setting:                    replica\nmax_connections setting:              {connections}\n\
                 max_prepared_xacts setting:           {prepared}\nmax_locks_per_xact setting:           {locks}\n"
            )
        };
        assert_eq!(of(&said(100, 0, 64)), Vec::<String>::new());
        assert_eq!(of(&said(100, 5, 64)), ["max_prepared_transactions=5"]);
        assert_eq!(of(&said(1000, 40, 1024)), ["max_prepared_transactions=40", "max_locks_per_transaction=10650"]);
        assert_eq!(of(&said(u64::MAX, u64::MAX, u64::MAX)), ["max_prepared_transactions=10000"]);
        assert_eq!(of("pg_controldata: fatal: x"), Vec::<String>::new());
    }
}
