//! The command line: what a person types and sees. One file per command.
//!
//! Results go to stdout and talk to stderr. Nothing is decided here that money hangs on; this room
//! only says what was said, and calls the rooms below.

mod account;
mod advice;
mod bars;
mod catalogues;
mod check;
mod completions;
mod diagnostics;
mod drive;
mod ending;
mod exit;
mod export;
mod finding;
mod folder;
mod help;
mod hold;
mod hooks;
mod hours;
mod jobs;
mod ledger;
mod logging;
mod man;
mod media;
mod moment;
mod narrowing;
mod new;
mod night;
mod offers;
mod overwrite;
mod pages;
mod pause;
mod plan;
mod prepare;
mod preview;
mod probe;
mod prune;
mod report;
mod resolve;
mod resume;
mod retry;
mod run;
mod runs;
mod sandbox;
mod screen;
mod serve;
mod settings;
mod sheet;
mod show;
mod signals;
mod spool;
mod standing;
mod status;
mod storyboard;
mod sweep;
mod table;
mod talk;
mod troubles;
mod vendor;
mod watch;
mod whom;
mod wrap;
mod wraps;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use exit::Exit;
use logging::Loudness;
use talk::Talk;

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
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Where options of every command stand in the help of each.
const EVERYWHERE: &str = "Options of every command";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = EVERYWHERE)]
struct Global {
    /// The ledger file [default: ./callsheet.db]. Rehearsals keep theirs beside it, as
    /// callsheet-sandbox.db
    #[arg(long, global = true, env = "CALLSHEET_LEDGER", hide_env_values = true)]
    #[arg(value_name = "FILE", display_order = 900)]
    ledger: Option<PathBuf>,
    /// Say less: only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 901)]
    quiet: bool,
    /// Say more; -vv says everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 902)]
    verbose: u8,
    #[arg(help = "When to use colours: auto, always or never. NO_COLOR is obeyed")]
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true, display_order = 903)]
    color: Color,
    /// Results for programs: one JSON document, or one event per line of a run
    #[arg(long, global = true, display_order = 904)]
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
    /// Begin a batch: write its file, and a sheet with the template's own columns
    New(new::New),
    /// Check, plan, submit, watch and fetch a batch; the same command continues it
    Run(run::Run),
    /// Show what a run would do: everything up to the first request
    Plan(plan::PlanArgs),
    /// Print payloads as they would be sent, or draw every scene
    Preview(preview::Preview),
    /// Continue a batch from the ledger alone, without its sheet and template
    Resume(resume::Resume),
    /// Show what stands where, and what to do next
    Status(status::Status),
    /// List the jobs of a batch
    Jobs(jobs::Jobs),
    /// Tell the story of one job
    Show(show::Show),
    /// List the runs: who, when, and how each ended
    Runs(runs::Runs),
    /// Print every row and what came of it, from the ledger alone
    Report(report::Report),
    /// Put failed or cancelled jobs back into the queue
    Retry(retry::Retry),
    /// Take jobs out that were not submitted yet
    Cancel(retry::Cancel),
    /// Hold a batch back: nothing more is submitted until it is unpaused
    Pause(pause::Pause),
    /// Let a paused batch go on
    Unpause(pause::Unpause),
    /// Settle one job whose answer was lost
    Resolve(resolve::Resolve),
    /// Delete drafts at AI Studios that lost answers left behind
    Sweep(sweep::Sweep),
    /// Take the calls of AI Studios, for all runs of this ledger
    Serve(serve::Serve),
    /// Check whether a night can run here: account, clock, disks, ledger, settings
    Check(check::Check),
    /// List the models (avatars) that the account offers, with their clothes
    Models(catalogues::Models),
    /// List the workspaces of the account
    Workspaces(catalogues::Workspaces),
    /// List the templates of the account
    Templates(catalogues::Templates),
    /// Check the ledger, copy it, export it, prune it, or say where it is
    Ledger(ledger::LedgerArgs),
    /// Run a virtual AI Studios on this machine, to rehearse and to test against
    Sandbox(sandbox::SandboxArgs),
    /// Print a completion script for your shell
    Completions(completions::Completions),
    /// Write the manual pages into a folder
    Man(man::Man),
    /// Explain a command; or how templates are written: help template
    Help(help::Help),
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

    /// Returns the ledger's path for a real run or a rehearsal. A rehearsal never touches the real
    /// ledger, wherever the name of that came from: a batch belongs to one host for ever.
    fn ledger(&self, rehearsal: bool) -> PathBuf {
        let ledger = self.ledger.clone().unwrap_or_else(|| PathBuf::from("callsheet.db"));
        if !rehearsal {
            return ledger;
        }
        let mut name = ledger.file_stem().unwrap_or_default().to_owned();
        if name.to_string_lossy().ends_with(REHEARSAL) {
            return ledger;
        }
        name.push(REHEARSAL);
        if let Some(extension) = ledger.extension() {
            name.push(".");
            name.push(extension);
        }
        ledger.with_file_name(name)
    }

    /// Says where else to look, for whoever finds nothing among real nights and has rehearsed.
    fn elsewhere(&self, rehearsal: bool) -> String {
        let rehearsals = self.ledger(true);
        if rehearsal || !rehearsals.exists() {
            return String::new();
        }
        format!("; rehearsals are in `{}`: add --sandbox", rehearsals.display())
    }
}

/// What the ledger of rehearsals has at the end of its name.
const REHEARSAL: &str = "-sandbox";

/// Returns the colours of help and of mistakes on the command line itself, which come before its
/// options are known.
fn color_of_help() -> clap::ColorChoice {
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
    let matches = Cli::command().color(color_of_help()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
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
    // What a run came to is in its reports as well, and its code says that.
    let has_reports = matches!(cli.command, Command::Run(_) | Command::Resume(_));
    let exit = runtime.block_on(cli.command.carry_out(&cli.global, &talk));
    let exit = if talk.has_lost_results() && !has_reports { Exit::Unexpected } else { exit };
    // A second Ctrl-C may leave requests in the air; their intents are in the ledger.
    runtime.shutdown_background();
    exit.into()
}

impl Command {
    async fn carry_out(self, global: &Global, talk: &Talk) -> Exit {
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
            Self::Models(args) => catalogues::models(args, global, talk).await,
            Self::Workspaces(args) => catalogues::workspaces(args, global, talk).await,
            Self::Templates(args) => catalogues::templates(args, global, talk).await,
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
            let color = Color::Auto;
            let global = Global { ledger, quiet: false, verbose: 0, color, json: false };
            assert_eq!(global.ledger(true), PathBuf::from(rehearsal));
        }
    }
}
