//! What a drill promises of its results, by the version that its plan states: logs of earlier versions are held to what these promised.
//!
//! Not here: that a version never goes back within a log (`verify::drills`), and what is demanded of each (`verify`).

use crate::testing_log::body::DrillPlanned;

/// Drills of this version state all that `verify::owed` demands of results, know what else is an exception, and answer for what they could
/// not list, and for resources whose points are drilled as those of another. Their policies keep the check files, what passes was held to the
/// whole of its manifest, databases that were compared as files are told, and of files of one name none is a point. What is said to be taken down
/// was created once it was asked for, and deleted after that; a canary is judged only beside a manifest of its source.
pub const RESULT_VERSION: u32 = 7;
/// Results from this version on state all that `verify::owed` demands of them.
const STATES_ALL: u32 = 2;
/// Results from this version on know what else is an exception.
const KNOWS_EXCEPTIONS: u32 = 3;
/// Drills from this version on answer for what they could not list.
const ANSWERS_FOR_UNLISTED: u32 = 4;
/// Drills from this version on answer for resources whose points are drilled as those of another, and for files of one name.
const ANSWERS_FOR_SHARED: u32 = 5;
/// The policies of drills from this version on keep the files of their checks, which no run of the drill changes.
const KEEPS_CHECKS: u32 = 6;
/// Results from this version on that pass have expected all that their manifests have.
const EXPECTS_ALL: u32 = 6;
/// Of files of one name, drills from this version on take none for a point.
const KNOWS_TWINS: u32 = 6;
/// Results from this version on tell databases on which the checks of their class were not run.
const TELLS_UNCHECKED: u32 = 6;
/// Results from this version on date what was created for them, and its deletion, by clocks that the log tells of.
const DATES_TEARDOWN: u32 = 7;
/// Results from this version on judge no canary beside a manifest of a first restore.
const KNOWS_PLANTS: u32 = 7;

impl DrillPlanned {
    /// Whether each result of the drill has to state all that its kind of case always states.
    pub fn promises_all(&self) -> bool {
        self.result_version.is_some_and(|version| version >= STATES_ALL)
    }

    /// Whether checks that do not apply, and kinds that a manifest lacks, keep its results from being a plain pass.
    pub fn knows_exceptions(&self) -> bool {
        self.result_version.is_some_and(|version| version >= KNOWS_EXCEPTIONS)
    }

    /// Whether what could not be listed keeps the whole drill from being a pass, and every listing that there is counts.
    pub fn answers_for_unlisted(&self) -> bool {
        self.result_version.is_some_and(|version| version >= ANSWERS_FOR_UNLISTED)
    }

    /// Whether its policy keeps the files of its checks, and all its results are of these.
    pub fn keeps_checks(&self) -> bool {
        self.result_version.is_some_and(|version| version >= KEEPS_CHECKS)
    }

    /// Whether what passes was held to all that its manifest has.
    pub fn expects_all(&self) -> bool {
        self.result_version.is_some_and(|version| version >= EXPECTS_ALL)
    }

    /// Whether a database that was compared as files, and not held to the checks of its class, is told.
    pub fn tells_unchecked(&self) -> bool {
        self.result_version.is_some_and(|version| version >= TELLS_UNCHECKED)
    }

    /// Whether what was created for a case is dated after its restore was asked for, and its deletion after that.
    pub fn dates_teardown(&self) -> bool {
        self.result_version.is_some_and(|version| version >= DATES_TEARDOWN)
    }

    /// Whether a canary beside a manifest of a first restore is untested.
    pub fn knows_plants(&self) -> bool {
        self.result_version.is_some_and(|version| version >= KNOWS_PLANTS)
    }

    /// Whether of files of one name none is a point; else the first is.
    pub fn knows_twins(&self) -> bool {
        self.result_version.is_some_and(|version| version >= KNOWS_TWINS)
    }

    /// Whether a resource whose points are drilled as those of another keeps the whole drill from being a pass: its own database, manifests and
    /// checks were looked at by nobody.
    pub fn answers_for_shared(&self) -> bool {
        self.result_version.is_some_and(|version| version >= ANSWERS_FOR_SHARED)
    }
}
