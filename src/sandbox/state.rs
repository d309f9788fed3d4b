//! The state that the servers, the callback task and the owner of a sandbox share.
//!
//! Each part has its own short lock and none is held across an `.await`. Lock order, where two are
//! held: fault sampler or switches before world; world before request log.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::SandboxCredentials;
use super::api::{RequestRejection, SandboxApi, SandboxRequest, SandboxResponse};
use super::bill::Bill;
use super::callbacks::CallbackQueue;
use super::clock::{VirtualClock, wall_ms};
use super::crossed_responses::CrossedResponses;
use super::download_links::DownloadLinks;
use super::endpoint::SandboxEndpoint;
use super::faults::{FaultRules, FaultSampler, InjectedFault};
use super::inject_fault::retry_after_value;
use super::request_log::{RequestLog, RequestLogEntry};
use super::rng::SeededRng;
use super::serve::origin_url;
use super::vendor_behavior::{RateLimitSwitches, RetryAfterFormat, SandboxSwitches};
use super::world::{JournalEntry, RestoredState, SandboxWorld};

pub(super) struct ServerState {
    world: Mutex<SandboxWorld>,
    switches: RwLock<Arc<SandboxSwitches>>,
    fault_sampler: Mutex<FaultSampler>,
    request_log: Mutex<RequestLog>,
    /// Times of the latest requests within the rate limit.
    recent_requests: Mutex<VecDeque<Instant>>,
    pub(super) clock: VirtualClock,
    pub(super) credentials: SandboxCredentials,
    pub(super) download_links: DownloadLinks,
    pub(super) callbacks: CallbackQueue,
    pub(super) crossed_responses: CrossedResponses,
    pub(super) rng: SeededRng,
    /// Changes with every event; its value has no meaning.
    changes: watch::Sender<u64>,
    pub(super) stop: CancellationToken,
}

/// The parts from which the state of a sandbox is built.
pub(super) struct ServerParts {
    pub(super) world: SandboxWorld,
    pub(super) restored: RestoredState,
    pub(super) rng: SeededRng,
    pub(super) switches: SandboxSwitches,
    pub(super) faults: FaultRules,
    pub(super) credentials: SandboxCredentials,
    /// The address at which finished files are served.
    pub(super) downloads: SocketAddr,
}

impl ServerState {
    /// Creates the state of a sandbox.
    pub(super) fn open(parts: ServerParts) -> std::io::Result<Self> {
        let ServerParts { world, restored, rng, switches, faults, credentials, downloads } = parts;
        let wall = wall_ms();
        let now = restored
            .clock
            .map_or(wall, |(then, now, scale)| now + ((wall - then).max(0) as f64 * scale) as i64);
        let mut sampler = FaultSampler::new(faults, rng);
        restored.faults.iter().for_each(|injected| sampler.restore_counts(injected));
        let server = Self {
            world: Mutex::new(world),
            clock: VirtualClock::new(now, switches.time_scale),
            switches: RwLock::new(Arc::new(switches)),
            fault_sampler: Mutex::new(sampler),
            request_log: Mutex::default(),
            recent_requests: Mutex::default(),
            credentials,
            download_links: DownloadLinks { origin: origin_url(downloads), rng },
            callbacks: CallbackQueue::default(),
            crossed_responses: CrossedResponses::default(),
            rng,
            changes: watch::Sender::new(0),
            stop: CancellationToken::new(),
        };
        server.record_clock()?;
        if restored.download_port != Some(downloads.port()) {
            let port = downloads.port();
            server.world().commit(vec![JournalEntry::Downloads { port }])?;
        }
        server.resume_callbacks();
        Ok(server)
    }

    fn record_clock(&self) -> std::io::Result<()> {
        let (now, scale) = (self.clock.now(), self.clock.scale());
        self.world().commit(vec![JournalEntry::Clock { wall: wall_ms(), now, scale }])
    }

    /// Renders of an earlier process continue, and so do their callbacks. Those that were due while no
    /// process ran are lost, as callbacks may be.
    fn resume_callbacks(&self) {
        let now = self.clock.now();
        let switches = self.switches();
        let world = self.world();
        let open = world.renders().iter().filter(|render| render.end > now);
        open.for_each(|render| self.callbacks.schedule(render, now, &switches.webhook, self.rng));
    }

