//! Rules of the code that matter, held by reading the code: floors, circles, headers, who may name what, sizes, leftovers.
//!
//! Every detector is a function of text, and has a test in which it must fire: a rule that cannot fail holds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms with their floors; a room imports only from lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("signing", 1),
    ("monitor", 1),
    ("engines", 1),
    ("testing_log", 2),
    ("verify", 2),
    ("aws", 2),
    ("estate", 3),
    ("sandbox", 3),
    ("restore", 4),
    ("report", 4),
    ("drill", 5),
    ("cli", 6),
    ("main", 7),
];

/// Imports between rooms of one floor: AWS implements the traits by which verification reads.
const BESIDE: &[(&str, &str)] = &[("aws", "verify")];

/// Only `cli` (and `main` through it) may name the stand-in, and reports are functions of the log alone.
const NEVER: &[(&str, &str)] =
    &[("report", "drill"), ("report", "restore"), ("restore", "sandbox"), ("report", "sandbox"), ("drill", "sandbox"), ("verify", "aws")];

/// A word that only these files may name; an entry that ends with `/` is a folder.
const ONLY: &[(&str, &[&str])] =
    &[("rayon", &["src/verify/hashing.rs", "src/verify/buckets.rs"]), ("sqlx", &["src/verify/sql/", "src/restore/journal.rs"])];

/// Words that start so may be named in these folders only.
const ONLY_PREFIX: &[(&str, &[&str])] = &[("aws_sdk_", &["src/aws/"])];

/// Longest file in lines, and the files that are clearer whole, with the reason.
const LONGEST_LINES: usize = 500;
const LONGER: &[(&str, usize, &str)] = &[
    ("src/testing_log/body.rs", 710, "the record schema is one table of structs"),
    ("src/testing_log/store.rs", 560, "the layout on disk, its limits and its locks are clearer together"),
];

// ---- detectors: text in, remarks out ----

/// The code with comments and the contents of literals blanked out; lines stay where they are.
fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    let blank = |out: &mut String, text: &str| out.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    while at < bytes.len() {
        let rest = &source[at..];
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(source, at) {
            length
        } else if rest.starts_with('"') {
            quoted(rest, '"')
        } else if rest.starts_with("'") {
            char_literal(rest)
        } else {
            0
        };
        if skip > 0 {
            blank(&mut out, &rest[..skip]);
            at += skip;
        } else {
            let c = rest.chars().next().expect("not at the end");
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of `r"…"`, `br#"…"#` and the like at `at`.
fn raw_string(source: &str, at: usize) -> Option<usize> {
    let before = source[..at].chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let rest = &source[at..];
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let hashes = rest[prefix.len()..].bytes().take_while(|b| *b == b'#').count();
    let open = prefix.len() + hashes;
    if !rest[open..].starts_with('"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest[open + 1..].find(&close).map_or(rest.len(), |end| open + 1 + end + close.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return index + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal; 0 for a lifetime.
fn char_literal(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => quoted(rest, '\''),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 0,
    }
}

/// The code without its `#[cfg(test)] mod tests { … }` at the end.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |at| &code[..at])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The places where `word` stands by itself.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Every path in the code that starts with `root` (`crate`, `super`, `attestore`), groups spelled out: `["model", "ids", "DrillId"]`.
fn paths(code: &str, root: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for at in words(code, root) {
        let before = code[..at].trim_end();
        if before.ends_with("::") || before.ends_with('$') {
            continue;
        }
        if let Some(rest) = code[at + root.len()..].trim_start().strip_prefix("::") {
            follow(rest, &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Follows one path, and every branch of a group; gives what stands behind it.
fn follow<'a>(rest: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let rest = rest.trim_start();
    if let Some(mut rest) = rest.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let length = rest.len();
            rest = follow(rest, prefix, found);
            if rest.len() == length {
                return rest;
            }
        }
    }
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    if end == 0 {
        if let Some(after) = rest.strip_prefix('*') {
            found.push(prefix.iter().cloned().chain(["*".to_owned()]).collect());
            return after;
        }
        return rest;
    }
    let (name, mut after) = rest.split_at(end);
    prefix.push(name.to_owned());
    if let Some(deeper) = after.trim_start().strip_prefix("::") {
        after = follow(deeper, prefix, found);
    } else {
        found.push(prefix.clone());
        let spaceless = after.trim_start();
        if let Some(renamed) = spaceless.strip_prefix("as ") {
            after = renamed.trim_start().trim_start_matches(is_word);
        }
    }
    prefix.pop();
    after
}

/// What is wrong with the room `from` naming the room `to`.
fn import_fault(from: &str, to: &str) -> Option<String> {
    let floor = |room: &str| FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor);
    if from == to {
        return None;
    }
    let Some(to_floor) = floor(to) else { return Some(format!("`{to}` is no room with a floor")) };
    let Some(from_floor) = floor(from) else { return Some(format!("`{from}` is no room with a floor")) };
    if NEVER.contains(&(from, to)) {
        return Some(format!("`{from}` must never name `{to}`"));
    }
    if to_floor > from_floor {
        return Some(format!("`{from}` (floor {from_floor}) imports upwards from `{to}` (floor {to_floor})"));
    }
    if to_floor == from_floor && !BESIDE.contains(&(from, to)) {
        return Some(format!("`{from}` imports from `{to}` on its own floor"));
    }
    None
}

/// A circle in the graph, where there is one: each name imports the next, the last the first.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        node: &str,
        graph: &BTreeMap<String, BTreeSet<String>>,
        done: &mut BTreeSet<String>,
        path: &mut Vec<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|name| name == node) {
            return Some(path[start..].to_vec());
        }
        if done.contains(node) {
            return None;
        }
        path.push(node.to_owned());
        for next in graph.get(node).into_iter().flatten() {
            if let Some(found) = visit(next, graph, done, path) {
                return Some(found);
            }
        }
        path.pop();
        done.insert(node.to_owned());
        None
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|node| visit(node, graph, &mut done, &mut Vec::new()))
}

