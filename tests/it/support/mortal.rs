//! A run that dies in the middle of one act: a runtime of its own, with every task, timer and
//! connection in it, dropped. The virtual studio beside it lives on and keeps the bill.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger};
use callsheet::plan;
use callsheet::runner::{
    self, Download, Export, FetchTrouble, Generation, List, Make, Project, Render, Studio,
    Submitted, Trouble, Vendor,
};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

use super::{shift, vendor};

/// Bytes of a video that are on disk when a crash comes in its download.
pub(crate) const ARRIVED: usize = 1000;

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The intent of a draft, or of a one-step request, is on disk; nothing is sent.
    BeforeCreate,
    /// AI Studios has done it; the answer is not heard.
    AfterCreate,
    /// A film that is being written was asked about; the answer is not heard.
    Generation,
    /// A project was read, to see what it showed before; the answer is not heard.
    Project,
    /// The intent of an export is on disk; nothing is sent.
    BeforeExport,
    /// AI Studios renders; the answer is not heard.
    AfterExport,
    /// The list is asked for, to find what a lost answer was about.
    List,
    /// The render is known, and is asked about.
    Poll,
    /// The render's end was said; it is not heard.
    Rendered,
    /// Some bytes of the video are on disk.
    Download,
    /// All of them are; the file is not yet known to be whole.
    Fetched,
}

/// AI Studios, until the process dies.
struct Mortal {
    vendor: Vendor,
    at: Act,
    /// So many times the act goes well before it is the last one.
    left: AtomicU32,
    died: Arc<Notify>,
}

impl Mortal {
    fn dies(&self, act: Act) -> bool {
        self.at == act && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    async fn die_if(&self, act: Act) {
        if self.dies(act) {
            self.died.notify_one();
            pending::<()>().await;
        }
    }
}

impl Studio for Mortal {
    async fn create(&self, make: Make) -> Submitted<String> {
        self.die_if(Act::BeforeCreate).await;
        let answer = self.vendor.create(make).await;
        self.die_if(Act::AfterCreate).await;
        answer
    }

    async fn export(&self, export: Export) -> Submitted<Option<String>> {
        self.die_if(Act::BeforeExport).await;
        let answer = self.vendor.export(export).await;
        self.die_if(Act::AfterExport).await;
        answer
    }

    async fn progress(&self, project_id: &str) -> Result<Render, Trouble> {
        self.die_if(Act::Poll).await;
        let answer = self.vendor.progress(project_id).await;
        if matches!(answer, Ok(Render::Finished { .. })) {
            self.die_if(Act::Rendered).await;
        }
        answer
    }

    async fn generation(&self, project_id: &str) -> Result<Generation, Trouble> {
        let answer = self.vendor.generation(project_id).await;
        self.die_if(Act::Generation).await;
        answer
    }

    async fn project(&self, project_id: &str) -> Result<Project, Trouble> {
        let answer = self.vendor.project(project_id).await;
        self.die_if(Act::Project).await;
        answer
    }

    async fn list(&self) -> Result<List, Trouble> {
        self.die_if(Act::List).await;
        self.vendor.list().await
    }

    async fn delete(&self, ids: &[String]) -> Result<u64, Trouble> {
        self.vendor.delete(ids).await
    }

    async fn download(
        &self,
        url: &str,
        resume: Option<(u64, String)>,
    ) -> Result<Download, FetchTrouble> {
        let mut download = self.vendor.download(url, resume).await?;
        let died = self.died.clone();
        // What comes next is asked for when what came before is written.
        let end = stream::once(async move {
            died.notify_one();
            pending().await
        });
        if self.dies(Act::Download) {
            let first = download.body.next().await.unwrap().unwrap();
            let first = stream::once(async move { Ok(first[..ARRIVED].to_vec()) });
            download.body = first.chain(end).boxed();
        } else if self.dies(Act::Fetched) {
            download.body = download.body.chain(end).boxed();
        }
        Ok(download)
    }
}

/// Plans and runs a batch in a runtime that is dropped at the `nth` time of `act`.
pub(crate) async fn dies(
    batch: Batch,
    (base_url, ledger): (String, PathBuf),
    (act, nth): (Act, u32),
) {
    let doomed = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open(&ledger, Durability::PowerLoss).await.unwrap();
            let plan = plan::draw_up(&batch, &base_url, &ledger).await.unwrap();
            let id = plan.take_in(Clock::real().now()).await.unwrap();
            let died = Arc::new(Notify::new());
            let vendor = vendor(&batch, &base_url);
            let left = AtomicU32::new(nth);
            let mortal = Mortal { vendor, at: act, left, died: died.clone() };
            let shift = shift((&batch, id), &ledger, &base_url, mortal).await;
            tokio::select! {
                ended = runner::run(shift) => panic!("it lived past {act:?} {nth}: {ended:?}"),
                () = died.notified() => {}
            }
        });
        runtime.shutdown_background();
    };
    tokio::task::spawn_blocking(doomed).await.unwrap();
}
