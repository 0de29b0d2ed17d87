//! The rows that a log of changes names as written between a capture and a restore: what differs among them has changed in between, and is no
//! damage; what differs elsewhere stays what it is.
//!
//! An event counts where it is later than what the manifest shows and not later than what the restore shows. Of PostgreSQL the first is known
//! exactly: the manifest's snapshot says which transactions it saw. Of MySQL and MariaDB the binary log's position says it; else the times of
//! commit do, with the longest transaction to spare. A log names no row of a table without a key. To what an event changed a row is not
//! compared with the row: the values of a log may be cut, masked, rounded or left out by whoever wrote it, and none of that is marked in it.
//!
//! Not here: the log's lines (`events`), keys (`keys`), what became of a row (`fate`), and classes (`naming`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::monitor::{Event as Told, Monitor};
use crate::verify::manifest::header::Header;
use crate::verify::sql::changes::events::{self, Event, What};
use crate::verify::sql::changes::fate::{Happened, Later, TouchedRows};
use crate::verify::sql::changes::keys;
use crate::verify::sql::postgres::catalog::shown_name;
use crate::verify::sql::rows::digester::{Digester, Meaning};
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::scope::Scope;

/// A line is no longer than this: a row of some hundred megabytes is no row that a log carries.
const LONGEST_LINE: u64 = 256 << 20;
/// To spare where only times say what is later than a capture, and nobody has said how long transactions take.
const LONGEST_TRANSACTION: i64 = 300_000_000;
/// The binary log counts in seconds.
const SECOND: i64 = 1_000_000;

/// The rows of all tables, by the tables' names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Touched(BTreeMap<String, TouchedRows>);

impl Touched {
    /// Those of one table.
    pub fn of(&self, table: &str) -> Option<&TouchedRows> {
        self.0.get(table).filter(|rows| !rows.is_empty())
    }

    /// How many rows are named.
    pub fn rows(&self) -> usize {
        self.0.values().map(TouchedRows::named).sum()
    }
}

/// What lies between a manifest and a restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Earliest and latest time of commit.
    from: i64,
    to: i64,
    /// The capture, where the restore is later: what it shows is not in between.
    captured: i64,
    /// The restore, and how long before or after it an event may be on its other side.
    restored: i64,
    unsure: i64,
    unsure_of_commits: i64,
    later: Later,
    snapshot: Option<Snapshot>,
    binlog: Option<(String, u64)>,
}

/// The transactions that a snapshot of PostgreSQL shows: those before `next` that were not under way.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Snapshot {
    first: u64,
    next: u64,
    under_way: BTreeSet<u64>,
}

impl Snapshot {
    /// `xmin:xmax:xip,…` (PostgreSQL documentation, `pg_snapshot`).
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (first, next, list) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let under_way = list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect::<Option<_>>()?;
        Some(Self { first, next, under_way })
    }

    /// Whether it shows a transaction, whose number a log may have without its epoch.
    fn shows(&self, transaction: u64) -> bool {
        const EPOCH: u64 = 1 << 32;
        let near = if transaction >= EPOCH {
            transaction
        } else {
            let same = (self.next & !(EPOCH - 1)) | transaction;
            if same > self.next.saturating_add(EPOCH / 2) {
                same.saturating_sub(EPOCH)
            } else if same.saturating_add(EPOCH / 2) < self.next {
                same.saturating_add(EPOCH)
            } else {
                same
            }
        };
        near < self.first || (near < self.next && !self.under_way.contains(&near))
    }
}

