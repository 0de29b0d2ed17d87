//! The tamper suite: everything that could be done to a log, by a stranger with the files or by an operator with the key, and the named
//! fault that it must end in. Every rule has its tamper; the last test holds the suite to that.

use crate::support::{self, *};
use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, Severity};
use attestore::model::clock::Timestamp;
use attestore::model::counts::Counts;
use attestore::model::digest::{Digest32, Sha256Digest};
use attestore::model::finding::Class;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::signing::checkpoint::Checkpoint;
use attestore::signing::keys::SigningKey;
use attestore::signing::sshsig;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::{Actor, Body, Entry};
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::verify::verdict::VerifyOptions;
use attestore::testing_log::writer::LogWriter;
use serde_json::json;

/// The kinds of tampering, told apart by who can do them.
enum How {
    /// The operator writes a lie and signs it. The fault must be the only one: the rest of the story agrees with the lie.
    Lie(fn(&mut Body, usize)),
    /// The same, where one lie breaks several rules.
    BigLie(fn(&mut Body, usize)),
    /// The operator tells another story.
    Story(fn(&mut Story)),
    /// Somebody changes files afterwards.
    Files(fn(&World)),
}

use How::{BigLie, Files, Lie, Story as Told};

fn result(change: fn(&mut PointResult)) -> impl Fn(&mut Body, usize) {
    move |body, _| {
        if let Body::PointResult(result) = body {
            change(result);
        }
    }
}

/// Only results that pass.
fn passing(body: &mut Body, change: fn(&mut PointResult)) {
    if let Body::PointResult(result) = body
        && result.outcome == Outcome::Pass
    {
        change(result);
    }
}

fn population(body: &mut Body, change: fn(&mut PopulationCommitted)) {
    if let Body::PopulationCommitted(population) = body {
        change(population);
    }
}

fn plan(body: &mut Body, change: fn(&mut DrillPlanned)) {
    if let Body::DrillPlanned(plan) = body {
        change(plan);
    }
}

fn closed_body(body: &mut Body, change: fn(&mut DrillClosed)) {
    if let Body::DrillClosed(closed) = body {
        change(closed);
    }
}

fn append(writer: &mut LogWriter, body: Body) {
    let last = writer.dir().entry(writer.size() - 1).unwrap().at;
    writer.append_at(last, body, Actor::tool("t"), &mut |_, _| Ok(())).unwrap();
}

/// After the first entry of `kind`, `act` writes something more.
fn after(story: &mut Story, kind: &'static str, mut act: impl FnMut(&mut LogWriter) + 'static) {
    let mut done = false;
    story.after = Box::new(move |written, writer| {
        if written == kind && !done {
            done = true;
            act(writer);
        }
    });
}

fn find(writer: &LogWriter, kind: &str) -> Entry {
    writer.dir().entries().unwrap().map(Result::unwrap).filter(|entry| entry.body.kind() == kind).last().unwrap()
}

fn tampers() -> Vec<(&'static str, Rule, How)> {
    let mut all = files();
    all.extend(forgeries());
    all.extend(draws());
    all.extend(runs());
    all.extend(results());
    all.extend(passes());
    all
}

