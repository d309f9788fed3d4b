//! `/batches/NAME/rows/KEY`: one video: its player and versions, its cells, its submissions, its
//! history, its payload.

mod history;

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::action::action_address;
use crate::console::pages::new_batch::{find_reach, has_upload};
use crate::console::pages::page_parts::{
    command, commands as command_list, placeholder_notice, row_chip, sentence, time, video_length,
    with_code,
};
use crate::console::pages::row_cells::{named_cells, title_among};
use crate::ledger::{
    ConsoleRole, JobHistory, JobState, RequestedAction, StoredBatch, TargetFilter, VersionRow,
};
use crate::report::storyboard::draw_scenes;
use crate::session::next_steps::{AttentionReason, CommandHints};
use crate::session::reports::job_json::{JobTrail, job_json};
use crate::session::upload::BatchReach;
use crate::text::{format_credits, pluralize};

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let key = page.param("key").to_owned();
    let history = page.state.ledger.job_history(batch.id, &key).await?;
    let history = history.ok_or_else(|| {
        PageError::NotFound(format!("`{}` has no row with the key `{key}`", batch.name))
    })?;
    let payload = read_payload(&page, &batch, &key).await?;
    let invalid = page.state.ledger.count_invalid(batch.id).await?;
    let commands = page.state.command_hints(&batch.name, &batch.file).with_invalid_rows(invalid);
    let now = page.state.now();
    let requests = page.state.ledger.operator_requests_of_job(batch.id, &key, now).await?;
    let entries = page.state.ledger.audit_entries_of_job(&batch, &key).await?;
    let trail = JobTrail { requests: &requests, entries: &entries };
    let document = job_json(&history, trail, &commands, &key);
    let can_continue = matches!(find_reach(&page, &batch).await?, BatchReach::Here(_));
    let view = RowView { page: &page, batch: &batch, key: &key, history: &history, can_continue };
    let main = html! {
        (view.header())
        div .columns.wide-first {
            div {
                div id="videos" data-live { (view.videos()) }
                (view.cells())
                (payload_section(payload.as_deref()))
            }
            div {
                div id="status" data-live { (view.status(&commands)) }
                div id="verdicts" data-live { (history::trail(&trail)) }
                div id="history" data-live { (history::section(&history, &trail, &batch.base_url)) }
                div id="submissions" data-live { (history::submissions(&history, page.is_rehearsal())) }
            }
        }
    };
    let title = format!("{key} · {}", batch.name);
    page.render(ConsolePage { title, section: "Batches", is_live: true, main }, document)
}

/// Returns the payload of the planned version; `None` if the ledger stores none.
async fn read_payload(
    page: &PageRequest,
    batch: &StoredBatch,
    key: &str,
) -> Result<Option<String>, PageError> {
    let planned = page.state.ledger.planned_version(batch.id, key).await?;
    Ok(planned.and_then(|planned| planned.payload.text().ok()))
}

struct RowView<'v> {
    page: &'v PageRequest,
    batch: &'v StoredBatch,
    key: &'v str,
    history: &'v JobHistory,
    /// Whether the console can continue the batch.
    can_continue: bool,
}

