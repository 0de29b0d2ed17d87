//! `attestore verify`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::coverage;
use crate::cli::effort::EffortArgs;
use crate::cli::object_args::{ObjectArgs, refuse_first};
use crate::cli::scan_args::ScanArgs;
use crate::cli::source::{self, Means, shown};
use crate::cli::tables;
use crate::cli::verify_replica;
use crate::cli::verify_words::{evidence_lines, evidence_summary, rows_read};
use crate::cli::words::bytes_text;
use crate::estate::load;
use crate::model::clock::Timestamp;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::outcome::Outcome;
use crate::model::source_url::SourceUrl;
use crate::model::verification::{SignatureState, Verification};
use crate::monitor::Monitor;
use crate::signing::keys::VerifyingKey;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::{DigestSet, ReadOptions};
use crate::verify::objects::replica::ReplicaOptions;

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  attestore verify dir:/mnt/restored --manifest manifests/vault-2026-01-31 --key log.pub.pem
  attestore verify s3://vault-restored --manifest manifests/vault --view latest --json
  attestore verify s3://vault --manifest manifests/vault --state state/vault --time-limit 2h
  attestore verify s3://vault --manifest manifests/vault --tier attributes --include 'invoices/**'
  attestore verify s3://vault --against s3://vault-replica --against-region eu-central-1
  attestore verify s3://vault-restored --manifest manifests/vault --view at=2026-01-31T02:00:00Z
  attestore verify postgres://reader@restored/crm --against postgres://reader@copy/crm
  attestore verify postgres://reader@restored/crm --manifest manifests/crm --changes changes.jsonl --restored-to 2026-01-31T02:00:00Z

Exit codes: 0 proven, 1 differences or a bad signature, 2 usage, 3 nothing to compare or stopped, 4 denied or absent, 5 network or disk")]
pub struct VerifyArgs {
    /// s3://BUCKET[/PREFIX], dynamodb:TABLE, dynamodb-export:s3://…, postgres://…, mysql://…, sqlite:PATH or dir:PATH
    pub source: SourceUrl,
    /// The manifest's directory
    #[arg(long, value_name = "DIR", required_unless_present = "against")]
    pub manifest: Option<PathBuf>,
    /// Something live instead of a manifest: a bucket's replica, version by version; or another restore or copy of a database
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["manifest", "key", "digest"])]
    pub against: Option<SourceUrl>,
    /// The replica's Region, where it is another
    #[arg(long, value_name = "REGION", requires = "against")]
    pub against_region: Option<String>,
    /// How long replication may take: what is younger and not there is undecided
    #[arg(long, value_name = "SECONDS", requires = "against", default_value_t = 900, value_parser = clap::value_parser!(i64).range(0..))]
    pub replication_time: i64,
    /// The replica is not given delete markers: they are not compared
    #[arg(long, requires = "against")]
    pub without_delete_markers: bool,
    /// Two databases: compare rows by their logical types, as two engines need
    #[arg(long, requires = "against")]
    pub logical: bool,
    /// With --logical: a logical type that differs from what the columns declare; may be repeated
    #[arg(long = "type", value_name = "TABLE.COLUMN=TYPE", requires = "logical")]
    pub types: Vec<String>,
    /// Sessions that read one table at once, where the engine lets them share a snapshot [default: one a core, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub lanes: Option<u8>,
    /// The public key that must have signed the manifest (SPKI PEM); without it the signature is not checked
    #[arg(long, value_name = "PEM")]
    pub key: Option<PathBuf>,
    /// Compute only these of the manifest's digests [default: all of them]
    #[arg(long, value_name = "LIST")]
    pub digest: Option<DigestSet>,
    /// The key that rows and items were digested with
    #[arg(long, value_name = "FILE")]
    pub hash_key: Option<PathBuf>,
    /// CA bundle for TLS to a database
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    #[command(flatten)]
    pub objects: ObjectArgs,
    /// Take the hash key and how AWS is reached from this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// So many rows, objects or items may stay undecided; more of them are a failure
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub indeterminate_budget: u64,
    /// Read nothing: show what the runs with this --state have covered, and when
    #[arg(long, requires = "state")]
    pub coverage: bool,
    /// Databases: the time that was restored to, such as 2026-01-31T02:00:00Z; later changes are not its own [default: now]
    #[arg(long, value_name = "TIME")]
    pub restored_to: Option<Timestamp>,
    /// How a DynamoDB table is scanned
    #[command(flatten)]
    pub scan: ScanArgs,
    /// How objects are read
    #[command(flatten)]
    pub effort: EffortArgs,
}

