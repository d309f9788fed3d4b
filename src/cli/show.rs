//! `callsheet show BATCH KEY`: the story of one job, and what to type next.

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::advice::{Commands, Wait};
use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::{Which, key, unexpected};
use super::moment::{iso, lasted, local};
use super::narrowing::number;
use super::table::clipped;
use super::talk::{Talk, plain};
use crate::batch;
use crate::ledger::{EventRow, State, StoredBatch, Story, SubmissionRow, VersionRow};
use crate::report;

/// Characters of a cell or an answer that are shown; `--json` has all that is kept.
const TEXT_MAX: usize = 300;

/// Tell the story of one job
///
/// Where it stands, its cells, its versions and files, every request that might cost money, all
/// that happened with what AI Studios answered, and what to type next.
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, the fields of `callsheet jobs --json` and: in_sheet, due, rendering_since,
moved, versions, submissions (with tag, project_id, render_id, outcome, times, calls),
events, next (commands). Times are RFC 3339.")]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
    /// The job's key; a part that means one key is enough
    #[arg(required_unless_present = "row")]
    key: Option<String>,
    /// The job of this row of the spreadsheet, instead of a key
    #[arg(long, value_name = "N", conflicts_with = "key", value_parser = number::<u32>)]
    row: Option<u32>,
}

pub(super) async fn run(args: Show, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Show, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let (ledger, stored) = args.which.find(global).await?;
    let key = match (args.key, args.row) {
        (Some(part), _) => key(&ledger, &stored, &part).await?,
        (None, row) => {
            let row = row.unwrap_or_default();
            let found = ledger.key_of_row(stored.id, row).await.map_err(unexpected)?;
            found.ok_or_else(|| {
                let words = format!("no job of this batch begins in row {row}");
                Early::new(Exit::Usage, words)
            })?
        }
    };
    let story = ledger.story(stored.id, &key).await.map_err(unexpected)?;
    let story = story.ok_or_else(|| Early::new(Exit::Usage, format!("no job `{key}`")))?;
    let commands = Commands::of(global, args.which.sandbox, &stored);
    if talk.is_json() {
        talk.document(&document(&story, &commands, &key));
    } else {
        let page = Page { story: &story, key: &key, folder: folder(&stored, &args.which) };
        talk.result(&page.shown(&stored, &commands));
    }
    ledger.close().await;
    Ok(Exit::Done)
}

/// Returns the output folder, as the batch file that the ledger keeps says.
fn folder(stored: &StoredBatch, which: &Which) -> Option<String> {
    let batch = batch::parse(stored.file.as_ref(), stored.source.clone()).ok()?;
    let folder = if which.sandbox { drive::rehearsal_output(&batch.output) } else { batch.output };
    Some(folder.display().to_string())
}

fn wait_of(story: &Story) -> Option<Wait<'_>> {
    Wait::of(story.job.state, story.job.stalled, story.job.cause.as_deref())
}

struct Page<'a> {
    story: &'a Story,
    key: &'a str,
    folder: Option<String>,
}

impl Page<'_> {
    fn shown(&self, stored: &StoredBatch, commands: &Commands) -> String {
        let mut lines = vec![self.headline(stored)];
        lines.extend(self.standing());
        self.part(&mut lines, "cells", self.cells());
        let versions = self.story.versions.iter().flat_map(|version| self.version(version));
        self.part(&mut lines, "versions", versions.collect());
        let submissions = self.story.submissions.iter().flat_map(submission);
        self.part(&mut lines, "submissions", submissions.collect());
        self.part(&mut lines, "history", self.story.events.iter().map(event).collect());
        self.part(&mut lines, "what to type next", self.next(commands));
        lines.join("\n")
    }

    fn part(&self, lines: &mut Vec<String>, title: &str, body: Vec<String>) {
        if !body.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    }

    fn headline(&self, stored: &StoredBatch) -> String {
        let job = &self.story.job;
        let state = job.word();
        let stalled = match (job.stalled, job.generating) {
            (true, _) => ", stalled",
            (false, true) => ", being written by AI Studios",
            (false, false) => "",
        };
        let row = if self.story.in_sheet {
            format!("row {}", job.row_number)
        } else {
            "no longer in the sheet".to_owned()
        };
        format!("{} ({row} of {}): {state}{stalled}", plain(self.key), stored.name)
    }

    fn standing(&self) -> Vec<String> {
        let (story, job) = (self.story, &self.story.job);
        let mut lines = Vec::new();
        if let Some(wait) = wait_of(story) {
            lines.push(wait.words().to_owned());
        }
        if let Some(words) = &job.words {
            lines.push(format!("last said: {}", shown(words)));
        }
        if job.generating {
            let moved = story.moved_at.map(|at| format!(", last moved {}", local(at)));
            let progress = job.progress.unwrap_or(0.0);
            lines.push(format!("written to {progress:.0} %{}", moved.unwrap_or_default()));
        }
        if let Some(since) = story.rendering_at {
            let moved = story.moved_at.map(|at| format!(", last moved {}", local(at)));
            lines.push(format!(
                "at AI Studios since {}: {:.0} %{}",
                local(since),
                job.progress.unwrap_or(0.0),
                moved.unwrap_or_default()
            ));
        }
        if job.state.is_some_and(|state| !state.is_final()) && story.due_at > 0 {
            lines.push(format!("due {}", local(story.due_at)));
        }
        lines.into_iter().map(|line| format!("  {line}")).collect()
    }

    fn cells(&self) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            serde_json::from_str(&self.story.job.cells).unwrap_or_default();
        let headings = &self.story.headings;
        let widest = headings.iter().map(|heading| heading.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            if place > 0 {
                lines.push("and".to_owned());
            }
            for (heading, cell) in headings.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                lines.push(format!("{:widest$}  {}", plain(heading), shown(cell)));
            }
        }
        lines
    }

    fn version(&self, version: &VersionRow) -> Vec<String> {
        let mut lines = vec![format!("{}  planned {}", version.version, local(version.planned_at))];
        if let Some(earlier) = version.reused_from {
            lines.push(format!("   the same content as version {earlier}"));
        }
        if let (Some(file), Some(bytes), Some(ms), Some(at)) =
            (&version.video_file, version.video_bytes, version.video_ms, version.done_at)
        {
            let folder = self.folder.as_deref().map(|folder| format!(" in {}", plain(folder)));
            lines.push(format!("   {}{}", plain(file), folder.unwrap_or_default()));
            lines.push(format!(
                "   {}, plays {:.1} s, verified {}",
                size(bytes),
                ms as f64 / 1e3,
                local(at)
            ));
        }
        lines
    }

    fn next(&self, commands: &Commands) -> Vec<String> {
        if let Some(wait) = wait_of(self.story) {
            let steps =
                commands.for_one(wait, self.key, self.story.job.project_id.as_deref()).into_iter();
            return steps.flat_map(|step| [step.command, format!("    {}", step.does)]).collect();
        }
        match self.story.job.state {
            Some(state) if !state.is_final() => vec![commands.run()],
            Some(_) | None => Vec::new(),
        }
    }
}

