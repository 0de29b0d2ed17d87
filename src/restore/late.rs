//! Services that are late: what they have accepted is described a little later ("eventual consistency", Amazon RDS API reference), and one "not
//! found" says little of what was accepted, or stood, a moment ago.

use std::path::Path;
use std::time::Duration;

use crate::model::failure::Failure;
use crate::restore::order::Clouds;
use crate::restore::records::{Target, TargetKind};
use crate::restore::targets::{self, Found};

/// How often, and how long apart, it is looked for: that it is not there is believed when it is said again and again.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Test hook: milliseconds between two looks. What a stand-in does not describe, it never will.
pub const BETWEEN: &str = "ATTESTORE_TEST_BETWEEN_LOOKS";

fn between_looks() -> Duration {
    std::env::var(BETWEEN).ok().and_then(|text| text.parse().ok()).map_or(BETWEEN_LOOKS, Duration::from_millis)
}

/// Whether a description of this kind may come a while after what it is of.
pub fn is_told_late(kind: TargetKind) -> bool {
    matches!(kind, TargetKind::DbInstance | TargetKind::Table)
}

/// Describes what should be there; nothing where it is not seen for a while.
pub async fn seen_at_last(clouds: &Clouds, work: &Path, target: &Target) -> Result<Option<Found>, Failure> {
    for _ in 0..LOOKS {
        if let Some(found) = targets::find(clouds, work, target).await? {
            return Ok(Some(found));
        }
        tokio::time::sleep(between_looks()).await;
    }
    targets::find(clouds, work, target).await
}
