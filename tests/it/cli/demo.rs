//! The demo of the README, from sheet to videos and again.

use std::fs;

use crate::support::binary::{Office, assert_whole};
use crate::support::demo_in;

/// How many renders the rehearsal's own studio has ever started.
fn renders(office: &Office) -> usize {
    let state = fs::read_to_string(office.path("callsheet-sandbox.db.studio.jsonl")).unwrap();
    state.lines().filter(|line| line.starts_with("{\"render")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_gives_twelve_videos_and_again_renders_only_what_changed() {
    let office = Office::new(1).await;
    demo_in(office.dir.path());
    let toml = fs::read_to_string(office.path("jobs/demo.toml")).unwrap();
    let (head, _) = toml.split_once("\n[limits]\n").unwrap();
    office.write("jobs/demo.toml", &format!("{head}{}", crate::support::binary::LIMITS));
    let run = ["run", "jobs/demo.toml", "--sandbox", "--speed", "3000"];
    let first = office.start(&mut office.bare(&run)).end();
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(renders(&office), 12);
    let folder = "jobs/out/demo-rehearsal";
    let results = office.results(folder);
    let file = results[0].iter().position(|heading| heading == "video_file").unwrap();
    let rows = sheet_rows(&office);
    assert_eq!(results.len(), 13);
    for (row, result) in rows.iter().zip(&results[1..]) {
        assert_eq!(row[..2], result[..2], "the sheet's order");
        assert_eq!(result[file], format!("{}-{}.mp4", row[0], row[1]));
        assert_whole(&office.path(folder).join(&result[file]));
    }

    let again = office.start(&mut office.bare(&run)).end();
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(renders(&office), 12, "something was rendered again");

    let sheet = fs::read_to_string(office.path("jobs/demo.csv")).unwrap();
    let sheet = sheet.replace("It holds 400 ml", "It holds 500 ml");
    office.write("jobs/demo.csv", &format!("{sheet}MUG-015,en,New,A second mug.\n"));
    let changed = office.start(&mut office.bare(&run)).end();
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert_eq!(renders(&office), 14, "one row changed and one was added");
    assert_eq!(office.results(folder).len(), 14);
    assert!(!office.path("callsheet.db").exists(), "a rehearsal touched the real ledger");
}

fn sheet_rows(office: &Office) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(office.path("jobs/demo.csv")).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_ignores_where_real_nights_go_and_two_of_them_do_not_mix() {
    let office = Office::new(2).await;
    let mut command = office.bare(&["run", "b.toml", "--sandbox", "--speed", "3000"]);
    command.env("AISTUDIOS_BASE_URL", "https://nowhere.invalid");
    command.env("CALLSHEET_LEDGER", office.path("night.db"));
    let ended = office.start(&mut command).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(office.path("night-sandbox.db").exists() && !office.path("night.db").exists());

    let slow = ["run", "b.toml", "--sandbox", "--speed", "1"];
    office.write("s.csv", "key,script\nk000,Something else\n");
    let first = office.start(&mut office.bare(&slow));
    while !first.err().contains("rendering as") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let second = office.start(&mut office.bare(&slow)).end();
    assert_eq!(second.code, Some(11), "{second:?}");
    let toml = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("c.toml", &toml.replace("'night'", "'other'"));
    let other = office.start(&mut office.bare(&["run", "c.toml", "--sandbox"])).end();
    assert_eq!(other.code, Some(11), "{other:?}");
    insta::assert_snapshot!(other.err, @"error: another rehearsal uses the ledger `callsheet-sandbox.db`: wait for it, or choose another --ledger");
    first.signal("KILL");
}
