//! "Needs you": the rows that no run continues by itself, grouped by cause, each with its next step.

use maud::{Markup, html};

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::console::pages::action::action_address;
use crate::console::pages::batch::next_action::NextAction;
use crate::console::pages::page_parts::{command, number, sentence, with_code};
use crate::ledger::{ConsoleRole, JobState, RequestedAction, RowStatus, TargetFilter};
use crate::report::AttentionGroup;
use crate::session::batch_status::BatchStatus;
use crate::session::next_steps::AttentionReason;
use crate::text::{format_credits, pluralize};

/// With more jobs, the price is on the page of the action.
const PRICED_JOBS_MAX: u64 = 5_000;

/// Returns what retrying each group costs at most, by its place; `None` where that is not known here.
pub(super) async fn read_prices(
    page: &PageRequest,
    status: &BatchStatus,
) -> Result<Vec<Option<String>>, PageError> {
    let ledger = &page.state.ledger;
    // The price of one cause is read among the rows of all of them.
    let retried = status.attention_groups.iter().filter(|group| retry_action(group).is_some());
    if retried.map(|group| group.jobs).sum::<u64>() > PRICED_JOBS_MAX {
        return Ok(vec![None; status.attention_groups.len()]);
    }
    let per_minute = ledger.credits_per_minute().await?;
    let mut prices = Vec::new();
    for group in &status.attention_groups {
        prices.push(match retry_action(group) {
            Some(retry) => {
                let totals = ledger.target_set(status.batch.id, &retry).await?.totals();
                Some(match totals.submissions {
                    0 => "free".to_owned(),
                    _ if page.is_rehearsal() => "nothing is paid".to_owned(),
                    _ => format!("about {}", format_credits(totals.minutes as f64 * per_minute)),
                })
            }
            None => None,
        });
    }
    Ok(prices)
}

/// Returns the action that continues the rows of a group.
fn retry_action(group: &AttentionGroup) -> Option<RequestedAction> {
    let RowStatus::State(state) = group.state else { return None };
    let is_retried = state == JobState::Failed || state == JobState::Cancelled;
    is_retried.then(|| {
        RequestedAction::Retry(TargetFilter {
            cause: group.cause.clone(),
            state: Some(state),
            ..TargetFilter::default()
        })
    })
}

pub(super) fn section(
    page: &PageRequest,
    next: &NextAction<'_>,
    prices: &[Option<String>],
) -> Markup {
    let status = next.status;
    if status.attention_groups.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="h-attention" {
            h2 id="h-attention" { "Needs you" }
            div .groups {
                @for (group, price) in status.attention_groups.iter().zip(prices) {
                    (group_card(page, next, PricedGroup { group, price: price.as_deref() }))
                }
            }
        }
    }
}

/// A group with what retrying it costs.
#[derive(Clone, Copy)]
struct PricedGroup<'g> {
    group: &'g AttentionGroup,
    price: Option<&'g str>,
}

fn group_card(page: &PageRequest, next: &NextAction<'_>, priced: PricedGroup<'_>) -> Markup {
    let (group, status) = (priced.group, next.status);
    let Some(reason) = AttentionReason::from_status(group.state, group.cause.as_deref()) else {
        return html! {};
    };
    let batch = &status.batch.name;
    let query = group_query(group).to_query();
    html! {
        article .card.group {
            div .row {
                span .count { (number(group.jobs)) }
                h3 { i class={ "dot s-" (group.state.as_str()) } {} (reason.title()) }
                span .spacer {}
                a href=(page.links().rows(batch, &query)) { "Show " (pluralize(group.jobs, "row")) }
            }
            p .muted { (sentence(reason.describe(page.is_rehearsal()))) }
            @if !group.messages.is_empty() {
                ul .messages {
                    @for message in &group.messages {
                        li { q { (with_code(&message.words)) } " " span .muted {
                            (pluralize(message.jobs, "row")) ", such as " (message.key)
                        } }
                    }
                }
            }
            @if let Some((label, address)) = group_action(page, status, priced) {
                p .actions { a .button href=(address) { (label) } }
            }
            @if status.live_holder.is_some() && is_continued_by_runs(reason) {
                p .step.muted { "The live run works on this." }
            } @else {
                (next.commands(&html! {
                    @for step in status.commands.steps_for_group(reason) {
                        p .step { (command(&step.command)) " " span .muted { (step.effect) } }
                    }
                }))
            }
        }
    }
}

/// Returns whether a run continues such rows without the user.
fn is_continued_by_runs(reason: AttentionReason<'_>) -> bool {
    match reason {
        AttentionReason::Uncertain | AttentionReason::Stalled => true,
        AttentionReason::Failed(_) | AttentionReason::Cancelled | AttentionReason::Invalid => false,
    }
}

/// Returns the action that continues the rows of a group, for users who may take it.
fn group_action(
    page: &PageRequest,
    status: &BatchStatus,
    priced: PricedGroup<'_>,
) -> Option<(String, String)> {
    let PricedGroup { group, price } = priced;
    let is_operator = page.requester.has_role(ConsoleRole::Operator);
    if is_operator && group.state == RowStatus::State(JobState::Uncertain) && group.jobs > 0 {
        let (links, batch) = (page.links(), &status.batch.name);
        let only = group.messages.first().filter(|_| group.jobs == 1);
        return Some(match only {
            Some(only) => {
                ("Decide, after a free check…".to_owned(), links.resolve(batch, &only.key))
            }
            None => {
                let rows = links.rows(batch, &group_query(group).to_query());
                ("Show the rows, to decide one by one".to_owned(), rows)
            }
        });
    }
    let retry = retry_action(group).filter(|_| is_operator)?;
    let price = price.map(|price| format!(", {price}")).unwrap_or_default();
    let label = format!("Retry {}{price}…", pluralize(group.jobs, "video"));
    Some((label, action_address(&page.links(), &status.batch.name, &retry)))
}

/// Returns the filter whose rows are those of a group.
pub(in crate::console::pages) fn group_query(group: &AttentionGroup) -> FormFields {
    let query = FormFields::default().with("state", group.state.as_str());
    query.with("cause", group.cause.as_deref().unwrap_or_default())
}
