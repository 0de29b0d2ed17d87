//! Named time zones for servers of MariaDB and MySQL, which know none until their tables are filled: from the zone information of this machine.
//!
//! A dump names zones in its events, and in generated columns that a server works out anew while it loads them: without its zones the first is an
//! error, and the second is NULL.
//!
//! Format: RFC 9636, the block of version 1, which is what the servers' own programs load (`mysql_tzinfo_to_sql`): the moments that 32 bits
//! hold. Not here: whether a script names a zone (`mysql_script`), and when they are loaded (`mysql_loading`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::engines::mysql_family::literal;
use crate::model::failure::{Failure, FailureKind};

/// Where systems keep them, unless `TZDIR` says otherwise (tzset(3)).
const FOLDER: &str = "/usr/share/zoneinfo";
/// Folders with the same zones once more: by seconds that count leap seconds, and by those that do not.
const OTHER_FORMS: &[&str] = &["posix", "right"];
/// Folders within folders.
const DEEPEST: usize = 3;
/// The longest file; the largest that there is has some 4 KiB.
const LONGEST: u64 = 1 << 16;
/// Rows of one statement.
const AT_ONCE: usize = 4_000;

/// A kind of local time.
#[derive(Clone, PartialEq, Eq, Debug)]
struct LocalTime {
    /// Seconds east of UTC.
    offset: i32,
    is_dst: bool,
    abbreviation: String,
}

/// A zone: when which kind of local time begins.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Zone {
    transitions: Vec<(i32, u8)>,
    kinds: Vec<LocalTime>,
}

/// The statements that fill an empty server's tables of zones, to be run in its database `mysql`.
///
/// # Errors
/// [`FailureKind::Absent`] where this machine has no zones, or only in a form that leaves out what the tables hold.
pub fn statements() -> Result<String, Failure> {
    let folder = std::env::var_os("TZDIR").map_or_else(|| PathBuf::from(FOLDER), PathBuf::from);
    let zones = zones_in(&folder)?;
    Ok(filling(&zones))
}

fn zones_in(folder: &Path) -> Result<BTreeMap<String, Zone>, Failure> {
    let mut zones = BTreeMap::new();
    let mut slim = None;
    walk(folder, "", 0, &mut |name, bytes| match zone(bytes) {
        Some(zone) if is_slim(bytes, &zone) => slim = Some(name.to_owned()),
        Some(zone) => drop(zones.insert(name.to_owned(), zone)),
        None => {}
    });
    let lacking =
        |what: String| Err(Failure::new(FailureKind::Absent, what).hint("install the zone information of this system (Debian: tzdata)"));
    match slim {
        Some(name) => lacking(format!("{}: {name} has its rules for years to come and no moments, which servers need", folder.display())),
        None if zones.is_empty() => lacking(format!("{}: there are no time zones on this machine", folder.display())),
        None => Ok(zones),
    }
}

fn walk(folder: &Path, prefix: &str, depth: usize, each: &mut dyn FnMut(&str, &[u8])) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, own) = (entry.path(), entry.file_name());
        let Some(own) = own.to_str() else { continue };
        // Aliases are links.
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_dir() && depth < DEEPEST && !(depth == 0 && OTHER_FORMS.contains(&own)) {
            walk(&path, &format!("{prefix}{own}/"), depth + 1, each);
        } else if meta.is_file()
            && meta.len() <= LONGEST
            && let Ok(bytes) = std::fs::read(&path)
        {
            each(&format!("{prefix}{own}"), &bytes);
        }
    }
}

/// Takes so many bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
}

/// The first block of a file; nothing where it is none of zones.
fn zone(bytes: &[u8]) -> Option<Zone> {
    let mut rest = bytes.strip_prefix(b"TZif")?;
    take(&mut rest, 16)?;
    let [.., moments, kinds, letters] = [0; 6].map(|_| take(&mut rest, 4).and_then(number));
    let (moments, kinds, letters) = (moments?, kinds?, letters?);
    let at = take(&mut rest, moments.checked_mul(4)?)?.chunks_exact(4);
    let of = take(&mut rest, moments)?;
    let described = take(&mut rest, kinds.checked_mul(6)?)?;
    let letters = take(&mut rest, letters)?;
    let transitions: Vec<(i32, u8)> = at.map(|at| i32::from_be_bytes([at[0], at[1], at[2], at[3]])).zip(of.iter().copied()).collect();
    let kind = |kind: &[u8]| {
        let abbreviation = letters.get(usize::from(kind[5])..)?.split(|letter| *letter == 0).next()?;
        let abbreviation = String::from_utf8_lossy(abbreviation).into_owned();
        Some(LocalTime { offset: i32::from_be_bytes([kind[0], kind[1], kind[2], kind[3]]), is_dst: kind[4] != 0, abbreviation })
    };
    let kinds = described.chunks_exact(6).map(kind).collect::<Option<Vec<_>>>()?;
    let holds = !kinds.is_empty() && transitions.iter().all(|(_, kind)| usize::from(*kind) < kinds.len());
    holds.then_some(Zone { transitions, kinds })
}

