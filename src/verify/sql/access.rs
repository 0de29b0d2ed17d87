//! How a database is reached: user, password and TLS, with the password from a file, the environment or the caller, never the command line.
//!
//! Not here: opening sessions (`postgres`, `mysql`, `sqlite`).

use std::fmt;
use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::verify::sql::mysql_wire::options::{MysqlOptions, TlsMode};
use crate::verify::sql::reading::Limits;

/// Credentials and trust for one database. What is absent comes from the URL, then from `PGUSER`/`PGPASSWORD` or `MYSQL_USER`/`MYSQL_PWD`.
#[derive(Clone, Default)]
pub struct Access {
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// A CA bundle in PEM: where it is given, TLS is demanded and the server's name and certificate are verified against it.
    pub tls_ca: Option<PathBuf>,
    /// How long is waited for what.
    pub limits: Limits,
    /// Where it is kept what a run has read, so that the next one goes on from there.
    pub state: Option<PathBuf>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "***");
        f.debug_struct("Access").field("user", &self.user).field("password", &password).field("tls_ca", &self.tls_ca).finish()
    }
}

impl Access {
    /// The options for PostgreSQL; the session itself is pinned when it is opened.
    pub fn postgres(&self, url: &str) -> Result<PgConnectOptions, Failure> {
        self.check_ca()?;
        let parts = Parts::of(url)?;
        let mut options = PgConnectOptions::new().host(&parts.host).port(parts.port.unwrap_or(5432)).database(&parts.database);
        options = options.application_name("attestore");
        if let Some(user) = self.user.clone().or(parts.user).or_else(|| env("PGUSER")) {
            options = options.username(&user);
        }
        if let Some(password) = self.password.clone().or(parts.password).or_else(|| env("PGPASSWORD")) {
            options = options.password(&password);
        }
        for (name, value) in &parts.options {
            options = match (name.as_str(), value.as_str()) {
                ("sslmode", mode) => options.ssl_mode(mode.parse::<PgSslMode>().map_err(|error| wrong_option(url, name, error))?),
                ("host", dir) if dir.starts_with('/') => options.socket(dir),
                _ => return Err(unknown_option(url, name, "sslmode, host=/SOCKET/DIR")),
            };
        }
        if let Some(ca) = &self.tls_ca {
            options = options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(ca);
        }
        Ok(options)
    }

    /// The options for MySQL and MariaDB.
    pub fn mysql(&self, url: &str) -> Result<MysqlOptions, Failure> {
        self.check_ca()?;
        let parts = Parts::of(url)?;
        let user = self.user.clone().or(parts.user).or_else(|| env("MYSQL_USER"));
        let password = self.password.clone().or(parts.password).or_else(|| env("MYSQL_PWD"));
        let mut options = MysqlOptions {
            host: parts.host,
            port: parts.port.unwrap_or(3306),
            socket: None,
            user: user.unwrap_or_else(|| "root".to_owned()),
            password: password.unwrap_or_default(),
            database: parts.database,
            tls: TlsMode::default(),
            ca: None,
        };
        for (name, value) in &parts.options {
            match (name.as_str(), value.as_str()) {
                ("ssl-mode", mode) => options.tls = mode.parse().map_err(|error: String| wrong_option(url, name, error))?,
                ("socket", path) => options.socket = Some(path.into()),
                _ => return Err(unknown_option(url, name, "ssl-mode, socket")),
            }
        }
        if let Some(ca) = &self.tls_ca {
            options.tls = TlsMode::VerifyIdentity;
            options.ca = Some(ca.clone());
        }
        Ok(options)
    }

    fn check_ca(&self) -> Result<(), Failure> {
        match &self.tls_ca {
            Some(ca) if !ca.is_file() => Err(Failure::invalid(format!("the CA bundle {} is not there", ca.display()))
                .hint("tls_ca names a PEM file, such as the one AWS publishes for RDS")),
            _ => Ok(()),
        }
    }
}

/// The database that a URL names, for messages and for the catalogue.
pub fn database_name(url: &SourceUrl) -> Result<String, Failure> {
    match url {
        SourceUrl::Postgres { url } | SourceUrl::Mysql { url } => Ok(Parts::of(url)?.database),
        SourceUrl::Sqlite { path } => Ok(path.display().to_string()),
        other => Err(not_sql(other)),
    }
}

/// A source that this room cannot read.
pub fn not_sql(url: &SourceUrl) -> Failure {
    Failure::invalid(format!("{url} is not a SQL database")).hint("expected postgres://HOST/DATABASE, mysql://HOST/DATABASE or sqlite:PATH")
}

struct Parts {
    host: String,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: String,
    options: Vec<(String, String)>,
}

impl Parts {
    fn of(text: &str) -> Result<Self, Failure> {
        let url = url::Url::parse(text).map_err(|error| Failure::invalid(format!("source URL: {error}")))?;
        let plain = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let database = plain(url.path().trim_start_matches('/'));
        if database.is_empty() || database.contains('\0') {
            return Err(Failure::invalid("source URL: no database named after the host"));
        }
        Ok(Self {
            host: url.host_str().filter(|host| !host.is_empty()).map_or_else(|| "127.0.0.1".to_owned(), plain),
            port: url.port(),
            user: Some(plain(url.username())).filter(|user| !user.is_empty()),
            password: url.password().map(plain),
            database,
            options: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        })
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn shown(url: &str) -> String {
    url.parse::<SourceUrl>().map_or_else(|_| "source URL".to_owned(), |url| url.to_string())
}

fn wrong_option(url: &str, name: &str, error: impl fmt::Display) -> Failure {
    Failure::new(FailureKind::Invalid, format!("{}: option `{name}`: {error}", shown(url)))
}

fn unknown_option(url: &str, name: &str, known: &str) -> Failure {
    Failure::invalid(format!("{}: unknown option `{name}`; expected {known}", shown(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_options_and_mistakes_are_named() {
        let access = Access { user: Some("reader".into()), ..Access::default() };
        let options = access.postgres("postgres://other@db.example:6000/crm%2Dx?sslmode=require").unwrap();
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("db.example", 6000, "reader"));
        assert_eq!(options.get_database(), Some("crm-x"));
        let options = access.mysql("mysql://127.0.0.1/crm?socket=/x/y.sock").unwrap();
        assert_eq!((options.port, options.database.as_str(), options.user.as_str()), (3306, "crm", "reader"));
        assert_eq!(options.socket.as_deref(), Some(std::path::Path::new("/x/y.sock")));
        let driver = options.driver();
        assert_eq!((driver.get_port(), driver.get_database(), driver.get_username()), (3306, Some("crm"), "reader"));
        assert!(access.mysql("mysql://h/db?ssl-mode=often").unwrap_err().message.contains("verify_identity"));
        let error = access.mysql("mysql://u:secret@h/db?colour=red").unwrap_err();
        assert!(error.message.contains("colour") && !error.message.contains("secret"), "{error}");
        let missing = Access { tls_ca: Some("/nowhere/ca.pem".into()), ..Access::default() };
        assert!(missing.postgres("postgres://h/db").is_err());
    }

    #[test]
    fn debug_hides_the_password() {
        let access = Access { password: Some("secret".into()), ..Access::default() };
        assert!(!format!("{access:?}").contains("secret"));
    }
}
