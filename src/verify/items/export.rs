//! What DynamoDB writes beside an export's data: the summary, the list of data files, and their checksums (DynamoDB developer guide,
//! "DynamoDB table export output format"). Pure: bytes in, what they say out.
//!
//! | File below `PREFIX/AWSDynamoDB/EXPORT-ID/` | Holds |
//! |---|---|
//! | `manifest-summary.json` | table, moment or window, format, item count, where the list is |
//! | `manifest-files.json` | one JSON object a line: item count, MD5 and key of a data file |
//! | `manifest-*.checksum` (or `.md5`) | MD5 of each, in hex or base64 |
//! | `data/*.json.gz`, `*.ion.gz` | items, one a line; of an incremental export in a folder that several exports share |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::Deserialize;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// The name of the summary.
pub const SUMMARY: &str = "manifest-summary.json";
/// The name of the list.
pub const FILES: &str = "manifest-files.json";
/// The folder that every export lies in.
pub const FOLDER: &str = "AWSDynamoDB/";

/// What an export shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// The whole table at a moment.
    Full {
        /// The moment.
        at: Timestamp,
    },
    /// The last image of every key written in a window, its start included, its end not.
    Incremental {
        /// Start.
        from: Timestamp,
        /// End.
        to: Timestamp,
    },
}

/// What the lines of data files are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `DYNAMODB_JSON`
    DynamodbJson,
    /// `ION`: Amazon Ion text.
    Ion,
}

/// `manifest-summary.json`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The export's ARN.
    pub export_arn: String,
    /// The table's ARN.
    pub table_arn: String,
    /// The table's id.
    pub table_id: Option<String>,
    /// What it shows.
    pub extent: Extent,
    /// What its data files are written in.
    pub format: Format,
    /// Items, or keys of an incremental export.
    pub items: u64,
    /// Where the list of files is.
    pub files_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    export_arn: Option<String>,
    table_arn: Option<String>,
    table_id: Option<String>,
    export_time: Option<Timestamp>,
    export_from_time: Option<Timestamp>,
    export_to_time: Option<Timestamp>,
    export_type: Option<String>,
    manifest_files_s3_key: Option<String>,
    item_count: Option<u64>,
    output_format: Option<String>,
    filter_specification: Option<serde_json::Value>,
}

/// One line of `manifest-files.json`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFile {
    /// Items in it.
    pub item_count: u64,
    /// MD5 of the object, in base64.
    pub md5_checksum: String,
    /// Its key.
    #[serde(rename = "dataFileS3Key")]
    pub key: String,
}

fn bad(what: &str, said: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("{what}: {said}"))
}

impl Summary {
    /// Reads `manifest-summary.json`; `what` names it in messages.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let said: Said =
            serde_json::from_slice(bytes).map_err(|error| bad(what, format!("expected the summary of a DynamoDB export: {error}")))?;
        let missing = |name: &str| bad(what, format!("expected `{name}`, found none"));
        let format = match said.output_format.as_deref() {
            Some("DYNAMODB_JSON") => Format::DynamodbJson,
            Some("ION") => Format::Ion,
            Some(other) => {
                return Err(Failure::invalid(format!(
                    "{what}: expected an export in DYNAMODB_JSON or ION, found {}",
                    other.escape_debug()
                ))
                .hint("export the table again with `--export-format DYNAMODB_JSON`"));
            }
            None => return Err(missing("outputFormat")),
        };
        if said.filter_specification.as_ref().is_some_and(|filter| !filter.is_null()) {
            return Err(Failure::invalid(format!("{what}: the export has a filter, and so is not the whole of anything"))
                .hint("export the table again without a FilterSpecification"));
        }
        let incremental = match said.export_type.as_deref() {
            Some("INCREMENTAL_EXPORT") => true,
            Some("FULL_EXPORT") => false,
            // The older summaries have no type, since there was only one.
            None => said.export_from_time.is_some(),
            Some(other) => return Err(bad(what, format!("`exportType` {} is none of DynamoDB's", other.escape_debug()))),
        };
        let extent = if incremental {
            let from = said.export_from_time.ok_or_else(|| missing("exportFromTime"))?;
            let to = said.export_to_time.ok_or_else(|| missing("exportToTime"))?;
            if from >= to {
                return Err(bad(what, format!("the window {from} to {to} is none")));
            }
            Extent::Incremental { from, to }
        } else {
            Extent::Full { at: said.export_time.ok_or_else(|| missing("exportTime"))? }
        };
        Ok(Self {
            export_arn: said.export_arn.ok_or_else(|| missing("exportArn"))?,
            table_arn: said.table_arn.ok_or_else(|| missing("tableArn"))?,
            table_id: said.table_id,
            extent,
            format,
            items: said.item_count.ok_or_else(|| missing("itemCount"))?,
            files_key: said.manifest_files_s3_key.ok_or_else(|| missing("manifestFilesS3Key"))?,
        })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        self.table_arn.rsplit_once("table/").map_or(self.table_arn.as_str(), |(_, name)| name)
    }
}

/// Reads `manifest-files.json` and holds it against the summary's count.
pub fn files(what: &str, bytes: &[u8], summary: &Summary) -> Result<Vec<DataFile>, Failure> {
    let mut files: Vec<DataFile> = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let file: DataFile = serde_json::from_slice(line).map_err(|error| bad(what, format!("line {}: {error}", at + 1)))?;
        if files.iter().any(|known| known.key == file.key) {
            return Err(bad(what, format!("{} is listed twice", file.key.escape_debug())));
        }
        files.push(file);
    }
    let items = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.item_count));
    if items != summary.items {
        return Err(bad(
            what,
            format!("expected {} items over all files, as the summary says, found {items} in {} files", summary.items, files.len()),
        ));
    }
    Ok(files)
}

