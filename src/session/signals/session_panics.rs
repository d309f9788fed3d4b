//! A session in which this program itself fails: it ends as after a signal, with its reports.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::runner::{RunEvent, RunOptions};
use crate::session::account::target::RehearsalOptions;
use crate::session::ledger_location::{LedgerLocation, LedgerOptions};
use crate::session::ledger_match::MatchOverrides;
use crate::session::prepare::BatchOverrides;
use crate::session::time_window::WindowOptions;
use crate::session::*;

const BATCH: &str = "\
name = 'promo'
sheet = 's.csv'
template = 't.json.hbs'
key = 'sku'
output = 'out'
[limits]
canary = 0
requests = 'unlimited'
submits = 'unlimited'
poll_min = '20ms'
poll_max = '100ms'
[notify]
command = ['sh', '-c', 'cat > /dev/null; echo notified >> NOTIFIED']
";

/// Where a session panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PanicPlace {
    Preparation,
    BeforeRuns,
    Run,
}

/// Runs a rehearsal of the batch in `folder`, with a panic at one place.
async fn rehearse(folder: &Path, place: Option<PanicPlace>) -> SessionResult {
    let has_panicked = AtomicBool::new(false);
    let panic_at = move |reached: PanicPlace| {
        if place == Some(reached) && !has_panicked.swap(true, Ordering::SeqCst) {
            // The hook of the program does this.
            signals::report_panic();
            panic!("a mistake in this program, made by a test");
        }
    };
    let observer = SessionObserver::new(move |_, event| match event {
        SessionEvent::Planned { .. } => panic_at(PanicPlace::Preparation),
        SessionEvent::RunsStarted { .. } => panic_at(PanicPlace::BeforeRuns),
        SessionEvent::Run { event: RunEvent::Rendering { .. }, .. } => panic_at(PanicPlace::Run),
        _ => {}
    });
    let files = vec![folder.join("b.toml")];
    let options = LedgerOptions { is_rehearsal: true, ..LedgerOptions::default() };
    // A run that panics must not be done before it stops.
    let speed = if place.is_some() { 1.0 } else { 3000.0 };
    let rehearsal = RehearsalOptions { faults: Vec::new(), speed };
    let request = RunRequest {
        location: LedgerLocation::find(options, &files).unwrap(),
        files,
        match_overrides: MatchOverrides::default(),
        rehearsal: Some(rehearsal),
        selection: Default::default(),
        options: RunOptions { canary: false, ..RunOptions::default() },
        overrides: BatchOverrides { max_videos: None, base_url: None },
        window: WindowOptions::default(),
        skip_invalid: false,
        accepts_changes: false,
        approved_plan: None,
        check_media: false,
        has_receiver: false,
        asks: false,
    };
    let clock = Clock::real();
    let session = Session::start(SessionSetup { clock, observer, notifies_rehearsals: true });
    session.run(request, async |_| true).await
}

/// Runs it with the stack of a program's main thread: a test has a smaller one.
fn with_large_stack(work: impl AsyncFnOnce() + Send + 'static) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    let thread = thread.spawn(move || runtime.block_on(work())).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn a_panic_anywhere_leaves_an_exit_code_the_record_of_the_run_and_its_notification() {
    with_large_stack(check_panics);
}

async fn check_panics() {
    for place in [PanicPlace::Preparation, PanicPlace::BeforeRuns, PanicPlace::Run] {
        let folder = tempfile::tempdir().unwrap();
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/presenter.json.hbs");
        std::fs::copy(template, folder.path().join("t.json.hbs")).unwrap();
        let notified = folder.path().join("notified");
        let batch = BATCH.replace("NOTIFIED", &notified.display().to_string());
        std::fs::write(folder.path().join("b.toml"), batch).unwrap();
        let sheet = "sku,script\nA1,Hello one\nA2,Hello two\nA3,Hello three\n";
        std::fs::write(folder.path().join("s.csv"), sheet).unwrap();

        let result = rehearse(folder.path(), Some(place)).await;
        assert_eq!(result.exit, ExitReason::Unexpected, "{place:?}: {}", result.summary);
        let record = folder.path().join("out-rehearsal/run.json");
        let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
        assert_eq!(record["exit"], 1, "{place:?}: {record}");
        assert!(record["stop"]["words"].as_str().unwrap().contains(PANIC_MESSAGE), "{record}");
        assert_eq!(std::fs::read_to_string(notified).unwrap(), "notified\n", "{place:?}");

        let again = rehearse(folder.path(), None).await;
        assert_eq!(again.exit, ExitReason::Done, "{place:?}: {}", again.summary);
        assert_eq!(again.summary["counts"]["done"], 3, "{place:?}: {}", again.summary);
    }
}
