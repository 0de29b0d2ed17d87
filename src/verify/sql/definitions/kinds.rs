//! Definitions by kind and name, each as a digest, and what differs between two databases. A kind that the reader's rights do not show in
//! full is not there at all, and then not compared.
//!
//! Two kinds are not compared byte for byte. The position of a sequence may be ahead of the baseline's: engines hand out numbers ahead of
//! their use, and a recovery goes on after the last that may have been used; behind it the same numbers would be given twice. And what the
//! reader itself was granted is no part of a comparison: it has to be granted on a restored copy before it can be read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::counts::Counts;
use crate::model::finding::Class;

/// The kind of tables.
pub const TABLE: &str = "table";

/// The kind whose names end in ` to ROLE`.
pub const GRANT: &str = "grant";

/// The kind whose definitions are whole numbers: how many steps a sequence has come from zero in its own direction.
pub const POSITION: &str = "sequence position";

/// The kind of what sessions are given by the database: a dump holds it only if it was asked to, so that a copy without any is not compared.
pub const SETTING: &str = "setting";

/// The kind of the order that a table's columns stand in.
pub const COLUMN_ORDER: &str = "column order";

/// What one database defines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Definitions {
    kinds: BTreeMap<String, BTreeMap<String, String>>,
    /// Who has asked, as grants name it.
    reader: Option<String>,
    /// Kinds that the reader is not shown in full, and the right that it lacks.
    hidden: BTreeMap<String, String>,
}

impl Definitions {
    /// None of each of these kinds, and says of each that it is shown.
    pub fn of_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>, reader: Option<String>) -> Self {
        Self { kinds: kinds.into_iter().map(|kind| (kind.to_owned(), BTreeMap::new())).collect(), reader, hidden: BTreeMap::new() }
    }

    /// Says that a kind is shown.
    pub fn show(&mut self, kind: &str) {
        self.kinds.entry(kind.to_owned()).or_default();
    }

    /// Says that a kind is not shown, or not in full, to readers without `right`.
    pub fn hide(&mut self, kind: &str, right: &str) {
        self.hidden.insert(kind.to_owned(), right.to_owned());
    }

    /// What is not shown, and the rights that it takes, in one line; nothing where all is.
    pub fn hidden(&self) -> Option<String> {
        in_one_line(self.hidden.iter().map(|(kind, right)| (kind.as_str(), right.as_str())))
    }

    /// Adds a definition as its digest; a position as it is. What is added to the same name once more continues its definition.
    pub fn add(&mut self, kind: &str, name: String, definition: &str) {
        let of_kind = self.kinds.entry(kind.to_owned()).or_default();
        let before = of_kind.get(&name);
        let value = match (kind, before) {
            (POSITION, _) => definition.to_owned(),
            (_, None) => digest(definition),
            (_, Some(before)) => digest(&format!("{before}\n{definition}")),
        };
        of_kind.insert(name, value);
    }

    /// As a manifest's header has kept them.
    pub fn of_value(kept: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names = |value: &Value| value.as_object().into_iter().flatten().map(|(name, held)| (name.clone(), text(held))).collect();
        let kinds = kept.as_object().into_iter().flatten().filter(|(kind, held)| *kind != HIDDEN && held.is_object());
        Self {
            kinds: kinds.map(|(kind, held)| (kind.clone(), names(held))).collect(),
            reader: kept[READER].as_str().map(str::to_owned),
            hidden: names(&kept[HIDDEN]),
        }
    }

    /// Takes a kind out; says whether there was one of it.
    pub fn leave_out(&mut self, kind: &str) -> bool {
        self.kinds.remove(kind).is_some_and(|names| !names.is_empty())
    }

    /// Leaves those alone that belong to tables for which `counts` is true, by the name that findings use, and a partition's where there is one.
    pub fn retain_of_tables(&mut self, counts: impl Fn(&str, Option<&str>) -> bool) {
        for (kind, names) in &mut self.kinds {
            names.retain(|name, _| {
                let within = owned_name(kind, name);
                let tables = within.match_indices('.').map(|(dot, _)| dot).chain([within.len()]);
                tables.into_iter().any(|end| {
                    let (table, rest) = (&within[..end], within.get(end + 1..).filter(|_| kind == "partition"));
                    counts(table, rest) || table.strip_prefix("public.").is_some_and(|table| counts(table, rest))
                })
            });
        }
    }

    /// As a manifest's header keeps them.
    pub fn to_value(&self) -> Value {
        let mut kinds: Map<String, Value> = self.kinds.iter().map(|(kind, names)| (kind.clone(), json!(names))).collect();
        if let Some(reader) = &self.reader {
            kinds.insert(READER.to_owned(), json!(reader));
        }
        if !self.hidden.is_empty() {
            kinds.insert(HIDDEN.to_owned(), json!(self.hidden));
        }
        Value::Object(kinds)
    }
}

/// Beside the kinds, whose values are objects.
const READER: &str = "reader";

/// Beside the kinds too: those that were not shown, and the rights that it takes.
const HIDDEN: &str = "not shown";

