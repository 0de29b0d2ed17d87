//! What entries state of documents whose bytes are in the evidence: a policy of its configuration, a registration of its manifest. Where the
//! bytes are not there (logs of earlier versions kept no manifests, and evidence may be erased), nothing is held against them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::digest::Sha256Digest;
use crate::model::not_compared::RARELY_SHOWN;
use crate::testing_log::body::{ClassPolicy, ManifestRegistered, PolicySet};
use crate::testing_log::entry::Body;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::demands::{ClassDemanded, Demands};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::reading::Reading;

/// The demands of each configuration; nothing where the evidence does not have it.
pub type Configurations = BTreeMap<Sha256Digest, Option<Demands>>;

/// What the configuration under `digest` demands.
pub fn demanded<'a>(dir: &LogDir, known: &'a mut Configurations, digest: &Sha256Digest) -> Option<&'a Demands> {
    // That the bytes are others is a fault of the evidence.
    let read = || Demands::of(&dir.evidence(digest).ok()??);
    known.entry(*digest).or_insert_with(read).as_ref()
}

/// What manifests say of themselves, by their digests; those that the evidence does not have are not among them.
pub type Baselines = BTreeMap<Sha256Digest, Baseline>;

/// What a manifest says of what it is of: of databases most of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Baseline {
    /// The engine that was read.
    pub engine: Option<String>,
    /// Whether its rows are of logical types.
    pub is_logical: bool,
    /// Whether it says what is defined beside tables; those of earlier versions did not.
    pub tells_definitions: bool,
    /// Whether anything of that is within its scope.
    pub has_definitions: bool,
    /// Whether its reader was not shown kinds of definitions that most readers are.
    pub hides_definitions: bool,
    /// Whether it has tables that it says nothing of, having no watermark.
    pub leaves_tables_out: bool,
    /// Whether it speaks of a prefix, which other tables may have no part in.
    pub is_of_prefix: bool,
    /// How many things of each kind it has, as results count them; without those that it may leave out.
    pub things: BTreeMap<&'static str, u64>,
    /// Values that checks are held against.
    pub baselines: BTreeMap<String, String>,
}

impl Baseline {
    fn of(header: &Value) -> Self {
        let position = &header["position"];
        // Each kind with its definitions by name; who read them and what was not shown is no definition.
        let kinds = position["definitions"].as_object().into_iter().flatten().filter(|(kind, _)| *kind != "not shown");
        let scope = &position["scope"];
        let hidden = position["definitions"]["not shown"].as_object();
        let mut held = kinds.filter_map(|(_, names)| names.as_object());
        Self {
            engine: position["engine"].as_str().map(str::to_owned),
            is_logical: scope["logical"].is_object(),
            tells_definitions: position["definitions"].is_object(),
            // Of closed tables it holds more than it speaks of.
            has_definitions: held.any(|names| !names.is_empty()) && scope["closed"].is_null(),
            hides_definitions: hidden.into_iter().flatten().any(|(kind, _)| !RARELY_SHOWN.contains(&kind.as_str())),
            leaves_tables_out: scope["watermark"]["left_out"].as_array().is_some_and(|tables| !tables.is_empty()),
            is_of_prefix: !(scope["watermark"].is_null() && scope["closed"].is_null()),
            things: things(header),
            baselines: serde_json::from_value(header["baselines"].clone()).unwrap_or_default(),
        }
    }
}

/// How many things a manifest has, by its kind.
fn things(header: &Value) -> BTreeMap<&'static str, u64> {
    let counted = |name: &'static str| Some((name, header["counts"][name].as_u64()?));
    let is_of_all = ["include", "exclude"].iter().all(|filter| header[filter].as_array().is_none_or(Vec::is_empty));
    let parts = header["parts"].as_array().into_iter().flatten();
    let rows = parts.filter(|part| part["name"].as_str().is_some_and(|name| name.starts_with("part-"))).map(|part| part["rows"].as_u64());
    let all = match header["kind"].as_str() {
        Some("table-set") => vec![counted("tables"), counted("rows")],
        Some("items") => vec![counted("items")],
        // Delete markers and what could not be read are rows as well.
        Some("objects") if is_of_all => vec![rows.sum::<Option<u64>>().map(|rows| ("objects", rows))],
        _ => Vec::new(),
    };
    all.into_iter().flatten().collect()
}

