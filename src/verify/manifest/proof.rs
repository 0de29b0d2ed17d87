//! Proofs that single entries are in a signed manifest: the entry's row, its audit path to the root (RFC 6962 §2.1.1), and the signed
//! header that holds the root. Whoever has the proof needs no part of the manifest, and none of ours to check it ([`CHECK_PY`]).

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::failure::{Failure, FailureKind};
use crate::model::verification::SignatureState;
use crate::signing::keys::VerifyingKey;
use crate::signing::merkle;
use crate::signing::merkle_path::PathTree;
use crate::verify::manifest::header::{HEADER_FILE, Header, SIGNATURE_FILE};
use crate::verify::manifest::reader::{self, Manifest, Rows};
use crate::verify::manifest::row::Row;

/// The only version of proofs.
pub const SCHEMA: &str = "attestore/inclusion-proof/v1";

/// More rows of one key than this are asked for one by one.
const MOST_ENTRIES: usize = 1000;

/// A proof is a header and some hashes; what is larger is none.
const PROOF_LIMIT_BYTES: u64 = 128 << 20;

/// Checks a proof with Python's standard library alone. Argument: PROOF. Prints each proven row and the manifest's digest, which
/// `manifest_sig` signs.
pub const CHECK_PY: &str = r#"import hashlib, json, sys
H = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
def root(leaf, index, size, path):
    if size == 1: return leaf if not path else b""
    left = 1 << ((size - 1).bit_length() - 1)
    if index < left: return H(b"\x01", root(leaf, index, left, path[:-1]), path[-1])
    return H(b"\x01", path[-1], root(leaf, index - left, size - left, path[:-1]))
proof = json.load(open(sys.argv[1], encoding="utf-8")); header = json.loads(proof["manifest_json"])
size = sum(part["rows"] for part in header["parts"] if part["name"].startswith("part-"))
for one in proof["entries"]:
    found = root(H(b"\x00", one["leaf"].encode()), one["index"], size, [bytes.fromhex(node) for node in one["path"]])
    assert one["index"] < size and found.hex() == header["root"], "not in the manifest: " + one["leaf"]
    print(one["leaf"])
print("sha256:" + H(proof["manifest_json"].encode()).hex())
"#;

/// A proof, as it is written: one JSON object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// [`SCHEMA`].
    pub schema: String,
    /// The bytes of `manifest.json`, which names the root and the number of rows.
    pub manifest_json: String,
    /// The bytes of `manifest.sig`, where the manifest is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sig: Option<String>,
    /// The rows, in order.
    pub entries: Vec<ProvenEntry>,
}

/// One row and its place in the tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProvenEntry {
    /// The row's number, from 0.
    pub index: u64,
    /// The row's RFC 8785 JSON: the leaf.
    pub leaf: String,
    /// The siblings on the way to the root, nearest first.
    pub path: Vec<Digest32>,
}

/// What a proof that holds shows.
#[derive(Debug)]
pub struct Checked {
    /// The manifest that the entries are in.
    pub manifest: Sha256Digest,
    /// Its header.
    pub header: Header,
    /// What is known of its signature.
    pub signature: SignatureState,
    /// The rows, as JSON.
    pub entries: Vec<serde_json::Value>,
}

