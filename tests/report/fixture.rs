//! A realistic log for the tests of the report, written by the log's own writer: two drills of a bank's estate, the second with a dozen
//! cases of every kind of outcome. Key and dates are fixed, so that the draw is the same in every run and on every day.

pub mod results;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attestore::model::clock::Timestamp;
use attestore::model::digest::Sha256Digest;
use attestore::model::ids::{CaseId, DrillId, PointId, ResourceId};
use attestore::model::outcome::Outcome;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::{
    ClassPolicy, DrillClosed, DrillPlanned, DrillStarted, Excluded, ManifestRegistered, PlannedCase, PolicySet, PopulationCommitted,
    PopulationItem, Runner, Sample, Stratum, Strength, Targeted, Tool, Trigger,
};
use attestore::testing_log::entry::{Actor, Body};
use attestore::testing_log::point_result::{PointResult, RpFacts};
use attestore::testing_log::sample;
use attestore::testing_log::verify::reference::DEADLINE_S;
use attestore::testing_log::writer::LogWriter;

use results::Baseline;

/// The log's name.
pub const ORIGIN: &str = "meridian.bank/restore-tests";
/// When it was made.
const GENESIS: &str = "2030-10-01T07:00:00Z";
/// The drill that has everything in it.
pub const DRILL: &str = "d20310117-020000-7f3a";

/// What becomes of the points of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plot {
    Pass,
    Mismatch,
    MissingVersion,
    RestoreFailed,
    CompletedWithoutData,
    DriverAbsent,
    VacuousCheck,
    MissedRto,
}

/// One resource of the estate.
pub struct Res {
    pub id: &'static str,
    pub application: &'static str,
    pub kind: &'static str,
    pub from: &'static str,
    pub class: &'static str,
    pub plot: Plot,
}

const fn res(id: &'static str, application: &'static str, kind: &'static str, from: &'static str, class: &'static str, plot: Plot) -> Res {
    Res { id, application, kind, from, class, plot }
}

/// The estate.
pub const ESTATE: &[Res] = &[
    res("crm-transactions", "crm", "rds-postgres", "rds-snapshot", "gold", Plot::Mismatch),
    res("ledger", "core-banking", "rds-mysql", "rds-pitr", "gold", Plot::Pass),
    res("file-vault", "documents", "s3", "aws-backup", "gold", Plot::MissingVersion),
    res("audit-logs", "core-banking", "dynamodb", "dynamodb-backup", "gold", Plot::CompletedWithoutData),
    res("payments", "core-banking", "rds-postgres", "aws-backup", "gold", Plot::MissedRto),
    res("statements", "documents", "s3", "aws-backup", "silver", Plot::Pass),
    res("branch-app", "branches", "files", "local", "silver", Plot::VacuousCheck),
    res("hr-archive", "hr", "files", "local", "silver", Plot::Pass),
    res("cards", "cards", "dynamodb", "aws-backup", "silver", Plot::RestoreFailed),
    res("core-volume", "core-banking", "ebs", "aws-backup", "bronze", Plot::DriverAbsent),
];

/// A log in a temporary directory.
pub struct Fixture {
    dir: tempfile::TempDir,
    writer: LogWriter,
    manifests: BTreeMap<String, Baseline>,
    dates: BTreeMap<PointId, Timestamp>,
    newest: BTreeMap<String, PointId>,
    policy: (u64, Sha256Digest),
}

/// An instant in RFC 3339.
pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tool() -> Tool {
    Tool {
        name: "attestore".into(),
        version: "0.1.0".into(),
        git_commit: Some("1f2daf2c9be1".into()),
        binary_sha256: Some(Sha256Digest::of(b"tool")),
    }
}

