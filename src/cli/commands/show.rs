//! `callsheet show BATCH KEY`: the story of one job, and what to type next.

use clap::Args;
use serde_json::{Value, json};

use crate::batch;
use crate::cli::args::{GlobalArgs, parse_number};
use crate::cli::output::printer::Printer;
use crate::cli::output::time_format::{format_elapsed, format_local, format_rfc3339};
use crate::ledger::{EventRow, JobHistory, JobState, StoredBatch, SubmissionRow, VersionRow};
use crate::report;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::{BatchRef, find_job_key, ledger_error};
use crate::session::next_steps::{AttentionReason, CommandHints};
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::text::{strip_control, truncate};

/// Characters of a cell or an answer that are shown; `--json` has all that is kept.
const TEXT_MAX: usize = 300;

/// Show the history of one video
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, the fields of `callsheet jobs --json` and: in_sheet, due,
rendering_since, moved, versions, submissions (with tag, project_id, render_id,
outcome, times, calls), events, next (commands). Times are RFC 3339.")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Key, or an unambiguous part of it
    #[arg(required_unless_present = "row")]
    key: Option<String>,
    /// Row number in the spreadsheet, instead of a key
    #[arg(long, value_name = "N", conflicts_with = "key", value_parser = parse_number::<u32>)]
    row: Option<u32>,
}

pub(crate) async fn run(args: ShowArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(early) => early.report(printer),
    }
}

async fn execute(
    args: ShowArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let (ledger, stored) = args.batch_ref.open_batch(global).await?;
    let key = match (args.key, args.row) {
        (Some(part), _) => find_job_key(&ledger, &stored, &part).await?,
        (None, row) => {
            let row = row.unwrap_or_default();
            let found = ledger.key_of_row(stored.id, row).await.map_err(ledger_error)?;
            found.ok_or_else(|| {
                let words = format!("no job of this batch begins in row {row}");
                CommandError::new(ExitReason::Usage, words)
            })?
        }
    };
    let story = ledger.job_history(stored.id, &key).await.map_err(ledger_error)?;
    let story =
        story.ok_or_else(|| CommandError::new(ExitReason::Usage, format!("no job `{key}`")))?;
    let commands = CommandHints::from_stored_batch(global, args.batch_ref.sandbox, &stored);
    if printer.is_json() {
        printer.print_json(&job_json(&story, &commands, &key));
    } else {
        let page =
            JobPage { history: &story, key: &key, folder: output_dir(&stored, &args.batch_ref) };
        printer.print_result(&page.render(&stored, &commands));
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

/// Returns the output folder, as the batch file that the ledger keeps says.
fn output_dir(stored: &StoredBatch, which: &BatchRef) -> Option<String> {
    let batch = batch::parse(stored.file.as_ref(), stored.source.clone()).ok()?;
    let folder =
        if which.sandbox { open_batch::rehearsal_output_dir(&batch.output) } else { batch.output };
    Some(folder.display().to_string())
}

fn attention_reason(story: &JobHistory) -> Option<AttentionReason<'_>> {
    AttentionReason::from_job_state(story.job.state, story.job.stalled, story.job.cause.as_deref())
}

struct JobPage<'a> {
    history: &'a JobHistory,
    key: &'a str,
    folder: Option<String>,
}

