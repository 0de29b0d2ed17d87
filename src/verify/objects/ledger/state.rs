//! What a ledger belongs to, its passes and its runs: one small JSON file, replaced whole.
//!
//! A pass is one round over everything: it lasts as many runs as it takes, and the run after its end begins the next.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::objects::filter::Filter;

const SCHEMA: &str = "attestore/reading-state/v1";

const FILE: &str = "state.json";

/// Runs that are remembered; of older ones only their readings stay.
const RUNS_KEPT: usize = 1000;

/// What is read, and for what: readings for one purpose do not count for another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// `verify` or `capture`.
    pub task: String,
    /// The source URL.
    pub source: String,
    /// The view, where the source has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// The manifest that is compared with, by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The digests that are computed.
    pub digests: Vec<String>,
    /// Patterns of the keys that alone are read or are left out, as they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
}

impl Purpose {
    /// The patterns of a filter as `scope` has them.
    pub fn scope_of(filter: &Filter) -> Vec<String> {
        let include = filter.include.iter().map(|pattern| format!("include {}", pattern.as_str()));
        include.chain(filter.exclude.iter().map(|pattern| format!("exclude {}", pattern.as_str()))).collect()
    }
}

/// The file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    schema: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The current pass, from 1.
    pub pass: u32,
    /// When it began.
    pub pass_started: Timestamp,
    /// Whether it has covered everything.
    pub complete: bool,
    /// The runs, oldest first.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Of which pass.
    pub pass: u32,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; absent where it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Objects that it read.
    pub objects_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
    /// Objects that earlier runs had read.
    pub objects_recalled: u64,
    /// Their bytes.
    pub bytes_recalled: u64,
    /// Whether it reached the end of the source with everything read.
    pub complete: bool,
}

impl State {
    /// The state in `dir`; nothing where there is none yet.
    pub fn load(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(format!("cannot read {}", path.display()), error)),
        };
        let hint = "name the directory that an earlier run was given with --state, or a new one";
        let state: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::invalid(format!("{} is no reading state: {error}", path.display())).hint(hint))?;
        if state.schema != SCHEMA {
            return Err(Failure::invalid(format!("{}: expected the schema {SCHEMA}, found {}", path.display(), state.schema)).hint(hint));
        }
        Ok(Some(state))
    }

    /// Begins a run for `purpose`: in the pass that is not complete, or in a new one.
    pub fn begin(before: Option<Self>, purpose: Purpose, dir: &Path) -> Result<Self, Failure> {
        let now = Timestamp::now();
        let mut state = match before {
            None => Self { schema: SCHEMA.into(), purpose, pass: 1, pass_started: now, complete: false, runs: Vec::new() },
            Some(state) if state.purpose == purpose => state,
            Some(state) => return Err(differs(dir, &state.purpose, &purpose)),
        };
        if state.complete {
            (state.pass, state.pass_started, state.complete) = (state.pass + 1, now, false);
        }
        let pass = state.pass;
        state.runs.push(Run {
            pass,
            started: now,
            ended: None,
            objects_read: 0,
            bytes_read: 0,
            objects_recalled: 0,
            bytes_recalled: 0,
            complete: false,
        });
        let surplus = state.runs.len().saturating_sub(RUNS_KEPT);
        state.runs.drain(..surplus);
        Ok(state)
    }

    /// The current run.
    pub fn run(&mut self) -> &mut Run {
        self.runs.last_mut().expect("a state that was begun has a run")
    }

    /// Replaces the file in `dir`.
    pub fn save(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            file.write_all(&serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
    }
}

fn differs(dir: &Path, kept: &Purpose, asked: &Purpose) -> Failure {
    let one = |what: &str, kept: &str, asked: &str| {
        let what = format!("the reading state {} is for another {what}: expected {asked}, found {kept}", dir.display());
        Failure::new(FailureKind::Invalid, what)
            .hint("each task, source, manifest and set of digests has a directory of its own: name a new one with --state")
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
    if kept.task != asked.task {
        one("task", &kept.task, &asked.task)
    } else if kept.source != asked.source {
        one("source", &kept.source, &asked.source)
    } else if kept.manifest != asked.manifest {
        one("manifest", &text(&kept.manifest), &text(&asked.manifest))
    } else if kept.view != asked.view {
        one("view", &text(&kept.view), &text(&asked.view))
    } else if kept.scope != asked.scope {
        one("selection of keys", &kept.scope.join(", "), &asked.scope.join(", "))
    } else {
        one("set of digests", &kept.digests.join(","), &asked.digests.join(","))
    }
}
