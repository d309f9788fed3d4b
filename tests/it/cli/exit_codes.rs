//! Every exit code, each caused by its condition.

use std::fs;
use std::net::TcpListener;

use callsheet::cli::ExitReason;
use callsheet::ledger::{Durability, Ledger};

use crate::support::test_cli::{LIMITS, TestCli};

/// The test for each exit code.
const EXIT_CODE_TESTS: &[(ExitReason, &str, &str)] = &[
    (
        ExitReason::Done,
        "multiple_batches.rs",
        "two_batches_run_side_by_side_and_are_reported_by_name",
    ),
    (ExitReason::Unexpected, "exit_codes.rs", "exit_1_for_a_damaged_ledger_before_any_request"),
    (ExitReason::Usage, "exit_codes.rs", "exit_2_for_wrong_settings_before_any_request"),
    (ExitReason::SomeFailed, "exit_codes.rs", "exit_3_for_a_refused_row_after_the_other_rows"),
    (
        ExitReason::Input,
        "multiple_batches.rs",
        "a_problem_in_one_batch_stops_all_before_anything_is_spent",
    ),
    (ExitReason::TransientFailure, "exit_codes.rs", "exit_5_for_an_unavailable_host"),
    (ExitReason::Uncertain, "exit_codes.rs", "exit_6_for_lost_responses_without_resubmission"),
    (ExitReason::Account, "exit_codes.rs", "exit_7_for_a_refused_account"),
    (ExitReason::CapReached, "exit_codes.rs", "exit_8_at_a_cap_and_the_next_run_continues"),
    (ExitReason::WindowClosed, "windows.rs", "exit_10_outside_the_window_after_downloads"),
    (
        ExitReason::BatchLocked,
        "multiple_batches.rs",
        "no_batch_starts_if_one_is_locked_by_another_run",
    ),
    (
        ExitReason::Interrupted,
        "signals.rs",
        "an_interrupted_run_is_saved_and_the_same_command_continues",
    ),
    (
        ExitReason::Terminated,
        "signals.rs",
        "an_interrupted_run_is_saved_and_the_same_command_continues",
    ),
];

