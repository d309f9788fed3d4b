//! The metrics for Prometheus: the text file of a run, the alert rules and the dashboard.
//!
//! Where `promtool` is installed, it checks the files as well.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::TIME_SCALE;
use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

const TEXTFILE: &str = "prom/callsheet.prom";

/// The metrics that a run of one batch writes.
type Samples = BTreeMap<String, f64>;

async fn cli_with_textfile(rows: usize) -> TestCli {
    let office = TestCli::new(rows).await;
    fs::create_dir(office.path("prom")).unwrap();
    let limits = LIMITS.replace("[limits]", "[limits]\nmax_credits_per_day = 500");
    office.write_batch("", &format!("{limits}\n[metrics]\ntextfile = '{TEXTFILE}'\n"));
    office
}

/// Runs with the strictest umask, which must not keep the collector out.
fn run_privately(office: &TestCli, args: &[&str]) -> CommandOutput {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_callsheet")]);
    command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", office.dir.path());
    command.env("AISTUDIOS_APP_ID", callsheet::sandbox::APP_ID);
    command.env("AISTUDIOS_USER_KEY", callsheet::sandbox::USER_KEY);
    command.current_dir(office.dir.path());
    office.start(&mut command).wait()
}

fn samples(office: &TestCli) -> Samples {
    let text = fs::read_to_string(office.path(TEXTFILE)).unwrap();
    check_with_promtool(&["check", "metrics"], Some(&text));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

/// Returns the value of a metric that has no label but the batch.
fn value(samples: &Samples, name: &str) -> Option<f64> {
    samples.get(&format!("callsheet_{name}{{batch=\"promo\"}}")).copied()
}

fn count_jobs(samples: &Samples) -> f64 {
    let jobs = samples.iter().filter(|(name, _)| name.starts_with("callsheet_jobs{"));
    jobs.map(|(_, jobs)| jobs).sum()
}

#[expect(clippy::print_stderr, reason = "a check that was skipped is no silent success")]
fn check_with_promtool(args: &[&str], input: Option<&str>) {
    let mut command = Command::new("promtool");
    let spawned = command.args(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: promtool is not installed, so {args:?} was not run");
        return;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.unwrap_or("").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_file_of_a_run_has_every_metric_and_its_jobs_add_up_to_the_rows() {
    let office = cli_with_textfile(4).await;
    let run = run_privately(&office, &["run", "b.toml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let mode = fs::metadata(office.path(TEXTFILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let beside = fs::read_dir(office.path("prom")).unwrap().count();
    assert_eq!(beside, 1, "no temporary file is left");
    let found = samples(&office);
    assert_eq!(
        found[&format!("callsheet_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))],
        1.0
    );
    assert_eq!(count_jobs(&found), 4.0);
    assert_eq!(found["callsheet_jobs{batch=\"promo\",state=\"done\"}"], 4.0);
    let record = fs::read_to_string(office.path("out/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let credits = &record["credits"]["batch"];
    assert_eq!(value(&found, "paid_requests_total"), credits["requests"].as_f64());
    let total =
        |kind| found[&format!("callsheet_credits_total{{batch=\"promo\",kind=\"{kind}\"}}")];
    assert_eq!(Some(total("estimated")), credits["estimated"].as_f64());
    assert_eq!(value(&found, "run_last_exit_code"), Some(0.0));
    let end = value(&found, "run_last_end_timestamp_seconds").unwrap();
    assert_eq!(value(&found, "run_last_success_timestamp_seconds"), Some(end));
    let start = value(&found, "run_last_start_timestamp_seconds").unwrap();
    let duration = value(&found, "run_duration_seconds").unwrap();
    assert!((start + duration - end).abs() < 0.01, "{start} + {duration} is not {end}");
    let host = office.sandbox.base_url();
    assert_eq!(found[&format!("callsheet_credits_day_cap{{host=\"{host}\"}}")], 500.0);
    assert!(found[&format!("callsheet_credits_day{{host=\"{host}\"}}")] > 0.0);
    assert_eq!(found["callsheet_render_seconds_count"], 4.0);
    assert_eq!(found["callsheet_render_seconds_bucket{le=\"+Inf\"}"], 4.0);
    for absent in ["uncertain_oldest_timestamp_seconds", "rendering_oldest_timestamp_seconds"] {
        assert_eq!(value(&found, absent), None, "nothing waits");
    }
    assert!(!found.keys().any(|name| name.contains("k00")), "no label is a key: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_or_does_not_start_changes_the_end_and_not_the_success() {
    let office = cli_with_textfile(2).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let before = samples(&office);
    office.write("t.json.hbs", "{");
    let not_started = office.run(&["run", "b.toml"]);
    assert_eq!(not_started.code, Some(4), "{not_started:?}");
    let after = samples(&office);
    assert_eq!(value(&after, "run_last_exit_code"), Some(4.0));
    let end = |samples| value(samples, "run_last_end_timestamp_seconds").unwrap();
    assert!(end(&after) > end(&before));
    let success = |samples| value(samples, "run_last_success_timestamp_seconds");
    assert_eq!(success(&after), success(&before));
    // Commands of the operator are no runs.
    office.run(&["retry", "promo", "--yes"]);
    office.run(&["run", "b.toml"]);
    assert_eq!(value(&samples(&office), "run_last_exit_code"), Some(4.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_to_stop_leaves_its_exit_code_and_what_still_renders() {
    let office = cli_with_textfile(4).await;
    office.sandbox.update_switches(|switches| switches.time_scale = 5.0);
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    assert!(office.path(TEXTFILE).exists(), "it is written while the run is live");
    assert_eq!(value(&samples(&office), "run_last_exit_code"), None, "no run has ended");
    run.signal("TERM");
    assert_eq!(run.wait().code, Some(143));
    let found = samples(&office);
    assert_eq!(value(&found, "run_last_exit_code"), Some(143.0));
    assert_eq!(value(&found, "run_last_success_timestamp_seconds"), None);
    assert!(value(&found, "rendering_oldest_timestamp_seconds").is_some(), "{found:?}");
    assert_eq!(count_jobs(&found), 4.0);
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_file_that_cannot_be_written_is_reported_and_fails_no_run() {
    let office = cli_with_textfile(1).await;
    fs::remove_dir(office.path("prom")).unwrap();
    let run = office.run(&["run", "b.toml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("callsheet.prom`: its folder does not exist"), "{}", run.stderr);
    // Rehearsals are no business of the monitoring, unless the user asks for it.
    fs::create_dir(office.path("prom")).unwrap();
    assert_eq!(office.run(&["run", "b.toml", "--sandbox"]).code, Some(0));
    assert!(!office.path(TEXTFILE).exists());
}

fn docs_file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring").join(name).display().to_string()
}

#[test]
fn alert_rules_and_dashboard_name_metrics_that_exist() {
    let rules = docs_file("alerts.yml");
    check_with_promtool(&["check", "rules", &rules], None);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/metrics/mod.rs");
    let source = fs::read_to_string(folder).unwrap();
    let page = fs::read_to_string(docs_file("../guide/monitoring.md")).unwrap();
    let dashboard = fs::read_to_string(docs_file("grafana.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() >= 6);
    let names = |text: &str| -> Vec<String> {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("callsheet_"));
        words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
    };
    for used in names(&fs::read_to_string(rules).unwrap()).into_iter().chain(names(&dashboard)) {
        assert!(source.contains(&format!("\"{used}\"")), "there is no metric `{used}`");
    }
    for written in names(&source) {
        assert!(page.contains(&format!("`{written}")), "monitoring.md lacks `{written}`");
    }
}
