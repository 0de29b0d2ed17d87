//! What is found before anything is restored, and what is found too late for a baseline.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attestore::drill::context::Setup;
use attestore::drill::run::{Request, run};
use attestore::model::outcome::Outcome;
use attestore::monitor::{Event, Monitor};
use attestore::restore::order::Clouds;
use attestore::signing::hash_key::HashKey;
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::PointResult;

use crate::drill_estate::Estate;

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_used_are_found_before_any_service_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    // Whoever is called takes the call: none may come.
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    std::fs::write(estate.path("colonless"), "nobody-is-to-see-this\n").unwrap();
    let before = (estate.log_kinds().len(), std::fs::read_dir(&estate.folder).unwrap().count());
    for (credentials, expected) in [
        ("env:ATTESTORE_NO_SUCH_VARIABLE", "the variable ATTESTORE_NO_SUCH_VARIABLE is not set"),
        ("file:absent", "absent"),
        ("file:vault", "vault"),
        ("file:colonless", "expected `USER:PASSWORD`"),
    ] {
        estate.configure(&format!(
            "[aws]\nregion = \"eu-west-2\"\nendpoint = \"http://{}\"\nbackup_role_arn = \"arn:aws:iam::111122223333:role/restore\"\n\
             [isolation]\naccount_id = \"111122223333\"\nname_prefix = \"attestore-drill-\"\n\
             [[resource]]\nid = \"crm\"\napplication = \"a\"\nkind = \"rds-postgres\"\nclass = \"c\"\nsource = \"crm\"\ndatabase = \"crm\"\n\
             manifests = \"manifests/app\"\ncredentials = \"{credentials}\"\n[[resource.points]]\nfrom = \"rds-snapshot\"\n",
            service.local_addr().unwrap()
        ));
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_attestore"))
            .arg("drill")
            .current_dir(&estate.folder)
            .envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{credentials}: {said}");
        assert!(said.contains("resource `crm`: credentials") && said.contains(expected), "{credentials}: {said}");
        assert!(!said.contains("nobody-is-to-see-this"), "{said}");
        assert_eq!(service.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "{credentials}: a service was called");
        assert_eq!((estate.log_kinds().len(), std::fs::read_dir(&estate.folder).unwrap().count()), before, "{credentials}");
    }
}

/// What a result has to state is fixed with the plan: with other checks it could not be verified.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_does_not_go_on_with_other_checks_than_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let check = |name: &str| {
        let text = format!(
            "--! id = \"own.{name}\"\n--! title = \"No booking of nobody\"\n--! engines = [\"sqlite\"]\n--! requires = [\"booking\"]\n\
             --! kind = \"violations\"\n--! severity = \"minor\"\n--! error_if = \"> 0\"\nSELECT id FROM booking WHERE guest = ''\n"
        );
        std::fs::write(estate.path("checks").join(format!("{name}.sql")), text).unwrap();
    };
    std::fs::create_dir_all(estate.path("checks")).unwrap();
    check("first");
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    std::fs::write(estate.path("attestore.toml"), text.replace("test_period", "checks = [\"./checks\"]\ntest_period")).unwrap();
    assert_eq!(estate.run(&["drill"], Some(16)).status.code(), None);

    check("second");
    let refused = estate.run(&["drill", "--resume"], None);
    let said = String::from_utf8_lossy(&[&refused.stderr[..], &refused.stdout[..]].concat()).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("began with other checks of class `c`") && said.contains("put the check files back"), "{said}");

    std::fs::remove_file(estate.path("checks/second.sql")).unwrap();
    let resumed = estate.run(&["drill", "--resume"], None);
    assert_eq!(resumed.status.code(), Some(1), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    let of_databases = estate.results().into_iter().filter(|result| result.resource.0 == "app");
    assert!(of_databases.into_iter().all(|result| result.sql_checks.len() == 1));
}

/// Opens what was restored to everybody while it is captured.
struct Opening {
    work: PathBuf,
    is_on: AtomicBool,
}

impl Monitor for Opening {
    fn event(&self, event: Event<'_>) {
        let Event::Started { task, .. } = event else { return };
        if !task.starts_with("capturing ") || !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        for target in std::fs::read_dir(&self.work).unwrap().flatten() {
            // Another case's may be gone by now.
            let _ = std::fs::set_permissions(target.path(), std::fs::Permissions::from_mode(0o755));
        }
    }
}