/// Runs the command.
pub async fn run(args: VerifyArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let key = args.key.as_deref().map(VerifyingKey::load_pem).transpose()?;
    refuse_of_objects(&args)?;
    let (thaw, customer_keys) = (args.objects.thaw(), args.objects.customer_keys()?);
    let filter = args.objects.filter()?;
    let mut means = Means {
        view: args.objects.view,
        hash_key: args.hash_key,
        tls_ca: args.tls_ca,
        thaw,
        customer_keys,
        scan: args.scan,
        restored_to: args.restored_to,
        keys: args.objects.keys(),
        ..Means::default()
    };
    if let Some(config) = &args.config {
        means.complete_from(&load::load(config)?.config);
    }
    means.limits.lanes = args.lanes.map_or(means.limits.lanes, usize::from);
    if let Some(against) = &args.against {
        let given = [(means.scan.changes.is_some(), "--changes"), (means.restored_to.is_some(), "--restored-to")];
        if let Some((_, name)) = given.into_iter().find(|(given, _)| *given) {
            let said = format!("{name} says what lies between a manifest and a restore, and two live sources are compared");
            return Err(Failure::invalid(said).hint(format!("leave {name} out")).into());
        }
        if !matches!(args.source, SourceUrl::S3 { .. }) {
            if args.effort.state.is_some() {
                let said = "--state: two databases are compared in one go, and nothing is kept of it";
                return Err(Failure::invalid(said).hint("leave --state out").into());
            }
            return Ok(tables::against(&args.source, against, (args.logical, &args.types), &means, console).await?);
        }
        let options = ReplicaOptions {
            tier: args.objects.tier.unwrap_or_default(),
            fields: args.objects.compare,
            filter,
            without_markers: args.without_delete_markers,
            tolerance_s: args.replication_time,
            effort: args.effort.effort(),
        };
        return verify_replica::run(&args.source, against, args.against_region.as_deref(), &means, &options, console).await;
    }
    let manifest = Manifest::open(&args.manifest.unwrap_or_default())?;
    let signature = manifest.signature(key.as_ref());
    if let Some(failure) = refusal(&manifest, signature, key.is_some()) {
        return Ok(refuse(&failure, signature, console));
    }
    manifest.check_parts()?;
    if let Some(state) = args.effort.state.as_deref().filter(|_| args.coverage) {
        return coverage::show(state, &manifest, console);
    }
    let (tier, compare) = (args.objects.tier, args.objects.compare);
    let options = ReadOptions { digests: args.digest, tier, compare, filter, effort: args.effort.effort(), ..ReadOptions::default() };
    let monitor: &dyn Monitor = console.as_ref();
    let result = source::compare(&args.source, &manifest, &means, options, monitor).await?;
    Ok(conclude(&args.source, &manifest, signature, (&result, args.indeterminate_budget), console))
}

/// Whether the signature forbids any conclusion. Who names a key asks for a signature: one that was stripped is as bad as one that
/// does not hold.
fn refusal(manifest: &Manifest, signature: SignatureState, key_given: bool) -> Option<Failure> {
    let what = format!("manifest {}", shown(manifest.dir()));
    let said = match signature {
        SignatureState::Bad if key_given => {
            format!("{what}: its signature does not hold for the key given: changed, or signed by another key")
        }
        SignatureState::Bad => format!("{what}: its signature is not for this manifest.json: one of them was changed"),
        // Not bad evidence but none: nobody vouches for what would be compared with, so that equality would prove nothing.
        SignatureState::Absent if key_given => {
            let said = format!("{what}: expected a signature by the key given, found none: equality with it would prove nothing");
            let hint = "nothing was read; fetch manifest.sig from where the manifest is kept, or capture it again with --sign-key; \
                        without --key it is compared as it is";
            return Some(Failure::new(FailureKind::Remote, said).hint(hint));
        }
        _ => return None,
    };
    Some(Failure::new(FailureKind::BadEvidence, said).hint("nothing was read; fetch the manifest again from where it is kept"))
}

