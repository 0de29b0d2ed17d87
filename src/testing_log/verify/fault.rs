//! The rules that `log verify` enforces, each with a stable name, and the faults that break them.
//!
//! Not here: how each is checked; that lies in one file a family beside this one.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One rule. Its name is stable: scripts and auditors' work papers rely on it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule { $($(#[$doc])* $name,)+ }

        impl Rule {
            /// Every rule, in the order of the families.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

rules! {
    // Entries.
    /// The directories hold nothing that the layout has no place for.
    UnexpectedFile = "unexpected_file",
    /// Entries are numbered from 0 without a gap.
    EntryMissing = "entry_missing",
    /// An entry has at most 60,000 bytes.
    EntryTooLong = "entry_too_long",
    /// An entry has the shape of its kind.
    EntryUnreadable = "entry_unreadable",
    /// The pages that an entry names lie before it, and belong to it alone.
    PageMissing = "page_missing",
    /// An entry is spelled in RFC 8785 form.
    EntryNotCanonical = "entry_not_canonical",
    /// `seq` is the leaf index.
    SeqNotIndex = "seq_not_index",
    /// Every entry belongs to this log.
    OriginDiffers = "origin_differs",
    /// The first entry is `log.genesis`.
    GenesisMissing = "genesis_missing",
    /// No other entry is.
    GenesisRepeated = "genesis_repeated",
    /// The log began with the key that was given.
    WrongKey = "wrong_key",
    /// Entries are dated in their order.
    TimeGoesBack = "time_goes_back",
    /// No entry is dated after now.
    TimeInFuture = "time_in_future",
    /// A correction or remediation names an earlier entry.
    ReferenceNotEarlier = "reference_not_earlier",
    /// A sign-off is signed by a reviewer whose key is not the log's.
    SignOffBad = "signoff_bad",

    // Checkpoints.
    /// There is a checkpoint, and every one that an entry names is there.
    CheckpointMissing = "checkpoint_missing",
    /// A checkpoint is a signed note of three lines.
    CheckpointUnreadable = "checkpoint_unreadable",
    /// A checkpoint's size and origin are those of its file and its log.
    CheckpointMisnamed = "checkpoint_misnamed",
    /// The log has as many entries as its checkpoints say.
    LogTruncated = "log_truncated",
    /// The root of every checkpoint re-computes from the entries before it.
    RootDiffers = "root_differs",
    /// The signature of every checkpoint holds.
    SignatureBad = "signature_bad",
    /// Every checkpoint has its SSH signature.
    SshsigMissing = "sshsig_missing",
    /// Every SSH signature holds.
    SshsigBad = "sshsig_bad",
    /// Every entry names the checkpoint before it.
    PrevCheckpointDiffers = "prev_checkpoint_differs",
    /// Every entry after the last checkpoint was written with the log's key.
    TailNotVouched = "tail_not_vouched",
    /// The checkpoint after a rotation is signed by both keys.
    RotationBad = "rotation_bad",
    /// The auditor's checkpoint is signed by the log's key.
    AnchorSignatureBad = "anchor_signature_bad",
    /// The log is at least as long as when the auditor saw it.
    TruncatedSinceAnchor = "truncated_since_anchor",
    /// The log is a continuation of what the auditor saw.
    ForkedFromAnchor = "forked_from_anchor",

    // Populations, plans and draws.
    /// `drill_seq` counts from 1 without a gap.
    DrillSeqGap = "drill_seq_gap",
    /// Every drill has one population and an identity of its own.
    DrillIdRepeated = "drill_id_repeated",
    /// A population is byte-sorted, unique, and apart from what is excluded.
    PopulationInconsistent = "population_inconsistent",
    /// What the listings that a population was made from have of its resources is in it, or excluded with its reason.
    PopulationLacksListed = "population_lacks_listed",
    /// Every point of a population is in a listing of its resource, where those are at hand.
    PopulationNotListed = "population_not_listed",
    /// Every listing that the configuration asks for is there, or that it could not be had is said.
    ListingMissing = "listing_missing",
    /// A listing is of the call and of the thing that its name says.
    ListingDiffers = "listing_differs",
    /// What is left out is left out for a reason that there is, and that the listings bear out.
    ExclusionDiffers = "exclusion_differs",
    /// Strata have the sizes that the population gives them, and no sample larger than that; a resource's points are in the one of its class.
    StrataDiffer = "strata_differ",
    /// Of each class as many points are drawn as its configuration demands.
    SampleTooSmall = "sample_too_small",
    /// What is due by the period of its class, as the log before it shows, is drilled by rule.
    DueNotTargeted = "due_not_targeted",
    /// What is drilled by rule belongs to the population.
    TargetedNotInPopulation = "targeted_not_in_population",
    /// The beacon is the checkpoint before the population.
    BeaconDiffers = "beacon_differs",
    /// No two drills share a beacon.
    BeaconReused = "beacon_reused",
    /// A plan has a population before it.
    PlanWithoutPopulation = "plan_without_population",
    /// There is exactly one plan for a population.
    PlanRepeated = "plan_repeated",
    /// The plan says what its population said.
    PlanDiffers = "plan_differs_from_population",
    /// A checkpoint lies between the population and its plan.
    PopulationNotSealed = "population_not_sealed",
    /// The seed re-derives.
    SeedDiffers = "seed_differs",
    /// The drawn set re-derives from population and seed.
    SelectionDiffers = "selection_differs",
    /// A draw is called strong only where its commitment is dated from outside.
    StrengthUnproved = "strength_unproved",
    /// The cases are the drawn and the targeted points, each once.
    CasesDiffer = "cases_differ",
    /// The plan names the policy in force.
    PolicyNotInForce = "policy_not_in_force",

    // The run.
    /// A drill is closed or aborted by its deadline.
    DrillOverdue = "drill_overdue",
    /// A drill starts after its plan, and names it.
    StartDiffers = "start_differs",
    /// A checkpoint lies between the plan and the start.
    PlanNotSealed = "plan_not_sealed",
    /// Nothing was requested before the start.
    RequestedTooEarly = "requested_too_early",
    /// Results come after the start.
    ResultBeforeStart = "result_before_start",
    /// Results are of planned cases.
    ResultNotPlanned = "result_not_planned",
    /// A result's point, resource and class are those of its case.
    ResultDiffersFromPlan = "result_differs_from_plan",
    /// A case has one result.
    ResultRepeated = "result_repeated",
    /// A closed drill has a result for every case.
    ResultMissing = "result_missing",
    /// Nothing of a drill follows its end.
    EntryAfterEnd = "entry_after_end",
    /// The totals add up to the plan and to the results.
    TotalsDiffer = "totals_differ",
    /// The drill's outcome is the gravest of its cases.
    OutcomeDiffers = "outcome_differs",
    /// What is said of the population follows from the sample.
    InferenceDiffers = "inference_differs",

    // Results.
    /// The counts add up.
    CountsDoNotAddUp = "counts_do_not_add_up",
    /// No more is said to be covered than the counts of a comparison show.
    CoverageDiffers = "coverage_differs",
    /// Findings and counts agree.
    FindingsDiffer = "findings_differ",
    /// What was not achieved measurably was neither met nor missed.
    MetWithoutAchieved = "met_without_achieved",
    /// `met` follows from target and achievement.
    MetDiffers = "met_differs",
    /// The achieved RPO is the age of the newest point that its drill has not shown to be unusable.
    RpoDiffers = "rpo_differs",
    /// The achieved RTO is the time from the request to the end of verification.
    RtoDiffers = "rto_differs",
    /// A point in time is of the second in its identity.
    PointTimeDiffers = "point_time_differs",
    /// Whether a second is shown follows from the stamps, the rows and the tables without either.
    SecondDiffers = "second_differs",
    /// What passes was restored.
    PassNotRestored = "pass_not_restored",
    /// The objectives are those of the policy.
    TargetDiffers = "target_differs_from_policy",
    /// The phases of a restore follow each other.
    PhasesOutOfOrder = "phases_out_of_order",
    /// What was restored was made between the beginning of its restore and its end, by the clock of the service that made it.
    MadeOutsideRestore = "made_outside_restore",
    /// Isolation is proved only where every probe held.
    IsolationDiffers = "isolation_differs",
    /// How a SQL check ended follows from what it found and its threshold; what it is, from its file, and alike in all results.
    CheckDiffers = "check_differs",
    /// The SQL checks of a class are those of the packs that its configuration names, and those of the check files, where they are kept.
    ChecksDiffer = "checks_differ",
    /// Leftovers are the resources not known to be gone.
    LeftoversDiffer = "leftovers_differ",
    /// A result states what its kind of case always states, where its plan promises it.
    FactMissing = "fact_missing",
    /// What a result states of its case follows from its point, its plan, its manifest and its policy.
    FactDiffers = "fact_differs",
    /// What failed is recorded as failed, and what was not tried is not said to have been.
    ResultOutcomeDiffers = "result_outcome_differs",
    /// What is not a pass says why.
    OutcomeWithoutReason = "outcome_without_reason",
    /// A comparison names a registered manifest.
    ManifestNotRegistered = "manifest_not_registered",
    /// The registration precedes the population of the drill that uses it.
    ManifestRegisteredLate = "manifest_registered_after_use",
    /// The manifest used is the one registered, and what passes was held to all that it has.
    ManifestDiffers = "manifest_differs",
    /// A manifest that does not name the point is compared in a bounded mode.
    ModeNotDowngraded = "mode_not_downgraded",

    // What a pass needs.
    /// Something was expected and compared.
    PassNothingExpected = "pass_nothing_expected",
    /// All of the declared scope was covered.
    PassNotCovered = "pass_not_covered",
    /// Nothing differed.
    PassWithDifferences = "pass_with_differences",
    /// No more was left undecided than the policy tolerates.
    PassOverBudget = "pass_over_budget",
    /// Every critical SQL check was run and passed.
    PassCriticalCheck = "pass_critical_check",
    /// No SQL check was vacuous.
    PassVacuousCheck = "pass_vacuous_check",
    /// RTO and RPO are each met or not required.
    PassObjectiveNotMet = "pass_objective_not_met",
    /// Nothing went wrong on the way but in the teardown, which is a verdict of its own.
    PassWithErrors = "pass_with_errors",
    /// Isolation is proved.
    PassNotIsolated = "pass_not_isolated",
    /// A plain pass has no reasons against it.
    PassWithReasons = "pass_with_reasons",

    // Evidence.
    /// Evidence that is there has the bytes that its name promises.
    EvidenceDiffers = "evidence_differs",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One broken rule at one place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The rule.
    pub rule: Rule,
    /// The entry, where it is about one; for checkpoints their size is in the sentence.
    pub leaf: Option<u64>,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leaf {
            Some(leaf) => write!(f, "{} at entry {leaf}: {}", self.rule, self.message),
            None => write!(f, "{}: {}", self.rule, self.message),
        }
    }
}

