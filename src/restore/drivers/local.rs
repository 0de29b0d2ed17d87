//! Points kept beside AWS: a database file with its `-wal` and `-shm`, or a tree, copied from the vault directory into the drill's own
//! working directory. The vault is opened for reading only.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;

use crate::engines::dumps::{self, Unloaded};
use crate::engines::{packed, room, sqlite_files};
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{DATA, MARKER, Marker, local_path};

/// Files that belong to a SQLite database beside it.
pub const SQLITE_COMPANIONS: &[&str] = &["-wal", "-shm", "-journal"];

/// Appears beside the data once the copy is whole; what is in it says why it cannot be read.
const COMPLETE: &str = "complete";

/// The driver.
pub struct Local;

#[async_trait]
impl Driver for Local {
    fn mechanism(&self) -> &'static str {
        "local:copy"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Path
    }

    fn restores_itself(&self) -> bool {
        true
    }

    async fn request(&self, order: &Order, _clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let path = local_path(&order.work, &permit.target().name)?;
        let marker = Marker { drill: order.drill.0.clone(), case: order.case.0.clone(), created_at: Timestamp::now() };
        let (source, to) = (PathBuf::from(&order.point.handle), path.clone());
        let of = order.source.parse::<SourceUrl>().ok();
        // Whoever waits for it may be told to stop, or the case's time may be over.
        let ends = Ends::default();
        let is_over = ends.0.clone();
        let copied = tokio::task::spawn_blocking(move || restore(&source, &to, &marker, of.as_ref(), &is_over)).await;
        copied.map_err(|error| Failure::new(FailureKind::Disk, format!("copy {}: {error}", order.point.handle)))??;
        Ok(Accepted { job_id: None, created_arn: Some(path.display().to_string()) })
    }

    async fn poll(&self, order: &Order, _clouds: &Clouds, _accepted: &Accepted) -> Result<Progress, Failure> {
        let path = local_path(&order.work, &order.target(TargetKind::Path).name)?;
        let raw = json!({"from": order.point.handle, "to": path.display().to_string()});
        let whole = path.join(COMPLETE).exists() && restored(order)?.symlink_metadata().is_ok();
        Ok(if whole {
            Progress::Ready { status: "copied".into(), created_arn: path.display().to_string(), raw }
        } else {
            Progress::Failed { status: "incomplete".into(), message: format!("{} was not copied whole", order.point.handle), raw }
        })
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        let path = restored(order)?;
        let is_database = path.is_file() && (order.source.starts_with("sqlite:") || sqlite_files::has_header(&path));
        let url = if is_database { SourceUrl::Sqlite { path } } else { SourceUrl::Dir { path } };
        let said = std::fs::read_to_string(local_path(&order.work, &order.target(TargetKind::Path).name)?.join(COMPLETE));
        let unreadable = Some(said.map_err(|error| Failure::io("how the copy ended", error))?).filter(|said| !said.is_empty());
        Ok(Some(Opened { url, region: None, login: None, proof: None, unreadable, keeper: None }))
    }
}

/// Where the copy of the point itself is.
fn restored(order: &Order) -> Result<PathBuf, Failure> {
    let name = Path::new(&order.point.handle)
        .file_name()
        .ok_or_else(|| Failure::invalid(format!("`{}` is not a file or a directory of a vault", order.point.handle)))?;
    Ok(local_path(&order.work, &order.target(TargetKind::Path).name)?.join(DATA).join(name))
}

/// The point itself: what a link within the vault stands for. A link that leads elsewhere is no copy that is kept there, and may well be
/// the live data.
///
/// # Errors
/// [`FailureKind::Refused`] where it leads out of the vault, [`FailureKind::Absent`] where it leads nowhere.
pub fn within_vault(point: &Path) -> Result<PathBuf, Failure> {
    if !point.is_symlink() {
        return Ok(point.to_owned());
    }
    let about = |path: &Path| {
        let path = path.display().to_string();
        move |error| Failure::io(format!("cannot follow {path}"), error)
    };
    let vault = point.parent().unwrap_or(Path::new("."));
    let (real, vault) = (point.canonicalize().map_err(about(point))?, vault.canonicalize().map_err(about(vault))?);
    if real.starts_with(&vault) && real != vault {
        return Ok(real);
    }
    let message = format!("{}: expected a copy, found a link to {}, which is outside of the vault", point.display(), real.display());
    Err(Failure::new(FailureKind::Refused, message).hint("name the directory that holds the copies as `path` of the resource's points"))
}