impl RowView<'_> {
    fn header(&self) -> Markup {
        let links = self.page.links();
        let batch = &self.batch.name;
        html! {
            nav .trail aria-label="Breadcrumb" {
                a href=(links.to("/")) { "Batches" } " / "
                a href=(links.batch(batch)) { (batch) } " / "
                a href=(links.rows(batch, "")) { "Rows" }
            }
            div .title {
                h1 { (self.key) }
                @if let Some(title) = self.title() { span .muted { (title) } }
                @if self.page.requester.has_role(ConsoleRole::Operator) && has_upload(self.page, batch) {
                    a href={ (links.row(batch, self.key)) "/edit" } { "Edit" }
                }
            }
        }
    }

    /// Returns what the row calls its video.
    fn title(&self) -> Option<String> {
        title_among(&named_cells(&self.history.headings, &self.history.job.cells), self.key)
    }

    /// Returns the player of the current version, and earlier ones beside it.
    fn videos(&self) -> Markup {
        let with_video =
            self.history.versions.iter().filter(|version| version.video_file.is_some());
        let versions: Vec<_> = with_video.rev().collect();
        html! {
            @if versions.is_empty() {
                div .empty.video { p { "No video yet." } }
            } @else {
                (placeholder_notice(self.page.is_rehearsal()))
                div .versions { @for version in versions { (self.version_figure(version)) } }
            }
        }
    }

    fn version_figure(&self, version: &VersionRow) -> Markup {
        let address = self.page.links().video(&self.batch.name, self.key, version.version);
        let is_current = version.version == self.history.job.version;
        html! {
            figure .card {
                video controls preload="metadata" src=(address) {}
                figcaption {
                    strong { "Version " (version.version) }
                    @if is_current { span .chip.finished { "current" } }
                    @if let Some(ms) = version.video_ms { span { (video_length(ms)) } }
                    @if let Some(bytes) = version.video_bytes { span .muted { (file_size(bytes)) } }
                    @if let Some(at) = version.done_at { span .muted { (time(at)) } }
                    a href=(address) download=[version.video_file.as_deref()] { "Download" }
                }
            }
        }
    }

    fn status(&self, commands: &CommandHints) -> Markup {
        let job = &self.history.job;
        let steps = commands.steps_for_row(self.key, job);
        html! {
            section .card aria-label="State" {
                div .row {
                    (row_chip(job))
                    span .spacer {}
                    span .muted {
                        @if self.history.in_sheet { "row " (job.row_number) } @else { "no longer in the sheet" }
                    }
                }
                // Without any progress, a bar would show a standstill.
                @let is_rendering = self.history.rendering_at.is_some();
                @if let Some(progress) = job.progress.filter(|progress| is_rendering && *progress >= 0.5) {
                    progress max="100" value=(format!("{progress:.0}")) {}
                }
                @if let Some(reason) = AttentionReason::from_row(job) { p { (sentence(reason.describe(self.page.is_rehearsal()))) } }
                @if let Some(message) = &job.message { p .quoted { (with_code(message)) } }
                (self.facts())
                (self.actions())
                @if !steps.is_empty() {
                    (command_list(self.has_buttons(), &html! {
                        @for step in &steps {
                            p .step { (command(&step.command)) " " span .muted { (step.effect) } }
                        }
                    }))
                }
            }
        }
    }

    /// Returns whether the console does what the commands do.
    fn has_buttons(&self) -> bool {
        let is_operator = self.page.requester.has_role(ConsoleRole::Operator);
        is_operator && self.can_continue
    }

    /// Returns the actions on this video, for users who may take them.
    fn actions(&self) -> Markup {
        if !self.page.requester.has_role(ConsoleRole::Operator) || !self.history.in_sheet {
            return html! {};
        }
        let (links, batch) = (self.page.links(), &self.batch.name);
        let filter = TargetFilter { keys: vec![self.key.to_owned()], ..TargetFilter::default() };
        let action = match self.history.job.state {
            Some(JobState::Failed | JobState::Cancelled) => {
                Some(("Retry…", RequestedAction::Retry(filter)))
            }
            Some(JobState::Ready) => Some(("Cancel…", RequestedAction::Cancel(filter))),
            Some(JobState::Done | JobState::Reused) => {
                Some(("Download again…", RequestedAction::DownloadAgain(filter)))
            }
            Some(
                JobState::Uncertain
                | JobState::Submitting
                | JobState::Rendering
                | JobState::Fetching,
            )
            | None => None,
        };
        html! {
            p .actions {
                @if self.history.job.state == Some(JobState::Uncertain) {
                    a .button.primary href=(links.resolve(batch, self.key)) { "Decide what happened…" }
                }
                @if let Some((label, action)) = action {
                    a .button href=(action_address(&links, batch, &action)) { (label) }
                }
            }
        }
    }

    fn facts(&self) -> Markup {
        let job = &self.history.job;
        let is_open = job.state.is_some_and(|state| !state.is_final());
        html! {
            dl .facts {
                dt { "version" } dd { (job.version) }
                dt { "submitted" } dd { (self.submitted(job.attempts.unsigned_abs())) }
                @if let Some(variant) = &job.variant { dt { "variant" } dd { (variant) } }
                @if let Some(project) = &job.project_id { dt { "project" } dd { code data-copy { (project) } } }
                @if let Some(credits) = job.credits { dt { @if self.page.is_rehearsal() { "would cost" } @else { "cost" } } dd { (format_credits(credits)) } }
                @if let Some(at) = self.history.rendering_at { dt { "rendering since" } dd { (time(at)) } }
                @if is_open && self.history.due_at > Timestamp::UNIX_EPOCH { dt { "next check" } dd { (time(self.history.due_at)) } }
            }
        }
    }

    /// Returns how often the video was submitted, and what that means.
    fn submitted(&self, times: u64) -> String {
        match (times, self.page.is_rehearsal()) {
            (0, _) => "not yet".to_owned(),
            (_, true) => format!("{} in the rehearsal, free", pluralize(times, "time")),
            (_, false) => pluralize(times, "paid request"),
        }
    }

    fn cells(&self) -> Markup {
        let rows: Vec<Vec<String>> =
            serde_json::from_str(&self.history.job.cells).unwrap_or_default();
        html! {
            section .card aria-labelledby="h-cells" {
                h2 id="h-cells" { "Cells" }
                @for row in &rows {
                    dl .cells {
                        @for (heading, cell) in self.history.headings.iter().zip(row) {
                            @if !cell.is_empty() { dt { (heading) } dd { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the storyboard of a payload, and the payload itself.
fn payload_section(payload: Option<&str>) -> Markup {
    let Some(payload) = payload else { return html! {} };
    let parsed = serde_json::from_str::<serde_json::Value>(payload).ok();
    let pretty = parsed.as_ref().and_then(|value| serde_json::to_string_pretty(value).ok());
    html! {
        section .card aria-labelledby="h-storyboard" {
            h2 id="h-storyboard" { "Storyboard" }
            div .storyboard { (PreEscaped(storyboard(payload))) }
            details {
                summary { "Payload" }
                pre { (pretty.as_deref().unwrap_or(payload)) }
            }
        }
    }
}

/// Returns our own drawing, in which every text is escaped. The content policy forbids styles in a
/// page, so the script of the console applies them.
pub(in crate::console) fn storyboard(payload: &str) -> String {
    draw_scenes(payload).replace(" style=\"", " data-style=\"")
}

fn file_size(bytes: i64) -> String {
    match bytes {
        ..1_000_000 => format!("{:.0} kB", bytes.max(0) as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
