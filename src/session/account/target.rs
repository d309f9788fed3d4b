//! The target of a run: AI Studios or the sandbox, with credentials.
//!
//! Credentials are found in `credentials`; nothing here reads or shows them.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::aistudios::{AiStudios, ApiClient, Credentials, StateWords};
use crate::batch::{Batch, HostOrigin, InvalidStudioHost, StudioHost, VendorProfile};
use crate::clock::Clock;
use crate::http::ProxyMode;
use crate::ledger::{LedgerAddress, StopCause};
use crate::runner::{FIRST_POLL_DELAY, Halt};
use crate::sandbox::{Sandbox, SandboxCredentials, SandboxSettings};
use crate::session::account::credentials;
use crate::session::account::credentials::{ChosenHost, CredentialQuery, FoundCredentials};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

/// Simulated seconds per second of a rehearsal: minutes of rendering take seconds.
pub(crate) const REHEARSAL_SPEED: f64 = 60.0;
/// A faster sandbox would leave no time for requests.
const SPEED_MAX: f64 = 1_000_000.0;
/// The host that the ledger stores for a rehearsal, whose port is different each time.
pub(crate) const REHEARSAL_HOST: &str = "rehearsal";

/// The target of a run.
pub(crate) struct RunTarget {
    /// The host as the ledger stores it.
    pub(crate) stored_host: String,
    /// The key of the account's catalogues in the ledger.
    pub(crate) catalog_key: String,
    base_url: Url,
    credentials: Credentials,
    proxy: ProxyMode,
    /// The sandbox of a rehearsal; it ends with the run.
    sandbox: Option<Sandbox>,
    /// Seconds at the target per second here; above 1 only in a rehearsal.
    speed: f64,
}

impl RunTarget {
    /// Returns AI Studios with the host and credentials of the batch.
    pub(crate) async fn for_batch(batch: &Batch) -> Result<Self, CommandError> {
        Self::for_query(CredentialQuery::from_batch(batch)).await
    }

    /// Returns AI Studios with the credentials that `query` finds.
    pub(crate) async fn for_query(query: CredentialQuery<'_>) -> Result<Self, CommandError> {
        let credentials = credentials::load_credentials(query)
            .await
            .map_err(|error| CommandError::usage(error).with_cause(StopCause::Credentials))?;
        Ok(Self::new(query, credentials))
    }

    /// Returns AI Studios, unless a command of the batch file would have to be run for the user key.
    pub(crate) fn without_key_command(query: CredentialQuery<'_>) -> Option<Self> {
        match credentials::find_credentials(query).ok()? {
            FoundCredentials::Pair(credentials) => Some(Self::new(query, credentials)),
            FoundCredentials::KeyCommand { .. } => None,
        }
    }

    fn new(query: CredentialQuery<'_>, credentials: Credentials) -> Self {
        Self {
            stored_host: stored_host(query.host),
            catalog_key: catalog_key(query),
            base_url: query.host.base_url(),
            credentials,
            proxy: query.batch.map(|batch| (&batch.studio.proxy).into()).unwrap_or_default(),
            sandbox: None,
            speed: 1.0,
        }
    }

    /// Returns AI Studios at the host that the ledger stores for the batch, whatever its file says.
    pub(crate) async fn at_stored_host(host: &str, batch: &Batch) -> Result<Self, CommandError> {
        let host = StudioHost::parse(host).map_err(CommandError::usage)?;
        // The operator's variable vouches for the host that it names.
        let is_operators = matches!(host_from_environment(), Some(Ok(named)) if named == host);
        let origin = if is_operators { HostOrigin::Operator } else { HostOrigin::Ledger };
        Self::for_query(CredentialQuery { host: &host, origin, batch: Some(batch) }).await
    }

