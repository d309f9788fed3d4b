//! The bug zoo: known sins, each of which the oracle must see. An oracle that misses one of them
//! would let it pass in the runner as well.

use std::time::Duration;

use callsheet::batch::{OnUncertain, Submission};

use super::night::night;
use super::setup::{Again, ExportId, Fault, Setup, Shows};

/// What a wrong runner, or a studio beyond the promise's bounds, would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sin {
    /// A lost answer to a paid request counts as not sent.
    SendsAgainBlindly,
    /// A "slow down" counts as not sent.
    HearsNoSlowDown,
    /// Absence from a list that shows only old work counts as absence.
    SeesOldListsOnly,
    /// A render under way counts as failed.
    SeesFailures,
    /// Another project's video is brought home.
    BringsAnotherFilm,
    /// The quiet wait is over before what is late arrives.
    DoesNotWait,
    /// More renders at once than the batch allows.
    KeepsNoLimit,
    /// A row of the sheet never reaches the ledger.
    LosesARow,
    /// A file under a final name is cut short.
    CutsAFile,
}

/// Returns what the oracle said, in these `words`, of the first night on which it saw `sin`.
fn seen(sin: Sin, words: &str, change: impl Fn(&mut Setup)) -> Option<String> {
    (0..60).find_map(|seed| {
        let mut setup = Setup::fair(seed);
        setup.rows = setup.rows.max(4);
        change(&mut setup);
        let wrongs = night(setup, Some(sin), false).wrongs;
        wrongs.into_iter().find(|wrong| wrong.contains(words))
    })
}

fn is_seen(sin: Sin, words: &str, change: impl Fn(&mut Setup)) {
    assert!(seen(sin, words, change).is_some(), "the oracle did not see {sin:?}");
}

#[test]
fn paying_again_for_a_lost_answer_is_seen() {
    is_seen(Sin::SendsAgainBlindly, "paid twice", |setup| {
        setup.faults = vec![(Fault::LostAfter, 0.3)];
        setup.habits.again = Again::Renders;
    });
}

#[test]
fn asking_before_retry_after_is_over_is_seen() {
    is_seen(Sin::HearsNoSlowDown, "before Retry-After", |setup| {
        setup.faults = vec![(Fault::SlowDown, 0.3)];
    });
}

#[test]
fn believing_an_old_list_is_seen() {
    is_seen(Sin::SeesOldListsOnly, "paid twice", |setup| {
        setup.faults = vec![(Fault::LostAfter, 0.3)];
        (setup.way, setup.on_uncertain) = (Submission::OneStep, OnUncertain::Resubmit);
    });
}

#[test]
fn taking_a_render_under_way_for_failed_is_seen() {
    is_seen(Sin::SeesFailures, "paid twice", |setup| setup.limits.rerenders = 2);
}

#[test]
fn another_rows_video_is_seen() {
    is_seen(Sin::BringsAnotherFilm, "not the video", |_| ());
}

#[test]
fn a_quiet_wait_that_is_too_short_is_seen() {
    is_seen(Sin::DoesNotWait, "paid twice", |setup| {
        setup.faults = vec![(Fault::Late, 0.3)];
        setup.habits.late_max = Duration::from_secs(600);
        setup.habits.again = Again::Renders;
        setup.on_uncertain = OnUncertain::Resubmit;
    });
}

/// The limit of the promise that no client can lift: an export under another id, in a list that
/// shows only what is finished, leaves no trace before its end.
#[test]
fn a_render_without_a_trace_that_outlasts_the_quiet_wait_is_seen() {
    is_seen(Sin::DoesNotWait, "paid twice", |setup| {
        setup.faults = vec![(Fault::LostAfter, 0.3)];
        setup.habits.shows = Shows::Finished;
        setup.habits.export_id = ExportId::New;
        setup.habits.again = Again::Renders;
        setup.habits.renders_in = (Duration::from_secs(300), Duration::from_secs(900));
        (setup.way, setup.on_uncertain) = (Submission::TwoStep, OnUncertain::Settle);
    });
}

#[test]
fn more_renders_at_once_than_allowed_are_seen() {
    is_seen(Sin::KeepsNoLimit, "renders under way", |setup| setup.limits.canary = 0);
}

#[test]
fn a_row_that_is_lost_is_seen() {
    is_seen(Sin::LosesARow, "lost", |_| ());
}

#[test]
fn a_file_that_is_not_whole_is_seen() {
    is_seen(Sin::CutsAFile, "not whole", |_| ());
}
