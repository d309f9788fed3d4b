//! Operator actions: retry, cancel, resolve, sweep; and reports that are used as a sheet again.

use callsheet::batch::OnUncertain;
use callsheet::clock::Clock;
use callsheet::ledger::{
    BatchLease, JobState, JobUpdate, RequestedAction, RunEnding, RunOwner, TargetFilter,
};
use callsheet::report;
use callsheet::runner::RunOptions;
use callsheet::sandbox::FaultRules;
use callsheet::sheet::{Sheet, SheetSpec};
use proptest::prelude::*;

use super::support::{TestBatch, carry_out_request};

async fn begin_run(promo: &TestBatch) -> BatchLease {
    let batch = promo.ledger.batch("promo").await.unwrap().id;
    let owner = RunOwner { host: "test".to_owned(), pid: 1 };
    promo.ledger.begin_run(batch, owner, Clock::real().now()).await.unwrap()
}

fn count_in_state(promo: &callsheet::runner::RunOutcome, state: JobState) -> u64 {
    promo.counts.get(&state).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_that_could_only_not_be_fetched_is_fetched_again_and_not_paid_for_again() {
    let promo = TestBatch::with_settings(3, "[limits]\nfetch_retries = 1", |settings| {
        settings.faults.add("html=download:always").unwrap();
    })
    .await;
    let ending = promo.run().await;
    assert_eq!(count_in_state(&ending, JobState::Failed), 3, "{ending:?}");
    promo.sandbox.set_faults(FaultRules::default());
    let lease = begin_run(&promo).await;
    let retry = RequestedAction::Retry(TargetFilter::default());
    let totals = promo.ledger.target_set(lease.batch(), &retry).await.unwrap().totals();
    assert_eq!((totals.submissions, totals.downloads), (0, 3));
    let again = carry_out_request(&lease, retry, Clock::real().now()).await;
    assert_eq!((again.status(), again.job_count, again.paid_count), ("done", 3, 0));
    let ending = promo.run().await;
    assert_eq!(count_in_state(&ending, JobState::Done), 3, "{ending:?}");
    assert_eq!(promo.sandbox.render_count(), 3);
    promo.assert_guarantees(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_jobs_are_not_submitted_until_they_are_retried() {
    let promo = TestBatch::new(4).await;
    promo.plan_and_commit().await;
    let lease = begin_run(&promo).await;
    let keys = vec!["k001".to_owned(), "k002".to_owned()];
    let cancel = RequestedAction::Cancel(TargetFilter { keys, ..TargetFilter::default() });
    let cancelled = carry_out_request(&lease, cancel, Clock::real().now()).await;
    assert_eq!(cancelled.job_count, 2);
    let ending = promo.run().await;
    assert_eq!(
        (count_in_state(&ending, JobState::Done), count_in_state(&ending, JobState::Cancelled)),
        (2, 2)
    );
    let lease = begin_run(&promo).await;
    let retry = RequestedAction::Retry(TargetFilter::default());
    carry_out_request(&lease, retry, Clock::real().now()).await;
    assert_eq!(count_in_state(&promo.run().await, JobState::Done), 4);
    promo.assert_guarantees(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncertain_job_is_held_for_a_person_whose_word_then_settles_it() {
    let promo = TestBatch::with_settings(2, "submission = 'one-step'", |settings| {
        settings.faults.add("reset-before=create:1").unwrap();
    })
    .await;
    assert_eq!(promo.batch().studio.on_uncertain, OnUncertain::Settle);
    let ending = promo.run().await;
    assert_eq!(
        (count_in_state(&ending, JobState::Uncertain), ending.jobs_for_operator),
        (1, 1),
        "{ending:?}"
    );
    let lease = begin_run(&promo).await;
    let uncertain =
        promo.rows().await.into_iter().find(|row| row.state == Some(JobState::Uncertain));
    let key = uncertain.unwrap().key.unwrap();
    let due = promo.ledger.uncertain_job(lease.batch(), &key).await.unwrap().unwrap();
    let now = Clock::real().now();
    let news = JobUpdate::ProvenAbsent { due_at: now, message: "not on the website".to_owned() };
    lease.record_update(due.job, due.submission, news, now).await.unwrap();
    assert_eq!(count_in_state(&promo.run().await, JobState::Done), 2);
    promo.assert_guarantees(2).await;
}

/// Fed back under another name, such a row would be paid for again.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_may_be_paid_for_is_not_in_the_failures_file() {
    let promo = TestBatch::with_settings(3, "submission = 'one-step'", |settings| {
        settings.faults.add("lost-answer=create:1").unwrap();
        settings.faults.add("400=create:2").unwrap();
        // The list never tells what became of it.
        settings.switches.list.lag_s = 1e9;
    })
    .await;
    let ending = promo.run_with(RunOptions { wait: false, ..RunOptions::default() }).await;
    assert_eq!(
        (count_in_state(&ending, JobState::Uncertain), count_in_state(&ending, JobState::Failed)),
        (1, 1)
    );
    let batch = promo.ledger.batch("promo").await.unwrap().id;
    let written =
        report::write_results(&promo.ledger, batch, &promo.path("out"), &Default::default())
            .await
            .unwrap();
    let failed = scripts_from_report(&written.failures.unwrap());
    assert_eq!((failed.len(), scripts_from_report(&written.results).len()), (1, 3));
    let rows = promo.rows().await;
    let row = rows.iter().find(|row| row.state == Some(JobState::Failed)).unwrap();
    assert!(row.cells.contains(&failed[0]), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_that_ends_after_it_was_given_up_is_taken_by_the_next_run() {
    let promo = TestBatch::with_settings(2, "[limits]\nrender_timeout = '60ms'", |settings| {
        settings.switches.time_scale = 0.0;
    })
    .await;
    let ending = promo.run().await;
    assert_eq!(count_in_state(&ending, JobState::Failed), 2, "{ending:?}");
    promo.sandbox.advance(std::time::Duration::from_secs(3600));
    let ending = promo.run().await;
    assert_eq!(count_in_state(&ending, JobState::Done), 2, "{ending:?}");
    assert_eq!(promo.sandbox.render_count(), 2, "nothing was paid for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_it_was_given_up_is_not_paid_for_again_by_trying_again() {
    let promo = TestBatch::with_settings(3, "[limits]\nrender_timeout = '60ms'", |settings| {
        settings.switches.time_scale = 0.0;
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    let ending = promo.run().await;
    assert_eq!(count_in_state(&ending, JobState::Failed), 3, "{ending:?}");
    promo.sandbox.advance(std::time::Duration::from_secs(3600));
    let ending = promo.run_with(RunOptions { retry_failed: true, ..RunOptions::default() }).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 2, "{ending:?}");
    assert_eq!(promo.sandbox.render_count(), 3, "only what was declined is rendered now");
}

/// There may be more of them than one run looks at.
#[tokio::test(flavor = "multi_thread")]
async fn renders_that_were_given_up_are_looked_at_in_turns() {
    let promo = TestBatch::with_settings(3, "[limits]\nrender_timeout = '60ms'", |settings| {
        settings.switches.time_scale = 0.0;
    })
    .await;
    assert_eq!(count_in_state(&promo.run().await, JobState::Failed), 3);
    let mut keys = Vec::new();
    for _ in 0..2 {
        let lease = begin_run(&promo).await;
        for max in [2, 2] {
            let late = lease.claim_late_renders(max).await.unwrap();
            keys.push(late.into_iter().map(|due| due.key).collect::<Vec<_>>().join(" "));
        }
        lease.end_run(RunEnding::Ended, Clock::real().now()).await.unwrap();
    }
    assert_eq!(keys, ["k000 k001", "k002", "k000 k001", "k002"]);
    let first = begin_run(&promo).await;
    assert_eq!(first.claim_late_renders(1).await.unwrap()[0].key, "k000");
    let second = begin_run(&promo).await;
    assert_eq!(second.claim_late_renders(1).await.unwrap()[0].key, "k001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_copied_while_it_is_in_use_and_the_copy_is_sound() {
    let promo = TestBatch::new(3).await;
    if promo.store.is_on_server() {
        return;
    }
    promo.run().await;
    let copy = promo.path("copy.db");
    promo.ledger.back_up(&copy, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(promo.ledger.find_defects().await.unwrap().is_empty());
    let twice = promo.ledger.back_up(&copy, jiff::Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(twice.to_string().contains("exists already"), "{twice}");
    let copy = callsheet::ledger::Ledger::open(&copy, callsheet::ledger::Durability::PowerLoss);
    let copy = copy.await.unwrap();
    assert!(copy.find_defects().await.unwrap().is_empty());
    assert_eq!(copy.batches().await.unwrap().len(), 1);
}

/// Reads a report as a sheet and returns the scripts.
fn scripts_from_report(path: &std::path::Path) -> Vec<String> {
    let key = ["key".to_owned()];
    let columns = std::collections::BTreeMap::new();
    let want = SheetSpec {
        key: &key,
        group_by: None,
        columns: &columns,
        required: &[],
        optional: &[],
        lists: &[],
        skip: None,
        encoding: None,
        worksheet: None,
        header_row: None,
        skip_hidden: false,
        is_link: false,
    };
    let sheet = Sheet::open(path, &want).unwrap();
    assert_eq!(sheet.headings(), ["key", "script"], "the report's columns are not the sheet's");
    sheet.entries().map(|entry| entry.unwrap().rows[0].cells[1].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_written_harmless_and_come_back_as_they_were() {
    let scripts = ["=1+1", "+49 171", "-5", "'=x", "''@y", "@sum", "plain", "'tis so", "＝1"];
    let promo = TestBatch::with_settings(0, "[limits]\nhalt_after = 100", |settings| {
        settings.faults.add("400=create:always").unwrap();
    })
    .await;
    let rows: Vec<_> =
        scripts.iter().enumerate().map(|(n, s)| (format!("k{n}"), (*s).to_owned())).collect();
    promo.write_sheet(&rows);
    promo.run().await;
    let batch = promo.ledger.batch("promo").await.unwrap().id;
    let written =
        report::write_results(&promo.ledger, batch, &promo.path("out"), &Default::default())
            .await
            .unwrap();
    let failures = written.failures.unwrap();
    let text = std::fs::read_to_string(&failures).unwrap();
    for line in text.lines() {
        for cell in line.split(',') {
            let cell = cell.trim_matches('"');
            let formula = cell.starts_with(['=', '+', '@', '＝']);
            assert!(!formula, "{cell} would be taken for a formula");
        }
    }
    assert_eq!(scripts_from_report(&failures), scripts);
    assert_eq!(scripts_from_report(&written.results), scripts);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_cell_comes_back_from_a_report_as_it_was(
        scripts in prop::collection::vec("['=+@a1 -]{0,4}[a-z\"\\n,;]{0,8}x", 1..6)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // White space at the ends of a cell is no part of its text.
        let scripts: Vec<String> = scripts.iter().map(|text| text.trim().to_owned()).collect();
        runtime.block_on(async {
            let promo = TestBatch::new(0).await;
            let rows: Vec<_> =
                scripts.iter().enumerate().map(|(n, s)| (format!("k{n}"), s.clone())).collect();
            promo.write_sheet(&rows);
            let batch = promo.plan_and_commit().await;
            let out = promo.path("out");
            let written = report::write_results(&promo.ledger, batch, &out, &Default::default()).await.unwrap();
            assert_eq!(scripts_from_report(&written.results), scripts);
            assert_eq!(written.failures, None);
        });
    }
}
