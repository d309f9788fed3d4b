//! The fetch loop: brings finished videos home.
//!
//! A file appears under its name only when it is whole: bytes go to `NAME.part`, are checked and
//! synced, and only then get their name, in a way that never overwrites anything. If the power
//! fails before the name, the next run goes on with the part; after it, the next run finds the file,
//! proves that it is the same, and notes it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Semaphore;

use super::desk::Desk;
use super::halt::Halt;
use super::happening::Happening;
use super::in_hand::{self, InHand};
use super::part::{self, Part, PartError};
use super::port::{FetchTrouble, Render, Studio};
use crate::ledger::{Due, News, State};

/// A fetch that was claimed is not claimed again for this long.
const FETCH_LEASE: Duration = Duration::from_secs(6 * 3600);
/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 1 << 20;

/// Fetches finished videos until nothing is followed any more.
pub(super) async fn fetch_loop<S: Studio>(desk: Arc<Desk<S>>) {
    let hands = Arc::new(Semaphore::new(desk.settings.limits.downloads.get() as usize));
    let in_hand = InHand::default();
    while desk.may_follow() && desk.may_fetch() {
        let free = u32::try_from(hands.available_permits()).unwrap_or(u32::MAX);
        let window = (desk.clock.now(), desk.after(FETCH_LEASE));
        let what = (desk.batch, State::Fetching);
        match desk.ledger.claim_due(desk.lease, what, (free, in_hand.all()), window).await {
            Ok(due) if due.is_empty() => {
                let next = desk.ledger.next_due(desk.batch, State::Fetching, None).await;
                let next = next.ok().flatten().filter(|_| free > 0);
                let next = next.map(|next| in_hand::next_try(&desk, next, window.0));
                desk.rest(&desk.bells.fetch, next, desk.no_more_following()).await;
            }
            Ok(due) => {
                for one in due {
                    let Ok(hand) = hands.clone().try_acquire_owned() else { break };
                    let Some(grip) = in_hand.take(one.job) else { continue };
                    let desk_of_task = desk.clone();
                    desk.spawn(async move {
                        fetch(&desk_of_task, one).await;
                        drop((hand, grip));
                        desk_of_task.bells.fetch.notify_one();
                    });
                }
            }
            Err(error) => desk.ledger_failed(&error),
        }
    }
}

/// Why a file is not here yet.
enum Miss {
    /// The link no longer holds.
    Expired,
    /// Worth trying again, after so long where that was said.
    Passing(String, Option<Duration>),
    /// Not worth trying again.
    Final(String),
    /// The output folder cannot be written: nobody's fetch will do.
    Output(String),
    /// The run is over.
    Over,
}

impl From<FetchTrouble> for Miss {
    fn from(trouble: FetchTrouble) -> Self {
        match trouble {
            FetchTrouble::Expired => Self::Expired,
            FetchTrouble::Passing { words, retry_after } => Self::Passing(words, retry_after),
            FetchTrouble::Refused { words } => Self::Final(words),
        }
    }
}

impl From<PartError> for Miss {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Disk { .. } => Self::Output(error.to_string()),
            PartError::NotWhole(_) => Self::Passing(error.to_string(), None),
        }
    }
}

