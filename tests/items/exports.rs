//! Exports read in place: what AWS lays out is read, what does not hold is told, and an export equals the table that it is of.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::monitor::{Collected, Silent};
use attestore::verify::items::capture::capture_with;
use attestore::verify::items::changes::{Evidence, Touched};
use attestore::verify::items::compare::{Beside, compare_with};
use attestore::verify::items::export_files::{Export, ExportFiles, ExportSource};
use attestore::verify::items::item::{Attribute, Item, KeySchema, to_json};
use attestore::verify::items::scan::{ScanOptions, hasher, scan};
use attestore::verify::items::source::ItemSource;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use base64::Engine;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use md5::{Digest, Md5};
use serde_json::json;

use crate::table::{Table, captured, item, key, options, places};

const PREFIX: &str = "exports/AWSDynamoDB/01769824800000-ab12cd34";
const ARN: &str = "arn:aws:dynamodb:eu-west-2:111122223333:table/audit-logs";
const AT: &str = "2026-01-31T02:00:00.000Z";

/// Objects in memory, handed out in small pieces.
#[derive(Clone, Default)]
struct Objects(BTreeMap<String, Vec<u8>>);

#[async_trait]
impl ExportFiles for Objects {
    fn place(&self) -> String {
        "s3://bucket".into()
    }

    async fn get(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure> {
        let bytes = self.0.get(key).ok_or_else(|| Failure::new(FailureKind::Absent, format!("{key}: NoSuchKey")))?;
        let pieces: Vec<_> = bytes.chunks(37).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(stream::iter(pieces).boxed())
    }
}

impl Objects {
    fn checked(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.insert(format!("{PREFIX}/{name}.checksum"), hex::encode(Md5::digest(&bytes)).into_bytes());
        self.0.insert(format!("{PREFIX}/{name}.json"), bytes);
    }

    /// Writes an export of `lines`, spread over `files` files, with `more` in its summary.
    fn write(lines: &[String], files: usize, more: serde_json::Value) -> Self {
        let mut objects = Self::default();
        let mut list = String::new();
        for file in 0..files {
            let own: Vec<&String> = lines.iter().skip(file).step_by(files).collect();
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            own.iter().for_each(|line| writeln!(packer, "{line}").unwrap());
            let packed = packer.finish().unwrap();
            let key = format!("{PREFIX}/data/part{file}.json.gz");
            let md5 = base64::engine::general_purpose::STANDARD.encode(Md5::digest(&packed));
            list += &format!("{}\n", json!({"itemCount": own.len(), "md5Checksum": md5, "etag": "e-1", "dataFileS3Key": key}));
            objects.0.insert(key, packed);
        }
        objects.checked("manifest-files", list.into_bytes());
        let mut summary = json!({"version": "2023-08-01", "exportArn": format!("{ARN}/export/1"), "tableArn": ARN, "tableId": "t", "s3Bucket": "bucket",
            "s3Prefix": "exports", "manifestFilesS3Key": format!("{PREFIX}/manifest-files.json"), "itemCount": lines.len(), "outputFormat": "DYNAMODB_JSON"});
        summary.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        objects.checked("manifest-summary", summary.to_string().into_bytes());
        objects
    }

    fn full(items: &[Item], files: usize) -> Self {
        let lines: Vec<String> = items.iter().map(|item| json!({"Item": to_json(item)}).to_string()).collect();
        Self::write(&lines, files, json!({"exportTime": AT, "exportType": "FULL_EXPORT"}))
    }

    /// The same in Amazon Ion, as DynamoDB spells it.
    fn in_ion(items: &[Item], files: usize) -> Self {
        let lines: Vec<String> = items.iter().map(|item| format!("$ion_1_0 {{Item:{}}}", ion(&Attribute::Map(item.clone())))).collect();
        Self::write(&lines, files, json!({"exportTime": AT, "exportType": "FULL_EXPORT", "outputFormat": "ION"}))
    }

