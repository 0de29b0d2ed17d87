//! An estate in the stand-in: a versioned bucket, a table, and databases where servers are installed; points, manifests, configuration.

use std::path::Path;
use std::sync::Arc;

use attestore::aws::dynamodb::TableSource;
use attestore::aws::dynamodb_export;
use attestore::aws::s3::S3Source;
use attestore::aws::session::Session;
use attestore::engines::installed::EngineKind;
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::ids::PointId;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::sandbox::server::Running;
use attestore::signing::hash_key::HashKey;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::writer::LogWriter;
use attestore::verify::items::export_files::ExportSource;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::objects::tier::Tier;
use attestore::verify::sql::connect::access::Access;
use aws_sdk_s3::primitives::ByteStream;
use sqlx::Connection;

use crate::clients::{Clients, start};
use crate::drill_estate::{Estate, ORIGIN};

/// The account of the stand-in.
pub const ACCOUNT: &str = "111122223333";
/// The vault of AWS Backup.
pub const VAULT: &str = "vault";

/// The estate while it is laid: the stand-in runs.
pub struct Laying {
    /// Folder, log, program.
    pub estate: Estate,
    /// The stand-in.
    pub running: Running,
    /// Clients of it.
    pub clients: Clients,
    /// The log's.
    pub key: SigningKey,
    /// Of items and rows.
    pub hash_key: HashKey,
    /// The log.
    pub log: LogWriter,
    /// The drill's own.
    pub session: Session,
    resources: String,
    /// Further lines of the class.
    pub checks: String,
    /// Further lines of `[isolation]`.
    pub isolation: String,
    /// Whether the class reads S3 points through backup access points.
    pub access_points: bool,
}

