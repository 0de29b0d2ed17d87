//! A log of a whole drill verifies; what anchors it; what is no fault. The tampers lie in `tamper.rs`.

use crate::support::*;
use attestore::model::clock::Timestamp;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::{Correction, DrillAborted, Excluded, Heartbeat, ListPage, PopulationItem, Stratum};
use attestore::testing_log::entry::{Actor, Body, Entry};
use attestore::testing_log::verify::verdict::{Anchor, DrillEnd, VerifyOptions};
use attestore::testing_log::writer::LogWriter;
use serde_json::json;

#[test]
fn an_honest_drill_is_self_consistent() {
    let world = build(Story::default());
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!(verdict.faults, []);
    assert_eq!((verdict.word().as_str(), verdict.anchor), ("self-consistent", Anchor::SelfConsistent));
    assert_eq!((verdict.drills.len(), verdict.drills[0].end), (1, DrillEnd::Closed(Outcome::Fail)));
    assert_eq!((verdict.size, verdict.sealed), (verdict.entries.len() as u64, verdict.size));
    assert!(verdict.withheld.is_empty() && verdict.evidence > 3);
}

fn append(writer: &mut LogWriter, body: Body) {
    let last = writer.dir().entry(writer.size() - 1).unwrap().at;
    writer.append_at(last, body, Actor::tool("t"), &mut |_, _| Ok(())).unwrap();
}

#[test]
fn looking_back_a_drill_is_open_then_overdue_and_closing_late_counts_as_failed() {
    let world = build(Story::default());
    let verdict = world.verdict(&VerifyOptions::default());
    let (start, end) = (verdict.entries[0].at, verdict.entries.last().unwrap().at);
    let deadline = verdict.drills[0].deadline_at;
    let as_of = |at: Timestamp| world.verdict(&VerifyOptions { checkpoint: None, as_of: Some(at) });
    assert_eq!(as_of(start).drills[0].end, DrillEnd::Open);
    assert_eq!(as_of(end).drills[0].end, DrillEnd::Closed(Outcome::Fail));
    assert_eq!(as_of(deadline.plus_secs(9)).faults, []);
    let open = build(Story { close: false, ..Story::default() });
    let deadline = open.verdict(&VerifyOptions::default()).drills[0].deadline_at;
    let late = |at: Timestamp| open.names_with(&VerifyOptions { checkpoint: None, as_of: Some(at) });
    assert_eq!((late(deadline), late(deadline.plus_secs(1))), (vec![], vec!["drill_overdue"]));
    let mut writer = LogWriter::open(&open.path, open.key.clone()).unwrap();
    let aborted = DrillAborted { drill_id: DRILL.into(), drill_seq: 1, reason: "the site was closed".into() };
    let after = deadline.plus_secs(5);
    writer.append_at(after, Body::DrillAborted(aborted), Actor::tool("t"), &mut |_, _| Ok(())).unwrap();
    writer.checkpoint().unwrap();
    let verdict = open.verdict(&VerifyOptions { checkpoint: None, as_of: Some(after) });
    assert_eq!((verdict.faults.as_slice(), verdict.drills[0].end, verdict.drills[0].late), ([].as_slice(), DrillEnd::Aborted, true));
    assert_eq!(verdict.drills[0].counts_as(), Some(Outcome::Fail));
}

/// Keeps the last checkpoint as an auditor would.
fn kept(world: &World) -> VerifyOptions {
    let text = world.log().checkpoint_text(world.last_checkpoint()).unwrap();
    VerifyOptions { checkpoint: Some(text), as_of: None }
}

#[test]
fn a_log_that_continues_what_the_auditor_saw_is_anchored() {
    let world = build(Story::default());
    let options = kept(&world);
    let mut writer = LogWriter::open(&world.path, world.key.clone()).unwrap();
    append(&mut writer, Body::Heartbeat(Heartbeat { note: None }));
    writer.checkpoint().unwrap();
    drop(writer);
    let verdict = world.verdict(&options);
    assert_eq!(verdict.faults, []);
    assert!(matches!(verdict.anchor, Anchor::AnchoredTo { size, .. } if size == verdict.size - 1));
    assert!(verdict.word().starts_with("anchored-to 20"));
}

#[test]
fn a_log_cut_at_an_old_checkpoint_is_only_seen_by_who_kept_a_later_one() {
    let world = build(Story::default());
    let options = kept(&world);
    let log = world.log();
    let sizes: Vec<u64> = log.listing().unwrap().checkpoints.into_iter().collect();
    let (last, before) = (sizes[sizes.len() - 1], sizes[sizes.len() - 2]);
    for index in before..last {
        std::fs::remove_file(log.entry_path(index)).unwrap();
    }
    std::fs::remove_file(log.checkpoint_path(last)).unwrap();
    std::fs::remove_file(log.sshsig_path(last)).unwrap();
    assert_eq!(world.names(), [] as [&str; 0], "that is what `self-consistent` says, and no more");
    assert_eq!(world.names_with(&options), ["truncated_since_anchor"]);
}

#[test]
fn a_fork_is_seen_by_who_kept_a_checkpoint() {
    let (world, other) = (build(Story::default()), build(Story { edit: Box::new(retitle), ..Story::default() }));
    assert_eq!(other.names(), [] as [&str; 0]);
    // That of the plan: where the histories part, and in both of the same size, however many points were drawn.
    let size = *world.log().listing().unwrap().checkpoints.iter().nth(4).unwrap();
    let text = world.log().checkpoint_text(size).unwrap();
    assert_eq!(other.names_with(&VerifyOptions { checkpoint: Some(text), as_of: None }), ["forked_from_anchor"]);
}

fn retitle(body: &mut Body, _: usize) {
    if let Body::DrillPlanned(plan) = body {
        plan.title = "another history".into();
    }
}

