//! Search and review in a batch of five thousand rows, which no page reads whole.

use serde_json::Value;

use super::TestConsole;
use super::large_ledger::five_thousand_rows;
use crate::support::test_cli::TestCli;

fn keys_of(page: &Value, list: &str) -> Vec<String> {
    let key = |row: &Value| row["key"].as_str().unwrap().to_owned();
    page[list].as_array().unwrap().iter().map(key).collect()
}

/// Follows the pages of a list from an address on. Returns the keys and the last page.
async fn walk(console: &TestConsole, path: &str, list: &str, onwards: &str) -> Vec<String> {
    let (mut keys, mut address) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = address.take() {
        let page = console.get_json(&path).await;
        keys.extend(keys_of(&page, list));
        address = page[onwards].as_str().map(str::to_owned);
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_found_in_every_cell_of_a_batch_that_is_not_read_whole() {
    let cli = five_thousand_rows().await;
    let console = TestConsole::open(&cli, &[]).await;
    let rows = "/batches/promo/rows";
    for (query, found) in [
        ("q=HELLO+4321", &["k1004321"][..]),
        ("q=k1004321", &["k1004321"]),
        ("q=project-4321", &["k1004321"]),
        ("q=no+such+text", &[]),
        ("where=script%3DHello+4321", &["k1004321"]),
        ("where=script%3Dhello+4321", &[]),
        ("where=script%3DHello+43", &["k1000043"]),
        ("where=script%3DHello+4321&q=hello", &["k1004321"]),
        ("where=script%3DHello+4321&state=failed", &[]),
        ("q=the+studio&state=failed", &[]),
        ("q=the+script+is+empty", &[]),
    ] {
        let page = console.get_json(&format!("{rows}?{query}")).await;
        assert_eq!(keys_of(&page, "rows"), found, "{query}");
        assert!(page["later"].is_null(), "{query}: all rows were searched");
    }
    let page = console.get(&format!("{rows}?q=the+studio")).await.text();
    assert!(page.contains("Search the messages for this text as well"), "{page}");
    let messages = format!("{rows}?q=error+4&search=all");
    let found = walk(&console, &messages, "rows", "later").await;
    assert_eq!(found, ["k1000004", "k1001004", "k1002004", "k1003004", "k1004004"]);
    let all = walk(&console, &format!("{rows}?q=hello+43"), "rows", "later").await;
    let expected: Vec<String> = [43]
        .into_iter()
        .chain(430..440)
        .chain(4300..4400)
        .map(|n| format!("k{}", 1_000_000 + n))
        .collect();
    assert_eq!(all, expected);
    let mut reversed =
        walk(&console, &format!("{rows}?q=hello+43&sort=-row"), "rows", "later").await;
    reversed.reverse();
    assert_eq!(reversed, expected);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_knows_the_cells_of_the_last_plan() {
    let cli = TestCli::new(4200).await;
    let rendered = cli.run(&["run", "b.toml", "--yes", "--only", "k000"]);
    assert_eq!(rendered.code, Some(0), "{}", rendered.stderr);
    let console = TestConsole::open(&cli, &[]).await;
    let search = "/batches/promo/rows?q=brand+new";
    assert_eq!(keys_of(&console.get_json(search).await, "rows"), [""; 0]);
    let sheet = std::fs::read_to_string(cli.path("s.csv")).unwrap();
    cli.write("s.csv", &(sheet + "k9,Brand new\n"));
    let planned = cli.run(&["run", "b.toml", "--yes", "--only", "k001"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert_eq!(keys_of(&console.get_json(search).await, "rows"), ["k9"]);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_video_is_on_one_page_of_the_review_in_both_directions_and_by_verdict() {
    let cli = five_thousand_rows().await;
    let console = TestConsole::open(&cli, &[]).await;
    let review = "/batches/promo/review";
    let done = walk(&console, "/batches/promo/rows?state=done", "rows", "later").await;
    let counts = console.get_json(review).await["counts"].clone();
    let count = |name: &str| counts[name].as_u64().unwrap() as usize;
    let all = walk(&console, review, "videos", "later").await;
    assert_eq!(all, done);
    let judged = count("approved") + count("rejected") + count("changes");
    assert_eq!(all.len(), count("waiting") + judged);
    let mut merged = Vec::new();
    for show in ["waiting", "approved", "rejected"] {
        let shown = walk(&console, &format!("{review}?show={show}"), "videos", "later").await;
        assert_eq!(shown.len(), count(show), "{show}");
        assert!(shown.is_sorted() && !shown.is_empty(), "{show}: {shown:?}");
        let mut back = Vec::new();
        let mut address = Some(format!("{review}?show={show}&before=999999"));
        while let Some(path) = address.take() {
            let page = console.get_json(&path).await;
            back.splice(0..0, keys_of(&page, "videos"));
            address = page["earlier"].as_str().map(str::to_owned);
        }
        assert_eq!(back, shown, "{show}, backwards");
        merged.extend(shown);
    }
    merged.sort();
    assert_eq!(merged, all);
    let last = all.last().unwrap();
    let player = console.get_json(&format!("{review}?key={last}")).await;
    assert_eq!(
        keys_of(&player, "videos"),
        std::slice::from_ref(last),
        "the last one can be judged, too"
    );
    assert!(player["earlier"].as_str().unwrap().contains(&all[all.len() - 2]), "{player}");
    console.stop();
}
