//! Objects and files: listing, streaming, hashing, capturing into a manifest and comparing with one.
//!
//! Not here: any AWS call (the edge implements `source::ObjectSource`), and the manifest's own format.

pub mod align;
pub mod capture;
pub mod chain;
pub mod climb;
pub mod compare;
pub mod content;
pub mod dir;
pub mod evidence;
pub mod fetch;
pub mod fields;
pub mod filter;
pub mod flow;
pub mod gather;
pub mod groups;
pub mod incremental;
pub mod judge;
pub mod keys;
pub mod ledger;
pub mod local;
pub mod moment;
pub mod quota;
pub mod ranges_known;
pub mod reading;
pub mod replica;
pub mod source;
pub mod split;
pub mod stretch;
pub mod tier;
