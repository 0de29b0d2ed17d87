//! AWS Backup's REST-JSON API: methods and paths of the published model of 2018-11-15.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::sandbox::control::answer::{self, Protocol, Refused, page, refuse};
use crate::sandbox::control::backup::jobs::Backup;
use crate::sandbox::control::backup::points::time;
use crate::sandbox::control::backup::refusals::{absent, invalid, needed};
use crate::sandbox::control::backup::state::{AccessPoint, RestoreJob, Vault, vault_arn};
use crate::sandbox::wire::Service;

#[async_trait]
impl Service for Backup {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        match self.act(&request).await {
            Ok(Some(said)) => answer::json(Protocol::RestJson, &said),
            Ok(None) => answer::empty(),
            Err(refused) => refuse(Protocol::RestJson, &refused),
        }
    }

    async fn shutdown(&self) {
        self.stop().await;
    }
}

impl Backup {
    async fn act(&self, request: &Request<Bytes>) -> Result<Option<Value>, Refused> {
        self.faults.meet("backup")?;
        let path = segments(request.uri().path());
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        match (request.method(), path.first()) {
            (_, Some(&"backup-vaults")) => self.act_on_vaults(request, &path[1..], &query).await,
            (_, Some(&"restore-jobs")) => self.act_on_restores(request, &path[1..], &query),
            (_, Some(&"backup-access-point")) => self.act_on_access_points(request, &path[1..], &query),
            (_, Some(&("backup-jobs" | "tags" | "untag"))) => self.act_on_others(request, &path, &query),
            (&Method::GET, _) => self.look(&path, &query).map(Some),
            (method, _) => Err(unknown(method, &path)),
        }
    }

    async fn act_on_vaults(
        &self,
        request: &Request<Bytes>,
        path: &[&str],
        query: &BTreeMap<String, String>,
    ) -> Result<Option<Value>, Refused> {
        match (request.method(), path) {
            (&Method::GET, []) => {
                let vaults: Vec<Vault> = self.state.read(|state| state.vaults.values().cloned().collect());
                let vaults = vaults.iter().map(|vault| (vault.name.clone(), self.show_vault(vault))).collect();
                listed("BackupVaultList", vaults, query).map(Some)
            }
            (&Method::PUT, [name]) => self.create_vault(name, &input(request)?).map(Some),
            (&Method::GET, [name]) => Ok(Some(self.show_vault(&self.vault(name)?))),
            (&Method::DELETE, [name]) => self.delete_vault(name).map(|()| None),
            (&Method::PUT, [name, "vault-lock"]) => self.lock_vault(name, &input(request)?).map(|()| None),
            (&Method::GET, [name, "recovery-points"]) => listed("RecoveryPoints", self.points_of_vault(name, query)?, query).map(Some),
            (&Method::GET, [name, "recovery-points", arn]) => self.describe_point(name, arn).map(Some),
            (&Method::DELETE, [name, "recovery-points", arn]) => self.delete_point(name, arn).await.map(|()| None),
            (&Method::GET, [name, "recovery-points", arn, "restore-metadata"]) => self.restore_metadata(name, arn).map(Some),
            (method, path) => Err(unknown(method, path)),
        }
    }

    fn act_on_restores(&self, request: &Request<Bytes>, path: &[&str], query: &BTreeMap<String, String>) -> Result<Option<Value>, Refused> {
        match (request.method(), path) {
            (&Method::PUT, []) => self.start_restore(&input(request)?).map(Some),
            (&Method::GET, []) => self.list_restores(query).map(Some),
            (&Method::GET, [id]) => {
                let told = self.state.change(|state| {
                    let job = state.restore_jobs.get_mut(*id)?;
                    job.tell();
                    Some(job.shown())
                })?;
                told.map(Some).ok_or_else(|| absent(format!("Restore job {id} does not exist.")))
            }
            (&Method::PUT, [id, "validations"]) => {
                let input = input(request)?;
                let status = needed(&input, "ValidationStatus")?.to_owned();
                let message = input["ValidationStatusMessage"].as_str().map(str::to_owned);
                let set = self.state.change(|state| state.restore_jobs.get_mut(*id).map(|job| job.validation = Some((status, message))))?;
                set.map(|()| None).ok_or_else(|| absent(format!("Restore job {id} does not exist.")))
            }
            (method, path) => Err(unknown(method, path)),
        }
    }

