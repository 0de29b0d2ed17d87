//! The estate: configuration, the catalogue of recovery points, and the policy by which a sample is drawn.
//!
//! Not here: restoring anything, or the pure derivation of a sample from its seed (that is `testing_log`, because auditors re-derive it).

pub mod beside;
pub mod catalogue;
pub mod config;
pub mod explain;
pub mod ground;
pub mod load;
pub mod local_points;
pub mod login_rules;
pub mod mistake;
pub mod policy;
pub mod rules;
pub mod schema;
pub mod seconds;
pub mod size;
pub mod source_rules;
pub mod template;
