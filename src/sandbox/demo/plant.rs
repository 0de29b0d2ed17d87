//! Plants damage in recovery points, after the manifests were captured, and writes down the trace that each has to leave.

use std::path::Path;

use serde_json::json;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Kind};
use crate::model::outcome::Outcome;
use crate::sandbox::control::backup::points::PointDamage;
use crate::sandbox::control::dynamodb::backups::ItemDamage;
use crate::sandbox::control::faults::RestoreFault;
use crate::sandbox::demo::data::{self, LARGEST_OBJECT, VaultKey};
use crate::sandbox::demo::estate::{Laid, LaidPoint, TABLE, set_modified};
use crate::sandbox::demo::score::{Expectation, Planted};
use crate::sandbox::s3::snapshot::Damage;
use crate::sandbox::server::Running;

/// Damages what [`crate::sandbox::demo::estate::lay`] laid. Every fault is in a recovery point; the sources stay whole.
pub async fn plant(sandbox: &Running, dir: &Path, laid: &Laid, now: Timestamp) -> Result<Vec<Planted>, Failure> {
    let mut planted = plant_in_vault(sandbox, laid).await?;
    planted.extend(plant_in_databases(sandbox, laid).await?);
    planted.extend(plant_in_table(sandbox, laid, now).await?);
    planted.extend(plant_in_local_copy(dir, laid)?);
    Ok(planted)
}

fn fault(point: &LaidPoint, what: &str, expect: Expectation) -> Planted {
    Planted { point: point.id.clone(), what: what.to_owned(), expect }
}

fn finding(class: Class, kind: Kind, place: &str, prefix: bool) -> Expectation {
    Expectation::Finding { class, kind, place: place.to_owned(), prefix }
}

fn point<'a>(laid: &'a Laid, resource: &str, role: &str) -> Result<&'a LaidPoint, Failure> {
    laid.point(resource, role).ok_or_else(|| Failure::new(FailureKind::Absent, format!("the demo laid no point `{role}` of {resource}")))
}

/// A flipped byte, a missing object, a missing version and an extra object in one recovery point; another whose restore fails.
async fn plant_in_vault(sandbox: &Running, laid: &Laid) -> Result<Vec<Planted>, Failure> {
    let damaged = point(laid, "file-vault", "damaged")?;
    let keys = data::vault_keys();
    let nth = |n: usize, fits: &dyn Fn(&VaultKey) -> bool| {
        let found = keys.iter().filter(|key| fits(key)).nth(n).map(|key| key.key.clone());
        found.ok_or_else(|| Failure::new(FailureKind::Absent, "the demo's vault has no such key"))
    };
    let single = |key: &VaultKey| key.versions.len() == 1 && !key.deleted && key.versions[0] > 4_096;
    let flipped = nth(0, &|key| key.versions == [LARGEST_OBJECT])?;
    let missing = nth(200, &single)?;
    let thinned = nth(30, &|key| key.versions.len() == 3 && !key.deleted)?;
    let extra = "incoming/judgments/2026/07/01/never-received.bin".to_owned();
    let damages = [
        (
            Damage::FlipByte { key: flipped.clone(), seq: 0, offset: 33_554_433 },
            "a flipped byte in a 64 MiB object",
            Class::Mismatch,
            flipped,
        ),
        (Damage::RemoveKey { key: missing.clone() }, "a missing object", Class::Missing, missing),
        (Damage::RemoveVersion { key: thinned.clone(), seq: 1 }, "a missing version", Class::Missing, thinned),
        (Damage::AddObject { key: extra.clone(), bytes: b"not ours".to_vec() }, "an extra object", Class::Extra, extra),
    ];
    let mut planted = Vec::new();
    for (damage, what, class, key) in damages {
        sandbox.control().backup().damage(&damaged.id.0, &PointDamage::Object(damage)).await?;
        planted.push(fault(damaged, what, finding(class, Kind::Object, &key, false)));
    }
    let fails = point(laid, "file-vault", "fails")?;
    let message = "Access Denied by the bucket policy of the target".to_owned();
    sandbox.control().faults().on_restore(&fails.id.0, RestoreFault::Fails { message: message.clone() })?;
    planted.push(fault(fails, "a restore job that fails", Expectation::Outcome { outcome: Outcome::Error, words: message }));
    Ok(planted)
}

