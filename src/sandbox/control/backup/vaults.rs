//! Vaults and their locks.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::sandbox::control::answer::{Refused, epoch, now};
use crate::sandbox::control::backup::jobs::Backup;
use crate::sandbox::control::backup::refusals::{absent, invalid};
use crate::sandbox::control::backup::state::{Lock, Vault, vault_arn};
use crate::sandbox::identity::{ACCOUNT_ID, REGION};

impl Backup {
    pub(super) fn vault(&self, name: &str) -> Result<Vault, Refused> {
        self.state.read(|state| state.vaults.get(name).cloned()).ok_or_else(|| absent(format!("Backup vault {name} does not exist.")))
    }

    pub(super) fn create_vault(&self, name: &str, input: &Value) -> Result<Value, Refused> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !plain || !(2..=50).contains(&name.len()) {
            return Err(invalid(format!("Invalid vault name {name}: 2 to 50 letters, digits, hyphens and underscores.")));
        }
        let key =
            input["EncryptionKeyArn"].as_str().map_or_else(|| format!("arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/aws-backup"), str::to_owned);
        let tags = serde_json::from_value(input["BackupVaultTags"].clone()).unwrap_or_default();
        let vault = Vault { name: name.into(), key, created: now(), lock: None, tags };
        let created = vault.created;
        let taken = self.state.change(|state| {
            let free = !state.vaults.contains_key(name);
            if free {
                state.vaults.insert(name.into(), vault);
            }
            !free
        })?;
        if taken {
            return Err(Refused::new("AlreadyExistsException", format!("Backup vault with the same name already exists: {name}")));
        }
        Ok(json!({"BackupVaultName": name, "BackupVaultArn": vault_arn(name), "CreationDate": epoch(created)}))
    }

    pub(super) fn show_vault(&self, vault: &Vault) -> Value {
        let points = self.state.read(|state| state.points.values().filter(|point| point.vault == vault.name).count());
        let mut shown = json!({
            "BackupVaultName": vault.name,
            "BackupVaultArn": vault_arn(&vault.name),
            "VaultType": "BACKUP_VAULT",
            "VaultState": "AVAILABLE",
            "EncryptionKeyArn": vault.key,
            "CreationDate": epoch(vault.created),
            "NumberOfRecoveryPoints": points,
            "Locked": vault.lock.is_some(),
        });
        if let Some(lock) = &vault.lock {
            for (name, value) in [("MinRetentionDays", lock.min_days), ("MaxRetentionDays", lock.max_days)] {
                if let Some(value) = value {
                    shown[name] = value.into();
                }
            }
            if let Some(at) = lock.final_at {
                shown["LockDate"] = epoch(at);
            }
        }
        shown
    }

    pub(super) fn lock_vault(&self, name: &str, input: &Value) -> Result<(), Refused> {
        let vault = self.vault(name)?;
        if vault.lock.as_ref().and_then(|lock| lock.final_at).is_some_and(|at| at <= now()) {
            return Err(Refused::new("InvalidRequestException", format!("The lock of backup vault {name} can no longer be changed.")));
        }
        let days = |field: &str| input[field].as_i64();
        if days("ChangeableForDays").is_some_and(|days| days < 3) {
            return Err(invalid("ChangeableForDays must be at least 3."));
        }
        let lock = Lock {
            min_days: days("MinRetentionDays"),
            max_days: days("MaxRetentionDays"),
            final_at: days("ChangeableForDays").map(|days| now() + TimeDelta::days(days)),
        };
        self.state.change(|state| state.vaults.get_mut(name).map(|vault| vault.lock = Some(lock)))?;
        Ok(())
    }

    pub(super) fn delete_vault(&self, name: &str) -> Result<(), Refused> {
        self.vault(name)?;
        if self.state.read(|state| state.points.values().any(|point| point.vault == name)) {
            return Err(Refused::new(
                "InvalidRequestException",
                format!("Backup vault {name} cannot be deleted: it contains recovery points."),
            ));
        }
        self.state.change(|state| state.vaults.remove(name))?;
        Ok(())
    }
}
