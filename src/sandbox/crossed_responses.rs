//! Responses that reach another request of the same endpoint: two that are swapped, or an older one, as
//! a broken proxy or cache sends them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::api::SandboxResponse;
use super::endpoint::SandboxEndpoint;

/// Whose response a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossing {
    /// That of the next request, which gets this one's.
    Swapped,
    /// That of the request before.
    Older,
}

/// A request without a second one gets its own response after this real time.
const SECOND_REQUEST_MAX: Duration = Duration::from_secs(1);

/// The responses that wait for another request, and the last ones.
#[derive(Debug, Default)]
pub(super) struct CrossedResponses {
    waiting: Mutex<BTreeMap<SandboxEndpoint, WaitingResponse>>,
    last: Mutex<BTreeMap<SandboxEndpoint, SandboxResponse>>,
}

#[derive(Debug)]
struct WaitingResponse {
    response: SandboxResponse,
    other: oneshot::Sender<SandboxResponse>,
}

impl CrossedResponses {
    /// Returns the response that a request gets instead of its own.
    pub(super) async fn cross(
        &self,
        endpoint: SandboxEndpoint,
        own: SandboxResponse,
        crossing: Crossing,
    ) -> SandboxResponse {
        match crossing {
            Crossing::Older => lock(&self.last).insert(endpoint, own.clone()).unwrap_or(own),
            Crossing::Swapped => self.swap(endpoint, own).await,
        }
    }

    async fn swap(&self, endpoint: SandboxEndpoint, own: SandboxResponse) -> SandboxResponse {
        let first = lock(&self.waiting).remove(&endpoint);
        if let Some(WaitingResponse { response, other }) = first {
            return match other.send(own) {
                Ok(()) => response,
                Err(own) => own,
            };
        }
        let (other, received) = oneshot::channel();
        let waiting = WaitingResponse { response: own.clone(), other };
        lock(&self.waiting).insert(endpoint, waiting);
        match tokio::time::timeout(SECOND_REQUEST_MAX, received).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => {
                lock(&self.waiting).remove(&endpoint);
                own
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