#[test]
fn a_checkpoint_by_another_key_anchors_nothing() {
    let (world, other) = (build(Story::default()), build(Story { key: SigningKey::from_seed(&[66; 32]), ..Story::default() }));
    assert_eq!(world.names_with(&kept(&other)), ["anchor_signature_bad"]);
    let nonsense = VerifyOptions { checkpoint: Some("nonsense".into()), as_of: None };
    let failure = attestore::testing_log::verify::run::verify(&world.path, &world.key.verifying_key(), &nonsense).unwrap_err();
    assert_eq!(failure.kind, attestore::model::failure::FailureKind::Invalid);
}

#[test]
fn erased_evidence_is_withheld_and_no_fault() {
    let world = build(Story::default());
    let (digests, _) = world.log().evidence_names().unwrap();
    let erased = *digests.first().unwrap();
    std::fs::remove_file(world.log().evidence_path(&erased)).unwrap();
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!((verdict.faults.as_slice(), verdict.withheld.as_slice()), ([].as_slice(), [erased].as_slice()));

    // All of it, its directories too, as copies that keep no empty directories leave a log; and it can be written to again.
    std::fs::remove_dir_all(world.path.join("evidence")).unwrap();
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!((verdict.faults.as_slice(), verdict.withheld.len()), ([].as_slice(), digests.len()));
    drop(LogWriter::open(&world.path, world.key.clone()).unwrap());
    let kept = world.log().put_evidence(b"raw answer".as_slice()).unwrap();
    assert_eq!(world.log().evidence(&kept).unwrap().as_deref(), Some(b"raw answer".as_slice()));
}

#[test]
fn a_run_cut_short_verifies_and_its_entries_are_told_to_be_unsealed() {
    let world = build(Story { seal: |kind| kind != "heartbeat", ..Story::default() });
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!((verdict.faults.as_slice(), verdict.size - verdict.sealed), ([].as_slice(), 1));
}

#[test]
fn an_unknown_kind_of_entry_does_not_break_a_log() {
    let world = build(Story::default());
    forge_last_json(&world, |entry| {
        entry["kind"] = json!("tomorrow.news");
        entry["body"] = json!({"anything": [1, 2, 3]});
        entry["beyond"] = json!("kept");
    });
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!(verdict.faults, []);
    assert_eq!(verdict.entries.last().unwrap().value()["beyond"], "kept");
}

#[test]
fn a_rotated_key_signs_on_and_the_auditor_keeps_the_first() {
    let world = build(Story::default());
    let new = SigningKey::from_seed(&[12; 32]);
    let mut writer = LogWriter::open(&world.path, world.key.clone()).unwrap();
    let rotated = writer.rotate(new.clone(), "yearly", Actor::human("o")).unwrap();
    append(&mut writer, Body::Heartbeat(Heartbeat { note: None }));
    writer.checkpoint().unwrap();
    drop(writer);
    assert_eq!(world.names(), [] as [&str; 0]);
    // The first checkpoint after it, by the new key alone.
    put_checkpoint(&world, &rotated, &new);
    assert_eq!(world.names(), ["rotation_bad"]);
}

/// Puts `more` points into the population of the class `files`, and draws so many that the plan has pages too. (The story dates each
/// result a second later: more of them would lie in the future.)
fn large(more: u64) -> Story {
    let edit = move |body: &mut Body, _: usize| {
        if let Body::PopulationCommitted(population) = body {
            let like = population.population.iter().find(|item| item.stratum == "files").unwrap().clone();
            let further = (0..more).map(|n| PopulationItem { id: PointId(format!("{}/{n:06}", like.id)), ..like.clone() });
            population.population.extend(further);
            population.population.sort_by(|a, b| a.id.cmp(&b.id));
            population.excluded.extend((0..more).map(|n| Excluded { id: format!("arn:old-{n:06}"), reason: "EXPIRED".into() }));
            population.strata[1] = Stratum { name: "files".into(), size: 5 + more, sample: 200 };
        }
    };
    Story { edit: Box::new(edit), ..Story::default() }
}

#[test]
fn populations_of_any_size_are_committed_drawn_from_and_verified() {
    let world = build(large(5_000));
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!(verdict.faults, []);
    let kinds: Vec<&str> = verdict.entries.iter().map(|entry| entry.body.kind()).collect();
    assert!(kinds.iter().filter(|kind| **kind == "list.page").count() > 10, "{kinds:?}");
    for entry in &verdict.entries {
        match &entry.body {
            Body::PopulationCommitted(population) => assert_eq!((population.population.len(), population.excluded.len()), (5_008, 5_001)),
            Body::DrillPlanned(plan) => assert_eq!(plan.sample.selected.len(), 202),
            _ => {}
        }
    }
    let read: Vec<Entry> = world.log().entries().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(read, verdict.entries);
}

#[test]
fn pages_that_a_crash_left_behind_count_for_nothing() {
    let world = build(Story { close: false, ..Story::default() });
    let mut writer = LogWriter::open(&world.path, world.key.clone()).unwrap();
    let notes = Body::Correction(Correction { leaf: 1, text: "see the pages".into() });
    let page = ListPage { kind: "population.committed".into(), list: "/population".into(), rows: vec![json!({"id": "x"})] };
    append(&mut writer, Body::ListPage(page));
    drop(writer);
    let mut writer = LogWriter::open(&world.path, world.key.clone()).unwrap();
    append(&mut writer, notes);
    writer.checkpoint().unwrap();
    drop(writer);
    // While the drill is open and in time.
    let as_of = Some(world.log().entry(0).unwrap().at.plus_secs(86_400));
    assert_eq!(world.verdict(&VerifyOptions { checkpoint: None, as_of }).faults, []);
}