/// Every circle, spelled out: one edge of each is taken away until none is left.
fn circles(mut graph: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(ring) = circle(&graph) {
        if let Some(next) = graph.get_mut(&ring[ring.len() - 1]) {
            next.remove(&ring[0]);
        }
        found.push(format!("{} -> {}", ring.join(" -> "), ring[0]));
    }
    found
}

/// What a `mod.rs` or `lib.rs` holds beside its header and its modules.
fn surplus_in_mod(source: &str) -> Option<String> {
    let is_plain = |line: &str| {
        let line = line.trim();
        let module = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")).and_then(|rest| rest.strip_suffix(';'));
        line.is_empty() || line.starts_with("//") || line.starts_with("#[cfg(") || module.is_some_and(|name| name.chars().all(is_word))
    };
    source.lines().find(|line| !is_plain(line)).map(str::to_owned)
}

/// Leftovers that no code may keep. The only places that spell them are this rule and its test.
fn leftovers(code: &str) -> Vec<&'static str> {
    let macros = ["todo", "dbg", "unimplemented"];
    let mut found: Vec<&'static str> =
        macros.into_iter().filter(|name| words(code, name).any(|at| code[at + name.len()..].starts_with('!'))).collect();
    if code.contains("#[ignore") {
        found.push("#[ignore]");
    }
    found
}

/// Whether the code writes to the terminal.
fn prints(code: &str) -> bool {
    let macros = ["println", "eprintln", "print", "eprint"];
    macros.into_iter().any(|name| words(code, name).any(|at| code[at + name.len()..].starts_with('!')))
        || ["stdout", "stderr"]
            .into_iter()
            .any(|name| words(code, name).any(|at| code[at + name.len()..].starts_with("()") && code[..at].ends_with("io::")))
}

/// A path of somebody's machine in the text, absolute and below a home or a build folder.
fn machine_path(text: &str) -> Option<String> {
    let folders = ["work", "root", "home", "Users"];
    folders.into_iter().find_map(|folder| {
        let start = format!("/{folder}/");
        text.match_indices(&start).find_map(|(at, _)| {
            let before = text[..at].chars().next_back();
            let inside = before.is_some_and(|c| is_word(c) || matches!(c, '.' | '-' | '/' | '}' | ')' | '*' | '$' | '~' | ']' | '>'));
            (!inside).then(|| text[at..].chars().take(40).take_while(|c| !c.is_whitespace()).collect())
        })
    })
}

