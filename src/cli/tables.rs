//! What may be said of the tables of a database on the command line, and `verify A --against B`.

use std::sync::Arc;

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::source::Means;
use crate::cli::verify_words::{evidence_lines, evidence_summary, rows_read};
use crate::cli::words::bytes_text;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::outcome::Outcome;
use crate::model::source_url::SourceUrl;
use crate::model::verification::Verification;
use crate::monitor::Monitor;
use crate::signing::hash_key::HashKey;
use crate::verify::manifest::request::{DEFAULT_SIDECAR_MAX_ROWS, Leaves, Sidecar, TableRequest};
use crate::verify::sql::compare::dual::{self, Declared, Side};
use crate::verify::sql::declared;
use crate::verify::sql::grants;

/// Of tables, at capture.
#[derive(Args, Debug)]
pub struct TableArgs {
    /// Tables: digest rows by their logical types, so that another engine may hold the restored data
    #[arg(long)]
    pub logical: bool,
    /// Tables: a logical type that differs from what the column declares; may be repeated
    #[arg(long = "type", value_name = "TABLE.COLUMN=TYPE", requires = "logical")]
    pub types: Vec<String>,
    /// Tables: only rows up to the greatest value, or VALUE, of a column that only grows, a text by its bytes (mode append-prefix)
    #[arg(long, value_name = "COLUMN[=VALUE]")]
    pub watermark: Option<String>,
    /// Tables: only this table or partition, which nothing is written to any more (mode append-prefix); may be repeated
    #[arg(long, value_name = "TABLE[.PARTITION]", conflicts_with = "watermark")]
    pub closed: Vec<String>,
    /// Tables: the column with the time of a row's last change, which bounded modes consult; without a time zone it is read as UTC
    #[arg(long, value_name = "COLUMN")]
    pub stamp: Option<String>,
    /// Tables: how long a transaction may take until its stamps are seen, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub longest_transaction: u64,
    /// Tables: what leaves are made of; `ranges` name a range of keys where a table's key has an order, and hold keys in the clear
    #[arg(long, value_name = "buckets|sums|ranges")]
    pub leaves: Option<Leaves>,
    /// Tables: what is kept of each row: `hashes` of it [default]; `keys` too, in the clear, so that a missing row is named; `columns`: a short
    /// keyed hash of each column beside them, so that the columns that differ are named
    #[arg(long, value_name = "hashes|keys|columns")]
    pub sidecar: Option<Sidecar>,
    /// Tables: above so many rows a table has sums for leaves and no row sidecar: memory and manifest stay small, and a difference names
    /// its bucket only
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SIDECAR_MAX_ROWS)]
    pub sidecar_rows: u64,
}

impl TableArgs {
    /// As a capture is asked.
    pub fn request(self) -> TableRequest {
        TableRequest {
            logical: self.logical,
            types: self.types,
            watermark: self.watermark,
            closed: self.closed,
            stamp: self.stamp,
            longest_transaction_s: self.longest_transaction,
            leaves: self.leaves.unwrap_or_default(),
            sidecar: self.sidecar.unwrap_or_default(),
        }
    }
}

/// Prints the statements that give `user` the rights that reading `url` needs.
pub async fn show_grants(url: &SourceUrl, user: &str, means: &Means, console: &Console) -> Result<ExitCode, Failure> {
    let grants = grants::needed(url, &means.access(), user).await?;
    console.answer(grants.statements.join("\n"));
    let mut more = Map::new();
    more.insert("grants".into(), json!(grants.statements));
    more.insert("connected".into(), json!(grants.not_asked.is_none()));
    let (outcome, exit) = match &grants.not_asked {
        None => (Outcome::Pass, ExitCode::Proven),
        // The statements stand, and whether this database needs more is not known.
        Some(failure) => {
            console.failure(failure);
            more.insert("error".into(), json!({"kind": failure.kind.as_str(), "message": failure.message}));
            (Outcome::Inconclusive, failure.kind.exit_code())
        }
    };
    console.summary("manifest create", outcome.as_str(), exit, more);
    Ok(exit)
}

/// Compares two live databases; both are read with the same user and password of the environment, or those of their URLs.
pub async fn against(
    checked: &SourceUrl,
    baseline: &SourceUrl,
    (logical, types): (bool, &[String]),
    means: &Means,
    console: &Arc<Console>,
) -> Result<ExitCode, Failure> {
    let hash_key = match &means.hash_key {
        Some(path) => HashKey::load(path)?,
        // Nothing is kept of such a comparison, so that a key of the moment does.
        None => momentary()?,
    };
    let declared: Option<Declared> =
        logical.then(|| types.iter().map(|text| declared::declaration(text)).collect::<Result<_, _>>()).transpose()?;
    let access = means.access();
    let monitor: &dyn Monitor = console.as_ref();
    let side = |url| Side { url, access: &access };
    let result = dual::against(side(checked), side(baseline), &hash_key, declared.as_ref(), monitor).await?;
    Ok(conclude(checked, baseline, &result, console))
}

fn momentary() -> Result<HashKey, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(FailureKind::Disk, format!("the system's random source does not answer: {error}")))?;
    Ok(HashKey::from_bytes(bytes))
}

fn conclude(checked: &SourceUrl, baseline: &SourceUrl, result: &Verification, console: &Console) -> ExitCode {
    let (outcome, reasons) = result.outcome(0);
    let mut exit = ExitCode::of_outcome(outcome);
    if let Some(failure) = &result.cut_short {
        console.failure(failure);
        exit = exit.and(failure.kind.exit_code());
    }
    exit = result.unread.keys().fold(exit, |exit, kind| exit.and(kind.exit_code()));
    let mut lines = vec![
        format!("source     {checked}"),
        format!("against    {baseline}"),
        format!("mode       {}: {}", result.mode, result.mode.proves()),
    ];
    let mut more = Map::new();
    more.insert("source".into(), json!(checked.to_string()));
    more.insert("against".into(), json!(baseline.to_string()));
    more.insert("mode".into(), json!(result.mode));
    for (name, counts) in result.counts() {
        let mut line = format!("{name:<10} {} expected, {} equal", counts.expected, counts.matched);
        for (class, n) in counts.by_class().into_iter().filter(|(class, n)| *n > 0 && class.as_str() != "match") {
            line += &format!(", {n} {class}");
        }
        lines.push(line);
        more.insert(name.into(), json!(counts));
    }
    evidence_summary(result, &mut more);
    evidence_lines(result, &mut lines);
    lines.push(format!("read       {}{} in {:.1} s", rows_read(result), bytes_text(result.bytes_checked), result.duration.as_secs_f64()));
    let because = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    lines.push(format!("result     {}{because}", outcome.as_str().to_uppercase()));
    console.answer(lines.join("\n"));
    more.insert("reasons".into(), json!(reasons));
    console.summary("verify", outcome.as_str(), exit, more);
    exit
}
