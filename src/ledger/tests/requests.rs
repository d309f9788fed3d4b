//! Operator requests: bound to what was shown, carried out once, and never after their time.

use super::*;

const CREDITS_PER_MINUTE: f64 = 2.0;

fn filter(keys: &[&str]) -> TargetFilter {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    TargetFilter { keys, ..TargetFilter::default() }
}

fn new_request(action: RequestedAction, shown: Option<ShownSet>) -> NewOperatorRequest {
    NewOperatorRequest {
        action,
        shown,
        requester: "cli:ann@desk".to_owned(),
        reason: Some("the client asked".to_owned()),
        token: None,
        credits_per_minute: CREDITS_PER_MINUTE,
    }
}

fn resolve(key: &str, decision: UncertainDecision) -> RequestedAction {
    let message = "seen in the account".to_owned();
    RequestedAction::Resolve(JobResolution { key: key.to_owned(), decision, message })
}

/// A batch with one job in each of: ready, and failed because it was refused, because its render failed,
/// and because its file could not be downloaded.
struct MixedBatch {
    test: TestLedger,
    batch: BatchId,
    lease: BatchLease,
}

const MIXED_KEYS: [&str; 4] = ["refused", "failed", "unfetched", "ready"];

impl MixedBatch {
    async fn new() -> Self {
        let test = TestLedger::new().await;
        let rows: Vec<_> =
            MIXED_KEYS.iter().zip(0..).map(|(key, position)| row(position, key, key)).collect();
        let (batch, _) = test.plan(&rows).await;
        let lease = test.run(batch).await;
        let three = Capacity { claim_max: 3, ..capacity() };
        let paid = lease.claim_paid(SubmissionMode::OneStep, three, NOW).await.unwrap();
        for claim in &paid.submissions {
            let message = || "as AI Studios put it".to_owned();
            let updates = match claim.key.as_str() {
                "refused" => vec![JobUpdate::Refused { message: message() }],
                "failed" => {
                    vec![accepted("p-failed"), JobUpdate::RenderFailed { message: message() }]
                }
                _ => vec![
                    accepted("p-unfetched"),
                    rendered(),
                    JobUpdate::FetchFailed { message: message() },
                ],
            };
            for update in updates {
                lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
            }
        }
        let mixed = Self { test, batch, lease };
        assert_eq!(mixed.states().await, "failed failed failed ready");
        mixed
    }

    async fn states(&self) -> String {
        let states = self.test.job_states(self.batch).await.into_iter();
        states.map(JobState::as_str).collect::<Vec<_>>().join(" ")
    }

    async fn shown_set(&self, action: &RequestedAction) -> ShownSet {
        self.test.ledger.target_set(self.batch, action).await.unwrap().to_shown_set()
    }

    async fn submit(&self, request: NewOperatorRequest) -> OperatorRequest {
        self.test.ledger.submit_request(self.batch, request, NOW).await.unwrap()
    }

    /// Has an action carried out for the set that it has now.
    async fn execute_request(&self, action: RequestedAction) -> OperatorRequest {
        let shown = self.shown_set(&action).await;
        let request = self.submit(new_request(action, Some(shown))).await;
        self.lease.carry_out_request(request.id, NOW).await.unwrap().request
    }

    /// Makes the process die, and begins the next run.
    async fn restart(self) -> Self {
        let Self { test, batch, lease } = self;
        drop(lease);
        let test = test.reopen().await;
        let lease = test.run(batch).await;
        Self { test, batch, lease }
    }
}

