//! What differs between what two databases define, of which one may be a manifest's word.
//!
//! Numbers are not compared byte for byte. The position of a sequence may be ahead of the baseline's: engines hand out numbers ahead of
//! their use, and a recovery goes on after the last that may have been used; behind it the same numbers would be given twice. And what the
//! reader itself was granted is no part of a comparison: it has to be granted on a restored copy before it can be read.
//!
//! Not here: which words mean the same (`alike`); what a dump does not carry, which is said and not told as a difference (`not_carried`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::counts::Counts;
use crate::model::finding::Class;
use crate::model::not_compared::RARELY_SHOWN;
use crate::verify::sql::definitions::belonging::{GRANT, GRANT_ON, OWNERS, Owner, SETTING, TABLE, in_findings, owners};
use crate::verify::sql::definitions::kinds::{COLUMN_ORDER, Definitions, HIDDEN, POSITION, READER, in_one_line, is_number};
use crate::verify::sql::definitions::{alike, not_carried};

/// What a manifest's header says was not shown when it was captured.
pub fn hidden_before(before: &Value) -> Option<String> {
    in_one_line(
        before[HIDDEN].as_object().into_iter().flatten().map(|(kind, right)| (kind.as_str(), right.as_str().unwrap_or("another right"))),
    )
}

/// Whether the manifest's reader was not shown kinds that most readers are: what a restore has lost of them is not seen.
pub fn has_hidden_before(before: &Value) -> bool {
    before[HIDDEN].as_object().into_iter().flatten().any(|(kind, _)| !RARELY_SHOWN.contains(&kind.as_str()))
}

/// Kinds of which the manifest says nothing at all, in one line: earlier versions did not know of them, or the server of then did not
/// have them.
pub fn unknown_before(before: &Value, now: &Definitions) -> Option<String> {
    let kinds: Vec<&str> = now.kinds().filter(|kind| before[*kind].is_null() && before[HIDDEN][*kind].is_null()).collect();
    (!kinds.is_empty()).then(|| kinds.join(", "))
}

/// What `before` holds and this reader is not shown, in one line: nothing can be said of it. `rarely`: only of the kinds that few readers
/// are shown, such as the grants of others; else only of all the rest.
pub fn unseen(before: &Value, now: &Definitions, rarely: bool) -> Option<String> {
    let is_held = |kind: &str| match (before[kind].as_object(), now.of_kind(kind)) {
        (Some(old), Some(new)) => old.keys().any(|name| !new.contains_key(name)),
        (old, None) => old.is_some_and(|old| !old.is_empty()),
        (None, _) => false,
    };
    in_one_line(now.not_shown().filter(|(kind, _)| RARELY_SHOWN.contains(kind) == rarely && is_held(kind)))
}

/// Kinds that belong to tables which their names do not tell.
const UNNAMED: [&str; 2] = ["index", "statistics"];

/// How a definition is that one side lacks.
pub const ABSENT: &str = "absent";

/// Something that is defined otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its kind and name.
    pub what: String,
    /// How it was.
    pub before: String,
    /// How it is.
    pub now: String,
}

/// How many definitions are equal, of the kinds that both sides show.
pub fn equal(before: &Value, now: &Definitions) -> Counts {
    let mut counts = Counts::default();
    for (kind, old) in before.as_object().into_iter().flatten() {
        let (Some(old), Some(new)) = (old.as_object(), now.of_kind(kind)) else { continue };
        let same = |name: &str, before: &str| new.contains_key(name) && is_same(kind, name, before, now);
        let equal = old.iter().filter(|(name, before)| before.as_str().is_some_and(|before| same(name, before))).count();
        counts.add_many(Class::Match, equal as u64);
    }
    counts
}

/// What has been told of tables, by the names that findings use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Those that only one side has, or that could not be read.
    pub tables: BTreeSet<String>,
    /// Of these, the ones that could not be read.
    pub unread: BTreeSet<String>,
    /// Columns that only one side has, each as `TABLE.COLUMN`.
    pub columns: BTreeSet<String>,
}

impl Told {
    /// Whether it has been told with its column.
    fn is_of_column(&self, kind: &str, name: &str) -> bool {
        let column = match kind {
            "column" | "collation of" => name,
            GRANT => name.rsplit_once(" to ").map_or(name, |(column, _)| column),
            _ => return false,
        };
        self.columns.contains(column) || column.strip_prefix("public.").is_some_and(|column| self.columns.contains(column))
    }
}

