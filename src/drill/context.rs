//! What a drill works with, all of it opened and checked before anything is listed or restored: fail before spending.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::Digest as _;

use crate::drill::ledger::Ledger;
use crate::drill::manifests;
use crate::estate::config::{Class, Config, IsolationDemands, Resource};
use crate::estate::load::Loaded;
use crate::estate::policy;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::ResourceId;
use crate::model::resource::PointSource;
use crate::monitor::{Event, Monitor};
use crate::restore::journal::{FILE_NAME, Journal};
use crate::restore::order::Clouds;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::{SigningKey, VerifyingKey};
use crate::testing_log::body::{Runner, Tool};
use crate::testing_log::entry::Entry;
use crate::testing_log::verify::fault::Rule;
use crate::testing_log::verify::run::verify;
use crate::testing_log::verify::verdict::VerifyOptions;
use crate::testing_log::writer::LogWriter;
use crate::verify::sql::checks::names;
use crate::verify::sql::checks::pack::Pack;

/// The directory, beside the configuration, in which local points are restored.
pub const WORK: &str = "attestore-work";

/// What the command line hands over.
pub struct Setup {
    /// The configuration.
    pub loaded: Loaded,
    /// AWS, where the estate has any.
    pub clouds: Clouds,
    /// Who watches.
    pub monitor: Arc<dyn Monitor>,
    /// Who writes the entries, where AWS does not say it.
    pub actor: String,
}

/// Everything that a drill works with.
pub struct Context {
    /// The configuration.
    pub loaded: Loaded,
    /// AWS.
    pub clouds: Clouds,
    /// The journal.
    pub journal: Arc<Journal>,
    /// The testing log.
    pub ledger: Ledger,
    /// Signs manifests of first restores.
    pub signing_key: SigningKey,
    /// The log's key, which manifests must be signed with too.
    pub verifying_key: VerifyingKey,
    /// Keys row digests and inline identifiers.
    pub hash_key: HashKey,
    /// Where local points are restored.
    pub work: PathBuf,
    /// The check packs of each class.
    pub packs: BTreeMap<String, Vec<Pack>>,
    /// Who watches.
    pub monitor: Arc<dyn Monitor>,
    /// Who runs it, where AWS is used.
    pub runner: Option<Runner>,
    /// How far AWS's clock is ahead of this machine's, where AWS is used and says what time it is.
    pub service_ahead_ms: Option<i64>,
    /// The entries of the log as it verified when the drill began.
    pub entries: Vec<Entry>,
}

