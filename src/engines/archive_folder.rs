//! Folders of `pg_dump -Fd`: which files their table of contents names. `pg_restore` opens what stands there, `../` and all, and a folder
//! is foreign text: names that lead out of it are refused before it is read.
//!
//! The form is that of `toc.dat` as `pg_backup_archiver.c` and `pg_backup_directory.c` of PostgreSQL 9.1 to 18 write it (archive versions
//! 1.12 to 1.16). Not here: what is in the files, which `pg_restore` unpacks.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::engines::dumps::{Unloaded, elsewhere};
use crate::model::failure::{Failure, FailureKind};

const TOC: &str = "toc.dat";
/// Archive versions whose form is known: (1, minor).
const KNOWN: std::ops::RangeInclusive<u8> = 12..=16;
/// A longer string is no name, and no definition either.
const LONGEST: usize = 1 << 30;

/// Refuses the folder at `path` where it names a file outside of itself.
pub fn hold_within(path: &Path) -> Result<(), Unloaded> {
    let about = |error| Failure::io(format!("cannot read {}", path.display()), error);
    let file = std::fs::File::open(path.join(TOC)).map_err(about)?;
    let names = match names(BufReader::with_capacity(1 << 16, file)) {
        Ok(names) => names,
        Err(Unread::Version(minor)) => {
            return Err(elsewhere(format!(
                "{}: a folder of pg_dump of archive version 1.{minor}, which is not known here",
                path.display()
            )));
        }
        Err(Unread::Cut) => {
            return Err(Unloaded::Damaged(format!("{}: its table of contents ({TOC}) does not read to its end", path.display())));
        }
    };
    for name in names {
        within(path, &name)?;
    }
    // Large objects are listed in files of their own, one a line: number and name.
    for entry in std::fs::read_dir(path).map_err(about)? {
        let name = entry.map_err(about)?.file_name();
        let name = name.to_string_lossy();
        if name == TOC || !name.contains(".toc") {
            continue;
        }
        if !name.ends_with(".toc") {
            return Err(refused(path, &format!("{name}, which pg_dump does not write")));
        }
        let lines = BufReader::new(std::fs::File::open(path.join(&*name)).map_err(about)?);
        for line in lines.split(b'\n') {
            let line = line.map_err(about)?;
            within(path, line.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default())?;
        }
    }
    Ok(())
}

fn within(path: &Path, name: &[u8]) -> Result<(), Unloaded> {
    if name.contains(&b'/') {
        return Err(refused(path, &format!("data in a file outside of it ({})", name.escape_ascii())));
    }
    Ok(())
}

fn refused(path: &Path, what: &str) -> Unloaded {
    Failure::new(FailureKind::Refused, format!("{}: it names {what}", path.display()))
        .hint("look at it by hand: whoever wrote it wanted a file read where it is restored")
        .into()
}

/// Why a table of contents was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// Another archive version: 1 and this.
    Version(u8),
    /// It ends too early, or holds what cannot be.
    Cut,
}

impl From<std::io::Error> for Unread {
    fn from(_: std::io::Error) -> Self {
        Self::Cut
    }
}

/// The names of data files in a table of contents.
fn names(from: impl Read) -> Result<Vec<Vec<u8>>, Unread> {
    let mut toc = Toc { from, int_size: 4, minor: 0 };
    let mut head = [0; 10];
    toc.from.read_exact(&mut head)?;
    let [b'P', b'G', b'D', b'M', b'P', 1, minor, _, int_size, _] = head else { return Err(Unread::Cut) };
    if !KNOWN.contains(&minor) {
        return Err(Unread::Version(minor));
    }
    if !(1..=8).contains(&int_size) {
        return Err(Unread::Cut);
    }
    (toc.minor, toc.int_size) = (minor, usize::from(int_size));
    let _format = toc.byte()?;
    // How it is compressed: an algorithm, or a level.
    if minor >= 15 {
        toc.byte()?;
    } else {
        toc.int()?;
    }
    // When it was written; of which database; by which server and program.
    toc.skip("iiiiiiittt")?;
    let entries = toc.int()?;
    let mut names = Vec::new();
    for _ in 0..entries {
        names.extend(toc.entry()?);
    }
    Ok(names)
}

struct Toc<R> {
    from: R,
    int_size: usize,
    minor: u8,
}

