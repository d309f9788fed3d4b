//! Every exit code there is, by the thing that causes it.

use std::fs;
use std::net::TcpListener;

use callsheet::ledger::{Durability, Ledger};

use crate::support::binary::{LIMITS, Office};

/// How many API calls the studio has seen.
fn asked(office: &Office) -> usize {
    office.sandbox.requests().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_one_is_1_and_nothing_is_asked() {
    let office = Office::new(2).await;
    fs::create_dir(office.path("folder")).unwrap();
    office.write("text.db", "this is no database at all, but a text of some length\n");
    drop(Ledger::open(&office.path("newer.db"), Durability::ProcessDeath).await.unwrap());
    let mut said = String::new();
    set_user_version(&office, "newer.db", 999).await;
    for name in ["folder", "text.db", "newer.db", "nowhere/l.db"] {
        for args in [["--ledger", name, "run", "b.toml"], ["--ledger", name, "plan", "b.toml"]] {
            let ended = office.run(&args);
            assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
            said.push_str(&office.told(&ended.err));
        }
    }
    insta::assert_snapshot!(said, @"");
    let text = fs::read_to_string(office.path("text.db")).unwrap();
    assert!(text.starts_with("this is no database"), "it was written to");
    assert_eq!(asked(&office), 0);
}

async fn set_user_version(office: &Office, name: &str, version: i64) {
    use sqlx::Connection;
    let url = format!("sqlite://{}", office.path(name).display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let statement = format!("pragma user_version = {version}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_2_and_nothing_is_made_or_asked() {
    let office = Office::new(2).await;
    let mut said = String::new();
    let mut told = |what: &str, ended: crate::support::binary::Ended| {
        assert_eq!(ended.code, Some(2), "{what}: {ended:?}");
        said.push_str(&format!("# {what}\n{}", office.told(&ended.err)));
    };
    told("a bad flag", office.run(&["run", "b.toml", "--limt", "3"]));
    told("no batch file named", office.run(&["run"]));
    told("no credentials", office.start(&mut office.bare(&["run", "b.toml"])).end());
    let mut half = office.bare(&["run", "b.toml"]);
    told("half of them", office.start(half.env("AISTUDIOS_APP_ID", "me")).end());
    let file = office.path("mine.toml");
    fs::write(&file, "app_id = \"me\"\nuser_key = \"canary-of-the-file\"\n").unwrap();
    let mut open = office.bare(&["run", "b.toml"]);
    told("a file for all", office.start(open.env("AISTUDIOS_CREDENTIALS", &file)).end());
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, private).unwrap();
    fs::write(&file, "app_id = \"me\"\nuser_key = canary-of-the-file\n").unwrap();
    let mut odd = office.bare(&["run", "b.toml"]);
    told("an odd file", office.start(odd.env("AISTUDIOS_CREDENTIALS", &file)).end());
    let plain = ["run", "b.toml", "--base-url", "http://studio.example"];
    told("in the open", office.run(&plain));
    let mut from_environment = office.command(&["run", "b.toml"]);
    from_environment.env("AISTUDIOS_BASE_URL", "ftp://studio.example");
    told("in the environment", office.start(&mut from_environment).end());
    told("no ledger to resume", office.run(&["resume"]));
    told(
        "a fault unheard of",
        office.run(&["run", "b.toml", "--sandbox", "--fault", "lost-anser"]),
    );
    assert!(!said.contains("canary"), "{said}");
    insta::assert_snapshot!(said, @"");
    assert!(!office.path("callsheet.db").exists());
    assert_eq!(asked(&office), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_cannot_go_on_at_another_host() {
    let office = Office::new(2).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let elsewhere = office.run(&["run", "b.toml", "--base-url", "https://studio.example"]);
    assert_eq!(elsewhere.code, Some(2));
    insta::assert_snapshot!(office.told(&elsewhere.err), @"");
    assert_eq!(office.run(&["resume", "--base-url", "https://studio.example"]).code, Some(2));
    assert_eq!(office.sandbox.renders(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_3_and_the_rest_is_done() {
    let office = Office::with(4, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let mut statuses = office.assert_promise(4);
    statuses.sort();
    assert_eq!(statuses, ["done", "done", "done", "failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_answer_is_5_in_one_clear_line() {
    let office = Office::new(2).await;
    let limits = LIMITS.replace("request_timeout = '2s'", "request_timeout = '500ms'");
    office.write_batch("", &limits);
    // Nobody accepts: the queue of the listener is there, its owner never reads.
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
        said.push_str(&ended.err.replace(url.trim_start_matches("http://"), what));
    }
    insta::assert_snapshot!(said, @"");
    assert_eq!(asked(&office), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_lost_for_good_are_6_and_nothing_is_sent_again() {
    let office = Office::with(3, "submission = 'one-step'", |settings| {
        settings.faults.add("close-before=create:always").unwrap();
    })
    .await;
    for _ in 0..2 {
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(6), "{ended:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(ended.out, @"");
        }
    }
    assert_eq!(office.assert_promise(3), ["uncertain"; 3]);
    assert_eq!(office.sandbox.counters().of("create"), 3, "something was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_account_is_7_and_nothing_is_lost() {
    let office = Office::with(6, "", |settings| {
        settings.faults.add("402-after=export:+2").unwrap();
    })
    .await;
    let mut wrong = office.command(&["run", "b.toml"]);
    wrong.env("AISTUDIOS_USER_KEY", "canary-of-the-wrong-key");
    let refused = office.start(&mut wrong).end();
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(!refused.err.contains("canary"));
    insta::assert_snapshot!(refused.err, @"");
    let gone = office.run(&["-q", "run", "b.toml"]);
    assert_eq!(gone.code, Some(7), "{gone:?}");
    insta::assert_snapshot!(gone.err, @"");
    office.assert_promise(6);
    office.sandbox.set_faults(callsheet::sandbox::Faults::default());
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.assert_promise(6), ["done"; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_cap_is_8_and_the_next_run_goes_on() {
    let office = Office::new(5).await;
    for renders in [2, 4] {
        let ended = office.run(&["run", "b.toml", "--limit", "2"]);
        assert_eq!(ended.code, Some(8), "{ended:?}");
        assert_eq!(office.sandbox.renders(), renders);
    }
    assert_eq!(office.run(&["run", "b.toml", "--limit", "2"]).code, Some(0));
    assert_eq!(office.assert_promise(5), ["done"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_row_has_is_2_instead_of_a_night_without_videos() {
    let office = Office::new(3).await;
    let ended = office.run(&["run", "b.toml", "--only", "k001,k01"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    insta::assert_snapshot!(ended.err, @"");
    assert_eq!(office.sandbox.renders(), 0);
    assert_eq!(office.run(&["run", "b.toml", "--only", "k001"]).code, Some(0));
    assert_eq!(office.sandbox.renders(), 1);
}
