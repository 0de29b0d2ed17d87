//! The operating system's view of database servers: which run over a data directory, freezing them, ending them.
//!
//! A server is found by its data directory in its own command line, so that one whose owner was killed before it could write down a
//! process id is found all the same. Reads `/proc` (see proc(5)); where there is none, the server's pid file is believed.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ProcessMark {
    /// Process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot; 0 where the system does not tell.
    pub started: u64,
}

impl ProcessMark {
    /// The process that has this id now.
    pub fn of(pid: i32) -> Option<Self> {
        match stat(pid) {
            Some(stat) if stat.state != 'Z' => Some(Self { pid, started: stat.started }),
            Some(_) => None,
            None => (!has_proc() && test_kill_process(Pid::from_raw(pid)?).is_ok()).then_some(Self { pid, started: 0 }),
        }
    }

    /// True while it runs; one that ended and waits to be reaped does not.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, unless it is gone.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// What ends a server in order: SIGINT is PostgreSQL's fast shutdown, which does not wait for clients; MariaDB and MySQL do not listen to it, and
    /// end by SIGTERM.
    pub fn in_order(self) -> Signal {
        if self.is_postgres() { Signal::INT } else { Signal::TERM }
    }

    /// What ends a server whose data is not wanted any more: SIGQUIT is PostgreSQL's immediate shutdown, which takes its helpers along; the others
    /// are one process, and would only write what goes anyway.
    pub fn without_ceremony(self) -> &'static [Signal] {
        if self.is_postgres() { &[Signal::QUIT, Signal::KILL] } else { &[Signal::KILL] }
    }

    fn is_postgres(self) -> bool {
        let words = std::fs::read(format!("/proc/{}/cmdline", self.pid)).map(|line| words_of(&line)).unwrap_or_default();
        is_told_as_postgres(&words)
    }

    /// Sends the signals in turn, each followed by a wait of `patience`, until it is gone. True when it is.
    pub async fn end(self, signals: &[Signal], patience: Duration) -> bool {
        for signal in signals {
            // A frozen process sees no other signal before this one.
            thaw(self);
            self.signal(*signal);
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !self.is_alive() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        !self.is_alive()
    }
}

struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The fields after the command, which is in brackets and may hold anything.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat { state: fields.first()?.chars().next()?, parent: fields.get(1)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
}

fn all_pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The servers whose command line names `folder` or something in it as their data directory.
pub fn servers_under(folder: &Path) -> Vec<ProcessMark> {
    if !has_proc() {
        return from_pid_files(folder);
    }
    let found = told_of(folder);
    // What PostgreSQL has just forked has its server's command line until it takes a name of its own.
    let is_helper = |pid: &i32| stat(*pid).is_some_and(|stat| found.contains(&stat.parent));
    found.iter().copied().filter(|pid| !is_helper(pid)).filter_map(ProcessMark::of).collect()
}

/// The processes whose command line names `folder` or something in it as their data directory.
fn told_of(folder: &Path) -> Vec<i32> {
    let is_told = |pid: &i32| {
        let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
        data_directory(&words_of(&line)).is_some_and(|directory| Path::new(directory).starts_with(folder))
    };
    all_pids().into_iter().filter(is_told).collect()
}

/// The words of a command line as the system states it.
fn words_of(line: &[u8]) -> Vec<String> {
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// How MariaDB and MySQL are told theirs.
const DATADIR: &str = "--datadir=";

/// Whether a server is told its data directory as PostgreSQL is.
fn is_told_as_postgres(words: &[String]) -> bool {
    !words.iter().any(|word| word.starts_with(DATADIR))
}

/// `-D DIR` of PostgreSQL, `--datadir=DIR` of MariaDB.
fn data_directory(words: &[String]) -> Option<&str> {
    let after_d = words.iter().position(|word| word == "-D").and_then(|at| words.get(at + 1)).map(String::as_str);
    after_d.or_else(|| words.iter().find_map(|word| word.strip_prefix(DATADIR)))
}

fn from_pid_files(folder: &Path) -> Vec<ProcessMark> {
    let mut homes = vec![folder.to_owned()];
    homes.extend(std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()));
    let files = homes.iter().flat_map(|home| [home.join("data/postmaster.pid"), home.join("run/server.pid")]);
    files.filter_map(|file| ProcessMark::of(std::fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()?)).collect()
}

fn family(mark: ProcessMark) -> Vec<i32> {
    // PostgreSQL's helpers are children of the server itself, one level deep.
    let mut family = vec![mark.pid];
    family.extend(all_pids().into_iter().filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == mark.pid)));
    family
}

/// What a server and its helpers hold that could not be given back to others, in bytes: what each has of its own, and what they share once.
pub fn held(mark: ProcessMark) -> u64 {
    let held = family(mark).into_iter().filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok());
    let kib = |status: &str, name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (own, shared) = held.fold((0, 0), |(own, shared), status| {
        (own + kib(&status, "RssAnon:").unwrap_or(0), shared.max(kib(&status, "RssShmem:").unwrap_or(0)))
    });
    (own + shared) << 10
}

/// Stops a server in its tracks with all its helpers, so that its files stand still; true once every thread does.
///
/// What the files then hold is what they would hold after a crash at this instant, which the server recovers from: the way a storage
/// snapshot is taken. The server itself goes first, so that no helper is born while the others are looked up.
pub fn freeze(mark: ProcessMark) -> bool {
    mark.signal(Signal::STOP);
    if !stands_still(mark.pid) {
        return false;
    }
    for pid in family(mark) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::STOP);
        }
    }
    family(mark).into_iter().all(stands_still)
}

/// Lets a frozen server and its helpers go on.
pub fn thaw(mark: ProcessMark) {
    for pid in family(mark) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

/// Waits until every thread is stopped (or the process gone): a thread in the middle of a write finishes it first.
fn stands_still(pid: i32) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
        let still = threads.flatten().all(|thread| {
            let text = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            parse_stat(&text).is_none_or(|stat| matches!(stat.state, 'T' | 't' | 'Z' | 'X'))
        });
        if still {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_any_command_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.started), ('S', 7, 12345));
    }

    #[test]
    fn a_server_is_known_by_how_it_is_told_its_data_directory() {
        let words = |line: &str| words_of(line.replace(' ', "\0").as_bytes());
        assert!(is_told_as_postgres(&words("postgres -D /x/data -p 1")));
        assert!(!is_told_as_postgres(&words("mariadbd --no-defaults --datadir=/y/data")));
        assert!(!is_told_as_postgres(&words("mysqld --datadir=/y/data --port=1")));
    }

    #[test]
    fn what_a_server_has_forked_is_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sh -c 'sleep 60; :' sh -D \"$2\" & wait";
        let mut server = std::process::Command::new("sh").args(["-c", script, "sh", "-D"]).arg(folder.path()).spawn().unwrap();
        while told_of(folder.path()).len() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let told = told_of(folder.path());
        let servers: Vec<i32> = servers_under(folder.path()).iter().map(|mark| mark.pid).collect();
        for pid in told {
            ProcessMark::of(pid).unwrap().signal(Signal::KILL);
        }
        server.wait().unwrap();
        assert_eq!(servers, [i32::try_from(server.id()).unwrap()]);
    }

    #[test]
    fn the_data_directory_is_an_argument_of_its_own() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(data_directory(&words("postgres -D /x/data -p 1")), Some("/x/data"));
        assert_eq!(data_directory(&words("mariadbd --no-defaults --datadir=/y/data")), Some("/y/data"));
        assert_eq!(data_directory(&words("vi /x/data")), None);
    }
}
