//! The ledger against a real file.

mod changes;
mod damage;
mod file;
mod identity;
mod rates;
mod requests;
mod webhooks;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use postgres_server::TestDatabase;

use super::*;
use crate::ledger::ids::RunId;
use crate::ledger::model::state::apply_event;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::request::SubmissionMode;

static WRONG_TALLIES: Statement = Statement::new(
    "select state, jobs from tally where jobs <> (select count(*) from job
        where job.state = tally.state and job.in_sheet = tally.in_sheet)",
);

static COUNT_EVENTS: Statement = Statement::new("select count(*) from event");

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn later(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

fn plan_header() -> PlanHeader {
    PlanHeader {
        name: "spring".to_owned(),
        file: "jobs/spring.toml".to_owned(),
        source: "sheet = 'spring.csv'".to_owned(),
        base_url: Some("http://127.0.0.1:1".to_owned()),
        template: "{}".to_owned(),
        template_hash: "t".repeat(64),
        headings: "[\"sku\",\"script\"]".to_owned(),
        columns: vec!["{}".to_owned()],
        tool: "callsheet 0".to_owned(),
        request: "project".to_owned(),
        has_selection: false,
    }
}

fn row(position: i64, key: &str, content: &str) -> StagedRow {
    let hash = blake3::hash(content.as_bytes()).to_hex()[..32].to_owned();
    StagedRow {
        position,
        row_number: position + 2,
        key: Some(key.to_owned()),
        cells: format!("[[\"{key}\",\"{content}\"]]"),
        merged: Ok(MergedRow {
            payload: format!("{{\"script\":\"{content}\"}}"),
            payload_hash: hash,
            file_name: format!("{key}.mp4"),
            spoken_ms: 1500,
            exclusive_project: None,
        }),
        selected: true,
        variant: None,
        mapping_index: 0,
    }
}

#[path = "../../../tests/it/support/postgres_server.rs"]
#[expect(dead_code, reason = "the integration tests use all of it")]
mod postgres_server;

/// A ledger in a file, or on a server if `CALLSHEET_TEST_LEDGER=postgres` is set.
struct TestLedger {
    dir: TempDir,
    ledger: Ledger,
    database: Option<TestDatabase>,
}

impl TestLedger {
    async fn new() -> Self {
        let is_on_server =
            std::env::var("CALLSHEET_TEST_LEDGER").is_ok_and(|store| store == "postgres");
        match is_on_server.then(TestDatabase::create).flatten() {
            Some(database) => {
                let ledger = open_on_server(&database).await;
                let dir = tempfile::tempdir().unwrap();
                Self { dir, ledger, database: Some(database) }
            }
            None => Self::in_file().await,
        }
    }

    async fn in_file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open_ledger(&dir).await;
        Self { dir, ledger, database: None }
    }

    async fn plan(&self, rows: &[StagedRow]) -> (BatchId, PlanCounts) {
        let mut staging = self.ledger.stage(plan_header()).await.unwrap();
        staging.push_rows(rows.to_vec()).await.unwrap();
        let compared = staging.classify().await.unwrap();
        let counts = compared.counts().clone();
        (compared.commit(NOW).await.unwrap(), counts)
    }

    /// Plans the same rows again, with a selection.
    async fn name(&self, batch: BatchId, rows: &[StagedRow], keys: &[&str]) -> JobSelection {
        let named = |row: &StagedRow| StagedRow {
            selected: row.key.as_deref().is_some_and(|key| keys.contains(&key)),
            ..row.clone()
        };
        let named: Vec<_> = rows.iter().map(named).collect();
        let header = PlanHeader { has_selection: true, ..plan_header() };
        let mut staging = self.ledger.stage(header).await.unwrap();
        staging.push_rows(named).await.unwrap();
        let compared = staging.classify().await.unwrap();
        let counts = compared.counts();
        assert_eq!((counts.unchanged, counts.removed), (rows.len() as u64, 0), "none is removed");
        assert_eq!(counts.selected, keys.len() as u64);
        assert_eq!(counts.to_render, counts.selected - counts.done);
        compared.commit(NOW).await.unwrap();
        self.ledger.last_selection(batch).await.unwrap()
    }

    async fn run(&self, batch: BatchId) -> BatchLease {
        let owner = RunOwner { host: "here".to_owned(), pid: 7 };
        self.ledger.begin_run(batch, owner, NOW).await.unwrap()
    }

    /// Closes the file as a crash would leave it to the next start, and opens it again.
    async fn reopen(self) -> Self {
        self.ledger.close().await;
        let ledger = match &self.database {
            Some(database) => open_on_server(database).await,
            None => open_ledger(&self.dir).await,
        };
        Self { ledger, ..self }
    }

    async fn job_states(&self, batch: BatchId) -> Vec<JobState> {
        let rows = self.ledger.rows(batch, -1, 100).await.unwrap();
        rows.into_iter().map(|row| row.state.unwrap()).collect()
    }
}

