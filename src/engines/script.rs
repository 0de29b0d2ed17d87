//! An SQL script of pg_dump on its way into `psql`: what it needs beforehand, which statements take another way, and what must not reach
//! the client.
//!
//! A dump is foreign text. It is loaded by a user without special rights, so that its SQL can run no program, and its lines are looked
//! at here, so that the client's own commands cannot either. What only an administrator may do and harms nothing is built anew from its
//! tokens ([`Script::for_administrator`]). Not here: what is text and what is a statement (`psql_lexer`), and the loading (`loading`).

use std::collections::{BTreeMap, BTreeSet};

use crate::engines::postgres;
use crate::engines::psql_lexer::{Lexer, Stray};
use crate::engines::psql_statement::{Statement, Token};

/// The role that owns the database while a dump is loaded into it, with every owner in the dump as a member.
pub const OWNERS: &str = "attestore_owners";

/// So much of a statement that takes another way is held; a longer one goes to the client as it is.
const MOST_HELD: usize = 1 << 20;

/// What becomes of a line of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Goes to the client as it is.
    Pass,
    /// Is left out, or waits for the lines after it.
    Drop,
    /// This goes to the client in its place, ends of lines and all.
    Instead(Vec<u8>),
    /// A command of the client that no dump needs; the whole dump is refused.
    Refuse(String),
    /// No dump has such a line; in words.
    Damaged(String),
}

/// What a script wants to be there before it is loaded.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Roles that objects belong or are granted to.
    pub roles: BTreeSet<String>,
    /// Extensions that it creates, in their order, and the schema of each where it names one.
    pub extensions: Vec<(String, Option<String>)>,
    /// It defines something.
    pub creates: bool,
}

/// Follows a script line by line.
#[derive(Clone, Debug, Default)]
pub struct Script {
    lexer: Lexer,
    /// What was seen so far.
    pub needs: Needs,
    /// Schemas that were made beforehand.
    made: BTreeSet<String>,
    /// The lines of a statement that may take another way.
    held: Option<Vec<u8>>,
    /// It began to remove what an older state of the database may hold (`pg_dump --clean`), and has not created anything yet.
    cleaning: bool,
    /// Schemas whose owner is set once all objects have theirs.
    owners: Vec<u8>,
    /// Publications that are the administrator's, and its statements about them.
    publications: BTreeMap<String, Vec<String>>,
    event_triggers: Vec<String>,
    languages: Vec<String>,
    /// Schemas that belong to a role of the administrator's name.
    schemas: Vec<String>,
}

impl Script {
    /// A script that is loaded where these extensions and their schemas have been made.
    pub fn loading(needs: &Needs) -> Self {
        Self { made: needs.schemas().map(str::to_owned).collect(), ..Self::default() }
    }

    /// True once something was met that other versions or settings of the client would read in another way.
    pub fn is_ambiguous(&self) -> bool {
        self.lexer.is_ambiguous()
    }

    /// True within the data of a COPY.
    pub fn is_data(&self) -> bool {
        self.lexer.is_data()
    }

    /// True between statements, before anything was defined: there a dump says what it is of.
    pub fn is_head(&self) -> bool {
        !self.needs.creates && self.lexer.is_between()
    }

    /// What becomes of a piece of a line of data.
    pub fn data(piece: &[u8]) -> Line {
        if piece.contains(&0) { zero() } else { Line::Pass }
    }

