//! Hears that a person paused the batch, or lets it go on, while this run drives it.
//!
//! Every claim reads the pause itself, in its own transaction, so nothing is begun after it. This
//! only says so, and wakes the loops when it ends. Both come from another process, through the
//! ledger, which rings no bell: so it is asked every few seconds.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::happening::Happening;
use super::port::Studio;

/// How soon a person's word takes effect.
const LOOK: Duration = Duration::from_secs(2);

/// Looks until nothing more may be submitted.
pub(super) async fn heed_pause<S: Studio>(desk: Arc<Desk<S>>) {
    let mut known = desk.began_paused;
    while desk.may_submit() {
        desk.nap(desk.clock.watch(LOOK), desk.no_more_submitting()).await;
        // A ledger that cannot be read now is noticed by whoever writes to it.
        let Ok(paused) = desk.ledger.is_paused(desk.batch).await else { continue };
        if paused == known {
            continue;
        }
        known = paused;
        desk.observer.tell(if paused { Happening::Paused } else { Happening::Unpaused });
        for bell in [&desk.bells.draft, &desk.bells.pay, &desk.bells.end] {
            bell.notify_one();
        }
    }
}
