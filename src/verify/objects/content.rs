//! What was read of one entry: its digests, and what S3's own checksum says of the bytes that arrived.

use crate::model::clock::Timestamp;
use crate::verify::checksum::{self, Crc, Said, Stated};
use crate::verify::hashing::Digests;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::source::{S3Checksum, Told};

/// What was read of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// The digests and the length.
    pub digests: Digests,
    /// The checksum that the source keeps.
    pub checksum: Option<S3Checksum>,
    /// What that checksum says of the bytes.
    pub said: Said,
    /// What the source says beside the bytes.
    pub evidence: Option<Box<Evidence>>,
    /// When an earlier run read it, where this one did not.
    pub recalled: Option<Timestamp>,
}

impl Content {
    /// Just read; holds the checksum that the source told against the bytes' own.
    pub fn new(digests: Digests, Told { checksum, evidence }: Told, crc: Option<Crc>) -> Self {
        let said = checksum.as_ref().map_or(Said::Nothing, |checksum| checksum::hold(stated(checksum), crc, digests.sha256));
        Self { digests, checksum, said, evidence, recalled: None }
    }

    /// Bytes that this run read for it.
    pub fn bytes_read(&self) -> u64 {
        if self.recalled.is_some() { 0 } else { self.digests.bytes }
    }
}

/// The checksum for the room that computes them.
pub fn stated(checksum: &S3Checksum) -> Stated<'_> {
    Stated { algorithm: &checksum.algorithm, kind: &checksum.kind, value: &checksum.value }
}