/// Re-exports and imports of everything: what depends on what would no longer be seen.
fn hiding_imports(code: &str) -> Vec<String> {
    // A macro of this crate gets a path by `pub(crate) use its_name;`, which hides nothing.
    let is_export = |line: &str| (line.starts_with("pub use ") || line.starts_with("pub(crate) use ")) && line.contains("::");
    let is_everything = |line: &str| line.starts_with("use crate::") && line.contains('*');
    code.lines().map(str::trim).filter(|line| is_export(line) || is_everything(line)).map(str::to_owned).collect()
}

// ---- the tree ----

struct SourceFile {
    /// Such as `src/verify/items/source.rs`.
    path: String,
    text: String,
    code: String,
}

impl SourceFile {
    /// `["verify", "items", "source"]`; of `mod.rs` the folder.
    fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        parts
    }

    fn room(&self) -> String {
        self.module()[0].clone()
    }

    fn is_map(&self) -> bool {
        self.path.ends_with("/mod.rs") || self.path == "src/lib.rs"
    }

    /// Every path from the crate's root that `code` (the file's own, or a part of it) names.
    fn names(&self, code: &str) -> Vec<Vec<String>> {
        let module = self.module();
        let mut found = paths(code, "crate");
        found.extend(paths(code, "attestore"));
        for relative in paths(code, "super") {
            let mut base = module[..module.len() - 1].to_vec();
            let mut rest = relative.as_slice();
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
            base.extend(rest.iter().cloned());
            found.push(base);
        }
        found
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, out) } else { out.push(path) }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.sort();
    let each = |path: PathBuf| {
        let name = path.strip_prefix(&root).ok()?.to_str()?.to_owned();
        endings.iter().any(|ending| name.ends_with(ending)).then_some(())?;
        let text = std::fs::read_to_string(&path).ok()?;
        let code = if name.ends_with(".rs") { code_of(&text) } else { String::new() };
        Some(SourceFile { path: name, text, code })
    };
    found.into_iter().filter_map(each).collect()
}

fn sources() -> Vec<SourceFile> {
    let files = files_below("src", &[".rs"]);
    assert!(files.len() > 40, "the source tree was not found");
    files
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_room_imports_upwards_or_beside_itself() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| file.path != "src/lib.rs") {
        let rooms: BTreeSet<String> = file.names(&file.code).into_iter().map(|path| path[0].clone()).collect();
        // `super::` inside a file's own test module names the file itself.
        for room in rooms.iter().filter(|room| FLOORS.iter().any(|(name, _)| name == room)) {
            faults.extend(import_fault(&file.room(), room).map(|fault| format!("{}: {fault}", file.path)));
        }
    }
    none(faults);
}

#[test]
fn every_room_has_a_floor() {
    let known: Vec<&str> = FLOORS.iter().map(|(room, _)| *room).collect();
    let rooms: BTreeSet<String> = sources().iter().filter(|file| file.path != "src/lib.rs").map(SourceFile::room).collect();
    none(rooms.into_iter().filter(|room| !known.contains(&room.as_str())).map(|room| format!("`{room}` has no floor")).collect());
}

#[test]
fn there_are_no_circles_between_rooms_or_files() {
    let files = sources();
    let modules: BTreeMap<Vec<String>, &SourceFile> =
        files.iter().filter(|file| !file.is_map()).map(|file| (file.module(), file)).collect();
    let mut by_file: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut by_room: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_map()) {
        for path in file.names(without_tests(&file.code)) {
            let target = (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]));
            let Some(target) = target.filter(|target| target.path != file.path) else { continue };
            by_file.entry(file.path.clone()).or_default().insert(target.path.clone());
            if target.room() != file.room() {
                by_room.entry(file.room()).or_default().insert(target.room());
            }
        }
    }
    assert!(by_file.len() > 20, "hardly any import was found: {by_file:?}");
    none(circles(by_room));
    none(circles(by_file));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut files = sources();
    files.extend(files_below("tests", &[".rs"]));
    files.extend(files_below("benches", &[".rs"]));
    none(
        files
            .iter()
            .filter(|file| !file.text.starts_with("//! "))
            .map(|file| format!("{} does not start with `//! `", file.path))
            .collect(),
    );
}

