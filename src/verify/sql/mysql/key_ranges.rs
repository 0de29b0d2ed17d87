//! MySQL and MariaDB in lanes: sessions that show the same rows, and ranges of the primary key.
//!
//! Snapshots cannot be handed from session to session without a lock that a reader must not take. Sessions show the same rows where
//! nothing was committed between their snapshots, which a restored server proves by its log positions; a source that moves, or shows no
//! position, is read in one session.

use async_trait::async_trait;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::ends::LastRow;
use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::lanes::{Outlet, Ranged};
use crate::verify::sql::mysql::rows::RowStream;
use crate::verify::sql::mysql::session::{Mark, Opener};
use crate::verify::sql::reading::{BREATH, Flow, Ranges};
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::table::{Table, Wire, backticked};
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::session::WireSession;

/// Rows that a range is meant to hold.
const RANGE_ROWS: u64 = 65_536;
/// The most ranges of a table.
const MOST_RANGES: u64 = 4_096;

/// A table by ranges of its primary key.
pub struct KeyRanges {
    /// Opens sessions.
    pub opener: Opener,
    /// What they must show; absent: the source may move, and a session that is lost cannot be replaced.
    pub standing: Option<Mark>,
    /// The table.
    pub table: Table,
    /// The last row that arrived before a session was lost, by its key.
    pub last_row: LastRow,
}

#[async_trait]
impl Ranged for KeyRanges {
    type Session = WireSession;

    async fn open(&self) -> Result<WireSession, Failure> {
        let Some(standing) = &self.standing else {
            let said = format!("{}: the session was lost, and nothing shows that another would show the same rows", self.opener.shown);
            return Err(Failure::new(FailureKind::Network, said));
        };
        self.opener.open_at(standing).await
    }

    fn fewer(&self, had: usize, wanted: usize, why: &Failure) {
        self.opener.heard.fewer(had, wanted, why);
    }

    async fn read(&self, session: &mut WireSession, range: &[String], outlet: &mut Outlet) -> Result<bool, Broken> {
        let columns: Vec<usize> = (0..self.table.columns.len()).collect();
        let mut row = outlet.blank();
        let mut stream = RowStream::open(session, &self.table, &columns, range, self.opener.limits).await?;
        let mut rows = 0;
        loop {
            let mut each = |row: &_| {
                outlet.row(row);
                rows += 1;
                true
            };
            let flow = match stream.some(BREATH, &mut row, &mut each).await {
                Ok(flow) => flow,
                Err(broken) => {
                    if broken.lost && rows > 0 {
                        self.last_row.note(&row, &self.table, rows);
                    }
                    return Err(broken);
                }
            };
            self.opener.heard.answered();
            if flow != Flow::On || !outlet.breathe().await {
                return Ok(flow != Flow::On);
            }
        }
    }

    /// What a statement broke at says nothing of the transaction: it goes on, and so does its snapshot.
    fn is_good(session: &WireSession) -> bool {
        !session.is_busy()
    }

    async fn discard(session: WireSession) {
        drop(session);
    }
}

/// Schema and table of a qualified and quoted name; nothing where anything else stands in it.
fn unquoted(sql_name: &str) -> Option<(String, String)> {
    let mut names = Vec::new();
    let mut rest = sql_name.strip_prefix('`')?;
    loop {
        let mut name = String::new();
        rest = loop {
            let (part, after) = rest.split_once('`')?;
            name.push_str(part);
            let Some(doubled) = after.strip_prefix('`') else { break after };
            name.push('`');
            rest = doubled;
        };
        names.push(name);
        let Some(next) = rest.strip_prefix(".`") else { break };
        rest = next;
    }
    let [schema, table] = <[String; 2]>::try_from(names).ok()?;
    rest.is_empty().then_some((schema, table))
}

