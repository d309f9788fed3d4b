//! `callsheet plan BATCH.toml`: plans a batch as `run` does, and prints the plan instead of
//! submitting.
//!
//! Changes nothing in the ledger, except the cached catalogue of the account and the stored form of a
//! batch of ledger format 1.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::{GlobalArgs, MatchArgs, RowFilterArgs, batch_file_parser};
use crate::cli::commands::storyboard::{Storyboard, StoryboardError, storyboard_pictures};
use crate::cli::output::printer::Printer;
use crate::cli::output::{diagnostics, plan_text, session_output, sheet_remarks};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::plan as planning;
use crate::plan::{Plan, RowSelection};
use crate::session::account::account_catalog::{CatalogAccess, CatalogSource};
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::{account_catalog, target};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::{media_check, output_dir, overwrite_guard, shared_output, sheet_input};
use crate::session::ledger_location;
use crate::session::ledger_match::{LedgerMatch, stored_batch};
use crate::session::next_steps::CommandHints;
use crate::text::{pluralize, strip_control};

/// Show what a run would do; spends nothing
#[derive(Debug, Args)]
#[command(after_help = "\
With credentials, the batch's models, clothes, workspaces and templates are
compared with the account's (free, at most once a day). For it,
`user_key_command` of the batch file is run only with --ask.

Examples:
  callsheet plan jobs/spring.toml
  callsheet plan jobs/spring.toml --where language=ko
  callsheet plan jobs/spring.toml --html plan.html   every scene, drawn")]
pub(crate) struct PlanArgs {
    /// Batch name or file
    #[arg(value_parser = batch_file_parser())]
    batch: PathBuf,
    /// Plan a rehearsal (free)
    #[arg(long)]
    sandbox: bool,
    #[command(flatten)]
    row_filter: RowFilterArgs,
    /// Plan only the rows in this file, with its cells
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    with: Option<PathBuf>,
    /// Write the plan as an HTML page, with the scenes of every video
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Let the page load pictures from the web
    #[arg(long, requires = "html")]
    pictures: bool,
    /// Also check that all pictures and videos exist
    #[arg(long)]
    check_media: bool,
    /// Use the account's cached lists; send no request
    #[arg(long)]
    offline: bool,
    /// Run `user_key_command`, or ask for a missing user key
    #[arg(long, conflicts_with = "offline")]
    ask: bool,
    #[command(flatten)]
    ledger_match: MatchArgs,
}

pub(crate) async fn run(args: PlanArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: PlanArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let mut batch = match batch::read(&args.batch) {
        Ok(batch) => batch,
        Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
    };
    let location = global.find_ledger(args.sandbox, std::slice::from_ref(&args.batch))?;
    location.notice.iter().for_each(|notice| printer.status(notice));
    let output = output_dir::output_dir(&batch, args.sandbox);
    overwrite_guard::ensure_inputs_are_not_reports(&batch, &output)?;
    shared_output::ensure_own_output(&batch, &output)?;
    if let Some(page) = &args.html {
        overwrite_guard::ensure_not_protected(page, &location.address, Some(&batch))?;
    }
    let _spooled_sheet = sheet_input::spool_sheet(&mut batch).await?;
    let matching = LedgerMatch::new(&batch, &location, args.ledger_match.overrides());
    matching.ensure_not_missing()?;
    let ledger = ledger_location::open_ledger(&location.address).await?;
    matching.ensure_same_ledger(&ledger).await?;
    if let Some(stored) = stored_batch(&ledger, batch.name.as_str()).await? {
        matching.ensure_same_file(&stored, &ledger)?;
    }
    let selection = RowSelection {
        should_record_catalog_uses: !args.sandbox,
        with_file: args.with.clone(),
        ..args.row_filter.row_selection()
    };
    let mut plan = match planning::plan_filtered(&batch, None, &ledger, &selection).await {
        Ok(plan) => plan,
        Err(error) => return Ok(diagnostics::print_plan_error(printer, &error, &batch)),
    };
    compare_with_catalog(&mut plan, &args, &batch, &ledger, printer).await?;
    if printer.is_json() {
        plan.list_all_rows().await?;
    } else {
        sheet_remarks::sheet_remarks(&plan).iter().for_each(|line| printer.status(line));
    }
    diagnostics::print_warnings(printer, &plan.warnings, &plan.template_files);
    if let Err(error) = output_dir::check_writable(&output) {
        let message = output_dir::unwritable_message(&output, &error);
        printer.status(&format!("warning: {message}"));
    }
    if !plan.is_clean() {
        let total = diagnostics::print_row_problems(printer, &plan, &batch);
        printer.status(&format!("{}. Nothing was spent", total.text));
    }
    let rehearsed = location.rehearsed_videos(batch.name.as_str()).await;
    let file = args.batch.display().to_string();
    let commands = global.command_hints(args.sandbox, batch.name.as_str(), &file);
    print_plan(&plan, &PrintedBatch { batch: &batch, commands: &commands, rehearsed }, printer);
    match write_page(&args, &plan, &batch, &ledger, printer).await {
        Ok(()) => {}
        Err(StoryboardError::Plan(error)) => {
            return Ok(diagnostics::print_plan_error(printer, &error, &batch));
        }
        Err(StoryboardError::Command(error)) => return Err(error),
    }
    plan_text::print_identical_videos(&plan, printer);
    plan_text::print_confirmation(&plan, &commands, printer);
    if verdict(&plan) == ExitReason::Done {
        let rehearsal = match (args.sandbox, rehearsed.is_some()) {
            (true, _) => RehearsalState::Rehearsing,
            (false, false) => RehearsalState::NotRehearsed,
            (false, true) => RehearsalState::Rehearsed,
        };
        print_next_step(&plan, &commands, rehearsal, printer);
    }
    let mut exits = vec![verdict(&plan)];
    plan.discard().await;
    ledger.close().await;
    if args.check_media
        && let Some(report) = media_check::check_media(&batch).await?
    {
        session_output::print_media_report(&report, printer);
        exits.extend((!report.is_ok()).then_some(ExitReason::Input));
    }
    Ok(ExitReason::most_severe(exits))
}

