//! The explanation of the canary gate: while the first videos are made, the others wait, and a user who
//! is not told why takes the run for stuck.

use crate::aistudios::StudioApi;
use crate::ledger::{ClaimBlock, LedgerError};
use crate::runner::claims::per_run_max;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::text::pluralize;

/// Reports once per run that jobs wait until the canary videos are verified, if that is so.
pub(in crate::runner) async fn report_canary_wait<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    let condition = match run.progress.ledger_changes.last_claim_block() {
        ClaimBlock::Canary => "verified",
        ClaimBlock::Sample => "approved",
        ClaimBlock::NothingDue
        | ClaimBlock::InFlight
        | ClaimBlock::PerRun
        | ClaimBlock::Credits
        | ClaimBlock::Paused
        | ClaimBlock::ProjectInUse => return Ok(()),
    };
    if run.progress.is_canary_wait_reported() {
        return Ok(());
    }
    let (counts, _) = run.ledger.remaining_work(run.batch, run.options.only).await?;
    let open = counts.iter().filter(|(state, _)| state.is_open()).map(|(_, jobs)| jobs).sum();
    let ready = run.ledger.count_ready(run.batch, run.options.only).await?;
    let waiting = match per_run_max(run) {
        Some(most) => {
            let begun = run.ledger.count_begun(run.lease.run_id()).await?;
            ready.min(u64::from(most).saturating_sub(begun))
        }
        None => ready,
    };
    if open > 0 && waiting > 0 {
        run.progress.set_canary_wait_reported();
        run.observer
            .notify(RunEvent::Waiting { message: canary_message(open, waiting, condition) });
    }
    Ok(())
}

fn canary_message(first: u64, others: u64, condition: &str) -> String {
    let (go, they) = if first == 1 { ("goes", "it is") } else { ("go", "they are") };
    let follow = if others == 1 { "follows" } else { "follow" };
    format!("{} {go} first; {others} {follow} when {they} {condition}", pluralize(first, "video"))
}

#[cfg(test)]
mod tests {
    use crate::runner::loops::canary_wait::*;

    #[test]
    fn message_states_both_counts() {
        let messages = [(2, 41, "verified"), (1, 1, "approved")]
            .map(|(first, others, condition)| canary_message(first, others, condition));
        assert_eq!(
            messages,
            [
                "2 videos go first; 41 follow when they are verified",
                "1 video goes first; 1 follows when it is approved",
            ]
        );
    }
}
