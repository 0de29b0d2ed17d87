//! What is known beside a population: of its configuration, and of the listings that it was made from.

use std::collections::BTreeMap;

use crate::model::digest::Sha256Digest;
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::listing::Listing;

/// What a population is held to.
pub struct Known<'a> {
    /// Of its configuration.
    pub demands: Option<&'a Demands>,
    /// The listings that are at hand.
    pub listings: &'a [Listing<'a>],
    /// The names of those that are not.
    pub withheld: &'a [&'a str],
    /// The names of all.
    pub labels: &'a BTreeMap<String, Sha256Digest>,
}
