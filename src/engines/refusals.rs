//! What engines say of a dump that they do not take: whether that is damage of the dump, a right that is withheld here, or something that
//! this server lacks. Values of the data, which engines quote, are left out: they belong neither on a terminal nor into a log.
//!
//! Not here: the loading (`loading`).

use std::path::Path;

use crate::engines::dumps::Unloaded;
use crate::engines::memory;
use crate::engines::postgres_locale::Locale;
use crate::engines::product::Product;
use crate::model::failure::{Failure, FailureKind};

/// What stands in place of a value.
const REDACTED: &str = "(redacted)";
const QUOTES: &[char] = &['\'', '"', '`', '«', '»', '“', '”', '„', '‘', '’'];

/// Where a dump comes from, as far as that explains why it is not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The major versions of the server and of the pg_dump that it was written from and by, the newer of the two.
    pub written: u32,
    /// The major version that is here.
    pub installed: u32,
    /// It defines something.
    pub creates: bool,
    /// The locales of the databases that it states.
    pub locales: Vec<(String, Locale)>,
    /// The locale of the source that is not installed here, and is stood in for.
    pub lacking: Option<Locale>,
    /// Nobody has noted the locale of the source.
    pub unknown: bool,
}

impl Origin {
    /// Notes a line of the script's head: one outside of statements, before anything is defined.
    pub fn note(&mut self, line: &[u8]) {
        for start in [&b"-- Dumped from database version "[..], b"-- Dumped by pg_dump version "] {
            if let Some(version) = line.strip_prefix(start) {
                self.written = self.written.max(major(&String::from_utf8_lossy(version)));
            }
        }
        self.locales.extend(Locale::stated(line));
    }

    /// The locale of the database of this name, or else of the only one.
    pub fn locale_of(&self, database: &str) -> Option<&Locale> {
        let named = self.locales.iter().find(|(name, _)| name == database);
        named.or(self.locales.first().filter(|_| self.locales.len() == 1)).map(|(_, locale)| locale)
    }
}

/// The way of a script of MariaDB or MySQL, as far as that explains why it is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What wrote it; without a version where it does not say.
    pub from: Product,
    /// The server that it is loaded into.
    pub into: Product,
    /// It defines tables.
    pub creates: bool,
}

impl Way {
    /// What speaks against a verdict on the dump: a server of another make, or one that is older.
    fn unlike(&self) -> Option<String> {
        let Self { from, into, .. } = self;
        if from.engine != into.engine {
            let title = from.engine.title();
            return Some(format!("a dump of {from}, and no {title} server is installed here: {into} does not take it"));
        }
        (from.series() > into.series()).then(|| format!("written by {from}, and {} is installed here", into.version))
    }
}