    /// Starts a sandbox in this process. It stores its state beside the ledger, so that a rehearsal
    /// that was killed continues like a real run.
    pub(crate) async fn start_rehearsal(
        ledger: &LedgerAddress,
        mut settings: SandboxSettings,
    ) -> Result<Self, CommandError> {
        settings.state = Some(ledger.companion_file("studio.jsonl"));
        settings.credentials = SandboxCredentials::random();
        let speed = settings.switches.time_scale;
        let SandboxCredentials { app_id, user_key, .. } = settings.credentials.clone();
        let sandbox = Sandbox::start(settings).await.map_err(|error| match error.kind() {
            // The batch's own lock is held by now, so another batch of this ledger is rehearsed.
            std::io::ErrorKind::ResourceBusy => CommandError::new(
                ExitReason::BatchLocked,
                format!(
                    "another rehearsal uses the ledger `{ledger}`: wait for it, or choose another \
                     --ledger"
                ),
            ),
            _ => CommandError::unexpected(format!("the sandbox cannot start: {error}")),
        })?;
        let base_url = Url::parse(&sandbox.base_url()).map_err(CommandError::unexpected)?;
        let credentials = Credentials::new(&app_id, &user_key).map_err(CommandError::unexpected)?;
        Ok(Self {
            catalog_key: REHEARSAL_HOST.to_owned(),
            stored_host: REHEARSAL_HOST.to_owned(),
            base_url,
            credentials,
            proxy: ProxyMode::Bypassed,
            sandbox: Some(sandbox),
            speed,
        })
    }

    /// Returns the fingerprint of the account, whose rate other processes share; `None` in a rehearsal,
    /// which has its own sandbox.
    pub(crate) fn account_fingerprint(&self) -> Option<String> {
        let is_live = self.sandbox.is_none();
        is_live.then(|| self.credentials.account_fingerprint(&self.base_url))
    }

    /// Returns whether both use one account, and so share its rate limits.
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        self.base_url == other.base_url && self.credentials == other.credentials
    }

    /// Returns the message for a run that cannot begin, which names the host.
    pub(crate) fn start_failure_message(&self, halt: &Halt) -> String {
        let (host, message) = (self.base_url.authority(), halt.message());
        match halt {
            Halt::Unresponsive { .. } if !message.contains(host) => format!(
                "`{host}` does not respond ({message}): check the network and `base_url`, then run \
                 the same command again"
            ),
            _ => message.to_owned(),
        }
    }

    /// Returns whether the target is a sandbox, which costs nothing.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Returns the delay of a render's first poll, as the target's time passes.
    pub(crate) fn first_poll_delay(&self) -> Duration {
        FIRST_POLL_DELAY.div_f64(self.speed.max(1.0))
    }

    /// Returns a client with a token of its own. `timeout` applies to each request.
    pub(crate) fn client(
        &self,
        timeout: Duration,
        clock: &Clock,
    ) -> Result<Arc<ApiClient>, CommandError> {
        let options = ClientOptions { request_timeout: timeout, plain_links: false };
        self.client_with_options(options, clock)
    }

    /// Returns a client with a token of its own.
    pub(crate) fn client_with_options(
        &self,
        options: ClientOptions,
        clock: &Clock,
    ) -> Result<Arc<ApiClient>, CommandError> {
        let mut settings =
            crate::aistudios::ClientSettings::new(self.base_url.clone(), self.credentials.clone());
        settings.request_timeout = options.request_timeout;
        settings.plain_links = options.plain_links;
        settings.proxy = self.proxy.clone();
        let client = ApiClient::new(settings, clock.clone());
        client.map(Arc::new).map_err(CommandError::usage)
    }

    /// Returns AI Studios with the settings of one batch and a client of its own.
    pub(crate) fn ai_studios(
        &self,
        batch: &Batch,
        clock: &Clock,
    ) -> Result<AiStudios, CommandError> {
        Ok(ai_studios_with_client(self.client(batch.limits.request_timeout, clock)?, batch))
    }

    /// Stops the sandbox of a rehearsal; its state file remains.
    pub(crate) async fn close(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}

/// What the batches of an account set for its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientOptions {
    /// Applies to each request.
    pub(crate) request_timeout: Duration,
    /// Whether downloads may be plain http.
    pub(crate) plain_links: bool,
}

/// The options of a rehearsal.
#[derive(Clone, Debug)]
pub(crate) struct RehearsalOptions {
    /// Injected faults, such as `lost-answer=5%`.
    pub(crate) faults: Vec<String>,
    /// Simulated seconds per second.
    pub(crate) speed: f64,
}

