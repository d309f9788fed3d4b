//! Stopping a run in two stages.
//!
//! The first signal drains: nothing new is submitted or polled, and open requests finish. The second
//! abandons open requests as well, which is safe because every intent is on disk before its request
//! is sent. Every reason to stop, except a halt, is a token derived from the one that Ctrl-C cancels.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// The stop signal that an invocation passes to all of its runs. Clones share one signal.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    draining: CancellationToken,
    abandoned: CancellationToken,
}

impl StopSignal {
    /// Drains at the first call, abandons open requests at the second.
    pub fn escalate(&self) {
        if self.draining.is_cancelled() {
            self.abandoned.cancel();
        } else {
            self.draining.cancel();
        }
    }

    /// Returns whether nothing new may be started.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits until nothing new may be started.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Waits until open requests are to be abandoned.
    pub async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }
}

/// The stop tokens of one run. Submitting stops no later than following, and both stop when the
/// stop signal drains.
#[derive(Debug)]
pub(super) struct RunShutdown {
    signal: StopSignal,
    /// A child of the signal's token: cancelled when nothing is left to do.
    following: CancellationToken,
    /// A child of `following`: cancelled when the time window closes.
    submitting: CancellationToken,
    window_closed: AtomicBool,
    /// The requester that had this run stopped.
    stopped_for: OnceLock<String>,
}

impl RunShutdown {
    pub(super) fn new(signal: StopSignal) -> Self {
        let following = signal.draining.child_token();
        let submitting = following.child_token();
        Self {
            signal,
            following,
            submitting,
            window_closed: AtomicBool::new(false),
            stopped_for: OnceLock::new(),
        }
    }

    /// Stops submitting because the time window is over.
    pub(super) fn close_window(&self) {
        self.window_closed.store(true, Ordering::Relaxed);
        self.submitting.cancel();
    }

    /// Returns whether the time window ended during this run.
    pub(super) fn is_window_closed(&self) -> bool {
        self.window_closed.load(Ordering::Relaxed)
    }

    /// Drains this run alone, at the request of an operator.
    pub(super) fn stop_for(&self, requester: String) {
        // A second request finds it stopped.
        let _ = self.stopped_for.set(requester);
        self.following.cancel();
    }

    /// Returns the requester that had this run stopped.
    pub(super) fn stopped_for(&self) -> Option<&str> {
        self.stopped_for.get().map(String::as_str)
    }

    /// Stops everything because nothing is left to do.
    pub(super) fn finish(&self) {
        self.following.cancel();
    }

    /// Returns the signal from outside.
    pub(super) fn signal(&self) -> &StopSignal {
        &self.signal
    }

    /// Returns the token that ends submitting.
    pub(super) fn submitting(&self) -> &CancellationToken {
        &self.submitting
    }

    /// Returns the token that ends polling, downloading and reconciling.
    pub(super) fn following(&self) -> &CancellationToken {
        &self.following
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_the_window_stops_submitting_only_and_a_stop_signal_stops_both() {
        let signal = StopSignal::default();
        let shutdown = RunShutdown::new(signal.clone());
        shutdown.close_window();
        assert!(shutdown.submitting().is_cancelled() && shutdown.is_window_closed());
        assert!(!shutdown.following().is_cancelled());
        signal.escalate();
        assert!(shutdown.following().is_cancelled() && signal.is_draining());
        assert!(!RunShutdown::new(signal).is_window_closed());
    }
}
