//! Starts of runs that wait for each other.

use reqwest::StatusCode;

use super::TestConsole;
use super::batch_from_upload::{SHEET, approve_batch, upload, wait_for_batch};
use crate::support::test_cli::{LIMITS, TestCli};

/// The virtual AI Studios of a ledger is in the process of one rehearsal.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_during_the_rehearsal_of_another_batch_begins_when_that_has_ended() {
    let cli = TestCli::new(2).await;
    let slow = ["run", "b.toml", "--sandbox", "--speed", "30"];
    let mut other = cli.start(&mut cli.command_without_credentials(&slow));
    while !cli.run(&["status", "promo", "--sandbox"]).stdout.contains("rendering") {
        assert!(other.is_running(), "{}", other.stderr());
    }
    let console = TestConsole::open(&cli, &["--sandbox"]).await;
    let made = upload(&console, &[("title", "Spring"), ("template", "presenter")], SHEET).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let file = cli.path("callsheet-console-sandbox/spring/spring.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n{LIMITS}")).unwrap();
    approve_batch(&console, "spring").await;
    loop {
        let shown = console.get_json("/new/spring/started").await;
        if shown["messages"].as_str().unwrap().contains("waiting for its end") {
            assert_eq!(shown["state"], "waits-for-rehearsal");
            break;
        }
        assert!(other.is_running(), "{shown}");
    }
    let page = console.get("/new/spring/started").await.text();
    for words in ["It waits for the rehearsal of", "Withdraw the approval"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(other.wait().code, Some(0));
    wait_for_batch(&console, "spring", ("done", 2)).await;
    console.stop();
}
