//! Physical copies of MySQL: whether the server here takes them, whether they keep all of theirs, and what of them is not used.
//!
//! The dictionary's table of files is found by the names that it holds. Not here: which server wrote a copy (`product`), and starting one
//! over it (`physical`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::engines::dumps::{Unloaded, elsewhere};
use crate::engines::product::{self, DICTIONARY, numbers};
use crate::model::failure::Failure;

/// Series that are supported for long: an upgrade goes from one to the next and leaves none out ("Upgrade Paths" of MySQL's manual).
const LONG_TERM: &[[u32; 2]] = &[[8, 0], [8, 4], [9, 7]];

/// What belongs to the server that was copied and not to its data: its name, settings that would come after ours, its keys.
const NOT_USED: &[&str] = &[
    "auto.cnf",
    "mysqld-auto.cnf",
    "mysqld.my",
    "ca.pem",
    "ca-key.pem",
    "server-cert.pem",
    "server-key.pem",
    "client-cert.pem",
    "client-key.pem",
    "private_key.pem",
    "public_key.pem",
];

/// Names of files of tables and of undo logs end like this.
const ENDINGS: [&[u8]; 2] = [b".ibd", b".ibu"];
/// A block of the log, its head and the sum at its end, in bytes ("Redo log blocks" of InnoDB, `log0types.h`).
const BLOCK: usize = 512;
const BLOCK_HEAD: usize = 12;
const BLOCK_SUM: usize = 4;
/// The longest name of a file that is looked for, in bytes.
const LONGEST_NAME: usize = 4096;

/// Looks whether the server of version `installed` can be started over `data`, the copy that was made here of the one at `path`.
pub fn fits(path: &Path, data: &Path, installed: &str) -> Result<(), Unloaded> {
    let at = path.display();
    if let Some(wrote) = product::of_data(data).filter(|wrote| !takes(&numbers(installed), &numbers(&wrote.version))) {
        let message = format!("{at}: written by {wrote}, which the {installed} that is installed here does not upgrade");
        return Err(elsewhere(message));
    }
    let about = |error| Failure::io(format!("cannot look into {at}"), error);
    let names =
        std::fs::read_dir(data).map_err(about)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>, _>>().map_err(about)?;
    if !names.iter().any(|name| name.to_string_lossy().starts_with("undo_")) {
        return Err(elsewhere(format!("{at}: its undo logs are kept elsewhere (innodb_undo_directory) and are not in the copy")));
    }
    if let Some(file) = outside(data)? {
        return Err(elsewhere(format!(
            "{at}: it names a file outside of the copy (DATA DIRECTORY, a tablespace), which is not opened: {file}"
        )));
    }
    Ok(())
}