async fn open_on_server(database: &TestDatabase) -> Ledger {
    let address = LedgerAddress::parse(std::ffi::OsStr::new(&database.url())).unwrap();
    Ledger::open(address, Durability::PowerLoss).await.unwrap()
}

async fn open_ledger(dir: &TempDir) -> Ledger {
    Ledger::open(&dir.path().join("l.db"), Durability::PowerLoss).await.unwrap()
}

fn capacity() -> Capacity {
    Capacity {
        in_flight_max: 10,
        canary_count: 0,
        sample_count: 0,
        per_run_max: None,
        claim_max: 10,
        credit_caps: None,
        selection: None,
        new_secret: None,
    }
}

fn accepted(id: &str) -> JobUpdate {
    JobUpdate::Accepted {
        project_id: id.to_owned(),
        render_id: None,
        due_at: NOW,
        message: "answered".to_owned(),
    }
}

fn fetched(file: &str) -> JobUpdate {
    JobUpdate::Fetched(VerifiedVideo {
        file: file.to_owned(),
        bytes: 9,
        hash: "h".to_owned(),
        duration_ms: 3000,
    })
}

fn rendered() -> JobUpdate {
    JobUpdate::Rendered { video_url: "http://x/v.mp4".to_owned() }
}

#[tokio::test]
async fn a_job_goes_from_the_sheet_to_a_file_and_a_second_plan_renders_nothing() {
    let test = TestLedger::new().await;
    let rows = [row(0, "ann", "hello"), row(1, "bob", "hi")];
    let (batch, counts) = test.plan(&rows).await;
    assert_eq!((counts.new, counts.to_render, counts.spoken_ms), (2, 2, 3000));
    let lease = test.run(batch).await;
    let claimed = lease.claim_drafts(capacity(), NOW).await.unwrap();
    assert_eq!(claimed.submissions.len(), 2);
    for claim in &claimed.submissions {
        let project_id = format!("p-{}", claim.key);
        let drafted = JobUpdate::Drafted {
            project_id,
            exclusive_project: None,
            previous_render_identity: None,
        };
        lease.record_update(claim.job, claim.submission, drafted, NOW).await.unwrap();
    }
    let paid = lease.claim_paid(SubmissionMode::TwoStep, capacity(), NOW).await.unwrap();
    assert_eq!(paid.submissions[0].project_id.as_deref(), Some("p-ann"));
    for claim in &paid.submissions {
        for update in [accepted(&format!("p-{}", claim.key)), rendered(), fetched(&claim.key)] {
            lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
        }
    }
    assert_eq!(test.job_states(batch).await, [JobState::Done, JobState::Done]);
    let (_, again) = test.plan(&rows).await;
    assert_eq!((again.unchanged, again.done, again.to_render), (2, 2, 0));
    assert_eq!(test.ledger.state_counts(batch).await.unwrap()[&JobState::Done], 2);
}

