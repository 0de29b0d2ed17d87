//! What a comparison may leave out as a whole, and why: the words, which stand in entries for ever and are compared as they are.

/// All that is defined beside tables.
pub const DEFINITIONS: &str = "definitions";
/// Definitions that few readers are shown.
pub const GRANTS: &str = "grants";
/// Definitions that the manifest has not in full.
pub const HIDDEN_DEFINITIONS: &str = "hidden definitions";
/// Tables that the manifest does not speak of.
pub const OTHER_TABLES: &str = "other tables";

/// How far sequences and tables had come in giving numbers.
pub const POSITIONS: &str = "sequence positions";

/// SQL checks of a class.
pub const CHECKS: &str = "SQL checks";

/// A database was compared, and none of its tables.
pub const AS_FILES: &str = "not run: it is a database, and was compared as files";

/// Rows are compared by what they mean.
pub const BY_MEANING: &str =
    "rows are compared by logical types: what is defined beside tables, and the tables' own types, keys and constraints, are not compared";

/// Two engines are compared exactly, each of which words definitions in its own way.
pub const OF_ANOTHER_ENGINE: &str = "the manifest is of another engine, which words definitions in its own way: they are not compared";

/// The manifest holds what few readers are shown, and this one is not.
pub const NOT_SHOWN: &str = "the manifest holds grants of others, or options of user mappings, that this reader is not shown";

/// Of two databases at least one reader is not shown what few are.
pub const NOT_SHOWN_TO_ONE: &str =
    "grants of others, or options of user mappings, are not shown to a reader: which of them one side lacks is not seen";

/// The manifest lacks kinds that most readers are shown.
pub const NOT_SHOWN_THEN: &str = "the manifest's reader was not shown some kinds of definitions in full: what is lost of them is not seen";

/// The manifest speaks of some tables only.
pub const NOT_SPOKEN_OF: &str = "the manifest says nothing of tables without its watermark column, or that are not declared closed";

/// The copy is older than the manifest, and some of its numbers are behind.
pub const BEHIND: &str = "the restore is of a moment before the manifest's capture, and some are behind: whether they were lost, or came to it later, is not seen";

/// Kinds of definitions that few readers are shown, such as the grants of others.
pub const RARELY_SHOWN: [&str; 3] = ["grant", "grant on", "user mapping options"];

/// What is left out and why, as a reason.
pub fn said(kind: &str, why: &str) -> String {
    if kind == CHECKS { format!("{kind}: {why}") } else { format!("{kind}: not compared: {why}") }
}
