//! What the configuration names on this machine: directories, key files, credentials, check packs, the environment.
//!
//! Not here: what they mean. Keys and the log are opened only to see that they can be.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use toml::de::DeTable;

use crate::estate::config::is_pack_path;
use crate::estate::mistake::Mistakes;
use crate::estate::rules::{Text, pack_rule, table, tables, text, texts};
use crate::estate::schema::join;
use crate::model::failure::Failure;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::testing_log::store::LogDir;
use crate::verify::sql::checks::names::of_packs;
use crate::verify::sql::checks::pack::{Pack, Seen};

/// Looks at everything that the document names; relative paths start at `base`.
pub fn look(root: &DeTable<'_>, base: &Path, mistakes: &mut Mistakes<'_>) {
    if let Some((log, _)) = table(root, "log")
        && let Some(path) = text(log, "log", "path")
    {
        let before = mistakes.count();
        directory(&path, base, "the testing log", "`attestore init` makes one; a missing log is never made silently", mistakes);
        if mistakes.count() == before {
            log_rules(&path, text(log, "log", "origin"), base, mistakes);
        }
    }
    if let Some((keys, _)) = table(root, "keys") {
        key_rules(keys, base, mistakes);
    }
    for (resource, _, path) in tables(root, "", "resource") {
        resource_files(resource, &path, base, mistakes);
    }
}

fn key_rules(keys: &DeTable<'_>, base: &Path, mistakes: &mut Mistakes<'_>) {
    for (name, what) in [("signing", "the signing key"), ("hash", "the hash key")] {
        let Some(path) = text(keys, "keys", name) else { continue };
        let before = mistakes.count();
        secret_file(&path, path.value, base, what, mistakes);
        if mistakes.count() > before {
            continue;
        }
        let file = base.join(path.value);
        let failure = if name == "signing" { SigningKey::load(&file).err() } else { HashKey::load(&file).err() };
        if let Some(failure) = failure {
            repeat(&path, failure, mistakes);
        }
    }
}

/// The directory has to be a log, and the log has to be the one that the configuration names.
fn log_rules(path: &Text<'_>, origin: Option<Text<'_>>, base: &Path, mistakes: &mut Mistakes<'_>) {
    match LogDir::open(&base.join(path.value)) {
        Err(failure) => repeat(path, failure, mistakes),
        Ok(log) => {
            if let Some(origin) = origin.filter(|origin| origin.value != log.origin()) {
                let mistake = mistakes.add(&origin.path, Some(origin.span), "the testing log has another origin");
                mistake.found(origin.value).allowed(log.origin()).hint("an origin never changes: name the log's own, or another log");
            }
        }
    }
}

/// What a room below says of a file, as a mistake.
fn repeat(at: &Text<'_>, failure: Failure, mistakes: &mut Mistakes<'_>) {
    let mistake = mistakes.add(&at.path, Some(at.span.clone()), failure.message);
    mistake.hint = failure.hint;
}

fn resource_files(resource: &DeTable<'_>, path: &str, base: &Path, mistakes: &mut Mistakes<'_>) {
    if let Some(credentials) = text(resource, path, "credentials") {
        match credentials.value.split_once(':') {
            Some(("file", file)) if !file.is_empty() => secret_file(&credentials, file, base, "the credentials file", mistakes),
            Some(("env", name)) if !name.is_empty() && !name.contains('=') && std::env::var_os(name).is_none() => {
                let message = format!("the environment variable {name} is not set here");
                mistakes.note(&credentials.path, Some(credentials.span.clone()), message).hint("a drill needs it as USER:PASSWORD");
            }
            _ => {}
        }
    }
    if let Some(bundle) = text(resource, path, "tls_ca") {
        ca_bundle(&bundle, base, mistakes);
    }
    if let Some(log) = text(resource, path, "changes")
        && let Err(found) = kind_of(&base.join(log.value), false)
    {
        let mistake = mistakes.note(&log.path, Some(log.span), "the log of changes is not there yet").found(found);
        mistake.hint("a drill that compares with an earlier manifest needs it");
    }
    if let Some(manifests) = text(resource, path, "manifests")
        && let Err(found) = kind_of(&base.join(manifests.value), true)
    {
        let mistake = mistakes.note(&manifests.path, Some(manifests.span), "no manifests there yet").found(found);
        mistake.hint("`attestore manifest create` writes them");
    }
    for (points, _, path) in tables(resource, path, "points") {
        let is_local = text(points, &path, "from").is_some_and(|from| from.value == "local");
        for name in ["vault", "path"] {
            if let Some(vault) = text(points, &path, name).filter(|_| is_local) {
                directory(&vault, base, "the local vault", "every file or directory in it becomes a recovery point", mistakes);
            }
        }
    }
}

/// A bundle without a certificate would be found out at the first connection only, after a restore was paid for.
fn ca_bundle(bundle: &Text<'_>, base: &Path, mistakes: &mut Mistakes<'_>) {
    let file = base.join(bundle.value);
    let (message, found) = match kind_of(&file, false) {
        Err(found) => ("the CA bundle cannot be read", found),
        Ok(()) => match certificates_in(&file) {
            Ok(0) => ("the CA bundle holds no certificate", "a file without a PEM section of that kind".to_owned()),
            Ok(_) => return,
            Err(found) => ("the CA bundle cannot be read", found),
        },
    };
    let mistake = mistakes.add(&bundle.path, Some(bundle.span.clone()), message).found(found);
    mistake.allowed("a file of PEM certificates");
}

