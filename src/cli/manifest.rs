//! `attestore manifest create`, and where the other `manifest` commands begin

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::effort::EffortArgs;
use crate::cli::manifest_export;
use crate::cli::manifest_import;
use crate::cli::manifest_observe;
use crate::cli::manifest_prove;
use crate::cli::manifest_register::Registration;
use crate::cli::manifest_show;
use crate::cli::object_args::ObjectArgs;
use crate::cli::scan_args::ScanArgs;
use crate::cli::source::{self, Means, shown};
use crate::cli::tables;
use crate::cli::words::totals;
use crate::estate::load;
use crate::model::capture::CaptureMode;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::model::source_url::SourceUrl;
use crate::model::verification::SignatureState;
use crate::monitor::Monitor;
use crate::signing::keys::SigningKey;
use crate::signing::note;
use crate::verify::manifest::header::Header;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::{CaptureRequest, DigestSet};
use crate::verify::sql::checks::pack::Pack;

/// Arguments of `manifest`.
#[derive(Args, Debug)]
pub struct ManifestArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ManifestCommand,
}

/// `attestore manifest …`
#[derive(Subcommand, Debug)]
pub enum ManifestCommand {
    /// Read a source while its data is known to be good, and write what it must look like when restored
    Create(Box<CreateArgs>),
    /// Print a manifest's header and its first rows
    Show(manifest_show::ShowArgs),
    /// Compare two manifests; exit 1 where they differ
    Diff(manifest_show::DiffArgs),
    /// Make a manifest of a checksum list or a bag of another tool
    Import(Box<manifest_import::ImportArgs>),
    /// Write a manifest as a checksum list of another tool, or as a bag
    Export(manifest_export::ExportArgs),
    /// Hold completion reports of S3 Batch Operations (Compute checksum) against a manifest
    Observe(manifest_observe::ObserveArgs),
    /// Prove that one entry is in a manifest, or check such a proof
    Prove(manifest_prove::ProveArgs),
}

/// Arguments of `manifest create`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  attestore manifest create dir:/srv/vault --out manifests/vault-2026-01-31 --digest blake3
  attestore manifest create s3://vault --out manifests/vault --config attestore.toml --resource vault
  attestore manifest create postgres://reader@db.internal/crm --out manifests/crm --hash-key attestore.hashkey --sign-key attestore.key")]
pub struct CreateArgs {
    /// s3://BUCKET[/PREFIX], dynamodb:TABLE, dynamodb-export:s3://…, postgres://…, mysql://…, sqlite:PATH or dir:PATH
    pub source: SourceUrl,
    /// The manifest's directory, which must not exist
    #[arg(long, value_name = "DIR", required_unless_present = "show_grants")]
    pub out: Option<PathBuf>,
    /// Digests of objects: blake3, sha256, or both
    #[arg(long, value_name = "LIST", default_value = "blake3,sha256")]
    pub digest: DigestSet,
    /// How it is captured, as you declare [default: sealed for dir: and sqlite:, version-exact for s3:, window-bounded where it has no versions]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<CaptureMode>,
    #[command(flatten)]
    pub objects: ObjectArgs,
    /// Sign with this Ed25519 key (PKCS#8 PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub sign_key: Option<PathBuf>,
    /// The signer's name in the signature
    #[arg(long, value_name = "NAME", default_value = "attestore", requires = "sign_key")]
    pub signer: String,
    /// Digest rows and items with this key
    #[arg(long, value_name = "FILE")]
    pub hash_key: Option<PathBuf>,
    /// CA bundle for TLS to a database
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Record what the baseline and canary checks of this pack will be compared with (a shipped pack, a .sql file or a directory)
    #[arg(long = "pack", value_name = "NAME|PATH")]
    pub packs: Vec<String>,
    /// Sign with this configuration's key, and register the manifest in its testing log
    #[arg(long, value_name = "FILE", requires = "resource")]
    pub config: Option<PathBuf>,
    /// The configured resource that the manifest describes
    #[arg(long, value_name = "ID", requires = "config")]
    pub resource: Option<String>,
    /// The recovery point that it is captured for
    #[arg(long, value_name = "ID")]
    pub recovery_point: Option<String>,
    /// Carry over the versions that this manifest of the same bucket has, and read only new ones
    #[arg(long, value_name = "MANIFEST")]
    pub since: Option<PathBuf>,
    /// The share of the versions carried over that is read again, another one each time, such as 5% or 0.5%
    #[arg(long, value_name = "SHARE", default_value = "5%", requires = "since", value_parser = share_ppm)]
    pub reread: u64,
    /// DynamoDB: only these top-level attributes, beside the primary key; the manifest's scope is no more than that
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub attributes: Option<Vec<String>>,
    /// How a DynamoDB table is scanned
    #[command(flatten)]
    pub scan: ScanArgs,
    /// How objects are read
    #[command(flatten)]
    pub effort: EffortArgs,
    /// What is said of tables
    #[command(flatten)]
    pub tables: tables::TableArgs,
    /// Sessions that read one table at once, where the engine lets them share a snapshot [default: one a core, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub lanes: Option<u8>,
    /// Print the rights that USER (of MySQL and MariaDB USER@HOST) needs to read this database, as statements, and nothing else
    #[arg(long, value_name = "USER", num_args = 0..=1, default_missing_value = "attestore")]
    pub show_grants: Option<String>,
}