#[tokio::test]
async fn a_target_set_says_what_is_free_what_is_paid_and_what_is_paid_again() {
    let mixed = MixedBatch::new().await;
    let refused = TargetFilter { cause: Some("refused".to_owned()), ..TargetFilter::default() };
    let failed = TargetFilter { state: Some(JobState::Failed), ..filter(&["failed", "ready"]) };
    for (action, totals) in [
        (
            RequestedAction::Retry(filter(&[])),
            TargetTotals { jobs: 3, submissions: 2, paid_before: 1, downloads: 1, minutes: 2 },
        ),
        (
            RequestedAction::Retry(refused),
            TargetTotals { jobs: 1, submissions: 1, minutes: 1, ..TargetTotals::default() },
        ),
        (
            RequestedAction::Retry(failed),
            TargetTotals {
                jobs: 1,
                submissions: 1,
                paid_before: 1,
                minutes: 1,
                ..TargetTotals::default()
            },
        ),
        (RequestedAction::Cancel(filter(&[])), TargetTotals { jobs: 1, ..TargetTotals::default() }),
        (RequestedAction::Cancel(filter(&["failed", "none"])), TargetTotals::default()),
        (RequestedAction::Pause, TargetTotals::default()),
    ] {
        let set = mixed.test.ledger.target_set(mixed.batch, &action).await.unwrap();
        assert_eq!(set.totals(), totals, "{action:?}");
    }
}

#[tokio::test]
async fn a_request_is_recorded_with_its_set_its_price_and_its_outcome() {
    let mixed = MixedBatch::new().await;
    let request = mixed.execute_request(RequestedAction::Retry(filter(&[]))).await;
    assert_eq!((request.job_count, request.paid_count, request.credits), (3, 2, 4.0));
    assert_eq!((request.status(), request.run_id), ("done", Some(mixed.lease.run_id())));
    let message =
        "1 to render, 1 to check, then to render again if not finished, 1 to download again";
    assert_eq!(request.message.as_deref(), Some(message));
    assert_eq!(mixed.states().await, "ready ready fetching ready");
    let ledger = &mixed.test.ledger;
    let trail = ledger.operator_requests(Some(mixed.batch), 10, NOW).await.unwrap();
    assert_eq!(trail, std::slice::from_ref(&request));
    let of_job = ledger.operator_requests_of_job(mixed.batch, "failed", NOW).await.unwrap();
    assert_eq!(of_job, [request]);
    assert_eq!(ledger.operator_requests_of_job(mixed.batch, "ready", NOW).await.unwrap(), []);
    assert_eq!(mixed.execute_request(RequestedAction::Cancel(filter(&[]))).await.job_count, 3);
    assert_eq!(mixed.states().await, "cancelled cancelled fetching cancelled");
}

/// The row that may have been paid for is checked first, whether a run is live or begins.
#[tokio::test]
async fn a_retried_render_is_checked_before_it_is_paid_again_in_a_live_run_too() {
    let mixed = MixedBatch::new().await;
    let request = mixed.submit(new_request(RequestedAction::Retry(filter(&[])), None)).await;
    let carried_out = mixed.lease.carry_out_request_in_run(request.id, NOW).await.unwrap();
    assert!(carried_out.was_waiting && carried_out.changed.len() == 3, "{carried_out:?}");
    assert_eq!(mixed.states().await, "uncertain uncertain fetching ready");
}

#[tokio::test]
async fn a_request_for_a_set_that_has_changed_is_refused_with_the_difference() {
    let mixed = MixedBatch::new().await;
    let all = RequestedAction::Retry(filter(&[]));
    let shown = mixed.shown_set(&all).await;
    // Before it was accepted.
    mixed.execute_request(RequestedAction::Retry(filter(&["refused"]))).await;
    let refused = mixed.submit(new_request(all.clone(), Some(shown))).await;
    let words =
        "the jobs have changed since they were shown: 1 gone (refused); nothing was changed";
    assert_eq!((refused.status(), refused.message.as_deref()), ("refused", Some(words)));
    // Between its acceptance and its execution.
    let shown = mixed.shown_set(&all).await;
    let accepted = mixed.submit(new_request(all.clone(), Some(shown))).await;
    assert_eq!(accepted.status(), "waiting");
    mixed.execute_request(RequestedAction::Cancel(filter(&["ready"]))).await;
    let carried_out = mixed.lease.carry_out_request(accepted.id, NOW).await.unwrap();
    let words = "the jobs have changed since they were shown: 1 new (ready); nothing was changed";
    assert_eq!(carried_out.request.message.as_deref(), Some(words));
    assert_eq!((carried_out.request.status(), carried_out.changed.len()), ("refused", 0));
    assert_eq!(mixed.states().await, "ready failed failed cancelled");
    // Without a set that was shown, it is for whatever matches.
    let any = mixed.submit(new_request(all, None)).await;
    let carried_out = mixed.lease.carry_out_request(any.id, NOW).await.unwrap();
    assert_eq!((carried_out.request.status(), carried_out.request.job_count), ("done", 3));
}

