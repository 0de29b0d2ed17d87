//! The questions to PostgreSQL's catalogues, one for each kind of definition, for every version from 12 on.
//!
//! Each gives a name and a text, or several parts as JSON: what is absent and what is empty, where one part ends and the next begins, cannot
//! be confused. What only newer versions have is asked for where it is something else than what older ones do.

use crate::verify::sql::definitions::kinds::{COLUMN_ORDER, GRANT};

/// Schemas and relations of the database itself, which catalogue's object (classid, objid) an extension has brought, and collations as they
/// are written.
pub const OURS: &str = r"
WITH brought AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
 own AS (SELECT oid, nspname::text AS name, nspowner, nspacl FROM pg_namespace
  WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg\_%'),
 ours AS (SELECT c.*, o.name || '.' || c.relname::text AS name FROM pg_class c JOIN own o ON o.oid = c.relnamespace
  WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)),
 routines AS (SELECT p.*, o.name || '.' || p.proname::text || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name
  FROM pg_proc p JOIN own o ON o.oid = p.pronamespace WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)),
 types AS (SELECT t.*, o.name || '.' || t.typname::text AS name FROM pg_type t JOIN own o ON o.oid = t.typnamespace
  WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought) AND t.typelem = 0 AND t.typisdefined
  AND (t.typrelid = 0 OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')),
 written AS (SELECT c.oid, CASE WHEN n.nspname <> 'pg_catalog' THEN quote_ident(n.nspname) || '.' ELSE '' END || quote_ident(c.collname) AS name
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace)
";

/// Each kind, the version from which on it is asked, and its question.
pub const KINDS: &[(&str, u32, &str)] = &[
    // What makes partitions one table, whose rows a role sees, and whether anything is left after a crash.
    (
        "table",
        0,
        "SELECT name, to_jsonb(ROW(relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, \
         (SELECT 'of ' || string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = ours.oid), \
         pg_get_expr(relpartbound, oid), CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END, \
         (SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = ours.oid AND indisreplident)))::text FROM ours WHERE relkind IN ('r', 'p')",
    ),
    // What `INSERT INTO … VALUES` and `SELECT *` go by. A dump puts what a table inherits before what it has of its own.
    (
        COLUMN_ORDER,
        0,
        "SELECT c.name, array_agg(a.attname::text ORDER BY a.attnum)::text FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
         AND (c.relispartition OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)) GROUP BY c.name",
    ),
    // Of tables, whose types are in their own leaves, defaults, identities and expressions; of views, defaults; of what has no leaf of its own, all.
    (
        "column",
        0,
        "SELECT c.name || '.' || a.attname::text, to_jsonb(ROW(a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), \
         CASE WHEN c.relkind IN ('p', 'f') THEN ROW(format_type(a.atttypid, a.atttypmod), a.attnotnull, ARRAY(SELECT one FROM unnest(a.attfdwoptions) one ORDER BY one COLLATE \"C\"), \
          (SELECT w.name FROM written w WHERE w.oid = a.attcollation)) END))::text \
         FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
         WHERE c.relkind IN ('r', 'p', 'f', 'v') AND a.attnum > 0 AND NOT a.attisdropped \
         AND (c.relkind IN ('p', 'f') OR a.attidentity <> '' OR a.attgenerated <> '' OR d.oid IS NOT NULL)",
    ),
    (
        "constraint",
        0,
        "SELECT coalesce(c.name, t.name) || '.' || o.conname::text, pg_get_constraintdef(o.oid) FROM pg_constraint o \
         LEFT JOIN ours c ON c.oid = o.conrelid AND c.relkind IN ('p', 'f') LEFT JOIN types t ON t.oid = o.contypid \
         WHERE coalesce(c.name, t.name) IS NOT NULL AND o.contype IN ('p', 'u', 'f', 'c', 'x') \
         AND NOT EXISTS (SELECT FROM pg_constraint u WHERE u.oid = o.conparentid AND u.conrelid = o.conrelid)",
    ),
    (
        "view",
        0,
        "SELECT name, to_jsonb(ROW(relkind, pg_get_viewdef(oid), reloptions, relispopulated))::text FROM ours WHERE relkind IN ('v', 'm')",
    ),
    ("routine", 0, "SELECT name, pg_get_functiondef(oid) FROM routines WHERE prokind <> 'a'"),
    (
        "aggregate",
        0,
        "SELECT p.name, to_jsonb(ROW(a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, \
         a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggtranstype::regtype, a.aggsortop::regoperator, a.agginitval, a.aggminitval, \
         p.proparallel))::text FROM pg_aggregate a JOIN routines p ON p.oid = a.aggfnoid",
    ),
    (
        "trigger",
        0,
        "SELECT c.name || '.' || t.tgname::text, t.tgenabled::text || pg_get_triggerdef(t.oid) \
         FROM pg_trigger t JOIN ours c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal",
    ),
    // The triggers that hold foreign keys have names of their own on every server; that they are off has to be seen. A reference to a
    // partitioned table has one to each partition, whose names are the server's own.
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
        "SELECT evtname::text, to_jsonb(ROW(evtevent, evtenabled, evttags, evtfoid::regprocedure))::text FROM pg_event_trigger \
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
        "SELECT c.name, to_jsonb(ROW(c.relpersistence, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, \
         (SELECT 'owned by ' || d.refobjid::regclass || '.' || quote_ident(a.attname) FROM pg_depend d \
          JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_class'::regclass \
          AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1)))::text \
         FROM pg_sequence s JOIN ours c ON c.oid = s.seqrelid",
    ),
    (
        "type",
        0,
        "SELECT t.name, to_jsonb(ROW(t.typtype, (SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), \
         CASE WHEN t.typtype = 'd' THEN ROW(format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault, \
          (SELECT w.name FROM written w WHERE w.oid = t.typcollation)) END, \
         (SELECT array_agg(ROW(a.attname, format_type(a.atttypid, a.atttypmod), (SELECT w.name FROM written w WHERE w.oid = a.attcollation))::text \
          ORDER BY a.attnum) FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), \
         (SELECT ROW(format_type(r.rngsubtype, NULL), (SELECT w.name FROM written w WHERE w.oid = r.rngcollation), \
          (SELECT opcname FROM pg_opclass WHERE oid = r.rngsubopc), r.rngcanonical, r.rngsubdiff) FROM pg_range r WHERE r.rngtypid = t.oid), \
         CASE WHEN t.typtype = 'b' THEN ROW(t.typlen, t.typbyval, t.typalign, t.typinput, t.typoutput, t.typreceive, t.typsend, t.typcategory, \
          t.typispreferred, t.typdelim, t.typdefault) END))::text FROM types t WHERE t.typtype IN ('e', 'd', 'c', 'r', 'b')",
    ),
    // The version of the library that sorts is the server's affair; where a locale is kept is each version's.
    (
        "collation",
        0,
        "SELECT o.name || '.' || c.collname::text, to_jsonb(ROW(c.collprovider, c.collisdeterministic, coalesce(to_jsonb(c) ->> 'colllocale', \
         to_jsonb(c) ->> 'colliculocale', c.collcollate::text), CASE WHEN c.collprovider = 'c' THEN c.collctype::text END, to_jsonb(c) ->> 'collicurules'))::text \
         FROM pg_collation c JOIN own o ON o.oid = c.collnamespace WHERE ('pg_collation'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    // Without code it is only a name that another operator speaks of.
    (
        "operator",
        0,
        "SELECT o.name || '.' || p.oprname::text || '(' || p.oprleft::regtype || ', ' || p.oprright::regtype || ')', \
         to_jsonb(ROW(p.oprcode::regprocedure, p.oprresult::regtype, p.oprcom::regoperator, p.oprnegate::regoperator, p.oprrest, p.oprjoin, p.oprcanmerge, \
          p.oprcanhash))::text FROM pg_operator p JOIN own o ON o.oid = p.oprnamespace \
         WHERE p.oprcode <> 0 AND ('pg_operator'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "operator class",
        0,
        "SELECT o.name || '.' || c.opcname::text || ' of ' || m.amname::text, to_jsonb(ROW(c.opcintype::regtype, c.opcdefault, c.opckeytype::regtype, f.opfname))::text \
         FROM pg_opclass c JOIN own o ON o.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod JOIN pg_opfamily f ON f.oid = c.opcfamily \
         WHERE ('pg_opclass'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "operator family",
        0,
        "SELECT o.name || '.' || f.opfname::text || ' of ' || m.amname::text, to_jsonb(ROW((SELECT array_agg(ROW(a.amoplefttype::regtype, a.amoprighttype::regtype, \
          a.amopstrategy, a.amoppurpose, a.amopopr::regoperator)::text ORDER BY a.amoplefttype::regtype::text COLLATE \"C\", a.amoprighttype::regtype::text COLLATE \"C\", a.amopstrategy) \
          FROM pg_amop a WHERE a.amopfamily = f.oid), (SELECT array_agg(ROW(p.amproclefttype::regtype, p.amprocrighttype::regtype, p.amprocnum, \
          p.amproc::regprocedure)::text ORDER BY p.amproclefttype::regtype::text COLLATE \"C\", p.amprocrighttype::regtype::text COLLATE \"C\", p.amprocnum) \
          FROM pg_amproc p WHERE p.amprocfamily = f.oid)))::text \
         FROM pg_opfamily f JOIN own o ON o.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod \
         WHERE ('pg_opfamily'::regclass, f.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    // What has no schema is the server's own below the first number that it gives to anybody else.
    (
        "cast",
        0,
        "SELECT c.castsource::regtype || ' as ' || c.casttarget::regtype, to_jsonb(ROW(c.castfunc::regprocedure, c.castcontext, c.castmethod))::text FROM pg_cast c \
         WHERE c.oid >= 16384 AND ('pg_cast'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "conversion",
        0,
        "SELECT o.name || '.' || c.conname::text, to_jsonb(ROW(pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc, c.condefault))::text \
         FROM pg_conversion c JOIN own o ON o.oid = c.connamespace WHERE ('pg_conversion'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "access method",
        0,
        "SELECT m.amname::text, to_jsonb(ROW(m.amhandler, m.amtype))::text FROM pg_am m \
         WHERE m.oid >= 16384 AND ('pg_am'::regclass, m.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "language",
        0,
        "SELECT l.lanname::text, to_jsonb(ROW(l.lanpltrusted, l.lanplcallfoid::regprocedure, l.laninline::regprocedure, l.lanvalidator::regprocedure))::text \
         FROM pg_language l WHERE l.oid >= 16384 AND ('pg_language'::regclass, l.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "transform",
        0,
        "SELECT t.trftype::regtype || ' for ' || l.lanname, to_jsonb(ROW(t.trffromsql::regprocedure, t.trftosql::regprocedure))::text \
         FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE ('pg_transform'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "text search",
        0,
        "SELECT 'configuration ' || o.name || '.' || c.cfgname, to_jsonb(ROW((SELECT n.nspname || '.' || p.prsname FROM pg_ts_parser p \
          JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.oid = c.cfgparser), \
          (SELECT array_agg(m.maptokentype || ' ' || m.mapdict::regdictionary ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)))::text \
         FROM pg_ts_config c JOIN own o ON o.oid = c.cfgnamespace WHERE ('pg_ts_config'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought) \
         UNION ALL SELECT 'dictionary ' || o.name || '.' || d.dictname, to_jsonb(ROW((SELECT n.nspname || '.' || t.tmplname FROM pg_ts_template t \
          JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate), d.dictinitoption))::text \
         FROM pg_ts_dict d JOIN own o ON o.oid = d.dictnamespace WHERE ('pg_ts_dict'::regclass, d.oid) NOT IN (SELECT classid, objid FROM brought) \
         UNION ALL SELECT 'parser ' || o.name || '.' || p.prsname, to_jsonb(ROW(p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype))::text \
         FROM pg_ts_parser p JOIN own o ON o.oid = p.prsnamespace WHERE ('pg_ts_parser'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought) \
         UNION ALL SELECT 'template ' || o.name || '.' || t.tmplname, to_jsonb(ROW(t.tmplinit, t.tmpllexize))::text \
         FROM pg_ts_template t JOIN own o ON o.oid = t.tmplnamespace WHERE ('pg_ts_template'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    // Unique ones are in their tables' leaves, unless they hold nothing.
    (
        "index",
        0,
        "SELECT c.name, pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END \
         FROM ours c JOIN pg_index i ON i.indexrelid = c.oid WHERE NOT (i.indisunique AND i.indisvalid)",
    ),
    (
        "policy",
        0,
        "SELECT c.name || '.' || p.polname::text, to_jsonb(ROW(p.polcmd, p.polpermissive, \
         (SELECT array_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END ORDER BY role::regrole::text COLLATE \"C\") FROM unnest(p.polroles) role), \
         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)))::text FROM pg_policy p JOIN ours c ON c.oid = p.polrelid",
    ),
    (
        "statistics",
        0,
        "SELECT o.name || '.' || s.stxname::text, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s JOIN own o ON o.oid = s.stxnamespace",
    ),
    // Its version is the server's affair.
    ("extension", 0, "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension"),
    (
        "foreign table",
        0,
        "SELECT c.name, to_jsonb(ROW(s.srvname, ARRAY(SELECT one FROM unnest(f.ftoptions) one ORDER BY one COLLATE \"C\")))::text FROM pg_foreign_table f JOIN ours c ON c.oid = f.ftrelid \
         JOIN pg_foreign_server s ON s.oid = f.ftserver",
    ),
    (
        "foreign server",
        0,
        "SELECT s.srvname::text, to_jsonb(ROW(w.fdwname, s.srvtype, s.srvversion, ARRAY(SELECT one FROM unnest(s.srvoptions) one ORDER BY one COLLATE \"C\")))::text \
         FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
         WHERE ('pg_foreign_server'::regclass, s.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "foreign data wrapper",
        0,
        "SELECT w.fdwname::text, to_jsonb(ROW(w.fdwhandler::regprocedure, w.fdwvalidator::regprocedure, ARRAY(SELECT one FROM unnest(w.fdwoptions) one ORDER BY one COLLATE \"C\")))::text FROM pg_foreign_data_wrapper w \
         WHERE ('pg_foreign_data_wrapper'::regclass, w.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    // Its options hold passwords, and are shown to few.
    ("user mapping", 0, "SELECT srvname || ' for ' || coalesce(usename, 'PUBLIC'), '' FROM pg_user_mappings"),
    (
        "publication",
        0,
        "SELECT p.pubname::text, to_jsonb(ROW(p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, nullif(to_jsonb(p) ->> 'pubviaroot', 'false'), \
         nullif(to_jsonb(p) ->> 'pubgencols', 'n'), \
         (SELECT array_agg(r.prrelid::regclass::text ORDER BY r.prrelid::regclass::text COLLATE \"C\") FROM pg_publication_rel r WHERE r.prpubid = p.oid)))::text \
         FROM pg_publication p",
    ),
    (
        "publication",
        150_000,
        "SELECT pubname::text, part FROM (SELECT p.pubname, to_jsonb(ROW(r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid), (SELECT array_agg(a.attname::text ORDER BY a.attname) \
          FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs))))::text AS part FROM pg_publication_rel r \
         JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prqual IS NOT NULL OR r.prattrs IS NOT NULL) f ORDER BY pubname, part COLLATE \"C\"",
    ),
    (
        "publication",
        150_000,
        "SELECT p.pubname::text, 'schema ' || s.nspname FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = n.pnpubid \
         JOIN pg_namespace s ON s.oid = n.pnnspid ORDER BY p.pubname, s.nspname",
    ),
    // Of the schema `public` each version has another owner, who is nobody's choice.
    (
        "owner",
        0,
        "SELECT 'relation ' || name, relowner::regrole::text FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
         UNION ALL SELECT 'routine ' || name, proowner::regrole::text FROM routines \
         UNION ALL SELECT 'type ' || name, typowner::regrole::text FROM types WHERE typtype <> 'm' \
         UNION ALL SELECT 'schema ' || name, CASE WHEN name = 'public' AND (nspowner = 10 OR nspowner::regrole::text = 'pg_database_owner') \
          THEN 'the version''s own' ELSE nspowner::regrole::text END FROM own \
         UNION ALL SELECT 'publication ' || pubname, pubowner::regrole::text FROM pg_publication \
         UNION ALL SELECT 'foreign server ' || srvname, srvowner::regrole::text FROM pg_foreign_server \
          WHERE ('pg_foreign_server'::regclass, oid) NOT IN (SELECT classid, objid FROM brought)",
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
          UNION ALL SELECT 'language ' || lanname, lanowner, coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language \
          UNION ALL SELECT 'foreign server ' || srvname, srvowner, coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server \
          UNION ALL SELECT 'foreign data wrapper ' || fdwname, fdwowner, coalesce(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper \
          UNION ALL SELECT 'schema ' || name, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM own) g, aclexplode(g.acl) a \
         WHERE a.grantee <> g.owner GROUP BY g.name, a.grantee",
    ),
    (
        "default privileges",
        0,
        "SELECT concat_ws(' ', defaclrole::regrole, nullif(defaclnamespace, 0)::regnamespace, defaclobjtype), \
         ARRAY(SELECT held::text FROM unnest(defaclacl) held ORDER BY held::text COLLATE \"C\")::text FROM pg_default_acl",
    ),
];
