//! Physical copies of MySQL: whether the server here takes them, whether they keep all of theirs, and what of them is not used.
//!
//! The dictionary's table of files is found by the names that it holds. Not here: which server wrote a copy (`product`), and starting one
//! over it (`physical`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

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
    let mut files: Vec<PathBuf> = vec![data.join(DICTIONARY)];
    files.extend(std::fs::read_dir(data.join("#innodb_redo")).into_iter().flatten().flatten().map(|entry| entry.path()));
    for path in files {
        let about = |error| Failure::io(format!("cannot look into {}", path.display()), error);
        let mut file = File::open(&path).map_err(about)?;
        let (mut window, mut kept) = (vec![0; 1 << 20], 0);
        loop {
            let read = file.read(&mut window[kept..]).map_err(about)?;
            let filled = kept + read;
            if let Some(found) = absolute(&window[..filled], |name| data.join(name).is_file()) {
                return Ok(Some(found));
            }
            if read == 0 {
                break;
            }
            // A name may lie across.
            kept = filled.min(LONGEST_NAME);
            window.copy_within(filled - kept..filled, 0);
        }
    }
    Ok(None)
}

/// The first absolute name of such a file. What stands right before a name, such as the end of a number, may look like a letter or two. The
/// log is written in blocks of 512 bytes, between which a name is cut: what is left of `./crm/account.ibd` then names a file of the copy
/// (`is_inside`), or none in a folder.
fn absolute(bytes: &[u8], is_inside: impl Fn(&str) -> bool) -> Option<String> {
    let ends = bytes.windows(4).enumerate().filter(|(_, ending)| ENDINGS.contains(ending)).map(|(at, _)| at + 4);
    ends.filter_map(|end| {
        let begin = end.saturating_sub(LONGEST_NAME);
        let printable = bytes[begin..end].iter().rev().take_while(|byte| **byte >= b' ' && **byte != 0x7f).count();
        let name = &bytes[end - printable..end];
        // Texts that name files, such as the manual's, begin otherwise.
        let at = name.iter().take(4).position(|byte| *byte == b'/')?;
        if name[..name.len().min(6)].windows(3).any(|three| three == b"../") {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        // Within the folder, as `./crm/account.ibd`; a sign before that may be a `/` too.
        let within = (at > 0 && name[at - 1] == b'.') || name[at + 1..].starts_with(b"./");
        let cut = !name[at + 1..].contains(&b'/') || std::str::from_utf8(&name[at + 1..]).is_ok_and(&is_inside);
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
            (b"see innodb_file_per_table and /a/x.ibd\0", None),
            (b"\0CREATE TABLESPACE ts1 ADD DATAFILE 'any_directory/../ts1.ibd'", None),
            (b"\x01/data2/crm/account.ibdid=2;", Some("/data2/crm/account.ibd")),
            (b"\0./a.ibd\0h/data2/ts.ibd", Some("/data2/ts.ibd")),
            (b"\0/data2/undo.ibu", Some("/data2/undo.ibu")),
            (b"\0./../live/crm/account.ibd", Some("./../live/crm/account.ibd")),
            (b"\0../live/crm/account.ibd", Some("../live/crm/account.ibd")),
        ] {
            assert_eq!(absolute(bytes, |name| name == "crm/whole.ibd").as_deref(), found);
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DICTIONARY), [&vec![0; (1 << 20) - 9][..], b"/data2/crm/account.ibd"].concat()).unwrap();
        assert_eq!(outside(dir.path()).unwrap().as_deref(), Some("/data2/crm/account.ibd"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_looked_at(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = absolute(&[&bytes[..], b"/x.ibd", &bytes].concat(), |_| false);
        }
    }
}
