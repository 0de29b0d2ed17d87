//! A DynamoDB table over the wire: what DescribeTable and Scan are asked, how pages follow each other, and how answers are classed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use attestore::aws::dynamodb::TableSource;
use attestore::aws::dynamodb_backup::Tables;
use attestore::aws::errors::kind_of_code;
use attestore::aws::session::{Session, SessionOptions};
use attestore::model::failure::{Failure, FailureKind};
use attestore::restore::drivers::dynamodb_backup::patiently;
use attestore::verify::items::item::{Attribute, KeySchema};
use attestore::verify::items::pace::Pacer;
use attestore::verify::items::page::{Next, Records};
use attestore::verify::items::source::{ItemSource, Part};
use futures_util::StreamExt;
use serde_json::{Value, json};

type Answer = Box<dyn Fn(&str, &Value, usize) -> (u16, Value) + Send + Sync>;

/// Operations and requests, in the order of their arrival.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Answers JSON 1.0 requests; keeps what it was asked. `answer(operation, request, how many came before)`.
fn serve(answer: Answer) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let (answer, keep) = (Arc::new(answer), asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, keep) = (answer.clone(), keep.clone());
            std::thread::spawn(move || while one(&stream, &answer, &keep).is_some() {});
        }
    });
    (endpoint, asked)
}

fn one(mut stream: &TcpStream, answer: &Answer, asked: &Mutex<Vec<(String, Value)>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(':') else { if line.trim().is_empty() { break } else { continue } };
        match name.to_lowercase().as_str() {
            "x-amz-target" => operation = value.trim().rsplit('.').next()?.to_owned(),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request: Value = serde_json::from_slice(&body).ok()?;
    let before = {
        let mut asked = asked.lock().unwrap();
        asked.push((operation.clone(), request.clone()));
        asked.iter().filter(|(name, _)| *name == operation).count() - 1
    };
    let (status, value) = answer(&operation, &request, before);
    let text = value.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n", text.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())).ok()
}

async fn session(endpoint: String) -> Session {
    let options = SessionOptions {
        region: Some("eu-west-2".into()),
        endpoint: Some(endpoint),
        static_credentials: Some(("id".into(), "secret".into())),
        ..SessionOptions::default()
    };
    Session::open(&options).await.unwrap()
}

fn part(segment: u32, total: u32) -> Part {
    Part { segment, total, after: None, projection: None, pacer: Arc::new(Pacer::new(None, total)) }
}

fn description() -> Value {
    // The sort key first, as no order is promised.
    json!({"Table": {"TableName": "audit-logs", "TableStatus": "ACTIVE", "KeySchema": [
        {"AttributeName": "at", "KeyType": "RANGE"}, {"AttributeName": "user", "KeyType": "HASH"}]}})
}

fn error(code: &str) -> Value {
    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "so it is"})
}

#[tokio::test]
async fn pages_follow_each_other_and_throttling_is_retried() {
    let (endpoint, asked) = serve(Box::new(|operation, request, before| match operation {
        "DescribeTable" => (200, description()),
        _ if before == 0 => (400, error("ProvisionedThroughputExceededException")),
        _ => match request.get("ExclusiveStartKey") {
            None => {
                let item = json!({"user": {"S": "a"}, "at": {"N": "1"}, "b": {"B": "AAE="}, "l": {"L": [{"NULL": true}, {"BOOL": false}]}});
                (200, json!({"Count": 1, "Items": [item], "LastEvaluatedKey": {"user": {"S": "a"}, "at": {"N": "1"}}}))
            }
            // A page may be empty and not be the last.
            Some(key) if key["at"]["N"] == "1" => (200, json!({"Items": [], "LastEvaluatedKey": {"user": {"S": "a"}, "at": {"N": "2"}}})),
            Some(_) => (200, json!({"Items": [{"user": {"S": "b"}, "at": {"N": "3"}}]})),
        },
    }));
    let source = TableSource::open(&session(endpoint).await, "audit-logs").await.unwrap();
    assert_eq!(source.key_schema().await.unwrap(), KeySchema(vec!["user".into(), "at".into()]));
    let pages: Vec<_> = source.scan(&part(1, 4)).map(Result::unwrap).collect().await;
    assert_eq!(pages.iter().map(|page| page.records.count()).collect::<Vec<_>>(), [1, 0, 1]);
    let expected = BTreeMap::from([
        ("user".to_owned(), Attribute::String("a".into())),
        ("at".to_owned(), Attribute::Number("1".into())),
        ("b".to_owned(), Attribute::Binary(vec![0, 1])),
        ("l".to_owned(), Attribute::List(vec![Attribute::Null, Attribute::Bool(false)])),
    ]);
    assert_eq!(pages[0].records, Records::Items(vec![expected]));
    assert!(matches!((&pages[0].next, &pages[2].next), (Next::After(_), Next::End)));
    // A scan goes on from a position that was kept as text; a limit and a projection are asked for as they are wanted.
    let Next::After(position) = pages[1].next.clone() else { panic!() };
    let pacer = Arc::new(Pacer::new(Some(8.0), 1));
    let part = Part { after: Some(position), projection: Some(vec!["at".into(), "user".into()]), pacer, ..part(1, 4) };
    assert_eq!(source.scan(&part).map(Result::unwrap).collect::<Vec<_>>().await.len(), 1);
    let last = asked.lock().unwrap().pop().unwrap().1;
    assert_eq!(
        (&last["ExclusiveStartKey"]["at"]["N"], &last["Limit"], &last["ProjectionExpression"]),
        (&json!("2"), &json!(8), &json!("#a0, #a1"))
    );
    assert_eq!(last["ExpressionAttributeNames"], json!({"#a0": "at", "#a1": "user"}));
    let asked = asked.lock().unwrap();
    let scans: Vec<&Value> = asked.iter().filter(|(name, _)| name == "Scan").map(|(_, request)| request).collect();
    assert_eq!(scans.len(), 4, "one of them again");
    assert!(scans.iter().all(|scan| scan["ConsistentRead"] == true && scan["Segment"] == 1 && scan["TotalSegments"] == 4));
}

