//! Decides whether a fault is injected into a request.
//!
//! Decisions depend on the seed, the fault, the endpoint and the number of the request at that endpoint,
//! so polls in between change nothing. Counts of injected faults survive a restart
//! ([`FaultSampler::restore_counts`]); counts of requests that a rule let pass (`+3`) start again.

use serde::{Deserialize, Serialize};

use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::rng::SeededRng;

use super::{FaultArgument, FaultEffect, FaultKind, FaultRule, FaultRules, FaultTrigger};

/// A fault to inject now.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct InjectedFault {
    pub(in crate::sandbox) kind: &'static FaultKind,
    pub(in crate::sandbox) argument: FaultArgument,
    /// Random bits for the details of the fault, such as where to cut.
    pub(in crate::sandbox) random_bits: u64,
}

/// An injected fault in the journal: enough to continue counting after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct FaultRecord {
    pub(in crate::sandbox) rule: String,
    pub(in crate::sandbox) matched: u64,
    pub(in crate::sandbox) endpoint: SandboxEndpoint,
    pub(in crate::sandbox) ordinal: u64,
}

/// The active fault rules and how often each was considered.
#[derive(Debug)]
pub(in crate::sandbox) struct FaultSampler {
    faults: FaultRules,
    match_counts: Vec<u64>,
    request_counts: [u64; SandboxEndpoint::ALL.len()],
    connection_count: u64,
    rng: SeededRng,
}

impl FaultSampler {
    pub(in crate::sandbox) fn new(faults: FaultRules, rng: SeededRng) -> Self {
        let match_counts = vec![0; faults.rules.len()];
        Self {
            faults,
            match_counts,
            request_counts: [0; SandboxEndpoint::ALL.len()],
            connection_count: 0,
            rng,
        }
    }

    pub(in crate::sandbox) fn faults(&self) -> &FaultRules {
        &self.faults
    }

    /// Replaces the fault rules. Rules that stay keep their counts.
    pub(in crate::sandbox) fn replace_rules(&mut self, faults: FaultRules) {
        let count = |rule: &FaultRule| {
            let old = self.faults.rules.iter().position(|old| old.text == rule.text);
            old.map_or(0, |place| self.match_counts[place])
        };
        self.match_counts = faults.rules.iter().map(count).collect();
        self.faults = faults;
    }

    /// Samples a fault for the next request at `endpoint`. The first matching rule wins.
    pub(in crate::sandbox) fn sample(
        &mut self,
        endpoint: SandboxEndpoint,
    ) -> Option<(InjectedFault, FaultRecord)> {
        let ordinal = self.request_counts[endpoint as usize];
        self.request_counts[endpoint as usize] += 1;
        let place = ((endpoint as u64) << 48) | ordinal;
        let mut struck = None;
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.match_counts) {
            if !rule.scope.has_endpoint(endpoint) || rule.kind.effect == FaultEffect::ExhaustCredits
            {
                continue;
            }
            *matched += 1;
            if struck.is_none() && should_inject(rule, *matched, self.rng, place) {
                struck = Some((rule, *matched));
            }
        }
        struck.map(|(rule, matched)| {
            let random_bits = self.rng.draw_u64(rule.kind.name, place ^ (1 << 47));
            let argument = rule.argument.clone();
            let injected = InjectedFault { kind: rule.kind, argument, random_bits };
            (injected, FaultRecord { rule: rule.text.clone(), matched, endpoint, ordinal })
        })
    }

    /// Samples whether the next connection is reset at once.
    pub(in crate::sandbox) fn refuses_connection(&mut self) -> bool {
        let place = self.connection_count;
        self.connection_count += 1;
        let mut refused = false;
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.match_counts) {
            if rule.kind.effect == FaultEffect::RefuseConnection {
                *matched += 1;
                refused |= should_inject(rule, *matched, self.rng, place);
            }
        }
        refused
    }

    /// Restores the counts of an earlier process.
    pub(in crate::sandbox) fn restore_counts(&mut self, injected: &FaultRecord) {
        let ordinal = &mut self.request_counts[injected.endpoint as usize];
        *ordinal = (*ordinal).max(injected.ordinal + 1);
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.match_counts) {
            if rule.text == injected.rule {
                *matched = (*matched).max(injected.matched);
            }
        }
    }
}

fn should_inject(rule: &FaultRule, matched: u64, rng: SeededRng, place: u64) -> bool {
    match rule.trigger {
        FaultTrigger::Always => true,
        FaultTrigger::Fraction(share) => rng.draw_fraction(rule.kind.name, place) < share,
        FaultTrigger::First(count) => matched <= count,
        FaultTrigger::After(count) => matched > count,
    }
}
