//! A realistic drill, written through the public writer: two classes, eight points, a draw, a failing case, evidence, a close.
//! Every body can be changed before it is written, and every checkpoint left out: that is what an operator with the key could do.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult, Severity};
use attestore::model::clock::Timestamp;
use attestore::model::counts::Counts;
use attestore::model::digest::{Digest32, Sha256Digest};
use attestore::model::finding::Class;
use attestore::model::ids::{CaseId, DrillId, PointId};
use attestore::model::outcome::Outcome;
use attestore::signing::checkpoint::Checkpoint;
use attestore::signing::keys::SigningKey;
use attestore::signing::sshsig;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::{Actor, Body, Entry};
use attestore::testing_log::packs::Packs;
use attestore::testing_log::point_result::*;
use attestore::testing_log::probes::{self, Made};
use attestore::testing_log::sample;
use attestore::testing_log::store::LogDir;
use attestore::testing_log::verify::run::verify;
use attestore::testing_log::verify::verdict::{Verdict, VerifyOptions};
use attestore::testing_log::writer::{Leaf, LogWriter};

pub const ORIGIN: &str = "example.com/restore-tests";
pub const DRILL: &str = "d20260131-020000-7f3a";

pub type Edit = Box<dyn FnMut(&mut Body, usize)>;
pub type After = Box<dyn FnMut(&str, &mut LogWriter)>;

/// What is done to the drill while it is written.
pub struct Story {
    /// Changes a body before it is written; `nth` counts the bodies of its kind from 0.
    pub edit: Edit,
    /// Whether a checkpoint follows an entry of this kind, where an honest drill makes one.
    pub seal: fn(&str) -> bool,
    /// Is called after an entry of a kind was written (and sealed).
    pub after: After,
    /// Whether the drill is closed.
    pub close: bool,
    /// The configuration in the evidence.
    pub config: Vec<u8>,
    /// The check files in the evidence.
    pub packs: Packs,
    /// Changes what a service says of what it restored, before that is evidence.
    pub raw: fn(&mut serde_json::Value),
    pub key: SigningKey,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            edit: Box::new(|_, _| {}),
            seal: |_| true,
            after: Box::new(|_, _| {}),
            close: true,
            config: b"version = 1\n".to_vec(),
            packs: packs(),
            raw: |_| {},
            key: SigningKey::from_seed(&[11; 32]),
        }
    }
}

/// A finished log.
pub struct World {
    pub dir: tempfile::TempDir,
    pub path: PathBuf,
    pub key: SigningKey,
}

impl World {
    pub fn verdict(&self, options: &VerifyOptions) -> Verdict {
        verify(&self.path, &self.key.verifying_key(), options).unwrap()
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.names_with(&VerifyOptions::default())
    }

