//! The arguments that reading objects takes, in `verify` and in `manifest create`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::aws::s3_archive::Thaw;
use crate::aws::s3_customer_keys::CustomerKeys;
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::objects::fields::FieldSet;
use crate::verify::objects::filter::Filter;
use crate::verify::objects::keys::text::Form;
use crate::verify::objects::tier::Tier;

/// How objects are read, and which.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Objects")]
pub struct ObjectArgs {
    /// Which state of a bucket: latest, versions, or at=TIME [default: the manifest's, else versions where versioning was ever enabled]
    #[arg(long, value_name = "VIEW")]
    pub view: Option<crate::model::source_url::View>,
    /// Only keys that match; `*` and `?` stop at a slash, `**` does not
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// No keys that match
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// How deep evidence goes: inventory, attributes or content [default: the manifest's, else content]
    #[arg(long, value_name = "TIER")]
    pub tier: Option<Tier>,
    /// What is compared beside the bytes: none, all, protection, or some of metadata, tags, etag, storage-class, checksum, lock, hold,
    /// encryption, replication [default: the manifest's, else metadata, tags, and in the captured bucket lock, hold, encryption]
    #[arg(long, value_name = "LIST")]
    pub compare: Option<FieldSet>,
    /// Ask for readable copies of archived objects, kept for so many days; a later run reads them
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i32).range(1..))]
    pub restore_archived: Option<i32>,
    /// How fast, at what price
    #[arg(long, value_name = "SPEED", value_enum, default_value_t, requires = "restore_archived")]
    pub restore_speed: Speed,
    /// Take the keys from this list instead of listing the bucket: an S3 Inventory's manifest.json (a file, or s3://… of its
    /// destination), or what `rclone lsf`, `lsjson` or `hashsum` printed, or a checksum list
    #[arg(long, value_name = "LIST")]
    pub keys_from: Option<String>,
    /// What the list is: inventory, lsf, lsjson or hashsum [default: what it looks like]
    #[arg(long, value_name = "FORM", requires = "keys_from")]
    pub keys_form: Option<Form>,
    /// Keys of objects under SSE-C: lines of `KEY` or `KEY PREFIX`, each KEY 32 bytes in base64 or hex
    #[arg(long, value_name = "FILE")]
    pub sse_c_keys: Option<PathBuf>,
}

/// Refuses the first of `given` that was given.
pub fn refuse_first(url: &SourceUrl, why: &str, given: &[(bool, &str)]) -> Result<(), Failure> {
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => {
            Err(Failure::invalid(format!("{url} {why}, and {name} is about reading them")).hint(format!("leave {name} out")))
        }
        None => Ok(()),
    }
}

/// The retrieval tiers of S3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Speed {
    /// Hours to days, the cheapest.
    #[default]
    Bulk,
    /// Hours.
    Standard,
    /// Minutes, where the class has it.
    Expedited,
}

impl ObjectArgs {
    /// Includes and excludes.
    pub fn filter(&self) -> Result<Filter, Failure> {
        Filter::new(&self.include, &self.exclude)
    }

    /// What is asked of archived objects.
    pub fn thaw(&self) -> Option<Thaw> {
        let speed = match self.restore_speed {
            Speed::Bulk => "Bulk",
            Speed::Standard => "Standard",
            Speed::Expedited => "Expedited",
        };
        self.restore_archived.map(|days| Thaw { days, speed: speed.to_owned() })
    }

    /// The list of keys, and its form.
    pub fn keys(&self) -> Option<(String, Option<Form>)> {
        self.keys_from.clone().map(|list| (list, self.keys_form))
    }

    /// Refuses options that mean nothing for `url`, which would else look as if they had been heeded.
    pub fn refuse(&self, url: &SourceUrl) -> Result<(), Failure> {
        if matches!(url, SourceUrl::Dir { .. } | SourceUrl::S3 { .. }) {
            return Ok(());
        }
        let given = [
            (!self.include.is_empty(), "--include"),
            (!self.exclude.is_empty(), "--exclude"),
            (self.tier.is_some(), "--tier"),
            (self.compare.is_some(), "--compare"),
            (self.restore_archived.is_some(), "--restore-archived"),
            (self.sse_c_keys.is_some(), "--sse-c-keys"),
        ];
        refuse_first(url, "has no objects", &given)
    }

    /// The keys for SSE-C.
    pub fn customer_keys(&self) -> Result<CustomerKeys, Failure> {
        self.sse_c_keys.as_deref().map_or_else(|| Ok(CustomerKeys::default()), CustomerKeys::load)
    }
}
