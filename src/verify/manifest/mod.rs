//! Manifests: a signed header and sorted Parquet parts; written once, merged in constant memory.