impl Fixture {
    /// An empty log: its genesis and a policy.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::from_seed(&[0x5a; 32]);
        std::fs::write(dir.path().join("log.pub.pem"), key.verifying_key().to_pem()).unwrap();
        let writer = LogWriter::create_at(&dir.path().join("log"), ORIGIN, &key, tool(), time(GENESIS)).unwrap();
        Self {
            dir,
            writer,
            manifests: BTreeMap::new(),
            dates: BTreeMap::new(),
            newest: BTreeMap::new(),
            policy: (0, Sha256Digest::of(b"attestore.toml")),
        }
    }

    /// Two drills.
    pub fn full() -> Self {
        let mut fixture = Self::empty();
        fixture.policy_and_manifests();
        fixture.drill("d20301018-020000-c41e", 1, "2030-10-18T02:00:00Z", true);
        fixture.drill(DRILL, 2, "2031-01-17T02:00:00Z", false);
        fixture
    }

    /// The log's directory.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// The public key.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("log.pub.pem")
    }

    /// A path beside the log.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Writes an entry and gives its leaf.
    pub fn say(&mut self, at: Timestamp, body: Body) -> u64 {
        self.writer.append_at(at, body, Actor::tool("attestore"), &mut |_, _| Ok(())).unwrap().index
    }

    /// Seals what was written.
    pub fn seal(&mut self) {
        self.writer.checkpoint().unwrap();
    }

    /// The policy, and a manifest for each resource.
    pub fn policy_and_manifests(&mut self) {
        let at = time("2030-10-01T08:00:00Z");
        let class = |rto_h: u64, rpo_h: u64, days: u64| ClassPolicy {
            rto_s: Some(rto_h * 3600),
            rpo_s: Some(rpo_h * 3600),
            test_period_s: Some(days * 86_400),
            indeterminate_budget: 0,
            second_within_s: None,
            access: None,
            checks: BTreeMap::new(),
        };
        let classes = [("gold", class(4, 24, 92)), ("silver", class(8, 48, 183)), ("bronze", class(24, 96, 366))]
            .map(|(name, c)| (name.to_owned(), c));
        let body = PolicySet { config: self.policy.1, classes: classes.into(), check_set: Sha256Digest::of(b"checks"), packs: None };
        self.policy.0 = self.say(at, Body::PolicySet(body));
        for res in ESTATE {
            self.register(res, None, at);
        }
    }

    /// A manifest of `res`, captured at `at`; exact modes need one that names its point.
    fn register(&mut self, res: &Res, point: Option<PointId>, at: Timestamp) {
        let name = point.as_ref().map_or(res.id, |point| &point.0).to_owned();
        let manifest = Sha256Digest::of(name.as_bytes());
        let body = ManifestRegistered {
            manifest,
            resource: res.id.into(),
            recovery_point_id: point,
            mode: results::mode(res.kind),
            captured_end: at,
            root: manifest.0,
        };
        let leaf = self.say(at.plus_secs(60), Body::ManifestRegistered(body));
        self.manifests.insert(name, Baseline { leaf, manifest, captured_end: at });
    }

    /// A population of four points a resource, sealed.
    pub fn commit(&mut self, id: &str, seq: u64, at: Timestamp) -> (u64, PopulationCommitted) {
        let mut population: Vec<PopulationItem> = ESTATE
            .iter()
            .flat_map(|res| (0..4).map(move |age| (res, age)))
            .map(|(res, age)| PopulationItem {
                id: point(res, at, age),
                resource: res.id.into(),
                stratum: res.class.into(),
                created_at: at.plus_secs(-7200 - i64::from(age) * 86_400),
            })
            .collect();
        population.sort_by(|a, b| a.id.cmp(&b.id));
        let size = |name: &str| population.iter().filter(|item| item.stratum == name).count() as u64;
        let strata =
            [("bronze", 1), ("gold", 4), ("silver", 3)].map(|(name, sample)| Stratum { name: name.into(), size: size(name), sample });
        let rule = "newest point of a resource not tested for longest";
        // What a test looks for is drilled by rule: the draw is of the log's own key and may leave it out.
        let wanted = ESTATE.iter().filter(|res| res.plot != Plot::Pass || res.from == "rds-pitr");
        let targeted = wanted.map(|res| Targeted { id: point(res, at, 0), reason: rule.into() });
        let head = self.writer.last_checkpoint();
        let body = PopulationCommitted {
            drill_id: id.into(),
            drill_seq: seq,
            deadline_at: at.plus_secs(DEADLINE_S),
            service_ahead_ms: None,
            targeted: targeted.collect(),
            excluded: vec![
                Excluded {
                    id: "arn:aws:backup:eu-west-2:111122223333:recovery-point:0c1f-expired".into(),
                    reason: "EXPIRED: past its retention, deletion pending".into(),
                },
                Excluded {
                    id: "arn:aws:rds:eu-west-2:111122223333:snapshot:payments-manual-3".into(),
                    reason: "CREATING: not complete yet".into(),
                },
                Excluded { id: "resource:fraud-models".into(), reason: "no recovery point in any of its sources".into() },
            ],
            beacon: sample::checkpoint_beacon(head),
            listings: [("backup:ListRecoveryPointsByBackupVault", "a"), ("dynamodb:ListBackups", "b"), ("rds:DescribeDBSnapshots", "c")]
                .map(|(call, seed)| (call.to_owned(), Sha256Digest::of(seed.as_bytes())))
                .into(),
            strata: strata.into(),
            population,
        };
        self.newest = ESTATE.iter().map(|res| (res.id.to_owned(), point(res, at, 0))).collect();
        self.dates.extend(body.population.iter().map(|item| (item.id.clone(), item.created_at)));
        let leaf = self.say(at, Body::PopulationCommitted(body.clone()));
        self.seal();
        (leaf, body)
    }

    /// The plan of a committed population.
    pub fn plan(&mut self, leaf: u64, population: &PopulationCommitted, at: Timestamp) -> DrillPlanned {
        let hash = self.writer.dir().entry(leaf).unwrap().hash;
        let seed = sample::seed(ORIGIN, &hash, &population.beacon);
        let selected = sample::select(&seed, &population.population, &population.strata);
        let mut points: Vec<PointId> = selected.iter().map(|selected| selected.id.clone()).collect();
        points.extend(population.targeted.iter().map(|targeted| targeted.id.clone()).filter(|id| !selected.iter().any(|s| &s.id == id)));
        let cases = points.into_iter().enumerate().map(|(index, point)| {
            let item = population.population.iter().find(|item| item.id == point).unwrap();
            let case = CaseId::of(&population.drill_id, index + 1);
            PlannedCase { case, point, resource: item.resource.clone(), class: item.stratum.clone(), asks_source: false }
        });
        let body = DrillPlanned {
            drill_id: population.drill_id.clone(),
            drill_seq: population.drill_seq,
            title: "Quarterly restore drill, core estate".into(),
            trigger: Trigger::Scheduled,
            deadline_at: population.deadline_at,
            tool: tool(),
            result_version: None,
            runner: Some(Runner {
                account_id: "111122223333".into(),
                region: "eu-west-2".into(),
                arn: "arn:aws:sts::111122223333:assumed-role/attestore-drill/quarterly".into(),
            }),
            config: self.policy.1,
            policy_leaf: self.policy.0,
            sample: Sample {
                population_leaf: leaf,
                population_leaf_hash: hash,
                method: sample::METHOD.into(),
                seed,
                beacon: population.beacon.clone(),
                strength: Strength::Weaker,
                selected,
            },
            cases: cases.collect(),
        };
        let planned_leaf = self.say(at, Body::DrillPlanned(body.clone()));
        self.seal();
        self.say(at.plus_secs(1), Body::DrillStarted(DrillStarted { drill_id: population.drill_id.clone(), planned_leaf }));
        body
    }

    /// A whole drill. A `calm` one passes everything that has a driver.
    pub fn drill(&mut self, id: &str, seq: u64, at: &str, calm: bool) {
        let at = time(at);
        for res in ESTATE.iter().filter(|res| !results::mode(res.kind).is_bounded()) {
            for age in 0..4 {
                self.register(res, Some(point(res, at, age)), at.plus_secs(-3600));
            }
        }
        let (leaf, population) = self.commit(id, seq, at);
        let plan = self.plan(leaf, &population, at.plus_secs(5));
        let mut done = Vec::new();
        let mut now = at.plus_secs(10);
        for case in &plan.cases {
            let result = self.result(case, now, calm);
            now = results::end(&result, now).plus_secs(3);
            self.say(now, Body::PointResult(Box::new(result.clone())));
            done.push(result);
        }
        self.close(&population, &plan, &done, now.plus_secs(2));
    }

    /// The result of one case that begins at `at`.
    pub fn result(&self, case: &PlannedCase, at: Timestamp, calm: bool) -> PointResult {
        let res = ESTATE.iter().find(|res| case.resource.0 == res.id).unwrap();
        let plot = match res.plot {
            Plot::DriverAbsent => Plot::DriverAbsent,
            // The newest points are the damaged ones; they are drilled by rule, so that every plot takes place in every run.
            _ if calm || case.point != self.newest[res.id] => Plot::Pass,
            plot => plot,
        };
        let base = self.manifests.get(&case.point.0).unwrap_or(&self.manifests[res.id]);
        let mut result = results::result(&self.writer, case, res, plot, at, base);
        // Two hours after the newest point of the resource, as versions wrote it that named no point.
        result.rpo.reference_at = result.rpo.achieved_ms.map(|_| self.dates[&self.newest[res.id]].plus_secs(7200));
        PointResult { rp: RpFacts { created_at: self.dates[&case.point], ..result.rp.clone() }, ..result }
    }

    /// The totals.
    pub fn close(&mut self, population: &PopulationCommitted, plan: &DrillPlanned, done: &[PointResult], at: Timestamp) {
        let outcome_of = |id: &PointId| done.iter().find(|result| &result.rp.id == id).map(|result| result.outcome);
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        for result in done {
            *outcomes.entry(result.outcome.as_str().to_owned()).or_default() += 1;
        }
        let body = DrillClosed {
            drill_id: population.drill_id.clone(),
            drill_seq: population.drill_seq,
            planned: plan.cases.len() as u64,
            outcomes,
            leftover_count: done.iter().map(|result| result.teardown.leftover_count).sum(),
            inference: sample::inference(&population.population, &population.strata, &plan.sample.selected, &BTreeMap::new(), &outcome_of),
            outcome: Outcome::of_all(done.iter().map(|result| result.outcome)),
        };
        self.say(at, Body::DrillClosed(body));
        self.seal();
    }
}

