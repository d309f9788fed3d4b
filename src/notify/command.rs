//! A program of the operator's own, which gets `run.json` on its standard input.
//!
//! Its output goes to our standard error, so that it never garbles results. It does not get AI
//! Studios' credentials.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::report::RunRecord;

/// The variables that only the AI Studios client may read.
const CREDENTIAL_VARS: [&str; 2] = ["AISTUDIOS_APP_ID", "AISTUDIOS_USER_KEY"];

/// Runs the program and waits for its exit.
pub(super) async fn run_command(command_line: &[String], record: &RunRecord) -> Result<(), String> {
    let Some((program, arguments)) = command_line.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).kill_on_drop(true);
    command.stdout(std::io::stderr()).stderr(Stdio::inherit());
    for name in CREDENTIAL_VARS {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("the program `{program}` does not exist"),
        std::io::ErrorKind::PermissionDenied => format!("`{program}` is not executable"),
        _ => format!("`{program}` could not be started"),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program may exit without reading all of it.
        let _ = stdin.write_all(record.to_json().as_bytes()).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` exited with {status}")),
        Err(_) => Err(format!("the exit status of `{program}` is not known")),
    }
}