impl Window {
    /// From what a manifest says and the time that was restored to; nothing of it: now, and whatever has been written until then. A restore
    /// that is not one to the second may hold what is a little younger.
    pub fn new(header: &Header, scope: &Scope, restored: Option<Timestamp>, to_the_second: bool) -> Self {
        let slack = if scope.longest_transaction > 0 { scope.longest_transaction } else { LONGEST_TRANSACTION };
        let before = header.position.as_ref().map(|position| &position["before"]).unwrap_or(&Value::Null);
        let binlog = before["binlog"].as_str().and_then(|text| text.rsplit_once(':'));
        let (captured, ended) = (header.captured_start.0, header.captured_end.0);
        let (from, to) = match restored {
            Some(at) if at.0 < captured => (at.0.saturating_sub(slack), ended),
            Some(at) => (captured.saturating_sub(slack), at.0.saturating_add(if to_the_second { SECOND } else { slack })),
            None => (captured.saturating_sub(slack), i64::MAX),
        };
        // A restore to before the capture: what the capture shows and the restore does not is just what lies between them.
        let is_later = restored.is_none_or(|at| at.0 >= captured);
        let later = match restored {
            Some(at) if !is_later && (to_the_second || at.0.saturating_add(slack) < captured) => Later::Capture,
            Some(_) if !is_later => Later::Either,
            _ => Later::Restore,
        };
        Self {
            from,
            to,
            captured,
            restored: restored.unwrap_or_else(Timestamp::now).0,
            unsure: slack,
            unsure_of_commits: if to_the_second || restored.is_none() { SECOND } else { slack },
            later,
            snapshot: before["snapshot"].as_str().and_then(Snapshot::parse).filter(|_| is_later),
            binlog: binlog.and_then(|(file, offset)| Some((file.to_owned(), offset.parse().ok()?))).filter(|_| is_later),
        }
    }

    /// Whether the restore shows an event that lies in it, for sure; of one that is earlier than the capture, whether it does not. PostgreSQL
    /// states times of commit, binary logs those of statements, whose transaction may be committed later.
    pub fn is_certain(&self, event: &Event) -> bool {
        match self.later {
            Later::Restore => {
                let unsure = if event.transaction.is_some() { self.unsure_of_commits } else { self.unsure };
                event.at.0.saturating_add(unsure) <= self.restored
            }
            Later::Capture => event.at.0 >= self.restored.saturating_add(self.unsure_of_commits),
            Later::Either => false,
        }
    }

    /// Whether an event lies in it.
    pub fn holds(&self, event: &Event) -> bool {
        let at = event.at.0;
        if at > self.to {
            return false;
        }
        if let (Some(snapshot), Some(transaction)) = (&self.snapshot, event.transaction) {
            return !snapshot.shows(transaction);
        }
        if let (Some((file, offset)), Some((own, at_offset))) = (&self.binlog, &event.binlog)
            && let (Some(captured), Some(number)) = (number_of(file), number_of(own))
        {
            // Between the snapshot and the question where it stood, something may have been written: what is as late as the capture counts.
            return (number, *at_offset) >= (captured, *offset) || at + SECOND > self.captured;
        }
        at >= self.from
    }
}

/// 12 of `binlog.000012`.
fn number_of(file: &str) -> Option<u64> {
    file.rsplit_once('.')?.1.parse().ok()
}

/// What is needed to tell which rows a log names.
pub struct Reading<'a> {
    /// The tables that are compared, each with what is digested of it.
    pub tables: Vec<(&'a Table, Meaning, Option<&'a crate::verify::sql::rows::key_order::KeyOrder>)>,
    /// How keys are hashed.
    pub keys: &'a RowKeys,
    /// Which events count.
    pub window: Window,
    /// The database that was captured, where it is known.
    pub database: Option<String>,
    /// Whether its tables have schemas. Those of MySQL and MariaDB have none, and DMS calls their databases schemas.
    pub has_schemas: bool,
}

/// Reads a log of changes.
///
/// # Errors
/// [`crate::model::failure::FailureKind::Invalid`] with the line and the reason where an event cannot be read, or its row not be named.
pub fn load(log: &Path, reading: Reading<'_>, monitor: &dyn Monitor) -> Result<Touched, Failure> {
    let shown = log.display();
    let cannot = |error| Failure::io(format!("cannot read the log of changes {shown}"), error);
    let mut lines = BufReader::new(File::open(log).map_err(cannot)?);
    let mut namer = Namer::new(reading);
    let (mut line, mut number) = (Vec::new(), 0u64);
    loop {
        line.clear();
        if std::io::Read::take(&mut lines, LONGEST_LINE).read_until(b'\n', &mut line).map_err(cannot)? == 0 {
            break;
        }
        number += 1;
        let taken = match std::str::from_utf8(&line) {
            _ if line.len() as u64 >= LONGEST_LINE => Err(format!("longer than {LONGEST_LINE} bytes")),
            Ok(text) => events::parse(text).and_then(|event| event.map_or(Ok(()), |event| namer.take(&event))),
            Err(_) => Err("not UTF-8".to_owned()),
        };
        taken.map_err(|said| {
            Failure::invalid(format!("{shown}, line {number}: {said}"))
                .hint("a log of changes has one event a line, as Debezium or DMS write them in JSON")
        })?;
    }
    monitor.event(Told::Note(&namer.told(&shown.to_string())));
    if !namer.without_key.is_empty() {
        let names: Vec<&str> = namer.without_key.iter().map(String::as_str).collect();
        monitor.event(Told::Note(&format!("changed in between and without a key, so that no event names a row: {}", names.join(", "))));
    }
    Ok(namer.touched)
}

