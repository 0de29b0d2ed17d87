//! The digest of a server's certificate that a login is bound to: `tls-server-end-point` of RFC 5929.
//!
//! It is made with the function that the certificate is signed with, SHA-256 in the place of MD5 and SHA-1. Of the certificate's DER only
//! the way to that function's name is read. Pure.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The digest; nothing where the certificate's signature names no function (Ed25519, PSS) or is not understood.
pub fn digest(certificate: &[u8]) -> Option<Vec<u8>> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { algorithm OID, … }, … }
    let (inside, _) = element(0x30, certificate)?;
    let (_, after) = element(0x30, inside)?;
    let (algorithm, _) = element(0x30, after)?;
    let (name, _) = element(0x06, algorithm)?;
    /// 1.2.840.113549.1.1, RSA.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    /// 1.2.840.10045.4, ECDSA.
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let bits = match (name.strip_prefix(RSA), name.strip_prefix(ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => 256,
        (Some([12]), _) | (_, Some([3, 3])) => 384,
        (Some([13]), _) | (_, Some([3, 4])) => 512,
        _ => return None,
    };
    Some(match bits {
        256 => Sha256::digest(certificate).to_vec(),
        384 => Sha384::digest(certificate).to_vec(),
        _ => Sha512::digest(certificate).to_vec(),
    })
}

/// What is in the element of this tag at the front, and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (octets.iter().fold(0usize, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What looks like a certificate as far as it is read.
    fn signed_by(name: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, inside: &[u8]| [&[tag, 0x81, inside.len() as u8][..], inside].concat();
        wrap(0x30, &[wrap(0x30, &[7; 150]), wrap(0x30, &wrap(0x06, name)), vec![3, 1, 0]].concat())
    }

    #[test]
    fn the_function_is_that_of_the_signature() {
        let rsa = |last: u8| signed_by(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
        let ecdsa = |last: &[u8]| signed_by(&[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04][..], last].concat());
        let length = |certificate: &[u8]| digest(certificate).map(|digest| digest.len());
        assert_eq!([rsa(5), rsa(11), rsa(12), rsa(13), rsa(10)].map(|der| length(&der)), [Some(32), Some(32), Some(48), Some(64), None]);
        assert_eq!(
            [ecdsa(&[3, 2]), ecdsa(&[3, 3]), ecdsa(&[3, 4]), ecdsa(&[3, 1])].map(|der| length(&der)),
            [Some(32), Some(48), Some(64), None]
        );
        assert_eq!(digest(&rsa(11)).unwrap(), Sha256::digest(rsa(11)).to_vec());
        assert_eq!(length(&signed_by(&[0x2b, 0x65, 0x70])), None, "Ed25519 names none");
        let whole = rsa(11);
        assert!((0..whole.len()).all(|cut| digest(&whole[..cut]).is_none()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = digest(&bytes);
            let _ = digest(&[&[0x30, 0x30, 0x30, 0x02][..], &bytes].concat());
        }
    }
}
