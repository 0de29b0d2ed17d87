//! The log as read: every entry with its bytes, number and leaf hash, whether or not it parses; and the rules that one entry alone can
//! break.

use crate::model::canonical_json;
use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::failure::Failure;
use crate::signing::keys::VerifyingKey;
use crate::signing::merkle;
use crate::signing::sshsig;
use crate::testing_log::entry::{Body, Entry, EntryError, LIMIT_BYTES};
use crate::testing_log::pages::Joiner;
use crate::testing_log::store::{Listing, LogDir};
use crate::testing_log::verify::fault::{Faults, Rule};

/// The namespace of sign-offs.
pub const SIGNOFF_NAMESPACE: &str = "attestore-signoff";

/// Clocks of honest machines differ by less.
const CLOCK_SKEW_S: i64 = 300;

/// Everything that was read.
#[derive(Debug)]
pub struct Reading {
    /// What lies in the directories.
    pub listing: Listing,
    /// Leaf hashes in the order of the files; `leaves[i]` is leaf `i` only while no entry is missing.
    pub leaves: Vec<Digest32>,
    /// The entries that parse, with their leaf numbers (those of their files).
    pub entries: Vec<(u64, Entry)>,
}

impl Reading {
    /// The entry at `leaf`, if it parses.
    pub fn entry(&self, leaf: u64) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&leaf, |(index, _)| *index).ok()?;
        Some(&self.entries[at].1)
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }
}

/// Reads all entries and checks each by itself. `now` is the clock where entries from the future are to be refused.
pub fn read(dir: &LogDir, key: &VerifyingKey, now: Option<Timestamp>, faults: &mut Faults) -> Result<Reading, Failure> {
    let listing = dir.listing()?;
    for name in &listing.strange {
        faults.whole(Rule::UnexpectedFile, format!("`{name}` has no place in a log"));
    }
    let mut reading = Reading { leaves: Vec::with_capacity(listing.entries.len()), entries: Vec::new(), listing };
    let (mut expected, mut joiner) = (0, Joiner::default());
    for &index in &reading.listing.entries {
        if index != expected {
            faults.at(Rule::EntryMissing, expected, format!("expected entry {expected}, found {index} next"));
        }
        expected = index + 1;
        let bytes = dir.entry_bytes(index)?;
        reading.leaves.push(merkle::leaf_hash(&bytes));
        match Entry::parse(&bytes) {
            Ok(entry) => {
                let entry = joiner.join(entry).unwrap_or_else(|(entry, what)| {
                    faults.at(Rule::PageMissing, index, what);
                    *entry
                });
                reading.entries.push((index, entry));
            }
            Err(EntryError::TooLong(_)) => {
                faults.at(Rule::EntryTooLong, index, format!("expected at most {LIMIT_BYTES} bytes, found more"));
            }
            Err(error) => faults.at(Rule::EntryUnreadable, index, error.to_string()),
        }
    }
    check_genesis(dir, key, &reading, faults);
    let mut last = Timestamp(i64::MIN);
    for (index, entry) in &reading.entries {
        check_entry(dir, key, *index, entry, &mut last, faults);
        if let Some(now) = now {
            let late = entry.at > now.plus_secs(CLOCK_SKEW_S);
            faults.demand(!late, Rule::TimeInFuture, *index, || format!("dated {}, and it is {now}", entry.at));
        }
    }
    Ok(reading)
}

fn check_genesis(dir: &LogDir, key: &VerifyingKey, reading: &Reading, faults: &mut Faults) {
    let expected = key.to_vkey(dir.origin());
    if dir.genesis_key() != key {
        let found = dir.genesis_key().to_vkey(dir.origin());
        faults.whole(Rule::WrongKey, format!("expected a log that began with {expected}, found that log.json names {found}"));
    }
    match reading.entry(0).map(|entry| &entry.body) {
        Some(Body::Genesis(genesis)) if genesis.verifier_key == expected => {}
        Some(Body::Genesis(genesis)) => {
            faults.at(Rule::WrongKey, 0, format!("expected a log that began with {expected}, found {}", genesis.verifier_key));
        }
        Some(other) => faults.at(Rule::GenesisMissing, 0, format!("expected log.genesis, found {}", other.kind())),
        None => faults.at(Rule::GenesisMissing, 0, "expected log.genesis, found no entry that can be read"),
    }
}

fn check_entry(dir: &LogDir, key: &VerifyingKey, index: u64, entry: &Entry, last: &mut Timestamp, faults: &mut Faults) {
    faults.demand(canonical_json::is_canonical(&entry.bytes), Rule::EntryNotCanonical, index, || {
        "its bytes are not the RFC 8785 form of what they say".into()
    });
    faults.demand(entry.seq == index, Rule::SeqNotIndex, index, || format!("expected seq {index}, found {}", entry.seq));
    faults.demand(entry.origin == dir.origin(), Rule::OriginDiffers, index, || {
        format!("expected origin `{}`, found `{}`", dir.origin(), entry.origin)
    });
    faults.demand(entry.at >= *last, Rule::TimeGoesBack, index, || format!("dated {}, after an entry dated {last}", entry.at));
    *last = entry.at.max(*last);
    let earlier = |leaf: u64| leaf < index;
    match &entry.body {
        Body::Genesis(_) if index > 0 => faults.at(Rule::GenesisRepeated, index, "a second log.genesis"),
        Body::Correction(correction) => faults.demand(earlier(correction.leaf), Rule::ReferenceNotEarlier, index, || {
            format!("corrects entry {}, which does not come before it", correction.leaf)
        }),
        Body::RemediationOpened(remediation) | Body::RemediationUpdated(remediation) | Body::RemediationClosed(remediation) => {
            faults.demand(earlier(remediation.about_leaf), Rule::ReferenceNotEarlier, index, || {
                format!("is about entry {}, which does not come before it", remediation.about_leaf)
            });
        }
        Body::SignOff(signoff) => {
            if let Err(what) = check_signoff(signoff, index, key) {
                faults.at(Rule::SignOffBad, index, what);
            }
        }
        _ => {}
    }
}

fn check_signoff(signoff: &crate::testing_log::body::SignOff, index: u64, log_key: &VerifyingKey) -> Result<(), String> {
    let reviewer = sshsig::parse_public_key(&signoff.reviewer_key).map_err(|error| format!("the reviewer's key: {error}"))?;
    if reviewer == *log_key {
        return Err("the reviewer signed with the log's own key".into());
    }
    if signoff.closed_leaf >= index {
        return Err(format!("reviews entry {}, which does not come before it", signoff.closed_leaf));
    }
    sshsig::verify(&signoff.sshsig, &reviewer, SIGNOFF_NAMESPACE, signoff.statement.as_bytes())
        .map_err(|error| format!("the reviewer's signature: {error}"))
}
