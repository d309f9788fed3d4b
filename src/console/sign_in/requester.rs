//! Who makes a request: the user of a session, or one that a trusted proxy names.
//!
//! The role is read from the ledger at every request, so a removed user or a changed role counts at
//! once. Invariant: a session that was idle for [`SESSION_IDLE_MAX`] is ended.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, header};

use crate::console::sign_in::secret::ConsoleSecret;
use crate::console::state::ConsoleState;
use crate::ledger::{ConsoleRole, ConsoleSession, LedgerError};
use crate::text::time_format::elapsed;

/// A session ends after this time without a request.
pub(in crate::console) const SESSION_IDLE_MAX: Duration = Duration::from_secs(12 * 3600);
/// A session's last use is written at most this often.
const TOUCH_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// The name of the user who signed in with the link of the console.
const LINK_USER: &str = "console";

/// The user who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsoleRequester {
    /// The user's name, as the audit trail shows it.
    pub(crate) name: String,
    pub(crate) role: ConsoleRole,
    /// The hash of the session's secret; `None` if a proxy signs in.
    pub(crate) session: Option<String>,
}

impl ConsoleRequester {
    pub(crate) fn has_role(&self, role: ConsoleRole) -> bool {
        self.role >= role
    }

    /// Returns its name in the audit trail.
    pub(crate) fn audit_name(&self) -> String {
        format!("user:{}", self.name)
    }

    /// Returns a visitor without a session, as public routes see it.
    pub(in crate::console) fn visitor() -> Self {
        Self { name: String::new(), role: ConsoleRole::Viewer, session: None }
    }

    fn from_session(session: ConsoleSession) -> Self {
        Self {
            name: session.user_name.unwrap_or_else(|| LINK_USER.to_owned()),
            role: session.role,
            session: Some(session.token_hash),
        }
    }

    /// Returns who makes a request; `None` without a valid session.
    pub(in crate::console) async fn find(
        state: &ConsoleState,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<Self>, LedgerError> {
        if let Some(name) = trusted_user(state, headers, peer) {
            let user = state.ledger.console_user(&name).await?;
            return Ok(user.map(|user| Self { name: user.name, role: user.role, session: None }));
        }
        let Some(secret) = cookie_secret(state, headers) else { return Ok(None) };
        let Some(session) = state.ledger.console_session(&secret.hash_text()).await? else {
            return Ok(None);
        };
        let now = state.now();
        let idle = elapsed(session.used_at, now);
        if idle >= SESSION_IDLE_MAX {
            state.ledger.end_console_session(&session.token_hash).await?;
            return Ok(None);
        }
        if idle >= TOUCH_INTERVAL {
            state.ledger.touch_console_session(&session.token_hash, now).await?;
        }
        Ok(Some(Self::from_session(session)))
    }
}

/// Returns the user that a trusted proxy names.
fn trusted_user(state: &ConsoleState, headers: &HeaderMap, peer: IpAddr) -> Option<String> {
    let trusted = state.settings.trusted_header.as_ref()?;
    let is_trusted = trusted.proxies.contains(&peer.to_canonical());
    let name = headers.get(&trusted.name).filter(|_| is_trusted)?;
    name.to_str().ok().map(str::to_owned)
}

/// Returns the name of the cookie. Cookies ignore ports, and one machine may have several consoles.
pub(in crate::console) fn cookie_name(state: &ConsoleState) -> String {
    format!("callsheet-{}", state.settings.listen.port())
}

fn cookie_secret(state: &ConsoleState, headers: &HeaderMap) -> Option<ConsoleSecret> {
    let name = cookie_name(state);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    ConsoleSecret::parse(value.trim())
}
