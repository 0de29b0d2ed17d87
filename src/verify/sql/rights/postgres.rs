//! What a reader of this PostgreSQL database needs, from its catalogues.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::verify::sql::rights::spelling::in_comment;
use crate::verify::sql::rows::table::double_quoted;

/// Schemas with the tables and sequences that are read, and the roles that own them.
const SCHEMAS: &str = "SELECT n.nspname::text, bool_or(c.relkind IN ('r', 'p')), bool_or(c.relkind = 'S'), \
     array_agg(DISTINCT c.relowner::regrole::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND n.nspname NOT LIKE 'pg\\_%' \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
     GROUP BY n.nspname ORDER BY n.nspname";

/// Tables whose rows row-level security may hide from the role: from everybody but its owners, and from those too where it is forced.
const ROW_SECURITY: &str = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND (c.relforcerowsecurity OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = $1 AND pg_has_role(r.oid, c.relowner, 'USAGE'))) ORDER BY 1";

/// The statements for `user`.
pub async fn needed(connection: &mut PgConnection, user: &str) -> Result<Vec<String>, sqlx::Error> {
    let role =
        sqlx::query("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = $1").bind(user).fetch_optional(&mut *connection).await?;
    let (is_known, is_super, bypasses) = match &role {
        Some(role) => (true, role.try_get::<bool, _>(0)?, role.try_get::<bool, _>(1)?),
        None => (false, false, false),
    };
    let name = double_quoted(user);
    if is_super {
        return Ok(vec![format!(
            "-- {} is a superuser and may read everything; a role of its own that may only read is safer",
            in_comment(&name)
        )]);
    }
    let mut lines = Vec::new();
    if !is_known {
        lines.push(format!("-- there is no such role yet: CREATE ROLE {} LOGIN PASSWORD '…';", in_comment(&name)));
    }
    let database: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut *connection).await?;
    lines.push(format!("GRANT CONNECT ON DATABASE {} TO {name};", double_quoted(&database)));
    let mut later = Vec::new();
    for row in sqlx::query(SCHEMAS).fetch_all(&mut *connection).await? {
        let (schema, tables, sequences, owners): (String, bool, bool, Vec<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let schema = double_quoted(&schema);
        lines.push(format!("GRANT USAGE ON SCHEMA {schema} TO {name};"));
        for (kind, is_there) in [("TABLES", tables), ("SEQUENCES", sequences)] {
            if is_there {
                lines.push(format!("GRANT SELECT ON ALL {kind} IN SCHEMA {schema} TO {name};"));
                later.extend(owners.iter().map(|owner| {
                    let said = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON {kind} TO {name};");
                    format!("-- {}", in_comment(&said))
                }));
            }
        }
    }
    if sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_largeobject_metadata)").fetch_one(&mut *connection).await? {
        lines.push(format!("GRANT SELECT ON pg_catalog.pg_largeobject TO {name};"));
    }
    let hidden: Vec<String> = sqlx::query_scalar(ROW_SECURITY).bind(user).fetch_all(connection).await?;
    if !hidden.is_empty() && !bypasses {
        lines.push(format!("-- row-level security would hide rows of {}:", in_comment(&hidden.join(", "))));
        lines.push(format!("ALTER ROLE {name} BYPASSRLS;"));
    }
    if !later.is_empty() {
        lines.push("-- for what is created later, as its owner:".to_owned());
        lines.extend(later);
    }
    Ok(lines)
}
