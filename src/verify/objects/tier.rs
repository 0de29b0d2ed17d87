//! Tiers of evidence and of cost: a listing alone, attributes of each object, or every byte; and what each does not prove.
//!
//! Not here: finding any of it out (`gather`).

use std::fmt;
use std::str::FromStr;

use crate::model::failure::Failure;

/// How deep evidence goes; each tier contains those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Tier {
    /// What a listing says: keys, versions, sizes, ETags, storage classes. A request per thousand objects.
    Inventory,
    /// What the store says of each object: checksums that it keeps, metadata, tags, locks. A request or two per object.
    Attributes,
    /// Every byte, read and digested here.
    #[default]
    Content,
}

impl Tier {
    /// The spelling in `--tier`, in manifests and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Attributes => "attributes",
            Self::Content => "content",
        }
    }

    /// What even a full match at this tier does not prove; empty for `content`.
    pub fn does_not_prove(self) -> &'static [&'static str] {
        match self {
            Self::Inventory => &[
                "no byte of content was read: a damaged object of the same size looks the same",
                "metadata, tags, locks and the checksums that the store keeps were not asked for",
                "that the listed objects can be read at all",
            ],
            Self::Attributes => &[
                "no byte of content was read: checksums are what the store says that it once received, not what it would give back",
                "that the objects can be read at all",
            ],
            Self::Content => &[],
        }
    }

    /// Refuses to keep what was read where nothing is.
    pub fn check_keeps_state(self) -> Result<(), Failure> {
        if self == Self::Content {
            return Ok(());
        }
        let said = format!("--state keeps what was read of contents, and the tier {self} reads none");
        Err(Failure::invalid(said).hint("leave --state out, or use --tier content"))
    }

    /// The tier that a manifest was captured at.
    pub fn of_header(tier: Option<&str>) -> Result<Self, Failure> {
        tier.map_or(Ok(Self::Content), |tier| tier.parse().map_err(|error| Failure::invalid(format!("the manifest's `tier`: {error}"))))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Inventory, Self::Attributes, Self::Content]
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| format!("unknown tier `{text}`; expected `inventory`, `attributes` or `content`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_every_byte_leaves_nothing_unsaid() {
        for text in ["inventory", "attributes", "content"] {
            assert_eq!(text.parse::<Tier>().unwrap().to_string(), text);
        }
        assert!(Tier::Content.does_not_prove().is_empty() && !Tier::Attributes.does_not_prove().is_empty());
        assert!(Tier::Inventory < Tier::Attributes && "bytes".parse::<Tier>().is_err());
        assert_eq!(Tier::of_header(None).unwrap(), Tier::Content);
    }
}
