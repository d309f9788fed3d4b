//! `/batches/NAME/actions/ACTION`: what an action would do, and doing it.
//!
//! The page shows the set of jobs with its cost; the form carries the hash of that set, so that what was
//! shown is what is done. Invariants: showing changes nothing; a form that is sent twice is one action.

mod action_query;

use std::time::Duration;

use maud::{Markup, html};
use serde_json::json;
use tokio::time::timeout;

use crate::console::form::FormFields;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{number, with_code};
use crate::console::sign_in::secret::ConsoleSecret;
use crate::ledger::{
    JobRanges, NewOperatorRequest, OperatorAction, OperatorRequest, RequestedAction, RowStatus,
    ShownSet, StoredBatch, TargetEffect, TargetRow, TargetSet,
};
use crate::session::operator::operator_batch::{find_live_holder, settle_request};
use crate::text::{format_credits, pluralize, truncate};

pub(in crate::console) use crate::console::pages::action::action_query::action_address;

/// Rows on the page; the counts are about all of them.
const ROWS_MAX: usize = 50;
/// Characters of a message in a row.
const MESSAGE_CHARS_MAX: usize = 140;
/// A longer list of jobs is left out of the form: the difference then has only its number.
const SHOWN_BYTES_MAX: usize = 64 << 10;
/// How long the browser waits for the live run before it sees that the request waits.
const ANSWER_WAIT: Duration = Duration::from_millis(1500);

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let action = action_query::parse_action(page.param("action"), &page.query)?;
    let ledger = &page.state.ledger;
    let set = ledger.target_set(batch.id, &action).await?;
    let rows = ledger.target_rows(&set, ROWS_MAX).await?;
    let credits = set.totals().minutes as f64 * ledger.credits_per_minute().await?;
    let holder = find_live_holder(ledger, &batch).await;
    let view =
        ActionView { page: &page, batch: &batch, action: &action, set: &set, credits, holder };
    let token = new_token()?;
    let document = json!({
        "action": action.kind().as_str(),
        "jobs": set.totals().jobs,
        "paid": set.totals().submissions,
        "free": set.totals().jobs - set.totals().submissions,
        "estimated_credits": credits,
        "set_hash": set.hash(),
        "shown": set.job_ranges().to_string(),
        "token": token,
        "keys": rows.iter().map(|row| &row.key).collect::<Vec<_>>(),
    });
    let main = view.main(&rows, &token);
    let title = format!("{} · {}", action_title(action.kind()), batch.name);
    page.render(ConsolePage { title, section: "Batches", is_live: false, main }, document)
}

pub(in crate::console) async fn apply(mut page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let action = action_query::parse_action(page.param("action"), &page.query)?;
    let form = page.read_form().await?;
    let shown = parse_shown(&form)?;
    let request = submit_action(&page, &batch, action, SentForm { form: &form, shown }).await?;
    page.redirect(&page.links().request(&batch.name, request.id))
}

/// Returns a text that makes a form one action, however often it is sent.
pub(in crate::console::pages) fn new_token() -> Result<String, PageError> {
    let failed = |_| PageError::Unavailable("the system has no randomness".to_owned());
    ConsoleSecret::random().map(|secret| secret.encode()).map_err(failed)
}

fn parse_shown(form: &FormFields) -> Result<ShownSet, PageError> {
    let invalid = || PageError::Invalid("the form is incomplete: open the page again".to_owned());
    let hash = form.get("hash").ok_or_else(invalid)?;
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    let jobs = JobRanges::parse(form.get("shown").unwrap_or_default()).ok_or_else(invalid)?;
    Ok(ShownSet { hash: hash.to_owned(), jobs })
}

