//! From a log on disk to a report on disk: verify, build, render, write. The only file of this room that touches the file system.

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::clock::Timestamp;
use crate::model::digest::Sha256Digest;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::DrillId;
use crate::report::build::{Input, build};
use crate::report::html;
use crate::report::model::{CommandBlock, ReportModel, Standing};
use crate::signing::keys::VerifyingKey;
use crate::testing_log::public_tools;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::fault::Fault;
use crate::testing_log::verify::run::verify;
use crate::testing_log::verify::verdict::{Anchor, Verdict, VerifyOptions};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The log's directory.
    pub log: PathBuf,
    /// The auditor's copy of the public key: SPKI PEM.
    pub key: PathBuf,
    /// Where the report goes.
    pub out: PathBuf,
    /// The last checkpoint that the auditor saw.
    pub checkpoint: Option<PathBuf>,
    /// "Now"; the system's clock where absent. With it, the same log gives the same bytes.
    pub as_of: Option<Timestamp>,
    /// The drill to show; the newest where absent.
    pub drill: Option<DrillId>,
}

/// What became of it.
#[derive(Debug)]
pub enum Published {
    /// The report was written.
    Written(Box<Report>),
    /// The log does not verify: nothing was written.
    Refused(Vec<Fault>),
}

/// A report that was written.
#[derive(Debug)]
pub struct Report {
    /// SHA-256 of the file.
    pub digest: Sha256Digest,
    /// Its size.
    pub size_bytes: u64,
    /// What it says.
    pub model: ReportModel,
}

/// Verifies the log and writes its report. The file appears whole or not at all; one that is there is replaced only by a whole one.
pub fn publish(request: &Request) -> Result<Published, Failure> {
    let key = VerifyingKey::load_pem(&request.key)?;
    let checkpoint = match &request.checkpoint {
        Some(path) => {
            Some(std::fs::read_to_string(path).map_err(|e| Failure::io(format!("cannot read the checkpoint {}", path.display()), e))?)
        }
        None => None,
    };
    let parent = parent_of(&request.out)?;
    let options = VerifyOptions { checkpoint, as_of: request.as_of };
    let verdict = verify(&request.log, &key, &options)?;
    if !verdict.holds() {
        return Ok(Published::Refused(verdict.faults));
    }
    let model = model_of(&verdict, &LogDir::open(&request.log)?, &key, request.drill.as_ref())?;
    let page = html::render(&model)?;
    write_whole(&request.out, parent, page.as_bytes())?;
    Ok(Published::Written(Box::new(Report { digest: Sha256Digest::of(page.as_bytes()), size_bytes: page.len() as u64, model })))
}

/// The model of a log that verified.
pub fn model_of(verdict: &Verdict, dir: &LogDir, key: &VerifyingKey, drill: Option<&DrillId>) -> Result<ReportModel, Failure> {
    let Some(checkpoint) = &verdict.checkpoint else {
        return Err(Failure::new(FailureKind::BadEvidence, format!("the log {} has no checkpoint that holds", verdict.origin)));
    };
    let standing = Standing {
        origin: verdict.origin.clone(),
        size: checkpoint.size,
        root: checkpoint.root,
        root_base64: STANDARD.encode(checkpoint.root.0),
        key_id: hex::encode(key.key_id(&verdict.origin)),
        verdict: verdict.anchor.to_string(),
        anchored: matches!(verdict.anchor, Anchor::AnchoredTo { .. }),
        unsigned_tail: verdict.size.saturating_sub(checkpoint.size),
    };
    // Neutral names, so that the report does not depend on where it was made.
    let steps = public_tools::steps(Path::new("log"), Path::new("log.pub.pem"), &verdict.origin, checkpoint.size);
    let commands = steps.into_iter().map(|step| CommandBlock { title: step.title.to_owned(), text: step.shell });
    // Evidence whose bytes differ is a fault of the log, and a log with faults does not come as far as this.
    let evidence = |digest: &Sha256Digest| dir.evidence(digest).ok().flatten();
    build(&Input { entries: &verdict.entries, standing, commands: commands.collect(), evidence: &evidence }, verdict.as_of, drill)
}

/// The directory that the report goes into: looked at before anything is verified.
fn parent_of(out: &Path) -> Result<&Path, Failure> {
    // A report is renamed into place: onto a device or a pipe, that would replace the device itself.
    if let Ok(there) = std::fs::metadata(out)
        && !there.is_file()
    {
        let found = if there.is_dir() { "a directory" } else { "a device, a pipe or a socket" };
        return Err(Failure::invalid(format!("--out {}: expected a file or nothing, found {found}", out.display()))
            .hint("name a new file, or one that may be replaced"));
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(Failure::invalid(format!("--out {}: expected the directory {}, found none", out.display(), parent.display()))
            .hint("make the directory, or name a file in one that is there"));
    }
    Ok(parent)
}

fn write_whole(out: &Path, parent: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot write the report {}", out.display()), error);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-");
    // Temporary files are private by default; a report is as readable as its reader's umask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(out).map_err(|error| failed(error.error))?;
    Ok(())
}
