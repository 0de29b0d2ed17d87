//! `attestore init`: a commented configuration, the keys, and the testing log; all of it or nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::drill::context::tool;
use crate::estate::template;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::signing::{key_file, note};
use crate::testing_log::writer::LogWriter;

/// Arguments of `init`.
#[derive(Args, Debug)]
#[command(after_help = "Example: attestore init --dir /etc/attestore --origin example.org/restore-tests\n\n\
    Writes attestore.toml, attestore.key, attestore.hashkey, log.pub.pem and log/; overwrites nothing.")]
pub struct InitArgs {
    /// The directory to write into; created where it is absent
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The testing log's name, which is its signer's name too; it cannot be changed later
    #[arg(long, value_name = "NAME", default_value = "attestore.local/restore-tests")]
    pub origin: String,
}

const CONFIG: &str = "attestore.toml";
const SIGNING_KEY: &str = "attestore.key";
const HASH_KEY: &str = "attestore.hashkey";
const PUBLIC_KEY: &str = "log.pub.pem";
const LOG: &str = "log";
/// What is made, in the order in which it is put into place: the configuration last, since it names the others.
const MADE: [&str; 5] = [SIGNING_KEY, HASH_KEY, PUBLIC_KEY, LOG, CONFIG];

/// Runs the command.
pub async fn run(args: InitArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    note::check_name(&args.origin).map_err(|error| {
        Failure::invalid(format!("--origin {}: {error}", args.origin)).hint("an origin looks like `example.org/restore-tests`")
    })?;
    let dir = std::path::absolute(&args.dir)?;
    refuse_existing(&dir)?;
    let created = !dir.exists();
    let result = make(&dir, &args.origin, &template::commented(&args.origin));
    if result.is_err() && created {
        // Only an empty directory goes away, and only one that was not there before.
        let _ = std::fs::remove_dir(&dir);
    }
    let made = result?;
    tell(&dir, &args.origin, &made, console);
    Ok(ExitCode::Proven)
}

/// What the summary says of what was made.
pub struct Made {
    /// The signing key's id, 8 hex digits.
    pub key_id: String,
    /// The hash key's id, 8 hex digits.
    pub hash_key_id: String,
}

fn refuse_existing(dir: &Path) -> Result<(), Failure> {
    let there: Vec<&str> = MADE.into_iter().filter(|name| dir.join(name).symlink_metadata().is_ok()).collect();
    if there.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(format!("{}: {} already there, and nothing is ever overwritten", dir.display(), there.join(", ")))
        .hint("choose another directory with --dir, or move away what is there"))
}

/// Makes everything below a temporary directory beside its place, then moves it there, piece by piece, over nothing.
pub fn make(dir: &Path, origin: &str, config: &str) -> Result<Made, Failure> {
    let failed = |error| Failure::io(format!("cannot initialise {}", dir.display()), error);
    std::fs::create_dir_all(dir).map_err(failed)?;
    let work = tempfile::Builder::new().prefix(".attestore-init-").tempdir_in(dir).map_err(failed)?;
    let at = |name: &str| work.path().join(name);
    let signing = SigningKey::generate(&at(SIGNING_KEY))?;
    let hash = HashKey::create(&at(HASH_KEY))?;
    let public = signing.verifying_key();
    key_file::create_public(&at(PUBLIC_KEY), "public key", public.to_pem().as_bytes())?;
    drop(LogWriter::create(&at(LOG), origin, &signing, tool())?);
    key_file::create_public(&at(CONFIG), "configuration", config.as_bytes())?;
    let mut moved: Vec<&str> = Vec::new();
    for name in MADE {
        if let Err(error) = move_over_nothing(&at(name), &dir.join(name)) {
            // Back into the temporary directory, which takes them away.
            for name in moved {
                let _ = std::fs::rename(dir.join(name), at(name));
            }
            return Err(Failure::io(format!("cannot put {} into place", dir.join(name).display()), error));
        }
        moved.push(name);
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    Ok(Made { key_id: hex::encode(public.key_id(origin)), hash_key_id: hash.id() })
}

/// Renames, unless something is there already.
fn move_over_nothing(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            // A file system without such a rename: looked at a moment before, which is all that can be had there.
            if to.symlink_metadata().is_ok() {
                return Err(std::io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        result => Ok(result?),
    }
}

fn tell(dir: &Path, origin: &str, made: &Made, console: &Console) {
    let shown = |name: &str| dir.join(name).display().to_string();
    console.say(format!("{}  configuration, every key explained", shown(CONFIG)));
    console.say(format!(
        "{}  signs the log and manifests (key {}): keep it secret, and keep a copy offline",
        shown(SIGNING_KEY),
        made.key_id
    ));
    console.say(format!(
        "{}  keys the hashes of rows and items (key {}): keep it secret, and keep a copy",
        shown(HASH_KEY),
        made.hash_key_id
    ));
    console.say(format!("{}  verifies the log: give it to auditors", shown(PUBLIC_KEY)));
    console.say(format!("{}  the testing log of {origin}, with its first entry and checkpoint", shown(LOG)));
    console.say("\nNext:");
    console.say(format!("  1. name your classes and resources in {}", shown(CONFIG)));
    console.say(format!("  2. attestore config check --config {}", shown(CONFIG)));
    console.say(format!("  3. attestore manifest create SOURCE --out DIR --config {} --resource ID", shown(CONFIG)));
    console.say(format!("  4. attestore plan --config {}, then attestore drill --config {}", shown(CONFIG), shown(CONFIG)));
    let mut more = Map::new();
    for (name, value) in [
        ("dir", dir.display().to_string()),
        ("origin", origin.to_owned()),
        ("key_id", made.key_id.clone()),
        ("hash_key_id", made.hash_key_id.clone()),
    ] {
        more.insert(name.to_owned(), json!(value));
    }
    more.insert("made".to_owned(), json!(MADE));
    console.summary("init", "pass", ExitCode::Proven, more);
}
