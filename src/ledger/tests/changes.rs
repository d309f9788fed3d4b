//! The sheet changes while a job is in progress: however the job becomes free, it continues with the
//! version that the sheet wants by then, pays for no removed version, and pays for nothing twice.

use super::*;

/// Claims the free first step of the only job.
async fn claim_draft(lease: &BatchLease) -> ClaimedSubmission {
    let claimed = lease.claim_drafts(capacity(), NOW).await.unwrap();
    claimed.submissions.into_iter().next().unwrap()
}

async fn record(
    lease: &BatchLease,
    claim: &ClaimedSubmission,
    update: JobUpdate,
) -> RecordedUpdate {
    lease.record_update(claim.job, claim.submission, update, NOW).await.unwrap()
}

fn requeued_update() -> JobUpdate {
    JobUpdate::Requeued { due_at: NOW, message: "stopped".to_owned() }
}

fn drafted_update(id: &str) -> JobUpdate {
    JobUpdate::Drafted {
        project_id: id.to_owned(),
        exclusive_project: None,
        previous_render_identity: None,
    }
}

async fn only_row(test: &TestLedger, batch: BatchId) -> JobRow {
    test.ledger.rows(batch, -1, 2).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_row_that_changed_while_its_draft_was_lost_does_not_keep_the_next_run_from_beginning() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let lost = claim_draft(&lease).await;
    test.plan(&[row(0, "ann", "two")]).await;
    let test = test.reopen().await;
    let lease = test.run(batch).await;
    assert_eq!(lease.recovered_work(), RecoveredWork { drafts_lost: 1, uncertain: 0 });
    let next = claim_draft(&lease).await;
    assert_ne!(next.payload.text(), lost.payload.text());
    assert_eq!(only_row(&test, batch).await.version, 2);
}

#[tokio::test]
async fn a_job_that_is_put_back_goes_on_with_the_version_that_waits() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let first = claim_one_step(&lease).await;
    test.plan(&[row(0, "ann", "two")]).await;
    assert_eq!(record(&lease, &first, requeued_update()).await.state, JobState::Ready);
    let next = claim_one_step(&lease).await;
    assert_ne!(next.payload.text(), first.payload.text());
    test.reopen().await.run(batch).await;
}

#[tokio::test]
async fn a_draft_whose_row_changed_is_swept_and_never_exported() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let first = claim_draft(&lease).await;
    test.plan(&[row(0, "ann", "two")]).await;
    record(&lease, &first, drafted_update("p1")).await;
    let paid = lease.claim_paid(SubmissionMode::TwoStep, capacity(), NOW).await.unwrap();
    assert!(paid.submissions.is_empty(), "{:?}", paid.submissions);
    let strays = test.ledger.stray_drafts(batch).await.unwrap();
    assert_eq!(strays[0].project_id.as_deref(), Some("p1"));
}

#[tokio::test]
async fn a_row_that_left_the_sheet_is_not_paid_for_when_its_request_comes_back_unsent() {
    for drafted in [false, true] {
        let test = TestLedger::new().await;
        let both = [row(0, "ann", "one"), row(1, "bob", "two")];
        let (batch, _) = test.plan(&both[..1]).await;
        let lease = test.run(batch).await;
        let (claim, update) = if drafted {
            (claim_draft(&lease).await, drafted_update("p1"))
        } else {
            (claim_one_step(&lease).await, requeued_update())
        };
        test.plan(&[row(0, "bob", "two")]).await;
        assert_eq!(record(&lease, &claim, update).await.state, JobState::Cancelled);
        assert_eq!(test.ledger.removed_state_counts(batch).await.unwrap()[&JobState::Cancelled], 1);
        // It is only waiting for its row.
        test.plan(&both).await;
        assert_eq!(test.job_states(batch).await, [JobState::Ready, JobState::Ready]);
    }
}

#[tokio::test]
async fn a_row_that_left_the_sheet_while_its_draft_was_lost_is_not_paid_for_by_the_next_run() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    claim_draft(&lease).await;
    test.plan(&[row(0, "bob", "two")]).await;
    let test = test.reopen().await;
    let lease = test.run(batch).await;
    let claimed = lease.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await.unwrap();
    let keys: Vec<&str> = claimed.submissions.iter().map(|claim| claim.key.as_str()).collect();
    assert_eq!(keys, ["bob"]);
}

