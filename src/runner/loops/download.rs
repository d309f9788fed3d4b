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

use crate::aistudios::{DownloadError, RenderStatus, StudioApi};
use crate::ledger::{DueClaim, DueJob, JobState, JobUpdate};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::files::part_file;
use crate::runner::files::part_file::{PartFile, PartFileError};
use crate::runner::in_flight;
use crate::runner::in_flight::InFlightSet;
use crate::runner::limits::halt::Halt;

/// A fetch that was claimed is not claimed again for this long.
const DOWNLOAD_LEASE: Duration = Duration::from_secs(6 * 3600);
/// Bytes between two reports of progress.
const REPORT_INTERVAL_BYTES: u64 = 1 << 20;

/// Fetches finished videos until nothing is followed any more.
pub(in crate::runner) async fn download_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    let hands = Arc::new(Semaphore::new(desk.settings.limits.downloads.get() as usize));
    let in_hand = InFlightSet::default();
    while desk.can_follow() && desk.can_download() {
        let free = u32::try_from(hands.available_permits()).unwrap_or(u32::MAX);
        let now = desk.clock.now();
        let claim = DueClaim {
            max: free,
            excluded: in_hand.items(),
            now,
            busy_until: desk.timestamp_after(DOWNLOAD_LEASE),
        };
        match desk.lease.claim_due_jobs(JobState::Fetching, claim).await {
            Ok(due) if due.is_empty() => {
                let next = desk.ledger.next_due_at(desk.batch, JobState::Fetching).await;
                let next = next.ok().flatten().filter(|_| free > 0);
                let next = next.map(|next| in_flight::next_claim_at(&desk, next, now));
                desk.wait_for_work(&desk.wakeups.download, next, desk.following_stopped()).await;
            }
            Ok(due) => {
                for one in due {
                    let Ok(hand) = hands.clone().try_acquire_owned() else { break };
                    let Some(grip) = in_hand.try_acquire(one.job) else { continue };
                    let desk_of_task = desk.clone();
                    desk.spawn(async move {
                        download_job(&desk_of_task, one).await;
                        drop((hand, grip));
                        desk_of_task.wakeups.download.notify_one();
                    });
                }
            }
            Err(error) => desk.halt_on_ledger_error(&error),
        }
    }
}

/// Why a file is not here yet.
enum DownloadFailure {
    /// The link no longer holds.
    LinkExpired,
    /// Worth trying again, after so long where that was said.
    Transient(String, Option<Duration>),
    /// Not worth trying again.
    Permanent(String),
    /// The output folder cannot be written: nobody's fetch will do.
    OutputFolder(String),
    /// The run is over.
    Stopped,
}

impl From<DownloadError> for DownloadFailure {
    fn from(trouble: DownloadError) -> Self {
        match trouble {
            DownloadError::LinkExpired => Self::LinkExpired,
            DownloadError::Transient { message: words, retry_after } => {
                Self::Transient(words, retry_after)
            }
            DownloadError::Refused { message: words } => Self::Permanent(words),
        }
    }
}

impl From<PartFileError> for DownloadFailure {
    fn from(error: PartFileError) -> Self {
        match error {
            PartFileError::Disk { .. } => Self::OutputFolder(error.to_string()),
            PartFileError::Incomplete(_) => Self::Transient(error.to_string(), None),
        }
    }
}

