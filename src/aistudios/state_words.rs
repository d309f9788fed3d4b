//! State words that a batch file adds to the built-in ones.
//!
//! No page of the vendor lists its state words (docs/internals/vendor-api.md, "State words"), so a
//! batch file may name some. They are applied after a state was parsed as usual, and match whole
//! words only. Pure.

use super::project::{ProgressReport, ProjectDetails, RenderState};

/// State words with their meaning, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateWords {
    /// Finished.
    pub done: Vec<String>,
    /// Failed.
    pub failed: Vec<String>,
    /// Never exported, so that there is no render.
    pub draft: Vec<String>,
}

impl StateWords {
    /// Returns the state with its meaning for this batch.
    pub fn apply_to_state(&self, state: Option<RenderState>) -> Option<RenderState> {
        let state = state?;
        let word = state.as_str().to_owned();
        if self.draft.contains(&word) {
            None
        } else if self.failed.contains(&word) {
            Some(RenderState::Failed(word))
        } else if self.done.contains(&word) {
            Some(RenderState::Done(word))
        } else {
            Some(state)
        }
    }

    /// Replaces the state in a progress report.
    pub fn apply_to_progress(&self, progress: ProgressReport) -> ProgressReport {
        ProgressReport { state: self.apply_to_state(progress.state), ..progress }
    }

    /// Replaces the state of a project.
    pub fn apply_to_project(&self, project: ProjectDetails) -> ProjectDetails {
        ProjectDetails { state: self.apply_to_state(project.state), ..project }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_words_of_the_batch_override_the_built_in_ones_as_whole_words() {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let words = StateWords {
            done: owned(&["published"]),
            failed: owned(&["대기중"]),
            draft: owned(&["waiting", "failover"]),
        };
        for (word, expected) in [
            ("Published", Some(RenderState::Done("published".into()))),
            ("대기중", Some(RenderState::Failed("대기중".into()))),
            ("waiting", None),
            ("failover", None),
            ("waiting long", Some(RenderState::InProgress("waiting long".into()))),
            ("failed", Some(RenderState::Failed("failed".into()))),
        ] {
            assert_eq!(words.apply_to_state(RenderState::parse(word)), expected, "{word}");
        }
        assert_eq!(words.apply_to_state(None), None);
    }
}
