//! An export that `moto` writes: its data files are read as far as they are right, and the export is refused, since it has no manifests that could
//! say whether that is all.
//!
//! `moto_server` is looked for beside `ATTESTORE_PYTHON`, then on PATH; without it the test is skipped and says so, unless `ATTESTORE_REQUIRE` names
//! `moto`.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use attestore::aws::dynamodb_export;
use attestore::aws::session::{Session, SessionOptions};
use attestore::model::failure::FailureKind;
use attestore::verify::items::item::Attribute;
use attestore::verify::items::page::Record;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification, ScalarAttributeType,
};

struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn moto(port: u16) -> Option<Moto> {
    let beside = std::env::var_os("ATTESTORE_PYTHON").map(|python| PathBuf::from(python).with_file_name("moto_server"));
    let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| "moto_server".into());
    let mut command = Command::new(&program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Moto(child)),
        Err(_) => {
            let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|name| name.trim() == "moto"), "moto is required and {} is not there", program.display());
            eprintln!("SKIPPED: no moto_server (pip install 'moto[server]')");
            None
        }
    }
}

#[tokio::test]
async fn what_moto_exports_is_read_as_far_as_it_is_right_and_refused_where_it_is_not() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_moto) = moto(port) else { return };
    let options = SessionOptions {
        region: Some("us-east-1".into()),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        static_credentials: Some(("id".into(), "secret".into())),
        ..SessionOptions::default()
    };
    let session = Session::load(&options).await;
    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
    let dynamodb = aws_sdk_dynamodb::Client::new(session.config());
    for tries in 0.. {
        if s3.create_bucket().bucket("exports").send().await.is_ok() {
            break;
        }
        assert!(tries < 300, "moto_server does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build().unwrap();
    let made =
        dynamodb.create_table().table_name("audit").key_schema(key).attribute_definitions(id).billing_mode(BillingMode::PayPerRequest);
    let arn = made.send().await.unwrap().table_description.unwrap().table_arn.unwrap();
    for n in 0..5 {
        let put = dynamodb.put_item().table_name("audit").item("id", AttributeValue::S(format!("i{n}")));
        put.item("n", AttributeValue::N(format!("{n}.50"))).send().await.unwrap();
    }
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build().unwrap();
    dynamodb.update_continuous_backups().table_name("audit").point_in_time_recovery_specification(on).send().await.unwrap();
    dynamodb.export_table_to_point_in_time().table_arn(&arn).s3_bucket("exports").s3_prefix("p").send().await.unwrap();

    let objects = loop {
        let listed = s3.list_objects_v2().bucket("exports").prefix("p/AWSDynamoDB/").send().await.unwrap().contents.unwrap_or_default();
        if !listed.is_empty() {
            break listed;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let data = objects.iter().filter_map(|object| object.key()).find(|key| key.contains("/data/")).unwrap().to_owned();
    let folder = data.split("/data/").next().unwrap();
    let failure = dynamodb_export::open(&session, "exports", folder, "dynamodb-export:moto").await.err().unwrap();
    assert_eq!(failure.kind, FailureKind::Absent, "{failure}");
    assert!(failure.message.contains("manifest-summary.json"), "{failure}");

    let packed = s3.get_object().bucket("exports").key(&data).send().await.unwrap().body.collect().await.unwrap().into_bytes();
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
    let mut found: Vec<(Attribute, Attribute)> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| Record::Line(line).item().unwrap())
        .map(|mut item| (item.remove("id").unwrap(), item.remove("n").unwrap()))
        .collect();
    found.sort_by_key(|(id, _)| format!("{id:?}"));
    let expected = (0..5).map(|n| (Attribute::String(format!("i{n}")), Attribute::Number(format!("{n}.50"))));
    assert_eq!(found, expected.collect::<Vec<_>>());
}
