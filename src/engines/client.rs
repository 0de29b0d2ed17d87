//! Client programs of the engines, each in a process group of its own that ends with it: whoever lets go of one in the middle of its work (a
//! deadline, Ctrl-C) leaves nothing of it running, nor of what it has started.
//!
//! Not here: servers, which outlive whoever started them (`servers`).

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::model::failure::Failure;

/// The groups of the clients that run.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A client that runs.
pub struct Client {
    child: Child,
    what: String,
    /// Its group, which has its own process id for a name.
    group: Option<u32>,
}

impl Client {
    /// Starts it; `what` is it in messages. Ctrl-C at the terminal is for the drill, which then ends its clients.
    pub fn start(mut command: Command, what: &str) -> Result<Self, Failure> {
        command.kill_on_drop(true).process_group(0);
        let child = command.spawn().map_err(|error| Failure::io(what, error))?;
        let group = child.id();
        RUNNING.lock().expect("no panic while held").extend(group);
        Ok(Self { child, what: what.to_owned(), group })
    }

    /// Its standard input, where it was asked for, once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it prints, where it was asked for, once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// What it says, where it was asked for, once.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> Result<ExitStatus, Failure> {
        let status = self.child.wait().await.map_err(|error| Failure::io(&self.what, error))?;
        self.forget();
        Ok(status)
    }

    /// From now on its process id may be another's.
    fn forget(&mut self) -> Option<u32> {
        let group = self.group.take()?;
        RUNNING.lock().expect("no panic while held").remove(&group);
        Some(group)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Before it is reaped, so that the id is still its own.
        let runs = self.child.id().is_some();
        if let Some(group) = self.forget().filter(|_| runs) {
            end(group);
        }
    }
}

fn end(group: u32) {
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Ends every client that runs: for a process that ends at once, and tidies up nothing else.
pub fn end_all() {
    // Whoever ends at once waits for nobody.
    if let Ok(running) = RUNNING.try_lock() {
        running.iter().copied().for_each(end);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;
    use crate::engines::process::ProcessMark;

    /// A client that hears no polite signal and has started another; both.
    async fn stubborn() -> (Client, [ProcessMark; 2]) {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM INT HUP; sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
        let mut client = Client::start(command, "sh").unwrap();
        let mut lines = BufReader::new(client.stdout().unwrap()).lines();
        let other: i32 = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        let own = i32::try_from(client.group.unwrap()).unwrap();
        let marks = [own, other].map(|pid| ProcessMark::of(pid).unwrap());
        (client, marks)
    }

    async fn are_gone(marks: [ProcessMark; 2]) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while marks.iter().any(|mark| mark.is_alive()) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        !marks.iter().any(|mark| mark.is_alive())
    }

    #[tokio::test]
    async fn a_client_that_is_let_go_ends_with_all_that_it_has_started() {
        let (mut client, marks) = stubborn().await;
        // As a deadline does: the work is dropped where it waits.
        assert!(tokio::time::timeout(Duration::from_millis(50), client.ended()).await.is_err());
        assert!(marks.iter().all(|mark| mark.is_alive()));
        drop(client);
        assert!(are_gone(marks).await);
    }

    #[tokio::test]
    async fn one_that_has_ended_by_itself_is_told_and_forgotten() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let mut client = Client::start(command, "sh").unwrap();
        let group = client.group.unwrap();
        assert_eq!(client.ended().await.unwrap().code(), Some(3));
        assert!(client.group.is_none() && !RUNNING.lock().unwrap().contains(&group));
        assert!(Client::start(Command::new("/nowhere/psql"), "psql").is_err_and(|failure| failure.message.starts_with("psql: ")));
    }
}
