//! How names are spelled in statements that grant rights: accounts, patterns of databases, and foreign text in comments.

use crate::verify::sql::rows::table::backticked;

/// Foreign text that cannot leave a comment.
pub fn in_comment(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char.escape_debug().to_string() } else { char.to_string() }).collect()
}

/// A database's name where a grant takes a pattern: `_` and `%` mean themselves only behind a backslash.
pub fn pattern(database: &str) -> String {
    backticked(&database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
}

/// An account of MySQL and MariaDB: a user and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The user.
    pub name: String,
    /// The host or a pattern of hosts.
    pub host: String,
}

impl Account {
    /// `user`, `user@host`, or both parts in quotes; without a host, any.
    pub fn of(text: &str) -> Self {
        let bare = |part: &str| {
            let quote = part.chars().next().filter(|first| ['\'', '"', '`'].contains(first) && part.len() > 1 && part.ends_with(*first));
            quote.map_or_else(|| part.to_owned(), |quote| part[1..part.len() - 1].replace(&format!("{quote}{quote}"), &quote.to_string()))
        };
        // An `@` within quotes is part of the name.
        match text.rsplit_once('@').filter(|(_, host)| {
            !host.is_empty() && (!host.ends_with(['\'', '"', '`']) || host.len() > 1 && host.starts_with(['\'', '"', '`']))
        }) {
            Some((name, host)) => Self { name: bare(name), host: bare(host) },
            None => Self { name: bare(text), host: "%".to_owned() },
        }
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        write!(f, "{}@{}", quoted(&self.name), quoted(&self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_taken_apart() {
        for (text, shown) in [
            ("rdr", "'rdr'@'%'"),
            ("rdr@localhost", "'rdr'@'localhost'"),
            ("'rdr'@'10.0.%'", "'rdr'@'10.0.%'"),
            ("`rdr`@`%`", "'rdr'@'%'"),
            ("'o@neil'", "'o@neil'@'%'"),
            ("'o@neil'@'::1'", "'o@neil'@'::1'"),
            ("o'neil@h", "'o''neil'@'h'"),
            ("rdr@", "'rdr@'@'%'"),
            ("'", "''''@'%'"),
            ("", "''@'%'"),
        ] {
            assert_eq!(Account::of(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn foreign_text_stays_in_its_place() {
        assert_eq!(in_comment("a\nDROP TABLE t"), "a\\nDROP TABLE t");
        assert_eq!(pattern("c_r`m"), "`c\\_r``m`");
    }
}
