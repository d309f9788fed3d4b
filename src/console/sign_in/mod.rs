//! Signing in with a password or the console's link, and signing out.
//!
//! Invariant: a response does not show whether a name exists; a session's secret is new at every
//! sign-in.

pub(crate) mod password;
pub(in crate::console) mod requester;
pub(crate) mod secret;
pub(crate) mod throttle;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use maud::{Markup, html};

use crate::console::layout::{ConsolePage, page_document};
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::{PageRequest, redirect_to};
use crate::console::sign_in::requester::{SESSION_IDLE_MAX, cookie_name};
use crate::console::sign_in::secret::ConsoleSecret;
use crate::console::state::ConsoleState;
use crate::ledger::{ConsoleRole, ConsoleSession};
use crate::text::truncate;

/// How long a browser keeps the cookie; the session itself ends earlier when it is idle.
const COOKIE_MAX_AGE_S: u64 = 30 * 24 * 3600;
/// Characters of a browser's own description.
const BROWSER_CHARS_MAX: usize = 200;

/// Shows the form.
pub(super) async fn show(page: PageRequest) -> PageResult {
    let has_users = !page.state.ledger.console_users().await?.is_empty();
    let next = page.query.get("next").unwrap_or_default().to_owned();
    let main = if has_users { sign_in_form(&page, &next, None) } else { link_hint() };
    render_visitor_page(&page, main)
}

fn render_visitor_page(page: &PageRequest, main: Markup) -> PageResult {
    let content = ConsolePage { title: "Sign in".to_owned(), section: "", is_live: false, main };
    Ok(page_document(&page.state, None, content))
}

fn sign_in_form(page: &PageRequest, next: &str, problem: Option<&str>) -> Markup {
    let links = page.links();
    html! {
        section .notice {
            h1 { img src=(links.icon) alt="" width="28" height="28"; "Callsheet" }
            @if let Some(problem) = problem { p .problem role="alert" { (problem) } }
            form .stacked method="post" action=(links.to("/sign-in")) {
                input type="hidden" name="next" value=(next);
                label { "Name" input name="name" autocomplete="username" required autofocus; }
                label { "Password"
                    input type="password" name="password" autocomplete="current-password" required; }
                button .primary type="submit" { "Sign in" }
            }
        }
    }
}

fn link_hint() -> Markup {
    html! {
        section .notice {
            h1 { "Sign in" }
            p { "Open the link that " code { "callsheet serve" } " printed in its terminal. It works "
                "once; start the command again for another one." }
            p .muted { "For passwords instead: " code { "callsheet serve user add NAME --role operator" } }
        }
    }
}

/// Signs in with a name and a password.
pub(super) async fn sign_in(mut page: PageRequest) -> PageResult {
    let form = page.read_form().await?;
    let (name, next) = (form.get("name").unwrap_or_default(), form.get("next").unwrap_or_default());
    let password = form.get_raw("password").unwrap_or_default().to_owned();
    page.state.throttle.begin(name, page.state.now()).map_err(PageError::Throttled)?;
    let user = page.state.ledger.console_user(name).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = page.state.passwords.matches(password, hash).await;
    let Some(user) = user.filter(|_| is_right) else {
        let mut response = render_visitor_page(
            &page,
            sign_in_form(&page, next, Some("The name or the password is wrong.")),
        )?;
        *response.status_mut() = axum::http::StatusCode::UNAUTHORIZED;
        return Ok(response);
    };
    page.state.throttle.clear(name);
    start_session(&page, Some(user.name), user.role, next).await
}

/// Shows the button that uses the link: loading a page must not use it up.
pub(super) async fn show_welcome(page: PageRequest) -> PageResult {
    let token = page.query.get("token").unwrap_or_default();
    let main = html! {
        section .notice {
            h1 { img src=(page.links().icon) alt="" width="28" height="28"; "Callsheet" }
            p { "This link signs in this browser as an operator, and then no other." }
            form .stacked method="post" action=(page.links().to("/welcome")) data-submit="once" {
                input type="hidden" name="token" value=(token);
                button .primary type="submit" { "Open the console" }
            }
        }
    };
    render_visitor_page(&page, main)
}

/// Signs in with the link of the console.
pub(super) async fn sign_in_with_link(mut page: PageRequest) -> PageResult {
    let form = page.read_form().await?;
    let secret = form.get("token").and_then(ConsoleSecret::parse);
    if !secret.is_some_and(|secret| page.state.link.redeem(&secret)) {
        return Err(PageError::Changed(
            "this link was used already or is an old one: start `callsheet serve` again for \
             another one"
                .to_owned(),
        ));
    }
    start_session(&page, None, ConsoleRole::Operator, "").await
}

async fn start_session(
    page: &PageRequest,
    user_name: Option<String>,
    role: ConsoleRole,
    next: &str,
) -> PageResult {
    let state = &page.state;
    let secret = ConsoleSecret::random().map_err(|_| {
        PageError::Unavailable("the system has no random numbers at this moment".to_owned())
    })?;
    let now = state.now();
    let browser = page.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let session = ConsoleSession {
        token_hash: secret.hash_text(),
        user_name,
        role,
        created_at: now,
        used_at: now,
        browser: truncate(browser.unwrap_or_default(), BROWSER_CHARS_MAX),
    };
    state.ledger.end_idle_console_sessions(now - SESSION_IDLE_MAX).await?;
    state.ledger.add_console_session(session).await?;
    let mut response = redirect_to(&local_address(state, next))?;
    set_cookie(state, &mut response, &secret.encode(), COOKIE_MAX_AGE_S)?;
    Ok(response)
}

/// Returns where to go after signing in: an address of this console, whatever the form says.
fn local_address(state: &ConsoleState, next: &str) -> String {
    let home = state.assets.links().to("/");
    let is_path = next.starts_with(&home) && !next.starts_with("//") && !next.contains('\\');
    if is_path && next.bytes().all(|byte| byte.is_ascii_graphic()) { next.to_owned() } else { home }
}

/// Ends the session of this browser.
pub(super) async fn sign_out(page: PageRequest) -> PageResult {
    if let Some(session) = &page.requester.session {
        page.state.ledger.end_console_session(session).await?;
    }
    let mut response = page.redirect(&page.links().to("/sign-in"))?;
    set_cookie(&page.state, &mut response, "", 0)?;
    Ok(response)
}

fn set_cookie(
    state: &ConsoleState,
    response: &mut Response,
    value: &str,
    max_age_s: u64,
) -> Result<(), PageError> {
    let secure = if state.settings.is_behind_tls { "; Secure" } else { "" };
    let cookie = format!(
        "{}={value}; Path={}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}",
        cookie_name(state),
        state.settings.base_path.cookie_path(),
    );
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|_| PageError::Unavailable("the session cannot be sent".to_owned()))?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}
