//! Results by plot: figures that add up as the log's rules demand.

use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult, Severity};
use attestore::model::clock::Timestamp;
use attestore::model::counts::Counts;
use attestore::model::digest::{Digest32, Sha256Digest};
use attestore::model::finding::{Class, Finding, Kind, Place};
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::{
    CaseError, CreatedResource, FindingSet, InlineFinding, Isolation, Objective, PlannedCase, PointResult, Presence, Probe, RpFacts,
    Teardown, VerifyFacts,
};
use attestore::testing_log::writer::LogWriter;

use super::{Plot, Res};

/// The registered manifest of a resource.
pub struct Baseline {
    pub leaf: u64,
    pub manifest: Sha256Digest,
    pub captured_end: Timestamp,
}

/// How the manifest of a kind was captured.
pub fn mode(kind: &str) -> CaptureMode {
    match kind {
        "s3" => CaptureMode::VersionExact,
        "dynamodb" => CaptureMode::WindowBounded,
        "files" => CaptureMode::Sealed,
        _ => CaptureMode::PositionBounded,
    }
}

/// When a case was over.
pub fn end(result: &PointResult, begun: Timestamp) -> Timestamp {
    let gone = result.teardown.resources.iter().filter_map(|made| made.deleted_at).max();
    gone.or(result.errors.last().map(|error| error.at)).unwrap_or(begun)
}

/// The result of `case`, begun at `at`.
pub fn result(log: &LogWriter, case: &PlannedCase, res: &Res, plot: Plot, at: Timestamp, base: &Baseline) -> PointResult {
    let created_at = at.plus_secs(-7200);
    let mut result = PointResult {
        drill_id: case.case.0.rsplit_once('-').unwrap().0.into(),
        case: case.case.clone(),
        resource: case.resource.clone(),
        application: res.application.into(),
        class: case.class.clone(),
        rp: RpFacts {
            id: case.point.clone(),
            kind: res.kind.into(),
            from: res.from.into(),
            source_resource_arn: None,
            vault: (res.from == "aws-backup").then(|| "meridian-primary".into()),
            created_at,
            size_bytes: Some(48_318_382_080),
            encrypted: Some(true),
            kms_key_arn: None,
            vault_locked: Some(true),
            retain_until: None,
        },
        isolation: None,
        restore: None,
        rto: Objective {
            target_s: target(&case.class, true),
            achieved_ms: None,
            reference_at: None,
            point: None,
            basis: "requested to verified".into(),
            met: None,
        },
        rpo: Objective {
            target_s: target(&case.class, false),
            achieved_ms: None,
            reference_at: None,
            point: None,
            basis: "consistent data time to reference".into(),
            met: None,
        },
        verify: None,
        sql_checks: Vec::new(),
        teardown: Teardown { resources: Vec::new(), leftover_count: 0 },
        errors: Vec::new(),
        outcome: Outcome::Pass,
        outcome_reasons: Vec::new(),
    };
    if plot == Plot::DriverAbsent {
        result.outcome = Outcome::Untested;
        result.outcome_reasons = vec![format!("driver_absent: {} recovery points cannot be restored yet", res.kind)];
        return result;
    }
    result.rpo.achieved_ms = Some(7_200_000);
    result.rpo.reference_at = Some(at);
    result.rpo.met = Some(true);
    result.isolation = Some(isolation(case));
    if plot == Plot::RestoreFailed {
        refuse(&mut result, case, at);
        return result;
    }
    restored(&mut result, res, case, plot, at);
    compared(log, &mut result, res, plot, base);
    checks(&mut result, res, plot);
    judge(&mut result, plot);
    result
}

fn target(class: &str, rto: bool) -> Option<u64> {
    let hours = match (class, rto) {
        ("gold", true) => 4,
        ("gold", false) | ("bronze", true) => 24,
        ("silver", true) => 8,
        ("silver", false) => 48,
        _ => 96,
    };
    Some(hours * 3600)
}

fn isolation(case: &PlannedCase) -> Isolation {
    let probe =
        |name: &str, expected: &str, found: &str| Probe { name: name.into(), expected: expected.into(), found: found.into(), held: true };
    Isolation {
        account_id: "111122223333".into(),
        probes: vec![
            probe("account", "111122223333", "111122223333"),
            probe("name-prefix", "attestore-", &format!("attestore-{}", case.case)),
            probe("target-absent", "absent", "absent"),
            probe("not-public", "false", "false"),
            probe("subnet-group", "restore-isolated", "restore-isolated"),
            probe("kms-key", "alias/restore", "alias/restore"),
        ],
        proved: true,
        undemanded: Vec::new(),
    }
}

