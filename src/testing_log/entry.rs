//! One entry of the log: its envelope, its typed body, and the exact bytes that are its leaf.
//!
//! Bytes are the truth: an entry keeps those that it was read from, so that fields and kinds that this version does not know are kept
//! too. Not here: whether what an entry says is consistent with the others; `verify` looks at that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::canonical_json::{self, NotCanonical};
use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::signing::merkle;
use crate::testing_log::{body, point_result};

/// The schema of every entry of this version.
pub const SCHEMA: &str = "attestore/entry/v1";
/// The longest entry in bytes: it fits an entry of a C2SP tile, whose length is 16 bits.
pub const LIMIT_BYTES: usize = 60_000;

/// The member of a body that names the pages of its lists.
const PAGED: &str = "paged";

/// Why bytes are not an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not JSON, or without a member that every entry has.
    #[error("not an entry: {0}")]
    Malformed(String),
    /// A kind that this version knows, whose body does not have its shape.
    #[error("the body of a `{kind}` entry does not have its shape: {error}")]
    Body {
        /// The kind.
        kind: String,
        /// What is missing or wrong.
        error: String,
    },
    /// It cannot be written in canonical form.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    /// Longer than [`LIMIT_BYTES`].
    #[error("an entry of {0} bytes; at most {LIMIT_BYTES} are allowed")]
    TooLong(usize),
}

/// Who wrote an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Actor {
    /// A program or a person.
    #[serde(rename = "type")]
    pub kind: ActorKind,
    /// A role's ARN, a user name.
    pub principal: String,
}

/// A program or a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A program.
    Tool,
    /// A person.
    Human,
}

impl Actor {
    /// A program that runs as `principal`.
    pub fn tool(principal: impl Into<String>) -> Self {
        Self { kind: ActorKind::Tool, principal: principal.into() }
    }

    /// A person.
    pub fn human(principal: impl Into<String>) -> Self {
        Self { kind: ActorKind::Human, principal: principal.into() }
    }
}

/// The last checkpoint before an entry was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Digest32,
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $variant:ident($ty:ty) = $kind:literal,)+) => {
        /// What an entry says, by its kind.
        #[derive(Clone, PartialEq, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one entry is handled at a time; the one kind of which there are many is boxed")]
        pub enum Body {
            $($(#[$doc])* $variant($ty),)+
            /// A kind that this version does not know.
            Unknown {
                /// The kind as written.
                kind: String,
                /// The body as written.
                body: Value,
            },
        }

        impl Body {
            /// Every kind that this version knows.
            pub const KINDS: &[&str] = &[$($kind,)+];

            /// The kind as written.
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)+
                    Self::Unknown { kind, .. } => kind,
                }
            }

            pub(super) fn to_value(&self) -> Result<Value, serde_json::Error> {
                match self {
                    $(Self::$variant(body) => serde_json::to_value(body),)+
                    Self::Unknown { body, .. } => Ok(body.clone()),
                }
            }

            pub(super) fn from_value(kind: &str, body: Value) -> Result<Self, EntryError> {
                let wrong = |error: serde_json::Error| EntryError::Body { kind: kind.to_owned(), error: error.to_string() };
                match kind {
                    $($kind => serde_json::from_value(body).map(Self::$variant).map_err(wrong),)+
                    _ => Ok(Self::Unknown { kind: kind.to_owned(), body }),
                }
            }
        }
    };
}