impl Told {
    /// Whether it is, or belongs to, a table that could not be read: what became of it is not known.
    fn is_of_unread(&self, kind: &str, name: &str, now: &Definitions) -> bool {
        let is_unread = |name: &str| is_among(&self.unread, name, now);
        // The snapshot still has such an index, and the server has no words for it any more.
        let is_anybodys = UNNAMED.contains(&kind) && !self.unread.is_empty();
        is_anybodys || is_unread(name) || owners(kind, name).any(|owner| owner.may_be(TABLE) && is_unread(owner.name))
    }

    /// Whether a table that could not be read is not there any more: somebody dropped it meanwhile, and whatever else is absent may have gone
    /// with it (an index by its name alone is nobody's, and CASCADE takes views along).
    fn has_lost_one(&self, now: &Definitions) -> bool {
        let is_there = |name: &String| {
            let of_kind = |kind: &str| {
                now.of_kind(kind).is_some_and(|names| names.contains_key(name) || names.contains_key(&format!("public.{name}")))
            };
            of_kind(TABLE) || of_kind(COLUMN_ORDER)
        };
        !self.unread.iter().all(is_there)
    }
}

/// Whether a name is one of these tables, by the name that findings use. Where names have schemas, one without a schema is that of a schema.
fn is_among(tables: &BTreeSet<String>, name: &str, now: &Definitions) -> bool {
    let has_schemas = now.of_kind("extension").is_some();
    !tables.is_empty() && (!has_schemas && tables.contains(name) || in_findings(name).any(|name| tables.contains(&name)))
}

/// How many definitions `before` holds.
pub fn held(before: &Value) -> u64 {
    let kinds = before.as_object().into_iter().flatten().filter(|(kind, _)| *kind != HIDDEN);
    kinds.map(|(_, names)| names.as_object().map_or(0, |names| names.len() as u64)).sum()
}

/// How many of `before` were not read: they belong to a table that could not be, and are not there or are others; or the reader is not shown
/// them, of a kind that most readers are shown. They stay expected.
pub fn not_read(before: &Value, now: &Definitions, told: &Told) -> u64 {
    let mut n = 0;
    for (kind, old) in before.as_object().into_iter().flatten().filter(|(kind, _)| *kind != HIDDEN) {
        let Some(old) = old.as_object() else { continue };
        let (new, hidden) = (now.of_kind(kind), is_hidden_from(kind, now));
        let may_be_gone = hidden || new.is_some() && told.has_lost_one(now);
        let is_not_read = |name: &str, text: &str| {
            let is_there = new.is_some_and(|new| new.contains_key(name));
            (may_be_gone && !is_there) || (new.is_some() && told.is_of_unread(kind, name, now) && !is_same(kind, name, text, now))
        };
        let names = old.iter().filter(|(name, _)| !is_readers(kind, name, before, now));
        n += names.filter(|(name, text)| is_not_read(name, text.as_str().unwrap_or_default())).count() as u64;
    }
    n
}

/// How many names of `before` are there now, be they defined otherwise.
pub fn shown(before: &Value, now: &Definitions) -> u64 {
    let of_kind = |(kind, old): (&String, &Value)| {
        let names = old.as_object().into_iter().flatten();
        names.filter(|(name, _)| now.of_kind(kind).is_some_and(|new| new.contains_key(*name))).count() as u64
    };
    before.as_object().into_iter().flatten().map(of_kind).sum()
}

/// Whether a kind is one that most readers are shown, and this one is not.
fn is_hidden_from(kind: &str, now: &Definitions) -> bool {
    !RARELY_SHOWN.contains(&kind) && now.not_shown().any(|(hidden, _)| hidden == kind)
}

