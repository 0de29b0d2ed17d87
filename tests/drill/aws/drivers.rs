//! The contract of restore drivers: every driver keeps all of it.
//!
//! Nothing is there before; the guard clears; a request is accepted, becomes ready, is described under its exact name, carries the drill's
//! tag and can be opened; asked again after a crash it makes nothing new; a target of somebody else's is refused; what is there at the end is
//! deleted by the teardown rule and is gone, and deleting once more is no error.

use std::time::Duration;

use attestore::aws::session::Session;
use attestore::estate::config::{Access, IsolationDemands};
use attestore::model::clock::Timestamp;
use attestore::model::digest::Sha256Digest;
use attestore::model::ids::{CaseId, DrillId, PointId};
use attestore::model::recovery_point::RecoveryPoint;
use attestore::model::resource::{PointSource, ResourceKind};
use attestore::monitor::Silent;
use attestore::restore::driver::{Driver, Progress};
use attestore::restore::drivers::choose::driver_by;
use attestore::restore::guard::{self, Ours};
use attestore::restore::journal::Journal;
use attestore::restore::may_delete::may_delete;
use attestore::restore::order::{Clouds, DRILL_TAG, Order};
use attestore::restore::permit::Permit;
use attestore::restore::records::{DrillOpened, Record, Step};
use attestore::restore::targets;
use attestore::restore::teardown::Undoing;
use attestore::testing_log::body::Trigger;

use crate::aws::estate::{ACCOUNT, Laying, VAULT};
use crate::engines::engine;

struct Contract<'a> {
    order: Order,
    clouds: &'a Clouds,
    journal: Journal,
    drill: DrillOpened,
    access: Access,
}

impl<'a> Contract<'a> {
    fn new(folder: &std::path::Path, clouds: &'a Clouds, kind: ResourceKind, from: PointSource, handle: &str, source: &str) -> Self {
        std::fs::create_dir_all(folder.join("work")).unwrap();
        let journal = Journal::open(&folder.join(format!("{kind}-{from}.journal"))).unwrap();
        let drill = DrillOpened {
            drill: DrillId(format!("d20260101-000000-{}", &Sha256Digest::of(format!("{kind}{from}").as_bytes()).0.hex()[..4])),
            seq: 1,
            began_at: Timestamp::now(),
            service_ahead_ms: None,
            deadline_at: Timestamp::now().plus_secs(600),
            title: String::new(),
            trigger: Trigger::Manual,
            config: Sha256Digest::of(b""),
            nonce: "0123456789abcdef".into(),
        };
        let case = CaseId::of(&drill.drill, 1);
        journal.record(&drill.drill, Record::DrillOpened { drill: drill.clone() }).unwrap();
        journal.record(&drill.drill, Record::CaseOpened { case: case.clone() }).unwrap();
        let point = RecoveryPoint {
            id: PointId::arn(handle),
            resource: "r".into(),
            kind,
            from,
            handle: handle.to_owned(),
            source_arn: None,
            vault: Some(VAULT.into()),
            created_at: Timestamp::now(),
            size_bytes: None,
            state: "COMPLETED".into(),
            encrypted: None,
            kms_key_arn: None,
            vault_locked: None,
            retain_until: None,
        };
        let isolation =
            IsolationDemands { account_id: ACCOUNT.into(), name_prefix: "attestore-drill-".into(), ..IsolationDemands::default() };
        let order = Order {
            drill: drill.drill.clone(),
            began_at: drill.began_at,
            nonce: drill.nonce.clone(),
            case,
            point,
            source: source.to_owned(),
            database: Some("crm".into()),
            database_default: Default::default(),
            isolation: Some(isolation),
            backup_role_arn: Some(crate::clients::ROLE.into()),
            work: folder.join("work"),
            password: "drill-only-secret".into(),
            iam_user: None,
        };
        Self { order, clouds, journal, drill, access: Access::Restore }
    }

