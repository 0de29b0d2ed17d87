//! Whether a database engine is installed, asked the same way by every test that starts servers of its own.

use attestore::engines::installed::{EngineKind, Installed};

/// True when the engine is installed; says so where it is not, and fails where it is required.
pub fn engine(kind: EngineKind) -> bool {
    if Installed::here().programs(kind).is_some() {
        return true;
    }
    let name = kind.name();
    let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|wanted| wanted.trim() == name), "{name} is required and not installed");
    eprintln!("SKIPPED: no {name} server is installed");
    false
}