    fn act_on_access_points(
        &self,
        request: &Request<Bytes>,
        path: &[&str],
        query: &BTreeMap<String, String>,
    ) -> Result<Option<Value>, Refused> {
        // These newer calls spell what they are asked with in capitals.
        let in_capitals = [("MaxResults", "maxResults"), ("NextToken", "nextToken")];
        let query = in_capitals.iter().filter_map(|(new, old)| Some(((*old).to_owned(), query.get(*new)?.clone()))).collect();
        let all = |found| listed("BackupAccessPoints", found, &query).map(Some);
        match (request.method(), path) {
            (&Method::PUT, ["create"]) => self.create_access_point(&input(request)?).map(Some),
            (&Method::GET, []) => all(self.access_points(|_| true)),
            (&Method::POST, ["recovery-point", arn]) => all(self.access_points(|one| one.point.arn == *arn)),
            (&Method::POST, ["resource", arn]) => all(self.access_points(|one| one.point.resource == *arn)),
            (&Method::GET, [arn]) => self.describe_access_point(arn).map(Some),
            (&Method::DELETE, ["delete", arn]) => self.delete_access_point(arn).map(|()| None),
            (method, path) => Err(unknown(method, path)),
        }
    }

    fn list_restores(&self, query: &BTreeMap<String, String>) -> Result<Value, Refused> {
        let (before, after) = (time(query, "createdBefore")?, time(query, "createdAfter")?);
        let fits = |job: &RestoreJob| {
            query.get("resourceType").is_none_or(|kind| *kind == job.point.resource_type)
                && query.get("accountId").is_none_or(|account| account == crate::sandbox::identity::ACCOUNT_ID)
                && before.is_none_or(|before| job.created < before)
                && after.is_none_or(|after| job.created > after)
        };
        let mut jobs: Vec<RestoreJob> = self.state.change(|state| {
            // A list tells states too.
            state.restore_jobs.values_mut().for_each(RestoreJob::tell);
            state.restore_jobs.values().filter(|job| fits(job)).cloned().collect()
        })?;
        jobs.retain(|job| query.get("status").is_none_or(|status| *status == job.told));
        jobs.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        listed("RestoreJobs", jobs.iter().map(|job| (job.id.clone(), job.shown())).collect(), query)
    }

    fn act_on_others(&self, request: &Request<Bytes>, path: &[&str], query: &BTreeMap<String, String>) -> Result<Option<Value>, Refused> {
        match (request.method(), path) {
            (&Method::PUT, ["backup-jobs"]) => self.start_backup(&input(request)?).map(Some),
            (&Method::GET, ["backup-jobs"]) => {
                let mut jobs: Vec<_> = self.state.read(|state| state.backup_jobs.values().cloned().collect());
                jobs.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
                jobs.retain(|job| {
                    query.get("state").is_none_or(|state| *state == job.state)
                        && query.get("resourceArn").is_none_or(|arn| job.request["ResourceArn"] == arn.as_str())
                        && query.get("backupVaultName").is_none_or(|vault| job.request["BackupVaultName"] == vault.as_str())
                });
                let shown = jobs.iter().map(|job| (job.id.clone(), job.shown(&self.key_of(&job.request)))).collect();
                listed("BackupJobs", shown, query).map(Some)
            }
            (&Method::GET, ["backup-jobs", id]) => {
                let job = self.state.read(|state| state.backup_jobs.get(*id).cloned());
                let job = job.ok_or_else(|| absent(format!("Backup job {id} does not exist.")))?;
                Ok(Some(job.shown(&self.key_of(&job.request))))
            }
            (&Method::GET, ["tags", arn]) => Ok(Some(json!({"Tags": self.change_tags(arn, |_| {})?}))),
            (&Method::POST, ["tags", arn]) => {
                let new: BTreeMap<String, String> =
                    serde_json::from_value(input(request)?["Tags"].clone()).map_err(|_| invalid("Tags must be a map of strings."))?;
                self.change_tags(arn, |tags| tags.extend(new)).map(|_| None)
            }
            (&Method::POST, ["untag", arn]) => {
                let keys: Vec<String> = serde_json::from_value(input(request)?["TagKeyList"].clone()).unwrap_or_default();
                self.change_tags(arn, |tags| tags.retain(|key, _| !keys.contains(key))).map(|_| None)
            }
            (method, path) => Err(unknown(method, path)),
        }
    }

