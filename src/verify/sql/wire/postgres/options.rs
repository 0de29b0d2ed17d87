//! How a server of PostgreSQL is reached: what the driver is told, and the same for the sessions that are opened without it.
//!
//! The driver resolves what is not said from the environment and shows most of it; what it does not show (password, certificates) is
//! resolved here in the same way, and told to it.
//!
//! Not here: what URLs mean (`access`), and logging in (`login`).

use std::fmt;
use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::verify::sql::wire::tls::{Demand, Pem, TlsOptions};

/// How a server is reached.
#[derive(Clone)]
pub struct PgOptions {
    driver: PgConnectOptions,
    password: Option<String>,
    authorities: Option<Pem>,
    certificate: Option<Pem>,
    key: Option<Pem>,
}

impl fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = (self.driver.get_host(), self.driver.get_port(), self.socket());
        f.debug_struct("PgOptions").field("at", &at).field("user", &self.user()).finish_non_exhaustive()
    }
}

/// A certificate is named by its file, or is the text itself.
fn pem(value: String) -> Pem {
    let text = value.trim();
    if text.starts_with("-----BEGIN") && text.ends_with("-----") { Pem::Text(value) } else { Pem::File(value.into()) }
}

impl PgOptions {
    /// What `driver` says, with this password in the place of any that it has, and certificates as `PGSSLROOTCERT`, `PGSSLCERT` and
    /// `PGSSLKEY` name them in `env`.
    pub fn new(driver: PgConnectOptions, password: Option<String>, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let named = |name: &str| env(name).map(pem);
        let options =
            Self { driver, password: None, authorities: named("PGSSLROOTCERT"), certificate: named("PGSSLCERT"), key: named("PGSSLKEY") };
        match password {
            Some(password) => options.with_password(&password),
            None => options,
        }
    }

    /// The same with this password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        Self { driver: self.driver.password(password), password: Some(password.to_owned()), ..self }
    }

    /// The same where the server's certificate must lead to this bundle and be made out to its host.
    #[must_use]
    pub fn with_authorities(self, bundle: &std::path::Path) -> Self {
        let driver = self.driver.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(bundle);
        Self { driver, authorities: Some(Pem::File(bundle.to_owned())), ..self }
    }

    /// For the driver.
    pub fn driver(&self) -> &PgConnectOptions {
        &self.driver
    }

    /// The user.
    pub fn user(&self) -> &str {
        self.driver.get_username()
    }

    /// The password; empty for none.
    pub fn password(&self) -> &str {
        self.password.as_deref().unwrap_or_default()
    }

    /// The Unix socket, where the server is reached through one.
    pub fn socket(&self) -> Option<PathBuf> {
        let host = self.driver.get_host();
        let folder = self.driver.get_socket().cloned().or_else(|| host.starts_with('/').then(|| host.into()))?;
        Some(folder.join(format!(".s.PGSQL.{}", self.driver.get_port())))
    }

    /// Host and port, where the server is not reached through a Unix socket.
    pub fn at(&self) -> Option<(String, u16)> {
        self.socket().is_none().then(|| (self.driver.get_host().to_owned(), self.driver.get_port()))
    }

    /// How TLS is begun; nothing where it is not wanted, and whether the session does without it where the server has none.
    pub fn tls(&self) -> Result<Option<(TlsOptions, bool)>, String> {
        let demand = match self.driver.get_ssl_mode() {
            // The driver takes `allow` for `disable`: sessions of one server are to be alike.
            PgSslMode::Disable | PgSslMode::Allow => return Ok(None),
            PgSslMode::Prefer | PgSslMode::Require => Demand::Nothing,
            PgSslMode::VerifyCa => Demand::Authority,
            PgSslMode::VerifyFull => Demand::Identity,
        };
        let own = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err("PGSSLCERT and PGSSLKEY must be given together".into()),
        };
        let host = self.driver.get_host().to_owned();
        let tls = TlsOptions { host, demand, authorities: self.authorities.clone(), own };
        Ok(Some((tls, matches!(self.driver.get_ssl_mode(), PgSslMode::Prefer))))
    }

    /// What the first message says: the same as the driver's.
    pub fn startup(&self) -> Vec<(&str, &str)> {
        let mut parameters = vec![("user", self.user())];
        parameters.extend(self.driver.get_database().map(|database| ("database", database)));
        parameters.extend([("DateStyle", "ISO, MDY"), ("client_encoding", "UTF8"), ("TimeZone", "UTC"), ("extra_float_digits", "2")]);
        parameters.extend(self.driver.get_application_name().map(|name| ("application_name", name)));
        parameters.extend(self.driver.get_options().map(|options| ("options", options)));
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(mode: PgSslMode, env: &[(&str, &str)]) -> PgOptions {
        let driver = PgConnectOptions::new_without_pgpass().host("h.example").port(6000).username("u").database("d").ssl_mode(mode);
        let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        PgOptions::new(driver, Some("secret".into()), &find)
    }

    #[test]
    fn tls_is_as_the_driver_understands_it() {
        let tls = |mode| options(mode, &[]).tls().unwrap().map(|(tls, or_without)| (tls.demand, or_without));
        assert_eq!((tls(PgSslMode::Disable), tls(PgSslMode::Allow)), (None, None));
        assert_eq!(tls(PgSslMode::Prefer), Some((Demand::Nothing, true)));
        assert_eq!(tls(PgSslMode::Require), Some((Demand::Nothing, false)));
        assert_eq!(tls(PgSslMode::VerifyCa), Some((Demand::Authority, false)));
        assert_eq!(tls(PgSslMode::VerifyFull), Some((Demand::Identity, false)));
        let env = [("PGSSLROOTCERT", "/ca.pem"), ("PGSSLCERT", "-----BEGIN X-----\n-----END X-----\n"), ("PGSSLKEY", "/key")];
        let (named, _) = options(PgSslMode::VerifyCa, &env).tls().unwrap().unwrap();
        assert_eq!((named.host.as_str(), named.authorities), ("h.example", Some(Pem::File("/ca.pem".into()))));
        assert!(matches!(named.own, Some((Pem::Text(_), Pem::File(_)))));
        assert!(options(PgSslMode::Prefer, &env[1..2]).tls().is_err());
        let (given, _) = options(PgSslMode::Disable, &env).with_authorities("/other.pem".as_ref()).tls().unwrap().unwrap();
        assert_eq!((given.demand, given.authorities), (Demand::Identity, Some(Pem::File("/other.pem".into()))));
    }

    #[test]
    fn the_first_message_and_the_socket() {
        let options = options(PgSslMode::Prefer, &[]);
        let said = options.startup();
        assert!(said.starts_with(&[("user", "u"), ("database", "d")]) && said.contains(&("TimeZone", "UTC")), "{said:?}");
        assert_eq!((options.socket(), options.password()), (None, "secret"));
        assert!(!format!("{options:?}").contains("secret"));
        let through = |driver: PgConnectOptions| PgOptions::new(driver.port(7), None, &|_| None).socket();
        assert_eq!(through(PgConnectOptions::new_without_pgpass().host("/run/x")), Some("/run/x/.s.PGSQL.7".into()));
        assert_eq!(through(PgConnectOptions::new_without_pgpass().host("h").socket("/y")), Some("/y/.s.PGSQL.7".into()));
    }
}
