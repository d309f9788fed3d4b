//! Live pages: one stream per browser that reports that the ledger has changed.
//!
//! The stream carries no data: a page loads itself again and replaces its live elements, so what is
//! live and what a reload shows are the same. The ledger is read only while a browser listens.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;
use crate::ledger::{Ledger, LedgerChangeMark};

/// The interval between two looks into the ledger.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A stream ends after this time; the browser connects again, and its session is checked again.
const STREAM_MAX: Duration = Duration::from_secs(10 * 60);

/// Counts the changes of the ledger.
#[derive(Debug)]
pub(crate) struct LiveFeed {
    changes: watch::Sender<u64>,
}

impl LiveFeed {
    /// Starts to look for changes, until `stop`.
    pub(super) fn start(
        ledger: Ledger,
        clock: Clock,
        stop: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (changes, _) = watch::channel(0);
        let sender = changes.clone();
        let task = tokio::spawn(async move {
            let looking = count_changes(&ledger, &clock, &sender);
            stop.run_until_cancelled(looking).await;
        });
        (Self { changes }, task)
    }
}

async fn count_changes(ledger: &Ledger, clock: &Clock, changes: &watch::Sender<u64>) {
    let mut known: Option<LedgerChangeMark> = None;
    loop {
        clock.sleep(CHECK_INTERVAL).await;
        if changes.receiver_count() == 0 {
            continue;
        }
        // A busy ledger is looked at again a moment later.
        let Ok(mark) = ledger.change_mark().await else { continue };
        if known.replace(mark) != Some(mark) {
            changes.send_modify(|count| *count += 1);
        }
    }
}

/// Streams `change` events.
pub(super) async fn show(page: PageRequest) -> PageResult {
    let state = &page.state;
    Ok(event_stream(&state.live, state.stop.clone(), state.clock.clone()))
}

fn event_stream(live: &LiveFeed, stop: CancellationToken, clock: Clock) -> Response {
    let mut changes = live.changes.subscribe();
    changes.mark_unchanged();
    let listener = LiveListener { changes, stop };
    let hello = stream::iter([Ok(Event::default().event("hello").data(""))]);
    let changes = stream::unfold(listener, LiveListener::next_event);
    let limited = hello.chain(changes).take_until(Box::pin(async move {
        clock.sleep(STREAM_MAX).await;
    }));
    Sse::new(limited).keep_alive(KeepAlive::default()).into_response()
}

/// One stream to a browser.
struct LiveListener {
    changes: watch::Receiver<u64>,
    stop: CancellationToken,
}

impl LiveListener {
    /// Waits for the next change; `None` at the end of the console.
    async fn next_event(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        match self.stop.run_until_cancelled(self.changes.changed()).await {
            Some(Ok(())) => {
                let count = *self.changes.borrow_and_update();
                Some((Ok(Event::default().event("change").data(count.to_string())), self))
            }
            Some(Err(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use jiff::Timestamp;

    use super::*;

    /// Its browser may have been signed out meanwhile, or its user removed.
    #[tokio::test]
    async fn a_stream_ends_so_that_the_session_is_checked_again() {
        let (clock, simulated) = Clock::simulated(Timestamp::UNIX_EPOCH);
        let live = LiveFeed { changes: watch::channel(0).0 };
        let stream = event_stream(&live, CancellationToken::new(), clock.clone());
        live.changes.send_modify(|count| *count += 1);
        let body = tokio::spawn(to_bytes(stream.into_body(), usize::MAX));
        simulated.drive(2 * STREAM_MAX).await;
        assert_eq!(clock.awake_time(), STREAM_MAX, "when it ends");
        let ended = tokio::time::timeout(Duration::from_secs(30), body).await;
        let events = ended.expect("the stream has ended").unwrap().unwrap();
        let events = String::from_utf8(events.into()).unwrap();
        assert_eq!(events.matches("event: ").count(), 2, "{events}");
    }
}