fn certificates_in(file: &Path) -> Result<usize, String> {
    let sections = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    sections.enumerate().try_fold(0, |_, (at, section)| section.map(|_| at + 1).map_err(|error| format!("certificate {}: {error}", at + 1)))
}

/// The packs of every class: names among `built_in`, or paths that are there; no two with a check of one id.
pub fn look_for_packs(root: &DeTable<'_>, base: &Path, built_in: &[&str], mistakes: &mut Mistakes<'_>) {
    let Some((classes, _)) = table(root, "class") else { return };
    for (name, class) in classes {
        let Some(class) = class.get_ref().as_table() else { continue };
        let mut seen = Seen::default();
        for pack in texts(class, &join("class", name.get_ref()), "checks") {
            let found = if is_pack_path(pack.value) { own_pack(&pack, base, mistakes) } else { shipped_pack(&pack, built_in, mistakes) };
            if let Some(Err(failure)) = found.map(|found| seen.add(&found)) {
                let mistake = mistakes.add(&pack.path, Some(pack.span), failure.message).found(pack.value);
                mistake.hint(failure.hint.unwrap_or_default());
            }
        }
    }
}

fn shipped_pack(pack: &Text<'_>, built_in: &[&str], mistakes: &mut Mistakes<'_>) -> Option<Pack> {
    pack_rule(pack, built_in, mistakes);
    Pack::load(pack.value).ok()
}

/// One by its path; nothing where it is a mistake.
fn own_pack(pack: &Text<'_>, base: &Path, mistakes: &mut Mistakes<'_>) -> Option<Pack> {
    let path = base.join(pack.value);
    if let Err(error) = std::fs::metadata(&path) {
        let mistake = mistakes.add(&pack.path, Some(pack.span.clone()), "the check pack cannot be read");
        mistake.found(format!("{}: {error}", path.display())).allowed("a .sql file, or a directory of them");
        return None;
    }
    let loaded = Pack::load(path.to_str().unwrap_or_default());
    if let Err(failure) = &loaded {
        let mistake = mistakes.add(&pack.path, Some(pack.span.clone()), "the check pack cannot be used").found(failure.to_string());
        mistake.hint(failure.hint.as_deref().unwrap_or("`attestore check --list --pack PATH` reads the pack alone"));
    }
    loaded.ok()
}

/// A name that no pack of the resource's class has would change nothing, and nobody would know.
pub fn look_for_names(root: &DeTable<'_>, base: &Path, mistakes: &mut Mistakes<'_>) {
    for (resource, _, path) in tables(root, "", "resource") {
        let Some((names, _)) = table(resource, "names") else { continue };
        let class = text(resource, &path, "class").and_then(|class| table(table(root, "class")?.0, class.value));
        let Some((class, _)) = class else { continue };
        let load = |pack: Text<'_>| {
            let path = base.join(pack.value);
            Pack::load(if is_pack_path(pack.value) { path.to_str().unwrap_or_default() } else { pack.value })
        };
        // A pack that does not load is a mistake of its own.
        let Ok(packs) = texts(class, "checks", "checks").into_iter().map(load).collect::<Result<Vec<_>, _>>() else { continue };
        let known = of_packs(&packs);
        for (name, _) in names.iter().filter(|(name, _)| !known.contains(name.get_ref().as_ref())) {
            let found: &str = name.get_ref();
            let message = "no check pack of the resource's class has a table or a column of this name";
            let mistake = mistakes.add(&join(&join(&path, "names"), found), Some(name.span()), message).found(found);
            let list: Vec<&str> = known.iter().map(String::as_str).collect();
            if list.is_empty() {
                mistake.hint("`checks` of the class names the packs; the structural ones know no tables");
            } else {
                mistake.allowed(list.join(", ")).nearest_of(found, list);
            }
        }
    }
}

fn directory(path: &Text<'_>, base: &Path, what: &str, hint: &str, mistakes: &mut Mistakes<'_>) {
    if let Err(found) = kind_of(&base.join(path.value), true) {
        mistakes.add(&path.path, Some(path.span.clone()), format!("{what} is not there")).found(found).allowed("a directory").hint(hint);
    }
}

/// What stands at `path`, unless it is what was expected.
fn kind_of(path: &Path, expect_directory: bool) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() == expect_directory => Ok(()),
        Ok(found) => Err(format!("{}: {}", path.display(), if found.is_dir() { "a directory" } else { "not a directory" })),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("{}: nothing", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// `written` is the path within the text, which may carry a scheme.
fn secret_file(text: &Text<'_>, written: &str, base: &Path, what: &str, mistakes: &mut Mistakes<'_>) {
    let path = base.join(written);
    let span = Some(text.span.clone());
    match std::fs::metadata(&path) {
        Err(_) => {
            let found = kind_of(&path, false).err().unwrap_or_default();
            mistakes
                .add(&text.path, span, format!("{what} cannot be read"))
                .found(found)
                .allowed("a file with mode 0600")
                .hint("`attestore init` makes keys");
        }
        Ok(found) if !found.is_file() => {
            mistakes
                .add(&text.path, span, format!("{what} is not a file"))
                .found(path.display().to_string())
                .allowed("a file with mode 0600");
        }
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let mode = found.permissions().mode() & 0o777;
            let mistake = mistakes.add(&text.path, span, format!("{what} can be read by others")).found(format!("mode {mode:04o}"));
            mistake.allowed("mode 0600").hint(format!("chmod 600 {}", path.display()));
        }
        Ok(_) => {}
    }
}