/// Prints how a new batch goes on, if there is anything to render.
fn print_next_step(
    plan: &Plan,
    commands: &CommandHints,
    rehearsal: RehearsalState,
    printer: &Printer,
) {
    let is_first = plan.counts.done + plan.counts.under_way == 0;
    // A log or another program has no use for it.
    let is_read_at_once = std::io::stderr().is_terminal();
    if plan.counts.to_render == 0 || !is_first || !is_read_at_once {
        return;
    }
    let (options, effect) = match rehearsal {
        RehearsalState::Rehearsing => ("", "rehearses it (free)"),
        RehearsalState::NotRehearsed => {
            (" --sandbox", "rehearses it (free); without --sandbox, a run costs credits")
        }
        RehearsalState::Rehearsed => (" --limit 3", "renders three videos"),
    };
    printer.status(&format!("Next: {}{options}", commands.run_command()));
    printer.status(&format!("      {effect}"));
}

/// Whether a batch was rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RehearsalState {
    /// The plan is that of a rehearsal.
    Rehearsing,
    NotRehearsed,
    Rehearsed,
}

/// Returns the exit code with which a run of this plan would stop before it spends anything.
fn verdict(plan: &Plan) -> ExitReason {
    match (plan.is_clean(), plan.review.confirmation) {
        (false, _) => ExitReason::Input,
        (true, Some(_)) => ExitReason::CapReached,
        (true, None) => ExitReason::Done,
    }
}

/// Adds warnings about models, clothes, workspaces and templates that the account lacks.
async fn compare_with_catalog(
    plan: &mut Plan,
    args: &PlanArgs,
    batch: &Batch,
    ledger: &Ledger,
    printer: &Printer,
) -> Result<(), CommandError> {
    let Ok(host) = target::choose_host(Some(batch)) else { return Ok(()) };
    let query = CredentialQuery::new(&host, Some(batch));
    let access = CatalogAccess { query, may_run_key_command: args.ask };
    let source = CatalogSource {
        ledger,
        clock: &Clock::real(),
        account: &target::catalog_key(query),
        access: (!args.offline).then_some(access),
    };
    for notice in account_catalog::compare_plan(plan, source).await? {
        printer.status(&session_output::describe_notice(&notice));
    }
    Ok(())
}

/// The batch of a plan, with what is printed about it.
struct PrintedBatch<'a> {
    batch: &'a Batch,
    commands: &'a CommandHints,
    /// How many of its videos were rehearsed.
    rehearsed: Option<u64>,
}

fn print_plan(plan: &Plan, printed: &PrintedBatch<'_>, printer: &Printer) {
    let PrintedBatch { batch, commands, rehearsed } = *printed;
    if printer.is_json() {
        printer.print_json(&plan_text::plan_json(plan, batch));
        return;
    }
    let mut lines = plan_text::summary_lines(plan, batch, commands);
    if let (Some(videos), Some(headline)) = (rehearsed, lines.first_mut()) {
        headline.push_str(&format!(" (rehearsed: {videos})"));
    }
    lines.iter().for_each(|line| printer.print_result(line));
    printer.print_sentences(&plan_text::action_line(plan, batch));
    for access in batch.accesses() {
        printer.print_result(&format!("a run {}", strip_control(&access.message())));
    }
    if printer.is_verbose() {
        printer.status(&format!(
            "{} in {:.1} s ({}/s)",
            pluralize(plan.rows, "video"),
            plan.elapsed.as_secs_f64(),
            videos_per_second(plan)
        ));
    }
}

/// Writes the plan as an HTML page with the scenes of every row, if `--html` names one.
async fn write_page(
    args: &PlanArgs,
    plan: &Plan,
    batch: &Batch,
    ledger: &Ledger,
    printer: &Printer,
) -> Result<(), StoryboardError> {
    let Some(page) = &args.html else { return Ok(()) };
    let storyboard = Storyboard {
        path: page,
        batch,
        ledger: Some(ledger),
        header_lines: plan_text::header_lines(plan, batch),
        pictures: storyboard_pictures(args.pictures),
        includes_unreadable_rows: true,
        empty_message: None,
    };
    storyboard.write(|_, _| true, printer).await.map(|_| ())
}

fn videos_per_second(plan: &Plan) -> u64 {
    (plan.rows as f64 / plan.elapsed.as_secs_f64().max(1e-6)) as u64
}
