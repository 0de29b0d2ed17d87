//! The canonical form against a naive model, golden vectors, and an independent implementation in Python.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use attestore::verify::items::canonical::{encode_item, encode_key, encode_number};
use attestore::verify::items::item::{Attribute, Item, KeySchema, to_json};
use base64::Engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A naive normal form of a decimal number by string surgery: sign, digits without zeros at either end, power of ten of the last digit.
fn naive(text: &str) -> (bool, String, i64) {
    let lower = text.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').map_or((lower.as_str(), 0), |(m, e)| (m, e.parse::<i64>().unwrap()));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['+', '-']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut power = exponent - fraction.len() as i64;
    while digits.ends_with('0') {
        digits.pop();
        power += 1;
    }
    let digits = digits.trim_start_matches('0').to_owned();
    if digits.is_empty() { (false, digits, 0) } else { (negative, digits, power) }
}

fn number_text() -> impl Strategy<Value = String> {
    "[+-]?(0{0,3}[0-9]{1,8}(\\.[0-9]{0,8})?|\\.[0-9]{1,8})([eE][+-]?[0-9]{1,2})?"
}

/// Any value that DynamoDB might hold, small.
pub fn attribute() -> impl Strategy<Value = Attribute> {
    let leaf = prop_oneof![
        "[a-c]{0,3}".prop_map(Attribute::String),
        number_text().prop_map(Attribute::Number),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Attribute::Binary),
        any::<bool>().prop_map(Attribute::Bool),
        Just(Attribute::Null),
        proptest::collection::btree_set("[a-c]{0,2}", 0..3).prop_map(|set| Attribute::StringSet(set.into_iter().collect())),
        proptest::collection::vec(number_text(), 0..3).prop_map(Attribute::NumberSet),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2), 0..3).prop_map(Attribute::BinarySet),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Attribute::List),
            proptest::collection::btree_map("[a-c]{0,2}", inner, 0..3).prop_map(Attribute::Map),
        ]
    })
}

/// The value with everything that DynamoDB calls equal made the same, for comparison by `==`.
fn normal(value: &Attribute) -> Attribute {
    let number = |text: &String| format!("{:?}", naive(text));
    match value {
        Attribute::Number(text) => Attribute::Number(number(text)),
        Attribute::NumberSet(set) => {
            let mut set: Vec<String> = set.iter().map(number).collect();
            set.sort();
            Attribute::NumberSet(set)
        }
        Attribute::StringSet(set) => {
            let mut set = set.clone();
            set.sort();
            Attribute::StringSet(set)
        }
        Attribute::BinarySet(set) => {
            let mut set = set.clone();
            set.sort();
            Attribute::BinarySet(set)
        }
        Attribute::List(list) => Attribute::List(list.iter().map(normal).collect()),
        Attribute::Map(map) => Attribute::Map(map.iter().map(|(name, value)| (name.clone(), normal(value))).collect()),
        other => other.clone(),
    }
}

fn encoded(value: &Attribute) -> Vec<u8> {
    let mut out = Vec::new();
    encode_item(&BTreeMap::from([("a".to_owned(), value.clone())]), &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn numbers_are_equal_exactly_where_the_naive_model_says_so(one in number_text(), other in number_text()) {
        let same = naive(&one) == naive(&other);
        prop_assert_eq!(encoded(&Attribute::Number(one.clone())) == encoded(&Attribute::Number(other)), same);
        let shifted = format!("{}0", if one.contains(['e', 'E']) { one.clone() } else { format!("{one}e") });
        if !one.contains(['e', 'E']) {
            prop_assert_eq!(encoded(&Attribute::Number(one)), encoded(&Attribute::Number(shifted)));
        }
    }

    #[test]
    fn encodings_are_equal_exactly_where_the_values_are(one in attribute(), other in attribute()) {
        prop_assert_eq!(encoded(&one) == encoded(&other), normal(&one) == normal(&other), "{:?} {:?}", one, other);
    }

    #[test]
    fn arbitrary_text_is_a_number_or_an_error(text in ".{0,60}") {
        let _ = encode_number(&text, &mut Vec::new());
    }
}

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../vectors/items-v1.json")).unwrap()
}

/// What any other implementation has to give too.
#[test]
fn golden_vectors_hold() {
    let vectors = vectors();
    let list = |name: &str| vectors[name].as_array().unwrap();
    assert!(list("vectors").len() >= 25 && list("keys").len() >= 3 && list("refused_numbers").len() >= 15);
    for vector in list("vectors") {
        let mut out = Vec::new();
        encode_item(&item_of(&vector["item"]), &mut out).unwrap();
        assert_eq!(hex::encode(out), vector["encoding"].as_str().unwrap(), "{}", vector["name"]);
    }
    for vector in list("keys") {
        let schema = KeySchema(vector["key"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect());
        let mut out = Vec::new();
        encode_key(&item_of(&vector["item"]), &schema, &mut out).unwrap();
        assert_eq!(hex::encode(out), vector["encoding"].as_str().unwrap(), "{}", vector["name"]);
    }
    for text in list("refused_numbers") {
        assert!(encode_number(text.as_str().unwrap(), &mut Vec::new()).is_err(), "{text}");
    }
}

/// A Python, which needs nothing but its standard library; boto3 being required means that one is.
fn python(arguments: &[&str], input: &str) -> Option<String> {
    let program = std::env::var("ATTESTORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/items_v1.py");
    let started = Command::new(&program).arg("-B").arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = started else {
        let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "boto3"), "{program} is required and not installed");
        eprintln!("SKIPPED: {program} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} {arguments:?} failed");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn an_independent_implementation_agrees_with_the_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/items-v1.json");
    if let Some(said) = python(&[path], "") {
        assert!(said.starts_with("OK "), "{said}");
    }
}

#[test]
fn an_independent_implementation_agrees_on_items_that_nobody_chose() {
    let mut runner = TestRunner::deterministic();
    let items: Vec<Item> = (0..400)
        .map(|_| {
            proptest::collection::btree_map("[a-c\u{e9}\u{ffee}\u{1f600}]{0,3}", attribute(), 0..5).new_tree(&mut runner).unwrap().current()
        })
        .collect();
    let lines: String = items.iter().map(|item| format!("{}\n", to_json(item))).collect();
    let Some(said) = python(&["-"], &lines) else { return };
    assert_eq!(said.lines().count(), items.len());
    for (item, theirs) in items.iter().zip(said.lines()) {
        let mut ours = Vec::new();
        encode_item(item, &mut ours).unwrap();
        assert_eq!(hex::encode(ours), theirs, "{item:?}");
    }
}

/// An item in DynamoDB JSON.
pub fn item_of(value: &serde_json::Value) -> Item {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), from_json(value))).collect()
}

fn from_json(value: &serde_json::Value) -> Attribute {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let bytes = |value: &serde_json::Value| base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap();
    let texts = || value.as_array().unwrap().iter().map(text).collect();
    match kind.as_str() {
        "S" => Attribute::String(text(value)),
        "N" => Attribute::Number(text(value)),
        "B" => Attribute::Binary(bytes(value)),
        "BOOL" => Attribute::Bool(value.as_bool().unwrap()),
        "NULL" => Attribute::Null,
        "SS" => Attribute::StringSet(texts()),
        "NS" => Attribute::NumberSet(texts()),
        "BS" => Attribute::BinarySet(value.as_array().unwrap().iter().map(bytes).collect()),
        "L" => Attribute::List(value.as_array().unwrap().iter().map(from_json).collect()),
        "M" => Attribute::Map(value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), from_json(value))).collect()),
        other => panic!("unknown type {other}"),
    }
}
