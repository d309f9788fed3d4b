//! `callsheet plan BATCH.toml`: everything up to the first request, and nothing after it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::{GlobalArgs, RowFilterArgs};
use crate::cli::commands::storyboard::{Storyboard, StoryboardError};
use crate::cli::output::printer::Printer;
use crate::cli::output::{diagnostics, settings_table, sheet_remarks};
use crate::clock::Clock;
use crate::plan as planning;
use crate::plan::{PayloadChange, Plan, PlanProblem, PlanProblems, RenderEstimate, RowSelection};
use crate::session::credentials::CredentialQuery;
use crate::session::exit_code::ExitReason;
use crate::session::media_check;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::session::target;
use crate::session::target::RunTarget;
use crate::session::{account_catalog, output_dir, overwrite_guard, sheet_input};
use crate::text::{pluralize, strip_control};

/// Show what a run would do; spends nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet plan jobs/spring.toml
  callsheet plan jobs/spring.toml --where language=ko
  callsheet plan jobs/spring.toml --html plan.html   every scene, drawn

With credentials, the models, clothes, workspaces and templates that the batch
names are compared with the account's (free, at most once a day).")]
pub(crate) struct PlanArgs {
    /// Batch file
    batch: PathBuf,
    /// Compare with the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    #[command(flatten)]
    row_filter: RowFilterArgs,
    /// Write the plan as an HTML page, with every job's scenes
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Check that every media URL exists
    #[arg(long)]
    check_media: bool,
    /// Compare with the cached lists; send no request
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn run(args: PlanArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(early) => early.report(printer),
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
    let output = open_batch::output_dir(&batch, args.sandbox);
    overwrite_guard::ensure_inputs_are_not_reports(&batch, &output)?;
    if let Some(page) = &args.html {
        overwrite_guard::ensure_not_protected(page, &path, Some(&batch))?;
    }
    let _spooled = sheet_input::spool_sheet(&mut batch).await?;
    let ledger = open_batch::open_ledger(&path).await?;
    let choice = RowSelection {
        should_record_catalog_uses: !args.sandbox,
        ..args.row_filter.row_selection()
    };
    let mut plan = match planning::plan_filtered(&batch, None, &ledger, &choice).await {
        Ok(plan) => plan,
        Err(error) => return Ok(diagnostics::print_plan_error(printer, &error, &batch)),
    };
    if let (Ok(host), _) = settings_table::configured_host(Some(&batch)) {
        let whose = CredentialQuery::new(&host, Some(&batch.studio));
        let ask = || RunTarget::for_query(whose).ok();
        let ask = (!args.offline).then_some(&ask as account_catalog::TargetProvider<'_>);
        let shop = target::catalog_key(whose);
        account_catalog::compare_plan(&mut plan, ask, (&ledger, &shop, &Clock::real()), printer)
            .await?;
    }
    if printer.is_json() {
        printer.print_json(&plan_json(&plan, &batch));
    } else {
        sheet_remarks::sheet_remarks(&plan).iter().for_each(|line| printer.status(line));
        printer.print_result(&headline(&plan, &batch));
        for change in &plan.changes {
            printer.print_result(&change_line(change));
        }
        let untold = plan.counts.changed.saturating_sub(plan.changes.len() as u64);
        if untold > 0 {
            printer.print_result(&format!("  and {untold} more"));
        }
        let estimate = RenderEstimate::from_counts(&plan.counts, &batch.limits);
        printer.print_result(&open_batch::describe_estimate(&estimate, ""));
        printer.status(&format!(
            "{} in {:.1} s ({}/s)",
            pluralize(plan.rows, "row"),
            plan.elapsed.as_secs_f64(),
            rows_per_second(&plan)
        ));
    }
    diagnostics::print_warnings(printer, &plan.warnings, &plan.template_files);
    if let Err(error) = output_dir::check_writable(&output) {
        printer.status(&format!("warning: {}", output_dir::unwritable_message(&output, &error)));
    }
    let clean = plan.is_clean();
    if let Some(page) = &args.html {
        let estimate = RenderEstimate::from_counts(&plan.counts, &batch.limits);
        let lines = vec![headline(&plan, &batch), open_batch::describe_estimate(&estimate, "")];
        let (batch, ledger) = (&batch, Some(&ledger));
        let board = Storyboard {
            path: page,
            batch,
            ledger,
            header_lines: lines,
            includes_unreadable_rows: true,
            empty_message: None,
        };
        match board.write(|_, _| true, printer).await {
            Ok(_) => {}
            Err(StoryboardError::Plan(error)) => {
                return Ok(diagnostics::print_plan_error(printer, &error, batch));
            }
            Err(StoryboardError::Command(early)) => return Err(early),
        }
    }
    if !clean {
        diagnostics::print_row_problems(printer, &plan.problems, &plan.template_files, &batch);
    }
    plan.discard().await;
    ledger.close().await;
    let clean = (!args.check_media || media_check::check_media(&batch, printer).await?) && clean;
    Ok(if clean { ExitReason::Done } else { ExitReason::Input })
}

fn rows_per_second(plan: &Plan) -> u64 {
    (plan.rows as f64 / plan.elapsed.as_secs_f64().max(1e-6)) as u64
}

/// Says in one line what the sheet means to the ledger.
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
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let parts = if parts.is_empty() { "no rows".to_owned() } else { parts.join(", ") };
    let named = match plan.selected_rows {
        Some(named) => format!("; {named} of {} meant now", pluralize(plan.rows, "row")),
        None => String::new(),
    };
    format!("{}: {parts}{named}", batch.name)
}

fn change_line(change: &PayloadChange) -> String {
    let what = if change.columns.is_empty() {
        "the template or its settings".to_owned()
    } else {
        let columns: Vec<String> =
            change.columns.iter().map(|column| format!("`{}`", strip_control(column))).collect();
        columns.join(", ")
    };
    format!("  row {} {}: {what} changed", change.row_number, strip_control(&change.key))
}

/// Returns the plan for machines.
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
    let listed = |problems: &PlanProblems| -> Vec<Value> {
        let told = |one: &PlanProblem| json!({ "row": one.row, "rows": one.rows, "words": one.message, "help": one.help });
        problems.kept().iter().map(told).collect()
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
        "problems": listed(&plan.problems),
        "warnings": listed(&plan.warnings),
    })
}
