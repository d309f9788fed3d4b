//! Share links: making one for a batch or some of its videos, the list on `/settings`, revoking.
//!
//! Invariant: the token is shown once, in the response that makes the link, and is stored nowhere.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::console::form::FormFields;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{FieldError, field_message, time};
use crate::console::sign_in::secret::ConsoleSecret;
use crate::ledger::{NewShareLink, ShareLink, StoredBatch};
use crate::session::review::verdicts::clean_text;
use crate::text::pluralize;
use crate::text::time_format::{format_elapsed, format_rfc3339};

const LABEL_CHARS_MAX: usize = 100;
/// How long a link lasts, in days.
const DAYS_DEFAULT: u32 = 14;
const DAYS_MAX: u32 = 365;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Shows the form.
pub(in crate::console) async fn show_form(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let document = json!({ "batch": batch.name });
    page.render(form_page(&batch, &FormFields::default(), None), document)
}

fn form_page(batch: &StoredBatch, entered: &FormFields, error: Option<&FieldError>) -> ConsolePage {
    let text = |name| entered.get(name).unwrap_or_default();
    let days = entered.get("days").map_or_else(|| DAYS_DEFAULT.to_string(), str::to_owned);
    let main = html! {
        section .notice {
            h1 { "Share " (batch.name) }
            p .muted { "A link through which reviewers without an account watch and judge the videos. It ends by itself, and can be revoked under Settings." }
            form .stacked method="post" {
                (field_message(error, "label"))
                label { "Who is it for?"
                    input name="label" value=(text("label")) required maxlength=(LABEL_CHARS_MAX) placeholder="Agency";
                }
                label { "Days until it ends"
                    input name="days" type="number" min="1" max=(DAYS_MAX) value=(days) required;
                }
                (field_message(error, "keys"))
                label { "Only these keys, one per line (all videos if empty)"
                    textarea name="keys" rows="4" { (text("keys")) }
                }
                button .primary type="submit" { "Make the link" }
            }
        }
    };
    let title = format!("Share {}", batch.name);
    ConsolePage { title, section: "Batches", is_live: false, main }
}

/// Makes a link and shows it.
pub(in crate::console) async fn create(mut page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let form = page.read_form().await?;
    let secret = ConsoleSecret::random()
        .map_err(|_| PageError::Unavailable("the system has no randomness".to_owned()))?;
    let link = match parse_link(&page, &batch, &form, &secret).await? {
        Ok(link) => link,
        Err(error) => {
            return page.render_refused(form_page(&batch, &form, Some(&error)), &error.message);
        }
    };
    let (label, expires_at) = (link.label.clone(), link.expires_at);
    page.state.ledger.create_share_link(batch.id, link, page.audit_source()).await?;
    let address = page.links().to(&format!("/share/{}", secret.encode()));
    let url = page.origin().map(|origin| format!("{origin}{address}"));
    let shown = url.as_deref().unwrap_or(&address);
    let main = html! {
        section .notice {
            h1 { "The link for " (label) }
            p { "Copy it now; it is shown only once. It ends on " (time(expires_at)) "." }
            p .row.share-address {
                input #share-address readonly value=(shown) aria-label="Address of the link";
                button type="button" data-copy-of="share-address" hidden { "Copy" }
            }
            @if url.as_deref().is_some_and(is_local) {
                p .remark { "This address works on this computer only. Reviewers elsewhere need the one under which \
                    they reach the console." }
            }
            p { a href=(address) { "Open it as a reviewer" } " · " a href={ (page.links().batch(&batch.name)) "/review" } { "Back to the videos" } }
        }
    };
    let document = json!({ "label": label, "address": address, "url": url, "expires": format_rfc3339(expires_at) });
    let title = "Share link".to_owned();
    page.render(ConsolePage { title, section: "Batches", is_live: false, main }, document)
}

/// Returns whether an address leads to the machine of the browser itself.
fn is_local(address: &str) -> bool {
    let host = url::Url::parse(address).ok();
    match host.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

async fn parse_link(
    page: &PageRequest,
    batch: &StoredBatch,
    form: &FormFields,
    secret: &ConsoleSecret,
) -> Result<Result<NewShareLink, FieldError>, PageError> {
    let wrong = |field, message| Ok(Err(FieldError { field, message }));
    let label = form.get("label").and_then(|label| clean_text(label, LABEL_CHARS_MAX));
    let Some(label) = label else { return wrong("label", "say who it is for".to_owned()) };
    let days = form.get("days").and_then(|days| days.parse().ok()).unwrap_or(DAYS_DEFAULT);
    let keys: Vec<String> = form
        .get("keys")
        .map(|keys| keys.lines().map(|key| key.trim().to_owned()).collect())
        .unwrap_or_default();
    let keys: Vec<String> = keys.into_iter().filter(|key| !key.is_empty()).collect();
    for key in &keys {
        if page.state.ledger.job_history(batch.id, key).await?.is_none() {
            return wrong("keys", format!("`{key}` is no key of {}", batch.name));
        }
    }
    Ok(Ok(NewShareLink {
        token_hash: secret.hash_text(),
        label,
        keys: (!keys.is_empty()).then_some(keys),
        created_by: page.requester.name.clone(),
        expires_at: end_after(page.state.now(), days.clamp(1, DAYS_MAX)),
    }))
}

fn end_after(now: Timestamp, days: u32) -> Timestamp {
    let lifetime = SignedDuration::try_from(DAY * days).unwrap_or(SignedDuration::MAX);
    now.saturating_add(lifetime).unwrap_or(now)
}

/// Revokes a link.
pub(in crate::console) async fn revoke(page: PageRequest) -> PageResult {
    let id = page.param("id").parse::<i64>();
    let id = id.map_err(|_| PageError::NotFound("there is no such share link".to_owned()))?;
    page.state.ledger.revoke_share_link(id, page.audit_source()).await?;
    page.redirect(&page.links().to("/settings"))
}

/// Returns the links for `/settings`, and as JSON.
pub(in crate::console) fn section(page: &PageRequest, links: &[ShareLink]) -> Markup {
    let now = page.state.now();
    html! {
        section .card {
            h2 { "Share links" }
            @if links.is_empty() { p .muted { "None. A batch is shared from its review page." } }
            ul .runs {
                @for link in links {
                    li {
                        div .row {
                            b { (link.label) }
                            span .muted { (link.batch_name) ", " (scope(link)) }
                        }
                        p .muted { "by " (link.created_by) ", " (lifetime(link, now)) }
                        @if link.is_live(now) {
                            form method="post" action=(page.links().to(&format!("/settings/share-links/{}/revoke", link.id))) {
                                button .quiet type="submit" { "Revoke" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn scope(link: &ShareLink) -> String {
    match &link.keys {
        None => "all videos".to_owned(),
        Some(keys) => pluralize(keys.len() as u64, "video"),
    }
}

fn lifetime(link: &ShareLink, now: Timestamp) -> String {
    if link.revoked_at.is_some() {
        return "revoked".to_owned();
    }
    if link.expires_at <= now {
        return "ended".to_owned();
    }
    format!("ends in {}", format_elapsed(now, link.expires_at))
}

pub(in crate::console) fn link_json(link: &ShareLink) -> Value {
    json!({
        "id": link.id,
        "batch": link.batch_name,
        "label": link.label,
        "keys": link.keys,
        "created_by": link.created_by,
        "created": format_rfc3339(link.created_at),
        "expires": format_rfc3339(link.expires_at),
        "revoked": link.revoked_at.map(format_rfc3339),
    })
}
