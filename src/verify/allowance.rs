//! How many bytes of records may be held in memory: a number that may grow while rows arrive, since another gives room back.
//!
//! Not here: what is done with records beyond it (`sorter`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes. Clones are of the same one.
#[derive(Clone, Debug)]
pub struct Allowance {
    bytes: Arc<AtomicUsize>,
    /// How many share it, each the same part.
    shared_by: usize,
}

impl Allowance {
    /// Of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self { bytes: Arc::new(AtomicUsize::new(bytes)), shared_by: 1 }
    }

    /// The half of it for each of two.
    #[must_use]
    pub fn halved(&self) -> Self {
        Self { bytes: self.bytes.clone(), shared_by: self.shared_by * 2 }
    }

    /// Bytes as of now.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) / self.shared_by
    }

    /// It is `bytes` from now on, for all clones and halves.
    pub fn set(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_for_all_who_have_a_part_of_it() {
        let whole = Allowance::new(100);
        let half = whole.halved();
        assert_eq!((whole.bytes(), half.bytes(), half.halved().bytes()), (100, 50, 25));
        whole.clone().set(300);
        assert_eq!((whole.bytes(), half.bytes()), (300, 150));
    }
}
