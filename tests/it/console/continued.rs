//! Runs that the console starts of batches that it did not make, and starts that wait for each other.

use reqwest::StatusCode;

use super::TestConsole;
use super::batch_from_upload::{SHEET, approve_batch, open_console, upload, wait_for_batch};
use crate::support::test_cli::{LIMITS, TestCli};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_the_command_line_is_continued_with_the_price_of_its_plan() {
    let cli = TestCli::new(2).await;
    assert_eq!(cli.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    let console = open_console(&cli).await;
    let page = console.get("/batches/promo").await.text();
    for words in ["Continue 1 video, about 1 credit", "href=\"/new/promo\""] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let page = console.get("/new/promo").await.text();
    assert!(page.contains("Approve and render 1 video for about 1 credit"), "{page}");
    assert_eq!(cli.sandbox.render_count(), 1, "nothing is paid before the approval");
    // What was approved is what is rendered, or nothing.
    let shown = console.get_json("/new/promo").await;
    let form = format!("hash={}&shown=1+new", shown["plan"]["hash"].as_str().unwrap());
    cli.write_rows(3);
    let refused = console.post("/new/promo/start", &form).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text());
    approve_batch(&console, "promo").await;
    wait_for_batch(&console, "promo", ("done", 3)).await;
    assert_eq!(cli.assert_guarantees(3), ["done"; 3]);
    assert_eq!(console.get_json("/new").await["uploads"], serde_json::json!([]));
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_out_of_reach_says_why_and_has_its_command() {
    let cli = TestCli::new(2).await;
    assert_eq!(cli.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    let console = open_console(&cli).await;
    let file = std::fs::read_to_string(cli.path("b.toml")).unwrap();
    std::fs::remove_file(cli.path("b.toml")).unwrap();
    let command = format!("{file}\n[on_done]\ncommand = ['touch', 'ran']\n");
    let other = file.replace("promo", "autumn");
    let cases = [
        (None, "is not where the console runs"),
        (Some(command), "this user has not run the batch file"),
        (Some(other), "is that of the batch"),
    ];
    for (text, reason) in cases {
        if let Some(text) = text {
            cli.write("b.toml", &text);
        }
        let page = console.get("/batches/promo").await.text();
        for words in ["This console cannot continue the batch", reason, "callsheet r"] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("/new/promo"), "{page}");
        let refused = console.get("/new/promo").await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
        assert!(refused.text().contains(reason), "{}", refused.text());
        let refused = console.post("/new/promo/start", "hash=00&shown=x").await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text());
    }
    assert_eq!(cli.sandbox.render_count(), 1);
    console.stop();
}

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