impl<R: Read> Toc<R> {
    fn byte(&mut self) -> Result<u8, Unread> {
        let mut byte = [0];
        self.from.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// A sign and a magnitude, the lowest byte first.
    fn int(&mut self) -> Result<i64, Unread> {
        let negative = self.byte()? != 0;
        let mut value: u64 = 0;
        for at in 0..self.int_size {
            value |= u64::from(self.byte()?) << (8 * at);
        }
        // pg_restore's are C's: it would read another number where more than 31 bits are set.
        let value = i32::try_from(value).map_err(|_| Unread::Cut)?;
        Ok(if negative { -i64::from(value) } else { i64::from(value) })
    }

    fn text(&mut self) -> Result<Option<Vec<u8>>, Unread> {
        let length = self.int()?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        if length > LONGEST {
            return Err(Unread::Cut);
        }
        let mut text = Vec::new();
        (&mut self.from).take(length as u64).read_to_end(&mut text)?;
        if text.len() == length { Ok(Some(text)) } else { Err(Unread::Cut) }
    }

    /// Passes over a number for each `i` and a text for each `t`.
    fn skip(&mut self, form: &str) -> Result<(), Unread> {
        form.bytes().try_for_each(|what| if what == b'i' { self.int().map(drop) } else { self.text().map(drop) })
    }

    /// One entry; the name of its data file, where it has one.
    fn entry(&mut self) -> Result<Option<Vec<u8>>, Unread> {
        // Its number, whether it has data, and its two numbers in the catalogue; tag, kind, section.
        self.skip("iitt")?;
        self.skip("tti")?;
        // Definition, removal, copying, schema, tablespace; access method; kind of relation.
        self.skip("ttttt")?;
        self.skip(if self.minor >= 14 { "t" } else { "" })?;
        self.skip(if self.minor >= 16 { "i" } else { "" })?;
        // Owner, and what once said whether rows have numbers; what it depends on.
        self.skip("tt")?;
        while self.text()?.is_some() {}
        Ok(self.text()?.filter(|name| !name.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i32) -> Vec<u8> {
        [&[u8::from(value < 0)][..], &value.unsigned_abs().to_le_bytes()].concat()
    }

    fn text(value: Option<&str>) -> Vec<u8> {
        value.map_or_else(|| int(-1), |value| [int(i32::try_from(value.len()).unwrap()), value.as_bytes().to_vec()].concat())
    }

    /// A table of contents with one entry for each file.
    fn toc(minor: u8, files: &[&str]) -> Vec<u8> {
        let mut all = [&b"PGDMP\x01"[..], &[minor, 0, 4, 8, 3]].concat();
        all.extend(if minor >= 15 { vec![1] } else { int(-1) });
        (0..7).for_each(|_| all.extend(int(1)));
        ["crm", "15.18", "15.18"].iter().for_each(|value| all.extend(text(Some(value))));
        all.extend(int(i32::try_from(files.len()).unwrap()));
        for file in files {
            all.extend(
                [int(1), int(1), text(Some("1259")), text(Some("16385")), text(Some("t")), text(Some("TABLE DATA")), int(3)].concat(),
            );
            all.extend([text(Some("-- ../../x")), text(None), text(Some("COPY t")), text(Some("public")), text(None)].concat());
            all.extend(if minor >= 14 { text(Some("heap")) } else { Vec::new() });
            all.extend(if minor >= 16 { int(114) } else { Vec::new() });
            all.extend([text(Some("app")), text(Some("false")), text(Some("7")), text(None), text(Some(file))].concat());
        }
        all
    }

    #[test]
    fn names_are_read_of_every_version_and_none_leads_out() {
        for minor in KNOWN {
            let names = names(&toc(minor, &["3347.dat", "", "../../etc/passwd"])[..]).unwrap();
            assert_eq!(names, [b"3347.dat".to_vec(), b"../../etc/passwd".to_vec()], "1.{minor}");
        }
        assert_eq!(names(&toc(17, &[])[..]), Err(Unread::Version(17)));
        let whole = toc(14, &["3347.dat"]);
        for keep in 0..whole.len() {
            assert_eq!(names(&whole[..keep]), Err(Unread::Cut), "cut at {keep}");
        }
    }

    #[test]
    fn what_leads_out_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let lay = |files: &[&str]| std::fs::write(dir.path().join(TOC), toc(14, files)).unwrap();
        let said = || match hold_within(dir.path()) {
            Ok(()) => String::new(),
            Err(Unloaded::Failed(failure)) => failure.message,
            Err(Unloaded::Damaged(why)) => why,
        };
        lay(&["3347.dat", "3348.dat.gz"]);
        assert_eq!(said(), "");
        std::fs::write(dir.path().join("blobs.toc"), "16400 blob_16400.dat\n").unwrap();
        assert_eq!(said(), "");
        std::fs::write(dir.path().join("blobs.toc"), "16400 ../x y\n").unwrap();
        assert!(said().contains("outside of it (../x y)"), "{}", said());
        std::fs::remove_file(dir.path().join("blobs.toc")).unwrap();
        std::fs::write(dir.path().join("blobs_7.toc.gz"), "").unwrap();
        assert!(said().contains("blobs_7.toc.gz"), "{}", said());
        std::fs::remove_file(dir.path().join("blobs_7.toc.gz")).unwrap();
        lay(&["../3347.dat"]);
        assert!(said().contains("outside of it (../3347.dat)"), "{}", said());
        std::fs::write(dir.path().join(TOC), b"PGDMP").unwrap();
        assert!(said().contains("does not read to its end"), "{}", said());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken(minor in 11u8..18, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120)) {
            let _ = names(&[&b"PGDMP\x01"[..], &[minor, 0, 4, 8, 3], &bytes].concat()[..]);
        }
    }
}
