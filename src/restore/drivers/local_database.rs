//! Dumps and physical copies kept beside AWS: loaded into a server of their own on loopback, which goes down with the target.
//!
//! A backup that its own engine refuses is not an error of ours: the target is then there and unreadable, which is the verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engines::base_tar;
use crate::engines::dumps::{self, Dump, Unloaded};
use crate::engines::installed::{EngineKind, Installed};
use crate::engines::last_words::LastWords;
use crate::engines::master::Master;
use crate::engines::packed;
use crate::engines::postgres_locale::Locale;
use crate::engines::product::Product;
use crate::engines::servers::Servers;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::resource::ResourceKind;
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::local::{make_target, within_vault};
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{self, Marker, local_path};
use crate::testing_log::restore_facts::{EngineVersions, Engines};
use crate::verify::sql::connect::keeper::{Keeper, Keeping, Revived};

/// The user that reads what was loaded.
const USER: &str = "attestore_drill";
/// The server's home in the target's area.
const HOME: &str = "db";
/// A compressed backup lies here while it is loaded.
const UNPACKED: &str = "unpacked";
/// Appears in the target once the backup was loaded, or found not to be loadable.
const STATE: &str = "server.json";

/// How loading ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Loaded {
    engine: EngineKind,
    /// What wrote the backup, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrote: Option<EngineKind>,
    /// Of the server, as it was last started.
    port: u16,
    /// What was loaded.
    what: String,
    /// Why the backup could not be loaded.
    unreadable: Option<String>,
    /// Where the server is another than the one that wrote the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine_versions: Option<EngineVersions>,
}

/// The driver.
pub struct LocalDatabase;

#[async_trait]
impl Driver for LocalDatabase {
    fn mechanism(&self) -> &'static str {
        "local:load"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Path
    }

    fn restores_in_request(&self) -> bool {
        true
    }

    async fn cut_short(&self, order: &Order) -> Result<(), Failure> {
        let to = local_path(&order.work, &order.target(TargetKind::Path).name)?;
        if !to.is_dir() {
            return Ok(());
        }
        let _ = std::fs::remove_dir_all(to.join(UNPACKED));
        Servers::open(&to)?.end_all().await
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        let to = local_path(&order.work, &target.name)?;
        if !to.join(STATE).exists() {
            // What a crash cut short is begun again, its server ended first; the guard has seen that it is ours.
            targets::delete(clouds, &order.work, target).await?;
            let marker = Marker { drill: order.drill.0.clone(), case: order.case.0.clone(), created_at: Timestamp::now() };
            make_target(&to, &marker)?;
            let source = within_vault(Path::new(&order.point.handle))?;
            let loaded = match load(order, &source, &to).await {
                Ok(loaded) => loaded,
                Err(Unloaded::Failed(failure)) => return Err(failure),
                Err(Unloaded::Damaged(why)) => {
                    let engine = if is_of_postgres(order) { EngineKind::Postgres } else { EngineKind::MariaDb };
                    Loaded {
                        engine,
                        wrote: None,
                        port: 0,
                        what: source.display().to_string(),
                        unreadable: Some(why),
                        engine_versions: None,
                    }
                }
            };
            write(&to, &loaded)?;
        }
        Ok(Accepted { job_id: None, created_arn: Some(to.display().to_string()) })
    }

    async fn poll(&self, order: &Order, _clouds: &Clouds, _accepted: &Accepted) -> Result<Progress, Failure> {
        let to = local_path(&order.work, &order.target(TargetKind::Path).name)?;
        Ok(match read(&to) {
            Ok(loaded) => Progress::Ready {
                status: if loaded.unreadable.is_some() { "unreadable".into() } else { "loaded".into() },
                created_arn: to.display().to_string(),
                raw: described(order, &loaded),
            },
            Err(failure) => {
                Progress::Failed { status: "incomplete".into(), message: failure.to_string(), raw: json!({"from": order.point.handle}) }
            }
        })
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        let to = local_path(&order.work, &order.target(TargetKind::Path).name)?;
        let mut loaded = read(&to)?;
        let mut keeper = None;
        if loaded.unreadable.is_none() {
            let servers = Servers::open(&to)?;
            // After a crash of the whole machine the server is not there any more; its data is.
            if servers.adopt(loaded.engine, HOME, loaded.port).is_none() {
                loaded.port = servers.boot(loaded.engine, HOME, Some(loaded.port)).await?.port;
                write(&to, &loaded)?;
            }
            keeper = Some(Keeping(Arc::new(Own { servers, engine: loaded.engine, port: loaded.port })));
        }
        let database = utf8_percent_encode(&database(order)?, NON_ALPHANUMERIC).to_string().replace("%5F", "_").replace("%2D", "-");
        let at = format!("{USER}@127.0.0.1:{}/{database}", loaded.port);
        let url = match loaded.engine {
            EngineKind::Postgres => SourceUrl::Postgres { url: format!("postgres://{at}") },
            EngineKind::MariaDb | EngineKind::MySql => SourceUrl::Mysql { url: format!("mysql://{at}") },
        };
        let login = Some((USER.to_owned(), order.password.clone()));
        Ok(Some(Opened { url, region: None, login, proof: None, unreadable: loaded.unreadable, keeper }))
    }
}

