//! The tables of a PostgreSQL database, from its catalogues (PostgreSQL documentation, "System Catalogs").

use std::collections::{BTreeSet, HashMap};

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use crate::verify::sql::definitions::folded::folded;
use crate::verify::sql::postgres::large_objects;
use crate::verify::sql::rows::postgres_decode::{PgType, Printed};
use crate::verify::sql::rows::table::{Column, Table, Wire, double_quoted};

/// Ordinary tables and leaf partitions (`relkind` r) that are not temporary and not the system's own.
const TABLES: &str = "SELECT c.oid::int8, n.nspname::text, c.relname::text, \
     ARRAY(SELECT p.relname::text FROM pg_partition_ancestors(c.oid) a JOIN pg_class p ON p.oid = a.relid WHERE c.relispartition AND p.oid <> c.oid ORDER BY p.oid), \
     ARRAY(SELECT s.nspname::text FROM pg_partition_ancestors(c.oid) a JOIN pg_class p ON p.oid = a.relid JOIN pg_namespace s ON s.oid = p.relnamespace \
      WHERE c.relispartition AND p.oid <> c.oid ORDER BY p.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')";

/// In the order in which they are stored.
const COLUMNS: &str = "SELECT a.attrelid::int8, a.attname::text, a.atttypid::int8, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
     a.attgenerated::text, CASE WHEN a.attcollation <> t.typcollation THEN (SELECT collname::text FROM pg_collation WHERE oid = a.attcollation) END \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid \
     WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND c.relnamespace <> 'pg_catalog'::regnamespace ORDER BY a.attrelid, a.attnum";

/// A reference to a partitioned table has one to each of its partitions, which the server makes and names itself: those are left out.
const CONSTRAINTS: &str = "SELECT o.conrelid::int8, o.contype::text, o.conname::text, pg_get_constraintdef(o.oid), \
     ARRAY(SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY k(n, at) JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.n ORDER BY k.at) \
     FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid \
     WHERE c.relkind = 'r' AND c.relnamespace <> 'pg_catalog'::regnamespace AND o.contype IN ('p', 'u', 'f', 'c', 'x') \
     AND NOT EXISTS (SELECT FROM pg_constraint u WHERE u.oid = o.conparentid AND u.conrelid = o.conrelid)";

