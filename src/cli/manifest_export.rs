//! `attestore manifest export`: a manifest as a checksum list of another tool, or with its files as a bag

use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::source::shown;
use crate::cli::words::bytes_text;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::monitor::Monitor;
use crate::verify::manifest::exchange::export::{self, Exported};
use crate::verify::manifest::exchange::lines::ListFormat;
use crate::verify::manifest::exchange::{bag_write, batch};
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::DigestSet;

/// Whose format it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ExportFormat {
    /// For sha256sum --check
    Sha256sum,
    /// For b3sum --check
    B3sum,
    /// For rclone checksum
    Rclone,
    /// A BagIt 1.0 bag with the files of --payload
    Bagit,
    /// Bucket, key and version of every object, as S3 Batch Operations takes them
    S3Batch,
}

/// Arguments of `manifest export`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  attestore manifest export manifests/vault --format b3sum | (cd /mnt/restored && b3sum --check)
  attestore manifest export manifests/vault --format bagit --payload /mnt/restored --out bags/vault
  attestore manifest export manifests/vault --format s3-batch --out compute-checksum.csv

A list of digests has a line for the newest version of each object and for nothing else; what it leaves out is counted, and the exit code is 3
unless --partial says that this is meant.")]
pub struct ExportArgs {
    /// The manifest's directory
    pub manifest: PathBuf,
    /// The format
    #[arg(long)]
    pub format: ExportFormat,
    /// The file, or the bag's directory, which must not exist [default for lists: stdout]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// The digest of an rclone list: blake3 or sha256
    #[arg(long, value_name = "NAME")]
    pub digest: Option<DigestSet>,
    /// Put this before every name of a list
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub prefix: std::ffi::OsString,
    /// The directory whose files go into the bag
    #[arg(long, value_name = "DIR")]
    pub payload: Option<PathBuf>,
    /// Older versions, delete markers, links and objects without the digest may be left out
    #[arg(long)]
    pub partial: bool,
}

/// Runs the command.
pub fn run(args: &ExportArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::open(&args.manifest)?;
    if manifest.header().kind != ManifestKind::Objects {
        let kind = manifest.header().kind.as_str();
        return Err(Failure::invalid(format!("manifest {} is of kind {kind}: only objects have lists", shown(&args.manifest))).into());
    }
    manifest.check_parts()?;
    let format = match args.format {
        ExportFormat::Sha256sum => ListFormat::Sha256sum,
        ExportFormat::B3sum => ListFormat::B3sum,
        ExportFormat::Rclone => ListFormat::Rclone,
        ExportFormat::Bagit => return bag(args, &manifest, console),
        ExportFormat::S3Batch => return batch(args, &manifest, console),
    };
    if args.payload.is_some() {
        return Err(Failure::invalid("--payload is for --format bagit: a list holds no files").into());
    }
    let digest = digest_of(format, args.digest, &manifest)?;
    let monitor: &dyn Monitor = console.as_ref();
    let prefix = args.prefix.clone().into_vec();
    let exported = written(args, console, |out| export::export_list(&manifest, format, digest, &prefix, out, monitor))?;
    Ok(conclude(args, &manifest, &exported, exported.is_whole(), console))
}

/// What `write` writes, to the file that was named or to stdout.
fn written(
    args: &ExportArgs,
    console: &Console,
    write: impl FnOnce(&mut dyn Write) -> Result<Exported, Failure>,
) -> Result<Exported, Failure> {
    match &args.out {
        Some(path) => {
            let file = std::fs::File::create_new(path).map_err(|error| Failure::io(format!("cannot create {}", shown(path)), error))?;
            write(&mut std::io::BufWriter::new(file))
        }
        None if console.is_json() => Err(Failure::invalid("with --json the list needs a file of its own").hint("name it with --out")),
        None => write(&mut std::io::BufWriter::new(std::io::stdout().lock())),
    }
}

