//! The download loop: downloads finished videos.
//!
//! A file gets its name only when it is complete: bytes go to `NAME.part`, are checked and synced, and
//! only then renamed, in a way that never overwrites a file. If the power fails before the rename,
//! the next run resumes the part file; after it, the next run finds the file, verifies that it is the
//! same, and records it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::aistudios::{RenderStatus, StudioApi};
use crate::http::{DownloadError, HttpDownload};
use crate::ledger::{DueClaim, DueJob, JobState, JobUpdate, LedgerError, VerifiedVideo};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::is_foreign_to;
use crate::runner::files::mp4_check::Mp4Defect;
use crate::runner::files::part_file::{PartFile, PartFileError};
use crate::runner::files::video_name::versioned_name;
use crate::runner::in_flight::{InFlightGuard, InFlightSet};
use crate::runner::limits::halt::Halt;
use crate::runner::loops::render_outcome::{link_file, polled_id};

/// A claimed download is not claimed again for this long.
const DOWNLOAD_BUSY_TIME: Duration = Duration::from_secs(6 * 3600);
/// Refused links for which a job waits without losing an attempt: a file may reach the host some time
/// after its link, and then every link is refused.
const FREE_REFUSALS_MAX: u32 = 8;
/// The shortest of these waits.
const FILE_WAIT_MIN: Duration = Duration::from_millis(500);
/// A file whose check a process did not survive is downloaded again after this, unless it is the job's
/// first failure: that one process was probably killed.
const UNFINISHED_CHECK_PAUSE: Duration = Duration::from_secs(120);
/// Bytes between two progress events.
const REPORT_INTERVAL_BYTES: u64 = 1 << 20;

/// A claimed download, with its share of the open downloads.
struct DownloadTask {
    due: DueJob,
    _permit: OwnedSemaphorePermit,
    _guard: InFlightGuard,
}

/// Why a video is not downloaded yet.
enum DownloadFailure {
    /// The link is refused: it has expired, or the file is not there yet.
    LinkRefused(String),
    /// A retry may succeed, no earlier than after `retry_after`.
    Transient { message: String, retry_after: Option<Duration> },
    /// The process that checked the file died, perhaps of it.
    UnfinishedCheck(String),
    /// A retry is pointless.
    Permanent(String),
    /// The output folder cannot be written, which affects every download.
    OutputFolder(String),
    /// The run ends.
    Stopped,
}

impl From<DownloadError> for DownloadFailure {
    fn from(error: DownloadError) -> Self {
        let message = error.to_string();
        match error {
            DownloadError::LinkExpired { .. } => Self::LinkRefused(message),
            DownloadError::UrlRejected { .. } | DownloadError::TooLarge => Self::Permanent(message),
            DownloadError::RateLimited { retry_after } => Self::Transient { message, retry_after },
            DownloadError::Unreachable(_)
            | DownloadError::NoResponse { .. }
            | DownloadError::UnexpectedStatus { .. }
            | DownloadError::Stalled { .. }
            | DownloadError::UnsupportedEncoding { .. }
            | DownloadError::Undecodable
            | DownloadError::Truncated { .. } => Self::Transient { message, retry_after: None },
        }
    }
}

impl From<PartFileError> for DownloadFailure {
    fn from(error: PartFileError) -> Self {
        let message = error.to_string();
        match error {
            PartFileError::Disk { .. } => Self::OutputFolder(message),
            PartFileError::Incomplete(Mp4Defect::UnfinishedCheck) => Self::UnfinishedCheck(message),
            PartFileError::Incomplete(_) => Self::Transient { message, retry_after: None },
        }
    }
}

/// Downloads finished videos until paid submissions are no longer followed.
pub(in crate::runner) async fn download_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    let permits = Arc::new(Semaphore::new(run.settings.limits.downloads.get() as usize));
    let in_flight = InFlightSet::default();
    while run.can_follow() && run.can_download() {
        let free = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
        let now = run.clock.now();
        let claim = DueClaim {
            max: free,
            excluded: in_flight.items(),
            now,
            busy_until: run.timestamp_after(DOWNLOAD_BUSY_TIME),
        };
        let claimed = run.lease.claim_due_jobs(JobState::Fetching, claim).await?;
        if claimed.is_empty() {
            let next = run.ledger.next_due_at(run.batch, JobState::Fetching).await?;
            let next = next.filter(|_| free > 0).map(|next| run.next_claim_at(next, now));
            run.wait_for_work(&run.wakeups.download, next, run.following_stopped()).await;
        }
        for due in claimed {
            let Ok(permit) = permits.clone().try_acquire_owned() else { break };
            let Some(guard) = in_flight.try_acquire(due.job) else { continue };
            let task = DownloadTask { due, _permit: permit, _guard: guard };
            run.spawn(run_download_task(run.clone(), task));
        }
    }
    Ok(())
}