/// The server that a backup was loaded into.
struct Own {
    servers: Servers,
    engine: EngineKind,
    port: u16,
}

#[async_trait]
impl Keeper for Own {
    async fn revive(&self) -> Result<Option<Revived>, Failure> {
        Ok(self.servers.start_again(self.engine, HOME, self.port).await?.map(|LastWords(log)| Revived { log }))
    }
}

/// What is kept of it as the service's word.
fn described(order: &Order, loaded: &Loaded) -> Value {
    let mut raw = json!({"from": order.point.handle, "loaded": loaded});
    if let Some(wrote) = loaded.wrote {
        raw["engines"] = json!(Engines { wrote: wrote.name().to_owned(), restored: loaded.engine.name().to_owned() });
    }
    if let Some(versions) = &loaded.engine_versions {
        raw["engine_versions"] = json!(versions);
    }
    raw
}

async fn load(order: &Order, source: &Path, to: &Path) -> Result<Loaded, Unloaded> {
    let (looked, room) = (source.to_owned(), to.to_owned());
    let looked = tokio::task::spawn_blocking(move || look(&looked, &room)).await;
    let (dump, unpacked) = looked.map_err(|error| Failure::new(FailureKind::Disk, format!("look at {}: {error}", source.display())))??;
    let path = unpacked.as_deref().unwrap_or(source);
    if (dump.engine() == EngineKind::Postgres) != is_of_postgres(order) {
        let of = if order.point.kind == ResourceKind::Files {
            format!("is {}", order.source)
        } else {
            format!("is of kind {}", order.point.kind)
        };
        let message = format!("{}: {}, and the resource {of}", source.display(), dump.title());
        return Err(dumps::elsewhere(message));
    }
    let master = Master { user: USER.into(), password: order.password.clone(), database: Some(database(order)?) };
    let servers = Servers::open(to)?;
    servers.sweep_orphans().await;
    let mut lacking = None;
    let engine = engine_for(servers.installed(), dump);
    let versions = unlike(dumps::written_by(dump, path), dump, engine, &servers.programs(engine)?.version);
    let booted = if dump.is_data_directory() {
        servers.adopt_copy(dump, path, HOME, &master).await?
    } else {
        servers.make_empty(engine, HOME).await?;
        let booted = servers.boot(engine, HOME, None).await?;
        servers.create_master(engine, HOME, booted.port, &master).await?;
        let known = Locale::noted(&order.database_default);
        lacking = servers.load((engine, dump), path, HOME, booted, &master, known.as_ref()).await?;
        booted
    };
    if let Some(unpacked) = &unpacked {
        let removed = if unpacked.is_dir() { std::fs::remove_dir_all(unpacked) } else { std::fs::remove_file(unpacked) };
        removed.map_err(|error| Failure::io(format!("remove {}", unpacked.display()), error))?;
    }
    let what = if unpacked.is_some() { format!("{}, compressed", dump.title()) } else { dump.title().to_owned() };
    let lacking = lacking.map(|locale| format!("; without the locale of its source, {locale}, which is not installed here"));
    let what = what + &lacking.unwrap_or_default();
    Ok(Loaded { engine, wrote: Some(dump.engine()), port: booted.port, what, unreadable: None, engine_versions: versions })
}

