//! Stopping in two steps. The first call drains: nothing new is begun, what is open is finished.
//! The second abandons: everything is let go at once, which is safe because every intent is on
//! disk before its act.

use tokio_util::sync::CancellationToken;

/// Handed to every loop and task of a run.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    draining: CancellationToken,
    abandoned: CancellationToken,
}

impl StopSignal {
    /// Takes one more step towards the exit.
    pub fn escalate(&self) {
        if self.draining.is_cancelled() {
            self.abandoned.cancel();
        } else {
            self.draining.cancel();
        }
    }

    /// Tells whether nothing new may begin.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits until nothing new may begin.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Waits until everything is to be let go.
    pub async fn abandoned(&self) {
        self.abandoned.cancelled().await;
    }
}
