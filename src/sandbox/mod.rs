//! A simulator of AI Studios: real HTTP on this machine, for rehearsals, tests and benchmarks.
//!
//! It replaces the vendor, so it is written from the vendor's documents alone and shares no type with
//! the client: one misreading cannot hide on both sides. Each question that the documents leave open is
//! a field of [`SandboxSwitches`]; each failure is a rule of [`FaultRules`]; each render is on the
//! [`Bill`]. Its clock may run fast, and its state can be kept in a file, so that a rehearsal killed
//! halfway continues against the same projects.
//!
//! Inside: `serve` handles sockets, `wire` breaks connections, `inject_fault` applies faults, `api`
//! implements the endpoints as plain functions over `world`, the records and their journal. Invariant:
//! work is done, journalled and billed before the first byte of its response is sent.
//!
//! It is not meant for a network: it trusts every client that reaches it by an address of this
//! machine. A web page cannot: its requests name another host, or are not JSON.

mod altered_list;
mod api;
mod bill;
mod callbacks;
mod clock;
mod control_api;
mod crossed_responses;
mod download_links;
mod endpoint;
mod faults;
mod inject_fault;
mod raw;
mod request_guard;
mod request_log;
mod rng;
mod sample_videos;
mod serve;
mod state;
mod vendor_behavior;
mod wire;
mod world;

pub use bill::{Bill, BillLine, DuplicateBasis, PaidTwice};
pub use faults::{FaultError, FaultKind, FaultRules};
pub use request_log::{RequestLogEntry, SandboxCounters};
pub use vendor_behavior::*;

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
use state::{ServerParts, ServerState};
use world::SandboxWorld;

/// The `appId` it accepts.
pub const APP_ID: &str = "studiov3.rehearsal@callsheet.invalid";
/// The `userKey` it accepts. It opens nothing anywhere else.
pub const USER_KEY: &str = "5a1bca11-5ee7-4000-8000-00000000cafe";

/// The credentials that a sandbox accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxCredentials {
    pub app_id: String,
    pub user_key: String,
    /// Whether the well-known pair is accepted as well.
    pub accepts_known_pair: bool,
}

impl Default for SandboxCredentials {
    /// The well-known pair, for a sandbox that scripts start and use.
    fn default() -> Self {
        Self { app_id: APP_ID.to_owned(), user_key: USER_KEY.to_owned(), accepts_known_pair: true }
    }
}

impl SandboxCredentials {
    /// Returns a pair that no other program knows.
    pub fn random() -> Self {
        let key: u128 = rand::random();
        let user_key = format!("{key:032x}");
        Self { app_id: APP_ID.to_owned(), user_key, accepts_known_pair: false }
    }

    fn includes(&self, app_id: &str, user_key: &str) -> bool {
        (app_id == self.app_id && user_key == self.user_key)
            || (self.accepts_known_pair && app_id == APP_ID && user_key == USER_KEY)
    }
}

/// How a sandbox is opened. The default listens on a free port of this machine, keeps no state and
/// behaves as documented.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Where the API listens; downloads get a free port of the same address.
    pub listen: SocketAddr,
    /// Seeds every random decision: faults, render times, failures.
    pub seed: u64,
    pub switches: SandboxSwitches,
    pub faults: FaultRules,
    pub credentials: SandboxCredentials,
    /// The file that keeps its state across a kill. Switches and faults are not in it.
    pub state: Option<PathBuf>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 0,
            switches: SandboxSwitches::default(),
            faults: FaultRules::default(),
            credentials: SandboxCredentials::default(),
            state: None,
        }
    }
}

