//! Keys, signed notes, Merkle trees, checkpoints, SSHSIG: pure formats, no I/O but reading and creating a key file.
//!
//! Not here: what is signed and when; the testing log and the manifests decide that.

pub mod checkpoint;
pub mod hash_key;
pub mod key_file;
pub mod keys;
pub mod merkle;
pub mod merkle_path;
pub mod note;
pub mod sshsig;