fn in_one_line<'a>(hidden: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let each: Vec<String> = hidden.map(|(kind, right)| format!("{kind} (needs {right})")).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// What a manifest's header says was not shown when it was captured.
pub fn hidden_before(before: &Value) -> Option<String> {
    in_one_line(
        before[HIDDEN].as_object().into_iter().flatten().map(|(kind, right)| (kind.as_str(), right.as_str().unwrap_or("another right"))),
    )
}

/// What `before` holds and this reader is not shown, in one line: nothing can be said of it. Grants are not among it: few readers may see
/// those of others.
pub fn unseen(before: &Value, now: &Definitions) -> Option<String> {
    let is_held = |kind: &str| match (before[kind].as_object(), now.kinds.get(kind)) {
        (Some(old), Some(new)) => old.keys().any(|name| !new.contains_key(name)),
        (old, None) => old.is_some(),
        (None, _) => false,
    };
    in_one_line(now.hidden.iter().filter(|(kind, _)| *kind != GRANT && is_held(kind)).map(|(kind, right)| (kind.as_str(), right.as_str())))
}

/// Says where one side has settings of the database and the other has none at all: then they are not compared.
pub fn settings_of_one_side(before: &Value, now: &Definitions) -> Option<String> {
    let side = match (before[SETTING].is_object(), now.kinds.contains_key(SETTING)) {
        (true, false) => "the database that was checked has none of the settings that the baseline has for its sessions",
        (false, true) => "the database that was checked has settings for its sessions, and the baseline has none",
        _ => return None,
    };
    Some(format!("{side}: they are not compared (pg_dump keeps them with --create only)"))
}

/// The first 16 bytes of BLAKE3 in key derivation mode.
fn digest(definition: &str) -> String {
    hex::encode(&blake3::derive_key("attestore definition v1", definition.as_bytes())[..16])
}

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
        let (Some(old), Some(new)) = (old.as_object(), now.kinds.get(kind)) else { continue };
        let same = |name: &str, before: &str| new.get(name).is_some_and(|now| is_same(kind, before, now));
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
    /// Whether it has been told with the column `name`, or, of the order of a table's columns, that they are not the same ones.
    fn is_of_column(&self, kind: &str, name: &str) -> bool {
        let bare = name.strip_prefix("public.").unwrap_or(name);
        match kind {
            "column" => self.columns.contains(name) || self.columns.contains(bare),
            COLUMN_ORDER => {
                self.columns.iter().any(|column| column.rsplit_once('.').is_some_and(|(table, _)| table == name || table == bare))
            }
            GRANT => self.is_of_column("column", name.rsplit_once(" to ").map_or(name, |(column, _)| column)),
            _ => false,
        }
    }
}

/// How many definitions of `before` are gone with what they belong to, so that they are not told one by one; `told` as in [`changes`]. What
/// belongs to a table that could not be read is not counted: whether it is gone is not known.
pub fn gone_with_another(before: &Value, now: &Definitions, told: &Told) -> u64 {
    let unread = &told.unread;
    let changed: BTreeSet<String> = changes(before, now, told).into_iter().map(|change| change.what).collect();
    let mut gone = 0;
    for (kind, old) in before.as_object().into_iter().flatten().filter(|(kind, _)| *kind != POSITION) {
        let (Some(old), Some(new)) = (old.as_object(), now.kinds.get(kind)) else { continue };
        let is_told = |name: &str| changed.contains(&format!("{kind} {name}"));
        let is_unread = |name: &str| unread.contains(name) || name.strip_prefix("public.").is_some_and(|name| unread.contains(name));
        let is_known = |name: &str| !is_readers(kind, name, before, now) && !is_unread(name) && !owners(kind, name).any(is_unread);
        gone += old.keys().filter(|name| !new.contains_key(*name) && !is_told(name) && is_known(name)).count() as u64;
    }
    gone
}

/// Whether it is a right of the user that one of the sides was read by, which is no difference between the two.
fn is_readers(kind: &str, name: &str, before: &Value, now: &Definitions) -> bool {
    let mut readers = before[READER].as_str().into_iter().chain(now.reader.as_deref());
    kind == GRANT && readers.any(|reader| name.strip_suffix(reader).is_some_and(|rest| rest.ends_with(" to ")))
}

fn is_same(kind: &str, before: &str, now: &str) -> bool {
    before == now || (kind == POSITION && !is_behind(before, now))
}

