//! One database compared with its manifest or with another, programs that dump and load, and manifests that know less.

use std::path::Path;
use std::process::Command;

use crate::servers;
use crate::support::{access, key};
use attestore::model::finding::Finding;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::{Collected, Silent};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::compare::dual::{self, Side};
use futures_util::StreamExt as _;

pub async fn against_manifest(url: &SourceUrl, manifest: &Path) -> (Outcome, Vec<Finding>) {
    let monitor = Collected::default();
    let result = compare(url, &access(), &Manifest::open(manifest).unwrap(), &key(), &monitor).await.unwrap();
    (result.outcome(0).0, monitor.findings())
}

pub async fn against_database(checked: &SourceUrl, baseline: &SourceUrl) -> (Outcome, Vec<Finding>) {
    let (monitor, access) = (Collected::default(), access());
    let side = |url| Side { url, access: &access };
    let result = dual::against(side(checked), side(baseline), &key(), None, &monitor).await.unwrap();
    (result.outcome(0).0, monitor.findings())
}

/// Says where findings are not what was expected, by the beginnings of their places, or do not fail the comparison.
pub fn unlike(found: &(Outcome, Vec<Finding>), expected: &[&str], of: &str) -> Option<String> {
    let mut places: Vec<&str> = found.1.iter().map(|finding| finding.place.parts().1).collect();
    places.sort_unstable();
    let all = places.len() == expected.len() && expected.iter().all(|start| places.iter().any(|place| place.starts_with(start)));
    let fits = if expected.is_empty() { found.0.is_pass() } else { found.0 == Outcome::Fail };
    (!all || !fits).then(|| format!("{of}: {:?} {places:?}", found.0))
}

/// What is wrong with any of the cases. They wait for the server most of the time.
pub async fn beside_each_other(cases: impl Iterator<Item = impl Future<Output = Vec<String>>>) -> Vec<String> {
    futures_util::stream::iter(cases).buffered(3).collect::<Vec<_>>().await.concat()
}

/// A program that dumps or loads, as the server's own user.
pub fn tool(server: &servers::Server, name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PGPASSWORD", servers::PASSWORD).env("MYSQL_PWD", servers::PASSWORD);
    let at = [("-h", "127.0.0.1".to_owned()), (if name.starts_with("pg") { "-U" } else { "-u" }, servers::USER.to_owned())];
    command.args(at.iter().flat_map(|(option, value)| [*option, value.as_str()]));
    command.arg(if name.starts_with("pg") { "-p" } else { "-P" }).arg(server.port().to_string());
    command
}

pub fn done(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The definitions of a manifest without these kinds, as one would be that was made before they were known.
pub fn forget(manifest: &Path, kinds: &[&str]) {
    let path = manifest.join("manifest.json");
    let mut header: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let definitions = header["position"]["definitions"].as_object_mut().unwrap();
    kinds.iter().for_each(|kind| drop(definitions.remove(*kind).unwrap()));
    std::fs::write(&path, serde_json::to_vec(&header).unwrap()).unwrap();
}

pub async fn left_out(url: &SourceUrl, manifest: &Path) -> (Outcome, String) {
    let result = compare(url, &access(), &Manifest::open(manifest).unwrap(), &key(), &Silent).await.unwrap();
    (result.outcome(0).0, result.left_out.join("; "))
}
