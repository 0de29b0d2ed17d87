//! Canonical rows against their published vectors, which a program of another language, written from the specification alone, also holds.

use std::process::Command;

use attestore::signing::hash_key::HashKey;
use attestore::verify::buckets::record_at;
use attestore::verify::fingerprint::{Accumulator, DEFAULT_BUDGET};
use attestore::verify::key_ranges::cut;
use attestore::verify::sql::rows::canon::{ENCODING, LARGE_BYTES, LOGICAL_ENCODING, Row};
use attestore::verify::sql::rows::key_order::KeyOrder;
use attestore::verify::sql::rows::logical::{self, LogicalType};
use attestore::verify::sql::rows::mysql_decode;
use attestore::verify::sql::rows::notes::ColumnHasher;
use attestore::verify::sql::rows::row_keys::RowKeys;
use attestore::verify::sql::rows::tag;
use serde_json::Value;

const VECTORS: &str = include_str!("../vectors/rows-v1.json");

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

/// Microseconds modulo 2^64.
fn stamp(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| value.as_u64().unwrap() as i64)
}

fn small(value: &Value) -> i32 {
    i32::try_from(int(value)).unwrap()
}

fn of(value: &Value) -> u8 {
    match text(value) {
        "date" => tag::DATE,
        "datetime" => tag::DATETIME,
        _ => tag::INSTANT,
    }
}

fn put_range(value: &Value, row: &mut Row) {
    row.enter();
    row.nested(tag::RANGE, &[int(&value["flags"]) as u8]);
    value["bounds"].as_array().unwrap().iter().for_each(|bound| put(bound, row));
    row.leave();
}

fn put_decimal(value: &str, row: &mut Row) {
    match value {
        "NaN" => row.bare(tag::DECIMAL_NAN),
        "Infinity" => row.bare(tag::DECIMAL_PLUS_INFINITY),
        "-Infinity" => row.bare(tag::DECIMAL_MINUS_INFINITY),
        digits => mysql_decode::decimal(digits.as_bytes(), row).unwrap(),
    }
}

/// One field of a vector, by the calls that the decoders of the engines make.
pub fn put(spec: &Value, row: &mut Row) {
    let (kind, value) = spec.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "null" => row.null(),
        "integer" if text(value).starts_with('-') => row.signed(text(value).parse().unwrap()),
        "integer" => row.unsigned(text(value).parse().unwrap()),
        "decimal" => put_decimal(text(value), row),
        "f32" => row.f32(f32::from_be_bytes(bytes(value).try_into().unwrap())),
        "f64" => row.f64(f64::from_be_bytes(bytes(value).try_into().unwrap())),
        "text" => row.text(text(value).as_bytes()),
        "text_hex" => row.text(&bytes(value)),
        "json" => row.bytes_as(tag::JSON, text(value).as_bytes()),
        "jsonb" => row.bytes_as(tag::JSONB, text(value).as_bytes()),
        "enum" => row.labelled(tag::ENUM, text(value).as_bytes()),
        "set" => row.labelled(tag::SET, text(value).as_bytes()),
        "bytes" => row.blob(&bytes(value)),
        "network" => row.labelled(tag::NETWORK, &bytes(value)),
        "geometry" => row.labelled(tag::GEOMETRY, &bytes(value)),
        "hardware" => row.labelled(tag::HARDWARE, &bytes(value)),
        "date" => row.date(int(value)),
        "datetime" => row.micros(tag::DATETIME, stamp(value)),
        "instant" => row.micros(tag::INSTANT, stamp(value)),
        "time" => row.micros(tag::TIME, int(value)),
        "infinity" => row.infinity(of(value), true),
        "minus_infinity" => row.infinity(of(value), false),
        "partial" => row.partial_date(of(&value[0]), int(&value[1]) as u16, int(&value[2]) as u8, int(&value[3]) as u8, int(&value[4])),
        "time_zoned" => row.time_zoned(int(&value[0]), small(&value[1])),
        "interval" => row.interval(small(&value[0]), small(&value[1]), int(&value[2])),
        "bits" => {
            let bits = text(value);
            let padded = format!("{bits:0<width$}", width = bits.len().div_ceil(8) * 8);
            let packed: Vec<u8> = (0..padded.len() / 8).map(|at| u8::from_str_radix(&padded[at * 8..at * 8 + 8], 2).unwrap()).collect();
            row.bits(bits.len() as u64, &packed);
        }
        "uuid" => row.uuid(&bytes(value).try_into().unwrap()),
        "boolean" => row.boolean(value.as_bool().unwrap()),
        "array" => {
            let dimensions = value["dimensions"].as_array().unwrap();
            let mut head = (dimensions.len() as u32).to_be_bytes().to_vec();
            for one in dimensions {
                head.extend(small(&one[0]).to_be_bytes());
                head.extend(small(&one[1]).to_be_bytes());
            }
            row.enter();
            row.nested(tag::ARRAY, &head);
            value["elements"].as_array().unwrap().iter().for_each(|one| put(one, row));
            row.leave();
        }
        "composite" => {
            let columns = value.as_array().unwrap();
            row.enter();
            row.nested(tag::COMPOSITE, &(columns.len() as u32).to_be_bytes());
            columns.iter().for_each(|one| put(one, row));
            row.leave();
        }
        "range" => put_range(value, row),
        "multirange" => {
            let ranges = value.as_array().unwrap();
            row.enter();
            row.nested(tag::MULTIRANGE, &(ranges.len() as u32).to_be_bytes());
            ranges.iter().for_each(|one| put_range(one, row));
            row.leave();
        }
        "opaque" => row.opaque(text(&value[0]), &bytes(&value[1])),
        other => panic!("a field of kind {other}"),
    }
}

