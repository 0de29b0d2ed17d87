//! From the configuration to AWS: the sessions of a command, or the stand-in that `[sandbox] dir` asks for.

use crate::aws::session::{Session, SessionOptions};
use crate::estate::load::Loaded;
use crate::model::failure::Failure;
use crate::restore::order::Clouds;
#[cfg(feature = "sandbox")]
use crate::sandbox::server::{Running, Sandbox};

/// What a command reaches AWS with.
pub struct Reach {
    /// The sessions.
    pub clouds: Clouds,
    #[cfg(feature = "sandbox")]
    stand_in: Option<Running>,
}

impl Reach {
    /// Ends the stand-in, where one was started; its state stays in its folder.
    pub async fn close(self) {
        #[cfg(feature = "sandbox")]
        if let Some(running) = self.stand_in {
            // A server of the stand-in that would not end is ended with it; there is nothing to be done about it here.
            let _ = running.stop().await;
        }
    }
}

/// Opens sessions as the configuration says; asks nothing of AWS yet.
pub async fn open(loaded: &Loaded) -> Result<Reach, Failure> {
    let config = &loaded.config;
    if let Some(dir) = config.sandbox.as_ref().and_then(|sandbox| sandbox.dir.as_ref()) {
        return stand_in(dir).await;
    }
    let Some(aws) = &config.aws else { return Ok(reach(Clouds::none())) };
    let options = |role: Option<&String>| SessionOptions {
        region: Some(aws.region.clone()),
        profile: aws.profile.clone(),
        endpoint: aws.endpoint.clone(),
        assume_role: role.cloned(),
        ..SessionOptions::default()
    };
    let roles = aws.assume_role.clone().unwrap_or_default();
    let vault = Session::open(&options(roles.vault.as_ref())).await?;
    let isolated = Session::open(&options(roles.isolated.as_ref())).await?;
    Ok(reach(Clouds::aws(vault, isolated)))
}

fn reach(clouds: Clouds) -> Reach {
    Reach {
        clouds,
        #[cfg(feature = "sandbox")]
        stand_in: None,
    }
}

#[cfg(feature = "sandbox")]
async fn stand_in(dir: &std::path::Path) -> Result<Reach, Failure> {
    let running = Sandbox::start(dir, None).await?;
    let session = Session::open(&running.session_options()).await?;
    Ok(Reach { clouds: Clouds::aws(session.clone(), session), stand_in: Some(running) })
}

#[cfg(not(feature = "sandbox"))]
async fn stand_in(dir: &std::path::Path) -> Result<Reach, Failure> {
    Err(Failure::invalid(format!("[sandbox] dir = {}: this build has no stand-in AWS", dir.display()))
        .hint("remove [sandbox], or build with the feature `sandbox`"))
}
