//! Where PostgreSQL looks for names while a check runs.
//!
//! Names and operators are the server's own first, wherever a database or a role has put it in its search path (CVE-2018-1058). And the schema that
//! is called like the user (`$user`) stays that of who asks, whatever role a statement runs as.

use crate::verify::sql::rows::table::double_quoted;

/// The path that a check has where `set` is that of who asks, `user`.
pub fn pinned(set: &str, user: &str) -> String {
    let named = |name: String| double_quoted(if name == "$user" { user } else { &name });
    std::iter::once("pg_catalog".to_owned()).chain(names(set).into_iter().map(named)).collect::<Vec<_>>().join(", ")
}

/// The names of a list as PostgreSQL reads it (`SplitIdentifierString`): those in quotes as they are, others in lower case.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut name, mut is_quoted, mut within) = (Vec::new(), String::new(), false, false);
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if within && rest.peek() == Some(&'"') => name.extend(rest.next()),
            '"' => (within, is_quoted) = (!within, true),
            ',' if !within => names.extend(Some((std::mem::take(&mut name), std::mem::take(&mut is_quoted)))),
            c if !within && c.is_ascii_whitespace() => {}
            c => name.push(if within { c } else { c.to_ascii_lowercase() }),
        }
    }
    names.push((name, is_quoted));
    names.into_iter().filter(|(name, is_quoted)| *is_quoted || !name.is_empty()).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_name_is_that_of_the_user() {
        for (set, pinned_to) in [
            ("\"$user\", public", "pg_catalog, \"Cap\"\"s\", \"public\""),
            ("$user,public", "pg_catalog, \"Cap\"\"s\", \"public\""),
            ("Public , $USER", "pg_catalog, \"public\", \"Cap\"\"s\""),
            ("app$user, \"$USER\", \"t_$user\"", "pg_catalog, \"app$user\", \"$USER\", \"t_$user\""),
            ("\"a,\"\"b\", \"c d\"", "pg_catalog, \"a,\"\"b\", \"c d\""),
            ("", "pg_catalog"),
        ] {
            assert_eq!(pinned(set, "Cap\"s"), pinned_to, "{set}");
        }
    }
}