#[test]
fn maps_hold_headers_and_modules_only() {
    let maps = sources().into_iter().filter(SourceFile::is_map);
    none(maps.filter_map(|file| surplus_in_mod(&file.text).map(|line| format!("{}: {line}", file.path))).collect());
}

#[test]
fn only_who_may_names_it() {
    let within =
        |path: &str, allowed: &[&str]| allowed.iter().any(|entry| path == *entry || (entry.ends_with('/') && path.starts_with(entry)));
    let mut faults = Vec::new();
    for file in sources() {
        for (word, allowed) in ONLY {
            if !within(&file.path, allowed) && words(&file.code, word).next().is_some() {
                faults.push(format!("{} names {word}", file.path));
            }
        }
        for (prefix, allowed) in ONLY_PREFIX {
            let named = file.code.match_indices(prefix).any(|(at, _)| !file.code[..at].chars().next_back().is_some_and(is_word));
            if !within(&file.path, allowed) && named {
                faults.push(format!("{} names {prefix}…", file.path));
            }
        }
        if prints(without_tests(&file.code)) && !file.path.starts_with("src/cli/") && file.path != "src/main.rs" {
            faults.push(format!("{} prints", file.path));
        }
    }
    none(faults);
}

#[test]
fn files_stay_readable_and_hide_nothing() {
    let mut faults = Vec::new();
    for file in sources() {
        let limit = LONGER.iter().find(|(path, ..)| *path == file.path).map_or(LONGEST_LINES, |(_, limit, _)| *limit);
        let lines = file.text.lines().count();
        if lines > limit {
            faults.push(format!("{}: {lines} lines, at most {limit}", file.path));
        }
        faults.extend(hiding_imports(&file.code).into_iter().map(|line| format!("{}: {line}", file.path)));
    }
    none(faults);
}

#[test]
fn nothing_is_left_over_and_no_machine_is_named() {
    let mut files = sources();
    files.extend(["tests", "benches"].into_iter().flat_map(|folder| files_below(folder, &[".rs"])));
    let mut faults: Vec<String> =
        files.iter().flat_map(|file| leftovers(&file.code).into_iter().map(|name| format!("{}: {name}", file.path))).collect();
    files.extend(["checks", "reports"].into_iter().flat_map(|folder| files_below(folder, &["sql", "html", "toml", "css", "md"])));
    for name in ["Cargo.toml", "README.md", "deny.toml", ".ci/run"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            files.push(SourceFile { path: name.to_owned(), text, code: String::new() });
        }
    }
    faults.extend(files.iter().filter_map(|file| machine_path(&file.text).map(|path| format!("{}: {path}", file.path))));
    none(faults);
}

/// Packages of a Cargo.lock that are banned by name or come from anywhere but the allowed registries.
fn lock_faults(lock: &str, deny: &str) -> Vec<String> {
    let (lock, deny): (toml::Table, toml::Table) = (toml::from_str(lock).unwrap(), toml::from_str(deny).unwrap());
    let banned: Vec<&str> = deny["bans"]["deny"].as_array().unwrap().iter().filter_map(|entry| entry["crate"].as_str()).collect();
    let registries: Vec<&str> = deny["sources"]["allow-registry"].as_array().unwrap().iter().filter_map(|url| url.as_str()).collect();
    let mut faults = Vec::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if banned.contains(&name) {
            faults.push(format!("{name} is banned"));
        }
        let source = package.get("source").and_then(|source| source.as_str());
        if source.is_some_and(|source| !registries.iter().any(|registry| source == format!("registry+{registry}"))) {
            faults.push(format!("{name} comes from {}", source.unwrap_or_default()));
        }
    }
    faults
}

#[test]
fn dependencies_come_from_where_they_may() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    none(lock_faults(&read("Cargo.lock"), &read("deny.toml")));
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(read(name).len() > 900, "{name}");
    }
}

// ---- each detector fires ----

#[test]
fn banned_and_foreign_packages_are_found() {
    let deny = "bans.deny = [{ crate = \"bad\" }]\nsources.allow-registry = [\"https://r\"]";
    let lock = "[[package]]\nname = \"own\"\n[[package]]\nname = \"bad\"\nsource = \"registry+https://r\"\n[[package]]\nname = \"far\"\nsource = \"git+https://g\"";
    assert_eq!(lock_faults(lock, deny), ["bad is banned", "far comes from git+https://g"]);
}

