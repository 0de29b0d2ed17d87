//! A whole drill over points beside AWS, as a person runs it: planted damage is found, nothing else is accused, the log verifies, nothing
//! is left behind; and the same after a kill at every record of the journal.

use crate::drill_estate::{self, Estate};
use attestore::model::check::CheckOutcome;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::testing_log::entry::Body;
use serde_json::Value;

fn lines(output: &std::process::Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_damage_is_found_and_nothing_else_is_accused() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let output = estate.run(&["drill", "--json", "--title", "First"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));

    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    let results = estate.results();
    let outcomes: Vec<(&str, Outcome)> = results.iter().map(|result| (result.rp.id.0.as_str(), result.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            ("file:app/bad.db", Outcome::Fail),
            ("file:app/good.db", Outcome::Pass),
            ("file:files/bad", Outcome::Fail),
            ("file:files/good", Outcome::Pass)
        ],
        "{}",
        said(&output)
    );
    let rows = results[0].verify.as_ref().unwrap().rows.unwrap();
    assert_eq!((rows.mismatch, rows.expected, rows.extra), (1, 50, 0));
    let objects = results[2].verify.as_ref().unwrap().objects.unwrap();
    assert_eq!((objects.mismatch, objects.missing, objects.extra, objects.expected), (1, 1, 1, 3));
    assert!(results.iter().all(|result| result.teardown.leftover_count == 0 && result.teardown.resources.len() == 1));
    assert!(results.iter().all(|result| result.isolation.as_ref().is_some_and(|isolation| isolation.proved)));
    assert!(estate.leftovers().is_empty());

    // Findings are labelled for machines, and hold clear names; entries do not.
    let lines = lines(&output);
    let findings: Vec<&Value> = lines.iter().filter(|line| line["event"] == "finding").collect();
    assert_eq!(findings.len(), 4, "{findings:?}");
    assert!(findings.iter().all(|finding| finding["case"].is_string() && finding["resource"].is_string()));
    assert!(findings.iter().any(|finding| finding["class"] == "extra" && finding["key"] == "extra.txt"));
    assert_eq!(lines.iter().filter(|line| line["event"] == "case").count(), 4);
    let summary = lines.last().unwrap();
    assert_eq!((&summary["event"], &summary["exit_code"], &summary["outcome"]), (&"summary".into(), &1.into(), &"fail".into()));
    let inline = &results[2].verify.as_ref().unwrap().findings.inline;
    assert_eq!(inline.len(), 3);
    assert!(inline.iter().any(|finding| finding.class == Class::Extra));
    for entry in &verdict.entries {
        let text = String::from_utf8_lossy(&entry.bytes).into_owned();
        assert!(!text.contains("extra.txt") && !text.contains("guest"), "{text}");
    }
    assert!(said(&output).contains("RESOURCE"), "a scorecard for people: {}", said(&output));
}

