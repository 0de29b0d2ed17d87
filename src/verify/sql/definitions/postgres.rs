//! What a PostgreSQL database defines, from its catalogues (PostgreSQL documentation, "System Catalogs"), which are open to every reader.
//!
//! What an extension has brought is the extension's. Rights of an object's owner are left out: it can always grant them to itself.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Either, Row as _};

use crate::verify::sql::definitions::belonging::{GRANT, MAPPING_OPTIONS};
use crate::verify::sql::definitions::folded::folded;
use crate::verify::sql::definitions::kinds::{COLUMN_ORDER, Definitions};
use crate::verify::sql::definitions::postgres_own::over;
use crate::verify::sql::definitions::{postgres_objects, postgres_positions, postgres_rights};

/// Kind, the first version that the question is for, and the question: names, definitions, and the words that earlier versions of ours had
/// for the same, where they are others.
const KINDS: &[(&str, u32, &str)] = &[
    // What makes partitions one table, whose rows a role sees, whether anything is left after a crash, and what names rows to subscribers.
    (
        "table",
        0,
        "SELECT name, concat_ws(' ', formerly, replica, CASE WHEN reloftype <> 0 THEN 'typed ' || reloftype::regtype END), formerly FROM ( \
         SELECT name, reloftype, concat_ws(' ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, \
         (SELECT 'of ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = ours.oid), \
         pg_get_expr(relpartbound, oid), CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END) AS formerly, \
         (SELECT 'by ' || quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
          WHERE ours.relreplident = 'i' AND i.indrelid = ours.oid AND i.indisreplident) AS replica \
         FROM ours WHERE relkind IN ('r', 'p')) t",
    ),
    // A dump makes inherited columns before a table's own, whenever they were added; partitions it makes as they are.
    (
        COLUMN_ORDER,
        0,
        "SELECT c.name, json_agg(a.attname ORDER BY a.attnum)::text FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND (a.attinhcount = 0 OR c.relispartition) GROUP BY c.name",
    ),
    // Of tables, whose types are in their own leaves, defaults, identities and expressions; of what has no leaf of its own, all.
    (
        "column",
        0,
        "SELECT c.name || '.' || a.attname::text, concat_ws(' ', nullif(a.attidentity::text, ''), nullif(a.attgenerated::text, ''), \
         pg_get_expr(d.adbin, d.adrelid), CASE WHEN c.relkind <> 'r' THEN format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull END) \
         FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
         WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
         AND (c.relkind <> 'r' OR a.attidentity <> '' OR a.attgenerated <> '' OR d.oid IS NOT NULL)",
    ),
    (
        "constraint",
        0,
        "SELECT coalesce(c.name, t.name) || '.' || o.conname::text, pg_get_constraintdef(o.oid) FROM pg_constraint o \
         LEFT JOIN ours c ON c.oid = o.conrelid AND c.relkind IN ('p', 'f') LEFT JOIN types t ON t.oid = o.contypid \
         WHERE coalesce(c.name, t.name) IS NOT NULL AND o.contype IN ('p', 'u', 'f', 'c', 'x') \
         AND NOT EXISTS (SELECT FROM pg_constraint u WHERE u.oid = o.conparentid AND u.conrelid = o.conrelid)",
    ),
    // From 18 on a column may be NOT NULL for what comes, and hold NULL.
    (
        "unvalidated not null",
        0,
        "SELECT c.name || '.' || a.attname::text, 'not valid' FROM pg_constraint o JOIN ours c ON c.oid = o.conrelid \
         JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = o.conkey[1] WHERE o.contype = 'n' AND NOT o.convalidated",
    ),
    (
        "view",
        0,
        "SELECT name, concat_ws(' ', relkind, text, (SELECT string_agg(quote_literal(option), ',' ORDER BY option) FROM unnest(reloptions) option), empty), \
         concat_ws(' ', relkind, text, array_to_string(reloptions, ','), empty) FROM ( \
         SELECT name, relkind, reloptions, pg_get_viewdef(oid) AS text, CASE WHEN NOT relispopulated THEN 'not populated' END AS empty \
         FROM ours WHERE relkind IN ('v', 'm')) v",
    ),
    ("routine", 0, "SELECT name, pg_get_functiondef(oid) FROM routines WHERE prokind <> 'a'"),
    (
        "aggregate",
        0,
        "SELECT name, concat_ws(' ', formerly, more), formerly FROM ( \
         SELECT p.name, concat_ws(' ', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, \
         a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggtranstype::regtype, a.aggsortop::regoperator, a.agginitval, a.aggminitval, \
         p.proparallel) AS formerly, concat_ws(' ', 'final', a.aggfinalextra, a.aggfinalmodify, a.aggtransspace, \
         'moving', a.aggmfinalextra, a.aggmfinalmodify, a.aggmtransspace, a.aggmtranstype::regtype) AS more \
         FROM pg_aggregate a JOIN routines p ON p.oid = a.aggfnoid) a",
    ),
    (
        "trigger",
        0,
        "SELECT c.name || '.' || t.tgname::text, t.tgenabled::text || pg_get_triggerdef(t.oid) \
         FROM pg_trigger t JOIN ours c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal",
    ),
    // The triggers that hold foreign keys have names of their own on every server; that they are off has to be seen.
    (
        "disabled constraint",
        0,
        "SELECT c.name || '.' || o.conname::text || ' ' || t.tgtype, t.tgenabled::text FROM pg_trigger t JOIN ours c ON c.oid = t.tgrelid \
         JOIN pg_constraint o ON o.oid = t.tgconstraint WHERE t.tgisinternal AND t.tgenabled <> 'O' \
         AND NOT EXISTS (SELECT FROM pg_constraint u WHERE u.oid = o.conparentid AND u.conrelid = o.conrelid)",
    ),
    (
        "event trigger",
        0,
        "SELECT evtname::text, concat_ws(' ', evtevent, evtenabled, array_to_string(evttags, ','), evtfoid::regprocedure) FROM pg_event_trigger \
         WHERE ('pg_event_trigger'::regclass, oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "rule",
        0,
        "SELECT c.name || '.' || r.rulename::text, r.ev_enabled::text || pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN ours c ON c.oid = r.ev_class \
         WHERE r.rulename <> '_RETURN'",
    ),
    (
        "sequence",
        0,
        "SELECT name, concat_ws(' ', own, 'owned by ' || owner || '.' || quote_ident(attname)), concat_ws(' ', own, 'owned by ' || owner || '.' || number) FROM ( \
         SELECT c.name, concat_ws(' ', c.relpersistence, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle) AS own, \
         d.refobjid::regclass AS owner, d.refobjsubid AS number, a.attname FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid \
         LEFT JOIN LATERAL (SELECT refobjid, refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1) d ON true \
         LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid) s",
    ),
    // How many numbers a session takes at once, and loses with itself.
    ("sequence cache", 0, "SELECT c.name, s.seqcache::text FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid WHERE s.seqcache <> 1"),
    (
        "type",
        0,
        "SELECT name, concat_ws(' ', typtype, labels, domain, attributes, range), concat_ws(' ', typtype, joined, domain, attributes, subtype) FROM ( \
         SELECT t.name, t.typtype, \
         (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid) AS labels, \
         (SELECT string_agg(enumlabel::text, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid) AS joined, \
         CASE WHEN t.typtype = 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault) END AS domain, \
         (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a \
          WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS attributes, \
         (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid) AS subtype, \
         (SELECT concat_ws(' ', format_type(r.rngsubtype, NULL), quote_ident(n.nspname) || '.' || quote_ident(c.opcname), \
           CASE WHEN r.rngcollation <> 0 THEN r.rngcollation::regcollation END, nullif(r.rngcanonical::text, '-'), nullif(r.rngsubdiff::text, '-')) \
          FROM pg_range r JOIN pg_opclass c ON c.oid = r.rngsubopc JOIN pg_namespace n ON n.oid = c.opcnamespace WHERE r.rngtypid = t.oid) AS range \
         FROM types t WHERE t.typtype IN ('e', 'd', 'c', 'r')) t",
    ),
    // Unique ones are in their tables' leaves, unless they hold nothing.
    (
        "index",
        0,
        "SELECT c.name, pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END \
         FROM ours c JOIN pg_index i ON i.indexrelid = c.oid WHERE NOT (i.indisunique AND i.indisvalid)",
    ),
    // Partitioned tables and materialized views have no leaf; constraints are told as such.
    (
        "unique index",
        0,
        "SELECT c.name, pg_get_indexdef(c.oid) FROM ours c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid \
         WHERE i.indisunique AND i.indisvalid AND t.relkind IN ('p', 'm') \
         AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = c.oid AND o.contype IN ('p', 'u', 'x'))",
    ),
    (
        "policy",
        0,
        "SELECT c.name || '.' || p.polname::text, concat_ws(' ', p.polcmd, p.polpermissive, \
         (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ',' ORDER BY role::regrole::text) FROM unnest(p.polroles) role), \
         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy p JOIN ours c ON c.oid = p.polrelid",
    ),
    (
        "statistics",
        0,
        "SELECT o.name || '.' || s.stxname::text, pg_get_statisticsobjdef(s.oid) || coalesce(' target ' || nullif(to_jsonb(s) ->> 'stxstattarget', '-1'), ''), \
         pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s JOIN own o ON o.oid = s.stxnamespace",
    ),
    // Its version is the server's affair.
    ("extension", 0, "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension"),
    // A dump writes options in the order of their names.
    (
        "foreign table",
        0,
        "SELECT c.name, concat_ws(' ', quote_ident(s.srvname), (SELECT string_agg(quote_literal(option), ',' ORDER BY option) FROM unnest(f.ftoptions) option)), \
         concat_ws(' ', s.srvname, array_to_string(f.ftoptions, ',')) FROM pg_foreign_table f JOIN ours c ON c.oid = f.ftrelid \
         JOIN pg_foreign_server s ON s.oid = f.ftserver",
    ),
    (
        "foreign server",
        0,
        "SELECT s.srvname::text, concat_ws(' ', quote_ident(w.fdwname), quote_nullable(s.srvtype), quote_nullable(s.srvversion), \
         (SELECT string_agg(quote_literal(option), ',' ORDER BY option) FROM unnest(s.srvoptions) option)), \
         concat_ws(' ', w.fdwname, s.srvtype, s.srvversion, array_to_string(s.srvoptions, ',')) \
         FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
         WHERE ('pg_foreign_server'::regclass, s.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "publication",
        0,
        "SELECT p.pubname::text, concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, coalesce((j ->> 'pubviaroot')::bool, false), \
         nullif(j ->> 'pubgencols', 'n'), tables), concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, tables) \
         FROM pg_publication p, to_jsonb(p) j, \
         LATERAL (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY r.prrelid::regclass::text) AS tables FROM pg_publication_rel r WHERE r.prpubid = p.oid) t",
    ),
    // Rows and columns can be chosen, and schemas published as they grow.
    (
        "publication",
        150_000,
        "SELECT p.pubname::text, concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, \
         nullif(to_jsonb(p) ->> 'pubgencols', 'n'), chosen, schemas), \
         concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, tables) FROM pg_publication p, \
         LATERAL (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY r.prrelid::regclass::text) AS tables, \
          string_agg(concat_ws(' ', r.prrelid::regclass, \
           (SELECT 'columns (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) || ')' FROM unnest(r.prattrs) n \
            JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = n), 'where ' || pg_get_expr(r.prqual, r.prrelid)), ',' \
           ORDER BY r.prrelid::regclass::text) AS chosen FROM pg_publication_rel r WHERE r.prpubid = p.oid) t, \
         LATERAL (SELECT 'schemas ' || string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname) AS schemas FROM pg_publication_namespace s \
          JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid) s",
    ),
    // Constructors of a range type are made with it, and keep their owner where the type is handed on, as dumps do.
    (
        "owner",
        0,
        "SELECT 'relation ' || name, relowner::regrole::text, NULL FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
         UNION ALL SELECT 'routine ' || name, CASE WHEN made THEN 'whoever made its type' ELSE proowner::regrole::text END, proowner::regrole::text \
          FROM (SELECT *, EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = routines.oid \
           AND refclassid = 'pg_type'::regclass AND deptype = 'i') AS made FROM routines) r \
         UNION ALL SELECT 'schema ' || name, nspowner::regrole::text, NULL FROM own WHERE name <> 'public'",
    ),
    (
        GRANT,
        0,
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
        0,
        // What is as it would be without this is told so: owners have a right more from 17 on.
        "SELECT concat_ws(' ', defaclrole::regrole, nullif(defaclnamespace, 0)::regnamespace, defaclobjtype), \
         array_to_string(ARRAY(SELECT CASE WHEN a = ANY (acldefault(CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole)) \
          THEN split_part(a::text, '=', 1) || '=*' ELSE a::text END FROM unnest(defaclacl) a ORDER BY 1), ' '), \
         array_to_string(ARRAY(SELECT unnest(defaclacl)::text ORDER BY 1), ' ') FROM pg_default_acl",
    ),
];

