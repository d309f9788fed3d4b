//! A run that crashes in the middle of one step: a separate runtime, dropped with all of its tasks,
//! timers and connections. The sandbox outside of it continues and keeps the bill.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use callsheet::aistudios::{
    AiStudios, CallError, CreateRequest, GenerationStatus, ProjectDetails, ProjectExport,
    ProjectId, ProjectList, RenderStatus, StudioApi, SubmitOutcome,
};
use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::http::{DownloadError, DownloadResume, HttpDownload};
use callsheet::ledger::{Durability, Ledger, LedgerAddress};
use callsheet::plan;
use callsheet::runner::{self};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

use super::{ai_studios, run_input};

/// Bytes of a video that are on disk when its download crashes.
pub(crate) const BYTES_BEFORE_CRASH: usize = 1000;

/// The step at which the process crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// The intent of a draft, or of a one-step request, is on disk; nothing is sent.
    BeforeCreate,
    /// AI Studios has processed it; the response is not received.
    AfterCreate,
    /// A generation was polled; the response is not received.
    AtGeneration,
    /// A project's former render was read; the response is not received.
    AtProject,
    /// The intent of an export is on disk; nothing is sent.
    BeforeExport,
    /// AI Studios renders; the response is not received.
    AfterExport,
    /// The project list is requested, to reconcile a lost response.
    AtList,
    /// The render is polled.
    AtPoll,
    /// The render's end was reported; the response is not received.
    AfterRender,
    /// Some bytes of the video are on disk.
    DuringDownload,
    /// All bytes are on disk; the file is not yet verified.
    AfterDownload,
}

/// A crash at the nth occurrence of a crash point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrashAt {
    point: CrashPoint,
    nth: u32,
}

impl CrashPoint {
    /// Returns a crash at the nth occurrence of this point.
    pub(crate) const fn nth(self, nth: u32) -> CrashAt {
        CrashAt { point: self, nth }
    }
}

/// AI Studios, until the process crashes.
struct CrashingStudio {
    vendor: AiStudios,
    crash_point: CrashPoint,
    /// Occurrences of the crash point until the crash.
    remaining: AtomicU32,
    crashed: Arc<Notify>,
}

impl CrashingStudio {
    fn should_crash(&self, point: CrashPoint) -> bool {
        self.crash_point == point && self.remaining.fetch_sub(1, Ordering::Relaxed) == 1
    }

    async fn crash_if_due(&self, point: CrashPoint) {
        if self.should_crash(point) {
            self.crashed.notify_one();
            pending::<()>().await;
        }
    }
}

impl StudioApi for CrashingStudio {
    async fn create_project(&self, request: CreateRequest) -> SubmitOutcome<ProjectId> {
        self.crash_if_due(CrashPoint::BeforeCreate).await;
        let response = self.vendor.create_project(request).await;
        self.crash_if_due(CrashPoint::AfterCreate).await;
        response
    }

    async fn export_project(&self, export: ProjectExport) -> SubmitOutcome<Option<ProjectId>> {
        self.crash_if_due(CrashPoint::BeforeExport).await;
        let response = self.vendor.export_project(export).await;
        self.crash_if_due(CrashPoint::AfterExport).await;
        response
    }

    async fn render_status(&self, project_id: &str) -> Result<RenderStatus, CallError> {
        self.crash_if_due(CrashPoint::AtPoll).await;
        let response = self.vendor.render_status(project_id).await;
        if matches!(response, Ok(RenderStatus::Finished { .. })) {
            self.crash_if_due(CrashPoint::AfterRender).await;
        }
        response
    }

    async fn generation_status(&self, project_id: &str) -> Result<GenerationStatus, CallError> {
        let response = self.vendor.generation_status(project_id).await;
        self.crash_if_due(CrashPoint::AtGeneration).await;
        response
    }

    async fn read_project(&self, project_id: &str) -> Result<ProjectDetails, CallError> {
        let response = self.vendor.read_project(project_id).await;
        self.crash_if_due(CrashPoint::AtProject).await;
        response
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
        let crashed = self.crashed.clone();
        // The next chunk is requested when the previous one is written.
        let end = stream::once(async move {
            crashed.notify_one();
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

/// Plans and runs a batch in a runtime that is dropped at the nth occurrence of a crash point.
pub(crate) async fn run_until_crash(
    batch: Batch,
    base_url: String,
    ledger: LedgerAddress,
    crash: CrashAt,
) {
    let CrashAt { point, nth } = crash;
    let crashing_run = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open(ledger, Durability::PowerLoss).await.unwrap();
            let plan = plan::plan_batch(&batch, &base_url, &ledger).await.unwrap();
            let id = plan.commit(Clock::real().now()).await.unwrap();
            let crashed = Arc::new(Notify::new());
            let vendor = ai_studios(&batch, &base_url);
            let remaining = AtomicU32::new(nth);
            let studio = CrashingStudio { vendor, crash_point: point, remaining, crashed: crashed.clone() };
            let input = run_input(&batch, id, &ledger, &base_url, studio).await;
            tokio::select! {
                outcome = runner::run_batch(input) => panic!("no crash at {point:?} {nth}: {outcome:?}"),
                () = crashed.notified() => {}
            }
        });
        runtime.shutdown_background();
    };
    tokio::task::spawn_blocking(crashing_run).await.unwrap();
}
