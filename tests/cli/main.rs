//! The program as a person meets it: every command of the README, the demo, a configuration, and what bad input is answered with.
//!
//! | Module | What it holds |
//! |---|---|
//! | `bad_input` | a wrong word, file, key, state or server: the error names the thing, what was expected, what was found and what to do next |
//! | `config` | `attestore.toml`: every field, what is refused, what it says where nothing is |
//! | `demo` | `attestore demo` on a machine without database servers, stopped, killed and gone on with |
//! | `readme` | the README, command by command, in one shell |
//!
//! Database servers are booted from fresh data directories; where none is installed, the tests that need one say so and are skipped, unless
//! `ATTESTORE_REQUIRE` names `postgres` or `mariadb`.

#[cfg(feature = "sandbox")]
mod bad_input;
mod config;
#[cfg(feature = "sandbox")]
mod demo;
#[cfg(feature = "sandbox")]
#[path = "../common/drill_estate.rs"]
mod drill_estate;
mod readme;
#[cfg(feature = "sandbox")]
#[path = "../common/servers.rs"]
mod servers;
