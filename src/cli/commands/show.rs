//! `callsheet show BATCH KEY`: the history of one job, and the next commands.
//!
//! Reads only the ledger.

use std::path::Path;

use crate::cli::args::{BatchRef, GlobalArgs, parse_number};
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{
    AuditEntry, EventRow, JobHistory, Ledger, LedgerError, OperatorRequest, StoredBatch,
    SubmissionOutcome, SubmissionRow, VersionRow,
};
use crate::runner::{ACCEPTED_MESSAGE, lock_holder};
use crate::session::account::target::is_rehearsal_host;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::output_dir;
use crate::session::job_event_text::{describe_history, without_refusal_prefix};
use crate::session::job_key::{find_job_key, find_row_keys, unknown_row_error};
use crate::session::next_steps::{AttentionReason, CommandHints};
use crate::session::reports::audit_json::describe_entry;
use crate::session::reports::job_json::{JobTrail, job_json};
use crate::session::reports::request_json::describe_request;
use crate::text::time_format::{format_elapsed, format_local, local_zone};
use crate::text::{display_key, pluralize, strip_control, truncate};
use clap::Args;
use jiff::Timestamp;

/// Keys that are named where none was given.
const KEYS_LISTED_MAX: u32 = 5;
/// Characters shown of a cell or a message; `--json` has the complete text.
const TEXT_MAX: usize = 300;

/// Show the history of one video
#[derive(Debug, Args)]
#[command(after_help = "\
Begins with whether the video was paid for, and ends with what you can do.
JSON fields: callsheet help json show

Examples:
  callsheet show spring TEA-001        its key, or a clear part of it
  callsheet show spring --row 5        the video of row 5")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Key, or an unambiguous part of it
    key: Option<String>,
    /// Row number in the spreadsheet, instead of a key
    #[arg(long, value_name = "N", conflicts_with = "key", value_parser = parse_number::<u32>)]
    row: Option<u32>,
}

pub(crate) async fn run(args: ShowArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: ShowArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let (ledger, stored) = args.batch_ref.open_batch(global).await?;
    let keys = match (args.key, args.row) {
        (Some(part), _) if printer.is_json() => vec![find_job_key(&ledger, &stored, &part).await?],
        (Some(part), _) => find_row_keys(&ledger, &stored, &part).await?,
        (None, Some(row)) => match ledger.key_of_row(stored.id, row).await? {
            Some(key) => vec![key],
            None => return Err(unknown_row_error(&ledger, &stored, row.into()).await?),
        },
        (None, None) => return Err(missing_key_error(&ledger, &stored).await?),
    };
    let commands = args.batch_ref.read_command_hints(global, &ledger, &stored).await?;
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            printer.print_result("");
        }
        print_job(&ledger, &stored, key, &commands, printer).await?;
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

/// Returns the error that no video was named, with some that there are.
async fn missing_key_error(
    ledger: &Ledger,
    stored: &StoredBatch,
) -> Result<CommandError, LedgerError> {
    let keys = ledger.first_keys(stored.id, KEYS_LISTED_MAX).await?;
    let keys: Vec<String> = keys.iter().map(|key| format!("`{}`", strip_control(key))).collect();
    let keys = match keys.as_slice() {
        [] => "it has no videos yet".to_owned(),
        keys => format!("keys: {}", keys.join(", ")),
    };
    Ok(CommandError::usage(format!(
        "name the video: callsheet show {} KEY, or --row N; {keys}",
        stored.name
    )))
}

async fn print_job(
    ledger: &Ledger,
    stored: &StoredBatch,
    key: &str,
    commands: &CommandHints,
    printer: &Printer,
) -> Result<(), CommandError> {
    let history = ledger.job_history(stored.id, key).await?;
    let history = history.ok_or_else(|| CommandError::usage(format!("no video `{key}`")))?;
    let now = Clock::real().now();
    let requests = ledger.operator_requests_of_job(stored.id, key, now).await?;
    let entries = ledger.audit_entries_of_job(stored, key).await?;
    if printer.is_json() {
        let trail = JobTrail { requests: &requests, entries: &entries };
        printer.print_json(&job_json(&history, trail, commands, key));
        return Ok(());
    }
    let page = JobPage {
        history: &history,
        requests: &requests,
        entries: &entries,
        key,
        folder: output_dir::stored_output_dir(stored).map(|folder| folder.display().to_string()),
        is_rehearsal: is_rehearsal_host(&stored.base_url),
        now,
        is_live: lock_holder(ledger, &stored.name).await.is_some(),
    };
    printer.print_sentences(&page.render(stored, commands));
    Ok(())
}

struct JobPage<'a> {
    history: &'a JobHistory,
    requests: &'a [OperatorRequest],
    entries: &'a [AuditEntry],
    key: &'a str,
    folder: Option<String>,
    is_rehearsal: bool,
    now: Timestamp,
    /// Whether a run is at work, which alone checks a video at its time.
    is_live: bool,
}

