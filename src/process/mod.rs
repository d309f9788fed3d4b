//! The commands that a batch file names: started without our secrets, limited in time and output, and
//! killed together with the processes that they started. And what this process leaves if it crashes.
//!
//! Which command is run, and whether it may be, is the caller's decision. Invariant: no command
//! outlives its time limit or the future that runs it, and none inherits a variable that its caller
//! calls secret.

mod core_dumps;
mod detach;
mod group;
mod owner;

use std::io::Write;
use std::path::{Path, PathBuf, absolute};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use group::ProcessGroup;

pub use core_dumps::disable_core_dumps;
pub use detach::{detach, is_alive, terminate};
pub use owner::is_owned_by_this_user;

/// The time after which a command is killed.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// The part of its messages that is shown.
const SHOWN_BYTES_MAX: usize = 64 << 10;
/// The time to read what an ended command has written; a process that it left behind may hold the
/// pipe open.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// The reason why a command has no result. The messages follow the name of the command.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// There is no such program.
    #[error("does not exist")]
    NotFound,
    /// This user may not execute it.
    #[error("is not executable")]
    NotExecutable,
    /// The operating system could not start it.
    #[error("could not be started")]
    NotStarted,
    /// It reported a failure.
    #[error("exited with {0}")]
    Exited(ExitStatus),
    /// It was killed at its time limit.
    #[error("did not finish within {} s and was killed", .0.as_secs_f64())]
    TooSlow(Duration),
    /// It was killed because of its endless output.
    #[error("printed more than {0} bytes and was killed")]
    TooMuchOutput(usize),
    /// Its output is not UTF-8.
    #[error("printed invalid text")]
    InvalidText,
    /// The operating system lost it.
    #[error("has no known exit status")]
    StatusUnknown,
}

/// Checks that a program can be started, without starting it. A relative path begins in `folder`.
///
/// # Errors
/// It does not exist, or this user may not execute it. Never on Windows, where its name may lack an
/// ending.
pub fn check_program(program: &str, folder: &Path) -> Result<(), CommandFailure> {
    if cfg!(windows) {
        return Ok(());
    }
    let paths: Vec<PathBuf> = match program.contains('/') {
        true => vec![folder.join(program)],
        false => {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).map(|folder| folder.join(program)).collect()
        }
    };
    let mut files = paths.into_iter().filter(|path| path.is_file()).peekable();
    if files.peek().is_none() {
        return Err(CommandFailure::NotFound);
    }
    match files.any(|path| is_executable(&path)) {
        true => Ok(()),
        false => Err(CommandFailure::NotExecutable),
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

/// Returns the path of a program: whether a relative one would begin in the folder of the command
/// differs between systems.
fn program_path(program: &str, folder: &Path) -> PathBuf {
    if !program.contains('/') {
        return PathBuf::from(program);
    }
    let path = folder.join(program);
    absolute(&path).unwrap_or(path)
}

/// A command that a batch file names.
#[derive(Debug)]
pub struct ForeignCommand {
    command: Command,
    timeout: Duration,
}

impl ForeignCommand {
    /// Returns a command for the shell. `secret_vars` are removed from its environment.
    pub fn shell(text: &str, secret_vars: &[String], folder: &Path) -> Self {
        let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["sh", "-c"] };
        let words = [shell[0], shell[1], text].map(str::to_owned);
        Self::program(&words, secret_vars, folder)
    }

    /// Returns a program with its arguments, which begins in `folder`, as relative paths of the
    /// program do. `secret_vars` are removed from its environment.
    pub fn program(words: &[String], secret_vars: &[String], folder: &Path) -> Self {
        let program = words.first().map_or("", String::as_str);
        let mut command = Command::new(program_path(program, folder));
        // A batch may be continued where its folder does not exist.
        if folder.is_dir() {
            command.current_dir(folder);
        }
        command
            .args(words.iter().skip(1))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        secret_vars.iter().for_each(|name| {
            command.env_remove(name);
        });
        group::separate(&mut command);
        Self { command, timeout: COMMAND_TIMEOUT }
    }

    /// Lowers the time limit.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: self.timeout.min(timeout), ..self }
    }

    /// Replaces the time limit by a longer or shorter one.
    pub fn with_time_limit(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Returns what the command prints. Its messages go to our standard error.
    ///
    /// # Errors
    /// [`CommandFailure`]; every process that it started is killed.
    pub async fn read_output(mut self, bytes_max: usize) -> Result<String, CommandFailure> {
        self.command.stdin(Stdio::null());
        let timeout = self.timeout;
        let reading = async {
            let mut group = self.spawn()?;
            let messages = tokio::spawn(forward(group.child.stderr.take()));
            let (mut output, limit) = (Vec::new(), bytes_max as u64 + 1);
            if let Some(out) = group.child.stdout.take() {
                let _ = out.take(limit).read_to_end(&mut output).await;
            }
            if output.len() > bytes_max {
                return Err(CommandFailure::TooMuchOutput(bytes_max));
            }
            group.wait_for_success().await?;
            let _ = tokio::time::timeout(DRAIN_TIME, messages).await;
            String::from_utf8(output).map_err(|_| CommandFailure::InvalidText)
        };
        let limited = tokio::time::timeout(timeout, reading).await;
        limited.unwrap_or(Err(CommandFailure::TooSlow(timeout)))
    }

    /// Runs the command with `input`. Everything that it prints goes to our standard error.
    ///
    /// # Errors
    /// [`CommandFailure`]; every process that it started is killed.
    pub async fn run_with_input(mut self, input: &[u8]) -> Result<(), CommandFailure> {
        self.command.stdin(Stdio::piped());
        let timeout = self.timeout;
        let running = async {
            let mut group = self.spawn()?;
            let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
            let messages = tokio::spawn(async { tokio::join!(forward(out), forward(err)) });
            if let Some(mut stdin) = group.child.stdin.take() {
                // A program may exit without reading all of it.
                let _ = stdin.write_all(input).await;
            }
            let ended = group.wait_for_success().await;
            let _ = tokio::time::timeout(DRAIN_TIME, messages).await;
            ended
        };
        let limited = tokio::time::timeout(timeout, running).await;
        limited.unwrap_or(Err(CommandFailure::TooSlow(timeout)))
    }

    fn spawn(&mut self) -> Result<ProcessGroup, CommandFailure> {
        let child = self.command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => CommandFailure::NotFound,
            std::io::ErrorKind::PermissionDenied => CommandFailure::NotExecutable,
            _ => CommandFailure::NotStarted,
        })?;
        Ok(ProcessGroup::new(child))
    }
}

