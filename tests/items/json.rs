//! DynamoDB JSON into canonical bytes: as the values would be encoded, whatever the spelling; and any bytes are an item or an error.

use attestore::verify::items::canonical::{encode_item, encode_key};
use attestore::verify::items::item::{Item, KeySchema, to_json};
use attestore::verify::items::json::{self, Encoder};
use attestore::verify::items::page::Record;
use attestore::verify::items::reader::{BadLine, Reader};
use proptest::prelude::*;

use crate::canonical::attribute;

fn encoded(text: &str) -> Result<Vec<u8>, BadLine> {
    let mut encoder = Encoder::default();
    let mut reader = Reader::new(text);
    encoder.item(&mut reader, None)?;
    reader.end()?;
    Ok(bytes(&encoder))
}

fn bytes(encoder: &Encoder) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.append(&mut bytes);
    bytes
}

fn item() -> impl Strategy<Value = Item> {
    proptest::collection::btree_map("[a-c\\u{0}-\\u{1f}\"\\\\é\u{1f600}]{0,3}", attribute(), 0..6)
}

/// The same JSON with its members the other way round, escapes instead of letters, and white space.
fn respelled(value: &serde_json::Value) -> String {
    let escaped = |text: &str| {
        let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{}\"", units.concat())
    };
    match value {
        serde_json::Value::String(text) => escaped(text),
        serde_json::Value::Array(list) => format!("[ {}\t]", list.iter().map(respelled).collect::<Vec<_>>().join(" ,\r")),
        serde_json::Value::Object(map) => {
            let members: Vec<String> = map.iter().rev().map(|(name, value)| format!("{} : {}", escaped(name), respelled(value))).collect();
            format!("{{ {} }} ", members.join(" , "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn lines_are_encoded_as_their_values_are(item in item()) {
        let mut expected = Vec::new();
        encode_item(&item, &mut expected).unwrap();
        let value = to_json(&item);
        prop_assert_eq!(encoded(&value.to_string()).unwrap(), expected.clone());
        prop_assert_eq!(encoded(&respelled(&value)).unwrap(), expected);
        prop_assert_eq!(json::item(&mut Reader::new(&respelled(&value))).unwrap(), item.clone());
        let line = format!("{{\"Metadata\":[1,-2.5e3,null,{{\"a\":\"\\\\\"}}],\"Item\":{}}}", respelled(&value));
        prop_assert_eq!(Record::Line(line.as_bytes()).item().unwrap(), item.clone());
        prop_assert_eq!(Record::Object(&respelled(&value)).item().unwrap(), item.clone());
        for keep in [vec![], vec!["a".to_owned(), "b".to_owned()]] {
            let mut cut = item.clone();
            cut.retain(|name, _| keep.contains(name));
            let (mut expected, mut encoder) = (Vec::new(), Encoder::default());
            encode_item(&cut, &mut expected).unwrap();
            encoder.item(&mut Reader::new(&value.to_string()), Some(&keep)).unwrap();
            prop_assert_eq!(bytes(&encoder), expected);
            let schema = KeySchema(keep);
            let (mut key, mut other) = (Vec::new(), Vec::new());
            prop_assert_eq!(encoder.key(&schema, &mut key).is_ok(), encode_key(&item, &schema, &mut other).is_ok());
            if encode_key(&item, &schema, &mut { Vec::new() }).is_ok() {
                prop_assert_eq!(key, other);
            }
        }
    }

    #[test]
    fn any_bytes_are_an_item_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), item in item()) {
        let _ = Record::Line(&bytes).item();
        let _ = attestore::verify::items::changes::Change::parse(&bytes);
        let _ = attestore::verify::items::ion::to_json(&String::from_utf8_lossy(&bytes));
        let mut line = to_json(&item).to_string().into_bytes();
        for (at, byte) in flips {
            let at = at.index(line.len());
            line[at] = byte;
        }
        if let Ok(text) = std::str::from_utf8(&line) {
            let _ = attestore::verify::items::ion::to_json(text);
            // Both readers agree on what is an item at all.
            let mut reader = Reader::new(text);
            let values = json::item(&mut reader).and_then(|item| reader.end().map(|()| item));
            let mut out = Vec::new();
            let encodable = values.is_ok_and(|item| encode_item(&item, &mut out).is_ok());
            prop_assert_eq!(encoded(text).is_ok(), encodable, "{}", text);
        }
    }
}

#[test]
fn what_is_no_item_is_refused_where_it_is_wrong() {
    for (text, said) in [
        ("{\"a\":{\"S\":\"x\"},\"a\":{\"S\":\"y\"}}", "twice"),
        ("{\"a\":{\"S\":1}}", "a string"),
        ("{\"a\":{\"X\":\"1\"}}", "type of DynamoDB"),
        ("{\"a\":{\"N\":\"1e\"}}", "not a decimal"),
        ("{\"a\":{\"B\":\"*\"}}", "base64"),
        ("{\"a\":{\"S\":\"\\ud800\"}}", "surrogate"),
        ("{\"a\":{\"S\":\"x\"}} {", "end of the line"),
        ("{\"a\":{\"S\":\"x\",\"N\":\"1\"}}", "end of a typed value"),
        ("{\"a\":{\"S\":\"x", "end of a string"),
        ("[]", "an object"),
    ] {
        let said_now = encoded(text).unwrap_err().to_string();
        assert!(said_now.contains(said), "{text}: {said_now}");
    }
    let deep = format!("{{\"a\":{}{}}}", "{\"L\":[".repeat(5000), "]}".repeat(5000));
    assert!(encoded(&deep).unwrap_err().to_string().contains("nested"));
}
