//! The form of a new batch: a title, a spreadsheet, and a template.

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use super::upload_root;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::row::storyboard;
use crate::console::upload_form::{UPLOAD_BYTES_MAX, UploadForm};
use crate::ledger::{AuditAction, NewAuditEntry};
use crate::scaffold::{GALLERY, choose_template, find_gallery_template};
use crate::session::upload::{UploadError, UploadTemplate, UploadedBatch};
use crate::text::pluralize;

/// The choice of the template that suits the sheet.
const AUTOMATIC: &str = "automatic";
/// The choice of a pasted template.
const PASTED: &str = "own";

pub(in crate::console) async fn show_form(page: PageRequest) -> PageResult {
    let uploads = upload_root(&page).list();
    let names: Vec<&str> = uploads.iter().map(UploadedBatch::name).collect();
    let document = json!({ "uploads": names });
    let links = page.links();
    let main = html! {
        div .title { h1 { "New batch" } }
        form .card.new-batch method="post" enctype="multipart/form-data" action=(links.to("/new")) {
            div .stacked {
                label { "Title"
                    input name="title" required maxlength="60" placeholder="Spring campaign" autofocus;
                }
                label { "Spreadsheet (XLSX, ODS, CSV or TSV, up to " (UPLOAD_BYTES_MAX >> 20) " MB)"
                    input type="file" name="sheet" required
                        accept=".xlsx,.ods,.csv,.tsv,.txt,text/csv";
                }
            }
            (gallery())
            button .primary type="submit" { "Upload and check" }
            span .muted { " Nothing is rendered yet." }
        }
        @if !uploads.is_empty() {
            section .card {
                h2 { "Spreadsheets in the console" }
                ul .uploads {
                    @for upload in &uploads {
                        li {
                            a href=(links.to(&format!("/new/{}", upload.name()))) { (upload.setup.title) }
                            " " span .muted { (upload.name()) }
                        }
                    }
                }
            }
        }
    };
    let content =
        ConsolePage { title: "New batch".to_owned(), section: "New batch", is_live: false, main };
    page.render(content, document)
}

fn gallery() -> Markup {
    html! {
        fieldset .gallery {
            legend { "Template" }
            label .choice {
                input type="radio" name="template" value=(AUTOMATIC) checked;
                span { b { "Choose for me" } " the one that suits the columns" }
            }
            @for template in GALLERY {
                label .choice {
                    input type="radio" name="template" value=(template.name);
                    span { b { (template.name) } " " (template.summary) }
                    @if let Some(payload) = template.sample_payload() { div .storyboard { (PreEscaped(storyboard(&payload))) } }
                }
            }
            label .choice {
                input type="radio" name="template" value=(PASTED);
                span { b { "My own" } " paste the JSON of a project, or a template" }
                textarea name="own" rows="4" aria-label="JSON of a project" placeholder="{ … }" {}
            }
        }
    }
}

/// Takes a spreadsheet. What fails leaves no folder behind.
pub(in crate::console) async fn create(mut page: PageRequest) -> PageResult {
    let form = UploadForm::read(&mut page, "sheet").await?;
    let title =
        form.get("title").ok_or_else(|| PageError::Invalid("give it a title".to_owned()))?;
    let file = form.file().ok_or_else(|| PageError::Invalid("choose a spreadsheet".to_owned()))?;
    let batches = page.state.ledger.batches().await?;
    let is_taken = |name: &str| batches.iter().any(|batch| batch.name == name);
    let mut upload = upload_root(&page).create(title, is_taken)?;
    match fill(&mut upload, &form, file) {
        Ok(()) => {
            record_sheet(&page, &upload, AuditAction::CreateBatch).await?;
            let address = page.links().to(&format!("/new/{}", upload.name()));
            page.redirect(&address)
        }
        Err(error) => {
            upload.remove();
            Err(error.into())
        }
    }
}

/// Records that a batch has another spreadsheet.
pub(super) async fn record_sheet(
    page: &PageRequest,
    upload: &UploadedBatch,
    action: AuditAction,
) -> Result<(), PageError> {
    let state = upload.read_state()?;
    let rows = pluralize(state.proposal.rows as u64, "row");
    let subject = match upload.setup.template.as_str() {
        "" => format!("{rows}, a pasted template"),
        template => format!("{rows}, template {template}"),
    };
    let entry = NewAuditEntry {
        hash: Some(state.sheet_hash),
        ..NewAuditEntry::new(action, subject, page.audit_source()).with_batch(upload.name())
    };
    Ok(page.state.ledger.record_audit(vec![entry]).await?)
}

fn fill(upload: &mut UploadedBatch, form: &UploadForm, file: &[u8]) -> Result<(), UploadError> {
    let choice = form.get("template").unwrap_or(AUTOMATIC);
    match (choice, find_gallery_template(choice)) {
        (_, Some(found)) => upload.set_template(UploadTemplate::Gallery(found))?,
        (PASTED, None) => {
            let text = form.get("own").unwrap_or_default();
            upload.set_template(UploadTemplate::Pasted(text))?;
        }
        (_, None) => {
            // The sheet is read with any template first, to see its columns.
            upload.set_template(UploadTemplate::Gallery(&GALLERY[0]))?;
            upload.set_sheet(file)?;
            let headings = upload.read_state()?.proposal.headings;
            let suited = choose_template(headings.iter().map(String::as_str));
            upload.set_template(UploadTemplate::Gallery(suited))?;
        }
    }
    upload.set_sheet(file)?;
    upload.save()
}
