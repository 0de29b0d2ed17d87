//! Lists that do not fit one entry: they are moved into `list.page` entries before it, which it names by their leaf hashes.
//!
//! An entry has at most 60,000 bytes, and an estate may have a hundred thousand recovery points. What is hashed into the entry's own leaf
//! binds every row of its pages, so a seed drawn from that leaf is drawn from the whole list. A page by itself says nothing: after a crash
//! between pages, those that no entry names stay behind and count for nothing.

use std::collections::HashMap;

use serde_json::Value;

use crate::model::canonical_json;
use crate::model::digest::Digest32;
use crate::testing_log::body::ListPage;
use crate::testing_log::entry::{Body, Entry, EntryError, LIMIT_BYTES};

/// What the envelope around a page's rows, or around the rest of a body, may take.
const ENVELOPE_BYTES: usize = 4_000;
/// The JSON bytes of rows in one page.
const PAGE_BYTES: usize = LIMIT_BYTES - ENVELOPE_BYTES;
/// A leaf hash in the entry that names it: 64 digits, quotes, comma.
const NAME_BYTES: usize = 67;

/// A body whose longest lists were moved out of it.
#[derive(Debug)]
pub struct Split {
    /// The body, those lists empty.
    pub rest: Value,
    /// The pages in their order; their hashes go into the entry under the list's name.
    pub pages: Vec<ListPage>,
}

/// Moves the longest lists of `body` into pages until the rest fits.
///
/// # Errors
/// [`EntryError::TooLong`] when it cannot fit: its bulk is not in lists, or one row is too long for a page.
pub fn split(body: &Body) -> Result<Split, EntryError> {
    let kind = body.kind().to_owned();
    let mut rest = body.to_value().map_err(|error| EntryError::Malformed(error.to_string()))?;
    let mut pages = Vec::new();
    loop {
        let bytes = size(&rest)? + pages.len() * NAME_BYTES;
        if bytes <= PAGE_BYTES {
            return Ok(Split { rest, pages });
        }
        let Some((list, rows)) = take_longest(&mut rest)? else { return Err(EntryError::TooLong(bytes)) };
        for rows in chunks(rows)? {
            pages.push(ListPage { kind: kind.clone(), list: list.clone(), rows });
        }
    }
}

/// The lists of a body, and of the objects in it, by their JSON pointers (RFC 6901); the one with the most bytes is emptied.
fn take_longest(body: &mut Value) -> Result<Option<(String, Vec<Value>)>, EntryError> {
    let mut longest: Option<(usize, String)> = None;
    for (pointer, list) in lists(body, "") {
        // Below this the names of the pages could be longer than what they replace.
        let bytes = size(list)?;
        if bytes > 1_000 && longest.as_ref().is_none_or(|(most, _)| bytes > *most) {
            longest = Some((bytes, pointer));
        }
    }
    let Some((_, pointer)) = longest else { return Ok(None) };
    let rows = body.pointer_mut(&pointer).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    Ok(Some((pointer, rows)))
}

fn lists<'a>(value: &'a Value, pointer: &str) -> Vec<(String, &'a Value)> {
    match value {
        Value::Array(_) => vec![(pointer.to_owned(), value)],
        Value::Object(members) => {
            // A name that RFC 6901 would have to escape is no field of ours.
            let plain = members.iter().filter(|(name, _)| !name.contains(['/', '~']));
            plain.flat_map(|(name, value)| lists(value, &format!("{pointer}/{name}"))).collect()
        }
        _ => Vec::new(),
    }
}

