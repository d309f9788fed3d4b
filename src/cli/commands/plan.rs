//! `callsheet plan BATCH.toml`: plans a batch as `run` does, and prints the plan instead of
//! submitting.
//!
//! Changes nothing in the ledger, except the cached catalogue of the account and the stored form of a
//! batch of ledger format 1.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::batch;
use crate::batch::{Batch, BatchAccess};
use crate::cli::args::{GlobalArgs, RowFilterArgs};
use crate::cli::commands::storyboard::{Storyboard, StoryboardError};
use crate::cli::output::printer::Printer;
use crate::cli::output::{diagnostics, estimate, session_output, sheet_remarks};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::plan as planning;
use crate::plan::{PayloadChange, Plan, PlanProblem, PlanProblems, RenderEstimate, RowSelection};
use crate::session::account::account_catalog::CatalogSource;
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::target::RunTarget;
use crate::session::account::{account_catalog, target};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::{media_check, output_dir, overwrite_guard, sheet_input};
use crate::session::ledger_location;
use crate::text::{pluralize, strip_control};

/// Show what a run would do; spends nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet plan jobs/spring.toml
  callsheet plan jobs/spring.toml --where language=ko
  callsheet plan jobs/spring.toml --html plan.html   every scene, drawn

With credentials, the models, clothes, workspaces and templates that the batch
names are compared with the account's (free, at most once a day). No command of
the batch file is run; --ask lets `user_key_command` run for this comparison.")]
pub(crate) struct PlanArgs {
    /// Batch file
    batch: PathBuf,
    /// Compare with the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    #[command(flatten)]
    row_filter: RowFilterArgs,
    /// Plan the rows of this file (a fixed failures.csv)
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    with: Option<PathBuf>,
    /// Write the plan as an HTML page, with every job's scenes
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Check that every media URL exists
    #[arg(long)]
    check_media: bool,
    /// Compare with the cached lists; send no request
    #[arg(long)]
    offline: bool,
    /// Let `user_key_command` ask for the user key
    #[arg(long, conflicts_with = "offline")]
    ask: bool,
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
    let path = global.ledger_path(args.sandbox);
    let output = output_dir::output_dir(&batch, args.sandbox);
    overwrite_guard::ensure_inputs_are_not_reports(&batch, &output)?;
    if let Some(page) = &args.html {
        overwrite_guard::ensure_not_protected(page, &path, Some(&batch))?;
    }
    let _spooled_sheet = sheet_input::spool_sheet(&mut batch).await?;
    let ledger = ledger_location::open_ledger(&path).await?;
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
    print_plan(&plan, &batch, printer);
    diagnostics::print_warnings(printer, &plan.warnings, &plan.template_files);
    if let Err(error) = output_dir::check_writable(&output) {
        let message = output_dir::unwritable_message(&output, &error);
        printer.status(&format!("warning: {message}"));
    }
    if let Some(page) = &args.html {
        match write_page(page, &plan, &batch, &ledger, printer).await {
            Ok(()) => {}
            Err(StoryboardError::Plan(error)) => {
                return Ok(diagnostics::print_plan_error(printer, &error, &batch));
            }
            Err(StoryboardError::Command(error)) => return Err(error),
        }
    }
    let mut is_clean = plan.is_clean();
    if !is_clean {
        diagnostics::print_row_problems(printer, &plan.problems, &plan.template_files, &batch);
    }
    plan.discard().await;
    ledger.close().await;
    if args.check_media
        && let Some(report) = media_check::check_media(&batch).await?
    {
        session_output::print_media_report(&report, printer);
        is_clean &= report.is_ok();
    }
    Ok(if is_clean { ExitReason::Done } else { ExitReason::Input })
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
    let provider = || match args.ask {
        true => RunTarget::for_query(query).ok(),
        false => RunTarget::without_key_command(query),
    };
    let source = CatalogSource {
        ledger,
        clock: &Clock::real(),
        account: &target::catalog_key(query),
        provider: (!args.offline).then_some(&provider),
    };
    for notice in account_catalog::compare_plan(plan, source).await? {
        printer.status(&session_output::describe_notice(&notice));
    }
    Ok(())
}

