//! Review: verdicts on finished videos, the sample gate, and the command that videos are handed to.

use std::fs;

use serde_json::Value;

use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

/// Writes the batch with more settings and a sample of two videos.
fn write_settings(office: &TestCli, settings: &str) {
    let limits = LIMITS.replace("canary = 0", "canary = 2");
    office.write_batch("", &format!("{limits}\n{settings}\n"));
}

fn write_script(office: &TestCli, row: usize, script: &str) {
    let sheet = fs::read_to_string(office.path("s.csv")).unwrap();
    let lines = sheet.lines().map(|line| match line.split_once(',') {
        Some((key, _)) if key == format!("k{row:03}") => format!("{key},{script}\n"),
        _ => format!("{line}\n"),
    });
    office.write("s.csv", &lines.collect::<String>());
}

fn run_ok(office: &TestCli, args: &[&str]) -> CommandOutput {
    let output = office.run(args);
    assert_eq!(output.code, Some(0), "{args:?}: {output:?}");
    output
}

fn json_of(office: &TestCli, args: &[&str]) -> Value {
    let output = run_ok(office, &[args, &["--json"]].concat());
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns the verdicts of a batch by key, without its other columns.
fn verdicts(office: &TestCli) -> Vec<(String, String)> {
    let list = json_of(office, &["review", "promo"]);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let videos = list["videos"].as_array().unwrap();
    videos.iter().map(|video| (text(&video["key"]), text(&video["review"]))).collect()
}

fn column(office: &TestCli, folder: &str, name: &str) -> Vec<String> {
    let results = office.results(folder);
    let index = results[0].iter().position(|heading| heading == name).unwrap();
    results[1..].iter().map(|row| row[index].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_are_bound_to_the_version_and_every_export_contains_only_what_is_approved() {
    let office = TestCli::new(4).await;
    run_ok(&office, &["run", "b.toml"]);
    run_ok(&office, &["review", "promo", "--approve", "k000", "k001"]);
    let rejected = ["review", "promo", "--reject", "k002", "--reason", "wrong\u{1b}[31m price"];
    run_ok(&office, &rejected);
    let changes = ["review", "promo", "--changes", "k003", "--reason", "too fast"];
    let recorded = json_of(&office, &changes);
    assert_eq!(recorded["recorded"][0]["review_reason"], "too fast");
    assert_eq!(recorded["counts"]["approved"], 2);
    let known = |review: [&str; 4]| {
        let keys = (0..4).map(|row| format!("k{row:03}"));
        keys.zip(review.map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&office), known(["approved", "approved", "rejected", "changes"]));
    run_ok(&office, &["review", "promo", "--export", "approved.csv"]);
    let approved = fs::read_to_string(office.path("approved.csv")).unwrap();
    assert_eq!(approved.lines().count(), 3, "{approved}");
    assert!(approved.contains("k000") && approved.contains("k001"), "{approved}");

    // A new version has no verdict, and the others keep theirs.
    write_script(&office, 0, "Another script");
    run_ok(&office, &["run", "b.toml", "--accept-changes"]);
    assert_eq!(verdicts(&office), known(["-", "approved", "rejected", "changes"]));
    assert_eq!(column(&office, "out", "review"), ["", "approved", "rejected", "changes"]);
    assert!(column(&office, "out", "reviewed_by")[1].contains('@'));
    assert!(column(&office, "out", "reviewed_at")[1].ends_with('Z'));
    // The first content again is the first video, and yet a version that was not seen.
    write_script(&office, 0, "Hello 0");
    run_ok(&office, &["run", "b.toml", "--accept-changes"]);
    assert_eq!(verdicts(&office), known(["-", "approved", "rejected", "changes"]));
    assert_eq!(office.sandbox.render_count(), 5);

    run_ok(&office, &["review", "promo", "--withdraw", "k001"]);
    assert_eq!(verdicts(&office), known(["-", "-", "rejected", "changes"]));
    // The report with its verdicts is a sheet again, without them.
    run_ok(&office, &["review", "promo", "--export", "none.csv"]);
    let none = fs::read_to_string(office.path("none.csv")).unwrap();
    assert_eq!(none.lines().count(), 1, "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_cannot_be_given_is_named_and_none_is_recorded() {
    let office = TestCli::new(2).await;
    let run = office.run(&["run", "b.toml", "--limit", "1"]);
    for (args, message) in [
        (vec!["--approve", "k000", "k001"], "`k001` has no video to review: it is waiting"),
        (vec!["--approve", "k000", "k0x1"], "no key of this batch contains `k0x1`"),
        (vec!["--approve", "k000", "--reject", "k000", "--reason", "x"], "`k000` is named twice"),
        (vec!["--reject", "k000"], "--reason"),
        (vec!["--reject", "k000", "--reason", " "], "--reason is empty"),
    ] {
        let output = office.run(&[&["review", "promo"], args.as_slice()].concat());
        assert_eq!(output.code, Some(2), "{args:?}: {output:?}");
        assert!(output.stderr.contains(message), "{args:?}: {}\nafter {run:?}", output.stderr);
    }
    assert_eq!(verdicts(&office), [("k000".to_owned(), "-".to_owned())]);
    let export = office.run(&["review", "promo", "--export", "b.toml"]);
    assert_eq!(export.code, Some(2), "an input is never overwritten: {export:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_holds_the_batch_until_it_is_approved_and_a_change_voids_the_approval() {
    let office = TestCli::new(6).await;
    write_settings(&office, "[review]\nsample = true");
    let held = |renders: u64, args: &[&str]| {
        let output = office.run(args);
        assert_eq!(output.code, Some(8), "{output:?}");
        assert_eq!(office.sandbox.render_count(), renders, "{output:?}");
        let status = office.run(&["status", "promo"]).stdout;
        assert!(status.contains("waits for approval"), "{status}");
        output
    };
    let first = held(2, &["run", "b.toml"]);
    assert!(first.stderr.contains("Next: callsheet review promo"), "{first:?}");
    held(2, &["run", "b.toml", "--no-canary"]);
    run_ok(&office, &["review", "promo", "--approve", "k000"]);
    held(2, &["run", "b.toml"]);

    // Another script in the sample: its new version has to be approved, too.
    run_ok(&office, &["review", "promo", "--reject", "k001", "--reason", "too loud"]);
    write_script(&office, 1, "Another script");
    // No other row takes its place.
    let other = office.run(&["run", "b.toml", "--accept-changes", "--only", "k003"]);
    assert_eq!((other.code, office.sandbox.render_count()), (Some(8), 2), "{other:?}");
    held(3, &["run", "b.toml", "--accept-changes"]);
    let waiting: Vec<_> =
        verdicts(&office).into_iter().filter(|(_, review)| review == "-").collect();
    assert_eq!(waiting, [("k001".to_owned(), "-".to_owned())]);
    // A smaller sample does not release the batch while one of its videos is rejected.
    run_ok(&office, &["review", "promo", "--reject", "k001", "--reason", "too quiet"]);
    let batch = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("canary = 2", "canary = 1"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(8));
    assert_eq!(office.sandbox.render_count(), 3);
    office.write("b.toml", &batch);
    run_ok(&office, &["review", "promo", "--approve", "k001"]);
    run_ok(&office, &["run", "b.toml"]);
    assert_eq!(office.assert_guarantees(6), ["done"; 6]);
    let renders = office.sandbox.render_count();

    // Another template begins a new sample.
    let template = fs::read_to_string(office.path("t.json.hbs")).unwrap();
    office.write("t.json.hbs", &template.replace("{{script}}", "{{script}}!"));
    held(renders + 2, &["run", "b.toml", "--accept-changes"]);
    run_ok(&office, &["review", "promo", "--approve", "k000"]);
    let reject = ["review", "promo", "--reject", "k001", "--reason", "too loud"];
    run_ok(&office, &reject);
    let objected = office.run(&["run", "b.toml"]);
    assert_eq!(objected.code, Some(8), "{objected:?}");
    assert_eq!(office.sandbox.render_count(), renders + 2, "a rejected sample holds the batch");
    let status = office.run(&["status", "promo"]).stdout;
    assert!(status.contains("the sample is not approved; to be made again: k001"), "{status}");
    run_ok(&office, &["review", "promo", "--approve", "k001"]);
    run_ok(&office, &["run", "b.toml"]);
    assert_eq!(office.sandbox.bill().paid_twice(), []);
}

/// A command that appends what it receives to a file, unless the file `refuse` exists.
const APPEND: &str = r#"[on_done]
command = ['sh', '-c', 'test ! -e refuse || exit 7; line=$(cat); printf "%s\\n" "$line" >> handed.jsonl']"#;

fn handed(office: &TestCli) -> Vec<Value> {
    let text = fs::read_to_string(office.path("handed.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn handed_keys(office: &TestCli) -> Vec<String> {
    let keys = handed(office).into_iter().map(|one| one["key"].as_str().unwrap().to_owned());
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_is_noticed_before_anything_is_paid_for() {
    let office = TestCli::new(1).await;
    office.write("not-executable.sh", "");
    for (program, failure) in [
        ("./publish.sh", "does not exist"),
        ("no-such-program", "does not exist"),
        ("./not-executable.sh", "is not executable"),
    ] {
        write_settings(&office, &format!("[on_done]\ncommand = ['{program}']"));
        let refused = office.run(&["run", "b.toml"]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        let message = format!("`{program}`, the command of `[on_done]`, {failure}");
        assert!(refused.stderr.contains(&message), "{refused:?}");
        let checked = office.run(&["check", "b.toml"]);
        assert!(checked.stdout.contains(&message), "{checked:?}");
        assert_eq!(office.sandbox.render_count(), 0);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_begins_in_the_folder_of_its_batch_file() {
    use std::os::unix::fs::PermissionsExt;
    let office = TestCli::new(1).await;
    write_settings(&office, "[on_done]\ncommand = ['./publish.sh', 'here']");
    fs::create_dir(office.path("jobs")).unwrap();
    for file in ["b.toml", "s.csv", "t.json.hbs"] {
        fs::rename(office.path(file), office.path("jobs").join(file)).unwrap();
    }
    office.write("jobs/publish.sh", "#!/bin/sh\ncat > \"$1.json\"\n");
    fs::set_permissions(office.path("jobs/publish.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    run_ok(&office, &["run", "jobs/b.toml"]);
    let handed = fs::read_to_string(office.path("jobs/here.json")).unwrap();
    assert!(handed.contains("\"key\":\"k000\""), "{handed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_finished_video_is_handed_over_once_and_a_failure_renders_nothing_again() {
    let office = TestCli::new(3).await;
    write_settings(&office, APPEND);
    office.write("refuse", "");
    let failed = office.run(&["run", "b.toml"]);
    assert_eq!(failed.code, Some(3), "{failed:?}");
    assert!(failed.stderr.contains("k000: not handed over"), "{}", failed.stderr);
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
    let status = office.run(&["status", "promo"]).stdout;
    assert!(status.contains("3 videos could not be handed to `[on_done]`"), "{status}");
    assert_eq!(handed_keys(&office), Vec::<String>::new());

    fs::remove_file(office.path("refuse")).unwrap();
    run_ok(&office, &["resume"]);
    assert_eq!(handed_keys(&office), ["k000", "k001", "k002"]);
    run_ok(&office, &["run", "b.toml"]);
    assert_eq!(handed_keys(&office).len(), 3, "no video is handed over twice");
    let first = &handed(&office)[0];
    let file = first["file"].as_str().unwrap();
    assert_eq!(fs::metadata(file).unwrap().len(), first["bytes"].as_u64().unwrap());
    assert!(first["cells"][0]["script"].as_str().unwrap().starts_with("Hello"), "{first}");
    let secret = callsheet::sandbox::USER_KEY;
    assert!(!fs::read_to_string(office.path("handed.jsonl")).unwrap().contains(secret));

    // A new version is handed over again.
    write_script(&office, 2, "Another script");
    run_ok(&office, &["run", "b.toml", "--accept-changes"]);
    assert_eq!(handed_keys(&office), ["k000", "k001", "k002", "k002"]);
    assert_eq!(office.sandbox.render_count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_row_keeps_its_cells_under_their_headings_when_a_column_is_added() {
    let office = TestCli::new(1).await;
    write_settings(&office, &format!("{APPEND}\n[review]\nrequired = true"));
    let batch = fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("key = 'key'", "key = 'key'\nskip = 'Status'"));
    office.write("s.csv", "key,script,Status\nk000,Hello,\n");
    run_ok(&office, &["run", "b.toml"]);
    office.write("s.csv", "key,price,script,Status\nk000,5,Hello,done\n");
    run_ok(&office, &["review", "promo", "--approve", "k000"]);
    run_ok(&office, &["run", "b.toml"]);
    let cells = serde_json::json!({"key": "k000", "price": "", "script": "Hello", "Status": ""});
    assert_eq!(handed(&office)[0]["cells"][0], cells);
    let results = office.results("out");
    assert_eq!(results[0][..4], ["key", "price", "script", "Status"]);
    assert_eq!(results[1][..4], ["k000", "", "Hello", ""]);
    let job = json_of(&office, &["jobs", "promo"]);
    assert!(job.to_string().contains("Hello"), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_approved_videos_are_handed_over_where_review_is_required() {
    let office = TestCli::new(2).await;
    write_settings(&office, &format!("{APPEND}\n[review]\nrequired = true"));
    run_ok(&office, &["run", "b.toml"]);
    assert_eq!(handed_keys(&office), Vec::<String>::new());
    let status = json_of(&office, &["status", "promo"]);
    assert_eq!(status["batches"][0]["review"]["counts"]["waiting"], 2);
    assert_eq!(status["batches"][0]["next"], "callsheet review promo");
    run_ok(&office, &["review", "promo", "--approve", "k001"]);
    run_ok(&office, &["run", "b.toml"]);
    assert_eq!(handed_keys(&office), ["k001"]);
    assert_eq!(handed(&office)[0]["review"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_other_bytes_than_the_approved_ones_is_not_handed_over() {
    let office = TestCli::new(3).await;
    write_settings(&office, &format!("{APPEND}\n[review]\nrequired = true"));
    run_ok(&office, &["run", "b.toml"]);
    run_ok(&office, &["review", "promo", "--approve", "k000", "k001"]);
    // Another video, which was not approved, and a changed one of the same size.
    fs::copy(office.path("out/k002.mp4"), office.path("out/k000.mp4")).unwrap();
    let mut bytes = fs::read(office.path("out/k001.mp4")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(office.path("out/k001.mp4"), &bytes).unwrap();
    let refused = office.run(&["run", "b.toml", "--limit", "0"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("k001.mp4` is not the file that was approved"), "{refused:?}");
    assert!(!handed_keys(&office).contains(&"k001".to_owned()));
    for video in handed(&office) {
        let file = fs::read(video["file"].as_str().unwrap()).unwrap();
        assert_eq!(blake3::hash(&file).to_string(), video["digest"].as_str().unwrap(), "{video}");
    }

    // Nothing is rendered again: what was deleted is downloaded.
    fs::remove_file(office.path("out/k001.mp4")).unwrap();
    run_ok(&office, &["run", "b.toml"]);
    run_ok(&office, &["run", "b.toml"]);
    let mut keys = handed_keys(&office);
    keys.sort();
    assert_eq!(keys, ["k000", "k001"]);
    assert_eq!(office.sandbox.render_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_while_it_hands_a_video_over_repeats_only_that() {
    let office = TestCli::new(1).await;
    let command = "echo x >> calls; test -e go || exec sleep 60";
    write_settings(&office, &format!("[on_done]\ncommand = ['sh', '-c', '{command}']"));
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    while !office.path("calls").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    run.signal("KILL");
    run.wait();
    office.end_leases();
    office.write("go", "");
    run_ok(&office, &["run", "b.toml"]);
    assert_eq!(fs::read_to_string(office.path("calls")).unwrap(), "x\nx\n");
    assert_eq!(office.sandbox.render_count(), 1);
    assert_eq!(office.assert_guarantees(1), ["done"]);
}
