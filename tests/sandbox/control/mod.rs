//! The sandbox's control planes, spoken to by the Rust SDK over the wire: what a drill does, what lies to it, and what a kill leaves.
//!
//! boto3 goes through the operations one by one in `tests/foreign`. Databases are skipped visibly where no server is installed, unless
//! `ATTESTORE_REQUIRE` names `postgres` or `mariadb`.

mod access_points;
mod databases;
mod faults;
mod point_in_time;
mod restart;
mod tables;
mod tokens;
