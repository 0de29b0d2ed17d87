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
use crate::verify::sql::postgres::catalog::shown_name;
use crate::verify::sql::rows::table::Table;

/// The kind of definitions that are partitions of MySQL and MariaDB, each by its table's name, a dot and its own.
const PARTITION: &str = "partition";

/// Each partition of PostgreSQL, be it partitioned itself, with each table that it is of.
const PARTITIONS: &str = "SELECT an.nspname::text, a.relname::text, cn.nspname::text, c.relname::text \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
     CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid) t(relid) \
     JOIN pg_catalog.pg_class a ON a.oid = t.relid AND a.oid <> c.oid JOIN pg_catalog.pg_namespace an ON an.oid = a.relnamespace \
     WHERE c.relispartition AND c.relkind IN ('r', 'p')";

/// What a partition has with a name of its own, as definitions call it: schema and name of the partition, kind and name.
const OBJECTS: &str = "SELECT tn.nspname::text, t.relname::text, o.kind, own.nspname::text || '.' || o.name FROM pg_catalog.pg_class t \
     JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace JOIN ( \
     SELECT x.indrelid AS of, k.kind, i.relnamespace AS space, i.relname::text AS name FROM pg_catalog.pg_index x \
      JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid CROSS JOIN (VALUES ('index'), ('unique index')) k(kind) \
     UNION ALL SELECT e.stxrelid, 'statistics', e.stxnamespace, e.stxname::text FROM pg_catalog.pg_statistic_ext e \
     UNION ALL SELECT d.refobjid, 'sequence', s.relnamespace, s.relname::text FROM pg_catalog.pg_class s JOIN pg_catalog.pg_depend d \
      ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid AND d.refclassid = d.classid AND d.deptype IN ('a', 'i') \
      WHERE s.relkind = 'S') o ON o.of = t.oid JOIN pg_catalog.pg_namespace own ON own.oid = o.space WHERE t.relispartition";

impl Run<'_> {
    /// `tables` but for the partitions of PostgreSQL of a table that has others in the manifest, and that are not in it themselves.
    pub async fn without_later_partitions(
        &mut self,
        db: &mut Database,
        expected: &BTreeMap<String, Expected>,
        mut tables: Vec<Table>,
    ) -> Result<Vec<Table>, Failure> {
        let Some(watermark) = &self.scope.watermark else { return Ok(tables) };
        if db.engine().name != "postgres" {
            return Ok(tables);
        }
        let shown = |row: &[String]| Some((shown_name(row.first()?, row.get(1)?), shown_name(row.get(2)?, row.get(3)?)));
        let partitions: Vec<(String, String)> = db.ask(PARTITIONS).await?.iter().filter_map(|row| shown(row)).collect();
        let is_known = |name: &String| expected.contains_key(name) || watermark.left_out.contains(name);
        let grown: BTreeSet<&String> = partitions.iter().filter(|(_, name)| is_known(name)).map(|(parent, _)| parent).collect();
        let later = partitions.iter().filter(|(parent, name)| grown.contains(parent) && !grown.contains(name) && !is_known(name));
        let later: BTreeSet<String> = later.map(|(_, name)| name.clone()).collect();
        tables.retain(|table| !later.contains(&table.name));
        self.said.tables.extend(later.iter().cloned());
        self.later.clone_from(&later);
        self.came_later(later);
        Ok(tables)
    }

    /// Takes out of `now` what came with later partitions: those of MySQL and MariaDB themselves, what those of PostgreSQL have with a
    /// name of its own. What is called like its table is told with that, or not.
    pub async fn take_out_later_partitions(
        &mut self,
        db: &mut Database,
        expected: &Definitions,
        now: &mut Definitions,
    ) -> Result<(), Failure> {
        if !self.later.is_empty() {
            let rows = db.ask(OBJECTS).await?;
            let mut objects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for row in rows.iter().filter(|row| row.len() == 4 && self.later.contains(&shown_name(&row[0], &row[1]))) {
                objects.entry(&row[3]).or_default().insert(&row[2]);
            }
            now.take_out_with(&objects, expected);
        }
        let Some(before) = expected.of_kind(PARTITION).filter(|_| self.scope.watermark.is_some()) else { return Ok(()) };
        let parent = |name: &str| name.split_once('.').map(|(table, _)| table.to_owned());
        let grown: BTreeSet<String> = before.keys().filter_map(|name| parent(name)).collect();
        let is_later = |name: &str| !before.contains_key(name) && parent(name).is_some_and(|table| grown.contains(&table));
        self.came_later(now.take_out(PARTITION, |name, _| is_later(name)).into_iter().collect());
        Ok(())
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