/// Events into rows.
struct Namer<'a> {
    digesters: BTreeMap<&'a str, (&'a Table, Digester)>,
    /// The tables that a name in a log means: one, or the partitions of one, whose key is theirs.
    meant: BTreeMap<String, Vec<&'a str>>,
    window: Window,
    database: Option<String>,
    has_schemas: bool,
    touched: Touched,
    without_key: BTreeSet<String>,
    events: u64,
    counted: u64,
    elsewhere: u64,
}

impl<'a> Namer<'a> {
    fn new(reading: Reading<'a>) -> Self {
        let digester = |(table, meaning, order): &(&'a Table, Meaning, _)| {
            (table.name.as_str(), (*table, Digester::new(reading.keys, table, &table.key, meaning).in_order(*order)))
        };
        let mut meant: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (table, ..) in &reading.tables {
            std::iter::once(&table.name).chain(&table.part_of).for_each(|name| meant.entry(name.clone()).or_default().push(&table.name));
        }
        Self {
            digesters: reading.tables.iter().map(digester).collect(),
            meant,
            window: reading.window,
            database: reading.database,
            has_schemas: reading.has_schemas,
            touched: Touched::default(),
            without_key: BTreeSet::new(),
            events: 0,
            counted: 0,
            elsewhere: 0,
        }
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        self.events += 1;
        let of = if self.has_schemas { event.database.as_ref() } else { event.database.as_ref().or(event.schema.as_ref()) };
        let is_ours = self.database.as_ref().is_none_or(|own| of.is_none_or(|of| of == own));
        let name = match &event.schema {
            Some(schema) if self.has_schemas => shown_name(schema, &event.table),
            _ => event.table.clone(),
        };
        let Some(named) = self.meant.get(&name).filter(|_| is_ours).cloned() else {
            self.elsewhere += u64::from(event.what != What::Nothing);
            return Ok(());
        };
        if event.what == What::Nothing || !self.window.holds(event) {
            return Ok(());
        }
        self.counted += 1;
        let when = Some((event.at, self.events)).filter(|_| self.window.is_certain(event));
        named.into_iter().try_for_each(|name| self.touch(name, &event.what, when))
    }

    /// Takes in what happened to rows of one table, and when, where the restore is certain to show it.
    fn touch(&mut self, name: &str, what: &What, when: Option<(Timestamp, u64)>) -> Result<(), String> {
        let Some((table, digester)) = self.digesters.get_mut(name) else { return Ok(()) };
        let rows = self.touched.0.entry(table.name.clone()).or_default();
        rows.later = self.window.later;
        if table.key.is_empty() && !matches!(what, What::Nothing | What::Table) {
            self.without_key.insert(table.name.clone());
            return Ok(());
        }
        let mut head =
            |image: &Map<String, Value>| keys::key_head(table, digester, image).map_err(|said| format!("table {}: {said}", table.name));
        match what {
            What::Nothing => {}
            What::Table => rows.emptied(when),
            What::Made(row) => rows.note(head(row)?, Happened::Made, when),
            What::Deleted(row) => rows.note(head(row)?, Happened::Deleted, when),
            What::Changed(before, after) => {
                let (before, after) = (before.as_ref().map(&mut head).transpose()?, head(after)?);
                match before.filter(|before| *before != after) {
                    // The row of one key is gone, and that of another is there.
                    Some(before) => {
                        rows.note(before, Happened::Deleted, when);
                        rows.note(after, Happened::Made, when);
                    }
                    None => rows.note(after, Happened::Changed, when),
                }
            }
        }
        Ok(())
    }