impl JobPage<'_> {
    fn render(&self, stored: &StoredBatch, commands: &CommandHints) -> String {
        let mut lines = vec![self.headline(stored)];
        lines.extend(self.state_lines());
        self.push_section(&mut lines, "cells", self.cell_lines());
        let versions = self.history.versions.iter().flat_map(|version| self.version_lines(version));
        self.push_section(&mut lines, "versions", versions.collect());
        let submissions = self.history.submissions.iter().flat_map(submission_lines);
        self.push_section(&mut lines, "submissions", submissions.collect());
        self.push_section(
            &mut lines,
            "history",
            self.history.events.iter().map(event_line).collect(),
        );
        self.push_section(&mut lines, "what to type next", self.next_commands(commands));
        lines.join("\n")
    }

    fn push_section(&self, lines: &mut Vec<String>, title: &str, body: Vec<String>) {
        if !body.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    }

    fn headline(&self, stored: &StoredBatch) -> String {
        let job = &self.history.job;
        let state = job.status().as_str();
        let stalled = match (job.stalled, job.generating) {
            (true, _) => ", stalled",
            (false, true) => ", being written by AI Studios",
            (false, false) => "",
        };
        let row = if self.history.in_sheet {
            format!("row {}", job.row_number)
        } else {
            "no longer in the sheet".to_owned()
        };
        format!("{} ({row} of {}): {state}{stalled}", strip_control(self.key), stored.name)
    }

    fn state_lines(&self) -> Vec<String> {
        let (story, job) = (self.history, &self.history.job);
        let mut lines = Vec::new();
        if let Some(wait) = attention_reason(story) {
            lines.push(wait.describe().to_owned());
        }
        if let Some(words) = &job.message {
            lines.push(format!("last said: {}", safe_excerpt(words)));
        }
        if job.generating {
            let moved = story.moved_at.map(|at| format!(", last moved {}", format_local(at)));
            let progress = job.progress.unwrap_or(0.0);
            lines.push(format!("written to {progress:.0} %{}", moved.unwrap_or_default()));
        }
        if let Some(since) = story.rendering_at {
            let moved = story.moved_at.map(|at| format!(", last moved {}", format_local(at)));
            lines.push(format!(
                "at AI Studios since {}: {:.0} %{}",
                format_local(since),
                job.progress.unwrap_or(0.0),
                moved.unwrap_or_default()
            ));
        }
        if job.state.is_some_and(|state| !state.is_final()) && story.due_at > 0 {
            lines.push(format!("due {}", format_local(story.due_at)));
        }
        lines.into_iter().map(|line| format!("  {line}")).collect()
    }

    fn cell_lines(&self) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            serde_json::from_str(&self.history.job.cells).unwrap_or_default();
        let headings = &self.history.headings;
        let widest = headings.iter().map(|heading| heading.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            if place > 0 {
                lines.push("and".to_owned());
            }
            for (heading, cell) in headings.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                lines.push(format!("{:widest$}  {}", strip_control(heading), safe_excerpt(cell)));
            }
        }
        lines
    }

    fn version_lines(&self, version: &VersionRow) -> Vec<String> {
        let mut lines =
            vec![format!("{}  planned {}", version.version, format_local(version.planned_at))];
        if let Some(earlier) = version.reused_from {
            lines.push(format!("   the same content as version {earlier}"));
        }
        if let (Some(file), Some(bytes), Some(ms), Some(at)) =
            (&version.video_file, version.video_bytes, version.video_ms, version.done_at)
        {
            let folder =
                self.folder.as_deref().map(|folder| format!(" in {}", strip_control(folder)));
            lines.push(format!("   {}{}", strip_control(file), folder.unwrap_or_default()));
            lines.push(format!(
                "   {}, plays {:.1} s, verified {}",
                format_size(bytes),
                ms as f64 / 1e3,
                format_local(at)
            ));
        }
        lines
    }

    fn next_commands(&self, commands: &CommandHints) -> Vec<String> {
        if let Some(wait) = attention_reason(self.history) {
            let steps = commands
                .steps_for_job(wait, self.key, self.history.job.project_id.as_deref())
                .into_iter();
            return steps.flat_map(|step| [step.command, format!("    {}", step.effect)]).collect();
        }
        match self.history.job.state {
            Some(state) if !state.is_final() => vec![commands.run_command()],
            Some(_) | None => Vec::new(),
        }
    }
}