/// `5%`, `0.5%` as millionths.
fn share_ppm(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no share; expected per cent from 0% to 100%, such as 5% or 0.5%");
    let number = text.strip_suffix('%').ok_or_else(bad)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.len() > 4 || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(bad());
    }
    let ppm = format!("{whole}{part:0<4}").parse::<u64>().map_err(|_| bad())?;
    if ppm <= 1_000_000 { Ok(ppm) } else { Err(bad()) }
}

impl ManifestArgs {
    /// The command as typed.
    pub fn name(&self) -> &'static str {
        match self.command {
            ManifestCommand::Create(_) => "manifest create",
            ManifestCommand::Show(_) => "manifest show",
            ManifestCommand::Diff(_) => "manifest diff",
            ManifestCommand::Import(_) => "manifest import",
            ManifestCommand::Export(_) => "manifest export",
            ManifestCommand::Observe(_) => "manifest observe",
            ManifestCommand::Prove(_) => "manifest prove",
        }
    }
}

/// Runs the command.
pub async fn run(args: ManifestArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    match args.command {
        ManifestCommand::Create(args) => create(*args, console).await,
        ManifestCommand::Show(args) => manifest_show::show(&args, console),
        ManifestCommand::Diff(args) => manifest_show::diff(&args, console),
        ManifestCommand::Import(args) => manifest_import::run(*args, console).await,
        ManifestCommand::Export(args) => manifest_export::run(&args, console),
        ManifestCommand::Observe(args) => manifest_observe::run(&args, console),
        ManifestCommand::Prove(args) => manifest_prove::run(&args, console),
    }
}

