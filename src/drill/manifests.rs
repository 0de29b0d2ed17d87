//! Which manifest a restored point is compared with: the rule of registration in `contracts.md`.
//!
//! The manifest that names the point; else the resource's newest whose capture ended not after the point, its mode downgraded to a
//! bounded one; else nothing. Only registered, signed and whole manifests are accepted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::estate::config::{Config, Resource};
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::digest::Sha256Digest;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{DrillId, PointId};
use crate::model::resource::ResourceKind;
use crate::model::verification::SignatureState;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::VerifyingKey;
use crate::testing_log::body::ManifestRegistered;
use crate::testing_log::entry::{Body, Entry};
use crate::verify::manifest::header::Header;
use crate::verify::manifest::reader::Manifest;

/// A manifest that fits a point.
#[derive(Debug)]
pub struct Chosen {
    /// The manifest, its signature and parts checked.
    pub manifest: Manifest,
    /// The leaf at which it was registered.
    pub leaf: u64,
    /// The mode in which the comparison counts.
    pub mode: CaptureMode,
    /// Whether it names another moment than the point's: differences may then be changes.
    pub downgraded: bool,
}

/// What is registered for a resource, by the log.
pub fn registered(entries: &[Entry], resource: &Resource) -> Vec<(u64, ManifestRegistered)> {
    let of = |entry: &Entry| match &entry.body {
        Body::ManifestRegistered(body) if body.resource == resource.id => Some((entry.seq, body.clone())),
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

/// The entries that a drill's choice rests on: those before its population was committed, all of them where it is not committed yet.
///
/// What is registered later was made when the draw was known; the baseline that a killed drill's own first restore left is of that kind, and
/// would make the same restore pass against itself.
pub fn before_commitment<'a>(entries: &'a [Entry], drill: &DrillId) -> &'a [Entry] {
    let committed = entries.iter().position(|entry| matches!(&entry.body, Body::PopulationCommitted(body) if body.drill_id == *drill));
    &entries[..committed.unwrap_or(entries.len())]
}

/// Which registration fits the point, and whether it does so only with its mode downgraded.
pub fn fitting<'a>(
    registered: &'a [(u64, ManifestRegistered)],
    point: &PointId,
    created_at: Timestamp,
) -> Option<(&'a (u64, ManifestRegistered), bool)> {
    // A baseline is what the point's own restore looked like: one from before the point is of another that bore its name, as snapshots that are
    // replaced under one name do. A file beside AWS that has become younger is no such thing: somebody wrote to it.
    let is_another = |body: &ManifestRegistered| {
        body.mode == CaptureMode::FirstRestore && body.captured_end < created_at && !point.0.starts_with("file:")
    };
    let names = |body: &ManifestRegistered| body.recovery_point_id.as_ref() == Some(point) && !is_another(body);
    if let Some(named) = registered.iter().rev().find(|(_, body)| names(body)) {
        return Some((named, false));
    }
    // The baseline of another point's first restore says nothing of this one.
    let usable = |body: &ManifestRegistered| body.captured_end <= created_at && body.mode != CaptureMode::FirstRestore;
    let newest = registered.iter().filter(|(_, body)| usable(body)).max_by_key(|(leaf, body)| (body.captured_end, *leaf));
    newest.map(|one| (one, true))
}

/// The bounded mode that a comparison counts in when the manifest is of another moment.
pub fn downgraded(mode: CaptureMode, kind: ResourceKind) -> CaptureMode {
    match kind {
        _ if mode.is_bounded() => mode,
        ResourceKind::Dynamodb => CaptureMode::WindowBounded,
        _ => CaptureMode::PositionBounded,
    }
}

/// The manifest for a point; nothing where none fits.
///
/// # Errors
/// [`FailureKind::BadEvidence`] for a manifest that is not signed with the log's key or whose parts are damaged,
/// [`FailureKind::Absent`] for one that is registered and not to be found.
pub fn choose(
    entries: &[Entry],
    resource: &Resource,
    point: &PointId,
    created_at: Timestamp,
    key: &VerifyingKey,
) -> Result<Option<Chosen>, Failure> {
    let registered = registered(entries, resource);
    let Some(((leaf, body), is_downgraded)) = fitting(&registered, point, created_at) else { return Ok(None) };
    let manifest = find(resource, &body.manifest, key)?;
    let shown = manifest.dir().display().to_string();
    match manifest.signature(Some(key)) {
        SignatureState::Verified => {}
        other => {
            return Err(Failure::new(FailureKind::BadEvidence, format!("manifest {shown}: its signature is {}", other.as_str()))
                .hint("a drill accepts only manifests signed with the log's key: `manifest create --sign-key`"));
        }
    }
    manifest.check_parts()?;
    let mode = if is_downgraded { downgraded(body.mode, resource.kind) } else { body.mode };
    Ok(Some(Chosen { manifest, leaf: *leaf, mode, downgraded: is_downgraded }))
}

