//! Instants: microseconds since 1970-01-01T00:00:00Z, spelled as RFC 3339 in UTC with milliseconds and `Z`.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The system clock, cut to milliseconds so that the instant survives its own spelling.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis() * 1000)
    }

    /// From whole seconds since the epoch.
    pub fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1_000_000)
    }

    /// Whole seconds since the epoch, towards minus infinity.
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Milliseconds from `earlier` to `self`; negative when the order is the other way round.
    pub fn millis_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).div_euclid(1000)
    }

    /// This instant moved by `seconds`.
    pub fn plus_secs(self, seconds: i64) -> Self {
        Self(self.0 + seconds * 1_000_000)
    }

    /// The same instant for chrono; instants outside chrono's range give the epoch's end.
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// The text was not an RFC 3339 date and time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a time such as 2026-01-31T02:00:00Z, found `{0}`")]
pub struct BadTime(pub String);

impl FromStr for Timestamp {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.timestamp_micros())).map_err(|_| BadTime(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled_with_milliseconds_and_z() {
        let time: Timestamp = "2026-01-31T03:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T02:00:00.000Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
        let now = Timestamp::now();
        assert_eq!(now.to_string().parse(), Ok(now));
    }
}
