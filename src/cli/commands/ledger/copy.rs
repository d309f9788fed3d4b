//! `callsheet ledger copy --to ADDRESS`: moves the ledger to a server, or to another file.
//!
//! `session::maintenance::ledger_transfer` does the work; this prints the result and the next step.

use std::ffi::OsString;

use clap::Args;
use serde_json::json;

use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{CopiedRows, LedgerAddress};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::NamedLedger;
use crate::session::maintenance::ledger_transfer::{TransferOutcome, transfer_ledger};
use crate::text::pluralize;

/// Arguments of `callsheet ledger copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
All rows are copied with their ids and compared by hash. The old ledger then
refuses every command and names the new one. A copy that was interrupted is
continued by the same command. No batch may be running.")]
pub(crate) struct LedgerCopyArgs {
    /// postgres://… or a new file
    #[arg(long, value_name = "ADDRESS")]
    to: OsString,
}

pub(crate) async fn copy_ledger(
    from: &LedgerAddress,
    args: LedgerCopyArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let named = NamedLedger::from_option(&args.to);
    let to = named.address().map_err(CommandError::usage)?;
    let outcome = transfer_ledger(from, to, &Clock::real()).await?;
    let rows = match &outcome {
        TransferOutcome::Copied(tables) => tables.as_slice(),
        TransferOutcome::Continued => &[],
    };
    if printer.is_json() {
        let count = |table: &CopiedRows| json!({ "table": table.table, "rows": table.rows });
        let tables: Vec<_> = rows.iter().map(count).collect();
        printer.print_json(&json!({
            "from": from.to_string(), "to": to.to_string(), "tables": tables,
        }));
        return Ok(ExitReason::Done);
    }
    match &outcome {
        TransferOutcome::Copied(tables) => {
            let total = tables.iter().map(|table| table.rows).sum();
            let rows = pluralize(total, "row");
            printer.print_result(&format!("Moved to {to}: {rows}, compared by hash"));
        }
        TransferOutcome::Continued => printer.print_result(&format!("Moved to {to}")),
    }
    printer.status(&format!(
        "`{from}` is not used any more. Back again: callsheet --ledger {to} ledger copy --to NEW.db"
    ));
    printer.status(&format!("Next: export CALLSHEET_LEDGER='{}'", valid_in_every_folder(to)));
    Ok(ExitReason::Done)
}

/// Returns the address as a variable needs it: it is read in other folders as well.
fn valid_in_every_folder(address: &LedgerAddress) -> String {
    match address {
        LedgerAddress::File(path) => {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        }
        LedgerAddress::Server(_) => address.to_string(),
    }
}
