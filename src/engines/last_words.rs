//! Servers that have ended by themselves: what their logs say of it, and how they are started again.
//!
//! Not here: when that is wanted.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::engines::installed::EngineKind;
use crate::engines::servers::Servers;
use crate::model::failure::Failure;

/// Bytes of a log's end that are looked at.
const LOOKED_AT: u64 = 1 << 20;
/// Characters of a line that are told.
const TOLD: usize = 300;

/// What the log of a server says of its end, in one line; nothing where it is silent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastWords(pub Option<String>);

impl Servers {
    /// Starts the server over a home again where it has ended, on the port that it had; nothing where it runs.
    pub async fn start_again(&self, kind: EngineKind, name: &str, port: u16) -> Result<Option<LastWords>, Failure> {
        if self.adopt(kind, name, port).is_some() {
            return Ok(None);
        }
        let said = last_words(&self.home(name).join("server.log"));
        self.boot_again(kind, name, port).await?;
        Ok(Some(LastWords(said)))
    }
}

/// The line of a server's log that says why it ended: the first error that names damage, or else the last one.
fn last_words(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOKED_AT))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes).ok()?;
    error_in(&String::from_utf8_lossy(&bytes))
}

fn error_in(text: &str) -> Option<String> {
    // What stands before it is the moment and the thread.
    let errors = || text.lines().filter_map(|line| Some(&line[line.find("[ERROR]").or_else(|| line.find("PANIC:"))?..]));
    let damage = errors().find(|line| line.to_ascii_lowercase().contains("corrupt"));
    let line = damage.or_else(|| errors().next_back())?;
    let printable = line.chars().filter(|sign| !sign.is_control());
    Some(printable.take(TOLD).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_names_damage_is_told_or_else_the_last_error() {
        let log = "2026-01-31T02:03:04.5Z 0 [System] [MY-010931] [Server] mysqld: ready for connections.\n\
            2026-01-31T02:03:05.5Z 9 [ERROR] [MY-011906] [InnoDB] Database page corruption on disk or a failed file read of page [page id: space=2, page number=160].\n\
            2026-01-31T02:03:05.6Z 9 [ERROR] [MY-011937] [InnoDB] [FATAL] Aborting because of a corrupt database page.\n";
        let said = error_in(log).unwrap();
        assert!(said.starts_with("[ERROR] [MY-011906] [InnoDB] Database page corruption") && said.ends_with("number=160]."), "{said}");
        let other = "2026-01-31 2:03:05 0 [ERROR] InnoDB: one\n2026-01-31 2:03:05 0 [ERROR] InnoDB: two\x07\nmysqld got signal 9\n";
        assert_eq!(error_in(other).as_deref(), Some("[ERROR] InnoDB: two"));
        assert_eq!(error_in("ready for connections\n"), None);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_words(&dir.path().join("none")), None);
        let long = format!("{}\n[ERROR] {}\n", "x".repeat(2 << 20), "y".repeat(1000));
        std::fs::write(dir.path().join("log"), long).unwrap();
        assert_eq!(last_words(&dir.path().join("log")).map(|said| said.len()), Some(TOLD));
    }
}
