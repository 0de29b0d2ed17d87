//! What a faithful restore may lack because of the way that it took: said in words, and not told as a difference.
//!
//! A dump of one database alone (`pg_dump` without `--create`, `mariadb-dump DATABASE`) holds nothing of the database as an object of its
//! server: where all settings are gone, that is what happened; where only some are, it is not. `SHOW CREATE TABLE` of MariaDB does not print
//! the reference system of a geometry, and a server that was restarted goes on after the last number that a row has.

use serde_json::{Map, Value};

use crate::model::database_default::{CLASSES, PROVIDER};
use crate::verify::sql::definitions::belonging::SETTING;
use crate::verify::sql::definitions::kinds::{AUTO_INCREMENT, DEFAULT, Definitions, REFERENCE_SYSTEM};

use std::collections::BTreeMap;

/// Numbers that a server reserves at once at most (65,535, InnoDB's limit), by steps of up to ten (`auto_increment_increment`).
const MOST_RESERVED: i128 = 65_535 * 10;

/// What the provider of locales is called that manifests do not name.
const C_LIBRARY: &str = "libc";

/// How far the next number may be behind without one of them having been used: a statement reserves fewer than it inserts, at most, and a
/// table whose next number is `now` has had no more rows than that.
pub fn reserved(now: i128) -> i128 {
    now.saturating_sub(2).clamp(0, MOST_RESERVED)
}

/// Whether what `old` has under this name, and `new` otherwise or not at all, may be so in a faithful restore.
pub fn excuses(kind: &str, name: &str, old: &Map<String, Value>, new: &BTreeMap<String, String>) -> bool {
    match kind {
        SETTING => new.is_empty() && !old.is_empty(),
        REFERENCE_SYSTEM => !new.contains_key(name),
        DEFAULT => true,
        _ => false,
    }
}

/// What of it is so, one sentence each.
pub fn said(before: &Value, now: &Definitions) -> Vec<String> {
    let mut said = Vec::new();
    for kind in [SETTING, REFERENCE_SYSTEM, DEFAULT, AUTO_INCREMENT] {
        let (Some(old), Some(new)) = (before[kind].as_object(), now.of_kind(kind)) else { continue };
        match kind {
            SETTING | REFERENCE_SYSTEM => {
                let gone: Vec<&str> = old.keys().map(String::as_str).filter(|name| !new.contains_key(*name)).collect();
                if !gone.is_empty() && gone.iter().all(|name| excuses(kind, name, old, new)) {
                    let why = if kind == SETTING {
                        "settings of the database and of roles in it, which a dump of the database alone does not carry"
                    } else {
                        "reference systems of geometries, which a dump does not carry"
                    };
                    said.push(format!("{why}, and of which the restore has none: {}", gone.join(", ")));
                }
            }
            _ => {
                let texts = old.iter().map(|(name, text)| (name.clone(), text.as_str().unwrap_or_default().to_owned()));
                let (old, new) = (with_provider(texts.collect()), with_provider(new.clone()));
                for (name, value, before) in new.iter().filter_map(|(name, value)| Some((name, value, old.get(name)?))) {
                    if before == value {
                        continue;
                    }
                    let behind = value.parse::<i128>().ok().zip(before.parse::<i128>().ok());
                    match behind {
                        None => said.push(format!(
                            "the database's own {name} ({before} when it was captured, {value} here), which a dump of its tables does not carry"
                        )),
                        Some((here, there)) if here < there && there - here <= reserved(here) => said.push(format!(
                            "the next number of {name} ({there} when it was captured, {here} here): a server that was restarted, and a copy \
                             that is older, goes on after the last one that a row had"
                        )),
                        Some(_) => {}
                    }
                }
            }
        }
    }
    said
}

