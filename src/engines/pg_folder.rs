//! A folder of pg_dump before pg_restore reads it: its tables of contents name the files that hold the data, and a name may lead out of it.
//!
//! The folder that pg_dump writes is flat. Not here: what is in those files, and the loading (`loading`).

use std::path::Path;

use crate::engines::dumps::{Unloaded, elsewhere};
use crate::model::failure::{Failure, FailureKind};

/// Refuses `folder`, a copy of `from`, where a table of contents names a file outside of it.
pub fn names_only_its_own(folder: &Path, from: &Path) -> Result<(), Unloaded> {
    let about = |error| Failure::io(format!("cannot look at {}", from.display()), error);
    for entry in std::fs::read_dir(folder).map_err(about)? {
        let entry = entry.map_err(about)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().map_err(about)?.is_dir() {
            return Err(elsewhere(format!("{}: {name} is a folder, and a folder of pg_dump holds files alone", from.display())));
        }
        let leads_out = match name.as_str() {
            "toc.dat" => has_path(&std::fs::read(entry.path()).map_err(about)?),
            // Names of large objects, one a line.
            list if list.ends_with(".toc") => std::fs::read(entry.path()).map_err(about)?.contains(&b'/'),
            // pg_dump packs data and no table of contents; pg_restore would read such a one.
            packed => packed.contains(".toc.") || packed.starts_with("toc.dat."),
        };
        if leads_out {
            let what = format!("{}: {name} names a file outside of it, which no dump needs", from.display());
            let hint = "look at it by hand: whoever wrote it wanted another file read where it is loaded";
            return Err(Failure::new(FailureKind::Refused, what).hint(hint).into());
        }
    }
    Ok(())
}

/// Whether a string of a table of contents begins as a path does that leaves its folder. Strings follow the zero bytes of their length; a
/// definition never begins so, and without folders within it no other path leaves.
fn has_path(contents: &[u8]) -> bool {
    let mut parts = contents.split(|byte| *byte == 0);
    parts.any(|part| part.starts_with(b"../") || part.starts_with(b"./"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("dump");
        let lay = |name: &str, bytes: &[u8]| {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("toc.dat"), b"PGDMP\0\x08\0\0\x003347.dat\0-- in a definition: ../x\n;\0").unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
            names_only_its_own(&folder, &folder)
        };
        assert!(lay("3347.dat.gz", b"/").is_ok());
        assert!(lay("blobs.toc", b"1 blob_1.dat\n").is_ok());
        let hostile: [(&str, &[u8]); 4] = [
            ("toc.dat", b"PGDMP\0\x10\0\0\0../../etc/passwd\0"),
            ("toc.dat", b"\0\x09\0\0\0./../../x\0"),
            ("blobs.toc", b"1 ../../etc/passwd\n"),
            ("blobs.toc.gz", b"x"),
        ];
        for (name, bytes) in hostile {
            let Err(Unloaded::Failed(failure)) = lay(name, bytes) else { panic!("{name} was taken") };
            assert!(failure.message.contains("outside of it"), "{failure}");
        }
        let _ = lay("x.dat", b"");
        std::fs::create_dir(folder.join("a")).unwrap();
        assert!(names_only_its_own(&folder, &folder).is_err(), "x/../.. needs a folder x");
    }
}
