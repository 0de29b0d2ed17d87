//! A database into a manifest.

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::monitor::Monitor;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::verify::manifest::header::Header;
use crate::verify::manifest::request::CaptureRequest;
use crate::verify::sql::access::Access;

/// Reads every table of `url` and writes the manifest.
pub async fn capture(
    _url: &SourceUrl,
    _access: &Access,
    _request: &CaptureRequest,
    _hash_key: &HashKey,
    _signer: Option<(&str, &SigningKey)>,
    _monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    Err(Failure::invalid("the capture of databases is being built"))
}
