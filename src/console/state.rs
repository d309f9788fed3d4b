//! What all requests of a console share.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::console::assets::ConsoleAssets;
use crate::console::console_link::ConsoleLink;
use crate::console::live::LiveFeed;
use crate::console::pages::rows::row_text_cache::RowTextCache;
use crate::console::safety::allowed_hosts::AllowedHosts;
use crate::console::settings::ConsoleSettings;
use crate::console::sign_in::password::PasswordChecks;
use crate::console::sign_in::throttle::SignInThrottle;
use crate::ledger::Ledger;
use crate::session::next_steps::CommandHints;

/// The shared state. Clones share it.
#[derive(Clone)]
pub(crate) struct ConsoleState(Arc<SharedConsoleState>);

pub(crate) struct SharedConsoleState {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) settings: ConsoleSettings,
    pub(super) assets: ConsoleAssets,
    pub(super) hosts: AllowedHosts,
    pub(super) link: ConsoleLink,
    pub(super) throttle: SignInThrottle,
    pub(super) passwords: PasswordChecks,
    pub(super) live: LiveFeed,
    pub(crate) row_texts: RowTextCache,
    /// Cancelled when the console closes.
    pub(crate) stop: CancellationToken,
}

impl ConsoleState {
    pub(super) fn new(shared: SharedConsoleState) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the commands of a batch, for pages that suggest one.
    pub(crate) fn command_hints(&self, batch: &str, file: &str) -> CommandHints {
        CommandHints::new(&self.settings.ledger_options, batch, file)
    }
}

impl std::ops::Deref for ConsoleState {
    type Target = SharedConsoleState;

    fn deref(&self) -> &SharedConsoleState {
        &self.0
    }
}