fn files() -> Vec<(&'static str, Rule, How)> {
    vec![
        (
            "flip a byte",
            Rule::RootDiffers,
            Files(|world| {
                let path = world.log().entry_path(3);
                let text = std::fs::read_to_string(&path).unwrap().replacen("crm", "crn", 1);
                std::fs::write(path, text).unwrap();
            }),
        ),
        ("drop an entry", Rule::EntryMissing, Files(|world| std::fs::remove_file(world.log().entry_path(4)).unwrap())),
        (
            "reorder two entries",
            Rule::SeqNotIndex,
            Files(|world| {
                let (one, two) = (world.log().entry_path(6), world.log().entry_path(7));
                let bytes = (std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
                std::fs::write(one, bytes.1).unwrap();
                std::fs::write(two, bytes.0).unwrap();
            }),
        ),
        (
            "truncate",
            Rule::LogTruncated,
            Files(|world| {
                std::fs::remove_file(world.log().entry_path(world.last_checkpoint() - 1)).unwrap();
            }),
        ),
        (
            "truncate and keep only the signature",
            Rule::LogTruncated,
            Files(|world| {
                let size = world.last_checkpoint();
                std::fs::remove_file(world.log().entry_path(size - 1)).unwrap();
                std::fs::remove_file(world.log().checkpoint_path(size)).unwrap();
            }),
        ),
        (
            "add a stranger's entry",
            Rule::TailNotVouched,
            Files(|world| {
                let size = world.last_checkpoint();
                let bytes = std::fs::read(world.log().entry_path(size - 1)).unwrap();
                std::fs::write(world.log().entry_path(size), bytes).unwrap();
            }),
        ),
        ("add a file", Rule::UnexpectedFile, Files(|world| std::fs::write(world.path.join("entries/note.txt"), "hello").unwrap())),
        (
            "add a file to the evidence",
            Rule::UnexpectedFile,
            Files(|world| {
                std::fs::write(world.path.join("evidence/sha256/notes"), "hello").unwrap();
            }),
        ),
        (
            "take a checkpoint away",
            Rule::CheckpointMissing,
            Files(|world| {
                let size = *world.log().listing().unwrap().checkpoints.iter().nth(2).unwrap();
                std::fs::remove_file(world.log().checkpoint_path(size)).unwrap();
            }),
        ),
        (
            "take the last checkpoint away",
            Rule::TailNotVouched,
            Files(|world| {
                std::fs::remove_file(world.log().checkpoint_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "scribble over a checkpoint",
            Rule::CheckpointUnreadable,
            Files(|world| {
                std::fs::write(world.log().checkpoint_path(world.last_checkpoint()), "all is well\n").unwrap();
            }),
        ),
        (
            "pass an old checkpoint for the last",
            Rule::CheckpointMisnamed,
            Files(|world| {
                std::fs::copy(world.log().checkpoint_path(1), world.log().checkpoint_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "change a signature",
            Rule::SignatureBad,
            Files(|world| {
                let path = world.log().checkpoint_path(world.last_checkpoint());
                let text = std::fs::read_to_string(&path).unwrap();
                // The last digits are those of the signature's second half.
                let at = text.len() - 12;
                let other = if &text[at..=at] == "A" { "B" } else { "A" };
                std::fs::write(path, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
            }),
        ),
        (
            "sign a checkpoint with another key",
            Rule::SignatureBad,
            Files(|world| {
                let size = world.last_checkpoint();
                let checkpoint = Checkpoint::parse_unverified(&world.log().checkpoint_text(size).unwrap()).unwrap();
                put_checkpoint(world, &checkpoint, &SigningKey::from_seed(&[66; 32]));
            }),
        ),
        (
            "take an SSH signature away",
            Rule::SshsigMissing,
            Files(|world| {
                std::fs::remove_file(world.log().sshsig_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "swap two SSH signatures",
            Rule::SshsigBad,
            Files(|world| {
                std::fs::copy(world.log().sshsig_path(1), world.log().sshsig_path(world.last_checkpoint())).unwrap();
            }),
        ),
        (
            "put other evidence in place",
            Rule::EvidenceDiffers,
            Files(|world| {
                let (digests, _) = world.log().evidence_names().unwrap();
                std::fs::write(world.log().evidence_path(digests.first().unwrap()), zstd::encode_all(&b"other"[..], 1).unwrap()).unwrap();
            }),
        ),
        (
            "make the whole log with another key",
            Rule::WrongKey,
            Files(|world| {
                let other = build(Story { key: SigningKey::from_seed(&[66; 32]), ..Story::default() });
                std::fs::remove_dir_all(&world.path).unwrap();
                copy(&other.path, &world.path);
            }),
        ),
    ]
}

/// What the holder of the key can do with a tool of their own: the last entry is rewritten and sealed again.
fn forgeries() -> Vec<(&'static str, Rule, How)> {
    vec![
        (
            "date an entry before the last",
            Rule::TimeGoesBack,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["at"] = json!("2020-01-01T00:00:00.000Z");
                })
            }),
        ),
        (
            "date an entry in the future",
            Rule::TimeInFuture,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["at"] = json!(Timestamp::now().plus_secs(86_400));
                })
            }),
        ),
        ("number an entry wrongly", Rule::SeqNotIndex, Files(|world| forge_last_json(world, |entry| entry["seq"] = json!(3)))),
        (
            "take an entry from another log",
            Rule::OriginDiffers,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["origin"] = json!("example.com/other");
                })
            }),
        ),
        (
            "spell an entry in another way",
            Rule::EntryNotCanonical,
            Files(|world| {
                let mut bytes = world.log().entry_bytes(world.last_checkpoint() - 1).unwrap();
                bytes.push(b'\n');
                forge_last(world, &bytes);
            }),
        ),
        (
            "write too long an entry",
            Rule::EntryTooLong,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["body"]["note"] = json!("x".repeat(60_000));
                })
            }),
        ),
        (
            "name a page that is not there",
            Rule::PageMissing,
            Files(|world| forge_last_json(world, |entry| entry["body"]["paged"] = json!({"/rows": ["00".repeat(32)]}))),
        ),
        ("write nonsense", Rule::EntryUnreadable, Files(|world| forge_last(world, b"{}"))),
        (
            "write a body of another shape",
            Rule::EntryUnreadable,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["kind"] = json!("rp.result");
                })
            }),
        ),
        (
            "begin again in the middle",
            Rule::GenesisRepeated,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["kind"] = json!("log.genesis");
                    entry["body"] = json!({"verifier_key": "x", "tool": {"name": "x", "version": "1"}});
                })
            }),
        ),
        (
            "begin with something else",
            Rule::GenesisMissing,
            Files(|world| {
                let beat = Body::Heartbeat(Heartbeat { note: None });
                let entry = Entry::new(0, ORIGIN, Timestamp::now(), None, Actor::tool("t"), beat).unwrap();
                std::fs::write(world.log().entry_path(0), entry.bytes).unwrap();
            }),
        ),
        (
            "name an older checkpoint",
            Rule::PrevCheckpointDiffers,
            Files(|world| {
                let first = Checkpoint::parse_unverified(&world.log().checkpoint_text(1).unwrap()).unwrap();
                forge_last_json(world, |entry| entry["prev_checkpoint"] = json!({"size": 1, "root": first.root}));
            }),
        ),
        (
            "name no checkpoint",
            Rule::PrevCheckpointDiffers,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry.as_object_mut().unwrap().remove("prev_checkpoint");
                })
            }),
        ),
        (
            "correct the future",
            Rule::ReferenceNotEarlier,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["kind"] = json!("correction");
                    entry["body"] = json!({"leaf": 4000, "text": "it will have been otherwise"});
                })
            }),
        ),
        (
            "remedy the future",
            Rule::ReferenceNotEarlier,
            Files(|world| {
                forge_last_json(world, |entry| {
                    entry["kind"] = json!("remediation.opened");
                    entry["body"] = json!({"id": "R-1", "about_leaf": 4000, "owner": "o", "text": "t"});
                })
            }),
        ),
        ("sign off with the tool's key", Rule::SignOffBad, Files(|world| sign_off(world, &world.key, "reviewed"))),
        ("change what was signed off", Rule::SignOffBad, Files(|world| sign_off(world, &SigningKey::from_seed(&[3; 32]), "not reviewed"))),
        (
            "rotate without the old key",
            Rule::RotationBad,
            Files(|world| {
                let mut writer = LogWriter::open(&world.path, world.key.clone()).unwrap();
                let new = SigningKey::from_seed(&[12; 32]);
                let rotated = writer.rotate(new.clone(), "yearly", Actor::human("o")).unwrap();
                drop(writer);
                put_checkpoint(world, &rotated, &new);
            }),
        ),
    ]
}

