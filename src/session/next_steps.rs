//! The commands that the user can type next, for a batch and for every reason why a row needs
//! attention.
//!
//! The commands can be pasted as they are: they name the ledger in use, and whatever a shell would
//! split is quoted. Pure, except that a batch without its file is continued by another command.

use std::borrow::Cow;
use std::path::Path;

use crate::ledger::{JobRow, JobState, RowStatus};
use crate::session::ledger_location::LedgerOptions;
use crate::text::shell_quote;

/// The commands of one batch.
#[derive(Clone, Debug)]
pub(crate) struct CommandHints {
    /// Its name, quoted.
    batch: String,
    file: String,
    /// Options that select the ledger in use.
    ledger_options: String,
    is_rehearsal: bool,
    /// Whether its last plan had rows at which a run stops before it begins.
    has_invalid_rows: bool,
}

/// A command and its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextStep {
    pub(crate) command: String,
    pub(crate) effect: &'static str,
}

/// What a retry of a job does, and whether it costs money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryEffect {
    /// A paid video is downloaded again.
    DownloadAgain,
    /// It is rendered, and was not paid for before.
    Render,
    /// It is checked, and rendered and paid for again unless it has finished.
    RenderAgain,
}

impl RetryEffect {
    /// Returns the effect of retrying a job that failed with this cause.
    fn from_cause(cause: &str) -> Self {
        match cause {
            "fetch-failed" => Self::DownloadAgain,
            "refused" | "submit-given-up" | "cancelled" => Self::Render,
            _ => Self::RenderAgain,
        }
    }

    /// Returns it as the user reads it.
    fn describe(self) -> &'static str {
        match self {
            Self::DownloadAgain => "queues it: the next run downloads it again (free)",
            Self::Render => "queues it: the next run renders it (paid; it was not paid before)",
            Self::RenderAgain => {
                "queues it: the next run checks it first, and pays again if it did not finish"
            }
        }
    }
}

/// Why a row needs the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttentionReason<'c> {
    /// A paid request received no response.
    Uncertain,
    /// A render makes no progress.
    Stalled,
    /// It failed with this cause.
    Failed(&'c str),
    /// The user cancelled it.
    Cancelled,
    /// The row could not be merged.
    Invalid,
}

impl<'c> AttentionReason<'c> {
    /// Returns why rows with this status need the user, if they do.
    pub(crate) fn from_status(status: RowStatus, cause: Option<&'c str>) -> Option<Self> {
        match status {
            RowStatus::Invalid => Some(Self::Invalid),
            RowStatus::Stalled => Some(Self::Stalled),
            RowStatus::State(JobState::Uncertain) => Some(Self::Uncertain),
            RowStatus::State(JobState::Failed) => Some(Self::Failed(cause.unwrap_or("unknown"))),
            RowStatus::State(JobState::Cancelled) => Some(Self::Cancelled),
            RowStatus::State(
                JobState::Ready
                | JobState::Submitting
                | JobState::Rendering
                | JobState::Fetching
                | JobState::Done
                | JobState::Reused,
            )
            | RowStatus::Generating
            | RowStatus::Skipped
            | RowStatus::Removed
            | RowStatus::Open => None,
        }
    }

    /// Returns why a row needs the user, if it does.
    pub(crate) fn from_row(row: &'c JobRow) -> Option<Self> {
        let status = if row.stalled && row.state == Some(JobState::Rendering) {
            RowStatus::Stalled
        } else {
            row.status()
        };
        Self::from_status(status, row.cause.as_deref())
    }

    /// Returns a short explanation; that of a rehearsal speaks of no payment.
    pub(crate) fn describe(self, is_rehearsal: bool) -> &'static str {
        match self {
            Self::Uncertain if is_rehearsal => {
                "may already be submitted; not sent again until that is known"
            }
            Self::Failed("fetch-failed") if is_rehearsal => {
                "rendered; the file could not be downloaded"
            }
            Self::Uncertain => "may already be paid for; not sent again until that is known",
            Self::Stalled => "AI Studios reports no progress; it is polled, and not paid again",
            Self::Failed("refused") => "AI Studios refused the request; nothing was rendered",
            Self::Failed("submit-given-up") => "could not be submitted; nothing was rendered",
            Self::Failed("render-failed") => "the render failed or timed out; it may have finished",
            Self::Failed("fetch-failed") => {
                "rendered and paid for; the file could not be downloaded"
            }
            Self::Failed("abandoned") => "given up by the operator; may be paid for",
            Self::Failed(_) => "see its message",
            Self::Cancelled => "cancelled before submission",
            Self::Invalid => "the row cannot become a video; nothing was sent",
        }
    }

    /// Returns the name of this reason in a heading.
    pub(crate) fn title(self) -> Cow<'c, str> {
        match self {
            Self::Uncertain => "uncertain".into(),
            Self::Stalled => "stalled".into(),
            Self::Failed(cause) => format!("failed ({cause})").into(),
            Self::Cancelled => "cancelled".into(),
            Self::Invalid => "invalid".into(),
        }
    }
}

