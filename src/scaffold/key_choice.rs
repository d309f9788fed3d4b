//! The column that identifies a row, chosen for a new batch or asked for.
//!
//! Invariant: a column in which two rows have the same cell, or one has none, is never chosen alone.

use super::answers::{QuestionSubject, SetupQuestion};
use super::column_role::{CERTAIN_RANK, ColumnRole};
use super::sheet_setup::SheetSetup;

impl SheetSetup<'_> {
    pub(super) fn choose_key(&mut self) {
        if let Some(key) = &self.answers.key {
            self.draft.key = key.iter().map(|name| self.heading_of(name)).collect();
            return;
        }
        let candidates = self.columns.with_role(ColumnRole::Key);
        let unique = candidates.iter().find(|column| column.can_be_key());
        let language = self.columns.with_role(ColumnRole::Language).first().map(|one| &one.heading);
        let pair = candidates.iter().find_map(|column| {
            let language = language?;
            let is_key = self.columns.is_unique_pair(&column.heading, language);
            is_key.then(|| vec![column.heading.clone(), language.clone()])
        });
        if let Some(column) = unique {
            self.draft.key = vec![column.heading.clone()];
            if column.role.is_some_and(|ranked| ranked.rank < CERTAIN_RANK) {
                return;
            }
        } else if let Some(pair) = pair {
            self.draft.key = pair;
            return;
        } else {
            let titles = self.columns.with_role(ColumnRole::Headline);
            let any = titles.into_iter().chain(&self.columns.columns);
            let guess = any.into_iter().find(|column| column.can_be_key() && !column.is_mark());
            self.draft.key = guess.map(|column| column.heading.clone()).into_iter().collect();
        }
        self.ask_for_key();
    }

    fn ask_for_key(&mut self) {
        let guess = self.draft.key.first().cloned();
        let (remark, other_way) = match self.obvious_key_fault() {
            Some(fault) => {
                (format!("{fault}. "), "; or change the cells that are the same or empty")
            }
            None => (String::new(), ""),
        };
        self.questions.push(SetupQuestion {
            subject: QuestionSubject::Key,
            text: format!(
                "{remark}Which column identifies a row? No two rows may have the same value, and \
                 it must not change later{other_way}"
            ),
            choices: self.named_headings(),
            samples: self.sample_cells(),
            guess,
            is_optional: false,
        });
    }

    /// Returns why the obvious column does not identify the rows, if there is such a column.
    fn obvious_key_fault(&self) -> Option<String> {
        let candidates = self.columns.with_role(ColumnRole::Key);
        let heading = &candidates.first()?.heading;
        let fault = self.columns.key_fault(heading)?;
        Some(format!("`{heading}` cannot be the key: {fault}"))
    }

    /// Returns which column is the key in place of the obvious one, for a user who is not asked.
    pub(super) fn key_remark(&self) -> Option<String> {
        let candidates = self.columns.with_role(ColumnRole::Key);
        let obvious = &candidates.first()?.heading;
        let is_other = self.answers.key.is_none() && !self.draft.key.contains(obvious);
        let chosen = self.draft.key.first().filter(|_| is_other)?;
        Some(format!("{}; `{chosen}` is the key instead", self.obvious_key_fault()?))
    }
}
