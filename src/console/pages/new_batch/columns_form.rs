//! What the columns are for: the open questions, and every choice that was made.

use maud::{Markup, html};

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::with_code;
use crate::ledger::{AuditAction, NewAuditEntry};
use crate::scaffold::{
    QuestionSubject, SetupAnswers, SetupQuestion, SkipAnswer, is_currency_name, is_shown_name,
};
use crate::session::upload::{UploadState, UploadedBatch};

/// Before the name of a field for a column of the template.
const COLUMN_FIELD: &str = "column.";
/// Between the columns of a key.
const LIST_SEPARATOR: &str = " and ";

/// Returns the name of the field that answers a question.
pub(super) fn field_name(subject: &QuestionSubject) -> String {
    match subject {
        QuestionSubject::HeaderRow => "header-row".to_owned(),
        QuestionSubject::Key => "key".to_owned(),
        QuestionSubject::Column(name) => format!("ask.{name}"),
        QuestionSubject::Value(name) => format!("value.{name}"),
        QuestionSubject::Skip(_) => "skip".to_owned(),
    }
}

/// Records what the columns are for now.
pub(super) async fn record_columns(
    page: &PageRequest,
    upload: &UploadedBatch,
) -> Result<(), PageError> {
    let state = upload.read_state()?;
    let used = state.proposal.used_columns.iter();
    let mut parts: Vec<String> = used.map(|(name, heading)| format!("{name}: {heading}")).collect();
    parts.insert(0, format!("key: {}", state.proposal.draft.key.join(LIST_SEPARATOR)));
    let entry = NewAuditEntry {
        hash: Some(state.sheet_hash),
        ..NewAuditEntry::new(AuditAction::SetColumns, parts.join("; "), page.audit_source())
            .with_batch(upload.name())
    };
    Ok(page.state.ledger.record_audit(vec![entry]).await?)
}

/// Takes the columns that were chosen in the table. One column may have several names.
pub(super) fn apply_columns(form: &FormFields, state: &UploadState, answers: &mut SetupAnswers) {
    for (field, heading) in form.iter() {
        let Some(name) = field.strip_prefix(COLUMN_FIELD) else { continue };
        let current = state.proposal.used_columns.get(name).map_or("", String::as_str);
        let is_known = heading.is_empty() || state.proposal.headings.contains(heading);
        if is_known && heading != current {
            answers.columns.insert(name.to_owned(), heading.clone());
        }
    }
    let draft = &state.proposal.draft;
    let key = form.get("set-key").filter(|key| *key != draft.key.join(LIST_SEPARATOR));
    if let Some(key) = key.filter(|key| state.proposal.headings.iter().any(|known| known == key)) {
        answers.key = Some(vec![key.to_owned()]);
    }
    let row = form.get("set-header-row").and_then(|row| row.parse().ok());
    if let Some(row) = row.filter(|row| *row != state.proposal.heading_row) {
        answers.header_row = Some(row);
    }
    apply_skip(form, state, answers);
}

/// Takes the column and the cells that leave rows out.
fn apply_skip(form: &FormFields, state: &UploadState, answers: &mut SetupAnswers) {
    let Some(column) = form.get_raw("set-skip-column") else { return };
    let text = form.get_raw("set-skip-values").unwrap_or_default();
    let values: Vec<String> =
        text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    let current = state.proposal.draft.skip.as_ref();
    let is_same = match current {
        Some(skip) => skip.column == column && skip.values == values,
        None => column.is_empty(),
    };
    if is_same {
        return;
    }
    answers.skip = Some(match state.proposal.headings.iter().any(|known| known == column) {
        true => SkipAnswer::Cells { column: column.to_owned(), values },
        false => SkipAnswer::Nothing,
    });
}

/// Returns whether a question stands on the page itself, and not among what is rarely changed.
fn is_asked_first(question: &SetupQuestion) -> bool {
    let is_currency =
        matches!(&question.subject, QuestionSubject::Value(name) if is_currency_name(name));
    !question.is_optional || is_currency
}

/// What each button of the form does.
pub(super) const SAVES_ALL: &str = "Saves columns and cells.";

/// Returns the fields of the columns; the form around them has the cells as well.
pub(super) fn section(state: &UploadState) -> Markup {
    let proposal = &state.proposal;
    let is_asked = proposal.questions.iter().any(is_asked_first);
    html! {
        section #columns .card {
            @if is_asked {
                h2 { "Please check" }
                div .questions {
                    @for question in proposal.questions.iter().filter(|one| is_asked_first(one)) {
                        (question_field(question))
                    }
                }
                p .row { button .primary type="submit" { "Confirm and save all" } span .muted { (SAVES_ALL) } }
            }
            details open[!is_asked && proposal.used_columns.is_empty()] {
                summary { "Columns: " (columns_line(state)) }
                table .mapping {
                    thead { tr { th scope="col" { "In the template" } th scope="col" { "Column" } } }
                    tbody { @for name in names(state) { (mapping_row(name, state)) } }
                }
                @for question in proposal.questions.iter().filter(|one| !is_asked_first(one)) {
                    (question_field(question))
                }
                (facts(state))
                @if !is_asked { p .row { button type="submit" { "Save all" } span .muted { (SAVES_ALL) } } }
            }
            @for remark in &proposal.remarks { p .remark { (with_code(remark)) } }
            (not_shown(state))
        }
    }
}

