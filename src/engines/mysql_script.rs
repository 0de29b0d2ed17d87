//! An SQL script of mysqldump or mariadb-dump on its way into the client: what is of the server that it was written on, and not of the data,
//! is left out.
//!
//! A server that is there for one drill has accounts, time zones and a place in a log of its own. Not here: what the script may do, which
//! the rights of its user decide (`mysql_family`), and loading it (`mysql_loading`).

use crate::engines::definers;

/// Where a dump says where the log of its server stood, and how that server is to be set meanwhile.
const POSITIONS: &[&[u8]] = &[
    b"CHANGE MASTER TO MASTER_",
    b"CHANGE MASTER '",
    b"CHANGE REPLICATION SOURCE TO SOURCE_",
    b"SET GLOBAL gtid_slave_pos=",
    b"SET @@GLOBAL.GTID_PURGED=",
    b"SET @@SESSION.SQL_LOG_BIN=",
    b"/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=OFF */;",
];

/// What it says of the same at its end.
const LAST_WORDS: &[&[u8]] = &[
    b"SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;",
    b"/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=@OLD_INNODB_STATS_AUTO_RECALC */;",
];

/// The titles of what programs say of the log after all data: MySQL's newer one, and MariaDB's of a dump for a replica.
const END_OF_DATA: &[&[u8]] = &[b"-- GTID state at the end of the backup", b"-- The deferred gtid setting for slave corresponding to the "];

/// What a dump with definitions or data goes on with.
const BEGINNINGS: &[&[u8]] = &[b"CREATE ", b"DROP ", b"USE ", b"INSERT ", b"LOCK ", b"DELIMITER "];

/// Follows a script line by line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Script {
    /// Something was defined or filled.
    begun: bool,
    /// Within a database of the server's own.
    of_the_server: bool,
    /// Within a statement about the log.
    position: bool,
    /// Within the bodies of routines, which hold any lines.
    body: bool,
}

impl Script {
    /// Whether the next line, with its end, goes to the client.
    pub fn passes(&mut self, line: &[u8]) -> bool {
        if let Some(delimiter) = line.strip_prefix(b"DELIMITER ") {
            self.body = delimiter.trim_ascii_end() != b";";
        } else if self.body {
            return !self.of_the_server;
        }
        if let Some(database) = database_of(line) {
            self.of_the_server = is_of_the_server(&database);
        }
        self.begun |= BEGINNINGS.iter().any(|beginning| line.starts_with(beginning));
        let begins_with = |starts: &[&[u8]]| starts.iter().any(|start| line.starts_with(start));
        self.begun &= !begins_with(END_OF_DATA);
        let position = self.position || begins_with(LAST_WORDS) || (!self.begun && begins_with(POSITIONS));
        self.position = position && !line.trim_ascii_end().ends_with(b";");
        !position && !self.of_the_server
    }
}

/// The database whose part of a dump of several begins with this line.
pub fn database_of(line: &[u8]) -> Option<String> {
    let name = line.strip_prefix(b"-- Current Database: ")?;
    definers::quoted(name).map(|(name, _)| name)
}

/// True where a table's options, as dumps write them, name a folder of their own: its files would stay there.
pub fn keeps_elsewhere(line: &[u8]) -> bool {
    let is_option = line.starts_with(b") ENGINE") || line.trim_ascii_start().starts_with(b"PARTITION ") || line.starts_with(b"(PARTITION ");
    let names = |wanted: &[u8]| line.windows(wanted.len()).any(|window| window == wanted);
    is_option && (names(b"DATA DIRECTORY") || names(b"INDEX DIRECTORY"))
}

/// Whether a statement names a time zone, as one of an event does, or works times out between zones. What rows hold is not looked at.
pub fn wants_zones(line: &[u8]) -> bool {
    let is_data = line.starts_with(b"INSERT ") || line.starts_with(b"REPLACE ") || line.starts_with(b"(");
    let among = |wanted: &[u8]| line.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted));
    let is_named = || {
        let after = &line[among(b"SET time_zone")? + b"SET time_zone".len()..];
        let value = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start().strip_prefix(b"'")?;
        Some(!value.starts_with(b"SYSTEM'") && !value.starts_with(b"+") && !value.starts_with(b"-"))
    };
    !is_data && (is_named().unwrap_or(false) || among(b"convert_tz(").is_some())
}

