//! SQL databases: canonical rows, table fingerprints, capture and comparison, and SQL checks. The only room that talks to user databases.
