//! Merkle trees of RFC 6962 §2.1 over SHA-256: a streaming root, inclusion and consistency proofs and their checks.
//!
//! Not here: where leaves are kept. Proofs are made from leaf hashes that the caller has at hand.

use sha2::{Digest as _, Sha256};

use crate::model::digest::Digest32;

/// `SHA256(0x00 ‖ leaf)`.
pub fn leaf_hash(leaf: &[u8]) -> Digest32 {
    Digest32(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
}

/// `SHA256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Digest32, right: &Digest32) -> Digest32 {
    Digest32(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Grows leaf by leaf and keeps only the roots of the complete subtrees: one hash for each bit of the size.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// Roots of complete subtrees, largest first; their sizes are the bits of `size`.
    peaks: Vec<Digest32>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf by its bytes and gives its hash.
    pub fn push(&mut self, leaf: &[u8]) -> Digest32 {
        let hash = leaf_hash(leaf);
        self.push_hash(hash);
        hash
    }

    /// Appends a leaf by its hash.
    pub fn push_hash(&mut self, hash: Digest32) {
        let mut root = hash;
        let mut below = self.size;
        while below & 1 == 1 {
            let left = self.peaks.pop().expect("one peak for each set bit of the size");
            root = node_hash(&left, &root);
            below >>= 1;
        }
        self.peaks.push(root);
        self.size += 1;
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle tree hash; of the empty tree, `SHA256("")`.
    pub fn root(&self) -> Digest32 {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Digest32::sha256(b""),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// The root over leaf hashes.
pub fn root_of(leaves: &[Digest32]) -> Digest32 {
    let mut tree = Tree::new();
    for leaf in leaves {
        tree.push_hash(*leaf);
    }
    tree.root()
}

/// The audit path of leaf `index` in the tree over `leaves`, nearest sibling first (RFC 6962 §2.1.1); nothing when there is no such leaf.
pub fn inclusion_proof(leaves: &[Digest32], index: usize) -> Option<Vec<Digest32>> {
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    let (mut range, mut index) = (leaves, index);
    while range.len() > 1 {
        let (left, right) = range.split_at(split(range.len()));
        if index < left.len() {
            path.push(root_of(right));
            range = left;
        } else {
            path.push(root_of(left));
            index -= left.len();
            range = right;
        }
    }
    path.reverse();
    Some(path)
}

/// True when `proof` shows that `leaf` (a leaf hash) is number `index` of the tree of `size` leaves with `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &Digest32, index: u64, size: u64, proof: &[Digest32], root: &Digest32) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The proof that the tree over the first `old` of `leaves` is a prefix of the tree over all of them (RFC 6962 §2.1.2); nothing when
/// `old` is 0 or larger than the tree.
pub fn consistency_proof(leaves: &[Digest32], old: usize) -> Option<Vec<Digest32>> {
    if old == 0 || old > leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut range, mut old, mut whole) = (leaves, old, true);
    while old < range.len() {
        let (left, right) = range.split_at(split(range.len()));
        if old <= left.len() {
            proof.push(root_of(right));
            range = left;
        } else {
            proof.push(root_of(left));
            old -= left.len();
            range = right;
            whole = false;
        }
    }
    // The old root itself is known to whoever checks; only a subtree of it must be told.
    if !whole {
        proof.push(root_of(range));
    }
    proof.reverse();
    Some(proof)
}

/// True when `proof` shows that the tree of `old_size` with `old_root` is a prefix of that of `new_size` with `new_root` (RFC 9162 §2.1.4.2).
pub fn verify_consistency(old_size: u64, old_root: &Digest32, new_size: u64, new_root: &Digest32, proof: &[Digest32]) -> bool {
    if old_size == 0 || old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// The largest power of two below `n`, for `n` > 1.
fn split(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    /// RFC 6962 §2.1 word for word.
    fn naive_root(leaves: &[Vec<u8>]) -> Digest32 {
        match leaves {
            [] => Digest32::sha256(b""),
            [leaf] => leaf_hash(leaf),
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    fn reference(leaves: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        for leaf in leaves {
            tree.push(leaf.clone());
        }
        tree
    }

    fn hashes(leaves: &[Vec<u8>]) -> Vec<Digest32> {
        leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    #[test]
    fn roots_of_the_published_example_leaves() {
        // The eight leaves and roots that the Certificate Transparency reference code tests with.
        let leaves: Vec<Vec<u8>> = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
            .iter()
            .map(|text| hex::decode(text).unwrap())
            .collect();
        let root = |n: usize| root_of(&hashes(&leaves[..n])).hex();
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(2), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
        assert_eq!(Tree::new().root().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    proptest! {
        #[test]
        fn roots_and_proofs_agree_with_ct_merkle_and_with_the_definition(
            leaves in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 1..70), pick in any::<u32>(), cut in any::<u32>(),
        ) {
            let all = hashes(&leaves);
            let root = root_of(&all);
            let model = reference(&leaves);
            let model_root = model.root();
            prop_assert_eq!(root, naive_root(&leaves));
            prop_assert_eq!(root.0.as_slice(), model_root.as_bytes().as_slice());

            let index = pick as usize % leaves.len();
            let proof = inclusion_proof(&all, index).unwrap();
            let flat: Vec<u8> = proof.iter().flat_map(|hash| hash.0).collect();
            let model_proof = model.prove_inclusion(index);
            prop_assert_eq!(flat.as_slice(), model_proof.as_bytes());
            let size = leaves.len() as u64;
            prop_assert!(verify_inclusion(&all[index], index as u64, size, &proof, &root));
            prop_assert!(!verify_inclusion(&all[index], index as u64 + 1, size, &proof, &root) || all[index] == all[(index + 1) % all.len()]);

            let old = cut as usize % leaves.len() + 1;
            let proof = consistency_proof(&all, old).unwrap();
            let flat: Vec<u8> = proof.iter().flat_map(|hash| hash.0).collect();
            let model_proof = model.prove_consistency(leaves.len() - old);
            prop_assert_eq!(flat.as_slice(), model_proof.as_bytes());
            let old_root = root_of(&all[..old]);
            prop_assert!(verify_consistency(old as u64, &old_root, size, &root, &proof));
            let other = Digest32::sha256(b"another history");
            prop_assert!(!verify_consistency(old as u64, &other, size, &root, &proof));
            prop_assert!(!verify_consistency(old as u64, &old_root, size, &other, &proof));
        }

        #[test]
        fn proofs_with_anything_changed_do_not_hold(n in 2usize..40, pick in any::<usize>(), flip in any::<usize>()) {
            let all: Vec<Digest32> = (0..n).map(|i| leaf_hash(&[i as u8])).collect();
            let (root, index) = (root_of(&all), pick % n);
            let mut proof = inclusion_proof(&all, index).unwrap();
            let at = flip % proof.len();
            proof[at].0[0] ^= 1;
            prop_assert!(!verify_inclusion(&all[index], index as u64, n as u64, &proof, &root));
            proof[at].0[0] ^= 1;
            proof.push(root);
            prop_assert!(!verify_inclusion(&all[index], index as u64, n as u64, &proof, &root));
        }

        #[test]
        fn checks_never_panic(old in any::<u64>(), new in any::<u64>(), length in 0usize..70) {
            let hash = Digest32::sha256(b"x");
            let proof = vec![hash; length];
            let _ = verify_consistency(old, &hash, new, &hash, &proof);
            let _ = verify_inclusion(&hash, old, new, &proof, &hash);
        }
    }
}
