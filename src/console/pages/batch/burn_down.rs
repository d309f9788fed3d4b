//! The burn-down of the last run: the credits that it had still to spend, over its time.
//!
//! Drawn on the server, without a script. What is still to come is estimated with the price of the
//! videos so far.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::time;
use crate::ledger::SpendingStep;
use crate::session::batch_status::{BatchStatus, RunStatus};
use crate::text::format_credits;
use crate::text::time_format::elapsed;

/// Steps over the time of the run.
const STEPS: u32 = 60;
/// The drawing's size in its own units.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 90.0;
/// Adding up more paid requests one by one takes longer than a page may.
const REQUESTS_MAX: i64 = 20_000;

/// The spending of a run over its time.
pub(super) struct BurnDown {
    began_at: Timestamp,
    until: Timestamp,
    is_live: bool,
    /// Whether nothing is paid.
    is_rehearsal: bool,
    /// The credits spent at the end of each step.
    spent: Vec<f64>,
    /// The estimate for the videos that are open.
    to_come: f64,
}

impl BurnDown {
    /// Reads that of the last run; `None` if it paid for nothing, or for too much to add up here.
    pub(super) async fn read(
        page: &PageRequest,
        status: &BatchStatus,
    ) -> Result<Option<Self>, PageError> {
        let Some(last) = &status.last_run else { return Ok(None) };
        let (run, ledger) = (&last.run, &page.state.ledger);
        let is_live = status.last_run_status == Some(RunStatus::Live);
        let until = match is_live {
            true => page.state.now(),
            false => run.ended_at.unwrap_or(run.heartbeat_at),
        };
        let step = elapsed(run.started_at, until) / STEPS + Duration::from_millis(1);
        // The ledger keeps the sums of a long run.
        let is_summed = step >= SpendingStep::SPAN || run.submitted <= REQUESTS_MAX;
        if run.submitted < 1 || !is_summed {
            return Ok(None);
        }
        let steps = ledger.run_spending_steps(run.id, run.started_at, step).await?;
        let spent = add_up(&steps);
        let total = spent.last().copied().unwrap_or_default();
        let to_come = status.count_waiting() as f64 * total / run.submitted.max(1) as f64;
        let began_at = run.started_at;
        Ok((total > 0.0).then_some(Self {
            began_at,
            until,
            is_live,
            is_rehearsal: page.is_rehearsal(),
            spent,
            to_come,
        }))
    }

    /// Returns the drawing with its caption.
    pub(super) fn figure(&self) -> Markup {
        let total = self.spent.last().copied().unwrap_or_default();
        let all = total + self.to_come;
        let points = self.points(all);
        let area = format!("0,{HEIGHT:.0} {points} {WIDTH:.0},{HEIGHT:.0}");
        let spent = match self.is_rehearsal {
            true => format!("would cost {}", format_credits(total)),
            false => format!("{} spent", format_credits(total)),
        };
        let label = match self.to_come > 0.0 {
            true => format!("{spent}, about {} to come", format_credits(self.to_come)),
            false => spent,
        };
        html! {
            figure .burn-down {
                figcaption {
                    @if self.is_live { "This run: " } @else { "Last run: " }
                    (label) "; the line shows what is still to come"
                }
                svg viewBox="0 0 400 90" preserveAspectRatio="none" role="img" aria-label=(label) {
                    polygon points=(area) {}
                    polyline points=(points) {}
                }
                p .row.muted {
                    span { (time(self.began_at)) }
                    span .spacer {}
                    span { @if self.is_live { "now" } @else { (time(self.until)) } }
                }
            }
        }
    }

    /// Returns the line: what is left to spend at the end of each step.
    fn points(&self, all: f64) -> String {
        let y = |spent: f64| spent / all.max(f64::MIN_POSITIVE) * (HEIGHT - 2.0) + 1.0;
        let steps = self.spent.len().max(1) as f64;
        let start = format!("0,{:.1}", y(0.0));
        let rest = self.spent.iter().enumerate().map(|(step, spent)| {
            format!("{:.1},{:.1}", (step as f64 + 1.0) / steps * WIDTH, y(*spent))
        });
        std::iter::once(start).chain(rest).collect::<Vec<_>>().join(" ")
    }
}

/// Returns what is spent by the end of each step.
fn add_up(steps: &[SpendingStep]) -> Vec<f64> {
    let mut spent = 0.0;
    let sum = |step| {
        spent += steps.iter().filter(|one| one.step == step).map(|one| one.credits).sum::<f64>();
        spent
    };
    (0..i64::from(STEPS)).map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_falls_from_all_to_what_is_left() {
        let steps =
            [SpendingStep { step: 0, credits: 1.0 }, SpendingStep { step: 59, credits: 2.0 }];
        let spent = add_up(&steps);
        assert_eq!((spent.len(), spent[0], spent[58], spent[59]), (60, 1.0, 1.0, 3.0));
        let (began_at, until) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let burn =
            BurnDown { began_at, until, is_live: true, is_rehearsal: false, spent, to_come: 1.0 };
        let points = burn.points(4.0);
        assert!(points.starts_with("0,1.0 6.7,23.0 "), "{points}");
        assert!(points.ends_with(" 400.0,67.0"), "{points}");
    }
}
