//! What lies beside AWS, in all directories of a resource.
//!
//! Not here: what a directory holds (`local_points`).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::ResourceId;
use crate::model::recovery_point::RecoveryPoint;
use crate::model::resource::PointSource;

/// The points of each resource, as far as its directories are listed.
#[derive(Debug, Default)]
pub struct Beside(BTreeMap<ResourceId, Vec<RecoveryPoint>>);

impl Beside {
    /// Adds what a directory holds; gives all that is known of the resource.
    pub fn add(&mut self, resource: &ResourceId, points: &[RecoveryPoint]) -> &[RecoveryPoint] {
        let all = self.0.entry(resource.clone()).or_default();
        all.extend_from_slice(points);
        all
    }

    /// The files that have the name of this point, where there are several: files of one name in two directories are two, and which of them a
    /// manifest names nobody knows. So none of them is a point, the one that was listed first included.
    pub fn named_alike(&self, point: &RecoveryPoint) -> BTreeSet<String> {
        let of_resource = self.0.get(&point.resource).into_iter().flatten().filter(|_| point.from == PointSource::Local);
        let files: BTreeSet<String> = of_resource.filter(|one| one.id == point.id).map(|one| one.handle.clone()).collect();
        if files.len() > 1 { files } else { BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use crate::estate::catalogue::{Sources, catalogue};
    use crate::estate::config::Config;
    use crate::model::clock::Timestamp;
    use crate::model::exclusion;
    use crate::model::ids::PointId;
    use crate::testing_log::body::Excluded;

    use super::*;

    #[tokio::test]
    async fn of_files_of_one_name_in_several_directories_none_is_a_point() {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::from(
            "version = 1\n[log]\npath = \"log\"\norigin = \"o\"\n[keys]\nsigning = \"a\"\nhash = \"b\"\n[class.c]\n\
             [[resource]]\nid = \"pg\"\napplication = \"a\"\nkind = \"files\"\nclass = \"c\"\nsource = \"dir:x\"\n",
        );
        for (day, names) in [("mon", &["small.dump", "of-mon.dump"][..]), ("tue", &["small.dump"]), ("wed", &["small.dump", "of-wed.dump"])]
        {
            let vault = folder.path().join(day);
            std::fs::create_dir(&vault).unwrap();
            names.iter().for_each(|name| std::fs::write(vault.join(name), day).unwrap());
            text += &format!("[[resource.points]]\nfrom = \"local\"\npath = \"{}\"\n", vault.display());
        }
        let config: Config = toml::from_str(&text).unwrap();
        let named = BTreeMap::from([(PointId("file:pg/small.dump".into()), Timestamp(5_000_000))]);
        let listed = catalogue(&config, &Sources { session: None, has_driver: &|_, _| true, named: &named }).await;
        let ids: Vec<&str> = listed.eligible.iter().map(|point| point.id.0.as_str()).collect();
        assert_eq!(ids, ["file:pg/of-mon.dump", "file:pg/of-wed.dump"]);
        let beside = |day: &str| format!("file:pg/small.dump at {}", folder.path().join(day).join("small.dump").display());
        let expected = ["mon", "tue", "wed"].map(|day| Excluded { id: beside(day), reason: exclusion::NAMED_TWICE.to_owned() });
        assert_eq!(listed.excluded, expected);
    }
}
