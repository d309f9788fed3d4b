//! The rows of a batch that need the user, grouped by reason.
//!
//! The group type itself belongs to `report`, which writes it into `run.json` and `report.html`;
//! here it is read from the ledger and completed with messages and commands.

use crate::ledger::{BatchId, JobRow, JobState, Ledger, LedgerError, MessageCount, RowStatus};
use crate::report::{AttentionGroup, MessageRecord};
use crate::session::next_steps::{AttentionReason, CommandHints};

/// Rows of a group that are shown one by one.
const EXAMPLE_ROWS_MAX: u32 = 5;
/// Different messages of a group that are reported.
const MESSAGES_MAX: usize = 5;

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
    for group in groups {
        group.messages = match job_state(group) {
            None => invalid_row_messages(ledger, batch).await?,
            Some(state) => {
                let (cause, max) = (group.cause.as_deref(), MESSAGES_MAX as u32);
                let counts = ledger.message_counts(batch, state, cause, max).await?;
                counts.into_iter().map(message_record).collect()
            }
        };
    }
    Ok(())
}

fn message_record(count: MessageCount) -> MessageRecord {
    MessageRecord { words: count.words, jobs: count.jobs.unsigned_abs(), key: count.key }
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
    let cause = group.cause.as_deref();
    match job_state(group) {
        None => ledger.invalid_rows(batch, -1, EXAMPLE_ROWS_MAX).await,
        Some(state) => ledger.attention_rows(batch, state, cause, EXAMPLE_ROWS_MAX).await,
    }
}

/// Returns the state of a group's jobs; invalid rows have no job.
fn job_state(group: &AttentionGroup) -> Option<JobState> {
    match group.state {
        RowStatus::State(state) => Some(state),
        RowStatus::Stalled => Some(JobState::Rendering),
        RowStatus::Generating
        | RowStatus::Invalid
        | RowStatus::Skipped
        | RowStatus::Removed
        | RowStatus::Open => None,
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
