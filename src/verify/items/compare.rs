//! Comparing a table's items with a manifest.
//!
//! The leaves decide, the sidecar names. Where a part of the table could not be read, only what was read is judged, by the sidecar:
//! what is not there may be in the part that was not read, so it is neither missing nor a match, and the result is cut short.
//!
//! An item has no change stamp of its own: different is a mismatch, absent missing, surplus extra, unless an incremental export names the
//! key as written in between (`changes`), or the manifest itself says that its time to live had ended by then (`expiry`).

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Instant;

use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::differences::{Difference, SidecarPair};
use crate::verify::fingerprint;
use crate::verify::items::canonical::ENCODING;
use crate::verify::items::changes::Touched;
use crate::verify::items::digest::schema_digest;
use crate::verify::items::expiry::Expiring;
use crate::verify::items::item::KeySchema;
use crate::verify::items::scan::{ItemTap, ScanOptions, Scanned, names, scan, short, whole_projection};
use crate::verify::items::source::ItemSource;
use crate::verify::leaf::Leaf;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::LeafKind;

/// Differences up to this number wait to be named by a further scan; more of them are told by their hashes at once.
const MOST_NAMED: usize = 10_000;

/// What a comparison may have beside its source and its manifest.
#[derive(Default)]
pub struct Beside<'t, 'a> {
    /// Sees every item.
    pub tap: Option<&'t mut dyn ItemTap>,
    /// Keys that are known to have been written between capture and restore.
    pub touched: Option<&'a Touched>,
    /// The moment that the source shows; nothing for a table that lives.
    pub shown_at: Option<Timestamp>,
}

/// Scans the table and compares it; findings go to the monitor.
///
/// # Errors
/// [`FailureKind::Invalid`] for a manifest of another kind, encoding or hash key; [`FailureKind::BadEvidence`] for a damaged one;
/// whatever kept the table from being opened. A page that could not be read is `cut_short` in the result.
pub async fn compare(
    source: Arc<dyn ItemSource>,
    manifest: &Manifest,
    hash_key: &HashKey,
    options: &ScanOptions,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    compare_with(source, manifest, hash_key, options, Beside::default(), monitor).await
}

/// The attributes that a manifest was captured with, where not all.
pub fn projection_of(manifest: &Manifest) -> Option<Vec<String>> {
    let names = manifest.header().position.as_ref()?.get("projection")?.as_array()?;
    Some(names.iter().filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect())
}

/// The primary key of the table that a manifest was captured of.
pub fn primary_key_of(manifest: &Manifest) -> Option<KeySchema> {
    let names = manifest.header().position.as_ref()?.get("primary_key")?.as_array()?;
    Some(KeySchema(names.iter().map(|name| name.as_str().map(ToOwned::to_owned)).collect::<Option<_>>()?))
}

/// As [`compare`], with what it may have beside.
pub async fn compare_with(
    source: Arc<dyn ItemSource>,
    manifest: &Manifest,
    hash_key: &HashKey,
    options: &ScanOptions,
    beside: Beside<'_, '_>,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let started = Instant::now();
    let header = manifest.header();
    let expected = Expected::load(manifest, hash_key)?;
    // What the manifest does not cover is not read.
    let options = &ScanOptions { projection: projection_of(manifest), time_to_live: None, ..options.clone() };
    let mut scanned = scan(&source, options, hash_key, beside.tap, monitor).await?;
    let mut result = Verification::empty(header.mode);
    result.bytes_checked = scanned.bytes;
    result.first_read_after = scanned.first_read_after;
    result.cut_short = scanned.cut_short.take();
    let table = &source.table();
    debug_assert_eq!(scanned.projection, whole_projection(options.projection.as_deref(), &scanned.schema));
    if schema_digest(&scanned.schema) != expected.schema {
        // With another key every item has another key hash: item by item there is nothing to compare.
        let mut finding = Finding::new(Class::SchemaChanged, Kind::Table, Place::Key(table.to_owned()));
        finding.actual = Some(format!("primary key {}", scanned.schema.0.join(", ")));
        monitor.event(Event::Finding(&finding));
        let mut tables = Counts::default();
        tables.add(Class::SchemaChanged);
        result.tables = Some(tables);
        result.duration = started.elapsed();
        return Ok(result);
    }
    let teller = Teller { table, monitor };
    let unreadable: HashSet<[u8; 8]> = scanned.unreadable.iter().filter_map(|one| one.key_hash.as_ref().map(short)).collect();
    let shown_at = beside.shown_at.unwrap_or_else(Timestamp::now);
    let reading = Reading { scanned: &scanned, is_whole: result.cut_short.is_none(), unreadable: &unreadable };
    let Weighed { mut counts, waiting, expired, taken_for_missing } =
        weigh(manifest, &expected, &reading, (beside.touched, shown_at), &teller)?;
    result.expired = expired;
    let named = |told: &Told| match told.difference {
        Difference::Row { actual: Some(_), key_hash, .. } => Some(key_hash),
        _ => None,
    };
    let names = names(&source, options, hash_key, &scanned.schema, waiting.iter().filter_map(named), monitor).await;
    waiting.iter().for_each(|told| teller.tell(told, &names));
    for one in &scanned.unreadable {
        let (key_hash, name, failure) = (&one.key_hash, &one.name, &one.failure);
        // A bucket without names counted it as missing too; a reading cut short did not count it at all.
        let counted = !manifest.has_sidecar() || key_hash.as_ref().is_some_and(|hash| taken_for_missing.contains(&short(hash)));
        counts.missing -= u64::from(counted && counts.missing > 0);
        counts.add(Class::Unreadable);
        let mut finding = Finding::new(Class::Unreadable, Kind::Item, Place::Item(format!("{table} {name}")));
        finding.actual = Some(failure.message.clone());
        monitor.event(Event::Finding(&finding));
    }
    result.items = Some(counts);
    result.duration = started.elapsed();
    Ok(result)
}

