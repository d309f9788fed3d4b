//! What a person types next, for every reason why a job waits for one.
//!
//! The commands can be pasted as they stand: they name the ledger and the rehearsal that were
//! looked at, and what a shell would split is quoted. Nothing is decided here.

use std::borrow::Cow;
use std::path::Path;

use super::Global;
use crate::ledger::{State, StoredBatch};

/// The commands of one batch.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    batch: String,
    file: String,
    /// Options without which another ledger would be meant.
    rest: String,
}

/// A command and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) command: String,
    pub(super) does: &'static str,
}

/// Why a row waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait<'c> {
    /// A paid request's answer was lost.
    Uncertain,
    /// A render stands still.
    Stalled,
    /// It failed, with the cause.
    Failed(&'c str),
    /// A person took it out.
    Cancelled,
    /// The row could not be merged.
    Invalid,
}

impl<'c> Wait<'c> {
    /// Returns why a job waits; nothing when it does not.
    pub(super) fn of(state: Option<State>, stalled: bool, cause: Option<&'c str>) -> Option<Self> {
        match state {
            None => Some(Self::Invalid),
            Some(State::Uncertain) => Some(Self::Uncertain),
            Some(State::Rendering) => stalled.then_some(Self::Stalled),
            Some(State::Failed) => Some(Self::Failed(cause.unwrap_or("unknown"))),
            Some(State::Cancelled) => Some(Self::Cancelled),
            Some(
                State::Ready | State::Submitting | State::Fetching | State::Done | State::Reused,
            ) => None,
        }
    }

    /// Says what that is, in a few words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Uncertain => "the answer to a paid request was lost; it may be paid for",
            Self::Stalled => "AI Studios makes no progress; it is looked at, and not paid again",
            Self::Failed("refused") => "AI Studios declined what was sent; nothing was rendered",
            Self::Failed("submit-given-up") => "it could not be submitted; nothing was rendered",
            Self::Failed("render-failed") => "the render failed or did not end in time",
            Self::Failed("fetch-failed") => "rendered and paid for; the file could not be fetched",
            Self::Failed("abandoned") => "closed by a person without a verdict; it may be paid for",
            Self::Failed(_) => "it failed",
            Self::Cancelled => "taken out before it was submitted",
            Self::Invalid => "the row cannot become a video as it is; nothing was sent",
        }
    }

    /// Returns the word for this in a heading.
    pub(super) fn title(self) -> Cow<'c, str> {
        match self {
            Self::Uncertain => "uncertain".into(),
            Self::Stalled => "stalled".into(),
            Self::Failed(cause) => format!("failed, {cause}").into(),
            Self::Cancelled => "cancelled".into(),
            Self::Invalid => "invalid".into(),
        }
    }
}

impl Commands {
    /// Returns the commands of a batch in the ledger that was looked at.
    pub(super) fn of(global: &Global, sandbox: bool, batch: &StoredBatch) -> Self {
        Self::named(global, sandbox, (&batch.name, &batch.file))
    }

    /// The same for a batch by its name and file.
    pub(super) fn named(global: &Global, sandbox: bool, (name, file): (&str, &str)) -> Self {
        let mut rest = String::new();
        if sandbox {
            rest.push_str(" --sandbox");
        }
        let from_environment = std::env::var_os("CALLSHEET_LEDGER").map(std::path::PathBuf::from);
        if let Some(ledger) = &global.ledger
            && from_environment.as_ref() != Some(ledger)
        {
            rest.push_str(&format!(" --ledger {}", quoted(&ledger.display().to_string())));
        }
        Self { batch: quoted(name).into_owned(), file: file.to_owned(), rest }
    }

    /// The command that continues the batch; without its file, from the ledger alone.
    pub(super) fn run(&self) -> String {
        if Path::new(&self.file).exists() {
            format!("callsheet run {}{}", quoted(&self.file), self.rest)
        } else {
            format!("callsheet resume {}{}", self.batch, self.rest)
        }
    }

    /// The command that tries again what failed, once it has looked whether that came meanwhile;
    /// there is none from the ledger alone.
    pub(super) fn run_again(&self) -> Option<String> {
        let again = || format!("callsheet run {} --retry-failed{}", quoted(&self.file), self.rest);
        Path::new(&self.file).exists().then(again)
    }

    /// The command that shows what needs somebody.
    pub(super) fn status(&self) -> String {
        format!("callsheet status {}{}", self.batch, self.rest)
    }

    /// The command that lets a paused batch go on.
    pub(super) fn unpause(&self) -> String {
        format!("callsheet unpause {}{}", self.batch, self.rest)
    }

    /// The command that lists jobs, with what narrows them.
    pub(super) fn jobs(&self, narrowed: &str) -> String {
        format!("callsheet jobs {} {narrowed}{}", self.batch, self.rest)
    }

    /// The command that tries everything again that failed or was taken out.
    pub(super) fn retry_all(&self) -> String {
        format!("callsheet retry {}{}", self.batch, self.rest)
    }

