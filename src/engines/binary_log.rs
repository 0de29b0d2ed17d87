//! The binary log of MariaDB and MySQL, as a server that keeps one writes it beside its data.
//!
//! Not here: which servers keep one (`mysql_family`), and what is replayed over which copy (`point_in_time`).

use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::process::Command;

use crate::engines::area::{self, Area};
use crate::engines::installed::{EngineKind, Programs};
use crate::model::failure::{Failure, FailureKind};

/// The statement that closes the log file that is written to.
pub const CLOSE: &str = "FLUSH BINARY LOGS;\n";

/// The log files of a data directory, oldest first, by their names.
fn log_files(home: &Path) -> Result<Vec<String>, Failure> {
    let path = home.join("data/binlog.index");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))?;
    Ok(text.lines().filter_map(|line| line.rsplit('/').next()).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The engine's own program over the log of the server in `source`, from where the copy in `base` ends: up to an instant, or all of it.
///
/// The log's times are those at which statements began, in whole seconds; the first event of the second `until` or later ends it.
pub fn reader(
    (kind, programs): (EngineKind, &Programs),
    area: &Area,
    base: &Path,
    source: &Path,
    until: Option<DateTime<Utc>>,
) -> Result<Command, Failure> {
    let known = log_files(base)?;
    let from = known.last().ok_or_else(|| Failure::new(FailureKind::Absent, format!("{} keeps no log", base.display())))?;
    let path = base.join("data").join(from);
    let start = std::fs::metadata(&path).map_err(|error| Failure::io(format!("cannot look at {}", path.display()), error))?.len();
    let files = log_files(source)?.into_iter().skip_while(|name| name != from).map(|name| source.join("data").join(name));
    let program = match kind {
        EngineKind::MySql => programs.tool_of_mysql("mysqlbinlog")?,
        _ => programs.tool(&["mariadb-binlog", "mysqlbinlog"])?,
    };
    let mut command = area::command(area, &program);
    command.arg("--no-defaults").arg(format!("--start-position={start}"));
    if let Some(until) = until {
        command.arg(format!("--stop-datetime={}", until.format("%Y-%m-%d %H:%M:%S")));
    }
    command.args(files);
    Ok(command)
}
