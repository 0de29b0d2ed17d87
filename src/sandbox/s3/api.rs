//! The store behind s3s's trait: each operation is one call into the file that has it.

use s3s::S3;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::sandbox::identity;
use crate::sandbox::s3::store::S3Store;

/// S3 over `store`, with signatures checked.
pub fn service(store: S3Store) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Api { store });
    builder.set_auth(Keys);
    builder.build()
}

/// The one key pair of the sandbox.
struct Keys;

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> s3s::S3Result<SecretKey> {
        let secret = identity::secret_of(access_key);
        secret.map(SecretKey::from).ok_or_else(|| s3s::s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist."))
    }
}

/// The operations.
pub struct Api {
    /// What they act on.
    pub store: S3Store,
}

impl S3 for Api {}
