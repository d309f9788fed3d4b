//! The form of a new batch: a title, a spreadsheet, and a template.

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use super::upload_root;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{FieldError, field_message};
use crate::console::pages::row::storyboard;
use crate::console::upload_form::{UPLOAD_BYTES_MAX, UploadForm};
use crate::ledger::{AuditAction, NewAuditEntry};
use crate::scaffold::{GALLERY, choose_template, find_gallery_template};
use crate::session::upload::{UploadError, UploadTemplate, UploadedBatch};
use crate::text::pluralize;

const TITLE_FIELD: &str = "title";
const SHEET_FIELD: &str = "sheet";
const TEMPLATE_FIELD: &str = "template";
const OWN_FIELD: &str = "own";
/// The choice of the template that suits the sheet.
const AUTOMATIC: &str = "automatic";
/// The choice of a pasted template.
const PASTED: &str = "own";

/// What was entered in the form, and what is wrong with it.
#[derive(Default)]
struct FormEntries<'e> {
    title: &'e str,
    template: &'e str,
    own: &'e str,
    error: Option<FieldError>,
}

impl<'e> FormEntries<'e> {
    fn from_form(form: &'e UploadForm, error: FieldError) -> Self {
        let text = |name| form.get(name).unwrap_or_default();
        Self {
            title: text(TITLE_FIELD),
            template: text(TEMPLATE_FIELD),
            own: text(OWN_FIELD),
            error: Some(error),
        }
    }
}

pub(in crate::console) async fn show_form(page: PageRequest) -> PageResult {
    let uploads = upload_root(&page).list();
    let names: Vec<&str> = uploads.iter().map(|upload| upload.name()).collect();
    let document = json!({ "uploads": names });
    page.render(form_page(&page, &FormEntries::default()), document)
}

fn form_page(page: &PageRequest, entries: &FormEntries<'_>) -> ConsolePage {
    let uploads = upload_root(page).list();
    let links = page.links();
    let error = entries.error.as_ref();
    let main = html! {
        div .title { h1 { "New batch" } }
        form .card.new-batch method="post" enctype="multipart/form-data" action=(links.to("/new")) {
            div .stacked {
                (field_message(error, TITLE_FIELD))
                label { "Title"
                    input name=(TITLE_FIELD) value=(entries.title) required maxlength="60" placeholder="Spring campaign" autofocus;
                    span { "Commands and files use a name that is made from it, such as " code { "spring-campaign" } "." }
                }
                (field_message(error, SHEET_FIELD))
                label { "Spreadsheet (XLSX, ODS, CSV or TSV, up to " (UPLOAD_BYTES_MAX >> 20) " MB)"
                    input type="file" name=(SHEET_FIELD) required
                        accept=".xlsx,.ods,.csv,.tsv,.txt,text/csv";
                }
            }
            (gallery(entries))
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
    ConsolePage { title: "New batch".to_owned(), section: "New batch", is_live: false, main }
}

fn gallery(entries: &FormEntries<'_>) -> Markup {
    let is_chosen = |choice: &str| entries.template == choice;
    let is_automatic = entries.template.is_empty() || is_chosen(AUTOMATIC);
    html! {
        fieldset .gallery {
            legend { "Template" }
            label .choice {
                input type="radio" name=(TEMPLATE_FIELD) value=(AUTOMATIC) checked[is_automatic];
                span { b { "Choose for me" } " the one that suits the columns" }
            }
            @for template in GALLERY {
                label .choice {
                    input type="radio" name=(TEMPLATE_FIELD) value=(template.name) checked[is_chosen(template.name)];
                    span { b { (template.name) } " " (template.summary) }
                    @if let Some(payload) = template.sample_payload() { div .storyboard { (PreEscaped(storyboard(&payload))) } }
                }
            }
            label .choice {
                input type="radio" name=(TEMPLATE_FIELD) value=(PASTED) checked[is_chosen(PASTED)];
                span { b { "My own" } " paste the JSON of a project, or a template" }
                textarea name=(OWN_FIELD) rows="4" aria-label="JSON of a project" placeholder="{ … }" { (entries.own) }
            }
            (field_message(entries.error.as_ref(), OWN_FIELD))
        }
    }
}

/// Takes a spreadsheet. What fails leaves no folder behind.
pub(in crate::console) async fn create(mut page: PageRequest) -> PageResult {
    let form = UploadForm::read(&mut page, SHEET_FIELD).await?;
    if let Some(error) = find_missing(&form) {
        return refuse(&page, &form, error);
    }
    let (Some(title), Some(file)) = (form.get(TITLE_FIELD), form.file()) else {
        return Err(PageError::Invalid("the form is incomplete".to_owned()));
    };
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
            match error {
                UploadError::Invalid(message) => refuse(
                    &page,
                    &form,
                    FieldError { field: wrong_field(&form, &message), message },
                ),
                error => Err(error.into()),
            }
        }
    }
}

/// Returns what the form lacks, or contradicts.
fn find_missing(form: &UploadForm) -> Option<FieldError> {
    let wrong = |field, message: &str| Some(FieldError { field, message: message.to_owned() });
    let is_pasted = form.get(TEMPLATE_FIELD) == Some(PASTED);
    match (form.get(TITLE_FIELD), form.file(), form.get(OWN_FIELD)) {
        (None, _, _) => wrong(TITLE_FIELD, "give it a title"),
        (_, None, _) => wrong(SHEET_FIELD, "choose a spreadsheet"),
        (_, _, Some(_)) if !is_pasted => {
            wrong(OWN_FIELD, "choose “My own” to use the pasted template, or empty the field")
        }
        (_, _, None) if is_pasted => wrong(OWN_FIELD, "paste the JSON of a project, or a template"),
        (_, _, _) => None,
    }
}

/// Returns the field that a message is about. Messages about the template say so.
fn wrong_field(form: &UploadForm, message: &str) -> &'static str {
    let is_pasted = form.get(TEMPLATE_FIELD) == Some(PASTED);
    let is_about_template =
        ["the template", "project", "JSON"].iter().any(|word| message.contains(word));
    if is_pasted && is_about_template { OWN_FIELD } else { SHEET_FIELD }
}

/// Shows the form again. A browser keeps no chosen file.
fn refuse(page: &PageRequest, form: &UploadForm, error: FieldError) -> PageResult {
    let message = error.message.clone();
    page.render_refused(form_page(page, &FormEntries::from_form(form, error)), &message)
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
    let choice = form.get(TEMPLATE_FIELD).unwrap_or(AUTOMATIC);
    match (choice, find_gallery_template(choice)) {
        (_, Some(found)) => upload.set_template(UploadTemplate::Gallery(found))?,
        (PASTED, None) => {
            let text = form.get(OWN_FIELD).unwrap_or_default();
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
