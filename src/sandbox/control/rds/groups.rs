//! Subnet groups and parameter groups, as far as a guard looks at them.

use crate::model::failure::Failure;
use crate::sandbox::control::answer::{Refused, Xml};
use crate::sandbox::control::rds::form::Form;
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::rds::render;

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

    pub(super) fn describe_parameter_groups(&self, form: &Form) -> Result<Xml, Refused> {
        let families = [("default.postgres", "postgres"), ("default.mariadb", "mariadb"), ("default.mysql", "mysql")];
        let wanted = form.get("DBParameterGroupName");
        let found: Vec<_> = families.into_iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).collect();
        if let (Some(wanted), true) = (wanted, found.is_empty()) {
            return Err(Refused::not_found("DBParameterGroupNotFound", format!("DBParameterGroup not found: {wanted}")));
        }
        let mut xml = Xml::default();
        xml.within("DBParameterGroups", |xml| {
            for (name, family) in found {
                xml.within("DBParameterGroup", |xml| {
                    xml.put("DBParameterGroupName", name);
                    xml.put("DBParameterGroupFamily", family);
                    xml.put("Description", "The sandbox's default");
                });
            }
        });
        Ok(xml)
    }
}
