//! What the texts of a PostgreSQL database are encoded, sorted and folded by: generated columns, constraints, partitions and indexes come out
//! otherwise in another locale, so that a dump is loaded into a database like the one that it was written from.
//!
//! Sources: PostgreSQL documentation, "CREATE DATABASE" and "Locale Support".

use std::collections::BTreeMap;

use crate::engines::postgres::name;
use crate::model::database_default::{CLASSES, COLLATION, ENCODING, PROVIDER, PROVIDERS_LOCALE, RULES};
use crate::model::failure::{Failure, FailureKind};

/// What `CREATE DATABASE` calls it; strings, but for the provider.
const CLAUSES: &[&str] = &["ENCODING", "LOCALE_PROVIDER", "LOCALE", "LC_COLLATE", "LC_CTYPE", "ICU_LOCALE", "ICU_RULES", "BUILTIN_LOCALE"];

/// A locale that every system has, or nearly: letters of all languages are letters.
const EVERYWHERE: &str = "C.UTF-8";

/// Clauses of `CREATE DATABASE` with their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale(Vec<(&'static str, String)>);

impl Locale {
    /// As `pg_dump` states it, with the database's name, in a line `CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' …;`.
    pub fn stated(line: &[u8]) -> Option<(String, Self)> {
        let text = std::str::from_utf8(line).ok()?.trim_end().strip_suffix(';')?;
        let (database, mut rest) = word(text.strip_prefix("CREATE DATABASE ")?)?;
        let mut clauses = Vec::new();
        while let Some((key, after)) = word(rest) {
            rest = after;
            let Some((value, after)) = rest.trim_start().strip_prefix('=').and_then(word) else { continue };
            rest = after;
            clauses.extend(CLAUSES.iter().find(|clause| **clause == key).map(|clause| (*clause, value)));
        }
        (!clauses.is_empty()).then_some((database, Self(clauses)))
    }

    /// Of an encoding and a collation as `pg_database` has them.
    pub fn of(encoding: &str, collation: &str) -> Self {
        let (encoding, collation) = (encoding.to_owned(), collation.to_owned());
        Self(vec![("ENCODING", encoding), ("LC_COLLATE", collation.clone()), ("LC_CTYPE", collation)])
    }

    /// As a manifest has it, by the names of [`crate::model::database_default`].
    pub fn noted(noted: &BTreeMap<String, String>) -> Option<Self> {
        let of = |name: &str| noted.get(name).cloned();
        let (encoding, collation) = (of(ENCODING)?, of(COLLATION)?);
        let mut clauses =
            vec![("ENCODING", encoding), ("LC_CTYPE", of(CLASSES).unwrap_or_else(|| collation.clone())), ("LC_COLLATE", collation)];
        if let Some(provider) = of(PROVIDER) {
            let clause = if provider == "icu" { "ICU_LOCALE" } else { "BUILTIN_LOCALE" };
            clauses.extend(of(PROVIDERS_LOCALE).map(|locale| (clause, locale)));
            clauses.extend(of(RULES).map(|rules| ("ICU_RULES", rules)));
            clauses.push(("LOCALE_PROVIDER", provider));
        }
        Some(Self(clauses))
    }

    /// What stands in for it where it is not installed.
    pub fn stand_in() -> Self {
        Self::of("UTF8", EVERYWHERE)
    }

    /// The statements that make `database` anew, empty, with this locale.
    pub fn create(&self, database: &str, owner: &str) -> String {
        let value = |(clause, value): &(&str, String)| match *clause {
            "LOCALE_PROVIDER" if value.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!(" {clause} {value}"),
            clause => format!(" {clause} '{}'", value.replace('\'', "''")),
        };
        let (database, owner) = (name(database), name(owner));
        let clauses: String = self.0.iter().map(value).collect();
        format!("DROP DATABASE IF EXISTS {database};\nCREATE DATABASE {database} OWNER {owner} TEMPLATE template0{clauses};\n")
    }
}

/// A question for what of a loaded database came out by the locale of another: generated columns, and ranges of texts, whose expressions use
/// the database's own collation (100 in `pg_collation`; `pg_node_tree` has it as text).
pub const BY_LOCALE: &str = "SELECT c.oid::regclass::text || '.' || a.attname FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid \
     JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> '' AND d.adbin::text LIKE '%collid 100 %' \
     UNION ALL SELECT partrelid::regclass::text FROM pg_partitioned_table WHERE partstrat = 'r' AND 100::oid = ANY (partcollation) LIMIT 1;\n";

/// The locale that a server says is not installed where it runs, as it refuses a database with `FATAL: database locale is incompatible with
/// operating system` and names it in the next line, in quotes; nothing where it says something else.
pub fn not_installed(said: &str) -> Option<String> {
    let (_, detail) = said.split_once("database locale is incompatible with operating system")?;
    let named = detail.split("LC_").nth(1).and_then(|rest| rest.split('"').nth(1));
    Some(named.unwrap_or("one that it does not name").to_owned())
}