/// The first number of a version.
pub fn major(version: &str) -> u32 {
    version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

/// What the first error of MariaDB or MySQL says of the dump, by its number ("MariaDB Error Codes" of its documentation, "Server Error
/// Message Reference" of MySQL's).
pub fn of_mysql_family(stderr: &[u8], path: &Path, way: &Way) -> Unloaded {
    let (number, said) = said_by_mysql_family(stderr);
    let at = path.display();
    let withheld = matches!(number, 1044 | 1045 | 1142 | 1143 | 1227 | 1290 | 1370 | 1410 | 1419 | 3554 | 3948 | 6427);
    // Character sets, collations, settings, storage engines, plugins and functions of another version or product; keyrings, tablespaces and reference
    // systems, which no dump holds; the disk, and tables that are kept in memory.
    let lacking =
        matches!(number, 1021 | 1114 | 1115 | 1128 | 1193 | 1231 | 1273 | 1286 | 1298 | 1524 | 3161 | 3180 | 3185 | 3510 | 3548 | 3 | 28);
    let packages = way.from.engine.packages();
    match way.unlike() {
        _ if matches!(number, 5 | 1037 | 1038 | 1041 | 1135 | 2008) => Unloaded::Failed(without_memory(path, &said)),
        // The server or the way to it was lost, or an answer is larger than it may be: no word of the dump.
        _ if matches!(number, 1153 | 2006 | 2013 | 2020) => Unloaded::Failed(
            Failure::new(FailureKind::Remote, format!("{at}: the server that it was loaded into was lost: {said}"))
                .hint("look at the memory and the disk of this machine, and try again; no row may be larger than 1 GiB"),
        ),
        _ if number == 1146 && !way.creates => Unloaded::Failed(
            Failure::new(
                FailureKind::Invalid,
                format!("{at}: a dump of data alone, without the tables that it belongs into (--no-create-info): {said}"),
            )
            .hint("keep dumps with definitions and data"),
        ),
        _ if withheld => Unloaded::Failed(
            Failure::new(FailureKind::Refused, format!("{at}: it wants rights that are withheld where it is loaded: {said}"))
                .hint("restore it yourself where you trust it, and compare that database with `attestore verify`"),
        ),
        Some(unlike) => Unloaded::Failed(
            Failure::new(FailureKind::Absent, format!("{at}: {unlike}: {said}"))
                .hint(format!("install {packages}, of the version that the dump was written with, or a newer one")),
        ),
        None if lacking => {
            Unloaded::Failed(Failure::new(FailureKind::Absent, format!("{at}: the server here lacks what it wants: {said}")).hint(
                "install the version and the plugins that the dump was written with, or restore it where its keyring and tablespaces are",
            ))
        }
        None => Unloaded::Damaged(format!("{at}: {said}")),
    }
}

/// What PostgreSQL's first error says of the dump, by its code ("PostgreSQL Error Codes", appendix A of its documentation).
pub fn of_postgres(stderr: &[u8], path: &Path, origin: &Origin) -> Unloaded {
    let (code, said) = said_by_postgres(stderr);
    let at = path.display();
    let other = |kind, message: String, hint: &str| Unloaded::Failed(Failure::new(kind, message).hint(hint));
    match code.as_str() {
        // The dump is loaded without special rights, for whoever wrote it may have wanted more than a restore.
        "42501" => other(
            FailureKind::Refused,
            format!("{at}: it wants rights that are withheld where it is loaded: {said}"),
            "restore it yourself where you trust it, and compare that database with `attestore verify`",
        ),
        // The client has no code for its own, and the server one for all sorts of memory.
        "53200" | "" if said.contains("out of memory") => Unloaded::Failed(without_memory(path, &said)),
        _ if origin.written > origin.installed && origin.installed > 0 => other(
            FailureKind::Absent,
            format!("{at}: written by PostgreSQL {}, and {} is installed here: {said}", origin.written, origin.installed),
            "install the version of PostgreSQL that the dump was written with, or a newer one",
        ),
        // Roles are made beforehand, where they are understood.
        "42704" if said.contains(": role \"") => other(
            FailureKind::Absent,
            format!("{at}: it gives something to a role whose name is not read here: {said}"),
            "write the dump with --encoding=UTF8, or with --no-owner --no-privileges",
        ),
        "42P01" if !origin.creates => other(
            FailureKind::Invalid,
            format!("{at}: a dump of data alone, without the tables that it belongs into (pg_dump --data-only): {said}"),
            "keep dumps with definitions and data",
        ),
        "55000" if said.contains("has no handler") => other(
            FailureKind::Refused,
            format!("{at}: it reads from another server, or writes to it, while it is loaded, which is withheld: {said}"),
            "restore it yourself where that server may be reached, and compare that database with `attestore verify`",
        ),
        // Constraints and expressions over texts come out otherwise in another locale; lines of data that are cut short do not (22P04).
        _ if (code.starts_with("22") || code.starts_with("23")) && code != "22P04" && (origin.lacking.is_some() || origin.unknown) => {
            match &origin.lacking {
                Some(locale) => other(
                    FailureKind::Absent,
                    format!("{at}: it was loaded without the locale of its source, {locale}, which is not installed here: {said}"),
                    "install that locale (Debian: locales-all, or dpkg-reconfigure locales)",
                ),
                None => other(
                    FailureKind::Absent,
                    format!("{at}: neither it nor a manifest states the locale of its source, and in ours it does not load: {said}"),
                    "write the dump with --create (pg_dump -C), or capture a manifest of the source",
                ),
            }
        }
        // Only a superuser may define these, whatever the code says.
        "42P13" | "42P17" if ["data type cannot be internal", "pseudo-type"].iter().any(|what| said.contains(what)) => other(
            FailureKind::Refused,
            format!("{at}: it wants rights that are withheld where it is loaded: {said}"),
            "restore it yourself where you trust it, and compare that database with `attestore verify`",
        ),
        // Settings, collations and languages that this server was not built with; files of extensions; the disk, the memory, the server.
        _ if ["0A", "53", "57", "58"].iter().any(|class| code.starts_with(class))
            || (code == "42704" && ["configuration parameter", "collation", "access method"].iter().any(|what| said.contains(what))) =>
        {
            other(
                FailureKind::Absent,
                format!("{at}: the server here lacks what it wants: {said}"),
                "install the version, the locales and the extensions of PostgreSQL that the source has",
            )
        }
        _ => Unloaded::Damaged(format!("{at}: {said}")),
    }
}

/// A server or a client that came to its bound of memory: no word of the dump.
fn without_memory(path: &Path, said: &str) -> Failure {
    memory::too_much(&format!("{}: it wants more memory than there is for it where it is loaded: {said}", path.display()), None)
}

/// The code of the first error, and what it says, in one line.
fn said_by_postgres(stderr: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(stderr);
    let (head, rest) = first_error(&text, &["ERROR:  ", "FATAL:  "]);
    let code = rest.get(..5).filter(|code| rest[5..].starts_with(':') && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let Some(code) = code else { return (String::new(), format!("{head}{}", without_quoted(rest))) };
    // `RAISE` takes any code, and any text; where it was raised stands in a line of its own (psql, `VERBOSITY=verbose`).
    let is_raised = code == "P0001" || text.lines().any(|line| line.starts_with("LOCATION:  exec_stmt_raise"));
    let message = match code {
        _ if is_raised => format!(": raised by the dump itself: {REDACTED}"),
        // Classes whose messages name objects; what they quote of the text or of a row stands in other lines.
        _ if code != "42601"
            && ["0A", "23", "2B", "3D", "3F", "42", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)) =>
        {
            rest[5..].to_owned()
        }
        _ => without_quoted(&rest[5..]),
    };
    // Which line of the data it was, and of which table, and no more of it.
    let context = text.lines().find_map(|line| line.strip_prefix("CONTEXT:  COPY "));
    let context = context.map(|context| format!(" / COPY {}", context.split(": \"").next().unwrap_or_default()));
    (code.to_owned(), format!("{head}{code}{message}{}", context.unwrap_or_default()))
}

/// The number of the first error, and what it says, in one line.
fn said_by_mysql_family(stderr: &[u8]) -> (u32, String) {
    let text = String::from_utf8_lossy(stderr);
    let (head, rest) = first_error(&text, &["ERROR "]);
    let number = rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let said = match number {
        // 45000 is the state of what a SIGNAL says, with any number; the server's own errors have others.
        _ if number == 1644 || rest.contains(" (45000)") => {
            format!("{}: raised by the dump itself: {REDACTED}", rest.split(": ").next().unwrap_or_default())
        }
        1044..=1046
        | 1049..=1051
        | 1054
        | 1091
        | 1115
        | 1142
        | 1143
        | 1146
        | 1193
        | 1227
        | 1231
        | 1273
        | 1286
        | 1290
        | 1370
        | 1410
        | 1419
        | 1524
        | 3161
        | 3554
        | 3948
        | 6427 => rest.to_owned(),
        _ => without_quoted(rest),
    };
    (number, format!("{head}{said}"))
}

/// The first line with an error: what stands up to the word, and what follows it.
fn first_error<'a>(text: &'a str, words: &[&str]) -> (&'a str, &'a str) {
    let found = text.lines().find_map(|line| words.iter().find_map(|word| Some(line.split_at(line.find(word)? + word.len()))));
    found.unwrap_or(("", text.lines().next().unwrap_or_default()))
}

