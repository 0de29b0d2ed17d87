//! `attestore manifest prove`: a proof that one entry is in a manifest, for somebody who has neither the manifest nor attestore

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::source::shown;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::verification::SignatureState;
use crate::signing::keys::VerifyingKey;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::proof;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::{LeafRow, ObjectRow};

/// Arguments of `manifest prove`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  attestore manifest prove manifests/vault customers/0001.pdf --out 0001.proof.json
  attestore manifest prove --check 0001.proof.json --key log.pub.pem
  attestore manifest prove --script > check.py && python3 check.py 0001.proof.json

The proof holds the entry, its path to the root (RFC 6962), and the signed header that has the root.")]
pub struct ProveArgs {
    /// The manifest's directory
    #[arg(required_unless_present_any = ["check", "script"])]
    pub manifest: Option<PathBuf>,
    /// The object's key, or the table's name
    #[arg(required_unless_present_any = ["check", "script"])]
    pub key: Option<String>,
    /// Only this version of the object [default: all of them]
    #[arg(long, value_name = "ID")]
    pub version_id: Option<String>,
    /// The proof's file, which must not exist [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Check this proof
    #[arg(long, value_name = "PROOF", conflicts_with_all = ["manifest", "key", "version_id", "out", "script"])]
    pub check: Option<PathBuf>,
    /// The public key that must have signed the manifest (SPKI PEM)
    #[arg(long = "key", value_name = "PEM", requires = "check", id = "public_key")]
    pub public_key: Option<PathBuf>,
    /// Print the Python that checks a proof without attestore
    #[arg(long, conflicts_with_all = ["manifest", "key", "version_id", "out"])]
    pub script: bool,
}

/// Runs the command.
pub fn run(args: &ProveArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    if args.script {
        console.answer(proof::CHECK_PY.trim_end());
        console.summary("manifest prove", "pass", ExitCode::Proven, [("script".to_owned(), json!(proof::CHECK_PY))].into_iter().collect());
        return Ok(ExitCode::Proven);
    }
    if let Some(path) = &args.check {
        return check(path, args, console);
    }
    let (Some(dir), Some(key)) = (&args.manifest, &args.key) else {
        return Err(Failure::invalid("expected a manifest and a key").into());
    };
    prove(dir, key, args, console)
}

fn prove(dir: &std::path::Path, key: &str, args: &ProveArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::open(dir)?;
    manifest.check_parts()?;
    // Opened before the reading: a file that cannot be written is found out for nothing.
    let file = match &args.out {
        Some(path) => Some(std::fs::File::create_new(path).map_err(|error| Failure::io(format!("cannot create {}", shown(path)), error))?),
        None => None,
    };
    let proved = if manifest.header().kind == ManifestKind::Objects {
        let version = args.version_id.as_deref();
        let wanted = |row: &ObjectRow| version.is_none_or(|id| row.version_id.as_deref() == Some(id));
        proof::prove(&manifest, manifest.objects(), key, wanted)
    } else {
        proof::prove(&manifest, manifest.leaves(), key, |_: &LeafRow| args.version_id.is_none())
    };
    let proof = match proved {
        Ok(proof) => proof,
        Err(failure) => {
            // What is not proved must not look like an empty proof.
            if let Some(path) = &args.out {
                let _ = std::fs::remove_file(path);
            }
            return Err(failure.into());
        }
    };
    let text = serde_json::to_string(&proof)?;
    match file {
        Some(mut file) => {
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| Failure::io("cannot write the proof", error))?;
            console.say(format!("{} proved in {}", entries_text(proof.entries.len()), args.out.as_deref().map(shown).unwrap_or_default()));
        }
        None => console.answer(&text),
    }
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("manifest_signature".into(), json!(manifest.signature(None)));
    more.insert("entries".into(), json!(proof.entries.len()));
    more.insert("out".into(), json!(args.out));
    if args.out.is_none() {
        more.insert("proof".into(), serde_json::to_value(&proof)?);
    }
    console.summary("manifest prove", "pass", ExitCode::Proven, more);
    Ok(ExitCode::Proven)
}

fn check(path: &std::path::Path, args: &ProveArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let key = args.public_key.as_deref().map(VerifyingKey::load_pem).transpose()?;
    let checked = proof::check(&proof::load(path)?, key.as_ref())?;
    let signed = match checked.signature {
        SignatureState::Bad => false,
        SignatureState::Verified => true,
        // Who names a key asks for a signature.
        SignatureState::Unverified | SignatureState::Absent => key.is_none(),
    };
    for entry in &checked.entries {
        console.answer(entry.to_string());
        let mut event = entry.clone();
        if let Value::Object(members) = &mut event {
            members.insert("event".into(), json!("row"));
        }
        console.object(&event);
    }
    let (outcome, exit) = if signed { ("pass", ExitCode::Proven) } else { ("fail", ExitCode::Findings) };
    console.say(format!(
        "{} of the manifest {} of {}, captured {} ({}); signature {}",
        entries_text(checked.entries.len()),
        checked.manifest,
        checked.header.source.escape_debug(),
        checked.header.captured_end,
        checked.header.mode,
        checked.signature.as_str()
    ));
    let mut more = Map::new();
    more.insert("manifest".into(), json!(checked.manifest));
    more.insert("manifest_signature".into(), json!(checked.signature));
    more.insert("entries".into(), json!(checked.entries.len()));
    more.insert("root".into(), json!(checked.header.root));
    console.summary("manifest prove", outcome, exit, more);
    Ok(exit)
}

fn entries_text(n: usize) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") }
}
