//! What a restore driver can do. One contract suite holds for all of them (`tests/drill/aws/drivers.rs`).
//!
//! A driver asks for a restore, follows it, and says where the restored data is read. It never decides whether it may (that is the
//! permit), whether the target is isolated (the guard), or when anything is deleted (teardown).

use async_trait::async_trait;

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::verify::sql::connect::keeper::Keeping;

/// What the service said when the restore was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accepted {
    /// Its id of the job, where there is one.
    pub job_id: Option<String>,
    /// What it says it will create, where it says so at once.
    pub created_arn: Option<String>,
}

/// How far a restore is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Not ready.
    Waiting {
        /// In the service's words.
        status: String,
    },
    /// Complete, described, and of the right type and name.
    Ready {
        /// In the service's words.
        status: String,
        /// What was created.
        created_arn: String,
        /// The raw description, as evidence.
        raw: serde_json::Value,
    },
    /// Complete, and the service names something else as created: it stands somewhere, and is not of the target's name.
    Elsewhere {
        /// In the service's words.
        status: String,
        /// What was expected and what was found.
        message: String,
        /// What the service says that it created.
        created_arn: String,
        /// The raw description, as evidence.
        raw: serde_json::Value,
    },
    /// The service gave up, or answered what cannot be believed.
    Failed {
        /// In the service's words.
        status: String,
        /// What was expected and what was found.
        message: String,
        /// The raw description, as evidence.
        raw: serde_json::Value,
    },
}

/// Where the restored data is read.
#[derive(Clone, PartialEq, Debug)]
pub struct Opened {
    /// The source.
    pub url: SourceUrl,
    /// The Region that it is read in.
    pub region: Option<String>,
    /// User and password of a database; absent where its URL asks for tokens.
    pub login: Option<(String, String)>,
    /// What the drill's own password opens. Whoever else is asked for it is not what was restored.
    pub proof: Option<Proof>,
    /// Why nothing can be read of it: the backup itself did not come back. A verdict on the backup, not an error.
    pub unreadable: Option<String>,
    /// What brings its server back where that ends while it is read; of servers of our own.
    pub keeper: Option<Keeping>,
}

/// A login that nothing but the restored database takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Proof {
    /// The same database, with a password and not with tokens.
    pub url: SourceUrl,
    /// The master user.
    pub user: String,
    /// The drill's own password.
    pub password: String,
}

/// One way to bring a recovery point back.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The call, such as `aws-backup:StartRestoreJob`.
    fn mechanism(&self) -> &'static str;

    /// The kind of its targets.
    fn target_kind(&self) -> TargetKind;

    /// Whether the target is a container of our own, made and furnished before the restore goes into it.
    fn makes_container(&self) -> bool {
        false
    }

    /// Whether `request` itself restores, and takes its time: it may be dropped, and what it began is ended by [`Driver::cut_short`].
    fn restores_in_request(&self) -> bool {
        false
    }

    /// Whether this program restores, and no service that would accept a request first: all that it takes is the restore's time.
    fn restores_itself(&self) -> bool {
        self.restores_in_request()
    }

    /// Ends what a dropped `request` has begun; it is begun anew when it is asked for again.
    async fn cut_short(&self, _order: &Order) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether anything is restored: where the recovery point is read where it lies, no recovery time is measured.
    fn restores(&self) -> bool {
        true
    }

    /// It is not waited for longer than this, whatever the drill's own patience; in seconds.
    fn longest_s(&self) -> Option<u64> {
        None
    }

    /// Whether a password of the drill's own is set before reading.
    fn sets_password(&self) -> bool {
        false
    }

    /// Makes the container.
    async fn make_container(&self, _order: &Order, _clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        Err(Failure::invalid(format!("{} has no container to make for {}", self.mechanism(), permit.target().name)))
    }

    /// Asks for the restore. May be called again with the same order after a crash: a target that is there is adopted.
    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure>;

    /// Looks how far it is. `COMPLETED` is not believed: what was created is described.
    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure>;

    /// Sets the drill's own password.
    async fn set_password(&self, _order: &Order, _clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        Err(Failure::invalid(format!("{} has no password to set on {}", self.mechanism(), permit.target().name)))
    }

    /// Where to read it; nothing while it is not ready to be read yet.
    async fn open(&self, order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure>;
}
