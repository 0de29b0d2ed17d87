//! The findings of one case: labelled for whoever watches, written as JSON lines for the evidence, the first ones kept for the entry.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::sync::{Arc, Mutex};

use crate::model::digest::Digest32;
use crate::model::failure::Failure;
use crate::model::finding::{Class, Finding, Place};
use crate::model::ids::{CaseId, ResourceId};
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::testing_log::point_result::InlineFinding;

/// An entry shows at most so many findings.
pub const INLINE: usize = 20;

/// The context in which places are keyed, so that nothing personal is written for ever.
const PLACE_CONTEXT: &str = "attestore finding place v1";

/// Between a comparison and whoever watches the drill.
pub struct Sink {
    outer: Arc<dyn Monitor>,
    case: CaseId,
    resource: ResourceId,
    // Differences from a manifest of another moment may be changes: without evidence they are indeterminate.
    downgraded: bool,
    // A restored table has the drill's name; findings name the one that the manifest is of.
    renamed: Option<(String, String)>,
    place_key: [u8; 32],
    kept: Mutex<Kept>,
}

struct Kept {
    lines: BufWriter<File>,
    total: u64,
    inline: Vec<InlineFinding>,
    broken: Option<std::io::Error>,
}

/// What was found.
pub struct Found {
    /// How many.
    pub total: u64,
    /// The first ones, without clear names.
    pub inline: Vec<InlineFinding>,
    /// All of them as JSON lines, from the beginning; nothing where there are none.
    pub lines: Option<File>,
}

impl Sink {
    /// Listens for one case.
    pub fn new(
        outer: Arc<dyn Monitor>,
        case: &CaseId,
        resource: &ResourceId,
        downgraded: bool,
        hash_key: &HashKey,
    ) -> Result<Self, Failure> {
        let file = tempfile::tempfile().map_err(|error| Failure::io("create a temporary file for findings", error))?;
        let kept = Kept { lines: BufWriter::new(file), total: 0, inline: Vec::new(), broken: None };
        let place_key = hash_key.derive(PLACE_CONTEXT);
        let (case, resource) = (case.clone(), resource.clone());
        Ok(Self { outer, case, resource, downgraded, renamed: None, place_key, kept: Mutex::new(kept) })
    }

    /// Findings that name the table `restored` will name `source` instead.
    #[must_use]
    pub fn renaming(mut self, restored: &str, source: &str) -> Self {
        self.renamed = Some((restored.to_owned(), source.to_owned()));
        self
    }

    fn rename(&self, place: &mut Place) {
        let Some((restored, source)) = &self.renamed else { return };
        let (Place::Key(text) | Place::Row(text) | Place::Item(text) | Place::Bucket(text)) = place;
        if let Some(rest) = text.strip_prefix(restored.as_str())
            && (rest.is_empty() || rest.starts_with(' '))
        {
            *text = format!("{source}{rest}");
        }
    }

    /// Everything that was found.
    pub fn finish(self) -> Result<Found, Failure> {
        let kept = self.kept.into_inner().expect("no panic while held");
        let about = |error| Failure::io("write findings", error);
        if let Some(error) = kept.broken {
            return Err(about(error));
        }
        let mut file = kept.lines.into_inner().map_err(|error| about(error.into_error()))?;
        file.rewind().map_err(about)?;
        Ok(Found { total: kept.total, inline: kept.inline, lines: (kept.total > 0).then_some(file) })
    }

    fn keep(&self, finding: &Finding) {
        let mut kept = self.kept.lock().expect("no panic while held");
        kept.total += 1;
        if kept.inline.len() < INLINE {
            kept.inline.push(self.inline(finding));
        }
        if let Err(error) = writeln!(kept.lines, "{}", finding.to_json()) {
            kept.broken.get_or_insert(error);
        }
    }