async fn create(args: CreateArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    if let Some(user) = &args.show_grants {
        let mut means = Means { tls_ca: args.tls_ca.clone(), ..Means::default() };
        if let Some(config) = &args.config {
            means.complete_from(&load::load(config)?.config);
        }
        return Ok(tables::show_grants(&args.source, user, &means, console).await?);
    }
    args.objects.refuse(&args.source)?;
    args.effort.refuse(&args.source)?;
    let out = args.out.clone().unwrap_or_default();
    // Everything that can be wrong is found before the source is read.
    let registration = match (&args.config, &args.resource) {
        (Some(config), Some(resource)) => Some(Registration::of(config, ResourceId(resource.clone()))?),
        _ => None,
    };
    let own_key = args.sign_key.as_deref().map(SigningKey::load).transpose()?;
    note::check_name(&args.signer).map_err(|error| Failure::invalid(format!("--signer: {error}")))?;
    let signer = match (&registration, &own_key) {
        (Some(registration), _) => Some((registration.loaded.config.log.origin.as_str(), &registration.key)),
        (None, Some(key)) => Some((args.signer.as_str(), key)),
        (None, None) => None,
    };
    let scan = ScanArgs { attributes: args.attributes, ..args.scan };
    let (thaw, customer_keys) = (args.objects.thaw(), args.objects.customer_keys()?);
    let mut means =
        Means { view: args.objects.view, hash_key: args.hash_key, tls_ca: args.tls_ca, thaw, customer_keys, scan, ..Means::default() };
    means.keys = args.objects.keys();
    means.packs = Pack::load_all(args.packs.iter().map(String::as_str))?;
    if let Some(registration) = &registration {
        means.complete_from(&registration.loaded.config);
        means.names = registration.names();
    }
    means.limits.lanes = args.lanes.map_or(means.limits.lanes, usize::from);
    let mut request = CaptureRequest::new(&out, CaptureMode::Sealed);
    request.sidecar_max_rows = args.tables.sidecar_rows;
    let chosen = args.tables.leaves.or_else(|| registration.as_ref().and_then(Registration::leaves));
    let sidecar = args.tables.sidecar.or_else(|| registration.as_ref().and_then(Registration::sidecar));
    request.tables = args.tables.request();
    request.tables.leaves = chosen.unwrap_or_default();
    request.tables.sidecar = sidecar.unwrap_or_default();
    let is_database = matches!(args.source, SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. });
    if chosen.is_some() && !is_database {
        return Err(Failure::invalid(format!("{}: only tables of a database have leaves to choose among", args.source))
            .hint("leave --leaves out")
            .into());
    }
    if sidecar.is_some() && !is_database {
        let said = format!("{}: only of tables of a database it can be chosen what is kept of each row", args.source);
        return Err(Failure::invalid(said).hint("leave --sidecar out").into());
    }
    request.digests = args.digest;
    request.tier = args.objects.tier.unwrap_or_default();
    request.compare = args.objects.compare;
    request.filter = args.objects.filter()?;
    request.effort = args.effort.effort();
    if args.since.is_some() && !matches!(args.source, SourceUrl::S3 { .. }) {
        return Err(Failure::invalid(format!("{}: --since is for buckets with versions", args.source)).hint("leave --since out").into());
    }
    request.since = args.since.map(|manifest| (manifest, args.reread));
    request.recovery_point_id = args.recovery_point.as_deref().map(PointId::given).transpose().map_err(Failure::invalid)?;
    let monitor: &dyn Monitor = console.as_ref();
    let header = source::capture(&args.source, args.mode, request, &means, signer, monitor).await?;
    let manifest = Manifest::open(&out)?;
    let entry = registration.as_ref().map(|registration| registration.register(&manifest)).transpose().map_err(|failure| {
        failure.context(format!("the manifest {} is written and signed, and not registered in the testing log", shown(&out)))
    })?;

    let of = |name: &str| header.counts.get(name).copied().unwrap_or(0);
    let unreadable = of("unreadable") + of("indeterminate") + of("changed_version");
    // Tables without rows hold no data.
    let held: u64 = header.counts.iter().filter(|(name, _)| !matches!(name.as_str(), "bytes" | "tables")).map(|(_, n)| n).sum();
    let (outcome, exit) = judged(of("unreadable"), of("changed_version"), unreadable, held, &console.unread());
    let signature = if signer.is_some() { SignatureState::Verified } else { SignatureState::Absent };
    console.answer(scoreboard(&manifest, &header, signer.map(|(name, _)| name), entry));
    if unreadable > 0 {
        console.say(format!("{unreadable} entries could not be read, or are not what they were: the findings above name them"));
    }
    if held == 0 {
        console.say(format!("{} is empty: its manifest is written, and proves nothing; check the name and the prefix", header.source));
    }
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("out".into(), json!(out));
    more.insert("source".into(), json!(header.source));
    more.insert("kind".into(), json!(header.kind));
    more.insert("mode".into(), json!(header.mode));
    more.insert("root".into(), json!(header.root));
    more.insert("counts".into(), json!(header.counts));
    more.insert("manifest_signature".into(), json!(signature));
    more.insert("log_entry".into(), entry.map_or(Value::Null, |entry| json!(entry)));
    console.summary("manifest create", outcome.as_str(), exit, more);
    Ok(exit)
}