#[tokio::test]
async fn answers_are_classed() {
    let (endpoint, _) = serve(Box::new(|operation, request, _| match (operation, request["TableName"].as_str()) {
        ("DescribeTable", Some("absent")) => (400, error("ResourceNotFoundException")),
        ("DescribeTable", Some("denied")) => (400, error("AccessDeniedException")),
        ("DescribeTable", Some("strange")) => (200, json!({"Table": {"TableName": "strange"}})),
        ("DescribeTable", _) => (200, description()),
        _ => (400, error("AccessDeniedException")),
    }));
    let session = session(endpoint).await;
    for (table, kind) in [("absent", FailureKind::Absent), ("denied", FailureKind::Denied), ("strange", FailureKind::Remote)] {
        let failure = TableSource::open(&session, table).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(table), "{failure}");
    }
    let source = TableSource::open(&session, "audit-logs").await.unwrap();
    let pages: Vec<_> = source.scan(&part(0, 1)).collect().await;
    assert_eq!(pages.len(), 1, "an error ends the segment");
    assert_eq!(pages[0].as_ref().unwrap_err().kind, FailureKind::Denied);
}

#[tokio::test]
async fn a_table_that_is_deleted_in_mid_scan_is_never_a_pass() {
    let (endpoint, _) = serve(Box::new(|operation, request, _| match operation {
        "DescribeTable" => (200, description()),
        _ if request.get("ExclusiveStartKey").is_some() => (400, error("ResourceNotFoundException")),
        _ => {
            let key = json!({"user": {"S": "a"}, "at": {"N": "1"}});
            (200, json!({"Items": [key], "LastEvaluatedKey": key, "ConsumedCapacity": {"TableName": "audit-logs", "CapacityUnits": 0.5}}))
        }
    }));
    let source: Arc<dyn ItemSource> = Arc::new(TableSource::open(&session(endpoint).await, "audit-logs").await.unwrap());
    let options = attestore::verify::items::scan::ScanOptions { segments: 1, ..Default::default() };
    let key = attestore::signing::hash_key::HashKey::from_bytes([7; 32]);
    let scanned = attestore::verify::items::scan::scan(&source, &options, &key, None, &attestore::monitor::Silent).await.unwrap();
    assert_eq!(scanned.cut_short.unwrap().kind, FailureKind::Absent, "and at once: an absent table does not come back by waiting");
    assert!((scanned.consumed_rcu - 0.5).abs() < 1e-9);
}

#[tokio::test]
async fn indexes_that_are_being_built_are_waited_for() {
    let index = |name: &str, status: &str, backfilling: bool| json!({"IndexName": name, "IndexStatus": status, "Backfilling": backfilling});
    let (endpoint, _) = serve(Box::new(move |operation, _, _| match operation {
        "DescribeTable" => (
            200,
            json!({"Table": {"TableName": "t", "TableArn": "arn:aws:dynamodb:eu-west-2:1:table/t", "TableStatus": "ACTIVE",
                "GlobalSecondaryIndexes": [index("done", "ACTIVE", false), index("new", "CREATING", false), index("filling", "ACTIVE", true)],
                "RestoreSummary": {"SourceTableArn": "arn:aws:dynamodb:eu-west-2:1:table/s", "RestoreDateTime": 1_769_824_800.0, "RestoreInProgress": true}}}),
        ),
        _ => (200, json!({"Tags": []})),
    }));
    let table = Tables::new(&session(endpoint).await).table("t").await.unwrap().unwrap();
    assert_eq!(table.indexes_waiting, ["new", "filling"]);
    assert_eq!((table.restore_in_progress, table.source_table_arn.as_deref()), (true, Some("arn:aws:dynamodb:eu-west-2:1:table/s")));
}

#[tokio::test]
async fn where_fifty_restores_are_under_way_the_next_waits_for_its_turn_and_nothing_else_does() {
    let ask = |failures: u32, code: &'static str| {
        let asked = Arc::new(Mutex::new(0));
        let seen = asked.clone();
        let answer = move || {
            *asked.lock().unwrap() += 1;
            let fails = *asked.lock().unwrap() <= failures;
            async move { if fails { Err(Failure::new(kind_of_code(code), code)) } else { Ok(()) } }
        };
        (answer, seen)
    };
    let (busy, asked) = ask(2, "LimitExceededException");
    patiently(busy).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), 3);
    let (denied, asked) = ask(2, "AccessDeniedException");
    assert_eq!(patiently(denied).await.unwrap_err().kind, FailureKind::Denied);
    assert_eq!(*asked.lock().unwrap(), 1);
}
