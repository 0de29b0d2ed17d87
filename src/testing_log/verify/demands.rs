//! What the configuration demanded that a drill was held under, where its bytes are still in the evidence of `policy.set`: read for
//! what results can be held to, and for nothing else.
//!
//! Not here: whether it is a good configuration (`estate`), which lies above this room. What cannot be read demands nothing.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// The demands that results can be held to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Demands {
    /// `[isolation]`, where there is one.
    pub isolation: Option<IsolationDemanded>,
    /// Each resource's kind, and where its points may come from.
    pub resources: BTreeMap<String, (String, BTreeSet<String>)>,
    /// `[class.NAME]`, as `policy.set` states it; without the SQL checks, which stand in files of their own.
    pub classes: BTreeMap<String, ClassDemanded>,
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
        let classes = table.get("class").and_then(Value::as_table).into_iter().flatten();
        Some(Self {
            isolation: table.get("isolation").and_then(Value::as_table).map(isolation),
            resources: resources.collect(),
            classes: classes.filter_map(|(name, value)| Some((name.clone(), class(value.as_table()?)))).collect(),
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
    ClassDemanded {
        rto_s: seconds(table, "rto"),
        rpo_s: seconds(table, "rpo"),
        test_period_s: seconds(table, "test_period"),
        second_within_s: seconds(table, "second_within"),
        indeterminate_budget: budget.and_then(|budget| u64::try_from(budget).ok()).unwrap_or(0),
        access: text(table, "access").filter(|access| access != "restore"),
    }
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

fn resource(value: &Value) -> Option<(String, (String, BTreeSet<String>))> {
    let table = value.as_table()?;
    let points = table.get("points").and_then(Value::as_array).into_iter().flatten();
    let from = points.filter_map(|points| text(points.as_table()?, "from")).collect();
    Some((text(table, "id")?, (text(table, "kind")?, from)))
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
[[resource]]
id = "crm"
kind = "rds-postgres"
points = [{ from = "rds-snapshot" }, { from = "rds-pitr" }]
"#;
        let demands = Demands::of(text.as_bytes()).unwrap();
        let isolation = demands.isolation.unwrap();
        assert_eq!((isolation.account.as_deref(), isolation.security_groups.as_str()), (Some("1"), "sg-a sg-b"));
        assert_eq!((isolation.vpc, isolation.parameter_groups["postgres"].as_str()), (None, "pg"));
        let (kind, from) = &demands.resources["crm"];
        assert_eq!((kind.as_str(), from.len(), from.contains("rds-pitr")), ("rds-postgres", 2, true));
        let gold = ClassDemanded { rto_s: Some(14_400), second_within_s: Some(2), indeterminate_budget: 3, ..ClassDemanded::default() };
        assert_eq!(demands.classes, BTreeMap::from([("gold".to_owned(), gold)]));
        assert_eq!(Demands::of(b"version = 1\n"), Some(Demands::default()));
        assert!(Demands::of(b"\xff").is_none() && Demands::of(b"=").is_none());
    }
}
