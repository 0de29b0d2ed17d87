//! Questions for whom the objects of a PostgreSQL database belong to, who was granted what on them, and what sessions in it begin with.
//!
//! Catalogues that hold passwords (`pg_authid`, `pg_user_mapping`) are not for every reader: their views are asked. Of a user mapping only the
//! name of the user is read there, and of any other option only that there is one: what is short can be guessed from its digest.
//!
//! Not here: owners and grants of relations, routines and schemas (`postgres`), and of large objects, which are rows (`postgres::large_objects`).

use crate::verify::sql::definitions::belonging::{GRANT_ON, MAPPING_OPTIONS, OWNER_OF, SETTING};
use crate::verify::sql::definitions::kinds::DEFAULT;

/// Kind, the first version that the question is for, and the question.
pub const KINDS: &[(&str, u32, &str)] = &[
    // The schema that every database has belongs to whom the server chooses, who is called otherwise on every server, unless somebody else
    // was named. A publication of all tables or of schemas belongs to a superuser, whoever that is.
    (
        OWNER_OF,
        0,
        r"SELECT 'schema public', CASE WHEN nspowner = 10 OR nspowner::regrole::text = 'pg_database_owner' THEN 'the server''s own'
          ELSE nspowner::regrole::text END FROM own WHERE name = 'public'
         UNION ALL SELECT 'type ' || name, typowner::regrole::text FROM types WHERE typtype IN ('b', 'c', 'd', 'e', 'r')
         UNION ALL SELECT 'collation ' || o.name || '.' || collname::text, collowner::regrole::text FROM pg_collation c JOIN own o ON o.oid = collnamespace
          WHERE ('pg_collation'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'conversion ' || o.name || '.' || conname::text, conowner::regrole::text FROM pg_conversion c JOIN own o ON o.oid = connamespace
          WHERE ('pg_conversion'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'operator ' || o.name || '.' || oprname::text || '(' || concat_ws(', ', CASE WHEN oprleft <> 0 THEN format_type(oprleft, NULL) END,
           CASE WHEN oprright <> 0 THEN format_type(oprright, NULL) END) || ')', oprowner::regrole::text
          FROM pg_operator p JOIN own o ON o.oid = oprnamespace
          WHERE oprcode <> 0 AND ('pg_operator'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'operator family ' || o.name || '.' || opfname::text || ' using ' || amname::text, opfowner::regrole::text
          FROM pg_opfamily f JOIN own o ON o.oid = opfnamespace JOIN pg_am m ON m.oid = opfmethod
          WHERE ('pg_opfamily'::regclass, f.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'operator class ' || o.name || '.' || opcname::text || ' using ' || amname::text, opcowner::regrole::text
          FROM pg_opclass c JOIN own o ON o.oid = opcnamespace JOIN pg_am m ON m.oid = opcmethod
          WHERE ('pg_opclass'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'text search configuration ' || o.name || '.' || cfgname::text, cfgowner::regrole::text
          FROM pg_ts_config c JOIN own o ON o.oid = cfgnamespace
          WHERE ('pg_ts_config'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'text search dictionary ' || o.name || '.' || dictname::text, dictowner::regrole::text
          FROM pg_ts_dict d JOIN own o ON o.oid = dictnamespace
          WHERE ('pg_ts_dict'::regclass, d.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'statistics ' || o.name || '.' || stxname::text, stxowner::regrole::text FROM pg_statistic_ext s JOIN own o ON o.oid = stxnamespace
         UNION ALL SELECT 'foreign server ' || srvname::text, srvowner::regrole::text FROM pg_foreign_server s
          WHERE ('pg_foreign_server'::regclass, s.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT 'publication ' || pubname::text, pubowner::regrole::text FROM pg_publication p
          WHERE NOT puballtables AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid
           AND d.classid = to_regclass('pg_catalog.pg_publication_namespace'))",
    ),
    // Wrappers that an extension has brought are granted to whoever loads a dump.
    (
        GRANT_ON,
        0,
        r"SELECT g.name || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
         string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ',' ORDER BY a.privilege_type, a.is_grantable) FROM (
          SELECT 'foreign server ' || srvname::text AS name, srvowner AS owner, coalesce(srvacl, acldefault('S', srvowner)) AS acl FROM pg_foreign_server s
           WHERE ('pg_foreign_server'::regclass, s.oid) NOT IN (SELECT classid, objid FROM brought)
          UNION ALL SELECT 'foreign data wrapper ' || fdwname::text, fdwowner, coalesce(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper w
           WHERE ('pg_foreign_data_wrapper'::regclass, w.oid) NOT IN (SELECT classid, objid FROM brought)
          UNION ALL SELECT 'language ' || lanname::text, lanowner, coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language) g, aclexplode(g.acl) a
         WHERE a.grantee <> g.owner GROUP BY g.name, a.grantee",
    ),
    ("user mapping", 0, r"SELECT srvname::text || ' to ' || coalesce(quote_ident(usename), 'nobody'), '' FROM pg_user_mappings"),
    (
        MAPPING_OPTIONS,
        0,
        r"SELECT srvname::text || ' to ' || coalesce(quote_ident(usename), 'nobody'),
         (SELECT string_agg(CASE WHEN option_name IN ('user', 'username') THEN option_name || ' ' || quote_literal(option_value) ELSE option_name END,
           ',' ORDER BY option_name) FROM pg_options_to_table(umoptions)) FROM pg_user_mappings
         WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
    ),
    // Every server has its own, and a dump none: said, and no difference.
    (
        DEFAULT,
        0,
        // `model::database_default` has the names. Columns of later versions are asked for as members of the row.
        "SELECT name, value FROM pg_database d, LATERAL (SELECT to_jsonb(d) AS one) j, LATERAL (SELECT CASE one ->> 'datlocprovider' WHEN 'i' THEN 'icu' \
         WHEN 'b' THEN 'builtin' END AS provider) p, LATERAL (VALUES ('encoding', pg_encoding_to_char(d.encoding)::text), ('collation', d.datcollate::text), \
         ('character classes', d.datctype::text), ('locale provider', provider), \
         ('locale of the provider', CASE WHEN provider IS NOT NULL THEN coalesce(one ->> 'datlocale', one ->> 'daticulocale') END), \
         ('ICU rules', one ->> 'daticurules')) v(name, value) WHERE d.datname = current_database() AND value IS NOT NULL",
    ),
    // Libraries that sessions load are the server's, and those of a copy are not loaded.
    (
        SETTING,
        0,
        r"SELECT split_part(one, '=', 1) || CASE s.setrole WHEN 0 THEN '' ELSE ' of ' || s.setrole::regrole END, substr(one, strpos(one, '=') + 1)
         FROM pg_db_role_setting s, unnest(s.setconfig) one WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND split_part(one, '=', 1) NOT IN ('session_preload_libraries', 'local_preload_libraries', 'dynamic_library_path')",
    ),
];

/// Whether there are user mappings whose options this reader may not see.
pub const HIDDEN_MAPPINGS: &str =
    "SELECT NOT rolsuper AND EXISTS (SELECT FROM pg_user_mappings) FROM pg_roles WHERE rolname = current_user";
