//! The watch loop: asks about renders under way until each has come to an end.
//!
//! A poll moves a job only to what AI Studios says of it. A render that stands still is shown as
//! stalled and asked about more rarely; one that does not end in time is given up, and never
//! submitted again by itself. Nothing is given up or paid for again upon one answer alone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::desk::Desk;
use super::halt::{Cause, Circuit};
use super::happening::Happening;
use super::hooks;
use super::in_hand::{self, InHand};
use super::pace::{next_poll, next_poll_if_told};
use super::port::{Project, Render, Studio, Trouble};
use super::second_look::{Again, Elsewhere, ask_again, at_its_projects, look_elsewhere};
use crate::ledger::{Chosen, Due, News, State};

/// Polls in the air at once; the limiter paces them.
const POLLS_AT_ONCE: usize = 16;
/// A poll that was claimed is not claimed again for this long: it may have to wait for its turn
/// until a long Retry-After is over.
const POLL_LEASE: Duration = Duration::from_secs(6 * 3600);

/// From here on a call that told of the end was hardly out of its order: the rest is awaited.
const NEARLY_OVER: f64 = 95.0;

/// Polls renders until nothing is followed any more.
pub(super) async fn watch_loop<S: Studio>(desk: Arc<Desk<S>>) {
    let hands = Arc::new(Semaphore::new(POLLS_AT_ONCE));
    let in_hand = InHand::default();
    while desk.may_follow() {
        desk.bells.watch.unset();
        let free = u32::try_from(hands.available_permits()).unwrap_or(u32::MAX);
        let next = desk.ledger.next_due(desk.batch, State::Rendering, None).await.ok().flatten();
        let next = if free == 0 { None } else { next };
        if next.is_none_or(|next| next > desk.clock.now()) {
            desk.bells.watch.set(next);
            desk.rest(desk.bells.watch.bell(), next, desk.no_more_following()).await;
            continue;
        }
        let window = (desk.clock.now(), desk.after(POLL_LEASE));
        let what = (desk.batch, State::Rendering);
        match desk.ledger.claim_due(desk.lease, what, (free, in_hand.all()), window).await {
            Ok(due) if due.is_empty() => {
                let next = next.map(|next| in_hand::next_try(&desk, next, window.0));
                desk.rest(desk.bells.watch.bell(), next, desk.no_more_following()).await;
            }
            Ok(due) => {
                for one in due {
                    let Ok(hand) = hands.clone().try_acquire_owned() else { break };
                    let Some(grip) = in_hand.take(one.job) else { continue };
                    let desk_of_task = desk.clone();
                    desk.spawn(async move {
                        poll(&desk_of_task, &one).await;
                        hooks::heed(&desk_of_task, &one, window.0).await;
                        drop((hand, grip));
                        desk_of_task.bells.watch.ring();
                    });
                }
            }
            Err(error) => desk.ledger_failed(&error),
        }
    }
}

/// Renders that were given up are looked at once more in every run: what was paid for is taken,
/// however late it comes.
const LATE_LOOKS_MAX: u32 = 500;

/// Looks once at renders that an earlier run gave up. Then what a person wants again is put back,
/// and not before: it would be paid for twice if it came late.
pub(super) async fn look_at_late_ones<S: Studio>(desk: &Desk<S>) {
    while let Some(looked_at) = look_at_some(desk).await {
        if looked_at == LATE_LOOKS_MAX as usize && desk.orders.again {
            continue;
        }
        if desk.orders.again {
            put_back(desk).await;
        }
        return;
    }
}

async fn put_back<S: Studio>(desk: &Desk<S>) {
    let chosen = Chosen { selection: desk.orders.only, ..Chosen::default() };
    let change = desk.ledger.try_again(desk.lease, desk.batch, chosen, desk.clock.now());
    match desk.changes.make(change, Result::is_ok).await {
        Ok(_) => {
            desk.bells.draft.notify_one();
            desk.bells.pay.notify_one();
            desk.bells.fetch.notify_one();
        }
        Err(error) => desk.ledger_failed(&error),
    }
}

