//! Audit paths of marked leaves while a tree grows (RFC 6962 §2.1.1): one pass over the leaves, no leaf kept.
//!
//! Where all leaf hashes are at hand, `merkle::inclusion_proof` is simpler.

use crate::model::digest::Digest32;
use crate::signing::merkle::node_hash;

/// A marked leaf and its path so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkedPath {
    /// The leaf's number.
    pub index: u64,
    /// Its siblings, nearest first.
    pub path: Vec<Digest32>,
    /// The peak that the leaf is under.
    peak: usize,
}

/// A growing tree with marked leaves; memory is one hash for each bit of the size, and the paths.
#[derive(Clone, Debug, Default)]
pub struct PathTree {
    size: u64,
    /// Roots of complete subtrees, largest first; their sizes are the bits of `size`.
    peaks: Vec<Digest32>,
    marked: Vec<MarkedPath>,
}

impl PathTree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Marked leaves so far.
    pub fn marked(&self) -> usize {
        self.marked.len()
    }

    /// Appends a leaf by its hash; `mark` asks for its path.
    pub fn push_hash(&mut self, hash: Digest32, mark: bool) {
        if mark {
            self.marked.push(MarkedPath { index: self.size, path: Vec::new(), peak: self.peaks.len() });
        }
        let mut root = hash;
        let mut below = self.size;
        while below & 1 == 1 {
            let left = self.peaks.pop().expect("one peak for each set bit of the size");
            self.join(self.peaks.len(), &left, &root);
            root = node_hash(&left, &root);
            below >>= 1;
        }
        self.peaks.push(root);
        self.size += 1;
    }

    /// The peaks `at` and `at + 1` become one, at `at`.
    fn join(&mut self, at: usize, left: &Digest32, right: &Digest32) {
        for mark in &mut self.marked {
            if mark.peak == at {
                mark.path.push(*right);
            } else if mark.peak == at + 1 {
                mark.path.push(*left);
                mark.peak = at;
            }
        }
    }

    /// Ends the tree: its root and the paths of the marked leaves, in their order.
    pub fn finish(mut self) -> (Digest32, Vec<MarkedPath>) {
        let Some(mut root) = self.peaks.pop() else { return (Digest32::sha256(b""), Vec::new()) };
        while let Some(left) = self.peaks.pop() {
            self.join(self.peaks.len(), &left, &root);
            root = node_hash(&left, &root);
        }
        (root, self.marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::merkle;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn paths_are_those_of_the_definition(n in 0usize..90, marks in prop::collection::btree_set(0usize..90, 0..6)) {
            let leaves: Vec<Digest32> = (0..n).map(|i| merkle::leaf_hash(&[i as u8])).collect();
            let mut tree = PathTree::new();
            for (index, leaf) in leaves.iter().enumerate() {
                tree.push_hash(*leaf, marks.contains(&index));
            }
            let (root, found) = tree.finish();
            prop_assert_eq!(root, merkle::root_of(&leaves));
            let expected: Vec<usize> = marks.into_iter().filter(|mark| *mark < n).collect();
            prop_assert_eq!(found.iter().map(|path| path.index as usize).collect::<Vec<_>>(), expected);
            for path in found {
                prop_assert_eq!(Some(path.path.clone()), merkle::inclusion_proof(&leaves, path.index as usize));
                prop_assert!(merkle::verify_inclusion(&leaves[path.index as usize], path.index, n as u64, &path.path, &root));
            }
        }
    }
}
