//! What a run has heard of a server: when it last answered, and of how many sessions it would have no more.
//!
//! A server that was stopped or deleted refuses connections like one that never was. Whoever reads an error wants to know which of the two
//! it is: where that was, that nothing listens there any more, and since when.
//!
//! Not here: what a refusal of the server itself means (`errors`).

use std::future::Future;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// How long is waited for an answer to the question whether anything listens.
const A_LOOK: Duration = Duration::from_secs(1);
/// A session that was closed may count against a limit until the server has ended it: so often it is asked for another, and so far apart.
const ATTEMPTS: u32 = 15;
const BETWEEN: Duration = Duration::from_millis(100);

/// What is known of one server; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Microseconds since 1970; 0 before the first answer.
    last: AtomicI64,
    note: Mutex<Note>,
}

/// A word for whoever watches, which is said once.
#[derive(Debug, Default)]
enum Note {
    #[default]
    None,
    Waiting(String),
    Said,
}

impl Heard {
    /// It answers.
    pub fn answered(&self) {
        self.0.last.store(Timestamp::now().0, Ordering::Relaxed);
    }

    /// When it last did; nothing where it never has.
    pub fn last(&self) -> Option<Timestamp> {
        Some(self.0.last.load(Ordering::Relaxed)).filter(|micros| *micros != 0).map(Timestamp)
    }

    /// It gave `had` sessions to read with, and `wanted` were asked for.
    pub fn fewer(&self, had: usize, wanted: usize, why: &Failure) {
        let sessions = if had == 1 { "1 session".to_owned() } else { format!("{had} sessions") };
        self.note(format!("tables are read in {sessions} instead of {wanted}, since the server gives no more: {why}"));
    }

    /// A word for whoever watches; only the first counts.
    pub fn note(&self, said: String) {
        let mut note = self.0.note.lock().expect("no panic while held");
        if matches!(*note, Note::None) {
            *note = Note::Waiting(said);
        }
    }

    /// The word, once.
    pub fn take_note(&self) -> Option<String> {
        let mut note = self.0.note.lock().expect("no panic while held");
        match std::mem::replace(&mut *note, Note::Said) {
            Note::Waiting(said) => Some(said),
            before => {
                *note = before;
                None
            }
        }
    }

    /// The same failure with what has become of the server `at` host and port, where the network failed and nothing listens there.
    pub async fn explain(&self, failure: Failure, at: Option<(String, u16)>) -> Failure {
        let Some((host, port)) = at.filter(|_| failure.kind == FailureKind::Network) else { return failure };
        let Some(gone) = look(&host, port).await else { return failure };
        let message = format!("{}; {}", failure.message, self.whereabouts(&gone));
        let hint = match self.last() {
            Some(_) => {
                "the server was stopped, or its instance deleted, while it was read: start it, or restore it once more, and run the same \
                 command again; with --state DIR it goes on with what was read. Where it ends at the same table each time, its own error log \
                 or the kernel's says why: MySQL and MariaDB end at a page that fails its checksum, and the kernel ends what takes more \
                 memory than there is"
            }
            None => "check the host and the port; where the server was stopped or its instance deleted, start it or restore it once more",
        };
        Failure { message, ..failure }.hint(hint)
    }

    fn whereabouts(&self, gone: &str) -> String {
        match self.last() {
            Some(last) => {
                let seconds = Timestamp::now().millis_since(last).max(0) / 1000;
                format!("{gone} any more; it last answered at {last}, {seconds} s before")
            }
            None => format!("{gone}; it has not answered in this run"),
        }
    }
}

/// Whether somebody takes connections there, or that cannot be told.
pub async fn listens(at: Option<(String, u16)>) -> bool {
    let Some((host, port)) = at else { return true };
    look(&host, port).await.is_none()
}

/// Why nobody can be reached there; nothing where somebody takes connections, or where that cannot be told.
async fn look(host: &str, port: u16) -> Option<String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let known = tokio::time::timeout(A_LOOK, tokio::net::lookup_host((bare, port))).await.ok()?;
    if known.is_err() {
        return Some(format!("the name {host} is not known"));
    }
    match tokio::time::timeout(A_LOOK, TcpStream::connect((bare, port))).await.ok()? {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(format!("nothing listens on {host}:{port}")),
        _ => None,
    }
}

/// Opens a session with `open`, and waits a moment where the server has no room: the session before it may not have ended yet.
pub async fn with_patience<T, F: Future<Output = Result<T, Failure>>>(open: impl Fn() -> F) -> Result<T, Failure> {
    for _ in 0..ATTEMPTS {
        match open().await {
            Err(failure) if failure.kind == FailureKind::Throttled => tokio::time::sleep(BETWEEN).await,
            opened => return opened,
        }
    }
    open().await.map_err(no_room)
}

/// How many sessions it takes.
fn no_room(failure: Failure) -> Failure {
    if failure.kind != FailureKind::Throttled {
        return failure;
    }
    failure.hint(
        "reading takes one session at the least, and --lanes 1 opens no more than two: end other sessions of this user, or raise its limit \
         (CONNECTION LIMIT of PostgreSQL, MAX_USER_CONNECTIONS of MySQL) or the server's max_connections",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Failure {
        Failure::new(FailureKind::Network, "postgres://h/d: Connection refused (os error 111)")
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_told_from_one_that_never_was() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let at = || Some(("127.0.0.1".to_owned(), port));
        let heard = Heard::default();
        assert!(!heard.explain(refused(), at()).await.message.contains("listens"), "somebody does");
        drop(listener);
        let failure = heard.explain(refused(), at()).await;
        assert!(failure.message.ends_with(&format!("nothing listens on 127.0.0.1:{port}; it has not answered in this run")), "{failure}");
        assert!(failure.hint.unwrap().contains("check the host and the port"));
        heard.answered();
        let failure = heard.explain(refused(), at()).await;
        assert!(failure.message.contains(&format!("nothing listens on 127.0.0.1:{port} any more; it last answered at 20")), "{failure}");
        assert!(failure.message.ends_with(" s before") && failure.hint.unwrap().contains("--state DIR"));
        let unknown = heard.explain(refused(), Some(("nobody.invalid".into(), 1))).await;
        assert!(unknown.message.contains("the name nobody.invalid is not known any more"), "{unknown}");
        // What is no matter of the network stays as it is, and so does what goes through a socket.
        let denied = heard.explain(Failure::new(FailureKind::Denied, "no"), at()).await;
        assert_eq!((denied.message.as_str(), heard.explain(refused(), None).await.message), ("no", refused().message));
    }

    #[tokio::test]
    async fn a_session_that_ends_late_is_waited_for_and_the_first_note_is_said_once() {
        let asked = AtomicI64::new(0);
        let full = || Failure::new(FailureKind::Throttled, "full");
        let opened = with_patience(|| async { if asked.fetch_add(1, Ordering::Relaxed) < 2 { Err(full()) } else { Ok(7) } }).await;
        assert_eq!((opened.unwrap(), asked.into_inner()), (7, 3));
        let refused = with_patience(|| async { Err::<(), _>(full()) }).await.unwrap_err();
        assert!(refused.hint.unwrap().contains("--lanes 1"));
        let heard = Heard::default();
        assert_eq!(heard.take_note(), None);
        heard.fewer(1, 4, &full());
        heard.note("another".into());
        assert_eq!(heard.take_note().unwrap(), "tables are read in 1 session instead of 4, since the server gives no more: full");
        heard.note("again".into());
        assert_eq!(heard.take_note(), None);
    }
}
