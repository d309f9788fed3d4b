//! Maintenance of the ledger: backup and export during a run, and pruning of old history.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use sqlx::Connection;

use crate::support::TIME_SCALE;
use crate::support::test_cli::{LIMITS, TestCli};

fn parse_export(text: &str) -> BTreeMap<String, Vec<Value>> {
    let mut tables = BTreeMap::<String, Vec<Value>>::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        tables.entry(row["table"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    tables
}

/// Makes all records of the ledger older by `days` days.
async fn age_ledger(office: &TestCli, days: i64) {
    let url = format!("sqlite://{}", office.path("callsheet.db").display());
    let mut db = sqlx_sqlite::SqliteConnection::connect(&url).await.unwrap();
    let ms = days * 24 * 3_600_000;
    let text = format!(
        "update event set at = at - {ms}; update version set done_at = done_at - {ms}; \
         update run set heartbeat_at = heartbeat_at - {ms}, ended_at = ended_at - {ms};"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_backed_up_and_exported_during_a_run() {
    let office =
        TestCli::with_settings(8, "", |settings| settings.switches.time_scale = 20.0).await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 3"));
    let mut run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 3).await;
    let copied = office.run(&["ledger", "backup", "copy.db"]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    let export = office.run(&["ledger", "export"]);
    assert_eq!(export.code, Some(0), "{}", export.stderr);
    assert!(run.is_running(), "the run was over before it was copied");
    let tables = parse_export(&export.stdout);
    assert_eq!((tables["job"].len(), tables["version"].len(), tables["batch"].len()), (8, 8, 1));
    let paid = |tables: &BTreeMap<String, Vec<Value>>| {
        tables["submission"].iter().filter(|row| !row["paid_at"].is_null()).count()
    };
    assert!(paid(&tables) >= 3, "{:?}", tables["submission"]);
    assert_eq!(tables["version"][0]["cells"][0][1], "Hello 0");
    assert!(tables["event"][0]["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(office.run(&["--ledger", "copy.db", "ledger", "check"]).code, Some(0));
    // The copy contains every started render and pays for none of them again.
    let of_copy = office.run(&["--ledger", "copy.db", "ledger", "export"]);
    assert!(paid(&parse_export(&of_copy.stdout)) >= 3);
    assert_eq!(office.run(&["ledger", "backup", "copy.db"]).code, Some(1), "overwritten");
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    assert_eq!(run.wait().code, Some(0));
    office.assert_guarantees(8);

    let csv = office.run(&["ledger", "export", "promo", "--format", "csv", "-o", "everything"]);
    assert_eq!(csv.code, Some(0), "{csv:?}");
    let mut jobs = csv::Reader::from_path(office.path("everything/job.csv")).unwrap();
    assert_eq!(jobs.records().count(), 8);
    let links = fs::read_to_string(office.path("everything/submission.csv")).unwrap();
    assert!(links.contains("http") && !links.contains('?'), "a link kept its signature: {links}");
    let again = office.run(&["ledger", "export", "--format", "csv", "-o", "everything"]);
    assert_eq!(again.code, Some(2), "{again:?}");

    let page = include_str!("../../../docs/reference/commands.md");
    let (_, section) = page.split_once("### ledger export\n").unwrap();
    for file in fs::read_dir(office.path("everything")).unwrap() {
        let file = file.unwrap().path();
        let table = file.file_stem().unwrap().to_str().unwrap();
        let mut words = section.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(words.any(|word| word == table), "the reference does not name `{table}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_deletes_old_history_and_keeps_paid_requests() {
    let office = TestCli::with_settings(4, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 1"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    // Changed and rendered again; changed back, the earlier video is reused for free.
    let done = office.run(&["jobs", "promo", "--state", "done", "--json"]).stdout;
    let done: Value = serde_json::from_str(done.lines().next().unwrap()).unwrap();
    let done = done["key"].as_str().unwrap();
    let sheet = fs::read_to_string(office.path("s.csv")).unwrap();
    office.write("s.csv", &sheet.replace(&format!("{done},Hello"), &format!("{done},Other")));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    let before = parse_export(&office.run(&["ledger", "export"]).stdout);
    let young = office.run(&["ledger", "prune", "--older-than", "90d", "--yes"]);
    assert_eq!((young.code, young.stdout.as_str()), (Some(0), "Nothing to delete\n"), "{young:?}");
    age_ledger(&office, 100).await;
    let asked = office.run(&["ledger", "prune", "--older-than", "90d"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.stderr.contains("Nothing was done; use --yes"), "{}", asked.stderr);
    let events = |tables: &BTreeMap<String, Vec<Value>>| tables["event"].len();
    assert_eq!(events(&parse_export(&office.run(&["ledger", "export"]).stdout)), events(&before));

    let pruned = office.run(&["ledger", "prune", "--older-than", "90d", "--yes"]);
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    assert!(pruned.stdout.contains("Deleted; the file shrank from"), "{}", pruned.stdout);
    let after = parse_export(&office.run(&["ledger", "export"]).stdout);
    assert!(events(&after) < events(&before), "{} {}", events(&after), events(&before));
    for table in ["job", "submission", "version", "batch", "template"] {
        assert_eq!(after[table].len(), before[table].len(), "{table}");
    }
    // The history of the failed row is complete: the operator still needs it.
    let of_failed = |tables: &BTreeMap<String, Vec<Value>>| {
        let failed = tables["job"].iter().find(|job| job["state"] == "failed").unwrap();
        tables["event"].iter().filter(|event| event["job_id"] == failed["id"]).count()
    };
    assert_eq!(of_failed(&after), of_failed(&before));
    assert_eq!(office.run(&["ledger", "check"]).code, Some(0));
    assert_eq!(office.run(&["show", "promo", done]).code, Some(0));

    let renders = office.sandbox.render_count();
    office.write("s.csv", &sheet);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    assert_eq!(office.sandbox.render_count(), renders, "the former video was paid for again");
    let short = office.run(&["ledger", "prune", "--older-than", "1h"]);
    assert_eq!(short.code, Some(2), "{short:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_is_refused_during_a_run() {
    let office =
        TestCli::with_settings(3, "", |settings| settings.switches.time_scale = 20.0).await;
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 1).await;
    let pruned = office.run(&["ledger", "prune", "--older-than", "1d", "--yes"]);
    assert_eq!(pruned.code, Some(11), "{pruned:?}");
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    assert_eq!(run.wait().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_resumes_in_its_folder_from_any_directory() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    fs::create_dir(office.path("elsewhere")).unwrap();
    let mut resume = office.command(&["--ledger", "../callsheet.db", "resume", "promo"]);
    let ended = office.start(resume.current_dir(office.path("elsewhere"))).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(&office.path("out").display().to_string()), "{ended:?}");
    assert_eq!(fs::read_dir(office.path("elsewhere")).unwrap().count(), 0);
    assert_eq!(office.assert_guarantees(2), ["done"; 2]);
    let status = office.run(&["status", "promo", "--json"]);
    assert!(status.stdout.contains("\"file\":\"b.toml\""), "as it would be typed here: {status:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ledger_path_that_is_not_utf_8_is_named_as_the_cause() {
    use std::os::unix::ffi::OsStrExt;
    let office = TestCli::new(1).await;
    for command in ["run", "plan"] {
        let mut command = office.command(&[command, "b.toml", "--ledger"]);
        command.arg(std::ffi::OsStr::from_bytes(b"l\xfe.db"));
        let ended = office.start(&mut command).wait();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("its path is not valid UTF-8"), "{ended:?}");
    }
    let mut command = office.command(&["run", "b.toml"]);
    command.env("AISTUDIOS_BASE_URL", std::ffi::OsStr::from_bytes(b"http://127.0.0.1\xff"));
    let ended = office.start(&mut command).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("AISTUDIOS_BASE_URL"), "{ended:?}");
    assert_eq!(office.sandbox.requests(), []);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_a_ledger_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let office = TestCli::new(1).await;
    assert_eq!(office.run(&["plan", "b.toml", "--offline"]).code, Some(0));
    for (mode, is_warned) in [(0o600, false), (0o640, true), (0o644, true)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(office.path("callsheet.db"), permissions).unwrap();
        let checked = office.run(&["check", "b.toml", "--offline"]);
        assert_eq!(checked.stdout.contains("others can read"), is_warned, "{mode:o}: {checked:?}");
    }
}
