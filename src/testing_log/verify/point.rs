//! The recovery point of a result is the one that was committed, of the kind and from where its identity and the configuration say.

use crate::model::ids::PointId;
use crate::testing_log::body::PopulationItem;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};

/// What comes before the service in an ARN.
const ARN: &str = "arn:";

/// Whether a point lies beside AWS: it is dated by the clock of the machine that drills.
pub fn is_local(id: &PointId) -> bool {
    id.0.starts_with("file:")
}

/// Checks what a result says of its point.
pub fn check(result: &Placed<'_, PointResult>, item: Option<&PopulationItem>, demands: Option<&Demands>, faults: &mut Faults) {
    let (body, point) = (result.body, &result.body.rp);
    let mut differs = |holds: bool, what: String| faults.demand(holds, Rule::FactDiffers, result.leaf, || what);
    if let Some(item) = item {
        let what = format!("`{}` was committed as of {}, found {}", point.id, item.created_at, point.created_at);
        differs(item.created_at == point.created_at, what);
    }
    let what = format!("`{}` is said to come from `{}`", point.id, point.from);
    differs((point.from == "local") == is_local(&point.id), what);
    let service = point.id.0.strip_prefix(ARN).and_then(|rest| rest.split(':').nth(1)).unwrap_or_default();
    let fits = match service {
        "rds" => point.kind.starts_with("rds-"),
        "dynamodb" => point.kind == "dynamodb",
        "s3" => point.kind == "s3",
        _ => true,
    };
    differs(fits, format!("`{}` is said to be of the kind {}", point.id, point.kind));
    if let Some(demanded) = demands.and_then(|demands| demands.resources.get(&body.resource.0)) {
        let listed: Vec<&str> = demanded.points.iter().map(|points| points.from.as_str()).collect();
        let what = format!(
            "{} is of the kind {} with points from {} in the configuration, found {} from {}",
            body.resource,
            demanded.kind,
            listed.join(", "),
            point.kind,
            point.from
        );
        differs(demanded.kind == point.kind && listed.contains(&point.from.as_str()), what);
    }
}