    fn told(&self, log: &str) -> String {
        let rows = self.touched.rows();
        let elsewhere = if self.elsewhere > 0 { format!(", {} of tables that are not compared", self.elsewhere) } else { String::new() };
        format!(
            "{log}: {} events, {} of them between the capture and the restore, naming {rows} rows{elsewhere}",
            self.events, self.counted
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(at: i64, transaction: Option<u64>, binlog: Option<(&str, u64)>) -> Event {
        let binlog = binlog.map(|(file, offset)| (file.to_owned(), offset));
        Event { database: None, schema: None, table: "t".into(), what: What::Table, at: Timestamp(at), transaction, binlog }
    }

    fn window(from: i64, to: i64, snapshot: Option<&str>, binlog: Option<(&str, u64)>) -> Window {
        let binlog = binlog.map(|(file, offset)| (file.to_owned(), offset));
        let (restored, unsure, unsure_of_commits) = (to, LONGEST_TRANSACTION, SECOND);
        Window {
            from,
            to,
            captured: from + 10,
            restored,
            unsure,
            unsure_of_commits,
            later: Later::Restore,
            snapshot: snapshot.and_then(Snapshot::parse),
            binlog,
        }
    }

    #[test]
    fn what_the_manifest_saw_is_not_in_between_and_what_the_restore_did_not_see_is_not_either() {
        let times = window(100, 200, None, None);
        assert_eq!([99, 100, 200, 201].map(|at| times.holds(&event(at, None, None))), [false, true, true, false]);
        let snapshot = window(100, 200, Some("740:745:742"), None);
        // Long before the capture by its time: what it did not see is in between all the same.
        assert_eq!([739, 742, 744, 745].map(|id| snapshot.holds(&event(5, Some(id), None))), [false, true, false, true]);
        assert!(!snapshot.holds(&event(201, Some(745), None)) && snapshot.holds(&event(150, None, None)));
        let log = window(100 * SECOND, 200 * SECOND, None, Some(("b.000009", 50)));
        let at = |file, offset| log.holds(&event(5, None, Some((file, offset))));
        assert_eq!([at("b.000009", 49), at("b.000009", 50), at("b.000010", 4), at("b.000008", 900)], [false, true, true, false]);
        assert!(log.holds(&event(log.captured, None, Some(("b.000009", 4)))), "as late as the capture");
    }

    #[test]
    fn what_a_restore_shows_for_sure_depends_on_what_its_log_says_of_time() {
        let at = |seconds: i64, transaction| event(seconds * SECOND, transaction, None);
        let later = Window { restored: 1000 * SECOND, ..window(100, i64::MAX, None, None) };
        assert_eq!(
            [at(999, Some(1)), at(1000, Some(1)), at(999, None), at(700, None)].map(|event| later.is_certain(&event)),
            [true, false, false, true]
        );
        let earlier = Window { later: Later::Capture, ..later.clone() };
        assert_eq!([at(1001, None), at(1000, None), at(700, None)].map(|event| earlier.is_certain(&event)), [true, false, false]);
        assert!(!Window { later: Later::Either, ..later }.is_certain(&at(1, Some(1))));
    }

    proptest! {
        #[test]
        fn transactions_are_told_apart_as_the_snapshot_lists_them(first in 3u64..1 << 40, span in 0u64..50, open in proptest::collection::btree_set(0u64..50, 0..9), id in 0u64..60) {
            let next = first + span;
            let under_way: BTreeSet<u64> = open.iter().map(|at| first + at).filter(|id| *id < next).collect();
            let list: Vec<String> = under_way.iter().map(u64::to_string).collect();
            let snapshot = Snapshot::parse(&format!("{first}:{next}:{}", list.join(","))).unwrap();
            let id = first.saturating_sub(5) + id;
            let shown = id < next && !under_way.contains(&id);
            prop_assert_eq!(snapshot.shows(id), shown);
            // As a log has it that does not count epochs.
            if id >> 32 == next >> 32 || next >> 32 > 0 {
                prop_assert_eq!(snapshot.shows(id & 0xffff_ffff), shown);
            }
        }

        #[test]
        fn any_snapshot_is_read_or_refused(text in "[0-9:,]{0,30}", id in any::<u64>()) {
            if let Some(snapshot) = Snapshot::parse(&text) {
                snapshot.shows(id);
            }
        }
    }
}