#[tokio::test]
async fn only_what_would_be_submitted_is_counted_as_to_be_rendered() {
    let test = TestLedger::new().await;
    let rows = [row(0, "ann", "a"), row(1, "bob", "b"), row(2, "cid", "c"), row(3, "dee", "d")];
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let paid = lease.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await.unwrap();
    for (claim, id) in paid.submissions.iter().zip(["p-1", "p-2"]) {
        let ids = (claim.job, claim.submission);
        lease.record_update(ids.0, ids.1, accepted(id), NOW).await.unwrap();
        if id == "p-2" {
            lease.record_update(ids.0, ids.1, rendered(), NOW).await.unwrap();
        }
    }
    let lost = JobUpdate::Uncertain { due_at: NOW, message: "lost".to_owned() };
    let third = &paid.submissions[2];
    lease.record_update(third.job, third.submission, lost, NOW).await.unwrap();
    let fourth = &paid.submissions[3];
    let no = JobUpdate::Refused { message: "no".to_owned() };
    lease.record_update(fourth.job, fourth.submission, no, NOW).await.unwrap();
    let (_, counts) = test.plan(&rows).await;
    assert_eq!((counts.unchanged, counts.under_way, counts.given_up), (4, 3, 1));
    assert_eq!((counts.to_render, counts.spoken_ms), (0, 0));
    let again = counts.with_retries();
    assert_eq!((again.to_render, again.spoken_ms), (1, 1500));

    // What follows once a render has come to its end is submitted, in the same run.
    let (_, counts) = test.plan(&[row(0, "ann", "A"), rows[1].clone(), rows[2].clone()]).await;
    assert_eq!((counts.changed, counts.under_way, counts.to_render), (1, 2, 1));
    let (_, counts) = test.plan(&[row(0, "ann", "A"), rows[1].clone(), rows[2].clone()]).await;
    assert_eq!((counts.unchanged, counts.under_way, counts.to_render), (3, 2, 1));
}

#[tokio::test]
async fn a_changed_row_is_the_next_version_and_a_row_changed_back_is_reused() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    finish_batch(&test, batch, "v1.mp4").await;
    let (_, counts) = test.plan(&[row(0, "ann", "two")]).await;
    assert_eq!((counts.changed, counts.to_render), (1, 1));
    assert_eq!(test.job_states(batch).await, [JobState::Ready]);
    finish_batch(&test, batch, "v2.mp4").await;
    let (_, counts) = test.plan(&[row(0, "ann", "one")]).await;
    assert_eq!((counts.changed, counts.to_render, counts.spoken_ms), (1, 0, 0), "nothing is paid");
    let rows = test.ledger.rows(batch, -1, 9).await.unwrap();
    assert_eq!(rows[0].state, Some(JobState::Reused));
    assert_eq!(rows[0].video_file.as_deref(), Some("v1.mp4"));
    assert_eq!(rows[0].version, 3);
}

async fn finish_batch(test: &TestLedger, batch: BatchId, file: &str) {
    let lease = test.run(batch).await;
    let claimed = lease.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await.unwrap();
    for claim in claimed.submissions {
        for update in [accepted(&claim.tag.to_string()), rendered(), fetched(file)] {
            lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_row_that_changes_while_it_renders_is_rendered_again_only_afterwards() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let claim = claim_one_step(&lease).await;
    lease.record_update(claim.job, claim.submission, accepted("p1"), NOW).await.unwrap();
    test.plan(&[row(0, "ann", "two")]).await;
    assert_eq!(test.job_states(batch).await, [JobState::Rendering]);
    lease.record_update(claim.job, claim.submission, rendered(), NOW).await.unwrap();
    let last =
        lease.record_update(claim.job, claim.submission, fetched("a.mp4"), NOW).await.unwrap();
    assert_eq!(
        last,
        RecordedUpdate { transition: Transition::Moved(JobState::Done), state: JobState::Ready }
    );
    let next = claim_one_step(&lease).await;
    assert_ne!(next.payload.text(), claim.payload.text());
}

async fn claim_one_step(lease: &BatchLease) -> ClaimedSubmission {
    let claimed = lease.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await.unwrap();
    claimed.submissions.into_iter().next().unwrap()
}

#[tokio::test]
async fn after_a_crash_a_lost_draft_is_made_again_and_a_lost_paid_answer_is_uncertain() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one"), row(1, "bob", "two")]).await;
    let lease = test.run(batch).await;
    let one = Capacity { claim_max: 1, ..capacity() };
    lease.claim_drafts(one.clone(), NOW).await.unwrap();
    let paid = lease.claim_paid(SubmissionMode::OneStep, one, NOW).await.unwrap();
    assert_eq!(paid.submissions.len(), 1);
    let test = test.reopen().await;
    let lease = test.run(batch).await;
    assert_eq!(lease.recovered_work(), RecoveredWork { drafts_lost: 1, uncertain: 1 });
    assert_eq!(test.job_states(batch).await, [JobState::Ready, JobState::Uncertain]);
}

#[tokio::test]
async fn checks_of_an_earlier_run_are_due_at_once() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let old = test.run(batch).await;
    claim_one_step(&old).await;
    let old = test.run(batch).await;
    let busy_until = NOW + SignedDuration::from_mins(10);
    let claim = DueClaim { max: 1, excluded: Vec::new(), now: NOW, busy_until };
    let looked_at = old.claim_due_jobs(JobState::Uncertain, claim).await.unwrap();
    assert_eq!(looked_at.len(), 1);
    test.run(batch).await;
    let due = test.ledger.next_due_at(batch, JobState::Uncertain).await.unwrap();
    assert!(due.is_some_and(|due| due <= NOW), "{due:?}");
}

