//! The room that is left on a disk. What is unpacked or loaded is foreign, and may be of any size: it ends before the disk is full, so
//! that whoever else works there goes on.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::model::failure::{Failure, FailureKind};

/// What is left to others at the most, in bytes; of a small disk a twentieth.
const RESERVE: u64 = 1 << 30;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The disk is looked at after so many bytes of a copy.
const LOOK_AFTER: u64 = 8 << 20;

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

/// What a file takes beside its bytes, at least.
const OF_A_FILE: u64 = 4096;

/// How much was copied since the disk was looked at, over all files of a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlooked(u64);

/// Copies a file, as large as it may be or say that it is: given up where the disk runs short, and where somebody has taken the copy away.
/// Gives its bytes.
///
/// # Errors
/// [`FailureKind::Disk`] and those of both files; [`FailureKind::Interrupted`] where the copy is gone. `go_on` is asked for each piece.
pub fn copy_file(
    from: &Path,
    to: &Path,
    (buffer, unlooked): (&mut [u8], &mut Unlooked),
    go_on: impl Fn() -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let failed = |error| Failure::io(format!("cannot copy {}", from.display()), error);
    let (mut source, mut target) = (File::open(from).map_err(failed)?, File::create_new(to).map_err(failed)?);
    let mut total = 0;
    unlooked.0 += OF_A_FILE;
    loop {
        go_on()?;
        let read = source.read(buffer).map_err(failed)?;
        if read == 0 {
            return Ok(total);
        }
        target.write_all(&buffer[..read]).map_err(failed)?;
        total += read as u64;
        unlooked.0 += read as u64;
        if unlooked.0 >= LOOK_AFTER {
            unlooked.0 = 0;
            if !to.exists() {
                return Err(Failure::new(FailureKind::Interrupted, format!("{}: stopped while it was copied", from.display())));
            }
            left_for(&format!("{}: copying it", from.display()), to)?;
        }
    }
}

/// What is left to others of a disk of `size` bytes.
fn reserve(size: u64) -> u64 {
    (size / 20).min(RESERVE)
}

/// `work`, given up once a look finds that something runs short.
pub async fn watched<T, E: From<Failure>>(
    work: impl Future<Output = Result<T, E>>,
    look: impl Fn() -> Result<(), Failure>,
) -> Result<T, E> {
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

    #[test]
    fn a_copy_that_was_taken_away_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        // Of any size, and takes no room.
        File::create(&from).unwrap().set_len(1 << 50).unwrap();
        let taken_away = || {
            let _ = std::fs::remove_file(&to);
            Ok(())
        };
        let failure = copy_file(&from, &to, (&mut vec![0; 1 << 20], &mut Unlooked::default()), taken_away).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Interrupted, "{failure}");
        std::fs::write(&from, "all of it").unwrap();
        let mut unlooked = Unlooked::default();
        assert_eq!(copy_file(&from, &to, (&mut [0; 4], &mut unlooked), || Ok(())).unwrap(), 9);
        assert_eq!(unlooked.0, 9 + OF_A_FILE, "small files count together");
        assert_eq!(std::fs::read(&to).unwrap(), b"all of it");
    }

    #[tokio::test]
    async fn work_ends_by_itself_or_for_want_of_room() {
        let done: Result<u8, Failure> = watched(async { Ok(1) }, || left_for("x", Path::new("/proc"))).await;
        assert_eq!(done.unwrap(), 1);
        let endless = std::future::pending::<Result<u8, Failure>>();
        let short = watched(endless, || Err(Failure::new(FailureKind::Disk, "short"))).await.unwrap_err();
        assert_eq!((short.kind, short.message.as_str()), (FailureKind::Disk, "short"));
    }
}
