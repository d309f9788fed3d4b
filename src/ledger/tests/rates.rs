//! Rate permits: processes that share an account share its rate.

use std::time::Duration;

use super::*;

const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

fn span_request(member: &str, interval_ms: u64, slots: u32) -> RateSpanRequest {
    RateSpanRequest {
        account: ACCOUNT.to_owned(),
        kind: RateKind::Submits,
        member: member.to_owned(),
        interval: Duration::from_millis(interval_ms),
        slots,
        earliest: Duration::ZERO,
        last_end_us: 0,
        unused_from_us: 0,
    }
}

#[tokio::test]
async fn spans_of_several_processes_follow_one_another() {
    let test = TestLedger::new().await;
    let reserve = async |member: &str, slots| {
        test.ledger.reserve_rate_span(span_request(member, 100, slots), later(1)).await.unwrap()
    };
    let waits = [reserve("a", 3).await, reserve("b", 1).await, reserve("a", 1).await];
    let waits = waits.map(|span| span.wait.as_millis());
    // The server's own clock advances in between.
    assert!(waits[0] == 0 && waits[1] > 200 && waits[1] <= 300, "{waits:?}");
    assert!(waits[2] > 300 && waits[2] <= 400, "{waits:?}");
}

#[tokio::test]
async fn slots_that_were_not_used_are_given_back_unless_another_process_follows() {
    let test = TestLedger::in_file().await;
    let reserve = async |request| test.ledger.reserve_rate_span(request, later(1)).await.unwrap();
    let first = reserve(span_request("a", 100, 4)).await;
    let give_back = |request: RateSpanRequest, unused: i64| RateSpanRequest {
        last_end_us: first.end_us,
        unused_from_us: first.end_us - unused * 100_000,
        ..request
    };
    let again = reserve(give_back(span_request("a", 100, 1), 3)).await;
    assert_eq!(again.wait, Duration::from_millis(100));
    let other = reserve(span_request("b", 100, 1)).await;
    assert_eq!(other.wait, Duration::from_millis(200));
    let late = reserve(give_back(span_request("a", 100, 1), 3)).await;
    assert_eq!(late.wait, Duration::from_millis(300), "another process has reserved after it");
}

#[tokio::test]
async fn slowest_process_sets_the_pace_until_it_is_gone() {
    let test = TestLedger::new().await;
    let reserve = async |member: &str, interval, at| {
        let request = span_request(member, interval, 1);
        test.ledger.reserve_rate_span(request, at).await.unwrap().interval
    };
    assert_eq!(reserve("fast", 100, later(1)).await, Duration::from_millis(100));
    assert_eq!(reserve("slow", 2000, later(1)).await, Duration::from_secs(2));
    assert_eq!(reserve("fast", 100, later(2)).await, Duration::from_secs(2));
    if test.ledger.address().as_file().is_some() {
        assert_eq!(reserve("fast", 100, later(90)).await, Duration::from_millis(100));
    }
}

#[tokio::test]
async fn floor_of_one_process_holds_all_back_and_is_never_shortened() {
    let test = TestLedger::new().await;
    for pause in [50, 1] {
        let pause = Duration::from_secs(pause);
        test.ledger.raise_rate_floor(ACCOUNT, pause, later(1)).await.unwrap();
    }
    let span = test.ledger.reserve_rate_span(span_request("b", 100, 1), later(1)).await.unwrap();
    assert!(span.wait > Duration::from_secs(49), "{:?}", span.wait);
}

#[tokio::test]
async fn spans_reserved_by_a_clock_that_was_ahead_delay_none() {
    // The times of a server are its own.
    let test = TestLedger::in_file().await;
    let reserve = async |request, at| test.ledger.reserve_rate_span(request, at).await.unwrap();
    let ahead = reserve(span_request("a", 100, 1), later(3600 * 24 * 365)).await;
    // Also the process that has reserved them.
    let own = RateSpanRequest {
        last_end_us: ahead.end_us,
        unused_from_us: ahead.end_us,
        ..span_request("a", 100, 1)
    };
    assert!(reserve(own, later(1)).await.wait < Duration::from_secs(1));
    reserve(span_request("a", 100, 1), later(3600 * 24 * 365)).await;
    assert!(reserve(span_request("b", 100, 1), later(1)).await.wait < Duration::from_secs(1));
}
