//! Passwords in `.pgpass` (PostgreSQL documentation, "The Password File"): `PGPASSFILE` first, then the one in the home directory.
//!
//! A file that others may read is not used, as with every client of PostgreSQL.
//!
//! Not here: passwords that are given otherwise (`access`).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The password of a user in a database of a server; nothing where no file has one.
pub fn look_up(host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let home = std::env::home_dir().map(|home| home.join(".pgpass"));
    let files = [std::env::var_os("PGPASSFILE").map(PathBuf::from), home];
    files.into_iter().flatten().find_map(|file| in_file(&file, [host, &port.to_string(), database, user]))
}

fn in_file(file: &Path, wanted: [&str; 4]) -> Option<String> {
    let meta = std::fs::metadata(file).ok()?;
    if meta.permissions().mode() & 0o77 != 0 {
        return None;
    }
    let text = String::from_utf8_lossy(&std::fs::read(file).ok()?).into_owned();
    text.lines().find_map(|line| in_line(line, wanted))
}

/// The password of a line that is about `wanted`: host, port, database, user.
fn in_line(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest)?;
        if field != "*" && unescaped(field) != wanted {
            return None;
        }
        rest = after;
    }
    Some(unescaped(rest))
}

/// What is before the next colon that no backslash precedes, and after it.
fn field(line: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b':' => return Some((&line[..at], &line[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescaped(field: &str) -> String {
    let (mut text, mut characters) = (String::new(), field.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_servers_own_client_reads_them() {
        let wanted = ["db.example", "5432", "crm", "reader"];
        for (line, password) in [
            ("db.example:5432:crm:reader:secret", Some("secret")),
            ("*:*:*:reader:with:colons ", Some("with:colons ")),
            ("*:*:*:*:a\\:b\\\\c\\d", Some("a:b\\cd")),
            ("db.example:5433:crm:reader:secret", None),
            ("#*:*:*:*:secret", None),
            ("*:*:*:reader", None),
            ("db\\.example:5432:crm:reader:", Some("")),
            ("\\*:*:*:*:secret", None),
            ("", None),
        ] {
            assert_eq!(in_line(line, wanted).as_deref(), password, "{line}");
        }
        assert_eq!(in_line("[\\:\\:1]:1:d:u:p", ["[::1]", "1", "d", "u"]).as_deref(), Some("p"));
    }

    #[test]
    fn the_first_line_counts_and_a_file_that_others_may_read_does_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "other:*:*:*:no\r\nh:*:*:*:yes\r\n*:*:*:*:late\n").unwrap();
        let with_mode = |mode: u32| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            in_file(file.path(), ["h", "1", "d", "u"])
        };
        assert_eq!(with_mode(0o600).as_deref(), Some("yes"));
        assert_eq!(with_mode(0o640), None);
        assert_eq!(in_file(Path::new("/nowhere/at/all"), ["h", "1", "d", "u"]), None);
    }
}
