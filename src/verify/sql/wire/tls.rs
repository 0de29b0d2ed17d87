//! TLS to a database server: what is demanded of its certificate, and what is shown of one's own.
//!
//! Not here: when TLS is begun (`mysql_wire::login`, `postgres_wire::login`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is demanded of the server's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// Nothing: encryption without knowing with whom.
    Nothing,
    /// That it leads to a known authority, whoever it is made out to.
    Authority,
    /// The same, made out to this host.
    Identity,
}

/// Something in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display())),
            Self::Text(text) => Ok(text.clone().into_bytes()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text(_) => "the certificate or key that was given as text".to_owned(),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.read()?).collect();
        all.map_err(|error| format!("{}: {error}", self.shown()))
    }
}

/// Whether `bundle` names authorities: found out before anything is connected to.
///
/// # Errors
/// In one line, what of it is not a certificate in PEM.
pub fn check_authorities(bundle: &Path) -> Result<(), String> {
    let certificates = Pem::File(bundle.to_owned()).certificates()?;
    if certificates.is_empty() {
        return Err(format!("no certificate in {}", bundle.display()));
    }
    let mut known = RootCertStore::empty();
    certificates.into_iter().try_for_each(|certificate| known.add(certificate)).map_err(|error| format!("{}: {error}", bundle.display()))
}

/// How TLS is begun.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// The server's name.
    pub host: String,
    /// What is demanded.
    pub demand: Demand,
    /// Authorities beside those that the machine knows.
    pub authorities: Option<Pem>,
    /// A certificate of one's own and its key.
    pub own: Option<(Pem, Pem)>,
}

/// Begins TLS on a stream; an error says in one line what failed.
pub async fn begin<S: AsyncRead + AsyncWrite + Unpin>(stream: S, options: TlsOptions) -> Result<TlsStream<S>, String> {
    let host = options.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|error| format!("`{}`: {error}", host.escape_default()))?;
    let config = tokio::task::spawn_blocking(move || config(&options)).await;
    let config = config.unwrap_or_else(|error| Err(error.to_string()))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// The authorities that the machine knows, read once. What it has and nobody can parse leads nowhere: then no certificate does.
static OF_THE_MACHINE: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut known = RootCertStore::empty();
    known.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    known
});

fn config(options: &TlsOptions) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let verifier: Arc<dyn ServerCertVerifier> = match options.demand {
        Demand::Nothing => Arc::new(Lenient { provider, authorities: None }),
        demand => {
            let mut known = OF_THE_MACHINE.clone();
            if let Some(pem) = &options.authorities {
                for certificate in pem.certificates()? {
                    known.add(certificate).map_err(|error| format!("{}: {error}", pem.shown()))?;
                }
            }
            let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(known), provider.clone()).build();
            let authorities = authorities.map_err(|error| error.to_string())?;
            if demand == Demand::Identity { authorities } else { Arc::new(Lenient { provider, authorities: Some(authorities) }) }
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &options.own else { return Ok(builder.with_no_client_auth()) };
    let private = PrivateKeyDer::from_pem_slice(&key.read()?).map_err(|error| format!("{}: {error}", key.shown()))?;
    builder.with_client_auth_cert(certificate.certificates()?, private).map_err(|error| format!("{}: {error}", certificate.shown()))
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
