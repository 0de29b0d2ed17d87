//! The rows of an inventory's files, in CSV or Parquet, whatever columns were chosen for it.
//!
//! CSV spells keys URL-encoded, Parquet spells them as they are (S3 user guide, "Amazon S3 Inventory list").

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::keys::csv::Records;
use crate::verify::objects::keys::inventory::{Format, Inventory};
use crate::verify::objects::source::EntryKind;

/// One listed version, and whether it was the latest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What the inventory says of it.
    pub row: ObjectRow,
    /// True where it was the newest of its key.
    pub is_latest: bool,
}

/// Gives each row of one file to `put`, in the order of the file.
pub fn read(inventory: &Inventory, path: &Path, put: &mut dyn FnMut(Listed) -> Result<(), Failure>) -> Result<(), Failure> {
    let file = File::open(path).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))?;
    let about = |said: String| Failure::new(FailureKind::BadEvidence, format!("the inventory's file {}: {said}", path.display()));
    match inventory.format {
        Format::Csv => {
            let mut records = Records::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))));
            let columns: Vec<String> = inventory.columns.iter().map(|name| plain(name)).collect();
            while let Some(record) = records.next_record().map_err(about)? {
                let mut cells = Cells::default();
                for (name, value) in columns.iter().zip(&record) {
                    cells.take(name, Some(value.as_str()).filter(|value| !value.is_empty()));
                }
                cells.key = cells.key.take().map(|key| decoded(&key)).transpose().map_err(about)?;
                put(cells.listed().map_err(about)?)?;
            }
            Ok(())
        }
        Format::Parquet => {
            let reader = SerializedFileReader::new(file).map_err(|error| about(error.to_string()))?;
            let rows = reader.get_row_iter(None).map_err(|error| about(error.to_string()))?;
            for row in rows {
                let row = row.map_err(|error| about(error.to_string()))?;
                let mut cells = Cells::default();
                for (name, field) in row.get_column_iter() {
                    let text = match field {
                        Field::Null => None,
                        Field::Str(text) => Some(text.clone()),
                        Field::Bytes(bytes) => {
                            Some(String::from_utf8(bytes.data().to_vec()).map_err(|_| about(format!("{name} is not UTF-8")))?)
                        }
                        Field::TimestampMillis(millis) => Some(Timestamp(millis.saturating_mul(1000)).to_string()),
                        Field::TimestampMicros(micros) => Some(Timestamp(*micros).to_string()),
                        other => Some(other.to_string()),
                    };
                    cells.take(&plain(name), text.as_deref());
                }
                put(cells.listed().map_err(about)?)?;
            }
            Ok(())
        }
    }
}

/// `VersionId` and `version_id` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

fn decoded(key: &str) -> Result<String, String> {
    let spaced = key.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded.map(|key| key.into_owned()).map_err(|_| format!("the key {} is not URL-encoded UTF-8", key.escape_default()))
}

/// The columns that are known.
#[derive(Default)]
struct Cells {
    key: Option<String>,
    version_id: Option<String>,
    is_latest: Option<String>,
    is_delete_marker: Option<String>,
    size: Option<String>,
    modified: Option<String>,
    evidence: Evidence,
    lock_until: Option<String>,
}

impl Cells {
    fn take(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match name {
            "key" => self.key = value,
            "versionid" => self.version_id = value,
            "islatest" => self.is_latest = value,
            "isdeletemarker" => self.is_delete_marker = value,
            "size" => self.size = value,
            "lastmodifieddate" => self.modified = value,
            // Listings have the quotes, inventories have not.
            "etag" => self.evidence.etag = value.map(|etag| format!("\"{}\"", etag.trim_matches('"'))),
            "storageclass" => self.evidence.storage_class = value,
            "replicationstatus" => self.evidence.replication = value,
            "objectlockmode" => self.evidence.lock_mode = value,
            "objectlockretainuntildate" => self.lock_until = value,
            "objectlocklegalholdstatus" => self.evidence.legal_hold = value.map(|status| status.eq_ignore_ascii_case("on")),
            _ => {}
        }
    }

