//! Whether a fault happens to this request.
//!
//! Draws depend on the seed, the fault, the endpoint and the request's number at that endpoint, so
//! polls in between change no story. Counts of what has struck survive a restart by
//! [`Draws::recall`]; counts of what a rule let pass (`+3`) begin anew.

use serde::{Deserialize, Serialize};

use crate::sandbox::dice::Dice;
use crate::sandbox::endpoint::Endpoint;

use super::{Amount, Effect, Faults, Given, Known, Rule};

/// A fault that shall happen now.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct Drawn {
    pub(in crate::sandbox) known: &'static Known,
    pub(in crate::sandbox) given: Given,
    /// Bits for whatever the fault leaves to chance, such as where to cut.
    pub(in crate::sandbox) luck: u64,
}

/// A fault that has happened, as the journal keeps it: enough to go on counting after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct Happened {
    pub(in crate::sandbox) rule: String,
    pub(in crate::sandbox) matched: u64,
    pub(in crate::sandbox) endpoint: Endpoint,
    pub(in crate::sandbox) ordinal: u64,
}

/// The faults in force and how often each was asked.
#[derive(Debug)]
pub(in crate::sandbox) struct Draws {
    faults: Faults,
    matched: Vec<u64>,
    ordinals: [u64; Endpoint::ALL.len()],
    connections: u64,
    dice: Dice,
}

impl Draws {
    pub(in crate::sandbox) fn new(faults: Faults, dice: Dice) -> Self {
        let matched = vec![0; faults.rules.len()];
        Self { faults, matched, ordinals: [0; Endpoint::ALL.len()], connections: 0, dice }
    }

    pub(in crate::sandbox) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Puts other faults in force. Rules that stay keep their counts.
    pub(in crate::sandbox) fn replace(&mut self, faults: Faults) {
        let count = |rule: &Rule| {
            let old = self.faults.rules.iter().position(|old| old.text == rule.text);
            old.map_or(0, |place| self.matched[place])
        };
        self.matched = faults.rules.iter().map(count).collect();
        self.faults = faults;
    }

    /// Draws for the next request at `endpoint`. The first rule that strikes wins.
    pub(in crate::sandbox) fn draw(&mut self, endpoint: Endpoint) -> Option<(Drawn, Happened)> {
        let ordinal = self.ordinals[endpoint as usize];
        self.ordinals[endpoint as usize] += 1;
        let place = ((endpoint as u64) << 48) | ordinal;
        let mut struck = None;
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.matched) {
            if !rule.scope.holds(endpoint) || rule.known.effect == Effect::CreditsGone {
                continue;
            }
            *matched += 1;
            if struck.is_none() && strikes(rule, *matched, self.dice, place) {
                struck = Some((rule, *matched));
            }
        }
        struck.map(|(rule, matched)| {
            let luck = self.dice.roll(rule.known.name, place ^ (1 << 47));
            let drawn = Drawn { known: rule.known, given: rule.given, luck };
            (drawn, Happened { rule: rule.text.clone(), matched, endpoint, ordinal })
        })
    }

    /// Draws for the next connection: whether it is reset at once.
    pub(in crate::sandbox) fn refuses_connection(&mut self) -> bool {
        let place = self.connections;
        self.connections += 1;
        let mut refused = false;
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.matched) {
            if rule.known.effect == Effect::Refuse {
                *matched += 1;
                refused |= strikes(rule, *matched, self.dice, place);
            }
        }
        refused
    }

    /// Takes up the counts where an earlier process left them.
    pub(in crate::sandbox) fn recall(&mut self, happened: &Happened) {
        let ordinal = &mut self.ordinals[happened.endpoint as usize];
        *ordinal = (*ordinal).max(happened.ordinal + 1);
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.matched) {
            if rule.text == happened.rule {
                *matched = (*matched).max(happened.matched);
            }
        }
    }
}

fn strikes(rule: &Rule, matched: u64, dice: Dice, place: u64) -> bool {
    match rule.amount {
        Amount::Always => true,
        Amount::Share(share) => dice.share(rule.known.name, place) < share,
        Amount::First(count) => matched <= count,
        Amount::After(count) => matched > count,
    }
}