/// Copies the first bytes to our standard error, and discards the rest so that the command does not
/// wait for a reader.
async fn forward(from: Option<impl AsyncRead + Unpin>) {
    let Some(mut from) = from else { return };
    let (mut buffer, mut left) = ([0; 4096], SHOWN_BYTES_MAX);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let shown = count.min(left);
        left -= shown;
        // Closed standard error is no reason to fail.
        let _ = std::io::stderr().write_all(&buffer[..shown]);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const TEST_TIMEOUT: Duration = Duration::from_millis(300);

    /// Returns whether a process with this id still runs.
    fn is_running(pid: &str) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        state.is_ok_and(|line| !line.contains(") Z"))
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("child");
        let text = format!("sleep 1000 & echo $! > '{}'; wait", file.display());
        for reads_output in [true, false] {
            let command =
                ForeignCommand::shell(&text, &[], Path::new("")).with_timeout(TEST_TIMEOUT);
            let failure = match reads_output {
                true => command.read_output(100).await.unwrap_err(),
                false => command.run_with_input(b"").await.unwrap_err(),
            };
            assert!(matches!(failure, CommandFailure::TooSlow(_)), "{failure}");
            let child = std::fs::read_to_string(&file).unwrap();
            // The signal is sent already, and the kernel delivers it.
            while is_running(&child) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn output_is_limited_and_secret_variables_are_not_inherited() {
        let read = |text: &str, secret: &str| {
            ForeignCommand::shell(text, &[secret.to_owned()], Path::new("")).read_output(1000)
        };
        assert_eq!(read("printf key", "X").await.unwrap(), "key");
        assert_eq!(read("printf \"${HOME-none}\"", "HOME").await.unwrap(), "none");
        let mut failures = Vec::new();
        for text in ["yes", "exit 3", "printf '\\377'"] {
            failures.push(read(text, "X").await.unwrap_err().to_string());
        }
        insta::assert_snapshot!(failures.join("\n"), @"
        printed more than 1000 bytes and was killed
        exited with exit status: 3
        printed invalid text
        ");
    }
}
