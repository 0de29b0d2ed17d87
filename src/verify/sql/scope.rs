//! What a manifest of a database speaks of: which rows, by what meaning, and which column stamps changes. Decided at capture, kept in
//! the header, and applied to the catalogue of what is compared.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::capture::CaptureMode;
use crate::model::failure::Failure;
use crate::verify::key_ranges::{self, Code};
use crate::verify::manifest::request::{CaptureRequest, Leaves, Sidecar, TableRequest};
use crate::verify::sql::database::Database;
use crate::verify::sql::declared;
use crate::verify::sql::declared::declaration;
use crate::verify::sql::rows::digester::Meaning;
use crate::verify::sql::rows::key_order::KeyOrder;
use crate::verify::sql::rows::logical::LogicalType;
use crate::verify::sql::rows::table::{Column, Table, backticked};
use crate::verify::sql::watermark::Watermark;

/// The part of `position` that describes it.
const MEMBER: &str = "scope";

/// What a manifest speaks of.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scope {
    /// Logical types by table and column; nothing where rows are exact.
    pub logical: Option<BTreeMap<String, BTreeMap<String, LogicalType>>>,
    /// Only rows up to it.
    pub watermark: Option<Watermark>,
    /// Only these tables, which are closed, each whole or only these of its partitions; nothing where the manifest speaks of all.
    pub closed: Option<BTreeMap<String, Vec<String>>>,
    /// The column with change stamps, where tables have it.
    pub stamp: Option<String>,
    /// The longest transaction, in microseconds.
    pub longest_transaction: i64,
    /// Tables whose leaves are ranges of keys.
    pub ranges: BTreeMap<String, TableRanges>,
    /// What the manifest keeps of each row.
    pub sidecar: Sidecar,
}

/// The ranges of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableRanges {
    /// The order of its keys.
    pub order: KeyOrder,
    /// What each range but the first begins with.
    pub begins: Vec<Code>,
}

impl TableRanges {
    /// A range's keys, for people.
    pub fn name(&self, index: u32) -> String {
        let (from, to) = key_ranges::bounds(&self.begins, index);
        let keys = match (from, to) {
            (None, None) => "all keys".to_owned(),
            (None, Some(to)) => format!("before {}", self.order.name(to)),
            (Some(from), None) => format!("from {} on", self.order.name(from)),
            (Some(from), Some(to)) => format!("from {}, before {}", self.order.name(from), self.order.name(to)),
        };
        format!("range {}/{}: {keys}", index + 1, self.begins.len() + 1)
    }
}

/// Refuses what does not go together.
pub fn check(request: &CaptureRequest) -> Result<(), Failure> {
    let tables = &request.tables;
    match (request.mode, tables.watermark.is_some(), !tables.closed.is_empty()) {
        (CaptureMode::AppendPrefix, false, false) => {
            Err(Failure::invalid("mode `append-prefix` needs a column that only grows, or closed partitions")
                .hint("name it with --watermark COLUMN, or COLUMN=VALUE for the last value that counts; or them with --closed"))
        }
        (_, true, true) => Err(Failure::invalid("a watermark and closed partitions are two ways to say where a prefix ends")
            .hint("leave --watermark or --closed out")),
        (mode, true, _) if mode != CaptureMode::AppendPrefix => {
            Err(Failure::invalid(format!("a watermark is for mode `append-prefix`, and the mode is `{mode}`"))
                .hint("add --mode append-prefix"))
        }
        (mode, _, true) if mode != CaptureMode::AppendPrefix => {
            Err(Failure::invalid(format!("closed partitions are for mode `append-prefix`, and the mode is `{mode}`"))
                .hint("add --mode append-prefix"))
        }
        _ if tables.leaves == Leaves::Sums && tables.sidecar != Sidecar::Hashes => {
            Err(Failure::invalid(format!("leaves that are sums have no row sidecar, and `{}` are to be in it", tables.sidecar.as_str()))
                .hint("leave --leaves sums out, or --sidecar"))
        }
        _ if !tables.types.is_empty() && !tables.logical => {
            Err(Failure::invalid("logical types are declared, and rows are compared exactly").hint("add --logical"))
        }
        _ => Ok(()),
    }
}