    pub(super) fn world(&self) -> MutexGuard<'_, SandboxWorld> {
        lock_ignoring_poison(&self.world)
    }

    pub(super) fn request_log(&self) -> MutexGuard<'_, RequestLog> {
        lock_ignoring_poison(&self.request_log)
    }

    pub(super) fn fault_sampler(&self) -> MutexGuard<'_, FaultSampler> {
        lock_ignoring_poison(&self.fault_sampler)
    }

    pub(super) fn switches(&self) -> Arc<SandboxSwitches> {
        Arc::clone(&self.switches.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes switches while running; the clock and the callback task follow.
    pub(super) fn update_switches(&self, change: impl FnOnce(&mut SandboxSwitches)) {
        {
            let mut switches = self.switches.write().unwrap_or_else(PoisonError::into_inner);
            change(Arc::make_mut(&mut switches));
        }
        self.update_clock(|clock| clock.set_scale(self.switches().time_scale));
    }

    /// Changes the clock and notifies all waiters.
    pub(super) fn update_clock(&self, turn: impl FnOnce(&VirtualClock)) {
        turn(&self.clock);
        if let Err(error) = self.record_clock() {
            tracing::error!(%error, "the sandbox could not write its state");
        }
        self.callbacks.wake();
        self.notify_change();
    }

    /// Samples a fault for a request, and records it so that counts survive a restart.
    pub(super) fn sample_fault(&self, endpoint: SandboxEndpoint) -> Option<InjectedFault> {
        let (injected, record) = self.fault_sampler().sample(endpoint)?;
        if let Err(error) = self.world().commit(vec![JournalEntry::Fault(record)]) {
            tracing::error!(%error, "the sandbox could not write its state");
        }
        Some(injected)
    }

    /// Does the work of one request, whatever happens to its response.
    pub(super) fn handle_request(&self, request: &SandboxRequest) -> SandboxResponse {
        self.handle_request_with(request, &self.switches())
    }

    /// The same under these switches.
    pub(super) fn handle_request_with(
        &self,
        request: &SandboxRequest,
        switches: &SandboxSwitches,
    ) -> SandboxResponse {
        if let Some(limited) = self.rate_limit_response(request.endpoint, switches) {
            return limited;
        }
        let renders_max = self.fault_sampler().faults().renders_max();
        let mut world = self.world();
        // Read under the lock, so that virtual times have the order of the work.
        let now = self.clock.now();
        let mut api = SandboxApi {
            world: &mut world,
            switches,
            credentials: &self.credentials,
            download_links: &self.download_links,
            now,
            scale: self.clock.scale(),
            renders_max,
            started_renders: Vec::new(),
        };
        let response = api.handle(request);
        for render in &api.started_renders {
            self.callbacks.schedule(render, now, &switches.webhook, self.rng);
        }
        response
    }

    fn rate_limit_response(
        &self,
        endpoint: SandboxEndpoint,
        switches: &SandboxSwitches,
    ) -> Option<SandboxResponse> {
        let limit =
            switches.rate_limit.as_ref().filter(|_| endpoint != SandboxEndpoint::Download)?;
        let wait = self.rate_limit_wait(limit)?;
        let problem = RequestRejection::new(429, 4290, "too many requests");
        let problem = if limit.success_false { problem.with_status_200() } else { problem };
        let response = problem.to_response(&switches.errors);
        let seconds = wait.as_secs() + 1;
        Some(match limit.retry_after {
            RetryAfterFormat::Seconds => {
                response.with_header("retry-after", retry_after_value("seconds", seconds, 0))
            }
            RetryAfterFormat::Date => {
                response.with_header("retry-after", retry_after_value("date", seconds, 0))
            }
            RetryAfterFormat::None => response,
        })
    }

    /// Returns the time until the next request fits the rate limit; `None` when this one does.
    fn rate_limit_wait(&self, limit: &RateLimitSwitches) -> Option<Duration> {
        let window = Duration::from_millis(limit.per_ms);
        let now = Instant::now();
        let mut recent = lock_ignoring_poison(&self.recent_requests);
        while recent.front().is_some_and(|then| now.duration_since(*then) >= window) {
            recent.pop_front();
        }
        match recent.front() {
            Some(oldest) if recent.len() >= limit.requests as usize => {
                Some(window.saturating_sub(now.duration_since(*oldest)))
            }
            None if limit.requests == 0 => Some(window),
            Some(_) | None => {
                recent.push_back(now);
                None
            }
        }
    }

    pub(super) fn log_request(&self, endpoint: Option<SandboxEndpoint>, seen: RequestLogEntry) {
        self.request_log().record(endpoint, seen);
        self.notify_change();
    }

    /// Notifies all waiters of a change.
    pub(super) fn notify_change(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn bill(&self) -> Bill {
        let now = self.clock.now();
        self.world().bill(now)
    }

    /// Stops accepting requests and closes the state file.
    pub(super) fn close(&self) {
        self.stop.cancel();
        self.world().close();
    }
}

/// A lock is never held over code that can leave its data half changed, so a poisoned one is intact.
fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
