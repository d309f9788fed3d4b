//! `/batches/NAME/rows/KEY/resolve`: what is known about a video whose response was lost, and the choice of
//! the operator.
//!
//! Showing reads only the ledger. A choice checks AI Studios once more, and what that shows takes
//! precedence: a wrong click cannot pay twice for a video that exists. A check alone decides only what AI
//! Studios shows.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;

use crate::batch::Batch;
use crate::console::form::FormFields;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::action::{SentForm, new_token, submit_action};
use crate::console::pages::page_parts::{FieldError, field_message, time, with_code};
use crate::console::pages::row_cells::{named_cells, title_among};
use crate::ledger::{CallbackReport, DueJob, JobHistory, StoredBatch, SubmissionRow};
use crate::session::account::target::{RehearsalOptions, RunTarget};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch;
use crate::session::operator::operator_batch::find_live_holder;
use crate::session::operator::resolution::{
    DecidedResolution, FirstCheck, ResolveChoice, ResolveInput, UncertainJob, check_first,
    check_reason, decide_resolution, quiet_wait_end,
};
use crate::text::{format_credits, pluralize};

/// An uncertain job with what the ledger knows about it.
struct UncertainView {
    batch: StoredBatch,
    key: String,
    due: DueJob,
    history: JobHistory,
    callback: Option<CallbackReport>,
    credits_per_minute: f64,
    /// When it can be stated that the request was not accepted, if not yet.
    quiet_until: Option<Timestamp>,
}

impl UncertainView {
    async fn read(page: &PageRequest) -> Result<Self, PageError> {
        let (batch, ledger) = (page.batch().await?, &page.state.ledger);
        let key = page.param("key").to_owned();
        let settled = || PageError::Changed(format!("`{key}` is not uncertain any more"));
        let due = ledger.uncertain_job(batch.id, &key).await?.ok_or_else(settled)?;
        let history = ledger.job_history(batch.id, &key).await?.ok_or_else(settled)?;
        let callback = ledger.callback_report(due.submission).await?;
        let credits_per_minute = ledger.credits_per_minute().await?;
        let settings = locked_batch::parse_stored(&batch).map_err(refused)?;
        let quiet_until = quiet_wait_end(&due, &settings).filter(|end| *end > page.state.now());
        Ok(Self {
            batch,
            due,
            history,
            callback,
            credits_per_minute,
            quiet_until,
            key: key.clone(),
        })
    }

    fn submission(&self) -> Option<&SubmissionRow> {
        self.history.submissions.last()
    }

    /// Returns when its paid request was sent, as the form and the JSON document contain it.
    fn paid_at_ms(&self) -> Option<i64> {
        self.due.paid_at.map(Timestamp::as_millisecond)
    }

    /// Returns what the row calls its video.
    fn title(&self) -> Option<String> {
        title_among(&named_cells(&self.history.headings, &self.history.job.cells), &self.key)
    }

    /// Returns the cost of rendering it again.
    fn price(&self) -> String {
        let minutes = (self.due.spoken_ms.max(1) + 59_999) / 60_000;
        format_credits(minutes as f64 * self.credits_per_minute)
    }
}

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let view = UncertainView::read(&page).await?;
    let content = content(&page, &view, &SentEntries::default())?;
    page.render(content.page, content.document)
}

/// What was sent with the form, if anything, and what came of it.
#[derive(Default)]
struct SentEntries<'e> {
    /// What a check has shown just now.
    checked: Option<&'e str>,
    choice: &'e str,
    project: &'e str,
    because: &'e str,
    error: Option<FieldError>,
}

impl<'e> SentEntries<'e> {
    fn from_form(form: &'e FormFields) -> Self {
        let text = |name| form.get(name).unwrap_or_default();
        Self {
            choice: text("choice"),
            project: text("project"),
            because: text(REASON_FIELD),
            ..Self::default()
        }
    }
}

const REASON_FIELD: &str = "because";

/// The page with its JSON.
struct ResolveContent {
    page: ConsolePage,
    document: serde_json::Value,
}

