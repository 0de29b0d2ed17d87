//! That a large object of PostgreSQL is there, whose it is, and what others may do with it. One that is empty has no page: without this
//! nothing would be known of it.
//!
//! There may be millions: up to a number each is a definition of its own, and beyond it each range of their numbers is one.
//!
//! Not here: what they hold, which is read as rows (`postgres::catalog`).

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::verify::sql::definitions::kinds::{Definitions, GRANT_ON, OWNER_OF};

/// So many are each a definition.
const ONE_BY_ONE: i64 = 10_000;

/// Numbers of a range.
const RANGE: i64 = 65_536;

/// The kind of single ones.
const KIND: &str = "large object";

/// The kind of ranges. It says as well that there are no ranges, so that none of the two forms can be taken for the other.
const RANGES: &str = "range of large objects";

const OBJECTS: &str = "SELECT oid::int8, lomowner::regrole::text, ARRAY(SELECT ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END \
     FROM aclexplode(lomacl) a WHERE a.grantee <> lomowner GROUP BY a.grantee ORDER BY 1), \
     ARRAY(SELECT string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ',' ORDER BY a.privilege_type, a.is_grantable) \
     FROM aclexplode(lomacl) a WHERE a.grantee <> lomowner GROUP BY a.grantee \
     ORDER BY ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END) FROM pg_largeobject_metadata ORDER BY oid";

/// Adds them.
pub async fn large_objects(connection: &mut PgConnection, found: &mut Definitions) -> Result<(), sqlx::Error> {
    let number: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_largeobject_metadata").fetch_one(&mut *connection).await?;
    let one_by_one = number <= ONE_BY_ONE;
    found.show(RANGES);
    if one_by_one {
        found.show(KIND);
        found.add(RANGES, "none, each by itself".to_owned(), "");
    }
    let mut rows = sqlx::query(OBJECTS).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let (number, owner): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let (grantees, rights): (Vec<String>, Vec<String>) = (row.try_get(2)?, row.try_get(3)?);
        if one_by_one {
            found.add(KIND, number.to_string(), "");
            found.add(OWNER_OF, format!("{KIND} {number}"), &owner);
            for (grantee, rights) in grantees.iter().zip(&rights) {
                found.add(GRANT_ON, format!("{KIND} {number}{grantee}"), rights);
            }
        } else {
            let first = number / RANGE * RANGE;
            let granted: Vec<String> = grantees.iter().zip(&rights).map(|(to, rights)| format!("{rights}{to}")).collect();
            let line = format!("{number} {owner} {}", granted.join(" "));
            found.add(RANGES, format!("{first} to {}", first + RANGE - 1), &line);
        }
    }
    Ok(())
}
