//! Everything the servers, the postman and the owner of a sandbox share.
//!
//! Each part has its own short lock and none is held across an `.await`. Lock order, where two are
//! held: draws or switches before world; world before logbook.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bill::Bill;
use super::carry::retry_after;
use super::clock::{VirtualClock, wall_ms};
use super::desk::{Answer, Call, Desk, Problem};
use super::dice::Dice;
use super::endpoint::Endpoint;
use super::faults::{Drawn, Draws, Faults};
use super::films::Links;
use super::post::Post;
use super::seen::{Logbook, Seen};
use super::serve::origin_of;
use super::switches::{RateLimit, RetryAfter, Switches};
use super::world::{Entry, Past, World};

pub(super) struct Stage {
    world: Mutex<World>,
    switches: RwLock<Arc<Switches>>,
    draws: Mutex<Draws>,
    logbook: Mutex<Logbook>,
    /// When the last requests within the rate limit came.
    recent: Mutex<VecDeque<Instant>>,
    pub(super) clock: VirtualClock,
    pub(super) links: Links,
    pub(super) post: Post,
    pub(super) dice: Dice,
    /// Counts whatever happened; its value means nothing.
    changes: watch::Sender<u64>,
    pub(super) stop: CancellationToken,
}

impl Stage {
    /// Opens the stage on a world and its past; finished files are handed out at `downloads`.
    pub(super) fn open(
        (world, past): (World, Past),
        dice: Dice,
        switches: Switches,
        faults: Faults,
        downloads: SocketAddr,
    ) -> std::io::Result<Self> {
        let wall = wall_ms();
        let now = past
            .clock
            .map_or(wall, |(then, now, scale)| now + ((wall - then).max(0) as f64 * scale) as i64);
        let mut draws = Draws::new(faults, dice);
        past.faults.iter().for_each(|happened| draws.recall(happened));
        let stage = Self {
            world: Mutex::new(world),
            clock: VirtualClock::starting_at(now, switches.time_scale),
            switches: RwLock::new(Arc::new(switches)),
            draws: Mutex::new(draws),
            logbook: Mutex::default(),
            recent: Mutex::default(),
            links: Links { origin: origin_of(downloads), dice },
            post: Post::default(),
            dice,
            changes: watch::Sender::new(0),
            stop: CancellationToken::new(),
        };
        stage.remember_clock()?;
        if past.downloads != Some(downloads.port()) {
            let port = downloads.port();
            stage.world().commit(vec![Entry::Downloads { port }])?;
        }
        stage.resume_callbacks();
        Ok(stage)
    }

    fn remember_clock(&self) -> std::io::Result<()> {
        let (now, scale) = (self.clock.now(), self.clock.scale());
        self.world().commit(vec![Entry::Clock { wall: wall_ms(), now, scale }])
    }

    /// Renders of an earlier process go on; so do their callbacks. Those that came due while
    /// nobody was here are lost, as callbacks are.
    fn resume_callbacks(&self) {
        let now = self.clock.now();
        let switches = self.switches();
        let world = self.world();
        let open = world.renders().iter().filter(|render| render.end > now);
        open.for_each(|render| self.post.schedule(render, now, &switches.webhook, self.dice));
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        held(&self.world)
    }

    pub(super) fn logbook(&self) -> MutexGuard<'_, Logbook> {
        held(&self.logbook)
    }

    pub(super) fn draws(&self) -> MutexGuard<'_, Draws> {
        held(&self.draws)
    }

    pub(super) fn switches(&self) -> Arc<Switches> {
        Arc::clone(&self.switches.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes switches while running; the clock and the postman follow.
    pub(super) fn set(&self, change: impl FnOnce(&mut Switches)) {
        {
            let mut switches = self.switches.write().unwrap_or_else(PoisonError::into_inner);
            change(Arc::make_mut(&mut switches));
        }
        self.turn_clock(|clock| clock.rescale(self.switches().time_scale));
    }

    /// Does something to the clock and lets everybody know.
    pub(super) fn turn_clock(&self, turn: impl FnOnce(&VirtualClock)) {
        turn(&self.clock);
        if let Err(error) = self.remember_clock() {
            tracing::error!(%error, "the sandbox could not write its state");
        }
        self.post.wake();
        self.announce();
    }

    /// Draws for a request, and remembers what struck so that counts survive a restart.
    pub(super) fn draw(&self, endpoint: Endpoint) -> Option<Drawn> {
        let (drawn, happened) = self.draws().draw(endpoint)?;
        if let Err(error) = self.world().commit(vec![Entry::Fault(happened)]) {
            tracing::error!(%error, "the sandbox could not write its state");
        }
        Some(drawn)
    }

    /// Does the work of one request, whatever becomes of its answer.
    pub(super) fn perform(&self, call: &Call) -> Answer {
        let switches = self.switches();
        if let Some(limited) = self.limit(call.endpoint, &switches) {
            return limited;
        }
        let renders_max = self.draws().faults().renders_max();
        let mut world = self.world();
        // Read under the lock, so that virtual moments come in the order of the work.
        let now = self.clock.now();
        let mut desk = Desk {
            world: &mut world,
            switches: &switches,
            links: &self.links,
            now,
            scale: self.clock.scale(),
            renders_max,
            started: Vec::new(),
        };
        let answer = desk.answer(call);
        for render in &desk.started {
            self.post.schedule(render, now, &switches.webhook, self.dice);
        }
        answer
    }

    fn limit(&self, endpoint: Endpoint, switches: &Switches) -> Option<Answer> {
        let limit = switches.rate_limit.as_ref().filter(|_| endpoint != Endpoint::Download)?;
        let wait = self.wait(limit)?;
        let problem = Problem::new(429, 4290, "too many requests");
        let problem = if limit.success_false { problem.under_200() } else { problem };
        let answer = problem.answer(&switches.errors);
        let seconds = wait.as_secs() + 1;
        Some(match limit.retry_after {
            RetryAfter::Seconds => answer.with("retry-after", retry_after("seconds", seconds, 0)),
            RetryAfter::Date => answer.with("retry-after", retry_after("date", seconds, 0)),
            RetryAfter::None => answer,
        })
    }

    /// Returns how long to wait until another request fits; nothing when this one does.
    fn wait(&self, limit: &RateLimit) -> Option<Duration> {
        let window = Duration::from_millis(limit.per_ms);
        let now = Instant::now();
        let mut recent = held(&self.recent);
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

    pub(super) fn note(&self, endpoint: Option<Endpoint>, seen: Seen) {
        self.logbook().note(endpoint, seen);
        self.announce();
    }

    /// Tells whoever waits that something happened.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn bill(&self) -> Bill {
        let now = self.clock.now();
        self.world().bill(now)
    }

    /// Stops taking requests and lets the state file go.
    pub(super) fn close(&self) {
        self.stop.cancel();
        self.world().close();
    }
}

/// A lock is never held over code that can leave its data torn, so a poisoned one is as good.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
