//! Objects and files: listing, streaming, hashing, capturing into a manifest and comparing with one.

pub mod source;
