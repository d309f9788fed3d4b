//! The command line: what a person types and sees. One file per command.
//!
//! Results go to stdout and talk to stderr. Nothing is decided here that money hangs on; this room
//! only says what was said, and calls the rooms below.

pub(crate) mod commands;
pub(crate) mod output;
use crate::cli::commands::catalog as catalogues;
use crate::cli::commands::check;
use crate::cli::commands::completions;
use crate::cli::commands::help;
use crate::cli::commands::jobs;
use crate::cli::commands::ledger;
use crate::cli::commands::man;
use crate::cli::commands::new;
use crate::cli::commands::pause;
use crate::cli::commands::plan;
use crate::cli::commands::preview;
use crate::cli::commands::report;
use crate::cli::commands::resolve;
use crate::cli::commands::resume;
use crate::cli::commands::retry;
use crate::cli::commands::run;
use crate::cli::commands::runs;
use crate::cli::commands::sandbox;
use crate::cli::commands::serve;
use crate::cli::commands::show;
use crate::cli::commands::status;
use crate::cli::commands::sweep;
use crate::cli::output::logging;
mod row_filter_args;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::cli::output::logging::Verbosity;
use crate::cli::output::printer::Printer;
pub use crate::session::exit_code::ExitReason;

/// One spreadsheet, one scene template, one verified video per row.
///
/// Fill a sheet, point a batch file at it, and `callsheet run` has AI Studios render every row,
/// keeps a ledger of every job, and goes on where it stopped when you run it again. It never pays
/// twice for a row, and spends nothing on a mistake that could have been seen before.
#[derive(Debug, Parser)]
#[command(name = "callsheet", version, max_term_width = 80, term_width = 80)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "\
Try it without an account:   callsheet run jobs/demo.toml --sandbox
More about one command:      callsheet run --help")]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: CliCommand,
}

/// Where options of every command stand in the help of each.
const GLOBAL_OPTIONS_HEADING: &str = "Options of every command";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = GLOBAL_OPTIONS_HEADING)]
pub(crate) struct GlobalArgs {
    /// The ledger file [default: ./callsheet.db]. Rehearsals keep theirs beside it, as
    /// callsheet-sandbox.db
    #[arg(long, global = true, env = "CALLSHEET_LEDGER", hide_env_values = true)]
    #[arg(value_name = "FILE", display_order = 900)]
    pub(crate) ledger: Option<PathBuf>,
    /// Say less: only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 901)]
    pub(crate) quiet: bool,
    /// Say more; -vv says everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 902)]
    pub(crate) verbose: u8,
    #[arg(help = "When to use colours: auto, always or never. NO_COLOR is obeyed")]
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorMode::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true, display_order = 903)]
    pub(crate) color: ColorMode,
    /// Results for programs: one JSON document, or one event per line of a run
    #[arg(long, global = true, display_order = 904)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorMode {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Begin a batch: write its file, and a sheet with the template's own columns
    New(new::NewArgs),
    /// Check, plan, submit, watch and fetch a batch; the same command continues it
    Run(run::RunArgs),
    /// Show what a run would do: everything up to the first request
    Plan(plan::PlanArgs),
    /// Print payloads as they would be sent, or draw every scene
    Preview(preview::PreviewArgs),
    /// Continue a batch from the ledger alone, without its sheet and template
    Resume(resume::ResumeArgs),
    /// Show what stands where, and what to do next
    Status(status::StatusArgs),
    /// List the jobs of a batch
    Jobs(jobs::JobsArgs),
    /// Tell the story of one job
    Show(show::ShowArgs),
    /// List the runs: who, when, and how each ended
    Runs(runs::RunsArgs),
    /// Print every row and what came of it, from the ledger alone
    Report(report::ReportArgs),
    /// Put failed or cancelled jobs back into the queue
    Retry(retry::RetryArgs),
    /// Take jobs out that were not submitted yet
    Cancel(retry::CancelArgs),
    /// Hold a batch back: nothing more is submitted until it is unpaused
    Pause(pause::PauseArgs),
    /// Let a paused batch go on
    Unpause(pause::UnpauseArgs),
    /// Settle one job whose answer was lost
    Resolve(resolve::ResolveArgs),
    /// Delete drafts at AI Studios that lost answers left behind
    Sweep(sweep::SweepArgs),
    /// Take the calls of AI Studios, for all runs of this ledger
    Serve(serve::ServeArgs),
    /// Check whether a night can run here: account, clock, disks, ledger, settings
    Check(check::CheckArgs),
    /// List the models (avatars) that the account offers, with their clothes
    Models(catalogues::ModelsArgs),
    /// List the workspaces of the account
    Workspaces(catalogues::WorkspacesArgs),
    /// List the templates of the account
    Templates(catalogues::TemplatesArgs),
    /// Check the ledger, copy it, export it, prune it, or say where it is
    Ledger(ledger::LedgerArgs),
    /// Run a virtual AI Studios on this machine, to rehearse and to test against
    Sandbox(sandbox::SandboxArgs),
    /// Print a completion script for your shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages into a folder
    Man(man::ManArgs),
    /// Explain a command; or how templates are written: help template
    Help(help::HelpArgs),
}