/// How many definitions of `before` are gone with what they belong to, so that they are not told one by one; `told` as in [`changes`]. What
/// belongs to a table that could not be read is not counted: whether it is gone is not known.
pub fn gone_with_another(before: &Value, now: &Definitions, told: &Told) -> u64 {
    let changed: BTreeSet<String> = changes(before, now, told).into_iter().map(|change| change.what).collect();
    let mut gone = 0;
    for (kind, old) in before.as_object().into_iter().flatten() {
        let (Some(old), Some(new)) = (old.as_object(), now.of_kind(kind)) else { continue };
        let is_told = |name: &str| changed.contains(&format!("{kind} {name}"));
        let is_left = |name: &str| not_carried::excuses(kind, name, old, new);
        let is_unknown = is_hidden_from(kind, now) || told.has_lost_one(now);
        let is_known =
            |name: &str| !is_unknown && !is_left(name) && !is_readers(kind, name, before, now) && !told.is_of_unread(kind, name, now);
        gone += old.keys().filter(|name| !new.contains_key(*name) && !is_told(name) && is_known(name)).count() as u64;
    }
    gone
}

/// Whether it is a right of the user that one of the sides was read by, which is no difference between the two.
fn is_readers(kind: &str, name: &str, before: &Value, now: &Definitions) -> bool {
    let mut readers = before[READER].as_str().into_iter().chain(now.reader());
    let link = match kind {
        GRANT | GRANT_ON => " to ",
        SETTING => " of ",
        _ => return false,
    };
    readers.any(|reader| name.strip_suffix(reader).is_some_and(|rest| rest.ends_with(link)))
}

fn is_same(kind: &str, name: &str, before: &str, now: &Definitions) -> bool {
    let Some(value) = now.of_kind(kind).and_then(|names| names.get(name)) else { return false };
    let equal = before == value || now.former(kind, name) == Some(before);
    equal || alike::is_alike(kind, before, value)
}

/// What changed since `before`, which is of a manifest's header. Only kinds that both sides show are compared. What one side lacks is told
/// without all that belongs to it, and what is in `told` has been said already.
pub fn changes(before: &Value, now: &Definitions, told: &Told) -> Vec<Change> {
    let lone = lone(before, now);
    let is_another = |name: &str| before["sequence"][name].as_str().is_some_and(|text| !is_same("sequence", name, text, now));
    let mut found = Vec::new();
    for (kind, old) in before.as_object().into_iter().flatten() {
        let (Some(old), Some(new)) = (old.as_object(), now.of_kind(kind)) else { continue };
        let mut tell = |name: &str, before: &str, now: &str| {
            found.push(Change { what: format!("{kind} {name}"), before: before.to_owned(), now: now.to_owned() });
        };
        let is_told = |name: &str| is_among(&told.tables, name, now);
        let is_gone = |owner: Owner<'_>| lone.get(owner.name).is_some_and(|kinds| kinds.iter().any(|kind| owner.may_be(kind)));
        let follows = |name: &str| owners(kind, name).any(|owner| is_gone(owner) || owner.may_be(TABLE) && is_told(owner.name));
        let counts = |name: &str| {
            let is_said = kind == TABLE && is_told(name) || follows(name) || told.is_of_column(kind, name);
            !(is_readers(kind, name, before, now) || is_said || told.is_of_unread(kind, name, now))
        };
        for (name, before) in old.iter().filter(|(name, _)| counts(name)) {
            let text = before.as_str().unwrap_or_default();
            match new.get(name) {
                Some(_) if is_same(kind, name, text, now) => {}
                _ if not_carried::excuses(kind, name, old, new) => {}
                Some(now) => tell(name, text, now),
                // One that may not be seen may be there; one that has become another has no position, which is told.
                None if is_hidden_from(kind, now) || told.has_lost_one(now) || kind == POSITION && is_another(name) => {}
                None => tell(name, "defined", ABSENT),
            }
        }
        let is_new = |name: &&String| !is_number(kind) && !old.contains_key(*name) && !not_carried::excuses(kind, name, old, new);
        for name in new.keys().filter(|name| is_new(name) && counts(name)) {
            tell(name, ABSENT, "defined");
        }
    }
    found
}