/// What was read of the table.
struct Reading<'a> {
    scanned: &'a Scanned,
    is_whole: bool,
    /// Items that are there and have no canonical form.
    unreadable: &'a HashSet<[u8; 8]>,
}

/// What the comparison of digests gave.
struct Weighed {
    counts: Counts,
    /// Differences that a further scan may name.
    waiting: Vec<Told>,
    expired: u64,
    taken_for_missing: HashSet<[u8; 8]>,
}

/// Holds the digests that were read against the manifest's, with what is known of the time between them.
fn weigh(
    manifest: &Manifest,
    expected: &Expected,
    reading: &Reading<'_>,
    (touched, shown_at): (Option<&Touched>, Timestamp),
    teller: &Teller<'_>,
) -> Result<Weighed, Failure> {
    let (mut waiting, mut excused, mut taken_for_missing) = (Vec::new(), Vec::new(), HashSet::new());
    let bits = expected.leaves.first().map_or(0, |leaf| leaf.bits);
    let expiring = RefCell::new(Expiring::new(manifest.header().captured_start, shown_at, bits));
    let sidecar = manifest.sidecar().map(|row| {
        let row = row?;
        expiring.borrow_mut().note(row.key_hash, row.expires_s);
        Ok((row.key_hash, row.row_hash))
    });
    let mut found = |difference: Difference| {
        // An item that was read and could not be decoded is there: it is told as unreadable.
        if let Difference::Row { class: Class::Missing, key_hash, .. } = &difference
            && reading.unreadable.contains(key_hash)
        {
            taken_for_missing.insert(*key_hash);
            return;
        }
        let told = explained(difference, touched, &mut expiring.borrow_mut(), &mut excused);
        if waiting.len() < MOST_NAMED { waiting.push(told) } else { teller.tell(&told, &HashMap::new()) }
    };
    let mut counts = if reading.is_whole {
        fingerprint::compare(&expected.leaves, sidecar, &reading.scanned.fingerprint, &mut found)?
    } else if manifest.has_sidecar() {
        compare_what_was_read(sidecar, reading.scanned, &mut found)?
    } else {
        Counts::default()
    };
    for (from, to) in excused {
        move_one(&mut counts, from, to);
    }
    Ok(Weighed { counts, waiting, expired: expiring.into_inner().excused, taken_for_missing })
}

/// A difference as it is told.
struct Told {
    difference: Difference,
    /// When the item had ended, where that is why it is gone.
    ended: Option<i64>,
}

/// The difference with the class that the evidence gives it, which is remembered for the counts. An export that names what was written names what
/// expired too: then nothing else excuses.
fn explained(difference: Difference, touched: Option<&Touched>, expiring: &mut Expiring, excused: &mut Vec<(Class, Class)>) -> Told {
    let Difference::Row { class, key_hash, expected, actual } = difference else { return Told { difference, ended: None } };
    let (better, ended) = match touched {
        Some(touched) => (touched.class(class, &key_hash), None),
        None if class == Class::Missing => match expiring.ended(&key_hash) {
            Some(end) => (Class::DeletedBetween, Some(end)),
            None => (class, None),
        },
        None => (class, None),
    };
    if better != class {
        excused.push((class, better));
    }
    Told { difference: Difference::Row { class: better, key_hash, expected, actual }, ended }
}

fn move_one(counts: &mut Counts, from: Class, to: Class) {
    let field = match from {
        Class::Mismatch => &mut counts.mismatch,
        Class::Missing => &mut counts.missing,
        Class::Extra => &mut counts.extra,
        _ => return,
    };
    *field = field.saturating_sub(1);
    counts.add(to);
}

