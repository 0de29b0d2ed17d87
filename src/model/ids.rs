//! Identifiers: of a drill, of its cases, of resources and of recovery points.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

identifier!(
    /// One drill: `dYYYYMMDD-HHMMSS-xxxx`, lower case, fit for the names of buckets, tables and database instances.
    DrillId
);
identifier!(
    /// One recovery point in one drill: the drill's id, `-c`, two or more digits (`d20260131-020000-7f3a-c03`).
    CaseId
);
identifier!(
    /// A resource of the estate, as `id` in `attestore.toml` names it.
    ResourceId
);
identifier!(
    /// A recovery point: its ARN; for a point in time `ARN@TIME`; local `file:RESOURCE/RELATIVE`; non-ASCII percent-encoded.
    PointId
);

impl CaseId {
    /// The `index`th case of `drill`, counted from 1.
    pub fn of(drill: &DrillId, index: usize) -> Self {
        Self(format!("{drill}-c{index:02}"))
    }
}

impl PointId {
    /// A recovery point kept beside AWS; `relative` is the path below the resource's vault, with `/` between its parts.
    pub fn local(resource: &ResourceId, relative: &str) -> Self {
        Self(percent_encode_non_ascii(&format!("file:{resource}/{relative}")))
    }

    /// An AWS recovery point by its ARN.
    pub fn arn(arn: &str) -> Self {
        Self(percent_encode_non_ascii(arn))
    }

    /// What somebody gives as the identity of a recovery point: of a point in time, whatever way its second is written.
    ///
    /// # Errors
    /// Where the time is not a whole second: no service restores to less.
    pub fn given(text: &str) -> Result<Self, String> {
        let in_time = text.rsplit_once('@').filter(|_| text.starts_with("arn:"));
        let Some((arn, at)) = in_time.and_then(|(arn, at)| Some((arn, at.parse::<crate::model::clock::Timestamp>().ok()?))) else {
            return Ok(Self::arn(text));
        };
        let whole = crate::model::clock::Timestamp::from_secs(at.as_secs());
        if whole != at {
            return Err(format!("recovery point {text}: expected a whole second, which services restore to, found a part of one"));
        }
        Ok(Self::at(arn, at))
    }

    /// The second of a point in time of this ARN, where it is spelled as the identities of points are.
    pub fn second_of(&self, arn: &str) -> Option<crate::model::clock::Timestamp> {
        let at = self.0.rsplit_once('@')?.1.parse().ok()?;
        (Self::at(arn, at) == *self).then_some(at)
    }

    /// A point in time of the resource with this ARN, in whole seconds: `ARN@2026-01-31T02:00:00Z`.
    pub fn at(arn: &str, time: crate::model::clock::Timestamp) -> Self {
        Self(percent_encode_non_ascii(&format!("{arn}@{}", time.to_chrono().format("%Y-%m-%dT%H:%M:%SZ"))))
    }
}

/// `%` too: a file that is really named `%C3%A9` is not the one named `é`.
const ENCODED: percent_encoding::AsciiSet = percent_encoding::CONTROLS.add(b'%');

fn percent_encode_non_ascii(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, &ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_ascii_is_percent_encoded() {
        assert_eq!(PointId::local(&"app".into(), "käse.db").0, "file:app/k%C3%A4se.db");
        assert_eq!(PointId::local(&"app".into(), "k%C3%A4se.db").0, "file:app/k%25C3%25A4se.db", "another file");
        let at = "2026-01-31T02:00:00.900Z".parse().unwrap();
        assert_eq!(PointId::at("arn:aws:rds:eu-west-2:1:db:crm", at).0, "arn:aws:rds:eu-west-2:1:db:crm@2026-01-31T02:00:00Z");
        assert_eq!(CaseId::of(&"d1".into(), 3).0, "d1-c03");
    }

    #[test]
    fn a_second_is_itself_whatever_way_it_is_written() {
        let (arn, canonical) = ("arn:aws:dynamodb:eu-west-2:1:table/t", "arn:aws:dynamodb:eu-west-2:1:table/t@2026-01-31T02:00:00Z");
        for at in ["2026-01-31T02:00:00Z", "2026-01-31T02:00:00.000Z", "2026-01-31T03:00:00+01:00"] {
            assert_eq!(PointId::given(&format!("{arn}@{at}")).unwrap().0, canonical);
        }
        assert!(PointId::given(&format!("{arn}@2026-01-31T02:00:00.5Z")).unwrap_err().contains("a whole second"));
        for other in ["arn:aws:rds:eu-west-2:1:snapshot:a@b", "file:app/a@2026-01-31T02:00:00.5Z"] {
            assert_eq!(PointId::given(other).unwrap().0, other);
        }
        assert_eq!(PointId(canonical.into()).second_of(arn), Some("2026-01-31T02:00:00Z".parse().unwrap()));
        for (id, of) in [(canonical, "arn:x"), ("arn:x@2026-01-31T02:00:00.000Z", "arn:x"), ("arn:x@now", "arn:x")] {
            assert_eq!(PointId(id.into()).second_of(of), None, "{id}");
        }
    }
}