fn content(
    page: &PageRequest,
    view: &UncertainView,
    sent: &SentEntries<'_>,
) -> Result<ResolveContent, PageError> {
    let checked = sent.checked;
    let token = new_token()?;
    let document = json!({
        "key": view.key,
        "tag": view.due.tag.to_string(),
        "project_id": view.due.project_id,
        "paid_at": view.paid_at_ms(),
        "quiet_until": view.quiet_until.map(Timestamp::as_millisecond),
        "checked": checked,
        "token": token,
    });
    let links = page.links();
    let main = html! {
        nav .trail aria-label="Breadcrumb" {
            a href=(links.to("/")) { "Batches" } " / "
            a href=(links.batch(&view.batch.name)) { (view.batch.name) } " / "
            a href=(links.row(&view.batch.name, &view.key)) { (view.key) }
        }
        div .title {
            h1 { "Was " (view.key) @if page.is_rehearsal() { " accepted?" } @else { " paid for?" } }
            @if let Some(title) = view.title() { span .muted { (title) } }
            @if page.is_rehearsal() { span .chip.finished { "rehearsal, nothing is paid" } }
        }
        @if let Some(checked) = checked {
            p .remark role="status" { "Checked just now: " (with_code(checked)) ". Nothing was decided: the video may still exist." }
        }
        div .columns.wide-first {
            div { (choices(page, view, ChoiceForm { token: &token, sent })) }
            div .first { (evidence(page, view)) }
        }
    };
    let title = format!("Decide about {} · {}", view.key, view.batch.name);
    let page = ConsolePage { title, section: "Batches", is_live: false, main };
    Ok(ResolveContent { page, document })
}

/// Returns what is known, in plain words.
fn evidence(page: &PageRequest, view: &UncertainView) -> Markup {
    let message = view.history.job.message.as_deref();
    let request = if page.is_rehearsal() { "The request" } else { "The paid request" };
    html! {
        section .card aria-labelledby="h-evidence" {
            h2 id="h-evidence" { "What is known" }
            p { (request) " was sent, and no usable answer came back. AI Studios may be rendering the \
                video, or may never have received the request." }
            dl .facts {
                @if let Some(at) = view.due.paid_at { dt { "sent" } dd { (time(at)) } }
                @if let Some(submission) = view.submission() {
                    dt { "checked" }
                    dd { @match submission.looks.unsigned_abs() {
                        0 => "not checked yet",
                        times => (pluralize(times, "time")),
                    } }
                }
                @if let Some(message) = message { dt { "last answer" } dd { (message) } }
                dt { "callback" }
                dd { @match &view.callback {
                    Some(callback) => { "AI Studios called about it, " (time(callback.first_at)) ": it was accepted" },
                    None => "none so far",
                } }
                dt { "quiet wait" }
                dd { @match view.quiet_until {
                    Some(end) => { "until " (time(end)) ": its request may still arrive" },
                    None => "over: a late request is not expected any more",
                } }
                @if let Some(project) = &view.due.project_id {
                    dt { "draft" } dd { code data-copy { (project) } " (a draft alone is no video)" }
                }
            }
            (guide(view))
        }
    }
}

fn guide(view: &UncertainView) -> Markup {
    html! {
        h2 { "How to find out" }
        ol .guide {
            li { div { "Copy this code: " code data-copy { "[cs:" (view.due.tag.to_string()) "]" } } }
            li { div { "Open your projects at AI Studios, and search for it. Look at the exported videos, too." } }
            li { div { b { "A video carries it:" } " copy its id, and choose " i { "The project is there" } "." } }
            li { div { b { "None carries it," } " and the quiet wait is over: choose "
                i { "It is certainly not there" } ". If you are not sure, wait: the next run checks again, free of charge." } }
        }
    }
}

/// The form with what was entered in it.
#[derive(Clone, Copy)]
struct ChoiceForm<'f> {
    token: &'f str,
    sent: &'f SentEntries<'f>,
}

