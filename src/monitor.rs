//! Events upward: progress, findings and failures that do not end the run, on one small trait.
//!
//! Not here: how they are shown. The command line prints them, a drill counts them, a test collects them.

use std::sync::Mutex;

use crate::model::failure::Failure;
use crate::model::finding::Finding;

/// One thing worth telling while work goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A piece of work begins; `total` in the work's own unit where it is known.
    Started {
        /// Short and stable, such as `reading s3://vault`.
        task: &'a str,
        /// `objects`, `bytes`, `rows`, `items`, `steps`.
        unit: &'static str,
        /// How many there will be, where that is known.
        total: Option<u64>,
    },
    /// The task will read about so many bytes: what remains is then told by them.
    Expects {
        /// As in `Started`.
        task: &'a str,
        /// In all.
        bytes: u64,
    },
    /// So much more of the task is done.
    Advanced {
        /// As in `Started`.
        task: &'a str,
        /// In the task's unit, since the last event.
        by: u64,
        /// Bytes read since the last event.
        bytes: u64,
    },
    /// The task is over.
    Finished {
        /// As in `Started`.
        task: &'a str,
    },
    /// A difference was found.
    Finding(&'a Finding),
    /// Something could not be read while a manifest was captured, for this reason; its finding comes beside.
    Unread(&'a Failure),
    /// Something failed and the work goes on with the next thing.
    Problem(&'a Failure),
    /// A sentence for a person who watches.
    Note(&'a str),
}

/// Takes events; called from many tasks at once.
pub trait Monitor: Send + Sync {
    /// Must not block for long.
    fn event(&self, event: Event<'_>);

    /// True once the user has asked to stop: work ends at the next safe place with [`crate::model::failure::FailureKind::Interrupted`].
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// Keeps findings and the messages of problems, for tests and for small comparisons.
#[derive(Debug, Default)]
pub struct Collected {
    findings: Mutex<Vec<Finding>>,
    problems: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

impl Collected {
    /// The findings so far, in order of arrival.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().expect("no panic while held").clone()
    }

    /// The messages of the problems so far.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().expect("no panic while held").clone()
    }

    /// What was said, so far.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("no panic while held").clone()
    }
}

impl Monitor for Collected {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Finding(finding) => self.findings.lock().expect("no panic while held").push(finding.clone()),
            Event::Problem(failure) => self.problems.lock().expect("no panic while held").push(failure.to_string()),
            Event::Note(note) => self.notes.lock().expect("no panic while held").push(note.to_string()),
            _ => {}
        }
    }
}
