//! `callsheet resume [BATCH]`: continues batches from the ledger alone.
//!
//! The batch file, the template and the rows come from the ledger, as they were last planned.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::batch;
use crate::cli::args::{GlobalArgs, parse_number};
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{JobState, Ledger, StoredBatch};
use crate::runner::RunOptions;
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::CommandHints;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::session::prepare;
use crate::session::prepare::{LockedBatch, ParsedBatch};
use crate::session::session_report::SessionReport;
use crate::session::target;
use crate::session::time_window::WindowArgs;
use crate::session::webhooks;
use crate::session::{BatchRun, Session};

/// Continue a batch from the ledger, without its sheet
#[derive(Debug, Args)]
#[command(after_help = "\
Changes to the sheet are not read; `callsheet run` reads them.")]
pub(crate) struct ResumeArgs {
    /// Batch name [default: every unfinished batch of the ledger]
    batch: Option<String>,
    /// Continue a rehearsal
    #[arg(long)]
    sandbox: bool,
    /// Submit at most N videos per batch
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    limit: Option<u32>,
    #[command(flatten)]
    window: WindowArgs,
    /// Submit all rows at once, without a canary
    #[arg(long)]
    no_canary: bool,
    /// Do not wait for uncertain jobs
    #[arg(long)]
    no_wait: bool,
    /// Overrides `max_videos` of the batch file
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    max_videos: Option<u32>,
    /// Receive webhooks in this run, as in `[webhook]`
    #[arg(long)]
    webhook: bool,
    // Not clap's own `env`: the variable is set for real runs and would forbid every rehearsal.
    #[arg(long, value_name = "URL", conflicts_with = "sandbox")]
    #[arg(help = "AI Studios host [env: AISTUDIOS_BASE_URL]")]
    base_url: Option<String>,
    /// Simulated seconds per second of a rehearsal
    #[arg(long, value_name = "N", requires = "sandbox", default_value_t = target::REHEARSAL_SPEED)]
    speed: f64,
}

pub(crate) async fn run(args: ResumeArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let wraps = SessionReport::new(Clock::real());
    let ended = wraps.run_until_signal(execute(args, global, printer, &wraps)).await;
    wraps.finish(ended, printer).await
}

async fn execute(
    args: ResumeArgs,
    global: &GlobalArgs,
    printer: &Printer,
    wraps: &SessionReport,
) -> Result<ExitReason, CommandError> {
    let path = global.ledger_path(args.sandbox);
    if !path.exists() {
        let words = format!("no ledger at `{}`", path.display());
        return Err(CommandError::new(ExitReason::Usage, words)
            .with_context(&global.rehearsal_hint(args.sandbox)));
    }
    let ledger = open_batch::open_ledger(&path).await?;
    let stored = select_batches(&ledger, args.batch.as_deref()).await;
    let stored =
        stored.map_err(|error| error.with_context(&global.rehearsal_hint(args.sandbox)))?;
    match stored.as_slice() {
        [] => {
            printer.status("Nothing to do: every batch of this ledger is finished");
            return Ok(ExitReason::Done);
        }
        [only] => printer.set_batch(&only.name),
        _ => {}
    }
    let batches = match parse_batches(&stored, &args, (global, wraps, &ledger), printer)? {
        Ok(batches) => batches,
        Err(exit) => return Ok(exit),
    };
    let clock = Clock::real();
    let taken = lock_batches(batches, &args, &path, &clock).await?;
    ensure_same_host(&stored, &taken)?;
    let mut drives = Vec::new();
    for (stored, LockedBatch { batch, lock, target: account, report: wrap }) in
        stored.iter().zip(taken)
    {
        let hours = args.window.resolve(batch.window.as_ref(), &jiff::Zoned::now());
        if let Some(words) = hours.closed_reason {
            printer.status(&format!("{}: {words}", batch.name));
        }
        let lease = open_batch::begin_run(&ledger, stored.id, &clock).await?;
        wrap.set_ledger_batch(&ledger, stored.id, Some(lease.clone()));
        let commands = CommandHints::from_stored_batch(global, args.sandbox, stored);
        drives.push(BatchRun {
            batch,
            id: stored.id,
            lease,
            options: RunOptions { until: hours.until, ..run_options(&args) },
            lock,
            target: account,
            commands,
            report: wrap,
        });
    }
    Session { ledger, clock, batch_runs: drives, receives_callbacks: args.webhook }
        .run(printer, wraps.signals())
        .await
}

