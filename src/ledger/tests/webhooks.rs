//! Callbacks of AI Studios in the ledger: they trigger checks and are not trusted otherwise.

use super::*;

fn test_secret() -> Option<WebhookSecret> {
    Some(WebhookSecret::new([7; 16]))
}

fn capacity_with_callbacks() -> Capacity {
    Capacity { new_secret: Some(test_secret), claim_max: 1, ..capacity() }
}

fn ending() -> ReceivedCallback {
    ReceivedCallback {
        progress: Some(100.0),
        task_id: Some("t1".to_owned()),
        credits: Some(3.0),
        ended: true,
    }
}

/// A batch of one job, whose paid request is on its way.
async fn sent(test: &TestLedger) -> (BatchId, BatchLease, ClaimedSubmission) {
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let (mode, capacity) = (SubmissionMode::OneStep, capacity_with_callbacks());
    let claimed = lease.claim_paid(mode, capacity, NOW).await.unwrap();
    (batch, lease, claimed.submissions.into_iter().next().unwrap())
}

fn lost() -> JobUpdate {
    JobUpdate::Uncertain { due_at: later(900), message: "cut".to_owned() }
}

static STORED_ADDRESSES: Statement =
    Statement::new("select secret_hash, submission_id is not null as own from hook");

async fn stored_addresses(test: &TestLedger) -> Vec<(String, bool)> {
    test.ledger.readers.fetch_all(&STORED_ADDRESSES, binds![]).await.unwrap()
}

#[tokio::test]
async fn a_secret_is_kept_as_a_hash_and_goes_with_its_job() {
    let test = TestLedger::new().await;
    let (_, lease, claim) = sent(&test).await;
    let secret = claim.secret.clone().unwrap();
    assert_eq!(stored_addresses(&test).await, [(secret.hash(), true)]);
    for update in [accepted("p1"), rendered()] {
        lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
        assert_eq!(stored_addresses(&test).await.len(), 1);
    }
    lease.record_update(claim.job, claim.submission, fetched("a.mp4"), NOW).await.unwrap();
    assert_eq!(stored_addresses(&test).await, []);
    let heard = test.ledger.record_callback(&secret, ending(), later(9)).await.unwrap();
    assert_eq!(heard, CallbackEffect::UnknownAddress);
    assert_eq!(test.ledger.callback_report(claim.submission).await.unwrap(), None);
}

#[tokio::test]
async fn callback_brings_a_check_forward_and_moves_no_job() {
    let test = TestLedger::new().await;
    let (batch, lease, claim) = sent(&test).await;
    let accepted = JobUpdate::Accepted {
        project_id: "p1".to_owned(),
        render_id: None,
        due_at: later(600),
        message: "answered".to_owned(),
    };
    lease.record_update(claim.job, claim.submission, accepted, NOW).await.unwrap();
    let next = async || test.ledger.next_due_at(batch, JobState::Rendering).await.unwrap().unwrap();
    let secret = claim.secret.unwrap();
    let step = ReceivedCallback { progress: Some(50.0), ..ReceivedCallback::default() };
    test.ledger.record_callback(&secret, step, later(10)).await.unwrap();
    assert_eq!(next().await, later(600), "a step on the way");
    test.ledger.record_callback(&secret, ending(), later(20)).await.unwrap();
    assert_eq!(next().await, later(20));
    assert_eq!(test.job_states(batch).await, [JobState::Rendering]);

    // A poll that was in the air puts the next one off, and brings it forward again.
    let polled = JobUpdate::Polled { progress: 60.0, due_at: later(700), stalled: false };
    lease.record_update(claim.job, claim.submission, polled, later(21)).await.unwrap();
    assert_eq!(next().await, later(700));
    let heard = test.ledger.callback_report(claim.submission).await.unwrap().unwrap();
    lease.bring_check_forward(claim.job, claim.submission, heard.look_at.unwrap()).await.unwrap();
    assert_eq!(next().await, later(20));
    assert_eq!((heard.credits, heard.progress), (Some(3.0), Some(100.0)));

    let other =
        ReceivedCallback { task_id: Some("t2".to_owned()), credits: Some(99.0), ..ending() };
    let heard = test.ledger.record_callback(&secret, other, later(21)).await.unwrap();
    let CallbackEffect::Job { key, warning: Some(words) } = heard else { panic!("{heard:?}") };
    assert_eq!(key, "ann");
    assert!(words.contains("taken that twice"), "{words}");
    let rows = test.ledger.rows(batch, -1, 9).await.unwrap();
    assert_eq!(rows[0].credits, None, "never counted");
}

