//! From a manifest to a checksum list: the newest version of every object that has the digest; everything else is counted, not dropped
//! in silence.

use std::io::Write;

use crate::model::failure::Failure;
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::monitor::{Event, Monitor};
use crate::verify::manifest::exchange::lines::{self, ListFormat};
use crate::verify::manifest::exchange::paths;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::DigestSet;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::source::EntryKind;

/// What a list holds of a manifest, and what it has no place for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    /// Lines.
    pub lines: u64,
    /// Versions that are not the newest of their key.
    pub older_versions: u64,
    /// Delete markers, and with them keys that do not exist at present.
    pub delete_markers: u64,
    /// Symbolic links: tools would follow them.
    pub symlinks: u64,
    /// Objects that could not be read at capture, or lack the digest of the list.
    pub undigested: u64,
    /// Names that the format cannot spell; each is told as a finding.
    pub unspellable: u64,
}

impl Exported {
    /// True where the list says everything that the manifest says of the present state.
    pub fn is_whole(&self) -> bool {
        self.delete_markers + self.symlinks + self.undigested + self.unspellable + self.older_versions == 0
    }

    /// How many of each are not in the list, by name.
    pub fn left_out(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("older_versions", self.older_versions),
            ("delete_markers", self.delete_markers),
            ("symlinks", self.symlinks),
            ("undigested", self.undigested),
            ("unspellable", self.unspellable),
        ];
        all.into_iter().filter(|(_, n)| *n > 0).collect()
    }
}

/// The newest row of each key, in order, and through `older` how many came before it.
pub fn newest(
    rows: impl Iterator<Item = Result<ObjectRow, Failure>>,
    mut each: impl FnMut(&ObjectRow) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut before: Option<ObjectRow> = None;
    let mut older = 0;
    for row in rows {
        let row = row?;
        if let Some(before) = before.replace(row.clone()) {
            if (&before.key, before.key_escaped) == (&row.key, row.key_escaped) {
                older += 1;
            } else {
                each(&before)?;
            }
        }
    }
    if let Some(last) = &before {
        each(last)?;
    }
    Ok(older)
}

/// Writes the list of `manifest`'s digests of the one kind `digest` to `out`, each name with `prefix` before it.
pub fn export_list(
    manifest: &Manifest,
    format: ListFormat,
    digest: DigestSet,
    prefix: &[u8],
    out: &mut dyn Write,
    monitor: &dyn Monitor,
) -> Result<Exported, Failure> {
    let mut exported = Exported::default();
    let mut line = Vec::new();
    let older = newest(manifest.objects(), |row| {
        let value = if digest.blake3 { row.blake3 } else { row.sha256 };
        let value = match (row.kind, value) {
            (EntryKind::DeleteMarker, _) => {
                exported.delete_markers += 1;
                return Ok(());
            }
            (EntryKind::Symlink, _) => {
                exported.symlinks += 1;
                return Ok(());
            }
            (EntryKind::Object, None) => {
                exported.undigested += 1;
                return Ok(());
            }
            (EntryKind::Object, Some(value)) => value,
        };
        line.clear();
        let path = [prefix, &paths::path_of(&row.key, row.key_escaped)].concat();
        if let Err(said) = lines::write(&mut line, &path, &value, format) {
            exported.unspellable += 1;
            let finding = Finding::new(Class::Unreadable, Kind::Object, Place::Key(row.key.clone()));
            monitor.event(Event::Finding(&Finding { actual: Some(said.to_owned()), ..finding }));
            return Ok(());
        }
        exported.lines += 1;
        out.write_all(&line).map_err(|error| Failure::io("cannot write the list", error))
    })?;
    out.flush().map_err(|error| Failure::io("cannot write the list", error))?;
    exported.older_versions = older;
    Ok(exported)
}
