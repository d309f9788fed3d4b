//! `callsheet check [BATCH.toml]`: checks in advance whatever could stop an unattended run.
//!
//! Covers the batch file, the account (one free request), webhooks, the clock, free disk space, the
//! ledger and file locking. Spends nothing and leaves nothing behind.

mod caps;
mod ledger_match;
mod probe;
mod webhook;
mod window;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use crate::aistudios::{ApiClient, ClientSettings, CredentialCheck};
use crate::batch;
use crate::batch::{Batch, BatchAccess, ProxySetting, SheetSource, VendorProfileEntry};
use crate::cli::args::{GlobalArgs, batch_file_parser};
use crate::cli::commands::check::probe::ProbeArgs;
use crate::cli::output::finding::{finding_json, print_finding};
use crate::cli::output::printer::Printer;
use crate::cli::output::styled_text::{MessageStyle, StyledText};
use crate::cli::output::text_table::TextTable;
use crate::cli::output::{diagnostics, settings_table, vendor_profile};
use crate::clock::Clock;
use crate::http::unused_proxy_variable;
use crate::ledger::LedgerAddress;
use crate::runner::{BatchFileLock, LockError, lock_holder};
use crate::session::account::credentials;
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::credentials_file;
use crate::session::account::target;
use crate::session::check_finding::{CheckFinding, FindingGrade, exit_for_findings};
use crate::session::delivery::ensure_command_exists;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::{output_dir, overwrite_guard, shared_output};
use crate::session::ledger_location;
use crate::session::reports::batch_settings::EffectiveSetting;
use crate::text::{describe_io_error, format_duration, pluralize, strip_control};

/// Below this, writes to the ledger or to a video will soon fail.
const FREE_BYTES_MIN: u64 = 200_000_000;
/// Below this, a run of a hundred videos may fill the disk.
const FREE_BYTES_WARN: u64 = 2_000_000_000;
/// With a larger skew a token appears to be expired, and times are hard to compare.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(2);

/// Check that a run can start here
#[derive(Debug, Args)]
#[command(after_help = "\
Checks the batch file, account (free), clock, disks, ledger and file locking,
and says whether a run can start; -v also prints every setting with its source.
Spends nothing without --probe-render.

--probe makes and deletes one free draft, and writes the results to
vendor-DATE.toml beside the batch file; to use it, set `file` under `[vendor]`.

Each line begins with ok, warn or fail. Exit code: 0 if nothing fails; 1 ledger
or disk, 2 setting, 4 batch file, sheet or template, 5 AI Studios unavailable,
7 account refused; if several fail, the first of 1, 7, 2, 4, 5.
JSON fields: callsheet help json check

Example:
  callsheet check jobs/spring.toml")]
pub(crate) struct CheckArgs {
    /// Batch name or file
    #[arg(value_parser = batch_file_parser())]
    batch: Option<PathBuf>,
    /// Send no request to AI Studios
    #[arg(long)]
    offline: bool,
    /// Check for rehearsals: their ledger and folder, no account
    #[arg(long)]
    sandbox: bool,
    #[command(flatten)]
    probe: ProbeArgs,
}

