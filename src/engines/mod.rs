//! Real database servers over throw-away data directories: PostgreSQL, MariaDB and MySQL, started from copies, on loopback only; and
//! the forms in which databases are kept as files.
//!
//! The stand-in's RDS runs its instances with them, and a drill restores dumps and physical copies into them. Not here: what RDS calls
//! them, and when they are wanted.

pub mod archive_folder;
pub mod area;
pub mod base_tar;
pub mod binary_log;
pub mod client;
pub mod copies;
pub mod definers;
pub mod dumps;
pub mod installed;
pub mod last_words;
pub mod loading;
pub mod mariadb;
pub mod master;
pub mod memory;
pub mod mysql;
pub mod mysql_copy;
pub mod mysql_family;
pub mod mysql_loading;
pub mod mysql_script;
pub mod packed;
pub mod physical;
pub mod point_in_time;
pub mod postgres;
pub mod postgres_control;
pub mod postgres_locale;
pub mod process;
pub mod product;
pub mod psql_lexer;
pub mod psql_statement;
pub mod refusals;
pub mod room;
pub mod script;
pub mod servers;
pub mod sqlite_files;
pub mod time_zones;
