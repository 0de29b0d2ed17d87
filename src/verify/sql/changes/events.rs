//! One line of a log of changes, as Debezium (Debezium documentation, "Data change events") or AWS DMS (User Guide, "Using … as a target",
//! JSON messages) write them: which rows of which table, and when. Pure: text in, events out, and nothing that it says is believed before it is
//! checked.
//!
//! Not here: what a row's key is (`keys`), and which events count (`touched`).

use serde_json::{Map, Value};

use crate::model::clock::Timestamp;

/// What changed.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// Nothing that concerns a row: a tombstone, a row that was read and not written, a message, a definition.
    Nothing,
    /// A row was made.
    Made(Map<String, Value>),
    /// A row was changed: as it was, where the log says that, and as it is.
    Changed(Option<Map<String, Value>>, Map<String, Value>),
    /// A row was deleted.
    Deleted(Map<String, Value>),
    /// Every row of the table: it was emptied.
    Table,
}

/// A change.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The database, where it is said.
    pub database: Option<String>,
    /// The schema, where it is said.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// What changed.
    pub what: What,
    /// When it was committed.
    pub at: Timestamp,
    /// The transaction (PostgreSQL).
    pub transaction: Option<u64>,
    /// File and offset in the binary log (MySQL, MariaDB).
    pub binlog: Option<(String, u64)>,
}

