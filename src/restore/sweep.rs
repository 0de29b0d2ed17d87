//! Looking for what drills left behind: the journal backwards, then everything that carries the tag or the prefix of any drill.
//!
//! What the journal knows may be deleted by the teardown rule; what it does not know is listed only, and never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::ids::CaseId;
use crate::monitor::Monitor;
use crate::restore::journal::Journal;
use crate::restore::may_delete::may_delete;
use crate::restore::order::{Clouds, DRILL_TAG};
use crate::restore::pace::unless_stopped;
use crate::restore::records::{DrillOpened, Step, Target, TargetKind};
use crate::restore::steps::{CaseFacts, StepFacts};
use crate::restore::targets::{self, Found};
use crate::restore::teardown::Undoing;
use crate::verify::manifest::workplace;

/// Something that is still there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leftover {
    /// Its ARN, its path, or its name where it could not be looked at.
    pub arn: String,
    /// The case that created it, where the journal knows it.
    pub case: Option<CaseId>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// What is to be said of it.
    pub about: String,
    /// Whether `--apply` may delete it.
    pub deletable: bool,
}

/// What a sweep saw and did.
#[derive(Debug, Default)]
pub struct Swept {
    /// What is still there at the end.
    pub standing: Vec<Leftover>,
    /// What was deleted.
    pub removed: Vec<String>,
    /// Listings that failed: what they would have shown is unknown.
    pub unlisted: Vec<Failure>,
}

/// Where to look.
pub struct Field<'a> {
    /// The journal.
    pub journal: &'a Journal,
    /// AWS.
    pub clouds: &'a Clouds,
    /// The drills' working directory.
    pub work: &'a Path,
    /// What names start with.
    pub prefix: &'a str,
    /// Regions in which drills create things.
    pub regions: &'a [Option<String>],
    /// Directories that drills keep the baselines of first restores in.
    pub manifests: &'a [PathBuf],
}

/// Looks, and with `apply`, which says how many seconds each deletion may take, takes down what the teardown rule allows.
pub async fn sweep(field: &Field<'_>, apply: Option<u64>, monitor: &dyn Monitor) -> Result<Swept, Failure> {
    let mut swept = Swept::default();
    let mut known = BTreeMap::new();
    let state = field.journal.state();
    for drill in state.drills.values().rev() {
        let mut undoing = Undoing::new(field.journal, field.clouds, field.work, &drill.opened, monitor);
        undoing.patience_s = apply.unwrap_or(undoing.patience_s);
        for (case, facts) in drill.cases.iter().rev() {
            let standing = facts.standing();
            for (name, step) in &facts.steps {
                let is_standing = standing.iter().any(|(other, _)| *other == *name);
                let past = (!is_standing).then_some(Past { drill: &drill.opened, case, step });
                known.extend(step.target.iter().map(|target| ((target.kind, target.name.clone()), past)));
            }
            if standing.is_empty() {
                continue;
            }
            if apply.is_some() {
                let teardown = undoing.undo(case).await?;
                for resource in teardown.resources {
                    match resource.state {
                        crate::testing_log::point_result::Presence::Gone => swept.removed.push(resource.arn),
                        _ => swept.standing.push(Leftover {
                            arn: resource.arn,
                            case: Some(case.clone()),
                            created_at: Some(resource.created_at),
                            about: resource.confirmed_by,
                            deletable: false,
                        }),
                    }
                }
                continue;
            }
            swept.standing.extend(of_case(&undoing, case, facts).await);
        }
    }
    unfinished_manifests(field, apply.is_some(), &mut swept);
    // Looking changes nothing: a stop that is asked for ends it at once.
    let again = unless_stopped(monitor, "what is left behind", strangers(field, &known, &mut swept)).await?;
    for (target, past, found) in again {
        let allowed = may_delete(past.drill, Some(past.step), &found);
        if let (Some(patience_s), Ok(_)) = (apply, &allowed) {
            let mut undoing = Undoing::new(field.journal, field.clouds, field.work, past.drill, monitor);
            undoing.patience_s = patience_s;
            match undoing.until_gone(past.step, Some(found.clone())).await {
                Ok(_) => {
                    swept.removed.push(found.arn);
                    continue;
                }
                Err(failure) => monitor.event(crate::monitor::Event::Problem(&failure)),
            }
        }
        let ground = allowed.as_ref().map_or_else(ToString::to_string, |ground| format!("may be deleted: {ground:?}"));
        swept.standing.push(Leftover {
            arn: found.arn,
            case: Some(past.case.clone()),
            created_at: found.created_at,
            about: format!("the journal took {} for gone, and it is there; {ground}", target.name),
            deletable: allowed.is_ok(),
        });
    }
    Ok(swept)
}

/// A step that the journal has done with.
#[derive(Clone, Copy)]
struct Past<'j> {
    drill: &'j DrillOpened,
    case: &'j CaseId,
    step: &'j StepFacts,
}