/// Options about objects, for a source that has none.
fn refuse_of_objects(args: &VerifyArgs) -> Result<(), Failure> {
    args.objects.refuse(&args.source)?;
    args.effort.refuse(&args.source)?;
    let is_database = matches!(args.source, SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. });
    refuse_first(&args.source, "is no database", &[(args.restored_to.is_some() && !is_database, "--restored-to")])?;
    if matches!(args.source, SourceUrl::Dir { .. } | SourceUrl::S3 { .. }) {
        return Ok(());
    }
    let given = [
        (args.digest.is_some(), "--digest"),
        (args.without_delete_markers, "--without-delete-markers"),
        (args.against_region.is_some(), "--against-region"),
    ];
    refuse_first(&args.source, "has no objects", &given)
}

fn refuse(failure: &Failure, signature: SignatureState, console: &Console) -> ExitCode {
    console.failure(failure);
    let exit = failure.kind.exit_code();
    let mut more = Map::new();
    more.insert("manifest_signature".into(), json!(signature));
    more.insert("error".into(), json!({"kind": failure.kind.as_str(), "message": failure.message}));
    let outcome = if failure.kind == FailureKind::BadEvidence { Outcome::Fail } else { Outcome::Inconclusive };
    console.summary("verify", outcome.as_str(), exit, more);
    exit
}

/// The scoreboard, the summary and the exit code.
fn conclude(
    url: &SourceUrl,
    manifest: &Manifest,
    signature: SignatureState,
    (result, budget): (&Verification, u64),
    console: &Console,
) -> ExitCode {
    let (outcome, reasons) = result.outcome(budget);
    let mut exit = ExitCode::of_outcome(outcome);
    if let Some(failure) = &result.cut_short {
        console.failure(failure);
        exit = exit.and(failure.kind.exit_code());
    }
    exit = result.unread.keys().fold(exit, |exit, kind| exit.and(kind.exit_code()));
    console.answer(scoreboard(url, manifest, signature, result, outcome, &reasons));
    let mut more = Map::new();
    more.insert("source".into(), json!(url.to_string()));
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("manifest_signature".into(), json!(signature));
    more.insert("mode".into(), json!(result.mode));
    for (name, counts) in result.counts() {
        more.insert(name.into(), json!(counts));
    }
    if result.expired > 0 {
        more.insert("expired".into(), json!(result.expired));
    }
    evidence_summary(result, &mut more);
    more.insert("bytes_checked".into(), json!(result.bytes_checked));
    more.insert("duration_ms".into(), json!(u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX)));
    if let Some(progress) = &result.progress {
        more.insert("progress".into(), json!(progress));
    }
    more.insert("reasons".into(), json!(reasons));
    console.summary("verify", outcome.as_str(), exit, more);
    exit
}

fn scoreboard(
    url: &SourceUrl,
    manifest: &Manifest,
    signature: SignatureState,
    result: &Verification,
    outcome: Outcome,
    reasons: &[String],
) -> String {
    let signed = match signature {
        SignatureState::Verified => "verified",
        SignatureState::Unverified => "unverified: signed, and no --key was given to check it with",
        SignatureState::Absent => "absent: nobody has signed this manifest",
        SignatureState::Bad => "bad",
    };
    let mut lines = vec![
        format!("source     {url}"),
        format!("manifest   {}", shown(manifest.dir())),
        format!("signature  {signed}"),
        format!("mode       {}: {}", result.mode, result.mode.proves()),
    ];
    for (name, counts) in result.counts() {
        let known = manifest.header().counts.get(name).copied().unwrap_or(0);
        let mut line = match &result.cut_short {
            // What was not looked at is in none of the counts.
            Some(_) if known > counts.expected => {
                format!("{name:<10} {known} expected, {} of them looked at, {} equal", counts.expected, counts.matched)
            }
            _ => format!("{name:<10} {} expected, {} equal", counts.expected, counts.matched),
        };
        for (class, n) in counts.by_class().into_iter().filter(|(class, n)| *n > 0 && class.as_str() != "match") {
            line += &format!(", {n} {class}");
        }
        lines.push(line);
    }
    if result.expired > 0 {
        lines.push(format!("expired    {} of them gone after the end of their time to live, as the manifest states it", result.expired));
    }
    evidence_lines(result, &mut lines);
    let seconds = result.duration.as_secs_f64();
    lines.push(format!("read       {}{} in {seconds:.1} s", rows_read(result), bytes_text(result.bytes_checked)));
    if let Some(progress) = &result.progress {
        lines.push(format!("pass       {}", coverage::pass_text(progress)));
    }
    let because = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    lines.push(format!("result     {}{because}", outcome.as_str().to_uppercase()));
    lines.join("\n")
}