#[tokio::test]
async fn content_that_comes_back_while_another_renders_is_taken_from_its_first_video() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    finish_batch(&test, batch, "v1.mp4").await;
    test.plan(&[row(0, "ann", "two")]).await;
    let lease = test.run(batch).await;
    let claim = claim_one_step(&lease).await;
    record(&lease, &claim, accepted("p2")).await;
    test.plan(&[row(0, "ann", "one")]).await;
    record(&lease, &claim, rendered()).await;
    assert_eq!(record(&lease, &claim, fetched("v2.mp4")).await.state, JobState::Reused);
    assert_eq!(only_row(&test, batch).await.video_file.as_deref(), Some("v1.mp4"));
}

#[tokio::test]
async fn content_that_came_back_while_a_draft_was_lost_is_taken_from_its_first_video() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    finish_batch(&test, batch, "v1.mp4").await;
    test.plan(&[row(0, "ann", "two")]).await;
    let lease = test.run(batch).await;
    claim_draft(&lease).await;
    test.plan(&[row(0, "ann", "one")]).await;
    let test = test.reopen().await;
    test.run(batch).await;
    let row = only_row(&test, batch).await;
    assert_eq!((row.state, row.video_file.as_deref()), (Some(JobState::Reused), Some("v1.mp4")));
}

#[tokio::test]
async fn two_polls_of_one_render_that_cross_take_nothing_from_the_next_submission() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let first = claim_one_step(&lease).await;
    record(&lease, &first, accepted("p1")).await;
    let failed = || "the render failed".to_owned();
    record(&lease, &first, JobUpdate::Rerendered { due_at: NOW, message: failed() }).await;
    let next = claim_one_step(&lease).await;
    assert_ne!(next.submission, first.submission);
    for crossed in [
        JobUpdate::Polled { progress: 9.0, due_at: NOW, stalled: false },
        JobUpdate::Rerendered { due_at: NOW, message: failed() },
        JobUpdate::RenderFailed { message: failed() },
        rendered(),
    ] {
        let late = record(&lease, &first, crossed).await;
        assert_eq!(
            late,
            RecordedUpdate { transition: Transition::Unchanged, state: JobState::Submitting }
        );
    }
    assert_eq!(record(&lease, &next, accepted("p2")).await.state, JobState::Rendering);
    assert_eq!(record(&lease, &first, rendered()).await.transition, Transition::Unchanged);
    assert_eq!(record(&lease, &next, rendered()).await.state, JobState::Fetching);
}

#[tokio::test]
async fn two_fetches_of_one_video_that_cross_come_to_one_ending() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let claim = claim_one_step(&lease).await;
    record(&lease, &claim, accepted("p1")).await;
    record(&lease, &claim, rendered()).await;
    assert_eq!(record(&lease, &claim, fetched("a.mp4")).await.state, JobState::Done);
    let gone = || "the link is gone".to_owned();
    for crossed in [
        JobUpdate::FetchAttemptFailed { due_at: NOW, message: gone() },
        JobUpdate::FetchFailed { message: gone() },
        fetched("a (2).mp4"),
    ] {
        let late = record(&lease, &claim, crossed).await;
        assert_eq!(
            late,
            RecordedUpdate { transition: Transition::Unchanged, state: JobState::Done }
        );
    }
    assert_eq!(only_row(&test, batch).await.video_file.as_deref(), Some("a.mp4"));
}

#[tokio::test]
async fn callback_during_a_poll_starts_no_second_poll() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one"), row(1, "bob", "two")]).await;
    let lease = test.run(batch).await;
    let paid = lease.claim_paid(SubmissionMode::OneStep, capacity(), NOW).await.unwrap();
    for claim in paid.submissions {
        record(&lease, &claim, accepted(&claim.key)).await;
    }
    let claim = |max, excluded| {
        let busy_until = NOW + SignedDuration::from_hours(6);
        let claim = DueClaim { max, excluded, now: NOW, busy_until };
        lease.claim_due_jobs(JobState::Rendering, claim)
    };
    let due = claim(1, Vec::new()).await.unwrap();
    let in_hand = &due[0];
    let call = lease.bring_check_forward(in_hand.job, in_hand.submission, NOW);
    call.await.unwrap();
    let others = claim(9, vec![in_hand.job]).await.unwrap();
    let keys: Vec<&str> = others.iter().map(|one| one.key.as_str()).collect();
    assert!(keys.len() == 1 && keys[0] != in_hand.key, "{keys:?}");
}

