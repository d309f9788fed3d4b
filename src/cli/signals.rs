//! The two signals that ask a run to stop: the first drains, the second leaves at once.
//!
//! Only counts and passes on; what stopping means is the runner's to know. While nothing of a run
//! is open yet, nobody listens, and a signal simply ends the process.

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