    /// Takes the next line in, without its end.
    pub fn line(&mut self, line: &[u8]) -> Line {
        if self.lexer.is_plain() && line.first() == Some(&b'\\') {
            return own_command(line);
        }
        if self.lexer.is_data() {
            let _ = self.lexer.line(line, &mut Vec::new());
            return Self::data(line);
        }
        let (between, mut ended) = (self.lexer.is_between(), Vec::new());
        match self.lexer.line(line, &mut ended) {
            Ok(()) => {}
            Err(Stray::Command(word)) => return refused(&word),
            Err(Stray::Zero) => return zero(),
        }
        let mut before = Vec::new();
        for statement in &ended {
            self.note(statement);
        }
        let first = ended.first().unwrap_or(self.lexer.statement());
        if between && self.held.is_none() {
            if takes_another_way(first) || (self.cleaning && first.begins("CREATE OR REPLACE VIEW")) {
                self.held = Some(Vec::new());
            } else {
                self.cleaning &= !first.begins("CREATE");
                if first.begins("GRANT") || first.begins("REVOKE") || first.begins("ALTER DEFAULT PRIVILEGES") {
                    before = std::mem::take(&mut self.owners);
                }
            }
        }
        let Some(held) = &mut self.held else {
            return if before.is_empty() { Line::Pass } else { Line::Instead([&before[..], line, b"\n"].concat()) };
        };
        held.extend_from_slice(line);
        held.push(b'\n');
        let alone = ended.len() == 1 && self.lexer.is_between();
        if ended.is_empty() && held.len() <= MOST_HELD {
            return Line::Drop;
        }
        let held = self.held.take().unwrap_or_default();
        match ended.first().filter(|_| alone) {
            Some(statement) => self.another_way(statement, held),
            None => Line::Instead(held),
        }
    }

    /// What goes to the client after the last line.
    pub fn rest(&mut self) -> Vec<u8> {
        [self.held.take().unwrap_or_default(), std::mem::take(&mut self.owners)].concat()
    }

    /// Statements for the administrator once all is loaded, in this order. They hold nothing but names and fixed words of the dump.
    pub fn for_administrator(&self) -> String {
        // Event triggers last: they would run at the others.
        let all = self.schemas.iter().chain(&self.languages).chain(self.publications.values().flatten()).chain(&self.event_triggers);
        let text: String = all.flat_map(|statement| [statement.as_str(), ";\n"]).collect();
        if text.is_empty() { text } else { format!("{}{}{text}", postgres::IN_UTF8, postgres::OF_THE_SERVER) }
    }

    fn another_way(&mut self, statement: &Statement, held: Vec<u8>) -> Line {
        let tokens: Vec<&Token> = statement.tokens().collect();
        let named = |at: usize| tokens.get(at).and_then(|token| token.name());
        let last = tokens.last().and_then(|token| token.name());
        let gives_owner = tokens.len() >= 3 && tokens[tokens.len() - 3].is("owner") && tokens[tokens.len() - 2].is("to");
        match () {
            () if statement.begins("ALTER SCHEMA") && gives_owner => {
                let Some(schema) = named(2) else { return Line::Instead(held) };
                match anew(statement).filter(|_| last.as_deref() == Some(postgres::ADMIN)) {
                    Some(text) => self.schemas.push(text),
                    None => self.owners.extend_from_slice(&held),
                }
                // Everybody who owns something may own it there until then.
                let meanwhile = format!("ALTER SCHEMA {} OWNER TO {};\n", postgres::name(&schema), postgres::name(OWNERS));
                Line::Instead(self.lexer.bytes_of(&meanwhile))
            }
            () if statement.begins("CREATE SCHEMA") => {
                let made = named(2).is_some_and(|schema| self.made.contains(&schema));
                self.cleaning = false;
                if made { Line::Drop } else { Line::Instead(held) }
            }
            () if statement.begins("SET SESSION AUTHORIZATION") => match tokens.get(3) {
                Some(token) if token.is("default") => Line::Instead(b"RESET ROLE;\n".to_vec()),
                Some(Token::Text(role)) => Line::Instead(self.lexer.bytes_of(&format!("SET ROLE {};\n", postgres::name(role)))),
                _ => Line::Instead(held),
            },
            () if statement.begins("CREATE PUBLICATION") => {
                let everything = tokens.windows(2).any(|two| two[0].is("for") && two[1].is("all"));
                let schemas = tokens.windows(3).any(|three| three[0].is("tables") && three[1].is("in") && three[2].is("schema"));
                match (named(2), anew(statement)) {
                    (Some(name), Some(text)) if everything || schemas => {
                        self.publications.insert(name, vec![text]);
                        Line::Drop
                    }
                    _ => Line::Instead(held),
                }
            }
            () if statement.begins("ALTER PUBLICATION") => {
                let schemas = tokens.windows(2).any(|two| two[0].is("tables") && two[1].is("in"));
                let Some(name) = named(2) else { return Line::Instead(held) };
                match (self.publications.contains_key(&name) || schemas, gives_owner, anew(statement)) {
                    (true, true, _) => Line::Drop,
                    (true, false, Some(text)) => {
                        self.publications.entry(name).or_default().push(text);
                        Line::Drop
                    }
                    _ => Line::Instead(held),
                }
            }
            () if statement.begins("CREATE EVENT TRIGGER") || statement.begins("ALTER EVENT TRIGGER") => {
                // One for logins would run in our own sessions.
                let harmless = !tokens.iter().any(|token| token.is("login"));
                match anew(statement).filter(|_| harmless) {
                    Some(text) => {
                        self.event_triggers.extend((!gives_owner).then_some(text));
                        Line::Drop
                    }
                    None => Line::Instead(held),
                }
            }
            () if is_of_a_language(statement) => match anew(statement) {
                Some(text) => {
                    self.languages.push(text);
                    Line::Drop
                }
                None => Line::Instead(held),
            },
            () if removes_something(statement) => {
                let removes = !self.needs.creates || self.cleaning;
                self.cleaning |= removes;
                // The database is empty: there is nothing to be removed.
                if removes { Line::Drop } else { Line::Instead(held) }
            }
            // The database as a whole is ours; extensions are there.
            () => Line::Drop,
        }
    }

