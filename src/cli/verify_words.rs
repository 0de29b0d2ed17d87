//! What `verify` says of evidence beside the bytes, whatever was compared with what.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use crate::cli::words;
use crate::model::coverage::WHOLE_PPM;
use crate::model::failure::FailureKind;
use crate::model::verification::Verification;

/// What the summary says of evidence beside the bytes.
pub fn evidence_summary(result: &Verification, more: &mut Map<String, serde_json::Value>) {
    let tier = result.lesser_tier.as_ref();
    if result.objects.is_some() {
        more.insert("tier".into(), json!(tier.map_or("content", |tier| tier.name)));
    }
    if let Some(tier) = tier {
        more.insert("does_not_prove".into(), json!(tier.does_not_prove));
    }
    if let Some(counts) = &result.protection {
        more.insert("protection".into(), json!({"outcome": result.protection_outcome().as_str(), "counts": counts}));
    }
    if !result.fields.is_empty() {
        more.insert("fields".into(), json!(result.fields));
    }
    if let Some(n) = result.unread.get(&FailureKind::Archived) {
        more.insert("archived".into(), json!(n));
    }
    if !result.left_out.is_empty() {
        more.insert("left_out".into(), json!(result.left_out));
    }
    more.insert("read".into(), json!(result.really_read()));
    more.insert("coverage_ppm".into(), json!(result.coverage_ppm()));
    if !result.not_compared.is_empty() {
        more.insert("not_compared".into(), json!(result.not_compared));
    }
    if result.unread_definitions > 0 {
        more.insert("unread_definitions".into(), json!(result.unread_definitions));
    }
    if !result.unread.is_empty() {
        let unread: BTreeMap<&str, u64> = result.unread.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
        more.insert("unread".into(), json!(unread));
    }
}

/// The lines of evidence beside the bytes.
pub fn evidence_lines(result: &Verification, lines: &mut Vec<String>) {
    if !result.fields.is_empty() {
        let told: Vec<String> = result
            .fields
            .iter()
            .map(|(name, counts)| {
                let mut text = format!("{name} {}", counts.equal);
                for (n, word) in
                    [(counts.different, "different"), (counts.unseen, "not seen"), (counts.not_in_manifest, "not in the manifest")]
                {
                    if n > 0 {
                        text += &format!(" ({n} {word})");
                    }
                }
                text
            })
            .collect();
        lines.push(format!("equal in   {}", told.join(", ")));
    }
    if let Some(counts) = &result.protection {
        let outcome = result.protection_outcome();
        lines.push(format!("protection {}: {} of {} as they were", outcome.as_str(), counts.matched, counts.expected));
    }
    let covered = result.coverage_ppm();
    let is_told = covered < WHOLE_PPM && (result.cut_short.is_none() || covered > 0);
    if (is_told || !result.not_compared.is_empty()) && result.counts().any(|(_, counts)| counts.expected > 0) {
        // Rounded down: what is not whole is never shown as that.
        let (whole, tenths) = (covered / 10_000, covered / 1_000 % 10);
        let apart: Vec<&str> = result.not_compared.keys().copied().collect();
        let apart = if apart.is_empty() { String::new() } else { format!("; {} were not compared", apart.join(", ")) };
        lines.push(format!("coverage   {whole}.{tenths} % of what was expected was read and decided{apart}"));
    }
    lines.extend(result.left_out.iter().map(|said| format!("left out   {said}")));
    if let Some(tier) = &result.lesser_tier {
        lines.push(format!("tier       {}", tier.name));
        lines.extend(tier.does_not_prove.iter().map(|said| format!("           not proved: {said}")));
    }
}

/// What was read of a database's rows, before the bytes; nothing where none was counted so.
pub fn rows_read(result: &Verification) -> String {
    let of = |name: &str, expected: u64| words::read_of(result.read.get(name).copied().unwrap_or(0), expected, name);
    match (result.tables, result.rows) {
        (Some(tables), Some(rows)) => format!("{}, {}, ", of("tables", tables.expected), of("rows", rows.expected)),
        _ => String::new(),
    }
}
