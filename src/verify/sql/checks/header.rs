//! The header of a check: `--! key = value` lines of TOML at the top of a `.sql` file. Strict: an unknown key is named with the nearest
//! known one, and so is every value that is not allowed.

use std::time::Duration;

use serde::Deserialize;
use toml::Table;

use crate::model::check::Severity;
use crate::model::check_kind::CheckKind;
use crate::model::digest::Sha256Digest;
use crate::model::failure::Failure;
use crate::model::threshold::Threshold;
use crate::verify::sql::checks::statement;

/// What the statement is repeated for, with its placeholders filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Each {
    /// Every base table: `{table}`.
    Table,
    /// Every reference: `{child}`, `{parent}`, `{on}`, `{child_not_null}`, `{parent_null}`, `{name}`; the statement names the child `c` and the parent `p`.
    ForeignKey,
    /// Every sequence (PostgreSQL): `{counter}`, `{name}`.
    Sequence,
    /// Every sequence that a column takes its numbers from (PostgreSQL): `{counter}`, `{table}`, `{column}`, `{name}`.
    Counter,
    /// Every table or procedure that the body of a routine, trigger or event names (MySQL, MariaDB): `{name}`, `{reference}`.
    RoutineReference,
    /// Every column of dates (MySQL, MariaDB): `{table}`, `{column}`, `{name}`.
    DateColumn,
    /// Every column of whole numbers or decimals: `{table}`, `{column}`, `{name}`, and `{sum}`.
    NumberColumn,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Such as `bank.ledger-balances`.
    pub id: String,
    /// What it looks for, in one sentence.
    pub title: String,
    /// The engines that it runs on.
    pub engines: Vec<String>,
    /// Tables that must be there: absent is an error, empty is `vacuous`.
    pub requires: Vec<String>,
    /// Columns that it reads, `TABLE.COLUMN`: those that a configuration may give other names.
    pub columns: Vec<(String, String)>,
    /// Functions that must be there, such as `verify_heapam`; absent is an error.
    pub requires_functions: Vec<String>,
    /// What the statement returns.
    pub kind: CheckKind,
    /// What a failure means.
    pub severity: Severity,
    /// Beyond this it fails.
    pub error_if: Threshold,
    /// Beyond this it warns.
    pub warn_if: Option<Threshold>,
    /// The baseline that a `baseline-scalar` is compared with; its id, where the header names none.
    pub baseline: String,
    /// Offending rows that are kept.
    pub limit: usize,
    /// Columns that are shown in clear; every other one is redacted.
    pub show: Vec<String>,
    /// The server-side time limit.
    pub timeout: Duration,
    /// Policy controls that it serves.
    pub controls: Vec<String>,
    /// What the statement is repeated for.
    pub each: Option<Each>,
    /// A statement with one number: how many things of its kind there are. Where there are none the check does not apply.
    pub looks_at: Option<String>,
    /// True where a manifest need not hold its baseline: without one the check does not apply, and is not `untested`.
    pub baseline_optional: bool,
    /// How far ahead of the time of the check the newest stamp may lie (`freshness`).
    pub ahead: Duration,
    /// True where it needs more than reading rights, and so runs without giving any up.
    pub privileged: bool,
    /// For a freshness check whose stamps are those of writing: none may lie after the time that the data is restored to.
    pub bounded: bool,
    /// The one statement.
    pub sql: String,
    /// The file.
    pub file: String,
    /// SHA-256 of it.
    pub digest: Sha256Digest,
}

const KEYS: &[&str] = &[
    "id",
    "title",
    "engines",
    "requires",
    "requires_functions",
    "columns",
    "bounded",
    "kind",
    "severity",
    "error_if",
    "warn_if",
    "baseline",
    "baseline_optional",
    "ahead",
    "looks_at",
    "limit",
    "show",
    "timeout",
    "controls",
    "each",
    "privileged",
];
const ENGINES: &[&str] = &["mysql", "mariadb", "postgres", "sqlite", "dynamodb"];
/// A file larger than this is not a check.
const LARGEST_FILE: usize = 1 << 20;
const MOST_ROWS: usize = 10_000;
/// What clocks may differ by.
const SKEW: &str = "5m";