impl JobPage<'_> {
    fn render(&self, stored: &StoredBatch, commands: &CommandHints) -> String {
        let mut lines = vec![self.headline(stored)];
        lines.extend(self.state_lines());
        self.push_section(&mut lines, "cells", self.cell_lines());
        let versions = self.history.versions.iter().flat_map(|version| self.version_lines(version));
        self.push_section(&mut lines, "versions", versions.collect());
        let submissions = self.history.submissions.iter();
        let submissions = submissions.flat_map(|one| submission_lines(one, self.is_rehearsal));
        self.push_section(&mut lines, "requests to AI Studios", submissions.collect());
        self.push_section(
            &mut lines,
            &format!("history (times in {})", local_zone(self.now)),
            describe_history(&self.history.events, &stored.base_url)
                .into_iter()
                .map(|(event, text)| event_line(event, text))
                .collect(),
        );
        let requests = self.requests.iter().map(describe_request).collect();
        self.push_section(&mut lines, "requests of operators", requests);
        let entries = self.entries.iter().map(describe_entry).collect();
        self.push_section(&mut lines, "verdicts and edits", entries);
        self.push_section(&mut lines, "next", self.next_commands(commands));
        lines.join("\n")
    }

    fn push_section(&self, lines: &mut Vec<String>, title: &str, body: Vec<String>) {
        if !body.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    }

    fn headline(&self, stored: &StoredBatch) -> String {
        let job = &self.history.job;
        let state = job.status().label();
        let stalled = match (job.stalled, job.generating) {
            (true, _) => ", stalled",
            (false, true) => ", draft being made by AI Studios",
            (false, false) => "",
        };
        let row = if self.history.in_sheet {
            format!("row {}", job.row_number)
        } else {
            "no longer in the sheet".to_owned()
        };
        format!("{} ({row} of {}): {state}{stalled}", display_key(self.key), stored.name)
    }

    fn state_lines(&self) -> Vec<String> {
        let (history, job) = (self.history, &self.history.job);
        let mut lines = vec![match self.is_rehearsal {
            true => "a rehearsal: nothing is charged".to_owned(),
            false => payment_line(&history.submissions),
        }];
        if let Some(reason) = AttentionReason::from_row(&history.job) {
            lines.push(match reason {
                // The first line says the rest.
                AttentionReason::Uncertain => "not sent again until that is known".to_owned(),
                AttentionReason::Stalled
                | AttentionReason::Failed(_)
                | AttentionReason::Cancelled
                | AttentionReason::Invalid => reason.describe(self.is_rehearsal).to_owned(),
            });
        }
        if let Some(message) = &job.message {
            let message = without_refusal_prefix(message);
            lines.push(format!("message: {}", safe_excerpt(message)));
        }
        if job.generating {
            let moved = history.moved_at.map(|at| format!(", last moved {}", format_local(at)));
            let progress = job.progress.unwrap_or(0.0);
            lines.push(format!("draft {progress:.0}% made{}", moved.unwrap_or_default()));
        }
        if let Some(since) = history.rendering_at {
            let moved = history.moved_at.map(|at| format!(", last moved {}", format_local(at)));
            lines.push(format!(
                "rendering since {}: {:.0}%{}",
                format_local(since),
                job.progress.unwrap_or(0.0),
                moved.unwrap_or_default()
            ));
        }
        if job.state.is_some_and(|state| !state.is_final())
            && history.due_at > Timestamp::UNIX_EPOCH
        {
            lines.push(match self.is_live {
                true => format!("next check {}", format_local(history.due_at)),
                false => "the next run checks it".to_owned(),
            });
        }
        lines.into_iter().map(|line| format!("  {line}")).collect()
    }

    fn cell_lines(&self) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            serde_json::from_str(&self.history.job.cells).unwrap_or_default();
        let headings = &self.history.headings;
        let widest = headings.iter().map(|heading| heading.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                lines.push("and".to_owned());
            }
            for (heading, cell) in headings.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                lines.push(format!("{:widest$}  {}", strip_control(heading), safe_excerpt(cell)));
            }
        }
        lines
    }

    fn version_lines(&self, version: &VersionRow) -> Vec<String> {
        let mut lines = vec![format!(
            "version {}: planned {}",
            version.version,
            format_local(version.planned_at)
        )];
        if let Some(earlier) = version.reused_from {
            lines.push(format!("   same content as version {earlier}"));
        }
        if let (Some(file), Some(bytes), Some(ms), Some(at)) =
            (&version.video_file, version.video_bytes, version.video_ms, version.done_at)
        {
            let path = Path::new(self.folder.as_deref().unwrap_or_default()).join(file);
            lines.push(format!("   {}", strip_control(&path.display().to_string())));
            lines.push(format!(
                "   {}, {:.1} s long, verified {}",
                format_size(bytes),
                ms as f64 / 1e3,
                format_local(at)
            ));
        }
        lines
    }

    fn next_commands(&self, commands: &CommandHints) -> Vec<String> {
        let steps = commands.steps_for_row(self.key, &self.history.job).into_iter();
        steps.flat_map(|step| [step.command, format!("    {}", step.effect)]).collect()
    }
}

