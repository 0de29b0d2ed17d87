//! Clients that load a dump (`pg_restore`, `psql`, `mariadb`) end with whoever started them: at a case's deadline, at the first Ctrl-C and at
//! the second, nothing of them runs on.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use attestore::engines::installed::EngineKind;
use attestore::engines::process::ProcessMark;
use rustix::process::{Pid, Signal, kill_process};

use crate::drill_estate::Estate;
use crate::dump_vault::{Source, USER, edit, lay, no_leftovers};
use crate::engines::engine;

/// How long a step may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process's parent, its group and its name (proc(5)).
fn stat(pid: i32) -> Option<(i32, i32, String)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?, name.to_owned()))
}

fn processes() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The clients that a drill has started, each with its group.
fn clients(drill: i32, names: &[&str]) -> Vec<(ProcessMark, i32)> {
    let of_it = |pid: &i32| stat(*pid).is_some_and(|(parent, _, name)| parent == drill && names.contains(&name.as_str()));
    processes().filter(of_it).filter_map(|pid| Some((ProcessMark::of(pid)?, stat(pid)?.1))).collect()
}

/// What ends a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Deadline,
    CtrlC,
    CtrlCTwice,
}

/// Runs a drill whose load never ends until all `names` run, ends it, and looks what is left.
async fn ends_with_its_clients(estate: &Estate, names: &[&str], end: End) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["drill", "--case-deadline", if end == End::Deadline { "25s" } else { "10m" }]).current_dir(&estate.folder);
    let mut drill = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(drill.id()).unwrap();
    let begun = Instant::now();
    let running = loop {
        let found = clients(pid, names);
        // Those that made the empty server have ended when these load.
        let known: BTreeSet<String> = found.iter().filter_map(|(mark, _)| Some(stat(mark.pid)?.2)).collect();
        if known.len() == names.len() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let still: Vec<_> = found.into_iter().filter(|(mark, _)| mark.is_alive()).collect();
            if still.len() == names.len() {
                break still;
            }
        }
        if drill.try_wait().unwrap().is_some() {
            let output = drill.wait_with_output().unwrap();
            panic!("{end:?}: it ended before {names:?} ran: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(begun.elapsed() < PATIENCE, "{end:?}: {names:?} do not run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for (mark, group) in &running {
        assert_eq!(*group, mark.pid, "each has a group of its own");
    }
    let signals = match end {
        End::Deadline => 0,
        End::CtrlC => 1,
        End::CtrlCTwice => 2,
    };
    for _ in 0..signals {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
        tokio::time::sleep(Duration::from_millis(if end == End::CtrlCTwice { 20 } else { 0 })).await;
    }
    let output = tokio::task::spawn_blocking(move || drill.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
    let code = if end == End::CtrlCTwice { 130 } else { 3 };
    // Where the first signal was enough to end it in time, the second found nobody.
    assert!(output.status.code() == Some(code) || end == End::CtrlCTwice && output.status.code() == Some(3), "{end:?}: {said}");
    let deadline = Instant::now() + PATIENCE;
    let left = |running: &[(ProcessMark, i32)]| {
        processes().filter(|pid| stat(*pid).is_some_and(|(_, group, _)| running.iter().any(|(_, own)| *own == group))).collect::<Vec<_>>()
    };
    while !left(&running).is_empty() {
        assert!(Instant::now() < deadline, "{end:?}: {:?} run on: {said}", left(&running));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if end == End::Deadline {
        no_leftovers(estate);
    } else {
        // What stands of it, its server among that, is given up.
        estate.run(&["drill", "--abandon"], None);
        estate.run(&["sweep", "--apply"], None);
        no_leftovers(estate);
    }
}

/// A table whose rows nobody but its maker checks in time; and so much of it that whoever unpacks it has to wait.
const SLOW: &str = "CREATE FUNCTION in_time(id int) RETURNS boolean LANGUAGE plpgsql AS \
     $$ BEGIN IF session_user <> 'keeper' THEN PERFORM pg_catalog.pg_sleep(600); END IF; RETURN true; END $$; \
     CREATE TABLE slow (id int PRIMARY KEY CHECK (in_time(id)), v text); \
     INSERT INTO slow SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, 40000) i;";

async fn of(folder: &Path, kind: EngineKind, ends: &[End]) {
    let source = Source::start(&folder.join("source"), kind).await;
    let vault = folder.join("estate/vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    let names: &[&str] = match kind {
        EngineKind::Postgres => {
            source.administer(&format!("SET SESSION AUTHORIZATION {USER}; {SLOW}")).await;
            source.pg_dump("custom", &vault.join("slow.dump"));
            &["psql", "pg_restore"]
        }
        EngineKind::MariaDb | EngineKind::MySql => {
            source.mysql_dump(&folder.join("plain.sql"));
            edit(&folder.join("plain.sql"), &vault.join("slow.dump"), |text| text + "\nSELECT SLEEP(600);\n");
            &["mariadb"]
        }
    };
    let estate = lay(&folder.join("estate"), &source, &["slow.dump"]).await;
    source.servers.purge().await.unwrap();
    for end in ends {
        ends_with_its_clients(&estate, names, *end).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_postgres_end_with_their_case() {
    if engine(EngineKind::Postgres) {
        let folder = tempfile::tempdir().unwrap();
        of(folder.path(), EngineKind::Postgres, &[End::CtrlC, End::CtrlCTwice, End::Deadline]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_mariadb_end_with_their_case() {
    if engine(EngineKind::MariaDb) {
        let folder = tempfile::tempdir().unwrap();
        of(folder.path(), EngineKind::MariaDb, &[End::CtrlC, End::CtrlCTwice, End::Deadline]).await;
    }
}
