//! The words for what a run does: the line of each event, and the counts of a progress line.
//!
//! Pure. Which lines are printed, and where, is decided by `run_progress`. Invariant: what a vendor or a
//! file has said is printed without control characters.

use std::time::Duration;

use crate::ledger::{JobState, RecoveredWork};
use crate::runner::{CONFIRMED_PREFIX, DECLINED_PREFIX, RunEvent};
use crate::session::event::JobStateCounts;
use crate::text;
use crate::text::{format_duration, strip_control};

/// What the lines of a run's events depend on.
pub(super) struct EventLines<'l> {
    /// Whether bars show the renders, which then have no lines.
    pub(super) has_bars: bool,
    pub(super) done: u64,
    pub(super) total: u64,
    /// Quiet wait for an uncertain job; `None` if the run does not wait for it.
    pub(super) quiet_wait: Option<Duration>,
    /// The command that continues the batch if it is paused.
    pub(super) unpause_command: &'l str,
}

impl EventLines<'_> {
    /// Returns the line for an event, or `None` if there is none or a bar shows it.
    pub(super) fn for_event(&self, event: &RunEvent) -> Option<String> {
        let bars = self.has_bars;
        let count = || format!("[{}/{}]", self.done, self.total);
        match event {
            RunEvent::Started { drafts_lost, uncertain, .. } if drafts_lost + uncertain > 0 => {
                let work = RecoveredWork { drafts_lost: *drafts_lost, uncertain: *uncertain };
                Some(cut_off_line(work, &self.quiet_wait_note()))
            }
            RunEvent::Rendering { key, project_id, is_found: true } => Some(format!(
                "{} {}: found at AI Studios as {project_id}: its request had arrived, and is not sent again",
                count(),
                text::display_key(key)
            )),
            RunEvent::Rendering { key, project_id, is_found: false } if !bars => {
                Some(format!("{} {}: rendering as {project_id}", count(), text::display_key(key)))
            }
            RunEvent::Done { key, file } if !bars => Some(format!(
                "{} {}: done, {}",
                count(),
                text::display_key(key),
                strip_control(file)
            )),
            RunEvent::Retry { key, message, .. } => {
                Some(format!("{}: {}", text::display_key(key), describe_retry(message)))
            }
            RunEvent::Uncertain { key, message } => Some(format!(
                "{}: {}; {}",
                text::display_key(key),
                strip_control(message),
                self.quiet_wait_note()
            )),
            RunEvent::Failed { key, message } => {
                Some(format!("{}: failed: {}", text::display_key(key), strip_control(message)))
            }
            RunEvent::RateLimited { until } => {
                Some(format!("rate limited by AI Studios until {until:.0}"))
            }
            RunEvent::Waiting { message } => Some(message.clone()),
            RunEvent::Alarm { message } => Some(format!("warning: {}", strip_control(message))),
            RunEvent::Halted { message } => {
                Some(format!("submitting stopped: {}", strip_control(message)))
            }
            RunEvent::Paused => Some(format!(
                "paused: renders in progress are still downloaded; nothing new is submitted until \
                 `{}`",
                self.unpause_command
            )),
            RunEvent::Unpaused => Some("unpaused: continuing".into()),
            RunEvent::RequestEnded { action, requester, message, .. } => Some(format!(
                "{action} requested by {}: {}",
                strip_control(requester),
                strip_control(message)
            )),
            RunEvent::Draining => Some("stopping after open requests (Ctrl-C again: now)".into()),
            RunEvent::Generating { key, progress } if !bars && *progress == 0.0 => {
                Some(format!("{} {}: making the draft", count(), text::display_key(key)))
            }
            RunEvent::Started { .. }
            | RunEvent::Drafted { .. }
            | RunEvent::Generating { .. }
            | RunEvent::Rendering { .. }
            | RunEvent::Progress { .. }
            | RunEvent::Rendered { .. }
            | RunEvent::Downloading { .. }
            | RunEvent::DownloadAgain { .. }
            | RunEvent::Done { .. } => None,
        }
    }

    /// Returns how the run deals with an uncertain job.
    fn quiet_wait_note(&self) -> String {
        match self.quiet_wait {
            Some(wait) => {
                let wait = format_duration(wait);
                format!("checking AI Studios; sent again in about {wait} if it has no trace of it")
            }
            None => "the next run checks AI Studios before it is sent again".to_owned(),
        }
    }
}

/// Returns the line about the work of a run that was cut off.
fn cut_off_line(work: RecoveredWork, quiet_wait_note: &str) -> String {
    let RecoveredWork { drafts_lost, uncertain } = work;
    let drafts = (drafts_lost > 0).then(|| format!("{drafts_lost} to draft again"));
    let uncertain = (uncertain > 0).then(|| format!("{uncertain} uncertain, {quiet_wait_note}"));
    let parts: Vec<String> = [drafts, uncertain].into_iter().flatten().collect();
    format!("the previous run was cut off: {}", parts.join("; "))
}

/// Returns why a step failed, and whether it is tried again at once.
fn describe_retry(message: &str) -> String {
    let is_declined = [DECLINED_PREFIX, CONFIRMED_PREFIX].iter().any(|it| message.starts_with(it));
    let suffix = if is_declined { "" } else { "; retrying" };
    format!("{}{suffix}", strip_control(message))
}

/// Returns the number of videos in each state but done, such as "3 rendering, 1 uncertain". Renders are
/// always named, also none: a run may wait for uncertain videos alone.
pub(super) fn describe_in_flight(counts: &JobStateCounts, left_for_later: u64) -> String {
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let ready = jobs(JobState::Ready).saturating_sub(left_for_later);
    let parts = [
        (jobs(JobState::Rendering), "rendering"),
        (jobs(JobState::Uncertain), "uncertain"),
        (jobs(JobState::Fetching), "downloading"),
        (ready + jobs(JobState::Submitting), "waiting"),
        (jobs(JobState::Failed), "failed"),
        (jobs(JobState::Cancelled), "cancelled"),
    ];
    let parts = parts.into_iter().filter(|(jobs, word)| *jobs > 0 || *word == "rendering");
    parts.map(|(jobs, word)| format!("{jobs} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_cut_off_is_described_without_zeros() {
        for (drafts_lost, uncertain, line) in [
            (2, 0, "2 to draft again"),
            (0, 15, "15 uncertain, checking"),
            (2, 15, "2 to draft again; 15 uncertain, checking"),
        ] {
            let shown = cut_off_line(RecoveredWork { drafts_lost, uncertain }, "checking");
            assert_eq!(shown, format!("the previous run was cut off: {line}"));
        }
    }

    #[test]
    fn jobs_in_flight_are_listed_by_state() {
        let counts = [
            (JobState::Rendering, 3),
            (JobState::Ready, 8),
            (JobState::Submitting, 1),
            (JobState::Failed, 2),
        ];
        let message = describe_in_flight(&JobStateCounts::from(counts), 1);
        assert_eq!(message, "3 rendering, 8 waiting, 2 failed");
    }
}
