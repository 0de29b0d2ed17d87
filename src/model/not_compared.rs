//! What a comparison may leave out as a whole, and why: the words, which stand in entries for ever and are compared as they are.

/// The one kind of which a comparison may say so.
pub const DEFINITIONS: &str = "definitions";

/// Rows are compared by what they mean.
pub const BY_MEANING: &str =
    "rows are compared by logical types: what is defined beside tables, and the tables' own types, keys and constraints, are not compared";

/// Two engines are compared exactly, each of which words definitions in its own way.
pub const OF_ANOTHER_ENGINE: &str = "the manifest is of another engine, which words definitions in its own way: they are not compared";
