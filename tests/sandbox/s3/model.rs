//! Random histories against a store that is a list in memory.

use std::collections::BTreeSet;

use attestore::sandbox::s3::listing::{self, Query, Start};
use attestore::sandbox::s3::record::Content;
use attestore::sandbox::s3::store::S3Store;
use attestore::sandbox::s3::{buckets, versions};
use proptest::prelude::*;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Put {
        key: usize,
    },
    Delete {
        key: usize,
    },
    /// Deletes the n-th version that there is.
    DeleteVersion {
        nth: usize,
    },
    Versioning {
        enabled: bool,
    },
}

const KEYS: [&str; 6] = ["a", "a/b", "a/c", "a+", "b/", "é/x"];

/// A version in the model.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: String,
    version_id: String,
    /// `None` is a delete marker.
    body: Option<String>,
}

/// The naive store: all versions in the order of their writing.
#[derive(Default)]
struct Model {
    versioning: Option<bool>,
    entries: Vec<Entry>,
}

impl Model {
    fn add(&mut self, key: &str, version_id: &str, body: Option<String>) {
        if self.versioning != Some(true) {
            self.entries.retain(|entry| !(entry.key == key && entry.version_id == "null"));
        }
        self.entries.push(Entry { key: key.into(), version_id: version_id.into(), body });
    }

    fn latest(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// Newest first within a key, keys in byte order.
    fn listed(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries.iter().rev().cloned().collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries
    }

    fn current(&self) -> Vec<String> {
        let keys: BTreeSet<&str> = self.entries.iter().map(|entry| entry.key.as_str()).collect();
        keys.into_iter().filter(|key| self.latest(key).is_some_and(|entry| entry.body.is_some())).map(str::to_owned).collect()
    }

    /// What a listing with prefix and delimiter shows.
    fn rolled_up(&self, prefix: &str) -> BTreeSet<String> {
        let keys = self.current().into_iter().filter(|key| key.starts_with(prefix));
        keys.map(|key| match key[prefix.len()..].find('/') {
            Some(at) => key[..prefix.len() + at + 1].to_owned(),
            None => key,
        })
        .collect()
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..KEYS.len()).prop_map(|key| Step::Put { key }),
        2 => (0..KEYS.len()).prop_map(|key| Step::Delete { key }),
        2 => (0..40usize).prop_map(|nth| Step::DeleteVersion { nth }),
        1 => any::<bool>().prop_map(|enabled| Step::Versioning { enabled }),
    ]
}

fn run(store: &S3Store, model: &mut Model, step: &Step, number: usize) {
    let connection = store.connection();
    let bucket = buckets::find(&connection, "b").unwrap();
    match step {
        Step::Put { key } => {
            let content = Content { size: 1, etag: format!("{number}"), ..Default::default() };
            let id = versions::add(&connection, &bucket, KEYS[*key], Some(&content), 0).unwrap();
            model.add(KEYS[*key], &id, Some(format!("{number}")));
        }
        Step::Delete { key } => {
            let deleted = versions::delete(&connection, &bucket, KEYS[*key], None, false, 0).unwrap();
            match model.versioning {
                None => model.entries.retain(|entry| entry.key != KEYS[*key]),
                Some(_) => model.add(KEYS[*key], &deleted.version_id.unwrap(), None),
            }
        }
        Step::DeleteVersion { nth } => {
            let Some(entry) = model.entries.get(*nth).cloned() else { return };
            versions::delete(&connection, &bucket, &entry.key, Some(&entry.version_id), false, 0).unwrap();
            model.entries.remove(*nth);
        }
        Step::Versioning { enabled } => {
            buckets::set_versioning(&connection, &bucket, if *enabled { "Enabled" } else { "Suspended" }).unwrap();
            model.versioning = Some(*enabled);
        }
    }
}

/// All pages of `max` entries: keys or prefixes, and versions.
fn pages(store: &S3Store, query: &Query, all: bool) -> Vec<Entry> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, "b").unwrap();
    let mut found = Vec::new();
    let mut start = Start::first();
    loop {
        let page = listing::page(&connection, &bucket, query, start, all).unwrap();
        assert!(page.versions.len() + page.prefixes.len() <= query.max);
        let rolled_up = page.prefixes.iter().map(|prefix| Entry { key: prefix.clone(), version_id: String::new(), body: None });
        found.extend(rolled_up);
        found.extend(page.versions.iter().map(|version| Entry {
            key: version.key.clone(),
            version_id: version.version_id.clone(),
            body: (!version.delete_marker).then(|| version.content.etag.clone()),
        }));
        // Going on by the markers that a client would send must lead to the same place.
        let Some(next) = page.next else { return found };
        start = match (&page.last, &page.last_version) {
            (Some(key), Some(version)) if all => Start::after_version(&connection, &bucket, key, version).unwrap(),
            (Some(key), _) => Start::after(key, query),
            _ => next,
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60), max in 1usize..8) {
        let dir = tempfile::tempdir().unwrap();
        let store = S3Store::open(dir.path()).unwrap();
        buckets::create(&store.connection(), "b", 0, false).unwrap();
        let mut model = Model::default();
        for (number, step) in steps.iter().enumerate() {
            run(&store, &mut model, step, number);
        }
        let query = Query { prefix: String::new(), delimiter: None, max };
        prop_assert_eq!(pages(&store, &query, true), model.listed());
        let keys: Vec<String> = pages(&store, &query, false).into_iter().map(|entry| entry.key).collect();
        prop_assert_eq!(keys, model.current());
        for prefix in ["", "a", "a/", "é"] {
            let query = Query { prefix: prefix.into(), delimiter: Some("/".into()), max };
            let found = pages(&store, &query, false);
            let keys: BTreeSet<String> = found.iter().map(|entry| entry.key.clone()).collect();
            prop_assert_eq!(keys.len(), found.len(), "an entry came twice");
            prop_assert_eq!(keys, model.rolled_up(prefix));
        }
        let connection = store.connection();
        let bucket = buckets::find(&connection, "b").unwrap();
        for key in KEYS {
            let found = versions::latest(&connection, &bucket, key).unwrap();
            prop_assert_eq!(found.map(|version| version.version_id), model.latest(key).map(|entry| entry.version_id.clone()));
        }
    }
}