/// The names of what only one side has, each with its kinds.
fn lone<'a>(before: &'a Value, now: &'a Definitions) -> BTreeMap<&'a str, Vec<&'static str>> {
    let mut names: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    for kind in OWNERS {
        let (Some(old), Some(new)) = (before[kind].as_object(), now.of_kind(kind)) else { continue };
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        let more = new.keys().filter(|name| !old.contains_key(*name));
        gone.chain(more).for_each(|name| names.entry(name.as_str()).or_default().push(kind));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &Definitions, now: &Definitions) -> Vec<String> {
        changes(&before.to_value(), now, &Told::default()).into_iter().map(|change| change.what).collect()
    }

    #[test]
    fn only_what_both_sides_show_is_compared() {
        let mut before = Definitions::of_kinds(["view", "trigger"], None);
        for (name, text) in [("a", "1"), ("b", "2"), ("c", "3")] {
            before.add("view", name.into(), text);
        }
        before.add("trigger", "t".into(), "4");
        let mut now = Definitions::of_kinds(["view", "event"], None);
        for (name, text) in [("a", "1"), ("b", "9"), ("d", "5")] {
            now.add("view", name.into(), text);
        }
        now.add("event", "e".into(), "6");
        assert_eq!(told(&before, &now), ["view b", "view c", "view d"]);
        now.show("trigger");
        assert_eq!(told(&before, &now), ["trigger t", "view b", "view c", "view d"]);
    }

    #[test]
    fn what_a_reader_is_not_shown_is_said_and_not_taken_for_absent() {
        let mut before = Definitions::of_kinds(["view", "event"], None);
        before.add("event", "e".into(), "1");
        let mut now = Definitions::of_kinds(["view"], None);
        now.hide("event", "EVENT");
        now.hide("routine", "SHOW CREATE ROUTINE");
        assert!(told(&before, &now).is_empty());
        assert_eq!(equal(&before.to_value(), &now).expected, 0);
        assert_eq!(unseen(&before.to_value(), &now, false).as_deref(), Some("event (needs EVENT)"));
        assert_eq!(hidden_before(&now.to_value()).as_deref(), Some("event (needs EVENT), routine (needs SHOW CREATE ROUTINE)"));
        assert_eq!((hidden_before(&before.to_value()), unseen(&now.to_value(), &before, false), before.hidden()), (None, None, None));
        // Some names of a kind are shown, and others not.
        now.add("event", "e".into(), "1");
        assert_eq!(unseen(&before.to_value(), &now, false), None);
        before.add("event", "f".into(), "1");
        assert!(unseen(&before.to_value(), &now, false).is_some());
    }

    #[test]
    fn a_definition_of_many_lines_has_each_of_them_in_its_place() {
        let of = |lines: &[&str]| {
            let mut one = Definitions::default();
            lines.iter().for_each(|line| one.add("index", "i".into(), line));
            one
        };
        assert_eq!(told(&of(&["a", "b"]), &of(&["a", "b"])), Vec::<String>::new());
        for other in [&["b", "a"][..], &["a"], &["a", "b", "b"], &["a\nb"]] {
            assert_eq!(told(&of(&["a", "b"]), &of(other)), ["index i"]);
        }
    }

    #[test]
    fn what_is_gone_is_told_once_with_all_that_belongs_to_it() {
        let mut before = Definitions::of_kinds([TABLE, "column", "owner", GRANT, "routine"], None);
        let mut now = before.clone();
        for (kind, name) in [
            (TABLE, "public.t"),
            ("column", "public.t.a"),
            ("owner", "relation public.t"),
            (GRANT, "public.t to app"),
            (GRANT, "public.t.a to app"),
            ("routine", "public.f()"),
            (GRANT, "public.f() to PUBLIC"),
            ("column", "public.tt.a"),
        ] {
            before.add(kind, name.into(), "it");
        }
        assert_eq!(told(&before, &now), ["column public.tt.a", "routine public.f()", "table public.t"]);
        let of_table = Told { tables: ["t".to_owned()].into(), ..Told::default() };
        let told_of_it = changes(&before.to_value(), &now, &of_table);
        assert_eq!(told_of_it.iter().map(|change| change.what.as_str()).collect::<Vec<_>>(), ["column public.tt.a", "routine public.f()"]);
        now.add(TABLE, "public.t".into(), "it");
        assert_eq!(told(&before, &now).len(), 6, "what a table has lost is told of one that is there");
    }

    #[test]
    fn what_has_a_name_in_common_with_what_is_gone_is_told() {
        let mut before = Definitions::of_kinds([TABLE, "column", "publication", "view", "owner of", "extension"], None);
        let mut now = before.clone();
        before.add("publication", "app".into(), "it");
        before.add("owner of", "publication app".into(), "it");
        before.add("view", "public.v".into(), "it");
        for (name, text) in [("app.t.a", "1"), ("app.t.b", "1"), ("public.t.a", "1")] {
            before.add("column", name.into(), text);
            now.add("column", name.into(), "2");
        }
        let of_app = ["column app.t.a", "column app.t.b"];
        assert_eq!(told(&before, &now), [&of_app[..], &["column public.t.a", "publication app", "view public.v"]].concat());
        // The table `app` of the schema `public` is not the schema `app`.
        for unread in [BTreeSet::from(["app".to_owned(), "t".to_owned()]), BTreeSet::new()] {
            let told = Told { tables: ["app".to_owned(), "t".to_owned()].into(), unread, ..Told::default() };
            let found: Vec<String> = changes(&before.to_value(), &now, &told).into_iter().map(|change| change.what).collect();
            assert_eq!(found[..2], of_app, "{found:?}");
            assert!(!found.contains(&"column public.t.a".to_owned()), "{found:?}");
        }
    }

    #[test]
    fn what_was_not_read_stays_expected_and_is_no_difference() {
        let mut before = Definitions::of_kinds([TABLE, "index", "view", "check", "event"], Some("r".into()));
        for (kind, name) in
            [(TABLE, "public.t"), (TABLE, "public.u"), ("index", "public.i"), ("view", "public.v"), ("check", "public.t.c"), ("event", "e")]
        {
            before.add(kind, name.into(), "it");
        }
        let unread = Told { tables: ["t".to_owned()].into(), unread: ["t".to_owned()].into(), ..Told::default() };
        let mut now = Definitions::of_kinds([TABLE, "index", "view", "check"], Some("r".into()));
        now.hide("event", "EVENT");
        now.add(TABLE, "public.u".into(), "it");
        now.add("view", "public.v".into(), "another");
        let of = |now: &Definitions| {
            let before = before.to_value();
            let told: Vec<String> = changes(&before, now, &unread).into_iter().map(|change| change.what).collect();
            (told, equal(&before, now).matched, gone_with_another(&before, now, &unread), not_read(&before, now, &unread))
        };
        // The table is gone by now: its check, an index that may have been its, and an event that is not shown.
        assert_eq!(of(&now), (vec!["view public.v".to_owned()], 1, 0, 4));
        assert_eq!((held(&before.to_value()), shown(&before.to_value(), &now)), (6, 2));
        // It is there, and was locked: an index by its name alone may be its, and what else is absent is absent.
        now.add(TABLE, "public.t".into(), "it");
        assert_eq!(of(&now), (vec!["view public.v".to_owned()], 2, 0, 3));
    }

    #[test]
    fn only_what_belongs_to_closed_tables_is_left() {
        let mut all = Definitions::of_kinds(["partition", TABLE, GRANT, "routine"], Some("r".into()));
        all.hide("event", "EVENT");
        for (kind, name) in
            [(TABLE, "public.t"), (TABLE, "public.u"), ("partition", "t.p0"), ("partition", "t.p1"), (GRANT, "t.a to x"), ("routine", "f")]
        {
            all.add(kind, name.into(), "it");
        }
        assert_eq!(Definitions::of_value(&all.to_value()), all);
        all.retain_of_tables(|table, partition| table == "t" && partition.is_none_or(|partition| partition == "p0"));
        let of = |kind: &str| all.of_kind(kind).unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!([of(GRANT), of("partition"), of(TABLE), of("routine")], ["t.a to x", "t.p0", "public.t", ""]);
    }

    #[test]
    fn a_column_of_one_side_is_told_with_its_table() {
        let before = Definitions::of_kinds(["column", "collation of", GRANT], None);
        let mut now = before.clone();
        for (kind, name) in [("column", "public.t.a"), ("collation of", "public.t.a"), (GRANT, "public.t.a to app"), ("column", "app.t.a")]
        {
            now.add(kind, name.into(), "it");
        }
        let told_with = |column: &str| {
            let told = Told { columns: [column.to_owned()].into(), ..Told::default() };
            changes(&before.to_value(), &now, &told).into_iter().map(|change| change.what).collect::<Vec<_>>()
        };
        assert_eq!(told_with("t.a"), ["column app.t.a"]);
        assert_eq!(told_with("app.t.a"), ["collation of public.t.a", "column public.t.a", "grant public.t.a to app"]);
    }

    #[test]
    fn a_sequence_may_be_ahead_and_not_behind() {
        let at = |position: &str| {
            let mut one = Definitions::of_kinds([POSITION], None);
            one.add(POSITION, "s".into(), position);
            one
        };
        assert!(told(&at("100"), &at("100")).is_empty() && told(&at("100"), &at("132")).is_empty() && told(&at("-9"), &at("7")).is_empty());
        assert_eq!(told(&at("100"), &at("99")), ["sequence position s"]);
        assert_eq!(told(&at("18446744073709551615"), &at("1")), ["sequence position s"]);
        assert_eq!(told(&at("100"), &at("many")), ["sequence position s"]);
        let none = Definitions::of_kinds([POSITION], None);
        assert_eq!(told(&at("100"), &none), ["sequence position s"], "SQLite keeps nothing else of a sequence");
        let mut hidden = none.clone();
        hidden.hide(POSITION, "SELECT on the sequence");
        assert!(told(&at("100"), &hidden).is_empty());
        let with = |text: &str, positions: &Definitions| {
            let mut one = positions.clone();
            one.add("sequence", "s".into(), text);
            one
        };
        assert_eq!(told(&with("no cycle", &at("100")), &with("cycle", &none)), ["sequence s"], "it may be anywhere now");
        assert_eq!(told(&with("no cycle", &at("100")), &with("no cycle", &none)), ["sequence position s"]);
    }

    #[test]
    fn a_manifest_in_the_words_of_an_earlier_version_is_compared_by_what_it_holds() {
        let mut before = Definitions::of_kinds(["type"], None);
        before.add("type", "e".into(), "e a,b");
        let mut now = Definitions::of_kinds(["type", "collation"], None);
        now.add_reworded("type", "e".into(), "e 'a','b'", "e a,b");
        now.add("collation", "c".into(), "de");
        assert!(told(&before, &now).is_empty() && equal(&before.to_value(), &now).matched == 1);
        assert_eq!(unknown_before(&before.to_value(), &now).as_deref(), Some("collation"));
        let mut other = Definitions::of_kinds(["type", "collation"], None);
        other.add_reworded("type", "e".into(), "e 'a','c'", "e a,c");
        assert_eq!(told(&before, &other), ["type e"]);
        assert_eq!(told(&now, &other), ["collation c", "type e"]);
        assert_eq!(unknown_before(&now.to_value(), &other), None);
        // The same in words of then, and not in those of now.
        let mut joined = Definitions::of_kinds(["type"], None);
        joined.add_reworded("type", "e".into(), "e 'a,b'", "e a,b");
        assert_eq!((told(&now, &joined), told(&before, &joined)), (vec!["type e".to_owned()], vec![]));
    }

    #[test]
    fn the_rights_of_both_readers_are_no_difference() {
        let of = |grants: &[&str], reader: &str| {
            let mut one = Definitions::of_kinds([GRANT], Some(reader.to_owned()));
            grants.iter().for_each(|grant| one.add(GRANT, (*grant).to_owned(), "SELECT"));
            one
        };
        let before = of(&["public.t to app", "public.t to drill"], "drill");
        assert!(told(&before, &of(&["public.t to app", "public.t to auditor"], "auditor")).is_empty());
        assert_eq!(
            told(&before, &of(&["public.t to other", "public.t to drill"], "auditor")),
            ["grant public.t to app", "grant public.t to other"]
        );
        assert_eq!(told(&before, &of(&["public.t to app", "public.t to xauditor"], "auditor")), ["grant public.t to xauditor"]);
        let of = |kind: &str, name: &str| {
            let mut one = Definitions::of_kinds([kind], Some("drill".into()));
            one.add(kind, name.into(), "it");
            one.add(kind, "other".into(), "it");
            one
        };
        assert_eq!(told(&of(SETTING, "search_path of app"), &of(SETTING, "search_path of drill")), ["setting search_path of app"]);
        assert_eq!(told(&of(GRANT_ON, "language l to app"), &of(GRANT_ON, "language l to drill")).len(), 1);
    }
}
