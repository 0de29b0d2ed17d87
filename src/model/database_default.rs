//! What manifests note of a PostgreSQL database as a whole under `database default`: the names that its texts' encoding and locale stand under.
//!
//! Source: PostgreSQL documentation, "pg_database". Provider, its locale and its rules stand there only where the provider is not the C library.

/// The encoding, as `pg_encoding_to_char` names it.
pub const ENCODING: &str = "encoding";
/// `datcollate`: how texts are sorted.
pub const COLLATION: &str = "collation";
/// `datctype`: what a letter is, and its other case.
pub const CLASSES: &str = "character classes";
/// `datlocprovider`: `icu` or `builtin`.
pub const PROVIDER: &str = "locale provider";
/// `datlocale` (before version 17 `daticulocale`).
pub const PROVIDERS_LOCALE: &str = "locale of the provider";
/// `daticurules`.
pub const RULES: &str = "ICU rules";
