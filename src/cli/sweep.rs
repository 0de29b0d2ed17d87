//! `attestore sweep`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::{drill, scorecard, session, words};
use crate::drill::context::{WORK, journal_path, prefix};
use crate::estate::config::Config;
use crate::estate::load;
use crate::model::exit::ExitCode;
use crate::restore::journal::Journal;
use crate::restore::sweep::{Field, Swept, sweep};
use crate::signing::keys::SigningKey;
use crate::testing_log::writer::LogWriter;

/// Arguments of `sweep`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  attestore sweep --config attestore.toml\n  attestore sweep --apply\n\nWithout --apply nothing is deleted. What this \
                        journal does not know is listed and never touched. Exit code 6: something is left behind."
)]
pub struct SweepArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "attestore.toml", env = "ATTESTORE_CONFIG")]
    pub config: PathBuf,
    /// Delete what the teardown rule allows
    #[arg(long)]
    pub apply: bool,
    /// With --apply: how long each deletion, and the end of a restore job, is waited for
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = drill::span)]
    pub teardown_deadline: u64,
}

/// Runs the command.
pub async fn run(args: SweepArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let loaded = load::load(&args.config)?;
    let config = &loaded.config;
    // The log's lock keeps a sweep from taking down what a running drill has just restored.
    let _lock = match args.apply {
        true => Some(LogWriter::open(&config.log.path, SigningKey::load(&config.keys.signing)?)?),
        false => None,
    };
    let journal = Journal::open(&journal_path(&loaded))?;
    for drill in journal.state().unfinished() {
        let id = &drill.opened.drill;
        console.say(format!("drill {id} is not finished: `attestore drill --resume {id}` would go on with what stands"));
    }
    let reach = session::open(&loaded).await?;
    let work = loaded.base().join(WORK);
    let regions = regions(config);
    let manifests = config.manifest_directories();
    let (clouds, prefix) = (&reach.clouds, prefix(config));
    let field = Field { journal: &journal, clouds, work: &work, prefix, regions: &regions, manifests: &manifests };
    let swept = sweep(&field, args.apply.then_some(args.teardown_deadline), console.as_ref()).await;
    reach.close().await;
    let swept = swept?;
    tell(&swept, args.apply, console);
    let code = swept.unlisted.iter().map(|failure| scorecard::of_kind(failure.kind)).fold(ExitCode::Proven, ExitCode::and);
    let code = if swept.standing.is_empty() { code } else { code.and(ExitCode::LeftBehind) };
    let mut more = Map::new();
    more.insert("left_behind".into(), json!(swept.standing.len()));
    more.insert("removed".into(), json!(swept.removed.len()));
    more.insert("applied".into(), json!(args.apply));
    console.summary("sweep", if code == ExitCode::Proven { "pass" } else { "fail" }, code, more);
    Ok(code)
}

fn regions(config: &Config) -> Vec<Option<String>> {
    let own = config.aws.as_ref().map(|aws| aws.region.clone());
    let named = config.resource.iter().flat_map(|resource| &resource.points).filter_map(|points| points.region.clone());
    let others: BTreeSet<String> = named.filter(|region| Some(region) != own.as_ref()).collect();
    // The session's own Region first, unnamed: it is where the account's buckets are listed.
    std::iter::once(None).chain(others.into_iter().map(Some)).collect()
}

fn tell(swept: &Swept, applied: bool, console: &Console) {
    for arn in &swept.removed {
        console.answer(format!("removed: {arn}"));
        console.object(&json!({"event": "removed", "arn": arn}));
    }
    for one in &swept.standing {
        let created = one.created_at.map_or_else(String::new, |at| format!(", created {at}"));
        console.answer(format!("left behind: {}{created}: {}", words::said(&one.arn), words::said(&one.about)));
        console.object(&json!({"event": "leftover", "arn": one.arn, "case": one.case, "created_at": one.created_at,
            "about": one.about, "deletable": one.deletable}));
    }
    for failure in &swept.unlisted {
        console.failure(failure);
    }
    if swept.standing.is_empty() && swept.removed.is_empty() {
        console.answer("nothing is left behind");
    } else if !applied && swept.standing.iter().any(|one| one.deletable) {
        console.say("nothing was deleted; `attestore sweep --apply` removes what may be deleted");
    }
}
