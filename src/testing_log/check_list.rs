//! Which SQL checks a class holds its databases to, in a form whose length does not depend on how many there are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::digest::Sha256Digest;

/// Which SQL checks a result has to state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckList {
    /// How many.
    pub count: u64,
    /// SHA-256 of their ids, sorted, each followed by a line feed.
    pub ids: Sha256Digest,
}

impl CheckList {
    /// The list of these ids, each counted once.
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let ids: BTreeSet<&str> = ids.into_iter().collect();
        let text: String = ids.iter().flat_map(|id| [*id, "\n"]).collect();
        Self { count: ids.len() as u64, ids: Sha256Digest::of(text.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_repetitions_do_not_matter_and_every_id_does() {
        let list = CheckList::of(["b", "a", "b"]);
        assert_eq!((list.count, list.ids), (2, Sha256Digest::of(b"a\nb\n")));
        assert_eq!(list, CheckList::of(["a", "b"]));
        assert!([CheckList::of(["a"]), CheckList::of(["a", "b", "c"]), CheckList::of(["ab"])].iter().all(|other| *other != list));
    }
}