/// Records a request of the signed-in user and has it carried out.
pub(in crate::console::pages) async fn submit_action(
    page: &PageRequest,
    batch: &StoredBatch,
    action: RequestedAction,
    sent: SentForm<'_>,
) -> Result<OperatorRequest, PageError> {
    let (ledger, clock) = (&page.state.ledger, &page.state.clock);
    let (token, reason) = (sent.form.get("token"), sent.form.get("because"));
    let token = token.filter(|token| token.len() <= TOKEN_BYTES_MAX);
    let token = token.ok_or_else(|| {
        PageError::Invalid("the form is incomplete: open the page again".to_owned())
    })?;
    let request = NewOperatorRequest {
        action,
        shown: Some(sent.shown),
        requester: page.requester.audit_name(),
        reason: reason.map(|reason| truncate(reason, REASON_CHARS_MAX)),
        token: Some(token.to_owned()),
        credits_per_minute: ledger.credits_per_minute().await?,
    };
    let submitted = ledger.submit_request(batch.id, request, page.state.now()).await?;
    if submitted.outcome.is_some() {
        return Ok(submitted);
    }
    let (ledger, stored, clock) = (ledger.clone(), batch.clone(), clock.clone());
    let id = submitted.id;
    // It goes on if the browser does not wait, and a console that ends leaves it to the next run.
    let settling = tokio::spawn(async move { settle_request(&ledger, &stored, &clock, id).await });
    match timeout(ANSWER_WAIT, settling).await {
        Ok(Ok(Ok(request))) => Ok(request),
        Ok(_) | Err(_) => Ok(submitted),
    }
}

/// Bytes of the token of a form.
const TOKEN_BYTES_MAX: usize = 100;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;

/// What a browser sent to have an action carried out.
pub(in crate::console::pages) struct SentForm<'f> {
    pub(in crate::console::pages) form: &'f FormFields,
    pub(in crate::console::pages) shown: ShownSet,
}

/// Returns the heading of an action.
pub(in crate::console::pages) fn action_title(action: OperatorAction) -> &'static str {
    match action {
        OperatorAction::Retry => "Retry videos",
        OperatorAction::Cancel => "Cancel videos",
        OperatorAction::Resolve => "Decide about a video",
        OperatorAction::DownloadAgain => "Download videos again",
        OperatorAction::Pause => "Pause the batch",
        OperatorAction::Unpause => "Continue the batch",
        OperatorAction::Stop => "Stop the run",
    }
}

/// Returns what happens to the jobs of one effect.
fn effect_text(effect: TargetEffect, is_rehearsal: bool) -> &'static str {
    match effect {
        TargetEffect::Render if is_rehearsal => {
            "rehearsed; in a real run paid for, not paid before"
        }
        TargetEffect::Render => "rendered, and paid for: not paid before",
        TargetEffect::RenderAgain if is_rehearsal => {
            "checked first; a finished one is downloaded, any other is rehearsed again, which in a real \
             run is paid for again"
        }
        TargetEffect::RenderAgain => {
            "checked first; a finished one is downloaded free of charge, any other is rendered and \
             paid for again"
        }
        TargetEffect::Download => "downloaded again, free of charge",
        TargetEffect::Cancel => "cancelled while it waits; nothing is paid",
        TargetEffect::Adopt => "followed as the project that was named",
        TargetEffect::Abandon => "given up",
    }
}

struct ActionView<'v> {
    page: &'v PageRequest,
    batch: &'v StoredBatch,
    action: &'v RequestedAction,
    set: &'v TargetSet,
    credits: f64,
    /// The process that has the batch now.
    holder: Option<String>,
}

