//! Recovery points beside AWS: the entries of a directory.
//!
//! By rule each entry directly in the vault is one point, a file or a directory, unless its name starts with `.` or it belongs to a SQLite
//! database beside it (`-wal`, `-shm`, `-journal`). Its data is as of its modification time, unless a registered manifest names the point:
//! then of the time at which that capture ended. What cannot be looked at is excluded by itself, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::Path;

use crate::estate::config::Resource;
use crate::estate::size;
use crate::model::clock::Timestamp;
use crate::model::exclusion;
use crate::model::failure::Failure;
use crate::model::ids::PointId;
use crate::model::recovery_point::RecoveryPoint;
use crate::model::resource::{PointSource, ResourceKind};
use crate::model::source_url::SourceUrl;

/// Files that belong to a SQLite database beside it.
const COMPANIONS: &[&str] = &["-wal", "-shm", "-journal"];

/// What a database of SQLite begins with (sqlite.org/fileformat2.html); none of its companions does.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What a vault holds.
#[derive(Debug, Default)]
pub struct Listed {
    /// In the order of their names.
    pub points: Vec<RecoveryPoint>,
    /// Names with the reason why they are no points.
    pub excluded: Vec<(String, String)>,
}

/// The entries of `vault`; `named` says when the data of points was captured that a manifest names.
///
/// # Errors
/// Of the directory itself.
pub fn list(resource: &Resource, from: PointSource, vault: &Path, named: &BTreeMap<PointId, Timestamp>) -> Result<Listed, Failure> {
    let about = |error| Failure::io(format!("list the vault {}", vault.display()), error);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(vault).map_err(about)? {
        names.insert(entry.map_err(about)?.file_name());
    }
    let mut listed = Listed::default();
    for name in &names {
        let Some(text) = name.to_str() else {
            listed.excluded.push((name.to_string_lossy().into_owned(), exclusion::NOT_UTF8.into()));
            continue;
        };
        if text.starts_with('.') || may_have_companions(resource) && is_companion(vault, text, &names) {
            continue;
        }
        match point(resource, from, vault, text, named) {
            Ok(point) => listed.points.push(point),
            Err(error) => {
                let is_link = vault.join(name).is_symlink() && error.kind() == std::io::ErrorKind::NotFound;
                let reason = if is_link { exclusion::LEADS_NOWHERE.to_owned() } else { format!("{}{error}", exclusion::NOT_LOOKED_AT) };
                listed.excluded.push((text.to_owned(), reason));
            }
        }
    }
    Ok(listed)
}

/// Dumps and copies of a server's database have none.
fn may_have_companions(resource: &Resource) -> bool {
    let is_of_a_server = || resource.source.parse::<SourceUrl>().is_ok_and(|url| url.server_database().is_some());
    resource.kind == ResourceKind::Files && !is_of_a_server()
}

/// Named after an entry beside it as SQLite names them, and no database itself.
fn is_companion(vault: &Path, name: &str, names: &BTreeSet<OsString>) -> bool {
    let is_named_so = COMPANIONS.iter().filter_map(|end| name.strip_suffix(end)).any(|stem| names.contains(OsStr::new(stem)));
    let path = vault.join(name);
    let is_database = || {
        let mut head = [0; SQLITE.len()];
        path.is_file() && std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == SQLITE
    };
    is_named_so && !is_database()
}

fn point(
    resource: &Resource,
    from: PointSource,
    vault: &Path,
    name: &str,
    named: &BTreeMap<PointId, Timestamp>,
) -> std::io::Result<RecoveryPoint> {
    let path = vault.join(name);
    let (facts, id) = (path.metadata()?, PointId::local(&resource.id, name));
    let modified = Timestamp(chrono::DateTime::<chrono::Utc>::from(facts.modified()?).timestamp_millis() * 1000);
    // A file is as old as its last change, however late its manifest was captured; a directory's date says nothing of what is in it.
    let created_at = named.get(&id).map_or(modified, |named| if facts.is_file() { modified.min(*named) } else { *named });
    Ok(RecoveryPoint {
        resource: resource.id.clone(),
        kind: resource.kind,
        from,
        handle: path.display().to_string(),
        source_arn: None,
        vault: Some(vault.display().to_string()),
        created_at,
        size_bytes: Some(size::of_tree(&path)?),
        state: "AVAILABLE".into(),
        encrypted: None,
        kms_key_arn: None,
        vault_locked: None,
        retain_until: None,
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: &str, source: &str) -> Resource {
        let text = format!("id = \"db\"\napplication = \"a\"\nkind = \"{kind}\"\nclass = \"c\"\nsource = \"{source}\"\n");
        toml::from_str(&text).unwrap()
    }

    fn names(vault: &Path, kind: &str, source: &str) -> (Vec<String>, Vec<(String, String)>) {
        let listed = list(&resource(kind, source), PointSource::Local, vault, &BTreeMap::new()).unwrap();
        (listed.points.iter().map(|point| point.id.0.trim_start_matches("file:db/").to_owned()).collect(), listed.excluded)
    }

    #[test]
    fn a_database_or_a_dump_may_be_called_like_a_companion() {
        let vault = tempfile::tempdir().unwrap();
        for (name, head) in [("ledger", SQLITE), ("ledger-journal", SQLITE), ("app", SQLITE), ("app-wal", b"7\x7f\x06\x82 and more bytes")]
        {
            std::fs::write(vault.path().join(name), head).unwrap();
        }
        assert_eq!(names(vault.path(), "files", "sqlite:x").0, ["app", "ledger", "ledger-journal"]);
        assert_eq!(names(vault.path(), "files", "postgres://h/d").0, ["app", "app-wal", "ledger", "ledger-journal"]);
        assert_eq!(names(vault.path(), "rds-mysql", "crm").0.len(), 4);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_excluded_by_itself() {
        let vault = tempfile::tempdir().unwrap();
        std::fs::write(vault.path().join("good"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere/x.db", vault.path().join("dangling")).unwrap();
        let (points, excluded) = names(vault.path(), "files", "dir:x");
        assert_eq!(points, ["good"]);
        assert_eq!(excluded, [("dangling".to_owned(), "a link that leads nowhere".to_owned())]);
    }
}
