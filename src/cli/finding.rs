//! What `check` found out about one thing, and how good that is.

use serde_json::{Value, json};

use super::exit::Exit;
use super::talk::{Talk, plain};
use crate::studio::Trouble;

/// How good a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    Ok,
    Warn,
    /// A night cannot run; it would end like this.
    Fail(Exit),
}

/// What was found out about one thing.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) grade: Grade,
    pub(super) topic: &'static str,
    pub(super) words: String,
    pub(super) todo: Option<&'static str>,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
        }
    }
}

impl Finding {
    pub(super) fn ok(topic: &'static str, words: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, topic, words: words.into(), todo: None }
    }

    pub(super) fn warn(topic: &'static str, words: impl Into<String>, todo: &'static str) -> Self {
        Self { grade: Grade::Warn, topic, words: words.into(), todo: Some(todo) }
    }

    pub(super) fn fail(exit: Exit, topic: &'static str, words: impl Into<String>) -> Self {
        Self { grade: Grade::Fail(exit), topic, words: words.into(), todo: None }
    }

    pub(super) fn and(mut self, todo: &'static str) -> Self {
        self.todo = Some(todo);
        self
    }

    /// Why a free call brought nothing.
    pub(super) fn refused(topic: &'static str, trouble: &Trouble) -> Self {
        let words = trouble.to_string();
        match trouble {
            Trouble::Account(_) => Self::fail(Exit::Account, topic, words),
            Trouble::Moved { .. } => Self::fail(Exit::Usage, topic, words),
            Trouble::Unreachable(_) | Trouble::Broken(_) => {
                Self::fail(Exit::PassingTrouble, topic, words)
                    .and("look at the network and at `base_url`, and check again")
            }
            Trouble::SlowDown { .. } => Self::warn(topic, words, "check again later"),
            Trouble::NotFound | Trouble::Refused(_) => {
                let words = format!("a token was given, but this page was not ({words})");
                Self::warn(topic, words, "a run can begin; try it with --limit 1")
            }
        }
    }

    pub(super) fn show(&self, talk: &Talk) {
        let (grade, topic, words) = (self.grade.word(), self.topic, plain(&self.words));
        talk.result(&format!("{grade:4}  {topic:11}  {words}"));
        if let Some(todo) = self.todo {
            talk.result(&format!("{:19}→ {todo}", ""));
        }
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "grade": self.grade.word(),
            "topic": self.topic,
            "words": self.words,
            "todo": self.todo,
        })
    }
}

/// The order of the exit codes when several hold.
pub(super) fn exit_of(findings: &[Finding]) -> Exit {
    let order = [Exit::Unexpected, Exit::Account, Exit::Usage, Exit::Input, Exit::PassingTrouble];
    let fails = |exit: &Exit| findings.iter().any(|found| found.grade == Grade::Fail(*exit));
    order.into_iter().find(fails).unwrap_or(Exit::Done)
}
