//! AWS Backup's own errors, and what every operation needs of its request.

use serde_json::Value;

use crate::sandbox::control::answer::Refused;

/// `ResourceNotFoundException`, which AWS Backup answers with HTTP 400.
pub fn absent(message: impl Into<String>) -> Refused {
    Refused::new("ResourceNotFoundException", message)
}

/// `InvalidParameterValueException`.
pub fn invalid(message: impl Into<String>) -> Refused {
    Refused::new("InvalidParameterValueException", message)
}

/// A string member that must be there.
pub fn needed<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    let missing = || Refused::new("MissingParameterValueException", format!("{name} is required."));
    input[name].as_str().filter(|value| !value.is_empty()).ok_or_else(missing)
}
