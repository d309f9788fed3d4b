//! What is done when a command that runs batches is over: each batch that was not wrapped up by its
//! own run is wrapped up here, and whoever reads events gets the last line in every case.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::Global;
use super::drive::Early;
use super::exit::Exit;
use super::signals::Vigil;
use super::talk::Talk;
use super::wrap::Wrap;
use crate::batch::Batch;
use crate::clock::Clock;

/// What is known of all batches of one command.
pub(super) struct Wraps {
    clock: Clock,
    all: Mutex<Vec<(String, Arc<Wrap>)>>,
    tells_of_rehearsals: bool,
    vigil: Vigil,
}

impl Wraps {
    /// Begins with nothing but the time, and listens to whoever asks to stop.
    pub(super) fn new(clock: Clock) -> Self {
        let vigil = Vigil::begin();
        Self { clock, all: Mutex::default(), tells_of_rehearsals: false, vigil }
    }

    /// Returns who listens.
    pub(super) fn vigil(&self) -> &Vigil {
        &self.vigil
    }

    /// Does the command's work, and lets it fall where it is when somebody asks to stop before
    /// anything is driven: until then it only reads, and what it writes is whole or not at all.
    pub(super) async fn over(
        &self,
        work: impl Future<Output = Result<Exit, Early>>,
    ) -> Result<Exit, Early> {
        let terminated = tokio::select! {
            ended = work => return ended,
            terminated = self.vigil.stopped_early() => terminated,
        };
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, wrap) in all {
            wrap.give_back().await;
        }
        let exit = if terminated { Exit::Terminated } else { Exit::Interrupted };
        let words = "stopped before anything was submitted; run the same command again";
        Err(Early::new(exit, words))
    }

    /// Sends notices of rehearsals as well.
    pub(super) fn tell_of_rehearsals(&mut self) {
        self.tells_of_rehearsals = true;
    }

    /// Notes another batch, once its file was read.
    pub(super) fn about(&self, batch: &Batch, global: &Global, rehearsal: bool) -> Arc<Wrap> {
        let wrap = Arc::new(Wrap::new(self.clock.clone()));
        let tells = !rehearsal || self.tells_of_rehearsals;
        wrap.about(batch, global, (rehearsal, tells));
        wrap.heeds(self.vigil.stop());
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((batch.name.as_str().to_owned(), wrap.clone()));
        wrap
    }

    /// Forgets all batches: a person does not want this run.
    pub(super) fn leave(&self) {
        for (_, wrap) in self.all.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wrap.leave();
        }
    }

    /// Says why it ended early, wraps up what is still open, writes the last line for programs, and
    /// returns the exit code.
    pub(super) async fn up(self, ended: Result<Exit, Early>, talk: &Talk) -> Exit {
        let (exit, words) = match ended {
            Ok(exit) => (exit, String::new()),
            Err(early) => (early.exit, early.words),
        };
        if !words.is_empty() {
            talk.error(&words);
        }
        let error = (!words.is_empty()).then_some(words);
        let all = self.all.into_inner().unwrap_or_else(PoisonError::into_inner);
        let alone = all.len() <= 1;
        let mut lines = Vec::new();
        for (batch, wrap) in all {
            if let Some(line) = wrap.up(exit, error.clone(), talk).await {
                lines.push(named(line, &batch));
            }
        }
        talk.sum_up(match lines.pop() {
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
pub(super) fn named(mut line: Value, batch: &str) -> Value {
    if let Some(fields) = line.as_object_mut() {
        fields.insert("batch".to_owned(), json!(batch));
    }
    line
}
