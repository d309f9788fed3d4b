//! Prints the events of a session.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::batch::Batch;
use crate::cli::output::printer::Printer;
use crate::cli::output::progress::run_progress::{RunProgress, RunWork};
use crate::cli::output::{diagnostics, estimate, plan_text, run_summary, sheet_remarks};
use crate::http::MediaAvailability;
use crate::plan::Plan;
use crate::session::account::account_catalog::CatalogNotice;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::files::media_check::{
    ADDRESSES_MAX, CHECK_DURATION_MAX, MediaFinding, MediaReport,
};
use crate::session::ledger_location::LedgerOptions;
use crate::session::next_steps::CommandHints;
use crate::session::run_forecast::{InvalidRowsFix, RunForecast, RunStart};
use crate::text::{display_key, format_duration, pluralize, strip_control};

/// Returns an observer that prints every event. The commands that it suggests are about the ledger that
/// `ledger_options` select.
pub(crate) fn observer(printer: &Printer, ledger_options: LedgerOptions) -> SessionObserver {
    let printer = printer.clone();
    let (only_batch, progress) = (OnceLock::new(), OnceLock::new());
    let output = SessionOutput { printer, ledger_options, only_batch, progress };
    SessionObserver::new(move |batch, event| output.print(batch, event))
}

/// Prints why a session could not start, and its last line for programs.
pub(crate) fn print_early_error(error: &CommandError, printer: &Printer) -> ExitReason {
    let (exit, message) = (error.exit(), error.message());
    message.iter().for_each(|message| printer.error(message));
    printer.print_summary(json!({ "exit": exit.code(), "error": message }));
    exit
}

struct SessionOutput {
    printer: Printer,
    ledger_options: LedgerOptions,
    /// The batch of a session with a single one.
    only_batch: OnceLock<String>,
    /// The progress of the runs, once they begin.
    progress: OnceLock<RunProgress>,
}

impl SessionOutput {
    fn command_hints(&self, batch: &str, file: &str) -> CommandHints {
        CommandHints::new(&self.ledger_options, batch, file)
    }

    fn hints_for(&self, batch: &Batch) -> CommandHints {
        self.command_hints(batch.name.as_str(), &batch.file.display().to_string())
    }

    /// Returns the commands of the batch that an event of a run concerns.
    fn hints_for_run(&self, batch: Option<&str>) -> Option<CommandHints> {
        let name = batch.or(self.only_batch.get().map(String::as_str))?;
        Some(self.command_hints(name, ""))
    }

    fn set_only_batch(&self, name: &str, printer: &Printer) {
        printer.set_batch(name);
        // There is one such event per session.
        let _ = self.only_batch.set(name.to_owned());
    }

