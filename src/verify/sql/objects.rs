//! What a database defines beside its tables: views, routines, triggers, events, sequences, types, indexes, policies and grants, each as
//! the digest of its definition. A kind that the reader's rights do not show in full is not there at all, and then not compared.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::verify::sql::mysql_wire::error::WireError;
use crate::verify::sql::mysql_wire::session::WireSession;

/// Digests of definitions by kind and name.
pub type Objects = BTreeMap<String, BTreeMap<String, String>>;

const POSTGRES: &str = r"
WITH own AS (SELECT oid, nspname::text AS name, nspacl FROM pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_%'),
 ours AS (SELECT c.*, o.name AS schema FROM pg_class c JOIN own o ON o.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
SELECT 'view', schema || '.' || relname::text, pg_get_viewdef(oid) FROM ours WHERE relkind IN ('v', 'm')
UNION ALL SELECT 'routine', o.name || '.' || p.proname::text || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_functiondef(p.oid)
 FROM pg_proc p JOIN own o ON o.oid = p.pronamespace WHERE p.prokind <> 'a'
 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'trigger', c.schema || '.' || c.relname::text || '.' || t.tgname::text, t.tgenabled::text || pg_get_triggerdef(t.oid)
 FROM pg_trigger t JOIN ours c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL SELECT 'sequence', c.schema || '.' || c.relname::text, concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
 FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid
UNION ALL SELECT 'type', o.name || '.' || t.typname::text, (SELECT string_agg(enumlabel::text, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)
 FROM pg_type t JOIN own o ON o.oid = t.typnamespace WHERE t.typtype = 'e'
UNION ALL SELECT 'index', c.schema || '.' || c.relname::text, pg_get_indexdef(c.oid) FROM ours c JOIN pg_index i ON i.indexrelid = c.oid WHERE NOT i.indisunique
UNION ALL SELECT 'policy', c.schema || '.' || c.relname::text || '.' || p.polname::text, concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
 FROM pg_policy p JOIN ours c ON c.oid = p.polrelid
UNION ALL SELECT 'grants', schema || '.' || relname::text, array_to_string(ARRAY(SELECT unnest(relacl)::text ORDER BY 1), ' ') FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relacl IS NOT NULL
UNION ALL SELECT 'grants', 'schema ' || name, array_to_string(ARRAY(SELECT unnest(nspacl)::text ORDER BY 1), ' ') FROM own WHERE nspacl IS NOT NULL AND name <> 'public'";

const SQLITE: &str = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('view', 'trigger', 'index') AND sql IS NOT NULL";

/// Kind, the privilege without which it is not seen in full, and the question.
const MYSQL: &[(&str, &str, &str)] = &[
    ("view", "SHOW VIEW", "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?"),
    (
        "trigger",
        "TRIGGER",
        "SELECT TRIGGER_NAME, CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT) \
         FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?",
    ),
    (
        "event",
        "EVENT",
        "SELECT EVENT_NAME, CONCAT_WS(' ', EVENT_TYPE, INTERVAL_VALUE, INTERVAL_FIELD, EVENT_DEFINITION) \
         FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?",
    ),
    (
        "routine",
        "ALTER ROUTINE",
        "SELECT CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME), CONCAT_WS(' ', DTD_IDENTIFIER, SQL_DATA_ACCESS, SECURITY_TYPE, ROUTINE_DEFINITION) \
         FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?",
    ),
];

/// Of a PostgreSQL database; its catalogues are open to every reader.
pub async fn postgres(connection: &mut PgConnection) -> Result<Objects, sqlx::Error> {
    let kinds = ["view", "routine", "trigger", "sequence", "type", "index", "policy", "grants"];
    let mut objects: Objects = kinds.into_iter().map(|kind| (kind.to_owned(), BTreeMap::new())).collect();
    for row in sqlx::query(POSTGRES).fetch_all(connection).await? {
        let (kind, name, definition): (String, String, Option<String>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        objects.entry(kind).or_default().insert(name, digest(definition.unwrap_or_default().as_bytes()));
    }
    Ok(objects)
}

/// Of a SQLite file.
pub fn sqlite(connection: &rusqlite::Connection) -> Result<Objects, rusqlite::Error> {
    let mut objects: Objects = ["view", "trigger", "index"].into_iter().map(|kind| (kind.to_owned(), BTreeMap::new())).collect();
    let mut statement = connection.prepare(SQLITE)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, name, definition): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        objects.entry(kind).or_default().insert(name, digest(definition.as_bytes()));
    }
    Ok(objects)
}

/// Of a MySQL or MariaDB database, as far as the reader's rights show them in full. Names of the database itself are left out of the
/// definitions: a restored database may be called otherwise.
pub async fn mysql(session: &mut WireSession, database: &str) -> Result<Objects, WireError> {
    let rights = "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE REPLACE(GRANTEE, '''', '') = CURRENT_USER() \
                  UNION SELECT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES \
                  WHERE REPLACE(GRANTEE, '''', '') = CURRENT_USER() AND REPLACE(TABLE_SCHEMA, '\\\\', '') = ?";
    let mut held = Vec::new();
    // The session's sql_mode is empty: a backslash escapes.
    for row in session.ask(rights, &[database]).await? {
        held.extend(row.text(0));
    }
    let mut objects = Objects::new();
    for (kind, right, question) in MYSQL {
        if !held.iter().any(|known| known == right) {
            continue;
        }
        let found = objects.entry((*kind).to_owned()).or_default();
        for row in session.ask(question, &[database]).await? {
            let definition = row.text(1).unwrap_or_default().replace(&format!("`{}`.", database.replace('`', "``")), "");
            found.insert(row.text(0).unwrap_or_default(), digest(definition.as_bytes()));
        }
    }
    Ok(objects)
}

fn digest(definition: &[u8]) -> String {
    hex::encode(&blake3::derive_key("attestore definition v1", definition)[..16])
}

/// What changed: `KIND NAME`, what was, what is. Only kinds that both sides show are compared.
pub fn differences(before: &Value, now: &Objects) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (kind, old) in before.as_object().into_iter().flatten() {
        let (Some(old), Some(new)) = (old.as_object(), now.get(kind)) else { continue };
        for (name, digest) in old {
            match new.get(name) {
                Some(found) if Some(found.as_str()) == digest.as_str() => {}
                Some(other) => found.push((format!("{kind} {name}"), digest.as_str().unwrap_or_default().to_owned(), other.clone())),
                None => found.push((format!("{kind} {name}"), "defined".into(), "absent".into())),
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            found.push((format!("{kind} {name}"), "absent".into(), "defined".into()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_sides_show_is_compared() {
        let before = serde_json::json!({"view": {"a": "1", "b": "2", "c": "3"}, "trigger": {"t": "4"}});
        let view = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "9".to_owned()), ("d".to_owned(), "5".to_owned())].into();
        let now: Objects = [("view".to_owned(), view), ("event".to_owned(), [("e".to_owned(), "6".to_owned())].into())].into();
        let found: Vec<String> = differences(&before, &now).into_iter().map(|(what, was, is)| format!("{what}: {was} {is}")).collect();
        assert_eq!(found, ["view b: 2 9", "view c: defined absent", "view d: absent defined"]);
    }
}
