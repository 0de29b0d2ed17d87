//! What a manifest of a database says beyond its numbers: its mode in full, what it leaves out, and what it holds beside rows.

use serde_json::Value;

use crate::verify::manifest::header::Header;
use crate::verify::sql::not_read::NotRead;

/// Names that a line has at most.
const NAMED: usize = 12;

/// One line each, under the same heads as the rest of `manifest show`; none for a manifest of anything else.
pub fn lines(header: &Header) -> Vec<String> {
    let Some(position) = header.position.as_ref().filter(|position| position["tables"].is_object()) else { return Vec::new() };
    let mut lines = vec![format!("engine     {} {}", text(&position["engine"]), text(&position["version"]))];
    let (before, after) = (&position["before"], &position["after"]);
    lines.push(format!("position   {}", if before == after { flat(before) } else { format!("{} to {}", flat(before), flat(after)) }));
    scope(&position["scope"], &mut lines);
    let columns = members(&position["tables"]).flat_map(|(table, described)| {
        described["left_out"].as_array().into_iter().flatten().map(move |column| format!("{table}.{}", text(column)))
    });
    push(&mut lines, "left out   columns", columns.collect());
    if let Some(kinds) = NotRead::stated(Some(position)).in_one_line() {
        lines.push(format!("not read   {kinds}"));
    }
    let opaque = members(&position["opaque"]).map(|(table, kinds)| format!("{table} ({})", flat(kinds)));
    push(&mut lines, "opaque     within one major version:", opaque.collect());
    definitions(&position["definitions"], &mut lines);
    let (rows, others): (Vec<_>, Vec<_>) = header.baselines.iter().partition(|(name, _)| name.starts_with("rows."));
    let mut baselines = vec![format!("the rows of {} tables", rows.len())];
    baselines.extend(others.into_iter().map(|(name, value)| format!("{name} = {value}")));
    push(&mut lines, "baselines ", baselines);
    lines
}

/// Which rows, by what meaning.
fn scope(stated: &Value, lines: &mut Vec<String>) {
    if stated["logical"].is_object() {
        lines.push("rows       by logical types".to_owned());
    }
    let watermark = &stated["watermark"];
    if watermark.is_object() {
        let column = text(&watermark["column"]);
        let values = members(&watermark["values"]).map(|(table, last)| format!("{table} {}", last.as_str().unwrap_or("was empty")));
        push(lines, &format!("prefix     up to {column}:"), values.collect());
        let left_out = watermark["left_out"].as_array().into_iter().flatten().map(text);
        push(lines, &format!("left out   tables without {column}:"), left_out.collect());
    }
    let closed = members(&stated["closed"]).map(|(table, some)| match some.as_array() {
        Some(some) if !some.is_empty() => format!("{table} ({})", some.iter().map(text).collect::<Vec<_>>().join(", ")),
        _ => table.clone(),
    });
    push(lines, "closed    ", closed.collect());
    if let Some(stamp) = stated["stamp"].as_str() {
        let seconds = stated["longest_transaction_micros"].as_i64().unwrap_or(0) / 1_000_000;
        lines.push(format!("stamp      {stamp}, seen within {seconds} s of its transaction's begin"));
    }
    let ranges = members(&stated["ranges"]).map(|(table, _)| table.clone());
    push(lines, "ranges     of keys, in", ranges.collect());
    match stated["sidecar"].as_str() {
        Some("columns") => lines.push("names      primary keys in the clear, and short keyed hashes of the columns of each row".to_owned()),
        Some(_) => lines.push("names      primary keys in the clear".to_owned()),
        None => {}
    }
}

/// How many of each kind are compared, and which the reader was not shown.
fn definitions(stated: &Value, lines: &mut Vec<String>) {
    let counted = members(stated).filter_map(|(kind, names)| {
        let names = names.as_object().filter(|names| kind != "not shown" && !names.is_empty())?;
        Some(format!("{} {kind}", names.len()))
    });
    push(lines, "defines   ", counted.collect());
    let hidden = members(&stated["not shown"]).map(|(kind, right)| format!("{kind} (needs {})", text(right)));
    push(lines, "not shown  to the reader:", hidden.collect());
}

fn push(lines: &mut Vec<String>, head: &str, mut names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let names: Vec<String> = names.iter().map(|name| name.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")).collect();
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    lines.push(format!("{head} {}{more}", names.join(", ")));
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Members or elements in one line, without JSON's marks.
fn flat(value: &Value) -> String {
    match value {
        Value::Object(members) if members.is_empty() => "not shown".to_owned(),
        Value::Object(members) => members.iter().map(|(name, value)| format!("{name} {}", flat(value))).collect::<Vec<_>>().join(", "),
        Value::Array(elements) => elements.iter().map(flat).collect::<Vec<_>>().join(", "),
        other => text(other),
    }
}