impl CommandHints {
    /// Returns the commands of a batch in the ledger that `options` select.
    pub(crate) fn new(options: &LedgerOptions, batch: &str, file: &str) -> Self {
        let ledger_options = ledger_arguments(options);
        let batch = shell_quote(batch).into_owned();
        let (file, is_rehearsal) = (file.to_owned(), options.is_rehearsal);
        Self { batch, file, ledger_options, is_rehearsal, has_invalid_rows: false }
    }

    /// Returns whether the ledger is that of rehearsals.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.is_rehearsal
    }

    /// Returns the commands of the same batch with so many invalid rows in its last plan.
    pub(crate) fn with_invalid_rows(self, invalid: u64) -> Self {
        Self { has_invalid_rows: invalid > 0, ..self }
    }

    fn has_file(&self) -> bool {
        Path::new(&self.file).exists()
    }

    /// Returns the command that reads the sheet and runs the batch; without its file, the one that
    /// continues it.
    pub(crate) fn run_command(&self) -> String {
        match self.has_file() {
            true => format!("callsheet run {}{}", shell_quote(&self.file), self.ledger_options),
            false => self.resume_command(),
        }
    }

    /// Returns the command that continues the batch: from the ledger alone, if a run would stop at the
    /// sheet.
    pub(crate) fn continue_command(&self) -> String {
        if self.has_invalid_rows { self.resume_command() } else { self.run_command() }
    }

    /// Returns what the user has to know of that command, if it does not read the sheet.
    pub(crate) fn continue_note(&self) -> Option<&'static str> {
        (self.continue_command() == self.resume_command())
            .then_some("continues what was planned; changes to the sheet are not read")
    }

    fn resume_command(&self) -> String {
        format!("callsheet resume {}{}", self.batch, self.ledger_options)
    }

    /// Returns the command that lists the problems of the inputs, for free.
    pub(crate) fn plan_command(&self) -> String {
        format!("callsheet plan {}{}", shell_quote(&self.file), self.ledger_options)
    }

    /// Returns the command that writes all rows of a plan as a page, for free.
    pub(crate) fn plan_page_command(&self) -> String {
        format!("{} --html plan.html", self.plan_command())
    }

    /// Returns the command that gives finished videos the names of a changed `file`.
    pub(crate) fn rename_command(&self) -> String {
        format!("callsheet rename {}{}", shell_quote(&self.file), self.ledger_options)
    }

    /// Returns the command that compares the ledger with the projects of its accounts.
    pub(crate) fn catch_up_command(&self) -> String {
        format!("callsheet ledger catch-up{}", self.ledger_options)
    }

    /// Returns the command that lists the rows that need the user, and why.
    pub(crate) fn status_command(&self) -> String {
        format!("callsheet status {}{}", self.batch, self.ledger_options)
    }

    /// Returns the command that lists the videos with their verdicts.
    pub(crate) fn review_command(&self) -> String {
        format!("callsheet review {}{}", self.batch, self.ledger_options)
    }

    /// Returns the command that continues a paused batch.
    pub(crate) fn unpause_command(&self) -> String {
        format!("callsheet unpause {}{}", self.batch, self.ledger_options)
    }

    /// Returns the command that lists jobs, with these options.
    pub(crate) fn jobs_command(&self, options: &str) -> String {
        format!("callsheet jobs {} {options}{}", self.batch, self.ledger_options)
    }

    /// Returns the command that retries every failed or cancelled job.
    pub(crate) fn retry_all_command(&self) -> String {
        format!("callsheet retry {}{}", self.batch, self.ledger_options)
    }

    fn retry_command(&self, options: &str) -> String {
        format!("callsheet retry {} {options}{}", self.batch, self.ledger_options)
    }

    fn retry_one_command(&self, key: &str) -> String {
        self.command_for_key("retry", key, "")
    }

    /// A key that begins with a hyphen comes last, after `--`.
    fn command_for_key(&self, command: &str, key: &str, options: &str) -> String {
        let (batch, ledger, quoted) = (&self.batch, &self.ledger_options, shell_quote(key));
        match key.starts_with('-') {
            true => format!("callsheet {command} {batch}{options}{ledger} -- {quoted}"),
            false => format!("callsheet {command} {batch} {quoted}{options}{ledger}"),
        }
    }

    fn continue_step(&self, effect: &'static str) -> NextStep {
        NextStep { command: self.continue_command(), effect }
    }

    fn fix_step(&self) -> NextStep {
        NextStep { command: self.run_command(), effect: "after you fix the row or template" }
    }

    /// Returns the next steps for all rows that need the user for one reason.
    pub(crate) fn steps_for_group(&self, reason: AttentionReason<'_>) -> Vec<NextStep> {
        match reason {
            AttentionReason::Uncertain => {
                vec![self.continue_step(match self.continue_note() {
                    _ if self.is_rehearsal => "checks where they are, then renders what is left",
                    None => "checks AI Studios (free), then renders what is left (paid)",
                    Some(_) => "checks AI Studios (free), then renders the rest as planned (paid)",
                })]
            }
            AttentionReason::Stalled => vec![self.continue_step("continues to poll it")],
            AttentionReason::Failed(cause) => {
                let retry = self.retry_command(&format!("--cause {}", shell_quote(cause)));
                self.steps_after_failure(cause, retry)
            }
            AttentionReason::Cancelled => {
                let command = self.retry_command("--cause cancelled");
                vec![NextStep { command, effect: RetryEffect::Render.describe() }]
            }
            AttentionReason::Invalid => vec![self.fix_step()],
        }
    }

    /// Returns the next steps for one row: those for its reason, or the command that continues its
    /// job.
    pub(crate) fn steps_for_row(&self, key: &str, row: &JobRow) -> Vec<NextStep> {
        match (AttentionReason::from_row(row), row.state) {
            (Some(reason), _) => self.steps_for_job(reason, key),
            (None, Some(state)) if !state.is_final() => vec![self.continue_step("continues it")],
            (None, _) => Vec::new(),
        }
    }

    /// Returns the next steps for one job that needs the user.
    pub(crate) fn steps_for_job(&self, reason: AttentionReason<'_>, key: &str) -> Vec<NextStep> {
        match reason {
            AttentionReason::Uncertain => {
                let mut steps = self.steps_for_group(reason);
                steps.push(self.resolve_step(key));
                steps
            }
            AttentionReason::Failed(cause) => {
                self.steps_after_failure(cause, self.retry_one_command(key))
            }
            AttentionReason::Cancelled => {
                let effect = RetryEffect::Render.describe();
                vec![NextStep { command: self.retry_one_command(key), effect }]
            }
            AttentionReason::Stalled | AttentionReason::Invalid => self.steps_for_group(reason),
        }
    }

    /// Returns the step that settles an uncertain job.
    pub(crate) fn resolve_step(&self, key: &str) -> NextStep {
        let command = self.command_for_key("resolve", key, "");
        NextStep { command, effect: "checks AI Studios, and asks you if that does not decide it" }
    }

    fn steps_after_failure(&self, cause: &str, retry: String) -> Vec<NextStep> {
        let effect = RetryEffect::from_cause(cause);
        let retry = NextStep { command: retry, effect: effect.describe() };
        match cause {
            "refused" => {
                let effect = "only if the cause is gone: the next run sends it again, unchanged";
                vec![self.fix_step(), NextStep { effect, ..retry }]
            }
            "render-failed" => {
                let free = "may have finished: checks, and downloads it for free";
                vec![self.continue_step(free), retry]
            }
            _ => vec![retry],
        }
    }
}