#[tokio::test]
async fn a_run_with_a_cap_drafts_and_submits_the_first_rows() {
    let test = TestLedger::new().await;
    let rows: Vec<_> = (0..4).map(|n| row(n, &format!("k{n}"), "x")).collect();
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let capped = |claim_max| Capacity { per_run_max: Some(2), claim_max, ..capacity() };
    let mut drafts = Vec::new();
    for claim_max in [1, 8, 8] {
        drafts.extend(lease.claim_drafts(capped(claim_max), NOW).await.unwrap().submissions);
    }
    let keys: Vec<_> = drafts.iter().map(|claim| claim.key.as_str()).collect();
    assert_eq!(keys, ["k0", "k1"], "none is drafted that this run cannot submit");
    let begun = async || test.ledger.count_begun(lease.run_id()).await.unwrap();
    assert_eq!(begun().await, 2, "drafts that are made");
    for claim in drafts.iter().rev() {
        record(&lease, claim, drafted_update(&claim.key)).await;
        assert_eq!(lease.claim_drafts(capped(8), NOW).await.unwrap().submissions.len(), 0);
    }
    let paid = lease.claim_paid(SubmissionMode::TwoStep, capped(8), NOW).await.unwrap();
    assert_eq!(paid.submissions.len(), 2);
    assert_eq!(begun().await, 2, "paid requests");
}

#[tokio::test]
async fn drafts_that_this_run_will_not_export_do_not_hold_back_those_that_it_will() {
    let test = TestLedger::new().await;
    let rows: Vec<_> = (0..4).map(|n| row(n, &format!("k{n}"), "x")).collect();
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let narrow = || Capacity { in_flight_max: 1, claim_max: 1, ..capacity() };
    for _ in 0..4 {
        let claimed = lease.claim_drafts(narrow(), NOW).await.unwrap();
        for claim in claimed.submissions.iter().filter(|claim| claim.key != "k3") {
            record(&lease, claim, drafted_update(&claim.key)).await;
        }
    }
    let only = Capacity { selection: Some(test.name(batch, &rows, &["k3"]).await), ..narrow() };
    let claimed = lease.claim_drafts(only, NOW).await.unwrap();
    let keys: Vec<&str> = claimed.submissions.iter().map(|claim| claim.key.as_str()).collect();
    assert_eq!(keys, ["k3"]);
}

/// Found by the simulation: the whole batch waited for a removed row.
#[tokio::test]
async fn uncertain_canary_of_a_removed_row_blocks_no_other_row() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one"), row(1, "bob", "two")]).await;
    let lease = test.run(batch).await;
    let canary = || Capacity { canary_count: 1, ..capacity() };
    let claim = async |room| {
        let claimed = lease.claim_paid(SubmissionMode::OneStep, room, NOW).await;
        claimed.unwrap()
    };
    let first = claim(canary()).await.submissions.remove(0);
    let lost = JobUpdate::Uncertain { due_at: NOW, message: "reset".to_owned() };
    record(&lease, &first, lost).await;
    assert_eq!(claim(canary()).await.block, ClaimBlock::Canary);
    test.plan(&[row(0, "bob", "two")]).await;
    assert_eq!(claim(canary()).await.submissions.remove(0).key, "bob");
}

/// Two rows that change one project in place.
fn rows_of_one_project() -> [StagedRow; 2] {
    [row(0, "ann", "one"), row(1, "bob", "two")].map(|row| {
        let merged = row
            .merged
            .map(|merged| MergedRow { exclusive_project: Some("p".to_owned()), ..merged });
        StagedRow { merged, ..row }
    })
}

fn edited_in_place_update() -> JobUpdate {
    JobUpdate::Drafted {
        project_id: "p".to_owned(),
        exclusive_project: None,
        previous_render_identity: None,
    }
}

/// Found by the simulation: a run with a selection waited without end for a draft outside it.
#[tokio::test]
async fn draft_outside_the_selection_keeps_its_project_and_the_claim_reports_it() {
    let test = TestLedger::new().await;
    let rows = rows_of_one_project();
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let drafts = lease.claim_drafts(capacity(), NOW).await.unwrap();
    assert_eq!(drafts.submissions.len(), 1, "one after the other");
    record(&lease, &drafts.submissions[0], edited_in_place_update()).await;

    let only = Capacity { selection: Some(test.name(batch, &rows, &["bob"]).await), ..capacity() };
    let way = SubmissionMode::TwoStep;
    let held = lease.claim_paid(way, only, NOW).await.unwrap();
    assert_eq!((held.submissions.len(), held.block), (0, ClaimBlock::ProjectInUse));
    let all = lease.claim_paid(way, capacity(), NOW).await.unwrap();
    assert_eq!(all.submissions[0].key, "ann");
}