/// A sign-off over "reviewed" by `key`, recorded with `statement`.
fn sign_off(world: &World, key: &SigningKey, statement: &str) {
    let sshsig = sshsig::sign(key, "attestore-signoff", b"reviewed");
    let line = sshsig::public_key_line(&key.verifying_key());
    forge_last_json(world, |entry| {
        entry["kind"] = json!("signoff");
        entry["body"] = json!({"drill_id": DRILL, "closed_leaf": 1, "reviewer": "r", "reviewer_key": line, "statement": statement,
            "sshsig": sshsig});
    });
}

fn draws() -> Vec<(&'static str, Rule, How)> {
    vec![
        (
            "leave a drill out",
            Rule::DrillSeqGap,
            Lie(|body, _| match body {
                Body::PopulationCommitted(population) => population.drill_seq = 2,
                Body::DrillPlanned(plan) => plan.drill_seq = 2,
                Body::DrillClosed(closed) => closed.drill_seq = 2,
                _ => {}
            }),
        ),
        (
            "commit two populations for a drill",
            Rule::DrillIdRepeated,
            Told(|story| {
                after(story, "population.committed", |writer| {
                    let Body::PopulationCommitted(mut again) = find(writer, "population.committed").body else { unreachable!() };
                    again.drill_seq = 2;
                    append(writer, Body::PopulationCommitted(again));
                    writer.checkpoint().unwrap();
                })
            }),
        ),
        (
            "use a beacon twice",
            Rule::BeaconReused,
            Told(|story| {
                after(story, "drill.closed", |writer| {
                    let Body::PopulationCommitted(mut again) = find(writer, "population.committed").body else { unreachable!() };
                    again.drill_seq = 2;
                    again.drill_id = "d20260201-020000-0000".into();
                    append(writer, Body::PopulationCommitted(again));
                    writer.checkpoint().unwrap();
                })
            }),
        ),
        ("choose a beacon", Rule::BeaconDiffers, Lie(|body, _| population(body, |p| p.beacon = "auditor:00".into()))),
        ("shuffle the population", Rule::PopulationInconsistent, Lie(|body, _| population(body, |p| p.population.swap(0, 1)))),
        (
            "exclude a point that is in",
            Rule::PopulationInconsistent,
            Lie(|body, _| {
                population(body, |p| {
                    p.excluded[0].id = p.population[3].id.0.clone();
                })
            }),
        ),
        ("understate a stratum", Rule::StrataDiffer, BigLie(|body, _| population(body, |p| p.strata[1].size = 4))),
        ("forget a stratum", Rule::StrataDiffer, BigLie(|body, _| population(body, |p| drop(p.strata.remove(0))))),
        (
            "target what is not there",
            Rule::TargetedNotInPopulation,
            BigLie(|body, _| {
                population(body, |p| {
                    p.targeted[0].id = "file:other".into();
                })
            }),
        ),
        (
            "plan without a population",
            Rule::PlanWithoutPopulation,
            Told(|story| {
                after(story, "population.committed", |writer| {
                    let Body::PopulationCommitted(population) = find(writer, "population.committed").body else { unreachable!() };
                    let leaf = attestore::testing_log::writer::Leaf { index: 0, hash: Digest32([0; 32]) };
                    let Body::PolicySet(policy) = find(writer, "policy.set").body else { unreachable!() };
                    let mut plan = support::plan(&population, leaf, 1, &policy);
                    plan.drill_id = "d20260201-020000-0000".into();
                    append(writer, Body::DrillPlanned(plan));
                })
            }),
        ),
        (
            "draw again",
            Rule::PlanRepeated,
            Told(|story| {
                after(story, "drill.planned", |writer| {
                    let again = find(writer, "drill.planned").body;
                    append(writer, again);
                    writer.checkpoint().unwrap();
                })
            }),
        ),
        ("move the deadline", Rule::PlanDiffers, Lie(|body, _| plan(body, |p| p.deadline_at = p.deadline_at.plus_secs(1)))),
        (
            "plan before the population is sealed",
            Rule::PopulationNotSealed,
            Told(|story| story.seal = |kind| kind != "population.committed"),
        ),
        ("choose a seed", Rule::SeedDiffers, Lie(|body, _| plan(body, |p| p.sample.seed = Digest32([1; 32])))),
        (
            "re-draw",
            Rule::SelectionDiffers,
            BigLie(|body, _| {
                plan(body, |p| {
                    let drawn: Vec<_> = p.sample.selected.iter().map(|s| s.id.clone()).collect();
                    p.sample.selected[0].id = drawn[1].clone();
                })
            }),
        ),
        ("rank by another method", Rule::SelectionDiffers, Lie(|body, _| plan(body, |p| p.sample.method = "coin/v1".into()))),
        ("call a weak draw strong", Rule::StrengthUnproved, Lie(|body, _| plan(body, |p| p.sample.strength = Strength::Strong))),
        ("leave a drawn point out", Rule::CasesDiffer, BigLie(|body, _| plan(body, |p| drop(p.cases.remove(0))))),
        ("try a point twice", Rule::CasesDiffer, BigLie(|body, _| plan(body, |p| p.cases[0].point = p.cases[1].point.clone()))),
        ("name another policy", Rule::PolicyNotInForce, BigLie(|body, _| plan(body, |p| p.policy_leaf = 0))),
        ("change the configuration", Rule::PolicyNotInForce, Lie(|body, _| plan(body, |p| p.config = Sha256Digest::of(b"other")))),
    ]
}

