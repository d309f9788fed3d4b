//! Hosts that ask to be left alone: nobody asks before the time, and nothing fails for it.

use std::time::{Duration, Instant};

use callsheet::ledger::State;

use super::odd::{Asked, Books, Odd, busy};
use super::states;
use crate::support::Night;

/// When it was asked for something, in order.
fn when(books: &Books, what: impl Fn(&Asked) -> bool) -> Vec<Instant> {
    books.asked.iter().filter(|(_, asked)| what(asked)).map(|(at, _)| *at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_of_files_are_left_alone_for_as_long_as_they_ask() {
    for status in [429, 503] {
        let odd = Odd::start(move |books, asked| {
            let is_first = books.times(|asked| *asked == Asked::Film) == 0;
            (*asked == Asked::Film && is_first).then(|| busy(status, 1))
        })
        .await;
        let ending = odd.run(&Night::with(1, "[limits]\nfetch_retries = 1", |_| ()).await).await;
        assert_eq!(states(&ending, State::Done), 1, "{status}: {ending:?}");
        let asked = when(&odd.books(), |asked| *asked == Asked::Film);
        assert!(asked[1] - asked[0] >= Duration::from_millis(990), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_left_alone_for_as_long_as_it_asks_whatever_was_asked() {
    fn draft(asked: &Asked) -> bool {
        matches!(asked, Asked::Draft(_))
    }
    fn poll(asked: &Asked) -> bool {
        matches!(asked, Asked::Progress(_))
    }
    for busy_with in [draft, poll] {
        let odd = Odd::start(move |books, asked| {
            (busy_with(asked) && books.times(busy_with) == 0).then(|| busy(503, 1))
        })
        .await;
        let ending = odd.run(&Night::new(1).await).await;
        assert_eq!(states(&ending, State::Done), 1, "{ending:?}");
        let books = odd.books();
        let first = when(&books, busy_with)[0];
        let next = books.asked.iter().map(|(at, _)| *at).find(|at| *at > first).unwrap();
        assert!(next - first >= Duration::from_millis(990), "{:?}", books.asked);
    }
}
