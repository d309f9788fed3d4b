//! A run that dies in the middle of one act: a runtime of its own, with every task, timer and
//! connection in it, dropped. The virtual studio beside it lives on and keeps the bill.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use callsheet::aistudios::{
    AiStudios, CallError, CreateRequest, GenerationStatus, ProjectDetails, ProjectExport,
    ProjectId, ProjectList, RenderStatus, StudioApi, SubmitOutcome,
};
use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::http::{DownloadError, DownloadResume, HttpDownload};
use callsheet::ledger::{Durability, Ledger};
use callsheet::plan;
use callsheet::runner::{self};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

use super::{ai_studios, run_input};

/// Bytes of a video that are on disk when a crash comes in its download.
pub(crate) const BYTES_BEFORE_CRASH: usize = 1000;

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// The intent of a draft, or of a one-step request, is on disk; nothing is sent.
    BeforeCreate,
    /// AI Studios has done it; the answer is not heard.
    AfterCreate,
    /// A film that is being written was asked about; the answer is not heard.
    AtGeneration,
    /// A project was read, to see what it showed before; the answer is not heard.
    AtProject,
    /// The intent of an export is on disk; nothing is sent.
    BeforeExport,
    /// AI Studios renders; the answer is not heard.
    AfterExport,
    /// The list is asked for, to find what a lost answer was about.
    AtList,
    /// The render is known, and is asked about.
    AtPoll,
    /// The render's end was said; it is not heard.
    AfterRender,
    /// Some bytes of the video are on disk.
    DuringDownload,
    /// All of them are; the file is not yet known to be whole.
    AfterDownload,
}

/// AI Studios, until the process dies.
struct CrashingStudio {
    vendor: AiStudios,
    crash_point: CrashPoint,
    /// So many times the act goes well before it is the last one.
    remaining: AtomicU32,
    crashed: Arc<Notify>,
}

impl CrashingStudio {
    fn should_crash(&self, act: CrashPoint) -> bool {
        self.crash_point == act && self.remaining.fetch_sub(1, Ordering::Relaxed) == 1
    }

    async fn crash_if_due(&self, act: CrashPoint) {
        if self.should_crash(act) {
            self.crashed.notify_one();
            pending::<()>().await;
        }
    }
}

impl StudioApi for CrashingStudio {
    async fn create_project(&self, make: CreateRequest) -> SubmitOutcome<ProjectId> {
        self.crash_if_due(CrashPoint::BeforeCreate).await;
        let answer = self.vendor.create_project(make).await;
        self.crash_if_due(CrashPoint::AfterCreate).await;
        answer
    }

    async fn export_project(&self, export: ProjectExport) -> SubmitOutcome<Option<ProjectId>> {
        self.crash_if_due(CrashPoint::BeforeExport).await;
        let answer = self.vendor.export_project(export).await;
        self.crash_if_due(CrashPoint::AfterExport).await;
        answer
    }

    async fn render_status(&self, project_id: &str) -> Result<RenderStatus, CallError> {
        self.crash_if_due(CrashPoint::AtPoll).await;
        let answer = self.vendor.render_status(project_id).await;
        if matches!(answer, Ok(RenderStatus::Finished { .. })) {
            self.crash_if_due(CrashPoint::AfterRender).await;
        }
        answer
    }

    async fn generation_status(&self, project_id: &str) -> Result<GenerationStatus, CallError> {
        let answer = self.vendor.generation_status(project_id).await;
        self.crash_if_due(CrashPoint::AtGeneration).await;
        answer
    }

    async fn read_project(&self, project_id: &str) -> Result<ProjectDetails, CallError> {
        let answer = self.vendor.read_project(project_id).await;
        self.crash_if_due(CrashPoint::AtProject).await;
        answer
    }

    async fn list_projects(&self) -> Result<ProjectList, CallError> {
        self.crash_if_due(CrashPoint::AtList).await;
        self.vendor.list_projects().await
    }

    async fn delete_projects(&self, ids: &[String]) -> Result<u64, CallError> {
        self.vendor.delete_projects(ids).await
    }

    async fn open_download(
        &self,
        url: &str,
        resume: Option<DownloadResume>,
    ) -> Result<HttpDownload, DownloadError> {
        let mut download = self.vendor.open_download(url, resume).await?;
        let died = self.crashed.clone();
        // What comes next is asked for when what came before is written.
        let end = stream::once(async move {
            died.notify_one();
            pending().await
        });
        if self.should_crash(CrashPoint::DuringDownload) {
            let first = download.body.next().await.unwrap().unwrap();
            let first = stream::once(async move { Ok(first.slice(..BYTES_BEFORE_CRASH)) });
            download.body = first.chain(end).boxed();
        } else if self.should_crash(CrashPoint::AfterDownload) {
            download.body = download.body.chain(end).boxed();
        }
        Ok(download)
    }
}

/// Plans and runs a batch in a runtime that is dropped at the `nth` time of `act`.
pub(crate) async fn run_until_crash(
    batch: Batch,
    (base_url, ledger): (String, PathBuf),
    (act, nth): (CrashPoint, u32),
) {
    let doomed = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open(&ledger, Durability::PowerLoss).await.unwrap();
            let plan = plan::plan_batch(&batch, &base_url, &ledger).await.unwrap();
            let id = plan.commit(Clock::real().now()).await.unwrap();
            let died = Arc::new(Notify::new());
            let vendor = ai_studios(&batch, &base_url);
            let left = AtomicU32::new(nth);
            let mortal = CrashingStudio { vendor, crash_point: act, remaining: left, crashed: died.clone() };
            let shift = run_input((&batch, id), &ledger, &base_url, mortal).await;
            tokio::select! {
                ended = runner::run_batch(shift) => panic!("it lived past {act:?} {nth}: {ended:?}"),
                () = died.notified() => {}
            }
        });
        runtime.shutdown_background();
    };
    tokio::task::spawn_blocking(doomed).await.unwrap();
}
