//! The demo's estate: four applications after the kind that our users run, their data, their recovery points, and the damage that a drill has to find.
//!
//! Not here: the drill itself, which knows nothing of any of this.

pub mod calls;
pub mod config;
pub mod data;
pub mod estate;
pub mod plant;
pub mod score;
pub mod vault;
