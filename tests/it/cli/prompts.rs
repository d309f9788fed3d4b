//! Declined prompts: nothing is spent or changed, and reports of earlier runs stay.

use crate::support::terminal_session::TerminalSession;
use crate::support::test_cli::{CommandOutput, TestCli};

fn run_at_terminal(office: &TestCli, args: &str, answer: &str) -> CommandOutput {
    let mut terminal = TerminalSession::start(office, args);
    terminal.wait_for_text("[y/N]");
    terminal.answer_and_wait(answer)
}

fn report_files(office: &TestCli) -> Vec<Vec<u8>> {
    let files = ["run.json", "results.csv", "report.html"];
    files.map(|file| std::fs::read(office.path("out").join(file)).unwrap()).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_a_run_spends_nothing_and_keeps_the_last_reports() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    let before = report_files(&office);
    for answer in ["n", "", "nonsense"] {
        let said = run_at_terminal(&office, "run b.toml", answer);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.stdout.contains("Render 1 video for about 1 credit? [y/N]"), "{said:?}");
        assert!(said.stdout.contains("Nothing was submitted"), "{said:?}");
        assert_eq!(
            (report_files(&office), office.sandbox.render_count()),
            (before.clone(), 1),
            "{answer}"
        );
    }
    let said = run_at_terminal(&office, "run b.toml", "y");
    assert_eq!((said.code, office.sandbox.render_count()), (Some(0), 2), "{said:?}");
    assert_ne!(report_files(&office), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_retry_cancel_or_probe_changes_nothing() {
    let office =
        TestCli::with_settings(2, "", |settings| settings.faults.add("400=create:1").unwrap())
            .await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    let state = |office: &TestCli| office.run(&["jobs", "promo", "--json"]).stdout;
    let before = state(&office);
    let said = run_at_terminal(&office, "retry promo", "n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(office.run(&["retry", "promo", "--yes"]).code, Some(0));
    let ready = state(&office);
    assert_ne!(ready, before);
    let said = run_at_terminal(&office, "cancel promo", "n");
    assert_eq!((said.code, state(&office)), (Some(0), ready), "{said:?}");
    let said = run_at_terminal(&office, "check b.toml --probe-render", "n");
    assert_eq!((said.code, office.sandbox.render_count()), (Some(0), 1), "{said:?}");
    assert!(said.stdout.contains("AI Studios charges for"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_with_a_state_leaves_jobs_of_other_states_unchanged() {
    let office =
        TestCli::with_settings(3, "", |settings| settings.faults.add("400=create:1").unwrap())
            .await;
    office.write_batch(
        "",
        &crate::support::test_cli::LIMITS.replace("in_flight = 32", "in_flight = 1"),
    );
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(3));
    assert_eq!(office.run(&["cancel", "promo", "--yes"]).code, Some(0));
    let states = |office: &TestCli| {
        let told = office.run(&["jobs", "promo", "--json"]).stdout;
        let state = |line: &str| {
            let job: serde_json::Value = serde_json::from_str(line).unwrap();
            job["state"].as_str().unwrap().to_owned()
        };
        let mut states: Vec<String> = told.lines().map(state).collect();
        states.sort();
        states
    };
    let before = states(&office);
    assert!(before.contains(&"failed".to_owned()) && before.contains(&"cancelled".to_owned()));
    let failed = before.iter().filter(|state| *state == "failed").count();
    let retried = office.run(&["retry", "promo", "--state", "cancelled", "--yes"]);
    assert_eq!(retried.code, Some(0), "{retried:?}");
    let after = states(&office);
    assert_eq!(after.iter().filter(|state| *state == "failed").count(), failed, "{after:?}");
    assert!(!after.contains(&"cancelled".to_owned()), "{after:?}");
    let wrong = office.run(&["retry", "promo", "--state", "done", "--yes"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
