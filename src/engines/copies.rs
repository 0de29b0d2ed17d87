//! Copies of data directories that are under way. They run on threads which nobody can abort: before a folder is removed they are asked to
//! end, and waited for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::failure::{Failure, FailureKind};

/// How many run, and whether they are to end.
#[derive(Debug, Default)]
pub struct Copies {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    ending: bool,
}

/// A copy that is under way until this is dropped.
#[derive(Debug)]
pub struct Running<'a>(&'a Copies);

impl Copies {
    /// Counts a copy in.
    ///
    /// # Errors
    /// [`FailureKind::Interrupted`] once all were asked to end.
    pub fn begin(&self) -> Result<Running<'_>, Failure> {
        let mut state = self.lock();
        if state.ending {
            return Err(interrupted());
        }
        state.running += 1;
        Ok(Running(self))
    }

    /// Asks all copies to end, for good, and blocks until none is under way.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ending = true;
        while state.running > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running<'_> {
    /// To be asked between blocks.
    ///
    /// # Errors
    /// [`FailureKind::Interrupted`] once all were asked to end.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.0.lock().ending { Err(interrupted()) } else { Ok(()) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_all();
    }
}

fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "the copy of a data directory was ended: its sandbox stops")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_end_waits_for_those_under_way_and_lets_none_begin() {
        let copies = Arc::new(Copies::default());
        let running = copies.begin().unwrap();
        let ending = std::thread::spawn({
            let copies = copies.clone();
            move || copies.end()
        });
        while running.go_on().is_ok() {
            std::thread::yield_now();
        }
        assert_eq!(copies.begin().unwrap_err().kind, FailureKind::Interrupted);
        assert!(!ending.is_finished(), "one is still under way");
        drop(running);
        ending.join().unwrap();
    }
}
