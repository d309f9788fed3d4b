//! The two resources that renders compete for: workers and credits.
//!
//! Both are kept as sums that each render changes once, so a request costs the same with ten earlier
//! renders as with a million. Both are rebuilt from the renders' records at start.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::records::RenderRecord;

/// When each busy worker becomes free.
#[derive(Debug, Default)]
pub(super) struct RenderWorkers {
    busy_until: BinaryHeap<Reverse<i64>>,
}

impl RenderWorkers {
    /// Returns when a render accepted now can start, with this many workers.
    pub(super) fn next_start(&mut self, now: i64, workers: Option<u32>) -> i64 {
        while self.busy_until.peek().is_some_and(|Reverse(free)| *free <= now) {
            self.busy_until.pop();
        }
        let Some(workers) = workers else { return now };
        let workers = workers.max(1) as usize;
        let mut start = now;
        while self.busy_until.len() >= workers {
            if let Some(Reverse(free)) = self.busy_until.pop() {
                start = free;
            }
        }
        start
    }

    pub(super) fn occupy(&mut self, until: i64) {
        self.busy_until.push(Reverse(until));
    }
}

/// Credits spent and reserved.
#[derive(Debug, Default)]
pub(super) struct CreditAccount {
    /// Credits of settled renders.
    spent: f64,
    /// Full price of renders in progress.
    reserved: f64,
    /// When each render settles.
    settlements: BinaryHeap<Reverse<(i64, usize)>>,
}

impl CreditAccount {
    pub(super) fn add_render(&mut self, place: usize, render: &RenderRecord) {
        self.reserved += render.price;
        self.settlements.push(Reverse((render.settled_at(), place)));
    }

    /// Returns the credits spent or reserved by `now`.
    pub(super) fn spent_or_reserved(&mut self, now: i64, renders: &[RenderRecord]) -> f64 {
        while let Some(Reverse((at, place))) = self.settlements.peek().copied() {
            if at > now {
                break;
            }
            self.settlements.pop();
            self.reserved -= renders[place].price;
            self.spent += renders[place].credits_charged(at);
        }
        self.spent + self.reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_wait_for_a_free_worker_in_order() {
        let mut workers = RenderWorkers::default();
        let mut starts = Vec::new();
        for _ in 0..5 {
            let start = workers.next_start(100, Some(2));
            workers.occupy(start + 60);
            starts.push(start);
        }
        assert_eq!(starts, [100, 100, 160, 160, 220]);
        assert_eq!(workers.next_start(1_000, Some(2)), 1_000);
        assert_eq!(workers.next_start(100, None), 100);
    }
}
