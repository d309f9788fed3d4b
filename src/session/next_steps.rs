//! What a person types next, for every reason why a job waits for one.
//!
//! The commands can be pasted as they stand: they name the ledger and the rehearsal that were
//! looked at, and what a shell would split is quoted. Nothing is decided here.

use std::borrow::Cow;
use std::path::Path;

use crate::cli::GlobalArgs;
use crate::ledger::{JobState, StoredBatch};

/// The commands of one batch.
#[derive(Clone, Debug)]
pub(crate) struct CommandHints {
    batch: String,
    file: String,
    /// Options without which another ledger would be meant.
    ledger_options: String,
}

/// A command and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextStep {
    pub(crate) command: String,
    pub(crate) effect: &'static str,
}

/// Why a row waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttentionReason<'c> {
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

impl<'c> AttentionReason<'c> {
    /// Returns why a job waits; nothing when it does not.
    pub(crate) fn from_job_state(
        state: Option<JobState>,
        stalled: bool,
        cause: Option<&'c str>,
    ) -> Option<Self> {
        match state {
            None => Some(Self::Invalid),
            Some(JobState::Uncertain) => Some(Self::Uncertain),
            Some(JobState::Rendering) => stalled.then_some(Self::Stalled),
            Some(JobState::Failed) => Some(Self::Failed(cause.unwrap_or("unknown"))),
            Some(JobState::Cancelled) => Some(Self::Cancelled),
            Some(
                JobState::Ready
                | JobState::Submitting
                | JobState::Fetching
                | JobState::Done
                | JobState::Reused,
            ) => None,
        }
    }

    /// Says what that is, in a few words.
    pub(crate) fn describe(self) -> &'static str {
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
    pub(crate) fn title(self) -> Cow<'c, str> {
        match self {
            Self::Uncertain => "uncertain".into(),
            Self::Stalled => "stalled".into(),
            Self::Failed(cause) => format!("failed, {cause}").into(),
            Self::Cancelled => "cancelled".into(),
            Self::Invalid => "invalid".into(),
        }
    }
}

impl CommandHints {
    /// Returns the commands of a batch in the ledger that was looked at.
    pub(crate) fn from_stored_batch(
        global: &GlobalArgs,
        sandbox: bool,
        batch: &StoredBatch,
    ) -> Self {
        Self::from_name(global, sandbox, (&batch.name, &batch.file))
    }

    /// The same for a batch by its name and file.
    pub(crate) fn from_name(
        global: &GlobalArgs,
        sandbox: bool,
        (name, file): (&str, &str),
    ) -> Self {
        let mut ledger_options = String::new();
        if sandbox {
            ledger_options.push_str(" --sandbox");
        }
        let from_environment = std::env::var_os("CALLSHEET_LEDGER").map(std::path::PathBuf::from);
        if let Some(ledger) = &global.ledger
            && from_environment.as_ref() != Some(ledger)
        {
            ledger_options
                .push_str(&format!(" --ledger {}", shell_quote(&ledger.display().to_string())));
        }
        Self { batch: shell_quote(name).into_owned(), file: file.to_owned(), ledger_options }
    }

    /// The command that continues the batch; without its file, from the ledger alone.
    pub(crate) fn run_command(&self) -> String {
        if Path::new(&self.file).exists() {
            format!("callsheet run {}{}", shell_quote(&self.file), self.ledger_options)
        } else {
            format!("callsheet resume {}{}", self.batch, self.ledger_options)
        }
    }

    /// The command that tries again what failed, once it has looked whether that came meanwhile;
    /// there is none from the ledger alone.
    pub(crate) fn retry_failed_command(&self) -> Option<String> {
        let again = || {
            format!(
                "callsheet run {} --retry-failed{}",
                shell_quote(&self.file),
                self.ledger_options
            )
        };
        Path::new(&self.file).exists().then(again)
    }

    /// The command that shows what needs somebody.
    pub(crate) fn status_command(&self) -> String {
        format!("callsheet status {}{}", self.batch, self.ledger_options)
    }

    /// The command that lets a paused batch go on.
    pub(crate) fn unpause_command(&self) -> String {
        format!("callsheet unpause {}{}", self.batch, self.ledger_options)
    }

    /// The command that lists jobs, with what narrows them.
    pub(crate) fn jobs_command(&self, narrowed: &str) -> String {
        format!("callsheet jobs {} {narrowed}{}", self.batch, self.ledger_options)
    }

    /// The command that tries everything again that failed or was taken out.
    pub(crate) fn retry_all_command(&self) -> String {
        format!("callsheet retry {}{}", self.batch, self.ledger_options)
    }