    fn retry(&self, which: &str) -> String {
        format!("callsheet retry {} {which}{}", self.batch, self.rest)
    }

    fn retry_one(&self, key: &str) -> String {
        self.of_one("retry", key, "")
    }

    fn resolve(&self, key: &str, verdict: &str) -> String {
        self.of_one("resolve", key, &format!(" {verdict}"))
    }

    /// A key that looks like an option comes last, behind the mark after which there are none.
    fn of_one(&self, verb: &str, key: &str, how: &str) -> String {
        let (batch, rest, word) = (&self.batch, &self.rest, quoted(key));
        match key.starts_with('-') {
            true => format!("callsheet {verb} {batch}{how}{rest} -- {word}"),
            false => format!("callsheet {verb} {batch} {word}{how}{rest}"),
        }
    }

    /// Returns what to type for all jobs that wait for one reason.
    pub(super) fn for_all(&self, wait: Wait<'_>) -> Vec<Step> {
        let mend = Step { command: self.run(), does: "after the row or the template is mended" };
        match wait {
            Wait::Uncertain => {
                vec![Step { command: self.run(), does: "looks for evidence again, pays nothing" }]
            }
            Wait::Stalled => vec![Step { command: self.run(), does: "keeps looking at it" }],
            Wait::Failed(cause) => {
                let again = self.retry(&format!("--cause {}", quoted(cause)));
                self.after_failure(cause, again, mend)
            }
            Wait::Cancelled => {
                vec![Step { command: self.retry("--cause cancelled"), does: "puts them back" }]
            }
            Wait::Invalid => vec![mend],
        }
    }

    /// Returns what to type for one job; `project` is the one that it may have become.
    pub(super) fn for_one(&self, wait: Wait<'_>, key: &str, project: Option<&str>) -> Vec<Step> {
        match wait {
            Wait::Uncertain => {
                let mut steps = self.for_all(wait);
                let adopt = format!("--adopt {}", quoted(project.unwrap_or("PROJECT")));
                let does = match project {
                    Some(_) => "when your account shows that this project was rendered",
                    None => "when you find it in your account, by its tag",
                };
                steps.extend([
                    Step { command: self.resolve(key, &adopt), does },
                    Step {
                        command: self.resolve(key, "--not-submitted"),
                        does: "when it is certainly not there; it is submitted again",
                    },
                    Step {
                        command: self.resolve(key, "--abandon"),
                        does: "closes it without a verdict",
                    },
                ]);
                steps
            }
            Wait::Failed(cause) => {
                let mend =
                    Step { command: self.run(), does: "after the row or the template is mended" };
                self.after_failure(cause, self.retry_one(key), mend)
            }
            Wait::Cancelled => {
                vec![Step { command: self.retry_one(key), does: "puts it back" }]
            }
            Wait::Stalled | Wait::Invalid => self.for_all(wait),
        }
    }

    fn after_failure(&self, cause: &str, again: String, mend: Step) -> Vec<Step> {
        let again = |does| Step { command: again, does };
        match cause {
            "refused" => vec![mend, again("sends it as it is, once more")],
            "submit-given-up" => vec![again("submits it; nothing was paid so far")],
            "fetch-failed" => vec![again("fetches it; nothing is paid again")],
            "abandoned" => vec![again("renders it, and pays again if it was accepted")],
            _ => vec![again("renders and pays for it again; says how many first")],
        }
    }
}

/// Returns text as a POSIX shell takes it for one word.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_looks_like_an_option_can_be_pasted_all_the_same() {
        let rest = " --ledger l.db".to_owned();
        let commands = Commands { batch: "spring".to_owned(), file: String::new(), rest };
        let told = |wait, key| {
            let steps = commands.for_one(wait, key, None).into_iter();
            steps.map(|step| step.command).filter(|one| one.contains(key)).collect::<Vec<_>>()
        };
        insta::assert_snapshot!(told(Wait::Cancelled, "-x").concat(), @"callsheet retry spring --ledger l.db -- '-x'");
        insta::assert_snapshot!(told(Wait::Cancelled, "x-1").concat(), @"callsheet retry spring x-1 --ledger l.db");
        insta::assert_snapshot!(told(Wait::Uncertain, "-x").join("\n"), @"
        callsheet resolve spring --adopt PROJECT --ledger l.db -- '-x'
        callsheet resolve spring --not-submitted --ledger l.db -- '-x'
        callsheet resolve spring --abandon --ledger l.db -- '-x'
        ");
    }

    #[test]
    fn a_key_with_blanks_and_quotes_stays_one_word_of_the_command() {
        for (text, word) in [
            ("ann", "ann"),
            ("jobs/spring.toml", "jobs/spring.toml"),
            ("Ann Lee", "'Ann Lee'"),
            ("it's", r"'it'\''s'"),
            ("$(rm)", "'$(rm)'"),
            ("봄", "봄"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
