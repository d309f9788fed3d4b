//! How long the pages of the console, its metrics and `status` take in a ledger of a million jobs, on
//! either store, and how large they are. The ledger is filled with SQL, because driving a million jobs
//! takes hours. No time is asserted.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use sqlx_sqlite::SqliteConnectOptions;

use super::TestConsole;
use super::browser::TestBrowser;
use crate::support::test_cli::TestCli;

/// Pages with their least time of three tries; further addresses of `CALLSHEET_TEST_PAGES`.
const PAGES: [&str; 28] = [
    "/",
    "/batches/promo",
    "/batches/promo/rows",
    "/batches/promo/rows?before=9223372036854775807",
    "/batches/promo/rows?sort=-row",
    "/batches/promo/rows?sort=key",
    "/batches/promo/rows?sort=credits",
    "/batches/promo/rows?state=done",
    "/batches/promo/rows?state=failed",
    "/batches/promo/rows?state=failed&sort=attempts",
    "/batches/promo/rows?state=uncertain",
    "/batches/promo/rows?state=stalled",
    "/batches/promo/rows?state=open",
    "/batches/promo/rows?state=invalid",
    "/batches/promo/rows?state=removed",
    "/batches/promo/rows?state=cancelled&cause=rejected",
    "/batches/promo/rows?q=k1500000",
    "/batches/promo/rows?q=project-900000",
    "/batches/promo/rows?q=no+such+text",
    "/batches/promo/rows?where=script%3DHello+7",
    "/batches/promo/rows/k1500000",
    "/batches/promo/timeline",
    "/batches/promo/review",
    "/batches/promo/review?show=approved",
    "/batches/promo/actions/retry",
    "/audit",
    "/settings",
    "/metrics",
];

/// Statements of both stores that make one finished job the first of `JOBS` jobs of a run that has been
/// at work for weeks: 95 of 100 were submitted.
const FILL: &str = "
update run set started_at = started_at - BEFORE, submitted = JOBS * 95 / 100;
insert into job (id, batch_id, key, position, row_number, in_sheet, state, lease_token, attempts,
        video_file, cause, words, due_at)
    with recursive numbered(n) as (select 1 union all select n + 1 from numbered where n < JOBS - 1)
    select n + 1, 1, 'k' || (1000000 + n), n, n + 2, n % 1000 <> 40, STATE, 1,
        case when STATE in ('done', 'failed') then 1 else 0 end,
        case when STATE = 'done' then 'k' || (1000000 + n) || '.mp4' end,
        case when STATE in ('failed', 'cancelled') then
            case n % 5 when 0 then 'render-failed' when 1 then 'rejected' when 2 then 'fetch-failed'
                when 3 then 'abandoned' else 'cancelled' end end,
        case when STATE = 'failed' then 'the studio could not render it: error ' || (n % 50) end, 0
    from numbered;
insert into version (job_id, version, cells, layout_id, template_hash, payload_hash, file_name,
        spoken_ms, planned_at, video_file, video_bytes, video_hash, video_ms, done_at)
    select j.id, 1, '[[\"' || j.key || '\",\"Hello ' || j.position || '\"]]', v.layout_id,
        v.template_hash, v.payload_hash, j.key || '.mp4', 1000 * (20 + j.position % 100), 0,
        j.video_file, case when j.state = 'done' then 1000000 end,
        case when j.state = 'done' then 'hash-' || j.position end,
        case when j.state = 'done' then 30000 end,
        case when j.state = 'done' then STARTED + j.position * 2000 + 120000 end
    from job j, version v where j.id > 1 and v.job_id = 1;
insert into submission (id, job_id, version, attempt, run_id, tag, way, outcome, project_id,
        begun_at, paid_at, settled_at, credits)
    select j.id, j.id, 1, 1, 1, 'T' || (100000000000 + j.id), 'two-step',
        case when j.state = 'done' then 'rendered' else 'render-failed' end,
        'project-' || j.position, STARTED + j.position * 2000, STARTED + j.position * 2000,
        STARTED + j.position * 2000 + 60000 + j.position % 600 * 100,
        case when j.position % 4 > 0 then 1.5 end
    from job j where j.id > 1 and j.state in ('done', 'failed');
insert into event (job_id, version, submission_id, run_id, at, event, state)
    select s.job_id, 1, s.id, 1, s.paid_at + kind.after, kind.event, kind.state
    from submission s, (select 0 as after, 'submitted' as event, 'submitting' as state
        union all select 900, 'accepted', 'rendering'
        union all select 60000, 'rendered', 'fetching'
        union all select 61000, 'fetched', 'done') kind
    where s.job_id > 1 order by s.id, kind.after;
insert into row_without_job (batch_id, position, row_number, key, cells, why, problem)
    select 1, JOBS + position, JOBS + position + 2, 'x' || position, '[[\"x\",\"\"]]',
        case when position % 2 = 0 then 'invalid' else 'skipped' end,
        case when position % 2 = 0 then 'the script is empty' end
    from job where position < 2000;
insert into review_verdict (batch_id, job_id, version, video_hash, verdict, reason, reviewer, origin, at)
    select 1, j.id, 1, v.video_hash, case when j.position % 400 = 0 then 'approved' else 'rejected' end,
        'blurred', 'ann', 'cli', STARTED
    from job j join version v on v.job_id = j.id and v.version = 1
    where j.position % 200 = 0 and j.position > 0 and j.state = 'done';
