//! Questions for what a PostgreSQL database defines beside relations and routines: what decides how texts compare, are cut into words,
//! cast and combined, and what reaches other servers.
//!
//! Not here: relations, routines and types (`postgres`), owners and rights (`postgres_rights`).

/// Kind, the first version that the question is for, and the question. What was there before the database was made has a low number
/// (16384 is the first of a user's).
pub const KINDS: &[(&str, u32, &str)] = &[
    // Two strings may be one under a collation; its version is the library's affair.
    (
        "collation",
        0,
        r"SELECT o.name || '.' || c.collname::text, concat_ws(' ', c.collprovider, coalesce(j ->> 'colllocale', j ->> 'colliculocale',
         CASE WHEN c.collprovider = 'i' THEN j ->> 'collcollate' END),
         CASE WHEN c.collprovider = 'c' THEN (j ->> 'collcollate') || ' ' || (j ->> 'collctype') END, j ->> 'collicurules',
         CASE WHEN NOT c.collisdeterministic THEN 'not deterministic' END)
         FROM pg_collation c JOIN own o ON o.oid = c.collnamespace, to_jsonb(c) j
         WHERE ('pg_collation'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    // Names of collations are in the texts of columns of tables, without a schema: those of the system itself need none.
    (
        "collation of",
        0,
        r"SELECT c.name || '.' || a.attname::text, quote_ident(n.nspname) || '.' || quote_ident(k.collname) FROM ours c
         JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid JOIN pg_collation k ON k.oid = a.attcollation
         JOIN pg_namespace n ON n.oid = k.collnamespace WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> t.typcollation
         AND (c.relkind IN ('p', 'f', 'c') OR c.relkind = 'r' AND n.nspname <> 'pg_catalog')
         UNION ALL SELECT t.name, quote_ident(n.nspname) || '.' || quote_ident(k.collname) FROM types t JOIN pg_type b ON b.oid = t.typbasetype
         JOIN pg_collation k ON k.oid = t.typcollation JOIN pg_namespace n ON n.oid = k.collnamespace
         WHERE t.typtype = 'd' AND t.typcollation <> b.typcollation",
    ),
    (
        "text search configuration",
        0,
        r"SELECT o.name || '.' || c.cfgname::text, concat_ws(' ', quote_ident(n.nspname) || '.' || quote_ident(p.prsname),
         (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' ORDER BY m.maptokentype, m.mapseqno)
          FROM pg_ts_config_map m WHERE m.mapcfg = c.oid))
         FROM pg_ts_config c JOIN own o ON o.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
         JOIN pg_namespace n ON n.oid = p.prsnamespace
         WHERE ('pg_ts_config'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "text search dictionary",
        0,
        r"SELECT o.name || '.' || d.dictname::text, concat_ws(' ', quote_ident(n.nspname) || '.' || quote_ident(t.tmplname), d.dictinitoption)
         FROM pg_ts_dict d JOIN own o ON o.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
         JOIN pg_namespace n ON n.oid = t.tmplnamespace
         WHERE ('pg_ts_dict'::regclass, d.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "text search parser",
        0,
        r"SELECT o.name || '.' || p.prsname::text, concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype)
         FROM pg_ts_parser p JOIN own o ON o.oid = p.prsnamespace
         WHERE ('pg_ts_parser'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)
         UNION ALL SELECT o.name || '.' || t.tmplname::text || ' (template)', concat_ws(' ', t.tmplinit, t.tmpllexize)
         FROM pg_ts_template t JOIN own o ON o.oid = t.tmplnamespace
         WHERE ('pg_ts_template'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    // One without a function stands in for a partner that was not made yet.
    (
        "operator",
        0,
        r"SELECT o.name || '.' || p.oprname::text || '(' || concat_ws(', ', CASE WHEN p.oprleft <> 0 THEN format_type(p.oprleft, NULL) END,
          CASE WHEN p.oprright <> 0 THEN format_type(p.oprright, NULL) END) || ')',
         concat_ws(' ', p.oprkind, p.oprcode::oid::regprocedure, p.oprresult::regtype, p.oprcom::regoperator, p.oprnegate::regoperator, p.oprrest,
          p.oprjoin, p.oprcanmerge, p.oprcanhash)
         FROM pg_operator p JOIN own o ON o.oid = p.oprnamespace
         WHERE p.oprcode <> 0 AND ('pg_operator'::regclass, p.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "operator family",
        0,
        r"SELECT o.name || '.' || f.opfname::text || ' using ' || m.amname::text, concat_ws(' ',
         (SELECT string_agg(concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose, a.amopsortfamily <> 0), ', '
          ORDER BY a.amopstrategy, a.amopopr::regoperator::text) FROM pg_amop a WHERE a.amopfamily = f.oid),
         (SELECT string_agg(concat_ws(' ', s.amprocnum, s.amproclefttype::regtype, s.amprocrighttype::regtype, s.amproc::oid::regprocedure), ', '
          ORDER BY s.amprocnum, s.amproclefttype::regtype::text, s.amprocrighttype::regtype::text) FROM pg_amproc s WHERE s.amprocfamily = f.oid))
         FROM pg_opfamily f JOIN own o ON o.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
         WHERE ('pg_opfamily'::regclass, f.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "operator class",
        0,
        r"SELECT o.name || '.' || c.opcname::text || ' using ' || m.amname::text, concat_ws(' ', c.opcintype::regtype, c.opcdefault,
         CASE WHEN c.opckeytype <> 0 THEN c.opckeytype::regtype END, quote_ident(n.nspname) || '.' || quote_ident(f.opfname))
         FROM pg_opclass c JOIN own o ON o.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod
         JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_namespace n ON n.oid = f.opfnamespace
         WHERE ('pg_opclass'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "cast",
        0,
        r"SELECT format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL),
         concat_ws(' ', CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure END, c.castcontext, c.castmethod)
         FROM pg_cast c WHERE c.oid >= 16384 AND ('pg_cast'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "transform",
        0,
        r"SELECT format_type(t.trftype, NULL) || ' for ' || l.lanname::text, concat_ws(' ', t.trffromsql::oid::regprocedure, t.trftosql::oid::regprocedure)
         FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
         WHERE t.oid >= 16384 AND ('pg_transform'::regclass, t.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "conversion",
        0,
        r"SELECT o.name || '.' || c.conname::text, concat_ws(' ', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
         c.conproc, c.condefault) FROM pg_conversion c JOIN own o ON o.oid = c.connamespace
         WHERE ('pg_conversion'::regclass, c.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "access method",
        0,
        r"SELECT m.amname::text, concat_ws(' ', m.amtype, m.amhandler) FROM pg_am m
         WHERE m.oid >= 16384 AND ('pg_am'::regclass, m.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "language",
        0,
        r"SELECT l.lanname::text, concat_ws(' ', l.lanpltrusted, l.lanplcallfoid::regprocedure, l.laninline::regprocedure,
         l.lanvalidator::regprocedure) FROM pg_language l
         WHERE l.oid >= 16384 AND ('pg_language'::regclass, l.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "base type",
        0,
        r"SELECT t.name, concat_ws(' ', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typlen, t.typbyval, t.typalign, t.typcategory,
         t.typispreferred, t.typdefault, t.typcollation <> 0) FROM types t WHERE t.typtype = 'b'",
    ),
    // A dump writes options in the order of their names.
    (
        "foreign data wrapper",
        0,
        r"SELECT w.fdwname::text, concat_ws(' ', w.fdwhandler::regproc, w.fdwvalidator::regproc,
         (SELECT string_agg(quote_literal(option), ',' ORDER BY option) FROM unnest(w.fdwoptions) option)) FROM pg_foreign_data_wrapper w
         WHERE w.oid >= 16384 AND ('pg_foreign_data_wrapper'::regclass, w.oid) NOT IN (SELECT classid, objid FROM brought)",
    ),
    (
        "foreign column options",
        0,
        r"SELECT c.name || '.' || a.attname::text, (SELECT string_agg(quote_literal(option), ',' ORDER BY option) FROM unnest(a.attfdwoptions) option)
         FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'f' AND NOT a.attisdropped AND a.attfdwoptions IS NOT NULL",
    ),
    (
        "view column default",
        0,
        r"SELECT c.name || '.' || a.attname::text, pg_get_expr(d.adbin, d.adrelid) FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid
         JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relkind = 'v'",
    ),
];