    fn print(&self, batch: Option<&str>, event: SessionEvent<'_>) {
        let printer = match batch {
            Some(batch) => &self.printer.for_batch(batch),
            None => &self.printer,
        };
        let status = |line: &str| printer.status(&printer.with_batch_prefix(line));
        match event {
            SessionEvent::OnlyBatch { name } => self.set_only_batch(name, printer),
            SessionEvent::BatchFileInvalid { problems } => {
                diagnostics::print_batch_problems(printer, problems);
            }
            SessionEvent::MediaChecked { report } => {
                print_media_report(report, printer);
            }
            SessionEvent::PlanFailed { batch, error } => {
                diagnostics::print_plan_error(printer, error, batch);
            }
            SessionEvent::Catalog(notice) => {
                printer.status(&describe_notice(notice));
            }
            SessionEvent::RowsInvalid { batch, plan, fix } => {
                print_invalid_rows(plan, batch, fix, printer);
            }
            SessionEvent::Planned { batch, plan, forecast } => {
                print_plan(plan, batch, &self.hints_for(batch), printer);
                plan_text::print_identical_videos(plan, printer);
                if let Some(line) = forecast_line(forecast) {
                    status(&plan_text::with_skipped_rows(plan, &line));
                }
            }
            SessionEvent::ConfirmationNeeded { batch, plan } => {
                plan_text::print_confirmation(plan, &self.hints_for(batch), printer);
            }
            SessionEvent::Retrying { jobs } => printer.status(&describe_retry(jobs)),
            SessionEvent::WaitingForRun { message } => {
                printer.status(&format!("{message}; waiting for its end"));
            }
            SessionEvent::FormerRun { message } | SessionEvent::OutputShared { message } => {
                status(message);
            }
            SessionEvent::Declined => printer.status("Nothing was submitted"),
            SessionEvent::NothingToResume => {
                printer.status("No batch of this ledger has anything left to do");
            }
            SessionEvent::WindowClosed { reason } => status(reason),
            SessionEvent::AccountShared { batches, requests, submits } => printer.status(&format!(
                "{} share an account and its lowest rates: {requests} for all requests, {submits} \
                 for submissions",
                batches.join(", ")
            )),
            SessionEvent::ConnectionRetry { message } => {
                printer.status(&format!("{message}; retrying"));
            }
            SessionEvent::RunsStarted { ledger, batches, counts, left_for_later } => {
                let work = RunWork { batches: batches.len(), counts, left_for_later };
                let progress = RunProgress::new(printer, work);
                progress.start_refreshing(ledger, batches);
                // There is one start per session.
                let _ = self.progress.set(progress);
            }
            SessionEvent::Run { event, quiet_wait } => {
                if let Some(progress) = self.progress.get() {
                    let commands = self.hints_for_run(batch);
                    progress.for_batch(printer, quiet_wait, commands).show_event(event);
                }
            }
            SessionEvent::RunEnded => {
                if let Some(progress) = self.progress.get() {
                    progress.mark_batch_ended();
                }
            }
            SessionEvent::RunSummarized(summary) => run_summary::print_summary(summary, printer),
            SessionEvent::BatchFinished { summary } => {
                if printer.is_json() {
                    let mut event = summary.clone();
                    event["type"] = json!("run.ended");
                    printer.print_event(event);
                }
            }
            SessionEvent::NotificationFailed { channel, message } => {
                status(&format!("notification by {channel} failed: {message}"));
            }
            SessionEvent::DeliveryFailed { key, message } => status(&undelivered(key, message)),
            SessionEvent::Failed { message } => printer.error(message),
            SessionEvent::ProbeDraftStarting { name } => printer.status(&probe_draft(name)),
            SessionEvent::ProbeExportStarting { project, time_max } => {
                printer.status(&probe_export(project, time_max));
            }
        }
    }
}

fn probe_draft(name: &str) -> String {
    format!(
        "creating one draft, `{name}`, and deleting it again; drafts are assumed to be free, which is \
         not proven: compare the account's credits before and after"
    )
}

fn probe_export(project: &str, time_max: Duration) -> String {
    format!(
        "exporting {project} once, which AI Studios charges for, and polling it for at most {}",
        format_duration(time_max)
    )
}

fn print_invalid_rows(plan: &Plan, batch: &Batch, fix: Option<InvalidRowsFix>, printer: &Printer) {
    let total = diagnostics::print_row_problems(printer, plan, batch);
    // A run that skips these rows goes on to spend.
    let Some(fix) = fix else { return printer.status(&total.text) };
    printer.status(&format!("{}. Nothing was spent", total.text));
    if let Some(message) = fix_message(fix, total.is_in_sheet) {
        printer.status(message);
    }
}

fn fix_message(fix: InvalidRowsFix, is_in_sheet: bool) -> Option<&'static str> {
    match fix {
        InvalidRowsFix::Sheet => Some("fix the sheet: hidden rows cannot be skipped"),
        InvalidRowsFix::RowsOrSkip if is_in_sheet => {
            Some("fix the rows, or run with --skip-invalid to skip them")
        }
        InvalidRowsFix::RowsOrFile if is_in_sheet => {
            Some("fix the rows, or `file` in the batch file")
        }
        InvalidRowsFix::RowsOrSkip | InvalidRowsFix::RowsOrFile => None,
    }
}

