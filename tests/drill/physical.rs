//! Physical copies: data directories as they lie, and in archives. What they would do by themselves they do not do here.

use std::net::TcpListener;
use std::path::Path;

use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;

use crate::dump_forms::{all_pass, untold};
use crate::dump_vault::{self, Source, drill, lay};
use crate::engines::engine;

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// A data directory as `pg_basebackup -Ft` keeps it, whole and not.
#[tokio::test(flavor = "multi_thread")]
async fn base_backups_in_archives_come_back() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut source = Source::start(&folder.path().join("source"), EngineKind::Postgres).await;
    // Who looks at the definitions afterwards must leave them as they are.
    source
        .administer(
            "CREATE SEQUENCE counted; CREATE TABLE seen (tag text); CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (tg_tag); END $$; \
             CREATE EVENT TRIGGER sees ON ddl_command_end EXECUTE FUNCTION see(); ALTER EVENT TRIGGER sees ENABLE ALWAYS;",
        )
        .await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    let points =
        ["data", "base", "spaced", "cut", "logless", "linked", "native", "elsewhere", "log-elsewhere", "pg_class", "filenodes", "early"];
    // Copied before its manifest was captured: a directory has no date of its own, and a sequence may have gone on since.
    source.administer("SELECT nextval('counted');").await;
    source.copy_data(&vault.join("early")).await;
    source.booted = source.servers.boot(EngineKind::Postgres, "src", None).await.unwrap();
    source.administer("SELECT nextval('counted') FROM generate_series(1, 40);").await;
    let estate = lay(folder.path(), &source, &points).await;
    // Code that a copy brings along, in a function, and loaded into each session.
    source
        .administer(
            "CREATE FUNCTION native(regclass) RETURNS void LANGUAGE c AS '$libdir/amcheck', 'bt_index_check'; \
             UPDATE pg_proc SET probin = '/nowhere/native.so' WHERE proname = 'native';",
        )
        .await;
    source.copy_data(&vault.join("native")).await;
    source.booted = source.servers.boot(EngineKind::Postgres, "src", None).await.unwrap();
    source
        .administer(
            "DROP FUNCTION native(regclass); DELETE FROM seen; ALTER DATABASE crm SET session_preload_libraries = '/nowhere/native.so';",
        )
        .await;
    let data = vault.join("data");
    source.copy_data(&data).await;
    let tar = |arguments: &[&str], to: &Path, from: &Path| {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let status =
            std::process::Command::new("tar").arg("-c").arg("-f").arg(to).arg("-C").arg(from).args(arguments).arg(".").status().unwrap();
        assert!(status.success());
    };
    tar(&["-z", "--exclude=./pg_wal/0*"], &vault.join("base/base.tar.gz"), &data);
    tar(&[], &vault.join("base/pg_wal.tar"), &data.join("pg_wal"));
    for other in ["spaced", "cut", "logless"] {
        std::fs::create_dir_all(vault.join(other)).unwrap();
        std::fs::copy(vault.join("base/base.tar.gz"), vault.join(other).join("base.tar.gz")).unwrap();
    }
    std::fs::copy(vault.join("base/pg_wal.tar"), vault.join("spaced/pg_wal.tar")).unwrap();
    std::fs::copy(vault.join("base/pg_wal.tar"), vault.join("spaced/16400.tar")).unwrap();
    // Archives that are links: the vault keeps no byte of them.
    for (other, linked) in [("elsewhere", "base.tar.gz"), ("log-elsewhere", "pg_wal.tar")] {
        copy(&vault.join("base"), &vault.join(other));
        std::fs::rename(vault.join(other).join(linked), folder.path().join(linked)).unwrap();
        std::os::unix::fs::symlink(folder.path().join(linked), vault.join(other).join(linked)).unwrap();
    }
    dump_vault::cut(&vault.join("base/base.tar.gz"), &vault.join("cut/base.tar.gz"), 60);
    // Files of the catalogue are lost: the server starts, and opens no session in that database.
    let databases = |copy: &Path| std::fs::read_dir(copy.join("base")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for (other, lost) in [("pg_class", "1259"), ("filenodes", "pg_filenode.map")] {
        copy(&data, &vault.join(other));
        // The first three are the server's own, and not what is read.
        let own = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().parse::<u32>().unwrap() >= 16384;
        for database in databases(&vault.join(other)).iter().filter(|path| own(path)) {
            std::fs::remove_file(database.join(lost)).unwrap();
        }
    }
    std::fs::create_dir_all(vault.join("linked")).unwrap();
    std::fs::copy(data.join("PG_VERSION"), vault.join("linked/PG_VERSION")).unwrap();
    std::os::unix::fs::symlink(data.join("pg_wal"), vault.join("linked/pg_wal")).unwrap();
    drill(&estate, 1);
    all_pass(&estate, &["data", "base"]);
    untold(&estate, "spaced", "16400.tar holds a tablespace");
    untold(&estate, "linked", "pg_wal is a link");
    for point in ["elsewhere", "log-elsewhere"] {
        untold(&estate, point, "expected an archive, found a link");
    }
    untold(&estate, "native", "native code outside of the server's libraries: /nowhere/native.so");
    for (point, why) in [("cut", "tar: "), ("logless", "checkpoint")] {
        dump_vault::expect_unreadable(&estate, point, why);
    }
    let early = dump_vault::result(&estate, "early");
    assert_eq!(early.outcome, Outcome::PassWithException, "{:?}", early.outcome_reasons);
    assert!(early.verify.unwrap().not_compared.contains_key("sequence positions"));
    for point in ["pg_class", "filenodes"] {
        let bad = dump_vault::result(&estate, point);
        let rows = bad.verify.as_ref().unwrap_or_else(|| panic!("{point}: {:?}", bad.errors)).rows.unwrap();
        assert_eq!((bad.outcome, rows.unreadable, rows.matched), (Outcome::Fail, 7, 0), "{point}: {:?}", bad.errors);
        // Its checks could not be run, and that stands beside it.
        assert!(bad.errors.iter().all(|error| error.phase == "checks"), "{point}: {:?}", bad.errors);
    }
    source.servers.purge().await.unwrap();
}

/// A copy of a subscriber knows where production is, with its password, and would consume the slot that production keeps for the subscriber:
/// what it took would be lost to that. It does not even knock.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_a_subscription_never_reaches_production() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::Postgres).await;
    let production = TcpListener::bind("127.0.0.1:0").unwrap();
    production.set_nonblocking(true).unwrap();
    let port = production.local_addr().unwrap().port();
    source
        .administer(&format!(
            "CREATE SUBSCRIPTION of_production CONNECTION 'host=127.0.0.1 port={port} dbname=crm user=replicator password=far-secret' \
             PUBLICATION everything WITH (connect = false, slot_name = 'of_subscriber');\nALTER SUBSCRIPTION of_production ENABLE;"
        ))
        .await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    // A reading that takes its time, so that a worker would have come up.
    source.administer("CREATE TABLE slow (id INT PRIMARY KEY, v TEXT); INSERT INTO slow SELECT i, repeat('x', 2000) FROM generate_series(1, 20000) i;").await;
    let estate = lay(folder.path(), &source, &["data"]).await;
    source.copy_data(&vault.join("data")).await;
    drill(&estate, 0);
    all_pass(&estate, &["data"]);
    assert_eq!(production.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the copy connected to production");
    source.servers.purge().await.unwrap();
}