impl Context {
    /// Opens everything. Nothing is created but the journal and the working directory.
    pub async fn open(setup: Setup) -> Result<Self, Failure> {
        let Setup { loaded, clouds, monitor, actor } = setup;
        let config = &loaded.config;
        policy::check_classes(config)?;
        check_isolation(config)?;
        let signing_key = SigningKey::load(&config.keys.signing)?;
        let hash_key = HashKey::load(&config.keys.hash)?;
        let packs = load_packs(config)?;
        let (runner, service_ahead_ms) = runner(&clouds).await?.unzip();
        let service_ahead_ms = service_ahead_ms.flatten();
        let verifying_key = signing_key.verifying_key();
        // The writer first: it holds the lock, so that what is verified, and what the journal says, is what is continued.
        let writer = LogWriter::open(&config.log.path, signing_key.clone())?;
        let journal = Arc::new(Journal::open(&journal_path(&loaded))?);
        let work = loaded.base().join(WORK);
        std::fs::create_dir_all(&work).map_err(|error| Failure::io(format!("create {}", work.display()), error))?;
        let entries = verified_entries(&config.log.path, &verifying_key)?;
        if writer.dir().origin() != config.log.origin {
            let (found, expected) = (writer.dir().origin(), &config.log.origin);
            return Err(Failure::invalid(format!("the log's origin is `{found}`, and the configuration says `{expected}`")));
        }
        manifests::check_hash_key(&entries, config, &hash_key)?;
        let principal = runner.as_ref().map_or(actor, |runner| runner.arn.clone());
        let ledger = Ledger::new(writer, journal.clone(), principal);
        Ok(Self {
            loaded,
            clouds,
            journal,
            ledger,
            signing_key,
            verifying_key,
            hash_key,
            work,
            packs,
            monitor,
            runner,
            service_ahead_ms,
            entries,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// A resource with its class.
    pub fn resource(&self, id: &ResourceId) -> Result<(&Resource, &Class), Failure> {
        let config = self.config();
        let resource = config.resource.iter().find(|resource| resource.id == *id);
        let resource = resource.ok_or_else(|| Failure::invalid(format!("resource `{id}` is not in the configuration any more")))?;
        let class = config.class.get(&resource.class);
        let class = class.ok_or_else(|| Failure::invalid(format!("resource `{id}`: there is no [class.{}]", resource.class)))?;
        Ok((resource, class))
    }

    /// A sentence for whoever watches.
    pub fn note(&self, text: &str) {
        self.monitor.event(Event::Note(text));
    }
}

/// Where the journal of an estate is: beside its configuration.
pub fn journal_path(loaded: &Loaded) -> PathBuf {
    loaded.base().join(FILE_NAME)
}

/// What names of created things start with.
pub fn prefix(config: &Config) -> &str {
    config.isolation.as_ref().map_or(crate::restore::order::DEFAULT_PREFIX, |demands| demands.name_prefix.as_str())
}

/// Which build this is.
pub fn tool() -> Tool {
    static OWN: OnceLock<Option<Sha256Digest>> = OnceLock::new();
    Tool {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: option_env!("ATTESTORE_GIT_COMMIT").map(str::to_owned),
        binary_sha256: *OWN.get_or_init(|| own_digest().ok()),
    }
}

/// The digest of the program's own file, read in pieces: a program is larger than what anything else here holds at once.
fn own_digest() -> std::io::Result<Sha256Digest> {
    let mut file = std::fs::File::open(std::env::current_exe()?)?;
    let (mut hasher, mut piece) = (sha2::Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Sha256Digest(Digest32(hasher.finalize().into()))),
            read => hasher.update(&piece[..read]),
        }
    }
}

/// True where any source of points lies in AWS.
pub fn needs_aws(config: &Config) -> bool {
    config.resource.iter().flat_map(|resource| &resource.points).any(|points| points.from != PointSource::Local)
}

fn check_isolation(config: &Config) -> Result<(), Failure> {
    if needs_aws(config) && config.isolation.is_none() {
        return Err(Failure::invalid("resources lie in AWS, and the configuration has no [isolation]")
            .hint("[isolation] names the only account that a restore may be made in, and what names start with"));
    }
    if needs_aws(config) && config.aws.is_none() && config.sandbox.is_none() {
        return Err(
            Failure::invalid("resources lie in AWS, and the configuration has no [aws]").hint("add [aws] with region and backup_role_arn")
        );
    }
    let Some(IsolationDemands { name_prefix, .. }) = &config.isolation else { return Ok(()) };
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = name_prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && name_prefix.ends_with('-')
        && name_prefix.len() <= 28
        && !name_prefix.contains("--")
        && name_prefix.chars().all(legal);
    if fits {
        return Ok(());
    }
    Err(Failure::invalid(format!("isolation.name_prefix = `{name_prefix}` does not fit the names of buckets, tables and instances"))
        .hint("lower-case letters, digits and single `-`, a letter first, `-` last, at most 28 characters"))
}

/// The check packs of every class, as the drill will run them.
pub fn load_packs(config: &Config) -> Result<BTreeMap<String, Vec<Pack>>, Failure> {
    let mut packs = BTreeMap::new();
    for (name, class) in &config.class {
        let loaded = Pack::load_all(class.checks.iter().map(String::as_str));
        packs.insert(name.clone(), loaded.map_err(|failure| failure.context(format!("class `{name}`")))?);
    }
    for resource in &config.resource {
        let of_class = packs.get(&resource.class).map(Vec::as_slice).unwrap_or_default();
        names::known(&resource.names, of_class).map_err(|failure| failure.context(format!("resource `{}`: names", resource.id)))?;
    }
    Ok(packs)
}

async fn runner(clouds: &Clouds) -> Result<Option<(Runner, Option<i64>)>, Failure> {
    if !clouds.has_aws() {
        return Ok(None);
    }
    let session = clouds.session(None)?;
    let caller = crate::aws::sts::caller(&session).await?;
    let region = session.region().unwrap_or_default();
    Ok(Some((Runner { account_id: caller.account_id, region, arn: caller.arn }, caller.clock_ahead_ms)))
}

/// The entries of a log that verifies. An overdue drill is no reason to stop: it is what the next run mends.
pub fn verified_entries(path: &Path, key: &VerifyingKey) -> Result<Vec<Entry>, Failure> {
    let verdict = verify(path, key, &VerifyOptions::default())?;
    match verdict.faults.iter().find(|fault| fault.rule != Rule::DrillOverdue) {
        None => Ok(verdict.entries),
        Some(fault) if fault.rule == Rule::WrongKey => Err(Failure::invalid(format!("testing log {}: {}", path.display(), fault.message))
            .hint("`signing` in attestore.toml must name the key that the log was made with")),
        Some(fault) => Err(Failure::new(FailureKind::BadEvidence, format!("testing log {}: {fault}", path.display()))
            .hint("nothing is added to a log that does not verify; `attestore log verify` shows every fault")),
    }
}