pub(crate) async fn run(args: CheckArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: CheckArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let batch = match &args.batch {
        Some(path) => match batch::read(path) {
            Ok(batch) => Some(batch),
            Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
        },
        None => None,
    };
    let files: Vec<PathBuf> = args.batch.iter().cloned().collect();
    let location = global.find_ledger(args.sandbox, &files)?;
    let mut findings = Vec::new();
    if let Some(batch) = &batch {
        findings.extend(check_files(batch));
        findings.extend(check_accesses(batch));
        if let Err(error) = ensure_command_exists(batch) {
            findings.push(CheckFinding::fail(
                error.exit(),
                "on_done",
                error.message().unwrap_or_default(),
            ));
        }
        findings.extend(check_notification_addresses(batch).await);
        let folder = output_dir::output_dir(batch, args.sandbox);
        let guards = [
            overwrite_guard::ensure_inputs_are_not_reports(batch, &folder),
            shared_output::ensure_own_output(batch, &folder),
        ];
        for error in guards.into_iter().filter_map(Result::err) {
            let message = error.message().unwrap_or_default();
            findings.push(CheckFinding::fail(error.exit(), "output", message));
        }
    }
    findings.extend(check_ledger(&location.address, batch.as_ref(), args.sandbox).await);
    if let Some(batch) = &batch {
        findings.extend(ledger_match::check_ledger_match(batch, &location).await);
    }
    findings.extend(location.address.as_file().map(check_lock));
    if let Some(batch) = &batch {
        findings.extend(caps::check_caps(&batch.limits));
        findings.push(check_disk_space("output", &output_dir::output_dir(batch, args.sandbox)));
        findings.extend(
            batch.window.as_ref().map(|window| window::check_window(window, Clock::real().now())),
        );
    }
    if args.sandbox {
        findings.push(CheckFinding::ok("account", "not needed for a rehearsal"));
    } else {
        findings.extend(check_proxy(batch.as_ref()));
        findings.extend(check_account(batch.as_ref(), args.offline).await);
        let settings = batch.as_ref().and_then(|batch| batch.webhook.as_ref());
        if let (Some(settings), false) = (settings, args.offline) {
            findings.push(webhook::check_callbacks(settings, &location.address).await);
        }
    }
    if let Some(batch) = batch.as_ref() {
        // An invalid host has already been reported.
        if let Ok(host) = target::choose_host(Some(batch)) {
            findings.extend(vendor_profile::measurement_findings(&batch.vendor, &host.host));
            if args.probe.is_requested() && exit_for_findings(&findings) == ExitReason::Done {
                findings.extend(args.probe.run(batch, &host, printer).await?);
            } else if args.probe.is_requested() {
                let todo = "fix the failures above, then probe";
                findings.push(CheckFinding::warn("probe", "skipped", todo));
            }
        }
    }
    let settings = settings_table::effective_settings(global, args.sandbox, batch.as_ref());
    let next_command = batch.as_ref().map(|batch| {
        let (name, file) = (batch.name.as_str(), batch.file.display().to_string());
        global.command_hints(args.sandbox, name, &file).plan_command()
    });
    let vendor = batch.map(|batch| batch.vendor.entries()).unwrap_or_default();
    let exit = exit_for_findings(&findings);
    print_output(&CheckOutput { findings, settings, vendor, next_command }, exit, printer);
    Ok(exit)
}

/// The output of the command.
struct CheckOutput {
    findings: Vec<CheckFinding>,
    settings: Vec<EffectiveSetting>,
    vendor: Vec<VendorProfileEntry>,
    /// The command that checks the rows of the batch.
    next_command: Option<String>,
}

fn check_files(batch: &Batch) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    let mut files = vec![("template", &batch.template)];
    match &batch.sheet_source {
        SheetSource::File(_) => files.insert(0, ("sheet", &batch.sheet)),
        from @ (SheetSource::Stdin | SheetSource::Link(_)) => {
            findings.push(CheckFinding::ok("sheet", format!("{from}, read by plan and run")));
        }
    }
    for (topic, path) in files {
        let shown = path.display().to_string();
        findings.push(match std::fs::File::open(path) {
            Ok(_) if topic == "sheet" => {
                CheckFinding::ok(topic, format!("{shown}; its rows are checked by plan and run"))
            }
            Ok(_) => CheckFinding::ok(topic, shown),
            Err(error) => {
                let message =
                    format!("`{shown}` cannot be read ({})", describe_io_error(error.kind()));
                CheckFinding::fail(ExitReason::Input, topic, message)
                    .with_todo("paths are relative to the batch file")
            }
        });
    }
    findings
}

/// Lists the commands, foreign hosts and secrets of the batch file. Only the user can judge them.
fn check_accesses(batch: &Batch) -> impl Iterator<Item = CheckFinding> {
    let message = |access: BatchAccess| strip_control(&access.message()).into_owned();
    let finding = move |access| CheckFinding::ok("access", message(access));
    batch.accesses().into_iter().map(finding)
}

/// Warns of addresses that would receive notifications unencrypted.
async fn check_notification_addresses(batch: &Batch) -> impl Iterator<Item = CheckFinding> {
    batch.notify.plaintext_targets().await.into_iter().map(|(setting, host)| {
        let message = format!("`{setting}` reaches `{host}` without encryption");
        CheckFinding::warn("notify", message, "use an https address")
    })
}

