//! `callsheet run BATCH.toml…`: checks, plans, confirms and runs one or more batches.
//!
//! `session` prepares and runs them; this file reads the arguments and asks the user.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::{GlobalArgs, RowFilterArgs, parse_number};
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{Ledger, RetryFilter};
use crate::runner::RunOptions;
use crate::sandbox;
use crate::session::exit_code::ExitReason;
use crate::session::media_check;
use crate::session::next_steps::CommandHints;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::session::prepare;
use crate::session::prepare::{LockedBatch, ParsedBatch, PlannedBatch, ReadyBatch};
use crate::session::session_report::SessionReport;
use crate::session::target;
use crate::session::time_window::WindowArgs;
use crate::session::{BatchRun, Session};
use crate::session::{overwrite_guard, sheet_input, webhooks};
use crate::text::pluralize;

/// Render a batch; run again to continue
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet run jobs/spring.toml --sandbox          rehearse (free)
  callsheet run jobs/spring.toml --limit 3          render three
  callsheet run jobs/spring.toml                    render the rest
  callsheet run jobs/*.toml --yes                   several batches, unattended")]
pub(crate) struct RunArgs {
    /// Batch files; those of one account share its lowest rates
    #[arg(value_name = "BATCH", required = true)]
    batches: Vec<PathBuf>,
    /// Rehearse (free), with its own ledger and folder
    #[arg(long)]
    sandbox: bool,
    /// Submit at most N videos per batch
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    limit: Option<u32>,
    #[command(flatten)]
    row_filter: RowFilterArgs,
    /// Do not ask before spending
    #[arg(long, short)]
    yes: bool,
    /// Skip invalid rows instead of stopping
    #[arg(long)]
    skip_invalid: bool,
    /// Retry failed jobs, unless their video has arrived
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    window: WindowArgs,
    /// Submit all rows at once, without a canary
    #[arg(long)]
    no_canary: bool,
    /// Render only; a later run downloads
    #[arg(long)]
    no_download: bool,
    /// Do not wait for uncertain jobs
    #[arg(long)]
    no_wait: bool,
    /// Overrides `max_videos` of the batch file
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    max_videos: Option<u32>,
    /// First check that every media URL exists
    #[arg(long)]
    check_media: bool,
    /// Receive webhooks in this run, as in `[webhook]`
    #[arg(long)]
    webhook: bool,
    // Not clap's own `env`: the variable is set for real runs and would forbid every rehearsal.
    #[arg(long, value_name = "URL", conflicts_with = "sandbox")]
    #[arg(help = "AI Studios host [env: AISTUDIOS_BASE_URL]")]
    base_url: Option<String>,
    /// Simulated seconds per second
    #[arg(long, value_name = "N", requires = "sandbox", default_value_t = target::REHEARSAL_SPEED)]
    #[arg(help_heading = "Rehearsals")]
    speed: f64,
    /// Inject a fault (see `callsheet help faults`)
    #[arg(long, value_name = "FAULT", requires = "sandbox")]
    #[arg(help_heading = "Rehearsals")]
    fault: Vec<String>,
    /// Send notifications from the rehearsal as well
    #[arg(long, requires = "sandbox")]
    #[arg(help_heading = "Rehearsals")]
    notify: bool,
}

pub(crate) async fn run(args: RunArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let mut wraps = SessionReport::new(Clock::real());
    if args.notify {
        wraps.enable_rehearsal_notifications();
    }
    let ended = wraps.run_until_signal(execute(args, global, printer, &wraps)).await;
    wraps.finish(ended, printer).await
}

async fn execute(
    args: RunArgs,
    global: &GlobalArgs,
    printer: &Printer,
    wraps: &SessionReport,
) -> Result<ExitReason, CommandError> {
    let mut batches = match read_batches(&args, (global, wraps), printer)? {
        Ok(batches) => batches,
        Err(exit) => return Ok(exit),
    };
    let mut spooled = Vec::new();
    for (batch, _) in &mut batches {
        spooled.push(sheet_input::spool_sheet(batch).await?);
    }
    if args.check_media
        && !media_check::check_all_media(batches.iter().map(|(batch, _)| batch), printer).await?
    {
        return Ok(ExitReason::Input);
    }
    let clock = Clock::real();
    let path = global.ledger_path(args.sandbox);
    // Settings are checked before anything is created on disk.
    let accounts = if args.sandbox { Vec::new() } else { prepare::resolve_targets(&batches)? };
    let studio = rehearsal_settings(&args)?;
    let ledger = open_batch::open_ledger(&path).await?;
    let taken = prepare::lock_all(batches, (accounts, studio), &path, &clock).await?;
    let choice = args.row_filter.row_selection();
    let drawn = match prepare::plan_all(taken, &choice, (&ledger, &clock), printer).await? {
        Ok(drawn) => drawn,
        Err(exit) => return Ok(exit),
    };
    // The sheets are no longer needed: their rows are in the plans.
    drop(spooled);
    if let Some(exit) = confirm_or_exit(&drawn, &args, printer).await {
        if exit == ExitReason::Done {
            // The user declined: there is nothing to report.
            wraps.discard_all();
        }
        prepare::discard_all(drawn, &clock).await?;
        return Ok(exit);
    }
    let ready = prepare::commit_all(drawn, &ledger, &clock).await?;
    if args.retry_failed {
        print_retry_count(&ledger, &ready, printer).await?;
    }
    let drives = ready.into_iter().map(|ready| batch_run(ready, &args, global)).collect();
    Session { ledger, clock, batch_runs: drives, receives_callbacks: args.webhook }
        .run(printer, wraps.signals())
        .await
}

/// Reads every batch file and prints the problems of all of them.
fn read_batches(
    args: &RunArgs,
    (global, wraps): (&GlobalArgs, &SessionReport),
    printer: &Printer,
) -> Result<Result<Vec<ParsedBatch>, ExitReason>, CommandError> {
    let (mut batches, mut exits) = (Vec::new(), Vec::new());
    for file in &args.batches {
        match batch::read(file) {
            Ok(batch) => {
                if args.batches.len() == 1 {
                    printer.set_batch(batch.name.as_str());
                }
                let wrap = wraps.add_batch(&batch, global, args.sandbox);
                let batch = apply_flags(batch, args)?;
                let output = open_batch::output_dir(&batch, args.sandbox);
                overwrite_guard::ensure_inputs_are_not_reports(&batch, &output)?;
                if args.webhook && !args.sandbox {
                    webhooks::require_webhook(&batch)?;
                }
                batches.push((batch, wrap));
            }
            Err(problems) => exits.push(diagnostics::print_batch_problems(printer, &problems)),
        }
    }
    if !exits.is_empty() {
        return Ok(Err(ExitReason::most_severe(exits)));
    }
    ensure_distinct(&batches).inspect_err(|_| wraps.discard_all())?;
    Ok(Ok(batches))
}

/// Returns an error if two batches have one name (one batch for the ledger) or one output folder
/// (they would overwrite each other's reports).
fn ensure_distinct(batches: &[ParsedBatch]) -> Result<(), CommandError> {
    let (mut names, mut folders) = (BTreeMap::new(), BTreeMap::new());
    for (batch, _) in batches {
        let file = batch.file.display();
        if let Some(other) = names.insert(batch.name.as_str(), &batch.file) {
            let words =
                format!("`{}` and `{file}` have the same name, `{}`", other.display(), batch.name);
            return Err(CommandError::new(ExitReason::Usage, words));
        }
        let folder = std::path::absolute(&batch.output).unwrap_or_else(|_| batch.output.clone());
        if let Some(other) = folders.insert(folder, &batch.file) {
            let words = format!(
                "`{}` and `{file}` both write to `{}`: change the `output` of one",
                other.display(),
                batch.output.display()
            );
            return Err(CommandError::new(ExitReason::Input, words));
        }
    }
    Ok(())
}

/// Prints the number of jobs to retry. The run itself retries them, after checking whether their
/// videos have arrived.
async fn print_retry_count(
    ledger: &Ledger,
    ready: &[ReadyBatch],
    printer: &Printer,
) -> Result<(), CommandError> {
    let mut jobs = 0;
    for one in ready {
        let chosen = RetryFilter { selection: one.selection, ..RetryFilter::default() };
        let again = ledger.count_retries(one.id, &chosen).await;
        let again = again.map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
        jobs += again.submissions + again.downloads;
    }
    let jobs = pluralize(jobs, "job");
    printer.status(&format!("retrying {jobs} (unless their video has arrived)"));
    Ok(())
}

fn batch_run(ready: ReadyBatch, args: &RunArgs, global: &GlobalArgs) -> BatchRun {
    let ReadyBatch {
        locked: LockedBatch { batch, lock, target: account, report: wrap },
        id,
        lease,
        selection: only,
    } = ready;
    let file = batch.file.display().to_string();
    let commands = CommandHints::from_name(global, args.sandbox, (batch.name.as_str(), &file));
    let until = args.window.resolve(batch.window.as_ref(), &jiff::Zoned::now()).until;
    let orders = RunOptions { only, until, ..run_options(args) };
    BatchRun { batch, id, lease, options: orders, lock, target: account, commands, report: wrap }
}

fn apply_flags(mut batch: Batch, args: &RunArgs) -> Result<Batch, CommandError> {
    batch.limits.max_videos = args.max_videos.or(batch.limits.max_videos);
    if !args.sandbox {
        target::override_host(&mut batch, args.base_url.as_deref())?;
    }
    Ok(batch)
}

fn run_options(args: &RunArgs) -> RunOptions {
    RunOptions {
        only: None,
        limit: args.limit,
        canary: !args.no_canary && !args.no_download,
        download: !args.no_download,
        wait: !args.no_wait,
        until: None,
        retry_failed: args.retry_failed,
    }
}

fn rehearsal_settings(args: &RunArgs) -> Result<sandbox::SandboxSettings, CommandError> {
    crate::cli::commands::sandbox::sandbox_settings(&args.fault, args.speed)
        .map_err(|words| CommandError::new(ExitReason::Usage, words))
}

/// Prints the plans and asks the user. Returns an exit reason if the run ends here.
async fn confirm_or_exit(
    drawn: &[PlannedBatch],
    args: &RunArgs,
    printer: &Printer,
) -> Option<ExitReason> {
    let (mut videos, mut exits) = (0, Vec::new());
    let asked = prepare::RunPreviewOptions {
        skip_invalid: args.skip_invalid,
        retry_failed: args.retry_failed,
        limit: args.limit,
        window: &args.window,
    };
    for one in drawn {
        let printer = if drawn.len() > 1 { &printer.for_batch(one.name()) } else { printer };
        match prepare::preview_run(one, &asked, printer) {
            Ok(more) => videos += more,
            Err(exit) => exits.push(exit),
        }
    }
    if !exits.is_empty() {
        return Some(ExitReason::most_severe(exits));
    }
    let asks = TerminalPrompt::available(drawn.iter().any(PlannedBatch::has_stdin_sheet));
    let (Some(person), false) = (asks, videos == 0 || args.sandbox || args.yes) else {
        return None;
    };
    // On a blocking thread, so that a signal can interrupt an unanswered question.
    let agrees = tokio::task::spawn_blocking(move || person.confirm_spending(videos)).await;
    (!agrees.unwrap_or(false)).then(|| {
        printer.status("Nothing was submitted");
        ExitReason::Done
    })
}

/// A terminal on which the user can confirm spending.
enum TerminalPrompt {
    /// Standard input.
    Stdin,
    /// The terminal device, if standard input is the sheet.
    Tty(File),
}

impl TerminalPrompt {
    /// Returns the terminal, or `None` without one, such as under cron.
    fn available(sheet_is_stdin: bool) -> Option<Self> {
        if !sheet_is_stdin {
            return std::io::stdin().is_terminal().then_some(Self::Stdin);
        }
        if !std::io::stderr().is_terminal() {
            return None;
        }
        File::open("/dev/tty").ok().map(Self::Tty)
    }

    /// Asks the user to confirm spending.
    fn confirm_spending(self, videos: u64) -> bool {
        let mut err = std::io::stderr();
        let asked = write!(err, "submit {videos} to AI Studios? This costs credits. [y/N] ");
        if asked.and_then(|()| err.flush()).is_err() {
            return false;
        }
        let mut answer = String::new();
        let read = match self {
            Self::Stdin => std::io::stdin().lock().read_line(&mut answer),
            Self::Tty(terminal) => BufReader::new(terminal).read_line(&mut answer),
        };
        read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}
