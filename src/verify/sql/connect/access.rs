//! How a database is reached: user, password and TLS, with the password from a file, the environment or the caller, never the command line.
//! Where the URL says `authentication=iam`, a token stands in the password's place, and TLS with a verified certificate is demanded.
//!
//! Not here: opening sessions (`postgres::snapshot`, `mysql::snapshot`, `sqlite::file`).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::verify::sql::connect::keeper::Keeping;
use crate::verify::sql::connect::login::{Door, Place, Tokens};
use crate::verify::sql::reading::Limits;
use crate::verify::sql::wire::mysql::options::{MysqlOptions, TlsMode};
use crate::verify::sql::wire::postgres::options::PgOptions;
use crate::verify::sql::wire::postgres::password_file;
use crate::verify::sql::wire::tls;

/// Credentials and trust for one database. What is absent comes from the URL, then from `PGUSER`/`PGPASSWORD` or
/// `MYSQL_USER`/`MYSQL_PWD`, and a password of PostgreSQL from `.pgpass`.
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
    /// What makes IAM's tokens, for URLs that ask for one.
    pub tokens: Option<Arc<dyn Tokens>>,
    /// What brings the server back, where it is one of our own.
    pub keeper: Option<Keeping>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "***");
        f.debug_struct("Access").field("user", &self.user).field("password", &password).field("tls_ca", &self.tls_ca).finish()
    }
}

impl Access {
    /// What opens sessions of PostgreSQL; the session itself is pinned when it is opened.
    pub fn postgres(&self, url: &str) -> Result<Door<PgOptions>, Failure> {
        self.check_ca()?;
        let parts = Parts::of(url)?;
        let port = parts.port.unwrap_or(5432);
        let mut driver = PgConnectOptions::new_without_pgpass().host(&parts.host).port(port).database(&parts.database);
        driver = driver.application_name("attestore");
        let user = self.user.clone().or(parts.user.clone()).or_else(|| env("PGUSER"));
        if let Some(user) = &user {
            driver = driver.username(user);
        }
        for (name, value) in &parts.options {
            driver = match (name.as_str(), value.as_str()) {
                ("sslmode", mode) => driver.ssl_mode(mode.parse::<PgSslMode>().map_err(|error| wrong_option(url, name, error))?),
                ("host", dir) if dir.starts_with('/') => driver.socket(dir),
                _ => return Err(unknown_option(url, name, "sslmode, host=/SOCKET/DIR, authentication, region")),
            };
        }
        let iam = self.iam(url, &parts, user, port)?;
        let in_file = || password_file::look_up(&parts.host, port, &parts.database, driver.get_username());
        let given = || self.password.clone().or(parts.password.clone()).or_else(|| env("PGPASSWORD")).or_else(in_file);
        let password = if iam.is_none() { given() } else { None };
        let mut options = PgOptions::new(driver, password, &|name| std::env::var(name).ok());
        if let Some(ca) = &self.tls_ca {
            options = options.with_authorities(ca);
        }
        Ok(match iam {
            None => Door::with_password(options),
            Some((place, tokens)) => Door::with_token(options, place, tokens, |options, token| options.with_password(token)),
        })
    }

