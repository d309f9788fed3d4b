//! The server of the console: from a socket to the routes, and its end.
//!
//! Invariant: once it closes, streams to browsers end and no request is begun.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::console::assets::ConsoleAssets;
use crate::console::console_link::ConsoleLink;
use crate::console::live::LiveFeed;
use crate::console::pages::rows::row_text_cache::RowTextCache;
use crate::console::routes;
use crate::console::safety::allowed_hosts::AllowedHosts;
use crate::console::settings::ConsoleSettings;
use crate::console::sign_in::password::PasswordChecks;
use crate::console::sign_in::secret::ConsoleSecret;
use crate::console::sign_in::throttle::SignInThrottle;
use crate::console::state::{ConsoleState, SharedConsoleState};
use crate::ledger::Ledger;

/// The time for open requests once the console closes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// A running console.
pub(crate) struct ConsoleServer {
    url: String,
    link_secret: Option<ConsoleSecret>,
    stop: CancellationToken,
    server_task: JoinHandle<()>,
    live_task: JoinHandle<()>,
}

impl ConsoleServer {
    /// Starts the console. Without users, it has a link that signs in one browser.
    ///
    /// # Errors
    /// The address cannot be bound, or the system has no randomness.
    pub(crate) async fn open(
        settings: ConsoleSettings,
        ledger: &Ledger,
        clock: &Clock,
        has_users: bool,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let link_secret = if has_users { None } else { Some(ConsoleSecret::random()?) };
        let stop = CancellationToken::new();
        let url = format!("http://{address}{}", settings.base_path.as_str());
        let (live, live_task) = LiveFeed::start(ledger.clone(), clock.clone(), stop.clone());
        let state = ConsoleState::new(SharedConsoleState {
            assets: ConsoleAssets::new(&settings.base_path),
            hosts: AllowedHosts::new(address.ip(), &settings.hosts),
            link: link_secret.as_ref().map(ConsoleLink::new).unwrap_or_default(),
            throttle: SignInThrottle::default(),
            passwords: PasswordChecks::default(),
            live,
            row_texts: RowTextCache::default(),
            stop: stop.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            settings: ConsoleSettings { listen: address, ..settings },
        });
        let service = routes::router(state).into_make_service_with_connect_info::<SocketAddr>();
        let stop_signal = stop.clone();
        let server_task = tokio::spawn(async move {
            let server = axum::serve(listener, service)
                .with_graceful_shutdown(stop_signal.cancelled_owned());
            if let Err(error) = server.await {
                tracing::warn!("the console no longer answers: {error}");
            }
        });
        Ok(Self { url, link_secret, stop, server_task, live_task })
    }

    /// Returns the address for a browser on this machine.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the link that signs in one browser; `None` if the console has users.
    pub(crate) fn link(&self) -> Option<String> {
        let secret = self.link_secret.as_ref()?;
        Some(format!("{}/welcome?token={}", self.url, secret.encode()))
    }

    /// Stops the console.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.live_task.abort();
        // A browser in the middle of a video asks again for the rest.
        drop(timeout(SHUTDOWN_TIMEOUT, self.server_task).await);
    }
}
