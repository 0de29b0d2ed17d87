//! What it means where a server ends while a table is read, and is back, again and again: where it ends after the very same row each time, that
//! table cannot be read, and the others can.
//!
//! Not here: how a server comes back (`mysql::restart`, `postgres::restart`), and who brings it back (`keeper`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::display;
use crate::verify::sql::rows::table::Table;

/// So often a server may end over one table before it can be a verdict.
const ENOUGH_ENDS: usize = 3;
/// So often where its log says that the data is damaged.
const ENOUGH_WITH_LOG: usize = 2;
/// So often it may end before the table is given up, whatever ends it.
pub const MOST_ENDS: usize = 5;
/// So long a server that is back has to stay before a table is read again: one that ends without that is not ended by the table.
pub const CALM: Duration = Duration::from_secs(2);

/// The last row that arrived before a session was lost, by its key, or its place where it has none.
#[derive(Clone, Default)]
pub struct LastRow(Arc<Mutex<Option<String>>>);

impl LastRow {
    /// Notes `row` of `table`, the last one where it is whole, and how many had arrived.
    pub fn note(&self, row: &Row, table: &Table, rows: u64) {
        let part = |index: &usize| format!("{}={}", table.columns[*index].name, display::field(row.field(*index)));
        let parts: Vec<String> = table.key.iter().map(part).collect();
        let is_named = row.len() == table.columns.len() && !parts.is_empty();
        *self.0.lock().expect("no panic while held") = Some(if is_named { parts.join(" ") } else { format!("the first {rows}") });
    }

    /// It, once.
    pub fn take(&self) -> Option<String> {
        self.0.lock().expect("no panic while held").take()
    }
}

/// One end of the server while a table was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// The last row that had arrived, by its key or its place; nothing where none had.
    pub after: Option<String>,
    /// What the server's log says of it.
    pub log: Option<String>,
}

impl End {
    /// Whether the log names damage.
    pub fn is_of_damage(&self) -> bool {
        self.log.as_ref().is_some_and(|line| line.to_ascii_lowercase().contains("corrupt"))
    }
}

/// What `ends` say of the table; nothing where it may be read once more. The first one may be of several sessions, and its place says nothing;
/// the others are of one session each, which gives rows in one order.
pub fn verdict(ends: &[End]) -> Option<Failure> {
    let last = ends.last()?;
    let place = last.after.as_ref().map_or_else(|| "its rows".to_owned(), |after| format!("rows after {after}"));
    let whenever = format!("the server ends whenever {place} are read ({} times), and was back each time", ends.len());
    if ends.len() >= ENOUGH_WITH_LOG && last.is_of_damage() {
        let line = last.log.as_deref().unwrap_or_default();
        return Some(Failure::new(FailureKind::Remote, format!("{whenever}; its log says: {line}")));
    }
    let again = ends.len() >= ENOUGH_ENDS && ends[ends.len() - 2].after == last.after;
    // Who has seen no row each time has to have seen that always.
    if again && (last.after.is_some() || ends[1..].iter().all(|end| end.after.is_none())) {
        return Some(Failure::new(FailureKind::Remote, format!("{whenever}; its own error log says why")));
    }
    (ends.len() >= MOST_ENDS).then(|| {
        let said = format!("the server ended {} times while it was read, each time elsewhere", ends.len());
        Failure::new(FailureKind::Network, said).hint("its own error log says why it ended")
    })
}

/// That not all that was read of the server `shown` need be of one state, and `why`.
pub fn two_states(shown: &str, why: &str) -> Failure {
    let said = format!("{shown}: {why}: what was read before may be of another state than what was read after");
    Failure::new(FailureKind::Network, said).hint("run it again while the server stays up, and nothing writes to it")
}

/// What a server is that ends while nothing is read.
pub fn unsteady() -> Failure {
    let said = "the server ended while it was read, came back, and ended again before it was read on";
    Failure::new(FailureKind::Network, said).hint("its own error log says why it ended; run it again when the server stays up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_to_blame_where_the_server_ends_after_the_very_same_row() {
        let end = |after: Option<u64>, log: Option<&str>| End { after: after.map(|id| format!("id={id}")), log: log.map(str::to_owned) };
        assert!(verdict(&[]).is_none());
        let bare = [end(Some(900_000), None), end(Some(4_000), None), end(Some(4_000), None)];
        assert!(verdict(&bare[..1]).is_none() && verdict(&bare[..2]).is_none());
        let said = verdict(&bare).unwrap();
        assert_eq!(said.kind, FailureKind::Remote);
        assert!(said.message.contains("whenever rows after id=4000 are read (3 times)"), "{said}");
        // Not the same place, nor a word of its log: whatever ended it, nothing is known of the table.
        let elsewhere: Vec<End> = [1, 8_000, 8_001, 8_002, 8_003].map(|id| end(Some(id), None)).to_vec();
        assert!((1..5).all(|ends| verdict(&elsewhere[..ends]).is_none()));
        assert_eq!(verdict(&elsewhere).unwrap().kind, FailureKind::Network);
        let late = [elsewhere[..3].to_vec(), vec![end(Some(8_001), None)]].concat();
        assert_eq!(verdict(&late).unwrap().kind, FailureKind::Remote);
        let line = Some("[ERROR] [InnoDB] Database page corruption on disk");
        assert!(verdict(&[end(Some(1), line)]).is_none(), "another table may have been read at the same time");
        let said = verdict(&[end(Some(1), line), end(Some(8_000), line)]).unwrap();
        assert!(
            said.kind == FailureKind::Remote && said.message.ends_with("its log says: [ERROR] [InnoDB] Database page corruption on disk")
        );
        let other = Some("[ERROR] Out of memory");
        assert!(verdict(&[end(Some(1), other), end(Some(8_000), other)]).is_none());
        let keyless = [5_000, 25_000, 25_000].map(|rows| End { after: Some(format!("the first {rows}")), log: None });
        assert!(verdict(&keyless).unwrap().message.contains("whenever rows after the first 25000 are read"));
        let others = [5_000, 25_000, 30_000].map(|rows| End { after: Some(format!("the first {rows}")), log: None });
        assert!(verdict(&others).is_none(), "somebody else ends it");
        let unseen = [(); 3].map(|()| End::default());
        assert!(verdict(&unseen).unwrap().message.contains("whenever its rows are read"));
        assert!(verdict(&[end(None, None), end(Some(1), None), end(None, None), end(None, None)]).is_none());
    }
}
