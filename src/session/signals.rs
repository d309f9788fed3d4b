//! The two signals that ask a run to stop: the first drains, the second leaves at once.
//!
//! Only counts and passes on; what stopping means is the runner's to know. Before the first batch is
//! driven nothing is open that would have to end well, so the first signal ends the command: its
//! [`Vigil`] says when, and whoever keeps it says so in files, notices and the last line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal;

use crate::runner::StopSignal;

/// Listens for the two signals that ask a run to stop.
pub(crate) struct SignalListener {
    sigterm_received: Arc<AtomicBool>,
}

impl SignalListener {
    /// Listens from here on; a signal that comes between two steps is not lost.
    pub(crate) fn listen(stop: StopSignal) -> Self {
        let sigterm_received = Arc::new(AtomicBool::new(false));
        let flag = sigterm_received.clone();
        let hear = open_signal_streams();
        tokio::spawn(async move {
            let Some(mut heard) = hear else { return };
            while let Some(by_term) = heard.recv().await {
                if by_term {
                    flag.store(true, Ordering::Relaxed);
                }
                stop.escalate();
            }
        });
        Self { sigterm_received }
    }

    pub(crate) fn has_received_sigterm(&self) -> bool {
        self.sigterm_received.load(Ordering::Relaxed)
    }
}

/// Listens over a whole command, from its first line to its last.
pub(crate) struct ShutdownSignals {
    stop: StopSignal,
    signals: SignalListener,
    is_running: AtomicBool,
}

impl ShutdownSignals {
    /// Listens from here on.
    pub(crate) fn listen() -> Self {
        let stop = StopSignal::default();
        let signals = SignalListener::listen(stop.clone());
        Self { stop, signals, is_running: AtomicBool::new(false) }
    }

    /// Notes that batches are driven from here on: stopping is now their matter.
    pub(crate) fn enter_run_phase(&self) -> (&StopSignal, &SignalListener) {
        self.is_running.store(true, Ordering::SeqCst);
        (&self.stop, &self.signals)
    }

    /// Returns what a second signal sets off.
    pub(crate) fn stop(&self) -> &StopSignal {
        &self.stop
    }

    /// Waits until somebody asks to stop while nothing is driven yet; tells whether by SIGTERM.
    pub(crate) async fn wait_for_early_stop(&self) -> bool {
        self.stop.draining().await;
        if self.is_running.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.signals.has_received_sigterm()
    }
}

#[cfg(unix)]
struct SignalStreams {
    interrupt: signal::unix::Signal,
    terminate: signal::unix::Signal,
}

#[cfg(unix)]
fn open_signal_streams() -> Option<SignalStreams> {
    use signal::unix::{SignalKind, signal};
    let interrupt = signal(SignalKind::interrupt()).ok()?;
    let terminate = signal(SignalKind::terminate()).ok()?;
    Some(SignalStreams { interrupt, terminate })
}

#[cfg(unix)]
impl SignalStreams {
    /// Waits for a signal; tells whether it was SIGTERM rather than Ctrl-C.
    async fn recv(&mut self) -> Option<bool> {
        tokio::select! {
            got = self.interrupt.recv() => got.map(|()| false),
            got = self.terminate.recv() => got.map(|()| true),
        }
    }
}

#[cfg(not(unix))]
struct Heard;

#[cfg(not(unix))]
fn hear_signals() -> Option<SignalStreams> {
    Some(SignalStreams)
}

#[cfg(not(unix))]
impl SignalStreams {
    async fn next(&mut self) -> Option<bool> {
        signal::ctrl_c().await.ok().map(|()| false)
    }
}
