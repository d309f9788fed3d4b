//! Groups of command-line arguments that several commands share.
//!
//! Only parsing: every command decides what its arguments mean, and the modules below decide what
//! a row filter matches.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::batch::{Batch, find_batch_file};
use crate::cli::output::logging::Verbosity;
use crate::cli::output::prompt;
use crate::clock::Clock;
use crate::ledger::{Ledger, StoredBatch};
use crate::plan::{RowCondition, RowSelection};
use crate::session::account::target::{RehearsalOptions, RunTarget};
use crate::session::error::CommandError;
use crate::session::ledger_location::{LedgerLocation, LedgerOptions, NamedLedger};
use crate::session::ledger_match::MatchOverrides;
use crate::session::locked_batch;
use crate::session::locked_batch::LeasedBatch;
use crate::session::next_steps::CommandHints;
use crate::session::operator::operator_batch::OperatorBatch;
use crate::session::time_window::{WindowOptions, parse_time_of_day};
use crate::sheet;

/// Returns the parser of a batch file, which may be given by the name of its batch.
pub(crate) fn batch_file_parser() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(|given| find_batch_file(PathBuf::from(given)))
}

/// Returns the parser of a ledger's name. It accepts every text: an error of the parser would repeat it,
/// and with it a password.
fn ledger_parser() -> impl TypedValueParser<Value = NamedLedger> {
    OsStringValueParser::new().map(|given| NamedLedger::from_option(&given))
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Ledger file or address [default: callsheet.db]
    #[arg(long, global = true, value_parser = ledger_parser())]
    #[arg(value_name = "FILE|ADDRESS", value_hint = clap::ValueHint::FilePath)]
    #[arg(display_order = 900)]
    pub(crate) ledger: Option<NamedLedger>,
    /// Less output: only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 901)]
    pub(crate) quiet: bool,
    /// More output (-vv: all)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 902)]
    pub(crate) verbose: u8,
    /// Colour: auto, always, never (honours `NO_COLOR`)
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorMode::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true, display_order = 903)]
    pub(crate) color: ColorMode,
    /// Results as JSON; for a run, one event per line
    #[arg(long, global = true, display_order = 904)]
    pub(crate) json: bool,
}

/// When to colour the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorMode {
    Auto,
    Always,
    Never,
}

impl GlobalArgs {
    /// Returns what is known of the options before they are parsed: the colours.
    pub(crate) fn before_parsing(arguments: &[OsString]) -> Self {
        let color = match early_color_choice(arguments) {
            clap::ColorChoice::Never => ColorMode::Never,
            clap::ColorChoice::Always => ColorMode::Always,
            clap::ColorChoice::Auto => ColorMode::Auto,
        };
        Self { ledger: None, quiet: false, verbose: 0, color, json: false }
    }

    /// Returns whether messages on stderr are coloured.
    pub(crate) fn is_colored(&self) -> bool {
        self.is_stream_colored(std::io::stderr().is_terminal())
    }

    /// Returns whether results on stdout are coloured.
    pub(crate) fn is_stdout_colored(&self) -> bool {
        self.is_stream_colored(std::io::stdout().is_terminal())
    }

    fn is_stream_colored(&self, is_terminal: bool) -> bool {
        match self.color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => {
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, 2..) => Verbosity::Everything,
        }
    }

    /// Returns the options that select the ledger of real runs or of rehearsals.
    ///
    /// A rehearsal never touches the real ledger, wherever its name comes from: a batch belongs to
    /// one host permanently.
    pub(crate) fn ledger_options(&self, is_rehearsal: bool) -> LedgerOptions {
        let option = self.ledger.as_ref().and_then(|ledger| ledger.address().ok().cloned());
        let named = self.ledger.clone().or_else(NamedLedger::from_environment);
        LedgerOptions { is_rehearsal, named, option }
    }

    /// Finds the ledger of some batch files, or without one, that of the current folder.
    pub(crate) fn find_ledger(
        &self,
        is_rehearsal: bool,
        files: &[PathBuf],
    ) -> Result<LedgerLocation, CommandError> {
        LedgerLocation::find(self.ledger_options(is_rehearsal), files)
    }

    /// Returns the commands of a batch in that ledger.
    pub(crate) fn command_hints(&self, rehearsal: bool, batch: &str, file: &str) -> CommandHints {
        CommandHints::new(&self.suggested_options(rehearsal), batch, file)
    }

    /// Returns the options that suggested commands need to use the same ledger.
    pub(crate) fn suggested_options(&self, is_rehearsal: bool) -> LedgerOptions {
        let mut options = self.ledger_options(is_rehearsal);
        options.is_rehearsal |= options.names_rehearsals();
        options
    }
}

/// One batch, and the ledger that it is in.
#[derive(Clone, Debug, Args)]
pub(crate) struct BatchRef {
    /// Batch name or file
    pub(crate) batch: String,
    /// The rehearsed batch, not the real one
    #[arg(long)]
    pub(crate) sandbox: bool,
}

impl BatchRef {
    /// Opens the ledger and finds the batch.
    pub(crate) async fn open_batch(
        &self,
        global: &GlobalArgs,
    ) -> Result<(Ledger, StoredBatch), CommandError> {
        let location = LedgerLocation::find_for(global.ledger_options(self.sandbox), &self.batch)?;
        locked_batch::open_batch(&location, &self.batch).await
    }