impl Laying {
    /// Keys, log and stand-in.
    pub async fn begin(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("sandbox")).unwrap();
        let estate = Estate { folder: folder.to_owned() };
        let key = SigningKey::generate(&estate.path("attestore.key")).unwrap();
        let hash_key = HashKey::create(&estate.path("attestore.hashkey")).unwrap();
        let log = LogWriter::create(&estate.path("log"), ORIGIN, &key, attestore::drill::context::tool()).unwrap();
        let (running, clients) = start(&estate.path("sandbox")).await;
        clients.vault(VAULT).await;
        let session = Session::load(&running.session_options()).await;
        Self {
            estate,
            running,
            clients,
            key,
            hash_key,
            log,
            session,
            resources: String::new(),
            checks: String::new(),
            isolation: String::new(),
            access_points: false,
        }
    }

    /// A bucket with versions and a delete marker, backed up `times` times; the points' ARNs.
    pub async fn bucket(&mut self, times: usize) -> Vec<String> {
        self.clients.bucket("file-vault").await;
        for (key, text) in [("a.txt", "one"), ("a.txt", "two"), ("b/c d+.txt", "three"), ("gone.txt", "four")] {
            self.clients
                .s3
                .put_object()
                .bucket("file-vault")
                .key(key)
                .body(ByteStream::from(text.repeat(500).into_bytes()))
                .send()
                .await
                .unwrap();
        }
        self.clients.s3.delete_object().bucket("file-vault").key("gone.txt").send().await.unwrap();
        let mut points = Vec::new();
        for _ in 0..times {
            let point = self.clients.back_up(VAULT, "arn:aws:s3:::file-vault").await;
            let source = S3Source::open(&self.session, "file-vault", "", None).await.unwrap();
            let request = self.request("file-vault", points.len(), CaptureMode::VersionExact, &point);
            attestore::verify::objects::capture::capture(&source, &request, Some((ORIGIN, &self.key)), &Silent).await.unwrap();
            self.estate.register(&mut self.log, "file-vault", &request.out);
            points.push(point);
        }
        self.resource("file-vault", "s3", "s3://file-vault", "", &format!("from = \"aws-backup\"\nvault = \"{VAULT}\""));
        points
    }

    /// A bucket that was overwritten and deleted from after a quiet second, which is its recovery point; its id.
    pub async fn rolled_back(&mut self) -> String {
        use attestore::model::clock::Timestamp;
        self.clients.bucket("file-vault").await;
        let put = async |key: &str, text: String| {
            let body = ByteStream::from(text.into_bytes());
            self.clients.s3.put_object().bucket("file-vault").key(key).metadata("owner", "crm").body(body).send().await.unwrap();
        };
        for (key, text) in [("a.txt", "one"), ("b/c d+é.txt", "two"), ("gone.txt", "three")] {
            put(key, text.repeat(500)).await;
        }
        self.clients.s3.delete_object().bucket("file-vault").key("gone.txt").send().await.unwrap();
        // Dates are whole seconds: nothing is written in the point's own.
        let at = Timestamp::from_secs(Timestamp::now().as_secs() + 2);
        tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
        put("a.txt", "encrypted for ransom".into()).await;
        put("readme-now.txt", "pay".into()).await;
        self.clients.s3.delete_object().bucket("file-vault").key("b/c d+é.txt").send().await.unwrap();
        // Points of the last two seconds are not restored to yet.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        let at_text = at.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let point = format!("arn:aws:s3:::file-vault@{at_text}");
        let source = S3Source::open(&self.session, "file-vault", "", None).await.unwrap();
        let request = self.request("file-vault", 0, CaptureMode::VersionExact, &point);
        attestore::verify::objects::capture::capture(&source, &request, Some((ORIGIN, &self.key)), &Silent).await.unwrap();
        self.estate.register(&mut self.log, "file-vault", &request.out);
        self.resource("file-vault", "s3", "s3://file-vault", "", &format!("from = \"s3-versions\"\nat = [\"{at_text}\"]"));
        point
    }

    /// A bucket whose manifest was captured at a lesser tier, without reading a byte, backed up once; the point's ARN.
    pub async fn bucket_at(&mut self, tier: Tier) -> String {
        self.clients.bucket("file-vault").await;
        for key in ["a.txt", "b.txt"] {
            let body = ByteStream::from(key.repeat(500).into_bytes());
            self.clients.s3.put_object().bucket("file-vault").key(key).body(body).send().await.unwrap();
        }
        let point = self.clients.back_up(VAULT, "arn:aws:s3:::file-vault").await;
        self.bucket_manifest(&point, tier).await;
        self.resource("file-vault", "s3", "s3://file-vault", "", &format!("from = \"aws-backup\"\nvault = \"{VAULT}\""));
        point
    }

    /// A bucket with a continuous recovery point and versions written after the second that is drilled; the point's id. `late` captures
    /// its manifest after the later writes, which it then knows of.
    pub async fn continuous_bucket(&mut self, late: bool) -> String {
        self.clients.bucket("file-vault").await;
        let put = async |clients: &Clients, key: &str, text: &str| {
            let body = ByteStream::from(text.repeat(500).into_bytes());
            clients.s3.put_object().bucket("file-vault").key(key).body(body).send().await.unwrap();
        };
        let arn = self.running.control().backup().lay_continuous_bucket(VAULT, "file-vault").unwrap();
        // The point begins within a second that is over before anything is written.
        over(chrono::Utc::now().timestamp()).await;
        for (key, text) in [("a.txt", "one"), ("a.txt", "two"), ("b/c d+.txt", "three"), ("gone.txt", "four")] {
            put(&self.clients, key, text).await;
        }
        self.clients.s3.delete_object().bucket("file-vault").key("gone.txt").send().await.unwrap();
        let second = chrono::Utc::now().timestamp() + 1;
        let point = PointId::at(&arn, attestore::model::clock::Timestamp::from_secs(second));
        if !late {
            self.bucket_manifest(&point.0, Tier::Content).await;
        }
        over(second).await;
        put(&self.clients, "a.txt", "encrypted for ransom").await;
        put(&self.clients, "readme-now.txt", "pay").await;
        if late {
            self.bucket_manifest(&point.0, Tier::Content).await;
        }
        over(chrono::Utc::now().timestamp()).await;
        self.resource("file-vault", "s3", "s3://file-vault", "", &format!("from = \"aws-backup\"\nvault = \"{VAULT}\""));
        point.0
    }

    /// A manifest of the bucket as it is now, registered for `point`.
    async fn bucket_manifest(&mut self, point: &str, tier: Tier) {
        let source = S3Source::open(&self.session, "file-vault", "", None).await.unwrap();
        let mut request = self.request("file-vault", 0, CaptureMode::VersionExact, point);
        request.tier = tier;
        attestore::verify::objects::capture::capture(&source, &request, Some((ORIGIN, &self.key)), &Silent).await.unwrap();
        self.estate.register(&mut self.log, "file-vault", &request.out);
    }

    /// A table with 40 items, backed up once by AWS Backup and once by DynamoDB itself; both points' ARNs.
    pub async fn table(&mut self) -> [String; 2] {
        self.clients.table("audit-logs", 40).await;
        let through = self.clients.back_up(VAULT, &format!("arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/audit-logs")).await;
        let own = self.clients.dynamodb.create_backup().table_name("audit-logs").backup_name("nightly").send().await.unwrap();
        let own = own.backup_details.unwrap().backup_arn;
        for (at, point) in [&through, &own].into_iter().enumerate() {
            let source = Arc::new(TableSource::open(&self.session, "audit-logs").await.unwrap());
            let request = self.request("audit-logs", at, CaptureMode::Sealed, point);
            let signer = Some((ORIGIN, &self.key));
            attestore::verify::items::capture::capture(source, &request, &self.hash_key, signer, &Silent).await.unwrap();
            self.estate.register(&mut self.log, "audit-logs", &request.out);
        }
        let more = format!("from = \"dynamodb-backup\"\n[[resource.points]]\nfrom = \"aws-backup\"\nvault = \"{VAULT}\"");
        self.resource("audit-logs", "dynamodb", "dynamodb:audit-logs", "", &more);
        [through, own]
    }

    /// A manifest of an export of the table, registered; its header.
    pub async fn export(&mut self, url: &str) -> attestore::verify::manifest::header::Header {
        let SourceUrl::DynamodbExport { bucket, prefix, .. } = url.parse().unwrap() else { panic!("{url}") };
        let export = dynamodb_export::open(&self.session, &bucket, &prefix, url).await.unwrap();
        let schema = dynamodb_export::key_schema(&self.session, &export).await.unwrap();
        let source = Arc::new(ExportSource::new(export, schema).unwrap());
        let request = self.request("audit-logs", 7, CaptureMode::ExportExact, "");
        let signer = Some((ORIGIN, &self.key));
        let header = attestore::verify::items::capture::capture(source, &request, &self.hash_key, signer, &Silent).await.unwrap();
        self.estate.register(&mut self.log, "audit-logs", &request.out);
        header
    }

    /// The table is restored to points in time.
    pub fn pitr(&mut self) {
        self.resource("audit-logs", "dynamodb", "dynamodb:audit-logs", "", "from = \"dynamodb-pitr\"");
    }

    /// A SQLite file in a local vault.
    pub async fn file(&mut self) {
        let vault = self.estate.path("vault");
        std::fs::create_dir_all(&vault).unwrap();
        let path = vault.join("app.db");
        crate::drill_estate::database(&path, 7).await;
        let request = self.request("app", 0, CaptureMode::Sealed, &PointId::local(&"app".into(), "app.db").0);
        let (url, access, signer) = (SourceUrl::Sqlite { path }, Access::default(), Some((ORIGIN, &self.key)));
        attestore::verify::sql::capture::capture(&url, &access, &request, &self.hash_key, signer, &Silent).await.unwrap();
        self.estate.register(&mut self.log, "app", &request.out);
        self.resource("app", "files", "sqlite:app.db", "", "from = \"local\"\npath = \"vault\"");
    }

    /// A database of 30 rows, with a snapshot of its own and one through AWS Backup; both points' ARNs.
    pub async fn database(&mut self, kind: EngineKind) -> [String; 2] {
        self.database_of(kind, "", "database = \"crm\"\ntls_ca = \"sandbox/control/rds-ca.pem\"\n").await
    }

    /// The same in PostgreSQL, read by a user of the source whose password the configuration names.
    pub async fn database_with_reader(&mut self) -> [String; 2] {
        std::fs::write(self.estate.path("reader"), "reader:hers\n").unwrap();
        let sql = "CREATE ROLE reader LOGIN PASSWORD 'hers';\nGRANT pg_read_all_data, pg_monitor TO reader;\n";
        self.database_of(EngineKind::Postgres, sql, "database = \"crm\"\ncredentials = \"file:reader\"\n").await
    }

    /// A parameter group.
    pub async fn parameter_group(&self, name: &str, family: &str) {
        let rds = &self.clients.rds;
        let asked = rds.create_db_parameter_group().db_parameter_group_name(name).db_parameter_group_family(family).description("quiet");
        asked.send().await.unwrap();
    }

    /// The same in PostgreSQL with a user of tokens, who reads what was restored.
    pub async fn database_with_tokens(&mut self) -> [String; 2] {
        let sql = "CREATE ROLE reader LOGIN;\nGRANT rds_iam, pg_read_all_data, pg_monitor TO reader;\n";
        let more = "database = \"crm\"\nauthentication = \"iam\"\ndatabase_user = \"reader\"\ntls_ca = \"sandbox/control/rds-ca.pem\"\n";
        self.database_of(EngineKind::Postgres, sql, more).await
    }

    async fn database_of(&mut self, kind: EngineKind, administration: &str, more: &str) -> [String; 2] {
        let (engine, name, resource_kind) = called(kind);
        let port = self.clients.instance(name, engine).await;
        fill(kind, port).await;
        if !administration.is_empty() {
            let rds = self.running.control().rds();
            let home = rds.instance(name).unwrap().home;
            rds.servers().sql(kind, &home, port, "crm", administration).await.unwrap();
        }
        self.clients
            .rds
            .create_db_snapshot()
            .db_instance_identifier(name)
            .db_snapshot_identifier(format!("{name}-nightly"))
            .send()
            .await
            .unwrap();
        let own = crate::clients::until("the snapshot is there", async || {
            let found = self.clients.rds.describe_db_snapshots().db_snapshot_identifier(format!("{name}-nightly")).send().await.unwrap();
            let found = found.db_snapshots.unwrap().remove(0);
            (found.status.as_deref() == Some("available")).then(|| found.db_snapshot_arn.unwrap())
        })
        .await;
        let through = self.clients.back_up(VAULT, &format!("arn:aws:rds:eu-west-2:{ACCOUNT}:db:{name}")).await;
        let (url, access) = as_keeper(kind, port);
        for (at, point) in [&own, &through].into_iter().enumerate() {
            let request = self.request(name, at, CaptureMode::Sealed, point);
            self.capture(&url, &access, &request).await;
            self.estate.register(&mut self.log, name, &request.out);
        }
        let points = format!("from = \"rds-snapshot\"\n[[resource.points]]\nfrom = \"aws-backup\"\nvault = \"{VAULT}\"");
        self.resource(name, resource_kind, name, more, &points);
        self.clients.drop_instance(name).await;
        [own, through]
    }

    /// A database whose rows carry the second they were written in, with a manifest for one second: 30 rows before it, 5 after it. The
    /// point's id. The instance stays: its log is what is restored from.
    pub async fn database_in_time(&mut self, kind: EngineKind) -> String {
        self.in_time(kind, false).await
    }

    /// The same with a continuous recovery point of AWS Backup.
    pub async fn continuous(&mut self, kind: EngineKind) -> String {
        self.in_time(kind, true).await
    }

    /// A table that only grows: 20 rows in the manifest, 5 more before the second, 15 after it. The point's id. `stamped` says whether the
    /// manifest names the column with their stamps.
    pub async fn grown_in_time(&mut self, kind: EngineKind, stamped: bool) -> String {
        let (engine, name, resource_kind) = called(kind);
        let port = self.clients.instance(name, engine).await;
        let stamp = || chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string();
        let rows = |ids: std::ops::Range<i32>| ids.map(|id| format!("({id}, '{}')", stamp())).collect::<Vec<_>>().join(", ");
        execute(kind, port, "CREATE TABLE event (id INT PRIMARY KEY, written_at TIMESTAMP NOT NULL)").await;
        execute(kind, port, &format!("INSERT INTO event VALUES {}", rows(0..20))).await;
        let (url, access) = as_keeper(kind, port);
        let mut request = self.request(name, 0, CaptureMode::AppendPrefix, "");
        request.tables.watermark = Some("id".into());
        request.tables.stamp = stamped.then(|| "written_at".into());
        self.capture(&url, &access, &request).await;
        self.estate.register(&mut self.log, name, &request.out);
        execute(kind, port, &format!("INSERT INTO event VALUES {}", rows(100..105))).await;
        let second = chrono::Utc::now().timestamp() + 1;
        over(second).await;
        let at = chrono::DateTime::from_timestamp(second, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        execute(kind, port, &format!("INSERT INTO event VALUES {}", rows(200..215))).await;
        over(chrono::Utc::now().timestamp()).await;
        let more = "database = \"crm\"\ntls_ca = \"sandbox/control/rds-ca.pem\"\n";
        self.resource(name, resource_kind, name, more, &format!("from = \"rds-pitr\"\nat = [\"{at}\"]"));
        format!("arn:aws:rds:eu-west-2:{ACCOUNT}:db:{name}@{at}")
    }

    async fn in_time(&mut self, kind: EngineKind, through_aws_backup: bool) -> String {
        let (engine, name, resource_kind) = called(kind);
        let port = self.clients.instance(name, engine).await;
        let stamp = || chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string();
        let rows = |ids: std::ops::Range<i32>| ids.map(|id| format!("({id}, '{}')", stamp())).collect::<Vec<_>>().join(", ");
        execute(kind, port, "CREATE TABLE event (id INT PRIMARY KEY, written_at TIMESTAMP NOT NULL)").await;
        execute(kind, port, &format!("INSERT INTO event VALUES {}", rows(0..30))).await;
        let second = chrono::Utc::now().timestamp() + 1;
        over(second).await;
        let at = chrono::DateTime::from_timestamp(second, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let arn = match through_aws_backup {
            true => self.running.control().backup().lay_continuous(VAULT, name).unwrap(),
            false => format!("arn:aws:rds:eu-west-2:{ACCOUNT}:db:{name}"),
        };
        let point = format!("{arn}@{at}");
        let (url, access) = as_keeper(kind, port);
        let request = self.request(name, 0, CaptureMode::Sealed, &point);
        self.capture(&url, &access, &request).await;
        self.estate.register(&mut self.log, name, &request.out);
        execute(kind, port, &format!("INSERT INTO event VALUES {}", rows(100..105))).await;
        over(chrono::Utc::now().timestamp()).await;
        let check = "--! id = \"event.newest\"\n--! title = \"The newest event\"\n--! engines = [\"postgres\", \"mysql\", \"mariadb\"]\n\
                     --! requires = [\"event\"]\n--! kind = \"freshness\"\n--! severity = \"critical\"\n--! error_if = \"> 1h\"\n--! bounded = true\n\
                     SELECT MAX(written_at) FROM event\n";
        std::fs::write(self.estate.path("event.sql"), check).unwrap();
        self.checks = "checks = [\"./event.sql\"]\n".into();
        // The servers' certificate is verified against the stand-in's CA, as an instance's is against the bundle of RDS.
        let from = match through_aws_backup {
            true => format!("from = \"aws-backup\"\nvault = \"{VAULT}\"\nat = [\"{at}\"]"),
            false => format!("from = \"rds-pitr\"\nat = [\"{at}\"]"),
        };
        let more = "database = \"crm\"\ntls_ca = \"sandbox/control/rds-ca.pem\"\n";
        self.resource(name, resource_kind, name, more, &from);
        point
    }

    /// A manifest of a server that nobody else writes to. Where it writes a record of its own meanwhile (it keeps its log), once more.
    pub async fn capture(&self, url: &SourceUrl, access: &Access, request: &CaptureRequest) {
        let signer = Some((ORIGIN, &self.key));
        for _ in 0..5 {
            match attestore::verify::sql::capture::capture(url, access, request, &self.hash_key, signer, &Silent).await {
                Ok(_) => return,
                Err(failure) if failure.kind == FailureKind::Refused => drop(std::fs::remove_dir_all(&request.out)),
                Err(failure) => panic!("{failure}"),
            }
        }
        panic!("{url} does not stand still");
    }

    /// Writes the configuration and ends the stand-in; its state stays.
    pub async fn end(mut self) -> Estate {
        self.log.checkpoint().unwrap();
        let text = format!(
            "version = 1\n[log]\npath = \"log\"\norigin = \"{ORIGIN}\"\n[keys]\nsigning = \"attestore.key\"\nhash = \"attestore.hashkey\"\n\
             [aws]\nregion = \"eu-west-2\"\nbackup_role_arn = \"{}\"\n[isolation]\naccount_id = \"{ACCOUNT}\"\nname_prefix = \"attestore-drill-\"\n\
             subnet_group = \"default\"\nsecurity_group_ids = [\"sg-0a1b2c3d4e5f60718\"]\n{}\
             [sandbox]\ndir = \"sandbox\"\n[class.c]\n{}rpo = \"1d\"\ntest_period = \"90d\"\n{}{}",
            crate::clients::ROLE,
            self.isolation,
            if self.access_points { "rto = \"not_required\"\naccess = \"backup-access-point\"\n" } else { "rto = \"1h\"\n" },
            self.checks,
            self.resources
        );
        std::fs::write(self.estate.path("attestore.toml"), text).unwrap();
        self.running.stop().await.unwrap();
        // Its databases are closed a moment later, on threads of their own; a copy of the folder needs them whole.
        crate::clients::until("the stand-in's databases are closed", async || no_wal(&self.estate.path("sandbox")).then_some(())).await;
        self.estate
    }

    /// A capture into the resource's directory of manifests, for a point unless that is empty.
    pub fn request(&self, resource: &str, at: usize, mode: CaptureMode, point: &str) -> CaptureRequest {
        let folder = self.estate.path("manifests").join(resource);
        std::fs::create_dir_all(&folder).unwrap();
        let mut request = CaptureRequest::new(folder.join(at.to_string()), mode);
        request.recovery_point_id = (!point.is_empty()).then(|| PointId::arn(point));
        request
    }

    /// Configures a resource.
    pub fn resource(&mut self, id: &str, kind: &str, source: &str, more: &str, points: &str) {
        self.resources += &format!(
            "[[resource]]\nid = \"{id}\"\napplication = \"a\"\nkind = \"{kind}\"\nclass = \"c\"\nsource = \"{source}\"\n\
             manifests = \"manifests/{id}\"\n{more}[[resource.points]]\n{points}\n"
        );
    }
}

/// The engine, the instance and the kind of resource of a database.
pub fn called(kind: EngineKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        EngineKind::Postgres => ("postgres", "pg", "rds-postgres"),
        EngineKind::MariaDb => ("mariadb", "maria", "rds-mysql"),
        EngineKind::MySql => ("mysql", "my", "rds-mysql"),
    }
}