#[tokio::test]
async fn a_run_that_lost_its_batch_changes_nothing() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let old = test.run(batch).await;
    let claim = claim_one_step(&old).await;
    let new = test.run(batch).await;
    assert!(new.run > old.run);
    let late = old.record_update(claim.job, claim.submission, accepted("p"), NOW).await;
    assert!(matches!(late, Err(LedgerError::LeaseLost)), "{late:?}");
    let claims = old.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await;
    assert!(matches!(claims, Err(LedgerError::LeaseLost)), "{claims:?}");
    assert!(!old.record_heartbeat(NOW).await.unwrap());
    assert_eq!(test.job_states(batch).await, [JobState::Uncertain]);
}

#[tokio::test]
async fn caps_hold_however_many_are_due() {
    let test = TestLedger::new().await;
    let rows: Vec<_> = (0..20).map(|n| row(n, &format!("k{n:02}"), "x")).collect();
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let claim = async |room: Capacity| {
        let claimed = lease.claim_paid(SubmissionMode::OneStep, room, NOW).await.unwrap();
        (claimed.submissions, claimed.block)
    };
    let (canaries, held) = claim(Capacity { canary_count: 2, ..capacity() }).await;
    assert_eq!((canaries.len(), held), (2, ClaimBlock::Canary));
    assert_eq!(canaries[0].key, "k00", "the sheet's order is kept");
    let (none, held) = claim(Capacity { canary_count: 2, ..capacity() }).await;
    assert_eq!((none.len(), held), (0, ClaimBlock::Canary));
    for one in &canaries {
        for update in [accepted(&one.key), rendered(), fetched(&one.key)] {
            lease.record_update(one.job, one.submission, update, NOW).await.unwrap();
        }
    }
    let (some, held) = claim(Capacity { canary_count: 2, in_flight_max: 5, ..capacity() }).await;
    assert_eq!((some.len(), held), (5, ClaimBlock::InFlight));
    let (some, held) = claim(Capacity { per_run_max: Some(9), ..capacity() }).await;
    assert_eq!((some.len(), held), (2, ClaimBlock::PerRun));
    let only = Some(test.name(batch, &rows, &["k19", "k00"]).await);
    let (counts, ready) = test.ledger.remaining_work(batch, only).await.unwrap();
    assert!(ready);
    let ready = async |selection| test.ledger.count_ready(batch, selection).await.unwrap();
    assert_eq!((ready(only).await, ready(None).await), (1, counts[&JobState::Ready]));
    let (some, held) = claim(Capacity { in_flight_max: 50, selection: only, ..capacity() }).await;
    assert_eq!((some.len(), some[0].key.as_str(), held), (1, "k19", ClaimBlock::NothingDue));
    let (counts, ready) = test.ledger.remaining_work(batch, only).await.unwrap();
    assert!(!ready && counts[&JobState::Ready] > 0, "rows outside the selection wait: {counts:?}");
}

