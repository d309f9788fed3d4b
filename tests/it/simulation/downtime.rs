//! Time that a run does not see: downtime between two runs, an outage of AI Studios, and a wall clock
//! that is set. None of them makes the rest of a batch slower, and none fails a row.

use std::time::Duration;

use callsheet::batch::{BatchLimits, SubmissionMode};
use jiff::SignedDuration;

use super::oracle;
use super::scenario::{RunScenario, Simulation, WallJump};
use super::setup::SimulationSetup;

const RENDER_TIME: Duration = Duration::from_secs(300);
/// By then, ten renders are in progress.
const INCIDENT: Duration = Duration::from_secs(90);
const ROWS: usize = 54;

/// A batch whose renders all take five minutes, with the default limits.
fn batch_of_equal_renders() -> Simulation {
    let mut setup = SimulationSetup::without_faults(1);
    (setup.rows, setup.submission_mode) = (ROWS, SubmissionMode::TwoStep);
    setup.limits = BatchLimits { canary: 0, ..BatchLimits::default() };
    setup.behavior.render_time = (RENDER_TIME, RENDER_TIME + Duration::from_secs(1));
    setup.behavior.response_time = Duration::from_millis(400);
    setup.behavior.visibility_lag = Duration::ZERO;
    setup.vendor = Default::default();
    Simulation::new(setup, None, true)
}

/// Checks that every row has its one video.
fn assert_all_done(simulation: &Simulation, what: &str) {
    let studio = simulation.studio.clone();
    let mut studio = studio.lock().unwrap();
    oracle::check_final_state(simulation, &mut studio);
    assert!(studio.violations.is_empty(), "{what}: {:?}", studio.violations);
    assert_eq!(studio.billed_renders.len(), ROWS, "{what}");
}

fn undisturbed_duration() -> Duration {
    let mut simulation = batch_of_equal_renders();
    let duration = simulation.run(RunScenario::default());
    assert_all_done(&simulation, "undisturbed");
    duration
}

fn crash_and_continue(simulation: &mut Simulation, downtime: Duration) -> Duration {
    let crashing = RunScenario {
        crash_after: Some(INCIDENT),
        downtime: Some(downtime),
        ..RunScenario::default()
    };
    simulation.run(crashing)
}

#[test]
fn run_after_any_downtime_takes_no_longer_than_an_undisturbed_one() {
    let allowed = undisturbed_duration().mul_f64(1.1);
    for minutes in [0, 1, 3, 10, 60, 9 * 60, 7 * 24 * 60] {
        let mut simulation = batch_of_equal_renders();
        let before = crash_and_continue(&mut simulation, Duration::from_secs(60 * minutes));
        assert_eq!(before, INCIDENT);
        let after = simulation.run(RunScenario::default());
        assert_all_done(&simulation, &format!("{minutes} min"));
        assert!(before + after <= allowed, "{minutes} min down: {before:?} + {after:?}");
    }
}

#[test]
fn run_after_an_outage_is_as_fast_as_before() {
    let allowed = undisturbed_duration().mul_f64(1.1);
    for minutes in [1, 5, 12] {
        let outage = Duration::from_secs(60 * minutes);
        let mut simulation = batch_of_equal_renders();
        let begins = simulation.now + INCIDENT;
        simulation.studio.lock().unwrap().outage = Some(begins..begins + outage);
        let duration = simulation.run(RunScenario::default());
        assert_all_done(&simulation, &format!("{minutes} min"));
        assert!(duration <= allowed + outage, "an outage of {minutes} min: {duration:?}");
    }
}

#[test]
fn wall_clock_that_is_set_delays_and_fails_nothing() {
    let allowed = undisturbed_duration().mul_f64(1.1);
    for hours in [9, -9, 24 * 365, -24 * 365] {
        let mut simulation = batch_of_equal_renders();
        let wall_jump = Some(WallJump { after: INCIDENT, by: SignedDuration::from_hours(hours) });
        let duration = simulation.run(RunScenario { wall_jump, ..RunScenario::default() });
        assert_all_done(&simulation, &format!("{hours} h"));
        assert!(duration <= allowed, "set by {hours} h: {duration:?}");
    }
}

#[test]
fn wall_clock_that_was_wrong_in_the_run_before_delays_and_fails_nothing() {
    let allowed = undisturbed_duration().mul_f64(1.1);
    for hours in [9, -9, 24 * 365, -24 * 365] {
        let mut simulation = batch_of_equal_renders();
        simulation.wall_offset = SignedDuration::from_hours(hours);
        let before = crash_and_continue(&mut simulation, Duration::from_secs(1));
        simulation.wall_offset = SignedDuration::ZERO;
        let after = simulation.run(RunScenario::default());
        assert_all_done(&simulation, &format!("{hours} h"));
        assert!(before + after <= allowed, "wrong by {hours} h: {before:?} + {after:?}");
    }
}