    fn key_of(&self, request: &Value) -> String {
        self.vault(request["BackupVaultName"].as_str().unwrap_or_default()).map(|vault| vault.key).unwrap_or_default()
    }

    /// Changes the tags of a vault, a recovery point or an access point; the tags after it.
    fn change_tags(&self, arn: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<BTreeMap<String, String>, Refused> {
        let after = self.state.change(|state| {
            let vault = state.vaults.values_mut().find(|vault| vault_arn(&vault.name) == arn).map(|vault| &mut vault.tags);
            let tags = vault.or_else(|| state.points.get_mut(arn).map(|point| &mut point.tags)).or_else(|| {
                let of = state.access_points.values_mut().find(|one| AccessPoint::arn_of(&one.name) == arn);
                of.map(|one| &mut one.tags)
            })?;
            change(tags);
            Some(tags.clone())
        })?;
        after.ok_or_else(|| absent(format!("Resource {arn} does not exist.")))
    }

    fn look(&self, path: &[&str], query: &BTreeMap<String, String>) -> Result<Value, Refused> {
        match path {
            ["resources"] => listed("Results", self.protected(), query),
            ["resources", arn] => self.describe_protected(arn),
            ["resources", arn, "recovery-points"] => listed("RecoveryPoints", self.points_of_resource(arn), query),
            // No plan exists: everything here is backed up on demand.
            ["backup", "plans"] => Ok(json!({"BackupPlansList": []})),
            ["backup", "plans", plan, "selections"] | ["backup", "plans", plan] => {
                Err(absent(format!("Backup plan {plan} does not exist.")))
            }
            ["supported-resource-types"] => Ok(json!({"ResourceTypes": ["DynamoDB", "RDS", "S3"]})),
            path => Err(unknown(&Method::GET, path)),
        }
    }
}

/// The decoded segments of a path; ARNs come with their slashes encoded, so that each is one segment.
fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()).collect()
}

fn input(request: &Request<Bytes>) -> Result<Value, Refused> {
    if request.body().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(request.body()).map_err(|error| Refused::new("SerializationException", error.to_string()))
}

/// A page of a list, as `maxResults` and `nextToken` ask for it; the token is the last name of the page before, in base 16.
fn listed(name: &str, items: Vec<(String, Value)>, query: &BTreeMap<String, String>) -> Result<Value, Refused> {
    let limit = match query.get("maxResults") {
        None => 1000,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=1000) => limit,
            _ => return Err(invalid(format!("maxResults must be between 1 and 1000, not {text}."))),
        },
    };
    let bad = || invalid("The nextToken is not one of ours.");
    let after = query.get("nextToken").map(|token| hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad));
    let (items, next) = page(items, |(name, _)| name.clone(), after.transpose()?.as_deref(), limit);
    let mut said = json!({name: items.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>()});
    if let Some(next) = next {
        said["NextToken"] = hex::encode(next).into();
    }
    Ok(said)
}

fn unknown(method: &Method, path: &[&str]) -> Refused {
    let said = format!("The sandbox's AWS Backup does not know {method} /{}.", path.join("/"));
    Refused { status: StatusCode::NOT_FOUND, ..Refused::new("UnknownOperationException", said) }
}