    fn retry_command(&self, which: &str) -> String {
        format!("callsheet retry {} {which}{}", self.batch, self.ledger_options)
    }

    fn retry_one_command(&self, key: &str) -> String {
        self.command_for_key("retry", key, "")
    }

    fn resolve_command(&self, key: &str, verdict: &str) -> String {
        self.command_for_key("resolve", key, &format!(" {verdict}"))
    }

    /// A key that looks like an option comes last, behind the mark after which there are none.
    fn command_for_key(&self, verb: &str, key: &str, how: &str) -> String {
        let (batch, rest, word) = (&self.batch, &self.ledger_options, shell_quote(key));
        match key.starts_with('-') {
            true => format!("callsheet {verb} {batch}{how}{rest} -- {word}"),
            false => format!("callsheet {verb} {batch} {word}{how}{rest}"),
        }
    }

    /// Returns what to type for all jobs that wait for one reason.
    pub(crate) fn steps_for_group(&self, wait: AttentionReason<'_>) -> Vec<NextStep> {
        let mend = NextStep {
            command: self.run_command(),
            effect: "after the row or the template is mended",
        };
        match wait {
            AttentionReason::Uncertain => {
                vec![NextStep {
                    command: self.run_command(),
                    effect: "looks for evidence again, pays nothing",
                }]
            }
            AttentionReason::Stalled => {
                vec![NextStep { command: self.run_command(), effect: "keeps looking at it" }]
            }
            AttentionReason::Failed(cause) => {
                let again = self.retry_command(&format!("--cause {}", shell_quote(cause)));
                self.steps_after_failure(cause, again, mend)
            }
            AttentionReason::Cancelled => {
                vec![NextStep {
                    command: self.retry_command("--cause cancelled"),
                    effect: "puts them back",
                }]
            }
            AttentionReason::Invalid => vec![mend],
        }
    }

    /// Returns what to type for one job; `project` is the one that it may have become.
    pub(crate) fn steps_for_job(
        &self,
        wait: AttentionReason<'_>,
        key: &str,
        project: Option<&str>,
    ) -> Vec<NextStep> {
        match wait {
            AttentionReason::Uncertain => {
                let mut steps = self.steps_for_group(wait);
                let adopt = format!("--adopt {}", shell_quote(project.unwrap_or("PROJECT")));
                let does = match project {
                    Some(_) => "when your account shows that this project was rendered",
                    None => "when you find it in your account, by its tag",
                };
                steps.extend([
                    NextStep { command: self.resolve_command(key, &adopt), effect: does },
                    NextStep {
                        command: self.resolve_command(key, "--not-submitted"),
                        effect: "when it is certainly not there; it is submitted again",
                    },
                    NextStep {
                        command: self.resolve_command(key, "--abandon"),
                        effect: "closes it without a verdict",
                    },
                ]);
                steps
            }
            AttentionReason::Failed(cause) => {
                let mend = NextStep {
                    command: self.run_command(),
                    effect: "after the row or the template is mended",
                };
                self.steps_after_failure(cause, self.retry_one_command(key), mend)
            }
            AttentionReason::Cancelled => {
                vec![NextStep { command: self.retry_one_command(key), effect: "puts it back" }]
            }
            AttentionReason::Stalled | AttentionReason::Invalid => self.steps_for_group(wait),
        }
    }

    fn steps_after_failure(&self, cause: &str, again: String, mend: NextStep) -> Vec<NextStep> {
        let again = |does| NextStep { command: again, effect: does };
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
pub(crate) fn shell_quote(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use crate::session::next_steps::*;

    #[test]
    fn a_key_that_looks_like_an_option_can_be_pasted_all_the_same() {
        let rest = " --ledger l.db".to_owned();
        let commands =
            CommandHints { batch: "spring".to_owned(), file: String::new(), ledger_options: rest };
        let told = |wait, key| {
            let steps = commands.steps_for_job(wait, key, None).into_iter();
            steps.map(|step| step.command).filter(|one| one.contains(key)).collect::<Vec<_>>()
        };
        insta::assert_snapshot!(told(AttentionReason::Cancelled, "-x").concat(), @"callsheet retry spring --ledger l.db -- '-x'");
        insta::assert_snapshot!(told(AttentionReason::Cancelled, "x-1").concat(), @"callsheet retry spring x-1 --ledger l.db");
        insta::assert_snapshot!(told(AttentionReason::Uncertain, "-x").join("\n"), @"
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
            assert_eq!(shell_quote(text), word);
        }
    }
}