fn choices(page: &PageRequest, view: &UncertainView, form: ChoiceForm<'_>) -> Markup {
    let ChoiceForm { token, sent } = form;
    // A draft whose export was lost is no video yet; with a callback, it is being rendered.
    let project = view.due.project_id.as_deref().filter(|_| view.callback.is_some());
    let project = if sent.project.is_empty() { project.unwrap_or_default() } else { sent.project };
    let because = "How you know, in a few words (kept in the history; needed for “not there” if the \
                   check proves nothing)";
    html! {
        form .card.stacked.choices method="post" action=(page.links().resolve(&view.batch.name, &view.key)) {
            input type="hidden" name="token" value=(token);
            input type="hidden" name="paid_at" value=(view.paid_at_ms().unwrap_or_default());
            fieldset {
                legend { "What does your account show?" }
                label .choice {
                    input type="radio" name="choice" value="adopt" required checked[sent.choice == "adopt"];
                    span { b { "The project is there" } span .chip.finished { "free" }
                        span .muted { "The video is followed and downloaded. Nothing is paid again." } }
                }
                label .sub { "Id of the project"
                    input name="project" value=(project) autocomplete="off" spellcheck="false"; }
                (absent_choice(page, view, sent))
                label .choice {
                    input type="radio" name="choice" value="abandon" checked[sent.choice == "abandon"];
                    span { b { "I cannot tell, and give it up" } span .chip { "no new cost" }
                        span .muted { "The row fails and is not submitted again by itself. "
                            @if page.is_rehearsal() { "In a real run, it may have been paid for." }
                            @else { "It may have been paid for." } } }
                }
            }
            (field_message(sent.error.as_ref(), REASON_FIELD))
            label { (because)
                input name=(REASON_FIELD) maxlength="500" autocomplete="off" value=(sent.because)
                    placeholder="searched the account for its tag, found no project";
            }
            div .row {
                button .primary type="submit" { "Check AI Studios and decide" }
                button type="submit" name="only" value="check" formnovalidate { "Only check now (free)" }
                a href=(page.links().row(&view.batch.name, &view.key)) { "Back, without a change" }
            }
            p .muted { "Both buttons check AI Studios first. If the video is found, it is taken over, free of \
                charge, whatever you chose. If it is not, only the first button changes anything." }
        }
    }
}

/// Returns the choice that pays for the video again, which is closed while the first request may arrive.
fn absent_choice(page: &PageRequest, view: &UncertainView, sent: &SentEntries<'_>) -> Markup {
    let effect = match page.is_rehearsal() {
        true => {
            "The video is rehearsed again. In a real run it is paid for, and twice if the first request \
             was accepted after all."
        }
        false => {
            "The video is submitted again, and paid for. If the first request was accepted after all, it \
             is paid twice."
        }
    };
    html! {
        label .choice .closed[view.quiet_until.is_some()] {
            input type="radio" name="choice" value="not-submitted" disabled[view.quiet_until.is_some()]
                checked[sent.choice == "not-submitted"];
            span { b { "It is certainly not there" }
                @if page.is_rehearsal() { span .chip.waiting { "free in a rehearsal only" } }
                @else { span .chip.waiting { "about " (view.price()) } }
                span .muted {
                    @match view.quiet_until {
                        Some(end) => {
                            "Can be answered after " (time(end)) ": until then, the first request may still \
                             arrive. Load this page again then."
                        },
                        None => (effect),
                    }
                }
            }
        }
    }
}

pub(in crate::console) async fn apply(mut page: PageRequest) -> PageResult {
    let form = page.read_form().await?;
    let view = UncertainView::read(&page).await?;
    if form.get("paid_at").and_then(|at| at.parse().ok()) != view.paid_at_ms() {
        let message =
            "the video was submitted again since the page was opened: look at it once more";
        return Err(PageError::Changed(message.to_owned()));
    }
    let decided = match form.get("only") {
        Some(_) => match check(&page, &view).await? {
            FirstCheck::Accepted(decided) => decided,
            FirstCheck::Open(open) => {
                let sent =
                    SentEntries { checked: Some(&open.message), ..SentEntries::from_form(&form) };
                let content = content(&page, &view, &sent)?;
                return page.render(content.page, content.document);
            }
        },
        None => {
            if let Err(message) = check_reason(form.get(REASON_FIELD).unwrap_or_default()) {
                return refuse_reason(&page, &view, &form, message);
            }
            decide(&page, &view, &form).await?
        }
    };
    let sent = SentForm { form: &form, shown: decided.shown };
    let request = submit_action(&page, &view.batch, decided.action, sent).await?;
    page.redirect(&page.links().request(&view.batch.name, request.id))
}

