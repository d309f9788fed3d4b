//! Why a run stopped: every output names the same cause and the same next step, and `status` alone
//! is enough in the morning.

use std::fs;

use callsheet::sandbox::{FaultRules, SandboxSettings};
use serde_json::Value;

use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

/// A batch that stops in one way.
struct Stop {
    name: &'static str,
    /// Faults of the studio.
    faults: &'static [&'static str],
    /// Arguments after `run b.toml`.
    args: &'static [&'static str],
    exit: i32,
    cause: &'static str,
    /// Part of the sentence.
    says: &'static str,
    /// The next step.
    next: &'static str,
}

const RUN: &str = "callsheet run b.toml";
const STATUS: &str = "callsheet status promo";

/// One stop per exit code of a run that is recorded; a run that found the batch locked (11)
/// records nothing, and one that was interrupted is in `signals.rs`.
const STOPS: &[Stop] = &[
    Stop {
        name: "an output folder that is a file",
        faults: &[],
        args: &[],
        exit: 1,
        cause: "output-folder",
        says: "`out` is a file",
        next: RUN,
    },
    Stop {
        name: "no credentials",
        faults: &[],
        args: &[],
        exit: 2,
        cause: "credentials",
        says: "no credentials",
        next: RUN,
    },
    Stop {
        name: "a refused row",
        faults: &["400=create:1"],
        args: &["--limit", "1"],
        exit: 3,
        cause: "rows-failed",
        says: "1 ",
        next: STATUS,
    },
    Stop {
        name: "an invalid row",
        faults: &[],
        args: &[],
        exit: 4,
        cause: "sheet",
        says: "1 problem in the sheet (row 3)",
        next: "callsheet plan b.toml",
    },
    Stop {
        name: "an unavailable host",
        faults: &["503=always"],
        args: &[],
        exit: 5,
        cause: "unavailable",
        says: "503",
        next: RUN,
    },
    Stop {
        name: "lost responses",
        faults: &["lost-answer=export:always"],
        args: &["--no-wait"],
        exit: 6,
        cause: "uncertain",
        says: "may already be paid for",
        next: RUN,
    },
    Stop {
        name: "no credits",
        faults: &["402-after=export:+1"],
        args: &[],
        exit: 7,
        cause: "credits",
        says: "out of credits",
        next: RUN,
    },
    Stop {
        name: "a cap",
        faults: &[],
        args: &["--limit", "1"],
        exit: 8,
        cause: "video-limit",
        says: "stopped at --limit 1",
        next: RUN,
    },
];

fn with_faults(faults: &[&str]) -> impl FnOnce(&mut SandboxSettings) {
    let faults: Vec<String> = faults.iter().map(|fault| (*fault).to_owned()).collect();
    move |settings| faults.iter().for_each(|fault| settings.faults.add(fault).unwrap())
}

