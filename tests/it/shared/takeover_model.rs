//! Every order in which two machines may act on one job, with a lease on a server: how long the second one
//! must wait before it pays.
//!
//! One machine has committed its intent, may be suspended at any moment for any time, and renews its lease
//! or not. The other takes the batch over when the lease has expired, waits, reads the list and pays if the
//! project is not in it. AI Studios takes a request or not within `delivery`, and shows its project at most
//! `list_lag` later. Time goes in steps; the model knows nothing of the program.

use std::collections::HashSet;

/// How long a lease lasts after its renewal.
const LEASE: u8 = 3;

/// When the first machine sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendRule {
    /// Whenever it comes to it.
    Unchecked,
    /// After it has seen that the lease is its own, however long ago.
    CheckedOnce,
    /// At most so long after it has seen that.
    CheckedWithin(u8),
}

#[derive(Clone, Copy, Debug)]
struct TakeoverModel {
    rule: SendRule,
    delivery: u8,
    list_lag: u8,
    quiet_wait: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FirstMachine {
    Claimed,
    Checked { at: u8 },
    Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SecondMachine {
    /// The first one's lease ends then, if it is not renewed.
    WithoutLease {
        expires_at: u8,
    },
    Waiting {
        since: u8,
    },
    Adopted,
    Paid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FirstRequest {
    NotSent,
    OnItsWay { since: u8 },
    Taken { visible_at: u8 },
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TakeoverState {
    now: u8,
    first: FirstMachine,
    second: SecondMachine,
    request: FirstRequest,
}

impl TakeoverState {
    const START: Self = Self {
        now: 0,
        first: FirstMachine::Claimed,
        second: SecondMachine::WithoutLease { expires_at: LEASE },
        request: FirstRequest::NotSent,
    };

    fn is_paid_twice(&self) -> bool {
        self.second == SecondMachine::Paid && matches!(self.request, FirstRequest::Taken { .. })
    }
}

impl TakeoverModel {
    /// Returns whether any order of events pays twice.
    fn can_pay_twice(self) -> bool {
        let end = LEASE + self.quiet_wait + self.delivery + self.list_lag + 6;
        let mut seen = HashSet::from([TakeoverState::START]);
        let mut open = vec![TakeoverState::START];
        while let Some(state) = open.pop() {
            if state.is_paid_twice() {
                return true;
            }
            let next = self.successors(state).into_iter().filter(|next| next.now <= end);
            open.extend(next.filter(|next| seen.insert(*next)));
        }
        false
    }

    fn successors(self, state: TakeoverState) -> Vec<TakeoverState> {
        let mut next = Vec::new();
        next.extend(self.first_acts(state));
        next.extend(self.second_acts(state));
        next.extend(self.request_arrives(state));
        let is_overdue = matches!(state.request, FirstRequest::OnItsWay { since }
            if state.now - since >= self.delivery);
        if !is_overdue {
            next.push(TakeoverState { now: state.now + 1, ..state });
        }
        next
    }

    fn first_acts(self, state: TakeoverState) -> Vec<TakeoverState> {
        let now = state.now;
        let mut next = Vec::new();
        let SecondMachine::WithoutLease { expires_at } = state.second else {
            return self.first_sends(state).into_iter().collect();
        };
        // An unchanged token proves that the lease was not lost in between, so a late renewal counts.
        let renewed = SecondMachine::WithoutLease { expires_at: now + LEASE };
        next.push(TakeoverState { second: renewed, ..state });
        if now < expires_at && state.first != FirstMachine::Sent {
            next.push(TakeoverState { first: FirstMachine::Checked { at: now }, ..state });
        }
        next.extend(self.first_sends(state));
        next
    }

    fn first_sends(self, state: TakeoverState) -> Option<TakeoverState> {
        let may_send = match (self.rule, state.first) {
            (_, FirstMachine::Sent) => false,
            (SendRule::Unchecked, FirstMachine::Claimed | FirstMachine::Checked { .. }) => true,
            (SendRule::CheckedOnce | SendRule::CheckedWithin(_), FirstMachine::Claimed) => false,
            (SendRule::CheckedOnce, FirstMachine::Checked { .. }) => true,
            (SendRule::CheckedWithin(age), FirstMachine::Checked { at }) => state.now - at <= age,
        };
        may_send.then_some(TakeoverState {
            first: FirstMachine::Sent,
            request: FirstRequest::OnItsWay { since: state.now },
            ..state
        })
    }

    fn second_acts(self, state: TakeoverState) -> Option<TakeoverState> {
        let second = match state.second {
            SecondMachine::WithoutLease { expires_at } if state.now >= expires_at => {
                SecondMachine::Waiting { since: state.now }
            }
            SecondMachine::Waiting { since } if state.now >= since + self.quiet_wait => {
                match state.request {
                    FirstRequest::Taken { visible_at } if visible_at <= state.now => {
                        SecondMachine::Adopted
                    }
                    FirstRequest::Taken { .. }
                    | FirstRequest::NotSent
                    | FirstRequest::OnItsWay { .. }
                    | FirstRequest::Lost => SecondMachine::Paid,
                }
            }
            SecondMachine::WithoutLease { .. }
            | SecondMachine::Waiting { .. }
            | SecondMachine::Adopted
            | SecondMachine::Paid => return None,
        };
        Some(TakeoverState { second, ..state })
    }

    fn request_arrives(self, state: TakeoverState) -> Vec<TakeoverState> {
        let FirstRequest::OnItsWay { .. } = state.request else { return Vec::new() };
        let taken = (0..=self.list_lag)
            .map(|lag| FirstRequest::Taken { visible_at: state.now + lag })
            .chain([FirstRequest::Lost]);
        taken.map(|request| TakeoverState { request, ..state }).collect()
    }
}

fn models(rule: SendRule) -> impl Iterator<Item = TakeoverModel> {
    let lags = (1..=2).flat_map(|delivery| (0..=2).map(move |list_lag| (delivery, list_lag)));
    lags.map(move |(delivery, list_lag)| TakeoverModel { rule, delivery, list_lag, quiet_wait: 0 })
}

/// The oracle: without a look at the lease, or with an old one, no wait is long enough. A machine that is
/// frozen between its look and its request is such a case.
#[test]
fn lease_alone_pays_twice_however_long_the_second_machine_waits() {
    for rule in [SendRule::Unchecked, SendRule::CheckedOnce] {
        for model in models(rule) {
            for quiet_wait in 0..=9 {
                let model = TakeoverModel { quiet_wait, ..model };
                assert!(model.can_pay_twice(), "{model:?}");
            }
        }
    }
}

/// The wait must be as long as the age of the look, the delivery of a request and the lag of the list
/// together; less pays twice.
#[test]
fn fresh_look_at_the_lease_and_a_long_wait_pay_once() {
    for age in 0..=2 {
        for model in models(SendRule::CheckedWithin(age)) {
            // A look precedes the takeover by a step, which one step of the list's lag makes up for.
            let bound = age + model.delivery + model.list_lag.saturating_sub(1);
            for quiet_wait in 0..=bound + 2 {
                let model = TakeoverModel { quiet_wait, ..model };
                assert_eq!(model.can_pay_twice(), quiet_wait < bound, "{model:?}");
            }
        }
    }
}