    /// What opens sessions of MySQL and MariaDB.
    pub fn mysql(&self, url: &str) -> Result<Door<MysqlOptions>, Failure> {
        self.check_ca()?;
        let parts = Parts::of(url)?;
        let port = parts.port.unwrap_or(3306);
        let user = self.user.clone().or(parts.user.clone()).or_else(|| env("MYSQL_USER"));
        let iam = self.iam(url, &parts, user.clone(), port)?;
        let password = self.password.clone().or(parts.password).or_else(|| env("MYSQL_PWD")).filter(|_| iam.is_none());
        let mut options = MysqlOptions {
            host: parts.host,
            port,
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
                _ => return Err(unknown_option(url, name, "ssl-mode, socket, authentication, region")),
            }
        }
        if let Some(ca) = &self.tls_ca {
            options.tls = TlsMode::VerifyIdentity;
            options.ca = Some(ca.clone());
        }
        Ok(match iam {
            None => Door::with_password(options),
            Some((place, tokens)) => {
                Door::with_token(options, place, tokens, |options, token| MysqlOptions { password: token.to_owned(), ..options })
            }
        })
    }

    /// Whom a token is for, and what makes it, where the URL asks for one; refused where it could go to anybody but the server meant.
    fn iam(&self, url: &str, parts: &Parts, user: Option<String>, port: u16) -> Result<Option<Iam>, Failure> {
        let refused = |what: &str, hint: &'static str| Failure::invalid(format!("{}: authentication=iam: {what}", shown(url))).hint(hint);
        match parts.authentication.as_deref() {
            None | Some("password") if parts.region.is_some() => {
                return Err(unknown_option(url, "region", "a Region beside authentication=iam only"));
            }
            None | Some("password") => return Ok(None),
            Some("iam") => {}
            Some(other) => return Err(wrong_option(url, "authentication", format!("`{other}`; expected `iam` or `password`"))),
        }
        if self.tls_ca.is_none() {
            return Err(refused(
                "a token is a password in the clear, and without a CA bundle nothing proves who receives it",
                "name the bundle that AWS publishes for RDS: --tls-ca FILE, or `tls_ca` of the resource",
            ));
        }
        let plain = ["socket", "host", "sslmode", "ssl-mode"];
        let beside = parts.options.iter().map(|(name, _)| name.as_str()).find(|name| plain.contains(name));
        if let Some(name) = beside.or(parts.host.starts_with('/').then_some("host")) {
            return Err(refused(
                &format!("`{name}` has no place beside it"),
                "the server is reached over TLS, its name and certificate verified",
            ));
        }
        if parts.password.is_some() {
            return Err(refused("the URL has a password too", "leave the password out: the token is the password"));
        }
        let Some(user) = user else {
            return Err(refused("a token is for one database user, and none is named", "write postgres://USER@HOST/DATABASE"));
        };
        let Some(tokens) = &self.tokens else {
            return Err(refused(
                "there is no identity of AWS here that could sign a token",
                "this source is not read with AWS credentials",
            ));
        };
        let place = Place { host: parts.host.clone(), port, user, region: parts.region.clone() };
        Ok(Some((place, tokens.clone())))
    }

    fn check_ca(&self) -> Result<(), Failure> {
        let Some(ca) = &self.tls_ca else { return Ok(()) };
        let hint = "a CA bundle is a file of PEM certificates, such as the one that AWS publishes for RDS";
        if !ca.is_file() {
            return Err(Failure::invalid(format!("the CA bundle {} is not there", ca.display())).hint(hint));
        }
        tls::check_authorities(ca).map_err(|said| Failure::invalid(format!("the CA bundle: {said}")).hint(hint))
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

/// Whom a token is for, and what makes it.
type Iam = (Place, Arc<dyn Tokens>);

struct Parts {
    host: String,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: String,
    /// `iam` or `password`.
    authentication: Option<String>,
    /// Of a token.
    region: Option<String>,
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
        let pairs = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
        let (ours, options): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| matches!(name.as_str(), "authentication" | "region"));
        let of = |wanted: &str| ours.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        Ok(Self {
            authentication: of("authentication"),
            region: of("region"),
            host: url.host_str().filter(|host| !host.is_empty()).map_or_else(|| "127.0.0.1".to_owned(), plain),
            port: url.port(),
            user: Some(plain(url.username())).filter(|user| !user.is_empty()),
            password: url.password().map(plain),
            database,
            options,
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
        let door = access.postgres("postgres://other@db.example:6000/crm%2Dx?sslmode=require").unwrap();
        let options = door.options().driver();
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("db.example", 6000, "reader"));
        assert_eq!(options.get_database(), Some("crm-x"));
        let door = access.mysql("mysql://127.0.0.1/crm?socket=/x/y.sock").unwrap();
        let options = door.options();
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

    /// A certificate that nobody has the key of.
    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBkjCCATmgAwIBAgIUDR3fvOZOWqb0nPtYUVb4dU9FPC4wCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTYXV0aG9yaXR5IG9mIGEgdGVzdDAgFw0yNjExMjEyMzQzMzla
GA8yMTI2MTAyODIzNDMzOVowHjEcMBoGA1UEAwwTYXV0aG9yaXR5IG9mIGEgdGVz
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBoAdlQkFCgfzyStRAZy/flfRqNr
VPdr3cmN8w7PH66b5CbQCO9bS3jM2ruThtA3DZKewCATCXd8gQBzJ+FEX6OjUzBR
MB0GA1UdDgQWBBQAqhgzR1B/YO34keaWXmy81W/AMjAfBgNVHSMEGDAWgBQAqhgz
R1B/YO34keaWXmy81W/AMjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cA
MEQCIAreeq/xH3e7g+7k6R9TQxlhBetUjlXSsEGh8bDoEYH1AiAH32EnSnwqLSTZ
oKk+dbd5O4li415MZh4o0B6bWONPoQ==
-----END CERTIFICATE-----
";

    #[test]
    fn a_bundle_without_a_certificate_is_found_out_at_once() {
        let bundle = tempfile::NamedTempFile::new().unwrap();
        let access = Access { tls_ca: Some(bundle.path().to_owned()), ..Access::default() };
        let key =
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";
        for (text, said) in [("", "no certificate in"), (key, "no certificate in"), (&AUTHORITY.replace("MII", "MIJ"), "")] {
            std::fs::write(bundle.path(), text).unwrap();
            for failure in [access.postgres("postgres://h/d").unwrap_err(), access.mysql("mysql://h/d").unwrap_err()] {
                assert!(failure.kind == FailureKind::Invalid && failure.message.contains(said), "{failure}");
                assert!(failure.hint.unwrap().contains("PEM"));
            }
        }
        std::fs::write(bundle.path(), AUTHORITY).unwrap();
        assert!(access.postgres("postgres://h/d").is_ok() && access.mysql("mysql://h/d").is_ok());
    }

    struct Named;

    #[async_trait::async_trait]
    impl Tokens for Named {
        async fn token(&self, place: &Place) -> Result<String, Failure> {
            Ok(format!("{}@{}:{} {:?}", place.user, place.host, place.port, place.region))
        }
    }

    #[tokio::test]
    async fn a_token_goes_to_a_verified_server_only() {
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), AUTHORITY).unwrap();
        let access = Access { tls_ca: Some(ca.path().to_owned()), tokens: Some(Arc::new(Named)), ..Access::default() };
        let place = |url: &str| access.postgres(url).map(|door| format!("{door:?}"));
        let known = place("postgres://reader@db.example/crm?authentication=iam&region=eu-west-2").unwrap();
        assert!(known.contains("reader") && known.contains("5432") && known.contains("eu-west-2"), "{known}");
        let options = access.mysql("mysql://reader@db.example/crm?authentication=iam").unwrap().now().await.unwrap();
        assert_eq!(options.tls, TlsMode::VerifyIdentity, "whatever the server offers");
        assert!(options.password.starts_with("reader@db.example:3306"), "the token is the password");
        for (url, access, part) in [
            ("postgres://u@h/d?authentication=iam", Access { tls_ca: None, ..access.clone() }, "CA bundle"),
            ("postgres://u@h/d?authentication=iam&sslmode=disable", access.clone(), "sslmode"),
            ("postgres://u@h/d?authentication=iam&host=/tmp", access.clone(), "host"),
            ("postgres://u:secret@h/d?authentication=iam", access.clone(), "password"),
            ("postgres://u@h/d?authentication=kerberos", access.clone(), "kerberos"),
            ("postgres://u@h/d?region=eu-west-2", access.clone(), "region"),
            ("postgres://u@h/d?authentication=iam", Access { tokens: None, ..access.clone() }, "no identity"),
        ] {
            let failure = access.postgres(url).unwrap_err();
            assert!(failure.kind == FailureKind::Invalid && failure.message.contains(part), "{url}: {failure}");
            assert!(!failure.to_string().contains("secret"));
        }
        for option in ["ssl-mode=disabled", "socket=/tmp/s"] {
            let failure = access.mysql(&format!("mysql://u@h/d?authentication=iam&{option}")).unwrap_err();
            assert!(failure.message.contains("no place beside"), "{failure}");
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let access = Access { password: Some("secret".into()), ..Access::default() };
        assert!(!format!("{access:?}").contains("secret"));
    }
}