/// With the provider of locales by name where it is the C library, whose name is not noted. What is no default of a PostgreSQL database, or was
/// noted by an earlier version, has no character classes and stays as it is.
fn with_provider(mut noted: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if noted.contains_key(CLASSES) {
        noted.entry(PROVIDER.to_owned()).or_insert_with(|| C_LIBRARY.to_owned());
    }
    noted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::database_default::{ENCODING, PROVIDERS_LOCALE};
    use crate::verify::sql::definitions::differences::changes;

    fn of(kind: &str, entries: &[(&str, &str)]) -> Definitions {
        let mut one = Definitions::of_kinds([kind], None);
        entries.iter().for_each(|(name, text)| one.add(kind, (*name).to_owned(), text));
        one
    }

    fn differ(kind: &str, before: &[(&str, &str)], now: &[(&str, &str)]) -> (usize, usize) {
        let (before, now) = (of(kind, before).to_value(), of(kind, now));
        (changes(&before, &now, &Default::default()).len(), said(&before, &now).len())
    }

    #[test]
    fn settings_are_gone_together_or_not_at_all() {
        let two = [("search_path", "a"), ("work_mem of app", "b")];
        assert_eq!(differ(SETTING, &two, &two), (0, 0));
        assert_eq!(differ(SETTING, &two, &[]), (0, 1), "a dump of one database alone");
        assert_eq!(differ(SETTING, &two, &two[..1]), (1, 0));
        assert_eq!(differ(SETTING, &two, &[("search_path", "z"), two[1]]), (1, 0));
        assert_eq!(differ(SETTING, &[], &two), (2, 0));
        assert_eq!(differ(SETTING, &[], &[]), (0, 0));
    }

    #[test]
    fn what_print_does_not_show_may_be_gone_and_not_another() {
        assert_eq!(differ(REFERENCE_SYSTEM, &[("t.p", "4326")], &[]), (0, 1));
        assert_eq!(differ(REFERENCE_SYSTEM, &[("t.p", "4326")], &[("t.p", "101")]), (1, 0));
        assert_eq!(differ(REFERENCE_SYSTEM, &[], &[("t.p", "101")]), (1, 0));
        assert_eq!(differ(DEFAULT, &[("collation", "utf8mb4_bin")], &[("collation", "latin1_bin")]), (0, 1));
        assert_eq!(differ(DEFAULT, &[("collation", "utf8mb4_bin")], &[("collation", "utf8mb4_bin")]), (0, 0));
        let more = [("collation", "C"), ("character classes", "C.UTF-8")];
        assert_eq!(differ(DEFAULT, &more[..1], &more), (0, 0), "what earlier manifests did not note");
    }

    #[test]
    fn another_provider_of_locales_is_said_where_one_of_the_two_is_the_c_library() {
        let libc = [(ENCODING, "UTF8"), (CLASSES, "en_US.UTF-8")];
        let icu = [libc[0], libc[1], (PROVIDER, "icu"), (PROVIDERS_LOCALE, "sv")];
        for (before, now, words) in
            [(&icu[..], &libc[..], "(icu when it was captured, libc here)"), (&libc, &icu, "(libc when it was captured, icu here)")]
        {
            let said = said(&of(DEFAULT, before).to_value(), &of(DEFAULT, now));
            assert!(said.len() == 1 && said[0].contains("own locale provider") && said[0].contains(words), "{said:?}");
        }
        assert_eq!((differ(DEFAULT, &libc, &libc), differ(DEFAULT, &icu, &icu)), ((0, 0), (0, 0)));
        assert_eq!(differ(DEFAULT, &libc[..1], &icu), (0, 0), "what earlier manifests did not note");
    }

    #[test]
    fn numbers_that_were_reserved_are_said() {
        assert_eq!(differ(AUTO_INCREMENT, &[("t", "8")], &[("t", "6")]), (0, 1));
        assert_eq!(differ(AUTO_INCREMENT, &[("t", "8")], &[("t", "9")]), (0, 0));
        assert_eq!(differ(AUTO_INCREMENT, &[("t", "5001")], &[("t", "301")]), (1, 0));
        assert_eq!((reserved(0), reserved(i128::MIN), reserved(i128::MAX)), (0, 0, MOST_RESERVED));
    }
}