/// Shows the form again with what was entered.
fn refuse_reason(
    page: &PageRequest,
    view: &UncertainView,
    form: &FormFields,
    message: String,
) -> PageResult {
    let error = FieldError { field: REASON_FIELD, message: message.clone() };
    let sent = SentEntries { error: Some(error), ..SentEntries::from_form(form) };
    page.render_refused(content(page, view, &sent)?.page, &message)
}

fn parse_choice(form: &FormFields) -> Result<ResolveChoice, PageError> {
    match (form.get("choice"), form.get("project")) {
        (Some("adopt"), Some(project)) => Ok(ResolveChoice::Adopt(project.to_owned())),
        (Some("adopt"), None) => {
            Err(PageError::Invalid("the id of the project is missing".to_owned()))
        }
        (Some("not-submitted"), _) => Ok(ResolveChoice::NotSubmitted),
        (Some("abandon"), _) => Ok(ResolveChoice::Abandon),
        (Some(_) | None, _) => Err(PageError::Invalid("choose one of the three".to_owned())),
    }
}

/// Checks AI Studios alone: the user has stated nothing.
async fn check(page: &PageRequest, view: &UncertainView) -> Result<FirstCheck, PageError> {
    let (batch, target) = load_target(page, view).await?;
    let checked = check_first(uncertain_job(page, view), &batch, &target).await;
    target.close().await;
    checked.map_err(refused)
}

/// Checks AI Studios, as `callsheet resolve` does.
async fn decide(
    page: &PageRequest,
    view: &UncertainView,
    form: &FormFields,
) -> Result<DecidedResolution, PageError> {
    let choice = parse_choice(form)?;
    let (batch, target) = load_target(page, view).await?;
    let because = form.get(REASON_FIELD).unwrap_or_default();
    let input = ResolveInput { job: uncertain_job(page, view), choice, because };
    let decided = decide_resolution(input, &batch, &target).await;
    target.close().await;
    decided.map_err(refused)
}

fn uncertain_job<'v>(page: &'v PageRequest, view: &'v UncertainView) -> UncertainJob<'v> {
    let (ledger, clock) = (&page.state.ledger, &page.state.clock);
    UncertainJob { ledger, stored: &view.batch, clock, key: &view.key }
}

/// Returns the settings and the account of the batch, if this console may use them.
async fn load_target(
    page: &PageRequest,
    view: &UncertainView,
) -> Result<(Batch, RunTarget), PageError> {
    let (ledger, stored) = (&page.state.ledger, &view.batch);
    let is_rehearsal = page.state.settings.ledger_options.is_rehearsal;
    if is_rehearsal && find_live_holder(ledger, stored).await.is_some() {
        return Err(PageError::Changed(REHEARSAL_IS_LIVE.to_owned()));
    }
    if !is_rehearsal
        && locked_batch::trust_question(ledger.address(), stored).map_err(refused)?.is_some()
    {
        let message = "another user put this batch file into the ledger: confirm it once with \
                       `callsheet resolve` and --trust";
        return Err(PageError::Changed(message.to_owned()));
    }
    let rehearsal = is_rehearsal.then(RehearsalOptions::default);
    let loaded = locked_batch::load_target(ledger.address(), stored, rehearsal).await;
    loaded.map_err(|error| match error.exit() {
        // The virtual AI Studios belongs to the rehearsal of another batch.
        ExitReason::BatchLocked => PageError::Changed(REHEARSAL_IS_LIVE.to_owned()),
        _ => refused(error),
    })
}

const REHEARSAL_IS_LIVE: &str =
    "a rehearsal is running, and the virtual AI Studios with it: decide when it has ended";

fn refused(error: CommandError) -> PageError {
    let message = error.message().unwrap_or("it could not be checked").to_owned();
    PageError::Changed(message.replace("add --because \"…\"", "say how you know"))
}
