//! The run of one batch within a session: runs its loops, writes its reports, and summarizes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::aistudios::AiStudios;
use crate::batch::{Batch, BatchLimits, VideoResolution};
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, JobState, Ledger, LedgerError, RunStop, StopCause};
use crate::report;
use crate::report::WrittenResults;
use crate::runner;
use crate::runner::{
    BatchLock, FIRST_POLL_DELAY, Jitter, OutputMarker, RunInput, RunObserver, RunOptions,
    RunOutcome, RunSettings, StopSignal,
};
use crate::session::account::target;
use crate::session::account::target::RunTarget;
use crate::session::account_client::AccountClient;
use crate::session::batch_status::BatchStatus;
use crate::session::delivery::DeliveryLoop;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::files::output_dir;
use crate::session::open_projects::OpenProjects;
use crate::session::reports::report_page;
use crate::session::reports::run_report::{Finishing, RunReport};
use crate::session::run_forecast::cap_videos;
use crate::session::run_stop::{
    SubmissionsLeft, exit_reason, stop_for_halt, stop_for_outcome, stop_with_undelivered,
};
use crate::session::run_summary::{RunSummary, RunTotals};
use crate::session::signals::ShutdownSignals;
use crate::session::webhooks::{WebhookNeed, WebhookReceivers};

/// Returns what limits the videos of one run, as the user set it.
fn describe_run_limit(limit: Option<u32>, videos_max: Option<u32>) -> String {
    match (limit, videos_max) {
        (Some(limit), _) if videos_max.is_none_or(|max| limit <= max) => format!("--limit {limit}"),
        (_, Some(max)) => format!("max_videos = {max}"),
        (_, None) => "the limit of this run".to_owned(),
    }
}

/// Returns the caps on credits, as the user set them.
fn describe_credit_caps(limits: &BatchLimits) -> String {
    let run = limits.max_credits.map(|cap| format!("max_credits = {cap}"));
    let day = limits
        .max_credits_per_day
        .map(|cap| format!("max_credits_per_day = {cap} (a day begins at 00:00 UTC)"));
    run.into_iter().chain(day).collect::<Vec<_>>().join(" or ")
}

/// A batch that is ready to run.
pub(crate) struct BatchRun {
    pub(crate) batch: Batch,
    pub(crate) id: BatchId,
    pub(crate) lease: BatchLease,
    pub(crate) options: RunOptions,
    pub(crate) lock: BatchLock,
    pub(crate) target: Arc<RunTarget>,
    pub(crate) report: Arc<RunReport>,
}

/// What the runs of a session share.
pub(super) struct RunEnvironment<'s> {
    pub(super) ledger: &'s Ledger,
    pub(super) clock: &'s Clock,
    pub(super) observer: &'s SessionObserver,
    pub(super) signals: &'s ShutdownSignals,
    pub(super) stop: &'s StopSignal,
    pub(super) receivers: &'s WebhookReceivers,
    /// Whether the session has several batches, so that events name them.
    pub(super) has_several_batches: bool,
}

/// What follows the events of a run.
#[derive(Clone, Copy)]
struct RunObservers<'o> {
    observer: &'o SessionObserver,
    open_projects: &'o OpenProjects,
}

impl BatchRun {
    pub(super) fn output_dir(&self) -> PathBuf {
        output_dir::output_dir(&self.batch, self.target.is_rehearsal())
    }

    pub(super) fn output_marker(&self, ledger: &Ledger) -> OutputMarker {
        OutputMarker::new(&self.output_dir(), self.batch.name.as_str(), ledger)
    }

    /// Returns how many of the jobs that are ready this run will not submit: those that are not selected,
    /// and those above its limit of videos.
    pub(super) async fn count_left_for_later(&self, ledger: &Ledger) -> Result<u64, LedgerError> {
        let ready = ledger.count_ready(self.id, None).await?;
        let selected = match self.options.only {
            Some(_) => ledger.count_ready(self.id, self.options.only).await?,
            None => ready,
        };
        let limits = [self.options.limit, self.batch.limits.max_videos];
        Ok(ready.saturating_sub(cap_videos(selected, limits)))
    }

