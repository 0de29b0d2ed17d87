//! `log verify`: every rule that a log is held to, one file a family, each with its own named fault.
//!
//! Not here: how faults are shown, and what a report makes of a log that verifies.

pub mod apart;
pub mod check_packs;
pub mod checks;
pub mod claim;
pub mod closing;
pub mod corroborated;
pub mod demands;
pub mod draw;
pub mod drills;
pub mod engines;
pub mod evidence;
pub mod excluded;
pub mod fault;
pub mod isolation;
pub mod itself;
pub mod known;
pub mod listed;
pub mod listed_facts;
pub mod listing;
pub mod made;
pub mod manifest_counts;
pub mod named_twice;
pub mod outcome;
pub mod owed;
pub mod pass;
pub mod planned;
pub mod point;
pub mod reading;
pub mod reference;
pub mod restored;
pub mod results;
pub mod rpo;
pub mod run;
pub mod seals;
pub mod second;
pub mod seconds_asked;
pub mod stated;
pub mod stated_of_points;
pub mod unchecked;
pub mod undemanded;
pub mod unfit;
pub mod unlisted;
pub mod untested;
pub mod verdict;