/// Holds `bytes` against the text of a checksum file: MD5 in hex or base64.
pub fn check(what: &str, bytes: &[u8], checksum: &[u8]) -> Result<(), Failure> {
    let said = String::from_utf8_lossy(checksum).trim().trim_matches('"').to_owned();
    let found: [u8; 16] = Md5::digest(bytes).into();
    if md5_of(&said) == Some(found) {
        return Ok(());
    }
    Err(bad(what, format!("expected the MD5 {}, found {}", said.escape_debug(), hex::encode(found))))
}

/// An MD5 in hex or base64.
pub fn md5_of(text: &str) -> Option<[u8; 16]> {
    let bytes = if text.len() == 32 { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
    bytes?.try_into().ok()
}

/// Where a key of the manifest lies when the export is found below `prefix` (`…/AWSDynamoDB/ID`): exports are copied, and AWS's own keys
/// are written with and without their prefix. Only keys below `AWSDynamoDB/` are any.
pub fn resolve(prefix: &str, key: &str) -> Option<String> {
    let tail = &key[key.rfind(FOLDER)?..];
    let base = prefix.rfind(FOLDER).map_or("", |at| &prefix[..at]);
    let clean = !tail.split('/').any(|part| part == "..");
    clean.then(|| format!("{base}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{"version":"2020-06-30","exportArn":"arn:aws:dynamodb:eu-west-2:1:table/audit-logs/export/0169-ab","startTime":"2026-01-31T02:05:00.000Z",
        "endTime":"2026-01-31T02:09:00.000Z","tableArn":"arn:aws:dynamodb:eu-west-2:1:table/audit-logs","tableId":"t","exportTime":"2026-01-31T02:00:00.000Z","s3Bucket":"b",
        "s3Prefix":"p","s3SseAlgorithm":"AES256","s3SseKmsKeyId":null,"manifestFilesS3Key":"p/AWSDynamoDB/0169-ab/manifest-files.json","billedSizeBytes":0,"itemCount":3,"outputFormat":"DYNAMODB_JSON"}"#;

    #[test]
    fn a_summary_says_what_it_shows() {
        let summary = Summary::parse("s", FULL.as_bytes()).unwrap();
        assert_eq!((summary.table(), summary.items), ("audit-logs", 3));
        assert_eq!(summary.extent, Extent::Full { at: "2026-01-31T02:00:00Z".parse().unwrap() });
        let window = FULL.replace(
            "\"exportTime\":\"2026-01-31T02:00:00.000Z\"",
            "\"exportFromTime\":\"2026-01-31T01:00:00Z\",\"exportToTime\":\"2026-01-31T02:00:00Z\",\"exportType\":\"INCREMENTAL_EXPORT\"",
        );
        assert!(matches!(Summary::parse("s", window.as_bytes()).unwrap().extent, Extent::Incremental { from, to } if from < to));
    }

    #[test]
    fn summaries_that_prove_nothing_are_refused() {
        for (from, to, kind) in [
            ("DYNAMODB_JSON", "PARQUET", FailureKind::Invalid),
            ("\"itemCount\":3,", "", FailureKind::BadEvidence),
            ("\"itemCount\":3,", "\"itemCount\":3,\"filterSpecification\":{\"x\":1},", FailureKind::Invalid),
            ("\"exportTime\"", "\"exportTimes\"", FailureKind::BadEvidence),
            ("{\"version\"", "[\"version\"", FailureKind::BadEvidence),
        ] {
            let failure = Summary::parse("s", FULL.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(failure.kind, kind, "{failure}");
        }
    }

    #[test]
    fn lists_of_files_add_up_or_are_refused() {
        let summary = Summary::parse("s", FULL.as_bytes()).unwrap();
        let line = |n: u64, key: &str| {
            format!("{{\"itemCount\":{n},\"md5Checksum\":\"sQMSpEILNgoQmarvDFonGQ==\",\"etag\":\"e-1\",\"dataFileS3Key\":\"{key}\"}}\n")
        };
        assert_eq!(files("f", (line(1, "a") + &line(2, "b")).as_bytes(), &summary).unwrap().len(), 2);
        for wrong in [line(1, "a"), line(1, "a") + &line(2, "a"), String::new(), "{".into()] {
            assert_eq!(files("f", wrong.as_bytes(), &summary).unwrap_err().kind, FailureKind::BadEvidence, "{wrong}");
        }
    }

    #[test]
    fn checksums_hold_in_hex_and_in_base64() {
        for good in ["900150983cd24fb0d6963f7d28e17f72", "kAFQmDzST7DWlj99KOF/cg==\n", "\"900150983CD24FB0D6963F7D28E17F72\""] {
            check("m", b"abc", good.as_bytes()).unwrap();
        }
        for wrong in ["", "900150983cd24fb0d6963f7d28e17f73", "zz"] {
            assert_eq!(check("m", b"abc", wrong.as_bytes()).unwrap_err().kind, FailureKind::BadEvidence);
        }
    }

    #[test]
    fn keys_are_found_where_the_export_is() {
        let data = "AWSDynamoDB/0169-ab/data/x.json.gz";
        assert_eq!(resolve("p/q/AWSDynamoDB/0169-ab", &format!("p/q/{data}")).as_deref(), Some("p/q/AWSDynamoDB/0169-ab/data/x.json.gz"));
        assert_eq!(resolve("copy/AWSDynamoDB/0169-ab", data).as_deref(), Some("copy/AWSDynamoDB/0169-ab/data/x.json.gz"));
        assert_eq!(resolve("AWSDynamoDB/0169-ab", "elsewhere/secret"), None);
        assert_eq!(resolve("AWSDynamoDB/0169-ab", "AWSDynamoDB/../x"), None);
    }
}
