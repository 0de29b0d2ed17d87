//! What the configuration demanded that a drill was held under, where its bytes are still in the evidence of `policy.set`: read for
//! what results can be held to, and for nothing else.
//!
//! Not here: whether it is a good configuration (`estate`), which lies above this room. What cannot be read demands nothing.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::testing_log::due::SampleSize;

/// The demands that results can be held to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Demands {
    /// `[isolation]`, where there is one.
    pub isolation: Option<IsolationDemanded>,
    /// Each resource.
    pub resources: BTreeMap<String, ResourceDemanded>,
    /// `[class.NAME]`, as `policy.set` states it; without the SQL checks, which stand in files of their own.
    pub classes: BTreeMap<String, ClassDemanded>,
    /// What happens to a point without a manifest, by class, where that is not that it stays untested.
    pub without_manifest: BTreeMap<String, String>,
    /// How many points are to be drawn, by class: nothing is every one.
    pub samples: BTreeMap<String, Option<SampleSize>>,
}

/// `[[resource]]`: what it is, and where its points may come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ResourceDemanded {
    /// `kind`
    pub kind: String,
    /// `source`
    pub source: String,
    /// `class`
    pub class: String,
    /// `[[resource.points]]`
    pub points: Vec<PointsDemanded>,
    /// `names`: what tables and columns of checks are called in its database, where that is otherwise.
    pub names: BTreeMap<String, String>,
}

impl ResourceDemanded {
    /// What its database calls a table of a check.
    pub fn table<'n>(&'n self, table: &'n str) -> &'n str {
        self.names.get(table).map_or(table, String::as_str)
    }
}

/// `[[resource.points]]`
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PointsDemanded {
    /// `from`
    pub from: String,
    /// `vault`
    pub vault: Option<String>,
    /// `region`, where it is another than the drill's own.
    pub region: Option<String>,
    /// `at`
    pub at: Vec<String>,
}

/// `[class.NAME]`: absent is what is not demanded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClassDemanded {
    /// Recovery time objective.
    pub rto_s: Option<u64>,
    /// Recovery point objective.
    pub rpo_s: Option<u64>,
    /// Every resource is drilled within this time.
    pub test_period_s: Option<u64>,
    /// How near to its second the data of a point in time has to come.
    pub second_within_s: Option<u64>,
    /// How many undecided rows, objects or items a point may have.
    pub indeterminate_budget: u64,
    /// How S3 points are read, where not restored.
    pub access: Option<String>,
    /// The packs of SQL checks, as they are named.
    pub packs: Vec<String>,
}

/// `[isolation]`: absent is what is not demanded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IsolationDemanded {
    /// The only account.
    pub account: Option<String>,
    /// What names start with.
    pub prefix: Option<String>,
    /// The DB subnet group.
    pub subnet_group: Option<String>,
    /// The VPC.
    pub vpc: Option<String>,
    /// The security groups, sorted, as a look spells them; empty where none are demanded.
    pub security_groups: String,
    /// The DB parameter groups, by engine.
    pub parameter_groups: BTreeMap<String, String>,
    /// The key.
    pub key: Option<String>,
}

impl Demands {
    /// Out of the bytes of a configuration; nothing where they are no TOML.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let table: Table = std::str::from_utf8(bytes).ok()?.parse().ok()?;
        let resources = table.get("resource").and_then(Value::as_array).into_iter().flatten().filter_map(resource);
        let classes = || table.get("class").and_then(Value::as_table).into_iter().flatten();
        let without = |class: &Value| text(class.as_table()?, "when_no_manifest").filter(|word| word != "untested");
        Some(Self {
            isolation: table.get("isolation").and_then(Value::as_table).map(isolation),
            resources: resources.collect(),
            classes: classes().filter_map(|(name, value)| Some((name.clone(), class(value.as_table()?)))).collect(),
            without_manifest: classes().filter_map(|(name, value)| Some((name.clone(), without(value)?))).collect(),
            samples: classes().filter_map(|(name, value)| Some((name.clone(), sample(value.as_table()?)?))).collect(),
        })
    }
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn isolation(table: &Table) -> IsolationDemanded {
    let groups = table.get("security_group_ids").and_then(Value::as_array).into_iter().flatten();
    let mut groups: Vec<&str> = groups.filter_map(Value::as_str).collect();
    groups.sort_unstable();
    let by_engine = table.get("parameter_groups").and_then(Value::as_table).into_iter().flatten();
    IsolationDemanded {
        account: text(table, "account_id"),
        prefix: text(table, "name_prefix"),
        subnet_group: text(table, "subnet_group"),
        vpc: text(table, "vpc_id"),
        security_groups: groups.join(" "),
        parameter_groups: by_engine.filter_map(|(engine, group)| Some((engine.clone(), group.as_str()?.to_owned()))).collect(),
        key: text(table, "kms_key_arn"),
    }
}

