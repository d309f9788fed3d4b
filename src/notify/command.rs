//! A program of the operator's own, which gets `run.json` on its standard input.
//!
//! What it prints goes to our standard error, so that it never garbles results. It does not get
//! AI Studios' credentials.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::report::RunRecord;

/// What only AI Studios' own client needs.
const CREDENTIAL_VARS: [&str; 2] = ["AISTUDIOS_APP_ID", "AISTUDIOS_USER_KEY"];

/// Runs the program to its end.
pub(super) async fn run_command(words: &[String], record: &RunRecord) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).kill_on_drop(true);
    command.stdout(std::io::stderr()).stderr(Stdio::inherit());
    for name in CREDENTIAL_VARS {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no program `{program}`"),
        std::io::ErrorKind::PermissionDenied => format!("`{program}` may not be run"),
        _ => format!("`{program}` could not be started"),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever does not read to the end has read enough.
        let _ = stdin.write_all(record.to_json().as_bytes()).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` ended with {status}")),
        Err(_) => Err(format!("nobody knows how `{program}` ended")),
    }
}
