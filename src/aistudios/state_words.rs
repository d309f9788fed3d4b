//! State words that are known of one vendor, besides those that everybody knows.
//!
//! No page lists them (`AISTUDIOS_V3 §4.2`), so a batch may have been told some. They are looked up
//! after a state was read in the usual way, and only a whole word counts. Pure.

use super::project::{ProgressReport, ProjectDetails, RenderState};

/// Words with a meaning of their own, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateWords {
    /// Finished.
    pub done: Vec<String>,
    /// Failed.
    pub failed: Vec<String>,
    /// Never exported, which is no state of a render at all.
    pub draft: Vec<String>,
}

impl StateWords {
    /// Reads a state again.
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

    /// Reads a render's progress again.
    pub fn apply_to_progress(&self, progress: ProgressReport) -> ProgressReport {
        ProgressReport { state: self.apply_to_state(progress.state), ..progress }
    }

    /// Reads a project again.
    pub fn apply_to_project(&self, project: ProjectDetails) -> ProjectDetails {
        ProjectDetails { state: self.apply_to_state(project.state), ..project }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_was_told_beats_what_everybody_knows_and_only_as_a_whole() {
        let told = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let words = StateWords {
            done: told(&["published"]),
            failed: told(&["대기중"]),
            draft: told(&["waiting", "failover"]),
        };
        for (word, read) in [
            ("Published", Some(RenderState::Done("published".into()))),
            ("대기중", Some(RenderState::Failed("대기중".into()))),
            ("waiting", None),
            ("failover", None),
            ("waiting long", Some(RenderState::InProgress("waiting long".into()))),
            ("failed", Some(RenderState::Failed("failed".into()))),
        ] {
            assert_eq!(words.apply_to_state(RenderState::parse(word)), read, "{word}");
        }
        assert_eq!(words.apply_to_state(None), None);
    }
}