fn size(bytes: i64) -> String {
    match bytes {
        ..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn shown(text: &str) -> String {
    plain(&clipped(text, TEXT_MAX)).into_owned()
}

fn submission(one: &SubmissionRow) -> Vec<String> {
    let mut times = vec![format!("begun {}", local(one.begun_at))];
    if let Some(at) = one.paid_at {
        times.push(format!("paid step {}", local(at)));
    }
    if let Some(at) = one.settled_at {
        times.push(format!("settled after {}", lasted(one.begun_at, at)));
    }
    let mut marks = vec![format!("tag [cs:{}]", one.tag)];
    if let Some(id) = &one.project_id {
        marks.push(format!("project {}", plain(id)));
    }
    if let Some(id) = one.subject.as_ref().filter(|id| Some(*id) != one.project_id.as_ref()) {
        marks.push(format!("made from {}", plain(id)));
    }
    if let Some(id) = &one.render_id {
        marks.push(format!("rendered as {}", plain(id)));
    }
    if one.looks > 0 {
        marks.push(format!("looked for {} times", one.looks));
    }
    if let Some(credits) = one.credits {
        marks.push(format!("{credits} credits"));
    }
    if let Some(at) = one.called_at {
        let credits = one.called_credits.map(|credits| format!(", telling of {credits} credits"));
        times.push(format!("called about {}{}", local(at), credits.unwrap_or_default()));
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

fn event(one: &EventRow) -> String {
    let detail = one.detail.as_deref().map(|detail| format!(": {}", shown(detail)));
    let state = if one.state == one.event { String::new() } else { format!(" → {}", one.state) };
    format!("{}  {}{state}{}", local(one.at), one.event, detail.unwrap_or_default())
}

fn document(story: &Story, commands: &Commands, key: &str) -> Value {
    let mut document = report::entry(&story.job, &story.headings);
    let steps = match (wait_of(story), story.job.state) {
        (Some(wait), _) => commands
            .for_one(wait, key, story.job.project_id.as_deref())
            .into_iter()
            .map(|step| step.command)
            .collect(),
        (None, Some(state)) if !state.is_final() => vec![commands.run()],
        (None, _) => Vec::new(),
    };
    let Some(fields) = document.as_object_mut() else { return document };
    let final_state = story.job.state.is_none_or(State::is_final);
    for (name, value) in [
        ("in_sheet", json!(story.in_sheet)),
        ("due", json!((!final_state).then(|| iso(story.due_at)))),
        ("rendering_since", json!(story.rendering_at.map(iso))),
        ("moved", json!(story.moved_at.map(iso))),
        ("versions", story.versions.iter().map(version_document).collect()),
        ("submissions", story.submissions.iter().map(submission_document).collect()),
        ("events", story.events.iter().map(event_document).collect()),
        ("next", json!(steps)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    document
}

fn version_document(one: &VersionRow) -> Value {
    json!({
        "version": one.version,
        "planned": iso(one.planned_at),
        "reused_from": one.reused_from,
        "video_file": one.video_file,
        "bytes": one.video_bytes,
        "seconds": one.video_ms.map(|ms| ms as f64 / 1000.0),
        "done": one.done_at.map(iso),
    })
}

fn submission_document(one: &SubmissionRow) -> Value {
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
        "begun": iso(one.begun_at),
        "paid": one.paid_at.map(iso),
        "settled": one.settled_at.map(iso),
        "looks": one.looks,
        "credits": one.credits,
        "called": one.called_at.map(iso),
        "called_last": one.called_last.map(iso),
        "called_credits": one.called_credits,
    })
}

fn event_document(one: &EventRow) -> Value {
    json!({
        "at": iso(one.at),
        "event": one.event,
        "state": one.state,
        "version": one.version,
        "run": one.run_id,
        "detail": one.detail,
    })
}
