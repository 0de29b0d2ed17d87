//! The testing log: written, verified, tampered with, shown.
//!
//! | Module | What it holds |
//! |---|---|
//! | `whole` | a log of a whole drill verifies; what anchors it; what is no fault |
//! | `tamper` | everything that could be done to a log, and the named fault that it ends in |
//! | `cli` | `log verify` and `log show` on the command line |
//! | `public_tools` | the same log under openssl, ssh-keygen and ten lines of Python |
//! | `promised` | the drill of `support` as versions write it whose plan promises what results state |
//! | `support` | a log of a drill, told by a story that a test can bend |

mod cli;
mod promised;
mod public_tools;
mod support;
mod tamper;
mod whole;
