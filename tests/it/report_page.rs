//! `report.html`: what it holds, what it never holds, and how it behaves with ten thousand rows.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};

use crate::support::test_cli::{LIMITS, TestCli};

/// Returns the rows that the page's script reads.
fn page_data(page: &str) -> Value {
    let behind = page.split_once("id=\"data\">").unwrap().1;
    serde_json::from_str(behind.split_once("</script>").unwrap().0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_a_page_that_shows_every_row_and_runs_nothing_of_a_cell() {
    let office = TestCli::with_settings(0, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 1"));
    office.write(
        "s.csv",
        "key,script,\"<b onclick=x>\"\n\
         k000,Hello,\"</script><script>alert('cell')</script>\"\n\
         \"<script>alert('key')</script>\",Hello there,\"<!-- <script>\"\n\
         k002,\"<img src=x onerror=alert(1)> & \"\"so on\"\"\",\n\
         k003,,\n",
    );
    let ended = office.run(&["run", "b.toml", "--skip-invalid"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let page = fs::read_to_string(office.path("out/report.html")).unwrap();
    // Our own two elements, the data, and nothing else; no attribute and no picture of a cell.
    assert_eq!(page.matches("<script").count(), 2, "{page}");
    assert_eq!(page.matches("</script").count(), 2);
    for foreign in ["<img", "<b ", "<!-- <", "onerror=alert(1)>"] {
        assert!(!page.contains(foreign), "{foreign} came through");
    }
    assert!(page.contains("default-src 'none'"), "no policy");
    // Nothing is fetched, and no link leads out: not even to AI Studios, whose links are signed.
    let addresses: Vec<_> = page.match_indices("://").map(|(at, _)| &page[at..at + 21]).collect();
    assert!(addresses.iter().all(|at| *at == "://www.w3.org/2000/sv"), "{addresses:?}");
    let data = page_data(&page);
    let rows = data["rows"].as_array().unwrap();
    let of_state =
        |state: &str| -> Vec<&Value> { rows.iter().filter(|row| row[2] == state).collect() };
    let (failed, done) = (of_state("failed"), of_state("done"));
    assert_eq!((rows.len(), failed.len(), done.len()), (4, 1, 2), "{rows:?}");
    assert_eq!(of_state("invalid").len(), 1);
    assert_eq!(rows[1][1], "<script>alert('key')</script>");
    assert_eq!(rows[2][10][0][1], "<img src=x onerror=alert(1)> & \"so on\"");
    assert!(failed[0][7].as_str().unwrap().contains("refused"), "{}", failed[0]);
    for row in done {
        let file = row[8].as_str().unwrap();
        assert!(office.path("out").join(file).is_file(), "{file}");
        let way = row[11].as_array().unwrap();
        assert!(way[0].as_i64() <= way[1].as_i64() && way[1].as_i64() <= way[2].as_i64());
    }
    assert_eq!(page.matches("<figure").count(), 5, "four plots and the credits");
    for words in ["1 failed: refused", "2 of 4 videos done", "callsheet status night"] {
        assert!(page.contains(words), "`{words}` is missing");
    }

    // Asked for again from the ledger alone, elsewhere: the videos are still found.
    fs::create_dir(office.path("pages")).unwrap();
    let asked = ["report", "night", "--format", "html", "-o", "pages/p.html"];
    let ended = office.run(&asked);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let again = fs::read_to_string(office.path("pages/p.html")).unwrap();
    let again = page_data(&again);
    assert_eq!((&again["videos"], &again["rows"]), (&"../out".into(), &data["rows"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_was_paid_for_the_page_has_rows_and_no_plots() {
    let office = TestCli::new(2).await;
    let ended = office.run(&["run", "b.toml", "--limit", "0"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let page = fs::read_to_string(office.path("out/report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 0);
    assert_eq!(page_data(&page)["rows"].as_array().unwrap().len(), 2);
}

/// A ledger of `rows` jobs as a night would have left it: most are done, one in fifty failed.
async fn large_ledger(rows: usize) -> TestCli {
    let office = TestCli::new(0).await;
    let script = "A new spring harvest has arrived and we would like you to taste it. ".repeat(3);
    let lines = (0..rows).map(|n| format!("k{n:05},{script}{n},Headline {n},en\n"));
    office.write("s.csv", &format!("key,script,headline,language\n{}", lines.collect::<String>()));
    assert_eq!(office.run(&["run", "b.toml", "--limit", "0"]).code, Some(8));
    let url = format!("sqlite://{}", office.path("callsheet.db").display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let paid = "1760000000000 + j.position * 2000";
    let took = "60000 + (j.position * 7919) % 240000";
    let statements = format!(
        "begin;
         insert into run values (1000, 1, 'here', 1, 1760000000000, 1760020500000, 1760020500000, 'ended', {rows});
         insert into submission (job_id, version, attempt, run_id, tag, way, outcome, project_id, begun_at, paid_at)
             select j.id, 1, 1, 1000, printf('%013d', j.id), 'two-step', 'rendered',
                 printf('%024x', j.id), {paid}, {paid} from job j;
         update job set state = 'submitting', lease_token = 1000,
             submission_id = (select s.id from submission s where s.job_id = job.id);
         update job set state = 'rendering', rendering_at = 1;
         insert into event (job_id, version, submission_id, run_id, at, event, state)
             select j.id, 1, s.id, 1000, {paid} + {took}, 'rendered', 'fetching'
             from job j join submission s on s.job_id = j.id;
         update job set state = 'failed', submission_id = null, rendering_at = null,
             cause = 'render-failed', words = 'AI Studios could not render it: code ' || position
             where position % 50 = 7;
         update job set state = 'fetching' where state = 'rendering';
         update version set video_file = printf('video-%d-of-the-night.mp4', job_id), video_bytes = 1,
             video_hash = 'x', video_ms = 21000, done_at = (
                 select {paid} + {took} + 4000 from job j where j.id = job_id)
             where job_id in (select id from job where state = 'fetching');
         update job set state = 'done', submission_id = null, rendering_at = null,
             video_file = printf('video-%d-of-the-night.mp4', id) where state = 'fetching';
         commit;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    office
}

/// Writes the page of a large batch and returns it.
fn write_page(office: &TestCli) -> String {
    let ended = office.run(&["report", "night", "--format", "html", "-o", "out/report.html"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fs::read_to_string(office.path("out/report.html")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_stay_below_eight_megabytes_and_none_is_left_out() {
    let office = large_ledger(10_000).await;
    let page = write_page(&office);
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
    let data = page_data(&page);
    assert_eq!(data["rows"].as_array().unwrap().len(), 10_000);
    assert_eq!(data["left_out"], 0);
    assert!(page.contains("40 of 10000 jobs, one in 250"), "the timeline is not a sample");
    assert!(page.contains("195 more, in other words"), "two hundred different words are told");
}

/// Prints how long a browser takes over ten thousand rows. Needs `chromium` on the path.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser, and measures"]
async fn ten_thousand_rows_open_in_a_browser_within_two_seconds() {
    let office = large_ledger(10_000).await;
    let bytes = write_page(&office).len();
    let mut painted: Vec<u64> =
        (0..3).map(|_| first_paint_ms(&office.path("out/report.html"))).collect();
    painted.sort_unstable();
    #[expect(clippy::print_stdout, reason = "it is run for this line")]
    {
        println!("{bytes} bytes, painted after {painted:?} ms");
    }
    assert!(painted[1] < 2000, "{painted:?}");
}

/// Opens a page and returns after how many milliseconds its first rows were painted.
fn first_paint_ms(page: &Path) -> u64 {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--timeout=8000", "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let behind = dom.split_once("data-painted=\"").expect("it was never painted").1;
    behind.split('"').next().unwrap().parse().unwrap()
}
