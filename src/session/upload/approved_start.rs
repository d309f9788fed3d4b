//! Starts the run of an approved plan as a process of its own, which survives the console.
//!
//! The process is an ordinary `callsheet run`: it takes the lock of the batch, plans again, and stops
//! unless its plan is the approved one. So a second start, or a console that is killed between two
//! steps, renders nothing twice. Invariants: of two approvals at once, one starts a process; none is
//! started before the audit trail has the approval.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::upload_folder::{read_text, write_file};
use super::{ConsoleBatch, PlanOffer, UploadError};
use crate::clock::Clock;
use crate::ledger::{
    AuditAction, AuditEnd, AuditSource, Ledger, NewAuditEntry, RequestOutcome, StartEnd,
};
use crate::process;
use crate::session::ledger_location::pass_ledger_to;
use crate::text::strip_control_from_lines;
use crate::text::time_format::format_local;

/// The process that was started last.
const STARTED_FILE: &str = "started.json";
/// Characters of a plan's hash, as the ledger takes it.
const HASH_CHARS_MAX: usize = 64;

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
    pub(crate) is_rehearsal: bool,
    /// When the run begins, if not at once.
    pub(crate) not_before: Option<Timestamp>,
    /// Why, as the user says.
    pub(crate) reason: Option<String>,
    pub(crate) source: AuditSource,
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
    pub(super) hash: String,
    pid: i32,
    /// When it begins, if not at once.
    pub(crate) not_before: Option<Timestamp>,
}

impl ConsoleBatch {
    /// Starts the run of the approved plan.
    ///
    /// # Errors
    /// The plan is another one by now, has problems, or needs a confirmation; or the process cannot be
    /// started.
    pub(crate) async fn start(
        &self,
        approval: &ApprovedStart<'_>,
        ledger: &Ledger,
        clock: &Clock,
    ) -> Result<StartOutcome, UploadError> {
        let _one_at_a_time = STARTING.lock().await;
        let live = self.live_process();
        if live.as_ref().is_some_and(|live| live.hash == approval.hash) {
            return Ok(StartOutcome::AlreadyStarted);
        }
        let offer = match self.check_approval(approval, ledger).await {
            Ok(offer) => offer,
            Err(error) => return Err(self.record_refusal(approval, ledger, error).await),
        };
        self.create_folder()?;
        if live.is_none() {
            let message = "its process ended before its run began";
            let end = AuditEnd::without_effect(RequestOutcome::Expired, message);
            self.end_starts(None, end, ledger, clock).await?;
        }
        ledger.record_audit(self.approval_entries(approval, &offer)).await?;
        let child = match self.spawn_run(approval, ledger) {
            Ok(child) => child,
            Err(error) => {
                let message = "the process of the run could not be started";
                let end = AuditEnd::without_effect(RequestOutcome::Failed, message);
                self.end_starts(Some(approval.hash), end, ledger, clock).await?;
                return Err(error);
            }
        };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        let hash = approval.hash.to_owned();
        let started = StartedProcess { hash, pid, not_before: approval.not_before };
        let text = serde_json::to_string(&started).unwrap_or_default();
        let written = write_file(&self.path(STARTED_FILE), &text);
        self.watch(child, approval.hash, ledger.clone(), clock.clone());
        written.map(|()| StartOutcome::Started)
    }

    /// Returns the approval, and the start that it allows.
    fn approval_entries(
        &self,
        approval: &ApprovedStart<'_>,
        offer: &PlanOffer,
    ) -> Vec<NewAuditEntry> {
        let begins = match approval.not_before {
            Some(time) => format!("at {}", format_local(time)),
            None => "at once".to_owned(),
        };
        let entry = |action, subject, end| NewAuditEntry {
            hash: Some(approval.hash.to_owned()),
            credits: Some(offer.estimate.credits),
            reason: approval.reason.clone(),
            end,
            ..NewAuditEntry::new(action, subject, approval.source.clone()).with_batch(self.name())
        };
        vec![
            entry(AuditAction::ApprovePlan, offer.summary(), Some(AuditEnd::done())),
            entry(AuditAction::Start, begins, None),
        ]
    }