/// How the master user reaches the database of an instance.
pub fn as_keeper(kind: EngineKind, port: u16) -> (SourceUrl, Access) {
    let url = match kind {
        EngineKind::Postgres => SourceUrl::Postgres { url: format!("postgres://keeper@127.0.0.1:{port}/crm") },
        EngineKind::MariaDb | EngineKind::MySql => SourceUrl::Mysql { url: format!("mysql://keeper@127.0.0.1:{port}/crm") },
    };
    (url, Access { user: Some("keeper".into()), password: Some("first-secret".into()), ..Access::default() })
}

/// The names of the backup access points.
pub async fn access_points(clients: &Clients) -> Vec<String> {
    let found = clients.backup.list_backup_access_points().send().await.unwrap().backup_access_points;
    found.into_iter().map(|one| one.name).collect()
}

/// What exists in the stand-in with a drill's prefix: buckets, tables, instances, access points.
pub async fn leftovers(estate: &Estate) -> Vec<String> {
    let (running, clients) = start(&estate.path("sandbox")).await;
    let mut names = Vec::new();
    let buckets = clients.s3.list_buckets().send().await.unwrap().buckets.unwrap_or_default();
    names.extend(buckets.into_iter().filter_map(|bucket| bucket.name));
    names.extend(clients.dynamodb.list_tables().send().await.unwrap().table_names.unwrap_or_default());
    let instances = clients.rds.describe_db_instances().send().await.unwrap().db_instances.unwrap_or_default();
    names.extend(instances.into_iter().filter_map(|instance| instance.db_instance_identifier));
    names.extend(access_points(&clients).await);
    running.stop().await.unwrap();
    names.retain(|name| name.starts_with("attestore-drill-"));
    names
}

fn no_wal(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().all(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { no_wal(&path) } else { !path.to_string_lossy().ends_with("-wal") }
    })
}

/// Waits until the second is over.
pub async fn over(second: i64) {
    crate::clients::until("the second is over", || async move { (chrono::Utc::now().timestamp() > second).then_some(()) }).await;
}

async fn fill(kind: EngineKind, port: u16) {
    let rows: Vec<String> = (0..30).map(|id| format!("({id}, 'customer {id}')")).collect();
    execute(kind, port, "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)").await;
    execute(kind, port, &format!("INSERT INTO customer VALUES {}", rows.join(", "))).await;
}

pub async fn execute(kind: EngineKind, port: u16, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    match kind {
        EngineKind::Postgres => {
            let mut connection =
                sqlx::PgConnection::connect(&format!("postgres://keeper:first-secret@127.0.0.1:{port}/crm")).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
        EngineKind::MariaDb | EngineKind::MySql => {
            let mut connection =
                sqlx::MySqlConnection::connect(&format!("mysql://keeper:first-secret@127.0.0.1:{port}/crm")).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }
}
