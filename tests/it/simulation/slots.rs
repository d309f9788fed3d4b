//! A night on which nothing goes wrong, measured: are render slots busy while rows wait, what does
//! watching cost, and how late is the end of a render noticed?
//!
//! `cargo test --test it simulation::slots -- --nocapture` prints the figures. Time is simulated, so
//! they are the same on every machine.

use std::time::Duration;

use callsheet::batch::{Limits, Submission};

use super::night::night;
use super::setup::Setup;
use super::world::Bill;

/// What a night of renders of one to ten minutes came to, which nothing foretells.
struct Figures {
    /// The part of all slots' time that was spent rendering while rows waited.
    busy: f64,
    polls_a_video: f64,
    /// How late an end was noticed, in parts of the render's length: on average, and at worst.
    late: (f64, f64),
}

fn measured(way: Submission, rows: usize) -> Figures {
    let mut setup = Setup::fair(1);
    (setup.rows, setup.way) = (rows, way);
    // The limits of a batch file that says nothing of them.
    setup.limits = Limits::default();
    setup.habits.renders_in = (Duration::from_secs(60), Duration::from_secs(600));
    setup.habits.answers_in = Duration::from_millis(400);
    setup.habits.lag = Duration::ZERO;
    setup.vendor = Default::default();
    let slots = setup.limits.in_flight.get();
    let canary = setup.limits.canary as usize;
    let verdict = night(setup, None, false);
    assert!(verdict.wrongs.is_empty(), "{:?}", verdict.wrongs);
    assert_eq!(verdict.bills.len(), rows);
    // The canary goes first and alone, on purpose; after it the slots belong to the rows.
    figures(&verdict.bills[canary..], f64::from(slots))
}

fn figures(bills: &[Bill], slots: f64) -> Figures {
    let seconds =
        |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_secs_f64();
    let (first, last) = (bills[0].began, bills[bills.len() - 1].began);
    let mut rendered = 0.0;
    let mut polls = 0;
    let mut late = Vec::new();
    for bill in bills {
        let (ends, noticed) = (bill.ends.unwrap(), bill.noticed.unwrap());
        rendered += seconds(bill.began, ends.min(last));
        polls += bill.polls;
        late.push(seconds(ends, noticed) / seconds(bill.began, ends));
    }
    let count = bills.len() as f64;
    Figures {
        busy: rendered / (slots * seconds(first, last)),
        polls_a_video: f64::from(polls) / count,
        late: (late.iter().sum::<f64>() / count, late.into_iter().fold(0.0, f64::max)),
    }
}

#[test]
fn render_slots_are_busy_while_rows_wait_and_watching_them_costs_little() {
    for way in [Submission::TwoStep, Submission::OneStep] {
        let Figures { busy, polls_a_video, late: (late, latest) } = measured(way, 120);
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
