//! `callsheet pause` and `callsheet unpause`: stop and continue the submissions of a batch, also
//! during a run.
//!
//! Neither takes the batch's lock, which belongs to the live run. The run reads the pause in every
//! claim.

use clap::Args;
use serde_json::json;

use crate::cli::args::{BatchRef, GlobalArgs, ReasonArgs};
use crate::cli::commands::retry::print_continue_step;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{NewOperatorRequest, RequestedAction};
use crate::runner::{command_requester, lock_holder};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::CommandHints;

/// Pause a batch
#[derive(Debug, Args)]
#[command(after_help = "\
A live run notices the pause within seconds: it downloads the renders in
progress, submits nothing new, and waits until you unpause the batch or stop the
run, or its time window ends. A new run submits nothing and exits with 8.
JSON fields: callsheet help json pause")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    #[command(flatten)]
    reason: ReasonArgs,
}

/// Continue a paused batch
#[derive(Debug, Args)]
#[command(after_help = "\
A live run continues within seconds; otherwise the next run does.
JSON fields: callsheet help json unpause")]
pub(crate) struct UnpauseArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    #[command(flatten)]
    reason: ReasonArgs,
}

pub(crate) async fn pause(args: PauseArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    set_paused(args, RequestedAction::Pause, global, printer)
        .await
        .unwrap_or_else(|error| error.report(printer))
}

pub(crate) async fn unpause(
    args: UnpauseArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    let args = PauseArgs { batch_ref: args.batch_ref, reason: args.reason };
    set_paused(args, RequestedAction::Unpause, global, printer)
        .await
        .unwrap_or_else(|error| error.report(printer))
}

async fn set_paused(
    args: PauseArgs,
    action: RequestedAction,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let PauseArgs { batch_ref, reason } = args;
    let paused = action == RequestedAction::Pause;
    let (ledger, stored) = batch_ref.open_batch(global).await?;
    let request = NewOperatorRequest {
        action,
        shown: None,
        requester: command_requester(),
        reason: Some(reason.because),
        token: None,
        credits_per_minute: 0.0,
    };
    let request = ledger.submit_request(stored.id, request, Clock::real().now()).await?;
    let changed = request.changed_pause();
    let live = lock_holder(&ledger, &stored.name).await;
    let commands = batch_ref.read_command_hints(global, &ledger, &stored).await?;
    ledger.close().await;
    if printer.is_json() {
        printer.print_json(&json!({
            "batch": stored.name, "paused": paused, "changed": changed, "live": live,
            "request": request.id,
        }));
        return Ok(ExitReason::Done);
    }
    let name = &stored.name;
    match (paused, changed) {
        (true, true) => printer.print_result(&format!("Paused {name}: nothing new is submitted")),
        (true, false) => printer.print_result(&format!("{name} was already paused")),
        (false, true) => printer.print_result(&format!("Unpaused {name}")),
        (false, false) => printer.print_result(&format!("{name} was not paused")),
    }
    match (paused, live) {
        (true, Some(holder)) => printer.status(&format!(
            "live run ({holder}): within seconds it stops submitting; renders in progress are \
             still downloaded\nTo continue: {}",
            commands.unpause_command()
        )),
        (true, None) => printer.status(&how_to_continue(&commands)),
        (false, Some(holder)) => {
            printer.status(&format!("live run ({holder}): continues within seconds"));
        }
        (false, None) => print_continue_step(&commands, printer),
    }
    Ok(ExitReason::Done)
}

/// Returns how a batch without a live run is continued: only a run submits.
fn how_to_continue(commands: &CommandHints) -> String {
    let (unpause, run) = (commands.unpause_command(), commands.continue_command());
    let note = commands.continue_note().map(|note| format!("\n            {note}"));
    format!("To continue: {unpause}\n  and then: {run}{}", note.unwrap_or_default())
}
