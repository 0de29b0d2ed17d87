//! Server-side encryption: which one a write asks for, and the key that an SSE-C read must bring. Nothing is encrypted: what counts is
//! what S3 says and refuses ("Protecting data with server-side encryption", S3 user guide).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::ServerSideEncryptionConfiguration;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::identity;
use crate::sandbox::s3::buckets::Bucket;
use crate::sandbox::s3::errors::invalid_argument;
use crate::sandbox::s3::ops::bucket_config::ENCRYPTION;
use crate::sandbox::s3::record::{Encryption, Version};

/// The mode of objects that are encrypted with a key of the customer's.
pub const CUSTOMER: &str = "SSE-C";

/// A customer's key as a request brings it: algorithm, key and the key's MD5, both in base64.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustomerKey<'a> {
    /// `AES256`.
    pub algorithm: Option<&'a str>,
    /// 32 bytes.
    pub key: Option<&'a str>,
    /// MD5 of the 32 bytes.
    pub md5: Option<&'a str>,
}

impl CustomerKey<'_> {
    /// The key's MD5, where a whole and right key was brought.
    fn checked(&self) -> S3Result<Option<String>> {
        let Some(algorithm) = self.algorithm else { return Ok(None) };
        if algorithm != "AES256" {
            return Err(invalid_argument("The encryption algorithm must be AES256"));
        }
        let key = self.key.and_then(|key| STANDARD.decode(key).ok()).filter(|key| key.len() == 32);
        let key = key.ok_or_else(|| invalid_argument("The secret key was invalid for the specified algorithm."))?;
        let mut md5 = Md5::new();
        md5.update(&key);
        let found = STANDARD.encode(md5.finalize());
        if self.md5 != Some(found.as_str()) {
            return Err(invalid_argument("The calculated MD5 hash of the key did not match the hash that was provided."));
        }
        Ok(Some(found))
    }
}

/// What a write asks for; nothing is the bucket's default.
pub fn asked(mode: Option<&str>, kms_key: Option<&str>, customer: CustomerKey<'_>) -> S3Result<Option<Encryption>> {
    if let Some(md5) = customer.checked()? {
        return Ok(Some(Encryption { mode: CUSTOMER.into(), key: Some(md5) }));
    }
    Ok(match mode {
        None => None,
        Some(mode @ ("aws:kms" | "aws:kms:dsse")) => Some(Encryption { mode: mode.into(), key: Some(kms_arn(kms_key)) }),
        Some(mode) => Some(Encryption { mode: mode.into(), key: None }),
    })
}

/// The bucket's default for what is written without an encryption of its own.
pub fn apply_default(bucket: &Bucket, encryption: &mut Option<Encryption>) {
    let stored = bucket.config.get(ENCRYPTION).cloned();
    let configuration: Option<ServerSideEncryptionConfiguration> = stored.and_then(|value| serde_json::from_value(value).ok());
    let rule = configuration.and_then(|configuration| configuration.rules.into_iter().next());
    let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default);
    if let (None, Some(default)) = (&encryption, default) {
        let mode = default.sse_algorithm.as_str().to_owned();
        let key = mode.starts_with("aws:kms").then(|| kms_arn(default.kms_master_key_id.as_deref()));
        *encryption = Some(Encryption { mode, key });
    }
}

fn kms_arn(key: Option<&str>) -> String {
    match key {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        other => format!("arn:aws:kms:{}:{}:key/{}", identity::REGION, identity::ACCOUNT_ID, other.unwrap_or("aws-s3")),
    }
}

/// Whether a request may read this version with the key that it brings.
pub fn may_read(version: &Version, customer: CustomerKey<'_>) -> S3Result<()> {
    let wanted = version.content.meta.encryption.as_ref().filter(|encryption| encryption.mode == CUSTOMER);
    match (wanted, customer.checked()?) {
        (None, None) => Ok(()),
        (None, Some(_)) => {
            Err(S3Error::with_message(S3ErrorCode::InvalidRequest, "The encryption parameters are not applicable to this object."))
        }
        (Some(_), None) => {
            let message = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.";
            Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message))
        }
        (Some(encryption), Some(md5)) if encryption.key.as_deref() != Some(md5.as_str()) => {
            Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}

/// Fills the five fields of an answer that tell the encryption.
macro_rules! tell_encryption {
    ($output:expr, $meta:expr) => {{
        let encryption = $meta.encryption.clone().unwrap_or_default();
        if encryption.mode == crate::sandbox::s3::ops::encryption::CUSTOMER {
            $output.sse_customer_algorithm = Some("AES256".into());
            $output.sse_customer_key_md5 = encryption.key;
            $output.server_side_encryption = None;
        } else {
            $output.server_side_encryption = Some(encryption.mode.into());
            $output.ssekms_key_id = encryption.key;
        }
    }};
}
pub(super) use tell_encryption;

/// The customer's key of an input.
macro_rules! customer_key {
    ($input:expr) => {
        crate::sandbox::s3::ops::encryption::CustomerKey {
            algorithm: $input.sse_customer_algorithm.as_deref(),
            key: $input.sse_customer_key.as_deref(),
            md5: $input.sse_customer_key_md5.as_deref(),
        }
    };
}
pub(super) use customer_key;
