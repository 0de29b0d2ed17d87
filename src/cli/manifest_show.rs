//! `attestore manifest show` and `attestore manifest diff`: looking at manifests without any source

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::manifest_details;
use crate::cli::manifest_import::imported_line;
use crate::cli::source::shown;
use crate::cli::words::bytes_text;
use crate::model::counts::Counts;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::outcome::Outcome;
use crate::model::verification::SignatureState;
use crate::verify::manifest::diff;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::{Manifest, Rows};
use crate::verify::manifest::row::Row;
use crate::verify::sql::compare::{beside, manifests};

/// Arguments of `manifest show`.
#[derive(Args, Debug)]
#[command(after_help = "Example: attestore manifest show manifests/vault --limit 100 --json | jq .key")]
pub struct ShowArgs {
    /// The manifest's directory
    pub manifest: PathBuf,
    /// Rows to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// Arguments of `manifest diff`.
#[derive(Args, Debug)]
#[command(after_help = "Example: attestore manifest diff manifests/vault-monday manifests/vault-tuesday")]
pub struct DiffArgs {
    /// The manifest that is expected
    pub expected: PathBuf,
    /// The manifest that is compared with it
    pub actual: PathBuf,
}

/// `manifest show`
pub fn show(args: &ShowArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::open(&args.manifest)?;
    manifest.check_parts()?;
    let header = manifest.header();
    let signature = manifest.signature(None);
    let counts: Vec<String> =
        header.counts.iter().map(|(name, n)| if name == "bytes" { bytes_text(*n) } else { format!("{n} {name}") }).collect();
    console.answer(
        [
            format!("manifest   {}", shown(manifest.dir())),
            format!("source     {}", header.source),
            format!("kind       {}, {}, digests {}", header.kind.as_str(), header.encoding, header.digests.join(",")),
            format!("mode       {}: {}", header.mode, header.mode.proves()),
            format!("captured   {} to {}", header.captured_start, header.captured_end),
            format!("holds      {}", counts.join(", ")),
            format!("root       {}", header.root),
            format!("digest     {}", manifest.digest()),
            format!("parts      {}", header.parts.len()),
            format!("signature  {}", signature.as_str()),
        ]
        .into_iter()
        .chain(imported_line(header))
        .chain(manifest_details::lines(header))
        .chain([String::new()])
        .collect::<Vec<_>>()
        .join("\n"),
    );
    let mut event = serde_json::to_value(header)?;
    event["event"] = json!("manifest");
    event["digest"] = json!(manifest.digest());
    console.object(&event);
    let rows = match header.kind {
        ManifestKind::Objects => print_rows(manifest.objects(), args.limit, console)?,
        ManifestKind::TableSet | ManifestKind::Items => print_rows(manifest.leaves(), args.limit, console)?,
    };
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("manifest_signature".into(), json!(signature));
    more.insert("rows_shown".into(), json!(rows));
    let exit = match signature {
        SignatureState::Bad => {
            console.say(format!("{}: its signature is not for this manifest.json: one of them was changed", shown(manifest.dir())));
            ExitCode::Findings
        }
        _ => ExitCode::Proven,
    };
    console.summary("manifest show", if exit == ExitCode::Proven { "pass" } else { "fail" }, exit, more);
    Ok(exit)
}

/// Prints at most `limit` rows, each as its canonical JSON.
fn print_rows<R: Row + Clone>(rows: Rows<R>, limit: usize, console: &Console) -> Result<usize, Failure> {
    let mut leaf = Vec::new();
    let mut printed = 0;
    for row in rows.take(limit) {
        row?.leaf(&mut leaf);
        console.answer(String::from_utf8_lossy(&leaf));
        if console.is_json() {
            let mut value: Value = serde_json::from_slice(&leaf).map_err(|error| Failure::invalid(error.to_string()))?;
            value["event"] = json!("row");
            console.object(&value);
        }
        printed += 1;
    }
    Ok(printed)
}

/// `manifest diff`
pub fn diff(args: &DiffArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let (expected, actual) = (Manifest::open(&args.expected)?, Manifest::open(&args.actual)?);
    for manifest in [&expected, &actual] {
        if manifest.signature(None) == SignatureState::Bad {
            let said = format!("manifest {}: its signature is not for this manifest.json: one of them was changed", shown(manifest.dir()));
            return Err(Failure::new(FailureKind::BadEvidence, said).hint("fetch the manifest again from where it is kept").into());
        }
    }
    // The merge holds every part that it reads to its digest.
    for manifest in [&expected, &actual] {
        if manifest.header().kind == ManifestKind::Objects { manifest.check_names()? } else { manifest.check_parts()? }
    }
    let diff::Differences { counts, tables } = diff::diff(&expected, &actual, console.as_ref())?;
    manifests::name_rows(&expected, &actual, console.as_ref())?;
    let position = |manifest: &Manifest| manifest.header().position.clone();
    let definitions = match beside::of_manifests(position(&expected).as_ref(), position(&actual).as_ref(), console.as_ref()) {
        Some(Err(said)) => {
            console.answer(said);
            None
        }
        of => of.and_then(Result::ok),
    };
    let sum = |counts: Counts| counts.mismatch + counts.missing + counts.extra;
    let differences = sum(counts) + definitions.map_or(0, sum);
    // What one of the two readers was not shown, nobody can call equal.
    let unseen = definitions.map_or(0, |counts| counts.unreadable);
    let (outcome, exit) = match (differences, unseen) {
        (0, 0) => (Outcome::Pass, ExitCode::Proven),
        (0, _) => (Outcome::Inconclusive, ExitCode::Incomplete),
        _ => (Outcome::Fail, ExitCode::Findings),
    };
    // The leaves of a table's fingerprint are parts of a proof; what people have are tables.
    for (name, counts) in [("tables", tables), (if tables.is_some() { "parts of them" } else { "objects" }, Some(counts))] {
        let Some(counts) = counts else { continue };
        console.answer(format!(
            "{name}: {} equal, {} differ, {} only in {}, {} only in {}",
            counts.matched,
            counts.mismatch,
            counts.missing,
            shown(&args.expected),
            counts.extra,
            shown(&args.actual)
        ));
    }
    let mut more = Map::new();
    if let Some(definitions) = definitions {
        let unseen = if unseen > 0 { format!(", {unseen} not shown to the reader of the later one") } else { String::new() };
        let differ = sum(definitions);
        console.answer(format!("definitions: {} equal, {differ} differ, or are in one of the two only{unseen}", definitions.matched));
        more.insert("definitions".into(), json!(definitions));
    }
    if let Some(tables) = tables {
        more.insert("tables".into(), json!(tables));
    }
    more.insert(if tables.is_some() { "leaves" } else { "objects" }.into(), json!(counts));
    console.summary("manifest diff", outcome.as_str(), exit, more);
    Ok(exit)
}
