//! The state of a scan on disk, so that a long one goes on after a crash: the digests of every page that was read, and where each segment
//! stands. No clear text but the positions: keys of the last items read.
//!
//! A directory: `scan.json` says what is being read; `segment-NNNN` is a log of pages, each `u32 length, body, 16 bytes of BLAKE3`. A kill may
//! leave half a page at the end, which is cut off; damage anywhere else is told. Removed when the scan is complete.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::digest::{ItemDigest, Unreadable};
use crate::verify::items::page::Next;
use crate::verify::items::segments::From;

const VERSION: u32 = 2;
/// Bytes of a digest: both hashes, and the end of its time to live.
const DIGEST_BYTES: usize = 72;
/// Stands for an item without an end.
const ENDLESS: i64 = i64::MIN;
/// A page is at most 1 MB of items, and so far less than this.
const LONGEST_BODY: u32 = 64 << 20;

/// What is being read; only the same may be gone on with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subject {
    /// The source URL.
    pub url: String,
    /// What tells the table from another of its name.
    pub identity: String,
    /// Its primary key.
    pub key: Vec<String>,
    /// The canonical encoding.
    pub encoding: String,
    /// The hash key.
    pub hash_key_id: String,
    /// The attributes that are read, where not all are.
    pub projection: Option<Vec<String>>,
    /// The attribute that says when an item ends, where that is recorded.
    pub time_to_live: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    segments: u32,
    began_at: Timestamp,
    subject: Subject,
}

/// What one page left.
#[derive(Serialize, Deserialize)]
struct Tail {
    next: Option<String>,
    ended: bool,
    bytes: u64,
    /// Key hash in hex, name, message.
    unreadable: Vec<(Option<String>, String, String)>,
}

/// What an earlier scan left, page by page.
pub struct Kept {
    /// The digests of the items.
    pub digests: Vec<ItemDigest>,
    /// Items without canonical form.
    pub unreadable: Vec<Unreadable>,
    /// Bytes of encodings.
    pub bytes: u64,
}

/// The open state.
pub struct ScanState {
    dir: PathBuf,
    segments: Vec<File>,
    /// When the first of the scans began.
    pub began_at: Timestamp,
}

impl ScanState {
    /// Opens the state in `dir`, or begins one with `segments` segments; `page` is called with every page that is known already.
    pub fn open(
        dir: &Path,
        subject: &Subject,
        segments: u32,
        page: &mut dyn FnMut(Kept) -> Result<(), Failure>,
    ) -> Result<(Self, Vec<From>), Failure> {
        let about = |error| Failure::io(format!("the state of a scan in {}", dir.display()), error);
        std::fs::create_dir_all(dir).map_err(about)?;
        let path = dir.join("scan.json");
        let header = match std::fs::read(&path) {
            Ok(bytes) => {
                let header: Header = serde_json::from_slice(&bytes).map_err(|error| damaged(dir, &error.to_string()))?;
                if header.version != VERSION || header.subject != *subject {
                    let message =
                        format!("{}: expected the state of a scan of {}, found that of {}", dir.display(), subject.url, header.subject.url);
                    return Err(Failure::invalid(message)
                        .hint("a state is of one table, one hash key, one projection: name another directory, or remove this one"));
                }
                header
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let header = Header { version: VERSION, segments: segments.max(1), began_at: Timestamp::now(), subject: subject.clone() };
                let bytes = serde_json::to_vec(&header).map_err(|error| Failure::invalid(error.to_string()))?;
                let part = dir.join("scan.json.part");
                std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path)).map_err(about)?;
                header
            }
            Err(error) => return Err(about(error)),
        };
        let (mut files, mut from) = (Vec::new(), Vec::new());
        for segment in 0..header.segments {
            let path = dir.join(format!("segment-{segment:04}"));
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(about)?;
            from.push(replay(&mut file, dir, page)?);
            files.push(file);
        }
        Ok((Self { dir: dir.to_owned(), segments: files, began_at: header.began_at }, from))
    }

    /// Keeps a page.
    pub fn keep(
        &mut self,
        segment: u32,
        digests: &[ItemDigest],
        bytes: u64,
        unreadable: &[Unreadable],
        next: &Next,
    ) -> Result<(), Failure> {
        let tail = Tail {
            next: if let Next::After(position) = next { Some(position.clone()) } else { None },
            ended: *next == Next::End,
            bytes,
            unreadable: unreadable
                .iter()
                .map(|one| (one.key_hash.map(hex::encode), one.name.clone(), one.failure.message.clone()))
                .collect(),
        };
        let tail = serde_json::to_vec(&tail).map_err(|error| Failure::invalid(error.to_string()))?;
        let mut body = Vec::with_capacity(4 + digests.len() * DIGEST_BYTES + tail.len());
        body.extend_from_slice(&u32::try_from(digests.len()).unwrap_or(u32::MAX).to_be_bytes());
        for digest in digests {
            body.extend_from_slice(&digest.key_hash);
            body.extend_from_slice(&digest.row_digest);
            body.extend_from_slice(&digest.expires_s.unwrap_or(ENDLESS).to_be_bytes());
        }
        body.extend_from_slice(&tail);
        let mut frame = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        frame.extend_from_slice(&blake3::hash(&body).as_bytes()[..16]);
        let file = self.segments.get_mut(segment as usize).ok_or_else(|| Failure::invalid(format!("there is no segment {segment}")))?;
        file.write_all(&frame).map_err(|error| Failure::io(format!("the state of a scan in {}", self.dir.display()), error))
    }

    /// The scan is complete: the state is not needed any more.
    pub fn remove(self) -> Result<(), Failure> {
        let about = |error| Failure::io(format!("remove the state of a scan in {}", self.dir.display()), error);
        // Only what is ours: the directory may be somebody's.
        for segment in 0..self.segments.len() {
            std::fs::remove_file(self.dir.join(format!("segment-{segment:04}"))).map_err(about)?;
        }
        std::fs::remove_file(self.dir.join("scan.json")).map_err(about)?;
        let _ = std::fs::remove_dir(&self.dir);
        Ok(())
    }
}

