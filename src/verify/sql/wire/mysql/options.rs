//! How a server of MySQL or MariaDB is reached: host or socket, user, password, TLS.
//!
//! Not here: where these come from (`access`), and logging in (`login`).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::verify::sql::wire::tls::{Demand, Pem, TlsOptions};

/// How much of TLS is demanded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsMode {
    /// None.
    Disabled,
    /// TLS where the server offers it, whoever it is.
    #[default]
    Preferred,
    /// TLS, whoever the server is.
    Required,
    /// TLS with a certificate that leads to a known authority.
    VerifyCa,
    /// The same, made out to this host.
    VerifyIdentity,
}

impl TlsMode {
    /// Whether the server's certificate is verified.
    pub fn is_verified(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyIdentity)
    }
}

impl FromStr for TlsMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "disabled" => Self::Disabled,
            "preferred" => Self::Preferred,
            "required" => Self::Required,
            "verify_ca" => Self::VerifyCa,
            "verify_identity" => Self::VerifyIdentity,
            _ => {
                let known = "disabled, preferred, required, verify_ca or verify_identity";
                return Err(format!("expected {known}, found `{}`", text.escape_default()));
            }
        })
    }
}

/// How a server is reached.
#[derive(Clone)]
pub struct MysqlOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A Unix socket in place of host and port.
    pub socket: Option<PathBuf>,
    /// The user.
    pub user: String,
    /// The password; empty for none.
    pub password: String,
    /// The database.
    pub database: String,
    /// TLS.
    pub tls: TlsMode,
    /// Authorities in PEM beside those that the machine knows.
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for MysqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = (&self.host, self.port, &self.socket);
        f.debug_struct("MysqlOptions").field("at", &at).field("user", &self.user).field("database", &self.database).finish_non_exhaustive()
    }
}

impl MysqlOptions {
    /// Host and port, where the server is not reached through a Unix socket.
    pub fn at(&self) -> Option<(String, u16)> {
        self.socket.is_none().then(|| (self.host.clone(), self.port))
    }

    /// How TLS is begun.
    pub fn tls_options(&self) -> TlsOptions {
        let demand = match self.tls {
            TlsMode::VerifyCa => Demand::Authority,
            TlsMode::VerifyIdentity => Demand::Identity,
            _ => Demand::Nothing,
        };
        TlsOptions { host: self.host.clone(), demand, authorities: self.ca.clone().map(Pem::File), own: None }
    }

    /// The same for the driver.
    pub fn driver(&self) -> MySqlConnectOptions {
        let mode = match self.tls {
            TlsMode::Disabled => MySqlSslMode::Disabled,
            TlsMode::Preferred => MySqlSslMode::Preferred,
            TlsMode::Required => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyIdentity => MySqlSslMode::VerifyIdentity,
        };
        let mut options = MySqlConnectOptions::new().host(&self.host).port(self.port).database(&self.database).username(&self.user);
        if !self.password.is_empty() {
            options = options.password(&self.password);
        }
        if let Some(socket) = &self.socket {
            options = options.socket(socket);
        }
        if let Some(ca) = &self.ca {
            options = options.ssl_ca(ca);
        }
        // The server asks for a token of IAM by `mysql_clear_password`: it goes to nobody but who the certificate says it is.
        options = options.enable_cleartext_plugin(self.tls.is_verified());
        // `pipes_as_concat` and `no_engine_substitution` would each change sql_mode; the session pins it itself.
        options.ssl_mode(mode).pipes_as_concat(false).no_engine_substitution(false).timezone("+00:00".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_as_the_servers_own_client_names_them() {
        assert_eq!("VERIFY_IDENTITY".parse(), Ok(TlsMode::VerifyIdentity));
        assert!("verify-full".parse::<TlsMode>().unwrap_err().contains("verify_identity"));
        assert!(TlsMode::VerifyCa.is_verified() && !TlsMode::Required.is_verified());
    }
}