/// Reads a line; nothing for one without an event. A key before a tab, as Kafka's console prints it, is passed over.
///
/// # Errors
/// What was expected and what is there, in one line.
pub fn parse(line: &str) -> Result<Option<Event>, String> {
    let text = line.rsplit_once('\t').map_or(line, |(_, value)| value).trim();
    if text.is_empty() || text == "null" {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(mut members) = value else { return Err("expected an object of JSON".into()) };
    let inner = match members.remove("payload") {
        Some(Value::Object(payload)) => payload,
        // The tombstone after a deletion, with its schema.
        Some(Value::Null) => return Ok(None),
        Some(_) => return Err("`payload`: expected an object".into()),
        None => members,
    };
    if inner.contains_key("op") {
        return debezium(&inner).map(Some);
    }
    if inner.contains_key("metadata") {
        return dms(&inner).map(Some);
    }
    Err("neither an event of Debezium (`op`, `source`, `before`, `after`) nor one of DMS (`data`, `metadata`)".into())
}

fn debezium(event: &Map<String, Value>) -> Result<Event, String> {
    let source = event.get("source").and_then(Value::as_object).ok_or("`source`: expected an object, which says the table")?;
    let op = text(event, "op")?.unwrap_or_default();
    let what = match op {
        "c" | "u" | "d" => {
            let (before, after) = (image(event, "before")?, image(event, "after")?);
            let lacks = |name: &str| format!("`{name}`: expected the row's image, which an event of kind `{op}` has");
            match op {
                "c" => What::Made(after.ok_or_else(|| lacks("after"))?),
                "u" => What::Changed(before, after.ok_or_else(|| lacks("after"))?),
                _ => What::Deleted(before.ok_or_else(|| lacks("before"))?),
            }
        }
        "t" => What::Table,
        // Read for a snapshot; a message of logical decoding.
        "r" | "m" => What::Nothing,
        other => return Err(format!("`op`: expected c, u, d, t, r or m, found `{}`", short(other))),
    };
    let at = match (number(source, "ts_us")?, number(source, "ts_ms")?) {
        (Some(micros), _) => Some(micros),
        (None, millis) => millis.map(|millis| millis.saturating_mul(1_000)),
    };
    let at = at.ok_or("`source.ts_ms`: expected when the change was made")?;
    let table = match (&what, text(source, "table")?) {
        (_, Some(table)) => table.to_owned(),
        (What::Nothing, None) => String::new(),
        _ => return Err("`source.table`: expected the table's name".into()),
    };
    let offset = number(source, "pos")?.and_then(|offset| u64::try_from(offset).ok());
    Ok(Event {
        database: text(source, "db")?.map(str::to_owned),
        schema: text(source, "schema")?.map(str::to_owned),
        table,
        what,
        at: Timestamp(at),
        transaction: number(source, "txId")?.and_then(|transaction| u64::try_from(transaction).ok()),
        binlog: text(source, "file")?.map(str::to_owned).zip(offset).filter(|(file, _)| !file.is_empty()),
    })
}

fn dms(event: &Map<String, Value>) -> Result<Event, String> {
    let about = event.get("metadata").and_then(Value::as_object).ok_or("`metadata`: expected an object, which says the table")?;
    let (kind, operation) = (text(about, "record-type")?.unwrap_or_default(), text(about, "operation")?.unwrap_or_default());
    let what = match (kind, operation) {
        ("data", "insert" | "update" | "delete") => {
            let data = image(event, "data")?.ok_or("`data`: expected the row")?;
            match operation {
                "insert" => What::Made(data),
                "delete" => What::Deleted(data),
                _ => What::Changed(image(event, "before-image")?, data),
            }
        }
        ("control", "truncate-table") => What::Table,
        ("data", "load") | ("control", _) => What::Nothing,
        _ => return Err(format!("`metadata`: a record of type `{}` with operation `{}`", short(kind), short(operation))),
    };
    let at = match (&what, text(about, "commit-timestamp")?) {
        (_, Some(at)) => at.parse().map_err(|_| "`metadata.commit-timestamp`: no time such as 2026-01-31T12:30:00.5Z".to_owned())?,
        (What::Nothing, None) => Timestamp(0),
        // `timestamp` is the time of the message, which may be long after that of the change.
        _ => return Err("`metadata.commit-timestamp` is not there: the task has to write transaction details".into()),
    };
    Ok(Event {
        database: None,
        schema: text(about, "schema-name")?.map(str::to_owned),
        table: text(about, "table-name")?.unwrap_or_default().to_owned(),
        what,
        at,
        transaction: None,
        binlog: None,
    })
}

fn image(event: &Map<String, Value>, name: &str) -> Result<Option<Map<String, Value>>, String> {
    match event.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(image)) => Ok(Some(image.clone())),
        Some(_) => Err(format!("`{name}`: expected a row as an object, or null")),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}`: expected a text")),
    }
}

fn number(members: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("`{name}`: expected a whole number")),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn events_of_both_writers() {
        let bare = json!({"before": null, "after": {"id": 1}, "op": "u", "ts_ms": 9,
            "source": {"ts_ms": 5, "db": "crm", "schema": "public", "table": "t", "txId": 644, "lsn": 28581784}});
        let event = parse(&bare.to_string()).unwrap().unwrap();
        assert_eq!((event.table.as_str(), event.at, event.transaction), ("t", Timestamp(5_000), Some(644)));
        assert_eq!(event.what, What::Changed(None, json!({"id": 1}).as_object().unwrap().clone()));
        let wrapped = json!({"schema": {"type": "struct"}, "payload": bare});
        assert_eq!(parse(&format!("{{\"id\":1}}\t{wrapped}\n")).unwrap().unwrap(), event);
        let binlog = json!({"before": {"id": 1}, "after": null, "op": "d", "source": {"ts_ms": 5, "db": "crm", "table": "t", "file": "b.000003", "pos": 154}});
        assert_eq!(parse(&binlog.to_string()).unwrap().unwrap().binlog, Some(("b.000003".into(), 154)));
        let dms = json!({"data": {"id": 1}, "before-image": {"id": 2}, "metadata": {"record-type": "data", "operation": "update",
            "schema-name": "s", "table-name": "t", "timestamp": "2026-01-31T00:00:09Z", "commit-timestamp": "2026-01-31T00:00:00.5Z"}});
        let event = parse(&dms.to_string()).unwrap().unwrap();
        assert_eq!((event.schema.as_deref(), event.at.to_string().as_str()), (Some("s"), "2026-01-31T00:00:00.500Z"));
        assert!(matches!(event.what, What::Changed(Some(before), after) if before["id"] == 2 && after["id"] == 1));
        let truncated = json!({"op": "t", "source": {"ts_ms": 5, "table": "t"}});
        assert_eq!(parse(&truncated.to_string()).unwrap().unwrap().what, What::Table);
        for nothing in ["", "  ", "null", "{\"id\":1}\tnull", "{\"schema\":{},\"payload\":null}"] {
            assert_eq!(parse(nothing), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn what_is_no_event_is_named() {
        for (line, said) in [
            ("{", "no JSON"),
            ("[]", "object"),
            ("{\"id\": 1}", "neither"),
            ("{\"op\": \"x\", \"source\": {\"table\": \"t\", \"ts_ms\": 1}}", "`op`"),
            ("{\"op\": \"c\", \"after\": {}}", "`source`"),
            ("{\"op\": \"c\", \"after\": {}, \"source\": {\"table\": \"t\"}}", "ts_ms"),
            ("{\"op\": \"c\", \"after\": {}, \"source\": {\"ts_ms\": 1}}", "`source.table`"),
            ("{\"op\": \"c\", \"after\": null, \"source\": {\"ts_ms\": 1, \"table\": \"t\"}}", "`after`"),
            ("{\"op\": \"d\", \"before\": null, \"source\": {\"ts_ms\": 1, \"table\": \"t\"}}", "`before`"),
            ("{\"op\": \"u\", \"after\": 5, \"source\": {\"ts_ms\": 1, \"table\": \"t\"}}", "`after`"),
            ("{\"metadata\": {\"record-type\": \"data\", \"operation\": \"insert\"}, \"data\": {}}", "commit-timestamp"),
            ("{\"metadata\": {\"record-type\": \"data\", \"operation\": \"merge\"}}", "merge"),
            ("{\"payload\": 5}", "`payload`"),
        ] {
            assert!(parse(line).unwrap_err().contains(said), "{line}: {:?}", parse(line));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in ".{0,300}", op in ".{0,3}", rest in ".{0,60}") {
            let _ = parse(&line);
            let _ = parse(&json!({"op": op, "before": {"a": rest}, "after": rest, "source": {"table": rest, "ts_ms": 1, "pos": rest}}).to_string());
            let _ = parse(&json!({"metadata": {"record-type": op, "operation": rest, "commit-timestamp": rest}, "data": {}}).to_string());
        }
    }
}
