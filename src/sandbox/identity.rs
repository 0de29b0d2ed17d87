//! Who the stand-in AWS is: one account, one Region, one key pair.
//!
//! The secret is a constant on purpose: the server listens on loopback only and holds nothing but what was put there for a test, and a
//! constant lets a second process reach a running sandbox with what `sandbox serve` printed.

/// The account that owns everything in the sandbox.
pub const ACCOUNT_ID: &str = "111122223333";
/// The Region of the sandbox.
pub const REGION: &str = "eu-west-2";
/// The access key id that the sandbox accepts.
pub const ACCESS_KEY_ID: &str = "ATTESTORESANDBOX";
/// The secret that belongs to [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "sandbox-only-not-a-secret-of-anything-real";

/// The secret of an access key, where the sandbox knows it.
pub fn secret_of(access_key: &str) -> Option<&'static str> {
    (access_key == ACCESS_KEY_ID).then_some(SECRET_ACCESS_KEY)
}
