//! `callsheet run BATCH.toml…`: checks, plans, confirms and runs one or more batches.
//!
//! `session` prepares and runs them; this file reads the arguments and asks the user.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::cli::args::{
    GlobalArgs, MatchArgs, RowFilterArgs, WindowArgs, batch_file_parser, parse_number,
};
use crate::cli::output::printer::Printer;
use crate::cli::output::{prompt, session_output};
use crate::clock::Clock;
use crate::plan::RowSelection;
use crate::process;
use crate::runner::RunOptions;
use crate::session::account::target::{REHEARSAL_SPEED, RehearsalOptions};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::LedgerLocation;
use crate::session::prepare::BatchOverrides;
use crate::session::run_request::RunRequest;
use crate::session::{Session, SessionSetup};

/// The longest step of a wait for the beginning.
const WAIT_STEP: Duration = Duration::from_secs(20);

/// Render a batch; run again to continue
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet run jobs/spring.toml --sandbox          rehearse (free)
  callsheet run jobs/spring.toml --limit 3          render three
  callsheet run jobs/*.toml --yes                   several batches, unattended")]
pub(crate) struct RunArgs {
    /// Batch files or names (they run side by side)
    #[arg(value_name = "BATCH", required = true, value_parser = batch_file_parser())]
    batches: Vec<PathBuf>,
    /// Rehearse (free): simulated AI Studios, no account
    #[arg(long)]
    sandbox: bool,
    /// Submit at most N videos a batch, changed rows last
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    limit: Option<u32>,
    #[command(flatten)]
    row_filter: RowFilterArgs,
    /// Run only the rows in this file, with its cells
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    with: Option<PathBuf>,
    /// Do not ask before spending
    #[arg(long, short)]
    yes: bool,
    /// Accept paying again for changed videos
    #[arg(long)]
    accept_changes: bool,
    /// Skip invalid rows instead of stopping
    #[arg(long)]
    skip_invalid: bool,
    /// Retry failed videos (paid, unless rendered)
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    ledger_match: MatchArgs,
    #[command(flatten)]
    window: WindowArgs,
    /// Do not wait for the first videos (`canary`)
    #[arg(long)]
    no_canary: bool,
    /// Render only; a later run downloads
    #[arg(long)]
    no_download: bool,
    /// End without waiting for uncertain videos
    #[arg(long)]
    no_wait: bool,
    /// At most N paid requests per run, as `max_videos`
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    max_videos: Option<u32>,
    /// First check that all pictures and videos exist
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
    #[arg(long, value_name = "N", requires = "sandbox", default_value_t = REHEARSAL_SPEED)]
    #[arg(help_heading = "Rehearsals")]
    speed: f64,
    /// Inject a fault (see `callsheet help faults`)
    #[arg(long, value_name = "FAULT", requires = "sandbox")]
    #[arg(help_heading = "Rehearsals")]
    fault: Vec<String>,
    /// Run only the plan with this hash, which the console was shown
    #[arg(long, value_name = "HASH", hide = true)]
    approved_plan: Option<String>,
    /// Begin at this time, such as 2026-11-29T22:00:00Z
    #[arg(long, value_name = "TIME", hide = true)]
    not_before: Option<Timestamp>,
    /// Survive the end of the process that started this run
    #[arg(long, hide = true)]
    detach: bool,
    /// Send notifications from the rehearsal as well
    #[arg(long, requires = "sandbox")]
    #[arg(help_heading = "Rehearsals")]
    notify: bool,
}

pub(crate) async fn run(args: RunArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    if args.detach {
        process::detach();
    }
    if let Some(time) = args.not_before {
        wait_until(time, &Clock::real()).await;
    }
    if let Some(file) = &args.with {
        if args.batches.len() > 1 {
            let message = "--with names the rows of one batch: run the batches one by one";
            return CommandError::usage(message).report(printer);
        }
        printer.status(&with_message(file));
    }
    let location = match global.find_ledger(args.sandbox, &args.batches) {
        Ok(location) => location,
        Err(error) => return session_output::print_early_error(&error, printer),
    };
    location.notice.iter().for_each(|notice| printer.status(notice));
    let clock = Clock::real();
    let observer = session_output::observer(printer, global.suggested_options(args.sandbox));
    let session =
        Session::start(SessionSetup { clock, observer, notifies_rehearsals: args.notify });
    let confirm = async |question| {
        // The question follows everything that it is about.
        printer.wait_until_written();
        prompt::confirm_spending(question).await
    };
    let result = session.run(run_request(args, location), confirm).await;
    printer.print_summary(result.summary);
    result.exit
}

/// Waits in steps, because a machine that sleeps stops a timer, too.
async fn wait_until(time: Timestamp, clock: &Clock) {
    while let Ok(left) = Duration::try_from(time.duration_since(clock.now()))
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(WAIT_STEP)).await;
    }
}

/// Returns the reminder that the sheet itself is not changed.
pub(super) fn with_message(file: &Path) -> String {
    format!(
        "rows of `{}` replace those of the sheet in this run; change the sheet as well, or a later \
         run without --with renders its rows again",
        file.display()
    )
}

fn run_request(args: RunArgs, location: LedgerLocation) -> RunRequest {
    let rehearsal = RehearsalOptions { faults: args.fault, speed: args.speed };
    RunRequest {
        location,
        match_overrides: args.ledger_match.overrides(),
        rehearsal: args.sandbox.then_some(rehearsal),
        selection: RowSelection { with_file: args.with, ..args.row_filter.row_selection() },
        options: RunOptions {
            only: None,
            limit: args.limit,
            canary: !args.no_canary && !args.no_download,
            download: !args.no_download,
            wait: !args.no_wait,
            until: None,
            retry_failed: args.retry_failed,
        },
        overrides: BatchOverrides { max_videos: args.max_videos, base_url: args.base_url },
        window: args.window.options(),
        skip_invalid: args.skip_invalid,
        accepts_changes: args.accept_changes,
        approved_plan: args.approved_plan,
        check_media: args.check_media,
        has_receiver: args.webhook,
        asks: !args.sandbox && !args.yes,
        files: args.batches,
    }
}