async fn run_download_task<S: StudioApi>(
    run: Arc<RunContext<S>>,
    task: DownloadTask,
) -> Result<(), LedgerError> {
    download_job(&run, &task.due).await?;
    drop(task);
    run.wakeups.download.notify_one();
    Ok(())
}

async fn download_job<S: StudioApi>(run: &RunContext<S>, due: &DueJob) -> Result<(), LedgerError> {
    match download_video(run, due).await {
        Ok(video) => {
            let file = video.file.clone();
            run.record(due.job, due.submission, JobUpdate::Fetched(video)).await?;
            run.observer.notify(RunEvent::Done { key: due.key.clone(), file });
            Ok(())
        }
        Err(DownloadFailure::Stopped) => Ok(()),
        // Every download would fail, so this one costs no retry: the next run finds the job due.
        Err(DownloadFailure::OutputFolder(message)) => {
            run.limits.breakers.halt(Halt::OutputFolder { message });
            run.wakeups.run_end.notify_one();
            Ok(())
        }
        Err(DownloadFailure::Permanent(message)) => give_up(run, due, message).await,
        Err(DownloadFailure::Transient { message, retry_after }) => {
            // The link's host may be gone for good, so the retry uses the link reported now.
            if let Some(video_url) = refresh_link(run, due, false).await {
                let update = JobUpdate::LinkRefreshed { video_url };
                run.record(due.job, due.submission, update).await?;
            }
            retry_download(run, due, message, retry_after).await
        }
        Err(DownloadFailure::UnfinishedCheck(message)) => {
            // The others first: this file may end the process again.
            let pause = (due.fetch_failures > 0).then_some(UNFINISHED_CHECK_PAUSE);
            retry_download(run, due, message, pause).await
        }
        Err(DownloadFailure::LinkRefused(message)) => on_link_refused(run, due, message).await,
    }
}

/// Uses a fresh link at once if there is one, and later ones after a pause. Only a link that is refused
/// again and again costs attempts.
async fn on_link_refused<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    message: String,
) -> Result<(), LedgerError> {
    let refusals = run.progress.count_link_refusal(due.job);
    let video_url = refresh_link(run, due, true).await;
    if refusals <= FREE_REFUSALS_MAX {
        return await_file(run, due, FileWait { refusals, video_url, message }).await;
    }
    if let Some(video_url) = video_url.filter(|_| has_retries_left(run, due)) {
        let update = JobUpdate::LinkRefreshed { video_url };
        run.record(due.job, due.submission, update).await?;
        return Ok(());
    }
    retry_download(run, due, message, None).await
}

/// A wait for a file whose link is refused.
struct FileWait {
    refusals: u32,
    /// The link to use next, if it has changed.
    video_url: Option<String>,
    message: String,
}

async fn await_file<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    wait: FileWait,
) -> Result<(), LedgerError> {
    let FileWait { refusals, video_url, message } = wait;
    // A link that has expired is simply replaced.
    let pause = if refusals == 1 && video_url.is_some() {
        Duration::ZERO
    } else {
        run.backoff_delay(i64::from(refusals)).max(FILE_WAIT_MIN)
    };
    let due_at = run.timestamp_after(pause);
    let update = JobUpdate::FileAwaited { due_at, video_url, message: message.clone() };
    run.record(due.job, due.submission, update).await?;
    if !pause.is_zero() {
        run.observer.notify(RunEvent::Retry { key: due.key.clone(), message, due_at });
    }
    Ok(())
}

fn has_retries_left<S: StudioApi>(run: &RunContext<S>, due: &DueJob) -> bool {
    due.fetch_failures < i64::from(run.settings.limits.fetch_retries)
}