/// What changed since `before`, which is of a manifest's header. Only kinds that both sides show are compared. What one side lacks is told
/// without all that belongs to it, and what is in `told` has been said already.
pub fn changes(before: &Value, now: &Definitions, told: &Told) -> Vec<Change> {
    let lone = lone(before, now);
    let mut found = Vec::new();
    for (kind, old) in before.as_object().into_iter().flatten() {
        let (Some(old), Some(new)) = (old.as_object(), now.kinds.get(kind)) else { continue };
        let mut tell = |name: &str, before: &str, now: &str| {
            found.push(Change { what: format!("{kind} {name}"), before: before.to_owned(), now: now.to_owned() });
        };
        let tables = &told.tables;
        let is_told = |name: &str| tables.contains(name) || name.strip_prefix("public.").is_some_and(|name| tables.contains(name));
        let follows = |name: &str| owners(kind, name).any(|owner| lone.contains(owner) || is_told(owner));
        let counts = |name: &str| {
            !(is_readers(kind, name, before, now) || kind == TABLE && is_told(name) || follows(name) || told.is_of_column(kind, name))
        };
        for (name, before) in old.iter().filter(|(name, _)| counts(name)) {
            let before = before.as_str().unwrap_or_default();
            match new.get(name) {
                Some(now) if is_same(kind, before, now) => {}
                Some(now) => tell(name, before, now),
                // A sequence that is gone is told as such, and one whose position may not be seen has none; a table whose order of columns is
                // that of another has none either.
                None if matches!(kind.as_str(), POSITION | COLUMN_ORDER) => {}
                None => tell(name, "defined", ABSENT),
            }
        }
        let has_none = matches!(kind.as_str(), POSITION | COLUMN_ORDER);
        for name in new.keys().filter(|name| !has_none && !old.contains_key(*name) && counts(name)) {
            tell(name, ABSENT, "defined");
        }
    }
    found
}

/// Kinds to which definitions of other kinds belong.
const OWNERS: [&str; 8] = [TABLE, "view", "routine", "aggregate", "sequence", "type", "foreign table", "event"];

/// The names of what only one side has.
fn lone<'a>(before: &'a Value, now: &'a Definitions) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for kind in OWNERS {
        let (Some(old), Some(new)) = (before[kind].as_object(), now.kinds.get(kind)) else { continue };
        names.extend(old.keys().filter(|name| !new.contains_key(*name)).map(String::as_str));
        names.extend(new.keys().filter(|name| !old.contains_key(*name)).map(String::as_str));
    }
    names
}

/// The name of what a right or an owner is of; the name itself of other kinds.
fn owned_name<'a>(kind: &str, name: &'a str) -> &'a str {
    match kind {
        "owner" => name.split_once(' ').map_or(name, |(_, name)| name),
        GRANT => name.rsplit_once(" to ").map_or(name, |(name, _)| name.strip_prefix("type ").unwrap_or(name)),
        _ => name,
    }
}

/// What a definition may belong to: what its name begins with.
fn owners<'a>(kind: &str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let name = owned_name(kind, name);
    let itself = (!OWNERS.contains(&kind)).then_some(name);
    itself.into_iter().chain(name.match_indices('.').map(|(dot, _)| &name[..dot]))
}

/// Numbers that cannot be read are not known to be in order.
fn is_behind(before: &str, now: &str) -> bool {
    match (before.parse::<i128>(), now.parse::<i128>()) {
        (Ok(before), Ok(now)) => now < before,
        _ => true,
    }
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
        assert_eq!(unseen(&before.to_value(), &now).as_deref(), Some("event (needs EVENT)"));
        assert_eq!(hidden_before(&now.to_value()).as_deref(), Some("event (needs EVENT), routine (needs SHOW CREATE ROUTINE)"));
        assert_eq!((hidden_before(&before.to_value()), unseen(&now.to_value(), &before), before.hidden()), (None, None, None));
        // Some names of a kind are shown, and others not.
        now.add("event", "e".into(), "1");
        assert_eq!(unseen(&before.to_value(), &now), None);
        before.add("event", "f".into(), "1");
        assert!(unseen(&before.to_value(), &now).is_some());
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
        let left: Vec<String> = all.kinds.iter().flat_map(|(kind, names)| names.keys().map(move |name| format!("{kind} {name}"))).collect();
        assert_eq!(left, ["grant t.a to x", "partition t.p0", "table public.t"]);
    }

    #[test]
    fn a_column_of_one_side_is_told_with_its_table() {
        let mut before = Definitions::of_kinds(["column", COLUMN_ORDER, GRANT], None);
        let mut now = before.clone();
        ["public.t", "app.t", "app.heir"].iter().for_each(|name| before.add(COLUMN_ORDER, (*name).into(), "another"));
        let of = [
            ("column", "public.t.a"),
            (COLUMN_ORDER, "public.t"),
            (GRANT, "public.t.a to app"),
            ("column", "app.t.a"),
            (COLUMN_ORDER, "app.t"),
        ];
        of.iter().for_each(|(kind, name)| now.add(kind, (*name).into(), "it"));
        let told_with = |columns: &[&str]| {
            let columns = columns.iter().map(|column| (*column).to_owned()).collect();
            let found = changes(&before.to_value(), &now, &Told { columns, ..Told::default() });
            found.into_iter().map(|change| change.what).collect::<Vec<_>>()
        };
        assert_eq!(told_with(&["t.a"]), ["column app.t.a", "column order app.t"]);
        assert_eq!(told_with(&["app.t.a"]), ["column public.t.a", "column order public.t", "grant public.t.a to app"]);
        assert_eq!(told_with(&["t.b"]), ["column app.t.a", "column public.t.a", "column order app.t", "grant public.t.a to app"]);
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
        assert!(told(&at("100"), &Definitions::of_kinds([POSITION], None)).is_empty());
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
    }
}