delete from tally;
insert into tally (batch_id, in_sheet, state, jobs)
    select batch_id, in_sheet, state, count(*) from job group by 1, 2, 3;
";

/// The states of the jobs, by their place.
const STATE: &str = "case when n > JOBS * 95 / 100 then 'ready' when n % 1000 < 20 then 'failed'
    when n % 1000 < 30 then 'cancelled' else 'done' end";

fn fill_statements(jobs: usize) -> String {
    let before = (jobs * 2000).to_string();
    FILL.replace("STATE in", &format!("({STATE}) in"))
        .replace("STATE =", &format!("({STATE}) ="))
        .replace("STATE,", &format!("{STATE},"))
        .replace("STARTED", "(select started_at from run where id = 1)")
        .replace("BEFORE", &before)
        .replace("JOBS", &jobs.to_string())
}

pub(super) async fn fill(cli: &TestCli, jobs: usize) {
    let statements = fill_statements(jobs);
    if let Some(database) = cli.database() {
        database.query(&statements);
        database.query("vacuum analyze");
        return;
    }
    let options = SqliteConnectOptions::new().filename(cli.path("callsheet.db"));
    let mut db = options.connect().await.unwrap();
    let statements = format!("begin;{statements}commit;pragma wal_checkpoint(truncate)");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// Returns the time to the first byte of a page, and to its last.
async fn time_page(console: &TestConsole, path: &str) -> [Duration; 2] {
    let began = Instant::now();
    let request = console.request(Method::GET, path).header(header::ACCEPT, "text/html");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let first_byte = began.elapsed();
    while response.chunk().await.unwrap().is_some() {}
    [first_byte, began.elapsed()]
}

/// Waits until a search finds texts in all rows, and returns the seconds since the first one.
async fn wait_for_texts(console: &TestConsole) -> f64 {
    let began = Instant::now();
    while !console.get_json("/batches/promo/rows?q=no+such+text").await["later"].is_null() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a ledger for minutes and asserts no time"]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn pages_metrics_and_status_of_a_million_jobs() {
    let jobs = std::env::var("CALLSHEET_TEST_JOBS").ok().and_then(|jobs| jobs.parse().ok());
    let jobs = jobs.unwrap_or(1_000_000);
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let began = Instant::now();
    fill(&cli, jobs).await;
    println!("{jobs} jobs, filled in {:.0} s", began.elapsed().as_secs_f64());
    for args in [&["status"][..], &["status", "promo"], &["status", "promo", "--json"]] {
        let mut times = Vec::new();
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(cli.run(args).code, Some(0), "{args:?}");
            times.push(began.elapsed());
        }
        println!("{:>8.0} ms  {}", least_ms(&times), args.join(" "));
    }
    let console = TestConsole::open(&cli, &[]).await;
    println!("{:>8.0} ms  until all cells are searched", wait_for_texts(&console).await * 1000.0);
    let more = std::env::var("CALLSHEET_TEST_PAGES").unwrap_or_default();
    for path in PAGES.into_iter().chain(more.split_whitespace()) {
        let (mut first, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let [first_byte, last_byte] = time_page(&console, path).await;
            first.push(first_byte);
            whole.push(last_byte);
        }
        println!("{:>8.0} ms, whole {:>6.0} ms  {path}", least_ms(&first), least_ms(&whole));
    }
    console.stop();
}

/// A page with its style and script, as the browser receives them.
async fn transferred_bytes(console: &TestConsole, path: &str) -> usize {
    let page = console.get(path).await;
    assert_eq!(page.status, StatusCode::OK, "{path}");
    let mut bytes = page.bytes.len();
    let text = page.text();
    let assets: Vec<&str> =
        text.split(['"', '\'']).filter(|part| part.starts_with("/assets/")).collect();
    assert!(assets.len() >= 2, "{assets:?}");
    for asset in assets {
        bytes += console.get(asset).await.bytes.len();
    }
    bytes
}

/// Returns a batch of five thousand rows, most of them done.
pub(super) async fn five_thousand_rows() -> TestCli {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    fill(&cli, 5000).await;
    cli
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_five_thousand_rows_are_small_with_their_style_and_script() {
    let cli = five_thousand_rows().await;
    let console = TestConsole::open(&cli, &[]).await;
    for path in ["/", "/batches/promo", "/batches/promo/rows"] {
        let bytes = transferred_bytes(&console, path).await;
        assert!(bytes < 60_000, "{path}: {bytes} bytes");
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser and asserts no time"]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn first_paint_of_five_thousand_rows() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = five_thousand_rows().await;
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo");
    for path in ["/", "/batches/promo", "/batches/promo/rows", "/batches/promo/review"] {
        for _ in 0..3 {
            let painted = browser.first_paint_ms(&tab, &format!("{}{path}", console.url));
            println!("{painted:>8.0} ms  {path}");
        }
    }
    console.stop();
}

fn least_ms(times: &[Duration]) -> f64 {
    times.iter().min().map_or(0.0, Duration::as_secs_f64) * 1000.0
}
