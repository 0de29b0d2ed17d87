//! TLS to a server: what is demanded of its certificate by [`TlsMode`].
//!
//! Not here: when TLS is begun (`login`).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::verify::sql::mysql_wire::error::WireError;
use crate::verify::sql::mysql_wire::options::{MysqlOptions, TlsMode};

/// Begins TLS on a stream.
pub async fn begin<S: AsyncRead + AsyncWrite + Unpin>(stream: S, options: &MysqlOptions) -> Result<TlsStream<S>, WireError> {
    let name = ServerName::try_from(options.host.clone());
    let name = name.map_err(|error| WireError::Tls(format!("`{}`: {error}", options.host.escape_default())))?;
    let options = options.clone();
    let config = tokio::task::spawn_blocking(move || config(&options)).await;
    let config = config.unwrap_or_else(|error| Err(WireError::Tls(error.to_string())))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| WireError::Tls(error.to_string()))
}

fn config(options: &MysqlOptions) -> Result<ClientConfig, WireError> {
    let failed = |error: &dyn std::fmt::Display| WireError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| failed(&error))?;
    if !options.tls.is_verified() {
        let anyone = Arc::new(Lenient { provider, authorities: None });
        return Ok(builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth());
    }
    let mut known = RootCertStore::empty();
    // What the machine has and nobody can parse leads nowhere: then no certificate does.
    known.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &options.ca {
        let not_read = |error: &dyn std::fmt::Display| WireError::Tls(format!("{}: {error}", path.display()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| not_read(&error))? {
            let added = certificate.map_err(|error| not_read(&error)).map(|certificate| known.add(certificate));
            added?.map_err(|error| not_read(&error))?;
        }
    }
    if options.tls == TlsMode::VerifyIdentity {
        return Ok(builder.with_root_certificates(known).with_no_client_auth());
    }
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(known), provider.clone()).build();
    let any_name = Lenient { provider, authorities: Some(authorities.map_err(|error| failed(&error))?) };
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(any_name)).with_no_client_auth())
}

/// A verifier that asks less than the usual one: a certificate that leads to a known authority, whoever it is made out to; or, without
/// authorities, none at all, which is encryption without knowing with whom.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(certificate, between, name, ocsp, now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
