//! Definitions by kind and name, each as a digest. A kind that the reader's rights do not show in full is not there at all, and then not
//! compared.
//!
//! Texts of earlier versions are kept beside those of today where they differ, so that a manifest of then is compared by what it holds.
//!
//! Not here: what differs between two databases (`differences`), and what a dump does not carry (`not_carried`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::verify::sql::definitions::belonging::{Owner, in_findings, object_of, owners};

/// The kind whose definitions are whole numbers: how many steps a sequence has come from zero in its own direction.
pub const POSITION: &str = "sequence position";

/// Whole numbers too: the next one that a table of MySQL or MariaDB gives.
pub const AUTO_INCREMENT: &str = "auto_increment";

/// In which order a table has its columns: a list of names in JSON, as it is.
pub const COLUMN_ORDER: &str = "column order";

/// What new tables of a database get that name nothing else, as it is.
pub const DEFAULT: &str = "database default";

/// Of geometries of MariaDB, the system of references that they are declared to be in.
pub const REFERENCE_SYSTEM: &str = "reference system";

/// Of what MySQL and MariaDB keep as text and read again: the character set that it was written in, the collation of the session, and the
/// database's, with a star where that is still the database's own; as they are.
pub const CHARACTER_SETS: [&str; 4] = ["view character set", "trigger character set", "event character set", "routine character set"];

/// What one database defines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Definitions {
    kinds: BTreeMap<String, BTreeMap<String, String>>,
    /// The digests that earlier versions had of the same, by kind and name; no manifest keeps them.
    former: BTreeMap<(String, String), String>,
    /// Who has asked, as grants name it.
    reader: Option<String>,
    /// Kinds that the reader is not shown in full, and the right that it lacks.
    hidden: BTreeMap<String, String>,
}

impl Definitions {
    /// None of each of these kinds, and says of each that it is shown.
    pub fn of_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>, reader: Option<String>) -> Self {
        Self { kinds: kinds.into_iter().map(|kind| (kind.to_owned(), BTreeMap::new())).collect(), reader, ..Self::default() }
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
        in_one_line(self.not_shown())
    }

    /// Kinds that are not shown in full, each with the right that it takes.
    pub fn not_shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.hidden.iter().map(|(kind, right)| (kind.as_str(), right.as_str()))
    }

    /// Who has asked.
    pub fn reader(&self) -> Option<&str> {
        self.reader.as_deref()
    }

    /// The kinds that are shown.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// What is defined of a kind, by name; nothing where the kind is not shown.
    pub fn of_kind(&self, kind: &str) -> Option<&BTreeMap<String, String>> {
        self.kinds.get(kind)
    }

    /// The digest that an earlier version had of it, where that is another one.
    pub fn former(&self, kind: &str, name: &str) -> Option<&str> {
        self.former.get(&(kind.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Adds a definition as its digest; a number as it is. What is added to the same name once more continues its definition.
    pub fn add(&mut self, kind: &str, name: String, definition: &str) {
        let of_kind = self.kinds.entry(kind.to_owned()).or_default();
        let value = match of_kind.get(&name) {
            _ if is_number(kind) || is_in_clear(kind) => definition.to_owned(),
            None => digest(definition),
            Some(before) => digest(&format!("{before}\n{definition}")),
        };
        of_kind.insert(name, value);
    }

    /// Adds a definition that earlier versions put into other words.
    pub fn add_reworded(&mut self, kind: &str, name: String, definition: &str, formerly: &str) {
        if definition != formerly {
            self.former.insert((kind.to_owned(), name.clone()), digest(formerly));
        }
        self.add(kind, name, definition);
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
            ..Self::default()
        }
    }

    /// Takes those of a kind out of which this is true, by name and text; their names.
    pub fn take_out(&mut self, kind: &str, is_out: impl Fn(&str, &str) -> bool) -> Vec<String> {
        let Some(names) = self.kinds.get_mut(kind) else { return Vec::new() };
        names.extract_if(.., |name, text| is_out(name, text)).map(|(name, _)| name).collect()
    }

    /// Takes out what has one of these names, each with its kinds, and what belongs to it, but for what is `known`.
    pub fn take_out_with(&mut self, objects: &BTreeMap<&str, BTreeSet<&str>>, known: &Self) {
        for (kind, names) in &mut self.kinds {
            let is_one = |name: &str| objects.get(name).is_some_and(|kinds| kinds.contains(kind.as_str()));
            let is_of = |owner: Owner<'_>| objects.get(owner.name).is_some_and(|kinds| kinds.iter().any(|kind| owner.is(kind)));
            let is_known = |name: &str| known.of_kind(kind).is_some_and(|names| names.contains_key(name));
            names.retain(|name, _| is_known(name) || !is_one(name) && !owners(kind, name).any(is_of));
        }
    }

    /// Leaves those alone that belong to tables for which `counts` is true, by the name that findings use, and a partition's where there is one.
    pub fn retain_of_tables(&mut self, counts: impl Fn(&str, Option<&str>) -> bool) {
        for (kind, names) in &mut self.kinds {
            names.retain(|name, _| {
                let within = object_of(kind, name);
                let tables = within.match_indices('.').map(|(dot, _)| dot).chain([within.len()]);
                tables.into_iter().any(|end| {
                    let (table, rest) = (&within[..end], within.get(end + 1..).filter(|_| kind == "partition"));
                    counts(table, rest) || in_findings(table).any(|table| counts(&table, rest))
                })
            });
        }
    }

    /// Takes out what belongs to these tables of MySQL or MariaDB, but for what has a name of its own.
    pub fn leave_out_tables(&mut self, tables: &[String]) {
        const OWN_NAMES: &[&str] = &[
            DEFAULT,
            POSITION,
            "view",
            "view algorithm",
            "trigger",
            "event",
            "event time zone",
            "routine",
            "library",
            "library of",
            "sequence",
        ];
        for (kind, names) in self.kinds.iter_mut().filter(|(kind, _)| !OWN_NAMES.contains(&kind.as_str())) {
            names.retain(|name, _| {
                let object = object_of(kind, name);
                let is_of =
                    |table: &String| object.strip_prefix(table.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
                !tables.iter().any(is_of)
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

/// Whether the definitions of a kind are numbers that may go on and must not go back.
pub fn is_number(kind: &str) -> bool {
    kind == POSITION || kind == AUTO_INCREMENT
}

/// Whether the definitions of a kind are names that are told as they are.
fn is_in_clear(kind: &str) -> bool {
    kind == DEFAULT || kind == COLUMN_ORDER || CHARACTER_SETS.contains(&kind)
}

/// Beside the kinds, whose values are objects: who read, as grants name it.
pub const READER: &str = "reader";

/// Beside the kinds too: those that were not shown, and the rights that it takes.
pub const HIDDEN: &str = "not shown";

/// Kinds and the rights that they take, in one line; nothing where there are none.
pub fn in_one_line<'a>(hidden: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let each: Vec<String> = hidden.map(|(kind, right)| format!("{kind} (needs {right})")).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

/// The first 16 bytes of BLAKE3 in key derivation mode.
fn digest(definition: &str) -> String {
    hex::encode(&blake3::derive_key("attestore definition v1", definition.as_bytes())[..16])
}