#[tokio::test]
async fn a_request_that_was_not_sent_gives_its_place_in_the_run_back() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let cap = Capacity { per_run_max: Some(1), ..capacity() };
    for _ in 0..3 {
        let claimed =
            lease.claim_paid(SubmissionMode::OneStep, cap.clone(), later(100)).await.unwrap();
        let claim = &claimed.submissions[0];
        let update = JobUpdate::NotSent { due_at: later(5), message: "refused".to_owned() };
        lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
    }
    let row = &test.ledger.rows(batch, -1, 1).await.unwrap()[0];
    assert_eq!((row.attempts, row.state), (3, Some(JobState::Ready)));
    assert_eq!(test.ledger.last_run(batch).await.unwrap().unwrap().submitted, 0);
}

/// Many updates are written at the same time; each is judged alone, and the counts are correct.
#[tokio::test]
async fn updates_in_one_write_group_are_judged_one_by_one() {
    let test = TestLedger::new().await;
    let rows: Vec<_> = (0..40).map(|n| row(n, &format!("k{n:02}"), "x")).collect();
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let room = Capacity { in_flight_max: 30, claim_max: 30, ..capacity() };
    let claimed = lease.claim_paid(SubmissionMode::OneStep, room, NOW).await.unwrap();
    assert_eq!(claimed.submissions.len(), 30);
    let stranger = BatchLease { run: RunId::from(lease.run.0 + 1), ..lease.clone() };
    let update = claimed.submissions.iter().flat_map(|claim| {
        let told = [
            (&lease, accepted(&claim.key)),
            (&stranger, rendered()),
            (&lease, rendered()),
            (&lease, accepted(&claim.key)),
        ];
        told.map(|(lease, update)| {
            let (job, submission) = (claim.job, claim.submission);
            lease.record_update(job, submission, update, NOW)
        })
    });
    let answers = futures_util::future::join_all(update).await;
    for told in answers.chunks(4) {
        assert_eq!(told[0].as_ref().unwrap().state, JobState::Rendering);
        assert!(matches!(told[1], Err(LedgerError::LeaseLost)), "{:?}", told[1]);
        assert_eq!(told[2].as_ref().unwrap().state, JobState::Fetching);
        assert_eq!(told[3].as_ref().unwrap().transition, Transition::Unchanged);
    }
    let counts = test.ledger.state_counts(batch).await.unwrap();
    assert_eq!((counts[&JobState::Fetching], counts[&JobState::Ready]), (30, 10));
    let drifted: Vec<(String, i64)> =
        test.ledger.readers.fetch_all(&WRONG_TALLIES, binds![]).await.unwrap();
    assert_eq!(drifted, []);
    let events: i64 = test.ledger.readers.fetch_value(&COUNT_EVENTS, binds![]).await.unwrap();
    assert_eq!(events, 90, "a claim, an acceptance and a render each");
}

#[tokio::test]
async fn a_removed_row_is_not_submitted_and_comes_back_when_it_returns() {
    let test = TestLedger::new().await;
    let both = [row(0, "ann", "one"), row(1, "bob", "two")];
    let (batch, _) = test.plan(&both).await;
    let (_, counts) = test.plan(&both[..1]).await;
    assert_eq!(counts.removed, 1);
    assert_eq!(test.ledger.removed_state_counts(batch).await.unwrap()[&JobState::Cancelled], 1);
    test.plan(&both).await;
    assert_eq!(test.job_states(batch).await, [JobState::Ready, JobState::Ready]);
    assert_eq!(test.ledger.state_counts(batch).await.unwrap()[&JobState::Ready], 2);
}

#[tokio::test]
async fn files_that_two_rows_would_share_are_named() {
    let test = TestLedger::new().await;
    let mut staging = test.ledger.stage(plan_header()).await.unwrap();
    let mut twin = row(1, "bob", "two");
    twin.merged.as_mut().unwrap().file_name = "ANN.mp4".to_owned();
    staging.push_rows(vec![row(0, "ann", "one"), twin]).await.unwrap();
    assert_eq!(
        staging.shared_file_names(|name| Some(name.to_lowercase())).await.unwrap(),
        [SharedFileName { file_name: "ann.mp4".to_owned(), row_numbers: vec![2, 3] }]
    );
    staging.discard().await;
    assert!(test.ledger.batches().await.unwrap().is_empty());
}
