//! Starts the run of an approved plan as a process of its own, which survives the console.
//!
//! The process is an ordinary `callsheet run`: it takes the lock of the batch, plans again, and stops
//! unless its plan is the approved one. So a second start, or a console that is killed between two
//! steps, renders nothing twice. Invariant: of two approvals at once, one starts a process.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::Mutex;

use super::upload_folder::{read_text, write_file};
use super::{UploadError, UploadedBatch};
use crate::ledger::Ledger;
use crate::process;
use crate::text::strip_control_from_lines;

/// The process that was started last.
const STARTED_FILE: &str = "started.json";

/// One start after the other.
static STARTING: Mutex<()> = Mutex::const_new(());

/// An approval.
pub(crate) struct ApprovedStart<'a> {
    /// The hash of the plan that was shown.
    pub(crate) hash: &'a str,
    /// The summary that was shown, for the message if the plan is another one.
    pub(crate) shown: &'a str,
    /// Whether the user confirmed what is paid for a second time.
    pub(crate) accepts_changes: bool,
    /// The file of the ledger.
    pub(crate) ledger_file: PathBuf,
    pub(crate) is_rehearsal: bool,
    /// When the run begins, if not at once.
    pub(crate) not_before: Option<Timestamp>,
}

/// The result of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartOutcome {
    Started,
    /// The same plan was approved before, and its run is live.
    AlreadyStarted,
}

/// A process that was started, and for which plan.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartedProcess {
    hash: String,
    pid: i32,
    /// When it begins, if not at once.
    pub(crate) not_before: Option<Timestamp>,
}

impl UploadedBatch {
    /// Starts the run of the approved plan.
    ///
    /// # Errors
    /// The plan is another one by now, has problems, or needs a confirmation; or the process cannot be
    /// started.
    pub(crate) async fn start(
        &self,
        approval: &ApprovedStart<'_>,
        ledger: &Ledger,
    ) -> Result<StartOutcome, UploadError> {
        let _one_at_a_time = STARTING.lock().await;
        if self.live_process().is_some_and(|live| live.hash == approval.hash) {
            return Ok(StartOutcome::AlreadyStarted);
        }
        self.check_approval(approval, ledger).await?;
        let pid = self.spawn_run(approval)?;
        let hash = approval.hash.to_owned();
        let started = StartedProcess { hash, pid, not_before: approval.not_before };
        let text = serde_json::to_string(&started).unwrap_or_default();
        write_file(&self.path(STARTED_FILE), &text)?;
        Ok(StartOutcome::Started)
    }

    /// Returns the last messages of its run, without what acts on a terminal.
    pub(crate) fn last_messages(&self, lines_max: usize) -> String {
        let text = read_text(&self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(lines_max);
        strip_control_from_lines(&lines[first..].join("\n")).into_owned()
    }

    async fn check_approval(
        &self,
        approval: &ApprovedStart<'_>,
        ledger: &Ledger,
    ) -> Result<(), UploadError> {
        let plan = self.plan(ledger).await?;
        let Some(offer) = plan.offer else {
            return Err(UploadError::Changed("the sheet can no longer be planned".to_owned()));
        };
        if offer.hash != approval.hash {
            let now = offer.summary();
            let difference = match now == approval.shown {
                true => "texts of it are others".to_owned(),
                false => format!("you approved {}; now it is {now}", approval.shown),
            };
            let message =
                format!("the plan changed in the meantime ({difference}). Nothing was started");
            return Err(UploadError::Changed(message));
        }
        if !offer.is_clean {
            return Err(UploadError::Invalid("fix the problems first".to_owned()));
        }
        if offer.review.confirmation.is_some() && !approval.accepts_changes {
            let message = "confirm that videos which are paid for are rendered again";
            return Err(UploadError::Invalid(message.to_owned()));
        }
        Ok(())
    }

    /// Returns the run that was started last, if it has not ended.
    pub(crate) fn live_process(&self) -> Option<StartedProcess> {
        let text = read_text(&self.path(STARTED_FILE)).ok()?;
        let started = serde_json::from_str::<StartedProcess>(&text).ok()?;
        process::is_alive(started.pid).then_some(started)
    }

    /// Ends a run that waits for its beginning. Returns whether there was one.
    pub(crate) async fn withdraw(&self, now: Timestamp) -> bool {
        let _one_at_a_time = STARTING.lock().await;
        let waiting = self.live_process().filter(|live| live.not_before.is_some_and(|at| at > now));
        waiting.is_some_and(|live| process::terminate(live.pid))
    }

    fn spawn_run(&self, approval: &ApprovedStart<'_>) -> Result<i32, UploadError> {
        let program = std::env::current_exe()?;
        let log = open_log(&self.log_file())?;
        let mut command = Command::new(program);
        command.arg("run").arg(self.batch_file()).arg("--ledger").arg(&approval.ledger_file);
        command.args(["--yes", "--detach", "--approved-plan", approval.hash]);
        if approval.is_rehearsal {
            command.arg("--sandbox");
        }
        if let Some(time) = approval.not_before {
            command.arg("--not-before").arg(time.to_string());
        }
        if approval.accepts_changes {
            command.arg("--accept-changes");
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(false);
        let mut child = command.spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        // The process is waited for, so that its end is known; it does not need this console.
        tokio::spawn(async move { child.wait().await });
        Ok(pid)
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
