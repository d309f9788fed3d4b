//! The rows of a batch that need the user, grouped by reason.
//!
//! The group type itself belongs to `report`, which writes it into `run.json` and `report.html`;
//! here it is read from the ledger and completed with messages and commands.

use crate::ledger::{BatchId, JobRow, JobState, Ledger, LedgerError, MessageCount, RowStatus};
use crate::report::{AttentionGroup, MessageRecord, ReportRows};
use crate::session::next_steps::{AttentionReason, CommandHints};

/// Rows of a group that are shown one by one.
const EXAMPLE_ROWS_MAX: u64 = 5;
/// Different messages of a group that are reported.
const MESSAGES_MAX: usize = 5;
/// Different messages of a batch that are read to find those.
const MESSAGES_READ_MAX: u32 = 500;

/// Returns the groups of a batch, without their messages. Those that may have cost money are first.
pub(crate) async fn read_groups(
    ledger: &Ledger,
    batch: BatchId,
    commands: &CommandHints,
) -> Result<Vec<AttentionGroup>, LedgerError> {
    let invalid = ledger.count_invalid(batch).await?;
    let mut groups = Vec::new();
    for count in ledger.attention_counts(batch).await? {
        let state = match count.state {
            // A rendering job needs the user only if it is stalled.
            JobState::Rendering => RowStatus::Stalled,
            state => RowStatus::State(state),
        };
        groups.push(new_group(state, count.cause, count.jobs, commands));
    }
    if invalid > 0 {
        groups.push(new_group(RowStatus::Invalid, None, invalid, commands));
    }
    Ok(groups)
}

fn new_group(
    state: RowStatus,
    cause: Option<String>,
    jobs: u64,
    commands: &CommandHints,
) -> AttentionGroup {
    let reason = AttentionReason::from_status(state, cause.as_deref());
    let steps = reason.map(|reason| commands.steps_for_group(reason)).unwrap_or_default();
    let next = steps.into_iter().map(|step| step.command).collect();
    AttentionGroup { state, cause, jobs, messages: Vec::new(), next }
}

/// Completes groups with the messages of their rows, the most frequent first.
pub(crate) async fn read_messages(
    groups: &mut [AttentionGroup],
    ledger: &Ledger,
    batch: BatchId,
) -> Result<(), LedgerError> {
    let counts = ledger.message_counts(batch, MESSAGES_READ_MAX).await?;
    for group in groups {
        group.messages = match group.state {
            RowStatus::Invalid => invalid_row_messages(ledger, batch).await?,
            _ => group_messages(group, &counts),
        };
    }
    Ok(())
}

fn group_messages(group: &AttentionGroup, counts: &[MessageCount]) -> Vec<MessageRecord> {
    let is_member =
        |count: &&MessageCount| job_state(group) == Some(count.state) && count.cause == group.cause;
    let record = |count: &MessageCount| {
        let words = count.message.clone()?;
        Some(MessageRecord { words, jobs: count.jobs, key: count.key.clone() })
    };
    counts.iter().filter(is_member).filter_map(record).take(MESSAGES_MAX).collect()
}

async fn invalid_row_messages(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Vec<MessageRecord>, LedgerError> {
    let rows = ledger.invalid_rows(batch, -1, MESSAGES_MAX as u32).await?;
    let record = |row: JobRow| {
        let key = row.key.unwrap_or_else(|| format!("row {}", row.row_number));
        Some(MessageRecord { words: row.message?, jobs: 1, key })
    };
    Ok(rows.into_iter().filter_map(record).collect())
}

/// Returns the first rows of a group.
pub(crate) async fn example_rows(
    group: &AttentionGroup,
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Vec<JobRow>, LedgerError> {
    let rows_max = group.jobs.min(EXAMPLE_ROWS_MAX) as usize;
    if group.state == RowStatus::Invalid {
        return ledger.invalid_rows(batch, -1, rows_max as u32).await;
    }
    let mut examples = Vec::new();
    let mut rows = ReportRows::new(ledger, batch);
    while examples.len() < rows_max
        && let Some(row) = rows.next_row().await?
    {
        if has_member(group, &row) {
            examples.push(row);
        }
    }
    Ok(examples)
}

fn has_member(group: &AttentionGroup, row: &JobRow) -> bool {
    let is_same_state = job_state(group) == row.state;
    match group.state {
        RowStatus::Stalled => is_same_state && row.stalled,
        _ => is_same_state && group.cause == row.cause,
    }
}

/// Returns the state of the group's jobs; invalid rows have no job.
fn job_state(group: &AttentionGroup) -> Option<JobState> {
    match group.state {
        RowStatus::State(state) => Some(state),
        RowStatus::Stalled => Some(JobState::Rendering),
        _ => None,
    }
}

/// Returns the options of `callsheet jobs` that list a group.
pub(crate) fn jobs_options(group: &AttentionGroup) -> String {
    let state = group.state.as_str();
    match &group.cause {
        Some(cause) => format!("--state {state} --cause {cause}"),
        None => format!("--state {state}"),
    }
}