/// Returns what the template could show, and has no column for.
fn not_shown(state: &UploadState) -> Markup {
    let (used, draft) = (&state.proposal.used_columns, &state.proposal.draft);
    let is_empty =
        |name: &&String| !used.contains_key(*name) && !draft.defaults.contains_key(*name);
    let missing: Vec<&String> =
        names(state).into_iter().filter(|name| is_shown_name(name)).filter(is_empty).collect();
    html! {
        @if !missing.is_empty() && !draft.unused_columns.is_empty() {
            p .remark {
                "The template can show "
                @for (index, name) in missing.iter().enumerate() { @if index > 0 { ", " } code { (name) } }
                ", and no column is chosen for it. Not used: " (draft.unused_columns.join(", "))
                ". Choose one under Columns, or leave it out."
            }
        }
    }
}

fn names(state: &UploadState) -> Vec<&String> {
    let template = &state.template;
    template.required_columns().iter().chain(template.optional_columns()).collect()
}

fn columns_line(state: &UploadState) -> String {
    let proposal = &state.proposal;
    let key = proposal.draft.key.join(LIST_SEPARATOR);
    let languages: Vec<&str> =
        proposal.draft.variants.iter().map(|variant| variant.name.as_str()).collect();
    let languages = match languages.is_empty() {
        true => String::new(),
        false => format!(", languages {}", languages.join(", ")),
    };
    format!("key {key}{languages}")
}

fn mapping_row(name: &str, state: &UploadState) -> Markup {
    let proposal = &state.proposal;
    let variants = &proposal.draft.variants;
    let translated: Vec<&str> = variants
        .iter()
        .filter_map(|variant| variant.columns.get(name))
        .map(String::as_str)
        .collect();
    let current = proposal.used_columns.get(name).map_or("", String::as_str);
    let id = format!("{COLUMN_FIELD}{name}");
    html! {
        tr {
            th scope="row" { label for=(id) { (name) } }
            td {
                @if translated.is_empty() {
                    select id=(id) name=(id) {
                        option value="" selected[current.is_empty()] { "–" }
                        @for heading in proposal.headings.iter().filter(|one| !one.is_empty()) {
                            option value=(heading) selected[heading == current] { (heading) }
                        }
                    }
                } @else { (translated.join(", ")) }
            }
        }
    }
}

fn facts(state: &UploadState) -> Markup {
    let (proposal, draft) = (&state.proposal, &state.proposal.draft);
    let key = draft.key.join(LIST_SEPARATOR);
    let skip = draft.skip.as_ref();
    let skip_column = skip.map_or("", |skip| skip.column.as_str());
    let skip_values = skip.map(|skip| skip.values.join(", ")).unwrap_or_default();
    html! {
        div .facts-form {
            label { "Row of the headings"
                input name="set-header-row" inputmode="numeric" value=(proposal.heading_row);
            }
            label { "Identifies a row"
                select name="set-key" {
                    option value=(key) selected { (key) }
                    @for heading in others(state, &key) { option value=(heading) { (heading) } }
                }
            }
            label { "Leaves rows out"
                select name="set-skip-column" {
                    option value="" selected[skip.is_none()] { "no column" }
                    @if !skip_column.is_empty() { option value=(skip_column) selected { (skip_column) } }
                    @for heading in others(state, skip_column) { option value=(heading) { (heading) } }
                }
            }
            label { "… whose cell is (with commas; empty: a tick)"
                input name="set-skip-values" value=(skip_values);
            }
        }
        p .muted {
            "Names of the videos: " code { (draft.video_file) }
            @if !draft.unused_columns.is_empty() { " · Not used: " (draft.unused_columns.join(", ")) }
        }
    }
}

/// Returns the headings but one.
fn others<'s>(state: &'s UploadState, chosen: &str) -> Vec<&'s String> {
    let named = state.proposal.headings.iter().filter(|heading| !heading.is_empty());
    named.filter(|heading| *heading != chosen).collect()
}

fn question_field(question: &SetupQuestion) -> Markup {
    let field = field_name(&question.subject);
    let guess = question.guess.as_deref().unwrap_or_default();
    let is_list = matches!(question.subject, QuestionSubject::Skip(_) | QuestionSubject::HeaderRow);
    html! {
        label .question { span { (with_code(&question.text)) }
            @if question.choices.is_empty() || is_list {
                input name=(field) value=(guess);
            } @else {
                select name=(field) {
                    @if guess.is_empty() { option value="" selected { "choose" } }
                    @for choice in &question.choices {
                        option value=(choice) selected[choice == guess] { (choice) }
                    }
                }
            }
        }
    }
}
