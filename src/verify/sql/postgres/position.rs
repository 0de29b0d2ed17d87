//! Where a server of PostgreSQL stands: its log position and what its snapshot shows.
//!
//! Not here: what follows from it (`snapshot`).

use serde_json::{Map, Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::verify::sql::postgres::session::execute;

/// Since when the server's statistics are, where there are unlogged tables: a recovery begins them anew, and empties those tables without a
/// transaction (PostgreSQL documentation, "The Cumulative Statistics System").
pub const UNLOGGED: &str = "(SELECT stats_reset::text FROM pg_catalog.pg_stat_bgwriter \
                        WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE relpersistence = 'u'))";

/// The log position, and the transaction snapshot; what the reader may not ask is left out.
pub async fn position(control: &mut PgConnection) -> Value {
    let mut position = Map::new();
    let questions = [
        ("snapshot", "SELECT pg_catalog.pg_current_snapshot()::text"),
        (
            "lsn",
            "SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
             ELSE pg_catalog.pg_current_wal_lsn() END)::text",
        ),
    ];
    for (name, question) in questions {
        // A question that the reader may not ask would spoil the transaction that holds the snapshot: a savepoint catches it.
        let _ = execute(control, "SAVEPOINT position").await;
        match sqlx::query(question).fetch_one(&mut *control).await.and_then(|row| row.try_get::<Option<String>, _>(0)) {
            Ok(answer) => position.extend(answer.map(|answer| (name.to_owned(), json!(answer)))),
            Err(_) => drop(execute(control, "ROLLBACK TO SAVEPOINT position").await),
        }
        let _ = execute(control, "RELEASE SAVEPOINT position").await;
    }
    Value::Object(position)
}