impl Scope {
    /// The scope that `request` asks for in `db`; leaves `tables` with the rows that it speaks of. What of it means nothing for some table is
    /// said in the third.
    pub async fn declare(
        db: &mut Database,
        request: &TableRequest,
        tables: Vec<Table>,
    ) -> Result<(Self, Vec<Table>, Vec<String>), Failure> {
        let mut scope = Self {
            stamp: request.stamp.clone(),
            longest_transaction: i64::try_from(request.longest_transaction_s.saturating_mul(1_000_000)).unwrap_or(i64::MAX),
            sidecar: request.sidecar,
            ..Self::default()
        };
        let declared: BTreeMap<String, LogicalType> = request.types.iter().map(|text| declaration(text)).collect::<Result<_, _>>()?;
        declared::types(&declared, tables.iter())?;
        let mut said = Vec::new();
        if let Some(wanted) = &request.watermark {
            scope.watermark = Some(Watermark::declare(db, wanted, &tables, &mut said).await?);
        }
        if !request.closed.is_empty() {
            scope.closed = Some(declared::closed(db, &request.closed, &tables).await?);
        }
        if let Some(stamp) = &scope.stamp {
            let unusable = declared::stamps(db, &tables, stamp).await?;
            said.extend(unusable.into_iter().map(|what| format!("{what}, is no change stamp: its rows have none")));
        }
        let tables = scope.apply(db.engine().name, tables);
        if request.logical {
            scope.logical = Some(logical_types(&tables, &declared)?);
        }
        Ok((scope, tables, said))
    }

