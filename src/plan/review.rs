//! What a plan would pay for a second time, and whether the user must confirm it first.
//!
//! Editing some rows is everyday work and needs no confirmation. A change that reaches a large part
//! of the paid videos, or that looks like the same rows under other keys, is more often an accident:
//! a changed template, a sheet saved by another program, the wrong file. Invariant: the verdict does
//! not depend on the rows that the user selected, because the whole plan is committed.

use super::PlanError;
use super::replaced_keys::{KeyColumns, ReplacedKey, find_replaced_keys};
use super::rewritten_cells::{RewrittenCell, find_rewritten_cell};
use crate::ledger::ComparedSheet;
use crate::text::{format_credits, pluralize};

/// Up to this many paid videos may be rendered again, or lose their row, without a confirmation.
const UNCONFIRMED_VIDEOS_MAX: u64 = 3;
/// The share of the paid videos that may be changed or removed together without a confirmation.
const CONCERNED_SHARE_MAX: f64 = 0.5;
/// Changed rows that are searched for rewritten cells; beyond that, most videos are rendered anyway.
const REWRITTEN_ROWS_MAX: u32 = 100_000;

/// The paid videos that a plan concerns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanReview {
    /// Videos that are paid for.
    pub paid: u64,
    /// Those that would be rendered again.
    pub paid_again: u64,
    /// The started minutes of speech of those: what would be charged.
    pub paid_again_minutes: u64,
    /// Those of them that the user selected.
    pub paid_again_selected: u64,
    /// Those whose row is no longer in the sheet. Their files are kept.
    pub paid_removed: u64,
    /// Unchanged rows that are paid for and wait to be rendered again, because an earlier plan has
    /// confirmed their change.
    pub waiting_again: u64,
    /// Keys of paid videos that other keys replace.
    pub replaced_keys: Vec<ReplacedKey>,
    /// Cells of paid rows that another program rewrote, one of each row that changed in no other way.
    pub rewritten_cells: Vec<RewrittenCell>,
    /// How many videos would be identical, if all of them would be and there are several.
    pub identical_videos: Option<u64>,
    /// Why the plan needs a confirmation, if it needs one.
    pub confirmation: Option<ConfirmationCause>,
}

/// Why a plan needs a confirmation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmationCause {
    /// New keys stand for rows whose videos are paid for.
    KeysReplaced,
    /// Rows whose videos are paid for changed only as another program writes their cells.
    CellsRewritten,
    /// A large part of the paid videos would be rendered again.
    RenderedAgain,
    /// Most of the paid videos lost their row or would be rendered again, and others are new.
    RowsReplaced,
}

impl ConfirmationCause {
    /// Returns its name in `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeysReplaced => "keys-replaced",
            Self::CellsRewritten => "cells-rewritten",
            Self::RenderedAgain => "rendered-again",
            Self::RowsReplaced => "rows-replaced",
        }
    }
}

impl PlanReview {
    /// Reviews a compared sheet. `share` is the part of the paid videos that may be rendered again.
    pub(super) async fn new(
        compared: &mut ComparedSheet,
        columns: &KeyColumns,
        share: f64,
    ) -> Result<Self, PlanError> {
        let totals = compared.paid_totals().await?;
        let mut review = Self {
            paid: totals.paid.unsigned_abs(),
            paid_again: totals.again.unsigned_abs(),
            paid_again_minutes: totals.again_minutes.unsigned_abs(),
            paid_again_selected: totals.again_selected.unsigned_abs(),
            paid_removed: totals.removed.unsigned_abs(),
            waiting_again: totals.waiting_again.unsigned_abs(),
            ..Self::default()
        };
        if totals.absent > 0 && compared.counts().new > 0 {
            review.replaced_keys = find_replaced_keys(compared, columns).await?;
        }
        if review.paid_again > 0 {
            let changed = compared.changed_rows(REWRITTEN_ROWS_MAX).await?;
            let rewritten =
                changed.iter().filter_map(|row| find_rewritten_cell(row, &columns.headings));
            review.rewritten_cells = rewritten.collect();
        }
        let to_render = compared.counts().new + review.paid_again;
        review.confirmation = review.confirmation_cause(share, to_render);
        Ok(review)
    }

