//! Wake-ups between the loops of a run. They carry no data: the woken loop reads the ledger.

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::ledger::{JobState, RecordedUpdate};
use crate::runner::wake_timer::WakeTimer;

/// One wake-up for each loop, and one for the end of the run.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    pub(super) draft: Notify,
    pub(super) generation: Notify,
    pub(super) paid: Notify,
    pub(super) poll: WakeTimer,
    pub(super) download: Notify,
    pub(super) reconcile: Notify,
    pub(super) run_end: Notify,
}

impl Wakeups {
    /// Wakes the loops that may have work after a recorded change; `due` is when the job is due
    /// next.
    pub(super) fn wake_for(&self, recorded: RecordedUpdate, due: Option<Timestamp>) {
        use JobState as S;
        match recorded.state {
            S::Ready => self.wake_submitting(),
            S::Submitting => {}
            S::Uncertain => {
                self.reconcile.notify_one();
                self.paid.notify_one();
            }
            S::Rendering => self.poll.wake_if_sooner(due),
            S::Fetching => {
                self.download.notify_one();
                self.wake_submitting();
            }
            S::Done | S::Reused | S::Failed | S::Cancelled => {
                self.wake_submitting();
                self.download.notify_one();
            }
        }
    }

    /// Wakes every loop that waits for due jobs.
    pub(super) fn wake_all(&self) {
        self.wake_submitting();
        self.poll.wake();
        for wakeup in [&self.generation, &self.download, &self.reconcile] {
            wakeup.notify_one();
        }
    }

    /// Wakes both submit loops.
    pub(super) fn wake_submitting(&self) {
        self.draft.notify_one();
        self.paid.notify_one();
    }
}
