//! What a database holds that no reading of its tables reaches, by kind, and what a manifest does not speak of: said at capture, kept in the
//! manifest, and said again by every comparison, so that a pass is not taken for more than it is.
//!
//! Not here: columns that are left out (`table`), and what the reader is not shown (`definitions`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::failure::Failure;
use crate::verify::sql::database::Database;
use crate::verify::sql::mysql::catalog::FEDERATED;
use crate::verify::sql::postgres::catalog::shown_name;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::scope::Scope;

/// The part of `position` that names it.
const MEMBER: &str = "not_read";
/// Names of one kind that a line has at most.
const NAMED: usize = 10;
/// The kinds that are only definitions: those are compared.
const DEFINED: &[&str] = &["view", "virtual table"];

/// The names of each kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NotRead(BTreeMap<String, Vec<String>>);

/// Views have their rows from elsewhere, and so have foreign tables; a materialized view keeps its own, and can be refreshed; what an extension
/// has brought is the extension's, but for tables that it says are for the user's own rows.
const POSTGRES: &str = "SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' \
       ELSE CASE WHEN c.oid = ANY (e.extconfig) THEN 'configuration table of an extension' ELSE 'table of an extension' END END, \
       n.nspname::text, c.relname::text \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e' \
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' \
       AND (c.relkind IN ('v', 'm', 'f') AND d.objid IS NULL OR c.relkind IN ('r', 'p') AND d.objid IS NOT NULL) ORDER BY 1, 2, 3";

/// The kind of tables of MySQL and MariaDB whose rows another server keeps.
const ELSEWHERE: &str = "federated table";

fn of_mysql() -> String {
    format!(
        "SELECT IF(TABLE_TYPE = 'VIEW', 'view', '{ELSEWHERE}'), TABLE_NAME FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = DATABASE() AND (TABLE_TYPE = 'VIEW' OR TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {FEDERATED}) ORDER BY 2"
    )
}

const SQLITE: &str = "SELECT CASE type WHEN 'virtual' THEN 'virtual table' ELSE type END, name FROM pragma_table_list \
     WHERE schema = 'main' AND type IN ('view', 'virtual') ORDER BY 1, 2";

impl NotRead {
    /// Asks `db`.
    pub async fn of(db: &mut Database) -> Result<Self, Failure> {
        let question = match db.engine().name {
            "postgres" => POSTGRES.to_owned(),
            "sqlite" => SQLITE.to_owned(),
            _ => of_mysql(),
        };
        let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in db.ask(&question).await? {
            let (kind, name) = match &row[..] {
                [kind, schema, name] => (kind, shown_name(schema, name)),
                [kind, name] => (kind, name.clone()),
                _ => continue,
            };
            kinds.entry(kind.clone()).or_default().push(name);
        }
        Ok(Self(kinds))
    }

    /// As a manifest's position states it.
    pub fn stated(position: Option<&Value>) -> Self {
        let names = |list: &Value| list.as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        let kinds = position.and_then(|position| position[MEMBER].as_object()).into_iter().flatten();
        Self(kinds.map(|(kind, list)| (kind.clone(), names(list))).collect())
    }

    /// States it in `position`.
    pub fn state(&self, position: &mut Value) {
        if !self.0.is_empty() {
            position[MEMBER] = json!(self.0);
        }
    }

    /// Tables of this database whose rows another server keeps.
    pub fn elsewhere(&self) -> &[String] {
        self.0.get(ELSEWHERE).map_or(&[], Vec::as_slice)
    }

    /// All of it in one line; nothing where there is nothing.
    pub fn in_one_line(&self) -> Option<String> {
        in_one_line(self.0.iter())
    }

    /// Only what holds rows of its own or shows others', and whose definition alone is compared or not even that.
    pub fn content(&self) -> Option<String> {
        in_one_line(self.0.iter().filter(|(kind, _)| !DEFINED.contains(&kind.as_str())))
    }
}

fn in_one_line<'a>(kinds: impl Iterator<Item = (&'a String, &'a Vec<String>)>) -> Option<String> {
    let each = |(kind, names): (&String, &Vec<String>)| {
        let shown: Vec<String> = names.iter().take(NAMED).map(|name| name.escape_debug().to_string()).collect();
        let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
        format!("{} of kind {kind} ({}{more})", names.len(), shown.join(", "))
    };
    let all: Vec<String> = kinds.map(each).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What a comparison in `scope` does not speak of, one sentence each; `there` are the tables that the database has.
pub fn beyond(scope: &Scope, there: &[Table], position: Option<&Value>) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(watermark) = &scope.watermark {
        if !watermark.left_out.is_empty() {
            let names = list(watermark.left_out.iter().map(String::as_str));
            said.push(format!("tables without the column {}, of which the manifest says nothing: {names}", watermark.column));
        }
        said.push(format!("rows beyond the manifest's last {}, of which it says nothing", watermark.column));
    }
    if let Some(closed) = &scope.closed {
        let others: BTreeSet<&str> = there.iter().map(|table| table.name.as_str()).filter(|name| !closed.contains_key(*name)).collect();
        if !others.is_empty() {
            said.push(format!("tables that are not declared closed, of which the manifest says nothing: {}", list(others.into_iter())));
        }
        let partly: Vec<String> = closed
            .iter()
            .filter(|(_, some)| !some.is_empty())
            .map(|(table, some)| format!("{table} but for {}", some.join(", ")))
            .collect();
        if !partly.is_empty() {
            said.push(format!("partitions that are not declared closed: {}", partly.join("; ")));
        }
    }
    if let Some(content) = NotRead::stated(position).content() {
        said.push(format!("what was not read when it was captured either: {content}"));
    }
    said
}

/// Whether the database has tables of which a manifest in `scope` says nothing. Other partitions of what it speaks of are what its mode is for.
pub fn has_other_tables(scope: &Scope, there: &[Table]) -> bool {
    let without_watermark = scope.watermark.as_ref().is_some_and(|watermark| !watermark.left_out.is_empty());
    let Some(closed) = &scope.closed else { return without_watermark };
    let is_spoken_of = |table: &&Table| closed.contains_key(&table.name);
    let wholes: BTreeSet<&String> = there.iter().filter(is_spoken_of).flat_map(|table| &table.part_of).collect();
    there.iter().any(|table| !is_spoken_of(&table) && !table.part_of.iter().any(|whole| wholes.contains(whole)))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| name.escape_debug().to_string()).collect();
    let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_kept_and_told_in_one_line() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let kinds = [("view".to_owned(), names(&["v", "w\nx"])), ("materialized view".to_owned(), names(&["m"]))];
        let all = NotRead(kinds.into());
        let mut position = json!({});
        all.state(&mut position);
        assert_eq!(NotRead::stated(Some(&position)), all);
        assert_eq!(all.in_one_line().unwrap(), "1 of kind materialized view (m), 2 of kind view (v, w\\nx)");
        assert_eq!(all.content().unwrap(), "1 of kind materialized view (m)");
        assert_eq!((NotRead::stated(None), NotRead::default().in_one_line()), (NotRead::default(), None));
        let many = NotRead([("view".to_owned(), vec!["v".to_owned(); 12])].into());
        assert!(many.in_one_line().unwrap().ends_with("and 2 more)"));
    }
}
