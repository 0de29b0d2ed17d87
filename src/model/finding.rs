//! A finding: one classed difference between what was expected and what was read.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::canonical_json;
use crate::model::digest::Digest32;
use crate::model::ids::{CaseId, ResourceId};

/// The classes of differences (`contracts.md` of the design).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Equal; never a finding.
    Match,
    /// Bytes differ where they had to be equal.
    Mismatch,
    /// Expected and absent.
    Missing,
    /// Present and not expected.
    Extra,
    /// The stream or the decoding failed: never called a mismatch, never skipped.
    Unreadable,
    /// Changed between the two positions, as a log that names the key says.
    ChangedBetween,
    /// Added between the two positions, as a log that names the key says.
    AddedBetween,
    /// Deleted between the two positions, as a log that names the key says.
    DeletedBetween,
    /// Stamped later than the restore's position.
    Future,
    /// Inside a fuzzy window without other evidence, or in a leaf that differs where nothing says which of its rows do.
    Indeterminate,
    /// The table's definition differs.
    SchemaChanged,
}

impl Class {
    /// The spelling used in JSON and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Unreadable => "unreadable",
            Self::ChangedBetween => "changed_between",
            Self::AddedBetween => "added_between",
            Self::DeletedBetween => "deleted_between",
            Self::Future => "future",
            Self::Indeterminate => "indeterminate",
            Self::SchemaChanged => "schema_changed",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of thing a finding is about; in JSON `kind`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An object, an object version or a file.
    Object,
    /// What protects an object: retention, legal hold, encryption, replication.
    Protection,
    /// A table as a whole: absent, surplus, unreadable, or of another definition.
    Table,
    /// A row of a table.
    Row,
    /// An item of a DynamoDB table.
    Item,
    /// A bucket of a fingerprint whose rows could not be named.
    Bucket,
}

/// Where the difference is; the JSON member's name tells which it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// An object's key, or a table's name.
    Key(String),
    /// `TABLE COLUMN=VALUE …` of the primary key, or `TABLE #HEX` by its keyed hash.
    Row(String),
    /// `TABLE ATTRIBUTE=VALUE …` of the primary key, or `TABLE #HEX` by its keyed hash.
    Item(String),
    /// `TABLE INDEX/COUNT`.
    Bucket(String),
}

impl Place {
    /// The JSON member's name and its value.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Key(text) => ("key", text),
            Self::Row(text) => ("row", text),
            Self::Item(text) => ("item", text),
            Self::Bucket(text) => ("bucket", text),
        }
    }
}

/// One classed difference. `expected` and `actual` are short: a digest, a size, a count, a word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The case of a drill; absent in an ad hoc `verify`.
    pub case: Option<CaseId>,
    /// The resource of the estate; absent in an ad hoc `verify`.
    pub resource: Option<ResourceId>,
    /// How it differs.
    pub class: Class,
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub place: Place,
    /// The S3 version id of the expected (or, for `extra`, of the surplus) version.
    pub version_id: Option<String>,
    /// What the manifest says.
    pub expected: Option<String>,
    /// What was read.
    pub actual: Option<String>,
    /// The columns that differ: of a row that both sides have, where both are at hand or the manifest has hashes of columns, or of a table's
    /// definition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Finding {
    /// A finding outside any drill, with neither value stated.
    pub fn new(class: Class, kind: Kind, place: Place) -> Self {
        Self { case: None, resource: None, class, kind, place, version_id: None, expected: None, actual: None, columns: Vec::new() }
    }

    /// The JSON line of `contracts.md`, with `id` = the first 16 hex digits of SHA-256 over the RFC 8785 form of everything else.
    pub fn to_json(&self) -> Value {
        let mut line = Map::new();
        line.insert("event".into(), json!("finding"));
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                line.insert(name.to_owned(), json!(value));
            }
        };
        put("case", self.case.as_ref().map(|id| id.0.as_str()));
        put("resource", self.resource.as_ref().map(|id| id.0.as_str()));
        put("version_id", self.version_id.as_deref());
        put("expected", self.expected.as_deref());
        put("actual", self.actual.as_deref());
        let (name, place) = self.place.parts();
        put(name, Some(place));
        put("class", Some(self.class.as_str()));
        line.insert("kind".into(), serde_json::to_value(self.kind).expect("a unit variant is a string"));
        if !self.columns.is_empty() {
            line.insert("columns".into(), json!(self.columns));
        }
        let form = canonical_json::to_bytes(&line).expect("strings and lists of them are canonical");
        line.insert("id".into(), json!(Digest32::sha256(&form).hex()[..16]));
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_a_function_of_the_rest() {
        let mut finding = Finding::new(Class::Mismatch, Kind::Object, Place::Key("a\nb".into()));
        let first = finding.to_json();
        assert_eq!(first["id"].as_str().unwrap().len(), 16);
        assert_eq!((&first["class"], &first["kind"], &first["key"]), (&json!("mismatch"), &json!("object"), &json!("a\nb")));
        assert_eq!(finding.to_json(), first);
        finding.version_id = Some("v1".into());
        assert_ne!(finding.to_json()["id"], first["id"]);
        assert!(first.get("columns").is_none());
        finding.columns = vec!["note".into()];
        assert_eq!(finding.to_json()["columns"], json!(["note"]));
    }
}