#[test]
fn comments_and_literals_are_no_code() {
    let source = "let a = \"crate::x\"; // crate::y\n/* crate::z /* */ */ let b = r#\"crate::\"w\"#; let c = '\"'; let d: &'static str = crate::v; '\\'' b\"\\\"\"";
    let code = code_of(source);
    assert_eq!(paths(&code, "crate"), [["v"]]);
    assert_eq!(code.lines().count(), source.lines().count());
    assert!(!code.contains('"'), "{code}");
}

#[test]
fn paths_are_found_whatever_their_form() {
    let found = |code: &str| paths(code, "crate").into_iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(found("use crate::model::ids::DrillId;"), ["model::ids::DrillId"]);
    assert_eq!(found("use crate::{a::{b, c::{self, D}}, e as f, g::*};"), ["a::b", "a::c::self", "a::c::D", "e", "g::*"]);
    assert_eq!(found("let x = crate :: a ::b(1) + other_crate::c;"), ["a::b"]);
    assert_eq!(found("pub(crate) fn f() {}"), Vec::<String>::new());
    let file = SourceFile { path: "src/cli/args.rs".into(), text: String::new(), code: String::new() };
    assert_eq!(file.names("super::init::InitArgs; super::super::drill::plan"), [vec!["cli", "init", "InitArgs"], vec!["drill", "plan"]]);
}

#[test]
fn wrong_imports_are_faults() {
    assert!(import_fault("verify", "estate").unwrap().contains("upwards"));
    assert!(import_fault("model", "monitor").unwrap().contains("upwards"));
    assert!(import_fault("testing_log", "verify").unwrap().contains("own floor"));
    assert!(import_fault("verify", "aws").unwrap().contains("never"));
    assert!(import_fault("restore", "sandbox").unwrap().contains("never"));
    assert!(import_fault("report", "restore").unwrap().contains("never"));
    assert!(import_fault("cellar", "model").is_some() && import_fault("model", "attic").is_some());
    for (from, to) in [("aws", "verify"), ("cli", "sandbox"), ("drill", "report"), ("verify", "verify")] {
        assert_eq!(import_fault(from, to), None, "{from} {to}");
    }
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry((*from).into()).or_default().insert((*to).into());
        }
        graph
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(vec!["b".into(), "c".into()]));
    assert_eq!(circle(&graph(&[("a", "a")])), Some(vec!["a".into()]));
    assert_eq!(circles(graph(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c")])), ["a -> b -> a", "c -> d -> c"]);
}

#[test]
fn surplus_leftovers_prints_and_paths_are_found() {
    assert_eq!(surplus_in_mod("//! A room.\n\n#[cfg(feature = \"x\")]\npub mod a;\nmod b;\n"), None);
    assert_eq!(surplus_in_mod("//! A room.\nuse crate::x;\n").as_deref(), Some("use crate::x;"));
    assert_eq!(surplus_in_mod("pub mod a { }\n").as_deref(), Some("pub mod a { }"));
    assert_eq!(leftovers(&code_of("fn f() { todo!() } #[ignore] // dbg!\n")), ["todo", "#[ignore]"]);
    assert!(prints("println!(\"x\")") && prints("std::io::stderr().lock()") && !prints("my_println!(x); Stdio::from(child.stdout())"));
    for folder in ["work", "root", "home", "Users"] {
        let path = format!("/{folder}/x/y.rs");
        assert_eq!(machine_path(&format!("see `{path}")).as_deref(), Some(path.as_str()));
        assert_eq!(machine_path(&format!("DIR{path} ./a{path} {{}}{path}")), None);
    }
    assert_eq!(hiding_imports("use crate::model::*;\npub use crate::x;\nuse super::*;\npub(crate) use a_macro;\n").len(), 2);
    assert_eq!(words("rayon update_rayon rayons", "rayon").count(), 1);
    assert_eq!(without_tests("fn a() {}\n#[cfg(test)]\nmod tests { crate::x }"), "fn a() {}\n");
}