/// Proves every row of `manifest` with the key `key`, or only the one with the version id `version`. One pass in constant memory; the
/// root over all rows is held to the header's.
///
/// # Errors
/// [`FailureKind::Absent`] where there is no such row.
pub fn prove<R: Row + Clone>(manifest: &Manifest, rows: Rows<R>, key: &str, wanted: impl Fn(&R) -> bool) -> Result<Proof, Failure> {
    let mut tree = PathTree::new();
    let mut leaf = Vec::new();
    let mut leaves = Vec::new();
    for row in rows {
        let row = row?;
        row.leaf(&mut leaf);
        let mark = row.key() == key && wanted(&row);
        if mark {
            if leaves.len() >= MOST_ENTRIES {
                return Err(Failure::invalid(format!("`{}` has more than {MOST_ENTRIES} versions", key.escape_debug()))
                    .hint("name one of them with --version-id"));
            }
            leaves.push(String::from_utf8(leaf.clone()).map_err(|_| Failure::invalid("a row that is not UTF-8"))?);
        }
        tree.push_hash(merkle::leaf_hash(&leaf), mark);
    }
    if leaves.is_empty() {
        let said = format!("manifest {}: `{}` is not in it", manifest.dir().display(), key.escape_debug());
        return Err(Failure::new(FailureKind::Absent, said).hint("keys are compared byte for byte; `manifest show` prints them"));
    }
    let (_, paths) = tree.finish();
    let entries = leaves.into_iter().zip(paths).map(|(leaf, path)| ProvenEntry { index: path.index, leaf, path: path.path });
    let manifest_json = read_text(&manifest.dir().join(HEADER_FILE))?;
    let signature = manifest.dir().join(SIGNATURE_FILE);
    let manifest_sig = if signature.exists() { Some(read_text(&signature)?) } else { None };
    Ok(Proof { schema: SCHEMA.to_owned(), manifest_json, manifest_sig, entries: entries.collect() })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let cannot = |error| Failure::io(format!("cannot read {}", path.display()), error);
    std::fs::File::open(path).map_err(cannot)?.take(PROOF_LIMIT_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|_| Failure::invalid(format!("{}: expected UTF-8", path.display())))
}

/// Reads the proof in the file `path`.
pub fn load(path: &Path) -> Result<Proof, Failure> {
    let length = std::fs::metadata(path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))?.len();
    if length > PROOF_LIMIT_BYTES {
        return Err(Failure::invalid(format!("{}: expected at most {PROOF_LIMIT_BYTES} bytes, found {length}", path.display())));
    }
    parse(&read_text(path)?, &path.display().to_string())
}

/// A proof from its text; `what` names it in messages.
pub fn parse(text: &str, what: &str) -> Result<Proof, Failure> {
    let proof: Proof = serde_json::from_str(text).map_err(|error| {
        Failure::invalid(format!("{what} is no proof: {error}")).hint("make one with `attestore manifest prove MANIFEST KEY --out FILE`")
    })?;
    if proof.schema != SCHEMA {
        let found: String = proof.schema.chars().take(60).collect();
        return Err(Failure::invalid(format!("{what}: expected schema `{SCHEMA}`, found `{}`", found.escape_debug())));
    }
    Ok(proof)
}

/// Holds every entry of `proof` to the root that its header names, and the signature to `key`.
///
/// # Errors
/// [`FailureKind::BadEvidence`] where an entry is not in the manifest, or nothing is proved at all. A signature that does not hold is
/// told in the result.
pub fn check(proof: &Proof, key: Option<&VerifyingKey>) -> Result<Checked, Failure> {
    let (header, manifest) = Header::from_bytes(proof.manifest_json.as_bytes(), "the proof's manifest_json")?;
    let size = header.row_parts().iter().fold(0u64, |sum, part| sum.saturating_add(part.rows));
    let bad = |said: String| Failure::new(FailureKind::BadEvidence, said).hint("the proof was changed, or made for another manifest");
    if proof.entries.is_empty() {
        return Err(bad("the proof has no entry: it proves nothing".into()));
    }
    let mut entries = Vec::with_capacity(proof.entries.len());
    for entry in &proof.entries {
        let leaf = merkle::leaf_hash(entry.leaf.as_bytes());
        if !merkle::verify_inclusion(&leaf, entry.index, size, &entry.path, &header.root) {
            let shown: String = entry.leaf.chars().take(200).collect();
            return Err(bad(format!("entry {} is not in the manifest {manifest}: {}", entry.index, shown.escape_debug())));
        }
        let said = |error| bad(format!("entry {} is not JSON: {error}", entry.index));
        entries.push(serde_json::from_str(&entry.leaf).map_err(said)?);
    }
    let signature = match &proof.manifest_sig {
        None => SignatureState::Absent,
        Some(note) => reader::signature_of(note, &manifest, key),
    };
    Ok(Checked { manifest, header, signature, entries })
}
