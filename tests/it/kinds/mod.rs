//! Every kind of request: its example batch from the sheet to verified videos, with every behavior
//! that the vendor's documentation leaves open, and the cost of lost responses and crashes according
//! to the sandbox's own bill.

mod crashes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use callsheet::batch::{self, Batch};
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, JobRow, JobState, Ledger};
use callsheet::plan;
use callsheet::runner::{self, RunInput, RunOutcome, StopSignal};
use callsheet::sandbox::{self, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{TIME_SCALE, TestStore, ai_studios, run_input};

/// The example batches, with their numbers of rows.
const EXAMPLES: &[(&str, usize)] = &[
    ("chroma-key", 3),
    ("custom-avatar", 3),
    ("demo", 12),
    ("edit-project", 3),
    ("from-template", 3),
    ("scripts-to-video", 3),
    ("topic-to-video", 3),
    ("url-to-video", 2),
];

const LIMITS: &str = "
[limits]
requests = 'unlimited'
submits = 'unlimited'
canary = 0
poll_min = '5ms'
poll_max = '40ms'
backoff_min = '5ms'
backoff_max = '40ms'
settle_after = '300ms'
confirm_after = '30ms'
request_timeout = '2s'
";

/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(60);

/// An example batch of the repository, run in a temporary folder.
struct ExampleBatch {
    name: &'static str,
    dir: TempDir,
    sandbox: Sandbox,
    ledger: Ledger,
    store: TestStore,
    stop: StopSignal,
}

impl ExampleBatch {
    async fn new(name: &'static str, change: impl FnOnce(&mut sandbox::SandboxSettings)) -> Self {
        let mut settings = sandbox::SandboxSettings::default();
        settings.switches.time_scale = TIME_SCALE;
        change(&mut settings);
        let sandbox = Sandbox::start(settings).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = TestStore::new(dir.path());
        let ledger = Ledger::open(store.address(), Durability::PowerLoss).await.unwrap();
        Self { name, dir, sandbox, ledger, store, stop: StopSignal::default() }
    }

    /// Changes the sandbox's behavior by a patch of its switches.
    async fn with_behavior(name: &'static str, behavior: &Value) -> Self {
        Self::new(name, |settings| {
            settings.switches = settings.switches.with_patch(behavior).unwrap();
        })
        .await
    }

    fn repository_root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// Returns the batch of `jobs/`, with the sandbox's URL and the limits of a test.
    fn batch(&self, more: &str) -> Batch {
        let file = Self::repository_root().join("jobs").join(format!("{}.toml", self.name));
        let text = std::fs::read_to_string(&file).unwrap();
        let (text, _) = text.split_once("\n[limits]").unwrap();
        // `region` and `base_url` exclude each other.
        let without_region: Vec<&str> =
            text.lines().filter(|line| !line.starts_with("region")).collect();
        let text = without_region
            .join("\n")
            .replace("[studio]", &format!("[studio]\nbase_url = '{}'", self.sandbox.base_url()));
        let (studio, limits) = more.split_once("[limits]").unwrap_or((more, ""));
        let kept = |line: &&str| {
            let name = line.split('=').next().unwrap_or_default().trim();
            name.is_empty() || !limits.contains(&format!("{name} ="))
        };
        let usual: Vec<&str> = LIMITS.lines().filter(kept).collect();
        let text = format!("{text}\n{studio}\n{}\n{limits}", usual.join("\n"));
        let mut batch = batch::parse(&file, text).unwrap_or_else(|problems| panic!("{problems}"));
        batch.output = self.output();
        batch
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    async fn run(&self) -> RunOutcome {
        self.run_with("").await
    }

    async fn run_with(&self, more: &str) -> RunOutcome {
        let (batch, base_url) = (self.batch(more), self.sandbox.base_url());
        let plan = plan::plan_batch(&batch, &base_url, &self.ledger).await.unwrap();
        assert!(plan.is_clean(), "{}: {:?}", self.name, plan.problems);
        let id = plan.commit(Clock::real().now()).await.unwrap();
        let input =
            run_input(&batch, id, &self.ledger, &base_url, ai_studios(&batch, &base_url)).await;
        let run = runner::run_batch(RunInput { stop: self.stop.clone(), ..input });
        let ended = tokio::time::timeout(RUN_MAX, run).await;
        ended.unwrap_or_else(|_| panic!("{}: the run did not end", self.name)).unwrap()
    }

    async fn rows(&self) -> Vec<JobRow> {
        let batch = self.ledger.batch(self.name).await.unwrap();
        self.ledger.rows(batch.id, -1, 1000).await.unwrap()
    }

    fn row_count(&self) -> usize {
        EXAMPLES.iter().find(|(name, _)| *name == self.name).unwrap().1
    }

    /// Every row is done, has its own video, and was rendered once.
    async fn assert_done_once(&self, outcome: &RunOutcome, what: &str) {
        let rows = self.row_count();
        let name = self.name;
        assert_eq!(
            count_done(outcome),
            rows as u64,
            "{name}, {what}: {outcome:?} {:?}",
            self.rows().await
        );
        assert_eq!(self.sandbox.render_count(), rows as u64, "{name}, {what}");
        let mut contents = Vec::new();
        for row in self.rows().await {
            contents.push(std::fs::read(self.output().join(row.video_file.unwrap())).unwrap());
        }
        contents.sort();
        contents.dedup();
        assert_eq!(contents.len(), rows, "{name}, {what}: two rows got one video");
        assert_eq!(self.sandbox.counters().leaked_tokens, 0);
    }
}

fn count_in_state(outcome: &RunOutcome, state: JobState) -> u64 {
    outcome.counts.get(&state).copied().unwrap_or(0)
}

fn count_done(outcome: &RunOutcome) -> u64 {
    count_in_state(outcome, JobState::Done)
}

/// The undocumented behaviors, one at a time and combined.
fn behavior_variants() -> Vec<Value> {
    let mut behaviors = vec![
        json!({}),
        json!({"export": {"id": "new"}}),
        json!({"edit_id": "new"}),
        json!({"edit_id": "new", "export": {"id": "new"}}),
        json!({"export": {"answers_id": false}}),
        // Without a task id, a new render is distinguishable only while it is in progress.
        json!({"export": {"task_visible": false}, "time_scale": 300.0}),
        json!({"export": {"read_lag_s": 30.0}}),
        json!({"progress": {"state_present": false}}),
        json!({"progress": {"number": "string"}}),
        json!({"progress": {"number": "mixed", "regress": true, "overshoot": true}}),
        json!({"progress": {"url_lag_s": 60.0}}),
        json!({"template": {"carrier": "body", "names": "table"}}),
        json!({"errors": {"http": "ok200", "shape": "string"}, "unknown_id": "progress_zero"}),
        json!({"simple_video_exports": true}),
    ];
    for behavior in ["bare", "data_array", "data_keyed", "numeric_object"] {
        behaviors.push(json!({"catalogue": {"projects": behavior}, "list": {"include": "all"}}));
    }
    behaviors.push(json!({
        "edit_id": "new",
        "export": {"id": "new", "answers_id": true},
        "progress": {"number": "mixed", "state_present": false, "url_lag_s": 60.0},
        "catalogue": {"projects": "numeric_object"},
    }));
    behaviors
}

async fn assert_finishes_with_every_behavior(name: &'static str) {
    for behavior in behavior_variants() {
        let example = ExampleBatch::with_behavior(name, &behavior).await;
        let outcome = example.run().await;
        example.assert_done_once(&outcome, &behavior.to_string()).await;
        let second = example.run().await;
        assert_eq!(count_done(&second), example.row_count() as u64, "{name}: {behavior}");
        let rows = example.row_count() as u64;
        assert_eq!(example.sandbox.render_count(), rows, "{name}: {behavior}: rendered again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chroma_key_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("chroma-key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_avatar_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("custom-avatar").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("demo").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_project_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("edit-project").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn template_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("from-template").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_to_video_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("scripts-to-video").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_to_video_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("topic-to-video").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn url_to_video_example_finishes_with_every_vendor_behavior() {
    assert_finishes_with_every_behavior("url-to-video").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_kinds_finish_with_one_request_per_row() {
    for name in ["chroma-key", "custom-avatar"] {
        for exports in [false, true] {
            let behavior = json!({"simple_video_exports": exports});
            let example = ExampleBatch::with_behavior(name, &behavior).await;
            let outcome = example.run_with("submission = 'one-step'").await;
            example.assert_done_once(&outcome, "one step").await;
            assert_eq!(example.sandbox.counters().request_count("export"), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_drafts_are_created_again_and_cost_nothing() {
    for (name, endpoint) in [
        ("chroma-key", "simple-video"),
        ("custom-avatar", "simple-custom"),
        ("edit-project", "edit"),
        ("from-template", "template"),
        ("from-template", "edit"),
        ("scripts-to-video", "scripts-to-video"),
        ("topic-to-video", "topic-to-video"),
        ("url-to-video", "url-to-video"),
    ] {
        let example = ExampleBatch::new(name, |settings| {
            settings.faults.add(&format!("lost-answer={endpoint}:2")).unwrap();
        })
        .await;
        let outcome = example.run().await;
        example.assert_done_once(&outcome, endpoint).await;
        assert!(example.sandbox.counters().request_count(endpoint) > example.row_count() as u64);
    }
}

/// The export is accepted without a response, and its project shows it.
#[tokio::test(flavor = "multi_thread")]
async fn lost_export_is_found_at_its_project_and_paid_once() {
    for (name, _) in EXAMPLES {
        let example = ExampleBatch::new(name, |settings| {
            settings.faults.add("lost-answer=export:2").unwrap();
        })
        .await;
        let outcome = example.run().await;
        example.assert_done_once(&outcome, "lost exports").await;
    }
}

/// Without a tag and without a draft, no evidence is possible.
#[tokio::test(flavor = "multi_thread")]
async fn lost_untagged_one_step_request_waits_for_the_operator() {
    for (name, endpoint) in [("chroma-key", "simple-video"), ("custom-avatar", "simple-custom")] {
        for what in ["lost-answer", "close-before"] {
            for policy in ["settle", "resubmit", "hold"] {
                let example = ExampleBatch::new(name, |settings| {
                    settings.faults.add(&format!("{what}={endpoint}:1")).unwrap();
                    settings.switches.list.include = sandbox::ListFilter::All;
                })
                .await;
                let more = format!("submission = 'one-step'\non_uncertain = '{policy}'");
                for _ in 0..2 {
                    let outcome = example.run_with(&more).await;
                    let states =
                        (count_done(&outcome), count_in_state(&outcome, JobState::Uncertain));
                    assert_eq!(
                        (states, outcome.jobs_for_operator),
                        ((2, 1), 1),
                        "{name} {what} {policy}"
                    );
                }
                let renders = if what == "lost-answer" { 3 } else { 2 };
                assert_eq!(example.sandbox.render_count(), renders, "{name} {what} {policy}");
                assert_eq!(
                    example.sandbox.counters().request_count(endpoint),
                    3,
                    "{name}: sent again"
                );
            }
        }
    }
}

/// An unexported draft proves nothing until an export has been observed to keep its draft's id.
#[tokio::test(flavor = "multi_thread")]
async fn export_without_trace_waits_until_exports_are_known_to_keep_their_id() {
    for name in ["chroma-key", "custom-avatar", "scripts-to-video"] {
        let never_sent = |settings: &mut sandbox::SandboxSettings| {
            settings.faults.add("close-before=export:1").unwrap();
        };
        let example = ExampleBatch::new(name, never_sent).await;
        // The other two rows show that exports keep their id; then the first one is exported again.
        let outcome = example.run().await;
        example.assert_done_once(&outcome, "keeps ids").await;
        let example = ExampleBatch::new(name, |settings| {
            never_sent(settings);
            settings.switches.export.id = sandbox::ReturnedId::New;
        })
        .await;
        let outcome = example.run().await;
        assert_eq!(
            (count_done(&outcome), outcome.jobs_for_operator),
            (2, 1),
            "{name}: {outcome:?}"
        );
        assert_eq!(example.sandbox.render_count(), 2, "{name}");
    }
}

/// The expensive case: the export was accepted under another id, and nothing shows it.
#[tokio::test(flavor = "multi_thread")]
async fn untagged_export_accepted_under_another_id_is_never_paid_twice() {
    for name in ["chroma-key", "custom-avatar", "edit-project", "scripts-to-video"] {
        let example = ExampleBatch::new(name, |settings| {
            settings.faults.add("lost-answer=export:1").unwrap();
            settings.switches.export.id = sandbox::ReturnedId::New;
        })
        .await;
        for _ in 0..2 {
            let outcome = example.run().await;
            assert_eq!(outcome.jobs_for_operator, 1, "{name}: {outcome:?}");
            assert_eq!(count_in_state(&outcome, JobState::Uncertain), 1, "{name}: {outcome:?}");
        }
        assert!(example.sandbox.render_count() <= 3, "{name}");
        let rendered = example.sandbox.counters().request_count("export");
        assert_eq!(rendered, example.sandbox.render_count(), "{name}: exported again");
    }
}

/// An export that was declined although it renders, under another id: no project of such a kind can be
/// recognized, so a decline is believed only if the account has no project that could be the render.
#[tokio::test(flavor = "multi_thread")]
async fn decline_of_an_untagged_export_that_renders_under_another_id_waits_for_the_operator() {
    for name in ["chroma-key", "custom-avatar", "edit-project", "scripts-to-video"] {
        for fault in ["decline-after=export:1@400", "decline-after=export:1@429"] {
            let example = ExampleBatch::new(name, |settings| {
                settings.faults.add(fault).unwrap();
                settings.switches.export.id = sandbox::ReturnedId::New;
                settings.switches.list.include = sandbox::ListFilter::All;
            })
            .await;
            for _ in 0..2 {
                let outcome = example.run().await;
                assert_eq!(outcome.jobs_for_operator, 1, "{name}, {fault}: {outcome:?}");
            }
            let message = example.rows().await.into_iter().find_map(|row| {
                (row.state == Some(JobState::Uncertain)).then_some(row.message).flatten()
            });
            assert!(message.is_some_and(|text| text.contains("carries no tag")), "{name}, {fault}");
            let exports = example.sandbox.counters().request_count("export");
            assert_eq!(exports, example.sandbox.render_count(), "{name}, {fault}: exported again");
        }
    }
    // An honest decline leaves no such project.
    for name in ["chroma-key", "custom-avatar", "scripts-to-video"] {
        let example = ExampleBatch::new(name, |settings| {
            settings.faults.add("rate-limit=export:1").unwrap();
            settings.switches.export.id = sandbox::ReturnedId::New;
        })
        .await;
        let outcome = example.run().await;
        example.assert_done_once(&outcome, "declined before any work").await;
    }
}

/// The second row finds the project in the state after the first: exported, at 100 %, with a link.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_edit_one_project_run_one_at_a_time_and_get_their_own_videos() {
    for behavior in [json!({}), json!({"export": {"read_lag_s": 120.0}})] {
        let example = ExampleBatch::with_behavior("edit-project", &behavior).await;
        let outcome = example.run().await;
        example.assert_done_once(&outcome, &behavior.to_string()).await;
        let bill = example.sandbox.bill();
        assert_eq!(bill.lines.len(), 1, "one project was rendered for all: {:?}", bill.lines);
        for row in example.rows().await {
            assert_eq!(row.project_id.as_deref(), Some("66f0a1b2c3d4e5f607182900"));
        }
    }
}

/// Found by the simulation: a lost edit arrived minutes later, and the next row's video had its text.
#[tokio::test(flavor = "multi_thread")]
async fn lost_edit_blocks_its_project_until_it_can_no_longer_arrive() {
    let example = ExampleBatch::new("edit-project", |settings| {
        settings.faults.add("late=edit:1@3000").unwrap();
    })
    .await;
    let began = std::time::Instant::now();
    let outcome = example.run_with("[limits]\nsettle_after = '2s'").await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    example.assert_done_once(&outcome, "a late edit").await;
}

/// Another edit of the project could destroy a render that may already be paid for.
#[tokio::test(flavor = "multi_thread")]
async fn uncertain_row_blocks_the_other_rows_of_its_project() {
    let example = ExampleBatch::new("edit-project", |settings| {
        settings.faults.add("close-before=export:1").unwrap();
    })
    .await;
    let outcome = example.run().await;
    let states =
        (count_in_state(&outcome, JobState::Uncertain), count_in_state(&outcome, JobState::Ready));
    assert_eq!((states, outcome.jobs_for_operator), ((1, 2), 1), "{outcome:?}");
    assert_eq!(
        (example.sandbox.render_count(), example.sandbox.counters().request_count("edit")),
        (0, 1)
    );
}

/// Copies do not block each other, and both ids are recorded.
#[tokio::test(flavor = "multi_thread")]
async fn edit_that_returns_a_copy_is_followed_under_the_copys_id() {
    let example = ExampleBatch::with_behavior("edit-project", &json!({"edit_id": "new"})).await;
    let outcome = example.run().await;
    example.assert_done_once(&outcome, "copies").await;
    let batch = example.ledger.batch("edit-project").await.unwrap();
    for row in example.rows().await {
        let history =
            example.ledger.job_history(batch.id, &row.key.unwrap()).await.unwrap().unwrap();
        let submission = &history.submissions[0];
        assert_eq!(submission.subject.as_deref(), Some("66f0a1b2c3d4e5f607182900"));
        assert_ne!(submission.project_id, submission.subject);
    }
    assert!(example.ledger.stray_drafts(batch.id).await.unwrap().is_empty());
}

/// Runs are stopped at arbitrary times; the next one continues, and nothing is generated or paid
/// twice.
#[tokio::test(flavor = "multi_thread")]
async fn repeatedly_stopped_run_generates_and_renders_each_row_once() {
    for (name, rows) in EXAMPLES {
        let mut example = ExampleBatch::new(name, |settings| {
            settings.switches.automation.takes_s = 600;
        })
        .await;
        for requests in [3, 6, 9, 12] {
            {
                let sandbox = &example.sandbox;
                let before = sandbox.counters().requests.values().sum::<u64>();
                let has_requests = |sandbox: &Sandbox| {
                    sandbox.counters().requests.values().sum::<u64>() >= before + requests
                };
                let mut run = std::pin::pin!(example.run());
                tokio::select! {
                    _ = &mut run => {}
                    () = sandbox.wait_until(has_requests) => {
                        example.stop.escalate();
                        run.await;
                    }
                }
            }
            example.stop = StopSignal::default();
        }
        let outcome = example.run().await;
        example.assert_done_once(&outcome, "stopped repeatedly").await;
        let generations = ["scripts-to-video", "topic-to-video", "url-to-video"]
            .map(|endpoint| example.sandbox.counters().request_count(endpoint));
        let generations: u64 = generations.iter().sum();
        assert!(generations == 0 || generations == *rows as u64, "{name}: {generations}");
    }
}

/// A generation without progress is given up, and started again only within `rerenders`.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_generation_is_started_once_more_and_costs_no_render() {
    let example = ExampleBatch::new("topic-to-video", |settings| {
        settings.switches.automation.stalls = true;
    })
    .await;
    let outcome = example.run_with("[limits]\nstall_after = '100ms'\nhalt_after = 50").await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 3, "{outcome:?}");
    let counters = example.sandbox.counters();
    assert_eq!((example.sandbox.render_count(), counters.request_count("topic-to-video")), (0, 6));
    for row in example.rows().await {
        let message = row.message.unwrap();
        assert!(message.starts_with("no progress beyond 50 %"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn project_is_exported_only_after_its_generation() {
    let example = ExampleBatch::new("scripts-to-video", |settings| {
        settings.switches.time_scale = 0.0;
    })
    .await;
    let stop = example.stop.clone();
    let observe = async {
        let sandbox = &example.sandbox;
        sandbox
            .wait_until(|sandbox| sandbox.counters().request_count("automation-progress") >= 6)
            .await;
        assert_eq!(sandbox.counters().request_count("export"), 0);
        let rows = example.rows().await;
        let waiting = rows.iter().filter(|row| row.generating && row.project_id.is_some());
        assert_eq!(waiting.count(), 3, "{rows:?}");
        sandbox.advance(Duration::from_secs(100));
        sandbox.wait_until(|sandbox| sandbox.render_count() == 3).await;
        stop.escalate();
    };
    tokio::join!(example.run(), observe);
    assert_eq!(example.sandbox.counters().request_count("export"), 3);
}