#[test]
fn rows_and_leaves_are_those_of_the_vectors() {
    let document: Value = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(document["encoding"], ENCODING);
    let keys = RowKeys::new(&HashKey::from_bytes(bytes(&document["hash_key"]).try_into().unwrap()));
    let vectors = document["rows"].as_array().unwrap();
    assert!(vectors.len() > 10);
    for vector in vectors {
        let fields = vector["fields"].as_array().unwrap();
        let mut row = Row::new(&keys);
        row.begin(fields.len());
        fields.iter().for_each(|field| put(field, &mut row));
        assert_eq!(row.len(), fields.len(), "{}", vector["name"]);
        assert_eq!(hex::encode(row.bytes()), text(&vector["encoding"]), "{}", vector["name"]);
        let digest = keys.row_digest(row.bytes());
        assert_eq!(hex::encode(digest), text(&vector["row_digest"]), "{}", vector["name"]);
        let key: Vec<usize> = vector["key"].as_array().unwrap().iter().map(|at| at.as_u64().unwrap() as usize).collect();
        let hash = if key.is_empty() { digest } else { keys.key_hash(row.key_in(&key, &mut Vec::new())) };
        assert_eq!(hex::encode(hash), text(&vector["key_hash"]), "{}", vector["name"]);
        let names: Vec<String> = (0..fields.len()).map(|at| format!("c{at:02}")).collect();
        let hasher = ColumnHasher::new(&keys, "t", names.iter().map(String::as_str));
        let hashes = (!key.is_empty()).then(|| hasher.hashes(&row, &hash).map(hex::encode).collect::<String>());
        assert_eq!(hashes.as_deref(), vector["column_hashes"].as_str(), "{}", vector["name"]);
    }
    for leaf in document["leaves"].as_array().unwrap() {
        let mut accumulator = Accumulator::new(DEFAULT_BUDGET);
        for digest in leaf["row_digests"].as_array().unwrap() {
            let digest: [u8; 32] = bytes(digest).try_into().unwrap();
            accumulator.push(digest, digest).unwrap();
        }
        let fingerprint = accumulator.finish().unwrap();
        let leaves: Vec<_> = fingerprint.leaves().map(Result::unwrap).collect();
        assert_eq!(
            (leaves.len(), u64::from(leaves[0].bits), u64::from(leaves[0].index)),
            (1, leaf["bits"].as_u64().unwrap(), leaf["index"].as_u64().unwrap())
        );
        assert_eq!(hex::encode(leaves[0].digest), text(&leaf["digest"]));
    }
}

/// Ranges of a table whose key is one whole number of 64 bits.
#[test]
fn ranges_are_those_of_the_vectors() {
    let document: Value = serde_json::from_str(VECTORS).unwrap();
    for range in document["ranges"].as_array().unwrap() {
        let mut accumulator = Accumulator::new(DEFAULT_BUDGET);
        for row in range["rows"].as_array().unwrap() {
            let code = (text(&row[0]).parse::<i64>().unwrap() as u64) ^ 1 << 63;
            accumulator.push_all(&[record_at(&code.to_be_bytes(), &bytes(&row[1]).try_into().unwrap())]).unwrap();
        }
        let mut leaves = Vec::new();
        let begins = cut(&accumulator.finish().unwrap(), &mut |_| Ok(()), &mut |leaf| {
            leaves.push(leaf);
            Ok(())
        });
        assert_eq!((begins.unwrap().len(), leaves.len(), u64::from(leaves[0].index)), (0, 1, range["index"].as_u64().unwrap()));
        assert_eq!(hex::encode(leaves[0].digest), text(&range["digest"]));
    }
}

/// Keys of several columns in eight bytes, and what stands at their ends.
#[test]
fn codes_are_those_of_the_vectors() {
    let document: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = document["codes"].as_array().unwrap();
    assert!(vectors.len() > 5);
    for vector in vectors {
        let order = KeyOrder::stated(&vector["order"]).unwrap();
        let columns: Vec<&str> = vector["order"].as_array().unwrap().iter().map(|part| text(&part["column"])).collect();
        let mut row = Row::empty();
        row.begin(columns.len());
        vector["key"].as_array().unwrap().iter().for_each(|field| put(field, &mut row));
        assert_eq!(hex::encode(order.coder(&columns).code(&row)), text(&vector["code"]), "{vector}");
    }
}

