//! An SQL script of pg_dump on its way into `psql`: what it needs beforehand, and lines that must not reach the client.
//!
//! A dump is foreign text. It is loaded by a user without special rights, so that its SQL can run no program, and its lines are looked
//! at here, so that the client's own commands cannot either.

use std::collections::BTreeSet;

/// What a line of the script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Goes to the client as it is.
    Pass,
    /// Is left out: it is about the database as a whole, which is ours here.
    Drop,
    /// A command of the client that no dump needs; the whole dump is refused.
    Refuse(String),
}

/// Follows a script line by line.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Inside of `COPY … FROM stdin`.
    copying: bool,
    /// Roles that objects belong or are granted to.
    pub roles: BTreeSet<String>,
    /// Extensions that it creates.
    pub extensions: BTreeSet<String>,
}

impl Script {
    /// Takes the next line in, without its end.
    pub fn line(&mut self, line: &[u8]) -> Line {
        if self.copying {
            self.copying = line != b"\\.";
            return Line::Pass;
        }
        let Ok(text) = std::str::from_utf8(line) else { return Line::Pass };
        if let Some(command) = text.strip_prefix('\\') {
            let word = command.split_whitespace().next().unwrap_or_default();
            return match word {
                "restrict" | "unrestrict" => Line::Pass,
                // `-C`: the database is named by whoever restores.
                "connect" => Line::Drop,
                _ => Line::Refuse(format!("the client's command `\\{}`", word.escape_default())),
            };
        }
        if text.starts_with("COPY ") && text.trim_end().ends_with(" FROM stdin;") {
            self.copying = true;
            return Line::Pass;
        }
        self.note(text);
        let ours = ["CREATE DATABASE ", "ALTER DATABASE ", "DROP DATABASE ", "COMMENT ON DATABASE ", "COMMENT ON EXTENSION "];
        if ours.iter().any(|start| text.starts_with(start)) { Line::Drop } else { Line::Pass }
    }

    fn note(&mut self, text: &str) {
        let Some(statement) = text.trim_end().strip_suffix(';') else { return };
        let role = match statement.split_whitespace().next() {
            Some("ALTER") => statement.rsplit_once(" OWNER TO ").map(|(_, role)| role),
            Some("GRANT") => statement.rsplit_once(" TO ").map(|(_, role)| role.trim_end_matches(" WITH GRANT OPTION")),
            Some("REVOKE") => statement.rsplit_once(" FROM ").map(|(_, role)| role),
            Some("CREATE") => {
                if let Some(rest) = statement.strip_prefix("CREATE EXTENSION IF NOT EXISTS ") {
                    self.extensions.extend(rest.split_whitespace().next().and_then(identifier));
                }
                None
            }
            _ => None,
        };
        self.roles.extend(role.and_then(identifier).filter(|role| !role.eq_ignore_ascii_case("public")));
    }
}

/// A name as the server stores it: bare, or in quotes.
fn identifier(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.strip_suffix('"').map(|name| name.replace("\"\"", "\"")).filter(|name| !name.is_empty());
    }
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    plain.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_noted_and_client_commands_refused() {
        let mut script = Script::default();
        let text = "\\restrict abc\nCREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA public;\nCOMMENT ON EXTENSION amcheck IS 'x';\n\
            ALTER TABLE public.t OWNER TO \"Keeper One\";\nGRANT SELECT ON TABLE public.t TO reader;\nREVOKE ALL ON SCHEMA public FROM PUBLIC;\n\
            COPY public.t (a) FROM stdin;\n\\N\n\\! rm\nGRANT x TO nobody;\n\\.\nSELECT 1;\n\\connect crm\nCREATE DATABASE crm;\n\\! id";
        let lines: Vec<Line> = text.lines().map(|line| script.line(line.as_bytes())).collect();
        let dropped: Vec<usize> = lines.iter().enumerate().filter(|(_, line)| **line == Line::Drop).map(|(at, _)| at).collect();
        assert_eq!(dropped, [2, 12, 13]);
        assert!(matches!(&lines[14], Line::Refuse(command) if command.contains("\\!")));
        assert!(lines[..12].iter().all(|line| !matches!(line, Line::Refuse(_))), "data is data");
        assert_eq!(script.roles, BTreeSet::from(["Keeper One".to_owned(), "reader".to_owned()]));
        assert_eq!(script.extensions, BTreeSet::from(["amcheck".to_owned()]));
    }

    proptest::proptest! {
        #[test]
        fn any_lines_are_taken(lines in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), 0..20)) {
            let mut script = Script::default();
            for line in &lines {
                let _ = script.line(line);
            }
        }
    }
}
