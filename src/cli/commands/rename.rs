//! `callsheet rename BATCH.toml`: renames finished videos after the `file` pattern has changed.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::{GlobalArgs, batch_file_parser};
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt::confirm;
use crate::clock::Clock;
use crate::plan as planning;
use crate::plan::RowSelection;
use crate::runner::VideoRename;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::video_renames::{RenamedVideo, VideoRenames};
use crate::session::ledger_match::{LedgerMatch, MatchOverrides};
use crate::session::locked_batch::LeasedBatch;
use crate::text::{display_key, pluralize, strip_control};

/// Rename finished videos to a new file-name pattern
#[derive(Debug, Args)]
#[command(after_help = "\
After you change `file` in the batch file, videos that are downloaded from then
on get the new names. This command renames the finished ones, too (free), and
writes results.csv and report.html again. No video is overwritten.
JSON fields: callsheet help json rename

Example:
  callsheet rename jobs/spring.toml")]
pub(crate) struct RenameArgs {
    /// Batch name or file
    #[arg(value_parser = batch_file_parser())]
    batch: PathBuf,
    /// The rehearsed batch, not the real one
    #[arg(long)]
    sandbox: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(args: RenameArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: RenameArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let batch = match batch::read(&args.batch) {
        Ok(batch) => batch,
        Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
    };
    let location = global.find_ledger(args.sandbox, std::slice::from_ref(&args.batch))?;
    let no_overrides = MatchOverrides { new_ledger: false, new_file: false };
    let matching = LedgerMatch::new(&batch, &location, no_overrides);
    let leased = LeasedBatch::open(&location, batch.name.as_str(), Clock::real()).await?;
    let outcome = async {
        matching.ensure_same_ledger(&leased.ledger).await?;
        matching.ensure_same_file(&leased.stored, &leased.ledger)?;
        rename_videos(&args, &batch, &leased, global, printer).await
    };
    let outcome = outcome.await;
    leased.release().await?;
    outcome
}

async fn rename_videos(
    args: &RenameArgs,
    batch: &Batch,
    leased: &LeasedBatch,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let selection = RowSelection::default();
    let mut plan = match planning::plan_filtered(batch, None, &leased.ledger, &selection).await {
        Ok(plan) => plan,
        Err(error) => return Ok(diagnostics::print_plan_error(printer, &error, batch)),
    };
    let renames = VideoRenames::find(batch, args.sandbox, &mut plan).await;
    plan.discard().await;
    let renames = renames?;
    let count = renames.videos.len() as u64;
    if !printer.is_json() {
        for video in &renames.videos {
            let (file, name) = (strip_control(&video.file), strip_control(&video.file_name));
            printer.print_result(&format!("{}: {file} → {name}", display_key(&video.key)));
        }
    }
    let question = format!("Rename {}?", pluralize(count, "video"));
    if count > 0 && !confirm(&question, args.yes, printer) {
        return Ok(ExitReason::Done);
    }
    let file = args.batch.display().to_string();
    let hints = global.command_hints(args.sandbox, batch.name.as_str(), &file);
    let videos = renames.apply(leased, hints).await?;
    Ok(print_outcome(&videos, printer))
}

fn print_outcome(videos: &[RenamedVideo], printer: &Printer) -> ExitReason {
    let kept: Vec<(&RenamedVideo, String)> =
        videos.iter().filter_map(|video| Some((video, kept_reason(&video.rename)?))).collect();
    let renamed = videos.len() - kept.len();
    if printer.is_json() {
        printer.print_json(&outcome_json(videos, &kept));
    } else {
        for (video, reason) in &kept {
            let (key, former) = (display_key(&video.key), strip_control(&video.former));
            printer.print_result(&format!("not renamed: {key}: {former}: {reason}"));
        }
        printer.print_result(&match videos.len() {
            0 => "All finished videos have the names that `file` gives them".to_owned(),
            all => format!("Renamed {renamed} of {}", pluralize(all as u64, "video")),
        });
    }
    if kept.is_empty() { ExitReason::Done } else { ExitReason::SomeFailed }
}

fn kept_reason(rename: &VideoRename) -> Option<String> {
    match rename {
        VideoRename::Renamed(_) => None,
        VideoRename::NameTaken(name) => {
            Some(format!("there is a file `{}` already", strip_control(name)))
        }
        VideoRename::Missing => {
            Some("it is not in the output folder; the next run downloads it again".to_owned())
        }
        VideoRename::Altered => Some("it is no longer the file that was downloaded".to_owned()),
    }
}

fn outcome_json(videos: &[RenamedVideo], kept: &[(&RenamedVideo, String)]) -> Value {
    let renamed = videos.iter().filter_map(|video| match &video.rename {
        VideoRename::Renamed(name) => {
            Some(json!({ "key": video.key, "from": video.former, "to": name }))
        }
        VideoRename::NameTaken(_) | VideoRename::Missing | VideoRename::Altered => None,
    });
    let kept = kept
        .iter()
        .map(|(video, reason)| json!({ "key": video.key, "file": video.former, "reason": reason }));
    json!({ "renamed": renamed.collect::<Value>(), "kept": kept.collect::<Value>() })
}
