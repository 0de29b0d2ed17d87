//! Source URLs: how a person names what is to be read, on every command line and in every configuration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;

/// Where data is read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceUrl {
    /// `s3://BUCKET[/PREFIX]`
    S3 {
        /// The bucket's name.
        bucket: String,
        /// Only keys that start with this; empty for all.
        prefix: String,
    },
    /// `dynamodb:TABLE`
    Dynamodb {
        /// The table's name.
        table: String,
    },
    /// `dynamodb-export:s3://BUCKET/PREFIX/AWSDynamoDB/EXPORT-ID[?key=PARTITION[,SORT]]`
    DynamodbExport {
        /// The bucket that it lies in.
        bucket: String,
        /// Where in it, up to and with the export's id.
        prefix: String,
        /// The attributes of the table's primary key, which an export does not say; empty where the table can be asked.
        key: Vec<String>,
    },
    /// `postgres://[USER@]HOST[:PORT]/DATABASE[?…]`
    Postgres {
        /// The URL as written.
        url: String,
    },
    /// `mysql://[USER@]HOST[:PORT]/DATABASE[?…]`, MariaDB too.
    Mysql {
        /// The URL as written.
        url: String,
    },
    /// `sqlite:PATH`
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
    /// `dir:PATH`: a tree or one file.
    Dir {
        /// The tree's root, or the file.
        path: PathBuf,
    },
}

const FORMS: &str = "s3://BUCKET[/PREFIX], dynamodb:TABLE, dynamodb-export:s3://BUCKET/PREFIX, postgres://HOST/DATABASE, mysql://HOST/DATABASE, sqlite:PATH, dir:PATH";

impl SourceUrl {
    /// The scheme: `s3`, `dynamodb`, `dynamodb-export`, `postgres`, `mysql`, `sqlite` or `dir`.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::S3 { .. } => "s3",
            Self::Dynamodb { .. } => "dynamodb",
            Self::DynamodbExport { .. } => "dynamodb-export",
            Self::Postgres { .. } => "postgres",
            Self::Mysql { .. } => "mysql",
            Self::Sqlite { .. } => "sqlite",
            Self::Dir { .. } => "dir",
        }
    }

    /// The database that the URL of a server names, decoded; nothing for every other source.
    pub fn server_database(&self) -> Option<String> {
        let (Self::Postgres { url } | Self::Mysql { url }) = self else { return None };
        let parsed = url::Url::parse(url).ok()?;
        Some(percent_encoding::percent_decode_str(parsed.path().trim_matches('/')).decode_utf8_lossy().into_owned())
    }
}

impl FromStr for SourceUrl {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong =
            |found: String| Failure::invalid(format!("source URL `{}`: {found}", redact(text))).hint(format!("a source is one of {FORMS}"));
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong("no scheme found before a `:`".into()))?;
        let need = |what: &str| if rest.is_empty() { Err(wrong(format!("nothing after `{scheme}:`, expected {what}"))) } else { Ok(()) };
        match scheme {
            "s3" => {
                let rest = rest.strip_prefix("//").ok_or_else(|| wrong("expected `s3://`".into()))?;
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let legal = bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'));
                if bucket.is_empty() || !legal {
                    return Err(wrong(format!("`{bucket}` is not a bucket name (lower-case letters, digits, `-`, `.`)")));
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            "dynamodb" => {
                need("a table name")?;
                let legal = rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
                if !legal || !(3..=255).contains(&rest.len()) {
                    return Err(wrong(format!("`{rest}` is not a table name (3 to 255 letters, digits, `-`, `.`, `_`)")));
                }
                Ok(Self::Dynamodb { table: rest.to_owned() })
            }
            "dynamodb-export" => {
                let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
                let Ok(Self::S3 { bucket, prefix }) = place.parse::<Self>() else {
                    return Err(wrong("expected `dynamodb-export:s3://BUCKET/PREFIX/AWSDynamoDB/EXPORT-ID`".into()));
                };
                let prefix = prefix.trim_end_matches('/').to_owned();
                if !prefix.starts_with("AWSDynamoDB/") && !prefix.contains("/AWSDynamoDB/") {
                    return Err(wrong(format!("expected the folder of one export, `…/AWSDynamoDB/EXPORT-ID`, found `{prefix}`")));
                }
                let key: Vec<String> = match query.strip_prefix("key=") {
                    Some(names) => names.split(',').map(ToOwned::to_owned).collect(),
                    None if query.is_empty() => Vec::new(),
                    None => return Err(wrong(format!("unknown option `{query}`; expected `key=PARTITION[,SORT]`"))),
                };
                if key.len() > 2 || key.iter().any(String::is_empty) {
                    return Err(wrong(format!("`{query}`: a primary key has one or two attributes")));
                }
                Ok(Self::DynamodbExport { bucket, prefix, key })
            }
            "postgres" | "postgresql" | "mysql" | "mariadb" => {
                let url = url::Url::parse(text).map_err(|error| wrong(error.to_string()))?;
                if url.path().trim_matches('/').is_empty() {
                    return Err(wrong("no database named after the host".into()));
                }
                let text = text.to_owned();
                Ok(if scheme.starts_with('p') { Self::Postgres { url: text } } else { Self::Mysql { url: text } })
            }
            "sqlite" => {
                need("a file")?;
                Ok(Self::Sqlite { path: PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)) })
            }
            "dir" => {
                need("a directory or a file")?;
                Ok(Self::Dir { path: PathBuf::from(rest) })
            }
            other => Err(wrong(format!("unknown scheme `{other}:`"))),
        }
    }
}

