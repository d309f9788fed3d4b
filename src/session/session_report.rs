//! What is done when a command that runs batches is over: each batch that was not wrapped up by its
//! own run is wrapped up here, and whoever reads events gets the last line in every case.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::batch::Batch;
use crate::cli::GlobalArgs;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;
use crate::session::run_report::RunReport;
use crate::session::signals::ShutdownSignals;

/// What is known of all batches of one command.
pub(crate) struct SessionReport {
    clock: Clock,
    reports: Mutex<Vec<(String, Arc<RunReport>)>>,
    notifies_rehearsals: bool,
    signals: ShutdownSignals,
}

impl SessionReport {
    /// Begins with nothing but the time, and listens to whoever asks to stop.
    pub(crate) fn new(clock: Clock) -> Self {
        let signals = ShutdownSignals::listen();
        Self { clock, reports: Mutex::default(), notifies_rehearsals: false, signals }
    }

    /// Returns who listens.
    pub(crate) fn signals(&self) -> &ShutdownSignals {
        &self.signals
    }

    /// Does the command's work, and lets it fall where it is when somebody asks to stop before
    /// anything is driven: until then it only reads, and what it writes is whole or not at all.
    pub(crate) async fn run_until_signal(
        &self,
        work: impl Future<Output = Result<ExitReason, CommandError>>,
    ) -> Result<ExitReason, CommandError> {
        let terminated = tokio::select! {
            ended = work => return ended,
            terminated = self.signals.wait_for_early_stop() => terminated,
        };
        let all = self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, wrap) in all {
            wrap.abandon_run().await;
        }
        let exit = if terminated { ExitReason::Terminated } else { ExitReason::Interrupted };
        let words = "stopped before anything was submitted; run the same command again";
        Err(CommandError::new(exit, words))
    }

    /// Sends notices of rehearsals as well.
    pub(crate) fn enable_rehearsal_notifications(&mut self) {
        self.notifies_rehearsals = true;
    }

    /// Notes another batch, once its file was read.
    pub(crate) fn add_batch(
        &self,
        batch: &Batch,
        global: &GlobalArgs,
        rehearsal: bool,
    ) -> Arc<RunReport> {
        let wrap = Arc::new(RunReport::new(self.clock.clone()));
        let tells = !rehearsal || self.notifies_rehearsals;
        wrap.set_batch(batch, global, (rehearsal, tells));
        wrap.set_stop(self.signals.stop());
        let mut all = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((batch.name.as_str().to_owned(), wrap.clone()));
        wrap
    }

    /// Forgets all batches: a person does not want this run.
    pub(crate) fn discard_all(&self) {
        for (_, wrap) in self.reports.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wrap.discard();
        }
    }

    /// Says why it ended early, wraps up what is still open, writes the last line for programs, and
    /// returns the exit code.
    pub(crate) async fn finish(
        self,
        ended: Result<ExitReason, CommandError>,
        talk: &Printer,
    ) -> ExitReason {
        let (exit, words) = match ended {
            Ok(exit) => (exit, String::new()),
            Err(early) => (early.exit, early.message),
        };
        if !words.is_empty() {
            talk.error(&words);
        }
        let error = (!words.is_empty()).then_some(words);
        let all = self.reports.into_inner().unwrap_or_else(PoisonError::into_inner);
        let alone = all.len() <= 1;
        let mut lines = Vec::new();
        for (batch, wrap) in all {
            if let Some(line) = wrap.finish(exit, error.clone(), talk).await {
                lines.push(with_batch_name(line, &batch));
            }
        }
        talk.print_summary(match lines.pop() {
            Some(line) if alone => line,
            last => {
                lines.extend(last);
                json!({ "exit": exit.code(), "error": error, "batches": lines })
            }
        });
        exit
    }
}

/// Returns the last line of one batch with the batch's name.
pub(crate) fn with_batch_name(mut line: Value, batch: &str) -> Value {
    if let Some(fields) = line.as_object_mut() {
        fields.insert("batch".to_owned(), json!(batch));
    }
    line
}
