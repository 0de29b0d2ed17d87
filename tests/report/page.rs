//! The report: its structure, what hostile text does to it (nothing), its limits, and the command that writes it.

use std::collections::BTreeMap;
use std::process::Command;

use attestore::model::clock::Timestamp;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::report::html::render;
use attestore::report::model::{CoverageState, DrillState, ReportModel};
use attestore::report::model_case::EvidenceState;
use attestore::report::publish::{Published, Request, model_of, publish};
use attestore::signing::keys::VerifyingKey;
use attestore::testing_log::body::{Correction, DrillAborted, Remediation};
use attestore::testing_log::entry::Body;
use attestore::testing_log::store::LogDir;
use attestore::testing_log::verify::run::verify;
use attestore::testing_log::verify::verdict::VerifyOptions;
use attestore::verify::objects::tier::Tier;

use crate::fixture::{DRILL, Fixture, drill_id, time};

const AS_OF: &str = "2031-01-20T09:00:00Z";
/// After everything that a fixture says by itself, before the report is made.
const AFTER: &str = "2031-01-20T00:00:00Z";

fn request(fixture: &Fixture) -> Request {
    Request {
        log: fixture.log(),
        key: fixture.key(),
        out: fixture.path("report.html"),
        checkpoint: None,
        as_of: Some(time(AS_OF)),
        drill: None,
    }
}

fn page(fixture: &Fixture) -> (ReportModel, String) {
    let request = request(fixture);
    match publish(&request).unwrap() {
        Published::Written(report) => (report.model, std::fs::read_to_string(&request.out).unwrap()),
        Published::Refused(faults) => panic!("{faults:?}"),
    }
}

/// The model whatever the log's faults: some states of a drill are faults too, and the model must still tell them rightly.
fn model(fixture: &Fixture, as_of: Timestamp) -> ReportModel {
    let key = VerifyingKey::load_pem(&fixture.key()).unwrap();
    let verdict = verify(&fixture.log(), &key, &VerifyOptions { checkpoint: None, as_of: Some(as_of) }).unwrap();
    model_of(&verdict, &LogDir::open(&fixture.log()).unwrap(), &key, None).unwrap()
}