/// The server that wrote the backup, or, where only the other is installed, the one that reads most of the same language.
fn engine_for(installed: &Installed, dump: Dump) -> EngineKind {
    let own = dump.engine();
    dump.stand_in().filter(|other| installed.programs(own).is_none() && installed.programs(*other).is_some()).unwrap_or(own)
}

/// Both engines, where the data had to change its server: its make, or, of a data directory, the series that its files are of.
fn unlike(product: Option<Product>, dump: Dump, engine: EngineKind, installed: &str) -> Option<EngineVersions> {
    let restored = Product { engine, version: installed.to_owned() };
    let upgraded = dump.is_data_directory() && product.as_ref().is_some_and(|wrote| wrote.series() != restored.series());
    (upgraded || engine != dump.engine()).then(|| EngineVersions {
        source: product.map(|product| product.version).filter(|version| !version.is_empty()),
        restored: Some(restored.version),
        wrote_the_data: true,
        source_engine: Some(dump.engine().name().to_owned()),
        restored_engine: Some(engine.name().to_owned()),
    })
}

/// What the backup is, and where it lies unpacked where it was compressed. The name stays: messages name it.
fn look(source: &Path, to: &Path) -> Result<(Dump, Option<PathBuf>), Unloaded> {
    let room = to.join(UNPACKED);
    std::fs::create_dir_all(&room).map_err(|error| Failure::io(format!("make {}", room.display()), error))?;
    let unpacked = room.join(source.file_name().unwrap_or_default());
    if base_tar::unpack(source, &unpacked)? {
        return Ok((dumps::recognise(&unpacked)?, Some(unpacked)));
    }
    let unpacked = packed::unpack(source, &unpacked)?.then_some(unpacked);
    Ok((dumps::recognise(unpacked.as_deref().unwrap_or(source))?, unpacked))
}

/// What the resource's kind says, or else its URL.
fn is_of_postgres(order: &Order) -> bool {
    match order.point.kind {
        ResourceKind::Files => order.source.starts_with("postgres"),
        kind => kind == ResourceKind::RdsPostgres,
    }
}

fn database(order: &Order) -> Result<String, Failure> {
    let of_source = || order.source.parse::<SourceUrl>().ok()?.server_database();
    order.database.clone().or_else(of_source).ok_or_else(|| {
        Failure::invalid(format!("{}: the database within the dump is not known", order.point.resource))
            .hint("set `database` of the resource in attestore.toml")
    })
}

fn write(to: &Path, loaded: &Loaded) -> Result<(), Failure> {
    let text = serde_json::to_vec(loaded).map_err(|error| Failure::invalid(format!("state of a server: {error}")).caused_by(error))?;
    let (path, unfinished) = (to.join(STATE), to.join("server.json.part"));
    let about = |error| Failure::io(format!("write {}", path.display()), error);
    std::fs::write(&unfinished, text).map_err(about)?;
    std::fs::rename(&unfinished, &path).map_err(about)
}

fn read(to: &Path) -> Result<Loaded, Failure> {
    let path = to.join(STATE);
    let text = std::fs::read(&path).map_err(|error| Failure::io(format!("read {}", path.display()), error))?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new(FailureKind::Remote, format!("{}: {error}", path.display())).caused_by(error))
}