/// Parses one file; `what` names it in messages.
pub fn parse(what: &str, text: &str) -> Result<Check, Failure> {
    let wrong =
        |said: String| Failure::invalid(format!("check {what}: {said}")).hint("`checks/README.md` describes the header, key by key");
    if text.len() > LARGEST_FILE {
        return Err(wrong(format!("{} bytes, at most {LARGEST_FILE} expected", text.len())));
    }
    let (header, body) = split(text);
    let table: Table = header.parse().map_err(|error: toml::de::Error| wrong(format!("its header is not TOML: {}", error.message())))?;
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(wrong(format!("unknown key `{unknown}`{}", nearest(unknown, KEYS))));
    }
    let fields = Fields { table: &table };
    let check = fields.check(body, text).map_err(wrong)?;
    let reads = |sql: &str| {
        statement::check(sql).map_err(|said| wrong(said).hint("a check is one statement that reads: SELECT, WITH, VALUES or CHECK TABLE"))
    };
    reads(&check.sql)?;
    check.looks_at.as_deref().map_or(Ok(()), reads)?;
    Ok(check)
}

/// The header's TOML, and the file without its header lines.
fn split(text: &str) -> (String, String) {
    let (mut header, mut body) = (String::new(), String::new());
    for line in text.lines() {
        match line.trim_start().strip_prefix("--!") {
            Some(toml) => header.push_str(toml.strip_prefix(' ').unwrap_or(toml)),
            None => body.push_str(line),
        }
        // Each keeps its own line, so that an error's line is the file's line.
        header.push('\n');
        body.push('\n');
    }
    (header, body)
}

struct Fields<'a> {
    table: &'a Table,
}

impl Fields<'_> {
    fn check(&self, sql: String, file: &str) -> Result<Check, String> {
        let id = self.required::<String>("id")?;
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        if id.is_empty() || id.len() > 100 || !id.chars().all(legal) {
            return Err(format!("id `{}`: expected lower-case letters, digits, `.`, `-`, `_`", id.escape_default()));
        }
        let engines: Vec<String> = self.required("engines")?;
        if let Some(unknown) = engines.iter().find(|engine| !ENGINES.contains(&engine.as_str())) {
            return Err(format!("unknown engine `{unknown}`{}", nearest(unknown, ENGINES)));
        }
        if engines.is_empty() {
            return Err(format!("engines is empty; expected some of {}", ENGINES.join(", ")));
        }
        let kind: CheckKind = self.required("kind")?;
        let threshold = |key: &str| -> Result<Option<Threshold>, String> {
            let text: Option<String> = self.optional(key)?;
            text.map(|text| Threshold::parse(&text, kind).map_err(|said| format!("{key} `{}`: {said}", text.escape_default()))).transpose()
        };
        let error_if = match threshold("error_if")? {
            Some(given) => given,
            None => Threshold::parse(kind.usual_threshold().unwrap_or_default(), kind)
                .map_err(|_| format!("error_if is missing; a {} check needs it", kind.as_str()))?,
        };
        if kind == CheckKind::Canary && (self.table.contains_key("error_if") || self.table.contains_key("warn_if")) {
            return Err("a canary comes back as it was planted or not at all: it has no error_if and no warn_if".into());
        }
        let bounded = self.optional("bounded")?.unwrap_or(false);
        if bounded && kind != CheckKind::Freshness {
            return Err(format!("bounded is for freshness checks, and this is a {} check", kind.as_str()));
        }
        if self.table.contains_key("ahead") && kind != CheckKind::Freshness {
            return Err(format!("ahead is for freshness checks, and this is a {} check", kind.as_str()));
        }
        let each: Option<Each> = self.optional("each")?;
        let of_each = matches!(each, Some(Each::Table | Each::NumberColumn)) && !self.table.contains_key("warn_if");
        if each.is_some() && kind != CheckKind::Violations && !(kind == CheckKind::BaselineScalar && of_each) {
            let expected = "expected violations, or baseline-scalar for each table or number-column and without warn_if";
            return Err(format!("a {} check is not repeated with each: {expected}", kind.as_str()));
        }
        let columns: Vec<String> = self.optional("columns")?.unwrap_or_default();
        let columns = columns.iter().map(|name| match name.split_once('.') {
            Some((table, column)) if !table.is_empty() && !column.is_empty() && !column.contains('.') => {
                Ok((table.to_owned(), column.to_owned()))
            }
            _ => Err(format!("columns: `{}`: expected TABLE.COLUMN", name.escape_default())),
        });
        let columns = columns.collect::<Result<Vec<_>, String>>()?;
        let limit: usize = self.optional("limit")?.unwrap_or(20);
        if limit > MOST_ROWS {
            return Err(format!("limit {limit}: at most {MOST_ROWS}"));
        }
        let span = |key: &str, default: &str| -> Result<Duration, String> {
            let text: String = self.optional(key)?.unwrap_or_else(|| default.into());
            crate::model::threshold::duration(&text)
                .filter(|span| !span.is_zero())
                .ok_or_else(|| format!("{key} `{}`: expected such as `30s`, `15m`, `2h`", text.escape_default()))
        };
        Ok(Check {
            title: self.optional("title")?.unwrap_or_default(),
            requires: self.optional("requires")?.unwrap_or_default(),
            columns,
            bounded,
            requires_functions: self.optional("requires_functions")?.unwrap_or_default(),
            severity: self.required("severity")?,
            warn_if: threshold("warn_if")?,
            baseline: self.optional("baseline")?.unwrap_or_else(|| id.clone()),
            show: self.optional("show")?.unwrap_or_default(),
            timeout: span("timeout", "15m")?,
            ahead: span("ahead", SKEW)?,
            looks_at: self.optional("looks_at")?,
            baseline_optional: self.optional("baseline_optional")?.unwrap_or(false),
            controls: self.optional("controls")?.unwrap_or_default(),
            each,
            privileged: self.optional("privileged")?.unwrap_or(false),
            id,
            engines,
            kind,
            error_if,
            limit,
            sql,
            file: file.to_owned(),
            digest: Sha256Digest::of(file.as_bytes()),
        })
    }

    fn required<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<T, String> {
        self.optional(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    fn optional<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, String> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        value.clone().try_into().map(Some).map_err(|error: toml::de::Error| format!("{key}: {}", error.message()))
    }
}