    fn listed(self) -> Result<Listed, String> {
        let flag = |value: &Option<String>| value.as_deref().map(|text| text.eq_ignore_ascii_case("true"));
        let time = |value: Option<String>| value.map(|text| text.parse::<Timestamp>().map_err(|error| error.to_string())).transpose();
        let key = self.key.ok_or("a row without a key")?;
        let marker = flag(&self.is_delete_marker) == Some(true);
        let size = match self.size {
            Some(text) => text.parse().map_err(|_| format!("`{}`: the size {} is none", key.escape_default(), text.escape_default()))?,
            None if marker => 0,
            None => return Err(format!("`{}` has no size: choose the column Size for the inventory", key.escape_default())),
        };
        let is_latest = flag(&self.is_latest).unwrap_or(true);
        let evidence = Evidence { lock_until: time(self.lock_until)?, ..self.evidence };
        let row = ObjectRow {
            key,
            key_escaped: false,
            seq: 0,
            version_id: self.version_id,
            kind: if marker { EntryKind::DeleteMarker } else { EntryKind::Object },
            size,
            modified: time(self.modified)?,
            blake3: None,
            sha256: None,
            s3_checksum: None,
            evidence: (evidence != Evidence::default()).then(|| Box::new(evidence)),
            last_read: None,
        };
        Ok(Listed { row, is_latest })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn inventory(format: Format, columns: &str) -> Inventory {
        let columns = columns.split(", ").map(str::to_owned).collect();
        Inventory { bucket: "vault".into(), created_at: None, format, columns, has_versions: true, files: Vec::new() }
    }

    fn all(inventory: &Inventory, path: &Path) -> Result<Vec<Listed>, Failure> {
        let mut found = Vec::new();
        read(inventory, path, &mut |listed| {
            found.push(listed);
            Ok(())
        })?;
        Ok(found)
    }

    fn gz(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        file
    }

    const COLUMNS: &str =
        "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, ObjectLockLegalHoldStatus";

    #[test]
    fn csv_keys_are_decoded_and_columns_found_by_their_names() {
        let file = gz(concat!(
            "\"vault\",\"a+b%2Bc%0A%C3%A9\",\"v1\",\"false\",\"false\",\"7\",\"2026-01-31T02:00:00.000Z\",\"e1\",\"GLACIER\",\"ON\"\n",
            "\"vault\",\"a+b%2Bc%0A%C3%A9\",\"v2\",\"true\",\"true\",\"\",\"2026-02-01T02:00:00.000Z\",\"\",\"\",\"\"\n",
        ));
        let found = all(&inventory(Format::Csv, COLUMNS), file.path()).unwrap();
        let (object, marker) = (&found[0], &found[1]);
        assert_eq!((object.row.key.as_str(), object.row.size, object.is_latest), ("a b+c\né", 7, false));
        let evidence = object.row.evidence.as_deref().unwrap();
        assert_eq!(
            (evidence.etag.as_deref(), evidence.storage_class.as_deref(), evidence.legal_hold),
            (Some("\"e1\""), Some("GLACIER"), Some(true))
        );
        assert_eq!(object.row.modified, Some("2026-01-31T02:00:00Z".parse().unwrap()));
        assert_eq!((marker.row.kind, marker.is_latest, marker.row.version_id.as_deref()), (EntryKind::DeleteMarker, true, Some("v2")));
    }

    #[test]
    fn a_row_without_key_or_size_is_told() {
        let columns = "Bucket, Key, Size";
        for (text, part) in [("v,a,\n", "no size"), ("v,,1\n", "without a key"), ("v,a,x\n", "the size x"), ("v,%FF,1\n", "UTF-8")] {
            let failure = all(&inventory(Format::Csv, columns), gz(text).path()).unwrap_err();
            assert!(failure.message.contains(part), "{failure}");
        }
        let mut cut = std::fs::read(gz("v,a,1\nv,b,2\n").path()).unwrap();
        cut.truncate(cut.len() - 9);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), cut).unwrap();
        assert!(all(&inventory(Format::Csv, columns), file.path()).is_err());
    }

    /// As S3 writes them: Snappy, its own names, dates in milliseconds.
    #[test]
    fn parquet_is_read_as_s3_writes_it() {
        let schema = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional binary version_id (UTF8);
            optional boolean is_latest; optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
        let mut writer = SerializedFileWriter::new(file.reopen().unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = 0;
        while let Some(mut open) = group.next_column().unwrap() {
            match open.untyped() {
                ColumnWriter::ByteArrayColumnWriter(typed) => {
                    let text = [&["vault", "vault"], &["a b%", "é\n"], &["v1", "v2"]][column];
                    let values: Vec<ByteArray> = text.iter().map(|text| ByteArray::from(*text)).collect();
                    typed.write_batch(&values, Some(&[1, 1]).filter(|_| column == 2).map(|levels| &levels[..]), None).unwrap();
                }
                ColumnWriter::BoolColumnWriter(typed) => {
                    typed.write_batch(&[true, false], Some(&[1, 1]), None).unwrap();
                }
                ColumnWriter::Int64ColumnWriter(typed) => {
                    let values = if column == 4 { [5, 6] } else { [1_769_824_800_000, 1_769_824_801_000] };
                    typed.write_batch(&values, Some(&[1, 1]), None).unwrap();
                }
                _ => unreachable!("no such column in the schema"),
            }
            open.close().unwrap();
            column += 1;
        }
        group.close().unwrap();
        writer.close().unwrap();
        let found = all(&inventory(Format::Parquet, ""), file.path()).unwrap();
        let told: Vec<_> = found.iter().map(|one| (one.row.key.as_str(), one.row.size, one.is_latest)).collect();
        assert_eq!(told, [("a b%", 5, true), ("é\n", 6, false)]);
        assert_eq!(found[1].row.modified, Some("2026-01-31T02:00:01Z".parse().unwrap()));
        assert!(all(&inventory(Format::Parquet, ""), gz("no parquet").path()).is_err());
    }
}
