//! Bringing recovery points back and taking them down again: isolation guard, journal, permit, drivers, teardown, sweep.
//!
//! Not here: what is drawn, what is compared, and what the log says of it (that is the drill's).

pub mod driver;
pub mod drivers;
pub mod guard;
pub mod journal;
pub mod late;
pub mod looks;
pub mod may_delete;
pub mod order;
pub mod pace;
pub mod permit;
pub mod records;
pub mod steps;
pub mod sweep;
pub mod targets;
pub mod teardown;
