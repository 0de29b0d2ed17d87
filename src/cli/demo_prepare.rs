//! The first half of `attestore demo`: keys and log, the estate, a signed manifest for every recovery point, and then the damage.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::aws::session::SessionOptions;
use crate::cli::console::Console;
use crate::cli::demo_progress::Progress;
use crate::cli::init;
use crate::cli::manifest_register::Registration;
use crate::cli::source::{self, Means};
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::monitor::Monitor;
use crate::sandbox::demo::config;
use crate::sandbox::demo::estate::{self, Laid, LaidPoint};
use crate::sandbox::demo::plant;
use crate::sandbox::server::Sandbox;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::CaptureRequest;

/// What the demo makes in its folder, besides the progress file.
const MADE: &[&str] = &[
    "attestore.toml",
    "attestore.key",
    "attestore.hashkey",
    "attestore.journal",
    "log.pub.pem",
    "log",
    "manifests",
    "vault",
    "sandbox",
    "planted.json",
    "report.html",
    config::CREDENTIALS,
];

/// Prepares a demo in `dir`: a folder that is empty or not there, or one whose preparation did not come to its end (`again`).
pub async fn prepare(dir: &Path, again: bool, console: &Arc<Console>) -> anyhow::Result<Progress> {
    if again {
        console.say(format!("{}: its preparation did not come to its end; preparing it anew", dir.display()));
        clear(dir).await?;
    } else {
        refuse_strange(dir)?;
    }
    std::fs::create_dir_all(dir).map_err(|error| Failure::io(format!("cannot create {}", dir.display()), error))?;
    let mut progress = Progress { laid: None, drilled: false };
    progress.write(dir)?;
    let monitor: &dyn Monitor = console.as_ref();
    let now = Timestamp::now();
    console.say("laying an estate of four applications in a stand-in AWS on 127.0.0.1");
    let sandbox = Sandbox::start(&dir.join("sandbox"), None).await?;
    let prepared = async {
        let laid = estate::lay(&sandbox, dir, now, monitor).await?;
        write_secret(&dir.join(config::CREDENTIALS), &config::credentials(&laid))?;
        init::make(dir, config::ORIGIN, &config::text(&laid))?;
        console.say(format!("capturing {} signed manifests while everything is whole", laid.points.len()));
        for point in &laid.points {
            estate::stop_if_asked(monitor)?;
            capture(dir, &laid, point, sandbox.session_options(), monitor).await?;
        }
        console.say("planting damage in recovery points");
        let planted = plant::plant(&sandbox, dir, &laid, now).await?;
        let text = serde_json::to_vec_pretty(&planted).unwrap_or_default();
        std::fs::write(dir.join("planted.json"), text).map_err(|error| Failure::io("cannot write planted.json", error))?;
        Ok::<Laid, Failure>(laid)
    };
    let prepared = prepared.await;
    sandbox.stop().await?;
    progress.laid = Some(prepared?);
    progress.write(dir)?;
    Ok(progress)
}

/// One signed and registered manifest that names its recovery point.
async fn capture(dir: &Path, laid: &Laid, point: &LaidPoint, session: SessionOptions, monitor: &dyn Monitor) -> Result<(), Failure> {
    let registration = Registration::of(&dir.join("attestore.toml"), point.resource.clone())?;
    let url: SourceUrl = with_password(&point.source, &laid.password).parse()?;
    let mut means = Means { session, ..Means::default() };
    means.complete_from(&registration.loaded.config);
    let out = dir.join("manifests").join(&point.resource.0).join(&point.role);
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).map_err(|error| Failure::io(format!("cannot create {}", parent.display()), error))?;
    }
    // Nothing writes to the demo's databases and tables while they are captured.
    let mode = (!matches!(url, SourceUrl::S3 { .. })).then_some(CaptureMode::Sealed);
    let mut request = CaptureRequest::new(&out, CaptureMode::Sealed);
    request.recovery_point_id = Some(point.id.clone());
    let signer = Some((registration.loaded.config.log.origin.as_str(), &registration.key));
    source::capture(&url, mode, request, &means, signer, monitor).await?;
    registration.register(&Manifest::open(&out)?)?;
    Ok(())
}

fn with_password(source: &str, password: &str) -> String {
    let user = estate::DATABASE_USER;
    source.replacen(&format!("//{user}@"), &format!("//{user}:{password}@"), 1)
}

/// A folder with other things in it is not the demo's to fill.
fn refuse_strange(dir: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Failure::invalid(format!("{} is not empty and not a demo's folder", dir.display()))
                .hint("choose a folder that is empty or not there with --dir")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format!("cannot read {}", dir.display()), error)),
    }
}

/// Takes away what a preparation left, database servers first; nothing else in the folder is touched.
async fn clear(dir: &Path) -> Result<(), Failure> {
    let state = dir.join("sandbox");
    if state.exists() {
        let sandbox = Sandbox::start(&state, None).await?;
        sandbox.control().purge().await?;
        sandbox.stop().await?;
    }
    for name in MADE {
        let path = dir.join(name);
        let gone = match path.symlink_metadata() {
            Ok(facts) if facts.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(_) => continue,
        };
        gone.map_err(|error| Failure::io(format!("cannot remove {}", path.display()), error))?;
    }
    Ok(())
}

fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot write {}", path.display()), error);
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}
