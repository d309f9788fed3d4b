//! The input of a run: the batch's settings, the options of this invocation, and the services that
//! are passed in. Plain data.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::batch::{BatchLimits, OnUncertain, SubmissionMode, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, JobSelection, Ledger};
use crate::runner::event::RunObserver;
use crate::runner::files::output_marker::OutputMarker;
use crate::runner::limits::account_limits::AccountLimits;
use crate::runner::limits::backoff::Jitter;
use crate::runner::shutdown::StopSignal;
use crate::runner::webhook_urls::WebhookUrls;

/// The settings of the batch file that a run needs.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Rates, caps, pauses and budgets.
    pub limits: BatchLimits,
    /// The delay of a render's first poll before the run has seen one finish.
    pub first_poll_delay: Duration,
    /// Whether a submission takes one request or two.
    pub submission_mode: SubmissionMode,
    /// The policy for a submission of which no evidence is found.
    pub on_uncertain: OnUncertain,
    /// The requested resolution, in AI Studios' spelling.
    pub resolution: Option<String>,
    /// The workspace that exports go to.
    pub workspace_id: Option<String>,
    /// Holds the other jobs until the canary videos are approved.
    pub sample: bool,
    /// The folder for finished videos.
    pub output_dir: PathBuf,
    /// How AI Studios behaves where its documentation is silent.
    pub vendor: VendorProfile,
    /// The URLs for AI Studios' callbacks, if the batch uses webhooks.
    pub webhook_urls: Option<WebhookUrls>,
}

/// The options given on the command line.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Submits only these jobs.
    pub only: Option<JobSelection>,
    /// Submits at most this many videos.
    pub limit: Option<u32>,
    /// Holds the other jobs until the canary videos are verified.
    pub canary: bool,
    /// Downloads finished videos.
    pub download: bool,
    /// Waits until uncertain jobs are resolved.
    pub wait: bool,
    /// Submits nothing after this time; renders in progress are still downloaded.
    pub until: Option<Timestamp>,
    /// Retries the selected failed and cancelled jobs.
    pub retry_failed: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            only: None,
            limit: None,
            canary: true,
            download: true,
            wait: true,
            until: None,
            retry_failed: false,
        }
    }
}

/// Everything that a run is given.
#[derive(Debug)]
pub struct RunInput<S> {
    /// AI Studios, or a simulation of it.
    pub studio: S,
    /// The open ledger.
    pub ledger: Ledger,
    /// The batch, already planned.
    pub batch: BatchId,
    /// The account's limits, shared with every other run of the account.
    pub account_limits: AccountLimits,
    /// The batch's lease.
    pub lease: BatchLease,
    /// The base URL of the account; the stored retry-after floor belongs to it.
    pub base_url: String,
    /// The batch's settings.
    pub settings: RunSettings,
    /// The options of this invocation.
    pub options: RunOptions,
    /// The clock.
    pub clock: Clock,
    /// The source of randomness.
    pub jitter: Jitter,
    /// The stop signal.
    pub stop: StopSignal,
    /// Receives the run's events.
    pub observer: RunObserver,
    /// Marks the output folder; a simulation has none.
    pub marker: Option<OutputMarker>,
}
