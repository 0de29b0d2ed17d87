//! Partitions that a table has got since the capture of a prefix: it grows by them, as it does by rows, and the manifest says nothing of them.
//!
//! Not here: rows beyond the prefix (`watermark`), and tables that nobody knows, which are surplus.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::failure::Failure;
use crate::model::not_compared;
use crate::verify::sql::compare::baseline::Expected;
use crate::verify::sql::compare::tables::Run;
use crate::verify::sql::database::Database;
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::rows::table::Table;

/// The kind of definitions that are partitions of MySQL and MariaDB, each by its table's name, a dot and its own.
const PARTITION: &str = "partition";

impl Run<'_> {
    /// `tables` but for the partitions of PostgreSQL that have siblings in the manifest and are not in it themselves.
    pub async fn without_later_partitions(
        &mut self,
        db: &mut Database,
        expected: &BTreeMap<String, Expected>,
        mut tables: Vec<Table>,
    ) -> Result<Vec<Table>, Failure> {
        let Some(watermark) = &self.scope.watermark else { return Ok(tables) };
        let partitions = db.partitions(None).await?;
        let is_known = |name: &String| expected.contains_key(name) || watermark.left_out.contains(name);
        let grown: BTreeSet<&String> = partitions.iter().filter(|(_, name)| is_known(name)).map(|(parent, _)| parent).collect();
        let later = partitions.iter().filter(|(parent, name)| grown.contains(parent) && !is_known(name));
        let later: BTreeSet<String> = later.map(|(_, name)| name.clone()).collect();
        tables.retain(|table| !later.contains(&table.name));
        self.said.tables.extend(later.iter().cloned());
        self.came_later(later);
        Ok(tables)
    }

    /// Takes partitions out of `now` that have siblings in `expected` and are not in it themselves.
    pub fn take_out_later_partitions(&mut self, expected: &Definitions, now: &mut Definitions) {
        let Some(before) = expected.of_kind(PARTITION).filter(|_| self.scope.watermark.is_some()) else { return };
        let parent = |name: &str| name.split_once('.').map(|(table, _)| table.to_owned());
        let grown: BTreeSet<String> = before.keys().filter_map(|name| parent(name)).collect();
        let is_later = |name: &str| !before.contains_key(name) && parent(name).is_some_and(|table| grown.contains(&table));
        self.came_later(now.take_out(PARTITION, |name, _| is_later(name)).into_iter().collect());
    }

    fn came_later(&mut self, partitions: BTreeSet<String>) {
        if partitions.is_empty() {
            return;
        }
        let names: Vec<String> = partitions.into_iter().collect();
        self.result.left_out.push(format!("partitions that are not in the manifest, which is of a prefix: {}", names.join(", ")));
        self.result.not_compared.insert(not_compared::OTHER_TABLES, not_compared::NOT_SPOKEN_OF);
    }
}
