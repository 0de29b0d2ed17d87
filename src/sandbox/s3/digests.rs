//! The digests of a body on its way in: MD5 for the ETag, S3's additional checksums, and the content address.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};

/// The algorithms in S3's spelling.
pub const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// The algorithm that S3 uses where the client named none.
pub const DEFAULT_ALGORITHM: &str = "CRC64NVME";

/// Digests being taken.
pub struct Digests {
    md5: Md5,
    checksum: ChecksumHasher,
    address: blake3::Hasher,
    algorithm: String,
    size: u64,
}

/// Digests of a whole body.
#[derive(Clone, Debug)]
pub struct Digested {
    /// MD5.
    pub md5: [u8; 16],
    /// The checksum of the algorithm asked for, in base64.
    pub checksum: String,
    /// BLAKE3.
    pub address: [u8; 32],
    /// Bytes.
    pub size: u64,
}

impl Digests {
    /// MD5, content address and the checksum `algorithm`, one of [`ALGORITHMS`].
    pub fn new(algorithm: &str) -> Self {
        let mut checksum = ChecksumHasher::default();
        match algorithm {
            "CRC32" => checksum.crc32 = Some(Default::default()),
            "CRC32C" => checksum.crc32c = Some(Default::default()),
            "SHA1" => checksum.sha1 = Some(Default::default()),
            "SHA256" => checksum.sha256 = Some(Default::default()),
            _ => checksum.crc64nvme = Some(Default::default()),
        }
        Self { md5: Md5::new(), checksum, address: blake3::Hasher::new(), algorithm: algorithm.to_owned(), size: 0 }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksum.update(bytes);
        self.address.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The end.
    pub fn finish(self) -> Digested {
        let sums = self.checksum.finalize();
        let checksum = match self.algorithm.as_str() {
            "CRC32" => sums.checksum_crc32,
            "CRC32C" => sums.checksum_crc32c,
            "SHA1" => sums.checksum_sha1,
            "SHA256" => sums.checksum_sha256,
            _ => sums.checksum_crc64nvme,
        };
        Digested {
            md5: self.md5.finalize(),
            checksum: checksum.unwrap_or_default(),
            address: *self.address.finalize().as_bytes(),
            size: self.size,
        }
    }
}

/// The ETag of a multipart upload: MD5 over the parts' MD5s, then `-N`.
pub fn multipart_etag<'a>(part_etags: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut md5 = Md5::new();
    let mut count = 0;
    for etag in part_etags {
        md5.update(&hex::decode(etag).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", hex::encode(md5.finalize())))
}

/// The composite checksum of a multipart upload: the algorithm over the parts' raw checksums, then `-N`.
pub fn composite<'a>(algorithm: &str, part_checksums: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut digests = Digests::new(algorithm);
    let mut count = 0;
    for checksum in part_checksums {
        digests.update(&STANDARD.decode(checksum).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", digests.finish().checksum))
}

/// Bytes of a base64 text.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_published_check_values() {
        // The catalogue of parametrised CRC algorithms gives these for "123456789".
        let of = |algorithm: &str| {
            let mut digests = Digests::new(algorithm);
            digests.update(b"123456789");
            hex::encode(from_base64(&digests.finish().checksum).unwrap())
        };
        assert_eq!(of("CRC32"), "cbf43926");
        assert_eq!(of("CRC32C"), "e3069283");
        assert_eq!(of("CRC64NVME"), "ae8b14860a799888");
        assert_eq!(of("SHA1"), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
    }

    #[test]
    fn a_multipart_etag_counts_its_parts() {
        let etag = multipart_etag(["d41d8cd98f00b204e9800998ecf8427e"].into_iter()).unwrap();
        assert_eq!(etag, "59adb24ef3cdbe0297f05b395827453f-1");
        assert_eq!(multipart_etag(["no hex"].into_iter()), None);
    }
}