/// `; did you mean …`, where something known is near, else what is known.
pub fn nearest(found: &str, known: &[&str]) -> String {
    let best = known.iter().map(|name| (strsim::jaro_winkler(found, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, name)) if likeness > 0.75 => format!("; did you mean `{name}`?"),
        _ => format!("; expected one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "--! id = \"bank.x\"\n--! engines = [\"sqlite\"]\n--! kind = \"violations\"\n--! severity = \"critical\"\n--! show = [\"id\"]\nSELECT 1;\n";

    #[test]
    fn defaults_and_digest() {
        let check = parse("x.sql", GOOD).unwrap();
        assert_eq!((check.id.as_str(), check.limit, check.timeout.as_secs()), ("bank.x", 20, 900));
        assert_eq!(check.error_if.text(), "> 0");
        assert_eq!(check.digest, Sha256Digest::of(GOOD.as_bytes()));
        assert_eq!(check.sql.trim(), "SELECT 1;");
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, said) in [
            ("kind", "knd", "did you mean `kind`"),
            ("\"violations\"", "\"offences\"", "kind"),
            ("\"critical\"", "\"fatal\"", "severity"),
            ("\"sqlite\"", "\"sqllite\"", "did you mean `sqlite`"),
            ("\"sqlite\"", "", "engines is empty"),
            ("--! id = \"bank.x\"\n", "", "`id` is missing"),
            ("bank.x", "Bank X", "lower-case"),
            ("show = [\"id\"]", "show = \"id\"", "show"),
            ("show = [\"id\"]", "error_if = \"more than 3\"", "error_if"),
            ("show = [\"id\"]", "timeout = \"soon\"", "timeout"),
            ("show = [\"id\"]", "limit = -1", "limit"),
            ("show = [\"id\"]", "columns = [\"id\"]", "TABLE.COLUMN"),
            ("show = [\"id\"]", "bounded = true", "freshness"),
            ("\"violations\"", "\"canary\"\n--! error_if = \"> 0\"", "baseline"),
            ("show = [\"id\"]", "ahead = \"1h\"", "freshness"),
            ("\"violations\"", "\"scalar\"\n--! error_if = \"> 0\"\n--! each = \"table\"", "not repeated"),
            ("\"violations\"", "\"baseline-scalar\"\n--! each = \"sequence\"", "number-column"),
            ("show = [\"id\"]", "looks_at = \"DROP TABLE t\"", "DROP"),
            ("show = [\"id\"]", "show = [", "not TOML"),
            ("SELECT 1;", "SELECT 1; SELECT 2", "one statement"),
            ("SELECT 1;", "DELETE FROM t", "DELETE"),
            ("SELECT 1;", "", "no statement"),
        ] {
            let text = GOOD.replace(from, to);
            let error = parse("x.sql", &text).unwrap_err();
            assert!(error.message.contains(said), "{to}: {error}");
            assert_eq!(error.kind, crate::model::failure::FailureKind::Invalid);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,400}") {
            let _ = parse("x.sql", &text);
            let _ = parse("x.sql", &format!("{GOOD}{text}"));
            let _ = parse("x.sql", &GOOD.replace("show", &text));
        }
    }
}
