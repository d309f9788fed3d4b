//! The demo batch of the README, from sheet to videos, twice.

use std::fs;

use crate::support::copy_demo_batch;
use crate::support::test_cli::{TestCli, assert_complete_mp4};

/// Returns the number of renders started by the sandbox of the rehearsal.
fn rehearsed_render_count(office: &TestCli) -> usize {
    let state = fs::read_to_string(office.path("callsheet-sandbox.db.studio.jsonl")).unwrap();
    state.lines().filter(|line| line.starts_with("{\"render")).count()
}

#[test]
fn the_embedded_demo_is_the_one_of_the_repository() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["demo.toml", "demo.csv"] {
        let read = |folder: &str| fs::read_to_string(root.join(folder).join(name)).unwrap();
        assert_eq!(read("jobs"), read("src/scaffold/demo"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_renders_twelve_videos_and_later_only_changed_rows() {
    let office = TestCli::new(1).await;
    copy_demo_batch(office.dir.path());
    let toml = fs::read_to_string(office.path("jobs/demo.toml")).unwrap();
    let (head, _) = toml.split_once("\n[limits]\n").unwrap();
    office.write("jobs/demo.toml", &format!("{head}{}", crate::support::test_cli::LIMITS));
    let run = ["run", "jobs/demo.toml", "--sandbox", "--speed", "3000"];
    let first = office.start(&mut office.command_without_credentials(&run)).wait();
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(rehearsed_render_count(&office), 12);
    let folder = "jobs/out/demo-rehearsal";
    let results = office.results(folder);
    let file = results[0].iter().position(|heading| heading == "video_file").unwrap();
    let rows = read_sheet_rows(&office);
    assert_eq!(results.len(), 13);
    for (row, result) in rows.iter().zip(&results[1..]) {
        assert_eq!(row[..2], result[..2], "the sheet's order");
        assert_eq!(result[file], format!("{}-{}.mp4", row[0], row[1]));
        assert_complete_mp4(&office.path(folder).join(&result[file]));
    }

    let again = office.start(&mut office.command_without_credentials(&run)).wait();
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(rehearsed_render_count(&office), 12, "something was rendered again");

    let sheet = fs::read_to_string(office.path("jobs/demo.csv")).unwrap();
    let sheet = sheet.replace("It holds 400 ml", "It holds 500 ml");
    office.write("jobs/demo.csv", &format!("{sheet}MUG-015,en,New,A second mug.\n"));
    let changed = office.start(&mut office.command_without_credentials(&run)).wait();
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert_eq!(rehearsed_render_count(&office), 14, "one row changed and one was added");
    assert_eq!(office.results(folder).len(), 14);
    assert!(!office.path("callsheet.db").exists(), "a rehearsal touched the real ledger");
}

fn read_sheet_rows(office: &TestCli) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(office.path("jobs/demo.csv")).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_ignores_the_real_host_and_locks_its_ledger() {
    let office = TestCli::new(2).await;
    let mut command =
        office.command_without_credentials(&["run", "b.toml", "--sandbox", "--speed", "3000"]);
    command.env("AISTUDIOS_BASE_URL", "https://nowhere.invalid");
    command.env("CALLSHEET_LEDGER", office.path("promo.db"));
    let ended = office.start(&mut command).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(office.path("promo-sandbox.db").exists() && !office.path("promo.db").exists());

    let slow = ["run", "b.toml", "--sandbox", "--speed", "1"];
    office.write("s.csv", "key,script\nk000,Something else\n");
    let first = office.start(&mut office.command_without_credentials(&slow));
    while !first.stderr().contains("rendering as") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let second = office.start(&mut office.command_without_credentials(&slow)).wait();
    assert_eq!(second.code, Some(11), "{second:?}");
    let toml = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("c.toml", &toml.replace("'promo'", "'other'").replace("'out'", "'out2'"));
    let other = office
        .start(&mut office.command_without_credentials(&[
            "--ledger",
            "promo.db",
            "run",
            "c.toml",
            "--sandbox",
        ]))
        .wait();
    assert_eq!(other.code, Some(11), "{other:?}");
    insta::assert_snapshot!(other.stderr, @"error: another rehearsal uses the ledger `promo-sandbox.db`: wait for it, or choose another --ledger");
    first.signal("KILL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_names_its_credits_as_those_of_a_real_run_and_explains_its_results() {
    let office = TestCli::new(1).await;
    office.write("s.csv", "key,script,Status\na,Hello,Ready\n");
    let rehearsed = office.run(&["run", "b.toml", "--sandbox"]);
    assert_eq!(rehearsed.code, Some(0), "{rehearsed:?}");
    let totals =
        rehearsed.stdout.lines().find(|line| line.starts_with("This rehearsal: 1 video in"));
    assert!(
        totals.is_some_and(|line| line.ends_with(", free (a real run would use about 1 credit)")),
        "{rehearsed:?}"
    );
    for remark in [
        "  in results.csv, `Status` is the column of your sheet, `status` the outcome\n",
        "  in results.csv, the links (`video_url`) work only during a rehearsal\n",
        "a real run: ",
    ] {
        assert!(rehearsed.stderr.contains(remark), "{remark}: {rehearsed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_how_many_videos_were_rehearsed() {
    let office = TestCli::new(3).await;
    let first_line = |args: &[&str]| {
        let ended = office.run(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout.lines().next().unwrap_or_default().to_owned()
    };
    let plan = ["plan", "b.toml", "--offline"];
    assert_eq!(first_line(&plan), "promo: 3 videos: 3 to render");
    first_line(&["run", "b.toml", "--sandbox", "--speed", "3000"]);
    assert_eq!(first_line(&plan), "promo: 3 videos: 3 to render (rehearsed: 3)");
    assert_eq!(first_line(&["plan", "b.toml", "--sandbox"]), "promo: 3 videos: 3 done");
}
