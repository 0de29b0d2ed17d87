//! The newest change stamp of a table that was restored to a second, beside the newest of the rows that its manifest knows.
//!
//! Stamps without a time zone are read as UTC. Where the manifest's own rows are younger by them than their capture, they are no stamps of a
//! change in UTC, and say nothing of the second.

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::finding::{Class, Kind, Place};
use crate::monitor::Event;
use crate::verify::sql::compare::tables::Run;
use crate::verify::sql::database::Database;
use crate::verify::sql::last_value::Last;
use crate::verify::sql::naming;
use crate::verify::sql::rows::table::Table;

/// Clocks that write stamps may be so far ahead of the one that dates a capture; less than any two time zones are apart.
const CLOCKS_APART_S: i64 = 300;

/// The newest stamps of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Newest {
    /// Of all rows.
    all: Greatest,
    /// Of those that the manifest knows, where it does not know all.
    known: Option<Greatest>,
}

/// The greatest value of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Greatest {
    /// There is none.
    #[default]
    None,
    /// It is a time.
    At(Timestamp),
    /// It is no time.
    Other,
}

/// What stamps say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stamps {
    /// When the youngest row was changed; nothing where no row has one.
    Usable(Option<Timestamp>),
    /// They are not the times of changes.
    NoneOfChange,
}

impl Run<'_> {
    /// What a table says of a restore to a second: nothing in it may be younger, be it beyond the watermark. Where every row of it was compared
    /// and is equal, it is not; else its newest stamp says so, if it has one.
    pub async fn newest(&mut self, db: &mut Database, table: &Table, is_equal: bool) {
        let Some(second) = self.second else { return };
        let in_part = self.scope.closed.as_ref().and_then(|closed| closed.get(&table.name)).is_some_and(|names| !names.is_empty());
        let is_whole = table.filter.is_none() && !in_part;
        let Some(column) = self.scope.stamp_of(table).map(|place| table.columns[place].name.clone()) else {
            if !(is_equal && is_whole) {
                self.unseen();
            }
            return;
        };
        let newest = match of_table(db, table, &column).await {
            Ok(newest) => newest,
            Err(failure) => {
                let said = format!("table {}: its newest {column} could not be read: {failure}", table.name);
                self.monitor.event(Event::Note(&said));
                return self.unseen();
            }
        };
        match newest.seen(second, self.captured_end) {
            Stamps::Usable(at) => {
                self.result.newest_stamp = self.result.newest_stamp.max(at);
                // Within what is compared row by row each such row has been told.
                if let Some(at) = at.filter(|at| *at > second && !is_whole) {
                    self.rows.add(Class::Future);
                    let (expected, actual) = (format!("no {column} after {second}"), format!("{at}"));
                    naming::find(self.monitor, Class::Future, Kind::Table, Place::Key(table.name.clone()), Some(expected), Some(actual));
                }
            }
            // Such as the time until which something is valid, or the time of a zone: what has been compared is as good without it.
            Stamps::NoneOfChange if is_equal && is_whole => {}
            Stamps::NoneOfChange => {
                let said = format!(
                    "table {}: {column} says nothing of the second: rows that its manifest knows are younger by it than their capture, or it is no time in UTC",
                    table.name
                );
                self.monitor.event(Event::Note(&said));
                self.unseen();
            }
        }
    }

    /// Counts a table in which a row of after the second could have gone unseen.
    pub fn unseen(&mut self) {
        self.result.unstamped = self.result.unstamped.map(|tables| tables.saturating_add(1));
    }
}

/// Reads them.
async fn of_table(db: &mut Database, table: &Table, column: &str) -> Result<Newest, Failure> {
    let greatest = |last: Option<Last>| match last {
        None => Greatest::None,
        Some(last) => naming::stamp_in(&last.text).map_or(Greatest::Other, |micros| Greatest::At(Timestamp(micros))),
    };
    let known = match &table.filter {
        None => None,
        Some(_) => Some(greatest(db.greatest(table, column).await?)),
    };
    let all = db.greatest(&Table { filter: None, ..table.clone() }, column).await?;
    Ok(Newest { all: greatest(all), known })
}

impl Newest {
    /// What they say of a restore to `second` whose manifest was captured until `captured_end`.
    fn seen(self, second: Timestamp, captured_end: Timestamp) -> Stamps {
        let Self { all, known } = self;
        match (all, known) {
            (Greatest::Other, _) | (_, Some(Greatest::Other)) => Stamps::NoneOfChange,
            (_, Some(Greatest::At(known))) if known.as_secs() > captured_end.as_secs() + CLOCKS_APART_S => Stamps::NoneOfChange,
            // Younger than the second, and in the manifest: it hides what else may be.
            (Greatest::At(all), Some(Greatest::At(known))) if all > second && known == all => Stamps::NoneOfChange,
            (Greatest::At(all), _) => Stamps::Usable(Some(all)),
            (Greatest::None, _) => Stamps::Usable(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_the_manifest_knows_are_never_of_the_future() {
        let at = |secs| Greatest::At(Timestamp::from_secs(secs));
        let seen = |all, known| Newest { all, known }.seen(Timestamp::from_secs(10_100), Timestamp::from_secs(10_000));
        let usable = |secs| Stamps::Usable(Some(Timestamp::from_secs(secs)));
        assert_eq!(seen(at(10_090), Some(at(9_990))), usable(10_090));
        assert_eq!(seen(at(10_200), Some(at(9_990))), usable(10_200), "beyond the watermark, and of after the second");
        assert_eq!(seen(at(13_600), Some(at(13_600))), Stamps::NoneOfChange, "an hour ahead at the capture");
        assert_eq!(seen(at(13_690), Some(at(13_590))), Stamps::NoneOfChange, "and what came after it is as far ahead");
        assert_eq!(seen(at(10_101), Some(at(10_101))), Stamps::NoneOfChange, "a clock ahead");
        assert_eq!(seen(at(10_101), None), usable(10_101), "compared row by row");
        assert_eq!(seen(Greatest::Other, Some(at(1))), Stamps::NoneOfChange);
        assert_eq!(seen(Greatest::None, Some(Greatest::None)), Stamps::Usable(None));
    }
}
