//! The report, a function of the log alone.
//!
//! | Module | What it holds |
//! |---|---|
//! | `page` | its structure, what hostile text does to it, its limits, the command that writes it |
//! | `fixture` | a log of a bank’s two drills with every kind of outcome |

mod fixture;
mod page;
