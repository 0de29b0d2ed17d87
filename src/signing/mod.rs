//! Keys, signed notes, Merkle trees, checkpoints, SSHSIG: pure formats, no I/O but reading a key file.
