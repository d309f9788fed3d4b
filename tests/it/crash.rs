//! A crash at each step of a night, and the next run after it: the README's table, row by row.
//!
//! What dies is a runtime of its own, with every task, timer and connection in it, dropped in the
//! middle of one act. The virtual studio beside it lives on and keeps the bill.

use std::future::pending;
use std::sync::Arc;

use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, Owner, State};
use callsheet::plan;
use callsheet::runner::{
    self, Allowance, Dice, Download, Export, FetchTrouble, Generation, List, Make, Observer,
    Orders, Project, Render, Settings, Shift, Stop, Studio, Submitted, Trouble, Vendor,
};
use callsheet::sandbox;
use callsheet::studio::{Client, Credentials};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use url::Url;

use super::support::Night;

const ROWS: usize = 3;
/// Bytes of a video that are on disk when a crash comes in its download.
const ARRIVED: usize = 1000;

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// The intent of a draft, or of a one-step request, is on disk; nothing is sent.
    BeforeCreate,
    /// AI Studios has done it; the answer is not heard.
    AfterCreate,
    /// The intent of an export is on disk; nothing is sent.
    BeforeExport,
    /// AI Studios renders; the answer is not heard.
    AfterExport,
    /// The render is known, and is asked about.
    Poll,
    /// Some bytes of the video are on disk.
    Download,
}

/// AI Studios, until the process dies.
struct Mortal {
    vendor: Vendor,
    at: Act,
    died: Arc<Notify>,
}

impl Mortal {
    async fn die_if(&self, act: Act) {
        if self.at == act {
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
        self.vendor.progress(project_id).await
    }

    async fn generation(&self, project_id: &str) -> Result<Generation, Trouble> {
        self.vendor.generation(project_id).await
    }

    async fn project(&self, project_id: &str) -> Result<Project, Trouble> {
        self.vendor.project(project_id).await
    }

    async fn list(&self) -> Result<List, Trouble> {
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
        if self.at == Act::Download {
            let first = download.body.next().await.unwrap().unwrap();
            let died = self.died.clone();
            let first = stream::once(async move { Ok(first[..ARRIVED].to_vec()) });
            // The next chunk is asked for when the first is written.
            let end = stream::once(async move {
                died.notify_one();
                pending().await
            });
            download.body = first.chain(end).boxed();
        }
        Ok(download)
    }
}

/// Plans and runs the night in a runtime that is dropped at `act`.
async fn dies(night: &Night, act: Act) {
    let batch = night.batch();
    let (base_url, ledger) = (night.sandbox.base_url(), night.path("l.db"));
    let doomed = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open(&ledger, Durability::PowerLoss).await.unwrap();
            let clock = Clock::real();
            let plan = plan::draw_up(&batch, &base_url, &ledger).await.unwrap();
            let id = plan.take_in(clock.now()).await.unwrap();
            let owner = Owner { host: "doomed".to_owned(), pid: 1 };
            let lease = ledger.begin_run(id, owner, clock.now()).await.unwrap();
            let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
            let url = Url::parse(&base_url).unwrap();
            let settings = callsheet::studio::Settings::new(url, credentials);
            let client = Client::new(settings, clock.clone()).unwrap();
            let died = Arc::new(Notify::new());
            let vendor = Vendor::new(client, None, None).told(&batch.vendor);
            let limits = &batch.limits;
            let allowance = Allowance::new(limits.requests, limits.submits, &clock);
            let shift = Shift {
                studio: Mortal { vendor, at: act, died: died.clone() },
                ledger,
                batch: id,
                lease,
                base_url,
                allowance,
                settings: Settings {
                    limits: batch.limits.clone(),
                    submission: batch.studio.submission,
                    on_uncertain: batch.studio.on_uncertain,
                    resolution: None,
                    workspace_id: None,
                    output: batch.output.clone(),
                    vendor: batch.vendor.clone(),
                },
                orders: Orders::default(),
                clock,
                dice: Dice::seeded(7),
                stop: Stop::default(),
                observer: Observer::deaf(),
            };
            tokio::select! {
                ended = runner::run(shift) => panic!("it lived: {ended:?}"),
                () = died.notified() => {}
            }
        });
        runtime.shutdown_background();
    };
    tokio::task::spawn_blocking(doomed).await.unwrap();
}