#[tokio::test]
async fn the_same_request_sent_twice_and_a_request_carried_out_twice_are_one_action() {
    let mixed = MixedBatch::new().await;
    let cancel = RequestedAction::Cancel(filter(&[]));
    let shown = mixed.shown_set(&cancel).await;
    let sent = NewOperatorRequest {
        token: Some("form-1".to_owned()),
        ..new_request(cancel.clone(), Some(shown.clone()))
    };
    let first = mixed.submit(sent.clone()).await;
    assert_eq!(mixed.submit(sent.clone()).await, first);
    let done = mixed.lease.carry_out_request(first.id, NOW).await.unwrap();
    assert_eq!((done.request.status(), done.changed.len()), ("done", 1));
    let again = mixed.lease.carry_out_request(first.id, later(1)).await.unwrap();
    assert_eq!((again.request, again.changed.len()), (done.request.clone(), 0));
    assert_eq!(mixed.submit(sent).await, done.request);
    // Another user who saw the same page.
    let other = mixed.submit(new_request(cancel, Some(shown))).await;
    assert_eq!(other.status(), "refused");
    let events = mixed.test.ledger.job_history(mixed.batch, "ready").await.unwrap().unwrap().events;
    assert_eq!(events.iter().filter(|event| event.event == "cancelled").count(), 1);
}

/// Between any two steps the process may die; the next run finds the request as it was left.
#[tokio::test]
async fn a_crash_between_accepting_and_carrying_out_loses_no_request_and_applies_none_twice() {
    let mixed = MixedBatch::new().await;
    let accepted = mixed.submit(new_request(RequestedAction::Cancel(filter(&[])), None)).await;
    let mixed = mixed.restart().await;
    assert_eq!(mixed.states().await, "failed failed failed ready");
    let open = mixed.test.ledger.open_operator_requests(mixed.batch).await.unwrap();
    assert_eq!(open, [accepted.id]);
    let done = mixed.lease.carry_out_request(accepted.id, NOW).await.unwrap();
    assert_eq!(done.request.status(), "done");
    let mixed = mixed.restart().await;
    assert_eq!(mixed.states().await, "failed failed failed cancelled");
    let open = mixed.test.ledger.open_operator_requests(mixed.batch).await.unwrap();
    assert_eq!(open, [0_i64; 0]);
    mixed.execute_request(RequestedAction::Retry(filter(&["ready"]))).await;
    let again = mixed.lease.carry_out_request(accepted.id, NOW).await.unwrap();
    assert_eq!(
        (again.was_waiting, mixed.states().await.as_str()),
        (false, "failed failed failed ready")
    );
}

#[tokio::test]
async fn a_run_that_lost_its_batch_carries_out_nothing() {
    let mixed = MixedBatch::new().await;
    let accepted = mixed.submit(new_request(RequestedAction::Cancel(filter(&[])), None)).await;
    let newer = mixed.test.run(mixed.batch).await;
    let error = mixed.lease.carry_out_request(accepted.id, NOW).await.unwrap_err();
    assert!(matches!(error, LedgerError::LeaseLost), "{error}");
    assert_eq!(mixed.states().await, "failed failed failed ready");
    assert_eq!(newer.carry_out_request(accepted.id, NOW).await.unwrap().request.status(), "done");
}

