//! A batch on which an operator's command or the console acts: alone, under its lock and lease, or beside
//! a live run, which then carries the request out.
//!
//! Both ways write the same request and change jobs in the same operation. If the live run ends first,
//! the requester takes the lock and carries its request out itself; if no run answers, the request is
//! withdrawn, and changes nothing later.

use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{
    BatchLease, Ledger, NewOperatorRequest, OperatorRequest, RequestOutcome, RequestedAction,
    RunEnding, ShownSet, StoredBatch,
};
use crate::runner::{BatchLock, command_requester, lock_holder};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::LedgerLocation;
use crate::session::locked_batch::{begin_run, lock_batch, open_batch};

/// How long a command waits for the live run.
const OUTCOME_WAIT: Duration = Duration::from_secs(30);
/// How often it reads the request meanwhile.
const OUTCOME_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct OperatorBatch {
    pub(crate) ledger: Ledger,
    pub(crate) stored: StoredBatch,
    pub(crate) clock: Clock,
    access: OperatorAccess,
}

enum OperatorAccess {
    /// No run is live.
    Exclusive { lease: Box<BatchLease>, _lock: BatchLock },
    /// Another process has the lock; its description.
    LiveRun { holder: String },
}

/// Returns the process that has a batch now, if one has.
pub(crate) async fn find_live_holder(ledger: &Ledger, stored: &StoredBatch) -> Option<String> {
    lock_holder(ledger, &stored.name).await
}

/// What a command asks for.
pub(crate) struct CommandRequest {
    pub(crate) action: RequestedAction,
    /// The set that the user has confirmed; `None` with `--yes`.
    pub(crate) shown: Option<ShownSet>,
    pub(crate) reason: String,
}

impl OperatorBatch {
    /// Opens a batch: for exclusive use if no run is live.
    pub(crate) async fn open(
        location: &LedgerLocation,
        name_or_file: &str,
        clock: Clock,
    ) -> Result<Self, CommandError> {
        let (ledger, stored) = open_batch(location, name_or_file).await?;
        let access = match lock_batch(&ledger, &stored.name, &clock).await {
            Ok(lock) => {
                let lease = begin_run(&ledger, stored.id, &clock).await?;
                OperatorAccess::Exclusive { lease: Box::new(lease), _lock: lock }
            }
            Err(error) if error.exit() == ExitReason::BatchLocked => {
                let holder = lock_holder(&ledger, &stored.name).await;
                OperatorAccess::LiveRun { holder: holder.unwrap_or_else(|| "starting".to_owned()) }
            }
            Err(error) => return Err(error),
        };
        ledger.expire_requests(stored.id, clock.now()).await?;
        Ok(Self { ledger, stored, clock, access })
    }

    /// Returns the process that has the batch, if another one has.
    pub(crate) fn live_holder(&self) -> Option<&str> {
        match &self.access {
            OperatorAccess::Exclusive { .. } => None,
            OperatorAccess::LiveRun { holder } => Some(holder),
        }
    }

    /// Records a request of this command, and has it carried out.
    ///
    /// # Errors
    /// If it was not carried out; nothing is changed then.
    pub(crate) async fn execute_request(
        &self,
        request: CommandRequest,
    ) -> Result<OperatorRequest, CommandError> {
        let CommandRequest { action, shown, reason } = request;
        let request = NewOperatorRequest {
            action,
            shown,
            requester: command_requester(),
            reason: Some(reason),
            token: None,
            credits_per_minute: self.ledger.credits_per_minute().await?,
        };
        let submitted =
            self.ledger.submit_request(self.stored.id, request, self.clock.now()).await?;
        let ended = match (submitted.outcome, &self.access) {
            (Some(_), _) => submitted,
            (None, OperatorAccess::Exclusive { lease, .. }) => {
                lease.carry_out_request(submitted.id, self.clock.now()).await?.request
            }
            (None, OperatorAccess::LiveRun { .. }) => {
                let Self { ledger, stored, clock, .. } = self;
                settle_request(ledger, stored, clock, submitted.id).await?
            }
        };
        ensure_done(ended)
    }

    /// Ends the use and closes the ledger.
    pub(crate) async fn release(self) -> Result<(), CommandError> {
        let ended = match &self.access {
            OperatorAccess::Exclusive { lease, .. } => {
                lease.end_run(RunEnding::ByHand, self.clock.now()).await
            }
            OperatorAccess::LiveRun { .. } => Ok(()),
        };
        self.ledger.close().await;
        Ok(ended?)
    }
}

fn ensure_done(request: OperatorRequest) -> Result<OperatorRequest, CommandError> {
    let exit = match request.outcome {
        Some(RequestOutcome::Done) => return Ok(request),
        Some(RequestOutcome::Refused) => ExitReason::TransientFailure,
        Some(RequestOutcome::Failed) => ExitReason::Unexpected,
        Some(RequestOutcome::Expired) | None => ExitReason::BatchLocked,
    };
    let message = request.message.unwrap_or_default();
    Err(CommandError::new(exit, message))
}

/// Has a request carried out: waits for the live run, or carries it out itself if no run is live, or the
/// live one ends first. If nothing happens, withdraws it.
pub(crate) async fn settle_request(
    ledger: &Ledger,
    stored: &StoredBatch,
    clock: &Clock,
    id: i64,
) -> Result<OperatorRequest, CommandError> {
    let begun = clock.awake_time();
    loop {
        let request = ledger.operator_request(id, clock.now()).await?;
        if let Some(ended) = request.filter(|request| request.outcome.is_some()) {
            return Ok(ended);
        }
        if lock_holder(ledger, &stored.name).await.is_none()
            && let Ok(_lock) = lock_batch(ledger, &stored.name, clock).await
        {
            let lease = begin_run(ledger, stored.id, clock).await?;
            let carried_out = lease.carry_out_request(id, clock.now()).await;
            lease.end_run(RunEnding::ByHand, clock.now()).await?;
            return Ok(carried_out?.request);
        }
        if clock.awake_time().saturating_sub(begun) > OUTCOME_WAIT {
            let holder = lock_holder(ledger, &stored.name).await.unwrap_or_default();
            let message = format!(
                "the batch is in use ({holder}), and was not ready for requests within {} s: \
                 nothing was changed; try again when it submits, or has ended",
                OUTCOME_WAIT.as_secs()
            );
            return Ok(ledger.withdraw_request(id, message, clock.now()).await?);
        }
        clock.sleep(OUTCOME_CHECK_INTERVAL).await;
    }
}