fn format_size(bytes: i64) -> String {
    match bytes {
        ..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn safe_excerpt(text: &str) -> String {
    strip_control(&truncate(text, TEXT_MAX)).into_owned()
}

fn submission_lines(one: &SubmissionRow) -> Vec<String> {
    let mut times = vec![format!("begun {}", format_local(one.begun_at))];
    if let Some(at) = one.paid_at {
        times.push(format!("paid step {}", format_local(at)));
    }
    if let Some(at) = one.settled_at {
        times.push(format!("settled after {}", format_elapsed(one.begun_at, at)));
    }
    let mut marks = vec![format!("tag [cs:{}]", one.tag)];
    if let Some(id) = &one.project_id {
        marks.push(format!("project {}", strip_control(id)));
    }
    if let Some(id) = one.subject.as_ref().filter(|id| Some(*id) != one.project_id.as_ref()) {
        marks.push(format!("made from {}", strip_control(id)));
    }
    if let Some(id) = &one.render_id {
        marks.push(format!("rendered as {}", strip_control(id)));
    }
    if one.looks > 0 {
        marks.push(format!("looked for {} times", one.looks));
    }
    if let Some(credits) = one.credits {
        marks.push(format!("{credits} credits"));
    }
    if let Some(at) = one.called_at {
        let credits = one.called_credits.map(|credits| format!(", telling of {credits} credits"));
        times.push(format!("called about {}{}", format_local(at), credits.unwrap_or_default()));
    }
    vec![
        format!(
            "{}  {}: {}, version {}, run {}",
            one.attempt, one.outcome, one.way, one.version, one.run_id
        ),
        format!("   {}", marks.join(", ")),
        format!("   {}", times.join(", ")),
    ]
}

fn event_line(one: &EventRow) -> String {
    let detail = one.detail.as_deref().map(|detail| format!(": {}", safe_excerpt(detail)));
    let state = if one.state == one.event { String::new() } else { format!(" → {}", one.state) };
    format!("{}  {}{state}{}", format_local(one.at), one.event, detail.unwrap_or_default())
}

fn job_json(story: &JobHistory, commands: &CommandHints, key: &str) -> Value {
    let mut document = report::row_to_json(&story.job, &story.headings);
    let steps = match (attention_reason(story), story.job.state) {
        (Some(wait), _) => commands
            .steps_for_job(wait, key, story.job.project_id.as_deref())
            .into_iter()
            .map(|step| step.command)
            .collect(),
        (None, Some(state)) if !state.is_final() => vec![commands.run_command()],
        (None, _) => Vec::new(),
    };
    let Some(fields) = document.as_object_mut() else { return document };
    let final_state = story.job.state.is_none_or(JobState::is_final);
    for (name, value) in [
        ("in_sheet", json!(story.in_sheet)),
        ("due", json!((!final_state).then(|| format_rfc3339(story.due_at)))),
        ("rendering_since", json!(story.rendering_at.map(format_rfc3339))),
        ("moved", json!(story.moved_at.map(format_rfc3339))),
        ("versions", story.versions.iter().map(version_json).collect()),
        ("submissions", story.submissions.iter().map(submission_json).collect()),
        ("events", story.events.iter().map(event_json).collect()),
        ("next", json!(steps)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    document
}

fn version_json(one: &VersionRow) -> Value {
    json!({
        "version": one.version,
        "planned": format_rfc3339(one.planned_at),
        "reused_from": one.reused_from,
        "video_file": one.video_file,
        "bytes": one.video_bytes,
        "seconds": one.video_ms.map(|ms| ms as f64 / 1000.0),
        "done": one.done_at.map(format_rfc3339),
    })
}

fn submission_json(one: &SubmissionRow) -> Value {
    json!({
        "attempt": one.attempt,
        "version": one.version,
        "run": one.run_id,
        "tag": one.tag,
        "way": one.way,
        "outcome": one.outcome,
        "project_id": one.project_id,
        "render_id": one.render_id,
        "made_from": one.subject,
        "begun": format_rfc3339(one.begun_at),
        "paid": one.paid_at.map(format_rfc3339),
        "settled": one.settled_at.map(format_rfc3339),
        "looks": one.looks,
        "credits": one.credits,
        "called": one.called_at.map(format_rfc3339),
        "called_last": one.called_last.map(format_rfc3339),
        "called_credits": one.called_credits,
    })
}

fn event_json(one: &EventRow) -> Value {
    json!({
        "at": format_rfc3339(one.at),
        "event": one.event,
        "state": one.state,
        "version": one.version,
        "run": one.run_id,
        "detail": one.detail,
    })
}