/// A changed row and a lost row in one database; a surplus row in the other.
async fn plant_in_databases(sandbox: &Running, laid: &Laid) -> Result<Vec<Planted>, Failure> {
    let mut planted = Vec::new();
    let backup = sandbox.control().backup();
    for database in &laid.databases {
        let damaged = point(laid, &database.resource.0, "damaged")?;
        let sql = |text: &str| PointDamage::Sql { database: Some(database.database.clone()), text: text.to_owned() };
        if database.database == "crm_transactions" {
            // The new address is as long as the old one, and no SQL check looks at it: only the fingerprint sees it.
            backup.damage(&damaged.id.0, &sql("UPDATE customers SET email = 'custumer-1234@example.com' WHERE id = 1234;")).await?;
            planted.push(fault(damaged, "a changed row", finding(Class::Mismatch, Kind::Row, "customers id=1234", false)));
            backup.damage(&damaged.id.0, &sql("DELETE FROM transactions WHERE id = 20001;")).await?;
            let lost = finding(Class::Missing, Kind::Row, "transactions #", true);
            planted.push(fault(damaged, "a lost row", lost));
            for (id, what) in [
                ("bank.ledger-balances", "a ledger that no longer balances for it"),
                ("bank.transactions-not-fewer", "a table that has shrunk by it"),
            ] {
                planted.push(fault(damaged, what, Expectation::Check { id: id.into() }));
            }
        } else {
            let row = "INSERT INTO consignments (id, object_key, received_at, bytes, sealed, labels, facts, digest) \
                       SELECT 900001, object_key, received_at, bytes, sealed, labels, facts, digest FROM consignments WHERE id = 17;";
            backup.damage(&damaged.id.0, &sql(row)).await?;
            planted.push(fault(damaged, "a surplus row", finding(Class::Extra, Kind::Row, "consignments id=900001", false)));
        }
    }
    Ok(planted)
}

/// A changed item in one recovery point; a restore that says COMPLETED and brings nothing for another.
async fn plant_in_table(sandbox: &Running, laid: &Laid, now: Timestamp) -> Result<Vec<Planted>, Failure> {
    let damaged = point(laid, TABLE, "damaged")?;
    let item = data::audit_item(1_287, now);
    let key = json!({"actor": item["actor"], "seq": item["seq"]});
    let change = ItemDamage::Change { key, set: json!({"succeeded": {"BOOL": item["succeeded"]["BOOL"] == false}}) };
    sandbox.control().backup().damage(&damaged.id.0, &PointDamage::Item(change)).await?;
    let text = |name: &str, kind: &str| item[name][kind].as_str().unwrap_or_default().to_owned();
    let place = format!("actor={} seq={}", text("actor", "S"), text("seq", "N"));
    let hollow = point(laid, TABLE, "hollow")?;
    sandbox.control().faults().on_restore(&hollow.id.0, RestoreFault::CompletesWithoutResource)?;
    let nothing = Expectation::Outcome { outcome: Outcome::Error, words: "COMPLETED".into() };
    Ok(vec![
        fault(damaged, "a changed item", finding(Class::Mismatch, Kind::Item, &place, false)),
        fault(hollow, "a restore that is COMPLETED and brings nothing", nothing),
    ])
}

/// A price changed in an off-site copy of the artist directory, its age as before.
fn plant_in_local_copy(dir: &Path, laid: &Laid) -> Result<Vec<Planted>, Failure> {
    let damaged = point(laid, "artist-directory-offsite", "damaged")?;
    let name = damaged.id.0.rsplit('/').next().unwrap_or_default();
    let path = dir.join("vault/offsite").join(name);
    let failed = |error: String| Failure::new(FailureKind::Disk, format!("cannot damage {}: {error}", path.display()));
    let age = path.metadata().and_then(|facts| facts.modified()).map_err(|error| failed(error.to_string()))?;
    let connection = rusqlite::Connection::open(&path).map_err(|error| failed(error.to_string()))?;
    connection.execute("UPDATE bookings SET price_minor = price_minor + 1 WHERE id = 77", []).map_err(|error| failed(error.to_string()))?;
    connection.close().map_err(|(_, error)| failed(error.to_string()))?;
    let age = Timestamp(chrono::DateTime::<chrono::Utc>::from(age).timestamp_micros());
    set_modified(&path, age).map_err(|error| failed(error.to_string()))?;
    Ok(vec![fault(damaged, "a changed row in a SQLite copy", finding(Class::Mismatch, Kind::Row, "bookings id=77", false))])
}