impl GlobalArgs {
    fn is_colored(&self) -> bool {
        match self.color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => {
                std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }

    fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, 2..) => Verbosity::Everything,
        }
    }

    /// Returns the ledger's path for a real run or a rehearsal. A rehearsal never touches the real
    /// ledger, wherever the name of that came from: a batch belongs to one host for ever.
    pub(crate) fn ledger_path(&self, rehearsal: bool) -> PathBuf {
        let ledger = self.ledger.clone().unwrap_or_else(|| PathBuf::from("callsheet.db"));
        if !rehearsal {
            return ledger;
        }
        let mut name = ledger.file_stem().unwrap_or_default().to_owned();
        if name.to_string_lossy().ends_with(REHEARSAL_SUFFIX) {
            return ledger;
        }
        name.push(REHEARSAL_SUFFIX);
        if let Some(extension) = ledger.extension() {
            name.push(".");
            name.push(extension);
        }
        ledger.with_file_name(name)
    }

    /// Says where else to look, for whoever finds nothing among real nights and has rehearsed.
    pub(crate) fn rehearsal_hint(&self, rehearsal: bool) -> String {
        let rehearsals = self.ledger_path(true);
        if rehearsal || !rehearsals.exists() {
            return String::new();
        }
        format!("; rehearsals are in `{}`: add --sandbox", rehearsals.display())
    }
}

/// What the ledger of rehearsals has at the end of its name.
const REHEARSAL_SUFFIX: &str = "-sandbox";

/// Returns the colours of help and of mistakes on the command line itself, which come before its
/// options are known.
fn help_color() -> clap::ColorChoice {
    let given: Vec<_> = std::env::args_os().collect();
    let says = |what: &str| {
        let pair = given.windows(2).any(|two| two[0] == "--color" && two[1] == what);
        pair || given.iter().any(|one| *one == *format!("--color={what}"))
    };
    if says("never") {
        clap::ColorChoice::Never
    } else if says("always") {
        clap::ColorChoice::Always
    } else {
        clap::ColorChoice::Auto
    }
}

/// Parses the command line, does what it says, and returns how that ended.
pub fn main() -> ExitCode {
    let matches = Cli::command().color(help_color()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; the rest is a mistake on the command line.
            let code = if error.use_stderr() { ExitReason::Usage } else { ExitReason::Done };
            drop(error.print());
            return code.into();
        }
    };
    let talk = Printer::new(&cli.global);
    logging::init(cli.global.verbosity(), cli.global.is_colored(), talk.bars());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            talk.error(&format!("the program could not start its threads: {error}"));
            return ExitReason::Unexpected.into();
        }
    };
    // What a run came to is in its reports as well, and its code says that.
    let has_reports = matches!(cli.command, CliCommand::Run(_) | CliCommand::Resume(_));
    let exit = runtime.block_on(cli.command.execute(&cli.global, &talk));
    let exit =
        if talk.report_lost_results() && !has_reports { ExitReason::Unexpected } else { exit };
    // A second Ctrl-C may leave requests in the air; their intents are in the ledger.
    runtime.shutdown_background();
    exit.into()
}

impl CliCommand {
    async fn execute(self, global: &GlobalArgs, talk: &Printer) -> ExitReason {
        match self {
            Self::Run(args) => run::run(args, global, talk).await,
            Self::Plan(args) => plan::run(args, global, talk).await,
            Self::Preview(args) => preview::run(&args, global, talk).await,
            Self::New(args) => new::run(&args, talk),
            Self::Help(args) => help::run(&args, Cli::command(), talk),
            Self::Resume(args) => resume::run(args, global, talk).await,
            Self::Status(args) => status::run(args, global, talk).await,
            Self::Jobs(args) => jobs::run(args, global, talk).await,
            Self::Show(args) => show::run(args, global, talk).await,
            Self::Runs(args) => runs::run(args, global, talk).await,
            Self::Report(args) => report::run(args, global, talk).await,
            Self::Serve(args) => serve::run(args, global, talk).await,
            Self::Check(args) => check::run(args, global, talk).await,
            Self::Retry(args) => retry::retry(args, global, talk).await,
            Self::Cancel(args) => retry::cancel(args, global, talk).await,
            Self::Pause(args) => pause::pause(args, global, talk).await,
            Self::Unpause(args) => pause::unpause(args, global, talk).await,
            Self::Resolve(args) => resolve::run(args, global, talk).await,
            Self::Sweep(args) => sweep::run(args, global, talk).await,
            Self::Models(args) => catalogues::run_models(args, global, talk).await,
            Self::Workspaces(args) => catalogues::run_workspaces(args, global, talk).await,
            Self::Templates(args) => catalogues::run_templates(args, global, talk).await,
            Self::Ledger(args) => ledger::run(args, global, talk).await,
            Self::Sandbox(args) => sandbox::run(args, talk).await,
            Self::Completions(args) => completions::run(&args, Cli::command(), talk),
            Self::Man(args) => man::run(&args, Cli::command(), talk),
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

    #[test]
    fn a_rehearsal_has_a_ledger_of_its_own_beside_the_real_one() {
        for (given, rehearsal) in [
            (None, "callsheet-sandbox.db"),
            (Some("/var/lib/night.db"), "/var/lib/night-sandbox.db"),
            (Some("night"), "night-sandbox"),
            (Some("callsheet-sandbox.db"), "callsheet-sandbox.db"),
        ] {
            let ledger = given.map(PathBuf::from);
            let color = ColorMode::Auto;
            let global = GlobalArgs { ledger, quiet: false, verbose: 0, color, json: false };
            assert_eq!(global.ledger_path(true), PathBuf::from(rehearsal));
        }
    }
}
