//! A program of the operator's own, which gets `run.json` on its standard input.
//!
//! Its output goes to our standard error, so that it never garbles results. It gets none of our
//! secrets.

use crate::batch::NotifySettings;
use crate::process::ForeignCommand;
use crate::report::RunRecord;

/// Runs the program and waits for its exit.
pub(super) async fn run_command(notify: &NotifySettings, record: &RunRecord) -> Result<(), String> {
    let Some(program) = notify.command.first() else { return Ok(()) };
    let secret_vars = notify.secret_vars();
    let command = ForeignCommand::program(&notify.command, &secret_vars, &notify.folder);
    let ended = command.run_with_input(record.to_json().as_bytes()).await;
    ended.map_err(|failure| format!("`{program}` {failure}"))
}
