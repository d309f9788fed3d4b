//! A lost export, sent once more where that renders nothing again.
//!
//! Only where the batch was told so of AI Studios, and exports keep their draft's id. The intent that
//! is on disk stays the only one: whichever of the two comes first renders, the other does nothing, and
//! a crash in between leaves the job as uncertain as it was.

use std::time::Duration;

use tokio::sync::MutexGuard;

use super::desk::Desk;
use super::evidence::Tagged;
use super::halt::{Cause, Circuit, Halt};
use super::hooks::blot_out;
use super::port::{Export, Studio, Submitted};
use super::submit::has_turn;
use crate::batch::{OnUncertain, SecondExport};
use crate::ledger::{Due, State};

/// What came of sending it once more.
pub(super) enum Repeated {
    /// It was accepted, under this id where it is not the draft's.
    Accepted(Option<String>),
    /// It may have been: what is quiet now has just been sent.
    Unknown(String),
    /// It was not sent, or not taken; nothing has changed.
    Not,
}

/// Tells whether a lost export can be made again at once: a second one of the same project, under
/// the same id, renders nothing again, whether or not the first one came.
pub(super) fn may_repeat<S>(desk: &Desk<S>, due: &Due, list: &Tagged) -> bool {
    let by_the_batch = match desk.settings.on_uncertain {
        OnUncertain::Settle | OnUncertain::Resubmit => true,
        OnUncertain::Hold => false,
    };
    // What was rendered before is rendered again after an edit: there, a second export is a first.
    let is_the_same = due.project_id.is_some() && due.mark.is_none();
    let is_free = desk.settings.vendor.second_export == SecondExport::Nothing;
    by_the_batch && is_free && is_the_same && list.keeps_ids
}

/// Keeps claims and repeats apart, for a claim counts what is under way, and a repeat becomes a part of
/// that without one. Nothing where nothing is ever repeated.
pub(super) async fn apart<S>(desk: &Desk<S>) -> Option<MutexGuard<'_, ()>> {
    match desk.settings.vendor.second_export {
        SecondExport::Nothing => Some(desk.clock.idle(desk.repeating.lock()).await),
        SecondExport::Bills => None,
    }
}

/// Tells whether one more render may be under way.
async fn has_room<S: Studio>(desk: &Desk<S>) -> bool {
    match desk.ledger.left_to_do(desk.batch, None).await {
        Ok((counts, _)) => {
            let jobs = |state| counts.get(&state).copied().unwrap_or(0);
            let under_way = jobs(State::Submitting) + jobs(State::Rendering);
            under_way < u64::from(desk.settings.limits.in_flight.get())
        }
        Err(error) => {
            desk.ledger_failed(&error);
            false
        }
    }
}

/// Sends it once more, unless this look is too old or nothing may be spent by now.
pub(super) async fn repeat<S: Studio>(desk: &Desk<S>, due: &Due, looked_at: Duration) -> Repeated {
    let Some(project_id) = due.project_id.clone() else { return Repeated::Not };
    match desk.ledger.is_paused(desk.batch).await {
        Ok(false) => {}
        Ok(true) => return Repeated::Not,
        Err(error) => {
            desk.ledger_failed(&error);
            return Repeated::Not;
        }
    }
    if !has_room(desk).await || !has_turn(desk, looked_at).await {
        return Repeated::Not;
    }
    // It may be the first that comes, so it has to be called about as well.
    let secret = desk.fresh_secret(due).await;
    let webhook_url = secret.as_ref().and_then(|secret| desk.address(secret));
    let export = Export { project_id: project_id.clone(), webhook_url };
    match blot_out(desk.studio.export(export).await, secret.as_ref()) {
        Submitted::Accepted(answered) => {
            desk.heard();
            desk.allowance.submits().went_well();
            Repeated::Accepted(answered.filter(|answered| *answered != project_id))
        }
        Submitted::Unknown { words, retry_after } => {
            desk.leave_alone(retry_after).await;
            desk.halts.failed(Circuit::Paid, Cause::Unknown, &words);
            Repeated::Unknown(words)
        }
        Submitted::NotSent { words } => {
            desk.not_heard(&words);
            Repeated::Not
        }
        // What it refuses may be what it took before: the quiet wait goes on.
        Submitted::Refused { .. } => Repeated::Not,
        Submitted::SlowDown { retry_after } => {
            desk.slow_down(retry_after).await;
            Repeated::Not
        }
        Submitted::Account { words, polls_too } => {
            desk.halts.halt(Halt::Account { words, polls_too });
            Repeated::Not
        }
        Submitted::Moved { words } => {
            desk.halts.halt(Halt::Moved { words });
            Repeated::Not
        }
    }
}
