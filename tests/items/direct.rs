//! Pages of Scan that are read without the SDK: what is taken from there, and what is left to the SDK or refused.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use attestore::aws::dynamodb::TableSource;
use attestore::aws::session::{Session, SessionOptions};
use attestore::model::failure::{Failure, FailureKind};
use attestore::monitor::Silent;
use attestore::verify::items::page::{Page, Records};
use attestore::verify::items::scan::{ScanOptions, scan};
use attestore::verify::items::source::{ItemSource, Part};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::table::key;

/// A Scan that arrived.
struct Asked {
    /// By the SDK, which numbers its attempts.
    by_sdk: bool,
    request: Value,
}

/// What it is answered with.
struct Reply {
    status: u16,
    crc32: Option<u32>,
    body: Vec<u8>,
    /// Only so many bytes of the body come.
    cut: Option<usize>,
}

impl Reply {
    fn of(status: u16, body: &Value) -> Self {
        Self { status, crc32: None, body: body.to_string().into_bytes(), cut: None }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::of(status, &json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "so it is"}))
    }

    fn checked(body: &Value) -> Self {
        let mut reply = Self::of(200, body);
        reply.crc32 = Some(u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &reply.body)).unwrap());
        reply
    }
}

type Answer = Arc<dyn Fn(&Asked, usize) -> Reply + Send + Sync>;

/// `answer(a Scan, how many came before)`.
fn serve(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (answer, asked): (Answer, _) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
    let keep = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, keep) = (answer.clone(), keep.clone());
            std::thread::spawn(move || while one(&stream, &answer, &keep).is_some() {});
        }
    });
    (endpoint, asked)
}

fn one(mut stream: &TcpStream, answer: &Answer, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((name, value)) => drop(headers.insert(name.to_lowercase(), value.trim().to_owned())),
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let reply = if headers.get("x-amz-target")?.ends_with(".DescribeTable") {
        Reply::of(200, &json!({"Table": {"TableName": "t", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}}))
    } else {
        assert!(headers.get("authorization")?.contains("/eu-west-2/dynamodb/aws4_request"));
        let mut asked = asked.lock().unwrap();
        let now = Asked { by_sdk: headers.contains_key("amz-sdk-request"), request: serde_json::from_slice(&body).ok()? };
        let reply = answer(&now, asked.len());
        asked.push(now);
        reply
    };
    let crc32 = reply.crc32.map(|crc32| format!("x-amz-crc32: {crc32}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/x-amz-json-1.0\r\n{crc32}content-length: {}\r\n\r\n",
        reply.status,
        reply.body.len()
    );
    let sent = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent)).ok()?;
    match reply.cut {
        None => Some(()),
        Some(_) => {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            None
        }
    }
}

async fn table(endpoint: String) -> TableSource {
    let options = SessionOptions {
        region: Some("eu-west-2".into()),
        endpoint: Some(endpoint),
        static_credentials: Some(("id".into(), "secret".into())),
        ..SessionOptions::default()
    };
    TableSource::open(&Session::open(&options).await.unwrap(), "t").await.unwrap()
}

async fn pages(table: &TableSource) -> Vec<Result<Page, Failure>> {
    let pacer = Arc::new(attestore::verify::items::pace::Pacer::new(None, 1));
    table.scan(&Part { segment: 0, total: 1, after: None, projection: None, pacer }).collect().await
}