async fn download_job<S: StudioApi>(desk: &RunContext<S>, due: DueJob) {
    let ids = (due.job, due.submission);
    match download_video(desk, &due).await {
        Ok(video) => {
            let file = video.file.clone();
            if desk.record(ids, JobUpdate::Fetched(video)).await.is_some() {
                desk.observer.notify(RunEvent::Done { key: due.key, file });
            }
        }
        Err(DownloadFailure::Stopped) => {}
        // No fetch would do, so this one costs no attempt: the next run finds the job due.
        Err(DownloadFailure::OutputFolder(words)) => {
            desk.breakers.halt(Halt::OutputFolder { message: words });
            desk.wakeups.run_end.notify_one();
        }
        Err(DownloadFailure::Permanent(words)) => give_up(desk, &due, words).await,
        Err(DownloadFailure::Transient(words, retry_after)) => {
            // The host in the link may be gone for good; the next try takes what is said now.
            if let Some(video_url) = refresh_link(desk, &due).await {
                desk.record(ids, JobUpdate::LinkRefreshed { video_url }).await;
            }
            retry_download(desk, &due, (words, retry_after)).await;
        }
        Err(DownloadFailure::LinkExpired) => match refresh_link(desk, &due).await {
            Some(video_url)
                if due.fetch_failures < i64::from(desk.settings.limits.fetch_retries) =>
            {
                desk.record(ids, JobUpdate::LinkRefreshed { video_url }).await;
            }
            Some(_) | None => {
                let words = "the link to the video has expired".to_owned();
                retry_download(desk, &due, (words, None)).await;
            }
        },
    }
}

async fn retry_download<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    (words, retry_after): (String, Option<Duration>),
) {
    let limits = &desk.settings.limits;
    if due.fetch_failures >= i64::from(limits.fetch_retries) {
        return give_up(desk, due, words).await;
    }
    let pause =
        desk.jitter.backoff_delay((limits.backoff_min, limits.backoff_max), due.fetch_failures);
    let due_at = desk.timestamp_after(pause.max(retry_after.unwrap_or_default()));
    let news = JobUpdate::FetchAttemptFailed { due_at, message: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Retry { key: due.key.clone(), words, due_at });
    }
}

async fn give_up<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, words: String) {
    let news = JobUpdate::FetchFailed { message: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Failed { key: due.key.clone(), words });
    }
}

/// Asks where the file is now. The same link again counts as no link: it has just expired.
async fn refresh_link<S: StudioApi>(desk: &RunContext<S>, due: &DueJob) -> Option<String> {
    let asked = due.render_id.as_ref().or(due.project_id.as_ref())?;
    let known = due.video_url.as_deref();
    if let Ok(RenderStatus::Finished { video_url }) =
        desk.call_api(desk.studio.render_status(asked)).await?
        && Some(video_url.as_str()) != known
    {
        return Some(video_url);
    }
    let project = desk.call_api(desk.studio.read_project(asked)).await?.ok()?;
    project.video_url.filter(|url| Some(url.as_str()) != known)
}

async fn download_video<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
) -> Result<crate::ledger::VerifiedVideo, DownloadFailure> {
    let url = due.video_url.as_deref().ok_or(DownloadFailure::LinkExpired)?;
    let name = versioned_name(&due.file_name, due.version);
    let mut part = PartFile::open(&desk.settings.output_dir, &name, due.tag.as_str()).await?;
    let mut download = desk.studio.open_download(url, part.resume_point()).await?;
    part.begin_at(download.offset, download.etag.as_deref()).await?;
    let mut reported = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            () = desk.stop.draining() => None,
            chunk = download.body.next() => Some(chunk),
        };
        let Some(chunk) = chunk else {
            // What has arrived stays in the part; the next run goes on from there.
            part.sync_for_resume().await?;
            return Err(DownloadFailure::Stopped);
        };
        let Some(chunk) = chunk else { break };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(trouble) => {
                part.sync_for_resume().await?;
                return Err(trouble.into());
            }
        };
        part.append(&chunk).await?;
        if part.length() >= reported + REPORT_INTERVAL_BYTES {
            reported = part.length();
            let (key, total) = (due.key.clone(), download.total_bytes);
            desk.observer.notify(RunEvent::Downloading { key, bytes: reported, total });
        }
    }
    if let Some(total) = download.total_bytes.filter(|total| *total != part.length()) {
        part.sync_for_resume().await?;
        let words = format!("the download ended at {} of {total} bytes", part.length());
        return Err(DownloadFailure::Transient(words, None));
    }
    Ok(part.finish().await?)
}

/// The first version has the plain name; later ones never take a paid file's place.
fn versioned_name(name: &str, version: i64) -> String {
    if version <= 1 {
        return name.to_owned();
    }
    part_file::with_suffix(Path::new(name), &format!("-v{version}")).display().to_string()
}
