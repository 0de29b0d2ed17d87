//! Empty databases that are made once and copied (`ATTESTORE_TEST_TEMPLATES`): one that is half made, or of another engine version, is never used.

use std::path::Path;

use attestore::engines::installed::EngineKind;
use attestore::engines::servers::Servers;
use attestore::model::failure::FailureKind;

use crate::engines::engine;

/// A file that tells where a data directory came from.
const MARK: &str = "planted";

/// An empty data directory made by servers of their own that keep theirs in `kept`: whether it is a copy of a marked one.
async fn made(kept: &Path, kind: EngineKind) -> bool {
    let state = tempfile::tempdir().unwrap();
    let servers = Servers::open(state.path()).unwrap().keeping_in(kept);
    servers.make_empty(kind, "one").await.unwrap();
    let data = servers.home("one").join("data");
    let whole = if kind == EngineKind::Postgres { "PG_VERSION" } else { "ibdata1" };
    assert!(data.join(whole).is_file(), "it is an empty database");
    let marked = data.join(MARK).is_file();
    servers.purge().await.unwrap();
    marked
}

fn plant(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(MARK), "x").unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_template_of_this_very_version_is_used() {
    for (kind, template) in [(EngineKind::Postgres, "t-postgres"), (EngineKind::MariaDb, "t-mariadb")] {
        if !engine(kind) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        let state = tempfile::tempdir().unwrap();
        let version = Servers::open(state.path()).unwrap().programs(kind).unwrap().version.clone();
        // What a run left that was killed while it kept one, one of an older version, and one of a version that begins alike.
        let others = [".tmpKilled/data".to_owned(), format!("{template}-9.1"), format!("{template}-{version}.1"), template.to_owned()];
        others.iter().for_each(|other| plant(&kept.join(other)));
        assert!(!made(&kept, kind).await, "none of these is used");
        let own = format!("{template}-{version}");
        assert!(names(&kept).contains(&own), "this one was kept: {:?}", names(&kept));
        assert!(others.iter().all(|other| kept.join(other).join(MARK).is_file()), "and the others were left alone");
        // The one that was kept is what the next program copies.
        plant(&kept.join(&own));
        assert!(made(&kept, kind).await);
        std::fs::remove_file(kept.join(&own).join(MARK)).unwrap();
        assert!(!made(&kept, kind).await);

        // One that ends in the middle of keeping leaves nothing under its name, and nothing beside it.
        let bare = folder.path().join("bare");
        let servers = Servers::open(state.path()).unwrap();
        servers.make_empty(kind, "one").await.unwrap();
        let large = std::fs::File::create(servers.home("one").join("data/large")).unwrap();
        large.set_len(4 << 30).unwrap();
        let area = servers.area();
        let kept = std::thread::scope(|scope| {
            let keeping = scope.spawn(|| area.keep("one", &bare.join(&own)));
            while !bare.is_dir() || names(&bare).is_empty() {
                std::thread::yield_now();
            }
            area.end_copies();
            keeping.join().unwrap()
        });
        assert_eq!(kept.unwrap_err().kind, FailureKind::Interrupted);
        assert_eq!(names(&bare), Vec::<String>::new());
        servers.purge().await.unwrap();
    }
}
