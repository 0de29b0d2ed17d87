//! What happens to instances and snapshots in the background, and after a restart over the same state.
//!
//! Each step is written down before it is taken, and can be taken again.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::engines::area::log_folder;
use crate::engines::master::Master;
use crate::engines::servers::{Booted, Servers};
use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::{now, random_hex};
use crate::sandbox::control::faults::Faults;
use crate::sandbox::control::kept::Kept;
use crate::sandbox::control::rds::gate;
use crate::sandbox::control::rds::state::{Base, Instance, Origin, Snapshot, State};
use crate::sandbox::control::rds::tls;
use crate::sandbox::control::rds::token;

/// How long a state on the way is visible at least.
const VISIBLE: Duration = Duration::from_millis(120);

/// The RDS of the sandbox.
pub struct Rds {
    pub(super) state: Kept<State>,
    pub(super) servers: Servers,
    pub(super) faults: Arc<Faults>,
    tasks: Mutex<JoinSet<()>>,
    me: Weak<Self>,
}

impl Rds {
    /// Opens the state in `dir` and goes on with what is in it: servers that still run are adopted, dead ones are started again.
    pub async fn open(dir: &std::path::Path, faults: Arc<Faults>) -> Result<Arc<Self>, Failure> {
        let (state, servers) = (Kept::open(&dir.join("rds.json"))?, Servers::open(dir)?);
        tls::lay(dir, servers.area())?;
        let rds = Arc::new_cyclic(|me| Self { state, servers, faults, tasks: Mutex::default(), me: me.clone() });
        rds.open_gate().await?;
        rds.resume().await?;
        Ok(rds)
    }

    /// The database servers behind it.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Lets PostgreSQL ask whether a token is good: of an instance that takes tokens, and by its signature.
    async fn open_gate(&self) -> Result<(), Failure> {
        let failed = |error| Failure::io("cannot listen on 127.0.0.1", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        self.servers.ask_gate(listener.local_addr().map_err(failed)?.port());
        let me = self.me.clone();
        let opens = move |user: &str, port: u16, password: &str| {
            let takes = |rds: Arc<Self>| {
                rds.state.read(|state| state.instances.values().any(|one| one.port == port && one.settings.iam == Some(true)))
            };
            me.upgrade().is_some_and(takes) && token::opens(password, user, port, now())
        };
        self.spawn(|_| async move {
            gate::serve(listener, opens).await;
            Ok(())
        });
        Ok(())
    }

    async fn resume(&self) -> Result<(), Failure> {
        self.servers.sweep_orphans().await;
        let (instances, snapshots) = self
            .state
            .read(|state| (state.instances.values().cloned().collect::<Vec<_>>(), state.snapshots.values().cloned().collect::<Vec<_>>()));
        self.end_strangers(&instances).await;
        for instance in instances {
            match instance.status.as_str() {
                "creating" => self.spawn_creation(&instance.id),
                "deleting" => self.spawn_deletion(&instance.id),
                "failed" => {}
                _ => self.revive(&instance).await?,
            }
        }
        for snapshot in snapshots.iter().filter(|snapshot| snapshot.status == "creating") {
            // The instant it was to show has passed.
            self.set_snapshot(&snapshot.id, |snapshot| snapshot.status = "failed".into())?;
        }
        Ok(())
    }

    /// Ends servers in the area that no available instance accounts for: those of half-made instances and of damaged snapshots.
    async fn end_strangers(&self, instances: &[Instance]) {
        let known: Vec<&str> = instances.iter().filter(|one| one.status != "creating").map(|one| one.home.as_str()).collect();
        for name in self.servers.area().names() {
            if !known.contains(&name.as_str()) {
                self.servers.end_all_in(&self.servers.home(&name)).await;
            }
        }
    }

    async fn revive(&self, instance: &Instance) -> Result<(), Failure> {
        let booted = match self.servers.adopt(instance.kind, &instance.home, instance.port) {
            Some(process) => Ok(Booted { process, port: instance.port }),
            None => self.servers.boot(instance.kind, &instance.home, Some(instance.port)).await,
        };
        self.settle(&instance.id, booted)
    }

    /// Writes down how bringing a server up ended.
    fn settle(&self, id: &str, booted: Result<Booted, Failure>) -> Result<(), Failure> {
        self.set_instance(id, |instance| match booted {
            Ok(booted) => {
                instance.process = Some(booted.process);
                instance.port = booted.port;
                instance.status = "available".into();
                if let Origin::New(master) = &mut instance.origin {
                    *master = None;
                }
            }
            Err(failure) => {
                instance.process = None;
                instance.status = "failed".into();
                instance.trouble = Some(failure.to_string());
            }
        })
    }

    pub(super) fn set_instance(&self, id: &str, change: impl FnOnce(&mut Instance)) -> Result<(), Failure> {
        self.state.change(|state| state.instances.get_mut(id).map(change)).map(drop)
    }

    pub(super) fn set_snapshot(&self, id: &str, change: impl FnOnce(&mut Snapshot)) -> Result<(), Failure> {
        self.state.change(|state| state.snapshots.get_mut(id).map(change)).map(drop)
    }

    /// An instance as it is now.
    pub fn instance(&self, id: &str) -> Option<Instance> {
        self.state.read(|state| state.instances.get(id).cloned())
    }

    /// A snapshot as it is now.
    pub fn snapshot(&self, id: &str) -> Option<Snapshot> {
        self.state.read(|state| state.snapshots.get(id).cloned())
    }

    pub(super) fn spawn<F: Future<Output = Result<(), Failure>> + Send + 'static>(&self, work: impl FnOnce(Arc<Self>) -> F) {
        let Some(me) = self.me.upgrade() else { return };
        let work = work(me);
        let mut tasks = self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while tasks.try_join_next().is_some() {}
        // What went wrong is written into the instance or snapshot; a full disk is all that is left, and the next call says so.
        tasks.spawn(async move { drop(work.await) });
    }