#[tokio::test]
async fn callback_about_an_earlier_submission_triggers_no_check() {
    let test = TestLedger::new().await;
    let (batch, lease, former) = sent(&test).await;
    let record = async |claim: &ClaimedSubmission, update| {
        lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
    };
    record(&former, accepted("p1")).await;
    record(&former, JobUpdate::Rerendered { due_at: NOW, message: "it failed".to_owned() }).await;
    let (mode, capacity) = (
        SubmissionMode::OneStep,
        Capacity { new_secret: Some(WebhookSecret::new_unique), ..capacity_with_callbacks() },
    );
    let claimed = lease.claim_paid(mode, capacity, NOW).await.unwrap();
    let claim = &claimed.submissions[0];
    assert!(!claim.has_callback, "another submission");
    let due_at = later(600);
    let (project_id, words) = ("p2".to_owned(), "answered".to_owned());
    record(claim, JobUpdate::Accepted { project_id, render_id: None, due_at, message: words })
        .await;
    test.ledger.record_callback(&former.secret.unwrap(), ending(), later(9)).await.unwrap();
    let next = test.ledger.next_due_at(batch, JobState::Rendering).await.unwrap();
    assert_eq!(next, Some(due_at));
    assert!(test.ledger.callback_report(former.submission).await.unwrap().is_some(), "it is noted");
    assert_eq!(test.ledger.callback_report(claim.submission).await.unwrap(), None);
}

#[tokio::test]
async fn submission_with_a_callback_is_not_reconciled_as_absent_after_a_restart() {
    let test = TestLedger::new().await;
    let (batch, lease, claim) = sent(&test).await;
    let secret = claim.secret.clone().unwrap();
    // Before the answer that is lost, and from an earlier process.
    test.ledger.record_callback(&secret, ReceivedCallback::default(), NOW).await.unwrap();
    let test = test.reopen().await;
    let lease = BatchLease { ledger: test.ledger.clone(), ..lease };
    lease.record_update(claim.job, claim.submission, lost(), NOW).await.unwrap();
    let quiet = JobUpdate::ProvenAbsent { due_at: NOW, message: "no trace".to_owned() };
    let recorded = lease.record_update(claim.job, claim.submission, quiet, NOW).await;
    assert_eq!(
        recorded.unwrap(),
        RecordedUpdate { transition: Transition::Unchanged, state: JobState::Uncertain }
    );
    assert_eq!(test.job_states(batch).await, [JobState::Uncertain]);
}

/// The absence was concluded too early: the draft is claimed for its second export, and the claim
/// reports the callback.
#[tokio::test]
async fn draft_with_a_callback_reports_it_when_it_is_claimed_again() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let drafts = lease.claim_drafts(capacity_with_callbacks(), NOW).await.unwrap();
    assert!(drafts.submissions[0].secret.is_none(), "a draft has nothing to call about");
    let (job, submission) = (drafts.submissions[0].job, drafts.submissions[0].submission);
    let record = async |update| lease.record_update(job, submission, update, NOW).await.unwrap();
    let project_id = "p1".to_owned();
    record(JobUpdate::Drafted {
        project_id,
        exclusive_project: None,
        previous_render_identity: None,
    })
    .await;
    let claim = async || {
        let (mode, capacity) = (
            SubmissionMode::TwoStep,
            Capacity { new_secret: Some(WebhookSecret::new_unique), ..capacity_with_callbacks() },
        );
        let claimed = lease.claim_paid(mode, capacity, NOW).await.unwrap();
        claimed.submissions.into_iter().next().unwrap()
    };
    let first = claim().await;
    assert!(!first.has_callback);
    record(lost()).await;
    record(JobUpdate::ProvenAbsent { due_at: NOW, message: "no trace".to_owned() }).await;
    let heard = test.ledger.record_callback(&first.secret.unwrap(), ending(), NOW).await.unwrap();
    let CallbackEffect::Job { warning: Some(words), .. } = heard else { panic!("{heard:?}") };
    assert!(words.contains("may have been accepted after all"), "{words}");
    assert!(claim().await.has_callback);
}

#[tokio::test]
async fn self_test_is_expected_once_and_deleted() {
    let test = TestLedger::new().await;
    let (secret, other) = (WebhookSecret::new([1; 16]), WebhookSecret::new([2; 16]));
    for one in [&secret, &other] {
        test.ledger.expect_self_test(one, NOW).await.unwrap();
    }
    let heard =
        test.ledger.record_callback(&secret, ReceivedCallback::default(), NOW).await.unwrap();
    assert_eq!(heard, CallbackEffect::SelfTest);
    assert!(test.ledger.finish_self_test(&secret).await.unwrap());
    assert!(!test.ledger.finish_self_test(&other).await.unwrap(), "it never came");
    assert_eq!(stored_addresses(&test).await, []);
    let heard = test.ledger.record_callback(&secret, ending(), NOW).await.unwrap();
    assert_eq!(heard, CallbackEffect::UnknownAddress);
}

impl WebhookSecret {
    /// Another one each time.
    fn new_unique() -> Option<Self> {
        use std::sync::atomic::{AtomicU8, Ordering};
        static NEXT: AtomicU8 = AtomicU8::new(100);
        Some(Self::new([NEXT.fetch_add(1, Ordering::Relaxed); 16]))
    }
}
