//! `attestore manifest import`: checksum lists and bags of other tools become manifests, which say where they come from

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::manifest_register::Registration;
use crate::cli::source::shown;
use crate::cli::words::totals;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::ids::{PointId, ResourceId};
use crate::model::source_url::SourceUrl;
use crate::model::verification::SignatureState;
use crate::monitor::Monitor;
use crate::signing::keys::SigningKey;
use crate::signing::note;
use crate::verify::manifest::exchange::bag_read;
use crate::verify::manifest::exchange::import::{self, ImportRequest};
use crate::verify::manifest::exchange::inventory_import;
use crate::verify::manifest::exchange::lines::ListFormat;
use crate::verify::manifest::header::Header;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::DigestSet;
use crate::verify::objects::keys::inventory::Inventory;

/// Whose format it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ImportFormat {
    /// GNU sha256sum, plain or --tag
    Sha256sum,
    /// b3sum, plain or --tag
    B3sum,
    /// rclone hashsum sha256 or blake3; --digest says which
    Rclone,
    /// A BagIt bag (RFC 8493), by its directory
    Bagit,
    /// An S3 Inventory (CSV or Parquet), by its manifest.json; no digests, so the tier is inventory
    S3Inventory,
}

/// Arguments of `manifest import`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  attestore manifest import sha256sum SHA256SUMS --source dir:/srv/vault --out manifests/vault
  attestore manifest import bagit bags/2026-01 --out manifests/2026-01 --sign-key attestore.key
  attestore manifest import rclone list.txt --digest blake3 --out manifests/remote
  attestore manifest import s3-inventory lists/vault/daily/2026-01-31T00-00Z/manifest.json --out manifests/listed

Nothing but the list is read (of a bag also its tag files and the sizes of its payload): the manifest holds the digests that it states.")]
pub struct ImportArgs {
    /// The tool that wrote the list
    pub format: ImportFormat,
    /// The list, or the bag's directory
    pub file: PathBuf,
    /// The manifest's directory, which must not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The digest of an rclone list: blake3 or sha256
    #[arg(long, value_name = "NAME")]
    pub digest: Option<DigestSet>,
    /// The source that the list describes
    #[arg(long, value_name = "URL")]
    pub source: Option<SourceUrl>,
    /// How the list was made, as you declare: sealed, dual-path or first-restore
    #[arg(long, value_name = "MODE", default_value = "sealed")]
    pub mode: CaptureMode,
    /// When the list was made (RFC 3339) [default: when its file was last changed]
    #[arg(long, value_name = "TIME")]
    pub captured: Option<Timestamp>,
    /// Take this off the front of every name; a leading `./` goes by itself
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub strip_prefix: std::ffi::OsString,
    /// Put this before every name, after --strip-prefix: for a list that was made below a prefix of a bucket
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub add_prefix: String,
    /// Sign with this Ed25519 key (PKCS#8 PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub sign_key: Option<PathBuf>,
    /// The signer's name in the signature
    #[arg(long, value_name = "NAME", default_value = "attestore", requires = "sign_key")]
    pub signer: String,
    /// Sign with this configuration's key, and register the manifest in its testing log
    #[arg(long, value_name = "FILE", requires = "resource")]
    pub config: Option<PathBuf>,
    /// The configured resource that the manifest describes
    #[arg(long, value_name = "ID", requires = "config")]
    pub resource: Option<String>,
    /// The recovery point that the list was made for
    #[arg(long, value_name = "ID")]
    pub recovery_point: Option<String>,
}

