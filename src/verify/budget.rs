//! The byte budget: a read waits for its share before it begins and gives it back once its bytes are hashed, so that memory stays
//! flat whatever the sizes of objects are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The default budget in bytes (`contracts.md` of the design, Memory).
pub const DEFAULT_BYTES: u64 = 128 << 20;

/// A number of bytes shared by all reads. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    total: u32,
}

/// A share of the budget; dropped, it is given back.
#[derive(Debug)]
pub struct Share {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `bytes`, at least one and at most 4 GiB.
    pub fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for `bytes`; more than the whole budget waits for all of it. Shares are given in the order of asking.
    pub async fn acquire(&self, bytes: u64) -> Share {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.total);
        let permit = self.semaphore.clone().acquire_many_owned(wanted).await;
        Share { _permit: permit.expect("the semaphore is never closed") }
    }

    /// Takes `bytes` where they are free now and nobody waits for them.
    pub fn try_acquire(&self, bytes: u64) -> Option<Share> {
        let wanted = u32::try_from(bytes).ok().filter(|bytes| (1..=self.total).contains(bytes))?;
        self.semaphore.clone().try_acquire_many_owned(wanted).ok().map(|permit| Share { _permit: permit })
    }

    /// Bytes that nobody holds.
    pub fn available(&self) -> u64 {
        self.semaphore.available_permits() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_come_back_and_a_giant_waits_for_everything() {
        let budget = Budget::new(100);
        let small = budget.acquire(60).await;
        assert_eq!(budget.available(), 40);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { drop(budget.acquire(u64::MAX).await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(small);
        waiting.await.unwrap();
        assert_eq!(budget.available(), 100);
        let share = budget.try_acquire(100).unwrap();
        assert!(budget.try_acquire(1).is_none() && budget.try_acquire(101).is_none());
        drop(share);
    }
}
