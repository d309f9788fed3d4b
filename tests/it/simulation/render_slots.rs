//! Measures a run without faults: how busy render slots are while rows wait, how many polls a video
//! takes, and how late the end of a render is detected.
//!
//! `cargo test --test it simulation::render_slots -- --nocapture` prints the figures. Time is
//! simulated, so they are the same on every machine.

use std::time::Duration;

use callsheet::batch::{BatchLimits, SubmissionMode};

use super::scenario::simulate;
use super::setup::SimulationSetup;
use super::studio_records::BilledRender;

/// The metrics of a run with renders of one to ten random minutes.
struct SlotMetrics {
    /// The fraction of all slots' time that was spent rendering while rows waited.
    busy_share: f64,
    polls_per_video: f64,
    /// How late an end was detected, as a fraction of the render's length: mean and maximum.
    detection_delay: (f64, f64),
}

fn measure_slots(mode: SubmissionMode, rows: usize) -> SlotMetrics {
    let mut setup = SimulationSetup::without_faults(1);
    (setup.rows, setup.submission_mode) = (rows, mode);
    // The default limits.
    setup.limits = BatchLimits::default();
    setup.behavior.render_time = (Duration::from_secs(60), Duration::from_secs(600));
    setup.behavior.response_time = Duration::from_millis(400);
    setup.behavior.visibility_lag = Duration::ZERO;
    setup.vendor = Default::default();
    let slots = setup.limits.in_flight.get();
    let canary = setup.limits.canary as usize;
    let result = simulate(setup, None, false);
    assert!(result.violations.is_empty(), "{:?}", result.violations);
    assert_eq!(result.billed_renders.len(), rows);
    // The canary renders alone, on purpose; after it the slots are available to all rows.
    slot_metrics(&result.billed_renders[canary..], f64::from(slots))
}

fn slot_metrics(bills: &[BilledRender], slots: f64) -> SlotMetrics {
    let seconds =
        |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_secs_f64();
    let (first, last) = (bills[0].started_at, bills[bills.len() - 1].started_at);
    let mut rendered = 0.0;
    let mut polls = 0;
    let mut late = Vec::new();
    for bill in bills {
        let (ends, noticed) = (bill.ends_at.unwrap(), bill.noticed_at.unwrap());
        rendered += seconds(bill.started_at, ends.min(last));
        polls += bill.polls;
        late.push(seconds(ends, noticed) / seconds(bill.started_at, ends));
    }
    let count = bills.len() as f64;
    SlotMetrics {
        busy_share: rendered / (slots * seconds(first, last)),
        polls_per_video: f64::from(polls) / count,
        detection_delay: (late.iter().sum::<f64>() / count, late.into_iter().fold(0.0, f64::max)),
    }
}

#[test]
fn render_slots_stay_busy_and_need_few_polls() {
    for mode in [SubmissionMode::TwoStep, SubmissionMode::OneStep] {
        let SlotMetrics { busy_share: busy, polls_per_video, detection_delay: (late, latest) } =
            measure_slots(mode, 120);
        #[expect(clippy::print_stdout, reason = "the figures that are published")]
        {
            println!(
                "{mode:?}: slots {:.1} % busy while rows wait, {polls_per_video:.1} polls per video, \
                 ends detected {:.1} % of the render's length late, at most {:.1} %",
                100.0 * busy,
                100.0 * late,
                100.0 * latest,
            );
        }
        assert!(busy >= 0.95, "{mode:?}: slots were busy for {busy:.3} of their time");
        assert!(polls_per_video <= 8.0, "{mode:?}: {polls_per_video:.1} polls per video");
        assert!(late <= 0.05, "{mode:?}: ends were detected {late:.3} of their length late");
    }
}