#[test]
fn every_exit_code_has_a_test() {
    for exit in ExitReason::ALL {
        let (_, file, name) = EXIT_CODE_TESTS
            .iter()
            .find(|(driven, ..)| *driven == exit)
            .unwrap_or_else(|| panic!("{exit:?}"));
        let path = format!("{}/tests/it/cli/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).unwrap();
        let (_, body) = text.split_once(&format!("fn {name}(")).unwrap_or_else(|| panic!("{name}"));
        let (body, _) = body.split_once("\n}\n").unwrap();
        let code = exit.code().to_string();
        let words = body.split(|c: char| !c.is_ascii_digit());
        assert!(words.into_iter().any(|word| word == code), "{name} does not speak of {code}");
    }
}

/// Returns the number of API requests.
fn request_count(office: &TestCli) -> usize {
    office.sandbox.requests().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_1_for_a_damaged_ledger_before_any_request() {
    let office = TestCli::new(2).await;
    fs::create_dir(office.path("folder")).unwrap();
    office.write("text.db", "this is no database at all, but a text of some length\n");
    drop(Ledger::open(&office.path("newer.db"), Durability::ProcessDeath).await.unwrap());
    let mut said = String::new();
    set_user_version(&office, "newer.db", 999).await;
    for name in ["folder", "text.db", "newer.db", "nowhere/l.db"] {
        for args in [["--ledger", name, "run", "b.toml"], ["--ledger", name, "plan", "b.toml"]] {
            let ended = office.run(&args);
            assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
            said.push_str(&office.normalize(&ended.stderr));
        }
    }
    // The newest known format grows with every migration.
    let known = said.split("knows up to ").nth(1).and_then(|text| text.split(')').next()).unwrap();
    let said = said.replace(&format!("up to {known})"), "up to N)");
    insta::assert_snapshot!(said, @"
    error: cannot open the ledger `folder`: it is a folder
    error: cannot open the ledger `folder`: it is a folder
    error: the ledger `text.db` is damaged (it is not a database, or its first page is lost): nothing was changed; choose another --ledger, or run `callsheet ledger check` and restore a backup
    error: the ledger `text.db` is damaged (it is not a database, or its first page is lost): nothing was changed; choose another --ledger, or run `callsheet ledger check` and restore a backup
    error: the ledger `newer.db` was written by a newer callsheet (its format is 999, this program knows up to N): use that version
    error: the ledger `newer.db` was written by a newer callsheet (its format is 999, this program knows up to N): use that version
    error: cannot open the ledger `nowhere/l.db`: its folder does not exist
    error: cannot open the ledger `nowhere/l.db`: its folder does not exist
    ");
    let text = fs::read_to_string(office.path("text.db")).unwrap();
    assert!(text.starts_with("this is no database"), "it was written to");
    assert_eq!(request_count(&office), 0);
}

/// Bytes of a ledger change on a disk or a bad copy: every command reads it, or refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_ledger_never_makes_a_command_panic() {
    let office = TestCli::new(3).await;
    if office.database().is_some() {
        return;
    }
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let whole = fs::read(office.path("callsheet.db")).unwrap();
    let damages: [fn(&mut Vec<u8>); 7] = [
        |bytes| bytes.truncate(100),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[4096..8192].fill(0),
        |bytes| bytes.iter_mut().skip(100).step_by(997).for_each(|byte| *byte ^= 1),
        |bytes| bytes.iter_mut().skip(200).step_by(4096).for_each(|byte| *byte = 0xff),
        |bytes| bytes[16..20].fill(0xff),
        |bytes| {
            bytes.iter_mut().skip(5000).step_by(61).for_each(|byte| *byte = byte.wrapping_add(1));
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        for args in [
            &["status"][..],
            &["show", "promo", "k000"],
            &["runs"],
            &["report", "promo"],
            &["ledger", "check"],
            &["plan", "b.toml", "--offline"],
            &["resume", "promo"],
            &["run", "b.toml"],
        ] {
            let mut bytes = whole.clone();
            damage(&mut bytes);
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(office.path(&format!("callsheet.db{suffix}")));
            }
            fs::write(office.path("callsheet.db"), bytes).unwrap();
            let ended = office.run(args);
            assert!(ended.code.is_some(), "damage {number}, {args:?}: {ended:?}");
            let is_panic =
                ["panicked", "failed unexpectedly"].iter().any(|word| ended.stderr.contains(word));
            assert!(!is_panic, "damage {number}, {args:?}: {}", ended.stderr);
        }
    }
    assert_eq!(office.sandbox.render_count(), 3, "something was rendered again");
}

async fn set_user_version(office: &TestCli, name: &str, version: i64) {
    use sqlx::Connection;
    let url = format!("sqlite://{}", office.path(name).display());
    let mut db = sqlx_sqlite::SqliteConnection::connect(&url).await.unwrap();
    let statement = format!("pragma user_version = {version}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_2_for_wrong_settings_before_any_request() {
    let office = TestCli::new(2).await;
    let mut said = String::new();
    let mut told = |what: &str, ended: crate::support::test_cli::CommandOutput| {
        assert_eq!(ended.code, Some(2), "{what}: {ended:?}");
        said.push_str(&format!("# {what}\n{}", office.normalize(&ended.stderr)));
    };
    told("a bad flag", office.run(&["run", "b.toml", "--limt", "3"]));
    told("no batch file named", office.run(&["run"]));
    told(
        "no credentials",
        office.start(&mut office.command_without_credentials(&["run", "b.toml"])).wait(),
    );
    let mut half = office.command_without_credentials(&["run", "b.toml"]);
    told("half of them", office.start(half.env("AISTUDIOS_APP_ID", "me")).wait());
    let file = office.path("mine.toml");
    fs::write(&file, "app_id = \"me\"\nuser_key = \"canary-of-the-file\"\n").unwrap();
    let mut open = office.command_without_credentials(&["run", "b.toml"]);
    told("a file for all", office.start(open.env("AISTUDIOS_CREDENTIALS", &file)).wait());
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, private).unwrap();
    fs::write(&file, "app_id = \"me\"\nuser_key = canary-of-the-file\n").unwrap();
    let mut odd = office.command_without_credentials(&["run", "b.toml"]);
    told("an odd file", office.start(odd.env("AISTUDIOS_CREDENTIALS", &file)).wait());
    let plain = ["run", "b.toml", "--base-url", "http://studio.example"];
    told("in the open", office.run(&plain));
    let mut from_environment = office.command(&["run", "b.toml"]);
    from_environment.env("AISTUDIOS_BASE_URL", "ftp://studio.example");
    told("in the environment", office.start(&mut from_environment).wait());
    told("no ledger to resume", office.run(&["resume"]));
    told(
        "a fault unheard of",
        office.run(&["run", "b.toml", "--sandbox", "--fault", "lost-anser"]),
    );
    assert!(!said.contains("canary"), "{said}");
    insta::assert_snapshot!(said, @r#"
    # a bad flag
    error: `callsheet run` has no option `--limt`
      help: did you mean `--limit`?
    # no batch file named
    error: `callsheet run` needs <BATCH>
      help: did you mean `callsheet run promo`?
    # no credentials
    error: no credentials: run `callsheet login`, which saves them in `DIR/.config/callsheet/credentials.toml`, or set AISTUDIOS_APP_ID and AISTUDIOS_USER_KEY in the environment. A rehearsal (`callsheet run BATCH --sandbox`) needs none
    # half of them
    error: AISTUDIOS_APP_ID is set, but not AISTUDIOS_USER_KEY: both are needed
    # a file for all
    error: others can read the credentials file `DIR/mine.toml`: run `chmod 600 DIR/mine.toml`
    # an odd file
    error: the credentials file `DIR/mine.toml` needs two lines: app_id = "…" and user_key = "…"; `callsheet login` writes them
    # in the open
    error: --base-url: must begin with `https://` (`http://` is allowed for this machine only)
    # in the environment
    error: AISTUDIOS_BASE_URL: must be an address like `https://app.aistudios.com`
    # no ledger to resume
    error: this ledger has no batch yet: use `callsheet run`
    # a fault unheard of
    error: --fault lost-anser: `lost-anser` is not a known fault; did you mean `lost-answer`?
    "#);
    assert_eq!(request_count(&office), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_2_for_a_batch_of_another_host() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let elsewhere = office.run(&["run", "b.toml", "--base-url", "https://studio.example"]);
    assert_eq!(elsewhere.code, Some(2));
    insta::assert_snapshot!(office.normalize(&elsewhere.stderr), @"error: batch `promo` belongs to http://STUDIO and cannot continue at https://studio.example: give it another name, or choose another ledger");
    assert_eq!(office.run(&["resume", "--base-url", "https://studio.example"]).code, Some(2));
    assert_eq!(office.sandbox.render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_3_for_a_refused_row_after_the_other_rows() {
    let office = TestCli::with_settings(4, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let mut statuses = office.assert_guarantees(4);
    statuses.sort();
    assert_eq!(statuses, ["done", "done", "done", "failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_5_for_an_unavailable_host() {
    let office = TestCli::new(2).await;
    let limits = LIMITS.replace("request_timeout = '2s'", "request_timeout = '500ms'");
    office.write_batch("", &limits);
    // A listener that never accepts a connection.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut said = String::new();
    for (what, url, name) in
        [("CLOSED", &closed_url, "closed.db"), ("SILENT", &silent_url, "silent.db")]
    {
        let args = ["-q", "--ledger", name, "run", "b.toml", "--base-url", url];
        let ended = office.run(&args);
        assert_eq!(ended.code, Some(5), "{ended:?}");
        said.push_str(&ended.stderr.replace(url.trim_start_matches("http://"), what));
    }
    // A busy machine notices it later.
    let said = said.replace("(after 0.6 s)", "(after 0.5 s)");
    insta::assert_snapshot!(said, @"
    error: `CLOSED` cannot be reached: check the network, or `base_url`
    error: `SILENT` does not respond (no complete response in time (after 0.5 s)): check the network and `base_url`, then run the same command again
    ");
    assert_eq!(request_count(&office), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_6_for_lost_responses_without_resubmission() {
    let office = TestCli::with_settings(3, "submission = 'one-step'", |settings| {
        settings.faults.add("close-before=create:always").unwrap();
    })
    .await;
    for _ in 0..2 {
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(6), "{ended:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(ended.stdout_without_totals(), @"
            3 videos: 3 uncertain
            Videos: out
            Results: out/results.csv
            Report: out/report.html
            ");
        }
    }
    assert_eq!(office.assert_guarantees(3), ["uncertain"; 3]);
    assert_eq!(office.sandbox.counters().request_count("create"), 3, "something was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_7_for_a_refused_account() {
    let office = TestCli::with_settings(6, "", |settings| {
        settings.faults.add("402-after=export:+2").unwrap();
    })
    .await;
    let mut wrong = office.command(&["run", "b.toml"]);
    wrong.env("AISTUDIOS_USER_KEY", "canary-of-the-wrong-key");
    let refused = office.start(&mut wrong).wait();
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(!refused.stderr.contains("canary"));
    insta::assert_snapshot!(refused.stderr, @"
    promo: 6 videos: 6 to render
    2 s of speech; rendering takes 60 s to 10 min; about 6 credits (1 per started minute, at least 1 per video)
    error: AI Studios refused the credentials: check the app id and user key, and that they belong to this region (AI Studios: appId or userKey is wrong)
    ");
    let gone = office.run(&["-q", "run", "b.toml"]);
    assert_eq!(gone.code, Some(7), "{gone:?}");
    insta::assert_snapshot!(gone.stderr, @"error: out of credits: top up, then run again (AI Studios: not enough credit)");
    office.assert_guarantees(6);
    office.sandbox.set_faults(callsheet::sandbox::FaultRules::default());
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.assert_guarantees(6), ["done"; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_7_without_credits_after_at_most_five_further_requests() {
    for (way, paid) in [("two-step", "export"), ("one-step", "create")] {
        let studio = format!("submission = '{way}'");
        let office = TestCli::with_settings(60, &studio, |settings| {
            settings.switches.credit.balance = Some(10.0);
            settings.switches.credit.charge_at = callsheet::sandbox::ChargeAt::Submit;
            // One simulated minute, and so one credit, each.
            settings.switches.queue.render_min_s = 60;
            settings.switches.queue.render_max_s = 60;
        })
        .await;
        office.write_batch(&studio, &LIMITS.replace("in_flight = 32", "in_flight = 4"));
        let gone = office.run(&["run", "b.toml"]);
        assert_eq!(gone.code, Some(7), "{gone:?}");
        let requests = office.sandbox.counters().request_count(paid);
        assert!((11..=15).contains(&requests), "{way}: {requests} paid requests");
        let statuses = office.assert_guarantees(60);
        let with = |word: &str| statuses.iter().filter(|status| *status == word).count();
        assert_eq!((with("done"), with("ready")), (10, 50), "{way}: {statuses:?}");

        office.sandbox.update_switches(|switches| switches.credit.balance = None);
        assert_eq!(office.run(&["run", "b.toml"]).code, Some(0), "{way}");
        assert_eq!(office.assert_guarantees(60), ["done"; 60]);
        assert_eq!(office.sandbox.render_count(), 60, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_8_at_a_cap_and_the_next_run_continues() {
    let office = TestCli::new(5).await;
    for renders in [2, 4] {
        let ended = office.run(&["run", "b.toml", "--limit", "2"]);
        assert_eq!(ended.code, Some(8), "{ended:?}");
        assert_eq!(office.sandbox.render_count(), renders);
    }
    assert_eq!(office.run(&["run", "b.toml", "--limit", "2"]).code, Some(0));
    assert_eq!(office.assert_guarantees(5), ["done"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_8_only_if_the_cap_held_back_a_selected_row() {
    let office = TestCli::new(4).await;
    let named = ["run", "b.toml", "--only", "k001,k002", "--limit", "1"];
    for (code, renders) in [(8, 1), (0, 2)] {
        let ended = office.run(&named);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(office.sandbox.render_count(), renders);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_2_for_an_unknown_key() {
    let office = TestCli::new(3).await;
    let ended = office.run(&["run", "b.toml", "--only", "k001,k01"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    insta::assert_snapshot!(ended.stderr, @"error: --only: no row of the sheet has the key `k01`");
    assert_eq!(office.sandbox.render_count(), 0);
    assert_eq!(office.run(&["run", "b.toml", "--only", "k001"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 1);
}