/// Whether the first block was left empty, and what it would hold is told in the second one or as a rule at the end.
fn is_slim(bytes: &[u8], zone: &Zone) -> bool {
    let second = bytes.windows(4).skip(4).position(|four| four == b"TZif").map(|at| &bytes[at + 4..]);
    let moments = second.and_then(|second| number(second.get(32..36)?)).unwrap_or(0);
    let footer = bytes.strip_suffix(b"\n").and_then(|text| text.rsplit(|byte| *byte == b'\n').next()).unwrap_or_default();
    zone.transitions.is_empty() && (moments > 0 || footer.contains(&b','))
}

fn filling(zones: &BTreeMap<String, Zone>) -> String {
    let (mut ids, mut names, mut kinds, mut transitions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, (name, zone)) in (1..).zip(zones) {
        ids.push(format!("({id},'N')"));
        names.push(format!("({},{id})", literal(name)));
        for (at, kind) in zone.kinds.iter().enumerate() {
            kinds.push(format!("({id},{at},{},{},{})", kind.offset, u8::from(kind.is_dst), literal(&kind.abbreviation)));
        }
        // A moment that stands there twice counts as its last.
        let moments: BTreeMap<i32, u8> = zone.transitions.iter().copied().collect();
        transitions.extend(moments.iter().map(|(at, kind)| format!("({id},{at},{kind})")));
    }
    let mut text = String::from("START TRANSACTION;\n");
    for (table, rows) in [
        ("time_zone (Time_zone_id, Use_leap_seconds)", ids),
        ("time_zone_name (Name, Time_zone_id)", names),
        ("time_zone_transition_type (Time_zone_id, Transition_type_id, `Offset`, Is_DST, Abbreviation)", kinds),
        ("time_zone_transition (Time_zone_id, Transition_time, Transition_type_id)", transitions),
    ] {
        for rows in rows.chunks(AT_ONCE) {
            let _ = writeln!(text, "INSERT INTO {table} VALUES {};", rows.join(","));
        }
    }
    text + "COMMIT;\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these moments in its first block, then a second block of as many as `second`, and a rule.
    fn file(transitions: &[(i32, u8)], second: u32, rule: &str) -> Vec<u8> {
        let counts = |moments: u32| [0, 0, 0, moments, 2, 8].map(u32::to_be_bytes).concat();
        let kinds = [&3600_i32.to_be_bytes()[..], &[0, 0], &7200_i32.to_be_bytes(), &[1, 4]].concat();
        let mut bytes = [&b"TZif2"[..], &[0; 15], &counts(transitions.len() as u32)].concat();
        transitions.iter().for_each(|(at, _)| bytes.extend(at.to_be_bytes()));
        bytes.extend(transitions.iter().map(|(_, kind)| *kind));
        bytes.extend([&kinds[..], b"CET\0CST\0"].concat());
        bytes.extend([&b"TZif2"[..], &[0; 15], &counts(second)].concat());
        bytes.extend(format!("\n{rule}\n").bytes());
        bytes
    }

    #[test]
    fn a_zone_is_what_the_servers_own_programs_load() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["Europe", "posix", "right/Europe"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let whole = file(&[(-10, 1), (-10, 0), (i32::MAX, 1)], 3, "CET-1CST,M3.5.0,M10.5.0/3");
        for name in ["Europe/It's", "posix/Other", "right/Europe/Other"] {
            std::fs::write(dir.path().join(name), &whole).unwrap();
        }
        std::fs::write(dir.path().join("tzdata.zi"), "# version").unwrap();
        let zones = zones_in(dir.path()).unwrap();
        assert_eq!(zones.keys().collect::<Vec<_>>(), ["Europe/It's"]);
        let text = filling(&zones);
        assert!(text.contains("('Europe/It''s',1)") && text.contains("(1,0,3600,0,'CET'),(1,1,7200,1,'CST')"), "{text}");
        assert!(text.contains("VALUES (1,-10,0),(1,2147483647,1);"), "{text}");
        // What would be left out is not taken for all.
        std::fs::write(dir.path().join("Slim"), file(&[], 9, "CET-1CST,M3.5.0,M10.5.0/3")).unwrap();
        let failure = zones_in(dir.path()).unwrap_err();
        assert!(failure.kind == FailureKind::Absent && failure.message.contains("Slim has its rules"), "{failure}");
        std::fs::write(dir.path().join("Slim"), file(&[], 0, "UTC0")).unwrap();
        assert_eq!(zones_in(dir.path()).unwrap().len(), 2, "a zone that never changes");
        let none = zones_in(&dir.path().join("nowhere")).unwrap_err();
        assert!(none.kind == FailureKind::Absent && none.hint.unwrap().contains("tzdata"));
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_looked_at(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for bytes in [bytes.clone(), [&b"TZif2"[..], &bytes].concat()] {
                if let Some(zone) = zone(&bytes) {
                    is_slim(&bytes, &zone);
                }
            }
        }
    }
}
