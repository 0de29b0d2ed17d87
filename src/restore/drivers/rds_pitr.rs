//! RDS to a point in time, to the second, in an instance of a new name (RestoreDBInstanceToPointInTime: no token, so it is described before
//! a retry). That the service has honoured the time is not believed: the manifest and the newest stamp in the data say so.

use async_trait::async_trait;

use crate::aws::rds::RestoreFrom;
use crate::model::failure::Failure;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::instances;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;

/// The driver.
pub struct RdsPitr;

#[async_trait]
impl Driver for RdsPitr {
    fn mechanism(&self) -> &'static str {
        "rds:RestoreDBInstanceToPointInTime"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::DbInstance
    }

    fn sets_password(&self) -> bool {
        true
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let from = RestoreFrom::Time { instance: instances::source_name(order).to_owned(), at: order.point.created_at };
        instances::request(order, clouds, permit, from).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        instances::poll(order, clouds, accepted).await
    }

    async fn set_password(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        instances::set_password(order, clouds, &permit).await
    }

    async fn open(&self, order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        instances::open(order, clouds).await
    }
}
