//! The SQL checks that a class's databases are held to, pack by pack with the files themselves: what `policy.set` keeps in the evidence, and
//! what the header of a file says that a result can be held to.
//!
//! Not here: which packs there are and how a check is run (`verify::sql::checks`), which lies beside this room.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::model::canonical_json::{self, NotCanonical};
use crate::model::check::Severity;
use crate::model::check_kind::CheckKind;
use crate::model::digest::Sha256Digest;
use crate::model::threshold::Threshold;
use crate::testing_log::check_list::CheckList;

/// The packs of each class. RFC 8785 in the evidence.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Packs {
    /// By class the packs in the order in which the configuration names them, each with its checks by id and the digests of their files.
    pub classes: BTreeMap<String, Vec<BTreeMap<String, Sha256Digest>>>,
    /// The files, by their digests.
    pub files: BTreeMap<Sha256Digest, String>,
}

impl Packs {
    /// Out of evidence; nothing where it is none of these.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// As evidence.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical_json::to_bytes(self)
    }

    /// The digest over all checks: RFC 8785 of `{id: digest}`.
    pub fn check_set(&self) -> Result<Sha256Digest, NotCanonical> {
        let all = self.classes.values().flatten().flatten();
        let digests: BTreeMap<&str, String> = all.map(|(id, digest)| (id.as_str(), digest.to_string())).collect();
        Ok(Sha256Digest::of(&canonical_json::to_bytes(&digests)?))
    }

    /// The file of a check, where it is a check.
    pub fn file(&self, digest: &Sha256Digest) -> Option<CheckFile> {
        CheckFile::of(self.files.get(digest)?)
    }

    /// The checks of a class by engine, as its policy states them; nothing where a file is not one of a check.
    pub fn lists(&self, class: &str) -> Option<BTreeMap<String, CheckList>> {
        let mut ids: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (id, digest) in self.classes.get(class).into_iter().flatten().flatten() {
            for engine in self.file(digest)?.engines {
                ids.entry(engine).or_default().push(id);
            }
        }
        Some(ids.into_iter().map(|(engine, ids)| (engine, CheckList::of(ids))).collect())
    }
}

/// What the file of a check says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckFile {
    /// `id`
    pub id: String,
    /// `engines`
    pub engines: Vec<String>,
    /// `severity`
    pub severity: Severity,
    /// `kind`
    pub kind: String,
    /// `error_if`, or what it is for its kind where the file has none.
    pub op: String,
    /// Whether there are databases that hold nothing of what it looks at.
    pub may_not_apply: bool,
    /// The one baseline that it is held against, by its name in manifests.
    pub baseline: Option<String>,
}

impl CheckFile {
    /// Out of the `--! key = value` lines of a file; nothing where they are not those of a check.
    pub fn of(text: &str) -> Option<Self> {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("--!"));
        let header: String = lines.flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect();
        let table: Table = header.parse().ok()?;
        let text = |key: &str| table.get(key).and_then(Value::as_str);
        let kind = CheckKind::of(text("kind")?)?;
        let op = text("error_if").or(kind.usual_threshold())?;
        let engines = table.get("engines").and_then(Value::as_array)?.iter().map(|engine| engine.as_str().map(str::to_owned));
        let each = text("each").is_some_and(|each| each != "table");
        let is_held = matches!(kind, CheckKind::BaselineScalar | CheckKind::Canary) && text("each").is_none();
        let is_optional = table.get("baseline_optional").and_then(Value::as_bool).unwrap_or(false);
        Some(Self {
            id: text("id")?.to_owned(),
            engines: engines.collect::<Option<Vec<_>>>()?,
            severity: table.get("severity")?.clone().try_into().ok()?,
            kind: kind.as_str().to_owned(),
            op: Threshold::parse(op, kind).ok()?.text().to_owned(),
            may_not_apply: each || is_optional || table.contains_key("looks_at"),
            baseline: text("baseline").or(text("id")).filter(|_| is_held).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORPHANS: &str = "--! id = \"a.orphans\"\n--! engines = [\"mysql\", \"sqlite\"]\n--! kind = \"violations\"\n\
                           --! severity = \"critical\"\n--! each = \"foreign-key\"\nSELECT 1\n";

    #[test]
    fn a_file_says_what_its_results_have_in_common() {
        let orphans = CheckFile::of(ORPHANS).unwrap();
        assert_eq!((orphans.id.as_str(), orphans.kind.as_str(), orphans.op.as_str()), ("a.orphans", "violations", "> 0"));
        assert_eq!((orphans.severity, orphans.engines.len(), orphans.may_not_apply), (Severity::Critical, 2, true));
        let of = |from: &str, to: &str| CheckFile::of(&ORPHANS.replace(from, to));
        assert!(!of("foreign-key", "table").unwrap().may_not_apply);
        assert_eq!(of("each = \"foreign-key\"", "error_if = \" > 3 \"").unwrap().op, "> 3");
        assert_eq!(orphans.baseline, None);
        let of_baseline = |text: &str| CheckFile::of(&text.replace("violations", "canary")).unwrap().baseline;
        assert_eq!(of_baseline(ORPHANS), None, "of each its own");
        assert_eq!(of_baseline(&ORPHANS.replace("each =", "title =")).as_deref(), Some("a.orphans"));
        assert_eq!(of_baseline(&ORPHANS.replace("each =", "baseline =")).as_deref(), Some("foreign-key"));
        for (from, to) in [("violations", "offences"), ("critical", "fatal"), ("id = \"a.orphans\"", ""), ("violations", "scalar")] {
            assert_eq!(of(from, to), None, "{to}");
        }
    }

    #[test]
    fn lists_are_those_of_the_packs() {
        let digest = Sha256Digest::of(ORPHANS.as_bytes());
        let pack = BTreeMap::from([("a.orphans".to_owned(), digest)]);
        let classes = BTreeMap::from([("gold".to_owned(), vec![pack.clone(), pack]), ("tin".to_owned(), vec![])]);
        let packs = Packs { classes, files: BTreeMap::from([(digest, ORPHANS.to_owned())]) };
        assert_eq!(Packs::of(&packs.to_bytes().unwrap()).unwrap(), packs);
        let lists = packs.lists("gold").unwrap();
        assert_eq!(lists.keys().collect::<Vec<_>>(), ["mysql", "sqlite"]);
        assert_eq!(lists["mysql"], CheckList::of(["a.orphans"]));
        assert_eq!(packs.lists("tin"), Some(BTreeMap::new()));
        assert_eq!(Packs { files: BTreeMap::new(), ..packs }.lists("gold"), None);
    }
}