/// Checks every policy and every registration; gives what the registered manifests say of themselves.
pub fn check(dir: &LogDir, reading: &Reading, known: &mut Configurations, faults: &mut Faults) -> Baselines {
    let mut baselines = Baselines::new();
    for (leaf, entry) in &reading.entries {
        match &entry.body {
            Body::PolicySet(policy) => {
                if let Some(demands) = demanded(dir, known, &policy.config) {
                    of_policy(*leaf, policy, demands, faults);
                }
            }
            Body::ManifestRegistered(registered) => {
                let bytes = dir.evidence(&registered.manifest).ok().flatten();
                if let Some(header) = bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
                    of_manifest(*leaf, registered, &header, faults);
                    baselines.insert(registered.manifest, Baseline::of(&header));
                }
            }
            _ => {}
        }
    }
    baselines
}

/// The demands of a policy are those of its configuration, class by class; those of SQL checks stand in files of their own.
fn of_policy(leaf: u64, policy: &PolicySet, demands: &Demands, faults: &mut Faults) {
    // A configuration without classes has no drills.
    if demands.classes.is_empty() {
        return;
    }
    let stated = |class: &ClassPolicy, packs: &[String]| ClassDemanded {
        rto_s: class.rto_s,
        rpo_s: class.rpo_s,
        test_period_s: class.test_period_s,
        second_within_s: class.second_within_s,
        indeterminate_budget: class.indeterminate_budget,
        access: class.access.clone(),
        packs: packs.to_vec(),
    };
    let names = || policy.classes.keys().chain(demands.classes.keys());
    for name in names().collect::<std::collections::BTreeSet<_>>() {
        let demanded = demands.classes.get(name);
        // The packs are held to their checks, of which a policy states what they come to (`check_packs`).
        let packs = demanded.map(|demanded| demanded.packs.as_slice()).unwrap_or_default();
        let said = policy.classes.get(name).map(|class| stated(class, packs));
        faults.demand(said.as_ref() == demanded, Rule::FactDiffers, leaf, || {
            let spelled = |class: Option<&ClassDemanded>| class.map_or_else(|| "no such class".to_owned(), |class| format!("{class:?}"));
            format!("class `{name}`: its configuration says {}, found {}", spelled(demanded), spelled(said.as_ref()))
        });
    }
}

/// What is registered of a manifest is what the manifest says, under whose digest it stands.
fn of_manifest(leaf: u64, registered: &ManifestRegistered, header: &Value, faults: &mut Faults) {
    let Ok(said) = serde_json::to_value(registered) else { return };
    for name in ["mode", "recovery_point_id", "captured_end", "root"] {
        let (expected, found) = (header.get(name), said.get(name));
        faults.demand(expected == found, Rule::ManifestDiffers, leaf, || {
            let spelled = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!("{}: its `{name}` is {}, registered is {}", registered.manifest, spelled(expected), spelled(found))
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_has_things_of_its_kind() {
        let of = |header: Value| Baseline::of(&header).things;
        let counts = json!({"tables": 2, "rows": 30, "items": 7, "objects": 9, "delete_markers": 1});
        assert_eq!(of(json!({"kind": "table-set", "counts": counts})), BTreeMap::from([("tables", 2), ("rows", 30)]));
        assert_eq!(of(json!({"kind": "items", "counts": counts})), BTreeMap::from([("items", 7)]));
        let parts = json!([{"name": "part-00000.parquet", "rows": 6}, {"name": "part-00001.parquet", "rows": 4}, {"name": "names-00000.parquet", "rows": 2}]);
        assert_eq!(of(json!({"kind": "objects", "counts": counts, "parts": parts, "include": []})), BTreeMap::from([("objects", 10)]));
        for unclear in
            [json!({"kind": "objects", "parts": parts, "include": ["a/*"]}), json!({"kind": "leaves", "counts": counts}), json!({})]
        {
            assert_eq!(of(unclear), BTreeMap::new());
        }
    }
}