const UNIQUE_INDEXES: &str = "SELECT i.indrelid::int8, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
     WHERE c.relkind = 'r' AND c.relnamespace <> 'pg_catalog'::regnamespace AND i.indisunique AND NOT EXISTS \
     (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x'))";

/// Of some types: a database has some six hundred that no column is of.
const TYPES: &str = "SELECT t.oid::int8, t.typname::text, t.typtype::text, t.typelem::int8, t.typbasetype::int8, t.typrelid::int8, \
     t.typcategory::text, t.typlen::int4, coalesce((SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid), \
      (SELECT r.rngtypid FROM pg_range r WHERE t.typtype = 'm' AND to_jsonb(r) ->> 'rngmultitypid' = t.oid::text), 0)::int8, \
     ARRAY(SELECT a.atttypid::int8 FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), \
     t.typsend <> 0 FROM pg_type t WHERE t.oid = ANY ($1::int8[]::oid[])";

/// Reads the catalogues, a handful of questions whatever the number of tables.
pub async fn tables(connection: &mut PgConnection) -> Result<Vec<Table>, sqlx::Error> {
    let mut columns: HashMap<i64, (Vec<Column>, Vec<String>)> = HashMap::new();
    let rows = sqlx::query(COLUMNS).fetch_all(&mut *connection).await?;
    let types = Types::load(connection, rows.iter().map(|row| row.try_get(2)).collect::<Result<_, _>>()?).await?;
    for row in rows {
        let (columns, _) = columns.entry(row.try_get(0)?).or_default();
        columns.push(column(&row, &types)?);
    }
    let mut keys: HashMap<i64, Vec<String>> = HashMap::new();
    let mut lines: HashMap<i64, Vec<String>> = HashMap::new();
    for row in sqlx::query(CONSTRAINTS).fetch_all(&mut *connection).await? {
        let (table, kind, name, definition): (i64, String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        if kind == "p" {
            keys.insert(table, row.try_get(4)?);
        }
        lines.entry(table).or_default().push(folded(&format!("{name}: {definition}")));
    }
    for row in sqlx::query(UNIQUE_INDEXES).fetch_all(&mut *connection).await? {
        lines.entry(row.try_get(0)?).or_default().push(folded(row.try_get(1)?));
    }
    let mut tables = Vec::new();
    for row in sqlx::query(TABLES).fetch_all(&mut *connection).await? {
        let (oid, schema, name): (i64, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let sql_name = format!("{}.{}", double_quoted(&schema), double_quoted(&name));
        let (columns, left_out) = columns.remove(&oid).unwrap_or_default();
        let mut table = Table::new(shown_name(&schema, &name), sql_name, columns, keys.get(&oid).map_or(&[][..], Vec::as_slice));
        table.constraints = lines.remove(&oid).unwrap_or_default();
        table.left_out = left_out;
        // A virtual generated column (PostgreSQL 18) is computed when it is read: there is nothing stored to compare.
        let virtuals: Vec<String> =
            table.columns.iter().filter(|column| column.type_text.ends_with(VIRTUAL)).map(|c| c.name.clone()).collect();
        if !virtuals.is_empty() {
            let kept = table.columns.iter().filter(|column| !virtuals.contains(&column.name)).cloned().collect();
            let (constraints, key) = (table.constraints, keys.get(&oid).cloned().unwrap_or_default());
            table = Table::new(table.name, table.sql_name, kept, &key);
            table.constraints = constraints;
            table.left_out = virtuals.into_iter().map(|name| format!("{name}: virtual generated column")).collect();
        }
        let (names, schemas): (Vec<String>, Vec<String>) = (row.try_get(3)?, row.try_get(4)?);
        table.identity = Some(oid.to_string());
        table.part_of = schemas.iter().zip(&names).map(|(schema, name)| shown_name(schema, name)).collect();
        tables.push(table);
    }
    tables.extend(large_objects::tables(connection).await?);
    Ok(tables)
}

const VIRTUAL: &str = " GENERATED VIRTUAL";

/// `table` in schema public, else `schema.table`; a name with a dot or a quote of its own is quoted, so that the two cannot be confused.
pub fn shown_name(schema: &str, name: &str) -> String {
    let part = |text: &str| if text.contains(['.', '"']) { double_quoted(text) } else { text.to_owned() };
    if schema == "public" { part(name) } else { format!("{}.{}", part(schema), part(name)) }
}

fn column(row: &PgRow, types: &Types) -> Result<Column, sqlx::Error> {
    let generated: String = row.try_get(5)?;
    let mut type_text: String = row.try_get(3)?;
    if let Some(collation) = row.try_get::<Option<String>, _>(6)? {
        type_text = format!("{type_text} COLLATE {collation}");
    }
    if generated == "v" {
        type_text.push_str(VIRTUAL);
    }
    Ok(Column {
        name: row.try_get(1)?,
        type_text,
        nullable: !row.try_get::<bool, _>(4)?,
        generated: generated == "s",
        wire: Wire::Postgres(types.of(row.try_get(2)?)),
    })
}

/// Types within types that are looked into.
const MOST_DEEP: u32 = 16;

struct TypeRow {
    name: String,
    kind: String,
    element: i64,
    base: i64,
    category: String,
    length: i32,
    range_of: i64,
    attributes: Vec<i64>,
    /// Whether it has a binary form.
    is_sent: bool,
}

impl TypeRow {
    /// The type of its elements, where it is an array.
    fn array_of(&self) -> Option<i64> {
        (self.category == "A" && self.element != 0 && self.length == -1).then_some(self.element)
    }
}

/// Types whose binary form is the number that an object of the catalogue has in this database, and what tells one object from every other.
const OBJECTS: &[(&str, &str)] = &[
    ("regclass", ""),
    ("regcollation", ""),
    ("regconfig", ""),
    ("regdictionary", ""),
    ("regnamespace", ""),
    ("regoper", "::regoperator"),
    ("regoperator", ""),
    ("regproc", "::regprocedure"),
    ("regprocedure", ""),
    ("regrole", ""),
    ("regtype", ""),
];

struct Types(HashMap<i64, TypeRow>);

impl Types {
    /// These, and what they are made of.
    async fn load(connection: &mut PgConnection, mut wanted: BTreeSet<i64>) -> Result<Self, sqlx::Error> {
        let mut types = HashMap::new();
        while !wanted.is_empty() {
            let asked: Vec<i64> = wanted.iter().copied().collect();
            let mut inner = BTreeSet::new();
            for row in sqlx::query(TYPES).bind(&asked).fetch_all(&mut *connection).await? {
                let kind = TypeRow {
                    name: row.try_get(1)?,
                    kind: row.try_get(2)?,
                    element: row.try_get(3)?,
                    base: row.try_get(4)?,
                    category: row.try_get(6)?,
                    length: row.try_get(7)?,
                    range_of: row.try_get(8)?,
                    attributes: row.try_get(9)?,
                    is_sent: row.try_get(10)?,
                };
                inner.extend(kind.attributes.iter().copied().chain([kind.element, kind.base, kind.range_of]));
                types.insert(row.try_get(0)?, kind);
            }
            inner.retain(|oid| *oid != 0 && !types.contains_key(oid) && !wanted.contains(oid));
            wanted = inner;
        }
        Ok(Self(types))
    }

    /// How values of a column of this type are asked for.
    fn of(&self, oid: i64) -> PgType {
        let printed = |oid: i64, array: &str| {
            let row = self.0.get(&oid)?;
            let object = OBJECTS.iter().find(|(name, _)| *name == row.name);
            let casts = object.map(|(_, to)| if to.is_empty() { String::new() } else { format!("{to}{array}") });
            let name = format!("{}{array}::text", row.name);
            casts.or((!self.is_sent(oid, 0)).then(String::new)).map(|casts| PgType::Printed(Printed { name, casts }))
        };
        let base = self.base(oid, 0);
        let array = self.0.get(&base).and_then(TypeRow::array_of).and_then(|element| printed(self.base(element, 0), "[]"));
        // What holds a value without a binary form somewhere inside has none itself.
        array.or_else(|| printed(base, "")).unwrap_or_else(|| self.resolve(oid, 0))
    }

    /// What a domain is over.
    fn base(&self, oid: i64, depth: u32) -> i64 {
        match self.0.get(&oid).filter(|row| row.kind == "d" && depth < MOST_DEEP) {
            Some(row) => self.base(row.base, depth + 1),
            None => oid,
        }
    }

    /// Whether the server has a binary form of its values, whatever they hold, that means the same in another database.
    fn is_sent(&self, oid: i64, depth: u32) -> bool {
        let Some(row) = self.0.get(&oid).filter(|_| depth < MOST_DEEP) else { return true };
        if OBJECTS.iter().any(|(name, _)| *name == row.name) {
            return false;
        }
        let inner = |oid: i64| self.is_sent(oid, depth + 1);
        let inside = match row.kind.as_str() {
            "d" => inner(row.base),
            "r" | "m" => inner(row.range_of),
            "c" => row.attributes.iter().all(|oid| inner(*oid)),
            _ => row.array_of().is_none_or(inner),
        };
        row.is_sent && inside
    }

    fn resolve(&self, oid: i64, depth: u32) -> PgType {
        let Some(row) = self.0.get(&oid).filter(|_| depth < MOST_DEEP) else { return PgType::Opaque(format!("oid {oid}")) };
        let inner = |oid| Box::new(self.resolve(oid, depth + 1));
        match row.kind.as_str() {
            "d" => self.resolve(row.base, depth + 1),
            "e" => PgType::Enum,
            "r" => PgType::Range(inner(row.range_of)),
            "m" => match self.0.get(&row.range_of) {
                Some(range) => PgType::Multirange(inner(range.range_of)),
                None => PgType::Opaque(row.name.clone()),
            },
            "c" => PgType::Composite(row.attributes.iter().map(|oid| *inner(*oid)).collect()),
            _ => match row.array_of() {
                Some(element) => PgType::Array(inner(element)),
                None => PgType::base(&row.name),
            },
        }
    }
}
