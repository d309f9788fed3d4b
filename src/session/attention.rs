//! What stands in the way of a batch, grouped by its reason: a few of the rows, and the command
//! for all of them.

use serde_json::{Value, json};

use crate::ledger::{AttentionCount, BatchId, JobRow, JobState, Ledger};
use crate::report::ReportRows;
use crate::session::locked_batch::ledger_error;
use crate::session::next_steps::{AttentionReason, CommandHints, NextStep};
use crate::session::open_batch::CommandError;
use crate::text::{pluralize, strip_control, truncate};

/// Rows of a group that are shown one by one.
const EXAMPLE_ROWS_MAX: usize = 5;
/// Characters of the vendor's words in one line.
const MESSAGE_CHARS_MAX: usize = 160;

/// Rows that wait for one reason.
#[derive(Clone, Debug)]
pub(crate) struct AttentionGroup {
    /// Where they stand; nothing for rows that could not be merged.
    pub(crate) state: Option<JobState>,
    /// Why, as a word.
    pub(crate) cause: Option<String>,
    /// How many there are.
    pub(crate) jobs: u64,
}

/// Returns the groups: what may have cost money first.
pub(crate) fn group_rows(reasons: Vec<AttentionCount>, invalid: u64) -> Vec<AttentionGroup> {
    let known =
        |AttentionCount { state, cause, jobs }| AttentionGroup { state: Some(state), cause, jobs };
    let mut all: Vec<AttentionGroup> = reasons.into_iter().map(known).collect();
    if invalid > 0 {
        all.push(AttentionGroup { state: None, cause: None, jobs: invalid });
    }
    all
}

impl AttentionGroup {
    fn reason(&self) -> Option<AttentionReason<'_>> {
        // A rendering job is here only when it is stalled.
        AttentionReason::from_job_state(self.state, true, self.cause.as_deref())
    }

    /// Returns the group as a person reads it.
    pub(crate) async fn describe(
        &self,
        ledger: &Ledger,
        batch: BatchId,
        commands: &CommandHints,
    ) -> Result<String, CommandError> {
        let Some(wait) = self.reason() else { return Ok(String::new()) };
        let mut lines = vec![format!("{} {}: {}", self.jobs, wait.title(), wait.describe())];
        let rows = self.example_rows(ledger, batch).await?;
        lines.extend(rows.iter().map(row_line));
        let untold = self.jobs.saturating_sub(rows.len() as u64);
        if untold > 0 {
            let all = commands.jobs_command(&self.jobs_options());
            lines.push(format!("  and {}: {all}", pluralize(untold, "more row")));
        }
        let mut steps = commands.steps_for_group(wait);
        if let (AttentionReason::Uncertain, Some(row)) = (wait, rows.first()) {
            // One by one: each is another question of money.
            let key = row.key.as_deref().unwrap_or_default();
            let one = commands.steps_for_job(wait, key, row.project_id.as_deref());
            steps.extend(one.into_iter().skip(1));
        }
        for step in steps {
            lines.push(format!("    {}\n        {}", step.command, step.effect));
        }
        Ok(lines.join("\n"))
    }

    /// Returns the options of `callsheet jobs` that list this group.
    fn jobs_options(&self) -> String {
        let state = match self.state {
            None => "invalid",
            Some(JobState::Rendering) => "stalled",
            Some(state) => state.as_str(),
        };
        match &self.cause {
            Some(cause) => format!("--state {state} --cause {cause}"),
            None => format!("--state {state}"),
        }
    }

    fn has_member(&self, row: &JobRow) -> bool {
        match (self.state, row.state) {
            (None, None) => true,
            (Some(JobState::Rendering), Some(JobState::Rendering)) => row.stalled,
            (Some(mine), Some(its)) => mine == its && self.cause == row.cause,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    async fn example_rows(
        &self,
        ledger: &Ledger,
        batch: BatchId,
    ) -> Result<Vec<JobRow>, CommandError> {
        let most = usize::try_from(self.jobs).unwrap_or(usize::MAX).min(EXAMPLE_ROWS_MAX);
        let mut found = Vec::new();
        if self.state.is_none() {
            let page = most as u32;
            return ledger.invalid_rows(batch, -1, page).await.map_err(ledger_error);
        }
        let mut rows = ReportRows::new(ledger, batch);
        while found.len() < most
            && let Some(row) = rows.next_row().await.map_err(ledger_error)?
        {
            if self.has_member(&row) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// Returns where they stand, as a word.
    pub(crate) fn state_name(&self) -> &'static str {
        self.state.map_or("invalid", |state| match state {
            JobState::Rendering => "stalled",
            other => other.as_str(),
        })
    }

    /// Returns what to type for all of them.
    pub(crate) fn next_steps(&self, commands: &CommandHints) -> Vec<NextStep> {
        self.reason().map(|wait| commands.steps_for_group(wait)).unwrap_or_default()
    }

    /// Returns the group as programs see it.
    pub(crate) fn to_json(&self, commands: &CommandHints) -> Value {
        let steps: Vec<_> =
            self.next_steps(commands).into_iter().map(|step| step.command).collect();
        json!({
            "state": self.state_name(),
            "cause": self.cause,
            "jobs": self.jobs,
            "next": steps,
        })
    }
}

fn row_line(row: &JobRow) -> String {
    let key = row.key.as_deref().unwrap_or("-");
    let words = match (row.stalled, row.progress) {
        (true, Some(progress)) => format!("stands at {progress:.0} %"),
        _ => row.message.clone().unwrap_or_default(),
    };
    let words = truncate(&words, MESSAGE_CHARS_MAX);
    let gap = if words.is_empty() { "" } else { ": " };
    format!("  row {} {}{gap}{}", row.row_number, strip_control(key), strip_control(&words))
}
