//! Parts that are not what a manifest's parts are, under a header that names their digests: rows unsorted or repeated, other schemas,
//! values that have no meaning, absurd sizes. Every reader of parts says bad evidence; other writers' encodings are read all the same.

use std::path::Path;
use std::sync::Arc;

use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::digest::Digest32;
use attestore::model::failure::{Failure, FailureKind};
use attestore::monitor::Silent;
use attestore::signing::merkle;
use attestore::verify::manifest::diff::diff;
use attestore::verify::manifest::header::{Header, ManifestKind, Part};
use attestore::verify::manifest::proof;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::row::{ObjectRow, Row};
use attestore::verify::manifest::writer::{Draft, Finish, ManifestWriter};
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// The values of one column; as many as there are lines, nulls included.
#[derive(Clone)]
enum Values {
    Bytes(Vec<Option<Vec<u8>>>),
    Long(Vec<Option<i64>>),
    Short(Vec<Option<i32>>),
    Fixed(Vec<Option<Vec<u8>>>),
}

/// One column: its type as Parquet spells it, and its values.
type Column = (String, Values);

fn texts(values: &[&str]) -> Values {
    Values::Bytes(values.iter().map(|value| Some(value.as_bytes().to_vec())).collect())
}

fn longs(values: &[i64]) -> Values {
    Values::Long(values.iter().copied().map(Some).collect())
}

fn digest_of(key: &str) -> Digest32 {
    Digest32::blake3(key.as_bytes())
}

/// The columns of objects with these keys, in this order.
fn columns(keys: &[&str]) -> Vec<Column> {
    let digests = keys.iter().map(|key| Some(digest_of(key).0.to_vec())).collect();
    vec![
        ("required binary key (UTF8)".into(), texts(keys)),
        ("required int64 seq".into(), longs(&vec![0; keys.len()])),
        ("required binary kind (UTF8)".into(), texts(&vec!["object"; keys.len()])),
        ("optional int64 size".into(), longs(&vec![3; keys.len()])),
        ("optional fixed_len_byte_array(32) blake3".into(), Values::Fixed(digests)),
    ]
}

fn present<T: Clone>(values: &[Option<T>]) -> (Vec<T>, Vec<i16>) {
    (values.iter().flatten().cloned().collect(), values.iter().map(|value| i16::from(value.is_some())).collect())
}