/// Refuses a hash key that none of the registered manifests at hand was made with, where any was made with one: nothing could be compared, and
/// nobody should pay for a restore to hear so. Where only some were made with it, keys have changed since; what points fit the others tell.
///
/// # Errors
/// [`FailureKind::Invalid`].
pub fn check_hash_key(entries: &[Entry], config: &Config, hash_key: &HashKey) -> Result<(), Failure> {
    let mut other = None;
    for resource in &config.resource {
        let registered: BTreeSet<Sha256Digest> = registered(entries, resource).into_iter().map(|(_, body)| body.manifest).collect();
        let Some(directory) = resource.manifests.as_deref().filter(|_| !registered.is_empty()) else { continue };
        for dir in candidates(directory).unwrap_or_default() {
            let Ok(manifest) = Manifest::open(&dir) else { continue };
            let Some(made_with) = manifest.header().hash_key_id.clone().filter(|_| registered.contains(&manifest.digest())) else {
                continue;
            };
            if made_with == hash_key.id() {
                return Ok(());
            }
            other = other.or(Some((dir, made_with)));
        }
    }
    let Some((dir, made_with)) = other else { return Ok(()) };
    let (file, found) = (config.keys.hash.display(), hash_key.id());
    Err(Failure::invalid(format!(
        "manifest {}: made with hash key {made_with}, and `[keys] hash` names {file}, found {found}",
        dir.display()
    ))
    .hint("put back the hash key that the manifests were made with; with another one nothing can be compared"))
}

/// What the header of the manifest for a point says, where that manifest is at hand. Nothing is verified: it is for estimates only.
pub fn header_for(entries: &[Entry], resource: &Resource, point: &PointId, created_at: Timestamp) -> Option<Header> {
    let registered = registered(entries, resource);
    let ((_, body), _) = fitting(&registered, point, created_at)?;
    let opened = candidates(resource.manifests.as_deref()?).ok()?.into_iter().filter_map(|dir| Manifest::open(&dir).ok());
    opened.filter(|manifest| manifest.digest() == body.manifest).map(|manifest| manifest.header().clone()).next()
}

fn find(resource: &Resource, digest: &Sha256Digest, key: &VerifyingKey) -> Result<Manifest, Failure> {
    let directory = resource
        .manifests
        .as_deref()
        .ok_or_else(|| Failure::invalid(format!("resource `{}`: a manifest is registered, and `manifests` is not set", resource.id)))?;
    let mut unreadable = None;
    for candidate in candidates(directory)? {
        match Manifest::open(&candidate) {
            Ok(manifest) if manifest.digest() == *digest => return Ok(manifest),
            Ok(manifest) if manifest.signature(Some(key)) == SignatureState::Bad => {
                let said = format!("{}: its signature does not hold for the log's key", candidate.display());
                unreadable = Some(Failure::new(FailureKind::BadEvidence, said));
            }
            Ok(_) => {}
            Err(failure) => unreadable = Some(failure),
        }
    }
    let message = format!("resource `{}`: the registered manifest {digest} is not in {}", resource.id, directory.display());
    // A manifest that was tampered with has another digest or does not open: that is evidence gone bad, not merely absent.
    Err(match unreadable {
        Some(failure) => Failure::new(FailureKind::BadEvidence, format!("{message}; one there cannot be trusted: {failure}")),
        None => Failure::new(FailureKind::Absent, message).hint("put the manifest back, or capture and register a new one"),
    })
}

/// Directories that hold a manifest: the named one itself, and those in it.
fn candidates(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_manifest = |path: &Path| path.join("manifest.json").is_file();
    let mut found = Vec::new();
    if is_manifest(directory) {
        found.push(directory.to_owned());
    }
    // A manifest that cannot be read is no absent resource of the estate.
    let about = |error| {
        Failure::invalid(format!("cannot list the manifests in {}: {error}", directory.display()))
            .hint("`manifests` of the resource names the directory that `manifest create --out` wrote into: put it back")
    };
    for entry in std::fs::read_dir(directory).map_err(about)? {
        let path = entry.map_err(about)?.path();
        if is_manifest(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest32;

    fn one(leaf: u64, point: Option<&str>, end: i64, mode: CaptureMode) -> (u64, ManifestRegistered) {
        let body = ManifestRegistered {
            manifest: Sha256Digest::of(&leaf.to_le_bytes()),
            resource: "r".into(),
            recovery_point_id: point.map(Into::into),
            mode,
            captured_end: Timestamp::from_secs(end),
            root: Digest32::sha256(b""),
        };
        (leaf, body)
    }

    #[test]
    fn the_manifest_that_names_the_point_wins_then_the_newest_before_it() {
        let exact = CaptureMode::Sealed;
        let all = [
            one(1, Some("p1"), 50, exact),
            one(2, None, 10, exact),
            one(3, None, 20, exact),
            one(4, Some("p2"), 30, exact),
            one(5, None, 99, exact),
            one(6, Some("p9"), 21, CaptureMode::FirstRestore),
        ];
        let pick = |point: &str, at: i64| fitting(&all, &point.into(), Timestamp::from_secs(at)).map(|((leaf, _), down)| (*leaf, down));
        assert_eq!(pick("p1", 5), Some((1, false)), "named, whatever its time");
        assert_eq!(pick("p3", 25), Some((3, true)));
        assert_eq!(pick("p3", 35), Some((4, true)));
        assert_eq!(pick("p3", 20), Some((3, true)), "not after the point");
        assert_eq!(pick("p3", 9), None);
        assert_eq!(pick("p9", 21), Some((6, false)), "the baseline of its own first restore");
        assert_eq!(pick("p9", 22), Some((3, true)), "a point of the same name, taken since");
        assert_eq!(downgraded(exact, ResourceKind::Dynamodb), CaptureMode::WindowBounded);
        assert_eq!(downgraded(CaptureMode::AppendPrefix, ResourceKind::S3), CaptureMode::AppendPrefix);
    }
}