/// The ranges of a table: by the column that its primary key begins with, where that is an integer or bytes; one range elsewhere, since a
/// collation may order text in any way.
pub async fn ranges(session: &mut WireSession, table: &Table) -> Result<Ranges, Broken> {
    let whole = || vec![Vec::new()];
    let Some(leading) = table.leading.map(|index| &table.columns[index]) else { return Ok(whole()) };
    let (name, broken) = (backticked(&leading.name), |error: WireError| Broken::of_wire(&error));
    let Wire::Mysql(kind) = &leading.wire else { return Ok(whole()) };
    if !matches!(kind, MysqlType::Signed | MysqlType::Unsigned | MysqlType::Bytes) {
        return Ok(whole());
    }
    let Some((schema, named)) = unquoted(&table.sql_name) else { return Ok(whole()) };
    // Asked for otherwise than by its plain names, a server opens every table that there is, once for each of them (MariaDB's and MySQL's manuals,
    // "Optimizing INFORMATION_SCHEMA Queries").
    let estimate = "SELECT CAST(TABLE_ROWS AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
    let answers = session.ask(estimate, &[&schema, &named]).await.map_err(broken)?;
    let rows = answers.first().and_then(|answer| answer.text(0)).and_then(|rows| rows.parse::<u64>().ok()).unwrap_or(0);
    let wanted = (rows / RANGE_ROWS).clamp(1, MOST_RANGES);
    if wanted == 1 {
        return Ok(whole());
    }
    if *kind == MysqlType::Bytes {
        let count = wanted.min(256);
        let cuts: Vec<String> = (1..count).map(|at| format!("x'{:02x}'", at * 256 / count)).collect();
        return Ok(between(&name, &cuts));
    }
    let ends = format!("SELECT CAST(MIN({name}) AS CHAR), CAST(MAX({name}) AS CHAR) FROM {}", table.sql_name);
    let answers = session.ask(&ends, &[]).await.map_err(broken)?;
    let end = |index| answers.first().and_then(|answer| answer.text(index)).and_then(|end| end.parse::<i128>().ok());
    Ok(match (end(0), end(1)) {
        (Some(least), Some(most)) => between(&name, &cuts(least, most, wanted)),
        _ => whole(),
    })
}

/// Where `count` ranges of the integers from `least` to `most` meet.
fn cuts(least: i128, most: i128, count: u64) -> Vec<String> {
    let (span, count) = ((most - least).max(0) + 1, i128::from(count));
    let count = count.min(span);
    (1..count).map(|at| (least + span * at / count).to_string()).collect()
}

/// Ranges that meet at `cuts`, which ascend; the first and the last are open.
fn between(name: &str, cuts: &[String]) -> Ranges {
    let from = cuts.iter().map(|cut| Some(format!("{name} >= {cut}")));
    let below = cuts.iter().map(|cut| Some(format!("{name} < {cut}")));
    let ends = std::iter::once(None).chain(from).zip(below.chain([None]));
    ends.map(|(from, below)| from.into_iter().chain(below).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_meet_and_the_ends_are_open() {
        assert_eq!(between("`k`", &[]), [Vec::<String>::new()]);
        assert_eq!(
            between("`k`", &["3".into(), "9".into()]),
            [vec!["`k` < 3".to_owned()], vec!["`k` >= 3".to_owned(), "`k` < 9".to_owned()], vec!["`k` >= 9".to_owned()]]
        );
        assert_eq!(cuts(0, 99, 4), ["25", "50", "75"]);
        assert_eq!(cuts(5, 5, 4), Vec::<String>::new());
        assert_eq!(cuts(i128::from(i64::MIN), i128::from(u64::MAX), 2).len(), 1);
    }

    proptest! {
        /// A table whose name is not found would be read in one range.
        #[test]
        fn names_are_what_was_quoted(schema in "[a`. ]{0,6}", table in "[a`. ]{0,6}") {
            let quoted = format!("{}.{}", backticked(&schema), backticked(&table));
            prop_assert_eq!(unquoted(&quoted), Some((schema, table)));
            prop_assert_eq!(unquoted(&format!("{quoted} FOR SYSTEM_TIME ALL")), None);
        }

        #[test]
        fn every_key_is_in_one_range(least in any::<i64>(), span in any::<u64>(), count in 2u64..200, key in any::<i128>()) {
            let (least, most) = (i128::from(least), i128::from(least) + i128::from(span));
            let cuts: Vec<i128> = cuts(least, most, count).iter().map(|cut| cut.parse().unwrap()).collect();
            prop_assert!(cuts.is_sorted_by(|a, b| a < b) && cuts.iter().all(|cut| *cut > least && *cut <= most));
            let key = key.rem_euclid(most - least + 1) + least;
            let holds = (0..=cuts.len()).filter(|at| (*at == 0 || key >= cuts[at - 1]) && cuts.get(*at).is_none_or(|cut| key < *cut));
            prop_assert_eq!(holds.count(), 1);
        }
    }
}
