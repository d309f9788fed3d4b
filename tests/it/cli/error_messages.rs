//! Error messages: the problem and what to do, without messages of libraries; and lost output is an
//! error.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::support::test_cli::TestCli;

#[tokio::test(flavor = "multi_thread")]
async fn unwritable_results_are_an_error() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    for args in [
        &["preview", "b.toml", "--all"][..],
        &["jobs", "b.toml", "--json"],
        &["plan", "b.toml", "--json"],
        &["status", "--json"],
        &["report", "promo"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = office.command(args);
        let ended = command.stdin(Stdio::null()).stdout(full).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {told}");
        assert_eq!(told.matches("error: ").count(), 1, "{args:?}: {told}");
        assert!(told.contains("tandard output"), "{args:?}: {told}");
    }
    // A closed pipe is not an error.
    let mut piped = office.command(&["preview", "b.toml", "--all"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(piped.stdout(writer).output().unwrap().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_printed_also_if_there_is_nothing_to_do() {
    let office = TestCli::new(1).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let retried = office.run(&["retry", "b.toml", "--json", "--yes"]);
    insta::assert_snapshot!(retried.stdout, @r#"{"estimated_credits":0.0,"fetches":0,"paid_before":0,"request":null,"submits":0}"#);
    let cancelled = office.run(&["cancel", "b.toml", "--json", "--yes"]);
    insta::assert_snapshot!(cancelled.stdout, @r#"{"cancelled":0,"request":null,"still_billed":0}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_an_unknown_key_reports_the_reason_as_json() {
    let office = TestCli::new(1).await;
    let ended = office.run(&["run", "b.toml", "--json", "--only", "unknown"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let words = "--only: no row of the sheet has the key `unknown`";
    let summary: serde_json::Value =
        serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(summary["error"], words);
    let written = std::fs::read_to_string(office.path("out/run.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["error"], words);
    assert_eq!(ended.stderr, format!("error: {words}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_with_one_file_name_show_how_to_fix_them() {
    let office = TestCli::new(2).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("file = 'one.mp4'\n{batch}"));
    let mut told = String::new();
    for args in [&["run", "b.toml"][..], &["run", "b.toml", "--skip-invalid"]] {
        let ended = office.run(args);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        told.push_str(ended.stderr.lines().last().unwrap());
        told.push('\n');
    }
    assert_eq!(told, "fix the rows, or `file` in the batch file\n".repeat(2));
    // Another invalid row can be skipped, but these cannot.
    office.write("s.csv", "key,script\na,One\nb,Two\nc,\n");
    let ended = office.run(&["run", "b.toml", "--skip-invalid"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_messages_of_this_program() {
    let office = TestCli::new(2).await;
    office.write("s.csv", "key,script,skip\na,One,\nb,Two,x\n");
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("skip = 'skip'\n{batch}"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let mut told = String::new();
    for args in [
        &["preview", "b.toml", "--storyboard", "no/dir/x.html"][..],
        &["report", "promo", "-o", "no/dir/x.csv"],
        &["ledger", "backup", "no/dir/x.db"],
        &["run", "b.toml", "--limit", "x"],
        &["preview", "b.toml", "--row", "-"],
        &["run", "b.toml", "--only", "b"],
    ] {
        let ended = office.run(args);
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        told.push_str(ended.stderr.lines().next().unwrap());
        told.push('\n');
    }
    insta::assert_snapshot!(told, @"
    error: cannot write `no/dir/x.html`: its folder does not exist
    error: cannot write `no/dir/x.csv`: its folder does not exist
    error: cannot open the ledger `no/dir/x.db`: its folder does not exist
    error: --limit x: must be a whole number, such as 3
    error: --row '-': must be a whole number, such as 3
    error: --only: all rows with these keys are skipped or cannot be read (row 3: `skip` is `x`)
    ");
}