#[test]
fn the_page_stands_by_itself_and_its_headings_are_in_order() {
    let (_, page) = page(&Fixture::full());
    let csp = r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">"#;
    assert!(page.contains(csp));
    for outside in ["<script", "javascript:", "src=", "@import", "http://", "https://", "<link", "<iframe", "onload", "onclick"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let hrefs: Vec<&str> = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(hrefs.len() > 14 && hrefs.iter().all(|href| href.starts_with('#')), "{hrefs:?}");
    assert!(hrefs.iter().all(|href| page.contains(&format!("id=\"{}\"", &href[1..]))), "{hrefs:?}");
    let levels: Vec<u32> = tags(&page).into_iter().filter_map(|(name, close, _)| (!close).then(|| level(&name))?).collect();
    assert_eq!((levels[0], levels.iter().filter(|level| **level == 1).count()), (1, 1));
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let order = ["Scope and denominator", "Exceptions", "What passed", "Time objectives", "Sample", "Limits of assurance"];
    let places: Vec<usize> = order.map(|name| page.find(&format!("</span>{name}</h2>")).unwrap()).into();
    assert!(places.is_sorted(), "{places:?}");
    assert!(!page.contains("undefined") && !page.contains(">none<"), "a member that is not there shows");
}

#[test]
fn the_page_is_well_formed_and_every_table_is_labelled() {
    let (_, page) = page(&Fixture::full());
    well_formed(&page);
    let empty = Fixture::empty();
    well_formed(&render(&model(&empty, time(AS_OF))).unwrap());
    let tables = page.matches("<table>").count();
    assert!(tables > 10);
    assert_eq!((tables, tables), (page.matches("<caption>").count(), page.matches("<thead>").count()));
    assert!(!page.contains("<th>") && page.matches("<th ").count() == page.matches("scope=\"").count());
    for svg in page.split("<svg ").skip(1) {
        let head = svg.split('>').next().unwrap();
        assert!(head.contains("aria-hidden") || head.contains("aria-labelledby"), "{head}");
    }
}

#[test]
fn exceptions_come_first_and_gravest_first() {
    let (model, page) = page(&Fixture::full());
    let drill = model.drill.unwrap();
    let outcomes: Vec<_> = drill.exceptions.iter().map(|case| case.outcome.unwrap()).collect();
    let grave =
        |outcome: &Outcome| [Outcome::Fail, Outcome::Error, Outcome::Inconclusive, Outcome::Untested].iter().position(|o| o == outcome);
    assert!(outcomes.is_sorted_by_key(|outcome| grave(outcome).unwrap()), "{outcomes:?}");
    assert!(drill.passes.iter().all(|case| case.outcome == Some(Outcome::Pass)) && !drill.passes.is_empty());
    assert_eq!(drill.scope.planned, (drill.exceptions.len() + drill.passes.len()) as u64);
    assert_eq!(drill.scope.outcomes.iter().map(|tally| tally.count).sum::<u64>(), drill.scope.planned);
    assert!(page.find("class=\"case t-fail").unwrap() < page.find("class=\"case t-untested").unwrap());
    assert!(page.find("class=\"case t-").unwrap() < page.find("planned recovery points</caption>").unwrap());
    for said in
        ["answered COMPLETED", "Recovery time missed", "is vacuous", "driver_absent", "could be bad, at 95 % confidence", "self-consistent"]
    {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn every_exception_is_named_in_the_verdict_and_leads_to_its_case() {
    let (model, page) = page(&Fixture::full());
    let drill = model.drill.unwrap();
    let glance = page.split("<ol class=\"glance\">").nth(1).unwrap().split("</ol>").next().unwrap();
    assert_eq!(glance.matches("href=\"#case-").count(), drill.exceptions.len().min(12));
    for case in drill.exceptions.iter().take(12) {
        assert!(glance.contains(&format!("<bdi>{}</bdi> {}</a>", case.resource.0, case.short)), "{}", case.short);
    }
}

#[test]
fn checks_and_probes_by_what_was_asked_lose_no_answer() {
    let (model, page) = page(&Fixture::full());
    let drill = model.drill.unwrap();
    let results = || drill.exceptions.iter().chain(&drill.passes).filter_map(|case| Some((case, case.result.as_ref()?)));
    let ran: usize = results().map(|(_, result)| result.sql_checks.len()).sum();
    assert!(ran > 0);
    assert_eq!(drill.checks.iter().map(|row| row.passed.len() + row.others.len()).sum::<usize>(), ran);
    assert!(drill.checks.is_sorted_by_key(|row| row.others.is_empty()), "what did not pass comes first");
    assert!(drill.checks.iter().flat_map(|row| &row.others).all(|answer| answer.result != attestore::model::check::CheckOutcome::Pass));
    let mut probed = 0;
    for (case, isolation) in results().filter_map(|(case, result)| Some((case, result.isolation.as_ref()?))) {
        for probe in &isolation.probes {
            let row = drill.probes.iter().find(|row| row.name == probe.name).unwrap();
            let did_not = isolation.probes.iter().any(|other| other.name == probe.name && !other.held);
            assert_eq!(row.held.iter().filter(|short| **short == case.short).count(), usize::from(!did_not), "{}", probe.name);
            assert_eq!(row.not_held.iter().any(|answer| answer.case == case.short), did_not, "{}", probe.name);
            probed += 1;
        }
    }
    assert!(probed > 0 && drill.probes.is_sorted_by_key(|row| row.not_held.is_empty()));
    assert!(drill.checks.iter().all(|row| page.contains(&row.id)) && drill.probes.iter().all(|row| page.contains(&row.name)));
}

#[test]
fn a_bar_stands_in_every_row_that_has_a_length() {
    let (model, page) = page(&Fixture::full());
    let drill = model.drill.as_ref().unwrap();
    let cases = || drill.exceptions.iter().chain(&drill.passes);
    let timed = cases().filter(|case| !case.phases.is_empty()).count();
    let rpo = |case: &&attestore::report::model_case::Case| {
        case.result.as_ref().is_some_and(|result| result.rpo.achieved_ms.is_some() && result.rpo.target_s.is_some())
    };
    let aged = cases().filter(rpo).count();
    let covered = model.coverage.iter().filter(|row| row.age_ms.is_some() && row.period_s.is_some()).count();
    assert!(timed > 0 && aged > 0 && covered > 0);
    assert_eq!(page.matches("<svg class=\"bar\"").count(), timed + aged + covered);
}

#[test]
fn names_are_clear_from_evidence_and_withheld_without() {
    let fixture = Fixture::full();
    let (model, page) = page(&fixture);
    let state = |resource: &str| {
        let drill = model.drill.as_ref().unwrap();
        let case = drill.exceptions.iter().find(|case| case.resource.0 == resource && case.findings.is_some()).unwrap();
        case.findings.as_ref().unwrap().evidence
    };
    assert_eq!((state("crm-transactions"), state("file-vault")), (EvidenceState::Withheld, EvidenceState::Present));
    assert!(page.contains("names withheld <code><bdi>sha256:") && !page.contains("transactions id=448201"));
    // A key that turns the direction of writing and carries markup: spelled out and escaped.
    assert!(page.contains("contracts&#x2f;2024&#x2f;10&#x2f;\\u{202e}fdp.&lt;b&gt;lease &amp; terms&lt;&#x2f;b&gt;.pdf"), "the key");
    assert!(!page.contains('\u{202e}') && !page.contains("<b>lease"));
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn hostile_text_everywhere_stays_text() {
    let hostile = "<script>alert(1)</script>\u{202e}\"'>&\u{0}\u{1b}[31m\n{{ m }}{% raw %}";
    let mut fixture = Fixture::full();
    let at = time(AFTER);
    let remedy = |id: &str, due| Remediation { id: id.into(), about_leaf: 70, owner: hostile.into(), due_at: due, text: hostile.into() };
    fixture.say(at, Body::RemediationOpened(remedy(hostile, Some(at.plus_secs(60)))));
    fixture.say(at, Body::RemediationOpened(remedy("r2", None)));
    fixture.say(at, Body::RemediationClosed(remedy("r2", None)));
    fixture.say(at, Body::Correction(Correction { leaf: 3, text: hostile.into() }));
    fixture.seal();
    let (mut model, page) = page(&fixture);
    assert!(!page.contains("<script") && !page.contains('\u{1b}') && !page.contains('\u{0}') && !page.contains('\u{202e}'));
    assert!(page.contains("\\u{1b}[31m\\u{a}{{ m }}"));
    assert_eq!(model.follow_up.remediations.iter().map(|row| row.state).collect::<Vec<_>>(), ["overdue", "closed"]);
    let drill = model.drill.as_mut().unwrap();
    drill.title = hostile.into();
    for case in drill.exceptions.iter_mut().chain(&mut drill.passes) {
        case.resource.0 = hostile.into();
        case.reasons = vec![hostile.into()];
        case.chosen = hostile.into();
    }
    model.coverage[0].resource.0 = hostile.into();
    let page = render(&model).unwrap();
    assert!(!page.contains("<script") && page.chars().all(|c| c == '\n' || !c.is_control()));
    well_formed(&page);
}

#[test]
fn what_is_left_behind_and_what_is_missing_is_said() {
    let (mut model, clean) = page(&Fixture::full());
    assert!(clean.contains("Everything that was created is gone") && clean.contains("numbered from 1 without a gap"));
    model.drill.as_mut().unwrap().leftover_count = 2;
    model.completeness.gaps = vec![2, 3];
    let page = render(&model).unwrap();
    assert!(page.contains("2 created resources are not known to be gone") && !page.contains("created is gone"));
    assert!(page.contains("missing from the sequence:</span> 2, 3."));
}

#[test]
fn a_lesser_tier_says_what_it_does_not_prove_and_protection_has_a_verdict_of_its_own() {
    let (mut model, page) = page(&Fixture::full());
    assert!(!page.contains("What equal does not prove"), "every byte was read everywhere");
    let drill = model.drill.as_mut().unwrap();
    let mut cases: Vec<_> = drill.exceptions.iter_mut().chain(&mut drill.passes).collect();
    assert!(cases.iter().all(|case| case.tier.as_deref().is_none_or(|tier| tier == "content") && case.does_not_prove.is_empty()));
    let case = cases.iter_mut().find(|case| case.protection.is_some()).unwrap();
    assert_eq!(case.protection.as_ref().unwrap().outcome, Outcome::Pass);
    assert!(page.contains("Protection of objects, a verdict apart from their content"));
    case.tier = Some("inventory".into());
    case.does_not_prove = Tier::Inventory.does_not_prove().to_vec();
    let protection = case.protection.as_mut().unwrap();
    (protection.outcome, protection.counts.mismatch) = (Outcome::Fail, 7);
    let page = render(&model).unwrap();
    assert!(page.contains("What equal does not prove") && page.contains("No byte of content was read"));
    assert!(page.contains(">inventory</td>") && page.contains("7 different"));
    well_formed(&page);
}

#[test]
fn what_was_not_compared_stands_beside_the_share_that_was_covered() {
    let (mut model, page) = page(&Fixture::full());
    assert!(!page.contains("definitions not compared"));
    let drill = model.drill.as_mut().unwrap();
    let mut verified = drill.exceptions.iter_mut().chain(&mut drill.passes).filter_map(|case| case.result.as_mut()?.verify.as_mut());
    verified.next().unwrap().not_compared.insert("definitions".into(), "rows are compared by <logical> types".into());
    let page = render(&model).unwrap();
    assert!(page.contains("definitions not compared: rows are compared by &lt;logical&gt; types"));
    well_formed(&page);
}

#[test]
fn a_restored_second_stands_with_the_newest_stamp_where_it_passed() {
    let fixture = Fixture::full();
    let (model, page) = page(&fixture);
    let drill = model.drill.as_ref().unwrap();
    let of_it: Vec<_> = drill.passes.iter().filter(|case| case.second.is_some()).collect();
    assert!(!of_it.is_empty(), "a case at a second passes");
    for case in of_it {
        let (second, at) = (case.second.as_ref().unwrap(), case.result.as_ref().unwrap().rp.created_at);
        assert_eq!(
            (second.asked_at, second.newest_stamp, second.before_s, second.shown),
            (at, Some(at.plus_secs(-3)), Some(3), Some(true))
        );
        let row = page.split("<tr>").find(|row| row.contains("Honoured") && row.contains(&case.short)).unwrap();
        for at in [second.asked_at, second.newest_stamp.unwrap()] {
            assert!(row.contains(&attestore::report::words::second(at)), "{row}");
        }
        assert!(row.contains("✓ shown") && row.contains("3 s before it"), "{row}");
    }
    let json = serde_json::to_value(&model).unwrap();
    assert!(json["drill"]["passes"].as_array().unwrap().iter().any(|case| case["second"]["before_s"] == 3), "and in JSON");
}

/// The age of a resource's data is that of its newest point, which need not be the one that was drilled.
#[test]
fn an_age_that_is_of_another_point_names_that_point() {
    let (mut model, page) = page(&Fixture::full());
    let another = PointId("newer-one".into());
    let said = format!("by <code><bdi>{}</bdi></code>", another.0);
    assert!(!page.contains(&said));
    let drill = model.drill.as_mut().unwrap();
    drill.passes[0].result.as_mut().unwrap().rpo.point = Some(another);
    assert_eq!(render(&model).unwrap().matches(&said).count(), 1);
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    let fixture = Fixture::full();
    assert_eq!(page(&fixture).1, page(&fixture).1);
    assert_eq!(model(&fixture, time(AS_OF)), model(&fixture, time(AS_OF)));
}

#[test]
fn an_empty_log_and_an_aborted_and_an_unfinished_drill() {
    let mut fixture = Fixture::empty();
    let empty = model(&fixture, time(AS_OF));
    assert!(empty.drill.is_none() && empty.verdict.outcome.is_none() && empty.controls.is_empty() && empty.coverage.is_empty());
    let page = render(&empty).unwrap();
    assert!(page.contains("This log records no drill") && page.contains("That is not a pass."));
    fixture.policy_and_manifests();
    let at = time("2031-01-17T02:00:00Z");
    let (leaf, population) = fixture.commit(DRILL, 1, at);
    let open = model(&fixture, at.plus_secs(60));
    let drill = open.drill.as_ref().unwrap();
    assert_eq!((drill.state, open.verdict.outcome, drill.scope.planned, drill.sample.is_none()), (DrillState::Open, None, 0, true));
    let plan = fixture.plan(leaf, &population, at.plus_secs(5));
    let first = fixture.result(&plan.cases[0], at.plus_secs(60), true);
    fixture.say(at.plus_secs(40_000), Body::PointResult(Box::new(first)));
    let overdue = model(&fixture, at.plus_secs(180_000));
    let drill = overdue.drill.as_ref().unwrap();
    assert_eq!((drill.state, overdue.verdict.outcome, overdue.completeness.missed), (DrillState::Overdue, Some(Outcome::Fail), 1));
    let silent = drill.exceptions.iter().filter(|case| case.outcome.is_none()).count();
    assert!(silent > 3 && render(&overdue).unwrap().contains("without a result"));
    assert!(drill.scope.strata.iter().all(|row| row.bound.contains("not closed")));
    let aborted = DrillAborted { drill_id: drill_id(DRILL), drill_seq: 1, reason: "the vault role was revoked".into() };
    fixture.say(at.plus_secs(50_000), Body::DrillAborted(aborted));
    fixture.seal();
    let aborted = model(&fixture, at.plus_secs(180_000));
    assert_eq!((aborted.drill.as_ref().unwrap().state, aborted.verdict.outcome), (DrillState::Aborted, Some(Outcome::Fail)));
    assert!(aborted.verdict.headline.contains("aborted") && aborted.verdict.sentences[0].contains("revoked"));
    assert!(aborted.controls.iter().flat_map(|framework| &framework.controls).all(|control| control.id != "A1.3"), "no drill was held");
}

#[test]
fn a_calm_drill_supports_controls_and_never_says_comply() {
    let fixture = Fixture::full();
    let mut calm = request(&fixture);
    calm.drill = Some(drill_id("d20301018-020000-c41e"));
    let Published::Written(report) = publish(&calm).unwrap() else { panic!("refused") };
    let ids: Vec<&str> =
        report.model.controls.iter().flat_map(|framework| &framework.controls).map(|control| control.id.as_str()).collect();
    for id in [
        "A1.2",
        "A1.3",
        "A.8.13",
        "A.5.30",
        "CP-4",
        "CP-9(1)",
        "CP-9(2)",
        "CP-10",
        "SI-7",
        "AU-9",
        "AU-10",
        "11.5",
        "Art. 12(2)",
        "Art. 12(3)",
    ] {
        assert!(ids.contains(&id), "{id} of {ids:?}");
    }
    let page = std::fs::read_to_string(&calm.out).unwrap().to_lowercase();
    assert!(["complies", "compliant", "certif"].iter().all(|claim| !page.contains(claim)));
    let states: BTreeMap<&str, CoverageState> = report.model.coverage.iter().map(|row| (row.resource.0.as_str(), row.state)).collect();
    assert_eq!((states["core-volume"], states["fraud-models"]), (CoverageState::Never, CoverageState::Never));
    let later = model(&fixture, time("2032-06-01T00:00:00Z"));
    assert!(later.coverage.iter().all(|row| matches!(row.state, CoverageState::Never | CoverageState::Overdue)), "a year on");
    let soon = model(&fixture, time("2030-10-25T00:00:00Z"));
    assert!(
        soon.coverage.iter().any(|row| row.state == CoverageState::Current) && soon.completeness.drills.len() == 1,
        "what came later is not known"
    );
    calm.drill = Some(drill_id("d1"));
    assert!(publish(&calm).unwrap_err().message.contains("no drill `d1`"));
}

#[test]
fn contrast_is_enough_in_light_and_in_dark() {
    let css = include_str!("../../reports/report.css");
    let palettes: Vec<BTreeMap<&str, [f64; 3]>> =
        css.split(":root {").skip(1).map(|block| palette(block.split('}').next().unwrap())).collect();
    assert_eq!(palettes.len(), 2);
    for colours in palettes {
        for ground in ["paper", "panel"] {
            for ink in ["ink", "muted", "accent", "pass", "warn", "fail", "idle"] {
                let ratio = contrast(colours[ink], colours[ground]);
                assert!(ratio >= 4.5, "{ink} on {ground}: {ratio:.2}");
            }
        }
        // Graphics: WCAG 2.2 §1.4.11 asks for 3.
        assert!(contrast(colours["phase-2"], colours["track"]) >= 3.0 && contrast(colours["ink"], colours["track"]) >= 3.0);
    }
}

fn run(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap();
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn the_command_writes_a_verified_log_and_refuses_another() {
    let fixture = Fixture::full();
    let (log, key, out) = (fixture.log(), fixture.key(), fixture.path("out.html"));
    let (log, key, out_text) = (log.to_str().unwrap(), key.to_str().unwrap(), out.to_str().unwrap());
    let base = ["--json", "report", "--log", log, "--key", key, "--as-of", AS_OF, "--out"];
    let (code, stdout, stderr) = run(&[&base[..], &[out_text]].concat());
    assert_eq!(code, 0, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    let digest = attestore::model::digest::Sha256Digest::of(&bytes).to_string();
    assert_eq!(
        (summary["digest"].as_str(), summary["drill_outcome"].as_str(), summary["drill"].as_str()),
        (Some(&*digest), Some("fail"), Some(DRILL))
    );
    let nowhere = fixture.path("absent/out.html");
    assert_eq!(run(&[&base[..], &[nowhere.to_str().unwrap()]].concat()).0, 2);
    let mut entries = std::fs::read_dir(fixture.log().join("entries")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let entry = entries.find(|path| read(path).contains("\"attempts\":1")).unwrap();
    let text = read(&entry);
    std::fs::write(&entry, text.replacen("\"attempts\":1", "\"attempts\":2", 1)).unwrap();
    let (code, stdout, stderr) = run(&[&base[..], &[out_text]].concat());
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("fault: root_differs") && stdout.contains("\"name\":\"root_differs\""), "{stderr}");
    assert_eq!(std::fs::read(&out).unwrap(), bytes, "what is there stays");
    let fresh = fixture.path("fresh.html");
    assert_eq!(run(&[&base[..], &[fresh.to_str().unwrap()]].concat()).0, 1);
    let left: Vec<_> = std::fs::read_dir(fixture.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!fresh.exists() && left.iter().all(|name| !name.to_string_lossy().starts_with(".report-")), "{left:?}");
}

#[test]
fn an_auditors_checkpoint_anchors_the_report() {
    let mut fixture = Fixture::full();
    let dir = LogDir::open(&fixture.log()).unwrap();
    let size = dir.listing().unwrap().checkpoints.last().copied().unwrap();
    std::fs::write(fixture.path("seen"), dir.checkpoint_text(size).unwrap()).unwrap();
    let at = time(AFTER);
    fixture.say(at, Body::Heartbeat(attestore::testing_log::body::Heartbeat { note: None }));
    fixture.seal();
    let mut request = request(&fixture);
    request.checkpoint = Some(fixture.path("seen"));
    let Published::Written(report) = publish(&request).unwrap() else { panic!("refused") };
    assert!(report.model.standing.anchored && report.model.limits[1].contains("anchored-to"));
}

#[test]
fn the_printed_shell_lines_repeat_the_draw() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let sample = model(&Fixture::full(), time(AS_OF)).drill.unwrap().sample.unwrap();
    let shell = |line: &str| String::from_utf8(Command::new("sh").args(["-c", line]).output().unwrap().stdout).unwrap();
    assert!(shell(&sample.seed_command).starts_with(&sample.sample.seed.hex()));
    assert!(shell(&sample.rank_command.unwrap()).starts_with(&sample.sample.selected[0].rank.hex()));
}

/// Start and end tags with their attributes, outside of `<style>`.
fn tags(page: &str) -> Vec<(String, bool, String)> {
    let body = &page[page.find("</style>").unwrap() + 8..];
    let mut tags = Vec::new();
    for rest in body.split('<').skip(1) {
        let tag = rest.split('>').next().unwrap();
        let close = tag.starts_with('/');
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        tags.push((name, close, tag.to_owned()));
    }
    tags
}

fn level(name: &str) -> Option<u32> {
    name.strip_prefix('h').and_then(|digit| digit.parse().ok())
}

/// Every element is closed where it must be, nothing is closed that is not open, no id is given twice.
fn well_formed(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{}", &page[..80]);
    let mut open: Vec<String> = vec!["html".into(), "head".into()];
    let mut ids = Vec::new();
    for (name, close, tag) in tags(page) {
        if let Some(id) = tag.split(" id=\"").nth(1) {
            ids.push(id.split('"').next().unwrap().to_owned());
        }
        assert!(!name.is_empty() || tag.starts_with('!'), "a bare < in `{tag}`");
        match (close, name.as_str()) {
            (true, _) => assert_eq!(open.pop().as_deref(), Some(&*name), "in `<{tag}>`"),
            (false, "br" | "meta") => {}
            (false, _) if tag.ends_with('/') => {}
            (false, _) => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

fn palette(block: &str) -> BTreeMap<&str, [f64; 3]> {
    let lines = block.lines().filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": #"));
    lines.map(|(name, hex)| (name, [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0))).collect()
}

/// WCAG 2.2: contrast ratio of two sRGB colours.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    let light = |c: [f64; 3]| 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    let (a, b) = (light(a) + 0.05, light(b) + 0.05);
    a.max(b) / a.min(b)
}
