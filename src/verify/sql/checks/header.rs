//! A check's file: TOML in `--!` comment lines, then one SQL statement, so that the whole stays valid SQL.

use std::time::Duration;

use serde::Deserialize;

use crate::model::check::Severity;
use crate::model::digest::Sha256Digest;
use crate::verify::sql::checks::statement;
use crate::verify::sql::checks::threshold::{Threshold, span};

/// A database engine, as checks name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// SQLite.
    Sqlite,
}

impl Engine {
    /// The spelling in headers, in the log and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Sqlite => "sqlite",
        }
    }
}

/// What the statement returns, and what is compared with the threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// The offending rows; their number is compared.
    Violations,
    /// One row with one number, which is compared.
    Scalar,
    /// One row with the newest time as seconds since 1970-01-01T00:00:00Z; its age at the reference time is compared.
    Freshness,
    /// One row with one number, which is compared with the manifest's baseline of the same id.
    BaselineScalar,
}

impl CheckKind {
    /// The spelling in headers and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Violations => "violations",
            Self::Scalar => "scalar",
            Self::Freshness => "freshness",
            Self::BaselineScalar => "baseline-scalar",
        }
    }
}

/// One check, ready to be run.
#[derive(Clone, Debug)]
pub struct Check {
    /// Such as `bank.ledger-balances`.
    pub id: String,
    /// What it means, in a sentence.
    pub title: Option<String>,
    /// The engines whose SQL this is.
    pub engines: Vec<Engine>,
    /// Tables that must be there (absent: an error) and hold rows (empty: vacuous).
    pub requires: Vec<String>,
    /// What the statement returns.
    pub kind: CheckKind,
    /// What a failure means.
    pub severity: Severity,
    /// Beyond this it fails.
    pub error_if: Threshold,
    /// Beyond this it warns.
    pub warn_if: Option<Threshold>,
    /// How many offending rows are kept, at most.
    pub limit: u32,
    /// Columns that are kept of them; every other one is redacted.
    pub show: Vec<String>,
    /// How long the server may work on it.
    pub timeout: Duration,
    /// Controls that it supports.
    pub controls: Vec<String>,
    /// The file as it is: its comments are SQL comments.
    pub sql: String,
    /// SHA-256 of the file.
    pub digest: Sha256Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    id: String,
    title: Option<String>,
    engines: Vec<Engine>,
    #[serde(default)]
    requires: Vec<String>,
    kind: CheckKind,
    severity: Severity,
    error_if: String,
    warn_if: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    show: Vec<String>,
    timeout: Option<String>,
    #[serde(default)]
    controls: Vec<String>,
}

const KEYS: &[&str] =
    &["id", "title", "engines", "requires", "kind", "severity", "error_if", "warn_if", "limit", "show", "timeout", "controls"];

impl Check {
    /// Reads one file's text; the error says what is wrong and, for an unknown key, the nearest known one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.trim_start().strip_prefix("--!")).collect();
        if lines.is_empty() {
            return Err("no header found; expected lines that start with `--!`".into());
        }
        let toml = lines.join("\n");
        known_keys(&toml)?;
        let header: Header = toml::from_str(&toml).map_err(|error| error.message().to_owned())?;
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        if header.id.is_empty() || !header.id.bytes().all(legal) {
            return Err(format!("id `{}`: expected lower-case letters, digits, `.` and `-`", header.id));
        }
        if header.engines.is_empty() {
            return Err("engines is empty; expected some of postgres, mysql, mariadb, sqlite".into());
        }
        let error_if: Threshold = header.error_if.parse()?;
        let warn_if = header.warn_if.as_deref().map(str::parse::<Threshold>).transpose()?;
        for threshold in [Some(&error_if), warn_if.as_ref()].into_iter().flatten() {
            fits(header.kind, threshold)?;
        }
        let timeout = match &header.timeout {
            Some(text) => {
                span(text).filter(|&seconds| seconds > 0).ok_or_else(|| format!("timeout `{text}`: expected such as 90s or 15m"))?
            }
            None => 15 * 60,
        };
        for &engine in &header.engines {
            statement::must_be_one_read(text, engine).map_err(|wrong| format!("{wrong} (read as {})", engine.as_str()))?;
        }
        Ok(Self {
            id: header.id,
            title: header.title,
            engines: header.engines,
            requires: header.requires,
            kind: header.kind,
            severity: header.severity,
            error_if,
            warn_if,
            limit: header.limit.unwrap_or(20),
            show: header.show,
            timeout: Duration::from_secs(timeout),
            controls: header.controls,
            sql: text.trim_end().trim_end_matches(';').to_owned(),
            digest: Sha256Digest::of(text.as_bytes()),
        })
    }
}

fn known_keys(toml: &str) -> Result<(), String> {
    let table: toml::Table = toml.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    for key in table.keys() {
        if !KEYS.contains(&key.as_str()) {
            let nearest = KEYS.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            return Err(format!("unknown key `{key}`; the nearest known one is `{}`", nearest.unwrap_or(&"id")));
        }
    }
    Ok(())
}

fn fits(kind: CheckKind, threshold: &Threshold) -> Result<(), String> {
    let right = match kind {
        CheckKind::Freshness => threshold.is_span(),
        CheckKind::BaselineScalar => threshold.is_baseline(),
        CheckKind::Violations | CheckKind::Scalar => !threshold.is_span() && !threshold.is_baseline(),
    };
    let expected = match kind {
        CheckKind::Freshness => "a length of time such as `> 26h`",
        CheckKind::BaselineScalar => "`baseline`, such as `!= baseline`",
        CheckKind::Violations | CheckKind::Scalar => "a number such as `> 0`",
    };
    if right { Ok(()) } else { Err(format!("threshold `{threshold}` does not fit kind `{}`; expected {expected}", kind.as_str())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "--! id = \"bank.x\"\n--! engines = [\"postgres\", \"sqlite\"]\n--! requires = [\"accounts\"]\n--! kind = \"violations\"\n\
                        --! severity = \"critical\"\n--! error_if = \"> 0\"\n--! show = [\"id\"]\nSELECT id FROM accounts WHERE id < 0;\n";

    #[test]
    fn a_header_and_one_statement() {
        let check = Check::parse(GOOD).unwrap();
        assert_eq!((check.id.as_str(), check.kind, check.limit), ("bank.x", CheckKind::Violations, 20));
        assert_eq!(check.timeout, Duration::from_secs(900));
        assert!(!check.sql.ends_with(';'));
        assert_eq!(check.digest, Sha256Digest::of(GOOD.as_bytes()));
    }

    #[test]
    fn every_mistake_has_its_own_words() {
        let with = |from: &str, to: &str| Check::parse(&GOOD.replace(from, to)).unwrap_err();
        assert!(with("severity", "severety").contains("nearest known one is `severity`"));
        assert!(with("violations", "freshness").contains("does not fit"));
        assert!(with("\"> 0\"", "\"lots\"").contains("threshold"));
        assert!(with("SELECT id", "DELETE id").contains("starts with `DELETE`"));
        assert!(with("id < 0;", "id < 0; SELECT 2").contains("2 statements"));
        assert!(with("[\"postgres\", \"sqlite\"]", "[]").contains("engines is empty"));
        assert!(with("bank.x", "Bank X").contains("lower-case"));
        assert!(Check::parse("SELECT 1").unwrap_err().contains("no header"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(--! ?[a-z_]{0,8} ?= ?[\"a-z0-9\\[\\]> .]{0,12}\n){0,4}.{0,60}") {
            let _ = Check::parse(&text);
        }
    }
}
