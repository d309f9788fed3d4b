//! Protected files: the inputs of a batch and the ledger are never overwritten, and unwritable output
//! is reported before anything is paid.

use std::fs;

use crate::support::test_cli::TestCli;

fn request_count(office: &TestCli) -> usize {
    office.sandbox.requests().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_output_folder_is_reported_before_any_request() {
    let office = TestCli::new(3).await;
    office.write("out", "a file in the way");
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let words = "warning: the output folder cannot be created: `out` is a file\n";
    assert!(planned.stderr.ends_with(words), "{planned:?}");
    assert!(fs::read_to_string(office.path("out")).unwrap().starts_with("a file"));
    for args in [&["run", "b.toml"][..], &["run", "b.toml", "--no-download"], &["resume"]] {
        let ended = office.run(args);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let words =
            "error: the output folder cannot be created: `out` is a file; nothing was submitted\n";
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    assert_eq!(request_count(&office), 0);
    fs::remove_file(office.path("out")).unwrap();
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_reports_an_unwritable_output_folder() {
    let office = TestCli::new(3).await;
    office.write("out-rehearsal", "a file in the way");
    let ended = office.run(&["run", "b.toml", "--sandbox"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("`out-rehearsal` is a file; nothing was submitted"), "{ended:?}");
    let words = "cannot write `out-rehearsal/run.json`: its folder is a file";
    assert!(ended.stderr.contains(words), "{ended:?}");
    assert!(!office.path("out").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_not_overwrite_its_own_inputs() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let asked_before = request_count(&office);
    let batch = fs::read_to_string(office.path("b.toml")).unwrap();
    let sheet = fs::read(office.path("s.csv")).unwrap();
    for name in ["results.csv", "failures.csv"] {
        fs::write(office.path("out").join(name), &sheet).unwrap();
        office.write("b.toml", &batch.replace("'s.csv'", &format!("'out/../out/{name}'")));
        for command in ["plan", "run", "check"] {
            let ended = office.run(&[command, "b.toml"]);
            assert_eq!(ended.code, Some(4), "{ended:?}");
            let words = "name the file from which it was made";
            assert!(format!("{}{}", ended.stdout, ended.stderr).contains(words), "{ended:?}");
        }
        assert_eq!(fs::read(office.path("out").join(name)).unwrap(), sheet);
    }
    // A rehearsal writes elsewhere.
    assert_eq!(office.run(&["plan", "b.toml", "--sandbox"]).code, Some(0));
    // Only `check` sends a request.
    assert_eq!(office.sandbox.render_count(), 2);
    assert!(request_count(&office) <= asked_before + 4);
    let moved = batch.replace("'t.json.hbs'", "'out/report.html'");
    office.write("b.toml", &moved);
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    insta::assert_snapshot!(ended.stderr, @"error: the template `out/report.html` is a report that the run overwrites in its output folder: name the file from which it was made (the rows of a `failures.csv` are run with `--with`); nothing was spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_or_report_does_not_overwrite_protected_files() {
    let office = TestCli::new(2).await;
    fs::create_dir(office.path("partials")).unwrap();
    office.write("partials/card.json.hbs", "{}");
    office.write("pub.sh", "exit 0\n");
    let batch = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("{batch}[on_done]\ncommand = ['sh', 'pub.sh']\n"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    fs::copy(office.path("callsheet.db"), office.path("old.db")).unwrap();
    std::os::unix::fs::symlink("s.csv", office.path("link.csv")).unwrap();
    let mut told = String::new();
    for target in [
        "callsheet.db",
        "./callsheet.db-wal",
        "b.toml",
        "s.csv",
        "link.csv",
        "t.json.hbs",
        "old.db",
        "partials/card.json.hbs",
        "pub.sh",
        "out/k000.mp4",
        "out/.callsheet.json",
    ] {
        // An empty write-ahead log may remain.
        let held = || fs::read(office.path(target)).unwrap_or_default();
        let before = held();
        for args in [
            &["report", "promo", "-o", target][..],
            &["plan", "b.toml", "--offline", "--html", target],
            &["preview", "b.toml", "--storyboard", target],
        ] {
            let ended = office.run(args);
            assert_eq!(ended.code, Some(2), "{target} {ended:?}");
            if args[0] == "plan" {
                told.push_str(&ended.stderr);
            }
        }
        assert_eq!(held(), before, "{target}");
    }
    insta::assert_snapshot!(told, @"
    error: `callsheet.db` is the ledger, and is not overwritten
    error: `./callsheet.db-wal` is a part of the ledger, and is not overwritten
    error: `b.toml` is the batch file, and is not overwritten
    error: `s.csv` is the sheet, and is not overwritten
    error: `link.csv` is the sheet, and is not overwritten
    error: `t.json.hbs` is the template, and is not overwritten
    error: `old.db` is a ledger, or another database, and is not overwritten
    error: `partials/card.json.hbs` is a partial of the template, and is not overwritten
    error: `pub.sh` is named by the command of `[on_done]`, and is not overwritten
    error: `out/k000.mp4` is a video, and is not overwritten
    error: `out/.callsheet.json` is the marker of an output folder, and is not overwritten
    ");
    assert_eq!(office.run(&["report", "promo", "-o", "r.csv"]).code, Some(0));
    assert_eq!(office.run(&["report", "promo", "-o", "r.csv"]).code, Some(0), "a report is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storyboard_without_rows_is_not_written() {
    let office = TestCli::new(2).await;
    office.write("o.html", "as it was");
    for unmatched in [["--key", "nope"], ["--row", "9"]] {
        let args = [&["preview", "b.toml", "--storyboard", "o.html"], &unmatched[..]].concat();
        let ended = office.run(&args);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(!ended.stderr.contains("drawn"), "{ended:?}");
        assert_eq!(fs::read_to_string(office.path("o.html")).unwrap(), "as it was");
    }
}