/// Takes away what is not used.
pub fn settle(data: &Path) -> Result<(), Failure> {
    for name in NOT_USED {
        match std::fs::remove_file(data.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Failure::io(format!("cannot remove {name}"), error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a server starts over data that another version wrote: of its own series, or one step before it.
fn takes(server: &[u32], wrote: &[u32]) -> bool {
    let ([a, b, ..], [c, d, ..]) = (server, wrote) else { return true };
    let (to, from) = ([*a, *b], [*c, *d]);
    from == to || (from < to && !LONG_TERM.iter().any(|between| from < *between && *between < to))
}

/// A file that the dictionary, or what is not yet in it of the log, names by another path than one within the data directory. The server
/// would open it where it lies, and write to it.
fn outside(data: &Path) -> Result<Option<String>, Failure> {
    if let Some(found) = found_in(&data.join(DICTIONARY), Bytes::All, |bytes| absolute(bytes, |name| data.join(name).exists()))? {
        return Ok(Some(found));
    }
    for log in std::fs::read_dir(data.join("#innodb_redo")).into_iter().flatten().flatten() {
        if let Some(found) = found_in(&log.path(), Bytes::OfBlocks, recorded)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What of a file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    All,
    /// What the log's blocks hold, one after the other, without their heads and sums.
    OfBlocks,
}

/// The first name that `look` finds in a file.
fn found_in(path: &Path, bytes: Bytes, look: impl Fn(&[u8]) -> Option<String>) -> Result<Option<String>, Failure> {
    let about = |error| Failure::io(format!("cannot look into {}", path.display()), error);
    let mut file = File::open(path).map_err(about)?;
    let (mut window, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        // Whole blocks, but for the last.
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..]).map_err(about)? {
                0 => break,
                read => filled += read,
            }
        }
        match bytes {
            Bytes::All => window.extend_from_slice(&piece[..filled]),
            Bytes::OfBlocks => piece[..filled].chunks(BLOCK).for_each(|block| {
                window.extend_from_slice(block.get(BLOCK_HEAD..BLOCK - BLOCK_SUM).unwrap_or_default());
            }),
        }
        if let Some(found) = look(&window) {
            return Ok(Some(found));
        }
        if filled < piece.len() {
            return Ok(None);
        }
        // A name may lie across.
        window.drain(..window.len().saturating_sub(LONGEST_NAME));
    }
}

/// The first name of a file, in a record of the log that names one, that is not within the data directory. Such a record has the name's length
/// in two bytes before it, and its zero at the end (`fil_op_write_log` of InnoDB); texts of rows that name files have not.
fn recorded(bytes: &[u8]) -> Option<String> {
    let ends = bytes.windows(5).enumerate().filter(|(_, ending)| ending[4] == 0 && ENDINGS.iter().any(|known| *known == &ending[..4]));
    ends.map(|(at, _)| at + 4)
        .filter_map(|end| {
            let is_told = |begin: &usize| {
                let length = bytes[..*begin].last_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
                length == end - begin + 1
            };
            let name = &bytes[end.saturating_sub(LONGEST_NAME)..end];
            let printable = name.iter().rev().take_while(|byte| **byte >= b' ' && **byte != 0x7f).count();
            let begin = ((end - printable).max(2)..end - 4).rev().find(is_told)?;
            let name = &bytes[begin..end];
            let is_within = name.starts_with(b"./") && !name.windows(3).any(|three| three == b"../");
            (!is_within).then(|| String::from_utf8_lossy(name).into_owned())
        })
        .next()
}

/// The first absolute name of such a file in the dictionary. What stands right before a name, such as the end of a number, may look like a letter
/// or two, or like a point; a page may cut one: what is left of `./crm/account.ibd` then names a file of the copy (`is_there`), or none in a
/// folder.
fn absolute(bytes: &[u8], is_there: impl Fn(&str) -> bool) -> Option<String> {
    let ends = bytes.windows(4).enumerate().filter(|(_, ending)| ENDINGS.contains(ending)).map(|(at, _)| at + 4);
    ends.filter_map(|end| {
        let begin = end.saturating_sub(LONGEST_NAME);
        let printable = bytes[begin..end].iter().rev().take_while(|byte| **byte >= b' ' && **byte != 0x7f).count();
        let name = &bytes[end - printable..end];
        // Texts that name files, such as the manual's, begin otherwise.
        let at = name.iter().take(4).position(|byte| *byte == b'/')?;
        if let Some(up) = name[..name.len().min(6)].windows(3).position(|three| three == b"../") {
            // A folder of the copy after a number whose last byte is a point.
            let rest = &name[up + 3..];
            let folder = rest.split(|byte| *byte == b'/').next().and_then(|folder| std::str::from_utf8(folder).ok()).unwrap_or_default();
            let is_within = folder != ".." && !rest.windows(3).any(|three| three == b"../") && rest.contains(&b'/') && is_there(folder);
            if is_within {
                return None;
            }
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        // Within the folder, as `./crm/account.ibd`; one or two of the bytes before that may be a `/` too.
        let after = &name[at + 1..];
        let begins_later = || {
            let dot = after.windows(2).take(4).position(|two| two == b"./")?;
            std::str::from_utf8(&after[dot + 2..]).ok().filter(|rest| is_there(rest))
        };
        let within = (at > 0 && name[at - 1] == b'.') || after.starts_with(b"./") || begins_later().is_some();
        let cut = !name[at + 1..].contains(&b'/') || std::str::from_utf8(&name[at + 1..]).is_ok_and(&is_there);
        (!within && !cut).then(|| String::from_utf8_lossy(&name[at..]).into_owned())
    })
    .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_leave_no_series_out() {
        let yes =
            [("8.0.41", "8.0.36"), ("8.4.3", "8.0.36"), ("8.4.3", "8.3.0"), ("9.7.4", "8.4.3"), ("9.7.4", "9.1.0"), ("9.1.0", "8.4.0")];
        let no = [("8.0.36", "8.4.3"), ("9.7.4", "8.0.36"), ("9.0.0", "8.3.0"), ("9.1.0", "9.7.4")];
        assert!(yes.iter().all(|(server, wrote)| takes(&numbers(server), &numbers(wrote))));
        assert!(!no.iter().any(|(server, wrote)| takes(&numbers(server), &numbers(wrote))));
    }

    #[test]
    fn names_out_of_the_folder_are_found_wherever_they_lie() {
        for (bytes, found) in [
            (&b"\x00\x01./crm/account.ibd\x00"[..], None),
            (b"\x01+./crm/account.ibd", None),
            (b"\x01/./crm/account.ibd", None),
            (b"\x01/spread#p#p2.ibd", None),
            (b"\x01/crm/whole.ibd", None),
            (b"\x01/a./crm/whole.ibd", None),
            (b"\x01/ab./crm/whole.ibd", None),
            (b"\x01/ab./crm/other.ibd", Some("/ab./crm/other.ibd")),
            (b"see innodb_file_per_table and /a/x.ibd\0", None),
            (b"\0CREATE TABLESPACE ts1 ADD DATAFILE 'any_directory/../ts1.ibd'", None),
            (b"\x01/data2/crm/account.ibdid=2;", Some("/data2/crm/account.ibd")),
            (b"\0./a.ibd\0h/data2/ts.ibd", Some("/data2/ts.ibd")),
            (b"\0/data2/undo.ibu", Some("/data2/undo.ibu")),
            (b"\0./../live/crm/account.ibd", Some("./../live/crm/account.ibd")),
            (b"\0../live/crm/account.ibd", Some("../live/crm/account.ibd")),
            (b"\0../shop/fts_0000000000000510_deleted_cache.ibd", None),
            (b"\0../shop/../../live/account.ibd", Some("../shop/../../live/account.ibd")),
            (b"\0../../shop/account.ibd", Some("../../shop/account.ibd")),
        ] {
            assert_eq!(absolute(bytes, |name| matches!(name, "crm/whole.ibd" | "shop")).as_deref(), found);
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DICTIONARY), [&vec![0; (1 << 20) - 9][..], b"/data2/crm/account.ibd"].concat()).unwrap();
        assert_eq!(outside(dir.path()).unwrap().as_deref(), Some("/data2/crm/account.ibd"));
    }

    #[test]
    fn records_of_the_log_name_files_and_rows_do_not() {
        // A log file: its head, then blocks of which each holds 496 bytes.
        let log = |text: &[u8]| {
            let mut file = vec![0; 4 * BLOCK];
            for piece in [&[0x55; 470][..], text, &[0; 9]].concat().chunks(BLOCK - BLOCK_HEAD - BLOCK_SUM) {
                file.extend([&[0xcc; BLOCK_HEAD], piece].concat());
                file.resize(file.len().next_multiple_of(BLOCK), 0xdd);
            }
            file
        };
        let record = |name: &str| [&[35, 9, 0][..], &(name.len() as u16 + 1).to_be_bytes(), name.as_bytes(), b"\0"].concat();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("#innodb_redo")).unwrap();
        std::fs::write(dir.path().join(DICTIONARY), "").unwrap();
        let fts = "./shop/fts_0000000000000510_deleted_cache.ibd";
        assert_eq!(fts.len() + 1, usize::from(b'.'), "its length looks like a point");
        for (text, found) in [
            (record("/var/lib/live/crm/account.ibd"), Some("/var/lib/live/crm/account.ibd")),
            (record("./../../live/account.ibd"), Some("./../../live/account.ibd")),
            (record("../live/undo_001.ibu"), Some("../live/undo_001.ibu")),
            (record(fts), None),
            (record("./crm/account.ibd"), None),
            (b"\x07\x1d/var/lib/mysql/crm/account.ibd\0".to_vec(), None),
            // As long as some two bytes before it say, and no name.
            ([&[0, 43][..], &[4; 16], b"/lib/mysql/crm/account.ibd\0"].concat(), None),
        ] {
            std::fs::write(dir.path().join("#innodb_redo/#ib_redo5"), log(&text)).unwrap();
            assert_eq!(outside(dir.path()).unwrap().as_deref(), found);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_log_is_looked_at(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = recorded(&[&bytes[..], b"/x.ibd\0", &bytes].concat());
        }

        #[test]
        fn any_bytes_are_looked_at(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = absolute(&[&bytes[..], b"/x.ibd", &bytes].concat(), |_| false);
        }
    }
}