/// A drill in this process, on a stack as large as a program's first thread has, and the results that it added of the resource without
/// manifests.
fn drilled(estate: &Estate, monitor: &Arc<Opening>) -> Vec<PointResult> {
    let before: BTreeSet<_> = estate.results().into_iter().map(|result| result.drill_id).collect();
    let loaded = attestore::estate::load::load(&estate.path("attestore.toml")).unwrap();
    let setup = Setup { loaded, clouds: Clouds::none(), monitor: monitor.clone(), actor: "test".into() };
    let whole = move || tokio::runtime::Runtime::new().unwrap().block_on(run(setup, &Request::default())).map(drop);
    std::thread::Builder::new().stack_size(8 << 20).spawn(whole).unwrap().join().unwrap().unwrap();
    let is_of_it = |result: &PointResult| result.resource.0 == "bare" && !before.contains(&result.drill_id);
    estate.results().into_iter().filter(is_of_it).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_restore_whose_closing_look_is_refused_leaves_no_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let text = text.replace("id = \"files\"", "id = \"bare\"").replace("manifests/files", "manifests/bare");
    std::fs::write(estate.path("attestore.toml"), text.replace("test_period", "when_no_manifest = \"first-restore\"\ntest_period"))
        .unwrap();
    std::fs::create_dir_all(estate.path("manifests/bare")).unwrap();
    let baselines = || {
        let is_one = |body: &Body| matches!(body, Body::ManifestRegistered(manifest) if manifest.resource.0 == "bare");
        let kept = std::fs::read_dir(estate.path("manifests/bare")).unwrap().count();
        (estate.verdict().entries.iter().filter(|entry| is_one(&entry.body)).count(), kept)
    };
    let monitor = Arc::new(Opening { work: estate.path("attestore-work"), is_on: AtomicBool::new(true) });

    let results = drilled(&estate, &monitor);
    assert_eq!((results.len(), baselines()), (2, (0, 0)), "{results:?}");
    for result in &results {
        assert_eq!(result.outcome, Outcome::Error);
        assert!(result.outcome_reasons[0].contains("not-public"), "{:?}", result.outcome_reasons);
        assert!(!result.isolation.as_ref().unwrap().proved);
    }
    // What was closed all the time becomes the baseline, and is held against the next one.
    monitor.is_on.store(false, Ordering::Relaxed);
    for outcome in [Outcome::Inconclusive, Outcome::Pass] {
        let results = drilled(&estate, &monitor);
        assert!(results.iter().all(|result| result.outcome == outcome), "{results:?}");
        assert_eq!(baselines(), (2, 2));
    }
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(estate.leftovers(), Vec::<String>::new());
}

/// Nothing could be compared: that is told before a drill begins, and before anything is paid for.
#[tokio::test(flavor = "multi_thread")]
async fn a_hash_key_that_no_manifest_was_made_with_is_a_wrong_setting() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let own = std::fs::read(estate.path("attestore.hashkey")).unwrap();
    std::fs::remove_file(estate.path("attestore.hashkey")).unwrap();
    HashKey::create(&estate.path("attestore.hashkey")).unwrap();
    let before = estate.log_kinds().len();
    for command in [&["drill"][..], &["plan"]] {
        let output = estate.run(command, None);
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        assert!(said.contains("manifests/app/bad.db: made with hash key") && said.contains("attestore.hashkey, found"), "{said}");
    }
    assert_eq!(estate.log_kinds().len(), before);
    std::fs::write(estate.path("attestore.hashkey"), own).unwrap();
    assert_eq!(estate.run(&["plan"], None).status.code(), Some(0));
}

/// A name that no check of the class has would change nothing, and nobody would know.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_check_has_keep_a_drill_from_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let estate = Estate::lay(folder.path()).await;
    let before = estate.log_kinds().len();
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let text = text.replace("test_period", "checks = [\"bank\"]\ntest_period");
    let text = text.replace("source = \"sqlite:app.db\"", "source = \"sqlite:app.db\"\nnames = { acounts = \"acct\" }");
    std::fs::write(estate.path("attestore.toml"), text).unwrap();
    for command in [&["drill"][..], &["plan"], &["config", "check"]] {
        let output = estate.run(command, None);
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        assert!(said.contains("acounts") && said.contains("did you mean"), "{command:?}: {said}");
    }
    assert_eq!(estate.log_kinds().len(), before);
}
