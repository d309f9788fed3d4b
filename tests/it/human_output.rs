//! Output for operators: the status of batches, rows that need attention, and next steps.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::Connection;

use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

/// One request at a time, so that the first fault affects the first row.
fn sequential_limits() -> String {
    LIMITS.replace("in_flight = 32", "in_flight = 1")
}

/// A batch with every outcome: k000 refused, k001 uncertain, k002 and k003 done, k004 invalid, and
/// k005, which was refused, removed from the sheet.
pub(crate) async fn mixed_outcomes() -> TestCli {
    let cli = TestCli::with_settings(0, "", |settings| {
        settings.faults.add("400=create:2").unwrap();
        settings.faults.add("lost-answer=export:+2").unwrap();
    })
    .await;
    cli.write_batch("", &sequential_limits());
    for rows in [
        "k005,Hello 5,\n",
        "k000,Hello 0,\n",
        "k000,Hello 0,\nk002,Hello 2,\"=evil \u{1b}[2J\"\nk003,Hello 3,\n",
        "k000,Hello 0,\nk001,Hello 1,\nk002,Hello 2,\"=evil \u{1b}[2J\"\nk003,Hello 3,\nk004,,\n",
    ] {
        cli.write("s.csv", &format!("key,script,note\n{rows}"));
        let ended = cli.run(&["run", "b.toml", "--no-wait", "--skip-invalid"]);
        assert!(matches!(ended.code, Some(0 | 3 | 6)), "{ended:?}");
    }
    cli
}

/// Returns the output without the parts that differ between runs.
fn normalized_output(cli: &TestCli, ended: &CommandOutput) -> String {
    let text = cli.normalize(&format!("{}{}", ended.stdout, ended.stderr));
    assert!(!text.contains(['\u{1b}', '\r']), "the output contains control codes: {text:?}");
    text
}

pub(crate) fn snapshot_settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"http://STUDIO/ +", "http://STUDIO/  "),
        (r"times in [^)\n]+\)", "times in [ZONE])"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z0-9+-]{2,5},", "[WHEN] [ZONE],"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[WHEN]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[WHEN]"),
        (r"process \d+ on \S+", "process [PID]"),
        (r"\d+ on [A-Za-z]\S*", "[PID]"),
        (r"\b[0-9a-f]{24}\b", "[PROJECT]"),
        (r"cs:[0-9a-z]{13}(-[0-9a-z]{13})?", "cs:[TAG]"),
        (r"\d+\.\d KB, \d+\.\d s long", "[SIZE]"),
        (r"after \d+\.\d s", "after [SPAN]"),
        (r"  (last run ended )?\d\d:\d\d: ", "  ${1}[TIME]: "),
        (r"\b\d+ s\b", "[SPAN]"),
        (r"\d+\.\d GB free", "[ROOM] free"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings
}

fn parse_json(ended: &CommandOutput) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

