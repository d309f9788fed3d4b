//! The command line: what a person types and sees. One file per command.
//!
//! Results go to stdout and talk to stderr. Nothing is decided here that money hangs on; this room
//! only says what was said, and calls the rooms below.

mod account;
mod completions;
mod diagnostics;
mod drive;
mod ending;
mod exit;
mod hold;
mod ledger;
mod logging;
mod plan;
mod preview;
mod resolve;
mod resume;
mod retry;
mod run;
mod sandbox;
mod screen;
mod signals;
mod status;
mod sweep;
mod talk;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use exit::Exit;
use logging::Loudness;
use talk::Talk;

/// One spreadsheet, one scene template, one verified video per row.
///
/// Fill a sheet, point a batch file at it, and `callsheet run` has AI Studios render every row,
/// keeps a ledger of every job, and goes on where it stopped when you run it again. It never pays
/// twice for a row, and spends nothing on a mistake that it could have seen before.
#[derive(Debug, Parser)]
#[command(name = "callsheet", version, max_term_width = 90)]
#[command(after_help = "Try it without an account:  callsheet run jobs/demo.toml --sandbox")]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The ledger file [default: ./callsheet.db, for rehearsals ./callsheet-sandbox.db]
    #[arg(long, global = true, env = "CALLSHEET_LEDGER", value_name = "PATH")]
    ledger: Option<PathBuf>,
    /// Say less: only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Results for machines: one JSON document, or one event per line while running
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check, plan, submit, watch and fetch a batch; the same command continues it
    Run(run::Run),
    /// Show what a run would do: everything up to the first request
    Plan(plan::PlanArgs),
    /// Print the payload of one row as it would be sent
    Preview(preview::Preview),
    /// Continue a batch from the ledger alone, without its sheet and template
    Resume(resume::Resume),
    /// Show what stands where, and what to do next
    Status(status::Status),
    /// Put failed or cancelled jobs back into the queue
    Retry(retry::Retry),
    /// Take jobs out that were not submitted yet
    Cancel(retry::Cancel),
    /// Settle one job whose answer was lost
    Resolve(resolve::Resolve),
    /// Delete drafts at AI Studios that lost answers left behind
    Sweep(sweep::Sweep),
    /// Check the ledger, copy it, or say where it is
    Ledger(ledger::LedgerArgs),
    /// Run a virtual AI Studios on this machine, to rehearse and to test against
    Sandbox(sandbox::SandboxArgs),
    /// Print a completion script for your shell
    Completions(completions::Completions),
}

impl Global {
    fn colored(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }

    fn loudness(&self) -> Loudness {
        match (self.quiet, self.verbose) {
            (true, _) => Loudness::Quiet,
            (false, 0) => Loudness::Normal,
            (false, 1) => Loudness::Verbose,
            (false, 2..) => Loudness::Everything,
        }
    }

    /// Returns the ledger's path for a real run or a rehearsal.
    fn ledger(&self, rehearsal: bool) -> PathBuf {
        self.ledger.clone().unwrap_or_else(|| {
            PathBuf::from(if rehearsal { "callsheet-sandbox.db" } else { "callsheet.db" })
        })
    }
}

/// Parses the command line, does what it says, and returns how that ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; the rest is a mistake on the command line.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            drop(error.print());
            return code.into();
        }
    };
    let talk = Talk::new(&cli.global);
    logging::start(cli.global.loudness(), cli.global.colored(), talk.bars());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            talk.error(&format!("the program could not start its threads: {error}"));
            return Exit::Unexpected.into();
        }
    };
    let exit = runtime.block_on(cli.command.carry_out(&cli.global, &talk));
    // A second Ctrl-C may leave requests in the air; their intents are in the ledger.
    runtime.shutdown_background();
    exit.into()
}

impl Command {
    async fn carry_out(self, global: &Global, talk: &Talk) -> Exit {
        match self {
            Self::Run(args) => run::run(args, global, talk).await,
            Self::Plan(args) => plan::run(args, global, talk).await,
            Self::Preview(args) => preview::run(&args, talk),
            Self::Resume(args) => resume::run(args, global, talk).await,
            Self::Status(args) => status::run(args, global, talk).await,
            Self::Retry(args) => retry::retry(args, global, talk).await,
            Self::Cancel(args) => retry::cancel(args, global, talk).await,
            Self::Resolve(args) => resolve::run(args, global, talk).await,
            Self::Sweep(args) => sweep::run(args, global, talk).await,
            Self::Ledger(args) => ledger::run(args, global, talk).await,
            Self::Sandbox(args) => sandbox::run(args, talk).await,
            Self::Completions(args) => completions::run(&args, Cli::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