fn print_plan(plan: &Plan, batch: &Batch, commands: &CommandHints, printer: &Printer) {
    diagnostics::print_warnings(printer, &plan.warnings, &plan.template_files);
    if printer.is_json() {
        let plan = plan_text::plan_json(plan, batch);
        return printer.print_event(json!({ "type": "plan", "plan": plan }));
    }
    for line in sheet_remarks::sheet_remarks(plan) {
        printer.status(&printer.with_batch_prefix(&line));
    }
    for line in plan_text::summary_lines(plan, batch, commands) {
        printer.status(&line);
    }
}

/// Returns the line about how the run starts. A pause is reported by the run itself.
fn forecast_line(forecast: &RunForecast) -> Option<String> {
    let estimate = &forecast.estimate;
    match &forecast.start {
        RunStart::Paused => None,
        RunStart::WindowClosed { reason } => Some(reason.clone()),
        RunStart::Submits { .. } if estimate.videos == 0 => None,
        RunStart::Submits { videos, is_rehearsal } => {
            let line = estimate::describe_estimate(estimate, *is_rehearsal);
            let cap = match *videos < estimate.videos {
                true => format!("; this run submits at most {videos}"),
                false => String::new(),
            };
            Some(format!("{line}{cap}"))
        }
    }
}

/// Returns the message for a limitation of the comparison with the catalogue.
pub(crate) fn describe_notice(notice: &CatalogNotice) -> String {
    match notice {
        CatalogNotice::Unavailable { kind, error } => {
            format!("the account's {} are unavailable ({error}); not compared", kind.as_str())
        }
        CatalogNotice::Outdated { age } => format!(
            "the account's catalogue is {} old; `callsheet models` and the like refresh it",
            format_duration(*age)
        ),
    }
}

/// URLs of one host that are listed one by one.
const URLS_LISTED_MAX: usize = 10;

/// Prints the result of `--check-media`; nothing if the payloads name no URL.
pub(crate) fn print_media_report(report: &MediaReport, printer: &Printer) {
    let all = report.checked + report.unchecked;
    if all == 0 {
        return;
    }
    for group in report.grouped_findings() {
        match &group[0].availability {
            MediaAvailability::Available => {}
            MediaAvailability::Unavailable(message) => {
                printer.error(&describe_media_group(message, &group));
            }
            MediaAvailability::Undetermined(message) => {
                printer.status(&format!("warning: {}", describe_media_group(message, &group)));
            }
        }
    }
    let available = report.checked - report.findings.len() as u64;
    let unchecked = match report.unchecked {
        0 => String::new(),
        urls => {
            let minutes = CHECK_DURATION_MAX.as_secs() / 60;
            format!(", {urls} not checked (limits: {ADDRESSES_MAX} URLs, {minutes} min)")
        }
    };
    printer.status(&format!("{available} of {} available{unchecked}", pluralize(all, "media URL")));
}

/// Returns what is wrong with the URLs of one host, and their rows.
fn describe_media_group(message: &str, group: &[&MediaFinding]) -> String {
    let rows = |finding: &MediaFinding| match finding.rows {
        1 => format!("row {}", finding.first_row),
        rows => format!("row {} and {} more", finding.first_row, rows - 1),
    };
    if let [only] = group {
        return format!("{}: {message}\n  {}", rows(only), strip_control(&only.url));
    }
    let urls = pluralize(group.len() as u64, "URL");
    let mut text = format!("{urls} at {}: {message}", strip_control(group[0].host()));
    for finding in group.iter().take(URLS_LISTED_MAX) {
        text.push_str(&format!("\n  {}: {}", rows(finding), strip_control(&finding.url)));
    }
    let omitted = group.len().saturating_sub(URLS_LISTED_MAX);
    if omitted > 0 {
        text.push_str(&format!("\n  … and {omitted} more"));
    }
    text
}

fn undelivered(key: &str, message: &str) -> String {
    format!("{}: not handed over: {message}", display_key(key))
}

fn describe_retry(jobs: u64) -> String {
    match jobs {
        0 => "no failed video to retry".to_owned(),
        jobs => format!("retrying {} (unless their video has arrived)", pluralize(jobs, "video")),
    }
}
