//! The request log and counters, for tests and for users who rehearse.
//!
//! Counts are complete; the requests themselves are kept in a ring, because a benchmark sends
//! millions. No header and no body is kept, only that an `Authorization` was there.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::endpoint::SandboxEndpoint;

/// Requests kept. Enough for a long test; at a hundred bytes each a few megabytes.
const LOGGED_REQUESTS_MAX: usize = 20_000;

/// One request as received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestLogEntry {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The endpoint's name, as in fault rules; empty for an unknown path.
    pub endpoint: &'static str,
    /// Wall clock, epoch milliseconds, when the request's head had been read.
    pub at_ms: i64,
    /// Whether an `Authorization` header was sent, with any value.
    pub had_authorization: bool,
    /// Bytes of the body that were read; 0 when a fault was injected first.
    pub body_len: usize,
    /// The status of the response; a fault may have prevented its delivery.
    pub status: u16,
    /// The injected fault, if any.
    pub fault: Option<&'static str>,
}

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SandboxCounters {
    /// Requests by endpoint; endpoints without a request are omitted.
    pub requests: BTreeMap<&'static str, u64>,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Requests to the download origin that carried an `Authorization` header. Must be 0.
    pub leaked_tokens: u64,
    /// Requests to paths of the download origin that are not files: a redirect was followed.
    pub strays: u64,
    /// Callbacks that were acknowledged with 2xx.
    pub webhooks_sent: u64,
    /// Callbacks that no receiver acknowledged with 2xx.
    pub webhooks_failed: u64,
    /// Callbacks to addresses outside this machine, which are never sent.
    pub webhooks_refused: u64,
}

impl SandboxCounters {
    /// Returns the number of requests to an endpoint, by its name.
    pub fn request_count(&self, endpoint: &str) -> u64 {
        self.requests.get(endpoint).copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct RequestLog {
    entries: VecDeque<RequestLogEntry>,
    counts_by_endpoint: [u64; SandboxEndpoint::ALL.len()],
    pub(super) counters: SandboxCounters,
}

impl RequestLog {
    pub(super) fn record(&mut self, endpoint: Option<SandboxEndpoint>, seen: RequestLogEntry) {
        if let Some(endpoint) = endpoint {
            self.counts_by_endpoint[endpoint as usize] += 1;
        }
        if let Some(fault) = seen.fault {
            *self.counters.faults.entry(fault).or_default() += 1;
        }
        if self.entries.len() == LOGGED_REQUESTS_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(seen);
    }

    pub(super) fn requests(&self) -> Vec<RequestLogEntry> {
        self.entries.iter().cloned().collect()
    }

    pub(super) fn counters(&self) -> SandboxCounters {
        let asked = SandboxEndpoint::ALL
            .into_iter()
            .filter(|one| self.counts_by_endpoint[*one as usize] > 0);
        let requests =
            asked.map(|one| (one.as_str(), self.counts_by_endpoint[one as usize])).collect();
        SandboxCounters { requests, ..self.counters.clone() }
    }
}
