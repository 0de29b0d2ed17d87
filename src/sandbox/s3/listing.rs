//! Listings: keys in byte order, prefixes rolled up at a delimiter, pages that can be gone on with.
//!
//! A page is found by seeking: a rolled-up prefix is passed over in one step however many keys it holds.

use rusqlite::Connection;
use s3s::S3Result;

use crate::sandbox::s3::buckets::Bucket;
use crate::sandbox::s3::errors::{internal, invalid_argument};
use crate::sandbox::s3::record::{self, Version};
use crate::sandbox::s3::versions;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys are rolled up to the first of these after the prefix.
    pub delimiter: Option<String>,
    /// At most so many entries, rolled-up prefixes counted.
    pub max: usize,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first key looked at, in bytes.
    pub key: Vec<u8>,
    /// Within exactly that key, only versions with a smaller row.
    pub below: Option<i64>,
}

/// One page.
#[derive(Debug, Default)]
pub struct Page {
    /// Versions (of a plain listing: the newest ones), in order.
    pub versions: Vec<Version>,
    /// Rolled-up prefixes, in order.
    pub prefixes: Vec<String>,
    /// Where the next page begins, when there is one.
    pub next: Option<Start>,
    /// The last entry of this page: its key or prefix.
    pub last: Option<String>,
    /// The version id of the last entry, unless it is a prefix.
    pub last_version: Option<String>,
}

/// Rows fetched at a time.
const BATCH: usize = 256;

impl Start {
    /// The very beginning.
    pub fn first() -> Self {
        Self { key: Vec::new(), below: None }
    }

    /// Behind a key, or behind a rolled-up prefix where the marker is one.
    pub fn after(marker: &str, query: &Query) -> Self {
        let rolled_up = query.roll_up(marker).is_some_and(|prefix| prefix == marker);
        Self { key: if rolled_up { behind_prefix(marker) } else { behind_key(marker) }, below: None }
    }

    /// Behind one version of a key. `version` is the one that the last page ended with, if it still exists.
    pub fn after_version(connection: &Connection, bucket: &Bucket, key: &str, version_id: &str) -> S3Result<Self> {
        if let Some(found) = versions::by_id(connection, bucket, key, version_id)? {
            return Ok(Self { key: key.as_bytes().to_vec(), below: Some(found.id) });
        }
        // It was deleted meanwhile: its id says where it was. `null` does not, so what is left of the key is listed.
        match versions::row_of_version_id(version_id) {
            Some(row) => Ok(Self { key: key.as_bytes().to_vec(), below: Some(row) }),
            None if version_id == versions::NULL => Ok(Self { key: key.as_bytes().to_vec(), below: None }),
            None => Err(invalid_argument("Invalid version id specified")),
        }
    }
}

fn behind_key(key: &str) -> Vec<u8> {
    [key.as_bytes(), &[0]].concat()
}

/// The smallest bytes greater than every key with this prefix.
fn behind_prefix(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    // No byte of UTF-8 is 0xFF, so there is no carry.
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

impl Query {
    /// The prefix that a key is rolled up to.
    fn roll_up<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let rest = key.strip_prefix(&self.prefix)?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }
}

/// One page of the newest versions (`all` = false; delete markers left out) or of all versions, newest first within a key.
pub fn page(connection: &Connection, bucket: &Bucket, query: &Query, start: Start, all: bool) -> S3Result<Page> {
    let mut page = Page::default();
    let mut at = start;
    if at.key.as_slice() < query.prefix.as_bytes() {
        at = Start { key: query.prefix.as_bytes().to_vec(), below: None };
    }
    if query.max == 0 {
        return Ok(page);
    }
    loop {
        let rows = batch(connection, bucket, &at, all, (query.max + 1).min(BATCH))?;
        if rows.is_empty() {
            return Ok(page);
        }
        for version in rows {
            if !version.key.starts_with(&query.prefix) {
                return Ok(page);
            }
            if page.versions.len() + page.prefixes.len() == query.max {
                page.next = Some(at);
                return Ok(page);
            }
            if let Some(prefix) = query.roll_up(&version.key) {
                at = Start { key: behind_prefix(prefix), below: None };
                page.last = Some(prefix.to_owned());
                page.last_version = None;
                page.prefixes.push(prefix.to_owned());
                // The rest of the batch may lie under the same prefix: seek behind it.
                break;
            }
            at = if all {
                Start { key: version.key.as_bytes().to_vec(), below: Some(version.id) }
            } else {
                Start { key: behind_key(&version.key), below: None }
            };
            page.last = Some(version.key.clone());
            page.last_version = Some(version.version_id.clone());
            page.versions.push(version);
        }
    }
}

fn batch(connection: &Connection, bucket: &Bucket, start: &Start, all: bool, count: usize) -> S3Result<Vec<Version>> {
    let mut found = Vec::new();
    let columns = record::COLUMNS;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut run = || -> rusqlite::Result<()> {
        if !all {
            let sql = format!(
                "SELECT {columns} FROM version WHERE bucket = ?1 AND key >= ?2 AND latest = 1 AND delete_marker = 0 ORDER BY key LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            for row in statement.query_map((bucket.id, &start.key, count), Version::from_row)? {
                found.push(row?);
            }
            return Ok(());
        }
        let sql = format!(
            "SELECT {columns} FROM version WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR id < ?3) ORDER BY key, id DESC LIMIT ?4"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let below = start.below.unwrap_or(i64::MAX);
        for row in statement.query_map((bucket.id, &start.key, below, count), Version::from_row)? {
            found.push(row?);
        }
        Ok(())
    };
    run().map_err(internal)?;
    Ok(found)
}