bodies! {
    /// The first entry of every log.
    Genesis(body::Genesis) = "log.genesis",
    /// The demands that following drills are judged by.
    PolicySet(body::PolicySet) = "policy.set",
    /// A manifest, before its use.
    ManifestRegistered(body::ManifestRegistered) = "manifest.registered",
    /// Rows of a list that does not fit the entry which names it.
    ListPage(body::ListPage) = "list.page",
    /// What may be drawn, before anything is drawn.
    PopulationCommitted(body::PopulationCommitted) = "population.committed",
    /// The sample.
    DrillPlanned(body::DrillPlanned) = "drill.planned",
    /// Nothing was requested before this.
    DrillStarted(body::DrillStarted) = "drill.started",
    /// One recovery point.
    PointResult(Box<point_result::PointResult>) = "rp.result",
    /// The totals.
    DrillClosed(body::DrillClosed) = "drill.closed",
    /// Given up.
    DrillAborted(body::DrillAborted) = "drill.aborted",
    /// A second person has reviewed a drill.
    SignOff(body::SignOff) = "signoff",
    /// A remedy is wanted.
    RemediationOpened(body::Remediation) = "remediation.opened",
    /// A remedy goes on.
    RemediationUpdated(body::Remediation) = "remediation.updated",
    /// A remedy is done.
    RemediationClosed(body::Remediation) = "remediation.closed",
    /// Something was recorded wrongly.
    Correction(body::Correction) = "correction",
    /// Another key signs from now on.
    KeyRotated(body::KeyRotated) = "key.rotated",
    /// Somebody was there.
    Heartbeat(body::Heartbeat) = "heartbeat",
}

/// One entry with the bytes that are its leaf.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The leaf index that it claims.
    pub seq: u64,
    /// The log that it belongs to.
    pub origin: String,
    /// When it was written.
    pub at: Timestamp,
    /// The last checkpoint before it; none in the first entry.
    pub prev_checkpoint: Option<Head>,
    /// Who wrote it.
    pub actor: Actor,
    /// What it says; lists that lie in pages are whole only after [`crate::testing_log::pages::Joiner`].
    pub body: Body,
    /// The leaf hashes of the pages of its lists, by JSON pointer into the body.
    pub paged: BTreeMap<String, Vec<Digest32>>,
    /// The exact leaf bytes.
    pub bytes: Vec<u8>,
    /// `SHA256(0x00 ‖ bytes)`.
    pub hash: Digest32,
}

/// What every entry has; `body` is read by its kind afterwards, which gives better messages than a tagged enum.
#[derive(Deserialize)]
struct Envelope {
    schema: String,
    seq: u64,
    kind: String,
    origin: String,
    at: Timestamp,
    prev_checkpoint: Option<Head>,
    actor: Actor,
    body: Value,
}

impl Entry {
    /// Puts an entry together and fixes its bytes: RFC 8785, no final newline, at most [`LIMIT_BYTES`].
    pub fn new(seq: u64, origin: &str, at: Timestamp, prev_checkpoint: Option<Head>, actor: Actor, body: Body) -> Result<Self, EntryError> {
        let rest = body.to_value().map_err(NotCanonical::from)?;
        Self::paged((seq, at), origin, prev_checkpoint, actor, body, rest, BTreeMap::new())
    }

    /// The same for a body whose lists lie in pages before it: `rest` is the body without them, `paged` names their leaves.
    pub fn paged(
        (seq, at): (u64, Timestamp),
        origin: &str,
        prev_checkpoint: Option<Head>,
        actor: Actor,
        body: Body,
        mut rest: Value,
        paged: BTreeMap<String, Vec<Digest32>>,
    ) -> Result<Self, EntryError> {
        if let (Value::Object(rest), false) = (&mut rest, paged.is_empty()) {
            rest.insert(PAGED.into(), json!(paged));
        }
        let mut members = Map::new();
        members.insert("schema".into(), json!(SCHEMA));
        members.insert("seq".into(), json!(seq));
        members.insert("kind".into(), json!(body.kind()));
        members.insert("origin".into(), json!(origin));
        members.insert("at".into(), json!(at));
        if let Some(head) = &prev_checkpoint {
            members.insert("prev_checkpoint".into(), json!({"size": head.size, "root": head.root}));
        }
        members.insert("actor".into(), serde_json::to_value(&actor).map_err(NotCanonical::from)?);
        members.insert("body".into(), rest);
        let bytes = canonical_json::to_bytes(&members)?;
        if bytes.len() > LIMIT_BYTES {
            return Err(EntryError::TooLong(bytes.len()));
        }
        let hash = merkle::leaf_hash(&bytes);
        Ok(Self { seq, origin: origin.to_owned(), at, prev_checkpoint, actor, body, paged, bytes, hash })
    }