/// True for databases that a server makes for itself.
pub fn is_of_the_server(database: &str) -> bool {
    ["mysql", "sys", "information_schema", "performance_schema"].contains(&database.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_time_zone_is_seen_and_what_rows_hold_is_not() {
        for (line, named) in [
            ("/*!50003 SET time_zone             = 'Europe/Berlin' */ ;;", true),
            ("/*!40103 SET TIME_ZONE='+00:00' */;", false),
            ("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;", false),
            ("/*!50003 SET time_zone             = 'SYSTEM' */ ;;", false),
            ("/*!50003 SET @saved_time_zone      = @@time_zone */ ;;", false),
            ("  `there` datetime GENERATED ALWAYS AS (convert_tz(`at`,_utf8mb4'UTC',_utf8mb4'Europe/Berlin')) STORED,", true),
            ("INSERT INTO `notes` VALUES (1,'CONVERT_TZ(at, zone) and SET time_zone = \\'Europe/Berlin\\'');", false),
        ] {
            assert_eq!(wants_zones(line.as_bytes()), named, "{line}");
        }
    }

    #[test]
    fn the_servers_own_is_left_out() {
        let text = "-- MySQL dump 10.13\nSET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\nSET @@SESSION.SQL_LOG_BIN= 0;\n\
            SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5,\nb:1-3';\nCHANGE MASTER TO MASTER_LOG_FILE='b.1', MASTER_LOG_POS=4;\n\
            -- Current Database: `crm`\nUSE `crm`;\nCHANGE MASTER TO MASTER_HOST='x';\n-- Current Database: `mysql`\nUSE `mysql`;\n\
            DROP TABLE func;\n-- Current Database: `o``ther`\nUSE `o``ther`;\nSET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;\n-- Dump completed\n";
        let mut script = Script::default();
        let passed: Vec<&str> = text.split_inclusive('\n').filter(|line| script.passes(line.as_bytes())).map(str::trim_end).collect();
        assert_eq!(
            passed,
            [
                "-- MySQL dump 10.13",
                "SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;",
                "-- Current Database: `crm`",
                "USE `crm`;",
                // Whether it may is not decided here.
                "CHANGE MASTER TO MASTER_HOST='x';",
                "-- Current Database: `o``ther`",
                "USE `o``ther`;",
                "-- Dump completed",
            ]
        );
        let text = "/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=OFF */;\nCREATE TABLE t (a int);\nDELIMITER ;;\n-- Current Database: `mysql`\n\
            SET @@GLOBAL.GTID_PURGED='in a body';\n-- GTID state at the end of the backup\nDELIMITER ;\nSET @@GLOBAL.GTID_PURGED='too early';\n\
            -- GTID state at the end of the backup \n\nSET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5,\nb:1-3';\n-- Dump completed\n\
            /*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=@OLD_INNODB_STATS_AUTO_RECALC */;\n";
        let mut script = Script::default();
        let left_out: Vec<&str> = text.split_inclusive('\n').filter(|line| !script.passes(line.as_bytes())).map(str::trim_end).collect();
        assert_eq!(
            left_out,
            [
                "/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=OFF */;",
                "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5,",
                "b:1-3';",
                "/*!50606 SET GLOBAL INNODB_STATS_AUTO_RECALC=@OLD_INNODB_STATS_AUTO_RECALC */;",
            ]
        );
        let text = "CHANGE MASTER 'east' TO MASTER_USE_GTID=slave_pos;\nCREATE TABLE t (a int);\nSET GLOBAL gtid_slave_pos='too early';\n\
            -- The deferred gtid setting for slave corresponding to the master-data CHANGE-MASTER follows\n\
            -- Preferably use GTID to start replication from GTID position:\n\nSET GLOBAL gtid_slave_pos='0-7-19';\n-- Dump completed\n";
        let mut script = Script::default();
        let left_out: Vec<&str> = text.split_inclusive('\n').filter(|line| !script.passes(line.as_bytes())).map(str::trim_end).collect();
        assert_eq!(left_out, ["CHANGE MASTER 'east' TO MASTER_USE_GTID=slave_pos;", "SET GLOBAL gtid_slave_pos='0-7-19';"]);
        assert!(keeps_elsewhere(b") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 DATA DIRECTORY='/tmp/x/'"));
        assert!(keeps_elsewhere(b"(PARTITION `p0` VALUES LESS THAN (10) DATA DIRECTORY = '/tmp/x' ENGINE = InnoDB,"));
        assert!(!keeps_elsewhere(b"INSERT INTO t VALUES ('DATA DIRECTORY=');"));
        assert_eq!(database_of(b"-- Current Database: `o``ther`\n").as_deref(), Some("o`ther"));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_taken(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = Script::default().passes(&line);
            let _ = database_of(&[&b"-- Current Database: "[..], &line].concat());
        }
    }
}
