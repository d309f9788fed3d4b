//! The command line: parsing, one file per command, and everything that is printed.
//!
//! Results go to stdout, messages to stderr. This module decides nothing that money depends on:
//! commands translate their arguments into calls of the modules below and print the results.

pub(crate) mod args;
pub(crate) mod commands;
mod completion;
mod error;
mod help_layout;
pub(crate) mod output;
mod panic_hook;
mod usage_error;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::{env, io};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

pub(crate) use crate::cli::args::GlobalArgs;
use crate::cli::commands::{
    catalog, check, completions, help, jobs, ledger, login, man, new, pause, plan, preview, pull,
    rename, report, resolve, resume, retry, review, run, runs, sandbox, serve, show, status, sweep,
};
use crate::cli::output::logging;
use crate::cli::output::printer::Printer;
use crate::process::disable_core_dumps;
pub use crate::session::exit_code::ExitReason;

/// Without optimisation, the future of a page of the console needs more than the 2 MiB that tokio's threads
/// have by default.
const THREAD_STACK_SIZE: usize = 16 << 20;

/// Turn a spreadsheet into avatar videos by AI Studios, one per row (and language)
#[derive(Debug, Parser)]
#[command(name = "callsheet", version = env!("CALLSHEET_VERSION"), max_term_width = 80, term_width = 80)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: CliCommand,
}

/// The commands. The doc comment of a command's arguments is its line in `--help`.
#[derive(Debug, Subcommand)]
enum CliCommand {
    Login(login::LoginArgs),
    New(new::NewArgs),
    Pull(pull::PullArgs),
    Run(run::RunArgs),
    Plan(plan::PlanArgs),
    Preview(preview::PreviewArgs),
    Resume(resume::ResumeArgs),
    Status(status::StatusArgs),
    Jobs(jobs::JobsArgs),
    Show(show::ShowArgs),
    Runs(runs::RunsArgs),
    Report(report::ReportArgs),
    Review(review::ReviewArgs),
    Retry(retry::RetryArgs),
    Cancel(retry::CancelArgs),
    Pause(pause::PauseArgs),
    Unpause(pause::UnpauseArgs),
    Resolve(resolve::ResolveArgs),
    Rename(rename::RenameArgs),
    Sweep(sweep::SweepArgs),
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
    Models(catalog::ModelsArgs),
    Workspaces(catalog::WorkspacesArgs),
    Templates(catalog::TemplatesArgs),
    Ledger(ledger::LedgerArgs),
    Sandbox(sandbox::SandboxArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Help(help::HelpArgs),
}

/// Returns the runtime of a command. `RUST_MIN_STACK` sets another size of its stacks, as everywhere.
fn build_runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if env::var_os("RUST_MIN_STACK").is_none() {
        builder.thread_stack_size(THREAD_STACK_SIZE);
    }
    builder.enable_all().build()
}

/// Parses the command line, runs the command and returns its exit code.
pub fn main() -> ExitCode {
    disable_core_dumps();
    if let Some(exit) = completion::complete() {
        return exit;
    }
    let arguments: Vec<OsString> = env::args_os().collect();
    let command = help_layout::apply(Cli::command()).color(args::early_color_choice(&arguments));
    let matches = command.try_get_matches_from(&arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; anything else is a usage error.
            let exit = if error.use_stderr() { ExitReason::Usage } else { ExitReason::Done };
            let printer = Printer::new(&GlobalArgs::before_parsing(&arguments));
            usage_error::print(&error, &printer);
            return exit.into();
        }
    };
    let printer = match cli.command.is_long() {
        true => Printer::for_long_command(&cli.global),
        false => Printer::new(&cli.global),
    };
    logging::init(cli.global.verbosity(), cli.global.is_colored(), &printer);
    panic_hook::install_for_start(&printer);
    let runtime = match build_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::debug!(%error, "no runtime");
            printer.error(panic_hook::NO_THREADS_MESSAGE);
            return ExitReason::Unexpected.into();
        }
    };
    panic_hook::install(&printer);
    // The outcome of a run is also in its reports, so lost output does not change its exit code.
    let has_reports = matches!(cli.command, CliCommand::Run(_) | CliCommand::Resume(_));
    let command = || runtime.block_on(cli.command.execute(&cli.global, &printer));
    // The hook has printed the failure.
    let exit = catch_unwind(AssertUnwindSafe(command)).unwrap_or(ExitReason::Unexpected);
    let is_output_lost = printer.report_lost_results() && !has_reports;
    // A second Ctrl-C may leave requests in flight; their intents are in the ledger.
    runtime.shutdown_background();
    printer.wait_until_written();
    output::terminal_mode::restore();
    if is_output_lost { ExitReason::Unexpected.into() } else { exit.into() }
}

impl CliCommand {
    /// Returns whether it runs for long, perhaps unattended.
    fn is_long(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Resume(_) | Self::Serve(_))
    }

    async fn execute(self, global: &GlobalArgs, printer: &Printer) -> ExitReason {
        match self {
            Self::Run(args) => run::run(args, global, printer).await,
            Self::Plan(args) => plan::run(args, global, printer).await,
            Self::Preview(args) => preview::run(&args, global, printer).await,
            Self::Login(args) => login::run(args, printer).await,
            Self::New(args) => new::run(&args, printer).await,
            Self::Pull(args) => pull::run(args, printer).await,
            Self::Help(args) => help::run(&args, help_layout::apply(Cli::command()), printer),
            Self::Resume(args) => resume::run(args, global, printer).await,
            Self::Status(args) => status::run(args, global, printer).await,
            Self::Jobs(args) => jobs::run(args, global, printer).await,
            Self::Show(args) => show::run(args, global, printer).await,
            Self::Runs(args) => runs::run(args, global, printer).await,
            Self::Report(args) => report::run(args, global, printer).await,
            Self::Review(args) => review::run(args, global, printer).await,
            Self::Serve(args) => serve::run(args, global, printer).await,
            Self::Check(args) => check::run(args, global, printer).await,
            Self::Retry(args) => retry::retry(args, global, printer).await,
            Self::Cancel(args) => retry::cancel(args, global, printer).await,
            Self::Pause(args) => pause::pause(args, global, printer).await,
            Self::Unpause(args) => pause::unpause(args, global, printer).await,
            Self::Resolve(args) => resolve::run(args, global, printer).await,
            Self::Rename(args) => rename::run(args, global, printer).await,
            Self::Sweep(args) => sweep::run(args, global, printer).await,
            Self::Models(args) => catalog::run_models(args, global, printer).await,
            Self::Workspaces(args) => catalog::run_workspaces(args, global, printer).await,
            Self::Templates(args) => catalog::run_templates(args, global, printer).await,
            Self::Ledger(args) => ledger::run(args, global, printer).await,
            Self::Sandbox(args) => sandbox::run(args, printer).await,
            Self::Completions(args) => completions::run(&args, printer),
            Self::Man(args) => man::run(&args, Cli::command(), printer),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        help_layout::apply(Cli::command()).debug_assert();
    }
}