fn run_options(args: &ResumeArgs) -> RunOptions {
    RunOptions {
        only: None,
        limit: args.limit,
        canary: !args.no_canary,
        download: true,
        wait: !args.no_wait,
        until: None,
        retry_failed: false,
    }
}

/// Returns the named batch, or all unfinished batches.
async fn select_batches(
    ledger: &Ledger,
    name: Option<&str>,
) -> Result<Vec<StoredBatch>, CommandError> {
    let usage = |words: &dyn std::fmt::Display| CommandError::new(ExitReason::Usage, words);
    if let Some(name) = name {
        return Ok(vec![ledger.batch(name).await.map_err(|error| usage(&error))?]);
    }
    let batches = ledger.batches().await.map_err(|error| usage(&error))?;
    if batches.is_empty() {
        return Err(usage(&"the ledger has no batches yet: use `callsheet run`"));
    }
    let mut open = Vec::new();
    for batch in &batches {
        let counts = ledger.state_counts(batch.id).await.map_err(|error| usage(&error))?;
        if counts.keys().any(|state| is_resumable(*state)) || batches.len() == 1 {
            open.push(ledger.batch(&batch.name).await.map_err(|error| usage(&error))?);
        }
    }
    Ok(open)
}

/// Returns whether a run continues a job in this state.
fn is_resumable(state: JobState) -> bool {
    match state {
        JobState::Ready
        | JobState::Submitting
        | JobState::Uncertain
        | JobState::Rendering
        | JobState::Fetching => true,
        JobState::Done | JobState::Reused | JobState::Failed | JobState::Cancelled => false,
    }
}

/// Parses the batch files stored in the ledger.
fn parse_batches(
    stored: &[StoredBatch],
    args: &ResumeArgs,
    (global, wraps, ledger): (&GlobalArgs, &SessionReport, &Ledger),
    printer: &Printer,
) -> Result<Result<Vec<ParsedBatch>, ExitReason>, CommandError> {
    let (mut batches, mut exits) = (Vec::new(), Vec::new());
    for stored in stored {
        match batch::parse(&PathBuf::from(&stored.file), stored.source.clone()) {
            Ok(mut batch) => {
                let wrap = wraps.add_batch(&batch, global, args.sandbox);
                wrap.set_ledger_batch(ledger, stored.id, None);
                batch.limits.max_videos = args.max_videos.or(batch.limits.max_videos);
                if args.webhook && !args.sandbox {
                    webhooks::require_webhook(&batch)?;
                }
                if !args.sandbox {
                    target::override_host(&mut batch, args.base_url.as_deref())?;
                }
                batches.push((batch, wrap));
            }
            Err(problems) => exits.push(diagnostics::print_batch_problems(printer, &problems)),
        }
    }
    Ok(if exits.is_empty() { Ok(batches) } else { Err(ExitReason::most_severe(exits)) })
}

async fn lock_batches(
    batches: Vec<ParsedBatch>,
    args: &ResumeArgs,
    ledger: &Path,
    clock: &Clock,
) -> Result<Vec<LockedBatch>, CommandError> {
    let accounts = if args.sandbox { Vec::new() } else { prepare::resolve_targets(&batches)? };
    let studio = crate::cli::commands::sandbox::sandbox_settings(&[], args.speed)
        .map_err(|words| CommandError::new(ExitReason::Usage, words))?;
    prepare::lock_all(batches, (accounts, studio), ledger, clock).await
}

/// Returns an error if a batch belongs to another host: a batch stays at its host permanently.
fn ensure_same_host(stored: &[StoredBatch], taken: &[LockedBatch]) -> Result<(), CommandError> {
    for (stored, taken) in stored.iter().zip(taken) {
        if taken.target.stored_host != stored.base_url {
            let words = format!(
                "batch `{}` belongs to {} and cannot continue at {}",
                stored.name, stored.base_url, taken.target.stored_host
            );
            return Err(CommandError::new(ExitReason::Usage, words));
        }
    }
    Ok(())
}
