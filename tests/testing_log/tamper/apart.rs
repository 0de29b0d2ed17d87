//! What a comparison says that it left out as a whole, beside what its manifest says of itself.

use attestore::model::digest::Sha256Digest;
use attestore::model::not_compared::{BY_MEANING, DEFINITIONS, OF_ANOTHER_ENGINE};
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::fault::Rule;
use serde_json::{Value, json};

use crate::promised::{INSTANCE, promised};
use crate::support::*;
use crate::tamper::facts;

/// The faults of a drill whose instance has no definitions counted, for the reason `why`, and how much could not be looked into. The manifest
/// has this position, and is in the evidence where `is_kept`.
fn without_definitions(position: &Value, why: Option<&'static str>, is_kept: bool) -> (Vec<&'static str>, usize) {
    let (mut honest, position) = (promised(), position.clone());
    let kept = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let header = kept.clone();
    let edit: Edit = Box::new(move |body, nth| {
        honest(body, nth);
        match body {
            Body::ManifestRegistered(registered) if registered.resource.0 == "crm" => {
                let mut said = serde_json::to_value(&*registered).unwrap();
                said["position"] = position.clone();
                let bytes = said.to_string().into_bytes();
                registered.manifest = Sha256Digest::of(&bytes);
                header.replace(bytes);
            }
            Body::PointResult(result) if result.rp.id.0 == INSTANCE => {
                let facts = facts(result);
                facts.definitions = None;
                facts.read.remove(DEFINITIONS);
                facts.not_compared.extend(why.map(|why| (DEFINITIONS.to_owned(), why.to_owned())));
            }
            _ => {}
        }
    });
    let world = build(Story { edit, ..Story::default() });
    if is_kept {
        world.log().put_evidence(&kept.borrow()[..]).unwrap();
    }
    (world.names(), world.verdict(&Default::default()).unheld.len())
}

#[test]
fn definitions_are_left_out_only_where_their_manifest_bears_it_out() {
    let of = |engine: &str| json!({"engine": engine, "definitions": {"view": {"public.v": "SELECT 1"}}});
    let logical = json!({"engine": "postgres", "definitions": {"view": {}}, "scope": {"logical": {}}});
    let of_earlier = json!({"engine": "postgres"});
    let (missing, differs) = (Rule::FactMissing.as_str(), Rule::FactDiffers.as_str());
    for (position, why, expected) in [
        (of("postgres"), None, vec![missing]),
        (of("postgres"), Some("anything"), vec![differs]),
        (of("postgres"), Some(BY_MEANING), vec![differs]),
        (of("postgres"), Some(OF_ANOTHER_ENGINE), vec![differs]),
        (of("mariadb"), Some(OF_ANOTHER_ENGINE), vec![]),
        (logical, Some(BY_MEANING), vec![]),
        (of_earlier, None, vec![]),
    ] {
        assert_eq!(without_definitions(&position, why, true).0, expected, "{position} {why:?}");
    }
    // Without the manifest nobody can tell whether the reason holds, and that is said; no reason at all is none.
    assert_eq!(without_definitions(&of("postgres"), None, false).0, [missing]);
    assert_eq!(without_definitions(&of("postgres"), Some("anything"), false).0, [differs]);
    let (held, withheld) =
        (without_definitions(&of("postgres"), None, false).1, without_definitions(&of("mariadb"), Some(BY_MEANING), false));
    assert_eq!(withheld, (vec![], held + 1));
}
