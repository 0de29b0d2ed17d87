//! What a PostgreSQL database defines, from its catalogues (PostgreSQL documentation, "System Catalogs"), which are open to every reader.
//!
//! What an extension has brought is the extension's. Rights of an object's owner are left out: it can always grant them to itself.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::verify::sql::definitions::kinds::{Definitions, GRANT, POSITION};

/// Schemas and relations of the database itself, and which catalogue's object (classid, objid) an extension has brought.
const OURS: &str = r"
WITH brought AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
 own AS (SELECT oid, nspname::text AS name, nspowner, nspacl FROM pg_namespace
  WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_%'),
 ours AS (SELECT c.*, o.name || '.' || c.relname::text AS name FROM pg_class c JOIN own o ON o.oid = c.relnamespace
  WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)),
 routines AS (SELECT p.*, o.name || '.' || p.proname::text || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name
  FROM pg_proc p JOIN own o ON o.oid = p.pronamespace WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)),
 types AS (SELECT t.*, o.name || '.' || t.typname::text AS name FROM pg_type t JOIN own o ON o.oid = t.typnamespace
  WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought) AND t.typelem = 0
  AND (t.typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c'))
";

/// Each kind and its question for names and definitions.
const KINDS: &[(&str, &str)] = &[
    // What makes partitions one table, whose rows a role sees, and whether anything is left after a crash.
    (
        "table",
        "SELECT name, concat_ws(' ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, \
         (SELECT 'of ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = ours.oid), \
         pg_get_expr(relpartbound, oid), CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END) FROM ours WHERE relkind IN ('r', 'p')",
    ),
    // Of tables, whose types are in their own leaves, defaults, identities and expressions; of what has no leaf of its own, all.
    (
        "column",
        "SELECT c.name || '.' || a.attname::text, concat_ws(' ', nullif(a.attidentity::text, ''), nullif(a.attgenerated::text, ''), \
         pg_get_expr(d.adbin, d.adrelid), CASE WHEN c.relkind <> 'r' THEN format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull END) \
         FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
         WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
         AND (c.relkind <> 'r' OR a.attidentity <> '' OR a.attgenerated <> '' OR d.oid IS NOT NULL)",
    ),
    (
        "constraint",
        "SELECT coalesce(c.name, t.name) || '.' || o.conname::text, pg_get_constraintdef(o.oid) FROM pg_constraint o \
         LEFT JOIN ours c ON c.oid = o.conrelid AND c.relkind IN ('p', 'f') LEFT JOIN types t ON t.oid = o.contypid \
         WHERE coalesce(c.name, t.name) IS NOT NULL AND o.contype IN ('p', 'u', 'f', 'c', 'x')",
    ),
    (
        "view",
        "SELECT name, concat_ws(' ', relkind, pg_get_viewdef(oid), array_to_string(reloptions, ','), \
         CASE WHEN NOT relispopulated THEN 'not populated' END) FROM ours WHERE relkind IN ('v', 'm')",
    ),
    ("routine", "SELECT name, pg_get_functiondef(oid) FROM routines WHERE prokind <> 'a'"),
    (
        "aggregate",
        "SELECT p.name, concat_ws(' ', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, \
         a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggtranstype::regtype, a.aggsortop::regoperator, a.agginitval, a.aggminitval, \
         p.proparallel) FROM pg_aggregate a JOIN routines p ON p.oid = a.aggfnoid",
    ),
    (
        "trigger",
        "SELECT c.name || '.' || t.tgname::text, t.tgenabled::text || pg_get_triggerdef(t.oid) \
         FROM pg_trigger t JOIN ours c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal",
    ),
    // The triggers that hold foreign keys have names of their own on every server; that they are off has to be seen.
    (
        "disabled constraint",
        "SELECT c.name || '.' || o.conname::text || ' ' || t.tgtype, t.tgenabled::text FROM pg_trigger t JOIN ours c ON c.oid = t.tgrelid \
         JOIN pg_constraint o ON o.oid = t.tgconstraint WHERE t.tgisinternal AND t.tgenabled <> 'O'",
    ),
    (
        "event trigger",
        "SELECT evtname::text, concat_ws(' ', evtevent, evtenabled, array_to_string(evttags, ','), evtfoid::regprocedure) FROM pg_event_trigger \
         WHERE ('pg_event_trigger'::regclass, oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "rule",
        "SELECT c.name || '.' || r.rulename::text, r.ev_enabled::text || pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN ours c ON c.oid = r.ev_class \
         WHERE r.rulename <> '_RETURN'",
    ),
    (
        "sequence",
        "SELECT c.name, concat_ws(' ', c.relpersistence, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, \
         (SELECT 'owned by ' || d.refobjid::regclass || '.' || d.refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass \
          AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1)) \
         FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid",
    ),
    // A sequence that gives numbers in a circle may be anywhere.
    (
        POSITION,
        "SELECT c.name, coalesce(sign(s.seqincrement) * pg_sequence_last_value(c.oid), sign(s.seqincrement) * s.seqstart - 1)::numeric::text FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid \
         WHERE CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT,USAGE') END AND c.relpersistence = 'p' AND NOT s.seqcycle",
    ),
    (
        "type",
        "SELECT t.name, concat_ws(' ', t.typtype, \
         (SELECT string_agg(enumlabel::text, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), \
         CASE WHEN t.typtype = 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault) END, \
         (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a \
          WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), \
         (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid)) FROM types t WHERE t.typtype IN ('e', 'd', 'c', 'r')",
    ),
    // Unique ones are in their tables' leaves, unless they hold nothing.
    (
        "index",
        "SELECT c.name, pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END \
         FROM ours c JOIN pg_index i ON i.indexrelid = c.oid WHERE NOT (i.indisunique AND i.indisvalid)",
    ),
    (
        "policy",
        "SELECT c.name || '.' || p.polname::text, concat_ws(' ', p.polcmd, p.polpermissive, \
         (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ',' ORDER BY role::regrole::text) FROM unnest(p.polroles) role), \
         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy p JOIN ours c ON c.oid = p.polrelid",
    ),
    (
        "statistics",
        "SELECT o.name || '.' || s.stxname::text, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s JOIN own o ON o.oid = s.stxnamespace",
    ),
    // Its version is the server's affair.
    ("extension", "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension"),
    (
        "foreign table",
        "SELECT c.name, concat_ws(' ', s.srvname, array_to_string(f.ftoptions, ',')) FROM pg_foreign_table f JOIN ours c ON c.oid = f.ftrelid \
         JOIN pg_foreign_server s ON s.oid = f.ftserver",
    ),
    (
        "foreign server",
        "SELECT s.srvname::text, concat_ws(' ', w.fdwname, s.srvtype, s.srvversion, array_to_string(s.srvoptions, ',')) \
         FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
         WHERE ('pg_foreign_server'::regclass, s.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "publication",
        "SELECT p.pubname::text, concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, \
         (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r WHERE r.prpubid = p.oid)) \
         FROM pg_publication p",
    ),
    (
        "owner",
        "SELECT 'relation ' || name, relowner::regrole::text FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
         UNION ALL SELECT 'routine ' || name, proowner::regrole::text FROM routines \
         UNION ALL SELECT 'schema ' || name, nspowner::regrole::text FROM own WHERE name <> 'public'",
    ),
    (
        GRANT,
        "SELECT g.name || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, \
         string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ',' ORDER BY a.privilege_type, a.is_grantable) FROM ( \
          SELECT name, relowner AS owner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner)) AS acl \
           FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
          UNION ALL SELECT c.name || '.' || t.attname::text, c.relowner, t.attacl FROM ours c JOIN pg_attribute t ON t.attrelid = c.oid \
           WHERE t.attacl IS NOT NULL AND NOT t.attisdropped \
          UNION ALL SELECT name, proowner, coalesce(proacl, acldefault('f', proowner)) FROM routines \
          UNION ALL SELECT 'type ' || name, typowner, coalesce(typacl, acldefault('T', typowner)) FROM types WHERE typtype <> 'm' \
          UNION ALL SELECT 'schema ' || name, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM own) g, aclexplode(g.acl) a \
         WHERE a.grantee <> g.owner GROUP BY g.name, a.grantee",
    ),
    (
        "default privileges",
        "SELECT concat_ws(' ', defaclrole::regrole, nullif(defaclnamespace, 0)::regnamespace, defaclobjtype), \
         array_to_string(ARRAY(SELECT unnest(defaclacl)::text ORDER BY 1), ' ') FROM pg_default_acl",
    ),
];

/// Whether there is a sequence whose position this reader may not see.
const HIDDEN_POSITIONS: &str = "SELECT EXISTS (SELECT FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid \
     WHERE CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT,USAGE') END AND c.relpersistence = 'p' AND NOT s.seqcycle)";

/// Reads them, one question for each kind.
pub async fn definitions(connection: &mut PgConnection) -> Result<Definitions, sqlx::Error> {
    let reader: String =
        sqlx::query_scalar("SELECT oid::regrole::text FROM pg_roles WHERE rolname = current_user").fetch_one(&mut *connection).await?;
    let mut found = Definitions::of_kinds(KINDS.iter().map(|(kind, _)| *kind), Some(reader));
    for (kind, question) in KINDS {
        for row in sqlx::query(AssertSqlSafe(format!("{OURS}{question}"))).fetch_all(&mut *connection).await? {
            let (name, definition): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            found.add(kind, name, definition.as_deref().unwrap_or_default());
        }
    }
    if sqlx::query_scalar(AssertSqlSafe(format!("{OURS}{HIDDEN_POSITIONS}"))).fetch_one(connection).await? {
        found.hide(POSITION, "SELECT on the sequence");
    }
    Ok(found)
}