/// Reads them, one question for each kind, all asked at once: to and fro takes as long as many an answer. `answered` counts the answers.
pub async fn definitions(connection: &mut PgConnection, answered: &AtomicU64) -> Result<Definitions, sqlx::Error> {
    let asked =
        "SELECT oid::regrole::text, current_setting('server_version_num')::int4, rolsuper FROM pg_roles WHERE rolname = current_user";
    let row = sqlx::query(asked).fetch_one(&mut *connection).await?;
    let (reader, version, is_super): (String, i32, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let asked = questions(u32::try_from(version).unwrap_or(0), is_super);
    let mut found = Definitions::of_kinds(asked.iter().map(|(kind, _)| *kind), Some(reader));
    let statements: Vec<String> = asked.iter().map(|(_, question)| over(question)).collect();
    let mut answers = sqlx::raw_sql(AssertSqlSafe(statements.join("; "))).fetch_many(&mut *connection);
    let mut at = 0;
    while let Some(answer) = answers.try_next().await? {
        let Either::Right(row) = answer else {
            at += 1;
            answered.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let Some((kind, _)) = asked.get(at) else { return Err(sqlx::Error::Protocol("more answers than questions".to_owned())) };
        let (name, definition): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        let definition = definition.unwrap_or_default();
        let formerly: Option<String> = if row.len() > 2 { row.try_get(2)? } else { None };
        let Some(name) = name else { return Err(sqlx::Error::Protocol(GONE.to_owned())) };
        found.add_reworded(kind, name, &folded(&definition), formerly.as_deref().unwrap_or(&definition));
    }
    drop(answers);
    if at != asked.len() {
        return Err(sqlx::Error::Protocol(format!("expected {} answers, found {at}", asked.len())));
    }
    if sqlx::query_scalar(postgres_rights::HIDDEN_MAPPINGS).fetch_one(&mut *connection).await? {
        found.hide(MAPPING_OPTIONS, "the rights of a superuser");
    }
    postgres_positions::positions(connection, &mut found).await?;
    Ok(found)
}

/// Kinds and their questions, for a server of this version: of one kind's questions, the last that it understands.
fn questions(version: u32, is_super: bool) -> Vec<(&'static str, &'static str)> {
    let all: Vec<&(&str, u32, &str)> = [KINDS, postgres_objects::KINDS, postgres_rights::KINDS].into_iter().flatten().collect();
    let is_asked = |at: usize, (kind, since, _): &(&str, u32, &str)| {
        let is_overtaken = all[at + 1..].iter().any(|(other, later, _)| other == kind && *later <= version);
        *since <= version && !is_overtaken && (*kind != MAPPING_OPTIONS || is_super)
    };
    all.iter().enumerate().filter(|(at, one)| is_asked(*at, one)).map(|(_, (kind, _, question))| (*kind, *question)).collect()
}

const GONE: &str = "an object was dropped while definitions were read";

/// Whether an error may be that of an object which is made or dropped by somebody else while it is looked at: the catalogue knows it, and the
/// server does not find it, since what it prints of an object is what that is now. A catalogue that is damaged says the same, again and again.
pub fn is_of_change(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Protocol(said) => said == GONE,
        sqlx::Error::ColumnDecode { source, .. } => source.is::<sqlx::error::UnexpectedNullError>(),
        // internal_error, undefined_table, undefined_object, undefined_function, invalid_schema_name.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("XX000" | "42P01" | "42704" | "42883" | "3F000")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_asked_for_once_in_the_words_of_the_version() {
        let of = |version, is_super| questions(version, is_super);
        let publication = |version| of(version, true).into_iter().filter(|(kind, _)| *kind == "publication").collect::<Vec<_>>();
        assert!(matches!(publication(140_000)[..], [(_, question)] if !question.contains("pg_publication_namespace")));
        assert!(matches!(publication(150_000)[..], [(_, question)] if question.contains("pg_publication_namespace")));
        assert_eq!(of(180_000, true).len(), of(180_000, false).len() + 1, "options of mappings");
        // They are asked at once, and told apart by the semicolons between them.
        assert!(of(180_000, true).iter().all(|(_, question)| !over(question).contains(';')));
    }
}
