//! Whom a run talks to, and as whom: the real AI Studios, or a virtual one for a rehearsal.
//!
//! Credentials come from `account.rs`; nothing here reads or shows them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::account::{self, Whose};
use super::drive::Early;
use super::exit::Exit;
use crate::batch::{Batch, Host};
use crate::clock::Clock;
use crate::runner::{Halt, Vendor};
use crate::sandbox::{self, Sandbox};
use crate::studio::{Client, Credentials};

/// Virtual seconds that pass in one second of a rehearsal: minutes of rendering take seconds.
pub(super) const REHEARSAL_SPEED: f64 = 60.0;
/// What the ledger keeps as a rehearsal's host: its port is another each time.
const REHEARSAL_HOST: &str = "rehearsal";

/// Whom a run talks to, and as whom.
pub(super) struct Account {
    /// What the ledger knows the host by.
    pub(super) name: String,
    /// What the ledger knows its catalogues by.
    pub(super) shop: String,
    base_url: Url,
    credentials: Credentials,
    /// The virtual AI Studios of a rehearsal; it ends with the run.
    sandbox: Option<Sandbox>,
}

impl Account {
    /// The real AI Studios, as the batch file and the environment say.
    pub(super) fn real(batch: &Batch) -> Result<Self, Early> {
        Self::of(Whose::of(&batch.studio.host, Some(&batch.studio)))
    }

    /// The real AI Studios, as whoever is meant.
    pub(super) fn of(whose: Whose<'_>) -> Result<Self, Early> {
        let base_url = whose.host.base_url();
        let credentials = account::credentials(whose);
        let credentials = credentials.map_err(|error| Early::new(Exit::Usage, error))?;
        let name = name_of(whose.host);
        Ok(Self { name, shop: shop_of(whose), base_url, credentials, sandbox: None })
    }

    /// The host that a batch was begun at, whatever its file says of hosts.
    pub(super) fn at(name: &str, batch: &Batch) -> Result<Self, Early> {
        let mut batch = batch.clone();
        at_base_url(&mut batch, Some(name))?;
        Self::real(&batch)
    }

    /// A virtual AI Studios inside this process. It remembers what it was asked beside the
    /// ledger, so that a rehearsal that was killed goes on like a real night.
    pub(super) async fn rehearsal(
        ledger: &Path,
        mut settings: sandbox::Settings,
    ) -> Result<Self, Early> {
        settings.state = Some(ledger.with_added_extension("studio.jsonl"));
        let sandbox = Sandbox::start(settings).await.map_err(|error| match error.kind() {
            // The batch's own lock is held by now, so this is another batch of the same ledger.
            std::io::ErrorKind::ResourceBusy => Early::new(
                Exit::Held,
                format!(
                    "another rehearsal uses the ledger `{}`: wait for it, or choose another \
                     --ledger",
                    ledger.display()
                ),
            ),
            _ => Early::new(
                Exit::Unexpected,
                format!("the rehearsal's studio cannot start: {error}"),
            ),
        })?;
        let base_url =
            Url::parse(&sandbox.base_url()).map_err(|error| Early::new(Exit::Unexpected, error))?;
        let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY)
            .map_err(|error| Early::new(Exit::Unexpected, error))?;
        let name = REHEARSAL_HOST.to_owned();
        Ok(Self { shop: name.clone(), name, base_url, credentials, sandbox: Some(sandbox) })
    }

    /// Tells whether both speak to one host in one name, and so share what that name allows.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.base_url == other.base_url && self.credentials == other.credentials
    }

    /// Says why a run did not begin. What only says that nobody answered does not say who.
    pub(super) fn not_begun(&self, halt: &Halt) -> String {
        let (host, words) = (self.base_url.authority(), halt.words());
        match halt {
            Halt::Silence { .. } if !words.contains(host) => format!(
                "`{host}` does not answer ({words}): check the network and `base_url`, then run \
                 the same command again"
            ),
            _ => words.to_owned(),
        }
    }

    /// Tells whether nothing of this costs anything.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Returns the client, with the one token of this account. A free call may take `patience`.
    pub(super) fn client(&self, patience: Duration, clock: &Clock) -> Result<Arc<Client>, Early> {
        let mut settings =
            crate::studio::Settings::new(self.base_url.clone(), self.credentials.clone());
        settings.request_timeout = patience;
        let client = Client::new(settings, clock.clone());
        client.map(Arc::new).map_err(|error| Early::new(Exit::Usage, error))
    }

    /// Returns AI Studios, ready to be asked for one batch alone.
    pub(super) fn vendor(&self, batch: &Batch, clock: &Clock) -> Result<Vendor, Early> {
        Ok(vendor(self.client(batch.limits.request_timeout, clock)?, batch))
    }

    /// Ends a rehearsal's studio; what it did is in its state file.
    pub(super) async fn close(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}

/// Returns what the ledger knows a host by.
pub(super) fn name_of(host: &Host) -> String {
    host.base_url().as_str().trim_end_matches('/').to_owned()
}

/// Returns what the ledger knows an account's catalogues by: its host, and its profile if it has one.
pub(super) fn shop_of(whose: Whose<'_>) -> String {
    match whose.profile {
        Some(profile) => format!("{} ({profile})", name_of(whose.host)),
        None => name_of(whose.host),
    }
}

/// Returns AI Studios as one batch asks it.
pub(super) fn vendor(client: Arc<Client>, batch: &Batch) -> Vendor {
    let resolution = batch.studio.resolution.map(|resolution| resolution.word().to_owned());
    Vendor::new(client, resolution, batch.studio.workspace_id.clone()).told(&batch.vendor)
}

/// Where another address of the API may stand in the environment.
const BASE_URL: &str = "AISTUDIOS_BASE_URL";

/// Replaces the host of a batch, where a flag or else the environment says so.
pub(super) fn at_base_url(batch: &mut Batch, flag: Option<&str>) -> Result<(), Early> {
    let said = std::env::var(BASE_URL).ok().filter(|value| !value.trim().is_empty());
    let (source, base_url) = match (flag, said) {
        (Some(flag), _) => ("--base-url", flag.to_owned()),
        (None, Some(said)) => (BASE_URL, said),
        (None, None) => return Ok(()),
    };
    batch.studio.host = Host::at(&base_url)
        .map_err(|error| Early::new(Exit::Usage, format!("{source}: {error}")))?;
    Ok(())
}