fn refuse(result: &mut PointResult, case: &PlannedCase, at: Timestamp) {
    result.restore = Some(attestore::testing_log::restore_facts::RestoreFacts {
        mechanism: "aws-backup:StartRestoreJob".into(),
        job_id: Some("7C1B2E44-55A0".into()),
        target: None,
        requested_at: at.plus_secs(2),
        accepted_at: Some(at.plus_secs(4)),
        available_at: None,
        first_read_at: None,
        fully_read_at: None,
        verified_at: None,
        status: "FAILED".into(),
        attempts: 2,
        raw_describe: None,
        second_shown: None,
        engine_versions: None,
        recovery_checklist: Vec::new(),
    });
    result.errors.push(CaseError {
        at: at.plus_secs(65),
        phase: "restore".into(),
        code: "remote".into(),
        message: format!("restore job of {} answered FAILED: insufficient capacity for the requested table class", case.resource),
        retryable: false,
    });
    result.outcome = Outcome::Error;
    result.outcome_reasons = vec!["the restore job failed".into()];
}

fn restored(result: &mut PointResult, res: &Res, case: &PlannedCase, plot: Plot, at: Timestamp) {
    let (restore_s, read_s) = match (plot, res.kind) {
        (Plot::MissedRto, _) => (13_900, 1_260),
        (_, "rds-postgres") => (5_400, 1_800),
        (_, "rds-mysql") => (4_320, 1_500),
        (_, "s3") => (2_700, 4_080),
        (_, "dynamodb") => (3_060, 540),
        _ => (12, 95),
    };
    let requested = at.plus_secs(2);
    let available = requested.plus_secs(4 + restore_s);
    let verified = available.plus_secs(25 + read_s + 130);
    let (mechanism, target) = match res.from {
        "local" => ("local:copy", format!("work/{}/restored.db", case.case)),
        "rds-snapshot" => ("rds:RestoreDBInstanceFromDBSnapshot", format!("arn:aws:rds:eu-west-2:111122223333:db:attestore-{}", case.case)),
        "dynamodb-backup" => {
            ("dynamodb:RestoreTableFromBackup", format!("arn:aws:dynamodb:eu-west-2:111122223333:table/attestore-{}", case.case))
        }
        _ => ("aws-backup:StartRestoreJob", format!("arn:aws:s3:::attestore-{}", case.case)),
    };
    result.restore = Some(attestore::testing_log::restore_facts::RestoreFacts {
        mechanism: mechanism.into(),
        job_id: (res.from == "aws-backup").then(|| "52B7D3A1-0C9E".into()),
        target: Some(target.clone()),
        requested_at: requested,
        accepted_at: Some(requested.plus_secs(4)),
        available_at: Some(available),
        first_read_at: Some(available.plus_secs(25)),
        fully_read_at: Some(available.plus_secs(25 + read_s)),
        verified_at: Some(verified),
        status: "COMPLETED".into(),
        attempts: 1,
        raw_describe: None,
        second_shown: None,
        engine_versions: None,
        recovery_checklist: Vec::new(),
    });
    let achieved = u64::try_from(verified.millis_since(requested)).unwrap();
    result.rto.achieved_ms = Some(achieved);
    result.rto.met = result.rto.target_s.map(|target| achieved <= target * 1000);
    result.teardown = Teardown {
        resources: vec![CreatedResource {
            arn: target,
            created_at: requested.plus_secs(4),
            deleted_at: Some(verified.plus_secs(48)),
            state: Presence::Gone,
            confirmed_by: if res.from == "local" { "stat" } else { "describe until absent" }.into(),
        }],
        leftover_count: 0,
    };
}

fn compared(log: &LogWriter, result: &mut PointResult, res: &Res, plot: Plot, base: &Baseline) {
    let mut counts = Counts::default();
    let usual = match res.kind {
        "s3" => 184_220,
        "dynamodb" => 2_418_006,
        "files" => 48_112,
        _ => 9_204_551,
    };
    counts.add_many(Class::Match, if plot == Plot::CompletedWithoutData { 0 } else { usual });
    let findings: Vec<Finding> = match plot {
        Plot::Mismatch => (0_u8..3)
            .map(|n| {
                let mut finding =
                    Finding::new(Class::Mismatch, Kind::Row, Place::Row(format!("transactions id={}", 448_201 + u32::from(n) * 977)));
                finding.expected = Some(Digest32::sha256(&[1, n]).hex()[..16].to_owned());
                finding.actual = Some(Digest32::sha256(&[2, n]).hex()[..16].to_owned());
                finding
            })
            .chain([Finding::new(Class::Missing, Kind::Row, Place::Row("transactions id=612044".into()))])
            .collect(),
        Plot::MissingVersion => {
            let mut finding =
                Finding::new(Class::Missing, Kind::Object, Place::Key("contracts/2024/10/\u{202e}fdp.<b>lease & terms</b>.pdf".into()));
            finding.version_id = Some("3sL4kqtJlcpXroDTDmJ".into());
            finding.expected = Some("48211 bytes".into());
            vec![finding]
        }
        Plot::CompletedWithoutData => vec![Finding::new(Class::Missing, Kind::Table, Place::Key("audit-logs".into()))],
        _ => Vec::new(),
    };
    findings.iter().filter(|finding| finding.kind != Kind::Table).for_each(|finding| counts.add(finding.class));
    if plot == Plot::CompletedWithoutData {
        counts.add(Class::Missing);
    }
    let (objects, rows, items) = match res.kind {
        "s3" => (Some(counts), None, None),
        "dynamodb" => (None, None, Some(counts)),
        _ => (None, Some(counts), None),
    };
    let mode = mode(res.kind);
    result.verify = Some(VerifyFacts {
        manifest_leaf: base.leaf,
        manifest: base.manifest,
        manifest_captured_end: base.captured_end,
        capture_mode: mode,
        mode,
        lesser_claim: None,
        newest_stamp: None,
        coverage_ppm: 1_000_000,
        objects,
        tables: None,
        rows,
        items,
        definitions: None,
        unread: std::collections::BTreeMap::new(),
        expired: None,
        // Retention and encryption of the restored objects are as they were captured, whatever became of their contents.
        protection: (res.kind == "s3" && counts.matched > 0).then(|| {
            let mut kept = Counts::default();
            kept.add_many(Class::Match, counts.matched);
            kept
        }),
        tier: None,
        bytes_checked: counts.matched * 5_211,
        duration_ms: 1_800_000,
        findings: finding_set(log, &findings, plot),
    });
}