fn runs() -> Vec<(&'static str, Rule, How)> {
    vec![
        (
            "start without the plan",
            Rule::StartDiffers,
            Lie(|body, _| {
                if let Body::DrillStarted(started) = body {
                    started.planned_leaf = 2;
                }
            }),
        ),
        ("request before the plan is sealed", Rule::PlanNotSealed, Told(|story| story.seal = |kind| kind != "drill.planned")),
        (
            "backdate a restore",
            Rule::RequestedTooEarly,
            BigLie(|body, _| {
                result(|r| {
                    r.restore.as_mut().unwrap().requested_at =
                        Timestamp::from_secs(1_700_000_000).max("2026-01-02T00:00:00Z".parse().unwrap());
                })(body, 0)
            }),
        ),
        (
            "record a result before the start",
            Rule::ResultBeforeStart,
            Told(|story| {
                after(story, "drill.planned", |writer| {
                    let Body::DrillPlanned(plan) = find(writer, "drill.planned").body else { unreachable!() };
                    let aborted = PointResult { case: plan.cases[0].case.clone(), ..untested(&plan) };
                    append(writer, Body::PointResult(Box::new(aborted)));
                })
            }),
        ),
        (
            "record what was not planned",
            Rule::ResultNotPlanned,
            BigLie(|body, nth| {
                if let (Body::PointResult(result), 1) = (body, nth) {
                    result.case = "d20260131-020000-7f3a-c99".into();
                }
            }),
        ),
        (
            "record another point",
            Rule::ResultDiffersFromPlan,
            BigLie(|body, nth| {
                if let (Body::PointResult(result), 1) = (body, nth) {
                    result.rp.id = "file:better".into();
                }
            }),
        ),
        (
            "record a case twice",
            Rule::ResultRepeated,
            Told(|story| {
                after(story, "rp.result", |writer| {
                    let again = find(writer, "rp.result").body;
                    append(writer, again);
                })
            }),
        ),
        (
            "leave a result out",
            Rule::ResultMissing,
            BigLie(|body, nth| {
                if let (Body::PointResult(result), 1) = (body, nth) {
                    result.case = "d20260131-020000-7f3a-c01".into();
                }
            }),
        ),
        (
            "add a result after the end",
            Rule::EntryAfterEnd,
            Told(|story| {
                after(story, "drill.closed", |writer| {
                    let again = find(writer, "rp.result").body;
                    append(writer, again);
                })
            }),
        ),
        (
            "close and abort",
            Rule::EntryAfterEnd,
            Told(|story| {
                after(story, "drill.closed", |writer| {
                    append(writer, Body::DrillAborted(DrillAborted { drill_id: DRILL.into(), drill_seq: 1, reason: "no".into() }));
                })
            }),
        ),
        (
            "edit the totals",
            Rule::TotalsDiffer,
            Lie(|body, _| {
                closed_body(body, |c| {
                    *c.outcomes.get_mut("pass").unwrap() += 1;
                    c.outcomes.remove("fail");
                })
            }),
        ),
        (
            "forget what was left behind",
            Rule::TotalsDiffer,
            Lie(|body, nth| match body {
                Body::PointResult(result) if nth == 0 => {
                    result.teardown.resources[0].state = Presence::Present;
                    result.teardown.leftover_count = 1;
                }
                Body::DrillClosed(closed) => closed.leftover_count = 0,
                _ => {}
            }),
        ),
        ("call the drill a pass", Rule::OutcomeDiffers, Lie(|body, _| closed_body(body, |c| c.outcome = Outcome::Pass))),
        ("say 100 % passed", Rule::InferenceDiffers, Lie(|body, _| closed_body(body, |c| c.inference[1].upper_bound = 0))),
        ("never close", Rule::DrillOverdue, Told(|story| story.close = false)),
    ]
}

