//! The generation loop: asks about drafts that AI Studios makes by itself, until each can be
//! exported.
//!
//! Nothing is paid for yet, as far as the reference says, and nothing is exported before AI Studios
//! says both `finish` and 100. A draft that stands still or fails is begun again only within
//! `rerenders`, as a failed render is: what a model makes may have a price of its own.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::halt::{Cause, Circuit};
use super::happening::Happening;
use super::in_hand::{self, Grip, InHand};
use super::pace::next_poll;
use super::port::{Generation, Studio};
use super::watch::{elapsed, in_words};
use crate::ledger::{Making, News};

/// Polls claimed together.
const AT_ONCE: u32 = 16;
/// A poll that was claimed is not claimed again for this long.
const POLL_LEASE: Duration = Duration::from_secs(600);

/// Polls drafts in the making until nothing more may be submitted.
pub(super) async fn generation_loop<S: Studio>(desk: Arc<Desk<S>>) {
    let in_hand = InHand::default();
    while desk.may_submit() {
        // Most batches never have one, and a claim is a commit.
        let next = desk.ledger.next_generating(desk.batch).await.ok().flatten();
        if next.is_none_or(|next| next > desk.clock.now()) {
            desk.rest(&desk.bells.generation, next, desk.no_more_submitting()).await;
            continue;
        }
        let window = (desk.clock.now(), desk.after(POLL_LEASE));
        let most = (AT_ONCE, in_hand.all());
        match desk.ledger.claim_generating(desk.lease, desk.batch, most, window).await {
            Ok(due) if due.is_empty() => {
                let next = next.map(|next| in_hand::next_try(&desk, next, window.0));
                desk.rest(&desk.bells.generation, next, desk.no_more_submitting()).await;
            }
            Ok(due) => {
                for one in due {
                    let Some(grip) = in_hand.take(one.job) else { continue };
                    desk.spawn(look(desk.clone(), one, grip));
                }
            }
            Err(error) => desk.ledger_failed(&error),
        }
    }
}

async fn look<S: Studio>(desk: Arc<Desk<S>>, making: Making, grip: Grip) {
    let answer = desk.ask(desk.studio.generation(&making.project_id)).await;
    match answer {
        None => return,
        Some(Ok(Generation::Finished)) => finished(&desk, &making).await,
        Some(Ok(Generation::Running { progress })) => running(&desk, &making, progress).await,
        Some(Ok(Generation::Failed { words })) => failed(&desk, &making, words).await,
        Some(Err(_)) => {
            // Trouble says nothing of it.
            let due_at = desk.after(desk.dice.around(desk.settings.limits.poll_max, 0.05));
            let progress = making.progress.unwrap_or(0.0);
            let news = News::Generated { progress, due_at };
            desk.record((making.job, making.submission), news).await;
        }
    }
    drop(grip);
    desk.bells.generation.notify_one();
}

async fn finished<S: Studio>(desk: &Desk<S>, making: &Making) {
    desk.halts.went_well(Circuit::Draft);
    let ids = (making.job, making.submission);
    if desk.record(ids, News::GenerationEnded).await.is_some() {
        desk.observer.tell(Happening::Drafted { key: making.key.clone() });
    }
}

async fn running<S: Studio>(desk: &Desk<S>, making: &Making, progress: f64) {
    let limits = &desk.settings.limits;
    let progress = progress.clamp(0.0, 100.0);
    let stands_still = making.progress == Some(progress);
    if stands_still && elapsed(desk, making.moved_at) > limits.stall_after {
        let since = in_words(limits.stall_after);
        let words = format!("AI Studios got no further than {progress:.0} % for {since}");
        return failed(desk, making, words).await;
    }
    let spent = elapsed(desk, Some(making.begun_at));
    let pause = next_poll(spent, progress, (limits.poll_min, limits.poll_max));
    let due_at = desk.after(desk.dice.around(pause, 0.05));
    let news = News::Generated { progress, due_at };
    if desk.record((making.job, making.submission), news).await.is_some() {
        desk.observer.tell(Happening::Generating { key: making.key.clone(), progress });
    }
}

async fn failed<S: Studio>(desk: &Desk<S>, making: &Making, words: String) {
    desk.halts.failed(Circuit::Draft, Cause::RenderFailed, &words);
    let (limits, ids) = (&desk.settings.limits, (making.job, making.submission));
    if making.rerenders >= i64::from(limits.rerenders) {
        let news = News::SubmitGivenUp { words: words.clone() };
        if desk.record(ids, news).await.is_some() {
            desk.observer.tell(Happening::Failed { key: making.key.clone(), words });
        }
        return;
    }
    let pause = desk.dice.back_off((limits.backoff_min, limits.backoff_max), making.rerenders);
    let due_at = desk.after(pause);
    let news = News::GenerationFailed { due_at, words: words.clone() };
    if desk.record(ids, news).await.is_some() {
        desk.observer.tell(Happening::Retry { key: making.key.clone(), words, due_at });
    }
}