impl Stop {
    /// Runs a batch of three rows until it stops.
    async fn run(&self) -> (TestCli, CommandOutput) {
        let cli = TestCli::with_settings(3, "", with_faults(self.faults)).await;
        let limits = LIMITS.replace("in_flight = 32", "in_flight = 1");
        cli.write_batch("", &format!("{limits}\n[notify]\ncommand = ['tee', 'notice.json']\n"));
        match self.name {
            "an output folder that is a file" => cli.write("out", ""),
            "an invalid row" => cli.write("s.csv", "key,script\nk000,Hello\nk001,\n"),
            _ => {}
        }
        let args = [&["run", "b.toml", "--json"], self.args].concat();
        let mut command = match self.name {
            "no credentials" => cli.command_without_credentials(&args),
            _ => cli.command(&args),
        };
        let ended = cli.start(&mut command).wait();
        assert_eq!(ended.code, Some(self.exit), "{}: {ended:?}", self.name);
        (cli, ended)
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_output_names_the_same_cause_and_next_step_for_every_exit_code() {
    for stop in STOPS {
        let name = stop.name;
        let (cli, ended) = stop.run().await;
        let summary = json(ended.stdout.lines().last().unwrap());
        assert_eq!(summary["stop"]["cause"], stop.cause, "{name}: {summary}");
        let words = summary["stop"]["words"].as_str().unwrap().to_owned();
        assert!(words.contains(stop.says), "{name}: {words}");
        assert_eq!(summary["next"], stop.next, "{name}: {summary}");
        // The notification gets the content of run.json.
        let notice = json(&fs::read_to_string(cli.path("notice.json")).unwrap());
        assert_eq!((&notice["exit"], &notice["next"]), (&stop.exit.into(), &stop.next.into()));
        assert_eq!(notice["stop"]["words"], words.as_str(), "{name}: {notice}");
        let status = json(&cli.run(&["status", "--json"]).stdout);
        let batch = &status["batches"][0];
        assert_eq!(batch["stop"]["words"], words.as_str(), "{name}: {batch}");
        assert_eq!(
            (&batch["stop"]["exit"], &batch["next"]),
            (&stop.exit.into(), &stop.next.into())
        );
        let runs = json(&cli.run(&["runs", "--json"]).stdout);
        let run = &runs["runs"][0];
        assert_eq!((&run["exit"], &run["words"]), (&stop.exit.into(), &words.as_str().into()));
        assert!(cli.run(&["runs"]).stdout.contains(&stop.exit.to_string()), "{name}");
        let page = cli.run(&["report", "promo", "--format", "html"]).stdout;
        let shown = words.replace('<', "&lt;").replace('"', "&quot;");
        let shown = match shown.strip_prefix("stopped ") {
            Some(rest) => format!("Stopped {rest}"),
            None => format!("Stopped: {shown}"),
        };
        assert!(page.contains(&shown), "{name}: {words}");
        assert!(page.contains(stop.next), "{name}");
        let headline = headline(&cli);
        assert!(headline.ends_with(stop.next), "{name}: {headline}");
        assert!(headline.contains(stop.says), "{name}: {headline}");
    }
}

/// Returns the lines of the first batch in `status`: its counts, and its reason with the command.
fn headline(cli: &TestCli) -> String {
    let ended = cli.run(&["status"]);
    assert!(!ended.stdout.is_empty(), "{ended:?}");
    ended.stdout.lines().take(2).collect::<Vec<_>>().join("\n")
}

/// The mornings on which a disk was full are in `disk.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn status_alone_names_the_cause_and_the_command_after_each_bad_run() {
    for (mode, fault, args, says, next) in [
        ("two-step", "402-after=export:+1", "", "out of credits. Top up, then", RUN),
        ("two-step", "lost-answer=export:always", "--no-wait", "may already be paid for", RUN),
        ("one-step", "lost-answer=create:always", "--no-wait", "may already be paid for", RUN),
        ("two-step", "400=create:always", "", "refused", STATUS),
        ("two-step", "503=always", "", "AI Studios was unavailable", RUN),
    ] {
        let studio = format!("submission = '{mode}'");
        let cli = TestCli::with_settings(3, &studio, with_faults(&[fault])).await;
        cli.run(&["run", "b.toml", args].map(|arg| if arg.is_empty() { "--yes" } else { arg }));
        let line = headline(&cli);
        assert!(line.starts_with("! promo  "), "{fault}: {line}");
        assert!(line.contains(says) && line.ends_with(next), "{fault}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_a_killed_run_and_the_command_that_continues_it() {
    let cli = TestCli::with_settings(3, "", |settings| settings.switches.time_scale = 20.0).await;
    let run = cli.start(&mut cli.command(&["run", "b.toml"]));
    cli.sandbox.wait_until(|sandbox| sandbox.render_count() >= 1).await;
    run.signal("KILL");
    run.wait();
    let line = headline(&cli);
    assert!(
        line.contains("killed, or the power failed. Continue:  callsheet run b.toml"),
        "{line}"
    );
    assert_eq!(
        json(&cli.run(&["status", "--json"]).stdout)["batches"][0]["stop"]["exit"],
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_the_problems_of_inputs_on_the_first_run_and_on_a_later_one() {
    let cli = TestCli::new(3).await;
    let good = fs::read_to_string(cli.path("s.csv")).unwrap();
    cli.write("s.csv", "key,skript\nk000,Hello\n");
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(4));
    let line = headline(&cli);
    assert!(line.starts_with("! promo  –\n") && line.contains("`script`"), "{line}");
    assert!(line.ends_with("callsheet plan b.toml"), "{line}");
    // It never ran, so it cannot be continued without its sheet.
    let resumed = cli.run(&["resume", "promo"]);
    assert_eq!(resumed.code, Some(2), "{resumed:?}");
    cli.write("s.csv", &good);
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(headline(&cli), "✓ promo  3 of 3 videos done");
    let batch_file = fs::read_to_string(cli.path("b.toml")).unwrap();
    cli.write("b.toml", &format!("sheeet = 's.csv'\n{batch_file}"));
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(4));
    let line = headline(&cli);
    assert!(line.contains("1 problem in the batch file") && line.contains("sheeet"), "{line}");
    cli.write("b.toml", &batch_file);
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(headline(&cli), "✓ promo  3 of 3 videos done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_never_had_a_plan_is_bound_to_no_host() {
    let cli = TestCli::new(2).await;
    let url = "http://127.0.0.1:9";
    let ended = cli.run(&["run", "b.toml", "--base-url", url, "--only", "nothing"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(cli.assert_guarantees(2), ["done"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_of_a_run_that_fails_never_lacks_a_reason() {
    let cli = TestCli::new(2).await;
    cli.write("bad.toml", "name = 3\n");
    cli.write("wrong.csv", "key,skript\na,Hello\n");
    let source = fs::read_to_string(cli.path("b.toml")).unwrap();
    cli.write("wrong.toml", &source.replace("s.csv", "wrong.csv").replace("promo", "wrong"));
    let wrong = source.replace("s.csv", "wrong.csv").replace("promo", "wrong");
    cli.write("wrong.toml", &wrong.replace("'out'", "'out2'"));
    for args in [
        ["run", "bad.toml", "--json"].as_slice(),
        &["run", "missing.toml", "--json"],
        &["run", "wrong.toml", "--json"],
        &["run", "b.toml", "wrong.toml", "--json"],
        &["run", "b.toml", "bad.toml", "--json"],
    ] {
        let ended = cli.run(args);
        assert_eq!(ended.code, Some(4), "{args:?}: {ended:?}");
        let summary = json(ended.stdout.lines().last().unwrap());
        assert!(summary["error"].is_string(), "{args:?}: {summary}");
        let batches = summary["batches"].as_array().cloned().unwrap_or_else(|| vec![summary]);
        let is_listed = |line: &Value| !line["problems"].as_array().unwrap().is_empty();
        assert!(batches.iter().any(is_listed), "{args:?}: {batches:?}");
        assert!(batches.iter().all(|line| line["error"].is_string()), "{args:?}: {batches:?}");
    }
    assert_eq!(cli.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_rows_come_before_a_cap_and_after_an_outage() {
    let cli = TestCli::with_settings(3, "", with_faults(&["400=create:1"])).await;
    cli.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 1"));
    let ended = cli.run(&["run", "b.toml", "--limit", "1"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let mut outage = FaultRules::default();
    outage.add("503=always").unwrap();
    cli.sandbox.set_faults(outage);
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(5));
    assert!(headline(&cli).contains("AI Studios was unavailable"), "{}", headline(&cli));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_found_by_its_name_and_a_misspelled_one_is_suggested() {
    let cli = TestCli::new(1).await;
    let source = fs::read_to_string(cli.path("b.toml")).unwrap();
    fs::create_dir(cli.path("jobs")).unwrap();
    let source = source.replace("'s.csv'", "'../s.csv'").replace("'t.json.hbs'", "'../t.json.hbs'");
    cli.write("jobs/spring.toml", &source);
    for command in ["plan", "run", "check"] {
        let ended = cli.run(&[command, "spring"]);
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
    }
    let ended = cli.run(&["run", "sprng"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("did you mean `spring`?"), "{}", ended.stderr);
    let ended = cli.run(&["staus"]);
    assert!(
        ended.stderr.contains("`callsheet status`") && !ended.stderr.contains("pause"),
        "{}",
        ended.stderr
    );
}
