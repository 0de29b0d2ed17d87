//! The commented configuration that `attestore init` writes.

/// Every key with its explanation; what may be turned on stands behind a `#` without a space. `@ORIGIN@` is the log's origin.
const DEFAULT: &str = include_str!("default.toml");

/// The commented configuration for a log of this `origin`, which has no spaces, quotes or `+` (`signing::note::check_name`).
pub fn commented(origin: &str) -> String {
    DEFAULT.replace("@ORIGIN@", &origin.escape_default().to_string())
}

/// The same with every setting on: an example that a test holds to the schema.
pub fn uncommented(origin: &str) -> String {
    let setting = |line: &str| {
        line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[')).map(str::to_owned)
    };
    commented(origin).lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}
