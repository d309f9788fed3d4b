//! The cost of the ledger: transitions per second with few and with a million jobs, and the time until
//! a run continues in a ledger that is nearly done.
//!
//! Every job goes claim → accepted → rendered → fetched, with commits that survive a power failure
//! and the concurrency of a busy run. The cost per job must not grow with the ledger. The figures
//! depend on the disk of the temporary folder; nothing is asserted.
//!
//! `cargo bench --bench ledger -- 100000` sets the size of the largest ledger (default a million).
#![expect(clippy::print_stdout, reason = "a bench is its output")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callsheet::batch::SubmissionMode;
use callsheet::ledger::{
    BatchId, BatchLease, Capacity, ClaimedSubmission, Durability, JobUpdate, Ledger, MergedRow,
    PlanHeader, RunOwner, StagedRow, VerifiedVideo,
};
use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection};

/// The program's own, because it is the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs driven to done in each round.
const DRIVEN_JOBS: u32 = 1000;
/// Concurrent writers.
const CALLERS: usize = 64;
/// Transitions of one job.
const STEPS_PER_JOB: u32 = 4;
/// Rounds, alternating between the ledgers because the speed of a shared disk varies; the median
/// counts.
const ROUNDS: usize = 9;

#[tokio::main]
async fn main() {
    let largest = std::env::args().filter_map(|word| word.parse().ok()).next();
    let largest: usize = largest.unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A round claims whole groups, and leaves the last of them.
    let claimed = ROUNDS * (DRIVEN_JOBS as usize).next_multiple_of(CALLERS);
    let large = [largest / 10, largest].map(|jobs| jobs.max(claimed));
    let files = large.map(|jobs| folder.path().join(format!("{jobs}.db")));
    let middling = DrivenLedger::with_ready_jobs(&files[0], large[0]).await;
    let million = DrivenLedger::with_ready_jobs(&files[1], large[1]).await;
    let mut took = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        // One round uses up a small ledger.
        let file = folder.path().join(format!("small-{round}.db"));
        let small = DrivenLedger::with_ready_jobs(&file, DRIVEN_JOBS as usize).await;
        for (took, driven) in took.iter_mut().zip([&small, &middling, &million]) {
            took.push(driven.time_round().await);
        }
        small.lease.ledger().close().await;
    }
    let jobs = [DRIVEN_JOBS as usize, large[0], large[1]];
    let mut smallest = None;
    for (jobs, took) in jobs.into_iter().zip(&mut took) {
        print_rounds(jobs, took, &mut smallest);
    }
    middling.lease.ledger().close().await;
    million.lease.ledger().close().await;
    print_resume_time(&files[1]).await;
}

/// Prints the median round, the slowest and the fastest.
fn print_rounds(jobs: usize, took: &mut [Duration], smallest: &mut Option<f64>) {
    took.sort_unstable();
    let each = |took: Duration| took.as_secs_f64() / f64::from(DRIVEN_JOBS);
    let rate = |took: Duration| f64::from(STEPS_PER_JOB) / each(took);
    let middle = took[took.len() / 2];
    println!(
        "{jobs:>9} jobs: {:>7.0} transitions/s ({:.0} to {:.0}), {:>6.1} µs a job, {:.2} × the \
         smallest",
        rate(middle),
        rate(took[took.len() - 1]),
        rate(took[0]),
        each(middle) * 1e6,
        each(middle) / *smallest.get_or_insert(each(middle)),
    );
}

/// A ledger with a lease on its batch.
struct DrivenLedger {
    lease: BatchLease,
}

impl DrivenLedger {
    async fn with_ready_jobs(file: &Path, jobs: usize) -> Self {
        let (ledger, batch) = ledger_with_ready_jobs(file, jobs).await;
        let lease = begin_run(&ledger, batch).await;
        Self { lease }
    }

    /// Returns the time to drive [`DRIVEN_JOBS`] jobs from ready to done.
    async fn time_round(&self) -> Duration {
        time_driving_jobs(&self.lease).await
    }
}

/// A ledger of `jobs` ready jobs.
async fn ledger_with_ready_jobs(file: &Path, jobs: usize) -> (Ledger, BatchId) {
    let ledger = Ledger::open(file, Durability::PowerLoss).await.expect("a new ledger");
    let header = PlanHeader {
        name: "run".to_owned(),
        file: "run.toml".to_owned(),
        source: String::new(),
        base_url: Some("http://127.0.0.1:1".to_owned()),
        template: "{}".to_owned(),
        template_hash: "t".repeat(64),
        headings: "[\"sku\",\"script\"]".to_owned(),
        columns: vec!["{}".to_owned()],
        tool: "bench".to_owned(),
        request: "project".to_owned(),
        has_selection: false,
    };
    let mut staging = ledger.stage(header).await.expect("a plan");
    let mut chunk = Vec::new();
    for position in 0..jobs {
        let key = format!("TEA-{position:07} en");
        let hash = blake3::hash(key.as_bytes()).to_hex()[..32].to_owned();
        let file_name = format!("{key}.mp4");
        let merged = MergedRow {
            payload: format!("{{\"name\":\"{key}\"}}"),
            payload_hash: hash,
            file_name,
            spoken_ms: 9,
            exclusive_project: None,
        };
        chunk.push(StagedRow {
            position: position as i64,
            row_number: position as i64 + 2,
            cells: format!("[[\"{key}\",\"{}\"]]", "Good morning! Our harvest is here. ".repeat(6)),
            key: Some(key),
            merged: Ok(merged),
            selected: true,
            variant: None,
            mapping_index: 0,
        });
        if chunk.len() == 512 || position + 1 == jobs {
            staging.push_rows(std::mem::take(&mut chunk)).await.expect("the disk has space");
        }
    }
    let compared = staging.classify().await.expect("it compares");
    let batch = compared.commit(Timestamp::now()).await.expect("the disk has space");
    (ledger, batch)
}

