//! `/new`: from a spreadsheet to an approved run, in one page per step of the user.
//!
//! The page reads and writes through `session::upload`; it decides nothing about a sheet or a plan.
//! Invariant: nothing is started but by `start`, whose form carries the hash of the plan that was shown.

mod columns_form;
mod continued;
mod create;
mod edit_row;
mod grid;
mod plan_section;
mod start;
mod started;

use maud::{Markup, PreEscaped, html};
use serde_json::json;

pub(in crate::console) use self::create::{create, show_form};
pub(in crate::console) use self::edit_row::edit_row;
pub(in crate::console) use self::start::{start, withdraw};
pub(in crate::console) use self::started::show_started;
pub(in crate::console::pages) use self::started::start_notice;

use self::grid::GridView;
use self::plan_section::{BatchWork, PlanView};
use crate::console::form::FormFields;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::row::storyboard;
use crate::console::upload_form::UploadForm;
use crate::ledger::{AuditAction, StoredBatch};
use crate::scaffold::QuestionSubject;
use crate::session::upload::{
    BatchReach, CellEdit, ConsoleBatch, UploadError, UploadPlan, UploadRoot, UploadState,
    UploadedBatch,
};
use crate::text::pluralize;

/// Videos that are drawn.
const SCENES_MAX: usize = 6;

impl From<UploadError> for PageError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::NotFound => {
                Self::NotFound("there is no spreadsheet of this name in the console".to_owned())
            }
            UploadError::Invalid(message) => Self::Invalid(message),
            UploadError::Changed(message) => Self::Changed(message),
            UploadError::Disk(kind) => {
                tracing::warn!("the console cannot write beside its ledger: {kind}");
                Self::Unavailable(
                    "the disk of the console cannot be written or read; its log has the reason"
                        .to_owned(),
                )
            }
            UploadError::Ledger(error) => error.into(),
        }
    }
}

/// Returns the folder of the uploaded batches of this console.
fn upload_root(page: &PageRequest) -> UploadRoot {
    UploadRoot::beside(page.state.ledger.address())
}

/// Returns the uploaded batches, by name.
pub(in crate::console::pages) fn list_uploads(page: &PageRequest) -> Vec<UploadedBatch> {
    upload_root(page).list()
}

/// Finds out whether the console can continue a batch.
pub(in crate::console::pages) async fn find_reach(
    page: &PageRequest,
    stored: &StoredBatch,
) -> Result<BatchReach, PageError> {
    Ok(upload_root(page).find_reach(&page.state.ledger, stored).await?)
}

/// Returns the batch of the address, whose runs are approved here: an uploaded one, or one that was begun
/// on the command line of this machine.
async fn open_console_batch(page: &PageRequest) -> Result<ConsoleBatch, PageError> {
    let name = page.param("name");
    let missing = match upload_root(page).open(name) {
        Ok(upload) => return Ok(upload.into_console_batch()),
        Err(error) => PageError::from(error),
    };
    let Ok(stored) = page.state.ledger.batch(name).await else { return Err(missing) };
    match find_reach(page, &stored).await? {
        BatchReach::Here(batch) => Ok(batch),
        BatchReach::Elsewhere(reason) => {
            Err(PageError::NotFound(format!("`{name}` cannot be continued here: {reason}")))
        }
    }
}

/// Returns whether the sheet of a batch is in the console.
pub(in crate::console::pages) fn has_upload(page: &PageRequest, batch: &str) -> bool {
    upload_root(page).open(batch).is_ok()
}

fn open_upload(page: &PageRequest) -> Result<UploadedBatch, PageError> {
    Ok(upload_root(page).open(page.param("name"))?)
}

/// Shows an uploaded batch: questions, columns, cells, scenes, plan. Of a batch that was begun on the
/// command line, the plan alone.
pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let upload = match open_upload(&page) {
        Ok(upload) => upload,
        Err(PageError::NotFound(_)) => {
            let batch = open_console_batch(&page).await?;
            return continued::show(&page, &batch).await;
        }
        Err(error) => return Err(error),
    };
    let state = upload.read_state()?;
    let plan = upload.plan(&page.state.ledger).await?;
    let is_known = page.state.ledger.batch(upload.name()).await.is_ok();
    let mut document = plan_json(upload.name(), &plan);
    document["rows"] = state.proposal.rows.into();
    document["questions"] = state.proposal.questions.iter().map(|one| one.text.as_str()).collect();
    let progress = upload.start_progress(&page.state.ledger, page.state.now()).await?;
    let batch = BatchWork::read(&page, upload.name()).await?;
    let saved = page.query.get("saved").is_some();
    let scenes = scenes_section(&upload)?;
    let main = html! {
        p .trail { a href=(page.links().to("/new")) { "New batch" } }
        div .title {
            h1 { (title_of(&upload)) }
            span .chip { (pluralize(state.proposal.rows as u64, "row")) }
            @if title_of(&upload) != upload.name() {
                span .muted { "Its name is " code data-copy { (upload.name()) } ": commands and files use that." }
            }
            @if is_known { a href=(page.links().batch(upload.name())) { "Videos of this batch" } }
        }
        @if saved { p .saved role="status" { (saved_message(&plan)) } }
        // One form: what is saved in one part is saved in the other.
        form method="post" action=(page.links().to(&format!("/new/{}/save", upload.name()))) data-unsaved {
            // The button of the Enter key.
            button type="submit" name="part" value=(CELLS_PART) hidden {}
            (columns_form::section(&state))
            (cells_section(&page, &state, &plan))
        }
        (replace_section(&page, &upload))
        (scenes)
        (plan_section::section(&page, &upload, PlanView { plan: &plan, progress: &progress, batch }))
    };
    let title = title_of(&upload).to_owned();
    let section = if is_known { "Batches" } else { "New batch" };
    page.render(ConsolePage { title, section, is_live: false, main }, document)
}

