//! The frame of every page: head, navigation, the signed-in user; and the page of an error.
//!
//! `maud` escapes every text. Invariant: no script and no style is in the page itself, as the
//! content policy demands.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use serde_json::json;

use crate::console::page_error::PageError;
use crate::console::page_request::{PageFormat, json_response};
use crate::console::pages::page_parts::{sentence, with_code};
use crate::console::sign_in::requester::ConsoleRequester;
use crate::console::state::ConsoleState;
use crate::ledger::ConsoleRole;
use crate::text::time_format::describe_zone;

/// Seconds between two reloads of a live page without JavaScript.
const RELOAD_S: u32 = 10;

/// The navigation: the part of the console, its path and the minimum role.
const SECTIONS: &[(&str, &str, ConsoleRole)] = &[
    ("Batches", "/", ConsoleRole::Viewer),
    ("New batch", "/new", ConsoleRole::Operator),
    ("Audit", "/audit", ConsoleRole::Viewer),
    ("Settings", "/settings", ConsoleRole::Viewer),
];

/// The content of a page.
pub(crate) struct ConsolePage {
    /// The title of the browser's tab.
    pub(crate) title: String,
    /// The entry of the navigation to which it belongs.
    pub(crate) section: &'static str,
    /// Whether its `data-live` elements follow the ledger.
    pub(crate) is_live: bool,
    pub(crate) main: Markup,
}

/// Returns a whole page; without a requester, with no navigation.
pub(crate) fn page_document(
    state: &ConsoleState,
    requester: Option<&ConsoleRequester>,
    page: ConsolePage,
) -> Response {
    let links = state.assets.links();
    // A live page may show its first time later.
    let has_times = page.is_live || page.main.0.contains("<time ");
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · Callsheet" }
                link rel="icon" href=(links.icon);
                link rel="stylesheet" href=(links.style);
                script src=(links.script) defer {}
                @if page.is_live {
                    noscript { meta http-equiv="refresh" content=(RELOAD_S); }
                }
            }
            body data-events=[page.is_live.then(|| links.to("/events"))] {
                a .skip href="#main" { "Skip to content" }
                @if let Some(requester) = requester { (navigation(state, requester, page.section)) }
                main id="main" tabindex="-1" .narrow[requester.is_none()] { (page.main) }
                @if has_times { footer .zone { "Times: " (describe_zone(state.now())) } }
            }
        }
    };
    Html(document.into_string()).into_response()
}

fn navigation(state: &ConsoleState, requester: &ConsoleRequester, section: &'static str) -> Markup {
    let links = state.assets.links();
    let sections = SECTIONS.iter().filter(|(_, _, role)| requester.has_role(*role));
    html! {
        header .bar {
            a .brand href=(links.to("/")) { img src=(links.icon) alt="" width="20" height="20"; "Callsheet" }
            nav aria-label="Console" {
                @for (name, path, _) in sections {
                    a href=(links.to(path)) aria-current=[(*name == section).then_some("page")] { (name) }
                }
            }
            @if state.settings.ledger_options.is_rehearsal { span .chip.rehearsal { "rehearsals" } }
            span id="connection" .connection role="status" hidden {}
            @if requester.session.is_some() {
                form .account method="post" action=(links.to("/sign-out")) {
                    span .who title=(requester.role.as_str()) { (requester.name) }
                    button .quiet type="submit" { "Sign out" }
                }
            } @else {
                span .account { span .who { (requester.name) } }
            }
        }
    }
}

/// A request that was not answered with its page.
pub(crate) struct FailedRequest<'f> {
    pub(crate) requester: Option<&'f ConsoleRequester>,
    pub(crate) format: PageFormat,
    /// The address of the form that was sent.
    pub(crate) form: Option<String>,
}

/// Returns the page of an error, with its status.
pub(crate) fn error_document(
    state: &ConsoleState,
    failed: &FailedRequest<'_>,
    error: &PageError,
) -> Response {
    let FailedRequest { requester, format, form } = failed;
    let mut response = match *format {
        PageFormat::Json => json_response(error.status(), &json!({ "error": error.message() })),
        PageFormat::Html => {
            let home = state.assets.links().to("/");
            let main = html! {
                section .notice {
                    h1 { (error.title()) }
                    p { (with_code(&sentence(&error.message()))) }
                    @match form.as_ref().filter(|_| is_about_form(error)) {
                        Some(form) => p { a href=(form) { "Back to the form" } },
                        None if requester.is_some() && is_about_address(error) => p { a href=(home) { "All batches" } },
                        None if matches!(error, PageError::SignedOut) => p { a href=(home) { "Sign in" } },
                        None => {}
                    }
                }
            };
            let title = error.title().to_owned();
            let page = ConsolePage { title, section: "", is_live: false, main };
            let mut response = page_document(state, *requester, page);
            *response.status_mut() = error.status();
            response
        }
    };
    add_error_headers(&mut response, error);
    response
}

/// Returns whether the form can be sent again.
fn is_about_form(error: &PageError) -> bool {
    matches!(error, PageError::Invalid(_) | PageError::TooLarge | PageError::Changed(_))
}

fn is_about_address(error: &PageError) -> bool {
    !matches!(
        error,
        PageError::WrongHost
            | PageError::CrossSite
            | PageError::Throttled(_)
            | PageError::LinkEnded
    )
}

fn add_error_headers(response: &mut Response, error: &PageError) {
    if let PageError::Throttled(left) = error {
        let seconds = HeaderValue::from(left.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    if response.status() == StatusCode::MISDIRECTED_REQUEST {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