/// Returns how many were looked at; nothing when that was cut short.
async fn look_at_some<S: Studio>(desk: &Desk<S>) -> Option<usize> {
    let late = match desk.ledger.claim_late(desk.lease, desk.batch, LATE_LOOKS_MAX).await {
        Ok(late) => late,
        Err(error) => {
            desk.ledger_failed(&error);
            return None;
        }
    };
    let mut list = None;
    for due in &late {
        let Some(asked) = due.render_id.clone().or_else(|| due.project_id.clone()) else {
            continue;
        };
        match desk.ask(desk.studio.progress(&asked)).await {
            Some(Ok(Render::Finished { video_url })) => finished(desk, due, video_url).await,
            Some(
                Ok(Render::Running { .. } | Render::WithoutLink | Render::Failed { .. })
                | Err(Trouble::NotFound),
            ) => match look_elsewhere(desk, due, &mut list).await {
                Elsewhere::Finished { video_url } => finished(desk, due, video_url).await,
                Elsewhere::Other { id, finished: true } => follow(desk, due, id).await,
                Elsewhere::Other { finished: false, .. }
                | Elsewhere::Nothing
                | Elsewhere::Unseen => {}
            },
            Some(Err(
                Trouble::Passing { .. }
                | Trouble::SlowDown { .. }
                | Trouble::Account { .. }
                | Trouble::Moved { .. },
            )) => {}
            None => return None,
        }
    }
    Some(late.len())
}

async fn poll<S: Studio>(desk: &Desk<S>, due: &Due) {
    let Some(asked) = due.render_id.clone().or_else(|| due.project_id.clone()) else { return };
    let Some(answer) = desk.ask(desk.studio.progress(&asked)).await else { return };
    match answer {
        Ok(Render::Running { progress }) => running(desk, due, progress).await,
        Ok(Render::Finished { .. } | Render::WithoutLink | Render::Failed { .. })
            if shows_a_former_render(desk, due, &asked).await =>
        {
            running(desk, due, 100.0).await;
        }
        Ok(Render::Finished { video_url }) => finished(desk, due, video_url).await,
        Ok(Render::Failed { words }) => match ask_again(desk, due, &asked).await {
            Again::Failed => failed(desk, due, words).await,
            Again::Running { progress } => running(desk, due, progress).await,
            Again::Finished { video_url } => finished(desk, due, video_url).await,
            Again::Unseen => not_seen(desk, due).await,
        },
        Ok(Render::WithoutLink) => match read_project(desk, &asked).await {
            Some(Project { video_url: Some(video_url), .. }) => {
                finished(desk, due, video_url).await;
            }
            Some(Project { video_url: None, .. }) | None => running(desk, due, 100.0).await,
        },
        Err(Trouble::NotFound) => not_found(desk, due, &asked).await,
        Err(
            Trouble::Passing { .. }
            | Trouble::SlowDown { .. }
            | Trouble::Account { .. }
            | Trouble::Moved { .. },
        ) => not_seen(desk, due).await,
    }
}

/// A project that was rendered before our export may go on showing that render for a while. Its
/// ending is not ours: what told it from others before the export must have changed first.
async fn shows_a_former_render<S: Studio>(desk: &Desk<S>, due: &Due, asked: &str) -> bool {
    let Some(mark) = due.mark.as_ref().filter(|_| due.render_id.is_none()) else { return false };
    // It was seen at work since.
    if due.polls > 0 && due.progress.is_some_and(|progress| progress < 100.0) {
        return false;
    }
    read_project(desk, asked).await.is_none_or(|project| project.mark.as_ref() == Some(mark))
}