/// What a manifest of items holds beside its sidecar.
struct Expected {
    leaves: Vec<Leaf>,
    schema: [u8; 32],
}

impl Expected {
    fn load(manifest: &Manifest, hash_key: &HashKey) -> Result<Self, Failure> {
        let header = manifest.header();
        let shown = manifest.dir().display();
        if header.kind != ManifestKind::Items {
            let found = header.kind.as_str();
            return Err(Failure::invalid(format!("manifest {shown}: expected kind `items` for a DynamoDB table, found `{found}`"))
                .hint("name the manifest that was captured from a DynamoDB table"));
        }
        if header.encoding != ENCODING {
            return Err(Failure::invalid(format!("manifest {shown}: expected the encoding `{ENCODING}`, found `{}`", header.encoding))
                .hint("a draft encoding is readable only by the version that wrote it: capture the manifest again"));
        }
        let (wanted, given) = (header.hash_key_id.as_deref().unwrap_or("none"), hash_key.id());
        if wanted != given {
            return Err(Failure::invalid(format!("manifest {shown}: keyed with the hash key {wanted}, and the one given is {given}"))
                .hint("use the hash key that `attestore init` made before the capture (`hash` in [keys])"));
        }
        let bad = |what: String| Failure::new(FailureKind::BadEvidence, format!("manifest {shown}: {what}"));
        let (mut leaves, mut schema, mut table) = (Vec::new(), None, None);
        for row in manifest.leaves() {
            let row = row?;
            if *table.get_or_insert_with(|| row.key.clone()) != row.key {
                return Err(bad(format!("leaves of one table expected, found those of `{}` too", row.key.escape_default())));
            }
            match row.kind {
                LeafKind::Bucket => leaves.push(Leaf { index: row.seq, bits: row.bits, rows: row.rows, digest: row.digest }),
                LeafKind::Sum => return Err(bad("leaves of sorted digests expected, found sums".to_owned())),
                LeafKind::Range => return Err(bad("leaves of sorted digests expected, found ranges of keys".to_owned())),
                LeafKind::Schema => schema = Some(row.digest),
            }
        }
        let schema = schema.ok_or_else(|| bad("no leaf of the table's primary key".to_owned()))?;
        Ok(Self { leaves, schema })
    }
}

/// Judges only the items that were read: equal, different, or surplus.
fn compare_what_was_read(
    sidecar: impl Iterator<Item = Result<SidecarPair, Failure>>,
    scanned: &Scanned,
    found: &mut dyn FnMut(Difference),
) -> Result<Counts, Failure> {
    let mut counts = Counts::default();
    let mut expected = sidecar.peekable();
    for pair in scanned.fingerprint.sidecar() {
        let (key_hash, actual) = pair?;
        let (class, before) = match take(&mut expected, key_hash)? {
            Some(before) if before == actual => (Class::Match, Some(before)),
            Some(before) => (Class::Mismatch, Some(before)),
            None => (Class::Extra, None),
        };
        counts.add(class);
        if class != Class::Match {
            found(Difference::Row { class, key_hash, expected: before, actual: Some(actual) });
        }
    }
    // To the end: a damaged sidecar is bad evidence wherever the damage is.
    expected.try_for_each(|pair| pair.map(drop))?;
    Ok(counts)
}

fn take<I: Iterator<Item = Result<SidecarPair, Failure>>>(pairs: &mut Peekable<I>, key_hash: [u8; 8]) -> Result<Option<[u8; 8]>, Failure> {
    while let Some(pair) = pairs.next_if(|pair| pair.as_ref().map_or(true, |(key, _)| *key <= key_hash)) {
        let (key, row) = pair?;
        if key == key_hash {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Turns differences into findings.
struct Teller<'a> {
    table: &'a str,
    monitor: &'a dyn Monitor,
}

impl Teller<'_> {
    fn tell(&self, told: &Told, names: &HashMap<[u8; 8], String>) {
        let finding = match &told.difference {
            Difference::Row { class, key_hash, expected, actual } => {
                let name = names.get(key_hash).cloned().unwrap_or_else(|| format!("#{}", hex::encode(key_hash)));
                let mut finding = Finding::new(*class, Kind::Item, Place::Item(format!("{} {name}", self.table)));
                finding.expected = expected.map(hex::encode);
                finding.actual = actual.map(hex::encode).or_else(|| Some(format!("expired {}", Timestamp::from_secs(told.ended?))));
                finding
            }
            Difference::Bucket { index, bits, expected, actual } => {
                let place = Place::Bucket(format!("{} {index}/{}", self.table, 1u64 << bits));
                let mut finding = Finding::new(Class::Mismatch, Kind::Bucket, place);
                finding.expected = Some(format!("{expected} items"));
                finding.actual = Some(format!("{actual} items"));
                finding
            }
        };
        self.monitor.event(Event::Finding(&finding));
    }
}