#[tokio::test]
async fn a_request_that_no_run_carried_out_in_time_changes_nothing_and_is_shown_as_expired() {
    let mixed = MixedBatch::new().await;
    let ledger = &mixed.test.ledger;
    let [one, two, three] = ["refused", "failed", "unfetched"]
        .map(|key| new_request(RequestedAction::Retry(filter(&[key])), None));
    let one = mixed.submit(one).await;
    let shown = ledger.operator_request(one.id, later(600)).await.unwrap().unwrap();
    assert_eq!((shown.status(), shown.done_at), ("expired", Some(later(600))));
    let late = mixed.lease.carry_out_request(one.id, later(600)).await.unwrap();
    assert_eq!((late.request.status(), late.changed.len()), ("expired", 0));
    let two = mixed.submit(two).await;
    assert_eq!(ledger.expire_requests(mixed.batch, later(599)).await.unwrap(), 0);
    assert_eq!(ledger.expire_requests(mixed.batch, later(600)).await.unwrap(), 1);
    let recorded = ledger.operator_request(two.id, NOW).await.unwrap().unwrap();
    assert_eq!(recorded.status(), "expired");
    let three = mixed.submit(three).await;
    let withdrawn = ledger.withdraw_request(three.id, "no answer".to_owned(), NOW).await.unwrap();
    assert_eq!((withdrawn.status(), withdrawn.message.as_deref()), ("expired", Some("no answer")));
    let late = mixed.lease.carry_out_request(three.id, NOW).await.unwrap();
    assert_eq!((late.was_waiting, late.request.status()), (false, "expired"));
    assert_eq!(mixed.states().await, "failed failed failed ready");
}

#[tokio::test]
async fn a_pause_is_carried_out_when_it_is_accepted() {
    let mixed = MixedBatch::new().await;
    for (action, message, is_paused) in [
        (RequestedAction::Pause, "paused", true),
        (RequestedAction::Pause, "it was already paused", true),
        (RequestedAction::Unpause, "unpaused", false),
        (RequestedAction::Unpause, "it was not paused", false),
    ] {
        let request = mixed.submit(new_request(action, None)).await;
        assert_eq!((request.status(), request.message.as_deref()), ("done", Some(message)));
        assert_eq!(mixed.test.ledger.is_paused(mixed.batch).await.unwrap(), is_paused);
    }
}

/// A decision is about one paid request: never about a later one of the same row.
#[tokio::test]
async fn a_decision_about_an_uncertain_job_holds_for_the_paid_request_that_was_shown() {
    let mixed = MixedBatch::new().await;
    let lost = || JobUpdate::Uncertain { due_at: NOW, message: "cut".to_owned() };
    let claim = claim_one(&mixed.lease).await;
    mixed.lease.record_update(claim.job, claim.submission, lost(), NOW).await.unwrap();
    let action = resolve("ready", UncertainDecision::NotSubmitted);
    let shown = mixed.shown_set(&action).await;
    let adopted = mixed.execute_request(resolve(
        "ready",
        UncertainDecision::Adopt { project_id: "p-unfetched".to_owned() },
    ));
    let adopted = adopted.await;
    let words = "`p-unfetched` belongs to `unfetched` of the batch `spring`";
    assert_eq!((adopted.status(), adopted.message.as_deref()), ("refused", Some(words)));
    let not_submitted = mixed.execute_request(action.clone()).await;
    assert_eq!((not_submitted.status(), not_submitted.paid_count), ("done", 1));
    let of_job = mixed.test.ledger.operator_requests_of_job(mixed.batch, "ready", NOW).await;
    assert_eq!(of_job.unwrap(), [not_submitted]);
    // It is submitted again, and that response is lost as well.
    let claim = claim_one(&mixed.lease).await;
    mixed.lease.record_update(claim.job, claim.submission, lost(), NOW).await.unwrap();
    let late = mixed.submit(new_request(action, Some(shown))).await;
    assert_eq!(late.status(), "refused");
    assert_eq!(mixed.states().await, "failed failed failed uncertain");
}

async fn claim_one(lease: &BatchLease) -> ClaimedSubmission {
    let claimed = lease.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await.unwrap();
    claimed.submissions.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_finished_video_is_downloaded_again_without_a_render() {
    let mixed = MixedBatch::new().await;
    let claim = claim_one(&mixed.lease).await;
    for update in [accepted("p-ready"), rendered(), fetched("ready.mp4")] {
        mixed.lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap();
    }
    let request = mixed.execute_request(RequestedAction::DownloadAgain(filter(&[]))).await;
    assert_eq!((request.status(), request.job_count, request.paid_count), ("done", 1, 0));
    assert_eq!(mixed.states().await, "failed failed failed fetching");
    let stop = mixed.execute_request(RequestedAction::Stop).await;
    assert_eq!((stop.status(), stop.message.as_deref()), ("refused", Some("no run is live")));
}