async fn fetch<S: Studio>(desk: &Desk<S>, due: Due) {
    let ids = (due.job, due.submission);
    match bring_home(desk, &due).await {
        Ok(video) => {
            let file = video.file.clone();
            if desk.record(ids, News::Fetched(video)).await.is_some() {
                desk.observer.tell(Happening::Done { key: due.key, file });
            }
        }
        Err(Miss::Over) => {}
        // No fetch would do, so this one costs no attempt: the next run finds the job due.
        Err(Miss::Output(words)) => {
            desk.halts.halt(Halt::Output { words });
            desk.bells.end.notify_one();
        }
        Err(Miss::Final(words)) => give_up(desk, &due, words).await,
        Err(Miss::Passing(words, retry_after)) => {
            // The host in the link may be gone for good; the next try takes what is said now.
            if let Some(video_url) = fresh_link(desk, &due).await {
                desk.record(ids, News::FreshLink { video_url }).await;
            }
            again(desk, &due, (words, retry_after)).await;
        }
        Err(Miss::Expired) => match fresh_link(desk, &due).await {
            Some(video_url)
                if due.fetch_failures < i64::from(desk.settings.limits.fetch_retries) =>
            {
                desk.record(ids, News::FreshLink { video_url }).await;
            }
            Some(_) | None => {
                let words = "the link to the video has expired".to_owned();
                again(desk, &due, (words, None)).await;
            }
        },
    }
}

async fn again<S: Studio>(
    desk: &Desk<S>,
    due: &Due,
    (words, retry_after): (String, Option<Duration>),
) {
    let limits = &desk.settings.limits;
    if due.fetch_failures >= i64::from(limits.fetch_retries) {
        return give_up(desk, due, words).await;
    }
    let pause = desk.dice.back_off((limits.backoff_min, limits.backoff_max), due.fetch_failures);
    let due_at = desk.after(pause.max(retry_after.unwrap_or_default()));
    let news = News::FetchTrouble { due_at, words: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.tell(Happening::Retry { key: due.key.clone(), words, due_at });
    }
}

async fn give_up<S: Studio>(desk: &Desk<S>, due: &Due, words: String) {
    let news = News::FetchFailed { words: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.tell(Happening::Failed { key: due.key.clone(), words });
    }
}

/// Asks where the file is now. The same link again counts as no link: it has just expired.
async fn fresh_link<S: Studio>(desk: &Desk<S>, due: &Due) -> Option<String> {
    let asked = due.render_id.as_ref().or(due.project_id.as_ref())?;
    let known = due.video_url.as_deref();
    if let Ok(Render::Finished { video_url }) = desk.ask(desk.studio.progress(asked)).await?
        && Some(video_url.as_str()) != known
    {
        return Some(video_url);
    }
    let project = desk.ask(desk.studio.project(asked)).await?.ok()?;
    project.video_url.filter(|url| Some(url.as_str()) != known)
}

async fn bring_home<S: Studio>(desk: &Desk<S>, due: &Due) -> Result<crate::ledger::Video, Miss> {
    let url = due.video_url.as_deref().ok_or(Miss::Expired)?;
    let name = versioned(&due.file_name, due.version);
    let mut part = Part::open(&desk.settings.output, &name, due.tag.as_str()).await?;
    let mut download = desk.studio.download(url, part.resume()).await?;
    part.begin(download.from, download.mark.as_deref()).await?;
    let mut reported = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            () = desk.stop.draining() => None,
            chunk = download.body.next() => Some(chunk),
        };
        let Some(chunk) = chunk else {
            // What has arrived stays in the part; the next run goes on from there.
            part.keep().await?;
            return Err(Miss::Over);
        };
        let Some(chunk) = chunk else { break };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(trouble) => {
                part.keep().await?;
                return Err(trouble.into());
            }
        };
        part.write(&chunk).await?;
        if part.length() >= reported + REPORT_EVERY {
            reported = part.length();
            let (key, total) = (due.key.clone(), download.total);
            desk.observer.tell(Happening::Downloading { key, bytes: reported, total });
        }
    }
    if let Some(total) = download.total.filter(|total| *total != part.length()) {
        part.keep().await?;
        let words = format!("the download ended at {} of {total} bytes", part.length());
        return Err(Miss::Passing(words, None));
    }
    Ok(part.finish().await?)
}

/// The first version has the plain name; later ones never take a paid file's place.
fn versioned(name: &str, version: i64) -> String {
    if version <= 1 {
        return name.to_owned();
    }
    part::with_suffix(Path::new(name), &format!("-v{version}")).display().to_string()
}