    fn changes(items: &[Item], from: &str, to: &str) -> Self {
        let micros = from.parse::<Timestamp>().unwrap().0 + 1_000_000;
        let each = |item: &Item| {
            let keys: Item =
                item.iter().filter(|(name, _)| ["pk", "sk"].contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect();
            json!({"Metadata": {"WriteTimestampMicros": {"N": micros.to_string()}}, "Keys": to_json(&keys), "NewImage": to_json(item)})
                .to_string()
        };
        let lines: Vec<String> = items.iter().map(each).collect();
        Self::write(&lines, 2, json!({"exportFromTime": from, "exportToTime": to, "exportType": "INCREMENTAL_EXPORT"}))
    }

    async fn open(&self) -> Result<Export, Failure> {
        Export::open(Arc::new(self.clone()), "dynamodb-export:s3://bucket/x", PREFIX).await
    }

    async fn source(&self) -> Result<ExportSource, Failure> {
        ExportSource::new(self.open().await?, KeySchema(vec!["pk".into(), "sk".into()]))
    }
}

/// A value in Ion text.
fn ion(value: &Attribute) -> String {
    let text = |text: &String| serde_json::Value::from(text.as_str()).to_string();
    let number = |text: &String| text.trim_start_matches('+').replace(['e', 'E'], "d");
    let blob = |bytes: &Vec<u8>| format!("{{{{ {} }}}}", base64::engine::general_purpose::STANDARD.encode(bytes));
    let set = |kind: &str, elements: Vec<String>| format!("$dynamodb_{kind}::[{}]", elements.join(", "));
    match value {
        Attribute::String(value) => text(value),
        Attribute::Number(value) => number(value),
        Attribute::Binary(value) => blob(value),
        Attribute::Bool(value) => value.to_string(),
        Attribute::Null => "null".into(),
        Attribute::StringSet(all) => set("SS", all.iter().map(text).collect()),
        Attribute::NumberSet(all) => set("NS", all.iter().map(number).collect()),
        Attribute::BinarySet(all) => set("BS", all.iter().map(blob).collect()),
        Attribute::List(all) => format!("[{}]", all.iter().map(ion).collect::<Vec<_>>().join(",")),
        Attribute::Map(map) => {
            let members: Vec<String> = map.iter().map(|(name, value)| format!("{}:{}", text(name), ion(value))).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// Every type that DynamoDB has, in one item.
fn of_every_type(n: u32) -> Item {
    let text = |text: &str| Attribute::String(text.into());
    let mut item = item(n);
    item.insert("a 'name' \"of\" \u{1f600}".into(), text("\u{1}\n\t\\ \u{fffd}"));
    item.insert("bs".into(), Attribute::BinarySet(vec![vec![2, 0], vec![1]]));
    item.insert("ns".into(), Attribute::NumberSet(vec!["10".into(), "-2.50".into(), "1E-130".into()]));
    let deep =
        Attribute::List(vec![Attribute::Null, Attribute::Bool(false), Attribute::Binary(vec![0, 255]), Attribute::Map(BTreeMap::new())]);
    item.insert("m".into(), Attribute::Map(BTreeMap::from([("null".into(), deep), ("$7".into(), text(""))])));
    item
}

#[tokio::test]
async fn an_export_in_ion_has_the_root_of_the_same_export_in_json() {
    let items: Vec<Item> = (0..120).map(of_every_type).collect();
    let json = capture(&Objects::full(&items, 3), 2).await.unwrap().0;
    let (header, manifest, _dir) = capture(&Objects::in_ion(&items, 3), 2).await.unwrap();
    assert_eq!((header.root, header.counts["items"]), (json.root, 120));
    // What Ion has and DynamoDB has not is unreadable: the line is not dropped, and not guessed.
    let mut lines: Vec<String> = items.iter().map(|item| format!("{{Item:{}}}", ion(&Attribute::Map(item.clone())))).collect();
    lines[7] = lines[7].replace("false", "2026-01-31T");
    let strange = Objects::write(&lines, 2, json!({"exportTime": AT, "exportType": "FULL_EXPORT", "outputFormat": "ION"}));
    assert!(capture(&strange, 2).await.is_err());
    let source = Arc::new(strange.source().await.unwrap());
    let monitor = Collected::default();
    let result = compare_with(source, &manifest, &key(), &options(2), Beside::default(), &monitor).await.unwrap();
    assert_eq!((result.outcome(0).0, result.items.unwrap().unreadable), (Outcome::Fail, 1));
}

async fn capture(
    objects: &Objects,
    segments: u32,
) -> Result<(attestore::verify::manifest::header::Header, Manifest, tempfile::TempDir), Failure> {
    let dir = tempfile::tempdir().unwrap();
    let request = CaptureRequest::new(dir.path().join("m"), CaptureMode::ExportExact);
    let header = capture_with(Arc::new(objects.source().await?), &request, &options(segments), &key(), None, &Silent).await?;
    let manifest = Manifest::open(&dir.path().join("m"))?;
    Ok((header, manifest, dir))
}

fn items(count: u32) -> Vec<Item> {
    (0..count).map(item).collect()
}

#[tokio::test]
async fn an_export_has_the_root_of_the_table_that_it_is_of() {
    let table = Table::of(items(300));
    let scanned = captured(&table, 3, |_| {}).await;
    for (files, segments) in [(1, 1), (5, 2), (7, 4)] {
        let (header, _, _dir) = capture(&Objects::full(&table.items, files), segments).await.unwrap();
        assert_eq!(header.root, scanned.manifest.header().root, "{files} files");
        assert_eq!((header.mode, header.captured_end.to_string().as_str()), (CaptureMode::ExportExact, AT));
        assert_eq!(header.recovery_point_id.unwrap().0, format!("{ARN}@2026-01-31T02:00:00Z"));
        assert_eq!((header.source.as_str(), header.counts["items"]), ("dynamodb:audit-logs", 300));
    }
}

#[tokio::test]
async fn an_empty_partition_is_an_empty_file_and_an_empty_table_an_export_without_items() {
    let mut objects = Objects::full(&items(2), 4);
    objects.0.insert(format!("{PREFIX}/data/part3.json.gz"), Vec::new());
    let list = String::from_utf8(objects.0[&format!("{PREFIX}/manifest-files.json")].clone()).unwrap();
    let empty = base64::engine::general_purpose::STANDARD.encode(Md5::digest(b""));
    let last = list.lines().last().unwrap();
    let old: serde_json::Value = serde_json::from_str(last).unwrap();
    let list = list.replace(old["md5Checksum"].as_str().unwrap(), &empty);
    objects.checked("manifest-files", list.into_bytes());
    // The other empty file is replaced too, so that the list says the same of both.
    objects.0.insert(format!("{PREFIX}/data/part2.json.gz"), Vec::new());
    assert_eq!(capture(&objects, 2).await.unwrap().0.counts["items"], 2);
    assert_eq!(capture(&Objects::full(&[], 1), 1).await.unwrap().0.counts["items"], 0);
}

#[tokio::test]
async fn every_fault_of_an_export_has_its_class_and_none_is_captured() {
    let good = Objects::full(&items(200), 3);
    let data = format!("{PREFIX}/data/part1.json.gz");
    let list = format!("{PREFIX}/manifest-files.json");
    let fault = |change: &dyn Fn(&mut Objects)| {
        let mut objects = good.clone();
        change(&mut objects);
        objects
    };
    let faults: Vec<(&str, Objects, FailureKind, &str)> = vec![
        ("a file with a wrong MD5", fault(&|o| o.0.get_mut(&data).unwrap()[9] ^= 1), FailureKind::BadEvidence, "part1"),
        ("a missing file", fault(&|o| drop(o.0.remove(&data))), FailureKind::Absent, "part1"),
        ("truncated gzip", fault(&|o| o.0.get_mut(&data).unwrap().truncate(60)), FailureKind::BadEvidence, "part1"),
        ("truncated gzip whose MD5 is right", fault(&truncated), FailureKind::BadEvidence, "cut short"),
        ("COMPLETED without files", fault(&|o| o.checked("manifest-files", Vec::new())), FailureKind::BadEvidence, "found 0 in 0 files"),
        ("a list that was changed", fault(&|o| o.0.get_mut(&list).unwrap().push(b'\n')), FailureKind::BadEvidence, "MD5"),
        ("no summary", fault(&|o| drop(o.0.remove(&format!("{PREFIX}/manifest-summary.json")))), FailureKind::Absent, "manifest-summary"),
        ("no list", fault(&|o| drop(o.0.remove(&list))), FailureKind::Absent, "manifest-files"),
        ("no checksum", fault(&|o| drop(o.0.remove(&format!("{PREFIX}/manifest-files.checksum")))), FailureKind::Absent, "checksum"),
        ("wrong item counts that add up", fault(&miscounted), FailureKind::BadEvidence, "items, found"),
        ("an item twice", Objects::full(&[items(3), items(1)].concat(), 2), FailureKind::Remote, "again"),
        ("no key", Objects::full(&[BTreeMap::from([("pk".to_owned(), Attribute::Null)])], 1), FailureKind::Remote, "sk"),
    ];
    for (what, objects, kind, said) in faults {
        let failure = capture(&objects, 2).await.map(|_| ()).unwrap_err();
        assert_eq!(failure.kind, kind, "{what}: {failure}");
        assert!(failure.message.contains(said), "{what}: {failure}");
    }
}

fn relisted(objects: &mut Objects, change: impl Fn(&mut serde_json::Value)) {
    let list = String::from_utf8(objects.0[&format!("{PREFIX}/manifest-files.json")].clone()).unwrap();
    let lines: Vec<String> = list
        .lines()
        .map(|line| {
            let mut file: serde_json::Value = serde_json::from_str(line).unwrap();
            change(&mut file);
            format!("{file}\n")
        })
        .collect();
    objects.checked("manifest-files", lines.concat().into_bytes());
}

fn truncated(objects: &mut Objects) {
    let key = format!("{PREFIX}/data/part1.json.gz");
    let data = objects.0.get_mut(&key).unwrap();
    data.truncate(data.len() - 5);
    let md5 = base64::engine::general_purpose::STANDARD.encode(Md5::digest(&*data));
    relisted(objects, |file| {
        if file["dataFileS3Key"] == key {
            file["md5Checksum"] = md5.clone().into();
        }
    });
}

fn miscounted(objects: &mut Objects) {
    relisted(objects, |file| {
        let count = file["itemCount"].as_u64().unwrap();
        let more = match file["dataFileS3Key"].as_str().unwrap() {
            key if key.contains("part0") => 1,
            key if key.contains("part1") => -1,
            _ => 0,
        };
        file["itemCount"] = (count as i64 + more).into();
    });
}

#[tokio::test]
async fn a_damaged_export_is_never_a_pass_when_compared() {
    let table = Table::of(items(100));
    let of = captured(&table, 2, |_| {}).await;
    let mut objects = Objects::full(&table.items, 3);
    objects.0.remove(&format!("{PREFIX}/data/part2.json.gz"));
    let source = Arc::new(objects.source().await.unwrap());
    let monitor = Collected::default();
    let result = compare_with(source, &of.manifest, &key(), &options(2), Beside::default(), &monitor).await.unwrap();
    assert_eq!((result.outcome(0).0, monitor.findings().len()), (Outcome::Inconclusive, 0));
    assert_eq!(result.cut_short.unwrap().kind, FailureKind::Absent);
}

#[tokio::test]
async fn reading_an_export_goes_on_with_the_file_that_broke_off() {
    let good = Objects::full(&items(3000), 5);
    // Its only file has pages of a megabyte each before the cut; none of them may count twice.
    let large: Vec<Item> = (0..40).map(|n| with_text(n, 100_000)).collect();
    let whole = Objects::full(&large, 1);
    let dir = tempfile::tempdir().unwrap();
    for (objects, files, expected) in [(good, 5, 3000), (whole, 1, 40)] {
        let state = dir.path().join(files.to_string());
        let kept = ScanOptions { state: Some(state.clone()), ..options(2) };
        let mut broken = objects.clone();
        truncated_at(&mut broken, &format!("{PREFIX}/data/part{}.json.gz", files - 1));
        let read = async |objects: &Objects| {
            let source: Arc<dyn ItemSource> = Arc::new(objects.source().await.unwrap());
            scan(&source, &kept, &key(), None, &Silent).await.unwrap()
        };
        assert_eq!(read(&broken).await.cut_short.unwrap().kind, FailureKind::BadEvidence);
        let again = read(&objects).await;
        assert!(again.cut_short.is_none());
        assert_eq!(again.fingerprint.rows(), expected);
        assert!(!state.exists());
    }
}

fn with_text(n: u32, length: u32) -> Item {
    let mut item = item(n);
    // Not the same letter throughout: it is to be long when packed too.
    let text: String = (0..length).map(|at| char::from(b'a' + blake3::hash(&(n * length + at).to_le_bytes()).as_bytes()[0] % 26)).collect();
    item.insert("text".into(), Attribute::String(text));
    item
}

/// The same as it is listed, and cut short when it is fetched.
fn truncated_at(objects: &mut Objects, key: &str) {
    let data = objects.0.get_mut(key).unwrap();
    data.truncate(data.len() * 3 / 4);
}

#[tokio::test]
async fn changes_that_an_incremental_export_names_are_told_as_such_and_no_others() {
    let table = Table::of(items(60));
    let of = captured(&table, 2, |_| {}).await;
    let mut later = table.clone();
    for at in [3, 4] {
        later.items[at].insert("amount".into(), Attribute::Null);
    }
    later.items.push(item(1000));
    later.items.push(item(1001));
    let gone: Vec<Item> = [10, 11].iter().map(|at| table.items[*at].clone()).collect();
    later.items.retain(|item| !gone.contains(item));
    let named = [later.items[3].clone(), item(1000), gone[0].clone()];
    let (from, to) = ("2026-01-31T01:00:00.000Z", "2026-01-31T03:00:00.000Z");
    let export = Objects::changes(&named, from, to).open().await.unwrap();
    let (from, to): (Timestamp, Timestamp) = (from.parse().unwrap(), to.parse().unwrap());
    let mut hasher = hasher(&key(), &KeySchema(vec!["pk".into(), "sk".into()]));
    let touched = Touched::load(&export, &mut hasher, Evidence::Between, from, to).await.unwrap();
    assert_eq!(touched.count(), 3);
    let monitor = Collected::default();
    let beside = Beside { touched: Some(&touched), ..Beside::default() };
    let result = compare_with(Arc::new(later.clone()), &of.manifest, &key(), &options(3), beside, &monitor).await.unwrap();
    let counts = result.items.unwrap();
    assert!(counts.adds_up());
    assert_eq!((counts.changed_between, counts.added_between, counts.deleted_between), (1, 1, 1));
    assert_eq!((counts.mismatch, counts.extra, counts.missing, counts.expected), (1, 1, 1, 60));
    let classes: Vec<Class> = places(&monitor.findings()).into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes.len(), 6, "{classes:?}");
    // A window that does not reach, and keys last written before the moment that matters.
    let failure = Touched::load(&export, &mut hasher, Evidence::Between, from.plus_secs(-1), to).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert_eq!(Touched::load(&export, &mut hasher, Evidence::SameSecond, from.plus_secs(2), to).await.unwrap().count(), 0);
    assert_eq!(Objects::changes(&named, AT, "2026-01-31T03:00:00Z").source().await.err().unwrap().kind, FailureKind::Invalid);
}
