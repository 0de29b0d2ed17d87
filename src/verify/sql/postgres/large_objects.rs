//! Large objects of PostgreSQL as two tables, as every client sees them.
//!
//! A server keeps no page where nothing was written, and a page that is shorter than others before one that follows; who reads gets zeros there,
//! and a dump writes them. So pages are without the zeros at their ends, and none where there is nothing else; how long an object is stands
//! with its owner and rights (PostgreSQL documentation, "pg_largeobject" and "pg_largeobject_metadata").
//!
//! Not here: other tables (`catalog`).

use sqlx::postgres::PgConnection;

use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Table, Wire};

/// What is in them. A byte before the data keeps zeros at its beginning.
const PAGES: &str = "(SELECT ctid, loid, pageno, substr(btrim(decode('01', 'hex') || data, decode('00', 'hex')), 2) AS data \
     FROM ONLY pg_largeobject WHERE length(btrim(data, decode('00', 'hex'))) > 0) AS pages";

/// Which there are: where each ends, whose it is, and what others may do with it.
const OBJECTS: &str = "(SELECT m.ctid, m.oid, coalesce(p.size, 0) AS size, m.lomowner::regrole::text AS owner, \
      ARRAY(SELECT g.held FROM (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END || '=' || a.privilege_type || \
       CASE WHEN a.is_grantable THEN '*' ELSE '' END AS held FROM aclexplode(m.lomacl) a WHERE a.grantee <> m.lomowner) g ORDER BY g.held COLLATE \"C\")::text AS grants \
     FROM ONLY pg_largeobject_metadata m LEFT JOIN (SELECT loid, max(pageno * (current_setting('block_size')::int8 / 4) + length(data)) AS size \
      FROM ONLY pg_largeobject GROUP BY loid) p ON p.loid = m.oid) AS objects";

/// The tables as earlier versions read them, for what those have captured: pages as they are stored, and nothing of the objects.
pub fn as_earlier(tables: Vec<Table>) -> Vec<Table> {
    let kept = tables.into_iter().filter(|table| table.source != Some(OBJECTS));
    kept.map(|table| if table.source == Some(PAGES) { Table { source: None, ..table } } else { table }).collect()
}

/// The two, where there is an object.
pub async fn tables(connection: &mut PgConnection) -> Result<Vec<Table>, sqlx::Error> {
    if !sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM pg_largeobject_metadata)").fetch_one(connection).await? {
        return Ok(Vec::new());
    }
    let pages = [("loid", "oid"), ("pageno", "int4"), ("data", "bytea")];
    let objects = [("oid", "oid"), ("size", "int8"), ("owner", "text"), ("grants", "text")];
    Ok(vec![table("pg_largeobject", PAGES, &pages, &["loid", "pageno"]), table("pg_largeobject_metadata", OBJECTS, &objects, &["oid"])])
}

fn table(name: &str, source: &'static str, columns: &[(&str, &str)], key: &[&str]) -> Table {
    let column = |(name, kind): &(&str, &str)| Column {
        name: (*name).to_owned(),
        type_text: match *kind {
            "int4" => "integer".to_owned(),
            "int8" => "bigint".to_owned(),
            other => other.to_owned(),
        },
        nullable: false,
        generated: false,
        wire: Wire::Postgres(PgType::base(kind)),
    };
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let name = format!("pg_catalog.{name}");
    let mut table = Table::new(name.clone(), name, columns.iter().map(column).collect(), &key);
    table.source = Some(source);
    table
}