fn write_part(path: &Path, columns: &[Column], properties: WriterPropertiesBuilder) {
    let fields: Vec<String> = columns.iter().map(|(field, _)| format!("{field};")).collect();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {} }}", fields.join(" "))).unwrap());
    let mut writer = SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (field, values) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let repeated = field.starts_with("repeated");
        let lines = match values {
            Values::Bytes(values) | Values::Fixed(values) => values.len(),
            Values::Long(values) => values.len(),
            Values::Short(values) => values.len(),
        };
        let reps = repeated.then(|| vec![0i16; lines]);
        let needed = !field.starts_with("required");
        match (values, column.untyped()) {
            (Values::Bytes(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let (values, levels) = present(values);
                let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
                writer.write_batch(&values, needed.then_some(levels.as_slice()), reps.as_deref()).unwrap();
            }
            (Values::Fixed(values), ColumnWriter::FixedLenByteArrayColumnWriter(writer)) => {
                let (values, levels) = present(values);
                let values: Vec<FixedLenByteArray> = values.into_iter().map(FixedLenByteArray::from).collect();
                writer.write_batch(&values, needed.then_some(levels.as_slice()), reps.as_deref()).unwrap();
            }
            (Values::Long(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                let (values, levels) = present(values);
                writer.write_batch(&values, needed.then_some(levels.as_slice()), reps.as_deref()).unwrap();
            }
            (Values::Short(values), ColumnWriter::Int32ColumnWriter(writer)) => {
                let (values, levels) = present(values);
                writer.write_batch(&values, needed.then_some(levels.as_slice()), reps.as_deref()).unwrap();
            }
            _ => panic!("{field} has other values than its type"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn rows(keys: &[&str]) -> Vec<ObjectRow> {
    keys.iter().map(|key| ObjectRow { blake3: Some(digest_of(key)), ..ObjectRow::object(*key, 3) }).collect()
}

/// A manifest whose only part holds `columns`, its header in accord with them as far as a liar can make it.
fn manifest(dir: &Path, columns: &[Column], keys: &[&str], properties: WriterPropertiesBuilder) -> Manifest {
    let draft = Draft {
        kind: ManifestKind::Objects,
        source: "dir:/x".into(),
        captured_start: Timestamp::from_secs(1),
        mode: CaptureMode::Sealed,
        recovery_point_id: None,
        encoding: "attestore/objects/v1-draft".into(),
        hash_key_id: None,
        digests: vec!["blake3".into()],
        view: None,
        choices: Default::default(),
    };
    let mut header: Header = ManifestWriter::create(dir, draft).unwrap().finish(Finish::default(), None).unwrap();
    let path = dir.join("part-00000.parquet");
    write_part(&path, columns, properties);
    let (first, last) = (keys.first().copied().unwrap_or_default(), keys.last().copied().unwrap_or_default());
    let sha256 = Digest32::sha256(&std::fs::read(&path).unwrap());
    header.parts =
        vec![Part { name: "part-00000.parquet".into(), sha256, rows: keys.len() as u64, first: first.into(), last: last.into() }];
    let leaf = |row: &ObjectRow| {
        let mut leaf = Vec::new();
        row.leaf(&mut leaf);
        merkle::leaf_hash(&leaf)
    };
    header.root = merkle::root_of(&rows(keys).iter().map(leaf).collect::<Vec<_>>());
    std::fs::write(dir.join("manifest.json"), header.to_bytes().unwrap()).unwrap();
    Manifest::open(dir).unwrap()
}

/// What each reader of parts says.
fn readings(manifest: &Manifest, key: &str) -> [Result<(), Failure>; 3] {
    manifest.check_parts().unwrap();
    [
        manifest.objects().try_for_each(|row| row.map(drop)),
        diff(manifest, manifest, &Silent).map(drop),
        proof::prove(manifest, manifest.objects(), key, |_| true).map(drop),
    ]
}

#[test]
fn parts_of_other_writers_are_read_whatever_their_encodings() {
    let keys: Vec<String> = (0..5000).map(|n| format!("key {n:05} {}", "é".repeat(n % 7))).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let small = || WriterProperties::builder().set_data_page_row_count_limit(700).set_write_batch_size(100);
    for (name, properties) in [
        ("dictionaries", small()),
        ("plain", small().set_dictionary_enabled(false)),
        ("version 2", small().set_dictionary_enabled(false).set_writer_version(WriterVersion::PARQUET_2_0)),
        (
            "version 2 with dictionaries and zstd",
            small().set_writer_version(WriterVersion::PARQUET_2_0).set_compression(Compression::ZSTD(Default::default())),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let manifest = manifest(&dir.path().join("m"), &columns(&keys), &keys, properties);
        assert_eq!(manifest.objects().collect::<Result<Vec<_>, _>>().unwrap(), rows(&keys), "{name}");
        assert_eq!(diff(&manifest, &manifest, &Silent).unwrap().counts.matched, 5000, "{name}");
    }
}

#[test]
fn parts_that_are_not_in_order_or_not_of_the_schema_are_bad_evidence_to_every_reader() {
    type Change = fn(&mut Vec<Column>);
    let good = ["a", "b", "c"];
    let faults: [(&str, &[&str], Change, &str); 14] = [
        ("unsorted", &["b", "a", "c"], |_| {}, "out of order"),
        ("repeated", &["a", "b", "b"], |_| {}, "occurs twice"),
        ("no key", &good, |columns| drop(columns.remove(0)), "column key is missing"),
        ("no kind", &good, |columns| drop(columns.remove(2)), "column kind is missing"),
        (
            "a short size",
            &good,
            |columns| columns[3] = ("optional int32 size".into(), Values::Short(vec![Some(3); 3])),
            "column size has another type",
        ),
        (
            "half a digest",
            &good,
            |columns| columns[4] = ("optional fixed_len_byte_array(16) blake3".into(), Values::Fixed(vec![Some(vec![7; 16]); 3])),
            "column blake3 has another type",
        ),
        (
            "a list of keys",
            &good,
            |columns| columns[0] = ("repeated binary key (UTF8)".into(), texts(&["a", "b", "c"])),
            "column key has another type",
        ),
        (
            "a null for a key",
            &good,
            |columns| {
                columns[0] = ("optional binary key (UTF8)".into(), Values::Bytes(vec![Some(b"a".to_vec()), None, Some(b"c".to_vec())]))
            },
            "no key",
        ),
        ("a negative seq", &good, |columns| columns[1].1 = longs(&[0, -1, 0]), "seq is not"),
        ("a seq beyond 2^32", &good, |columns| columns[1].1 = longs(&[0, 1 << 40, 0]), "seq is not"),
        ("a negative size", &good, |columns| columns[3].1 = longs(&[3, i64::MIN, 3]), "size is not a size"),
        ("an unknown kind", &good, |columns| columns[2].1 = texts(&["object", "directory", "object"]), "unknown kind"),
        (
            "a key that is not UTF-8",
            &good,
            |columns| {
                columns[0] = ("required binary key".into(), Values::Bytes(vec![Some(vec![b'a']), Some(vec![0xff]), Some(vec![b'c'])]))
            },
            "not UTF-8",
        ),
        ("fewer lines than stated", &good, |columns| *columns = self::columns(&["a", "b"]), "expected 3 rows, found 2"),
    ];
    for (name, keys, change, said) in faults {
        for dictionaries in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let mut columns = columns(keys);
            change(&mut columns);
            let properties = WriterProperties::builder().set_dictionary_enabled(dictionaries);
            let manifest = manifest(&dir.path().join("m"), &columns, keys, properties);
            for (reader, result) in ["objects", "diff", "prove"].into_iter().zip(readings(&manifest, "a")) {
                let failure = result.expect_err(&format!("{name}, {reader}"));
                assert_eq!(failure.kind, FailureKind::BadEvidence, "{name}, {reader}: {failure}");
                assert!(failure.message.contains(said), "{name}, {reader}: {failure}");
                assert!(failure.message.contains("part-00000.parquet"), "{name}, {reader}: {failure}");
            }
        }
    }
}

#[test]
fn absurd_numbers_in_a_header_are_refused_and_not_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let good = manifest(&dir.path().join("m"), &columns(&["a", "b"]), &["a", "b"], WriterProperties::builder());
    for rows in [0, 1, 3, (1 << 53) - 1] {
        let mut header = good.header().clone();
        header.parts[0].rows = rows;
        std::fs::write(dir.path().join("m/manifest.json"), header.to_bytes().unwrap()).unwrap();
        for result in readings(&Manifest::open(&dir.path().join("m")).unwrap(), "a") {
            assert_eq!(result.unwrap_err().kind, FailureKind::BadEvidence, "{rows} rows");
        }
    }
    let mut header = good.header().clone();
    header.parts = vec![header.parts[0].clone(); 2];
    std::fs::write(dir.path().join("m/manifest.json"), header.to_bytes().unwrap()).unwrap();
    let twice = Manifest::open(&dir.path().join("m")).unwrap();
    assert_eq!(twice.check_parts().unwrap_err().kind, FailureKind::BadEvidence, "a part named twice");
    assert_eq!(diff(&twice, &twice, &Silent).unwrap_err().kind, FailureKind::BadEvidence, "and its rows come twice");
}