fn print_plan(plan: &Plan, batch: &Batch, printer: &Printer) {
    if printer.is_json() {
        printer.print_json(&plan_json(plan, batch));
        return;
    }
    sheet_remarks::sheet_remarks(plan).iter().for_each(|line| printer.status(line));
    printer.print_result(&headline(plan, batch));
    for change in &plan.changes {
        printer.print_result(&change_line(change));
    }
    let omitted = plan.counts.changed.saturating_sub(plan.changes.len() as u64);
    if omitted > 0 {
        printer.print_result(&format!("  and {omitted} more"));
    }
    let expected = RenderEstimate::from_counts(&plan.counts, &batch.limits);
    printer.print_result(&estimate::describe_estimate(&expected, ""));
    for access in batch.accesses() {
        printer.print_result(&format!("a run {}", strip_control(&access.message())));
    }
    if printer.is_verbose() {
        printer.status(&format!(
            "{} in {:.1} s ({}/s)",
            pluralize(plan.rows, "row"),
            plan.elapsed.as_secs_f64(),
            rows_per_second(plan)
        ));
    }
}

/// Writes the plan as an HTML page with the scenes of every row.
async fn write_page(
    page: &Path,
    plan: &Plan,
    batch: &Batch,
    ledger: &Ledger,
    printer: &Printer,
) -> Result<(), StoryboardError> {
    let expected = RenderEstimate::from_counts(&plan.counts, &batch.limits);
    let storyboard = Storyboard {
        path: page,
        batch,
        ledger: Some(ledger),
        header_lines: vec![headline(plan, batch), estimate::describe_estimate(&expected, "")],
        includes_unreadable_rows: true,
        empty_message: None,
    };
    storyboard.write(|_, _| true, printer).await.map(|_| ())
}

fn rows_per_second(plan: &Plan) -> u64 {
    (plan.rows as f64 / plan.elapsed.as_secs_f64().max(1e-6)) as u64
}

/// Returns one line with the number of new, changed, unchanged, removed, invalid and skipped rows.
pub(crate) fn headline(plan: &Plan, batch: &Batch) -> String {
    let counts = &plan.counts;
    let parts: Vec<String> = [
        (counts.new, "new"),
        (counts.changed, "changed"),
        (counts.unchanged, "unchanged"),
        (counts.removed, "removed"),
        (counts.invalid, "invalid"),
        (counts.skipped, "skipped"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, kind)| format!("{count} {kind}"))
    .collect();
    let parts = if parts.is_empty() { "no rows".to_owned() } else { parts.join(", ") };
    let selection = match plan.selected_rows {
        Some(selected) => format!("; {selected} of {} selected", pluralize(plan.rows, "row")),
        None => String::new(),
    };
    format!("{}: {parts}{selection}", batch.name)
}

fn change_line(change: &PayloadChange) -> String {
    let cause = if change.columns.is_empty() {
        "template or settings".to_owned()
    } else {
        let columns: Vec<String> =
            change.columns.iter().map(|column| format!("`{}`", strip_control(column))).collect();
        columns.join(", ")
    };
    format!("  row {} {}: {cause} changed", change.row_number, strip_control(&change.key))
}

/// Returns the plan as JSON.
pub(crate) fn plan_json(plan: &Plan, batch: &Batch) -> Value {
    let counts = &plan.counts;
    let estimate = RenderEstimate::from_counts(counts, &batch.limits);
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            json!({ "key": change.key, "row": change.row_number, "columns": change.columns })
        })
        .collect();
    let problems_json = |problems: &PlanProblems| -> Vec<Value> {
        let problem_json = |one: &PlanProblem| json!({ "row": one.row, "rows": one.rows, "words": one.message, "help": one.help });
        problems.kept().iter().map(problem_json).collect()
    };
    json!({
        "batch": batch.name.as_str(),
        "rows": plan.rows,
        "reading": sheet_remarks::sheet_format_json(&plan.sheet_reading),
        "unused": plan.unused_columns,
        "named": plan.selected_rows,
        "new": counts.new,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "removed": counts.removed,
        "invalid": counts.invalid,
        "skipped": counts.skipped,
        "to_render": estimate.videos,
        "spoken_seconds": estimate.speech_duration.as_secs(),
        "least_seconds": estimate.duration_min.as_secs(),
        "most_seconds": estimate.duration_max.as_secs(),
        "changes": changes,
        "access": batch.accesses().iter().map(BatchAccess::message).collect::<Vec<_>>(),
        "problems": problems_json(&plan.problems),
        "warnings": problems_json(&plan.warnings),
    })
}