/// What an entry could not be held to, because the evidence that would tell is withheld: no fault, and no proof either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unheld {
    /// The entry.
    pub leaf: u64,
    /// What is withheld, and what nobody can tell without it.
    pub message: String,
}

impl fmt::Display for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.leaf, self.message)
    }
}

/// Collects faults, and what could not be looked into: verification goes on after each.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<Fault>, pub Vec<Unheld>);

impl Faults {
    /// A fault at entry `leaf`.
    pub fn at(&mut self, rule: Rule, leaf: u64, message: impl Into<String>) {
        self.0.push(Fault { rule, leaf: Some(leaf), message: message.into() });
    }

    /// A fault of the log as a whole, or of a checkpoint.
    pub fn whole(&mut self, rule: Rule, message: impl Into<String>) {
        self.0.push(Fault { rule, leaf: None, message: message.into() });
    }

    /// What entry `leaf` could not be held to.
    pub fn unheld(&mut self, leaf: u64, message: impl Into<String>) {
        self.1.push(Unheld { leaf, message: message.into() });
    }

    /// A fault at entry `leaf` unless `holds`.
    pub fn demand(&mut self, holds: bool, rule: Rule, leaf: u64, message: impl FnOnce() -> String) {
        if !holds {
            self.at(rule, leaf, message());
        }
    }
}
