//! `report.html`: its content, its safety, and its size with ten thousand rows.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};

use crate::support::test_cli::{LIMITS, TestCli};

/// Returns the rows that the page's script reads.
fn page_data(page: &str) -> Value {
    let after = page.split_once("id=\"data\">").unwrap().1;
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_page_contains_every_row_and_no_markup_from_cells() {
    let cli = TestCli::with_settings(0, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    cli.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 1"));
    cli.write(
        "s.csv",
        "key,script,\"<b onclick=x>\"\n\
         k000,Hello,\"</script><script>alert('cell')</script>\"\n\
         \"<script>alert('key')</script>\",Hello there,\"<!-- <script>\"\n\
         k002,\"<img src=x onerror=alert(1)> & \"\"so on\"\"\",\n\
         k003,,\n",
    );
    let ended = cli.run(&["run", "b.toml", "--skip-invalid"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let page = fs::read_to_string(cli.path("out/report.html")).unwrap();
    // Only the JSON and our own script; no element or attribute from a cell.
    assert_eq!(page.matches("<script").count(), 2, "{page}");
    assert_eq!(page.matches("</script").count(), 2);
    for foreign in ["<img", "<b ", "<!-- <", "onerror=alert(1)>"] {
        assert!(!page.contains(foreign), "{foreign} was not escaped");
    }
    assert!(page.contains("default-src 'none'"), "no policy");
    // The page contains no URL, not even of AI Studios, whose links are signed.
    let addresses: Vec<_> = page.match_indices("://").map(|(at, _)| &page[at..at + 21]).collect();
    assert!(addresses.iter().all(|at| *at == "://www.w3.org/2000/sv"), "{addresses:?}");
    let data = page_data(&page);
    let rows = data["rows"].as_array().unwrap();
    let with_state =
        |state: &str| -> Vec<&Value> { rows.iter().filter(|row| row[2] == state).collect() };
    let (failed, done) = (with_state("failed"), with_state("done"));
    assert_eq!((rows.len(), failed.len(), done.len()), (4, 1, 2), "{rows:?}");
    assert_eq!(with_state("invalid").len(), 1);
    assert_eq!(rows[1][1], "<script>alert('key')</script>");
    assert_eq!(rows[2][10][0][1], "<img src=x onerror=alert(1)> & \"so on\"");
    assert!(failed[0][7].as_str().unwrap().contains("refused"), "{}", failed[0]);
    for row in done {
        let file = row[8].as_str().unwrap();
        assert!(cli.path("out").join(file).is_file(), "{file}");
        let times = row[11].as_array().unwrap();
        assert!(times.is_sorted_by_key(|time| time.as_i64().unwrap()), "{times:?}");
    }
    assert_eq!(page.matches("<figure").count(), 5, "four plots and the credits");
    for text in ["1 failed: refused", "2 of 4 videos done", "callsheet status promo"] {
        assert!(page.contains(text), "`{text}` is missing");
    }

    // Written from the ledger alone into another folder, it still finds the videos.
    fs::create_dir(cli.path("pages")).unwrap();
    let args = ["report", "promo", "--format", "html", "-o", "pages/p.html"];
    let ended = cli.run(&args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let again = fs::read_to_string(cli.path("pages/p.html")).unwrap();
    let again = page_data(&again);
    assert_eq!((&again["videos"], &again["rows"]), (&"../out".into(), &data["rows"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_page_without_paid_submissions_has_no_plots() {
    let cli = TestCli::new(2).await;
    let ended = cli.run(&["run", "b.toml", "--limit", "0"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let page = fs::read_to_string(cli.path("out/report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 0);
    assert_eq!(page_data(&page)["rows"].as_array().unwrap().len(), 2);
}

/// A ledger of `rows` jobs after a run: most are done, one in fifty failed.
async fn large_ledger(rows: usize) -> TestCli {
    let cli = TestCli::new(0).await;
    let script = "A new spring harvest has arrived and we would like you to taste it. ".repeat(3);
    let lines = (0..rows).map(|n| format!("k{n:05},{script}{n},Headline {n},en\n"));
    cli.write("s.csv", &format!("key,script,headline,language\n{}", lines.collect::<String>()));
    assert_eq!(cli.run(&["run", "b.toml", "--limit", "0"]).code, Some(8));
    let url = format!("sqlite://{}", cli.path("callsheet.db").display());
    let mut db = sqlx_sqlite::SqliteConnection::connect(&url).await.unwrap();
    let paid = "1760000000000 + j.position * 2000";
    let took = "60000 + (j.position * 7919) % 240000";
    let statements = format!(
        "begin;
         insert into run values (1000, 1, 'here', 1, 1760000000000, 1760020500000, 1760020500000, 'ended', {rows}, 0, 'done',
             'every selected video is done');
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
         update version set video_file = printf('video-%d-of-the-promo.mp4', job_id), video_bytes = 1,
             video_hash = 'x', video_ms = 21000, done_at = (
                 select {paid} + {took} + 4000 from job j where j.id = job_id)
             where job_id in (select id from job where state = 'fetching');
         update job set state = 'done', submission_id = null, rendering_at = null,
             video_file = printf('video-%d-of-the-promo.mp4', id) where state = 'fetching';
         commit;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    cli
}

/// Writes the page of a large batch and returns it.
fn write_page(cli: &TestCli) -> String {
    let ended = cli.run(&["report", "promo", "--format", "html", "-o", "out/report.html"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fs::read_to_string(cli.path("out/report.html")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_ten_thousand_rows_is_complete_and_below_eight_megabytes() {
    let cli = large_ledger(10_000).await;
    let page = write_page(&cli);
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
    let data = page_data(&page);
    assert_eq!(data["rows"].as_array().unwrap().len(), 10_000);
    assert_eq!(data["left_out"], 0);
    assert!(page.contains("40 of 10000 videos, one in 250"), "the timeline is not a sample");
    assert!(page.contains("195 more, with other messages"), "all 200 messages are listed");
}

/// Prints the time until a browser has painted ten thousand rows. Needs `chromium` in the path.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser and measures time"]
async fn a_page_with_ten_thousand_rows_opens_within_two_seconds() {
    let cli = large_ledger(10_000).await;
    let bytes = write_page(&cli).len();
    let mut painted: Vec<u64> =
        (0..3).map(|_| first_paint_ms(&cli.path("out/report.html"))).collect();
    painted.sort_unstable();
    #[expect(clippy::print_stdout, reason = "the test is run for this line")]
    {
        println!("{bytes} bytes, painted after {painted:?} ms");
    }
    assert!(painted[1] < 2000, "{painted:?}");
}

/// Returns the time until the first rows of a page were painted, in milliseconds.
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
    let after = dom.split_once("data-painted=\"").expect("the page was painted").1;
    after.split('"').next().unwrap().parse().unwrap()
}
