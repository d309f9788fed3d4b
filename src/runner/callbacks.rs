//! A run's use of callbacks: the URLs that paid requests carry, what was received about a job, and
//! how far polling relies on it. Receiving callbacks is left to `webhook`.

use jiff::Timestamp;

use crate::aistudios::StudioApi;
use crate::ledger::{CallbackReport, DueJob, LedgerError, WebhookSecret};
use crate::runner::context::RunContext;

/// Returns the source of callback secrets, if the batch uses webhooks.
pub(super) fn secret_source<S: StudioApi>(
    run: &RunContext<S>,
) -> Option<fn() -> Option<WebhookSecret>> {
    Some(run.settings.webhook_urls.as_ref()?.secret_source())
}

/// Returns the callback URL with this secret, if the batch uses webhooks.
pub(super) fn webhook_url<S: StudioApi>(
    run: &RunContext<S>,
    secret: Option<&WebhookSecret>,
) -> Option<String> {
    Some(run.settings.webhook_urls.as_ref()?.url_for(secret?))
}

/// Stores one more secret for a submission whose request is resent.
pub(super) async fn add_callback_secret<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<Option<WebhookSecret>, LedgerError> {
    let Some(secret) = secret_source(run).and_then(|source| source()) else { return Ok(None) };
    run.lease.expect_callbacks(due.submission, &secret, run.clock.now()).await?;
    Ok(Some(secret))
}

/// Returns whether callbacks can be relied on to report the end of a render: as observed, or before
/// the first render as tested.
pub(super) fn has_working_callbacks<S: StudioApi>(run: &RunContext<S>) -> bool {
    let Some(urls) = &run.settings.webhook_urls else { return false };
    run.callback_health.observed().unwrap_or_else(|| urls.is_reachable())
}

/// Returns the callbacks received about a due job, if the batch uses webhooks.
pub(super) async fn callback_report<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<Option<CallbackReport>, LedgerError> {
    match run.settings.webhook_urls {
        Some(_) => run.ledger.callback_report(due.submission).await,
        None => Ok(None),
    }
}

/// Learns from a render in progress whether callbacks arrive; returns those received about it.
pub(super) async fn observe_callbacks<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<Option<CallbackReport>, LedgerError> {
    let report = callback_report(run, due).await?;
    if report.is_some() {
        run.callback_health.record(true);
    }
    Ok(report)
}

/// Learns from a finished render whether callbacks arrive.
pub(super) async fn observe_final_callback<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<(), LedgerError> {
    if run.settings.webhook_urls.is_some() {
        let report = callback_report(run, due).await?;
        run.callback_health.record(report.is_some());
    }
    Ok(())
}

/// Schedules another poll if a callback arrived while this one was open: the poll's record has
/// postponed the check that the callback requested.
pub(super) async fn recheck_after_callback<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    polled_at: Timestamp,
) -> Result<(), LedgerError> {
    let Some(CallbackReport { look_at: Some(at), .. }) = callback_report(run, due).await? else {
        return Ok(());
    };
    // The ledger's times are whole milliseconds.
    if at.as_millisecond() < polled_at.as_millisecond() {
        return Ok(());
    }
    run.lease.bring_check_forward(due.job, due.submission, at).await
}