fn format_size(bytes: i64) -> String {
    match bytes {
        ..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn safe_excerpt(text: &str) -> String {
    strip_control(&truncate(text, TEXT_MAX)).into_owned()
}

/// Returns what the job has cost, as far as it is known.
fn payment_line(submissions: &[SubmissionRow]) -> String {
    let outcome = |submission: &&SubmissionRow| SubmissionOutcome::parse(&submission.outcome);
    let count = |outcomes: &[SubmissionOutcome]| {
        let is_one = |one: &&SubmissionRow| outcome(one).is_some_and(|it| outcomes.contains(&it));
        submissions.iter().filter(is_one).count() as u64
    };
    let paid = count(&[SubmissionOutcome::Accepted, SubmissionOutcome::Rendered]);
    let failed = count(&[SubmissionOutcome::RenderFailed]);
    let unknown = count(&[
        SubmissionOutcome::Sent,
        SubmissionOutcome::Uncertain,
        SubmissionOutcome::Abandoned,
    ]);
    let credits: f64 = submissions.iter().filter_map(|submission| submission.credits).sum();
    let mut parts = Vec::new();
    if paid > 0 {
        let credits =
            if credits > 0.0 { format!(", {credits} credits reported") } else { String::new() };
        parts.push(format!("paid for: {}{credits}", pluralize(paid, "render")));
    }
    if failed > 0 {
        let renders = if failed == 1 { "render" } else { "renders" };
        let subject = match paid {
            0 => format!("paid requests: {failed}; the {renders}"),
            _ => format!("{failed} more {renders}"),
        };
        parts.push(format!("{subject} failed or timed out, and may have been charged"));
    }
    if unknown > 0 {
        parts.push(format!("{} may have been paid for", pluralize(unknown, "request")));
    }
    if parts.is_empty() { "not paid for".to_owned() } else { parts.join("; ") }
}

fn submission_lines(submission: &SubmissionRow, is_rehearsal: bool) -> Vec<String> {
    let mut times = vec![format!("begun {}", format_local(submission.begun_at))];
    if let Some(at) = submission.paid_at {
        let request = if is_rehearsal { "request" } else { "paid request" };
        times.push(format!("{request} sent {}", format_local(at)));
    }
    if let Some(at) = submission.settled_at {
        let end = match SubmissionOutcome::parse(&submission.outcome) {
            Some(SubmissionOutcome::Uncertain) => "response lost after",
            Some(_) | None => "answered after",
        };
        times.push(format!("{end} {}", format_elapsed(submission.begun_at, at)));
    }
    let tag = format!("the name of its project ends in [cs:{}]", submission.tag);
    let mut details = Vec::new();
    if let Some(id) = &submission.project_id {
        details.push(format!("project {}", strip_control(id)));
    }
    if let Some(id) =
        submission.subject.as_ref().filter(|id| Some(*id) != submission.project_id.as_ref())
    {
        details.push(format!("made from {}", strip_control(id)));
    }
    if let Some(id) = &submission.render_id {
        details.push(format!("rendered as {}", strip_control(id)));
    }
    if submission.looks > 0 {
        details.push(format!("checked {} times", submission.looks));
    }
    if let Some(credits) = submission.credits {
        details.push(format!("{credits} credits"));
    }
    if let Some(at) = submission.called_at {
        let credits =
            submission.called_credits.map(|credits| format!(", {credits} credits reported"));
        times.push(format!("callback {}{}", format_local(at), credits.unwrap_or_default()));
    }
    let headline = format!(
        "attempt {} (version {}, run {}{}): {}",
        submission.attempt,
        submission.version,
        submission.run_id,
        describe_mode(&submission.way),
        submission.outcome
    );
    let below = [tag, details.join(", "), times.join(", ")];
    let below = below.into_iter().filter(|line| !line.is_empty());
    std::iter::once(headline).chain(below.map(|line| format!("   {line}"))).collect()
}

/// The submission mode of nearly every batch.
const USUAL_MODE: &str = "two-step";

/// Returns the submission mode, if it is not the usual one.
fn describe_mode(mode: &str) -> String {
    if mode == USUAL_MODE { String::new() } else { format!(", {mode}") }
}

fn event_line(event: &EventRow, text: &str) -> String {
    // The event says so already; other words of it are the evidence of a lost response.
    let detail = event.detail.as_deref().filter(|detail| *detail != ACCEPTED_MESSAGE);
    let detail = detail.map(|detail| format!(": {}", safe_excerpt(without_refusal_prefix(detail))));
    format!("{}  {text}{}", format_local(event.at), detail.unwrap_or_default())
}
