//! The terminal and the machine-readable stream: the one place that prints.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::monitor::{Event, Monitor};

/// Findings that people are shown one by one; a table that differs in every row would bury all else that was said.
const FINDINGS_SHOWN: u64 = 100;

/// Prints for people on stderr and, with `--json`, one object a line on stdout.
pub struct Console {
    json: bool,
    bars: Option<MultiProgress>,
    running: Mutex<HashMap<String, ProgressBar>>,
    stop: AtomicBool,
    findings: AtomicU64,
    /// Why stdout did not take what was written, other than that nobody reads it any more.
    stdout_failure: Mutex<Option<std::io::Error>>,
}

impl Console {
    /// Progress bars are drawn only where stderr is a terminal.
    pub fn new(json: bool) -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            json,
            bars,
            running: Mutex::default(),
            stop: AtomicBool::new(false),
            findings: AtomicU64::new(0),
            stdout_failure: Mutex::default(),
        }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Asks all work to end at the next safe place.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// A line for people.
    pub fn say(&self, text: impl AsRef<str>) {
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("{}", text.as_ref())),
            None => eprintln!("{}", text.as_ref()),
        }
    }

    /// The answer itself, for people and pipes; silent with `--json`, where the answer is made of objects.
    pub fn answer(&self, text: impl AsRef<str>) {
        if !self.json {
            self.stdout(text.as_ref());
        }
    }

    /// One JSON object on stdout; silent without `--json`.
    pub fn object(&self, value: &Value) {
        if self.json {
            self.stdout(&value.to_string());
        }
    }

    /// The last line of `--json`: `command`, `outcome`, `exit_code` and whatever `more` says.
    pub fn summary(&self, command: &str, outcome: &str, exit: ExitCode, more: Map<String, Value>) {
        let mut line = Map::new();
        line.insert("event".into(), json!("summary"));
        line.insert("command".into(), json!(command));
        line.insert("outcome".into(), json!(outcome));
        line.insert("exit_code".into(), json!(exit.code()));
        line.extend(more);
        self.object(&Value::Object(line));
        let findings = self.findings.load(Ordering::SeqCst);
        if findings > FINDINGS_SHOWN {
            self.say(format!("{FINDINGS_SHOWN} of {findings} findings are shown; --json prints every one of them"));
        }
    }

    /// A failure for people: the message, a blank line, the hint.
    pub fn failure(&self, failure: &Failure) {
        self.say(format!("error: {failure}"));
        if let Some(hint) = &failure.hint {
            self.say(format!("\nhint: {hint}"));
        }
    }

    /// What became of stdout: an answer that was not written whole is told, whatever it said.
    pub fn stdout_failure(&self) -> Option<Failure> {
        let error = self.stdout_failure.lock().expect("no panic while held").take()?;
        Some(Failure::io("cannot write to stdout", error).hint("make room where stdout goes, and run the same command again"))
    }

    fn stdout(&self, text: &str) {
        let print = || {
            let mut out = std::io::stdout().lock();
            if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
                // A reader that went away (`| head`) has read what it wanted.
                && error.kind() != std::io::ErrorKind::BrokenPipe
            {
                self.stdout_failure.lock().expect("no panic while held").get_or_insert(error);
            }
        };
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    fn start_bar(&self, task: &str, unit: &str, total: Option<u64>) {
        let Some(bars) = &self.bars else { return };
        let template = match total {
            Some(_) => format!("{{msg}} [{{bar:24}}] {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left"),
            None => format!("{{spinner}} {{msg}} {{pos}} {unit}, {{per_sec}}"),
        };
        let bar = bars.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(task.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.running.lock().expect("no panic while held").insert(task.to_owned(), bar);
    }
}

impl Monitor for Console {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { task, unit, total } => self.start_bar(task, unit, total),
            Event::Advanced { task, by, .. } => {
                if let Some(bar) = self.running.lock().expect("no panic while held").get(task) {
                    bar.inc(by);
                }
            }
            Event::Finished { task } => {
                if let Some(bar) = self.running.lock().expect("no panic while held").remove(task) {
                    bar.finish_and_clear();
                }
            }
            Event::Finding(finding) if self.json => self.object(&finding.to_json()),
            Event::Finding(finding) if self.findings.fetch_add(1, Ordering::SeqCst) < FINDINGS_SHOWN => self.say(finding_line(finding)),
            Event::Finding(_) => {}
            Event::Problem(failure) => {
                self.say(format!("problem: {failure}"));
                if let Some(hint) = &failure.hint {
                    self.say(format!("hint: {hint}"));
                }
            }
            Event::Note(text) => self.say(text),
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// One finding in one line; control characters of keys are escaped, so that a key cannot draw on the terminal.
pub fn finding_line(finding: &Finding) -> String {
    let (_, place) = finding.place.parts();
    let place: String = place.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect();
    let mut line = format!("  {:<14} {place}", finding.class.as_str());
    if let Some(version) = &finding.version_id {
        line += &format!("  version {version}");
    }
    match (&finding.expected, &finding.actual) {
        (Some(expected), Some(actual)) => line += &format!("  expected {expected}, found {actual}"),
        (Some(expected), None) => line += &format!("  expected {expected}"),
        (None, Some(actual)) => line += &format!("  found {actual}"),
        (None, None) => {}
    }
    line
}