/// Runs the command.
pub async fn run(args: ImportArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let list = list_of(&args)?;
    if !matches!(args.mode, CaptureMode::Sealed | CaptureMode::DualPath | CaptureMode::FirstRestore) {
        let said = format!("a list cannot be of the mode {}: nothing in it shows that", args.mode);
        return Err(Failure::invalid(said).hint("expected one of sealed, dual-path, first-restore").into());
    }
    let registration = match (&args.config, &args.resource) {
        (Some(config), Some(resource)) => Some(Registration::of(config, ResourceId(resource.clone()))?),
        _ => None,
    };
    let own_key = args.sign_key.as_deref().map(SigningKey::load).transpose()?;
    note::check_name(&args.signer).map_err(|error| Failure::invalid(format!("--signer: {error}")))?;
    let signer = match (&registration, &own_key) {
        (Some(registration), _) => Some((registration.loaded.config.log.origin.as_str(), &registration.key)),
        (None, own_key) => own_key.as_ref().map(|key| (args.signer.as_str(), key)),
    };
    let source = match (&args.source, args.format) {
        (Some(source), _) => source.to_string(),
        (None, ImportFormat::Bagit) => format!("dir:{}", args.file.join("data").display()),
        (None, ImportFormat::S3Inventory) => inventory_import::source_of(&Inventory::open(&args.file)?).to_string(),
        (None, _) => "unstated".to_owned(),
    };
    let request = ImportRequest {
        file: args.file.clone(),
        out: args.out.clone(),
        source,
        mode: args.mode,
        captured: args.captured,
        strip_prefix: args.strip_prefix.clone().into_vec(),
        add_prefix: args.add_prefix.clone(),
        recovery_point_id: args.recovery_point.as_deref().map(PointId::given).transpose().map_err(Failure::invalid)?,
    };
    let monitor: &dyn Monitor = console.as_ref();
    let header = match list {
        Some((format, digest)) => import::import_list(&request, format, digest, signer, monitor)?,
        None if args.format == ImportFormat::S3Inventory => inventory_import::import_inventory(&request, signer, monitor)?,
        None => bag_read::import_bag(&request, signer, monitor).await?,
    };
    let manifest = Manifest::open(&args.out)?;
    let entry = registration.as_ref().map(|registration| registration.register(&manifest)).transpose().map_err(|failure| {
        failure.context(format!("the manifest {} is written and signed, and not registered in the testing log", shown(&args.out)))
    })?;
    Ok(conclude(&manifest, &header, signer.map(|(name, _)| name), entry, console))
}

/// The format of a list and its digest; nothing for a bag and an inventory.
fn list_of(args: &ImportArgs) -> Result<Option<(ListFormat, DigestSet)>, Failure> {
    let format = match args.format {
        ImportFormat::Sha256sum => ListFormat::Sha256sum,
        ImportFormat::B3sum => ListFormat::B3sum,
        ImportFormat::Rclone => ListFormat::Rclone,
        ImportFormat::Bagit | ImportFormat::S3Inventory
            if args.digest.is_some() || !args.strip_prefix.is_empty() || !args.add_prefix.is_empty() =>
        {
            return Err(Failure::invalid(
                "--digest, --strip-prefix and --add-prefix are for lists: a bag and an inventory say by themselves what they hold",
            ));
        }
        ImportFormat::Bagit | ImportFormat::S3Inventory => return Ok(None),
    };
    match (format.digest(), args.digest) {
        (Some(own), asked) if asked.is_none_or(|asked| asked == own) => Ok(Some((format, own))),
        (Some(own), _) => Err(Failure::invalid(format!("a {} list holds {own}", format.as_str())).hint("leave --digest out")),
        (None, Some(asked)) if asked != DigestSet::BOTH => Ok(Some((format, asked))),
        (None, _) => Err(Failure::invalid("an rclone list does not say which digest it holds")
            .hint("name the one that `rclone hashsum` was asked for: `--digest blake3` or `--digest sha256`")),
    }
}

fn conclude(manifest: &Manifest, header: &Header, signer: Option<&str>, entry: Option<u64>, console: &Console) -> ExitCode {
    let unreadable = header.counts.get("unreadable").copied().unwrap_or(0);
    let (outcome, exit) = if unreadable == 0 { ("pass", ExitCode::Proven) } else { ("fail", ExitCode::Findings) };
    let signature = if signer.is_some() { SignatureState::Verified } else { SignatureState::Absent };
    let mut lines = vec![format!("manifest   {}", shown(manifest.dir()))];
    lines.extend(imported_line(header));
    lines.extend([
        format!("source     {}", header.source.escape_debug()),
        format!("holds      {}", totals(&header.counts)),
        format!("digest     {}", manifest.digest()),
        format!(
            "signed     {}",
            signer.map_or_else(|| "no: a drill accepts signed manifests only".to_owned(), |name| format!("by {name}"))
        ),
    ]);
    lines.extend(entry.map(|entry| format!("registered entry {entry} of the testing log")));
    console.answer(lines.join("\n"));
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("out".into(), json!(manifest.dir()));
    more.insert("source".into(), json!(header.source));
    more.insert("imported".into(), json!(header.imported));
    more.insert("root".into(), json!(header.root));
    more.insert("counts".into(), json!(header.counts));
    more.insert("manifest_signature".into(), json!(signature));
    more.insert("log_entry".into(), entry.map_or(Value::Null, |entry| json!(entry)));
    console.summary("manifest import", outcome, exit, more);
    exit
}

/// What an imported manifest rests on, for people.
pub fn imported_line(header: &Header) -> Option<String> {
    let imported = header.imported.as_ref()?;
    let (format, file, sha256) = (&imported.format, imported.file.escape_debug(), imported.sha256);
    let rests_on = if header.digests.is_empty() { "it holds no digests" } else { "its digests are as listed" };
    Some(format!("imported   {format} list {file}, sha256:{sha256}: {rests_on}, and no content was read"))
}
