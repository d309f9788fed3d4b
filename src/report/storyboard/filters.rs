//! The filters above the cards, with the number of cards that each shows.
//!
//! They work without a script: a radio button, and style rules of the page.

use maud::{Markup, html};

use super::{ChangeStatus, StoryboardCard};

/// The cards of a page, counted by filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoryboardCounts {
    cards: u64,
    problems: u64,
    warnings: u64,
    new: u64,
    changed: u64,
    unchanged: u64,
}

impl StoryboardCounts {
    /// Counts a card.
    pub fn add(&mut self, card: &StoryboardCard<'_>) {
        self.cards += 1;
        self.problems += u64::from(!card.problems.is_empty());
        self.warnings += u64::from(!card.warnings.is_empty());
        match card.change_status {
            ChangeStatus::Unknown => {}
            ChangeStatus::New => self.new += 1,
            ChangeStatus::Changed => self.changed += 1,
            ChangeStatus::Unchanged => self.unchanged += 1,
        }
    }

    /// Draws the filters that show something, by the class of the cards they show.
    pub(super) fn filters(&self) -> Markup {
        let all = [
            ("all", "all", self.cards),
            ("problem", "problems", self.problems),
            ("warning", "warnings", self.warnings),
            ("new", "new", self.new),
            ("changed", "changed", self.changed),
            ("unchanged", "unchanged", self.unchanged),
        ];
        // A filter that shows all cards, or none, is no choice.
        let is_choice = |cards: u64| cards > 0 && cards < self.cards;
        if !all.iter().any(|(_, _, cards)| is_choice(*cards)) {
            return html! {};
        }
        let shown =
            all.into_iter().filter(|(class, _, cards)| *class == "all" || is_choice(*cards));
        html! {
            form .filters {
                span { "Show" }
                @for (class, label, cards) in shown {
                    label {
                        input type="radio" name="show" id={ "show-" (class) } checked[class == "all"];
                        (label) " (" (cards) ")"
                    }
                }
            }
        }
    }
}