    pub(super) fn spawn_creation(&self, id: &str) {
        let id = id.to_owned();
        self.spawn(|rds| async move {
            let Some(instance) = rds.instance(&id) else { return Ok(()) };
            let (booted, ()) = tokio::join!(rds.bring_up(&instance), tokio::time::sleep(VISIBLE));
            rds.settle(&id, booted)
        });
    }

    async fn bring_up(&self, instance: &Instance) -> Result<Booted, Failure> {
        let (kind, home) = (instance.kind, instance.home.as_str());
        // A run that was killed may have left a server and half a copy.
        self.servers.remove(home).await?;
        let master = match &instance.origin {
            Origin::Snapshot(id) => {
                let snapshot = self.snapshot(id).ok_or_else(|| Failure::invalid(format!("the snapshot {id} is gone")))?;
                self.servers.copy(&snapshot.home, home).await?;
                None
            }
            Origin::New(master) => {
                self.servers.make_empty(kind, home).await?;
                if instance.settings.retention != Some(0) {
                    self.servers.area().make_log_folder(home)?;
                }
                master.clone()
            }
            Origin::PointInTime { source, base, until } => {
                return self.servers.rebuild(kind, base, source, home, *until).await;
            }
            Origin::Doomed(message) => return Err(Failure::new(FailureKind::Remote, message.clone())),
            Origin::Stuck => return std::future::pending().await,
            Origin::Hollow(user) => {
                self.servers.make_empty(kind, home).await?;
                Some(Master { user: user.clone(), password: random_hex(16), database: instance.database.clone() })
            }
        };
        let booted = self.servers.boot(kind, home, None).await?;
        if let Some(master) = master {
            self.servers.create_master(kind, home, booted.port, &master).await?;
        }
        if log_folder(&self.servers.home(home)).is_some() {
            self.take_base(instance, booted).await?;
        }
        Ok(booted)
    }

    /// The copy that recovery to a point in time starts from: taken before anybody else has written.
    async fn take_base(&self, instance: &Instance, booted: Booted) -> Result<(), Failure> {
        if let Some(old) = self.instance(&instance.id).and_then(|instance| instance.base) {
            self.servers.remove(&old.home).await?;
        }
        let base = Base { home: format!("b-{}", random_hex(4)), at: now() };
        self.set_instance(&instance.id, |instance| instance.base = Some(base.clone()))?;
        self.servers.copy_running(booted.process, &instance.home, &base.home).await?;
        // It can be restored to from now on: the copy was taken since the moment above.
        self.set_instance(&instance.id, |instance| instance.base = Some(Base { at: now(), ..base }))
    }

    pub(super) fn spawn_deletion(&self, id: &str) {
        let id = id.to_owned();
        self.spawn(|rds| async move {
            let Some(instance) = rds.instance(&id) else { return Ok(()) };
            tokio::time::sleep(VISIBLE).await;
            rds.servers.remove(&instance.home).await?;
            if let Some(base) = &instance.base {
                rds.servers.remove(&base.home).await?;
            }
            rds.state.change(|state| state.instances.remove(&id)).map(drop)
        });
    }

    pub(super) fn spawn_settling(&self, id: &str) {
        let id = id.to_owned();
        self.spawn(|rds| async move {
            tokio::time::sleep(VISIBLE).await;
            rds.set_instance(&id, |instance| {
                if instance.status == "resetting-master-credentials" {
                    instance.status = "available".into();
                }
            })
        });
    }

    /// Ends the background work and every database server, and waits until they are gone. The state stays for the next start.
    pub async fn stop(&self) -> Result<(), Failure> {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        tasks.shutdown().await;
        self.servers.end_all().await?;
        self.state.change(|state| state.instances.values_mut().for_each(|instance| instance.process = None))
    }
}