    fn inline(&self, finding: &Finding) -> InlineFinding {
        let (member, place) = finding.place.parts();
        let mut hasher = blake3::Hasher::new_keyed(&self.place_key);
        for part in [member, place, finding.version_id.as_deref().unwrap_or_default()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        InlineFinding {
            id: Digest32(*hasher.finalize().as_bytes()).hex()[..16].to_owned(),
            class: finding.class,
            kind: finding.kind,
            expected: finding.expected.clone().filter(|text| is_impersonal(text)),
            actual: finding.actual.clone().filter(|text| is_impersonal(text)),
        }
    }
}

impl Monitor for Sink {
    fn event(&self, event: Event<'_>) {
        let Event::Finding(finding) = event else { return self.outer.event(event) };
        let mut finding = finding.clone();
        finding.case = Some(self.case.clone());
        finding.resource = Some(self.resource.clone());
        self.rename(&mut finding.place);
        if self.downgraded && matches!(finding.class, Class::Mismatch | Class::Missing | Class::Extra) {
            finding.class = Class::Indeterminate;
        }
        self.keep(&finding);
        self.outer.event(Event::Finding(&finding));
    }

    fn stop_requested(&self) -> bool {
        self.outer.stop_requested()
    }
}

/// A digest, a size or a count: all that an entry may say for ever.
fn is_impersonal(text: &str) -> bool {
    let digest = text.rsplit(':').next().unwrap_or(text);
    let is_digest = (16..=64).contains(&digest.len()) && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let number = text.strip_suffix(" bytes").or_else(|| text.strip_suffix(" rows")).unwrap_or(text);
    let is_number = !number.is_empty() && number.len() < 16 && number.bytes().all(|b| b.is_ascii_digit());
    let prefix = text.len() - digest.len();
    (is_digest && matches!(&text[..prefix], "" | "sha256:" | "blake3:")) || is_number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Kind;
    use crate::monitor::Collected;
    use std::io::Read;

    #[test]
    fn findings_are_labelled_kept_in_clear_and_keyed_inline() {
        let outer = Arc::new(Collected::default());
        let sink = Sink::new(outer.clone(), &"d-c01".into(), &"app".into(), true, &HashKey::from_bytes([7; 32])).unwrap();
        for n in 0..25 {
            let mut finding = Finding::new(Class::Mismatch, Kind::Row, Place::Row(format!("accounts name=Alice{n}")));
            finding.expected = Some("Alice".into());
            finding.actual = Some("ab".repeat(16));
            sink.event(Event::Finding(&finding));
        }
        let found = sink.finish().unwrap();
        assert_eq!((found.total, found.inline.len()), (25, INLINE));
        let inline = serde_json::to_string(&found.inline).unwrap();
        assert!(!inline.contains("Alice"), "{inline}");
        assert!(inline.contains(&"ab".repeat(16)) && inline.contains("indeterminate"));
        let mut lines = String::new();
        found.lines.unwrap().read_to_string(&mut lines).unwrap();
        assert_eq!(lines.lines().count(), 25);
        assert!(lines.contains("Alice24") && lines.contains("\"case\":\"d-c01\""));
        assert_eq!(outer.findings()[0].resource, Some("app".into()));
    }

    #[test]
    fn a_restored_table_is_called_by_its_own_name() {
        let outer = Arc::new(Collected::default());
        let sink = Sink::new(outer.clone(), &"c".into(), &"r".into(), false, &HashKey::from_bytes([7; 32])).unwrap();
        let sink = sink.renaming("attestore-d-c01", "audit-logs");
        for text in ["attestore-d-c01 id=7", "attestore-d-c01", "attestore-d-c012 id=7"] {
            sink.event(Event::Finding(&Finding::new(Class::Mismatch, Kind::Item, Place::Item(text.into()))));
        }
        let places: Vec<String> = outer.findings().iter().map(|finding| finding.place.parts().1.to_owned()).collect();
        assert_eq!(places, ["audit-logs id=7", "audit-logs", "attestore-d-c012 id=7"]);
    }

    #[test]
    fn only_digests_sizes_and_counts_are_impersonal() {
        for (text, is) in [
            ("12", true),
            ("12 bytes", true),
            ("Alice", false),
            ("sha256:00112233445566778899aabbccddeeff", true),
            ("beef", false),
            ("", false),
        ] {
            assert_eq!(is_impersonal(text), is, "{text}");
        }
    }
}