fn chunks(rows: Vec<Value>) -> Result<Vec<Vec<Value>>, EntryError> {
    let (mut chunks, mut chunk, mut bytes) = (Vec::new(), Vec::new(), 0);
    for row in rows {
        let row_bytes = size(&row)? + 1;
        if row_bytes > PAGE_BYTES {
            return Err(EntryError::TooLong(row_bytes));
        }
        if bytes + row_bytes > PAGE_BYTES {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += row_bytes;
        chunk.push(row);
    }
    chunks.push(chunk);
    Ok(chunks)
}

fn size(value: &Value) -> Result<usize, EntryError> {
    Ok(canonical_json::to_bytes(value)?.len())
}

/// Puts bodies together again while the entries of a log are read in their order.
#[derive(Debug, Default)]
pub struct Joiner {
    /// Pages that no entry has named so far.
    pages: HashMap<Digest32, ListPage>,
}

impl Joiner {
    /// The entry with its lists whole. Its bytes stay as they are.
    ///
    /// # Errors
    /// A sentence that names the page which is not there, and the entry as it was.
    pub fn join(&mut self, entry: Entry) -> Result<Entry, (Box<Entry>, String)> {
        if let Body::ListPage(page) = &entry.body {
            self.pages.insert(entry.hash, page.clone());
        }
        if entry.paged.is_empty() {
            return Ok(entry);
        }
        match self.joined(&entry) {
            Ok(body) => Ok(Entry { body, ..entry }),
            Err(what) => Err((Box::new(entry), what)),
        }
    }

    fn joined(&mut self, entry: &Entry) -> Result<Body, String> {
        let mut value = entry.value().get_mut("body").map(Value::take).unwrap_or_default();
        for (list, hashes) in &entry.paged {
            let mut rows = Vec::new();
            for hash in hashes {
                let page = self.pages.remove(hash).filter(|page| page.kind == entry.body.kind() && page.list == *list);
                let Some(page) = page else {
                    return Err(format!(
                        "expected a page of {list} with leaf hash {hash} before it, which no other entry has named; found none"
                    ));
                };
                rows.extend(page.rows);
            }
            match value.pointer_mut(list).and_then(Value::as_array_mut) {
                Some(place) if place.is_empty() => *place = rows,
                _ => return Err(format!("expected an empty list at {list} for the rows of its pages, found something else")),
            }
        }
        Body::from_value(entry.body.kind(), value).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::clock::Timestamp;
    use crate::testing_log::body::{Excluded, Heartbeat, PopulationCommitted, PopulationItem};
    use crate::testing_log::entry::Actor;

    fn population(points: usize) -> Body {
        let item = |n| PopulationItem {
            id: crate::model::ids::PointId(format!("arn:aws:backup:eu-west-2:111122223333:recovery-point:{n:08}")),
            resource: "crm".into(),
            stratum: "bank".into(),
            created_at: Timestamp::from_secs(0),
        };
        Body::PopulationCommitted(PopulationCommitted {
            drill_id: "d".into(),
            drill_seq: 1,
            deadline_at: Timestamp::from_secs(0),
            service_ahead_ms: None,
            population: (0..points).map(item).collect(),
            excluded: (0..points / 2).map(|n| Excluded { id: format!("old-{n}"), reason: "EXPIRED".into() }).collect(),
            strata: Vec::new(),
            targeted: Vec::new(),
            beacon: String::new(),
            listings: BTreeMap::new(),
        })
    }

    fn entry(seq: u64, body: Body) -> Entry {
        Entry::new(seq, "log", Timestamp::from_secs(0), None, Actor::tool("t"), body).unwrap()
    }

    /// As the writer does it.
    fn written(body: &Body) -> Vec<Entry> {
        let split = split(body).unwrap();
        let (mut entries, mut paged) = (Vec::new(), BTreeMap::<String, Vec<Digest32>>::new());
        for page in split.pages {
            let list = page.list.clone();
            let entry = entry(entries.len() as u64, Body::ListPage(page));
            paged.entry(list).or_default().push(entry.hash);
            entries.push(entry);
        }
        let at = (entries.len() as u64, Timestamp::from_secs(0));
        entries.push(Entry::paged(at, "log", None, Actor::tool("t"), body.clone(), split.rest, paged).unwrap());
        entries
    }

    #[test]
    fn what_was_split_joins_to_the_same_whatever_its_size() {
        for points in [0, 1, 300, 301, 450, 5_000] {
            let body = population(points);
            let entries = written(&body);
            assert!(entries.iter().all(|entry| entry.bytes.len() <= LIMIT_BYTES && canonical_json::is_canonical(&entry.bytes)));
            let mut joiner = Joiner::default();
            let read = entries.iter().map(|entry| Entry::parse(&entry.bytes).unwrap());
            let joined: Vec<Entry> = read.map(|entry| joiner.join(entry).unwrap()).collect();
            assert_eq!(joined, entries, "{points}");
            assert_eq!(joined.last().unwrap().body, body, "{points}");
        }
    }

    #[test]
    fn a_page_that_is_gone_strange_late_or_used_before_is_told() {
        let entries = written(&population(2_000));
        let last = entries.last().unwrap();
        let joined = |pages: &[Entry]| {
            let mut joiner = Joiner::default();
            pages.iter().for_each(|page| drop(joiner.join(page.clone())));
            joiner.join(last.clone()).map(|_| ()).map_err(|(_, what)| what)
        };
        let pages = &entries[..entries.len() - 1];
        assert_eq!(joined(pages), Ok(()));
        assert!(joined(&pages[1..]).unwrap_err().contains("found none"));
        assert!(joined(&[pages, &entries[entries.len() - 1..]].concat()).unwrap_err().contains("no other entry has named"));
        let reversed: Vec<Entry> = pages.iter().rev().cloned().collect();
        assert_eq!(joined(&reversed), Ok(()), "the order is that of the names, not that of the files");
    }

    #[test]
    fn bulk_that_is_no_list_is_refused() {
        let long = Body::Heartbeat(Heartbeat { note: Some("x".repeat(LIMIT_BYTES)) });
        assert!(matches!(split(&long), Err(EntryError::TooLong(_))));
    }
}
