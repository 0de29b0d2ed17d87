//! A version's bytes are a list of segments of stored contents, so that copies, snapshots, restores and multipart uploads move no bytes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A stretch of one stored content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// BLAKE3 of the whole content, in hex.
    pub blob: String,
    /// Where the stretch begins in it.
    pub offset: u64,
    /// Its length.
    pub length: u64,
}

/// Where the content `blob` lies when it is a file of the store in `dir`.
pub fn path_of(dir: &Path, blob: &str) -> PathBuf {
    // Two levels keep folders small: one of 256 entries, each with its share.
    dir.join("blobs").join(blob.get(..2).unwrap_or("xx")).join(blob)
}

/// The segments of the bytes `from..to` of a content made of `segments`.
pub fn slice(segments: &[Segment], from: u64, to: u64) -> Vec<Segment> {
    let mut at = 0;
    let mut out = Vec::new();
    for segment in segments {
        let (start, end) = (from.max(at), to.min(at + segment.length));
        if start < end {
            out.push(Segment { blob: segment.blob.clone(), offset: segment.offset + (start - at), length: end - start });
        }
        at += segment.length;
    }
    out
}
