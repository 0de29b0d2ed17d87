//! How far the sequences of a PostgreSQL database have come: steps from zero in a sequence's own direction, up to the last number that it gave.
//!
//! One that was set to a number and has not given it yet (`setval` with `is_called` false, `RESTART`) has come to the number before.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::verify::sql::definitions::kinds::{Definitions, POSITION};
use crate::verify::sql::definitions::postgres_own::over;
use crate::verify::sql::rows::table::double_quoted;

/// Those that may be anywhere, because they give numbers in a circle, are left out, and so are those that a crash sets back. The last number
/// is absent where none was given yet.
const SEQUENCES: &str = "SELECT c.name, c.nspname::text, c.relname::text, sign(s.seqincrement)::int8, \
     CASE WHEN has_sequence_privilege(c.oid, 'SELECT,USAGE') THEN pg_sequence_last_value(c.oid) END, has_sequence_privilege(c.oid, 'SELECT') FROM pg_sequence s \
     JOIN (SELECT ours.*, own.name AS nspname FROM ours JOIN own ON own.oid = ours.relnamespace WHERE relkind = 'S') c ON c.oid = s.seqrelid \
     WHERE c.relpersistence = 'p' AND NOT s.seqcycle";

/// Sequences that are read in one question.
const AT_ONCE: usize = 100;

/// Adds them.
pub async fn positions(connection: &mut PgConnection, found: &mut Definitions) -> Result<(), sqlx::Error> {
    found.show(POSITION);
    let mut untouched: Vec<(String, String, i64)> = Vec::new();
    let mut is_hidden = false;
    for row in sqlx::query(AssertSqlSafe(over(SEQUENCES))).fetch_all(&mut *connection).await? {
        let (name, schema, sequence): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (direction, last): (i64, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
        let may_select: bool = row.try_get(5)?;
        match last {
            Some(last) => found.add(POSITION, name, &(i128::from(direction) * i128::from(last)).to_string()),
            None if may_select => untouched.push((name, format!("{}.{}", double_quoted(&schema), double_quoted(&sequence)), direction)),
            None => is_hidden = true,
        }
    }
    for some in untouched.chunks(AT_ONCE) {
        let each = some.iter().enumerate().map(|(at, (_, sequence, _))| format!("SELECT {at}, last_value, is_called FROM {sequence}"));
        let question = each.collect::<Vec<_>>().join(" UNION ALL ");
        for row in sqlx::query(AssertSqlSafe(question)).fetch_all(&mut *connection).await? {
            let (at, next, is_called): (i32, i64, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let Some((name, _, direction)) = usize::try_from(at).ok().and_then(|at| some.get(at)) else { continue };
            // One that was drawn from in between gave this number.
            let position = i128::from(*direction) * i128::from(next) - i128::from(!is_called);
            found.add(POSITION, name.clone(), &position.to_string());
        }
    }
    if is_hidden {
        found.hide(POSITION, "SELECT on the sequence");
    }
    Ok(())
}