fn class(table: &Table) -> ClassDemanded {
    let budget = table.get("indeterminate_budget").and_then(Value::as_integer);
    let packs = table.get("checks").and_then(Value::as_array).into_iter().flatten();
    ClassDemanded {
        rto_s: seconds(table, "rto"),
        rpo_s: seconds(table, "rpo"),
        test_period_s: seconds(table, "test_period"),
        second_within_s: seconds(table, "second_within"),
        indeterminate_budget: budget.and_then(|budget| u64::try_from(budget).ok()).unwrap_or(0),
        access: text(table, "access").filter(|access| access != "restore"),
        packs: packs.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

/// `sample`, which may be absent; nothing where it is of no form that is known.
fn sample(class: &Table) -> Option<Option<SampleSize>> {
    let Some(written) = class.get("sample") else { return Some(None) };
    written.clone().try_into().ok().map(Some)
}

/// A length of time such as `4h`, in seconds; nothing for `not_required`.
fn seconds(table: &Table, key: &str) -> Option<u64> {
    let text = text(table, key)?;
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(unit)
}

fn resource(value: &Value) -> Option<(String, ResourceDemanded)> {
    let table = value.as_table()?;
    let points = table.get("points").and_then(Value::as_array).into_iter().flatten();
    let points = points.filter_map(|points| {
        let table = points.as_table()?;
        let at = table.get("at").and_then(Value::as_array).into_iter().flatten();
        Some(PointsDemanded {
            from: text(table, "from")?,
            vault: text(table, "vault"),
            region: text(table, "region"),
            at: at.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    });
    let names = table.get("names").and_then(Value::as_table).into_iter().flatten();
    let names = names.filter_map(|(name, other)| Some((name.clone(), other.as_str()?.to_owned())));
    let or_none = |key: &str| text(table, key).unwrap_or_default();
    let (kind, source, class) = (text(table, "kind")?, or_none("source"), or_none("class"));
    Some((text(table, "id")?, ResourceDemanded { kind, source, class, points: points.collect(), names: names.collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_results_are_held_to_is_read_and_the_rest_is_not() {
        let text = r#"
version = 1
[isolation]
account_id = "1"
name_prefix = "drill-"
security_group_ids = ["sg-b", "sg-a"]
parameter_groups = { postgres = "pg" }
[class.gold]
rto = "4h"
rpo = "not_required"
second_within = "2s"
access = "restore"
indeterminate_budget = 3
checks = ["bank", "own/check.sql"]
[class.tin]
when_no_manifest = "invariants"
sample = { count = 2 }
[class.zinc]
sample = "some"
[[resource]]
id = "crm"
kind = "rds-postgres"
source = "crm-db"
class = "gold"
points = [{ from = "rds-snapshot" }, { from = "rds-pitr", region = "r", at = ["latest"] }]
[resource.names]
accounts = "acct"
"accounts.id" = "no"
"#;
        let demands = Demands::of(text.as_bytes()).unwrap();
        let isolation = demands.isolation.unwrap();
        assert_eq!((isolation.account.as_deref(), isolation.security_groups.as_str()), (Some("1"), "sg-a sg-b"));
        assert_eq!((isolation.vpc, isolation.parameter_groups["postgres"].as_str()), (None, "pg"));
        let crm = &demands.resources["crm"];
        let from: Vec<&str> = crm.points.iter().map(|points| points.from.as_str()).collect();
        assert_eq!((crm.kind.as_str(), crm.source.as_str(), from), ("rds-postgres", "crm-db", vec!["rds-snapshot", "rds-pitr"]));
        assert_eq!((crm.names.len(), crm.table("accounts"), crm.table("entries")), (2, "acct", "entries"));
        assert_eq!((crm.points[1].region.as_deref(), crm.points[1].at.as_slice()), (Some("r"), &["latest".to_owned()][..]));
        let packs = vec!["bank".to_owned(), "own/check.sql".to_owned()];
        let gold =
            ClassDemanded { rto_s: Some(14_400), second_within_s: Some(2), indeterminate_budget: 3, packs, ..ClassDemanded::default() };
        let none = ClassDemanded::default();
        assert_eq!(
            demands.classes,
            BTreeMap::from([("gold".to_owned(), gold), ("tin".to_owned(), none.clone()), ("zinc".to_owned(), none)])
        );
        assert_eq!(demands.without_manifest, BTreeMap::from([("tin".to_owned(), "invariants".to_owned())]));
        let two = SampleSize { count: Some(2), confidence_ppm: None, tolerable_ppm: None };
        assert_eq!(demands.samples, BTreeMap::from([("gold".to_owned(), None), ("tin".to_owned(), Some(two))]), "no form that is known");
        assert_eq!(crm.class, "gold");
        assert_eq!(Demands::of(b"version = 1\n"), Some(Demands::default()));
        assert!(Demands::of(b"\xff").is_none() && Demands::of(b"=").is_none());
    }
}
