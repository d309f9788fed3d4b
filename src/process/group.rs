//! A command together with the processes that it starts.
//!
//! At a terminal it stays in our own process group: a password manager could not ask for a password
//! otherwise, and Ctrl-C reaches it. Then only the command itself is killed.

#[cfg(unix)]
use std::io::IsTerminal;

use tokio::process::{Child, Command};

use super::CommandFailure;

/// A running command. Unless it has ended, it is killed when dropped, with its children.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    pub(super) child: Child,
}

#[cfg(unix)]
fn has_own_group() -> bool {
    !std::io::stdin().is_terminal()
}

/// Gives the command a process group of its own, so that its children can be killed.
pub(super) fn separate(command: &mut Command) {
    #[cfg(unix)]
    if has_own_group() {
        command.process_group(0);
    }
    #[cfg(not(unix))]
    let _ = command;
}

impl ProcessGroup {
    pub(super) fn new(child: Child) -> Self {
        Self { child }
    }

    pub(super) async fn wait_for_success(&mut self) -> Result<(), CommandFailure> {
        match self.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(CommandFailure::Exited(status)),
            Err(_) => Err(CommandFailure::StatusUnknown),
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // The id is gone once the command has ended, so it cannot name another process by now.
        #[cfg(unix)]
        if has_own_group()
            && let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
