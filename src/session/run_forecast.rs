//! What a run of a planned batch will do: whether its problems or its changes stop it, how many
//! videos it submits at most, what they cost, and how long it takes.
//!
//! Invariant: a plan that needs a confirmation of its own stops every batch of the session, whatever
//! else the user confirmed, before anything is spent.

use jiff::tz::TimeZone;

use crate::clock::start_of_utc_day;
use crate::plan::RenderEstimate;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::prepare::{PlannedBatch, SessionContext};
use crate::session::run_request::RunRequest;
use crate::session::run_stop::{stop_for_confirmation, stop_for_invalid_rows};

/// The forecast of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunForecast {
    pub(crate) estimate: RenderEstimate,
    pub(crate) start: RunStart,
}

/// How a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunStart {
    /// The batch is paused: nothing is submitted.
    Paused,
    /// The time window is closed, for this reason: nothing is submitted.
    WindowClosed { reason: String },
    /// At most this many videos are submitted.
    Submits { videos: u64, is_rehearsal: bool },
}

/// What the runs of a session spend at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExpectedSpending {
    pub(crate) videos: u64,
    /// Their estimated price.
    pub(crate) credits: f64,
    /// Those that are paid for already and changed.
    pub(crate) paid_again: u64,
    /// The credits that the caps of the only batch leave.
    pub(crate) credits_left: Option<f64>,
    /// What the user should know before: videos that would be identical.
    pub(crate) remarks: Vec<String>,
}

impl ExpectedSpending {
    /// Adds the spending of another batch. Several batches have no common rest of their caps.
    fn add(&mut self, other: Self) {
        self.videos += other.videos;
        self.credits += other.credits;
        self.paid_again += other.paid_again;
        self.credits_left = None;
        self.remarks.extend(other.remarks);
    }
}

/// How the user can fix invalid rows that stop a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidRowsFix {
    /// Only in the sheet: hidden rows cannot be skipped.
    Sheet,
    /// In the rows; or skip them.
    RowsOrSkip,
    /// In the rows, or by another `file` in the batch file.
    RowsOrFile,
}

impl RunForecast {
    /// Returns how many videos the run submits at most.
    fn submits(&self) -> u64 {
        match self.start {
            RunStart::Submits { videos, .. } => videos,
            RunStart::Paused | RunStart::WindowClosed { .. } => 0,
        }
    }
}

/// Reports the plans and the problems of all batches. Returns what the runs spend at most.
pub(crate) async fn forecast_all(
    batches: &[PlannedBatch],
    request: &RunRequest,
    context: SessionContext<'_>,
) -> Result<ExpectedSpending, CommandError> {
    let (mut total, mut exits) = (None::<ExpectedSpending>, Vec::new());
    for batch in batches {
        let observer = match batches.len() {
            1 => context.observer.clone(),
            _ => context.observer.for_batch(batch.name()),
        };
        let context = SessionContext { observer: &observer, ..context };
        match forecast_one(batch, request, context) {
            Ok(forecast) => {
                let spending = expected_spending(batch, &forecast, context).await?;
                match &mut total {
                    Some(total) => total.add(spending),
                    None => total = Some(spending),
                }
            }
            Err(exit) => exits.push(exit),
        }
    }
    match exits.is_empty() {
        true => Ok(total.unwrap_or_default()),
        false => Err(CommandError::Reported(ExitReason::most_severe(exits))),
    }
}

/// Returns what one run spends at most.
async fn expected_spending(
    planned: &PlannedBatch,
    forecast: &RunForecast,
    context: SessionContext<'_>,
) -> Result<ExpectedSpending, CommandError> {
    let videos = forecast.submits();
    let review = &planned.plan.review;
    let limits = &planned.locked.batch.limits;
    let mut left = limits.max_credits;
    if let Some(cap) = limits.max_credits_per_day {
        let since = start_of_utc_day(context.clock.now());
        let host = &planned.locked.target.stored_host;
        let today = (cap - context.ledger.credits_spent_since(host, since).await?).max(0.0);
        left = Some(left.map_or(today, |left| left.min(today)));
    }
    Ok(ExpectedSpending {
        videos,
        credits: forecast.estimate.credits_for(videos),
        paid_again: review.paid_again_selected.min(videos),
        credits_left: left,
        remarks: review.identical_message().into_iter().collect(),
    })
}