async fn retry_download<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    message: String,
    retry_after: Option<Duration>,
) -> Result<(), LedgerError> {
    if !has_retries_left(run, due) {
        return give_up(run, due, message).await;
    }
    let pause = run.backoff_delay(due.fetch_failures).max(retry_after.unwrap_or_default());
    let due_at = run.timestamp_after(pause);
    let update = JobUpdate::FetchAttemptFailed { due_at, message: message.clone() };
    run.record(due.job, due.submission, update).await?;
    run.observer.notify(RunEvent::Retry { key: due.key.clone(), message, due_at });
    Ok(())
}

async fn give_up<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    message: String,
) -> Result<(), LedgerError> {
    let update = JobUpdate::FetchFailed { message: message.clone() };
    run.record(due.job, due.submission, update).await?;
    run.observer.notify(RunEvent::Failed { key: due.key.clone(), message });
    Ok(())
}

/// Reads the current link of a video. `None` if it is the known one, which has just failed, or if
/// nothing certain can be read.
///
/// The project comes first: an answer about progress names no project, and may be that of another row.
/// Its link is used if it leads to the same file, or if projects were never seen to show links.
async fn refresh_link<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    is_refused: bool,
) -> Option<String> {
    let id = polled_id(due)?;
    let known = due.video_url.as_deref();
    let is_new = |video_url: &String| Some(video_url.as_str()) != known;
    let shown = match run.call_api(run.studio.read_project(id)).await? {
        Ok(project) if is_foreign_to(&project, due) => return None,
        Ok(project) => project.video_url,
        Err(error) if error.is_about_project() => known.map(str::to_owned),
        Err(_) => return None,
    };
    let is_hidden = shown.is_none() && !run.progress.pages_show_links.load(Ordering::Relaxed);
    match shown {
        Some(video_url) if is_new(&video_url) => return Some(video_url),
        Some(_) if !is_refused => return None,
        Some(_) | None => {}
    }
    let video_url = match run.call_api(run.studio.render_status(id)).await? {
        Ok(RenderStatus::Finished { video_url }) => video_url,
        Ok(
            RenderStatus::Running { .. } | RenderStatus::WithoutLink | RenderStatus::Failed { .. },
        )
        | Err(_) => return None,
    };
    let is_certain =
        is_hidden || known.is_some_and(|known| link_file(known) == link_file(&video_url));
    Some(video_url).filter(|video_url| is_certain && is_new(video_url))
}

async fn download_video<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<VerifiedVideo, DownloadFailure> {
    let url = due.video_url.as_deref();
    let url = url.ok_or_else(|| DownloadFailure::LinkRefused("it has no link".to_owned()))?;
    let name = versioned_name(&due.file_name, due.version);
    let mut part = PartFile::open(&run.settings.output_dir, &name, due.tag.as_str()).await?;
    let mut download = run.studio.open_download(url, part.resume_point()).await?;
    run.progress.clear_link_refusals(due.job);
    part.begin_at(download.offset, download.etag.as_deref()).await?;
    if let Err(failure) = receive_body(run, due, &mut download, &mut part).await {
        // The received bytes stay in the part file; the next download resumes there.
        part.sync_for_resume().await?;
        return Err(failure);
    }
    Ok(part.finish().await?)
}

/// Appends the download's bytes to the part file until all have arrived.
async fn receive_body<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    download: &mut HttpDownload,
    part: &mut PartFile,
) -> Result<(), DownloadFailure> {
    let mut reported = 0;
    loop {
        let chunk = tokio::select! {
            biased;
            () = run.shutdown.signal().draining() => return Err(DownloadFailure::Stopped),
            chunk = download.body.next() => chunk,
        };
        let Some(chunk) = chunk else { break };
        part.append(&chunk?).await?;
        if part.length() >= reported + REPORT_INTERVAL_BYTES {
            reported = part.length();
            let (key, total) = (due.key.clone(), download.total_bytes);
            run.observer.notify(RunEvent::Downloading { key, bytes: reported, total });
        }
    }
    match download.total_bytes {
        Some(total) if total != part.length() => {
            let message = format!("the download ended at {} of {total} bytes", part.length());
            Err(DownloadFailure::Transient { message, retry_after: None })
        }
        Some(_) | None => Ok(()),
    }
}
