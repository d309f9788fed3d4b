//! What stands in the way of a batch, grouped by its reason: a few of the rows, and the command
//! for all of them.

use serde_json::{Value, json};

use super::advice::{Commands, Step, Wait};
use super::drive::Early;
use super::hold::unexpected;
use super::table::clipped;
use super::talk::{counted, plain};
use crate::ledger::{BatchId, JobRow, Ledger, Reason, State};
use crate::report::Rows;

/// Rows of a group that are shown one by one.
const EXAMPLES: usize = 5;
/// Characters of the vendor's words in one line.
const WORDS_MAX: usize = 160;

/// Rows that wait for one reason.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Where they stand; nothing for rows that could not be merged.
    pub(super) state: Option<State>,
    /// Why, as a word.
    pub(super) cause: Option<String>,
    /// How many there are.
    pub(super) jobs: u64,
}

/// Returns the groups: what may have cost money first.
pub(super) fn of(reasons: Vec<Reason>, invalid: u64) -> Vec<Trouble> {
    let known = |Reason { state, cause, jobs }| Trouble { state: Some(state), cause, jobs };
    let mut all: Vec<Trouble> = reasons.into_iter().map(known).collect();
    if invalid > 0 {
        all.push(Trouble { state: None, cause: None, jobs: invalid });
    }
    all
}

impl Trouble {
    fn wait(&self) -> Option<Wait<'_>> {
        // A rendering job is here only when it is stalled.
        Wait::of(self.state, true, self.cause.as_deref())
    }

    /// Returns the group as a person reads it.
    pub(super) async fn told(
        &self,
        ledger: &Ledger,
        batch: BatchId,
        commands: &Commands,
    ) -> Result<String, Early> {
        let Some(wait) = self.wait() else { return Ok(String::new()) };
        let mut lines = vec![format!("{} {}: {}", self.jobs, wait.title(), wait.words())];
        let rows = self.examples(ledger, batch).await?;
        lines.extend(rows.iter().map(line_of));
        let untold = self.jobs.saturating_sub(rows.len() as u64);
        if untold > 0 {
            let all = commands.jobs(&self.narrowed());
            lines.push(format!("  and {}: {all}", counted(untold, "more row")));
        }
        let mut steps = commands.for_all(wait);
        if let (Wait::Uncertain, Some(row)) = (wait, rows.first()) {
            // One by one: each is another question of money.
            let key = row.key.as_deref().unwrap_or_default();
            let one = commands.for_one(wait, key, row.project_id.as_deref());
            steps.extend(one.into_iter().skip(1));
        }
        for step in steps {
            lines.push(format!("    {}\n        {}", step.command, step.does));
        }
        Ok(lines.join("\n"))
    }

    /// Returns the options of `callsheet jobs` that list this group.
    fn narrowed(&self) -> String {
        let state = match self.state {
            None => "invalid",
            Some(State::Rendering) => "stalled",
            Some(state) => state.word(),
        };
        match &self.cause {
            Some(cause) => format!("--state {state} --cause {cause}"),
            None => format!("--state {state}"),
        }
    }

    fn includes(&self, row: &JobRow) -> bool {
        match (self.state, row.state) {
            (None, None) => true,
            (Some(State::Rendering), Some(State::Rendering)) => row.stalled,
            (Some(mine), Some(its)) => mine == its && self.cause == row.cause,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    async fn examples(&self, ledger: &Ledger, batch: BatchId) -> Result<Vec<JobRow>, Early> {
        let most = usize::try_from(self.jobs).unwrap_or(usize::MAX).min(EXAMPLES);
        let mut found = Vec::new();
        if self.state.is_none() {
            let page = most as u32;
            return ledger.invalid_rows(batch, -1, page).await.map_err(unexpected);
        }
        let mut rows = Rows::of(ledger, batch);
        while found.len() < most
            && let Some(row) = rows.next().await.map_err(unexpected)?
        {
            if self.includes(&row) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// Returns where they stand, as a word.
    pub(super) fn word(&self) -> &'static str {
        self.state.map_or("invalid", |state| match state {
            State::Rendering => "stalled",
            other => other.word(),
        })
    }

    /// Returns what to type for all of them.
    pub(super) fn steps(&self, commands: &Commands) -> Vec<Step> {
        self.wait().map(|wait| commands.for_all(wait)).unwrap_or_default()
    }

    /// Returns the group as programs see it.
    pub(super) fn document(&self, commands: &Commands) -> Value {
        let steps: Vec<_> = self.steps(commands).into_iter().map(|step| step.command).collect();
        json!({
            "state": self.word(),
            "cause": self.cause,
            "jobs": self.jobs,
            "next": steps,
        })
    }
}

fn line_of(row: &JobRow) -> String {
    let key = row.key.as_deref().unwrap_or("-");
    let words = match (row.stalled, row.progress) {
        (true, Some(progress)) => format!("stands at {progress:.0} %"),
        _ => row.words.clone().unwrap_or_default(),
    };
    let words = clipped(&words, WORDS_MAX);
    let gap = if words.is_empty() { "" } else { ": " };
    format!("  row {} {}{gap}{}", row.row_number, plain(key), plain(&words))
}
