//! `callsheet pause` and `callsheet unpause`: stop and continue the submissions of a batch, also
//! during a run.
//!
//! Neither takes the batch's lock, `batch_ref` belongs to the live run. The run reads the pause in every
//! claim.

use clap::Args;
use serde_json::json;

use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::printer::Printer;
use crate::runner::lock_holder;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

/// Pause a batch
#[derive(Debug, Args)]
#[command(after_help = "\
A live run notices the pause within seconds: it downloads the renders in
progress, submits nothing new, and waits until the batch is unpaused, its time
window ends or it is stopped. A new run submits nothing and exits with 8.

With --json: {\"batch\": …, \"paused\": …, \"changed\": …, \"live\": … or null}.")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
}

/// Continue a paused batch
#[derive(Debug, Args)]
#[command(after_help = "\
A live run continues within seconds; otherwise the next run does.

With --json: {\"batch\": …, \"paused\": …, \"changed\": …, \"live\": … or null}.")]
pub(crate) struct UnpauseArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
}

pub(crate) async fn pause(args: PauseArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    set_paused(args.batch_ref, PauseChange::Pause, global, printer)
        .await
        .unwrap_or_else(|error| error.report(printer))
}

pub(crate) async fn unpause(
    args: UnpauseArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    set_paused(args.batch_ref, PauseChange::Unpause, global, printer)
        .await
        .unwrap_or_else(|error| error.report(printer))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PauseChange {
    Pause,
    Unpause,
}

async fn set_paused(
    batch_ref: BatchRef,
    change: PauseChange,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let paused = change == PauseChange::Pause;
    let (ledger, stored) = batch_ref.open_batch(global).await?;
    let changed = ledger.set_paused(stored.id, paused).await?;
    let live = lock_holder(&ledger, &stored.name).await;
    ledger.close().await;
    if printer.is_json() {
        printer.print_json(&json!({
            "batch": stored.name, "paused": paused, "changed": changed, "live": live,
        }));
        return Ok(ExitReason::Done);
    }
    let name = &stored.name;
    let commands = global.command_hints(batch_ref.sandbox, &stored.name, &stored.file);
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
        (true, None) => printer.status(&format!("To continue: {}", commands.unpause_command())),
        (false, Some(holder)) => {
            printer.status(&format!("live run ({holder}): continues within seconds"));
        }
        (false, None) => printer.status(&format!("Next: {}", commands.run_command())),
    }
    Ok(ExitReason::Done)
}