/// Checks the ledger, its disk, and that the batch belongs to this host.
async fn check_ledger(
    shown: &LedgerAddress,
    batch: Option<&Batch>,
    sandbox: bool,
) -> Vec<CheckFinding> {
    let topic = "ledger";
    let file = shown.as_file();
    let mut findings: Vec<_> = file
        .map(|file| check_disk_space("ledger disk", &parent_folder(file)))
        .into_iter()
        .collect();
    if !shown.may_exist() {
        findings
            .push(CheckFinding::ok(topic, format!("`{shown}` will be created by the first run")));
        return findings;
    }
    let ledger = match ledger_location::open_ledger(shown).await {
        Ok(ledger) => ledger,
        Err(error) => {
            findings.push(CheckFinding::fail(
                ExitReason::Unexpected,
                topic,
                error.message().unwrap_or_default(),
            ));
            return findings;
        }
    };
    if file.is_some_and(credentials_file::is_open_to_others) {
        let message = format!("others can read `{shown}`: it holds every row and payload");
        findings.push(CheckFinding::warn(topic, message, "chmod 600 the ledger's file"));
    }
    findings.push(match ledger.find_defects().await {
        Ok(defects) if defects.is_empty() => {
            CheckFinding::ok(topic, format!("`{shown}` is undamaged"))
        }
        Ok(defects) => CheckFinding::fail(ExitReason::Unexpected, topic, defects.join("; "))
            .with_todo("keep the file, do not run with it; see `callsheet ledger check`"),
        Err(error) => CheckFinding::fail(ExitReason::Unexpected, topic, error.to_string()),
    });
    if let Some(batch) = batch
        && let Ok(stored) = ledger.batch(batch.name.as_str()).await
        && stored.is_planned()
        && !sandbox
    {
        let host = target::choose_host(Some(batch)).map(|host| host.host.base_url().to_string());
        let host = host.unwrap_or_default();
        // Once a request was sent, the batch stays at its host.
        let is_bound = ledger.has_requests(stored.id).await.unwrap_or(true);
        if is_bound && stored.base_url.trim_end_matches('/') != host.trim_end_matches('/') {
            let message = format!("the batch belongs to {}, not to {host}", stored.base_url);
            findings.push(
                CheckFinding::fail(ExitReason::Usage, "host", message)
                    .with_todo("a batch stays at its host; use another name for the other host"),
            );
        }
        findings.extend(ledger_match::check_standbys(&ledger).await);
        findings.extend(ledger_match::check_last_machine(&ledger, &stored, batch).await);
        if let Some(holder) = lock_holder(&ledger, &stored.name).await {
            findings.push(CheckFinding::warn(
                "run",
                format!("live run: {holder}"),
                "a second run of this batch exits with 11",
            ));
        }
    }
    ledger.close().await;
    findings
}

/// Checks that file locking works in the ledger's folder.
fn check_lock(ledger: &Path) -> CheckFinding {
    let (topic, name) = ("lock", format!("check-{}", std::process::id()));
    let taken = BatchFileLock::acquire(ledger, &name, Clock::real().now());
    let finding = match taken {
        Ok(lock) => {
            drop(lock);
            CheckFinding::ok(topic, "file locking works")
        }
        Err(error @ (LockError::Unreliable { .. } | LockError::NotALockFile { .. })) => {
            CheckFinding::fail(ExitReason::Usage, topic, error.to_string())
        }
        Err(error @ (LockError::Io { .. } | LockError::Held { .. } | LockError::Ledger(_))) => {
            CheckFinding::fail(ExitReason::Unexpected, topic, error.to_string())
                .with_todo("create the ledger's folder; this user needs write permission")
        }
    };
    let _ = std::fs::remove_file(BatchFileLock::path(ledger, &name));
    finding
}