/// Claims an RPO of the vault as it was an hour after the newest of its points.
fn rpo(result: &mut PointResult, achieved_ms: u64, point: Option<&str>) {
    if result.class == "files" {
        result.rpo.achieved_ms = Some(achieved_ms);
        result.rpo.reference_at = Some(captured_end().plus_secs(6 * 3600));
        result.rpo.point = point.map(|name| PointId(format!("arn:aws:backup:eu-west-2:111122223333:recovery-point:{name}")));
    }
}

/// A result of the plan's second case that was never tried.
fn untested(plan: &DrillPlanned) -> PointResult {
    let case = &plan.cases[1];
    let objective =
        |target_s| Objective { target_s, achieved_ms: None, reference_at: None, point: None, basis: "not tried".into(), met: None };
    let bank = case.class == "bank";
    PointResult {
        drill_id: DRILL.into(),
        case: case.case.clone(),
        resource: case.resource.clone(),
        application: "a".into(),
        class: case.class.clone(),
        rp: RpFacts {
            id: case.point.clone(),
            kind: "s3".into(),
            from: "aws-backup".into(),
            source_resource_arn: None,
            vault: None,
            created_at: Timestamp::from_secs(0),
            size_bytes: None,
            encrypted: None,
            kms_key_arn: None,
            vault_locked: None,
            retain_until: None,
        },
        isolation: None,
        restore: None,
        rto: objective(Some(if bank { 3600 } else { 14_400 })),
        rpo: objective(if bank { None } else { Some(86_400) }),
        verify: None,
        sql_checks: vec![],
        teardown: Teardown { resources: vec![], leftover_count: 0 },
        errors: vec![],
        outcome: Outcome::Untested,
        outcome_reasons: vec!["driver_absent".into()],
    }
}

fn facts(result: &mut PointResult) -> &mut VerifyFacts {
    result.verify.as_mut().unwrap()
}

fn counts(result: &mut PointResult) -> &mut attestore::model::counts::Counts {
    let facts = result.verify.as_mut().unwrap();
    facts.objects.as_mut().or(facts.rows.as_mut()).unwrap()
}

