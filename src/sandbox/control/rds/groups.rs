//! Subnet groups and parameter groups, as far as a guard looks at them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::failure::Failure;
use crate::sandbox::control::answer::{Refused, Xml};
use crate::sandbox::control::rds::form::Form;
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::rds::render;
use crate::sandbox::control::rds::state::ParameterGroup;

/// The parameter groups that are always there, with their families.
const DEFAULTS: &[(&str, &str)] = &[("default.postgres", "postgres"), ("default.mariadb", "mariadb"), ("default.mysql", "mysql")];

impl Rds {
    /// Lays a subnet group in a VPC.
    pub fn lay_subnet_group(&self, name: &str, vpc: &str) -> Result<(), Failure> {
        self.state.change(|state| state.subnet_groups.insert(name.into(), vpc.into())).map(drop)
    }

    pub(super) fn vpc_of(&self, group: Option<&str>) -> Option<String> {
        self.state.read(|state| state.subnet_groups.get(group?).cloned())
    }

    pub(super) fn describe_subnet_groups(&self, form: &Form) -> Result<Xml, Refused> {
        let wanted = form.get("DBSubnetGroupName");
        let groups = self.state.read(|state| state.subnet_groups.clone());
        let found: Vec<_> = groups.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name.as_str())).collect();
        if let (Some(wanted), true) = (wanted, found.is_empty()) {
            return Err(Refused::not_found("DBSubnetGroupNotFoundFault", format!("DB subnet group '{wanted}' does not exist.")));
        }
        let mut xml = Xml::default();
        xml.within("DBSubnetGroups", |xml| {
            for (name, vpc) in found {
                xml.within("DBSubnetGroup", |xml| render::subnet_group(xml, name, vpc));
            }
        });
        Ok(xml)
    }

    /// CreateDBSubnetGroup. There is no EC2 here: a subnet's name is that of its VPC and a letter, as this RDS lists subnets.
    pub(super) fn create_subnet_group(&self, form: &Form) -> Result<Xml, Refused> {
        let name = form.need("DBSubnetGroupName")?.to_ascii_lowercase();
        form.need("DBSubnetGroupDescription")?;
        let subnets =
            form.list("SubnetIds").ok_or_else(|| Refused::new("MissingParameter", "The request must contain the parameter SubnetIds."))?;
        let mut zones = BTreeSet::new();
        let mut vpcs = BTreeSet::new();
        for subnet in &subnets {
            let parts = subnet.strip_prefix("subnet-").and_then(|rest| rest.split_at_checked(rest.len().saturating_sub(1)));
            let Some((vpc, zone)) = parts.filter(|(vpc, zone)| !vpc.is_empty() && matches!(*zone, "a" | "b")) else {
                return Err(Refused::new("InvalidSubnet", format!("The subnet {subnet} does not exist.")));
            };
            vpcs.insert(format!("vpc-{vpc}"));
            zones.insert(zone);
        }
        let [vpc] = &vpcs.into_iter().collect::<Vec<_>>()[..] else {
            return Err(Refused::new("InvalidSubnet", "The subnets are not all in the same VPC."));
        };
        if zones.len() < 2 {
            let said =
                "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Please add subnets to cover at least 2 AZs.";
            return Err(Refused::new("DBSubnetGroupDoesNotCoverEnoughAZs", said));
        }
        let made = self.state.change(|state| {
            let is_new = !state.subnet_groups.contains_key(&name);
            state.subnet_groups.entry(name.clone()).or_insert_with(|| vpc.clone());
            is_new
        })?;
        if !made {
            return Err(Refused::new("DBSubnetGroupAlreadyExists", format!("The DB subnet group '{name}' already exists.")));
        }
        let mut xml = Xml::default();
        xml.within("DBSubnetGroup", |xml| render::subnet_group(xml, &name, vpc));
        Ok(xml)
    }

    pub(super) fn delete_subnet_group(&self, form: &Form) -> Result<Xml, Refused> {
        let name = form.need("DBSubnetGroupName")?.to_ascii_lowercase();
        let in_use = self.state.read(|state| state.instances.values().any(|one| one.settings.subnet_group.as_deref() == Some(&name)));
        if in_use {
            return Err(Refused::new("InvalidDBSubnetGroupStateFault", format!("The DB subnet group '{name}' is in use.")));
        }
        match self.state.change(|state| state.subnet_groups.remove(&name))? {
            Some(_) => Ok(Xml::default()),
            None => Err(Refused::not_found("DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist."))),
        }
    }

    pub(super) fn has_parameter_group(&self, name: &str) -> bool {
        DEFAULTS.iter().any(|(default, _)| *default == name) || self.state.read(|state| state.parameter_groups.contains_key(name))
    }

    pub(super) fn create_parameter_group(&self, form: &Form) -> Result<Xml, Refused> {
        let name = form.need("DBParameterGroupName")?.to_ascii_lowercase();
        let family = form.need("DBParameterGroupFamily")?.to_owned();
        let group = ParameterGroup { family, description: form.need("Description")?.to_owned(), parameters: BTreeMap::new() };
        if self.has_parameter_group(&name) {
            return Err(Refused::new("DBParameterGroupAlreadyExists", format!("Parameter group {name} already exists")));
        }
        self.state.change(|state| state.parameter_groups.insert(name.clone(), group.clone()))?;
        let mut xml = Xml::default();
        xml.within("DBParameterGroup", |xml| put_parameter_group(xml, &name, &group.family, &group.description));
        Ok(xml)
    }

    pub(super) fn modify_parameter_group(&self, form: &Form) -> Result<Xml, Refused> {
        let name = form.need("DBParameterGroupName")?.to_ascii_lowercase();
        let set = form.structures("Parameters", "ParameterName", "ParameterValue");
        let found = self.state.change(|state| state.parameter_groups.get_mut(&name).map(|group| group.parameters.extend(set)))?;
        found.ok_or_else(|| absent_parameter_group(&name))?;
        let mut xml = Xml::default();
        xml.put("DBParameterGroupName", name);
        Ok(xml)
    }

    /// DescribeDBParameters: what a user set, which is all that this RDS knows of.
    pub(super) fn describe_parameters(&self, form: &Form) -> Result<Xml, Refused> {
        let name = form.need("DBParameterGroupName")?.to_ascii_lowercase();
        if !self.has_parameter_group(&name) {
            return Err(absent_parameter_group(&name));
        }
        let parameters =
            self.state.read(|state| state.parameter_groups.get(&name).map(|group| group.parameters.clone())).unwrap_or_default();
        let mut xml = Xml::default();
        xml.within("Parameters", |xml| {
            for (name, value) in &parameters {
                xml.within("Parameter", |xml| {
                    xml.put("ParameterName", name);
                    xml.put("ParameterValue", value);
                    xml.put("Source", "user");
                    xml.put("ApplyMethod", "pending-reboot");
                    xml.put("IsModifiable", true);
                });
            }
        });
        Ok(xml)
    }

    pub(super) fn describe_parameter_groups(&self, form: &Form) -> Result<Xml, Refused> {
        let wanted = form.get("DBParameterGroupName");
        let mut groups: Vec<(String, String, String)> =
            DEFAULTS.iter().map(|(name, family)| ((*name).into(), (*family).into(), "The sandbox's default".into())).collect();
        groups.extend(self.state.read(|state| {
            let own = state.parameter_groups.iter();
            own.map(|(name, group)| (name.clone(), group.family.clone(), group.description.clone())).collect::<Vec<_>>()
        }));
        groups.retain(|(name, ..)| wanted.is_none_or(|wanted| wanted == name));
        if let (Some(wanted), true) = (wanted, groups.is_empty()) {
            return Err(absent_parameter_group(wanted));
        }
        let mut xml = Xml::default();
        xml.within("DBParameterGroups", |xml| {
            for (name, family, description) in &groups {
                xml.within("DBParameterGroup", |xml| put_parameter_group(xml, name, family, description));
            }
        });
        Ok(xml)
    }
}

fn put_parameter_group(xml: &mut Xml, name: &str, family: &str, description: &str) {
    xml.put("DBParameterGroupName", name);
    xml.put("DBParameterGroupFamily", family);
    xml.put("Description", description);
}

/// `DBParameterGroupNotFound`.
pub fn absent_parameter_group(name: &str) -> Refused {
    Refused::not_found("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}"))
}