/// The list for a batch job. Delete markers have nothing that could be read, so it is whole without them.
fn batch(args: &ExportArgs, manifest: &Manifest, console: &Console) -> anyhow::Result<ExitCode> {
    if args.digest.is_some() || !args.prefix.is_empty() || args.payload.is_some() {
        return Err(Failure::invalid(
            "--digest, --prefix and --payload are for other formats: a batch list holds buckets, keys and versions",
        )
        .into());
    }
    let exported = written(args, console, |out| batch::export_batch(manifest, out))?;
    Ok(conclude(args, manifest, &exported, exported.symlinks == 0, console))
}

/// The one digest of the list, which the manifest must have.
fn digest_of(format: ListFormat, asked: Option<DigestSet>, manifest: &Manifest) -> Result<DigestSet, Failure> {
    let digest = match (format.digest(), asked) {
        (Some(own), asked) if asked.is_none_or(|asked| asked == own) => own,
        (None, Some(asked)) if asked != DigestSet::BOTH => asked,
        (Some(own), _) => return Err(Failure::invalid(format!("a {} list holds {own}", format.as_str())).hint("leave --digest out")),
        (None, _) => {
            return Err(Failure::invalid("an rclone list holds one digest").hint("name it: `--digest blake3` or `--digest sha256`"));
        }
    };
    let has = DigestSet::among(&manifest.header().digests);
    if (digest.blake3 && has.blake3) || (digest.sha256 && has.sha256) {
        return Ok(digest);
    }
    let said = format!("manifest {} carries {}, and the list needs {digest}", shown(manifest.dir()), manifest.header().digests.join(","));
    Err(Failure::invalid(said).hint("export in the format of a digest that it has, or capture it again with the other one"))
}

fn conclude(args: &ExportArgs, manifest: &Manifest, exported: &Exported, is_whole: bool, console: &Console) -> ExitCode {
    let whole = is_whole || args.partial;
    let exit = if exported.lines > 0 && whole { ExitCode::Proven } else { ExitCode::Incomplete };
    console.say(format!("{} lines of {}", exported.lines, shown(manifest.dir())));
    for (name, n) in exported.left_out() {
        console.say(format!("left out: {n} {}", name.replace('_', " ")));
    }
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("manifest_signature".into(), json!(manifest.signature(None)));
    more.insert("out".into(), json!(args.out));
    more.insert("lines".into(), json!(exported.lines));
    more.insert("left_out".into(), exported.left_out().into_iter().map(|(name, n)| (name.to_owned(), json!(n))).collect());
    console.summary("manifest export", if exit == ExitCode::Proven { "pass" } else { "inconclusive" }, exit, more);
    exit
}

fn bag(args: &ExportArgs, manifest: &Manifest, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let (Some(payload), Some(out)) = (&args.payload, &args.out) else {
        return Err(Failure::invalid("a bag holds files: name where they are with --payload, and the new bag with --out").into());
    };
    if args.digest.is_some() || !args.prefix.is_empty() {
        return Err(Failure::invalid("--digest and --prefix are for lists: a bag's manifest is SHA-256 over data/").into());
    }
    let bagged = bag_write::write_bag(manifest, payload, out, console.as_ref())?;
    let (outcome, exit) = match (bagged.refused, bagged.files, bagged.older_versions) {
        (0, 0, _) => ("inconclusive", ExitCode::Incomplete),
        (0, _, older) if older > 0 && !args.partial => ("inconclusive", ExitCode::Incomplete),
        (0, _, _) => ("pass", ExitCode::Proven),
        _ => ("fail", ExitCode::Findings),
    };
    console.answer(if bagged.refused == 0 {
        format!("{}: {} files, {}", shown(out), bagged.files, bytes_text(bagged.bytes))
    } else {
        format!("{} files are not what the manifest says: no bag was written", bagged.refused)
    });
    let mut more = Map::new();
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("manifest_signature".into(), json!(manifest.signature(None)));
    more.insert("out".into(), json!(out));
    more.insert("files".into(), json!(bagged.files));
    more.insert("bytes".into(), json!(bagged.bytes));
    more.insert("refused".into(), json!(bagged.refused));
    more.insert("older_versions".into(), json!(bagged.older_versions));
    console.summary("manifest export", outcome, exit, more);
    Ok(exit)
}
