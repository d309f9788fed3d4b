//! The two signals that ask a run to stop: the first drains, the second leaves at once.
//!
//! Only counts and passes on; what stopping means is the runner's to know. Before the first batch is
//! driven nothing is open that would have to end well, so the first signal ends the command: its
//! [`Vigil`] says when, and whoever keeps it says so in files, notices and the last line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal;

use crate::runner::Stop;

/// Listens for the two signals that ask a run to stop.
pub(super) struct Signals {
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from here on; a signal that comes between two steps is not lost.
    pub(super) fn listen(stop: Stop) -> Self {
        let terminated = Arc::new(AtomicBool::new(false));
        let flag = terminated.clone();
        let hear = hear_signals();
        tokio::spawn(async move {
            let Some(mut heard) = hear else { return };
            while let Some(by_term) = heard.next().await {
                if by_term {
                    flag.store(true, Ordering::Relaxed);
                }
                stop.escalate();
            }
        });
        Self { terminated }
    }

    pub(super) fn terminated(&self) -> bool {
        self.terminated.load(Ordering::Relaxed)
    }
}

/// Listens over a whole command, from its first line to its last.
pub(super) struct Vigil {
    stop: Stop,
    signals: Signals,
    drives: AtomicBool,
}

impl Vigil {
    /// Listens from here on.
    pub(super) fn begin() -> Self {
        let stop = Stop::default();
        let signals = Signals::listen(stop.clone());
        Self { stop, signals, drives: AtomicBool::new(false) }
    }

    /// Notes that batches are driven from here on: stopping is now their matter.
    pub(super) fn drives(&self) -> (&Stop, &Signals) {
        self.drives.store(true, Ordering::SeqCst);
        (&self.stop, &self.signals)
    }

    /// Returns what a second signal sets off.
    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Waits until somebody asks to stop while nothing is driven yet; tells whether by SIGTERM.
    pub(super) async fn stopped_early(&self) -> bool {
        self.stop.draining().await;
        if self.drives.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.signals.terminated()
    }
}

#[cfg(unix)]
struct Heard {
    interrupt: signal::unix::Signal,
    terminate: signal::unix::Signal,
}

#[cfg(unix)]
fn hear_signals() -> Option<Heard> {
    use signal::unix::{SignalKind, signal};
    let interrupt = signal(SignalKind::interrupt()).ok()?;
    let terminate = signal(SignalKind::terminate()).ok()?;
    Some(Heard { interrupt, terminate })
}

#[cfg(unix)]
impl Heard {
    /// Waits for a signal; tells whether it was SIGTERM rather than Ctrl-C.
    async fn next(&mut self) -> Option<bool> {
        tokio::select! {
            got = self.interrupt.recv() => got.map(|()| false),
            got = self.terminate.recv() => got.map(|()| true),
        }
    }
}

#[cfg(not(unix))]
struct Heard;

#[cfg(not(unix))]
fn hear_signals() -> Option<Heard> {
    Some(Heard)
}

#[cfg(not(unix))]
impl Heard {
    async fn next(&mut self) -> Option<bool> {
        signal::ctrl_c().await.ok().map(|()| false)
    }
}
