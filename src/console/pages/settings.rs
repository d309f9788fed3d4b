//! `/settings`: the users of the console, who is signed in, and how this console was started.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::json;

use crate::console::layout::ConsolePage;
use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;
use crate::console::pages::batch_settings;
use crate::console::pages::batch_settings::ShownSettings;
use crate::console::pages::page_parts::{command, time, time_ago};
use crate::console::pages::share::share_links;
use crate::console::sign_in::requester::SESSION_IDLE_MAX;
use crate::ledger::{ConsoleRole, ConsoleSession, ConsoleUser};
use crate::text::time_format::{elapsed, format_rfc3339};
use crate::text::truncate;

/// Characters of a browser's description of itself.
const AGENT_CHARS_MAX: usize = 200;
/// The last use of a session is written at most every five minutes.
const NOW_MAX: Duration = Duration::from_secs(6 * 60);
/// Browsers and systems by a part of their description; the first match counts, as most name others.
const BROWSERS: [(&str, &str); 7] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let users = page.state.ledger.console_users().await?;
    let mut sessions = page.state.ledger.console_sessions().await?;
    if !page.requester.has_role(ConsoleRole::Operator) {
        sessions.retain(|session| session.user_name.as_ref() == Some(&page.requester.name));
    }
    // Reviewers behind a link are no business of other reviewers.
    let links = match page.requester.has_role(ConsoleRole::Operator) {
        true => page.state.ledger.share_links().await?,
        false => Vec::new(),
    };
    let is_operator = page.requester.has_role(ConsoleRole::Operator);
    // A batch file names commands and addresses of the operator.
    let shown = match is_operator {
        true => ShownSettings::read(&page).await?,
        false => None,
    };
    let batches = page.state.ledger.batches().await?.into_iter().map(|batch| batch.name);
    let batches: Vec<String> = batches.filter(|_| is_operator).collect();
    let document = json!({
        "batch_settings": shown.as_ref().map(ShownSettings::to_json),
        "share_links": links.iter().map(share_links::link_json).collect::<Vec<_>>(),
        "users": users.iter().map(user_json).collect::<Vec<_>>(),
        "sessions": sessions.iter().map(session_json).collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let main = html! {
        div .title { h1 { "Settings" } }
        div .columns {
            div { (users_section(&users)) (sessions_section(&page, &sessions)) }
            div {
                (console_section(&page))
                @if is_operator { (share_links::section(&page, &links)) }
            }
        }
        (batch_settings::section(&page, &batches, shown.as_ref()))
    };
    let content =
        ConsolePage { title: "Settings".to_owned(), section: "Settings", is_live: false, main };
    page.render(content, document)
}

fn user_json(user: &ConsoleUser) -> serde_json::Value {
    json!({
        "name": user.name,
        "role": user.role.as_str(),
        "created": format_rfc3339(user.created_at),
    })
}

fn session_json(session: &ConsoleSession) -> serde_json::Value {
    json!({
        "user": session.user_name,
        "role": session.role.as_str(),
        "created": format_rfc3339(session.created_at),
        "used": format_rfc3339(session.used_at),
        "browser": session.browser,
    })
}

fn users_section(users: &[ConsoleUser]) -> Markup {
    html! {
        section .card aria-labelledby="h-users" {
            h2 id="h-users" { "Users" }
            @if users.is_empty() {
                p { "None yet: browsers sign in with the link that " code { "callsheet serve" } " prints." }
            } @else {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Added" } } }
                    tbody {
                        @for user in users {
                            tr { td { (user.name) } td { (user.role.as_str()) } td .muted { (time(user.created_at)) } }
                        }
                    }
                }
            }
            p .muted { "Users are added where the console runs; a viewer reads, a reviewer also judges \
                videos, an operator also acts on batches." }
            p { (command("callsheet serve user add NAME --role viewer")) }
        }
    }
}

fn sessions_section(page: &PageRequest, sessions: &[ConsoleSession]) -> Markup {
    let now = page.state.now();
    html! {
        section .card aria-labelledby="h-sessions" {
            h2 id="h-sessions" { "Signed in" }
            ul .runs {
                @for session in sessions {
                    li {
                        div .row {
                            strong { (session.user_name.as_deref().unwrap_or("console link")) }
                            @if page.requester.session.as_ref() == Some(&session.token_hash) {
                                span .chip.live { "this browser" }
                            }
                            span .spacer {}
                            span .muted {
                                @if elapsed(session.used_at, now) < NOW_MAX { "now" }
                                @else { "used " (time_ago(session.used_at, now)) }
                            }
                        }
                        p .muted title=(truncate(&session.browser, AGENT_CHARS_MAX)) { (browser_name(&session.browser)) }
                    }
                }
            }
            p .muted { "A session ends after " (SESSION_IDLE_MAX.as_secs() / 3600) " hours without a request." }
        }
    }
}

/// Returns a browser as its user knows it, such as "Chrome on Linux".
fn browser_name(agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) if agent.is_empty() => "a browser".to_owned(),
        (None, None) => truncate(agent, AGENT_CHARS_MAX / 4),
    }
}

/// Returns where a setting of the console comes from.
fn option_source(is_default: bool, option: &str) -> Markup {
    html! { span .muted { @if is_default { "(default)" } @else { "(" code { (option) } ")" } } }
}

fn console_section(page: &PageRequest) -> Markup {
    let settings = &page.state.settings;
    html! {
        section .card aria-labelledby="h-console" {
            h2 id="h-console" { "This console" }
            dl .facts {
                dt { "version" } dd { (env!("CARGO_PKG_VERSION")) }
                dt { "ledger" } dd { code { (page.state.ledger.address()) } }
                dt { "listens on" }
                dd { (settings.listen) " " (option_source(settings.is_default_listen(), "--console")) }
                dt { "base path" }
                dd {
                    (settings.base_path.cookie_path()) " "
                    (option_source(settings.base_path.as_str().is_empty(), "--base-path"))
                }
                dt { "TLS" }
                dd {
                    @if settings.is_behind_tls { "in front" } @else { "none" } " "
                    (option_source(!settings.is_behind_tls, "--behind-tls"))
                }
                dt { "names" }
                dd {
                    @if settings.hosts.is_empty() { "this machine" } @else { (settings.hosts.join(", ")) } " "
                    (option_source(settings.hosts.is_empty(), "--host"))
                }
                dt { "sign-in by a proxy" }
                dd {
                    @match &settings.trusted_header { Some(trusted) => { code { (trusted.name.as_str()) } }, None => "off" } " "
                    (option_source(settings.trusted_header.is_none(), "--trusted-header"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_as_its_user_knows_it() {
        let safari =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Safari/604";
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140 Safari/537 Edg/140";
        for (agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140 Safari/537", "Chrome on Linux"),
            ("Mozilla/5.0 (X11; Linux; rv:143.0) Gecko Firefox/143.0", "Firefox on Linux"),
            (safari, "Safari on iPhone"),
            (edge, "Edge on Windows"),
            ("curl/8", "curl/8"),
            ("", "a browser"),
        ] {
            assert_eq!(browser_name(agent), name);
        }
    }
}
