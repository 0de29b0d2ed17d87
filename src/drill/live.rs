//! The running source of a database that was restored to a second, asked for its own newest change stamps up to then.
//!
//! Only where the configuration names it: a drill does not read production by itself. It is asked for one value a table, read-only, as the
//! user of `credentials`; that it cannot be asked is told, and is no verdict on the restore.
//!
//! Not here: what its answer means (`testing_log::verify::second`).

use crate::drill::reading;
use crate::estate::config::Resource;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::recovery_point::RecoveryPoint;
use crate::model::source_url::SourceUrl;
use crate::monitor::{Event, Monitor};
use crate::restore::driver::Opened;
use crate::restore::order::Clouds;
use crate::testing_log::restore_facts::SourceStamps;
use crate::verify::manifest::reader::Manifest;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::database::Database;
use crate::verify::sql::last_value::Last;
use crate::verify::sql::naming;
use crate::verify::sql::rows::table::{Table, backticked, double_quoted};
use crate::verify::sql::scope::Scope;

/// What the source of `resource` says beside what was restored to the second of `point`; nothing where it is not to be asked.
pub async fn stamps(
    (opened, resource, clouds): (&Opened, &Resource, &Clouds),
    manifest: &Manifest,
    point: &RecoveryPoint,
    monitor: &dyn Monitor,
) -> Option<SourceStamps> {
    let live = resource.live.as_deref().filter(|_| point.is_in_time() && reading::is_database(opened))?;
    let scope = Scope::of(manifest.header().position.as_ref());
    let mut found = SourceStamps::default();
    let tell = |failure: &Failure| monitor.event(Event::Note(&format!("{}: {live} was not asked: {failure}", resource.id)));
    let (mut restored, mut source, tables) = match open((opened, resource, clouds), live, &scope).await {
        Ok(both) => both,
        Err(failure) => {
            tell(&failure);
            found.unasked = 1;
            return Some(found);
        }
    };
    for (table, column) in &tables {
        let upto = until(restored.engine().name, table, column, point.created_at);
        match (newest(&mut restored, &upto, column).await, newest(&mut source, &upto, column).await) {
            (Ok(ours), Ok(theirs)) => add(&mut found, ours, theirs),
            (Err(failure), _) | (_, Err(failure)) => {
                tell(&failure.context(format!("table {}", table.name)));
                found.unasked += 1;
            }
        }
    }
    restored.close().await;
    source.close().await;
    Some(found)
}

/// Both databases, and the tables of the restored one that have the column of change stamps.
async fn open(
    (opened, resource, clouds): (&Opened, &Resource, &Clouds),
    live: &str,
    scope: &Scope,
) -> Result<(Database, Database, Vec<(Table, String)>), Failure> {
    let url: SourceUrl = live.parse()?;
    let reference = resource.credentials.as_deref();
    let reference = reference.ok_or_else(|| Failure::invalid(format!("resource `{}`: `live` needs `credentials`", resource.id)))?;
    let (user, password) = reading::credentials(&resource.id.0, reference)?;
    let access = Access { tls_ca: resource.tls_ca.clone(), user: Some(user), password: Some(password), ..Access::default() };
    let mut restored = Database::open(&opened.url, &reading::access(opened, resource, clouds)?).await?;
    let all = restored.tables().await?;
    let stamped = |table: Table| {
        let column = table.columns[scope.stamp_of(&table)?].name.clone();
        Some((table, column))
    };
    let tables = scope.apply(restored.engine().name, all).into_iter().filter_map(stamped).collect();
    let source = Database::open(&url, &access).await?;
    Ok((restored, source, tables))
}

/// All rows of a table that are stamped no later than the second. The sessions go by UTC.
fn until(engine: &str, table: &Table, column: &str, second: Timestamp) -> Table {
    let (name, zone) = if engine == "postgres" { (double_quoted(column), "+00") } else { (backticked(column), "") };
    let filter = Some(format!("{name} <= '{}{zone}'", second.to_chrono().format("%Y-%m-%d %H:%M:%S%.6f")));
    Table { filter, ..table.clone() }
}

async fn newest(database: &mut Database, table: &Table, column: &str) -> Result<Option<Timestamp>, Failure> {
    let found = database.greatest(table, column).await?;
    let read = |last: Last| naming::stamp_in(&last.text).map(Timestamp).ok_or_else(|| Failure::invalid(format!("{column} holds no times")));
    found.map(read).transpose()
}

fn add(found: &mut SourceStamps, ours: Option<Timestamp>, theirs: Option<Timestamp>) {
    found.asked += 1;
    found.newest = found.newest.max(theirs);
    found.behind += u64::from(theirs > ours);
    found.gone += u64::from(theirs < ours);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_source_has_and_the_restore_lacks_is_behind_and_what_it_lacks_is_gone() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        let mut found = SourceStamps::default();
        for (ours, theirs) in [(at(10), at(10)), (at(10), at(12)), (None, at(3)), (at(9), at(4)), (at(9), None), (None, None)] {
            add(&mut found, ours, theirs);
        }
        assert_eq!(found, SourceStamps { newest: at(12), asked: 6, behind: 2, gone: 2, unasked: 0 });
    }

    #[test]
    fn rows_are_taken_up_to_the_second_and_names_are_quoted() {
        let table = Table::new("t".into(), "t".into(), Vec::new(), &[]);
        let second: Timestamp = "2026-01-31T02:00:07Z".parse().unwrap();
        assert_eq!(until("postgres", &table, "a\"b", second).filter.unwrap(), "\"a\"\"b\" <= '2026-01-31 02:00:07.000000+00'");
        assert_eq!(until("mariadb", &table, "a`b", second).filter.unwrap(), "`a``b` <= '2026-01-31 02:00:07.000000'");
    }
}
