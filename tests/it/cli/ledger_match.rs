//! One batch, one ledger: the same batch file finds its ledger from any folder, and nothing is paid
//! again because a command found another one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::TIME_SCALE;
use crate::support::test_cli::{CommandOutput, TestCli};

const NEW_LEDGER: &str = "confirm with --new-ledger";

/// Runs a command in one of the folders of the office.
fn run_in(office: &TestCli, folder: &Path, args: &[&str]) -> CommandOutput {
    office.start(office.command(args).current_dir(folder)).wait()
}

/// Asserts that a command ended before any request because the ledger is another one.
fn assert_refused(office: &TestCli, args: &[&str], message: &str) {
    let renders = office.sandbox.bill().render_count();
    let ended = office.run(args);
    assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
    assert!(ended.stderr.contains(message), "{args:?}: {}", ended.stderr);
    assert_eq!(office.sandbox.bill().render_count(), renders, "{args:?} paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn same_batch_file_has_the_same_ledger_in_every_folder() {
    for first in 0..3 {
        let office = TestCli::new(3).await;
        fs::create_dir_all(office.path("deep/er")).unwrap();
        let file = office.path("b.toml").display().to_string();
        let places: [(&Path, &str); 3] = [
            (office.dir.path(), "b.toml"),
            (&office.path("deep/er"), "../../b.toml"),
            (Path::new("/"), &file),
        ];
        for turn in 0..3 {
            let (folder, batch) = places[(first + turn) % 3];
            let ended = run_in(&office, folder, &["run", batch, "--yes"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let planned = run_in(&office, folder, &["plan", batch, "--offline"]);
            assert!(planned.stdout.contains("3 videos: 3 done"), "{planned:?}");
            let status = run_in(&office, folder, &["status", batch]);
            assert!(status.stdout.contains("promo"), "{status:?}");
        }
        assert_eq!(office.sandbox.bill().render_count(), 3);
        office.assert_guarantees(3);
        let below = run_in(&office, &office.path("deep/er"), &["runs", "promo"]);
        assert_eq!(below.code, Some(0), "{below:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_a_batch_file_find_the_ledger_below_and_name_several() {
    let office = TestCli::new(1).await;
    for folder in ["a/jobs", "b"] {
        fs::create_dir_all(office.path(folder)).unwrap();
        let ended =
            office.run(&["--ledger", &format!("{folder}/callsheet.db"), "models", "--offline"]);
        assert!(ended.code.is_some(), "{ended:?}");
    }
    let several = office.run(&["status"]);
    assert_eq!(several.code, Some(2), "{several:?}");
    assert!(several.stderr.contains("`a/jobs/callsheet.db`, `b/callsheet.db`"), "{several:?}");
    let one = run_in(&office, &office.path("a"), &["ledger", "path"]);
    assert_eq!(one.stdout.trim(), "jobs/callsheet.db");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_ledger_is_not_replaced_and_another_one_is_not_used_unasked() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let other = ["--ledger", "other.db", "run", "b.toml", "--yes"];
    assert_refused(&office, &other, NEW_LEDGER);
    fs::create_dir(office.path("empty")).unwrap();
    fs::write(office.path("made.db"), "").unwrap();
    assert_refused(&office, &["--ledger", "made.db", "run", "b.toml", "--yes"], NEW_LEDGER);
    fs::rename(office.path("callsheet.db"), office.path("moved.db")).unwrap();
    for command in ["run", "plan"] {
        let mut args = vec![command, "b.toml"];
        args.extend((command == "run").then_some("--yes"));
        assert_refused(&office, &args, "callsheet.db");
        assert!(!office.path("callsheet.db").exists(), "{command} made a new ledger");
    }
    let checked = office.run(&["check", "b.toml", "--ledger", "other.db", "--offline"]);
    assert!(checked.stdout.contains("--new-ledger"), "{checked:?}");
    let found = office.run(&["--ledger", "moved.db", "run", "b.toml", "--yes"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert_eq!(office.sandbox.bill().render_count(), 2);
    // Without an option, the ledger that wrote the output folder is found.
    let found = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert_eq!(office.sandbox.bill().render_count(), 2);
    let confirmed = office.run(&["--ledger", "other.db", "run", "b.toml", "--yes", "--new-ledger"]);
    assert_eq!(confirmed.code, Some(0), "{confirmed:?}");
    assert_eq!(office.sandbox.bill().render_count(), 4);
    assert_refused(&office, &["--ledger", "moved.db", "run", "b.toml", "--yes"], NEW_LEDGER);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_folder_of_an_earlier_version_names_its_ledger_by_its_last_run() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml", "--yes"]).code, Some(0));
    fs::remove_file(office.path("out/.callsheet.json")).unwrap();
    assert_refused(&office, &["--ledger", "other.db", "run", "b.toml", "--yes"], NEW_LEDGER);
    let ended = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(office.path("out/.callsheet.json").exists());
    assert_eq!(office.sandbox.bill().render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsals_and_real_runs_mark_their_own_folders() {
    let office = TestCli::new(1).await;
    let rehearsal = ["run", "b.toml", "--sandbox", "--speed", "3000"];
    for args in [&rehearsal[..], &["run", "b.toml", "--yes"], &rehearsal] {
        let ended = office.run(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let marker = |folder: &str| -> Value {
        let text = fs::read(office.path(folder).join(".callsheet.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["batches"]["promo"].clone()
    };
    let (real, rehearsed) = (marker("out"), marker("out-rehearsal"));
    assert_eq!(real["ledger"], "../callsheet.db");
    assert_eq!(rehearsed["ledger"], "../callsheet-sandbox.db");
    assert_ne!(real["id"], rehearsed["id"]);
    let shown = office.run(&["--ledger", "callsheet-sandbox.db", "show", "promo", "k000"]);
    assert!(shown.stdout.contains("out-rehearsal"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_another_batch_file_is_taken_over_only_if_the_user_confirms() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml", "--yes"]).code, Some(0));
    fs::create_dir(office.path("copy")).unwrap();
    for name in ["s.csv", "t.json.hbs"] {
        fs::copy(office.path(name), office.path("copy").join(name)).unwrap();
    }
    let text = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("copy/b.toml", &text);
    for command in ["run", "plan"] {
        assert_refused(&office, &[command, "copy/b.toml"], "belongs to the batch file `b.toml`");
        assert_refused(&office, &[command, "copy/b.toml"], "this is `copy/b.toml`");
    }
    let confirmed = office.run(&["plan", "copy/b.toml", "--new-file", "--offline"]);
    assert_eq!(confirmed.code, Some(0), "{confirmed:?}");
    // A file that was moved is the same batch.
    fs::remove_file(office.path("b.toml")).unwrap();
    let moved = office.run(&["run", "copy/b.toml", "--yes"]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert_eq!(office.sandbox.bill().render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn project_moved_as_a_whole_continues_without_a_confirmation() {
    let office = TestCli::new(2).await;
    fs::create_dir(office.path("project")).unwrap();
    for name in ["b.toml", "s.csv", "t.json.hbs"] {
        fs::rename(office.path(name), office.path("project").join(name)).unwrap();
    }
    assert_eq!(office.run(&["run", "project/b.toml", "--yes", "--limit", "1"]).code, Some(8));
    fs::rename(office.path("callsheet.db"), office.path("project/callsheet.db")).unwrap();
    fs::rename(office.path("project"), office.path("moved")).unwrap();
    let text = fs::read_to_string(office.path("moved/b.toml")).unwrap();
    office.write("moved/b.toml", &format!("# moved\n{text}"));
    let ended = office.run(&["run", "moved/b.toml", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(office.sandbox.bill().render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_belongs_to_its_host_only_once_something_was_sent_there() {
    let office = TestCli::new(2).await;
    let right = fs::read_to_string(office.path("b.toml")).unwrap();
    let url = office.sandbox.base_url();
    office.write("b.toml", &right.replace(&url, "http://127.0.0.1:9"));
    let wrong = office.run(&["run", "b.toml", "--yes"]);
    assert_ne!(wrong.code, Some(0), "{wrong:?}");
    office.write("b.toml", &right);
    let ended = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    office.write("b.toml", &right.replace(&url, "http://127.0.0.1:9"));
    assert_refused(&office, &["run", "b.toml", "--yes"], "cannot continue at");
}

type FileChange = fn(&Path);

#[tokio::test(flavor = "multi_thread")]
async fn ledger_taken_away_under_a_live_run_ends_it_with_the_ids_it_knows() {
    let take_away: [(&str, FileChange); 3] = [
        ("deleted", |ledger| fs::remove_file(ledger).unwrap()),
        ("renamed", |ledger| fs::rename(ledger, ledger.with_extension("old")).unwrap()),
        ("emptied", |ledger| fs::write(ledger, "").unwrap()),
    ];
    for (change, take_away) in take_away {
        let slow = |settings: &mut callsheet::sandbox::SandboxSettings| {
            settings.switches.time_scale = 5.0;
        };
        let office = TestCli::with_settings(3, "", slow).await;
        let mut run = office.start(&mut office.command(&["run", "b.toml", "--yes"]));
        while office.sandbox.bill().render_count() < 3 {
            assert!(run.is_running(), "{change}: {}", run.stderr());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        take_away(&office.path("callsheet.db"));
        let ended = run.wait();
        assert_eq!(ended.code, Some(1), "{change}: {ended:?}");
        let record = fs::read(office.path("out/run.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["exit"], 1, "{change}");
        let open = record["open_projects"].as_array().unwrap();
        assert_eq!(open.len(), 3, "{change}: {record}");
        office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
        let next = office.run(&["run", "b.toml", "--yes"]);
        // The log of an emptied ledger may restore it.
        let expected: &[i32] = if change == "emptied" { &[0, 1, 2] } else { &[2] };
        assert!(next.code.is_some_and(|code| expected.contains(&code)), "{change}: {next:?}");
        assert_eq!(office.sandbox.bill().render_count(), 3, "{change} was paid again");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn ledger_under_two_names_lets_one_run_in() {
    let slow = |settings: &mut callsheet::sandbox::SandboxSettings| {
        settings.switches.time_scale = 100.0;
    };
    let office = TestCli::with_settings(4, "", slow).await;
    assert_eq!(office.run(&["ledger", "path"]).code, Some(0));
    assert_eq!(office.run(&["plan", "b.toml", "--offline"]).code, Some(0));
    fs::hard_link(office.path("callsheet.db"), office.path("link.db")).unwrap();
    let mut first = office.start(&mut office.command(&["run", "b.toml", "--yes"]));
    while office.sandbox.bill().render_count() == 0 {
        assert!(first.is_running(), "{}", first.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = office.run(&["--ledger", "link.db", "run", "b.toml", "--yes"]);
    assert_eq!(second.code, Some(11), "{second:?}");
    assert!(second.stderr.contains("several names"), "{second:?}");
    assert_eq!(first.wait().code, Some(0));
    office.assert_guarantees(4);
    assert_eq!(office.sandbox.bill().render_count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_create_one_ledger_at_the_same_moment_all_run() {
    let office = TestCli::new(2).await;
    let args = ["--ledger", "new.db", "plan", "b.toml", "--offline"];
    let commands: Vec<_> = (0..16).map(|_| office.start(&mut office.command(&args))).collect();
    for command in commands {
        let ended = command.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(office.run(&["--ledger", "new.db", "ledger", "check"]).code, Some(0));
}
