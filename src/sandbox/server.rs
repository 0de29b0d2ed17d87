//! The composition root of the sandbox: opens the state, asks the control planes for their services, starts the listener.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::aws::session::SessionOptions;
use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::plane::ControlPlane;
use crate::sandbox::identity;
use crate::sandbox::listener::{Listener, Router, Services};
use crate::sandbox::s3::api;
use crate::sandbox::s3::faults::Faults;
use crate::sandbox::s3::store::S3Store;

/// The stand-in AWS over one folder of state.
pub struct Sandbox;

impl Sandbox {
    /// Starts over the state in `dir` (created when absent) on 127.0.0.1, on a free port when none is given.
    ///
    /// The folder is locked: a second sandbox over the same state is refused.
    pub async fn start(dir: &Path, port: Option<u16>) -> Result<Running, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| Failure::io(format!("cannot create the sandbox folder {}", dir.display()), error))?;
        let lock = lock(dir)?;
        let faults = Arc::new(Faults::default());
        let store = S3Store::open(&dir.join("s3"))?;
        let control = ControlPlane::open(&dir.join("control"), store.clone()).await?;
        let services: Services = control.services().into_iter().collect();
        let router = Router { s3: api::service(store.clone()), faults: faults.clone(), services };
        let listener = match Listener::start(port, router).await {
            Ok(listener) => listener,
            Err(failure) => {
                // The control plane may have started database servers over the state that was there.
                let _ = control.stop().await;
                return Err(failure);
            }
        };
        Ok(Running { listener, control, store, faults, _lock: lock })
    }
}

fn lock(dir: &Path) -> Result<File, Failure> {
    let path = dir.join("sandbox.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Failure::io(format!("cannot open the lock {}", path.display()), error))?;
    let mut patience = 50;
    let mut locked = file.try_lock();
    // A child process that is just being started holds a copy of our files until it runs its own program.
    while patience > 0 && matches!(locked, Err(std::fs::TryLockError::WouldBlock)) {
        std::thread::sleep(std::time::Duration::from_millis(10));
        locked = file.try_lock();
        patience -= 1;
    }
    match locked {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Failure::new(FailureKind::Refused, format!("another sandbox is running over {}", dir.display()))
                .hint("stop it first, or give this one a folder of its own with --dir"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(Failure::io(format!("cannot lock {}", path.display()), error)),
    }
}

/// A running sandbox; [`Running::stop`] ends it, and its state stays in its folder.
pub struct Running {
    listener: Listener,
    control: ControlPlane,
    store: S3Store,
    faults: Arc<Faults>,
    // Held until the end; the operating system frees it however the process ends.
    _lock: File,
}

impl Running {
    /// The endpoint of every service, such as `http://127.0.0.1:41234`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// What a client needs to reach it.
    pub fn session_options(&self) -> SessionOptions {
        SessionOptions {
            region: Some(identity::REGION.into()),
            endpoint: Some(self.endpoint()),
            static_credentials: Some((identity::ACCESS_KEY_ID.into(), identity::SECRET_ACCESS_KEY.into())),
            ..SessionOptions::default()
        }
    }

    /// The S3 store behind it.
    pub fn s3(&self) -> &S3Store {
        &self.store
    }

    /// Faults that S3 requests will meet.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// STS, DynamoDB, AWS Backup and RDS behind it: faults, damage, direct calls.
    pub fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// Stops listening, then ends what the services run, database servers included.
    pub async fn stop(self) -> Result<(), Failure> {
        self.listener.stop().await;
        self.control.stop().await
    }
}