async fn read_project<S: Studio>(desk: &Desk<S>, id: &str) -> Option<Project> {
    desk.ask(desk.studio.project(id)).await?.ok()
}

/// The id that the export answered may be unknown to the progress page; then the draft's own is
/// asked about, and the project itself is read. One that nobody knows is shown as standing still: it
/// may not be there yet.
async fn not_found<S: Studio>(desk: &Desk<S>, due: &Due, asked: &str) {
    if let Some(other) = due.project_id.clone().filter(|other| other != asked) {
        match desk.ask(desk.studio.progress(&other)).await {
            Some(Ok(Render::Finished { video_url })) => {
                return finished(desk, due, video_url).await;
            }
            Some(Ok(Render::Running { progress })) => return running(desk, due, progress).await,
            Some(Ok(Render::WithoutLink | Render::Failed { .. }) | Err(_)) | None => {}
        }
    }
    match at_its_projects(desk, due).await {
        Elsewhere::Finished { video_url } => finished(desk, due, video_url).await,
        Elsewhere::Other { .. } | Elsewhere::Nothing | Elsewhere::Unseen => {
            running(desk, due, due.progress.unwrap_or(0.0)).await;
        }
    }
}

async fn finished<S: Studio>(desk: &Desk<S>, due: &Due, video_url: String) {
    desk.halts.went_well(Circuit::Render);
    desk.learned().note(elapsed(desk, due.rendering_at));
    if due.rendering_at.is_some() {
        desk.was_told(due, true).await;
    }
    if desk.record((due.job, due.submission), News::Rendered { video_url }).await.is_some() {
        desk.observer.tell(Happening::Rendered { key: due.key.clone() });
        ask_for_the_price(desk, due).await;
    }
}

/// Where credits are capped, what a render did cost takes its estimate's place. Free to ask, but a
/// request all the same, so only then.
async fn ask_for_the_price<S: Studio>(desk: &Desk<S>, due: &Due) {
    let limits = &desk.settings.limits;
    if limits.max_credits.is_none() && limits.max_credits_per_day.is_none() {
        return;
    }
    let Some(asked) = due.render_id.as_ref().or(due.project_id.as_ref()) else { return };
    if let Some(Project { credits: Some(credits), .. }) = read_project(desk, asked).await
        && let Err(error) = desk.ledger.hear_credits(due.submission, credits).await
    {
        desk.ledger_failed(&error);
    }
}

async fn running<S: Studio>(desk: &Desk<S>, due: &Due, progress: f64) {
    let limits = &desk.settings.limits;
    let spent = elapsed(desk, due.rendering_at);
    if spent > limits.render_timeout {
        let words = format!("no end after {} of rendering", in_words(limits.render_timeout));
        return out_of_patience(desk, due, words).await;
    }
    let progress = progress.clamp(0.0, 100.0);
    let moved = due.progress != Some(progress);
    let stalled = !moved && elapsed(desk, due.moved_at) > limits.stall_after;
    let heard = desk.was_told(due, false).await;
    let told_of_its_end = heard.is_some_and(|heard| heard.progress >= Some(100.0));
    let pause = if stalled {
        limits.poll_max
    } else if desk.is_told() && !(told_of_its_end && progress >= NEARLY_OVER) {
        next_poll_if_told(spent, progress, limits.poll_max)
    } else {
        next_poll(spent, progress, (limits.poll_min, limits.poll_max))
    };
    let due_at = desk.after(desk.dice.around(pause, 0.05));
    let news = News::Polled { progress, due_at, stalled };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.tell(Happening::Progress { key: due.key.clone(), progress, stalled });
    }
}

/// Trouble says nothing of a render: an account that was shut overnight must not turn what was
/// paid for into failures. Only a run that could not ask in all that time itself gives up.
async fn not_seen<S: Studio>(desk: &Desk<S>, due: &Due) {
    let limits = &desk.settings.limits;
    let asked_for = desk.clock.awake().saturating_sub(desk.began);
    let spent = elapsed(desk, due.rendering_at);
    if spent.min(asked_for) > limits.render_timeout {
        let words = format!("no word of it for {}", in_words(limits.render_timeout));
        return out_of_patience(desk, due, words).await;
    }
    put_off(desk, due).await;
}