/// The URL without its password: the only form that is ever printed or recorded.
fn redact(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Only a URL that cannot carry a password refuses this, and then there is none to hide.
            let _ = parsed.set_password(Some("***"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Dynamodb { table } => write!(f, "dynamodb:{table}"),
            Self::DynamodbExport { bucket, prefix, key } if key.is_empty() => write!(f, "dynamodb-export:s3://{bucket}/{prefix}"),
            Self::DynamodbExport { bucket, prefix, key } => write!(f, "dynamodb-export:s3://{bucket}/{prefix}?key={}", key.join(",")),
            Self::Postgres { url } | Self::Mysql { url } => f.write_str(&redact(url)),
            Self::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            Self::Dir { path } => write!(f, "dir:{}", path.display()),
        }
    }
}

/// Which state of a bucket is read (`--view`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// The latest version of each key; delete markers hide theirs.
    Latest,
    /// Every version and every delete marker.
    Versions,
    /// What the latest versions were at an instant, derived from versions and delete markers.
    At(Timestamp),
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Versions => f.write_str("versions"),
            Self::At(time) => write!(f, "at={time}"),
        }
    }
}

impl FromStr for View {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            "versions" => Ok(Self::Versions),
            other => match other.strip_prefix("at=") {
                Some(time) => time.parse().map(Self::At).map_err(|error: crate::model::clock::BadTime| error.to_string()),
                None => Err(format!("unknown view `{other}`; expected `latest`, `versions` or `at=TIME`")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_round_trips() {
        for text in [
            "s3://vault",
            "s3://vault/a/b c+",
            "dynamodb:audit-logs",
            "dynamodb-export:s3://b/x/AWSDynamoDB/0169-ab?key=pk,sk",
            "sqlite:/x/app.db",
            "dir:/x",
            "mysql://u@127.0.0.1:3306/crm",
        ] {
            assert_eq!(text.parse::<SourceUrl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_url_of_a_server_names_its_database() {
        let database = |text: &str| text.parse::<SourceUrl>().unwrap().server_database();
        assert_eq!(database("postgres://u@db.example.org:5432/crm%20two?sslmode=require").as_deref(), Some("crm two"));
        assert_eq!(database("mariadb://127.0.0.1/shop").as_deref(), Some("shop"));
        assert_eq!((database("sqlite:/x/app.db"), database("dir:/x")), (None, None));
    }

    #[test]
    fn views_round_trip() {
        for text in ["latest", "versions", "at=2026-01-31T02:00:00.000Z"] {
            assert_eq!(text.parse::<View>().unwrap().to_string(), text);
        }
        assert!("at=yesterday".parse::<View>().unwrap_err().contains("yesterday"));
        assert!("at".parse::<View>().is_err());
    }

    #[test]
    fn passwords_are_never_shown() {
        let url: SourceUrl = "postgres://u:secret@h/db".parse().unwrap();
        assert!(!url.to_string().contains("secret"));
        let error = "postgres://u:secret@h".parse::<SourceUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("vault", "no scheme"),
            ("s3:vault", "s3://"),
            ("s3://", "bucket"),
            ("dynamodb:", "table"),
            ("dynamodb-export:b", "s3://BUCKET"),
            ("dynamodb-export:s3://b/x", "AWSDynamoDB"),
            ("dynamodb-export:s3://b/AWSDynamoDB/1?key=a,b,c", "one or two"),
            ("ftp://x", "unknown scheme"),
            ("sqlite:", "file"),
            ("s3://Bad_Name/", "bucket name"),
        ] {
            let error = text.parse::<SourceUrl>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
