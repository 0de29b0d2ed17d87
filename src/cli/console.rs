//! The terminal and the machine-readable stream: the one place that prints.

use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::cli::progress::Progress;
use crate::cli::words;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Finding;
use crate::monitor::{Event, Monitor};

/// Findings that people are shown one by one; a table that differs in every row would bury all else that was said.
const FINDINGS_SHOWN: u64 = 100;

/// Characters of a task's name beside its bar.
const TASK_SHOWN: usize = 36;

/// A task's bar, and what it draws.
type Drawn = (ProgressBar, Arc<Mutex<Progress>>);

/// Prints for people on stderr and, with `--json`, one object a line on stdout.
pub struct Console {
    json: bool,
    bars: Option<MultiProgress>,
    running: Mutex<HashMap<String, Drawn>>,
    stop: AtomicBool,
    findings: AtomicU64,
    /// What could not be read while a manifest was captured, by reason.
    unread: Mutex<BTreeMap<FailureKind, u64>>,
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
            unread: Mutex::default(),
            stdout_failure: Mutex::default(),
        }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// What could not be read while a manifest was captured, by reason.
    pub fn unread(&self) -> BTreeMap<FailureKind, u64> {
        self.unread.lock().expect("no panic while held").clone()
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

    /// A line of an answer that people want to read beside the objects of `--json` too: then it goes where all other lines go.
    pub fn tell(&self, text: impl AsRef<str>) {
        if self.json { self.say(text) } else { self.answer(text) }
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
        self.say(format!("error: {}", words::said(&failure.to_string())));
        if let Some(hint) = &failure.hint {
            self.say(format!("\nhint: {}", words::said(hint)));
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

    fn start_bar(&self, task: &str, unit: &'static str, total: Option<u64>) {
        let Some(bars) = &self.bars else { return };
        let bar = bars.add(ProgressBar::new_spinner());
        let progress = Arc::new(Mutex::new(Progress::new(unit, total)));
        bar.set_message(short(task));
        draw(&bar, &progress);
        bar.enable_steady_tick(Duration::from_millis(200));
        self.running.lock().expect("no panic while held").insert(task.to_owned(), (bar, progress));
    }

    /// Changes what is known of a task that is drawn.
    fn with_bar(&self, task: &str, change: impl FnOnce(&mut Progress)) {
        let running = self.running.lock().expect("no panic while held");
        let Some((bar, progress)) = running.get(task) else { return };
        let mut known = progress.lock().expect("no panic while held");
        let was = known.bar().map(|(_, length)| length);
        change(&mut known);
        let now = known.bar();
        drop(known);
        if let Some((position, length)) = now {
            if was != Some(length) {
                draw(bar, progress);
            }
            bar.set_position(position);
        }
    }
}

/// Draws a task as a bar where its end is known, else as a spinner.
fn draw(bar: &ProgressBar, progress: &Arc<Mutex<Progress>>) {
    let length = progress.lock().expect("no panic while held").bar().map(|(_, length)| length);
    let template = if length.is_some() { "{msg} [{bar:20}] {figures}" } else { "{spinner} {msg} {figures}" };
    if let Some(length) = length {
        bar.set_length(length);
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        let progress = progress.clone();
        let figures = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A terminal that takes no more is no reason to stop.
            let _ = out.write_str(&progress.lock().expect("no panic while held").line(state.elapsed()));
        };
        bar.set_style(style.with_key("figures", figures).progress_chars("━╸─"));
    }
}

impl Monitor for Console {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { task, unit, total } => self.start_bar(task, unit, total),
            Event::Expects { task, bytes } => self.with_bar(task, |progress| progress.expect_bytes(bytes)),
            Event::Advanced { task, by, bytes } => self.with_bar(task, |progress| progress.advance(by, bytes)),
            Event::Finished { task } => {
                if let Some((bar, _)) = self.running.lock().expect("no panic while held").remove(task) {
                    bar.finish_and_clear();
                }
            }
            Event::Finding(finding) if self.json => self.object(&finding.to_json()),
            Event::Finding(finding) if self.findings.fetch_add(1, Ordering::SeqCst) < FINDINGS_SHOWN => self.say(finding_line(finding)),
            Event::Finding(_) => {}
            Event::Unread(failure) => *self.unread.lock().expect("no panic while held").entry(failure.kind).or_default() += 1,
            Event::Problem(failure) => {
                self.say(format!("problem: {}", words::said(&failure.to_string())));
                if let Some(hint) = &failure.hint {
                    self.say(format!("hint: {}", words::said(hint)));
                }
            }
            Event::Note(text) => self.say(words::said(text)),
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// The end of a long name, which tells more than its beginning.
fn short(task: &str) -> String {
    let length = task.chars().count();
    if length <= TASK_SHOWN { task.to_owned() } else { format!("…{}", task.chars().skip(length - TASK_SHOWN + 1).collect::<String>()) }
}

/// One finding in one line; a key can neither draw on the terminal nor hide on it.
pub fn finding_line(finding: &Finding) -> String {
    let (_, place) = finding.place.parts();
    let place = words::place(place);
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