    fn note(&mut self, statement: &Statement) {
        let tokens: Vec<&Token> = statement.tokens().collect();
        let behind = |keyword: &str| tokens.windows(2).rev().find(|two| two[0].is(keyword)).map(|two| two[1]);
        let after = |keyword: &str| behind(keyword).and_then(Token::role);
        let mut roles = Vec::new();
        match () {
            () if statement.begins("SET client_encoding") => {
                let encoding = tokens.iter().find_map(|token| if let Token::Text(name) = token { Some(name.as_str()) } else { None });
                self.lexer.speaks(encoding.unwrap_or_default());
            }
            () if statement.begins("ALTER DEFAULT PRIVILEGES") => {
                roles.extend([after("role"), after("to"), after("from")]);
            }
            () if statement.begins("ALTER") => {
                let gives = |three: &&[&Token]| three[0].is("owner") && three[1].is("to");
                roles.push(tokens.windows(3).rfind(gives).and_then(|three| three[2].role()));
            }
            () if statement.begins("GRANT") => roles.push(after("to")),
            () if statement.begins("REVOKE") => roles.push(after("from")),
            () if statement.begins("SET SESSION AUTHORIZATION") => {
                roles.push(tokens.get(3).and_then(|token| if let Token::Text(role) = token { Some(role.clone()) } else { None }));
            }
            () if statement.begins("CREATE USER MAPPING FOR") => roles.push(after("for")),
            () if statement.begins("CREATE POLICY") => roles.extend(policy_roles(&tokens)),
            () if statement.begins("CREATE EXTENSION") => {
                let skip = if statement.begins("CREATE EXTENSION IF NOT EXISTS") { 5 } else { 2 };
                if let Some(name) = tokens.get(skip).and_then(|token| token.name()) {
                    self.needs.extensions.push((name, behind("schema").and_then(Token::name)));
                }
            }
            // An archive always states its database.
            () => self.needs.creates |= statement.begins("CREATE") && !statement.begins("CREATE DATABASE"),
        }
        self.needs.roles.extend(roles.into_iter().flatten());
    }
}

impl Needs {
    /// Schemas of extensions that have to be made before them.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        let named = self.extensions.iter().filter_map(|(_, schema)| schema.as_deref());
        named.filter(|schema| *schema != "public" && !schema.starts_with("pg_"))
    }
}

