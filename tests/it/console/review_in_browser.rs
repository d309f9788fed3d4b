//! Review as a reviewer does it: many videos with the keyboard, and with a finger on a phone.

use std::time::Instant;

use serde_json::{Value, json};

use super::TestConsole;
use super::browser::TestBrowser;
use crate::support::test_cli::TestCli;

/// The number of videos of a reviewer's evening.
const VIDEOS: usize = 200;

/// Returns whether a page shows a video and takes a verdict on it.
fn shows(key: &str) -> String {
    format!(
        "document.readyState == 'complete' && !document.querySelector('[data-guarded]') \
         && document.querySelector('figcaption .key')?.textContent == '{key}'"
    )
}

fn verdicts(cli: &TestCli) -> Vec<String> {
    let printed = cli.run(&["review", "promo", "--json"]).stdout;
    let document: Value = serde_json::from_str(&printed).unwrap();
    let videos = document["videos"].as_array().unwrap().iter();
    videos.map(|video| video["review"].as_str().unwrap_or("waiting").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_judges_by_touch_alone() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(3).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo");
    browser.use_phone(&tab);
    browser.go(&tab, &format!("{}/batches/promo/review", console.url));
    browser.tap(&tab, ".review-start a");
    browser.wait_for(&tab, &shows("k000"));
    let is_reachable = "(() => { const box = document.querySelector('button[value=approved]')
        .getBoundingClientRect(); return box.height >= 44 && box.bottom <= innerHeight; })()";
    assert_eq!(browser.evaluate(&tab, is_reachable), true, "Approve is below the first screen");
    browser.tap(&tab, "button[value=approved]");
    browser.wait_for(&tab, &shows("k001"));
    browser.tap(&tab, "textarea[name=reason]");
    browser.wait_for(&tab, "document.activeElement.name == 'reason'");
    browser.type_text(&tab, "wrong price");
    browser.tap(&tab, "button[value=changes]");
    browser.wait_for(&tab, &shows("k002"));
    browser.tap(&tab, ".undo button");
    browser.wait_for(&tab, &shows("k001"));
    browser.tap(&tab, "a[rel=next]");
    browser.wait_for(&tab, &shows("k002"));
    assert_eq!(verdicts(&cli), ["approved", "waiting", "waiting"]);
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tap_or_a_held_key_judges_no_video_that_was_not_seen() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(4).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo");
    browser.use_phone(&tab);
    // The second tap comes as soon as the next page has its script, whatever its player has.
    // A third one comes when its user has waited for the first.
    let tap = "addEventListener('DOMContentLoaded', () => { \
               const tap = () => document.querySelector('button[value=approved]')?.click(); \
               tap(); const player = document.getElementById('player'); \
               const late = () => setTimeout(() => { tap(); window.isTappedLate = true; }, 700); \
               if (player?.readyState > 1) late(); else player?.addEventListener('loadeddata', late); })";
    browser.call(Some(&tab), "Page.addScriptToEvaluateOnNewDocument", &json!({ "source": tap }));
    browser.go(&tab, &format!("{}/batches/promo/review?key=k000", console.url));
    browser.wait_for(&tab, &shows("k000"));
    browser.tap(&tab, "button[value=approved]");
    browser.wait_for(&tab, &format!("window.isTappedLate && {}", shows("k001")));
    let hint = "document.querySelector('[data-guard-hint]').hidden";
    assert_eq!(browser.evaluate(&tab, hint), false, "the page says that the taps do not count");
    let held = json!({ "type": "keyDown", "key": "a", "text": "a", "autoRepeat": true });
    browser.call(Some(&tab), "Input.dispatchKeyEvent", &held);
    browser.press(&tab, &["j"]);
    browser.wait_for(&tab, &shows("k002"));
    assert_eq!(verdicts(&cli), ["approved", "waiting", "waiting", "waiting"]);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "judges hundreds of videos and asserts no time"]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn two_hundred_videos_with_the_keyboard_and_on_a_phone() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(VIDEOS).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo/review?key=k000");
    let began = Instant::now();
    for video in 0..VIDEOS {
        browser.wait_for(&tab, &shows(&format!("k{video:03}")));
        browser.press(&tab, &["a"]);
    }
    browser.wait_for(&tab, "document.querySelector('.review-grid') != null");
    println!("{:>8.1} s with the keyboard", began.elapsed().as_secs_f64());
    assert_eq!(verdicts(&cli), vec!["approved"; VIDEOS]);

    let keys: Vec<String> = (0..VIDEOS).map(|video| format!("k{video:03}")).collect();
    let withdraw: Vec<&str> = ["review", "promo", "--withdraw"]
        .into_iter()
        .chain(keys.iter().map(String::as_str))
        .collect();
    assert_eq!(cli.run(&withdraw).code, Some(0));
    browser.use_phone(&tab);
    browser.go(&tab, &format!("{}/batches/promo/review?key=k000", console.url));
    let began = Instant::now();
    for video in 0..VIDEOS {
        browser.wait_for(&tab, &shows(&format!("k{video:03}")));
        browser.tap(&tab, "textarea[name=reason]");
        browser.type_text(&tab, "wrong price");
        browser.tap(&tab, "button[value=changes]");
    }
    browser.wait_for(&tab, "document.querySelector('.review-grid') != null");
    println!("{:>8.1} s on a phone, each with a reason", began.elapsed().as_secs_f64());
    assert_eq!(verdicts(&cli), vec!["changes"; VIDEOS]);
    console.stop();
}
