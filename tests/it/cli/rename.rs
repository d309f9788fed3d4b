//! Finished videos after the `file` pattern of the batch file has changed.

use std::fs;

use crate::support::test_cli::TestCli;

/// An office whose three videos are done, and whose batch file now has this pattern.
async fn office_with_pattern(pattern: &str) -> TestCli {
    let office = TestCli::new(3).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let batch = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("file = '{pattern}'\n{batch}"));
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn videos_are_renamed_after_a_changed_pattern_and_nothing_is_rendered() {
    let office = office_with_pattern("{{key}} {{script}}.mp4").await;
    let planned = office.run(&["plan", "b.toml"]);
    let hint = "3 videos keep the name of the earlier `file`; to rename (free): callsheet rename \
                b.toml";
    assert!(planned.stdout.contains(hint), "{planned:?}");
    assert!(planned.stdout.contains("3 videos: 3 done"), "{planned:?}");

    let asked = office.run(&["rename", "b.toml"]);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    assert!(office.path("out/k000.mp4").exists(), "nothing was confirmed");
    let renamed = office.run(&["rename", "b.toml", "--yes"]);
    assert_eq!(renamed.code, Some(0), "{renamed:?}");
    assert!(renamed.stdout.contains("k001: k001.mp4 → k001 Hello 1.mp4"), "{renamed:?}");
    assert!(renamed.stdout.ends_with("Renamed 3 of 3 videos\n"), "{renamed:?}");
    assert!(!office.path("out/k000.mp4").exists());
    for report in ["out/report.html", "out/results.csv"] {
        let text = fs::read_to_string(office.path(report)).unwrap();
        assert!(text.contains("Hello 2.mp4") || text.contains("Hello%202.mp4"), "{report}");
        assert!(!text.contains("k002.mp4"), "{report}: {text}");
    }

    let again = office.run(&["run", "b.toml"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
    assert_eq!(office.sandbox.render_count(), 3);
    let nothing = office.run(&["rename", "b.toml", "--yes"]);
    assert!(nothing.stdout.contains("All finished videos have the names"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renaming_overwrites_no_file_and_continues_after_a_crash() {
    let office = office_with_pattern("{{script}}.mp4").await;
    office.write("out/Hello 0.mp4", "another film");
    // As if the command was killed between the file and the ledger.
    fs::rename(office.path("out/k001.mp4"), office.path("out/Hello 1.mp4")).unwrap();
    fs::remove_file(office.path("out/k002.mp4")).unwrap();
    let renamed = office.run(&["rename", "b.toml", "--yes", "--json"]);
    assert_eq!(renamed.code, Some(3), "{renamed:?}");
    let outcome: serde_json::Value = serde_json::from_str(&renamed.stdout).unwrap();
    let expected = [serde_json::json!({"key": "k001", "from": "k001.mp4", "to": "Hello 1.mp4"})];
    assert_eq!(outcome["renamed"].as_array().unwrap(), &expected);
    assert_eq!(outcome["kept"].as_array().unwrap().len(), 2, "{outcome}");
    assert_eq!(fs::read(office.path("out/Hello 0.mp4")).unwrap(), b"another film");
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
    assert_eq!(office.sandbox.render_count(), 3);
}
