//! A failure: why something cannot go on. Differences are findings, never failures.
//!
//! Every message names the thing, what was expected, what was found and what to do next. Rooms with a vocabulary of their own keep
//! their own error enums and turn them into a `Failure` where they hand over.

use std::error::Error;
use std::fmt;

use crate::model::exit::ExitCode;

/// The classes of failures; each has its exit code in one place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Usage, configuration, source URL, key, unreadable manifest.
    Invalid,
    /// A bad signature, part digest or log: evidence that does not hold.
    BadEvidence,
    /// Access denied, expired or wrong credentials.
    Denied,
    /// A bucket, table, database or other named thing is not there.
    Absent,
    /// The isolation guard said no, or could not look.
    Refused,
    /// Asked to slow down, and slower did not help.
    Throttled,
    /// Connection, name, TLS, body cut short, time-out.
    Network,
    /// No room left, or the local disk does not answer.
    Disk,
    /// Stopped before the end; safe to resume.
    Interrupted,
    /// In an archived storage class: not readable before a restore of its own.
    Archived,
    /// Locked, cancelled, or dropped, emptied or rewritten by somebody else while it was read; another run may read it.
    Busy,
    /// More at once than this program holds: a limit of its own, and no fault of what is read.
    TooLarge,
    /// Something that a drill created stands, and nothing will take it down by itself.
    LeftBehind,
    /// The other side answered something that its documentation does not allow, or a job failed there.
    Remote,
}

impl FailureKind {
    /// The exit code of a run that ends with this.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Invalid => ExitCode::Usage,
            Self::BadEvidence => ExitCode::Findings,
            Self::Denied | Self::Absent | Self::Refused => ExitCode::Denied,
            Self::Throttled | Self::Network | Self::Disk => ExitCode::Environment,
            Self::LeftBehind => ExitCode::LeftBehind,
            Self::Interrupted | Self::Archived | Self::Busy | Self::TooLarge | Self::Remote => ExitCode::Incomplete,
        }
    }

    /// True where what could not be read may be as good as new: nothing was seen of it, and nothing is said against it.
    pub fn is_outside_the_data(self) -> bool {
        matches!(self, Self::Denied | Self::Throttled | Self::Network | Self::Disk | Self::Archived | Self::Busy | Self::TooLarge)
    }

    /// Why something was not read, for people.
    pub fn why_unread(self) -> &'static str {
        match self {
            Self::Denied => "access denied",
            Self::Throttled => "throttled",
            Self::Network => "the network or the server broke off",
            Self::Disk => "the disk did not answer",
            Self::Archived => "archived, not readable without a restore",
            Self::Busy => "locked, cancelled or changed by somebody else while it was read",
            Self::TooLarge => "beyond what is held at once",
            other => other.as_str(),
        }
    }

    /// True where the same call may succeed later without anyone changing anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Network | Self::Interrupted | Self::Busy)
    }

    /// The word for logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::BadEvidence => "bad_evidence",
            Self::Denied => "denied",
            Self::Absent => "absent",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Network => "network",
            Self::Disk => "disk",
            Self::Interrupted => "interrupted",
            Self::Archived => "archived",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::LeftBehind => "left_behind",
            Self::Remote => "remote",
        }
    }
}

/// Why something cannot go on.
#[derive(Debug)]
pub struct Failure {
    /// The class, which decides the exit code.
    pub kind: FailureKind,
    /// One sentence: the thing, what was expected, what was found.
    pub message: String,
    /// What to do next; printed after a blank line as `hint:`.
    pub hint: Option<String>,
    /// The cause, where another library gave one.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure of `kind` that says `message`.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// [`FailureKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, message)
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An I/O error on `what` (such as "cannot write the manifest /x"), classed by its kind.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::NotFound => FailureKind::Absent,
            ErrorKind::PermissionDenied => FailureKind::Denied,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::TimedOut | ErrorKind::UnexpectedEof => {
                FailureKind::Network
            }
            _ => FailureKind::Disk,
        };
        let failure = Self::new(kind, format!("{what}: {error}"));
        let failure = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                failure.hint("make room, or lift the quota or limit, and run the same command again")
            }
            _ => failure,
        };
        failure.caused_by(error)
    }

    /// What another program said as it failed: of the disk, where it says so, else [`FailureKind::Remote`].
    pub fn of_program(message: impl Into<String>) -> Self {
        let message = message.into();
        if message.contains("No space left on device") || message.contains("Disk quota exceeded") {
            return Self::new(FailureKind::Disk, message).hint("make room, and run the same command again");
        }
        Self::new(FailureKind::Remote, message)
    }

    /// The same failure seen from further up: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