/// The failure of a backup of which `what` says that it needs a locale which is not installed here; says nothing of the backup.
pub fn lacks(what: &str, locale: &str) -> Failure {
    Failure::new(FailureKind::Absent, format!("{what} the locale {locale}, which is not installed here"))
        .hint(format!("install it (Debian: locales-all, or {locale} by dpkg-reconfigure locales), and drill the point again"))
}

impl std::fmt::Display for Locale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut values: Vec<&str> = self.0.iter().filter(|(clause, _)| *clause != "ENCODING").map(|(_, value)| value.as_str()).collect();
        values.dedup();
        f.write_str(&values.join(" "))
    }
}

/// The first word, which may be in quotes, and what follows it.
fn word(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next()?;
    if !matches!(quote, '\'' | '"') {
        let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len()).max(1);
        return Some((text[..end].to_owned(), &text[end..]));
    }
    let mut value = String::new();
    let mut rest = &text[1..];
    loop {
        let (before, after) = rest.split_once(quote)?;
        value += before;
        match after.strip_prefix(quote) {
            Some(after) => {
                value.push(quote);
                rest = after;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pg_dump_states_is_read_and_said_again() {
        let line = b"CREATE DATABASE \"my \"\"shop\" WITH TEMPLATE = template0 ENCODING = 'LATIN1' LOCALE_PROVIDER = libc LC_COLLATE = 'de_DE' LC_CTYPE = 'it''s' TABLESPACE = fast;\n";
        let (database, locale) = Locale::stated(line).unwrap();
        assert_eq!((database.as_str(), locale.to_string().as_str()), ("my \"shop", "libc de_DE it's"));
        assert_eq!(
            locale.create("x", "o"),
            "DROP DATABASE IF EXISTS \"x\";\nCREATE DATABASE \"x\" OWNER \"o\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'de_DE' LC_CTYPE 'it''s';\n"
        );
        for other in [
            "CREATE DATABASE x;",
            "CREATE DATABASE",
            "CREATE TABLE x (a int);",
            "CREATE DATABASE x WITH ENCODING = 'UTF8",
            "CREATE DATABASE 'x",
        ] {
            assert_eq!(Locale::stated(other.as_bytes()), None, "{other}");
        }
        let hostile = Locale::stated(b"CREATE DATABASE x LOCALE_PROVIDER = 'libc; DROP TABLE t' LOCALE = 'C';").unwrap().1;
        assert!(hostile.create("x", "o").ends_with("TEMPLATE template0 LOCALE_PROVIDER 'libc; DROP TABLE t' LOCALE 'C';\n"));
    }

    #[test]
    fn what_a_manifest_noted_makes_the_same_database() {
        let made = |noted: &[(&str, &str)]| {
            let noted = noted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Locale::noted(&noted).map(|locale| locale.create("x", "o").split_once("template0").unwrap().1.to_owned())
        };
        let two = [(ENCODING, "UTF8"), (COLLATION, "C")];
        assert_eq!(made(&two).unwrap(), " ENCODING 'UTF8' LC_CTYPE 'C' LC_COLLATE 'C';\n", "as manifests had it before");
        assert_eq!(made(&two[..1]), None);
        let own = [&two[..], &[(CLASSES, "C.UTF-8")]].concat();
        assert_eq!(made(&own).unwrap(), " ENCODING 'UTF8' LC_CTYPE 'C.UTF-8' LC_COLLATE 'C';\n");
        let icu = [&own[..], &[(PROVIDER, "icu"), (PROVIDERS_LOCALE, "de-DE"), (RULES, "&a < b")]].concat();
        assert!(made(&icu).unwrap().ends_with(" ICU_LOCALE 'de-DE' ICU_RULES '&a < b' LOCALE_PROVIDER icu;\n"));
        let builtin = [&own[..], &[(PROVIDER, "builtin"), (PROVIDERS_LOCALE, "C.UTF-8")]].concat();
        assert!(made(&builtin).unwrap().ends_with(" BUILTIN_LOCALE 'C.UTF-8' LOCALE_PROVIDER builtin;\n"));
    }

    #[test]
    fn a_locale_that_is_not_there_is_named() {
        let said = "FATAL:  database locale is incompatible with operating system\nDETAIL:  The database was initialized with LC_COLLATE \"de_DE.UTF-8\",  which is not recognized by setlocale().";
        assert_eq!(not_installed(said).as_deref(), Some("de_DE.UTF-8"));
        assert_eq!(not_installed(&said[..70]).as_deref(), Some("one that it does not name"));
        assert_eq!(not_installed("FATAL:  could not open file \"LC_COLLATE\""), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_there_is_taken(text in "(CREATE DATABASE )?[ ='\"A-Za-zé;]{0,40};?") {
            let _ = Locale::stated(text.as_bytes());
        }
    }
}
