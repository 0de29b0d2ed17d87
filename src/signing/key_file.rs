//! Reading and creating key files: owner-only, exclusive, synced. Every mistake here is a usage error with a hint, never a verdict.
//!
//! Not here: what the bytes mean; `keys` and `hash_key` know that.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::model::failure::{Failure, FailureKind};

/// No key file of ours, and no PEM file that could be one, is longer.
const LIMIT_BYTES: u64 = 65_536;

/// Reads a secret: it must be a file that nobody but its owner may read. `what` names it, such as `signing key`.
pub fn read_secret(path: &Path, what: &str) -> Result<String, Failure> {
    let (file, text) = read(path, what)?;
    owner_only(&file, path, what)?;
    Ok(text)
}

/// Reads something public.
pub fn read_public(path: &Path, what: &str) -> Result<String, Failure> {
    Ok(read(path, what)?.1)
}

/// Creates `path` with mode 0600 and `bytes`; refuses to overwrite. After a failure nothing is left of it.
pub fn create_secret(path: &Path, what: &str, bytes: &[u8]) -> Result<(), Failure> {
    create(path, what, bytes, 0o600)
}

/// Creates `path` for everyone to read; refuses to overwrite.
pub fn create_public(path: &Path, what: &str, bytes: &[u8]) -> Result<(), Failure> {
    create(path, what, bytes, 0o644)
}

fn read(path: &Path, what: &str) -> Result<(File, String), Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::invalid(format!("{what} {shown}: expected a file, found nothing"))
            .hint(format!("`attestore init` creates it; else give the path of the {what} with its option or in attestore.toml")),
        ErrorKind::PermissionDenied => Failure::invalid(format!("{what} {shown}: expected a readable file, found that access is denied"))
            .hint("run as the owner of the file"),
        _ => Failure::invalid(format!("{what} {shown} cannot be opened: {error}")),
    })?;
    let metadata = file.metadata().map_err(|error| Failure::invalid(format!("{what} {shown} cannot be looked at: {error}")))?;
    if !metadata.is_file() {
        return Err(Failure::invalid(format!("{what} {shown}: expected a file, found a directory or a device")));
    }
    let mut text = String::new();
    match (&file).take(LIMIT_BYTES + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LIMIT_BYTES => {
            Err(Failure::invalid(format!("{what} {shown}: expected at most {LIMIT_BYTES} bytes, found more"))
                .hint("is this the right file?"))
        }
        Ok(_) => Ok((file, text)),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(Failure::invalid(format!("{what} {shown}: expected text, found bytes that are not UTF-8")).hint("is this the right file?"))
        }
        Err(error) => Err(Failure::invalid(format!("{what} {shown} cannot be read: {error}"))),
    }
}

#[cfg(unix)]
fn owner_only(file: &File, path: &Path, what: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let shown = path.display();
    let metadata = file.metadata().map_err(|error| Failure::invalid(format!("{what} {shown} cannot be looked at: {error}")))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::invalid(format!("{what} {shown}: expected mode 0600, found {mode:04o}: others could have read it"))
        .hint(format!("chmod 600 {shown}, and make a new key if others may have read this one")))
}

#[cfg(not(unix))]
fn owner_only(_: &File, _: &Path, _: &str) -> Result<(), Failure> {
    Ok(())
}

fn create(path: &Path, what: &str, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::invalid(format!("{what} {shown}: expected no file, found one; it is never overwritten"))
            .hint("choose another path, or move the old file away after making sure that nothing needs it"),
        ErrorKind::NotFound => Failure::invalid(format!("{what} {shown}: its directory is not there")).hint("create the directory first"),
        _ => Failure::io(format!("cannot create the {what} {shown}"), error),
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_parent(path));
    written.map_err(|error| {
        // A half key must not be taken for a whole one later; when even this fails the load will say so.
        let _ = std::fs::remove_file(path);
        let mut failure = Failure::io(format!("cannot write the {what} {shown}"), error);
        failure.kind = FailureKind::Disk;
        failure
    })
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