/// The page that a request asks for, of `count` with two items each.
fn page_of(request: &Value, count: u32) -> Value {
    let at = request["ExclusiveStartKey"]["pk"]["S"].as_str().map_or(0, |key| key.parse::<u32>().unwrap() + 1);
    let item = |n: u32| json!({"pk": {"S": n.to_string()}, "n": {"N": "1.50"}, "more": {"M": {"l": {"L": [{"B": "AAE="}]}}}});
    let mut page = json!({"Items": [item(2 * at), item(2 * at + 1)], "Count": 2, "ScannedCount": 2,
        "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}});
    if at + 1 < count {
        page["LastEvaluatedKey"] = json!({"pk": {"S": at.to_string()}});
    }
    page
}

/// How many of the Scans that arrived were the SDK's, and how many were not.
fn by_sdk(asked: &Mutex<Vec<Asked>>) -> (usize, usize) {
    let asked = asked.lock().unwrap();
    let by_sdk = asked.iter().filter(|asked| asked.by_sdk).count();
    (by_sdk, asked.len() - by_sdk)
}

/// Scans to the end and holds that all items of `count` pages were read and paid for once.
async fn read_whole(table: TableSource, count: u32) {
    let source: Arc<dyn ItemSource> = Arc::new(table);
    let options = ScanOptions { segments: 1, ..ScanOptions::default() };
    let scanned = scan(&source, &options, &key(), None, &Silent).await.unwrap();
    assert!(scanned.cut_short.is_none() && scanned.unreadable.is_empty());
    assert_eq!(scanned.fingerprint.rows(), u64::from(2 * count));
    assert!((scanned.consumed_rcu - f64::from(count) * 0.5).abs() < 1e-9, "{}", scanned.consumed_rcu);
}

#[tokio::test]
async fn pages_come_without_the_sdk_and_say_what_the_sdk_would() {
    let (endpoint, asked) = serve(|asked, _| Reply::checked(&page_of(&asked.request, 3)));
    let table = table(endpoint).await;
    let direct: Vec<Page> = pages(&table).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(by_sdk(&asked), (0, 3));
    assert!(direct.iter().all(|page| matches!(page.records, Records::Objects(_)) && page.consumed_rcu == Some(0.5)));
    let (refusing, asked) =
        serve(|asked, _| if asked.by_sdk { Reply::of(200, &page_of(&asked.request, 3)) } else { Reply::error(403, "X") });
    let by_the_sdk: Vec<Page> = pages(&self::table(refusing).await).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(by_sdk(&asked), (3, 3));
    for (one, other) in direct.iter().zip(&by_the_sdk) {
        assert_eq!((one.records.items(), &one.next), (other.records.items(), &other.next));
    }
}

#[tokio::test]
async fn what_is_throttled_or_fails_there_is_asked_again_of_the_sdk_and_each_item_read_once() {
    for (status, code) in [(400, "ProvisionedThroughputExceededException"), (500, "InternalServerError"), (503, "ServiceUnavailable")] {
        let (endpoint, asked) = serve(move |asked, before| match before {
            1 => Reply::error(status, code),
            _ => Reply::checked(&page_of(&asked.request, 3)),
        });
        read_whole(table(endpoint).await, 3).await;
        assert_eq!(by_sdk(&asked), (1, 3), "{code}: the page after it comes without the SDK again");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let (endpoint, asked) = serve(|asked, before| {
        let reply = Reply::checked(&page_of(&asked.request, 2));
        let cut = (before == 0).then_some(reply.body.len() / 2);
        Reply { cut, ..reply }
    });
    read_whole(table(endpoint).await, 2).await;
    assert_eq!(by_sdk(&asked), (1, 2));
}

#[tokio::test]
async fn a_body_without_its_crc32_is_never_taken() {
    // Once: asked for again. The damage makes other JSON of it, which nothing else would notice.
    let damaged = |request: &Value| {
        let mut reply = Reply::checked(&page_of(request, 2));
        let at = reply.body.windows(4).position(|bytes| bytes == b"1.50").unwrap();
        reply.body[at] = b'7';
        reply
    };
    let (endpoint, asked) =
        serve(move |asked, before| if before == 0 { damaged(&asked.request) } else { Reply::checked(&page_of(&asked.request, 2)) });
    read_whole(table(endpoint).await, 2).await;
    assert_eq!(by_sdk(&asked), (0, 3));
    // Always: a failure of the network, and the SDK, which does not look at it, is not asked.
    let (endpoint, asked) = serve(move |asked, _| damaged(&asked.request));
    let failure = pages(&table(endpoint).await).await.pop().unwrap().unwrap_err();
    assert_eq!((failure.kind, by_sdk(&asked)), (FailureKind::Network, (0, 3)), "{failure}");
    assert!(failure.message.contains("dynamodb:Scan t segment 0 of 1") && failure.message.contains("checksum"), "{failure}");
}

#[tokio::test]
async fn a_page_with_fewer_items_than_it_counts_is_not_taken_from_anyone() {
    let (endpoint, _) = serve(|asked, _| {
        let mut page = page_of(&asked.request, 1);
        page["Count"] = json!(3);
        Reply::checked(&page)
    });
    let failure = pages(&table(endpoint).await).await.pop().unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network, "{failure}");
    assert!(failure.message.contains("3 items") && failure.message.contains("found 2"), "{failure}");
}

#[tokio::test]
async fn expired_credentials_and_a_wrong_clock_are_the_sdks_to_mend() {
    for code in ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"] {
        // Refused whenever the SDK does not ask: after three in a row it alone is asked.
        let (endpoint, asked) =
            serve(move |asked, _| if asked.by_sdk { Reply::checked(&page_of(&asked.request, 6)) } else { Reply::error(400, code) });
        read_whole(table(endpoint).await, 6).await;
        assert_eq!(by_sdk(&asked), (6, 3), "{code}");
        // Refused once: what comes next does not need the SDK.
        let (endpoint, asked) =
            serve(move |asked, before| if before == 2 { Reply::error(400, code) } else { Reply::checked(&page_of(&asked.request, 6)) });
        read_whole(table(endpoint).await, 6).await;
        assert_eq!(by_sdk(&asked), (1, 6), "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_has_the_class_that_the_sdk_gives_it() {
    for (reply, kind) in [
        (|| Reply { body: b"<html>".to_vec(), ..Reply::of(200, &Value::Null) }, FailureKind::Remote),
        (|| Reply::error(400, "AccessDeniedException"), FailureKind::Denied),
        (|| Reply::error(400, "ResourceNotFoundException"), FailureKind::Absent),
        (|| Reply::error(400, "ValidationException"), FailureKind::Invalid),
    ] as [(fn() -> Reply, FailureKind); 4]
    {
        let (endpoint, asked) = serve(move |_, _| reply());
        let found = pages(&table(endpoint).await).await;
        assert_eq!((found.len(), found[0].as_ref().unwrap_err().kind), (1, kind));
        assert_eq!(by_sdk(&asked), (1, 1), "{kind:?}: asked once more, by the SDK");
    }
}

#[tokio::test]
async fn an_item_that_is_none_is_unreadable_by_itself() {
    let (endpoint, _) = serve(|asked, _| {
        let mut page = page_of(&asked.request, 2);
        page["Items"][1]["n"] = json!({"N": "1.5.0"});
        Reply::checked(&page)
    });
    let source: Arc<dyn ItemSource> = Arc::new(table(endpoint).await);
    let scanned = scan(&source, &ScanOptions { segments: 1, ..ScanOptions::default() }, &key(), None, &Silent).await.unwrap();
    assert_eq!((scanned.fingerprint.rows(), scanned.unreadable.len()), (2, 2));
    assert_eq!(scanned.unreadable[0].name, "pk=1");
}
