//! What a comparison says that it left out as a whole, beside what its manifest says of itself.

use attestore::model::digest::Sha256Digest;
use attestore::model::not_compared::{
    BEHIND, BY_MEANING, DEFINITIONS, GRANTS, HIDDEN_DEFINITIONS, NOT_SHOWN, NOT_SHOWN_THEN, NOT_SPOKEN_OF, OF_ANOTHER_ENGINE, OTHER_TABLES,
    POSITIONS,
};
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::VerifyFacts;
use attestore::testing_log::verify::fault::Rule;
use serde_json::{Value, json};

use crate::promised::{INSTANCE, SECOND, promised};
use crate::support::*;
use crate::tamper::facts;
use crate::tamper::owed::as_exception;

/// The faults of a drill whose instance has no definitions counted, for the reason `why`, and how much could not be looked into. The manifest
/// has this position, and is in the evidence where `is_kept`.
fn without_definitions(position: &Value, why: Option<&'static str>, is_kept: bool) -> (Vec<&'static str>, usize) {
    faults_of(position, is_kept, &[INSTANCE], move |facts| {
        facts.definitions = None;
        facts.read.remove(DEFINITIONS);
        facts.not_compared.extend(why.map(|why| (DEFINITIONS.to_owned(), why.to_owned())));
    })
}

/// The faults where this is said not to be compared beside definitions that are.
fn apart(position: &Value, said: &'static [(&'static str, &'static str)], is_kept: bool) -> Vec<&'static str> {
    let change =
        move |facts: &mut VerifyFacts| facts.not_compared.extend(said.iter().map(|(kind, why)| ((*kind).to_owned(), (*why).to_owned())));
    faults_of(position, is_kept, &[INSTANCE, SECOND], change).0
}

/// The faults, and how much could not be looked into, where the comparisons of these points are stated otherwise.
fn faults_of(
    position: &Value,
    is_kept: bool,
    of: &'static [&'static str],
    change: impl Fn(&mut VerifyFacts) + 'static,
) -> (Vec<&'static str>, usize) {
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
            Body::PointResult(result) if of.contains(&result.rp.id.0.as_str()) => {
                change(facts(result));
                if !facts(result).not_compared.is_empty() {
                    as_exception(result);
                }
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
    // What the manifest itself says nothing of stands in the result.
    let hides = json!({"engine": "postgres", "definitions": {"view": {"public.v": "x"}, "not shown": {"routine": "a right"}}});
    assert_eq!(apart(&hides, &[], true), [missing]);
    assert_eq!(apart(&hides, &[(HIDDEN_DEFINITIONS, NOT_SHOWN_THEN)], true), Vec::<&str>::new());
    let few = json!({"engine": "postgres", "definitions": {"view": {}, "not shown": {"grant": "a right"}}});
    assert_eq!(apart(&few, &[], true), Vec::<&str>::new());
    assert_eq!(apart(&few, &[(GRANTS, NOT_SHOWN)], true), Vec::<&str>::new());
    assert_eq!(apart(&few, &[(HIDDEN_DEFINITIONS, NOT_SHOWN_THEN)], true), [differs]);
    let prefix = json!({"engine": "postgres", "definitions": {"view": {}}, "scope": {"watermark": {"left_out": ["t"]}}});
    assert_eq!(apart(&prefix, &[], true), [missing]);
    assert_eq!(apart(&prefix, &[(OTHER_TABLES, NOT_SPOKEN_OF)], true), Vec::<&str>::new());
    assert_eq!(apart(&few, &[(OTHER_TABLES, NOT_SPOKEN_OF)], true), [differs]);
    // Behind a manifest is what a copy of an earlier moment may be, and no other.
    assert_eq!(apart(&few, &[(POSITIONS, BEHIND)], true), [differs]);
    let later = |facts: &mut VerifyFacts| {
        facts.not_compared.insert(POSITIONS.to_owned(), BEHIND.to_owned());
        facts.manifest_captured_end = facts.manifest_captured_end.plus_secs(1_000_000_000);
    };
    assert_eq!(faults_of(&few, true, &[INSTANCE, SECOND], later).0, [Rule::ManifestDiffers.as_str()]);
    // Without the manifest nobody can tell whether the reason holds, and that is said; no reason at all is none.
    assert_eq!(without_definitions(&of("postgres"), None, false).0, [missing]);
    assert_eq!(without_definitions(&of("postgres"), Some("anything"), false).0, [differs]);
    let (held, withheld) =
        (without_definitions(&of("postgres"), None, false).1, without_definitions(&of("mariadb"), Some(BY_MEANING), false));
    assert_eq!(withheld, (vec![], held + 1));
}