    fn confirmation_cause(&self, share: f64, to_render: u64) -> Option<ConfirmationCause> {
        let exceeds = |videos: u64, share: f64| {
            videos > UNCONFIRMED_VIDEOS_MAX && videos as f64 > share * self.paid as f64
        };
        if !self.replaced_keys.is_empty() {
            return Some(ConfirmationCause::KeysReplaced);
        }
        if !self.rewritten_cells.is_empty() {
            return Some(ConfirmationCause::CellsRewritten);
        }
        if exceeds(self.paid_again, share) {
            return Some(ConfirmationCause::RenderedAgain);
        }
        let concerned = self.paid_again + self.paid_removed;
        let is_replaced = to_render > 0 && exceeds(concerned, share.max(CONCERNED_SHARE_MAX));
        is_replaced.then_some(ConfirmationCause::RowsReplaced)
    }

    /// Returns why the plan needs a confirmation: the reason, then each replaced key and
    /// rewritten cell. Empty if it
    /// needs none.
    pub fn messages(&self, credits_per_minute: f64) -> Vec<String> {
        let credits = format_credits(self.paid_again_minutes as f64 * credits_per_minute);
        let paid = pluralize(self.paid, "paid video");
        let message = match self.confirmation {
            None => return Vec::new(),
            Some(ConfirmationCause::KeysReplaced) => {
                let keys = self.replaced_keys.len();
                format!(
                    "{} lost their key, replaced by new keys of rows that are otherwise the same; \
                     each would be rendered and paid for again",
                    pluralize(keys as u64, "paid video")
                )
            }
            Some(ConfirmationCause::CellsRewritten) => {
                let rewritten = self.rewritten_cells.len();
                format!(
                    "{rewritten} of {paid} would be rendered again although their rows differ only \
                     as another program writes the same cells; save the original sheet again, or \
                     confirm what it says now"
                )
            }
            Some(ConfirmationCause::RenderedAgain) => {
                let again = self.paid_again;
                format!("{again} of {paid} would be rendered again, for about {credits}")
            }
            Some(ConfirmationCause::RowsReplaced) => {
                let removed = self.paid_removed;
                let again = match self.paid_again {
                    0 => String::new(),
                    again => format!(", {again} would be rendered again for about {credits}"),
                };
                format!(
                    "{removed} of {paid} lost their row in the sheet{again}, and others are new"
                )
            }
        };
        let replaced = self.replaced_keys.iter().map(ToString::to_string);
        let rewritten = self.rewritten_cells.iter().map(ToString::to_string);
        std::iter::once(message).chain(replaced).chain(rewritten).collect()
    }

    /// Returns that all videos would be identical, if they would.
    pub fn identical_message(&self) -> Option<String> {
        let videos = self.identical_videos?;
        Some(format!(
            "all {videos} videos would be identical: the template uses no cell that differs \
             between the rows"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_part_of_the_paid_videos_needs_a_confirmation() {
        use ConfirmationCause::{RenderedAgain, RowsReplaced};
        for (paid, paid_again, paid_removed, new, share, cause) in [
            (12, 1, 0, 0, 0.25, None),
            (12, 3, 0, 0, 0.25, None),
            (4, 3, 0, 0, 0.25, None),
            (16, 4, 0, 0, 0.25, None),
            (15, 4, 0, 0, 0.25, Some(RenderedAgain)),
            (12, 12, 0, 0, 0.25, Some(RenderedAgain)),
            (12, 12, 0, 0, 1.0, None),
            (12, 4, 0, 0, 0.0, Some(RenderedAgain)),
            (12, 0, 12, 0, 0.25, None),
            (12, 0, 12, 12, 0.25, Some(RowsReplaced)),
            (12, 0, 6, 6, 0.25, None),
            (12, 2, 5, 0, 0.25, Some(RowsReplaced)),
            (12, 0, 12, 12, 1.0, None),
            (3, 0, 3, 3, 0.25, None),
        ] {
            let review = PlanReview { paid, paid_again, paid_removed, ..PlanReview::default() };
            let case = format!("{review:?} {share}");
            assert_eq!(review.confirmation_cause(share, new + paid_again), cause, "{case}");
        }
    }
}