async fn put_off<S: Studio>(desk: &Desk<S>, due: &Due) {
    let due_at = desk.after(desk.dice.around(desk.settings.limits.poll_max, 0.05));
    let (progress, stalled) = (due.progress.unwrap_or(0.0), false);
    desk.record((due.job, due.submission), News::Polled { progress, due_at, stalled }).await;
}

/// A render that failed at the vendor is paid for again only within the batch's leave.
async fn failed<S: Studio>(desk: &Desk<S>, due: &Due, words: String) {
    desk.halts.failed(Circuit::Render, Cause::RenderFailed, &words);
    let limits = &desk.settings.limits;
    if due.rerenders >= i64::from(limits.rerenders) {
        return give_up(desk, due, words).await;
    }
    let pause = desk.dice.back_off((limits.backoff_min, limits.backoff_max), due.rerenders);
    let due_at = desk.after(pause);
    let news = News::Rerendered { due_at, words: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.tell(Happening::Retry { key: due.key.clone(), words, due_at });
    }
}

/// A look that did not work is made again so many polls long before a render is given up without.
const LOOKS_IN_VAIN: u32 = 10;

/// What did not end in time is given up only when it is seen nowhere else either.
async fn out_of_patience<S: Studio>(desk: &Desk<S>, due: &Due, words: String) {
    let limits = &desk.settings.limits;
    let asked_for = desk.clock.awake().saturating_sub(desk.began);
    let overdue = elapsed(desk, due.rendering_at).saturating_sub(limits.render_timeout);
    let in_vain = overdue.min(asked_for) > limits.poll_max * LOOKS_IN_VAIN;
    match look_elsewhere(desk, due, &mut None).await {
        Elsewhere::Finished { video_url } => finished(desk, due, video_url).await,
        Elsewhere::Other { id, .. } => {
            let given_up = desk.record((due.job, due.submission), News::RenderFailed { words });
            // Nothing else may have begun for its row.
            if given_up.await.is_some_and(|recorded| recorded.state == State::Failed) {
                follow(desk, due, id).await;
            }
        }
        // The run ends; the next one looks.
        Elsewhere::Unseen if !desk.may_follow() => {}
        Elsewhere::Unseen if !in_vain => put_off(desk, due).await,
        Elsewhere::Nothing | Elsewhere::Unseen => give_up(desk, due, words).await,
    }
}

/// Follows a render that was given up, and that another project turned out to be.
async fn follow<S: Studio>(desk: &Desk<S>, due: &Due, other: String) {
    let Some(project_id) = due.project_id.clone() else { return };
    let news = News::Accepted {
        project_id,
        render_id: Some(other.clone()),
        due_at: desk.clock.now(),
        words: "its tag is in the project list under another id".to_owned(),
    };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.tell(Happening::Rendering { key: due.key.clone(), project_id: other });
    }
}

async fn give_up<S: Studio>(desk: &Desk<S>, due: &Due, words: String) {
    let news = News::RenderFailed { words: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.tell(Happening::Failed { key: due.key.clone(), words });
    }
}

/// Returns the time since `at`, as far as the wall clock can be believed.
pub(super) fn elapsed<S>(desk: &Desk<S>, at: Option<i64>) -> Duration {
    let Some(at) = at.and_then(|at| Timestamp::from_millisecond(at).ok()) else {
        return Duration::ZERO;
    };
    Duration::try_from(desk.clock.now().duration_since(at)).unwrap_or(Duration::ZERO)
}

pub(super) fn in_words(span: Duration) -> String {
    let span = jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX);
    format!("{span:#}")
}