fn finding_set(log: &LogWriter, findings: &[Finding], plot: Plot) -> FindingSet {
    let lines: String = findings.iter().map(|finding| format!("{}\n", finding.to_json())).collect();
    let inline = findings.iter().take(20).map(|finding| InlineFinding {
        id: Sha256Digest::of(finding.place.parts().1.as_bytes()).0.hex()[..16].to_owned(),
        class: finding.class,
        kind: finding.kind,
        expected: finding.expected.clone(),
        actual: finding.actual.clone(),
    });
    // The list of the changed rows was erased after the drill: its names are withheld.
    let full = match plot {
        _ if findings.is_empty() => None,
        Plot::Mismatch => Some(Sha256Digest::of(lines.as_bytes())),
        _ => Some(log.evidence(lines.as_bytes()).unwrap()),
    };
    FindingSet { total: findings.len() as u64, inline: inline.collect(), full }
}

fn checks(result: &mut PointResult, res: &Res, plot: Plot) {
    let engine = match res.kind {
        "rds-postgres" => ("postgres", "16.4"),
        "rds-mysql" => ("mariadb", "10.11.9"),
        "files" => ("sqlite", "3.50.4"),
        _ => return,
    };
    let check = |id: &str, severity: Severity, kind: &str, op: &str, actual: &str| CheckResult {
        id: id.into(),
        sql_digest: Sha256Digest::of(id.as_bytes()),
        engine: engine.0.into(),
        engine_version: engine.1.into(),
        severity,
        kind: kind.into(),
        op: op.into(),
        expected: None,
        actual: Some(actual.into()),
        result: CheckOutcome::Pass,
        not_applicable: false,
        denied: false,
        measured: Default::default(),
        reason: None,
        rows: Vec::new(),
        duration_ms: 840,
    };
    let mut balances = check("bank.ledger-balances", Severity::Critical, "violations", "> 0", "0");
    let orphans = check("bank.orphaned-postings", Severity::Critical, "violations", "> 0", "0");
    let newest = check("common.newest-row", Severity::Major, "freshness", "> 26h", "1h 58m");
    if plot == Plot::VacuousCheck {
        balances.result = CheckOutcome::Vacuous;
        balances.reason = Some("table `postings` is empty: the check ran and proved nothing".into());
    }
    if plot == Plot::Mismatch {
        balances.result = CheckOutcome::Fail;
        balances.actual = Some("3".into());
        balances.reason = Some("3 transactions whose postings do not add up to zero".into());
    }
    result.sql_checks = vec![balances, orphans, newest];
}

fn judge(result: &mut PointResult, plot: Plot) {
    let (outcome, reasons): (Outcome, &[&str]) = match plot {
        Plot::Mismatch => (Outcome::Fail, &["rows: 3 mismatch", "rows: 1 missing", "SQL check bank.ledger-balances failed"]),
        Plot::MissingVersion => (Outcome::Fail, &["objects: 1 missing"]),
        Plot::CompletedWithoutData => {
            (Outcome::Fail, &["the service answered COMPLETED and the restored table is empty", "items: 1 missing"])
        }
        Plot::VacuousCheck => (Outcome::Inconclusive, &["critical SQL check bank.ledger-balances is vacuous"]),
        Plot::MissedRto => (Outcome::Fail, &["recovery time objective missed"]),
        _ => (Outcome::Pass, &[]),
    };
    result.outcome = outcome;
    result.outcome_reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
}
