//! What the holder of the key can do to one entry: the last is rewritten and sealed again.

use attestore::model::clock::Timestamp;
use attestore::signing::checkpoint::Checkpoint;
use attestore::signing::keys::SigningKey;
use attestore::signing::sshsig;
use attestore::testing_log::body::Heartbeat;
use attestore::testing_log::entry::{Actor, Body, Entry};
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::writer::LogWriter;
use serde_json::json;

use crate::support::*;
use crate::tamper::How::Files;
use crate::tamper::{Tamper, all_end_in_their_fault};

pub fn forgeries() -> Vec<Tamper> {
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

#[test]
fn forged_entries_end_in_their_named_fault() {
    all_end_in_their_fault(forgeries());
}
