//! The client and the rate limits that all batches of one account share.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::{AiStudios, ApiClient, CallError};
use crate::batch::Rate;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::runner::{AccountLimits, Halt};
use crate::session::account::target::{ClientOptions, RunTarget};
use crate::session::batch_run::BatchRun;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::run_stop::{exit_reason, stop_for_halt};

/// Attempts of the first request, a few seconds apart, for a network that is just coming up.
const CONNECTION_ATTEMPTS: u32 = 3;
const CONNECTION_RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// An account, as the batches of a session share it.
pub(crate) struct AccountClient {
    pub(crate) target: Arc<RunTarget>,
    pub(crate) client: Arc<ApiClient>,
    pub(crate) limits: AccountLimits,
}

/// Returns one client per account. Its rates are the lowest of the account's batches.
pub(crate) fn account_clients(
    runs: &[BatchRun],
    ledger: &Ledger,
    clock: &Clock,
    observer: &SessionObserver,
) -> Result<Vec<AccountClient>, CommandError> {
    let mut clients: Vec<AccountClient> = Vec::new();
    for run in runs {
        if clients.iter().any(|client| Arc::ptr_eq(&client.target, &run.target)) {
            continue;
        }
        let sharing: Vec<&BatchRun> =
            runs.iter().filter(|other| Arc::ptr_eq(&other.target, &run.target)).collect();
        let lowest = |rate: fn(&BatchRun) -> Rate| {
            sharing.iter().map(|run| rate(run)).fold(Rate::Unlimited, Rate::slower)
        };
        let requests = lowest(|run| run.batch.limits.requests);
        let submits = lowest(|run| run.batch.limits.submits);
        if sharing.len() > 1 {
            let batches: Vec<_> = sharing.iter().map(|run| run.batch.name.as_str()).collect();
            let batches = batches.as_slice();
            observer.notify(SessionEvent::AccountShared { batches, requests, submits });
        }
        let timeout = sharing.iter().map(|run| run.batch.limits.request_timeout).max();
        // One batch must not lower the protection of another.
        let plain_links = sharing.iter().all(|run| run.batch.vendor.plain_links);
        let options = ClientOptions { request_timeout: timeout.unwrap_or_default(), plain_links };
        let limits = match run.target.account_fingerprint() {
            Some(account) => AccountLimits::new_shared(requests, submits, clock, ledger, &account),
            None => AccountLimits::new(requests, submits, clock),
        };
        clients.push(AccountClient {
            target: run.target.clone(),
            client: run.target.client_with_options(options, clock)?,
            limits,
        });
    }
    Ok(clients)
}

impl AccountClient {
    /// Checks, for free, that the host responds and accepts the credentials.
    pub(crate) async fn check_connection(
        &self,
        clock: &Clock,
        observer: &SessionObserver,
    ) -> Result<(), CommandError> {
        let studio = AiStudios::new(self.client.clone(), None, None);
        let mut attempts_left = CONNECTION_ATTEMPTS;
        loop {
            attempts_left -= 1;
            match studio.check_connection().await {
                Ok(()) => return Ok(()),
                Err(CallError::Transient { message, .. }) if attempts_left > 0 => {
                    observer.notify(SessionEvent::ConnectionRetry { message: &message });
                    clock.sleep(CONNECTION_RETRY_INTERVAL).await;
                }
                Err(error) => {
                    let halt = connection_halt(error);
                    let message = self.target.start_failure_message(&halt);
                    let stop = stop_for_halt(&halt);
                    let exit = exit_reason(&stop);
                    return Err(CommandError::new(exit, message)
                        .with_cause(stop.cause)
                        .with_summary(stop.message));
                }
            }
        }
    }
}

/// Returns the halt that this error would cause in a run.
fn connection_halt(error: CallError) -> Halt {
    match error {
        CallError::Account { kind, message } => Halt::Account { kind, message },
        CallError::Moved { message } => Halt::Moved { message },
        CallError::Transient { .. }
        | CallError::Refused { .. }
        | CallError::RateLimited { .. }
        | CallError::NotFound => Halt::Unresponsive { message: error.to_string() },
    }
}