/// A running sandbox. It stops when dropped.
pub struct Sandbox {
    server: Arc<ServerState>,
    base_url: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Opens both servers and returns when they accept connections.
    ///
    /// # Errors
    /// An address cannot be bound; the state file is damaged, in use or unreadable. The text is meant
    /// for the user.
    pub async fn start(settings: SandboxSettings) -> io::Result<Self> {
        let api = listen(settings.listen).await?;
        let base_url = serve::origin_url(api.local_addr()?);
        let rng = SeededRng::new(settings.seed);
        let (world, restored) = SandboxWorld::open(rng, settings.state.as_deref())?;
        let downloads = listen_on_former_port(settings.listen.ip(), restored.download_port).await?;
        let address = downloads.local_addr()?;
        let SandboxSettings { switches, faults, credentials, .. } = settings;
        let server = Arc::new(ServerState::open(ServerParts {
            world,
            restored,
            rng,
            switches,
            faults,
            credentials,
            downloads: address,
        })?);
        let tasks = vec![
            tokio::spawn(run_and_log_error(serve::serve_api(Arc::clone(&server), api))),
            tokio::spawn(run_and_log_error(serve::serve_downloads(Arc::clone(&server), downloads))),
            tokio::spawn(callbacks::deliver_callbacks(Arc::clone(&server))),
        ];
        Ok(Self { server, base_url, tasks })
    }

    /// Returns the API's origin, such as `http://127.0.0.1:41234`.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Returns the origin of finished files; never the API's.
    pub fn download_origin(&self) -> String {
        self.server.download_links.origin.clone()
    }

    /// Returns every render that was started, as of now in virtual time.
    pub fn bill(&self) -> Bill {
        self.server.bill()
    }

    /// Returns how many renders were started; cheaper than [`Sandbox::bill`].
    pub fn render_count(&self) -> u64 {
        self.server.world().renders().len() as u64
    }

    /// Returns the latest requests (20,000 at most), oldest first.
    pub fn requests(&self) -> Vec<RequestLogEntry> {
        self.server.request_log().requests()
    }

    /// Returns the counters since this process started.
    pub fn counters(&self) -> SandboxCounters {
        self.server.request_log().counters()
    }

    /// Returns the switches in force.
    pub fn switches(&self) -> SandboxSwitches {
        (*self.server.switches()).clone()
    }

    /// Changes behaviour while running.
    pub fn update_switches(&self, change: impl FnOnce(&mut SandboxSwitches)) {
        self.server.update_switches(change);
    }

    /// Replaces the fault rules. A rule whose text is unchanged keeps its count.
    pub fn set_faults(&self, faults: FaultRules) {
        self.server.fault_sampler().replace_rules(faults);
        self.server.notify_change();
    }

    /// Jumps ahead in virtual time.
    pub fn advance(&self, by: Duration) {
        self.server.update_clock(|clock| clock.advance(by));
    }

    /// Returns virtual epoch milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.server.clock.now()
    }

    /// Waits for the next request, callback or change of switches.
    ///
    /// A change between a check and this call is missed; [`Sandbox::wait_until`] misses none.
    pub async fn wait_for_change(&self) {
        // An error means that the server state is gone, and with it anything to wait for.
        let _ = self.server.subscribe().changed().await;
    }

    /// Waits until `done` returns true. It is called at once and after every change; virtual time that
    /// merely passes is not a change.
    pub async fn wait_until(&self, mut done: impl FnMut(&Self) -> bool) {
        let mut changes = self.server.subscribe();
        while !done(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops: accepts no more requests, lets open ones finish, closes the state file.
    pub async fn stop(mut self) {
        self.server.close();
        for task in std::mem::take(&mut self.tasks) {
            // A client that reads very slowly must not block the shutdown.
            let _ = timeout(STOP_TIMEOUT, task).await;
        }
    }
}

/// How long open requests may take after the sandbox was asked to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.close();
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
            io::ErrorKind::AddrInUse => "; the port is in use, choose another one",
            _ => "",
        };
        let text = format!("the sandbox cannot listen on `{address}` ({error}){advice}");
        io::Error::new(error.kind(), text)
    })
}

/// Listens on the port of the previous process, so that its links still work; on a free port if there
/// was none or it is in use.
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
        tracing::error!(%error, "a server of the sandbox stopped");
    }
}
