//! Wall clocks that jump during a run, or that were wrong in the run before: nothing stands still, and
//! nothing is given up or paid again.

use std::time::Duration;

use callsheet::ledger::JobState;
use callsheet::runner::{self, RunInput, RunOptions, StopSignal};
use jiff::SignedDuration;

use super::count_in_state;
use crate::support::{TestBatch, ai_studios, run_input};

const ROWS: u64 = 8;
/// No run takes longer, or it would wait for hours.
const HANG_TIMEOUT: Duration = Duration::from_secs(60);

/// Renders of a real second or more, and timeouts that only a wall clock could reach.
async fn batch_with_slow_renders() -> TestBatch {
    let limits = "[limits]\npoll_max = '100ms'\nrender_timeout = '2h'\nstall_after = '1h'";
    TestBatch::with_settings(ROWS as usize, limits, |settings| {
        settings.switches.time_scale = 300.0;
    })
    .await
}

/// Runs while `jump` sets the clock of the run, once all renders are under way.
async fn run_with_jump(test: &TestBatch, wall: SignedDuration, jump: SignedDuration) {
    let id = test.plan_and_commit().await;
    let (batch, base_url) = (test.batch(), test.sandbox.base_url());
    let studio = ai_studios(&batch, &base_url);
    let input = run_input(&batch, id, &test.ledger, &base_url, studio).await;
    let clock = input.clock.clone();
    clock.shift_wall(wall);
    let stop = StopSignal::default();
    let input = RunInput { stop: stop.clone(), ..input };
    let set = async {
        test.sandbox.wait_until(|sandbox| sandbox.render_count() == ROWS).await;
        clock.shift_wall(jump);
        if jump.is_zero() {
            stop.escalate();
        }
    };
    let run = async { tokio::join!(runner::run_batch(input), set) };
    let (outcome, ()) = tokio::time::timeout(HANG_TIMEOUT, run).await.expect("it stands still");
    let outcome = outcome.unwrap();
    if !jump.is_zero() {
        assert_eq!(count_in_state(&outcome, JobState::Done), ROWS, "{jump}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wall_clock_that_is_set_by_hours_while_videos_render_fails_none() {
    for hours in [9, -9] {
        let test = batch_with_slow_renders().await;
        run_with_jump(&test, SignedDuration::ZERO, SignedDuration::from_hours(hours)).await;
        test.assert_guarantees(ROWS as usize).await;
        assert_eq!(test.sandbox.render_count(), ROWS, "{hours} h");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wall_clock_that_was_hours_ahead_in_the_run_before_delays_no_video() {
    for hours in [9, -9] {
        let test = batch_with_slow_renders().await;
        run_with_jump(&test, SignedDuration::from_hours(hours), SignedDuration::ZERO).await;
        let id = test.plan_and_commit().await;
        let rest = test.resume(id, RunOptions::default());
        let outcome = tokio::time::timeout(HANG_TIMEOUT, rest).await.expect("it stands still");
        assert_eq!(count_in_state(&outcome, JobState::Done), ROWS, "{hours} h: {outcome:?}");
        test.assert_guarantees(ROWS as usize).await;
        assert_eq!(test.sandbox.render_count(), ROWS, "{hours} h");
    }
}