fn parent_folder(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Checks that files can be created in `folder`, and the free space. For a folder that does not
/// exist yet, its nearest existing parent is checked.
fn check_disk_space(topic: &'static str, folder: &Path) -> CheckFinding {
    let shown = folder.display();
    let there = match output_dir::check_writable(folder) {
        Ok(there) => there,
        Err(error) => {
            let message =
                format!("cannot create files in `{shown}` ({})", describe_io_error(error.kind()));
            return CheckFinding::fail(ExitReason::Unexpected, topic, message)
                .with_todo("give this user write permission");
        }
    };
    let Ok(free) = fs4::available_space(there) else {
        let message = format!("the free space of `{shown}` is unknown");
        return CheckFinding::warn(topic, message, "check it yourself");
    };
    let message = format!("{:.1} GB free in `{shown}`", free as f64 / 1e9);
    if free < FREE_BYTES_MIN {
        CheckFinding::fail(ExitReason::Unexpected, topic, message)
            .with_todo("free some space, or use another disk")
    } else if free < FREE_BYTES_WARN {
        CheckFinding::warn(topic, message, "a long run may need more")
    } else {
        CheckFinding::ok(topic, message)
    }
}

/// Warns of a proxy variable that is not used.
fn check_proxy(batch: Option<&Batch>) -> Option<CheckFinding> {
    let is_unused = batch.is_none_or(|batch| batch.studio.proxy == ProxySetting::Unused);
    let is_remote = target::choose_host(batch).is_ok_and(|chosen| !chosen.host.is_loopback());
    let name = unused_proxy_variable().filter(|_| is_unused && is_remote)?;
    let todo = "set `proxy = \"system\"` under [studio] if the internet is behind a proxy";
    Some(CheckFinding::warn("proxy", format!("`{name}` is set, but not used"), todo))
}

/// Checks the credentials, and compares the clock with the host's.
async fn check_account(batch: Option<&Batch>, offline: bool) -> Vec<CheckFinding> {
    let topic = "account";
    let fail = |message: String| vec![CheckFinding::fail(ExitReason::Usage, topic, message)];
    let host = match target::choose_host(batch) {
        Ok(host) => host,
        Err(error) => return fail(error.message().unwrap_or_default().to_owned()),
    };
    let query = CredentialQuery::new(&host, batch);
    let found = match credentials::find_credentials(query) {
        Ok(found) => found,
        Err(error) => return fail(error.to_string()),
    };
    let from = credentials::describe_source(query);
    if offline {
        let message = format!("credentials from {from} (not verified: --offline)");
        return vec![CheckFinding::ok(topic, message)];
    }
    let credentials = match found.resolve().await {
        Ok(credentials) => credentials,
        Err(error) => return fail(error.to_string()),
    };
    let host = host.host;
    let mut settings = ClientSettings::new(host.base_url(), credentials);
    if let Some(batch) = batch {
        settings.request_timeout = batch.limits.request_timeout;
        settings.proxy = (&batch.studio.proxy).into();
    }
    let client = match ApiClient::new(settings, Clock::real()) {
        Ok(client) => client,
        Err(error) => return fail(error.to_string()),
    };
    match client.check_credentials().await {
        Ok(confirmed) => {
            let message = format!("{} accepted the credentials from {from}", host.base_url());
            vec![CheckFinding::ok(topic, message), check_clock(&confirmed)]
        }
        Err(error) => vec![CheckFinding::from_call_error(topic, &error)],
    }
}

fn check_clock(confirmed: &CredentialCheck) -> CheckFinding {
    let topic = "clock";
    let Some(ahead) = confirmed.clock_ahead else {
        let message = "not compared: the response of AI Studios has no date";
        return CheckFinding::warn(topic, message, "compare this clock with another one");
    };
    let skew = format_duration(ahead.unsigned_abs());
    if ahead.abs() <= CLOCK_SKEW_MAX {
        return CheckFinding::ok(topic, format!("differs from AI Studios by {skew}"));
    }
    let direction = if ahead.is_positive() { "ahead of" } else { "behind" };
    let message = format!("{skew} {direction} AI Studios");
    CheckFinding::warn(topic, message, "set the clock, or enable time synchronization")
}

fn print_output(found: &CheckOutput, exit: ExitReason, printer: &Printer) {
    if printer.is_json() {
        let findings: Vec<_> = found.findings.iter().map(finding_json).collect();
        let settings: Vec<_> = found.settings.iter().map(EffectiveSetting::to_json).collect();
        let vendor: Vec<_> = found.vendor.iter().map(vendor_profile::profile_line_json).collect();
        printer.print_json(&json!({
            "exit": exit.code(), "findings": findings, "settings": settings, "vendor": vendor,
        }));
        return;
    }
    found.findings.iter().for_each(|finding| print_finding(finding, printer));
    if printer.is_verbose() {
        let mut table = TextTable::new(&["setting", "value", "from"]);
        for setting in &found.settings {
            table.add([setting.name.to_owned(), setting.value.clone(), setting.source.to_owned()]);
        }
        printer.print_result(&format!("\n{}", table.render()));
        vendor_profile::print_profile(&found.vendor, printer);
    }
    printer.print_result("");
    printer.print_styled(&verdict(&found.findings));
    if let (ExitReason::Done, Some(plan)) = (exit, &found.next_command) {
        printer.status(&format!("Next: {plan}\n      checks the rows (free)"));
    }
}

/// Returns the last line: whether a run can start.
fn verdict(findings: &[CheckFinding]) -> StyledText {
    let count = |is_counted: fn(FindingGrade) -> bool| {
        findings.iter().filter(|finding| is_counted(finding.grade)).count() as u64
    };
    let problems = count(|grade| matches!(grade, FindingGrade::Fail(_)));
    let warnings = count(|grade| grade == FindingGrade::Warn);
    let text = StyledText::default();
    match (problems, warnings) {
        (0, 0) => text.with(MessageStyle::Good, "A run can start, if its rows are valid"),
        (0, _) => text
            .with(MessageStyle::Good, "A run can start, if its rows are valid")
            .plain("; ")
            .with(MessageStyle::Warning, pluralize(warnings, "warning")),
        (_, _) => text
            .with(MessageStyle::Bad, pluralize(problems, "problem"))
            .plain(": a run cannot start"),
    }
}
