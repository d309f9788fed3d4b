//! Whom a run talks to, and as whom: the real AI Studios, or a virtual one for a rehearsal.
//!
//! Credentials come from `account.rs`; nothing here reads or shows them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::aistudios::{AiStudios, ApiClient, Credentials, StateWords};
use crate::batch::{Batch, StudioHost, VendorProfile};
use crate::clock::Clock;
use crate::runner::Halt;
use crate::sandbox;
use crate::sandbox::Sandbox;
use crate::session::credentials;
use crate::session::credentials::CredentialQuery;
use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;

/// Virtual seconds that pass in one second of a rehearsal: minutes of rendering take seconds.
pub(crate) const REHEARSAL_SPEED: f64 = 60.0;
/// What the ledger keeps as a rehearsal's host: its port is another each time.
const REHEARSAL_HOST: &str = "rehearsal";

/// Whom a run talks to, and as whom.
pub(crate) struct RunTarget {
    /// What the ledger knows the host by.
    pub(crate) stored_host: String,
    /// What the ledger knows its catalogues by.
    pub(crate) catalog_key: String,
    base_url: Url,
    credentials: Credentials,
    /// The virtual AI Studios of a rehearsal; it ends with the run.
    sandbox: Option<Sandbox>,
}

impl RunTarget {
    /// The real AI Studios, as the batch file and the environment say.
    pub(crate) fn for_batch(batch: &Batch) -> Result<Self, CommandError> {
        Self::for_query(CredentialQuery::new(&batch.studio.host, Some(&batch.studio)))
    }

    /// The real AI Studios, as whoever is meant.
    pub(crate) fn for_query(whose: CredentialQuery<'_>) -> Result<Self, CommandError> {
        let base_url = whose.host.base_url();
        let credentials = credentials::load_credentials(whose);
        let credentials =
            credentials.map_err(|error| CommandError::new(ExitReason::Usage, error))?;
        let name = stored_host(whose.host);
        Ok(Self {
            stored_host: name,
            catalog_key: catalog_key(whose),
            base_url,
            credentials,
            sandbox: None,
        })
    }

    /// The host that a batch was begun at, whatever its file says of hosts.
    pub(crate) fn at_stored_host(name: &str, batch: &Batch) -> Result<Self, CommandError> {
        let mut batch = batch.clone();
        override_host(&mut batch, Some(name))?;
        Self::for_batch(&batch)
    }

    /// A virtual AI Studios inside this process. It remembers what it was asked beside the
    /// ledger, so that a rehearsal that was killed goes on like a real night.
    pub(crate) async fn start_rehearsal(
        ledger: &Path,
        mut settings: sandbox::SandboxSettings,
    ) -> Result<Self, CommandError> {
        settings.state = Some(ledger.with_added_extension("studio.jsonl"));
        let sandbox = Sandbox::start(settings).await.map_err(|error| match error.kind() {
            // The batch's own lock is held by now, so this is another batch of the same ledger.
            std::io::ErrorKind::ResourceBusy => CommandError::new(
                ExitReason::BatchLocked,
                format!(
                    "another rehearsal uses the ledger `{}`: wait for it, or choose another \
                     --ledger",
                    ledger.display()
                ),
            ),
            _ => CommandError::new(
                ExitReason::Unexpected,
                format!("the rehearsal's studio cannot start: {error}"),
            ),
        })?;
        let base_url = Url::parse(&sandbox.base_url())
            .map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
        let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY)
            .map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
        let name = REHEARSAL_HOST.to_owned();
        Ok(Self {
            catalog_key: name.clone(),
            stored_host: name,
            base_url,
            credentials,
            sandbox: Some(sandbox),
        })
    }

    /// Tells whether both speak to one host in one name, and so share what that name allows.
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        self.base_url == other.base_url && self.credentials == other.credentials
    }

    /// Says why a run did not begin. What only says that nobody answered does not say who.
    pub(crate) fn start_failure_message(&self, halt: &Halt) -> String {
        let (host, words) = (self.base_url.authority(), halt.message());
        match halt {
            Halt::Unresponsive { .. } if !words.contains(host) => format!(
                "`{host}` does not answer ({words}): check the network and `base_url`, then run \
                 the same command again"
            ),
            _ => words.to_owned(),
        }
    }

    /// Tells whether nothing of this costs anything.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Returns the client, with the one token of this account. A free call may take `patience`.
    pub(crate) fn client(
        &self,
        patience: Duration,
        clock: &Clock,
    ) -> Result<Arc<ApiClient>, CommandError> {
        let mut settings =
            crate::aistudios::ClientSettings::new(self.base_url.clone(), self.credentials.clone());
        settings.request_timeout = patience;
        let client = ApiClient::new(settings, clock.clone());
        client.map(Arc::new).map_err(|error| CommandError::new(ExitReason::Usage, error))
    }

    /// Returns AI Studios, ready to be asked for one batch alone.
    pub(crate) fn ai_studios(
        &self,
        batch: &Batch,
        clock: &Clock,
    ) -> Result<AiStudios, CommandError> {
        Ok(ai_studios_with_client(self.client(batch.limits.request_timeout, clock)?, batch))
    }

    /// Ends a rehearsal's studio; what it did is in its state file.
    pub(crate) async fn close(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}

/// Returns what the ledger knows a host by.
pub(crate) fn stored_host(host: &StudioHost) -> String {
    host.base_url().as_str().trim_end_matches('/').to_owned()
}

/// Returns what the ledger knows an account's catalogues by: its host, and its profile if it has one.
pub(crate) fn catalog_key(whose: CredentialQuery<'_>) -> String {
    match whose.profile {
        Some(profile) => format!("{} ({profile})", stored_host(whose.host)),
        None => stored_host(whose.host),
    }
}

/// Returns AI Studios as one batch asks it.
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

/// Where another address of the API may stand in the environment.
const BASE_URL_VAR: &str = "AISTUDIOS_BASE_URL";

/// Replaces the host of a batch, where a flag or else the environment says so.
pub(crate) fn override_host(batch: &mut Batch, flag: Option<&str>) -> Result<(), CommandError> {
    let said = std::env::var(BASE_URL_VAR).ok().filter(|value| !value.trim().is_empty());
    let (source, base_url) = match (flag, said) {
        (Some(flag), _) => ("--base-url", flag.to_owned()),
        (None, Some(said)) => (BASE_URL_VAR, said),
        (None, None) => return Ok(()),
    };
    batch.studio.host = StudioHost::parse(&base_url)
        .map_err(|error| CommandError::new(ExitReason::Usage, format!("{source}: {error}")))?;
    Ok(())
}
