//! Databases: fingerprints, captures, comparisons, definitions, changes, checks, on the command line and on real servers.
//!
//! | Module | What it holds |
//! |---|---|
//! | `vectors` | canonical rows against their published vectors and a second implementation in Python |
//! | `engine_values` | a value of each type of each engine, and the field that it is |
//! | `engine_versions` | one data set in two versions of an engine: rows, definitions, a manifest of one compared with the other |
//! | `across_engines` | one data set in PostgreSQL, MariaDB and SQLite; two live databases against each other |
//! | `postgres, mysql, sqlite` | an engine each: every type, comparison, checks |
//! | `real_mysql` | MySQL itself, where it is installed: types, logins, large rows, rights |
//! | `postgres_faults, mysql_faults` | what goes wrong while tables are read, damaged pages, the wrong answers of other tools |
//! | `between_tables` | servers that end when a table has been read |
//! | `postgres_wire, mysql_wire, mysql_large` | rows read without the driver, logins, large values, wires that lie |
//! | `refusals, tokens` | what a server refuses: TLS, certificates, passwords; tokens of IAM |
//! | `rights` | what a reader may see, and what it is not shown |
//! | `settings` | what a server is set to, and how its objects are called: no affair of what is read |
//! | `definitions` | what a database defines beside its rows |
//! | `columns` | tables whose columns differ |
//! | `ranges` | leaves that are ranges of keys |
//! | `names` | what a manifest alone can name: rows that are gone, columns that differ |
//! | `changes` | a database that went on after its capture, beside a log of what was written |
//! | `prefixes, prefixes_of_texts, partitions` | rows up to a value of a column, and up to a text; closed partitions, and added ones |
//! | `resume` | lanes, and readings that were cut short |
//! | `unreached` | readings that did not come to their end, or had one session only: what stays expected, what was really read |
//! | `usage` | mistakes in what is declared of a database, and in its address |
//! | `writing` | manifests that cannot be written |
//! | `check_packs, baselines, canaries, cli` | the shipped packs; numbers beside a manifest's; planted values; `attestore check` as a person runs it |
//! | `support` | one database of a throw-away server, captured and compared |
//!
//! Database servers are booted from fresh data directories; where none is installed, the tests that need one say so and are skipped, unless
//! `ATTESTORE_REQUIRE` names `postgres`, `mariadb` or `mysql`.

mod across_engines;
mod baselines;
mod between_tables;
mod canaries;
mod changes;
mod check_packs;
#[cfg(feature = "sandbox")]
mod cli;
mod columns;
mod definitions;
mod engine_values;
mod engine_versions;
#[cfg(feature = "sandbox")]
#[path = "../common/engines.rs"]
mod engines;
mod mysql;
mod mysql_faults;
mod mysql_large;
mod mysql_wire;
mod names;
mod partitions;
mod postgres;
mod postgres_faults;
mod postgres_wire;
mod prefixes;
mod prefixes_of_texts;
mod ranges;
mod real_mysql;
#[cfg(feature = "sandbox")]
mod refusals;
mod resume;
mod rights;
#[path = "../common/servers.rs"]
mod servers;
mod settings;
mod sqlite;
mod support;
#[cfg(feature = "sandbox")]
mod tokens;
mod unreached;
mod usage;
mod vectors;
mod writing;
