//! The room that is left on a disk. What is unpacked or loaded is foreign, and may be of any size: it ends before the disk is full, so
//! that whoever else works there goes on.

use std::path::Path;
use std::time::Duration;

use crate::model::failure::{Failure, FailureKind};

/// What is left to others at the most, in bytes; of a small disk a twentieth.
const RESERVE: u64 = 1 << 30;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Fails where less than the reserve is left on the disk of `path`.
///
/// # Errors
/// [`FailureKind::Disk`], with `what` in the message.
pub fn left_for(what: &str, path: &Path) -> Result<(), Failure> {
    let Ok(disk) = rustix::fs::statvfs(path) else { return Ok(()) };
    let (left, reserve) = (disk.f_bavail.saturating_mul(disk.f_frsize), reserve(disk.f_blocks.saturating_mul(disk.f_frsize)));
    if left >= reserve {
        return Ok(());
    }
    let mib = |bytes: u64| bytes >> 20;
    let message = format!("{what}: {} MiB are left at {}, and {} MiB of them are kept free", mib(left), path.display(), mib(reserve));
    Err(Failure::new(FailureKind::Disk, message).hint("make room there, or name a larger disk as the drill's working directory"))
}

/// What is left to others of a disk of `size` bytes.
fn reserve(size: u64) -> u64 {
    (size / 20).min(RESERVE)
}

/// `work`, given up once less than the reserve is left on the disk of `path`.
pub async fn watched<T, E: From<Failure>>(work: impl Future<Output = Result<T, E>>, what: &str, path: &Path) -> Result<T, E> {
    until(work, || left_for(what, path)).await
}

async fn until<T, E: From<Failure>>(work: impl Future<Output = Result<T, E>>, look: impl Fn() -> Result<(), Failure>) -> Result<T, E> {
    let short = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(failure) = look() {
                return failure;
            }
        }
    };
    tokio::select! {
        ended = work => ended,
        failure = short => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_disks_keep_a_twentieth_and_large_ones_a_gibibyte() {
        assert_eq!([reserve(200 << 20), reserve(1 << 50)], [10 << 20, RESERVE]);
    }

    #[tokio::test]
    async fn work_ends_by_itself_or_for_want_of_room() {
        let done: Result<u8, Failure> = watched(async { Ok(1) }, "x", Path::new("/proc")).await;
        assert_eq!(done.unwrap(), 1);
        let endless = std::future::pending::<Result<u8, Failure>>();
        let short = until(endless, || Err(Failure::new(FailureKind::Disk, "short"))).await.unwrap_err();
        assert_eq!((short.kind, short.message.as_str()), (FailureKind::Disk, "short"));
    }
}