fn results() -> Vec<(&'static str, Rule, How)> {
    vec![
        ("edit a count", Rule::CountsDoNotAddUp, Lie(|body, _| passing(body, |r| counts(r).expected += 1))),
        (
            "claim what was not read",
            Rule::CoverageDiffers,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    let mut none = Counts::default();
                    none.add_many(Class::Unreadable, 2);
                    let facts = facts(result);
                    (facts.definitions, facts.unread_definitions, facts.coverage_ppm) = (Some(none), Some(2), 999_999);
                }
            }),
        ),
        (
            "call unread what was damaged",
            Rule::CountsDoNotAddUp,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    (facts(result).unread_definitions, facts(result).coverage_ppm) = (Some(1), 0);
                }
            }),
        ),
        (
            "hide findings",
            Rule::FindingsDiffer,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    facts(result).findings.total = 0;
                }
            }),
        ),
        ("meet what was not measured", Rule::MetWithoutAchieved, Lie(|body, _| passing(body, |r| r.rto.achieved_ms = None))),
        ("meet what was missed", Rule::MetDiffers, BigLie(|body, _| passing(body, |r| r.rto.achieved_ms = Some(1 << 40)))),
        ("be quicker than its phases", Rule::RtoDiffers, Lie(|body, _| passing(body, |r| r.rto.achieved_ms = Some(1)))),
        ("be quick without an end", Rule::RtoDiffers, Lie(|body, _| passing(body, |r| r.restore.as_mut().unwrap().verified_at = None))),
        ("pass without a restore", Rule::PassNotRestored, BigLie(|body, _| passing(body, |r| r.restore = None))),
        (
            "move a second",
            Rule::PointTimeDiffers,
            BigLie(|body, _| passing(body, |r| r.rp.id = PointId("arn:aws:rds:eu-west-2:111122223333:db:crm@2026-01-01T02:00:01Z".into()))),
        ),
        (
            "show a second that nothing shows",
            Rule::SecondDiffers,
            BigLie(|body, _| {
                passing(body, |r| {
                    r.verify.as_mut().unwrap().unstamped_tables = Some(1);
                    r.restore.as_mut().unwrap().second_shown = Some(true);
                })
            }),
        ),
        (
            "look at another account",
            Rule::IsolationDiffers,
            Lie(|body, _| passing(body, |r| r.isolation.as_mut().unwrap().account_id = "999999999999".into())),
        ),
        (
            "leave a look out",
            Rule::IsolationDiffers,
            Lie(|body, _| passing(body, |r| r.isolation.as_mut().unwrap().probes.retain(|probe| probe.name != "target-absent"))),
        ),
        ("be younger than the newest point", Rule::RpoDiffers, Lie(|body, _| passing(body, |r| rpo(r, 60_000, Some("vault-4"))))),
        ("be younger as versions were that named no point", Rule::RpoDiffers, Lie(|body, _| passing(body, |r| rpo(r, 60_000, None)))),
        ("take another point's age", Rule::RpoDiffers, Lie(|body, _| passing(body, |r| rpo(r, 3_600_000, Some("vault-3"))))),
        (
            "give no instant for the age",
            Rule::RpoDiffers,
            Lie(|body, _| {
                passing(body, |r| {
                    rpo(r, 3_600_000, Some("vault-4"));
                    r.rpo.reference_at = None;
                })
            }),
        ),
        (
            "count a point whose restore failed",
            Rule::RpoDiffers,
            Lie(|body, _| {
                passing(body, |r| {
                    if r.class != "files" {
                        return;
                    }
                    let error = CaseError {
                        at: Timestamp::from_secs(0),
                        phase: "wait".into(),
                        code: "remote".into(),
                        message: "the restore job FAILED".into(),
                        retryable: false,
                    };
                    r.errors.push(error);
                    (r.outcome, r.outcome_reasons) = (Outcome::Error, vec!["wait: the restore job FAILED".into()]);
                    let own = r.rp.id.0.rsplit(':').next().unwrap().to_owned();
                    // Its own age: the point was listed, and this very drill has shown that it does not come back.
                    rpo(r, 3_600_000 * (5 - own[6..].parse::<u64>().unwrap()), Some(&own));
                })
            }),
        ),
        ("lower a target", Rule::TargetDiffers, Lie(|body, _| passing(body, |r| r.rto.target_s = Some(1_000_000)))),
        ("invent a class", Rule::TargetDiffers, BigLie(|body, _| passing(body, |r| r.class = "easy".into()))),
        (
            "read before the restore",
            Rule::PhasesOutOfOrder,
            Lie(|body, _| {
                passing(body, |r| {
                    let restore = r.restore.as_mut().unwrap();
                    restore.first_read_at = Some(restore.requested_at.plus_secs(-60));
                })
            }),
        ),
        (
            "call a failed probe proof",
            Rule::IsolationDiffers,
            Lie(|body, _| {
                passing(body, |r| {
                    r.isolation.as_mut().unwrap().probes[0].held = false;
                })
            }),
        ),
        ("call nothing proof", Rule::IsolationDiffers, Lie(|body, _| passing(body, |r| r.isolation.as_mut().unwrap().probes.clear()))),
        (
            "forget a leftover",
            Rule::LeftoversDiffer,
            Lie(|body, _| {
                passing(body, |r| {
                    r.teardown.resources[0].state = Presence::Unknown;
                })
            }),
        ),
        (
            "fail without a reason",
            Rule::OutcomeWithoutReason,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    result.outcome_reasons.clear();
                }
            }),
        ),
        (
            "use a manifest that was never registered",
            Rule::ManifestNotRegistered,
            Lie(|body, _| {
                passing(body, |r| {
                    facts(r).manifest_leaf = 1;
                })
            }),
        ),
        (
            "register a manifest after the restore",
            Rule::ManifestRegisteredLate,
            Told(|story| {
                after(story, "drill.started", |writer| {
                    append_later(writer, Body::ManifestRegistered(manifest("vault", CaptureMode::VersionExact)));
                });
                let mut late = 0;
                story.edit = Box::new(move |body: &mut Body, _: usize| match body {
                    Body::DrillStarted(started) => late = started.planned_leaf + 2,
                    Body::PointResult(result) if result.resource.0 == "vault" => facts(result).manifest_leaf = late,
                    _ => {}
                });
            }),
        ),
        (
            "register a manifest when the draw is known",
            Rule::ManifestRegisteredLate,
            Told(|story| {
                after(story, "population.committed", |writer| {
                    append_later(writer, Body::ManifestRegistered(manifest("vault", CaptureMode::VersionExact)));
                });
                let mut late = 0;
                story.edit = Box::new(move |body: &mut Body, _: usize| match body {
                    Body::DrillStarted(started) => late = started.planned_leaf - 1,
                    Body::PointResult(result) if result.resource.0 == "vault" => facts(result).manifest_leaf = late,
                    _ => {}
                });
            }),
        ),
        ("swap a manifest", Rule::ManifestDiffers, Lie(|body, _| passing(body, |r| facts(r).manifest = Sha256Digest::of(b"kinder")))),
        (
            "call a manifest exact",
            Rule::ModeNotDowngraded,
            Lie(|body, _| {
                passing(body, |r| {
                    facts(r).mode = facts(r).capture_mode;
                })
            }),
        ),
        (
            "use a manifest of later than the point",
            Rule::ModeNotDowngraded,
            Lie(|body, _| {
                passing(body, |r| {
                    r.rp.created_at = "2025-12-31T00:00:00Z".parse().unwrap();
                })
            }),
        ),
    ]
}

