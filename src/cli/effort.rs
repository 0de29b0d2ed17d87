//! Options of the commands that read objects: how much at a time, how patiently, for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::object_args::refuse_first;
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::manifest::request::{Effort, StateDir};

/// Options that are shared by `verify` and `manifest create`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Reading objects")]
pub struct EffortArgs {
    /// Bytes of content in memory at any time, such as 64MiB [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub budget: Option<u64>,
    /// Requests under way at any time [default: as many as prove best]
    #[arg(long, value_name = "N", value_parser = concurrency)]
    pub concurrency: Option<usize>,
    /// A request or a body that brings nothing for so long is asked for again [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub stall: Option<Duration>,
    /// Begin no read after so long, such as 90m; what is under way is finished
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time_limit: Option<Duration>,
    /// Begin no read after so many bytes, such as 200GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_bytes: Option<u64>,
    /// Keep in this directory what was read, and go on from there: interrupted and bounded runs are repeated until all is covered. Of
    /// objects, contents alone are kept: a lesser tier refuses it. Of a database, ranges of tables, as long as it stands still
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// What was read within this time need not be read again [default: since the current pass began]
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "state")]
    pub max_age: Option<Duration>,
}

impl EffortArgs {
    /// The defaults with what was said.
    pub fn effort(&self) -> Effort {
        let usual = Effort::default();
        Effort {
            budget_bytes: self.budget.unwrap_or(usual.budget_bytes),
            concurrency: self.concurrency,
            stall: self.stall.unwrap_or(usual.stall),
            time_limit: self.time_limit,
            max_bytes: self.max_bytes,
            state: self.state.clone().map(|path| StateDir { path, max_age: self.max_age }),
        }
    }
}

impl EffortArgs {
    /// Refuses options that mean nothing for a database: its tables are read whole, and only ranges of them are kept.
    pub fn refuse(&self, url: &SourceUrl) -> Result<(), Failure> {
        if !matches!(url, SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. }) {
            return Ok(());
        }
        let given = [
            (self.budget.is_some(), "--budget"),
            (self.concurrency.is_some(), "--concurrency"),
            (self.stall.is_some(), "--stall"),
            (self.time_limit.is_some(), "--time-limit"),
            (self.max_bytes.is_some(), "--max-bytes"),
            (self.max_age.is_some(), "--max-age"),
        ];
        refuse_first(url, "has no objects", &given)
    }
}

/// A number of bytes with a unit: `64MiB`, `1.5GB`, `4096`.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 11] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("PiB", 1 << 50),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    let bad = || format!("`{text}` is no size; expected a number and a unit, such as 64MiB, 200GiB or 1TB");
    scaled(text, &UNITS).filter(|bytes| *bytes >= 1.0 && *bytes < 9e18).map(|bytes| bytes as u64).ok_or_else(bad)
}

/// A length of time with a unit: `30s`, `90m`, `2h`, `7d`, `500ms`.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let bad = || format!("`{text}` is no length of time; expected a number and a unit, such as 30s, 90m, 2h or 7d");
    scaled(text, &UNITS).filter(|ms| *ms >= 1.0 && *ms < 9e14).map(|ms| Duration::from_millis(ms as u64)).ok_or_else(bad)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    Some(number.parse::<f64>().ok()? * *factor as f64)
}

fn concurrency(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=4096).contains(n)).ok_or_else(|| format!("`{text}` is no number of requests; expected 1 to 4096"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        for (text, bytes) in [("64MiB", 64 << 20), ("4096", 4096), ("1.5 GiB", 3 << 29), ("2TB", 2_000_000_000_000), ("1B", 1)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1e9", "1XB", "0", "1.2.3GB", "99999999999TiB"] {
            assert!(size(text).unwrap_err().contains(text), "{text}");
        }
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for text in ["", "5", "0s", "s", "1w", "-3s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
