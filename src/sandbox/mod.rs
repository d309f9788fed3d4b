//! A virtual AI Studios: real HTTP on this machine, for rehearsals, tests and benchmarks.
//!
//! It stands in for the vendor, so it is written from the vendor's documents alone and shares no
//! type with the client: one misreading cannot hide on both sides. What the documents leave open
//! is a [`Switches`] field; what can go wrong is a rule of [`Faults`]; what was billed is on its
//! [`Bill`]. It has a clock of its own that may run fast, and can keep its state in a file, so that
//! a rehearsal killed in the middle finds the same studio again.
//!
//! Inside: `serve` talks to sockets, `wire` breaks them, `carry` carries faults out, `desk` answers
//! the API as plain functions over `world`, which is the memory and its journal. Invariant: work is
//! done, journalled and billed before the first byte of its answer leaves.
//!
//! It is no server for a network: it trusts whoever reaches it.

mod api;
mod bill;
mod callbacks;
mod clock;
mod control_api;
mod endpoint;
mod faults;
mod inject_fault;
mod raw;
mod request_log;
mod rng;
mod sample_videos;
mod serve;
mod state;
mod switches;
mod wire;
mod world;

pub use bill::{Bill, BillLine, DuplicateBasis, PaidTwice};
pub use faults::{FaultError, FaultKind, FaultRules};
pub use request_log::{RequestLogEntry, SandboxCounters};
pub use switches::*;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use rng::SeededRng;
use state::ServerState;
use world::SandboxWorld;

/// The `appId` it accepts.
pub const APP_ID: &str = "studiov3.rehearsal@callsheet.invalid";
/// The `userKey` it accepts. It opens nothing anywhere else.
pub const USER_KEY: &str = "5a1bca11-5ee7-4000-8000-00000000cafe";

/// How to open a sandbox. The default listens on a free port of this machine, remembers nothing
/// and behaves as documented.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Where the API listens; downloads get a free port of the same address.
    pub listen: SocketAddr,
    /// Decides every draw: faults, lengths of renders, failures.
    pub seed: u64,
    pub switches: SandboxSwitches,
    pub faults: FaultRules,
    /// The file that lets it go on after a kill. Switches and faults are not in it.
    pub state: Option<PathBuf>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 0,
            switches: SandboxSwitches::default(),
            faults: FaultRules::default(),
            state: None,
        }
    }
}

/// A running virtual AI Studios. It stops when dropped.
pub struct Sandbox {
    stage: Arc<ServerState>,
    base_url: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Opens both servers and returns when they take connections.
    ///
    /// # Errors
    /// An address cannot be bound; the state file is damaged, in use or unreadable. The text is
    /// for people.
    pub async fn start(settings: SandboxSettings) -> io::Result<Self> {
        let api = listen(settings.listen).await?;
        let base_url = serve::origin_url(api.local_addr()?);
        let dice = SeededRng::new(settings.seed);
        let (world, past) = SandboxWorld::open(dice, settings.state.as_deref())?;
        let downloads = listen_on_former_port(settings.listen.ip(), past.download_port).await?;
        let address = downloads.local_addr()?;
        let SandboxSettings { switches, faults, .. } = settings;
        let stage = Arc::new(ServerState::open((world, past), dice, switches, faults, address)?);
        let tasks = vec![
            tokio::spawn(run_and_log_error(serve::serve_api(Arc::clone(&stage), api))),
            tokio::spawn(run_and_log_error(serve::serve_downloads(Arc::clone(&stage), downloads))),
            tokio::spawn(callbacks::deliver_callbacks(Arc::clone(&stage))),
        ];
        Ok(Self { stage, base_url, tasks })
    }

    /// Returns the API's origin, such as `http://127.0.0.1:41234`.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Returns the origin of finished files; never the API's.
    pub fn download_origin(&self) -> String {
        self.stage.download_links.origin.clone()
    }

    /// Returns every render that was started, as of now in virtual time.
    pub fn bill(&self) -> Bill {
        self.stage.bill()
    }

    /// Returns how many renders were started; unlike [`Sandbox::bill`] at no cost.
    pub fn render_count(&self) -> u64 {
        self.stage.world().renders().len() as u64
    }

    /// Returns the latest requests (20,000 at most), oldest first.
    pub fn requests(&self) -> Vec<RequestLogEntry> {
        self.stage.request_log().requests()
    }

    /// Returns how often things happened since this process started.
    pub fn counters(&self) -> SandboxCounters {
        self.stage.request_log().counters()
    }

    /// Returns the switches in force.
    pub fn switches(&self) -> SandboxSwitches {
        (*self.stage.switches()).clone()
    }

    /// Changes behaviour while running.
    pub fn update_switches(&self, change: impl FnOnce(&mut SandboxSwitches)) {
        self.stage.update_switches(change);
    }

    /// Puts other faults in force. A rule that stays, word for word, keeps its count.
    pub fn set_faults(&self, faults: FaultRules) {
        self.stage.draws().replace_rules(faults);
        self.stage.notify_change();
    }

    /// Jumps ahead in virtual time.
    pub fn advance(&self, by: Duration) {
        self.stage.update_clock(|clock| clock.advance(by));
    }

    /// Returns virtual epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.stage.clock.now()
    }

    /// Waits for the next request, callback or change of switches.
    ///
    /// Something may happen between a look and this call; [`Sandbox::until`] misses nothing.
    pub async fn wait_for_change(&self) {
        // An error means the stage is gone, and with it anything to wait for.
        let _ = self.stage.subscribe().changed().await;
    }

    /// Waits until a look at the sandbox satisfies `done`. It looks at once and after every
    /// change; virtual time that merely passes is no change.
    pub async fn wait_until(&self, mut done: impl FnMut(&Self) -> bool) {
        let mut changes = self.stage.subscribe();
        while !done(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops: takes no more requests, lets those under way end, closes the state file.
    pub async fn stop(mut self) {
        self.stage.close();
        for task in std::mem::take(&mut self.tasks) {
            // A client that reads very slowly must not hold us for ever.
            let _ = timeout(STOP_TIMEOUT, task).await;
        }
    }
}

/// How long requests under way may take once the sandbox is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stage.close();
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.download_origin();
        f.debug_struct("Sandbox").field("api", &self.base_url).field("downloads", &origin).finish()
    }
}

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; something listens there already, choose another port",
            _ => "",
        };
        let text = format!("the sandbox cannot listen on `{address}` ({error}){advice}");
        io::Error::new(error.kind(), text)
    })
}

/// Listens where it did before, so that links of then still lead here; or on a free port, where there
/// was none before or somebody else has taken it.
async fn listen_on_former_port(ip: IpAddr, former: Option<u16>) -> io::Result<TcpListener> {
    if let Some(port) = former
        && let Ok(listener) = TcpListener::bind((ip, port)).await
    {
        return Ok(listener);
    }
    listen(SocketAddr::new(ip, 0)).await
}

async fn run_and_log_error(server: impl Future<Output = io::Result<()>>) {
    if let Err(error) = server.await {
        tracing::error!(%error, "a server of the sandbox ended");
    }
}