fn parse_json_lines(ended: &CommandOutput) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_need_attention_show_evidence_and_commands() {
    let cli = mixed_outcomes().await;
    let _settings = snapshot_settings().bind_to_scope();
    insta::assert_snapshot!("status", normalized_output(&cli, &cli.run(&["status"])));
    insta::assert_snapshot!(
        "status-promo",
        normalized_output(&cli, &cli.run(&["status", "b.toml"]))
    );
    insta::assert_snapshot!("jobs", normalized_output(&cli, &cli.run(&["jobs", "promo"])));
    insta::assert_snapshot!("runs", normalized_output(&cli, &cli.run(&["runs"])));
    for (name, key) in [("failed", "k000"), ("uncertain", "k001"), ("done", "k003")] {
        let ended = cli.run(&["show", "promo", key]);
        insta::assert_snapshot!(format!("show-{name}"), normalized_output(&cli, &ended));
    }
    let by_row = cli.run(&["show", "promo", "--row", "5"]);
    assert_eq!(by_row.stdout, cli.run(&["show", "promo", "k003"]).stdout);
    let removed = cli.run(&["show", "promo", "k005"]).stdout;
    assert!(removed.contains("no longer in the sheet"), "{removed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_counts_add_up_and_keep_their_fields() {
    let cli = mixed_outcomes().await;
    let status = parse_json(&cli.run(&["status", "--json"]));
    let batch = &status["batches"][0];
    let counts = batch["counts"].as_object().unwrap();
    let counted: u64 = counts.values().map(|jobs| jobs.as_u64().unwrap()).sum();
    assert_eq!(batch["rows"], counted + batch["invalid"].as_u64().unwrap());
    assert_eq!(batch["rows"], 5);
    assert_eq!(batch["removed"]["failed"], 1, "{batch}");
    let groups: Vec<_> = batch["troubles"].as_array().unwrap().iter().collect();
    let states: Vec<_> = groups.iter().map(|group| group["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["uncertain", "failed", "invalid"]);
    for group in groups {
        assert!(!group["next"].as_array().unwrap().is_empty(), "no next step: {group}");
    }

    let jobs = parse_json_lines(&cli.run(&["jobs", "promo", "--json"]));
    let report = parse_json(&cli.run(&["report", "promo", "--format", "json"]));
    assert_eq!(report["rows"].as_array().unwrap(), &jobs, "jobs and report write rows differently");
    assert_eq!((&report["v"], &report["total"]), (&1.into(), &5.into()));
    let mut by_state = BTreeMap::<String, u64>::new();
    for job in &jobs {
        *by_state.entry(job["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(report["counts"], serde_json::to_value(by_state).unwrap());
    let mut fields: Vec<_> = jobs[0].as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(
        fields.join(" "),
        "attempts cause cells credits generating key progress project_id review review_reason reviewed_at \
         reviewed_by row seconds stalled state variant version video_file video_url words"
    );
    assert_eq!(jobs[3]["cells"][0]["script"], "Hello 3");

    let history = parse_json(&cli.run(&["show", "promo", "k001", "--json"]));
    assert_eq!(history["state"], "uncertain");
    let submission = history["submissions"].as_array().unwrap().last().unwrap();
    assert_eq!(submission["outcome"], "uncertain");
    let next = ["callsheet resume promo", "callsheet resolve promo k001"];
    assert_eq!(history["next"].as_array().unwrap(), &next, "{history}");
    let runs = parse_json(&cli.run(&["runs", "promo", "--json"]));
    assert_eq!(runs["runs"].as_array().unwrap().len(), 4);
    assert_eq!(runs["runs"][0]["ending"], "ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_filtered_by_state_cause_and_cell() {
    let cli = mixed_outcomes().await;
    let keys = |args: &[&str]| -> Vec<String> {
        let ended = cli.run(&[&["jobs", "promo", "--json"], args].concat());
        let key = |job: &Value| job["key"].as_str().unwrap_or("-").to_owned();
        parse_json_lines(&ended).iter().map(key).collect()
    };
    assert_eq!(keys(&["--state", "failed,uncertain"]), ["k000", "k001"]);
    assert_eq!(keys(&["--state", "failed", "--state", "invalid"]).len(), 2);
    assert_eq!(keys(&["--cause", "refused"]), ["k000"]);
    assert_eq!(keys(&["--where", "script=Hello 3"]), ["k003"]);
    assert_eq!(keys(&["--where", "script=Hello 3", "--state", "failed"]), [""; 0]);
    assert_eq!(keys(&["--state", "removed"]), ["k005"]);
    assert_eq!(keys(&["--state", "open"]), ["k001"]);
    let every_status = "ready,submitting,uncertain,rendering,fetching,done,reused,failed,cancelled,\
                        stalled,generating,invalid,skipped,open,removed";
    assert_eq!(keys(&["--state", every_status]).len(), keys(&[]).len() + 1);
    assert_eq!(keys(&["--state", "generating"]), [""; 0]);
    assert_eq!(keys(&["--limit", "2"]).len(), 2);
    let more = cli.run(&["jobs", "promo", "--limit", "2"]);
    assert!(more.stderr.contains("and 3 more videos: callsheet jobs promo --limit 5"), "{more:?}");
    let mut output = String::new();
    for args in [
        &["jobs", "promo", "--state", "faild"][..],
        &["jobs", "promo", "--where", "scrpt=x"],
        &["jobs", "promo", "--where", "script"],
        &["show", "promo", "k0003"],
        &["show", "promo", "k00"],
        &["show", "promo", "zebra"],
        &["show", "promo", "--row", "99"],
        &["show", "unknown", "k001"],
    ] {
        let ended = cli.run(args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        output.push_str(&normalized_output(&cli, &ended));
    }
    insta::assert_snapshot!("mistakes", output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_render_is_shown_with_its_command() {
    let cli = mixed_outcomes().await;
    let url = format!("sqlite://{}", cli.path("callsheet.db").display());
    let mut db = sqlx_sqlite::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "update job set state = 'rendering', rendering_at = 1, stalled = 1, progress = 42, \
         moved_at = 1 where key = 'k001'",
    )
    .execute(&mut db)
    .await
    .unwrap();
    db.close().await.unwrap();
    let shown = cli.run(&["status", "promo"]).stdout;
    assert!(shown.contains("1 stalled: AI Studios reports no progress"), "{shown}");
    assert!(shown.contains("row 3 k001: stalled at 42%"), "{shown}");
    assert!(shown.contains("callsheet run b.toml\n"), "{shown}");
    let jobs = cli.run(&["jobs", "promo", "--state", "stalled"]).stdout;
    assert!(jobs.contains("k001"), "{jobs}");
    let history = cli.run(&["show", "promo", "k001"]).stdout;
    assert!(history.contains("k001 (row 3 of promo): rendering, stalled"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_writes_the_results_file_and_replaces_an_existing_file() {
    let cli = mixed_outcomes().await;
    let results = std::fs::read_to_string(cli.path("out/results.csv")).unwrap();
    assert_eq!(cli.run(&["report", "promo"]).stdout, results);
    cli.write("r.csv", "the previous file");
    let ended = cli.run(&["report", "promo", "--output", "r.csv"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(cli.path("r.csv")).unwrap(), results);
    let nowhere = cli.run(&["report", "promo", "--output", "no/where.csv"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_only_read_create_no_ledger() {
    let cli = TestCli::new(1).await;
    let _settings = snapshot_settings().bind_to_scope();
    let mut output = normalized_output(&cli, &cli.run(&["status"]));
    assert_eq!(parse_json(&cli.run(&["status", "--json"]))["batches"], Value::Array(Vec::new()));
    for args in [&["jobs", "promo"][..], &["show", "promo", "k"], &["runs"], &["report", "promo"]] {
        let ended = cli.run(args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        output.push_str(&normalized_output(&cli, &ended));
    }
    insta::assert_snapshot!("nothing-yet", output);
    assert!(!cli.path("callsheet.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_batch_of_a_rehearsal_is_hinted_at() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--sandbox"]).code, Some(0));
    let read_all = || {
        [&["status"][..], &["show", "promo", "k"], &["runs"], &["resume"], &["resume", "promo"]]
            .map(|args| normalized_output(&cli, &cli.run(args)))
            .concat()
    };
    insta::assert_snapshot!(read_all(), @"
    Nothing was run here: there is no ledger `callsheet.db`; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    If you have run a batch, change to the folder in which you ran it, or name its ledger with --ledger
    Next (free): callsheet status --sandbox
    error: there is no ledger `callsheet.db`, so nothing was run here: change to the folder in which you ran the batch, or name its ledger with --ledger; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    error: there is no ledger `callsheet.db`, so nothing was run here: change to the folder in which you ran the batch, or name its ledger with --ledger; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    error: there is no ledger `callsheet.db` to resume from; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    error: there is no ledger `callsheet.db` to resume from; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    ");
    assert_eq!(cli.run(&["plan", "b.toml", "--offline"]).code, Some(0));
    insta::assert_snapshot!(read_all(), @"
    No batches yet; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    Next (free): callsheet status --sandbox
    error: no batch `promo` in this ledger (it holds none yet); rehearsals are in `callsheet-sandbox.db`: add --sandbox
    No runs yet; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    error: this ledger has no batch yet: use `callsheet run`; rehearsals are in `callsheet-sandbox.db`: add --sandbox
    error: no batch `promo` in this ledger (it holds none yet); rehearsals are in `callsheet-sandbox.db`: add --sandbox
    ");
    assert_eq!(cli.run(&["status", "--sandbox"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_findings_and_what_to_do() {
    let cli = TestCli::new(1).await;
    let _settings = snapshot_settings().bind_to_scope();
    let good = cli.run(&["check", "b.toml"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    let shown = normalized_output(&cli, &good);
    for line in ["ok    account", "ok    clock", "ok    lock", "ok    ledger", "ok    output"] {
        assert!(shown.contains(line), "no `{line}`: {shown}");
    }
    insta::assert_snapshot!("check", shown);
    let left: Vec<_> = std::fs::read_dir(cli.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("callsheet") || name.contains("lock"))
        .collect();
    assert!(left.is_empty(), "check created files: {left:?}");

    let mut refused = cli.command(&["check", "b.toml", "--json"]);
    let refused = cli.start(refused.env("AISTUDIOS_USER_KEY", "wrong")).wait();
    assert_eq!((refused.code, &parse_json(&refused)["exit"]), (Some(7), &7.into()), "{refused:?}");
    assert!(!refused.stdout.contains("wrong"), "a secret was shown");
    let requests = cli.sandbox.requests().len();
    let offline = cli.run(&["check", "b.toml", "--offline"]);
    assert_eq!((offline.code, cli.sandbox.requests().len()), (Some(0), requests));
    let no_credentials =
        cli.start(&mut cli.command_without_credentials(&["check", "b.toml"])).wait();
    assert_eq!(no_credentials.code, Some(2), "{no_credentials:?}");
    let mut unreachable = cli.command(&["check"]);
    let unreachable = cli.start(unreachable.env("AISTUDIOS_BASE_URL", "http://127.0.0.1:1")).wait();
    assert_eq!(unreachable.code, Some(5), "{unreachable:?}");
    let nowhere = cli.run(&["--ledger", "nowhere/l.db", "check", "--offline"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    std::fs::rename(cli.path("s.csv"), cli.path("gone.csv")).unwrap();
    assert_eq!(cli.run(&["check", "b.toml"]).code, Some(4), "the exit code of a run");
    cli.write("text.db", "this is not a database but a text of some length\n");
    let text = cli.run(&["--ledger", "text.db", "check", "--offline"]);
    assert_eq!(text.code, Some(1), "{text:?}");
    cli.write("b.toml", "name = 'promo'\nsheet = 3\n");
    assert_eq!(cli.run(&["check", "b.toml"]).code, Some(4));
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_callsheet"))
        .args(["man".as_ref(), folder.as_os_str()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    for page in ["callsheet", "callsheet-run", "callsheet-show", "callsheet-ledger-check"] {
        let text = std::fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".TH"), "{page}: {text}");
    }
}
