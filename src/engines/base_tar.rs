//! Physical copies as `pg_basebackup -Ft` writes them: a folder with `base.tar` and `pg_wal.tar`, or `base.tar` alone with its log in it,
//! compressed or not. `tar` unpacks them.
//!
//! Not here: bringing the data directory up (`physical`).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::engines::dumps::{Unloaded, elsewhere};
use crate::engines::room;
use crate::model::failure::{Failure, FailureKind};

/// The end of the program, and the disk, are looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How `pg_basebackup` names what it compressed.
const ENDINGS: &[&str] = &["tar", "tar.gz", "tar.zst", "tar.lz4"];

/// Unpacks a base backup at `path` into `to`, a folder to be made; false where `path` is something else and nothing was written.
pub fn unpack(path: &Path, to: &Path) -> Result<bool, Unloaded> {
    let Some((base, log)) = parts(path)? else { return Ok(false) };
    std::fs::create_dir_all(to).map_err(|error| Failure::io(format!("cannot make {}", to.display()), error))?;
    extract(&base, to)?;
    if let Some(log) = log {
        // What the first archive holds may be a link, and would be followed.
        if to.join("pg_wal").is_symlink() {
            return Err(elsewhere(format!("{}: pg_wal is a link to elsewhere: keep the log with the copy", base.display())));
        }
        extract(&log, &to.join("pg_wal"))?;
    }
    Ok(true)
}

/// The archives of data and log.
fn parts(path: &Path) -> Result<Option<(PathBuf, Option<PathBuf>)>, Unloaded> {
    if path.is_dir() {
        let named = |stem: &str| ENDINGS.iter().map(|ending| path.join(format!("{stem}.{ending}"))).find(|file| file.is_file());
        let Some(base) = named("base") else { return Ok(None) };
        // What a link leads to is kept elsewhere, and goes when that goes.
        let log = named("pg_wal");
        if let Some(part) = [Some(&base), log.as_ref()].into_iter().flatten().find(|part| part.is_symlink()) {
            return Err(elsewhere(format!("{}: expected an archive, found a link: keep the archives in the copy", part.display())));
        }
        let about = |error| Failure::io(format!("cannot read {}", path.display()), error);
        for entry in std::fs::read_dir(path).map_err(about)? {
            let name = entry.map_err(about)?.file_name().to_string_lossy().into_owned();
            if name.starts_with(|first: char| first.is_ascii_digit()) && name.contains(".tar") {
                return Err(elsewhere(format!("{}: {name} holds a tablespace, which is not brought back here", path.display())));
            }
        }
        return Ok(Some((base, named("pg_wal"))));
    }
    // What is neither a folder nor a file may be waited for without end.
    if !path.is_file() {
        return Ok(None);
    }
    let mut head = Vec::new();
    let about = |error| Failure::io(format!("cannot read {}", path.display()), error);
    File::open(path).map_err(about)?.take(512).read_to_end(&mut head).map_err(about)?;
    let first = [&b"backup_label\0"[..], b"PG_VERSION\0"].iter().any(|name| head.starts_with(name));
    Ok((first && head.get(257..262) == Some(b"ustar")).then(|| (path.to_owned(), None)))
}

/// The beginning of what a program says; all of it is read, so that it goes on.
fn heard(mut from: impl Read) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = (&mut from).take(64 << 10).read_to_end(&mut said);
    let _ = std::io::copy(&mut from, &mut std::io::sink());
    said
}

fn extract(archive: &Path, to: &Path) -> Result<(), Unloaded> {
    std::fs::create_dir_all(to).map_err(|error| Failure::io(format!("cannot make {}", to.display()), error))?;
    let mut command = Command::new("tar");
    command.arg("-x").arg("-f").arg(archive).arg("-C").arg(to).arg("--no-same-owner");
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    let mut tar = command.stderr(Stdio::piped()).spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => elsewhere(format!("{}: a tar archive, and no tar is installed here: unpack it", archive.display())),
        _ => Failure::io("tar", error).into(),
    })?;
    let said = tar.stderr.take().map(|from| std::thread::spawn(move || heard(from)));
    let failed = |error| Failure::io("tar", error);
    let status = loop {
        if let Some(status) = tar.try_wait().map_err(failed)? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
        // Whoever gave this up has taken the folder away.
        if !to.exists() {
            tar.kill().and_then(|()| tar.wait()).map_err(failed)?;
            return Err(Failure::new(FailureKind::Interrupted, format!("{}: stopped while it was unpacked", archive.display())).into());
        }
        if let Err(failure) = room::left_for(&format!("{}: unpacking it", archive.display()), to) {
            tar.kill().and_then(|()| tar.wait()).map_err(failed)?;
            let _ = std::fs::remove_dir_all(to);
            return Err(failure.into());
        }
    };
    let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let message = format!("{}: tar: {first}", archive.display());
    // The disk and the programs that unpack are ours.
    let ours = ["Cannot exec", "No space left", "Cannot mkdir", "Cannot open"].iter().any(|what| said.contains(what));
    Err(if ours { elsewhere(message) } else { Unloaded::Damaged(message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_not_unpacked_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, data, backup) = (dir.path().join("outside"), dir.path().join("data"), dir.path().join("backup"));
        for folder in [&outside, &data, &backup] {
            std::fs::create_dir(folder).unwrap();
        }
        std::os::unix::fs::symlink(&outside, data.join("pg_wal")).unwrap();
        std::fs::write(dir.path().join("planted"), "x").unwrap();
        for (archive, from, what) in [("base.tar", &data, "."), ("pg_wal.tar", &dir.path().to_owned(), "planted")] {
            let status = Command::new("tar").arg("-cf").arg(backup.join(archive)).arg("-C").arg(from).arg(what).status().unwrap();
            assert!(status.success());
        }
        let Err(Unloaded::Failed(failure)) = unpack(&backup, &dir.path().join("to")) else { panic!("it was unpacked") };
        assert!(failure.message.contains("pg_wal is a link"), "{failure}");
        assert!(!outside.join("planted").exists());
    }
}
