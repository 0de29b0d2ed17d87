//! Why a recovery point, or a resource, is left out of a population: the words, which stand in entries for ever and are compared as they
//! are.
//!
//! Not here: which points are left out (the catalogue of an estate), and whether the words are true (`log verify`). Those of a point's state
//! lie beside the point (`recovery_point`).

use crate::model::failure::FailureKind;
use crate::model::ids::PointId;
use crate::model::resource::{PointSource, ResourceKind};

/// A resource without `[[resource.points]]`.
pub const NO_SOURCE: &str = "no source of recovery points is configured";
/// A second of a bucket's continuous backup that would be the latest one.
pub const NO_LATEST_OF_S3: &str = "AWS states no latest restorable time for S3: name the seconds in `at`";
/// A continuous backup of a bucket of which no second is asked for.
pub const NO_SECOND: &str = "continuous, and neither `at` nor a registered manifest names a second of it";
/// The end of a table's window.
pub const LAST_SECOND: &str = "the last second of a window in which manifests name others";
/// A file beside AWS.
pub const NOT_UTF8: &str = "its name is not UTF-8";
/// A link beside AWS.
pub const LEADS_NOWHERE: &str = "a link that leads nowhere";
/// A file beside AWS; an error follows.
pub const NOT_LOOKED_AT: &str = "it cannot be looked at: ";

/// A file beside AWS of a name that another directory of its resource has too.
pub const NAMED_TWICE: &str =
    "it cannot be looked at: another directory of the resource has a file of its name; give each directory a resource of its own";

/// How such a file is named, which lies at `path`; `first` is the point that has the name.
pub fn beside(first: &PointId, path: &str) -> String {
    format!("{first} at {path}")
}

/// A resource of which points were listed, and none of them may be drawn.
pub const NONE_LEFT: &str = "none of its recovery points can be restored";

/// A resource whose points are all listed for a resource before it as well.
pub const DRILLED_ELSEWHERE: &str = "its recovery points are drilled as those of another resource";

/// How the exclusion of a whole resource is named.
pub fn whole(resource: &str) -> String {
    format!("resource:{resource}")
}

/// Nobody restores the kind from there.
pub fn driver_absent(kind: ResourceKind, from: PointSource) -> String {
    format!("untested: driver_absent: no driver restores {kind} from {from}")
}

/// A source was listed and has no point of the resource; `place` is the source, and the vault or the directory where it has one.
pub fn none_in(place: &str) -> String {
    format!("no recovery point in {place}")
}

/// A source could not be listed; `place` as in [`none_in`].
pub fn unlisted(place: &str, kind: FailureKind) -> String {
    format!("could not be listed in {place}: {}", kind.as_str())
}

/// A continuous backup of which its service states no window.
pub const NO_WINDOW: &str = "continuous, and its service states no window of times for it";

/// The times that a continuous backup can be restored to could not be asked for.
pub fn window_unlisted(kind: FailureKind) -> String {
    format!("{WINDOW_UNLISTED}{}", kind.as_str())
}

const WINDOW_UNLISTED: &str = "continuous, and its window could not be listed: ";

/// Whether it is what a continuous backup without its window is left out for, by a failure that there is.
pub fn is_window_unlisted(reason: &str) -> bool {
    reason.strip_prefix(WINDOW_UNLISTED).is_some_and(is_failure)
}

/// The place that a resource is said to be without a point in.
pub fn place_without(reason: &str) -> Option<&str> {
    reason.strip_prefix("no recovery point in ")
}

/// The place that is said not to have been listed, where the failure is one that there is.
pub fn place_unlisted(reason: &str) -> Option<&str> {
    let (place, kind) = reason.strip_prefix("could not be listed in ")?.rsplit_once(": ")?;
    is_failure(kind).then_some(place)
}

fn is_failure(kind: &str) -> bool {
    serde_json::from_value::<FailureKind>(serde_json::Value::String(kind.to_owned())).is_ok()
}

/// Whether nobody looked at what is left out so: nothing is known of it, and nothing follows for it from what was drilled.
pub fn is_unseen(reason: &str) -> bool {
    place_unlisted(reason).is_some() || is_window_unlisted(reason) || reason == NO_WINDOW || reason.starts_with(NOT_LOOKED_AT)
}

/// Whether a resource that is left out so has nothing that could be drilled.
pub fn is_without_points(reason: &str) -> bool {
    [NO_SOURCE, NONE_LEFT].contains(&reason) || place_without(reason).is_some()
}

/// A point that its service says is of something else, or does not say what it is of.
pub fn of_another(service: &str, kind: &str, of: &str, expected: &str) -> String {
    match of {
        "" => format!("{service} does not say of which {kind} it is"),
        of => format!("{service} says that it is of the {kind} `{of}`, and not of `{expected}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_with_failures_that_there_are() {
        let said = unlisted("local /vault: old", FailureKind::Throttled);
        assert_eq!(place_unlisted(&said), Some("local /vault: old"));
        assert_eq!(place_unlisted(&unlisted("rds-pitr", FailureKind::BadEvidence)), Some("rds-pitr"));
        assert_eq!(place_unlisted("could not be listed in rds-pitr: too old"), None);
        assert_eq!(place_without(&none_in("aws-backup nightly")), Some("aws-backup nightly"));
        assert!(is_window_unlisted(&window_unlisted(FailureKind::Denied)) && !is_window_unlisted(&said));
    }

    #[test]
    fn what_nobody_looked_at_is_told_from_what_is_not_there() {
        let unseen = [
            unlisted("rds-pitr", FailureKind::Network),
            window_unlisted(FailureKind::Throttled),
            format!("{NOT_LOOKED_AT}denied"),
            NAMED_TWICE.to_owned(),
            NO_WINDOW.to_owned(),
        ];
        assert!(unseen.iter().all(|reason| is_unseen(reason) && !is_without_points(reason)));
        let bare = [NO_SOURCE.to_owned(), NONE_LEFT.to_owned(), none_in("rds-pitr")];
        assert!(bare.iter().all(|reason| is_without_points(reason) && !is_unseen(reason)));
        assert!(!is_unseen(LEADS_NOWHERE) && !is_without_points(NO_SECOND));
    }
}