async fn begin_run(ledger: &Ledger, batch: BatchId) -> BatchLease {
    let owner = RunOwner { host: "bench".to_owned(), pid: std::process::id() };
    ledger.begin_run(batch, owner, Timestamp::now()).await.expect("the batch is there")
}

fn capacity(at_once: u32) -> Capacity {
    Capacity {
        in_flight_max: u32::MAX,
        canary_count: 0,
        sample_count: 0,
        per_run_max: None,
        claim_max: at_once,
        credit_caps: None,
        selection: None,
        new_secret: None,
    }
}

/// Returns the time to drive [`DRIVEN_JOBS`] jobs from ready to done.
async fn time_driving_jobs(lease: &BatchLease) -> Duration {
    let began = Instant::now();
    let mut claims = Vec::new();
    while claims.len() < DRIVEN_JOBS as usize {
        let capacity = capacity(DRIVEN_JOBS.min(CALLERS as u32));
        let claimed = lease.claim_paid(SubmissionMode::OneStep, capacity, Timestamp::now());
        let claimed = claimed.await.expect("the lease holds").submissions;
        assert!(!claimed.is_empty(), "the ledger has enough jobs");
        claims.extend(claimed);
    }
    claims.truncate(DRIVEN_JOBS as usize);
    let queue = Arc::new(std::sync::Mutex::new(claims));
    let callers = (0..CALLERS).map(|_| {
        let (lease, queue) = (lease.clone(), queue.clone());
        tokio::spawn(async move {
            loop {
                let claim = queue.lock().expect("no task panics").pop();
                let Some(claim) = claim else { return };
                finish_job(&lease, &claim).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("no task panics");
    }
    began.elapsed()
}

async fn finish_job(lease: &BatchLease, claim: &ClaimedSubmission) {
    let accepted = JobUpdate::Accepted {
        project_id: format!("project-{}", claim.tag),
        render_id: None,
        due_at: Timestamp::now(),
        message: "accepted".to_owned(),
    };
    let rendered = JobUpdate::Rendered { video_url: "http://127.0.0.1:1/v.mp4".to_owned() };
    let fetched = JobUpdate::Fetched(VerifiedVideo {
        file: format!("{}.mp4", claim.key),
        bytes: 1 << 20,
        hash: "0".repeat(64),
        duration_ms: 3000,
    });
    for update in [accepted, rendered, fetched] {
        let now = Timestamp::now();
        lease.record_update(claim.job, claim.submission, update, now).await.expect("it follows");
    }
}

/// Prints the time until the first request of a run in a ledger where 99 % is done.
async fn print_resume_time(file: &Path) {
    let done = mark_most_jobs_done(file).await;
    let began = Instant::now();
    let ledger = Ledger::open(file, Durability::PowerLoss).await.expect("the ledger is there");
    let batch = ledger.batch("run").await.expect("the batch is there").id;
    let opened = began.elapsed();
    let lease = begin_run(&ledger, batch).await;
    let capacity = capacity(64);
    let claimed = lease.claim_paid(SubmissionMode::OneStep, capacity, Timestamp::now());
    let claimed = claimed.await.expect("the lease holds").submissions;
    println!(
        "resume with {done} done: open {:.1} ms, first {} claims after {:.1} ms   (target 500)",
        opened.as_secs_f64() * 1e3,
        claimed.len(),
        began.elapsed().as_secs_f64() * 1e3
    );
    ledger.close().await;
}

/// Marks 99 of 100 jobs as done with SQL, since driving them there would take hours.
async fn mark_most_jobs_done(file: &Path) -> i64 {
    let options = sqlx_sqlite::SqliteConnectOptions::new().filename(file);
    let mut db = options.connect().await.expect("the ledger is there");
    sqlx::raw_sql(
        "begin; drop trigger state_follows_its_arrows; drop trigger tally_moves;
         update job set state = 'done', video_file = key || '.mp4'
             where state = 'ready' and position % 100 <> 0;
         delete from tally;
         insert into tally select batch_id, in_sheet, state, count(*) from job group by 1, 2, 3;
         commit; pragma wal_checkpoint(truncate)",
    )
    .execute(&mut db)
    .await
    .expect("it is SQL");
    let done = sqlx::query_scalar("select count(*) from job where state = 'done'");
    let done = done.fetch_one(&mut db).await.expect("it is SQL");
    db.close().await.expect("no other connection is open");
    done
}