/// Appends an entry dated a second after the last.
fn append_later(writer: &mut LogWriter, body: Body) {
    let last = writer.dir().entry(writer.size() - 1).unwrap().at;
    writer.append_at(last.plus_secs(1), body, Actor::tool("t"), &mut |_, _| Ok(())).unwrap();
}

fn passes() -> Vec<(&'static str, Rule, How)> {
    vec![
        (
            "change the outcome to pass",
            Rule::PassWithDifferences,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    result.outcome = Outcome::Pass;
                    result.outcome_reasons.clear();
                }
            }),
        ),
        (
            "pass with exception what failed",
            Rule::PassWithDifferences,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    result.outcome = Outcome::PassWithException;
                }
            }),
        ),
        ("pass what was empty", Rule::PassNothingExpected, Lie(|body, _| passing(body, |r| *counts(r) = Default::default()))),
        ("pass what was not compared", Rule::PassNothingExpected, Lie(|body, _| passing(body, |r| r.verify = None))),
        ("pass what was half read", Rule::PassNotCovered, Lie(|body, _| passing(body, |r| facts(r).coverage_ppm = 999_999))),
        (
            "pass what is undecided",
            Rule::PassOverBudget,
            Lie(|body, _| {
                passing(body, |r| {
                    counts(r).add_many(attestore::model::finding::Class::Indeterminate, 3);
                })
            }),
        ),
        (
            "pass a failed check",
            Rule::PassCriticalCheck,
            Lie(|body, _| {
                passing(body, |r| {
                    r.sql_checks.iter_mut().filter(|c| c.severity == Severity::Critical).for_each(|c| c.result = CheckOutcome::Fail);
                })
            }),
        ),
        (
            "pass a check that was not run",
            Rule::PassCriticalCheck,
            Lie(|body, _| {
                passing(body, |r| {
                    r.sql_checks.iter_mut().filter(|c| c.severity == Severity::Critical).for_each(|c| c.result = CheckOutcome::Untested);
                })
            }),
        ),
        (
            "pass a check of nothing",
            Rule::PassVacuousCheck,
            Lie(|body, _| {
                passing(body, |r| {
                    r.sql_checks.iter_mut().for_each(|c| c.result = CheckOutcome::Vacuous);
                })
            }),
        ),
        (
            "pass an objective that was missed",
            Rule::PassObjectiveNotMet,
            BigLie(|body, _| {
                passing(body, |r| {
                    (r.rto.achieved_ms, r.rto.met) = (Some(1 << 40), Some(false));
                })
            }),
        ),
        ("pass without isolation", Rule::PassNotIsolated, Lie(|body, _| passing(body, |r| r.isolation = None))),
        (
            "pass as if every byte had been read",
            Rule::PassWithReasons,
            Lie(|body, _| passing(body, |r| r.verify.iter_mut().for_each(|facts| facts.tier = Some("inventory".into())))),
        ),
        (
            "pass with protection lost",
            Rule::PassWithDifferences,
            Lie(|body, _| {
                passing(body, |r| {
                    let mut lost = Counts::default();
                    lost.add(Class::Mismatch);
                    r.verify.iter_mut().for_each(|facts| (facts.protection, facts.findings.total) = (Some(lost), 1));
                })
            }),
        ),
        ("pass with reasons against it", Rule::PassWithReasons, Lie(|body, _| passing(body, |r| r.outcome_reasons.push("hm".into())))),
    ]
}