/// A directory for its owner alone, with the marker that says whose it is.
pub fn make_target(to: &Path, marker: &Marker) -> Result<(), Failure> {
    let about = |error| Failure::io(format!("make {}", to.display()), error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(about)?;
    let text = serde_json::to_vec(marker).map_err(|error| Failure::invalid(format!("marker: {error}")).caused_by(error))?;
    std::fs::write(to.join(MARKER), text).map_err(about)
}

/// The same with something behind its name.
fn named(path: &Path, companion: &str) -> PathBuf {
    let mut file = path.file_name().unwrap_or_default().to_owned();
    file.push(companion);
    path.with_file_name(file)
}

/// What is the live data by another name (a hard link) is no copy of it, and goes when that goes.
fn apart_from_live(point: &Path, live: Option<&Path>) -> Result<(), Failure> {
    let same = |live: &Path| {
        Some(point.metadata().ok()?).zip(live.metadata().ok()).filter(|(one, other)| (one.dev(), one.ino()) == (other.dev(), other.ino()))
    };
    let Some(live) = live.filter(|live| same(live).is_some()) else { return Ok(()) };
    let message = format!("{}: expected a copy, found {} itself, which is the source", point.display(), live.display());
    Err(Failure::new(FailureKind::Refused, message).hint("copy the data into the vault: a second name for a file keeps nothing"))
}

/// Ends a copy when nobody waits for it any more.
#[derive(Default)]
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Brings the point back into `to`; `of` is what it is a copy of, where that is known.
fn restore(point: &Path, to: &Path, marker: &Marker, of: Option<&SourceUrl>, is_over: &AtomicBool) -> Result<(), Failure> {
    let nameless = || Failure::invalid(format!("`{}` has no name", point.display()));
    let name = point.file_name().ok_or_else(nameless)?;
    let source = &within_vault(point)?;
    let is_sqlite = matches!(of, Some(SourceUrl::Sqlite { .. }));
    let live = of.and_then(|of| if let SourceUrl::Sqlite { path } | SourceUrl::Dir { path } = of { Some(path.as_path()) } else { None });
    apart_from_live(source, live)?;
    let about = |what: &Path| {
        let what = what.display().to_string();
        move |error| Failure::io(format!("restore {what}"), error)
    };
    if to.join(COMPLETE).exists() {
        return Ok(());
    }
    // A copy that a crash cut short is begun again; the guard has seen that it is ours.
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(about(to))?;
    }
    make_target(to, marker)?;
    let data = to.join(DATA);
    std::fs::create_dir(&data).map_err(about(&data))?;
    let mut unreadable = String::new();
    match packed_database(source, &data.join(name), is_sqlite) {
        Ok(true) => {}
        Ok(false) => copy(source, &data.join(name), is_over)?,
        Err(Unloaded::Damaged(why)) => unreadable = why,
        Err(Unloaded::Failed(failure)) => return Err(failure),
    }
    if source.is_file() {
        for companion in SQLITE_COMPANIONS {
            let beside = named(source, companion);
            if beside.symlink_metadata().is_err() {
                continue;
            }
            // A link counts here as it does for the point itself: what the live database writes is no part of its copy.
            let beside = within_vault(&beside)?;
            apart_from_live(&beside, live.map(|live| named(live, companion)).as_deref())?;
            if beside.is_file() {
                copy(&beside, &named(&data.join(name), companion), is_over)?;
            }
        }
    }
    std::fs::write(to.join(COMPLETE), unreadable).map_err(about(to))
}

/// Unpacks a compressed SQLite database; false for what is copied as it is. What is no database and no damaged one either is an error.
fn packed_database(source: &Path, to: &Path, is_sqlite: bool) -> Result<bool, Unloaded> {
    if !is_sqlite || !source.is_file() {
        return Ok(false);
    }
    let unpacked = packed::unpack(source, to)?;
    match sqlite_files::other_form(if unpacked { to } else { source })? {
        Some(form) => Err(dumps::elsewhere(format!("{}: expected a database of SQLite, found {form}", source.display()))),
        None => Ok(unpacked),
    }
}

