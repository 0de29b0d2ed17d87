//! Dumps and physical copies kept beside AWS: loaded into servers of their own and compared like any restore; damaged ones are unreadable,
//! which is a verdict. Skipped visibly where no server is installed, unless `ATTESTORE_REQUIRE` names `postgres` or `mariadb`.

use crate::dump_vault::{
    Source, begin, changed, cut, drill, edit, expect_pass, expect_unreadable, lay, lay_as, no_leftovers, pack_gzip, pack_zstd, result,
};
use crate::engines::engine;
use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_dumps_and_copies_come_back_and_damaged_ones_are_unreadable() {
    let Some((folder, source, vault)) = begin(EngineKind::Postgres).await else { return };
    for (format, name) in [("p", "plain.sql"), ("c", "custom.dump"), ("d", "folder"), ("t", "tar.dump")] {
        source.pg_dump(format, &vault.join(name));
    }
    let plain = vault.join("plain.sql");
    edit(&plain, &vault.join("changed.sql"), |text| text.replace("the-changed-one", "the-chAnged-one"));
    edit(&plain, &vault.join("unmarked.sql"), |text| text.replace("-- PostgreSQL database dump complete", "--"));
    edit(&plain, &vault.join("broken.sql"), |text| text.replace("ADD CONSTRAINT", "AD CONSTRAINT"));
    edit(&plain, &vault.join("evil.sql"), |text| text.replace("SET row_security = off;", "\\! touch evil-was-here"));
    edit(&plain, &vault.join("wants.sql"), |text| text.replace("\nALTER TABLE ONLY", "\nCREATE ROLE another;\nALTER TABLE ONLY"));
    std::fs::write(vault.join("form.sql.zip"), b"PK\x03\x04 and more").unwrap();
    cut(&plain, &vault.join("cut.sql"), 60);
    cut(&vault.join("custom.dump"), &vault.join("cut.dump"), 70);
    // As `pg_dump -Z` and `| zstd` write them; an archive in gzip once more; one that was cut, one that was cut before it was packed.
    pack_gzip(&plain, &vault.join("plain.sql.gz"));
    pack_zstd(&plain, &vault.join("plain.sql.zst"));
    pack_gzip(&vault.join("custom.dump"), &vault.join("custom.dump.gz"));
    pack_zstd(&vault.join("changed.sql"), &vault.join("changed.sql.zst"));
    pack_gzip(&vault.join("cut.sql"), &vault.join("cut-first.sql.gz"));
    cut(&vault.join("plain.sql.gz"), &vault.join("cut.sql.gz"), 80);
    std::fs::write(vault.join("mysql.sql"), "-- MySQL dump 10.13\n-- Dump completed\n").unwrap();
    let points = [
        "plain.sql",
        "custom.dump",
        "folder",
        "tar.dump",
        "changed.sql",
        "unmarked.sql",
        "broken.sql",
        "evil.sql",
        "wants.sql",
        "form.sql.zip",
        "cut.sql",
        "cut.dump",
        "mysql.sql",
        "plain.sql.gz",
        "plain.sql.zst",
        "custom.dump.gz",
        "changed.sql.zst",
        "cut-first.sql.gz",
        "cut.sql.gz",
        "data",
        "old-data",
    ];
    let estate = lay(folder.path(), &source, &points).await;
    source.copy_data(&vault.join("data")).await;
    std::fs::create_dir_all(vault.join("old-data")).unwrap();
    std::fs::write(vault.join("old-data/PG_VERSION"), "9.6\n").unwrap();
    drill(&estate, 1);
    // Another version than the one that is installed is no verdict on the copy.
    let old = result(&estate, "old-data");
    assert_eq!((old.outcome, old.verify.is_none()), (Outcome::Error, true), "{:?}", old.outcome_reasons);
    assert!(old.errors[0].message.contains("PostgreSQL 9.6"), "{:?}", old.errors);
    // Nor are rights that its loading withholds, or a form that is not read here.
    let untold = [
        ("wants.sql", "it wants rights that are withheld"),
        ("form.sql.zip", "compressed in a way"),
        ("mysql.sql", "an SQL dump of MySQL, and the resource is of kind rds-postgres"),
    ];
    for (point, said) in untold {
        let untold = result(&estate, point);
        assert_eq!((untold.outcome, untold.verify.is_none()), (Outcome::Error, true), "{point}: {:?}", untold.outcome_reasons);
        assert!(untold.errors[0].message.contains(said), "{point}: {:?}", untold.errors);
    }
    for good in ["plain.sql", "custom.dump", "folder", "tar.dump", "data", "plain.sql.gz", "plain.sql.zst", "custom.dump.gz"] {
        expect_pass(&estate, good);
    }
    changed(&estate, "changed.sql");
    changed(&estate, "changed.sql.zst");
    expect_unreadable(&estate, "cut-first.sql.gz", "ends without its line");
    expect_unreadable(&estate, "cut.sql.gz", "does not unpack");
    expect_unreadable(&estate, "unmarked.sql", "ends without its line");
    expect_unreadable(&estate, "broken.sql", "syntax error");
    expect_unreadable(&estate, "cut.sql", "ends without its line");
    expect_unreadable(&estate, "cut.dump", "pg_restore");
    let evil = result(&estate, "evil.sql");
    assert_eq!((evil.outcome, evil.verify.is_none()), (Outcome::Error, true));
    assert!(evil.errors[0].message.contains("which no dump needs"), "{:?}", evil.errors);
    assert!(!estate.path("evil-was-here").exists());
    source.servers.purge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_dumps_and_copies_come_back_and_damaged_ones_are_unreadable() {
    let Some((folder, source, vault)) = begin(EngineKind::MariaDb).await else { return };
    let plain = vault.join("plain.sql");
    source.mysql_dump(&plain);
    edit(&plain, &vault.join("changed.sql"), |text| text.replace("the-changed-one", "the-chAnged-one"));
    edit(&plain, &vault.join("unmarked.sql"), |text| text.replace("-- Dump completed", "--"));
    edit(&plain, &vault.join("broken.sql"), |text| text.replace("CREATE TABLE `customer`", "CREATE TABEL `customer`"));
    cut(&plain, &vault.join("cut.sql"), 60);
    pack_gzip(&plain, &vault.join("plain.sql.gz"));
    pack_zstd(&vault.join("changed.sql"), &vault.join("changed.sql.zst"));
    let points = ["plain.sql", "changed.sql", "unmarked.sql", "broken.sql", "cut.sql", "plain.sql.gz", "changed.sql.zst", "data"];
    let estate = lay(folder.path(), &source, &points).await;
    source.copy_data(&vault.join("data")).await;
    drill(&estate, 1);
    expect_pass(&estate, "plain.sql");
    expect_pass(&estate, "plain.sql.gz");
    expect_pass(&estate, "data");
    changed(&estate, "changed.sql");
    changed(&estate, "changed.sql.zst");
    expect_unreadable(&estate, "unmarked.sql", "ends without its line");
    expect_unreadable(&estate, "broken.sql", "syntax");
    expect_unreadable(&estate, "cut.sql", "ends without its line");
    source.servers.purge().await.unwrap();
}

/// A database on a server of one's own is no instance: its dumps are files of a database that `source` names as everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn dumps_of_a_database_that_is_not_on_rds_are_of_the_kind_files() {
    for kind in [EngineKind::Postgres, EngineKind::MariaDb].into_iter().filter(|kind| engine(*kind)) {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::start(&folder.path().join("source"), kind).await;
        let vault = folder.path().join("vault/db");
        std::fs::create_dir_all(&vault).unwrap();
        let plain = vault.join("plain.sql");
        let other = match kind {
            EngineKind::Postgres => {
                source.pg_dump("p", &plain);
                "-- MySQL dump 10.13\n-- Dump completed\n"
            }
            EngineKind::MariaDb | EngineKind::MySql => {
                source.mysql_dump(&plain);
                "--\n-- PostgreSQL database dump\n--\n-- PostgreSQL database dump complete\n"
            }
        };
        edit(&plain, &vault.join("changed.sql"), |text| text.replace("the-changed-one", "the-chAnged-one"));
        std::fs::write(vault.join("other.sql"), other).unwrap();
        let url = source.url();
        let estate =
            lay_as(folder.path(), &source, &["plain.sql", "changed.sql", "other.sql"], &format!("kind = \"files\"\nsource = \"{url}\"\n"))
                .await;
        drill(&estate, 1);
        expect_pass(&estate, "plain.sql");
        changed(&estate, "changed.sql");
        let told = result(&estate, "other.sql");
        assert_eq!((told.outcome, told.verify.is_none()), (Outcome::Error, true), "{:?}", told.outcome_reasons);
        assert!(told.errors[0].message.contains(&format!("and the resource is {url}")), "{:?}", told.errors);
        source.servers.purge().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_drill_of_a_dump_goes_on_and_leaves_no_server() {
    let kind = if engine(EngineKind::Postgres) { EngineKind::Postgres } else { EngineKind::MariaDb };
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), kind).await;
    std::fs::create_dir_all(folder.path().join("laid/vault/db")).unwrap();
    match kind {
        EngineKind::Postgres => source.pg_dump("c", &folder.path().join("laid/vault/db/one")),
        EngineKind::MariaDb | EngineKind::MySql => source.mysql_dump(&folder.path().join("laid/vault/db/one")),
    }
    let laid = lay(&folder.path().join("laid"), &source, &["one"]).await;
    source.servers.purge().await.unwrap();
    for n in [7, 9, 11, 13] {
        let estate = laid.copy_to(&folder.path().join(format!("k{n}")));
        assert_eq!(estate.run(&["drill"], Some(n)).status.code(), None, "killed after record {n}");
        let resumed = estate.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(0), "{n}: {}", String::from_utf8_lossy(&resumed.stderr));
        expect_pass(&estate, "one");
        no_leftovers(&estate);
        std::fs::remove_dir_all(&estate.folder).unwrap();
    }
}