    /// Records an approval of what is no longer there. Returns its error.
    async fn record_refusal(
        &self,
        approval: &ApprovedStart<'_>,
        ledger: &Ledger,
        error: UploadError,
    ) -> UploadError {
        let message = match &error {
            UploadError::Changed(message) | UploadError::Invalid(message) => message.clone(),
            UploadError::NotFound | UploadError::Disk(_) | UploadError::Ledger(_) => return error,
        };
        let shown = if approval.shown.is_empty() { "a plan" } else { approval.shown };
        let entry = NewAuditEntry {
            hash: Some(approval.hash.chars().take(HASH_CHARS_MAX).collect()),
            reason: approval.reason.clone(),
            end: Some(AuditEnd::without_effect(RequestOutcome::Refused, message)),
            ..NewAuditEntry::new(AuditAction::ApprovePlan, shown, approval.source.clone())
        };
        match ledger.record_audit(vec![entry.with_batch(self.name())]).await {
            Ok(()) => error,
            Err(failed) => failed.into(),
        }
    }

    async fn end_starts(
        &self,
        hash: Option<&str>,
        end: AuditEnd,
        ledger: &Ledger,
        clock: &Clock,
    ) -> Result<(), UploadError> {
        let at = clock.now();
        let (batch, hash) = (self.name().to_owned(), hash.map(str::to_owned));
        ledger.end_starts(StartEnd { batch, hash, end, at }, None).await?;
        Ok(())
    }

    /// Waits for the end of a process, so that one which ended before its run began is recorded as
    /// such. The process does not need this console.
    fn watch(&self, mut child: Child, hash: &str, ledger: Ledger, clock: Clock) {
        let (batch, hash) = (self.name().to_owned(), Some(hash.to_owned()));
        let log = self.log_file();
        let log_start = std::fs::metadata(&log).map_or(0, |file| file.len());
        tokio::spawn(async move {
            let exit = child.wait().await.ok().and_then(|status| status.code());
            let exit =
                exit.map_or_else(|| "it was killed".to_owned(), |code| format!("exit {code}"));
            let cause =
                last_error(&log, log_start).map_or_else(String::new, |error| format!(": {error}"));
            let message = format!("the process ended before its run began ({exit}){cause}");
            let end = AuditEnd::without_effect(RequestOutcome::Failed, message);
            let at = clock.now();
            // Without the ledger, the next approval ends it.
            let _ = ledger.end_starts(StartEnd { batch, hash, end, at }, None).await;
        });
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
    ) -> Result<PlanOffer, UploadError> {
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
        Ok(offer)
    }

    /// Returns the run that was started last, if it has not ended.
    pub(crate) fn live_process(&self) -> Option<StartedProcess> {
        let text = read_text(&self.path(STARTED_FILE)).ok()?;
        let started = serde_json::from_str::<StartedProcess>(&text).ok()?;
        process::is_alive(started.pid).then_some(started)
    }

    /// Ends an approved run that waits: for its time, or for the end of another run. Returns whether
    /// there was one.
    ///
    /// # Errors
    /// The withdrawal cannot be recorded; the run waits still.
    pub(crate) async fn withdraw(
        &self,
        ledger: &Ledger,
        source: AuditSource,
    ) -> Result<bool, UploadError> {
        let _one_at_a_time = STARTING.lock().await;
        let Some(live) = self.live_process() else { return Ok(false) };
        let ended = StartEnd {
            batch: self.name().to_owned(),
            hash: Some(live.hash.clone()),
            end: AuditEnd::without_effect(
                RequestOutcome::Expired,
                format!("withdrawn by {}", source.requester),
            ),
            at: source.now,
        };
        let subject = "before its run began";
        let entry = NewAuditEntry {
            hash: Some(live.hash),
            ..NewAuditEntry::new(AuditAction::Withdraw, subject, source).with_batch(self.name())
        };
        let has_waited = ledger.end_starts(ended, Some(entry)).await?;
        if has_waited {
            // It would end by itself, too: its start is no longer open.
            process::terminate(live.pid);
            // Until it has ended, the same plan would count as started already.
            std::fs::remove_file(self.path(STARTED_FILE))?;
        }
        Ok(has_waited)
    }

    fn spawn_run(
        &self,
        approval: &ApprovedStart<'_>,
        ledger: &Ledger,
    ) -> Result<Child, UploadError> {
        let program = std::env::current_exe()?;
        let log = open_log(&self.log_file())?;
        let mut command = Command::new(program);
        command.arg("run").arg(self.batch_file());
        pass_ledger_to(&mut command, ledger.address());
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
        Ok(command.spawn()?)
    }
}

/// Returns the last error that a run wrote behind `start`, which its exit code does not tell.
fn last_error(log: &Path, start: u64) -> Option<String> {
    let text = read_text(log).ok()?;
    let own = text.get(usize::try_from(start).ok()?..)?;
    let line = own.lines().rev().find_map(|line| line.split_once("error: "));
    line.map(|(_, message)| strip_control_from_lines(message).into_owned())
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
