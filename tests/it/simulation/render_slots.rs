//! A night on which nothing goes wrong, measured: are render slots busy while rows wait, what does
//! watching cost, and how late is the end of a render noticed?
//!
//! `cargo test --test it simulation::slots -- --nocapture` prints the figures. Time is simulated, so
//! they are the same on every machine.

use std::time::Duration;

use callsheet::batch::{BatchLimits, SubmissionMode};

use super::scenario::simulate;
use super::setup::SimulationSetup;
use super::studio_records::BilledRender;

/// What a night of renders of one to ten minutes came to, which nothing foretells.
struct SlotMetrics {
    /// The part of all slots' time that was spent rendering while rows waited.
    busy_share: f64,
    polls_per_video: f64,
    /// How late an end was noticed, in parts of the render's length: on average, and at worst.
    detection_delay: (f64, f64),
}

fn measure_slots(way: SubmissionMode, rows: usize) -> SlotMetrics {
    let mut setup = SimulationSetup::without_faults(1);
    (setup.rows, setup.submission_mode) = (rows, way);
    // The limits of a batch file that says nothing of them.
    setup.limits = BatchLimits::default();
    setup.behavior.render_time = (Duration::from_secs(60), Duration::from_secs(600));
    setup.behavior.response_time = Duration::from_millis(400);
    setup.behavior.visibility_lag = Duration::ZERO;
    setup.vendor = Default::default();
    let slots = setup.limits.in_flight.get();
    let canary = setup.limits.canary as usize;
    let verdict = simulate(setup, None, false);
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(verdict.billed_renders.len(), rows);
    // The canary goes first and alone, on purpose; after it the slots belong to the rows.
    slot_metrics(&verdict.billed_renders[canary..], f64::from(slots))
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
    for way in [SubmissionMode::TwoStep, SubmissionMode::OneStep] {
        let SlotMetrics {
            busy_share: busy,
            polls_per_video: polls_a_video,
            detection_delay: (late, latest),
        } = measure_slots(way, 120);
        #[expect(clippy::print_stdout, reason = "the figures that are published")]
        {
            println!(
                "{way:?}: slots {:.1} % busy while rows wait, {polls_a_video:.1} polls a video, an \
                 end noticed {:.1} % of its length late, at most {:.1} %",
                100.0 * busy,
                100.0 * late,
                100.0 * latest,
            );
        }
        assert!(busy >= 0.95, "{way:?}: slots were busy for {busy:.3} of their time");
        assert!(polls_a_video <= 8.0, "{way:?}: {polls_a_video:.1} polls a video");
        assert!(late <= 0.05, "{way:?}: ends were noticed {late:.3} of their length late");
    }
}
