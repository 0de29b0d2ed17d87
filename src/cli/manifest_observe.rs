//! `attestore manifest observe`: completion reports of S3 Batch Operations held against a manifest

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::source::shown;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::outcome::Outcome;
use crate::model::source_url::SourceUrl;
use crate::model::verification::SignatureState;
use crate::monitor::Monitor;
use crate::signing::keys::VerifyingKey;
use crate::verify::manifest::reader::Manifest;
use crate::verify::objects::observed;

/// Arguments of `manifest observe`.
#[derive(Args, Debug)]
#[command(after_help = "Example: attestore manifest observe manifests/vault --report results/6217b0fa.csv --key log.pub.pem

The reports are the CSV files of a job with the operation `Compute checksum`, best SHA-256 of whole objects. S3 computed them, nothing is
read here: at most `pass_with_exception`, and 3 where the reports do not name every object.")]
pub struct ObserveArgs {
    /// The manifest's directory
    pub manifest: PathBuf,
    /// A report's CSV file
    #[arg(long = "report", value_name = "CSV", required = true)]
    pub reports: Vec<PathBuf>,
    /// The public key that must have signed the manifest (SPKI PEM); without it the signature is not checked
    #[arg(long, value_name = "PEM")]
    pub key: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &ObserveArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let key = args.key.as_deref().map(VerifyingKey::load_pem).transpose()?;
    let manifest = Manifest::open(&args.manifest)?;
    let signature = manifest.signature(key.as_ref());
    let refused = match signature {
        SignatureState::Bad => Some("its signature does not hold"),
        SignatureState::Absent if key.is_some() => Some("expected a signature by the key given, found none"),
        _ => None,
    };
    if let Some(said) = refused {
        let message = format!("manifest {}: {said}", shown(manifest.dir()));
        return Err(Failure::new(crate::model::failure::FailureKind::BadEvidence, message)
            .hint("fetch the manifest again from where it is kept")
            .into());
    }
    manifest.check_parts()?;
    // Reports of one job may name several buckets.
    let bucket = match manifest.header().source.parse() {
        Ok(SourceUrl::S3 { bucket, .. }) => Some(bucket),
        _ => None,
    };
    let monitor: &dyn Monitor = console.as_ref();
    let observed = observed::compare(&manifest, bucket.as_deref(), &args.reports, monitor)?;
    let (mut outcome, mut reasons) = observed.verification.outcome(0);
    if observed.unobserved > 0 {
        reasons.insert(0, format!("objects: {} named by no report", observed.unobserved));
        if outcome == Outcome::PassWithException {
            outcome = Outcome::Inconclusive;
        }
    }
    let exit = ExitCode::of_outcome(outcome);
    let counts = observed.verification.objects.unwrap_or_default();
    console.answer(format!(
        "manifest   {}\nsignature  {}\nobserved   {} of {} objects, {} equal\nresult     {}: {}",
        shown(manifest.dir()),
        signature.as_str(),
        counts.expected,
        counts.expected + observed.unobserved,
        counts.matched,
        outcome.as_str().to_uppercase(),
        reasons.join("; ")
    ));
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("manifest_signature".into(), json!(signature));
    more.insert("objects".into(), json!(counts));
    more.insert("unobserved".into(), json!(observed.unobserved));
    more.insert("tier".into(), json!("observed"));
    more.insert("does_not_prove".into(), json!(observed.verification.lesser_tier.map(|tier| tier.does_not_prove)));
    more.insert("reasons".into(), json!(reasons));
    console.summary("manifest observe", outcome.as_str(), exit, more);
    Ok(exit)
}