/// Returns the options with which a suggested command uses the same ledger, each after a space.
pub(crate) fn ledger_arguments(options: &LedgerOptions) -> String {
    let mut arguments = String::new();
    if options.is_rehearsal {
        arguments.push_str(" --sandbox");
    }
    if let Some(ledger) = &options.option {
        arguments.push_str(&format!(" --ledger {}", shell_quote(&ledger.to_string())));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use crate::session::next_steps::*;

    #[test]
    fn a_command_with_a_key_that_looks_like_an_option_can_be_pasted() {
        let ledger_options = " --ledger l.db".to_owned();
        let commands = CommandHints {
            batch: "spring".to_owned(),
            file: String::new(),
            ledger_options,
            is_rehearsal: false,
            has_invalid_rows: false,
        };
        let steps = |reason, key| {
            let steps = commands.steps_for_job(reason, key).into_iter();
            steps
                .map(|step| step.command)
                .filter(|command| command.contains(key))
                .collect::<Vec<_>>()
        };
        insta::assert_snapshot!(steps(AttentionReason::Cancelled, "-x").concat(), @"callsheet retry spring --ledger l.db -- '-x'");
        insta::assert_snapshot!(steps(AttentionReason::Cancelled, "x-1").concat(), @"callsheet retry spring x-1 --ledger l.db");
        insta::assert_snapshot!(steps(AttentionReason::Uncertain, "-x").concat(), @"callsheet resolve spring --ledger l.db -- '-x'");
    }

    #[test]
    fn a_key_with_spaces_and_quotes_is_one_word_of_the_command() {
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
