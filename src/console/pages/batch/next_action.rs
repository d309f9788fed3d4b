//! What continues a batch, as a button: another run of its spreadsheet, or the review of its videos.
//!
//! Pure. Invariant: a button leads to a
//! page that shows what it does and its price; it starts nothing by itself.

use maud::{Markup, html};

use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{commands, number, with_code};
use crate::ledger::{ConsoleRole, JobState, ReviewCounts};
use crate::session::batch_status::BatchStatus;
use crate::session::upload::BatchReach;
use crate::text::{format_credits, pluralize};

/// The next step of a batch, for the user of a page.
pub(super) struct NextAction<'n> {
    page: &'n PageRequest,
    pub(super) status: &'n BatchStatus,
    /// Whether its runs are approved in the console.
    reach: &'n BatchReach,
    is_operator: bool,
}

impl<'n> NextAction<'n> {
    pub(super) fn new(
        page: &'n PageRequest,
        status: &'n BatchStatus,
        reach: &'n BatchReach,
    ) -> Self {
        let is_operator = page.requester.has_role(ConsoleRole::Operator);
        Self { page, status, reach, is_operator }
    }

    /// Returns whether the console itself continues the batch, so that no command is needed.
    pub(super) fn is_in_console(&self) -> bool {
        matches!(self.reach, BatchReach::Here(_)) && self.is_operator
    }

    /// Returns why the console has no button that continues the batch, for those who would use it.
    pub(super) fn elsewhere_remark(&self) -> Markup {
        let reason = match self.reach {
            BatchReach::Elsewhere(reason) if self.is_operator && self.is_continuable() => reason,
            BatchReach::Elsewhere(_) | BatchReach::Here(_) => return html! {},
        };
        html! {
            p .remark { "This console cannot continue the batch: " (with_code(reason)) ". Use the command there:" }
        }
    }

    /// Returns commands; behind a summary where a button does the same.
    pub(super) fn commands(&self, content: &Markup) -> Markup {
        let has_button = self.is_in_console() || (self.status.batch.paused && self.is_operator);
        commands(has_button, content)
    }

    fn count_uncertain(&self) -> u64 {
        self.status.count_in_state(JobState::Uncertain)
    }

    /// Returns whether another run has something to do now.
    fn is_continuable(&self) -> bool {
        let is_idle = self.status.live_holder.is_none() && !self.status.batch.paused;
        is_idle && self.status.count_open() + self.count_uncertain() > 0
    }

    /// Returns the label of the button that leads to the approval of another run.
    fn continue_label(&self) -> Option<String> {
        if !self.is_in_console() || !self.is_continuable() {
            return None;
        }
        if self.status.count_open() == 0 {
            let uncertain = pluralize(self.count_uncertain(), "uncertain video");
            return Some(format!("Check {uncertain} again, free…"));
        }
        let videos = pluralize(self.status.count_open(), "video");
        let spending = self.status.spending;
        let waiting = self.status.count_waiting() as f64;
        Some(match (self.page.is_rehearsal(), spending.requests > 0) {
            (true, _) => format!("Continue {videos}: nothing is paid…"),
            (false, _) if waiting == 0.0 => format!("Continue {videos}, free…"),
            (false, true) => {
                let credits = waiting * spending.estimated / spending.requests as f64;
                format!("Continue {videos}, about {}…", format_credits(credits))
            }
            (false, false) => format!("Continue {videos}…"),
        })
    }

    /// Returns what another run does not continue: it only checks uncertain videos.
    fn uncertain_remark(&self) -> Markup {
        let uncertain = self.count_uncertain();
        html! {
            @if uncertain > 0 && self.status.count_open() > 0 {
                span .muted {
                    (pluralize(uncertain, "uncertain video"))
                    @if uncertain == 1 { " waits" } @else { " wait" } " for your decision"
                }
            }
        }
    }

    /// Returns the buttons.
    pub(super) fn buttons(&self) -> Markup {
        let links = self.page.links();
        let batch = &self.status.batch.name;
        let review = format!("{}/review", links.batch(batch));
        let counts = review_counts(self.status);
        let can_review = counts.waiting > 0 && self.page.requester.has_role(ConsoleRole::Reviewer);
        let continued = self.continue_label();
        let is_live = self.status.live_holder.is_some();
        html! {
            @if let Some(label) = &continued {
                a .button.primary href=(links.to(&format!("/new/{batch}"))) { (label) }
                (self.uncertain_remark())
            }
            @if can_review && !is_live {
                a .button .primary[continued.is_none()] href=(review) { "Review " (pluralize(counts.waiting, "video")) }
            }
            @if self.status.is_finished() && counts.approved > 0 {
                a .button href={ (review) "/approved.zip" } download { "Download " (number(counts.approved)) " approved" }
            }
        }
    }
}

/// Returns the finished videos by verdict. A batch without any verdict has no review status.
pub(in crate::console::pages) fn review_counts(status: &BatchStatus) -> ReviewCounts {
    let unreviewed = ReviewCounts { waiting: status.count_done(), ..ReviewCounts::default() };
    status.review.as_ref().map_or(unreviewed, |review| review.counts)
}

/// Returns how far the review of finished videos is, in a few words; `None` without a video.
pub(in crate::console::pages) fn review_progress(status: &BatchStatus) -> Option<String> {
    let ReviewCounts { waiting, approved, rejected, changes } = review_counts(status);
    let judged = approved + rejected + changes;
    match (waiting, judged) {
        (0, 0) => None,
        (0, _) if approved == judged => Some("all approved".to_owned()),
        (0, _) => Some(format!("all reviewed, {} approved", number(approved))),
        (_, _) => Some(format!("{} to review", number(waiting))),
    }
}
