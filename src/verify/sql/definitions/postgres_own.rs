//! Which objects of a PostgreSQL database are its own: neither the server's nor what an extension has brought.
//!
//! Not here: what is asked of them (`postgres`, `postgres_objects`, `postgres_rights`, `postgres_positions`).

/// What questions are asked over, each made of those before it: which catalogue's object (classid, objid) an extension has brought, and
/// schemas, relations, routines and types of the database itself.
const OVER: [(&str, &str); 5] = [
    ("brought", "SELECT classid, objid FROM pg_depend WHERE deptype = 'e'"),
    (
        "own",
        r"SELECT oid, nspname::text AS name, nspowner, nspacl FROM pg_namespace
          WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_%'",
    ),
    (
        "ours",
        "SELECT c.*, o.name || '.' || c.relname::text AS name FROM pg_class c JOIN own o ON o.oid = c.relnamespace \
         WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "routines",
        "SELECT p.*, o.name || '.' || p.proname::text || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name \
         FROM pg_proc p JOIN own o ON o.oid = p.pronamespace WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "types",
        "SELECT t.*, o.name || '.' || t.typname::text AS name FROM pg_type t JOIN own o ON o.oid = t.typnamespace \
         WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought) AND t.typelem = 0 AND t.typisdefined \
         AND (t.typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')",
    ),
];

/// The question with what it is asked over: the server takes in the rest for each question, too, and there are some fifty.
pub fn over(question: &str) -> String {
    let uses = |text: &str, name: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name);
    let mut used: Vec<(&str, &str)> = Vec::new();
    for (name, text) in OVER.into_iter().rev() {
        if uses(question, name) || used.iter().any(|(_, later)| uses(later, name)) {
            used.push((name, text));
        }
    }
    let parts: Vec<String> = used.iter().rev().map(|(name, text)| format!("{name} AS ({text})")).collect();
    if parts.is_empty() { question.to_owned() } else { format!("WITH {} {question}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_over_what_it_uses_and_no_more() {
        assert_eq!(over("SELECT owner FROM pg_extension"), "SELECT owner FROM pg_extension");
        let names = |question: &str| OVER.iter().filter(|(name, _)| over(question).contains(&format!("{name} AS ("))).count();
        assert_eq!((names("SELECT FROM brought"), names("SELECT FROM own o"), names("SELECT c.name FROM ours c")), (1, 1, 3));
        assert!(over("SELECT FROM types t, routines").starts_with("WITH brought AS (SELECT classid"));
        assert_eq!(names("SELECT FROM types t, routines"), 4);
    }
}