/// Found by the simulation: rows waited for the video of a removed row.
#[tokio::test]
async fn a_video_that_could_not_be_fetched_holds_its_project_only_while_its_row_is_in_the_sheet() {
    let test = TestLedger::new().await;
    let rows = rows_of_one_project();
    let (batch, _) = test.plan(&rows).await;
    let lease = test.run(batch).await;
    let drafts = lease.claim_drafts(capacity(), NOW).await.unwrap();
    record(&lease, &drafts.submissions[0], edited_in_place_update()).await;
    let paid = lease.claim_paid(SubmissionMode::TwoStep, capacity(), NOW).await.unwrap();
    let (project_id, words) = ("p".to_owned(), "answered".to_owned());
    let accepted = JobUpdate::Accepted { project_id, render_id: None, due_at: NOW, message: words };
    let rendered = JobUpdate::Rendered { video_url: "https://x/v.mp4".to_owned() };
    let failed = JobUpdate::FetchFailed { message: "403".to_owned() };
    for update in [accepted, rendered, failed] {
        record(&lease, &paid.submissions[0], update).await;
    }
    let held = lease.claim_drafts(capacity(), NOW).await.unwrap();
    assert_eq!((held.submissions.len(), held.block), (0, ClaimBlock::ProjectInUse));

    test.plan(&[StagedRow { position: 0, ..rows[1].clone() }]).await;
    let free = lease.claim_drafts(capacity(), NOW).await.unwrap();
    assert_eq!(free.submissions[0].key, "bob");
}

#[tokio::test]
async fn a_floor_is_never_shortened_by_the_part_of_a_millisecond_that_the_file_cannot_hold() {
    let test = TestLedger::new().await;
    let until = NOW + SignedDuration::from_nanos(1_500_000);
    test.ledger.raise_retry_after_floor("http://x", floor(NOW, until)).await.unwrap();
    let kept = test.ledger.retry_after_floor("http://x", NOW).await.unwrap().unwrap();
    assert!(kept >= until, "{kept} is before {until}");
}

fn floor(raised_at: Timestamp, until: Timestamp) -> RetryAfterFloor {
    RetryAfterFloor { until, raised_at }
}

/// Found with a clock that was ten years ahead for a minute: the next run waited ten years.
#[tokio::test]
async fn a_clock_that_was_ahead_keeps_no_later_run_waiting() {
    for hours in [9, 10 * 365 * 24] {
        let test = TestLedger::new().await;
        let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
        let lease = test.run(batch).await;
        let claim = claim_draft(&lease).await;
        let ahead = NOW + SignedDuration::from_hours(hours);
        record(&lease, &claim, JobUpdate::DraftLost { due_at: ahead, message: "lost".to_owned() })
            .await;
        let lease = test.run(batch).await;
        let claimed = lease.claim_drafts(capacity(), NOW).await.unwrap();
        assert_eq!(claimed.submissions.len(), 1, "{hours} h");
    }
}

#[tokio::test]
async fn a_floor_lasts_as_long_as_it_was_asked_for_though_the_clock_was_ahead() {
    let seconds = SignedDuration::from_secs;
    for hours in [9, 10 * 365 * 24] {
        let test = TestLedger::new().await;
        let ahead = NOW + SignedDuration::from_hours(hours);
        let raise = async |floor| test.ledger.raise_retry_after_floor("http://x", floor).await;
        let rest = async |now| {
            let until = test.ledger.retry_after_floor("http://x", now).await.unwrap();
            until.map(|until| until.duration_since(now).as_secs())
        };
        raise(floor(ahead, ahead + seconds(60))).await.unwrap();
        assert_eq!(rest(ahead + seconds(10)).await, Some(50));
        assert_eq!(rest(NOW).await, Some(60), "{hours} h");
        raise(floor(NOW, NOW + seconds(20))).await.unwrap();
        assert_eq!(rest(NOW).await, Some(60), "never shortened");
        raise(floor(NOW, NOW + seconds(90))).await.unwrap();
        assert_eq!(rest(NOW).await, Some(90));
    }
}

#[tokio::test]
async fn due_times_move_back_with_the_clock() {
    let test = TestLedger::new().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    let claim = claim_draft(&lease).await;
    let due_at = NOW + SignedDuration::from_secs(30);
    record(&lease, &claim, JobUpdate::DraftLost { due_at, message: "lost".to_owned() }).await;
    let by = SignedDuration::from_hours(9);
    lease.move_due_times_back(by, NOW - by).await.unwrap();
    for (seconds, due) in [(29, 0), (30, 1)] {
        let now = NOW - by + SignedDuration::from_secs(seconds);
        let claimed = lease.claim_drafts(capacity(), now).await.unwrap();
        assert_eq!(claimed.submissions.len(), due, "{seconds} s");
    }
}