#[test]
fn logical_forms_are_those_of_the_vectors() {
    let document: Value = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(document["logical_encoding"], LOGICAL_ENCODING);
    let vectors = document["forms"].as_array().unwrap();
    for kind in LogicalType::ALL {
        assert!(vectors.iter().any(|vector| vector["type"] == kind.as_str()), "{kind}");
    }
    for vector in vectors {
        let (mut exact, mut row) = (Row::empty(), Row::empty());
        exact.begin(1);
        put(&vector["field"], &mut exact);
        row.begin(1);
        logical::field(text(&vector["type"]).parse().unwrap(), exact.field(0), &mut row);
        assert_eq!(hex::encode(row.field(0)), text(&vector["form"]), "{vector}");
    }
}

/// Beyond what a program in a slow language recomputes: a value above the limit is replaced by its keyed digest.
#[test]
fn a_large_value_is_its_tag_length_and_digest() {
    let key = HashKey::from_bytes([7; 32]);
    let value = vec![0xab; LARGE_BYTES + 1];
    let mut row = Row::new(&RowKeys::new(&key));
    row.begin(1);
    row.blob(&value);
    let digest = blake3::keyed_hash(&blake3::derive_key("attestore row v1", key.bytes()), &value);
    let expected = [&[tag::LARGE, tag::BYTES][..], &(value.len() as u64).to_be_bytes(), digest.as_bytes()].concat();
    assert_eq!(row.field(0), expected);
}

/// What is nested is large by all that it holds, and the fields around it are where they were; all that was hashed is counted.
#[test]
fn what_is_large_is_its_digest_and_still_differs() {
    let keys = RowKeys::new(&HashKey::from_bytes([7; 32]));
    let built = |fill: &dyn Fn(&mut Row)| {
        let mut row = Row::new(&keys);
        row.begin(3);
        row.null();
        fill(&mut row);
        row.unsigned(1);
        row
    };
    let array = |last: u64| {
        built(&|row: &mut Row| {
            row.enter();
            row.nested(tag::ARRAY, &[0, 0, 0, 1, 0, 0x0d, 0, 0, 0, 0, 0, 1]);
            (0..LARGE_BYTES / 10 + 1).for_each(|_| row.unsigned(7));
            row.unsigned(last);
            row.leave();
        })
    };
    let blob = |last: u8| built(&|row: &mut Row| row.blob(&[&vec![0; LARGE_BYTES][..], &[last]].concat()));
    let opaque = |name: &str, last: u8| built(&|row: &mut Row| row.opaque(name, &[&vec![0; LARGE_BYTES][..], &[last]].concat()));
    for (one, other, of) in [
        (array(1), array(2), tag::ARRAY),
        (blob(1), blob(2), tag::BYTES),
        (opaque("seg", 1), opaque("seg", 2), tag::OPAQUE),
        (opaque("seg", 1), opaque("segs", 1), tag::OPAQUE),
    ] {
        assert_eq!((&one.field(1)[..2], one.field(1).len(), one.field(2)[0]), (&[tag::LARGE, of][..], 42, tag::INTEGER));
        assert_ne!(one.bytes(), other.bytes());
        assert!(one.hashed_bytes() > LARGE_BYTES as u64 && one.hashed_bytes() < 2 * LARGE_BYTES as u64);
    }
    assert_eq!(built(&|row: &mut Row| row.null()).hashed_bytes(), 16);
}

#[test]
fn keys_and_rows_are_keyed_apart() {
    let (one, other) = (RowKeys::new(&HashKey::from_bytes([7; 32])), RowKeys::new(&HashKey::from_bytes([8; 32])));
    let mut row = Row::new(&one);
    row.begin(1);
    row.unsigned(1);
    assert_ne!(one.row_digest(row.bytes()), other.row_digest(row.bytes()));
    assert_ne!(
        one.row_digest(row.bytes()),
        one.key_hash(row.key_in(&[0], &mut Vec::new())),
        "a key's hash tells nothing of a row that is its key alone"
    );
}

#[test]
fn a_program_written_from_the_specification_agrees() {
    let there = Command::new("python3").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIPPED: python3 is not installed");
        assert!(!std::env::var("ATTESTORE_REQUIRE").unwrap_or_default().split(',').any(|name| name == "python3"), "python3 is required");
        return;
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |file: &std::path::Path| Command::new("python3").arg(root.join("tests/foreign/rows.py")).arg(file).output().unwrap();
    let output = run(&root.join("tests/vectors/rows-v1.json"));
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // And it does look: one changed digit is told.
    let dir = tempfile::tempdir().unwrap();
    let changed = dir.path().join("changed.json");
    std::fs::write(&changed, VECTORS.replacen("\"integer\": \"-2\"", "\"integer\": \"-3\"", 1)).unwrap();
    assert_eq!(run(&changed).status.code(), Some(1));
}