/// Returns the fields that every plan has in JSON.
fn plan_json(name: &str, plan: &UploadPlan) -> serde_json::Value {
    json!({
        "name": name,
        "problems": plan.problems.iter().map(|one| &one.message).collect::<Vec<_>>(),
        "warnings": plan.warnings.iter().map(|one| &one.message).collect::<Vec<_>>(),
        "plan": plan.offer.as_ref().map(|offer| json!({
            "hash": offer.hash, "new": offer.counts.new, "changed": offer.counts.changed,
            "unchanged": offer.counts.unchanged, "removed": offer.counts.removed,
            "skipped": offer.counts.skipped, "to_render": offer.estimate.videos,
            "credits": offer.estimate.credits, "paid_again": offer.review.paid_again,
        })),
    })
}

fn saved_message(plan: &UploadPlan) -> Markup {
    html! {
        "Saved. "
        @match plan.problems.len() {
            0 => a href="#plan" { "The plan and its price are below." },
            count => a href="#cells" { (pluralize(count as u64, "problem")) " left." },
        }
    }
}

fn title_of(upload: &UploadedBatch) -> &str {
    if upload.setup.title.is_empty() { upload.name() } else { &upload.setup.title }
}

fn cells_section(page: &PageRequest, state: &UploadState, plan: &UploadPlan) -> Markup {
    let only = page.query.get("row").and_then(|row| row.parse().ok());
    let view = GridView { state, plan, only };
    html! {
        section #cells .card {
            (view.findings("Problems", "problem", &plan.problems))
            (view.findings("Warnings", "warning", &plan.warnings))
            (view.table())
        }
    }
}

fn replace_section(page: &PageRequest, upload: &UploadedBatch) -> Markup {
    html! {
        details .card.replace {
            summary { "Upload another version of the spreadsheet" }
            form method="post" enctype="multipart/form-data"
                action=(page.links().to(&format!("/new/{}/sheet", upload.name()))) {
                input type="file" name="sheet" required aria-label="Spreadsheet"
                    accept=".xlsx,.ods,.csv,.tsv,.txt,text/csv";
                button type="submit" { "Upload" }
            }
        }
    }
}

/// Draws the first videos.
fn scenes_section(upload: &UploadedBatch) -> Result<Markup, PageError> {
    let scenes = upload.first_scenes(SCENES_MAX)?;
    Ok(html! {
        @if !scenes.is_empty() {
            section .card {
                h2 { "The first videos, as they would be rendered" }
                div .previews {
                    @for scene in &scenes {
                        article {
                            h3 { (scene.key) } " " span .muted { "row " (scene.row) }
                            div .storyboard { (PreEscaped(storyboard(&scene.payload))) }
                        }
                    }
                }
            }
        }
    })
}

/// Saves the cells that differ, and the answers and columns.
pub(in crate::console) async fn save(mut page: PageRequest) -> PageResult {
    let form = page.read_form().await?;
    let mut upload = open_upload(&page)?;
    // The questions are those that were shown, whatever the cells are now.
    let state = upload.read_state()?;
    let before = upload.setup.answers.clone();
    let is_about_columns = form.get("part") != Some(CELLS_PART);
    take_answers(&form, &state, &mut upload, is_about_columns).map_err(PageError::Invalid)?;
    let edits: Vec<CellEdit> =
        form.iter().filter_map(|(name, text)| grid::parse_cell_field(name, text)).collect();
    let changes = match edits.is_empty() {
        true => Vec::new(),
        false => upload.edit_cells(form.get("sheet").unwrap_or_default(), &edits)?,
    };
    upload.save()?;
    let entries = upload.edit_entries(&changes, &page.audit_source())?;
    page.state.ledger.record_audit(entries).await?;
    if upload.setup.answers != before {
        columns_form::record_columns(&page, &upload).await?;
    }
    let query = FormFields::default().with("row", form.get("row").unwrap_or_default());
    let query = query.with("saved", "yes").to_query();
    page.redirect(&page.links().to(&format!("/new/{}{query}", upload.name())))
}

/// The button below the cells.
const CELLS_PART: &str = "cells";

/// Takes the answers of a form. The button of the cells confirms no guess that is shown with a question.
fn take_answers(
    form: &FormFields,
    state: &UploadState,
    upload: &mut UploadedBatch,
    is_about_columns: bool,
) -> Result<(), String> {
    for question in &state.proposal.questions {
        let field = columns_form::field_name(&question.subject);
        let Some(text) = form.get_raw(&field) else { continue };
        let is_skip = matches!(&question.subject, QuestionSubject::Skip(_));
        let is_untouched = text == question.guess.as_deref().unwrap_or_default();
        let is_open = text.trim().is_empty() && !question.is_optional && !is_skip;
        if is_open || (is_untouched && !is_about_columns) {
            continue;
        }
        upload.setup.answers.answer(question, text)?;
    }
    columns_form::apply_columns(form, state, &mut upload.setup.answers);
    Ok(())
}

/// Takes another version of the spreadsheet.
pub(in crate::console) async fn replace_sheet(mut page: PageRequest) -> PageResult {
    let form = UploadForm::read(&mut page, "sheet").await?;
    let mut upload = open_upload(&page)?;
    let file = form.file().ok_or_else(|| PageError::Invalid("choose a spreadsheet".to_owned()))?;
    upload.set_sheet(file)?;
    upload.save()?;
    create::record_sheet(&page, &upload, AuditAction::ReplaceSheet).await?;
    let address = page.links().to(&format!("/new/{}", upload.name()));
    page.redirect(&address)
}