/// What a capture is worth. Bytes that contradict their own checksum, or another capture, speak against the source; what was not read for a
/// reason outside the data speaks for nothing, and the reason says whether the same command may succeed later.
fn judged(unreadable: u64, changed: u64, undone: u64, held: u64, unread: &BTreeMap<FailureKind, u64>) -> (Outcome, ExitCode) {
    let outside: u64 = unread.iter().filter(|(kind, _)| kind.is_outside_the_data()).map(|(_, n)| n).sum();
    match undone {
        0 if held == 0 => (Outcome::Inconclusive, ExitCode::Incomplete),
        0 => (Outcome::Pass, ExitCode::Proven),
        _ if changed > 0 || unreadable > outside => (Outcome::Fail, ExitCode::Findings),
        _ => (Outcome::Inconclusive, unread.keys().fold(ExitCode::Incomplete, |exit, kind| exit.and(kind.exit_code()))),
    }
}

fn scoreboard(manifest: &Manifest, header: &Header, signer: Option<&str>, entry: Option<u64>) -> String {
    let signed = signer.map_or_else(|| "no: a drill accepts signed manifests only".to_owned(), |name| format!("by {name}"));
    let mut lines = vec![
        format!("manifest   {}", shown(manifest.dir())),
        format!("source     {}", header.source),
        format!("mode       {}: {}", header.mode, header.mode.proves()),
        format!("captured   {} to {}", header.captured_start, header.captured_end),
        format!("holds      {}", totals(&header.counts)),
        format!("digest     {}", manifest.digest()),
        format!("signed     {signed}"),
    ];
    if let Some(entry) = entry {
        lines.push(format!("registered entry {entry} of the testing log"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_told_by_its_reason() {
        let of = |kinds: &[FailureKind], changed: u64| {
            let mut unread = BTreeMap::new();
            for kind in kinds {
                *unread.entry(*kind).or_default() += 1;
            }
            let n = kinds.len() as u64;
            let (outcome, exit) = judged(n, changed, n + changed, 9, &unread);
            (outcome, exit.code())
        };
        assert_eq!(of(&[], 0), (Outcome::Pass, 0));
        assert_eq!(of(&[FailureKind::Denied], 0), (Outcome::Inconclusive, 4));
        assert_eq!(of(&[FailureKind::Archived], 0), (Outcome::Inconclusive, 3));
        assert_eq!(of(&[FailureKind::Network, FailureKind::Archived], 0), (Outcome::Inconclusive, 5));
        assert_eq!(of(&[FailureKind::Network, FailureKind::Denied], 0), (Outcome::Inconclusive, 4));
        // Bytes that S3's own checksum contradicts are the data's, and a version that is not what it was.
        assert_eq!(of(&[FailureKind::Denied, FailureKind::Remote], 0), (Outcome::Fail, 1));
        assert_eq!(of(&[], 1), (Outcome::Fail, 1));
        // Undecided versions alone: nothing says which bytes were there.
        assert_eq!(judged(0, 0, 2, 9, &BTreeMap::new()), (Outcome::Inconclusive, ExitCode::Incomplete));
        assert_eq!(judged(0, 0, 0, 0, &BTreeMap::new()), (Outcome::Inconclusive, ExitCode::Incomplete));
    }
}