    /// Reads an entry. That its bytes are canonical is for `verify` to say.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > LIMIT_BYTES {
            return Err(EntryError::TooLong(bytes.len()));
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| EntryError::Malformed(error.to_string()))?;
        if envelope.schema != SCHEMA {
            let schema: String = envelope.schema.chars().take(80).collect();
            return Err(EntryError::Malformed(format!("schema `{schema}`, expected `{SCHEMA}`")));
        }
        let paged = match envelope.body.get(PAGED) {
            Some(named) => serde_json::from_value(named.clone()).map_err(|error| EntryError::Malformed(format!("its pages: {error}")))?,
            None => BTreeMap::new(),
        };
        let body = Body::from_value(&envelope.kind, envelope.body)?;
        Ok(Self {
            seq: envelope.seq,
            origin: envelope.origin,
            at: envelope.at,
            prev_checkpoint: envelope.prev_checkpoint,
            actor: envelope.actor,
            body,
            paged,
            bytes: bytes.to_vec(),
            hash: merkle::leaf_hash(bytes),
        })
    }

    /// The whole entry as JSON, with everything that this version does not know.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heartbeat(note: Option<&str>) -> Body {
        Body::Heartbeat(body::Heartbeat { note: note.map(str::to_owned) })
    }

    #[test]
    fn what_is_written_reads_back_and_is_canonical() {
        let head = Head { size: 3, root: Digest32([4; 32]) };
        let entry = Entry::new(7, "log", Timestamp::from_secs(0), Some(head), Actor::tool("t"), heartbeat(Some("x"))).unwrap();
        assert!(canonical_json::is_canonical(&entry.bytes));
        assert_eq!(Entry::parse(&entry.bytes).unwrap(), entry);
        assert_eq!(entry.value()["kind"], "heartbeat");
    }

    #[test]
    fn unknown_kinds_and_fields_are_kept() {
        let text = r#"{"actor":{"principal":"p","type":"human","x":1},"at":"2026-01-01T00:00:00.000Z","body":{"note":"n","new":[1]},"kind":"heartbeat","later":true,"origin":"o","schema":"attestore/entry/v1","seq":1}"#;
        let entry = Entry::parse(text.as_bytes()).unwrap();
        assert_eq!((&entry.value()["later"], &entry.value()["body"]["new"][0]), (&json!(true), &json!(1)));
        assert_eq!(entry.body, heartbeat(Some("n")));
        let unknown = Entry::parse(text.replace("heartbeat", "tomorrow").as_bytes()).unwrap();
        assert_eq!(unknown.body.kind(), "tomorrow");
        assert!(matches!(Entry::parse(text.replace("\"n\"", "5").as_bytes()), Err(EntryError::Body { .. })));
        assert!(matches!(Entry::parse(text.replace("entry/v1", "entry/v2").as_bytes()), Err(EntryError::Malformed(_))));
    }

    #[test]
    fn an_entry_that_is_too_long_is_refused() {
        let long = "x".repeat(LIMIT_BYTES);
        let entry = Entry::new(0, "log", Timestamp::from_secs(0), None, Actor::tool("t"), heartbeat(Some(&long)));
        assert!(matches!(entry, Err(EntryError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,200}", kind in 0usize..16) {
            let _ = (Entry::parse(&noise), Entry::parse(text.as_bytes()));
            let framed = json!({"schema": SCHEMA, "seq": 1, "kind": Body::KINDS[kind], "origin": "o", "at": "2026-01-01T00:00:00.000Z",
                "actor": {"type": "tool", "principal": "p"}, "body": {"note": text}});
            let _ = Entry::parse(framed.to_string().as_bytes());
        }

        #[test]
        fn entries_round_trip(seq in 0u64..1 << 53, at in 0i64..4_000_000_000_000, note in ".{0,100}", origin in "[a-z./]{1,20}") {
            let entry = Entry::new(seq, &origin, Timestamp(at * 1000), None, Actor::human("p"), heartbeat(Some(&note))).unwrap();
            prop_assert_eq!(Entry::parse(&entry.bytes).unwrap(), entry);
        }
    }
}