    /// The scope that a manifest's position states.
    pub fn of(position: Option<&Value>) -> Self {
        let Some(stated) = position.and_then(|position| position.get(MEMBER)) else { return Self::default() };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let logical = stated.get("logical").and_then(Value::as_object).map(|tables| {
            let types = |columns: &Value| -> BTreeMap<String, LogicalType> {
                let known = columns.as_object().into_iter().flatten();
                known.filter_map(|(name, kind)| Some((name.clone(), kind.as_str()?.parse().ok()?))).collect()
            };
            tables.iter().map(|(table, columns)| (table.clone(), types(columns))).collect()
        });
        let watermark = stated.get("watermark").map(Watermark::of);
        Self {
            logical,
            watermark,
            closed: stated.get("closed").and_then(Value::as_object).map(|tables| {
                let names = |list: &Value| list.as_array().into_iter().flatten().filter_map(text).collect();
                tables.iter().map(|(table, list)| (table.clone(), names(list))).collect()
            }),
            stamp: stated.get("stamp").and_then(text),
            longest_transaction: stated["longest_transaction_micros"].as_i64().unwrap_or(0),
            ranges: ranges_of(&stated["ranges"]),
            sidecar: stated["sidecar"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default(),
        }
    }

    /// States it in `position`.
    pub fn state(&self, position: &mut Value) {
        let mut stated = Map::new();
        if let Some(logical) = &self.logical {
            let columns = |types: &BTreeMap<String, LogicalType>| -> Value {
                types.iter().map(|(name, kind)| (name.clone(), json!(kind.as_str()))).collect::<Map<_, _>>().into()
            };
            let tables: Map<_, _> = logical.iter().map(|(table, types)| (table.clone(), columns(types))).collect();
            stated.insert("logical".into(), tables.into());
        }
        if let Some(watermark) = &self.watermark {
            stated.insert("watermark".into(), watermark.to_value());
        }
        if let Some(closed) = &self.closed {
            stated.insert("closed".into(), json!(closed));
        }
        if let Some(stamp) = &self.stamp {
            stated.insert("stamp".into(), json!(stamp));
            stated.insert("longest_transaction_micros".into(), json!(self.longest_transaction));
        }
        if !self.ranges.is_empty() {
            let one = |ranges: &TableRanges| json!({"order": ranges.order.state(), "begins": ranges.begins.iter().map(hex::encode).collect::<Vec<_>>()});
            let ranges: Map<_, _> = self.ranges.iter().map(|(table, ranges)| (table.clone(), one(ranges))).collect();
            stated.insert("ranges".into(), ranges.into());
        }
        if self.sidecar != Sidecar::Hashes {
            stated.insert("sidecar".into(), json!(self.sidecar.as_str()));
        }
        if !stated.is_empty() {
            position[MEMBER] = stated.into();
        }
    }

    /// The tables that it speaks of, each with its rows up to the watermark or of its closed partitions. A table of which the manifest knows
    /// nothing keeps all.
    pub fn apply(&self, engine: &str, mut tables: Vec<Table>) -> Vec<Table> {
        if let Some(closed) = &self.closed {
            tables.retain(|table| closed.contains_key(&table.name));
            for table in &mut tables {
                let names: Vec<String> = closed[&table.name].iter().map(|name| backticked(name)).collect();
                if !names.is_empty() {
                    table.sql_name += &format!(" PARTITION ({})", names.join(", "));
                }
            }
        }
        let Some(watermark) = &self.watermark else { return tables };
        let spoken_of = tables.into_iter().filter(|table| !watermark.left_out.contains(&table.name));
        spoken_of
            .map(|mut table| {
                if let Some(filter) = watermark.filter(engine, &table) {
                    table.filter = Some(filter);
                }
                table
            })
            .collect()
    }

    /// What is digested of `table`, and its key as the manifest has it: `described` is the manifest's description of the table.
    pub fn meaning(&self, table: &mut Table, described: Option<&Value>) -> Meaning {
        let Some(logical) = &self.logical else { return Meaning::Exact };
        let types = logical.get(&table.name);
        table.read_in_utf8();
        if let Some(key) = described.and_then(|described| described["key"].as_array()) {
            let place = |name: &Value| table.columns.iter().position(|column| Some(column.name.as_str()) == name.as_str());
            table.key = key.iter().filter_map(place).collect();
            table.key.sort_unstable();
        }
        let kind = |name: &str| types.and_then(|types| types.get(name)).copied().unwrap_or(LogicalType::AsStored);
        Meaning::Logical(table.columns.iter().map(|column| kind(&column.name)).collect())
    }

    /// The order of `table`'s keys, where its codes are made of what is digested; nothing where the key has none.
    pub fn order_of(&self, table: &Table) -> Option<KeyOrder> {
        let order = KeyOrder::of(table)?;
        let Some(logical) = &self.logical else { return Some(order) };
        let types = logical.get(&table.name)?;
        order.is_kept_by(|column| types.get(column).copied()).then_some(order)
    }

    /// The column of the watermark, where `table` had it when it was captured and has it no more.
    pub fn watermark_lost(&self, table: &Table) -> Option<&str> {
        let watermark = self.watermark.as_ref().filter(|watermark| watermark.values.contains_key(&table.name))?;
        (!table.columns.iter().any(|column| column.name == watermark.column)).then_some(&watermark.column)
    }

    /// The place of the stamp among `table`'s columns.
    pub fn stamp_of(&self, table: &Table) -> Option<usize> {
        let stamp = self.stamp.as_deref()?;
        table.columns.iter().position(|column| column.name == stamp)
    }
}

fn ranges_of(stated: &Value) -> BTreeMap<String, TableRanges> {
    let code = |text: &Value| -> Option<Code> { hex::decode(text.as_str()?).ok()?.try_into().ok() };
    let one = |stated: &Value| {
        let begins = stated["begins"].as_array()?.iter().map(code).collect::<Option<_>>()?;
        Some(TableRanges { order: KeyOrder::stated(&stated["order"])?, begins })
    };
    let tables = stated.as_object().into_iter().flatten();
    tables.filter_map(|(table, stated)| Some((table.clone(), one(stated)?))).collect()
}

fn logical_types(
    tables: &[Table],
    declared: &BTreeMap<String, LogicalType>,
) -> Result<BTreeMap<String, BTreeMap<String, LogicalType>>, Failure> {
    declared::types(declared, tables.iter())?;
    let of = |table: &Table| {
        let kind = |column: &Column| declared.get(&format!("{}.{}", table.name, column.name)).copied();
        let types = table.columns.iter().map(|column| (column.name.clone(), kind(column).unwrap_or_else(|| LogicalType::of(column))));
        (table.name.clone(), types.collect())
    };
    Ok(tables.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sql::last_value::Last;

    #[test]
    fn a_scope_is_stated_and_read_back() {
        let types = [("t".to_owned(), [("a".to_owned(), LogicalType::Decimal)].into())].into();
        let values = [("t".to_owned(), Some(Last { text: "9".to_owned(), form: None })), ("e".to_owned(), None)].into();
        let watermark = Watermark { column: "id".into(), values, left_out: vec!["x".into()] };
        let scope = Scope {
            logical: Some(types),
            watermark: Some(watermark),
            closed: Some([("p1".to_owned(), vec![]), ("l".to_owned(), vec!["p0".to_owned()])].into()),
            stamp: Some("at".into()),
            longest_transaction: 5,
            sidecar: Sidecar::Columns,
            ..Scope::default()
        };
        let mut position = json!({});
        scope.state(&mut position);
        assert_eq!(Scope::of(Some(&position)), scope);
        let mut bare = json!({});
        Scope::default().state(&mut bare);
        assert_eq!((bare.clone(), Scope::of(Some(&bare)), Scope::of(None)), (json!({}), Scope::default(), Scope::default()));
    }
}
