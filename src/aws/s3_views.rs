//! A bucket as it was at an instant, out of the listing of all its versions: one key's versions in memory at a time.
//!
//! Which version it was is decided by `verify::objects::moment`; what is deleted for good since then cannot be seen.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::verify::objects::moment::{Stamp, State, state_at};
use crate::verify::objects::source::Entry;

/// Of `versions`, in the order of `(key, oldest first)`, what each key was at `at`. Keys whose state cannot be told have an entry that is
/// `undecided`.
pub fn at(versions: BoxStream<'static, Result<Entry, Failure>>, at: Timestamp) -> BoxStream<'static, Result<Entry, Failure>> {
    struct Walk {
        versions: BoxStream<'static, Result<Entry, Failure>>,
        of_key: Vec<Entry>,
    }
    let walk = Walk { versions: versions.fuse().boxed(), of_key: Vec::new() };
    futures_util::stream::unfold(Some(walk), move |walk| async move {
        let mut walk = walk?;
        loop {
            let next = match walk.versions.next().await {
                Some(Err(failure)) => return Some((Err(failure), None)),
                next => next.and_then(Result::ok),
            };
            let ended = next.is_none();
            let same = next.as_ref().is_some_and(|entry| walk.of_key.first().is_none_or(|first| first.key == entry.key));
            if same {
                walk.of_key.extend(next);
                continue;
            }
            let done = std::mem::replace(&mut walk.of_key, next.into_iter().collect());
            let found = then(done, at);
            match (found, ended) {
                (Some(entry), true) => return Some((Ok(entry), None)),
                (Some(entry), false) => return Some((Ok(entry), Some(walk))),
                (None, true) => return None,
                (None, false) => {}
            }
        }
    })
    .boxed()
}

/// What one key was.
fn then(mut versions: Vec<Entry>, at: Timestamp) -> Option<Entry> {
    if versions.is_empty() {
        return None;
    }
    let stamps: Vec<Stamp<'_>> = versions
        .iter()
        .map(|entry| Stamp { modified: entry.modified, version_id: entry.version_id.as_deref(), kind: entry.kind })
        .collect();
    match state_at(&stamps, at) {
        State::Absent => None,
        State::Was(index) => Some(Entry { seq: 0, ..versions.swap_remove(index) }),
        State::Undecided(index, reason) => Some(Entry { seq: 0, undecided: Some(reason), ..versions.swap_remove(index) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::objects::source::EntryKind;

    fn version(key: &str, seconds: i64, kind: EntryKind) -> Result<Entry, Failure> {
        let id = Some(format!("{key}{seconds}"));
        Ok(Entry { kind, version_id: id, modified: Some(Timestamp::from_secs(seconds)), ..Entry::object(key, 1) })
    }

    #[tokio::test]
    async fn each_key_has_its_state_or_none() {
        use EntryKind::{DeleteMarker, Object};
        let listed = vec![
            version("deleted", 10, Object),
            version("deleted", 20, DeleteMarker),
            version("later", 40, Object),
            version("two", 10, Object),
            version("two", 20, Object),
            version("two", 40, Object),
            version("tie", 30, Object),
        ];
        let found: Vec<Entry> =
            at(futures_util::stream::iter(listed).boxed(), Timestamp::from_secs(30)).map(Result::unwrap).collect().await;
        let told: Vec<_> = found.iter().map(|entry| (entry.key.as_str(), entry.version_id.as_deref(), entry.undecided.is_some())).collect();
        assert_eq!(told, [("two", Some("two20"), false), ("tie", Some("tie30"), true)]);
    }

    #[tokio::test]
    async fn a_listing_that_breaks_ends_with_its_failure() {
        let listed = vec![version("a", 1, EntryKind::Object), Err(Failure::invalid("broken")), version("b", 1, EntryKind::Object)];
        let found: Vec<_> = at(futures_util::stream::iter(listed).boxed(), Timestamp::from_secs(30)).collect().await;
        assert_eq!(found.len(), 1);
        assert!(found[0].is_err());
    }
}