impl ActionView<'_> {
    fn main(&self, rows: &[TargetRow], token: &str) -> Markup {
        let links = self.page.links();
        let is_about_jobs = self.is_about_jobs();
        html! {
            nav .trail aria-label="Breadcrumb" {
                a href=(links.to("/")) { "Batches" } " / "
                a href=(links.batch(&self.batch.name)) { (self.batch.name) }
            }
            div .title { h1 { (action_title(self.action.kind())) } }
            @if is_about_jobs && self.set.jobs().is_empty() {
                div .empty {
                    h2 { "Nothing to do" }
                    p { "No video matches any more." }
                    p { a href=(links.batch(&self.batch.name)) { "Back to " (self.batch.name) } }
                }
            } @else {
                section .card.confirm aria-label="What happens" {
                    (self.effects())
                    (self.form(token))
                }
                @if is_about_jobs { (self.rows_table(rows)) }
            }
        }
    }

    fn is_about_jobs(&self) -> bool {
        match self.action {
            RequestedAction::Retry(_)
            | RequestedAction::Cancel(_)
            | RequestedAction::Resolve(_)
            | RequestedAction::DownloadAgain(_) => true,
            RequestedAction::Pause | RequestedAction::Unpause | RequestedAction::Stop => false,
        }
    }

    fn effects(&self) -> Markup {
        let totals = self.set.totals();
        let is_cancel = matches!(self.action, RequestedAction::Cancel(_));
        html! {
            @if self.is_about_jobs() {
                ul .effects {
                    @for (effect, jobs) in self.set.counts() {
                        li { b { (number(jobs)) } span { (effect_text(effect, self.page.is_rehearsal())) } }
                    }
                }
                p .price {
                    @if totals.submissions == 0 { span .chip.finished { "free" } }
                    @else if self.page.is_rehearsal() {
                        span .chip.finished { "nothing is paid" }
                        " would cost up to about " (format_credits(self.credits))
                    } @else { span .chip.waiting { "up to about " (format_credits(self.credits)) } }
                }
            } @else {
                p { (self.sentence()) }
            }
            @if self.holder.is_none() && matches!(self.action, RequestedAction::Retry(_)) {
                p .muted { "No run is live: the videos then wait for the next one." }
            }
            @if let Some(holder) = &self.holder {
                p .muted title=(holder) { "A run is live, and does this within two seconds." }
                @if is_cancel {
                    p .muted { "It submits these videos one after the other, so the set may change at any \
                        moment: "
                        a href=(self.page.links().action(&self.batch.name, "pause")) { "pause it first" } "." }
                }
            }
        }
    }

    fn sentence(&self) -> &'static str {
        match self.action {
            RequestedAction::Pause => {
                "Nothing new is submitted until the batch is continued. Renders in progress are still \
                 downloaded."
            }
            RequestedAction::Unpause => {
                "A live run continues to submit; otherwise the next one does."
            }
            RequestedAction::Stop => {
                "The live run finishes its open requests and ends. Everything is saved; renders in \
                 progress continue at AI Studios, and the next run downloads them."
            }
            RequestedAction::Retry(_)
            | RequestedAction::Cancel(_)
            | RequestedAction::Resolve(_)
            | RequestedAction::DownloadAgain(_) => "",
        }
    }

    fn form(&self, token: &str) -> Markup {
        let shown = self.set.job_ranges().to_string();
        let shown = if shown.len() > SHOWN_BYTES_MAX { String::new() } else { shown };
        let address = action_address(&self.page.links(), &self.batch.name, self.action);
        html! {
            form .stacked.action method="post" action=(address) {
                input type="hidden" name="token" value=(token);
                input type="hidden" name="hash" value=(self.set.hash());
                input type="hidden" name="shown" value=(shown);
                label { "Reason, for the audit trail (optional)" input name="because" maxlength="500" autocomplete="off"; }
                div .row {
                    button .primary type="submit" { (self.button()) }
                    a href=(self.page.links().batch(&self.batch.name)) { "Back, without a change" }
                }
            }
        }
    }

    fn button(&self) -> String {
        let totals = self.set.totals();
        let videos = pluralize(totals.jobs, "video");
        match self.action {
            RequestedAction::Retry(_) if totals.submissions == 0 => {
                format!("Download {videos}, free")
            }
            RequestedAction::Retry(_) if self.page.is_rehearsal() => {
                format!("Retry {videos}: nothing is paid")
            }
            RequestedAction::Retry(_) => {
                format!("Retry {videos} for about {}", format_credits(self.credits))
            }
            RequestedAction::Cancel(_) => format!("Cancel {videos}"),
            RequestedAction::DownloadAgain(_) => format!("Download {videos} again, free"),
            RequestedAction::Resolve(_) => "Decide".to_owned(),
            RequestedAction::Pause => "Pause".to_owned(),
            RequestedAction::Unpause => "Continue".to_owned(),
            RequestedAction::Stop => "Stop the run".to_owned(),
        }
    }

    fn rows_table(&self, rows: &[TargetRow]) -> Markup {
        let links = self.page.links();
        let jobs = self.set.totals().jobs;
        html! {
            section id="rows" aria-label="Affected rows" {
                p .muted {
                    @if jobs > rows.len() as u64 { "The first " (rows.len()) " of " (number(jobs)) " rows:" }
                    @else { "The affected rows:" }
                }
                div .scroll {
                    table .rows {
                        thead { tr {
                            th scope="col" { "Row" } th scope="col" { "Key" }
                            th scope="col" { "Last message" } th scope="col" { "State" }
                        } }
                        tbody {
                            @for row in rows {
                                tr {
                                    td .figure { (row.row_number) }
                                    td { a .key href=(links.row(&self.batch.name, &row.key)) { (row.key) } }
                                    td .message { (with_code(&truncate(row.words.as_deref().unwrap_or_default(), MESSAGE_CHARS_MAX))) }
                                    td { span .state { i class={ "dot s-" (row.state) } {} (RowStatus::label_of(&row.state)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