/// The recovery point of `res` that is `age` days old at `at`.
pub fn point(res: &Res, at: Timestamp, age: u32) -> PointId {
    let day = at.plus_secs(-7200 - i64::from(age) * 86_400).to_chrono().format("%Y-%m-%d").to_string();
    match res.from {
        "local" => PointId::local(&ResourceId::from(res.id), &format!("nightly/{day}.db")),
        "rds-snapshot" => PointId::arn(&format!("arn:aws:rds:eu-west-2:111122223333:snapshot:rds:{}-{day}", res.id)),
        "rds-pitr" => {
            let second = at.plus_secs(-7200 - i64::from(age) * 86_400).to_chrono().format("%Y-%m-%dT%H:%M:%SZ");
            PointId::arn(&format!("arn:aws:rds:eu-west-2:111122223333:db:{}@{second}", res.id))
        }
        "dynamodb-backup" => PointId::arn(&format!("arn:aws:dynamodb:eu-west-2:111122223333:table/{}/backup/{day}", res.id)),
        _ => {
            let tail = &Sha256Digest::of(format!("{}{day}", res.id).as_bytes()).0.hex()[..12];
            PointId::arn(&format!("arn:aws:backup:eu-west-2:111122223333:recovery-point:{}-{tail}", res.kind))
        }
    }
}

/// A drill's id.
pub fn drill_id(text: &str) -> DrillId {
    DrillId::from(text)
}