/// `CREATE POLICY … TO one, another USING …`.
fn policy_roles(tokens: &[&Token]) -> Vec<Option<String>> {
    let roles = tokens.iter().skip_while(|token| !token.is("to")).skip(1);
    let roles = roles.take_while(|token| !token.is("using") && !token.is("with"));
    roles.filter(|token| **token != &Token::Sign(',')).map(|token| token.role()).collect()
}

/// Statements that are held until they are whole.
/// Rights on a language, which belongs to the administrator wherever a dump is loaded.
fn is_of_a_language(statement: &Statement) -> bool {
    let tokens: Vec<&Token> = statement.tokens().collect();
    (statement.begins("GRANT") || statement.begins("REVOKE")) && tokens.windows(2).any(|two| two[0].is("on") && two[1].is("language"))
}

fn takes_another_way(statement: &Statement) -> bool {
    if is_of_a_language(statement) {
        return true;
    }
    const WAYS: &[&str] = &[
        "CREATE DATABASE",
        "ALTER DATABASE",
        "DROP DATABASE",
        "COMMENT ON DATABASE",
        "SECURITY LABEL ON DATABASE",
        "CREATE EXTENSION",
        "COMMENT ON EXTENSION",
        "CREATE SCHEMA",
        "ALTER SCHEMA",
        "SET SESSION AUTHORIZATION",
        "CREATE PUBLICATION",
        "ALTER PUBLICATION",
        "CREATE EVENT TRIGGER",
        "ALTER EVENT TRIGGER",
        // Nothing is received here from another server.
        "CREATE SUBSCRIPTION",
        "ALTER SUBSCRIPTION",
        "COMMENT ON SUBSCRIPTION",
        "COMMENT ON PUBLICATION",
        "COMMENT ON EVENT TRIGGER",
    ];
    WAYS.iter().any(|way| statement.begins(way)) || removes_something(statement)
}

/// What `pg_dump --clean` begins with.
fn removes_something(statement: &Statement) -> bool {
    let any = |keyword: &str| statement.tokens().any(|token| token.is(keyword));
    statement.begins("DROP")
        || (statement.begins("ALTER TABLE") && any("drop"))
        || (statement.begins("SELECT pg_catalog") && statement.first.get(3).is_some_and(|token| token.is("lo_unlink")))
}

/// The same statement of its tokens, each in quotes that hold it; nothing where that is not all of it, or where it holds an expression: a
/// value of a type of the dump runs that type's conditions.
fn anew(statement: &Statement) -> Option<String> {
    if statement.shortened || statement.tokens().any(|token| token.is("where")) {
        return None;
    }
    let parts = statement.tokens().map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        Token::Name(name) => Some(postgres::name(name)),
        Token::Text(text) if !text.contains('\\') => Some(format!("'{}'", text.replace('\'', "''"))),
        Token::Sign(sign @ ('.' | ',' | '(' | ')' | '=')) => Some(sign.to_string()),
        _ => None,
    });
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.join(" "))
}

/// A line that begins with a backslash: what pg_dump itself writes is left out, for the database is named and the client restricted by
/// whoever restores.
fn own_command(line: &[u8]) -> Line {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = |word: &str| word.chars().all(|one| one.is_ascii_alphanumeric());
    match words.as_slice() {
        ["\\restrict" | "\\unrestrict", key] if plain(key) => Line::Drop,
        ["\\connect", ..] => Line::Drop,
        [command, ..] => refused(command.trim_start_matches('\\')),
        [] => refused(""),
    }
}

fn refused(word: &str) -> Line {
    Line::Refuse(format!("the client's command `\\{}`", word.escape_default()))
}