/// What stands of a case, or may come to stand, with whether it may be deleted. Nothing is changed.
pub async fn of_case(undoing: &Undoing<'_>, case: &CaseId, facts: &CaseFacts) -> Vec<Leftover> {
    let mut standing: Vec<Leftover> = unfinished(undoing, case, facts).await.into_iter().collect();
    for (_, step) in facts.standing() {
        let Some(target) = &step.target else { continue };
        match targets::find(undoing.clouds, undoing.work, target).await {
            Ok(None) => {}
            Ok(Some(found)) => {
                let allowed = may_delete(undoing.drill, Some(step), &found);
                standing.push(Leftover {
                    arn: found.arn,
                    case: Some(case.clone()),
                    created_at: found.created_at,
                    about: allowed.as_ref().map_or_else(ToString::to_string, |ground| format!("may be deleted: {ground:?}")),
                    deletable: allowed.is_ok(),
                });
            }
            Err(failure) => standing.push(Leftover {
                arn: target.name.clone(),
                case: Some(case.clone()),
                created_at: None,
                about: failure.to_string(),
                deletable: false,
            }),
        }
    }
    standing
}

/// Unfinished manifests of first restores that were killed: half a copy of what a backup holds.
fn unfinished_manifests(field: &Field<'_>, apply: bool, swept: &mut Swept) {
    for parent in field.manifests {
        if apply {
            swept.removed.extend(workplace::clear(parent).iter().map(|path| path.display().to_string()));
        }
        swept.standing.extend(workplace::abandoned(parent).into_iter().map(|path| Leftover {
            arn: path.display().to_string(),
            case: None,
            created_at: None,
            about: "an unfinished manifest of a capture that was killed; nobody writes to it any more".to_owned(),
            deletable: true,
        }));
    }
}

/// A restore job that has not ended: what it makes is not there yet, and will be.
async fn unfinished(undoing: &Undoing<'_>, case: &CaseId, facts: &CaseFacts) -> Option<Leftover> {
    let about = match undoing.job_under_way(facts).await {
        Ok(None) => return None,
        Ok(Some(job)) => format!("{job}: what it makes would be left behind; --apply waits for its end"),
        Err(failure) => format!("whether its restore job has ended is not known: {failure}"),
    };
    let step = facts.steps.get(&Step::Restore)?;
    let arn = step.job_id.clone().or_else(|| step.target.as_ref().map(|target| target.name.clone()))?;
    Some(Leftover { arn, case: Some(case.clone()), created_at: None, about, deletable: true })
}

/// Everything with the prefix that the journal does not know: of a drill whose journal is elsewhere, or lost. Listed only. Gives what the
/// journal has done with, and is there all the same: a service that is late, or wrong, said that it was gone.
async fn strangers<'j>(
    field: &Field<'_>,
    known: &BTreeMap<(TargetKind, String), Option<Past<'j>>>,
    swept: &mut Swept,
) -> Vec<(Target, Past<'j>, Found)> {
    let mut again = Vec::new();
    let mut targets_found: BTreeSet<Target> = BTreeSet::new();
    let mut add = |kind: TargetKind, region: &Option<String>, names: Result<Vec<String>, Failure>| match names {
        Ok(names) => targets_found.extend(names.into_iter().map(|name| Target { kind, name, region: region.clone() })),
        Err(failure) => swept.unlisted.push(failure),
    };
    add(TargetKind::Path, &None, local_names(field.work, field.prefix));
    if field.clouds.has_aws() {
        for (index, region) in field.regions.iter().enumerate() {
            let at = region.as_deref();
            if index == 0 {
                // The list of buckets is the account's, whatever the Region.
                let names = async { Ok(field.clouds.buckets(at)?.names(field.prefix).await?.into_keys().collect()) };
                add(TargetKind::Bucket, region, names.await);
            }
            let names = async { field.clouds.tables(at)?.names(field.prefix).await };
            add(TargetKind::Table, region, names.await);
            let names = async { field.clouds.access_points(at)?.names(field.prefix).await };
            add(TargetKind::AccessPoint, region, names.await);
            let names = async {
                let instances = field.clouds.rds(at)?.instances().await?;
                let ours = |one: &crate::aws::rds::Instance| one.id.starts_with(field.prefix) || one.tags.contains_key(DRILL_TAG);
                Ok(instances.into_iter().filter(ours).map(|one| one.id).collect())
            };
            add(TargetKind::DbInstance, region, names.await);
        }
    }
    for target in targets_found {
        match known.get(&(target.kind, target.name.clone())) {
            Some(None) => continue,
            Some(Some(past)) => {
                if let Ok(Some(found)) = targets::find(field.clouds, field.work, &target).await {
                    again.push((target, *past, found));
                }
                continue;
            }
            None => {}
        }
        let (arn, created_at, tag) = match targets::find(field.clouds, field.work, &target).await {
            Ok(Some(found)) => (found.arn, found.created_at, found.tags.get(DRILL_TAG).cloned()),
            Ok(None) => continue,
            Err(failure) => (format!("{} ({failure})", target.name), None, None),
        };
        let whose = tag.map_or_else(|| "it carries the prefix alone".to_owned(), |tag| format!("it carries the tag of drill {tag}"));
        let about = format!("{whose}, and this journal does not know it: not ours to delete");
        swept.standing.push(Leftover { arn, case: None, created_at, about, deletable: false });
    }
    again
}

fn local_names(work: &Path, prefix: &str) -> Result<Vec<String>, Failure> {
    let listing = match std::fs::read_dir(work) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io(format!("list {}", work.display()), error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(|error| Failure::io(format!("list {}", work.display()), error))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| name.starts_with(prefix)));
    }
    Ok(names)
}