/// Gives a copy the age that it would have.
fn age(estate: &Estate, copy: &str, hours: u64) {
    let file = std::fs::File::options().write(true).open(estate.path(copy)).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_this_drill_proves_bad_is_no_achieved_rpo() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    age(&laid, "vault/app/bad.db", 1);
    age(&laid, "vault/app/good.db", 48);
    let app = |estate: &Estate| {
        let results = estate.results();
        let [bad, good, ..] = &results[..] else { panic!("{results:?}") };
        (bad.clone(), good.clone())
    };
    let hours = |result: &attestore::testing_log::point_result::PointResult| result.rpo.achieved_ms.unwrap() / 3_600_000;

    // The newest copy is damaged: what could be gone back to is the one before it, for whoever asks.
    let within = laid.copy_to(&folder.path().join("within"));
    age(&within, "vault/app/bad.db", 1);
    age(&within, "vault/app/good.db", 48);
    assert_eq!(within.run(&["drill"], None).status.code(), Some(1));
    let (bad, good) = app(&within);
    assert_eq!((bad.outcome, good.outcome), (Outcome::Fail, Outcome::Pass));
    for result in [&bad, &good] {
        assert_eq!((hours(result), result.rpo.met), (48, Some(true)), "{:?}", result.rpo);
        assert_eq!(result.rpo.point.as_ref().unwrap().0, "file:app/good.db");
        assert!(result.rpo.basis.contains("a newer one was tried and did not pass"), "{}", result.rpo.basis);
    }
    assert!(within.verdict().holds(), "{:?}", within.verdict().faults);

    // And where that is older than the target allows, the objective is missed, though every listed point is young enough.
    let missed = laid.copy_to(&folder.path().join("missed"));
    let text = std::fs::read_to_string(missed.path("attestore.toml")).unwrap();
    std::fs::write(missed.path("attestore.toml"), text.replace("rpo = \"7d\"", "rpo = \"24h\"")).unwrap();
    age(&missed, "vault/app/bad.db", 1);
    age(&missed, "vault/app/good.db", 48);
    assert_eq!(missed.run(&["drill"], None).status.code(), Some(1));
    let (_, good) = app(&missed);
    assert_eq!((good.outcome, good.rpo.met, hours(&good)), (Outcome::Fail, Some(false), 48));
    assert!(good.outcome_reasons[0].starts_with("RPO missed"), "{:?}", good.outcome_reasons);
    assert!(missed.verdict().holds(), "{:?}", missed.verdict().faults);

    // Where it was copied, a clock was two minutes ahead: it has no age, and the log holds.
    let ahead = laid.copy_to(&folder.path().join("ahead"));
    age(&ahead, "vault/app/bad.db", 1);
    std::fs::copy(ahead.path("vault/app/good.db"), ahead.path("vault/app/newest.db")).unwrap();
    let copied = std::fs::File::options().write(true).open(ahead.path("vault/app/newest.db")).unwrap();
    copied.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(120)).unwrap();
    ahead.run(&["drill"], None);
    let (_, good) = app(&ahead);
    assert_eq!((good.rpo.achieved_ms, good.rpo.met), (Some(0), Some(true)), "{:?}", good.rpo);
    assert_eq!(good.rpo.point.as_ref().unwrap().0, "file:app/newest.db");
    assert!(ahead.verdict().holds(), "{:?}", ahead.verdict().faults);

    // A point that was not tried may be the newest one; then the words say so.
    let drawn = laid.copy_to(&folder.path().join("drawn"));
    std::fs::write(
        drawn.path("attestore.toml"),
        text.replace("[[resource]]\nid = \"app\"", "sample = { count = 1 }\n[[resource]]\nid = \"app\""),
    )
    .unwrap();
    age(&drawn, "vault/app/bad.db", 48);
    age(&drawn, "vault/app/good.db", 1);
    drawn.run(&["drill"], None);
    for result in drawn.results().iter().filter(|result| result.resource.0 == "app") {
        let tried_newest = drawn.results().iter().any(|one| one.rp.id.0 == "file:app/good.db");
        assert_eq!(result.rpo.basis.contains("listed; it was not tried"), !tried_newest, "{}", result.rpo.basis);
        assert_eq!(hours(result), 1);
    }
    assert!(drawn.verdict().holds(), "{:?}", drawn.verdict().faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_changes_nothing_and_a_second_drill_has_nothing_due() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let before = estate.verdict().size;
    let output = estate.run(&["plan", "--json"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let lines = lines(&output);
    assert_eq!(lines.iter().filter(|line| line["event"] == "point").count(), 4);
    assert_eq!(lines.iter().filter(|line| line["event"] == "targeted").count(), 2, "never tested");
    assert_eq!((estate.verdict().size, estate.leftovers().len()), (before, 0));
    let effort = &lines.last().unwrap()["effort_at_most"];
    assert!(effort["restored_bytes"].as_u64() > Some(20_000) && effort["read_bytes"].as_u64() > Some(20_000), "{effort}");
    assert_eq!((&effort["s3_requests"], &effort["unknown_sizes"]), (&0.into(), &0.into()), "nothing of it is in AWS");
    assert!(String::from_utf8_lossy(&estate.run(&["plan"], None).stdout).contains("takes at most: "));

    // One of the points is drawn; both resources are due as well, and then no more.
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    std::fs::write(
        estate.path("attestore.toml"),
        text.replace("[[resource]]\nid = \"app\"", "sample = { count = 1 }\n[[resource]]\nid = \"app\""),
    )
    .unwrap();
    assert!([Some(0), Some(1)].contains(&estate.run(&["drill"], None).status.code()));
    let first = estate.results().len();
    assert!((2..=3).contains(&first), "{first}");
    assert!([Some(0), Some(1)].contains(&estate.run(&["drill"], None).status.code()));
    assert_eq!(estate.results().len(), first + 1);
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    assert_eq!(verdict.drills.iter().map(|drill| drill.drill_seq).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_trusted_is_refused_before_anything_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(&folder.path().join("a")).await;
    // A manifest whose part was changed: that case is an error, the others are drilled.
    let damaged = estate.copy_to(&folder.path().join("b"));
    // It was whole when the drill was planned.
    assert_eq!(damaged.run(&["plan"], None).status.code(), Some(0));
    let part = damaged.path("manifests/files/good/part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let output = damaged.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let results = damaged.results();
    assert_eq!((results[3].outcome, results[3].errors[0].code.as_str()), (Outcome::Error, "bad_evidence"));
    assert!(results[3].restore.is_none() && results[1].outcome == Outcome::Pass);
    assert!(damaged.verdict().holds());

    // A log that was changed stops everything.
    let forged = estate.copy_to(&folder.path().join("c"));
    let entry = forged.path("log/entries/00000001.json");
    let text = std::fs::read_to_string(&entry).unwrap().replace("sealed", "Sealed");
    std::fs::write(&entry, text).unwrap();
    let output = forged.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(forged.leftovers().is_empty());

    // A key that is not the log's, a class that is not there, a vault that is not there.
    let other = estate.copy_to(&folder.path().join("d"));
    std::fs::remove_file(other.path("attestore.key")).unwrap();
    attestore::signing::keys::SigningKey::generate(&other.path("attestore.key")).unwrap();
    assert_eq!(other.run(&["drill"], None).status.code(), Some(2));
    let gone = estate.copy_to(&folder.path().join("e"));
    std::fs::remove_dir_all(gone.path("vault/files")).unwrap();
    let output = gone.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(gone.results().len(), 2);
    assert!(said(&output).contains("could not be listed"), "{}", said(&output));
    assert!(gone.verdict().holds());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_manifest_there_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    drill_estate::database(&estate.path("vault/app/new.db"), 7).await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    // The new point is younger than the manifests: it is compared in a bounded mode, equal, and says so.
    assert_eq!(estate.run(&["drill"], None).status.code(), Some(1));
    let new = estate.results().into_iter().find(|result| result.rp.id.0 == "file:app/new.db").unwrap();
    let facts = new.verify.as_ref().unwrap();
    assert_eq!(facts.mode, attestore::model::capture::CaptureMode::PositionBounded);
    assert_eq!(new.outcome, Outcome::Pass);

    // Without any: untested, or a baseline from the first restore that the next drill compares with.
    let bare = text.replace("manifests = \"manifests/app\"", "manifests = \"manifests/bare\"").replace("id = \"app\"", "id = \"bare\"");
    std::fs::create_dir_all(estate.path("manifests/bare")).unwrap();
    std::fs::write(estate.path("attestore.toml"), &bare).unwrap();
    estate.run(&["drill"], None);
    let untested = estate.results().into_iter().filter(|result| result.outcome == Outcome::Untested).count();
    assert_eq!(untested, 3);
    let first = bare.replace("test_period", "when_no_manifest = \"first-restore\"\ntest_period");
    std::fs::write(estate.path("attestore.toml"), &first).unwrap();
    estate.run(&["drill"], None);
    let of_bare = |estate: &Estate| {
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{:?}", verdict.faults);
        let last = verdict.drills.last().unwrap().drill_id.clone();
        estate
            .results()
            .into_iter()
            .filter(|result| result.drill_id == last && result.resource.0 == "bare")
            .map(|r| r.outcome)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_bare(&estate), [Outcome::Inconclusive; 3]);
    estate.run(&["drill"], None);
    assert_eq!(of_bare(&estate), [Outcome::Pass; 3]);
}

/// A first restore keeps what the checks of its class will be compared with: from the second drill on they pass, and find what has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_restore_keeps_baselines_for_checks() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let (bare, _) = text.split_once("[[resource]]\nid = \"files\"").unwrap();
    let bare = bare.replace("manifests = \"manifests/app\"", "manifests = \"manifests/bare\"").replace("id = \"app\"", "id = \"bare\"");
    let bare = bare.replace("test_period", "when_no_manifest = \"first-restore\"\nchecks = [\"./sum.sql\"]\ntest_period");
    let bare = bare.replace("id = \"bare\"", "id = \"bare\"\nsidecar = \"keys\"");
    std::fs::write(estate.path("attestore.toml"), bare).unwrap();
    let check = "--! id = \"sum.ids\"\n--! title = \"The sum of the ids\"\n--! engines = [\"sqlite\"]\n--! requires = [\"booking\"]\n\
                 --! kind = \"baseline-scalar\"\n--! severity = \"critical\"\n--! error_if = \"!= baseline\"\nSELECT SUM(id) FROM booking\n";
    std::fs::write(estate.path("sum.sql"), check).unwrap();
    std::fs::create_dir_all(estate.path("manifests/bare")).unwrap();
    assert_eq!(estate.run(&["drill"], None).status.code(), Some(3), "a first restore is no pass");
    let second = estate.run(&["drill"], None);
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    let kept = std::fs::read_dir(estate.path("manifests/bare")).unwrap().next().unwrap().unwrap().path();
    assert!(kept.join("names-00000.parquet").exists(), "rows are named, as the resource asks for");
    let last = estate.verdict().drills.last().unwrap().drill_id.clone();
    let results: Vec<_> = estate.results().into_iter().filter(|result| result.drill_id == last).collect();
    assert!(results.len() > 1 && results.iter().all(|result| result.sql_checks[0].result == CheckOutcome::Pass), "{results:?}");
}

/// Outcomes and counts by point: what must not depend on where a run was killed.
fn essence(estate: &Estate) -> Vec<(String, Outcome, String)> {
    let essence = |result: attestore::testing_log::point_result::PointResult| {
        let facts = result.verify.as_ref().unwrap();
        (result.rp.id.0, result.outcome, format!("{:?} {:?} {}", facts.objects, facts.rows, facts.findings.total))
    };
    estate.results().into_iter().map(essence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_record_a_resumed_drill_ends_the_same_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let whole = laid.copy_to(&folder.path().join("whole"));
    assert_eq!(whole.run(&["drill"], None).status.code(), Some(1));
    let expected = essence(&whole);
    for n in 1.. {
        let estate = laid.copy_to(&folder.path().join(format!("k{n}")));
        let killed = estate.run(&["drill"], Some(n));
        if killed.status.code().is_some() {
            assert!(n > 30, "a drill writes more than {n} records: {}", said(&killed));
            break;
        }
        let is_closed = estate.verdict().entries.iter().any(|entry| entry.body.kind() == "drill.closed");
        if !is_closed {
            // A new drill is tried first: it is refused, and says how to go on.
            let refused = estate.run(&["drill"], None);
            assert_eq!(refused.status.code(), Some(3), "{n}: {}", said(&refused));
            assert!(said(&refused).contains("--resume"), "{}", said(&refused));
        }
        let resumed = estate.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(1), "{n}: {}", said(&resumed));
        assert_eq!(essence(&estate), expected, "killed after record {n}");
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{n}: {:?}", verdict.faults);
        assert!(estate.leftovers().is_empty(), "{n}: {:?}", estate.leftovers());
        let restored_twice = estate.results().iter().any(|result| result.restore.as_ref().is_some_and(|restore| restore.attempts > 2));
        assert!(!restored_twice);
        std::fs::remove_dir_all(&estate.folder).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_restore_that_was_killed_never_passes_against_its_own_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let text = std::fs::read_to_string(laid.path("attestore.toml")).unwrap();
    let (bare, _) = text.split_once("[[resource]]\nid = \"files\"").unwrap();
    let bare = bare.replace("manifests = \"manifests/app\"", "manifests = \"manifests/bare\"").replace("id = \"app\"", "id = \"bare\"");
    std::fs::write(laid.path("attestore.toml"), bare.replace("test_period", "when_no_manifest = \"first-restore\"\ntest_period")).unwrap();
    std::fs::create_dir_all(laid.path("manifests/bare")).unwrap();
    let points = |estate: &Estate| estate.results().into_iter().map(|result| (result.rp.id.0, result.outcome)).collect::<Vec<_>>();
    let baselines = |estate: &Estate| {
        let registered =
            |entry: &&attestore::testing_log::entry::Entry| matches!(&entry.body, Body::ManifestRegistered(m) if m.resource.0 == "bare");
        estate.verdict().entries.iter().filter(registered).count()
    };
    let whole = laid.copy_to(&folder.path().join("whole"));
    assert_eq!(whole.run(&["drill"], None).status.code(), Some(3));
    let expected = points(&whole);
    assert!(expected.len() == 2 && expected.iter().all(|(_, outcome)| *outcome == Outcome::Inconclusive), "{expected:?}");
    for n in 1.. {
        let estate = laid.copy_to(&folder.path().join(format!("k{n}")));
        let killed = estate.run(&["drill"], Some(n));
        if killed.status.code().is_some() {
            assert!(n > 30, "a drill writes more than {n} records: {}", said(&killed));
            break;
        }
        let resumed = estate.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(3), "{n}: {}", said(&resumed));
        assert_eq!(points(&estate), expected, "killed after record {n}");
        assert_eq!(baselines(&estate), 2, "each is registered once; killed after record {n}");
        assert!(estate.verdict().holds(), "{n}: {:?}", estate.verdict().faults);
        std::fs::remove_dir_all(&estate.folder).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_takes_down_what_a_killed_drill_left_and_touches_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    let mut swept_something = false;
    for n in [8, 14, 20] {
        let estate = laid.copy_to(&folder.path().join(format!("s{n}")));
        assert_eq!(estate.run(&["drill"], Some(n)).status.code(), None);
        // A stranger with the prefix, and one without.
        for name in ["attestore-drill-stranger", "mine"] {
            std::fs::create_dir_all(estate.path("attestore-work").join(name)).unwrap();
        }
        let standing = estate.leftovers().len();
        let dry = estate.run(&["sweep"], None);
        assert_eq!((dry.status.code(), estate.leftovers().len()), (Some(6), standing), "{}", said(&dry));
        let wet = estate.run(&["sweep", "--apply", "--json"], None);
        assert_eq!(wet.status.code(), Some(6), "the stranger is reported, not touched: {}", said(&wet));
        let mut left = estate.leftovers();
        left.sort();
        assert_eq!(left, ["attestore-drill-stranger", "mine"]);
        swept_something |= standing > 2;
        std::fs::remove_dir(estate.path("attestore-work/attestore-drill-stranger")).unwrap();
        assert_eq!(estate.run(&["sweep"], None).status.code(), Some(0));
        // The drill still closes: what was swept away is an error, never a pass.
        let resumed = estate.run(&["drill", "--resume"], None);
        assert!(resumed.status.code().is_some_and(|code| code != 0), "{}", said(&resumed));
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{n}: {:?}", verdict.faults);
    }
    assert!(swept_something);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_whose_journal_is_lost_is_named_and_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    assert_eq!(estate.run(&["drill"], Some(20)).status.code(), None);
    for name in ["attestore.journal", "attestore.journal-wal", "attestore.journal-shm"] {
        let _ = std::fs::remove_file(estate.path(name));
    }
    let lost = estate.verdict().drills[0].drill_id.clone();
    let refused = estate.run(&["drill"], None);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains(&format!("attestore drill --abandon {lost}")), "{}", said(&refused));
    let given_up = estate.run(&["drill", "--abandon", &lost.0], None);
    assert_eq!(given_up.status.code(), Some(3), "{}", said(&given_up));
    assert!(said(&given_up).contains("its journal is lost"), "{}", said(&given_up));
    assert_eq!(estate.run(&["drill", "--abandon", &lost.0], None).status.code(), Some(2), "once");
    assert_eq!(estate.run(&["drill"], None).status.code(), Some(1), "the next one is free to begin");
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    assert_eq!(verdict.drills[0].end, attestore::testing_log::verify::verdict::DrillEnd::Aborted);
    // Closed in order: all of the journal is in its one file.
    assert!(estate.path("attestore.journal").is_file() && !estate.path("attestore.journal-wal").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_drill_can_be_given_up_and_counts_as_failed() {
    let folder = tempfile::tempdir().unwrap();
    let laid = Estate::lay(&folder.path().join("laid")).await;
    for n in [1, 3, 16] {
        let estate = laid.copy_to(&folder.path().join(format!("a{n}")));
        assert_eq!(estate.run(&["drill"], Some(n)).status.code(), None);
        // Under another configuration it is not gone on with.
        estate.configure("# changed\n");
        assert_eq!(estate.run(&["drill", "--resume"], None).status.code(), Some(2));
        let given_up = estate.run(&["drill", "--abandon"], None);
        assert_eq!(given_up.status.code(), Some(3), "{n}: {}", said(&given_up));
        assert!(estate.leftovers().is_empty());
        if n == 16 {
            let resumed = estate.run(&["drill", "--resume"], None);
            assert_eq!(resumed.status.code(), Some(3), "{}", said(&resumed));
            assert!(said(&resumed).contains("was given up"), "{}", said(&resumed));
        }
        assert_eq!(estate.run(&["drill"], None).status.code(), Some(1), "the next one is free to begin");
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{n}: {:?}", verdict.faults);
        assert_eq!(verdict.drills.len(), if n == 16 { 2 } else { 1 });
    }
}
