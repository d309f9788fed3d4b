//! Seeded bugs: deliberate defects, each of which the oracle must detect. An oracle that misses one of
//! them would miss it in the runner as well.

use std::time::Duration;

use callsheet::batch::{OnUncertain, SubmissionMode};

use super::scenario::simulate;
use super::setup::{
    ListVisibility, RepeatedExport, SimulatedExportId, SimulatedFault, SimulationSetup,
};

/// The behavior of a defective runner, or of a studio beyond the documented bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeededBug {
    /// A lost response to a paid request counts as not sent.
    ResendsUnknown,
    /// A "too many requests" counts as not sent.
    IgnoresRetryAfter,
    /// Absence from a list that shows only old projects counts as proof.
    TrustsOldLists,
    /// A render in progress counts as failed.
    TreatsRunningAsFailed,
    /// Another project's video is downloaded.
    DownloadsWrongVideo,
    /// The quiet wait is shorter than the delay of a late request.
    ShortensQuietWait,
    /// More renders at once than the batch allows.
    ExceedsInFlightLimit,
    /// A row of the sheet never reaches the ledger.
    DropsRow,
    /// A file with a final name is truncated.
    TruncatesVideo,
}

/// Returns the first violation containing `words` that the oracle reports for `sin`.
fn first_detection(
    bug: SeededBug,
    message: &str,
    change: impl Fn(&mut SimulationSetup),
) -> Option<String> {
    (0..60).find_map(|seed| {
        let mut setup = SimulationSetup::without_faults(seed);
        setup.rows = setup.rows.max(4);
        change(&mut setup);
        let violations = simulate(setup, Some(bug), false).violations;
        violations.into_iter().find(|violation| violation.contains(message))
    })
}

fn assert_detected(bug: SeededBug, message: &str, change: impl Fn(&mut SimulationSetup)) {
    assert!(first_detection(bug, message, change).is_some(), "the oracle did not detect {bug:?}");
}

#[test]
fn oracle_detects_a_second_payment_after_a_lost_response() {
    assert_detected(SeededBug::ResendsUnknown, "paid twice", |setup| {
        setup.faults = vec![(SimulatedFault::ResponseLost, 0.3)];
        setup.behavior.repeated_export = RepeatedExport::Renders;
    });
}

#[test]
fn oracle_detects_a_request_before_retry_after() {
    assert_detected(SeededBug::IgnoresRetryAfter, "before Retry-After", |setup| {
        setup.faults = vec![(SimulatedFault::SlowDown, 0.3)];
    });
}

#[test]
fn oracle_detects_trust_in_an_outdated_list() {
    assert_detected(SeededBug::TrustsOldLists, "paid twice", |setup| {
        setup.faults = vec![(SimulatedFault::ResponseLost, 0.3)];
        (setup.submission_mode, setup.on_uncertain) =
            (SubmissionMode::OneStep, OnUncertain::Resubmit);
    });
}

#[test]
fn oracle_detects_a_running_render_taken_for_failed() {
    assert_detected(SeededBug::TreatsRunningAsFailed, "paid twice", |setup| {
        setup.limits.rerenders = 2;
    });
}

#[test]
fn oracle_detects_another_rows_video() {
    assert_detected(SeededBug::DownloadsWrongVideo, "not the video", |_| ());
}

#[test]
fn oracle_detects_a_short_quiet_wait() {
    assert_detected(SeededBug::ShortensQuietWait, "paid twice", |setup| {
        setup.faults = vec![(SimulatedFault::ActedLate, 0.3)];
        setup.behavior.act_delay_max = Duration::from_secs(600);
        setup.behavior.repeated_export = RepeatedExport::Renders;
        setup.on_uncertain = OnUncertain::Resubmit;
    });
}

/// A limit that no client can avoid: an export under another id, in a list of finished projects only,
/// is invisible until its end.
#[test]
fn oracle_detects_an_invisible_render_that_outlasts_the_quiet_wait() {
    assert_detected(SeededBug::ShortensQuietWait, "paid twice", |setup| {
        setup.faults = vec![(SimulatedFault::ResponseLost, 0.3)];
        setup.behavior.list_visibility = ListVisibility::Finished;
        setup.behavior.export_id = SimulatedExportId::New;
        setup.behavior.repeated_export = RepeatedExport::Renders;
        setup.behavior.render_time = (Duration::from_secs(300), Duration::from_secs(900));
        (setup.submission_mode, setup.on_uncertain) =
            (SubmissionMode::TwoStep, OnUncertain::Settle);
    });
}

#[test]
fn oracle_detects_too_many_renders_in_flight() {
    assert_detected(SeededBug::ExceedsInFlightLimit, "renders in flight", |setup| {
        setup.limits.canary = 0;
    });
}

#[test]
fn oracle_detects_a_lost_row() {
    assert_detected(SeededBug::DropsRow, "lost", |_| ());
}

#[test]
fn oracle_detects_a_truncated_video() {
    assert_detected(SeededBug::TruncatesVideo, "not complete", |_| ());
}