impl Default for RehearsalOptions {
    fn default() -> Self {
        Self { faults: Vec::new(), speed: REHEARSAL_SPEED }
    }
}

/// Returns the settings of a sandbox.
///
/// # Errors
/// The message for an invalid option.
pub(crate) fn sandbox_settings(
    options: &RehearsalOptions,
) -> Result<SandboxSettings, CommandError> {
    let RehearsalOptions { faults, speed } = options;
    if !(*speed > 0.0 && *speed <= SPEED_MAX) {
        let message = format!("--speed must be more than 0, and at most {SPEED_MAX}");
        return Err(CommandError::usage(message));
    }
    let mut settings = SandboxSettings::default();
    settings.switches.time_scale = *speed;
    for fault in faults {
        let added = settings.faults.add(fault);
        added.map_err(|error| CommandError::usage(format!("--fault {fault}: {error}")))?;
    }
    Ok(settings)
}

/// Returns whether the ledger stores a batch with this host as a rehearsal.
pub(crate) fn is_rehearsal_host(stored: &str) -> bool {
    stored == REHEARSAL_HOST
}

/// Returns a host as the ledger stores it.
pub(crate) fn stored_host(host: &StudioHost) -> String {
    host.base_url().as_str().trim_end_matches('/').to_owned()
}

/// Returns the key of an account's catalogues in the ledger: its host, and its profile if it has one.
pub(crate) fn catalog_key(query: CredentialQuery<'_>) -> String {
    match query.profile() {
        Some(profile) => format!("{} ({profile})", stored_host(query.host)),
        None => stored_host(query.host),
    }
}

/// Returns AI Studios with the settings of one batch.
pub(crate) fn ai_studios_with_client(client: Arc<ApiClient>, batch: &Batch) -> AiStudios {
    let resolution = batch.studio.resolution.map(|resolution| resolution.as_str().to_owned());
    AiStudios::new(client, resolution, batch.studio.workspace_id.clone())
        .with_state_words(state_words(&batch.vendor))
}

/// Returns the state words that the batch file adds to the built-in ones.
fn state_words(vendor: &VendorProfile) -> StateWords {
    StateWords {
        done: vendor.done_words.clone(),
        failed: vendor.failed_words.clone(),
        draft: vendor.draft_words.clone(),
    }
}

/// The environment variable that replaces the host.
pub(crate) const BASE_URL_VAR: &str = "AISTUDIOS_BASE_URL";

fn host_from_environment() -> Option<Result<StudioHost, InvalidStudioHost>> {
    // A value that is no text is an invalid host, not an absent one.
    let value = std::env::var_os(BASE_URL_VAR)?.to_string_lossy().into_owned();
    (!value.trim().is_empty()).then(|| StudioHost::parse(&value))
}

/// Replaces the host of a batch by that of `--base-url`, or else of the environment.
pub(crate) fn override_host(batch: &mut Batch, flag: Option<&str>) -> Result<(), CommandError> {
    let (source, host) = match (flag.map(StudioHost::parse), host_from_environment()) {
        (Some(host), _) => ("--base-url", host),
        (None, Some(host)) => (BASE_URL_VAR, host),
        (None, None) => return Ok(()),
    };
    let invalid = |error| CommandError::usage(format!("{source}: {error}"));
    batch.studio.host = host.map_err(invalid)?;
    batch.studio.host_origin = HostOrigin::Operator;
    Ok(())
}

/// Returns the host of a command without `--base-url`: from the environment, the batch file or the
/// default.
pub(crate) fn choose_host(batch: Option<&Batch>) -> Result<ChosenHost, CommandError> {
    let (host, origin) = match (host_from_environment(), batch) {
        (Some(host), _) => {
            let invalid = |error| CommandError::usage(format!("{BASE_URL_VAR}: {error}"));
            (host.map_err(invalid)?, HostOrigin::Operator)
        }
        (None, Some(batch)) => (batch.studio.host.clone(), batch.studio.host_origin),
        (None, None) => (StudioHost::Global, HostOrigin::BatchFile),
    };
    Ok(ChosenHost { host, origin })
}
