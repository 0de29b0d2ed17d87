//! The streaming merge: a sorted listing and a sorted manifest, put together key by key in constant memory.

use std::cmp::Ordering;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::source::Entry;

/// Everything about one key: what the manifest expects and what the source lists, both oldest first. One of them may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// From the manifest.
    pub rows: Vec<ObjectRow>,
    /// From the source.
    pub entries: Vec<Entry>,
    /// The key lies below a directory that may not be listed: nothing is known of what the source has.
    pub below_closed: bool,
    /// The key is a directory that may not be listed, and the manifest has keys below it, which count as unreadable themselves.
    pub closes_rows: bool,
    /// Why it cannot be told which of the manifest's versions is expected.
    pub undecided: Option<String>,
}

/// Which of the two sequences broke off.
#[derive(Debug)]
pub enum Broken {
    /// The manifest does not hold: nothing may be concluded from it.
    Manifest(Failure),
    /// The listing ended before its end: what follows is unknown.
    Listing(Failure),
}

type Name<'a> = (&'a str, bool);

struct Merge<'a> {
    rows: BoxStream<'a, Result<ObjectRow, Failure>>,
    entries: BoxStream<'a, Result<Entry, Failure>>,
    row: Option<ObjectRow>,
    entry: Option<Entry>,
    begun: bool,
    /// The key of the last directory that may not be listed.
    closed: Option<String>,
}

/// Groups by key, ascending. After an error there is nothing more.
pub fn groups<'a>(
    rows: BoxStream<'a, Result<ObjectRow, Failure>>,
    entries: BoxStream<'a, Result<Entry, Failure>>,
) -> BoxStream<'a, Result<Group, Broken>> {
    let merge = Merge { rows, entries, row: None, entry: None, begun: false, closed: None };
    futures_util::stream::unfold(Some(merge), |merge| async move {
        let mut merge = merge?;
        match merge.next_group().await {
            Ok(Some(group)) => Some((Ok(group), Some(merge))),
            Ok(None) => None,
            Err(broken) => Some((Err(broken), None)),
        }
    })
    .boxed()
}

fn row_name(row: &ObjectRow) -> Name<'_> {
    (&row.key, row.key_escaped)
}

fn entry_name(entry: &Entry) -> Name<'_> {
    (&entry.key, entry.key_escaped)
}

impl Merge<'_> {
    async fn next_group(&mut self) -> Result<Option<Group>, Broken> {
        if !std::mem::replace(&mut self.begun, true) {
            self.take_row().await?;
            self.take_entry().await?;
        }
        let name = match (self.row.as_ref().map(row_name), self.entry.as_ref().map(entry_name)) {
            (None, None) => return Ok(None),
            (Some(name), None) | (None, Some(name)) => name,
            // Strings compare by their bytes.
            (Some(row), Some(entry)) => row.min(entry),
        };
        let name = (name.0.to_owned(), name.1);
        let name = (name.0.as_str(), name.1);
        let mut group = Group::default();
        while self.row.as_ref().is_some_and(|row| row_name(row) == name) {
            group.rows.extend(self.take_row().await?);
        }
        while self.entry.as_ref().is_some_and(|entry| entry_name(entry) == name) {
            group.entries.extend(self.take_entry().await?);
        }
        group.below_closed = self.closed.as_ref().is_some_and(|closed| name.0.starts_with(closed.as_str()) && name.0 != closed);
        if let Some(directory) = group.entries.iter().find(|entry| entry.is_closed_directory()) {
            group.closes_rows = self.row.as_ref().is_some_and(|row| row.key.starts_with(directory.key.as_str()));
            self.closed = Some(directory.key.clone());
        }
        Ok(Some(group))
    }

    /// Gives out the row at hand and fetches the next.
    async fn take_row(&mut self) -> Result<Option<ObjectRow>, Broken> {
        let next = self.rows.next().await.transpose().map_err(Broken::Manifest)?;
        Ok(std::mem::replace(&mut self.row, next))
    }

    /// Gives out the entry at hand and fetches the next, which must come after it.
    async fn take_entry(&mut self) -> Result<Option<Entry>, Broken> {
        let next = self.entries.next().await.transpose().map_err(Broken::Listing)?;
        if let (Some(before), Some(after)) = (&self.entry, &next)
            && (entry_name(before), before.seq).cmp(&(entry_name(after), after.seq)) != Ordering::Less
        {
            let said = format!("the source lists `{}` after `{}`", after.key.escape_debug(), before.key.escape_debug());
            return Err(Broken::Listing(Failure::new(FailureKind::Remote, said)));
        }
        Ok(std::mem::replace(&mut self.entry, next))
    }
}