fn forecast_one(
    planned: &PlannedBatch,
    request: &RunRequest,
    context: SessionContext<'_>,
) -> Result<RunForecast, ExitReason> {
    let (plan, batch) = (&planned.plan, &planned.locked.batch);
    planned.locked.report.list_problems(plan.problems.kept().iter().map(ToString::to_string));
    if !plan.is_clean() {
        report_invalid_rows(planned, request, context.observer)?;
    }
    let retries = request.options.retry_failed.then(|| plan.counts.with_retries());
    let counts = retries.as_ref().unwrap_or(&plan.counts);
    let estimate = RenderEstimate::from_counts(counts, &batch.limits, plan.credits_per_minute);
    let now = context.clock.now().to_zoned(TimeZone::system());
    let window = request.window.resolve(batch.window.as_ref(), &now);
    let start = match window.closed_reason {
        // The run reports the pause itself.
        _ if planned.is_paused => RunStart::Paused,
        Some(reason) => RunStart::WindowClosed { reason },
        None => RunStart::Submits {
            videos: cap_videos(estimate.videos, [request.options.limit, batch.limits.max_videos]),
            is_rehearsal: planned.locked.target.is_rehearsal(),
        },
    };
    let forecast = RunForecast { estimate, start };
    context.observer.notify(SessionEvent::Planned { batch, plan, forecast: &forecast });
    match plan.review.confirmation.filter(|_| !request.accepts_changes) {
        None => Ok(forecast),
        Some(_) => {
            let report = &planned.locked.report;
            let messages = plan.review.messages(plan.credits_per_minute);
            report.record_stop(stop_for_confirmation(messages.first()));
            report.list_problems(messages);
            context.observer.notify(SessionEvent::ConfirmationNeeded { batch, plan });
            Err(ExitReason::CapReached)
        }
    }
}

/// Reports invalid rows. Returns an error if they stop the run.
fn report_invalid_rows(
    planned: &PlannedBatch,
    request: &RunRequest,
    observer: &SessionObserver,
) -> Result<(), ExitReason> {
    let (plan, batch) = (&planned.plan, &planned.locked.batch);
    let has_hidden_rows = plan.problems.has_hidden_rows();
    // Two rows with one file are both valid: skipping would leave out neither.
    let has_shared_files = plan.problems.has_shared_files();
    let has_invalid_rows = plan.counts.invalid > 0;
    let can_continue =
        request.skip_invalid && !has_hidden_rows && !has_shared_files && has_invalid_rows;
    let can_skip = has_invalid_rows && !has_shared_files && !request.skip_invalid;
    let fix = match (can_continue, has_hidden_rows, can_skip) {
        (true, _, _) => None,
        (false, true, _) => Some(InvalidRowsFix::Sheet),
        (false, false, true) => Some(InvalidRowsFix::RowsOrSkip),
        (false, false, false) => Some(InvalidRowsFix::RowsOrFile),
    };
    observer.notify(SessionEvent::RowsInvalid { batch, plan, fix });
    if fix.is_none() {
        return Ok(());
    }
    planned.locked.report.record_stop(stop_for_invalid_rows(&plan.problems));
    Err(ExitReason::Input)
}

/// Returns how many of `videos` one run may submit.
pub(super) fn cap_videos(videos: u64, limits: [Option<u32>; 2]) -> u64 {
    limits.into_iter().flatten().map(u64::from).fold(videos, u64::min)
}

#[cfg(test)]
mod tests {
    use crate::session::run_forecast::*;

    #[test]
    fn the_user_is_asked_for_no_more_videos_than_the_run_may_submit() {
        for (limits, videos) in [
            ([None, None], 12),
            ([Some(2), None], 2),
            ([None, Some(3)], 3),
            ([Some(5), Some(3)], 3),
            ([Some(20), None], 12),
            ([Some(0), Some(3)], 0),
        ] {
            assert_eq!(cap_videos(12, limits), videos, "{limits:?}");
        }
    }
}
