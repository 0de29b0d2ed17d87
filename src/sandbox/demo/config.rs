//! The demo's `attestore.toml`: written like a person's own, with only the sandbox's folder in it that a person's would not have.

use std::fmt::Write as _;

use crate::sandbox::demo::estate::{ARCHIVE_VAULT, BANK_VAULT, BUCKET, DATABASE_USER, Laid, SUBNET_GROUP, TABLE};
use crate::sandbox::identity::{ACCOUNT_ID, REGION};

/// The log's origin.
pub const ORIGIN: &str = "attestore.demo/testing-log";
/// The file that holds `USER:PASSWORD` of the databases, below the demo's folder.
pub const CREDENTIALS: &str = "estate.credentials";

/// What [`CREDENTIALS`] holds.
pub fn credentials(laid: &Laid) -> String {
    format!("{DATABASE_USER}:{}\n", laid.password)
}

/// The configuration of the estate.
pub fn text(laid: &Laid) -> String {
    let (banking, processing) = (packs(laid, "banking", &["bank"]), packs(laid, "processing", &[]));
    let mut text = format!(
        r#"# The demo's estate. `attestore plan --config` and `attestore drill --config` read it as they would read your own.
version = 1

[log]
path = "log"
origin = "{ORIGIN}"

[keys]
signing = "attestore.key"
hash = "attestore.hashkey"

[aws]
region = "{REGION}"
backup_role_arn = "arn:aws:iam::{ACCOUNT_ID}:role/attestore-restore"

[isolation]
account_id = "{ACCOUNT_ID}"
subnet_group = "{SUBNET_GROUP}"
security_group_ids = ["sg-0a1b2c3d4e5f60718"]
name_prefix = "attestore-"

# The stand-in AWS: every command that reads this file starts it over this folder.
[sandbox]
dir = "sandbox"

[class.archive]
rto = "4h"
rpo = "24h"
test_period = "90d"

[class.banking]
rto = "4h"
rpo = "12h"
test_period = "90d"
checks = {banking}

[class.processing]
rto = "4h"
rpo = "24h"
test_period = "90d"
checks = {processing}

[class.audit]
rto = "2h"
rpo = "24h"
test_period = "90d"

# Twenty daily copies, of which chance draws so many that one bad copy in three would be found with 90 % confidence.
[class.directory]
rto = "4h"
rpo = "24h"
test_period = "90d"
sample = {{ confidence_ppm = 900000, tolerable_ppm = 334000 }}
checks = ["directory-app", "structure-sqlite"]

# One weekly copy may be lost: the one before it is two weeks old.
[class.directory-offsite]
rto = "8h"
rpo = "15d"
test_period = "365d"
checks = ["directory-app", "structure-sqlite"]

[class.configuration]
rto = "2h"
rpo = "24h"

[[resource]]
id = "file-vault"
application = "archive-intake"
kind = "s3"
class = "archive"
source = "s3://{BUCKET}"
manifests = "manifests/file-vault"
[[resource.points]]
from = "aws-backup"
vault = "{ARCHIVE_VAULT}"

[[resource]]
id = "{TABLE}"
application = "banking-buddy"
kind = "dynamodb"
class = "audit"
source = "dynamodb:{TABLE}"
manifests = "manifests/{TABLE}"
[[resource.points]]
from = "aws-backup"
vault = "{BANK_VAULT}"
[[resource.points]]
from = "dynamodb-backup"
"#
    );
    for database in &laid.databases {
        let class = class_of(&database.database);
        let application = if class == "banking" { "banking-buddy" } else { "archive-intake" };
        resource(&mut text, &database.resource.0, application, &database.kind, class, &database.resource.0);
        let _ = write!(
            text,
            "database = \"{}\"\ncredentials = \"file:{CREDENTIALS}\"\ntls_ca = \"sandbox/control/rds-ca.pem\"\n\
             [[resource.points]]\nfrom = \"rds-snapshot\"\n[[resource.points]]\nfrom = \"aws-backup\"\nvault = \"{BANK_VAULT}\"\n",
            database.database
        );
    }
    if laid.databases.is_empty() {
        // Its recovery points cannot be made here: the report has to say that the resource is untested.
        resource(&mut text, "crm-transactions", "banking-buddy", "rds-mysql", "banking", "crm-transactions");
        let _ = write!(
            text,
            "database = \"crm_transactions\"\ncredentials = \"file:{CREDENTIALS}\"\n[[resource.points]]\nfrom = \"rds-snapshot\"\n"
        );
    }
    for (id, vault, class) in [("artist-directory", "daily", "directory"), ("artist-directory-offsite", "offsite", "directory-offsite")] {
        resource(&mut text, id, "artist-directory", "files", class, &format!("dir:vault/{vault}"));
        let _ = write!(text, "[[resource.points]]\nfrom = \"local\"\npath = \"vault/{vault}\"\n");
    }
    // AWS Backup has no ECS resource type: said in the report, not passed over.
    resource(&mut text, "directory-cluster", "artist-directory", "ecs-config", "configuration", "directory-cluster");
    let _ = write!(text, "[[resource.points]]\nfrom = \"local\"\npath = \"vault/cluster\"\n");
    text
}

/// The class of a database of the estate.
fn class_of(database: &str) -> &'static str {
    if database == "crm_transactions" { "banking" } else { "processing" }
}

/// The check packs of a class as a TOML array: its own, and those of the structure of the engines that its databases run on.
fn packs(laid: &Laid, class: &str, own: &[&str]) -> String {
    let engines = laid.databases.iter().filter(|database| class_of(&database.database) == class);
    let structure = engines.map(|database| if database.kind == "rds-mysql" { "structure-mysql" } else { "structure-postgres" });
    let quoted: Vec<String> = own.iter().copied().chain(structure).map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn resource(text: &mut String, id: &str, application: &str, kind: &str, class: &str, source: &str) {
    let _ = write!(
        text,
        "\n[[resource]]\nid = \"{id}\"\napplication = \"{application}\"\nkind = \"{kind}\"\nclass = \"{class}\"\nsource = \"{source}\"\n\
         manifests = \"manifests/{id}\"\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::ResourceId;
    use crate::sandbox::demo::estate::LaidDatabase;

    fn laid(databases: &[(&str, &str)]) -> Laid {
        let database = |&(name, kind): &(&str, &str)| LaidDatabase {
            resource: ResourceId(name.replace('_', "-")),
            kind: kind.into(),
            database: name.into(),
            port: 1,
        };
        Laid { points: Vec::new(), password: "secret".into(), databases: databases.iter().map(database).collect() }
    }

    fn checks(laid: &Laid, class: &str) -> Vec<String> {
        let table: toml::Table = text(laid).parse().expect("TOML");
        let packs = table["class"][class]["checks"].as_array().expect("an array");
        packs.iter().map(|pack| pack.as_str().expect("a name").to_owned()).collect()
    }

    #[test]
    fn a_class_has_the_structural_checks_of_the_engines_that_were_found() {
        let both = laid(&[("crm_transactions", "rds-mysql"), ("file_processing", "rds-postgres")]);
        assert_eq!(checks(&both, "banking"), ["bank", "structure-mysql"]);
        assert_eq!(checks(&both, "processing"), ["structure-postgres"]);
        let one = laid(&[("crm_transactions", "rds-postgres")]);
        assert_eq!(checks(&one, "banking"), ["bank", "structure-postgres"]);
        assert!(checks(&one, "processing").is_empty());
        assert_eq!(checks(&laid(&[]), "banking"), ["bank"]);
    }
}
