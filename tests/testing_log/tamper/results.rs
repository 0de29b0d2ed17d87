//! What an operator can say of one recovery point that its entry, its manifest or its policy contradicts.

use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::counts::Counts;
use attestore::model::digest::Sha256Digest;
use attestore::model::finding::Class;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::testing_log::entry::{Actor, Body};
use attestore::testing_log::point_result::*;
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::writer::LogWriter;

use crate::support::*;
use crate::tamper::How::{BigLie, Lie, Story as Told};
use crate::tamper::{Tamper, after, all_end_in_their_fault, counts, facts, passing};

/// Claims an RPO of the vault as it was an hour after the newest of its points.
fn rpo(result: &mut PointResult, achieved_ms: u64, point: Option<&str>) {
    if result.class == "files" {
        result.rpo.achieved_ms = Some(achieved_ms);
        result.rpo.reference_at = Some(captured_end().plus_secs(6 * 3600));
        result.rpo.point = point.map(|name| PointId(format!("arn:aws:backup:eu-west-2:111122223333:recovery-point:{name}")));
    }
}

pub fn results() -> Vec<Tamper> {
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
            "cover what was not compared",
            Rule::CoverageDiffers,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    let kinds = ["objects", "rows", "items"].map(|kind| (kind.to_owned(), "not compared".to_owned()));
                    facts(result).not_compared.extend(kinds);
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
        ("be quick without an end", Rule::RtoDiffers, BigLie(|body, _| passing(body, |r| r.restore.as_mut().unwrap().verified_at = None))),
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
            BigLie(|body, _| {
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

#[test]
fn manipulated_results_end_in_their_named_fault() {
    all_end_in_their_fault(results());
}
