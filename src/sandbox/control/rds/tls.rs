//! The certificate of the sandbox's database servers, from a CA of its own whose key is thrown away: what `tls_ca` names is then tried for
//! real, as with the bundle that AWS publishes for RDS.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::engines::area::Area;
use crate::model::failure::{Failure, FailureKind};

/// The CA's certificate in the state folder, for clients.
pub const CA_BUNDLE: &str = "rds-ca.pem";

/// Lays certificate and key where the area's servers find them, once, and the CA's certificate into the state folder `dir`.
pub fn lay(dir: &Path, area: &Area) -> Result<(), Failure> {
    let files = area.tls_files();
    if area.tls().is_none() || !files.ca.is_file() {
        let (ca, certificate, key) =
            make().map_err(|error| Failure::new(FailureKind::Remote, format!("cannot make a certificate: {error}")))?;
        let folder = files.key.parent().unwrap_or(area.root());
        std::fs::create_dir_all(folder).map_err(|error| Failure::io(format!("cannot create {}", folder.display()), error))?;
        area.hand_over(folder, 0o700)?;
        // The key last: without it the servers speak no TLS, and the next start makes all three anew.
        for (path, text) in [(&files.ca, &ca), (&files.certificate, &certificate), (&files.key, &key)] {
            std::fs::write(path, text).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
            area.hand_over(path, 0o600)?;
        }
    }
    let bundle = dir.join(CA_BUNDLE);
    std::fs::copy(&files.ca, &bundle).map(drop).map_err(|error| Failure::io(format!("cannot write {}", bundle.display()), error))
}

/// CA certificate, server certificate and server key, PEM, for 127.0.0.1 and `localhost`.
fn make() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "attestore sandbox RDS CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let certificate = params.signed_by(&key, &ca)?;
    Ok((ca.pem(), certificate.pem(), key.serialize_pem()))
}