/// Dies at `act`, runs again, and returns the night when every row is done and paid for once.
async fn survives(act: Act) -> Night {
    let night = Night::new(ROWS).await;
    dies(&night, act).await;
    done_and_paid_once(&night, ROWS).await;
    night
}

async fn done_and_paid_once(night: &Night, rows: usize) {
    let ending = night.run().await;
    assert_eq!(ending.counts.get(&State::Done), Some(&(rows as u64)), "{ending:?}");
    assert_eq!(night.sandbox.renders(), rows as u64);
    assert_eq!(night.videos().len(), rows);
    night.assert_promise(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_planning_leaves_the_plan_before_it_whole() {
    let night = Night::new(ROWS).await;
    let id = night.plan().await;
    night.write_sheet(&[("k000".to_owned(), "Another text".to_owned())]);
    let half = plan::draw_up(&night.batch(), &night.sandbox.base_url(), &night.ledger).await;
    let half = half.unwrap();
    assert_eq!((half.counts.changed, half.counts.removed), (1, 2));
    drop(half);
    let ending = night.resume(id, Orders::default()).await;
    assert_eq!(ending.counts.get(&State::Done), Some(&(ROWS as u64)));
    assert!(night.rows().await.iter().all(|row| row.version == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_a_draft_leaves_costs_nothing() {
    let night = survives(Act::BeforeCreate).await;
    assert_eq!(night.sandbox.counters().of("create"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_draft_costs_another_free_draft_and_the_stray_can_be_swept() {
    let night = survives(Act::AfterCreate).await;
    let batch = night.ledger.batch("night").await.unwrap().id;
    assert!(!night.ledger.strays(batch).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_an_export_leaves_is_settled_by_the_draft_and_exported_after_the_quiet_wait()
{
    let night = survives(Act::BeforeExport).await;
    assert_eq!(night.sandbox.counters().of("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_an_export_finds_its_render_and_exports_nothing_again() {
    let night = survives(Act::AfterExport).await;
    assert_eq!(night.sandbox.counters().of("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_one_step_request_finds_its_render_by_the_tag() {
    // One row: others might be in the air, unsent, and would rightly wait for a person.
    let night = Night::with(1, "submission = 'one-step'", |_| ()).await;
    dies(&night, Act::AfterCreate).await;
    done_and_paid_once(&night, 1).await;
    assert_eq!(night.sandbox.counters().of("create"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_a_one_step_request_leaves_waits_for_a_person() {
    let night = Night::with(ROWS, "submission = 'one-step'", |_| ()).await;
    dies(&night, Act::BeforeCreate).await;
    let ending = night.run().await;
    let uncertain = ending.counts.get(&State::Uncertain).copied().unwrap_or(0);
    assert!(uncertain > 0 && ending.for_people == uncertain, "{ending:?}");
    assert_eq!(night.sandbox.renders(), ROWS as u64 - uncertain);
    night.assert_promise(ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_video_renders_only_asks_again() {
    let night = survives(Act::Poll).await;
    assert_eq!(night.sandbox.counters().of("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_a_download_keeps_what_arrived_and_goes_on_from_there() {
    let night = Night::new(1).await;
    dies(&night, Act::Download).await;
    let part = night.path("out").join("k000.mp4.part");
    assert_eq!(part.metadata().unwrap().len(), ARRIVED as u64);
    assert!(night.videos().is_empty(), "a file has its name before it is whole");
    done_and_paid_once(&night, 1).await;
    assert!(!part.exists());
}
