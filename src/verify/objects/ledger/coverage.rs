//! How much of what a manifest expects was read, and when: from the ledger alone, nothing is read for it.

use std::path::Path;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::ledger::lines::Keys;
use crate::verify::objects::ledger::record::Reading;
use crate::verify::objects::ledger::state::State;
use crate::verify::objects::ledger::store::sorted_files;
use crate::verify::objects::source::EntryKind;

/// What was read of what is expected.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Coverage {
    /// Objects that the manifest expects.
    pub objects_expected: u64,
    /// Their bytes.
    pub bytes_expected: u64,
    /// Objects that were read since the pass began.
    pub objects_covered: u64,
    /// Their bytes.
    pub bytes_covered: u64,
    /// Objects that were read in an earlier pass only.
    pub objects_earlier: u64,
    /// Objects that were never read.
    pub objects_never: u64,
    /// The oldest among each object's newest reading.
    pub oldest: Option<Timestamp>,
    /// The newest of all.
    pub newest: Option<Timestamp>,
}

/// The state in `dir` beside what it says of the objects of `manifest`.
pub fn coverage(dir: &Path, manifest: &Manifest) -> Result<(State, Coverage), Failure> {
    let Some(state) = State::load(dir)? else {
        return Err(Failure::invalid(format!("{} holds no reading state", dir.display()))
            .hint("`attestore verify … --state DIR` makes one; --coverage shows it"));
    };
    let digest = manifest.digest().to_string();
    if state.purpose.manifest.as_ref().is_some_and(|of| *of != digest) {
        let of = state.purpose.manifest.as_deref().unwrap_or_default();
        return Err(Failure::invalid(format!("the reading state {} is of the manifest {of}, not of {digest}", dir.display()))
            .hint("name the manifest that the runs compared with"));
    }
    let mut coverage = Coverage::default();
    let mut keys = Keys::open(&sorted_files(dir))?;
    let mut at: Option<Vec<Reading>> = keys.next_key()?;
    let mut rows: Vec<ObjectRow> = Vec::new();
    for row in manifest.objects() {
        let row = row?;
        if rows.first().is_some_and(|first| (&first.key, first.key_escaped) != (&row.key, row.key_escaped)) {
            coverage.take_key(&mut rows, &mut keys, &mut at, state.pass_started)?;
        }
        if row.kind == EntryKind::Object {
            rows.push(row);
        }
    }
    coverage.take_key(&mut rows, &mut keys, &mut at, state.pass_started)?;
    Ok((state, coverage))
}

impl Coverage {
    /// Counts the rows of one key, which are drained.
    fn take_key(
        &mut self,
        rows: &mut Vec<ObjectRow>,
        keys: &mut Keys,
        at: &mut Option<Vec<Reading>>,
        pass_started: Timestamp,
    ) -> Result<(), Failure> {
        let Some(first) = rows.first() else { return Ok(()) };
        let name = (first.key.as_str(), first.key_escaped);
        while at.as_ref().and_then(|at| at.first()).is_some_and(|reading| reading.of.name() < name) {
            *at = keys.next_key()?;
        }
        let mut readings = match at.as_ref().and_then(|at| at.first()) {
            Some(reading) if reading.of.name() == name => at.take().unwrap_or_default(),
            _ => Vec::new(),
        };
        if at.is_none() && !readings.is_empty() {
            *at = keys.next_key()?;
        }
        for row in rows.drain(..) {
            self.objects_expected += 1;
            self.bytes_expected += row.size;
            // The version itself where the bucket is the captured one; in a restored one any version of the key stands for it.
            let own = readings.iter().position(|reading| row.version_id.is_some() && reading.of.version_id == row.version_id);
            let Some(index) = own.or_else(|| (!readings.is_empty()).then_some(0)) else {
                self.objects_never += 1;
                continue;
            };
            let read = readings.swap_remove(index).at;
            self.oldest = Some(self.oldest.map_or(read, |oldest| oldest.min(read)));
            self.newest = self.newest.max(Some(read));
            if read >= pass_started {
                self.objects_covered += 1;
                self.bytes_covered += row.size;
            } else {
                self.objects_earlier += 1;
            }
        }
        Ok(())
    }
}