    fn driver(&self) -> &'static dyn Driver {
        driver_by(self.access, &self.order.point, &self.order.source).unwrap()
    }

    async fn permit(&self, step: Step, creates: bool, ours: bool) -> Permit {
        let driver = self.driver();
        let target = self.order.target(driver.target_kind());
        let (_, cleared) = guard::before(&self.order, &target, self.clouds, if ours { Ours::Intended } else { Ours::No }).await;
        let names = (&self.order.drill, &self.order.case);
        Permit::mint(&cleared.unwrap(), &self.journal, names, step, creates, self.order.token(step)).unwrap()
    }

    fn done(&self, step: Step, job_id: Option<String>, created_arn: Option<String>) {
        let record = Record::Done { case: self.order.case.clone(), step, job_id, created_arn };
        self.journal.record(&self.order.drill, record).unwrap();
    }

    async fn hold(&self) {
        let driver = self.driver();
        let target = self.order.target(driver.target_kind());
        let find = async || targets::find(self.clouds, &self.order.work, &target).await.unwrap();
        assert_eq!(find().await, None, "nothing is there before");
        let is_local = matches!(self.order.point.from, PointSource::Local | PointSource::S3Versions);
        assert_eq!(driver.restores_itself(), is_local, "who restores here has nobody to accept a request first");
        let makes = driver.makes_container();
        if makes {
            // Made twice, as after a crash between the call and its record.
            for ours in [false, true] {
                let permit = self.permit(Step::CreateBucket, true, ours).await;
                driver.make_container(&self.order, self.clouds, permit).await.unwrap();
            }
            self.done(Step::CreateBucket, None, None);
        }
        let permit = self.permit(Step::Restore, !makes, makes).await;
        let first = driver.request(&self.order, self.clouds, permit).await.unwrap();
        let permit = self.permit(Step::Restore, !makes, true).await;
        let again = driver.request(&self.order, self.clouds, permit).await.unwrap();
        assert_eq!(again.job_id, first.job_id, "asked again, the same job");
        self.done(Step::Restore, again.job_id.clone(), again.created_arn.clone());
        let arn = loop {
            match driver.poll(&self.order, self.clouds, &again).await.unwrap() {
                Progress::Ready { created_arn, .. } => break created_arn,
                Progress::Waiting { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
                Progress::Failed { message, .. } | Progress::Elsewhere { message, .. } => panic!("{message}"),
            }
        };
        let found = find().await.expect("what is ready is there");
        assert!(arn.contains(&target.name) && found.arn.contains(&target.name), "{arn} {}", found.arn);
        assert_eq!(found.tags.get(DRILL_TAG), Some(&self.order.drill.0));
        assert!(found.created_at.unwrap().as_secs() >= self.drill.began_at.as_secs());
        let (seen, verdict) = guard::after(&self.order, &target, self.clouds, &empty()).await;
        verdict.unwrap_or_else(|failure| panic!("{failure}: {seen:?}"));
        if driver.sets_password() {
            let permit = self.permit(Step::SetPassword, false, true).await;
            driver.set_password(&self.order, self.clouds, permit).await.unwrap();
        }
        let opened = loop {
            match driver.open(&self.order, self.clouds).await.unwrap() {
                Some(opened) => break opened,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert!(opened.login.is_some() == driver.sets_password());
        // To somebody whose journal holds no intent for it, the same target is a refusal, and not theirs to delete.
        let (isolation, refused) = guard::before(&self.order, &target, self.clouds, Ours::No).await;
        assert!(refused.is_err() && !isolation.proved);
        assert!(may_delete(&self.drill, None, &found).is_err());
        let undoing = Undoing::new(&self.journal, self.clouds, &self.order.work, &self.drill, &Silent);
        let teardown = undoing.undo(&self.order.case).await.unwrap();
        assert_eq!((teardown.leftover_count, teardown.resources.len()), (0, 1), "{teardown:?}");
        assert_eq!(find().await, None);
        targets::delete(self.clouds, &self.order.work, &target).await.unwrap();
    }
}

fn empty() -> attestore::testing_log::point_result::Isolation {
    attestore::testing_log::point_result::Isolation { account_id: String::new(), probes: Vec::new(), proved: false, undemanded: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_of_buckets_tables_and_files_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let bucket = laying.bucket(1).await.remove(0);
    let [through, own] = laying.table().await;
    crate::aws::tables::recoverable(&laying.clients).await;
    crate::aws::tables::next_second().await;
    let second = crate::aws::tables::next_second().await;
    let past = format!("{}@{}", crate::aws::tables::arn(), Timestamp::from_secs(second));
    let session = Session::load(&laying.running.session_options()).await;
    let clouds = Clouds::aws(session.clone(), session);
    let file = folder.path().join("app.db");
    crate::drill_estate::database(&file, 7).await;
    let file = file.display().to_string();
    let all = [
        (ResourceKind::S3, PointSource::AwsBackup, bucket.as_str(), "s3://file-vault"),
        (ResourceKind::S3, PointSource::S3Versions, "arn:aws:s3:::file-vault", "s3://file-vault"),
        (ResourceKind::Dynamodb, PointSource::AwsBackup, through.as_str(), "dynamodb:audit-logs"),
        (ResourceKind::Dynamodb, PointSource::DynamodbBackup, own.as_str(), "dynamodb:audit-logs"),
        (ResourceKind::Dynamodb, PointSource::DynamodbPitr, past.as_str(), "dynamodb:audit-logs"),
        (ResourceKind::Files, PointSource::Local, file.as_str(), "sqlite:app.db"),
    ];
    for (kind, from, handle, source) in all {
        Contract::new(folder.path(), &clouds, kind, from, handle, source).hold().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let read = Contract::new(folder.path(), &clouds, ResourceKind::S3, PointSource::AwsBackup, &bucket, "s3://file-vault");
    Contract { access: Access::BackupAccessPoint, ..read }.hold().await;
    laying.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_of_database_instances_keep_the_contract() {
    use attestore::engines::installed::EngineKind;
    for (kind, resource) in [(EngineKind::Postgres, ResourceKind::RdsPostgres), (EngineKind::MariaDb, ResourceKind::RdsMysql)] {
        if !engine(kind) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut laying = Laying::begin(folder.path()).await;
        let [own, through] = laying.database(kind).await;
        let session = Session::load(&laying.running.session_options()).await;
        let clouds = Clouds::aws(session.clone(), session);
        Contract::new(folder.path(), &clouds, resource, PointSource::RdsSnapshot, &own, "crm").hold().await;
        Contract::new(folder.path(), &clouds, resource, PointSource::AwsBackup, &through, "crm").hold().await;
        laying.running.stop().await.unwrap();
    }
}
