//! The report as one HTML file: no script, nothing fetched, the stylesheet inside. A pure function of the model.
//!
//! Every string of the model is made visible before it reaches the template, and the template escapes everything that it prints: a key
//! from somebody's bucket can neither draw nor hide.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::report::charts;
use crate::report::model::ReportModel;
use crate::report::pivot;
use crate::report::verdict::outcome_words;
use crate::report::words;

const TEMPLATE: &str = include_str!("../../reports/report.html.j2");
const STYLE: &str = include_str!("../../reports/report.css");

/// The page as UTF-8 text.
pub fn render(model: &ReportModel) -> Result<String, Failure> {
    let wrong = |error: minijinja::Error| {
        Failure::new(FailureKind::Remote, format!("the report's template failed: {error:#}"))
            .hint("this is a fault of attestore; please report it")
    };
    let data = serde_json::to_value(model).map_err(|error| Failure::invalid(format!("the report's model cannot be spelled: {error}")))?;
    let mut environment = environment();
    environment.add_template("report.html", TEMPLATE).map_err(wrong)?;
    let svg = |text: String| Value::from_safe_string(text);
    let charts = model.drill.as_ref().map(|drill| {
        let rto = charts::recovery_times(drill);
        let bars: BTreeMap<String, Value> = rto.by_case.into_iter().map(|(case, bar)| (case, svg(bar))).collect();
        context! { outcomes => svg(charts::outcomes(drill)), rto => bars, rto_scale_ms => rto.scale_ms }
    });
    let page = environment.get_template("report.html").map_err(wrong)?;
    page.render(context! { m => to_value(data, false), charts, style => Value::from_safe_string(STYLE.to_owned()) }).map_err(wrong)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the default delimiters are distinct");
    environment.set_syntax(syntax);
    // An absent member of the model is an absent fact; a misspelt name of a member of it shows in the tests of the page.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.add_filter("number", |n: u64| words::number(n));
    environment.add_filter("bytes", |n: u64| words::bytes(n));
    environment.add_filter("ms", |n: u64| words::duration(n));
    environment.add_filter("seconds", |n: u64| words::duration(n.saturating_mul(1000)));
    environment.add_filter("percent", |n: u64| words::percent(n));
    environment.add_filter("outcome", |text: String| outcome_words(&text).to_owned());
    environment.add_filter("spaced", |text: String| text.replace('_', " "));
    environment.add_filter("file", |leaf: u64| format!("{leaf:08}"));
    environment.add_filter("when", |value: Value| instant(&value, words::when));
    environment.add_filter("instant", |value: Value| instant(&value, words::instant));
    environment.add_filter("day", |value: Value| instant(&value, words::day));
    environment.add_filter("minute", |value: Value| instant(&value, words::minute));
    environment.add_filter("second", |value: Value| instant(&value, words::second));
    environment.add_filter("kind", |text: String| words::kind(&text).to_owned());
    environment.add_filter("probe", |text: String| words::probe(&text));
    environment.add_filter("runs", |cases: Vec<String>| pivot::runs(&cases));
    environment.add_filter("fails_when", |kind: String, op: String| pivot::fails_when(&kind, &op));
    environment.add_filter("sentence", |text: String| words::sentence(&text));
    environment.add_filter("against", |ms: u64, target_s: u64| Value::from_safe_string(charts::against_target(ms, target_s)));
    environment.add_filter("mark", |text: String| mark(&text));
    environment
}

/// A sign beside each outcome, so that it is told without colour.
fn mark(outcome: &str) -> &'static str {
    match outcome {
        "pass" | "current" | "gone" | "closed" => "✓",
        "pass_with_exception" | "warn" | "no_period" => "✓!",
        "fail" | "never" | "overdue" | "not_passed_last" | "present" => "✕",
        "error" => "!",
        "inconclusive" | "vacuous" | "unknown" => "?",
        _ => "–",
    }
}

fn instant(value: &Value, spell: fn(Timestamp) -> String) -> String {
    match value.kind() {
        ValueKind::String => value.as_str().and_then(|text| text.parse().ok()).map_or_else(|| value.to_string(), spell),
        _ => "–".into(),
    }
}

/// Members whose lines are ours and belong in a preformatted block.
const PREFORMATTED: [&str; 3] = ["commands", "rank_command", "seed_command"];

/// The model's JSON for the template, with every string made visible. An absent fact is undefined, so that one test serves for both.
fn to_value(data: serde_json::Value, keep_lines: bool) -> Value {
    use serde_json::Value as Json;
    match data {
        Json::Null => Value::UNDEFINED,
        Json::Bool(flag) => Value::from(flag),
        Json::Number(number) => number.as_u64().map(Value::from).or(number.as_i64().map(Value::from)).unwrap_or(Value::UNDEFINED),
        Json::String(text) if keep_lines => Value::from(text.split('\n').map(words::visible).collect::<Vec<_>>().join("\n")),
        Json::String(text) => Value::from(words::visible(&text)),
        Json::Array(items) => Value::from(items.into_iter().map(|item| to_value(item, keep_lines)).collect::<Vec<_>>()),
        Json::Object(members) => {
            let member = |(name, value): (String, Json)| {
                let keep = keep_lines || PREFORMATTED.contains(&name.as_str());
                (words::visible(&name), to_value(value, keep))
            };
            Value::from(members.into_iter().map(member).collect::<BTreeMap<_, _>>())
        }
    }
}
