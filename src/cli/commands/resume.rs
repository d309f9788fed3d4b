//! `callsheet resume [BATCH]`: continues batches from the ledger alone.
//!
//! The batch file, the template and the rows come from the ledger, as they were last planned.

use clap::Args;

use crate::cli::args::{GlobalArgs, MatchArgs, TrustArgs, WindowArgs, parse_number};
use crate::cli::output::printer::Printer;
use crate::cli::output::{prompt, session_output};
use crate::clock::Clock;
use crate::runner::RunOptions;
use crate::session::account::target::{REHEARSAL_SPEED, RehearsalOptions};
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::LedgerLocation;
use crate::session::prepare::BatchOverrides;
use crate::session::resume_request::ResumeRequest;
use crate::session::{Session, SessionSetup};

/// Continue a batch from the ledger, without its sheet
#[derive(Debug, Args)]
#[command(after_help = "\
Submits what is planned (paid), without asking. Changes to the sheet are not
read; `callsheet run` reads them.")]
pub(crate) struct ResumeArgs {
    /// Batch name [default: every unfinished batch of the ledger]
    batch: Option<String>,
    /// Continue a rehearsal
    #[arg(long)]
    sandbox: bool,
    /// Submit at most N videos a batch, changed rows last
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    limit: Option<u32>,
    #[command(flatten)]
    ledger_match: MatchArgs,
    #[command(flatten)]
    window: WindowArgs,
    /// Do not wait for the first videos (`canary`)
    #[arg(long)]
    no_canary: bool,
    /// End without waiting for uncertain videos
    #[arg(long)]
    no_wait: bool,
    /// At most N paid requests per run, as `max_videos`
    #[arg(long, value_name = "N", value_parser = parse_number::<u32>)]
    max_videos: Option<u32>,
    /// Receive webhooks in this run, as in `[webhook]`
    #[arg(long)]
    webhook: bool,
    // Not clap's own `env`: the variable is set for real runs and would forbid every rehearsal.
    #[arg(long, value_name = "URL", conflicts_with = "sandbox")]
    #[arg(help = "AI Studios host [env: AISTUDIOS_BASE_URL]")]
    base_url: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Simulated seconds per second, in a rehearsal
    #[arg(long, value_name = "N", requires = "sandbox", default_value_t = REHEARSAL_SPEED)]
    speed: f64,
}

pub(crate) async fn run(args: ResumeArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let options = global.ledger_options(args.sandbox);
    let location = match args.batch.as_deref() {
        Some(batch) => LedgerLocation::find_for(options, batch),
        None => LedgerLocation::find(options, &[]),
    };
    let location = match location {
        Ok(location) => location,
        Err(error) => return session_output::print_early_error(&error, printer),
    };
    let clock = Clock::real();
    let observer = session_output::observer(printer, global.suggested_options(args.sandbox));
    let session = Session::start(SessionSetup { clock, observer, notifies_rehearsals: false });
    let request = resume_request(args, location);
    let confirm = async |question| {
        // The question follows everything that it is about.
        printer.wait_until_written();
        prompt::confirm_trust(question).await
    };
    let result = session.resume(request, confirm).await;
    printer.print_summary(result.summary);
    result.exit
}

fn resume_request(args: ResumeArgs, location: LedgerLocation) -> ResumeRequest {
    let rehearsal = RehearsalOptions { faults: Vec::new(), speed: args.speed };
    ResumeRequest {
        batch: args.batch,
        location,
        match_overrides: args.ledger_match.overrides(),
        rehearsal: args.sandbox.then_some(rehearsal),
        options: RunOptions {
            limit: args.limit,
            canary: !args.no_canary,
            wait: !args.no_wait,
            ..RunOptions::default()
        },
        overrides: BatchOverrides { max_videos: args.max_videos, base_url: args.base_url },
        window: args.window.options(),
        has_receiver: args.webhook,
        trusts: args.trust.trust,
    }
}
