//! `callsheet plan BATCH.toml`: everything up to the first request, and nothing after it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::account::Whose;
use super::drive::{self, Early};
use super::exit::Exit;
use super::media;
use super::narrowing::Narrowing;
use super::storyboard::{Board, Undrawn};
use super::talk::{Talk, counted, plain};
use super::whom::{self, Account};
use super::{Global, diagnostics, folder, offers, overwrite, settings, sheet, spool};
use crate::batch::{self, Batch};
use crate::clock::Clock;
use crate::plan::{self as planning, Change, Choice, Estimate, Plan, Problem, Problems};

/// Show what a run would do: everything up to the first request
///
/// Reads and merges every row, says which are new, changed, unchanged, removed or invalid, and
/// estimates how long the batch will speak and take. Spends nothing. Where there are credentials,
/// AI Studios is asked, for free and at most once a day, which models, clothes, workspaces and
/// templates the account has; what the batch names and the account lacks is told.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The batch file
    batch: PathBuf,
    /// Compare with the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    /// Ask once for each address of a picture, film or sound, whether something is there
    #[arg(long)]
    check_media: bool,
    /// Write the plan into this HTML file, with every job's scenes drawn
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Ask AI Studios nothing: compare with what was heard last of models and the like
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    narrowing: Narrowing,
}

pub(super) async fn run(args: PlanArgs, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: PlanArgs, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let mut batch = match batch::read(&args.batch) {
        Ok(batch) => batch,
        Err(problems) => return Ok(diagnostics::batch(talk, &problems)),
    };
    let path = global.ledger(args.sandbox);
    let output = drive::output_of(&batch, args.sandbox);
    overwrite::reads_none_of_its_reports(&batch, &output)?;
    if let Some(page) = &args.html {
        overwrite::may_become(page, &path, Some(&batch))?;
    }
    let _spooled = spool::spool(&mut batch).await?;
    let ledger = drive::open(&path).await?;
    let choice = Choice { takes: !args.sandbox, ..args.narrowing.choice() };
    let mut plan = match planning::draw_up_some(&batch, "", &ledger, &choice).await {
        Ok(plan) => plan,
        Err(error) => return Ok(diagnostics::plan(talk, &error, &batch)),
    };
    if let (Ok(host), _) = settings::host(Some(&batch)) {
        let whose = Whose::of(&host, Some(&batch.studio));
        let ask = || Account::of(whose).ok();
        let ask = (!args.offline).then_some(&ask as offers::Asking<'_>);
        let shop = whom::shop_of(whose);
        offers::compare(&mut plan, ask, (&ledger, &shop, &Clock::real()), talk).await?;
    }
    if talk.is_json() {
        talk.document(&document(&plan, &batch));
    } else {
        sheet::remarks(&plan).iter().for_each(|line| talk.say(line));
        talk.result(&headline(&plan, &batch));
        for change in &plan.changes {
            talk.result(&line_of(change));
        }
        let untold = plan.counts.changed.saturating_sub(plan.changes.len() as u64);
        if untold > 0 {
            talk.result(&format!("  and {untold} more"));
        }
        let estimate = Estimate::of(&plan.counts, &batch.limits);
        talk.result(&drive::expectation(&estimate, ""));
        talk.say(&format!(
            "{} in {:.1} s ({}/s)",
            counted(plan.rows, "row"),
            plan.took.as_secs_f64(),
            rate(&plan)
        ));
    }
    diagnostics::doubts(talk, &plan.doubts, &plan.texts);
    if let Err(error) = folder::would_do(&output) {
        talk.say(&format!("warning: {}", folder::unfit(&output, &error)));
    }
    let clean = plan.is_clean();
    if let Some(page) = &args.html {
        let estimate = Estimate::of(&plan.counts, &batch.limits);
        let lines = vec![headline(&plan, &batch), drive::expectation(&estimate, "")];
        let (batch, ledger) = (&batch, Some(&ledger));
        let board = Board { path: page, batch, ledger, lines, is_whole: true, nobody: None };
        match board.draw(|_, _| true, talk).await {
            Ok(_) => {}
            Err(Undrawn::Plan(error)) => return Ok(diagnostics::plan(talk, &error, batch)),
            Err(Undrawn::Early(early)) => return Err(early),
        }
    }
    if !clean {
        diagnostics::rows(talk, &plan.problems, &plan.texts, &batch);
    }
    plan.discard().await;
    ledger.close().await;
    let clean = (!args.check_media || media::check(&batch, talk).await?) && clean;
    Ok(if clean { Exit::Done } else { Exit::Input })
}

fn rate(plan: &Plan) -> u64 {
    (plan.rows as f64 / plan.took.as_secs_f64().max(1e-6)) as u64
}

/// Says in one line what the sheet means to the ledger.
pub(super) fn headline(plan: &Plan, batch: &Batch) -> String {
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
    let named = match plan.named {
        Some(named) => format!("; {named} of {} meant now", counted(plan.rows, "row")),
        None => String::new(),
    };
    format!("{}: {parts}{named}", batch.name)
}

fn line_of(change: &Change) -> String {
    let what = if change.columns.is_empty() {
        "the template or its settings".to_owned()
    } else {
        let columns: Vec<String> =
            change.columns.iter().map(|column| format!("`{}`", plain(column))).collect();
        columns.join(", ")
    };
    format!("  row {} {}: {what} changed", change.row_number, plain(&change.key))
}

/// Returns the plan for machines.
pub(super) fn document(plan: &Plan, batch: &Batch) -> Value {
    let counts = &plan.counts;
    let estimate = Estimate::of(counts, &batch.limits);
    let changes: Vec<Value> = plan
        .changes
        .iter()
        .map(|change| {
            json!({ "key": change.key, "row": change.row_number, "columns": change.columns })
        })
        .collect();
    let listed = |problems: &Problems| -> Vec<Value> {
        let told = |one: &Problem| json!({ "row": one.row, "rows": one.rows, "words": one.words, "help": one.help });
        problems.kept().iter().map(told).collect()
    };
    json!({
        "batch": batch.name.as_str(),
        "rows": plan.rows,
        "reading": sheet::document(&plan.reading),
        "unused": plan.unused,
        "named": plan.named,
        "new": counts.new,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "removed": counts.removed,
        "invalid": counts.invalid,
        "skipped": counts.skipped,
        "to_render": estimate.videos,
        "spoken_seconds": estimate.spoken.as_secs(),
        "least_seconds": estimate.least.as_secs(),
        "most_seconds": estimate.most.as_secs(),
        "changes": changes,
        "problems": listed(&plan.problems),
        "warnings": listed(&plan.doubts),
    })
}
