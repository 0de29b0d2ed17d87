//! A file that is digested while it is written. Once it is more than a block, a thread of its own does both, so that whoever encodes what
//! goes into it goes on in the meantime.
//!
//! Not here: what is written.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};

use crate::model::digest::Digest32;

/// Bytes that are digested and written at a time.
const BLOCK: usize = 1 << 20;
/// Blocks that wait to be written at most.
const AHEAD: usize = 3;

/// The file; see the file's header.
pub struct HashingFile {
    block: Vec<u8>,
    /// Absent while nothing but `block` has been written.
    writer: Option<Writer>,
    /// Absent once the writer has it.
    file: Option<File>,
}

struct Writer {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<io::Result<(File, Sha256)>>,
}

impl Writer {
    fn start(mut file: File) -> io::Result<Self> {
        let (full, blocks) = sync_channel::<Vec<u8>>(AHEAD);
        let (back, empty) = channel();
        let work = move || {
            let (mut digest, mut written) = (Sha256::new(), 0);
            for mut block in blocks {
                digest.update(&block);
                file.write_all(&block)?;
                set_out(&file, written, block.len() as u64);
                written += block.len() as u64;
                block.clear();
                // Nobody needs it any more at the end.
                let _ = back.send(block);
            }
            Ok((file, digest))
        };
        let thread = std::thread::Builder::new().name("part writer".to_owned()).spawn(work)?;
        Ok(Self { full, empty, thread })
    }

    fn finish(self) -> io::Result<(File, Sha256)> {
        drop(self.full);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Lets the kernel begin to bring these bytes of a file to disk, so that little is left to wait for at the end; nobody reads them soon
/// (posix_fadvise(2), POSIX_FADV_DONTNEED).
fn set_out(file: &File, from: u64, bytes: u64) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, from, std::num::NonZeroU64::new(bytes), rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, from, bytes);
}

impl HashingFile {
    /// Over a file that is empty.
    pub fn new(file: File) -> Self {
        Self { block: Vec::new(), writer: None, file: Some(file) }
    }

    /// Hands the block to the writer.
    fn hand_on(&mut self) -> io::Result<()> {
        let writer = match (&mut self.writer, self.file.take()) {
            (Some(writer), _) => writer,
            (none, Some(file)) => none.insert(Writer::start(file)?),
            (None, None) => return Err(io::Error::other("the file was given up after an error")),
        };
        let room = writer.empty.try_recv().unwrap_or_default();
        if writer.full.send(std::mem::replace(&mut self.block, room)).is_ok() {
            return Ok(());
        }
        // It has ended, which it does only with an error.
        let ended = self.writer.take().map(Writer::finish);
        Err(ended.and_then(Result::err).unwrap_or_else(|| io::Error::other("the writer of the file has ended")))
    }

    /// Writes what is left, forces everything to disk, and gives the digest of all.
    pub fn finish(mut self) -> io::Result<Digest32> {
        let (mut file, mut digest) = match (self.writer.take(), self.file.take()) {
            (Some(writer), _) => writer.finish()?,
            (None, Some(file)) => (file, Sha256::new()),
            (None, None) => return Err(io::Error::other("the file was given up after an error")),
        };
        digest.update(&self.block);
        file.write_all(&self.block)?;
        file.sync_all()?;
        Ok(Digest32(digest.finalize().into()))
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() >= BLOCK {
            self.hand_on()?;
        }
        let fits = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    /// What is held back is written at the end: nobody reads the file before.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_and_digested_whatever_its_size() {
        let dir = tempfile::tempdir().unwrap();
        for (size, piece) in [(0, 1), (5, 2), (BLOCK, 8 << 10), (BLOCK + 1, BLOCK), (9 * BLOCK + 77, 50_001), (4 * BLOCK, 4 * BLOCK)] {
            let path = dir.path().join("file");
            let bytes: Vec<u8> = (0..size).map(|at| (at * 7 + at / 251) as u8).collect();
            let mut file = HashingFile::new(File::create(&path).unwrap());
            bytes.chunks(piece).for_each(|piece| file.write_all(piece).unwrap());
            assert_eq!(file.finish().unwrap(), Digest32::sha256(&bytes), "{size} bytes");
            assert!(std::fs::read(&path).unwrap() == bytes, "{size} bytes");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_says_so_sooner_or_later() {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let mut little = HashingFile::new(full());
        little.write_all(b"little").unwrap();
        assert_eq!(little.finish().unwrap_err().raw_os_error(), Some(28));
        let (mut much, block) = (HashingFile::new(full()), vec![1; BLOCK]);
        let error = (0..20).find_map(|_| much.write_all(&block).err()).expect("the writer has ended");
        assert_eq!(error.raw_os_error(), Some(28));
        assert!(much.write_all(&block).and_then(|()| much.write_all(b"more")).is_err() && much.finish().is_err(), "and stays so");
    }
}