fn zero() -> Line {
    Line::Damaged("a zero byte, which no text of PostgreSQL has".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client is given, and the script afterwards.
    fn passed(mut script: Script, text: &str) -> (String, Script) {
        let mut out = Vec::new();
        for line in text.lines() {
            match script.line(line.as_bytes()) {
                Line::Pass => out.extend([line.as_bytes(), b"\n"].concat()),
                Line::Drop => {}
                Line::Instead(bytes) => out.extend(bytes),
                other => panic!("{line}: {other:?}"),
            }
        }
        out.extend(script.rest());
        (String::from_utf8(out).unwrap(), script)
    }

    #[test]
    fn needs_are_noted_and_client_commands_refused() {
        let text = "\\restrict abc\nCREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA public;\nCOMMENT ON EXTENSION amcheck IS 'x';\n\
            CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA \"my ext\";\nALTER TABLE public.t OWNER TO \"Keeper\nOne\";\n\
            ALTER LARGE OBJECT 7 OWNER TO blobs;\nCREATE POLICY p ON t TO one, \"Two\" USING (true);\n\
            ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO looker;\n\
            GRANT SELECT ON TABLE public.t TO reader WITH GRANT OPTION;\nREVOKE ALL ON SCHEMA public FROM PUBLIC;\n\
            COPY public.t (a) FROM stdin;\n\\N\n\\! rm\nGRANT x TO nobody;\n\\.\nSELECT 1;\n\\connect crm\nCREATE DATABASE crm;\n\
            COMMENT ON DATABASE crm IS 'two\nlines';\n";
        let (client, mut script) = passed(Script::default(), text);
        for left_out in ["restrict", "EXTENSION", "DATABASE", "connect", "lines"] {
            assert!(!client.contains(left_out), "{client}");
        }
        assert!(client.contains("\\N\n\\! rm\nGRANT x TO nobody;\n\\.\nSELECT 1;\n"), "data is data: {client}");
        let roles = ["Keeper\nOne", "Two", "blobs", "looker", "maker", "one", "reader"].map(str::to_owned);
        assert_eq!(script.needs.roles, BTreeSet::from(roles));
        let extensions = [("amcheck".to_owned(), Some("public".to_owned())), ("hstore".to_owned(), Some("my ext".to_owned()))];
        assert_eq!(script.needs.extensions, extensions);
        assert!(matches!(script.line(b"\\! id"), Line::Refuse(command) if command.contains("\\!")));
        assert!(matches!(script.line(b"SELECT 1; \\! id"), Line::Refuse(_)));
        assert!(matches!(Script::default().line(b"\\restrict a \\! id"), Line::Refuse(_)));
        assert!(matches!(Script::default().line(b"SELECT '\0'"), Line::Damaged(_)));
    }

    #[test]
    fn names_are_read_in_quotes_and_in_the_encoding_of_the_dump() {
        let text = "ALTER TABLE t OWNER TO \"user\";\nGRANT SELECT ON TABLE t TO \"none\";\nGRANT SELECT ON TABLE t TO PUBLIC;\n\
            ALTER TABLE t OWNER TO CURRENT_USER;\nCREATE POLICY p ON t TO \"default\", SESSION_USER USING (true);\n";
        let roles = |script: &Script| script.needs.roles.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!(roles(&passed(Script::default(), text).1), "default none user");
        // As a database in LATIN1 is dumped.
        let mut script = Script::default();
        for line in [&b"SET client_encoding = 'LATIN1';"[..], b"ALTER TABLE t OWNER TO \"roll\xe9\";"] {
            assert_eq!(script.line(line), Line::Pass);
        }
        assert_eq!(roles(&script), "roll\u{e9}");
        let schema = script.line(b"ALTER SCHEMA \"sch\xe9m\xe9\" OWNER TO \"roll\xe9\";");
        assert_eq!(schema, Line::Instead(b"ALTER SCHEMA \"sch\xe9m\xe9\" OWNER TO \"attestore_owners\";\n".to_vec()));
        assert_eq!(script.rest(), b"ALTER SCHEMA \"sch\xe9m\xe9\" OWNER TO \"roll\xe9\";\n");
    }

    #[test]
    fn what_was_made_beforehand_or_is_not_there_to_be_removed_is_left_out() {
        let needs = Needs { extensions: vec![("hstore".into(), Some("ext".into()))], ..Needs::default() };
        let clean = "SELECT pg_catalog.lo_unlink('7');\nALTER TABLE ONLY public.t DROP CONSTRAINT t_pkey;\nDROP TABLE public.t;\nCREATE OR REPLACE VIEW public.v AS\n SELECT 1;\n\
            DROP EXTENSION hstore;\nDROP SCHEMA ext;\n--\nCREATE SCHEMA ext;\nALTER SCHEMA ext OWNER TO one;\nCREATE SCHEMA s;\n\
            CREATE TABLE public.t (a int);\nDROP TABLE public.other;\n";
        let (client, _) = passed(Script::loading(&needs), clean);
        let expected = "--\nALTER SCHEMA \"ext\" OWNER TO \"attestore_owners\";\nCREATE SCHEMA s;\nCREATE TABLE public.t (a int);\n\
            DROP TABLE public.other;\nALTER SCHEMA ext OWNER TO one;\n";
        assert_eq!(client, expected);
    }

    #[test]
    fn owners_of_schemas_wait_for_those_of_objects() {
        let text = "CREATE SCHEMA s;\nALTER SCHEMA s OWNER TO one;\nCREATE TABLE s.t (a int);\nALTER TABLE s.t OWNER TO app;\n\
            GRANT USAGE ON SCHEMA s TO app;\n";
        let expected = "CREATE SCHEMA s;\nALTER SCHEMA \"s\" OWNER TO \"attestore_owners\";\nCREATE TABLE s.t (a int);\n\
            ALTER TABLE s.t OWNER TO app;\nALTER SCHEMA s OWNER TO one;\nGRANT USAGE ON SCHEMA s TO app;\n";
        assert_eq!(passed(Script::default(), text).0, expected);
    }

    #[test]
    fn what_only_an_administrator_may_do_is_built_anew() {
        let text = "CREATE PUBLICATION \"p;\n\"\"x\" FOR ALL TABLES WITH (publish = 'insert, update');\nALTER PUBLICATION \"p;\n\"\"x\" OWNER TO one;\n\
            CREATE PUBLICATION q FOR TABLE t;\nCREATE EVENT TRIGGER e ON ddl_command_end\n   EXECUTE FUNCTION public.f();\n\
            ALTER EVENT TRIGGER e OWNER TO one;\nALTER EVENT TRIGGER e DISABLE;\nCREATE EVENT TRIGGER l ON login EXECUTE FUNCTION f();\n\
            CREATE SUBSCRIPTION s CONNECTION 'host=elsewhere' PUBLICATION p;\nREVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC;\n";
        let (client, script) = passed(Script::default(), text);
        assert_eq!(client, "CREATE PUBLICATION q FOR TABLE t;\nCREATE EVENT TRIGGER l ON login EXECUTE FUNCTION f();\n");
        assert_eq!(
            script.for_administrator(),
            "SET client_encoding = 'UTF8';\nSET search_path = pg_catalog, pg_temp;\nREVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC;\nCREATE PUBLICATION \"p;\n\"\"x\" FOR ALL TABLES WITH ( publish = 'insert, update' );\n\
             CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public . f ( );\nALTER EVENT TRIGGER e DISABLE;\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_lines_are_taken(lines in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60), 0..20)) {
            let mut script = Script::default();
            for line in &lines {
                let _ = script.line(line);
            }
        }

        /// What takes no other way reaches the client byte for byte.
        #[test]
        fn rows_pass_unchanged(rows in proptest::collection::vec("[a-z0-9'\"$\\\\;/*-]{0,20}", 0..20)) {
            let text: String = rows.iter().map(|row| format!("INSERT INTO t VALUES ('{}');\n", row.replace('\'', "''"))).collect();
            proptest::prop_assert_eq!(passed(Script::default(), &text).0, text);
        }
    }
}
