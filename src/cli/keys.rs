//! `--keys-from`: opening a list of keys; an inventory in its destination bucket is fetched first.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;

use crate::aws::s3::S3Source;
use crate::aws::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::{SourceUrl, View};
use crate::verify::objects::keys::inventory::Inventory;
use crate::verify::objects::keys::listed::ListedSource;
use crate::verify::objects::keys::text::Form;
use crate::verify::objects::source::ObjectSource;

/// The keys of `inner`, the bucket and prefix `place`, out of `list`.
pub async fn open(
    session: &Session,
    inner: Arc<dyn ObjectSource>,
    place: (&str, &str),
    list: &str,
    form: Option<Form>,
) -> Result<ListedSource, Failure> {
    let (path, fetched) = match list.strip_prefix("s3://") {
        Some(_) => {
            let (path, dir) = fetch(session, list).await?;
            (path, Some(dir))
        }
        None => (PathBuf::from(list), None),
    };
    Ok(ListedSource::open(inner, place.0, place.1, &path, form)?.holding(fetched))
}

/// Fetches an inventory with its files into a temporary directory.
async fn fetch(session: &Session, list: &str) -> Result<(PathBuf, tempfile::TempDir), Failure> {
    let url: SourceUrl = list.parse()?;
    let SourceUrl::S3 { bucket, prefix: key } = &url else { return Err(Failure::invalid(format!("{list} is no object in a bucket"))) };
    if !key.ends_with("/manifest.json") {
        return Err(Failure::invalid(format!("{list}: expected the manifest.json of an S3 Inventory"))
            .hint("fetch other lists yourself, and name the file"));
    }
    let source = S3Source::open(session, bucket, "", Some(View::Latest)).await?;
    let dir = tempfile::tempdir().map_err(|error| Failure::io("cannot create a temporary directory", error))?;
    let path = download(&source, key, dir.path()).await?;
    download(&source, &key.replace("/manifest.json", "/manifest.checksum"), dir.path()).await?;
    for file in Inventory::open(&path)?.files {
        download(&source, &file.key, dir.path()).await?;
    }
    Ok((path, dir))
}

/// One object, under its last name: that is where an inventory's files are looked for at last.
async fn download(source: &S3Source, key: &str, dir: &Path) -> Result<PathBuf, Failure> {
    let what = format!("{}/{}", source.url(), key.escape_debug());
    let name = key.rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."));
    let name = name.ok_or_else(|| Failure::invalid(format!("{what} has no name that a file could have")))?;
    let entry = source.find(key).await?.ok_or_else(|| Failure::new(FailureKind::Absent, format!("{what} is not there")))?;
    let path = dir.join(name);
    let cannot = |error| Failure::io(format!("cannot write {}", path.display()), error);
    let mut file = std::fs::File::create(&path).map_err(cannot)?;
    let mut body = source.read(&entry, 0).await?;
    while let Some(bytes) = body.stream.next().await {
        file.write_all(&bytes?).map_err(cannot)?;
    }
    Ok(path)
}