/// Files, directories and links; a link stays a link. What is neither (a socket, a device) is an error, not a silent gap.
fn copy(from: &Path, to: &Path, is_over: &AtomicBool) -> Result<(), Failure> {
    let (mut waiting, mut buffer) = (vec![(from.to_owned(), to.to_owned())], vec![0; 1 << 20]);
    let mut unlooked = room::Unlooked::default();
    let go_on = || match is_over.load(Ordering::Relaxed) {
        true => Err(Failure::new(FailureKind::Interrupted, "stopped while it was copied")),
        false => Ok(()),
    };
    while let Some((from, to)) = waiting.pop() {
        go_on()?;
        let about = |error| Failure::io(format!("restore {}", from.display()), error);
        let facts = from.symlink_metadata().map_err(about)?;
        let kind = facts.file_type();
        if kind.is_dir() {
            std::fs::create_dir(&to).map_err(about)?;
            for entry in std::fs::read_dir(&from).map_err(about)? {
                let entry = entry.map_err(about)?;
                waiting.push((entry.path(), to.join(entry.file_name())));
            }
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(&from).map_err(about)?, &to).map_err(about)?;
        } else if kind.is_file() {
            room::copy_file(&from, &to, (&mut buffer, &mut unlooked), go_on)?;
            std::fs::set_permissions(&to, facts.permissions()).map_err(about)?;
        } else {
            let said = format!("{} is neither a file, a directory nor a link", from.display());
            return Err(about(std::io::Error::other(said)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_the_vault_is_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        let vault = dir.path().join("vault");
        std::fs::create_dir(&vault).unwrap();
        std::fs::write(dir.path().join("live.db"), "x").unwrap();
        std::fs::write(vault.join("monday.db"), "x").unwrap();
        symlink("monday.db", vault.join("latest.db")).unwrap();
        symlink("../live.db", vault.join("live.db")).unwrap();
        assert_eq!(within_vault(&vault.join("monday.db")).unwrap(), vault.join("monday.db"));
        assert_eq!(within_vault(&vault.join("latest.db")).unwrap(), vault.canonicalize().unwrap().join("monday.db"));
        let refused = within_vault(&vault.join("live.db")).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
        assert!(refused.message.contains("outside of the vault"), "{refused}");
        let marker = Marker { drill: "d".into(), case: "c".into(), created_at: Timestamp::from_secs(0) };
        std::fs::write(vault.join("monday.db-wal"), "y").unwrap();
        restore(&vault.join("latest.db"), &dir.path().join("to"), &marker, None, &AtomicBool::new(false)).unwrap();
        let data = dir.path().join("to").join(DATA);
        assert!(data.join("latest.db").symlink_metadata().unwrap().is_file(), "what the link leads to, and not the link");
        assert_eq!(std::fs::read(data.join("latest.db-wal")).unwrap(), b"y");
        restore(&vault.join("live.db"), &dir.path().join("other"), &marker, None, &AtomicBool::new(false)).unwrap_err();
        std::fs::write(dir.path().join("live.db-wal"), "z").unwrap();
        std::fs::write(vault.join("tuesday.db"), "x").unwrap();
        symlink("../live.db-wal", vault.join("tuesday.db-wal")).unwrap();
        let refused = restore(&vault.join("tuesday.db"), &dir.path().join("tuesday"), &marker, None, &AtomicBool::new(false)).unwrap_err();
        assert!(refused.message.contains("tuesday.db-wal: expected a copy"), "{refused}");
    }

    #[test]
    fn a_copy_that_nobody_waits_for_ends() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        // Of any size, and takes no room; small ones beside it.
        std::fs::File::create(tree.join("large")).unwrap().set_len(1 << 50).unwrap();
        (0..9).for_each(|n| std::fs::write(tree.join(format!("{n}")), "x").unwrap());
        let ends = Ends::default();
        let is_over = ends.0.clone();
        let (from, to) = (tree.clone(), dir.path().join("to"));
        let copying = std::thread::spawn(move || copy(&from, &to, &is_over));
        drop(ends);
        assert_eq!(copying.join().unwrap().unwrap_err().kind, FailureKind::Interrupted);
    }

    #[test]
    fn the_live_file_by_another_name_is_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, live) = (dir.path().join("vault"), dir.path().join("live.db"));
        std::fs::create_dir(&vault).unwrap();
        std::fs::write(&live, "x").unwrap();
        std::fs::write(dir.path().join("live.db-wal"), "y").unwrap();
        std::fs::hard_link(&live, vault.join("linked.db")).unwrap();
        std::fs::copy(&live, vault.join("copied.db")).unwrap();
        std::fs::copy(&live, vault.join("half.db")).unwrap();
        std::fs::hard_link(dir.path().join("live.db-wal"), vault.join("half.db-wal")).unwrap();
        let marker = Marker { drill: "d".into(), case: "c".into(), created_at: Timestamp::from_secs(0) };
        let of = |path: &Path| {
            restore(
                &vault.join(path),
                &dir.path().join("to").join(path),
                &marker,
                Some(&SourceUrl::Dir { path: live.clone() }),
                &AtomicBool::new(false),
            )
        };
        for (point, said) in [("linked.db", "linked.db: expected a copy, found "), ("half.db", "half.db-wal: expected a copy, found ")] {
            let refused = of(Path::new(point)).unwrap_err();
            assert_eq!(refused.kind, FailureKind::Refused);
            assert!(refused.message.contains(said) && refused.message.ends_with("itself, which is the source"), "{refused}");
        }
        of(Path::new("copied.db")).unwrap();
        restore(&vault.join("linked.db"), &dir.path().join("elsewhere"), &marker, None, &AtomicBool::new(false)).unwrap();
    }
}
