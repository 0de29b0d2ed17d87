//! The checksums that S3 keeps of an object: computed over the bytes that arrive, and held against what S3 says.
//!
//! They are extra evidence beside our own digests: a CRC finds what happens by accident, and nothing that is done on purpose. Only
//! full-object checksums can be held to bytes alone; a composite one needs the sizes of the parts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;

use crate::model::digest::Digest32;

/// S3's word for a checksum over the whole object.
const FULL_OBJECT: &str = "FULL_OBJECT";

/// A checksum as S3 states it.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// `CRC64NVME`, `SHA256`, …
    pub algorithm: &'a str,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub kind: &'a str,
    /// In base64.
    pub value: &'a str,
}

/// A CRC that can be computed here, by S3's name of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// CRC-64/NVME, which S3 computes of every new object.
    Crc64Nvme,
    /// CRC-32/ISO-HDLC.
    Crc32,
    /// CRC-32/ISCSI.
    Crc32c,
}

impl Algorithm {
    /// The algorithm of a checksum that bytes can be held to by a CRC; nothing for others and for composite ones.
    pub fn of(stated: Stated<'_>) -> Option<Self> {
        if stated.kind != FULL_OBJECT {
            return None;
        }
        Self::named(stated.algorithm)
    }

    /// S3's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
        }
    }

    /// The one that S3 calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Crc64Nvme, Self::Crc32, Self::Crc32c].into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn params(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
        }
    }

    /// As S3 spells the value: base64 of the bytes, highest first.
    fn spell(self, value: u64) -> String {
        match self {
            Self::Crc64Nvme => STANDARD.encode(value.to_be_bytes()),
            Self::Crc32 | Self::Crc32c => STANDARD.encode(&value.to_be_bytes()[4..]),
        }
    }
}

/// A CRC being computed.
#[derive(Clone, Debug)]
pub struct Running {
    algorithm: Algorithm,
    state: crc_fast::Digest,
}

impl Running {
    /// Nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, state: crc_fast::Digest::new(algorithm.params()) }
    }

    /// Takes `bytes` after everything before.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// The value.
    pub fn finish(self) -> Crc {
        Crc { algorithm: self.algorithm, value: self.state.finalize() }
    }
}

/// A CRC of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crc {
    /// Which.
    pub algorithm: Algorithm,
    /// Its value; 32-bit ones in the low half.
    pub value: u64,
}

impl Crc {
    /// The CRC of these bytes followed by `length` bytes with the CRC `next`.
    #[must_use]
    pub fn then(self, next: Self, length: u64) -> Self {
        let value = crc_fast::checksum_combine(self.algorithm.params(), self.value, next.value, length);
        Self { value, ..self }
    }
}

/// What S3's own checksum says of bytes that were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// It is these bytes' checksum.
    Agrees,
    /// It is another one; `read` is what the bytes have, in S3's spelling.
    Disagrees {
        /// The checksum of the bytes that arrived.
        read: String,
    },
    /// There is none, or none that bytes alone can be held to.
    Nothing,
}

/// Holds `stated` against what was computed in the same pass.
pub fn hold(stated: Stated<'_>, crc: Option<Crc>, sha256: Option<Digest32>) -> Said {
    if stated.kind != FULL_OBJECT {
        return Said::Nothing;
    }
    let read = match (Algorithm::of(stated), crc, sha256) {
        (Some(algorithm), Some(crc), _) if crc.algorithm == algorithm => algorithm.spell(crc.value),
        (None, _, Some(digest)) if stated.algorithm == "SHA256" => STANDARD.encode(digest.0),
        _ => return Said::Nothing,
    };
    if read == stated.value { Said::Agrees } else { Said::Disagrees { read } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated<'a>(algorithm: &'a str, kind: &'a str, value: &'a str) -> Stated<'a> {
        Stated { algorithm, kind, value }
    }

    fn said(stated: Stated<'_>, bytes: &[u8]) -> Said {
        let crc = Algorithm::of(stated).map(|algorithm| crc_of(algorithm, bytes));
        hold(stated, crc, Some(Digest32::sha256(bytes)))
    }

    fn crc_of(algorithm: Algorithm, bytes: &[u8]) -> Crc {
        let mut running = Running::new(algorithm);
        running.update(bytes);
        running.finish()
    }

    #[test]
    fn the_published_check_values_hold_and_others_do_not() {
        // The catalogue of parametrised CRC algorithms gives cbf43926, e3069283 and ae8b14860a799888 for "123456789".
        for (algorithm, value) in [("CRC32", "y/Q5Jg=="), ("CRC32C", "4waSgw=="), ("CRC64NVME", "rosUhgp5mIg=")] {
            assert_eq!(said(stated(algorithm, "FULL_OBJECT", value), b"123456789"), Said::Agrees, "{algorithm}");
            assert!(matches!(said(stated(algorithm, "FULL_OBJECT", value), b"123456780"), Said::Disagrees { .. }), "{algorithm}");
            assert_eq!(said(stated(algorithm, "COMPOSITE", value), b"123456780"), Said::Nothing);
        }
        let digest = STANDARD.encode(Digest32::sha256(b"abc").0);
        assert_eq!(said(stated("SHA256", "FULL_OBJECT", &digest), b"abc"), Said::Agrees);
        assert!(matches!(said(stated("SHA256", "FULL_OBJECT", &digest), b"abd"), Said::Disagrees { .. }));
        assert_eq!(said(stated("SHA1", "FULL_OBJECT", "x"), b"abc"), Said::Nothing);
    }

    #[test]
    fn ranges_put_together_have_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..5000u32).map(|n| (n * 31) as u8).collect();
        for algorithm in [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c] {
            let (a, b) = bytes.split_at(1234);
            assert_eq!(crc_of(algorithm, a).then(crc_of(algorithm, b), b.len() as u64), crc_of(algorithm, &bytes));
        }
    }
}