    pub(super) fn webhook_need(&self, has_receiver: bool) -> WebhookNeed<'_> {
        WebhookNeed {
            batch: self.batch.name.as_str(),
            settings: self.batch.webhook.as_ref(),
            is_rehearsal: self.target.is_rehearsal(),
            has_receiver,
        }
    }

    /// Runs the batch until nothing is left to do, and writes its reports.
    pub(super) async fn run(
        self,
        account: &AccountClient,
        environment: &RunEnvironment<'_>,
    ) -> ExitReason {
        let observer = match environment.has_several_batches {
            true => environment.observer.for_batch(self.batch.name.as_str()),
            false => environment.observer.clone(),
        };
        let (exit, error) = match self.execute(account, environment, &observer).await {
            Ok(exit) => (exit, None),
            Err(error) => (error.exit(), Some(error)),
        };
        if let Some(message) = error.as_ref().and_then(CommandError::message) {
            observer.notify(SessionEvent::Failed { message });
        }
        let finishing =
            Finishing { observer: &observer, clock: environment.clock, stop: environment.stop };
        let summary = self.report.finish_run(exit, error.as_ref(), finishing).await;
        if environment.has_several_batches {
            observer.notify(SessionEvent::BatchFinished { summary: &summary });
        }
        // From here on the operator can use this batch, while others still run.
        drop(self.lock);
        exit
    }

    async fn execute(
        &self,
        account: &AccountClient,
        environment: &RunEnvironment<'_>,
        observer: &SessionObserver,
    ) -> Result<ExitReason, CommandError> {
        let (ledger, open_projects) = (environment.ledger, OpenProjects::default());
        let input = self.run_input(
            account,
            environment,
            RunObservers { observer, open_projects: &open_projects },
        );
        if self.batch.review.sample {
            let settings = sample_settings(&self.batch);
            self.lease.begin_sample(settings, environment.clock.now()).await?;
        }
        let run_ended = CancellationToken::new();
        let running = async {
            let outcome = tokio::select! {
                outcome = runner::run_batch(input) => outcome,
                never = self.report.keep_metrics_current(ledger) => match never {},
            };
            run_ended.cancel();
            outcome
        };
        let handing_over = self.hand_over(environment, observer, &run_ended);
        let (outcome, undelivered) = tokio::join!(running, handing_over);
        observer.notify(SessionEvent::RunEnded);
        let outcome = match outcome {
            // The ledger cannot be read, or another run took the batch over and writes the reports.
            Ok(RunOutcome { halt: Some(halt), .. }) if halt.is_of_ledger() => {
                self.report.record_open_projects(open_projects.list(ledger, self.id).await);
                let stop = stop_for_halt(&halt);
                return Err(CommandError::new(exit_reason(&stop), halt.message())
                    .with_cause(StopCause::Ledger));
            }
            Err(error) => {
                self.report.record_open_projects(open_projects.list(ledger, self.id).await);
                return Err(error.into());
            }
            Ok(outcome) => outcome,
        };
        let output = self.output_dir();
        let skip_columns = report_page::skip_columns(&self.batch);
        let written = report::write_results(ledger, self.id, &output, &skip_columns).await?;
        let has_unsubmitted = self.has_unsubmitted_jobs(&outcome, ledger).await?;
        let run_limit = describe_run_limit(self.options.limit, self.batch.limits.max_videos);
        let credit_caps = describe_credit_caps(&self.batch.limits);
        let left = match has_unsubmitted {
            true => SubmissionsLeft::Some { run_limit: &run_limit, credit_caps: &credit_caps },
            false => SubmissionsLeft::None,
        };
        let stop = stop_for_outcome(&outcome, left, environment.signals.received());
        let stop = stop_with_undelivered(stop, undelivered);
        let exit = exit_reason(&stop);
        self.report.record_stop(stop.clone());
        let status = self.report.record_outcome(&outcome, &written).await?;
        if let Some(status) = status {
            let totals = self.report.totals(ledger, self.id).await?;
            let summary = RunSummary { totals, ..self.summarize(stop, outcome, written, &status) };
            observer.notify(SessionEvent::RunSummarized(&summary));
            self.report.set_summary(summary);
        }
        Ok(exit)
    }

    /// Hands finished videos to the command of `[on_done]` until the run has ended. Returns how many
    /// could not be handed over.
    async fn hand_over(
        &self,
        environment: &RunEnvironment<'_>,
        observer: &SessionObserver,
        run_ended: &CancellationToken,
    ) -> u64 {
        // What is rehearsed must not be published.
        let is_wanted = !self.target.is_rehearsal() || self.report.sends_notifications();
        let Some(settings) = self.batch.on_done.as_ref().filter(|_| is_wanted) else { return 0 };
        let deliveries = DeliveryLoop {
            batch: &self.batch,
            settings,
            lease: &self.lease,
            folder: self.output_dir(),
            clock: environment.clock,
            observer,
            stop: environment.stop,
        };
        let counts = match deliveries.run(run_ended).await {
            Ok(()) => deliveries.counts().await,
            Err(error) => Err(error),
        };
        match counts {
            Ok(counts) => counts.failed,
            Err(error) => {
                let message = format!("finished videos were not handed over: {error}");
                observer.notify(SessionEvent::Failed { message: &message });
                0
            }
        }
    }

    /// Returns whether a job that the run was asked for was not submitted.
    async fn has_unsubmitted_jobs(
        &self,
        outcome: &RunOutcome,
        ledger: &Ledger,
    ) -> Result<bool, LedgerError> {
        match self.options.only {
            Some(_) => Ok(ledger.remaining_work(self.id, self.options.only).await?.1),
            None => Ok(outcome.counts.get(&JobState::Ready).is_some_and(|jobs| *jobs > 0)),
        }
    }

    fn summarize(
        &self,
        stop: RunStop,
        outcome: RunOutcome,
        written: WrittenResults,
        status: &BatchStatus,
    ) -> RunSummary {
        RunSummary {
            exit: exit_reason(&stop),
            stop,
            counts: outcome.counts,
            invalid: status.invalid,
            skipped: status.skipped,
            halt: outcome.halt.as_ref().map(|halt| halt.message().to_owned()),
            output_dir: self.output_dir(),
            results: written.results,
            columns_like_ours: written.columns_like_ours,
            failures: written.failures,
            page: self.report.page_path(),
            next_step: status.next_step(),
            totals: RunTotals::default(),
            is_rehearsal: self.target.is_rehearsal(),
        }
    }

    fn run_input(
        &self,
        account: &AccountClient,
        environment: &RunEnvironment<'_>,
        observers: RunObservers<'_>,
    ) -> RunInput<AiStudios> {
        let quiet_wait = self.options.wait.then_some(self.batch.limits.settle_after);
        let (observer, open_projects) =
            (observers.observer.clone(), observers.open_projects.clone());
        let observer = RunObserver::new(move |event| {
            open_projects.observe(&event);
            observer.notify(SessionEvent::Run { event: &event, quiet_wait });
        });
        RunInput {
            studio: target::ai_studios_with_client(account.client.clone(), &self.batch),
            ledger: environment.ledger.clone(),
            batch: self.id,
            account_limits: account.limits.clone(),
            lease: self.lease.clone(),
            base_url: self.target.stored_host.clone(),
            settings: RunSettings {
                webhook_urls: environment.receivers.urls_for_batch(self.batch.name.as_str()),
                first_poll_delay: self.target.first_poll_delay(),
                ..run_settings(&self.batch, &self.output_dir())
            },
            options: self.options.clone(),
            clock: environment.clock.clone(),
            jitter: Jitter::new(),
            stop: environment.stop.clone(),
            observer,
            marker: Some(self.output_marker(environment.ledger)),
        }
    }
}

fn run_settings(batch: &Batch, output: &Path) -> RunSettings {
    RunSettings {
        limits: batch.limits.clone(),
        first_poll_delay: FIRST_POLL_DELAY,
        submission_mode: batch.studio.submission,
        on_uncertain: batch.studio.on_uncertain,
        resolution: batch.studio.resolution.map(|resolution| resolution.as_str().to_owned()),
        workspace_id: batch.studio.workspace_id.clone(),
        sample: batch.review.sample,
        output_dir: output.to_owned(),
        vendor: batch.vendor.clone(),
        webhook_urls: None,
    }
}

/// Returns the settings that an approval of the sample is bound to: those that are sent with a payload,
/// or decide what is in it.
fn sample_settings(batch: &Batch) -> String {
    let variants = batch
        .variants
        .iter()
        .map(|variant| json!([variant.name, variant.columns, variant.values, variant.needs]));
    json!({
        "request": batch.studio.request.to_string(),
        "resolution": batch.studio.resolution.map(VideoResolution::as_str),
        "workspace": batch.studio.workspace_id,
        "columns": batch.columns,
        "defaults": batch.defaults,
        "variants": variants.collect::<Vec<_>>(),
    })
    .to_string()
}