fn run(how: How) -> (Vec<&'static str>, bool) {
    let mut story = Story::default();
    let mut alone = false;
    let mut change: Option<fn(&World)> = None;
    match how {
        Lie(edit) => {
            story.edit = Box::new(edit);
            alone = true;
        }
        BigLie(edit) => story.edit = Box::new(edit),
        Told(tell) => tell(&mut story),
        Files(act) => change = Some(act),
    }
    // A drill that is not closed is overdue only once its deadline has passed.
    let as_of = (!story.close).then(|| Timestamp::now().plus_secs(200_000));
    let world = build(story);
    if let Some(act) = change {
        act(&world);
    }
    (world.names_with(&VerifyOptions { checkpoint: None, as_of }), alone)
}

fn all_end_in_their_fault(tampers: Vec<(&'static str, Rule, How)>) {
    let mut wrong = Vec::new();
    for (name, rule, how) in tampers {
        let (found, alone) = run(how);
        if !found.contains(&rule.as_str()) || (alone && found != [rule.as_str()]) {
            wrong.push(format!("{name}: expected {rule}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn changed_files_end_in_their_named_fault() {
    all_end_in_their_fault(files());
}

#[test]
fn forged_entries_end_in_their_named_fault() {
    all_end_in_their_fault(forgeries());
}

#[test]
fn manipulated_draws_end_in_their_named_fault() {
    all_end_in_their_fault(draws());
}

#[test]
fn manipulated_runs_end_in_their_named_fault() {
    all_end_in_their_fault(runs());
}

#[test]
fn manipulated_results_end_in_their_named_fault() {
    all_end_in_their_fault(results());
}

#[test]
fn undeserved_passes_end_in_their_named_fault() {
    all_end_in_their_fault(passes());
}

#[test]
fn a_check_that_does_not_apply_stands_against_no_pass_and_excuses_no_failure() {
    let (found, _) = run(Lie(|body, _| {
        passing(body, |r| {
            r.sql_checks.iter_mut().for_each(|c| (c.result, c.not_applicable, c.actual) = (CheckOutcome::Untested, true, None));
        })
    }));
    assert_eq!(found, [] as [&str; 0]);
    let (found, _) = run(Lie(|body, _| {
        passing(body, |r| r.sql_checks.iter_mut().for_each(|c| (c.result, c.not_applicable) = (CheckOutcome::Fail, true)))
    }));
    assert!(found.contains(&Rule::PassCriticalCheck.as_str()), "{found:?}");
}

#[test]
fn every_rule_has_a_tamper() {
    let tried: Vec<Rule> = tampers().into_iter().map(|(_, rule, _)| rule).collect();
    let anchored = [Rule::AnchorSignatureBad, Rule::TruncatedSinceAnchor, Rule::ForkedFromAnchor];
    let untried: Vec<&str> =
        Rule::ALL.iter().filter(|rule| !tried.contains(rule) && !anchored.contains(rule)).map(|rule| rule.as_str()).collect();
    assert_eq!(untried, [] as [&str; 0]);
}
