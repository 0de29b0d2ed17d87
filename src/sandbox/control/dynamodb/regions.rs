//! Regions: a table lives in the one in which it was created or restored, and is not found from any other.
//!
//! Everything else of this room knows one Region. A request of another one is translated on its way in, and its answer on the way out: ARNs of the
//! tables that live there. Items are left as they are, since an item may hold anything.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;

use crate::sandbox::control::answer::Refused;
use crate::sandbox::control::dynamodb::backups::DynamoDb;
use crate::sandbox::control::dynamodb::state::{table_arn, table_in};
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::wire::Scope;

/// The Region that a request was signed for.
pub fn of(request: &Request<Bytes>) -> String {
    Scope::of(request.uri(), request.headers()).map_or_else(|| REGION.to_owned(), |scope| scope.region)
}

fn arn_in(region: &str, table: &str) -> String {
    format!("arn:aws:dynamodb:{region}:{ACCOUNT_ID}:table/{table}")
}

impl DynamoDb {
    /// The tables that do not live in the sandbox's own Region, with theirs.
    fn elsewhere(&self) -> Vec<(String, String)> {
        self.state.read(|state| state.regions.iter().map(|(table, region)| (table.clone(), region.clone())).collect())
    }

    /// The request as the room's own Region would get it.
    ///
    /// # Errors
    /// Where it names a table of another Region.
    pub(super) fn enter(&self, region: &str, operation: &str, mut request: Request<Bytes>) -> Result<Request<Bytes>, Refused> {
        let elsewhere = self.elsewhere();
        if region == REGION && elsewhere.is_empty() {
            return Ok(request);
        }
        let about: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let new = match operation {
            "CreateTable" => about["TableName"].as_str(),
            "RestoreTableFromBackup" | "RestoreTableToPointInTime" => about["TargetTableName"].as_str(),
            _ => None,
        };
        if let Some(new) = new.filter(|new| region != REGION && !elsewhere.iter().any(|(table, _)| table == new)) {
            self.state.change(|state| state.regions.insert(new.to_owned(), region.to_owned()))?;
        }
        let named = about["TableName"].as_str().filter(|_| operation != "CreateTable").map(|name| name.rsplit('/').next().unwrap_or(name));
        if let Some(name) = named {
            let lives = elsewhere.iter().find(|(table, _)| table == name).map_or(REGION, |(_, region)| region);
            if lives != region {
                return Err(Refused::new("ResourceNotFoundException", format!("Requested resource not found: Table: {name} not found")));
            }
        }
        // Items have no ARNs of the room's in them: TransactWriteItems and the like name tables by name here.
        if let Ok(text) = std::str::from_utf8(request.body())
            && text.contains("arn:aws:dynamodb:")
        {
            let own = elsewhere.iter().filter(|(_, lives)| lives == region);
            let text = own.fold(text.to_owned(), |text, (table, lives)| text.replace(&arn_in(lives, table), &table_arn(table)));
            *request.body_mut() = text.into();
        }
        Ok(request)
    }

    /// The answer as the Region gives it.
    pub(super) fn leave(&self, region: &str, operation: &str, items: bool, mut response: Response<Bytes>) -> Response<Bytes> {
        let elsewhere = self.elsewhere();
        if items || (region == REGION && elsewhere.is_empty()) {
            return response;
        }
        let Ok(text) = std::str::from_utf8(response.body()) else { return response };
        let text = elsewhere.iter().fold(text.to_owned(), |text, (table, lives)| text.replace(&table_arn(table), &arn_in(lives, table)));
        let mut said: Value = serde_json::from_str(&text).unwrap_or_default();
        if operation == "ListTables"
            && let Some(names) = said["TableNames"].as_array_mut()
        {
            let lives = |name: &Value| elsewhere.iter().find(|(table, _)| name == table).map_or(REGION, |(_, region)| region);
            names.retain(|name| lives(name) == region);
            *response.body_mut() = said.to_string().into();
            return response;
        }
        *response.body_mut() = text.into();
        response
    }

    /// A table that was deleted lives nowhere.
    pub(super) fn forget_region(&self, table: &str) -> Result<(), Refused> {
        self.state.change(|state| state.regions.remove(table_in(table)))?;
        Ok(())
    }
}
