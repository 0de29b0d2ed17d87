//! Drills as a person runs them: points are drawn, restored, verified and taken down, and the log tells all of it.
//!
//! | Module | What it holds |
//! |---|---|
//! | `aws` | over the stand-in AWS: AWS Backup, RDS, DynamoDB, access points, kills at records of the journal |
//! | `local` | points that are local files: kills, locks, waivers, corrections, what is not drawn |
//! | `sqlite` | points that are SQLite files, packed and not, with their logs |
//! | `dumps` | points that are dumps of the usual forms |
//! | `dump_forms` | dumps of every other form: folders, hostile ones |
//! | `physical` | points that are physical copies of a server |
//! | `like_the_source` | dumps and copies of servers that were set up otherwise |
//! | `before` | what is found before anything is restored, or too late for a baseline |
//! | `unseen` | sources that could not be listed, or hold nothing: nothing else makes up for them |
//! | `left` | what drills leave that did not come to their end |
//! | `client_groups` | clients that load a dump end with their case |
//! | `mysql_dumps` | dumps and physical copies of a real MySQL, and what becomes of them where only MariaDB is |
//! | `dump_vault` | a server with data, dumps of it, and an estate whose points they are |
//!
//! Database servers are booted from fresh data directories; where none is installed, the tests that need one say so and are skipped, unless
//! `ATTESTORE_REQUIRE` names `postgres`, `mariadb` or `mysql`.

#[cfg(feature = "sandbox")]
mod aws;
mod before;
mod client_groups;
#[cfg(feature = "sandbox")]
#[path = "../common/clients.rs"]
mod clients;
#[path = "../common/drill_estate.rs"]
mod drill_estate;
mod dump_forms;
mod dump_vault;
mod dumps;
#[path = "../common/engines.rs"]
mod engines;
mod left;
mod like_the_source;
mod local;
mod mysql_dumps;
mod physical;
#[cfg(feature = "sandbox")]
#[path = "../common/servers.rs"]
mod servers;
mod sqlite;
mod unseen;