fn damaged(dir: &Path, said: &str) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("the state of a scan in {} is damaged: {said}", dir.display()))
        .hint("remove the directory and scan from the beginning")
}

/// Reads the pages of a segment up to the last one that a scan can begin again after; what follows it is cut off, a torn page too. (A data file of an
/// export is many pages and begins anew as a whole.)
fn replay(file: &mut File, dir: &Path, page: &mut dyn FnMut(Kept) -> Result<(), Failure>) -> Result<From, Failure> {
    let about = |error| Failure::io(format!("the state of a scan in {}", dir.display()), error);
    let length = file.metadata().map_err(about)?.len();
    let (mut good, mut from) = (0u64, From::Start);
    walk(file, length, dir, &mut |_, tail, end| {
        let next = match tail.next {
            Some(position) => From::After(position),
            None if tail.ended => From::Read,
            None => return Ok(()),
        };
        (good, from) = (end, next);
        Ok(())
    })?;
    file.seek(SeekFrom::Start(0)).map_err(about)?;
    walk(file, good, dir, &mut |kept, _, _| page(kept))?;
    file.set_len(good).and_then(|()| file.seek(SeekFrom::Start(good))).map_err(about)?;
    Ok(from)
}

/// What is done with a page, its tail, and where it ends in the file.
type Each<'a> = &'a mut dyn FnMut(Kept, Tail, u64) -> Result<(), Failure>;

/// Every whole page of the first `length` bytes.
fn walk(file: &File, length: u64, dir: &Path, each: Each<'_>) -> Result<(), Failure> {
    let about = |error| Failure::io(format!("the state of a scan in {}", dir.display()), error);
    let mut reader = BufReader::new(file);
    let mut at = 0u64;
    loop {
        let mut head = [0; 4];
        if length - at < 4 {
            return Ok(());
        }
        reader.read_exact(&mut head).map_err(about)?;
        let size = u32::from_be_bytes(head);
        if size > LONGEST_BODY {
            return Err(damaged(dir, &format!("a page of {size} bytes")));
        }
        if length - at < 4 + u64::from(size) + 16 {
            return Ok(());
        }
        let mut body = vec![0; size as usize];
        let mut check = [0; 16];
        reader.read_exact(&mut body).and_then(|()| reader.read_exact(&mut check)).map_err(about)?;
        if blake3::hash(&body).as_bytes()[..16] != check {
            return Err(damaged(dir, "a page does not have its digest"));
        }
        at += 4 + u64::from(size) + 16;
        let (kept, tail) = unpack(&body).ok_or_else(|| damaged(dir, "a page cannot be read"))?;
        each(kept, tail, at)?;
    }
}

fn unpack(body: &[u8]) -> Option<(Kept, Tail)> {
    let count = u32::from_be_bytes(body.get(..4)?.try_into().ok()?) as usize;
    let end = 4 + count.checked_mul(DIGEST_BYTES)?;
    let digests = body
        .get(4..end)?
        .chunks_exact(DIGEST_BYTES)
        .map(|one| {
            let expires_s = Some(i64::from_be_bytes(one[64..].try_into().ok()?)).filter(|end| *end != ENDLESS);
            Some(ItemDigest { key_hash: one[..32].try_into().ok()?, row_digest: one[32..64].try_into().ok()?, expires_s })
        })
        .collect::<Option<Vec<_>>>()?;
    let tail: Tail = serde_json::from_slice(&body[end..]).ok()?;
    let unreadable = tail
        .unreadable
        .iter()
        .map(|(hash, name, message)| {
            let key_hash = match hash {
                Some(text) => Some(hex::decode(text).ok()?.try_into().ok()?),
                None => None,
            };
            Some(Unreadable { key_hash, name: name.clone(), failure: Failure::new(FailureKind::Remote, message.clone()) })
        })
        .collect::<Option<Vec<_>>>()?;
    Some((Kept { digests, unreadable, bytes: tail.bytes }, tail))
}