    pub fn names_with(&self, options: &VerifyOptions) -> Vec<&'static str> {
        let mut names: Vec<_> = self.verdict(options).faults.iter().map(|fault| fault.rule.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub fn log(&self) -> LogDir {
        LogDir::open(&self.path).unwrap()
    }

    pub fn last_checkpoint(&self) -> u64 {
        *self.log().listing().unwrap().checkpoints.last().unwrap()
    }
}

struct Pen {
    writer: LogWriter,
    story: Story,
    nth: BTreeMap<String, usize>,
    now: Timestamp,
}

impl Pen {
    fn write(&mut self, mut body: Body, seal: bool) -> (Leaf, Body) {
        let kind = body.kind().to_owned();
        let nth = self.nth.entry(kind.clone()).or_default();
        (self.story.edit)(&mut body, *nth);
        *nth += 1;
        let last = self.writer.dir().entry(self.writer.size() - 1).unwrap().at;
        self.now = last.plus_secs(1);
        let leaf =
            self.writer.append_at(self.now, body.clone(), Actor::tool("arn:aws:iam::111122223333:role/drill"), &mut |_, _| Ok(())).unwrap();
        if seal && (self.story.seal)(&kind) {
            self.writer.checkpoint().unwrap();
        }
        (self.story.after)(&kind, &mut self.writer);
        (leaf, body)
    }
}

pub fn tool() -> Tool {
    Tool { name: "attestore".into(), version: "0.1.0".into(), git_commit: None, binary_sha256: Some(Sha256Digest::of(b"binary")) }
}

/// Writes the whole story.
pub fn build(story: Story) -> World {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let key = story.key.clone();
    // The draw is of the entries' own bytes, dates among them.
    let now = "2026-02-01T02:00:00Z".parse().unwrap();
    let writer = LogWriter::create_at(&path, ORIGIN, &key, tool(), now).unwrap();
    let mut pen = Pen { writer, story, nth: BTreeMap::new(), now };
    let config = pen.writer.evidence(&pen.story.config).unwrap();
    let (policy_leaf, policy) = pen.write(Body::PolicySet(policy(config)), false);
    let Body::PolicySet(policy) = policy else { unreachable!() };
    if policy.packs.is_some() {
        pen.writer.evidence(&pen.story.packs.to_bytes().unwrap()).unwrap();
    }
    let mut manifests = BTreeMap::new();
    for (resource, mode) in [("vault", CaptureMode::VersionExact), ("crm", CaptureMode::SnapshotExact)] {
        let (leaf, body) = pen.write(Body::ManifestRegistered(manifest(resource, mode)), true);
        let Body::ManifestRegistered(body) = body else { unreachable!() };
        manifests.insert(resource.to_owned(), (leaf.index, body));
    }
    let population = committed(&mut pen);
    let (population_leaf, population) = pen.write(Body::PopulationCommitted(population), true);
    let Body::PopulationCommitted(population) = population else { unreachable!() };
    let plan = plan(&population, population_leaf, policy_leaf.index, &policy);
    let (plan_leaf, plan) = pen.write(Body::DrillPlanned(plan), true);
    let Body::DrillPlanned(plan) = plan else { unreachable!() };
    pen.write(Body::DrillStarted(DrillStarted { drill_id: DRILL.into(), planned_leaf: plan_leaf.index }), false);
    let requested_at = pen.now;
    let mut results = Vec::new();
    for (index, case) in plan.cases.iter().enumerate() {
        let result = result(&mut pen, case, index == 0, requested_at, manifests.get(&case.resource.0).unwrap_or(&manifests["vault"]));
        let (_, result) = pen.write(Body::PointResult(Box::new(result)), false);
        let Body::PointResult(result) = result else { unreachable!() };
        results.push(*result);
    }
    if pen.story.close {
        pen.write(Body::DrillClosed(closed(&population, &plan, &results)), true);
    }
    pen.write(Body::Heartbeat(Heartbeat { note: None }), true);
    drop(pen);
    World { dir, path, key }
}

fn policy(config: Sha256Digest) -> PolicySet {
    let class = |rto_s, rpo_s| ClassPolicy {
        rto_s,
        rpo_s,
        test_period_s: Some(7_776_000),
        indeterminate_budget: 2,
        second_within_s: None,
        access: None,
        checks: BTreeMap::new(),
    };
    let classes = BTreeMap::from([("files".to_owned(), class(Some(14_400), Some(86_400))), ("bank".to_owned(), class(Some(3600), None))]);
    PolicySet { config, classes, check_set: Sha256Digest::of(b"{}"), packs: None }
}

pub fn captured_end() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn manifest(resource: &str, mode: CaptureMode) -> ManifestRegistered {
    ManifestRegistered {
        manifest: Sha256Digest::of(resource.as_bytes()),
        resource: resource.into(),
        recovery_point_id: None,
        mode,
        captured_end: captured_end(),
        root: Digest32::sha256(resource.as_bytes()),
    }
}

fn committed(pen: &mut Pen) -> PopulationCommitted {
    let item = |resource: &str, stratum: &str, n: u64| PopulationItem {
        id: PointId(format!("arn:aws:backup:eu-west-2:111122223333:recovery-point:{resource}-{n}")),
        resource: resource.into(),
        stratum: stratum.into(),
        created_at: captured_end().plus_secs(3600 * (1 + n as i64)),
    };
    let mut population: Vec<_> = (0..5).map(|n| item("vault", "files", n)).chain((0..3).map(|n| item("crm", "bank", n))).collect();
    population.sort_by(|a, b| a.id.cmp(&b.id));
    // What AWS Backup lists of the bucket, one that has expired among it.
    let old = "arn:aws:backup:eu-west-2:111122223333:recovery-point:old";
    let of_bucket =
        population.iter().filter(|item| item.resource.0 == "vault").map(|item| (item.id.0.as_str(), item.created_at, "COMPLETED"));
    let all = of_bucket.chain([(old, captured_end(), "EXPIRED")]);
    let answer: Vec<_> = all
        .map(|(arn, at, status)| {
            let (of, size) = ("arn:aws:s3:::vault", 1 << 20);
            serde_json::json!({"arn": arn, "resource_arn": of, "created_at": at, "status": status, "encrypted": true, "size_bytes": size})
        })
        .collect();
    let listing = serde_json::json!({"call": "backup:ListRecoveryPointsByBackupVault", "of": "nightly", "answer": answer});
    let listing = pen.writer.evidence(listing.to_string().as_bytes()).unwrap();
    let about = serde_json::json!({"call": "backup:DescribeBackupVault", "of": "nightly", "answer": {"locked": true}});
    let about = pen.writer.evidence(about.to_string().as_bytes()).unwrap();
    let listings = [("backup:ListRecoveryPointsByBackupVault nightly", listing), ("backup:DescribeBackupVault nightly", about)];
    PopulationCommitted {
        drill_id: DRILL.into(),
        drill_seq: 1,
        // Further off than a drill sets it: its beginning is not told by it.
        deadline_at: pen.now.plus_secs(190_000),
        service_ahead_ms: None,
        targeted: vec![Targeted { id: population[0].id.clone(), reason: "oldest untested first".into() }],
        population,
        excluded: vec![Excluded { id: old.into(), reason: "EXPIRED: past its retention, deletion pending".into() }],
        strata: vec![Stratum { name: "bank".into(), size: 3, sample: 2 }, Stratum { name: "files".into(), size: 5, sample: 3 }],
        beacon: sample::checkpoint_beacon(pen.writer.last_checkpoint()),
        listings: listings.into_iter().map(|(label, digest)| (label.to_owned(), digest)).collect(),
    }
}

pub fn plan(population: &PopulationCommitted, leaf: Leaf, policy_leaf: u64, policy: &PolicySet) -> DrillPlanned {
    let seed = sample::seed(ORIGIN, &leaf.hash, &population.beacon);
    let selected = sample::select(&seed, &population.population, &population.strata);
    let mut points: Vec<PointId> = selected.iter().map(|s| s.id.clone()).collect();
    points.extend(population.targeted.iter().map(|t| t.id.clone()).filter(|id| !selected.iter().any(|s| s.id == *id)));
    let case = |(index, point): (usize, PointId)| {
        let item = population.population.iter().find(|item| item.id == point);
        PlannedCase {
            case: CaseId::of(&DrillId(DRILL.into()), index + 1),
            resource: item.map_or("gone".into(), |item| item.resource.clone()),
            class: item.map_or(String::new(), |item| item.stratum.clone()),
            point,
            asks_source: false,
        }
    };
    DrillPlanned {
        drill_id: DRILL.into(),
        drill_seq: population.drill_seq,
        title: "Quarterly restore test".into(),
        trigger: Trigger::Scheduled,
        deadline_at: population.deadline_at,
        tool: tool(),
        result_version: None,
        runner: None,
        config: policy.config,
        policy_leaf,
        sample: Sample {
            population_leaf: leaf.index,
            population_leaf_hash: leaf.hash,
            method: sample::METHOD.into(),
            seed,
            beacon: population.beacon.clone(),
            strength: Strength::Weaker,
            selected,
        },
        cases: points.into_iter().enumerate().map(case).collect(),
    }
}

/// Every look of the table at one kind of thing, each of which held.
pub fn looks(made: Made) -> Vec<Probe> {
    let held = |name: &&str| {
        let (expected, found) = match *name {
            probes::ACCOUNT | probes::RESTORING_ACCOUNT => ("111122223333", "111122223333"),
            probes::NAME_PREFIX => ("drill-", "drill-target"),
            probes::TARGET_ABSENT => ("absent", "absent"),
            probes::NO_BACKUP_SELECTION => ("none matches", "none of 0 matches"),
            _ => ("false", "false"),
        };
        Probe { name: (*name).into(), expected: expected.into(), found: found.into(), held: true }
    };
    made.before().iter().chain(made.after()).map(held).collect()
}

/// Points are an hour apart, by the number at the end of their names.
fn created_at(point: &PointId) -> Timestamp {
    let n: i64 = point.0.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    captured_end().plus_secs(3600 * (1 + n))
}

/// What is stated of the engines of an instance.
pub fn engine_versions(point: &PointId) -> serde_json::Value {
    let is_of_the_data = point.0.contains(":snapshot:");
    serde_json::json!({
        "source": "15.4", "restored": "15.4", "wrote_the_data": is_of_the_data, "source_engine": "postgres", "restored_engine": "postgres",
    })
}

/// What a service says of what it made at `at`.
fn described(point: &PointId, at: Timestamp) -> serde_json::Value {
    let made = serde_json::json!({"created_at": at});
    let mut raw = match point.0.split(':').nth(2) {
        Some("dynamodb") => return serde_json::json!({"table": made}),
        Some("rds") if point.0.contains('@') => serde_json::json!({"db_instance": made}),
        service => {
            let kind = if service == Some("rds") { "db_instance" } else { "bucket" };
            let job = serde_json::json!({"status": "COMPLETED", "created_at": at, "completed_at": at});
            serde_json::json!({"restore_job": job, "created": {kind: made}})
        }
    };
    if point.0.starts_with("arn:aws:rds:") {
        raw["engine_versions"] = engine_versions(point);
    }
    raw
}

fn result(pen: &mut Pen, case: &PlannedCase, fails: bool, requested_at: Timestamp, manifest: &(u64, ManifestRegistered)) -> PointResult {
    let files = case.class == "files";
    let mut counts = Counts::default();
    counts.add_many(Class::Match, 100);
    counts.add_many(Class::Mismatch, u64::from(fails));
    let findings = fails.then(|| pen.writer.evidence(format!("{{\"case\":\"{}\"}}\n", case.case).as_bytes()).unwrap());
    let mut raw = described(&case.point, requested_at);
    raw["job"] = serde_json::json!(case.case);
    (pen.story.raw)(&mut raw);
    let raw = pen.writer.evidence(raw.to_string().as_bytes()).unwrap();
    PointResult {
        drill_id: DRILL.into(),
        case: case.case.clone(),
        resource: case.resource.clone(),
        application: "crm".into(),
        class: case.class.clone(),
        rp: RpFacts {
            id: case.point.clone(),
            kind: if files { "s3" } else { "rds-postgres" }.into(),
            from: "aws-backup".into(),
            source_resource_arn: None,
            vault: Some("nightly".into()),
            created_at: created_at(&case.point),
            size_bytes: Some(1 << 20),
            encrypted: Some(true),
            kms_key_arn: None,
            vault_locked: Some(true),
            retain_until: None,
        },
        isolation: Some(Isolation {
            account_id: "111122223333".into(),
            probes: looks(if files { Made::Bucket } else { Made::Instance }),
            proved: true,
            undemanded: Vec::new(),
        }),
        restore: Some(attestore::testing_log::restore_facts::RestoreFacts {
            mechanism: "aws-backup:StartRestoreJob".into(),
            job_id: Some("job-1".into()),
            target: Some("drill-target".into()),
            requested_at,
            accepted_at: Some(requested_at),
            available_at: Some(requested_at),
            first_read_at: Some(requested_at),
            fully_read_at: Some(requested_at),
            verified_at: Some(Timestamp(requested_at.0 + 1_500_000)),
            status: "COMPLETED".into(),
            attempts: 1,
            raw_describe: Some(raw),
            engines: None,
            second_shown: None,
            engine_versions: None,
            recovery_checklist: Vec::new(),
        }),
        rto: Objective {
            target_s: Some(if files { 14_400 } else { 3600 }),
            achieved_ms: Some(1500),
            reference_at: None,
            point: None,
            basis: "requested to verified".into(),
            met: Some(true),
        },
        rpo: Objective {
            target_s: files.then_some(86_400),
            achieved_ms: files.then_some(3_600_000),
            // As versions wrote it that stated neither: whether the newest point is tried is left to chance here.
            reference_at: None,
            point: None,
            basis: if files { "newest restorable point" } else { "not_required" }.into(),
            met: files.then_some(true),
        },
        verify: Some(VerifyFacts {
            manifest_leaf: manifest.0,
            manifest: manifest.1.manifest,
            manifest_captured_end: manifest.1.captured_end,
            capture_mode: manifest.1.mode,
            mode: CaptureMode::WindowBounded,
            lesser_claim: None,
            newest_stamp: None,
            unstamped_tables: None,
            source_stamps: None,
            coverage_ppm: 1_000_000,
            not_compared: std::collections::BTreeMap::new(),
            objects: files.then_some(counts),
            tables: None,
            rows: (!files).then_some(counts),
            definitions: None,
            items: None,
            unread: std::collections::BTreeMap::new(),
            unread_definitions: None,
            read: std::collections::BTreeMap::new(),
            expired: None,
            protection: None,
            tier: None,
            bytes_checked: 1 << 20,
            duration_ms: 900,
            findings: FindingSet { total: u64::from(fails), inline: vec![], full: findings },
        }),
        sql_checks: if files { vec![] } else { CHECKS.map(check).to_vec() },
        teardown: Teardown {
            resources: vec![CreatedResource {
                arn: "arn:aws:s3:::drill-target".into(),
                created_at: requested_at,
                deleted_at: Some(requested_at),
                state: Presence::Gone,
                confirmed_by: "s3:HeadBucket".into(),
            }],
            leftover_count: 0,
        },
        errors: vec![],
        outcome: if fails { Outcome::Fail } else { Outcome::Pass },
        outcome_reasons: if fails { vec!["1 mismatch".into()] } else { vec![] },
    }
}

/// The file of a check.
pub fn check_file(id: &str, severity: Severity) -> String {
    let severity = serde_json::to_string(&severity).unwrap();
    let may_not_apply = "looks_at = \"SELECT 1\"";
    format!(
        "--! id = \"{id}\"\n--! engines = [\"postgres\"]\n--! kind = \"violations\"\n--! severity = {severity}\n--! {may_not_apply}\nSELECT 1\n"
    )
}

/// The checks of the story.
pub const CHECKS: [(&str, Severity); 2] = [("bank.ledger-balances", Severity::Critical), ("bank.names", Severity::Minor)];

/// The pack that they are of.
pub fn packs() -> Packs {
    let files = CHECKS.map(|(id, severity)| (id.to_owned(), check_file(id, severity)));
    let pack = files.iter().map(|(id, text)| (id.clone(), Sha256Digest::of(text.as_bytes()))).collect();
    Packs {
        classes: BTreeMap::from([("bank".to_owned(), vec![pack]), ("files".to_owned(), vec![])]),
        files: files.into_iter().map(|(_, text)| (Sha256Digest::of(text.as_bytes()), text)).collect(),
    }
}

fn check((id, severity): (&str, Severity)) -> CheckResult {
    CheckResult {
        id: id.into(),
        sql_digest: Sha256Digest::of(check_file(id, severity).as_bytes()),
        engine: "postgres".into(),
        engine_version: "15.4".into(),
        severity,
        kind: "violations".into(),
        op: "> 0".into(),
        expected: None,
        actual: Some("0".into()),
        result: CheckOutcome::Pass,
        not_applicable: false,
        denied: false,
        measured: Default::default(),
        reason: None,
        rows: vec![],
        duration_ms: 3,
    }
}

pub fn closed(population: &PopulationCommitted, plan: &DrillPlanned, results: &[PointResult]) -> DrillClosed {
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for result in results {
        *outcomes.entry(result.outcome.to_string()).or_default() += 1;
    }
    let outcome = |id: &PointId| results.iter().find(|result| result.rp.id == *id).map(|result| result.outcome);
    DrillClosed {
        drill_id: DRILL.into(),
        drill_seq: plan.drill_seq,
        planned: plan.cases.len() as u64,
        outcomes,
        leftover_count: results.iter().map(|result| result.teardown.leftover_count).sum(),
        inference: sample::inference(&population.population, &population.strata, &plan.sample.selected, &BTreeMap::new(), &outcome),
        outcome: Outcome::of_all(results.iter().map(|result| result.outcome)),
    }
}

/// Writes `bytes` as the last entry and signs everything after it anew: what the holder of the key can do with a tool of their own.
pub fn forge_last(world: &World, bytes: &[u8]) {
    let log = world.log();
    let size = log.listing().unwrap().entries.len() as u64;
    std::fs::write(log.entry_path(size - 1), bytes).unwrap();
    sign_anew(world, size);
}

/// Signs the checkpoint over the first `size` entries anew.
pub fn sign_anew(world: &World, size: u64) {
    let log = world.log();
    let mut tree = attestore::signing::merkle::Tree::new();
    for index in 0..size {
        tree.push(&std::fs::read(log.entry_path(index)).unwrap());
    }
    put_checkpoint(world, &Checkpoint { origin: ORIGIN.into(), size, root: tree.root() }, &world.key);
}

pub fn put_checkpoint(world: &World, checkpoint: &Checkpoint, key: &SigningKey) {
    let log = world.log();
    std::fs::write(log.checkpoint_path(checkpoint.size), checkpoint.sign(key)).unwrap();
    let ssh = sshsig::sign(key, sshsig::CHECKPOINT_NAMESPACE, checkpoint.body().as_bytes());
    std::fs::write(log.sshsig_path(checkpoint.size), ssh).unwrap();
}

/// The last entry with its JSON changed.
pub fn forge_last_json(world: &World, change: impl FnOnce(&mut serde_json::Value)) {
    let log = world.log();
    let entry: Entry = log.entries().unwrap().last().unwrap().unwrap();
    let mut value = entry.value();
    change(&mut value);
    forge_last(world, &attestore::model::canonical_json::to_bytes(&value).unwrap());
}

/// Copies a directory tree.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for found in from.read_dir().unwrap() {
        let found = found.unwrap();
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy(&found.path(), &target)
        } else {
            {
                std::fs::copy(found.path(), target).unwrap();
            }
        }
    }
}