/// Everything from the first quote to the last left out: a value may have quotes in it that nothing escapes.
fn without_quoted(text: &str) -> String {
    let Some(first) = text.find(QUOTES) else { return text.to_owned() };
    let last = text.rfind(QUOTES).filter(|last| *last > first);
    let after = last.map_or("", |last| &text[last + text[last..].chars().next().map_or(1, char::len_utf8)..]);
    format!("{}{REDACTED}{after}", &text[..first])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_say_is_told_without_values() {
        for (said, is) in [
            (
                "psql:<stdin>:9: ERROR:  22P02: invalid input syntax for type integer: \"ada@example.com\"\nCONTEXT:  COPY s, line 2, column a: \"ada@example.com\"\nLOCATION:  x",
                "psql:<stdin>:9: ERROR:  22P02: invalid input syntax for type integer: (redacted) / COPY s, line 2, column a",
            ),
            (
                "ERROR:  23505: duplicate key value violates unique constraint \"t_pkey\"\nDETAIL:  Key (a)=(ada) already exists.",
                "ERROR:  23505: duplicate key value violates unique constraint \"t_pkey\"",
            ),
            ("ERROR:  42601: syntax error at or near \"it's ada\"\nLINE 1: ada", "ERROR:  42601: syntax error at or near (redacted)"),
            ("ERROR:  P0001: ada", "ERROR:  P0001: raised by the dump itself: (redacted)"),
            (
                "psql:<stdin>:9: ERROR:  23514: invalid iban DE89\nCONTEXT:  PL/pgSQL function okiban(text) line 1 at RAISE\nLOCATION:  exec_stmt_raise, pl_exec.c:3893",
                "psql:<stdin>:9: ERROR:  23514: raised by the dump itself: (redacted)",
            ),
            ("psql: error: `ada", "psql: error: (redacted)"),
        ] {
            assert_eq!(said_by_postgres(said.as_bytes()).1, is);
        }
        for (said, is) in [
            (
                "--------------\nERROR 1062 (23000) at line 9: Duplicate entry 'it's' for key 'k'",
                (1062, "ERROR 1062 (23000) at line 9: Duplicate entry (redacted)"),
            ),
            (
                "ERROR 1146 (42S02) at line 1: Table 'crm.t' doesn't exist",
                (1146, "ERROR 1146 (42S02) at line 1: Table 'crm.t' doesn't exist"),
            ),
            ("ERROR 1644 (45000) at line 3: ada", (1644, "ERROR 1644 (45000) at line 3: raised by the dump itself: (redacted)")),
            ("ERROR 1146 (45000) at line 3: ada", (1146, "ERROR 1146 (45000) at line 3: raised by the dump itself: (redacted)")),
            ("", (0, "")),
        ] {
            assert_eq!(said_by_mysql_family(said.as_bytes()), (is.0, is.1.to_owned()));
        }
    }

    #[test]
    fn a_server_of_another_make_or_an_older_one_gives_no_verdict() {
        use crate::engines::installed::EngineKind;
        let product = |engine, version: &str| Product { engine, version: version.into() };
        let way = |from: (EngineKind, &str), into: (EngineKind, &str)| Way {
            from: product(from.0, from.1),
            into: product(into.0, into.1),
            creates: true,
        };
        let (mysql, mariadb) = (EngineKind::MySql, EngineKind::MariaDb);
        let syntax = "ERROR 1064 (42000) at line 3: You have an error in your SQL syntax near 'x'";
        for (way, says) in [
            (way((mysql, "8.0.36"), (mariadb, "10.11.19")), "a dump of MySQL 8.0.36, and no MySQL server is installed here"),
            (way((mariadb, "10.6.1"), (mysql, "9.7.4")), "a dump of MariaDB 10.6.1, and no MariaDB server is installed here"),
            (way((mysql, "9.7.4"), (mysql, "8.4.3")), "written by MySQL 9.7.4, and 8.4.3 is installed here"),
        ] {
            let Unloaded::Failed(said) = of_mysql_family(syntax.as_bytes(), Path::new("d"), &way) else { panic!("a verdict") };
            assert!(said.message.contains(says), "{said}");
            let Unloaded::Failed(said) = of_mysql_family(b"ERROR 1227 (42000) at line 1: no", Path::new("d"), &way) else {
                panic!("a verdict")
            };
            assert_eq!(said.kind, FailureKind::Refused);
        }
        for way in [way((mysql, "8.4.9"), (mysql, "8.4.3")), way((mysql, ""), (mysql, "9.7.4")), way((mysql, "8.0.1"), (mysql, "9.7.4"))] {
            assert!(matches!(of_mysql_family(syntax.as_bytes(), Path::new("d"), &way), Unloaded::Damaged(_)), "{way:?}");
        }
    }

    #[test]
    fn what_hangs_on_a_locale_that_nobody_noted_is_no_damage() {
        let of = |said: &str, unknown| of_postgres(said.as_bytes(), Path::new("d"), &Origin { unknown, ..Origin::default() });
        let condition = "ERROR:  23514: new row for relation \"w\" violates check constraint \"c\"";
        let Unloaded::Failed(said) = of(condition, true) else { panic!("a verdict") };
        assert!(said.message.contains("states the locale of its source"), "{said}");
        for (said, unknown) in
            [(condition, false), ("ERROR:  22P04: missing data for column \"b\"", true), ("ERROR:  42601: syntax error", true)]
        {
            assert!(matches!(of(said, unknown), Unloaded::Damaged(_)), "{said}");
        }
    }

    #[test]
    fn what_a_dump_does_not_hold_is_not_missed_in_it() {
        use crate::engines::installed::EngineKind;
        let mysql = || Product { engine: EngineKind::MySql, version: "9.7.4".into() };
        let way = Way { from: mysql(), into: mysql(), creates: true };
        for said in [
            "ERROR 3185 (HY000) at line 9: Can't find master key from keyring, please check in the server log",
            "ERROR 3510 (HY000) at line 9: Tablespace `fast` doesn't exist.",
            "ERROR 3548 (SR001) at line 9: There's no spatial reference system with SRID 990001.",
            "ERROR 1128 (HY000) at line 9: Function 'mecab' is not defined",
            "ERROR 1298 (HY000) at line 9: Unknown or incorrect time zone: 'Europe/Berlin'",
        ] {
            let Unloaded::Failed(said) = of_mysql_family(said.as_bytes(), Path::new("d"), &way) else { panic!("a verdict: {said}") };
            assert_eq!(said.kind, FailureKind::Absent, "{said}");
        }
        let absent = b"ERROR 1146 (42S02) at line 9: Table 'crm.t' doesn't exist";
        assert!(matches!(of_mysql_family(absent, Path::new("d"), &way), Unloaded::Damaged(_)));
        let Unloaded::Failed(said) = of_mysql_family(absent, Path::new("d"), &Way { creates: false, ..way }) else { panic!("a verdict") };
        assert!(said.message.contains("a dump of data alone"), "{said}");
    }

    #[test]
    fn memory_that_runs_out_is_no_word_of_the_dump() {
        let postgres = [
            "ERROR:  53200: out of memory\nDETAIL:  Failed on request of size 8192",
            "psql:<stdin>:9: error: out of memory for query result",
        ];
        let origin = Origin { written: 18, installed: 15, ..Origin::default() };
        let mut all: Vec<Unloaded> = postgres.iter().map(|said| of_postgres(said.as_bytes(), Path::new("d"), &origin)).collect();
        let product = || Product { engine: crate::engines::installed::EngineKind::MariaDb, version: "10.11.9".into() };
        let way = Way { from: product(), into: product(), creates: true };
        for said in [
            "ERROR 5 (HY000) at line 9: Out of memory (Needed 1048576 bytes)",
            "ERROR 2008 (HY000) at line 9: MySQL client ran out of memory",
        ] {
            all.push(of_mysql_family(said.as_bytes(), Path::new("d"), &way));
        }
        for said in all {
            let Unloaded::Failed(said) = said else { panic!("a verdict") };
            assert_eq!(said.kind, FailureKind::TooLarge, "{said}");
        }
        let Unloaded::Failed(said) = of_postgres(b"ERROR:  53200: out of shared memory", Path::new("d"), &Origin::default()) else {
            panic!("a verdict")
        };
        assert_eq!(said.kind, FailureKind::Absent, "locks: {said}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_is_taken(said in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), word in "(ERROR:  |ERROR |FATAL:  ?)?[0-9A-Z'\"«é]{0,8}") {
            let said = [word.as_bytes(), &said].concat();
            let (_, _) = (said_by_postgres(&said), said_by_mysql_family(&said));
        }
    }
}
