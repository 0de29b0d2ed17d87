//! Reading `attestore.toml`: bytes, digest, types, and paths that start at the file.
//!
//! Not here: explaining mistakes one by one (`explain`), or opening the keys and the log that the file names.

use std::path::{Path, PathBuf};

use crate::estate::config::{Config, is_pack_path};
use crate::estate::explain::{Surroundings, explain};
use crate::estate::mistake::{Mistake, Weight};
use crate::model::digest::Sha256Digest;
use crate::model::failure::{Failure, FailureKind};
use crate::model::resource::PointSource;

/// The largest configuration that is read, in bytes: far beyond any estate written by hand, far below what could hurt.
pub const LARGEST_BYTES: u64 = 4 << 20;

/// A configuration as loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The types, every relative path already made to start at the file's own directory.
    pub config: Config,
    /// The file, absolute.
    pub path: PathBuf,
    /// SHA-256 over `bytes`, as `policy.set` records it.
    pub digest: Sha256Digest,
    /// The file as it was read: it becomes evidence.
    pub bytes: Vec<u8>,
}

impl Loaded {
    /// The directory that relative paths start at.
    pub fn base(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Reads the file at `path`.
///
/// # Errors
/// [`FailureKind::Invalid`] (exit 2) where the file is absent, unreadable, not UTF-8, or not a configuration.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    let path = std::path::absolute(path).map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))?;
    let bytes = read(&path)?;
    let text = text_of(&path, &bytes)?;
    let mistakes = explain(text, &Surroundings::NONE);
    if let Some(first) = mistakes.iter().find(|mistake| mistake.weight == Weight::Mistake) {
        return Err(refusal(&path, first, mistakes.iter().filter(|mistake| mistake.weight == Weight::Mistake).count()));
    }
    let mut config: Config = toml::from_str(text).map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    resolve(&mut config, &base);
    let digest = Sha256Digest::of(&bytes);
    Ok(Loaded { config, path, digest, bytes })
}

/// The first mistake as a failure, with the number of all.
fn refusal(path: &Path, first: &Mistake, all: usize) -> Failure {
    let place = first.line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()));
    let mut message = format!("{place}: {}", first.message);
    if let Some(found) = &first.found {
        message += &format!("; found {found}");
    }
    if let Some(allowed) = &first.allowed {
        message += &format!("; allowed: {allowed}");
    }
    if let Some(nearest) = &first.nearest {
        message += &format!("; did you mean `{nearest}`?");
    }
    if all > 1 {
        message += &format!(" (and {} more)", all - 1);
    }
    Failure::invalid(message).hint("`attestore config check` explains every mistake in the file")
}

/// The file's bytes; every reason why there are none is the user's to mend, so it is [`FailureKind::Invalid`].
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: std::io::Error| {
        let failure = Failure::new(FailureKind::Invalid, format!("cannot read the configuration {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.hint("`attestore init` writes a commented one; `--config FILE` names another"),
            _ => failure.hint("expected a TOML file that this user may read; `--config FILE` names another"),
        }
    };
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > LARGEST_BYTES {
        return Err(Failure::invalid(format!("{}: {size} bytes, and a configuration has at most {LARGEST_BYTES}", path.display())));
    }
    std::fs::read(path).map_err(wrong)
}

/// The bytes as text.
pub fn text_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        Failure::invalid(format!("{}:{line}: not UTF-8, which TOML has to be", path.display()))
    })
}

/// Makes every relative path of `config` start at `base`.
pub fn resolve(config: &mut Config, base: &Path) {
    let to = |path: &mut PathBuf| *path = base.join(&*path);
    to(&mut config.log.path);
    to(&mut config.keys.signing);
    to(&mut config.keys.hash);
    if let Some(dir) = config.sandbox.as_mut().and_then(|sandbox| sandbox.dir.as_mut()) {
        to(dir);
    }
    for class in config.class.values_mut() {
        for pack in class.checks.iter_mut().filter(|pack| is_pack_path(pack)) {
            *pack = joined(base, pack);
        }
    }
    for resource in &mut config.resource {
        resource.manifests.as_mut().map(to);
        resource.tls_ca.as_mut().map(to);
        resource.changes.as_mut().map(to);
        resource.source = resolved_source(base, &resource.source);
        if let Some(path) = resource.credentials.as_deref().and_then(|from| from.strip_prefix("file:")) {
            resource.credentials = Some(format!("file:{}", joined(base, path)));
        }
        for points in resource.points.iter_mut().filter(|points| points.from == PointSource::Local) {
            if points.vault.is_none() {
                points.vault = points.path.as_ref().map(|path| path.to_string_lossy().into_owned());
            }
            if let Some(vault) = &mut points.vault {
                *vault = joined(base, vault);
                points.path = Some(PathBuf::from(&*vault));
            }
        }
    }
}

/// A `dir:` or `sqlite:` source with its path made to start at `base`; every other source as it is.
fn resolved_source(base: &Path, source: &str) -> String {
    for scheme in ["dir:", "sqlite:"] {
        if let Some(path) = source.strip_prefix(scheme)
            && !path.is_empty()
        {
            let path = path.strip_prefix("//").filter(|_| scheme == "sqlite:").unwrap_or(path);
            return format!("{scheme}{}", joined(base, path));
        }
    }
    source.to_owned()
}

fn joined(base: &Path, path: &str) -> String {
    // Both halves are UTF-8 except where the base directory is not, and then no text form of it exists that a source URL could carry.
    base.join(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
version = 1
[log]
path = "log"
origin = "example.org/attestore"
[keys]
signing = "attestore.key"
hash = "/etc/attestore.hashkey"
[class.gold]
rto = "4h"
checks = ["banking-ledger", "checks/own.sql"]
[[resource]]
id = "app"
application = "crm"
kind = "files"
class = "gold"
source = "sqlite:data/app.db"
credentials = "file:secret"
[[resource.points]]
from = "local"
vault = "vault"
"#;

    #[test]
    fn relative_paths_start_at_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attestore.toml");
        std::fs::write(&path, SMALL).unwrap();
        let loaded = load(&path).unwrap();
        let config = &loaded.config;
        assert_eq!(config.log.path, dir.path().join("log"));
        assert_eq!(config.keys.hash, Path::new("/etc/attestore.hashkey"));
        assert_eq!(config.class["gold"].checks[0], "banking-ledger");
        assert_eq!(Path::new(&config.class["gold"].checks[1]), dir.path().join("checks/own.sql"));
        let resource = &config.resource[0];
        assert_eq!(resource.source, format!("sqlite:{}", dir.path().join("data/app.db").display()));
        assert_eq!(resource.credentials.as_deref().unwrap(), format!("file:{}", dir.path().join("secret").display()));
        assert_eq!(resource.points[0].vault.as_deref().unwrap(), dir.path().join("vault").to_str().unwrap());
        assert_eq!(loaded.digest, Sha256Digest::of(SMALL.as_bytes()));
    }

    #[test]
    fn what_is_absent_or_wrong_is_exit_2_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let absent = load(&dir.path().join("none.toml")).unwrap_err();
        assert_eq!(absent.kind, FailureKind::Invalid);
        assert!(absent.hint.unwrap().contains("attestore init"));
        let path = dir.path().join("attestore.toml");
        for (bytes, part) in [
            (b"version = 2\n".as_slice(), ":1: this program reads version 1; found 2; allowed: 1 (and 2 more)"),
            (b"\n\xff".as_slice(), ":2: not UTF-8"),
            (b"version = ".as_slice(), ":1: not TOML"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let failure = load(&path).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Invalid);
            assert!(failure.message.contains(part), "{failure}");
        }
    }
}
