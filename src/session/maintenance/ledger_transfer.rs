//! `ledger copy`: moves a whole ledger to another address, so that its batches continue there.
//!
//! The source refuses runs from the first step on, and names the other address when that is complete. A
//! command that was killed continues from the state that both ledgers record. Invariant: runs can begin
//! on one of them at most.

use crate::clock::Clock;
use crate::ledger::{CopiedRows, CopyOutcome, Ledger, LedgerAddress, MoveState};
use crate::session::error::CommandError;
use crate::session::locked_batch::lock_batch;

/// The result of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransferOutcome {
    /// Every row was copied by this command.
    Copied(Vec<CopiedRows>),
    /// An earlier command had copied every row.
    Continued,
}

/// Moves the ledger at `from` to `to`.
pub(crate) async fn transfer_ledger(
    from: &LedgerAddress,
    to: &LedgerAddress,
    clock: &Clock,
) -> Result<TransferOutcome, CommandError> {
    if from == to {
        return Err(CommandError::usage(format!("the ledger is at `{to}` already")));
    }
    if !from.may_exist() {
        return Err(CommandError::usage(format!("no ledger at `{from}`")));
    }
    let source = Ledger::open_for_move(from).await?;
    let moved = transfer_from(&source, to, clock).await;
    source.close().await;
    moved
}

async fn transfer_from(
    source: &Ledger,
    to: &LedgerAddress,
    clock: &Clock,
) -> Result<TransferOutcome, CommandError> {
    let mut locks = Vec::new();
    for batch in source.batches().await? {
        locks.push(lock_batch(source, &batch.name, clock).await?);
    }
    let address = to.to_string();
    let state = source.move_state().await?;
    match &state {
        None => {}
        Some((MoveState::Moving | MoveState::Moved, other)) if *other == address => {}
        Some((MoveState::Moving | MoveState::Moved, other)) => {
            let message = format!("`{}` was moved to `{other}`: copy that one", source.address());
            return Err(CommandError::usage(message));
        }
        Some((MoveState::Arriving, origin)) => {
            let message = format!(
                "`{}` was copied from `{origin}`, which may not know that yet: run `callsheet ledger \
                 copy --to {}` there again",
                source.address(),
                source.address()
            );
            return Err(CommandError::usage(message));
        }
    }
    let target = Ledger::open_for_move(to).await?;
    let is_moved = matches!(state, Some((MoveState::Moved, _)));
    let moved = match is_moved {
        true => Ok(TransferOutcome::Continued),
        false => copy_and_mark(source, &target, clock).await,
    };
    // A target that was empty before has the id that it was opened with until it is opened again.
    let is_copied = matches!(moved, Ok(TransferOutcome::Copied(_)));
    if is_copied || (moved.is_ok() && is_same_ledger(source, &target)) {
        target.clear_move_state().await?;
    }
    target.close().await;
    moved
}

fn is_same_ledger(source: &Ledger, target: &Ledger) -> bool {
    source.identity().id == target.identity().id
}

async fn copy_and_mark(
    source: &Ledger,
    target: &Ledger,
    clock: &Clock,
) -> Result<TransferOutcome, CommandError> {
    let (address, now) = (target.address().to_string(), clock.now());
    source.set_move_state(MoveState::Moving, address.clone(), now).await?;
    let has_arrived = is_same_ledger(source, target)
        && matches!(target.move_state().await?, Some((MoveState::Arriving, _)));
    let outcome = match has_arrived {
        true => TransferOutcome::Continued,
        false => match source.copy_to(target, now).await? {
            CopyOutcome::Copied(rows) => TransferOutcome::Copied(rows),
            CopyOutcome::TargetInUse => {
                source.clear_move_state().await?;
                return Err(CommandError::usage(format!(
                    "`{address}` holds a ledger already: choose another address; nothing was copied"
                )));
            }
            CopyOutcome::Different { table } => {
                source.clear_move_state().await?;
                return Err(CommandError::unexpected(format!(
                    "the copy of the table `{table}` differs from the ledger; nothing was kept. Run \
                     `callsheet ledger check` on `{}`",
                    source.address()
                )));
            }
        },
    };
    source.set_move_state(MoveState::Moved, address, now).await?;
    Ok(outcome)
}
