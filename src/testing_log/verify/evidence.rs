//! Evidence: what is there must be what its name promises; what is not there is withheld, and that is no fault (it may have to be
//! erased, and entries hold nothing personal).

use std::collections::BTreeSet;

use crate::model::digest::Sha256Digest;
use crate::model::failure::Failure;
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::evidence::EvidenceState;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::reading::Reading;

/// What became of the evidence that entries name.
#[derive(Debug, Default)]
pub struct Kept {
    /// There, as named.
    pub present: u64,
    /// Not there.
    pub withheld: Vec<Sha256Digest>,
}

/// The evidence that an entry names.
pub fn named_by(entry: &Entry) -> Vec<Sha256Digest> {
    match &entry.body {
        Body::PolicySet(policy) => [policy.config].into_iter().chain(policy.packs).collect(),
        Body::PopulationCommitted(population) => population.listings.values().copied().collect(),
        Body::PointResult(result) => {
            let raw = result.restore.as_ref().and_then(|restore| restore.raw_describe);
            let full = result.verify.as_ref().and_then(|facts| facts.findings.full);
            raw.into_iter().chain(full).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads all evidence through, named or not.
pub fn check(dir: &LogDir, reading: &Reading, faults: &mut Faults) -> Result<Kept, Failure> {
    let (there, strange) = dir.evidence_names()?;
    for name in strange {
        faults.whole(Rule::UnexpectedFile, format!("`{name}` has no place in a log"));
    }
    let named: BTreeSet<Sha256Digest> = reading.entries.iter().flat_map(|(_, entry)| named_by(entry)).collect();
    let mut kept = Kept::default();
    for digest in there.union(&named) {
        match dir.evidence_state(digest)? {
            EvidenceState::Present if named.contains(digest) => kept.present += 1,
            EvidenceState::Present => {}
            EvidenceState::Withheld => kept.withheld.push(*digest),
            EvidenceState::Differs => {
                let leaf = reading.entries.iter().find(|(_, entry)| named_by(entry).contains(digest)).map(|(leaf, _)| *leaf);
                let message = format!("evidence {digest}: its bytes are not those that its name promises");
                match leaf {
                    Some(leaf) => faults.at(Rule::EvidenceDiffers, leaf, message),
                    None => faults.whole(Rule::EvidenceDiffers, message),
                }
            }
        }
    }
    Ok(kept)
}
