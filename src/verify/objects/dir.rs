//! A directory tree, or one file, as an object source: every path in the order of its bytes, with one directory a level in memory.
//!
//! Symbolic links are recorded and never followed (but for the root itself, which the user named). Empty directories are not
//! objects. What may not be listed or is no regular file is an entry with a `problem`, never left out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::model::failure::Failure;
use crate::verify::hashing;
use crate::verify::objects::local;
use crate::verify::objects::source::{Body, Entry, EntryKind, ObjectSource, Told};

/// Bytes of a file that are read at a time.
const CHUNK_BYTES: u64 = 256 << 10;

/// A tree or one file.
#[derive(Clone, Debug)]
pub struct DirSource {
    root: PathBuf,
    is_file: bool,
}

impl DirSource {
    /// The tree or file at `path`, which must be there and readable.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let what = format!("cannot read dir:{}", path.display());
        let metadata = std::fs::metadata(path).map_err(|error| {
            Failure::io(&what, error).hint("expected a directory or a file that this user may read: check the path and its permissions")
        })?;
        if metadata.is_dir() {
            std::fs::read_dir(path).map_err(|error| Failure::io(&what, error))?;
        } else if !metadata.is_file() {
            return Err(Failure::invalid(format!("{what}: expected a directory or a file, found neither")));
        }
        Ok(Self { root: path.to_owned(), is_file: metadata.is_file() })
    }
}

#[async_trait]
impl ObjectSource for DirSource {
    fn url(&self) -> String {
        format!("dir:{}", self.root.display())
    }

    fn has_versions(&self) -> bool {
        false
    }

    fn is_single(&self) -> bool {
        self.is_file
    }

    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>> {
        let source = self.clone();
        hashing::blocking_stream(4, move |put| {
            if source.is_file {
                let name = source.root.file_name().unwrap_or(source.root.as_os_str());
                let (key, key_escaped) = spell(name);
                put(Ok(look(source.root.canonicalize().unwrap_or_else(|_| source.root.clone()), key, key_escaped)));
            } else if let Err(failure) = walk(&source.root, put) {
                put(Err(failure));
            }
        })
    }

    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure> {
        let entry = entry.clone();
        let declared_length = entry.size.saturating_sub(offset);
        let opened = hashing::run_blocking(move || local::open(&entry)).await?;
        let stream = hashing::blocking_stream(1, move |put| {
            let mut at = offset;
            while at < opened.length() {
                let mut chunk = vec![0; (opened.length() - at).min(CHUNK_BYTES) as usize];
                let read = opened.file().read_exact_at(&mut chunk, at).map_err(|error| opened.failure(error));
                at += chunk.len() as u64;
                let ended = read.is_err();
                if !put(read.map(|()| Bytes::from(chunk))) || ended {
                    return;
                }
            }
            if let Err(failure) = opened.check_unchanged() {
                put(Err(failure));
            }
        });
        Ok(Body { stream, declared_length, told: Told::default() })
    }
}

/// One name of a directory.
struct Child {
    name: OsString,
    /// As the key spells it; of a directory with a final `/`, which is what its descendants are sorted by.
    spelled: String,
    escaped: bool,
    is_dir: bool,
    /// Another name of the same directory is spelled alike.
    ambiguous: bool,
}

/// One directory on the way down.
struct Level {
    path: PathBuf,
    key: String,
    escaped: bool,
    children: std::vec::IntoIter<Child>,
}

/// Walks the tree below `root` in the order of keys.
fn walk(root: &Path, put: &mut dyn FnMut(Result<Entry, Failure>) -> bool) -> Result<(), Failure> {
    let children = children(root).map_err(|error| Failure::io(format!("cannot list dir:{}", root.display()), error))?;
    let mut levels = vec![Level { path: root.to_owned(), key: String::new(), escaped: false, children }];
    while let Some(level) = levels.last_mut() {
        let Some(child) = level.children.next() else {
            levels.pop();
            continue;
        };
        let path = level.path.join(&child.name);
        let key = format!("{}{}", level.key, child.spelled);
        let escaped = level.escaped || child.escaped;
        let entry = if child.ambiguous {
            problem(key, escaped, "another name in its directory is spelled alike once bytes that are not UTF-8 are escaped".into())
        } else if child.is_dir {
            match self::children(&path) {
                Ok(children) => {
                    levels.push(Level { path, key, escaped, children });
                    continue;
                }
                Err(error) => problem(key, escaped, format!("the directory cannot be listed: {error}")),
            }
        } else {
            look(path, key, escaped)
        };
        if !put(Ok(entry)) {
            return Ok(());
        }
    }
    Ok(())
}

fn children(dir: &Path) -> std::io::Result<std::vec::IntoIter<Child>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // A name that vanishes before its type is known is looked at again, and reported, when its turn comes.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name();
        let (mut spelled, escaped) = spell(&name);
        if is_dir {
            spelled.push('/');
        }
        children.push(Child { name, spelled, escaped, is_dir, ambiguous: false });
    }
    children.sort_by(|a, b| (a.spelled.as_bytes(), a.escaped).cmp(&(b.spelled.as_bytes(), b.escaped)));
    for index in 1..children.len() {
        children[index].ambiguous = children[index].spelled == children[index - 1].spelled;
    }
    Ok(children.into_iter())
}

/// The spelling of a name in a key: itself where it is UTF-8, else with `%XX` for `%` and for every byte that is not ASCII.
pub fn spell(name: &OsStr) -> (String, bool) {
    if let Some(text) = name.to_str() {
        return (text.to_owned(), false);
    }
    let mut spelled = String::new();
    for &byte in name.as_bytes() {
        if byte.is_ascii() && byte != b'%' {
            spelled.push(char::from(byte));
        } else {
            spelled.push_str(&format!("%{byte:02X}"));
        }
    }
    (spelled, true)
}

fn problem(key: String, key_escaped: bool, said: String) -> Entry {
    Entry { key_escaped, problem: Some(said), ..Entry::object(key, 0) }
}

/// The entry of a path that is not a directory.
fn look(path: PathBuf, key: String, key_escaped: bool) -> Entry {
    let metadata = match std::fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) => return problem(key, key_escaped, format!("it was listed and then could not be looked at: {error}")),
    };
    let mut entry = Entry { key_escaped, modified: local::modified(&metadata), ..Entry::object(key, metadata.len()) };
    if metadata.is_symlink() {
        entry.kind = EntryKind::Symlink;
        match std::fs::read_link(&path) {
            Ok(target) => {
                let target = target.into_os_string().into_vec();
                entry.size = target.len() as u64;
                entry.link_target = Some(target);
            }
            Err(error) => entry.problem = Some(format!("the link cannot be read: {error}")),
        }
    } else if !metadata.is_file() {
        entry.size = 0;
        let kind =
            if metadata.is_dir() { "it became a directory while it was listed" } else { "not a regular file: a device, FIFO or socket" };
        entry.problem = Some(kind.to_owned());
    }
    entry.path = Some(path);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_utf8_are_escaped_without_ambiguity() {
        assert_eq!(spell(OsStr::new("a%FFé\n")), ("a%FFé\n".into(), false));
        assert_eq!(spell(OsStr::from_bytes(b"a%\xff b")), ("a%25%FF b".into(), true));
    }
}
