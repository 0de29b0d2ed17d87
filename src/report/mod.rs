//! Reports from a verified log: one model, and renderers that are pure functions of it. Never touches AWS, a drill or a restore.

pub mod build;
pub mod case;
pub mod charts;
pub mod controls;
pub mod coverage;
pub mod follow_up;
pub mod gather;
pub mod html;
pub mod model;
pub mod model_case;
pub mod pivot;
pub mod publish;
pub mod verdict;
pub mod words;