    /// Opens the batch for exclusive use.
    pub(crate) async fn lease_batch(
        &self,
        global: &GlobalArgs,
    ) -> Result<LeasedBatch, CommandError> {
        let location = LedgerLocation::find_for(global.ledger_options(self.sandbox), &self.batch)?;
        LeasedBatch::open(&location, &self.batch, Clock::real()).await
    }

    /// Returns the commands of the batch, which continue it although its sheet may have invalid rows.
    pub(crate) async fn read_command_hints(
        &self,
        global: &GlobalArgs,
        ledger: &Ledger,
        stored: &StoredBatch,
    ) -> Result<CommandHints, CommandError> {
        let hints = global.command_hints(self.sandbox, &stored.name, &stored.file);
        Ok(hints.with_invalid_rows(ledger.count_invalid(stored.id).await?))
    }

    /// Opens the batch for requests of the operator: also while a run is live.
    pub(crate) async fn open_for_operator(
        &self,
        global: &GlobalArgs,
    ) -> Result<OperatorBatch, CommandError> {
        let location = LedgerLocation::find_for(global.ledger_options(self.sandbox), &self.batch)?;
        OperatorBatch::open(&location, &self.batch, Clock::real()).await
    }

    /// Returns the stored settings of the batch and the account that it belongs to.
    pub(crate) async fn load_target(
        &self,
        ledger: &Ledger,
        stored: &StoredBatch,
        trust: TrustArgs,
    ) -> Result<(Batch, RunTarget), CommandError> {
        let address = ledger.address();
        if self.sandbox {
            let rehearsal = Some(RehearsalOptions::default());
            return locked_batch::load_target(address, stored, rehearsal).await;
        }
        if let Some(question) = locked_batch::trust_question(address, stored)? {
            let message = question.message();
            if !trust.trust && !prompt::confirm_trust(question).await {
                let help = "; confirm it with --trust";
                return Err(CommandError::usage(message).with_context(help));
            }
        }
        locked_batch::load_target(address, stored, None).await
    }
}

/// `--because`: the reason that the audit trail keeps.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReasonArgs {
    /// Reason, for the audit trail
    #[arg(
        long,
        alias = "reason",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) because: String,
}

/// `--trust`: whether stored batch files of other users are used.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TrustArgs {
    /// Use a batch file that another user put into the ledger
    #[arg(long)]
    pub(crate) trust: bool,
}

/// `--new-ledger` and `--new-file`: confirmations that `--yes` does not give.
#[derive(Clone, Debug, Args)]
pub(crate) struct MatchArgs {
    /// Accept a different ledger (a run may pay again)
    #[arg(long)]
    new_ledger: bool,
    /// Confirm another batch file for the batch
    // Its message names it; the help must fit one screen.
    #[arg(long, hide = true)]
    new_file: bool,
}

impl MatchArgs {
    pub(crate) fn overrides(&self) -> MatchOverrides {
        MatchOverrides { new_ledger: self.new_ledger, new_file: self.new_file }
    }
}

/// `--until` and `--any-time`: when a run may submit.
#[derive(Clone, Debug, Args)]
pub(crate) struct WindowArgs {
    /// Submit nothing new after this time of day
    #[arg(long, value_name = "HH:MM", value_parser = parse_time_of_day)]
    until: Option<jiff::civil::Time>,
    /// Submit outside of the `[window]` as well
    #[arg(long)]
    any_time: bool,
}

impl WindowArgs {
    pub(crate) fn options(&self) -> WindowOptions {
        WindowOptions { until: self.until, any_time: self.any_time }
    }
}

/// Returns the colour mode for help texts and usage errors, which are printed before the options
/// are parsed.
pub(crate) fn early_color_choice(arguments: &[OsString]) -> clap::ColorChoice {
    let has_mode = |mode: &str| {
        let is_pair = arguments.windows(2).any(|two| two[0] == "--color" && two[1] == mode);
        is_pair || arguments.iter().any(|one| *one == *format!("--color={mode}"))
    };
    if has_mode("never") {
        clap::ColorChoice::Never
    } else if has_mode("always") {
        clap::ColorChoice::Always
    } else {
        clap::ColorChoice::Auto
    }
}

/// `--only` and `--where`: the rows to which a command applies.
#[derive(Clone, Debug, Args)]
pub(crate) struct RowFilterArgs {
    /// Only rows with these keys (comma-separated)
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, value_parser = parse_key)]
    only: Vec<String>,
    /// Only rows where COLUMN is VALUE (`!=`: is not)
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<RowCondition>,
}

impl RowFilterArgs {
    pub(crate) fn row_selection(&self) -> RowSelection {
        RowSelection {
            keys: Some(self.only.clone()).filter(|keys| !keys.is_empty()),
            conditions: self.conditions.clone(),
            with_file: None,
            should_record_catalog_uses: false,
        }
    }
}

/// Parses a key. An empty key is an error: a script that fails to fill in its list must not select
/// every row.
fn parse_key(text: &str) -> Result<String, &'static str> {
    let key = sheet::normalize_name(text);
    if key.is_empty() { Err("a key is missing; omit --only to select every row") } else { Ok(key) }
}

/// Parses a count, or a row number of the spreadsheet.
pub(crate) fn parse_number<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "must be a whole number, such as 3")
}
