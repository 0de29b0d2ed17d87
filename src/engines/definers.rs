//! Accounts that views, triggers, routines and events of a dump of MariaDB or MySQL run as: a server that does not know them refuses some
//! of these, and reads others as broken.
//!
//! Not here: loading (`loading`), and who they are elsewhere: a dump of one database does not say.

/// An account: user and host; a role has no host.
pub type Account = (String, String);

/// So much of a line is looked at, and so many accounts are kept.
const LOOK: usize = 4 << 10;
const MOST: usize = 1000;

/// Notes the definer of a line as mysqldump and mariadb-dump write it.
pub fn note(line: &[u8], accounts: &mut std::collections::BTreeSet<Account>) {
    if accounts.len() >= MOST || !(line.starts_with(b"/*!") || line.starts_with(b"CREATE ")) {
        return;
    }
    let head = &line[..line.len().min(LOOK)];
    let Some(at) = head.windows(8).position(|window| window == b"DEFINER=") else { return };
    let Some((user, rest)) = quoted(&head[at + 8..]) else { return };
    match rest.strip_prefix(b"@") {
        Some(rest) => accounts.extend(quoted(rest).map(|(host, _)| (user, host))),
        // A role of MariaDB has no host.
        None => drop(accounts.insert((user, String::new()))),
    }
}

/// A name between backticks, and what follows it.
pub fn quoted(text: &[u8]) -> Option<(String, &[u8])> {
    let inside = text.strip_prefix(b"`")?;
    let mut at = 0;
    loop {
        at += inside.get(at..)?.iter().position(|byte| *byte == b'`')?;
        if inside.get(at + 1) != Some(&b'`') {
            let name = std::str::from_utf8(&inside[..at]).ok()?.replace("``", "`");
            return Some((name, &inside[at + 1..]));
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn definers_of_every_kind_are_noted_and_values_are_not() {
        let mut accounts = BTreeSet::new();
        for line in [
            "/*!50013 DEFINER=`app`@`%` SQL SECURITY DEFINER */",
            "/*!50003 CREATE*/ /*!50017 DEFINER=`we``ird`@`10.0.0.%`*/ /*!50003 TRIGGER t BEFORE INSERT ON x FOR EACH ROW",
            "CREATE DEFINER=`app`@`%` PROCEDURE `p`()",
            "INSERT INTO t VALUES ('DEFINER=`no`@`one`');",
            "/*!50013 DEFINER=`open",
            "/*!50013 DEFINER=CURRENT_USER */",
            "/*!50013 DEFINER=`a role` SQL SECURITY DEFINER */",
        ] {
            note(line.as_bytes(), &mut accounts);
        }
        let expected = [("a role", ""), ("app", "%"), ("we`ird", "10.0.0.%")];
        assert_eq!(accounts, BTreeSet::from(expected.map(|(user, host)| (user.to_owned(), host.to_owned()))));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_taken(rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), tail in "[`@a]{0,20}") {
            let mut accounts = BTreeSet::new();
            note(&[&b"CREATE DEFINER="[..], tail.as_bytes(), &rest].concat(), &mut accounts);
        }
    }
}
